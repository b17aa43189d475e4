"""Joining superpixels that lie side by side: those in shallow basins, and those that are too small."""

from __future__ import annotations

import numpy as np

from gala._kernels.basins import find_passes, join_shallow, join_small, lowest_heights
from gala._types import Array, Floats, Ints, Labels


def joined_basins(labels: Labels, height: Array, depth: float) -> Labels:
    """Join regions whose lowest voxel is no more than `depth` below the lowest pass to a deeper neighbour.

    Flooding from all minima and joining shallow basins gives what flooding from the h-minima of the image does.
    """
    lowest = lowest_heights(labels.reshape(-1), height.reshape(-1), int(labels.max()) + 1)
    pairs, faces = passes(labels, height, lowest, depth=depth)
    return _relabelled(labels, join_shallow(pairs, faces[:, 1], lowest, depth))


def joined_fragments(labels: Labels, boundary: Array, min_voxels: float) -> Labels:
    """Join regions of fewer voxels with the neighbour behind the weakest boundary, as its mean over faces says."""
    sizes = np.bincount(labels.reshape(-1)).astype(np.float64)
    return _relabelled(labels, join_small(weakest_first(labels, boundary, sizes.size), sizes, min_voxels))


def passes(
    labels: Labels, height: Array, lowest: Floats, *, depth: float = np.inf, cells: Ints | None = None
) -> tuple[Ints, Floats]:
    """Return pairs of neighbours and what lies between them, those with the lowest passes first.

    Passes more than `depth` above the `lowest` heights, shape (N,), and those between `cells`, shape (N,), are left
    out; see `gala._kernels.basins.find_passes`.
    """
    cells = np.zeros(lowest.size, dtype=np.int64) if cells is None else cells
    pairs, faces = _between(labels, height, lowest, cells, depth)
    order = np.lexsort((pairs[:, 1], pairs[:, 0], faces[:, 1]))
    return pairs[order], faces[order]


def weakest_first(labels: Labels, boundary: Array, n_labels: int) -> Ints:
    """Return pairs of neighbours, shape (E, 2), in the order of the mean boundary over their faces."""
    pairs, faces = _between(labels, boundary, np.zeros(n_labels), np.zeros(n_labels, dtype=np.int64), np.inf)
    order = np.lexsort((pairs[:, 1], pairs[:, 0], faces[:, 2] / faces[:, 0]))
    return np.ascontiguousarray(pairs[order])


def _between(labels: Labels, height: Array, lowest: Floats, cells: Ints, depth: float) -> tuple[Ints, Floats]:
    """Return pairs of neighbours and what lies between them, in no order; see `gala._kernels.basins.find_passes`."""
    strides = np.array(labels.strides) // labels.itemsize
    found: tuple[Ints, Floats] = find_passes(
        labels.reshape(-1), height.reshape(-1), np.array(labels.shape), strides, lowest, cells, depth
    )
    return found


def _relabelled(labels: Labels, root: Ints) -> Labels:
    """Replace each label by its root, numbered from 1; 0 stays 0. Labels are those from 1 on, each in use."""
    is_root = root == np.arange(root.size)
    number = np.cumsum(is_root) - 1
    return number[root].astype(labels.dtype)[labels]
