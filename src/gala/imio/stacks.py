"""Volumes as stacks of images: multi-page TIFF, series of TIFF, PNG or JPEG; or HDF5, as the extension says."""

from __future__ import annotations

import glob
import re
from collections.abc import Callable, Iterable, Set
from contextlib import ExitStack
from pathlib import Path

import imageio.v3
import numpy as np
import tifffile
from PIL.PngImagePlugin import PngInfo

from gala._files import FileName, existing_file, replacing
from gala._types import Array, ArrayLike
from gala.errors import FileError, ImageError, ShapeError
from gala.imio.hdf5 import read_h5_stack, write_h5_stack
from gala.imio.shared import Crop, crop_box

_hdf5 = {".h5", ".hdf5", ".hdf"}
_tiff = {".tif", ".tiff"}
_jpeg = {".jpg", ".jpeg"}
_known = {".png", *_tiff, *_hdf5}
_readable = {*_known, *_jpeg}
number_in_name = re.compile(r"%0?\d*[di]")


def read_image_stack(*files: FileName, group: str = "stack", crop: Crop = None) -> Array:
    """Read a volume from a file, a folder of images, a pattern, or several images.

    Parameters
    ----------
    *files : str or path
        One name: an HDF5 file, a TIFF file with any number of pages, or a PNG or JPEG file, read as it is; or a
        folder or a pattern such as ``"planes/*.png"``, whose images become planes in natural order (2 before
        10). Several names: images that become planes in the order given.
    group : str
        Path of the dataset, if the file is HDF5.
    crop : sequence of int or None, optional
        ``(start0, stop0, start1, stop1, ...)`` of the volume, as in `read_h5_stack`.

    Returns
    -------
    vol : array, shape (plane, row, column[, channel])
        The volume, of the dtype in the files; shape (row, column[, channel]) for a single image.

    Raises
    ------
    FileError
        If there are no such files, one is damaged, or images differ in shape or dtype.
    SettingError
        If `crop` does not fit the volume.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     write_image_stack(np.arange(12, dtype=np.uint8).reshape(3, 2, 2), f"{folder}/plane-%d.png")
    ...     read_image_stack(folder, crop=(1, 2)).tolist()
    [[[4, 5], [6, 7]]]
    """
    paths = [Path(fn) for fn in files]
    if len(paths) == 1 and _extension(paths[0]) in _readable and paths[0].is_file():
        return _read_file(paths[0], group, crop)
    if len(paths) == 1:
        paths = images_in(paths[0])
    if not paths:
        raise FileError("read_image_stack needs the name of at least one file.")
    series = Series(paths)
    return series[crop_box(crop, len(series.shape))]


def write_image_stack(vol: ArrayLike, fn: FileName, group: str = "stack") -> None:
    """Write a volume to HDF5, TIFF or PNG, as the extension of the name says.

    Files are replaced only when the new ones are complete, those of a series only when all of them are.

    Parameters
    ----------
    vol : array, shape (plane, row, column[, channel]), or (row, column)
        The volume. PNG holds whole numbers of 8 or 16 bits (the smaller that does, for other dtypes), and 2
        to 4 channels in 8 bits only. Booleans become 0 and 1 in PNG and TIFF. HDF5 takes any shape.
    fn : str or path
        The file. ``plane-%04d.png`` or ``.tif`` makes one file for each plane, counted from 0. Without such a
        number, TIFF makes one file with many pages; PNG puts ``-%04d`` at the end of the name, except for a
        volume with axes (row, column).
    group : str
        Path of the dataset, if the file is HDF5.

    Raises
    ------
    FileError
        If a file cannot be written, the extension is unknown, or more files of the series exist already.
    ImageError, ShapeError
        If the format cannot hold the volume.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     write_image_stack(np.zeros((2, 3, 4), np.int32), f"{folder}/labels.tif")
    ...     read_image_stack(f"{folder}/labels.tif").shape
    (2, 3, 4)
    """
    path, kind = Path(fn), _extension(Path(fn), _known)
    if kind in _hdf5:
        return write_h5_stack(vol, path, group)
    planes = np.asarray(vol)
    if not 2 <= planes.ndim <= 4:
        raise ShapeError(
            "vol must have axes (plane, row, column[, channel]) or (row, column) for PNG or TIFF; "
            f"got shape {planes.shape}. HDF5 (.h5) takes any shape."
        )
    if planes.size == 0:
        raise ImageError(f"PNG and TIFF cannot hold an empty volume, of shape {planes.shape}; use HDF5 (.h5).")
    if planes.dtype == bool:
        planes = planes.astype(np.uint8)
    if kind == ".png":
        planes = fit_for_png(planes)
    n_channels = planes.shape[-1] if planes.ndim == 4 else 1
    is_series = number_in_name.search(path.name) or (kind == ".png" and planes.ndim > 2)
    if not is_series or planes.ndim == 2:
        planes = planes[np.newaxis]
    names = _series(path, len(planes)) if is_series else [path]
    with ExitStack() as all_or_none:
        for name, plane in zip(names, planes, strict=True):
            new = all_or_none.enter_context(replacing(name))
            write_png(plane, new) if kind == ".png" else _write_tiff(plane, new, n_channels)
    return None


def _extension(path: Path, known: Set[str] = _readable) -> str:
    kind = path.suffix.lower()
    if kind not in known and not path.is_dir():
        raise FileError(f"the extension of {path} must say its format: one of {', '.join(sorted(known))}.")
    return kind


def _natural(path: Path) -> list[str | int]:
    """Return a key that sorts 2 before 10."""
    return [int(part) if part.isdecimal() else part for part in re.split(r"(\d+)", str(path))]


def images_in(path: Path) -> list[Path]:
    """Return the images in a folder, or those that match a pattern, in natural order."""
    if path.is_dir():
        found = [item for item in path.iterdir() if item.suffix.lower() in _readable and not item.name.startswith(".")]
        if not found:
            raise FileError(f"folder {path} holds no images ({', '.join(sorted(_readable))}).")
    elif glob.has_magic(str(path)):
        found = [Path(name) for name in glob.glob(str(path))]  # noqa: PTH207  # a pattern may be absolute
        if not found:
            raise FileError(f"no file matches {path} (looked in {path.absolute().parent}).")
    else:
        found = [existing_file(path)]
    return sorted(found, key=_natural)


def _read_file(path: Path, group: str, crop: Crop) -> Array:
    if _extension(path) in _hdf5:
        return read_h5_stack(path, group, crop)
    vol = read_image(path)
    return vol[crop_box(crop, vol.ndim)]


class Series:
    """Images that are the planes of a volume, each read when it is asked for."""

    def __init__(self, paths: list[Path]) -> None:
        kinds = sorted({_extension(path).replace("jpeg", "jpg").replace("tiff", "tif") for path in paths})
        if len(kinds) > 1 or kinds[0] in _hdf5:
            raise FileError(
                f"a series must be all PNG, all JPEG or all TIFF; got {', '.join(kinds)} in {paths[0].parent}. Name "
                "the files to read, or a pattern such as 'planes/*.png'; HDF5 files are read one by one."
            )
        first = read_image(paths[0])
        self.paths, self.shape, self.dtype = paths, (len(paths), *first.shape), first.dtype

    def __getitem__(self, box: tuple[slice, ...]) -> Array:
        images = [self._image(path)[box[1:]] for path in self.paths[box[0]]]
        empty = np.empty(self.shape, self.dtype)[box] if not images else None
        return np.stack(images) if empty is None else empty

    def _image(self, path: Path) -> Array:
        image = read_image(path)
        if (image.shape, image.dtype) != (self.shape[1:], self.dtype):
            raise FileError(
                f"{path} has shape {image.shape} and dtype {image.dtype}, but {self.paths[0]} has {self.shape[1:]} "
                f"and {self.dtype}; the planes of a series must be alike."
            )
        return image


def read_image(path: Path) -> Array:
    """Return an image of any of the formats."""
    existing_file(path)
    try:
        return _read_tiff(path) if _extension(path) in _tiff else _read_png(path)
    except FileError:
        raise
    except Exception as error:  # damaged files make the decoders fail in many ways
        raise FileError(f"{path} cannot be read; it may be damaged or of another format: {error}.") from error


def _read_png(path: Path) -> Array:
    return np.asarray(imageio.v3.imread(path, plugin="pillow"))


def _read_tiff(path: Path) -> Array:
    with tifffile.TiffFile(path) as tiff:
        check_last_page(tiff, path)
        return np.asarray(tiff.asarray())


def check_last_page(tiff: tifffile.TiffFile, path: Path) -> None:
    """Raise if a file ends before its last page: tifffile stops there, and only the link to the page tells."""
    len(tiff.pages)  # finds them all
    link = tiff.pages.next_page_offset
    if link is not None:
        tiff.filehandle.seek(link)
        n_bytes = 8 if tiff.is_bigtiff else 4
        if tiff.filehandle.read(n_bytes) != bytes(n_bytes):
            raise FileError(f"{path} cannot be read: it ends before its last page.")


def fit_for_png(vol: Array) -> Array:
    """Return whole numbers in the smaller of 8 and 16 bits that holds them; those dtypes stay as they are."""
    instead = "Write TIFF (.tif) or HDF5 (.h5) instead."
    if vol.dtype.kind not in "ui":
        raise ImageError(f"PNG holds whole numbers only; got {vol.dtype}. {instead}")
    low, high = int(vol.min()), int(vol.max())
    if low < 0 or high > 65535:
        raise ImageError(f"PNG holds labels of at most 16 bits, 0 to 65535; got {low} to {high}. {instead}")
    if vol.dtype.itemsize > 2 or vol.dtype.kind == "i":
        vol = vol.astype(np.uint8 if high < 256 else np.uint16)
    if vol.ndim == 4 and (vol.dtype != np.uint8 or not 2 <= vol.shape[-1] <= 4):
        raise ImageError(f"PNG holds 2 to 4 channels of 8 bits; got {vol.shape[-1]} of {vol.dtype}. {instead}")
    return vol


def numbered(path: Path, n_planes: int) -> list[str]:
    """Return the names of the files of a series, whose name has a number such as %04d."""
    before, after = number_in_name.split(path.name, maxsplit=1)
    place = number_in_name.findall(path.name)[0]
    return [before + place % plane + after for plane in range(n_planes)]


def _series(path: Path, n_planes: int) -> list[Path]:
    """Return the names of the files of a series, after checking that they will be all of it."""
    pattern = path.name if number_in_name.search(path.name) else f"{path.stem}-%04d{path.suffix}"
    names = [path.with_name(name) for name in numbered(Path(pattern), n_planes)]
    before, after = number_in_name.split(pattern, maxsplit=1)
    is_plane: Callable[[str], object] = re.compile(rf"{re.escape(before)}\d+{re.escape(after)}").fullmatch
    there: Iterable[Path] = path.parent.iterdir() if path.parent.is_dir() else ()
    others = [item for item in there if is_plane(item.name) and item not in names]
    if others:
        raise FileError(
            f"{min(others, key=_natural)} belongs to the series {pattern} but not to a volume of {n_planes} "
            "planes; remove it or choose another name."
        )
    return names


def write_png(plane: Array, new: Path, about: str = "") -> None:
    """Write an image, and text beside it."""
    text = PngInfo()
    if about:
        text.add_text("gala", about)
    imageio.v3.imwrite(new, plane, plugin="pillow", extension=".png", pnginfo=text)


def _write_tiff(vol: Array, new: Path, n_channels: int) -> None:
    """Write a plane, or a page for each plane; three planes are never taken for colours."""
    if vol.dtype.kind not in "uifc":
        raise ImageError(f"TIFF holds numbers only; got {vol.dtype}.")
    planar = "contig" if n_channels > 1 else None
    tifffile.imwrite(new, vol, photometric="minisblack", planarconfig=planar)
