"""TIFF files with any number of pages as lazy volumes, with the voxel size of ImageJ, OME or gala.

Values that are not compressed are mapped into memory, others decoded page by page.
"""

from __future__ import annotations

import json
import math
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from typing import Any

import numpy as np
import tifffile

from gala._files import existing_file, replacing
from gala._types import Array
from gala.errors import ImageError, SettingError
from gala.imio.axes import Axes, axis_letters, axis_names, in_unit, known_unit, spatial
from gala.imio.files import Options, refuse_dataset
from gala.imio.locations import Location
from gala.imio.npy import Mapped
from gala.imio.stacks import check_last_page
from gala.imio.volume import Box, Stored, Volume

_letters = {"S": "c", "C": "c", "Z": "z", "Y": "y", "X": "x", "T": "t", "I": "z", "Q": "z"}


def open_stored(location: Location) -> Stored:
    """Open a TIFF file without reading its values."""
    refuse_dataset(location)
    tiff = tifffile.TiffFile(existing_file(location.path))
    try:
        check_last_page(tiff, location.path)
        series = tiff.series[0]
        axes = _axes(series.axes)
        sizes, unit, attributes = _metadata(tiff)
        along = [axis for axis in spatial if axis in axes] if axes else []
        spacing = [sizes[axis] for axis in along] if along and set(along) <= set(sizes) else None
        values: Any
        if series.dataoffset is not None and series.size and not tiff.pages.first.is_tiled:
            values = Mapped(tifffile.memmap(location.path, mode="r", series=0))
            chunks = None
        else:
            values = _Pages(series)
            chunks = values.chunks
        return Stored(values, "tiff", axes, spacing, unit, attributes, chunks, tiff.close)
    except BaseException:
        tiff.close()
        raise


class _Pages:
    """The pages of a series, decoded when they are read."""

    def __init__(self, series: Any) -> None:
        self.series = series
        self.shape, self.dtype = tuple(series.shape), series.dtype
        page = tuple(series.keyframe.shape)
        # Axes of length 1 may be left out of the shape of a page.
        self.n_leading = next(n for n in range(len(self.shape) + 1) if math.prod(self.shape[n:]) == math.prod(page))
        self.chunks = (1,) * self.n_leading + self.shape[self.n_leading :]

    def __getitem__(self, box: Box) -> Array:
        leading, inner = box[: self.n_leading], box[self.n_leading :]
        ranges = [range(n)[s] for n, s in zip(self.shape, leading, strict=False)]
        found = [
            self._page(place)[inner]
            for place in np.ndindex(*map(len, ranges))
            for place in [tuple(r[i] for r, i in zip(ranges, place, strict=True))]
        ]
        page_shape = tuple(len(range(n)[s]) for n, s in zip(self.shape[self.n_leading :], inner, strict=True))
        return np.array(found, self.dtype).reshape(*map(len, ranges), *page_shape)

    def _page(self, place: tuple[int, ...]) -> Array:
        number = int(np.ravel_multi_index(place, self.shape[: self.n_leading])) if place else 0
        page = self.series.pages[number]
        if page is None:
            raise ValueError(f"page {number} is missing")
        return np.asarray(page.asarray()).reshape(self.shape[self.n_leading :])


def _axes(letters: str) -> Axes | None:
    try:
        return axis_names([_letters[letter] for letter in letters])
    except (KeyError, SettingError):  # samples and channels at once, say: then the usual ones
        return None


def _metadata(tiff: tifffile.TiffFile) -> tuple[dict[str, float], str | None, dict[str, Any]]:
    """Return the size of a voxel along each axis, its unit, and what else the file says."""
    if tiff.shaped_metadata and "gala" in tiff.shaped_metadata[0]:
        about = json.loads(tiff.shaped_metadata[0]["gala"])
        return about["sizes"], about["unit"], about["attributes"]
    if tiff.ome_metadata:
        return _from_ome(tiff.ome_metadata)
    page = tiff.pages.first
    found = tiff.imagej_metadata or {}
    unit = known_unit(found.get("unit")) or {2: "inch", 3: "cm"}.get(int(page.resolutionunit or 0))
    column, row = (1 / density if density else 0.0 for density in page.resolution)
    if not tiff.imagej_metadata and (unit is None or unit == "inch"):
        return {}, None, {}  # dots per inch of a printer
    sizes = {"row": row, "column": column, "plane": abs(float(found.get("spacing", 0.0)))}
    return {axis: size for axis, size in sizes.items() if size > 0}, unit, dict(found)


def _from_ome(text: str) -> tuple[dict[str, float], str | None, dict[str, Any]]:
    pixels = next((item for item in ET.fromstring(text).iter() if item.tag.endswith("}Pixels")), None)
    if pixels is None:
        return {}, None, {}
    sizes, unit = {}, None
    for letter, axis in zip("ZYX", spatial, strict=True):
        given = known_unit(pixels.get(f"PhysicalSize{letter}Unit", "um"))
        if f"PhysicalSize{letter}" in pixels.attrib and given is not None:
            unit = unit or given
            (sizes[axis],) = in_unit([float(pixels.attrib[f"PhysicalSize{letter}"])], given, unit)
    return sizes, unit, {"ome": text}


def write_volume(location: Location, volume: Volume, options: Options) -> None:
    """Write a page for each plane; values are not compressed unless asked, so that they can be mapped."""
    refuse_dataset(location)
    if volume.size == 0 or not {"row", "column"} <= set(volume.axes):
        raise ImageError(
            f"TIFF holds numbers with axes row and column; got {volume.dtype} of shape {volume.shape}. HDF5 takes it."
        )
    if options.compression not in ("default", "none", "zlib"):
        raise SettingError(f"compression of TIFF must be 'zlib' or 'none'; got {options.compression!r}.")
    dtype = np.dtype(np.uint8) if volume.dtype.kind == "b" else volume.dtype
    sizes = dict(zip((axis for axis in volume.axes if axis in spatial), volume.spacing or (), strict=False))
    about = {"sizes": sizes, "unit": volume.unit, "attributes": dict(options.attributes)}
    n_channels = volume.shape[-1] if volume.axes[-1] == "channel" else 1
    with replacing(location.path) as new:
        tifffile.imwrite(
            new,
            # A last axis of length 1 would be taken for the channels of a page.
            _pages(volume, dtype) if volume.shape[-1] > 1 else volume[...].astype(dtype),
            shape=volume.shape,
            dtype=dtype,
            photometric="minisblack",
            planarconfig="contig" if n_channels > 1 else None,
            compression="zlib" if options.compression == "zlib" else None,
            metadata={"axes": axis_letters(volume.axes).upper().replace("C", "S"), "gala": json.dumps(about)},
            resolution=_per_cm(sizes, volume.unit),
            resolutionunit="CENTIMETER" if volume.unit else None,
        )


def _per_cm(sizes: dict[str, float], unit: str | None) -> tuple[float, float] | None:
    if unit is None or not {"row", "column"} <= set(sizes):
        return None
    row, column = in_unit([sizes["row"], sizes["column"]], unit, "cm")
    return 1 / column, 1 / row


def _pages(volume: Volume, dtype: np.dtype[Any]) -> Iterator[Array]:
    n_inner = 2 + (volume.axes[-1] == "channel")
    if volume.ndim == n_inner:
        yield volume[...].astype(dtype)
        return
    for slab in volume.slabs():
        yield from slab.astype(dtype, copy=False).reshape(-1, *volume.shape[-n_inner:])
