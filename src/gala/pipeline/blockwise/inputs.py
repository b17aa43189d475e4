"""Volumes that tasks read box by box, by name: what is in a box, what cannot be read, and whether it has changed."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from gala import imio
from gala._types import Array, Bools
from gala.errors import FileError, SettingError, ShapeError
from gala.graph.grid import Box, Grid, within
from gala.imio.locations import Location
from gala.imio.volume import Volume


def opened(path: str, axes: str | None = None) -> Volume:
    """Return a volume, which stays open for the tasks that this process still has, until another takes its place."""
    return _opened(path, axes, state_of(Location.of(path).path))


@lru_cache(maxsize=32)
def _opened(path: str, axes: str | None, _state: Any) -> Volume:
    volume: Volume = imio.open(path, axes=axes)
    return volume


def state_of(place: Path) -> Any:
    """Return what changes when another file, or folder, takes this place."""
    try:
        found = place.stat()
    except FileNotFoundError:
        return None
    return found.st_ino, None if place.is_dir() else (found.st_size, found.st_mtime_ns)


@dataclass(frozen=True, slots=True)
class Input:
    """A volume that is read."""

    name: str  # what errors call it
    path: str
    shape: tuple[int, ...]
    dtype: str
    chunks: tuple[int, ...] | None
    may_lack: bool = False  # chunks without a file hold zeros, and are not lost
    axes: str | None = None  # in the order of the file, if it does not name them

    @classmethod
    def of(cls, name: str, volume: Any, *, may_lack: bool = False, axes: str | None = None) -> Input:
        """Return the input that a name or a `gala.imio.Volume` means; axes are for files that do not name them.

        Raises
        ------
        SettingError
            If it is neither.
        FileError
            If it cannot be opened.
        """
        path = volume.path if isinstance(volume, Volume) else volume
        if not isinstance(path, str | os.PathLike):
            raise SettingError(
                f"{name} must be the name of a volume, which workers can open; got a {type(volume).__name__}. Write "
                "arrays with gala.imio.write first; Segmenter.predict takes dask arrays."
            )
        _opened.cache_clear()  # what is there may have another shape than when it was last opened
        try:
            there = opened(str(path), axes)
        except ShapeError:  # the file says otherwise
            axes, there = None, opened(str(path))
        return cls(name, str(path), there.shape, str(there.dtype), there.chunks, may_lack, axes)

    @property
    def file(self) -> Path:
        """The file or folder that it is in."""
        return Location.of(self.path).path.resolve()

    def read(self, box: Box) -> Array:
        """Return the values in a box.

        Raises
        ------
        FileError
            If some of them cannot be read.
        """
        whole = (slice(None),) * (len(self.shape) - len(box))
        return np.asarray(self.volume()[(*box, *whole)])

    def read_into(self, box: Box, out: Array) -> None:
        """Write the values in a box, of all axes, to `out`.

        Raises
        ------
        FileError
            If some of them cannot be read.
        """
        self.volume().read_into(box, out)

    def volume(self) -> Volume:
        """Return the volume, open."""
        volume = opened(self.path, self.axes)
        if volume.shape != self.shape:  # a worker that has seen another run
            _opened.cache_clear()
        return opened(self.path, self.axes)

    def read_most(self, box: Box) -> tuple[Array, Bools | None]:
        """Return the values in a box, 0 in chunks that cannot be read, and where these are; None if nowhere."""
        found = self._read_maybe(box)
        if found is not None:
            return found, None
        sides = [part.stop - part.start for part in box]
        values = np.zeros((*sides, *self.shape[len(box) :]), dtype=self.dtype)
        lost = np.zeros(sides, dtype=np.bool_)
        chunks = (self.chunks or self.shape)[: len(box)]
        for chunk in _pieces(box, chunks):
            inner = within(chunk, box)
            found = self._read_maybe(chunk)
            lost[inner] = found is None
            values[inner] = 0 if found is None else found
        return values, lost

    def _read_maybe(self, box: Box) -> Array | None:
        """Return the values in a box, None if some of them are lost."""
        try:
            return None if not self.may_lack and None in self.states(box) else self.read(box)
        except FileError:
            return None

    def fingerprint(self, box: Box) -> str:
        """Return what changes whenever the files that hold a box do: of their sizes and times.

        Raises
        ------
        FileError
            If a chunk has no file: it was lost, or never written.
        """
        return _digest([*self.states(box), self.shape[len(box) :], self.dtype])

    def states(self, box: Box) -> list[tuple[int, int] | None]:
        """Return size and time of each file that holds some of a box; None if it is not there."""
        files = self.volume().files(box)
        if files is None:
            return _states_of_all(self.file)
        return [_state(file) for file in files]


def _pieces(box: Box, chunks: tuple[int, ...]) -> Iterator[Box]:
    """Yield the parts of a box that are in one chunk each."""
    first = tuple(part.start // n for part, n in zip(box, chunks, strict=True))
    stop = tuple(-(-part.stop // n) for part, n in zip(box, chunks, strict=True))
    for place in np.ndindex(*(b - a for a, b in zip(first, stop, strict=True))):
        starts = [(a + i) * n for a, i, n in zip(first, place, chunks, strict=True)]
        yield tuple(
            slice(max(part.start, start), min(part.stop, start + n))
            for part, start, n in zip(box, starts, chunks, strict=True)
        )


def _state(file: Path) -> tuple[int, int] | None:
    try:
        found = file.stat()
    except FileNotFoundError:
        return None
    return found.st_size, found.st_mtime_ns


def _states_of_all(file: Path) -> list[Any]:
    files = [file] if file.is_file() else sorted(path for path in file.rglob("*") if path.is_file())
    return [_state(path) for path in files]


class Readable:
    """A volume as those that make maps read it: 0 in chunks that cannot be read, if these are to be skipped."""

    def __init__(self, volume: Input, *, skip: bool) -> None:
        self.volume, self.skip = volume, skip
        self.shape, self.dtype = volume.shape, np.dtype(volume.dtype)

    def __getitem__(self, box: Box) -> Array:
        return self.volume.read_most(box)[0] if self.skip else self.volume.read(box)


def check_chunks(volume: Input, grid: Grid) -> None:
    """Raise an error if chunks of a volume have no file.

    Raises
    ------
    FileError
        Naming the first block with such a chunk.
    """
    n_missing, first = 0, ""
    for place in grid.places():
        states = volume.states(grid.box(place))
        n_missing += states.count(None)
        if None in states and not first:
            first = f"block {place}, voxels {describe(grid.box(place))}"
    if n_missing:
        raise FileError(
            f"{volume.path} has no file for {n_missing} chunks, the first in {first}: they are lost, or empty and "
            'never written. If they are empty, say missing="zero" (--missing zero); if not, make them again.'
        )


def describe(box: Box) -> str:
    """Return a box as one writes it.

    Examples
    --------
    >>> describe((slice(0, 4), slice(2, 3)))
    '0:4, 2:3'
    """
    return ", ".join(f"{part.start}:{part.stop}" for part in box)


def digest(*values: Any) -> str:
    """Return a hash of numbers, texts, and lists and dictionaries of them.

    Examples
    --------
    >>> digest("a", 1) == digest("a", 1) != digest("a", 2)
    True
    """
    return _digest(values)


def _digest(values: Any) -> str:
    return hashlib.sha256(repr(values).encode()).hexdigest()[:32]
