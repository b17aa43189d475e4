"""Probabilities that come true, and maps that make them so."""

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from sklearn.calibration import CalibratedClassifierCV, calibration_curve
from sklearn.ensemble import GradientBoostingClassifier, HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from gala import Rag, agglomerate, build_graph
from gala.agglo import classifier_probability
from gala.classify import (
    DefaultRandomForest,
    brier_score,
    expected_calibration_error,
    load_classifier,
    recalibrate,
    reliability,
    save_classifier,
)
from gala.classify.flat import lay_flat, predict
from gala.datasets import synthetic
from gala.errors import ClassifierError, SettingError, ShapeError
from gala.features import moments

seeds = st.integers(0, 2**32 - 1)
few = settings(max_examples=25, deadline=None)
METHODS = ("isotonic", "sigmoid")


def drawn(seed, n=20_000, sharpness=1.0):
    """Return probabilities, and outcomes with log-odds `sharpness` times as large as they say."""
    rng = np.random.default_rng(seed)
    p = rng.uniform(size=n)
    true = 1 / (1 + (1 / p - 1) ** sharpness)
    return p, rng.uniform(size=n) < true


def forest(**options):
    return DefaultRandomForest(n_estimators=10, n_jobs=1, random_state=0, **options)


def examples(seed, n=1500):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, 3))
    return X, np.where(X[:, 0] + rng.normal(size=n) > 0, 1, -1)


# -------------------------------------------------------------------------------------- reliability


@few
@given(seed=seeds, n_bins=st.integers(1, 15), strategy=st.sampled_from(["uniform", "quantile"]))
def test_reliability__has_the_bins_of_scikit_learn(seed, n_bins, strategy):
    rng = np.random.default_rng(seed)
    p, outcomes = rng.integers(0, 11, size=40) / 10, rng.integers(0, 2, size=40)  # many equal, and on the bounds
    found = reliability(p, outcomes, n_bins=n_bins, strategy=strategy)
    observed, predicted = calibration_curve(outcomes, p, n_bins=n_bins, strategy=strategy, pos_label=1)
    np.testing.assert_array_equal(found.observed, observed)
    np.testing.assert_array_equal(found.predicted, predicted)
    assert found.counts.sum() == 40


@few
@given(seed=seeds, strategy=st.sampled_from(["uniform", "quantile"]))
def test_reliability__labels_of_any_kind_mean_the_same(seed, strategy):
    p, outcomes = drawn(seed, n=50)
    errors = {reliability(p, kind, strategy=strategy).error for kind in (outcomes, outcomes * 1, outcomes * 2.0 - 1)}
    assert len(errors) == 1


@few
@given(seed=seeds)
def test_expected_calibration_error__is_the_weighted_mean_over_bins(seed):
    p, outcomes = drawn(seed, n=60, sharpness=3)
    bins = np.minimum((p * 10).astype(int), 9)
    held = [bins == k for k in range(10) if (bins == k).any()]
    slow = sum(abs(p[own].mean() - outcomes[own].mean()) * own.sum() for own in held) / 60
    assert expected_calibration_error(p, outcomes) == pytest.approx(slow, abs=1e-12)


@few
@given(seed=seeds)
def test_expected_calibration_error__is_small_for_probabilities_that_come_true(seed):
    assert expected_calibration_error(*drawn(seed)) < 0.02  # 10 bins of 2000: about 0.01 by chance
    assert expected_calibration_error(*drawn(seed, sharpness=4)) > 0.1


def test_expected_calibration_error__is_one_for_certain_and_wrong():
    assert expected_calibration_error([0.0, 1.0], [1, 0]) == 1.0


@few
@given(seed=seeds)
def test_brier_score__is_the_mean_squared_distance(seed):
    p, outcomes = drawn(seed, n=30)
    assert brier_score(p, outcomes) == pytest.approx(np.mean((p - outcomes) ** 2), abs=1e-15)
    assert reliability(p, outcomes).brier_score == brier_score(p, outcomes)


@pytest.mark.parametrize("outcomes", [[0, 0], [True, True], [-1, -1]])
def test_brier_score__of_one_class_is_defined(outcomes):
    assert brier_score([1.0, 1.0], outcomes) == float(outcomes[0] < 1)


@pytest.mark.parametrize(
    ("arguments", "options", "error", "words"),
    [
        (([0.5], [0, 1]), {}, ShapeError, r"one outcome for each .*\(1,\) and \(2,\)"),
        (([], []), {}, ShapeError, r"\(0,\)"),
        (([[0.5]], [[1]]), {}, ShapeError, r"\(1, 1\)"),
        (([1.5], [1]), {}, SettingError, "from 0 to 1; got 1.5"),
        (([np.nan], [1]), {}, SettingError, "from 0 to 1; got nan"),
        (([0.5, 0.5], [1, 2]), {}, SettingError, r"outcomes must be .*got \[1, 2\]"),
        (([0.5, 0.5, 0.5], [-1, 0, 1]), {}, SettingError, "outcomes must be"),
        (([0.5], [1]), {"n_bins": 0}, SettingError, "n_bins .* got 0"),
        (([0.5], [1]), {"n_bins": 2.5}, SettingError, "n_bins .* got 2.5"),
        (([0.5], [1]), {"strategy": "equal"}, SettingError, "'uniform' or 'quantile'; got 'equal'"),
    ],
)
def test_reliability__names_wrong_input(arguments, options, error, words):
    with pytest.raises(error, match=words):
        reliability(*arguments, **options)


# ------------------------------------------------------------------------------------ recalibration


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("cv", [None, 3])
@pytest.mark.parametrize("seed", [0, 1])
def test_recalibrate__lowers_both_errors_on_examples_held_out(method, cv, seed):
    X, y = examples(seed, 4500)
    learnt, kept, test = (slice(k, k + 1500) for k in (0, 1500, 3000))
    overfitted = forest().fit(X[learnt], y[learnt])
    fixed = recalibrate(
        *((overfitted, X[kept], y[kept]) if cv is None else (forest(), X[learnt], y[learnt])), method=method, cv=cv
    )
    before, after = (reliability(one.predict_proba(X[test])[:, 1], y[test]) for one in (overfitted, fixed))
    assert after.brier_score < before.brier_score
    assert after.error < 0.6 * before.error


@few
@given(seed=seeds, method=st.sampled_from(METHODS))
def test_recalibrate__never_swaps_two_probabilities(seed, method):
    X, y = examples(seed, 300)
    bayes = GaussianNB().fit(X[:100], y[:100])
    Q = X[200:][np.argsort(bayes.predict_proba(X[200:])[:, 1])]
    steps = np.diff(recalibrate(bayes, X[100:200], y[100:200], method=method).predict_proba(Q)[:, 1])
    assert (steps >= 0).all()


def classifiers():
    return [
        forest(),
        LogisticRegression(),
        make_pipeline(StandardScaler(), LogisticRegression()),
        make_pipeline(StandardScaler(), GaussianNB()),
        GradientBoostingClassifier(n_estimators=5, random_state=0),
        GradientBoostingClassifier(n_estimators=5, loss="exponential", random_state=0),
        HistGradientBoostingClassifier(max_iter=5, random_state=0),
    ]


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("classifier", classifiers(), ids=lambda c: type(c).__name__)
def test_lay_flat__gives_what_a_calibrated_classifier_gives(classifier, method):
    X, y = examples(2, 600)
    fixed = recalibrate(classifier.fit(X[:300], y[:300]), X[300:], y[300:], method=method)
    Q = np.random.default_rng(0).normal(scale=3, size=(500, 3))
    np.testing.assert_allclose(
        predict(lay_flat(fixed), Q, n_threads=1), fixed.predict_proba(Q)[:, 1], rtol=0, atol=1e-12
    )


def test_lay_flat__scalers_before_and_below_a_calibration_follow_each_other():
    X, y = examples(3, 400)
    inner = make_pipeline(StandardScaler(), LogisticRegression())
    calibrated = CalibratedClassifierCV(inner, method="sigmoid", ensemble=False, cv=2)
    whole = make_pipeline(StandardScaler(), calibrated).fit(X * [1, 10, 100] + 7, y)
    np.testing.assert_allclose(predict(lay_flat(whole), X, n_threads=1), whole.predict_proba(X)[:, 1], atol=1e-12)


def test_lay_flat__leaves_means_of_several_and_unknown_kinds_to_predict_proba():
    X, y = examples(4, 200)
    assert lay_flat(CalibratedClassifierCV(GaussianNB(), ensemble=True, cv=2).fit(X, y)) is None
    assert lay_flat(recalibrate(KNeighborsClassifier().fit(X[:100], y[:100]), X[100:], y[100:])) is None
    twice = recalibrate(recalibrate(GaussianNB(), X, y, cv=2), X, y)
    assert lay_flat(twice) is None


def test_recalibrate__of_one_constant_probability_gives_the_share():
    X, y = np.zeros((10, 1)), np.repeat([-1, 1], [7, 3])
    fixed = recalibrate(forest().fit([[0.0], [0.0]], [-1, 1]), X, y)
    assert predict(lay_flat(fixed), X[:1], n_threads=1) == fixed.predict_proba(X[:1])[:, 1] == pytest.approx(0.3)


@pytest.mark.parametrize("method", METHODS)
def test_recalibrate__goes_to_a_file_and_back(method, tmp_path):
    X, y = examples(5, 200)
    fixed = recalibrate(forest().fit(X[:100], y[:100]), X[100:], y[100:], method=method)
    save_classifier(fixed, tmp_path / "fixed.skops")
    np.testing.assert_array_equal(load_classifier(tmp_path / "fixed.skops").predict_proba(X), fixed.predict_proba(X))


@pytest.mark.parametrize("method", METHODS)
def test_recalibrate__merges_in_the_compiled_loop_what_predict_proba_says(method):
    volume, manager = synthetic((4, 20, 20), seed=1), moments.Manager()
    graph = build_graph(volume.superpixels, volume.p1, manager)
    g = Rag(volume.superpixels, volume.p1, feature_manager=manager)
    (X, y, _, _), _ = g.learn_agglomerate(volume.truth, manager, learning_mode="permissive", random_state=0)
    plain = make_pipeline(StandardScaler(), LogisticRegression()).fit(X[::2], y[::2, 0])
    fixed = recalibrate(plain, X[1::2], y[1::2, 0], method=method)
    policy = classifier_probability(manager, fixed)
    assert policy.compiled(graph) is not None
    before, after = (agglomerate(graph, each) for each in (classifier_probability(manager, plain), policy))
    assert after.n_merges == before.n_merges == graph.n_regions - 1
    if method == "sigmoid":  # which keeps the order of priorities
        np.testing.assert_array_equal(after.children, before.children)

    class Called:  # laid flat it cannot be, so each batch is asked for
        classes_ = fixed.classes_
        predict_proba = staticmethod(fixed.predict_proba)

    called = agglomerate(graph, classifier_probability(manager, Called()))
    np.testing.assert_allclose(np.sort(after.priority), np.sort(called.priority), atol=1e-9)


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"method": "beta"}, SettingError, "'isotonic' or 'sigmoid'; got 'beta'"),
        ({"cv": 1}, SettingError, "cv must be .* 2 or more, or None; got 1"),
        ({"cv": 6}, SettingError, r"at least 6 examples of each class .*got \{-1: 5, 1: 5\}"),
        ({"y": np.ones(10, int)}, SettingError, r"at least 2 examples of each class .*\{1: 10\}"),
        ({"y": np.arange(10)}, SettingError, "y must be False and True"),
        ({"y": np.ones((10, 1))}, ShapeError, r"\(10, 2\) and \(10, 1\)"),
        ({"X": np.ones((10, 3))}, ClassifierError, "as many features as it was fitted on, 2"),
        ({"y": np.arange(10) % 2}, ClassifierError, r"fitted on, \[-1, 1\]; got \[0, 1\]"),
        ({"classifier": GaussianNB()}, ClassifierError, "must be fitted"),
    ],
)
def test_recalibrate__names_wrong_input(change, error, words):
    X, y = np.arange(20.0).reshape(10, 2), np.arange(10) % 2 * 2 - 1
    arguments = {"classifier": GaussianNB().fit(X, y), "X": X, "y": y} | change
    with pytest.raises(error, match=words):
        recalibrate(**arguments)


def test_recalibrate__leaves_the_classifier_as_it_is():
    X, y = examples(6, 100)
    unfitted = GaussianNB()
    recalibrate(unfitted, X, y, cv=2)
    assert not hasattr(unfitted, "classes_")
