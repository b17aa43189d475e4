"""
A photograph: coins without learning
====================================

No truth, no network: a photograph of coins, an edge filter for a boundary map, and a policy made by hand.
"""

# %%
# The photograph comes with scikit-image: 24 coins on a background that is brighter in some places than are coins in
# others, so that no threshold on grey values separates them. Their outlines are visible everywhere. A Sobel filter
# finds them; divided by a high quantile, its values are from 0 to 1.

import numpy as np
from matplotlib import pyplot as plt
from skimage import data, filters, measure, segmentation

from gala import agglo, agglomerate, build_graph, cut_labels, morpho, viz

coins = data.coins()
edges = filters.sobel(filters.gaussian(coins, 1))
boundary_map = np.clip(edges / np.quantile(edges, 0.99), 0, 1)

# %%
# Superpixels are basins of this map. There are 757 of them, many more than coins, and their outlines follow those of
# the coins.

superpixels = morpho.superpixels(boundary_map, sigma=1)
print(f"{superpixels.max()} superpixels")

figure, panels = plt.subplots(1, 3, figsize=(10, 3), layout="constrained")
panels[0].imshow(coins, cmap="gray")
panels[1].imshow(boundary_map, cmap="gray")
panels[2].imshow(segmentation.mark_boundaries(coins, superpixels, color=(1, 0.6, 0)))
for panel, title in zip(panels, ("photograph", "boundary map", "superpixels"), strict=True):
    panel.set(title=title, xticks=[], yticks=[])
figure.savefig("coins-superpixels.png")

# %%
# A policy says which pair of regions merges next. Three of those that come with gala: the mean of the map along the
# contact of two regions, and two quantiles. A graph is built with what its policy needs, and gives a merge tree.

policies = {
    "mean": agglo.boundary_mean,
    "lower quartile": agglo.boundary_quantile(0.25),
    "upper quartile": agglo.boundary_quantile(0.75),
}
trees = {name: agglomerate(build_graph(superpixels, boundary_map, p.needs), p) for name, p in policies.items()}

# %%
# How many coins does each find? Count segments that are as large as coins, and convex and round.


def count_coins(segments):
    """Return how many segments look like a coin."""
    found = measure.regionprops(segments)
    return sum(800 < s.area < 4000 and s.solidity > 0.92 and s.eccentricity < 0.75 for s in found)


thresholds = np.arange(0.1, 0.85, 0.05)
counts = {name: [count_coins(cut_labels(superpixels, tree, t)) for t in thresholds] for name, tree in trees.items()}
figure, panel = plt.subplots(figsize=(6, 3.5), layout="constrained")
for name, found in counts.items():
    best = int(np.argmax(found))
    print(f"{name}: {found[best]} coins at {thresholds[best]:.2f}")
    panel.plot(thresholds, found, "o-", label=name)
panel.axhline(24, color="0.7", linestyle="--")
panel.set(xlabel="threshold", ylabel="coins found, of 24")
panel.legend()
figure.savefig("coins-counts.png")

# %%
# The mean finds all 24 at 0.50, and so does the upper quartile at 0.60. The lower quartile follows the weakest part of
# an outline: two coins leak into the background before others are whole, and no threshold gives more than 22. The other
# segments at 0.50 are the background and five flakes, four of them off one coin in shadow.

segments = cut_labels(superpixels, trees["mean"], 0.5)
n_segments = len(np.unique(segments))
print(f"{n_segments} segments, {count_coins(segments)} of them coins")
background = int(np.bincount(segments.ravel()).argmax())  # the largest segment
viz.save_figure(viz.overlay(coins, segments, background=background, opacity=0.5), "coins.png")

# %%
# Where a filter does not find boundaries, paint some: `classify.PixelClassifier` learns a boundary map from a few
# strokes of a brush, and everything after it stays as it is here.
