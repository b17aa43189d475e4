"""Classifiers laid flat give what their own predict_proba gives."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numba
import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from sklearn.ensemble import (
    AdaBoostClassifier,
    ExtraTreesClassifier,
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
)
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, StandardScaler
from sklearn.svm import LinearSVC
from sklearn.tree import DecisionTreeClassifier
from threadpoolctl import threadpool_limits

from gala._kernels import models
from gala._kernels.models import identity, new_scratch, score, score_rows
from gala.classify.flat import check_classifier, lay_flat, predict
from gala.errors import ClassifierError, ShapeError

REFERENCE = Path(__file__).parents[2] / "shared" / "reference"
pytestmark = [
    pytest.mark.filterwarnings("ignore:lbfgs failed to converge"),
    pytest.mark.filterwarnings("ignore:divide by zero encountered in log"),  # scikit-learn's, for a prior of zero
]
few = settings(max_examples=25, deadline=None)


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    """Keep threads of scikit-learn from waiting for each other where cores are few."""
    with threadpool_limits(1):
        yield


seeds = st.integers(0, 2**32 - 1)


@st.composite
def examples(draw):
    """Features on a grid, so that many are equal, labels that they explain in part, and weights."""
    rng = np.random.default_rng(draw(seeds))
    n_samples, n_features = draw(st.integers(6, 80)), draw(st.integers(1, 5))
    X = rng.integers(-8, 9, size=(n_samples, n_features)) * draw(st.sampled_from([0.1, 0.25, 1.0, 1e5]))
    first = draw(st.sampled_from([-1, 0]))
    y = np.where(X @ rng.normal(size=n_features) + rng.normal(size=n_samples) > 0, 1, first)
    y[:2] = first, 1
    return X, y, rng.integers(1, 4, size=n_samples).astype(float), rng


def near(values):
    """Return the values, the float64 and float32 numbers next to them, and the values rounded to float32."""
    single = values.astype(np.float32)
    beside = [np.nextafter(kind, kind.dtype.type(end)) for kind in (values, single) for end in (-np.inf, np.inf)]
    return np.concatenate([values, single, *beside], dtype=float)


def thresholds(estimator):
    """Return the thresholds of all trees."""
    if isinstance(estimator, HistGradientBoostingClassifier):
        found = [tree.nodes["num_threshold"] for trees in estimator._predictors for tree in trees]
    else:
        trees = np.ravel(getattr(estimator, "estimators_", estimator))
        found = [tree.tree_.threshold for tree in trees]
    found = np.concatenate(found)
    return found[np.isfinite(found)]


def queries(X, estimator, rng):
    """Return rows of random values on, next to and away from the thresholds."""
    pool = np.concatenate([near(thresholds(estimator)), X.ravel(), rng.normal(scale=np.abs(X).max() + 1, size=50)])
    return rng.choice(pool, size=(200, X.shape[1]))


def assert_equal_bits(classifier, Q):
    np.testing.assert_array_equal(predict(lay_flat(classifier), Q, n_threads=1), classifier.predict_proba(Q)[:, 1])


def assert_close(classifier, Q):
    ours = predict(lay_flat(classifier), Q, n_threads=1)
    np.testing.assert_allclose(ours, classifier.predict_proba(Q)[:, 1], rtol=0, atol=1e-12)


forests = st.one_of(
    st.builds(
        RandomForestClassifier,
        n_estimators=st.integers(1, 23),
        criterion=st.sampled_from(["gini", "entropy"]),
        max_depth=st.sampled_from([1, 3, 20, None]),
        max_leaf_nodes=st.sampled_from([None, 7]),
        bootstrap=st.booleans(),
        class_weight=st.sampled_from([None, "balanced"]),
        random_state=seeds,
    ),
    st.builds(
        ExtraTreesClassifier,
        n_estimators=st.integers(1, 23),
        min_samples_leaf=st.integers(1, 5),
        max_depth=st.sampled_from([2, None]),
        random_state=seeds,
    ),
    st.builds(DecisionTreeClassifier, max_depth=st.sampled_from([1, 4, None]), random_state=seeds),
)
boosted = st.one_of(
    st.builds(
        GradientBoostingClassifier,
        n_estimators=st.integers(1, 12),
        learning_rate=st.sampled_from([0.1, 1.0]),
        loss=st.sampled_from(["log_loss", "exponential"]),
        init=st.sampled_from([None, "zero"]),
        max_depth=st.integers(1, 5),
        subsample=st.sampled_from([0.5, 1.0]),
        random_state=seeds,
    ),
    st.builds(
        HistGradientBoostingClassifier,
        max_iter=st.integers(1, 12),
        learning_rate=st.sampled_from([0.1, 1.0]),
        max_depth=st.sampled_from([1, 3, None]),
        min_samples_leaf=st.integers(1, 5),
        random_state=seeds,
    ),
)
others = st.one_of(
    st.builds(
        LogisticRegression,
        C=st.sampled_from([0.01, 1.0, 100.0]),
        fit_intercept=st.booleans(),
        solver=st.sampled_from(["lbfgs", "liblinear"]),
    ),
    st.builds(
        GaussianNB,
        priors=st.sampled_from([None, (0.2, 0.8), (0.0, 1.0)]),
        var_smoothing=st.sampled_from([1e-9, 0.1]),
    ),
)
scalers = st.builds(StandardScaler, with_mean=st.booleans(), with_std=st.booleans())


@few
@given(examples(), forests, st.booleans())
def test_forest__equals_predict_proba_bit_for_bit(data, forest, weighted):
    X, y, w, rng = data
    forest.fit(X, y, sample_weight=w if weighted else None)
    assert_equal_bits(forest, queries(X, forest, rng))


@few
@given(examples(), boosted, st.booleans())
def test_boosted_trees__equal_predict_proba(data, estimator, weighted):
    X, y, w, rng = data
    estimator.fit(X, y, sample_weight=w if weighted else None)
    assert_close(estimator, queries(X, estimator, rng))


@few
@given(examples(), others)
def test_logistic_regression_and_naive_bayes__equal_predict_proba(data, estimator):
    X, y, w, rng = data
    X = X / np.abs(X).max()
    estimator.fit(X, y, sample_weight=w)
    assert_close(estimator, np.concatenate([X, rng.normal(size=(50, X.shape[1]))]))


@few
@given(examples(), scalers, st.one_of(forests, boosted, others))
def test_pipeline__scales_as_the_scaler_does(data, scaler, estimator):
    X, y, _, rng = data
    X = X / np.abs(X).max() * 3
    pipeline = make_pipeline(scaler, estimator).fit(X, y)
    Q = np.concatenate([X, near(X.ravel())[: X.size].reshape(X.shape), rng.normal(size=(50, X.shape[1]))])
    is_forest = lay_flat(pipeline).kind == models.FOREST
    (assert_equal_bits if is_forest else assert_close)(pipeline, Q)


@given(seeds)
@settings(max_examples=10, deadline=None)
def test_missing_values__go_where_scikit_learn_sends_them(seed):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(80, 3))
    y = np.where(X.sum(axis=1) > 0, 1, -1)
    X[rng.random(X.shape) < 0.2] = np.nan
    forest = RandomForestClassifier(13, random_state=0).fit(X, y)
    Q = np.concatenate([X, np.full((1, 3), np.nan), rng.normal(size=(20, 3))])
    assert_equal_bits(forest, Q)
    assert_close(HistGradientBoostingClassifier(max_iter=9, min_samples_leaf=3).fit(X, y), Q)


@pytest.mark.parametrize("kind", [DecisionTreeClassifier, RandomForestClassifier, GradientBoostingClassifier])
def test_tree_of_one_leaf__gives_the_share_of_the_second_class(kind):
    classifier = kind(random_state=0).fit(np.zeros((4, 2)), [-1, 1, 1, 1])
    Q = np.random.default_rng(0).normal(size=(5, 2))
    assert_close(classifier, Q)
    assert len(set(predict(lay_flat(classifier), Q))) == 1


def test_far_out_features__saturate_without_overflow():
    X = np.array([[-1.0], [1.0], [-2.0], [2.0]])
    Q = np.array([[-1e8], [-1e3], [1e3], [1e8]])
    for classifier in (LogisticRegression(), GaussianNB()):
        classifier.fit(X, [0, 1, 0, 1])
        assert predict(lay_flat(classifier), Q).tolist() == [0, 0, 1, 1]
        assert_close(classifier, Q)


def some_models():
    """Return a model of each kind, for 4 features."""
    X = np.random.default_rng(0).normal(size=(60, 4))
    y = np.where(X[:, 0] + X[:, 1] ** 2 > 0.5, 1, -1)
    estimators = [
        RandomForestClassifier(11, random_state=0),
        GradientBoostingClassifier(n_estimators=5, random_state=0),
        HistGradientBoostingClassifier(max_iter=5, random_state=0),
        LogisticRegression(),
        make_pipeline(StandardScaler(), LogisticRegression()),
        GaussianNB(),
    ]
    return [lay_flat(estimator.fit(X, y)) for estimator in estimators]


def test_models__of_all_kinds_have_one_compiled_type():
    assert len({numba.typeof(model) for model in (identity(), *some_models())}) == 1


def test_identity__gives_the_only_feature():
    values = np.array([[0.5], [-3.0], [np.inf]])
    np.testing.assert_array_equal(predict(identity(), values), values[:, 0])


def test_score_rows__scores_each_row_as_score_does():
    X = np.random.default_rng(1).normal(size=(7, 4))
    for model in some_models():
        out, scratch = np.empty(7), new_scratch(model)
        score_rows(model, X, out, scratch)
        assert out.tolist() == [score(model, x, scratch) for x in X]


def test_predict__does_not_depend_on_threads_memory_order_or_row():
    X = np.random.default_rng(2).normal(size=(5000, 4))
    for model in some_models():
        once = predict(model, X, n_threads=1)
        assert once.tobytes() == predict(model, np.asfortranarray(X), n_threads=3).tobytes()
        assert once[4990:].tobytes() == predict(model, X[4990:]).tobytes()


def test_predict__of_no_rows_gives_none():
    assert predict(some_models()[0], np.empty((0, 4))).shape == (0,)


@pytest.mark.parametrize("shape", [(4,), (3, 5), (2, 3, 4)])
def test_predict__refuses_rows_of_other_lengths(shape):
    with pytest.raises(ShapeError, match=r"\(S, 4\)"):
        predict(some_models()[0], np.zeros(shape))


class _Own(RandomForestClassifier):
    """A forest that predicts in a way of its own."""

    def predict_proba(self, X):
        return super().predict_proba(X) ** 2


class _OwnInside(LogisticRegression):
    def decision_function(self, X):
        return super().decision_function(X) / 2


class _Settings(RandomForestClassifier):
    def __init__(self, n_estimators=7):
        super().__init__(n_estimators=n_estimators)


two_columns = np.array([[0.0, 1.0], [1.0, 0.0], [2.0, 1.0], [3.0, 0.0]] * 6)
two_classes = np.array([-1, 1, 1, -1] * 6)


@pytest.mark.parametrize(
    "classifier",
    [
        KNeighborsClassifier(),
        AdaBoostClassifier(),
        GradientBoostingClassifier(init=GaussianNB()),
        HistGradientBoostingClassifier(categorical_features=[1]),
        make_pipeline(MinMaxScaler(), GaussianNB()),
        make_pipeline(StandardScaler(), StandardScaler(), GaussianNB()),
        make_pipeline(StandardScaler(), KNeighborsClassifier()),
        _Own(),
        _OwnInside(),
    ],
)
def test_lay_flat__gives_none_for_what_it_cannot_lay_flat(classifier):
    assert lay_flat(classifier.fit(two_columns, two_classes)) is None


def test_lay_flat__gives_none_for_a_replaced_method():
    classifier = GaussianNB().fit(two_columns, two_classes)
    classifier.predict_proba = lambda X: np.zeros((len(X), 2))
    assert lay_flat(classifier) is None


def test_lay_flat__gives_none_for_more_classes_or_outputs_than_two_or_one():
    tree = DecisionTreeClassifier()
    assert lay_flat(tree.fit(two_columns, np.arange(24) % 3)) is None
    assert lay_flat(tree.fit(two_columns, np.stack([two_classes, two_classes], axis=1))) is None
    assert lay_flat(tree.fit(two_columns, np.ones(24))) is None


def test_lay_flat__accepts_derived_classes_that_predict_alike():
    assert_equal_bits(_Settings().fit(two_columns, two_classes), two_columns)


@pytest.mark.parametrize("classes", [[-1, 1], [0, 1], [False, True], [-1.0, 1.0]])
def test_check_classifier__accepts_known_classes(classes):
    y = np.array(classes)[(two_classes > 0).astype(int)]
    for classifier in (GaussianNB(), make_pipeline(StandardScaler(), GaussianNB())):
        check_classifier(classifier.fit(two_columns, y), 2)


@pytest.mark.parametrize(
    ("y", "message"),
    [
        (np.where(two_classes > 0, 2, 1), r"got \[1, 2\]"),
        (np.where(two_classes > 0, "a", "b"), r"got \['a', 'b'\]"),
        (np.arange(24) % 3, r"got \[0, 1, 2\]"),
        (np.ones(24, dtype=int), "only class 1 was seen"),
        (np.stack([two_classes, two_classes], axis=1), r"got \[-1, 1, -1, 1\]"),
    ],
)
def test_check_classifier__names_classes_that_it_refuses(y, message):
    with pytest.raises(ClassifierError, match=message):
        check_classifier(DecisionTreeClassifier().fit(two_columns, y), 2)


def test_check_classifier__names_both_numbers_of_features():
    for classifier in (GaussianNB(), make_pipeline(StandardScaler(), GaussianNB())):
        with pytest.raises(ClassifierError, match="fitted on, 2; the feature map gives 33"):
            check_classifier(classifier.fit(two_columns, two_classes), 33)


def test_check_classifier__refuses_what_is_not_fitted_or_gives_no_probability():
    for classifier in (RandomForestClassifier(), make_pipeline(StandardScaler(), GaussianNB())):
        with pytest.raises(ClassifierError, match="fit"):
            check_classifier(classifier, 2)
    with pytest.raises(ClassifierError, match="predict_proba"):
        check_classifier(LinearSVC(), 2)


@pytest.mark.skipif(not REFERENCE.is_dir(), reason="the reference arrays of the example are not there")
@pytest.mark.parametrize("channels", ["p1", "p4"])
def test_classifiers_of_the_example__equal_predict_proba(channels):
    train = np.load(REFERENCE / f"learn_flat_train_{channels}_basic_slow.npz")
    Q = np.load(REFERENCE / f"features_test_{channels}_basic_slow.npz")["X"]
    X, y = train["X"], train["y"][:, 0].astype(int)
    forest = RandomForestClassifier(100, criterion="entropy", max_depth=20, bootstrap=False, random_state=0)
    assert_equal_bits(forest.fit(X, y), Q)
    assert_equal_bits(make_pipeline(StandardScaler(), forest).fit(X, y), Q)
    for estimator in (LogisticRegression(), GaussianNB(), HistGradientBoostingClassifier(max_iter=20)):
        assert_close(estimator.fit(X, y), Q)
        assert_close(make_pipeline(StandardScaler(), estimator).fit(X, y), Q)


def test_kernels__give_the_same_when_they_are_not_compiled():
    script = """
import json, numpy as np, test_models
from gala.classify.flat import predict
X = np.random.default_rng(3).normal(size=(3, 4))
scores = []
for model in test_models.some_models():
    scores.append(predict(model, X, n_threads=1).tolist())
print(json.dumps(scores))
"""
    path = os.pathsep.join([str(Path(__file__).parent), *sys.path])
    printed = [
        subprocess.run(
            [sys.executable, "-c", script],
            env=os.environ | {"PYTHONPATH": path, "NUMBA_DISABLE_JIT": disable},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for disable in ("0", "1")
    ]
    compiled, plain = map(json.loads, printed)
    np.testing.assert_allclose(compiled, plain, rtol=1e-15)
