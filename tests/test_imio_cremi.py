"""CREMI files and mapped segmentations come back as they were, with their geometry; what does not fit is named."""

import h5py
import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from hypothesis.extra import numpy as hnp
from numpy.testing import assert_array_equal

from gala import imio
from gala.errors import FileError, LabelError, SettingError, ShapeError

few = settings(deadline=None, max_examples=30)
NOTHING = 2**64 - 1  # what CREMI calls the background of clefts
shapes = hnp.array_shapes(min_dims=1, max_dims=4, max_side=5)
superpixels = shapes.flatmap(lambda shape: hnp.arrays(np.uint64, shape, elements=st.sampled_from([0, 1, 7, 2**63 + 1])))


@pytest.fixture
def cremi(tmp_path):
    """Write a file as the challenge distributes it, without the help of gala."""
    random = np.random.default_rng(0)
    fn = tmp_path / "sample.hdf"
    with h5py.File(fn, "w") as file:
        raw = file.create_dataset("volumes/raw", data=random.integers(0, 255, (5, 9, 9), np.uint8))
        ids = file.create_dataset("volumes/labels/neuron_ids", data=random.integers(0, 9, (3, 7, 7), np.uint64))
        clefts = file.create_dataset("volumes/labels/clefts", data=np.full((3, 7, 7), NOTHING, np.uint64))
        for volume in (raw, ids, clefts):
            volume.attrs["resolution"] = (40.0, 4.0, 4.0)
        ids.attrs["offset"] = (40.0, 4.0, 4.0)
        file.create_dataset("annotations/ids", data=np.arange(3))
    return fn


# CREMI


def test_cremi__a_file_of_the_challenge_is_read(cremi):
    raw, ids = imio.read_cremi(cremi)
    assert (raw.shape, raw.dtype, ids.shape, ids.dtype) == ((5, 9, 9), np.uint8, (3, 7, 7), np.uint64)
    (clefts,) = imio.read_cremi(str(cremi), ["/volumes/labels/clefts"])
    assert (clefts == NOTHING).all()
    assert imio.read_cremi_geometry(cremi) == ((40, 4, 4), (0, 0, 0))
    assert imio.read_cremi_geometry(cremi, "volumes/labels/neuron_ids") == ((40, 4, 4), (40, 4, 4))


@few
@given(
    raw=hnp.arrays(np.uint8, hnp.array_shapes(min_dims=3, max_dims=3)),
    labels=hnp.arrays(np.int32, hnp.array_shapes(min_dims=3, max_dims=3), elements=st.integers(0, 2**31 - 1)),
    resolution=st.tuples(*[st.floats(0.5, 100)] * 3),
    offset=st.tuples(*[st.floats(-100, 100)] * 3),
    slash=st.sampled_from(["", "/"]),
)
def test_cremi__what_is_read_is_what_was_written(tmp_path_factory, raw, labels, resolution, offset, slash):
    fn = tmp_path_factory.mktemp("cremi") / "a.hdf"
    ids = f"{slash}volumes/labels/neuron_ids"
    imio.write_cremi({f"{slash}volumes/raw": raw, ids: labels}, fn, resolution, offsets={ids: offset})
    found = imio.read_cremi(fn)
    assert [vol.dtype for vol in found] == [np.uint8, np.uint64]
    assert_array_equal(found[0], raw)
    assert_array_equal(found[1], labels)
    assert imio.read_cremi_geometry(fn) == (resolution, (0, 0, 0))
    assert imio.read_cremi_geometry(fn, ids) == (resolution, offset)


def test_cremi__other_datasets_stay(cremi):
    before = imio.read_cremi(cremi)
    imio.write_cremi({"volumes/labels/clefts": np.full((3, 7, 7), NOTHING, np.uint64)}, cremi, (1, 2, 3))
    for vol, again in zip(before, imio.read_cremi(cremi), strict=True):
        assert_array_equal(vol, again)
    assert imio.read_cremi_geometry(cremi, "volumes/labels/clefts") == ((1, 2, 3), (0, 0, 0))
    assert imio.read_cremi_geometry(cremi, "volumes/labels/neuron_ids") == ((40, 4, 4), (40, 4, 4))


def test_cremi__a_missing_dataset_lists_those_there_are(cremi):
    with pytest.raises(FileError, match=r"sample\.hdf has no dataset 'volumes/ids'.*annotations/ids, volumes/labels"):
        imio.read_cremi(cremi, ["volumes/raw", "volumes/ids"])
    with pytest.raises(FileError, match="no file"):
        imio.read_cremi(cremi.with_name("b.hdf"))
    with pytest.raises(FileError, match=r"'annotations/ids' of .*no attribute 'resolution'; there are: none"):
        imio.read_cremi_geometry(cremi, "annotations/ids")


@pytest.mark.parametrize(("name", "value"), [("resolution", (4, 4)), ("resolution", "fine"), ("offset", np.nan)])
def test_cremi__geometry_that_makes_no_sense_is_named(cremi, name, value):
    with h5py.File(cremi, "a") as file:
        file["volumes/raw"].attrs[name] = value
    with pytest.raises(FileError, match=rf"'volumes/raw' of .*sample\.hdf: {name} must be three"):
        imio.read_cremi_geometry(cremi)


@pytest.mark.parametrize("share", [0, 0.3, 0.9])
def test_cremi__truncated_files_are_named(cremi, share):
    cremi.write_bytes(cremi.read_bytes()[: int(share * cremi.stat().st_size)])
    with pytest.raises(FileError, match=r"sample\.hdf cannot be opened as HDF5"):
        imio.read_cremi(cremi)


@pytest.mark.parametrize(
    ("volumes", "options", "error", "words"),
    [
        ({"volumes/raw": np.zeros((2, 2))}, {}, ShapeError, r"volumes/raw must have axes .*\(2, 2\)"),
        ({"volumes/labels/clefts": np.full((1, 1, 1), -1)}, {}, LabelError, "volumes/labels/clefts must hold labels"),
        (
            {"volumes/raw": np.zeros((1, 1, 1))},
            {"resolution": (4, 4)},
            SettingError,
            "resolution must be three lengths",
        ),
        ({"volumes/raw": np.zeros((1, 1, 1))}, {"offsets": {"raw": (0, 0, 0)}}, SettingError, "volumes/raw; got raw"),
        ({"volumes/raw": np.zeros((1, 1, 1))}, {"offsets": {"volumes/raw": 3}}, SettingError, "offset must be three"),
    ],
)
def test_cremi__what_it_cannot_hold_is_refused_and_the_old_file_stays(cremi, volumes, options, error, words):
    before = cremi.read_bytes()
    with pytest.raises(error, match=words):
        imio.write_cremi(volumes, cremi, **options)
    assert [item.read_bytes() for item in cremi.parent.iterdir()] == [before]


# Mapped segmentations


@few
@given(superpixels, st.data())
def test_mapped__segmentation_is_what_the_table_makes_of_the_superpixels(tmp_path_factory, labels, data):
    keys = np.unique(labels)
    values = np.array(data.draw(st.lists(st.sampled_from([0, 3, 2**63]), min_size=keys.size, max_size=keys.size)), "u8")
    seg = values[np.searchsorted(keys, labels)]
    table = imio.compute_sp_to_body_map(labels, seg)
    assert_array_equal(table, np.column_stack([keys, values]))
    shuffled = table[data.draw(st.permutations(range(len(table))))]
    assert_array_equal(imio.apply_segmentation_map(labels, shuffled), seg)
    fn = tmp_path_factory.mktemp("mapped") / "a.h5"
    imio.write_mapped_segmentation(labels, shuffled, fn, "superpixels", "map/of/regions")
    assert_array_equal(imio.read_mapped_segmentation(fn, "superpixels", "map/of/regions"), seg)
    for found, expected in zip(
        imio.read_mapped_segmentation_raw(fn, "superpixels", "map/of/regions"), (labels, table), strict=True
    ):
        assert found.dtype == expected.dtype
        assert_array_equal(found, expected)


def test_mapped__zero_is_none_unless_the_table_says_otherwise():
    assert imio.apply_segmentation_map([0, 4], [[4, 9]]).tolist() == [0, 9]
    assert imio.apply_segmentation_map([0, 4], [[4, 9], [0, 5]]).tolist() == [5, 9]


@pytest.mark.parametrize(
    ("labels", "table", "error", "words"),
    [
        ([1, 2], [[1, 5]], LabelError, "no region with label 2"),
        ([1, 2], [[1, 5], [2, 5], [1, 6]], LabelError, "each superpixel once; 1 comes more often"),
        ([1, 2], [1, 2], ShapeError, r"shape \(N, 2\)"),
        ([1, -2], [[1, 5]], LabelError, "superpixel.* must hold labels"),
        ([1], [[1, -5]], LabelError, "sp_to_body_map must hold labels"),
    ],
)
def test_mapped__tables_that_do_not_fit_are_refused(tmp_path, labels, table, error, words):
    with pytest.raises(error, match=words):
        imio.apply_segmentation_map(labels, table)
    with pytest.raises(error, match=words):
        imio.write_mapped_segmentation(labels, table, tmp_path / "a.h5")
    assert not list(tmp_path.iterdir())


def test_mapped__a_superpixel_in_two_regions_is_named():
    with pytest.raises(LabelError, match=r"7 lies in 3 and, at \(1, 0\), in 4"):
        imio.compute_sp_to_body_map([[7, 8], [7, 8]], [[3, 3], [4, 3]])
    with pytest.raises(ShapeError, match="bodies must have the shape of sps"):
        imio.compute_sp_to_body_map([7, 8], [7])


def test_mapped__files_that_do_not_fit_are_named(tmp_path):
    fn = tmp_path / "a.h5"
    imio.write_h5_stack([1, 2], fn)
    with pytest.raises(FileError, match=r"no dataset 'transforms'.*there are: stack"):
        imio.read_mapped_segmentation(fn)
    imio.write_h5_stack([[1, 5]], fn, "transforms")
    with pytest.raises(FileError, match=r"'stack' and 'transforms' of .*a\.h5 make no segmentation: .*label 2"):
        imio.read_mapped_segmentation(fn)


# Historic names


def test_historic__names_read_and_write_as_the_others_do(tmp_path):
    vol = np.random.default_rng(0).integers(0, 255, (3, 4, 5)).astype(np.uint8)
    imio.write_image_stack(vol, tmp_path / "a.tif")
    assert_array_equal(imio.read_multi_page_tif(tmp_path / "a.tif"), vol)
    assert_array_equal(imio.read_multi_page_tif(tmp_path / "a.tif", crop=(1, 2)), vol[1:2])
    imio.write_png_image_stack(vol, tmp_path / "a-%02d.png")
    assert_array_equal(imio.read_image_stack(tmp_path / "a-*.png"), np.moveaxis(vol, -1, 0))
    imio.write_png_image_stack(vol, tmp_path / "b-%02d.png", axis=0)
    assert_array_equal(imio.read_image_stack(tmp_path / "b-*.png"), vol)
    with pytest.raises(SettingError, match="axis must be one of the 3"):
        imio.write_png_image_stack(vol, tmp_path / "c-%d.png", axis=3)


def test_historic__predictions_of_ilastik_lose_their_axis_of_time(tmp_path):
    prediction = np.random.default_rng(0).random((1, 3, 4, 5, 2))
    imio.write_h5_stack(prediction, tmp_path / "a.h5", "volume/prediction")
    assert_array_equal(imio.read_prediction_from_ilastik_batch(tmp_path / "a.h5"), prediction[0, ..., 0])
    both = imio.read_prediction_from_ilastik_batch(tmp_path / "a.h5", single_channel=False)
    assert_array_equal(both, prediction[0])
    with pytest.raises(FileError, match=r"no dataset 'exported_data'.*volume/prediction"):
        imio.read_prediction_from_ilastik_batch(tmp_path / "a.h5", "exported_data")
