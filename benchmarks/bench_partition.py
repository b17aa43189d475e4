"""From superpixels and affinities to a segmentation, beside waterz and bioimage-cpp: the same arrays, to 0.5.

waterz and bioimage-cpp's GASP write or return one segmentation; gala makes the tree and maps one cut of it.
"""

from __future__ import annotations

import json
from pathlib import Path
from statistics import median

import bioimage_cpp.graph as peer
import numpy as np
import pytest

from gala.engine import partition as parts
from gala.engine.agglomerate import agglomerate
from gala.engine.policy import boundary_mean, boundary_quantile
from gala.graph.affinity_graph import build_affinity_graph
from gala.graph.voxels import map_labels

BEFORE = [(-1, 0, 0), (0, -1, 0), (0, 0, -1)]
POLICIES = {
    "affinities to segmentation, mean": boundary_mean,
    "affinities to segmentation, median of 256 bins": boundary_quantile(0.5, within="middle"),
}
MEAN, QUANTILE = POLICIES
QUANTILE_OF_WATERZ = "OneMinus<HistogramQuantileAffinity<RegionGraphType, 50, ScoreValue, 256, false>>"
GASP = "signed graph to partition, {}"
MULTICUT = "multicut, Kernighan-Lin"
MEMORY = "peak memory, regions merged by affinities, {}"


@pytest.fixture(scope="module")
def affinities(volume):
    return np.load(volume.folder / "affinities.npy")


@pytest.mark.parametrize("n_threads", [1, 2])
@pytest.mark.parametrize("stage", POLICIES)
def test_segmentation__gala(benchmark, volume, affinities, stage, n_threads):
    benchmark.group = stage
    policy = POLICIES[stage]

    def run():
        graph, _ = build_affinity_graph(
            volume.superpixels, affinities, policy.needs, offsets=BEFORE, n_threads=n_threads
        )
        tree = agglomerate(graph, policy, 0.5, n_threads=n_threads)
        return graph, tree, map_labels(volume.superpixels, graph.labels, tree.cut(), n_threads=n_threads)

    graph, tree, _ = benchmark.pedantic(run, rounds=5, warmup_rounds=2)
    benchmark.extra_info["note"] = (
        f"{volume.p1.shape[0]}³ voxels, 3 channels, {len(graph.edges)} contacts, {tree.n_merges} merges"
    )


@pytest.mark.parametrize("stage", POLICIES)
def test_segmentation__waterz(benchmark, volume, run_script, stage):
    benchmark.group = stage
    function = [QUANTILE_OF_WATERZ] if stage == QUANTILE else []
    seconds = []

    def run():
        lines = run_script("run_waterz.py", volume.folder, 0.5, *function)
        starts = next(t for t, line in lines if line.startswith("Preparing"))
        seconds.append(next(t for t, line in lines if line.startswith("merged ")) - starts)

    benchmark.pedantic(run, rounds=3)
    benchmark.extra_info.update(seconds=median(seconds), note="waterz: up to its last merge, middle of 3 runs")


@pytest.mark.parametrize("n_threads", [1, 2])
def test_segmentation__bioimage_cpp(benchmark, volume, affinities, n_threads):
    benchmark.group = MEAN
    labels = volume.superpixels.astype(np.uint32)
    policy = peer.agglomeration.GaspClusterPolicy(linkage="mean")

    def run():
        graph = peer.region_adjacency_graph(labels, number_of_threads=n_threads)
        found = peer.features.affinity_features(graph, labels, affinities, BEFORE, number_of_threads=n_threads)
        mean, size = found[:, :2].astype(np.float64).T
        segments = policy.optimize(graph, mean - 0.5, edge_sizes=size)
        return peer.project_node_labels_to_pixels(graph, labels, segments, number_of_threads=n_threads)

    benchmark.pedantic(run, rounds=5, warmup_rounds=1)


@pytest.fixture(scope="module")
def signed_graph(volume, affinities):
    graph, _ = build_affinity_graph(volume.superpixels, affinities, boundary_mean.needs, offsets=BEFORE)
    return graph, parts.signed(parts.edge_probabilities(graph, boundary_mean))


def peer_graph(graph):
    return peer.UndirectedGraph.from_edges(graph.n_regions, graph.edges.astype(np.uint64))


@pytest.mark.parametrize("linkage", ["mean", "sum", "abs-max"])
def test_gasp__gala(benchmark, signed_graph, linkage):
    benchmark.group = GASP.format(linkage)
    graph, weights = signed_graph
    found = benchmark.pedantic(parts.gasp, (graph, weights, linkage), rounds=5, warmup_rounds=1)
    benchmark.extra_info["note"] = f"{len(weights)} contacts, {found.n_segments} segments"


@pytest.mark.parametrize("linkage", ["mean", "sum", "abs-max"])
def test_gasp__bioimage_cpp(benchmark, signed_graph, linkage):
    benchmark.group = GASP.format(linkage)
    graph, weights = signed_graph
    policy = peer.agglomeration.GaspClusterPolicy(linkage=linkage.replace("-", "_"))
    arguments = (peer_graph(graph), weights)
    benchmark.pedantic(policy.optimize, arguments, {"edge_sizes": graph.contact_cache[:, 0]}, rounds=5, warmup_rounds=1)


def test_multicut__gala(benchmark, signed_graph):
    benchmark.group = MULTICUT
    graph, weights = signed_graph
    costs = parts.log_odds(0.5 - weights, graph.contact_sizes)
    found = benchmark.pedantic(parts.multicut, (graph, costs), rounds=2)
    benchmark.extra_info["note"] = f"energy {found.energy:.6g}"


def test_multicut__bioimage_cpp(benchmark, signed_graph):
    benchmark.group = MULTICUT
    graph, weights = signed_graph
    costs = parts.log_odds(0.5 - weights, graph.contact_sizes)
    objectives = []

    def run():
        objectives.append(peer.multicut.MulticutObjective(peer_graph(graph), costs))
        peer.multicut.KernighanLinMulticut().optimize(objectives[-1])

    benchmark.pedantic(run, rounds=2)
    benchmark.extra_info["note"] = f"bioimage-cpp's energy {objectives[-1].energy():.6g}"


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory is read from /proc")
@pytest.mark.parametrize(
    ("what", "who"),
    [("mean", "gala"), ("mean", "bioimage-cpp"), ("mean", "waterz"), ("quantile", "gala"), ("quantile", "waterz")],
)
def test_peak_memory__any(benchmark, volume, run_script, what, who):
    benchmark.group = MEMORY.format(what)
    printed = benchmark.pedantic(run_script, ("peak_memory.py", volume.folder, who, what), rounds=1)
    found = json.loads(printed[-1][1])
    ratio = found["peak"] / found["inputs"]
    benchmark.extra_info.update(who=who, figure=f"{ratio:.2f} x inputs", seconds=ratio)
    benchmark.extra_info["note"] = "inputs included: uint64 labels and 3 float32 affinities"
