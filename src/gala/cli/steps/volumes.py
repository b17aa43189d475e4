"""What commands do with volumes: open them by name, agree on the size of a voxel, name outputs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from gala import imio
from gala._types import Array, Labels
from gala.errors import FileError, SettingError, ShapeError
from gala.graph.labels import as_labels
from gala.graph.volume import check_spacing
from gala.imio.files import format_asked
from gala.imio.locations import Location

Lengths: TypeAlias = tuple[float, ...]


def read_labels(name: str) -> Labels:
    """Read a label volume."""
    return as_labels(imio.read(name), name)


def common_spacing(given: Lengths | None, names: Sequence[str]) -> Lengths | None:
    """Return the size of a voxel: as given, or as all files that know it say.

    Raises
    ------
    SettingError
        If two files differ, or what is given does not fit the first.
    """
    if given is not None:
        with imio.open(names[0]) as volume:
            return check_spacing(given, sum(axis != "channel" for axis in volume.axes))
    known: dict[Lengths, str] = {}
    for name in names:
        with imio.open(name) as volume:
            if volume.spacing is not None:
                known.setdefault(tuple(volume.spacing), name)
    if len(known) > 1:
        listed = " and ".join(f"{spacing} in {name}" for spacing, name in known.items())
        raise SettingError(f"volumes must agree on the size of a voxel, but it is {listed}; give --spacing.")
    return next(iter(known), None)


def check_same_voxels(names: Sequence[str]) -> None:
    """Raise an error unless all volumes have the shape of the first, which has no channels."""
    expected: tuple[int, ...] | None = None
    for name in names:
        with imio.open(name) as volume:
            shape = tuple(volume.shape)
        expected = shape if expected is None else expected
        if shape[: len(expected)] != expected:
            raise ShapeError(f"{name} must have the shape of {names[0]}, {expected}; got {shape}.")


def read_maybe(name: str | None) -> Any:
    """Read a volume if one is named."""
    return None if name is None else imio.read(name)


def name_outputs(out: str, thresholds: Sequence[float]) -> dict[float, str]:
    """Return the name of the file for each threshold: before its extension, if there are several."""
    if len(thresholds) == 1:
        return {thresholds[0]: out}
    path, mark, dataset = out.partition("::")
    stem, extension = _split(path)
    return {t: f"{stem}-{t:g}{extension}{mark}{dataset}" for t in thresholds}


def _split(path: str) -> tuple[str, str]:
    """Split a path before its extension, or its two if the last is zarr's: ``.ome.zarr``."""
    stem, dot, last = path.rpartition(".")
    if not dot or "/" in last:
        return path, ""
    if stem.endswith(".ome"):
        return stem.removesuffix(".ome"), f".ome.{last}"
    return stem, f".{last}"


def read_affinities(name: str, ndim: int) -> Array:
    """Read affinities as channels first, which may not be how the file has them."""
    try:
        values = imio.read(name, axes="c" + "tzyx"[-ndim:])
    except ShapeError:  # the file says otherwise
        values = imio.read(name)
    return np.moveaxis(values, -1, 0)


def beside(out: str, what: str, extension: str | None = None) -> str:
    """Return the name of another file that goes with `out`.

    Examples
    --------
    >>> beside("seg.ome.zarr", "superpixels"), beside("a/seg.h5::labels", "tree", ".npz")
    ('seg-superpixels.ome.zarr', 'a/seg-tree.npz')
    """
    stem, own = _split(out.partition("::")[0])
    return f"{stem}-{what}{own if extension is None else extension}"


def check_outputs(outputs: Sequence[str | Path | None], inputs: Sequence[str | Path | None]) -> None:
    """Raise an error if a file cannot be written: it is read too, or there is no folder for it.

    Volumes are given as text, other files as paths.
    """
    read = {_file(name): name for name in inputs if name is not None}
    for name in outputs:
        if name is None:
            continue
        file = _file(name)
        if file in read:
            raise FileError(f"{name} would be written over {read[file]}, which is read; give another name.")
        if not file.parent.is_dir():
            raise FileError(f"{name} cannot be written: there is no folder {file.parent}; make it first.")
        if isinstance(name, str):
            format_asked(file)
        elif file.is_dir():
            raise FileError(f"{name} cannot be written: it is a folder; give the name of a file in it.")


def _file(name: str | Path) -> Path:
    return Location.of(name).path.resolve()
