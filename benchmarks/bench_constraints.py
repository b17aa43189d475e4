"""What constraints cost: mean agglomeration without them, and with a tenth of the graph under one kind of them."""

from __future__ import annotations

from statistics import median
from time import process_time

import numpy as np
import pytest

from gala.engine.agglomerate import agglomerate
from gala.engine.policy import boundary_mean
from gala.graph.build import build_graph
from gala.graph.constraints import Constraints

THRESHOLDS = {"mean to 0.5 under constraints": 0.5, "mean to the end under constraints": np.inf}
KINDS = ("nothing", "cannot_link", "must_link", "exclusions", "classes", "frozen")


@pytest.fixture(scope="module")
def mean_graph(volume):
    return build_graph(volume.superpixels, volume.p1, boundary_mean.needs)


def constraints_on(graph, kind):
    """Return constraints on a random tenth of the edges, or of the regions."""
    rng = np.random.default_rng(0)
    pairs = graph.labels[rng.permutation(graph.edges)[: len(graph.edges) // 10]]
    regions = rng.permutation(graph.labels)[: graph.n_regions // 10]
    rows = np.column_stack([regions, rng.integers(1, 5 if kind == "classes" else len(regions) // 4, len(regions))])
    given = {"cannot_link": pairs, "must_link": pairs, "exclusions": rows, "classes": rows, "frozen": regions}
    return Constraints(**{kind: given[kind]}) if kind in given else Constraints()


@pytest.mark.parametrize("stage", THRESHOLDS)
def test_mean__without(benchmark, mean_graph, stage):
    benchmark.group = stage
    arguments = (mean_graph, boundary_mean, THRESHOLDS[stage])
    benchmark.pedantic(agglomerate, arguments, {"n_threads": 1}, rounds=10, warmup_rounds=1)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("stage", THRESHOLDS)
def test_mean__with(benchmark, mean_graph, stage, kind):
    """Each round is compared with one without constraints just before it: the machine is the same for both."""
    benchmark.group = stage
    constraints = constraints_on(mean_graph, kind)
    ratios = []

    def run(given):
        before = process_time()
        agglomerate(mean_graph, boundary_mean, THRESHOLDS[stage], n_threads=1, constraints=given)
        return process_time() - before

    def both():
        without = run(None)
        ratios.append(run(constraints) / without)

    benchmark.pedantic(both, rounds=25, warmup_rounds=1)
    benchmark.extra_info.update(who=kind, figure=f"{median(ratios):.2f} times without")
