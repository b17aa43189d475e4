"""A hash table and bags of labels, as plain arrays."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from gala._kernels.jit import inlined, kernel, pasted
from gala._types import Array, Floats, Ints

# Two odd multipliers below 2^31 (the second from the golden ratio): the sum of both products fits 64 bits.
_LOW = np.uint64(0x45D9F3B5)
_HIGH = np.uint64(0x61C88647)
_HALF = np.uint64(0xFFFFFFFF)
_FREE = np.uint64(0xFFFFFFFFFFFFFFFF)  # the value, not the key, of a slot that holds nothing


# -- hash table: uint64 (n_slots, 2), key beside value so that one look-up touches one cache line --------------------


@kernel
def new_table(capacity: int) -> Array:
    """Return an empty table with room for `capacity` keys; at most half of its slots are then taken."""
    n_slots = 16
    while n_slots < 2 * capacity:
        n_slots *= 2
    table = np.empty((n_slots, 2), dtype=np.uint64)
    table[:, 1] = _FREE
    return table


@inlined
def home_of(key: np.uint64, last: np.uint64) -> np.uint64:
    """Return the slot where the search for `key` begins."""
    mixed = (key & _HALF) * _LOW + (key >> np.uint64(32)) * _HIGH
    return (mixed ^ (mixed >> np.uint64(15))) & last


@inlined
def slot_of(table: Array, key: np.uint64) -> np.uint64:
    """Return the slot of `key`, or the free one where it belongs."""
    last = np.uint64(table.shape[0] - 1)
    slot = home_of(key, last)
    while table[slot, 1] != _FREE and table[slot, 0] != key:
        slot = (slot + np.uint64(1)) & last
    return slot


@inlined
def is_free(table: Array, slot: np.uint64) -> bool:
    """Tell whether `slot` holds nothing."""
    return table[slot, 1] == _FREE  # type: ignore[no-any-return]  # a NumPy bool


@inlined
def value_at(table: Array, slot: np.uint64) -> int:
    """Return the value in `slot`."""
    return np.int64(table[slot, 1])  # type: ignore[return-value]  # Numba's int() would keep it unsigned


@kernel
def grown_table(table: Array) -> Array:
    """Return `table` with twice the slots."""
    larger = np.empty((2 * table.shape[0], 2), dtype=np.uint64)
    larger[:, 1] = _FREE
    for i in range(table.shape[0]):
        if table[i, 1] != _FREE:
            slot = slot_of(larger, table[i, 0])
            larger[slot, 0] = table[i, 0]
            larger[slot, 1] = table[i, 1]
    return larger


@pasted
def clear_table(table: Array) -> None:
    """Remove all keys."""
    for i in range(table.shape[0]):
        table[i, 1] = _FREE


# -- bags: for each of N regions, some labels and an amount of each --------------------------------------------------


class Bags(NamedTuple):
    """Linked lists of labels, increasing within each list; -1 ends a list."""

    head: Ints  # (N,)
    following: Ints  # (P,)
    label: Ints  # (P,)
    amount: Floats  # (P,)
    total: Floats  # (N,) sum of the amounts of each


@pasted
def pour(bags: Bags, target: int, source: int) -> None:
    """Pour all that is in bag `source` into bag `target`."""
    a, b = bags.head[target], bags.head[source]
    last = -1
    while a >= 0 or b >= 0:
        if b < 0 or (a >= 0 and bags.label[a] <= bags.label[b]):
            taken = a
            if b >= 0 and bags.label[a] == bags.label[b]:
                bags.amount[a] += bags.amount[b]
                b = bags.following[b]
            a = bags.following[a]
        else:
            taken = b
            b = bags.following[b]
        if last < 0:
            bags.head[target] = taken
        else:
            bags.following[last] = taken
        last = taken
    if last >= 0:
        bags.following[last] = -1
    bags.head[source] = -1
    bags.total[target] += bags.total[source]
    bags.total[source] = 0.0


@pasted
def have_common_label(bags: Bags, u: int, v: int) -> bool:
    """Tell whether some label is in both bags."""
    a, b = bags.head[u], bags.head[v]
    while a >= 0 and b >= 0:
        if bags.label[a] == bags.label[b]:
            return True
        if bags.label[a] < bags.label[b]:
            a = bags.following[a]
        else:
            b = bags.following[b]
    return False


@pasted
def main_label(bags: Bags, u: int) -> int:
    """Return the label of which there is most in bag `u`, the lowest of several; -1 if it is empty."""
    best, most = -1, 0.0
    i = bags.head[u]
    while i >= 0:
        if bags.amount[i] > most:
            best, most = bags.label[i], bags.amount[i]
        i = bags.following[i]
    return best
