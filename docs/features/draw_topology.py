"""Draw the pictures of graph.md and inclusion.md: ``python docs/features/draw_topology.py``."""

from __future__ import annotations

from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib import pyplot as plt
from scipy.ndimage import center_of_mass
from scipy.spatial import cKDTree

from gala.agglo import Rag
from gala.features import graph, inclusion

HERE = Path(__file__).parent


def cells(shape=(150, 220), n_cells=26, seed=4):
    """Return the labels of cells, some of which hold another one."""
    rng = np.random.default_rng(seed)
    where = np.indices(shape)
    points = rng.uniform(0, shape, (n_cells, 2))
    for _ in range(3):  # towards cells of one size
        labels = cKDTree(points).query(np.moveaxis(where, 0, -1))[1]
        points = np.array(center_of_mass(labels >= 0, labels, np.arange(n_cells)))
    for label, (row, column) in enumerate(points[rng.permutation(n_cells)[:6]], start=n_cells):
        labels[np.hypot(where[0] - row, where[1] - column) < 7] = label
    return labels


def outlines(axes, labels):
    """Draw lines between the regions."""
    inner = np.zeros(labels.shape, dtype=bool)
    inner[:-1] |= labels[:-1] != labels[1:]
    inner[:, :-1] |= labels[:, :-1] != labels[:, 1:]
    axes.imshow(np.where(inner, 1.0, np.nan), cmap="gray", vmin=0, vmax=1)
    axes.set_axis_off()


def shown(axes, labels, value_of, title, colors):
    """Colour each region by its value, with a colour bar."""
    values = np.array([value_of(n) for n in range(labels.max() + 1)])
    picture = axes.imshow(values[labels], cmap=colors)
    outlines(axes, labels)
    axes.set_title(title, fontsize=9)
    bar = axes.figure.colorbar(picture, ax=axes, shrink=0.75)
    bar.ax.tick_params(labelsize=7)


def draw(manager, titles, file, *, lines=False):
    """Draw both node features of a manager side by side."""
    labels = cells()
    g = Rag(labels, feature_manager=manager)
    figure, both = plt.subplots(1, 2, figsize=(7.4, 2.6), layout="constrained")
    for column, (axes, title) in enumerate(zip(both, titles, strict=True)):
        shown(axes, labels, lambda n, column=column: manager(g, n)[column], title, "viridis" if lines else "magma")
    if lines:
        centers = np.array(center_of_mass(labels >= 0, labels, np.arange(labels.max() + 1)))[:, ::-1]
        both[0].plot(*centers[np.array(g.real_edges())].transpose(2, 1, 0), color="white", linewidth=0.6)
        both[0].plot(*centers.T, "o", color="white", markersize=2.5)
    figure.savefig(HERE / file, dpi=75)


if __name__ == "__main__":
    mpl.use("agg")
    draw(graph.Manager(), ("degree d(u); edges in white", "mean degree of neighbours"), "graph.png", lines=True)
    draw(inclusion.Manager(), ("largest contact / all contacts", "second largest / largest"), "inclusion.png")
