"""Policies: which regions to merge first. The lowest priority merges first, infinity never does.

A policy is a feature map and a model. A `RowPolicy` computes its priority with one row kernel, a
`ClassifierPolicy` asks a classifier about features; both run compiled where they can. Anything else is a function.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, overload

import numpy as np

from gala._kernels.jit import row_kernel, row_kernels
from gala._kernels.models import Model, identity
from gala._kernels.program import Part, Program
from gala._types import Array, ArrayLike, Classifier, Floats
from gala.errors import ClassifierError, FeatureError, PolicyError
from gala.features import moments
from gala.features.base import Null
from gala.features.program import build_program, is_declared, output_names
from gala.graph.caches import CacheSpec, RowKernel
from gala.graph.regions import RegionGraph

if TYPE_CHECKING:
    from gala.engine.running import RunningGraph


class Compiled(NamedTuple):
    """A policy laid flat for one kind of graph: priority = model(program(pair))."""

    program: Program
    model: Model
    n_features: int


class Policy(Protocol):
    """What gives priorities to edges."""

    needs: Null  # a manager of the cache columns that it reads

    def __call__(self, g: RunningGraph, edges: Array, /) -> Floats:
        """Return the priority of each pair of regions, shape (B, 2), as float64 of shape (B,)."""

    def compiled(self, graph: RegionGraph) -> Compiled | None:
        """Return the policy laid flat for `graph`, or None if it must be called."""


class _Callable:
    """A policy that can be called with a list of edges, or with two regions."""

    needs: Null = Null()

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


class RowPolicy(_Callable):
    """A policy written as one row kernel, which writes a priority to ``out[0]``.

    The kernel receives the positions in the contact rows of the columns it names as ``params``, and the whole rows
    of both regions and their contact.
    """

    def __init__(self, name: str, kernel: RowKernel, needs: Null, contact_columns: Sequence[str]) -> None:
        self.name = name
        self.kernel = kernel
        self.needs = needs
        self.contact_columns = tuple(contact_columns)

    def __repr__(self) -> str:
        return f"<policy {self.name}>"

    def compiled(self, graph: RegionGraph) -> Compiled:
        """Return the policy laid flat for `graph`."""
        places = [graph.contact_spec.find(CacheSpec.sums(name)) for name in self.contact_columns]
        if None in places:
            raise FeatureError(
                f"policy {self.name} needs the columns {', '.join(self.contact_columns)}, and the graph keeps "
                f"{', '.join(graph.contact_spec.names)}. Build the graph with {self.name}.needs among its features."
            )
        width_u, width_edge = len(graph.region_spec), len(graph.contact_spec)
        step = [0, Part.CONTACT, 0, width_u, 0, width_edge, 0, 1, 0, len(places)]
        program = Program(
            row_kernels([self.kernel]), np.array([step], dtype=np.int64), np.array(places, dtype=np.float64)
        )
        return Compiled(program, identity(), 1)

    def _priorities(self, g: RunningGraph, edges: Array) -> Floats:
        return g.score(self.compiled(g.graph), g.find_contacts(edges))


class ClassifierPolicy(_Callable):
    """The probability, from features of a pair, that merging it is wrong."""

    def __init__(self, feature_map: Null, classifier: Classifier) -> None:
        if not hasattr(classifier, "predict_proba"):
            raise ClassifierError(f"classifier must have a method predict_proba; got {classifier!r}.")
        self.needs = feature_map
        self.classifier = classifier
        self.flat: Model | None = None
        self.n_checked = -1

    def __repr__(self) -> str:
        return f"<policy classifier_probability({type(self.classifier).__name__})>"

    def compiled(self, graph: RegionGraph) -> Compiled | None:
        """Return the policy laid flat for `graph`, or None if its features or classifier must be called."""
        if not is_declared(self.needs):
            return None
        program = build_program(self.needs, graph.region_spec, graph.contact_spec, graph.kind)
        n_features = len(output_names(self.needs, graph.kind))
        self._check(n_features)
        return None if self.flat is None else Compiled(program, self.flat, n_features)

    def _check(self, n_features: int) -> None:
        from gala.classify.flat import check_classifier, lay_flat  # scikit-learn is loaded when it is needed

        if self.n_checked != n_features:
            check_classifier(self.classifier, n_features)
            self.flat = lay_flat(self.classifier)
            self.n_checked = n_features

    def _priorities(self, g: RunningGraph, edges: Array) -> Floats:
        if len(edges) == 0:
            return np.empty(0)
        compiled = self.compiled(g.graph)
        if compiled is not None:
            return g.score(compiled, g.find_contacts(edges))
        X = g.features(self.needs, edges)
        self._check(X.shape[1])
        probability: Floats = np.asarray(self.classifier.predict_proba(X), dtype=np.float64)[:, 1]
        return probability


class FunctionPolicy(_Callable):
    """A policy that is a function of the running graph and edges: ``function(g, edges) -> priorities``."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function = function

    def __repr__(self) -> str:
        return f"<policy {getattr(self.function, '__name__', self.function)!s}>"

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
    if isinstance(function, _Callable):
        return function
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


def classifier_probability(feature_map: Null, classifier: Classifier) -> ClassifierPolicy:
    """Return the policy that asks a classifier how likely a merge is wrong.

    Parameters
    ----------
    feature_map : feature manager
        Gives the features that the classifier was trained on.
    classifier : fitted classifier
        With the methods of scikit-learn and classes -1 (merge) and 1 (don't), or 0 and 1. Forests, boosted trees,
        logistic regression and naive Bayes run inside the compiled loop and give what their `predict_proba` gives;
        any other estimator is called with the edges of one merge at a time.

    Raises
    ------
    ClassifierError
        If it has no `predict_proba`; and when it is used, if it is not fitted, or has other features or classes.

    References
    ----------
    Nunez-Iglesias et al. 2013, Machine learning of hierarchical clustering to segment 2D and 3D images,
    doi:10.1371/journal.pone.0071715.
    """
    return ClassifierPolicy(feature_map, classifier)


def ordered_priority(edges: Sequence[Sequence[int]]) -> PairPolicy:
    """Return the policy that merges `edges`, pairs of regions, in the order given, and nothing else."""
    n = len(edges)
    place = {frozenset((int(u), int(v))): i / n for i, (u, v) in enumerate(edges)}

    def priority(g: RunningGraph, u: int, v: int) -> float:
        return place.get(frozenset((u, v)), np.inf)

    return PairPolicy(priority)


@row_kernel
def _contact_mean(params: Floats, u: Floats, v: Floats, edge: Floats, out: Floats) -> None:
    """Write sum over count."""
    out[0] = edge[int(params[1])] / edge[int(params[0])]


def _contact_median(g: RunningGraph, edges: Array) -> Floats:
    """Return the median of channel 0 over each contact."""
    return np.array([np.median(g.probabilities_r[g.boundary(u, v), 0].astype(np.float64)) for u, v in edges.tolist()])


def _random(g: RunningGraph, edges: Array) -> Floats:
    """Return random priorities, uniform in [0, 1), drawn from the generator of the graph."""
    return g.random.random(len(edges))


boundary_mean = RowPolicy(
    "boundary_mean", _contact_mean, moments.Manager(nmoments=1, use_diff_features=False), ("p0", "p1[0]")
)
approximate_boundary_mean = boundary_mean  # the historic one read sums instead of voxels, as ours always does
boundary_median = FunctionPolicy(_contact_median)
random_priority = FunctionPolicy(_random)


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
