"""A volume in a file, of which only what is asked for is read."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np

from gala._types import Array
from gala.errors import FileError, GalaError, ImageError, SettingError, ShapeError
from gala.graph.volume import check_spacing
from gala.imio.axes import Axes, axis_letters, axis_names, consecutive, grown, n_spatial, presented, usual_axes

Box = tuple[slice, ...]


@dataclass(frozen=True, slots=True)
class Stored:
    """A volume as a file, or memory, holds it: what each format gives to `Volume`."""

    values: Any  # has shape and dtype, and is read by a tuple of slices with steps above 0
    format: str
    axes: Axes | None = None  # in the order of the file; None if it does not say
    spacing: Sequence[float] | None = None  # of the spatial axes, in the order plane, row, column
    unit: str | None = None
    attributes: Mapping[str, Any] = field(default_factory=dict)
    chunks: Sequence[int] | None = None  # in the order of the file
    close: Callable[[], object] = lambda: None
    has_all_axes: bool = False  # even those that the volume has not: they have length 1
    files: Callable[[Box], list[Path]] | None = None  # that hold a box, one for each chunk; there or not
    read_into: Callable[[Box, Array], object] | None = None  # a box, into an array of its shape


class Volume:
    """A volume in a file; slices of it are read when they are asked for.

    Made by `gala.imio.open`. It is a context manager, and works as an array where NumPy asks for one.

    Attributes
    ----------
    path, format : str
        Where it is, and how it is stored.
    shape, dtype, ndim
        As of an array.
    axes : tuple of str
        Name of each axis: time, plane, row, column and channel, in this order, whatever that of the file is.
    spacing : tuple of float or None
        Size of a voxel along each spatial axis; None if the file does not say.
    unit : str or None
        Unit of `spacing`, such as "nm".
    attributes : dict
        What else the file says; ``attributes["provenance"]`` if gala wrote how it was made.
    chunks : tuple of int or None
        Shape of the blocks that the file stores.

    Examples
    --------
    >>> volume = Volume(Stored(np.arange(6).reshape(2, 3), "memory", axes=("column", "row")), "memory")
    >>> volume.shape, volume.axes
    ((3, 2), ('row', 'column'))
    >>> volume[1:, 0]
    array([1, 2])
    """

    def __init__(self, stored: Stored, path: str, *, axes: str | Sequence[str] | None = None) -> None:
        self.path = path
        self.format = stored.format
        self._stored = stored
        shape = tuple(int(n) for n in stored.values.shape)
        if np.dtype(stored.values.dtype).kind not in "buifc" or not 1 <= len(shape) <= 5:
            raise (ImageError if stored.format == "memory" else FileError)(
                f"{path}: a volume holds numbers, and has 1 to 5 axes; got {stored.values.dtype} of shape {shape}."
            )
        self._names = _axes_of(stored, shape, axes, path)
        kept = [i for i in presented(self._names) if not (stored.has_all_axes and self._is_extra(i, shape))]
        self.order = kept + [i for i in range(len(shape)) if i not in kept]
        self.shape = tuple(shape[i] for i in kept)
        self.dtype = np.dtype(stored.values.dtype).newbyteorder("=")
        self.axes: Axes = tuple(self._names[i] for i in kept)
        self.chunks = None if stored.chunks is None else tuple(int(stored.chunks[i]) for i in kept)
        self.spacing = _spacing_of(stored, self.axes, path)
        self.unit = stored.unit if self.spacing else None
        self.attributes = dict(stored.attributes)

    def _is_extra(self, i: int, shape: tuple[int, ...]) -> bool:
        return shape[i] == 1 and self._names[i] in ("time", "channel")

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """Number of values."""
        return math.prod(self.shape)

    @property
    def nbytes(self) -> int:
        """Number of bytes in memory."""
        return int(self.size * self.dtype.itemsize)

    def __len__(self) -> int:
        return self.shape[0]

    def __iter__(self) -> Iterator[Array]:
        return (self[i] for i in range(len(self)))

    def __repr__(self) -> str:
        size = "" if self.spacing is None else f", {' x '.join(f'{side:g}' for side in self.spacing)} {self.unit or ''}"
        return (
            f"<Volume {self.path}: {self.format}, {axis_letters(self.axes)} {self.shape} {self.dtype}{size.rstrip()}>"
        )

    def __getitem__(self, key: Any) -> Any:
        picks = _picks(key, self.shape)
        box = [slice(0, 1)] * len(self.order)
        after: list[slice | int] = []
        for axis, pick, n in zip(self.order, picks, self.shape, strict=False):
            box[axis], then = _forwards(pick, n)
            after.append(then)
        block = self._load(tuple(box)).transpose(self.order)
        return np.ascontiguousarray(block.reshape(block.shape[: self.ndim]))[tuple(after)]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        if copy is False:
            raise ValueError("a volume in a file becomes an array by reading, which is a copy; do not ask for none.")
        return np.asarray(self[...], dtype=dtype)

    def read_into(self, box: Box, out: Array) -> None:
        """Write the values in a box to `out`, which may be part of an array: without a copy, if the format can."""
        if self._stored.read_into is None:
            out[...] = self[box]
            return
        there = out[(..., *(np.newaxis,) * (len(self.order) - self.ndim))].transpose(np.argsort(self.order))
        with self._naming_errors():
            self._stored.read_into(self._whole_box(box), there)

    def _load(self, box: Box) -> Array:
        with self._naming_errors():
            return np.asarray(self._stored.values[box]).astype(self.dtype, copy=False)

    def _whole_box(self, box: Box) -> Box:
        """Return a box in the order of the file, with all of axes of which it says nothing."""
        whole = [slice(0, n) for n in self._stored.values.shape]
        for axis, part in zip(self.order, box, strict=False):
            whole[axis] = part
        return tuple(whole)

    @contextmanager
    def _naming_errors(self) -> Iterator[None]:
        try:
            yield
        except (GalaError, MemoryError):
            raise
        except Exception as error:  # damaged files make libraries fail in many ways
            reason = " ".join(str(error).split()) or type(error).__name__
            raise FileError(f"{self.path} cannot be read; it may be damaged, or closed already: {reason}.") from error

    def files(self, box: Box) -> list[Path] | None:
        """Return the files that hold a box, one for each chunk, whether they are there or not.

        None if the format has no such files.
        """
        if self._stored.files is None:
            return None
        return self._stored.files(self._whole_box(box))

    def block_shape(self, like: Sequence[int] | None = None) -> tuple[int, ...]:
        """Return a good shape of blocks to read: whole chunks, of the file or `like` these, up to 2 million voxels."""
        chunks = consecutive(self.shape) if self.chunks is None else self.chunks
        if like is not None:
            both = [math.ceil(min(a, n) / b) * b for a, b, n in zip(chunks, like, self.shape, strict=True)]
            chunks = tuple(both if math.prod(both) * self.dtype.itemsize <= 2**28 else like)
        return grown(chunks, self.shape)

    def blocks(self, shape: Sequence[int] | None = None) -> Iterator[Box]:
        """Yield boxes, tuples of slices, that cover the volume once.

        Parameters
        ----------
        shape : sequence of int, optional
            Shape of a box; by default several chunks of the file, up to about 2 million voxels.

        Examples
        --------
        >>> volume = Volume(Stored(np.zeros((2, 3)), "memory"), "memory")
        >>> list(volume.blocks((1, 3)))
        [(slice(0, 1, None), slice(0, 3, None)), (slice(1, 2, None), slice(0, 3, None))]
        """
        sides = self.block_shape() if shape is None else tuple(shape)
        if len(sides) != self.ndim or min(sides) < 1:
            raise SettingError(f"blocks must have {self.ndim} lengths of 1 or more; got {sides}.")
        starts = [range(0, n, side) for n, side in zip(self.shape, sides, strict=True)]
        for corner in itertools.product(*starts):
            yield tuple(slice(i, min(i + s, n)) for i, s, n in zip(corner, sides, self.shape, strict=True))

    def slabs(self) -> Iterator[Array]:
        """Yield consecutive parts along the first axis, of whole chunks of the file."""
        first = self.block_shape()[0]
        rest = math.prod(self.shape[1:])
        planes = max(1, first if first * rest <= 2**28 else 2**21 // rest)
        for start in range(0, len(self), planes):
            yield self[start : start + planes]

    def describe(self, *, values: bool = True) -> dict[str, Any]:
        """Return what the file holds, as `gala info` shows it.

        Parameters
        ----------
        values : bool, optional
            Whether to read the values, block by block: their lowest and highest, and the number of labels, other
            than 0, of whole numbers without channels.

        Examples
        --------
        >>> described = Volume(Stored(np.array([[0, 7], [7, 9]]), "memory"), "memory").describe()
        >>> described["shape"], described["n_labels"], described["max"]
        ((2, 2), 2, 9)
        """
        about: dict[str, Any] = {
            "path": self.path,
            "format": self.format,
            "shape": self.shape,
            "dtype": str(self.dtype),
            "axes": self.axes,
            "spacing": self.spacing,
            "unit": self.unit,
            "chunks": self.chunks,
            "bytes": self.nbytes,
        }
        return about | self._ranges() if values and self.size else about

    def _ranges(self) -> dict[str, Any]:
        are_labels = self.dtype.kind in "ui" and "channel" not in self.axes
        lows, highs, labels, more = [], [], np.empty(0, self.dtype), [np.empty(0, self.dtype)]
        for box in self.blocks():
            block = self[box]
            if are_labels:
                more.append(np.unique(block))
                if sum(map(len, more)) > len(labels):  # so that joining them costs no more than finding them
                    labels, more = np.unique(np.concatenate([labels, *more])), []
                continue
            lows.append(np.fmin.reduce(block, axis=None))  # leaves NaN out
            highs.append(np.fmax.reduce(block, axis=None))
        if are_labels:
            labels = np.unique(np.concatenate([labels, *more]))
            return {"min": labels[0].item(), "max": labels[-1].item(), "n_labels": int(np.count_nonzero(labels))}
        return {"min": np.fmin.reduce(lows).item(), "max": np.fmax.reduce(highs).item()}

    def as_dask(self, chunks: Sequence[int] | None = None) -> Any:
        """Return a dask array that reads its blocks when they are computed; the volume must stay open.

        Parameters
        ----------
        chunks : sequence of int, optional
            Shape of its blocks; by default as in `blocks`.
        """
        try:
            from dask.array import from_array
        except ImportError as error:
            raise SettingError("dask arrays need dask: pip install 'gala-segmentation[scale]'.") from error
        make: Callable[..., Any] = from_array  # which says nothing of its types
        return make(self, chunks=tuple(chunks or self.block_shape()), name=False)

    def close(self) -> None:
        """Close the file; nothing can be read afterwards."""
        self._stored.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _axes_of(stored: Stored, shape: tuple[int, ...], axes: str | Sequence[str] | None, path: str) -> Axes:
    """Return the axes in the order of the file, after checking that they are as asked."""
    if stored.axes is not None and len(stored.axes) != len(shape):
        raise FileError(f"{path} is damaged: it names axes {axis_letters(stored.axes)} and has shape {shape}.")
    if axes is None:
        return stored.axes or usual_axes(len(shape))
    asked = axis_names(axes)
    if len(asked) != len(shape):
        raise ShapeError(f"axes must name each of {len(shape)} axes of {path}, of shape {shape}; got {axes!r}.")
    if stored.axes not in (None, asked):
        raise ShapeError(
            f"{path} has axes {axis_letters(stored.axes)}, not {axis_letters(asked)} as asked (z, y and x are plane, "
            "row and column). Leave `axes` out: gala brings them into the order plane, row, column, channel."
        )
    return asked


def _spacing_of(stored: Stored, axes: Axes, path: str) -> tuple[float, ...] | None:
    if stored.spacing is None:
        return None
    try:
        return check_spacing(stored.spacing, n_spatial(axes))
    except SettingError as error:
        raise type(error)(f"{path}: {error}") if stored.format == "memory" else FileError(f"{path}: {error}") from error


def _picks(key: Any, shape: tuple[int, ...]) -> list[slice | int]:
    """Return a slice or a number for each axis."""
    items = list(key) if isinstance(key, tuple) else [key]
    if any(item is Ellipsis for item in items):
        at = next(i for i, item in enumerate(items) if item is Ellipsis)
        items[at : at + 1] = [slice(None)] * (len(shape) - len(items) + 1)
    if len(items) > len(shape):
        raise IndexError(f"a volume of {len(shape)} axes was given {len(items)} indices.")
    for item in items:
        if not isinstance(item, slice | int | np.integer) or isinstance(item, bool):
            raise SettingError(
                f"a volume in a file is read by whole numbers and slices; got {item!r}. Read it first: volume[...]."
            )
    return items + [slice(None)] * (len(shape) - len(items))


def _forwards(pick: Any, n: int) -> tuple[slice, slice | int]:
    """Return the slice to read, with a step above 0, and what to take of it then."""
    if not isinstance(pick, slice):
        at = int(pick)
        if not -n <= at < n:
            raise IndexError(f"index {at} is outside an axis of length {n}.")
        return slice(at % n, at % n + 1), 0
    chosen = range(n)[pick]
    if len(chosen) == 0:
        return slice(0, 0), slice(None)
    if chosen.step > 0:
        return slice(chosen.start, chosen.stop, chosen.step), slice(None)
    back = chosen[::-1]
    return slice(back.start, back.stop, back.step), slice(None, None, -1)
