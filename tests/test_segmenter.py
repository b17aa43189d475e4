"""Segmenter: better than its superpixels, the same for any order, thread and file, an estimator like others."""

from __future__ import annotations

import json
import pickle
import zipfile

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV
from sklearn.neighbors import KNeighborsClassifier
from sklearn.utils.estimator_checks import check_estimator

import gala
from gala import Segmenter, classify, cut_labels, datasets, evaluate, morpho
from gala.errors import (
    ClassifierError,
    FeatureError,
    FileError,
    GalaWarning,
    ImageError,
    LabelError,
    PolarityWarning,
    SettingError,
    ShapeError,
)
from gala.features import moments
from gala.graph.tree import MergeTree
from gala.pipeline import Recipe
from gala.pipeline.files import FORMAT
from real import read

pytestmark = pytest.mark.compiled  # volumes are too large for plain Python
SHAPE = (10, 40, 40)


@pytest.fixture(scope="module")
def pair():
    return datasets.synthetic_pair(SHAPE, seed=1)


@pytest.fixture(scope="module")
def train(pair):
    return pair["train"]


@pytest.fixture(scope="module")
def test(pair):
    return pair["test"]


def quick(**options):
    return Segmenter(**{"features": "basic", "classifier": "naive bayes", **options})


@pytest.fixture(scope="module")
def fitted(train):
    return quick().fit(train.p1, train.truth, train.superpixels)


# -------------------------------------------------------------------------------------------- laws


@pytest.mark.parametrize("image", ["p1", "p4"])
@pytest.mark.parametrize("threshold", ["auto", "held-out"])
def test_fit__segments_another_volume_better_than_its_superpixels_do(pair, image, threshold):
    train, test = pair.values()
    segmenter = Segmenter(classifier="logistic regression", threshold=threshold)
    segmenter.fit(getattr(train, image), train.truth, train.superpixels)
    found = segmenter.predict(getattr(test, image), test.superpixels)
    assert evaluate.vi(found, test.truth) < evaluate.vi(test.superpixels, test.truth)


def test_predict__is_a_cut_of_the_merge_tree(fitted, test):
    tree = fitted.merge_tree(test.p1, test.superpixels)
    for threshold in (0.1, fitted.threshold_, 0.9, np.inf):
        found = fitted.predict(test.p1, test.superpixels, threshold)
        assert_array_equal(found, cut_labels(test.superpixels, tree, threshold))
        assert len(np.unique(found)) == tree.n_segments(threshold)
    assert_array_equal(fitted.predict(test.p1, test.superpixels), cut_labels(test.superpixels, tree, fitted.threshold_))


def test_predict__merges_superpixels_whole(fitted, test):
    found = fitted.predict(test.p1, test.superpixels)
    table = evaluate.contingency_table(test.superpixels, found)
    assert np.all(np.diff(table.tocsr().indptr)[np.unique(test.superpixels)] == 1)


@pytest.mark.parametrize("threshold", ["auto", "held-out"])
def test_fit__does_not_depend_on_the_order_of_volumes(test, threshold):
    volumes = [datasets.synthetic((6, 24, 24), seed=seed) for seed in (3, 4, 5)]

    def fit(order):
        chosen = [volumes[i] for i in order]
        segmenter = Segmenter(classifier=Recipe().classifier, features="basic", threshold=threshold)
        return segmenter.fit(*([getattr(v, name) for v in chosen] for name in ("p1", "truth", "superpixels")))

    first, second = fit([0, 1, 2]), fit([2, 0, 1])
    assert first.threshold_ == second.threshold_
    assert first.provenance_ == second.provenance_
    for threshold_ in (0.2, 0.5, 0.8):
        assert_array_equal(*(each.predict(test.p1, test.superpixels, threshold_) for each in (first, second)))


def test_results__do_not_depend_on_threads(train, test):
    trees = []
    for n_threads in (1, 3):
        segmenter = Segmenter(threshold="held-out", features="basic", n_threads=n_threads)
        segmenter.fit(train.p1, train.truth, train.superpixels)
        tree = segmenter.merge_tree(test.p1, test.superpixels)
        trees.append((segmenter.threshold_, tree.children.tobytes(), tree.priority.tobytes(), segmenter.provenance_))
    assert trees[0] == trees[1]


def test_fit__again_gives_the_same(train, test):
    segmenter = quick(classifier="random forest", random_state=7)
    first = segmenter.fit(train.p1, train.truth, train.superpixels).merge_tree(test.p1, test.superpixels)
    second = clone(segmenter).fit(train.p1, train.truth, train.superpixels).merge_tree(test.p1, test.superpixels)
    assert_array_equal(first.priority, second.priority)


def test_fit__does_not_depend_on_how_arrays_lie_in_memory(train, test, fitted):
    p1, truth, superpixels = (np.asfortranarray(a) for a in (train.p1, train.truth, train.superpixels))
    for array in (p1, truth, superpixels):
        array.flags.writeable = False
    other = quick().fit(p1, truth.astype(np.uint64), superpixels.astype(np.int64))
    assert_array_equal(*(each.predict(test.p1, test.superpixels) for each in (fitted, other)))


def test_fit__takes_integers_for_what_they_say_of_their_largest_value(train):
    grey = np.round(train.p1 * 255).astype(np.uint8)
    scaled = grey / np.float32(255)
    one = quick().fit(grey, train.truth, train.superpixels)
    two = quick().fit(scaled, train.truth, train.superpixels)
    assert_array_equal(one.predict(grey, train.superpixels), two.predict(scaled.astype(np.float32), train.superpixels))


def test_fit__takes_several_truths_of_a_volume(train, test):
    once = quick().fit(train.p1, train.truth, train.superpixels)
    twice = quick().fit(train.p1, [train.truth, train.truth], train.superpixels)
    assert_array_equal(*(each.predict(test.p1, test.superpixels) for each in (once, twice)))
    other = np.where(train.truth > 3, train.truth, 0)
    assert np.isclose(
        twice.score(train.p1, [train.truth, other], train.superpixels),
        np.mean([once.score(train.p1, truth, train.superpixels) for truth in (train.truth, other)]),
    )


def test_fit__ignores_what_lies_where_truth_is_unknown(train, test):
    truth = train.truth.copy()
    truth[:, :, 20:] = 0
    unseen = ~np.isin(train.superpixels, np.unique(train.superpixels[truth != 0]))
    assert unseen.any()
    changed = np.where(unseen, 1 - train.p1, train.p1)
    one, two = (quick().fit(image, truth, train.superpixels) for image in (train.p1, changed))
    assert_array_equal(*(each.predict(test.p1, test.superpixels) for each in (one, two)))


def test_mask__is_left_out(fitted, train, test):
    mask = np.zeros(SHAPE, dtype=bool)
    mask[:, 5:30] = True
    image = np.where(mask, test.p1, np.nan)
    found = fitted.predict(image, test.superpixels, mask=mask)
    assert_array_equal(found != 0, mask)
    inside = fitted.predict(test.p1[:, 5:30], test.superpixels[:, 5:30])
    assert_array_equal(found[:, 5:30], inside)
    masked = quick().fit(np.where(mask, train.p1, np.nan), train.truth, train.superpixels, mask=mask)
    cropped = quick().fit(train.p1[:, 5:30], train.truth[:, 5:30], train.superpixels[:, 5:30])
    assert_array_equal(*(each.predict(test.p1, test.superpixels) for each in (masked, cropped)))


def test_spacing__reaches_the_features(train):
    plain, coarse = (
        Segmenter(features={"feature_list": ["shape"], "shape": {}}, classifier="naive bayes", spacing=spacing)
        for spacing in (None, (10, 1, 1))
    )
    for segmenter in (plain, coarse):
        segmenter.fit(train.p1, train.truth, train.superpixels)
    found = [each.merge_tree(train.p1, train.superpixels).priority for each in (plain, coarse)]
    assert not np.array_equal(*found)


def test_extra_images__are_read(train, test):
    raw = {"raw": train.image}
    with_raw = Segmenter(classifier="naive bayes").fit(train.p1, train.truth, train.superpixels, extra=raw)
    without = Segmenter(classifier="naive bayes").fit(train.p1, train.truth, train.superpixels)
    assert with_raw.kind_.n_channels_of == {"": 1, "raw": 1}
    trees = (
        with_raw.merge_tree(test.p1, test.superpixels, extra={"raw": test.image}),
        without.merge_tree(test.p1, test.superpixels),
    )
    assert not np.array_equal(*(tree.priority for tree in trees))


def test_score__is_the_negative_vi_and_the_mean_over_volumes(fitted, train, test):
    scores = []
    for v in (train, test):
        scores.append(-evaluate.vi(fitted.predict(v.p1, v.superpixels), v.truth))
        assert np.isclose(fitted.score(v.p1, v.truth, v.superpixels), scores[-1])
    both = fitted.score(*([getattr(v, name) for v in (train, test)] for name in ("p1", "truth", "superpixels")))
    assert np.isclose(both, np.mean(scores))


def test_threshold__as_a_number_is_where_predict_stops(train, test):
    segmenter = quick(threshold=0.25).fit(train.p1, train.truth, train.superpixels)
    assert segmenter.threshold_ == 0.25
    assert segmenter.held_out_vi_ is None
    assert_array_equal(segmenter.predict(test.p1, test.superpixels), segmenter.predict(test.p1, test.superpixels, 0.25))


@pytest.mark.parametrize("ndim", [1, 2, 4])
def test_fit__works_in_any_dimension(ndim):
    rng = np.random.default_rng(ndim)
    labels = np.arange(24**2).reshape(24, 24) // 4
    truth = labels // 18 + 1
    image = np.clip(rng.normal(0.2, 0.05, labels.shape) + 0.6 * (labels % 18 == 0), 0, 1)
    shape = {1: (24**2,), 2: (24, 24), 4: (4, 6, 4, 6)}[ndim]
    labels, truth, image = (array.reshape(shape) for array in (labels, truth, image))
    segmenter = quick().fit(image, truth, labels)
    assert segmenter.predict(image, labels).shape == shape


def test_progress__tells_how_many_steps_are_done(train):
    told = []
    quick(progress=lambda *step: told.append(step), threshold="held-out").fit(train.p1, train.truth, train.superpixels)
    assert told == [(i, 3) for i in range(1, 4)]


def test_progress__bar_is_on_stderr_only(train, capsys):
    quick(progress="bar").fit(train.p1, train.truth, train.superpixels)
    out, err = capsys.readouterr()
    assert out == ""
    assert "1/1" in err


# -------------------------------------------------------------------------------------------- superpixels


def test_superpixels__are_made_of_the_first_channel_if_none_are_given(train, test):
    options = {"method": "compact", "grid": 6}
    alone = quick(superpixel_options=options).fit(train.p4, train.truth)
    train_labels, test_labels = (morpho.superpixels(v.p4[..., 0], **options) for v in (train, test))
    given = quick().fit(train.p4, train.truth, train_labels)
    assert_array_equal(alone.make_superpixels(test.p4), test_labels)
    assert_array_equal(alone.predict(test.p4), given.predict(test.p4, test_labels))
    tree = alone.merge_tree(test.p4)
    assert_array_equal(alone.predict(test.p4, threshold=0.7), cut_labels(test_labels, tree, 0.7))
    assert alone.score(test.p4, test.truth) == given.score(test.p4, test.truth, test_labels)


def test_superpixels__lie_in_the_mask_alone(train):
    mask = np.zeros(SHAPE, dtype=bool)
    mask[:, 5:30] = True
    image = np.where(mask, train.p1, np.nan)
    segmenter = quick().fit(image, train.truth, mask=mask)
    assert_array_equal(segmenter.predict(image, mask=mask) != 0, mask)
    assert_array_equal(segmenter.make_superpixels(image, mask=mask) != 0, mask)


def test_images__may_leave_0_to_1_by_rounding(train):
    image = train.p1 * 1.0002
    image[0, 0, 0], image[0, 0, 1] = -1e-5, 1 + 1e-4
    assert quick().fit(image, train.truth).predict(image).shape == SHAPE


# -------------------------------------------------------------------------------------------- files


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"classifier": "random forest", "threshold": "held-out"},
        {"classifier": "logistic regression", "features": "modern", "sample_weight": "vi", "spacing": (3, 1, 1)},
        {"features": moments.Manager(2), "recipe": Recipe(decision="expected-vi", rescore="all", threshold=0.0)},
    ],
    ids=["defaults", "held out", "other words", "a manager and a recipe"],
)
def test_load__segments_as_what_was_saved(train, test, tmp_path, options):
    saved = quick(**options).fit(train.p4, train.truth, train.superpixels, extra={"raw": train.image})
    saved.save(tmp_path / "a.npz")
    loaded = Segmenter.load(tmp_path / "a.npz")
    given = {"image": test.p4, "superpixels": test.superpixels, "extra": {"raw": test.image}}
    trees = [each.merge_tree(**given) for each in (saved, loaded)]
    assert trees[0].priority.tobytes() == trees[1].priority.tobytes()
    assert saved.predict(**given).tobytes() == loaded.predict(**given).tobytes()
    assert loaded.threshold_ == saved.threshold_
    assert loaded.held_out_vi_ == saved.held_out_vi_
    assert loaded.provenance_ == saved.provenance_
    loaded.save(tmp_path / "b.npz")
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()
    assert [path.name for path in sorted(tmp_path.iterdir())] == ["a.npz", "b.npz"]


def test_load__can_learn_again_by_the_same_parameters(train, test, fitted, tmp_path):
    fitted.save(tmp_path / "a.npz")
    loaded = Segmenter.load(tmp_path / "a.npz")
    assert {k: v for k, v in loaded.get_params().items() if v is not None} == {
        k: v for k, v in fitted.get_params().items() if v is not None
    }
    again = loaded.fit(train.p1, train.truth, train.superpixels)
    assert_array_equal(*(each.predict(test.p1, test.superpixels) for each in (fitted, again)))


def test_save__holds_no_pickle_and_says_where_it_comes_from(fitted, tmp_path):
    fitted.save(tmp_path / "a.npz")
    with np.load(tmp_path / "a.npz", allow_pickle=False) as archive:
        assert all(archive[name].dtype != object for name in archive)
    assert fitted.provenance_["gala"] == gala.__version__
    (volume,) = fitted.provenance_["volumes"]
    assert volume["shape"] == list(SHAPE)
    assert all(len(volume[name]) == 64 for name in ("image", "superpixels", "truth 0"))


def test_save__refuses_a_classifier_that_cannot_be_laid_flat(train, tmp_path):
    segmenter = quick(classifier=KNeighborsClassifier()).fit(train.p1, train.truth, train.superpixels)
    with pytest.raises(ClassifierError, match="laid flat, which KNeighborsClassifier cannot be"):
        segmenter.save(tmp_path / "a.npz")
    assert list(tmp_path.iterdir()) == []


def test_save__that_fails_leaves_the_old_file(fitted, tmp_path, monkeypatch):
    fitted.save(tmp_path / "a.npz")
    before = (tmp_path / "a.npz").read_bytes()

    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "savez_compressed", full)
    with pytest.raises(FileError, match="was not written, and is as it was before"):
        fitted.save(tmp_path / "a.npz")
    assert (tmp_path / "a.npz").read_bytes() == before
    assert len(list(tmp_path.iterdir())) == 1


def rewritten(path, **changes):
    with np.load(path) as archive:
        arrays = {name: archive[name] for name in archive} | changes
    np.savez(path, **arrays)


def test_load__refuses_a_newer_format(fitted, tmp_path):
    fitted.save(tmp_path / "a.npz")
    rewritten(tmp_path / "a.npz", format=FORMAT + 1)
    with pytest.raises(FileError, match=f"format {FORMAT + 1}; this version reads up to {FORMAT}"):
        Segmenter.load(tmp_path / "a.npz")


def test_load__refuses_what_is_damaged(fitted, tmp_path):
    fitted.save(tmp_path / "a.npz")
    stored = (tmp_path / "a.npz").read_bytes()
    for broken in (b"", stored[: len(stored) // 2], b"not an archive", pickle.dumps(fitted.get_params())):
        (tmp_path / "b.npz").write_bytes(broken)
        with pytest.raises(FileError, match="does not hold a segmenter that can be read"):
            Segmenter.load(tmp_path / "b.npz")
    with pytest.raises(FileError, match="there is no file"):
        Segmenter.load(tmp_path / "c.npz")


@pytest.mark.parametrize(
    "changes",
    [
        {"settings": np.array("{")},
        {"settings": np.array("{}")},
        {"model_scale": np.ones(2)},
        {name: np.ones(shape) for name, shape in (("model_shift", 2), ("model_scale", 2), ("model_weights", (4, 2)))},
    ],
    ids=["no JSON", "no settings", "a model that does not fit together", "a model of other features"],
)
def test_load__refuses_what_does_not_fit_together(fitted, tmp_path, changes):
    fitted.save(tmp_path / "a.npz")
    rewritten(tmp_path / "a.npz", **changes)
    with pytest.raises(FileError, match="does not hold a segmenter that can be read"):
        Segmenter.load(tmp_path / "a.npz")


def test_load__refuses_an_archive_of_something_else(tmp_path):
    MergeTree.empty(3).save(tmp_path / "tree.npz")
    with pytest.raises(FileError, match="does not hold a segmenter"):
        Segmenter.load(tmp_path / "tree.npz")
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("a.txt", "a")
    with pytest.raises(FileError, match="does not hold a segmenter"):
        Segmenter.load(tmp_path / "a.zip")


# -------------------------------------------------------------------------------------------- bad input


def test_predict__names_the_channels_that_came_and_those_that_were_learned(train, test):
    segmenter = quick().fit(train.p4, train.truth, train.superpixels, extra={"raw": train.image})
    message = (
        r"3 dimensions, 4 channels and the extra image raw \(1 channel\); "
        "got 3 dimensions, 1 channel and no extra image"
    )
    with pytest.raises(ShapeError, match=message):
        segmenter.predict(test.p1, test.superpixels)
    with pytest.raises(ShapeError, match="4 channels and no extra image"):
        segmenter.merge_tree(test.p4, test.superpixels)


def test_predict__names_the_dimensions(fitted, test):
    with pytest.raises(ShapeError, match="3 dimensions, 1 channel and no extra image; got 2 dimensions"):
        fitted.predict(test.p1[0], test.superpixels[0])


@pytest.mark.parametrize("call", ["predict", "merge_tree", "score", "save"])
def test_segmenter__that_has_learned_nothing_says_so(test, call, tmp_path):
    arguments = {"score": (test.p1, test.truth, test.superpixels), "save": (tmp_path / "a.npz",)}
    with pytest.raises(NotFittedError, match=r"has learned nothing yet; call its fit\(images, truths\)"):
        getattr(Segmenter(), call)(*arguments.get(call, (test.p1, test.superpixels)))


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"threshold": "best"}, SettingError, "threshold must be a number"),
        ({"threshold": np.nan}, SettingError, "threshold must be a number"),
        ({"features": "fancy"}, FeatureError, "features must be one of basic"),
        ({"classifier": "oracle"}, SettingError, "there is no classifier named 'oracle'"),
        ({"sample_weight": "size"}, SettingError, "sample_weight must be one of none, vi"),
        ({"recipe": "best"}, SettingError, "recipe must be a gala.pipeline.Recipe; got 'best'"),
        ({"progress": "circle"}, SettingError, 'progress must be "bar", a function or None'),
        ({"spacing": (1, 1)}, SettingError, "spacing must be the size of a voxel along each of 3 axes"),
    ],
)
def test_fit__says_which_parameter_is_wrong(train, options, error, message):
    segmenter = quick(**options)
    with pytest.raises(error, match=message):
        segmenter.fit(train.p1, train.truth, train.superpixels)
    assert not [name for name in vars(segmenter) if name.endswith("_")]


def bad_volumes(train):
    image, truth, labels = train.p1, train.truth, train.superpixels
    holes = image.copy()
    holes[3, 4, 5] = np.nan
    return {
        "an image above 1": ((image * 255, truth, labels), ImageError, "image must hold values from 0 to 1"),
        "NaN": ((holes, truth, labels), ImageError, "image must be finite"),
        "complex numbers": ((image + 0j, truth, labels), ImageError, "image must hold real numbers"),
        "channels first": ((np.moveaxis(train.p4, -1, 0), truth, labels), ShapeError, "shape"),
        "truth of another shape": ((image, truth[1:], labels), ShapeError, "truth must have the shape of the image"),
        "superpixels of another shape": ((image[1:], truth[1:], labels), ShapeError, "must have the shape"),
        "negative labels": ((image, -truth, labels), LabelError, "truth must hold labels"),
        "no truth": ((image, 0 * truth, labels), LabelError, "it is 0, which means unknown, everywhere"),
        "one object": ((image, 0 * truth + 1, labels), LabelError, "nothing to learn"),
        "no volumes": (([], [], []), ShapeError, "got an empty list"),
        "fewer truths": (([image, image], [truth], [labels, labels]), ShapeError, "truths must be a list of 2"),
        "one truth": (([image], truth, [labels]), ShapeError, "truths must be a list of 1, .* got a ndarray"),
        "other channels": (
            ([image, train.p4], [truth, truth], [labels, labels]),
            ShapeError,
            "all volumes must be alike",
        ),
    }


@pytest.mark.parametrize("kind", list(bad_volumes(datasets.synthetic((4, 16, 16)))))
def test_fit__says_what_is_wrong_with_a_volume(train, kind):
    volumes, error, message = bad_volumes(train)[kind]
    segmenter = quick()
    with pytest.raises(error, match=message):
        segmenter.fit(*volumes)
    assert not [name for name in vars(segmenter) if name.endswith("_")]


def test_held_out__says_when_there_is_too_little_truth(train):
    truth = np.where(np.arange(SHAPE[1])[:, np.newaxis] < 20, train.truth, 0)
    with pytest.raises(SettingError, match='threshold="held-out" learns from half'):
        quick(threshold="held-out").fit(train.p1, truth, train.superpixels)


def test_cut_labels__refuses_other_superpixels(fitted, test):
    tree = fitted.merge_tree(test.p1, test.superpixels)
    with pytest.raises(SettingError, match=f"the superpixels that the tree merges, {tree.n_leaves} of them"):
        cut_labels(test.superpixels[:2], tree)


def test_predict__takes_one_image_at_a_time(fitted, test):
    with pytest.raises(ShapeError, match="one image at a time"):
        fitted.predict([test.p1, test.p1])


# ---------------------------------------------------------------------------------------- scikit-learn

TABLE = "fits on a table of random numbers, one row for each object; an image has values from 0 to 1"
WORDS = "asks for words about samples and features, of which an image has none"
SPARSE = "asks for words about sparse matrices, which no image is"
NOT_FOR_IMAGES = {
    "check_fit_score_takes_y": TABLE,
    "check_estimators_overwrite_params": TABLE,
    "check_dont_overwrite_parameters": TABLE,
    "check_estimators_fit_returns_self": TABLE,
    "check_readonly_memmap_input": TABLE,
    "check_n_features_in_after_fitting": TABLE,
    "check_positive_only_tag_during_fit": TABLE,
    "check_estimators_dtypes": TABLE,
    "check_complex_data": WORDS,
    "check_dtype_object": TABLE,
    "check_estimators_empty_data_messages": WORDS,
    "check_pipeline_consistency": TABLE,
    "check_estimators_nan_inf": TABLE,
    "check_estimator_sparse_tag": SPARSE,
    "check_estimator_sparse_array": SPARSE,
    "check_estimator_sparse_matrix": SPARSE,
    "check_estimators_pickle": TABLE,
    "check_f_contiguous_array_estimator": TABLE,
    "check_methods_sample_order_invariance": "takes an image for rows that may be shuffled",
    "check_methods_subset_invariance": "takes an image for rows that may be left out",
    "check_fit2d_1sample": WORDS,
    "check_fit2d_1feature": WORDS,
    "check_dict_unchanged": TABLE,
    "check_fit_idempotent": TABLE,
    "check_fit_check_is_fitted": TABLE,
    "check_n_features_in": TABLE,
    "check_fit2d_predict1d": TABLE,
}


def test_segmenter__passes_the_checks_of_estimators_that_apply_to_images():
    results = check_estimator(Segmenter(), on_skip=None, on_fail=None)
    status = {result["check_name"]: result["status"] for result in results if result["status"] != "skipped"}
    assert {name for name, value in status.items() if value != "passed"} <= set(NOT_FOR_IMAGES)
    assert {
        "check_estimator_cloneable",
        "check_get_params_invariance",
        "check_set_params",
        "check_no_attributes_set_in_init",
        "check_parameters_default_constructible",
        "check_estimators_unfitted",
        "check_estimator_repr",
        "check_do_not_raise_errors_in_init_or_set_params",
    } <= {name for name, value in status.items() if value == "passed"}


def test_fit__leaves_parameters_and_images_as_they_are(train):
    segmenter = quick(superpixel_options={"method": "watershed"}, spacing=(1, 1, 1))
    before, image = segmenter.get_params(), train.p1.copy()
    assert segmenter.fit(train.p1, train.truth, train.superpixels) is segmenter
    assert segmenter.get_params() == before
    assert_array_equal(train.p1, image)


def test_predict__leaves_the_segmenter_as_it_is(fitted, test):
    before = dict(vars(fitted))
    fitted.predict(test.p1, test.superpixels)
    assert vars(fitted) == before


def test_clone__keeps_what_makes_maps_and_has_learned_nothing(fitted):
    pixels = KNeighborsClassifier(1).fit([[0.0], [1.0]], [0, 1])
    copied = clone(fitted.set_params(pixels=None).__sklearn_clone__().set_params(pixels=pixels))
    assert copied.pixels is pixels
    with pytest.raises(NotFittedError):
        copied.predict(np.zeros(SHAPE))


def test_pickle__of_a_fitted_segmenter_segments_alike(fitted, test):
    again = pickle.loads(pickle.dumps(fitted))
    assert_array_equal(*(each.predict(test.p1, test.superpixels) for each in (fitted, again)))


class OneMap:
    """A stand-in for what makes boundary maps."""

    def predict(self, image):
        return image.astype(np.float32) / 200


def test_pixels__make_the_map(train, test, tmp_path):
    raw_train, raw_test = (np.round(v.p1 * 200).astype(np.uint8) for v in (train, test))
    pixels = OneMap()
    through = quick(pixels=pixels).fit(raw_train, train.truth, train.superpixels)
    straight = quick().fit(pixels.predict(raw_train), train.truth, train.superpixels)
    expected = straight.predict(pixels.predict(raw_test), test.superpixels)
    assert_array_equal(through.predict(raw_test, test.superpixels), expected)
    assert through.score(raw_test, test.truth, test.superpixels) == -evaluate.vi(expected, test.truth)
    through.save(tmp_path / "a.npz")
    with pytest.raises(
        SettingError, match=r"learned from maps that pixels made; load it with pixels=\.\.\., once .*OneMap"
    ):
        Segmenter.load(tmp_path / "a.npz")
    loaded = Segmenter.load(tmp_path / "a.npz", pixels=pixels)
    assert_array_equal(loaded.predict(raw_test, test.superpixels), expected)


@pytest.fixture(scope="module")
def pixels(train):
    return classify.PixelClassifier(random_state=0).fit(train.image, morpho.boundary_labels(train.truth))


def test_pixels__that_were_learned_are_in_the_file(train, test, pixels, tmp_path):
    options = {"superpixel_options": {"method": "compact", "grid": 6}}
    segmenter = quick(pixels=pixels, **options).fit(train.image, train.truth)
    segmenter.save(tmp_path / "a.npz")
    loaded = Segmenter.load(tmp_path / "a.npz")
    assert_array_equal(loaded.predict(test.image), segmenter.predict(test.image))
    maps = quick(**options).fit(pixels.predict(train.image), train.truth)
    assert_array_equal(segmenter.predict(test.image), maps.predict(pixels.predict(test.image)))
    assert [path.name for path in tmp_path.iterdir()] == ["a.npz"]


def test_load__refuses_damaged_pixels(train, pixels, tmp_path):
    quick(pixels=pixels).fit(train.image, train.truth, train.superpixels).save(tmp_path / "a.npz")
    rewritten(tmp_path / "a.npz", pixels=np.zeros(9, dtype=np.uint8))
    with pytest.raises(FileError, match=r"a\.npz does not hold a segmenter that can be read"):
        Segmenter.load(tmp_path / "a.npz")


def test_inverted_map__is_told(train, fitted):
    with pytest.warns(PolarityWarning, match=r"the boundary map seems inverted: .* pass 1 - boundary"):
        quick().fit(1 - train.p1, train.truth, train.superpixels)
    weaker = pytest.warns(GalaWarning, match="clearly weaker in contacts")  # inside of cells, where boundaries now are
    with weaker, pytest.warns(PolarityWarning, match="the boundary map seems inverted"):
        fitted.predict(1 - train.p1, train.superpixels)


@pytest.mark.parametrize("maps", ["p1", "p4"])
def test_weak_map__is_raised_to_what_was_learned_and_told(train, maps):
    image, superpixels = getattr(train, maps), train.superpixels
    segmenter = quick(features="thorough").fit(image, train.truth, superpixels)
    with pytest.warns(GalaWarning, match="clearly weaker .* every map that was learned from; it is multiplied by 4 "):
        found = segmenter.merge_tree(image / 4, superpixels)
    assert_array_equal(found.priority, segmenter.merge_tree(image, superpixels).priority)


def test_weak_map__is_raised_inside_of_its_mask_whatever_lies_outside(train, fitted):
    mask = np.ones(SHAPE, dtype=bool)
    mask[:, :5] = False
    quiet = fitted.predict(train.p1, train.superpixels, mask=mask)
    with pytest.warns(GalaWarning, match="clearly weaker"):
        found = fitted.predict(np.where(mask, train.p1 / 4, np.nan), train.superpixels, mask=mask)
    assert_array_equal(found, quiet)


def test_load__knows_what_files_tell_of_maps_and_objects_and_older_ones_do_not(train, fitted, tmp_path):
    fitted.save(tmp_path / "a.npz")
    loaded = Segmenter.load(tmp_path / "a.npz")
    assert loaded.learned_.strengths == fitted.learned_.strengths
    assert loaded.learned_.enclosed == fitted.learned_.enclosed
    with np.load(tmp_path / "a.npz") as archive:
        settings = json.loads(str(archive["settings"]))
    del settings["learned"]["strengths"], settings["learned"]["enclosed"]
    rewritten(tmp_path / "a.npz", settings=np.array(json.dumps(settings)))
    older = Segmenter.load(tmp_path / "a.npz")
    assert older.learned_.strengths is None
    assert older.learned_.enclosed == 1
    assert older.predict(train.p1 / 4, train.superpixels).shape == SHAPE


@pytest.mark.parametrize("kind", ["good", "noisy", "gaps", "thin"])
def test_weak_map__is_none_of_those_made_as_the_ones_learned_from(kind):
    train, test = (datasets.synthetic((24, 48, 48), kind=kind, seed=seed) for seed in (0, 100))
    segmenter = quick().fit(train.p1, train.truth, train.superpixels)
    assert segmenter.predict(test.p1, test.superpixels).shape == test.truth.shape  # warnings are errors
    with pytest.warns(GalaWarning, match="clearly weaker"):
        segmenter.predict(np.float32(0.3) * test.p1, test.superpixels)


def test_grid_search__chooses_among_parameters():
    volumes = [datasets.synthetic((6, 24, 24), seed=seed) for seed in (3, 4, 5)]
    search = GridSearchCV(quick(), {"threshold": [0.0, 0.5, 1.0]}, cv=3)
    search.fit([v.p1 for v in volumes], [v.truth for v in volumes])
    means = search.cv_results_["mean_test_score"]
    assert search.best_params_["threshold"] == [0.0, 0.5, 1.0][int(means.argmax())]
    assert len(set(means.tolist())) > 1


# -------------------------------------------------------------------------------------------- real volumes


@pytest.mark.slow
@pytest.mark.compiled
@pytest.mark.parametrize(("image", "bound"), [("p1", 0.75), ("p4", 0.75)])
def test_example__is_segmented_as_well_as_the_historic_recipe_does(image, bound):
    train, test = ([read(f"{part}-{name}") for name in (image, "gt", "ws")] for part in ("train", "test"))
    segmenter = Segmenter().fit(*train)
    before = evaluate.vi(test[2], test[1])
    assert -segmenter.score(*test) < bound < before
    assert -Segmenter().fit(*train[:2]).score(*test[:2]) < before
