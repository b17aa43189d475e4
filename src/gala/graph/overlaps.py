"""Overlaps of two labellings of one volume: which labels share voxels, and how many.

Labels are numbered by their rank: memory follows the number of labels and of pairs, never the labels' values.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from gala._kernels.overlap import count_pairs
from gala._kernels.threads import map_over_threads
from gala._types import Array, ArrayLike, Ints, Labels
from gala.errors import ShapeError
from gala.graph.labels import as_labels
from gala.graph.volume import Volume

# Voxels counted at a time. At 256³, two threads took 0.035 s with 2**21 and 2**22, 0.039 s with 2**20, more
# with larger slabs; one thread took 0.062 s with each (bench_evaluate).
_SLAB_SIZE = 2**22


class Overlaps(NamedTuple):
    """K pairs of labels that share voxels, in order of ``(seg_index, truth_index)``."""

    seg_labels: Labels  # (N,) increasing
    truth_labels: Labels  # (T,) increasing
    seg_index: Ints  # (K,) positions in `seg_labels`
    truth_index: Ints  # (K,) positions in `truth_labels`
    counts: Array  # (K,) voxels, int64; float64 if the caller's table held shares of them

    @property
    def seg_sizes(self) -> Array:
        """Number of voxels of each label, shape (N,)."""
        return totals(self.seg_index, self.counts, len(self.seg_labels))

    @property
    def truth_sizes(self) -> Array:
        """Number of voxels of each truth label, shape (T,)."""
        return totals(self.truth_index, self.counts, len(self.truth_labels))

    @property
    def exchanged(self) -> Overlaps:
        """The same pairs, in the same order, with each labelling in the place of the other."""
        return Overlaps(self.truth_labels, self.seg_labels, self.truth_index, self.seg_index, self.counts)


def count_overlaps(seg: Labels, truth: Labels, *, n_threads: int | None = None) -> Overlaps:
    """Return the pairs of labels that share voxels, and how many.

    The arrays, of one shape, must be labels already (`gala.graph.labels.as_labels`): they are not checked.

    Examples
    --------
    >>> count_overlaps(np.array([7, 7, 9]), np.array([1, 0, 1])).counts
    array([1, 1, 1])
    """
    tables = map_over_threads(_count_slab, _slabs(seg, truth), n_threads=n_threads)
    pairs = np.concatenate(tables)
    seg_labels, seg_index = np.unique(pairs[:, 0].astype(seg.dtype), return_inverse=True)
    truth_labels, truth_index = np.unique(pairs[:, 1].astype(truth.dtype), return_inverse=True)
    return _sorted(Overlaps(seg_labels, truth_labels, seg_index, truth_index, pairs[:, 2].astype(np.int64)))


def join_overlaps(parts: Sequence[Overlaps]) -> Overlaps:
    """Return the overlaps of all voxels from those of sets of voxels that have none in common: counts add up.

    Examples
    --------
    >>> part = count_overlaps(np.array([7, 7, 9]), np.array([1, 0, 1]))
    >>> join_overlaps([part, part]).counts
    array([2, 2, 2])
    """
    seg_labels = _union([part.seg_labels for part in parts])
    truth_labels = _union([part.truth_labels for part in parts])
    seg_index = np.concatenate([np.searchsorted(seg_labels, p.seg_labels)[p.seg_index] for p in parts])
    truth_index = np.concatenate([np.searchsorted(truth_labels, p.truth_labels)[p.truth_index] for p in parts])
    counts = np.concatenate([part.counts for part in parts])
    return _sorted(Overlaps(seg_labels, truth_labels, seg_index, truth_index, counts))


def volume_overlaps(volume: Volume, other: ArrayLike, name: str, *, n_threads: int | None = None) -> Overlaps:
    """Return the overlaps of the regions of a volume with another label image, which errors call `name`.

    Raises
    ------
    ShapeError, LabelError
        If the image does not fit, or holds what cannot be labels.
    """
    found = as_labels(other, name)
    if found.shape != volume.labels.shape:
        raise ShapeError(f"{name} must have the shape of the labels, {volume.labels.shape}; got {found.shape}.")
    keep = volume.mask
    if volume.background is not None:
        within = volume.labels != volume.background
        keep = within if keep is None else keep & within
    both = (volume.labels, found) if keep is None else (volume.labels[keep], found[keep])
    return count_overlaps(*both, n_threads=n_threads)


def totals(index: Ints, values: Array, n: int) -> Array:
    """Return the sum of the values with each index, shape (n,); of integers, exact up to 2**53."""
    sums: Array = np.bincount(index, weights=values, minlength=n)
    return sums.astype(values.dtype)


def _sorted(pairs: Overlaps) -> Overlaps:
    """Return each pair of labels once, in order, with the sum of its counts."""
    n_truth = max(1, len(pairs.truth_labels))
    pair, owner = np.unique(pairs.seg_index * n_truth + pairs.truth_index, return_inverse=True)
    seg_index, truth_index = np.divmod(pair, n_truth)
    return Overlaps(*pairs[:2], seg_index, truth_index, totals(owner, pairs.counts, len(pair)))


def _union(labels: list[Labels]) -> Labels:
    """Return the labels that are in any list, increasing."""
    dtypes = {part.dtype for part in labels}
    # NumPy would take int64 and uint64 together for floats.
    dtype = dtypes.pop() if len(dtypes) == 1 else np.dtype(np.uint64)
    return np.unique(np.concatenate([part.astype(dtype, copy=False) for part in labels]))


def _slabs(seg: Labels, truth: Labels) -> list[tuple[Labels, Labels]]:
    """Return the pieces to count, cut across the axis that memory is laid out along last."""
    axes = np.argsort([-abs(stride) for stride in seg.strides], kind="stable")
    seg, truth = seg.transpose(axes), truth.transpose(axes)
    if seg.flags.c_contiguous and truth.flags.c_contiguous:
        seg, truth = seg.reshape(-1), truth.reshape(-1)
    step = max(1, _SLAB_SIZE // max(1, seg[:1].size))
    return [(seg[i : i + step], truth[i : i + step]) for i in range(0, max(1, len(seg)), step)]


def _count_slab(slab: tuple[Labels, Labels]) -> Array:
    dtype = np.dtype(np.uint64 if max(part.itemsize for part in slab) > 4 else np.uint32)
    with np.errstate(over="ignore"):  # hashes wrap around, which NumPy minds when Numba is switched off
        return count_pairs(*(_unsigned(part, dtype) for part in slab))


def _unsigned(part: Labels, dtype: np.dtype[Any]) -> Array:
    """Return `part`, raveled, as unsigned integers that a kernel takes; copied only if it must be."""
    flat = np.require(part, requirements=["C", "W"]).reshape(-1)
    return flat.view(dtype) if flat.itemsize == dtype.itemsize else flat.astype(dtype)
