"""Pixel classifiers: the same bytes in any blocks and on any threads, kept without pickle, strict about images."""

import json
import pickle
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from scipy import ndimage
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score

import real
from gala import morpho
from gala._kernels.eigenvalues import write_eigenvalues
from gala.classify import PixelClassifier
from gala.classify.pixels_features import Filters
from gala.classify.tiles import tiles
from gala.errors import ClassifierError, FileError, ImageError, LabelError, SettingError, ShapeError

few = settings(max_examples=15, deadline=None)


def scene(shape, seed=0):
    """Return an image with bright boundaries between random cells, and its dense labels."""
    rng = np.random.default_rng(seed)
    seeds = np.zeros(shape, int)
    chosen = rng.choice(seeds.size, 5, replace=False)
    seeds.ravel()[chosen] = np.arange(1, 6)
    truth = morpho.undam(seeds)
    labels = morpho.boundary_labels(truth)
    image = np.where(labels == 2, 0.8, 0.3) + rng.normal(0, 0.1, shape)
    return image.astype(np.float32), labels


def small(**options):
    options = {"classifier": "gradient boosting", "scales": (0.7, 1.2), **options}
    return PixelClassifier(**options)


@pytest.fixture(scope="module")
def learned():
    image, labels = scene((6, 9, 10))
    return small().fit(image, labels)


# ------------------------------------------------------------------------------------------- features


@few
@given(seed=st.integers(0, 10**6), ndim=st.sampled_from([2, 3]), scale=st.sampled_from([0.0, 1e-12, 1.0, 1e9]))
def test_eigenvalues__are_those_of_lapack(seed, ndim, scale):
    rng = np.random.default_rng(seed)
    n = ndim * (ndim + 1) // 2
    parts = rng.integers(-2, 3, (n, 12)) * scale + rng.normal(size=(n, 12)) * scale * rng.choice([0, 1], 12)
    full = np.zeros((12, ndim, ndim))
    for part, (a, b) in zip(parts, zip(*np.triu_indices(ndim), strict=True), strict=True):
        full[:, a, b] = full[:, b, a] = part
    out = np.empty((ndim, 12))
    write_eigenvalues(parts, out)
    assert_allclose(out.T, np.linalg.eigvalsh(full)[:, ::-1], atol=1e-7 * max(scale, 1e-300), rtol=1e-7)


def test_features__are_those_of_separate_filters():
    image = np.random.default_rng(0).random((7, 8, 9)).astype(np.float32)
    filters = Filters((1.3,), 3, (1.0, 1.0, 1.0))
    whole = tuple(slice(0, n) for n in image.shape)
    found = filters.features(image[..., None], whole).T.reshape(-1, *image.shape)

    def derivative(values, sigma, *axes):
        order = [axes.count(axis) for axis in range(3)]
        radius = int(np.ceil(3.5 * sigma))
        return ndimage.gaussian_filter(values, sigma, order, mode="mirror", radius=radius)

    exact = image.astype(float)
    gradient = np.stack([derivative(exact, 1.3, a) for a in range(3)])
    hessian = np.array([[derivative(exact, 1.3, a, b) for a in range(3)] for b in range(3)])
    tensor = np.array([[derivative(gradient[a] * gradient[b], 0.65) for a in range(3)] for b in range(3)])
    expected = [exact, derivative(exact, 1.3), np.linalg.norm(gradient, axis=0), np.trace(hessian)]
    for matrices in (hessian, tensor):
        expected += list(np.moveaxis(np.linalg.eigvalsh(np.moveaxis(matrices, (0, 1), (-2, -1))), -1, 0)[::-1])
    assert_allclose(found, expected, atol=2e-5)


@few
@given(
    shape=st.tuples(*[st.integers(1, 9)] * 3),
    block=st.tuples(*[st.integers(1, 9)] * 3),
    spacing=st.sampled_from([(1.0, 1.0, 1.0), (3.0, 1.0, 1.0), (1.0, 2.0, 0.5)]),
    n_axes=st.sampled_from([2, 3]),
)
def test_features__of_blocks_are_the_bytes_of_the_whole(shape, block, spacing, n_axes):
    image = np.random.default_rng(1).random((*shape, 1)).astype(np.float32)
    steps = tuple(side / min(spacing[-n_axes:]) for side in spacing[-n_axes:])
    filters = Filters((0.5, 1.0), 3, steps)
    whole = filters.features(image, tuple(slice(0, n) for n in shape)).reshape(*shape, -1)
    for tile in tiles(shape, block, filters.halo):
        part = filters.features(image[tile.read], tile.inner)
        assert_array_equal(part, whole[tile.core].reshape(part.shape))


def test_features__halo_is_no_wider_than_what_is_read():
    filters = Filters((1.0,), 2, (1.0, 1.0))
    image = np.zeros((41, 41, 1), np.float32)
    image[20, 20] = 1
    seen = filters.features(image, (slice(0, 41), slice(0, 41))).any(axis=1).reshape(41, 41)
    rows, columns = np.nonzero(seen)
    assert (20 - rows.min(), 20 - columns.min()) == (6, 6) == filters.halo


def test_features__thick_planes_have_gradients_in_the_unit_of_the_finest_axis():
    ramp = np.broadcast_to(np.arange(30.0, dtype=np.float32)[:, None, None, None], (30, 4, 4, 1))
    filters = Filters((8.0,), 3, (4.0, 1.0, 1.0))
    found = filters.features(ramp, (slice(14, 16), slice(0, 4), slice(0, 4)))
    assert_allclose(found[:, 2], 0.25, rtol=0.02)


# ----------------------------------------------------------------------------------------- prediction


@few
@given(block=st.one_of(st.integers(2, 12), st.tuples(*[st.integers(2, 12)] * 3)), n_threads=st.integers(1, 3))
def test_predict__is_the_same_bytes_for_any_block_and_threads(learned, block, n_threads):
    image, _ = scene((6, 9, 10), seed=1)
    whole = learned.predict_proba(image, block_shape=10, n_threads=1)
    assert whole.dtype == np.float32
    assert whole.shape == (6, 9, 10, 2)
    assert_array_equal(learned.predict_proba(image, block_shape=block, n_threads=n_threads), whole)
    assert_array_equal(learned.predict(image, block_shape=block, n_threads=n_threads), whole[..., 1])


@pytest.mark.parametrize("classifier", ["gradient boosting", "random forest", "logistic regression"])
def test_fit__is_the_same_for_any_number_of_threads(classifier):
    image, labels = scene((30, 31))
    one, two = (small(classifier=classifier).fit(image, labels, n_threads=n).predict(image) for n in (1, 2))
    assert_array_equal(one, two)


@pytest.mark.parametrize("shape", [(30, 31), (6, 15, 15)])
@pytest.mark.parametrize("reach", ["volume", "planes"])
def test_predict__finds_boundaries_of_another_image(shape, reach):
    image, labels = scene(shape)
    other, expected = scene(shape, seed=1)
    found = small(reach=reach).fit(image, labels).predict(other)
    assert average_precision_score(expected.ravel() == 2, found.ravel()) > 0.8


def test_predict__planes_do_not_see_each_other():
    image, labels = scene((4, 12, 13))
    pixels = small(reach="planes").fit(image, labels)
    apart = [pixels.predict(plane[None])[0] for plane in image]
    assert_array_equal(pixels.predict(image), apart)


def test_predict__of_many_classes_and_channels_is_channels_last():
    image, labels = scene((20, 21))
    labels = np.where((labels == 1) & (image > image.mean()), 7, labels)
    channels = np.stack([image, image**2, -image], axis=-1)
    pixels = small().fit([channels, channels[:10]], [labels, labels[:10]])
    found = pixels.predict_proba(channels)
    assert found.shape == (20, 21, 3)
    assert_allclose(found.sum(axis=-1), 1, atol=1e-6)
    assert_array_equal(pixels.predict(channels), found[..., 1])
    assert pixels.classes_.tolist() == [1, 2, 7]


def test_predict__other_label_can_be_the_boundary():
    image, labels = scene((20, 21))
    swapped = np.where(labels == 2, 1, np.where(labels == 1, 5, 0))
    assert_allclose(
        small(boundary=1).fit(image, swapped).predict(image), small().fit(image, labels).predict(image), atol=1e-6
    )


def test_predict__reads_and_writes_block_by_block(learned):
    image, _ = scene((6, 9, 10), seed=2)
    boxes = []

    class Lazy(SimpleNamespace):
        def __getitem__(self, box):
            boxes.append(box)
            return image[box]

    out = np.full(image.shape, 9.0, np.float32)
    assert learned.predict(Lazy(shape=image.shape, dtype=image.dtype), block_shape=(1, 4, 4), out=out) is out
    assert_array_equal(out, learned.predict(image))
    assert len(boxes) == 6 * 3 * 3
    with pytest.raises(ShapeError, match=r"out must have shape \(6, 9, 10\); got \(6, 9\)"):
        learned.predict(image, out=out[..., 0])


def test_fit__few_painted_voxels_are_enough():
    image, labels = scene((40, 41))
    rng = np.random.default_rng(0)
    painted = np.zeros_like(labels)
    for label in (1, 2):
        painted.ravel()[rng.choice(np.flatnonzero(labels == label), 40, replace=False)] = label
    found = small(classifier="random forest").fit(image, painted).predict(image)
    assert average_precision_score(labels.ravel() == 2, found.ravel()) > 0.8


def test_fit__voxels_out_of_reach_of_labels_teach_nothing():
    image, labels = scene((12, 30))
    reach = Filters((0.7, 1.2), 2, (1.0, 1.0)).halo[1]
    labels[:, 29 - reach :] = 0
    changed = image.copy()
    changed[:, -1] += 3
    other, _ = scene((12, 13), seed=1)
    assert_array_equal(small().fit(image, labels).predict(other), small().fit(changed, labels).predict(other))


def test_fit__samples_are_balanced_and_repeatable():
    image, labels = scene((30, 31))
    pixels = small(classifier="random forest", n_samples=20).fit(image, labels)
    assert pixels.classifier_.estimators_[0].tree_.n_node_samples[0] == 40
    assert_array_equal(pixels.predict(image), clone(pixels).fit(image, labels).predict(image))
    other = clone(pixels).set_params(random_state=5).fit(image, labels)
    assert not np.array_equal(pixels.predict(image), other.predict(image))


# ---------------------------------------------------------------------------------------------- files


@pytest.mark.parametrize("classifier", ["gradient boosting", "random forest", LogisticRegression()])
@pytest.mark.parametrize("n_classes", [2, 3])
def test_file__what_is_loaded_predicts_the_same(tmp_path, classifier, n_classes):
    image, labels = scene((20, 21))
    labels = np.where((labels == 1) & (image > image.mean()), n_classes, labels) if n_classes == 3 else labels
    pixels = small(classifier=classifier, reach="planes", spacing=(2, 1)).fit(image, labels)
    pixels.save(tmp_path / "a.npz")
    again = PixelClassifier.load(tmp_path / "a.npz")
    assert_array_equal(again.predict_proba(image), pixels.predict_proba(image))
    names = ("scales", "reach", "spacing", "boundary", "n_samples", "random_state")
    for name in names:
        assert_array_equal(getattr(again, name), getattr(pixels, name))
    assert_array_equal(clone(again).fit(image, labels).predict(image), pixels.predict(image))


def edited(path, **changes):
    with np.load(path) as archive:
        arrays = dict(archive)
    np.savez(path, **{**arrays, **changes})


def test_file__newer_foreign_and_damaged_ones_are_refused(tmp_path, learned):
    fn = tmp_path / "a.npz"
    learned.save(fn)
    whole = fn.read_bytes()
    with np.load(fn) as archive:
        description = json.loads(str(archive["pixel_classifier"]))
    edited(fn, format=2)
    with pytest.raises(FileError, match="a pixel classifier of format 2; this version reads up to 1"):
        PixelClassifier.load(fn)
    for wrong in ("scales", "ndim"):
        part = {"scales": "parameters", "ndim": "image"}[wrong]
        text = json.dumps({**description, part: {**description[part], wrong: [1.0] if wrong == "scales" else 2}})
        fn.write_bytes(whole)
        edited(fn, pixel_classifier=text)
        with pytest.raises(FileError, match="does not fit its description"):
            PixelClassifier.load(fn)
    fn.write_bytes(whole)
    edited(fn, classifier=np.frombuffer(pickle.dumps(learned), np.uint8))
    with pytest.raises(FileError, match="pickles are never read"):
        PixelClassifier.load(fn)
    for damaged in (whole[: len(whole) // 2], b"", pickle.dumps(learned)):
        fn.write_bytes(damaged)
        with pytest.raises(FileError, match=r"a\.npz does not hold a pixel classifier"):
            PixelClassifier.load(fn)
    with pytest.raises(FileError, match="there is no file"):
        PixelClassifier.load(tmp_path / "b.npz")


# ----------------------------------------------------------------------------------------- what is refused


@pytest.mark.parametrize(
    ("image", "error", "message"),
    [
        (np.zeros((6, 9, 10, 2), "f4"), ImageError, r"learned from, no axis of them; got 2"),
        (np.zeros((6, 9), "f4"), ShapeError, r"must have 3 axes.*got shape \(6, 9\)"),
        (np.zeros((6, 9, 10), "u1"), ImageError, r"type that was learned from, float; got uint8"),
        (np.full((6, 9, 10), np.nan, "f4"), ImageError, r"got NaN or infinity at \(0, 0, 0\)"),
        (np.zeros((6, 9, 10), complex), ImageError, "must hold real numbers; got an array of complex128"),
    ],
)
def test_predict__images_unlike_those_learned_from_are_refused(learned, image, error, message):
    with pytest.raises(error, match=message):
        learned.predict(image)


def test_predict__nan_is_named_where_it_is_in_the_image(learned):
    image = np.zeros((6, 9, 10), "f4")
    image[5, 8, 9] = np.inf
    with pytest.raises(ImageError, match=r"at \(5, 8, 9\)"):
        learned.predict(image, block_shape=4)


@pytest.mark.parametrize("block_shape", [0, (2, 2), 1.5, (2, 2, -1)])
def test_predict__block_shape_is_checked(learned, block_shape):
    with pytest.raises(SettingError, match="block_shape must be whole numbers, 1 or more, one for each of 3 axes"):
        learned.predict(np.zeros((6, 9, 10), "f4"), block_shape=block_shape)


def test_predict__must_be_fitted_first(tmp_path):
    for call in (lambda p: p.predict(np.zeros((3, 3))), lambda p: p.save(tmp_path / "a.npz")):
        with pytest.raises(ClassifierError, match="call fit first"):
            call(PixelClassifier())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"scales": ()}, r"scales must be one or more.*\(\)"),
        ({"scales": (1, -2)}, "scales must be"),
        ({"reach": "all"}, 'reach must be "volume" or "planes"; got \'all\''),
        ({"spacing": (1, 2, 3)}, "spacing must be the size of a voxel along each of 2 axes"),
        ({"n_samples": 0}, "n_samples must be a whole number, 1 or more; got 0"),
        ({"n_samples": "all"}, "n_samples must be a whole number, 1 or more; got 'all'"),
        ({"classifier": "forest"}, "no classifier named 'forest'"),
    ],
)
def test_fit__settings_are_checked(options, message):
    image, labels = scene((12, 13))
    with pytest.raises(SettingError, match=message):
        small(**options).fit(image, labels)


def test_fit__labels_are_checked():
    image, labels = scene((12, 13))
    with pytest.raises(LabelError, match=r"one of them boundary, 2; got none"):
        small().fit(image, np.zeros_like(labels))
    with pytest.raises(LabelError, match=r"one of them boundary, 2; got \[1, 3\]"):
        small().fit(image, np.where(labels == 2, 3, labels))
    with pytest.raises(ShapeError, match=r"shape of their labels, \(12, 12\); got \(12, 13\)"):
        small().fit(image, labels[:, 1:])
    with pytest.raises(ShapeError, match="2 images, 1 labels"):
        small().fit([image, image], [labels])
    with pytest.raises(ImageError, match="type that was learned from, float; got uint8"):
        small().fit([image, image.astype("u1")], [labels, labels])


# ------------------------------------------------------------------------------------------ real volumes


@pytest.mark.slow
@pytest.mark.compiled
def test_predict__real_boundaries_are_found_from_grey_values():
    image, other = (real.read_image(name) for name in ("train-image", "test-image"))
    labels, expected = (morpho.boundary_labels(real.read(name)) for name in ("train-gt", "test-gt"))
    found = PixelClassifier(scales=(1.0, 2.0), n_samples=10_000).fit(image, labels).predict(other)
    known = expected > 0
    assert average_precision_score(expected[known] == 2, found[known]) > 0.6
    assert not morpho.polarity(found, real.read("test-gt")).is_inverted


def test_predict__shows_a_bar_when_asked(capsys):
    painted = np.zeros((40, 40), int)
    painted[5, 5:9], painted[20, 5:9] = 1, 2
    image = np.zeros((40, 40), np.uint8)
    image[20] = 200
    pixels = PixelClassifier("naive bayes", scales=(1,)).fit(image, painted)
    plain = pixels.predict(image, block_shape=20)
    assert capsys.readouterr().err == ""
    np.testing.assert_array_equal(pixels.predict(image, block_shape=20, progress="bar"), plain)
    assert "predicting: 100%" in capsys.readouterr().err
    with pytest.raises(SettingError, match='progress must be "bar"'):
        pixels.predict(image, progress="dots")
