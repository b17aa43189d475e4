"""Networks run tile by tile: as on the whole image, whatever the tiles; what does not fit is named."""

import sys

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from scipy import ndimage

from gala.classify import OnnxModel
from gala.classify.tiles import Window
from gala.errors import ClassifierError, FileError, ImageError, SettingError, ShapeError
from networks import write_network

onnx = pytest.importorskip("onnx", reason="onnx is not installed")
pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")

few = settings(max_examples=25, deadline=None)


def slow_network(weights, image):
    """Return the convolution of a whole mirrored image, shape (M, ..., P, C)."""
    found = [
        sum(ndimage.correlate(image[..., c], kernel[c], mode="reflect") for c in range(image.shape[-1]))
        for kernel in weights.astype(float)
    ]
    return np.stack(found, axis=-1)


@pytest.fixture(scope="module")
def volume_network(tmp_path_factory):
    path = tmp_path_factory.mktemp("networks") / "volume.onnx"
    return path, write_network(path)


@pytest.fixture(scope="module")
def plane_network(tmp_path_factory):
    path = tmp_path_factory.mktemp("networks") / "plane.onnx"
    return path, write_network(path, ndim=2)


@few
@given(
    shape=st.tuples(*[st.integers(1, 12)] * 3),
    tile=st.tuples(*[st.integers(3, 9)] * 3),
    overlap=st.sampled_from(["crop", "blend"]),
    n_threads=st.integers(1, 3),
)
def test_predict__tiles_with_halos_give_what_the_whole_gives(volume_network, shape, tile, overlap, n_threads):
    path, weights = volume_network
    image = np.random.default_rng(1).random(shape)
    model = OnnxModel(path, tile_shape=tile, halo=1, overlap=overlap)
    found = model.predict(image, n_threads=n_threads)
    assert found.dtype == np.float32
    assert found.shape == (*shape, 2)
    if overlap == "crop":
        assert_allclose(found, slow_network(weights, image[..., None]), atol=1e-4)
    assert_array_equal(found, model.predict(image, n_threads=1))


@few
@given(
    shape=st.tuples(*[st.integers(1, 12)] * 3),
    tile=st.tuples(*[st.integers(3, 9)] * 3),
    overlap=st.sampled_from(["crop", "blend"]),
    data=st.data(),
)
def test_window__holds_what_the_whole_has_there(volume_network, shape, tile, overlap, data):
    model = OnnxModel(volume_network[0], tile_shape=tile, halo=1, overlap=overlap)
    image = np.random.default_rng(1).random(shape)
    starts = [data.draw(st.integers(0, n - 1)) for n in shape]
    box = tuple(slice(i, data.draw(st.integers(i + 1, n))) for i, n in zip(starts, shape, strict=True))
    window = Window((*shape, 2), box)
    model.predict(image, out=window)
    assert_array_equal(window.values, model.predict(image)[box])


@few
@given(n=st.integers(1, 40), side=st.integers(1, 9), halo=st.integers(0, 4), n_planes=st.integers(1, 3))
def test_blend__of_equal_values_is_that_value(tmp_path_factory, n, side, halo, n_planes):
    if 2 * halo >= side:
        return
    path = tmp_path_factory.mktemp("networks") / "same.onnx"
    write_network(path, ndim=2, node=onnx.helper.make_node("Identity", ["cast"], ["maps"]))
    model = OnnxModel(path, tile_shape=side, halo=halo, overlap="blend")
    image = np.random.default_rng(0).random((n_planes, 7, n)).astype(np.float32)
    assert_allclose(model.predict(image)[..., 0], image, rtol=1e-5)  # up to 81 tiles share a voxel, in float32


def test_blend__goes_from_one_tile_to_the_next_in_even_steps(tmp_path):
    node = onnx.helper.make_node("CumSum", ["cast", "axis"], ["maps"])
    write_network(tmp_path / "sum.onnx", ndim=2, node=node)
    model = onnx.load(str(tmp_path / "sum.onnx"))
    model.graph.initializer.append(onnx.numpy_helper.from_array(np.array(3), "axis"))
    onnx.save(model, str(tmp_path / "sum.onnx"))
    image = np.ones((1, 12), np.float32)
    crop, blend = (
        OnnxModel(tmp_path / "sum.onnx", tile_shape=(1, 8), halo=(0, 2), overlap=overlap).predict(image)[0, :, 0]
        for overlap in ("crop", "blend")
    )
    assert_allclose(crop, [3, 4, 5, 6] * 3)
    # a tile sees 5 + i, the next one 1 + i
    assert_allclose(blend[2:6], [((5 + i) * (7 - 2 * i) + (1 + i) * (1 + 2 * i)) / 8 for i in range(4)])


def test_predict__planes_are_seen_one_by_one(plane_network):
    path, weights = plane_network
    image = np.random.default_rng(0).random((3, 9, 10))
    found = OnnxModel(path, tile_shape=6, halo=1).predict(image)
    assert_allclose(found, [slow_network(weights, plane[..., None]) for plane in image], atol=1e-4)
    one = OnnxModel(path, tile_shape=6, halo=1).predict(image[0])
    assert_array_equal(one, found[0])


@pytest.mark.parametrize("ndim", [2, 3])
@pytest.mark.parametrize("n_in", [3, None])
def test_predict__channels_come_and_go_last(tmp_path, ndim, n_in):
    node = None if n_in else onnx.helper.make_node("Identity", ["cast"], ["maps"])
    weights = write_network(tmp_path / "a.onnx", ndim, (n_in, 4), node=node)
    image = np.random.default_rng(0).random((*(7, 8, 9)[:ndim], 3))
    found = OnnxModel(tmp_path / "a.onnx", tile_shape=5, halo=1).predict(image, ndim=ndim)
    assert_allclose(found, slow_network(weights, image) if n_in else image, atol=1e-4)


def test_predict__a_plane_with_channels_is_told_from_planes(tmp_path):
    write_network(tmp_path / "a.onnx", 2, (3, 1))
    model = OnnxModel(tmp_path / "a.onnx", tile_shape=8)
    assert model.predict(np.zeros((10, 11, 3))).shape == (10, 11, 1)
    with pytest.raises(ShapeError, match=r"as many channels as .*a\.onnx takes, 3; got 1, from shape \(10, 11, 3\)"):
        model.predict(np.zeros((10, 11, 3)), ndim=3)


def test_predict__fixed_sides_of_the_model_are_the_tile(tmp_path):
    weights = write_network(tmp_path / "a.onnx", sides=(6, "row", 7))
    model = OnnxModel(tmp_path / "a.onnx", tile_shape=(6, 8, 7), halo=1)
    image = np.random.default_rng(0).random((4, 20, 9))
    assert_allclose(model.predict(image), slow_network(weights, image[..., None]), atol=1e-4)
    assert OnnxModel(tmp_path / "a.onnx").tile_shape == (6, 96, 7)
    with pytest.raises(SettingError, match=r"a\.onnx takes, \(6, 'any', 7\); got \(5, 8, 7\)"):
        OnnxModel(tmp_path / "a.onnx", tile_shape=(5, 8, 7))


@pytest.mark.parametrize("kind", ["FLOAT", "FLOAT16", "DOUBLE", "UINT8"])
def test_predict__values_are_cast_to_what_the_model_takes(tmp_path, kind):
    write_network(tmp_path / "a.onnx", 2, kind=kind, node=onnx.helper.make_node("Identity", ["cast"], ["maps"]))
    image = np.arange(12, dtype=np.uint8).reshape(3, 4)
    found = OnnxModel(tmp_path / "a.onnx", tile_shape=4, halo=0, scaling="none").predict(image)
    assert_array_equal(found[..., 0], image)


def test_predict__scaling_is_as_asked(tmp_path):
    write_network(tmp_path / "a.onnx", 2, node=onnx.helper.make_node("Identity", ["cast"], ["maps"]))
    image = np.array([[0, 51, 255]], np.uint8)
    scaled = {
        s: OnnxModel(tmp_path / "a.onnx", tile_shape=3, scaling=s).predict(image)[0, :, 0]
        for s in ("unit", "none", (51, 102))
    }
    assert_allclose(scaled["unit"], [0, 0.2, 1], rtol=1e-6)
    assert_array_equal(scaled["none"], [0, 51, 255])
    assert_array_equal(scaled[51, 102], [-0.5, 0, 2])
    halves = image.astype(np.float32) / 2
    assert_array_equal(OnnxModel(tmp_path / "a.onnx", tile_shape=3).predict(halves)[..., 0], halves)


@pytest.mark.parametrize("overlap", ["crop", "blend"])
def test_predict__writes_where_it_is_told(volume_network, overlap):
    image = np.random.default_rng(0).random((5, 6, 7))
    model = OnnxModel(volume_network[0], tile_shape=4, halo=1, overlap=overlap)
    out = np.full((5, 6, 7, 2), 9.0, np.float32)
    assert model.predict(image, out=out) is out
    assert_array_equal(out, model.predict(image))
    with pytest.raises(ShapeError, match=r"out must have shape \(5, 6, 7, 2\); got \(5, 6, 7\)"):
        model.predict(image, out=out[..., 0])


# ----------------------------------------------------------------------------------------- what is refused


@pytest.mark.parametrize(
    ("image", "error", "message"),
    [
        (np.zeros((4, 5)), ShapeError, r"must have 3 axes, as .*onnx sees 3.*got shape \(4, 5\)"),
        (np.zeros((4, 5, 6, 2)), ShapeError, r"takes, 1; got 2, from shape \(4, 5, 6, 2\)"),
        (np.zeros((4, 0, 6)), ShapeError, r"got shape \(4, 0, 6\)"),
        (np.full((4, 5, 6), np.nan), ImageError, "NaN or infinity at"),
        (np.full((4, 5, 6), "a"), ImageError, "must hold real numbers"),
    ],
)
def test_predict__images_that_do_not_fit_are_refused(volume_network, image, error, message):
    with pytest.raises(error, match=message):
        OnnxModel(volume_network[0], tile_shape=8).predict(image)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"tile_shape": (8, 8)}, "tile_shape must be whole numbers, 1 or more, one for each of 3 axes"),
        ({"tile_shape": 8, "halo": 4}, r"halo must be less than half of a tile, \(8, 8, 8\); got \(4, 4, 4\)"),
        ({"halo": -1}, "halo must be whole numbers, 0 or more"),
        ({"overlap": "mean"}, 'overlap must be "crop" or "blend"; got \'mean\''),
        ({"scaling": "std"}, 'scaling must be "unit", "none", or two finite numbers'),
        ({"scaling": (1, 0)}, r"scaling must be .*got \(1, 0\)"),
    ],
)
def test_model__settings_are_checked(volume_network, options, message):
    with pytest.raises(SettingError, match=message):
        OnnxModel(volume_network[0], **options)


def test_model__tiles_that_the_network_cannot_take_are_named(tmp_path):
    write_network(tmp_path / "valid.onnx", pad=0)
    with pytest.raises(ClassifierError, match=r"must give .*8, 8, 8.*got \(1, 2, 6, 6, 6\)"):
        OnnxModel(tmp_path / "valid.onnx", tile_shape=8).predict(np.zeros((8, 8, 8)))
    with pytest.raises(ClassifierError, match=r"cannot run on a tile of \(2, 2, 2\) voxels; give another tile_shape"):
        OnnxModel(tmp_path / "valid.onnx", tile_shape=2).predict(np.zeros((8, 8, 8)))


def test_model__inputs_of_another_kind_are_named(tmp_path):
    node = onnx.helper.make_node("Identity", ["cast"], ["maps"])
    write_network(tmp_path / "a.onnx", 1, node=node)
    with pytest.raises(ClassifierError, match=r"it has image \[1, 1, 'side0'\] of tensor\(float\)"):
        OnnxModel(tmp_path / "a.onnx")
    write_network(tmp_path / "a.onnx", 2, node=node, batch=4)
    with pytest.raises(ClassifierError, match="must take one tile at once; it takes 4"):
        OnnxModel(tmp_path / "a.onnx")
    write_network(tmp_path / "a.onnx", 2, node=node, kind="INT64")
    with pytest.raises(ClassifierError, match=r"of tensor\(int64\)"):
        OnnxModel(tmp_path / "a.onnx")


def test_model__files_that_are_missing_or_damaged_are_refused(tmp_path):
    with pytest.raises(FileError, match="there is no file"):
        OnnxModel(tmp_path / "a.onnx")
    (tmp_path / "a.onnx").write_bytes(b"not a network")
    with pytest.raises(FileError, match="does not hold an ONNX model that can be run"):
        OnnxModel(tmp_path / "a.onnx")


def test_model__without_onnxruntime_says_what_to_install(volume_network, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(ClassifierError, match=r"pip install 'gala-segmentation\[onnx\]'"):
        OnnxModel(volume_network[0])
