"""Counting the voxels that two labellings share, pair by pair.

Voxels are taken in runs of equal pairs, so the hash table is asked once per run. A key is both labels, 128
bits: any label up to 2**64 - 1 will do, and memory follows the number of pairs.
"""

from __future__ import annotations

import numpy as np

from gala._kernels.jit import inlined, kernel
from gala._types import Array

# Multiplying by 2^64 / golden ratio spreads labels over the high bits, which the shift brings down.
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_HALF = np.uint64(32)
_ONE = np.uint64(1)


@kernel
def count_pairs(seg: Array, truth: Array) -> Array:
    """Return rows (label, truth label, number of voxels), one for each pair: uint64, shape (K, 3).

    ``seg`` and ``truth``, shape (V,), are both uint32 or both uint64. The rows are in no order.
    """
    table = np.zeros((1024, 3), dtype=np.uint64)  # slots like the rows above; free while there are no voxels
    first, n_pairs = _count_into(table, 0, seg, truth, np.uint64(0))
    while first < np.uint64(seg.size):
        table = _grown(table)
        first, n_pairs = _count_into(table, n_pairs, seg, truth, first)
    return _taken(table, n_pairs)


@kernel
def _count_into(table: Array, n_pairs: int, seg: Array, truth: Array, first: np.uint64) -> tuple[np.uint64, int]:
    """Count voxels from `first` on until half of the slots are taken; return where it stopped, and n_pairs.

    A loop of its own, since one that also grows the table takes a third longer.
    """
    n_voxels = np.uint64(seg.size)  # unsigned, so that Numba drops its test for negative indices
    i = first
    while i < n_voxels and 2 * n_pairs < table.shape[0]:
        start, label, other = i, seg[i], truth[i]
        i += _ONE
        while i < n_voxels and seg[i] == label and truth[i] == other:
            i += _ONE
        slot = _slot_of(table, np.uint64(label), np.uint64(other))
        if table[slot, 2] == 0:
            table[slot, 0] = label
            table[slot, 1] = other
            n_pairs += 1
        table[slot, 2] += i - start
    return i, n_pairs


@inlined
def _slot_of(table: Array, label: np.uint64, other: np.uint64) -> np.uint64:
    """Return the slot of this pair, or the free one where it belongs."""
    last = np.uint64(table.shape[0] - 1)
    mixed = ((label * _GOLDEN) ^ other) * _GOLDEN
    mixed = (mixed ^ (mixed >> _HALF)) * _GOLDEN
    slot = (mixed ^ (mixed >> _HALF)) & last
    while table[slot, 2] != 0 and (table[slot, 0] != label or table[slot, 1] != other):
        slot = (slot + _ONE) & last
    return slot


@kernel
def _grown(table: Array) -> Array:
    """Return `table` with twice the slots; larger steps leave the cache of the processor."""
    larger = np.zeros((2 * table.shape[0], 3), dtype=np.uint64)
    for i in range(table.shape[0]):
        if table[i, 2] != 0:
            larger[_slot_of(larger, table[i, 0], table[i, 1])] = table[i]
    return larger


@kernel
def _taken(table: Array, n_pairs: int) -> Array:
    """Return the slots of `table` that are taken, shape (n_pairs, 3)."""
    pairs = np.empty((n_pairs, 3), dtype=np.uint64)
    row = 0
    for i in range(table.shape[0]):
        if table[i, 2] != 0:
            pairs[row] = table[i]
            row += 1
    return pairs
