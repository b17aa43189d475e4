"""Basins of steepest descent, and the cells of a jittered lattice, in windows of a volume.

Where a voxel drains to depends on the way down alone, not on how much of the volume is seen beside it. Volumes have
three axes here, those of length 1 included.
"""

from __future__ import annotations

import numpy as np

from gala._kernels.hashing import fraction, mixed_place
from gala._kernels.jit import kernel, pasted
from gala._types import Array, Bools, Floats, Ints

_MASKED = -(2**31)  # in a map of ways down, where minima are below 0 too


@kernel
def lattice_points(first: Ints, sides: Floats, points: Floats) -> None:
    """Write the one random point in each box of a lattice, in voxels.

    `points`, shape (K, L, M, 3), are those of the boxes from `first`, shape (3,), on, whose `sides` are in voxels.
    """
    for i in range(points.shape[0]):
        for j in range(points.shape[1]):
            for k in range(points.shape[2]):
                for axis in range(3):
                    box = first[axis] + (i, j, k)[axis]
                    bits = mixed_place(axis, first[0] + i, first[1] + j, first[2] + k)
                    points[i, j, k, axis] = (box + fraction(bits)) * sides[axis]


@kernel
def lattice_distances(points: Floats, first: Ints, sides: Floats, origin: Ints, distances: Array) -> None:
    """Write the squared distance of each voxel to the nearest of the points in its box and the 26 around it.

    `distances`, float32 of shape (M, N, P), are those of the voxels from `origin` on.
    """
    n_planes, n_rows, n_columns = distances.shape
    for z in range(n_planes):
        i = int((z + origin[0]) / sides[0]) - first[0]
        for y in range(n_rows):
            j = int((y + origin[1]) / sides[1]) - first[1]
            row = distances[z, y]
            start = 0
            while start < n_columns:
                box = int((start + origin[2]) / sides[2])
                stop = start + 1
                while stop < n_columns and int((stop + origin[2]) / sides[2]) == box:
                    stop += 1
                run = row[start:stop]
                run[:] = np.inf
                for near in range(27):
                    at = points[i + near // 9 - 1, j + near // 3 % 3 - 1, box - first[2] + near % 3 - 1]
                    across = (z + origin[0] - at[0]) ** 2 + (y + origin[1] - at[1]) ** 2
                    for x in range(run.size):
                        run[x] = min(run[x], np.float32(across + (x + start + origin[2] - at[2]) ** 2))
                start = stop


@kernel
def nearest_points(points: Floats, first: Ints, sides: Floats, places: Ints, nearest: Ints) -> None:
    """Write the number of the nearest lattice point, looked for as `lattice_distances` does, of each place, (N, 3)."""
    for n in range(places.shape[0]):
        i, j, k = (
            int(places[n, 0] / sides[0]) - first[0],
            int(places[n, 1] / sides[1]) - first[1],
            int(places[n, 2] / sides[2]) - first[2],
        )
        best = np.inf
        for near in range(27):
            a, b, c = i + near // 9 - 1, j + near // 3 % 3 - 1, k + near % 3 - 1
            at = points[a, b, c]
            distance = (places[n, 0] - at[0]) ** 2 + (places[n, 1] - at[1]) ** 2 + (places[n, 2] - at[2]) ** 2
            if distance < best:
                best = distance
                nearest[n] = (a * points.shape[1] + b) * points.shape[2] + c


@kernel
def descend(height: Array, ties: Array, inside: Bools, basins: Ints) -> Ints:
    """Write which minimum the way down from each voxel ends in; return where the minima are.

    Parameters
    ----------
    height, ties : float (M, N, P)
        The way goes to the neighbour that is lowest; of equals, to that with less of `ties`, then to the first.
    inside : bool (M, N, P), or (0, 0, 0) for all
        No way goes through other voxels.
    basins : int32 (M, N, P)
        From 1 on in the order of the minima; 0 outside.

    Returns
    -------
    minima : int64 (B,), positions in the raveled window, increasing
    """
    n_planes, n_rows, n_columns = height.shape
    strides = (n_rows * n_columns, n_columns, 1)
    flat, tie, way = height.reshape(-1), ties.reshape(-1), basins.reshape(-1)
    may = inside.reshape(-1)
    minima = np.empty(1024, dtype=np.int64)
    n = 0
    for z in range(n_planes):
        for y in range(n_rows):
            for x in range(n_columns):
                here = (z * n_rows + y) * n_columns + x
                if may.size > 0 and not may[here]:
                    way[here] = _MASKED
                    continue
                low, level = here, flat[here]
                # In the order of positions, so that the first of equals is kept.
                if z > 0:
                    low, level = _lower(flat, tie, may, low, level, here - strides[0])
                if y > 0:
                    low, level = _lower(flat, tie, may, low, level, here - strides[1])
                if x > 0:
                    low, level = _lower(flat, tie, may, low, level, here - strides[2])
                if x < n_columns - 1:
                    low, level = _lower(flat, tie, may, low, level, here + strides[2])
                if y < n_rows - 1:
                    low, level = _lower(flat, tie, may, low, level, here + strides[1])
                if z < n_planes - 1:
                    low, level = _lower(flat, tie, may, low, level, here + strides[0])
                way[here] = low
                if low == here:
                    if n == minima.size:
                        minima = np.concatenate((minima, np.empty_like(minima)))
                    minima[n] = here
                    n += 1
                    way[here] = -n
    _follow(way)
    return minima[:n].copy()


@pasted
def _lower(height: Array, ties: Array, inside: Bools, a: int, level: float, b: int) -> tuple[int, float]:
    """Return the lower of two positions of which only `b` may be outside, and its height; `level` is that of `a`."""
    here = height[np.uint64(b)]
    if inside.size > 0 and not inside[b]:
        return a, level
    if here == level:
        return (b if ties[b] < ties[a] or (ties[b] == ties[a] and b < a) else a), level
    # Without branches, which the processor could not guess.
    return b if here < level else a, min(here, level)


@pasted
def _follow(way: Ints) -> None:
    """Replace positions by the minima that they lead to, and minima by their numbers."""
    for start in range(way.size):
        end = start
        while way[end] >= 0:
            end = way[end]
        here = start
        while way[here] >= 0:
            there = way[here]
            way[here] = way[end]
            here = there
    for i in range(way.size):
        if way[i] == _MASKED:
            way[i] = 0
        else:
            way[i] = -way[i]
