"""Cells of a synthetic volume and the membranes between them, evaluated at any place without the rest."""

from __future__ import annotations

import numpy as np

from gala._kernels.hashing import fraction, mixed_place
from gala._kernels.jit import inlined, kernel, pasted
from gala._types import Array, Floats, Ints, Labels

TILE = 8  # voxels along each side of what is drawn at once
_MOST = 64  # points that can be near a tile
_membrane = 1.5  # voxels from the middle of a membrane to where it has faded
_CELLS, _SURE, _GAPS, _GRAIN = 11, 12, 13, 14  # what random numbers are for


@kernel
def draw_tubes(origin: Ints, seed: int, side: float, length: int, truth: Labels, boundary: Array) -> None:
    """Write the cells of a box, and a boundary map.

    Space is cut by random points, one in the middle of each cube of a lattice, into what is nearest to each. Those of
    cubes that follow each other along the planes, `length` of them, make one cell; some are in two pieces.

    Parameters
    ----------
    origin : int64 (3,), of the box in the volume, multiples of `TILE`
    side : sides of the cubes, in voxels
    truth : uint64 (M, N, P), cells: 20 bits each say which cube in rows, in columns and which along the planes
    boundary : uint8 (M, N, P), 255 in the middle of a membrane that is sure
    """
    points = np.empty((_MOST, 3))
    cells = np.empty(_MOST, dtype=np.uint64)
    corners = np.empty((2, 8))
    for z in range(0, truth.shape[0], TILE):
        for y in range(0, truth.shape[1], TILE):
            for x in range(0, truth.shape[2], TILE):
                place = (origin[0] + z, origin[1] + y, origin[2] + x)
                n = _near(place, seed, side, length, points, cells)
                for corner in range(8):
                    at = (
                        place[0] // TILE + corner // 4,
                        place[1] // TILE + corner // 2 % 2,
                        place[2] // TILE + corner % 2,
                    )
                    corners[0, corner] = _slow(seed, at)
                    corners[1, corner] = fraction(mixed_place(seed + _GAPS, at[0], at[1], at[2]))
                box = (slice(z, z + TILE), slice(y, y + TILE), slice(x, x + TILE))
                _draw_tile(place, seed, points[:n], cells[:n], corners, truth[box], boundary[box])


@inlined
def _slow(seed: int, at: tuple[int, int, int]) -> float:
    """Return what varies over two tiles: random numbers at every other corner, means of these between."""
    total = 0.0
    for corner in range(8):
        total += fraction(
            mixed_place(
                seed + _SURE,
                (at[0] + corner // 4) // 2,
                (at[1] + corner // 2 % 2) // 2,
                (at[2] + corner % 2) // 2,
            )
        )
    return total / 8


@kernel
def _near(place: tuple[int, int, int], seed: int, side: float, length: int, points: Floats, cells: Array) -> int:
    """Write the points that can be the nearest of a voxel of a tile, or the second; return how many."""
    home = (int(place[0] // side), int(place[1] // side), int(place[2] // side))
    farthest = np.empty(_MOST)
    nearest = np.empty(_MOST)
    for near in range(_MOST):
        i, j, k = home[0] + near // 16 - 1, home[1] + near // 4 % 4 - 1, home[2] + near % 4 - 1
        points[near, 0] = (i + 0.2 + 0.6 * fraction(mixed_place(seed, i, j, k))) * side
        points[near, 1] = (j + 0.2 + 0.6 * fraction(mixed_place(seed + 1, i, j, k))) * side
        points[near, 2] = (k + 0.2 + 0.6 * fraction(mixed_place(seed + 2, i, j, k))) * side
        shift = int(fraction(mixed_place(seed + _CELLS, 0, j, k)) * length)
        along = (i + length + shift) // length
        cells[near] = (np.uint64(j + 2) << np.uint64(40)) | (np.uint64(k + 2) << np.uint64(20)) | np.uint64(along)
        nearest[near], farthest[near] = 0.0, 0.0
        for axis in range(3):
            below, above = place[axis] - points[near, axis], points[near, axis] - (place[axis] + TILE - 1)
            nearest[near] += max(below, above, 0.0) ** 2
            farthest[near] += max(abs(below), abs(above)) ** 2
    # Whoever is nearest somewhere is no farther, at its nearest, than the first is at its farthest.
    reach = np.inf
    for near in range(_MOST):
        reach = min(reach, farthest[near])
    reach = (np.sqrt(reach) + 4 * _membrane) ** 2
    n = 0
    for near in range(_MOST):
        if nearest[near] <= reach:
            points[n] = points[near]
            cells[n] = cells[near]
            n += 1
    return n


@kernel
def _draw_tile(
    place: tuple[int, int, int],
    seed: int,
    points: Floats,
    cells: Array,
    corners: Floats,
    truth: Labels,
    boundary: Array,
) -> None:
    n_points = points.shape[0]
    grid, across, distance = np.empty((2, 2)), np.empty(n_points), np.empty(n_points)
    per = np.zeros((n_points, n_points))  # from a difference of squared distances to the distance of a membrane
    for a in range(n_points):
        for b in range(n_points):
            if cells[a] != cells[b]:
                apart = 0.0
                for axis in range(3):
                    apart += (points[a, axis] - points[b, axis]) ** 2
                per[a, b] = 0.5 / np.sqrt(apart)
    for z in range(truth.shape[0]):
        for y in range(truth.shape[1]):
            _mix(corners, z / TILE, y / TILE, grid)
            for n in range(n_points):
                across[n] = (place[0] + z - points[n, 0]) ** 2 + (place[1] + y - points[n, 1]) ** 2
            for x in range(truth.shape[2]):
                first, own = np.inf, 0
                for n in range(n_points):
                    distance[n] = across[n] + (place[2] + x - points[n, 2]) ** 2
                    if distance[n] < first:
                        first, own = distance[n], n
                gap = np.inf  # to the nearest membrane
                for n in range(n_points):
                    if per[own, n] > 0.0:
                        gap = min(gap, (distance[n] - first) * per[own, n])
                truth[z, y, x] = cells[own]
                v = x / TILE
                sure = 0.2 + 1.2 * ((1 - v) * grid[0, 0] + v * grid[0, 1])
                texture = (1 - v) * grid[1, 0] + v * grid[1, 1]
                bits = mixed_place(seed + _GRAIN, place[0] + z, place[1] + y, place[2] + x)
                # The sum of two random numbers of 16 bits: noise that is rarely large.
                grain = (float(bits & np.uint64(0xFFFF)) + float(bits >> np.uint64(16))) / 65536.0 - 1.0
                rest = gap / _membrane
                p = min(1.0, sure) / (1.0 + rest * rest * rest * rest)
                p = max(p, 0.5 * (texture - 0.6))
                p += 0.15 * grain * (0.2 + p)
                boundary[z, y, x] = np.uint8(255.0 * min(max(p, 0.0), 1.0) + 0.5)


@pasted
def _mix(corners: Floats, t: float, u: float, grid: Floats) -> None:
    """Write what lies between the corners of a tile along two axes, at both ends of the third."""
    for kind in range(2):
        for end in range(2):
            near = (1 - t) * corners[kind, end] + t * corners[kind, end + 4]
            far = (1 - t) * corners[kind, end + 2] + t * corners[kind, end + 6]
            grid[kind, end] = (1 - u) * near + u * far
