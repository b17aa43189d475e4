"""What more features cost: to build the graph, and to agglomerate with a forest that was trained on them."""

from __future__ import annotations

import pytest

from gala.agglo import Rag
from gala.classify import DefaultRandomForest
from gala.engine.agglomerate import agglomerate
from gala.engine.policy import classifier_probability
from gala.features import base, default, histogram, moments
from gala.graph.build import build_graph

FEATURES = {
    "moments + 25 bins": lambda: base.Composite([moments.Manager(), histogram.Manager(25)]),
    "paper_em": default.paper_em,
    "snemi3d": default.snemi3d,
}


@pytest.mark.parametrize("n_threads", [1, 2])
@pytest.mark.parametrize("name", FEATURES)
def test_graph__gala(benchmark, volume, name, n_threads):
    benchmark.group = f"graph, {name}"
    arguments = (volume.superpixels, volume.p1, FEATURES[name]())
    graph = benchmark.pedantic(build_graph, arguments, {"n_threads": n_threads}, rounds=5, warmup_rounds=1)
    benchmark.extra_info["note"] = f"{len(graph.region_spec)} and {len(graph.contact_spec)} columns"


@pytest.mark.parametrize("name", FEATURES)
def test_learned__gala(benchmark, volume, training_volume, name):
    """Each forest is trained on its own features, so the trees differ too."""
    benchmark.group = f"learned agglomeration, {name}"
    features = FEATURES[name]()
    g = Rag(training_volume.superpixels, training_volume.p1, feature_manager=features)
    X, y, _, _ = g.learn_flat(training_volume.truth, features)
    forest = DefaultRandomForest(random_state=0).fit(X, y[:, 0])
    graph = build_graph(volume.superpixels, volume.p1, features)
    arguments = (graph, classifier_probability(features, forest), 0.5)
    tree = benchmark.pedantic(agglomerate, arguments, {"n_threads": 1}, rounds=5, warmup_rounds=1)
    n_nodes = sum(tree.tree_.node_count for tree in forest.estimators_)
    benchmark.extra_info["note"] = f"{len(tree.priority)} merges, {X.shape[1]} features, {n_nodes} nodes"
