"""What is kept for scripts of the historic library only: names of graphs, curves over thresholds, descriptions."""

from __future__ import annotations

import json

import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from hypothesis.extra import numpy as hnp
from numpy.testing import assert_allclose, assert_array_equal
from scipy import ndimage

import naive_evaluate as naive
from gala import agglo, classify, evaluate as ev, features, imio
from gala.errors import FeatureError, ImageError, LabelError, SettingError, ShapeError
from gala.features.base import Composite, Null, known_managers
from gala.features.io import create_fm

few = settings(deadline=None, max_examples=20)


def volumes(n, *, min_label=0):
    """Return `n` label volumes of one shape."""
    labels = st.integers(min_label, 4)
    shapes = hnp.array_shapes(min_dims=1, max_dims=3, min_side=1, max_side=5)
    return shapes.flatmap(lambda shape: st.tuples(*[hnp.arrays(np.int64, shape, elements=labels)] * n))


# ------------------------------------------------------------------------------ one label of a table


@given(pair=volumes(2), axis=st.sampled_from([0, 1]), data=st.data())
@few
def test_split_components__agree_with_counting(pair, axis, data):
    idx = data.draw(st.sampled_from(np.unique(pair[axis]).tolist()))
    mine, other = pair[axis].ravel() == idx, pair[1 - axis].ravel()
    found = ev.split_components(idx, ev.contingency_table(*pair), num_elems=None, axis=axis)
    expected = {
        label: (np.mean(other[mine] == label), np.mean(mine[other == label]))
        for label in np.unique(other[mine]).tolist()
    }
    assert [label for label, *_ in found] == sorted(expected, key=lambda label: (-expected[label][0], label))
    for label, share, share_of_other in found:
        assert_allclose((share, share_of_other), expected[label], rtol=1e-12)
    assert ev.split_components(idx, ev.contingency_table(*pair), 1, axis) == found[:1]


def test_split_components__wrong_input_is_an_error():
    table = ev.contingency_table([1, 2], [3, 3])
    with pytest.raises(LabelError, match="no voxel of the truth has label 4"):
        ev.split_components(4, table, axis=1)
    with pytest.raises(SettingError, match="axis must be 0"):
        ev.split_components(1, table, axis=2)
    with pytest.raises(SettingError, match="one contingency table"):
        ev.split_components(1, [1, 2])


# ------------------------------------------------------------------------------- many segmentations


@given(segmentations=volumes(3, min_label=1))
@few
def test_vi_pairwise_matrix__holds_the_distance_of_each_pair(segmentations):
    matrix, split = ev.vi_pairwise_matrix(segmentations), ev.vi_pairwise_matrix(segmentations, split=True)
    assert_array_equal(np.diag(matrix), 0)
    assert_allclose(matrix, split + split.T)
    for i in range(3):
        for j in range(i + 1, 3):
            assert_allclose((split[i, j], split[j, i]), naive.split_vi(segmentations[i], segmentations[j]), atol=1e-12)


@given(truth=volumes(1), data=st.data())
@few
def test_by_threshold__agree_with_cutting_the_map(truth, data):
    values = st.sampled_from([0.0, 0.25, 0.5, np.inf])
    ucm = data.draw(hnp.arrays(np.float64, truth[0].shape, elements=values))
    vi, rand = ev.vi_by_threshold(ucm, truth[0]), ev.rand_by_threshold(ucm, truth[0])
    assert_array_equal(vi[0], np.unique(ucm)[1:])
    assert_array_equal(rand[0], vi[0])
    for k, threshold in enumerate(vi[0]):
        cut = ndimage.label(ucm < threshold)[0]
        assert_allclose(vi[1:, k], naive.split_vi(cut, truth[0], (), ()), atol=1e-12)
        assert_allclose(rand[1:, k], (ev.rand_index(cut, truth[0]), ev.adj_rand_index(cut, truth[0])))


@given(n=st.integers(0, 12))
@few
def test_by_threshold__few_points_are_among_all_and_hold_both_ends(n):
    ucm, truth = np.arange(9.0), np.arange(9) // 3
    every, some = ev.vi_by_threshold(ucm, truth), ev.vi_by_threshold(ucm, truth, npoints=n)
    assert some.shape == (3, min(n, 8))
    assert {*map(tuple, some.T)} <= {*map(tuple, every.T)}
    assert n < 2 or (some[0, 0], some[0, -1]) == (1, 8)


def test_by_threshold__wrong_input_is_an_error():
    with pytest.raises(ShapeError, match="same shape"):
        ev.vi_by_threshold(np.zeros(3), np.zeros(4, int))
    with pytest.raises(SettingError, match="npoints must be 0 or more"):
        ev.rand_by_threshold(np.arange(3), np.arange(3), npoints=-1)
    with pytest.raises(ImageError, match="NaN"):
        ev.vi_by_threshold([0, np.nan], [1, 1])


# ---------------------------------------------------------------------------------- names of graphs


@given(volume=volumes(1), seed=st.integers(0, 9))
@few
def test_rag__answers_as_a_graph_of_networkx_would(volume, seed):
    labels = volume[0]
    g = agglo.Rag(labels, np.random.default_rng(seed).random(labels.shape))
    g.agglomerate(0.5)
    twin = nx.Graph(list(g.edges))
    twin.add_nodes_from(g.nodes)
    assert sorted(g) == sorted(twin)
    assert (len(g), g.number_of_nodes(), g.number_of_edges()) == (len(twin), len(twin), twin.number_of_edges())
    for u in twin:
        assert u in g
        assert g.has_node(u)
        assert sorted(g[u]) == sorted(twin[u])
        assert len(g[u]) == twin.degree(u)
        assert g.node[u]["size"] == len(g.extent(u))
        for v in twin:
            assert g.has_edge(u, v) == twin.has_edge(u, v) == (v in g[u])
            assert not g.has_edge(u, v) or g[u][v]["boundary"].tolist() == g.boundary(u, v).tolist()


def test_rag__has_no_neighbours_of_what_is_not_there():
    g = agglo.Rag([1, 2])
    assert 7 not in g
    assert not g.has_node(7)
    assert not g.has_edge(1, 7)
    with pytest.raises(LabelError, match="no region 7"):
        g[7]
    g.merge_nodes(1, 2)
    with pytest.raises(KeyError, match="part of a larger one"):
        g[1]


def test_rag__runs_a_policy_that_asks_in_the_historic_way():
    labels = np.random.default_rng(0).integers(0, 9, (6, 6))

    def historic(g, u, v):
        return g.node[u]["size"] * g.node[v]["size"] / len(g[u][v]["boundary"])

    def of_today(g, u, v):
        return g.nodes[u]["size"] * g.nodes[v]["size"] / g.edges[u, v]["size"]

    trees = []
    for policy in (historic, of_today):
        g = agglo.Rag(labels, merge_priority_function=policy)
        g.agglomerate(np.inf)
        trees.append(g.tree)
    assert trees[0].n_merges == 8
    assert_array_equal(trees[0].children, trees[1].children)
    assert_array_equal(trees[0].priority, trees[1].priority)


def test_rag__counts_the_border_as_one_of_its_regions():
    g = agglo.Rag(np.pad(np.array([[2]]), 1, constant_values=1))
    assert [g.at_volume_boundary(n) for n in g.nodes()] == [True, False, True]
    assert [g.is_traversed_by_node(n) for n in g.nodes()] == [False, False, False]
    assert_array_equal(g.build_volume(g.nodes()), g.watershed)


# ------------------------------------------------------------------------------------- descriptions


@pytest.mark.parametrize("name", sorted({*known_managers()} - {"null", "composite", "mock"}))
def test_create_fm__makes_what_was_described(name):
    manager = known_managers()[name]()
    again = create_fm(json.loads(json.dumps(manager.write_fm())))
    assert type(again) is type(manager)
    assert again.parameters() == manager.parameters()


def test_create_fm__of_several_is_a_composite_in_order():
    both = Composite([features.histogram.Manager(7), features.moments.Manager(2), features.histogram.Manager(3)])
    again = create_fm(both.write_fm())
    assert again.write_fm() == both.write_fm()


def test_create_fm__reads_historic_descriptions():
    moments = {"nmoments": 3, "use_diff": False, "oriented": False, "normalize": True}
    description = {"feature_list": ["inclusiveness", "moments"], "inclusiveness": {}, "moments": moments}
    inclusion, found = create_fm(description).children
    assert inclusion.name == "inclusion"
    kept = {"nmoments": 3, "use_diff_features": False, "oriented": False, "normalize": True, "image": None}
    assert found.parameters() == kept
    assert description["moments"] is moments
    assert "use_diff" in moments


@pytest.mark.parametrize(
    ("description", "message"),
    [
        ({}, "names no manager"),
        ({"feature_list": ["texture"], "texture": {}}, "no feature manager named 'texture'"),
        ({"feature_list": ["moments"]}, "lacks moments"),
        ({"feature_list": ["moments"], "moments": {"n": 1}}, "no moments can be made"),
    ],
)
def test_create_fm__wrong_description_is_an_error(description, message):
    with pytest.raises(FeatureError, match=message):
        create_fm(description)


def test_create_fm__knows_managers_of_users():
    class Shape(Null):
        name = "shape of a user"

    assert isinstance(create_fm(Shape().write_fm()), Shape)


# -------------------------------------------------------------------------------- small differences


@given(volume=volumes(1), data=st.data())
@few
def test_extract_segments__numbers_them_in_the_order_given(volume, data):
    ids = data.draw(st.lists(st.integers(0, 9), unique=True, max_size=6))
    expected = [[*ids].index(label) + 1 if label in ids else 0 for label in volume[0].flat]
    found = imio.extract_segments(volume[0], ids)
    assert found.dtype == np.uint8
    assert_array_equal(found.ravel(), expected)


def test_extract_segments__takes_large_labels():
    assert imio.extract_segments(np.array([2**64 - 1, 3], np.uint64), [3]).tolist() == [0, 1]


@pytest.mark.parametrize("ids", [[1, 1], range(256)])
def test_extract_segments__refuses_too_many_and_twice_the_same(ids):
    with pytest.raises(SettingError, match="at most 255 different"):
        imio.extract_segments([1, 2], ids)


def test_image_series__are_named_with_any_number_for_integers(tmp_path):
    imio.write_image_stack(np.zeros((2, 3, 4), np.uint8), tmp_path / "plane-%02i.png")
    assert sorted(file.name for file in tmp_path.iterdir()) == ["plane-00.png", "plane-01.png"]


def test_default_random_forest__takes_its_options_in_the_historic_order():
    forest = classify.DefaultRandomForest(7, "gini", 3, True, 5, 1, min_samples_leaf=2)
    asked = ("n_estimators", "criterion", "max_depth", "bootstrap", "random_state", "n_jobs", "min_samples_leaf")
    assert [forest.get_params()[name] for name in asked] == [7, "gini", 3, True, 5, 1, 2]


@pytest.mark.parametrize("name", ["Random-Forest", "NAIVE BAYES", "logistic-regression"])
def test_get_classifier__does_not_mind_capitals_and_hyphens(name):
    usual = classify.get_classifier(name.lower().replace("-", " "))
    assert repr(classify.get_classifier(name)) == repr(usual)


def test_unique__takes_one_element_too():
    element = [np.array([[0.5], [0.5], [0.7]]), np.array([1, 2, 3])]
    assert [part.tolist() for part in classify.unique_learning_data_elements(element)] == [[[0.5], [0.7]], [1, 3]]
