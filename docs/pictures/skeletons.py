"""Draw docs/pictures/skeletons.png: skeletons coloured by segment, with their splits and merges."""

from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure

from gala import agglomerate, build_graph
from gala.agglo import boundary_mean
from gala.datasets import synthetic
from gala.evaluate import node_labels, run_lengths, skeletonize

volume = synthetic((24, 128, 128), seed=4)
neurons = skeletonize(volume.truth)
neurons = neurons.select(neurons.ids[np.argsort(-neurons.lengths)[:8]])  # the longest
graph = build_graph(volume.superpixels, volume.p1, boundary_mean.needs)
tree = agglomerate(graph, boundary_mean)
at = node_labels(neurons, volume.superpixels).numbered(graph.labels)

figure = Figure(figsize=(9.6, 3.6), layout="constrained")
red = "crimson"
palette = np.delete(mpl.colormaps["tab10"](range(10)), [3, 7], axis=0)  # without red, which is for merges, and grey
order = np.random.default_rng(0).permutation(graph.n_regions)
for panel, threshold in zip(figure.subplots(1, 3), (-1, 0.4, 0.7), strict=True):
    found = run_lengths(neurons, at.mapped(tree.cut(threshold)), merge_threshold=2)
    for kind, width in {"unsegmented": 1, "merged": 1, "correct": 3}.items():
        edges = found.edges(kind)
        lines = np.stack([edges["start"], edges["stop"]], axis=1)[..., :0:-1]  # column, row
        colours = palette[order[edges["segment"]] % len(palette)] if kind != "unsegmented" else "0.75"
        panel.add_collection(LineCollection(lines, linewidths=width, colors=colours))
    splits, merges = found.splits, found.merges
    middle = (splits["start"] + splits["stop"]) / 2
    panel.plot(middle[:, 2], middle[:, 1], "x", color="black", markersize=5, label=f"splits: {len(splits)}")
    for merge in merges:
        panel.plot(
            *np.stack([merge["start"], merge["stop"]])[:, :0:-1].T, "o-", color=red, markersize=4, fillstyle="none"
        )
    panel.plot([], [], "o-", color=red, fillstyle="none", label=f"merges: {len(merges)}")
    name = "superpixels" if threshold < 0 else f"threshold {threshold}"
    panel.set_title(f"{name}: ERL {found.erl:.0f} of {found.max_erl:.0f}", fontsize=9)
    panel.set(xlim=(0, 128), ylim=(128, 0), aspect="equal", xticks=[], yticks=[])
    panel.legend(fontsize=7, loc="lower right")
figure.savefig(Path(__file__).with_suffix(".png"), dpi=80)
