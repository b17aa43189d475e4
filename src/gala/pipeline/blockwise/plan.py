"""What all stages of a run know, and where they write."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from gala._files import replacing
from gala.graph.grid import Box, Grid, Place
from gala.pipeline.blockwise.inputs import Input
from gala.pipeline.blockwise.steps import Steps


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
    steps: Steps | None = None  # of the image, if it holds affinities
    gain: float = 1.0  # what the image is raised by, for graphs

    @property
    def label_dtype(self) -> np.dtype[Any]:
        """The type of labels everywhere: that of the superpixels, uint64 for floats."""
        given = np.dtype(self.superpixels.dtype)
        return np.dtype(np.uint8) if given.kind == "b" else given if given.kind in "ui" else np.dtype(np.uint64)

    def of_image(self, box: Box) -> Box:
        """Return a box of the image as it is read: of affinities, with channels."""
        return box if self.steps is None else self.steps.seen(box)

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


def ready(fn: Path) -> Path:
    """Return the name of a file, whose folder is there."""
    fn.parent.mkdir(parents=True, exist_ok=True)
    return fn


def write_json(fn: Path, value: Any) -> None:
    """Write a value as JSON to a file that only a complete one replaces."""
    with replacing(ready(fn)) as new:
        new.write_text(json.dumps(value, indent=2, sort_keys=True) + "\n", encoding="utf-8")
