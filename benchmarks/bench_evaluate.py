"""Contingency tables of superpixels and truth, beside those of scikit-image and waterz on the same arrays.

waterz does not give its table away: its whole comparison is timed, beside all of our metrics from one table.
"""

from __future__ import annotations

import h5py
import numpy as np
import pytest

from gala import evaluate as ev
from gala.graph.overlaps import count_overlaps


@pytest.fixture(scope="module")
def volumes(volume):
    """Superpixels and the truth."""
    return volume.superpixels, volume.truth


@pytest.fixture(scope="module")
def n_pairs(volumes):
    table = count_overlaps(*volumes)  # compiles, too
    count_overlaps(*(labels.astype(np.uint64) for labels in volumes))
    return len(table.counts)


@pytest.mark.parametrize("n_threads", [1, 2])
def test_contingency__gala(benchmark, volumes, n_pairs, n_threads):
    benchmark.group = "contingency table"
    table = benchmark(ev.contingency_table, *volumes, n_threads=n_threads)
    assert table.nnz == n_pairs


def test_contingency__gala_uint64_labels(benchmark, volumes, n_pairs):
    benchmark.group = "contingency table"
    sparse = [labels.astype(np.uint64) * np.uint64(2**40 + 1) for labels in volumes]
    table = benchmark(ev.contingency_table, *sparse, n_threads=1)
    assert table.nnz == n_pairs


def test_contingency__scikit_image(benchmark, volumes, n_pairs):
    module = pytest.importorskip("skimage.metrics._contingency_table")
    benchmark.group = "contingency table"
    table = benchmark.pedantic(module.contingency_table, volumes, rounds=3)
    assert table.nnz == n_pairs


@pytest.mark.parametrize("n_threads", [1, 2])
def test_contingency__gala_hdf5(benchmark, volumes, n_pairs, n_threads, tmp_path):
    """Read by blocks from chunks of 64³ without compression, which the system has in memory."""
    benchmark.group = "contingency table"
    with h5py.File(tmp_path / "labels.h5", "w") as file:
        sets = [file.create_dataset(f"{i}", data=v, chunks=(64, 64, 64)) for i, v in enumerate(volumes)]
        table = benchmark(ev.contingency_table, *sets, n_threads=n_threads)
    assert table.nnz == n_pairs


@pytest.mark.usefixtures("n_pairs")
def test_compare__gala(benchmark, volumes):
    """All metrics by all conventions, and the reasons, from one table."""
    benchmark.group = "all metrics and conventions"
    table = ev.contingency_table(*volumes, n_threads=1)
    benchmark(ev.compare, table)


@pytest.mark.usefixtures("n_pairs")
def test_metrics__gala(benchmark, volumes):
    benchmark.group = "VI and Rand"

    def compare():
        table = ev.contingency_table(*volumes, n_threads=1)
        return ev.split_vi(table), ev.adapted_rand_error(table, all_stats=True)

    benchmark(compare)


def test_metrics__waterz(benchmark, volumes):
    waterz = pytest.importorskip("waterz")
    benchmark.group = "VI and Rand"
    seg, gt = (labels.astype(np.uint64) for labels in volumes)
    scores = benchmark.pedantic(waterz.evaluate, (seg, gt), rounds=3)
    assert scores["voi_split"] == pytest.approx(ev.split_vi(*volumes)[1], abs=1e-3)


@pytest.mark.usefixtures("n_pairs")
def test_best_possible_segmentation__gala(benchmark, volumes):
    benchmark.group = "best possible segmentation"
    benchmark.pedantic(ev.best_possible_segmentation, volumes, rounds=3, warmup_rounds=1)
