"""A volume in tiles with halos: what each reads, what it writes, and running them in bounded memory."""

from __future__ import annotations

import itertools
import operator
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Protocol, TypeAlias, TypeVar

import numpy as np
from tqdm.auto import tqdm

from gala._kernels.threads import map_over_threads, resolve_n_threads
from gala._types import Array
from gala.errors import ImageError, SettingError
from gala.graph.grid import within

Piece = TypeVar("Piece")
Box: TypeAlias = tuple[slice, ...]


class Source(Protocol):
    """Where voxels come from: an array, or a dataset in a file that is read box by box."""

    @property
    def shape(self) -> tuple[int, ...]:
        """The number of voxels along each axis."""

    @property
    def dtype(self) -> Any:
        """The type of the values."""

    def __getitem__(self, box: Box, /) -> Any:
        """Return the values in a box."""


class Target(Protocol):
    """Where values go: an array, or a dataset in a file that is written box by box."""

    @property
    def shape(self) -> tuple[int, ...]:
        """The number of voxels along each axis."""

    def __getitem__(self, box: Box, /) -> Any:
        """Return the values in a box."""

    def __setitem__(self, box: Box, values: Array, /) -> None:
        """Write the values of a box."""


class Tile(NamedTuple):
    """A box of a volume, and the one around it that its values depend on."""

    core: Box  # in the volume
    read: Box  # the core and its halo, no further than the volume
    inner: Box  # the core in what was read


class Window:
    """A box of a volume as a target of which nothing else is kept: tiles that do not reach into it are not computed.

    Examples
    --------
    >>> window = Window((4,), (slice(1, 3),))
    >>> window[(slice(0, 2),)] = np.array([5.0, 6.0])
    >>> window.values
    array([6., 0.], dtype=float32)
    """

    def __init__(self, shape: Sequence[int], box: Box) -> None:
        self.shape = tuple(shape)
        self.box = (*box, *(slice(0, n) for n in self.shape[len(box) :]))
        self.values = np.zeros([side.stop - side.start for side in self.box], np.float32)

    def _shared(self, box: Box) -> tuple[Box, Box, list[int]]:
        """Return what a box and this one share, as places in each, and the shape of the box."""
        given = (*box, *(slice(0, n) for n in self.shape[len(box) :]))
        both = tuple(
            slice(max(a.start, b.start), max(min(a.stop, b.stop), a.start, b.start))
            for a, b in zip(given, self.box, strict=True)
        )
        here, there = within(both, self.box), within(both, given)
        return here, there, [side.stop - side.start for side in given]

    def __getitem__(self, box: Box, /) -> Array:
        here, there, shape = self._shared(box)
        found = np.zeros(shape, np.float32)
        found[there] = self.values[here]
        return found

    def __setitem__(self, box: Box, values: Array, /) -> None:
        here, there, _ = self._shared(box)
        self.values[here] = values[there]


def is_wanted(core: Box, out: Target | None) -> bool:
    """Tell whether what is written to a box is kept."""
    if not isinstance(out, Window):
        return True
    return all(a.start < b.stop and b.start < a.stop for a, b in zip(core, out.box, strict=False))


def tiles(shape: Sequence[int], tile_shape: Sequence[int], halo: Sequence[int]) -> list[Tile]:
    """Return the tiles of a volume, in the order of its voxels.

    Examples
    --------
    >>> tiles((5,), (3,), (1,))[1]
    Tile(core=(slice(3, 5, None),), read=(slice(2, 5, None),), inner=(slice(1, 3, None),))
    """
    starts = itertools.product(*(range(0, n, step) for n, step in zip(shape, tile_shape, strict=True)))
    return [_tile(start, shape, tile_shape, halo) for start in starts]


def _tile(start: Sequence[int], shape: Sequence[int], tile_shape: Sequence[int], halo: Sequence[int]) -> Tile:
    sides = list(zip(start, shape, tile_shape, halo, strict=True))
    core = tuple(slice(at, min(at + step, n)) for at, n, step, _ in sides)
    read = tuple(slice(max(at - by, 0), min(at + step + by, n)) for at, n, step, by in sides)
    return Tile(core, read, within(core, read))


def as_source(image: Any, name: str = "image") -> Source:
    """Return an image as it is if it can be read box by box, else as an array; it must hold real numbers."""
    is_lazy = all(hasattr(image, attribute) for attribute in ("shape", "dtype", "__getitem__"))
    source: Source = image if is_lazy else np.asarray(image)
    if np.dtype(source.dtype).kind not in "buif":
        raise ImageError(f"{name} must hold real numbers; got an array of {source.dtype}.")
    return source


def read_box(source: Source, box: Box) -> Array:
    """Return a box of an image as float32, after checking that its values are finite."""
    values = np.asarray(source[box]).astype(np.float32)
    if not np.isfinite(values).all():
        first = np.argwhere(~np.isfinite(values))[0]
        starts = [side.start for side in box] + [0] * (values.ndim - len(box))
        place = tuple(int(at + start) for at, start in zip(first, starts, strict=True))
        raise ImageError(f"image must be finite in float32; got NaN or infinity at {place}. Replace it first.")
    return values


def check_tile_shape(tile_shape: int | Sequence[int], ndim: int, name: str, *, least: int = 1) -> tuple[int, ...]:
    """Return a whole number for each axis, no less than `least`; one number is for all."""
    given: Sequence[Any] = tile_shape if isinstance(tile_shape, Sequence) else (tile_shape,) * ndim
    try:
        sides = tuple(operator.index(side) for side in given)
    except TypeError:
        sides = ()
    if len(sides) != ndim or min(sides) < least:
        raise SettingError(
            f"{name} must be whole numbers, {least} or more, one for each of {ndim} axes; got {tile_shape!r}."
        )
    return sides


def run_over_tiles(
    compute: Callable[[Piece], Array],
    pieces: Sequence[Piece],
    write: Callable[[Piece, Array], None],
    *,
    n_threads: int | None = None,
    progress: str | None = None,
) -> None:
    """Compute each tile on several threads; write them in order, with no more results at once than threads."""
    if progress not in (None, "bar"):
        raise SettingError(f'progress must be "bar" or None; got {progress!r}.')
    waiting = iter(pieces)
    with tqdm(total=len(pieces), desc="predicting", unit="tile", disable=progress is None) as bar:
        while batch := list(itertools.islice(waiting, resolve_n_threads(n_threads))):
            for piece, values in zip(batch, map_over_threads(compute, batch, n_threads=n_threads), strict=True):
                write(piece, values)
                bar.update()
