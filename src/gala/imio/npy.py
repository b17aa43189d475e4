"""NumPy files as lazy volumes. They hold nothing but the array: no axes, no voxel size."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from numpy.lib.format import MAGIC_PREFIX

from gala._files import existing_file, replacing
from gala._types import Array
from gala.errors import FileError, GalaWarning, SettingError
from gala.imio.files import Options, refuse_dataset
from gala.imio.locations import Location
from gala.imio.volume import Box, Stored, Volume


class Mapped:
    """An array in a file of which slices are read into memory, where they stay when the file changes."""

    def __init__(self, values: Any) -> None:
        self.values = values
        self.shape, self.dtype = values.shape, values.dtype

    def __getitem__(self, box: Box) -> Array:
        return np.array(self.values[box])


def open_stored(location: Location) -> Stored:
    """Open an array without reading it."""
    refuse_dataset(location)
    path = existing_file(location.path)
    with path.open("rb") as stream:
        if stream.read(len(MAGIC_PREFIX)) != MAGIC_PREFIX:  # NumPy would take it for a pickle
            raise FileError(f"{path} is no NPY file: it does not begin as one.")
    try:
        return Stored(Mapped(np.load(path, mmap_mode="r", allow_pickle=False)), "npy")
    except ValueError:  # also if there is nothing to map
        values = np.load(path, allow_pickle=False)
        return Stored(values, "npy")


def write_volume(location: Location, volume: Volume, options: Options) -> None:
    """Write an array, slab by slab."""
    refuse_dataset(location)
    if options.compression not in ("default", "none"):
        raise SettingError(f"NPY is never compressed; got compression={options.compression!r}.")
    if volume.spacing is not None:
        warnings.warn(
            f"NPY holds no voxel size: {location} will not say that it is {volume.spacing}.", GalaWarning, stacklevel=3
        )
    header = {"descr": np.lib.format.dtype_to_descr(volume.dtype), "fortran_order": False, "shape": volume.shape}
    # A map would be shorter, and kill the interpreter when the disk is full.
    with replacing(location.path) as new, new.open("wb") as stream:
        np.lib.format.write_array_header_1_0(stream, header)
        for slab in volume.slabs():
            slab.tofile(stream)
