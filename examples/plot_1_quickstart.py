"""
Quickstart: learn from one volume, segment another
==================================================

Somebody has segmented one volume by hand. A `Segmenter` learns from it and segments other volumes.
"""

# %%
# Two volumes, made up to look like electron microscopy: one to learn from, one to try the result on. Each has a
# boundary map, such as a network would give, and the truth. The map is what makes this hard: membranes are weak in
# places, and those of organelles inside of cells look like those between cells.

from matplotlib import pyplot as plt

from gala import Segmenter, cut_labels, datasets, evaluate, viz

train, test = datasets.synthetic_pair((16, 80, 80)).values()

figure, panels = plt.subplots(1, 3, figsize=(9, 3.3), layout="constrained")
for panel, title, picture in zip(
    panels, ("image", "boundary map", "truth"), (test.image, test.p1, test.truth), strict=True
):
    panel.imshow(picture[8], cmap="nipy_spectral" if title == "truth" else "gray", interpolation="nearest")
    panel.set(title=title, xticks=[], yticks=[])
figure.savefig("quickstart-data.png")

# %%
# Learn. The map is cut into superpixels, small regions that each lie in one cell; then a classifier learns from the
# truth which of them belong together.

segmenter = Segmenter().fit(train.p1, train.truth)

# %%
# Segment the other volume, and compare with its truth. The variation of information (VI) counts in bits how much the
# two differ: 0 is perfect. Superpixels alone have a VI of 3.16, nearly all of it false splits. What was learned
# removes four fifths of it, and 0.64 is left.

superpixels = segmenter.make_superpixels(test.p1)
segmentation = segmenter.predict(test.p1)
superpixel_vi = evaluate.vi(superpixels, test.truth)
learned_vi = -segmenter.score(test.p1, test.truth)  # score is minus the VI: more is better
print(f"VI of superpixels {superpixel_vi:.2f}, of the segmentation {learned_vi:.2f}")

# %%
# In the picture, white lines are false splits, and red ones false merges.

viz.save_figure(
    viz.draw_segmentations(
        {"superpixels": superpixels, "learned": segmentation}, test.truth, {"boundary map": test.p1}
    ),
    "quickstart.png",
)

# %%
# The segmenter stopped where a merge is as likely wrong as right. The merge tree has all other thresholds too, and to
# cut it takes no time. A low threshold splits too much, a high one merges too much.

tree = segmenter.merge_tree(test.p1)
for threshold in (0.1, 0.3, 0.5, 0.7):
    merges, splits = evaluate.split_vi(cut_labels(superpixels, tree, threshold), test.truth)
    print(f"threshold {threshold}: false merges {merges:.2f}, false splits {splits:.2f}")

along = evaluate.curve(tree, superpixels, test.truth)
viz.save_figure(viz.draw_curves({"learned": along}, chosen={"learned": 0.5}), "quickstart-thresholds.png")

# %%
# A classifier that also sees the grey values does better: VI 0.37. Whatever is known of the image helps, and `extra`
# takes any number of images by name.

with_raw = Segmenter().fit(train.p1, train.truth, extra={"raw": train.image})
raw_vi = -with_raw.score(test.p1, test.truth, extra={"raw": test.image})
print(f"VI with the grey values {raw_vi:.2f}")

# %%
# Keep what was learned in a file without pickle, which is safe to load.

with_raw.save("cells.npz")
again = Segmenter.load("cells.npz")
print("loaded; learned from", again.provenance_["volumes"][0]["shape"], "voxels")
