"""Connected pieces of regions, and their numbers."""

from __future__ import annotations

import numpy as np
from skimage import measure, segmentation

from gala._types import Array, ArrayLike, Labels
from gala.errors import ShapeError
from gala.graph.labels import as_labels
from gala.morpho.checks import check_connectivity, check_not_negative


def relabel_connected(labels: ArrayLike, connectivity: int = 1) -> Labels:
    """Give each connected piece of each region a label of its own.

    Parameters
    ----------
    labels : array of int or bool, shape (M, ..., P)
        Regions; 0 is none. 1 to 3 dimensions; any number for booleans.
    connectivity : int
        Voxels are neighbours if they differ by 1 in at most this many coordinates.

    Returns
    -------
    pieces : array of int32, shape (M, ..., P)
        1, 2, ... in the order in which the pieces are met; 0 stays 0.

    Raises
    ------
    LabelError
        If `labels` are not whole numbers, 0 or more.
    ShapeError
        If there are no voxels, or more than 3 dimensions.
    SettingError
        If `connectivity` is not from 1 to the number of axes.

    Examples
    --------
    >>> relabel_connected(np.array([[7, 7, 0, 7], [3, 3, 3, 7]]))
    array([[1, 1, 0, 2],
           [3, 3, 3, 2]], dtype=int32)
    """
    regions = as_labels(labels, "labels")
    check_connectivity(connectivity, regions.ndim)
    if np.asarray(labels).dtype == bool:
        regions = regions.view(bool)  # scikit-image labels masks in any number of dimensions
    elif regions.ndim > 3:
        raise ShapeError(f"labels must have 1 to 3 dimensions; got shape {regions.shape}.")
    pieces: Array = measure.label(regions, background=0, connectivity=connectivity)  # type: ignore[no-untyped-call]  # not annotated
    return _in_order(pieces.astype(np.int32, copy=False))


def _in_order(pieces: Array) -> Array:
    """Return pieces numbered in the order of their first voxels, which is nearly always that of scikit-image."""
    highest = np.maximum.accumulate(pieces.ravel())
    if (np.diff(highest, prepend=0) <= 1).all():
        return pieces
    found, first = np.unique(pieces, return_index=True)
    number = np.zeros(highest[-1] + 1, dtype=pieces.dtype)
    number[found[found > 0][np.argsort(first[found > 0])]] = np.arange(1, np.count_nonzero(found) + 1)
    return number[pieces]


def relabel_from_one(label_field: ArrayLike) -> tuple[Labels, Array, Array]:
    """Give the regions the labels 1, 2, ... in the order of their labels.

    Parameters
    ----------
    label_field : array of int, shape (M, ..., P)
        N regions; 0 is none, and stays 0.

    Returns
    -------
    relabeled : array of int, shape (M, ..., P)
        The new labels.
    forward : map
        ``forward[label]`` is the new label of an old one; whole arrays of labels, too.
    inverse : array of int, shape (N + 1,)
        ``inverse[new]`` is the old label, and ``inverse[relabeled]`` the array as it was.

    Raises
    ------
    LabelError
        If the labels are not whole numbers, 0 or more.
    ShapeError
        If there are no voxels.

    Notes
    -----
    Memory grows with the number of labels, never with their value.

    Examples
    --------
    >>> relabeled, forward, inverse = relabel_from_one([2**40, 7, 0, 7])
    >>> relabeled, int(forward[2**40]), int(inverse[1])
    (array([2, 1, 0, 1]), 2, 7)
    """
    relabeled: Labels
    regions = as_labels(label_field, "label_field")
    relabeled, forward, inverse = segmentation.relabel_sequential(regions)  # type: ignore[no-untyped-call]  # not annotated
    return relabeled, forward, inverse


def remove_small_connected_components(a: ArrayLike, min_size: int = 64, connectivity: int = 1) -> Array:
    """Set the connected pieces of regions that are too small to 0.

    Parameters
    ----------
    a : array of int or bool, shape (M, ..., P)
        Regions; 0 is none. 1 to 3 dimensions; any number for booleans.
    min_size : int
        How many voxels the smallest piece to keep has.
    connectivity : int
        Voxels are neighbours if they differ by 1 in at most this many coordinates.

    Returns
    -------
    kept : array of the dtype of `a`, shape (M, ..., P)
        `a` without these pieces.

    Raises
    ------
    LabelError
        If `a` are not whole numbers, 0 or more.
    ShapeError
        If there are no voxels, or more than 3 dimensions.
    SettingError
        If `min_size` is negative or `connectivity` is not from 1 to the number of axes.

    Examples
    --------
    >>> remove_small_connected_components([4, 4, 0, 4, 9, 9, 9], min_size=2)
    array([4, 4, 0, 0, 9, 9, 9])
    """
    check_not_negative(min_size, "min_size")
    pieces = relabel_connected(a, connectivity)
    large = np.bincount(pieces.ravel()) >= min_size
    return np.where(large[pieces], a, np.zeros((), dtype=np.asarray(a).dtype))
