"""Names of the historic library for what other modules do: stacks of images, predictions of ilastik, some regions."""

from __future__ import annotations

import numpy as np

from gala._files import FileName
from gala._types import Array, ArrayLike, Labels
from gala.errors import SettingError
from gala.graph.labels import as_labels
from gala.imio.hdf5 import read_h5_stack
from gala.imio.shared import Crop
from gala.imio.stacks import read_image_stack, write_image_stack


def read_multi_page_tif(fn: FileName, crop: Crop = None) -> Array:
    """Read a volume from a TIFF file with many pages; see `read_image_stack`.

    Parameters
    ----------
    fn : str or path
        The file.
    crop : sequence of int or None, optional
        ``(start0, stop0, start1, stop1, ...)`` of the volume, as in `read_h5_stack`.

    Returns
    -------
    vol : array, shape (plane, row, column[, channel])
        The volume, of the dtype in the file.

    Raises
    ------
    FileError
        If the file is missing or damaged.
    SettingError
        If `crop` does not fit the volume.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     write_image_stack(np.zeros((3, 4, 5)), f"{folder}/a.tif")
    ...     read_multi_page_tif(f"{folder}/a.tif", crop=(1, 3)).shape
    (2, 4, 5)
    """
    return read_image_stack(fn, crop=crop)


def write_png_image_stack(npy_vol: ArrayLike, fn: FileName, axis: int = -1) -> None:
    """Write a volume as a series of PNG files; see `write_image_stack`.

    Parameters
    ----------
    npy_vol : array of int, shape (M, N, P)
        The volume: whole numbers of 8 or 16 bits.
    fn : str or path
        Names of the files, such as ``plane-%04d.png``.
    axis : int
        The axis along which planes follow each other: the last by default, unlike everywhere else.

    Raises
    ------
    FileError
        If a file cannot be written, or more files of the series exist already.
    ImageError, ShapeError
        If PNG cannot hold the volume.
    SettingError
        If there is no such axis.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     write_png_image_stack(np.zeros((3, 4, 5), np.uint8), f"{folder}/a-%d.png")
    ...     read_image_stack(folder).shape
    (5, 3, 4)
    """
    vol = np.asarray(npy_vol)
    if axis not in range(-vol.ndim, vol.ndim):
        raise SettingError(f"axis must be one of the {vol.ndim} of npy_vol; got {axis!r}.")
    write_image_stack(np.moveaxis(vol, axis, 0), fn)


def read_prediction_from_ilastik_batch(
    fn: FileName, group: str = "/volume/prediction", single_channel: bool = True
) -> Array:
    """Read a probability map from an HDF5 file that ilastik wrote.

    Parameters
    ----------
    fn : str or path
        The file.
    group : str
        Path of the dataset in the file: ``"/volume/prediction"`` in files of ilastik 0.5, ``"exported_data"`` in
        those of later versions. Channels come last.
    single_channel : bool
        Whether to keep the first channel only.

    Returns
    -------
    prediction : array of float, shape (M, ..., P) or (M, ..., P, C)
        The probabilities; axes of length 1, such as time, are left out.

    Raises
    ------
    FileError
        If the file or the dataset is missing or damaged.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> from gala.imio import write_h5_stack
    >>> with TemporaryDirectory() as folder:
    ...     write_h5_stack(np.zeros((1, 5, 6, 7, 3)), f"{folder}/a.h5", "/volume/prediction")
    ...     read_prediction_from_ilastik_batch(f"{folder}/a.h5").shape
    (5, 6, 7)
    """
    prediction = read_h5_stack(fn, group)
    return np.squeeze(prediction[..., 0] if single_channel else prediction)


def extract_segments(seg: ArrayLike, ids: ArrayLike) -> Labels:
    """Return an image of some segments only, small enough for viewers such as ITK-SNAP.

    Parameters
    ----------
    seg : array of int, shape (M, ..., P)
        The segmentation.
    ids : array of int, shape (N,)
        At most 255 labels, each once.

    Returns
    -------
    segments : array of uint8, shape (M, ..., P)
        1 where `seg` is the first of `ids`, 2 where it is the second, and so on; 0 elsewhere.

    Raises
    ------
    LabelError
        If values are not labels.
    SettingError
        If there are more than 255 of `ids`, or one is there twice.

    Examples
    --------
    >>> extract_segments([4, 4, 5, 6], [6, 4])
    array([2, 2, 0, 1], dtype=uint8)
    """
    labels = as_labels(seg, "seg").astype(np.uint64)
    wanted = as_labels(np.ravel(np.asarray(ids)), "ids", allow_empty=True).astype(np.uint64)
    order = np.argsort(wanted)
    keys = wanted[order]
    if len(keys) > 255 or (keys[1:] == keys[:-1]).any():
        raise SettingError(f"ids must be at most 255 different labels; got {len(keys)}, or some of them twice.")
    place = np.searchsorted(keys, labels)
    found = place < len(keys)
    found[found] = keys[place[found]] == labels[found]
    segments = np.zeros(labels.shape, dtype=np.uint8)
    segments[found] = order[place[found]] + 1
    return segments
