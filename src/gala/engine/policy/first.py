"""The policy that asks a classifier once, about the contacts of the graph as it is given, and then joins its answers.

What a classifier says of two superpixels is a sum that merges carry on: two more columns of a contact's row, its weight
and its weight times the log-odds that the merge is wrong. The priority is their mean, which no single answer turns, and
the classifier never meets regions of a kind that it has not learned from.

One thing superpixels cannot tell is how a region lies among its neighbours once it has grown: a region that another one
encloses is part of it, however clear the boundary between them. The voxels of all its contacts are a surface, which
merges carry on too.
"""

from __future__ import annotations

import math
from dataclasses import replace
from functools import partial

import numpy as np

from gala._kernels.jit import inlined, row_kernel
from gala._types import ArrayLike, Classifier, Floats
from gala.engine.policy.base import Compiled
from gala.engine.policy.learned import ClassifierPolicy
from gala.engine.policy.rows import RowPolicy
from gala.errors import FeatureError, SettingError
from gala.features.base import Null
from gala.graph.caches import CacheSpec, Join
from gala.graph.regions import RegionGraph

COLUMNS = ("weight of log-odds", "log-odds times weight")
SURFACE = CacheSpec(("voxels of all contacts",), (Join.SURFACE,))  # those at the border of the volume included
_most_enclosed = 6.0  # log-odds by which a region with one neighbour alone is the likelier a part of it
_surest = 0.995  # no classifier is trusted beyond
_doubt = 0.3  # of a typical contact: the weight of not knowing, so that sure and large contacts come first


@inlined
def of_enclosure(size: float, surface_u: float, surface_v: float, enclosed: float) -> float:
    """Return what is added to the log-odds that a merge is wrong, from voxels of the contact and of all contacts."""
    share = size / min(surface_u, surface_v)
    return -_most_enclosed * (share - enclosed) / (1.0 - enclosed) if share > enclosed else 0.0


@row_kernel
def _write_mean_log_odds(params: Floats, u: Floats, v: Floats, edge: Floats, out: Floats) -> None:
    """Write the logistic function of the mean log-odds, less what the more enclosed region gives."""
    mean = edge[int(params[1])] / (edge[int(params[0])] + params[2])
    surface = int(params[3])
    mean += of_enclosure(edge[0], u[surface], v[surface], params[4])
    out[0] = 1.0 / (1.0 + math.exp(-mean))


class MeanLogOdds(RowPolicy):
    """The probability that a merge is wrong, from the mean of what a classifier says of the contacts it is made of."""

    def __init__(self, feature_map: Null, classifier: Classifier, enclosed: float = 1.0) -> None:
        name = "mean_log_odds" if enclosed == 1 else f"mean_log_odds(enclosed={enclosed:g})"
        numbers = partial(_numbers, enclosed)
        super().__init__(name, _write_mean_log_odds, feature_map, COLUMNS, numbers=numbers)
        self.scorer = ClassifierPolicy(feature_map, classifier)
        self.enclosed = enclosed

    def prepared(self, graph: RegionGraph, *, n_threads: int | None = None) -> RegionGraph:
        """Return the graph with the answers to each of its contacts, and the surface of each region."""
        from gala.engine.running import RunningGraph  # which needs policies

        if graph.contact_spec.find(CacheSpec.sums(*COLUMNS)) is not None:
            return graph
        probability = RunningGraph(graph, self.scorer, n_threads=n_threads).priorities()
        weight = np.sqrt(graph.contact_cache[:, 0])
        sizes = graph.contact_sizes
        columns = np.column_stack([weight, weight * bounded_logit(probability), 2 * sizes])  # lost on both sides
        surface = graph.border_sizes + np.bincount(graph.edges.ravel(), np.repeat(sizes, 2), graph.n_regions)
        return replace(
            graph,
            region_spec=graph.region_spec + SURFACE,
            region_cache=np.column_stack([graph.region_cache, surface]),
            contact_spec=graph.contact_spec + CacheSpec.sums(*COLUMNS) + SURFACE,
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


def mean_log_odds(feature_map: Null, classifier: Classifier, enclosed: float = 1.0) -> MeanLogOdds:
    """Return the policy that averages what a classifier says of the superpixels on both sides of a contact.

    With p the probability, for each contact of the graph as it is given, that merging its regions is wrong, and n its
    voxels, the priority of a contact that is made of several is ``1 / (1 + exp(-x))`` with ``x = sum(w * log(p /
    (1 - p))) / (sum(w) + w0)`` and ``w = sqrt(n)``; w0 is 0.3 times the mean of w. Below 0.5 a merge is rather right.
    With s the share of the contact in all contacts of the region that has fewer voxels of them, those at the border of
    the volume included, ``6 * (s - enclosed) / (1 - enclosed)`` is taken from x where s is above `enclosed`.

    Parameters
    ----------
    feature_map : feature manager
        Gives the features that the classifier was trained on.
    classifier : fitted classifier
        As for `classifier_probability`; it should have learned from contacts of superpixels, without merges.
    enclosed : float, optional
        Share of its contacts, from 0 to 1, above which one neighbour encloses a region more than it would a whole
        object; see `gala.engine.enclosure.usual_share`. By default it does not matter.

    Raises
    ------
    ClassifierError
        As `classifier_probability` does.
    SettingError
        If `enclosed` is not from 0 to 1.
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
    if not 0 <= enclosed <= 1:
        raise SettingError(f"enclosed must be from 0 to 1; got {enclosed!r}.")
    return MeanLogOdds(feature_map, classifier, float(enclosed))


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


def _numbers(enclosed: float, graph: RegionGraph) -> tuple[float, ...]:
    return weight_of_doubt(graph), graph.region_spec.names.index(SURFACE.names[0]), enclosed
