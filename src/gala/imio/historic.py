"""Names of the historic library for what the other modules do: stacks of images and predictions of ilastik."""

from __future__ import annotations

import numpy as np

from gala._files import FileName
from gala._types import Array, ArrayLike
from gala.errors import SettingError
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
