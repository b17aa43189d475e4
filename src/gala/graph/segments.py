"""From a merge tree and the label image it was made of to segmentations."""

from __future__ import annotations

import numpy as np

from gala._types import ArrayLike, Labels
from gala.errors import SettingError
from gala.graph.labels import as_labels
from gala.graph.tree import MergeTree
from gala.graph.voxels import map_labels


def leaf_labels(labels: ArrayLike, tree: MergeTree) -> Labels:
    """Return the label of each leaf of a tree, shape (N,).

    Parameters
    ----------
    labels : array of int, shape (M, ..., P)
        The label image that the tree merges. Label 0 may be background, which is no leaf.
    tree : MergeTree
        With N leaves, in order of their labels.

    Raises
    ------
    SettingError
        If the image has another number of labels.

    Examples
    --------
    >>> leaf_labels([[0, 7, 7, 9]], MergeTree.empty(2))
    array([7, 9])
    """
    known: Labels = np.unique(as_labels(labels, "labels"))
    found = known[1:] if len(known) == tree.n_leaves + 1 and known[0] == 0 else known
    if len(found) != tree.n_leaves:
        raise SettingError(
            f"the tree merges {tree.n_leaves} superpixels, but the volume given for them has {len(known)} labels: "
            "give the superpixels that the tree was made of, not a segmentation."
        )
    return found


def cut_labels(
    labels: ArrayLike,
    tree: MergeTree,
    threshold: float = np.inf,
    *,
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
    of_leaves : array of int, shape (N,), optional
        What `leaf_labels` returned for them; saves another pass over the labels.
    n_threads : int, optional
        By default the environment variable GALA_NUM_THREADS, or else the number of cores.

    Returns
    -------
    segmentation : array of the type of `labels`, shape (M, ..., P)
        A segment is named by its lowest label.

    Examples
    --------
    >>> cut_labels([[0, 7, 7, 9]], MergeTree(2, [[0, 1]], [0.4]), 0.5)
    array([[0, 7, 7, 7]])
    """
    volume = as_labels(labels, "labels")
    keys = leaf_labels(volume, tree) if of_leaves is None else of_leaves
    values = keys[tree.cut(threshold)]
    background = None if keys.size and keys[0] == 0 else 0
    return map_labels(volume, keys, values, background=background, n_threads=n_threads)
