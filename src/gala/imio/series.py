"""PNG and JPEG images, one or a series of them, and series of TIFF, as lazy volumes.

What gala knows of a volume is in the text of each PNG, or the comment of each JPEG, as JSON.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import imageio.v3
import numpy as np

from gala._files import existing_file, replacing, replacing_folder
from gala._types import Array
from gala.errors import FileError, ImageError, SettingError
from gala.imio.axes import Axes, axis_names
from gala.imio.files import Options, refuse_dataset
from gala.imio.locations import Location
from gala.imio.stacks import Series, fit_for_png, images_in, number_in_name, numbered, read_image, write_png
from gala.imio.volume import Stored, Volume


def open_stored(location: Location) -> Stored:
    """Open an image, or a series of them, each read when it is asked for."""
    refuse_dataset(location)
    if location.path.is_file():
        image = read_image(existing_file(location.path))
        return _stored(image, location.path, None, image.ndim, "")
    series = Series(images_in(location.path))
    return _stored(series, series.paths[0], (1, *series.shape[1:]), len(series.shape) - 1, "series of ")


def _stored(values: Any, first: Path, chunks: tuple[int, ...] | None, n_inner: int, how: str) -> Stored:
    about = _about(first)
    axes: Axes | None = None
    if n_inner in (2, 3):
        axes = axis_names(("z" if how else "") + "yxc"[:n_inner])
    kind = {".jpg": "jpeg", ".tif": "tiff"}.get(first.suffix.lower(), first.suffix.lower()[1:])
    spacing = about.pop("spacing", None)
    return Stored(values, how + kind, axes, spacing, about.pop("unit", None), about, chunks)


def _about(path: Path) -> dict[str, Any]:
    if path.suffix.lower() in (".tif", ".tiff"):
        return {}
    found = imageio.v3.immeta(path, plugin="pillow")
    text = found.get("gala", found.get("comment", b""))
    try:
        about = json.loads(text)
        return dict(about["gala"]) if "gala" in about else {}
    except (ValueError, TypeError):  # somebody else's comment
        return {}


def write_volume(location: Location, volume: Volume, options: Options) -> None:
    """Write an image, or a series of them to a folder of their own."""
    refuse_dataset(location)
    if options.compression != "default":
        raise SettingError(f"PNG and JPEG have one compression; got compression={options.compression!r}.")
    n_inner = 2 + (volume.axes[-1] == "channel")
    if not n_inner <= volume.ndim <= n_inner + 1 or not {"row", "column"} <= set(volume.axes) or volume.size == 0:
        raise ImageError(
            f"{options.format} holds images of rows and columns; got axes "
            f"{', '.join(volume.axes)} of shape {volume.shape}."
        )
    about: dict[str, Any] = dict(options.attributes)
    if volume.spacing:
        about |= {"spacing": volume.spacing} | ({"unit": volume.unit} if volume.unit else {})
    write = _writer(volume, options, json.dumps({"gala": about}))
    if volume.ndim == n_inner:
        with replacing(location.path) as new:
            write(volume[...], new)
        return
    names = numbered(location.path, len(volume)) if number_in_name.search(location.path.name) else None
    if names is None:
        raise FileError(
            f"{location.path} is the name of one image; {len(volume)} planes need a folder of their own, as in "
            f"{location.path.with_suffix('') / '%04d'}{location.path.suffix}."
        )
    folder = location.path.parent
    with replacing_folder(folder, lambda there: {item.name for item in there.iterdir()} <= set(names)) as new:
        new.mkdir()
        for i, name in enumerate(names):
            write(volume[i], new / name)


def _writer(volume: Volume, options: Options, about: str) -> Callable[[Array, Path], None]:
    if options.format == "png":
        dtype = _png_dtype(volume)
        return lambda plane, new: write_png(plane.astype(dtype), new, about)
    if volume.dtype != np.uint8 or options.kind == "labels" or (volume.axes[-1] == "channel" and volume.shape[-1] != 3):
        raise ImageError(
            f"JPEG holds images of 8 bits, with 3 channels or none, and no labels; got {volume.dtype} of shape "
            f"{volume.shape}. Write PNG, TIFF or HDF5 instead."
        )
    return lambda plane, new: imageio.v3.imwrite(
        new, plane, plugin="pillow", extension=".jpg", quality=95, comment=about.encode()
    )


def _png_dtype(volume: Volume) -> np.dtype[Any]:
    """Return the smaller dtype of 8 and 16 bits that holds all values, after reading them if it takes that."""
    given = np.dtype(np.uint8) if volume.dtype.kind == "b" else volume.dtype
    is_ready = given in (np.dtype(np.uint8), np.dtype(np.uint16))
    boxes = volume.blocks((*volume.block_shape()[:-1], volume.shape[-1]))
    n_channels = volume.shape[-1:] if volume.axes[-1] == "channel" else ()
    first = itertools.islice(boxes, 1 if is_ready else None)
    blocks = (volume[box].reshape(1, 1, -1, *n_channels).astype(given) for box in first)
    return np.result_type(*(fit_for_png(block).dtype for block in blocks))
