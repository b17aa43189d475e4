"""Managers that look at where voxels are, and the contact manager: published values, units, and edge cases."""

from __future__ import annotations

from itertools import combinations, pairwise

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from numba import config
from numpy.testing import assert_allclose, assert_array_equal
from scipy.spatial import ConvexHull

import strategies
from gala._kernels.axes import angle, difference_of_products, sort_axes, turn_to_axes
from gala.agglo import Rag
from gala.errors import FeatureError, SettingError
from gala.features import contact, convex_hull, moments, orientation, squiggliness
from gala.features.base import Composite
from gala.features.convex_hull import Hull
from gala.features.program import output_names
from gala.graph.build import build_graph
from gala.graph.caches import Channels, ImageKind
from real import read, reference

compiled = pytest.mark.skipif(bool(config.DISABLE_JIT), reason="whole volumes are slow without the JIT")
some = settings(deadline=None, max_examples=40)

everything = Composite([contact.Manager(), orientation.Manager(), squiggliness.Manager(), moments.Manager()])


def kind_of(ndim, spacing=None):
    return ImageKind(Channels((0,)), ndim, (1.0,) * ndim if spacing is None else spacing)


def features_of(manager, labels, image=None, edges=None, **options):
    """Return the features of the edges of a volume, as the compiled loops compute them."""
    g = Rag(labels, image, feature_manager=manager, **options)
    return g.features(manager, np.array(g.real_edges() if edges is None else edges))


# ------------------------------------------------------------------------------------ published values


@compiled
@pytest.mark.parametrize("split", ["train", "test"])
def test_squiggliness__gives_the_published_column(split):
    expected = reference(f"features_{split}_p1_squiggliness_slow")
    X = features_of(squiggliness.Manager(), read(f"{split}-ws"), edges=expected["edges"])
    assert_allclose(X, expected["X"], rtol=0, atol=1e-9)


@compiled
@pytest.mark.parametrize("split", ["train", "test"])
@pytest.mark.parametrize(("name", "columns"), [("p1", slice(104, 132)), ("p4", slice(392, 492))])
def test_contact__gives_the_published_columns__in_order_of_size(split, name, columns):
    expected = reference(f"features_{split}_{name}_snemi3d_slow")
    labels, edges = read(f"{split}-ws"), expected["edges"]
    X = features_of(contact.Manager(), labels, read(f"{split}-{name}"), edges)
    assert_allclose(X, in_order_of_size(expected["X"][:, columns], edges, np.bincount(labels.ravel())), atol=1e-9)


def in_order_of_size(X, edges, sizes):
    """Return published contact features as they are if counts go by size too; there they go by label."""
    n_logs = X.shape[1] // 2 - 2
    by_label = X[:, [*range(0, n_logs, 4), *range(2, n_logs, 4)]].reshape(len(X), 2, -1)
    swapped = sizes[edges[:, 0]] > sizes[edges[:, 1]]
    by_size = np.where(swapped[:, np.newaxis, np.newaxis], by_label[:, ::-1], by_label)
    ratios = np.stack([by_size, by_size / X[:, -2:, np.newaxis]], axis=2)  # edge, side, over sizes or not, column
    ratios = ratios.transpose(0, 3, 1, 2).reshape(len(X), -1)
    return np.concatenate([ratios, np.log(ratios), X[:, -4:]], axis=1)


# ------------------------------------------------------------------------- both engines, and after merges


def test_python_engine__computes_what_compiled_loops_do():
    rng = np.random.default_rng(0)
    labels, image = rng.integers(1, 6, (5, 6, 7)), rng.integers(0, 64, (5, 6, 7)) / 64
    with_hulls = Composite([Composite([everything]), convex_hull.Manager()])
    g = Rag(labels, image, feature_manager=with_hulls, spacing=(3, 1, 2))
    h = Rag(labels, image, feature_manager=everything, spacing=(3, 1, 2))
    n_hulls = {"smaller": 2, "larger": 2, "contact": 2, "difference": 8}
    names = output_names(everything, g.kind)
    places = np.cumsum([sum(name.startswith(part) for name in names) for part in n_hulls])
    for _ in range(4):
        edges = np.array(g.real_edges())
        python = np.array([np.delete(with_hulls(g, u, v), hull_columns(places, n_hulls)) for u, v in edges])
        assert_array_equal(python, np.array([everything(h, u, v) for u, v in edges]))
        assert_allclose(python, h.features(everything, edges), rtol=1e-12, atol=1e-13)
        u, v = edges[0].tolist()
        assert g.merge_nodes(u, v) == h.merge_nodes(u, v)


def hull_columns(places, n_hulls):
    """Return where the features of hulls are, each after the others of its part."""
    before = np.cumsum([0, *n_hulls.values()])
    return np.concatenate([p + b + np.arange(n) for p, b, n in zip(places, before, n_hulls.values(), strict=False)])


def test_columns_of_contacts_only__move_no_others():
    labels, image = np.repeat([[1, 2, 3]], 3, axis=0), np.array([[0, 0.25, 1]] * 3)
    g = Rag(labels, image, feature_manager=Composite([squiggliness.Manager(), moments.Manager(1)]))
    g.agglomerate(0.25)  # by the mean, whose columns are in rows of regions and of contacts
    assert g.get_segmentation().tolist() == [[1, 1, 3]] * 3


class Adjusted(contact.Manager):
    """Overrides a method of the protocol, with the historic arguments."""

    def compute_edge_features(self, g, n1, n2, cache=None):
        return 2 * super().compute_edge_features(g, n1, n2, cache)


def test_edge_features__can_be_overridden_in_a_composite():
    rng = np.random.default_rng(0)
    labels, image = rng.integers(1, 4, (4, 4)), rng.random((4, 4))
    both = Composite([Adjusted(), contact.Manager()])
    g = Rag(labels, image, feature_manager=both)
    twice, once = both(g, 1, 2).reshape(2, -1)
    assert_array_equal(twice, 2 * once)


def test_columns_of_contacts_only__cost_regions_nothing():
    labels = np.repeat([[1, 2]], 3, axis=0)
    graph = build_graph(labels, None, squiggliness.Manager())
    assert graph.region_spec.names == ("count",)
    assert graph.contact_spec.names == ("count", "p0", "lowest x0", "lowest x1", "highest x0", "highest x1")
    assert_array_equal(graph.contact_cache, [[6, 6, 0, 0, 2, 1]])
    assert Rag(labels, feature_manager=squiggliness.Manager()).nodes[1]["feature-cache"].size == 0


# ------------------------------------------------------------------------------------------ laws


@given(strategies.label_volumes(min_dims=2, max_dims=3), st.integers(1, 50), st.integers(0, 3))
@some
def test_features__do_not_depend_on_where_regions_are(labels, shift, n_copies):
    labels = labels + 1
    padding = [(shift, n_copies)] * labels.ndim
    moved = np.pad(labels, padding)
    shapes = Composite([orientation.Manager(), squiggliness.Manager()])
    g, h = Rag(labels, feature_manager=shapes), Rag(moved, feature_manager=shapes, background=0)
    edges = np.array(g.real_edges()).reshape(-1, 2)
    assert_array_equal(h.features(shapes, edges), g.features(shapes, edges))


@given(strategies.label_volumes(min_dims=2, max_dims=3), st.sampled_from([0.5, 2.0, 4.0]))
@some
def test_features__scale_as_their_units_say(labels, factor):
    ndim = labels.ndim
    manager = Composite([orientation.Manager(), squiggliness.Manager(), convex_hull.Manager()])
    g, h = (Rag(labels, feature_manager=manager, spacing=(side,) * ndim) for side in (1, factor))
    shape = [factor**2] * ndim + [1]
    hull = [factor**ndim, 1]
    node, edge = shape + hull, [*shape, factor ** (1 - ndim), *hull]
    scale = np.array([*node, *node, *edge, *[1] * (4 + 8)])
    for u, v in g.real_edges():
        assert_allclose(manager(h, u, v), manager(g, u, v) * scale, rtol=1e-13)


@given(strategies.label_volumes(min_dims=2, max_dims=3), st.data())
@some
def test_features__follow_axes_that_change_places(labels, data):
    labels = labels + 1
    axes = data.draw(st.permutations(range(labels.ndim)))
    spacing = data.draw(st.tuples(*[st.sampled_from([0.5, 1.0, 3.0])] * labels.ndim))
    manager = Composite([orientation.Manager(), squiggliness.Manager(), convex_hull.Manager()])
    g = Rag(labels, feature_manager=manager, spacing=spacing)
    h = Rag(labels.transpose(axes), feature_manager=manager, spacing=[spacing[a] for a in axes])
    for u, v in g.real_edges():
        assert_allclose(manager(h, u, v), manager(g, u, v), atol=1e-9)


@pytest.mark.parametrize("shape", [(2,), (2, 5), (2, 5, 4), (2, 3, 2, 4)])
def test_squiggliness__of_a_flat_contact_is_1(shape):
    halves = np.ones(shape, dtype=int)
    halves[1] = 2
    assert_array_equal(features_of(squiggliness.Manager(), halves), [[1]])


def test_spacing__of_one_axis_changes_lengths_along_it():
    labels = np.array([[1, 1, 1, 1], [2, 2, 2, 2]])
    X = features_of(squiggliness.Manager(), labels, spacing=(5, 0.5))
    assert_allclose(X, [[8 / 2 / 10]])
    X = features_of(orientation.Manager(), labels, spacing=(5, 0.5))
    assert_allclose(X[0, :3], [np.var([0, 0.5, 1, 1.5], ddof=1) / 4, 0, 1], atol=1e-15)
    assert_allclose(X[0, -4:], [0, np.pi / 2, np.pi / 2, np.pi / 2])


# ------------------------------------------------------------------------------------------ orientation


def node_features(manager, coords, spacing=None):
    """Return the node features of voxels at `coords`, shape (V, ndim)."""
    layout = manager.layout(kind_of(coords.shape[1], spacing))
    rows = layout.spec.empty[np.newaxis].copy()
    owner = np.zeros(len(coords), dtype=np.int64)
    manager.gather(
        layout.params,
        np.empty(0, dtype=np.int64),
        np.empty((len(coords), 0)),
        coords.astype(float),
        np.empty((0, 3)),
        owner,
        0,
        rows,
    )
    out = np.full(len(layout.node_names), np.nan)
    manager.node(layout.params, rows[0], rows[0], rows[0], out)
    return out


@pytest.mark.parametrize("ndim", [1, 2, 3, 4])
@pytest.mark.parametrize("origin", [0, 999_000, 1_000_000])
def test_orientation__far_from_the_origin_is_the_same_to_the_last_bit(ndim, origin):
    rng = np.random.default_rng(ndim)
    coords = np.unique(rng.integers(0, 12, (800, ndim)), axis=0)
    near, far = (node_features(orientation.Manager(), coords + shift) for shift in (0, origin))
    assert_array_equal(far, near)
    covariance = np.cov(coords.T).reshape(ndim, ndim) / len(coords)
    assert_allclose(near[:ndim], np.linalg.eigvalsh(covariance)[::-1], rtol=1e-12)


def test_orientation__loses_little_where_sums_are_rounded():
    n, origin = 60, 1_000_000  # sums of squares of 216,000 voxels are 24 times what is exact
    coords = np.stack(np.indices((n, n, n)), axis=-1).reshape(-1, 3)
    near, far = (node_features(orientation.Manager(), coords + shift) for shift in (0, origin))
    bound = n**2 * origin**2 / 2**53 / n**3  # of an element of the covariance, then over the count
    assert np.abs(far[:3] - near[:3]).max() <= bound


@pytest.mark.parametrize("ndim", [1, 2, 3, 4])
def test_orientation__of_one_voxel_is_none(ndim):
    assert_array_equal(node_features(orientation.Manager(), np.full((1, ndim), 7)), np.zeros(ndim + 1))


def test_orientation__of_shapes_without_an_axis_is_at_right_angles_to_all():
    labels = np.repeat(np.repeat([[1, 2]], 2, axis=0), 2, axis=1)
    X = features_of(orientation.Manager(), labels)
    assert_array_equal(X[0, 2::3][:2], [0, 0])
    assert_array_equal(X[0, -4:], np.full(4, np.pi / 2))
    around = np.array([[1, 1, 1], [1, 2, 1], [1, 1, 1]])  # one centroid
    assert_array_equal(features_of(orientation.Manager(), around)[0, -4:], np.full(4, np.pi / 2))


def test_orientation__angles_are_those_of_rods():
    labels = np.zeros((9, 9), dtype=int)
    labels[np.arange(5), np.arange(5)] = 1
    labels[5, 4:9] = 2
    X = features_of(orientation.Manager(), labels, background=0, connectivity=2)
    line = np.arctan2(4, 3)  # centroids are 3 down and 4 to the right
    assert_allclose(X[0, -4:-1], [np.pi / 4, *sorted([line - np.pi / 4, np.pi / 2 - line])], rtol=1e-14)


@given(st.integers(1, 4), st.integers(0, 10**6), st.sampled_from([1e-9, 1.0, 1e9]))
@some
def test_axes__are_those_of_numpy(d, seed, scale):
    rng = np.random.default_rng(seed)
    root = rng.integers(-3, 4, (d, rng.integers(1, d + 1))).astype(float)
    matrix = (root @ root.T) * scale
    turned, axes = matrix.copy(), np.empty((d, d))
    turn_to_axes(turned, axes)
    values = np.diag(turned).copy()
    sort_axes(values, axes)
    assert_allclose(values, np.linalg.eigvalsh(matrix)[::-1], atol=1e-13 * 40 * scale)
    assert_allclose(axes @ axes.T, np.eye(d), atol=1e-14)
    assert_allclose(axes.T @ np.diag(values) @ axes, matrix, atol=1e-13 * 40 * scale)
    assert all(a >= b for a, b in pairwise(values))


@given(st.tuples(*[st.integers(-(2**53), 2**53)] * 4))
@some
def test_difference_of_products__is_that_of_integers(numbers):
    a, b, c, d = numbers
    exact = a * b - c * d
    assert abs(int(difference_of_products(*map(float, numbers))) - exact) <= abs(exact) * 2**-51


@pytest.mark.parametrize("size", [1e-12, 1e-3, 0.5, np.pi / 2 - 1e-9])
def test_angle__of_lines_is_exact_when_small(size):
    a, b = np.array([2.0, 0.0]), -3 * np.array([np.cos(size), np.sin(size)])
    assert_allclose(angle(a, b), size, rtol=1e-12)
    assert angle(a, np.zeros(2)) == np.pi / 2


# ------------------------------------------------------------------------------------------ convex hulls


def box(shape):
    return np.stack(np.indices(shape), axis=-1).reshape(-1, len(shape)).astype(float)


@pytest.mark.parametrize("shape", [(5,), (2, 3), (2, 2, 2), (1, 1, 1), (1, 4, 1), (3, 1, 2), (2, 1, 3, 2)])
def test_hull__of_a_box_is_the_box(shape):
    hull = Hull.of_voxels(box(shape) + 17)
    assert_allclose(hull.volume, np.prod(shape), rtol=1e-14)
    assert len(hull.corners) == 2 ** len(shape)


def test_hull__of_a_diagonal_is_larger_than_its_voxels():
    assert_allclose(Hull.of_voxels(np.array([[0.0, 0], [1, 1]])).volume, 3)
    assert_allclose(Hull.of_voxels(np.array([[1000000.0, 0], [1000001, 1]])).volume, 3)


@given(st.lists(st.tuples(*[st.integers(0, 6)] * 3), min_size=1, max_size=25, unique=True), st.integers(0, 25))
@some
def test_hull__of_a_union_is_the_join_of_hulls(voxels, split):
    coords = np.array(voxels, dtype=float)
    whole = Hull.of_voxels(coords)
    corners = (coords[:, np.newaxis] + box((2, 2, 2))).reshape(-1, 3)
    assert_allclose(whole.volume, ConvexHull(corners).volume, rtol=1e-12)
    assert whole.volume >= len(voxels) - 1e-9
    left, right = coords[:split], coords[split:]
    if len(left) and len(right):
        assert_allclose(Hull.of_voxels(left).join(Hull.of_voxels(right)).volume, whole.volume, rtol=1e-12)


def test_convex_hull__after_merges_is_that_of_the_merged_regions():
    rng = np.random.default_rng(1)
    labels = rng.integers(1, 7, (4, 5, 6))
    merged = np.where(np.isin(labels, [1, 2, 3]), 1, labels)
    manager = convex_hull.Manager()
    g, h = Rag(labels, feature_manager=manager), Rag(merged, feature_manager=manager)
    one = g.merge_nodes(g.merge_nodes(1, 2), 3)
    assert_allclose(manager(g, one), manager(h, 1), rtol=1e-12)
    n = 2 + 2 + 1  # features of both regions, and the volume of the contact: its size counts some voxels twice
    assert_allclose(manager(g, one, 4)[:n], manager(h, 1, 4)[:n], rtol=1e-12)


def test_convex_hull__compares_regions_with_both_together():
    labels = np.array([[1, 1, 2], [2, 2, 2]])  # two boxes make a box but for region 2, an L
    u, v = 2.0, 4.0 + 1.0  # volumes of hulls
    manager = convex_hull.Manager()
    found = manager(Rag(labels, feature_manager=manager), 1, 2)
    r1, r2, r = u / 2, v / 4, 1.0
    shared = 2 + 3
    assert_allclose(found[:4], [u, r1, v, r2])
    assert_allclose(found[6:], [r2 - r1, 0, r2 - r, r, r1 / r2, shared / 2, shared / 4, shared / 6], atol=1e-12)


def test_convex_hull__trains_and_agglomerates():
    rng = np.random.default_rng(2)
    labels = rng.integers(1, 9, (6, 6))
    manager = convex_hull.Manager()

    def roundness(g, u, v):
        return manager(g, u, v)[9]

    g = Rag(labels, feature_manager=manager, merge_priority_function=roundness)
    g.agglomerate(np.inf)
    assert len(g.real_edges()) == 0


# ------------------------------------------------------------------------------------------ bad options


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"thresholds": 0.5}, "thresholds must be a list of numbers; got 0.5"),
        ({"thresholds": ["a"]}, "thresholds must be a list of numbers"),
        ({"thresholds": [0.5, np.nan]}, "thresholds must be finite"),
    ],
)
def test_contact__options_that_cannot_be_are_refused(options, message):
    with pytest.raises(SettingError, match=message):
        contact.Manager(**options)


def test_squiggliness__for_other_dimensions_is_refused():
    with pytest.raises(FeatureError, match="made for 3 dimensions, and the volume has 2; leave ndim out"):
        build_graph([[1, 2]], None, squiggliness.Manager(ndim=3))
    with pytest.raises(SettingError, match="ndim must be a whole number"):
        squiggliness.Manager(ndim=0)
    assert build_graph([[[1, 2]]], None, squiggliness.Manager(ndim=3)).n_regions == 2


@pytest.mark.parametrize(
    "manager",
    [contact.Manager([0.25]), orientation.Manager(), squiggliness.Manager(2), convex_hull.Manager()],
)
def test_description__gives_the_same_manager_back(manager):
    (copy,) = Composite.load_dict(Composite([manager]).write_fm()).children
    assert type(copy) is type(manager)
    assert copy.parameters() == manager.parameters()


def test_names__are_one_for_each_feature_and_no_two_alike():
    labels, image = np.array([[1, 1, 2], [3, 3, 2]]), np.zeros((2, 3, 2))
    for manager in everything.children:
        names = output_names(manager, Rag(labels, image).kind)
        assert len(set(names)) == len(names) == features_of(manager, labels, image).shape[1]
    assert all(a.name != b.name for a, b in combinations(everything.children, 2))
