"""What all stages of a run know, and how a task reads its block."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from gala._files import replacing
from gala._types import Array, Bools, Labels
from gala.graph.grid import Box, Grid, Place
from gala.graph.labels import as_labels
from gala.pipeline.blockwise.inputs import Input


@dataclass(frozen=True, slots=True)
class Plan:
    """What all stages of a run must know."""

    work: Path  # the folder of what is kept of blocks
    grid: Grid
    image: Input
    superpixels: Input
    mask: Input | None
    extra: Mapping[str, Input]  # other images, by name
    background: int | None
    spacing: tuple[float, ...] | None
    skip: bool  # what cannot be read
    is_predicted: bool = False  # the image was made here: where that could not be done it is NaN

    @property
    def label_dtype(self) -> np.dtype[Any]:
        """The type of labels everywhere: that of the superpixels, uint64 for floats."""
        given = np.dtype(self.superpixels.dtype)
        return np.dtype(np.uint8) if given.kind == "b" else given if given.kind in "ui" else np.dtype(np.uint64)

    def graph_file(self, part: str, place: Place) -> Path:
        """Return where the graph of a block is."""
        return self.work / "graphs" / part / f"{named(place)}.npz"

    def merges_file(self, way: str, level: int, place: Place) -> Path:
        """Return where the merges of a join of blocks are, and what is left after them."""
        return self.work / "merges" / way / f"{level}-{named(place)}.npz"


def named(place: Place) -> str:
    """Return the name of a block.

    Examples
    --------
    >>> named((0, 12, 3))
    '0-12-3'
    """
    return "-".join(map(str, place))


class Voxels(NamedTuple):
    """A block, and perhaps one voxel beyond of labels and mask."""

    labels: Labels
    image: Array
    extra: dict[str, Array]
    keep: Bools | None
    n_lost: int  # voxels of the block that could not be read


def read_voxels(plan: Plan, place: Place, *, needs_image: bool = True, sees_beyond: bool = True) -> Voxels:
    """Return a block; what cannot be read, if that is to be skipped, is in no region."""
    box = plan.grid.box(place)
    seen = plan.grid.seen(place) if sees_beyond else box
    inner = plan.grid.inner(place) if sees_beyond else (slice(None),) * len(box)
    labels, lost = read(plan, plan.superpixels, seen)
    keep = None if lost is None else ~lost
    n_lost = 0 if lost is None else np.count_nonzero(lost[inner])
    images = {}
    for name, volume in {"": plan.image, **plan.extra}.items() if needs_image else ():
        images[name], lost = read(plan, volume, box)
        if plan.skip and plan.is_predicted and not name:
            lost = np.asarray(np.isnan(images[name]).reshape(*labels[inner].shape, -1).any(axis=-1))
            images[name] = np.where(np.isnan(images[name]), 0, images[name])
        if lost is not None:
            keep = np.ones(labels.shape, dtype=np.bool_) if keep is None else keep
            n_lost += np.count_nonzero(lost & keep[inner])
            keep[inner] &= ~lost
    if plan.mask is not None:
        values, lost = read(plan, plan.mask, seen)  # 0 where it cannot be read
        shown = np.asarray(values, dtype=np.bool_)
        keep = shown if keep is None else np.asarray(keep & shown, dtype=np.bool_)
    regions = as_labels(labels, plan.superpixels.name).astype(plan.label_dtype, copy=False)
    return Voxels(regions, images.pop("", np.empty(0)), images, keep, int(n_lost))


def read(plan: Plan, volume: Input, box: Box) -> tuple[Array, Bools | None]:
    """Return a box of a volume, and where it could not be read, if that is to be skipped."""
    return volume.read_most(box) if plan.skip else (volume.read(box), None)


def ready(fn: Path) -> Path:
    """Return the name of a file, whose folder is there."""
    fn.parent.mkdir(parents=True, exist_ok=True)
    return fn


def write_json(fn: Path, value: Any) -> None:
    """Write a value as JSON to a file that only a complete one replaces."""
    with replacing(ready(fn)) as new:
        new.write_text(json.dumps(value, indent=2, sort_keys=True) + "\n", encoding="utf-8")
