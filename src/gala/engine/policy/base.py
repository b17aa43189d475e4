"""What a policy is, and policies that are functions."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, overload

import numpy as np

from gala._kernels.models import Model
from gala._kernels.program import Program
from gala._types import Array, ArrayLike, Floats
from gala.errors import PolicyError, SettingError
from gala.features.base import Null
from gala.graph.regions import RegionGraph

if TYPE_CHECKING:
    from gala.engine.running import RunningGraph


class Compiled(NamedTuple):
    """A policy laid flat for one kind of graph: priority = finish(model(program(pair)))."""

    program: Program
    model: Model
    n_features: int


class Policy(Protocol):
    """What gives priorities to edges."""

    needs: Null  # a manager of the cache columns that it reads
    linkage: str | None  # see CallablePolicy

    @property
    def reducible(self) -> bool:
        """Whether two contacts joined never come before both of them."""

    def __call__(self, g: RunningGraph, edges: Array, /) -> Floats:
        """Return the priority of each pair of regions, shape (B, 2), as float64 of shape (B,)."""

    def compiled(self, graph: RegionGraph) -> Compiled | None:
        """Return the policy laid flat for `graph`, or None if it must be called."""

    def prepared(self, graph: RegionGraph, *, n_threads: int | None = None) -> RegionGraph:
        """Return `graph` with what the policy must know before the first merge."""


class CallablePolicy:
    """A policy that can be called with a list of edges, or with two regions."""

    needs: Null = Null()
    linkage: str | None = None  # "mean", "min" or "max", of some values of the contact; None if it is none of these

    @property
    def reducible(self) -> bool:
        """Whether two contacts joined never come before both of them, so that any order of best pairs gives one tree.

        Means, minima and maxima over the contact are; of the others nothing is promised.
        """
        return self.linkage is not None

    @overload
    def __call__(self, g: RunningGraph, edges: ArrayLike, /) -> Floats: ...

    @overload
    def __call__(self, g: RunningGraph, u: int, v: int, /) -> float: ...

    def __call__(self, g: RunningGraph, where: Any, v: int | None = None, /) -> Floats | float:
        """Return the priority of each edge in an array of shape (B, 2), or that of merging two regions."""
        if v is not None:
            return float(self._priorities(g, np.array([[where, v]]))[0])
        return self._priorities(g, np.asarray(where).reshape(-1, 2))

    def _priorities(self, g: RunningGraph, edges: Array) -> Floats:
        raise PolicyError(f"{type(self).__name__} must define how priorities are computed.")

    def compiled(self, graph: RegionGraph) -> Compiled | None:
        """Return None: this policy must be called."""
        return None

    def prepared(self, graph: RegionGraph, *, n_threads: int | None = None) -> RegionGraph:
        """Return `graph`: there is nothing to know before the first merge."""
        return graph

    def with_settings(self, **settings: Any) -> CallablePolicy:
        """Return the policy that differs from this one in the settings given.

        Raises
        ------
        SettingError
            If it has no such setting.
        """
        raise SettingError(f"{self!r} has no settings; got {', '.join(settings)}.")


class FunctionPolicy(CallablePolicy):
    """A policy that is a function of the running graph and edges: ``function(g, edges) -> priorities``."""

    def __init__(self, function: Callable[..., Any], name: str | None = None) -> None:
        self.function = function
        self.name = getattr(function, "__name__", str(function)) if name is None else name

    def __repr__(self) -> str:
        return f"<policy {self.name}>"

    def _priorities(self, g: RunningGraph, edges: Array) -> Floats:
        if len(edges) == 0:
            return np.empty(0)
        return _as_priorities(self.function(g, edges), edges, repr(self))


class PairPolicy(FunctionPolicy):
    """A policy that is a function of the running graph and two regions: ``function(g, u, v) -> priority``."""

    def _priorities(self, g: RunningGraph, edges: Array) -> Floats:
        priorities = [self.function(g, u, v) for u, v in edges.tolist()]
        return _as_priorities(priorities, edges, repr(self))


def as_policy(function: Any) -> Policy:
    """Return `function` as a policy.

    Parameters
    ----------
    function : policy, or callable
        ``f(g, u, v)`` returns the priority of merging two regions, ``f(g, edges)`` those of edges, shape (B, 2), as
        an array of shape (B,). `g` is the graph as it is then: see `gala.engine.running.RunningGraph`.

    Raises
    ------
    PolicyError
        If it cannot be called in either way.

    Examples
    --------
    >>> as_policy(lambda g, u, v: abs(g.nodes[u]["size"] - g.nodes[v]["size"]))
    <policy <lambda>>
    """
    if isinstance(function, CallablePolicy):
        return function
    if isinstance(function, partial) and isinstance(function.func, CallablePolicy) and not function.args:
        return function.func.with_settings(**function.keywords)
    if not callable(function):
        raise PolicyError(
            f"a merge priority function must be callable, as f(g, u, v) or f(g, edges); got {function!r}."
        )
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):  # builtins may not tell
        return PairPolicy(function)
    required = [
        p for p in parameters if p.default is p.empty and p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)
    ]
    takes_more = any(p.kind is p.VAR_POSITIONAL for p in parameters)
    if len(required) == 2 and not takes_more:
        return FunctionPolicy(function)
    if len(required) == 3 or takes_more:
        return PairPolicy(function)
    raise PolicyError(
        f"a merge priority function takes (g, u, v) or (g, edges); {function!r} takes {len(required)} arguments."
    )


def _as_priorities(values: ArrayLike, edges: Array, name: str) -> Floats:
    """Return what a user's function gave as float64, shape (B,), or say what is wrong with it."""
    try:
        priorities = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError):
        raise PolicyError(f"{name} must return numbers; got {values!r}.") from None
    if priorities.shape != (len(edges),):
        raise PolicyError(
            f"{name} must return one number an edge, shape {(len(edges),)}; got shape {priorities.shape}."
        )
    nan = np.flatnonzero(np.isnan(priorities))
    if len(nan):
        raise not_a_priority(name, *edges[nan[0]])
    return priorities


def not_a_priority(name: str, u: int, v: int) -> PolicyError:
    """Return the error of a policy that gave NaN for regions `u` and `v`."""
    return PolicyError(f"{name} gave NaN for regions {u} and {v}; a priority is a number, or infinity to keep apart.")
