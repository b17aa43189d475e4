"""Rows of contacts that hold counts alone are kept in few bytes, and nothing is different for it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import assume, given, settings, strategies as st
from numpy.testing import assert_array_equal

from gala.engine.agglomerate import agglomerate
from gala.engine.policy import as_policy, boundary_mean, boundary_quantile
from gala.engine.running import RunningGraph
from gala.engine.state import live_contacts, row_of_contact, rows_of_contacts
from gala.features import histogram
from gala.features.declared import OfContacts
from gala.graph.affinity_graph import build_affinity_graph
from gala.graph.blockwise import build_graph_blockwise
from gala.graph.build import build_graph
from gala.graph.caches import CacheSpec, Join, compact
from gala.graph.constraints import Constraints
from gala.graph.files import read_graph, write_graph
from gala.graph.regions import joined
from naive_engine import volumes

some = settings(deadline=None, max_examples=40)
WIDE = [np.uint16, np.uint32, np.float64]
quantiles = st.builds(
    boundary_quantile, st.sampled_from([0.0, 0.3, 0.5, 1.0]), st.just(8), within=st.sampled_from(["linear", "middle"])
)


@st.composite
def counted_graphs(draw):
    """Return the graph of a small volume that keeps what a quantile policy needs, and that policy."""
    labels, image, _ = draw(volumes())
    policy = draw(quantiles)
    return build_graph(labels, image, policy.needs), policy


def of_type(graph, dtype):
    return replace(graph, contact_cache=graph.contact_cache.astype(dtype))


def assert_same_tree(tree, other):
    assert_array_equal(tree.children, other.children)
    assert tree.priority.tobytes() == other.priority.tobytes()


@some
@given(st.lists(st.integers(0, 2**33), min_size=4, max_size=4), st.sampled_from(WIDE))
def test_compact__is_the_narrowest_type_that_holds_all(numbers, dtype):
    highest = max(numbers)
    assume(dtype == np.float64 or highest <= np.iinfo(dtype).max)
    rows = np.array(numbers, dtype=dtype).reshape(2, 2)
    kept = compact(CacheSpec.counts("count", "bin"), rows)
    assert_array_equal(kept, rows)
    wanted = np.uint16 if highest < 2**16 else np.uint32 if highest < 2**32 else np.float64
    assert kept.dtype == (dtype if wanted == np.float64 else wanted)


def test_compact__leaves_what_is_not_counted_alone():
    for spec in (
        CacheSpec.sums("count", "sum"),
        CacheSpec.counts("count"),
        CacheSpec(("n", "low"), (Join.COUNT, Join.MIN)),
    ):
        rows = np.ones((3, len(spec)))
        assert compact(spec, rows) is rows


@some
@given(counted_graphs(), st.data())
def test_tree__is_the_same_for_any_type_of_rows(case, data):
    graph, policy = case
    assert graph.contact_cache.dtype == np.uint16
    options = {"rescore": data.draw(st.sampled_from(["shared", "all"]))}
    if data.draw(st.booleans()) and graph.n_regions > 2:
        apart = data.draw(st.lists(st.sampled_from(graph.labels.tolist()), min_size=2, max_size=2, unique=True))
        options["constraints"] = Constraints(cannot_link=[apart])
    tree, wide, wider = (agglomerate(of_type(graph, dtype), policy, **options) for dtype in WIDE)
    assert_same_tree(tree, wide)
    assert_same_tree(tree, wider)


@some
@given(counted_graphs(), st.data())
def test_rows__of_a_running_graph_are_sums_of_those_given(case, data):
    graph, policy = case
    before = graph.contact_cache.tobytes()
    running = [RunningGraph(of_type(graph, dtype), policy) for dtype in WIDE]
    stop = data.draw(st.integers(0, graph.n_regions))
    for g in running:
        g.agglomerate(max_merges=stop)
    copies = [g.copy() for g in running]
    for g in running:
        g.agglomerate()
    for group in (running, copies):
        contacts = live_contacts(group[-1].state)
        wanted = group[-1].state.contact_rows[contacts]
        for g in group:
            assert_array_equal(live_contacts(g.state), contacts)
            assert_array_equal(rows_of_contacts(g.state, contacts), wanted)
            for contact, row in zip(contacts, wanted, strict=True):
                assert_array_equal(row_of_contact(g.state, contact), row)
    assert graph.contact_cache.tobytes() == before
    for g in copies:
        g.agglomerate()
        assert_same_tree(g.tree, running[0].tree)


@some
@given(counted_graphs(), st.integers(0, 6))
def test_topology__can_be_asked_for_in_the_middle(case, stop):
    graph, policy = case
    running = [RunningGraph(of_type(graph, dtype), policy) for dtype in WIDE]
    for g in running:
        g.agglomerate(max_merges=stop)
        g.keep_topology()
    edges = running[0].edge_names()
    for g in running[1:]:
        assert g.edge_names() == edges
        for u, v in edges:
            assert_array_equal(g.contact_topology(u, v), running[0].contact_topology(u, v))
    for g in running:
        g.agglomerate()
        assert_same_tree(g.tree, running[0].tree)


@some
@given(counted_graphs())
def test_rounds__give_the_same_tree_for_any_type_of_rows(case):
    graph, policy = case
    trees = [agglomerate(of_type(graph, dtype), policy, engine="rounds") for dtype in WIDE]
    assert_same_tree(trees[0], trees[1])
    assert_same_tree(trees[0], trees[2])


def test_other_policies__can_look_at_a_graph_of_counts():
    labels, image = np.array([[1, 1, 2, 2, 3]]), np.array([[0.1, 0.2, 0.8, 0.9, 0.4]])
    features = OfContacts(histogram.Manager(2, compute_percentiles=[0.5]))
    graph = build_graph(labels, image, features)
    assert graph.contact_cache.tolist() == [[2, 1, 1], [2, 1, 1]]
    size = as_policy(lambda g, u, v: g.edges[u, v]["size"])
    assert_same_tree(agglomerate(graph, size), agglomerate(of_type(graph, float), size))


def test_counts_beyond_16_bits__are_kept_in_32():
    labels = np.repeat(np.arange(2, dtype=np.uint8), 300 * 300).reshape(2, 300, 300)
    affinities = np.full((3, *labels.shape), 0.75, dtype=np.float32)
    offsets = [(-1, 0, 0), (0, -1, 0), (0, 0, -1)]
    policy = boundary_quantile(0.5, nbins=4)
    graph, _ = build_affinity_graph(labels, affinities, policy.needs, offsets=offsets)
    assert graph.contact_cache.dtype == np.uint32
    assert graph.contact_cache.tolist() == [[90000, 0, 90000, 0, 0]]
    assert_same_tree(agglomerate(graph, policy), agglomerate(of_type(graph, float), policy))


@pytest.mark.parametrize("count", [40_000, 2**31])
def test_joined__makes_room_for_what_becomes_too_large(count):
    graph = build_graph([[1, 1, 2]], [[0.1, 0.2, 0.8]], OfContacts(histogram.Manager(2, compute_histogram=True)))
    part = replace(graph, contact_cache=compact(graph.contact_spec, np.full((1, 3), float(count))))
    whole = joined([part, part])
    assert whole.contact_cache.dtype == (np.uint32 if count < 2**20 else np.float64)
    assert whole.contact_cache.tolist() == [[2 * count] * 3]
    again = joined([whole, of_type(part, float)])
    assert again.contact_cache.tolist() == [[3 * count] * 3]


def test_blocks_and_files__keep_the_type(tmp_path):
    rng = np.random.default_rng(0)
    labels, image = rng.integers(1, 9, (6, 7, 8)), rng.random((6, 7, 8))
    needs = boundary_quantile(0.5).needs
    graph, blocks = build_graph(labels, image, needs), build_graph_blockwise(labels, image, needs, block_shape=3)
    assert_array_equal(blocks.compute().contact_cache, graph.contact_cache, strict=True)
    write_graph(tmp_path / "graph.npz", graph)
    assert_array_equal(read_graph(tmp_path / "graph.npz")[0].contact_cache, graph.contact_cache, strict=True)
    assert graph.contact_cache.dtype == np.uint16
    assert build_graph(labels, image, boundary_mean.needs).contact_cache.dtype == np.float64
