"""Cells of a synthetic volume and the membranes between them, evaluated at any place without the rest."""

from __future__ import annotations

import numpy as np

from gala._kernels.hashing import fraction, mixed_place
from gala._kernels.jit import inlined, kernel
from gala._types import Array, Floats, Ints, Labels

TILE = 8  # voxels along each side of what is drawn at once
_MOST = 64  # points that can be near a tile
_membrane = 1.5  # voxels from the middle of a membrane to where it has faded
_CELLS, _SURE, _GAPS, _GRAIN = 11, 12, 13, 14  # what random numbers are for


@kernel
def draw_tubes(origin: Ints, seed: int, side: float, length: int, n_rows: int, truth: Labels, boundary: Array) -> None:
    """Write the cells of a box, and a boundary map.

    Space is cut by random points, one in each cube of a lattice, into what is nearest to each. Those of cubes that
    follow each other along the planes, `length` of them, make one cell.

    Parameters
    ----------
    origin : int64 (3,), of the box in the volume, multiples of `TILE`
    side : sides of the cubes, in voxels
    n_rows : cubes along a row of the volume and beyond, for the numbers of cells
    truth : uint64 (M, N, P), cells from 1
    boundary : uint8 (M, N, P), 255 in the middle of a membrane that is sure
    """
    points = np.empty((_MOST, 3))
    cells = np.empty(_MOST, dtype=np.uint64)
    corners = np.empty((2, 8))
    for z in range(0, truth.shape[0], TILE):
        for y in range(0, truth.shape[1], TILE):
            for x in range(0, truth.shape[2], TILE):
                place = (origin[0] + z, origin[1] + y, origin[2] + x)
                n = _near(place, seed, side, length, n_rows, points, cells)
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
def _near(
    place: tuple[int, int, int], seed: int, side: float, length: int, n_rows: int, points: Floats, cells: Array
) -> int:
    """Write the points that can be the nearest of a voxel of a tile, or the second; return how many."""
    home = (int(place[0] // side), int(place[1] // side), int(place[2] // side))
    farthest = np.empty(_MOST)
    nearest = np.empty(_MOST)
    for near in range(_MOST):
        i, j, k = home[0] + near // 16 - 1, home[1] + near // 4 % 4 - 1, home[2] + near % 4 - 1
        points[near, 0] = (i + fraction(mixed_place(seed, i, j, k))) * side
        points[near, 1] = (j + fraction(mixed_place(seed + 1, i, j, k))) * side
        points[near, 2] = (k + fraction(mixed_place(seed + 2, i, j, k))) * side
        shift = int(fraction(mixed_place(seed + _CELLS, 0, j, k)) * length)
        column = np.uint64((j + 1) * n_rows + k + 1)
        cells[near] = np.uint64(1) + (column << np.uint64(16)) + np.uint64((i + 1 + shift) // length)
        nearest[near], farthest[near] = 0.0, 0.0
        for axis in range(3):
            below, above = place[axis] - points[near, axis], points[near, axis] - (place[axis] + TILE - 1)
            nearest[near] += max(below, above, 0.0) ** 2
            farthest[near] += max(abs(below), abs(above)) ** 2
    # Whoever is nearest somewhere is no farther, at its nearest, than the first is at its farthest.
    reach = np.inf
    for near in range(_MOST):
        reach = min(reach, farthest[near])
    reach = (np.sqrt(reach) + 2 * _membrane + 2) ** 2
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
    grid = np.empty((2, 2))
    for z in range(truth.shape[0]):
        for y in range(truth.shape[1]):
            for kind in range(2):
                for end in range(2):
                    a, b, t, u = corners[kind, end], corners[kind, end + 4], z / TILE, y / TILE
                    c, d = corners[kind, end + 2], corners[kind, end + 6]
                    grid[kind, end] = (1 - u) * ((1 - t) * a + t * b) + u * ((1 - t) * c + t * d)
            for x in range(truth.shape[2]):
                first, own = np.inf, 0
                for n in range(points.shape[0]):
                    distance = (
                        (place[0] + z - points[n, 0]) ** 2
                        + (place[1] + y - points[n, 1]) ** 2
                        + (place[2] + x - points[n, 2]) ** 2
                    )
                    if distance < first:
                        first, own = distance, n
                gap = np.inf  # to the nearest membrane
                for n in range(points.shape[0]):
                    if cells[n] == cells[own]:
                        continue
                    distance = (
                        (place[0] + z - points[n, 0]) ** 2
                        + (place[1] + y - points[n, 1]) ** 2
                        + (place[2] + x - points[n, 2]) ** 2
                    )
                    apart = (
                        (points[own, 0] - points[n, 0]) ** 2
                        + (points[own, 1] - points[n, 1]) ** 2
                        + (points[own, 2] - points[n, 2]) ** 2
                    )
                    gap = min(gap, 0.5 * (distance - first) / np.sqrt(apart))
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
