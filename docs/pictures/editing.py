"""Draw docs/pictures/editing.png: a segment that covers two neurites, split by seeds and by normalized cuts."""

from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from gala import Editing, agglomerate, build_graph
from gala.agglo import boundary_mean
from gala.datasets import synthetic

volume = synthetic((24, 96, 96), seed=4)
plane = 12
image, superpixels, truth = (part[plane] for part in (volume.image, volume.superpixels, volume.truth))
graph = build_graph(volume.superpixels, volume.p1, boundary_mean.needs)
begin = Editing(graph, agglomerate(graph, boundary_mean).below(0.4), boundary_mean)
seeds = [[123], [169]]  # the largest superpixels, in this plane, of the two neurites that one segment covers


def segments(editing):
    """Return the segments in the plane."""
    return graph.labels[editing.tree.cut()][graph.find(superpixels)]


inside = segments(begin) == segments(begin)[superpixels == seeds[0][0]][0]
figure = Figure(figsize=(9.6, 2.7), layout="constrained")
titles = ["truth, and two seeds", "before: one segment", "split_by_seeds([[123], [169]])", "split(123)"]
shown = [truth, segments(begin), segments(begin.split_by_seeds(seeds)), segments(begin.split(123))]
for panel, title, labels in zip(figure.subplots(1, 4), titles, shown, strict=True):
    panel.imshow(image, cmap="gray")
    numbers = np.unique(labels[inside], return_inverse=True)[1]
    colours = np.full(labels.shape, np.nan)
    colours[inside] = numbers
    panel.imshow(colours, cmap="Set1", vmin=0, vmax=8, alpha=0.55, interpolation="nearest")
    panel.set_title(title, fontsize=9)
    panel.set_axis_off()
    if labels is truth:
        for seed in seeds:
            row, column = np.argwhere(superpixels == seed[0]).mean(axis=0)
            panel.plot(column, row, "o", color="white", markeredgecolor="black")
figure.savefig(Path(__file__).with_suffix(".png"), dpi=80)
