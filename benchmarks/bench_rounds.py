"""Agglomeration in rounds beside the heap, and in blocks: times, calls of a classifier, merges that differ."""

from __future__ import annotations

import numpy as np
import pytest

from gala import evaluate
from gala.agglo import Rag
from gala.classify import DefaultRandomForest
from gala.engine.agglomerate import agglomerate
from gala.engine.policy import boundary_max, boundary_mean, boundary_min, classifier_probability
from gala.graph.build import build_graph

LINKAGES = {"mean": boundary_mean, "min": boundary_min, "max": boundary_max}


@pytest.mark.parametrize("linkage", LINKAGES)
@pytest.mark.parametrize("engine", ["heap", "rounds"])
def test_linkage__gala(benchmark, volume, linkage, engine):
    policy = LINKAGES[linkage]
    benchmark.group = f"{linkage} agglomeration to the end, {engine}"
    graph = build_graph(volume.superpixels, volume.p1, policy.needs)
    options = {"engine": engine, "n_threads": 1}
    tree = benchmark.pedantic(agglomerate, (graph, policy), options, rounds=10, warmup_rounds=1)
    heap = agglomerate(graph, policy)
    assert np.array_equal(tree.children, heap.children)
    assert np.array_equal(tree.priority, heap.priority)


class Opaque:
    """A classifier that cannot be laid flat, and counts its calls."""

    def __init__(self, forest):
        self.forest, self.n_calls = forest, 0
        self.classes_, self.n_features_in_ = forest.classes_, forest.n_features_in_

    def predict_proba(self, X):
        self.n_calls += 1
        return self.forest.predict_proba(X)


def test_called__gala(benchmark, training_volume, half_volume, basic):
    g = Rag(training_volume.superpixels, training_volume.p1, feature_manager=basic)
    X, y, _, _ = g.learn_agglomerate(training_volume.truth, basic, random_state=0)[0]
    forest = DefaultRandomForest(random_state=0).fit(X, y[:, 0])
    forest.n_jobs = 1
    benchmark.group = "predict_proba called once a round"
    graph = build_graph(half_volume.superpixels, half_volume.p1, basic)
    heap, rounds = Opaque(forest), Opaque(forest)
    expected = agglomerate(graph, classifier_probability(basic, heap), 0.5)
    arguments = graph, classifier_probability(basic, rounds), 0.5
    tree = benchmark.pedantic(agglomerate, arguments, {"engine": "rounds"}, rounds=1)
    place = graph.find(half_volume.superpixels)
    between, truth_heap, truth_rounds = (
        evaluate.split_vi(a, b).sum()
        for a, b in [
            (tree.cut()[place] + 1, expected.cut()[place] + 1),
            (expected.cut()[place] + 1, half_volume.truth),
            (tree.cut()[place] + 1, half_volume.truth),
        ]
    )
    benchmark.extra_info["note"] = (
        f"{rounds.n_calls} calls, {heap.n_calls} with the heap; {tree.n_merges} and {expected.n_merges} merges; VI to "
        f"the heap's result {between:.3f}, to truth {truth_rounds:.3f} and {truth_heap:.3f} bits"
    )
