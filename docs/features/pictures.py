"""Draw the pictures of these pages, beside this file, from synthetic data and small shapes."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
from matplotlib import colormaps
from matplotlib.figure import Figure
from PIL import Image
from scipy.ndimage import center_of_mass
from scipy.spatial import ConvexHull, KDTree

from gala import datasets
from gala.agglo import Rag
from gala.features import (
    axes,
    contact,
    convex_hull,
    extrema,
    graph,
    histogram,
    inclusion,
    moments,
    orientation,
    shape,
    squiggliness,
)
from gala.features.convex_hull import Hull

HERE = Path(__file__).parent
SAME, APART = "tab:blue", "tab:orange"
pastel = colormaps["Set3"]


def main():
    """Draw all."""
    volume = datasets.synthetic((32, 96, 96), seed=1)
    for draw in (draw_moments, draw_histogram, draw_extrema, draw_contact):
        save(draw(volume), draw.__name__)
    for draw in (
        draw_orientation,
        draw_squiggliness,
        draw_convex_hull,
        draw_graph,
        draw_inclusion,
        draw_shape,
        draw_axes,
    ):
        save(draw(), draw.__name__)


def save(figure, name):
    """Write a figure as a small PNG, named as the function that drew it."""
    drawn = io.BytesIO()
    figure.savefig(drawn, dpi=80)
    Image.open(drawn).convert("RGB").quantize(160).save(HERE / f"{name.removeprefix('draw_')}.png", optimize=True)


def panels(n, **options):
    """Return a figure, and its `n` axes side by side."""
    figure = Figure(figsize=(3.4 * n, 3.1), layout="constrained")
    return figure, figure.subplots(1, n, squeeze=False, **options)[0]


def labelled(volume, manager):
    """Return the features of all pairs, and whether truth holds the two together."""
    g = Rag(volume.superpixels, volume.p1, feature_manager=manager)
    edges = np.array(g.real_edges())
    object_of = dict(zip(*majority(volume.superpixels, volume.truth), strict=True))
    together = np.array([object_of[u] == object_of[v] for u, v in edges.tolist()])
    return g.features(manager, edges), together


def majority(labels, truth):
    """Return the labels, and for each the label of truth that it overlaps most."""
    pairs, counts = np.unique(np.stack([labels.ravel(), truth.ravel()]), axis=1, return_counts=True)
    order = np.argsort(counts)
    largest = dict(zip(pairs[0][order].tolist(), pairs[1][order].tolist(), strict=True))
    return list(largest), list(largest.values())


def draw_moments(volume):
    """Draw mean and second moment of contacts."""
    X, together = labelled(volume, moments.Manager(2))
    mean, variance = X[:, 7], X[:, 8]
    figure, (image, points) = panels(2)
    image.imshow(volume.p1[16], cmap="gray")
    image.set(title="boundary probability", xticks=[], yticks=[])
    for chosen, color, name in [(together, SAME, "one object"), (~together, APART, "two objects")]:
        points.scatter(mean[chosen], variance[chosen], s=3, color=color, label=name)
    points.set(title="contacts", xlabel="mean", ylabel="second moment")
    points.legend(markerscale=4)
    return figure


def draw_histogram(volume):
    """Draw mean histograms of regions and contacts."""
    X, together = labelled(volume, histogram.Manager(25))
    figure, axes = panels(2, sharey=True)
    for ax, part, title in [(axes[0], slice(0, 25), "smaller region"), (axes[1], slice(50, 75), "contact")]:
        for chosen, color, name in [(together, SAME, "one object"), (~together, APART, "two objects")]:
            ax.stairs(X[chosen, part].mean(axis=0), np.linspace(0, 1, 26), color=color, label=name, linewidth=1.5)
        ax.set(title=title, xlabel="boundary probability", yscale="log")
    axes[0].set_ylabel("mean share of voxels")
    axes[1].legend()
    return figure


def draw_extrema(volume):
    """Draw the lowest and the highest value of contacts."""
    X, together = labelled(volume, extrema.Manager())
    figure, axes = panels(2, sharey=True)
    bins = np.linspace(0, 1, 31)
    for ax, column, title in [(axes[0], 4, "lowest value"), (axes[1], 5, "highest value")]:
        for chosen, color, name in [(together, SAME, "one object"), (~together, APART, "two objects")]:
            ax.hist(X[chosen, column], bins, histtype="step", density=True, color=color, label=name, linewidth=1.5)
        ax.set(title=f"contacts, {title}", xlabel="boundary probability", yticks=[])
    axes[0].legend()
    return figure


def draw_contact(volume):
    """Draw thresholds in an image, and one of the ratios."""
    X, together = labelled(volume, contact.Manager([0.5]))
    figure, (image, shares) = panels(2)
    plane = volume.p1[16, 40:, :56]
    image.imshow(plane, cmap="gray")
    image.contour(plane, levels=[0.1, 0.5, 0.9], colors=["deepskyblue", "gold", "red"], linewidths=1.2)
    image.set(title="above 0.1 (blue), 0.5, 0.9 (red)", xticks=[], yticks=[])
    bins = np.linspace(-4, 3, 36)
    for chosen, color, name in [(together, SAME, "one object"), (~together, APART, "two objects")]:
        shares.hist(X[chosen, 5], bins, histtype="step", density=True, color=color, label=name, linewidth=1.5)
    shares.set(title="contacts", xlabel="log of b / a1 / s1, threshold 0.5", yticks=[])
    shares.legend(loc="upper left")
    return figure


def shapes():
    """Return a plane of three regions: a rod, a bent one, and a disc."""
    row, column = np.indices((48, 64))
    labels = np.zeros((48, 64), dtype=int)
    labels[np.abs(row - 6 - column * 0.25) < 4] = 1
    bent = np.hypot(row - 42, column - 18)
    labels[(np.abs(bent - 17) < 5) & (row < 42) & (labels == 0)] = 2
    labels[np.hypot(row - 34, column - 50) < 10] = 3
    return labels


def show_shapes(ax, labels):
    """Show regions in colour, and the rest in white."""
    ax.imshow(np.where(labels[..., np.newaxis] > 0, pastel(labels)[..., :3], 1.0))
    ax.set(xticks=[], yticks=[])


def draw_orientation():
    """Draw principal axes, as long as 2 standard deviations each way."""
    labels = shapes()
    manager = orientation.Manager()
    g = Rag(labels, feature_manager=manager, background=0)
    figure, (ax,) = panels(1)
    show_shapes(ax, labels)
    for n in g.nodes:
        if n != g.boundary_body:
            coords = np.argwhere(labels == n)
            center = coords.mean(axis=0)
            values, vectors = np.linalg.eigh(np.cov(coords.T))
            for value, vector in zip(values, vectors.T, strict=True):
                ends = center + np.outer([-2, 2], vector * np.sqrt(value))
                ax.plot(ends[:, 1], ends[:, 0], color="black", linewidth=1.5)
            coherence = manager(g, n)[2]
            ax.annotate(f"{coherence:.2f}", center[::-1], (7, 8), textcoords="offset points")
    ax.set_title("principal axes, coherence")
    return figure


def draw_squiggliness():
    """Draw three contacts and their boxes."""
    manager = squiggliness.Manager()
    row, column = np.indices((40, 40))
    curves = {"flat": 20 + 0 * column, "tilted": column, "folded": 20 + 14 * np.sin(column / 2.5)}
    figure, axes = panels(3)
    for ax, (name, height) in zip(axes, curves.items(), strict=True):
        labels = 1 + (row < height)
        g = Rag(labels, feature_manager=manager)
        show_shapes(ax, labels)
        coords = g.coords(g.boundary(1, 2))
        low, high = coords.min(axis=0) - 0.5, coords.max(axis=0) + 0.5
        ax.plot(coords[:, 1], coords[:, 0], "k.", markersize=2)
        ax.plot([low[1], high[1], high[1], low[1], low[1]], [low[0], low[0], high[0], high[0], low[0]], "r-")
        ax.set_title(f"{name}: {manager(g, 1, 2)[0]:.2f}")
    return figure


def draw_convex_hull():
    """Draw the hulls of three regions."""
    labels = shapes()
    manager = convex_hull.Manager()
    g = Rag(labels, feature_manager=manager, background=0)
    figure, (ax,) = panels(1)
    show_shapes(ax, labels)
    for n in (1, 2, 3):
        coords = np.argwhere(labels == n)
        corners = Hull.of_voxels(coords.astype(float)).corners - 0.5
        outline = corners[ConvexHull(corners).vertices]
        ax.plot(*np.append(outline, outline[:1], axis=0).T[::-1], "k-", linewidth=1.5)
        ax.annotate(f"{manager(g, n)[1]:.2f}", coords.mean(axis=0)[::-1], ha="center")
    ax.set_title("hulls, volume over size")
    return figure


def cells(shape=(120, 130), n_cells=20, n_inside=5):
    """Return the labels of cells, some of which hold another one, and the centres of all."""
    rng = np.random.default_rng(4)
    where = np.moveaxis(np.indices(shape), 0, -1)
    centers = rng.uniform(0, shape, (n_cells, 2))
    for _ in range(3):  # towards cells of one size
        labels = KDTree(centers).query(where)[1]
        centers = np.array(center_of_mass(labels >= 0, labels, np.arange(n_cells)))
    inner = centers[rng.permutation(n_cells)[:n_inside]]
    for label, center in enumerate(inner, start=n_cells):
        labels[np.hypot(*np.moveaxis(where - center, -1, 0)) < 6] = label
    return labels, np.concatenate([centers, inner])


def colored(manager, titles, colors):
    """Return a figure of cells in the colours of their two features, its axes, the graph, and the centres."""
    labels, centers = cells()
    g = Rag(labels, feature_manager=manager)
    values = np.array([manager(g, n) for n in range(len(centers))])
    apart = (np.diff(labels, axis=0, append=-1) != 0) | (np.diff(labels, axis=1, append=-1) != 0)
    figure, axes = panels(2)
    for ax, value, title in zip(axes, values.T, titles, strict=True):
        picture = ax.imshow(np.where(apart, np.nan, value[labels]), cmap=colors, interpolation="nearest")
        ax.set(title=title, xticks=[], yticks=[])
        figure.colorbar(picture, ax=ax, shrink=0.8)
    return figure, axes, g, centers


def draw_graph():
    """Draw degrees, and mean degrees of neighbours."""
    figure, axes, g, centers = colored(graph.Manager(), ("degree", "mean degree of neighbours"), "viridis")
    axes[0].plot(*centers[g.real_edges()].transpose(2, 1, 0)[::-1], color="white", linewidth=0.7)
    return figure


def draw_inclusion():
    """Draw shares of contacts."""
    return colored(inclusion.Manager(), ("largest / all contacts", "second largest / largest"), "magma")[0]


def draw_shape():
    """Draw sphericities of regions, and of the union of two that touch."""
    labels = shapes()
    labels[(labels == 3) & (np.indices(labels.shape)[1] > 50)] = 4
    manager = shape.Manager()
    g = Rag(labels, feature_manager=manager, background=0)
    figure, (ax,) = panels(1)
    show_shapes(ax, labels)
    for n in (1, 2, 3, 4):
        ax.annotate(f"{manager(g, n)[2]:.2f}", center_of_mass(labels == n)[::-1], ha="center")
    ax.annotate(f"union: {manager(g, 3, 4)[-1]:.2f}", (50, 46), ha="center", va="bottom")
    ax.set_title("sphericity")
    return figure


def draw_axes():
    """Draw the faces of a contact along each axis, in a blurred image."""
    row, column = np.indices((14, 20))
    labels = 1 + (row < 4 + 5 * (column > 9))
    image = np.zeros(labels.shape)
    for axis, height in [(1, 0.4), (0, 1)]:  # boundaries along the second axis are faint
        before, after = np.argwhere(np.diff(labels, axis=axis) != 0).T + np.zeros((2, 2, 1), dtype=int)
        after[axis] += 1
        image[tuple(before)] = image[tuple(after)] = height
    manager = axes.Manager(1)
    faces, mean, other_faces, other_mean = manager(Rag(labels, image, feature_manager=manager), 1, 2)
    figure, (ax,) = panels(1)
    ax.imshow(image, cmap="gray_r", vmin=0, vmax=2)
    for axis, color, count, value in [(0, SAME, faces, mean), (1, APART, other_faces, other_mean)]:
        for here in np.argwhere(np.diff(labels, axis=axis) != 0):
            ends = here + np.eye(2)[axis] / 2 + np.outer([-0.5, 0.5], np.eye(2)[1 - axis])
            ax.plot(ends[:, 1], ends[:, 0], color=color, linewidth=3)
        ax.plot([], [], color=color, linewidth=3, label=f"x{axis}: {count:.0f} faces, mean {value:.2f}")
    ax.set(title="faces along each axis", xticks=[], yticks=[])
    ax.legend(loc="lower left")
    return figure


if __name__ == "__main__":
    main()
