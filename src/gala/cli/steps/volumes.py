"""What commands do with volumes: open them by name, agree on the size of a voxel, name outputs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from gala import imio
from gala._types import Labels
from gala.errors import FileError, SettingError, ShapeError
from gala.graph.labels import as_labels

Lengths = tuple[float, ...]


def read_labels(name: str) -> Labels:
    """Read a label volume."""
    return as_labels(imio.read(name), name)


def common_spacing(given: Lengths | None, names: Sequence[str]) -> Lengths | None:
    """Return the size of a voxel: as given, or as all files that know it say.

    Raises
    ------
    SettingError
        If two files differ.
    """
    if given is not None:
        return given
    known: dict[Lengths, str] = {}
    for name in names:
        with imio.open(name) as volume:
            if volume.spacing is not None:
                known.setdefault(tuple(volume.spacing), name)
    if len(known) > 1:
        listed = " and ".join(f"{spacing} in {name}" for spacing, name in known.items())
        raise SettingError(f"volumes must agree on the size of a voxel, but it is {listed}; give --spacing.")
    return next(iter(known), None)


def check_same_voxels(shapes: Mapping[str, tuple[int, ...]], ndim: int) -> None:
    """Raise an error unless all volumes, channels aside, have one shape."""
    first, expected = next((name, shape[:ndim]) for name, shape in shapes.items())
    for name, shape in shapes.items():
        if shape[:ndim] != expected:
            raise ShapeError(f"{name} must have the shape of {first}, {expected}; got {shape[:ndim]}.")


def shapes_of(names: Sequence[str]) -> dict[str, tuple[int, ...]]:
    """Return the shape of each volume, without reading it."""
    shapes = {}
    for name in names:
        with imio.open(name) as volume:
            shapes[name] = tuple(volume.shape)
    return shapes


def name_outputs(out: str, thresholds: Sequence[float]) -> dict[float, str]:
    """Return the name of the file for each threshold: before its extension, if there are several."""
    if len(thresholds) == 1:
        return {thresholds[0]: out}
    path, mark, dataset = out.partition("::")
    stem, extension = _split(path)
    return {t: f"{stem}-{t:g}{extension}{mark}{dataset}" for t in thresholds}


def _split(path: str) -> tuple[str, str]:
    """Split a path before its extensions, such as ``.ome.zarr``."""
    name = Path(path).name
    head, *rest = name.split(".")
    known = [part for part in rest if part.isalpha()]
    extension = "".join(f".{part}" for part in known[-2:]) if known and name.endswith(".".join(known[-2:])) else ""
    return path[: len(path) - len(extension)], extension


def refuse_overwriting_inputs(outputs: Sequence[str | Path | None], inputs: Sequence[str | Path | None]) -> None:
    """Raise an error if what is to be written is also read."""
    read = {_file(name): name for name in inputs if name is not None}
    for name in outputs:
        if name is not None and _file(name) in read:
            raise FileError(f"{name} would be written over {read[_file(name)]}, which is read; give another name.")


def check_can_write(names: Sequence[str | Path | None]) -> None:
    """Raise an error if the folder of a file to write is missing."""
    for name in names:
        if name is not None and not _file(name).parent.is_dir():
            raise FileError(f"{name} cannot be written: there is no folder {_file(name).parent}; make it first.")


def _file(name: str | Path) -> Path:
    return Path(str(name).partition("::")[0]).resolve()
