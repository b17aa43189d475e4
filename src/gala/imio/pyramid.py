"""Coarser and coarser scales of a volume: images by the mean of windows, labels by their most frequent one."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from gala._files import interrupted_afterwards
from gala._types import Array
from gala.errors import SettingError
from gala.imio.axes import Axes, spatial
from gala.imio.volume import Box, Stored, Volume

_small = 128


def fill(target: Any, volume: Volume, order: Sequence[int], chunks: Sequence[int]) -> None:
    """Write a volume, block by block of whole chunks, to `target`, whose axis i is axis ``order[i]`` of the volume."""
    for box in volume.blocks(volume.block_shape(chunks)):
        with interrupted_afterwards():
            target[tuple(box[i] for i in order)] = volume[box].transpose(order)


def halvings(volume: Volume, n_scales: int | None) -> list[tuple[int, ...]]:
    """Return by how much each scale is coarser than the first, along each axis.

    An axis is halved unless its voxels are already twice as long as the shortest, or more. There are `n_scales`, or
    as many as it takes until no such axis is longer than 128.

    Examples
    --------
    >>> volume = Volume(Stored(np.zeros((20, 500, 400)), "memory", spacing=(40, 8, 8)), "memory")
    >>> halvings(volume, None)
    [(1, 1, 1), (1, 2, 2), (1, 4, 4)]
    """
    if n_scales is not None and (not isinstance(n_scales, int) or n_scales < 1):
        raise SettingError(f"scales must be a whole number, 1 or more; got {n_scales!r}.")
    sizes = dict(zip((axis for axis in volume.axes if axis in spatial), volume.spacing or (1.0,) * 3, strict=False))
    factors = [(1,) * volume.ndim]
    while n_scales is None or len(factors) < n_scales:
        last = dict(zip(volume.axes, factors[-1], strict=True))
        lengths = {axis: size * last[axis] for axis, size in sizes.items()}
        sides = {axis: -(-n // last[axis]) for axis, n in zip(volume.axes, volume.shape, strict=True)}
        long = [axis for axis, length in lengths.items() if length < 2 * min(lengths.values()) and sides[axis] > 1]
        if not long or (n_scales is None and max(sides[axis] for axis in long) <= _small):
            break
        factors.append(tuple(last[axis] * (2 if axis in long else 1) for axis in volume.axes))
    return factors


def coarser(volume: Volume, factors: Sequence[int], kind: str) -> Volume:
    """Return a volume whose voxels are the windows, of shape `factors`, of another; computed when they are read."""
    return Volume(Stored(_Windows(volume, tuple(factors), kind), "memory", volume.axes), "memory")


class _Windows:
    def __init__(self, volume: Volume, factors: tuple[int, ...], kind: str) -> None:
        self.volume, self.factors, self.kind = volume, factors, kind
        self.shape = tuple(-(-n // f) for n, f in zip(volume.shape, factors, strict=True))
        self.dtype = volume.dtype

    def __getitem__(self, box: Box) -> Array:
        fine = tuple(
            slice(s.start * f, min(s.stop * f, n)) for s, f, n in zip(box, self.factors, self.volume.shape, strict=True)
        )
        block = self.volume[fine]
        missing = [(0, -n % f) for n, f in zip(block.shape, self.factors, strict=True)]
        # Factors are 1 or 2: a repeated last voxel stands for the half window, and changes neither mean nor mode.
        return reduce_windows(np.pad(block, missing, mode="edge"), self.factors, self.kind)


def reduce_windows(block: Array, factors: Sequence[int], kind: str) -> Array:
    """Return the mean ("image") or the most frequent value ("labels") of each window; the lowest one of several.

    Examples
    --------
    >>> reduce_windows(np.array([[7, 9, 1, 2], [9, 7, 3, 3]]), (2, 2), "labels")
    array([[7, 3]])
    >>> reduce_windows(np.array([[7, 9, 1, 2], [9, 7, 3, 3]], np.uint8), (2, 2), "image")
    array([[8, 2]], dtype=uint8)
    """
    parts = list(_parts(block, factors))
    if kind == "labels" or block.dtype.kind == "b":
        return _most_frequent(np.sort(np.stack(parts), axis=0))
    n = len(parts)
    if block.dtype.kind in "ui":  # halves go up; nothing is larger than the values are
        rest = np.sum([part % n for part in parts], axis=0, dtype=np.int64)
        whole = np.sum([part // n for part in parts], axis=0, dtype=block.dtype)
        return np.asarray(whole + ((2 * rest + n) // (2 * n)).astype(block.dtype))
    return np.asarray(np.mean(parts, axis=0, dtype=np.result_type(block.dtype, np.float64)).astype(block.dtype))


def _parts(block: Array, factors: Sequence[int]) -> Iterator[Array]:
    """Yield the first voxels of all windows, the second ones, and so on."""
    for place in np.ndindex(*factors):
        yield block[tuple(slice(start, None, step) for start, step in zip(place, factors, strict=True))]


def _most_frequent(ordered: Array) -> Array:
    best: Array = ordered[0].copy()
    run = np.ones(best.shape, np.int8)
    best_run = run.copy()
    for i in range(1, len(ordered)):
        run = np.where(ordered[i] == ordered[i - 1], run + 1, 1).astype(np.int8)
        longer = run > best_run
        best[longer], best_run[longer] = ordered[i][longer], run[longer]
    return best


def scaled_spacing(volume: Volume, factors: Sequence[int]) -> tuple[float, ...] | None:
    """Return the size of the voxels of a scale."""
    if volume.spacing is None:
        return None
    along: Axes = tuple(axis for axis in volume.axes if axis in spatial)
    by = dict(zip(volume.axes, factors, strict=True))
    return tuple(math.prod((size, by[axis])) for size, axis in zip(volume.spacing, along, strict=True))
