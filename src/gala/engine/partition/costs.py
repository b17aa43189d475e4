"""Signed weights of edges: positive if two regions attract each other, negative if they repel."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from gala._types import ArrayLike, Floats
from gala.engine.policy import Policy
from gala.engine.running import RunningGraph
from gala.errors import PolicyError, SettingError, ShapeError
from gala.graph.affinity_graph import LiftedEdges
from gala.graph.regions import RegionGraph

_CLOSEST = 1e-3  # how near to 0 and 1 probabilities count, so that no single edge decides


def edge_probabilities(
    graph: RegionGraph,
    policy: Policy | Callable[..., Any],
    *,
    lifted: LiftedEdges | None = None,
    random_state: int | np.random.Generator | None = None,
    n_threads: int | None = None,
) -> Floats:
    """Return what a policy says of each contact, or of each lifted edge, as a probability to be apart.

    Parameters
    ----------
    graph : RegionGraph
    policy : policy or function
        Whose priorities are from 0 (together) to 1 (apart): that of a classifier, the mean boundary, a quantile.
    lifted : LiftedEdges, optional
        Edges of the same graph to ask about, in place of its contacts.
    random_state : int or numpy.random.Generator, optional
        For policies that draw random numbers.
    n_threads : int, optional
        Never changes the result.

    Returns
    -------
    probabilities : array of float64, shape (E,)

    Raises
    ------
    PolicyError
        If a priority is not from 0 to 1.
    FeatureError
        If the graph does not keep what the policy needs.
    """
    asked = graph if lifted is None else replace(graph, edges=lifted.edges, contact_cache=lifted.cache)
    running = RunningGraph(asked, policy, random=np.random.default_rng(random_state), n_threads=n_threads)
    found = running.new_priorities(np.arange(len(asked.edges)))
    if len(found) and not (found.min() >= 0 and found.max() <= 1):
        raise PolicyError(
            f"a policy must give probabilities, from 0 (together) to 1 (apart), to weigh edges; {policy!r} gave "
            f"{found.min():g} to {found.max():g}. Scale the image, or pass weights of your own."
        )
    return found


def signed(probabilities: ArrayLike, *, bias: float = 0.5) -> Floats:
    """Return how far probabilities to be apart are below a bias: ``bias - p``.

    Parameters
    ----------
    probabilities : array of float, shape (E,)
        From 0 (together) to 1 (apart).
    bias : float, optional
        From 0 to 1; where attraction ends. A higher one gives fewer segments.

    Returns
    -------
    weights : array of float64, shape (E,)

    Raises
    ------
    SettingError
        If a number is not from 0 to 1.

    References
    ----------
    Bailoni et al. 2022, GASP, a generalized framework for agglomerative clustering of signed graphs, arXiv:1906.11713.

    Examples
    --------
    >>> signed([0.25, 1.0]).tolist()
    [0.25, -0.5]
    """
    return _fraction(bias, "bias") - _checked(probabilities)


def log_odds(
    probabilities: ArrayLike, sizes: ArrayLike | None = None, *, bias: float = 0.5, exponent: float = 1.0
) -> Floats:
    """Return the costs of cutting edges that make the likeliest partition the one of lowest energy.

    Parameters
    ----------
    probabilities : array of float, shape (E,)
        From 0 (together) to 1 (apart); those nearer to 0 or 1 than 0.001 count as that.
    sizes : array of int, shape (E,), optional
        Of the contacts: costs are multiplied by the size over the largest one, raised to `exponent`. By default all
        weigh the same.
    bias : float, optional
        Above 0 and below 1: the probability at which the cost is 0. A higher one gives fewer segments.
    exponent : float, optional
        Of relative sizes; 0 is to ignore them.

    Returns
    -------
    costs : array of float64, shape (E,)
        ``log((1 - p) / p) - log((1 - bias) / bias)``, weighted: positive if two regions attract each other.

    Raises
    ------
    SettingError
        If a probability is not from 0 to 1, `bias` not between them, or `exponent` below 0.
    ShapeError
        If there is not one size for each probability.

    References
    ----------
    Kappes et al. 2011, Globally optimal image partitioning by multicuts, doi:10.1007/978-3-642-23094-3_3; Beier et al.
    2017, Multicut brings automated neurite segmentation closer to human performance, doi:10.1038/nmeth.4151, for the
    weighting by size.

    Examples
    --------
    >>> log_odds([0.5, 0.2, 0.8]).round(3).tolist(), log_odds([0.2, 0.2], [10, 5]).round(3).tolist()
    ([0.0, 1.386, -1.386], [1.386, 0.693])
    """
    p = np.clip(_checked(probabilities), _CLOSEST, 1 - _CLOSEST)
    b = _fraction(bias, "bias")
    if b in (0, 1):
        raise SettingError(f"bias of log-odds must be above 0 and below 1; got {bias!r}.")
    costs: Floats = np.log((1 - p) / p) - np.log((1 - b) / b)
    if sizes is None:
        return costs
    known = np.asarray(sizes, dtype=np.float64)
    if known.shape != p.shape:
        raise ShapeError(f"sizes must be one for each probability, shape {p.shape}; got shape {known.shape}.")
    if not exponent >= 0 or (known <= 0).any():
        raise SettingError(f"sizes must be above 0, and exponent 0 or more; got exponent={exponent!r}.")
    weighted: Floats = costs * (known / known.max(initial=1)) ** exponent
    return weighted


def checked_weights(graph_edges: int, weights: ArrayLike, name: str = "weights") -> Floats:
    """Return finite weights as float64, one for each edge; else raise ShapeError or SettingError."""
    found = np.asarray(weights, dtype=np.float64)
    if found.shape != (graph_edges,):
        raise ShapeError(f"{name} must be one for each edge, shape {(graph_edges,)}; got shape {found.shape}.")
    if not np.isfinite(found).all():
        raise SettingError(f"{name} must be finite; got NaN or infinity. Use constraints to force or forbid merges.")
    return found


def _checked(probabilities: ArrayLike) -> Floats:
    found = np.asarray(probabilities, dtype=np.float64)
    if found.size and not (found.min() >= 0 and found.max() <= 1):
        raise SettingError(f"probabilities must be from 0 to 1; got {found.min():g} to {found.max():g}.")
    return found


def _fraction(value: float, name: str) -> float:
    if not 0 <= value <= 1:
        raise SettingError(f"{name} must be from 0 to 1; got {value!r}.")
    return float(value)
