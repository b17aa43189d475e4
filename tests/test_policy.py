"""Policies: what may be one, what each gives, and what is said of those that cannot be used."""

# ruff: noqa: ARG001, ARG002, ARG005  # functions of users share a signature

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from numpy.testing import assert_array_equal
from sklearn.ensemble import RandomForestClassifier
from sklearn.neighbors import KNeighborsClassifier
from sklearn.svm import LinearSVC

import naive_engine
from gala import agglo
from gala.agglo import Rag
from gala.engine.agglomerate import agglomerate
from gala.engine.policy import FunctionPolicy, PairPolicy, as_policy
from gala.errors import ClassifierError, FeatureError, PolicyError
from gala.features import histogram, moments
from gala.graph.build import build_graph

few = settings(deadline=None, max_examples=15)

LABELS = np.array([[10, 10, 20, 20, 30, 30]])
IMAGE = np.array([[0.0, 0.25, 0.5, 1.0, 0.75, 0.0]])


def rag(policy, **options):
    return Rag(LABELS, IMAGE, policy, **options)


# ------------------------------------------------------------------------------------------ what may be a policy


class _Object:
    def __call__(self, g, u, v, power=1):
        return abs(u - v) ** power


@pytest.mark.parametrize(
    ("function", "kind"),
    [
        (lambda g, u, v: 0.0, PairPolicy),
        (lambda g, edges: np.zeros(len(edges)), FunctionPolicy),
        (_Object(), PairPolicy),
        (partial(lambda scale, g, edges: np.full(len(edges), scale), 2.0), FunctionPolicy),
        (lambda *arguments: float(len(arguments)), PairPolicy),
        (max, PairPolicy),  # its signature is not known
    ],
)
def test_as_policy__takes_functions_of_two_regions_or_of_edges(function, kind):
    assert type(as_policy(function)) is kind


def test_as_policy__leaves_policies_alone():
    assert as_policy(agglo.boundary_mean) is agglo.boundary_mean


@pytest.mark.parametrize("function", ["boundary_mean", 3, None])
def test_as_policy__refuses_what_cannot_be_called(function):
    with pytest.raises(PolicyError, match=r"callable, as f\(g, u, v\) or f\(g, edges\); got "):
        rag(function)


@pytest.mark.parametrize("function", [lambda g: 0, lambda g, u, v, w: 0, lambda: 0])
def test_as_policy__refuses_other_numbers_of_arguments(function):
    with pytest.raises(PolicyError, match=r"takes [014] arguments"):
        rag(function)


# ------------------------------------------------------------------------------------------------ what they give


@given(naive_engine.volumes(n_channels=2))
@few
def test_boundary_policies__give_the_mean_and_the_median_of_channel_0(volume):
    labels, image, connectivity = volume
    g = Rag(labels, image, connectivity=connectivity)
    twin = naive_engine.Graph(labels, image, connectivity)
    edges = np.array(g.real_edges()).reshape(-1, 2)
    for policy, slow in ((agglo.boundary_mean, naive_engine.mean), (agglo.boundary_median, naive_engine.median)):
        expected = [slow(twin, u, v) for u, v in edges.tolist()]
        assert policy(g, edges).tolist() == expected
        assert [policy(g, v, u) for u, v in edges.tolist()] == expected
    assert agglo.approximate_boundary_mean(g, edges).tolist() == agglo.boundary_mean(g, edges).tolist()


def test_weights__are_the_priorities():
    g = rag(agglo.boundary_mean)
    assert g.edges[10, 20]["weight"] == 0.375
    assert g.edges[30, 20]["weight"] == 0.875
    g.merge_priority_function = agglo.boundary_median
    assert g.edges[20, 30]["weight"] == 0.875
    g.merge_priority_function = lambda g, u, v: u + v
    assert g.edges[20, 30]["weight"] == 50
    assert g.edges[20, g.boundary_body]["weight"] == np.inf


def test_user_function__may_ask_for_sizes_values_and_voxels():
    def larger_and_darker_first(g, u, v):
        size = g.nodes[u]["size"] + g.nodes[v]["size"]
        inside = np.concatenate([g.nodes[u]["extent"], g.extent(v)])
        assert len(inside) == size
        return g.probabilities_r[g.boundary(u, v), 0].max() - size + 0.001 * g.probabilities_r[inside].sum()

    g = rag(larger_and_darker_first, update_unchanged_edges=True)
    history, scores, _ = g.agglomerate(0, save_history=True)
    assert history == [(10, 20), (30, 32)]
    assert scores == [0.5 - 4 + 0.00175, 1.0 - 6 + 0.0025]


def test_ordered_priority__replays_a_history():
    g = Rag(np.arange(12).reshape(3, 4), np.random.default_rng(0).random((3, 4)))
    history, _, _ = g.agglomerate(0.6, save_history=True)
    again = Rag(np.arange(12).reshape(3, 4), None, agglo.ordered_priority(history), update_unchanged_edges=True)
    replayed, scores, _ = again.agglomerate(np.inf, save_history=True)
    assert replayed == history
    assert scores == [i / len(history) for i in range(len(history))]
    assert_array_equal(again.get_segmentation(), g.get_segmentation())


def test_ordered_priority__merges_nothing_else():
    g = rag(agglo.ordered_priority([(30, 20)]))
    assert g.agglomerate(np.inf, save_history=True)[0] == [(20, 30)]
    g = rag(agglo.ordered_priority([]))
    assert g.agglomerate(np.inf, save_history=True)[0] == []


def random_tree(seed):
    g = Rag(np.arange(24).reshape(4, 6), None, agglo.random_priority, random_state=seed)
    g.agglomerate(1)
    return g.tree


def test_random_priority__draws_from_the_random_state():
    tree = random_tree(3)
    assert_array_equal(random_tree(3).priority, tree.priority)
    assert_array_equal(random_tree(3).children, tree.children)
    assert_array_equal(random_tree(np.random.default_rng(3)).children, tree.children)
    assert not np.array_equal(random_tree(4).priority, tree.priority)
    assert ((tree.priority >= 0) & (tree.priority < 1)).all()
    graph = build_graph(np.arange(24).reshape(4, 6))
    assert_array_equal(agglomerate(graph, agglo.random_priority, random_state=3).priority, tree.priority)


def test_random_priority__a_copy_draws_by_itself():
    g = Rag(np.arange(24).reshape(4, 6), None, agglo.random_priority, random_state=3)
    g.copy().agglomerate(1)
    g.agglomerate(1)
    assert_array_equal(g.tree.priority, random_tree(3).priority)


def test_infinite_priority__never_merges():
    g = rag(lambda _, u, v: np.inf if u == 10 else -np.inf)
    assert g.agglomerate(np.inf, save_history=True)[0] == [(20, 30)]


# ---------------------------------------------------------------------------------- functions that go wrong


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda g, u, v: np.nan if v == 30 else 0.0, "gave NaN for regions 20 and 30"),
        (lambda g, edges: np.where(edges[:, 1] == 30, np.nan, 0), "gave NaN for regions 20 and 30"),
        (lambda g, edges: np.zeros((len(edges), 2)), r"one number an edge, shape \(2,\); got shape \(2, 2\)"),
        (lambda g, edges: np.zeros(3), r"one number an edge, shape \(2,\); got shape \(3,\)"),
        (lambda g, edges: 0.5, r"one number an edge, shape \(2,\); got shape \(\)"),
        (lambda g, u, v: [0.5, 0.5], r"one number an edge, shape \(2,\); got shape \(2, 2\)"),
        (lambda g, u, v: "low", "must return numbers; got .*low"),
        (lambda g, u, v: None, "NaN|must return numbers"),
        (lambda g, u, v: [0.5] * u, "must return numbers"),
    ],
)
def test_user_function__that_gives_no_priority(function, message):
    g = rag(function)
    with pytest.raises(PolicyError, match=message):
        g.agglomerate(0.5)
    assert g.n_merges == 0
    assert_array_equal(g.get_segmentation(), LABELS)


def test_user_function__that_fails_after_a_merge__keeps_what_was_done():
    def fails_later(g, u, v):
        return "high" if max(u, v) > g.boundary_body else v / 100

    g = Rag(np.array([[1, 2], [3, 3]]), np.zeros((2, 2)), fails_later)
    with pytest.raises(PolicyError, match="high"):
        g.agglomerate(np.inf)
    assert g.tree.children.tolist() == [[0, 1]]
    assert_array_equal(g.get_segmentation(), [[1, 1], [3, 3]])


def test_user_function__an_error_of_its_own_comes_through():
    def divide(g, u, v):
        return 1 // (u - 10)

    with pytest.raises(ZeroDivisionError):
        rag(divide).agglomerate(0.5)


# ---------------------------------------------------------------------------- classifiers and graphs that do not fit


def forest(n_features=15, classes=(-1, 1)):
    X = np.random.default_rng(0).random((20, n_features))
    return RandomForestClassifier(2, random_state=0).fit(X, np.resize(classes, 20))


few_moments = moments.Manager(nmoments=2, use_diff_features=True)  # 3 + 3 + 3 + 3 features


@pytest.mark.parametrize(
    ("classifier", "message"),
    [
        (forest(n_features=11), "as many features as it was fitted on, 11; the feature map gives 12"),
        (forest(12, classes=(1, 2)), r"must be -1 \(merge\) and 1 \(do not merge\), or 0 and 1; got \[1, 2\]"),
        (forest(12, classes=(-1, 0, 1)), "must be -1 "),
        (forest(12, classes=("merge", "not")), "must be -1 "),
        (forest(12, classes=(1,)), "only class 1 was seen"),
        (RandomForestClassifier(), "must be fitted before"),
        (KNeighborsClassifier(), "must be fitted before"),
        (KNeighborsClassifier(1).fit(np.eye(11), np.arange(11) % 2), "fitted on, 11; the feature map gives 12"),
    ],
)
def test_classifier__that_does_not_fit(classifier, message):
    policy = agglo.classifier_probability(few_moments, classifier)
    g = rag(policy, feature_manager=few_moments)
    with pytest.raises(ClassifierError, match=message):
        g.agglomerate(0.5)
    with pytest.raises(ClassifierError, match=message):
        policy(g, 10, 20)


@pytest.mark.parametrize("classifier", [LinearSVC(), "random forest", None])
def test_classifier__without_probabilities(classifier):
    with pytest.raises(ClassifierError, match="predict_proba"):
        agglo.classifier_probability(few_moments, classifier)


@pytest.mark.parametrize("classes", [(-1, 1), (0, 1), (False, True)])
def test_classifier__both_ways_to_write_classes_will_do(classes):
    g = rag(agglo.classifier_probability(few_moments, forest(12, classes)), feature_manager=few_moments)
    g.agglomerate(2.0)
    assert g.n_merges == 2


def test_policies__say_what_the_graph_lacks():
    graph = build_graph(LABELS, IMAGE)
    with pytest.raises(FeatureError, match=r"boundary_mean needs the columns p0, p1\[0\], and the graph keeps count"):
        agglomerate(graph, agglo.boundary_mean)
    with pytest.raises(FeatureError, match=r"does not keep what histogram needs.*build it with this manager"):
        agglomerate(graph, agglo.classifier_probability(histogram.Manager(), forest()))


@given(st.lists(st.sampled_from([moments.Manager(4), histogram.Manager(3), moments.Manager(2)]), max_size=3))
@few
def test_boundary_mean__runs_whatever_else_the_graph_keeps(managers):
    alone = agglomerate(build_graph(LABELS, IMAGE, agglo.boundary_mean.needs), agglo.boundary_mean)
    graph = build_graph(LABELS, IMAGE, [*managers, agglo.boundary_mean.needs])
    assert agglomerate(graph, agglo.boundary_mean).priority.tolist() == alone.priority.tolist()


def test_representation__names_the_policy():
    assert repr(agglo.boundary_mean) == "<policy boundary_mean>"
    assert "RandomForestClassifier" in repr(agglo.classifier_probability(few_moments, forest()))
    assert repr(as_policy(max)) == "<policy max>"
