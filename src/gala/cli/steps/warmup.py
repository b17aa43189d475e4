"""The steps of `gala warmup`: a small volume goes every way there is."""

from __future__ import annotations

from gala.cli.steps.demo import compare
from gala.datasets import synthetic_pair
from gala.engine.partition import METHODS, partition
from gala.engine.policy import boundary_mean
from gala.evaluate import warm_up
from gala.graph.affinity_graph import build_affinity_graph
from gala.pipeline import Segmenter
from gala.viz.colours import LabelColours

_steps = ((-1, 0, 0), (0, -1, 0), (0, 0, -1), (0, 0, -3))


def run() -> None:
    """Compile the loops of graphs, policies, learning, superpixels, partitions and evaluation."""
    train, test = synthetic_pair((16, 48, 48)).values()
    compare(train, test, say=lambda _: None)
    segmenter = Segmenter().fit(train.p1, train.truth)
    superpixels = segmenter.make_superpixels(test.p1)
    LabelColours.from_tree(superpixels, segmenter.merge_tree(test.p1, superpixels))
    affinities = [1 - test.p1] * len(_steps)
    graph, lifted = build_affinity_graph(superpixels, affinities, boundary_mean.needs, offsets=_steps)
    for method in METHODS:
        partition(graph, method, lifted=None if method.startswith("gasp") else lifted)
    warm_up()
