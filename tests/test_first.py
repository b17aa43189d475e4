"""The mean of log-odds against its slow twin, contributions of features, explanations, and copies to learn from."""

from __future__ import annotations

from functools import partial
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.ensemble import (
    ExtraTreesClassifier,
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
)
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from gala import datasets
from gala._kernels import topology
from gala.agglo import Rag
from gala.classify.contributions import contributions
from gala.classify.flat import lay_flat, predict
from gala.engine.agglomerate import agglomerate
from gala.engine.enclosure import largest_shares, usual_share
from gala.engine.explain import explain
from gala.engine.policy import boundary_mean, classifier_probability, make_ladder, mean_log_odds
from gala.engine.policy.first import SURFACE
from gala.engine.running import RunningGraph
from gala.errors import ClassifierError, FeatureError, PolicyError, SettingError, ShapeError
from gala.evaluate import vi
from gala.features import moments
from gala.graph.build import build_graph
from gala.pipeline import Recipe, Segmenter
from gala.pipeline.copies import factors, less_sure

pytestmark = pytest.mark.compiled  # volumes are too large for plain Python
features = moments.Manager(2)
few = settings(deadline=None, max_examples=6)


class Steep:
    """A classifier that only looks at the mean over the contact, and cannot be laid flat."""

    classes_ = np.array([-1, 1])

    def predict_proba(self, X):
        wrong = 1 / (1 + np.exp(-20 * (X[:, 7] - 0.5)))  # count, mean and moment of both regions come before
        return np.column_stack([1 - wrong, wrong])


@pytest.fixture(scope="module")
def volume():
    return datasets.synthetic((10, 36, 36), seed=3)


@pytest.fixture(scope="module")
def graph(volume):
    return build_graph(volume.superpixels, volume.p1, features)


@pytest.fixture(scope="module")
def examples(volume):
    data = Rag(volume.superpixels, volume.p1, feature_manager=features).learn_flat(volume.truth, features)
    return data.X, data.y[:, 0]


def trees_of(seed=0):
    return [
        RandomForestClassifier(7, random_state=seed),
        ExtraTreesClassifier(12, min_samples_leaf=3, class_weight="balanced", random_state=seed),
        GradientBoostingClassifier(n_estimators=8, random_state=seed),
        HistGradientBoostingClassifier(max_iter=8, early_stopping=False, random_state=seed),
        make_pipeline(StandardScaler(), LogisticRegression()),
    ]


def mean_linkage(graph, score, enclosed=1.0):
    """Return the heights of merges by the mean of scores, less for enclosed regions, in plain Python."""
    weight = np.sqrt(graph.contact_sizes)
    doubt = 0.3 * weight.mean()
    rows = zip(graph.edges.tolist(), weight, score, graph.contact_sizes, strict=True)
    pairs = {tuple(e): np.array([w, w * s, n]) for e, w, s, n in rows}
    at_border = dict(enumerate(graph.border_sizes.tolist()))

    def log_odds(pair):
        w, ws, n = pairs[pair]
        share = max(n / (at_border[one] + sum(pairs[p][2] for p in pairs if one in p)) for one in pair)
        nearness = (share - enclosed) / (1 - enclosed) if share > enclosed else 0
        return ws / (w + doubt) - 6 * nearness

    found, priority = [], {pair: log_odds(pair) for pair in pairs}
    for new in range(graph.n_regions, 2 * graph.n_regions - 1):
        u, v = min(priority, key=priority.get)
        found.append(1 / (1 + np.exp(-priority.pop((u, v)))))
        del pairs[u, v]
        at_border[new] = at_border.pop(u) + at_border.pop(v)
        joined = []
        for pair in [pair for pair in pairs if u in pair or v in pair]:
            (other,) = set(pair) - {u, v}
            row, before = pairs.pop(pair), priority.pop(pair)
            if (other, new) in pairs:
                pairs[other, new] += row
                joined.append((other, new))
            else:
                pairs[other, new], priority[other, new] = row, before
        priority.update({pair: log_odds(pair) for pair in joined})  # others keep what they had
    return np.array(found)


# ----------------------------------------------------------------------------------------- the mean of log-odds


@pytest.mark.parametrize("enclosed", [1.0, 0.6, 0.25])
@pytest.mark.parametrize("classifier", [GaussianNB(), Steep()])
def test_mean_log_odds__merges_as_its_slow_twin(graph, examples, classifier, enclosed):
    if isinstance(classifier, GaussianNB):
        classifier.fit(*examples)
    X = RunningGraph(graph, boundary_mean).describe(features, np.arange(len(graph.edges)))
    p = np.clip(classifier.predict_proba(X)[:, 1], 0.005, 0.995)
    tree = agglomerate(graph, mean_log_odds(features, classifier, enclosed))
    assert_allclose(tree.priority, mean_linkage(graph, np.log(p / (1 - p)), enclosed), rtol=1e-9)


def test_mean_log_odds__keeps_the_surfaces_of_regions_that_have_merged(graph, examples):
    g = RunningGraph(graph, mean_log_odds(features, GaussianNB().fit(*examples), 0.6))
    g.agglomerate(max_merges=40)
    column = g.graph.region_spec.names.index(SURFACE.names[0])
    for n in g.region_names():
        assert g.state.region_rows[g.region_of(n), column] == g.region_topology(n)[topology.TOTAL]


def test_mean_log_odds__refuses_shares_out_of_range():
    with pytest.raises(SettingError, match="enclosed must be from 0 to 1; got 2"):
        mean_log_odds(features, GaussianNB(), 2)


def test_mean_log_odds__leaves_the_graph_as_it_is(graph, examples):
    names = graph.contact_spec.names
    policy = mean_log_odds(features, GaussianNB().fit(*examples))
    prepared = policy.prepared(graph)
    assert graph.contact_spec.names == names
    assert policy.prepared(prepared) is prepared
    assert_array_equal(agglomerate(prepared, policy).priority, agglomerate(graph, policy).priority)


def test_mean_log_odds__works_behind_a_ladder_and_in_a_rag(volume, graph, examples):
    policy = mean_log_odds(features, GaussianNB().fit(*examples))
    climbed = agglomerate(graph, make_ladder(policy, np.inf, strictness=0))
    assert_array_equal(climbed.priority, agglomerate(graph, policy).priority)
    g = Rag(volume.superpixels, volume.p1, policy, feature_manager=features)
    g.agglomerate(0.5)
    assert_array_equal(g.tree.priority, agglomerate(graph, policy, 0.5).priority)


def test_mean_log_odds__cannot_be_set_on_a_graph_under_way(graph, examples):
    g = RunningGraph(graph, boundary_mean)
    g.policy = mean_log_odds(features, GaussianNB().fit(*examples))
    g.rebuild_merge_queue()
    with pytest.raises(FeatureError, match="asks its classifier before the first merge"):
        g.agglomerate()


# ---------------------------------------------------------------------------------------------------- enclosure


def shares_in_plain_python(graph, objects):
    """Return the largest share of each object, pieces of one being several."""
    edges, sizes = graph.edges.tolist(), graph.contact_sizes.tolist()
    piece = list(range(graph.n_regions))
    for _ in range(graph.n_regions):
        for u, v in edges:
            if objects[u] == objects[v] != 0:
                piece[u] = piece[v] = min(piece[u], piece[v])
    found = []
    for one in set(piece):
        members = [i for i in range(graph.n_regions) if piece[i] == one]
        with_each = {}
        for (u, v), n in zip(edges, sizes, strict=True):
            if (piece[u] == one) != (piece[v] == one):
                other = piece[v] if piece[u] == one else piece[u]
                with_each[other] = with_each.get(other, 0) + n
        surface = sum(with_each.values()) + sum(graph.border_sizes[members])
        if objects[one] != 0:
            found.append(max(with_each.values(), default=0) / surface)
    return found


@few
@given(seed=st.integers(0, 99), n_objects=st.integers(0, 9))
def test_largest_shares__are_those_found_object_by_object(seed, n_objects):
    random = np.random.default_rng(seed)
    graph = build_graph(random.integers(1, 25, (3, 5, 6)))
    objects = random.integers(0, n_objects + 1, graph.n_regions)
    found = largest_shares(graph, objects)
    assert_allclose(np.sort(found), np.sort(shares_in_plain_python(graph, objects)))
    assert ((found >= 0) & (found <= 1)).all()


def test_usual_share__trusts_many_objects_more_than_few():
    shares = [usual_share([np.full(n, 0.3)]) for n in (1, 5, 10, 20, 100)]
    assert shares == sorted(shares, reverse=True)
    assert shares[0] > 0.9
    assert shares[-1] == 0.5


def volume_with_bodies(seed, *, whole):
    """Return map, superpixels and truth: cells, most of which hold a body with a boundary as clear as that of a cell.

    A body is an object by itself if it is `whole`, else part of the cell.
    """
    random = np.random.default_rng(seed)
    superpixels = 1 + np.kron(np.arange(24).reshape(4, 6), np.ones((12, 12), dtype=np.int64))
    truth = 1 + (superpixels - 1) // 2
    boundary = 0.1 * random.random(superpixels.shape)
    for row, column in product(range(4), range(6)):
        corner = 12 * row + 4, 12 * column + 4
        body = tuple(slice(c, c + 4) for c in corner)
        around = tuple(slice(c - 1, c + 5) for c in corner)
        if random.random() < 0.8:
            boundary[around] += 0.8
            superpixels[body] = superpixels.max() + 1
            truth[body] = truth.max() + 1 if whole else truth[around][0, 0]
    boundary[:, 23::24] += 0.8
    boundary[:, 24::24] += 0.8
    boundary[11::12] += 0.8
    boundary[12::12] += 0.8
    return np.clip(boundary, 0, 1), superpixels, truth


@pytest.mark.parametrize("whole", [True, False])
def test_recipe__learns_from_truth_whether_what_is_enclosed_is_whole(whole):
    image, superpixels, truth = volume_with_bodies(0, whole=whole)
    segmenter = Segmenter(Recipe(n_copies=2), random_state=0).fit(image, truth, superpixels)
    assert (segmenter.learned_.enclosed == 1) == whole
    image, superpixels, truth = volume_with_bodies(1, whole=whole)
    assert vi(segmenter.predict(image, superpixels), truth) < 0.05


# ------------------------------------------------------------------------------------------------ contributions


@few
@given(seed=st.integers(0, 99), n_missing=st.integers(0, 3))
def test_contributions__add_up_to_what_the_model_says(seed, n_missing):
    random = np.random.default_rng(seed)
    X = random.normal(size=(80, 4))
    y = np.where(X[:, 0] + X[:, 1] ** 2 > 0.5, 1, -1)
    for classifier in trees_of(seed):
        model = lay_flat(classifier.fit(X, y))
        rows = X[:9].copy()
        if isinstance(classifier, HistGradientBoostingClassifier):
            rows[:n_missing, 0] = np.nan
        total = contributions(model, rows).total
        expected = predict(model, rows)
        is_log_odds = not isinstance(classifier, RandomForestClassifier | ExtraTreesClassifier)
        assert_allclose(1 / (1 + np.exp(-total)) if is_log_odds else total, expected, rtol=1e-9, atol=1e-12)


def test_contributions__of_trees_start_from_the_mean_of_all_examples(examples):
    X, y = examples
    forest = RandomForestClassifier(5, bootstrap=False, random_state=0).fit(X, y)
    assert contributions(lay_flat(forest), X).baseline == pytest.approx((y > 0).mean())


def test_contributions__a_feature_that_is_never_asked_about_adds_nothing():
    X = np.random.default_rng(0).normal(size=(60, 3))
    X[:, 1] = 5.0
    for classifier in trees_of():
        found = contributions(lay_flat(classifier.fit(X, np.where(X[:, 2] > 0, 1, -1))), X)
        assert np.ptp(found.features[:, 1]) == 0


def test_contributions__refuses_what_does_not_add_up(examples):
    with pytest.raises(ClassifierError, match="only trees and linear models"):
        contributions(lay_flat(GaussianNB().fit(*examples)), examples[0])
    with pytest.raises(ShapeError, match="X must have shape"):
        contributions(lay_flat(trees_of()[0].fit(*examples)), examples[0][:, 1:])


# ------------------------------------------------------------------------------------------------- explanations


@pytest.mark.parametrize("n_merges", [0, 15])
@pytest.mark.parametrize("classifier", trees_of(), ids=lambda each: type(each).__name__)
@pytest.mark.parametrize("decide", [classifier_probability, mean_log_odds, partial(mean_log_odds, enclosed=0.3)])
def test_explain__adds_up_to_the_priority(graph, examples, decide, classifier, n_merges):
    g = RunningGraph(graph, decide(features, classifier.fit(*examples)))
    g.agglomerate(max_merges=n_merges)
    is_probability = decide is classifier_probability and isinstance(
        classifier, RandomForestClassifier | ExtraTreesClassifier
    )
    for u, v in list(g.edges())[::11]:
        found = explain(g, u, v)
        said = found.total if is_probability else 1 / (1 + np.exp(-found.total))
        assert said == pytest.approx(g.policy(g, u, v), rel=1e-9)
        assert found.baseline + found.added.sum() == pytest.approx(found.total)
        assert len(found.names) == len(found.added)
        assert [abs(value) for _, value in found.strongest(3)] == sorted(np.abs(found.added))[:-4:-1]


def test_explain__refuses_other_policies_and_models(graph):
    u, v = graph.edges[0]
    with pytest.raises(PolicyError, match="can be explained; got"):
        explain(RunningGraph(graph, boundary_mean), u, v)
    with pytest.raises(ClassifierError, match="Steep cannot be"):
        explain(RunningGraph(graph, classifier_probability(features, Steep())), u, v)


# ------------------------------------------------------------------------------------------------------- copies


@few
@given(seed=st.integers(0, 99), low=st.sampled_from([0.0, -2.0]), high=st.sampled_from([1.0, 3.0]))
def test_less_sure__stays_in_range_and_draws_from_the_generator_only(seed, low, high):
    image = np.random.default_rng(seed).uniform(low, high, (5, 6, 7, 2))
    copies = [less_sure(image, 0.7, np.random.default_rng(seed)) for _ in range(2)]
    assert_array_equal(*copies)
    assert copies[0].shape == image.shape
    assert min(low, 0) <= copies[0].min() <= copies[0].max() <= max(high, 1)


def test_less_sure__is_less_sure_the_nearer_the_factor_is_to_0():
    image = np.where(np.random.default_rng(0).random((20, 20, 20, 1)) < 0.5, 0.02, 0.98)
    spread = [np.abs(less_sure(image, f, np.random.default_rng(0)) - 0.5).mean() for f in (1, *factors(5), 0)]
    assert spread == sorted(spread, reverse=True)
    assert spread[0] < np.abs(image - 0.5).mean()


# ------------------------------------------------------------------------------------------ kinds of volumes


def test_synthetic__kinds_differ_in_how_far_the_map_can_be_trusted():
    def contrast(kind):
        volume = datasets.synthetic((12, 48, 48), kind=kind, seed=1)
        graph = build_graph(volume.truth, volume.p1, moments.Manager(1), background=0)
        inside = volume.p1[volume.truth > 0].std()
        return graph.contact_cache[:, -1].sum() / graph.contact_cache[:, 0].sum() - inside

    found = {kind: contrast(kind) for kind in ("good", "mixed", "noisy", "gaps")}
    assert max(found, key=found.get) == "good"
    assert min(found, key=found.get) in ("noisy", "gaps")


def test_synthetic__thin_neurites_lie_beside_large_cells():
    sizes = {}
    for kind in ("mixed", "thin"):
        counts = np.bincount(datasets.synthetic((24, 64, 64), kind=kind, seed=1).truth.ravel())[1:]
        counts = counts[counts > 0]
        sizes[kind] = counts.max() / np.median(counts)
    assert sizes["thin"] > sizes["mixed"]


def test_synthetic__names_the_kinds_that_are_known():
    with pytest.raises(SettingError, match="kind must be one of 'mixed', 'good', 'noisy', 'gaps', 'thin'; got 'odd'"):
        datasets.synthetic((4, 8, 8), kind="odd")
