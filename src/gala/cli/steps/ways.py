"""Ways to segment that `gala segment` knows: hand-made policies by name, and what was learned before."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from gala._types import Array, Labels
from gala.engine.agglomerate import agglomerate
from gala.engine.policy import Policy
from gala.graph.build import build_graph
from gala.graph.tree import MergeTree
from gala.morpho import superpixels
from gala.pipeline import Segmenter
from gala.pipeline.named import named_policy

_learned = "learned:"


class Way(Protocol):
    """How to come from an image to a merge tree."""

    threshold_: float  # where to cut unless told otherwise

    def make_superpixels(self, image: Array, *, mask: Array | None) -> Labels:
        """Return the superpixels of an image."""

    def merge_tree(
        self, image: Array, superpixels: Labels, *, extra: Mapping[str, Array] | None, mask: Array | None
    ) -> MergeTree:
        """Return every segmentation of an image."""


class ByHand:
    """A policy that looks at the boundary map and has learned nothing."""

    threshold_ = 0.5

    def __init__(
        self, policy: Policy, *, pixels: Any = None, spacing: Lengths | None = None, n_threads: int | None = None
    ) -> None:
        self.policy, self.pixels, self.spacing, self.n_threads = policy, pixels, spacing, n_threads

    def make_superpixels(self, image: Array, *, mask: Array | None) -> Labels:
        """Return the superpixels of an image."""
        return superpixels(self._map(image)[..., 0], spacing=self.spacing, mask=mask)

    def merge_tree(
        self, image: Array, superpixels: Labels, *, extra: Mapping[str, Array] | None, mask: Array | None
    ) -> MergeTree:
        """Return every segmentation of an image."""
        volume = given_volume(image, superpixels=superpixels, mask=mask)
