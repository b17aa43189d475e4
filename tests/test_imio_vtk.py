"""VTK files hold what the format says, byte by byte, and come back as they were; damaged ones are named."""

import struct

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from hypothesis.extra import numpy as hnp

from gala import imio
from gala.errors import FileError, ImageError, SettingError, ShapeError

few = settings(deadline=None, max_examples=40)
dtypes = st.one_of(
    hnp.integer_dtypes(endianness="?"),
    hnp.unsigned_integer_dtypes(endianness="?"),
    hnp.floating_dtypes(endianness="?", sizes=(32, 64)),
)
volumes = hnp.arrays(dtypes, hnp.array_shapes(min_dims=3, max_dims=3, max_side=5))

# Two planes of one row and three columns, as VTK's documentation describes a file.
HEAD = (
    b"# vtk DataFile Version 2.0\nmade by hand\nBINARY\nDATASET STRUCTURED_POINTS\nDIMENSIONS 3 1 2\n"
    b"ORIGIN 0 0 0\nSPACING 4 5 40.5\nPOINT_DATA 6\nSCALARS density short 1\nLOOKUP_TABLE default\n"
)
BY_HAND = HEAD + struct.pack(">6h", 1, -2, 3, 256, 5, 6) + b"\n"
VALUES = np.array([[[1, -2, 3]], [[256, 5, 6]]], dtype=np.int16)


def written(path, content):
    path.write_bytes(content)
    return path


def test_vtk__a_file_made_by_hand_is_read(tmp_path):
    fn = written(tmp_path / "a.vtk", BY_HAND)
    vol = imio.read_vtk(fn)
    assert vol.dtype == np.int16
    np.testing.assert_array_equal(vol, VALUES)
    assert imio.read_vtk_spacing(str(fn)) == (40.5, 5.0, 4.0)


def test_vtk__what_is_written_is_the_file_made_by_hand(tmp_path):
    imio.write_vtk(VALUES, tmp_path / "a.vtk", spacing=(40.5, 5, 4))
    content = (tmp_path / "a.vtk").read_bytes()
    assert content.endswith(b"\nLOOKUP_TABLE default\n" + struct.pack(">6h", 1, -2, 3, 256, 5, 6) + b"\n")
    lines = content.split(b"\n")
    assert lines[0] == b"# vtk DataFile Version 3.0"
    assert lines[2:9] == [
        b"BINARY",
        b"DATASET STRUCTURED_POINTS",
        b"DIMENSIONS 3 1 2",
        b"ORIGIN 0 0 0",
        b"SPACING 4.0 5.0 40.5",
        b"POINT_DATA 6",
        b"SCALARS values short 1",
    ]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"\n", b"\r\n"),
        (b"SPACING", b"ASPECT_RATIO"),
        (b"STRUCTURED_POINTS", b"structured_points"),
        (b"ORIGIN 0 0 0\n", b"\n"),
        (b" short 1", b" short"),
        (b" short 1", b" SHORT 1"),
    ],
)
def test_vtk__other_ways_of_writing_the_header_are_read(tmp_path, old, new):
    fn = written(tmp_path / "a.vtk", HEAD.replace(old, new) + BY_HAND[len(HEAD) :])
    np.testing.assert_array_equal(imio.read_vtk(fn), VALUES)
    assert imio.read_vtk_spacing(fn) == (40.5, 5.0, 4.0)


@few
@given(vol=volumes, spacing=st.tuples(*[st.floats(1e-3, 1e3)] * 3))
def test_vtk__what_is_read_is_what_was_written(tmp_path_factory, vol, spacing):
    fn = tmp_path_factory.mktemp("vtk") / "a.vtk"
    imio.write_vtk(vol, fn, spacing)
    again = imio.read_vtk(fn)
    assert again.dtype == vol.dtype.newbyteorder("=")
    np.testing.assert_array_equal(again, vol)
    assert imio.read_vtk_spacing(fn) == spacing


@few
@given(volumes)
def test_vtk__text_is_read_as_binary_is(tmp_path_factory, vol):
    fn = tmp_path_factory.mktemp("vtk") / "a.vtk"
    imio.write_vtk(vol, fn)
    head, _ = fn.read_bytes().split(b"default\n", maxsplit=1)
    values = "\n".join(repr(value) for value in vol.ravel().tolist())
    fn.write_bytes(head.replace(b"BINARY", b"ASCII") + b"default\n" + values.encode())
    np.testing.assert_array_equal(imio.read_vtk(fn), vol)


def test_vtk__channels_are_the_last_axis_and_booleans_are_numbers(tmp_path):
    vol = np.random.default_rng(0).random((2, 3, 4, 3))
    imio.write_vtk(vol, tmp_path / "a.vtk")
    np.testing.assert_array_equal(imio.read_vtk(tmp_path / "a.vtk"), vol)
    imio.write_vtk(vol[..., :1] > 0.5, tmp_path / "a.vtk")
    again = imio.read_vtk(tmp_path / "a.vtk")
    assert again.dtype == np.uint8
    np.testing.assert_array_equal(again, vol[..., 0] > 0.5)


@pytest.mark.parametrize(
    ("coding", "values"),
    [(b"BINARY", bytes([0, 1, 2, 100, 254, 255])), (b"ASCII", b"0 0.00392157 0.00784314 \n0.392157 0.996078 1")],
)
def test_vtk__bytes_as_vtk_writes_them_are_read(tmp_path, coding, values):
    head = HEAD.replace(b"BINARY", coding).replace(
        b"SCALARS density short 1\nLOOKUP_TABLE default", b"COLOR_SCALARS x 1"
    )
    vol = imio.read_vtk(written(tmp_path / "a.vtk", head + values))
    assert vol.dtype == np.uint8
    assert vol.tolist() == [[[0, 1, 2]], [[100, 254, 255]]]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "no legacy VTK file"),
        (b"\x89PNG\r\n", "no legacy VTK file"),
        (HEAD[:40], "third line must be BINARY or ASCII"),
        (BY_HAND.replace(b"BINARY", b"base64"), "third line must be BINARY or ASCII; got b'BASE64'"),
        (HEAD[:-40], "no scalars at points, or is damaged; the entries found: DATASET.*POINT_DATA"),
        (BY_HAND.replace(b"SCALARS density short 1\nLOOKUP_TABLE default", b"VECTORS v short"), "found: .*VECTORS"),
        (BY_HAND.replace(b"STRUCTURED_POINTS", b"POLYDATA"), "DATASET is POLYDATA"),
        (BY_HAND.replace(b"POINT_DATA", b"CELL_DATA"), "no POINT_DATA"),
        (BY_HAND.replace(b"DIMENSIONS 3 1 2\n", b""), "no DIMENSIONS"),
        (BY_HAND.replace(b"DIMENSIONS 3", b"DIMENSIONS -3"), "not the product of DIMENSIONS -3 1 2"),
        (BY_HAND.replace(b"DIMENSIONS 3", b"DIMENSIONS three"), "invalid literal.*three"),
        (BY_HAND.replace(b"POINT_DATA 6", b"POINT_DATA 5"), "not the product of DIMENSIONS 3 1 2"),
        (BY_HAND.replace(b"SPACING 4", b"SPACING 0"), "SPACING must be three lengths"),
        (BY_HAND.replace(b"short", b"string"), "SCALARS are of type string, none of unsigned_char"),
        (BY_HAND[:-2], "too short: 12 bytes of values are announced, and 11 are there"),
        (BY_HAND.replace(b"S 3 1 2", b"S 3 1 " + b"9" * 30).replace(b"A 6", b"A 2" + b"9" * 29 + b"7"), "too short"),
        (HEAD.replace(b"BINARY", b"ASCII") + b"1 2 3 4 5", "too short: 6 values are announced, and 5 are there"),
        (BY_HAND.replace(b"SCALARS density short 1", b"COLOR_SCALARS density red"), "invalid literal.*red"),
        (HEAD.replace(b"BINARY", b"ASCII") + b"1 2 3 4 5 x", "not of type int16"),
        (HEAD.replace(b"BINARY", b"ASCII") + b"1 2 3 4 5 40000", "not of type int16"),
    ],
)
def test_vtk__damage_is_named(tmp_path, content, words):
    fn = written(tmp_path / "a.vtk", content)
    with pytest.raises(FileError, match=rf"a\.vtk .*{words}"):
        imio.read_vtk(fn)


@few
@given(changes=st.dictionaries(st.integers(0, len(BY_HAND) - 1), st.binary(min_size=1, max_size=3), min_size=1))
def test_vtk__changed_bytes_give_a_volume_or_a_file_error(tmp_path_factory, changes):
    content = bytearray(BY_HAND)
    for place, change in changes.items():
        content[place : place + len(change)] = change
    fn = written(tmp_path_factory.mktemp("vtk") / "a.vtk", content)
    try:
        assert isinstance(imio.read_vtk(fn), np.ndarray)
    except FileError as error:
        assert "a.vtk" in str(error)  # noqa: PT017  # either is right


def test_vtk__missing_files_are_named(tmp_path):
    with pytest.raises(FileError, match=r"no file .*a\.vtk"):
        imio.read_vtk(tmp_path / "a.vtk")
    with pytest.raises(FileError, match="there is no folder"):
        imio.write_vtk(VALUES, tmp_path / "nowhere" / "a.vtk")


@pytest.mark.parametrize(
    ("vol", "spacing", "error", "words"),
    [
        (np.zeros((2, 2, 2), np.float16), (1, 1, 1), ImageError, "got float16"),
        (np.zeros((2, 2, 2), complex), (1, 1, 1), ImageError, "got complex128"),
        (np.zeros((2, 2)), (1, 1, 1), ShapeError, r"got shape \(2, 2\)"),
        (np.zeros((2, 2, 2, 5)), (1, 1, 1), ShapeError, "1 to 4 channels"),
        (np.zeros((2, 0, 2)), (1, 1, 1), ShapeError, "and voxels"),
        (VALUES, (1, 1), SettingError, "spacing must be three lengths"),
        (VALUES, (1, 1, 0), SettingError, "spacing must be three lengths"),
        (VALUES, (1, 1, np.nan), SettingError, "spacing must be three lengths"),
    ],
)
def test_vtk__what_it_cannot_hold_is_refused_and_the_old_file_stays(tmp_path, vol, spacing, error, words):
    fn = written(tmp_path / "a.vtk", b"old")
    with pytest.raises(error, match=words):
        imio.write_vtk(vol, fn, spacing)
    assert [item.read_bytes() for item in tmp_path.iterdir()] == [b"old"]
