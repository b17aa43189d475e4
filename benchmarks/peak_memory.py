"""Print as JSON the bytes of a graph build's inputs, and the most that the process grew while it had them.

Run as ``python peak_memory.py FOLDER WHO``, or with "mean" or "quantile" behind it for regions merged by affinities;
waterz also writes its segmentation, over its input.
Libraries are loaded, and compiled code too, before the inputs are.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import numpy as np


def gala():
    from gala.features import base, histogram, moments
    from gala.graph.build import build_graph

    features = base.Composite([moments.Manager(4), histogram.Manager(25)])
    return lambda labels, values: build_graph(labels, values, features, n_threads=1)


def bioimage_cpp():
    import bioimage_cpp.graph as peer

    def build(labels, values):
        graph = peer.region_adjacency_graph(labels, number_of_threads=1)
        return graph, peer.features.edge_map_features_complex(graph, labels, values, number_of_threads=1)

    return build


def waterz():
    import waterz as peer

    return lambda labels, values: next(peer.agglomerate(values, [0.0], fragments=labels))


BEFORE = [(-1, 0, 0), (0, -1, 0), (0, 0, -1)]


def gala_merging(what):
    from gala.engine.agglomerate import agglomerate
    from gala.engine.policy import boundary_mean, boundary_quantile
    from gala.graph.affinity_graph import build_affinity_graph

    policy = boundary_mean if what == "mean" else boundary_quantile(0.5, within="middle")

    def merge(labels, values):
        graph, _ = build_affinity_graph(labels, values, policy.needs, offsets=BEFORE, n_threads=1)
        return graph, agglomerate(graph, policy, 0.5, n_threads=1)

    return merge


def bioimage_cpp_merging(_):
    import bioimage_cpp.graph as peer

    policy = peer.agglomeration.GaspClusterPolicy(linkage="mean")

    def merge(labels, values):
        graph = peer.region_adjacency_graph(labels, number_of_threads=1)
        found = peer.features.affinity_features(graph, labels, values, BEFORE, number_of_threads=1)
        return graph, policy.optimize(graph, found[:, 0] - 0.5, edge_sizes=found[:, 1])

    return merge


def waterz_merging(what):
    import waterz as peer

    of_quantiles = "OneMinus<HistogramQuantileAffinity<RegionGraphType, 50, ScoreValue, 256, false>>"
    options = {} if what == "mean" else {"scoring_function": of_quantiles}
    return lambda labels, values: next(peer.agglomerate(values, [0.5], fragments=labels, **options))


def memory(kind):
    """Return bytes of memory: VmRSS now, VmHWM at most so far, of this program alone."""
    return 1024 * int(re.search(rf"{kind}:\s+(\d+)", Path("/proc/self/status").read_text())[1])


def main(folder, who, what=None):
    graphs = {"gala": gala, "bioimage-cpp": bioimage_cpp, "waterz": waterz}
    mergings = {
        "gala": gala_merging,
        "bioimage-cpp": bioimage_cpp_merging,
        "waterz": waterz_merging,
    }
    build = graphs[who]() if what is None else mergings[who](what)
    of_affinities = who == "waterz" or what is not None
    tiny = np.arange(1, 28).reshape(3, 3, 3)
    if of_affinities:
        build(tiny.astype(np.uint64), np.zeros((3, 3, 3, 3), dtype=np.float32))
    else:
        build(tiny.astype(np.int32), np.zeros((3, 3, 3), dtype=np.float32))
    before = memory("VmRSS")
    files = ("fragments", "affinities") if of_affinities else ("superpixels", "p1")
    labels, values = (np.load(Path(folder) / f"{name}.npy") for name in files)
    build(labels, values)
    print(json.dumps({"inputs": labels.nbytes + values.nbytes, "peak": memory("VmHWM") - before}))


if __name__ == "__main__":
    main(*sys.argv[1:])
