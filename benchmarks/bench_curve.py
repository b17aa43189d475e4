"""Metrics at every cut of a tree, and blame, beside one evaluation for each of ten cuts.

Two trees: that of the mean on the volume, and one of 100,000 random merges, whose superpixels share voxels with three
or ten of 5000 or 50,000 objects.
"""

from __future__ import annotations

import numpy as np
import pytest

from gala import evaluate as ev
from gala.engine.agglomerate import agglomerate
from gala.engine.policy import boundary_mean
from gala.graph.build import build_graph
from gala.graph.overlaps import Overlaps
from gala.graph.tree import MergeTree

N_MERGES = 100_000
TABLES = {"three objects each": (5_000, 3), "ten objects each": (50_000, 10)}


@pytest.fixture(scope="module")
def run(volume):
    """The tree of the mean, superpixels and truth."""
    graph = build_graph(volume.superpixels, volume.p1, boundary_mean.needs)
    return agglomerate(graph, boundary_mean), volume.superpixels, volume.truth


def random_tree(n_leaves, kind, rng):
    """Return a tree: of random merges, or in which one segment absorbs all superpixels in turn."""
    made = n_leaves + np.arange(n_leaves - 2)
    if kind == "one segment absorbs all":
        children = np.column_stack([np.r_[0, made], np.arange(1, n_leaves)])
    else:
        roots, children = list(range(n_leaves)), []
        for node in range(n_leaves, 2 * n_leaves - 1):
            for i in rng.integers(0, [len(roots), len(roots) - 1]):
                roots[i], roots[-1] = roots[-1], roots[i]
                children.append(roots.pop())
            roots.append(node)
    return MergeTree(n_leaves, np.sort(np.reshape(children, (-1, 2)), axis=1), rng.random(n_leaves - 1))


def random_overlaps(n_leaves, n_objects, n_each, rng):
    """Return overlaps of each superpixel with some objects nearby."""
    leaf = np.repeat(np.arange(n_leaves), n_each)
    of = (leaf * n_objects // n_leaves + rng.integers(0, 2 * n_each, len(leaf))) % n_objects
    leaf, of = np.divmod(np.unique(leaf * n_objects + of), n_objects)
    return Overlaps(np.arange(1, n_leaves + 1), np.arange(1, n_objects + 1), leaf, of, rng.integers(1, 3000, len(leaf)))


@pytest.mark.parametrize("shape", TABLES)
@pytest.mark.parametrize("kind", ["random merges", "one segment absorbs all"])
def test_curve__gala(benchmark, kind, shape):
    rng = np.random.default_rng(0)
    tree, overlaps = random_tree(N_MERGES + 1, kind, rng), random_overlaps(N_MERGES + 1, *TABLES[shape], rng)
    benchmark.group = f"all metrics along {N_MERGES:,} merges, {kind}, {shape}"
    found = benchmark.pedantic(ev.curve, (tree, overlaps), rounds=5, warmup_rounds=1)
    assert found.n_segments[-1] == 1


def test_curve_with_skeletons__gala(benchmark):
    """The same with expected run lengths, of 2000 skeletons of 500 nodes each, ten nodes to a superpixel."""
    rng, n_nodes, n_each = np.random.default_rng(0), 1_000_000, 500
    tree = random_tree(N_MERGES + 1, "random merges", rng)
    overlaps = random_overlaps(N_MERGES + 1, *TABLES["three objects each"], rng)
    owner, under = np.arange(n_nodes) // n_each, 1 + np.arange(n_nodes) * (N_MERGES + 1) // n_nodes
    inner = np.flatnonzero(owner[1:] == owner[:-1])
    skeletons = ev.Skeletons(rng.random((n_nodes, 3)), np.column_stack([inner, inner + 1]), owner)
    runs = ev.run_lengths(skeletons, ev.NodeLabels.of(under))
    benchmark.group = f"all metrics and run lengths along {N_MERGES:,} merges, random merges, three objects each"
    found = benchmark.pedantic(ev.curve, (tree, overlaps), {"runs": runs}, rounds=5, warmup_rounds=1)
    assert found.erl[-1] == pytest.approx(0, abs=1e-9)


def test_volume__gala(benchmark, run):
    benchmark.group = "metrics along the tree of the mean, from volumes"
    benchmark.pedantic(ev.curve, run, rounds=3, warmup_rounds=1)
    benchmark.extra_info["note"] = f"{run[0].n_merges:,} merges"


def test_volume__gala_ten_cuts_from_scratch(benchmark, run):
    benchmark.group = "metrics along the tree of the mean, from volumes"
    tree, superpixels, truth = run
    labels, number = np.unique(superpixels, return_inverse=True)

    def ten_cuts():
        for threshold in np.quantile(tree.height, np.linspace(0.1, 1, 10)):
            table = ev.contingency_table(labels[tree.cut(threshold)][number], truth)
            ev.split_vi(table), ev.adapted_rand_error(table), ev.edit_distance(table)

    benchmark.pedantic(ten_cuts, rounds=2, warmup_rounds=1)


def test_blame__gala(benchmark, run):
    benchmark.group = "blame, with places"
    benchmark.pedantic(ev.blame, run, rounds=3, warmup_rounds=1)
