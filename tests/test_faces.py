"""Faces between regions, and the managers that read them: exact at build, after merges, and in physical units."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from numpy.testing import assert_allclose, assert_array_equal

import naive
import strategies
from gala._kernels.adjacency import gather_block
from gala.agglo import Rag
from gala.features import axes, convex_hull, moments, shape
from gala.features.base import Composite
from gala.features.protocol import Null
from gala.graph import volume
from gala.graph.build import block_of, build_graph, gathering
from gala.graph.caches import Channels, ImageKind

some = settings(deadline=None, max_examples=40)
both = Composite([shape.Manager(), axes.Manager(2)])


def columns(spec, *starts):
    return [i for i, name in enumerate(spec.names) if name.startswith(starts)]


def kind_of(ndim, spacing=None):
    return ImageKind(Channels((0,)), ndim, (1.0,) * ndim if spacing is None else spacing)


# ---------------------------------------------------------------------------------------------- at build


@given(strategies.label_volumes(), st.data())
@some
def test_graph__counts_faces_of_regions_and_contacts(labels, data):
    connectivity = data.draw(st.integers(1, labels.ndim))
    mask = data.draw(st.none() | st.just(np.random.default_rng(0).random(labels.shape) < 0.7))
    graph = build_graph(labels, None, shape.Manager(), connectivity=connectivity, mask=mask)
    regions = naive.regions(labels, mask=mask)
    of_regions = graph.region_cache[:, columns(graph.region_spec, "faces")]
    for row, voxels in zip(of_regions, regions.values(), strict=True):
        assert_array_equal(row, naive.faces(voxels, voxels, None, labels.shape).sum(axis=0))
    pairs = graph.labels[graph.edges].tolist()
    of_contacts = graph.contact_cache[:, columns(graph.contact_spec, "faces")]
    assert sorted(map(tuple, pairs)) == list(naive.contacts(labels, connectivity, mask=mask))
    for row, (u, v) in zip(of_contacts, pairs, strict=True):
        assert_array_equal(row, 2 * naive.faces(regions[u], None, regions[v], labels.shape).sum(axis=0))


@pytest.mark.parametrize("n_threads", [1, 2])
def test_graph__has_the_same_faces_for_any_slabs(monkeypatch, n_threads):
    rng = np.random.default_rng(0)
    labels, image = rng.integers(0, 5, (9, 4, 5)), rng.random((9, 4, 5))
    whole = build_graph(labels, image, both)
    monkeypatch.setattr(volume, "SLAB_VOXELS", 40)
    for background in (None, 0):
        whole = build_graph(labels, image, both, background=background, n_threads=1)
        slabs = build_graph(labels, image, both, background=background, n_threads=n_threads)
        faces = columns(whole.region_spec, "faces")
        assert_array_equal(slabs.region_cache[:, faces], whole.region_cache[:, faces])
        assert_allclose(slabs.contact_cache, whole.contact_cache, rtol=1e-12)


def test_faces__are_found_only_for_managers_that_ask():
    for manager, wanted in [(moments.Manager(), False), (shape.Manager(), True), (axes.Manager(), True)]:
        layout = manager.layout(kind_of(3))
        assert layout.needs_faces == wanted
    checked = volume.check_volume(np.ones((2, 3), dtype=int), None)
    assert block_of(checked, range(2))[1].face_axes.size == 0
    found, block = block_of(checked, range(2), wants_faces=True)
    assert sorted(block.face_axes.tolist()) == [0, 0, 1, 1]
    _, of_regions = gathering([shape.Manager()], checked.kind, of_regions=True)
    assert_array_equal(gather_block(block, of_regions, of_regions, len(found), False)[1], [[6, 6, 6, 4]])


# --------------------------------------------------------------------------------------------- after merges


@given(strategies.label_volumes(min_dims=1, max_dims=3), st.data())
@some
def test_merges__leave_the_faces_of_a_graph_built_anew(labels, data):
    image = data.draw(strategies.images(labels.shape, max_channels=2))
    g = Rag(labels, image, feature_manager=both)
    n_regions = g.graph.n_regions
    for _ in range(data.draw(st.integers(0, max(n_regions - 1, 0)))):
        names = [n for n in g.nodes if n != g.boundary_body]
        g.merge_nodes(*data.draw(st.sampled_from(list(itertools.combinations(names, 2)))))  # touching or not
    again = Rag(g.get_segmentation(), image, feature_manager=both)
    name = {n: min(g.nodes[n]["fragments"]) for n in g.nodes if n != g.boundary_body}
    for n in name:
        assert_array_equal(g.nodes[n]["feature-cache"][0], again.nodes[name[n]]["feature-cache"][0])
    for u, v in g.real_edges():
        of_shape, of_axes = g.edges[u, v]["feature-cache"]
        shape_again, axes_again = again.edges[name[u], name[v]]["feature-cache"]
        assert_array_equal(of_shape[1:], shape_again[1:])  # the voxels of a contact may be fewer
        assert_array_equal(of_axes, axes_again)


def test_python_engine__keeps_the_same_rows():
    rng = np.random.default_rng(0)
    labels, image = rng.integers(1, 7, (4, 5, 6)), rng.integers(0, 64, (4, 5, 6)) / 64
    slow = Composite([both, convex_hull.Manager()])
    g = Rag(labels, image, feature_manager=slow, spacing=(3, 1, 2))
    h = Rag(labels, image, feature_manager=both, spacing=(3, 1, 2))
    g.nodes[1]["feature-cache"]  # made now, so that merges have to update it
    for _ in range(4):
        for u, v in g.real_edges():
            for n in (u, v):
                assert_array_equal(g.nodes[n]["feature-cache"][0][0], h.nodes[n]["feature-cache"][0])
            for of_python, of_compiled in zip(
                g.edges[u, v]["feature-cache"][0], h.edges[u, v]["feature-cache"], strict=True
            ):
                assert_array_equal(of_python, of_compiled)
        u, v = g.real_edges()[0]
        assert g.merge_nodes(u, v) == h.merge_nodes(u, v)


def test_region__that_fills_the_volume_has_the_surface_of_the_volume():
    labels = np.random.default_rng(0).integers(1, 9, (4, 5, 6))
    g = Rag(labels, np.zeros(labels.shape), feature_manager=shape.Manager(), spacing=(2, 1, 1))
    g.agglomerate(np.inf)
    (n,) = [n for n in g.nodes if n != g.boundary_body]
    surface = 2 * (5 * 6 + 2 * 4 * 6 + 2 * 4 * 5)
    assert_allclose(shape.Manager()(g, n), [240, surface, (36 * np.pi * 240**2) ** (1 / 3) / surface])


# ------------------------------------------------------------------------------------- what they are worth


def test_shape__of_a_cube_is_in_physical_units():
    labels = np.zeros((6, 6, 6), dtype=int)
    labels[1:3, 1:5, 1:5] = 1  # 2 planes of 2 units
    g = Rag(labels, feature_manager=shape.Manager(), spacing=(2, 1, 1), connectivity=3)
    assert_allclose(shape.Manager()(g, 1), [64, 96, (np.pi / 6) ** (1 / 3)])
    area, over_low, over_high, union = shape.Manager()(g, 0, 1)[-4:]
    outer = 2 * (6 * 6 + 2 * 6 * 12)
    assert_allclose([area, over_low, over_high], [96, 1, 96 / (outer + 96)])
    assert_allclose(union, (36 * np.pi * (12 * 36) ** 2) ** (1 / 3) / outer)


def test_sphericity__of_a_ball_of_voxels_is_two_thirds():
    distance = np.linalg.norm(np.indices((41, 41, 41)) - 20.0, axis=0)
    g = Rag((distance < 18).astype(int), feature_manager=shape.Manager())
    assert_allclose(shape.Manager()(g, 1)[2], 2 / 3, rtol=0.01)


@pytest.mark.parametrize(("manager", "where"), [(shape.Manager(), slice(-4, -1)), (axes.Manager(1), slice(None))])
def test_contact_without_faces__has_no_area(manager, where):
    g = Rag([[1, 0], [0, 2]], np.ones((2, 2)), feature_manager=manager, connectivity=2, background=0)
    assert not manager(g, 1, 2)[where].any()
    assert g.boundary(1, 2).tolist() == [0, 3]


def test_axes__keep_faces_along_each_axis_apart():
    labels = np.array([[1, 1, 2], [1, 1, 2], [2, 2, 2]])
    image = np.array([[0, 0.5, 1], [0.25, 0.5, 0], [0.75, 0.25, 9]])
    features = axes.Manager(2)(Rag(labels, image, feature_manager=axes.Manager(2)), 1, 2)
    along, across = [0.25, 0.75, 0.5, 0.25], [0.5, 1, 0.5, 0]
    expected = [2, np.mean(along), np.var(along), 2, np.mean(across), np.var(across)]
    assert_allclose(features, expected)


def test_faces__of_a_hand_written_manager_come_with_the_voxels():
    class Faces(Null):
        def create_edge_cache(self, g, n1, n2):
            return np.column_stack([g.boundary(n1, n2), g.faces(n1, n2)])

    g = Rag([[1, 1, 2], [1, 3, 3]], feature_manager=Faces())
    assert g.edges[1, 3]["feature-cache"].tolist() == [[1, 1, 0], [3, 0, 1], [4, 1, 1]]
    assert g.faces(2).tolist() == [[2, 2]]
