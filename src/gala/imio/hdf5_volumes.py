"""Datasets of HDF5 files as lazy volumes, with the attributes that say their axes and voxel size.

Those of gala are ``axes`` ("zyxc"), ``spacing``, ``unit`` and ``provenance`` (JSON). Those of CREMI
(``resolution``, nm), ilastik (``axistags``) and Fiji's HDF5 plugin (``element_size_um``) are read too.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from contextlib import ExitStack
from typing import Any

import h5py

from gala._files import existing_file, replacing
from gala.errors import FileError, SettingError
from gala.imio.axes import Axes, axis_letters, axis_names, in_unit, known_unit
from gala.imio.files import Options
from gala.imio.hdf5 import changed_h5, create_h5, datasets_in, opened_h5
from gala.imio.locations import Location
from gala.imio.metadata import parsed
from gala.imio.pyramid import fill
from gala.imio.shared import chosen_dataset, listed
from gala.imio.volume import Stored, Volume


def open_stored(location: Location) -> Stored:
    """Open a dataset."""
    existing_file(location.path)
    with ExitStack() as stack:
        file = stack.enter_context(opened_h5(location.path, "r", shown_as=location.path))
        name = location.dataset or chosen_dataset(datasets_in(file), location.path)
        dataset = file.get(name)
        if not isinstance(dataset, h5py.Dataset) or not dataset.shape:
            raise FileError(
                f"{location.path} has no dataset {name!r} that holds an array; {listed(datasets_in(file))}."
            )
        attributes = parsed(dataset.attrs)
        spacing, unit = _spacing(attributes)
        return Stored(
            dataset,
            "hdf5",
            _axes(attributes),
            spacing,
            unit,
            attributes,
            dataset.chunks,
            stack.pop_all().close,
        )


def _axes(attributes: Mapping[str, Any]) -> Axes | None:
    """Return the axes that attributes of gala, or of ilastik, name."""
    found = attributes.get("axes")
    if "axistags" in attributes:
        found = [axis["key"] for axis in json.loads(str(attributes["axistags"]))["axes"]]
    try:
        return None if found is None else axis_names(found)
    except (SettingError, TypeError, AttributeError):  # they mean something else
        return None


def _spacing(attributes: Mapping[str, Any]) -> tuple[Any, str | None]:
    """Return the voxel size that attributes of gala, CREMI or Fiji give, and its unit."""
    for name, unit in (
        ("spacing", known_unit(attributes.get("unit"))),
        ("resolution", "nm"),
        ("element_size_um", "um"),
    ):
        if name in attributes:
            return attributes[name], unit
    return None, None


def write_volume(location: Location, volume: Volume, options: Options) -> None:
    """Write a dataset, keeping the others of the file."""
    name = location.dataset or "stack"
    compression = {"default": "gzip", "none": None}.get(options.compression, options.compression)
    how: dict[str, Any] = {}
    if volume.size:
        how = {
            "chunks": options.chunks,
            "compression": compression,
            "shuffle": bool(compression) and options.kind == "labels",
        }
        how |= (
            {"compression_opts": 1} if options.compression == "default" else {}
        )  # 9 is 1 % smaller, and 5 times slower
    with replacing(location.path) as new:
        if location.path.exists():
            shutil.copyfile(location.path, new)
        with changed_h5(new, shown_as=location.path) as file:
            dataset = create_h5(file, name, volume, location.path, **how)
            fill(dataset, volume, range(volume.ndim), options.chunks)
            dataset.attrs.update(_attributes(name, volume, options))


def _attributes(name: str, volume: Volume, options: Options) -> dict[str, Any]:
    found: dict[str, Any] = {"axes": axis_letters(volume.axes)}
    found |= {key: json.dumps(value, sort_keys=True) for key, value in options.attributes.items()}
    if volume.spacing is not None:
        found["spacing"] = volume.spacing
        if volume.unit is not None:
            found["unit"] = volume.unit
        if name.startswith("volumes/"):  # where tools for CREMI look
            found["resolution"] = in_unit(volume.spacing, volume.unit or "nm", "nm")
    return found
