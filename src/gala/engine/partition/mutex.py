"""Mutex watershed, on the graph of regions and on voxels; its semantic variant keeps classes apart, too."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import bioimage_cpp.graph as native
import bioimage_cpp.segmentation as native_voxels
import numpy as np

from gala._types import Array, ArrayLike, Ints, Labels
from gala.engine.partition.costs import checked_weights
from gala.engine.partition.multicut import checked_lifted
from gala.engine.partition.result import Partition, energy_of, named_by_lowest
from gala.errors import ImageError, SettingError, ShapeError
from gala.graph.affinities import Affinities, as_affinities
from gala.graph.affinity_graph import LiftedEdges
from gala.graph.regions import RegionGraph


def mutex_watershed(
    graph: RegionGraph,
    weights: ArrayLike,
    *,
    lifted: LiftedEdges | ArrayLike | None = None,
    lifted_weights: ArrayLike | None = None,
    class_weights: ArrayLike | None = None,
) -> Partition:
    """Take edges in the order of their strength: attractive ones merge, repulsive ones forbid it for good.

    Parameters
    ----------
    graph : RegionGraph
        Its regions and contacts; what it keeps about them is not read.
    weights : array of float, shape (E,)
        Of each contact: positive if its regions attract each other, negative if they repel.
    lifted : LiftedEdges or array of int, shape (L, 2), optional
        Pairs of regions, as positions in the graph, that need not touch. Only those that repel count.
    lifted_weights : array of float, shape (L,), optional
        Of these.
    class_weights : array of float, shape (N, K), optional
        How surely each region is of each of K classes, on the scale of `weights`. Segments of two classes never
        merge.

    Returns
    -------
    partition : Partition
        With `classes` if there are class weights: -1 for a segment that has none.

    Raises
    ------
    ShapeError
        If there is not one weight for each edge, or one row of classes for each region.
    LabelError
        If a lifted edge is not between two different regions of the graph.
    SettingError
        If weights are not finite, or there are lifted edges and no contacts or no weights for them.

    References
    ----------
    Wolf et al. 2020, The mutex watershed and its objective, doi:10.1109/TPAMI.2020.2980827; Wolf et al. 2020, The
    semantic mutex watershed, arXiv:1912.12717.

    Examples
    --------
    >>> from gala.graph.build import build_graph
    >>> graph = build_graph([1, 2, 3])
    >>> mutex_watershed(graph, [1.0, 2.0], lifted=[(0, 2)], lifted_weights=[-1.5]).labels.tolist()
    [1, 2, 2]
    >>> found = mutex_watershed(graph, [1.0, 2.0], class_weights=[[3.0, 0.0], [0.0, 0.0], [0.0, 4.0]])
    >>> found.labels.tolist(), found.classes.tolist()
    ([1, 2, 2], [0, 1, 1])
    """
    known = checked_weights(len(graph.edges), weights)
    pairs = np.empty((0, 2), dtype=np.int64) if lifted is None else checked_lifted(graph, lifted)
    if lifted is not None and lifted_weights is None:
        raise SettingError("lifted edges must have weights; pass lifted_weights, one for each.")
    far = checked_weights(len(pairs), np.empty(0) if lifted_weights is None else lifted_weights, "lifted_weights")
    edges, all_weights = np.concatenate([graph.edges, pairs]), np.concatenate([known, far])
    attractive = graph.edges[known > 0].astype(np.uint64)
    repulsive = edges[all_weights < 0].astype(np.uint64)
    base = native.UndirectedGraph.from_edges(graph.n_regions, attractive)
    given = base, known[known > 0], repulsive, -all_weights[all_weights < 0]
    classes: Ints | None = None
    if class_weights is None:
        segments = native.mutex_watershed.mutex_watershed_clustering(*given)
    else:
        rows, of_rows = _class_edges(graph, class_weights)
        segments, classes = native.mutex_watershed.semantic_mutex_watershed_clustering(*given, rows, of_rows)
    energy = energy_of(edges, all_weights, segments)
    return Partition(graph.labels, named_by_lowest(graph, segments), energy=energy, classes=classes)


class VoxelSegments(NamedTuple):
    """The segment of each voxel, and its class."""

    labels: Labels  # (M, ..., P) from 1; 0 where the mask is False
    classes: Ints | None  # (M, ..., P) -1 where there is none, and where the mask is False


def mutex_watershed_of_voxels(
    affinities: ArrayLike,
    offsets: Sequence[Sequence[int]],
    *,
    polarity: str = "attractive",
    class_probabilities: ArrayLike | None = None,
    strides: Sequence[int] | None = None,
    mask: ArrayLike | None = None,
) -> VoxelSegments:
    """Segment a volume without superpixels: neighbours attract each other, voxels farther apart repel.

    Parameters
    ----------
    affinities : array, shape (K, M, P) or (K, L, M, P)
        See `gala.graph.affinity_graph.build_affinity_graph`.
    offsets : sequence of K steps
        Those of one voxel attract as strongly as the affinity is, longer and diagonal ones repel as strongly as it is
        not: with one minus the affinity.
    polarity : {"attractive", "repulsive"}
        Whether 1 is together, or apart.
    class_probabilities : array of float, shape (C, M, P) or (C, L, M, P), optional
        Of each class, from 0 to 1; segments of two classes never merge.
    strides : sequence of int, optional
        Take repulsive pairs of every so many voxels along each axis only.
    mask : array of bool, shape (M, P) or (L, M, P), optional
        Voxels that are False are left out.

    Returns
    -------
    labels : array of uint64
        Segments, from 1; 0 where the mask is False.
    classes : array of int64, or None
        Of the segment of each voxel, if there are class probabilities.

    Raises
    ------
    ShapeError
        If shapes or the number of channels do not fit, or there are not two or three axes.
    ImageError
        If affinities or class probabilities are not from 0 to 1.
    SettingError
        If there is no step of one voxel, or no longer one; if strides are not one positive number for each axis.

    References
    ----------
    Wolf et al. 2020, doi:10.1109/TPAMI.2020.2980827 and arXiv:1912.12717.

    Examples
    --------
    >>> affinities = np.array([[[0.9, 0.2, 0.9, 0.0]], [[0.1, 0.1, 0.0, 0.0]]])
    >>> mutex_watershed_of_voxels(affinities, [(0, 1), (0, 2)]).labels
    array([[1, 1, 2, 2]], dtype=uint64)
    """
    known = as_affinities(affinities, offsets, polarity)
    if len(known.shape) not in (2, 3):
        raise ShapeError(f"mutex watershed of voxels needs two or three axes; got affinities of {len(known.shape)}.")
    local = known.is_local
    if local.all() or not local.any():
        raise SettingError(
            "offsets must have steps of one voxel, which attract, and longer ones, which repel; got "
            f"{known.offsets.tolist()}. Without the longer ones use superpixels and a policy."
        )
    inside = None if mask is None else np.asarray(mask, dtype=np.bool_)
    if inside is not None and inside.shape != known.shape:
        raise ShapeError(f"mask must have the shape of the volume, {known.shape}; got {inside.shape}.")
    order = np.argsort(~local, kind="stable")
    steps = [tuple(known.offsets[k].tolist()) for k in order]
    options = {"strides": _strides(strides, len(known.shape)), "mask": inside}
    values = _strengths(known, order)
    n_attractive = int(local.sum())
    if class_probabilities is None:
        return VoxelSegments(native_voxels.mutex_watershed(values, steps, n_attractive, **options), None)
    values = np.concatenate([values, _class_channels(class_probabilities, known.shape, values.dtype)])
    found = native_voxels.semantic_mutex_watershed(values, steps, n_attractive, mask_label=-1, **options)
    return VoxelSegments(*found)


def _class_edges(graph: RegionGraph, class_weights: ArrayLike) -> tuple[Array, Array]:
    """Return pairs of region and class, and their weights."""
    found = np.asarray(class_weights, dtype=np.float64)
    if found.ndim != 2 or len(found) != graph.n_regions or found.shape[1] == 0:
        raise ShapeError(f"class_weights must have shape ({graph.n_regions}, K), K classes; got {found.shape}.")
    checked_weights(found.size, found.ravel(), "class_weights")
    region, number = np.nonzero(found > 0)
    return np.column_stack([region, number]).astype(np.uint64), found[region, number]


def _strengths(known: Affinities, order: Ints) -> Array:
    """Return channels in this order, as strong as they attract or repel."""
    channels = [1 - b if known.is_local[k] else b for k in order for b in [known.boundary(int(k))]]
    return np.ascontiguousarray(channels)


def _class_channels(probabilities: ArrayLike, shape: tuple[int, ...], dtype: np.dtype[np.floating]) -> Array:
    found = np.asarray(probabilities, dtype=dtype)
    if found.shape[1:] != shape or not len(found):
        raise ShapeError(f"class_probabilities must have shape (C, {', '.join(map(str, shape))}); got {found.shape}.")
    if not (found.min() >= 0 and found.max() <= 1):
        raise ImageError(f"class_probabilities must be from 0 to 1; got {found.min():g} to {found.max():g}.")
    return found


def _strides(strides: Sequence[int] | None, ndim: int) -> tuple[int, ...] | None:
    if strides is None:
        return None
    found = tuple(int(step) for step in strides)
    if len(found) != ndim or min(found, default=0) < 1:
        raise SettingError(f"strides must be one positive whole number for each of {ndim} axes; got {strides!r}.")
    return found
