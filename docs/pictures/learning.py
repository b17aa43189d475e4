"""Draw docs/pictures/learning.png, false merges that the default recipe saves, and print what docs/learning.md says."""

from pathlib import Path

import numpy as np
from drawing import around, example, save
from matplotlib.figure import Figure
from scipy.special import expit

from gala import Segmenter, build_graph
from gala.engine.explain import explain
from gala.engine.running import RunningGraph
from gala.evaluate import best_possible_segmentation, blame
from gala.pipeline import HISTORIC, Recipe
from gala.viz import LabelColours
from gala.viz.overlays import painted

n_shown, side = 2, 80  # merges, and voxels across a panel
colours = LabelColours(np.array([1, 2]), np.array([0, 1]))
train, test = example()


def learned(recipe):
    """Return what learned from the training crop, and its merge tree and merges, worst first, of the test crop."""
    segmenter = Segmenter(recipe).fit(train.p1, train.truth, train.superpixels)
    tree = segmenter.merge_tree(test.p1, test.superpixels)
    merges = blame(tree, test.superpixels, test.truth, threshold=segmenter.threshold_)
    return segmenter, tree, merges


segmenter, tree, merges = learned(Recipe())
old_segmenter, old_tree, old_merges = learned(HISTORIC)
graph = build_graph(test.superpixels, test.p1, segmenter.learned_.policy.needs)
n_voxels = np.bincount(test.superpixels.ravel())[graph.labels]
segment_of = tree.cut(segmenter.threshold_)


def sides(merge):
    """Return the leaves of both sides of a historic merge."""
    return [old_tree.leaves_of(node) for node in old_tree.children[merge["merge"]]]


def largest(merge):
    """Return the largest superpixel of each side, as leaves."""
    return [leaves[n_voxels[leaves].argmax()] for leaves in sides(merge)]


def panels(merge):
    """Return by title what to paint: 1 and 2 for the sides of a merge, and for what each belongs to; elsewhere 0."""
    whole = [np.flatnonzero(segment_of == segment_of[leaf]) for leaf in largest(merge)]
    objects = [merge["object_a"], merge["object_b"]]
    if merge["segment_a"] not in graph.labels[sides(merge)[0]]:
        objects.reverse()
    return {
        "historic: these two are merged": numbered(test.superpixels, [graph.labels[leaves] for leaves in sides(merge)]),
        "default: two segments": numbered(test.superpixels, [graph.labels[leaves] for leaves in whole]),
        "truth": numbered(test.truth, objects),
    }


def numbered(volume, groups):
    """Return the number of the group that each voxel is in, from 1."""
    return sum(number * np.isin(volume, group) for number, group in enumerate(groups, start=1))


def draw(row, merge):
    """Draw a merge in a row of panels."""
    plane, *place = merge["place"].round().astype(int).tolist()
    window = around(place, test.truth.shape[1:], side)
    box = plane, *window
    for panel, (title, numbers) in zip(row, panels(merge).items(), strict=True):
        shown = painted(test.image[box], numbers[box], colours, opacity=0.4, background=0)
        panel.imshow(shown, extent=(-0.5, side - 0.5, side - 0.5, -0.5), interpolation="nearest")
        panel.plot(
            place[1] - window[1].start, place[0] - window[0].start, "o", color="white", markersize=14, fillstyle="none"
        )
        panel.set_title(title, fontsize=10)
        panel.set(xticks=[], yticks=[])
    row[0].set_ylabel(f"{merge['vi']:.3f} bits, plane {plane}", fontsize=10)


def as_given(merge):
    """Return the priority that the default gives the two segments of a historic merge."""
    g = RunningGraph(graph, segmenter.learned_.policy)
    for pair in old_tree.children[: merge["merge"]]:
        g.merge_regions(*(int(g.region_of(n)) for n in pair), 0.0)
    return expit(explain(g, *old_tree.children[merge["merge"]].tolist()).total)


def medians():
    """Return the medians of features over contacts of the training crop, of right and of wrong merges."""
    needs = segmenter.learned_.policy.needs
    start = build_graph(train.superpixels, train.p1, needs)
    owner = best_possible_segmentation(train.superpixels, train.truth)
    owner = owner.ravel()[[np.flatnonzero(train.superpixels == label)[0] for label in start.labels]]
    values = RunningGraph(start, segmenter.learned_.policy).features(needs, start.edges)
    right = owner[start.edges[:, 0]] == owner[start.edges[:, 1]]
    return np.stack([np.nanmedian(values[which], axis=0) for which in (right, ~right)])


saved = [merge for merge in old_merges if np.unique(segment_of[largest(merge)]).size == 2][:n_shown]
figure = Figure((9, 3.3 * n_shown), layout="constrained")
for row, merge in zip(figure.subplots(n_shown, 3), saved, strict=True):
    draw(row, merge)
save(figure, Path(__file__).with_suffix(".png"))

said = [
    f"{name}: VI {-one.score(test.p1, test.truth, test.superpixels):.3f}, worst merges (bits, priority) "
    + ", ".join(f"{merge['vi']:.3f} {merge['priority']:.2f}" for merge in table[:4])
    for name, one, table in (("historic", old_segmenter, old_merges), ("default", segmenter, merges))
]
for merge in saved:
    height = tree.height[tree.lowest_common_ancestor(*largest(merge)) - tree.n_leaves]
    said.append(
        f"{merge['vi']:.3f} saved: {merge['priority']:.2f}, by default {height:.2f}; as given {as_given(merge):.2f}"
    )
g = RunningGraph(graph, segmenter.learned_.policy)
g.agglomerate(max_merges=int(merges[0]["merge"]))
why = explain(g, *tree.children[merges[0]["merge"]].tolist())
said.append(f"default's worst: log-odds {why.total:+.2f}, of which against {why.added[why.added > 0].sum():+.2f}")
here = g.features(segmenter.learned_.policy.needs, tree.children[[merges[0]["merge"]]])[0]
columns = [k for k in (why.names.index(name) for name, _ in why.strongest(6)) if k < len(here)][:5]  # features alone
known = medians()
said += [
    f"{why.names[k]}: {why.added[k]:+.2f}, {here[k]:.3f}; right {known[0, k]:.3f}, wrong {known[1, k]:.3f}"
    for k in columns
]
print("\n".join(said))  # noqa: T201  # so that the page can be brought up to date
