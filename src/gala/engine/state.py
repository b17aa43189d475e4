"""The arrays of an agglomeration under way: made from a graph, copied, and asked what is in them."""

from __future__ import annotations

from typing import TypeVar

import numpy as np

from gala._kernels import merge
from gala._kernels.containers import Bags, new_table
from gala._kernels.state import (
    END,
    LAST_PART,
    LOW_RANK,
    N_AT_BORDER,
    N_ROWS,
    NEXT,
    RANK,
    ROW,
    State,
    is_half_of,
    unpack_rows,
)
from gala._kernels.topology import N_CONTACT_COLUMNS, REGION_FIRST
from gala._types import Array, Floats, Ints
from gala.graph.caches import Join
from gala.graph.regions import RegionGraph

Arrays = TypeVar("Arrays", State, Bags)

# Classes that the engine gives beside those of constraints, which are bits 1 to 62. What is frozen refuses all
# regions, and all refuse it.
ORDINARY = np.uint64(1)
FROZEN = np.uint64(1 << 63)


def empty_bags(n_bags: int) -> Bags:
    """Return `n_bags` bags with nothing in them."""
    nothing = np.empty(0, dtype=np.int64)
    return Bags(np.full(n_bags, -1), nothing, nothing, np.empty(0), np.zeros(n_bags))


def bags_of(n_bags: int, bag: Ints, label: Ints, amount: Array) -> Bags:
    """Return `n_bags` bags with some of each label, shape (P,), ordered by bag, then by label."""
    head = np.full(n_bags, -1)
    first_of, first = np.unique(bag, return_index=True)
    head[first_of] = first
    following = np.arange(1, len(label) + 1)
    following[np.flatnonzero(np.diff(bag, append=-1))] = -1
    total: Floats = np.bincount(bag, weights=amount, minlength=n_bags).astype(np.float64)
    return Bags(head, following, label.astype(np.int64), amount.astype(np.float64), total)


def new_state(graph: RegionGraph) -> State:
    """Return the state before the first merge, without constraints; every priority is infinity.

    The last column of the region rows is the number of voxels at the border of the volume.
    """
    n, e = graph.n_regions, len(graph.edges)
    ints = np.int32
    links = np.full((e, 7), -1, dtype=ints)
    links[:, END : END + 2] = graph.edges
    links[:, LAST_PART] = np.arange(e)
    given, n_rows = _given(graph)
    links[:, ROW] = -1 if given.size else np.arange(e)
    scores = np.full((e, 4), np.inf)
    scores[:, RANK] = scores[:, LOW_RANK] = np.arange(e)
    counters = np.zeros(8, dtype=np.int64)
    counters[N_AT_BORDER] = np.count_nonzero(graph.border_sizes)
    state = State(
        region_rows=np.column_stack([graph.region_cache, graph.border_sizes]),
        contact_rows=np.empty((n_rows, len(graph.contact_spec))) if given.size else graph.contact_cache.astype(float),
        given=given,
        free_rows=np.empty(n_rows, dtype=ints),
        node=np.arange(n),
        size=graph.region_cache[:, 0].copy(),
        links=links,
        scores=scores,
        touched=np.empty(e, dtype=ints),
        common=np.empty(e, dtype=ints),
        children=np.empty((max(n - 1, 0), 2), dtype=np.int64),
        merge_priority=np.empty(max(n - 1, 0)),
        counters=counters,
        classes=np.tile(np.array([ORDINARY, FROZEN], dtype=np.uint64), (n, 1)),
        frozen_contact=np.zeros(e, dtype=np.bool_),
        exclusions=empty_bags(n),
        region_joins=np.array([*graph.region_spec.joins, Join.SUM], dtype=np.int64),
        contact_joins=np.array(graph.contact_spec.joins, dtype=np.int64),
        surfaces=graph.region_spec.surfaces(graph.contact_spec),
        next_leaf=np.full(n, -1, dtype=ints),
        last_leaf=np.arange(n, dtype=ints),
        head=np.empty(n, dtype=ints),
        degree=np.empty(n, dtype=ints),
        table=new_table(1),
        heap_priority=np.empty(2 * e + 16),
        heap_key=np.empty(2 * e + 16, dtype=np.int64),
    )
    return state._replace(table=merge.link_contacts(state))


def _given(graph: RegionGraph) -> tuple[Array, int]:
    """Return rows of contacts that the state need not copy, as it keeps them, and how many rows of its own it needs.

    A row of its own is that of a contact of two or more, so half as many are enough. What is not used takes no memory:
    of 786,799 contacts with 256 bins, 132,813 rows, and 0.27 gigabytes in place of 1.62.
    """
    rows = graph.contact_cache
    if rows.dtype not in (np.uint16, np.uint32) or not graph.contact_spec.is_of_counts:
        return np.empty((0, 0), dtype=np.uint16), len(rows)
    return np.ascontiguousarray(rows).view(np.uint16), len(rows) // 2 + 1


def rows_of_contacts(state: State, contacts: Ints) -> Floats:
    """Return the rows of some contacts that are there, shape (K,), as float64 of shape (K, B)."""
    out = np.empty((len(contacts), len(state.contact_joins)))
    unpack_rows(state, contacts, out)
    return out


def row_of_contact(state: State, contact: int) -> Floats:
    """Return a copy of the row of a contact that is there, shape (B,)."""
    row: Floats = rows_of_contacts(state, np.array([contact]))[0]
    return row


def with_topology(state: State) -> State:
    """Return the state with the columns of `gala._kernels.topology`, none of them computed yet."""
    rows, there = state.region_rows, live_contacts(state)
    contacts = rows_of_contacts(state, there)
    links = state.links.copy()
    links[:, ROW] = -1
    links[there, ROW] = np.arange(len(there))
    n_new = REGION_FIRST - 1  # the last of them is there
    new = np.full((len(rows), n_new), -1.0)  # no row is as of so few merges
    return state._replace(
        links=links,
        given=np.empty((0, 0), dtype=np.uint16),
        region_rows=np.hstack([rows[:, :-1], new, rows[:, -1:]]),
        region_joins=np.insert(state.region_joins, -1, [Join.MAX] * n_new),  # stays as of before a merge
        contact_rows=np.hstack([contacts, np.zeros((len(contacts), N_CONTACT_COLUMNS))]),
        contact_joins=np.append(state.contact_joins, [Join.MAX] * N_CONTACT_COLUMNS),
    )


def copy_arrays(arrays: Arrays) -> Arrays:
    """Return a copy that shares no array with the original."""
    copies = (copy_arrays(a) if isinstance(a, Bags) else a.copy() for a in arrays)
    return type(arrays)(*copies)  # type: ignore[arg-type]  # of the types of the originals


def copy_state(state: State) -> State:
    """Return a copy that shares no array with the original but the `given` one, which never changes."""
    n_used = state.counters[N_ROWS] if state.given.size else len(state.contact_rows)
    rows = np.empty_like(state.contact_rows)
    rows[:n_used] = state.contact_rows[:n_used]
    nothing = np.empty((0, 0))
    return copy_arrays(state._replace(contact_rows=nothing, given=nothing))._replace(
        contact_rows=rows, given=state.given
    )


def live_contacts(state: State) -> Ints:
    """Return the contacts that are still there, shape (B,)."""
    return np.flatnonzero(state.ends[:, 0] >= 0)


def live_regions(state: State) -> Ints:
    """Return the regions that are still there, shape (B,), ordered by their node in the merge tree."""
    regions = np.flatnonzero(state.node >= 0)
    return regions[np.argsort(state.node[regions])]


def contacts_of(state: State, region: int) -> list[int]:
    """Return the contacts of a region."""
    contacts = []
    half = int(state.head[region])
    while half >= 0:
        if is_half_of(state, half, region):
            contacts.append(half >> 1)
        half = int(state.links[half >> 1, NEXT + (half & 1)])
    return contacts


def chain(following: Array, first: int) -> list[int]:
    """Return the items of a linked list."""
    items = []
    item = first
    while item >= 0:
        items.append(item)
        item = int(following[item])
    return items
