"""Draw docs/pictures/curves.png: VI along a merge tree, and its breakdown at three thresholds."""

from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from gala import agglomerate, build_graph, evaluate
from gala.agglo import boundary_mean
from gala.datasets import synthetic

volume = synthetic((32, 96, 96), seed=4)
graph = build_graph(volume.superpixels, volume.p1, boundary_mean.needs)
tree = agglomerate(graph, boundary_mean)
along = evaluate.curve(tree, volume.superpixels, volume.truth, labels=graph.labels)
best = along.best("vi")
thresholds = [0.3, best.threshold, 0.8]

figure = Figure(figsize=(8.4, 3.3), layout="constrained")
left, right = figure.subplots(1, 2)
left.plot(along.vi_merges, along.vi_splits, color="C0")
for threshold in thresholds[::2]:
    x, y = along.at(threshold)["vi_merges"], along.at(threshold)["vi_splits"]
    left.plot(x, y, "o", color="C0")
    left.annotate(f"{threshold:g}", (x, y), (6, 6), textcoords="offset points", fontsize=9)
x, y = along.at(best.threshold)["vi_merges"], along.at(best.threshold)["vi_splits"]
left.plot(x, y, "*", color="C3", markersize=13, label=f"best: VI {best.value:.2f} at {best.threshold:.2f}")
parts = [evaluate.breakdown(tree, volume.superpixels, volume.truth, threshold=t) for t in thresholds]
left.plot(*parts[0].at_oracle, "D", color="C2", label=f"best that superpixels allow: {parts[0].superpixels:.2f}")
left.set(xlabel="false merges, H(truth | seg) in bits", ylabel="false splits, H(seg | truth) in bits")
left.legend(fontsize=8, frameon=False)

bottom = np.zeros(3)
for name, colour in (("superpixels", "C2"), ("policy", "C1"), ("threshold", "C0")):
    height = np.array([getattr(part, name) for part in parts])
    right.bar([f"{t:.2g}" for t in thresholds], height, bottom=bottom, color=colour, label=name, width=0.6)
    bottom += height
right.set(xlabel="threshold", ylabel="VI in bits, by what it comes from")
right.legend(fontsize=8, frameon=False)
for panel in (left, right):
    panel.spines[["top", "right"]].set_visible(False)
figure.savefig(Path(__file__).with_suffix(".png"), dpi=80)
