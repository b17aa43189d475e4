"""Variation of information: what a segmentation and the truth do not tell about each other, in bits.

It is the sum of two conditional entropies [1]_ [2]_. H(truth | segmentation) is what false merges cost, and
H(segmentation | truth) what false splits cost [3]_. Each voxel counts alike; there are no pairs of voxels
here.

References
----------
.. [1] Meilă, M. (2003). Comparing clusterings by the variation of information. In *Learning Theory and Kernel
       Machines*, 173-187. doi:10.1007/978-3-540-45167-9_14
.. [2] Meilă, M. (2007). Comparing clusterings: an information based distance. *Journal of Multivariate
       Analysis* 98, 873-895. doi:10.1016/j.jmva.2006.11.013
.. [3] Nunez-Iglesias, J. et al. (2013). Machine learning of hierarchical clustering to segment 2D and 3D
       images. *PLoS ONE* 8, e71715. doi:10.1371/journal.pone.0071715
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from gala._types import ArrayLike, Floats, Labels
from gala.evaluate.contingency import LabelTable, Table
from gala.evaluate.conventions import Convention, Ignored, count
from gala.graph.overlaps import Overlaps, totals


class VITables(NamedTuple):
    """The parts of the variation of information; x is the segmentation, N labels, and y the truth, T labels.

    The values of x belong to ``pxy.overlaps.seg_labels``, those of y to ``pxy.overlaps.truth_labels``.
    """

    pxy: LabelTable  # share of the voxels in each pair of labels
    px: Floats  # (N,) share of the voxels in each label
    py: Floats  # (T,)
    hxgy: Floats  # (T,) bits of H(x|y) that come from each truth label: its false splits
    hygx: Floats  # (N,) bits of H(y|x) that come from each label: its false merges
    lpygx: Floats  # (N,) minus the entropy of y in each label: sum over y of p(y|x) log2 p(y|x)
    lpxgy: Floats  # (T,) minus the entropy of x in each truth label


class VIComponents(NamedTuple):
    """Labels from the worst to the best, and the bits that each adds to the variation of information."""

    truth_labels: Labels  # (T,)
    false_splits: Floats  # (T,) H(seg|gt) that comes from each truth label
    seg_labels: Labels  # (N,)
    false_merges: Floats  # (N,) H(gt|seg) that comes from each label


def split_vi(
    seg: ArrayLike | Table,
    gt: ArrayLike | None = None,
    ignore_seg: Ignored = None,
    ignore_truth: Ignored = None,
    *,
    convention: Convention = "gala",
    **historic: Sequence[int],
) -> Floats:
    """Return the variation of information in two parts: false merges, false splits.

    Parameters
    ----------
    seg : array of int, shape (M, N, ..., P), or contingency table
        The segmentation, or its table with the truth.
    gt : array of int, shape (M, N, ..., P), optional
        The truth. Left out if `seg` is a table.
    ignore_seg, ignore_truth : sequence of int, optional
        Labels of `seg` and of `gt` whose voxels are not counted; by default those of the convention. Their
        historic names are `ignore_x` and `ignore_y` (or `ignore_gt`).
    convention : "gala", "skimage", "cremi", "elf", or Rules, optional
        Whose number to give. "gala" ignores voxels with label 0 on either side, "cremi" those with truth 0;
        "skimage" and "elf" count 0 as a label like any other. With labels to ignore on both sides, "elf" ignores
        voxels where both are to be ignored, the others those where one is.

    Returns
    -------
    parts : array of float, shape (2,)
        H(gt | seg), zero if nothing is merged falsely, then H(seg | gt), zero if nothing is split falsely;
        in bits, over the voxels counted. In this order for any convention: skimage, cremi and elf return false
        splits first.

    Raises
    ------
    ShapeError
        If the shapes differ, or there are no voxels.
    LabelError
        If values are not labels, or no voxel is left to count.
    SettingError
        If the convention does not exist, or has no variation of information.

    Notes
    -----
    Conditional entropies of label distributions, see [1]_ for the distance and [2]_ for the two parts.

    References
    ----------
    .. [1] Meilă, M. (2007). *Journal of Multivariate Analysis* 98, 873-895. doi:10.1016/j.jmva.2006.11.013
    .. [2] Nunez-Iglesias, J. et al. (2013). *PLoS ONE* 8, e71715. doi:10.1371/journal.pone.0071715

    Examples
    --------
    Two halves where the truth has one object: one bit of false splits.

    >>> split_vi([1, 1, 2, 2], [1, 1, 1, 1])
    array([0., 1.])
    """
    overlaps = count("split_vi", seg, gt, convention, ignore_seg, ignore_truth, historic).overlaps
    return np.array([merged_bits(overlaps).sum(), split_bits(overlaps).sum()])


def vi(
    seg: ArrayLike | Table,
    gt: ArrayLike | None = None,
    weights: Sequence[float] = (1, 1),
    ignore_seg: Ignored = None,
    ignore_truth: Ignored = None,
    *,
    convention: Convention = "gala",
    **historic: Sequence[int],
) -> float:
    """Return the variation of information, the (weighted) sum of both parts of `split_vi`.

    With equal weights, and nothing ignored, this is a metric [1]_: zero only if both cut the volume alike,
    the same with sides swapped, and never more than over a third segmentation.

    Parameters
    ----------
    seg, gt, ignore_seg, ignore_truth, convention
        As for `split_vi`: voxels with label 0 on either side are ignored by default.
    weights : two floats, optional
        What a bit of false merges costs, and one of false splits.

    Returns
    -------
    distance : float
        Bits, over the voxels counted.

    References
    ----------
    .. [1] Meilă, M. (2007). *Journal of Multivariate Analysis* 98, 873-895. doi:10.1016/j.jmva.2006.11.013

    Examples
    --------
    >>> vi([1, 1, 2, 2], [1, 1, 1, 1])
    1.0
    """
    merges, splits = weights
    parts = split_vi(seg, gt, ignore_seg, ignore_truth, convention=convention, **historic)
    return float(merges * parts[0] + splits * parts[1])


def vi_tables(
    seg: ArrayLike | Table,
    gt: ArrayLike | None = None,
    ignore_seg: Ignored = None,
    ignore_truth: Ignored = None,
    **historic: Sequence[int],
) -> VITables:
    """Return the probabilities and entropies, label by label, that `split_vi` sums.

    Parameters
    ----------
    seg, gt, ignore_seg, ignore_truth
        As for `split_vi`: voxels with label 0 on either side are ignored by default. Ignored labels have
        zeros.

    Returns
    -------
    tables : VITables
        Seven parts. Arrays have one value for each label that occurs, in increasing order, whatever the
        label is.

    Examples
    --------
    >>> tables = vi_tables([1, 1, 2, 2], [1, 1, 1, 3])
    >>> tables.pxy.overlaps.seg_labels
    array([1, 2])
    >>> tables.hygx  # label 2 holds two objects, half and half, and half of the voxels
    array([0. , 0.5])
    """
    overlaps = count("split_vi", seg, gt, "gala", ignore_seg, ignore_truth, historic).overlaps
    n_voxels = overlaps.counts.sum()
    px, py = overlaps.seg_sizes / n_voxels, overlaps.truth_sizes / n_voxels
    hxgy, hygx = split_bits(overlaps), merged_bits(overlaps)
    lpygx = -np.divide(hygx, px, out=np.zeros_like(px), where=px > 0)
    lpxgy = -np.divide(hxgy, py, out=np.zeros_like(py), where=py > 0)
    return VITables(LabelTable(overlaps, overlaps.counts / n_voxels), px, py, hxgy, hygx, lpygx, lpxgy)


def sorted_vi_components(
    seg: ArrayLike | Table,
    gt: ArrayLike | None = None,
    ignore_seg: Ignored = None,
    ignore_truth: Ignored = None,
    **historic: Sequence[int],
) -> VIComponents:
    """Return truth labels by their false splits and labels by their false merges, worst first.

    Parameters
    ----------
    seg, gt, ignore_seg, ignore_truth
        As for `split_vi`: voxels with label 0 on either side are ignored by default. Ignored labels have 0
        bits.

    Returns
    -------
    components : VIComponents
        Labels, and their bits. Equal ones are in order of their labels.

    Examples
    --------
    >>> sorted_vi_components([1, 1, 2, 2], [1, 1, 1, 3]).seg_labels
    array([2, 1])
    """
    overlaps = count("split_vi", seg, gt, "gala", ignore_seg, ignore_truth, historic).overlaps
    splits, merges = split_bits(overlaps), merged_bits(overlaps)
    by_splits, by_merges = np.argsort(-splits, kind="stable"), np.argsort(-merges, kind="stable")
    return VIComponents(
        overlaps.truth_labels[by_splits],
        splits[by_splits],
        overlaps.seg_labels[by_merges],
        merges[by_merges],
    )


def merged_bits(overlaps: Overlaps) -> Floats:
    """Return the part of H(truth | seg) that comes from each label, shape (N,)."""
    shares = overlaps.counts / overlaps.counts.sum()
    surprise = np.log2(overlaps.seg_sizes[overlaps.seg_index] / overlaps.counts)
    return totals(overlaps.seg_index, shares * surprise, len(overlaps.seg_labels))


def split_bits(overlaps: Overlaps) -> Floats:
    """Return the part of H(seg | truth) that comes from each truth label, shape (T,)."""
    return merged_bits(overlaps.exchanged)
