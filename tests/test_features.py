"""Feature managers: published values, edge cases, and what bad options and graphs are told."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from hypothesis.extra import numpy as hnp
from numba import config
from numpy.testing import assert_allclose, assert_array_equal
from scipy.spatial.distance import jensenshannon
from scipy.stats import moment

import naive
import strategies
from gala import features
from gala._kernels.program import describe
from gala.errors import FeatureError, SettingError
from gala.features import histogram, moments
from gala.features.base import Composite, Mock, Null, known_managers
from gala.features.default import basic
from gala.features.program import build_program, declared_leaves, is_declared, output_names
from gala.graph.caches import CacheSpec, Channels, ImageKind, Join, lay_out
from real import read, reference


def kind_of(n_channels=1, ndim=3):
    return ImageKind.unit(Channels.all_plain(n_channels), ndim)


one = kind_of()


def row_of(manager, values, kind=one):
    """Return the cache row of a set of voxels, values of shape (V, C)."""
    layout = manager.layout(kind)
    rows = layout.spec.empty[np.newaxis].copy()
    chosen = np.array(layout.region_channels, dtype=np.int64)
    owner = np.zeros(len(values), dtype=np.int64)
    manager.gather(
        layout.params,
        chosen,
        np.ascontiguousarray(values, dtype=float),
        np.empty((0, 3)),
        np.empty((0, 3)),
        owner,
        0,
        rows,
    )
    return rows[0]


def node(manager, values, kind=one):
    """Return the node features of a set of voxels."""
    layout = manager.layout(kind)
    nothing, out = np.empty(0), np.full(len(layout.node_names), np.nan)
    manager.node(layout.params, row_of(manager, values, kind), nothing, nothing, out)
    return out


def difference(manager, u, v, kind=one):
    """Return the difference features of two sets of voxels."""
    layout = manager.layout(kind)
    out = np.full(len(layout.difference_names), np.nan)
    rows = (row_of(manager, values, kind) for values in (u, v))
    manager.difference(layout.params, *rows, np.empty(0), out)
    return out


def column(*values):
    return np.array(values, dtype=float)[:, np.newaxis]


# ------------------------------------------------------------------------------------- the published features


compiled = pytest.mark.skipif(bool(config.DISABLE_JIT), reason="whole volumes are slow without the JIT")


def pair_features(manager, split, name):
    """Return the features of every pair of regions that touch, from the voxel lists of the reference."""
    labels, image = read(f"{split}-ws"), read(f"{split}-{name}")
    values = image.reshape(labels.size, -1).astype(float)
    kind = kind_of(values.shape[1])
    lists = reference(f"rag_{split}_slow")
    real = lists["is_real"]
    lengths = np.diff(lists["bnd_indptr"])
    inner = np.stack(np.unravel_index(lists["bnd_index_padded"], lists["padded_shape"])) - 1
    keep = np.repeat(real, lengths)
    where = np.ravel_multi_index(tuple(inner[:, keep]), labels.shape)
    owner = np.repeat(np.arange(real.sum()), lengths[real])
    edges = lists["edges"][real]

    spec, firsts = lay_out(declared_leaves(manager), kind)
    regions, contacts = np.zeros((labels.max() + 1, len(spec))), np.zeros((len(edges), len(spec)))
    for leaf, first in zip(declared_leaves(manager), firsts, strict=True):
        layout = leaf.layout(kind)
        chosen = np.array(layout.region_channels, dtype=np.int64)
        coords = np.empty((0, 3))
        leaf.gather(layout.params, chosen, values, coords, coords, labels.ravel().astype(np.int64), first, regions)
        leaf.gather(layout.params, chosen, values[where], coords, coords, owner, first, contacts)
    program = build_program(manager, spec, spec, kind)
    sizes = np.bincount(labels.ravel())
    X = np.full((len(edges), len(output_names(manager, kind))), np.nan)
    for i, (u, v) in enumerate(edges):
        small, large = (v, u) if sizes[v] < sizes[u] else (u, v)
        describe(program, regions, contacts, small, large, i, X[i])
    return edges, X


@compiled
@pytest.mark.parametrize("split", ["train", "test"])
@pytest.mark.parametrize("name", ["p1", "p4"])
def test_basic__gives_the_published_matrix(split, name):
    edges, X = pair_features(basic(), split, name)
    expected = reference(f"features_{split}_{name}_basic_slow")
    assert_array_equal(edges, expected["edges"])
    assert X.shape[1] == {"p1": 33, "p4": 120}[name]
    assert_allclose(X, expected["X"], rtol=0, atol=1e-9)


@compiled
@pytest.mark.parametrize("split", ["train", "test"])
@pytest.mark.parametrize(("name", "n_channels"), [("p1", 1), ("p4", 4)])
def test_histogram__gives_the_published_percentiles(split, name, n_channels):
    both = Composite([moments.Manager(), histogram.Manager(25, 0, 1, [0.1, 0.5, 0.9])])
    _, X = pair_features(both, split, name)
    expected = reference(f"features_{split}_{name}_paper_em_slow")["X"]
    # Each part of the published matrix ends with features of the graph, which are not computed here.
    ours = [1 + 4 * n_channels + 28 * n_channels] * 3 + [1 + 4 * n_channels + n_channels]
    widths = np.add(ours, [2, 2, 1, 2])
    starts = np.cumsum(widths) - widths
    columns = np.concatenate([np.arange(s, s + n) for s, n in zip(starts, ours, strict=True)])
    assert widths.sum() == expected.shape[1]
    assert_allclose(X, expected[:, columns], rtol=0, atol=1e-9)


# ------------------------------------------------------------------------------------------------- moments


def test_moments__of_a_few_voxels():
    assert_array_equal(node(moments.Manager(), column(0, 0.5, 1, 0.5)), [4, 0.5, 0.125, 0, 1 / 32])


@given(hnp.arrays(float, st.integers(1, 40), elements=st.floats(-2, 2)), st.integers(2, 7))
@settings(deadline=None)
@pytest.mark.filterwarnings("ignore:Precision loss:RuntimeWarning")  # SciPy's, of nearly equal values
def test_moments__agree_with_scipy(values, nmoments):
    expected = moment(values, order=range(2, nmoments + 1))
    assert_allclose(node(moments.Manager(nmoments), values[:, np.newaxis])[2:], expected, rtol=0, atol=1e-11)


def test_moments__normalized_are_roots_with_a_sign():
    values = column(0, 0, 0, 1)
    plain, roots = node(moments.Manager(), -values), node(moments.Manager(normalize=True), -values)
    assert_array_equal(roots[:2], plain[:2])
    assert plain[3] < 0
    assert_allclose(np.sign(roots[2:]) * np.abs(roots[2:]) ** [2, 3, 4], plain[2:], rtol=1e-14)


@given(hnp.arrays(float, st.integers(1, 30), elements=st.floats(0, 255)))
@settings(deadline=None)
def test_moments__even_ones_are_never_negative(values):
    features = node(moments.Manager(6, normalize=True), values[:, np.newaxis])
    assert (features[[2, 4, 6]] >= 0).all()
    assert np.isfinite(features).all()


def test_moments__difference_is_absolute_and_can_be_left_out():
    u, v = column(0, 1), column(0.25, 0.25, 0.25)
    assert_array_equal(difference(moments.Manager(2), u, v), [1, 0.25, 0.25])
    assert difference(moments.Manager(2, use_diff_features=False), u, v).size == 0


def test_moments__channel_by_channel_in_order():
    values = np.array([[0, 10], [1, 20]])
    assert moments.Manager(2).layout(kind_of(2)).node_names == (
        "count",
        "mean[0]",
        "moment2[0]",
        "mean[1]",
        "moment2[1]",
    )
    assert_array_equal(node(moments.Manager(2), values, kind_of(2)), [2, 0.5, 0.25, 15, 25])


@pytest.mark.parametrize("nmoments", [0, -1, 1.5, np.nan, np.inf, "four", None])
def test_moments__number_that_cannot_be_is_refused(nmoments):
    with pytest.raises(SettingError, match=r"nmoments must be a whole number, 1 or more; got"):
        moments.Manager(nmoments)


# ----------------------------------------------------------------------------------------------- histogram


def near(edges):
    """Return numbers on, just below and just above `edges`, and far out of range."""
    around = np.concatenate([edges, np.nextafter(edges, -np.inf), np.nextafter(edges, np.inf)])
    return np.concatenate([around, [-1e300, 1e300, -5e-324, 5e-324]])


@given(st.integers(1, 300), st.floats(-100, 100), st.floats(1e-6, 1e4), st.data())
@settings(deadline=None, max_examples=200)
def test_histogram__counts_as_numpy_does(nbins, minval, width, data):
    maxval = minval + width
    edges = np.linspace(minval, maxval, nbins + 1)
    values = data.draw(hnp.arrays(float, 20, elements=st.floats(minval - 1, maxval + 1)))
    for x in (near(edges), near(edges.astype(np.float32)), values, values.astype(np.float32)):
        expected = np.histogram(x.astype(np.float64), nbins, (minval, maxval))[0]
        assert_array_equal(row_of(histogram.Manager(nbins, minval, maxval), x[:, np.newaxis]), expected)


def test_histogram__last_bin_is_closed_and_values_out_of_range_do_not_count():
    values = column(-0.1, 0, 0.24, 0.25, 1, 1.0000001, np.inf, np.nan)
    assert_array_equal(row_of(histogram.Manager(), values), [2, 1, 0, 1])
    assert_array_equal(node(histogram.Manager(), values), [0.5, 0.25, 0, 0.25])


@given(*[hnp.arrays(float, st.integers(1, 40), elements=st.floats(0, 1))] * 2, st.integers(1, 30))
@settings(deadline=None)
def test_histogram__difference_is_the_jensen_shannon_divergence(x, y, nbins):
    p, q = (np.histogram(values, nbins, (0, 1))[0] for values in (x, y))
    got = difference(histogram.Manager(nbins), x[:, np.newaxis], y[:, np.newaxis])
    assert_allclose(got, [jensenshannon(p, q) ** 2], rtol=0, atol=1e-14)


def test_histogram__divergence_of_disjoint_histograms_is_log_2():
    assert_allclose(difference(histogram.Manager(), column(0), column(1)), [np.log(2)], rtol=1e-15)
    assert_array_equal(difference(histogram.Manager(), column(5), column(6)), [0])


def test_histogram__percentiles_interpolate_within_bins():
    manager = histogram.Manager(4, compute_percentiles=[0.25, 0.5, 0.75], compute_histogram=False)
    assert_allclose(node(manager, column(0.1, 0.3, 0.6, 0.8)), [0.25, 0.5, 0.75], rtol=1e-15)
    assert_allclose(node(manager, column(0.6, 0.6)), [0.5625, 0.625, 0.6875], rtol=1e-15)


def test_histogram__percentile_between_bins_is_the_end_of_the_lower_one():
    manager = histogram.Manager(4, compute_percentiles=[0.5], compute_histogram=False)
    assert_array_equal(node(manager, column(0.1, 0.9)), [0.25])


def test_histogram__percentiles_honour_minval():
    manager = histogram.Manager(4, 10, 14, [0.5], compute_histogram=False)
    assert_array_equal(node(manager, column(11, 11.5)), [11.5])
    assert_array_equal(node(manager, column(99)), [10])


@given(hnp.arrays(float, st.integers(1, 60), elements=st.floats(0, 1)))
@settings(deadline=None)
def test_histogram__percentiles_are_no_further_off_than_a_bin(values):
    fractions = [0.01, 0.1, 0.5, 0.9, 0.99]
    manager = histogram.Manager(20, 0, 1, fractions, compute_histogram=False)
    got = node(manager, values[:, np.newaxis])
    assert (np.diff(got) >= 0).all()
    # Where empty bins leave a choice, rounding makes it.
    low, high = (np.quantile(values, np.add(fractions, eps), method="inverted_cdf") for eps in (-1e-9, 1e-9))
    assert (low - 0.0501 <= got).all()
    assert (got <= high + 0.0501).all()


def test_histogram__options_choose_what_is_written():
    layout = histogram.Manager(2, compute_percentiles=[0.5], use_neuroproof=True).layout(one)
    assert layout.node_names == ("histogram(2,0.0,1.0)[0] percentile 0.5",)
    assert layout.difference_names == ()
    layout = histogram.Manager(2, compute_histogram=False).layout(one)
    assert layout.node_names == ()
    assert layout.difference_names == ("histogram(2,0.0,1.0)[0] divergence",)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"nbins": 0}, "nbins must be a whole number, 1 or more; got 0"),
        ({"minval": 1, "maxval": 1}, "maxval must be above minval"),
        ({"minval": 2}, "maxval must be above minval"),
        ({"maxval": np.inf}, "both finite"),
        ({"minval": np.nan}, "both finite"),
        ({"minval": -1e308, "maxval": 1e308}, "both finite"),
        ({"minval": "low"}, "must be numbers"),
        ({"nbins": 10, "minval": 1.0, "maxval": 1 + 1e-15}, "too narrow for 10 bins"),
        ({"compute_percentiles": [0.5, 1]}, "must be between 0 and 1"),
        ({"compute_percentiles": [0.0]}, "must be between 0 and 1"),
        ({"compute_percentiles": [np.nan]}, "must be between 0 and 1"),
        ({"compute_percentiles": 0.5}, "must be a list of numbers"),
    ],
)
def test_histogram__options_that_cannot_be_are_refused(options, message):
    with pytest.raises(SettingError, match=message):
        histogram.Manager(**options)


# ------------------------------------------------------------------------------------- channels and columns


@pytest.mark.parametrize("kind", [moments.Manager, histogram.Manager])
def test_oriented__reads_its_own_channels_for_regions_and_contacts(kind):
    layout = kind(oriented=True).layout(ImageKind.unit(Channels((0,), oriented_region=3, oriented_contact=4), 3))
    assert (layout.region_channels, layout.contact_channels) == ((3,), (4,))
    assert all(name.startswith("oriented.") for name in layout.spec.names)
    layout = kind().layout(ImageKind.unit(Channels((0, 2), oriented_region=3, oriented_contact=4), 3))
    assert (layout.region_channels, layout.contact_channels) == ((0, 2), (0, 2))


@pytest.mark.parametrize("kind", [moments.Manager, histogram.Manager])
def test_layout__of_an_image_without_the_channels_it_reads_is_refused(kind):
    with pytest.raises(FeatureError, match="needs oriented channels, and the image has none"):
        kind(oriented=True).layout(one)
    with pytest.raises(FeatureError, match="at least one channel that is not oriented"):
        kind().layout(ImageKind.unit(Channels((), oriented_region=0, oriented_contact=1), 3))


def test_lay_out__keeps_shared_columns_once():
    leaves = [moments.Manager(1), histogram.Manager(4), moments.Manager(4), histogram.Manager(4)]
    spec, firsts = lay_out(leaves, kind_of(2))
    assert spec.names[0] == "count"
    assert len(spec) == 1 + 9 + 8
    assert firsts == (None, 10, 1, None)
    assert len(set(spec.names)) == len(spec)


def test_lay_out__of_nothing_counts_voxels():
    assert lay_out([], one) == (CacheSpec.counts("count"), ())


def test_cache_spec__joins_sums_minima_and_maxima():
    spec = CacheSpec(("n", "low", "high"), (Join.SUM, Join.MIN, Join.MAX))
    assert_array_equal(spec.join([2, 0.1, 0.3], [3, 0.2, 0.5]), [5, 0.1, 0.5])
    assert_array_equal(spec.join(spec.empty, [[3, 0.2, 0.5]]), [[3, 0.2, 0.5]])
    assert spec.find(CacheSpec.sums("high")) == 2
    assert spec.find(CacheSpec.sums("n", "high")) is None


# ---------------------------------------------------------------------------------------- programs


def test_program__parts_are_joined_child_by_child():
    manager = Composite([moments.Manager(1), histogram.Manager(1)])
    assert output_names(manager, one) == tuple(
        f"{part} {name}"
        for part, names in [
            ("smaller", ["count", "mean[0]", "histogram(1,0.0,1.0)[0][0]"]),
            ("larger", ["count", "mean[0]", "histogram(1,0.0,1.0)[0][0]"]),
            ("contact", ["count", "mean[0]", "histogram(1,0.0,1.0)[0][0]"]),
            ("difference", ["count", "mean[0]", "histogram(1,0.0,1.0)[0] divergence"]),
        ]
        for name in names
    )


def test_program__leaves_out_steps_without_outputs_and_kernels_it_has():
    manager = Composite([histogram.Manager(2, use_neuroproof=True), histogram.Manager(3), histogram.Manager(4)])
    spec, _ = lay_out(declared_leaves(manager), one)
    program = build_program(manager, spec, spec, one)
    assert len(program.steps) == 4 * 2
    assert set(program.steps[:, 0]) == {0, 1, 2}
    assert len(program.kernels) == 3


def test_program__of_no_features_writes_nothing():
    spec, _ = lay_out([], one)
    for nothing in (Null(), Composite(), Composite([Null(), Composite()])):
        assert is_declared(nothing)
        program = build_program(nothing, spec, spec, one)
        out = np.full(1, 7.0)
        describe(program, np.zeros((2, 1)), np.zeros((1, 1)), 0, 1, 0, out)
        assert_array_equal(out, [7])


def test_program__names_the_manager_whose_columns_are_missing():
    spec, _ = lay_out([moments.Manager()], one)
    with pytest.raises(FeatureError, match="the graph does not keep what histogram needs; build it with"):
        build_program(basic(), spec, spec, one)
    wide, _ = lay_out(declared_leaves(basic()), one)
    with pytest.raises(FeatureError, match="the graph does not keep what histogram needs"):
        build_program(basic(), wide, spec, one)


class Overridden(moments.Manager):
    def compute_edge_features(self, g, n1, n2, cache=None):  # noqa: ARG002  # the protocol
        return np.zeros(1)


class Handmade(Null):
    """Written against the historic protocol: the sum of sizes, cached as a list."""

    name = "handmade"

    def create_node_cache(self, g, n):
        return [g.nodes[n]["size"]]

    def update_node_cache(self, g, n1, n2, dst, src):  # noqa: ARG002  # the protocol
        dst[0] += src[0]

    def compute_node_features(self, g, n, cache=None):
        return np.array((g.nodes[n][self.default_cache] if cache is None else cache)[:1], dtype=float)


class Doubled(Composite):
    def compute_features(self, g, n1, n2=None):
        return 2 * super().compute_features(g, n1, n2)


@pytest.mark.parametrize(
    "manager",
    [Handmade(), Overridden(), Composite([moments.Manager(), Handmade()]), Doubled([moments.Manager()]), 3],
)
def test_program__is_refused_to_managers_that_only_the_python_engine_can_run(manager):
    assert not is_declared(manager)
    with pytest.raises(FeatureError, match="compiled loops run declared feature managers only"):
        declared_leaves(manager)


# -------------------------------------------------------------------------------- the historic protocol


IMAGE = np.array([[0, 0.5, 1], [0.25, 0.75, 1]])


def graph_of(manager):
    return naive.Graph(np.array([[1, 1, 1], [2, 2, 5]]), IMAGE, manager, one)


def test_composite__puts_handmade_managers_beside_declared_ones():
    manager = Composite([moments.Manager(1, use_diff_features=False), Handmade()])
    graph = graph_of(manager)
    assert_array_equal(manager(graph, 1, 2), [2, 0.5, 2, 3, 0.5, 3, 4, 0.375])
    assert_array_equal(manager(graph, 1), [3, 0.5, 3])


def test_pair__of_one_size_comes_in_the_order_given():
    means = moments.Manager(1)
    graph = naive.Graph(np.array([1, 1, 2, 2]), np.array([0, 0, 1, 9]), means, one)
    assert means(graph, 1, 2)[[1, 3]].tolist() == [0, 5]
    assert means(graph, 2, 1)[[1, 3]].tolist() == [5, 0]


@pytest.mark.parametrize("manager", [basic(), Composite([Handmade(), moments.Manager()]), Handmade()])
def test_update__joins_caches_of_regions_in_place(manager):
    graph, key = graph_of(manager), manager.default_cache
    kept = graph.nodes[1][key]
    manager.update_node_cache(graph, 1, 2, graph.nodes[1][key], graph.nodes[2][key])
    assert graph.nodes[1][key] is kept
    merged = naive.Graph(np.array([[1, 1, 1], [1, 1, 5]]), IMAGE, manager, one)
    assert_array_equal(manager.compute_node_features(graph, 1), manager.compute_node_features(merged, 1))


def test_update__joins_caches_of_contacts_in_place():
    manager = Composite([moments.Manager(1), histogram.Manager(2)])
    graph, key = graph_of(manager), manager.default_cache
    manager.update_edge_cache(graph, (1, 2), (1, 5), graph.edges[1, 2][key], graph.edges[1, 5][key])
    assert_array_equal(manager.compute_edge_features(graph, 1, 2), [6, 3.5 / 6, 2 / 6, 4 / 6])


def test_historic_calls__do_not_keep_a_program_from_being_built():
    script = (
        "import numpy as np\n"
        "from gala.features import histogram\n"
        "from gala.features.program import build_program\n"
        "from gala._kernels.program import describe\n"
        "from gala.graph.caches import Channels, ImageKind, lay_out\n"
        "m = histogram.Manager(); kind = ImageKind.unit(Channels.all_plain(1), 1)\n"
        "row = np.ones(4); row.flags.writeable = False\n"
        "m.edge(m.layout(kind).params, row, row, row, np.empty(4))\n"
        "spec, _ = lay_out([m], kind)\n"
        "out = np.full(13, np.nan)\n"
        "describe(build_program(m, spec, spec, kind), np.ones((2, 5)), np.ones((1, 5)), 0, 1, 0, out)\n"
        "assert np.isfinite(out).all(), out\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True)


def test_mock__tells_pairs_to_merge_from_others():
    labels, truth = np.array([1, 1, 2, 3]), np.array([7, 7, 7, 9])
    mock = Mock(labels, truth)
    graph = naive.Graph(labels, truth, mock, one)
    assert_allclose(mock(graph, 1, 2), [0, 0], atol=0.1)
    assert_allclose(mock(graph, 2, 3), [1, 0], atol=0.1)
    assert_array_equal(mock(graph, 3, 2), mock(graph, 2, 3))
    assert mock(graph, 1).size == 0


def test_composite__refuses_what_is_no_manager():
    with pytest.raises(FeatureError, match="children must be feature managers; got 'moments'"):
        Composite(["moments"])


# ---------------------------------------------------------------------------------------- descriptions


def test_description__numbers_managers_of_one_name():
    description = Composite([histogram.Manager(), moments.Manager(), histogram.Manager(25)]).write_fm()
    assert description["feature_list"] == ["histogram", "moments", "histogram#2"]
    assert [child.nbins for child in Composite.load_dict(description).children[::2]] == [4, 25]


def test_description__of_a_named_manager_of_the_user_can_be_read():
    assert isinstance(Composite.load_dict(Handmade().write_fm()).children[0], Handmade)


@pytest.mark.parametrize(
    ("description", "message"),
    [
        ({}, "lacks feature_list"),
        ({"feature_list": ["moments"]}, "lacks moments"),
        (
            {"feature_list": ["colour"], "colour": {}},
            "no feature manager named 'colour'; known are .*moments",
        ),
        ({"feature_list": ["moments"], "moments": {"order": 4}}, "no moments can be made with {'order': 4}"),
    ],
)
def test_description__that_is_damaged_is_refused(description, message):
    with pytest.raises(FeatureError, match=message):
        Composite.load_dict(description)


def test_features__are_found_under_their_names():
    assert known_managers()["moments"] is features.moments.Manager
    assert features.base.Composite is Composite
    assert {"base", "default", "histogram", "moments"} <= set(dir(features))
    assert strategies.declared_kinds()
