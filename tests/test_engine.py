"""The compiled engine, the Python engine and their slow twin make the same merges; what holds for every tree."""

# ruff: noqa: ARG001  # row kernels share a signature

from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.ensemble import (
    ExtraTreesClassifier,
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
)
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import naive_engine
from gala._kernels.jit import row_kernel
from gala.agglo import Rag, boundary_mean, boundary_median, classifier_probability
from gala.classify.flat import lay_flat, predict
from gala.engine import running
from gala.engine.agglomerate import agglomerate
from gala.engine.policy import RowPolicy
from gala.errors import FeatureError, PolicyError, SettingError
from gala.features import graph as degrees, histogram, inclusion, moments
from gala.features.base import Composite
from gala.graph.build import build_graph
from naive_engine import each, volumes

some = settings(deadline=None, max_examples=30)
few = settings(deadline=None, max_examples=15)
rescores = st.sampled_from(["shared", "all"])
thresholds = st.sampled_from([0.0, 0.25, 0.5, 0.75, 1.0, np.inf])


def called(policy):
    """Return a policy of the same priorities that the compiled engine does not know."""
    return lambda g, edges: policy(g, edges)


def run(volume, policy, threshold=np.inf, *, rescore="shared", **options):
    """Return a graph after agglomeration."""
    labels, image, connectivity = volume
    g = Rag(labels, image, policy, connectivity=connectivity, update_unchanged_edges=rescore == "all", **options)
    g.agglomerate(threshold)
    return g


def slow_run(volume, priorities, threshold=np.inf, *, rescore="shared", **options):
    """Return the slow twin after agglomeration."""
    labels, image, connectivity = volume
    twin = naive_engine.Graph(labels, image, connectivity, **options)
    return twin.agglomerate(priorities, threshold, rescore=rescore)


def assert_same(g, other):
    """Check that two graphs, of which the second may be a slow twin, made the same merges."""
    if isinstance(other, Rag):
        assert_array_equal(g.tree.children, other.tree.children)
        assert_array_equal(g.tree.priority, other.tree.priority)
    else:
        assert [tuple(pair) for pair in g.names[g.tree.children].tolist()] == other.history
        assert g.tree.priority.tolist() == other.scores
        assert_array_equal(g.get_segmentation(), other.segmentation())


# ------------------------------------------------------------------------------ one law, three engines


@given(volumes(), rescores, thresholds)
@some
def test_mean__compiled_called_and_slow_engine_agree(volume, rescore, threshold):
    twin = slow_run(volume, each(naive_engine.mean), threshold, rescore=rescore)
    for policy in (boundary_mean, called(boundary_mean), naive_engine.mean):
        assert_same(run(volume, policy, threshold, rescore=rescore), twin)


@given(volumes(), rescores, thresholds)
@some
def test_median__called_and_slow_engine_agree(volume, rescore, threshold):
    twin = slow_run(volume, each(naive_engine.median), threshold, rescore=rescore)
    assert_same(run(volume, boundary_median, threshold, rescore=rescore), twin)


def size_of_both(g, u, v):
    """Return minus the voxels of both regions: every merge lowers priorities."""
    return -g.nodes[u]["size"] - g.nodes[v]["size"]


@row_kernel
def _size_of_both(params, u, v, edge, out):
    out[0] = -u[0] - v[0]


largest_first = RowPolicy("largest_first", _size_of_both, boundary_mean.needs, ())


@given(volumes(), rescores)
@some
def test_priorities_that_fall__compiled_called_and_slow_engine_agree(volume, rescore):
    twin = slow_run(volume, each(size_of_both), rescore=rescore)
    for policy in (largest_first, size_of_both):
        assert_same(run(volume, policy, rescore=rescore), twin)


def test_priorities_that_fall__are_pushed_more_often_than_the_heap_has_room():
    hub = np.zeros(60, dtype=int)
    labels = np.stack([hub, np.where(np.arange(60) % 2, np.arange(60), 0)])
    volume = labels, np.zeros((*labels.shape, 1)), 1
    n_edges = 30
    g = run(volume, largest_first, rescore="all")
    assert n_edges * (n_edges - 1) / 2 > len(g.state.heap_priority)  # each merge lowers all that are left
    assert_same(g, slow_run(volume, each(size_of_both), rescore="all"))


def test_equal_priorities__lowest_original_edge_merges_first():
    labels = np.array([3, 3, 1, 1, 0, 0, 2, 2])  # edges (0, 1), (0, 2), (1, 3)
    g = Rag(labels, np.zeros(8))
    history, _, _ = g.agglomerate(1.0, save_history=True)
    assert history == [(0, 1), (2, 5), (3, 6)]


managers = st.sampled_from(
    [
        moments.Manager(),
        Composite([moments.Manager(2), histogram.Manager(3)]),
        Composite([histogram.Manager(4, 0, 1, [0.1, 0.5]), moments.Manager(3, use_diff_features=False)]),
        Composite([inclusion.Manager(), moments.Manager(1), degrees.Manager()]),
    ]
)


def fitted(classifier, manager, volume, seed):
    """Return the classifier, fitted on some feature vectors of a volume and random labels."""
    labels, image, connectivity = volume
    g = Rag(labels, image, feature_manager=manager, connectivity=connectivity)
    X = g.features(manager, g.real_edges())
    rng = np.random.default_rng(seed)
    chosen = X[rng.integers(len(X), size=40)] + rng.integers(-2, 3, size=(40, X.shape[1])) / 8
    return classifier.fit(chosen, np.where(np.arange(40) % 2, 1, -1))


def with_edges(volume):
    return len(np.unique(volume[0])) > 1


@given(volumes(n_channels=2, max_labels=9).filter(with_edges), managers, rescores, st.integers(0, 99))
@few
def test_forest__compiled_called_and_slow_engine_agree(volume, manager, rescore, seed):
    forest = fitted(RandomForestClassifier(5, bootstrap=False, random_state=seed), manager, volume, seed)

    def wrong(g, edges):
        X = [manager(g, u, v) for u, v in edges.tolist()]
        return forest.predict_proba(X)[:, 1] if X else []

    twin = slow_run(volume, wrong, 0.9, rescore=rescore, features=manager)
    for policy in (classifier_probability(manager, forest), wrong):
        assert_same(run(volume, policy, 0.9, rescore=rescore, feature_manager=manager), twin)


kinds = {
    "extra trees": lambda: ExtraTreesClassifier(5, random_state=0),
    "boosting": lambda: GradientBoostingClassifier(n_estimators=4, random_state=0),
    "histogram boosting": lambda: HistGradientBoostingClassifier(max_iter=4, min_samples_leaf=3, random_state=0),
    "logistic regression": lambda: make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000)),
    "naive Bayes": lambda: GaussianNB(var_smoothing=0.1),
}


@pytest.mark.parametrize("kind", kinds)
@given(volume=volumes(max_labels=9).filter(with_edges), manager=managers, rescore=rescores, seed=st.integers(0, 99))
@settings(deadline=None, max_examples=8)
def test_classifiers__compiled_and_called_engine_agree(kind, volume, manager, rescore, seed):
    classifier = fitted(kinds[kind](), manager, volume, seed)
    flat = lay_flat(classifier)

    def wrong(g, edges):
        X = g.features(manager, edges)
        priorities = predict(flat, X, n_threads=1)
        if len(X):
            assert_allclose(priorities, classifier.predict_proba(X)[:, 1], rtol=0, atol=1e-12)
        return priorities

    compiled = run(volume, classifier_probability(manager, classifier), 0.8, rescore=rescore, feature_manager=manager)
    assert_same(compiled, run(volume, wrong, 0.8, rescore=rescore, feature_manager=manager))


@given(volumes(max_labels=9).filter(with_edges), managers, rescores, st.integers(0, 99))
@few
def test_other_classifiers__are_called_with_batches(volume, manager, rescore, seed):
    neighbors = fitted(KNeighborsClassifier(3), manager, volume, seed)
    policy = classifier_probability(manager, neighbors)
    assert policy.compiled(run(volume, boundary_mean, 0, feature_manager=manager).graph) is None

    def wrong(g, edges):
        X = [manager(g, u, v) for u, v in edges.tolist()]
        return neighbors.predict_proba(X)[:, 1] if X else []

    twin = slow_run(volume, wrong, 0.9, rescore=rescore, features=manager)
    assert_same(run(volume, policy, 0.9, rescore=rescore, feature_manager=manager), twin)


@given(volumes(max_labels=9).filter(with_edges), st.integers(1, 4), rescores)
@few
def test_scores__do_not_depend_on_threads(volume, n_threads, rescore):
    one = run(volume, boundary_mean, rescore=rescore, n_threads=1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(running, "_SCORE_BLOCK", 2)
        assert_same(run(volume, boundary_mean, rescore=rescore, n_threads=n_threads), one)


# -------------------------------------------------------------------------------------------- in steps


@given(volumes(), rescores, thresholds, thresholds, st.sampled_from([boundary_mean, naive_engine.mean, largest_first]))
@some
def test_agglomerate__in_steps_is_agglomerate_at_once(volume, rescore, first, second, policy):
    steps = run(volume, policy, first, rescore=rescore)
    steps.agglomerate(second)
    assert_same(steps, run(volume, policy, max(first, second), rescore=rescore))


@given(volumes(), rescores, st.lists(st.integers(0, 5), max_size=4))
@some
def test_agglomerate_count__makes_so_many_merges(volume, rescore, counts):
    g = run(volume, boundary_mean, -np.inf, rescore=rescore)
    for count in counts:
        before = g.n_merges
        g.agglomerate_count(count)
        assert g.n_merges == min(before + count, g.graph.n_regions - 1) or not g.real_edges()
    g.agglomerate(np.inf)
    assert_same(g, run(volume, boundary_mean, rescore=rescore))


@given(volumes(), rescores, thresholds, st.booleans())
@some
def test_copy__goes_on_by_itself(volume, rescore, threshold, is_compiled):
    g = run(volume, boundary_mean if is_compiled else called(boundary_mean), threshold, rescore=rescore)
    merges = g.tree
    other = g.copy()
    other.agglomerate(np.inf)
    assert_array_equal(g.tree.children, merges.children)
    assert_array_equal(g.tree.priority, merges.priority)
    g.agglomerate(np.inf)
    assert_same(g, other)
    assert_same(g, run(volume, boundary_mean, rescore=rescore))


@given(volumes(), rescores, thresholds)
@some
def test_engine__is_what_the_historic_interface_runs(volume, rescore, threshold):
    labels, image, connectivity = volume
    graph = build_graph(labels, image, boundary_mean.needs, connectivity=connectivity)
    before = [array.copy() for array in (graph.edges, graph.region_cache, graph.contact_cache)]
    for policy in (boundary_mean, called(boundary_mean)):
        tree = agglomerate(graph, policy, threshold, rescore=rescore)
        expected = run(volume, boundary_mean, threshold, rescore=rescore).tree
        assert_array_equal(tree.children, expected.children)
        assert_array_equal(tree.priority, expected.priority)
        segments = graph.labels[tree.cut()]
        assert_array_equal(np.unique(segments[np.searchsorted(graph.labels, labels)]), np.unique(segments))
    for array, old in zip((graph.edges, graph.region_cache, graph.contact_cache), before, strict=True):
        assert_array_equal(array, old)


# ----------------------------------------------------------------------------- trees and segmentations


@given(volumes(), rescores, st.lists(st.floats(0, 1), min_size=2, max_size=4))
@some
def test_segmentations__are_nested_and_named_by_their_smallest_label(volume, rescore, cuts):
    g = run(volume, boundary_mean, rescore=rescore)
    finer = volume[0]
    for threshold in sorted(cuts):
        seg = g.get_segmentation(threshold)
        for label in np.unique(seg):
            assert volume[0][seg == label].min() == label
        assert all(len(np.unique(seg[finer == label])) == 1 for label in np.unique(finer))
        finer = seg
    assert_array_equal(g.get_segmentation(-1.0), volume[0])


@given(volumes(), thresholds, thresholds)
@some
def test_segmentation__at_a_threshold_is_that_of_a_run_up_to_it(volume, threshold, made_before):
    full = run(volume, boundary_mean)
    g = run(volume, boundary_mean, made_before)
    assert_array_equal(g.get_segmentation(threshold), full.get_segmentation(threshold))
    stopped = run(volume, boundary_mean, threshold)  # merges of just this priority are not made
    assert_array_equal(stopped.get_segmentation(), full.get_segmentation(np.nextafter(threshold, -np.inf)))


@given(volumes(), rescores, st.sampled_from([boundary_mean, boundary_median, size_of_both]))
@some
def test_heights__never_fall(volume, rescore, policy):
    tree = run(volume, policy, rescore=rescore).tree
    height = dict(enumerate(tree.height.tolist(), tree.n_leaves))
    for node, children in enumerate(tree.children.tolist(), tree.n_leaves):
        below = [height.get(child, -np.inf) for child in children]
        assert height[node] == max(*below, tree.priority[node - tree.n_leaves])


@given(volumes(), st.randoms(use_true_random=False), st.integers(0, 2**32 - 1), rescores)
@some
def test_names_of_regions__change_nothing_without_ties(volume, random, seed, rescore):
    labels, image, connectivity = volume
    image = np.random.default_rng(seed).random(image.shape)  # no two contacts have one mean
    old = np.unique(labels).tolist()
    new = random.sample(range(100), len(old))
    renamed = np.array(new)[np.searchsorted(old, labels)]
    g, other = (run((names, image, connectivity), boundary_mean, rescore=rescore) for names in (labels, renamed))
    assert_allclose(other.tree.priority, g.tree.priority, rtol=1e-12)
    for threshold in (0.2, 0.5, 0.8):
        seg, again = g.get_segmentation(threshold), other.get_segmentation(threshold)
        groups = set(zip(seg.ravel().tolist(), again.ravel().tolist(), strict=True))
        assert len(groups) == len(np.unique(seg)) == len(np.unique(again))


# ----------------------------------------------------------------------------------------- constraints


@st.composite
def constraints(draw, labels, connectivity):
    """Return exclusions, frozen regions and frozen contacts."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    exclusions = np.where(rng.random(labels.shape) < 0.1, rng.integers(1, 4, labels.shape), 0)
    nodes = draw(st.sets(st.sampled_from(np.unique(labels).tolist()), max_size=2))
    pairs = list(naive_engine.naive.contacts(labels, connectivity))
    edges = draw(st.sets(st.sampled_from(pairs), max_size=5)) if pairs else set()
    return exclusions, tuple(nodes), tuple(edges)


@given(volumes(), st.data(), rescores, thresholds)
@some
def test_constraints__are_obeyed_by_all_engines(volume, data, rescore, threshold):
    exclusions, nodes, edges = data.draw(constraints(volume[0], volume[2]))
    twin = slow_run(
        volume,
        each(naive_engine.mean),
        rescore=rescore,
        exclusions=exclusions,
        frozen_nodes=nodes,
        frozen_edges=edges,
    )
    for policy in (boundary_mean, called(boundary_mean)):
        g = run(
            volume,
            policy,
            threshold,
            rescore=rescore,
            exclusions=exclusions,
            isfrozennode=lambda g, u: u in nodes and g.nodes[u]["size"] > 0,
            isfrozenedge=lambda g, u, v: (u, v) in edges and len(g.boundary(u, v)) > 0,
        )
        other = g.copy()
        other.agglomerate(np.inf)
        g.agglomerate(np.inf)
        for graph in (g, other):
            assert_same(graph, twin)
    seg = g.get_segmentation()
    for label in np.unique(seg):
        marks = {n: set(exclusions[volume[0] == n].tolist()) - {0} for n in np.unique(volume[0][seg == label])}
        assert sum(map(len, marks.values())) == len(set().union(*marks.values()))
    assert all(np.count_nonzero(seg == n) == np.count_nonzero(volume[0] == n) for n in nodes)


@given(volumes(), st.data())
@few
def test_constraints__hold_for_what_was_merged_by_hand(volume, data):
    exclusions, nodes, edges = data.draw(constraints(volume[0], volume[2]))
    frozen = {"isfrozennode": lambda _, u: u in nodes, "isfrozenedge": lambda _, u, v: (u, v) in edges}
    g = run(volume, boundary_mean, -1.0, exclusions=exclusions, **frozen)
    twin = slow_run(
        volume, each(naive_engine.mean), -1.0, exclusions=exclusions, frozen_nodes=nodes, frozen_edges=edges
    )
    for pair in data.draw(st.permutations(g.real_edges()))[:2]:
        if set(pair) <= set(g.nodes):
            twin.merge(*pair)
            twin.scores.append(0.0)
            assert g.merge_nodes(*pair, constraints="ignore") == twin.next - 1
    g.rebuild_merge_queue()
    g.agglomerate(np.inf)
    assert_same(g, twin.agglomerate(each(naive_engine.mean)))


# ------------------------------------------------------------------------------------- what goes wrong


@row_kernel
def _nan_when_large(params, u, v, edge, out):
    out[0] = np.nan if u[0] + v[0] > 5 else edge[int(params[0])]


def nan_when_large(g, u, v):
    return np.nan if g.nodes[u]["size"] + g.nodes[v]["size"] > 5 else float(len(g.boundary(u, v)))


ring = np.array([[1, 2, 3], [8, 8, 4], [7, 6, 5]])  # after some merges, contacts are shared and sizes above 5


@pytest.mark.parametrize(
    "policy",
    [RowPolicy("odd", _nan_when_large, boundary_mean.needs, ("p0",)), nan_when_large],
    ids=["compiled", "called"],
)
def test_policy__that_turns_to_nan_is_named_with_the_regions_and_merges_stay(policy):
    g = Rag(ring, np.zeros((3, 3)), policy, update_unchanged_edges=True)
    with pytest.raises(PolicyError, match=r"gave NaN for regions (\d+) and (\d+)") as error:
        g.agglomerate(np.inf)
    pair = tuple(map(int, re.search(r"(\d+) and (\d+)", str(error.value)).groups()))
    assert g.n_merges > 0
    assert pair in g.edges
    assert sum(g.nodes[n]["size"] for n in pair) > 5
    n_merges = g.n_merges
    with pytest.raises(PolicyError):
        g.agglomerate(np.inf)
    assert g.n_merges == n_merges  # a second attempt does not go on with old priorities
    g.merge_priority_function = boundary_mean
    g.agglomerate(np.inf)
    assert g.n_merges == 7


@pytest.mark.parametrize("threshold", [np.nan, "a lot", None])
def test_threshold__that_is_no_number(threshold):
    graph = build_graph(ring, np.zeros((3, 3)), boundary_mean.needs)
    with pytest.raises(SettingError, match="threshold must be a number"):
        agglomerate(graph, boundary_mean, threshold)
    with pytest.raises(SettingError, match="threshold must be a number"):
        Rag(ring, np.zeros((3, 3)), called(boundary_mean)).agglomerate(threshold)


def test_rescore__is_a_word():
    with pytest.raises(SettingError, match='"shared" or "all"'):
        agglomerate(build_graph(ring, np.zeros((3, 3)), boundary_mean.needs), boundary_mean, rescore="none")


def test_running_graph__goes_by_positions_and_has_no_border():
    graph = build_graph(np.array([[10, 10], [20, 30]]), np.zeros((2, 2)), boundary_mean.needs)
    g = running.RunningGraph(graph, boundary_mean, features=histogram.Manager())
    assert (g.nodes(), g.edges(), g.neighbors(0), g.degree(1)) == ([0, 1, 2], [(0, 1), (0, 2), (1, 2)], [1, 2], 2)
    assert (g.nodes[0]["size"], g.edges[0, 2]["size"], g.edges[1, 2]["weight"]) == (2, 2, 0.0)
    with pytest.raises(FeatureError, match="does not keep what histogram needs"):
        g.nodes[0]["feature-cache"]


def test_policy_of_voxels__without_the_volume():
    graph = build_graph(ring, np.zeros((3, 3)), boundary_mean.needs)
    with pytest.raises(FeatureError, match="keeps the volume"):
        agglomerate(graph, boundary_median)


def test_graph__without_contacts_or_of_one_region_has_nothing_to_merge():
    alone = np.array([[1, 0, 2]])
    for labels, mask in [(np.ones((2, 2), int), None), (alone, alone != 0), (alone, alone > 5)]:
        g = Rag(labels, np.zeros(labels.shape), mask=mask)
        g.agglomerate(np.inf)
        assert g.n_merges == 0
        assert g.real_edges() == []
        assert_array_equal(g.get_segmentation(0.5), labels if mask is None else np.where(mask, labels, 0))
