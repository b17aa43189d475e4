"""Graphs from affinities built block by block are those built in memory, for any blocks."""

from __future__ import annotations

import warnings

import dask
import dask.array as da
import numpy as np
import pytest
import zarr
from hypothesis import given, settings, strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from affinity_cases import cases, features, random_values, real_case
from gala.engine.agglomerate import agglomerate
from gala.engine.blocks import agglomerate_inside, assemble, frozen_regions, join_remainders
from gala.engine.policy import boundary_max, boundary_mean, boundary_min
from gala.errors import FeatureError, GalaWarning, ImageError, SettingError, ShapeError
from gala.features import moments, shape as shapes
from gala.graph.affinity_blocks import build_affinity_graph_blockwise, count_block
from gala.graph.affinity_graph import build_affinity_graph
from gala.graph.grid import Grid, reaching

few = settings(deadline=None, max_examples=60)


@pytest.fixture(autouse=True)
def _one_thread():
    with dask.config.set(scheduler="synchronous"):
        yield


def check_rows(found, expected, spec):
    """Compare cache rows: sums of values closely, all else to the last bit."""
    assert found.dtype == expected.dtype
    is_sum = np.array([name.startswith("p") and name != "p0" for name in spec.names], dtype=bool)
    assert_array_equal(found[:, ~is_sum], expected[:, ~is_sum])
    assert_allclose(found[:, is_sum], expected[:, is_sum], rtol=1e-12)


def check_same(found, expected):
    graph, lifted = found
    for name in ("labels", "edges", "border_sizes"):
        assert_array_equal(getattr(graph, name), getattr(expected.graph, name))
    assert graph.labels.dtype == expected.graph.labels.dtype
    assert graph.kind == expected.graph.kind
    for name in ("edges", "touches"):
        assert_array_equal(getattr(lifted, name), getattr(expected.lifted, name))
    assert (graph.region_spec, graph.contact_spec) == (expected.graph.region_spec, expected.graph.contact_spec)
    assert lifted.spec == expected.lifted.spec
    check_rows(graph.region_cache, expected.graph.region_cache, graph.region_spec)
    check_rows(graph.contact_cache, expected.graph.contact_cache, graph.contact_spec)
    check_rows(lifted.cache, expected.lifted.cache, lifted.spec)


@st.composite
def block_shapes(draw, shape):
    return tuple(draw(st.integers(1, n + 1)) for n in shape)


@random_values
@few
@given(cases(), st.data())
def test_graph__is_that_in_memory_for_any_blocks(case, data):
    options = {
        "summary": data.draw(st.sampled_from(["all", "strongest"])),
        "polarity": data.draw(st.sampled_from(["attractive", "repulsive"])),
        "spacing": data.draw(st.none() | st.just([2.0, 1.0, 0.5, 3.0][: case.labels.ndim])),
        "background": data.draw(st.none() | st.just(int(case.labels.flat[0]))),
    }
    inexact = data.draw(st.sampled_from([1, 0.7]))  # sums of these depend on their order
    affinities = (case.boundary * np.float32(inexact)).astype(data.draw(st.sampled_from(["f2", "f4", "f8"])))
    expected = case.build(affinities=affinities, **options)
    mask = None if case.mask is None else da.from_array(case.mask, chunks=2)
    found = build_affinity_graph_blockwise(
        da.from_array(case.labels, chunks=data.draw(block_shapes(case.labels.shape))),
        affinities,
        features,
        offsets=case.offsets,
        mask=mask,
        block_shape=data.draw(block_shapes(case.labels.shape)),
        **options,
    )
    check_same(found.compute(), expected)


@pytest.fixture(autouse=True)
def _any_chunks():
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="blocks of .* cut through chunks")
        yield


@random_values
@few
@given(cases(), st.sampled_from([boundary_mean, boundary_min, boundary_max]), st.data())
def test_agglomeration__of_blocks_gives_the_tree_of_the_whole(case, policy, data):
    near, shape = case.split(), case.labels.shape
    offsets, boundary = np.array(case.offsets)[near], case.boundary[near]
    given = {"offsets": offsets, "polarity": "repulsive"}
    whole = build_affinity_graph(case.labels, boundary, policy.needs, mask=case.mask, **given).graph
    grid = Grid(shape, data.draw(block_shapes(shape)))
    sees_more = data.draw(st.booleans())
    graphs = []
    for place in grid.places():
        box = grid.box(place)
        seen = grid.seen(place) if sees_more else reaching(box, offsets.tolist(), shape)
        mask = None if case.mask is None else case.mask[seen]
        values = boundary[(slice(None), *box)]
        graphs.append(count_block(case.labels[seen], values, policy.needs, box, seen, shape, mask=mask, **given).graph)
    merges = []

    def inside(graph, own):
        outside = [each.labels for i, each in enumerate(graphs) if i not in own]
        made, remainder = agglomerate_inside(graph, policy, 0.6, frozen=frozen_regions(graph, outside))
        merges.append(made)
        return remainder, own

    left = [inside(graph, [i]) for i, graph in enumerate(graphs)]
    while len(left) > 1:
        (one, own), (other, others), *left = left
        left.append(inside(join_remainders([one, other]), own + others))
    tree, expected = assemble(whole.labels, merges), agglomerate(whole, policy, 0.6)
    assert_array_equal(tree.children, expected.children)
    assert_array_equal(tree.priority, expected.priority)


@few
@given(st.data())
def test_voxels_beyond__are_those_that_steps_lead_to(data):
    shape = tuple(data.draw(st.lists(st.integers(1, 7), min_size=1, max_size=3)))
    steps = data.draw(st.lists(st.tuples(*[st.integers(-4, 4) for _ in shape]), min_size=1, max_size=4))
    grid = Grid(shape, data.draw(block_shapes(shape)))
    box = grid.box(data.draw(st.sampled_from(list(grid.places()))))
    own = np.argwhere(np.ones([part.stop - part.start for part in box])) + [part.start for part in box]
    there = np.concatenate([own, *[own + step for step in steps]])
    there = there[((there >= 0) & (there < shape)).all(axis=1)]
    expected = tuple(slice(a, b) for a, b in zip(there.min(axis=0), there.max(axis=0) + 1, strict=True))
    seen = reaching(box, steps, shape)
    # A side on which all steps leave the volume reaches to its end.
    assert all(
        found.start <= part.start and found.stop >= part.stop for found, part in zip(seen, expected, strict=True)
    )
    assert all(0 <= part.start < part.stop <= n for part, n in zip(seen, shape, strict=True))


@pytest.mark.compiled
@pytest.mark.parametrize("block_shape", [8, (16, 5, 32), (3, 32, 7), None])
def test_volumes_on_disk__are_read_block_by_block(tmp_path, block_shape):
    case = real_case()
    stored = {}
    for name, array in {"labels": case.labels, "affinities": (255 * (1 - case.boundary)).astype("u1")}.items():
        stored[name] = zarr.create_array(tmp_path / name, data=array, chunks=(1,) * (array.ndim - 3) + (8, 8, 8))
    expected = build_affinity_graph(case.labels, stored["affinities"][:], features, offsets=case.offsets)
    found = build_affinity_graph_blockwise(
        stored["labels"], stored["affinities"], features, offsets=case.offsets, block_shape=block_shape
    )
    with dask.config.set(scheduler="threads", num_workers=2):
        check_same(found.compute(), expected)


def test_inverted_affinities__are_warned_of_once():
    case = real_case()
    built = build_affinity_graph_blockwise(case.labels, case.boundary, offsets=case.offsets, block_shape=8)
    with pytest.warns(GalaWarning, match="look inverted") as warned:
        built.compute()
    assert len(warned) == 1


def test_inverted_block__of_a_volume_that_is_not_is_not_warned_of():
    labels, affinities = np.repeat([[1, 2]], 8, axis=0), np.ones((2, 8, 2))
    affinities[:, :2] = 0
    build_affinity_graph_blockwise(labels, affinities, offsets=[(-1, 0), (0, -1)], block_shape=2).compute()


def test_chunks_that_blocks_cut_through__are_warned_of():
    case = real_case(16)
    affinities = da.from_array(case.boundary, chunks=(5, 8, 8, 8))
    with pytest.warns(GalaWarning, match=r"cut through chunks of \(8, 8, 8\) of affinities"):
        build_affinity_graph_blockwise(case.labels, affinities, offsets=case.offsets, block_shape=6)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"affinities": np.ones((3, 4, 5))}, ShapeError, "2 channels, one for each offset"),
        ({"affinities": np.ones((2, 5, 5))}, ShapeError, "the shape of labels"),
        ({"mask": np.ones((3, 3))}, ShapeError, "mask must have the shape of labels"),
        ({"offsets": [[-1, 0], [-2, 0]]}, SettingError, "a step of one voxel along each axis; got none along axis 1"),
        ({"polarity": "positive"}, SettingError, "polarity must be 'attractive'"),
        ({"summary": "max"}, SettingError, "summary must be 'all' or 'strongest'"),
        ({"spacing": [1]}, SettingError, "spacing must be"),
        ({"features": shapes.Manager()}, FeatureError, "features must read values only"),
        ({"block_shape": 0}, SettingError, "blocks must have"),
    ],
)
def test_bad_input__is_refused_before_anything_is_computed(change, error, message):
    given = {"affinities": np.ones((2, 4, 5), dtype=np.float32), "offsets": [[-1, 0], [0, -1]]} | change
    with pytest.raises(error, match=message):
        build_affinity_graph_blockwise(np.arange(20).reshape(4, 5), **given)


def test_bad_values__are_refused_when_they_are_read():
    affinities = np.ones((1, 8))
    affinities[0, 6] = 2
    built = build_affinity_graph_blockwise(np.arange(8), affinities, moments.Manager(), offsets=[[1]], block_shape=2)
    with pytest.raises(ImageError, match="from 0 to 1; channel 0 is from 1 to 2"):
        built.compute()
