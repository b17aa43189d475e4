"""Draw docs/pictures/seeing-*.png: an overlay, the merges of a tree, one object, and the page of slices in Chromium."""

import shutil
import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory

import drawing
import numpy as np

from gala import agglomerate, build_graph, map_labels
from gala.agglo import boundary_mean
from gala.datasets import synthetic
from gala.viz import LabelColours, dendrogram, merge_order_curve, montage, overlay, write_slices_page

folder = Path(__file__).parent
volume = synthetic((30, 100, 160), seed=4)
graph = build_graph(volume.superpixels, volume.p1, boundary_mean.needs)
tree = agglomerate(graph, boundary_mean)
colours = LabelColours.from_tree(volume.superpixels, tree)
segments = map_labels(volume.superpixels, graph.labels, graph.labels[tree.cut(0.5)])


def save(figure, name):
    """Write a figure."""
    drawing.save(figure, folder / f"seeing-{name}.png", 256)


save(overlay(volume.image, segments, colours=colours), "overlay")
save(montage(volume.image, segments, planes=6, colours=colours), "montage")
save(merge_order_curve(tree, thresholds=[0.5]), "merges")
sizes = np.bincount(tree.cut(0.6))
largest = tree.below(0.6)
object_ = int(largest.root_of(int(sizes.argmax())))
save(dendrogram(largest, object_, labels=graph.labels, threshold=0.4), "dendrogram")

flags = ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--hide-scrollbars"]
with TemporaryDirectory() as place:
    page = write_slices_page(
        f"{place}/page.html", volume.image, volume.superpixels, tree, thresholds=[0.4, 0.5, 0.6], title="Neurites"
    )
    address = f"{page.as_uri()}#threshold=0.5&plane=15"
    file = folder / "seeing-page.png"
    options = [
        f"--user-data-dir={place}/profile",
        "--virtual-time-budget=20000",
        "--window-size=1180,600",
        f"--screenshot={file}",
        address,
    ]
    subprocess.run([shutil.which("chromium"), *flags, *options], check=True, capture_output=True)
    drawing.shrink(file, 256)
