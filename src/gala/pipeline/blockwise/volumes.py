"""Volumes that tasks write: empty ones, block after block of them, and how two of them overlap."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import zarr

from gala import classify
from gala._files import replacing, replacing_folder
from gala._types import Array
from gala.classify.tiles import Window
from gala.errors import FileError
from gala.graph.files import FORMAT
from gala.graph.grid import Box, Grid, Place, chunk_side, placed
from gala.graph.labels import as_labels
from gala.graph.overlaps import Overlaps, count_overlaps, join_overlaps
from gala.graph.voxels import map_labels
from gala.imio.files import Options, as_volume
from gala.imio.pyramid import coarser
from gala.imio.zarrs import create_scales
from gala.pipeline.blockwise.faces import keep_faces, states_of_faces
from gala.pipeline.blockwise.inputs import Input, Readable, state_of
from gala.pipeline.blockwise.plan import Plan, ready
from gala.pipeline.blockwise.stages import arrays_of, labels_of_block
from gala.pipeline.blockwise.voxels import read, read_boundary, read_voxels
from gala.pipeline.memory import LIBRARIES

_pairs = ("seg_labels", "truth_labels", "seg_index", "truth_index", "counts")


def create(
    folder: Path,
    grid: Grid,
    dtype: Any,
    kind: str,
    *,
    n_channels: int | None = None,
    spacing: tuple[float, ...] | None = None,
    unit: str | None = None,
    scales: int | None = None,
    provenance: Mapping[str, Any] | None = None,
) -> list[tuple[int, ...]]:
    """Make an OME-Zarr image without values, of chunks that blocks are made of; return how coarse each scale is."""
    sides = tuple(chunk_side(side, n) for side, n in zip(grid.block_shape, grid.shape, strict=True))
    more = () if n_channels is None else (n_channels,)
    empty = np.broadcast_to(np.zeros((), dtype), (*grid.shape, *more))
    axes = "zyx"[-len(grid.shape) :] + "c" * len(more)
    volume = as_volume(empty, axes=axes, spacing=spacing, unit=unit if spacing else None)
    about = {} if provenance is None else {"provenance": provenance}
    with replacing_folder(folder, lambda _: True) as new:
        return create_scales(new, volume, Options("ome-zarr-0.5", kind, (*sides, *more), "default", scales, about))


def _scale(folder: Path, level: int) -> Any:
    """Return one scale of an output."""
    return _opened_scale(folder, level, state_of(folder))


@lru_cache(maxsize=32)
def _opened_scale(folder: Path, level: int, _state: Any) -> Any:
    return zarr.open_array(folder / str(level), mode="r+")


# -- one task each -------------------------------------------------------------------------------------------------


def load_pixels(fn: Path) -> Any:
    """Return the model that makes boundary maps in a file."""
    return _loaded_pixels(fn, state_of(fn))


@lru_cache(maxsize=2)
def _loaded_pixels(fn: Path, _state: Any) -> Any:
    return classify.OnnxModel(fn) if fn.suffix == ".onnx" else classify.PixelClassifier.load(fn)


class Maps(NamedTuple):
    """What the boundary maps of a model are."""

    n_channels: int | None  # None for no axis of them
    grid: Grid  # whole tiles, so that none is predicted twice
    memory: int | None  # bytes that a process needs for a block; None for networks, which do not tell


def maps_made(pixels: Path, image: Input, grid: Grid) -> Maps:
    """Return what a model makes of an image, of which it tries a corner; blocks are about as large as others."""
    model = load_pixels(pixels)
    corner = tuple(slice(0, min(n, 64)) for n in image.shape[:3])
    found = model.predict(Readable(image, skip=True)[corner], n_threads=1)
    tile = model.tile_sides(len(grid.shape))
    sides = [max(1, round(side / one)) * one for side, one in zip(grid.block_shape, tile, strict=True)]
    blocks = Grid.of(grid.shape, sides)
    if isinstance(model, classify.OnnxModel):
        return Maps(int(found.shape[-1]), blocks, None)
    there = 4 + np.dtype(image.dtype).itemsize * math.prod(image.shape[len(grid.shape) :])
    return Maps(None, blocks, LIBRARIES + model.tile_memory() + there * math.prod(blocks.block_shape))


def predict_block(pixels: Path, image: Input, grid: Grid, out: Path, skip: bool, place: Place) -> dict[str, Any]:
    """Write a block of the boundary map; NaN where the image cannot be read, if that is to be skipped."""
    model, box = load_pixels(pixels), grid.box(place)
    target = _scale(out, 0)
    n_more = len(target.shape) - len(grid.shape)
    window = Window((*grid.shape, *target.shape[:n_more]), box)
    model.predict(Readable(image, skip=skip), out=window, n_threads=1)
    lost = image.read_most(box)[1] if skip else None
    if lost is not None:
        window.values[lost] = np.nan
    # Scales store channels first.
    target[(*(slice(None),) * n_more, *box)] = np.moveaxis(window.values, -1, 0) if n_more else window.values
    return {"lost": 0 if lost is None else int(np.count_nonzero(lost))}


def cut_block(plan: Plan, options: Mapping[str, Any], out: Path, place: Place) -> dict[str, Any]:
    """Write the superpixels of a block, which are those of the whole volume."""
    from gala.morpho.blocks import superpixels_of_block

    def boundary(box: Box) -> Array:
        values, lost = _map_in(plan, box)
        return values if lost is None else np.where(lost, values.dtype.type(1), values)

    def mask(box: Box) -> Array:
        lost = _map_in(plan, box)[1] if plan.skip or plan.is_predicted else None
        keep = np.ones([part.stop - part.start for part in box], dtype=np.bool_) if lost is None else ~lost
        return keep if plan.mask is None else keep & (read(plan, plan.mask, box)[0] != 0)

    box = plan.grid.box(place)
    is_masked = plan.mask is not None or plan.skip
    found = superpixels_of_block(
        boundary, box, plan.grid.shape, mask=mask if is_masked else None, spacing=plan.spacing, **options
    )
    _scale(out, 0)[box] = found.labels
    if not plan.skip:
        keep_faces(plan, place, found.labels, states_of_faces(plan, place))
    return {"halo": int(found.halo), "cut": int(found.n_cut)}


def _map_in(plan: Plan, box: Box) -> tuple[Array, Any]:
    """Return the boundary map in a box, and where it could not be read."""
    values, lost = read_boundary(plan, box)
    if plan.is_predicted:
        lost = np.isnan(values) if lost is None else lost | np.isnan(values)
        values = np.clip(np.nan_to_num(values, nan=1.0), 0, 1)  # networks leave that range by rounding
    return values, lost


def relabel_block(plan: Plan, part: str, table: Path, out: Path, place: Place) -> None:
    """Write a block of a segmentation."""
    voxels = read_voxels(plan, place, needs_image=plan.skip, sees_beyond=False)
    own = labels_of_block(plan, part, place)
    leaves, values = (np.load(file, mmap_mode="r") for file in (plan.work / "leaves.npy", table))
    own_values = np.asarray(values[np.searchsorted(leaves, own)])
    options = {"mask": voxels.keep, "background": plan.background, "n_threads": 1}
    _scale(out, 0)[plan.grid.box(place)] = map_labels(voxels.labels, own, own_values, **options)  # type: ignore[arg-type]  # mypy joins their types


def coarsen_block(out: Path, level: int, factors: tuple[int, ...], grid: Grid, place: Place) -> None:
    """Write a block of a coarser scale chunk by chunk, as each is made of up to eight of the scale before."""
    scale, box = _scale(out, level), grid.box(place)
    windows = coarser(as_volume(_scale(out, level - 1)), factors, "labels")
    chunks = Grid.of([part.stop - part.start for part in box], scale.chunks)
    for chunk in map(chunks.box, chunks.places()):
        there = placed(chunk, box)
        scale[there] = windows[there]


def count_block(plan: Plan, truth: Input, out: Path, fn: Path, place: Place) -> None:
    """Write how many voxels of a block each pair of a segment and a true one share."""
    box = plan.grid.box(place)
    true, _ = read(plan, truth, box)  # 0, which is unknown, where it cannot be read
    seg = as_labels(np.asarray(_scale(out, 0)[box]), "segmentation")
    found = count_overlaps(seg, as_labels(true, truth.name), n_threads=1)
    with replacing(ready(fn)) as new, new.open("wb") as stream:
        np.savez(stream, format=FORMAT, **found._asdict())


def joined_counts(files: Iterable[Path]) -> Overlaps:
    """Return the table of all blocks.

    Raises
    ------
    FileError
        If there are none.
    """
    total: list[Overlaps] = []
    for fn in files:
        total = [join_overlaps([*total, Overlaps(*arrays_of(fn, *_pairs))])]
    if not total:
        raise FileError("there are no blocks to compare.")
    return total[0]
