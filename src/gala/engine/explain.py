"""Which features moved a decision: what each adds to the priority of a pair of regions."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gala._kernels.models import FOREST, Model
from gala._kernels.state import NEXT_PART
from gala._types import Floats
from gala.classify.contributions import Contributions, contributions
from gala.engine.policy.first import COLUMNS, SURFACE, MeanLogOdds, bounded_logit, of_enclosure, weight_of_doubt
from gala.engine.policy.learned import ClassifierPolicy
from gala.engine.running import RunningGraph
from gala.engine.state import chain, row_of_contact
from gala.errors import ClassifierError, PolicyError
from gala.features.program import output_names

_ENCLOSURE = "share of all contacts"  # the name of what is added for a region that another one encloses


@dataclass(frozen=True, slots=True, eq=False)
class Explanation:
    """A decision as a sum: the baseline and what each of F features adds to it.

    Above the baseline speaks against the merge. The unit is probability for a forest that is asked about the regions
    as they are, else log-odds.
    """

    total: float
    baseline: float
    names: tuple[str, ...]  # (F,)
    added: Floats  # (F,)

    def strongest(self, n: int = 5) -> list[tuple[str, float]]:
        """Return the `n` features that moved the decision most, and what they add."""
        order = np.argsort(-np.abs(self.added), kind="stable")[:n]
        return [(self.names[i], float(self.added[i])) for i in order]


def explain(g: RunningGraph, u: int, v: int) -> Explanation:
    """Tell which features moved the priority of merging two regions.

    Parameters
    ----------
    g : RunningGraph
        As it is now, with a policy that `gala.engine.policy.classifier_probability` or `mean_log_odds` made; for a
        merge of a tree, run it up to that merge: ``g.agglomerate(max_merges=k)``.
    u, v : int
        Regions that touch, by number.

    Returns
    -------
    explanation : Explanation
        The baseline is what the model says of all its examples on average, and ``baseline + added.sum() == total``
        but for rounding, before calibration.

    Raises
    ------
    PolicyError
        If the policy is of another kind.
    ClassifierError
        If the classifier is neither trees nor linear.
    LabelError, KeyError
        If the regions are not there, or do not touch.

    Notes
    -----
    The mean of log-odds has a share for each contact that it is the mean of; in each of them, what a feature adds to
    the probability of a forest is scaled to log-odds, all features by one factor. What is added because one region
    encloses the other comes last, under the name "share of all contacts".

    Examples
    --------
    >>> from sklearn.linear_model import LogisticRegression
    >>> from gala.engine.policy import classifier_probability
    >>> from gala.features import moments
    >>> from gala.graph.build import build_graph
    >>> features = moments.Manager(1, use_diff_features=False)
    >>> graph = build_graph([1, 1, 2, 2, 3, 3], [0, 0.2, 0.3, 0, 1, 1], features)
    >>> model = LogisticRegression().fit([[2, 0.1, 2, 0.15, 2, 0.25], [2, 0.5, 2, 1, 2, 0.5]], [-1, 1])
    >>> g = RunningGraph(graph, classifier_probability(features, model))
    >>> explain(g, 1, 2).strongest(1)[0][0]
    'larger mean[0]'
    """
    contact = g.find_contact(u, v)
    policy = g.policy
    if isinstance(policy, ClassifierPolicy):
        policy.compiled(g.graph)  # which lays it flat
        said = _contributions(policy, g.describe(policy.needs, np.array([contact])))
        return _explanation(output_names(policy.needs, g.kind), said.baseline, said.features[0])
    if not isinstance(policy, MeanLogOdds):
        raise PolicyError(
            f"policies that classifier_probability or mean_log_odds made can be explained; got {policy!r}."
        )
    return _of_mean(g, policy, contact)


def _of_mean(g: RunningGraph, policy: MeanLogOdds, contact: int) -> Explanation:
    """Return the explanation of a mean: the weighted sum of those of the contacts of the graph it was made of."""
    pieces = np.array(chain(g.state.links[:, NEXT_PART], contact))
    said = _contributions(policy.scorer, RunningGraph(g.graph, policy.scorer).describe(policy.needs, pieces))
    first = g.graph.contact_spec.names.index(COLUMNS[0])
    weight, weighted = g.graph.contact_cache[pieces, first : first + 2].T
    share = weight / (weight.sum() + weight_of_doubt(g.graph))
    middle = float(bounded_logit(said.baseline)) if _model_of(policy.scorer).kind == FOREST else said.baseline
    moved = said.features.sum(axis=1)
    factor = np.divide(weighted / weight - middle, moved, out=np.zeros(len(moved)), where=moved != 0)
    added = [*(share * factor) @ said.features, _of_enclosure(g, policy, contact)]
    names = (*output_names(policy.needs, g.kind), _ENCLOSURE)
    return _explanation(names, middle * float(share.sum()), np.array(added))


def _of_enclosure(g: RunningGraph, policy: MeanLogOdds, contact: int) -> float:
    """Return what is added to the log-odds of a contact because one of its regions is enclosed."""
    column = g.graph.region_spec.names.index(SURFACE.names[0])
    u, v = g.state.region_rows[g.state.ends[contact], column]
    return float(of_enclosure(row_of_contact(g.state, contact)[0], u, v, policy.enclosed))


def _contributions(policy: ClassifierPolicy, X: Floats) -> Contributions:
    return contributions(_model_of(policy), X)


def _model_of(policy: ClassifierPolicy) -> Model:
    if policy.flat is None:
        name = type(policy.classifier).__name__
        raise ClassifierError(f"only classifiers that can be laid flat are explained; {name} cannot be.")
    return policy.flat


def _explanation(names: tuple[str, ...], baseline: float, added: Floats) -> Explanation:
    return Explanation(baseline + float(added.sum()), baseline, names, added)
