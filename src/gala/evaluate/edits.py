"""What would have to be done: edits to reach the truth, and the best that superpixels allow."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from gala._types import Array, ArrayLike, Labels
from gala.errors import SettingError
from gala.evaluate.contingency import LabelTable, Table, contingency_table, overlaps_of
from gala.evaluate.conventions import Convention, Ignored, count
from gala.graph.labels import as_labels
from gala.graph.overlaps import Overlaps
from gala.graph.voxels import map_labels


def edit_distance(
    seg: ArrayLike | Table,
    gt: ArrayLike | None = None,
    size_threshold: float = 1000,
    sp: ArrayLike | None = None,
    *,
    convention: Convention = "gala",
    ignore_seg: Ignored = None,
    ignore_truth: Ignored = None,
    **historic: Sequence[int],
) -> tuple[int, int]:
    """Return how many splits and how many merges would turn a segmentation into the truth.

    Parameters
    ----------
    seg : array of int, shape (M, N, ..., P), or contingency table
        The segmentation, or its table with the truth.
    gt : array of int, shape (M, N, ..., P), optional
        The truth. Left out if `seg` is a table.
    size_threshold : float, optional
        Overlaps of so many voxels or fewer do not count.
    sp : array of int, shape (M, N, ..., P), optional
        Superpixels. If given, the truth is replaced by the best that they allow
        (`best_possible_segmentation`), so that only errors of the agglomeration count.
    convention : "gala" or Rules, optional
        No other tool defines it.
    ignore_seg, ignore_truth : sequence of int, optional
        Labels of `seg` and of `gt` whose voxels are not counted; by default 0 on either side.

    Returns
    -------
    false_merges, false_splits : int
        A label that shares more than `size_threshold` voxels with k > 1 truth labels is k - 1 false merges;
        a truth label with k such labels is k - 1 false splits. Never negative.

    Raises
    ------
    ShapeError
        If the shapes differ, or there are no voxels.
    LabelError
        If values are not labels, or no voxel is left to count.
    SettingError
        If `sp` is given and `seg` is a table; or the convention does not exist, or does not define the metric.

    Examples
    --------
    >>> edit_distance([1, 1, 2, 2, 2], [1, 1, 1, 1, 3], size_threshold=0)
    (1, 1)
    """
    if sp is not None:
        if gt is None:
            raise SettingError("superpixels, sp, need seg and gt as arrays; got one contingency table.")
        gt = best_possible_segmentation(sp, gt)
    overlaps = count("edit_distance", seg, gt, convention, ignore_seg, ignore_truth, historic).overlaps
    counted = overlaps.counts > size_threshold
    partners = np.bincount(overlaps.seg_index[counted]), np.bincount(overlaps.truth_index[counted])
    false_merges, false_splits = (int(np.maximum(n - 1, 0).sum()) for n in partners)
    return false_merges, false_splits


def assignment_table(seg: ArrayLike | Table, gt: ArrayLike | None = None) -> LabelTable:
    """Assign each label to the truth label it shares most voxels with.

    Parameters
    ----------
    seg : array of int, shape (M, N, ..., P), or contingency table
        The segmentation, or its table with the truth.
    gt : array of int, shape (M, N, ..., P), optional
        The truth. Left out if `seg` is a table.

    Returns
    -------
    table : LabelTable
        ``table[i, j]`` is True if label i is assigned to label j. Ties go to the lower truth label. Label 0
        is a label like any other; to leave it out, pass ``contingency_table(seg, gt, ignore_gt=[0])``.

    Raises
    ------
    ShapeError
        If the shapes differ, or there are no voxels.
    LabelError
        If values are not labels, or no voxel is left to count.

    Examples
    --------
    >>> assignment_table([0, 1, 1, 1], [1, 1, 0, 1]).toarray()
    array([[False,  True],
           [False,  True]])
    """
    overlaps = overlaps_of(seg, gt)
    best = _best_pairs(overlaps)
    assigned = Overlaps(*overlaps[:2], *(column[best] for column in overlaps[2:]))
    return LabelTable(assigned, np.ones(len(best), dtype=bool))


def best_possible_segmentation(ws: ArrayLike, gt: ArrayLike) -> Labels:
    """Return the segmentation that merges each superpixel into the truth label it overlaps most.

    Parameters
    ----------
    ws : array of int, shape (M, N, ..., P)
        Superpixels.
    gt : array of int, shape (M, N, ..., P)
        The truth, where 0 is void: it says nothing about these voxels, and no superpixel is assigned to it.

    Returns
    -------
    best : array, shape (M, N, ..., P), dtype of `gt`
        The truth label of each superpixel; ties go to the lower label. It is 0 where `ws` is 0, and in
        superpixels that overlap nothing but void.

    Raises
    ------
    ShapeError
        If the shapes differ, or there are no voxels.
    LabelError
        If values are not labels, or no voxel has a label on both sides.

    Examples
    --------
    Superpixel 7 lies in object 1, but for a voxel; superpixel 9 in void.

    >>> best_possible_segmentation([7, 7, 7, 8, 9], [1, 1, 2, 2, 0])
    array([1, 1, 1, 2, 0])
    """
    overlaps = contingency_table(ws, gt, ignore_seg=[0], ignore_gt=[0]).overlaps
    best = _best_pairs(overlaps)
    target = np.zeros(len(overlaps.seg_labels), dtype=overlaps.truth_labels.dtype)
    target[overlaps.seg_index[best]] = overlaps.truth_labels[overlaps.truth_index[best]]
    labels = as_labels(ws, "ws")
    return map_labels(labels.reshape(-1), overlaps.seg_labels, target).reshape(labels.shape)


def _best_pairs(overlaps: Overlaps) -> Array:
    """Return the position of the largest overlap of each label that has any, the first of equals."""
    order = np.lexsort((overlaps.truth_index, -overlaps.counts, overlaps.seg_index))
    is_first = np.diff(overlaps.seg_index[order], prepend=-1) != 0
    best: Array = order[is_first]
    return best
