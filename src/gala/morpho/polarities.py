"""Which way up a boundary map is: boundaries that labels expect, and whether the map is high or low there."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from gala._types import ArrayLike, Bools, Labels
from gala.errors import PolarityWarning
from gala.graph.labels import as_labels
from gala.morpho.checks import as_heights, fitting, neighbours

_LEAST_CONTRAST = 0.3  # standard deviations of the map: less may be chance


@dataclass(frozen=True, slots=True)
class Polarity:
    """How a boundary map differs between boundaries and the insides of regions."""

    on_boundaries: float  # mean of the map there; NaN if there are none
    inside: float  # mean of the map elsewhere in the regions; NaN if there is nothing else
    contrast: float  # the first minus the second, in standard deviations of the map there; 0 if not known
    top: float  # what to subtract the map from to turn it over

    @property
    def is_inverted(self) -> bool:
        """Whether insides are brighter than boundaries, by more than 0.3 standard deviations."""
        return self.contrast < -_LEAST_CONTRAST


def polarity(boundary: ArrayLike, labels: ArrayLike) -> Polarity:
    """Measure whether a boundary map is high on boundaries, as all of gala takes it to be.

    Parameters
    ----------
    boundary : array of float, shape (M, ..., P)
        The map, one channel.
    labels : array of int, shape (M, ..., P)
        Truth or superpixels, as for `boundary_labels`. Superpixels that were flooded in an inverted map follow the
        map, not the image, and cannot tell.

    Returns
    -------
    polarity : Polarity
        Means on boundaries and inside of regions, their contrast, and ``is_inverted``. To turn a map over, take
        ``polarity.top - boundary``.

    Raises
    ------
    ShapeError, ImageError, LabelError
        If shapes differ, the map is not finite, or `labels` are not labels.

    Examples
    --------
    >>> found = polarity([0.9, 0.8, 0.1, 0.2, 0.9], [1, 1, 1, 2, 2])
    >>> found.is_inverted, found.top
    (True, 1.0)
    """
    regions = as_labels(labels, "labels")
    heights = fitting(as_heights(boundary), regions, "boundary", to="labels")
    expected = boundary_labels(regions)
    on, inside = heights[expected == 2].astype(np.float64), heights[expected == 1].astype(np.float64)
    top = max(1.0, float(heights.max()))
    if not on.size or not inside.size:
        means = [float(part.mean()) if part.size else np.nan for part in (on, inside)]
        return Polarity(means[0], means[1], 0.0, top)
    difference, spread = float(on.mean() - inside.mean()), float(np.concatenate([on, inside]).std())
    return Polarity(float(on.mean()), float(inside.mean()), difference / spread if spread else 0.0, top)


def check_polarity(boundary: ArrayLike, labels: ArrayLike) -> Polarity:
    """Warn if a boundary map is inverted, and say what to do.

    Parameters
    ----------
    boundary : array of float, shape (M, ..., P)
        The map, one channel.
    labels : array of int, shape (M, ..., P)
        Truth or superpixels.

    Returns
    -------
    polarity : Polarity
        What `polarity` finds.

    Warns
    -----
    PolarityWarning
        If insides of regions are brighter than boundaries.

    Raises
    ------
    ShapeError, ImageError, LabelError
        As from `polarity`.

    Examples
    --------
    >>> check_polarity([0.1, 0.2, 0.9, 0.8, 0.1], [1, 1, 1, 2, 2]).is_inverted
    False
    """
    found = polarity(boundary, labels)
    if found.is_inverted:
        warnings.warn(
            f"the boundary map seems inverted: its mean is {found.on_boundaries:.4g} on boundaries and "
            f"{found.inside:.4g} inside of regions, and gala takes high values for boundaries. "
            f"If so, pass {found.top:g} - boundary.",
            PolarityWarning,
            stacklevel=2,
        )
    return found


def boundary_labels(truth: ArrayLike) -> Labels:
    """Return what a pixel classifier can learn boundaries from: 1 inside of objects, 2 on boundaries.

    Parameters
    ----------
    truth : array of int, shape (M, ..., P)
        Objects; 0 is void or a dam.

    Returns
    -------
    labels : array of uint8, shape (M, ..., P)
        2 where an object touches another one, on both sides, and where 0 lies between two objects that are within
        one voxel of it, across corners too; other voxels of 0 are void, 0, and say nothing; all others are 1.

    Raises
    ------
    LabelError
        If `truth` are not whole numbers, 0 or more.
    ShapeError
        If there are no voxels.

    Examples
    --------
    >>> boundary_labels([3, 3, 0, 4, 4, 5, 5, 0, 0])
    array([1, 1, 2, 1, 2, 2, 1, 0, 0], dtype=uint8)
    """
    regions = as_labels(truth, "truth")
    is_void = regions == 0
    known = np.where(is_void, 0, 1).astype(np.uint8)
    known[_touches_another(regions)] = 2
    known[is_void & _lies_between(regions)] = 2
    return known


def _touches_another(regions: Labels) -> Bools:
    touches = np.zeros(regions.shape, dtype=bool)
    for here, there in neighbours(regions.shape, 1):
        differ = (regions[here] != regions[there]) & (regions[here] > 0) & (regions[there] > 0)
        touches[here] |= differ
        touches[there] |= differ
    return touches


def _lies_between(regions: Labels) -> Bools:
    """Say which voxels have two objects within one voxel, across corners too."""
    order, ranks = np.unique(regions, return_inverse=True)
    ranks = ranks.reshape(regions.shape) + (order[0] != 0)
    lowest = ndimage.minimum_filter(np.where(ranks == 0, len(order) + 1, ranks), 3, mode="nearest")
    highest = ndimage.maximum_filter(ranks, 3, mode="nearest")
    between: Bools = lowest < highest
    return between
