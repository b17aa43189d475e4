"""Volumes in HDF5 files: one file holds any number of datasets, each known by its path in the file."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from gala._files import FileName, existing_file, replacing
from gala._types import Array, ArrayLike
from gala.errors import FileError, GalaError, SettingError
from gala.imio.shared import Crop, crop_box, listed


def read_h5_stack(fn: FileName, group: str = "stack", crop: Crop = None) -> Array:
    """Read a volume, or a box of it, from a dataset of an HDF5 file.

    Parameters
    ----------
    fn : str or path
        The file.
    group : str
        Path of the dataset in the file.
    crop : sequence of int or None, optional
        ``(start0, stop0, start1, stop1, ...)``, a start and a stop for each axis, as in slicing. None means
        from the beginning or to the end; the axes left out are read whole. Only the box is read from disk.

    Returns
    -------
    vol : array, any shape
        The volume, of the dtype in the file.

    Raises
    ------
    FileError
        If the file is missing, damaged or not HDF5, or has no such dataset.
    SettingError
        If `crop` does not fit the dataset.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     write_h5_stack([[1, 2, 3], [4, 5, 6]], f"{folder}/a.h5")
    ...     read_h5_stack(f"{folder}/a.h5", crop=(0, 1, 1, None))
    array([[2, 3]])
    """
    with _found(fn, group) as dataset:
        return np.asarray(dataset[crop_box(crop, dataset.ndim)])


def write_h5_stack(
    vol: ArrayLike,
    fn: FileName,
    group: str = "stack",
    compression: str | int | None = None,
    chunks: bool | tuple[int, ...] | None = None,
) -> None:
    """Write a volume to a dataset of an HDF5 file, keeping the other datasets.

    The file is replaced only when the new one is complete: whatever happens, `fn` holds either all of the new
    or all of the old.

    Parameters
    ----------
    vol : array, any shape
        The volume: numbers or booleans.
    fn : str or path
        The file, new or not.
    group : str
        Path of the dataset in the file; a dataset of that name is replaced.
    compression : {None, "gzip", "lzf"} or int
        "lzf" is fast; "gzip" is smaller, and a number from 0 to 9 is its level.
    chunks : tuple of int or True, optional
        Shape of the blocks that the file stores; True, or None with compression, lets HDF5 choose.

    Raises
    ------
    FileError
        If the file cannot be written, or exists and is not HDF5.
    SettingError
        If HDF5 cannot store the volume in this way.

    Notes
    -----
    Keeping other datasets takes a copy of the file, so writing many into one file costs time.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     write_h5_stack([1, 2], f"{folder}/a.h5", compression="lzf")
    ...     write_h5_stack([3, 4], f"{folder}/a.h5", group="volumes/labels")
    ...     read_h5_stack(f"{folder}/a.h5"), read_h5_stack(f"{folder}/a.h5", "volumes/labels")
    (array([1, 2]), array([3, 4]))
    """
    write_h5_datasets({group: vol}, fn, compression=compression, chunks=chunks)


def write_h5_datasets(
    arrays: Mapping[str, ArrayLike],
    fn: FileName,
    *,
    compression: str | int | None = None,
    chunks: bool | tuple[int, ...] | None = None,
    attributes: Mapping[str, Mapping[str, object]] | None = None,
) -> None:
    """Write several datasets, and attributes of each, to an HDF5 file at once; see `write_h5_stack`."""
    with replacing(fn) as new:
        if Path(fn).exists():
            shutil.copyfile(fn, new)
        with changed_h5(new, shown_as=fn) as file:
            for group, vol in arrays.items():
                array = np.asarray(vol)
                dataset = create_h5(file, group, array, fn, compression=compression, chunks=chunks, data=array)
                dataset.attrs.update((attributes or {}).get(group, {}))


def read_h5_attributes(fn: FileName, group: str) -> dict[str, Any]:
    """Return the attributes of a dataset."""
    with _found(fn, group) as dataset:
        return dict(dataset.attrs)


@contextmanager
def changed_h5(new: Path, *, shown_as: FileName) -> Iterator[h5py.File]:
    """Open a file to be changed, in a block of `replacing`."""
    try:
        with opened_h5(new, "a", shown_as=shown_as) as file:
            yield file
    except RuntimeError as error:  # how h5py says that a file could not be closed, the disk being full
        raise OSError(error) from error


@contextmanager
def _found(fn: FileName, group: str) -> Iterator[h5py.Dataset]:
    existing_file(fn)
    try:
        with opened_h5(fn, "r", shown_as=fn) as file:
            yield _dataset(file, group, fn)
    except GalaError:
        raise
    except Exception as error:  # damaged files make HDF5 fail in many ways
        raise FileError(f"dataset {group!r} of {fn} cannot be read; it may be damaged: {error}.") from error


@contextmanager
def opened_h5(fn: FileName, mode: str, *, shown_as: FileName) -> Iterator[h5py.File]:
    """Open a file, which an error calls `shown_as`."""
    try:
        file = h5py.File(fn, mode)
    except OSError as error:
        raise FileError(
            f"{shown_as} cannot be opened as HDF5; it may be another format or damaged: {error}."
        ) from error
    with file:
        yield file


def _dataset(file: h5py.File, group: str, fn: FileName) -> h5py.Dataset:
    found = file.get(group)
    if not isinstance(found, h5py.Dataset) or found.shape is None:
        raise FileError(f"{fn} has no dataset {group!r} that holds an array; {listed(datasets_in(file))}.")
    return found


def datasets_in(file: h5py.File) -> list[str]:
    """Return the paths of the datasets of a file."""
    names: list[str] = []
    file.visititems(lambda name, item: names.append(name) if isinstance(item, h5py.Dataset) else None)
    return names


def create_h5(file: h5py.File, group: str, vol: Any, fn: FileName, **options: Any) -> h5py.Dataset:
    """Create a dataset of the shape and dtype of `vol`, with options of h5py, in place of one that is there."""
    if isinstance(file.get(group), h5py.Group):
        raise FileError(f"{group!r} is a group of datasets in {fn}; choose the path of a dataset.")
    if group in file:
        del file[group]
    try:
        return file.create_dataset(group, vol.shape, vol.dtype, **options)
    except (TypeError, ValueError) as error:
        raise SettingError(
            f"dataset {group!r} of dtype {vol.dtype} and shape {vol.shape} cannot be written to {fn} with "
            f"compression={options.get('compression')!r} and chunks={options.get('chunks')!r}: {error}."
        ) from error
