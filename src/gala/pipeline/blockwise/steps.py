"""Affinities as a run in blocks reads them: as pairs of voxels, or as maps for a policy that learned from maps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from gala._types import Array
from gala.errors import SettingError
from gala.graph.affinities import as_affinities, as_priority, checked_steps
from gala.graph.affinity_graph import check_affinities, kept_of, kind_of_pairs
from gala.graph.grid import Box
from gala.morpho.oversegmentation import mean_boundary
from gala.pipeline.named import affinity_maps


@dataclass(frozen=True, slots=True)
class Steps:
    """What the channels of affinities are about, and how thresholds are given.

    Pairs are those of steps of one voxel: nothing that runs in blocks reads lifted edges.
    """

    offsets: tuple[tuple[int, ...], ...]  # of all channels
    polarity: str
    convention: str
    summary: str  # of the pairs of a contact: "all" or "strongest"
    are_maps: bool  # for a policy that learned from them

    @classmethod
    def of(
        cls,
        offsets: Sequence[Sequence[int]],
        shape: tuple[int, ...],
        *,
        polarity: str,
        convention: str,
        summary: str,
        are_maps: bool,
    ) -> Steps:
        """Return the steps of affinities of a shape, channels last.

        Raises
        ------
        ShapeError, SettingError
            If they do not fit, or an option has a value that it cannot have.
        """
        *sides, n_channels = shape
        steps = checked_steps(offsets, (n_channels, *sides), polarity)
        if not are_maps:
            check_affinities(tuple(sides), steps, tuple(sides))
        as_priority(0.5, convention)
        kept_of((), kind_of_pairs(len(sides), None), summary)
        if are_maps and summary != "all":
            raise SettingError(
                "summary is of pairs of voxels, and a learned policy reads maps of affinities; leave it out."
            )
        return cls(tuple(map(tuple, steps.tolist())), polarity, convention, summary, are_maps)

    @property
    def channels(self) -> list[int]:
        """Which channels are read."""
        return [k for k, step in enumerate(self.offsets) if self.are_maps or sum(map(abs, step)) == 1]

    @property
    def n_channels(self) -> int:
        """How many channels the image has that is made of them."""
        return 1 + len(self.offsets) if self.are_maps else 1

    @property
    def key(self) -> list[Any]:
        """What a result depends on."""
        return [self.channels, self.near, self.polarity, self.summary, self.are_maps]

    def priority(self, threshold: float) -> float:
        """Return a threshold as a priority."""
        return as_priority(threshold, "affinity") if self.convention == "affinity" else threshold

    def seen(self, box: Box) -> Box:
        """Return a box with the channels to be read, channels last."""
        return (*box, slice(min(self.channels), max(self.channels) + 1))

    def first(self, values: Array) -> Array:
        """Return what was read of such a box, channels first and each in one piece."""
        found = np.array(self.channels) - min(self.channels)
        picked = values if len(found) == values.shape[-1] else values[..., found]
        return np.ascontiguousarray(np.moveaxis(picked, -1, 0))

    @property
    def near(self) -> list[tuple[int, ...]]:
        """The steps that are read."""
        return [self.offsets[k] for k in self.channels]

    @property
    def settings(self) -> dict[str, Any]:
        """Steps that are read, and how, for those who count pairs."""
        return {"offsets": self.near, "polarity": self.polarity, "summary": self.summary}

    def image(self, values: Array) -> Array:
        """Return what was read as graphs are built of it: maps, channels last, or affinities, channels first."""
        first = self.first(values)
        return affinity_maps(first, self.offsets, polarity=self.polarity) if self.are_maps else first

    def boundary(self, values: Array) -> Array:
        """Return the map that superpixels are made of; of pairs, it takes in those of the voxel before."""
        if self.are_maps:
            return np.clip(self.image(values)[..., 0], 0, 1)
        return mean_boundary(as_affinities(self.first(values), self.near, self.polarity))
