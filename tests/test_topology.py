"""Features of how regions lie among their neighbours: as defined, after any merges, by any engine."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.ensemble import RandomForestClassifier

import naive
import naive_engine
import strategies
from gala.agglo import Rag, boundary_mean, classifier_probability
from gala.engine import running
from gala.engine.agglomerate import agglomerate
from gala.errors import LabelError
from gala.evaluate import split_vi
from gala.features import graph, inclusion, moments
from gala.features.base import Composite, Null
from gala.features.default import paper_em, snemi3d
from gala.features.program import is_declared
from gala.graph.build import build_graph
from naive_engine import volumes
from real import read, reference

some = settings(deadline=None, max_examples=40)
few = settings(deadline=None, max_examples=15)
both = Composite([graph.Manager(), inclusion.Manager()])
with_moments = Composite([inclusion.Manager(), moments.Manager(1), graph.Manager()])


class Size(Null):
    """A manager that only the Python engine can run: the sizes of regions, cached."""

    def create_node_cache(self, g, n):
        return [g.nodes[n]["size"]]

    def update_node_cache(self, g, n1, n2, dst, src):  # noqa: ARG002  # the protocol
        dst[0] += src[0]

    def compute_node_features(self, g, n, cache=None):  # noqa: ARG002  # the protocol
        return np.array(cache, dtype=float)


# ------------------------------------------------------------------------------------- the definition


@pytest.mark.parametrize("kind", strategies.topological_kinds(), ids=lambda kind: kind.name)
@given(volumes(), st.randoms(use_true_random=False), st.booleans())
@some
def test_features__after_any_merges_are_those_of_the_slow_twin(kind, volume, random, is_masked):
    labels, image, connectivity = volume
    mask = image[..., 0] < 1 if is_masked else None
    manager = kind()
    assert is_declared(manager)
    g = Rag(labels, image, feature_manager=manager, connectivity=connectivity, mask=mask)
    twin = naive_engine.Graph(labels, image, connectivity, mask)
    assert_describes(g, twin, manager)
    for _ in range(min(random.randrange(5), len(twin.regions) - 1)):
        pair = random.sample(sorted(twin.regions), 2)  # they need not touch
        g.merge_nodes(*pair)
        twin.merge(*pair)
        if random.random() < 0.7:  # else two merges at once
            assert_describes(g, twin, manager)
    assert_describes(g.copy(), twin, manager)


def assert_describes(g, twin, manager):
    """Check topology and features of all regions and pairs, and that the historic protocol gives them too."""
    touch, pairs = twin.touching, list(twin.contacts)
    X = g.features(manager, pairs)
    for n in twin.regions:
        assert_array_equal(g.region_topology(n), naive.region_topology(touch, n))
        assert np.isfinite(manager(g, n)).all()
    for pair, x in zip(pairs, X, strict=True):
        small, large = sorted(pair, key=lambda n: len(twin.regions[n].voxels))
        assert_array_equal(g.contact_topology(*pair), naive.contact_topology(touch, *pair))
        parts = naive.TOPOLOGICAL[manager.name](touch, small, large)
        assert_allclose(x, np.concatenate(parts), rtol=1e-13, atol=1e-15)
        assert_array_equal(manager(g, *pair), x)
        assert_array_equal(manager.compute_edge_features(g, *pair), manager.compute_edge_features(g, *pair[::-1]))


def test_graph__of_a_region_in_a_ring():
    labels = np.full((7, 7), 1)
    labels[2:5, 2:5] = 2
    labels[3, 3] = 3
    g = Rag(labels)
    assert graph.Manager()(g, 1, 2).tolist() == [2, 1.5, 2, 1.5, 0, 0, 0]  # 1 touches the border, which has degree 1
    assert graph.Manager()(g, 2, 3).tolist() == [1, 2, 2, 1.5, 0, -1, 0.5]
    assert inclusion.Manager()(g, 3).tolist() == [1, 0]
    assert inclusion.Manager()(g, 2).tolist() == [20 / 25, 5 / 20]
    assert inclusion.Manager()(g, 1).tolist() == [24 / 44, 20 / 24]  # 24 voxels are at the border


def test_features__of_a_region_alone_are_finite():
    g = Rag(np.ones((3, 3), dtype=int), mask=np.pad([[True]], 1), feature_manager=both)
    assert both(g, 1).tolist() == [0, 0, 0, 0]
    g = Rag(np.ones((3, 3), dtype=int), feature_manager=both)
    assert both(g, 1).tolist() == [1, 1, 1, 0]


def test_description__gives_the_same_managers_back():
    description = json.loads(json.dumps(Composite([paper_em(), inclusion.Manager()]).write_fm()))
    assert description["feature_list"] == ["moments", "histogram", "graph", "inclusion"]
    assert Composite.load_dict(description).write_fm() == description


def test_topology__of_a_region_that_is_not_there():
    with pytest.raises(LabelError, match="there is no region 7"):
        Rag(np.array([1, 2])).region_topology(7)


# ---------------------------------------------------------------------------------------- the engines


def volume_of(seed, shape=(4, 9, 12), n_labels=60):
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, n_labels, shape)
    return np.sort(labels, axis=-1), rng.random((*shape, 1))


def forest_on(manager, labels, image, seed=0):
    g = Rag(labels, image, feature_manager=manager)
    X = g.features(manager, g.real_edges())
    y = np.random.default_rng(seed).choice([-1, 1], len(X))
    return RandomForestClassifier(9, random_state=seed).fit(X, y)


@pytest.mark.parametrize("rescore", ["shared", "all"])
def test_forest__on_topology_gives_one_tree_through_both_doors_by_all_engines(rescore):
    labels, image = volume_of(0)
    forest = forest_on(with_moments, labels, image)
    policy = classifier_probability(with_moments, forest)
    tree = agglomerate(build_graph(labels, image, with_moments), policy, 0.9, rescore=rescore)
    assert len(tree.children) > 20

    def called(g, edges):
        return policy(g, edges)

    handmade = Composite([inclusion.Manager(), Composite([moments.Manager(1), graph.Manager()]), Size()])
    sizes = [6, 13]  # what it has more than the other: the last of each region

    def by_hand(g, u, v):
        return forest.predict_proba(np.delete(handmade(g, u, v), sizes)[np.newaxis])[0, 1]

    for rule, manager in ((policy, with_moments), (called, with_moments), (by_hand, handmade)):
        g = Rag(labels, image, rule, feature_manager=manager, update_unchanged_edges=rescore == "all")
        g.agglomerate(0.9)
        assert_array_equal(g.tree.children, tree.children)
        assert_array_equal(g.tree.priority, tree.priority)


def test_threads__do_not_change_a_single_bit(monkeypatch):
    labels, image = volume_of(1)
    policy = classifier_probability(with_moments, forest_on(with_moments, labels, image))
    monkeypatch.setattr(running, "_SCORE_BLOCK", 3)
    region_graph = build_graph(labels, image, with_moments)
    one, several = (agglomerate(region_graph, policy, n_threads=n) for n in (1, 4))
    assert_array_equal(one.children, several.children)
    assert_array_equal(one.priority, several.priority)


def test_topology__needs_nothing_of_the_graph():
    labels, image = volume_of(2)
    g, other = Rag(labels, image, boundary_mean), Rag(labels, image, boundary_mean, feature_manager=both)
    for _ in range(3):
        assert_array_equal(g.features(both, g.real_edges()), other.features(both, g.real_edges()))
        g.agglomerate_count(5)
        other.agglomerate_count(5)
    assert_array_equal(g.tree.children, other.tree.children)


def test_policy__that_reads_no_topology_keeps_none():
    labels, image = volume_of(3)
    g = Rag(labels, image, boundary_mean, feature_manager=paper_em())
    g.agglomerate(np.inf)
    assert g.state.contact_rows.shape[1] == len(g.graph.contact_spec)


# ----------------------------------------------------------------------------------------- learning


@pytest.mark.parametrize("mode", ["strict", "loose"])
def test_learning__compiled_and_called_give_the_same_examples(mode):
    labels, image = volume_of(4, n_labels=25)
    truth = labels // 6 + 1
    options = {"learning_mode": mode, "classifier": RandomForestClassifier(5), "random_state": 3, "min_num_epochs": 3}

    def called(feature_map, classifier):
        compiled = classifier_probability(feature_map, classifier)
        return lambda g, edges: compiled(g, edges)

    def learn(**more):
        g = Rag(labels, image, feature_manager=with_moments)
        return g.learn_agglomerate(truth, with_moments, **options, **more)[1]

    epochs = learn()
    assert len(epochs) == 3
    for data, same in zip(epochs, learn(active_function=called), strict=True):
        for array, other in zip(data, same, strict=True):
            assert_array_equal(array, other)


# -------------------------------------------------------------------------------------- published values


@pytest.mark.compiled
@pytest.mark.parametrize("split", ["train", "test"])
@pytest.mark.parametrize(("manager", "image"), [(paper_em(), "p1"), (paper_em(), "p4"), (inclusion.Manager(), "p1")])
def test_features__are_the_published_matrix(split, manager, image):
    expected = reference(f"features_{split}_{image}_{'inclusion' if manager.name == 'inclusion' else 'paper_em'}_slow")
    g = Rag(read(f"{split}-ws"), read(f"{split}-{image}"), feature_manager=manager)
    assert_array_equal(g.real_edges(), expected["edges"])
    assert_allclose(g.features(manager, expected["edges"]), expected["X"], rtol=0, atol=1e-9)


@pytest.mark.compiled
@pytest.mark.parametrize(("image", "others"), [("p1", slice(104, 132)), ("p4", slice(392, 492))])
def test_snemi3d__is_the_published_matrix__but_for_the_columns_of_contact(image, others):
    expected = reference(f"features_test_{image}_snemi3d_slow")
    features = snemi3d()
    X = Rag(read("test-ws"), read(f"test-{image}"), feature_manager=features).features(features, expected["edges"])
    assert X.shape == expected["X"].shape
    assert_allclose(np.delete(X, others, axis=1), np.delete(expected["X"], others, axis=1), rtol=0, atol=1e-9)


@pytest.mark.slow
@pytest.mark.compiled
def test_paper_em__learns_the_example():
    features = paper_em()
    g = Rag(read("train-ws"), read("train-p1"), feature_manager=features)
    X, y, _, _ = g.learn_agglomerate(read("train-gt"), features, random_state=0)[0]
    assert X.shape[1] == 112
    forest = RandomForestClassifier(100, criterion="entropy", max_depth=20, random_state=0).fit(X, y[:, 0])
    g = Rag(read("test-ws"), read("test-p1"), classifier_probability(features, forest), feature_manager=features)
    before = g.split_vi(read("test-gt")).sum()
    g.agglomerate(0.5)
    after = split_vi(g.get_segmentation(), read("test-gt")).sum()
    assert after < 0.6 * before
