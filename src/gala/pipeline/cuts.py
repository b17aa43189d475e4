"""From a merge tree and its superpixels to a segmentation."""

from __future__ import annotations

import numpy as np

from gala._types import ArrayLike, Bools, Labels
from gala.errors import ShapeError
from gala.graph.labels import as_labels
from gala.graph.tree import MergeTree
from gala.graph.voxels import map_labels, present_labels


def cut_labels(
    tree: MergeTree,
    superpixels: ArrayLike,
    threshold: float = np.inf,
    *,
    mask: Bools | None = None,
    n_threads: int | None = None,
) -> Labels:
    """Return the segmentation that a cut of a merge tree of all superpixels is.

    Parameters
    ----------
    tree : MergeTree
        Its leaves are the superpixels, in the order of their labels.
    superpixels : array of int, shape (M, ..., P)
        What the tree was made of.
    threshold : float, optional
        Of the cut; by default all merges are made.
    mask : array of bool, shape (M, ..., P), optional
        The one that the tree was made with; voxels that are False become 0.
    n_threads : int, optional
        Never changes the result.

    Returns
    -------
    segmentation : array of uint32, shape (M, ..., P)
        Segments are numbered from 1, in the order of their lowest superpixels.

    Raises
    ------
    ShapeError
        If there are not as many superpixels as leaves.
    SettingError
        If `threshold` is NaN.

    Examples
    --------
    >>> tree = MergeTree(3, np.array([[0, 1], [2, 3]]), np.array([0.25, 0.5]))
    >>> cut_labels(tree, np.array([5, 5, 7, 9]), 0.3)
    array([1, 1, 1, 2], dtype=uint32)
    """
    labels = as_labels(superpixels, "superpixels")
    present = present_labels(labels, mask=mask, n_threads=n_threads)
    if len(present) != tree.n_leaves:
        raise ShapeError(
            f"there must be a superpixel for each of the {tree.n_leaves} leaves of the tree; got {len(present)}. "
            "Give the superpixels, and the mask, that it was made with."
        )
    numbers = np.unique(tree.cut(threshold), return_inverse=True)[1].astype(np.uint32) + np.uint32(1)
    return map_labels(labels, present, numbers, mask=mask, n_threads=n_threads)
