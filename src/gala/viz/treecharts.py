"""Charts of a merge tree: its merges in order, and one object from its superpixels up."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from scipy.cluster import hierarchy

from gala._types import ArrayLike, Floats, Labels
from gala.errors import LabelError, SettingError
from gala.graph.tree import MergeTree, check_threshold

_named_leaves = 60  # how many have room for their labels


def merge_order_curve(tree: MergeTree, *, thresholds: Sequence[float] = ()) -> Figure:
    """Draw the priority of each merge against its number.

    Parameters
    ----------
    tree : MergeTree
        The merges.
    thresholds : sequence of float, optional
        Cuts to mark, with the number of segments of each.

    Returns
    -------
    figure : matplotlib.figure.Figure
        A point for each merge with a finite priority, and a line at the highest so far: points below it are merges
        that an earlier one made cheaper.

    Raises
    ------
    SettingError
        If a threshold is NaN, or the tree has no merge.

    Examples
    --------
    >>> tree = MergeTree(3, np.array([[0, 1], [2, 3]]), np.array([0.5, 0.25]))
    >>> figure = merge_order_curve(tree, thresholds=[0.4])
    >>> [text.get_text() for text in figure.axes[0].get_legend().get_texts()]
    ['priority', 'highest so far', 'threshold 0.4: 3 segments']
    """
    if not tree.n_merges:
        raise SettingError("there must be at least one merge to draw; this tree has none.")
    figure = Figure((6.4, 4.0), layout="constrained")
    axis = figure.subplots()
    numbers = np.arange(tree.n_merges)
    finite = np.isfinite(tree.priority)
    top = np.maximum.accumulate(np.where(finite, tree.priority, -np.inf))
    dot = float(np.clip(600 / tree.n_merges, 0.5, 12))
    axis.scatter(numbers[finite], tree.priority[finite], s=dot, color="C0", label="priority", zorder=3)
    axis.plot(numbers[np.isfinite(top)], top[np.isfinite(top)], color="0.6", linewidth=1, label="highest so far")
    for k, threshold in enumerate(map(check_threshold, thresholds)):
        label = f"threshold {threshold:.4g}: {tree.n_segments(threshold)} segments"
        axis.axhline(threshold, color=f"C{k % 8 + 1}", linewidth=1, linestyle="--", label=label)
    axis.set(xlabel="merge", ylabel="priority")
    axis.spines[["top", "right"]].set_visible(False)
    axis.legend(frameon=False, fontsize=9)
    return figure


def dendrogram(
    tree: MergeTree,
    node: int,
    *,
    labels: ArrayLike | None = None,
    threshold: float | None = None,
    max_leaves: int = 200,
) -> Figure:
    """Draw how one object came together: the merges below a node of the tree.

    Parameters
    ----------
    tree : MergeTree
        The merges.
    node : int
        The object; ``tree.root_of(leaf)`` is the one that a superpixel ends in.
    labels : array of int, shape (N,), optional
        The label of each leaf, such as ``graph.labels``, to be named by; by default its number.
    threshold : float, optional
        A cut: each of its segments gets a colour, and what is above is grey.
    max_leaves : int, optional
        Of a larger object, the uppermost merges are drawn; below each is the number of leaves left out.

    Returns
    -------
    figure : matplotlib.figure.Figure
        Heights of merges upwards, leaves or groups of them below. A merge at height minus infinity, which a
        constraint asked for, is drawn lowest.

    Raises
    ------
    LabelError
        If there is no such node, it is a leaf, or there is not a label for each leaf.
    SettingError
        If `max_leaves` is below 2, or the threshold is NaN.

    Examples
    --------
    >>> tree = MergeTree(4, np.array([[0, 1], [2, 3], [4, 5]]), np.array([0.5, 0.25, 0.75]))
    >>> figure = dendrogram(tree, 6, labels=[10, 20, 30, 40])
    >>> [text.get_text() for text in figure.axes[0].get_xticklabels()]
    ['30', '40', '10', '20']
    """
    if max_leaves < 2:
        raise SettingError(f"max_leaves must be 2 or more; got {max_leaves!r}.")
    leaves, linkage, heights = _object(tree, node)
    names = _names(labels, tree)[leaves]
    colours = _merge_colours(linkage, heights, len(leaves), threshold)
    # The ranks of heights stand for them, since scipy wants distances: numbers that are not negative.
    options: Any = {"truncate_mode": "lastp", "p": max_leaves} if len(leaves) > max_leaves else {}
    drawn = hierarchy.dendrogram(
        linkage,
        no_plot=True,
        leaf_label_func=lambda k: _named(k, names, linkage),
        link_color_func=lambda k: colours[k - len(leaves)],
        **options,
    )
    ranks, corners = np.array(drawn["dcoord"]), np.array(drawn["icoord"])
    shown = _heights_shown(heights)
    figure = Figure((float(np.clip(0.16 * len(drawn["ivl"]), 4, 16)), 4.0), layout="constrained")
    axis = figure.subplots()
    lines = np.stack([corners, shown[ranks.astype(int)]], axis=-1)
    axis.add_collection(LineCollection(list(lines), colors=drawn["color_list"], linewidths=1))
    _label(axis, drawn["ivl"], f"{len(leaves)} superpixels, node {node}")
    axis.autoscale_view()
    if threshold is not None:
        axis.axhline(threshold, color="0.4", linewidth=1, linestyle="--")
    return figure


def _object(tree: MergeTree, node: int) -> tuple[Labels, Floats, Floats]:
    """Return the leaves below a node, their linkage with ranks for heights, and the height of each rank from 1."""
    below = tree.subtree(node)
    leaves, merges = below[below < tree.n_leaves], below[below >= tree.n_leaves] - tree.n_leaves
    if not len(merges):
        raise LabelError(f"node {node} is a leaf, which no merge made; give one from {tree.n_leaves} on.")
    order = merges[np.argsort(tree.height[merges], kind="stable")]
    number = np.zeros(tree.n_leaves + tree.n_merges, dtype=np.int64)
    number[leaves] = np.arange(len(leaves))
    number[tree.n_leaves + order] = len(leaves) + np.arange(len(order))
    heights, ranks = np.unique(tree.height[order], return_inverse=True)
    children = np.sort(number[tree.children[order]], axis=1)
    counts = np.ones(len(leaves) + len(order))
    for k, pair in enumerate(children):
        counts[len(leaves) + k] = counts[pair].sum()
    linkage = np.column_stack([children, ranks + 1.0, counts[len(leaves) :]])
    return leaves, linkage, heights


def _names(labels: ArrayLike | None, tree: MergeTree) -> Labels:
    names = np.arange(tree.n_leaves) if labels is None else np.asarray(labels)
    if names.shape != (tree.n_leaves,):
        raise LabelError(f"labels must hold one for each leaf, {tree.n_leaves}; got shape {names.shape}.")
    return names


def _named(k: int, names: Labels, linkage: Floats) -> str:
    """Return the label of a leaf, or the number of leaves of a group."""
    return str(names[k]) if k < len(names) else f"({linkage[k - len(names), 3]:.0f})"


def _heights_shown(heights: Floats) -> Floats:
    """Return where to draw each rank from 0, which is that of leaves."""
    finite = heights[np.isfinite(heights)]
    low, high = (finite.min(), finite.max()) if finite.size else (0.0, 1.0)
    room = 0.08 * max(high - low, abs(high), 1e-9)
    forced = low - room  # for minus infinity
    base = 0.0 if heights[0] > 0 else low - 2 * room
    return np.concatenate([[base], np.nan_to_num(heights, neginf=forced, posinf=high + room)])


def _merge_colours(linkage: Floats, heights: Floats, n_leaves: int, threshold: float | None) -> list[str]:
    """Return a colour for each merge: that of the segment of the cut that it is in, or grey above the cut."""
    cut = np.inf if threshold is None else check_threshold(threshold)
    colours = ["0.6"] * len(linkage)
    n_segments = 0
    for k in range(len(linkage) - 1, -1, -1):
        if heights[int(linkage[k, 2]) - 1] > cut:
            continue
        if colours[k] == "0.6":  # not below a merge that is in the cut
            colours[k] = f"C{n_segments % 7}"  # C7 is grey
            n_segments += 1
        for child in linkage[k, :2].astype(int):
            if child >= n_leaves:
                colours[child - n_leaves] = colours[k]
    return colours


def _label(axis: Any, names: list[str], title: str) -> None:
    axis.spines[["top", "right", "bottom"]].set_visible(False)
    axis.set(ylabel="height", title=title)
    if len(names) > _named_leaves:
        axis.set_xticks([])
        return
    axis.set_xticks(10 * np.arange(len(names)) + 5, names, rotation=90, fontsize=8)
    axis.tick_params(axis="x", length=0)
