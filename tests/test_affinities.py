"""Graphs from affinities: equal to their slow twin, independent of slabs and threads, and read by every policy."""

from __future__ import annotations

from unittest import mock

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from hypothesis.extra import numpy as hnp
from numpy.testing import assert_allclose, assert_array_equal

import naive
from affinity_cases import cases, random_values, real_case
from gala.engine import policy as policies
from gala.engine.agglomerate import agglomerate
from gala.engine.running import RunningGraph
from gala.errors import FeatureError, GalaWarning, ImageError, SettingError, ShapeError
from gala.features import extrema, shape as shapes
from gala.graph import volume as volumes
from gala.graph.affinities import as_affinities, as_priority
from gala.graph.affinity_graph import build_affinity_graph
from gala.graph.build import build_graph

few = settings(deadline=None, max_examples=30)


def rows_of(graph, edges, spec, cache):
    pairs = [tuple(graph.labels[edge].tolist()) for edge in edges]
    return {pair: dict(zip(spec.names, row, strict=True)) for pair, row in zip(pairs, cache.tolist(), strict=True)}


def check_rows(found, expected):
    """Compare rows with lists of values."""
    assert found.keys() == expected.keys()
    for pair, row in found.items():
        values = np.array(expected[pair])
        assert row["count"] == row["p0"] == len(values)
        assert (row["min[0]"], row["max[0]"]) == (values.min(), values.max())
        assert_allclose([row["p1[0]"], row["p2[0]"]], [values.sum(), (values**2).sum()], rtol=1e-12)
        bins = [row[f"histogram(5,0.0,1.0)[0][{b}]"] for b in range(5)]
        assert bins == np.histogram(values, 5, (0.0, 1.0))[0].tolist()


def bytes_of(built):
    graph, lifted = built
    arrays = (graph.labels, graph.edges, graph.region_cache, graph.contact_cache, graph.border_sizes)
    return [array.tobytes() for array in (*arrays, lifted.edges, lifted.cache, lifted.touches)]


# ----------------------------------------------------------------------------------- the slow twin


@random_values
@few
@given(cases(), st.integers(1, 30))
def test_graph__is_that_of_its_slow_twin_for_any_slabs_and_threads(case, slab):
    near = case.split()
    steps = np.array(case.offsets)
    with mock.patch.object(volumes, "SLAB_VOXELS", slab):
        graph, lifted = case.build(n_threads=2)
    inside = np.ones(case.labels.shape, dtype=bool) if case.mask is None else case.mask
    local = naive.pairs(case.labels, case.boundary[near], steps[near], mask=inside)
    check_rows(rows_of(graph, graph.edges, graph.contact_spec, graph.contact_cache), local)
    far = naive.pairs(case.labels, case.boundary[~near], steps[~near], mask=inside)
    check_rows(rows_of(graph, lifted.edges, lifted.spec, lifted.cache), far)
    assert lifted.touches.tolist() == [pair in local for pair in far]
    assert lifted.sizes.tolist() == [len(values) for values in far.values()]
    values = naive.starting_pairs(case.boundary[near], steps[near])
    for label, row in zip(graph.labels, graph.region_cache, strict=True):
        own = values[(case.labels == label) & inside]
        found = dict(zip(graph.region_spec.names, row, strict=True))
        assert found["count"] == own.size
        assert_allclose([found["p1[0]"], found["max[0]"]], [own.sum(), own.max()], rtol=1e-6)


@random_values
@few
@given(cases())
def test_graph__has_the_regions_and_contacts_of_the_labels(case):
    graph, _ = case.build(())
    plain = build_graph(case.labels, mask=case.mask)
    assert_array_equal(graph.labels, plain.labels)
    assert_array_equal(graph.edges, plain.edges)
    assert_array_equal(graph.sizes, plain.sizes)
    assert_array_equal(graph.border_sizes, plain.border_sizes)


@random_values
@few
@given(cases())
def test_graph__is_the_same_for_the_same_affinities_in_another_form(case):
    expected = bytes_of(case.build())
    assert bytes_of(case.build(affinities=case.boundary, polarity="repulsive")) == expected
    assert bytes_of(case.build(affinities=np.asfortranarray(1 - case.boundary))) == expected
    assert bytes_of(case.build(affinities=(1 - case.boundary).astype(np.float16))) == expected
    assert bytes_of(case.build(affinities=(1 - case.boundary).astype(np.float64))) == expected


@random_values
@few
@given(st.sampled_from([np.uint8, np.uint16, np.int16, bool]), st.data())
def test_integers__are_scaled_by_their_type(dtype, data):
    values = data.draw(hnp.arrays(dtype, (1, 9), elements={} if dtype is bool else {"min_value": 0}))
    labels = np.arange(9) // 3
    top = 1 if dtype is bool else np.iinfo(dtype).max
    found = build_affinity_graph(labels, values, extrema.Manager(), offsets=[[1]]).graph
    assert_allclose(found.contact_cache[:, 1], 1 - values[0, [2, 5]] / top, atol=1e-7)


@pytest.mark.compiled
def test_graph__has_the_same_bytes_for_any_number_of_threads():
    case = real_case()
    with mock.patch.object(volumes, "SLAB_VOXELS", 4000):
        expected = bytes_of(case.build(n_threads=1))
        assert all(bytes_of(case.build(n_threads=n)) == expected for n in (2, 5))


@random_values
@few
@given(cases())
def test_strongest__summarises_one_pair_for_each_contact(case):
    graph, lifted = case.build(summary="strongest")
    steps = np.array(case.offsets)
    for edges, spec, cache, near in (
        (graph.edges, graph.contact_spec, graph.contact_cache, case.split()),
        (lifted.edges, lifted.spec, lifted.cache, ~case.split()),
    ):
        all_pairs = naive.pairs(case.labels, case.boundary[near], steps[near], mask=case.mask)
        check_rows(rows_of(graph, edges, spec, cache), {pair: [min(some)] for pair, some in all_pairs.items()})


# ------------------------------------------------------------------------------------ policies


def naive_tree(case, priority):
    """Merge pairs of lists of values, the lowest priority first; return the heights and who merged."""
    near = case.split()
    contacts = naive.pairs(case.labels, case.boundary[near], np.array(case.offsets)[near])
    contacts = {frozenset((frozenset([u]), frozenset([v]))): (values, (u, v)) for (u, v), values in contacts.items()}
    merges = []
    while contacts:  # of equal priorities, the contact goes first whose parts have the lowest pair of leaves
        low = min(contacts, key=lambda pair: (priority(contacts[pair][0]), contacts[pair][1]))
        merges.append((priority(contacts[low][0]), frozenset.union(*low)))
        joint = merges[-1][1]
        after = {}
        for pair, (values, leaves) in contacts.items():
            now = frozenset(joint if part in low else part for part in pair)
            if len(now) == 2:
                others, lowest = after.get(now, ([], leaves))
                after[now] = others + values, min(lowest, leaves)
        contacts = after
    return merges


@random_values
@pytest.mark.parametrize(
    ("policy", "priority"),
    [
        (policies.boundary_mean, np.mean),
        (policies.boundary_max, np.max),
        (policies.boundary_min, np.min),
        (policies.boundary_sum, np.sum),
    ],
)
@settings(deadline=None, max_examples=15)
@given(cases())
def test_policies__merge_as_slow_twins_do(policy, priority, case):
    case = case._replace(mask=None)
    graph, _ = case.build(policy.needs)
    tree = agglomerate(graph, policy, rescore="all")
    members = [frozenset([label]) for label in graph.labels.tolist()]
    for u, v in tree.children:
        members.append(members[u] | members[v])
    expected = naive_tree(case, priority)
    if policy is policies.boundary_min:  # whose ties go by the first contacts; see decision 3
        for height in tree.priority.tolist():
            of_leaf = tree.cut(height)
            found = {frozenset(graph.labels[of_leaf == root].tolist()) for root in np.unique(of_leaf)}
            made = [joint for at, joint in expected if at <= height + 1e-9]
            whole = {joint for joint in made if not any(joint < other for other in made)}
            assert {joint for joint in found if len(joint) > 1} == whole
    else:
        assert members[graph.n_regions :] == [joint for _, joint in expected]
    assert_allclose(tree.priority, [height for height, _ in expected])


@pytest.mark.compiled
@pytest.mark.parametrize("summary", ["all", "strongest"])
@pytest.mark.parametrize("q", [0.1, 0.5, 0.95])
def test_quantiles__are_within_a_bin_of_those_of_the_pairs(q, summary):
    case = real_case()
    policy = policies.boundary_quantile(q, nbins=100)
    graph, _ = case.build(policy.needs, summary=summary)
    tree = agglomerate(graph, policy)
    assert len(tree.priority) == graph.n_regions - 1
    near = case.split()
    pairs = naive.pairs(case.labels, case.boundary[near], np.array(case.offsets)[near])
    first = tuple(graph.labels[tree.children[0]].tolist())
    values = pairs[first] if summary == "all" else [min(pairs[first])]
    assert abs(tree.priority[0] - np.quantile(values, q, method="inverted_cdf")) <= 0.01 + 1e-9


@few
@given(st.lists(st.integers(0, 64), min_size=1, max_size=40), st.integers(1, 20), st.integers(1, 20))
def test_quantile__within_the_middle_is_that_of_the_bin_of_a_value(values, part, n_bins):
    boundary = np.array(values) / 64
    labels = np.stack([np.ones(len(values), dtype=int), np.full(len(values), 2)])
    affinities = np.zeros((2, *labels.shape))
    affinities[0, 0] = 1 - boundary
    affinities[1] = 1
    policy = policies.boundary_quantile(part / 20, nbins=n_bins, within="middle")
    graph, _ = build_affinity_graph(labels, affinities, policy.needs, offsets=[[1, 0], [0, 1]])
    ordered = np.sort(boundary)
    value = ordered[max(-(-part * len(values) // 20), 1) - 1]
    bin_of_value = np.flatnonzero(np.histogram([value], n_bins, (0.0, 1.0))[0])[0]
    assert_allclose(agglomerate(graph, policy).priority, [(bin_of_value + 0.5) / n_bins])


def test_quantile__refuses_another_place_in_the_bin():
    with pytest.raises(SettingError, match="within must be"):
        policies.boundary_quantile(0.5, within="end")


def peer_case():
    """Return what waterz reads too, which wants the steps before a voxel."""
    case = real_case()
    first = [0, 1, 2]
    return case._replace(boundary=case.boundary[first], offsets=[case.offsets[i] for i in first])


def peer_run(case, function, thresholds, **options):
    peer = pytest.importorskip("waterz", reason="waterz is not installed")
    affinities = np.ascontiguousarray(1 - case.boundary)
    fragments = case.labels.astype(np.uint64)
    for run in peer.agglomerate(affinities, thresholds, fragments=fragments, scoring_function=function, **options):
        yield (run[0].copy(), run[1]) if options else run.copy()


@pytest.mark.compiled
def test_mean__gives_the_partitions_of_waterz():
    case, thresholds = peer_case(), [0.15, 0.25, 0.35, 0.45, 0.55]
    graph, _ = case.build(policies.boundary_mean.needs)
    tree = agglomerate(graph, policies.boundary_mean)
    theirs = peer_run(case, "OneMinus<MeanAffinity<RegionGraphType, ScoreValue>>", thresholds)
    for threshold, labels in zip(thresholds, theirs, strict=True):
        ours = tree.cut(threshold)[np.searchsorted(graph.labels, case.labels)]
        pairs = np.unique(np.stack([ours.ravel().astype(np.uint64), labels.ravel()]), axis=1)
        assert len(np.unique(pairs[0])) == len(np.unique(pairs[1])) == pairs.shape[1]


@pytest.mark.compiled
@pytest.mark.parametrize("percent", [10, 15, 50, 95])
@pytest.mark.parametrize("summary", ["all", "strongest"])
def test_quantile__gives_the_priorities_of_waterz(percent, summary):
    case = peer_case()
    initialised = str(summary == "strongest").lower()
    function = f"OneMinus<HistogramQuantileAffinity<RegionGraphType,{percent},ScoreValue,256,{initialised}>>"
    ((_, theirs),) = peer_run(case, function, [0.0], return_region_graph=True)
    policy = policies.boundary_quantile(1 - percent / 100, within="middle")
    graph, _ = case.build(policy.needs, summary=summary)
    running = RunningGraph(graph, policy, random=np.random.default_rng(0))
    priorities = policy(running, graph.edges)
    ours = dict(zip(map(tuple, graph.labels[graph.edges].tolist()), priorities.tolist(), strict=True))
    assert ours == pytest.approx({tuple(sorted((int(e["u"]), int(e["v"])))): e["score"] for e in theirs})


def test_size_dependent_policy__reads_regions_and_pairs():
    case = real_case(16)

    def small_first(params, u, v, edge, out):  # noqa: ARG001  # what a row kernel receives
        out[0] = edge[2] / edge[0] * min(u[0], v[0])

    policy = policies.row_policy(small_first, needs=policies.boundary_mean.needs)
    tree = agglomerate(case.build(policy.needs).graph, policy)
    assert len(tree.priority) == len(np.unique(case.labels)) - 1


def test_thresholds__are_given_in_either_convention():
    case = real_case(16)
    graph, _ = case.build(policies.boundary_mean.needs)
    tree = agglomerate(graph, policies.boundary_mean)
    assert_array_equal(tree.cut(as_priority(0.75)), tree.cut(as_priority(0.25, "distance")))
    for wrong in ({"threshold": 1.5}, {"threshold": 0.5, "convention": "cost"}):
        with pytest.raises(SettingError):
            as_priority(**wrong)


# ------------------------------------------------------------------------------------------ bad input


def test_inverted_affinities__are_reported_with_the_fix():
    case = real_case(16)
    with pytest.warns(GalaWarning, match="pass polarity='repulsive'"):
        case.build(affinities=case.boundary)
    with pytest.warns(GalaWarning, match="pass polarity='attractive'"):
        case.build(affinities=1 - case.boundary, polarity="repulsive")
    case.build()


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"offsets": [[1, 0]]}, ShapeError, "affinities must have 1 channels, one for each offset, and then 2 axes"),
        ({"offsets": [[1, 0, 0], [0, 1, 0]]}, ShapeError, "and then 3 axes"),
        ({"affinities": np.zeros((4, 5, 2))}, ShapeError, "Channels go on the first axis"),
        ({"affinities": np.zeros((2, 4, 6))}, ShapeError, "must have the shape of labels"),
        ({"offsets": [[2, 0], [0, 3]]}, SettingError, "a step of one voxel along each axis; got none along axis 0"),
        ({"offsets": [[1, 0], [-1, 0]]}, SettingError, "a step and its opposite"),
        ({"offsets": [[1, 0], [0, 0]]}, SettingError, "each lead to another voxel"),
        ({"offsets": [[1.0, 0], [0, 1]]}, SettingError, "offsets must be one step for each channel"),
        ({"affinities": np.full((2, 4, 5), 1.5)}, ImageError, "from 0 to 1; channel 0 is from 1.5 to 1.5"),
        ({"affinities": np.full((2, 4, 5), np.nan)}, ImageError, "from 0 to 1"),
        ({"affinities": np.full((2, 4, 5), -1)}, ImageError, "of int64 must be 0 or more"),
        ({"affinities": np.zeros((2, 4, 5), dtype=complex)}, ImageError, "real numbers"),
        ({"polarity": "positive"}, SettingError, "polarity must be 'attractive'"),
        ({"summary": "max"}, SettingError, "summary must be 'all' or 'strongest'"),
        ({"features": shapes.Manager()}, FeatureError, "features must read values only"),
    ],
)
def test_bad_input__is_refused(change, error, message):
    given = {"affinities": np.ones((2, 4, 5), dtype=np.float32), "offsets": [[-1, 0], [0, -1]]} | change
    with pytest.raises(error, match=message):
        build_affinity_graph(np.arange(20).reshape(4, 5), **given)


def test_overshoot__of_a_network_is_clipped():
    affinities = np.array([[1.0005, -0.0005, 0.5]], dtype=np.float32)
    graph, _ = build_affinity_graph([1, 2, 3], affinities, extrema.Manager(), offsets=[[1]])
    assert graph.contact_cache[:, 1].tolist() == [0, 1]
    assert as_affinities(affinities, [[1]]).boundary(0).tolist() == [0, 1, 0.5]
