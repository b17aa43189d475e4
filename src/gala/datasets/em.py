"""Synthetic volumes that look like electron microscopy, with their truth.

The boundary map has what makes real ones hard: it is blurred and noisy, membranes are weak in places and have gaps,
and the membranes of organelles look much like those of cells, so that its mean alone misleads.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy import ndimage

from gala._types import Array, Labels
from gala.datasets.neurites import Widths, blurred, grow
from gala.datasets.noise import grain, smooth_noise
from gala.errors import SettingError, ShapeError
from gala.morpho.boundaries import seg_to_bdry
from gala.morpho.minima import regional_minima
from gala.morpho.watersheds import watershed

_membrane = 1.4  # a blurred contour times this peaks at 1 in the middle of a straight membrane


class Look(NamedTuple):
    """What a kind of volume looks like; the defaults are those of the kind "mixed"."""

    weakest: float = 0.45  # height of the weakest stretches of membrane in the boundary map
    strength: float = 0.9  # the higher, the rarer these are
    tightness: float = 13.0  # the lower, the more gaps there are in membranes
    organelle: float = 0.7  # height of the membranes of organelles
    clutter: float = 0.3  # height of what looks like membrane and is nothing
    noise: float = 0.05
    widths: Widths = Widths()


looks = {
    "mixed": Look(),
    "good": Look(weakest=0.75, strength=2.0, tightness=20.0, organelle=0.45, clutter=0.15, noise=0.03),
    "noisy": Look(clutter=0.7, noise=0.25),
    "gaps": Look(weakest=0.35, tightness=9.0, organelle=0.5),
    "thin": Look(widths=Widths(limits=(0.7, 1.0, 1.1, 1.2), smallest=5.0)),
}


@dataclass(frozen=True, slots=True)
class ExampleVolume:
    """An image, maps made from it, superpixels and the truth."""

    image: Array  # (M, N, ..., P) uint8, grey values: membranes and organelles are dark
    p1: Array  # (M, N, ..., P) float32, probability of a boundary
    p4: Array  # (M, N, ..., P, 4) float32, probabilities of boundary, cytoplasm, organelle and other; their sum is 1
    superpixels: Labels  # (M, N, ..., P) int32, from 1
    truth: Labels  # (M, N, ..., P) int32, cells from 1; 0 on voxels of membranes that belong to none


def synthetic(shape: Sequence[int] = (64, 128, 128), *, kind: str = "mixed", seed: int = 0) -> ExampleVolume:
    """Make a volume of curved neurites that looks like electron microscopy.

    Parameters
    ----------
    shape : sequence of int
        Planes, rows and columns, or rows and columns.
    kind : {"mixed", "good", "noisy", "gaps", "thin"}, optional
        What is hard about it: a bit of everything; next to nothing; noise and false membranes in the boundary map;
        gaps in membranes; thin neurites beside large cells.
    seed : int
        The same shape, kind and seed make the same volume, byte for byte.

    Returns
    -------
    volume : ExampleVolume
        Cells fill the volume; large ones hold organelles. Superpixels have about 1,000 voxels in 3 dimensions, 100
        in 2.

    Raises
    ------
    ShapeError
        If `shape` is not 2 or 3 whole numbers, 1 or more.
    SettingError
        If `seed` is not a whole number, 0 or more, or there is no such kind.

    Examples
    --------
    >>> volume = synthetic((8, 32, 32), seed=1)
    >>> volume.p4.shape, volume.superpixels.dtype
    ((8, 32, 32, 4), dtype('int32'))
    """
    size, random, look = _checked_shape(shape), _generator(seed), _look(kind)
    cells, organelles = grow(random, size, look.widths)
    edge = seg_to_bdry(cells)
    membrane = np.minimum(_membrane * blurred(edge, 1.0), 1)
    skin = _membrane * blurred(seg_to_bdry(organelles), 0.8)
    filling = blurred(organelles, 1.0)
    texture, noise = smooth_noise(random, size, 3), grain(random, size)
    image = _photograph(random, membrane, skin, filling, texture, noise)
    p1 = _boundary_map(random, look, membrane, skin, filling, texture, noise)
    p4 = _four_channels(p1, skin, filling, texture, noise)
    truth = np.where(edge & (smooth_noise(random, size, 5) > 0.3), 0, cells)
    return ExampleVolume(image, p1, p4, _superpixels(p1), truth)


def _photograph(
    random: np.random.Generator, membrane: Array, skin: Array, filling: Array, texture: Array, noise: Array
) -> Array:
    """Return grey values: bright cytoplasm, dark membranes and organelles."""
    stain = 175 + 8 * smooth_noise(random, membrane.shape, 6)
    grey = stain - 110 * membrane - 75 * filling - 40 * skin + 8 * texture + 12 * noise
    visible: Array = np.clip(grey, 0, 255).astype(np.uint8)
    return visible


def _boundary_map(
    random: np.random.Generator, look: Look, membrane: Array, skin: Array, filling: Array, texture: Array, noise: Array
) -> Array:
    """Return what a detector of membranes would say: sure of most, unsure of some, wrong about organelles."""
    shape = membrane.shape
    sureness = look.weakest + (1 - look.weakest) * _step(3 * smooth_noise(random, shape, 14) + look.strength)
    sureness *= _step(6 * smooth_noise(random, shape, 5) + look.tightness)  # gaps
    wrong = look.organelle + 0.12 * smooth_noise(random, shape, 12)
    p: Array = membrane * sureness
    np.maximum(p, skin * np.clip(wrong, 0, 1), out=p)
    np.maximum(p, filling * (0.3 + 0.15 * texture), out=p)
    np.maximum(p, look.clutter * (1 - filling) * (texture - 1), out=p)  # vesicles
    p += look.noise * noise * (0.3 + p)
    np.clip(p, 0, 1, out=p)
    return p


def _four_channels(p1: Array, skin: Array, filling: Array, texture: Array, noise: Array) -> Array:
    """Return the probabilities of boundary, cytoplasm, organelle and other, channels last."""
    p4 = np.empty((*p1.shape, 4), dtype=np.float32)
    organelle = np.clip(filling * (1 + 0.1 * noise), 0, 1)
    other = np.clip(0.5 * skin + 0.3 * (texture - 1), 0, 1)
    p4[..., 0] = p1
    p4[..., 1] = np.maximum(1 - p1 - organelle - other, 0.02)
    p4[..., 2] = organelle * (1 - 0.5 * p1)
    p4[..., 3] = other
    p4 /= p4.sum(axis=-1, keepdims=True)
    return p4


def _superpixels(p1: Array) -> Labels:
    """Flood the boundary map from the minima of a smoother one."""
    seeds = regional_minima(ndimage.gaussian_filter(p1, 1.5), p1.ndim)
    return watershed(ndimage.gaussian_filter(p1, 0.7), seeds)


def _step(x: Array) -> Array:
    """Return `x` squeezed into 0 to 1."""
    squeezed: Array = 1 / (1 + np.exp(-x))
    return squeezed


def _checked_shape(shape: Sequence[int]) -> tuple[int, ...]:
    size = tuple(shape)
    if len(size) not in (2, 3) or not all(isinstance(n, int | np.integer) and n >= 1 for n in size):
        raise ShapeError(f"shape must be 2 or 3 whole numbers, 1 or more, such as (64, 128, 128); got {shape}.")
    return tuple(int(n) for n in size)


def _look(kind: str) -> Look:
    if kind not in looks:
        raise SettingError(f"kind must be one of {', '.join(map(repr, looks))}; got {kind!r}.")
    return looks[kind]


def _generator(seed: int) -> np.random.Generator:
    if not isinstance(seed, int | np.integer) or seed < 0:
        raise SettingError(f"seed must be a whole number, 0 or more; got {seed!r}.")
    return np.random.default_rng(seed)
