"""Files hold what was written to them, all of it or what was there before, and damaged ones are named."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import h5py
import numpy as np
import pytest
import tifffile
from hypothesis import given, settings, strategies as st
from hypothesis.extra import numpy as hnp
from numpy.testing import assert_array_equal

from gala import imio
from gala._files import replacing
from gala.errors import FileError, ImageError, SettingError, ShapeError
from gala.imio.shared import crop_box
from real import EXAMPLE

few = settings(max_examples=40, deadline=None)
dtypes = st.one_of(
    hnp.integer_dtypes(endianness="?"),
    hnp.unsigned_integer_dtypes(endianness="?"),
    hnp.floating_dtypes(endianness="?", sizes=(16, 32, 64)),
    hnp.boolean_dtypes(),
)
bounds = st.one_of(st.none(), st.integers(-8, 8))


def volumes(ndim, dtype=dtypes, min_side=1):
    return hnp.arrays(dtype, hnp.array_shapes(min_dims=ndim[0], max_dims=ndim[1], min_side=min_side, max_side=5))


def files_in(folder):
    return {item.name: item.read_bytes() for item in Path(folder).iterdir()}


def volume_or_error(fn):
    try:
        return imio.read_image_stack(fn)
    except FileError as error:
        return error


# HDF5


@few
@given(
    vol=volumes((1, 4), min_side=0),
    compression=st.sampled_from([None, "lzf", "gzip", 4]),
    chunks=st.booleans(),
)
def test_h5__what_is_read_is_what_was_written(tmp_path_factory, vol, compression, chunks):
    fn = tmp_path_factory.mktemp("h5") / "a.h5"
    imio.write_h5_stack(vol, fn, compression=compression, chunks=chunks or None)
    again = imio.read_h5_stack(fn)
    assert again.dtype == vol.dtype
    assert_array_equal(again, vol)


@few
@given(vol=volumes((1, 4)), names=st.lists(st.sampled_from(["stack", "a", "b/c", "b/d/e"]), min_size=2))
def test_h5__datasets_of_other_names_stay(tmp_path_factory, vol, names):
    fn = str(tmp_path_factory.mktemp("h5") / "a.h5")
    for number, name in enumerate(names):
        imio.write_h5_stack(vol.astype(float) + number, fn, group=name)
    for name in set(names):
        last = len(names) - 1 - names[::-1].index(name)
        assert_array_equal(imio.read_h5_stack(fn, name), vol.astype(float) + last)


@few
@given(vol=volumes((1, 4)), crop=st.lists(st.tuples(bounds, bounds), max_size=4))
def test_crop__is_a_slice_of_the_volume(tmp_path_factory, vol, crop):
    crop = crop[: vol.ndim]
    fn = tmp_path_factory.mktemp("h5") / "a.h5"
    imio.write_h5_stack(vol, fn)
    expected = vol[tuple(slice(*pair) for pair in crop)]
    assert_array_equal(imio.read_h5_stack(fn, crop=[bound for pair in crop for bound in pair]), expected)


@pytest.mark.parametrize("crop", [(1,), (0, 1, 0, 1, 0, 1), (0.5, 1), ("a", None)])
def test_crop__of_the_wrong_length_or_kind_is_refused(crop):
    with pytest.raises(SettingError, match="crop must"):
        crop_box(crop, 2)


def test_h5__compression_and_chunks_are_as_asked(tmp_path):
    vol = np.zeros((8, 9, 10))
    imio.write_h5_stack(vol, tmp_path / "a.h5", compression="lzf", chunks=(2, 3, 5))
    imio.write_h5_stack(vol, tmp_path / "a.h5", "level", compression=7)
    with h5py.File(tmp_path / "a.h5") as file:
        assert (file["stack"].compression, file["stack"].chunks) == ("lzf", (2, 3, 5))
        assert (file["level"].compression, file["level"].compression_opts) == ("gzip", 7)


def test_h5__writing_the_same_dataset_again_does_not_make_the_file_grow(tmp_path):
    vol = np.random.default_rng(0).random((20, 50, 50))
    sizes = set()
    for _ in range(4):
        imio.write_h5_stack(vol, tmp_path / "a.h5")
        sizes.add((tmp_path / "a.h5").stat().st_size)
    assert len(sizes) == 1


@pytest.mark.parametrize(
    ("vol", "options"),
    [
        (np.array([object()]), {}),
        (np.array(["word"]), {}),
        (np.zeros(4), {"compression": "zip"}),
        (np.zeros(4), {"compression": 11}),
        (np.zeros(4), {"chunks": (2, 2)}),
        (np.zeros(4), {"chunks": (5,)}),
    ],
)
def test_h5__what_cannot_be_stored_is_refused_and_the_old_file_stays(tmp_path, vol, options):
    fn = tmp_path / "a.h5"
    imio.write_h5_stack([1, 2], fn)
    before = files_in(tmp_path)
    with pytest.raises(SettingError, match=r"'stack' of dtype .* cannot be written to .*a\.h5"):
        imio.write_h5_stack(vol, fn, **options)
    assert files_in(tmp_path) == before


def test_h5__missing_file_is_named(tmp_path):
    with pytest.raises(FileError, match=r"no file .*nothing\.h5 \(looked in"):
        imio.read_h5_stack(tmp_path / "nothing.h5")
    with pytest.raises(FileError, match="is a folder"):
        imio.read_h5_stack(tmp_path)


@pytest.mark.parametrize("content", [b"", b"no HDF5 at all " * 99])
def test_h5__another_format_is_named(tmp_path, content):
    fn = tmp_path / "a.h5"
    fn.write_bytes(content)
    with pytest.raises(FileError, match=r"a\.h5 cannot be opened as HDF5"):
        imio.read_h5_stack(fn)


def test_h5__a_file_of_another_format_is_never_replaced(tmp_path):
    fn = tmp_path / "notes.h5"
    fn.write_text("my thesis " * 100)
    before = files_in(tmp_path)
    with pytest.raises(FileError, match=r"notes\.h5 cannot be opened as HDF5"):
        imio.write_h5_stack([1], fn)
    assert files_in(tmp_path) == before


@pytest.mark.parametrize("share", [0.1, 0.5, 0.99])
def test_h5__truncated_file_is_named(tmp_path, share):
    fn = tmp_path / "a.h5"
    imio.write_h5_stack(np.random.default_rng(0).random((10, 20, 30)), fn)
    fn.write_bytes(fn.read_bytes()[: int(share * fn.stat().st_size)])
    with pytest.raises(FileError, match=r"a\.h5 cannot be opened as HDF5.*truncated"):
        imio.read_h5_stack(fn)


def test_h5__damaged_dataset_is_named(tmp_path):
    fn = tmp_path / "a.h5"
    vol = np.random.default_rng(0).integers(0, 4, (30, 50, 50))
    imio.write_h5_stack(vol, fn, compression="gzip", chunks=(30, 50, 50))
    content = bytearray(fn.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 5000] = bytes(5000)
    fn.write_bytes(content)
    with pytest.raises(FileError, match=r"dataset 'stack' of .*a\.h5 cannot be read"):
        imio.read_h5_stack(fn)


def test_h5__missing_dataset_lists_those_there_are(tmp_path):
    fn = tmp_path / "a.h5"
    imio.write_h5_stack([1], fn, "volumes/raw")
    imio.write_h5_stack([1], fn, "labels")
    for group in ("stack", "volumes", "labels/x", ""):
        with pytest.raises(FileError, match="the datasets there are: labels, volumes/raw"):
            imio.read_h5_stack(fn, group)
    with h5py.File(fn, "w"):
        pass
    with pytest.raises(FileError, match=r"no dataset 'stack' .*there are none"):
        imio.read_h5_stack(fn)


def test_h5__a_group_of_datasets_is_never_replaced_by_one(tmp_path):
    fn = tmp_path / "a.h5"
    imio.write_h5_stack([1], fn, "volumes/raw")
    with pytest.raises(FileError, match="'volumes' is a group of datasets"):
        imio.write_h5_stack([2], fn, "volumes")
    assert_array_equal(imio.read_h5_stack(fn, "volumes/raw"), [1])


# Replacing files


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError, OSError("disk full")])
def test_replacing__after_an_error_the_old_file_is_all_there_is(tmp_path, error):
    fn = tmp_path / "a.txt"
    fn.write_text("old")
    with pytest.raises(BaseException) as caught, replacing(fn) as new:  # noqa: PT011, PT012  # narrowed below
        new.write_text("half of")
        raise error
    assert caught.type is (FileError if isinstance(error, OSError) else error)
    assert files_in(tmp_path) == {"a.txt": b"old"}


def test_replacing__keeps_permissions_and_follows_links(tmp_path):
    (tmp_path / "there").mkdir()
    target, link = tmp_path / "there" / "a.h5", tmp_path / "link.h5"
    imio.write_h5_stack([1], target)
    target.chmod(0o640)
    link.symlink_to(target)
    imio.write_h5_stack([2], link)
    assert link.is_symlink()
    assert target.stat().st_mode & 0o777 == 0o640
    assert_array_equal(imio.read_h5_stack(target), [2])


def test_replacing__needs_a_folder_and_a_name(tmp_path):
    with pytest.raises(FileError, match="there is no folder"):
        imio.write_h5_stack([1], tmp_path / "nowhere" / "a.h5")
    (tmp_path / "folder.h5").mkdir()
    with pytest.raises(FileError, match="it is a folder"):
        imio.write_h5_stack([1], tmp_path / "folder.h5")


def test_h5__interrupt_while_writing_leaves_the_old_file(tmp_path, monkeypatch):
    fn = tmp_path / "a.h5"
    imio.write_h5_stack([1, 2], fn)
    before = files_in(tmp_path)
    create = h5py.Group.create_dataset

    def interrupted(*args, **options):
        create(*args, **options)
        raise KeyboardInterrupt

    monkeypatch.setattr(h5py.Group, "create_dataset", interrupted)
    with pytest.raises(KeyboardInterrupt):
        imio.write_h5_stack([3], fn, "other")
    assert files_in(tmp_path) == before


def test_h5__a_killed_writer_leaves_the_old_file(tmp_path):
    fn = tmp_path / "a.h5"
    imio.write_h5_stack([1, 2], fn)
    before = fn.read_bytes()
    script = (
        "import sys, numpy as np; from gala import imio\n"
        "vol = np.random.default_rng(0).random((60, 500, 500))\n"
        "imio.write_h5_stack(vol, sys.argv[1], compression=9)"
    )
    writer = subprocess.Popen([sys.executable, "-c", script, str(fn)])
    try:
        deadline = time.monotonic() + 60
        while not any(item.stat().st_size > 1e6 for item in tmp_path.glob(".*-a.h5")):
            assert writer.poll() is None, "the writer ended before it could be killed"
            assert time.monotonic() < deadline, "the writer never started"
            time.sleep(0.01)
    finally:
        writer.send_signal(signal.SIGKILL)
        writer.wait()
    assert fn.read_bytes() == before
    assert_array_equal(imio.read_h5_stack(fn), [1, 2])


def test_h5__a_full_disk_leaves_the_old_file(tmp_path):
    fn = tmp_path / "a.h5"
    imio.write_h5_stack([1, 2], fn)
    before = files_in(tmp_path)
    script = (
        "import resource, signal, sys, numpy as np\n"
        "from gala import imio; from gala.errors import FileError\n"
        "imio.read_h5_stack(sys.argv[1])\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))\n"
        "try:\n"
        "    imio.write_h5_stack(np.zeros(1_000_000), sys.argv[1])\n"
        "except FileError as error:\n"
        "    print(error)\n"
    )
    run = subprocess.run([sys.executable, "-c", script, str(fn)], capture_output=True, text=True, check=False)
    assert "as it was before" in run.stdout, run.stderr
    assert files_in(tmp_path) == before


# Stacks of images


@few
@given(vol=volumes((2, 4)), extension=st.sampled_from(["h5", "hdf5", "tif", "TIFF"]))
def test_stack__hdf5_and_tiff_keep_values_shape_and_dtype(tmp_path_factory, vol, extension):
    fn = tmp_path_factory.mktemp("stack") / f"a.{extension}"
    imio.write_image_stack(vol, fn)
    again = imio.read_image_stack(fn)
    is_tiff = extension.lower().startswith("tif")
    expected = np.dtype(np.uint8) if is_tiff and vol.dtype == bool else vol.dtype
    assert again.dtype.newbyteorder("=") == expected.newbyteorder("=")
    assert_array_equal(again, vol)


@few
@given(
    vol=st.one_of(
        volumes((2, 3), st.sampled_from([np.uint8, np.uint16])),
        hnp.arrays(np.uint8, st.tuples(*[st.integers(1, 4)] * 3, st.integers(2, 4))),
    )
)
def test_stack__png_keeps_values_shape_and_dtype(tmp_path_factory, vol):
    folder = tmp_path_factory.mktemp("png")
    imio.write_image_stack(vol, folder / "a.png")
    again = imio.read_image_stack(folder / "a.png" if vol.ndim == 2 else folder)
    assert again.dtype == vol.dtype
    assert_array_equal(again, vol)


@few
@given(
    vol=volumes((3, 4)),
    crop=st.lists(st.tuples(bounds, bounds), max_size=4),
    digits=st.sampled_from(["", "04"]),
)
def test_stack__tiff_series_is_read_in_natural_order_and_cropped(tmp_path_factory, vol, crop, digits):
    folder = tmp_path_factory.mktemp("series")
    vol = np.concatenate([vol] * 12)[:11]  # plane 10 comes after plane 9
    imio.write_image_stack(vol, folder / f"plane-%{digits}d-of.tif")
    crop = crop[: vol.ndim]
    flat = [bound for pair in crop for bound in pair]
    expected = vol[tuple(slice(*pair) for pair in crop)]
    names = sorted(folder.iterdir(), key=lambda path: int(path.stem.split("-")[1]))
    for again in (
        imio.read_image_stack(folder, crop=flat),
        imio.read_image_stack(str(folder / "plane-*.tif"), crop=flat),
        imio.read_image_stack(*names, crop=flat),
    ):
        assert_array_equal(again, expected)


@pytest.mark.parametrize(
    ("dtype", "highest", "kept_as"),
    [("i4", 214, "u1"), ("u8", 255, "u1"), ("i8", 256, "u2"), ("u8", 65535, "u2"), ("?", 1, "u1")],
)
def test_stack__png_holds_labels_that_fit_in_16_bits(tmp_path, dtype, highest, kept_as):
    labels = np.array([[[0, highest]]]).astype(dtype)
    imio.write_image_stack(labels, tmp_path / "labels.png")
    again = imio.read_image_stack(tmp_path / "labels-0000.png")
    assert again.dtype == kept_as
    assert_array_equal(again, labels[0])


@pytest.mark.parametrize("labels", [[65536], [-1], [2**64 - 1], [0.5]])
def test_stack__png_refuses_other_values_and_names_formats_that_take_them(tmp_path, labels):
    with pytest.raises(ImageError, match=r"PNG holds .*TIFF \(\.tif\) or HDF5 \(\.h5\)"):
        imio.write_image_stack(np.array([[labels]]), tmp_path / "labels.png")
    assert files_in(tmp_path) == {}


def test_stack__png_refuses_channels_that_it_cannot_hold(tmp_path):
    for vol in (np.zeros((2, 3, 4, 5), np.uint8), np.zeros((2, 3, 4, 3), np.uint16)):
        with pytest.raises(ImageError, match="2 to 4 channels of 8 bits"):
            imio.write_image_stack(vol, tmp_path / "a.png")


@pytest.mark.parametrize("name", ["a.png", "a.tif"])
def test_stack__images_have_rows_columns_and_at_most_planes_and_channels(tmp_path, name):
    for shape in [(3,), (1, 1, 1, 1, 1)]:
        with pytest.raises(ShapeError, match="plane, row, column"):
            imio.write_image_stack(np.zeros(shape, np.uint8), tmp_path / name)
    with pytest.raises(ImageError, match="empty volume"):
        imio.write_image_stack(np.zeros((0, 2, 2), np.uint8), tmp_path / name)


def test_stack__tiff_refuses_what_is_not_a_number(tmp_path):
    with pytest.raises(ImageError, match="TIFF holds numbers only; got object"):
        imio.write_image_stack(np.array([[object()]]), tmp_path / "a.tif")
    assert files_in(tmp_path) == {}


def test_stack__tiff_has_a_page_for_each_plane(tmp_path):
    imio.write_image_stack(np.zeros((3, 4, 5, 2), np.float32), tmp_path / "a.tif")
    with tifffile.TiffFile(tmp_path / "a.tif") as tiff:
        assert [page.shape for page in tiff.pages] == [(4, 5, 2)] * 3


def test_stack__an_error_at_any_plane_leaves_the_old_series(tmp_path, monkeypatch):
    imio.write_image_stack(np.zeros((4, 2, 3), np.uint8), tmp_path / "p-%d.tif")
    before = files_in(tmp_path)
    write, written = tifffile.imwrite, []

    def failing(*args, **options):
        written.append(write(*args, **options))
        if len(written) == 3:
            raise KeyboardInterrupt

    monkeypatch.setattr(tifffile, "imwrite", failing)
    with pytest.raises(KeyboardInterrupt):
        imio.write_image_stack(np.ones((4, 2, 3), np.uint8), tmp_path / "p-%d.tif")
    assert files_in(tmp_path) == before


def test_stack__planes_of_a_longer_series_are_not_mixed_in(tmp_path):
    imio.write_image_stack(np.zeros((4, 2, 3), np.uint8), tmp_path / "p.png")
    before = files_in(tmp_path)
    with pytest.raises(FileError, match=r"p-0002\.png belongs to the series"):
        imio.write_image_stack(np.ones((2, 2, 3), np.uint8), tmp_path / "p.png")
    assert files_in(tmp_path) == before


def test_stack__pages_that_differ_are_named(tmp_path):
    for name, shape, dtype in [
        ("a1", (2, 3), "u1"),
        ("a2", (2, 3), "u1"),
        ("a3", (2, 4), "u1"),
        ("b2", (2, 3), "u2"),
    ]:
        imio.write_image_stack(np.zeros(shape, dtype), tmp_path / f"{name}.png")
    with pytest.raises(FileError, match=r"a3\.png has shape \(2, 4\).*a1\.png has \(2, 3\)"):
        imio.read_image_stack(tmp_path / "a*.png")
    with pytest.raises(FileError, match=r"b2\.png has shape .* dtype uint16"):
        imio.read_image_stack(tmp_path / "a1.png", tmp_path / "b2.png")


def test_stack__nothing_to_read_is_said(tmp_path):
    with pytest.raises(FileError, match="holds no images"):
        imio.read_image_stack(tmp_path)
    with pytest.raises(FileError, match=r"no file matches .*\*\.png"):
        imio.read_image_stack(tmp_path / "*.png")
    with pytest.raises(FileError, match=r"no file .*a\.png"):
        imio.read_image_stack(tmp_path / "a.png")
    with pytest.raises(FileError, match=r"no file .*b\.png"):
        imio.read_image_stack(tmp_path / "b.png", tmp_path / "c.png")
    with pytest.raises(FileError, match="at least one file"):
        imio.read_image_stack()


def test_stack__formats_are_not_guessed_or_mixed(tmp_path):
    with pytest.raises(FileError, match=r"extension of .*a\.dat"):
        imio.write_image_stack(np.zeros((2, 2)), tmp_path / "a.dat")
    imio.write_image_stack(np.zeros((2, 2), np.uint8), tmp_path / "a.png")
    imio.write_image_stack(np.zeros((2, 2), np.uint8), tmp_path / "a.tif")
    with pytest.raises(FileError, match=r"all PNG, all JPEG or all TIFF; got \.png, \.tif"):
        imio.read_image_stack(tmp_path)
    (tmp_path / "a.dat").write_text("x")
    with pytest.raises(FileError, match=r"extension of .*a\.dat"):
        imio.read_image_stack(tmp_path / "a.dat")


@pytest.mark.parametrize("name", ["a.png", "a.tif"])
@pytest.mark.parametrize("n_bytes", [0, 2, 5, 20, 60, 500, 2000])
def test_stack__truncated_images_are_named(tmp_path, name, n_bytes):
    fn = tmp_path / name
    imio.write_image_stack(np.random.default_rng(0).integers(0, 255, (50, 60)).astype(np.uint8), fn)
    fn.write_bytes(fn.read_bytes()[:n_bytes])
    with pytest.raises(FileError, match=rf"{name} cannot be read"):
        imio.read_image_stack(fn)


def test_stack__tiff_that_ends_before_its_last_page_is_named(tmp_path):
    fn = tmp_path / "a.tif"
    with tifffile.TiffWriter(fn) as writer:
        for _ in range(3):
            writer.write(np.zeros((20, 30), np.uint8), photometric="minisblack", metadata=None, contiguous=False)
    with tifffile.TiffFile(fn) as tiff:
        starts = [page.offset for page in tiff.pages]
    content = fn.read_bytes()
    for n_bytes in (starts[2], starts[2] + 1, starts[1] + 10):
        fn.write_bytes(content[:n_bytes])
        with pytest.raises(FileError, match=r"a\.tif cannot be read"):
            imio.read_image_stack(fn)


# Damage anywhere


@few
@given(
    name=st.sampled_from(["a.h5", "a.tif", "a.png"]),
    changes=st.dictionaries(st.integers(0, 2500), st.binary(min_size=1, max_size=4), min_size=1),
)
def test_any_file__changed_bytes_give_a_volume_or_a_file_error(tmp_path_factory, name, changes):
    fn = tmp_path_factory.mktemp("damage") / name
    imio.write_image_stack(np.arange(600, dtype=np.uint8).reshape(20, 30), fn)
    content = bytearray(fn.read_bytes())
    for place, change in changes.items():
        place %= len(content)
        content[place : place + len(change)] = change
    fn.write_bytes(content)
    result = volume_or_error(fn)
    assert isinstance(result, np.ndarray) or name in str(result)


# Real volumes


@pytest.mark.skipif(not EXAMPLE.is_dir(), reason=f"no example volumes in {EXAMPLE}; set GALA_EXAMPLE_DATA")
@pytest.mark.parametrize("split", ["train", "test"])
@pytest.mark.parametrize(
    ("name", "shape", "dtype"),
    [
        ("image.h5", (50, 100, 200), "u1"),
        ("p1.lzf.h5", (50, 100, 200), "f4"),
        ("p4.lzf.h5", (50, 100, 200, 4), "f4"),
        ("ws.lzf.h5", (50, 100, 200), "i4"),
        ("gt.lzf.h5", (50, 100, 200), "i4"),
    ],
)
def test_example__volumes_have_their_shapes_and_dtypes(split, name, shape, dtype):
    fn = EXAMPLE / f"{split}-{name}"
    vol = imio.read_h5_stack(str(fn))
    assert (vol.shape, vol.dtype) == (shape, dtype)
    assert_array_equal(imio.read_image_stack(fn, crop=[None] * 4 + [10, 12]), vol[:, :, 10:12])
