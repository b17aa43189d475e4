"""From a volume to its superpixels, and to the graph of them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from gala import morpho
from gala._types import Labels
from gala.features.base import Null
from gala.features.declared import Declared
from gala.graph.build import build_graph
from gala.graph.volume import check_volume
from gala.morpho.oversegmentation import superpixels
from gala.pipeline.inputs import Given
from gala.pipeline.recipe import VolumeGraph

_SEEN_VOXELS = 2**21  # are enough to tell which way up a map is, in less time than a graph takes


def check_boundary(volume: Given, labels: Labels) -> None:
    """Warn if, in the middle of a volume, its boundary map is low on the boundaries of labels."""
    excess = max(1.0, math.prod(volume.shape) / _SEEN_VOXELS) ** (1 / len(volume.shape))
    sides = [max(1, int(n / excess)) for n in volume.shape]
    where = tuple(slice((n - side) // 2, (n + side) // 2) for n, side in zip(volume.shape, sides, strict=True))
    boundary = np.clip(volume.image[where][..., 0], 0, 1)
    seen = labels[where]
    if volume.mask is not None:  # there may be NaN outside
        seen, boundary = (np.where(volume.mask[where], array, 0) for array in (seen, boundary))
    morpho.check_polarity(boundary, seen)


def with_superpixels(
    volume: Given, *, spacing: Sequence[float] | None = None, options: Mapping[str, Any] | None = None
) -> Given:
    """Return a volume with superpixels: its own, or those that `gala.morpho.superpixels` makes of its first channel."""
    if volume.superpixels is not None:
        return volume
    boundary = np.clip(volume.image[..., 0], 0, 1)  # networks leave that range by rounding
    if volume.mask is not None:
        boundary[~volume.mask] = 1  # and may leave NaN outside
    return volume._replace(superpixels=superpixels(boundary, spacing=spacing, mask=volume.mask, **(options or {})))


def graph_of(
    volume: Given, needs: Null, *, spacing: Sequence[float] | None = None, n_threads: int | None = None
) -> VolumeGraph:
    """Return the graph of a volume that has superpixels, with what feature managers need."""
    assert volume.superpixels is not None  # the estimator makes them
    options = {"mask": volume.mask, "spacing": spacing, "extra": volume.extra}
    checked = check_volume(volume.superpixels, volume.image, **options)  # type: ignore[arg-type]  # mypy joins their types
    leaves = [leaf for leaf in needs.leaves() if isinstance(leaf, Declared)]
    graph = build_graph(checked.labels, checked.image, leaves, **options, n_threads=n_threads)  # type: ignore[arg-type]  # same
    return VolumeGraph(graph, checked)
