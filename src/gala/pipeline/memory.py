"""How much memory a task on a block will need, how many tasks there are, and how much they write: before the run."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import DTypeLike

from gala.errors import SettingError, ShapeError
from gala.graph.build import Leaves, leaves_of
from gala.graph.caches import Channels, ImageKind, lay_out
from gala.graph.grid import chunk_side
from gala.graph.volume import SLAB_VOXELS

STAGES = ("superpixels", "graph", "agglomeration", "segmentation")
LIBRARIES = 330_000_000  # bytes of a process that has loaded gala, zarr, dask and compiled loops (2026-11)
_smoothing = 3  # voxels that smoothing by 0.7 looks at beyond the halo
_contacts_per_region = 7  # in three dimensions; 6.5 on synthetic volumes
_row_copies = 3  # rows of a graph while it is made: those found, sorted ones, and those of both joined
_contact_bytes = 200  # of heaps, tables and ranks while regions merge
_stored_per_voxel = {"superpixels": 0.2, "segmentation": 0.2}  # compressed labels; synthetic ones have 0.19


class StageEstimate(NamedTuple):
    """What one stage of a run needs."""

    stage: str
    n_tasks: int
    memory: int  # bytes, the most that a process with one task has at a time, libraries and all
    stored: int  # bytes that all tasks write together


def projected_memory(
    stage: str,
    block_shape: Sequence[int],
    *,
    image_dtype: DTypeLike = np.uint8,
    n_channels: int = 1,
    label_dtype: DTypeLike = np.uint64,
    features: Leaves | Sequence[Leaves] = (),
    extra: Mapping[str, int] | None = None,
    affinities: int = 0,
    halo: int = 48,
    voxels_per_region: float = 500.0,
) -> int:
    """Return the bytes that a process needs at most for one task on a block.

    Parameters
    ----------
    stage : {"superpixels", "graph", "agglomeration", "segmentation"}
        What the task does.
    block_shape : sequence of int
        Voxels of a block along each axis.
    image_dtype, label_dtype : dtype
        Of the boundary map, and of superpixels as they are stored.
    n_channels : int
        Of the image.
    features : feature manager or sequence of them
        What the graph keeps.
    extra : dict of int by name
        Channels of each extra image, with values of the same type.
    affinities : int
        If the image holds affinities, how many channels are read. `n_channels` is 1, as graphs keep of pairs what they
        do of one channel, or that of the maps that are made of them.
    halo : int
        For superpixels.
    voxels_per_region : float
        Of a superpixel, on average. Graphs are small beside voxels unless this is below 100 or so.

    Returns
    -------
    memory : int
        Loaded libraries, arrays of voxels and rows of graphs; see `LIBRARIES`.

    Raises
    ------
    SettingError
        If there is no such stage, or a number is out of range.
    ShapeError
        If the block has no voxels.

    Notes
    -----
    Measured peaks, less libraries, were 0.5 to 1.05 times what is projected (``tests/test_memory.py``); maps full of
    noise, with more minima than one in 30 voxels, need more for superpixels. Joins of blocks in agglomeration hold
    the rows of what is left of each: see docs/scale-numbers.md.

    Examples
    --------
    >>> [round(projected_memory(stage, (256, 256, 256)) / 1e6) for stage in ("superpixels", "graph")]
    [1490, 639]
    """
    if stage not in STAGES:
        raise SettingError(f"stage must be one of {', '.join(map(repr, STAGES))}; got {stage!r}.")
    sides = tuple(block_shape)
    if not sides or min(sides) < 1:
        raise ShapeError(f"block_shape must be whole numbers, 1 or more; got {sides}.")
    if halo < 0 or n_channels < 1 or not voxels_per_region > 0:
        raise SettingError("halo must be 0 or more, n_channels 1 or more, and voxels_per_region above 0.")
    image, label, voxels = np.dtype(image_dtype).itemsize, np.dtype(label_dtype).itemsize, math.prod(sides)
    need = 0.0
    n_regions = voxels / voxels_per_region
    rows = n_regions * _row_bytes(features, n_channels, extra or {}, len(sides))
    slab = min(voxels, max(SLAB_VOXELS, voxels // sides[0]))
    if stage == "superpixels":
        seen = math.prod(n + 2 * (halo + _smoothing) for n in sides)
        # The map and the smoothed one; basins, and a copy as int64 when they are counted; a tenth for tables of basins.
        need = seen * (2 * max(4, image) + 4 + 8 + 2) + voxels * (8 + 1)
        if affinities:  # all channels, twice while they are put first; means and counts, and the map of one channel
            maps = 4 * n_channels if n_channels > 1 else 0
            need = max(need, seen * (2 * image * affinities + 2 * 4 + 3 * max(4, image) + maps))
    elif stage == "graph" and affinities and n_channels == 1:
        # Of one slab at a time: numbers, means, and channels as floats.
        need = (math.prod(n + 2 for n in sides)) * label + voxels * 2 * image * affinities
        need += slab * (4 + 4 + 4 + 2 * max(4, image) * affinities) + _row_copies * rows
    elif stage == "graph":
        beyond = math.prod(n + 2 for n in sides)
        n = n_channels + sum((extra or {}).values())
        converted = 0 if np.dtype(image_dtype).kind == "f" else 4 * n
        together = max(4, image) * n if extra else 0  # all channels beside each other
        need = beyond * (label + 4) + voxels * (image * n + converted + together) + _row_copies * rows
        need += voxels * (image * affinities + 12) if affinities else 0  # while they become maps
    elif stage == "agglomeration":
        need = _row_copies * rows + _contact_bytes * _contacts_per_region * n_regions
    else:
        need = 2 * label * voxels + 2 * label * n_regions + rows
        # A chunk of a coarser scale is made of eight, which are sorted, counted and compared.
        need = max(need, 9 * label * 8 * math.prod(chunk_side(side, side + 1) for side in sides))
    return LIBRARIES + math.ceil(need)


def projected_run(
    shape: Sequence[int],
    block_shape: Sequence[int],
    *,
    image_dtype: DTypeLike = np.uint8,
    n_channels: int = 1,
    label_dtype: DTypeLike = np.uint64,
    features: Leaves | Sequence[Leaves] = (),
    extra: Mapping[str, int] | None = None,
    affinities: int = 0,
    halo: int = 48,
    voxels_per_region: float = 500.0,
) -> list[StageEstimate]:
    """Return what each stage of a run needs.

    Parameters
    ----------
    shape : sequence of int
        Of the volume.
    block_shape, image_dtype, n_channels, label_dtype, features, extra, affinities, halo, voxels_per_region
        As for `projected_memory`.

    Returns
    -------
    stages : list of StageEstimate
        In the order of the run. Sizes of label volumes are those of synthetic ones, compressed by zstd.

    Raises
    ------
    SettingError, ShapeError
        As `projected_memory` does, or if the volume has another number of axes than blocks.

    Examples
    --------
    >>> for stage in projected_run((1024, 1024, 1024), (256, 256, 256)):
    ...     print(f"{stage.stage}: {stage.n_tasks} tasks, {stage.memory / 1e9:.1f} GB, {stage.stored / 1e9:.1f} GB")
    superpixels: 64 tasks, 1.5 GB, 0.2 GB
    graph: 64 tasks, 0.6 GB, 0.4 GB
    agglomeration: 127 tasks, 0.4 GB, 0.4 GB
    segmentation: 64 tasks, 0.6 GB, 0.2 GB
    """
    if len(shape) != len(block_shape) or min(shape, default=0) < 1:
        raise ShapeError(f"shape must have voxels, along as many axes as block_shape; got {tuple(shape)}.")
    options = {
        "image_dtype": image_dtype,
        "n_channels": n_channels,
        "label_dtype": label_dtype,
        "features": features,
        "extra": extra,
        "affinities": affinities,
        "halo": halo,
        "voxels_per_region": voxels_per_region,
    }
    block = [min(side, n) for side, n in zip(block_shape, shape, strict=True)]
    n_blocks = math.prod(-(-n // side) for n, side in zip(shape, block, strict=True))
    n_voxels = math.prod(shape)
    rows = n_voxels / voxels_per_region * _row_bytes(features, n_channels, extra or {}, len(block))
    return [
        StageEstimate(
            stage,
            2 * n_blocks - 1 if stage == "agglomeration" else n_blocks,
            projected_memory(stage, block, **options),  # type: ignore[arg-type]  # a dict of different types
            round(_stored_per_voxel[stage] * n_voxels if stage in _stored_per_voxel else rows),
        )
        for stage in STAGES
    ]


def _row_bytes(features: Leaves | Sequence[Leaves], n_channels: int, extra: Mapping[str, int], ndim: int) -> float:
    """Return the bytes of the graph for each region: its row, and its share of contacts, ends and labels."""
    kind = ImageKind.unit(Channels.all_plain(n_channels).with_extra(n_channels, extra), ndim)
    leaves = leaves_of(features)
    of_regions, of_contacts = (lay_out(leaves, kind, of_regions=which)[0] for which in (True, False))
    width = 2.0 if of_contacts.is_of_counts else 8.0
    return 8.0 * (len(of_regions) + 2 + 2 * _contacts_per_region) + width * _contacts_per_region * len(of_contacts)
