"""Scores of 100,000 edges with 33 features, and of batches of 8, beside predict_proba on one core."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.ensemble import GradientBoostingClassifier, HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from gala.classify.flat import lay_flat, predict

N_EDGES, N_FEATURES, N_EXAMPLES = 100_000, 33, 1_100
CLASSIFIERS = {
    "forest": RandomForestClassifier(100, criterion="entropy", max_depth=20, bootstrap=False, random_state=0, n_jobs=1),
    "gradient boosting": GradientBoostingClassifier(random_state=0),
    "histogram boosting": HistGradientBoostingClassifier(random_state=0),
    "logistic regression": make_pipeline(StandardScaler(), LogisticRegression()),
    "naive Bayes": GaussianNB(),
}


@pytest.fixture(scope="module")
def features():
    return np.random.default_rng(0).normal(size=(N_EDGES, N_FEATURES))


@pytest.fixture(scope="module", params=CLASSIFIERS)
def classifier(request):
    """A classifier fitted on as many noisy examples as the real volume gives; the forest has 33,000 nodes."""
    rng = np.random.default_rng(1)
    X = rng.normal(size=(N_EXAMPLES, N_FEATURES))
    y = np.where(X[:, :10].sum(axis=1) + rng.normal(scale=3, size=N_EXAMPLES) > 0, 1, -1)
    return request.param, CLASSIFIERS[request.param].fit(X, y)


@pytest.mark.parametrize("n_threads", [1, 2])
def test_edges__gala(benchmark, classifier, features, n_threads):
    name, estimator = classifier
    benchmark.group = f"{name}: {N_EDGES} edges"
    model = lay_flat(estimator)
    scores = benchmark.pedantic(predict, (model, features), {"n_threads": n_threads}, rounds=5, warmup_rounds=1)
    np.testing.assert_allclose(scores[:1000], estimator.predict_proba(features[:1000])[:, 1], rtol=0, atol=1e-12)


def test_edges__scikit_learn(benchmark, classifier, features):
    name, estimator = classifier
    benchmark.group = f"{name}: {N_EDGES} edges"
    benchmark.pedantic(estimator.predict_proba, (features,), rounds=3, warmup_rounds=1)


def test_batch_of_8__gala(benchmark, classifier, features):
    name, estimator = classifier
    benchmark.group = f"{name}: 8 edges"
    benchmark(predict, lay_flat(estimator), features[:8], n_threads=1)


def test_batch_of_8__scikit_learn(benchmark, classifier, features):
    name, estimator = classifier
    benchmark.group = f"{name}: 8 edges"
    benchmark.pedantic(estimator.predict_proba, (features[:8],), rounds=20, warmup_rounds=1)


def test_lay_flat__gala(benchmark, classifier):
    benchmark.group = "lay flat"
    benchmark(lay_flat, classifier[1])
