"""Partitions of signed graphs: slow twins, optima by enumeration, and the answers of other libraries."""

from __future__ import annotations

import itertools
from typing import NamedTuple

import bioimage_cpp.graph as peer
import numpy as np
import pytest
from bioimage_cpp import segmentation as peer_voxels
from hypothesis import example, given, settings, strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from gala import datasets
from gala.agglo import Rag
from gala.classify import DefaultRandomForest
from gala.engine import partition as parts
from gala.engine.partition.gasp import LINKAGES
from gala.engine.partition.multicut import SOLVERS
from gala.engine.policy import boundary_mean, boundary_quantile, boundary_sum, classifier_probability
from gala.engine.running import RunningGraph
from gala.errors import GalaWarning, ImageError, LabelError, PolicyError, SettingError, ShapeError
from gala.features import base, histogram, moments
from gala.graph.affinity_graph import build_affinity_graph
from gala.graph.caches import CacheSpec, Channels, ImageKind
from gala.graph.constraints import Constraints
from gala.graph.regions import RegionGraph

few = settings(deadline=None, max_examples=40)
random_values = pytest.mark.filterwarnings("ignore:affinities look inverted")
NEAR = [[-1, 0, 0], [0, -1, 0], [0, 0, -1]]
FAR = [[0, -5, 0], [-3, 0, 4]]


def graph_of(n_regions, edges, sizes=None):
    """Return a graph without an image."""
    counts = np.ones(len(edges)) if sizes is None else np.asarray(sizes, dtype=float)
    return RegionGraph(
        labels=np.arange(n_regions) * 3 + 5,
        edges=np.array(edges, dtype=np.int64).reshape(-1, 2),
        region_spec=CacheSpec.sums("count"),
        region_cache=np.ones((n_regions, 1)),
        contact_spec=CacheSpec.sums("count"),
        contact_cache=counts[:, np.newaxis],
        border_sizes=np.zeros(n_regions, dtype=np.int64),
        kind=ImageKind.unit(Channels.all_plain(0), ndim=3),
    )


class Case(NamedTuple):
    """A small graph, weights without ties, and pairs that need not touch."""

    graph: RegionGraph
    weights: np.ndarray
    lifted: np.ndarray
    lifted_weights: np.ndarray


@st.composite
def cases(draw, most=6):
    n = draw(st.integers(2, most))
    pairs = list(itertools.combinations(range(n), 2))
    edges = sorted(draw(st.sets(st.sampled_from(pairs), min_size=1)))
    others = [pair for pair in pairs if pair not in edges]
    lifted = sorted(draw(st.sets(st.sampled_from(others)))) if others else []
    random = np.random.default_rng(draw(st.integers(0, 10**6)))
    sizes = random.integers(1, 9, len(edges))
    weights = random.normal(draw(st.sampled_from([-0.5, 0.0, 0.5])), 1, len(edges) + len(lifted))
    return Case(
        graph_of(n, edges, sizes),
        weights[: len(edges)],
        np.array(lifted, dtype=np.int64).reshape(-1, 2),
        weights[len(edges) :],
    )


def all_partitions(n):
    """Yield every partition of n regions, as the lowest region of each one's segment."""
    if n == 0:
        yield []
        return
    for before in all_partitions(n - 1):
        for segment in [*sorted(set(before)), n - 1]:
            yield [*before, segment]


def is_connected(graph, segments):
    """Tell whether contacts connect the regions of each segment."""
    reached = np.arange(len(segments))
    for _ in segments:
        for u, v in graph.edges:
            if segments[u] == segments[v]:
                reached[[u, v]] = reached[[u, v]].min()
    return all(len(set(reached[segments == s])) == 1 for s in set(segments.tolist()))


def optimum(case, *, lifted=True):
    """Return the lowest energy of all partitions whose segments are connected."""
    pairs = np.concatenate([case.graph.edges, case.lifted]) if lifted else case.graph.edges
    weights = np.concatenate([case.weights, case.lifted_weights]) if lifted else case.weights
    found = (np.array(segments) for segments in all_partitions(case.graph.n_regions))
    return min(parts.energy_of(pairs, weights, s) for s in found if is_connected(case.graph, s))


def same_partition(a, b):
    """Tell whether two labellings of the same things have the same segments."""
    pairs = np.unique(np.stack([np.ravel(a).astype(np.int64), np.ravel(b).astype(np.int64)]), axis=1)
    return len(np.unique(pairs[0])) == len(np.unique(pairs[1])) == pairs.shape[1]


# ---------------------------------------------------------------------------------------------- GASP

JOINT = {
    "mean": lambda weights, sizes: np.average(weights, weights=sizes),
    "sum": lambda weights, _: np.sum(weights),
    "max": lambda weights, _: np.max(weights),
    "min": lambda weights, _: np.min(weights),
    "abs-max": lambda weights, _: max(weights, key=abs),
}


def naive_gasp(case, linkage, *, cannot_link):
    """Return the segment of each region: the strongest pair first, joined weights computed from scratch."""
    members = {i: [i] for i in range(case.graph.n_regions)}
    edges = case.graph.edges.tolist()
    apart = set()

    def between(a, b):
        return [i for i, (u, v) in enumerate(edges) if {u, v} & set(members[a]) and {u, v} & set(members[b])]

    while True:
        best = None
        for a, b in itertools.combinations(sorted(members), 2):
            own = between(a, b)
            if not own or any(i in apart for i in own):
                continue
            weight = JOINT[linkage](case.weights[own], case.graph.contact_sizes[own])
            if (cannot_link or weight > 0) and (best is None or abs(weight) > abs(best[0])):
                best = weight, a, b, own
        if best is None:
            return [min(a for a in members if i in members[a]) for i in range(case.graph.n_regions)]
        weight, a, b, own = best
        if weight > 0:
            members[a] += members.pop(b)
        else:
            apart.update(own)


@pytest.mark.parametrize("cannot_link", [False, True])
@pytest.mark.parametrize("linkage", LINKAGES)
@few
@given(cases())
def test_gasp__is_that_of_its_slow_twin(linkage, cannot_link, case):
    found = parts.gasp(case.graph, case.weights, linkage, cannot_link=cannot_link)
    assert same_partition(found.labels, naive_gasp(case, linkage, cannot_link=cannot_link))
    assert_array_equal(found.labels, case.graph.labels[found.tree.cut()])
    assert found.energy == parts.energy_of(case.graph.edges, case.weights, found.labels)
    assert (found.tree.priority < 0).all()


@few
@given(cases(9))
def test_gasp__with_the_strongest_weight_is_the_mutex_watershed(case):
    expected = parts.mutex_watershed(case.graph, case.weights).labels
    for cannot_link in (False, True):
        assert_array_equal(parts.gasp(case.graph, case.weights, "abs-max", cannot_link=cannot_link).labels, expected)


@few
@given(cases(9))
def test_gasp__with_the_highest_weight_gives_what_attraction_connects(case):
    attracted = case._replace(weights=np.where(case.weights > 0, 1.0, -1.0))
    found = parts.gasp(case.graph, case.weights, "max")
    assert_array_equal(found.labels, parts.gasp(attracted.graph, attracted.weights, "max").labels)
    inner = case.weights > 0
    u, v = found.labels[case.graph.edges[inner]].T
    assert_array_equal(u, v)


@few
@given(cases(8), st.data())
def test_gasp__obeys_constraints(case, data):
    u, v = data.draw(st.sampled_from(case.graph.labels[case.graph.edges].tolist()))
    apart = Constraints(cannot_link=[(u, v)])
    for linkage, cannot_link in itertools.product(LINKAGES, (False, True)):
        options = {"cannot_link": cannot_link}
        found = parts.gasp(case.graph, np.abs(case.weights), linkage, constraints=apart, **options)
        assert not apart.violations(found.regions, found.labels)
        together = Constraints(must_link=[(u, v)])
        found = parts.gasp(case.graph, -np.abs(case.weights), linkage, constraints=together, **options)
        assert found.n_segments == case.graph.n_regions - 1


def test_gasp__weighs_by_the_sizes_given():
    graph = graph_of(3, [(0, 1), (0, 2), (1, 2)])
    weights = [3.0, -1.0, 2.0]
    assert parts.gasp(graph, weights, sizes=[1, 1, 1]).n_segments == 1
    assert parts.gasp(graph, weights, sizes=[1, 9, 1]).labels.tolist() == [5, 5, 11]


def real_case(side=48, seed=3):
    """Return superpixels, and the boundary of pairs of voxels over one and over several of them."""
    volume = datasets.synthetic((side // 2, side, side), seed=seed)
    offsets = [*NEAR, *FAR]
    noise = np.random.default_rng(seed).random((len(offsets), *volume.p1.shape), dtype=np.float32)
    shifted = [np.roll(volume.p1, [-d for d in offset], (0, 1, 2)) for offset in offsets]
    boundary = 0.9 * np.maximum(volume.p1, shifted) + 0.1 * noise
    return volume, offsets, boundary.astype(np.float32)


@pytest.fixture(scope="module")
def real():
    volume, offsets, boundary = real_case()
    features = base.Composite([boundary_mean.needs, histogram.Manager(256)])
    built = build_affinity_graph(volume.superpixels, 1 - boundary, features, offsets=offsets)
    return volume, boundary, built


def peer_graph(graph):
    return peer.UndirectedGraph.from_edges(graph.n_regions, graph.edges.astype(np.uint64))


@pytest.mark.compiled
@pytest.mark.parametrize(
    ("linkage", "cannot_link", "theirs"),
    [
        ("mean", False, "mean"),
        ("sum", False, "sum"),
        ("max", False, "max"),
        ("min", False, "min"),
        ("abs-max", False, "abs_max"),
        ("abs-max", True, "mutex_watershed"),
    ],
)
@pytest.mark.parametrize("bias", [0.3, 0.5, 0.7])
def test_gasp__gives_the_partition_of_bioimage_cpp(real, linkage, cannot_link, theirs, bias):
    graph = real[2].graph
    weights = parts.signed(parts.edge_probabilities(graph, boundary_mean), bias=bias)
    policy = peer.agglomeration.GaspClusterPolicy(linkage=theirs)
    expected = policy.optimize(peer_graph(graph), weights, edge_sizes=graph.contact_cache[:, 0])
    found = parts.gasp(graph, weights, linkage, cannot_link=cannot_link)
    assert 1 < found.n_segments < graph.n_regions
    assert same_partition(found.labels, expected)


@pytest.mark.compiled
def test_gasp__with_sums_is_greedy_additive_or_greedy_fixation(real):
    graph = real[2].graph
    costs = parts.log_odds(parts.edge_probabilities(graph, boundary_mean), graph.contact_sizes)
    for solver, cannot_link in (
        (peer.multicut.GreedyAdditiveMulticut(), False),
        (peer.multicut.GreedyFixationMulticut(), True),
    ):
        expected = solver.optimize(peer.multicut.MulticutObjective(peer_graph(graph), costs))
        assert same_partition(parts.gasp(graph, costs, "sum", cannot_link=cannot_link).labels, expected)


# ------------------------------------------------------------------------------------------ multicut


@few
@given(cases(), st.lists(st.integers(0, 3), min_size=6, max_size=6))
def test_energy__is_that_of_bioimage_cpp(case, segments):
    segments = np.array(segments[: case.graph.n_regions])
    objective = peer.multicut.MulticutObjective(peer_graph(case.graph), case.weights)
    found = parts.energy_of(case.graph.edges, case.weights, segments)
    assert_allclose(found, objective.energy(segments), atol=1e-12)
    if len(case.lifted):
        given_lifted = {"lifted_uvs": case.lifted.astype(np.uint64), "lifted_costs": case.lifted_weights}
        objective = peer.lifted_multicut.LiftedMulticutObjective(objective.graph, case.weights, **given_lifted)
        found += parts.energy_of(case.lifted, case.lifted_weights, segments)
        assert_allclose(found, objective.energy(segments), atol=1e-12)


@few
@given(cases(), st.booleans())
def test_multicut__falls_from_solver_to_solver_and_never_below_the_optimum(case, is_lifted):
    lifted = {"lifted": case.lifted, "lifted_costs": case.lifted_weights} if is_lifted else {}
    found = [parts.multicut(case.graph, case.weights, solver=solver, **lifted) for solver in SOLVERS]
    energies = [partition.energy for partition in found]
    assert energies == sorted(energies, reverse=True)
    assert energies[-1] >= optimum(case, lifted=is_lifted) - 1e-9
    for partition in found:
        assert partition.finished
        assert is_connected(case.graph, partition.labels)
        own = parts.energy_of(case.graph.edges, case.weights, partition.labels)
        own += parts.energy_of(case.lifted, case.lifted_weights, partition.labels) if is_lifted else 0
        assert_allclose(partition.energy, own)


@few
@given(st.integers(2, 7), st.integers(0, 10**6))
def test_multicut__of_a_tree_cuts_what_repels(n, seed):
    random = np.random.default_rng(seed)
    edges = sorted((int(random.integers(v)), v) for v in range(1, n))
    costs = random.normal(size=n - 1)
    for solver in SOLVERS:
        assert_allclose(parts.multicut(graph_of(n, edges), costs, solver=solver).energy, costs[costs < 0].sum())


@pytest.mark.compiled
@pytest.mark.parametrize("is_lifted", [False, True])
def test_multicut__is_no_worse_than_the_solvers_of_bioimage_cpp_alone(real, is_lifted):
    graph, lifted = real[2]
    costs = parts.log_odds(parts.edge_probabilities(graph, boundary_mean), graph.contact_sizes)
    given_lifted, module = {}, peer.multicut
    objective = peer.multicut.MulticutObjective(peer_graph(graph), costs)
    if is_lifted:
        far = parts.log_odds(parts.edge_probabilities(graph, boundary_mean, lifted=lifted), lifted.sizes)
        given_lifted, module = {"lifted": lifted, "lifted_costs": far}, peer.lifted_multicut
        pairs = {"lifted_uvs": lifted.edges.astype(np.uint64), "lifted_costs": far}
        objective = module.LiftedMulticutObjective(peer_graph(graph), costs, **pairs)
    start = "LiftedGreedyAdditiveMulticut" if is_lifted else "GreedyAdditiveMulticut"
    getattr(module, start)().optimize(objective)
    greedy = parts.multicut(graph, costs, solver="greedy", **given_lifted)
    assert_allclose(greedy.energy, objective.energy())
    found = parts.multicut(graph, costs, solver="fusion-moves", **given_lifted)
    assert found.energy <= greedy.energy
    if not is_lifted:  # theirs need not be connected if edges are lifted
        peer.multicut.KernighanLinMulticut().optimize(objective)
        assert parts.multicut(graph, costs).energy <= objective.energy() + 1e-9


@pytest.mark.compiled
def test_multicut__is_the_same_for_any_number_of_threads(real):
    graph = real[2].graph
    found = [
        parts.partition(graph, "multicut", solver="fusion-moves", random_state=7, n_threads=n).labels for n in (1, 2, 3)
    ]
    assert_array_equal(found[0], found[1])
    assert_array_equal(found[0], found[2])


def test_multicut__out_of_time_returns_the_best_so_far_and_says_so():
    graph = graph_of(3, [(0, 1), (1, 2)])
    with pytest.warns(GalaWarning, match="time limit of 0 s, after 0 rounds"):
        found = parts.multicut(graph, [1.0, 1.0], time_limit=0)
    assert not found.finished
    assert found.labels.tolist() == [5, 8, 11]
    assert found.energy == 2.0
    assert parts.multicut(graph, [1.0, 1.0], time_limit=60).finished


@random_values
def test_partition__takes_lifted_edges_that_are_none():
    labels = np.array([[1, 1, 2], [3, 3, 2]])
    affinities = np.full((2, *labels.shape), 0.75)
    graph, lifted = build_affinity_graph(labels, affinities, boundary_mean.needs, offsets=[[0, 1], [1, 0]])
    for method in ("multicut", "mutex"):
        assert parts.partition(graph, method, lifted=lifted).labels.tolist() == [1, 1, 1]


def test_multicut__without_contacts_leaves_regions_alone():
    found = parts.multicut(graph_of(2, []), [])
    assert (found.labels.tolist(), found.energy, found.finished) == ([5, 8], 0.0, True)


# --------------------------------------------------------------------------------------------- costs


@few
@given(cases(5))
def test_log_odds__make_the_likeliest_partition_the_cheapest(case):
    p = 1 / (1 + np.exp(case.weights))
    costs = parts.log_odds(p)
    assert_allclose(costs, case.weights)

    def likelihood(segments):
        cut = segments[case.graph.edges[:, 0]] != segments[case.graph.edges[:, 1]]
        return np.log(np.where(cut, p, 1 - p)).sum()

    found = [np.array(segments) for segments in all_partitions(case.graph.n_regions)]
    best = max(found, key=likelihood)
    assert_allclose(
        parts.energy_of(case.graph.edges, costs, best), min(parts.energy_of(case.graph.edges, costs, s) for s in found)
    )


@given(st.floats(0.01, 0.99), st.floats(0.01, 0.99), st.integers(1, 100), st.floats(0, 2))
@example(0.99, 0.9899999999999999, 1, 0.0)
def test_log_odds__change_sign_at_the_bias(p, bias, size, exponent):
    cost = parts.log_odds([p, p], [size, 2 * size], bias=bias, exponent=exponent)
    if p == bias or abs(bias - p) > 1e-12:
        assert np.sign(cost[1]) == np.sign(bias - p)
    else:  # one or two roundings apart: which sign that gives is chance
        assert_allclose(cost[1], 0, atol=1e-9)
    assert_allclose(cost[0], cost[1] / 2**exponent)


def test_log_odds__are_finite_for_what_is_certain():
    assert np.isfinite(parts.log_odds([0.0, 1.0])).all()


@pytest.mark.compiled
def test_multicut_of__takes_what_a_classifier_says_as_costs():
    volume, _, _ = real_case(32)
    features = base.Composite([moments.Manager(), histogram.Manager()])
    g = Rag(volume.superpixels, volume.p1, feature_manager=features)
    X, y, _, _ = g.learn_flat(volume.truth, features)
    policy = classifier_probability(features, DefaultRandomForest(random_state=0).fit(X, y[:, 0]))
    graph = g.graph
    p = parts.edge_probabilities(graph, policy)
    expected = parts.multicut(graph, parts.log_odds(p, graph.contact_sizes, bias=0.4))
    found = parts.multicut_of(graph, policy, bias=0.4)
    assert_array_equal(found.labels, expected.labels)
    assert found.energy == expected.energy
    assert 1 < found.n_segments < graph.n_regions


@pytest.mark.compiled
def test_multicut_of__asks_the_policy_about_lifted_edges(real):
    graph, lifted = real[2]
    mean = lifted.cache[:, lifted.spec.names.index("p1[0]")] / lifted.cache[:, lifted.spec.names.index("p0")]
    assert_allclose(parts.edge_probabilities(graph, boundary_mean, lifted=lifted), mean)
    costs = parts.log_odds(parts.edge_probabilities(graph, boundary_mean), graph.contact_sizes)
    expected = parts.multicut(graph, costs, lifted=lifted, lifted_costs=parts.log_odds(mean, lifted.sizes))
    assert_array_equal(parts.multicut_of(graph, boundary_mean, lifted=lifted).labels, expected.labels)


# ------------------------------------------------------------------------------------ mutex watershed


def naive_mutex(case):
    """Return the segment of each region, one edge after the other."""
    pairs = [*case.graph.edges.tolist(), *case.lifted.tolist()]
    weights = [*case.weights, *np.minimum(case.lifted_weights, 0)]
    segment = list(range(case.graph.n_regions))
    apart = []
    for i in np.argsort(-np.abs(weights)):
        a, b = (segment[x] for x in pairs[i])
        if weights[i] < 0:
            apart.append(pairs[i])
        elif weights[i] > 0 and not any({segment[u], segment[v]} == {a, b} and a != b for u, v in apart):
            segment = [a if s == b else s for s in segment]
    return segment


@few
@given(cases(8))
def test_mutex__is_that_of_its_slow_twin(case):
    found = parts.mutex_watershed(case.graph, case.weights, lifted=case.lifted, lifted_weights=case.lifted_weights)
    assert same_partition(found.labels, naive_mutex(case))


@few
@given(cases(8), st.integers(0, 10**6))
def test_mutex__with_classes_never_joins_two_of_them(case, seed):
    sure = np.random.default_rng(seed).random((case.graph.n_regions, 3))
    found = parts.mutex_watershed(case.graph, case.weights, class_weights=2 * np.abs(case.weights).max() + sure)
    assert_array_equal(found.classes, sure.argmax(axis=1))
    for segment in np.unique(found.labels):
        assert len(np.unique(found.classes[found.labels == segment])) == 1
    nothing = parts.mutex_watershed(case.graph, case.weights, class_weights=np.zeros_like(sure))
    assert_array_equal(nothing.labels, parts.mutex_watershed(case.graph, case.weights).labels)
    assert (nothing.classes == -1).all()


@random_values
def test_mutex__of_voxels_is_that_of_a_graph_of_voxels():
    random = np.random.default_rng(0)
    labels = np.arange(1, 61).reshape(3, 4, 5)
    offsets = [[0, -2, 1], [-1, 0, 0], [0, 1, 0], [0, 0, -1], [-2, 0, 0]]
    affinities = random.random((5, *labels.shape))
    graph, lifted = build_affinity_graph(labels, affinities, boundary_mean.needs, offsets=offsets)
    near = 1 - parts.edge_probabilities(graph, boundary_mean)
    far = -parts.edge_probabilities(graph, boundary_mean, lifted=lifted)
    expected = parts.mutex_watershed(graph, near, lifted=lifted, lifted_weights=far)
    found = parts.mutex_watershed_of_voxels(affinities, offsets)
    assert 1 < expected.n_segments < labels.size
    assert found.classes is None
    assert same_partition(found.labels, expected.segmentation(labels))
    repulsive = parts.mutex_watershed_of_voxels(1 - affinities, offsets, polarity="repulsive")
    assert_array_equal(repulsive.labels, found.labels)


@pytest.mark.parametrize("strides", [None, (1, 2, 2)])
def test_mutex__of_voxels_is_that_of_bioimage_cpp(real, strides):
    _, boundary, _ = real
    boundary = boundary[:, :12, :24, :24]
    strengths = np.concatenate([1 - boundary[:3], boundary[3:]])
    mask = boundary[0] < 0.9
    options = {"strides": strides, "mask": mask}
    expected = peer_voxels.mutex_watershed(strengths, [*NEAR, *FAR], 3, **options)
    found = parts.mutex_watershed_of_voxels(boundary, [*NEAR, *FAR], polarity="repulsive", **options)
    assert same_partition(found.labels, expected)
    classes = np.random.default_rng(1).random((2, *boundary.shape[1:]), dtype=np.float32)
    both = np.concatenate([strengths, classes])
    expected = peer_voxels.semantic_mutex_watershed(both, [*NEAR, *FAR], 3, mask_label=-1, **options)
    given_classes = {"polarity": "repulsive", "class_probabilities": classes}
    found = parts.mutex_watershed_of_voxels(boundary, [*NEAR, *FAR], **given_classes, **options)
    assert same_partition(found.labels, expected[0])
    assert_array_equal(found.classes, expected[1])
    assert (found.labels[~mask] == 0).all()


# --------------------------------------------------------------------------------- beside waterz


@pytest.mark.compiled
@pytest.mark.parametrize("percent", [10, 50, 75, 90])
def test_quantiles__of_waterz_are_ours_up_to_the_order_of_ties(real, percent):
    """Each merge of waterz is one of lowest priority here, too, and where it stops we would stop."""
    waterz = pytest.importorskip("waterz", reason="waterz is not installed")
    volume, boundary, (graph, _) = real
    function = f"OneMinus<HistogramQuantileAffinity<RegionGraphType,{percent},ScoreValue,256,false>>"
    affinities = np.ascontiguousarray(1 - boundary[:3])
    fragments = volume.superpixels.astype(np.uint64)
    thresholds = [0.2, 0.3, 0.4, 0.5, 0.6]
    options = {"scoring_function": function, "return_merge_history": True}
    running = RunningGraph(graph, boundary_quantile(1 - percent / 100, within="middle"))
    running.priorities()
    node = {int(label): i for i, label in enumerate(graph.labels)}
    n_merges = []
    for threshold, run in zip(
        thresholds, waterz.agglomerate(affinities, thresholds, fragments=fragments, **options), strict=True
    ):
        for merge in run[1]:
            u, v = node.pop(merge["a"]), node.pop(merge["b"])
            contact = running.find_contact(u, v)
            assert_allclose(running.state.priority[contact], merge["score"], atol=1e-6)
            assert_allclose(lowest(running), merge["score"], atol=1e-6)
            node[merge["c"]] = running.merge_contact(contact)
        assert lowest(running) >= threshold - 1e-6
        n_merges.append(running.n_merges)
        assert same_partition(run[0], graph.labels[running.tree.cut()][graph.find(volume.superpixels)])
    assert len(set(n_merges)) > 2


def lowest(running):
    return running.state.priority[running.state.ends[:, 0] >= 0].min(initial=np.inf)


# -------------------------------------------------------------------------------------------- by name


@pytest.mark.compiled
@pytest.mark.parametrize("method", parts.METHODS)
def test_partition__by_name_maps_to_voxels(real, method):
    volume, _, (graph, _) = real
    found = parts.partition(graph, method, n_threads=2)
    assert 1 < found.n_segments < graph.n_regions
    assert (found.tree is not None) == method.startswith("gasp-")
    image = found.segmentation(volume.superpixels)
    assert_array_equal(image, found.labels[graph.find(volume.superpixels)])
    assert set(np.unique(image).tolist()) <= set(graph.labels.tolist())
    again = parts.partition(graph, method, n_threads=1)
    assert_array_equal(again.labels, found.labels)


@pytest.mark.compiled
@pytest.mark.parametrize("method", ["gasp-mean", "gasp-sum", "gasp-max", "multicut"])
def test_partition__has_fewer_segments_with_a_higher_bias(real, method):
    graph = real[2].graph
    n_segments = [parts.partition(graph, method, bias=bias).n_segments for bias in (0.2, 0.5, 0.8)]
    assert n_segments == sorted(n_segments, reverse=True)
    assert n_segments[0] > n_segments[-1]


@pytest.mark.compiled
@pytest.mark.parametrize("method", ["multicut", "mutex"])
def test_partition__reads_lifted_edges(real, method):
    graph, lifted = real[2]
    assert not same_partition(
        parts.partition(graph, method, lifted=lifted).labels, parts.partition(graph, method).labels
    )


# ------------------------------------------------------------------------------------------ bad input

TWO = graph_of(2, [(0, 1)])


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: parts.gasp(TWO, [1.0], "median"), SettingError, "linkage must be one of mean, sum"),
        (lambda: parts.gasp(TWO, [1.0, 2.0]), ShapeError, "weights must be one for each edge"),
        (lambda: parts.gasp(TWO, [np.nan]), SettingError, "weights must be finite"),
        (lambda: parts.gasp(TWO, [1.0], sizes=[0]), SettingError, "sizes must be above 0"),
        (lambda: parts.multicut(TWO, [np.inf]), SettingError, "costs must be finite"),
        (lambda: parts.multicut(TWO, [1.0], solver="ilp"), SettingError, "solver must be one of greedy"),
        (lambda: parts.multicut(TWO, [1.0], time_limit=-1), SettingError, "time_limit must be 0 or more"),
        (lambda: parts.multicut(TWO, [1.0], lifted=[(0, 1)]), SettingError, "lifted edges must have costs"),
        (lambda: parts.multicut(TWO, [1.0], lifted_costs=[1.0]), SettingError, "got none. Pass lifted"),
        (lambda: parts.multicut(TWO, [1.0], lifted=[(0, 2)], lifted_costs=[1.0]), LabelError, "of the 2 regions"),
        (lambda: parts.multicut(TWO, [1.0], lifted=[(1, 1)], lifted_costs=[1.0]), LabelError, "one to another"),
        (lambda: parts.multicut(TWO, [1.0], lifted=[0, 1], lifted_costs=[1.0]), ShapeError, "pairs of regions"),
        (
            lambda: parts.multicut(graph_of(2, []), [], lifted=[(0, 1)], lifted_costs=[1.0]),
            SettingError,
            "1 lifted edges and no contact",
        ),
        (
            lambda: parts.mutex_watershed(graph_of(2, []), [], lifted=[(0, 1)], lifted_weights=[1.0]),
            SettingError,
            "steps of one voxel among the offsets",
        ),
        (lambda: parts.mutex_watershed(TWO, [1.0], lifted=[(0, 1)]), SettingError, "must have weights"),
        (lambda: parts.mutex_watershed(TWO, [1.0], class_weights=[[1.0]]), ShapeError, r"shape \(2, K\)"),
        (lambda: parts.log_odds([1.5]), SettingError, "probabilities must be from 0 to 1; got 1.5"),
        (lambda: parts.log_odds([0.5], bias=0), SettingError, "above 0 and below 1"),
        (lambda: parts.log_odds([0.5], [1, 2]), ShapeError, "sizes must be one for each"),
        (lambda: parts.log_odds([0.5], [1], exponent=-1), SettingError, "exponent 0 or more"),
        (lambda: parts.signed([0.5], bias=2), SettingError, "bias must be from 0 to 1"),
        (lambda: parts.partition(TWO, "waterz"), SettingError, "method must be one of gasp-mean"),
        (
            lambda: parts.partition(TWO, "multicut", constraints=Constraints(frozen=[5])),
            SettingError,
            "multicut does not obey constraints",
        ),
    ],
)
def test_bad_input__is_refused(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_policy__that_gives_no_probabilities_is_refused(real):
    with pytest.raises(PolicyError, match="must give probabilities, from 0"):
        parts.multicut_of(real[2].graph, boundary_sum)
    with pytest.raises(SettingError, match="gasp-mean does not know lifted edges"):
        parts.partition(real[2].graph, "gasp-mean", lifted=real[2].lifted)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"offsets": [[0, 1], [1, 0]]}, SettingError, "longer ones, which repel"),
        ({"offsets": [[0, 2], [2, 0]]}, SettingError, "steps of one voxel, which attract"),
        ({"offsets": [[0, 2]]}, ShapeError, "affinities must have 1 channels"),
        ({"affinities": np.zeros((2, 9)), "offsets": [[1], [2]]}, ShapeError, "two or three axes"),
        ({"mask": np.ones((2, 2))}, ShapeError, "mask must have the shape"),
        ({"strides": (2,)}, SettingError, "strides must be one positive"),
        ({"class_probabilities": np.zeros((1, 3, 3))}, ShapeError, "class_probabilities must have shape"),
        ({"class_probabilities": np.full((1, 4, 5), 2.0)}, ImageError, "from 0 to 1; got 2"),
    ],
)
def test_voxels__of_the_wrong_kind_are_refused(change, error, message):
    given_arguments = {"affinities": np.zeros((2, 4, 5)), "offsets": [[0, 1], [2, 0]]} | change
    with pytest.raises(error, match=message):
        parts.mutex_watershed_of_voxels(**given_arguments)
