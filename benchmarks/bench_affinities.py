"""From superpixels and affinities to a region graph, beside waterz: the same arrays, for the mean and for quantiles."""

from __future__ import annotations

from statistics import median

import numpy as np
import pytest

from gala.engine.policy import boundary_mean, boundary_quantile
from gala.graph.affinity_graph import build_affinity_graph

MEAN = "affinity graph, mean"
QUANTILE = "affinity graph, 256 bins"
NEEDS = {MEAN: boundary_mean.needs, QUANTILE: boundary_quantile(0.5).needs}
QUANTILE_OF_WATERZ = "OneMinus<HistogramQuantileAffinity<RegionGraphType, 50, ScoreValue, 256, false>>"
BEFORE = [(-1, 0, 0), (0, -1, 0), (0, 0, -1)]


@pytest.mark.parametrize("n_threads", [1, 2])
@pytest.mark.parametrize("stage", [MEAN, QUANTILE])
def test_affinities__gala(benchmark, volume, stage, n_threads):
    benchmark.group = stage
    affinities = np.load(volume.folder / "affinities.npy")
    options = {"offsets": BEFORE, "n_threads": n_threads}
    arguments = (volume.superpixels, affinities, NEEDS[stage])
    built = benchmark.pedantic(build_affinity_graph, arguments, options, rounds=5, warmup_rounds=1)
    benchmark.extra_info["note"] = (
        f"{volume.p1.shape[0]}³ voxels, 3 channels, {built.graph.n_regions} regions, {len(built.graph.edges)} contacts"
    )


@pytest.mark.parametrize("stage", [MEAN, QUANTILE])
def test_affinities__waterz(benchmark, volume, run_script, stage):
    benchmark.group = stage
    function = [QUANTILE_OF_WATERZ] if stage == QUANTILE else []
    seconds = []

    def run():
        lines = run_script("run_waterz.py", volume.folder, 0.0, *function)
        starts, ends = (next(t for t, line in lines if line.startswith(w)) for w in ("Preparing", "computing"))
        seconds.append(ends - starts)

    benchmark.pedantic(run, rounds=3)
    benchmark.extra_info["seconds"] = median(seconds)
