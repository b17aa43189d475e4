"""From a graph that is there to a merge tree, with the mean of contacts and with a forest in the loop."""

from __future__ import annotations

from statistics import median

import bioimage_cpp.graph as peer
import numpy as np
import pytest

from gala.agglo import Rag
from gala.classify import DefaultRandomForest
from gala.engine.agglomerate import agglomerate
from gala.engine.policy import boundary_mean, classifier_probability
from gala.graph.build import build_graph

THRESHOLDS = {"mean agglomeration to 0.5": 0.5, "mean agglomeration to the end": np.inf}


@pytest.fixture(scope="module")
def mean_graph(volume):
    return build_graph(volume.superpixels, volume.p1, boundary_mean.needs)


@pytest.mark.parametrize("n_threads", [1, 2])
@pytest.mark.parametrize("stage", THRESHOLDS)
def test_mean__gala(benchmark, mean_graph, stage, n_threads):
    benchmark.group = stage
    arguments = (mean_graph, boundary_mean, THRESHOLDS[stage])
    tree = benchmark.pedantic(agglomerate, arguments, {"n_threads": n_threads}, rounds=10, warmup_rounds=1)
    benchmark.extra_info["note"] = f"{len(mean_graph.edges)} contacts, {len(tree.priority)} merges"


@pytest.mark.parametrize("stage", THRESHOLDS)
def test_mean__bioimage_cpp(benchmark, volume, mean_graph, stage):
    """It stops at a number of regions: that of our result, and one for label 0, which is none."""
    benchmark.group = stage
    n_merges = len(agglomerate(mean_graph, boundary_mean, THRESHOLDS[stage]).priority)
    graph = peer.region_adjacency_graph(volume.superpixels)
    mean, size = peer.features.edge_map_features(graph, volume.superpixels, volume.p1).astype(np.float64).T
    policy = peer.agglomeration.EdgeWeightedClusterPolicy(
        num_clusters_stop=graph.number_of_nodes - n_merges, size_regularizer=0.0
    )
    found = benchmark.pedantic(policy.optimize, (graph, mean), {"edge_sizes": size}, rounds=10, warmup_rounds=1)
    assert len(np.unique(found)) == mean_graph.n_regions - n_merges + 1


@pytest.mark.parametrize("stage", THRESHOLDS)
def test_mean__waterz(benchmark, volume, run_script, stage):
    benchmark.group = stage
    seconds, merges = [], []

    def run():
        lines = run_script("run_waterz.py", volume.folder, min(THRESHOLDS[stage], 2))
        starts, ends = (next(t for t, line in lines if line.startswith(w)) for w in ("computing", "merged "))
        merges.extend(line.split()[1] for _, line in lines if line.startswith("merged "))
        seconds.append(ends - starts)

    benchmark.pedantic(run, rounds=5)
    benchmark.extra_info.update(seconds=median(seconds), note=f"{merges[0]} merges by waterz, middle of 5 runs")


# -- a forest in the loop ---------------------------------------------------------------------------------------------


class Opaque:
    """A classifier that cannot be laid flat: predict_proba is called for the contacts of each merge."""

    def __init__(self, forest):
        self.classes_, self.n_features_in_ = forest.classes_, forest.n_features_in_
        self.predict_proba = forest.predict_proba


@pytest.fixture(scope="module")
def forest(training_volume, basic):
    """100 trees of a depth up to 20, trained on every contact of another volume."""
    g = Rag(training_volume.superpixels, training_volume.p1, feature_manager=basic)
    X, y, _, _ = g.learn_flat(training_volume.truth, basic)
    return DefaultRandomForest(random_state=0).fit(X, y[:, 0])


@pytest.mark.parametrize("n_threads", [1, 2])
@pytest.mark.parametrize("which", ["half_volume", "volume"])
def test_learned__gala(benchmark, request, basic, forest, which, n_threads):
    volume = request.getfixturevalue(which)
    benchmark.group = stage_of(volume)
    graph = build_graph(volume.superpixels, volume.p1, basic)
    policy = classifier_probability(basic, forest)
    arguments = (graph, policy, 0.5)
    tree = benchmark.pedantic(agglomerate, arguments, {"n_threads": n_threads}, rounds=5, warmup_rounds=1)
    n_nodes = sum(tree.tree_.node_count for tree in forest.estimators_)
    benchmark.extra_info["note"] = (
        f"{len(graph.edges)} contacts, {len(tree.priority)} merges, "
        f"{forest.n_features_in_} features, {len(forest.estimators_)} trees with {n_nodes} nodes"
    )


def test_learned__scikit_learn(benchmark, half_volume, basic, forest):
    benchmark.group = stage_of(half_volume)
    graph = build_graph(half_volume.superpixels, half_volume.p1, basic)
    forest.n_jobs = 1  # faster than -1 for few contacts
    policy = classifier_probability(basic, Opaque(forest))
    benchmark.pedantic(agglomerate, (graph, policy, 0.5), rounds=1)
    benchmark.extra_info["note"] = "for scikit-learn, predict_proba is called after each merge"


def stage_of(volume):
    return f"learned agglomeration, {volume.p1.shape[0]}³"
