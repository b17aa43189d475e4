"""Merges of two regions: their rows, what stops merges, and the contacts of both are joined."""

from __future__ import annotations

import numpy as np

from gala._kernels.containers import clear_table, new_table, pour, slot_of
from gala._kernels.heap import is_less
from gala._kernels.jit import kernel, pasted
from gala._kernels.rows import join_row
from gala._kernels.state import (
    END,
    HAS,
    LAST_PART,
    LOW,
    LOW_RANK,
    N_AT_BORDER,
    N_DEAD,
    N_KEYS,
    N_MERGES,
    N_TOUCHED,
    NEXT,
    NEXT_PART,
    PRIORITY,
    RANK,
    REFUSES,
    ROW,
    State,
    drop_row,
    find_contact,
    is_half_of,
    join_contact_rows,
    key_of,
)
from gala._kernels.topology import BORDER
from gala._types import Array, Ints


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
    n = _look_up_contacts(state, gone, keep)
    n_touched = 0
    for i in range(n):
        half, common = state.touched[i], state.common[i]
        e, side = half >> 1, half & 1
        other = state.links[e, END + 1 - side]
        if other == keep:
            for k in range(state.surfaces.shape[0]):  # none if rows are given: these are counts
                row = state.links[e, ROW]
                state.region_rows[keep, state.surfaces[k, 0]] -= state.contact_rows[row, state.surfaces[k, 1]]
            drop_row(state, e)
            state.links[e, END : END + 2] = -1
            state.degree[keep] -= 1
        elif common >= 0:
            state.touched[n_touched] = _join_contacts(state, common, half, keep)
            n_touched += 1
        else:
            key = key_of(keep, other)
            slot = slot_of(state.table, key)
            state.table[slot, 0] = key
            state.table[slot, 1] = np.uint64(e)
            state.counters[N_KEYS] += 1
            state.links[e, END + side] = keep
            _link(state, half, keep)
            state.degree[keep] += 1
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
def _look_up_contacts(state: State, gone: int, keep: int) -> int:
    """List the half contacts of `gone` in `touched`; return how many there are.

    The contact of `keep` with the same neighbour, or -1, goes to `common`. Done for all before any is changed, look-ups
    need not wait for each other: 29 to 34 ms for 15,525 merges of 99,348 contacts, against 36 one by one.
    """
    n = 0
    half = state.head[gone]
    while half >= 0:
        if is_half_of(state, half, gone):
            state.touched[n] = half
            n += 1
        half = state.links[half >> 1, NEXT + (half & 1)]
    for i in range(n):
        half = state.touched[i]
        state.common[i] = find_contact(state, keep, state.links[half >> 1, END + 1 - (half & 1)])
    return n


@pasted
def _join_contacts(state: State, of_keep: int, half: int, keep: int) -> int:
    """Join the contact of `half`, of the region that goes, with the one that `keep` has; return which lives on."""
    of_gone, side = half >> 1, half & 1
    stays, goes = of_keep, of_gone
    ours, theirs = state.scores[of_keep], state.scores[of_gone]
    if is_less(theirs[LOW], theirs[LOW_RANK], ours[LOW], ours[LOW_RANK]):
        stays, goes = of_gone, of_keep
        state.links[of_gone, END + side] = keep
        _link(state, half, keep)
        slot = slot_of(state.table, key_of(keep, state.links[of_gone, END + 1 - side]))
        state.table[slot, 1] = np.uint64(of_gone)
    state.degree[state.links[of_gone, END + 1 - side]] -= 1
    join_contact_rows(state, stays, goes)
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
