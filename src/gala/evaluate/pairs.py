"""The Rand family: of all pairs of voxels, how many do two segmentations treat alike.

A pair is *together* in a segmentation if both voxels have the same label. By the convention of gala, a pair is two
different voxels, in no order: n voxels make n (n - 1) / 2 pairs; and nothing is ignored, label 0 included. Other
conventions pair voxels with themselves, too, or ignore voxels without truth.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from gala._types import Array, ArrayLike
from gala.errors import LabelError, SettingError
from gala.evaluate.contingency import Table
from gala.evaluate.conventions import Convention, Counted, Ignored, Rules, count


class PairCounts(NamedTuple):
    """Numbers of pairs of voxels, or arrays of them. They may pass 2**53, so they are floats."""

    in_both: Any  # together in the segmentation and in the truth
    in_seg: Any  # together in the segmentation
    in_truth: Any  # together in the truth
    in_all: Any  # of any two voxels


def rand_index(
    seg: ArrayLike | Table,
    gt: ArrayLike | None = None,
    *,
    convention: Convention = "gala",
    ignore_seg: Ignored = None,
    ignore_truth: Ignored = None,
    **historic: Sequence[int],
) -> float:
    """Return the share of voxel pairs on which both segmentations agree.

    Parameters
    ----------
    seg : array of int, shape (M, N, ..., P), or contingency table
        The segmentation, or its table with the truth.
    gt : array of int, shape (M, N, ..., P), optional
        The truth. Left out if `seg` is a table.
    convention : "gala", "elf", or Rules, optional
        Whose number to give. "gala" takes unordered pairs of different voxels, "elf" ordered ones, each voxel with
        itself included. Both count label 0 as a label like any other.
    ignore_seg, ignore_truth : sequence of int, optional
        Labels of `seg` and of `gt` whose voxels are not counted; by default those of the convention.

    Returns
    -------
    index : float
        From 0 to 1, where 1 is perfect [1]_: pairs that are together in both or apart in both, divided by the number
        of all pairs. A single voxel, which makes no pair, gives 1.

    Raises
    ------
    ShapeError
        If the shapes differ, or there are no voxels.
    LabelError
        If values are not labels, no voxel is left to count, or a table holds shares instead of numbers of voxels.
    SettingError
        If the convention does not exist, or does not define the metric.

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
    return float(rand_of(pairs_of(count("rand_index", seg, gt, convention, ignore_seg, ignore_truth, historic))))


def adj_rand_index(
    seg: ArrayLike | Table,
    gt: ArrayLike | None = None,
    *,
    convention: Convention = "gala",
    ignore_seg: Ignored = None,
    ignore_truth: Ignored = None,
    **historic: Sequence[int],
) -> float:
    """Return the Rand index, adjusted so that chance gives 0 and a perfect match 1.

    Parameters
    ----------
    seg, gt, ignore_seg, ignore_truth
        As for `rand_index`: label 0 is a label like any other.
    convention : "gala" or Rules, optional
        No other tool defines it.

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
    counted = count("adj_rand_index", seg, gt, convention, ignore_seg, ignore_truth, historic)
    return float(adjusted_rand_of(pairs_of(counted)))


def fm_index(
    seg: ArrayLike | Table,
    gt: ArrayLike | None = None,
    *,
    convention: Convention = "gala",
    ignore_seg: Ignored = None,
    ignore_truth: Ignored = None,
    **historic: Sequence[int],
) -> float:
    """Return the index of Fowlkes and Mallows, the geometric mean of pair precision and recall.

    Parameters
    ----------
    seg, gt, ignore_seg, ignore_truth
        As for `rand_index`: label 0 is a label like any other.
    convention : "gala" or Rules, optional
        No other tool defines it.

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
    return float(
        fowlkes_mallows_of(pairs_of(count("fm_index", seg, gt, convention, ignore_seg, ignore_truth, historic)))
    )


def adapted_rand_error(
    seg: ArrayLike | Table,
    gt: ArrayLike | None = None,
    all_stats: bool = False,
    *,
    alpha: float = 0.5,
    convention: Convention = "gala",
    ignore_seg: Ignored = None,
    ignore_truth: Ignored = None,
    **historic: Sequence[int],
) -> float | tuple[float, float, float]:
    """Return one minus the F-score of voxel pairs, as in the SNEMI3D contest.

    Parameters
    ----------
    seg, gt, ignore_seg, ignore_truth
        As for `rand_index`: label 0 is a label like any other, unless the convention says otherwise.
    all_stats : bool, optional
        Whether to return precision and recall as well.
    alpha : float, optional
        The weight of precision in the F-score, from 0 to 1; that of recall is the rest. In the convention "skimage"
        it is the weight of recall, as in scikit-image, which documents the opposite. "cremi", "snemi3d" and "elf"
        know 0.5 only.
    convention : "gala", "skimage", "cremi", "snemi3d", "elf", or Rules, optional
        Whose number to give:

        - "gala" counts all voxels, in unordered pairs of different ones.
        - "skimage" does too, but ignores voxels with truth 0.
        - "cremi" and "snemi3d" ignore those as well. Pairs are ordered and include each voxel with itself. A voxel
          with label 0 in `seg` is together with none; it counts as 1/n of a pair, n being the voxels of the volume.
        - "elf" counts all voxels, in such ordered pairs, and takes 0 for a label like any other.

    Returns
    -------
    error : float
        1 - precision recall / (alpha recall + (1 - alpha) precision) [1]_, from 0, which is perfect, to 1.
    precision, recall : float
        Only with `all_stats`. Pairs together in both, over those together in `seg` (precision: low after
        false merges), and over those together in `gt` (recall: low after false splits). Each is 1 if there
        is none. In any convention: scikit-image 0.26 returns them the other way round, against its own definition
        (its issue 6485), and so did the gala of 2013 to 2021.

    Raises
    ------
    ShapeError, LabelError
        As `rand_index`.
    SettingError
        If the convention does not exist, or has no `alpha` but 0.5; or `alpha` is not from 0 to 1.

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

    With ordered pairs, and of voxels with themselves, it is eight of sixteen.

    >>> adapted_rand_error([1, 1, 2, 2], [1, 1, 1, 1], convention="elf", all_stats=True)[1:]
    (1.0, 0.5)
    """
    counted = count("adapted_rand_error", seg, gt, convention, ignore_seg, ignore_truth, historic)
    found = adapted_rand_of(pairs_of(counted), _weight_of_precision(alpha, counted.rules))
    error, precision, recall = (float(value) for value in found)
    return (error, precision, recall) if all_stats else error


def pairs_of(counted: Counted) -> PairCounts:
    """Return how many pairs of voxels are together on either side, on both, and in all.

    Examples
    --------
    >>> pairs_of(count("rand_index", [1, 1, 2, 2], [1, 1, 1, 1]))
    PairCounts(in_both=2.0, in_seg=2.0, in_truth=6.0, in_all=6.0)
    """
    overlaps, rules = counted.overlaps, counted.rules
    if overlaps.counts.dtype.kind == "f":
        raise LabelError(
            "pairs of voxels need a contingency table of whole numbers of voxels; this one holds fractions."
        )
    counts, seg_sizes, alone = overlaps.counts, overlaps.seg_sizes, 0.0
    if rules.seg_void == "alone":
        is_void = overlaps.seg_labels == 0
        alone = seg_sizes[is_void].sum() / counted.n_voxels
        counts, seg_sizes = counts[~is_void[overlaps.seg_index]], seg_sizes[~is_void]
    in_both, in_seg, in_truth, in_all = (
        _n_pairs(sizes, rules) for sizes in (counts, seg_sizes, overlaps.truth_sizes, overlaps.counts.sum())
    )
    return PairCounts(in_both + alone, in_seg + alone, in_truth, in_all)


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


def adapted_rand_of(pairs: PairCounts, weight: float = 0.5) -> tuple[Any, Any, Any]:
    """Return the adapted Rand error, with this weight of precision, precision and recall for numbers of pairs."""
    error = 1.0 - _share(pairs.in_both, weight * pairs.in_seg + (1 - weight) * pairs.in_truth)
    return error, _share(pairs.in_both, pairs.in_seg), _share(pairs.in_both, pairs.in_truth)


def _weight_of_precision(alpha: float, rules: Rules) -> float:
    if not 0 <= alpha <= 1:
        raise SettingError(f"alpha must be from 0 to 1; got {alpha}.")
    if rules.alpha_weighs is None and alpha != 0.5:
        raise SettingError(f"this convention has no alpha but 0.5; got {alpha}. gala and skimage have others.")
    return 1 - alpha if rules.alpha_weighs == "recall" else alpha


def _n_pairs(sizes: Array, rules: Rules) -> float:
    """Return the number of pairs within groups of these sizes."""
    n = sizes.astype(np.float64)
    return float((n * n).sum() if rules.pairs == "ordered" else (n * (n - 1) / 2).sum())


def _share(part: Any, whole: Any, otherwise: float = 1.0) -> Any:
    """Return `part` over `whole`, and `otherwise` where that is 0."""
    out = np.full(np.broadcast_shapes(np.shape(part), np.shape(whole)), otherwise)
    return np.divide(part, whole, out=out, where=np.asarray(whole) != 0)
