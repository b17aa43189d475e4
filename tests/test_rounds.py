"""Agglomeration in rounds, and in blocks, gives the tree of the heap for reducible policies."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.linear_model import LogisticRegression

import naive_engine
import naive_policies as slow
from gala.agglo import Rag
from gala.engine import rounds as engine_rounds
from gala.engine.agglomerate import agglomerate
from gala.engine.blocks import Merges, agglomerate_inside, assemble, face_labels, frozen_regions, join_remainders
from gala.engine.policy import (
    as_policy,
    boundary_max,
    boundary_mean,
    boundary_mean_plus_sem,
    boundary_min,
    boundary_quantile,
    boundary_sum,
    classifier_probability,
    make_ladder,
    oriented_boundary_mean,
    row_policy,
)
from gala.engine.rounds import ordered
from gala.engine.running import RunningGraph
from gala.errors import LabelError, PolicyError, SettingError, ShapeError
from gala.features import moments
from gala.graph.build import build_graph
from gala.graph.constraints import Constraints
from gala.graph.regions import RegionGraph, joined
from gala.graph.tree import MergeTree
from naive_engine import volumes
from strategies import forests

some = settings(deadline=None, max_examples=40)
few = settings(deadline=None, max_examples=15)
LINKAGES = {"mean": boundary_mean, "min": boundary_min, "max": boundary_max}
linkages = st.sampled_from(list(LINKAGES))
thresholds = st.sampled_from([0.25, 0.5, 0.75, np.inf])
rescores = st.sampled_from(["shared", "all"])


def called(policy):
    """Return a policy of the same priorities, and the same linkage, that the compiled engine does not know."""
    function = as_policy(lambda g, edges: policy(g, edges))
    function.linkage = policy.linkage
    return function


@st.composite
def patches(draw, *, steps=(1, 4, 64)):
    """Return labels of patches in any order, an image with exact sums, and a connectivity: regions with few neighbours.

    Now and then a region is in two pieces.
    """
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    ndim = draw(st.integers(1, 3))
    shape = rng.integers(2, (20, 7, 4)[ndim - 1] + 1, ndim)
    labels = rng.permutation(3 * np.arange(shape.prod()))
    if draw(st.booleans()):
        labels[rng.integers(labels.size)] = labels[0]
    labels = np.kron(labels.reshape(shape), np.ones(rng.integers(1, 3, ndim), dtype=np.int64))
    step = draw(st.sampled_from(steps))
    image = rng.integers(0, step + 1, (*labels.shape, 1)) / step
    return labels, image, draw(st.integers(1, ndim))


def assert_same_tree(tree, other):
    assert_array_equal(tree.children, other.children)
    assert tree.priority.tobytes() == other.priority.tobytes()


def graph_of(volume, needs):
    labels, image, connectivity = volume
    return build_graph(labels, image, needs, connectivity=connectivity)


# ---------------------------------------------------------------------------------------------- rounds


def test_reducible__are_means_minima_and_maxima():
    means = [boundary_mean, boundary_mean(channel=2), oriented_boundary_mean]
    assert all(policy.reducible for policy in [*means, boundary_min, boundary_max(channel=1)])
    others = [boundary_sum, boundary_quantile(0.5), boundary_mean_plus_sem, make_ladder(boundary_mean, 10)]
    assert not any(policy.reducible for policy in others)


@given(st.one_of(volumes(), patches()), linkages, thresholds, rescores)
@some
def test_rounds__of_a_reducible_policy_give_the_tree_of_the_heap(volume, linkage, threshold, rescore):
    policy = LINKAGES[linkage]
    graph = graph_of(volume, policy.needs)
    expected = agglomerate(graph, policy, threshold, rescore=rescore)
    for asked in (policy, called(policy)):
        assert_same_tree(agglomerate(graph, asked, threshold, engine="rounds", rescore=rescore), expected)


@given(st.one_of(volumes(steps=(1, 4)), patches(steps=(1, 4))), linkages)
@few
def test_ties__are_those_of_the_slow_engine(volume, linkage):
    policy = LINKAGES[linkage]
    twin = naive_engine.Graph(*volume, lowest_first=linkage == "min")
    slow_priority = {"mean": slow.mean, "min": slow.lowest, "max": slow.highest}[linkage](0)
    twin.agglomerate(naive_engine.each(slow_priority))
    tree = agglomerate(graph_of(volume, policy.needs), policy, engine="rounds")
    g = Rag(volume[0], volume[1], connectivity=volume[2])
    assert [tuple(pair) for pair in g.names[tree.children].tolist()] == twin.history


@st.composite
def constraints_of(draw, labels):
    """Return some constraints on superpixels, which may name any two."""
    pairs = st.lists(st.lists(st.sampled_from(labels), min_size=2, max_size=2, unique=True), max_size=3)
    marks = st.lists(st.tuples(st.sampled_from(labels), st.integers(1, 3)), max_size=12)
    frozen = st.lists(st.sampled_from(labels), max_size=2)
    return Constraints(cannot_link=draw(pairs), exclusions=draw(marks), frozen=draw(frozen))


@given(st.data(), st.one_of(volumes(), patches()), linkages)
@settings(deadline=None, max_examples=100)
def test_rounds__obey_constraints_as_the_heap_does(data, volume, linkage):
    policy = LINKAGES[linkage]
    graph = graph_of(volume, policy.needs)
    labels = graph.labels.tolist()
    constraints = data.draw(constraints_of(labels)) if len(labels) > 1 else Constraints()
    expected = agglomerate(graph, policy, constraints=constraints)
    tree = agglomerate(graph, policy, engine="rounds", constraints=constraints)
    assert_same_tree(tree, expected)
    assert tree.constraints == constraints


def test_rounds__link_what_must_link_first():
    labels, image = np.repeat(np.arange(6), 2), np.linspace(0, 1, 12)
    graph = build_graph(labels, image, boundary_mean.needs)
    constraints = Constraints(must_link=[[4, 5], [0, 3]])
    expected = agglomerate(graph, boundary_mean, constraints=constraints)
    assert_same_tree(agglomerate(graph, boundary_mean, constraints=constraints, engine="rounds"), expected)
    assert expected.priority[:2].tolist() == [-np.inf] * 2


@given(volumes(max_labels=30), linkages, st.integers(1, 3))
@few
def test_rounds__do_not_depend_on_threads(volume, linkage, n_threads):
    graph = graph_of(volume, LINKAGES[linkage].needs)
    one = agglomerate(graph, LINKAGES[linkage], engine="rounds", n_threads=1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(engine_rounds, "_MANY", 2)
        patch.setattr(engine_rounds, "_REGION_BLOCK", 2)
        assert_same_tree(agglomerate(graph, LINKAGES[linkage], engine="rounds", n_threads=n_threads), one)


OTHERS = [boundary_mean_plus_sem(alpha=2), boundary_sum, make_ladder(boundary_mean, 6, 0), boundary_quantile(0.5, 8)]


@pytest.mark.parametrize("policy", OTHERS, ids=repr)
@given(volume=volumes(), threshold=thresholds, rescore=rescores)
@few
def test_rounds__of_any_policy_leave_nothing_below_the_threshold(policy, volume, threshold, rescore):
    graph = graph_of(volume, policy.needs)
    tree = agglomerate(graph, policy, threshold, engine="rounds", rescore=rescore)
    assert (tree.priority < threshold).all()
    g = Rag(volume[0], volume[1], policy, connectivity=volume[2], update_unchanged_edges=rescore == "all")
    g.priorities()
    for pair in tree.children:
        g.merge_nodes(*g.names[pair].tolist())
    left = g.state.priority[g.state.ends[:, 0] >= 0]
    assert (left >= threshold).all()


@given(volumes(steps=(7, 100)), linkages)
@some
def test_rounds__with_sums_that_are_rounded_have_the_priorities_of_the_heap_to_12_digits(volume, linkage):
    labels, image, connectivity = volume
    image = image + np.random.default_rng(image.size).random(image.shape)  # hardly a tie
    graph = build_graph(labels, image, LINKAGES[linkage].needs, connectivity=connectivity)
    tree, other = (agglomerate(graph, LINKAGES[linkage], engine=engine) for engine in ("rounds", "heap"))
    assert_array_equal(tree.children, other.children)
    assert_allclose(tree.priority, other.priority, rtol=1e-12)


class Counting:
    """A classifier that cannot be laid flat, and counts how often it is asked."""

    def __init__(self, classifier):
        self.classifier, self.n_calls = classifier, 0
        self.classes_, self.n_features_in_ = classifier.classes_, classifier.n_features_in_

    def predict_proba(self, X):
        self.n_calls += 1
        return self.classifier.predict_proba(X)


def test_rounds__ask_a_classifier_once_a_round():
    rng = np.random.default_rng(0)
    labels = np.kron(np.arange(1728).reshape(12, 12, 12), np.ones((2, 2, 2), dtype=int))
    image = rng.random(labels.shape)
    manager = moments.Manager(2)
    graph = build_graph(labels, image, manager)
    X = rng.random((60, 12))  # the mean of the contact is the eighth
    asked = {}
    for engine in ("heap", "rounds"):
        classifier = Counting(LogisticRegression().fit(X, np.where(X[:, 7] > 0.5, 1, -1)))
        asked[engine] = agglomerate(graph, classifier_probability(manager, classifier), 0.5, engine=engine)
        asked[engine, "calls"] = classifier.n_calls
    assert asked["rounds"].n_merges > 500
    assert 20 * asked["rounds", "calls"] < asked["heap", "calls"]


def _nan_of_three(params, u, v, edge, out):  # noqa: ARG001  # row kernels share a signature
    out[0] = np.nan if u[0] + v[0] == 3 else u[0] + v[0]


def test_rounds__of_a_policy_that_gives_nan_are_refused():
    graph = build_graph([1, 1, 2, 2, 3], [0, 0.5, 0.5, 0, 1], boundary_mean.needs)
    with pytest.raises(PolicyError, match="NaN"):
        agglomerate(graph, lambda _g, edges: np.full(len(edges), np.nan), engine="rounds")
    nan = row_policy(_nan_of_three)
    with pytest.raises(PolicyError, match="gave NaN for regions"):
        agglomerate(build_graph([1, 2, 3, 4]), nan, engine="rounds", rescore="all")
    with pytest.raises(SettingError, match="got 'piles'"):
        agglomerate(graph, boundary_mean, engine="piles")


def lowest_of(tree, node):
    return tree.leaves_of(node)[0]


@given(forests(), st.randoms(use_true_random=False))
@some
def test_ordered__is_what_a_list_that_is_searched_again_and_again_gives(tree, random):
    rank = np.array(random.sample(range(tree.n_merges), tree.n_merges), dtype=np.int64)
    number, expected, waiting = dict(enumerate(range(tree.n_leaves))), [], set(range(tree.n_merges))
    while waiting:
        ready = [k for k in waiting if all(child in number for child in tree.children[k].tolist())]
        k = min(ready, key=lambda k: (tree.priority[k], rank[k]))
        waiting.remove(k)
        expected.append((sorted(number[child] for child in tree.children[k].tolist()), tree.priority[k]))
        number[tree.n_leaves + k] = tree.n_leaves + len(expected) - 1
    found = ordered(tree.n_leaves, tree.children, tree.priority, rank)
    assert list(zip(found.children.tolist(), found.priority.tolist(), strict=True)) == expected


# ---------------------------------------------------------------------------------------------- blocks


@st.composite
def cuts(draw, shape):
    """Return the blocks of a volume, as slices: cut along each axis anywhere."""
    axes = []
    for side in shape:
        inner = sorted(draw(st.sets(st.integers(1, side - 1), max_size=2))) if side > 1 else []
        axes.append([slice(a, b) for a, b in itertools.pairwise([0, *inner, side])])
    return list(itertools.product(*axes))


def block_graph(volume, block, whole):
    """Return the graph of a block, which owns its voxels and sees one voxel beyond, from its definition."""
    labels, image, connectivity = volume
    near = [d for d in itertools.product([-1, 0, 1], repeat=labels.ndim) if 0 < np.abs(d).sum() <= connectivity]
    seen, regions, contacts = set(), {}, {}
    for x in itertools.product(*[range(s.start, s.stop) for s in block]):
        own = int(labels[x])
        seen.add(own)
        regions.setdefault(own, []).append(x)
        beyond = [tuple(np.add(x, d)) for d in near]
        around = {int(labels[y]) for y in beyond if all(0 <= i < n for i, n in zip(y, labels.shape, strict=True))}
        seen |= around
        for other in around - {own}:
            contacts.setdefault((min(own, other), max(own, other)), []).append(x)
    found = sorted(seen)
    pairs = sorted(contacts)

    def row(spec, voxels):
        value = {"count": 1.0, "p0": 1.0}
        rows = [[value.get(name, image[x][0]) for name in spec.names] for x in voxels]
        return spec.join(spec.empty, rows[0]) if len(rows) == 1 else _joined(spec, rows)

    def at_border(x):
        return any(i in (0, n - 1) for i, n in zip(x, labels.shape, strict=True))

    return RegionGraph(
        labels=np.array(found, dtype=whole.labels.dtype),
        edges=np.searchsorted(found, np.array(pairs, dtype=np.int64).reshape(-1, 2)),
        region_spec=whole.region_spec,
        region_cache=np.array(
            [row(whole.region_spec, regions[n]) if n in regions else whole.region_spec.empty for n in found]
        ),
        contact_spec=whole.contact_spec,
        contact_cache=np.array([row(whole.contact_spec, contacts[pair]) for pair in pairs]).reshape(
            len(pairs), len(whole.contact_spec)
        ),
        border_sizes=np.array([sum(map(at_border, regions.get(n, []))) for n in found]),
        kind=whole.kind,
    )


def _joined(spec, rows):
    out = spec.empty
    for row in rows:
        out = spec.join(out, row)
    return out


def agglomerate_blocks(graphs, policy, threshold, draw_group):
    """Agglomerate each block, then join some of what is left, again and again; return the merges and what is left."""
    parts, left = [], []

    def inside(graph, own):
        outside = [graphs[i].labels for i in range(len(graphs)) if i not in own]
        merges, remainder = agglomerate_inside(graph, policy, threshold, frozen=frozen_regions(graph, outside))
        parts.append(merges)
        return remainder, own

    left = [inside(graph, [i]) for i, graph in enumerate(graphs)]
    while len(left) > 1:
        chosen = draw_group(len(left))
        group, left = [left[i] for i in chosen], [left[i] for i in range(len(left)) if i not in chosen]
        own = [i for _, numbers in group for i in numbers]
        left.append(inside(join_remainders([remainder for remainder, _ in group]), own))
    return parts, left[0][0]


@given(st.data(), st.one_of(patches(), volumes(max_labels=10)), linkages, thresholds)
@settings(deadline=None, max_examples=100)
def test_blocks__of_a_reducible_policy_give_the_tree_of_the_whole(data, volume, linkage, threshold):
    policy = LINKAGES[linkage]
    whole = graph_of(volume, policy.needs)
    graphs = [block_graph(volume, block, whole) for block in data.draw(cuts(volume[0].shape))]
    assert_array_equal(joined(graphs).contact_cache, whole.contact_cache)

    def draw_group(n):
        return data.draw(st.lists(st.integers(0, n - 1), min_size=2, max_size=4, unique=True))

    parts, left = agglomerate_blocks(graphs, policy, threshold, draw_group)
    tree = assemble(whole.labels, parts)
    assert_same_tree(tree, agglomerate(whole, policy, threshold))
    assert tree.n_leaves == whole.n_regions
    assert left.graph.n_regions == len(left.graph.edges) == 0


@given(st.data(), patches(steps=(2, 4)), linkages)
@settings(deadline=None, max_examples=60)
def test_blocks__give_the_tree_of_the_whole_with_infinite_priorities_and_ties_at_the_limit(data, volume, linkage):
    policy, (labels, image, connectivity) = LINKAGES[linkage], volume
    # Priorities of constraints are infinite. Minus infinity is of no image, and its mean with others comes too early.
    wild = np.where(np.random.default_rng(image.size).random(image.shape) < 0.1, np.inf, image)
    alike = graph_of(volume, policy.needs)
    graphs = [block_graph((labels, wild, connectivity), block, alike) for block in data.draw(cuts(labels.shape))]
    whole = joined(graphs)
    at = data.draw(st.sampled_from([-np.inf, np.inf, *np.unique(agglomerate(whole, policy).priority).tolist()]))
    threshold = data.draw(st.sampled_from([at, np.nextafter(at, np.inf)]))
    random = data.draw(st.randoms(use_true_random=False))
    parts, _ = agglomerate_blocks(graphs, policy, threshold, lambda n: random.sample(range(n), min(n, 3)))
    assert_same_tree(assemble(whole.labels, parts), agglomerate(whole, policy, threshold))


@given(st.data(), st.one_of(patches(), volumes(max_labels=10)), linkages, thresholds)
@some
def test_remainder__has_the_segments_that_wait_and_no_other(data, volume, linkage, threshold):
    policy = LINKAGES[linkage]
    graph = graph_of(volume, policy.needs)
    frozen = np.array(data.draw(st.lists(st.booleans(), min_size=graph.n_regions, max_size=graph.n_regions)))
    merges, left = agglomerate_inside(graph, policy, threshold, frozen=frozen)
    roots = assemble(graph.labels, [merges]).cut()
    segments = graph_of((graph.labels[roots][np.searchsorted(graph.labels, volume[0])], *volume[1:]), policy.needs)
    # Voxels that touched both parts of a segment count twice in joined rows.
    of_pair = {tuple(pair): segments.contact_spec.empty for pair in segments.labels[segments.edges].tolist()}
    for pair, row in zip(np.sort(graph.labels[roots][graph.edges]).tolist(), graph.contact_cache, strict=True):
        if tuple(pair) in of_pair:
            of_pair[tuple(pair)] = graph.contact_spec.join(of_pair[tuple(pair)], row)
    rows = np.reshape(list(of_pair.values()), segments.contact_cache.shape)
    segments = replace(segments, contact_cache=rows)
    # The slow way: all that some path of contacts below the threshold leads to from a region that is frozen.
    below = policy(RunningGraph(segments, policy), segments.edges) < threshold
    waits = np.isin(segments.labels, graph.labels[frozen])
    for _ in range(segments.n_regions):
        waits[segments.edges[below & waits[segments.edges].any(axis=1)]] = True
    contacts = waits[segments.edges].all(axis=1)
    assert_array_equal(left.graph.labels, segments.labels[waits])
    assert_array_equal(left.graph.labels[left.graph.edges], segments.labels[segments.edges[contacts]])
    assert_array_equal(left.graph.contact_cache, segments.contact_cache[contacts])
    assert_array_equal(left.graph.region_cache, segments.region_cache[waits])
    assert_array_equal(left.graph.border_sizes, segments.border_sizes[waits])


def test_blocks__merge_most_before_they_are_joined():
    rng = np.random.default_rng(1)
    labels = np.kron(np.arange(512).reshape(8, 8, 8), np.ones((2, 2, 2), dtype=int))
    volume = labels, rng.integers(0, 257, (16, 16, 16, 1)) / 256, 1
    whole = graph_of(volume, boundary_mean.needs)
    graphs = [block_graph(volume, (slice(a, b), slice(0, 16), slice(0, 16)), whole) for a, b in ((0, 8), (8, 16))]
    parts, _ = agglomerate_blocks(graphs, boundary_mean, np.inf, lambda n: range(n))
    expected = agglomerate(whole, boundary_mean)
    assert_same_tree(assemble(whole.labels, parts), expected)
    assert sum(len(part.priority) for part in parts[:2]) > 100


def test_face_labels__are_all_that_both_sides_of_a_face_have():
    rng = np.random.default_rng(2)
    labels = np.kron(np.arange(64).reshape(4, 4, 4), np.ones((3, 3, 3), dtype=int))
    volume = labels, rng.random((12, 12, 12, 1)), 3
    whole = graph_of(volume, boundary_mean.needs)
    for cut in (5, 6, 7):
        blocks = [(slice(0, cut), slice(0, 12), slice(0, 12)), (slice(cut, 12), slice(0, 12), slice(0, 12))]
        first, second = (block_graph(volume, block, whole) for block in blocks)
        expected = np.intersect1d(first.labels, second.labels)
        near = face_labels(labels, 0, cut)
        assert_array_equal(near, expected)
        assert_array_equal(first.labels[frozen_regions(first, [near])], expected)


def test_blocks__say_what_is_wrong():
    graph = build_graph([1, 1, 2, 2], [0, 0.2, 0.3, 0], boundary_mean.needs)
    with pytest.raises(ShapeError, match="one truth value for each of 2 regions; got int64"):
        agglomerate_inside(graph, boundary_mean, frozen=[0, 1])
    merges, _ = agglomerate_inside(graph, boundary_mean, frozen=[False, False])
    with pytest.raises(LabelError, match="some parts are there twice"):
        assemble(graph.labels, [merges, merges])
    with pytest.raises(LabelError, match="no region with label 2"):
        assemble(graph.labels[:1], [merges])
    assert isinstance(assemble(graph.labels, []), MergeTree)
    assert isinstance(merges, Merges)
