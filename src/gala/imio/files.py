"""Volumes by name: `open`, `read` and `write` any format that the name of a file or folder says.

A format is one module with an `open_...` that gives what is stored and a `write_...` that takes a `Volume`.
"""

from __future__ import annotations

import glob
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, Literal

import numpy as np

from gala._files import FileName, existing_file
from gala._types import Array
from gala.errors import FileError, GalaError, SettingError, ShapeError
from gala.imio.axes import axis_names, check_unit, usual_chunks
from gala.imio.locations import Location
from gala.imio.metadata import as_json
from gala.imio.volume import Stored, Volume

# Format: the module that knows it, and the ends of names that mean it, the most telling first.
_formats: dict[str, tuple[str, tuple[str, ...]]] = {
    "ome-zarr-0.5": ("zarrs", (".ome.zarr",)),
    "ome-zarr-0.4": ("zarrs", ()),
    "zarr3": ("zarrs", (".zarr",)),
    "zarr2": ("zarrs", ()),
    "hdf5": ("hdf5_volumes", (".h5", ".hdf5", ".hdf")),
    "tiff": ("tiff", (".tif", ".tiff")),
    "npy": ("npy", (".npy",)),
    "png": ("series", (".png",)),
    "jpeg": ("series", (".jpg", ".jpeg")),
    "n5": ("tensorstores", (".n5",)),
    "precomputed": ("tensorstores", (".precomputed",)),
}


@dataclass(frozen=True, slots=True)
class Options:
    """How to write a volume."""

    format: str
    kind: str  # "labels" or "image"
    chunks: tuple[int, ...]
    compression: str
    scales: int | None
    attributes: Mapping[str, Any]


def open(path: FileName, *, axes: str | Sequence[str] | None = None) -> Volume:  # noqa: A001  # used as imio.open
    """Open a volume in a file or folder; slices of it are read when they are asked for.

    Parameters
    ----------
    path : str or path
        A file, a folder, or a pattern such as ``"planes/*.png"``; ``name::dataset`` for a dataset, or a level of a
        multiscale image, of a file that holds several. Without it: the dataset "stack", or the only one, or level 0.
        The formats are those of `write`.
    axes : str or sequence of str, optional
        The axes in the order of the file, such as "czyx", if it does not name them. If it does, they must be these.

    Returns
    -------
    volume : Volume
        It has shape, dtype, axes (channels last), spacing, unit, attributes and chunks. Use it in a ``with`` block.

    Raises
    ------
    FileError
        If the file is missing, damaged, of an unknown format, or has no such dataset.
    ShapeError
        If the axes are not those asked for.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     write(f"{folder}/a.zarr", np.arange(24).reshape(2, 3, 4), spacing=(40, 4, 4), unit="nm")
    ...     with open(f"{folder}/a.zarr") as volume:
    ...         volume.spacing, volume[1, 2, 1:3]
    ((40.0, 4.0, 4.0), array([21, 22]))
    """
    location = Location.of(path)
    module = import_module(f"gala.imio.{_formats[_format_there(location.path)][0]}")
    stored = _opened(module.open_stored, location)
    try:
        return Volume(stored, str(location), axes=axes)
    except BaseException:
        stored.close()
        raise


def read(path: FileName, *, axes: str | Sequence[str] | None = None) -> Array:
    """Read a whole volume; see `open`.

    Parameters
    ----------
    path, axes
        As in `open`.

    Returns
    -------
    volume : array, shape (plane, row, column[, channel])

    Raises
    ------
    FileError, ShapeError
        As in `open`.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     write(f"{folder}/a.h5::labels", [[1, 2]])
    ...     read(f"{folder}/a.h5::labels")
    array([[1, 2]])
    """
    with open(path, axes=axes) as volume:
        return np.asarray(volume[...])


def write(
    path: FileName,
    array: Any,
    *,
    spacing: Sequence[float] | None = None,
    unit: str | None = None,
    axes: str | Sequence[str] | None = None,
    provenance: Mapping[str, Any] | None = None,
    format: str | None = None,  # noqa: A002  # the word that users know
    kind: Literal["image", "labels"] | None = None,
    chunks: Sequence[int] | None = None,
    compression: str = "default",
    scales: int | None = None,
) -> None:
    """Write a volume to a file or folder, which is replaced only by a complete one.

    Parameters
    ----------
    path : str or path
        The file or folder, with an optional ``::dataset`` for formats that hold several; other datasets stay. A
        series of images is written to a folder of its own, ``"planes/%04d.png"``.
    array : array, `Volume` or dask array, shape (plane, row, column[, channel])
        The volume. What is not in memory is read block by block.
    spacing : sequence of float, optional
        Size of a voxel along each spatial axis; by default that of a `Volume`.
    unit : {"angstrom", "nm", "um", "mm", "cm", "m"}, optional
        Unit of `spacing`.
    axes : str or sequence of str, optional
        Axes of `array`, such as "czyx" or "yxc"; by default those of a `Volume`, or plane, row, column and channel
        for four, the last of row and column for fewer.
    provenance : mapping, optional
        How the volume was made, as from `provenance`; it is read back as ``attributes["provenance"]``.
    format : str, optional
        One of "hdf5", "zarr3", "zarr2", "ome-zarr-0.5", "ome-zarr-0.4", "tiff", "npy", "png", "jpeg", "n5" and
        "precomputed"; by default the end of the name says it.
    kind : {"image", "labels"}, optional
        Labels are scaled down without inventing any; by default whole numbers of 32 bits or more are labels.
    chunks : sequence of int, optional
        Shape of the blocks to store, as the axes of `array`; by default 64 along each of three spatial axes.
    compression : str, optional
        "none", or the name of a compression that the format has: "gzip" or "lzf" for HDF5, "zstd" or "gzip" for zarr
        and N5, "zlib" for TIFF, "jpeg" or "png" for images of 8 bits in precomputed volumes.
    scales : int, optional
        Number of scales of OME-Zarr and precomputed volumes; by default until a side is at most 128.

    Raises
    ------
    FileError
        If the file cannot be written; what was there before stays.
    SettingError, ShapeError, ImageError
        If options are not possible, or the format cannot hold the volume.

    Examples
    --------
    See `open` and `read`.
    """
    location = Location.of(path)
    chosen = format_asked(location.path) if format is None else format
    if chosen not in _formats:
        raise SettingError(f"format must be one of {', '.join(_formats)}; got {format!r}.")
    volume = as_volume(array, axes=axes, spacing=spacing, unit=unit)
    if kind not in (None, "image", "labels"):
        raise SettingError(f"kind must be 'image' or 'labels'; got {kind!r}.")
    given = provenance if provenance is not None else volume.attributes.get("provenance")
    options = Options(
        chosen,
        kind or ("labels" if volume.dtype.kind in "ui" and volume.dtype.itemsize >= 4 else "image"),
        _checked_chunks(chunks, volume),
        compression,
        scales,
        {} if given is None else {"provenance": as_json(given, "provenance")},
    )
    import_module(f"gala.imio.{_formats[chosen][0]}").write_volume(location, volume, options)


def as_volume(
    array: Any,
    *,
    axes: str | Sequence[str] | None = None,
    spacing: Sequence[float] | None = None,
    unit: str | None = None,
) -> Volume:
    """Return an array, in memory or not, as a `Volume`.

    Examples
    --------
    >>> as_volume(np.zeros((3, 5, 6)), axes="cyx", spacing=(4, 4), unit="nm")
    <Volume memory: memory, yxc (5, 6, 3) float64, 4 x 4 nm>
    """
    known = check_unit(unit)
    if isinstance(array, Volume):
        if axes is not None and axis_names(axes) != array.axes:
            raise ShapeError(f"axes of {array.path} are {', '.join(array.axes)}; got {axes!r}: leave them out.")
        spacing, known = (array.spacing, array.unit) if spacing is None else (spacing, known or array.unit)
        _check_spacing_of(known, spacing)
        stored = Stored(array, "memory", array.axes, spacing, known, array.attributes, array.chunks)
        return Volume(stored, array.path)
    _check_spacing_of(known, spacing)
    values = array if all(hasattr(array, name) for name in ("shape", "dtype", "__getitem__")) else np.asarray(array)
    chunks = getattr(values, "chunksize", getattr(values, "chunks", None))  # of dask; of h5py, zarr
    return Volume(Stored(values, "memory", None, spacing, known, {}, chunks), "memory", axes=axes)


def _check_spacing_of(unit: str | None, spacing: Sequence[float] | None) -> None:
    if unit is not None and spacing is None:
        raise SettingError(f"unit needs spacing, the size of a voxel along each axis; got {unit!r} alone.")


def _checked_chunks(chunks: Sequence[int] | None, volume: Volume) -> tuple[int, ...]:
    if chunks is None:
        return usual_chunks(volume.shape, volume.axes)
    if len(chunks) != volume.ndim or not all(isinstance(side, int | np.integer) and side > 0 for side in chunks):
        raise SettingError(f"chunks must be {volume.ndim} whole numbers above 0; got {chunks!r}.")
    # In the order that is presented: those of `array` may be in another.
    return tuple(max(1, min(int(chunks[i]), n)) for i, n in zip(volume.order, volume.shape, strict=False))


def _opened(opener: Callable[[Location], Stored], location: Location) -> Stored:
    try:
        return opener(location)
    except (GalaError, MemoryError):
        raise
    except Exception as error:  # damaged files make libraries fail in many ways
        reason = " ".join(str(error).split()) or type(error).__name__
        raise FileError(f"{location} cannot be opened; it may be damaged or of another format: {reason}.") from error


def _ending(path: Path) -> str | None:
    """Return the format that the end of a name means."""
    name = path.name.lower()
    found = [known for known, (_, ends) in _formats.items() if name.endswith(ends)]
    return found[0] if found else None


def format_asked(path: Path) -> str:
    """Return the format that the name of a new file or folder says."""
    found = _ending(path)
    if found is None:
        ends = ", ".join(end for _, ends in _formats.values() for end in ends)
        raise FileError(f"the end of {path} must say its format, one of {ends}; or give `format`.")
    return found


def _format_there(path: Path) -> str:
    """Return the format of what is there: of a folder, what it holds says it."""
    if path.is_dir():
        if any((path / name).exists() for name in ("zarr.json", ".zarray", ".zgroup")):
            return "zarr3"
        if (path / "attributes.json").exists():
            return "n5"
        if (path / "info").exists():
            return "precomputed"
        if path.suffix.lower() in (".zarr", ".n5", ".precomputed"):
            raise FileError(f"{path} is a folder without the description of a {path.suffix[1:]} volume; is it damaged?")
        return "png"
    if glob.has_magic(str(path)) and not path.exists():
        return "png"
    existing_file(path)
    return format_asked(path)


def refuse_dataset(location: Location) -> None:
    """Raise if a dataset is named of a file that holds one volume."""
    if location.dataset is not None:
        raise FileError(f"{location.path} holds one volume and no datasets; leave '::{location.dataset}' out.")
