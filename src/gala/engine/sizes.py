"""Small regions: merged into the neighbours that the policy likes best."""

from __future__ import annotations

from gala.engine.policy import make_ladder
from gala.engine.running import RunningGraph


def merge_small(g: RunningGraph, min_size: float) -> int:
    """Merge each region of fewer than `min_size` voxels into the neighbour that the policy likes best.

    Of all contacts of small regions, the one of lowest priority goes first, again and again, until no small region has
    a neighbour with which it may merge. All priorities are those of the regions as they are then.

    Parameters
    ----------
    g : RunningGraph
        Its constraints are obeyed, and so is infinity: what the policy never merges stays small. Merges are written
        down at the policy's priority.
    min_size : float
        Regions of so many voxels are not small.

    Returns
    -------
    n_merges : int

    Raises
    ------
    SettingError
        If `min_size` is NaN.
    PolicyError
        If a user's policy returns NaN; the merges made before stay.

    Examples
    --------
    >>> from gala.engine.policy import boundary_mean
    >>> from gala.graph.build import build_graph
    >>> graph = build_graph([1, 1, 2, 3, 3, 4, 4], [0, 0.2, 0.3, 0, 1, 0, 0], boundary_mean.needs)
    >>> g = RunningGraph(graph, boundary_mean)
    >>> merge_small(g, 2), g.tree.children.tolist()
    (1, [[1, 2]])
    """
    return agglomerate_ladder(g, min_size, strictness=0)


def agglomerate_ladder(g: RunningGraph, min_size: float, *, strictness: int) -> int:
    """Agglomerate to the end with the policy's priorities, but only pairs in which a region is small.

    Parameters
    ----------
    g : RunningGraph
        It has its own policy afterwards, and scores all contacts again.
    min_size : float
        Regions of fewer voxels are small.
    strictness : int
        From 0 to 3; see `gala.engine.policy.make_ladder`.

    Returns
    -------
    n_merges : int

    Raises
    ------
    SettingError
        If `min_size` is NaN, or `strictness` not from 0 to 3.
    PolicyError
        If a user's policy returns NaN; the merges made before stay.
    """
    policy, rescore_all, before = g.policy, g.rescore_all, g.n_merges
    g.policy = make_ladder(policy, min_size, strictness)
    g.rescore_all = True  # who is small changes with each merge
    g.rebuild_merge_queue()
    try:
        RunningGraph.agglomerate(g)
    finally:
        g.policy, g.rescore_all = policy, rescore_all
        g.rebuild_merge_queue()
    return g.n_merges - before
