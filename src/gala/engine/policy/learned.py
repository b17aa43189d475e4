"""Policies that ask a classifier about the features of a pair."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from gala._kernels.jit import row_kernel
from gala._kernels.learning import wrong_rand_change, wrong_vi_change
from gala._kernels.models import Model
from gala._types import Array, Classifier, Floats
from gala.engine.policy.base import CallablePolicy, Compiled
from gala.engine.policy.rows import RowPolicy
from gala.errors import ClassifierError
from gala.features.base import Null
from gala.features.options import finite_number
from gala.features.program import build_program, is_declared, output_names
from gala.graph.caches import RowKernel
from gala.graph.regions import RegionGraph

if TYPE_CHECKING:
    from gala.engine.running import RunningGraph


class ClassifierPolicy(CallablePolicy):
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


@row_kernel
def _expect_vi(params: Floats, u: Floats, v: Floats, edge: Floats, out: Floats) -> None:
    """Write the change of VI to expect."""
    change = wrong_vi_change(u[0], v[0], params[2])
    out[0] = out[0] * params[0] * change - (1.0 - out[0]) * params[1] * change


@row_kernel
def _expect_rand(params: Floats, u: Floats, v: Floats, edge: Floats, out: Floats) -> None:
    """Write the change of the Rand index to expect, what makes it fall being positive."""
    change = wrong_rand_change(u[0], v[0], params[2])
    out[0] = out[0] * params[0] * change - (1.0 - out[0]) * params[1] * change


def expected_change_vi(feature_map: Null, classifier: Classifier, alpha: float = 1.0, beta: float = 1.0) -> RowPolicy:
    """Return the policy that gives the change of the variation of information to expect from a merge.

    With p the probability that a merge is wrong, and v the change of VI if the regions lay in two true objects of
    their sizes, the priority is ``p * alpha * v - (1 - p) * beta * v``, in bits.

    Parameters
    ----------
    feature_map, classifier
        As for `classifier_probability`.
    alpha, beta : float, optional
        What wrong and right merges weigh. To merge below a threshold of 0 is to merge what does more good than harm.

    Raises
    ------
    ClassifierError
        As `classifier_probability` does.
    SettingError
        If `alpha` or `beta` is not a finite number.

    Notes
    -----
    ``v = f(s1 + s2) - f(s1) - f(s2)`` with ``f(s) = s / n * log2(s / n)``, for regions of s1 and s2 voxels in a volume
    of n.

    References
    ----------
    Nunez-Iglesias et al. 2014, Graph-based active learning of agglomeration (GALA), doi:10.3389/fninf.2014.00034.
    """
    return _expected("expected_change_vi", _expect_vi, feature_map, classifier, alpha=alpha, beta=beta)


def expected_change_rand(feature_map: Null, classifier: Classifier, alpha: float = 1.0, beta: float = 1.0) -> RowPolicy:
    """Return the policy that gives the fall of the Rand index to expect from a merge.

    As `expected_change_vi`, with v the share of all pairs of voxels that are one of each region:
    ``v = s1 * s2 / (n * (n - 1) / 2)``.

    Parameters
    ----------
    feature_map, classifier
        As for `classifier_probability`.
    alpha, beta : float, optional
        What wrong and right merges weigh.

    Raises
    ------
    ClassifierError, SettingError
        As `expected_change_vi` does.
    """
    return _expected("expected_change_rand", _expect_rand, feature_map, classifier, alpha=alpha, beta=beta)


def _expected(
    name: str, kernel: RowKernel, feature_map: Null, classifier: Classifier, *, alpha: float, beta: float
) -> RowPolicy:
    weights = finite_number(alpha, "alpha"), finite_number(beta, "beta")
    probability = ClassifierPolicy(feature_map, classifier)
    return RowPolicy(name, kernel, Null(), numbers=partial(_with_volume, weights), after=probability)


def _with_volume(weights: tuple[float, float], graph: RegionGraph) -> tuple[float, ...]:
    """Return the weights, and the number of voxels of all regions."""
    return (*weights, float(graph.sizes.sum()))
