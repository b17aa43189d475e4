"""Pairs of voxels with an affinity: what lies between regions, joined into one cache row for each pair of regions.

The pairs of a channel are given as runs: so many voxels that follow each other in memory, and as many at their
other ends.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from gala._kernels.adjacency import BUFFER, SEGMENT, Block, Gathering, add_row, join_voxels, new_buffer
from gala._kernels.containers import grown_table, is_free, new_table, slot_of, value_at
from gala._kernels.jit import gather_kernel, kernel, pasted
from gala._types import Array, Floats, Ints

_FINE = 2**16


class Pairs(NamedTuple):
    """Voxel pairs of a block, in R runs."""

    values: Array  # (K, V) float32 or float64, as given
    attractive: bool  # whether 1 is together
    runs: Ints  # (R, 5): channel, voxel in `values`, the same voxel and its other end in the block, how many


@kernel
def gather_pairs(block: Block, pairs: Pairs, of_pairs: Gathering, rows: Floats) -> tuple[Ints, Floats, float]:
    """Return which regions pairs connect, and the cache rows of the boundaries between these.

    `rows`, shape (R, B), is room for as many rows as there may be; if it is not enough, more is made. NumPy makes it,
    which asks the system for large pages.

    Returns
    -------
    edges : int64 (E, 2), regions u < v, in the order in which they were met
    rows : float64 (E, B)
    total : the sum of all these boundaries
    """
    longest = 1
    for r in range(pairs.runs.shape[0]):
        longest = max(longest, pairs.runs[r, 4])
    edges = np.empty((rows.shape[0], 2), dtype=np.int64)
    table = new_table(rows.shape[0])
    room = new_buffer(BUFFER + longest, block)
    chosen = np.empty(longest, dtype=np.int64)
    differs = np.empty(longest, dtype=np.int32)
    n_edges, n, total = 0, 0, 0.0
    for r in range(pairs.runs.shape[0]):
        channel, voxel, here, there, length = pairs.runs[r]
        own, other = block.regions[here : here + length], block.regions[there : there + length]
        n_chosen = np.uint64(0)  # unsigned: what may be below 0 takes two more steps for each place in an array
        for j in range(length):
            differs[j] = (own[j] != other[j]) & (min(own[j], other[j]) >= 0)
        for j in range(length):
            chosen[n_chosen] = j
            n_chosen += np.uint64(differs[j])
        # Room for all that the run may bring: arrays that never change in an inner loop make it faster.
        while n_edges + np.int64(n_chosen) > edges.shape[0]:
            edges = np.concatenate((edges, np.empty_like(edges)))
            rows = np.concatenate((rows, np.empty_like(rows)))
            table = grown_table(table)
        for c in range(n_chosen):
            place = np.uint64(chosen[np.uint64(c)])
            low, high = min(own[place], other[place]), max(own[place], other[place])
            key = (np.uint64(low) << np.uint64(32)) | np.uint64(high)
            slot = slot_of(table, key)
            if is_free(table, slot):
                table[slot, 0] = key
                table[slot, 1] = np.uint64(n_edges)
                edges[n_edges, 0], edges[n_edges, 1] = low, high
                rows[n_edges] = of_pairs.empty
                n_edges += 1
            value = _boundary(pairs, channel, voxel + np.int64(place))
            room.owners[np.uint64(n)] = value_at(table, slot)
            room.values[np.uint64(n), 0] = value
            total += value
            n += 1
        if n > BUFFER or r == pairs.runs.shape[0] - 1:
            join_voxels(block, of_pairs, room, n, rows)
            n = 0
    return edges[:n_edges], rows[:n_edges], total


@kernel
def sum_inside(block: Block, pairs: Pairs) -> tuple[float, int]:
    """Return the sum of the boundaries of the pairs within regions, each to 16 bits, and how many there are.

    Whole numbers are added several at a time, and in any order.
    """
    total, n = np.int64(0), np.int64(0)
    for r in range(pairs.runs.shape[0]):
        channel, voxel, here, there, length = pairs.runs[r]
        own, other = block.regions[here : here + length], block.regions[there : there + length]
        for j in range(length):
            is_inside = (own[j] == other[j]) & (own[j] >= 0)
            n += is_inside
            total += np.int32(_FINE * _boundary(pairs, channel, voxel + j)) * is_inside
    return total / _FINE, int(n)


@kernel
def gather_voxels(block: Block, of_regions: Gathering, n_regions: int) -> Floats:
    """Return the cache rows of regions, float64 (n_regions, A), from an image of one number for each voxel."""
    rows = np.empty((n_regions, of_regions.empty.size))
    rows[:] = of_regions.empty
    room = new_buffer(BUFFER + SEGMENT, block)
    n = 0
    for s in range(block.segments.shape[0]):
        first, voxel, length = block.segments[s, 0], block.segments[s, 1], block.segments[s, 2]
        n = add_row(block, block.regions[first : first + length], voxel, room, n)
        if n > BUFFER or s == block.segments.shape[0] - 1:
            join_voxels(block, of_regions, room, n, rows)
            n = 0
    return rows


@kernel
def gather_each(block: Block, values: Floats, of_pairs: Gathering) -> Floats:
    """Return one cache row for each value, shape (E,), that summarises nothing else: float64 (E, B)."""
    rows = np.empty((values.size, of_pairs.empty.size))
    rows[:] = of_pairs.empty
    room = new_buffer(max(values.size, 1), block)
    for i in range(values.size):
        room.owners[i] = i
        room.values[i, 0] = values[i]
    join_voxels(block, of_pairs, room, values.size, rows)
    return rows


@kernel
def mean_of_pairs(pairs: Pairs, first: int, out: Array) -> None:
    """Write the mean boundary of the pairs that start at each voxel to `out`, shape (V,); 0 if there are none.

    `out` begins with voxel `first` of the values.
    """
    count = np.zeros(out.size, dtype=np.int8)
    out[:] = 0
    for r in range(pairs.runs.shape[0]):
        channel, voxel, length = pairs.runs[r, 0], pairs.runs[r, 1], pairs.runs[r, 4]
        place = voxel - first
        for j in range(length):
            out[place + j] += _boundary(pairs, channel, voxel + j)
            count[place + j] += 1
    for i in range(out.size):
        out[i] /= max(count[i], 1)


@gather_kernel
def keep_lowest(
    params: Floats, channels: Ints, values: Floats, coords: Floats, faces: Floats, owner: Ints, first: int, out: Floats
) -> None:
    """Lower the lowest value."""
    for i in range(owner.size):
        out[owner[i], first] = min(out[owner[i], first], values[i, 0])


@pasted
def _boundary(pairs: Pairs, channel: int, voxel: int) -> float:
    """Return how far apart the voxels of a pair are, from 0 to 1."""
    value = min(max(float(pairs.values[np.uint64(channel), np.uint64(voxel)]), 0.0), 1.0)
    return 1.0 - value if pairs.attractive else value
