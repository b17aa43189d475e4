"""Volumes are read as far as they are asked for, and files of other tools mean what those tools mean."""

import json
import sys

import dask.array as da
import h5py
import imageio.v3
import numpy as np
import pytest
import tifffile
import zarr
from hypothesis import given, settings, strategies as st
from hypothesis.extra import numpy as hnp
from numpy.testing import assert_array_equal

from gala import imio
from gala.errors import FileError, ImageError, SettingError
from gala.imio.axes import axis_names
from gala.imio.files import as_volume
from gala.imio.pyramid import coarser, halvings, reduce_windows
from gala.imio.volume import Stored, Volume
from real import path_of

few = settings(max_examples=60, deadline=None)
AXES = ("plane", "row", "column", "channel")


class Watched:
    """An array that counts the voxels that are read."""

    def __init__(self, values, chunks=None):
        self.values, self.shape, self.dtype, self.chunks = values, values.shape, values.dtype, chunks
        self.n_read = 0

    def __getitem__(self, box):
        block = self.values[box]
        self.n_read += block.size
        return block


# Slices


@few
@given(draw=st.data(), axes=st.permutations("zyxc").map("".join))
def test_slices__are_those_of_the_array_with_channels_last(draw, axes):
    shape = draw.draw(st.tuples(*[st.integers(1, 5)] * 4))
    stored = np.arange(np.prod(shape)).reshape(shape)
    expected = stored.transpose([axes.index(letter) for letter in "zyxc"])
    volume = as_volume(stored, axes=axes)
    assert (volume.shape, volume.axes) == (expected.shape, AXES)
    key = draw.draw(hnp.basic_indices(expected.shape, allow_newaxis=False))
    assert_array_equal(volume[key], expected[key])
    assert np.shape(volume[key]) == expected[key].shape
    assert_array_equal(np.asarray(volume), expected)
    assert np.asarray(volume).flags.c_contiguous


@few
@given(shape=hnp.array_shapes(max_dims=4, max_side=9), draw=st.data())
def test_blocks__cover_every_voxel_once(shape, draw):
    sides = draw.draw(st.tuples(*[st.integers(1, 10)] * len(shape)))
    counts = np.zeros(shape, int)
    volume = as_volume(counts)
    for boxes in (volume.blocks(), volume.blocks(sides)):
        for box in boxes:
            counts[box] += 1
    assert (counts == 2).all()
    assert_array_equal(np.concatenate(list(volume.slabs())), counts)


def test_volume__reads_no_more_than_it_is_asked_for():
    watched = Watched(np.zeros((100, 50, 50), np.uint8))
    volume = as_volume(watched)
    assert volume[3:5, :10, 7].shape == (2, 10)
    assert watched.n_read == 20
    assert len(list(volume)) == 100


@pytest.mark.parametrize("key", [np.array([0, 1]), [0], True, 1.5, "a", None])
def test_volume__other_indices_are_refused(key):
    with pytest.raises(SettingError, match=r"read by whole numbers and slices.*volume\[\.\.\.\]"):
        as_volume(np.zeros((2, 2)))[key]


def test_volume__indices_outside_are_refused():
    volume = as_volume(np.zeros((2, 3)))
    for key in (2, -3, (0, 3), (0, 0, 0)):
        with pytest.raises(IndexError):
            volume[key]
    with pytest.raises(SettingError, match="blocks must have 2 lengths"):
        next(volume.blocks((1, 0)))
    with pytest.raises(ValueError, match="is a copy"):
        np.array(volume, copy=False)


def test_volume__cannot_be_read_when_it_is_closed(tmp_path):
    imio.write(tmp_path / "a.h5", np.zeros((2, 2)))
    with imio.open(tmp_path / "a.h5") as volume:
        assert repr(volume).endswith("a.h5: hdf5, yx (2, 2) float64>")
    with pytest.raises(FileError, match="closed already"):
        volume[0]


# Writing what is not in memory


@pytest.mark.parametrize("name", ["b.zarr", "b.ome.zarr", "b.h5", "b.npy", "b.tif", "b/%d.png"])
def test_write__a_volume_keeps_its_voxel_size_and_provenance(tmp_path, name):
    values = np.random.default_rng(0).integers(0, 255, (5, 6, 7)).astype(np.uint8)
    made = imio.provenance({"a": 1}, [])
    spacing = None if name == "b.npy" else (40.0, 4.0, 4.0)
    imio.write(tmp_path / "a.h5", values, spacing=spacing, unit=spacing and "nm", provenance=made)
    with imio.open(tmp_path / "a.h5") as volume:
        imio.write(tmp_path / name, volume)
    with imio.open(tmp_path / name.removesuffix("/%d.png")) as again:
        assert_array_equal(again, values)
        assert (again.spacing, again.unit) == (spacing, spacing and "nm")
        assert name == "b.npy" or again.attributes["provenance"] == made


def test_write__reads_a_source_once_block_by_block(tmp_path):
    watched = Watched(np.random.default_rng(0).integers(0, 9, (20, 300, 300)).astype(np.uint8), (1, 300, 300))
    for n, name in enumerate(["a.zarr", "a.h5", "a.npy", "a.tif"]):
        imio.write(tmp_path / name, watched)
        assert watched.n_read == (n + 1) * watched.values.size
        assert_array_equal(imio.read(tmp_path / name), watched.values)


def test_write__dask_arrays_are_computed_block_by_block_and_volumes_become_dask_arrays(tmp_path):
    values = np.random.default_rng(0).random((20, 30, 40))
    imio.write(tmp_path / "a.zarr", da.from_array(values, chunks=(7, 11, 13)))
    with imio.open(tmp_path / "a.zarr") as volume:
        assert_array_equal(volume.as_dask().compute(), values)
        assert_array_equal((volume.as_dask((5, 5, 5)) + 1).compute(), values + 1)


@pytest.mark.parametrize("name", ["a.zarr", "a.h5", "a.npy", "a.tif", "a.ome.zarr"])
def test_write__a_volume_may_take_the_place_of_itself(tmp_path, name):
    imio.write(tmp_path / name, np.arange(24).reshape(2, 3, 4))
    with imio.open(tmp_path / name) as volume:
        imio.write(tmp_path / name, volume)
        assert_array_equal(imio.read(tmp_path / name), np.arange(24).reshape(2, 3, 4))


@pytest.mark.parametrize("axes", ["x", "yx", "yxc", "zx", "tyx", "tzyxc"])
@pytest.mark.parametrize("name", ["a.h5", "a.zarr", "a.ome.zarr", "a.tif", "a.n5", "a.npy"])
def test_axes__of_any_number_are_kept(tmp_path, name, axes):
    if name == "a.n5":
        pytest.importorskip("tensorstore", reason="N5 needs tensorstore")
    values = np.random.default_rng(0).random((2, 3, 4, 5, 2)[: len(axes)])
    if name == "a.tif" and "y" not in axes:
        with pytest.raises(ImageError, match="TIFF holds numbers with axes row and column"):
            imio.write(tmp_path / name, values, axes=axes)
        return
    imio.write(tmp_path / name, values, axes=axes)
    with imio.open(tmp_path / name, axes=axes if name == "a.npy" else None) as volume:
        assert volume.axes == axis_names(axes)
        assert_array_equal(volume, values)


@pytest.mark.parametrize("name", ["a.h5", "a.zarr", "a.zarr::b", "a.npy"])
def test_write__no_voxels_are_no_voxels(tmp_path, name):
    imio.write(tmp_path / name, np.zeros((0, 3, 4), np.uint16))
    assert (imio.read(tmp_path / name).shape, imio.read(tmp_path / name).dtype) == ((0, 3, 4), np.uint16)
    with imio.open(tmp_path / name) as volume:
        assert "min" not in volume.describe()


@pytest.mark.parametrize("module", ["tensorstore", "dask.array"])
def test_extras__that_are_missing_are_named_with_what_to_install(tmp_path, monkeypatch, module):
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(SettingError, match="pip install 'gala-segmentation"):
        imio.write(tmp_path / "a.n5", np.zeros((2, 2))) if module == "tensorstore" else as_volume([[1]]).as_dask()


@pytest.mark.filterwarnings("ignore:Consolidated metadata")
@pytest.mark.parametrize("version", [2, 3])
def test_zarr__a_copy_of_all_descriptions_is_brought_up_to_date(tmp_path, version):
    imio.write(tmp_path / "a.zarr::one", np.zeros((2, 2)), format=f"zarr{version}")
    zarr.consolidate_metadata(tmp_path / "a.zarr")
    imio.write(tmp_path / "a.zarr::two", np.ones((2, 2)))
    assert sorted(zarr.open_consolidated(tmp_path / "a.zarr").keys()) == ["one", "two"]


def test_write__channels_first_are_moved(tmp_path):
    values = np.random.default_rng(0).random((2, 3, 4, 5))
    for name in ("a.h5", "a.ome.zarr", "a.tif"):
        imio.write(tmp_path / name, values, axes="czyx", spacing=(3, 2, 1))
        assert_array_equal(imio.read(tmp_path / name), np.moveaxis(values, 0, -1))


def test_chunks__are_of_the_size_asked_for_and_whole_for_small_volumes(tmp_path):
    values = np.zeros((4, 130, 100, 140), np.uint8)
    for name in ("a.h5", "a.zarr"):
        imio.write(tmp_path / name, values, axes="czyx")
        with imio.open(tmp_path / name) as volume:
            assert volume.chunks == (64, 100, 64, 4)
        imio.write(tmp_path / name, values, axes="czyx", chunks=(1, 30, 20, 10))
        with imio.open(tmp_path / name) as volume:
            assert volume.chunks == (30, 20, 10, 1)


# Descriptions and provenance


@few
@given(values=hnp.arrays(st.sampled_from(["u1", "i4", "u8", "f4", "?"]), hnp.array_shapes(max_dims=3, max_side=6)))
def test_describe__counts_what_numpy_counts(values):
    about = as_volume(values).describe()
    assert (about["shape"], about["dtype"], about["bytes"]) == (values.shape, str(values.dtype), values.nbytes)
    if values.dtype.kind in "ui":
        assert about["n_labels"] == len(set(values.ravel().tolist()) - {0})
    if not np.isnan(values).all():
        assert (about["min"], about["max"]) == (np.nanmin(values), np.nanmax(values))
    json.dumps(about)
    assert "min" not in as_volume(values).describe(values=False)


def test_provenance__is_the_same_for_the_same_files_and_names_each(tmp_path):
    for folder in ("one", "two"):
        imio.write(tmp_path / f"{folder}.zarr", np.arange(6).reshape(2, 3))
    file = tmp_path / "a.npy"
    np.save(file, np.arange(3))
    inputs = [tmp_path / "one.zarr", f"{tmp_path / 'two.zarr'}::x", file]
    made = imio.provenance({"b": 2, "a": (1, np.float32(0.5)), "path": file}, inputs)
    assert made == imio.provenance({"path": file, "a": [1, 0.5], "b": np.int64(2)}, inputs[::-1])
    assert made["inputs"][str(inputs[0])] == made["inputs"][inputs[1]]
    np.save(file, np.arange(4))
    assert imio.provenance({}, [file])["inputs"] != {str(file): made["inputs"][str(file)]}
    with pytest.raises(FileError, match="there is no file"):
        imio.provenance({}, [tmp_path / "nothing.h5"])


# Scales


@few
@given(
    values=hnp.arrays(st.sampled_from(["u1", "i2", "u8", "i8"]), hnp.array_shapes(min_dims=2, max_dims=3, max_side=6)),
    draw=st.data(),
)
def test_coarser__labels_are_the_most_frequent_and_images_the_mean(values, draw):
    factors = draw.draw(st.tuples(*[st.sampled_from([1, 2])] * values.ndim))
    labels = np.asarray(coarser(as_volume(values), factors, "labels"))
    image = np.asarray(coarser(as_volume(values), factors, "image"))
    assert labels.dtype == image.dtype == values.dtype
    for place in np.ndindex(labels.shape):
        window = values[tuple(slice(i * f, (i + 1) * f) for i, f in zip(place, factors, strict=True))].ravel().tolist()
        assert labels[place] == max(sorted(set(window)), key=window.count)
        mean = 2 * sum(window) + len(window)
        assert image[place] == mean // (2 * len(window))  # halves go up


def test_coarser__floats_keep_their_dtype():
    values = np.array([[0.5, 1.5], [2.0, 4.0]], np.float16)
    assert reduce_windows(values, (2, 2), "image").item() == 2.0
    assert reduce_windows(values, (2, 2), "image").dtype == np.float16


def test_halvings__leave_long_voxels_until_the_others_come_near():
    volume = Volume(Stored(np.empty((64, 1024, 1024)), "memory", spacing=(40, 4, 4)), "memory")
    assert halvings(volume, None) == [(1, 1, 1), (1, 2, 2), (1, 4, 4), (1, 8, 8)]
    assert halvings(volume, 6)[4:] == [(2, 16, 16), (4, 32, 32)]
    assert halvings(as_volume(np.empty((1, 1))), 3) == [(1, 1)]


@pytest.mark.parametrize("name", ["a.ome.zarr", "a.precomputed"])
@pytest.mark.parametrize("kind", ["labels", "image"])
def test_scales__hold_what_coarser_gives_and_their_voxel_size(tmp_path, name, kind):
    if name == "a.precomputed":
        pytest.importorskip("tensorstore", reason="precomputed volumes need tensorstore")
    values = np.random.default_rng(0).integers(0, 5, (9, 70, 133)).astype(np.uint32)
    imio.write(tmp_path / name, values, kind=kind, scales=3, spacing=(0.04, 0.008, 0.008), unit="um")
    expected = as_volume(values)
    for level, factors in enumerate([(1, 1, 1), (1, 2, 2), (1, 4, 4)]):
        with imio.open(tmp_path / f"{name}::{level}") as volume:
            assert_array_equal(volume, expected)
            assert volume.spacing == pytest.approx(np.multiply((0.04, 0.008, 0.008), factors))
            assert volume.unit == "um"
        expected = coarser(expected, (1, 2, 2), kind)
    assert_array_equal(imio.read(tmp_path / name), values)


# Files of other tools


def test_ome_zarr__is_valid_and_scales_lie_where_they_should(tmp_path):
    models = pytest.importorskip("ome_zarr_models", reason="needs ome-zarr-models")
    imio.write(tmp_path / "a.ome.zarr", np.zeros((4, 40, 40, 2), np.uint8), spacing=(40, 8, 8), unit="nm", scales=2)
    imio.write(tmp_path / "a.ome.zarr::labels/cells", np.zeros((4, 40, 40), np.uint32), scales=2)
    imio.write(tmp_path / "b.ome.zarr", np.zeros((4, 40)), format="ome-zarr-0.4")
    group = models.open_ome_zarr(zarr.open_group(tmp_path / "a.ome.zarr", mode="r"))
    image = group.attributes.ome.multiscales[0]
    assert [axis.name for axis in image.axes] == list("czyx")
    assert [axis.unit for axis in image.axes] == [None, *["nanometer"] * 3]
    scale, shift = image.datasets[1].coordinateTransformations
    assert (scale.scale, shift.translation) == ([1, 40, 16, 16], [0, 0, 4, 4])
    assert group.attributes.ome.version == "0.5"
    labels = zarr.open_group(tmp_path / "a.ome.zarr", path="labels", mode="r")
    assert models.open_ome_zarr(labels).attributes.ome.labels == ["cells"]
    models.open_ome_zarr(zarr.open_group(tmp_path / "b.ome.zarr", mode="r"))
    with imio.open(tmp_path / "a.ome.zarr") as volume:
        assert volume.axes == AXES
    with imio.open(tmp_path / "a.ome.zarr" / "labels" / "cells" / "1") as volume:
        assert (volume.shape, volume.spacing) == ((2, 20, 20), (2, 2, 2))


def ome_image(folder, axes, shape, transforms, version="0.4", outer=()):
    group = zarr.create_group(folder, zarr_format=2)
    group.create_array("full", shape=shape, dtype="u2")[...] = np.arange(np.prod(shape)).reshape(shape)
    datasets = [{"path": "full", "coordinateTransformations": transforms}]
    about = {"version": version, "axes": axes, "datasets": datasets}
    group.attrs["multiscales"] = [about | ({"coordinateTransformations": outer} if outer else {})]


def test_ome_zarr__of_five_axes_loses_those_of_length_one(tmp_path):
    axes = [{"name": name, "type": "space", "unit": "micrometer"} for name in "tczyx"]
    ome_image(tmp_path / "a.zarr", axes, (1, 1, 2, 3, 4), [{"type": "scale", "scale": [1, 1, 0.3, 0.1, 0.1]}])
    ome_image(
        tmp_path / "b.zarr",
        axes,
        (1, 2, 2, 3, 4),
        [{"type": "scale", "scale": [1, 1, 1, 2, 2]}],
        outer=[{"type": "scale", "scale": [9, 9, 3, 1, 1]}],
    )
    with imio.open(tmp_path / "a.zarr") as volume:
        assert (volume.shape, volume.spacing, volume.unit) == ((2, 3, 4), (0.3, 0.1, 0.1), "um")
        assert_array_equal(volume, np.arange(24).reshape(2, 3, 4))
    with imio.open(tmp_path / "b.zarr::0") as volume:
        assert (volume.shape, volume.axes, volume.spacing) == ((2, 3, 4, 2), AXES, (3, 2, 2))
        assert_array_equal(volume[..., 1], np.arange(24, 48).reshape(2, 3, 4))


def test_ome_zarr__of_older_versions_and_collections_are_found(tmp_path):
    ome_image(tmp_path / "a.zarr", ["z", "y", "x"], (2, 3, 4), [], version="0.3")
    with imio.open(tmp_path / "a.zarr") as volume:
        assert (volume.shape, volume.spacing) == ((2, 3, 4), None)
    zarr.create_group(tmp_path / "b.zarr", zarr_format=2)
    ome_image(tmp_path / "b.zarr" / "0", ["y", "x"], (3, 4), [])
    assert imio.read(tmp_path / "b.zarr").shape == (3, 4)
    ome_image(tmp_path / "b.zarr" / "1", ["y", "x"], (3, 5), [])
    with pytest.raises(FileError, match="there are: 0, 1"):
        imio.open(tmp_path / "b.zarr")
    assert imio.read(tmp_path / "b.zarr::1").shape == (3, 5)


def test_zarr__axes_and_voxel_sizes_of_others_are_read(tmp_path):
    group = zarr.create_group(tmp_path / "a.zarr", zarr_format=3)
    array = group.create_array("raw", shape=(2, 3, 4, 5), dtype="f4", dimension_names=["c", "z", "y", "x"])
    array.attrs.update({"voxel_size": [40, 4, 4], "units": ["nm", "nm", "nm"]})
    other = group.create_array("other", shape=(2, 3), dtype="f4", dimension_names=["row", "hour"])
    other.attrs["resolution"] = [4, 4]
    with imio.open(tmp_path / "a.zarr::raw") as volume:
        assert (volume.shape, volume.spacing, volume.unit) == ((3, 4, 5, 2), (40, 4, 4), "nm")
    with imio.open(tmp_path / "a.zarr" / "other") as volume:
        assert (volume.axes, volume.spacing) == (("row", "column"), (4, 4))


def test_hdf5__axes_and_voxel_sizes_of_others_are_read(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["ilastik"] = np.zeros((2, 3, 4, 5))
        file["ilastik"].attrs["axistags"] = json.dumps({"axes": [{"key": key} for key in "czyx"]})
        file["fiji"] = np.zeros((2, 3, 4))
        file["fiji"].attrs["element_size_um"] = [0.04, 0.004, 0.004]
        file["plain"] = np.zeros((2, 3, 4, 5))
        file["plain"].attrs["axes"] = "words"
    with imio.open(tmp_path / "a.h5::ilastik") as volume:
        assert volume.shape == (3, 4, 5, 2)
    with imio.open(tmp_path / "a.h5::fiji") as volume:
        assert (volume.spacing, volume.unit) == ((0.04, 0.004, 0.004), "um")
    with imio.open(tmp_path / "a.h5::plain", axes="czyx") as volume:
        assert volume.shape == (3, 4, 5, 2)
    assert imio.read(tmp_path / "a.h5::plain").shape == (2, 3, 4, 5)


def test_cremi__files_are_read_with_their_resolution_and_written_for_its_tools(tmp_path):
    imio.write_cremi({"volumes/raw": np.zeros((2, 3, 4))}, tmp_path / "a.hdf", resolution=(50, 5, 5))
    with imio.open(tmp_path / "a.hdf") as volume:
        assert (volume.spacing, volume.unit) == ((50, 5, 5), "nm")
    imio.write(
        tmp_path / "a.hdf::volumes/labels/neuron_ids",
        np.ones((2, 3, 4), np.uint64),
        spacing=(0.05, 0.005, 0.005),
        unit="um",
    )
    assert imio.read_cremi_geometry(tmp_path / "a.hdf", "volumes/labels/neuron_ids")[0] == (50, 5, 5)
    assert imio.read_cremi(tmp_path / "a.hdf")[1].sum() == 24


def test_tiff__axes_and_voxel_sizes_of_imagej_and_ome_are_read(tmp_path):
    values = np.random.default_rng(0).integers(0, 255, (3, 2, 5, 6)).astype(np.uint16)
    resolution = (1 / 0.004, 1 / 0.005)
    tifffile.imwrite(
        tmp_path / "ij.tif",
        values,
        imagej=True,
        resolution=resolution,
        metadata={"axes": "ZCYX", "spacing": 0.04, "unit": "um"},
    )
    sizes = {"PhysicalSizeX": 4, "PhysicalSizeY": 5, "PhysicalSizeZ": 40}
    units = {f"{name}Unit": "nm" for name in sizes}
    tifffile.imwrite(tmp_path / "a.ome.tif", values, metadata={"axes": "ZCYX"} | sizes | units, compression="zlib")
    tifffile.imwrite(tmp_path / "plain.tif", values[:, 0], tile=(16, 16), photometric="minisblack")
    for name, spacing, unit in (("ij.tif", (0.04, 0.005, 0.004), "um"), ("a.ome.tif", (40, 5, 4), "nm")):
        with imio.open(tmp_path / name) as volume:
            assert volume.axes == AXES
            assert volume.spacing == pytest.approx(spacing)
            assert volume.unit == unit
            assert_array_equal(volume, np.moveaxis(values, 1, -1))
            assert_array_equal(volume[1:, ::2, 3, 0], values[1:, 0, ::2, 3])
    with imio.open(tmp_path / "plain.tif") as volume:
        assert (volume.axes, volume.spacing) == (AXES[:3], None)
        assert_array_equal(volume[1], values[1, 0])
        assert volume[3:].shape == (0, 5, 6)


def test_tiff__of_colours_has_channels_last(tmp_path):
    values = np.random.default_rng(0).integers(0, 255, (5, 6, 3)).astype(np.uint8)
    tifffile.imwrite(tmp_path / "a.tif", values, photometric="rgb")
    with imio.open(tmp_path / "a.tif") as volume:
        assert volume.axes == ("row", "column", "channel")
        assert_array_equal(volume, values)


def test_series__is_in_natural_order_and_read_plane_by_plane(tmp_path, monkeypatch):
    values = np.random.default_rng(0).integers(0, 255, (12, 5, 6)).astype(np.uint8)
    imio.write(tmp_path / "planes" / "%d.png", values, spacing=(40, 4, 4), unit="nm")
    for name in ("planes", "planes/*.png"):
        with imio.open(tmp_path / name) as volume:
            assert (volume.format, volume.spacing, volume.unit) == ("series of png", (40, 4, 4), "nm")
            assert_array_equal(volume, values)
    with imio.open(tmp_path / "planes") as volume:
        read, names = imageio.v3.imread, []
        monkeypatch.setattr(imageio.v3, "imread", lambda name, **how: names.append(name.name) or read(name, **how))
        assert_array_equal(volume[2:4, 1], values[2:4, 1])
        assert names == ["2.png", "3.png"]


def test_series__of_jpeg_is_near_what_was_written(tmp_path):
    rows = np.arange(64)
    values = np.stack([np.add.outer(rows, rows) + i for i in range(3)]).astype(np.uint8)
    imio.write(tmp_path / "planes" / "%d.jpg", values, spacing=(3, 2, 1), provenance={"a": 1})
    with imio.open(tmp_path / "planes") as volume:
        assert np.abs(volume[...].astype(int) - values).max() <= 3
        assert (volume.format, volume.spacing) == ("series of jpeg", (3, 2, 1))
        assert volume.attributes["provenance"] == {"a": 1}
    imio.write(tmp_path / "a.jpg", values.transpose(1, 2, 0), axes="yxc")
    assert imio.read(tmp_path / "a.jpg").shape == (64, 64, 3)


def test_n5__of_others_is_presented_as_plane_row_column(tmp_path):
    ts = pytest.importorskip("tensorstore", reason="N5 needs tensorstore")
    values = np.arange(24, dtype=np.uint8).reshape(4, 3, 2)
    for name, about in {
        "funlib": {"resolution": [4, 5, 40], "units": ["nm", "nm", "nm"]},
        "fiji": {"pixelResolution": {"dimensions": [4, 5, 40], "unit": "nm"}},
    }.items():
        metadata = {
            "dimensions": [4, 3, 2],
            "blockSize": [2, 2, 2],
            "dataType": "uint8",
            "compression": {"type": "gzip"},
        }
        there = {"driver": "file", "path": str(tmp_path / "a.n5" / name)}
        ts.open({"driver": "n5", "kvstore": there, "metadata": metadata | about}, create=True).result()[...] = values
        with imio.open(tmp_path / f"a.n5/{name}") as volume:
            assert (volume.spacing, volume.unit) == ((40, 5, 4), "nm")
            assert_array_equal(volume, values.T)
            assert volume[1, 2, 3] == values[3, 2, 1]


def test_precomputed__says_what_neuroglancer_needs(tmp_path):
    pytest.importorskip("tensorstore", reason="precomputed volumes need tensorstore")
    imio.write(tmp_path / "a.precomputed", np.ones((2, 300, 20), np.uint32), spacing=(0.04, 0.004, 0.008), unit="um")
    about = json.loads((tmp_path / "a.precomputed" / "info").read_text())
    assert about["type"] == "segmentation"
    assert [scale["resolution"] for scale in about["scales"]] == [[8, 4, 40], [8, 8, 40], [16, 16, 40]]
    assert about["scales"][0]["size"] == [20, 300, 2]
    assert about["scales"][0]["encoding"] == "compressed_segmentation"
    imio.write(tmp_path / "b.precomputed", np.ones((2, 30, 20, 3), np.uint8), compression="jpeg")
    assert imio.read(tmp_path / "b.precomputed").shape == (2, 30, 20, 3)


def test_example__volumes_say_what_they_hold():
    with imio.open(path_of("train-p4")) as volume:
        assert (volume.shape, volume.axes) == ((50, 100, 200, 4), AXES)
    with imio.open(path_of("train-ws")) as volume:
        labels = volume[...]
        assert volume.describe()["n_labels"] == len(np.unique(labels[labels > 0]))
