"""Blocks of a volume, each of which owns its voxels and sees one voxel beyond, and the tree that joins them."""

from __future__ import annotations

import itertools
import math
import operator
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from gala.errors import SettingError, ShapeError

Box = tuple[slice, ...]
Place = tuple[int, ...]  # of a block among blocks, along each axis

BLOCK_VOXELS = 2**24  # in a block by default: 256 a side
_CHUNK = 64  # voxels a side


class Face(NamedTuple):
    """Where two blocks meet."""

    axis: int
    end: int  # of the block: 0 where it begins along the axis, -1 where it ends
    beyond: Place  # the block on the other side, at whose other end it is


@dataclass(frozen=True, slots=True)
class Grid:
    """A volume cut into blocks of one shape; those at the end of an axis may be smaller.

    Examples
    --------
    >>> grid = Grid((5, 4), (2, 4))
    >>> list(grid.places())
    [(0, 0), (1, 0), (2, 0)]
    >>> grid.box((2, 0)), grid.seen((2, 0))
    ((slice(4, 5, None), slice(0, 4, None)), (slice(3, 5, None), slice(0, 4, None)))
    """

    shape: tuple[int, ...]
    block_shape: tuple[int, ...]

    @classmethod
    def of(
        cls, shape: Sequence[int], block_shape: int | Sequence[int] | None = None, chunks: Sequence[int] | None = None
    ) -> Grid:
        """Return the grid of blocks of a shape, or of about 2**24 voxels in whole chunks.

        Raises
        ------
        SettingError
            If `block_shape` is not one whole number above 0 for each axis.
        ShapeError
            If there are no voxels.
        """
        if min(shape, default=0) < 1:
            raise ShapeError(f"a volume must have voxels to be cut into blocks; got shape {tuple(shape)}.")
        if block_shape is None:
            return cls(tuple(shape), _usual(shape, chunks or (1,) * len(shape)))
        given = block_shape if isinstance(block_shape, Sequence) else [block_shape] * len(shape)
        try:
            sides = [operator.index(side) for side in given]
        except TypeError:
            sides = []
        if len(sides) != len(shape) or min(sides) < 1:
            raise SettingError(
                f"blocks must have a whole number above 0 for each of {len(shape)} axes; got {block_shape!r}."
            )
        return cls(tuple(shape), tuple(max(1, min(side, n)) for side, n in zip(sides, shape, strict=True)))

    @property
    def n_along(self) -> tuple[int, ...]:
        """How many blocks there are along each axis."""
        return tuple(-(-n // side) for n, side in zip(self.shape, self.block_shape, strict=True))

    def places(self) -> Iterator[Place]:
        """Yield the place of each block."""
        return itertools.product(*map(range, self.n_along))

    def box(self, place: Place) -> Box:
        """Return the voxels of a block."""
        sides = zip(place, self.block_shape, self.shape, strict=True)
        return tuple(slice(i * side, min((i + 1) * side, n)) for i, side, n in sides)

    def seen(self, place: Place) -> Box:
        """Return the voxels of a block and one voxel beyond, where the volume goes on."""
        sides = zip(self.box(place), self.shape, strict=True)
        return tuple(slice(max(part.start - 1, 0), min(part.stop + 1, n)) for part, n in sides)

    def inner(self, place: Place) -> Box:
        """Return where a block is in what it sees."""
        return within(self.box(place), self.seen(place))

    def faces(self, place: Place) -> list[Face]:
        """Return the faces that a block shares with others.

        Examples
        --------
        >>> Grid((5, 4), (2, 4)).faces((2, 0))
        [Face(axis=0, end=0, beyond=(1, 0))]
        """
        sides = [(axis, end, place[axis] + step) for axis in range(len(place)) for end, step in ((0, -1), (-1, 1))]
        return [
            Face(axis, end, (*place[:axis], beyond, *place[axis + 1 :]))
            for axis, end, beyond in sides
            if 0 <= beyond < self.n_along[axis]
        ]

    def layer(self, place: Place, axis: int, end: int) -> Box:
        """Return the voxels of a block at one of its faces."""
        box = self.box(place)
        at = box[axis].start if end == 0 else box[axis].stop - 1
        return (*box[:axis], slice(at, at + 1), *box[axis + 1 :])

    def size(self, place: Place) -> int:
        """Return how many voxels a block has."""
        return math.prod(part.stop - part.start for part in self.box(place))

    # -- the tree of joins -----------------------------------------------------------------------------------------

    def levels(self) -> list[Place]:
        """Return by how many bits places are shifted at each level of joins, the blocks themselves first.

        Two neighbours are joined at a time, along the axis where the most are left, until one is left.

        Examples
        --------
        >>> Grid((4, 2), (1, 1)).levels()
        [(0, 0), (1, 0), (2, 0), (2, 1)]
        """
        shifts = (0,) * len(self.shape)
        found = [shifts]
        while max(left := [((n - 1) >> s) + 1 for n, s in zip(self.n_along, shifts, strict=True)]) > 1:
            along = left.index(max(left))
            shifts = tuple(s + (axis == along) for axis, s in enumerate(shifts))
            found.append(shifts)
        return found

    def joins(self, level: int) -> dict[Place, list[tuple[int, Place]]]:
        """Return what is joined at a level above 0: for each place there, two parts, each by its level and place.

        A place of one part only is no join; that part goes on to the next level.
        """
        parts = [part for part in self._parts(level) if len(part[1]) > 1]
        return {place: [self._made(level - 1, part) for part in below] for place, below in parts}

    def root(self) -> tuple[int, Place]:
        """Return the level and place of what all blocks are joined into in the end."""
        return self._made(len(self.levels()) - 1, (0,) * len(self.shape))

    def _parts(self, level: int) -> list[tuple[Place, list[Place]]]:
        shifts, before = self.levels()[level], self.levels()[level - 1]
        along = [s > b for s, b in zip(shifts, before, strict=True)].index(True)
        n = [((n - 1) >> s) + 1 for n, s in zip(self.n_along, before, strict=True)]
        found: dict[Place, list[Place]] = {}
        for part in itertools.product(*map(range, n)):
            found.setdefault((*part[:along], part[along] >> 1, *part[along + 1 :]), []).append(part)
        return list(found.items())

    def _made(self, level: int, place: Place) -> tuple[int, Place]:
        """Return the level, up to this one, at which what is at a place was made."""
        while level > 0:
            below = dict(self._parts(level))[place]
            if len(below) > 1:
                break
            level, place = level - 1, below[0]
        return level, place


def within(box: Box, outer: Box) -> Box:
    """Return where a box is in an array of another one.

    Examples
    --------
    >>> within((slice(2, 4), slice(0, 5)), (slice(1, 6), slice(0, 5)))
    (slice(1, 3, None), slice(0, 5, None))
    """
    sides = zip(box, outer, strict=True)
    return tuple(slice(part.start - whole.start, part.stop - whole.start) for part, whole in sides)


def placed(inner: Box, outer: Box) -> Box:
    """Return where a box of an array is, given where the array is: what `within` was given.

    Examples
    --------
    >>> placed((slice(1, 3), slice(0, 5)), (slice(1, 6), slice(0, 5)))
    (slice(2, 4, None), slice(0, 5, None))
    """
    sides = zip(inner, outer, strict=True)
    return tuple(slice(part.start + whole.start, part.stop + whole.start) for part, whole in sides)


def reaching(box: Box, steps: Sequence[Sequence[int]], shape: tuple[int, ...]) -> Box:
    """Return a box and all voxels of the volume that steps lead to from there, as a box.

    Examples
    --------
    >>> reaching((slice(2, 4), slice(0, 5)), [[-1, 0], [0, 3]], (6, 9))
    (slice(1, 4, None), slice(0, 8, None))
    """
    along = zip(box, zip(*steps, strict=True), shape, strict=True)
    return tuple(slice(max(0, part.start + min(0, *far)), min(n, part.stop + max(0, *far))) for part, far, n in along)


def _usual(shape: Sequence[int], chunks: Sequence[int]) -> tuple[int, ...]:
    """Return a shape like a cube, in whole chunks, of about `BLOCK_VOXELS`, no larger than the volume."""
    sides = [1] * len(shape)
    for done, axis in enumerate(sorted(range(len(shape)), key=lambda axis: shape[axis])):
        wanted = (BLOCK_VOXELS / math.prod(sides)) ** (1 / (len(shape) - done))
        chunk = min(chunks[axis], shape[axis])
        sides[axis] = min(max(1, round(wanted / chunk)) * chunk, shape[axis])
    return tuple(sides)


def chunk_side(side: int, n: int) -> int:
    """Return the side of the chunks of which blocks of a side are made, in n voxels: about 64, if that can be.

    Examples
    --------
    >>> chunk_side(256, 1000), chunk_side(100, 1000), chunk_side(97, 1000), chunk_side(262, 1000), chunk_side(300, 300)
    (64, 50, 97, 131, 64)
    """
    if side >= n:
        return min(side, _CHUNK)
    return min((d for d in range(1, side + 1) if side % d == 0), key=lambda d: abs(math.log(d / _CHUNK)))
