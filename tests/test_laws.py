"""What must hold for every declared feature manager; a new one is found, and tested, by itself."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from numpy.testing import assert_allclose, assert_array_equal

import naive
import strategies
from gala._kernels.program import describe
from gala.features.base import Composite
from gala.features.program import build_program, declared_leaves, is_declared, output_names
from gala.graph.caches import lay_out

some = settings(deadline=None, max_examples=60)


def row(manager, layout, values, coords, faces=None, *, read=None, owner=None, n_rows=1):
    """Return the cache rows of voxels."""
    rows = np.tile(layout.spec.empty, (n_rows, 1))
    owner = np.zeros(len(values), dtype=np.int64) if owner is None else owner
    read = np.array(layout.region_channels if read is None else read, dtype=np.int64)
    faces = np.floor(coords % 3) if faces is None else faces  # any numbers of each voxel will do
    manager.gather(layout.params, read, np.ascontiguousarray(values), coords, faces, owner, 0, rows)
    return rows if n_rows > 1 else rows[0]


def node_features(manager, layout, cache):
    out = np.full(len(layout.node_names), np.nan)
    manager.node(layout.params, cache, np.empty(0), np.empty(0), out)
    return out


def coords_of(values, seed):
    return np.random.default_rng(seed).integers(0, 9, (len(values), 3)).astype(float)


@pytest.mark.parametrize("kind", strategies.declared_kinds(), ids=lambda kind: kind.name)
def test_declared_manager__is_complete(kind):
    assert kind.name in naive.FEATURES, f"{kind.name} needs a slow twin in naive.FEATURES"
    assert is_declared(kind())
    assert declared_leaves(Composite([kind(), Composite([kind()])]))


@given(strategies.declared_managers(), strategies.voxel_values(), st.integers(0, 40), st.integers(0, 9))
@some
def test_row__of_a_union_is_the_join_of_rows(manager, voxels, split, seed):
    values, kind = voxels
    coords = coords_of(values, seed)
    layout = manager.layout(kind)
    left, right = (row(manager, layout, values[part], coords[part]) for part in (slice(split), slice(split, None)))
    assert_array_equal(layout.spec.join(left, right), row(manager, layout, values, coords))


@given(
    strategies.declared_managers(),
    strategies.voxel_values(values=st.floats(-1e3, 1e3)),
    st.integers(0, 40),
    st.integers(0, 9),
)
@some
def test_row__of_a_union_is_the_join_of_rows__up_to_rounding(manager, voxels, split, seed):
    values, kind = voxels
    coords = coords_of(values, seed)
    layout = manager.layout(kind)
    left, right = (row(manager, layout, values[part], coords[part]) for part in (slice(split), slice(split, None)))
    size = row(manager, layout, np.abs(values), coords)  # what rounding is relative to
    joined, whole = layout.spec.join(left, right), row(manager, layout, values, coords)
    differs = joined != whole  # minima of no voxels are infinite
    assert np.all(np.abs(joined[differs] - whole[differs]) <= 1e-13 * np.maximum(size, np.abs(whole))[differs])


@given(strategies.declared_managers(), strategies.voxel_values(), st.integers(0, 9))
@some
def test_row__without_voxels_is_neutral(manager, voxels, seed):
    values, kind = voxels
    layout = manager.layout(kind)
    empty, whole = layout.spec.empty, row(manager, layout, values, coords_of(values, seed))
    assert_array_equal(layout.spec.join(empty, whole), whole)
    assert_array_equal(layout.spec.join(whole, empty), whole)
    assert_array_equal(row(manager, layout, values[:0], np.empty((0, 3))), empty)


@given(strategies.declared_managers(), strategies.voxel_values(max_voxels=0))
@some
def test_features__without_voxels_are_finite(manager, voxels):
    layout = manager.layout(voxels[1])
    empty = layout.spec.empty
    assert np.isfinite(node_features(manager, layout, empty)).all()
    for kernel, names in [(manager.edge, layout.edge_names), (manager.difference, layout.difference_names)]:
        out = np.full(len(names), np.nan)
        kernel(layout.params, empty, empty, empty, out)
        assert np.isfinite(out).all()


@given(
    strategies.declared_managers(),
    strategies.voxel_values(),
    st.randoms(use_true_random=False),
    st.integers(0, 9),
)
@some
def test_features__do_not_depend_on_the_order_of_voxels(manager, voxels, random, seed):
    values, kind = voxels
    coords = coords_of(values, seed)
    layout = manager.layout(kind)
    order = random.sample(range(len(values)), len(values))
    straight, shuffled = (
        row(manager, layout, values, coords),
        row(manager, layout, values[order], coords[order]),
    )
    assert_array_equal(shuffled, straight)
    assert_array_equal(node_features(manager, layout, shuffled), node_features(manager, layout, straight))


@given(strategies.declared_managers(), strategies.voxel_values(), st.data())
@some
def test_gather__adds_each_voxel_to_the_row_of_its_owner(manager, voxels, data):
    values, kind = voxels
    coords = coords_of(values, 0)
    layout = manager.layout(kind)
    owners = st.lists(st.integers(0, 3), min_size=len(values), max_size=len(values))
    owner = np.array(data.draw(owners), dtype=np.int64)
    rows = row(manager, layout, values, coords, owner=owner, n_rows=4)
    for n in range(4):
        assert_array_equal(rows[n], row(manager, layout, values[owner == n], coords[owner == n]))


@given(strategies.declared_managers())
@some
def test_description__gives_the_same_manager_back(manager):
    description = json.loads(json.dumps(Composite([manager, manager]).write_fm()))
    copies = Composite.load_dict(description).children
    assert [type(copy) for copy in copies] == [type(manager)] * 2
    assert [copy.parameters() for copy in copies] == [manager.parameters()] * 2


@given(st.lists(strategies.declared_managers(), min_size=1, max_size=3), st.data())
@settings(deadline=None, max_examples=80)
def test_compiled_features__equal_the_historic_protocol_and_the_slow_twin(managers, data):
    values = data.draw(st.sampled_from([strategies.DYADIC, strategies.DECIMAL]))
    labels = data.draw(strategies.label_volumes().filter(lambda labels: np.ptp(labels) > 0))
    image = data.draw(strategies.images(labels.shape, values=values))
    kind = data.draw(strategies.kinds(image.shape[-1], labels.ndim))
    features = Composite(managers)
    graph = naive.Graph(labels, image, features, kind)
    pair = data.draw(st.sampled_from(sorted(graph.edges)).flatmap(st.permutations))

    # The k-th root of a rounding error of 1e-16 is far larger.
    rooted = any(getattr(manager, "normalize", False) for manager in managers)
    compiled = compiled_features(features, graph, *pair)
    # Voxels of several regions are summed in turns, those of one by one in another order.
    exact = values is strategies.DYADIC
    assert_allclose(compiled, features(graph, *pair), rtol=0, atol=0 if exact else 5e-3 if rooted else 1e-12)
    assert len(compiled) == len(output_names(features, kind))

    small, large = sorted(pair, key=lambda n: graph.nodes[n]["size"])
    twins = [slow_features(manager, graph, small, large) for manager in managers]
    for i in range(4):
        part = np.concatenate([twin[i] for twin in twins])
        assert_allclose(compiled[: len(part)], part, rtol=0, atol=5e-3 if rooted else 1e-11)
        compiled = compiled[len(part) :]


def compiled_features(features, graph, u, v):
    """Return the features of a pair from rows that hold the columns of all managers side by side."""
    leaves = declared_leaves(features)
    spec, firsts = lay_out(leaves, graph.kind)
    regions, contacts = np.tile(spec.empty, (2, 1)), spec.empty[np.newaxis].copy()
    owner = np.repeat([0, 1], [len(graph.extent(n)) for n in (u, v)])
    extent, boundary = np.concatenate([graph.extent(u), graph.extent(v)]), graph.boundary(u, v)
    faces = np.concatenate([graph.faces(u), graph.faces(v)]), graph.faces(u, v)
    for leaf, first in zip(leaves, firsts, strict=True):
        if first is not None:
            layout = leaf.layout(graph.kind)
            for voxels, own_faces, own, read, rows in [
                (extent, faces[0], owner, layout.region_channels, regions),
                (boundary, faces[1], np.zeros(len(boundary), dtype=np.int64), layout.contact_channels, contacts),
            ]:
                read = np.array(read, dtype=np.int64)
                arrays = graph.values(voxels), graph.coords(voxels), own_faces
                leaf.gather(layout.params, read, *arrays, own, first, rows)
    out = np.full(len(output_names(features, graph.kind)), np.nan)
    program = build_program(features, spec, spec, graph.kind)
    u_is_smaller = graph.nodes[u]["size"] <= graph.nodes[v]["size"]
    describe(program, regions, contacts, *((0, 1) if u_is_smaller else (1, 0)), 0, out)
    return out


def slow_features(manager, graph, small, large):
    """Return the four parts of the features of a pair from its slow twin."""
    layout = manager.layout(graph.kind)
    parts = [
        (graph.extent(small), graph.faces(small), layout.region_channels),
        (graph.extent(large), graph.faces(large), layout.region_channels),
        (graph.boundary(small, large), graph.faces(small, large), layout.contact_channels),
    ]
    spacing = graph.kind.spacing
    voxels = [
        naive.Voxels(graph.values(where)[:, read], graph.coords(where), spacing, faces) for where, faces, read in parts
    ]
    return naive.FEATURES[manager.name](*voxels, **manager.parameters())
