"""N5 and Neuroglancer's precomputed volumes, through tensorstore, which is optional.

Both store the axes x, y, z, channel: https://github.com/saalfeldlab/n5 and
https://github.com/google/neuroglancer/blob/master/src/datasource/precomputed/README.md
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from gala._files import replacing_folder
from gala._types import Array
from gala.errors import FileError, GalaError, ImageError, SettingError
from gala.graph.labels import as_labels
from gala.imio.axes import Axes, axis_letters, axis_names, in_unit, known_unit, spatial
from gala.imio.files import Options
from gala.imio.locations import Location
from gala.imio.pyramid import coarser, fill, halvings, scaled_spacing
from gala.imio.shared import chosen_dataset, listed
from gala.imio.volume import Box, Stored, Volume

_n5_types = ("uint8", "uint16", "uint32", "uint64", "int8", "int16", "int32", "int64", "float32", "float64")
_precomputed_types = ("uint8", "uint16", "uint32", "uint64", "int8", "int16", "int32", "float32")
_stored_order = "xyzct"


def _tensorstore() -> Any:
    try:
        import tensorstore
    except ImportError as error:
        raise SettingError(
            "N5 and precomputed volumes need tensorstore: pip install 'gala-segmentation[tensorstore]'."
        ) from error
    return tensorstore


@contextmanager
def _disk_errors() -> Iterator[None]:
    """Raise what the disk said as what it is."""
    try:
        yield
    except ValueError as error:
        if "os_error_code" in str(error):
            raise OSError(error) from error
        raise


class _Values:
    """An array of tensorstore, whose indices start at 0."""

    def __init__(self, store: Any) -> None:
        self.store = store[_tensorstore().d[:].translate_to[0]]
        self.shape, self.dtype = tuple(store.shape), store.dtype.numpy_dtype
        self.chunks = tuple(store.chunk_layout.read_chunk.shape)

    def __getitem__(self, box: Box) -> Array:
        return np.asarray(self.store[box].read(order="F").result())  # which becomes C order, z, y, x, without a copy

    def __setitem__(self, box: Box, block: Array) -> None:
        with _disk_errors():
            self.store[box] = block


def _opened(driver: str, folder: Path, *, create: bool = False, **options: Any) -> Any:
    tensorstore = _tensorstore()
    there = {"driver": "file", "path": str(folder.absolute())}
    with _disk_errors():
        return tensorstore.open(
            {"driver": driver, "kvstore": there, **options}, open=not create, create=create
        ).result()


def open_stored(location: Location) -> Stored:
    """Open an array of N5, or a scale of a precomputed volume."""
    return _open_precomputed(location) if (location.path / "info").exists() else _open_n5(location)


def _open_n5(location: Location) -> Stored:
    name = location.dataset or chosen_dataset(list(_datasets(location.path)), location.path)
    about = _json(location.path / name / "attributes.json")
    if "dimensions" not in about:
        names = list(_datasets(location.path))
        raise FileError(f"{location.path} has no dataset {name!r} that holds an array; {listed(names)}.")
    values = _Values(_opened("n5", location.path / name))
    axes = _n5_axes(about, len(values.shape))
    spacing, unit = _n5_spacing(about, axes)
    return Stored(values, "n5", axes, spacing, unit, about, values.chunks)


def _json(file: Path) -> dict[str, Any]:
    return dict(json.loads(file.read_text())) if file.exists() else {}


def _datasets(folder: Path, above: str = "") -> Iterator[str]:
    """Yield the paths of arrays; the one of the folder itself is ""."""
    if "dimensions" in _json(folder / "attributes.json"):
        yield above.rstrip("/")
        return
    for item in sorted(folder.iterdir()):
        if item.is_dir() and not item.name.startswith("."):
            yield from _datasets(item, f"{above}{item.name}/")


def _n5_axes(about: Mapping[str, Any], ndim: int) -> Axes | None:
    try:
        return axis_names(about["axes"]) if "axes" in about else axis_names("xyzct"[:ndim])
    except (SettingError, TypeError, AttributeError):  # names that gala has no words for
        return None


def _n5_spacing(about: Mapping[str, Any], axes: Axes | None) -> tuple[tuple[float, ...] | None, str | None]:
    """Return the voxel size of gala and funlib ("resolution"), or Fiji ("pixelResolution")."""
    found, units = about.get("resolution"), about.get("units", [None])
    if isinstance(about.get("pixelResolution"), Mapping):
        found, units = about["pixelResolution"].get("dimensions"), [about["pixelResolution"].get("unit")]
    if found is None or axes is None:
        return None, None
    size = dict(zip(axes, found, strict=False))
    return tuple(size[axis] for axis in spatial if axis in axes), known_unit(units[0])


def _open_precomputed(location: Location) -> Stored:
    about = _json(location.path / "info")
    keys = [str(scale["key"]) for scale in about["scales"]]
    wanted = location.dataset or "0"
    if wanted not in keys and not (wanted.isdecimal() and int(wanted) < len(keys)):
        raise FileError(f"{location.path} has no scale {wanted!r}; there are 0 to {len(keys) - 1}: {', '.join(keys)}.")
    level = keys.index(wanted) if wanted in keys else int(wanted)
    values = _Values(_opened("neuroglancer_precomputed", location.path, scale_index=level))
    ours = about.pop("gala", {})
    unit = ours.get("unit") or "nm"
    spacing = in_unit(about["scales"][level]["resolution"][::-1], "nm", unit)
    return Stored(
        values,
        "precomputed",
        axis_names("xyzc"),
        None if ours.get("has_spacing") is False else spacing,
        unit if ours.get("unit", "nm") else None,
        about | ours.get("attributes", {}),
        values.chunks,
        has_all_axes=not ours.get("has_channels"),
    )


def write_volume(location: Location, volume: Volume, options: Options) -> None:
    """Write an array of N5, or a precomputed volume of several scales."""
    known = _n5_types if options.format == "n5" else _precomputed_types
    ready = _unsigned(volume) if options.format != "n5" and options.kind == "labels" else volume
    if ready.dtype.kind == "b":
        ready = _cast(ready, np.uint8)
    if ready.dtype.name not in known or volume.size == 0:
        raise ImageError(
            f"{options.format} holds voxels of {', '.join(known)}; got {volume.dtype} of shape {volume.shape}. "
            "Convert the volume, or write zarr or HDF5."
        )
    _tensorstore()
    try:
        _write_n5(location, ready, options) if options.format == "n5" else _write_precomputed(location, ready, options)
    except (GalaError, OSError):
        raise
    except ValueError as error:  # how tensorstore says what it cannot do
        raise SettingError(f"{location} cannot be written: {' '.join(str(error).split())}.") from error


def _cast(volume: Volume, dtype: Any) -> Volume:
    stored = Stored(
        _Cast(volume, np.dtype(dtype)), "memory", volume.axes, volume.spacing, volume.unit, {}, volume.chunks
    )
    return Volume(stored, volume.path)


class _Cast:
    def __init__(self, volume: Volume, dtype: np.dtype[Any]) -> None:
        self.volume, self.shape, self.dtype = volume, volume.shape, dtype

    def __getitem__(self, box: Box) -> Array:
        return np.asarray(as_labels(self.volume[box], "array").astype(self.dtype))


def _unsigned(volume: Volume) -> Volume:
    """Return labels as unsigned numbers, which are the only ones that Neuroglancer shows as segments."""
    return _cast(volume, f"u{volume.dtype.itemsize}") if volume.dtype.kind == "i" else volume


def _order(volume: Volume) -> tuple[str, list[int]]:
    """Return the axes to store, as letters, and where each is in the volume."""
    letters = axis_letters(volume.axes)
    stored = "".join(sorted(letters, key=_stored_order.index))
    return stored, [letters.index(letter) for letter in stored]


def _write_n5(location: Location, volume: Volume, options: Options) -> None:
    letters, order = _order(volume)
    metadata = {
        "dimensions": [volume.shape[i] for i in order],
        "blockSize": [options.chunks[i] for i in order],
        "dataType": volume.dtype.name,
        "compression": _n5_compression(options.compression),
        "axes": list(letters),
        **options.attributes,
    }
    if volume.spacing is not None:
        size = dict(zip((axis for axis in volume.axes if axis in spatial), volume.spacing, strict=True))
        metadata["resolution"] = [size.get(axis, 1.0) for axis in axis_names(letters)]
        if volume.unit is not None:
            metadata["units"] = [volume.unit if axis in size else "" for axis in axis_names(letters)]
    inside = location.dataset and (location.path / "attributes.json").exists()
    with replacing_folder(location.path / (location.dataset or "") if inside else location.path, _is_n5_array) as new:
        if not inside:
            new.mkdir()
            metadata |= {} if location.dataset else {"n5": "2.0.0"}
        target = new if inside or not location.dataset else new / location.dataset
        store = _opened("n5", target, create=True, metadata=metadata)
        if location.dataset and not inside:
            (new / "attributes.json").write_text('{"n5":"2.0.0"}')
        fill(_Values(store), volume, order, options.chunks)


def _n5_compression(name: str) -> dict[str, Any]:
    known: dict[str, dict[str, Any]] = {
        "default": {"type": "gzip", "level": 1},  # which every reader of N5 knows
        "gzip": {"type": "gzip"},
        "none": {"type": "raw"},
        "zstd": {"type": "zstd"},
    }
    if name not in known:
        raise SettingError(f"compression of N5 must be 'gzip', 'zstd' or 'none'; got {name!r}.")
    return known[name]


def _is_n5_array(folder: Path) -> bool:
    return "dimensions" in _json(folder / "attributes.json")


def _write_precomputed(location: Location, volume: Volume, options: Options) -> None:
    if location.dataset is not None:
        raise FileError(f"{location.path} holds one volume at several scales; leave '::{location.dataset}' out.")
    letters, order = _order(volume)
    if not letters.startswith("xyz") or "t" in letters:
        raise ImageError(
            f"precomputed holds volumes with axes plane, row, column[, channel]; got {', '.join(volume.axes)}."
        )
    factors = halvings(volume, options.scales)
    level, last = volume, factors[0]
    with replacing_folder(location.path, lambda folder: "scales" in _json(folder / "info")) as new:
        new.mkdir()
        for factor in factors:
            if factor != last:
                level = coarser(level, [f // g for f, g in zip(factor, last, strict=True)], options.kind)
            nm = in_unit(scaled_spacing(volume, factor) or factor[:3], volume.unit or "nm", "nm")
            store = _create_scale(new, level, options, nm)
            fill(_Values(store if "c" in letters else store[..., 0]), level, order, options.chunks)
            stored = Stored(_Values(store), "memory", axis_names("xyzc"), has_all_axes="c" not in letters)
            level, last = Volume(stored, str(new)), factor
        about = _json(new / "info")
        about["gala"] = {
            "unit": volume.unit,
            "has_spacing": volume.spacing is not None,
            "has_channels": "c" in letters,
            "attributes": dict(options.attributes),
        }
        (new / "info").write_text(json.dumps(about))


def _create_scale(new: Path, level: Volume, options: Options, nm: tuple[float, ...]) -> Any:
    is_labels = options.kind == "labels" and level.dtype.kind == "u"
    encodings = {"default": "raw", "none": "raw", "jpeg": "jpeg", "png": "png"}
    if options.compression not in encodings:
        raise SettingError(f"compression of precomputed must be 'jpeg', 'png' or 'none'; got {options.compression!r}.")
    scale: dict[str, Any] = {
        "size": level.shape[2::-1],
        "chunk_size": options.chunks[2::-1],
        "resolution": nm[::-1],
        "voxel_offset": [0, 0, 0],
        "encoding": encodings[options.compression],
    }
    if is_labels and options.compression == "default" and level.dtype.itemsize >= 4:
        scale |= {"encoding": "compressed_segmentation", "compressed_segmentation_block_size": [8, 8, 8]}
    about = {
        "type": "segmentation" if is_labels else "image",
        "data_type": level.dtype.name,
        "num_channels": level.shape[3] if level.ndim == 4 else 1,
    }
    return _opened("neuroglancer_precomputed", new, create=True, multiscale_metadata=about, scale_metadata=scale)
