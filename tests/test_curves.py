"""Metrics at every cut of a tree, and what errors come from, against evaluating each cut from scratch."""

from __future__ import annotations

import csv
import doctest
import itertools
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import assume, given, settings, strategies as st
from hypothesis.extra import numpy as hnp
from numpy.testing import assert_allclose, assert_array_equal

import naive_evaluate as naive
from gala import evaluate as ev
from gala.errors import FileError, LabelError, SettingError, ShapeError
from gala.evaluate.contingency import overlaps_of
from gala.graph.tree import MergeTree
from real import read, reference
from strategies import forests

METRICS = ["vi", "rand_index", "adj_rand_index", "fm_index", "adapted_rand_error", "edit_distance"]

some = settings(deadline=None, max_examples=60)
few = settings(deadline=None, max_examples=25)

# A tree whose second merge is wrong: superpixels 1 and 2 are in object 7, 3 and 4 in object 8.
WRONG = MergeTree(4, np.array([[0, 1], [2, 4], [3, 5]]), np.array([0.1, 0.3, 0.2]))
ROW = np.repeat([1, 2, 3, 4], [2, 3, 4, 5])
OBJECTS = np.repeat([7, 8], [5, 9])


@st.composite
def runs(draw, *, min_truth=0, first_label=1):
    """Return a tree, the label of each leaf, and voxels: the leaf that each is in, and its true object."""
    tree = draw(forests(min_leaves=1))
    extra = draw(st.lists(st.integers(0, tree.n_leaves - 1), max_size=25))
    leaf = np.array([*range(tree.n_leaves), *extra])
    truth = draw(hnp.arrays(np.int64, len(leaf), elements=st.integers(min_truth, min_truth + 3)))
    return tree, first_label + np.arange(tree.n_leaves) ** 2, leaf, truth


def scores(seg, truth, size_threshold, ignore=0):
    """Return all metrics of two arrays, from scratch."""
    merges, splits = ev.split_vi(seg, truth, [ignore], [ignore])
    error, precision, recall = ev.adapted_rand_error(seg, truth, all_stats=True)
    edits = ev.edit_distance(seg, truth, size_threshold)
    return {
        "vi_merges": merges,
        "vi_splits": splits,
        "vi": merges + splits,
        "rand_index": ev.rand_index(seg, truth),
        "adj_rand_index": ev.adj_rand_index(seg, truth),
        "fm_index": ev.fm_index(seg, truth),
        "adapted_rand_error": error,
        "precision": precision,
        "recall": recall,
        "edit_merges": edits[0],
        "edit_splits": edits[1],
        "edit_distance": sum(edits),
    }


def assert_scores(along, threshold, expected):
    found = along.at(threshold)
    for name, value in expected.items():
        assert_allclose(found[name], value, rtol=1e-12, atol=1e-12, err_msg=f"{name} at {threshold}")


def thresholds_of(tree):
    """Return thresholds at, below, between and above all heights."""
    heights = np.unique(tree.height[np.isfinite(tree.height)])
    return [-np.inf, *heights, *np.nextafter(heights, -np.inf), 99.0, np.inf]


# ----------------------------------------------------------------------------------- the curve and its cuts


@given(runs(), st.sampled_from([0, 1, 3]))
@some
def test_curve__equals_evaluating_each_cut_from_scratch(run, size_threshold):
    tree, labels, leaf, truth = run
    assume(truth.any())
    along = ev.curve(tree, labels[leaf], truth, size_threshold=size_threshold)
    for threshold in thresholds_of(tree):
        assert_scores(along, threshold, scores(labels[tree.cut(threshold)][leaf], truth, size_threshold))
        assert along.at(threshold)["n_segments"] == tree.n_segments(threshold)


@given(runs(first_label=0), st.sampled_from([0, 2]), st.sets(st.integers(0, 2)), st.sets(st.integers(0, 2)))
@some
def test_curve__ignores_the_superpixels_and_objects_asked_for_in_every_cut(run, size, ignore_seg, ignore_truth):
    tree, labels, leaf, truth = run
    ws = labels[leaf]
    counted = ~np.isin(ws, [*ignore_seg]) & ~np.isin(truth, [*ignore_truth])
    assume(counted.any())
    ignored = {"ignore_seg": [*ignore_seg], "ignore_truth": [*ignore_truth]}
    along = ev.curve(tree, ws, truth, size_threshold=size, **ignored)
    for threshold in thresholds_of(tree):
        seg = labels[tree.cut(threshold)][leaf]
        # One more than the labels, so that no metric ignores any.
        assert_scores(along, threshold, scores(seg[counted] + 1, truth[counted] + 1, size))


@given(runs(), st.data(), st.sampled_from([*ev.CONVENTIONS, ev.Rules(ignore_truth=(0,), pairs="ordered")]))
@some
def test_curve__gives_what_each_convention_gives_for_each_cut(run, data, convention):
    tree, labels, leaf, truth = run
    void = data.draw(hnp.arrays(np.int64, 3, elements=st.integers(0, 3)))  # of superpixel 0, which is no leaf
    both = np.concatenate([truth, void])
    ignored = data.draw(st.sampled_from([{}, {"ignore_truth": [0, 1]}, {"ignore_seg": [0], "ignore_truth": [2]}]))
    assume(truth.max() > 2 or not ignored)
    assume(truth.any())
    metrics = {
        metric: name
        for metric, name in {"split_vi": "vi", **{m: m for m in METRICS[1:]}}.items()
        if isinstance(convention, ev.Rules) or convention in ev.conventions_of(metric)
    }
    options = {"convention": convention, **ignored}
    along = ev.curve(tree, np.r_[labels[leaf], 0, 0, 0], both, labels=labels, size_threshold=1, **options)
    assert {*METRICS} & {*along.columns} == {*metrics.values()}
    for threshold in thresholds_of(tree):
        seg = np.r_[labels[tree.cut(threshold)][leaf], 0, 0, 0]
        for metric, name in metrics.items():
            sizes = {"size_threshold": 1} if metric == "edit_distance" else {}
            expected = np.sum(getattr(ev, metric)(seg, both, **options, **sizes))
            assert_allclose(along.at(threshold)[name], expected, rtol=1e-12, atol=1e-12, err_msg=name)


def test_curve__has_no_metric_that_the_convention_does_not_define():
    along = ev.curve(WRONG, ROW, OBJECTS, convention="snemi3d")
    assert along.to_table().dtype.names == (
        "threshold",
        "n_segments",
        "adapted_rand_error",
        "precision",
        "recall",
    )
    with pytest.raises(SettingError, match=r"this curve has no vi\. Metrics that the convention does not define"):
        along.best("vi")
    with pytest.raises(AttributeError, match=r"this curve has no vi\. Metrics that the convention"):
        _ = along.vi
    with pytest.raises(SettingError, match=r"convention must be one of gala, skimage.*; got 'vigra'"):
        ev.curve(WRONG, ROW, OBJECTS, convention="vigra")


@given(runs(), st.data())
@few
def test_curve__superpixels_that_are_no_leaf_stay_as_they_are(run, data):
    tree, labels, leaf, truth = run
    outside = data.draw(hnp.arrays(np.int64, 6, elements=st.sampled_from([0, 200])))
    of_outside = data.draw(hnp.arrays(np.int64, 6, elements=st.integers(0, 3)))
    both = np.concatenate([truth, of_outside])
    assume(truth.any())
    along = ev.curve(tree, np.concatenate([labels[leaf], outside]), both, labels=labels, size_threshold=1)
    for threshold in thresholds_of(tree):
        seg = np.concatenate([labels[tree.cut(threshold)][leaf], outside])
        assert_scores(along, threshold, scores(seg, both, 1))


@given(runs())
@few
def test_curve__tables_and_overlaps_give_what_arrays_give(run):
    tree, labels, leaf, truth = run
    assume(truth.any())
    expected = ev.curve(tree, labels[leaf], truth).to_table()
    table = ev.contingency_table(labels[leaf], truth)
    for given_table in (table, table.overlaps, ev.contingency_table(labels[leaf], truth, norm=False).tocsr()):
        assert_array_equal(ev.curve(tree, given_table).to_table(), expected)


@given(runs(min_truth=1))
@few
def test_curve__vi_agrees_with_the_definition_voxel_by_voxel(run):
    tree, labels, leaf, truth = run
    along = ev.curve(tree, labels[leaf], truth, size_threshold=1)
    for threshold in along.threshold:
        seg = labels[tree.cut(threshold)][leaf]
        found = along.at(threshold)
        assert_allclose([found["vi_merges"], found["vi_splits"]], naive.split_vi(seg, truth), atol=1e-12)
        assert (found["edit_merges"], found["edit_splits"]) == naive.edit_distance(seg, truth, 1)


@given(runs(min_truth=1))
@few
def test_curve__more_merges_never_mend_false_merges_nor_add_false_splits(run):
    tree, labels, leaf, truth = run
    along = ev.curve(tree, labels[leaf], truth)
    assert (np.diff(along.threshold) > 0).all()
    assert (np.diff(along.n_segments) < 0).all()
    assert (np.diff(along.vi_merges) >= -1e-12).all()
    assert (np.diff(along.vi_splits) <= 1e-12).all()
    assert (np.diff(along.recall) >= 0).all()


def test_curve__equal_heights_are_one_cut_and_must_links_are_in_the_first():
    tree = MergeTree(5, np.array([[0, 1], [2, 3], [5, 6], [4, 7]]), np.array([-np.inf, 0.5, 0.25, np.inf]))
    along = ev.curve(tree, [1, 2, 3, 4, 5], [1, 1, 1, 1, 2])
    assert along.threshold.tolist() == [-np.inf, 0.5, np.inf]
    assert along.n_segments.tolist() == [4, 2, 1]
    assert along.at(0.4)["threshold"] == -np.inf
    assert along.at(1e300)["vi"] == pytest.approx(0, abs=1e-12)


def test_at__above_the_limit_of_the_tree_is_refused_as_a_cut_is():
    tree = MergeTree(4, WRONG.children[:1], WRONG.priority[:1], limit=0.2)
    along = ev.curve(tree, ROW, OBJECTS)
    assert along.at(0.2) == along.at(np.inf)
    for refused in (along.at, tree.cut):
        with pytest.raises(SettingError, match=r"this tree ends at 0\.2, .* got threshold 0\.3: segment again"):
            refused(0.3)


@pytest.mark.parametrize("priority", [[], [0.5]])
def test_curve__of_few_leaves(priority):
    tree = MergeTree(2, np.array([[0, 1]] * len(priority)).reshape(-1, 2), np.array(priority))
    along = ev.curve(tree, [3, 9], [1, 1])
    assert along.vi.tolist() == [1.0, 0.0][: 1 + len(priority)]


@pytest.mark.compiled
def test_curve__of_a_long_chain_and_of_labels_of_64_bits():
    n = 30_000
    children = np.column_stack([np.r_[0, n + np.arange(n - 2)], np.arange(1, n)])
    tree = MergeTree(n, np.sort(children, axis=1), np.arange(n - 1.0))
    rng = np.random.default_rng(0)
    leaf, truth = np.r_[np.arange(n), rng.integers(0, n, 2 * n)], rng.integers(1, 2000, 3 * n).astype(np.uint64)
    labels = np.arange(n, dtype=np.uint64) + np.uint64(2**63)
    along = ev.curve(tree, labels[leaf], truth, size_threshold=3)
    for threshold in (-1, 10, n // 2, n):
        assert_scores(along, threshold, scores(labels[tree.cut(threshold)][leaf], truth, 3))


@given(runs(min_truth=1), st.sampled_from(METRICS))
@few
def test_best__is_the_finest_of_the_best_cuts(run, metric):
    tree, labels, leaf, truth = run
    along = ev.curve(tree, labels[leaf], truth, size_threshold=1)
    values = [along.at(threshold)[metric] for threshold in along.threshold]
    wanted = min(values) if metric in ("vi", "adapted_rand_error", "edit_distance") else max(values)
    best = along.best(metric)
    assert best == (along.threshold[values.index(wanted)], wanted)


@given(runs())
@few
def test_cut_table__is_that_of_the_segments_voxel_by_voxel(run):
    tree, labels, leaf, truth = run
    for threshold in thresholds_of(tree):
        seg = labels[tree.cut(threshold)][leaf]
        found = ev.cut_table(tree, labels[leaf], truth, threshold=threshold)
        for column, expected in zip(found.overlaps, overlaps_of(seg, truth), strict=True):
            assert_array_equal(column, expected)


# --------------------------------------------------------------------------------------- what errors come from


@given(runs())
@some
def test_breakdown__parts_are_those_of_three_segmentations_and_sum_to_the_total(run):
    tree, labels, leaf, truth = run
    assume(truth.any())
    ws = labels[leaf]
    cuts = {t: ev.split_vi(labels[tree.cut(t)][leaf], truth) for t in thresholds_of(tree)}
    for threshold, expected in cuts.items():
        parts = ev.breakdown(tree, ws, truth, threshold=threshold)
        assert_allclose(parts.at_threshold, expected, atol=1e-12)
        assert_allclose(parts.at_oracle, ev.split_vi(ev.best_possible_segmentation(ws, truth), truth), atol=1e-12)
        assert_allclose(parts.at_best.sum(), min(vi.sum() for vi in cuts.values()), atol=1e-12)
        assert_allclose(parts.at_best, cuts[parts.best_threshold], atol=1e-12)
        assert_allclose(parts.superpixels + parts.policy + parts.threshold, parts.total, atol=1e-12)
        assert_allclose(parts.total, expected.sum(), atol=1e-12)
        assert parts.threshold >= 0


@given(runs())
@some
def test_blame__changes_are_those_of_merging_one_by_one(run):
    tree, labels, leaf, truth = run
    assume(truth.any())
    merges = ev.blame(tree, labels[leaf], truth)
    assert (np.diff(merges["vi"]) <= 0).all()
    assert sorted(merges["merge"]) == list(range(tree.n_merges))
    made = MergeTree(tree.n_leaves, tree.children, np.arange(tree.n_merges, dtype=float))  # each merge is a cut
    segmentations = [labels[made.cut(k - 1)][leaf] for k in range(tree.n_merges + 1)]
    vi = np.array([ev.split_vi(seg, truth) for seg in segmentations])
    in_order = np.sort(merges, order="merge")
    parts = np.column_stack([in_order["vi_merges"], in_order["vi_splits"]])
    assert_allclose(parts, np.diff(vi, axis=0), atol=1e-12)
    assert_allclose(merges["vi"].sum(), vi[-1].sum() - vi[0].sum(), atol=1e-12)
    along = ev.curve(tree, labels[leaf], truth)
    assert_array_equal(in_order["vi_after"], [along.at(height)["vi"] for height in tree.height])


@given(runs())
@few
def test_blame__segments_sizes_and_objects_are_those_before_the_merge(run):
    tree, labels, leaf, truth = run
    assume(truth.any())
    below = [{i} for i in range(tree.n_leaves)]
    for a, b in tree.children:
        below.append(below[a] | below[b])
    for row in ev.blame(tree, labels[leaf], truth):
        parts = sorted((below[n] for n in tree.children[row["merge"]]), key=min)
        for side, part in zip("ab", parts, strict=True):
            inside = np.isin(leaf, [*part])
            objects, counts = np.unique(truth[inside & (truth != 0)], return_counts=True)
            assert row[f"segment_{side}"] == labels[min(part)]
            assert row[f"size_{side}"] == inside.sum()
            assert row[f"object_{side}"] == (objects[counts.argmax()] if len(objects) else 0)
        assert row["height"] == tree.height[row["merge"]]
        assert row["priority"] == tree.priority[row["merge"]]


def test_blame__a_wrong_merge_comes_first_with_its_place():
    image = np.tile(ROW, (3, 1))
    merges = ev.blame(WRONG, image, np.tile(OBJECTS, (3, 1)), spacing=[40, 4])
    worst = merges[0]
    assert (worst["merge"], worst["height"], worst["priority"]) == (1, 0.3, 0.3)
    assert (worst["segment_a"], worst["segment_b"], worst["object_a"], worst["object_b"]) == (1, 3, 7, 8)
    assert (worst["size_a"], worst["size_b"]) == (15, 12)
    assert worst["vi"] > 0 > merges[1:]["vi"].max()
    assert worst["place"].tolist() == [1, 4.5]
    assert worst["position"].tolist() == [40, 18]
    assert ev.blame(WRONG, image, image, threshold=0.15)["merge"].tolist() == [0]


@given(st.data())
@few
def test_blame__places_are_centroids_of_contacts_or_of_the_smaller_segment(data):
    tree = data.draw(forests(min_leaves=1, max_leaves=6))
    shape = data.draw(hnp.array_shapes(min_dims=1, max_dims=3, min_side=1, max_side=4))
    leaf = data.draw(hnp.arrays(np.int64, shape, elements=st.integers(0, tree.n_leaves - 1)))
    labels = 1 + np.arange(tree.n_leaves)
    present = np.isin(np.arange(tree.n_leaves), leaf)
    assume(present.all())
    below = [{i} for i in range(tree.n_leaves)]
    for a, b in tree.children:
        below.append(below[a] | below[b])
    voxels = {tuple(int(i) for i in voxel): int(leaf[tuple(voxel)]) for voxel in np.argwhere(leaf >= 0)}
    for row in ev.blame(tree, labels[leaf], labels[leaf]):
        sides = [below[n] for n in tree.children[row["merge"]]]
        touching = []
        for voxel, own in voxels.items():
            steps = [(*voxel[:i], voxel[i] + d, *voxel[i + 1 :]) for i in range(len(shape)) for d in (-1, 1)]
            others = {voxels[step] for step in steps if step in voxels}
            for here, there in itertools.permutations(sides):
                touching += [voxel] * len(others & there) if own in here else []
        inside = [[voxel for voxel, own in voxels.items() if own in side] for side in sides]
        expected = np.mean(touching or min(inside, key=len), axis=0)
        assert_allclose(row["place"], expected, rtol=1e-12)


# ------------------------------------------------------------------------------------------------- compiling

COUNT_AFTER_WARM_UP = """
import numpy as np
from numba.core.dispatcher import Dispatcher
from gala import evaluate as ev, MergeTree
from gala._kernels import adjacency, climb, overlap, runs, trees

def compiled():
    modules = adjacency, climb, overlap, runs, trees
    kernels = {k for m in modules for k in vars(m).values() if isinstance(k, Dispatcher)}
    return sum(len(kernel.signatures) for kernel in kernels)

ev.warm_up()
before = compiled()
tree = MergeTree(3, np.array([[0, 1], [2, 3]]), np.array([0.25, 0.5]))
for dtype in (np.uint8, np.int32, np.uint32, np.int64, np.uint64):
    ws = np.repeat(np.array([1, 2, 3], dtype), 9).reshape(3, 3, 3)
    found = ev.run_lengths(ev.Skeletons([[0, 0, 0], [1, 1, 1]], [[0, 1]]), ws)
    ev.curve(tree, ws, ws, runs=found), ev.blame(tree, ws, ws, runs=found), ev.compare(ws, ws, tolerance=1)
    ev.cut_table(tree, ws, ws), ev.breakdown(tree, ws, ws, threshold=0.3)
print(before > 5, compiled() - before)
"""


@pytest.mark.compiled
def test_warm_up__leaves_nothing_to_compile():
    done = subprocess.run([sys.executable, "-c", COUNT_AFTER_WARM_UP], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["True", "0"]


# ------------------------------------------------------------------------------------------------- skeletons


@st.composite
def skeletons_in(draw, n_leaves):
    """Return skeletons along one axis of superpixels, maybe in pieces, and run lengths in superpixels 0 to n_leaves."""
    n = draw(st.integers(2, 20))
    owner = np.sort(draw(hnp.arrays(np.int64, n, elements=st.integers(1, 3))))
    at = np.cumsum(draw(hnp.arrays(np.int64, n, elements=st.integers(1, 3))))
    edges = [(i, i + 1) for i in range(n - 1) if owner[i] == owner[i + 1] and draw(st.integers(0, 4))]
    assume(edges)
    superpixel = draw(hnp.arrays(np.int64, n, elements=st.integers(0, n_leaves)))
    is_inside = draw(hnp.arrays(np.bool_, n, elements=st.sampled_from([True, True, True, False])))
    superpixel[~is_inside] = 0
    nodes = ev.NodeLabels(superpixel, superpixel > 0, is_inside)
    options = {
        "merge_by": draw(st.sampled_from(["nodes", "length"])),
        "merge_threshold": draw(st.sampled_from([0, 1, 2.5])),
        "outside": draw(st.sampled_from(["unsegmented", "ignored"])),
    }
    assume(options["outside"] == "unsegmented" or is_inside[np.array(edges)].all(axis=1).any())
    return ev.Skeletons(at[:, np.newaxis], edges, owner), nodes, options


@given(forests(min_leaves=1), st.data())
@settings(deadline=None, max_examples=150)
def test_run_lengths__along_the_tree_are_those_of_each_cut_from_scratch(tree, data):
    skeletons, nodes, options = data.draw(skeletons_in(tree.n_leaves + 1))
    own = 1 + np.arange(tree.n_leaves)  # and label N + 1 is no leaf
    superpixels = np.arange(tree.n_leaves + 2)
    of_superpixels = ev.run_lengths(skeletons, nodes, **options)
    along = ev.curve(tree, superpixels, np.ones_like(superpixels), labels=own, runs=of_superpixels)
    for threshold in thresholds_of(tree):
        lookup = np.r_[0, own[tree.cut(threshold)], tree.n_leaves + 1]
        expected = ev.run_lengths(skeletons, nodes.mapped(lookup), **options)
        found = along.at(threshold)
        assert_allclose(found["erl"], expected.erl, rtol=1e-12, atol=1e-12 * expected.max_erl)
        assert_allclose(found["normalised_erl"], expected.normalised, rtol=1e-12, atol=1e-12)
    best = along.best("erl")
    assert best == (along.threshold[along.erl.argmax()], along.erl.max())


@given(forests(min_leaves=2), st.data())
@few
def test_blame__by_erl_has_the_change_of_each_merge_made_one_by_one(tree, data):
    skeletons, nodes, options = data.draw(skeletons_in(tree.n_leaves))
    labels = 1 + np.arange(tree.n_leaves)
    of_superpixels = ev.run_lengths(skeletons, nodes, **options)
    merges = ev.blame(tree, labels, np.ones_like(labels), by="erl", runs=of_superpixels)
    assert (np.diff(merges["erl"]) >= 0).all()
    made = MergeTree(tree.n_leaves, tree.children, np.arange(tree.n_merges, dtype=float))  # each merge is a cut
    lookups = [np.r_[0, labels[made.cut(k - 1)]] for k in range(tree.n_merges + 1)]
    erl = np.array([ev.run_lengths(skeletons, nodes.mapped(lookup), **options).erl for lookup in lookups])
    in_order = np.sort(merges, order="merge")
    assert_allclose(in_order["erl"], np.diff(erl), atol=1e-12 * of_superpixels.max_erl)
    along = ev.curve(tree, labels, np.ones_like(labels), runs=of_superpixels)
    assert_array_equal(in_order["erl_after"], [along.at(height)["erl"] for height in tree.height])


@pytest.mark.compiled
@pytest.mark.parametrize("by", ["nodes", "length"])
def test_run_lengths__along_a_long_chain_and_labels_of_64_bits(by):
    n, n_each = 20_000, 50
    children = np.column_stack([np.r_[0, n + np.arange(n - 2)], np.arange(1, n)])
    tree = MergeTree(n, np.sort(children, axis=1), np.arange(n - 1.0))
    rng = np.random.default_rng(0)
    owner = np.repeat(np.arange(n // n_each), 2 * n_each)
    at = np.repeat(np.arange(n), 2)  # two nodes of one skeleton in each superpixel
    inner = np.flatnonzero(owner[1:] == owner[:-1])
    skeletons = ev.Skeletons(rng.random((2 * n, 3)), np.column_stack([inner, inner + 1]), owner)
    labels = np.arange(n, dtype=np.uint64) + np.uint64(2**63)
    nodes = ev.NodeLabels.of(labels[at])
    options = {"merge_threshold": 4, "merge_by": by}
    along = ev.curve(tree, labels, np.ones(n, dtype=int), runs=ev.run_lengths(skeletons, nodes, **options))
    for threshold in (-1, 0, 10, 60, n // 2, n):
        cut = ev.NodeLabels.of(labels[tree.cut(threshold)][at])
        expected = ev.run_lengths(skeletons, cut, **options).erl
        assert_allclose(along.at(threshold)["erl"], expected, rtol=1e-9, atol=1e-9)


def test_blame__ranks_by_what_merges_cost_in_run_length():
    # Skeleton 1 runs through superpixels 1 and 2, skeleton 2 through 3 and 4; the second merge joins both.
    neurons = ev.Skeletons([[0], [4], [5], [9]], [[0, 1], [2, 3]], owner=[1, 1, 2, 2])
    found = ev.run_lengths(neurons, ROW)
    merges = ev.blame(WRONG, ROW, OBJECTS, by="erl", runs=found)
    assert merges[["merge", "erl", "erl_after"]].tolist() == [(1, -2.0, 0.0), (2, 0.0, 0.0), (0, 2.0, 2.0)]
    assert ev.curve(WRONG, ROW, OBJECTS, runs=found).best("erl") == (0.1, 2.0)


def test_runs__of_other_superpixels_and_unknown_orders_are_refused():
    neurons = ev.Skeletons([[0], [4]], [[0, 1]])
    with pytest.raises(LabelError, match="runs must be those of skeletons in the superpixels of the tree; 10 is under"):
        ev.curve(WRONG, ROW, OBJECTS, runs=ev.run_lengths(neurons, ROW + 9))
    for options in ({"by": "erl"}, {"by": "rand"}):
        with pytest.raises(SettingError, match="by must be 'vi', or 'erl' with runs=run_lengths"):
            ev.blame(WRONG, ROW, OBJECTS, **options)
    with pytest.raises(SettingError, match=r"no erl\. .*need runs="):
        ev.curve(WRONG, ROW, OBJECTS).best("erl")


@given(runs())
@few
def test_false_merges_and_splits__are_ranked_by_their_part_of_vi_with_all_partners(run):
    tree, labels, leaf, truth = run
    assume(truth.any())
    table = ev.cut_table(tree, labels[leaf], truth, threshold=0.5)
    seg = labels[tree.cut(0.5)][leaf]
    known = truth != 0
    for found, owner, partner, sides in [
        (ev.false_merges(table), "segment", "object", (seg[known], truth[known])),
        (ev.false_splits(table), "object", "segment", (truth[known], seg[known])),
    ]:
        counts = naive.overlaps(*sides)
        several = {a for a, _ in counts if sum(a == other for other, _ in counts) > 1}
        rows = {(row[owner], row[partner]): row["overlap"] for row in found}
        assert rows == {pair: n for pair, n in counts.items() if pair[0] in several}
        assert (np.diff(found["bits"]) <= 0).all()
        assert [k for k, _ in itertools.groupby(found[owner])] == list(dict.fromkeys(found[owner]))
        firsts = {row[owner]: row["bits"] for row in found}
        total = naive.split_vi(*sides, (), ())[0]
        assert_allclose(sum(firsts.values()), total, atol=1e-12)
        for row in found:
            assert row["size"] == (sides[0] == row[owner]).sum()


# ------------------------------------------------------------------------------------------------ wrong input


@pytest.mark.parametrize("evaluate", [ev.curve, ev.blame, ev.cut_table, lambda *x: ev.breakdown(*x, threshold=0.5)])
def test_trees__of_other_superpixels_are_refused(evaluate):
    with pytest.raises(SettingError, match=r"it has 4 leaves; got 3 superpixels.*labels=graph\.labels"):
        evaluate(WRONG, [1, 2, 3], [1, 1, 1])
    with pytest.raises(ShapeError, match="same shape"):
        evaluate(WRONG, ROW, OBJECTS[1:])
    with pytest.raises(SettingError, match="two arrays, or one contingency table"):
        evaluate(WRONG, ROW)


@pytest.mark.parametrize("evaluate", [ev.curve, ev.blame, lambda *x: ev.breakdown(*x, threshold=0.5)])
def test_trees__with_everything_ignored_are_refused(evaluate):
    with pytest.raises(LabelError, match="no voxel is left to count"):
        evaluate(WRONG, ROW, np.zeros_like(OBJECTS))


def test_curve__labels_must_be_those_of_the_leaves():
    with pytest.raises(SettingError, match="it has 4 leaves; got 2 labels"):
        ev.curve(WRONG, ROW, OBJECTS, labels=[1, 2])
    with pytest.raises(LabelError, match="must increase"):
        ev.curve(WRONG, ROW, OBJECTS, labels=[1, 2, 4, 3])


@pytest.mark.parametrize("size", [-1, np.nan])
def test_curve__size_threshold_is_a_number_of_voxels(size):
    with pytest.raises(SettingError, match="size_threshold must be a number of voxels, 0 or more"):
        ev.curve(WRONG, ROW, OBJECTS, size_threshold=size)


def test_curve__shares_instead_of_voxels_are_refused():
    shares = ev.contingency_table(ROW, OBJECTS).tocsr()
    with pytest.raises(LabelError, match="whole numbers of voxels"):
        ev.curve(WRONG, shares, labels=[1, 2, 3, 4])


def test_best__unknown_metrics_are_answered_with_the_known_ones():
    along = ev.curve(WRONG, ROW, OBJECTS)
    with pytest.raises(SettingError, match=r"one of vi, rand_index, .*edit_distance, erl; got 'recall'"):
        along.best("recall")
    with pytest.raises(SettingError, match="threshold must be a number"):
        along.at(np.nan)


def test_blame__spacing_must_fit_the_volume():
    with pytest.raises(SettingError, match="size of a voxel along each of 1 axes"):
        ev.blame(WRONG, ROW, OBJECTS, spacing=[1, 1])
    with pytest.raises(SettingError, match="spacing needs superpixels and truth as arrays"):
        ev.blame(WRONG, ev.contingency_table(ROW, OBJECTS), spacing=[1])
    assert "place" not in ev.blame(WRONG, ev.contingency_table(ROW, OBJECTS)).dtype.names


# ----------------------------------------------------------------------------------------------------- files


@pytest.mark.parametrize(
    "table", [ev.blame(WRONG, ROW, OBJECTS, spacing=[2]), ev.curve(WRONG, ROW, OBJECTS).to_table()]
)
def test_tables__are_whole_in_csv_and_json(table, tmp_path):
    ev.write_csv(tmp_path / "table.csv", table)
    with (tmp_path / "table.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    records = json.loads(ev.to_json(table))
    assert len(rows) == len(records) == len(table)
    for row, record, expected in zip(rows, records, table, strict=True):
        assert [*record] == [*table.dtype.names]
        for name in table.dtype.names:
            values = np.atleast_1d(expected[name]).tolist()
            assert np.atleast_1d(record[name]).astype(float).tolist() == values
            columns = [row[name]] if name in row else [row[f"{name}_{i}"] for i in range(len(values))]
            assert [float(column) for column in columns] == values


def test_write_csv__leaves_an_older_file_after_an_error(tmp_path):
    file = tmp_path / "table.csv"
    file.write_text("older")
    with pytest.raises(SettingError, match="structured array of one dimension"):
        ev.write_csv(file, np.zeros(3))
    with pytest.raises(FileError, match="no folder"):
        ev.write_csv(tmp_path / "nowhere" / "table.csv", ev.curve(WRONG, ROW, OBJECTS).to_table())
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("table.csv", "older")]
    with pytest.raises(SettingError, match="got list"):
        ev.to_json([1])


# ------------------------------------------------------------------------------------------------- real data


@pytest.fixture(scope="module")
def example():
    """The tree of the mean on the example, superpixels, truth, and the reference."""
    volumes = [read("test-ws"), read("test-gt")]
    expected = reference("mean_agglo_test_slow")
    labels = np.unique(volumes[0])
    ids = np.concatenate([labels, expected["new_id"]])
    children = np.sort(np.searchsorted(ids, expected["history"]), axis=1)
    return MergeTree(len(labels), children, expected["scores"]), *volumes, expected


def test_curve__of_the_example_equals_the_reference(example):
    tree, ws, gt, expected = example
    along = ev.curve(tree, ws, gt)
    at_half = along.at(0.5)
    assert_allclose([at_half["vi_merges"], at_half["vi_splits"]], [0.18716806, 1.16830877], atol=1e-8)
    for threshold, vi in zip(expected["thresholds"], expected["split_vi"], strict=True):
        found = along.at(threshold)
        assert_allclose([found["vi_merges"], found["vi_splits"]], vi, rtol=1e-12)
    assert_scores(along, 0.5, scores(expected["seg_at_0_5"], gt, 1000))
    assert along.best("vi").value < at_half["vi"]


def test_breakdown__of_the_example_has_the_known_oracle(example):
    tree, ws, gt, _ = example
    parts = ev.breakdown(tree, ws, gt, threshold=0.5)
    assert_allclose(parts.at_oracle, ev.split_vi(ev.best_possible_segmentation(ws, gt), gt), rtol=1e-12)
    assert min(parts.superpixels, parts.policy, parts.threshold) > 0
    merges = ev.blame(tree, ws, gt)
    assert_allclose(merges["vi"].sum(), ev.curve(tree, ws, gt).vi[-1] - ev.vi(ws, gt), rtol=1e-10)
    assert (merges["object_a"] != merges["object_b"])[0]


def test_page__is_true():
    page = Path(__file__).parents[1] / "docs" / "curves.md"
    flags = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS
    failed, tried = doctest.testfile(str(page), module_relative=False, optionflags=flags)
    assert tried > 5
    assert failed == 0
