"""Print as JSON the bytes of a graph build's inputs, and the most that the process grew while it had them.

Run as ``python peak_memory.py FOLDER WHO``. Libraries are loaded, and compiled code too, before the inputs are.
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


def memory(kind):
    """Return bytes of memory: VmRSS now, VmHWM at most so far, of this program alone."""
    return 1024 * int(re.search(rf"{kind}:\s+(\d+)", Path("/proc/self/status").read_text())[1])


def main(folder, who):
    build = {"gala": gala, "bioimage-cpp": bioimage_cpp, "waterz": waterz}[who]()
    tiny = np.arange(1, 28).reshape(3, 3, 3)
    if who == "waterz":
        build(tiny.astype(np.uint64), np.zeros((3, 3, 3, 3), dtype=np.float32))
    else:
        build(tiny.astype(np.int32), np.zeros((3, 3, 3), dtype=np.float32))
    before = memory("VmRSS")
    files = ("fragments", "affinities") if who == "waterz" else ("superpixels", "p1")
    labels, values = (np.load(Path(folder) / f"{name}.npy") for name in files)
    build(labels, values)
    print(json.dumps({"inputs": labels.nbytes + values.nbytes, "peak": memory("VmHWM") - before}))


if __name__ == "__main__":
    main(*sys.argv[1:])
