"""The arrays of an agglomeration under way: made from a graph, copied, and asked what is in them."""

from __future__ import annotations

from typing import NamedTuple, TypeVar

import numpy as np

from gala._kernels import merge
from gala._kernels.containers import Bags, new_table
from gala._kernels.merge import END, LAST_PART, LOW_RANK, NEXT, RANK, State
from gala._types import Array, Bools, Floats, Ints, Labels
from gala.graph.caches import Join
from gala.graph.overlaps import count_overlaps
from gala.graph.regions import RegionGraph
from gala.graph.volume import Volume

Arrays = TypeVar("Arrays", State, Bags)


class Constraints(NamedTuple):
    """What keeps regions of a graph apart: regions and contacts that never merge, and labels to have alone."""

    frozen_regions: Bools  # (N,)
    frozen_contacts: Bools  # (E,)
    exclusions: Bags  # of N regions

    @classmethod
    def none(cls, graph: RegionGraph) -> Constraints:
        """Return constraints that allow everything."""
        n, e = graph.n_regions, len(graph.edges)
        return cls(np.zeros(n, dtype=np.bool_), np.zeros(e, dtype=np.bool_), empty_bags(n))


def empty_bags(n_bags: int) -> Bags:
    """Return `n_bags` bags with nothing in them."""
    nothing = np.empty(0, dtype=np.int64)
    return Bags(np.full(n_bags, -1), nothing, nothing, np.empty(0), np.zeros(n_bags))


def overlap_bags(graph: RegionGraph, volume: Volume, other: Labels, *, n_threads: int | None = None) -> Bags:
    """Return the voxels that each region shares with each label of `other` but 0, in one bag a region.

    The labels in the bags are those of `other`, numbered in their order.
    """
    keep = volume.mask
    labels = volume.labels if keep is None else volume.labels[keep]
    overlaps = count_overlaps(labels, other if keep is None else other[keep], n_threads=n_threads)
    wanted = overlaps.truth_labels[overlaps.truth_index] != 0
    seg_labels = overlaps.seg_labels[overlaps.seg_index]
    if volume.background is not None:
        wanted &= seg_labels != volume.background
    regions = graph.find(seg_labels[wanted].astype(graph.labels.dtype))
    order = np.lexsort((overlaps.truth_index[wanted], regions))
    regions, label = regions[order], overlaps.truth_index[wanted][order].astype(np.int64)
    amount = overlaps.counts[wanted][order].astype(np.float64)
    head = np.full(graph.n_regions, -1)
    first_of, first = np.unique(regions, return_index=True)
    head[first_of] = first
    following = np.arange(1, len(label) + 1)
    following[np.flatnonzero(np.diff(regions, append=-1))] = -1
    total: Floats = np.bincount(regions, weights=amount, minlength=graph.n_regions).astype(np.float64)
    return Bags(head, following, label, amount, total)


def new_state(graph: RegionGraph, constraints: Constraints) -> State:
    """Return the state before the first merge; every priority is infinity.

    The last column of the region rows tells whether the region touches the border of the volume.
    """
    n, e = graph.n_regions, len(graph.edges)
    ints = np.int32
    links = np.full((e, 6), -1, dtype=ints)
    links[:, END : END + 2] = graph.edges
    links[:, LAST_PART] = np.arange(e)
    scores = np.full((e, 4), np.inf)
    scores[:, RANK] = scores[:, LOW_RANK] = np.arange(e)
    state = State(
        region_rows=np.column_stack([graph.region_cache, graph.at_border]),
        contact_rows=graph.contact_cache.copy(),
        node=np.arange(n),
        size=graph.region_cache[:, 0].copy(),
        links=links,
        scores=scores,
        touched=np.empty(e, dtype=ints),
        children=np.empty((max(n - 1, 0), 2), dtype=np.int64),
        merge_priority=np.empty(max(n - 1, 0)),
        counters=np.zeros(5, dtype=np.int64),
        frozen_region=constraints.frozen_regions.copy(),
        frozen_contact=constraints.frozen_contacts.copy(),
        exclusions=copy_arrays(constraints.exclusions),
        region_joins=np.array([*graph.region_spec.joins, Join.MAX], dtype=np.int64),
        contact_joins=np.array(graph.contact_spec.joins, dtype=np.int64),
        next_leaf=np.full(n, -1, dtype=ints),
        last_leaf=np.arange(n, dtype=ints),
        head=np.empty(n, dtype=ints),
        degree=np.empty(n, dtype=ints),
        table=new_table(1),
        heap_priority=np.empty(2 * e + 16),
        heap_key=np.empty(2 * e + 16, dtype=np.int64),
    )
    return state._replace(table=merge.link_contacts(state))


def copy_arrays(arrays: Arrays) -> Arrays:
    """Return a copy that shares no array with the original."""
    copies = (copy_arrays(a) if isinstance(a, Bags) else a.copy() for a in arrays)
    return type(arrays)(*copies)  # type: ignore[arg-type]  # of the types of the originals


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
        if merge.is_half_of(state, half, region):
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
