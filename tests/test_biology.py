"""What looks at a segmentation as biology, against floods and scans of whole label images."""

# ruff: noqa: ARG005  # functions of users share signatures

from __future__ import annotations

import itertools
import json

import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from scipy import ndimage

import naive
import naive_engine
from gala.agglo import Rag, boundary_mean
from gala.engine import border, export, inclusions, sizes
from gala.engine.running import RunningGraph
from gala.errors import FeatureError, FileError, LabelError, PolicyError, SettingError, ShapeError
from gala.features.base import Null
from gala.graph.build import build_graph
from naive_engine import volumes
from real import read

some = settings(deadline=None, max_examples=40)
few = settings(deadline=None, max_examples=20)

NEST = np.array(
    [
        [1, 1, 1, 1, 1, 1, 1],
        [1, 2, 2, 2, 2, 2, 1],
        [1, 2, 3, 4, 4, 2, 1],
        [1, 2, 3, 4, 5, 2, 1],
        [1, 2, 2, 2, 2, 2, 1],
        [1, 1, 1, 1, 1, 1, 6],
    ]
)


@st.composite
def nested(draw):
    """Return a label image of connected regions, many inside others, an image, a connectivity and a mask or None."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    ndim = draw(st.integers(1, 3))
    noise = rng.integers(0, draw(st.integers(2, 4)), rng.integers(1, (20, 10, 6)[ndim - 1] + 1, ndim))
    labels = np.zeros(noise.shape, dtype=np.int64)
    for value in np.unique(noise):
        pieces, _ = ndimage.label(noise == value)
        labels += np.where(pieces, labels.max() + pieces, 0)
    mask = rng.random(labels.shape) < 0.9 if draw(st.booleans()) else None
    return labels, rng.integers(0, 5, labels.shape) / 4, draw(st.integers(1, ndim)), mask


def after_merges(g, data, most=5):
    """Merge some pairs of regions, touching or not, and return the graph."""
    for _ in range(data.draw(st.integers(0, most))):
        names = g.nodes()[:-1]
        if len(names) > 1:
            g.merge_nodes(*data.draw(st.permutations(names))[:2])
    return g


class Seen:
    """The regions of a graph as its label image shows them."""

    def __init__(self, g, connectivity=1, mask=None):
        self.image = g.build_volume()
        self.regions = naive.regions(self.image, mask=mask)
        self.contacts = naive.contacts(self.image, connectivity, mask=mask)
        self.outer = naive.at_border(self.image, mask=mask)

    def reached(self, without=None):
        """Return the regions that can be reached from the border when one region is not there."""
        waiting = [n for n in self.outer if n != without]
        found = set(waiting)
        while waiting:
            n = waiting.pop()
            near = {m for pair in self.contacts if n in pair for m in pair} - found - {without}
            found |= near
            waiting += near
        return found

    def hosts(self):
        """Return the outermost host of each region that has one."""
        inside = {n: self.reached() - self.reached(without=n) - {n} for n in self.regions}
        outermost = [n for n in self.regions if not any(n in held for held in inside.values())]
        return {n: host for host in outermost for n in inside[host]}


def same_partition(a, b):
    pairs = np.unique(np.stack([np.ravel(a), np.ravel(b)]), axis=1)
    return pairs.shape[1] == len(np.unique(a)) == len(np.unique(b))


# ------------------------------------------------------------------------------------------------ inclusions


@given(nested(), st.data())
@some
def test_inclusions__are_what_no_flood_reaches_but_through_one_region(volume, data):
    labels, image, connectivity, mask = volume
    g = after_merges(Rag(labels, image, connectivity=connectivity, mask=mask), data)
    seen = Seen(g, connectivity, mask)
    hosts = seen.hosts()
    assert g.remove_inclusions() == len(hosts)
    expected = seen.image.copy()
    for n, host in hosts.items():
        expected[seen.image == n] = host
    kept = np.ones(labels.shape, bool) if mask is None else mask
    assert same_partition(g.build_volume()[kept], expected[kept])
    assert g.remove_inclusions() == 0


@given(nested(), st.data())
@some
def test_obvious_inclusions__have_one_neighbour(volume, data):
    labels, image, connectivity, mask = volume
    g = after_merges(Rag(labels, image, connectivity=connectivity, mask=mask), data)
    twin, before = g.copy(), g.n_merges
    assert g.remove_obvious_inclusions() == g.n_merges - before
    while inner := [n for n in twin.nodes()[:-1] if twin.degree(n) == 1 and not twin.at_volume_boundary(n)]:
        twin.merge_nodes(inner[-1], *twin.neighbors(inner[-1]))
    assert_array_equal(g.get_segmentation(), twin.get_segmentation())


def test_inclusions__of_a_nest():
    g = Rag(NEST, np.zeros(NEST.shape))
    assert g.copy().remove_obvious_inclusions() == 0  # 3, 4 and 5 touch two others or more
    assert g.remove_inclusions() == 4
    assert_array_equal(g.get_segmentation(), np.where(NEST == 6, 6, 1))
    assert g.tree.height.tolist() == [0, 0, 0, 0]
    within = Rag(np.where(NEST == 5, 4, NEST), np.zeros(NEST.shape))
    within.merge_nodes(3, 4)
    assert within.remove_obvious_inclusions() == 2  # the pair into 2, then 2 into 1
    assert_array_equal(within.get_segmentation(), g.get_segmentation())


def test_inclusions__obey_constraints():
    exclusions = np.where(np.isin(NEST, (1, 2)), 7, 0)  # 2 must not become part of 1
    g = Rag(NEST, np.zeros(NEST.shape), exclusions=exclusions)
    assert (g.remove_inclusions(), g.remove_obvious_inclusions()) == (0, 0)
    g = Rag(NEST, np.zeros(NEST.shape), isfrozennode=lambda g, n: n == 3)
    g.remove_inclusions()
    assert_array_equal(g.get_segmentation(), np.where(np.isin(NEST, (3, 6)), NEST, 1))
    g = Rag(np.pad([[4]], 1), np.zeros((3, 3)), isfrozenedge=lambda g, u, v: True)
    assert g.remove_obvious_inclusions() == 0


def test_inclusions__run_without_a_volume_and_score_again():
    g = RunningGraph(build_graph(NEST, NEST / 6, boundary_mean.needs), boundary_mean)
    g.priorities()
    assert inclusions.remove_inclusions(g) == 4
    g.agglomerate()
    assert g.tree.priority[-1] == boundary_mean(Rag(np.where(NEST == 6, 6, 1), NEST / 6), 1, 6)
    masked = Rag(np.array([[0, 0, 0, 0], [0, 1, 2, 0], [0, 0, 0, 0]]), np.zeros((3, 4)), background=0)
    assert masked.remove_inclusions() == 0  # no way leads to the border


# ------------------------------------------------------------------------------------------------ the border


@given(volumes(max_labels=30), st.data())
@some
def test_traversing__regions_are_seen_at_the_border(volume, data):
    labels, image, connectivity = volume
    mask = data.draw(st.sampled_from([None, image[..., 0] < 1]))
    g = after_merges(Rag(labels, image, connectivity=connectivity, mask=mask), data)
    seen = Seen(g, connectivity, mask)
    places, faces = [], []
    for n, voxels in seen.outer.items():
        outer = np.zeros(labels.shape, bool)
        outer.flat[voxels] = True
        if ndimage.label(outer, np.ones([3] * labels.ndim))[1] > 1:
            places.append(n)
        planes = [(outer.take(0, axis).any(), outer.take(-1, axis).any(), m) for axis, m in enumerate(labels.shape)]
        if any(first and last and m > 1 for first, last, m in planes):
            faces.append(n)
    assert g.orphans() == [n for n in seen.regions if n not in seen.outer]
    assert g.traversing_bodies() == places
    assert g.traversing_bodies("faces") == faces
    assert g.non_traversing_bodies() == [n for n in seen.outer if n not in places]
    assert g.non_traversing_bodies("faces") == [n for n in seen.outer if n not in faces]
    assert [n for n in seen.regions if g.is_traversed_by_node(n)] == places


def test_traversing__between_places_or_faces():
    labels = np.array([[1, 1, 2, 2], [3, 1, 5, 4], [3, 3, 2, 2], [3, 3, 3, 2]])
    g = Rag(labels, np.zeros((4, 4)))
    assert g.orphans() == [5]
    assert g.traversing_bodies() == [2]
    assert g.traversing_bodies("faces") == [2]
    corner = Rag(np.array([[1, 1, 2, 2], [1, 2, 2, 2], [2, 2, 2, 3], [2, 2, 3, 3]]), np.zeros((4, 4)))
    assert corner.traversing_bodies() == [2]
    ring = Rag(np.pad([[7]], 1), np.zeros((3, 3)))
    assert (ring.traversing_bodies(), ring.traversing_bodies("faces")) == ([], [0])
    with pytest.raises(SettingError, match='between must be "places" or "faces"; got \'sides\''):
        g.traversing_bodies("sides")
    with pytest.raises(LabelError, match="there is no region 77"):
        g.is_traversed_by_node(77)
    with pytest.raises(FeatureError, match="keeps the volume"):
        border.traversing(RunningGraph(build_graph(labels), boundary_mean))


# ------------------------------------------------------------------------------------------------ small regions


@given(volumes(max_labels=30), st.integers(0, 8), st.integers(0, 3), st.integers(0, 99))
@some
def test_ladder__merges_the_best_pair_of_a_small_region(volume, min_size, strictness, seed):
    labels, image, connectivity = volume
    rng = np.random.default_rng(seed)
    options = {"exclusions": rng.integers(0, 9, labels.shape) // 8}
    frozen = [n for n in np.unique(labels).tolist() if rng.random() < 0.1]
    g = Rag(labels, image, connectivity=connectivity, isfrozennode=lambda g, n: n in frozen, **options)
    twin = naive_engine.Graph(labels, image, connectivity, frozen_nodes=tuple(frozen), **options)
    outer = {voxel for voxels in naive.at_border(labels).values() for voxel in voxels}

    def is_small(region):
        return len(region.voxels) < min_size and (strictness == 0 or not outer & set(region.voxels))

    def allowed(u, v):
        regions, n_voxels = (twin.regions[u], twin.regions[v]), len(twin.contacts[u, v].voxels)
        n_small = sum(len(region.voxels) < min_size for region in regions)
        right_sizes = n_small == 1 or (n_small == 2 and strictness < 2)
        return any(map(is_small, regions)) and right_sizes and (strictness < 3 or n_voxels > 2)

    while pairs := [pair for pair in twin.contacts if allowed(*pair) and twin.may_merge(*pair)]:
        scored = {pair: (naive_engine.mean(twin, *pair), twin.contacts[pair].rank) for pair in pairs}
        best = min(pairs, key=scored.get)
        twin.scores.append(scored[best][0])
        twin.merge(*best)
    whole = g.copy()
    n_merges = g.merge_small(min_size) if strictness == 0 else g.agglomerate_ladder(min_size, strictness)
    assert g.names[g.tree.children].tolist() == [list(pair) for pair in twin.history]
    assert g.tree.priority.tolist() == twin.scores
    assert n_merges == g.n_merges
    assert g.policy is boundary_mean
    assert not g.rescore_all
    for graph in (g, whole):  # goes on as if it had never had another policy
        graph.agglomerate(np.inf)
    if n_merges == 0:
        assert_array_equal(g.tree.children, whole.tree.children)


def test_merge_small__leaves_what_the_policy_never_merges():
    labels = np.array([1, 1, 1, 2, 3, 3, 3])
    g = Rag(labels, None, lambda g, u, v: np.inf if v == 3 else len(g.boundary(u, v)))
    assert g.merge_small(2) == 1
    assert g.get_segmentation().tolist() == [1, 1, 1, 1, 3, 3, 3]
    g = Rag(labels, None, lambda g, u, v: np.inf)
    assert g.merge_small(99) == 0


def test_merge_small__after_an_error_has_its_policy_again():
    g = Rag(NEST, None, lambda g, u, v: np.nan)
    policy = g.policy
    with pytest.raises(PolicyError):
        g.merge_small(3)
    assert (g.policy, g.rescore_all, g.n_merges) == (policy, False, 0)
    with pytest.raises(SettingError, match="must be a number of voxels; got nan"):
        g.merge_small(np.nan)
    with pytest.raises(SettingError, match="strictness must be 0, 1, 2 or 3; got 4"):
        g.agglomerate_ladder(strictness=4)
    assert sizes.merge_small(RunningGraph(build_graph(NEST), lambda g, u, v: u), 1) == 0


# ------------------------------------------------------------------------------------------------ given merges


@given(volumes(), st.integers(0, 99), st.sampled_from([1, 2, np.inf]))
@few
def test_replay__makes_the_merges_of_a_history_up_to_its_errors(volume, seed, num_errors):
    labels, image, connectivity = volume
    g = Rag(labels, image, connectivity=connectivity)
    start = g.copy()
    history, _, _ = g.agglomerate(np.inf, save_history=True)
    other = start.copy()
    last = history[-1] if history else None
    assert other.replay_merge_history(iter(history)) == (len(history), last)
    assert_array_equal(other.tree.children, g.tree.children)
    truth = np.random.default_rng(seed).integers(1, 3, labels.shape)
    judged = Rag(labels, image, connectivity=connectivity)
    epoch = judged.learn_agglomerate(
        truth, Null(), learn_flat=False, priority_mode="mean", max_num_epochs=1, min_num_epochs=1, unique=False
    )[0]
    n, pair = start.replay_merge_history(epoch.merges.tolist(), epoch.y[:, 0], num_errors)
    wrong = epoch.y[:, 0] > 0
    assert n == len(wrong) or (wrong[n - 1] and wrong[:n].sum() == num_errors)
    assert wrong[:n].sum() <= num_errors
    assert pair == (tuple(epoch.merges[n - 1].tolist()) if n else None)
    assert start.names[start.tree.children].tolist() == np.sort(epoch.merges[:n][~wrong[:n]], axis=1).tolist()


def test_replay__of_what_is_no_history_merges_nothing():
    g = Rag(NEST, np.zeros(NEST.shape))
    for pairs in ([(1, 2), (1, 3)], [(1, 1)], [(1, 7)], [(1, 2), (9, 3)]):
        with pytest.raises(LabelError, match=f"merge {len(pairs) - 1} of the history joins"):
            g.replay_merge_history(pairs)
    with pytest.raises(ShapeError, match="one entry for each of 1 merges"):
        g.replay_merge_history([(1, 2)], [1, 1])
    with pytest.raises(SettingError, match="num_errors must be 1 or more; got 0"):
        g.replay_merge_history([(1, 2)], [1], 0)
    assert g.n_merges == 0
    assert g.replay_merge_history([(1, 2), (8, 3)]) == (2, (8, 3))
    assert g.replay_merge_history([(6, 9), (10, 4)], [0, 1]) == (2, (10, 4))
    assert g.nodes() == [4, 5, 10, 7]


@given(volumes(), st.data())
@few
def test_cluster_by_labels__gives_the_segmentation_of_the_labels(volume, data):
    labels, image, connectivity = volume
    g = after_merges(Rag(labels, image, connectivity=connectivity), data, most=2)
    before, names = g.build_volume(), g.nodes()[:-1]
    given_labels = data.draw(st.lists(st.integers(-2, 3), min_size=len(names), max_size=len(names)))
    lookup = dict(zip(names, given_labels, strict=True))
    assert g.cluster_by_labels(given_labels) == len(names) - len(set(given_labels))
    assert same_partition(g.get_segmentation(), np.vectorize(lookup.get)(before))


def test_cluster_by_labels__of_some_regions():
    g = Rag(NEST, np.zeros(NEST.shape))
    assert g.cluster_by_labels(["a", "b", "a"], nodes=[6, 2, 4]) == 1
    assert_array_equal(g.get_segmentation(), np.where(NEST == 6, 4, NEST))
    with pytest.raises(ShapeError, match="one entry for each of 5 regions; got shape \\(1,\\)"):
        g.cluster_by_labels([1])
    with pytest.raises(KeyError, match="region 4 is part of a larger one"):
        g.cluster_by_labels([1, 1], nodes=[1, 4])
    with pytest.raises(SettingError, match="some are there twice"):
        g.cluster_by_labels([1, 1], nodes=[1, 1])
    assert g.n_merges == 1


def test_set_exclusions__holds_from_now_on():
    g = Rag(NEST, NEST / 8)
    new = g.merge_nodes(1, 6)
    g.set_exclusions(np.where(np.isin(NEST, (1, 3, 6)), 5, 0))
    copied = g.copy()
    for graph in (g, copied):
        assert graph.nodes() == [2, 3, 4, 5, new, 7]
        graph.agglomerate(np.inf)
        segments = graph.get_segmentation()
        assert len(np.unique(segments)) == 2
        assert segments[0, 0] == segments[5, 6] != segments[2, 2]
    with pytest.raises(ShapeError, match="must have the shape of the labels"):
        g.set_exclusions(NEST[:1])


# ------------------------------------------------------------------------------------------------ images


@given(volumes(), st.data())
@few
def test_build_volume__shows_the_numbers_of_regions(volume, data):
    labels, image, connectivity = volume
    mask = data.draw(st.sampled_from([None, image[..., 0] < 1]))
    g = after_merges(Rag(labels, image, connectivity=connectivity, mask=mask), data)
    names = g.nodes()[:-1]
    expected = np.zeros(labels.size, np.int64)
    for n in names:
        expected[g.extent(n)] = n
    assert_array_equal(g.build_volume(), expected.reshape(labels.shape))
    chosen = data.draw(st.sets(st.sampled_from(names))) if names else set()
    assert_array_equal(
        g.build_volume(iter(chosen)), np.where(np.isin(g.build_volume(), list(chosen)), g.build_volume(), 0)
    )


def test_build_volume__of_large_numbers():
    g = Rag(NEST.astype(np.uint64) + np.uint64(2**63), np.zeros(NEST.shape))
    assert g.build_volume().dtype == np.uint64
    assert g.merge_nodes(2**63 + 3, 2**63 + 4) == 2**63 + 8
    assert_array_equal(g.build_volume([2**63 + 8]), np.where(np.isin(NEST, (3, 4)), np.uint64(2**63 + 8), 0))
    g = Rag(NEST.astype(np.uint64) + np.uint64(2**64 - 7), np.zeros(NEST.shape))
    assert_array_equal(g.build_volume(), g.watershed)
    g.merge_nodes(2**64 - 4, 2**64 - 3)
    with pytest.raises(LabelError, match="relabel the volume"):
        g.build_volume()
    assert_array_equal(np.unique(g.build_volume([2**64 - 2])), np.array([0, 2**64 - 2], dtype=np.uint64))
    with pytest.raises(KeyError, match="part of a larger one"):
        g.build_volume([2**64 - 3])


@given(volumes(max_labels=30), st.data())
@some
def test_boundary_map__has_the_height_at_which_regions_merge(volume, data):
    labels, image, connectivity = volume
    mask = data.draw(st.sampled_from([None, image[..., 0] < 1]))
    g = after_merges(Rag(labels, image - 0.25, connectivity=connectivity, mask=mask), data, most=2)
    g.agglomerate_count(data.draw(st.integers(0, 40)))
    position = {n: i for i, n in enumerate(g.graph.labels.tolist())}
    of_node = dict(zip(g.names[g.graph.n_regions :].tolist(), g.tree.height.tolist(), strict=False))
    now = {leaf: n for n in g.nodes()[:-1] for leaf in g.nodes[n]["fragments"]}
    expected = np.full(labels.size, np.nan)
    weights = np.full(labels.size, np.nan)
    for (u, v), voxels in naive.contacts(labels, connectivity, mask=mask).items():
        if now[u] == now[v]:
            at = [t for t in np.unique(g.tree.height) if len(set(g.tree.cut(t)[[position[u], position[v]]])) == 1]
            height = at[0]
        else:
            weight = g.edges[now[u], now[v]]["weight"]
            height = max([weight, *(of_node[n] for n in (now[u], now[v]) if n in of_node)])
            weights[voxels] = np.fmax(weights[voxels], height)
        expected[voxels] = np.fmax(expected[voxels], height)
    assert_array_equal(g.build_boundary_map().ravel(), np.nan_to_num(expected))
    assert_array_equal(g.build_boundary_map(g.real_edges()).ravel(), np.nan_to_num(weights))


@given(volumes(max_labels=30), st.sampled_from([0, 0.2, 0.5, 0.8]))
@few
def test_boundary_map__above_a_threshold_bounds_the_segments_of_the_cut(volume, threshold):
    labels, image, connectivity = volume
    g = Rag(labels, image, connectivity=connectivity)
    g.agglomerate(np.inf)
    heights = g.build_boundary_map()
    segments = g.get_segmentation(threshold)
    between = {voxel for voxels in naive.contacts(segments, connectivity).values() for voxel in voxels}
    assert set(np.flatnonzero(heights > threshold).tolist()) == between


def test_boundary_map__of_a_row():
    g = Rag(np.array([1, 1, 2, 2, 3, 3, 4]), np.array([0, 0.5, 0, 0.25, 0.25, 1, 0]))
    fresh = [0, 0.25, 0.25, 0.25, 0.25, 0.5, 0.5]
    assert g.build_boundary_map().tolist() == fresh  # of contacts that have not merged, the priorities
    assert g.build_boundary_map([(2, 3)]).tolist() == [0, 0, 0, 0.25, 0.25, 0, 0]
    g.merge_nodes(1, 2, 0.75)
    assert g.build_boundary_map().tolist() == [0, 0.75, 0.75, 0.75, 0.75, 0.5, 0.5]
    assert g.build_boundary_map([]).tolist() == [0] * 7
    with pytest.raises(KeyError, match="2 is part of a larger one"):
        g.build_boundary_map([(2, 3)])
    with pytest.raises(KeyError, match="6 and 4 do not touch"):
        g.build_boundary_map([(6, 4)])
    never = Rag(np.array([1, 2]), None, lambda g, u, v: np.inf)
    assert never.build_boundary_map().tolist() == [np.inf, np.inf]


def test_edge_coordinates__show_the_contact():
    labels = np.array([[1, 2, 2], [1, 2, 2], [1, 1, 2], [3, 3, 3]])
    g = Rag(labels, np.zeros(labels.shape))
    assert g.get_edge_coordinates(1, 2).tolist() == g.get_edge_coordinates(2, 1).tolist() == [0, 1]
    voxels = np.transpose(np.unravel_index(g.boundary(1, 2), labels.shape)).tolist()
    assert g.get_edge_coordinates(1, 2, arbitrary=True).tolist() in voxels
    new = g.merge_nodes(1, 2)
    assert g.get_edge_coordinates(new, 3).tolist() == [2, 0]
    assert labels[tuple(g.get_edge_coordinates(new, 3, arbitrary=True))] in (1, 2, 3)
    assert g.get_edge_coordinates(3, g.boundary_body).tolist() == [3, 0]
    assert g.get_edge_coordinates(3, g.boundary_body, arbitrary=True).tolist() == [3, 0]
    with pytest.raises(KeyError, match="do not touch"):
        Rag(NEST).get_edge_coordinates(1, 5)


# ------------------------------------------------------------------------------------------------ truth


@given(volumes(), st.data(), st.integers(0, 999))
@some
def test_truth__says_which_regions_belong_together(volume, data, seed):
    labels, image, connectivity = volume
    rng = np.random.default_rng(seed)
    mask = data.draw(st.sampled_from([None, rng.random(labels.shape) < 0.8]))
    truth = rng.integers(0, 4, labels.shape) * 3
    g = after_merges(Rag(labels, image, connectivity=connectivity, mask=mask), data)
    g.set_ground_truth(truth)
    expected = {}
    for n in g.nodes()[:-1]:
        inside = truth.flat[g.extent(n)]
        found, counts = np.unique(inside[inside > 0], return_counts=True)
        expected[n] = int(found[counts.argmax()]) if len(found) else 0
    assert g.assignment() == g.assignment(truth) == expected
    pixels = np.zeros(labels.size, np.uint8)
    for u, v in sorted(g.real_edges(), key=lambda pair: expected[pair[0]] != expected[pair[1]]):
        together = expected[u] == expected[v] != 0
        assert g.should_merge(u, v) is together
        if expected[u] and expected[v]:
            pixels[g.boundary(u, v)] = 2 if together else 1
    assert_array_equal(g.pixel_labels_array().ravel(), pixels)
    assert_array_equal(g.pixel_labels_array(false_splits_only=True).ravel(), np.where(pixels == 2, 2, 0))
    if truth.any():
        learned = g.learn_flat(truth, Null())
        assert [g.should_merge(*pair) for pair in learned.merges.tolist()] == (learned.y[:, 0] < 0).tolist()


def test_truth__can_be_exchanged():
    g = Rag(NEST, np.zeros(NEST.shape), background=6)
    for ask in (lambda: g.should_merge(1, 2), g.pixel_labels_array, g.assignment):
        with pytest.raises(SettingError, match="there is no truth to compare with"):
            ask()
    g.set_ground_truth(NEST > 2)
    assert g.assignment() == {1: 0, 2: 0, 3: 1, 4: 1, 5: 1}
    assert (g.should_merge(3, 4), g.should_merge(1, 2), g.should_merge(1, 3)) == (True, False, False)
    g.set_ground_truth(NEST)
    assert not g.should_merge(3, 4)
    new = g.merge_nodes(3, 4)
    assert g.assignment()[new] == 4
    with pytest.raises(KeyError, match="part of a larger one"):
        g.should_merge(3, 5)
    with pytest.raises(ShapeError, match="truth must have the shape"):
        g.assignment(NEST[:1])


# ------------------------------------------------------------------------------------------------ other programs


@given(volumes(), st.data())
@few
def test_networkx__has_what_the_views_show(volume, data):
    labels, image, connectivity = volume
    g = after_merges(Rag(labels, image, connectivity=connectivity), data)
    plain = g.to_networkx()
    assert list(plain) == g.nodes()[:-1]
    assert {frozenset(pair) for pair in plain.edges} == {frozenset(pair) for pair in g.real_edges()}
    for n, node in plain.nodes.items():
        assert node == {name: g.nodes[n][name] for name in ("size", "at_volume_boundary")}
    for pair, edge in plain.edges.items():
        assert edge == {name: g.edges[pair][name] for name in ("size", "weight")}
    again = nx.node_link_graph(json.loads(g.to_json()), edges="edges")
    for u, v, edge in again.edges(data=True):
        assert np.ravel_multi_index(edge.pop("coordinates"), labels.shape) in g.boundary(u, v)
    assert nx.utils.graphs_equal(again, plain)


def test_json__in_a_file(tmp_path):
    g = Rag(NEST, None, lambda g, u, v: np.inf if u == 1 else u / 8)
    g.write_to_json(tmp_path / "graph.json")
    read = json.loads((tmp_path / "graph.json").read_text())
    assert read["nodes"][0] == {"id": 1, "size": 21, "at_volume_boundary": True}
    assert read["edges"][0]["weight"] is None  # infinity
    assert {edge["weight"] for edge in read["edges"][2:]} == {0.25, 0.375, 0.5}
    with pytest.raises(FileError, match="there is no folder"):
        g.write_to_json(tmp_path / "none" / "graph.json")
    without = json.loads(export.to_json(RunningGraph(build_graph(NEST), lambda g, u, v: 0.5)))
    assert set(without["edges"][0]) == {"source", "target", "size", "weight"}


# ------------------------------------------------------------------------------------------------ real data


@pytest.fixture(scope="module")
def example():
    """Return superpixels, boundary probabilities and truth."""
    return [read(f"test-{name}") for name in ("ws", "p1", "gt")]


@pytest.mark.compiled
def test_example__contours_bound_the_segments(example):
    ws, pr, _ = example
    g = Rag(ws, pr)
    g.agglomerate(np.inf)
    heights = g.build_boundary_map()
    for threshold in (0.1, 0.5, 0.8):
        segments = g.get_segmentation(threshold)
        between = np.zeros(ws.shape, bool)
        for axis in range(3):
            first, second = ([slice(None)] * axis + [part] for part in (slice(-1), slice(1, None)))
            differ = segments[tuple(first)] != segments[tuple(second)]
            between[tuple(first)] |= differ
            between[tuple(second)] |= differ
        assert_array_equal(heights > threshold, between)


@pytest.mark.compiled
def test_example__regions_at_the_border(example):
    ws, pr, gt = example
    g = Rag(ws, pr, gt_vol=gt)
    g.agglomerate(0.5)
    n_regions = len(g.nodes())
    labels = g.build_volume()
    is_inner = np.zeros(ws.shape, bool)
    is_inner[1:-1, 1:-1, 1:-1] = True
    orphans, through, others = g.orphans(), g.traversing_bodies(), g.non_traversing_bodies()
    assert sorted([*orphans, *through, *others]) == g.nodes()[:-1]
    assert set(orphans) == set(np.unique(labels)) - set(np.unique(labels[~is_inner]))
    assert [n for n in through if ndimage.label((labels == n) & ~is_inner, np.ones((3, 3, 3)))[1] < 2] == []
    assert [n for n in others if ndimage.label((labels == n) & ~is_inner, np.ones((3, 3, 3)))[1] > 1] == []
    assert g.remove_inclusions() == n_regions - len(g.nodes())
    before = g.split_vi()
    assert g.merge_small(500) > 0
    assert min(g.nodes[n]["size"] for n in g.nodes()[:-1]) >= 500
    assert g.split_vi()[1] < before[1]
    assert_allclose(sum(g.nodes[n]["size"] for n in g.nodes()[:-1]), ws.size)


@pytest.mark.compiled
def test_example__truth_labels_the_contacts(example):
    ws, pr, gt = example
    g = Rag(ws, pr, gt_vol=gt)
    kept, split = (set(np.flatnonzero(g.pixel_labels_array() == value)) for value in (1, 2))
    for u, v in itertools.islice(g.real_edges(), 0, None, 20):
        voxels = set(g.boundary(u, v).tolist())
        assert voxels <= ((kept | split) if g.should_merge(u, v) else kept) or 0 in (
            g.assignment()[u],
            g.assignment()[v],
        )
