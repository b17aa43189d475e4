"""Overlaps of two labellings of one volume: which labels share voxels, and how many.

Labels are numbered by their rank: memory follows the number of labels and of pairs, never the labels' values.
"""

from __future__ import annotations

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
    pair, owner = np.unique(seg_index * len(truth_labels) + truth_index, return_inverse=True)
    counts = totals(owner, pairs[:, 2].astype(np.int64), len(pair))
    seg_index, truth_index = np.divmod(pair, len(truth_labels))
    return Overlaps(seg_labels, truth_labels, seg_index, truth_index, counts)


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
