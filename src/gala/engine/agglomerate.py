"""From a region graph and a policy to a merge tree."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from gala.engine.policy import Policy
from gala.engine.rounds import merge_in_rounds, ordered
from gala.engine.running import RunningGraph
from gala.errors import SettingError
from gala.graph.constraints import Constraints
from gala.graph.regions import RegionGraph
from gala.graph.tree import MergeTree


def agglomerate(
    graph: RegionGraph,
    policy: Policy | Callable[..., Any],
    threshold: float = np.inf,
    *,
    engine: str = "heap",
    rescore: str = "shared",
    constraints: Constraints | None = None,
    random_state: int | np.random.Generator | None = None,
    n_threads: int | None = None,
) -> MergeTree:
    """Merge regions, the pair of lowest priority first, while one is below `threshold`.

    Parameters
    ----------
    graph : RegionGraph
        It is not modified.
    policy : policy or function
        Gives priorities: a function ``f(g, u, v)`` or ``f(g, edges)``, or what `gala.engine.policy` offers.
        Policies that can be laid flat run in a compiled loop.
    threshold : float, optional
        By default everything is merged that the policy does not give infinity; cut the tree later.
    engine : {"heap", "rounds"}, optional
        One merge after the other, or in rounds: all pairs that are each other's best merge at once, and what they
        change is scored in one batch, over threads. The tree is the same for reducible policies, and an approximation
        for others; see Notes.
    rescore : {"shared", "all"}, optional
        Which contacts of a merged region are given a new priority: those that both parts had, or all.
    constraints : Constraints, optional
        What must merge, before everything else and at priority minus infinity, and what must not.
    random_state : int or numpy.random.Generator, optional
        For policies that draw random numbers.
    n_threads : int, optional
        For the first scoring of all contacts, and for the batches of rounds. The tree does not depend on it.

    Returns
    -------
    tree : MergeTree
        Of pairs with one priority, the pair with the lowest leaves merges first.

    Raises
    ------
    PolicyError
        If the policy returns NaN, or is no function of this kind.
    FeatureError
        If the graph does not keep what the policy needs.
    LabelError
        If constraints name superpixels that the graph does not have.
    SettingError
        If `threshold` is NaN, or `engine`, `rescore` or `n_threads` is out of range.

    Notes
    -----
    Time is about linear in the contacts times the logarithm of their number, for compiled policies.

    Rounds are for policies that must be called: a classifier that cannot be laid flat is asked once a round instead of
    once a merge. If ``policy.reducible``, rounds give the tree of the heap, byte by byte where sums over contacts are
    exact (see docs/blocks.md).

    References
    ----------
    Nunez-Iglesias et al. 2013, doi:10.1371/journal.pone.0071715. Rounds: Lu, Zlateski, Seung 2021, arXiv:2106.10795.

    Examples
    --------
    >>> from gala.engine.policy import boundary_mean
    >>> from gala.graph.build import build_graph
    >>> graph = build_graph([1, 1, 2, 2, 3, 3], [0, 0.2, 0.3, 0, 1, 1], boundary_mean.needs)
    >>> tree = agglomerate(graph, boundary_mean)
    >>> tree.children.tolist(), tree.priority.tolist()
    ([[0, 1], [2, 3]], [0.25, 0.5])
    """
    if engine not in ("heap", "rounds"):
        raise SettingError(f'engine must be "heap" or "rounds"; got {engine!r}.')
    running = RunningGraph(
        graph,
        policy,
        rescore=rescore,
        constraints=constraints,
        random=np.random.default_rng(random_state),
        n_threads=n_threads,
    )
    if engine == "heap":
        running.agglomerate(threshold)
        return running.tree
    rank = merge_in_rounds(running, threshold)
    tree = running.tree
    return ordered(tree.n_leaves, tree.children, tree.priority, rank, tree.constraints)
