"""Joining superpixels that lie side by side: those in shallow basins, and those that are too small."""

from __future__ import annotations

import numpy as np

from gala._kernels.basins import find_passes, join_shallow, join_small, lowest_heights
from gala._types import Array, Floats, Ints, Labels


def joined_basins(labels: Labels, height: Array, depth: float) -> Labels:
    """Join regions whose lowest voxel is no more than `depth` below the lowest pass to a deeper neighbour.

    Flooding from all minima and joining shallow basins gives what flooding from the h-minima of the image does.
    """
    pairs, faces = _faces(labels, height)
    order = np.lexsort((pairs[:, 1], pairs[:, 0], faces[:, 1]))
    lowest = lowest_heights(labels.reshape(-1), height.reshape(-1), int(labels.max()) + 1)
    return _relabelled(labels, join_shallow(pairs[order], faces[order, 1], lowest, depth))


def joined_fragments(labels: Labels, boundary: Array, min_voxels: float) -> Labels:
    """Join regions of fewer voxels with the neighbour behind the weakest boundary, as its mean over faces says."""
    pairs, faces = _faces(labels, boundary)
    order = np.lexsort((pairs[:, 1], pairs[:, 0], faces[:, 2] / faces[:, 0]))
    sizes = np.bincount(labels.reshape(-1)).astype(np.float64)
    return _relabelled(labels, join_small(pairs[order], sizes, min_voxels))


def _faces(labels: Labels, height: Array) -> tuple[Ints, Floats]:
    strides = np.array(labels.strides) // labels.itemsize
    return find_passes(labels.reshape(-1), height.reshape(-1), np.array(labels.shape), strides)


def _relabelled(labels: Labels, root: Ints) -> Labels:
    """Replace each label by its root, numbered from 1; 0 stays 0. Labels are those from 1 on, each in use."""
    is_root = root == np.arange(root.size)
    number = np.cumsum(is_root) - 1
    return number[root].astype(labels.dtype)[labels]
