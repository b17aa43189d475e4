"""Legacy VTK files of structured points: a volume and its voxel size, for ParaView and other viewers.

A text header, then the voxels, in binary with the highest byte first or as text, columns fastest:
https://docs.vtk.org/en/latest/vtk_file_formats/vtk_legacy_file_format.html
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np

from gala._files import FileName, existing_file, replacing
from gala._types import Array, ArrayLike
from gala.errors import FileError, ImageError, ShapeError
from gala.imio.shared import three_lengths

_types = {
    "unsigned_char": "u1",
    "char": "i1",
    "signed_char": "i1",
    "unsigned_short": "u2",
    "short": "i2",
    "unsigned_int": "u4",
    "int": "i4",
    "vtkidtype": "i4",
    "vtktypeuint64": "u8",
    "vtktypeint64": "i8",
    "unsigned_long": "u8",
    "long": "i8",
    "float": "f4",
    "double": "f8",
}
_names = {code: name for name, code in reversed(_types.items()) if "long" not in name}
_longest_line = 1024


class _Header(NamedTuple):
    is_binary: bool
    shape: tuple[int, ...]  # plane, row, column and, if there are several, channel
    spacing: tuple[float, float, float]
    dtype: np.dtype[np.generic]
    text_unit: float  # what 1 in a text file stands for


def read_vtk(fin: FileName) -> Array:
    """Read the first array of scalars from a legacy VTK file of structured points.

    Parameters
    ----------
    fin : str or path
        The file, binary or text.

    Returns
    -------
    vol : array, shape (plane, row, column[, channel])
        The values at the points; the x of the file are columns and its z planes.

    Raises
    ------
    FileError
        If the file is missing, damaged or too short, or holds something else.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     write_vtk(np.arange(4, dtype=np.uint8).reshape(1, 2, 2), f"{folder}/a.vtk")
    ...     read_vtk(f"{folder}/a.vtk")
    array([[[0, 1],
            [2, 3]]], dtype=uint8)
    """
    path = existing_file(fin)
    with path.open("rb") as file:
        header = _read_header(file, path)
        return _read_binary(file, header, path) if header.is_binary else _read_text(file, header, path)


def read_vtk_spacing(fin: FileName) -> tuple[float, float, float]:
    """Read the voxel size from a legacy VTK file of structured points.

    Parameters
    ----------
    fin : str or path
        The file, binary or text.

    Returns
    -------
    spacing : tuple of 3 float
        Size of a voxel along planes, rows and columns; 1 if the file does not say.

    Raises
    ------
    FileError
        If the file is missing or damaged, or holds something else.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     write_vtk(np.zeros((2, 2, 2)), f"{folder}/a.vtk", spacing=(40, 4, 4))
    ...     read_vtk_spacing(f"{folder}/a.vtk")
    (40.0, 4.0, 4.0)
    """
    path = existing_file(fin)
    with path.open("rb") as file:
        return _read_header(file, path).spacing


def write_vtk(ar: ArrayLike, fn: FileName, spacing: Sequence[float] = (1.0, 1.0, 1.0)) -> None:
    """Write a volume to a binary legacy VTK file of structured points.

    Parameters
    ----------
    ar : array, shape (plane, row, column[, channel])
        The volume: integers, float32 or float64; booleans become 0 and 1. 1 to 4 channels; a single one is read
        back without its axis.
    fn : str or path
        The file; it is replaced only by a complete one.
    spacing : sequence of 3 float
        Size of a voxel along planes, rows and columns.

    Raises
    ------
    FileError
        If the file cannot be written.
    ImageError
        If VTK has no such numbers.
    ShapeError
        If the volume has other axes, or no voxels.
    SettingError
        If `spacing` is not three lengths.

    Examples
    --------
    See `read_vtk`.
    """
    vol = np.asarray(ar)
    size = three_lengths(spacing, "spacing")
    if vol.size == 0 or not (vol.ndim == 3 or (vol.ndim == 4 and vol.shape[-1] <= 4)):
        raise ShapeError(
            "ar must have axes (plane, row, column), or a fourth with 1 to 4 channels, and voxels; "
            f"got shape {vol.shape}."
        )
    if vol.dtype == bool:
        vol = vol.astype(np.uint8)
    code = f"{vol.dtype.kind}{vol.dtype.itemsize}"
    if code not in _names:
        raise ImageError(f"VTK holds integers, float32 and float64; got {vol.dtype}. Convert the volume first.")
    lines = [
        "# vtk DataFile Version 3.0",
        "volume",
        "BINARY",
        "DATASET STRUCTURED_POINTS",
        "DIMENSIONS {2} {1} {0}".format(*vol.shape),
        "ORIGIN 0 0 0",
        "SPACING {2!r} {1!r} {0!r}".format(*size),
        f"POINT_DATA {math.prod(vol.shape[:3])}",
        f"SCALARS values {_names[code]} {math.prod(vol.shape[3:])}",
        "LOOKUP_TABLE default",
    ]
    with replacing(fn) as new, new.open("wb") as file:
        file.write("".join(f"{line}\n" for line in lines).encode())
        np.ascontiguousarray(vol, dtype=vol.dtype.newbyteorder(">")).tofile(file)
        file.write(b"\n")


def _read_header(file: BinaryIO, path: Path) -> _Header:
    """Read up to the values of the first scalars."""
    if not file.readline(_longest_line).startswith(b"# vtk DataFile Version"):
        raise FileError(f"{path} is no legacy VTK file: it does not begin with '# vtk DataFile Version'.")
    file.readline(_longest_line)  # a title
    coding = file.readline(_longest_line).strip().upper()
    if coding not in (b"BINARY", b"ASCII"):
        raise FileError(f"{path} is damaged: its third line must be BINARY or ASCII; got {coding[:40]!r}.")
    words: dict[str, list[str]] = {}
    while not words.keys() & {"LOOKUP_TABLE", "COLOR_SCALARS"}:
        line = file.readline(_longest_line)
        key, *rest = line.decode("ascii", "replace").split() or [""]
        if not line or len(line) == _longest_line or (key and not key.replace("_", "").isalpha()):
            known = ", ".join(words) or "none"
            raise FileError(f"{path} has no scalars at points, or is damaged; the entries found: {known}.")
        if key:
            words[key.upper()] = rest
    try:
        return _header(words, coding == b"BINARY")
    except (FileError, ValueError, KeyError, IndexError) as error:
        raise FileError(f"{path} cannot be read as structured points with scalars: {_reason(error)}.") from error


def _header(words: dict[str, list[str]], is_binary: bool) -> _Header:
    if [word.upper() for word in words["DATASET"]] != ["STRUCTURED_POINTS"]:
        raise FileError(f"DATASET is {' '.join(words['DATASET'])}")
    columns, rows, planes = map(int, words["DIMENSIONS"])
    x, y, z = map(float, words.get("SPACING", words.get("ASPECT_RATIO", ["1", "1", "1"])))
    if "COLOR_SCALARS" in words:  # how VTK writes bytes: from 0 to 1 in a text file
        kind, n_channels, text_unit = "unsigned_char", int(words["COLOR_SCALARS"][1]), 255.0
    else:
        kind, n_channels, text_unit = words["SCALARS"][1].lower(), int([*words["SCALARS"], "1"][2]), 1.0
    if min(columns, rows, planes, n_channels) < 1 or int(words["POINT_DATA"][0]) != columns * rows * planes:
        raise FileError(f"POINT_DATA is not the product of DIMENSIONS {columns} {rows} {planes}")
    if kind not in _types:
        raise FileError(f"SCALARS are of type {kind}, none of {', '.join(_types)}")
    shape = (planes, rows, columns) + ((n_channels,) if n_channels > 1 else ())
    return _Header(is_binary, shape, three_lengths((z, y, x), "SPACING"), np.dtype(_types[kind]), text_unit)


def _reason(error: Exception) -> str:
    return f"no {error.args[0]}" if isinstance(error, KeyError) else str(error).rstrip(".")


def _read_binary(file: BinaryIO, header: _Header, path: Path) -> Array:
    n_bytes = math.prod(header.shape) * header.dtype.itemsize
    start = file.tell()
    there = path.stat().st_size - start
    if there < n_bytes:
        raise FileError(f"{path} is too short: {n_bytes} bytes of values are announced, and {there} are there.")
    values = np.fromfile(file, header.dtype.newbyteorder(">"), math.prod(header.shape))
    return values.astype(header.dtype, copy=False).reshape(header.shape)


def _read_text(file: BinaryIO, header: _Header, path: Path) -> Array:
    n_values = math.prod(header.shape)
    text = file.read()
    words = text.split(maxsplit=min(n_values, len(text)))[:n_values]
    if len(words) < n_values:
        raise FileError(f"{path} is too short: {n_values} values are announced, and {len(words)} are there.")
    try:
        values = np.array(words)
        if header.text_unit != 1:
            values = np.rint(values.astype(np.float64) * header.text_unit).clip(0, header.text_unit)
        return values.astype(header.dtype).reshape(header.shape)
    except (ValueError, OverflowError) as error:
        raise FileError(f"{path} holds a value that is not of type {header.dtype}: {error}.") from error
