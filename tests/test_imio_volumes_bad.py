"""Bad files, names and options are named in one sentence, and whatever stops a writer leaves the old volume."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import h5py
import numpy as np
import pytest
import zarr
from hypothesis import given, settings, strategies as st

from gala import imio
from gala.errors import FileError, ImageError, LabelError, SettingError, ShapeError
from processes import heed_interrupts

small = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)
NAMES = ["a.h5", "a.zarr", "a.ome.zarr", "a.tif", "a.npy", "a.n5", "a.precomputed", "planes/%02d.png"]


def there(name):
    """Return the name under which a volume is read."""
    return str(Path(name).parent) if "%" in name else name


def needs(name):
    if name.endswith((".n5", ".precomputed")):
        pytest.importorskip("tensorstore", reason="N5 and precomputed need tensorstore")


def everything_in(folder):
    return {str(item.relative_to(folder)): item.read_bytes() for item in Path(folder).rglob("*") if item.is_file()}


# Names


def test_open__names_that_lead_nowhere_are_named(tmp_path):
    for name in ("a.h5", "a.zarr", "a.tif", "a.npy", "a.png", "a.n5", "a.precomputed"):
        with pytest.raises(FileError, match=rf"there is no file .*{name} \(looked in"):
            imio.open(tmp_path / name)
    with pytest.raises(FileError, match="no file matches"):
        imio.open(tmp_path / "*.png")
    with pytest.raises(FileError, match="holds no images"):
        imio.open(tmp_path)
    with pytest.raises(SettingError, match="needs the name of a file"):
        imio.open("::stack")


def test_any_format__an_end_that_says_nothing_is_refused_with_those_that_do(tmp_path):
    with pytest.raises(FileError, match=r"the end of .*a\.dat must say its format.*\.ome\.zarr"):
        imio.write(tmp_path / "a.dat", small)
    (tmp_path / "a.dat").write_text("x")
    with pytest.raises(FileError, match=r"the end of .*a\.dat"):
        imio.open(tmp_path / "a.dat")
    with pytest.raises(SettingError, match="format must be one of ome-zarr"):
        imio.write(tmp_path / "a.h5", small, format="hdf")


@pytest.mark.parametrize("name", ["a.h5", "a.zarr", "a.n5"])
def test_dataset__one_or_stack_is_found_and_several_are_listed(tmp_path, name):
    needs(name)
    imio.write(tmp_path / f"{name}::volumes/raw", small)
    assert imio.read(tmp_path / name).shape == small.shape
    imio.write(tmp_path / f"{name}::labels", small + 1)
    with pytest.raises(FileError, match=r"name one of them.*there are: labels, volumes/raw"):
        imio.open(tmp_path / name)
    with pytest.raises(FileError, match=r"no dataset 'nothing'.*there are: labels, volumes/raw"):
        imio.open(tmp_path / f"{name}::nothing")
    imio.write(tmp_path / f"{name}::stack", small + 2)
    assert imio.read(tmp_path / name).min() == 2
    assert imio.read(tmp_path / f"{name}::labels").min() == 1


@pytest.mark.parametrize("name", ["a.tif", "a.npy", "a.png"])
def test_dataset__of_a_file_with_one_volume_is_refused(tmp_path, name):
    imio.write(tmp_path / name, small[0])
    for use in (lambda: imio.open(tmp_path / f"{name}::stack"), lambda: imio.write(tmp_path / f"{name}::b", small[0])):
        with pytest.raises(FileError, match="holds one volume and no datasets"):
            use()


def test_level__that_is_not_there_is_named(tmp_path):
    imio.write(tmp_path / "a.ome.zarr", small, scales=2)
    with pytest.raises(FileError, match="no dataset '2'"):
        imio.open(tmp_path / "a.ome.zarr::2")
    needs("a.precomputed")
    imio.write(tmp_path / "a.precomputed", small, scales=2)
    with pytest.raises(FileError, match="no scale '2'; there are 0 to 1"):
        imio.open(tmp_path / "a.precomputed::2")


# Options


@pytest.mark.parametrize("spacing", [(1, 1), (1, 1, 1, 1), (1, 1, 0), (1, 1, -2), (1, 1, np.nan), ("a", 1, 1), 3])
@pytest.mark.parametrize("name", ["a.h5", "a.ome.zarr"])
def test_write__spacing_that_does_not_fit_is_refused(tmp_path, name, spacing):
    with pytest.raises(SettingError, match="spacing must be the size of a voxel along each of 3 axes"):
        imio.write(tmp_path / name, small, spacing=spacing)
    assert everything_in(tmp_path) == {}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"unit": "inch", "spacing": (1, 1, 1)}, "unit must be one of angstrom, nm"),
        ({"unit": "nm"}, "unit needs spacing"),
        ({"axes": "zy"}, "axes must name each of 3 axes"),
        ({"axes": "zyy"}, "axes must be different ones of"),
        ({"axes": "zyq"}, "axes must be different ones of"),
        ({"chunks": (1, 1)}, "chunks must be 3 whole numbers"),
        ({"chunks": (1, 1, 0)}, "chunks must be 3 whole numbers"),
        ({"kind": "seg"}, "kind must be 'image' or 'labels'"),
        ({"compression": "zip"}, "zip"),
        ({"provenance": {"a": object()}}, "provenance must be finite numbers"),
        ({"provenance": {"a": np.nan}}, "provenance must be finite numbers"),
    ],
)
@pytest.mark.parametrize("name", ["a.h5", "a.zarr", "a.tif", "a.n5"])
def test_write__options_that_cannot_be_are_refused_and_nothing_is_written(tmp_path, name, options, message):
    needs(name)
    with pytest.raises((SettingError, ShapeError), match=message):
        imio.write(tmp_path / name, small, **options)
    assert everything_in(tmp_path) == {}


def test_write__scales_must_be_a_number(tmp_path):
    with pytest.raises(SettingError, match="scales must be a whole number"):
        imio.write(tmp_path / "a.ome.zarr", small, scales=0)


def test_write__metadata_that_a_format_cannot_hold_is_left_out_with_a_warning(tmp_path):
    with pytest.warns(UserWarning, match="NPY holds no voxel size"):
        imio.write(tmp_path / "a.npy", small, spacing=(1, 1, 1))


@pytest.mark.parametrize(
    ("name", "array"),
    [
        ("a.tif", np.zeros((0, 2, 2), np.uint8)),
        ("a.tif", np.zeros(3, np.uint8)),
        ("p/%d.png", np.zeros((1, 2, 2), np.float32)),
        ("p/%d.png", np.full((1, 2, 2), 70_000)),
        ("p/%d.png", np.full((1, 2, 2), -1)),
        ("p/%d.png", np.zeros((1, 1, 2, 2, 3), np.uint8)),
        ("a.png", np.zeros((2, 2, 5), np.uint8)),
        ("a.png", np.zeros((2, 2, 5), np.bool_)),
        ("a.png", np.zeros((2, 2, 3), np.uint16)),
        ("p/%d.png", np.zeros((1, 2, 2, 3), np.int64) + 300),
        ("p/%d.jpg", np.zeros((1, 2, 2), np.uint16)),
        ("p/%d.jpg", np.zeros((1, 2, 2, 2), np.uint8)),
        ("p/%d.jpg", np.zeros((1, 2, 2), np.int64)),
        ("a.n5", np.zeros((2, 2, 2), np.float16)),
        ("a.n5", np.zeros((0, 2, 2), np.uint8)),
        ("a.precomputed", np.zeros((2, 2, 2), np.float16)),
        ("a.precomputed", np.zeros((2, 2, 2), np.float64)),
        ("a.precomputed", np.zeros((2, 2), np.uint8)),
        ("a.h5", np.zeros((1,) * 6)),
        ("a.h5", np.array(3)),
        ("a.h5", np.array([[object()]])),
        ("a.zarr", np.array([["word"]])),
        ("a.npy", np.array([[object()]])),
    ],
)
def test_write__a_volume_that_the_format_cannot_hold_is_refused(tmp_path, name, array):
    needs(name)
    axes = "yxc" if array.shape[-1:] in ((5,), (3,)) and array.ndim == 3 else None
    with pytest.raises(ImageError, match=r"hold"):
        imio.write(tmp_path / name, array, axes=axes)
    assert everything_in(tmp_path) == {}


@pytest.mark.parametrize("name", ["p/%d.png", "a.tif", "a.n5", "a.precomputed"])
def test_write__booleans_become_0_and_1_where_there_are_none(tmp_path, name):
    needs(name)
    imio.write(tmp_path / name, small > 5)
    again = imio.read(tmp_path / there(name))
    assert again.dtype == np.uint8
    assert (again == (small > 5)).all()


def test_precomputed__labels_become_unsigned_and_negative_ones_are_refused(tmp_path):
    needs("a.precomputed")
    imio.write(tmp_path / "a.precomputed", small.astype(np.int64))
    assert imio.read(tmp_path / "a.precomputed").dtype == np.uint64
    with pytest.raises(LabelError, match="got -1"):
        imio.write(tmp_path / "a.precomputed", small.astype(np.int64) - 1)
    assert (imio.read(tmp_path / "a.precomputed") == small).all()


# Axes


def test_axes__that_are_not_those_of_the_file_are_refused(tmp_path):
    imio.write(tmp_path / "a.ome.zarr", np.zeros((2, 3, 4, 5), np.uint8))
    with pytest.raises(ShapeError, match="has axes czyx, not zyxc as asked"):
        imio.open(tmp_path / "a.ome.zarr", axes="zyxc")
    with pytest.raises(ShapeError, match="axes must name each of 4 axes"):
        imio.open(tmp_path / "a.ome.zarr", axes="zyx")
    with imio.open(tmp_path / "a.ome.zarr", axes="czyx") as volume:
        assert volume.shape == (2, 3, 4, 5)


def test_write__axes_of_a_volume_cannot_be_renamed(tmp_path):
    imio.write(tmp_path / "a.h5", small)
    with imio.open(tmp_path / "a.h5") as volume, pytest.raises(ShapeError, match="leave them out"):
        imio.write(tmp_path / "b.h5", volume, axes="yxc")


# Damage


@pytest.mark.parametrize("share", [0, 0.3, 0.9])
@pytest.mark.parametrize("name", NAMES)
def test_any_format__a_truncated_file_is_named(tmp_path, name, share):
    needs(name)
    imio.write(tmp_path / name, np.random.default_rng(0).integers(0, 255, (8, 70, 80)).astype(np.uint8))
    files = sorted(item for item in (tmp_path / there(name)).rglob("*") if item.is_file())
    for file in files or [tmp_path / name]:
        content = file.read_bytes()
        file.write_bytes(content[: int(share * len(content))])
        with pytest.raises(FileError, match=Path(there(name)).name):
            imio.read(tmp_path / there(name))
        file.write_bytes(content)
    assert imio.read(tmp_path / there(name)).shape == (8, 70, 80)


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=40, deadline=None)
@given(draw=st.data())
def test_any_format__changed_bytes_give_a_volume_or_an_error_that_names_it(tmp_path_factory, name, draw):
    needs(name)
    folder = tmp_path_factory.mktemp("damage")
    size = {} if name == "a.npy" else {"spacing": (3, 2, 1), "unit": "nm"}
    imio.write(folder / name, small, provenance={"a": 1}, **size)
    files = sorted(item for item in folder.rglob("*") if item.is_file())
    file = draw.draw(st.sampled_from(files), label="file")
    content = bytearray(file.read_bytes())
    changes = st.dictionaries(st.integers(0, len(content) - 1), st.integers(0, 255), min_size=1, max_size=3)
    for place, value in draw.draw(changes, label="changes").items():
        content[place] = value
    file.write_bytes(content)
    try:
        outcome = imio.read(folder / there(name))
    except FileError as error:
        outcome = error
    assert isinstance(outcome, np.ndarray) or Path(there(name)).name in str(outcome)


@pytest.mark.parametrize("name", ["a.zarr", "a.n5", "a.precomputed"])
def test_store__without_its_description_is_named(tmp_path, name):
    (tmp_path / name).mkdir()
    with pytest.raises(FileError, match="without the description"):
        imio.open(tmp_path / name)


def test_ome_zarr__metadata_that_is_damaged_is_named(tmp_path):
    imio.write(tmp_path / "a.ome.zarr", small)
    group = zarr.open_group(tmp_path / "a.ome.zarr")
    group.attrs["ome"] = {"multiscales": [{"axes": [{}], "datasets": [{"path": "0"}]}]}
    with pytest.raises(FileError, match=r"a\.ome\.zarr has multiscale metadata that cannot be read"):
        imio.open(tmp_path / "a.ome.zarr")


def test_open__spacing_in_a_file_that_does_not_fit_is_named(tmp_path):
    array = zarr.create_array(tmp_path / "a.zarr", shape=(2, 3, 4), dtype="u1")
    array.attrs["spacing"] = [1, 1]
    with pytest.raises(FileError, match=r"a\.zarr: spacing must be"):
        imio.open(tmp_path / "a.zarr")


def test_open__what_holds_no_numbers_is_named(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["words"] = ["a", "b"]
        file["one"] = 3
        file["many"] = np.zeros((1,) * 6)
    for name in ("words", "many"):
        with pytest.raises(FileError, match=rf"a\.h5::{name}: a volume holds numbers, and has 1 to 5 axes"):
            imio.open(tmp_path / f"a.h5::{name}")
    with pytest.raises(FileError, match="no dataset 'one' that holds an array"):
        imio.open(tmp_path / "a.h5::one")


# What is there already


def test_store__a_group_or_anything_else_is_never_replaced(tmp_path):
    imio.write(tmp_path / "a.zarr::labels", small)
    (tmp_path / "b.zarr").mkdir()
    (tmp_path / "b.zarr" / "thesis.txt").write_text("all of it")
    (tmp_path / "c.zarr").write_text("a file")
    before = everything_in(tmp_path)
    with pytest.raises(FileError, match="is a group that holds labels; name a dataset in it"):
        imio.write(tmp_path / "a.zarr", small)
    for name in ("b.zarr", "b.zarr::labels", "c.zarr", "b.zarr/%d.png"):
        with pytest.raises(FileError, match="cannot be written"):
            imio.write(tmp_path / name, small)
    assert everything_in(tmp_path) == before


def test_series__needs_a_folder_of_its_own(tmp_path):
    with pytest.raises(FileError, match=r"2 planes need a folder of their own, as in .*a/%04d\.png"):
        imio.write(tmp_path / "a.png", small)
    with pytest.raises(FileError, match="2 planes need a folder of their own"):
        imio.write(tmp_path / "50%.png", small)
    imio.write(tmp_path / "a" / "%d.png", small)
    imio.write(tmp_path / "a" / "%d.png", small + 1)
    assert imio.read(tmp_path / "a").min() == 1
    with pytest.raises(FileError, match="something else has that name"):
        imio.write(tmp_path / "a" / "%d.png", small[:1])


# What stops a writer

WRITE = (
    "import sys, numpy as np; from gala import imio\n"
    "class Endless:\n"
    "    shape, dtype = (10**4, 512, 512), np.dtype('u1')\n"
    "    def __getitem__(self, box):\n"
    "        sides = [s.stop - s.start for s in box]\n"
    "        return np.random.default_rng(0).integers(0, 255, sides).astype('u1')\n"
    "print('ready', flush=True)\n"
    "imio.write(sys.argv[1], Endless())\n"
)
LARGE = [name for name in NAMES if name != "a.ome.zarr"]


def stopped(folder, name, kill):
    """Stop a writer that has begun to write."""
    command = [sys.executable, "-c", WRITE, str(folder / name)]
    writer = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, preexec_fn=heed_interrupts)
    try:
        deadline = time.monotonic() + 100
        while not any(item.is_file() for new in folder.glob(".*") for item in [new, *new.rglob("*")]):
            assert writer.poll() is None, f"the writer ended before it could be stopped: {writer.stderr.read()}"
            assert time.monotonic() < deadline, "the writer never started"
            time.sleep(0.01)
        time.sleep(0.2)
    finally:
        writer.send_signal(kill)
        errors = writer.communicate()[1]
    assert writer.returncode != 0, errors


@pytest.mark.compiled
@pytest.mark.parametrize("name", LARGE)
def test_any_format__a_killed_writer_leaves_the_old_volume(tmp_path, name):
    needs(name)
    imio.write(tmp_path / name, small)
    stopped(tmp_path, name, signal.SIGKILL)
    assert (imio.read(tmp_path / there(name)) == small).all()


@pytest.mark.compiled
@pytest.mark.parametrize("name", LARGE)
def test_any_format__an_interrupted_writer_leaves_the_old_volume_and_nothing_else(tmp_path, name):
    needs(name)
    imio.write(tmp_path / name, small)
    before = everything_in(tmp_path)
    stopped(tmp_path, name, signal.SIGINT)
    assert everything_in(tmp_path) == before
    assert os.listdir(tmp_path) == [Path(name).parts[0]]  # noqa: PTH208  # names are what is compared


@pytest.mark.parametrize("name", NAMES)
def test_any_format__a_full_disk_leaves_the_old_volume_and_nothing_else(tmp_path, name):
    needs(name)
    imio.write(tmp_path / name, small)
    before = everything_in(tmp_path)
    script = (
        "import resource, signal, sys, numpy as np\n"
        "from gala import imio; from gala.errors import FileError\n"
        "imio.read(sys.argv[2])\n"
        "volume = np.random.default_rng(0).integers(0, 255, (3, 500, 500)).astype('u1')\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000))\n"
        "try:\n"
        "    imio.write(sys.argv[1], volume)\n"
        "except FileError as error:\n"
        "    print(error)\n"
    )
    command = [sys.executable, "-c", script, str(tmp_path / name), str(tmp_path / there(name))]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    assert "was not written, and is as it was before" in run.stdout, run.stderr
    assert run.stdout.count("\n") == 1
    assert everything_in(tmp_path) == before
