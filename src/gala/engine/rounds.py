"""Agglomeration in rounds: pairs that are each other's best merge at once, and what changed is scored in one batch.

For a reducible policy, whose joined contacts never come before both of their parts, no merge elsewhere can come between
two regions that are each other's best: the merges are those of the heap, made in another order. `ordered` puts them in
the order in which the heap would have made them.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from gala._kernels import rounds as kernels, trees
from gala._kernels.models import new_scratch
from gala._kernels.nearest import Nearest, fill_nearest
from gala._kernels.rounds import DONE, N_CHANGED, N_RESCORE, WAITING, Rounds
from gala._kernels.state import LOW, LOW_RANK, PRIORITY, RANK
from gala._kernels.threads import map_over_threads, resolve_n_threads
from gala._types import Bools, Floats, Ints
from gala.engine.running import RunningGraph
from gala.graph.constraints import Constraints
from gala.graph.tree import MergeTree, check_threshold

_REGION_BLOCK = 2**12  # regions whose best contact a thread finds at a time; each by itself
_MANY = 2**12  # contacts to score for which the compiled loop comes back, to have several threads do so


def merge_in_rounds(g: RunningGraph, threshold: float = np.inf, *, frozen: Bools | None = None) -> Ints:
    """Merge all pairs that are each other's best, again and again, while one is below `threshold`.

    Parameters
    ----------
    g : RunningGraph
        Before its first merge but those that constraints ask for.
    threshold : float, optional
        Pairs of this priority or a higher one do not merge.
    frozen : array of bool, shape (N,), optional
        Regions that do not merge, and that their neighbours wait for if they are their best.

    Returns
    -------
    rank : array of int64, shape (M,)
        Of the contact of each merge: ties of priorities go to the lower one.

    Raises
    ------
    PolicyError
        If the policy returns NaN.
    """
    limit = check_threshold(threshold)
    n, n_contacts, n_before = g.graph.n_regions, len(g.graph.edges), g.n_merges
    g.priorities()
    # Of two contacts that are joined the one that comes first lives on: its place among those of its regions is right.
    g.state.scores[:, [LOW, LOW_RANK]] = g.state.scores[:, [PRIORITY, RANK]]
    rounds = Rounds(
        frozen=np.zeros(n, dtype=np.bool_) if frozen is None else frozen,
        best=np.full(n, -1),
        changed=np.arange(n),
        rescore=np.empty(n_contacts, dtype=np.int64),
        region_round=np.zeros(n, dtype=np.int64),
        contact_round=np.zeros(n_contacts, dtype=np.int64),
        nearest=Nearest(
            root=np.full(n, -1, dtype=np.int32),
            links=np.full((2 * n_contacts, 3), -1, dtype=np.int32),
            entry=np.full((2 * n_contacts, 2), np.inf),
        ),
        pairs=np.empty(n, dtype=np.int64),
        merge_rank=np.arange(n) - n_before,  # merges that are there come before all others, in their order
        counters=np.array([n, 0, 0]),
    )
    _over_regions(g, rounds, lambda regions: fill_nearest(g.state, rounds.nearest, regions, limit))
    _find_best(g, rounds, limit)
    _run(g, rounds, limit)
    g.follow_merges()
    return rounds.merge_rank[: g.n_merges]


def ordered(
    n_leaves: int, children: Ints, priority: Floats, rank: Ints, constraints: Constraints | None = None
) -> MergeTree:
    """Return the tree of some merges in the order of the heap, whatever the order in which they were made.

    A merge comes before another if its priority is lower, or the same and its rank lower; but what it stands on comes
    before it.

    Parameters
    ----------
    n_leaves : int
        Leaves of the tree.
    children : array of int64, shape (M, 2)
        Merge k makes node ``n_leaves + k`` of two nodes made before.
    priority : array of float64, shape (M,)
        Of each merge.
    rank : array of int64, shape (M,)
        Of the contact of each merge.
    constraints : Constraints, optional
        What the merges were made under.

    Examples
    --------
    >>> tree = ordered(4, np.array([[2, 3], [0, 1], [4, 5]]), np.array([0.5, 0.25, 0.75]), np.array([2, 0, 1]))
    >>> tree.children.tolist(), tree.priority.tolist()
    ([[0, 1], [2, 3], [4, 5]], [0.25, 0.5, 0.75])
    """
    last = trees.latest(children, priority, rank, n_leaves)
    order = np.lexsort([rank[last], priority[last]])  # of one chain, the lower merge was made first and stays so
    number = np.arange(n_leaves + len(order))
    number[n_leaves + order] = n_leaves + np.arange(len(order))
    return MergeTree(
        n_leaves,
        np.sort(number[children[order]], axis=1),
        priority[order],
        Constraints() if constraints is None else constraints,
    )


def _run(g: RunningGraph, rounds: Rounds, threshold: float) -> None:
    """Run rounds until no pair is left; a policy that must be called is called once a round."""
    constrained, compiled = g.constraints != Constraints(), g.policy.compiled(g.graph)
    if compiled is None:
        while kernels.merge_pairs(g.state, rounds, constrained, g.rescore_all):
            _score(g, rounds, threshold)
        return
    if compiled.program.reads_topology:
        g.keep_topology()
    max_scores = len(rounds.rescore) if resolve_n_threads(g.n_threads) == 1 else _MANY
    how = compiled.program, compiled.model, threshold, constrained, g.rescore_all, max_scores
    room = np.empty(compiled.n_features), new_scratch(compiled.model), np.empty(len(rounds.rescore))
    while (found := kernels.run_rounds(g.state, rounds, *how, *room)) == WAITING:
        _score(g, rounds, threshold)
    if found != DONE:
        g.check_priority(found)


def _score(g: RunningGraph, rounds: Rounds, threshold: float) -> None:
    """Score what changed in a round, in one batch, and find the best contacts anew."""
    contacts = rounds.rescore[: rounds.counters[N_RESCORE]].copy()
    g.follow_merges(rounds.changed[: rounds.counters[N_CHANGED]])
    if len(contacts):
        kernels.set_priorities(g.state, rounds, g.new_priorities(contacts), threshold)
    _find_best(g, rounds, threshold)


def _find_best(g: RunningGraph, rounds: Rounds, threshold: float) -> None:
    """Find the best contact of each region that changed."""
    _over_regions(g, rounds, lambda regions: kernels.find_best(g.state, rounds, regions, threshold))


def _over_regions(g: RunningGraph, rounds: Rounds, function: Callable[[Ints], None]) -> None:
    """Call a function that writes to a region's own only with the regions that changed, over threads."""
    changed = rounds.changed[: rounds.counters[N_CHANGED]]
    blocks = [changed[first : first + _REGION_BLOCK] for first in range(0, len(changed), _REGION_BLOCK)]
    map_over_threads(function, blocks, n_threads=g.n_threads)
