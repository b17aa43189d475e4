"""How to learn to agglomerate, from features to threshold, as data: one recipe that fits any number of volumes.

A `Recipe` says what is learned, by what, from which examples, and how merges are decided; `Recipe.fit` makes a
`Learned` of region graphs and truths, and never looks at files, superpixels or options of a `Segmenter`.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import numpy as np
from sklearn.utils.validation import has_fit_parameter

from gala._types import Array, Classifier, Floats, Labels
from gala.classify.estimators import get_classifier
from gala.classify.flat import FlatClassifier, lay_flat
from gala.classify.training import unique_learning_data_elements
from gala.engine.enclosure import largest_shares, usual_share
from gala.engine.learn import Schedule, TrainingSet, check_truths, compared, learn_epoch, learn_flat, of_regions
from gala.engine.policy import Policy, classifier_probability, expected_change_vi, mean_log_odds, random_priority
from gala.engine.running import RunningGraph
from gala.engine.truth import Truth
from gala.errors import ClassifierError, FeatureError, SettingError
from gala.features import default
from gala.features.base import Json, Null
from gala.features.io import create_fm
from gala.features.program import output_names
from gala.graph.build import build_from_volume
from gala.graph.regions import RegionGraph
from gala.graph.volume import Volume
from gala.pipeline.copies import factors, less_sure
from gala.pipeline.strength import Strengths, strength

# Feature maps by name: each is made for the names of the extra images that there are.
FEATURE_MAPS: dict[str, Callable[[Sequence[str]], Null]] = {
    "basic": lambda _: default.basic(),
    "paper_em": lambda _: default.paper_em(),
    "snemi3d": lambda _: default.snemi3d(),
    "modern": default.modern,
    "thorough": default.thorough,
}
# What makes a policy of features, a classifier, and the share from which a region is enclosed, which only the first
# takes note of. All of them can be told by name in a file.
DECISIONS: dict[str, Callable[[Null, Classifier, float], Policy]] = {
    "mean-log-odds": mean_log_odds,
    "probability": lambda features, classifier, _: classifier_probability(features, classifier),
    "expected-vi": lambda features, classifier, _: expected_change_vi(features, classifier),
}
SAMPLE_WEIGHTS = ("none", "vi")


class VolumeGraph(NamedTuple):
    """The region graph of a volume, and the volume, which truths are compared with."""

    graph: RegionGraph
    volume: Volume


@dataclass(frozen=True, slots=True, eq=False)
class Learned:
    """What a recipe has learned: all that is needed to agglomerate, and where it comes from."""

    features: Null
    classifier: Classifier  # laid flat if it can be
    decision: str
    rescore: str
    threshold: float
    strengths: Strengths | None = None  # of the maps that were learned from
    enclosed: float = 1.0  # for `gala.engine.policy.mean_log_odds`
    provenance: Json = field(default_factory=dict)

    @property
    def policy(self) -> Policy:
        """The policy; graphs for it must keep what its `needs` say."""
        return DECISIONS[self.decision](self.features, self.classifier, self.enclosed)

    def gain(self, found: float | None) -> float:
        """Return by how much a map of strength `found` is to be raised; 1 unless it is much too weak."""
        return 1.0 if self.strengths is None else self.strengths.gain(found)


@dataclass(frozen=True, slots=True)
class Recipe:
    """How to learn, and how to decide.

    Parameters
    ----------
    features : str, feature manager or dict, optional
        What is known of a pair: "basic", "paper_em", "snemi3d", "modern" or "thorough" (see `gala.features.default`),
        declared managers, or a description that `write_fm` wrote.
    classifier : str or scikit-learn estimator, optional
        For `gala.classify.get_classifier`.
    n_copies : int, optional
        Copies of each volume to learn from besides, with maps made less sure: see `gala.pipeline.copies`.
    n_epochs : int, optional
        The first takes every contact as an example; each later one agglomerates all volumes with what was learned
        so far, and adds the contacts that it meets.
    learning_mode, labeling_mode : str, optional
        Which merges an epoch makes, and which label is learned; see `gala.agglo.Rag.learn_agglomerate`.
    sample_weight : {"none", "vi"}, optional
        Whether an example weighs as much as any other, or what the mistake would cost: the change of VI if the two
        regions were true objects.
    decision : {"mean-log-odds", "probability", "expected-vi"}, optional
        Merges are made in the order of the probability that they are wrong: from what the classifier says of the
        superpixels on both sides, averaged along the contact, or of the regions as they are then. Or in the order of
        the change of VI to expect.
    threshold : float, optional
        Where that decision stops.
    enclosed : "learned" or float, optional
        For "mean-log-odds": the share of its contacts with one neighbour from which a region is rather part of it,
        see `gala.engine.policy.mean_log_odds`. By default one that whole objects of the truth hardly ever have; 1 is
        never.
    rescore : {"shared", "all"}, optional
        See `gala.engine.agglomerate.agglomerate`.

    Raises
    ------
    SettingError
        If an option has a value that it cannot have.

    References
    ----------
    Nunez-Iglesias et al. 2013, doi:10.1371/journal.pone.0071715, is `HISTORIC`. The experiments that chose the defaults
    are on the page docs/learning.md.

    Examples
    --------
    >>> Recipe(classifier="logistic regression").feature_map().write_fm()["feature_list"]
    ['moments', 'histogram', 'axes', 'contact']
    """

    features: str | Null | Json = "thorough"
    classifier: str | Classifier = "bagged trees"
    n_copies: int = 8
    n_epochs: int = 1
    learning_mode: str = "strict"
    labeling_mode: str = "assignment"
    sample_weight: str = "none"
    decision: str = "mean-log-odds"
    threshold: float = 0.5
    enclosed: str | float = "learned"
    rescore: str = "shared"

    def __post_init__(self) -> None:
        for name, known in (
            ("sample_weight", SAMPLE_WEIGHTS),
            ("decision", tuple(DECISIONS)),
            ("rescore", ("shared", "all")),
        ):
            if getattr(self, name) not in known:
                raise SettingError(f"{name} must be one of {', '.join(known)}; got {getattr(self, name)!r}.")
        for name, fewest in (("n_copies", 0), ("n_epochs", 1)):
            n = getattr(self, name)
            if not isinstance(n, int | np.integer) or n < fewest:
                raise SettingError(f"{name} must be a whole number, {fewest} or more; got {n!r}.")
        is_share = isinstance(self.enclosed, int | float | np.number) and 0 <= self.enclosed <= 1
        if not is_share and self.enclosed != "learned":
            raise SettingError(f'enclosed must be "learned", or a share from 0 to 1; got {self.enclosed!r}.')
        self._schedule()

    def feature_map(self, images: Sequence[str] = ()) -> Null:
        """Return the feature manager for volumes with extra images of these names.

        Raises
        ------
        FeatureError
            If `features` name no manager.
        """
        if isinstance(self.features, Null):
            return self.features
        if isinstance(self.features, Mapping):
            return create_fm(dict(self.features))
        if not isinstance(self.features, str) or self.features not in FEATURE_MAPS:
            known = ", ".join(FEATURE_MAPS)
            raise FeatureError(
                f"features must be one of {known}, a feature manager or its description; got {self.features!r}."
            )
        return FEATURE_MAPS[self.features](images)

    def fit(
        self,
        graphs: Sequence[VolumeGraph],
        truths: Sequence[Sequence[Labels]],
        *,
        random_state: int | np.random.Generator | None = None,
        n_threads: int | None = None,
        on_epoch: Callable[[int], None] | None = None,
    ) -> Learned:
        """Learn from graphs that keep what the feature map needs.

        Parameters
        ----------
        graphs : sequence of VolumeGraph
            All of one kind of image. They are not modified.
        truths : sequence of sequences of arrays of int, shape (M, ..., P)
            One or several truths of each; 0 is unknown.
        random_state : int or numpy.random.Generator, optional
            The same number gives the same result.
        n_threads : int, optional
            Never changes the result.
        on_epoch : function, optional
            Called with the number of each epoch that has ended.

        Returns
        -------
        learned : Learned

        Raises
        ------
        LabelError, ShapeError
            If truths do not fit, or give only one kind of example.
        ClassifierError
            If the classifier takes no weights, and weights are asked for.
        """
        random = np.random.default_rng(random_state)
        features = self.feature_map([name for name, _ in graphs[0].graph.kind.channels.extra])
        starts = [
            RunningGraph(graph, random_priority, volume=volume, rescore=self.rescore, n_threads=n_threads)
            for graph, volume in graphs
        ]
        known = [compared(g, check_truths(own, g._need_volume())) for g, own in zip(starts, truths, strict=True)]
        enclosed = self._enclosed(starts, known)
        overlaps = [of_regions(g, own) for g, own in zip(starts, known, strict=True)]
        seen = [learn_flat(g, own, features) for g, own in zip(starts, overlaps, strict=True)]
        strengths = [strength(g.graph) for g in starts]
        for g, examples in zip(starts, list(seen), strict=True):
            for copy in self._copies(g, features, random):
                X = RunningGraph(copy, random_priority).describe(features, np.arange(len(copy.edges)))
                seen.append(replace(examples, X=X))
                strengths.append(strength(copy))
        for epoch in range(self.n_epochs):
            if epoch > 0:
                policy = DECISIONS[self.decision](features, self._trained(seen, random), enclosed)
                for g, own in zip(starts, overlaps, strict=True):
                    options = {"rescore": self.rescore, "n_threads": n_threads}
                    running = RunningGraph(g.graph, policy, volume=g.volume, **options)  # type: ignore[arg-type]  # mypy joins their types
                    seen.append(learn_epoch(running, own, features, self._schedule()))
            if on_epoch is not None:
                on_epoch(epoch)
        classifier = self._trained(seen, random)
        provenance = {
            "n_examples": sum(len(examples.X) for examples in seen),
            "features": list(output_names(features, graphs[0].graph.kind)),
        }
        return Learned(
            features,
            classifier,
            self.decision,
            self.rescore,
            float(self.threshold),
            Strengths.of(strengths[: len(starts)], strengths),
            enclosed,
            provenance,
        )

    def _enclosed(self, starts: Sequence[RunningGraph], truths: Sequence[Sequence[Truth]]) -> float:
        """Return the share from which a region is enclosed, 1 if that does not matter."""
        if self.decision != "mean-log-odds":
            return 1.0
        if self.enclosed != "learned":
            return float(self.enclosed)
        pairs = ((g.graph, truth) for g, own in zip(starts, truths, strict=True) for truth in own)
        return usual_share(largest_shares(graph, truth.assign(np.arange(graph.n_regions))) for graph, truth in pairs)

    def _copies(self, g: RunningGraph, features: Null, random: np.random.Generator) -> Iterator[RegionGraph]:
        """Yield the graph of each copy of the volume of `g`."""
        volume = g._need_volume()
        for factor in factors(self.n_copies):
            copy = volume._replace(image=less_sure(volume.image, factor, random, mask=volume.mask))
            yield build_from_volume(copy, list(features.leaves()), n_threads=g.n_threads)

    def _schedule(self) -> Schedule:
        return Schedule(learning_mode=self.learning_mode, labeling_mode=self.labeling_mode)

    def _trained(self, seen: Sequence[TrainingSet], random: np.random.Generator) -> Classifier:
        """Return a classifier of all examples, those with the features of an earlier one left out."""
        data = TrainingSet(*unique_learning_data_elements([list(examples) for examples in seen]))
        classifier = get_classifier(self.classifier, random_state=int(random.integers(2**31)))
        labels = self._schedule().labels_of(data)
        with warnings.catch_warnings():  # forests lose the filters at times, as each of their threads resets them
            if self.sample_weight == "vi":
                _fit_weighted(classifier, data.X, labels, data.w[:, 0] / data.w[:, 0].mean())
            else:
                classifier.fit(data.X, labels)
        flat = lay_flat(classifier)
        return classifier if flat is None else FlatClassifier(flat)


HISTORIC = Recipe("basic", "random forest", n_copies=0, n_epochs=2, decision="probability")


def _fit_weighted(classifier: Any, X: Array, y: Array, weight: Floats) -> None:
    last, prefix = classifier, ""
    while hasattr(last, "steps"):  # a pipeline hands weights to its last step, by name
        name, last = last.steps[-1]
        prefix += f"{name}__"
    if not has_fit_parameter(last, "sample_weight"):
        raise ClassifierError(
            f'{type(last).__name__} takes no weights of examples; choose another classifier, or sample_weight="none".'
        )
    classifier.fit(X, y, **{f"{prefix}sample_weight": weight})
