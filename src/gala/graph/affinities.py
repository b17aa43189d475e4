"""Affinities: for each voxel and each of K offsets, whether it and the voxel there belong together.

All that follows sees them as boundaries, from 0 (together) to 1 (apart), like any boundary map.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from gala._types import Array, ArrayLike, Bools, Ints
from gala.errors import GalaWarning, ImageError, SettingError, ShapeError

SLACK = 1e-3  # floats of networks overshoot 1 by rounding


@dataclass(frozen=True, slots=True, eq=False)
class Affinities:
    """K channels of numbers about pairs of voxels, checked once."""

    values: Array  # (K, M, ..., P) as given
    offsets: Ints  # (K, ndim) channel k at voxel x is about x and x + offsets[k]
    polarity: str  # "attractive": 1 is together; "repulsive": 1 is apart

    @property
    def is_local(self) -> Bools:
        """Whether the voxels of each channel's pairs share a face, shape (K,)."""
        return np.asarray(np.abs(self.offsets).sum(axis=1) == 1)

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the volume."""
        return self.values.shape[1:]

    def boundary(self, channel: int, planes: slice = slice(None)) -> Array:
        """Return one channel, or some planes of it, as boundaries from 0 to 1: float32, or float64 if it is."""
        values = np.clip(scaled(self.values[channel, planes]), 0, 1)
        return 1 - values if self.polarity == "attractive" else values

    def forward(self, axis: int) -> Array:
        """Return the boundary between each voxel and the next one along an axis, shape (M, ..., P); 1 at the end."""
        ahead = np.ones(self.shape, dtype=np.float32)
        here = (slice(None),) * axis + (slice(None, -1),)
        there = (slice(None),) * axis + (slice(1, None),)
        channel = nearest(self.offsets, axis)
        ahead[here] = self.boundary(channel)[here if self.offsets[channel, axis] > 0 else there]
        return ahead


def nearest(offsets: Ints, axis: int) -> int:
    """Return which of some offsets, shape (K, ndim), leads to the next voxel along an axis, or to the one before.

    Raises
    ------
    SettingError
        If none does.
    """
    found = np.flatnonzero((np.abs(offsets) == np.eye(offsets.shape[1], dtype=np.int64)[axis]).all(axis=1))
    if found.size == 0:
        raise SettingError(
            f"offsets must have a step of one voxel along each axis; got none along axis {axis} in {offsets.tolist()}."
        )
    return int(found[0])


def scaled(values: Array) -> Array:
    """Return floats of 4 bytes or 8, integers divided by the highest of their type."""
    if values.dtype.kind in "bui":
        top = 1 if values.dtype.kind == "b" else np.iinfo(values.dtype).max
        return values.astype(np.float32) / np.float32(top)
    kind = np.float32 if values.dtype.itemsize <= 4 else np.float64
    return values.astype(kind, copy=False)


def as_priority(threshold: float, convention: str = "affinity") -> float:
    """Return the priority at which to stop or cut, for a threshold as users of affinities give it.

    Parameters
    ----------
    threshold : float
        From 0 to 1.
    convention : {"affinity", "distance"}
        Whether regions merge above a threshold of affinity, or below one of distance, which is one minus affinity.

    Returns
    -------
    priority : float
        Low ones merge first.

    Raises
    ------
    SettingError
        If the threshold is not from 0 to 1, or there is no such convention.

    Examples
    --------
    >>> as_priority(0.75), as_priority(0.75, "distance")
    (0.25, 0.75)
    """
    if convention not in ("affinity", "distance"):
        raise SettingError(f"convention must be 'affinity' or 'distance'; got {convention!r}.")
    if not 0 <= threshold <= 1:
        raise SettingError(f"threshold must be from 0 to 1; got {threshold!r}.")
    return 1.0 - threshold if convention == "affinity" else float(threshold)


def as_affinities(affinities: ArrayLike, offsets: Sequence[Sequence[int]], polarity: str = "attractive") -> Affinities:
    """Return affinities and their offsets as arrays that fit each other, or raise what is wrong with them.

    Raises
    ------
    ShapeError
        If `affinities` is not one channel for each offset, channels first, of a volume that has voxels.
    ImageError
        If `affinities` are floats outside of 0 to 1 or not finite, or negative integers.
    SettingError
        If offsets are not whole numbers, are all 0 or occur twice, or there is no such polarity.
    """
    values = np.asarray(affinities)
    known = Affinities(values, checked_steps(offsets, values.shape, polarity), polarity)
    _check_values(values)
    return known


def checked_steps(offsets: Sequence[Sequence[int]], shape: tuple[int, ...], polarity: str) -> Ints:
    """Return offsets as an array, after checking that affinities of a shape, channels first, and a polarity fit them.

    Raises
    ------
    ShapeError, SettingError
        As `as_affinities` does.
    """
    steps = np.asarray(offsets)
    if steps.ndim != 2 or steps.size == 0 or steps.dtype.kind not in "iu":
        raise SettingError(
            "offsets must be one step for each channel, in voxels along each axis, such as "
            f"[(-1, 0, 0), (0, -1, 0), (0, 0, -1)]; got {offsets!r:.80}."
        )
    n_channels, ndim = steps.shape
    if len(shape) != ndim + 1 or shape[0] != n_channels:
        hint = "Channels go on the first axis. " if len(shape) == ndim + 1 and shape[-1] == n_channels else ""
        raise ShapeError(
            f"affinities must have {n_channels} channels, one for each offset, and then {ndim} axes; "
            f"got shape {shape}. {hint}Give one offset for each channel."
        )
    if 0 in shape:
        raise ShapeError(f"affinities must have at least one voxel; got shape {shape}.")
    if polarity not in ("attractive", "repulsive"):
        raise SettingError(
            f"polarity must be 'attractive' (1 is together) or 'repulsive' (1 is apart); got {polarity!r}."
        )
    steps = steps.astype(np.int64)
    _check_offsets(steps)
    return steps


def warn_if_inverted(interior: float, contact: float, polarity: str) -> None:
    """Warn if there is a boundary between most voxels, and a stronger one than between those that may be apart."""
    if interior > max(contact, 0.5):
        other = "repulsive" if polarity == "attractive" else "attractive"
        warnings.warn(
            f"affinities look inverted: the boundary is {interior:.2f} where it should be weak and {contact:.2f} "
            f"where it may be strong; if 1 means {'apart' if other == 'repulsive' else 'together'}, "
            f"pass polarity={other!r}.",
            GalaWarning,
            stacklevel=3,
        )


def _check_offsets(offsets: Ints) -> None:
    doubled = np.concatenate([offsets, -offsets])
    if not offsets.any(axis=1).all() or len(np.unique(doubled, axis=0)) < len(doubled):
        raise SettingError(
            "offsets must each lead to another voxel, and no two of them to the same pairs (a step and its opposite "
            f"do); got {offsets.tolist()}."
        )


def _check_values(values: Array) -> None:
    if values.dtype.kind not in "buif":
        raise ImageError(f"affinities must hold real numbers; got an array of {values.dtype}.")
    if values.dtype.kind == "b" or values.dtype.kind == "u":
        return
    for channel, one in enumerate(values):
        low, high = float(one.min()), float(one.max())
        if values.dtype.kind == "i" and low < 0:
            raise ImageError(
                f"affinities of {values.dtype} must be 0 or more, and {np.iinfo(values.dtype).max} is 1; "
                f"got {low:g} in channel {channel}."
            )
        if values.dtype.kind == "f" and not (low >= -SLACK and high <= 1 + SLACK):
            raise ImageError(
                f"affinities of {values.dtype} must be from 0 to 1; channel {channel} is from {low:g} to {high:g}. "
                "Apply a sigmoid or divide by the highest value first; integers are scaled by their type (255 of "
                "uint8 is 1)."
            )
