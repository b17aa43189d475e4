"""What is written to any format is read back: values, axes, voxel size and how the volume was made."""

import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from hypothesis.extra import numpy as hnp
from numpy.testing import assert_array_equal

from gala import imio
from gala.errors import ImageError, SettingError
from gala.imio.files import _formats

few = settings(max_examples=25, deadline=None)
integers = ["u1", "u2", "u4", "u8", "i1", "i2", "i4", "i8"]
anything = [*integers, "f2", "f4", "f8", "?"]
units = st.sampled_from(["nm", "um", "mm", None])
made = {"gala": "1", "parameters": {"threshold": 0.5, "names": ["a"]}, "inputs": {"a.h5": "00ff"}}

# The name of a file, options, and the dtypes that it keeps.
FORMATS = {
    "hdf5": ("a.h5", {}, anything),
    "hdf5 dataset": ("a.hdf::volumes/raw", {}, anything),
    "zarr 3": ("a.zarr", {}, anything),
    "zarr 2": ("a.zarr", {"format": "zarr2"}, anything),
    "zarr dataset": ("a.zarr::volumes/raw", {"compression": "gzip"}, anything),
    "ome-zarr 0.5": ("a.ome.zarr", {}, anything),
    "ome-zarr 0.4": ("a.ome.zarr", {"format": "ome-zarr-0.4", "compression": "gzip"}, anything),
    "ome-zarr label": ("a.ome.zarr::labels/cells", {"scales": 2, "kind": "labels"}, anything),
    "tiff": ("a.tif", {}, [*integers, "f2", "f4", "f8"]),
    "compressed tiff": ("a.tiff", {"compression": "zlib"}, [*integers, "f2", "f4", "f8"]),
    "npy": ("a.npy", {}, anything),
    "n5": ("a.n5", {}, [d for d in anything if d not in ("f2", "?")]),
    "n5 dataset": ("a.n5::volumes/raw", {"compression": "gzip"}, integers),
    "precomputed": ("a.precomputed", {"kind": "image"}, ["u1", "u2", "u4", "i1", "i2", "i4", "f4"]),
    "precomputed labels": ("a.precomputed", {"kind": "labels"}, ["u1", "u2", "u4", "u8"]),
    "png": ("planes/%03d.png", {}, ["u1", "u2"]),
}
WITHOUT_METADATA = {"npy"}


@st.composite
def volumes(draw, dtypes, max_channels=3):
    shape = draw(st.tuples(*[st.integers(1, 7)] * 3))
    channels = draw(st.sampled_from([(), *[(n,) for n in range(2, max_channels + 1)]]))
    values = draw(hnp.arrays(draw(st.sampled_from(dtypes)), shape + channels))
    spacing = draw(st.tuples(*[st.floats(0.1, 1e3).map(lambda side: float(f"{side:.6g}"))] * 3))
    return values, spacing


@pytest.mark.parametrize("name", FORMATS)
@few
@given(draw=st.data(), unit=units)
def test_any_format__what_is_read_is_what_was_written(tmp_path_factory, name, draw, unit):
    file, options, dtypes = FORMATS[name]
    if "n5" in name or "precomputed" in name:
        pytest.importorskip("tensorstore", reason="N5 and precomputed need tensorstore")
    values, spacing = draw.draw(volumes(dtypes, max_channels=1 if name == "png" else 3))
    if name in WITHOUT_METADATA:
        spacing = unit = None
    folder = tmp_path_factory.mktemp("volumes")
    imio.write(folder / file, values, spacing=spacing, unit=unit, provenance=made, **options)
    where = folder / ("planes" if name == "png" else file)
    again = imio.read(where)
    assert again.dtype == values.dtype
    assert_array_equal(again, values)
    again[...] = 0  # it is the caller's own
    with imio.open(where) as volume:
        assert volume.shape == values.shape
        assert volume.axes == ("plane", "row", "column", "channel")[: values.ndim]
        if name not in WITHOUT_METADATA:
            assert volume.spacing == pytest.approx(spacing, rel=1e-12)
            assert volume.unit == unit
            assert volume.attributes["provenance"] == made


# The table of the docs

PAGE = Path(__file__).parents[1] / "docs" / "volumes.md"
ROWS = [
    [cell.strip() for cell in line.strip("| \n").split(" | ")]
    for line in PAGE.read_text().splitlines()
    if line.startswith("| `")
]
EVERY = {name: np.zeros((2, 3, 4), name) for name in [*integers, "f2", "f4", "f8", "?"]}


def written(row, folder, array, **options):
    """Write to the format of a row of the table, and return where it is."""
    name = re.findall(r"`([^`]+)`", row[1])[-1]
    if "=" in name:
        name, options = "a.ome.zarr" if "ome" in name else "a.zarr", options | {"format": row[0].strip("`")}
    imio.write(folder / name, array, **options)
    return folder / name.partition("/%")[0]


def test_table__has_a_row_for_each_format():
    assert sorted(row[0].strip("`") for row in ROWS) == sorted(_formats)


@pytest.mark.parametrize("row", ROWS, ids=[row[0].strip("`") for row in ROWS])
def test_table__is_true(tmp_path, row):
    if row[0] in ("`n5`", "`precomputed`"):
        pytest.importorskip("tensorstore", reason="N5 and precomputed need tensorstore")
    _, _, datasets, dtypes, metadata, compressions, _ = row
    kept = set()
    for number, (name, values) in enumerate(EVERY.items()):
        (tmp_path / str(number)).mkdir()
        try:
            if imio.read(written(row, tmp_path / str(number), values)).dtype == values.dtype:
                kept.add(name)
        except ImageError:
            assert "all" not in dtypes
    expected = {
        "all": set(anything),
        "all; booleans become uint8": set(anything) - {"?"},
        "whole numbers up to 65535": {"u1", "u2"},
        "uint8, not exactly": {"u1"},
        "integers, float32, float64; booleans become uint8": {*integers, "f4", "f8"},
    }.get(dtypes, {*integers, "f4"} - {"i8", "i4"})
    assert kept == expected
    small = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)
    if metadata == "yes":
        with imio.open(written(row, tmp_path, small, spacing=(3, 2, 1), unit="nm", provenance=made)) as volume:
            assert (volume.spacing, volume.unit, volume.attributes["provenance"]) == ((3, 2, 1), "nm", made)
    if datasets == "yes":
        where = written(row, tmp_path, small)
        if "ome" not in row[0]:
            (tmp_path / "b").mkdir()
            where = tmp_path / "b" / where.name
        imio.write(f"{where}::labels/b", small, format=row[0].strip("`"))
        assert_array_equal(imio.read(f"{where}::labels/b"), small)
    for name in re.findall(r"\b(gzip|lzf|zstd|zlib|none|jpeg|png)\b", compressions):
        written(row, tmp_path / "0", small, compression=name)
    with pytest.raises(SettingError, match="compression"):
        written(row, tmp_path / "0", small, compression="unknown")


def test_provenance__of_a_name_with_colons_is_that_of_the_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    imio.write("a.h5::labels", np.ones((2, 3), dtype=np.int32))
    Path("a.h5").rename("a::b.h5")
    found = imio.provenance({}, ["a::b.h5", "a::b.h5::labels"])["inputs"]
    assert set(found) == {"a::b.h5", "a::b.h5::labels"}
    assert len(set(found.values())) == 1
