"""Joining superpixels that lie side by side: those in shallow basins, and those that are too small."""

from __future__ import annotations

import numpy as np

from gala._kernels.basins import find_faces, join_shallow, join_small, lowest_heights
from gala._types import Array, Floats, Ints, Labels


def joined(labels: Labels, height: Array, boundary: Array, *, depth: float, min_voxels: float) -> Labels:
    """Join regions in shallow basins, then those that are too small, and number what is left from 1.

    A basin is shallow if its lowest voxel is no more than `depth` below the lowest pass to a deeper neighbour: flooding
    from all minima and joining these gives what flooding from the h-minima of the image does. A region of fewer voxels
    joins the neighbour behind the weakest boundary, as its mean over faces says. `labels`, from 1 on, are all in use;
    0 is none, and stays.
    """
    strides = np.array(labels.strides) // labels.itemsize
    flat = labels.reshape(-1)
    pairs, faces = find_faces(flat, height.reshape(-1), boundary.reshape(-1), np.array(labels.shape), strides)
    order = np.lexsort((pairs[:, 1], pairs[:, 0], faces[:, 1]))
    lowest = lowest_heights(flat, height.reshape(-1), int(labels.max()) + 1)
    root = join_shallow(pairs[order], faces[order, 1], lowest, depth)
    pairs, mean = _between(root, pairs, faces)
    order = np.lexsort((pairs[:, 1], pairs[:, 0], mean))
    sizes: Floats = np.bincount(root, np.bincount(flat, minlength=root.size), root.size).astype(np.float64)
    root = join_small(pairs[order], sizes, min_voxels)[root]
    number = np.cumsum(root == np.arange(root.size)) - 1
    return number[root].astype(labels.dtype)[labels]


def _between(root: Ints, pairs: Ints, faces: Floats) -> tuple[Ints, Floats]:
    """Return the pairs of regions that are left, and the mean boundary between each."""
    ends = np.sort(root[pairs], axis=1)
    apart = ends[:, 0] < ends[:, 1]
    keys, index = np.unique((ends[apart, 0] << 32) | ends[apart, 1], return_inverse=True)
    count, total = (np.bincount(index, weights=faces[apart, column], minlength=keys.size) for column in (0, 2))
    return np.stack([keys >> 32, keys & 0xFFFFFFFF], axis=1), total / count
