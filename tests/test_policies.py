"""The named policies, policies around others, and row kernels of users: compiled, called and slow twin agree."""

# ruff: noqa: ARG001  # row kernels share a signature

from __future__ import annotations

import doctest
from functools import partial
from pathlib import Path

import numba
import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from scipy.stats import sem
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression

import naive_engine
import naive_policies as slow
from gala import agglo
from gala.agglo import (
    Rag,
    boundary_max,
    boundary_mean,
    boundary_mean_ladder,
    boundary_mean_plus_sem,
    boundary_median,
    boundary_min,
    boundary_quantile,
    boundary_sum,
    expected_change_rand,
    expected_change_vi,
    make_ladder,
    mito_merge,
    no_mito_merge,
    row_policy,
)
from gala.engine import running
from gala.engine.agglomerate import agglomerate
from gala.engine.policy import RowPolicy, as_policy
from gala.errors import ClassifierError, FeatureError, PolicyError, SettingError
from gala.features import extrema, histogram, moments
from gala.features.base import Composite
from gala.graph.build import build_graph
from gala.graph.volume import check_volume
from naive_engine import each, volumes
from real import read

some = settings(deadline=None, max_examples=25)
few = settings(deadline=None, max_examples=12)
rescores = st.sampled_from(["shared", "all"])
channels = st.integers(0, 1)


def called(policy):
    """Return a policy of the same priorities that the compiled engine does not know."""
    function = as_policy(lambda g, edges: policy(g, edges))
    function.linkage = policy.linkage
    return function


def run(volume, policy, *, rescore="shared", **options):
    """Return a graph after agglomeration to the end."""
    labels, image, connectivity = volume
    g = Rag(labels, image, policy, connectivity=connectivity, update_unchanged_edges=rescore == "all", **options)
    g.agglomerate(np.inf)
    return g


def assert_same_merges(g, other, rtol=0.0):
    """Check that two graphs, of which the second may be a slow twin, made the same merges."""
    if isinstance(other, Rag):
        assert_array_equal(g.tree.children, other.tree.children)
        assert_array_equal(g.tree.priority, other.tree.priority)
    else:
        assert [tuple(pair) for pair in g.names[g.tree.children].tolist()] == other.history
        assert_allclose(g.tree.priority, other.scores, rtol=rtol, atol=rtol)


def assert_engines_agree(volume, policy, twin, *, rescore, rtol=0.0, **options):
    """Check a policy that can be laid flat against itself, called, and against its slow twin."""
    labels, image, connectivity = volume
    compiled = run(volume, policy, rescore=rescore, **options)
    assert policy.compiled(compiled.graph) is not None
    is_min = policy.linkage == "min"
    expected = naive_engine.Graph(labels, image, connectivity, features=compiled.feature_manager, lowest_first=is_min)
    assert_same_merges(compiled, expected.agglomerate(each(twin), rescore=rescore), rtol)
    keeps = Composite([compiled.feature_manager, policy.needs])
    assert_same_merges(run(volume, called(policy), rescore=rescore, feature_manager=keeps), compiled)


# -------------------------------------------------------------------------------------- of the contact

ranges = st.sampled_from([(0.0, 1.0), (0.0, 0.5), (-1.0, 3.0)])


@st.composite
def contact_policies(draw):
    """Return a policy of the image in contacts, and its slow twin."""
    channel, alpha, q = draw(channels), draw(st.sampled_from([-6, 0.5])), draw(st.sampled_from([0, 0.1, 0.5, 0.9, 1]))
    nbins, (low, high) = draw(st.integers(1, 40)), draw(ranges)
    return draw(
        st.sampled_from(
            [
                (boundary_mean(channel=channel), slow.mean(channel)),
                (boundary_min(channel=channel), slow.lowest(channel)),
                (boundary_max(channel=channel), slow.highest(channel)),
                (boundary_sum(channel=channel), slow.total(channel)),
                (boundary_mean_plus_sem(alpha=alpha, channel=channel), slow.mean_plus_sem(alpha, channel)),
                (boundary_quantile(q, nbins, low, high, channel), slow.quantile(q, nbins, low, high, channel)),
            ]
        )
    )


@given(volumes(n_channels=2), contact_policies(), rescores)
@settings(deadline=None, max_examples=60)
def test_contact_policies__compiled_called_and_slow_engine_agree(volume, policy_and_twin, rescore):
    policy, twin = policy_and_twin
    assert_engines_agree(volume, policy, twin, rescore=rescore)


@given(volumes(n_channels=2, steps=(64,)), st.integers(0, 10))
@few
def test_mean_plus_sem__is_that_of_scipy(volume, n_merges):
    labels, image, connectivity = volume
    g = Rag(labels, image + 0.1, connectivity=connectivity, feature_manager=moments.Manager(2))
    g.agglomerate_count(n_merges)
    for u, v in g.real_edges():
        x = g.probabilities_r[g.boundary(u, v), 0]
        assert boundary_mean_plus_sem(g, u, v) == pytest.approx(x.mean() - 6 * sem(x), abs=1e-6)
        assert boundary_mean_plus_sem(g, u, v, alpha=2) == pytest.approx(x.mean() + 2 * sem(x), abs=1e-6)


@given(volumes(), st.floats(0, 1), st.integers(1, 100))
@few
def test_quantile__is_right_to_a_bin(volume, q, nbins):
    labels, image, connectivity = volume
    policy = boundary_quantile(q, nbins)
    g = Rag(labels, image, policy, connectivity=connectivity)
    for u, v in g.real_edges():
        exact = np.quantile(g.probabilities_r[g.boundary(u, v), 0], q, method="inverted_cdf")
        # A quantile that falls between two voxels may be that of either.
        near = np.quantile(g.probabilities_r[g.boundary(u, v), 0], min(q + 1e-9, 1), method="inverted_cdf")
        assert exact - 1 / nbins - 1e-9 <= policy(g, u, v) <= near + 1 / nbins + 1e-9


@pytest.mark.compiled
def test_quantile__of_the_example_is_near_the_median(example_boundaries):
    labels, image = example_boundaries
    policy = boundary_quantile(0.5)
    g = Rag(labels, image, policy)
    g.merge_priority_function = policy
    for u, v in g.real_edges():
        low, high = np.quantile(g.probabilities_r[g.boundary(u, v), 0], [0.5, 0.5000001], method="inverted_cdf")
        assert low - 1 / 256 <= policy(g, u, v) <= high + 1 / 256


@pytest.fixture(scope="module")
def example_boundaries():
    """Return superpixels and boundary probabilities of the example."""
    return tuple(read(f"test-{name}") for name in ("ws", "p1"))


@given(volumes(n_channels=3), st.integers(0, 2**32 - 1), rescores)
@few
def test_oriented_mean__is_that_of_the_channel_that_the_map_names(volume, seed, rescore):
    labels, image, connectivity = volume
    oriented = [False, True, True]
    which = np.random.default_rng(seed).integers(0, 2, labels.shape)
    chosen = np.take_along_axis(image[..., 1:], which[..., np.newaxis], axis=-1)
    options = {"channel_is_oriented": oriented, "orientation_map": which, "rescore": rescore}
    assert_same_merges(
        run(volume, agglo.oriented_boundary_mean, **options),
        run((labels, chosen, connectivity), boundary_mean, rescore=rescore),
    )


REDUCIBLE = [boundary_mean, boundary_min, boundary_max, boundary_sum, boundary_quantile(0.5, 16), boundary_median]


@pytest.mark.parametrize("policy", REDUCIBLE, ids=repr)
@given(volume=volumes())
@few
def test_reducible_policies__priorities_never_fall(policy, volume):
    assert (np.diff(run(volume, policy, rescore="all").tree.priority) >= -1e-12).all()


def test_needs__are_all_that_a_graph_must_keep():
    labels, image = np.arange(64).reshape(4, 4, 4) // 3, np.random.default_rng(0).random((4, 4, 4, 3))
    forest = fitted(moments.Manager(2), (labels, image, 1), 0)
    for policy in [
        *REDUCIBLE[:-1],
        boundary_mean_plus_sem,
        make_ladder(boundary_max(channel=2), 10),
        no_mito_merge(boundary_quantile(0.2), channel=[0, 1]),
        expected_change_vi(moments.Manager(2), forest),
    ]:
        tree = agglomerate(build_graph(labels, image, policy.needs), policy)
        assert_array_equal(tree.priority, run((labels, image, 1), policy).tree.priority)


# --------------------------------------------------------------------------------- of classifiers


def fitted(manager, volume, seed):
    """Return a forest fitted on feature vectors of a volume and random labels."""
    labels, image, connectivity = volume
    g = Rag(labels, image, feature_manager=manager, connectivity=connectivity)
    X = g.features(manager, g.real_edges())
    rng = np.random.default_rng(seed)
    chosen = X[rng.integers(len(X), size=30)] + rng.integers(-2, 3, size=(30, X.shape[1])) / 8
    return RandomForestClassifier(5, bootstrap=False, random_state=seed).fit(chosen, np.where(np.arange(30) % 2, 1, -1))


def with_edges(volume):
    return len(np.unique(volume[0])) > 1


weights = st.sampled_from([0.0, 1.0, 2.5])


@given(
    volumes(max_labels=9).filter(with_edges),
    st.sampled_from([(expected_change_vi, slow.vi_change), (expected_change_rand, slow.rand_change)]),
    weights,
    weights,
    rescores,
    st.integers(0, 99),
)
@some
def test_expected_change__compiled_called_and_slow_engine_agree(volume, policy_and_change, alpha, beta, rescore, seed):
    make, change = policy_and_change
    manager = Composite([moments.Manager(2), histogram.Manager(3)])
    forest = fitted(manager, volume, seed)
    twin = slow.expected_change(change, slow.probability(manager, forest), alpha, beta)
    policy = make(manager, forest, alpha, beta)
    assert_engines_agree(volume, policy, twin, rescore=rescore, rtol=1e-11, feature_manager=manager)


@pytest.mark.parametrize("weight", [np.nan, np.inf, "much", None])
def test_expected_change__weights_are_numbers(weight):
    forest = fitted(moments.Manager(2), (np.arange(8), np.linspace(0, 1, 8)[:, None], 1), 0)
    with pytest.raises(SettingError, match="beta must be a finite number"):
        expected_change_vi(moments.Manager(2), forest, beta=weight)
    with pytest.raises(ClassifierError, match="predict_proba"):
        expected_change_rand(moments.Manager(2), "forest")


@pytest.mark.parametrize("mode", ["strict", "loose", "permissive"])
@pytest.mark.parametrize("make", [expected_change_vi, lambda *model: make_ladder(expected_change_rand(*model), 9)])
def test_learning__with_policies_around_others_is_that_of_the_python_engine(mode, make):
    rng = np.random.default_rng(3)
    plane, row, column = np.indices((6, 8, 8)) // 2
    labels = 16 * plane + 4 * row + column
    image = rng.random(labels.shape)
    truth = (plane + row + column) // 3 + 1
    manager = moments.Manager(2)

    def learn(active_function):
        g = Rag(labels, image, feature_manager=manager)
        options = {"learning_mode": mode, "max_num_epochs": 3, "min_num_epochs": 3, "random_state": 0}
        classifier = LogisticRegression(max_iter=1000)
        return g.learn_agglomerate(truth, manager, active_function=active_function, classifier=classifier, **options)

    (_, compiled), (_, python) = learn(make), learn(lambda *model: called(make(*model)))
    assert len(compiled) == len(python) == 3
    for epoch, other in zip(compiled, python, strict=True):
        for array, expected in zip(epoch, other, strict=True):
            assert_array_equal(array, expected)
    assert len(compiled[-1].X) > 0


# ------------------------------------------------------------------------- policies around others


def weighted(params, u, v, edge, out):
    """Add a multiple of the relative size of the contact."""
    out[0] += params[0] * edge[0] / u[0]


def around(wrappers, policy, twin):
    """Return a policy, and its slow twin, with wrappers around."""
    for kind, *options in wrappers:
        if kind == "ladder":
            policy, twin = make_ladder(policy, *options), slow.ladder(twin, *options)
        elif kind == "mito":
            policy, twin = no_mito_merge(policy, *options), slow.no_mito(twin, *options)
        else:
            policy, twin = row_policy(weighted, numbers=options, after=policy), slow.weighted(twin, *options)
    return policy, twin


wrappers = st.lists(
    st.one_of(
        st.tuples(st.just("ladder"), st.integers(1, 30), st.integers(1, 3)),
        st.tuples(st.just("mito"), st.sampled_from([[0], [1], [0, 1]]), st.sampled_from([0.25, 0.5, 0.75])),
        st.tuples(st.just("weighted"), st.sampled_from([-0.5, 0.25])),
    ),
    max_size=4,
)


@given(volumes(n_channels=2), contact_policies(), wrappers, rescores)
@settings(deadline=None, max_examples=60)
def test_policies_around_others__in_any_order_all_engines_agree(volume, policy_and_twin, kinds, rescore):
    policy, twin = around(kinds, *policy_and_twin)
    assert_engines_agree(volume, policy, twin, rescore=rescore)


@given(volumes(n_channels=2), wrappers, rescores)
@some
def test_policies_around_functions__are_called(volume, kinds, rescore):
    labels, image, connectivity = volume
    policy, twin = around(kinds, slow.mean(), slow.mean())
    compiled, _ = around(kinds, boundary_mean, None)
    g = Rag(labels, image)
    assert not isinstance(policy, RowPolicy) or policy.compiled(g.graph) is None
    expected = naive_engine.Graph(labels, image, connectivity).agglomerate(each(twin), rescore=rescore)
    assert_same_merges(run(volume, policy, rescore=rescore), expected)
    assert_same_merges(run(volume, compiled, rescore=rescore), expected)


@given(volumes(max_labels=9).filter(with_edges), wrappers, rescores, st.integers(0, 99))
@few
def test_policies_around_expected_change__in_any_order_all_engines_agree(volume, kinds, rescore, seed):
    labels, image, connectivity = volume
    volume = labels, np.repeat(image, 2, axis=-1), connectivity
    forest = fitted(moments.Manager(2), volume, seed)
    manager = moments.Manager(2)
    twin = slow.expected_change(slow.vi_change, slow.probability(manager, forest))
    policy, twin = around(kinds, expected_change_vi(manager, forest), twin)
    assert_engines_agree(volume, policy, twin, rescore=rescore, rtol=1e-11, feature_manager=manager)


@given(volumes(), st.integers(1, 40), st.integers(0, 3))
@some
def test_ladder__never_merges_what_it_forbids(volume, threshold, strictness):
    labels, image, connectivity = volume
    g = run(volume, make_ladder(boundary_mean, threshold, strictness), rescore="all")
    twin = naive_engine.Graph(labels, image, connectivity)
    for pair in g.names[g.tree.children].tolist():
        assert slow.may_climb(twin, *pair, threshold, strictness)
        twin.merge(*pair)
    assert not any(slow.may_climb(twin, *pair, threshold, strictness) for pair in twin.contacts)
    assert_same_merges(run(volume, boundary_mean_ladder(threshold, strictness), rescore="all"), g)


@given(volumes(n_channels=2), st.sampled_from([0.25, 0.5, 0.75]), rescores)
@some
def test_no_mito_merge__leaves_the_mitochondria_of_the_beginning_alone(volume, threshold, rescore):
    g = run(volume, no_mito_merge(boundary_mean, channel=1, threshold=threshold), rescore=rescore)
    labels, image, _ = volume
    means = {n: image[labels == n, 1].mean() for n in np.unique(labels).tolist()}
    mitochondria = {n for n, mean in means.items() if mean > threshold}
    seg = g.get_segmentation()
    for n in mitochondria:
        assert_array_equal(seg == n, labels == n)
    assert {n for n in g.nodes if n != g.border and agglo.is_mito(g, n, 1, threshold)} == mitochondria
    assert_same_merges(
        run(volume, boundary_mean, rescore=rescore, isfrozennode=lambda g, n: agglo.is_mito(g, n, 1, threshold)), g
    )


@given(volumes(n_channels=2), st.sampled_from([[0], [0, 1]]), st.sampled_from([0.25, 0.5, 0.75]), rescores)
@settings(deadline=None, max_examples=40)
def test_mito_merge__compiled_called_and_slow_engine_agree(volume, wanted, threshold, rescore):
    policy = mito_merge(wanted, threshold)
    assert_engines_agree(volume, policy, slow.mito_merge(wanted, threshold), rescore=rescore)


def test_mito_merge__puts_mitochondria_into_the_cell_around_them():
    labels = np.ones((9, 18), int)
    labels[:, 9:] = 2
    labels[2:5, 2:5], labels[2:5, 8:11], labels[6:8, 12:14] = 3, 4, 5
    image = np.isin(labels, [3, 4]) * 0.8
    g = Rag(labels, image, mito_merge(channel=0))
    history, scores, _ = g.agglomerate(0.4, save_history=True)
    assert (history, scores) == ([(1, 3)], [0.0])
    g.agglomerate(1)
    assert sorted(np.unique(g.get_segmentation())) == [1, 2, 5]


@given(volumes(n_channels=3), st.sampled_from([0, 1, [2], (0, 2)]), st.sampled_from([0.25, 0.5]), st.booleans())
@few
def test_is_mito__asks_rows_or_voxels(volume, channel, threshold, keeps_rows):
    labels, image, connectivity = volume
    manager = extrema.Manager() if not keeps_rows else moments.Manager(1)
    graph = build_graph(labels, image, manager, connectivity=connectivity)
    g = running.RunningGraph(graph, boundary_mean, volume=check_volume(labels, image, connectivity))
    wanted = [channel] if isinstance(channel, int) else channel
    for n in g.nodes:
        assert agglo.is_mito(g, n, channel, threshold) is slow.is_mito(g, g.extent(n), wanted, threshold).item()
    for u, v in g.edges:
        expected = slow.is_mito(g, g.boundary(u, v), wanted, threshold).item()
        assert agglo.is_mito_boundary(g, u, v, channel, threshold) is expected


@given(volumes(n_channels=2), contact_policies(), wrappers, st.integers(1, 4))
@few
def test_priorities__do_not_depend_on_threads(volume, policy_and_twin, kinds, n_threads):
    policy, _ = around(kinds, *policy_and_twin)
    one = run(volume, policy, n_threads=1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(running, "_SCORE_BLOCK", 2)
        assert_same_merges(run(volume, policy, n_threads=n_threads), one)


RING = np.array([[1, 2, 3], [8, 8, 4], [7, 6, 5]])


def nan_when_large(g, u, v):
    return np.nan if g.nodes[u]["size"] + g.nodes[v]["size"] > 5 else 0.5


def small_only(params, u, v, edge, out):
    if u[0] + v[0] > 5:
        out[0] = np.inf


def kernel_nan_when_large(params, u, v, edge, out):
    out[0] = np.nan if u[0] + v[0] > 5 else 0.5


@pytest.mark.parametrize("inner", [row_policy(kernel_nan_when_large), nan_when_large], ids=["compiled", "called"])
def test_nan__is_not_hidden_by_policies_around(inner):
    g = Rag(RING, np.zeros((3, 3)), row_policy(small_only, after=inner), update_unchanged_edges=True)
    with pytest.raises(PolicyError, match=r"nan_when_large.* gave NaN for regions \d+ and \d+"):
        g.agglomerate(np.inf)
    made = g.n_merges
    assert 0 < made < 7
    assert len(np.unique(g.get_segmentation())) == 8 - made


@pytest.mark.parametrize("inner", [boundary_mean, called(boundary_mean)], ids=["compiled", "called"])
def test_nan__of_a_policy_around_another_is_named(inner):
    def spoil(params, u, v, edge, out):
        out[0] = np.nan if u[0] + v[0] > 5 else out[0]

    g = Rag(RING, np.zeros((3, 3)), row_policy(spoil, after=inner), update_unchanged_edges=True)
    with pytest.raises(PolicyError, match=r"spoil after .* gave NaN for regions \d+ and \d+"):
        g.agglomerate(np.inf)
    assert 0 < g.n_merges < 7


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: make_ladder(boundary_mean, "large"), "threshold must be a number of voxels; got 'large'"),
        (lambda: make_ladder(boundary_mean, np.nan), "threshold must be a number of voxels; got nan"),
        (lambda: make_ladder(boundary_mean, 100, 4), "strictness must be 0, 1, 2 or 3; got 4"),
        (lambda: boundary_quantile(1.5), "q must be from 0 to 1, as 0.5 for the median; got 1.5"),
        (lambda: boundary_quantile("half"), "q must be a finite number; got 'half'"),
        (lambda: boundary_quantile(0.5, 0), "nbins must be a whole number, 1 or more"),
        (lambda: boundary_quantile(0.5, minval=1), "maxval must be above minval"),
        (lambda: boundary_mean(channel=-1), "channel must be the number of a channel, 0 or more; got -1"),
        (lambda: boundary_max(channel=0.5), "channel must be the number of a channel, 0 or more; got 0.5"),
        (lambda: Rag(RING, None, partial(boundary_median, channel=1)), "boundary_median> has no settings; got channel"),
        (lambda: boundary_mean(alpha=2), "boundary_mean has the settings channel; got alpha"),
        (lambda: agglo.oriented_boundary_mean(channel=1), "oriented_boundary_mean has no settings; got channel"),
        (lambda: boundary_mean_plus_sem(alpha=np.inf), "alpha must be a finite number; got inf"),
        (lambda: no_mito_merge(boundary_mean, channel=[]), "channel must name at least one"),
        (lambda: no_mito_merge(boundary_mean, threshold="high"), "threshold must be a finite number; got 'high'"),
        (
            lambda: agglo.is_mito(Rag(RING, np.zeros((3, 3))), 8),
            "channel must be one of the image's 1, counted from 0; got 2",
        ),
    ],
)
def test_settings__that_cannot_be(make, message):
    with pytest.raises(SettingError, match=message):
        make()


@pytest.mark.parametrize("policy", [3, "boundary_mean", None, lambda: 0])
def test_policies_around_others__need_a_policy(policy):
    with pytest.raises(PolicyError, match="merge priority function"):
        make_ladder(policy, 10)
    with pytest.raises(PolicyError, match="merge priority function"):
        no_mito_merge(policy)


def test_channel__that_the_image_has_not():
    for policy in (boundary_mean(channel=1), boundary_max(channel=3), no_mito_merge(boundary_mean)):
        g = Rag(RING, np.zeros((3, 3)), policy)
        with pytest.raises(FeatureError, match=r"needs the columns .*\[\d\], and the graph keeps count, "):
            g.agglomerate(1)


def test_settings__make_another_policy_and_can_be_given_with_a_call():
    labels, image = np.array([1, 1, 2, 2]), np.array([[0, 1], [0.25, 0.5], [0.75, 0.75], [0, 0]])
    g = Rag(labels, image)
    assert boundary_mean(g, 1, 2) == 0.5
    assert boundary_mean(channel=1)(g, 1, 2) == boundary_mean(g, 1, 2, channel=1) == 0.625
    assert boundary_mean(channel=1)(channel=0)(g, [(1, 2)]).tolist() == [0.5]
    assert repr(boundary_mean_plus_sem(alpha=2, channel=1)) == "<policy boundary_mean_plus_sem(alpha=2, channel=1)>"
    g.merge_priority_function = partial(boundary_mean, channel=1)
    assert g.merge_priority_function.compiled(g.graph) is not None
    assert g.edges[1, 2]["weight"] == 0.625
    assert "Setting: channel" in boundary_mean.__doc__


# -------------------------------------------------------------------------- row kernels of users


def size_ratio(params, u, v, edge, out):
    """Write the ratio of volumes."""
    out[0] = u[0] / v[0]


def slow_size_ratio(g, u, v):
    a, b = sorted(len(g.extent(n)) for n in (u, v))
    return a / b


used_before = numba.njit(size_ratio)
used_before(*[np.ones(n, dtype=np.float32) for n in (1, 2, 2, 2, 1)])
kernels = {
    "plain": size_ratio,
    "compiled": numba.njit(size_ratio),
    "nogil": numba.njit(nogil=True, error_model="numpy")(size_ratio),
    "for one signature": numba.njit("void(f8[::1],f8[::1],f8[::1],f8[::1],f8[::1])")(size_ratio),
    "used before": used_before,
}


@pytest.mark.parametrize("kind", kernels)
@given(volume=volumes(), rescore=rescores)
@settings(deadline=None, max_examples=8)
def test_row_policy__runs_a_kernel_in_the_compiled_loop(kind, volume, rescore):
    assert_engines_agree(volume, row_policy(kernels[kind]), slow_size_ratio, rescore=rescore)


@given(volumes(n_channels=2), rescores)
@few
def test_row_policy__finds_columns_and_hands_numbers_over(volume, rescore):
    def contrast(params, u, v, edge, out):
        a, b = int(params[0]), int(params[1])
        out[0] = params[2] * abs(u[a] / u[0] - v[a] / v[0]) + params[3] * edge[b]

    def twin(g, u, v):
        means = [g.values(g.extent(n))[:, 1].sum() / len(g.extent(n)) for n in (u, v)]
        return 0.5 * abs(means[0] - means[1]) + 2 * slow.highest(0)(g, u, v)

    needs = Composite([extrema.Manager(), moments.Manager(1)])
    policy = row_policy(contrast, needs=needs, columns=["p1[1]", "max[0]"], numbers=[0.5, 2])
    assert_engines_agree(volume, policy, twin, rescore=rescore)


def test_row_policy__numbers_may_be_a_function_of_the_graph():
    def share(params, u, v, edge, out):
        out[0] = (u[0] + v[0]) / params[0]

    g = Rag(RING, None, row_policy(share, numbers=lambda graph: [graph.sizes.sum()]))
    assert g.edges[1, 2]["weight"] == 2 / 9


def degrees(params, u, v, edge, out):
    """Write how many neighbours both regions have, less ten times those they have in common."""
    out[0] = u[int(params[0])] + v[int(params[0])] - 10 * edge[int(params[1])]


@pytest.mark.parametrize("after", [None, boundary_mean, called(boundary_mean)], ids=["alone", "compiled", "called"])
@given(volume=volumes(), rescore=rescores)
@few
def test_row_policy__reads_topology(after, volume, rescore):
    labels, image, connectivity = volume
    policy = row_policy(degrees, columns=["degree", "common neighbours"], after=after)
    twin = naive_engine.Graph(labels, image, connectivity).agglomerate(each(slow.degrees), rescore=rescore)
    assert_same_merges(run(volume, policy, rescore=rescore), twin)


def test_row_policy__border_is_a_column():
    def inside_first(params, u, v, edge, out):
        border = int(params[0])
        out[0] = (u[border] > 0) + (v[border] > 0)

    labels = np.zeros((5, 5), int)
    labels[1:4, 1:4] = [[1, 1, 2], [1, 3, 2], [1, 3, 2]]
    g = Rag(labels, None, row_policy(inside_first, columns=["border"]))
    assert [g.edges[pair]["weight"] for pair in [(1, 2), (1, 3), (0, 1), (0, 3)]] == [0, 0, 1, 1]


def four(params, u, v, edge):
    pass


def returns(params, u, v, edge, out):
    return u[0]


def unknown(params, u, v, edge, out):
    out[0] = not_defined_anywhere(u)  # noqa: F821  # this is what is wrong with it


def matrix(params, u, v, edge, out):
    out[0] = u[0, 0]


def starred(*arrays):
    pass


@pytest.mark.parametrize(
    ("kernel", "message"),
    [
        (four, r"must take the five arguments \(params, u, v, edge, out\); four takes \(params, u, v, edge\)"),
        (starred, r"starred takes \(\*arrays\)"),
        (slow.mean(), r"must take the five arguments .* takes \(g, u, v\)"),
        ("mean", r"must be a function of \(params, u, v, edge, out\); got 'mean'"),
        (np.add, "must take the five arguments|must be a function"),
        (max, "must take the five arguments|must be a function"),
    ],
)
def test_row_policy__says_which_arguments_a_kernel_takes(kernel, message):
    with pytest.raises(PolicyError, match=message):
        row_policy(kernel)


def used_wrongly():
    kernel = numba.njit(returns)
    kernel(*[np.ones(1)] * 5)
    return kernel


@pytest.mark.compiled
@pytest.mark.parametrize(
    "kernel",
    [
        returns,
        numba.njit(returns),
        used_wrongly(),
        unknown,
        matrix,
        partial(size_ratio),
        numba.jit(returns, forceobj=True),
    ],
)
def test_row_policy__says_why_a_kernel_does_not_compile(kernel):
    with pytest.raises(PolicyError, match=r"must compile for five float64 arrays, .* and return nothing; Numba says"):
        row_policy(kernel)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"needs": "moments"}, "needs must be a feature manager"),
        ({"columns": "p0"}, "columns must be a list of names"),
        ({"columns": [3]}, "columns must be a list of names"),
        ({"numbers": ["a"]}, "numbers must be a list of numbers"),
        ({"numbers": 3}, "numbers must be a list of numbers"),
        ({"after": 3}, "merge priority function must be callable"),
    ],
)
def test_row_policy__says_which_option_is_wrong(options, message):
    with pytest.raises(PolicyError, match=message):
        row_policy(size_ratio, **options)


@pytest.mark.compiled
def test_row_policy__an_error_raised_by_the_kernel_comes_through_and_merges_stay():
    def gives_up(params, u, v, edge, out):
        if u[0] + v[0] > 5:
            raise ValueError("too large for me")
        out[0] = 0.5

    g = Rag(RING, np.zeros((3, 3)), row_policy(gives_up), update_unchanged_edges=True)
    for _ in range(2):
        with pytest.raises(ValueError, match="too large for me"):
            g.agglomerate(1)
        assert 0 < g.n_merges < 7
        assert len(np.unique(g.get_segmentation())) == 8 - g.n_merges
    g.merge_priority_function = boundary_mean
    g.agglomerate(1)
    assert g.n_merges == 7


# ----------------------------------------------------------------------------------- documentation

DOCS = Path(__file__).parents[1] / "docs" / "policies.md"


@pytest.mark.compiled
def test_docs__examples_run():
    failed, attempted = doctest.testfile(str(DOCS), module_relative=False, optionflags=doctest.NORMALIZE_WHITESPACE)
    assert attempted > 5
    assert failed == 0


def test_docs__every_policy_is_in_the_table():
    rows = DOCS.read_text().partition("| policy |")[2].partition("\n\n")[0]
    others = ("Rag", "as_policy", "best_possible_segmentation", "is_mito", "is_mito_boundary")
    names = [name for name in agglo.__all__ if name not in others]
    assert [name for name in names if f"`{name}" not in rows] == []
