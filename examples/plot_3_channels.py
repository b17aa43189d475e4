"""
Several channels: what a network also knows
===========================================

Networks often tell more than where boundaries are: here also cytoplasm, organelles, and all the rest. How much is that
worth, and which mistakes are left?
"""

# %%
# Two volumes that look like electron microscopy. `p1` is a boundary map, `p4` has four channels on the last axis, the
# boundary first; `image` are the grey values.

import numpy as np
from matplotlib import pyplot as plt

from gala import Segmenter, agglo, agglomerate, build_graph, cut_labels, datasets, evaluate, viz

train, test = datasets.synthetic_pair((24, 96, 96), seed=2).values()

figure, panels = plt.subplots(1, 5, figsize=(12, 2.8), layout="constrained")
names = ("grey values", "boundary", "cytoplasm", "organelle", "other")
for panel, name, picture in zip(panels, names, [test.image, *np.moveaxis(test.p4, -1, 0)], strict=True):
    panel.imshow(picture[12], cmap="gray")
    panel.set(title=name, xticks=[], yticks=[])
figure.savefig("channels-data.png")

# %%
# For comparison, without learning: merge across contacts whose mean in the boundary map is low.

superpixels = test.superpixels
graph = build_graph(superpixels, test.p1, agglo.boundary_mean.needs)
trees = {"mean": agglomerate(graph, agglo.boundary_mean)}

# %%
# Now learn three times: from the boundary map, from all four channels, and from these and the grey values.

inputs = {
    "1 channel": lambda volume: (volume.p1, None),
    "4 channels": lambda volume: (volume.p4, None),
    "4 channels and raw": lambda volume: (volume.p4, {"raw": volume.image}),
}
for name, of in inputs.items():
    image, extra = of(train)
    segmenter = Segmenter().fit(image, train.truth, train.superpixels, extra=extra)
    image, extra = of(test)
    trees[name] = segmenter.merge_tree(image, superpixels, extra=extra)

# %%
# The variation of information (VI, in bits) at a threshold of 0.5 falls with each thing that is known: from 1.68 for
# the mean to 0.42, 0.33 and 0.32. This is one pair of volumes; others give other numbers, and the step from four
# channels to grey values is small enough to go the other way.

vi_of = {}
for name, tree in trees.items():
    vi_of[name] = evaluate.vi(cut_labels(superpixels, tree, 0.5), test.truth)
    print(f"{name}: VI {vi_of[name]:.2f}")

# %%
# A threshold is a choice; the curve has all of them. Stars are the best, rings are at 0.5: the two fall together where
# probabilities mean what they say.

curves = {name: evaluate.curve(tree, superpixels, test.truth) for name, tree in trees.items()}
viz.save_figure(viz.draw_curves(curves, chosen=dict.fromkeys(curves, 0.5)), "channels-curves.png")

# %%
# And in the volume itself: white lines are false splits, red ones false merges.

segmentations = {name: cut_labels(superpixels, tree, 0.5) for name, tree in trees.items()}
shown = {name: segmentations[name] for name in ("mean", "1 channel", "4 channels and raw")}
viz.save_figure(viz.draw_segmentations(shown, test.truth, {"grey values": test.image}), "channels.png")

# %%
# Tools do not agree on what to measure. `compare` lists all conventions side by side, and says why they differ.

comparison = evaluate.compare(segmentations["4 channels and raw"], test.truth)
print("\n".join(str(comparison).splitlines()[:7]))
print(comparison.differences[0])

# %%
# Whose fault is the rest? Of the 0.32 bits, 0.28 were in the superpixels before any merge; the order of merges costs
# 0.02, and the threshold 0.01. Only better superpixels would help.

parts = {name: evaluate.breakdown(t, superpixels, test.truth, threshold=0.5) for name, t in trees.items()}
last = parts["4 channels and raw"]
print(f"superpixels {last.superpixels:.2f}, policy {last.policy:.2f}, threshold {last.threshold:.2f}")
steps = ("superpixels", "policy", "threshold")
viz.save_figure(
    viz.draw_breakdown({name: {step: getattr(part, step) for step in steps} for name, part in parts.items()}),
    "channels-breakdown.png",
)

# %%
# `blame` names the merges that cost most, and where they are; here those of the mean.

for merge in evaluate.blame(trees["mean"], superpixels, test.truth, threshold=0.5)[:3]:
    plane, row, column = merge["place"].round().astype(int)
    print(f"{merge['vi']:.2f} bits at priority {merge['priority']:.2f}, plane {plane}, row {row}, column {column}")
