"""Boundaries between regions, and dams: layers of 0 that keep regions apart. Exact for labels of any size."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from gala._types import ArrayLike, Bools, Labels
from gala.errors import LabelError
from gala.graph.labels import as_labels
from gala.morpho.checks import check_connectivity, neighbours


def seg_to_bdry(seg: ArrayLike, connectivity: int = 1) -> Bools:
    """Find the voxels that have another label than one of their neighbours.

    Parameters
    ----------
    seg : array of int, shape (M, ..., P)
        Regions; 0 is one like the others.
    connectivity : int
        Voxels are neighbours if they differ by 1 in at most this many coordinates.

    Returns
    -------
    boundary : array of bool, shape (M, ..., P)
        Two voxels thick: one on either side.

    Raises
    ------
    LabelError
        If `seg` are not whole numbers, 0 or more.
    ShapeError
        If there are no voxels.
    SettingError
        If `connectivity` is not from 1 to the number of axes.

    Examples
    --------
    >>> seg_to_bdry([1, 1, 1, 2, 2])
    array([False, False,  True,  True, False])
    """
    regions = as_labels(seg, "seg")
    check_connectivity(connectivity, regions.ndim)
    boundary = np.zeros(regions.shape, dtype=bool)
    for here, there in neighbours(regions.shape, connectivity):
        differ = regions[here] != regions[there]
        boundary[here] |= differ
        boundary[there] |= differ
    return boundary


def damify(a: ArrayLike, connectivity: int = 1) -> Labels:
    """Set the voxels beside another region to 0, so that regions no longer touch.

    Parameters
    ----------
    a : array of int, shape (M, ..., P)
        Regions.
    connectivity : int
        Voxels are neighbours if they differ by 1 in at most this many coordinates.

    Returns
    -------
    apart : array of int, shape (M, ..., P)
        The regions with dams two voxels thick; what is thinner than that is gone.

    Raises
    ------
    LabelError
        If `a` are not whole numbers, 0 or more.
    ShapeError
        If there are no voxels.
    SettingError
        If `connectivity` is not from 1 to the number of axes.

    See Also
    --------
    watershed : With ``dams=True``, dams are one voxel thick.

    Examples
    --------
    >>> damify([1, 1, 1, 2, 2])
    array([1, 1, 0, 0, 2])
    """
    apart = as_labels(a, "a").copy()
    apart[seg_to_bdry(apart, connectivity)] = 0
    return apart


def undam(seg: ArrayLike) -> Labels:
    """Give each voxel of label 0 to the nearest region.

    Parameters
    ----------
    seg : array of int, shape (M, ..., P)
        Regions; 0 is none.

    Returns
    -------
    filled : array of int, shape (M, ..., P)
        No voxel is 0.

    Raises
    ------
    LabelError
        If `seg` are not whole numbers, 0 or more, or all are 0.
    ShapeError
        If there are no voxels.

    Examples
    --------
    >>> undam([1, 0, 0, 0, 0, 2])
    array([1, 1, 1, 2, 2, 2])
    """
    regions = as_labels(seg, "seg")
    if not regions.any():
        raise LabelError("seg must hold a region; got nothing but 0.")
    nearest = ndimage.distance_transform_edt(regions == 0, return_distances=False, return_indices=True)
    filled: Labels = regions[tuple(nearest)]
    return filled


def remove_merged_boundaries(labels: ArrayLike, connectivity: int = 1) -> Labels:
    """Fill the dams that have one region on all their sides.

    Parameters
    ----------
    labels : array of int, shape (M, ..., P)
        Regions with dams of 0 between them, some of which have been merged.
    connectivity : int
        Voxels are neighbours if they differ by 1 in at most this many coordinates.

    Returns
    -------
    filled : array of int, shape (M, ..., P)
        A voxel of label 0 whose neighbours other than 0 have one label has that label too.

    Raises
    ------
    LabelError
        If `labels` are not whole numbers, 0 or more.
    ShapeError
        If there are no voxels.
    SettingError
        If `connectivity` is not from 1 to the number of axes.

    Examples
    --------
    >>> remove_merged_boundaries([3, 3, 0, 3, 0, 5])
    array([3, 3, 3, 3, 0, 5])
    """
    regions = as_labels(labels, "labels")
    check_connectivity(connectivity, regions.ndim)
    nothing = np.iinfo(regions.dtype).max
    least = np.where(regions == 0, nothing, regions)
    lowest, highest = np.full_like(regions, nothing), np.zeros_like(regions)
    for pair in neighbours(regions.shape, connectivity):
        for here, there in (pair, pair[::-1]):
            lowest[here] = np.minimum(lowest[here], least[there])
            highest[here] = np.maximum(highest[here], regions[there])
    return np.where((regions == 0) & (lowest == highest), highest, regions)
