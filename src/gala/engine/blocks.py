"""Agglomeration of a volume in blocks, whose merges together are those of the whole.

A block sees all of a region's contacts unless another block has the region too. Two such regions that are each other's
best merge, whatever the other blocks hold, if the policy is reducible. Those that nothing can merge any more are left
behind; all others wait, and are joined with those of other blocks, until nothing waits. The argument is in
docs/blocks.md.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from gala._kernels import trees
from gala._kernels.state import PRIORITY, RANK
from gala._types import Array, ArrayLike, Bools, Floats, Ints, Labels
from gala.engine.policy import Policy
from gala.engine.rounds import merge_in_rounds, ordered
from gala.engine.running import RunningGraph
from gala.engine.state import live_contacts, live_regions, rows_of_contacts
from gala.errors import LabelError, ShapeError
from gala.graph.caches import compact
from gala.graph.regions import RegionGraph, find_labels, joined, pack
from gala.graph.tree import MergeTree


@dataclass(frozen=True, slots=True, eq=False)
class Remainder:
    """What waits of a block: the graph after its merges, without regions that are finished, and what ties go by.

    A region goes by the lowest label of the superpixels in it. A contact is ranked by the lowest of the pairs of
    superpixels that make it up or, if the policy is a minimum, of those that have the minimum.
    """

    graph: RegionGraph
    tie_labels: Labels  # (E, 2) that pair, the lower label first

    @classmethod
    def of(cls, graph: RegionGraph) -> Remainder:
        """Return a block's graph as what is left of it before any merge."""
        return cls(graph, graph.labels[graph.edges])


@dataclass(frozen=True, slots=True, eq=False)
class Merges:
    """M merges, each after those that it stands on."""

    labels: Labels  # (M, 2) the lowest label in each of the two regions, the lower first
    priority: Floats  # (M,)
    tie_labels: Labels  # (M, 2) what the contact was ranked by; see `Remainder`


def agglomerate_inside(
    graph: RegionGraph | Remainder,
    policy: Policy | Callable[..., Any],
    threshold: float = np.inf,
    *,
    frozen: ArrayLike,
    n_threads: int | None = None,
) -> tuple[Merges, Remainder]:
    """Merge what nothing outside of a block can affect.

    Parameters
    ----------
    graph : RegionGraph or Remainder
        Of N regions: of one block, or, from `join_remainders`, of several.
    policy : policy or function
        As for `gala.engine.agglomerate.agglomerate`. If it is not reducible the result depends on the blocks.
    threshold : float, optional
        Pairs of this priority or a higher one never merge; the same for all blocks.
    frozen : array of bool, shape (N,)
        Regions that are also in the graph of a block outside: not all of their contacts are known, and they do not
        merge. See `frozen_regions`.
    n_threads : int, optional
        For scores. The result does not depend on it.

    Returns
    -------
    merges : Merges
        The merges made here, for `assemble`.
    remainder : Remainder
        The graph after them, without the regions that are finished, and their contacts: those not frozen all of
        whose contacts are at or above `threshold`.

    Raises
    ------
    ShapeError
        If `frozen` is not one truth value a region.
    PolicyError, FeatureError, SettingError
        As `gala.engine.agglomerate.agglomerate` does.

    References
    ----------
    Lu, Zlateski, Seung 2021, arXiv:2106.10795.

    Examples
    --------
    >>> from gala.engine.policy import boundary_mean
    >>> from gala.graph.build import build_graph
    >>> graph = build_graph([1, 1, 2, 2, 3, 3, 4], [0, 0.2, 0.3, 0, 1, 0, 0], boundary_mean.needs)
    >>> merges, left = agglomerate_inside(graph, boundary_mean, frozen=[False, False, False, True])
    >>> merges.labels.tolist(), left.graph.labels.tolist()
    ([[1, 2]], [1, 3, 4])

    The best contact of 3 is that with 4, which waits. To a threshold that keeps them from 3, 1 and 2 are finished.

    >>> merges, left = agglomerate_inside(graph, boundary_mean, 0.2, frozen=[False, False, False, True])
    >>> merges.labels.tolist(), left.graph.labels.tolist()
    ([], [3, 4])
    """
    before = graph if isinstance(graph, Remainder) else Remainder.of(graph)
    waiting = np.asarray(frozen)
    if waiting.shape != (before.graph.n_regions,) or waiting.dtype != np.bool_:
        raise ShapeError(
            f"frozen must be one truth value for each of {before.graph.n_regions} regions; got {waiting.dtype} of "
            f"shape {waiting.shape}."
        )
    g = RunningGraph(before.graph, policy, n_threads=n_threads)
    ranked = np.lexsort(before.tie_labels.T[::-1])
    g.state.scores[ranked, RANK] = np.arange(len(ranked))
    # What two regions that wait have in common may be nothing yet but a contact: other policies read regions too.
    g.priorities(None if g.policy.reducible else np.flatnonzero(~waiting[before.graph.edges].all(axis=1)))
    by_rank = np.argsort(g.state.scores[:, RANK])  # the contact that has each rank
    rank = merge_in_rounds(g, threshold, frozen=waiting)
    lowest = before.graph.labels[trees.lowest_leaves(g.tree.children, before.graph.n_regions)]
    merges = Merges(
        labels=np.sort(lowest[g.tree.children], axis=1),
        priority=g.tree.priority,
        tie_labels=before.tie_labels[by_rank[rank]],
    )
    return merges, _remainder(g, before, lowest[g.state.node], by_rank, waiting | _below(g, threshold))


def _below(g: RunningGraph, threshold: float) -> Bools:
    """Tell which regions have a contact below a threshold, shape (N,)."""
    contacts = live_contacts(g.state)
    found = np.zeros(g.graph.n_regions, dtype=np.bool_)
    found[g.state.ends[contacts[g.state.scores[contacts, PRIORITY] < threshold]]] = True
    return found


def _remainder(g: RunningGraph, before: Remainder, lowest: Labels, by_rank: Ints, waits: Bools) -> Remainder:
    """Return what `waits` of a graph, shape (N,); a region that lives on, shape (N,), goes by its `lowest` label."""
    state, graph = g.state, before.graph
    regions = live_regions(state)
    regions = regions[waits[regions]]
    regions = regions[np.argsort(lowest[regions])]
    place = np.full(graph.n_regions, -1)
    place[regions] = np.arange(len(regions))
    contacts = live_contacts(state)
    contacts = contacts[waits[state.ends[contacts]].all(axis=1)]
    edges = np.sort(place[state.ends[contacts]], axis=1)
    order = np.argsort(pack(edges))
    contacts, edges = contacts[order], edges[order]
    first = by_rank[state.scores[contacts, RANK].astype(np.int64)]
    left = RegionGraph(
        labels=lowest[regions],
        edges=edges,
        region_spec=graph.region_spec,
        region_cache=state.region_rows[regions, : len(graph.region_spec)],
        contact_spec=graph.contact_spec,
        contact_cache=compact(graph.contact_spec, rows_of_contacts(state, contacts)[:, : len(graph.contact_spec)]),
        border_sizes=state.region_rows[regions, -1].astype(np.int64),
        kind=graph.kind,
    )
    return Remainder(left, before.tie_labels[first])


def join_remainders(remainders: Sequence[Remainder]) -> Remainder:
    """Join what is left of several blocks of which each has merged its own, in the order given.

    Raises
    ------
    FeatureError
        If the graphs do not keep the same columns, of images of the same kind.
    """
    graph = joined([remainder.graph for remainder in remainders])
    keys = pack(graph.edges)
    tie_labels = np.empty((len(keys), 2), dtype=graph.labels.dtype)
    for remainder in remainders:
        place = np.searchsorted(graph.labels, remainder.graph.labels.astype(graph.labels.dtype))
        # Several have a contact only if both regions are frozen in all of them: two superpixels, the same everywhere.
        tie_labels[np.searchsorted(keys, pack(place[remainder.graph.edges]))] = remainder.tie_labels
    return Remainder(graph, tie_labels)


def frozen_regions(graph: RegionGraph | Remainder, outside: Sequence[ArrayLike]) -> Bools:
    """Tell which regions of some blocks are in the graphs of others too, shape (N,).

    Parameters
    ----------
    graph : RegionGraph or Remainder
        Of the blocks.
    outside : sequence of arrays of int
        Labels in the graphs of the other blocks, or at least all that both sides have: where each superpixel is in
        one piece, those in the planes on either side of a face that other blocks are beyond, from `face_labels`.
    """
    labels = (graph.graph if isinstance(graph, Remainder) else graph).labels
    there = np.concatenate([np.ravel(some).astype(labels.dtype) for some in outside] or [labels[:0]])
    return np.isin(labels, there)


def face_labels(labels: Array, axis: int, position: int) -> Labels:
    """Return the labels in the two planes of an array on either side of a face, increasing.

    Parameters
    ----------
    labels : array of int, shape (M, ..., P)
        A block and one voxel beyond it.
    axis, position : int
        The face is between planes ``position - 1`` and `position` along this axis.

    Examples
    --------
    >>> face_labels(np.array([[1, 1, 2, 3], [1, 4, 4, 5]]), 1, 3)
    array([2, 3, 4, 5])
    """
    return np.unique(np.take(labels, [position - 1, position], axis=axis))


def assemble(labels: Labels, parts: Sequence[Merges]) -> MergeTree:
    """Return the tree of the merges of all blocks.

    Parameters
    ----------
    labels : array of int, shape (N,)
        The superpixels of the volume, increasing: its leaves.
    parts : sequence of Merges
        The merges of each block and of each join of blocks, a join after what it joined; otherwise in any order.

    Returns
    -------
    tree : MergeTree
        Its merges are in the order of the heap; see `gala.engine.rounds.ordered`.

    Raises
    ------
    LabelError
        If a merge is of regions that are not there, or that were merged into others before.
    """
    n = len(labels)
    pairs = np.concatenate([find_labels(labels, part.labels) for part in parts] or [np.empty((0, 2), dtype=np.int64)])
    children = np.empty_like(pairs)
    if not trees.follow_lowest(pairs, n, children):
        raise LabelError("each region is merged into another once; some parts are there twice, or in a wrong order.")
    tie_labels = np.concatenate([part.tie_labels for part in parts] or [np.empty((0, 2), dtype=labels.dtype)])
    rank = np.empty(len(pairs), dtype=np.int64)
    rank[np.lexsort(tie_labels.T[::-1])] = np.arange(len(pairs))
    return ordered(n, children, np.concatenate([part.priority for part in parts] or [np.empty(0)]), rank)
