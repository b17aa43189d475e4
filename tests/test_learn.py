"""Learning: what truth says of merges, which of them an epoch makes, and what each setting changes."""

# ruff: noqa: ARG001, ARG005  # functions of users share a signature

from __future__ import annotations

import hashlib
import os
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import assume, given, settings, strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.ensemble import RandomForestClassifier
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier

import naive_engine
from gala import agglo, evaluate
from gala.agglo import Rag
from gala.classify import unique_learning_data_elements
from gala.engine.agglomerate import agglomerate
from gala.engine.learn import truths_of
from gala.engine.running import RunningGraph
from gala.errors import FeatureError, LabelError, PolicyError, SettingError, ShapeError
from gala.features import histogram, moments
from gala.features.base import Composite, Mock, Null
from gala.graph.build import build_graph
from naive_engine import each, volumes

some = settings(deadline=None, max_examples=30)
few = settings(deadline=None, max_examples=20)

MODES = ("strict", "loose", "permissive")
SCHEMES = ("assignment", "vi-sign", "rand-sign")
manager = moments.Manager(2)


@st.composite
def truths(draw, shape):
    """Return one to three truths, with voxels that are unknown."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    found = [rng.integers(0, draw(st.integers(2, 6)), shape) for _ in range(draw(st.integers(1, 3)))]
    for truth in found:
        truth.flat[0] = 3
    return found


def assert_judged(data, judgements):
    """Check labels and weights; a change of VI that is 0 but for rounding may have either sign."""
    n = len(judgements)
    y, w = data.y.reshape(n, 3), data.w.reshape(n, 2)
    expected = np.array([judgement.labels for judgement in judgements]).reshape(n, 3)
    clear = np.array([abs(judgement.vi) > 1e-9 for judgement in judgements], dtype=bool)
    assert_array_equal(y[:, [0, 2]], expected[:, [0, 2]])
    assert_array_equal(y[clear, 1], expected[clear, 1])
    assert_allclose(w, np.reshape([judgement.weights for judgement in judgements], (n, 2)), rtol=0, atol=1e-12)


# --------------------------------------------------------------------------------------- what truth says


@given(volumes(), st.data())
@some
def test_learn_flat__compares_with_truth_what_each_merge_would_give(volume, data):
    labels, image, connectivity = volume
    gts = data.draw(truths(labels.shape))
    g = Rag(labels, image, feature_manager=manager, connectivity=connectivity)
    twin = naive_engine.Graph(labels, image, connectivity)
    for pair in [()] + [(0, 0)] * data.draw(st.integers(0, 2)):
        if pair and twin.contacts:  # also of a graph that has been merged in part
            pair = data.draw(st.sampled_from(sorted(twin.contacts)))
            twin.merge(*pair)
            g.merge_nodes(*pair)
        examples = g.learn_flat(gts if len(gts) > 1 else gts[0], manager)
        assert [tuple(pair) for pair in examples.merges.tolist()] == g.real_edges()
        assert_judged(examples, [naive_engine.judge(twin, u, v, gts) for u, v in g.real_edges()])
        assert_array_equal(examples.X, g.features(manager, examples.merges).reshape(examples.X.shape))


def test_learn_flat__of_regions_that_nothing_is_known_of__is_not_to_merge():
    X, y, w, merges = Rag([1, 1, 2, 3], None).learn_flat([4, 4, 0, 4], Null())
    assert merges.tolist() == [[1, 2], [2, 3]]
    assert (y == 1).all()
    assert (w > 0).all()
    assert X.shape == (2, 0)


def test_learn_flat__what_is_frozen_counts_as_not_to_merge():
    labels, truth = np.array([1, 2, 3, 4, 5]), np.ones(5, int)
    plain = Rag(labels, None).learn_flat(truth, Null())
    assert (plain.y == -1).all()
    frozen = Rag(labels, None, isfrozennode=lambda _, u: u == 1, isfrozenedge=lambda _, u, v: (u, v) == (3, 4))
    assert frozen.learn_flat(truth, Null()).y.tolist() == [[1] * 3, [-1] * 3, [1] * 3, [-1] * 3]


def test_assignment__ties_go_to_the_lower_label():
    labels = np.array([1, 1, 2, 2, 3, 3])
    y = Rag(labels, None).learn_flat([7, 8, 7, 7, 8, 8], Null()).y
    assert y[:, 0].tolist() == [-1, 1]


# --------------------------------------------------------------------------------------- epochs


def epoch(volume, gts, *, called=False, mode="strict", scheme="assignment", **options):
    """Return the examples of one epoch in the order of boundary means."""
    labels, image, connectivity = volume
    g = Rag(labels, image, feature_manager=manager, connectivity=connectivity, **options)
    mpf = (lambda g, edges: agglo.boundary_mean(g, edges)) if called else agglo.boundary_mean
    settings = {"learn_flat": False, "min_num_epochs": 1, "max_num_epochs": 1, "unique": False}
    modes = {"learning_mode": mode, "labeling_mode": scheme, "priority_mode": "custom"}
    data, epochs = g.learn_agglomerate(gts, manager, mpf=mpf, **modes, **settings)
    assert len(epochs) == 1
    for element, same in zip(data, epochs[0], strict=True):
        assert_array_equal(element, same)
    assert g.n_merges == 0
    return epochs[0]


@given(volumes(), st.data(), st.sampled_from(MODES), st.sampled_from(SCHEMES))
@some
def test_epoch__compiled_called_and_slow_learning_agree(volume, data, mode, scheme):
    gts = data.draw(truths(volume[0].shape))
    compiled = epoch(volume, gts, mode=mode, scheme=scheme)
    called = epoch(volume, gts, called=True, mode=mode, scheme=scheme)
    for array, same in zip(compiled, called, strict=True):
        assert_array_equal(array, same)
    twin = naive_engine.Graph(*volume, features=manager)
    rows, judgements, pairs = naive_engine.learn_epoch(
        twin, gts, manager, each(naive_engine.mean), mode=mode, scheme=scheme
    )
    assume(scheme != "vi-sign" or all(abs(judgement.vi) > 1e-9 for judgement in judgements))
    assert [tuple(pair) for pair in compiled.merges.tolist()] == pairs
    assert compiled.X.shape == (len(pairs), 12)
    assert_array_equal(compiled.X.ravel(), rows.ravel())
    assert_judged(compiled, judgements)


@given(volumes(), st.integers(0, 99), st.integers(1, 4))
@few
def test_strict_epoch__never_merges_what_truth_keeps_apart(volume, seed, n_objects):
    names = np.random.default_rng(seed).integers(1, n_objects + 1, volume[0].max() + 1)
    truth = names[volume[0]]  # each region lies in one object
    examples = epoch(volume, truth)
    twin = naive_engine.Graph(*volume)
    for pair, y in zip(examples.merges.tolist(), examples.y, strict=True):
        if y[0] < 0:
            twin.merge(*pair)
    assert all(len({names[n] for n in region.leaves}) == 1 for region in twin.regions.values())
    assert all(names[min(twin.regions[u].leaves)] != names[min(twin.regions[v].leaves)] for u, v in twin.contacts)


@given(volumes(), st.data())
@few
def test_epoch__skips_what_is_frozen_or_excluded(volume, data):
    labels, image, connectivity = volume
    frozen = data.draw(st.sampled_from(np.unique(labels).tolist()))
    exclusions = np.where(labels == labels.flat[0], 0, labels.ravel()[::-1].reshape(labels.shape) % 3)
    gts = data.draw(truths(labels.shape))
    options = {"exclusions": exclusions, "isfrozennode": lambda _, u: u == frozen}
    examples = epoch(volume, gts, mode="loose", **options)
    twin = naive_engine.Graph(labels, image, connectivity, exclusions=exclusions, frozen_nodes=(frozen,))
    twin.agglomerate(each(naive_engine.mean))
    assert [tuple(pair) for pair in examples.merges.tolist()] == twin.history


def test_epoch__of_more_examples_than_expected():
    labels = np.random.default_rng(0).integers(0, 14, (8, 8))
    volume = labels, np.random.default_rng(1).random((8, 8, 1)), 2
    examples = epoch(volume, labels + 1)  # every contact is refused
    n_edges = len(naive_engine.naive.contacts(labels, 2))
    assert len(examples.X) == n_edges > 2 * (2 * 14 + 16) - 16
    assert_array_equal(examples.X, epoch(volume, labels + 1, called=True).X)
    assert (examples.y[:, 0] == 1).all()


# --------------------------------------------------------------------------------------- the whole run

BLOCKS = np.kron(np.arange(1, 49).reshape(6, 8), np.ones((3, 3), int))
TRUTH = np.kron(np.array([[1, 1, 2, 0], [1, 3, 2, 2], [3, 3, 4, 4]]), np.ones((6, 6), int))
EDGES = (np.diff(TRUTH, axis=0, prepend=TRUTH[:1]) != 0) | (np.diff(TRUTH, axis=1, prepend=TRUTH[:, :1]) != 0)
IMAGE = (0.5 * EDGES + np.random.default_rng(0).random(EDGES.shape)) / 1.5


def learn(feature_map=manager, image=IMAGE, gts=TRUTH, **settings):
    settings = {"random_state": 0, "classifier": GaussianNB()} | settings
    return Rag(BLOCKS, image, feature_manager=feature_map).learn_agglomerate(gts, feature_map, **settings)


def assert_same_data(data, other):
    for element, same in zip(data, other, strict=True):
        assert_array_equal(element, same)


def test_training_set__unpacks_as_a_list_of_four():
    data, epochs = learn()
    X, y, w, merges = data
    assert len(data) == 4
    assert data[0] is X is data.X
    assert data[-1] is merges
    assert X.shape[1] == 12
    assert y.shape == (len(X), 3)
    assert w.shape == merges.shape == (len(X), 2)
    assert set(np.unique(y)) == {-1, 1}
    assert len(epochs) == 2


def test_data__is_what_the_epochs_gave_without_repetitions():
    data, epochs = learn()
    assert_same_data(data, unique_learning_data_elements([list(each) for each in epochs]))
    assert len(np.unique(data.X, axis=0)) == len(data.X)
    everything, epochs = learn(unique=False)
    for element, *parts in zip(everything, *epochs, strict=True):
        assert_array_equal(element, np.concatenate(parts))
    assert len(everything.X) > len(data.X)


def test_memory__off_keeps_the_last_epoch_only():
    data, epochs = learn(memory=False, unique=False, max_num_epochs=3, min_num_epochs=3)
    assert_same_data(data, epochs[-1])
    assert len(epochs) == 3


def test_learn_flat__off_begins_with_random_merges():
    g = Rag(BLOCKS, IMAGE, feature_manager=manager)
    flat = g.learn_flat(TRUTH, manager)
    _, epochs = learn()
    assert_same_data(epochs[0], flat)
    _, epochs = learn(learn_flat=False)
    assert epochs[0].merges.max() > g.boundary_body
    _, other = learn(learn_flat=False, random_state=1)
    assert not np.array_equal(other[0].merges, epochs[0].merges)


def test_epochs__go_on_until_there_are_enough_samples():
    def n_epochs(least, most, samples=1):
        return len(learn(min_num_epochs=least, max_num_epochs=most, min_num_samples=samples)[1])

    n_samples = len(learn(max_num_epochs=2)[0].X)
    assert [n_epochs(1, 1), n_epochs(2, 5), n_epochs(4, 5)] == [1, 2, 4]
    assert [n_epochs(2, 4, n_samples - 1), n_epochs(2, 4, n_samples), n_epochs(2, 4, 10**6)] == [2, 3, 4]


def test_max_num_samples__draws_examples_in_their_order():
    data, epochs = learn(max_num_samples=30)
    assert len(data.X) == 30
    everything = unique_learning_data_elements([list(each) for each in epochs])
    rows = [np.flatnonzero((everything[0] == x).all(axis=1))[0] for x in data.X]
    assert rows == sorted(rows)
    for element, whole in zip(data, everything, strict=True):
        assert_array_equal(element, whole[rows])
    assert not np.array_equal(learn(max_num_samples=30, random_state=1)[0].X, data.X)


@pytest.mark.parametrize(("mode", "scheme"), [(mode, scheme) for mode in MODES for scheme in SCHEMES])
def test_learning_modes__make_the_merges_that_they_allow(mode, scheme):
    _, epochs = learn(learning_mode=mode, labeling_mode=scheme, max_num_epochs=3, min_num_epochs=3)
    for data in epochs[1:]:
        merged = {n for pair in data.merges.tolist() for n in pair}
        n_merges = max(merged) - BLOCKS.max() - 1  # of those whose region comes up again
        allowed = np.count_nonzero(data.y[:, SCHEMES.index(scheme)] < 0)
        if mode == "strict":
            assert n_merges <= allowed < len(data.X)
        elif mode == "loose":
            assert len(data.X) == 47  # to the end
            assert n_merges == 46
        else:
            assert n_merges <= len(data.X)


class _Spy(GaussianNB):
    """A classifier that notes what it is trained on."""

    seen: list = []  # noqa: RUF012  # the learning run clones the classifier; all clones write here

    def fit(self, X, y):
        self.seen.append((X, y))
        return super().fit(X, y)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_classifier__is_trained_on_the_labels_of_the_scheme(scheme):
    _Spy.seen.clear()
    data, epochs = learn(classifier=_Spy(), labeling_mode=scheme, learning_mode="loose", min_num_epochs=3)
    assert len(_Spy.seen) == 2
    column = SCHEMES.index(scheme)
    for n, (X, y) in enumerate(_Spy.seen, start=1):
        expected = unique_learning_data_elements([list(each) for each in epochs[:n]])
        assert_array_equal(X, expected[0])
        assert_array_equal(y, expected[1][:, column])
    assert any((data.y[:, column] != data.y[:, other]).any() for other in range(3) if other != column)


@pytest.mark.parametrize(("order", "n_fits"), [("active", 3), ("random", 0), ("mixed", 2), ("mean", 0), ("custom", 0)])
def test_priority_mode__says_who_orders_the_merges(order, n_fits):
    _Spy.seen.clear()
    by_size = agglo.as_policy(lambda g, u, v: g.nodes[u]["size"] + g.nodes[v]["size"])
    _, epochs = learn(
        classifier=_Spy(), priority_mode=order, min_num_epochs=4, max_num_epochs=4, mpf=by_size, learning_mode="loose"
    )
    assert len(_Spy.seen) == n_fits
    if order in ("mean", "custom"):
        policy = agglo.boundary_mean if order == "mean" else by_size
        g = Rag(BLOCKS, IMAGE, policy)
        history, _, _ = g.agglomerate(np.inf, save_history=True)
        for data in epochs[1:]:
            assert [tuple(pair) for pair in data.merges.tolist()] == history
    else:
        assert not np.array_equal(epochs[2].merges, epochs[3].merges)


def test_active_function__makes_the_policy():
    asked = []

    def largest_probability_first(feature_map, classifier):
        asked.append((feature_map, type(classifier)))
        right = agglo.classifier_probability(feature_map, classifier)
        return lambda g, edges: -right(g, edges)

    data, _ = learn(active_function=largest_probability_first)
    assert asked == [(manager, GaussianNB)]
    assert not np.array_equal(data.merges, learn()[0].merges)


@pytest.mark.parametrize(
    "classifier",
    ["random forest", "naive bayes", "logistic regression", RandomForestClassifier(5), KNeighborsClassifier(3)],
)
def test_classifier__by_name_or_as_an_estimator(classifier):
    data, _ = learn(classifier=classifier, random_state=5)
    assert_same_data(data, learn(classifier=classifier, random_state=5)[0])
    assert getattr(classifier, "classes_", None) is None  # a copy is trained


def test_forests__compiled_and_called_learning_agree():
    settings = {"classifier": RandomForestClassifier(7), "min_num_epochs": 4}
    _, epochs = learn(**settings)

    def called(feature_map, classifier):
        compiled = agglo.classifier_probability(feature_map, classifier)
        return lambda g, edges: compiled(g, edges)

    def asked(feature_map, classifier):
        return lambda g, u, v: classifier.predict_proba(feature_map(g, u, v)[np.newaxis])[0, 1]

    for active_function in (called, asked):
        for data, same in zip(epochs, learn(active_function=active_function, **settings)[1], strict=True):
            assert_same_data(data, same)


def test_lash__takes_every_merge_of_the_last_epoch():
    image = EDGES.astype(float)
    lash = {"learning_mode": "loose", "labeling_mode": "rand-sign", "memory": False}
    data, epochs = learn(image=image, max_num_epochs=4, min_num_epochs=4, **lash)
    assert [len(epoch.X) for epoch in epochs[1:]] == [47] * 3
    assert_same_data(data, unique_learning_data_elements([list(epochs[-1])]))
    policy = agglo.classifier_probability(manager, GaussianNB().fit(data.X, data.y[:, 2]))
    g = Rag(BLOCKS, image, policy, feature_manager=manager)
    g.agglomerate(0.5)
    assert evaluate.adj_rand_index(g.get_segmentation(), TRUTH) > 2 * evaluate.adj_rand_index(BLOCKS, TRUTH)


def test_several_truths__are_weighed_together():
    other = np.where(TRUTH == 2, 1, TRUTH)
    one, both = learn(gts=TRUTH)[1][0], learn(gts=[TRUTH, other])[1][0]
    assert ((both.y[:, 0] == 1) | (one.y[:, 0] == -1)).all()  # ties count as not to merge
    assert_same_data(learn(gts=[TRUTH])[0], learn()[0])
    assert_same_data(learn(gts=[TRUTH] * 3)[0], learn(gts=(TRUTH, TRUTH, TRUTH))[0])
    assert_array_equal(learn(gts=[TRUTH] * 3)[1][0].y, one.y)


def test_learned_policy__finds_the_objects_again():
    features = Composite([manager, histogram.Manager(3)])
    truth = np.where(TRUTH == 0, 5, TRUTH)
    X, y, _, _ = learn(features, image=EDGES.astype(float), gts=truth, classifier="random forest")[0]
    forest = RandomForestClassifier(20, random_state=0).fit(X, y[:, 0])
    policy = agglo.classifier_probability(features, forest)
    g = Rag(BLOCKS, EDGES.astype(float), policy, feature_manager=features, gt_vol=truth)
    g.agglomerate(0.5)
    assert_allclose(g.split_vi(), 0, atol=1e-12)


def test_mock__learns_the_truth():
    truth = np.where(TRUTH == 0, 5, TRUTH)
    mock = Mock(BLOCKS, truth)
    data, epochs = learn(mock, gts=truth, classifier="random forest", min_num_epochs=3)
    assert len(epochs) == 3
    assert data.X.shape[1] == 2
    assert_array_equal(data.X[:, 0] > 0.5, data.y[:, 0] > 0)
    forest = RandomForestClassifier(10, random_state=0).fit(data.X, data.y[:, 0])
    g = Rag(BLOCKS, None, agglo.classifier_probability(mock, forest), feature_manager=mock, gt_vol=truth)
    g.agglomerate(0.5)
    assert_allclose(g.split_vi(), 0, atol=1e-12)


def test_graph__is_as_it_was_and_may_be_merged_in_part():
    g = Rag(BLOCKS, IMAGE, feature_manager=manager)
    g.agglomerate(0.3)
    tree, edges = g.tree, g.real_edges()
    data, epochs = g.learn_agglomerate(TRUTH, manager, random_state=0, classifier=GaussianNB())
    assert_array_equal(g.tree.children, tree.children)
    assert g.real_edges() == edges == [tuple(pair) for pair in epochs[0].merges.tolist()]
    assert data.merges.max() > g.names[48 + g.n_merges - 1]
    g.agglomerate(np.inf)
    straight = Rag(BLOCKS, IMAGE)
    straight.agglomerate(np.inf)
    assert_array_equal(g.tree.children, straight.tree.children)


def test_progress_bar__changes_nothing(capsys):
    g = Rag(BLOCKS, IMAGE, feature_manager=manager, show_progress=True)
    data, _ = g.learn_agglomerate(TRUTH, manager, random_state=0, classifier=GaussianNB())
    assert_same_data(data, learn()[0])
    assert "learning" in capsys.readouterr().err


# --------------------------------------------------------------------------------------- same seed, same bytes

DIGEST = """
import hashlib
import numpy as np
from gala import agglo, classify
from gala.features.default import basic
rng = np.random.default_rng(0)
labels = np.kron(np.arange(60).reshape(3, 4, 5), np.ones((3, 4, 3), int))
truth = labels // 7 + 1
image = (0.3 * (labels % 7 == 0) + rng.random(labels.shape)).astype(np.float32) / 1.3
g = agglo.Rag(labels, image, feature_manager=basic())
data, epochs = g.learn_agglomerate(truth, basic(), random_state=7, min_num_epochs=3, priority_mode="mixed")
forest = classify.DefaultRandomForest(random_state=7).fit(data.X, data.y[:, 0])
g.merge_priority_function = agglo.classifier_probability(basic(), forest)
g.agglomerate(0.5)
digest = hashlib.sha256()
for array in [*data, *epochs[-1], g.tree.children, g.tree.priority, g.get_segmentation()]:
    digest.update(np.ascontiguousarray(array).tobytes())
print(digest.hexdigest(), len(data.X), g.n_merges)
"""


def test_random_state__gives_the_same_bytes_whatever_the_threads_and_hash_seeds():
    digests = []
    for n_threads, hash_seed in [("1", "0"), ("2", "12345")]:
        environment = os.environ | {"GALA_NUM_THREADS": n_threads, "PYTHONHASHSEED": hash_seed}
        run = subprocess.run(
            [sys.executable, "-c", DIGEST], env=environment, capture_output=True, text=True, check=True
        )
        digest, n_examples, n_merges = run.stdout.split()
        assert len(digest) == len(hashlib.sha256().hexdigest())
        assert int(n_examples) > 60
        assert int(n_merges) > 0
        digests.append(digest)
    assert digests[0] == digests[1]


# --------------------------------------------------------------------------------------- what goes wrong


@pytest.mark.parametrize(
    ("gts", "error", "message"),
    [
        (TRUTH[1:], ShapeError, r"truth must have the shape of the labels, \(18, 24\); got \(17, 24\)"),
        ([TRUTH, TRUTH[:, 1:]], ShapeError, "truth must have the shape"),
        ([TRUTH[0]], ShapeError, "truth must have the shape"),
        (TRUTH * 0, LabelError, "truth must label some voxels"),
        ([TRUTH, TRUTH * 0], LabelError, "truth must label some voxels"),
        ([], ShapeError, "got an empty list"),
        (TRUTH - 1, LabelError, "-1"),
        (TRUTH / 2, LabelError, "0.5"),
        (TRUTH * 0 + 1, LabelError, "all 82 examples say .* nothing to learn"),
        (BLOCKS, LabelError, "all 82 examples say .* nothing to learn"),
    ],
)
def test_truth__that_cannot_be_learned_from(gts, error, message):
    with pytest.raises(error, match=message):
        learn(gts=gts)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"learning_mode": "lax"}, "learning_mode must be one of strict, loose, permissive; got 'lax'"),
        ({"labeling_mode": "rand"}, "labeling_mode must be one of assignment, vi-sign, rand-sign; got 'rand'"),
        ({"priority_mode": None}, "priority_mode must be one of active, random, mixed, mean, custom; got None"),
        ({"min_num_epochs": 0}, "1 <= min_num_epochs <= max_num_epochs; got 0 and 10"),
        ({"min_num_epochs": 3, "max_num_epochs": 2}, "got 3 and 2"),
        ({"max_num_samples": 1}, "max_num_samples must be 2 or more; got 1"),
        ({"classifier": "svm"}, "there is no classifier named 'svm'"),
        ({"classifier": object()}, "classifier must be a name or an estimator"),
    ],
)
def test_settings__out_of_range(settings, message):
    with pytest.raises(SettingError, match=message):
        learn(**settings)


def test_policy__for_custom_epochs_must_be_one():
    with pytest.raises(PolicyError, match="must be callable"):
        learn(priority_mode="custom", mpf="mean")


def test_policy__that_gives_nan_is_named():
    def not_a_number(feature_map, classifier):
        return lambda g, edges: np.full(len(edges), np.nan)

    with pytest.raises(PolicyError, match="gave NaN for regions 1 and 2"):
        learn(active_function=not_a_number)


def test_feature_map__that_the_graph_does_not_keep():
    g = Rag(BLOCKS, IMAGE, feature_manager=manager)
    with pytest.raises(FeatureError, match="does not keep what histogram needs"):
        g.learn_agglomerate(TRUTH, histogram.Manager())


def test_graph__of_one_region_gives_no_examples():
    g = Rag(np.ones((2, 2), int), np.zeros((2, 2)), feature_manager=manager)
    assert g.learn_flat(np.ones((2, 2), int), manager).X.shape == (0, 12)
    with pytest.raises(LabelError, match="there are no examples"):
        g.learn_agglomerate(np.ones((2, 2), int), manager)


def test_graph__without_voxels_cannot_learn():
    graph = build_graph(BLOCKS, IMAGE, agglo.boundary_mean.needs)
    assert agglomerate(graph, agglo.boundary_mean).n_merges == 47
    with pytest.raises(SettingError, match="the graph must have its volume"):
        truths_of(RunningGraph(graph, agglo.boundary_mean), [TRUTH])
