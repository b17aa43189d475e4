"""Contingency tables: how many voxels each pair of labels shares. Every metric here needs nothing else.

Labels are numbered by their rank: memory follows the number of labels and of pairs, never the labels' values.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from scipy import sparse

from gala._types import Array, ArrayLike, Bools, Labels
from gala.errors import LabelError, SettingError, ShapeError
from gala.evaluate.blocks import count_blocks, is_read_by_blocks
from gala.graph.labels import as_labels
from gala.graph.overlaps import Overlaps, count_overlaps, join_overlaps


@dataclass(frozen=True, slots=True, eq=False)
class LabelTable:
    """A sparse table with a value for each pair of labels that share voxels, looked up by label.

    ``table[i, j]`` is the value of label i in the segmentation and j in the truth, 0 if none is shared. The tables
    of parts of a volume add up to that of the whole: ``table + other``.

    Parameters
    ----------
    overlaps : Overlaps
        The pairs, K of them, and their numbers of voxels.
    values : array, shape (K,)
        The value of each pair.
    n_ignored : int, optional
        How many voxels of the volume were left out of the table.

    Examples
    --------
    >>> left, right = contingency_table([1, 1], [1, 2]), contingency_table([1, 2], [2, 2])
    >>> (left + right).toarray()  # shares of all four voxels
    array([[0.  , 0.  , 0.  ],
           [0.  , 0.25, 0.5 ],
           [0.  , 0.  , 0.25]])
    """

    overlaps: Overlaps
    values: Array
    n_ignored: int = 0

    @property
    def shape(self) -> tuple[int, int]:
        """One more than the largest label on each side, as if the table were dense."""
        return int(self.overlaps.seg_labels[-1]) + 1, int(self.overlaps.truth_labels[-1]) + 1

    @property
    def nnz(self) -> int:
        """The number of pairs."""
        return len(self.values)

    def __add__(self, other: LabelTable) -> LabelTable:
        """Return the table of the voxels of both; shares only if both hold shares."""
        if not isinstance(other, LabelTable):
            return NotImplemented
        if not (self._can_add and other._can_add):
            raise LabelError("only tables of numbers of voxels add up, as `contingency_table` makes them.")
        overlaps = join_overlaps([self.overlaps, other.overlaps])
        norm = self.values.dtype.kind == other.values.dtype.kind == "f"
        return LabelTable(overlaps, _values(overlaps, norm=norm), self.n_ignored + other.n_ignored)

    @property
    def _can_add(self) -> bool:
        return self.values.dtype.kind != "b" and self.overlaps.counts.dtype.kind != "f"

    def __getitem__(self, pair: tuple[int, int]) -> Any:
        i, j = pair
        o = self.overlaps
        rows = np.flatnonzero(o.seg_labels == i)
        columns = np.flatnonzero(o.truth_labels == j)
        found = np.isin(o.seg_index, rows) & np.isin(o.truth_index, columns)
        return self.values[found].sum(dtype=self.values.dtype)

    def tocsr(self) -> sparse.csr_array:
        """Return a sparse array of `shape`; its memory follows the largest label, not how many there are."""
        o = self.overlaps
        if max(self.shape) > np.iinfo(np.int64).max:
            raise LabelError(f"SciPy has no arrays of shape {self.shape}; look pairs up in `overlaps` instead.")
        rows, columns = o.seg_labels[o.seg_index], o.truth_labels[o.truth_index]
        return sparse.csr_array((self.values, (rows, columns)), shape=self.shape)

    def toarray(self) -> Array:
        """Return a dense array of `shape`."""
        dense: Array = self.tocsr().toarray()
        return dense


Table: TypeAlias = LabelTable | sparse.sparray | sparse.spmatrix


def contingency_table(
    seg: ArrayLike,
    gt: ArrayLike,
    *,
    ignore_seg: Sequence[int] = (),
    ignore_truth: Sequence[int] = (),
    ignore_gt: Sequence[int] = (),
    norm: bool = True,
    n_threads: int | None = None,
) -> LabelTable:
    """Count the voxels that each label shares with each truth label.

    Parameters
    ----------
    seg, gt : array of int, shape (M, N, ..., P)
        Two segmentations of the same volume. Labels are integers from 0 to 2**64 - 1, or whole floats. What is
        no NumPy array, but has a shape, a dtype and slices, is read block by block and never as a whole: HDF5
        data sets, zarr and dask arrays.
    ignore_seg, ignore_truth : sequence of int, optional
        Labels whose voxels are not counted. None is ignored by default, 0 included. The historic `ignore_gt`
        adds to `ignore_truth`.
    norm : bool, optional
        Whether values are shares of the voxels counted, which sum to 1, instead of numbers of voxels.
    n_threads : int, optional
        How many threads count; by default GALA_NUM_THREADS, or else the number of cores.

    Returns
    -------
    table : LabelTable
        ``table[i, j]`` of the voxels have label i in `seg` and j in `gt`. Metrics take it in place of two
        arrays; whatever `norm` is, they find the numbers of voxels in it.

    Raises
    ------
    ShapeError
        If the shapes differ, or there are no voxels.
    LabelError
        If values are not labels, or no voxel is left to count.

    Notes
    -----
    Memory follows the number of pairs, not the labels; arrays read by blocks add 4 million voxels, or one of
    their chunks, for each thread. Only `LabelTable.tocsr` and `toarray` spread the table out.

    Examples
    --------
    >>> table = contingency_table([1, 1, 2], [1, 2, 2], norm=False)
    >>> int(table[1, 2])
    1
    >>> table.toarray()
    array([[0, 0, 0],
           [0, 1, 1],
           [0, 0, 1]])
    """
    ignored = ignored_labels(ignore_truth) + ignored_labels(ignore_gt)
    every = _overlaps(seg, gt, n_threads)
    overlaps = without(every, ignore_seg, ignored)
    n_ignored = int(every.counts.sum() - overlaps.counts.sum())
    return LabelTable(overlaps, _values(overlaps, norm=norm), n_ignored)


def overlaps_of(
    seg: ArrayLike | Table,
    gt: ArrayLike | None = None,
    *,
    ignore_seg: Sequence[int] = (),
    ignore_gt: Sequence[int] = (),
) -> Overlaps:
    """Return the overlaps of two arrays, or those in a table, without the voxels of the labels to ignore.

    A table is a `LabelTable`, or a sparse array or matrix of SciPy whose rows and columns are labels.

    Examples
    --------
    >>> overlaps_of([3, 3, 0], [1, 1, 1], ignore_seg=[0]).counts
    array([2])
    """
    is_table = isinstance(seg, LabelTable) or sparse.issparse(seg)
    if is_table == (gt is not None):
        got = "a table and an array" if is_table else "one array"
        raise SettingError(f"expected two arrays, or one contingency table; got {got}.")
    if gt is not None:
        overlaps = _overlaps(seg, gt)
    else:
        overlaps = seg.overlaps if isinstance(seg, LabelTable) else _from_sparse(seg)
    return without(overlaps, ignore_seg, ignore_gt)


def table_of(seg: ArrayLike | Table, gt: ArrayLike | None = None) -> LabelTable:
    """Return the table of two arrays, in numbers of voxels, or the one given.

    Examples
    --------
    >>> table_of([3, 3, 0], [1, 1, 1]).values
    array([1, 2])
    """
    if isinstance(seg, LabelTable) and gt is None:
        return seg
    overlaps = overlaps_of(seg, gt)
    return LabelTable(overlaps, overlaps.counts)


def without(
    overlaps: Overlaps, ignore_seg: Sequence[int], ignore_truth: Sequence[int], *, ignored_if: str = "either"
) -> Overlaps:
    """Return the overlaps of other labels only. Ignored labels stay in the lists, without voxels.

    With ``ignored_if="both"``, and labels to ignore on both sides, a voxel is left out only if both of its labels are
    among them.

    Examples
    --------
    >>> without(contingency_table([3, 3, 0], [1, 1, 1]).overlaps, [0], []).counts
    array([2])
    """
    by_seg = is_one_of(overlaps.seg_labels, ignore_seg)[overlaps.seg_index]
    by_truth = is_one_of(overlaps.truth_labels, ignore_truth)[overlaps.truth_index]
    needs_both = ignored_if == "both" and np.size(ignore_seg) > 0 and np.size(ignore_truth) > 0
    ignored = by_seg & by_truth if needs_both else by_seg | by_truth
    if ignored.all():
        raise LabelError("no voxel is left to count: every one has a label to ignore, in seg or in gt.")
    if not ignored.any():
        return overlaps
    rest = (column[~ignored] for column in overlaps[2:])
    return Overlaps(overlaps.seg_labels, overlaps.truth_labels, *rest)


def _overlaps(seg: Any, gt: Any, n_threads: int | None = None) -> Overlaps:
    if is_read_by_blocks(seg) or is_read_by_blocks(gt):
        return count_blocks(seg, gt, n_threads=n_threads)
    seg_labels, truth = as_labels(seg, "seg"), as_labels(gt, "gt")
    if seg_labels.shape != truth.shape:
        raise ShapeError(f"seg and gt must have the same shape; got {seg_labels.shape} and {truth.shape}.")
    return count_overlaps(seg_labels, truth, n_threads=n_threads)


def _values(overlaps: Overlaps, *, norm: bool) -> Array:
    values: Array = overlaps.counts / overlaps.counts.sum() if norm else overlaps.counts
    return values


def ignored_labels(given: Any) -> tuple[int, ...]:
    """Return labels to ignore, one or several, as they are.

    Raises
    ------
    LabelError
        If one cannot be a label.

    Examples
    --------
    >>> ignored_labels([0, 2**64 - 1]), ignored_labels(7)
    ((0, 18446744073709551615), (7,))
    """
    several = np.atleast_1d(given) if np.ndim(given) == 0 and not isinstance(given, Iterable) else given
    # A list of Python numbers must not pass through NumPy, which makes floats of small and large ones together.
    several = several if isinstance(several, np.ndarray) else list(several)
    return tuple(as_labels(several, "labels to ignore", allow_empty=True).tolist())


def is_one_of(labels: Labels, ignored: Sequence[int]) -> Bools:
    """Return which labels are among those to ignore.

    Examples
    --------
    >>> is_one_of(np.array([0, 3, 5]), [5, 0])
    array([ True, False,  True])
    """
    # Both as uint64: NumPy would compare int64 with uint64 as floats.
    return np.isin(labels.astype(np.uint64, copy=False), np.array(ignored_labels(ignored), dtype=np.uint64))


def _from_sparse(table: Any) -> Overlaps:
    if table.ndim != 2:
        raise ShapeError(f"a contingency table must have two dimensions; got {table.ndim}.")
    rows = sparse.csr_array(table, copy=True)
    rows.sum_duplicates()
    rows.eliminate_zeros()
    counts = rows.data
    if not (np.isfinite(counts) & (counts >= 0)).all():
        raise LabelError("a contingency table must hold numbers of voxels, or shares of them: 0 or more.")
    if (counts == np.floor(counts)).all():
        counts = counts.astype(np.int64)
    seg_of_pair, truth_of_pair = rows.nonzero()
    seg_labels, seg_index = np.unique(seg_of_pair, return_inverse=True)
    truth_labels, truth_index = np.unique(truth_of_pair, return_inverse=True)
    return Overlaps(seg_labels, truth_labels, seg_index, truth_index, counts)
