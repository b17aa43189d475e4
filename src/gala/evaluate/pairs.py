"""The Rand family: of all pairs of voxels, how many do two segmentations treat alike.

A pair is *together* in a segmentation if both voxels have the same label. Everywhere here a pair is two
different voxels, in no order: n voxels make n (n - 1) / 2 pairs. Nothing is ignored, label 0 included; to
leave labels out, pass ``contingency_table(seg, gt, ignore_gt=[0])`` instead of two arrays.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from gala._types import Array, ArrayLike
from gala.errors import LabelError
from gala.evaluate.contingency import Table, overlaps_of


class PairCounts(NamedTuple):
    """Numbers of pairs of voxels, or arrays of them. They may pass 2**53, so they are floats."""

    in_both: Any  # together in the segmentation and in the truth
    in_seg: Any  # together in the segmentation
    in_truth: Any  # together in the truth
    in_all: Any  # of any two voxels


def rand_index(seg: ArrayLike | Table, gt: ArrayLike | None = None) -> float:
    """Return the share of voxel pairs on which both segmentations agree.

    Parameters
    ----------
    seg : array of int, shape (M, N, ..., P), or contingency table
        The segmentation, or its table with the truth.
    gt : array of int, shape (M, N, ..., P), optional
        The truth. Left out if `seg` is a table.

    Returns
    -------
    index : float
        From 0 to 1, where 1 is perfect [1]_. Unordered pairs of different voxels, divided by the number of
        all such pairs; label 0 is a label like any other. A single voxel, which makes no pair, gives 1.

    Raises
    ------
    ShapeError
        If the shapes differ, or there are no voxels.
    LabelError
        If values are not labels, or a table holds shares instead of numbers of voxels.

    References
    ----------
    .. [1] Rand, W. M. (1971). Objective criteria for the evaluation of clustering methods. *Journal of the
           American Statistical Association* 66, 846-850. doi:10.1080/01621459.1971.10482356

    Examples
    --------
    Of the three pairs, both keep only the first two voxels together.

    >>> rand_index([1, 1, 2], [5, 5, 7])
    1.0
    """
    return float(rand_of(pair_counts(seg, gt)))


def adj_rand_index(seg: ArrayLike | Table, gt: ArrayLike | None = None) -> float:
    """Return the Rand index, adjusted so that chance gives 0 and a perfect match 1.

    Parameters
    ----------
    seg, gt
        As for `rand_index`: label 0 is a label like any other.

    Returns
    -------
    index : float
        Hubert and Arabie's index [1]_, of unordered pairs of different voxels: pairs together in both, less
        their number expected by chance for labels of these sizes, over the largest possible such
        difference. Two segmentations that both have one region, or both one voxel in each region, are
        equal: 1.

    References
    ----------
    .. [1] Hubert, L. and Arabie, P. (1985). Comparing partitions. *Journal of Classification* 2, 193-218.
           doi:10.1007/BF01908075

    Examples
    --------
    The segmentation has two pairs together and the truth one of these: 1, where chance would give 1/3 and
    the mean is 3/2.

    >>> round(adj_rand_index([1, 1, 2, 2], [1, 1, 2, 3]), 3)
    0.571
    """
    return float(adjusted_rand_of(pair_counts(seg, gt)))


def fm_index(seg: ArrayLike | Table, gt: ArrayLike | None = None) -> float:
    """Return the index of Fowlkes and Mallows, the geometric mean of pair precision and recall.

    Parameters
    ----------
    seg, gt
        As for `rand_index`: label 0 is a label like any other.

    Returns
    -------
    index : float
        From 0 to 1 [1]_. Unordered pairs of different voxels: those together in both, over the root of
        those together in one times those together in the other. 1 if neither has a pair together, 0 if only
        one has.

    References
    ----------
    .. [1] Fowlkes, E. B. and Mallows, C. L. (1983). A method for comparing two hierarchical clusterings.
           *Journal of the American Statistical Association* 78, 553-569. doi:10.1080/01621459.1983.10478008

    Examples
    --------
    Of the pairs together in the segmentation, one of two is right; of those in the truth, one of two is
    found.

    >>> round(fm_index([1, 1, 2, 2], [1, 1, 3, 4]), 3)
    0.707
    """
    return float(fowlkes_mallows_of(pair_counts(seg, gt)))


def adapted_rand_error(
    seg: ArrayLike | Table, gt: ArrayLike | None = None, all_stats: bool = False
) -> float | tuple[float, float, float]:
    """Return one minus the F-score of voxel pairs, as in the SNEMI3D contest.

    Parameters
    ----------
    seg, gt
        As for `rand_index`: label 0 is a label like any other, unless a table without it is passed.
    all_stats : bool, optional
        Whether to return precision and recall as well.

    Returns
    -------
    error : float
        1 - 2 precision recall / (precision + recall) [1]_, from 0, which is perfect, to 1.
    precision, recall : float
        Only with `all_stats`. Pairs together in both, over those together in `seg` (precision: low after
        false merges), and over those together in `gt` (recall: low after false splits). Each is 1 if there
        is none.

    Notes
    -----
    Tools disagree. Pairs here are unordered, of different voxels; the paper also pairs voxels with
    themselves. scikit-image ignores voxels with truth 0: ``contingency_table(seg, gt, ignore_gt=[0])``
    gives its error. It returns precision and recall the other way round, against its own definition, up to
    0.26 at least (its issue 6485); so did the gala of 2013 to 2021.

    References
    ----------
    .. [1] Arganda-Carreras, I. et al. (2015). Crowdsourcing the creation of image segmentation algorithms for
           connectomics. *Frontiers in Neuroanatomy* 9, 142. doi:10.3389/fnana.2015.00142

    Examples
    --------
    One object, cut in halves of two voxels: two of its six pairs are found, and nothing is wrong.

    >>> error, precision, recall = adapted_rand_error([1, 1, 2, 2], [1, 1, 1, 1], all_stats=True)
    >>> round(error, 3), precision, round(recall, 3)
    (0.5, 1.0, 0.333)
    """
    error, precision, recall = (float(value) for value in adapted_rand_of(pair_counts(seg, gt)))
    return (error, precision, recall) if all_stats else error


def pair_counts(seg: ArrayLike | Table, gt: ArrayLike | None = None) -> PairCounts:
    """Return how many unordered pairs of different voxels are together on either side, on both, and in all.

    Examples
    --------
    >>> pair_counts([1, 1, 2, 2], [1, 1, 1, 1])
    PairCounts(in_both=2.0, in_seg=2.0, in_truth=6.0, in_all=6.0)
    """
    overlaps = overlaps_of(seg, gt)
    if overlaps.counts.dtype.kind == "f":
        raise LabelError(
            "pairs of voxels need a contingency table of whole numbers of voxels; this one holds fractions."
        )
    sizes = (overlaps.counts, overlaps.seg_sizes, overlaps.truth_sizes, overlaps.counts.sum())
    return PairCounts(*(_n_pairs(n) for n in sizes))


def rand_of(pairs: PairCounts) -> Any:
    """Return the Rand index for numbers of pairs."""
    together, apart = pairs.in_both, pairs.in_all - pairs.in_seg - pairs.in_truth + pairs.in_both
    return _share(together + apart, pairs.in_all)


def adjusted_rand_of(pairs: PairCounts) -> Any:
    """Return the adjusted Rand index for numbers of pairs."""
    trivial = (pairs.in_seg == pairs.in_truth) & ((pairs.in_seg == 0) | (pairs.in_seg == pairs.in_all))
    expected = pairs.in_seg * _share(pairs.in_truth, pairs.in_all)
    largest = (pairs.in_seg + pairs.in_truth) / 2
    return np.where(trivial, 1.0, _share(pairs.in_both - expected, largest - expected))


def fowlkes_mallows_of(pairs: PairCounts) -> Any:
    """Return the index of Fowlkes and Mallows for numbers of pairs."""
    # Two roots: the product of both numbers of pairs may be beyond what a float holds exactly.
    index = _share(pairs.in_both, np.sqrt(pairs.in_seg) * np.sqrt(pairs.in_truth), otherwise=0.0)
    return np.where((pairs.in_seg == 0) & (pairs.in_truth == 0), 1.0, index)


def adapted_rand_of(pairs: PairCounts) -> tuple[Any, Any, Any]:
    """Return the adapted Rand error, precision and recall for numbers of pairs."""
    error = 1.0 - _share(2 * pairs.in_both, pairs.in_seg + pairs.in_truth)
    return error, _share(pairs.in_both, pairs.in_seg), _share(pairs.in_both, pairs.in_truth)


def _n_pairs(sizes: Array) -> float:
    """Return the number of pairs within groups of these sizes."""
    n = sizes.astype(np.float64)
    return float((n * (n - 1) / 2).sum())


def _share(part: Any, whole: Any, otherwise: float = 1.0) -> Any:
    """Return `part` over `whole`, and `otherwise` where that is 0."""
    out = np.full(np.broadcast_shapes(np.shape(part), np.shape(whole)), otherwise)
    return np.divide(part, whole, out=out, where=np.asarray(whole) != 0)
