"""CREMI files: HDF5 with the volumes of the CREMI challenge, their voxel sizes and their places (cremi.org/data)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from gala._files import FileName
from gala._types import Array, ArrayLike
from gala.errors import FileError, SettingError, ShapeError
from gala.graph.labels import as_labels
from gala.imio.hdf5 import read_h5_attributes, read_h5_stack, write_h5_datasets
from gala.imio.shared import three_lengths

_usual = ("volumes/raw", "volumes/labels/neuron_ids")


def read_cremi(fn: FileName, datasets: Sequence[str] = _usual) -> list[Array]:
    """Read volumes of a CREMI file.

    Parameters
    ----------
    fn : str or path
        The file.
    datasets : sequence of str
        Paths of the volumes in the file; the image and the neurons by default. Synaptic clefts are
        ``"volumes/labels/clefts"``, with 2**64 - 1 where there is none.

    Returns
    -------
    volumes : list of array, shape (plane, row, column)
        The volumes in that order, of the dtypes in the file.

    Raises
    ------
    FileError
        If the file is missing, damaged or not HDF5, or has no such dataset.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     write_cremi({"volumes/raw": [[[7, 8]]], "volumes/labels/neuron_ids": [[[1, 2]]]}, f"{folder}/a.hdf")
    ...     image, neurons = read_cremi(f"{folder}/a.hdf")
    >>> neurons
    array([[[1, 2]]], dtype=uint64)
    """
    return [read_h5_stack(fn, dataset) for dataset in datasets]


def read_cremi_geometry(
    fn: FileName, dataset: str = "volumes/raw"
) -> tuple[tuple[float, float, float], tuple[float, float, float]]:
    """Read the voxel size and the place of a volume of a CREMI file.

    Parameters
    ----------
    fn : str or path
        The file.
    dataset : str
        Path of the volume in the file.

    Returns
    -------
    resolution : tuple of 3 float
        Size of a voxel along planes, rows and columns, in nm: the ``spacing`` of other functions.
    offset : tuple of 3 float
        Place of the first voxel, in nm; (0, 0, 0) if the file does not say.

    Raises
    ------
    FileError
        If the file or the dataset is missing or damaged, or its resolution or offset is not three numbers.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     write_cremi({"volumes/raw": [[[7, 8]]]}, f"{folder}/a.hdf")
    ...     read_cremi_geometry(f"{folder}/a.hdf")
    ((40.0, 4.0, 4.0), (0.0, 0.0, 0.0))
    """
    attributes = read_h5_attributes(fn, dataset)
    if "resolution" not in attributes:
        there_are = ", ".join(attributes) or "none"
        raise FileError(f"dataset {dataset!r} of {fn} has no attribute 'resolution'; there are: {there_are}.")
    try:
        resolution = three_lengths(attributes["resolution"], "resolution")
        offset = _place(attributes.get("offset", (0, 0, 0)))
    except SettingError as error:
        raise FileError(f"dataset {dataset!r} of {fn}: {error}") from error
    return resolution, offset


def write_cremi(
    data_dict: Mapping[str, ArrayLike],
    fn: FileName,
    resolution: Sequence[float] = (40, 4, 4),
    *,
    offsets: Mapping[str, Sequence[float]] | None = None,
    compression: str | int | None = "gzip",
) -> None:
    """Write volumes to a CREMI file, keeping its other datasets.

    Parameters
    ----------
    data_dict : mapping of str to array, shape (plane, row, column)
        Each volume by its path in the file, such as ``"volumes/raw"``. Those in ``volumes/labels`` are labels,
        and written as uint64.
    fn : str or path
        The file, new or not; it is replaced only by a complete one.
    resolution : sequence of 3 float
        Size of a voxel along planes, rows and columns, in nm.
    offsets : mapping of str to sequence of 3 float, optional
        Place of the first voxel of those volumes that do not start at (0, 0, 0), in nm.
    compression : {"gzip", "lzf", None} or int
        As in `write_h5_stack`.

    Raises
    ------
    FileError
        If the file cannot be written, or exists and is not HDF5.
    LabelError
        If labels are not whole numbers, 0 or more.
    ShapeError
        If a volume has not three dimensions.
    SettingError
        If `resolution` or an offset is not three numbers, or belongs to no volume.

    Examples
    --------
    See `read_cremi`.
    """
    places = {name.strip("/"): _place(offset) for name, offset in (offsets or {}).items()}
    volumes = {name.strip("/"): _volume(name.strip("/"), vol) for name, vol in data_dict.items()}
    unknown = sorted(set(places) - set(volumes))
    if unknown:
        raise SettingError(f"offsets must belong to volumes of data_dict, {', '.join(volumes)}; got {unknown[0]}.")
    size = three_lengths(resolution, "resolution")
    attributes = {name: {"resolution": size, "offset": places.get(name, (0.0, 0.0, 0.0))} for name in volumes}
    write_h5_datasets(volumes, fn, compression=compression, attributes=attributes)


def _volume(name: str, vol: ArrayLike) -> Array:
    volume = np.asarray(vol)
    if volume.ndim != 3:
        raise ShapeError(f"{name} must have axes (plane, row, column); got shape {volume.shape}.")
    return as_labels(volume, name).astype(np.uint64) if name.startswith("volumes/labels/") else volume


def _place(offset: Sequence[float]) -> tuple[float, float, float]:
    found = np.asarray(offset)
    if found.shape != (3,) or found.dtype.kind not in "uif" or not np.isfinite(found).all():
        raise SettingError(f"offset must be three numbers, along planes, rows and columns; got {offset!r}.")
    plane, row, column = found.tolist()
    return float(plane), float(row), float(column)
