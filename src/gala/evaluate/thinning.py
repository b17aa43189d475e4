"""Skeletons of the objects of a truth volume, for metrics where nobody has traced neurons by hand."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from importlib import import_module
from itertools import product
from typing import Any, Literal

import numpy as np
from scipy import ndimage, sparse
from scipy.sparse import csgraph

from gala._types import ArrayLike, Floats, Ints, Labels
from gala.errors import LabelError, SettingError, ShapeError
from gala.evaluate.lookups import check_offset
from gala.graph.labels import as_labels
from gala.graph.skeletons import Skeletons
from gala.graph.volume import check_spacing


def skeletonize(
    truth: ArrayLike,
    *,
    spacing: Sequence[float] | None = None,
    offset: Sequence[float] | None = None,
    method: Literal["thinning", "kimimaro"] = "thinning",
    options: Mapping[str, Any] | None = None,
) -> Skeletons:
    """Return the skeleton of each object of a truth volume, in physical units.

    Parameters
    ----------
    truth : array of int, shape (M, N[, P])
        The true objects, in 2 or 3 dimensions, loaded whole; 0 is void. A skeleton has the label of its object
        as its id.
    spacing : sequence of float, shape (D,), optional
        Size of a voxel along each axis; 1 by default.
    offset : sequence of float, shape (D,), optional
        Coordinates of the centre of the first voxel; 0 by default.
    method : {"thinning", "kimimaro"}, optional
        "thinning" peels each object to lines of voxels with scikit-image [1]_, and joins neighbours, across corners
        too, by a tree of least length; the spacing counts in lengths, not in the thinning. "kimimaro" follows TEASAR
        [2]_, in physical units, with fewer spurs, in 3 dimensions; the package of that name must be installed.
    options : mapping of str, optional
        Arguments for ``kimimaro.skeletonize``, such as ``{"teasar_params": {"scale": 1.5, "const": 300}}``.

    Returns
    -------
    skeletons : Skeletons
        Nodes at centres of voxels, by object. "thinning" gives each object one skeleton, of as many pieces as the
        object has; one small enough to be peeled away has the path between its ends. kimimaro leaves out objects of
        fewer voxels than its ``dust_threshold``, 1000.

    Raises
    ------
    ShapeError
        If the volume has not 2 or 3 dimensions, or no voxels.
    LabelError
        If values are not labels, or there is no object, or none large enough.
    SettingError
        If an option does not fit, or kimimaro is not installed.

    References
    ----------
    .. [1] Lee, T.-C. et al. (1994). Building skeleton models via 3-D medial surface/axis thinning algorithms. *CVGIP:
           Graphical Models and Image Processing* 56, 462-478. doi:10.1006/cgip.1994.1042
    .. [2] Sato, M. et al. (2000). TEASAR: tree-structure extraction algorithm for accurate and robust skeletons.
           *Proceedings of Pacific Graphics*, 281-287. doi:10.1109/PCCGA.2000.883951

    Examples
    --------
    >>> truth = np.zeros((5, 5, 30), dtype=int)
    >>> truth[1:4, 1:4, 2:28] = 7
    >>> line = skeletonize(truth, spacing=(40, 4, 4))
    >>> line.ids, bool(80 < line.lengths[0] < 26 * 4)
    (array([7]), True)
    """
    labels = as_labels(truth, "truth")
    if labels.ndim not in (2, 3):
        raise ShapeError(f"truth must have 2 or 3 dimensions; got shape {labels.shape}.")
    sides, start = np.array(check_spacing(spacing, labels.ndim)), check_offset(offset, labels.ndim)
    if method == "kimimaro":
        parts = list(_by_kimimaro(labels, sides, options or {}))
    elif method == "thinning" and not options:
        parts = list(_by_thinning(labels, sides))
    else:
        raise SettingError(
            f"method must be 'thinning', without options, or 'kimimaro'; got {method!r} and options {options!r}."
        )
    if not parts:
        raise LabelError("truth has no object but void, 0, or none large enough for a skeleton.")
    found = Skeletons.from_parts(parts)
    return Skeletons(found.nodes + start, found.edges, found.owner)


def _by_thinning(labels: Labels, sides: Floats) -> Iterator[Skeletons]:
    thinned: Any = import_module("skimage.morphology").skeletonize  # only here: it takes half a second
    known, rank = np.unique(labels, return_inverse=True)
    rank = rank.reshape(labels.shape).astype(np.int32) + (known[0] != 0)  # void, if there is any, is 0
    ids = known[known != 0]
    everywhere = np.ones((3,) * labels.ndim)
    for i, box in enumerate(ndimage.find_objects(rank)):
        inside = np.pad(rank[box] == i + 1, 1)
        lines = thinned(inside, method="lee").astype(np.bool_) & inside
        pieces, n_pieces = ndimage.label(inside, everywhere)
        for lost in np.setdiff1d(np.arange(1, n_pieces + 1), pieces[lines]):
            voxels = np.argwhere(pieces == lost)
            lines[tuple(voxels[_longest_path(voxels, sides)].T)] = True
        nodes = np.argwhere(lines)
        corner = np.array([side.start - 1 for side in box])
        yield Skeletons((nodes + corner) * sides, _tree(nodes, sides), ids[i])


def _by_kimimaro(labels: Labels, sides: Floats, options: Mapping[str, Any]) -> Iterator[Skeletons]:
    try:
        kimimaro = import_module("kimimaro")
    except ImportError as error:
        raise SettingError(
            "method='kimimaro' needs the package kimimaro: pip install kimimaro, or use method='thinning'."
        ) from error
    if labels.ndim != 3:
        raise ShapeError(f"kimimaro needs a truth of 3 dimensions; got shape {labels.shape}.")
    arguments: dict[str, Any] = {"progress": False, "parallel": 1, **options, "anisotropy": tuple(sides.tolist())}
    found = kimimaro.skeletonize(labels, **arguments)
    for label in sorted(found):
        if len(found[label].vertices):
            yield Skeletons(found[label].vertices, found[label].edges, label)


def _links(voxels: Ints, sides: Floats) -> Any:
    """Return the distances of voxels, shape (K, D), that touch by face, edge or corner: sparse, upper half only."""
    low = voxels.min(axis=0) - 1
    shape = voxels.max(axis=0) - low + 2
    position = np.ravel_multi_index(tuple((voxels - low).T), tuple(shape))
    order = np.argsort(position)
    rows, columns, lengths = [], [], []
    for step in product((-1, 0, 1), repeat=voxels.shape[1]):
        if step <= (0,) * len(step):
            continue
        other = position + int(np.ravel_multi_index(tuple(np.add(step, 1)), tuple(shape)) - _middle(shape))
        at = np.minimum(np.searchsorted(position, other, sorter=order), len(order) - 1)
        touching = np.flatnonzero(position[order[at]] == other)
        rows.append(touching)
        columns.append(order[at[touching]])
        lengths.append(np.full(len(touching), np.linalg.norm(step * sides)))
    places = np.concatenate(rows), np.concatenate(columns)
    return sparse.coo_array((np.concatenate(lengths), places), shape=(len(voxels),) * 2).tocsr()


def _middle(shape: Ints) -> int:
    return int(np.ravel_multi_index((1,) * len(shape), tuple(shape)))


def _tree(voxels: Ints, sides: Floats) -> Ints:
    """Return the edges, shape (E, 2), of a tree of least length through each connected piece."""
    tree = csgraph.minimum_spanning_tree(_links(voxels, sides)).tocoo()
    return np.column_stack([tree.row, tree.col]).astype(np.int64)


def _longest_path(voxels: Ints, sides: Floats) -> Ints:
    """Return the positions of voxels on the shortest path between the ends of a connected piece.

    The ends are the voxel farthest from the first one, and the one farthest from that.
    """
    links = _links(voxels, sides)
    end = int(csgraph.dijkstra(links, directed=False, indices=0).argmax())
    distance, before = csgraph.dijkstra(links, directed=False, indices=end, return_predecessors=True)
    path = [int(distance.argmax())]
    while path[-1] != end:
        path.append(int(before[path[-1]]))
    return np.array(path)
