"""Historic functions that look at many segmentations, or into a single label.

A boundary map is cut at each of its values here, one segmentation at a time. Of a merge tree, each `MergeTree.cut` is
one look-up instead.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence

import numpy as np
from scipy import ndimage

from gala._types import Array, ArrayLike, Floats, Labels
from gala.errors import ImageError, LabelError, SettingError, ShapeError
from gala.evaluate.contingency import Table, overlaps_of
from gala.evaluate.information import split_vi
from gala.evaluate.pairs import adj_rand_index, rand_index


def split_components(idx: int, cont: Table, num_elems: int | None = 4, axis: int = 0) -> list[tuple[int, float, float]]:
    """Return what a label is made of: the labels on the other side that share most voxels with it.

    Parameters
    ----------
    idx : int
        A label of the segmentation, or of the truth if `axis` is 1.
    cont : contingency table
        See `contingency_table`.
    num_elems : int, optional
        At most how many labels; all that share voxels if None.
    axis : {0, 1}, optional
        0 asks which true objects a segment merges, 1 into which segments a true object is split.

    Returns
    -------
    components : list of (int, float, float)
        For each label, largest overlap first and of equal ones the lower label: the label, its share of the voxels of
        `idx`, and the share of its own voxels that lie in `idx`.

    Raises
    ------
    LabelError
        If no voxel of the table has the label `idx`.
    SettingError
        If `axis` is neither 0 nor 1, or `cont` is no table.

    Examples
    --------
    Segment 1 is three quarters of object 5, and a third of object 7.

    >>> from gala.evaluate import contingency_table
    >>> split_components(1, contingency_table([1, 1, 1, 1, 2, 2], [5, 5, 5, 7, 7, 7]))
    [(5, 0.75, 1.0), (7, 0.25, 0.3333333333333333)]
    """
    if axis not in (0, 1):
        raise SettingError(f"axis must be 0, for labels of the segmentation, or 1, for the truth; got {axis!r}.")
    o = overlaps_of(cont)
    sides = (o.seg_labels, o.seg_index, o.seg_sizes), (o.truth_labels, o.truth_index, o.truth_sizes)
    (labels, index, sizes), (others, other_index, other_sizes) = sides if axis == 0 else sides[::-1]
    pairs = np.flatnonzero(labels[index] == idx)
    if not len(pairs):
        raise LabelError(f"no voxel of the {'truth' if axis else 'segmentation'} has label {idx}.")
    order = np.lexsort((other_index[pairs], -o.counts[pairs]))
    pairs = pairs[order][:num_elems]
    counts, found = o.counts[pairs], other_index[pairs]
    columns = others[found], counts / sizes[index[pairs]], counts / other_sizes[found]
    return list(zip(*(column.tolist() for column in columns), strict=True))


def vi_pairwise_matrix(segs: Sequence[ArrayLike], split: bool = False) -> Floats:
    """Return the variation of information between each two of some segmentations.

    Parameters
    ----------
    segs : sequence of S arrays of int, shape (M, ..., P)
        The segmentations; voxels with label 0 on either side are ignored.
    split : bool, optional
        Whether to keep the two parts apart.

    Returns
    -------
    matrix : array of float, shape (S, S)
        Bits; 0 on the diagonal, and symmetric. With `split`, false merges of `i` against `j` at ``[i, j]``, and its
        false splits at ``[j, i]``, for i < j.

    Raises
    ------
    ShapeError, LabelError
        See `split_vi`.

    Examples
    --------
    >>> vi_pairwise_matrix([[1, 1, 2, 2], [1, 1, 1, 1]], split=True)
    array([[0., 0.],
           [1., 0.]])
    """
    matrix = np.zeros((len(segs), len(segs)))
    for i, j in itertools.combinations(range(len(segs)), 2):
        matrix[i, j], matrix[j, i] = split_vi(segs[i], segs[j])
    return matrix if split else matrix + matrix.T


def vi_by_threshold(
    ucm: ArrayLike,
    gt: ArrayLike,
    ignore_seg: Sequence[int] = (),
    ignore_gt: Sequence[int] = (),
    npoints: int | None = None,
    nprocessors: int | None = None,  # noqa: ARG001  # scripts pass it
) -> Floats:
    """Return false merges and false splits of a boundary map cut at each of its values.

    Parameters
    ----------
    ucm : array of float, shape (M, ..., P)
        A boundary map, such as `gala.agglo.Rag.build_boundary_map` gives. At threshold t the segments are the
        connected pieces below t, neighbours sharing a face; all other voxels have label 0.
    gt : array of int, shape (M, ..., P)
        The truth.
    ignore_seg, ignore_gt : sequence of int, optional
        Labels whose voxels are not counted. None by default, 0 included.
    npoints : int, optional
        How many of the T thresholds to try, evenly spaced by rank; all by default.
    nprocessors : int, optional
        Accepted and ignored.

    Returns
    -------
    curve : array of float, shape (3, T)
        Thresholds, which are the values of `ucm` but for the lowest; false merges; false splits, in bits.

    Raises
    ------
    ShapeError, LabelError
        See `split_vi`.
    ImageError
        If `ucm` holds NaN.
    SettingError
        If `npoints` is negative.

    Examples
    --------
    >>> vi_by_threshold([0, 0.5, 0, 0.9, 0], [1, 1, 1, 0, 2], ignore_seg=[0], ignore_gt=[0]).round(2)
    array([[0.5 , 0.9 ],
           [0.  , 0.  ],
           [0.67, 0.  ]])
    """
    return _by_threshold(lambda seg: split_vi(seg, gt, ignore_seg, ignore_gt), ucm, gt, npoints)


def rand_by_threshold(ucm: ArrayLike, gt: ArrayLike, npoints: int | None = None) -> Floats:
    """Return the Rand index and the adjusted one of a boundary map cut at each of its values.

    Parameters
    ----------
    ucm, gt, npoints
        As for `vi_by_threshold`. No voxel is ignored.

    Returns
    -------
    curve : array of float, shape (3, T)
        Thresholds; Rand index; adjusted Rand index.

    Raises
    ------
    ShapeError, LabelError
        See `rand_index`.
    ImageError
        If `ucm` holds NaN.
    SettingError
        If `npoints` is negative.

    Examples
    --------
    >>> rand_by_threshold([0, 1, 0], [1, 0, 2])
    array([[1.], [1.], [1.]])
    """
    return _by_threshold(lambda seg: np.array([rand_index(seg, gt), adj_rand_index(seg, gt)]), ucm, gt, npoints)


def relabel_from_one(label_field: ArrayLike) -> tuple[Labels, Array, Array]:
    """Give the regions the labels 1, 2, ...; the same as `gala.morpho.relabel_from_one`.

    Examples
    --------
    >>> relabel_from_one([8, 0, 7])[0]
    array([2, 0, 1])
    """
    from gala.morpho.pieces import relabel_from_one as relabel  # with scikit-image, which metrics do without

    return relabel(label_field)


def _by_threshold(measure: Callable[[Labels], Floats], ucm: ArrayLike, gt: ArrayLike, npoints: int | None) -> Floats:
    """Return the thresholds, and two measures of the segmentation at each, shape (3, T)."""
    boundaries = np.asarray(ucm)
    if boundaries.shape != np.shape(gt):
        raise ShapeError(f"ucm and gt must have the same shape; got {boundaries.shape} and {np.shape(gt)}.")
    if np.isnan(boundaries).any():
        raise ImageError("ucm must hold numbers only; got NaN.")
    thresholds = np.unique(boundaries)[1:]
    if npoints is not None and npoints < 0:
        raise SettingError(f"npoints must be 0 or more; got {npoints}.")
    if npoints is not None and npoints < len(thresholds):
        thresholds = thresholds[np.linspace(0, len(thresholds) - 1, npoints).astype(np.intp)]
    measured = [measure(ndimage.label(boundaries < t)[0]) for t in thresholds]
    return np.vstack([thresholds, np.reshape(measured, (-1, 2)).T])
