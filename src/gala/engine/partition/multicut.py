"""Multicut and lifted multicut: the partition of lowest energy, as near as a time limit allows."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable
from typing import Any, NamedTuple

import bioimage_cpp.graph as native
import numpy as np

from gala._kernels.threads import resolve_n_threads
from gala._types import Array, ArrayLike, Floats, Ints
from gala.engine.partition.costs import checked_weights, edge_probabilities, log_odds
from gala.engine.partition.result import Partition, energy_of, named_by_lowest
from gala.engine.policy import Policy
from gala.errors import GalaWarning, LabelError, SettingError, ShapeError
from gala.graph.affinity_graph import LiftedEdges
from gala.graph.regions import RegionGraph
from gala.graph.segments import connected

SOLVERS = ("greedy", "kernighan-lin", "fusion-moves")
_MOST_ROUNDS = 100  # of Kernighan-Lin
_FUSIONS, _PATIENCE = 20, 4  # rounds of fusion moves, and how many in a row may bring nothing
_PROPOSALS = 4  # of each of these rounds, for any number of threads


class _Problem(NamedTuple):
    graph: RegionGraph
    costs: Floats  # (E,)
    lifted: Ints  # (L, 2)
    lifted_costs: Floats  # (L,)

    def energy(self, segments: Array) -> float:
        return energy_of(self.graph.edges, self.costs, segments) + energy_of(self.lifted, self.lifted_costs, segments)

    def objective(self) -> Any:
        """Return the problem as the library has it, to be solved from single regions on."""
        graph = native.UndirectedGraph.from_edges(self.graph.n_regions, self.graph.edges.astype(np.uint64))
        if not len(self.lifted):
            return native.multicut.MulticutObjective(graph, self.costs)
        return native.lifted_multicut.LiftedMulticutObjective(
            graph, self.costs, lifted_uvs=self.lifted.astype(np.uint64), lifted_costs=self.lifted_costs
        )


def multicut(
    graph: RegionGraph,
    costs: ArrayLike,
    *,
    lifted: LiftedEdges | ArrayLike | None = None,
    lifted_costs: ArrayLike | None = None,
    solver: str = "kernighan-lin",
    time_limit: float | None = None,
    random_state: int = 0,
    n_threads: int | None = None,
) -> Partition:
    """Find the segments for which the sum of the costs of edges between them is lowest.

    Parameters
    ----------
    graph : RegionGraph
        Its regions and contacts; what it keeps about them is not read.
    costs : array of float, shape (E,)
        Of cutting each contact: positive if its regions attract each other. See `gala.engine.partition.log_odds`.
    lifted : LiftedEdges or array of int, shape (L, 2), optional
        Pairs of regions, as positions in the graph, that need not touch: to have them apart costs, too.
    lifted_costs : array of float, shape (L,), optional
        Of these.
    solver : {"greedy", "kernighan-lin", "fusion-moves"}, optional
        Contract the edge that attracts most, and go on; then move regions between segments, in rounds, while that
        helps; then also fuse the result with random proposals. Each goes on from the one before, so each is at least
        as good and takes longer. None promises the lowest energy of all.
    time_limit : float, optional
        Seconds. It is looked at between rounds, so that the round under way is finished.
    random_state : int, optional
        Seed of the proposals.
    n_threads : int, optional
        For proposals; never changes the result.

    Returns
    -------
    partition : Partition
        Segments are connected by contacts. If time ran out, the best found so far, and `finished` is False.

    Raises
    ------
    ShapeError
        If there is not one cost for each edge.
    LabelError
        If a lifted edge is not between two different regions of the graph.
    SettingError
        If costs are not finite, there are lifted edges and no contacts or no costs for them, or an option is out of
        range.

    Warns
    -----
    GalaWarning
        If time ran out.

    References
    ----------
    Keuper et al. 2015, Efficient decomposition of image and mesh graphs by lifted multicuts,
    doi:10.1109/ICCV.2015.204; Beier et al. 2015, Fusion moves for correlation clustering,
    doi:10.1109/CVPR.2015.7298973.

    Examples
    --------
    >>> from gala.graph.build import build_graph
    >>> graph = build_graph([1, 2, 3])
    >>> found = multicut(graph, [1.0, -2.0])
    >>> found.labels.tolist(), found.energy
    ([1, 1, 3], -2.0)
    >>> multicut(graph, [1.0, 2.0], lifted=[(0, 2)], lifted_costs=[-4.0]).labels.tolist()
    [1, 2, 2]
    """
    if solver not in SOLVERS:
        raise SettingError(f"solver must be one of {', '.join(SOLVERS)}; got {solver!r}.")
    if time_limit is not None and not time_limit >= 0:
        raise SettingError(f"time_limit must be 0 or more seconds; got {time_limit!r}.")
    search = _Search(_problem(graph, costs, lifted, lifted_costs), np.inf if time_limit is None else time_limit)
    finished = _descend(search, SOLVERS.index(solver), int(random_state), resolve_n_threads(n_threads))
    if not finished:
        warnings.warn(
            f"multicut stopped at its time limit of {time_limit:g} s, after {search.n_rounds} rounds; this is the best "
            "found so far. Allow more time, or choose solver='greedy'.",
            GalaWarning,
            stacklevel=2,
        )
    return Partition(graph.labels, named_by_lowest(graph, search.best), None, search.lowest, finished)


def multicut_of(
    graph: RegionGraph,
    policy: Policy | Callable[..., Any],
    *,
    lifted: LiftedEdges | None = None,
    bias: float = 0.5,
    exponent: float = 1.0,
    solver: str = "kernighan-lin",
    time_limit: float | None = None,
    random_state: int = 0,
    n_threads: int | None = None,
) -> Partition:
    """Find the likeliest segments, given what a policy says of each contact: probabilities as costs of a multicut.

    Parameters
    ----------
    graph : RegionGraph
        That keeps what the policy needs.
    policy : policy or function
        Gives the probability that a merge is wrong: that of a learned classifier, say, or the mean boundary.
    lifted : LiftedEdges, optional
        Of the same graph; the policy is asked about them, too.
    bias, exponent : float, optional
        See `gala.engine.partition.log_odds`; costs are weighted by the sizes of contacts, and those of lifted edges
        by the voxel pairs of these.
    solver, time_limit, random_state, n_threads : optional
        See `multicut`.

    Raises
    ------
    PolicyError, FeatureError
        If the policy does not give probabilities, or the graph does not keep what it needs.
    SettingError
        As `multicut` does.

    Examples
    --------
    >>> from gala.engine.policy import boundary_mean
    >>> from gala.graph.build import build_graph
    >>> graph = build_graph([1, 1, 2, 2, 3, 3], [0, 0.2, 0.2, 0, 1, 1], boundary_mean.needs)
    >>> multicut_of(graph, boundary_mean).labels.tolist()
    [1, 1, 3]
    """
    p = edge_probabilities(graph, policy, random_state=random_state, n_threads=n_threads)
    costs = log_odds(p, graph.contact_sizes, bias=bias, exponent=exponent)
    far = None
    if lifted is not None:
        p = edge_probabilities(graph, policy, lifted=lifted, random_state=random_state, n_threads=n_threads)
        far = log_odds(p, lifted.sizes, bias=bias, exponent=exponent)
    return multicut(
        graph,
        costs,
        lifted=lifted,
        lifted_costs=far,
        solver=solver,
        time_limit=time_limit,
        random_state=random_state,
        n_threads=n_threads,
    )


class _Search:
    """The best segments found so far, and the time that is left."""

    def __init__(self, problem: _Problem, seconds: float) -> None:
        self.end = time.monotonic() + seconds
        self.problem = problem
        self.objective = problem.objective()
        self.solvers = native.lifted_multicut if len(problem.lifted) else native.multicut
        self.best: Ints = np.arange(problem.graph.n_regions)
        self.lowest = problem.energy(self.best)
        self.n_rounds = 0

    @property
    def late(self) -> bool:
        return time.monotonic() >= self.end

    def run(self, solver: Any, start: Array) -> Array:
        """Return what a solver of the library makes of segments, and keep it if it is the best."""
        self.objective.labels = start.astype(np.uint64)
        found: Array = solver.optimize(self.objective).astype(np.int64)
        segments = connected(self.problem.graph, found)
        energy = self.problem.energy(segments)
        if energy < self.lowest:
            self.best, self.lowest = segments, energy
        self.n_rounds += 1
        return found


def _descend(search: _Search, depth: int, seed: int, n_threads: int) -> bool:
    """Run the first solvers of `SOLVERS`, up to number `depth`, one after the other; tell whether there was time."""
    return (
        _greedy(search)
        and (depth < 1 or _kernighan_lin(search))
        and (depth < 2 or _fusion_moves(search, seed, n_threads))
    )


def _greedy(search: _Search) -> bool:
    if search.late:
        return False
    is_lifted = search.solvers is native.lifted_multicut
    solver = search.solvers.LiftedGreedyAdditiveMulticut if is_lifted else search.solvers.GreedyAdditiveMulticut
    search.run(solver(), search.best)
    return True


def _kernighan_lin(search: _Search) -> bool:
    """Run rounds until one changes nothing. In between energies may rise; this is the way that the library goes."""
    is_lifted = search.solvers is native.lifted_multicut
    solver = search.solvers.LiftedKernighanLinMulticut if is_lifted else search.solvers.KernighanLinMulticut
    last, before = search.best, np.inf
    for _ in range(_MOST_ROUNDS):
        if search.late:
            return False
        last = search.run(solver(number_of_outer_iterations=1), last)
        energy = search.problem.energy(last)
        if energy == before:
            break
        before = energy
    return True


def _fusion_moves(search: _Search, seed: int, n_threads: int) -> bool:
    is_lifted = search.solvers is native.lifted_multicut
    solver = search.solvers.FusionMoveLiftedMulticut if is_lifted else search.solvers.FusionMoveMulticut
    spread = float(search.problem.costs.std()) or 1.0
    idle = 0
    for i in range(_FUSIONS):
        if search.late:
            return False
        proposals = native.multicut.WatershedProposalGenerator(sigma=spread, seed=seed + _PROPOSALS * i)
        before = search.lowest
        once = {"number_of_iterations": 1, "number_of_threads": n_threads, "number_of_parallel_proposals": _PROPOSALS}
        search.run(solver(proposal_generator=proposals, **once), search.best)
        idle = 0 if search.lowest < before else idle + 1
        if idle == _PATIENCE:
            break
    return True


def _problem(
    graph: RegionGraph,
    costs: ArrayLike,
    lifted: LiftedEdges | ArrayLike | None,
    lifted_costs: ArrayLike | None,
) -> _Problem:
    """Return a problem that is one, or raise what is wrong with it."""
    own = checked_weights(len(graph.edges), costs, "costs")
    if lifted is None:
        if lifted_costs is not None:
            raise SettingError("lifted_costs are those of lifted edges; got none. Pass lifted, too.")
        return _Problem(graph, own, np.empty((0, 2), dtype=np.int64), np.empty(0))
    pairs = checked_lifted(graph, lifted)
    if lifted_costs is None:
        raise SettingError("lifted edges must have costs; pass lifted_costs, one for each.")
    return _Problem(graph, own, pairs, checked_weights(len(pairs), lifted_costs, "lifted_costs"))


def checked_lifted(graph: RegionGraph, lifted: LiftedEdges | ArrayLike) -> Ints:
    """Return pairs of regions, int64 of shape (L, 2), or raise what is wrong with them."""
    pairs = np.asarray(lifted.edges if isinstance(lifted, LiftedEdges) else lifted)
    if pairs.size == 0:
        return np.empty((0, 2), dtype=np.int64)
    if pairs.ndim != 2 or pairs.shape[1] != 2 or pairs.dtype.kind not in "iu":
        raise ShapeError(f"lifted must be pairs of regions, whole numbers of shape (L, 2); got shape {pairs.shape}.")
    found = pairs.astype(np.int64)
    if (found < 0).any() or (found >= graph.n_regions).any() or (found[:, 0] == found[:, 1]).any():
        raise LabelError(
            f"lifted edges must lead from one to another of the {graph.n_regions} regions of the graph, by their "
            "positions; others are among them. Take those that were built with this graph."
        )
    if not len(graph.edges):
        raise SettingError(
            f"lifted edges cannot connect regions, contacts must; got {len(found)} lifted edges and no contact. "
            "Build the graph with steps of one voxel among the offsets."
        )
    return found
