"""The metadata of OME-Zarr: which arrays are the scales of an image, their axes and voxel sizes.

Specification: https://ngff.openmicroscopy.org/0.5/ and 0.4; read from older versions too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from gala.errors import FileError, SettingError
from gala.imio.axes import Axes, axis_letters, axis_names, known_unit, long_unit, spatial
from gala.imio.pyramid import scaled_spacing
from gala.imio.volume import Volume

stored_order = "tczyx"


class Scale(NamedTuple):
    """One scale of a multiscale image."""

    path: str  # of its array, from the group
    axes: Axes | None  # None for those that gala has no words for
    spacing: tuple[float, ...] | None
    unit: str | None


def scales_of(attributes: Mapping[str, Any], path: str) -> list[Scale]:
    """Return the scales that the attributes of a group name, the finest first; none if it is no image."""
    about = attributes.get("ome", attributes)
    if not isinstance(about, Mapping) or "multiscales" not in about:
        return []
    try:
        image = about["multiscales"][0]
        return [_scale(image, dataset) for dataset in image["datasets"]]
    except (KeyError, IndexError, TypeError, ValueError) as error:
        raise FileError(f"{path} has multiscale metadata that cannot be read: {error!r}.") from error


def _scale(image: Mapping[str, Any], dataset: Mapping[str, Any]) -> Scale:
    axes = [axis if isinstance(axis, Mapping) else {"name": axis} for axis in image.get("axes", [])]
    try:
        names = axis_names([str(axis["name"]) for axis in axes]) or None  # versions up to 0.2 have none
    except SettingError:
        return Scale(dataset["path"], None, None, None)
    transforms = [*dataset.get("coordinateTransformations", []), *image.get("coordinateTransformations", [])]
    scales = [transform["scale"] for transform in transforms if transform.get("type") == "scale"]
    if names is None or not scales:
        return Scale(dataset["path"], names, None, None)
    size = dict.fromkeys(names, 1.0)
    for scale in scales:
        size = {axis: size[axis] * float(factor) for axis, factor in zip(names, scale, strict=True)}
    along = [axis for axis in spatial if axis in names]
    units = {known_unit(axis.get("unit")) for axis, name in zip(axes, names, strict=True) if name in along}
    return Scale(dataset["path"], names, tuple(size[axis] for axis in along), units.pop() if len(units) == 1 else None)


def metadata(volume: Volume, factors: Sequence[Sequence[int]], kind: str, version: str) -> dict[str, Any]:
    """Return the attributes of the group of an image of several scales, named "0", "1", ..."""
    letters = axis_letters(volume.axes)
    order = sorted(letters, key=stored_order.index)
    about: dict[str, Any] = {
        "axes": [_axis(letter, volume.unit) for letter in order],
        "datasets": [
            {"path": str(level), "coordinateTransformations": _transforms(volume, scale, letters, order)}
            for level, scale in enumerate(factors)
        ],
        "type": "most frequent label" if kind == "labels" else "mean",
    }
    found: dict[str, Any] = {"multiscales": [about]}
    if kind == "labels":
        found["image-label"] = {} if version == "0.5" else {"version": version}
    if version == "0.5":
        return {"ome": {"version": version, **found}}
    about["version"] = version
    return found


def _axis(letter: str, unit: str | None) -> dict[str, str]:
    kind = {"t": "time", "c": "channel"}.get(letter, "space")
    return {"name": letter, "type": kind} | ({"unit": long_unit(unit)} if unit and kind == "space" else {})


def _transforms(volume: Volume, factors: Sequence[int], letters: str, order: Sequence[str]) -> list[dict[str, Any]]:
    """Return the voxel size of a scale and, if it is coarser, where the middle of its first voxel is."""
    along = [axis_letters((axis,)) for axis in volume.axes if axis in spatial]
    fine = dict(zip(along, volume.spacing or (1.0,) * len(along), strict=True))
    coarse = dict(zip(along, scaled_spacing(volume, factors) or (), strict=False)) or {
        letter: float(factor) for letter, factor in zip(letters, factors, strict=True)
    }
    transforms: list[dict[str, Any]] = [{"type": "scale", "scale": [coarse.get(letter, 1.0) for letter in order]}]
    if max(factors) > 1:
        shift = {letter: (coarse[letter] - fine[letter]) / 2 for letter in along}
        transforms.append({"type": "translation", "translation": [shift.get(letter, 0.0) for letter in order]})
    return transforms
