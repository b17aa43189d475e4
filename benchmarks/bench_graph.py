"""From superpixels to a graph with features of regions and contacts, beside bioimage-cpp and waterz."""

from __future__ import annotations

import json
from pathlib import Path
from statistics import median

import bioimage_cpp.graph as peer
import pytest

from gala.engine.policy import boundary_mean
from gala.graph.build import build_graph

FULL = "graph, 4 moments + 25 bins"
MEAN = "graph, mean of contacts"
MEMORY = "peak memory of a graph build"
# What bioimage-cpp calls its edge features: both build the graph first.
EDGE_FEATURES = {FULL: peer.features.edge_map_features_complex, MEAN: peer.features.edge_map_features}


@pytest.mark.parametrize("n_threads", [1, 2])
@pytest.mark.parametrize("stage", [FULL, MEAN])
def test_graph__gala(benchmark, volume, features, stage, n_threads):
    benchmark.group = stage
    what = features if stage == FULL else boundary_mean.needs
    arguments = (volume.superpixels, volume.p1, what)
    graph = benchmark.pedantic(build_graph, arguments, {"n_threads": n_threads}, rounds=5, warmup_rounds=1)
    assert graph.contact_sizes.sum() > 0
    benchmark.extra_info["note"] = (
        f"{volume.p1.shape[0]}³ voxels, {graph.n_regions} regions, {len(graph.edges)} contacts, "
        f"{len(graph.region_spec)} columns of each region and contact"
    )


@pytest.mark.parametrize("n_threads", [1, 2])
@pytest.mark.parametrize("stage", [FULL, MEAN])
def test_graph__bioimage_cpp(benchmark, volume, stage, n_threads):
    benchmark.group = stage

    def build():
        graph = peer.region_adjacency_graph(volume.superpixels, number_of_threads=n_threads)
        return EDGE_FEATURES[stage](graph, volume.superpixels, volume.p1, number_of_threads=n_threads)

    rows = benchmark.pedantic(build, rounds=3, warmup_rounds=1)
    benchmark.extra_info["note"] = f"bioimage-cpp keeps {rows.shape[1]} features of contacts only"


def test_graph__waterz(benchmark, volume, run_script):
    benchmark.group = MEAN
    seconds = []

    def run():
        lines = run_script("run_waterz.py", volume.folder, 0.0)
        starts, ends = (next(t for t, line in lines if line.startswith(w)) for w in ("Preparing", "computing"))
        seconds.append(ends - starts)

    benchmark.pedantic(run, rounds=3)
    benchmark.extra_info["seconds"] = median(seconds)


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory is read from /proc")
@pytest.mark.parametrize("who", ["gala", "bioimage-cpp", "waterz"])
def test_peak_memory__any(benchmark, volume, run_script, who):
    benchmark.group = MEMORY
    printed = benchmark.pedantic(run_script, ("peak_memory.py", volume.folder, who), rounds=1)
    found = json.loads(printed[-1][1])
    ratio = found["peak"] / found["inputs"]
    benchmark.extra_info.update(who=who, figure=f"{ratio:.2f} x inputs", seconds=ratio)
    benchmark.extra_info["note"] = (
        "inputs included: int32 labels and float32 values; for waterz uint64 and 3 affinities"
    )
