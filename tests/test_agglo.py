"""The historic interface: what a graph shows of itself while it agglomerates, and how it is made."""

# ruff: noqa: ARG002, ARG005  # functions and managers of users share signatures

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.ensemble import RandomForestClassifier

import naive
import naive_engine
from gala import agglo, evaluate
from gala.agglo import Rag
from gala.errors import FeatureError, ImageError, LabelError, PolicyError, SettingError, ShapeError
from gala.features import histogram, moments
from gala.features.base import Composite, Null
from naive_engine import each, volumes

some = settings(deadline=None, max_examples=30)
few = settings(deadline=None, max_examples=15)

LABELS = np.array([[1, 1, 2], [5, 5, 2], [9, 9, 2]])
IMAGE = np.array([[0.0, 0.25, 0.5], [0.25, 0.5, 0.0], [1.0, 0.75, 0.5]])


# ------------------------------------------------------------------------------------- what a graph shows of itself


@given(volumes(), st.data())
@some
def test_views__show_the_voxels_whatever_was_merged(volume, data):
    labels, image, connectivity = volume
    mask = data.draw(st.sampled_from([None, image[..., 0] < 1]))
    g = Rag(labels, image, connectivity=connectivity, mask=mask)
    twin = naive_engine.Graph(labels, image, connectivity, mask)
    assert_shows(g, twin)
    for _ in range(data.draw(st.integers(0, 5))):
        if len(twin.regions) < 2:
            break
        pair = data.draw(st.permutations(sorted(twin.regions)))[:2]  # they need not touch
        twin.merge(*pair)
        assert g.merge_nodes(*pair) == twin.next - 1
        assert_shows(g, twin)
        assert_array_equal(g.get_segmentation(), twin.segmentation())


def assert_shows(g, twin):
    """Check that the views of a graph show what the lists of its slow twin hold."""
    at_border = naive.at_border(twin.labels, mask=twin.mask)
    outer = {
        n: sorted(voxel for leaf in region.leaves for voxel in at_border.get(leaf, []))
        for n, region in twin.regions.items()
    }
    border = g.boundary_body
    touching = [n for n in twin.regions if outer[n]]
    assert g.nodes() == list(g.nodes) == [*twin.regions, border]
    assert len(g.nodes) == len(twin.regions) + 1
    assert set(g.real_edges()) == set(twin.contacts)
    assert set(g.edges()) == {*twin.contacts, *((n, border) for n in touching)}
    assert len(g.edges) == len(g.edges()) == len(twin.contacts) + len(touching)
    assert g.neighbors(border) == touching
    assert g.nodes[border]["size"] == len(g.extent(border)) == 0
    for n, region in twin.regions.items():
        node = g.nodes[n]
        assert node["size"] == len(region.voxels)
        assert node["fragments"] == region.leaves
        assert g.extent(n).tolist() == node["extent"].tolist() == sorted(region.voxels)
        assert node["at_volume_boundary"] == ((n, border) in g.edges) == ((border, n) in g.edges) == (n in touching)
        assert g.boundary(n, border).tolist() == g.boundary(border, n).tolist() == outer[n]
        others = {m for pair in twin.contacts if n in pair for m in pair} - {n}
        assert g.neighbors(n) == sorted(others) + [border] * (n in touching)
        assert g.degree(n) == len(g.neighbors(n))
    for (u, v), contact in twin.contacts.items():
        assert (u, v) in g.edges
        assert (v, u) in g.edges
        assert g.boundary(u, v).tolist() == g.edges[v, u]["boundary"].tolist() == sorted(contact.voxels)
        assert g.edges[u, v]["size"] == len(contact.voxels)


def test_views__of_what_is_not_there():
    g = Rag(LABELS, IMAGE, lambda g, u, v: u)
    g.agglomerate(np.inf)
    compiled = Rag(LABELS, IMAGE)
    compiled.agglomerate(np.inf)
    for graph in (g, compiled):
        assert graph.nodes() == [13, 10]
        for n in (1, 11, 12):  # a leaf, and regions that were merged on
            assert n not in graph.nodes
            with pytest.raises(KeyError, match=f"region {n} is part of a larger one"):
                graph.nodes[n]
        for n in (0, 14, 999, -1, 2**70):
            assert n not in graph.nodes
            assert (13, n) not in graph.edges
            with pytest.raises(LabelError, match=f"there is no region {n}, and there never was"):
                graph.nodes[n]
        assert "1" not in graph.nodes
        assert (10, 10) not in graph.edges
        assert 13 not in graph.edges
    with pytest.raises(KeyError, match="1 and 9 do not touch"):
        Rag(LABELS, IMAGE).edges[1, 9]
    inner = Rag(np.pad([[7]], 1), np.zeros((3, 3)))
    assert (7, inner.boundary_body) not in inner.edges
    with pytest.raises(KeyError, match="7 and 8 do not touch"):
        inner.edges[7, inner.boundary_body]


def test_copy__has_regions_of_its_own():
    g = Rag(LABELS, IMAGE)
    other = g.copy()
    assert g.merge_nodes(1, 5) == other.merge_nodes(2, 9) == 11
    assert (g.nodes[11]["fragments"], other.nodes[11]["fragments"]) == ({1, 5}, {2, 9})
    assert (g.nodes[9]["size"], other.nodes[1]["size"]) == (2, 2)


def test_boundary__counts_a_voxel_that_touched_both_parts_twice():
    g = Rag(np.array([[1, 2], [3, 3]]), np.zeros((2, 2)))
    assert g.boundary(1, 3).tolist() == [0, 2]
    g = Rag(np.array([[1, 3, 2]]), np.zeros((1, 3)))
    new = g.merge_nodes(1, 2)
    assert g.boundary(new, 3).tolist() == [0, 1, 1, 2]
    assert g.edges[new, 3]["size"] == 4


def test_attributes__can_be_listed():
    g = Rag(LABELS, IMAGE)
    assert {"size", "fragments", "extent"} <= set(g.nodes[1])
    assert set(g.edges[1, 5]) == {"size", "boundary", "weight", "feature-cache"}
    assert len(g.edges[1, 5]) == 4
    assert "boundary" in repr(g.edges[1, 5])
    assert g.coords(g.nodes[5]["extent"]).tolist() == [[1, 0], [1, 1]]
    assert g.values(g.edges[1, 5]["boundary"]).tolist() == [[0.0], [0.25], [0.25], [0.5]]


def test_caches__are_rows_of_the_declared_managers():
    manager = Composite([moments.Manager(1), Composite([histogram.Manager(2)])])
    g = Rag(LABELS, IMAGE, feature_manager=manager)
    row, (counts,) = g.nodes[1][Null.default_cache]
    assert row.tolist() == [2, 0.25]
    assert counts.tolist() == [2, 0]
    assert g.edges[1, 5]["feature-cache"][0].tolist() == [4, 1.0]
    assert manager(g, 1, 5).tolist() == g.features(manager, [[1, 5]])[0].tolist()
    assert Rag(LABELS, IMAGE).nodes[1]["feature-cache"].size == 0


# ------------------------------------------------------------------------------------------- merging


def test_merge_nodes__makes_the_next_region():
    g = Rag(LABELS, IMAGE)
    assert g.boundary_body == 10
    assert g.merge_nodes(5, 1, 0.125) == 11
    assert g.merge_nodes(9, 11) == 12
    assert g.names[g.tree.children].tolist() == [[1, 5], [9, 11]]
    assert g.tree.priority.tolist() == [0.125, 0.0]
    assert g.tree.height.tolist() == [0.125, 0.125]


@pytest.mark.parametrize(
    ("pair", "error", "message"),
    [
        ((1, 1), SettingError, "two different regions"),
        ((1, 3), LabelError, "there is no region 3"),
        ((1, 10), LabelError, "there is no region 10"),  # the border
        ((5, 9), KeyError, "region 5 is part of a larger one"),
    ],
)
def test_merge_nodes__of_what_cannot_merge(pair, error, message):
    g = Rag(LABELS, IMAGE)
    g.merge_nodes(5, 2)
    with pytest.raises(error, match=message):
        g.merge_nodes(*pair)
    assert g.n_merges == 1


@given(volumes(), st.sampled_from([0.25, 0.5, np.inf]), st.integers(0, 99))
@few
def test_history__tells_what_was_merged_and_how_good_it_was(volume, threshold, seed):
    labels, image, connectivity = volume
    labels = labels + 1  # split_vi ignores 0
    truth = np.random.default_rng(seed).integers(0, 3, labels.shape)
    truth.flat[0] = 1
    plain = Rag(labels, image, connectivity=connectivity)
    history, scores, evaluation = plain.agglomerate(threshold, save_history=True)
    assert evaluation == []
    g = Rag(labels, image, connectivity=connectivity, gt_vol=truth)
    assert g.agglomerate(threshold) is None
    g = Rag(labels, image, connectivity=connectivity, gt_vol=truth)
    again, same_scores, evaluation = g.agglomerate(threshold, save_history=True)
    assert (again, same_scores) == (history, scores)
    twin = naive_engine.Graph(labels, image, connectivity)
    for pair, (n_regions, split_vi) in zip(history, evaluation, strict=True):
        twin.merge(*pair)
        assert n_regions == len(twin.regions)
        assert_array_equal(split_vi, evaluate.split_vi(twin.segmentation(), truth))


def test_agglomerate_count__with_history_goes_on_where_it_was():
    g = Rag(LABELS, IMAGE)
    whole = Rag(LABELS, IMAGE).agglomerate(np.inf, save_history=True)
    first, second = g.agglomerate_count(1, save_history=True), g.agglomerate_count(100, save_history=True)
    assert first[0] + second[0] == whole[0]
    assert first[1] + second[1] == whole[1]
    assert g.agglomerate_count(5) is None
    g.set_ground_truth(LABELS)
    assert g.agglomerate_count(5, save_history=True) == ([], [], [])
    with pytest.raises(SettingError, match="stepsize must be 0 or more; got -1"):
        g.agglomerate_count(-1)


@pytest.mark.parametrize("policy", [agglo.boundary_mean, lambda g, u, v: agglo.boundary_mean(g, u, v)])
def test_progress_bar__changes_nothing(policy, capsys):
    labels, image = np.arange(150).reshape(10, 15), np.random.default_rng(0).random((10, 15))
    g, other = (Rag(labels, image, policy, show_progress=shown) for shown in (True, False))
    for graph in (g, other):
        graph.agglomerate_count(7)
        graph.agglomerate(0.5)
        graph.agglomerate(np.inf)
        graph.agglomerate(np.inf)
    assert_array_equal(g.tree.children, other.tree.children)
    assert "merging" in capsys.readouterr().err


def test_policy__can_be_exchanged():
    g = Rag(LABELS, IMAGE)
    g.agglomerate_count(1)
    g.merge_priority_function = agglo.ordered_priority([(9, 11)])
    assert g.agglomerate(np.inf, save_history=True)[0] == [(9, 11)]
    assert g.merge_priority_function(g, 1, 2) == np.inf
    with pytest.raises(PolicyError):
        g.merge_priority_function = "boundary_mean"


# ------------------------------------------------------------------------------------- segmentations and truth


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.int32, np.uint32, np.int64, np.uint64])
def test_segmentation__has_the_type_of_the_labels(dtype):
    g = Rag(LABELS.astype(dtype), IMAGE)
    assert g.get_segmentation(0.4).dtype == dtype
    assert_array_equal(g.get_segmentation(0.4), Rag(LABELS, IMAGE).get_segmentation(0.4))
    assert_array_equal(g.watershed, LABELS)


def test_segmentation__of_whole_floats():
    assert_array_equal(Rag(LABELS.astype(float), IMAGE).get_segmentation(), LABELS)


@pytest.mark.parametrize("first", [2**63 - 8, 2**63 + 1, 2**64 - 10])
def test_labels__up_to_the_largest_there_is(first):
    labels = LABELS.astype(np.uint64) + np.uint64(first)
    manager = moments.Manager()
    g = Rag(labels, IMAGE, feature_manager=manager)
    small = Rag(LABELS, IMAGE, feature_manager=manager)
    assert g.boundary_body == first + 10
    assert g.nodes() == [n + first for n in small.nodes()]
    assert g.edges() == [(u + first, v + first) for u, v in small.edges()]
    assert g.neighbors(np.uint64(first + 5)) == [n + first for n in small.neighbors(5)]
    assert manager(g, first + 1, first + 5).tolist() == manager(small, 1, 5).tolist()
    X, _, _, merges = g.learn_flat(LABELS > 1, manager)
    assert_array_equal(X, small.learn_flat(LABELS > 1, manager).X)
    assert [tuple(pair) for pair in merges.tolist()] == g.real_edges()
    history, scores, _ = g.agglomerate(np.inf, save_history=True)
    expected, same_scores, _ = small.agglomerate(np.inf, save_history=True)
    assert history == [(u + first, v + first) for u, v in expected]
    assert scores == same_scores
    for threshold in (0.3, 0.4, np.inf):
        assert_array_equal(g.get_segmentation(threshold), small.get_segmentation(threshold) + np.uint64(first))


def test_lookup__of_large_labels_is_exact():
    labels = LABELS.astype(np.uint64) + np.uint64(2**60)
    g = Rag(labels, IMAGE)
    for n in np.unique(labels):  # numbers that floats cannot tell apart
        assert g.extent(n).tolist() == np.flatnonzero(labels == n).tolist()


@given(volumes(), st.integers(0, 99))
@few
def test_mask_and_background__belong_to_no_region(volume, seed):
    labels, image, connectivity = volume
    mask = np.random.default_rng(seed).random(labels.shape) < 0.7
    background = int(labels.flat[0])
    g = Rag(labels, image, connectivity=connectivity, mask=mask)
    twin = naive_engine.Graph(labels, image, connectivity, mask).agglomerate(each(naive_engine.mean), 0.5)
    assert g.agglomerate(0.5, save_history=True)[:2] == (twin.history, twin.scores)
    assert_array_equal(g.get_segmentation(), twin.segmentation())
    exclusions = np.random.default_rng(seed).integers(0, 9, labels.shape) // 8
    options = {"connectivity": connectivity, "exclusions": exclusions}
    without = Rag(labels, image, background=background, **options)
    masked = Rag(labels, image, mask=labels != background, **options)
    for data, same in zip(*(graph.learn_flat(exclusions + 1, Null()) for graph in (without, masked)), strict=True):
        assert_array_equal(data, same)
    for graph in (without, masked):
        graph.agglomerate(0.5)
        assert background not in graph.graph.labels
    assert_array_equal(without.tree.children, masked.tree.children)
    assert_array_equal(without.get_segmentation(), masked.get_segmentation())
    assert (without.get_segmentation()[labels == background] == 0).all()


def test_split_vi__compares_with_the_truth():
    truth = LABELS // 5
    g = Rag(LABELS, IMAGE)
    assert_array_equal(g.split_vi(truth), evaluate.split_vi(LABELS, truth))
    with pytest.raises(SettingError, match="there is no truth"):
        g.split_vi()
    g.set_ground_truth(truth)
    g.agglomerate(np.inf)
    assert_array_equal(g.split_vi(), evaluate.split_vi(np.ones_like(truth), truth))
    assert_array_equal(Rag(LABELS, IMAGE, gt_vol=truth).split_vi(), evaluate.split_vi(LABELS, truth))
    g.set_ground_truth(None)
    with pytest.raises(SettingError, match="there is no truth"):
        g.split_vi()


# ------------------------------------------------------------------------------------- how a graph is made


def test_image__is_needed_by_policies_that_look_at_it_only():
    g = Rag(LABELS, merge_priority_function=lambda g, u, v: len(g.boundary(u, v)))
    g.agglomerate(2.5)
    assert_array_equal(g.get_segmentation(), [[1, 1, 1], [5, 5, 1], [1, 1, 1]])
    with pytest.raises(FeatureError, match="boundary_mean needs the columns"):
        Rag(LABELS, []).agglomerate(0.5)
    with pytest.raises(FeatureError, match="moments needs an image with at least one channel"):
        Rag(LABELS, feature_manager=moments.Manager())


def test_normalized_probabilities__reach_from_0_to_1():
    image = np.array([[10, 20, 30], [20, 50, 20], [40, 30, 20]], dtype=np.uint8)
    g = Rag(LABELS, image, normalize_probabilities=True)
    expected = ((image - 10.0) / 40).reshape(-1, 1)
    assert g.probabilities_r.dtype == np.float32
    assert_allclose(g.probabilities_r, expected, rtol=1e-7)
    assert_allclose(g.edges[1, 2]["weight"], expected[[1, 2], 0].mean(), rtol=1e-7)
    constant = Rag(LABELS, np.full((3, 3), 7.0), normalize_probabilities=True)
    assert not constant.probabilities_r.any()


def test_normalized_probabilities__are_those_of_the_mask():
    image = IMAGE * 4
    image[2, 2] = np.nan
    image[1, 2] = -10
    mask = np.ones((3, 3), bool)
    mask[1:, 2] = False
    g = Rag(LABELS, image, mask=mask, normalize_probabilities=True)
    assert_array_equal(g.probabilities_r.reshape(3, 3)[mask], IMAGE[mask])


ORIENTED = np.stack([IMAGE, IMAGE[::-1], IMAGE.T, IMAGE[:, ::-1] / 2], axis=-1)
MAP = np.array([[0, 1, 1], [1, 0, 1], [0, 0, 1]])


@pytest.mark.parametrize("where", [MAP, None])
def test_oriented_channels__largest_in_regions_and_the_named_one_in_contacts(where):
    manager = Composite([moments.Manager(1, oriented=True), moments.Manager(1)])
    is_oriented = [False, True, False, True]
    g = Rag(LABELS, ORIENTED, feature_manager=manager, channel_is_oriented=is_oriented, orientation_map=where)
    largest = np.maximum(ORIENTED[..., 1], ORIENTED[..., 3])
    named = ORIENTED[..., 1] if where is None else np.where(MAP == 0, ORIENTED[..., 1], ORIENTED[..., 3])
    plain = ORIENTED[..., [0, 2]]

    def features(voxels, oriented):
        means = [plain[..., c].flat[voxels].mean() for c in (0, 1)]
        return np.array([len(voxels), oriented.flat[voxels].mean(), len(voxels), *means])

    for u, v in g.real_edges():
        small, large = sorted((u, v), key=lambda n: g.nodes[n]["size"])
        nodes = [features(g.extent(n), largest) for n in (small, large)]
        expected = np.concatenate([*nodes, features(g.boundary(u, v), named), abs(nodes[0] - nodes[1])])
        assert_allclose(g.features(manager, [[u, v]])[0], expected, rtol=0, atol=1e-15)
        assert g.edges[u, v]["weight"] == plain[..., 0].flat[g.boundary(u, v)].mean()


def test_oriented_channels__may_be_all_there_are():
    oriented = moments.Manager(1, oriented=True)
    is_oriented = [True] * 4
    policy = lambda g, u, v: oriented(g, u, v)[5]  # noqa: E731  # the mean of the contact
    g = Rag(LABELS, ORIENTED, policy, feature_manager=oriented, channel_is_oriented=is_oriented)
    assert g.edges[1, 2]["weight"] == IMAGE.flat[[1, 2]].mean()
    assert Rag(LABELS, ORIENTED, channel_is_oriented=[False] * 4).probabilities_r.shape == (9, 4)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"feature_manager": histogram.Manager(oriented=True)}, FeatureError, "needs oriented channels"),
        ({"feature_manager": "moments"}, FeatureError, "feature_manager must be one from gala.features"),
        ({"channel_is_oriented": [True]}, ShapeError, "yes or no for each of 4 channels; got 1"),
        ({"channel_is_oriented": [True] * 4, "orientation_map": MAP[0]}, ShapeError, "orientation_map must have"),
        ({"channel_is_oriented": [True] * 4, "orientation_map": MAP + 3}, SettingError, "one of 4 oriented .* got 4"),
        ({"connectivity": 3}, SettingError, "connectivity must be a whole number from 1"),
        ({"mask": MAP[0]}, ShapeError, "mask must have the shape"),
        ({"exclusions": MAP[0]}, ShapeError, "exclusions must have the shape"),
        ({"gt_vol": MAP[0]}, ShapeError, "truth must have the shape"),
        ({"probabilities": np.zeros((3, 4))}, ShapeError, "image must have the shape"),
        ({"probabilities": np.full((3, 3), np.nan)}, ImageError, "9 values are NaN"),
        ({"watershed": LABELS - 2}, LabelError, "-1"),
        ({"watershed": LABELS / 2}, LabelError, "0.5"),
        ({"watershed": LABELS[:0]}, ShapeError, "at least one voxel"),
        ({"background": -1}, SettingError, "background must be a label"),
        ({"n_threads": 0}, SettingError, "n_threads must be a whole number"),
    ],
)
def test_constructor__says_what_does_not_fit(options, error, message):
    with pytest.raises(error, match=message):
        Rag(**({"watershed": LABELS, "probabilities": ORIENTED} | options))


def test_constructor__takes_the_historic_arguments_by_position():
    g = Rag(
        LABELS,
        IMAGE,
        agglo.boundary_mean,
        LABELS,
        moments.Manager(),
        LABELS > 0,
        False,
        2,
        [False],
        np.array([]),
        False,
        np.array([]),
        None,
        None,
        False,
        True,
    )
    assert g.rescore_all
    assert (1, 5) in g.edges
    assert g.gt is not None


# ------------------------------------------------------------------------------------- hand-written managers


class Means(Null):
    """Voxels and mean of channel 0, as somebody might write it: what `moments.Manager(1)` computes."""

    name = "means"

    def create_node_cache(self, g, n):
        return self._cache(g, g.extent(n))

    def create_edge_cache(self, g, n1, n2):
        return self._cache(g, g.boundary(n1, n2))

    def update_node_cache(self, g, n1, n2, dst, src):
        dst += src  # in place

    def update_edge_cache(self, g, e1, e2, dst, src):
        return dst + src  # a new one

    def compute_node_features(self, g, n, cache=None):
        cache = g.nodes[n][self.default_cache] if cache is None else cache
        return np.array([cache[0], cache[1] / cache[0]])

    def compute_edge_features(self, g, n1, n2, cache=None):
        cache = g.edges[n1, n2][self.default_cache] if cache is None else cache
        return np.array([cache[0], cache[1] / cache[0]])

    def _cache(self, g, voxels):
        return np.array([len(voxels), g.probabilities_r[voxels, 0].sum()])


class MeansOfVoxels(Means):
    """The same, with caches that are made anew from what the graph shows before a merge."""

    def update_node_cache(self, g, n1, n2, dst, src):
        assert g.nodes[n1]["size"] == dst[0]
        return self._cache(g, np.concatenate([g.extent(n1), g.nodes[n2]["extent"]]))

    def update_edge_cache(self, g, e1, e2, dst, src):
        assert e1 in g.edges
        assert len(g.edges[e2]["boundary"]) == src[0]
        dst[:] = self._cache(g, np.concatenate([g.boundary(*e1), g.boundary(*e2)]))


declared = moments.Manager(1, use_diff_features=False)
mixtures = st.sampled_from(
    [
        (Means(), declared),
        (MeansOfVoxels(), declared),
        (Composite([Means(), histogram.Manager(2)]), Composite([declared, histogram.Manager(2)])),
        (Composite([Composite([MeansOfVoxels()]), Means()]), Composite([declared, declared])),
    ]
)


@given(volumes(max_labels=9), mixtures, st.booleans(), st.integers(0, 99))
@some
def test_hand_written_manager__gives_the_tree_of_a_declared_one(volume, managers, rescore_all, seed):
    labels, image, connectivity = volume
    options = {"connectivity": connectivity, "update_unchanged_edges": rescore_all}
    n_features = len(managers[1](Rag([1, 2], [0.0, 1.0], feature_manager=managers[1]), 1, 2))
    rng = np.random.default_rng(seed)
    X = rng.random((30, n_features)) * rng.choice([1.0, 9.0], n_features)
    y = np.resize([-1, 1], 30)
    forest = RandomForestClassifier(5, random_state=seed).fit(X, y)
    graphs = [
        Rag(labels, image, agglo.classifier_probability(m, forest), feature_manager=m, **options) for m in managers
    ]
    for g in graphs:
        g.agglomerate_count(2)
        g.copy().agglomerate(np.inf)  # which changes caches of its own only
        g.agglomerate(0.9)
    hand_written, compiled = (g.tree for g in graphs)
    assert_array_equal(hand_written.children, compiled.children)
    assert_array_equal(hand_written.priority, compiled.priority)
    for u, v in graphs[0].real_edges():
        assert managers[0](graphs[0], u, v).tolist() == managers[1](graphs[1], u, v).tolist()
        assert managers[0](graphs[0], u).tolist() == managers[1](graphs[1], u).tolist()


def test_hand_written_manager__may_be_used_by_a_function():
    means = Means()
    g = Rag(LABELS, IMAGE, lambda g, u, v: means(g, u, v)[5], feature_manager=means)
    other = Rag(LABELS, IMAGE)
    for graph in (g, other):
        graph.agglomerate(np.inf)
    assert_array_equal(g.tree.children, other.tree.children)
    assert_array_equal(g.tree.priority, other.tree.priority)


def test_split_vi__counts_a_region_labelled_0():
    g = agglo.Rag(np.array([0, 0, 1, 1, 2, 2]), np.zeros(6))
    g.merge_nodes(0, 1)
    assert_allclose(g.split_vi(np.array([1, 1, 2, 2, 3, 3])), [2 / 3, 0])


@pytest.mark.parametrize("n_others", [1, 3, 6, 8, 9, 10])
def test_learn_flat__ties_of_vi_count_as_dont_merge(n_others):
    g = agglo.Rag(np.array([1, 1, 2, 2] + [3] * n_others))
    assert g.learn_flat(np.array([1, 2, 1, 3] + [4] * n_others), Null()).y[0, 1] == 1
