"""Which regions reach the border of the volume, and in how many places."""

from __future__ import annotations

import itertools

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from gala._types import Array, Bools, Ints
from gala.engine.running import RunningGraph
from gala.engine.state import live_regions
from gala.engine.volumes import node_of_leaves, paint
from gala.errors import SettingError
from gala.graph.voxels import on_border


def touch_border(g: RunningGraph) -> Bools:
    """Tell of each place of a region, shape (N,), whether a region that touches the border is there."""
    return (g.state.region_rows[:, -1] > 0) & (g.state.node >= 0)


def orphans(g: RunningGraph) -> list[int]:
    """Return the regions that do not touch the border of the volume.

    In a volume of neurons, none should be left: each comes from somewhere.

    Examples
    --------
    >>> from gala.engine.policy import boundary_mean
    >>> from gala.graph.build import build_graph
    >>> orphans(RunningGraph(build_graph([[3, 3, 3], [3, 7, 3], [3, 3, 3]]), boundary_mean))
    [1]
    """
    regions = live_regions(g.state)
    found: list[int] = g.names[g.state.node[regions[~touch_border(g)[regions]]]].tolist()
    return found


def traversing(g: RunningGraph, *, between: str = "places") -> list[int]:
    """Return the regions that enter the volume and leave it again.

    Parameters
    ----------
    g : RunningGraph
        With its volume.
    between : {"places", "faces"}, optional
        A region traverses the volume if its voxels at the border of the volume are in two or more pieces (voxels are
        neighbours if they share a face, an edge or a corner); or if it touches two opposite faces of the volume, on
        an axis of two voxels or more.

    Returns
    -------
    regions : list of int

    Raises
    ------
    SettingError
        If `between` is another word.
    FeatureError
        If the graph does not have its volume.
    """
    if between not in ("places", "faces"):
        raise SettingError(f'between must be "places" or "faces"; got {between!r}.')
    nodes = paint(g, node_of_leaves(g) + 1)  # 0 is what belongs to no region
    found = _on_two_faces(nodes) if between == "faces" else _at_two_places(nodes)
    names: list[int] = g.names[found[found > 0] - 1].tolist()
    return names


def traverses(g: RunningGraph, n: int) -> bool:
    """Tell whether region `n` touches the border of the volume in two or more places.

    Raises
    ------
    LabelError, KeyError
        If there never was such a region, or it is part of a larger one.
    """
    shape = g._need_volume().labels.shape
    voxels = on_border(g.extent(n), shape)
    return len(_in_two_pieces(voxels, np.zeros_like(voxels), shape)) > 0


def non_traversing(g: RunningGraph, *, between: str = "places") -> list[int]:
    """Return the regions that touch the border of the volume and do not traverse it; see `traversing`.

    In a volume of neurons, these end inside it: most ends are false.
    """
    through = {*orphans(g), *traversing(g, between=between)}
    return [n for n in g.region_names() if n not in through and n != g.border]


def _on_two_faces(labels: Array) -> Ints:
    """Return the labels that are on both the first and the last plane along some axis, increasing."""
    axes = [axis for axis in range(labels.ndim) if labels.shape[axis] > 1]
    both = [np.intersect1d(labels.take(0, axis), labels.take(-1, axis)) for axis in axes]
    return np.unique(np.concatenate([np.empty(0, dtype=np.int64), *both]))


def _at_two_places(labels: Array) -> Ints:
    """Return the labels that are in two or more pieces at the border of the volume, increasing."""
    is_inner = np.zeros(labels.shape, dtype=np.bool_)
    is_inner[(slice(1, -1),) * labels.ndim] = True
    shell = np.flatnonzero(~is_inner)
    return _in_two_pieces(shell, labels.ravel()[shell], labels.shape)


def _in_two_pieces(voxels: Ints, owner: Ints, shape: tuple[int, ...]) -> Ints:
    """Return the owners whose voxels, increasing positions in a volume, are in two or more pieces, increasing."""
    coords = np.stack(np.unravel_index(voxels, shape))
    size = np.reshape(shape, (-1, 1))
    pairs = [np.empty((2, 0), dtype=np.int64)]
    for step in itertools.product((-1, 0, 1), repeat=len(shape)):
        if step > (0,) * len(shape):  # each pair once
            there = coords + np.reshape(step, (-1, 1))
            here = np.flatnonzero(((there >= 0) & (there < size)).all(axis=0))
            sought = np.ravel_multi_index(tuple(there[:, here]), shape)
            place = np.minimum(np.searchsorted(voxels, sought), len(voxels) - 1)
            same = (voxels[place] == sought) & (owner[place] == owner[here])
            pairs.append(np.stack([here[same], place[same]]))
    first, second = np.concatenate(pairs, axis=1)
    n = len(voxels)
    _, piece = connected_components(coo_array((np.ones(len(first)), (first, second)), shape=(n, n)), directed=False)
    pieces = np.unique(piece, return_index=True)[1]
    owners, n_pieces = np.unique(owner[pieces], return_counts=True)
    return owners[n_pieces > 1]
