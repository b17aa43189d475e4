"""An agglomeration under way as arrays, and what all kernels of the engine ask of it.

Each region that lives on is known by the number of one of its leaves, each contact by that of one of its parts.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from gala._kernels.containers import Bags, have_common_label, is_free, slot_of, value_at
from gala._kernels.jit import inlined, kernel, pasted
from gala._kernels.rows import join_row
from gala._types import Array, Bools, Floats, Ints

# Entries of `State.counters`.
N_MERGES, N_HEAP, N_TOUCHED, N_DEAD, N_KEYS, N_AT_BORDER = 0, 1, 2, 3, 4, 5
N_ROWS, N_FREE = 6, 7  # rows of `State.contact_rows` that were ever used, and those that can be used again

# Columns of `State.links`. A contact's two sides are two columns each.
END = 0  # the region; -1 if the contact is gone
NEXT = 2  # in the list of the region's half contacts
NEXT_PART, LAST_PART = 4, 5  # in the list of the graph's contacts that make it up
ROW = 6  # in `contact_rows`; -1 if its row is as it was given

# Columns of `State.scores`.
PRIORITY = 0  # infinity never merges
RANK = 1  # lowest of the contact's parts in the order of the graph's edges
LOW, LOW_RANK = 2, 3  # of the contact's heap entry; infinity if it has none

# Columns of `State.classes`, bit masks: no region that has a class merges with one that refuses it.
HAS, REFUSES = 0, 1


class State(NamedTuple):
    """An agglomeration under way: N regions, E contacts; all arrays change.

    What belongs to one contact lies side by side: a contact costs two cache lines instead of eight.
    """

    # Rows of regions and contacts that are gone mean nothing.
    region_rows: Floats  # (N, A)
    contact_rows: Floats  # (R, B): see ROW; few are ever used if rows are `given`
    given: Array  # (E, B * k) uint16: rows of counts of 16 or 32 bits as they were given, which never change; or (0, 0)
    free_rows: Ints  # (R,) int32: rows that can be used again, the first `counters[N_FREE]`
    size: Floats  # (N,) voxels of each region
    node: Ints  # (N,) node of the merge tree that a region is; -1 if it is gone
    links: Ints  # (E, 7) int32: columns END and NEXT for either side, NEXT_PART, LAST_PART, ROW
    scores: Floats  # (E, 4): columns PRIORITY, RANK, LOW, LOW_RANK
    touched: Ints  # (E,) int32: contacts to score again, the first `counters[N_TOUCHED]`
    common: Ints  # (E,) int32: room for contacts that two regions have with the same neighbours
    children: Ints  # (N - 1, 2) nodes of each merge, as in the merge tree
    merge_priority: Floats  # (N - 1,)
    counters: Ints  # (8,)
    # What stops merges.
    classes: Array  # (N, 2) uint64: columns HAS, REFUSES
    frozen_contact: Bools  # (E,)
    exclusions: Bags  # regions that have a label in common never merge
    # How columns are joined, as in graph.caches.Join.
    region_joins: Ints  # (A,)
    contact_joins: Ints  # (B,)
    surfaces: Ints  # (K, 2) columns of regions that lose, as two merge, what is in these of their contact
    # What each region is made of: linked lists of leaves; -1 ends a list.
    next_leaf: Ints  # (N,) int32
    last_leaf: Ints  # (N,) int32
    # The contacts of each region: linked lists of half contacts, 2 * contact + side; -1 ends a list. A half of a
    # contact that is gone stays in its list: `is_half_of` tells.
    head: Ints  # (N,) int32
    degree: Ints  # (N,) int32
    table: Array  # from a pair of regions to their contact; pairs with a region that is gone stay until it is full
    # The heap, ordered by priority, then by rank, which is above the contact in `heap_key`.
    heap_priority: Floats  # (2E + 16,)
    heap_key: Ints  # (2E + 16,) int64

    @property
    def ends(self) -> Ints:
        """The regions of each contact, (E, 2); -1 if it is gone. Not for kernels."""
        return self.links[:, END : END + 2]

    @property
    def priority(self) -> Floats:
        """The priority of each contact, (E,). Not for kernels."""
        return self.scores[:, PRIORITY]


@inlined
def key_of(u: int, v: int) -> np.uint64:
    """Return the key of a pair of regions in `State.table`."""
    return (np.uint64(min(u, v)) << np.uint64(32)) | np.uint64(max(u, v))


@pasted
def is_half_of(state: State, half: int, region: int) -> bool:
    """Tell whether `half`, found in the list of `region`, is one of its contacts still."""
    return bool(state.links[half >> 1, END + (half & 1)] == region)


@pasted
def find_contact(state: State, u: int, v: int) -> int:
    """Return the contact of two regions, or -1."""
    slot = slot_of(state.table, key_of(u, v))
    return -1 if is_free(state.table, slot) else value_at(state.table, slot)


@pasted
def may_merge(state: State, e: int) -> bool:
    """Tell whether no constraint keeps the regions of contact `e` apart."""
    return not state.frozen_contact[e] and may_share(state, state.links[e, END], state.links[e, END + 1])


@pasted
def may_share(state: State, u: int, v: int) -> bool:
    """Tell whether no constraint but that on their contact keeps two regions apart."""
    if state.classes[u, HAS] & state.classes[v, REFUSES] != np.uint64(0):
        return False
    return not have_common_label(state.exclusions, u, v)


@kernel
def find_mergeable(state: State, edges: Ints, out: Bools) -> None:
    """Tell of each contact in `edges`, shape (B,), whether it may merge, in `out`, shape (B,)."""
    for i in range(edges.size):
        out[i] = may_merge(state, edges[i])


@kernel
def new_room(state: State) -> Floats:
    """Return room for one row of a contact, shape (1, B)."""
    return np.empty((1, state.contact_joins.size))


@pasted
def unpack_row(state: State, e: int, out: Floats, target: int) -> None:
    """Write the row of contact `e` as it was given to ``out[target]``."""
    for c in range(out.shape[1]):
        out[target, c] = 0.0
    add_given_row(state, e, out, target)


@pasted
def add_given_row(state: State, e: int, out: Floats, target: int) -> None:
    """Join the row of contact `e` as it was given into ``out[target]``."""
    if state.given.shape[1] == out.shape[1]:
        for c in range(out.shape[1]):
            out[target, c] += state.given[e, c]
    else:
        for c in range(out.shape[1]):
            out[target, c] += state.given[e, 2 * c] + 65536.0 * state.given[e, 2 * c + 1]


@pasted
def join_contact_rows(state: State, stays: int, goes: int) -> None:
    """Join the row of contact `goes` into that of contact `stays`."""
    row, other = state.links[stays, ROW], state.links[goes, ROW]
    if state.given.size == 0:
        join_row(state.contact_joins, state.contact_rows, row, state.contact_rows, other)
    elif row >= 0 and other >= 0:
        for c in range(state.contact_rows.shape[1]):
            state.contact_rows[row, c] += state.contact_rows[other, c]
        drop_row(state, goes)
    elif row >= 0:
        add_given_row(state, goes, state.contact_rows, row)
    elif other >= 0:  # counts: the order of the two does not matter
        add_given_row(state, stays, state.contact_rows, other)
        state.links[stays, ROW], state.links[goes, ROW] = other, -1
    else:
        row = _new_row(state)
        unpack_row(state, stays, state.contact_rows, row)
        add_given_row(state, goes, state.contact_rows, row)
        state.links[stays, ROW] = row


@pasted
def drop_row(state: State, e: int) -> None:
    """Let the row of a contact that is gone be used again, if rows are scarce."""
    row = state.links[e, ROW]
    if state.given.size > 0 and row >= 0:
        state.free_rows[state.counters[N_FREE]] = row
        state.counters[N_FREE] += 1
        state.links[e, ROW] = -1


@pasted
def _new_row(state: State) -> int:
    if state.counters[N_FREE] > 0:
        state.counters[N_FREE] -= 1
        return int(state.free_rows[state.counters[N_FREE]])
    state.counters[N_ROWS] += 1
    return int(state.counters[N_ROWS] - 1)


@kernel
def unpack_rows(state: State, contacts: Ints, out: Floats) -> None:
    """Write the row of each contact, shape (K,), to `out`, shape (K, B)."""
    for i in range(contacts.size):
        row = state.links[contacts[i], ROW]
        if row >= 0:
            out[i] = state.contact_rows[row]
        else:
            unpack_row(state, contacts[i], out, i)
