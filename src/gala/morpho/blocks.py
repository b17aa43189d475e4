"""Superpixels of one block of a volume, the same as those of the whole.

Everything that decides on a superpixel lies near it. Voxels drain to a minimum by steepest descent; shallow basins are
joined within cells of a jittered lattice only, so that no chain of them goes on for ever; small ones are joined
through small ones of their cell. A block is computed with a halo, and it is known which superpixels could be others
if more were seen: where one of them reaches into the block, the halo is doubled.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
from scipy import ndimage

from gala._kernels.basins import join_shallow, join_small
from gala._kernels.descent import descend, lattice_distances, lattice_points, nearest_points
from gala._types import Array, ArrayLike, Bools, Floats, Ints, Labels
from gala.errors import SettingError, ShapeError
from gala.graph.grid import placed
from gala.graph.volume import check_spacing
from gala.morpho.basins import passes, weakest_first
from gala.morpho.checks import Box, check_not_negative, fitting
from gala.morpho.oversegmentation import as_map, check_map
from gala.morpho.pieces import relabel_connected

_truncate = 4.0  # standard deviations after which smoothing stops


class BlockSuperpixels(NamedTuple):
    """The superpixels of a block, and how far one had to look."""

    labels: Labels  # uint64, shape of the block
    halo: int  # how far one had to look
    n_cut: int  # superpixels cut off at the faces of the block, as `max_halo` was too little for them


class _Settings(NamedTuple):
    """How to cut, lengths in voxels along each of three axes."""

    sigma: tuple[float, ...]
    depth: float
    min_size: float
    cell: Floats  # (3,)


class _Look(NamedTuple):
    """What can be seen of a volume, and what is made of it."""

    read: Callable[[Box], ArrayLike]
    mask: Callable[[Box], ArrayLike] | None
    shape: tuple[int, ...]
    last: int  # the largest halo
    settings: _Settings


class _Window(NamedTuple):
    """A part of a volume; all shapes are of three axes."""

    image: Array  # (M, N, P) the map, 1 outside of the mask
    height: Array  # (M, N, P) the same, smoothed
    inside: Bools  # (M, N, P), or (0, 0, 0) for all
    is_open: Bools  # (3, 2) whether the volume goes on there
    origin: Ints  # (3,)


def superpixels_of_block(
    read: Callable[[Box], ArrayLike],
    block: Sequence[slice],
    shape: Sequence[int],
    *,
    halo: int = 48,
    max_halo: int | None = None,
    mask: Callable[[Box], ArrayLike] | None = None,
    spacing: Sequence[float] | None = None,
    sigma: float = 0.7,
    depth: float = 0.01,
    min_size: float | None = None,
    cell: float = 24.0,
) -> BlockSuperpixels:
    """Cut a block of a boundary map into the superpixels of the whole volume.

    Parameters
    ----------
    read : function
        Returns the boundary map in a box, a tuple of one slice an axis: an array of the shape of the box, floats
        from 0 to 1, or integers of 8 or 16 bits, which are divided by the highest of their type.
    block : sequence of slices
        The block, from start to stop along each axis.
    shape : sequence of int
        Of the volume, 1 to 3 axes.
    halo : int
        How many voxels to look at first on each side of the block.
    max_halo : int, optional
        Look no farther. By default, look as far as it takes, if need be at the whole volume.
    mask : function, optional
        Returns booleans in a box; voxels that are False are in no superpixel, and count as boundary.
    spacing : sequence of float, shape (ndim,), optional
        Size of a voxel along each axis; lengths are in units of the shortest side.
    sigma : float
        Smooth the map by this length first.
    depth : float
        Join basins that are no deeper, if both minima are in one cell.
    min_size : float, optional
        Join smaller superpixels to the neighbour behind the weakest boundary; by default 4 voxels a side. A few stay
        smaller: those among nothing but small ones of other cells.
    cell : float
        Distance, on average, between the points whose nearest one says which cell a minimum is in. Flat parts
        of the map are cut into cells.

    Returns
    -------
    superpixels : BlockSuperpixels
        Their ``labels`` are one more than the position, in the raveled volume, of one of their voxels, 0 outside
        of the mask.

    Raises
    ------
    ImageError
        If the map holds NaN, infinity or, as floats, values outside of 0 to 1.
    ShapeError
        If the block is not a box in the volume, or `read` returns another shape than was asked for.
    SettingError
        If a setting is out of range.

    Notes
    -----
    If ``n_cut`` is 0 the labels do not depend on the block, on `halo` or on the process: they are, bit by bit, those
    of the volume as one block, and each superpixel is connected by faces. This is exact, not a matter of a deep
    halo. With `max_halo`, superpixels that are not certain within it are cut at the faces of the block, and their
    labels go on after the number of voxels of the volume.

    References
    ----------
    Zlateski and Seung 2015, Image segmentation by size-dependent single linkage clustering of a watershed basin graph,
    arXiv:1505.00249, for steepest descent in large volumes.

    Examples
    --------
    >>> row = np.array([0, 0.1, 0.9, 0.2, 0, 0.1])
    >>> left, right = (
    ...     superpixels_of_block(lambda box: row[box], [part], row.shape, halo=1, sigma=0, min_size=0)
    ...     for part in (slice(0, 4), slice(4, 6))
    ... )
    >>> left.labels.tolist(), right.labels.tolist()
    ([1, 1, 1, 5], [5, 5])
    """
    core = _checked_block(block, shape)
    sides = np.array(check_spacing(spacing, len(shape)))
    for name, number in {"sigma": sigma, "depth": depth, "halo": halo, "max_halo": max_halo or 0}.items():
        check_not_negative(number, name)
    check_not_negative(0.0 if min_size is None else min_size, "min_size")
    if not 1 <= cell < np.inf:
        raise SettingError(f"cell must be a length, 1 or more; got {cell!r}.")
    sides = sides / sides.min()
    lead = 3 - len(shape)
    settings = _Settings(
        sigma=tuple(sigma / side for side in sides),
        depth=depth,
        min_size=4.0 ** len(shape) if min_size is None else min_size,
        cell=np.maximum(1, cell / np.concatenate([np.ones(lead), sides])),
    )
    last = max(1, max(shape) if max_halo is None else min(max_halo, max(shape)))
    look = _Look(read, mask, tuple(shape), last, settings)
    return _superpixels(look, core, min(max(halo, 1), last))


def _superpixels(look: _Look, core: Box, halo: int) -> BlockSuperpixels:
    """Return the superpixels of a box; parts of it with uncertain ones are done again, with twice the halo."""
    labels, uncertain = _cut(look, core, halo)
    if not uncertain.any() or halo == look.last:
        return BlockSuperpixels(labels, halo, _cut_off(labels, uncertain, core, look.shape))
    farthest, n_cut = halo, 0
    for part in _parts(uncertain):
        found = _superpixels(look, placed(part, core), min(2 * halo, look.last))
        labels[part] = found.labels
        farthest, n_cut = max(farthest, found.halo), n_cut + found.n_cut
    return BlockSuperpixels(labels, farthest, n_cut)


def _parts(flags: Bools) -> Iterator[Box]:
    """Yield, for each half of a box along each axis, the smallest box with all that is flagged there."""
    halves = [(slice(0, (n + 1) // 2), slice((n + 1) // 2, n)) for n in flags.shape]
    for half in itertools.product(*halves):
        where = np.nonzero(flags[half])
        if where[0].size:
            yield tuple(slice(h.start + w.min(), h.start + w.max() + 1) for h, w in zip(half, where, strict=True))


def _checked_block(block: Sequence[slice], shape: Sequence[int]) -> Box:
    if len(shape) not in (1, 2, 3) or len(block) != len(shape):
        raise ShapeError(f"block must be one slice for each of 1 to 3 axes; got {block} in a volume of {tuple(shape)}.")
    core = tuple(slice(*part.indices(n)) for part, n in zip(block, shape, strict=True))
    if any(part.step != 1 or part.start >= part.stop for part in core):
        raise ShapeError(f"block must have voxels in the volume of shape {tuple(shape)}, every one; got {block}.")
    return core


def _cut(look: _Look, core: Box, halo: int) -> tuple[Labels, Bools]:
    """Return the labels of a box, and where they could be others if more than the halo were seen."""
    window, inner = _window(look, core, halo)
    basins = np.empty(window.height.shape, dtype=np.int32)
    places, uncertain = _joined(window, basins, look.settings)
    three = (1,) * (3 - len(core))
    found = np.stack(np.unravel_index(np.maximum(places, 0), basins.shape)) + window.origin[:, None]
    names = np.where(places < 0, 0, 1 + np.ravel_multi_index(tuple(found), three + look.shape)).astype(np.uint64)
    own = basins.reshape(basins.shape[len(three) :])[inner]
    return names[own], uncertain[own]


def _window(look: _Look, core: Box, halo: int) -> tuple[_Window, Box]:
    """Return a box and its halo, where smoothing knows all it needs, and where the box is in it."""
    shape, sigma = look.shape, look.settings.sigma
    kept = [(max(0, c.start - halo), min(n, c.stop + halo)) for c, n in zip(core, shape, strict=True)]
    reach = [int(_truncate * s + 0.5) for s in sigma]
    box = tuple(slice(max(0, a - r), min(n, b + r)) for (a, b), r, n in zip(kept, reach, shape, strict=True))
    image, inside = _read(look, box)
    height = ndimage.gaussian_filter(image, sigma, truncate=_truncate)
    trimmed = tuple(slice(a - s.start, b - s.start) for (a, b), s in zip(kept, box, strict=True))
    n_new = 3 - len(shape)

    def fit(array: Array) -> Array:
        return np.ascontiguousarray(array[trimmed][(np.newaxis,) * n_new])

    window = _Window(
        image=fit(image),
        height=fit(height),
        inside=np.empty((0, 0, 0), dtype=bool) if inside is None else fit(inside),
        is_open=np.array([(False, False)] * n_new + [(a > 0, b < n) for (a, b), n in zip(kept, shape, strict=True)]),
        origin=np.array([0] * n_new + [a for a, _ in kept]),
    )
    return window, tuple(slice(c.start - a, c.stop - a) for c, (a, _) in zip(core, kept, strict=True))


def _read(look: _Look, box: Box) -> tuple[Array, Bools | None]:
    """Return the map in a box, 1 outside of the mask, and the mask."""
    image = as_map(look.read(box))
    wanted = tuple(part.stop - part.start for part in box)
    if image.shape != wanted:
        raise ShapeError(f"read must return an array of shape {wanted} for the box {box}; got {image.shape}.")
    if look.mask is None:
        check_map(image, None)
        return image, None
    inside = fitting(look.mask(box), image, "mask", to="the box").astype(bool, copy=False)
    check_map(image, inside)
    return np.where(inside, image, image.dtype.type(1)), inside


def _joined(window: _Window, basins: Labels, settings: _Settings) -> tuple[Ints, Bools]:
    """Write the basins of a window.

    Returns a position in the superpixel of each, -1 for label 0, and which could be in another if more were seen.
    """
    minima, cells = _basins(window, basins, settings.cell)
    lowest = np.concatenate([[0.0], window.height.reshape(-1)[minima]])
    # A basin that does not reach the open sides is whole: no way down leads out of the window and back.
    uncertain = _at_open_sides(basins, window.is_open, len(lowest))
    pairs, faces = passes(basins, window.height, lowest, depth=settings.depth, cells=cells)
    pairs = np.ascontiguousarray(pairs)
    uncertain = _spread(uncertain, pairs)
    root = join_shallow(pairs, np.ascontiguousarray(faces[:, 1]), lowest, settings.depth)
    first, number = np.unique(root, return_inverse=True)  # of each superpixel, its first minimum
    places = np.concatenate([[-1], minima])[first]
    if settings.min_size > 0:
        np.take(number.astype(np.int32), basins, out=basins, mode="clip")
        places, uncertain = _joined_small(
            window.image, basins, places, cells[first], uncertain[first], settings.min_size
        )
        return places, uncertain
    return places[number], uncertain


def _basins(window: _Window, basins: Labels, sides: Floats) -> tuple[Ints, Ints]:
    """Write the basins of a window; return where their minima are, and the cell of each basin, that of 0 first."""
    first = np.floor(window.origin / sides).astype(np.int64) - 1
    stop = np.floor((window.origin + basins.shape - 1) / sides).astype(np.int64) + 2
    points = np.empty((*(stop - first), 3))
    lattice_points(first, sides, points)
    distances = np.empty(basins.shape, dtype=np.float32)
    lattice_distances(points, first, sides, window.origin, distances)
    minima = descend(window.height, distances, window.inside, basins)
    cells = np.full(len(minima) + 1, -1)
    places = np.stack(np.unravel_index(minima, basins.shape), axis=-1) + window.origin
    nearest_points(points, first, sides, places, cells[1:])
    return minima, cells


def _at_open_sides(basins: Labels, is_open: Bools, n_labels: int) -> Bools:
    """Tell which basins have voxels where the volume goes on, shape (n_labels,)."""
    found = np.zeros(n_labels, dtype=bool)
    for axis, side in np.argwhere(is_open):
        found[np.take(basins, -side, axis=axis)] = True
    found[0] = False
    return found


def _spread(flags: Bools, pairs: Ints) -> Bools:
    """Return which are connected, by pairs, to one that is flagged."""
    root = join_small(pairs, np.zeros(flags.size), np.inf)
    spread = np.zeros_like(flags)
    spread[root[flags]] = True
    found: Bools = spread[root]
    return found


def _joined_small(
    image: Array, regions: Labels, places: Ints, cells: Ints, uncertain: Bools, min_size: float
) -> tuple[Ints, Bools]:
    """Join what is small, through small ones of the same cell only.

    A large one decides nothing: it takes in whoever comes. So what becomes of small ones that touch each other is
    decided by them alone, if they and all their neighbours are whole.
    """
    sizes = np.bincount(regions.reshape(-1), minlength=len(places)).astype(np.float64)
    small = sizes < min_size
    small[0] = False
    pairs = weakest_first(regions, image, len(places))
    is_small = small[pairs]
    beside = uncertain[pairs[:, ::-1]] & is_small  # a small one beside one that is not certain
    unsure = uncertain.copy()
    unsure[pairs[beside]] = True
    both = is_small.all(axis=1) & (cells[pairs[:, 0]] == cells[pairs[:, 1]])
    unsure = np.where(small, _spread(unsure & small, np.ascontiguousarray(pairs[both])), uncertain)
    used = both | (is_small.sum(axis=1) == 1)
    root = join_small(np.ascontiguousarray(pairs[used]), sizes, min_size)
    # A superpixel goes by its large part if it has one: that can be told without seeing all that is joined to it.
    name = np.arange(len(places))
    large = np.flatnonzero(~small)
    name[root[large]] = large
    return places[name[root]], unsure


def _cut_off(labels: Labels, uncertain: Bools, core: Box, shape: Sequence[int]) -> int:
    """Give each piece of uncertain superpixels, within the block, a label of its own; return how many there are."""
    if not uncertain.any():
        return 0
    numbers = np.unique(labels[uncertain], return_inverse=True)[1]
    parts = np.zeros(labels.shape, dtype=np.int64)
    parts[uncertain] = 1 + numbers.reshape(-1)
    pieces = relabel_connected(parts)
    first = np.unique(pieces, return_index=True)[1][-int(pieces.max()) :]
    places = [index + part.start for index, part in zip(np.unravel_index(first, labels.shape), core, strict=True)]
    names = 1 + math.prod(shape) + np.ravel_multi_index(places, shape)
    labels[uncertain] = names.astype(np.uint64)[pieces[uncertain] - 1]
    return len(names)
