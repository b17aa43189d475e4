"""All ways to partition a graph, by name."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from gala.engine.partition.costs import edge_probabilities, signed
from gala.engine.partition.gasp import LINKAGES, gasp
from gala.engine.partition.multicut import multicut_of
from gala.engine.partition.mutex import mutex_watershed
from gala.engine.partition.result import Partition
from gala.engine.policy import Policy, boundary_mean
from gala.errors import SettingError
from gala.graph.affinity_graph import LiftedEdges
from gala.graph.constraints import Constraints
from gala.graph.regions import RegionGraph

APART = "-cannot-link"
METHODS = (*(f"gasp-{linkage}{end}" for end in ("", APART) for linkage in LINKAGES), "multicut", "mutex")


def partition(
    graph: RegionGraph,
    method: str,
    policy: Policy | Callable[..., Any] = boundary_mean,
    *,
    lifted: LiftedEdges | None = None,
    bias: float = 0.5,
    exponent: float = 1.0,
    solver: str = "kernighan-lin",
    time_limit: float | None = None,
    constraints: Constraints | None = None,
    random_state: int = 0,
    n_threads: int | None = None,
) -> Partition:
    """Partition a graph in the way of this name, given what a policy says of its contacts.

    Parameters
    ----------
    graph : RegionGraph
        That keeps what the policy needs.
    method : str
        "gasp-mean", "gasp-sum", "gasp-max", "gasp-min" or "gasp-abs-max", each with "-cannot-link" after it or not,
        "multicut" or "mutex"; `METHODS` lists them.
    policy : policy or function, optional
        Gives probabilities to be apart: the mean boundary, a quantile, a learned classifier.
    lifted : LiftedEdges, optional
        For "multicut" and "mutex": the policy is asked about them, too.
    bias : float, optional
        Where attraction ends; a higher one gives fewer segments.
    exponent, solver, time_limit : optional
        Of "multicut", see `multicut_of`.
    constraints : Constraints, optional
        For "gasp-...".
    random_state, n_threads : optional
        See `multicut`.

    Returns
    -------
    partition : Partition
        Weights are log-odds, weighted by sizes, for "multicut", and `signed` for the others; "gasp-sum" multiplies
        them by the sizes of contacts.

    Raises
    ------
    SettingError
        If there is no such method, or it does not know lifted edges or constraints.
    PolicyError, FeatureError
        If the policy does not give probabilities, or the graph does not keep what it needs.

    Examples
    --------
    >>> from gala.graph.build import build_graph
    >>> graph = build_graph([1, 1, 2, 2, 3, 3], [0, 0.2, 0.2, 0, 1, 1], boundary_mean.needs)
    >>> [partition(graph, method).labels.tolist() for method in ("gasp-mean", "multicut", "mutex")]
    [[1, 1, 3], [1, 1, 3], [1, 1, 3]]
    """
    if method not in METHODS:
        raise SettingError(f"method must be one of {', '.join(METHODS)}; got {method!r}.")
    is_gasp = method.startswith("gasp-")
    if constraints is not None and not is_gasp:
        raise SettingError(f"{method} does not obey constraints; choose gasp-sum-cannot-link or another gasp.")
    if lifted is not None and is_gasp:
        raise SettingError(f"{method} does not know lifted edges; choose multicut or mutex.")
    if method == "multicut":
        return multicut_of(
            graph,
            policy,
            lifted=lifted,
            bias=bias,
            exponent=exponent,
            solver=solver,
            time_limit=time_limit,
            random_state=random_state,
            n_threads=n_threads,
        )
    ask = partial(edge_probabilities, graph, policy, random_state=random_state, n_threads=n_threads)
    weights = signed(ask(), bias=bias)
    if is_gasp:
        name = method.removeprefix("gasp-")
        linkage = name.removesuffix(APART)
        weights = weights * graph.contact_sizes if linkage == "sum" else weights
        return gasp(graph, weights, linkage, cannot_link=name != linkage, constraints=constraints, n_threads=n_threads)
    far = None if lifted is None else signed(ask(lifted=lifted), bias=bias)
    return mutex_watershed(graph, weights, lifted=lifted, lifted_weights=far)
