"""Draw docs/pictures/biology.png: a plane of a volume, its contours, and small regions merged."""

from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from gala.agglo import Rag
from gala.datasets import synthetic

volume = synthetic((24, 96, 96), seed=3)
plane = 12
g = Rag(volume.superpixels, volume.p1)
small = g.copy()
small.merge_small(1500)
g.agglomerate(np.inf)
heights = g.build_boundary_map()[plane]

figure = Figure(figsize=(9.6, 3.1), layout="constrained")
image, contours, labels = figure.subplots(1, 3)
image.imshow(volume.image[plane], cmap="gray")
image.set_title("image", fontsize=10)
shown = contours.imshow(np.ma.masked_equal(heights, 0), cmap="magma_r", vmin=0, vmax=0.8, interpolation="nearest")
contours.set_title("contours by the height at which they go", fontsize=10)
figure.colorbar(shown, ax=contours, shrink=0.8)
segments = small.get_segmentation()[plane]
colours = np.random.default_rng(1).permutation(int(segments.max()) + 1)
labels.imshow(colours[segments], cmap="tab20", interpolation="nearest")
labels.set_title(f"{len(small.nodes()) - 1} regions left of {len(g.graph.labels)}", fontsize=10)
for panel in (image, contours, labels):
    panel.set_axis_off()
figure.savefig(Path(__file__).with_suffix(".png"), dpi=80)
