"""From a merge tree and the label image it was made of to segmentations; the parts of segments in a region graph."""

from __future__ import annotations

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from gala._types import Array, ArrayLike, Bools, Ints, Labels
from gala.errors import SettingError
from gala.graph.labels import as_labels
from gala.graph.regions import RegionGraph
from gala.graph.tree import MergeTree
from gala.graph.voxels import map_labels, present_labels


def leaf_labels(
    labels: ArrayLike, tree: MergeTree, *, mask: Bools | None = None, n_threads: int | None = None
) -> Labels:
    """Return the label of each leaf of a tree, shape (N,).

    Parameters
    ----------
    labels : array of int, shape (M, ..., P)
        The label image that the tree merges. Label 0 may be background, which is no leaf.
    tree : MergeTree
        With N leaves, in order of their labels.
    mask : array of bool, shape (M, ..., P), optional
        The one that the tree was made with.
    n_threads : int, optional
        By default the environment variable GALA_NUM_THREADS, or else the number of cores.

    Raises
    ------
    SettingError
        If the image has another number of labels.

    Examples
    --------
    >>> leaf_labels([[0, 7, 7, 9]], MergeTree.empty(2))
    array([7, 9])
    """
    volume = as_labels(labels, "labels")
    known = present_labels(volume, mask=mask, n_threads=n_threads).astype(volume.dtype)
    found: Labels = known[1:] if len(known) == tree.n_leaves + 1 and known[0] == 0 else known
    if len(found) != tree.n_leaves:
        raise SettingError(
            f"labels must be the superpixels that the tree merges, {tree.n_leaves} of them, with the mask they had; "
            f"got {len(known)} labels. Give neither a segmentation nor the superpixels of another volume."
        )
    return found


def cut_labels(
    labels: ArrayLike,
    tree: MergeTree,
    threshold: float = np.inf,
    *,
    mask: Bools | None = None,
    of_leaves: Labels | None = None,
    n_threads: int | None = None,
) -> Labels:
    """Return the segmentation of a label image by the tree of its merges.

    Parameters
    ----------
    labels : array of int, shape (M, ..., P)
        The label image that the tree merges. Label 0 may be background, which is no leaf and stays 0.
    tree : MergeTree
        Its leaves are the labels, in order.
    threshold : float, optional
        Where to cut. By default all merges are made.
    mask : array of bool, shape (M, ..., P), optional
        The one that the tree was made with; voxels that are False become 0.
    of_leaves : array of int, shape (N,), optional
        What `leaf_labels` returned for them; saves another pass over the labels.
    n_threads : int, optional
        By default the environment variable GALA_NUM_THREADS, or else the number of cores.

    Returns
    -------
    segmentation : array of the type of `labels`, shape (M, ..., P)
        A segment is named by its lowest label, so that it has one name at all thresholds where it is the same.

    Raises
    ------
    SettingError
        If the image has another number of labels than the tree has leaves, or the threshold is NaN.

    Examples
    --------
    >>> tree = MergeTree(3, np.array([[0, 1], [2, 3]]), np.array([0.25, 0.5]))
    >>> cut_labels([[0, 5, 5, 7, 9]], tree, 0.3)
    array([[0, 5, 5, 5, 9]])
    """
    volume = as_labels(labels, "labels")
    keys = leaf_labels(volume, tree, mask=mask, n_threads=n_threads) if of_leaves is None else of_leaves
    values = keys[tree.cut(threshold)]
    background = None if keys.size and keys[0] == 0 else 0
    return map_labels(volume, keys, values, mask=mask, background=background, n_threads=n_threads)


def connected(graph: RegionGraph, segments: Array) -> Ints:
    """Return segments cut into the parts that are connected by contacts, shape (N,)."""
    u, v = graph.edges[segments[graph.edges[:, 0]] == segments[graph.edges[:, 1]]].T
    inner = coo_array((np.ones(len(u), dtype=np.bool_), (u, v)), shape=(graph.n_regions, graph.n_regions))
    parts: Ints = connected_components(inner, directed=False)[1].astype(np.int64)
    return parts
