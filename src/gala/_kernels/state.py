"""An agglomeration under way as arrays, and what all kernels of the engine ask of it.

Each region that lives on is known by the number of one of its leaves, each contact by that of one of its parts.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from gala._kernels.containers import Bags, have_common_label, is_free, slot_of, value_at
from gala._kernels.jit import inlined, kernel, pasted
from gala._types import Array, Bools, Floats, Ints

# Entries of `State.counters`.
N_MERGES, N_HEAP, N_TOUCHED, N_DEAD, N_KEYS, N_AT_BORDER = 0, 1, 2, 3, 4, 5

# Columns of `State.links`. A contact's two sides are two columns each.
END = 0  # the region; -1 if the contact is gone
NEXT = 2  # in the list of the region's half contacts
NEXT_PART, LAST_PART = 4, 5  # in the list of the graph's contacts that make it up

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
    contact_rows: Floats  # (E, B)
    size: Floats  # (N,) voxels of each region
    node: Ints  # (N,) node of the merge tree that a region is; -1 if it is gone
    links: Ints  # (E, 6) int32: columns END and NEXT for either side, NEXT_PART, LAST_PART
    scores: Floats  # (E, 4): columns PRIORITY, RANK, LOW, LOW_RANK
    touched: Ints  # (E,) int32: contacts to score again, the first `counters[N_TOUCHED]`
    common: Ints  # (E,) int32: room for contacts that two regions have with the same neighbours
    children: Ints  # (N - 1, 2) nodes of each merge, as in the merge tree
    merge_priority: Floats  # (N - 1,)
    counters: Ints  # (6,)
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
