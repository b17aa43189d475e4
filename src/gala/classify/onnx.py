"""Networks from any framework, as ONNX files, run over images tile by tile. Needs the extra ``onnx``."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from functools import reduce
from pathlib import Path
from types import ModuleType
from typing import Any, Literal, NamedTuple

import numpy as np

from gala._files import FileName, existing_file
from gala._types import Array, Floats
from gala.classify.tiles import Source, Target, Tile, as_source, check_tile_shape, is_wanted, read_box, run_over_tiles
from gala.errors import ClassifierError, FileError, SettingError, ShapeError

_types = {
    "tensor(float)": np.float32,
    "tensor(float16)": np.float16,
    "tensor(double)": np.float64,
    "tensor(uint8)": np.uint8,
}
_tile = {2: 512, 3: 96}  # voxels along each axis that a model leaves open


class OnnxModel:
    """Run a network over an image of any size, tile by tile.

    Parameters
    ----------
    path : str or path
        The ONNX file. Its first input must have axes (n, channel, row, column), or (n, channel, plane, row, column);
        its first output the same, with any number of channels.
    tile_shape : int or sequence of int, optional
        Voxels along each axis of a tile, halo included. By default what the model's input says; where it leaves an axis
        open, 96 for three axes and 512 for two.
    halo : int or sequence of int, optional
        How far, in voxels, the network looks around a voxel: so much of a tile is not trusted on each side. By default
        an eighth of the tile.
    overlap : {"crop", "blend"}
        What is done with the halos of neighbouring tiles: cut off, or mixed, from all of one to all of the other.
    scaling : "unit", "none" or (float, float)
        How values become what the network learned from: integers divided by the greatest of their type; as they are;
        or the first number subtracted, then divided by the second.

    Raises
    ------
    ClassifierError
        If onnxruntime is not installed, or the model has other axes or types.
    FileError
        If the file is missing, or is no ONNX model.
    SettingError
        If an option has a value that it cannot have, or the model cannot take the tile.

    Notes
    -----
    Every tile has the same shape: where it reaches beyond the image, the image is mirrored. Each tile runs on one
    thread, and tiles run on several, so the values are the same bytes for any number of threads. With ``"crop"`` and a
    halo no less than the reach of the network, away from the border of the image, they do not depend on the tiles but
    for rounding.

    Examples
    --------
    >>> OnnxModel("unet.onnx", halo=16).predict(image)[..., 0]      # doctest: +SKIP
    """

    def __init__(
        self,
        path: FileName,
        *,
        tile_shape: int | Sequence[int] | None = None,
        halo: int | Sequence[int] | None = None,
        overlap: Literal["crop", "blend"] = "crop",
        scaling: Literal["unit", "none"] | tuple[float, float] = "unit",
    ) -> None:
        self.path = existing_file(path)
        self.overlap = _check_overlap(overlap)
        self.scaling = _checked_scaling(scaling)
        self._session = _session(self.path)
        given = self._session.get_inputs()
        if len(given) != 1 or len(given[0].shape) not in (4, 5) or given[0].type not in _types:
            inputs = "; ".join(f"{one.name} {one.shape} of {one.type}" for one in given)
            raise ClassifierError(
                f"{self.path} must have one input with axes (n, channel, [plane,] row, column) of one of "
                f"{', '.join(_types)}; it has {inputs}."
            )
        batch, channels, *sides = (side if isinstance(side, int) else None for side in given[0].shape)
        if batch not in (None, 1):
            raise ClassifierError(f"{self.path} must take one tile at once; it takes {batch}. Export it with 1.")
        self.n_channels = channels
        self.tile_shape = self._checked_tile(sides, tile_shape)
        self.halo = self._checked_halo(halo)

    def __repr__(self) -> str:
        return f"OnnxModel({str(self.path)!r}, tile_shape={self.tile_shape}, halo={self.halo})"

    @property
    def ndim(self) -> int:
        """How many axes without channels the network sees, 2 or 3."""
        return len(self.tile_shape)

    def tile_sides(self, ndim: int) -> tuple[int, ...]:
        """Return how far apart tiles are along each of `ndim` axes of an image: a tile without its halo."""
        return (1,) * (ndim - self.ndim) + tuple(n - 2 * by for n, by in zip(self.tile_shape, self.halo, strict=True))

    def predict(
        self,
        image: Any,
        *,
        ndim: int | None = None,
        n_threads: int | None = None,
        out: Target | None = None,
        progress: Literal["bar"] | None = None,
    ) -> Any:
        """Return what the network makes of an image, channels last.

        Parameters
        ----------
        image : array, shape (M, ..., P) or (M, ..., P, C)
            Two or three axes, then channels, if any. A network of two axes sees an image of three plane by plane.
            Anything with `shape`, `dtype` and slices is read tile by tile.
        ndim : int, optional
            How many axes the image has without channels. By default what fits the network; an image of three axes and a
            network of two are planes if the network takes one channel, or any number, else a plane with channels.
        n_threads : int, optional
            By default the environment variable GALA_NUM_THREADS, or all cores.
        out : array or dataset of float, shape (M, ..., P, K), optional
            Where to write, tile by tile. By default a new array.
        progress : "bar", optional
            Shows how many tiles are done.

        Returns
        -------
        maps : array of float32, shape (M, ..., P, K)
            K channels, as many as the network's output has; `out` if it is given.

        Raises
        ------
        ShapeError
            If the image has other axes or channels than the network, or `out` another shape than the result.
        ImageError
            If the image does not hold finite numbers.
        ClassifierError
            If the network cannot run on a tile, or gives another shape.
        SettingError
            If `n_threads` is not a whole number, 1 or more.
        """
        source = as_source(image)
        shape, has_channels = self._split(tuple(source.shape), ndim)
        pieces = [piece for piece in self._pieces(shape) if is_wanted(piece.tile.core, out)]
        target: Any = None

        def compute(piece: _Piece) -> Array:
            values = self._run(source, piece.tile, has_channels)[piece.tile.inner]
            return values if piece.weights is None else values * piece.weights[..., None]

        def write(piece: _Piece, values: Array) -> None:
            nonlocal target
            if target is None:
                target = _blank(out, (*shape, values.shape[-1]))
            core = piece.tile.core
            target[core] = values if piece.weights is None else target[core] + values

        run_over_tiles(compute, pieces, write, n_threads=n_threads, progress=progress)
        return target

    def _checked_tile(self, sides: list[int | None], asked: int | Sequence[int] | None) -> tuple[int, ...]:
        if asked is None:
            return tuple(side or _tile[len(sides)] for side in sides)
        found = check_tile_shape(asked, len(sides), "tile_shape")
        if any(side not in (None, wanted) for side, wanted in zip(sides, found, strict=True)):
            taken = tuple(side or "any" for side in sides)
            raise SettingError(f"tile_shape must be what {self.path} takes, {taken}; got {found}.")
        return found

    def _checked_halo(self, halo: int | Sequence[int] | None) -> tuple[int, ...]:
        if halo is None:
            return tuple(side // 8 for side in self.tile_shape)
        found = check_tile_shape(halo, self.ndim, "halo", least=0)
        if any(2 * by >= side for by, side in zip(found, self.tile_shape, strict=True)):
            raise SettingError(f"halo must be less than half of a tile, {self.tile_shape}; got {found}.")
        return found

    def _split(self, shape: tuple[int, ...], ndim: int | None) -> tuple[tuple[int, ...], bool]:
        """Return the shape of an image without channels, and whether it has an axis for them."""
        if ndim is None:
            is_plane = len(shape) == 2 or (len(shape) == 3 and self.n_channels not in (None, 1))
            ndim = 2 if self.ndim == 2 and is_plane else 3
        if ndim not in (2, 3) or ndim < self.ndim or len(shape) not in (ndim, ndim + 1) or 0 in shape:
            allowed = "2 or 3" if self.ndim == 2 else "3"
            raise ShapeError(
                f"image must have {allowed} axes, as {self.path} sees {self.ndim}, then channels, if any; got shape "
                f"{shape}, taken to have {ndim} axes without channels."
            )
        n_channels = shape[ndim] if len(shape) > ndim else 1
        if self.n_channels not in (None, n_channels):
            raise ShapeError(
                f"image must have as many channels as {self.path} takes, {self.n_channels}; got {n_channels}, from "
                f"shape {shape}. Channels go on the last axis."
            )
        return shape[:ndim], len(shape) > ndim

    def _pieces(self, shape: tuple[int, ...]) -> list[_Piece]:
        flat = len(shape) - self.ndim
        sides = zip(shape, (1,) * flat + self.tile_shape, (0,) * flat + self.halo, strict=True)
        along = [_along(n, tile, halo, self.overlap) for n, tile, halo in sides]
        pieces = []
        for parts in itertools.product(*along):
            cores, reads, inners, weights = zip(*parts, strict=True)
            is_blend = self.overlap == "blend"
            pieces.append(_Piece(Tile(cores, reads, inners), weights if is_blend else ()))
        return pieces

    def _run(self, source: Source, tile: Tile, has_channels: bool) -> Array:
        """Return what the network makes of a whole tile, channels last."""
        values = self._scaled(read_box(source, tile.read), np.dtype(source.dtype))
        values = values if has_channels else values[..., None]
        flat = (1,) * (len(tile.core) - self.ndim)
        beyond = []
        for core, read, inner, side in zip(*tile, flat + self.tile_shape, strict=True):
            start = core.start - inner.start
            beyond.append((read.start - start, start + side - read.stop))
        full = np.pad(values, [*beyond, (0, 0)], mode="symmetric").reshape(*self.tile_shape, -1)
        one = self._session.get_inputs()[0]
        network_input = np.ascontiguousarray(np.moveaxis(full, -1, 0)[None].astype(_types[one.type]))
        name = self._session.get_outputs()[0].name
        try:
            found = np.asarray(self._session.run([name], {one.name: network_input})[0])
        except Exception as error:  # what onnxruntime raises has no base of its own
            raise ClassifierError(
                f"{self.path} cannot run on a tile of {self.tile_shape} voxels; give another tile_shape. It says: "
                f"{' '.join(str(error).split())}"
            ) from error
        if found.ndim != self.ndim + 2 or found.shape[0] != 1 or found.shape[2:] != self.tile_shape:
            raise ClassifierError(
                f"{self.path} must give (1, channels, *{self.tile_shape}) for such a tile; got {found.shape}. Its "
                "output must be as large as its input: give another tile_shape, or pad inside the network."
            )
        maps: Array = np.moveaxis(found[0], 0, -1).astype(np.float32)
        return maps.reshape(*flat, *self.tile_shape, -1)

    def _scaled(self, values: Array, dtype: np.dtype[Any]) -> Array:
        if isinstance(self.scaling, tuple):
            return (values - np.float32(self.scaling[0])) / np.float32(self.scaling[1])
        is_whole = dtype.kind in "ui"
        return values / np.float32(np.iinfo(dtype).max) if self.scaling == "unit" and is_whole else values


class _Piece(NamedTuple):
    """A tile, and how much its values count."""

    tile: Tile
    along: tuple[Floats, ...]  # one array of weights for each axis; none if every voxel is in one tile

    @property
    def weights(self) -> Array | None:
        """The weight of each voxel of the core, float32; None if all are 1."""
        if not self.along:
            return None
        return reduce(np.multiply.outer, self.along).astype(np.float32)


def _along(n: int, side: int, halo: int, overlap: str) -> list[tuple[slice, slice, slice, Floats]]:
    """Return core, read, inner and weights of each tile along an axis of `n` voxels."""
    reach = halo if overlap == "blend" else 0
    ramp = (np.arange(side) + 0.5) / max(2 * reach, 1)
    window = np.minimum(1.0, np.minimum(ramp, ramp[::-1]))
    total = np.zeros(n)
    found = []
    for first in range(0, n, side - 2 * halo):
        start = first - halo
        read = slice(max(start, 0), min(start + side, n))
        core = slice(max(first - reach, 0), min(first + side - 2 * halo + reach, n))
        inner = slice(core.start - start, core.stop - start)
        total[core] += window[inner]
        found.append((core, read, inner))
    return [(core, read, inner, window[inner] / total[core]) for core, read, inner in found]


def _blank(out: Target | None, shape: tuple[int, ...]) -> Any:
    """Return where to write, with zeros in it."""
    if out is None:
        return np.zeros(shape, np.float32)
    if tuple(out.shape) != shape:
        raise ShapeError(f"out must have shape {shape}; got {tuple(out.shape)}.")
    for plane in range(shape[0]):
        out[(slice(plane, plane + 1),)] = np.zeros((1, *shape[1:]), np.float32)
    return out


def _runtime() -> ModuleType:
    try:
        import onnxruntime  # type: ignore[import-untyped]  # it ships no types
    except ImportError as error:
        raise ClassifierError(
            "networks need onnxruntime, which is not installed: pip install 'gala-segmentation[onnx]'."
        ) from error
    runtime: ModuleType = onnxruntime
    return runtime


def _session(path: Path) -> Any:
    """Return a network ready to run, one thread a tile."""
    runtime = _runtime()
    options = runtime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.use_deterministic_compute = True
    options.log_severity_level = 3  # errors, which are raised too
    try:
        return runtime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # what onnxruntime raises has no base of its own
        raise FileError(
            f"{path} does not hold an ONNX model that can be run: {' '.join(str(error).split())}"
        ) from error


def _check_overlap(overlap: str) -> str:
    if overlap not in ("crop", "blend"):
        raise SettingError(f'overlap must be "crop" or "blend"; got {overlap!r}.')
    return overlap


def _checked_scaling(scaling: Any) -> str | tuple[float, float]:
    if isinstance(scaling, str) and scaling in ("unit", "none"):
        return scaling
    try:
        shift, spread = (float(number) for number in scaling)
    except (TypeError, ValueError):
        shift, spread = math.nan, math.nan
    if not (math.isfinite(shift) and math.isfinite(spread) and spread):
        raise SettingError(
            'scaling must be "unit", "none", or two finite numbers: what to subtract and what to divide by; '
            f"got {scaling!r}."
        )
    return shift, spread
