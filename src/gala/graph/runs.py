"""Where the voxels of a box, and the pairs that start there, are in arrays of larger boxes: what kernels walk."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from gala._kernels.adjacency import SEGMENT
from gala._types import Array, Ints
from gala.graph.build import TILE_ROWS
from gala.graph.grid import Box


def runs_of(offsets: Ints, own: Box, seen: Box, held: Box, shape: tuple[int, ...]) -> Ints:
    """Return the runs of the pairs that start in a box and end in the volume, as kernels read them.

    Labels are those of what is `seen`, values of what is `held`. The channels of a row are in their order, so that what
    is added up for a voxel does not depend on where boxes begin.
    """
    in_seen, in_held = _strides(seen), _strides(held)
    parts, rows_of = [], []
    for channel, offset in enumerate(offsets.tolist()):
        low = [max(part.start, -step) for part, step in zip(own, offset, strict=True)]
        high = [min(part.stop, n - step) for part, n, step in zip(own, shape, offset, strict=True)]
        sides = [max(0, b - a) for a, b in zip(low, high, strict=True)]
        if not all(sides):
            continue
        rows = np.indices(sides[:-1]).reshape(len(shape) - 1, math.prod(sides[:-1])).T
        run = np.empty((len(rows), 5), dtype=np.int64)
        run[:, 0], run[:, 4] = channel, sides[-1]
        run[:, 1] = rows @ in_held[:-1] + _place(low, held)
        run[:, 2] = rows @ in_seen[:-1] + _place(low, seen)
        run[:, 3] = run[:, 2] + np.dot(offset, in_seen)
        parts.append(run)
        rows_of.append(run[:, 1] - (low[-1] - held[-1].start))
    if not parts:
        return np.empty((0, 5), dtype=np.int64)
    # Some rows of all planes, then the next ones: cache rows stay at hand, 4.3 s become 3.0 for 256 bins at 512³. What
    # was read for one channel serves the next.
    row = np.concatenate(rows_of)
    tile = row // in_held[-2] % (held[-2].stop - held[-2].start) // TILE_ROWS if len(shape) > 1 else row
    return np.concatenate(parts)[np.lexsort((row, tile))]


def segments_of(inner: Box, shape: tuple[int, ...]) -> Ints:
    """Return the segments of a box in an array: position there, position in the box, and length."""
    sides = [part.stop - part.start for part in inner]
    axis = max((i for i, n in enumerate(shape) if sides[i] < n), default=0)  # axes behind it are all there
    length = math.prod(sides[axis:])
    leading = np.indices(sides[:axis]).reshape(axis, math.prod(sides[:axis])).T
    around = tuple(slice(0, n) for n in shape)
    first = leading @ _strides(around)[:axis] + _place([part.start for part in inner], around)
    pieces = np.arange(0, length, SEGMENT)
    position = (first[:, np.newaxis] + pieces).reshape(-1)
    voxel = (np.arange(len(first))[:, np.newaxis] * length + pieces).reshape(-1)
    return np.stack([position, voxel, np.tile(np.minimum(SEGMENT, length - pieces), len(first))], axis=1)


def border_sizes_of(numbers: Array, box: Box, shape: tuple[int, ...], n_regions: int) -> Ints:
    """Return how many voxels of each region are at the border of the volume, of the numbers in a box."""
    sizes = np.zeros(n_regions, dtype=np.int64)
    rest = numbers
    for axis, (part, n) in enumerate(zip(box, shape, strict=True)):
        rest = np.moveaxis(rest, axis, 0)
        low, high = int(part.start == 0), len(rest) - int(part.stop == n)
        inside = slice(low, max(low, high))
        ends = np.delete(np.arange(len(rest)), np.r_[inside])
        border = rest[ends].reshape(-1)
        sizes += np.bincount(border[border >= 0], minlength=n_regions)
        rest = np.moveaxis(rest[inside], 0, axis)
    return sizes


def _strides(box: Box) -> Ints:
    """Return how far apart, in an array of a box, voxels are that follow each other along each axis."""
    sides = [part.stop - part.start for part in box]
    return np.array([math.prod(sides[axis + 1 :]) for axis in range(len(sides))])


def _place(voxel: Sequence[int], box: Box) -> int:
    """Return the place of a voxel in the raveled array of a box."""
    return int(np.dot([i - part.start for i, part in zip(voxel, box, strict=True)], _strides(box)))
