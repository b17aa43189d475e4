"""Recipes: what they learn and by what weights, the threshold from held-out volumes, and models as arrays."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from numpy.testing import assert_array_equal
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import GradientBoostingClassifier, HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from gala import datasets
from gala.agglo import Rag
from gala.classify.arrays import model_from_arrays, model_to_arrays
from gala.classify.flat import FlatClassifier, lay_flat, predict
from gala.engine.agglomerate import agglomerate
from gala.errors import ClassifierError, FeatureError, LabelError, SettingError
from gala.evaluate import vi
from gala.features import default, moments
from gala.pipeline import DECISIONS, FEATURE_MAPS, Recipe
from gala.pipeline.graphs import graph_of
from gala.pipeline.inputs import given_volume
from gala.pipeline.training import Training, best_threshold

pytestmark = pytest.mark.compiled  # volumes are too large for plain Python
few = settings(deadline=None, max_examples=15)
bayes = Recipe(default.basic(), "naive bayes", n_copies=0, n_epochs=2, decision="probability")


@pytest.fixture(scope="module")
def volume():
    return datasets.synthetic((8, 32, 32), seed=2)


@pytest.fixture(scope="module")
def scene(volume):
    return graph_of(given_volume(volume.p1, superpixels=volume.superpixels), default.basic())


@pytest.fixture(scope="module")
def rows():
    X = np.random.default_rng(0).normal(size=(200, 3))
    return X, np.where(X[:, 0] + 0.5 * X[:, 1] ** 2 > 0.3, 1, -1)


# ------------------------------------------------------------------------------------------ what is said


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"sample_weight": "rand"}, "sample_weight must be one of none, vi; got 'rand'"),
        ({"decision": "coin"}, "decision must be one of mean-log-odds, probability, expected-vi; got 'coin'"),
        ({"rescore": "none"}, "rescore must be one of shared, all"),
        ({"n_epochs": 0}, "n_epochs must be a whole number, 1 or more; got 0"),
        ({"enclosed": 1.5}, 'enclosed must be "learned", or a share from 0 to 1; got 1.5'),
        ({"enclosed": "never"}, "enclosed must be \"learned\", or a share from 0 to 1; got 'never'"),
        ({"n_copies": -1}, "n_copies must be a whole number, 0 or more; got -1"),
        ({"n_epochs": 1.5}, "n_epochs must be a whole number, 1 or more; got 1.5"),
        ({"learning_mode": "lax"}, "learning_mode must be one of strict, loose, permissive"),
    ],
)
def test_recipe__refuses_what_it_cannot_do(options, message):
    with pytest.raises(SettingError, match=message):
        Recipe(**options)


@pytest.mark.parametrize("name", FEATURE_MAPS)
def test_feature_map__is_the_same_by_name_as_manager_and_as_description(name):
    manager = Recipe(name).feature_map()
    assert Recipe(manager).feature_map() is manager
    assert Recipe(manager.write_fm()).feature_map().write_fm() == manager.write_fm()


def test_feature_map__modern_reads_extra_images():
    assert "moments#2" in Recipe("modern").feature_map(["raw"]).write_fm()["feature_list"]


def test_feature_map__names_those_that_are_known():
    with pytest.raises(FeatureError, match="features must be one of basic, paper_em, snemi3d, modern"):
        Recipe("fancy").feature_map()


# ---------------------------------------------------------------------------------------- what is learned


def test_fit__with_two_epochs_learns_what_learn_agglomerate_does(volume, scene):
    learned = bayes.fit([scene], [[volume.truth]])
    features = default.basic()
    data, _ = Rag(volume.superpixels, volume.p1, feature_manager=features).learn_agglomerate(
        volume.truth, features, classifier="naive bayes"
    )
    expected = lay_flat(GaussianNB().fit(data.X, data.y[:, 0]))
    for name, array in model_to_arrays(learned.classifier.model).items():
        assert_array_equal(array, model_to_arrays(expected)[name])


def test_fit__of_two_volumes_learns_from_the_examples_of_both(volume, scene):
    other = datasets.synthetic((8, 32, 32), seed=3)
    second = graph_of(given_volume(other.p1, superpixels=other.superpixels), default.basic())
    flat = replace(bayes, n_epochs=1)
    alone = [len(each.graph.edges) for each in (scene, second)]
    counts = [
        flat.fit(graphs, truths).provenance["n_examples"]
        for graphs, truths in (
            ([scene], [[volume.truth]]),
            ([second], [[other.truth]]),
            ([scene, second], [[volume.truth], [other.truth]]),
        )
    ]
    assert counts == [*alone, sum(alone)]


def test_fit__learns_from_copies_too(volume, scene):
    n = len(scene.graph.edges)
    copied = replace(bayes, n_epochs=1, n_copies=2)
    first, again, other = (copied.fit([scene], [[volume.truth]], random_state=seed) for seed in (0, 0, 1))
    assert first.provenance["n_examples"] == 3 * n
    arrays = [model_to_arrays(each.classifier.model)["weights"] for each in (first, again, other)]
    assert_array_equal(arrays[0], arrays[1])
    assert not np.array_equal(arrays[0], arrays[2])


def test_fit__says_when_an_epoch_has_ended(volume, scene):
    told = []
    replace(bayes, n_epochs=3).fit([scene], [[volume.truth]], on_epoch=told.append)
    assert told == [0, 1, 2]


def test_fit__leaves_the_graph_as_it_is(volume, scene):
    before = scene.graph.contact_cache.copy()
    bayes.fit([scene], [[volume.truth]])
    assert_array_equal(scene.graph.contact_cache, before)


@pytest.mark.parametrize("classifier", ["naive bayes", "logistic regression"])
def test_fit__by_vi_weights_examples_by_what_a_mistake_costs(volume, scene, classifier):
    recipe = replace(bayes, classifier=classifier, n_epochs=1, sample_weight="vi")
    features = default.basic()
    data = Rag(volume.superpixels, volume.p1, feature_manager=features).learn_flat(volume.truth, features)
    weight = data.w[:, 0] / data.w[:, 0].mean()
    if classifier == "naive bayes":
        expected = GaussianNB().fit(data.X, data.y[:, 0], sample_weight=weight)
    else:
        expected = make_pipeline(StandardScaler(), LogisticRegression())
        expected.fit(data.X, data.y[:, 0], logisticregression__sample_weight=weight)
    found = recipe.fit([scene], [[volume.truth]]).classifier
    assert_array_equal(found.predict_proba(data.X)[:, 1], predict(lay_flat(expected), data.X))


def test_fit__refuses_weights_for_a_classifier_that_takes_none(volume, scene):
    with pytest.raises(ClassifierError, match="KNeighborsClassifier takes no weights of examples"):
        Recipe(default.basic(), KNeighborsClassifier(), sample_weight="vi").fit([scene], [[volume.truth]])


def test_fit__refuses_truth_of_one_object(volume, scene):
    with pytest.raises(LabelError, match="so there is nothing to learn"):
        bayes.fit([scene], [[np.ones_like(volume.truth)]])


@pytest.mark.parametrize("decision", DECISIONS)
def test_learned__agglomerates_by_each_decision(volume, scene, decision):
    learned = replace(bayes, decision=decision).fit([scene], [[volume.truth]])
    tree = agglomerate(scene.graph, learned.policy)
    assert tree.n_merges == scene.graph.n_regions - 1
    low, high = tree.priority.min(), tree.priority.max()
    assert (low >= 0) == (decision != "expected-vi")
    assert high <= 1


# -------------------------------------------------------------------------------------------- thresholds


@st.composite
def steps_of_vi(draw):
    """Return a curve of any shape: heights from -inf up, and VI at each."""
    heights = sorted(draw(st.sets(st.integers(0, 20), min_size=1, max_size=6)))
    values = draw(st.lists(st.integers(0, 3), min_size=len(heights) + 1, max_size=len(heights) + 1))
    return Steps(np.array([-np.inf, *heights]), np.array(values, dtype=float))


class Steps:
    def __init__(self, threshold, vi):
        self.threshold, self.vi = threshold, vi

    def at(self, threshold):
        return self.vi[np.flatnonzero(self.threshold <= threshold)[-1]]


@given(st.lists(steps_of_vi(), min_size=1, max_size=3))
@few
def test_best_threshold__no_other_threshold_is_better(curves):
    threshold, value = best_threshold(curves)
    everywhere = [np.mean([curve.at(t) for curve in curves]) for t in np.arange(-1, 22, 0.5)]
    assert np.isclose(value, min(everywhere))
    assert np.isclose(np.mean([curve.at(threshold) for curve in curves]), value)


def test_hold_out__chooses_what_is_best_where_nothing_was_learned(volume):
    other = datasets.synthetic((8, 32, 32), seed=3)
    parts = [given_volume(v.p1, superpixels=v.superpixels, truths=v.truth) for v in (volume, other)]
    training = Training(bayes, None, 0, None, lambda _: None)
    threshold, value = training.hold_out(parts)
    lessons = [training.lesson(part) for part in parts]
    trees = [agglomerate(lessons[i][0].graph, training.learn([lessons[1 - i]]).policy) for i in (0, 1)]
    labels = [lesson[0].graph.labels for lesson in lessons]

    def mean_vi(at):
        found = []
        for part, tree, known in zip(parts, trees, labels, strict=True):
            names = np.zeros(int(part.superpixels.max()) + 1, dtype=int)
            names[known] = tree.cut(at) + 1
            found.append(vi(names[part.superpixels], part.truths[0]))
        return np.mean(found)

    assert np.isclose(mean_vi(threshold), value)
    assert value <= min(mean_vi(at) for at in np.linspace(0, 1, 21)) + 1e-9


def test_lesson__leaves_out_what_truth_knows_nothing_of(volume):
    truth = volume.truth.copy()
    truth[:, :, 16:] = 0
    training = Training(bayes, None, 0, None, lambda _: None)
    given = given_volume(volume.p1, superpixels=volume.superpixels, truths=truth)
    graph = training.lesson(given)[0].graph
    assert_array_equal(graph.labels, np.unique(volume.superpixels[truth != 0]))


# ------------------------------------------------------------------------------------------ models as arrays


def classifiers():
    boosted = GradientBoostingClassifier(n_estimators=7, random_state=0)
    return [
        RandomForestClassifier(11, random_state=0),
        boosted,
        HistGradientBoostingClassifier(max_iter=7),
        GaussianNB(),
        make_pipeline(StandardScaler(), LogisticRegression()),
        "isotonic",
        "sigmoid",
    ]


def fitted(classifier, X, y):
    if isinstance(classifier, str):
        frozen = FrozenEstimator(RandomForestClassifier(10, max_depth=2, random_state=0).fit(X, y))
        return CalibratedClassifierCV(frozen, method=classifier, ensemble=False).fit(X, y)
    return classifier.fit(X, y)


@pytest.mark.parametrize("classifier", classifiers(), ids=str)
def test_model_arrays__make_the_same_model_again(classifier, rows):
    X, y = rows
    model = lay_flat(fitted(classifier, X, y))
    again = model_from_arrays(model_to_arrays(model))
    assert lay_flat(FlatClassifier(again)) is again
    assert_array_equal(FlatClassifier(again).predict_proba(X)[:, 1], predict(model, X))


def damages():
    def set_node(name, value):
        def damage(arrays):
            arrays["nodes"][name][0] = value

        return damage

    def set_array(name, value):
        def damage(arrays):
            arrays[name] = np.array(value)

        return damage

    return {
        "a node that is its own child": set_node("child", 0),
        "a child beyond the last node": set_node("child", 2**31),
        "a feature that there is not": set_node("feature", 6),
        "a root beyond the last node": set_array("roots", [2**31] * 20),
        "too few roots": set_array("roots", [0] * 10),
        "an unknown kind": set_array("kind", 9),
        "more trees than there are": set_array("n_trees", 100),
        "another number of features": set_array("shift", [0.0, 0.0]),
        "leaves of another number": set_array("leaves", [0.0]),
        "an unknown calibration": set_array("calibration", 7),
        "no field of this name": lambda arrays: arrays.pop("knots"),
    }


@pytest.mark.parametrize("damage", damages().values(), ids=damages())
def test_model_arrays__that_do_not_fit_together_are_refused(damage, rows):
    arrays = model_to_arrays(lay_flat(RandomForestClassifier(11, random_state=0).fit(*rows)))
    arrays["nodes"] = arrays["nodes"].copy()
    damage(arrays)
    with pytest.raises(ClassifierError):
        model_from_arrays(arrays)


def test_flat_classifier__cannot_be_fitted(rows):
    flat = FlatClassifier(lay_flat(GaussianNB().fit(*rows)))
    with pytest.raises(ClassifierError, match="cannot be fitted again"):
        flat.fit(*rows)


def test_recipe__takes_a_manager_of_one_feature(volume):
    features = moments.Manager(1, use_diff_features=False)
    scene = graph_of(given_volume(volume.p1, superpixels=volume.superpixels), features)
    assert len(Recipe(features, "naive bayes").fit([scene], [[volume.truth]]).provenance["features"]) == 6
