"""Regions inside others: what cannot reach the border of the volume but through one region becomes part of it."""

from __future__ import annotations

from collections import deque

import numpy as np

from gala._kernels.state import find_contact, may_merge
from gala._types import Bools, Ints
from gala.engine.border import touch_border
from gala.engine.running import RunningGraph
from gala.engine.state import contacts_of, live_contacts


def remove_inclusions(g: RunningGraph) -> int:
    """Merge regions that lie inside another one into it.

    A region lies inside another one, its host, if every way from it to the border of the volume, from a region to one
    that it touches, leads through the host: the two are in different biconnected components of the graph, in which
    the border is a node. Of hosts inside hosts, the outermost takes all.

    Parameters
    ----------
    g : RunningGraph
        Its constraints are obeyed: what they keep apart stays, and so does what lies behind it. Regions from which no
        way leads to the border, as there may be with a mask, stay too. Merges are written down at priority 0.

    Returns
    -------
    n_merges : int
        How many regions became part of others.

    Notes
    -----
    Time is linear in the contacts.

    References
    ----------
    Hopcroft and Tarjan 1973, Efficient algorithms for graph manipulation, doi:10.1145/362248.362272.

    Examples
    --------
    >>> from gala.engine.policy import boundary_mean
    >>> from gala.graph.build import build_graph
    >>> labels = np.pad([[1, 2]], 1)
    >>> g = RunningGraph(build_graph(labels), boundary_mean)
    >>> remove_inclusions(g), g.region_names()
    (2, [4])
    """
    before = g.n_merges
    _absorb(g, _outside(g))
    return g.n_merges - before


def remove_obvious_inclusions(g: RunningGraph) -> int:
    """Merge regions with one neighbour into it, until there are none.

    Parameters
    ----------
    g : RunningGraph
        The border of the volume counts as a neighbour; voxels that a mask leaves out do not. Constraints are obeyed.
        Merges are written down at priority 0.

    Returns
    -------
    n_merges : int
        How many regions became part of others.
    """
    state, before = g.state, g.n_merges
    g.rebuild_merge_queue()  # to score all once is faster than some after each merge
    at_border = touch_border(g)
    waiting = deque(np.flatnonzero((state.degree == 1) & ~at_border).tolist())
    while waiting:
        region = waiting.popleft()
        if state.node[region] < 0 or state.degree[region] != 1 or at_border[region]:
            continue
        contact = contacts_of(state, region)[0]
        if may_merge(state, contact):
            u, v = state.ends[contact].tolist()
            keep = g.region_of(g.merge_regions(u, v, 0.0))
            at_border[keep] = at_border[u] or at_border[v]
            waiting.append(keep)
    return g.n_merges - before


def _outside(g: RunningGraph) -> Bools:
    """Tell of each place of a region, shape (N,), whether it lies inside no other."""
    import networkx as nx  # only needed here, and slow to import

    border = g.graph.n_regions
    ways = nx.Graph(g.state.ends[live_contacts(g.state)].tolist())
    ways.add_edges_from((border, region) for region in np.flatnonzero(touch_border(g)).tolist())
    outside = np.zeros(border + 1, dtype=np.bool_)
    for component in nx.biconnected_components(ways):
        if border in component:
            outside[list(component)] = True
    return outside[:-1]


def _absorb(g: RunningGraph, outside: Bools) -> None:
    """Merge what is not outside into what it touches, going inwards."""
    state = g.state
    g.rebuild_merge_queue()
    ends = state.ends[live_contacts(state)]
    ends = ends[outside[ends[:, 0]] != outside[ends[:, 1]]]
    pairs = np.where(outside[ends[:, :1]], ends, ends[:, ::-1])
    waiting = deque(pairs[np.lexsort(state.node[pairs].T[::-1])].tolist())
    is_done = outside.copy()
    home: dict[int, int] = {}  # where each host is after its merges
    while waiting:
        host, region = waiting.popleft()
        place = home.get(host, host)
        if is_done[region] or not may_merge(state, find_contact(state, place, region)):
            continue
        is_done[region] = True
        waiting.extend((host, other) for other in _neighbors(g, region) if not is_done[other])
        home[host] = g.region_of(g.merge_regions(place, region, 0.0))


def _neighbors(g: RunningGraph, region: int) -> list[int]:
    """Return the places of the regions that touch the one at place `region`, in the order of their nodes."""
    ends: Ints = g.state.ends[contacts_of(g.state, region)]
    others = np.where(ends[:, 0] == region, ends[:, 1], ends[:, 0])
    found: list[int] = others[np.argsort(g.state.node[others])].tolist()
    return found
