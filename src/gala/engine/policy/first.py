"""The policy that asks a classifier once, about the contacts of the graph as it is given, and then joins its answers.

What a classifier says of two superpixels is a sum that merges carry on: two more columns of a contact's row, its weight
and its weight times the log-odds that the merge is wrong. The priority is their mean, which no single answer turns, and
the classifier never meets regions of a kind that it has not learned from.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from gala._kernels.jit import row_kernel
from gala._types import ArrayLike, Classifier, Floats
from gala.engine.policy.base import Compiled
from gala.engine.policy.learned import ClassifierPolicy
from gala.engine.policy.rows import RowPolicy
from gala.errors import FeatureError
from gala.features.base import Null
from gala.graph.caches import CacheSpec
from gala.graph.regions import RegionGraph

COLUMNS = ("weight of log-odds", "log-odds times weight")
_surest = 0.995  # no classifier is trusted beyond
_doubt = 0.3  # of a typical contact: the weight of not knowing, so that sure and large contacts come first


@row_kernel
def _write_mean_log_odds(params: Floats, u: Floats, v: Floats, edge: Floats, out: Floats) -> None:
    """Write the logistic function of the mean log-odds."""
    mean = edge[int(params[1])] / (edge[int(params[0])] + params[2])
    out[0] = 1.0 / (1.0 + math.exp(-mean))


class MeanLogOdds(RowPolicy):
    """The probability that a merge is wrong, from the mean of what a classifier says of the contacts it is made of."""

    def __init__(self, feature_map: Null, classifier: Classifier) -> None:
        super().__init__("mean_log_odds", _write_mean_log_odds, feature_map, COLUMNS, numbers=_numbers)
        self.scorer = ClassifierPolicy(feature_map, classifier)

    def prepared(self, graph: RegionGraph, *, n_threads: int | None = None) -> RegionGraph:
        """Return the graph with the two columns, from the answers to each of its contacts."""
        from gala.engine.running import RunningGraph  # which needs policies

        if graph.contact_spec.find(CacheSpec.sums(*COLUMNS)) is not None:
            return graph
        probability = RunningGraph(graph, self.scorer, n_threads=n_threads).priorities()
        weight = np.sqrt(graph.contact_cache[:, 0])
        columns = np.column_stack([weight, weight * bounded_logit(probability)])
        return replace(
            graph,
            contact_spec=graph.contact_spec + CacheSpec.sums(*COLUMNS),
            contact_cache=np.ascontiguousarray(np.hstack([graph.contact_cache, columns])),
        )

    def compiled(self, graph: RegionGraph) -> Compiled | None:
        """Return the policy laid flat for `graph`.

        Raises
        ------
        FeatureError
            If the graph was not made with this policy.
        """
        if graph.contact_spec.find(CacheSpec.sums(*COLUMNS)) is None:
            raise FeatureError(
                f"{self.name} asks its classifier before the first merge, so a graph must be made with it; give it to "
                "gala.engine.agglomerate.agglomerate, or to gala.agglo.Rag as merge_priority_function."
            )
        return super().compiled(graph)


def mean_log_odds(feature_map: Null, classifier: Classifier) -> MeanLogOdds:
    """Return the policy that averages what a classifier says of the superpixels on both sides of a contact.

    With p the probability, for each contact of the graph as it is given, that merging its regions is wrong, and n its
    voxels, the priority of a contact that is made of several is ``1 / (1 + exp(-x))`` with ``x = sum(w * log(p /
    (1 - p))) / (sum(w) + w0)`` and ``w = sqrt(n)``; w0 is 0.3 times the mean of w. Below 0.5 a merge is rather right.

    Parameters
    ----------
    feature_map : feature manager
        Gives the features that the classifier was trained on.
    classifier : fitted classifier
        As for `classifier_probability`; it should have learned from contacts of superpixels, without merges.

    Raises
    ------
    ClassifierError
        As `classifier_probability` does.
    FeatureError
        When it is used, if the graph was not made with it: it cannot be set on a graph that is under way.

    Notes
    -----
    Log-odds add up over independent evidence; the answers for pieces of one contact are not independent, so that the
    mean is meant, and the root of the voxels. Measured against other rules on the page docs/learning.md. Average
    linkage of learned weights is one of the rules of Bailoni et al. 2022, GASP, doi:10.1109/CVPR52688.2022.01136.

    Examples
    --------
    >>> from gala.features import moments
    >>> from sklearn.naive_bayes import GaussianNB
    >>> mean_log_odds(moments.Manager(), GaussianNB())
    <policy mean_log_odds>
    """
    return MeanLogOdds(feature_map, classifier)


def bounded_logit(probability: ArrayLike) -> Floats:
    """Return the log-odds of probabilities, those that are surer than 0.995 being taken for that.

    Examples
    --------
    >>> bounded_logit(np.array([0.5, 1.0])).round(3).tolist()
    [0.0, 5.293]
    """
    p = np.clip(probability, 1 - _surest, _surest)
    found: Floats = np.log(p / (1 - p))
    return found


def weight_of_doubt(graph: RegionGraph) -> float:
    """Return the weight of not knowing, from the weights of the contacts of a graph before merges."""
    weights = graph.contact_cache[:, graph.contact_spec.names.index(COLUMNS[0])]
    return _doubt * float(weights.mean()) if len(weights) else 1.0


def _numbers(graph: RegionGraph) -> tuple[float]:
    return (weight_of_doubt(graph),)
