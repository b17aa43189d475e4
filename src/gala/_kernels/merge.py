"""The merge loop: pop the edge of lowest priority, merge its regions, score again what changed.

The loop is made of `pop_edge`, `merge_edge` and `set_priority`; `agglomerate` runs it with a program and a model, and
the Python engine calls the same three with any other policy. Each region that lives on is known by the number of one
of its leaves, each contact by that of one of its parts.

An edge's heap entry is only a lower bound of its priority. When two contacts become one, the entry that is lower
stays; if the new priority is no lower nothing is pushed, and the edge is put in its place when the entry surfaces.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from gala._kernels.columns import (
    END,
    HAS,
    LAST_PART,
    LOW,
    LOW_RANK,
    N_AT_BORDER,
    N_DEAD,
    N_HEAP,
    N_KEYS,
    N_MERGES,
    N_TOUCHED,
    NEXT,
    NEXT_PART,
    PRIORITY,
    RANK,
    REFUSES,
    is_half_of,
    key_of,
)
from gala._kernels.containers import Bags, clear_table, have_common_label, is_free, new_table, pour, slot_of, value_at
from gala._kernels.jit import inlined, kernel, pasted
from gala._kernels.models import Model, score
from gala._kernels.program import Program, describe, finish
from gala._kernels.rows import join_row
from gala._kernels.topology import BORDER, refresh_pair
from gala._types import Array, Bools, Floats, Ints

NOTHING = -1  # what `pop_edge` returns when no edge below the threshold is left


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


@kernel
def link_contacts(state: State) -> Array:
    """Fill lists and table from the ends of the contacts; return the table."""
    table = new_table(state.links.shape[0])
    state.head[:] = -1
    state.degree[:] = 0
    for e in range(state.links.shape[0]):
        if state.links[e, END] < 0:
            continue
        for side in range(2):
            region = state.links[e, END + side]
            _link(state, 2 * e + side, region)
            state.degree[region] += 1
    state.counters[N_KEYS] = _list_pairs(state, table)
    return table


@pasted
def find_contact(state: State, u: int, v: int) -> int:
    """Return the contact of two regions, or -1."""
    slot = slot_of(state.table, key_of(u, v))
    return -1 if is_free(state.table, slot) else value_at(state.table, slot)


@kernel
def fill_heap(state: State, threshold: float) -> None:
    """Make the heap anew: every contact with a priority below `threshold`, at its priority."""
    n = 0
    for e in range(state.links.shape[0]):
        state.scores[e, LOW] = np.inf
        if state.links[e, END] >= 0 and state.scores[e, PRIORITY] < threshold and not state.frozen_contact[e]:
            state.heap_priority[n] = state.scores[e, PRIORITY]
            state.heap_key[n] = (int(state.scores[e, RANK]) << 32) | int(e)
            state.scores[e, LOW] = state.scores[e, PRIORITY]
            state.scores[e, LOW_RANK] = state.scores[e, RANK]
            n += 1
    state.counters[N_HEAP] = n
    state.counters[N_DEAD] = 0
    for i in range(n // 2 - 1, -1, -1):
        _sink(state, i, state.heap_priority[i], state.heap_key[i])


@pasted
def set_priority(state: State, e: int, priority: float, threshold: float) -> None:
    """Give contact `e` a new priority."""
    state.scores[e, PRIORITY] = priority
    scores = state.scores[e]
    if (
        priority < threshold
        and not state.frozen_contact[e]
        and _is_less(priority, scores[RANK], scores[LOW], scores[LOW_RANK])
    ):
        _push(state, e, threshold)


@pasted
def pop_edge(state: State, threshold: float) -> int:
    """Return the contact to merge next, or `NOTHING`."""
    # To carry entries of contacts that are gone costs more than a new heap (72 against 53 ms for 99,348 contacts).
    if state.counters[N_DEAD] > 64 and 2 * state.counters[N_DEAD] > state.counters[N_HEAP]:
        fill_heap(state, threshold)
    while state.counters[N_HEAP] > 0:
        priority, key = state.heap_priority[0], state.heap_key[0]
        rank, e = key >> 32, key & 0xFFFFFFFF
        current = state.links[e, END] >= 0 and priority == state.scores[e, LOW] and rank == state.scores[e, LOW_RANK]
        if current and _is_less(priority, rank, state.scores[e, PRIORITY], state.scores[e, RANK]):
            current = False
            if state.scores[e, PRIORITY] < threshold:
                # The entry was a lower bound: put it where it belongs.
                state.scores[e, LOW] = state.scores[e, PRIORITY]
                state.scores[e, LOW_RANK] = state.scores[e, RANK]
                _sink(state, 0, state.scores[e, PRIORITY], (int(state.scores[e, RANK]) << 32) | int(e))
                continue
            state.scores[e, LOW] = np.inf
        _remove_first(state)
        if current:
            state.scores[e, LOW] = np.inf
            if may_merge(state, e):
                return int(e)
            state.scores[e, PRIORITY] = np.inf
    return NOTHING


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


@pasted
def merge_edge(state: State, e: int, rescore_all: bool) -> int:
    """Merge the regions of contact `e`; return the one that lives on, and leave in `touched` what to score again."""
    return merge_regions(state, state.links[e, END], state.links[e, END + 1], state.scores[e, PRIORITY], rescore_all)


@pasted
def merge_regions(state: State, u: int, v: int, priority: float, rescore_all: bool) -> int:
    """Merge two regions, which need not touch; return the one that lives on.

    The one with fewer contacts is absorbed: each of its contacts is relinked, or joined if the other has it too.
    """
    keep, gone = (u, v) if state.degree[u] >= state.degree[v] else (v, u)
    n_merges = state.counters[N_MERGES]
    first, second = state.node[keep], state.node[gone]
    state.children[n_merges, 0] = min(first, second)
    state.children[n_merges, 1] = max(first, second)
    state.merge_priority[n_merges] = priority
    state.counters[N_MERGES] = n_merges + 1
    state.node[keep] = state.node.size + n_merges
    state.node[gone] = -1
    border = state.region_rows.shape[1] - BORDER
    state.counters[N_AT_BORDER] -= state.region_rows[keep, border] > 0 and state.region_rows[gone, border] > 0
    join_row(state.region_joins, state.region_rows, keep, state.region_rows, gone)
    state.size[keep] += state.size[gone]
    pour(state.exclusions, keep, gone)
    _append(state.next_leaf, state.last_leaf, keep, gone)
    state.classes[keep, HAS] |= state.classes[gone, HAS]
    state.classes[keep, REFUSES] |= state.classes[gone, REFUSES]

    # Dead keys cost less than their removal would: a fifth of the time of all merges.
    if 8 * (state.counters[N_KEYS] + state.degree[gone]) > 5 * state.table.shape[0]:
        clear_table(state.table)
        state.counters[N_KEYS] = _list_pairs(state, state.table)
    n_touched = 0
    half = state.head[gone]
    while half >= 0:
        next_half = state.links[half >> 1, NEXT + (half & 1)]
        if is_half_of(state, half, gone):
            e, side = half >> 1, half & 1
            other = state.links[e, END + 1 - side]
            if other == keep:
                state.links[e, END : END + 2] = -1
                state.degree[keep] -= 1
            else:
                key = key_of(keep, other)
                slot = slot_of(state.table, key)
                if is_free(state.table, slot):
                    state.table[slot, 0] = key
                    state.table[slot, 1] = np.uint64(e)
                    state.counters[N_KEYS] += 1
                    state.links[e, END + side] = keep
                    _link(state, half, keep)
                    state.degree[keep] += 1
                else:
                    state.touched[n_touched] = _join_contacts(state, value_at(state.table, slot), half, slot, keep)
                    n_touched += 1
        half = next_half
    state.head[gone] = -1
    state.degree[gone] = 0
    if rescore_all:
        n_touched = 0
        half = state.head[keep]
        while half >= 0:
            if is_half_of(state, half, keep):
                state.touched[n_touched] = half >> 1
                n_touched += 1
            half = state.links[half >> 1, NEXT + (half & 1)]
    state.counters[N_TOUCHED] = n_touched
    return keep


@kernel
def merge_linked(state: State, leaves: Ints, groups: Ints, homes: Ints) -> None:
    """Merge the leaves, shape (B,), of each group, shape (B,), in their order, at priority minus infinity.

    ``homes``, one for each group, holds -1 before, and the regions that the groups are in afterwards.
    """
    for i in range(leaves.size):
        home = homes[groups[i]]
        homes[groups[i]] = leaves[i] if home < 0 else merge_regions(state, home, leaves[i], -np.inf, False)


@pasted
def order_pair(state: State, e: int) -> tuple[int, int]:
    """Return the regions of contact `e`, the smaller first; of two of one size, the lower node."""
    u, v = state.links[e, END], state.links[e, END + 1]
    size_u, size_v = state.size[u], state.size[v]
    if size_v < size_u or (size_u == size_v and state.node[v] < state.node[u]):
        return v, u
    return u, v


@pasted
def describe_edge(state: State, program: Program, e: int, out: Floats) -> None:
    """Write the features of contact `e` to `out`, shape (F,)."""
    if program.reads_topology:
        refresh_pair(state, e)
    small, large = order_pair(state, e)
    describe(program, state.region_rows, state.contact_rows, small, large, e, out)


@pasted
def priority_of(state: State, program: Program, model: Model, e: int, x: Floats, scratch: Array) -> float:
    """Return the priority of contact `e`; `x`, shape (F,), and `scratch` are room for its features and the model."""
    describe_edge(state, program, e, x)
    x[0] = score(model, x, scratch)
    finish_edge(state, program, e, x)
    return float(x[0])


@pasted
def finish_edge(state: State, program: Program, e: int, out: Floats) -> None:
    """Rewrite the priority of contact `e`, ``out[0]``; NaN stays, so that nothing hides it."""
    if program.finish.shape[0] > 0 and not np.isnan(out[0]):
        small, large = order_pair(state, e)
        finish(program, state.region_rows, state.contact_rows, small, large, e, out)


@kernel
def describe_edges(state: State, program: Program, edges: Ints, out: Floats) -> None:
    """Write the features of each contact in `edges`, shape (B,), to `out`, shape (B, F)."""
    for i in range(edges.size):
        describe_edge(state, program, edges[i], out[i])


@kernel
def agglomerate(
    state: State,
    program: Program,
    model: Model,
    threshold: float,
    max_merges: int,
    rescore_all: bool,
    x: Floats,
    scratch: Array,
) -> int:
    """Merge until no priority is below `threshold`, or `max_merges` were made since the beginning.

    Returns -1, or the contact whose priority came out as NaN. `x`, shape (F,), and `scratch` are room for the
    features of one pair and for the model.
    """
    while state.counters[N_MERGES] < max_merges:
        e = pop_edge(state, threshold)
        if e == NOTHING:
            break
        merge_edge(state, e, rescore_all)
        for i in range(state.counters[N_TOUCHED]):
            touched = state.touched[i]
            priority = priority_of(state, program, model, touched, x, scratch)
            if np.isnan(priority):
                return int(touched)
            set_priority(state, touched, priority, threshold)
    return -1


@kernel
def score_edges(
    state: State, program: Program, model: Model, edges: Ints, out: Floats, x: Floats, scratch: Array
) -> None:
    """Write the priority of each contact in `edges`, shape (B,), to `out`, shape (B,)."""
    for i in range(edges.size):
        out[i] = priority_of(state, program, model, edges[i], x, scratch)


@kernel
def finish_edges(state: State, program: Program, edges: Ints, out: Floats) -> None:
    """Rewrite the priorities `out`, shape (B,), of the contacts in `edges`, shape (B,)."""
    for i in range(edges.size):
        if program.reads_topology:
            refresh_pair(state, edges[i])
        finish_edge(state, program, edges[i], out[i : i + 1])


# -- private: lists of contacts ---------------------------------------------------------------------------------------


@pasted
def _link(state: State, half: int, region: int) -> None:
    state.links[half >> 1, NEXT + (half & 1)] = state.head[region]
    state.head[region] = half


@pasted
def _list_pairs(state: State, table: Array) -> int:
    """Enter each contact into an empty table; return how many there are."""
    n = 0
    for e in range(state.links.shape[0]):
        if state.links[e, END] >= 0:
            key = key_of(state.links[e, END], state.links[e, END + 1])
            slot = slot_of(table, key)
            table[slot, 0] = key
            table[slot, 1] = np.uint64(e)
            n += 1
    return n


@pasted
def _join_contacts(state: State, of_keep: int, half: int, slot: np.uint64, keep: int) -> int:
    """Join the contact of `half`, of the region that goes, with the one that `keep` has; return which lives on."""
    of_gone, side = half >> 1, half & 1
    stays, goes = of_keep, of_gone
    ours, theirs = state.scores[of_keep], state.scores[of_gone]
    if _is_less(theirs[LOW], theirs[LOW_RANK], ours[LOW], ours[LOW_RANK]):
        stays, goes = of_gone, of_keep
        state.links[of_gone, END + side] = keep
        _link(state, half, keep)
        state.table[slot, 1] = np.uint64(of_gone)
    state.degree[state.links[of_gone, END + 1 - side]] -= 1
    join_row(state.contact_joins, state.contact_rows, stays, state.contact_rows, goes)
    state.links[state.links[stays, LAST_PART], NEXT_PART] = goes
    state.links[stays, LAST_PART] = state.links[goes, LAST_PART]
    state.scores[stays, RANK] = min(state.scores[stays, RANK], state.scores[goes, RANK])
    state.frozen_contact[stays] |= state.frozen_contact[goes]
    state.links[goes, END : END + 2] = -1
    state.counters[N_DEAD] += state.scores[goes, LOW] < np.inf
    return stays


@pasted
def _append(following: Ints, last: Ints, target: int, source: int) -> None:
    following[last[target]] = source
    last[target] = last[source]


# -- private: the heap ------------------------------------------------------------------------------------------------


@inlined
def _is_less(priority: float, rank: int, other_priority: float, other_rank: int) -> bool:
    return priority < other_priority or (priority == other_priority and rank < other_rank)


@pasted
def _push(state: State, e: int, threshold: float) -> None:
    n = state.counters[N_HEAP]
    if n == state.heap_priority.size:
        fill_heap(state, threshold)
        return
    state.scores[e, LOW] = state.scores[e, PRIORITY]
    state.scores[e, LOW_RANK] = state.scores[e, RANK]
    priority, key = state.scores[e, PRIORITY], (int(state.scores[e, RANK]) << 32) | int(e)
    i = n
    while i > 0:
        parent = (i - 1) >> 1
        if not _is_less(priority, key, state.heap_priority[parent], state.heap_key[parent]):
            break
        state.heap_priority[i] = state.heap_priority[parent]
        state.heap_key[i] = state.heap_key[parent]
        i = parent
    state.heap_priority[i] = priority
    state.heap_key[i] = key
    state.counters[N_HEAP] = n + 1


@pasted
def _remove_first(state: State) -> None:
    n = state.counters[N_HEAP] - 1
    state.counters[N_HEAP] = n
    if n > 0:
        _sink(state, 0, state.heap_priority[n], state.heap_key[n])


@pasted
def _sink(state: State, i: int, priority: float, key: int) -> None:
    """Put an entry at position `i` of the heap, or below it."""
    n = state.counters[N_HEAP]
    while True:
        child = 2 * i + 1
        if child >= n:
            break
        right = child + 1
        if right < n and _is_less(
            state.heap_priority[right],
            state.heap_key[right],
            state.heap_priority[child],
            state.heap_key[child],
        ):
            child = right
        if not _is_less(state.heap_priority[child], state.heap_key[child], priority, key):
            break
        state.heap_priority[i] = state.heap_priority[child]
        state.heap_key[i] = state.heap_key[child]
        i = child
    state.heap_priority[i] = priority
    state.heap_key[i] = key
