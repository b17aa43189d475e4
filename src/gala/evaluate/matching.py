"""Instances found: which regions match a true object, by the share of voxels that both have in common.

Here 0 is the background on either side: no object, but its voxels count in the sizes of objects that reach into it.
The share is the intersection over the union (IoU). An object matches one other at most.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import sparse
from scipy.sparse.csgraph import maximum_bipartite_matching

from gala._types import ArrayLike, Bools, Floats, Ints
from gala.errors import LabelError, SettingError
from gala.evaluate.contingency import Table
from gala.evaluate.conventions import Convention, Ignored, count
from gala.graph.overlaps import Overlaps


@dataclass(frozen=True, slots=True)
class Matches:
    """How many objects match at each of T thresholds, and the shares that follow from it.

    Examples
    --------
    >>> matches = match_instances([1, 1, 2, 2], [1, 1, 0, 3], thresholds=[0.5, 0.75])
    >>> matches.n_matched, matches.precision
    (array([2, 1]), array([1. , 0.5]))
    """

    thresholds: Floats  # (T,)
    n_matched: Ints  # (T,) pairs of objects
    n_seg: int  # objects in the segmentation
    n_truth: int
    of_none: float = 1.0  # the precision of no objects, and the recall of none

    @property
    def precision(self) -> Floats:
        """Share of the segmentation's objects that match, shape (T,)."""
        return self._share(self.n_seg)

    @property
    def recall(self) -> Floats:
        """Share of the true objects that match, shape (T,)."""
        return self._share(self.n_truth)

    @property
    def f1(self) -> Floats:
        """Matches, twice, over the objects of both, shape (T,)."""
        return 2 * self.n_matched / (self.n_seg + self.n_truth)

    @property
    def average_precision(self) -> Floats:
        """Matches over matches and objects without one on either side, shape (T,)."""
        return self.n_matched / (self.n_seg + self.n_truth - self.n_matched)

    def _share(self, n: int) -> Floats:
        return self.n_matched / n if n else np.full(len(self.n_matched), self.of_none)


def match_instances(
    seg: ArrayLike | Table,
    gt: ArrayLike | None = None,
    thresholds: Sequence[float] | None = None,
    *,
    convention: Convention = "gala",
    ignore_seg: Ignored = None,
    ignore_truth: Ignored = None,
    **historic: Sequence[int],
) -> Matches:
    """Return how many regions match a true object, at each threshold of their IoU.

    Parameters
    ----------
    seg : array of int, shape (M, N, ..., P), or contingency table
        The segmentation, or its table with the truth. Label 0 is background.
    gt : array of int, shape (M, N, ..., P), optional
        The truth, where 0 is background. Left out if `seg` is a table.
    thresholds : sequence of float, shape (T,), optional
        Objects match if their IoU is this or more: above 0, at most 1. By default those of the convention.
    convention : "gala", "elf", or Rules, optional
        Whose numbers to give. "gala" takes 0.5, 0.55, ..., 0.95, and 1 for the precision of no objects and the
        recall of none; "elf" takes the sums of steps that NumPy's `arange` gives, some of which are above these by
        a rounding, and 0.
    ignore_seg, ignore_truth : sequence of int, optional
        Labels of `seg` and of `gt` whose voxels are left out before objects are measured. None by default.

    Returns
    -------
    matches : Matches
        With precision, recall, F1 and average precision at each threshold. As many pairs are matched as can be:
        above an IoU of 1/2 there is no choice, since an object has one such partner at most [1]_; from 1/2 down it
        is a maximum matching.

    Raises
    ------
    ShapeError
        If the shapes differ, or there are no voxels.
    LabelError
        If values are not labels, no voxel is left to count, or there is no object on either side.
    SettingError
        If a threshold is not above 0 and at most 1, or the convention does not define the metric.

    References
    ----------
    .. [1] Kirillov, A. et al. (2019). Panoptic segmentation. *CVPR*, 9396-9405. doi:10.1109/CVPR.2019.00963

    Examples
    --------
    >>> match_instances([1, 1, 1, 2], [5, 5, 7, 7], thresholds=[0.5]).n_matched
    array([2])
    """
    counted = count("average_precision", seg, gt, convention, ignore_seg, ignore_truth, historic)
    levels = np.asarray(counted.rules.thresholds if thresholds is None else thresholds, dtype=np.float64).reshape(-1)
    if not levels.size or not ((levels > 0) & (levels <= 1)).all():
        raise SettingError(f"thresholds must be above 0 and at most 1, one or more; got {levels.tolist()}.")
    overlaps = counted.overlaps
    is_object = (overlaps.seg_labels != 0)[overlaps.seg_index], (overlaps.truth_labels != 0)[overlaps.truth_index]
    n_seg, n_truth = (
        len(np.unique(index[found]))
        for index, found in zip((overlaps.seg_index, overlaps.truth_index), is_object, strict=True)
    )
    if n_seg + n_truth == 0:
        raise LabelError("there are no objects to match: every voxel counted has label 0, in seg and in gt.")
    shares, both = intersections_over_unions(overlaps), is_object[0] & is_object[1]
    n_matched = np.array([_n_matched(overlaps, both & (shares >= level), level) for level in levels])
    return Matches(levels, n_matched, n_seg, n_truth, counted.rules.of_none)


def average_precision(
    seg: ArrayLike | Table,
    gt: ArrayLike | None = None,
    thresholds: Sequence[float] | None = None,
    *,
    convention: Convention = "gala",
    ignore_seg: Ignored = None,
    ignore_truth: Ignored = None,
    **historic: Sequence[int],
) -> float:
    """Return the mean over IoU thresholds of matches over matched and unmatched objects.

    Parameters
    ----------
    seg, gt, thresholds, convention, ignore_seg, ignore_truth
        As for `match_instances`: label 0 is background.

    Returns
    -------
    precision : float
        From 0 to 1, which is perfect: the mean of ``match_instances(...).average_precision``, as in the Data
        Science Bowl of 2018 [1]_; python-elf calls it mean segmentation accuracy. No objects are ranked by
        confidence, so this is not the area under a curve of precision and recall.

    Raises
    ------
    ShapeError, LabelError, SettingError
        As `match_instances`.

    References
    ----------
    .. [1] Caicedo, J. C. et al. (2019). Nucleus segmentation across imaging experiments: the 2018 Data Science Bowl.
           *Nature Methods* 16, 1247-1253. doi:10.1038/s41592-019-0612-7

    Examples
    --------
    One of two objects is found, with an IoU of 1; the other is missed: 1/2 at each threshold.

    >>> average_precision([1, 1, 0, 0], [1, 1, 2, 2])
    0.5
    """
    matches = match_instances(
        seg,
        gt,
        thresholds,
        convention=convention,
        ignore_seg=ignore_seg,
        ignore_truth=ignore_truth,
        **historic,
    )
    return float(matches.average_precision.mean())


def intersections_over_unions(overlaps: Overlaps) -> Floats:
    """Return the IoU of each of K pairs of labels, shape (K,).

    Examples
    --------
    >>> counted = count("average_precision", [1, 1, 2], [4, 4, 4])
    >>> intersections_over_unions(counted.overlaps).round(3)
    array([0.667, 0.333])
    """
    sizes = overlaps.seg_sizes[overlaps.seg_index] + overlaps.truth_sizes[overlaps.truth_index]
    shares: Floats = overlaps.counts / (sizes - overlaps.counts)
    return shares


def _n_matched(overlaps: Overlaps, may_match: Bools, threshold: float) -> int:
    if threshold > 0.5:
        return int(np.count_nonzero(may_match))
    rows, columns = overlaps.seg_index[may_match], overlaps.truth_index[may_match]
    shape = len(overlaps.seg_labels), len(overlaps.truth_labels)
    pairs = sparse.csr_array((np.ones(len(rows), dtype=np.int8), (rows, columns)), shape=shape)
    return int(np.count_nonzero(maximum_bipartite_matching(pairs) >= 0))
