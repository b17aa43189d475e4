"""The shapes of a synthetic volume: neurites that fill space, and the organelles in them.

Each voxel belongs to the path it is nearest to, once the calibre of the path has been taken off the distance: an
additively weighted Voronoi diagram. Paths are random walks; their calibres go from thin tubes to large bodies.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy import ndimage

from gala._types import Array, Bools, Floats, Ints, Labels
from gala.morpho.boundaries import seg_to_bdry
from gala.morpho.pieces import relabel_connected
from gala.morpho.watersheds import watershed

_calibres = (2.0, 4.0, 6.0, 9.0, 13.0)  # radius of each class, in voxels, that is taken off the distance
_step = 2.0  # voxels from one point of a path to the next: the width of a voxel of the coarse grid
_n_points = 60
_width = 9.0  # of a neurite, on average
_margin = 16  # voxels around the volume in which paths start too


class Widths(NamedTuple):
    """How wide neurites are."""

    limits: tuple[float, ...] = (-0.3, 0.4, 0.9, 1.5)  # of normal noise, between calibres: thin ones are common
    smallest: float = 7.0  # a piece of fewer than this to the power of ndim voxels goes to its neighbours


class Neurites(NamedTuple):
    """What is where in a volume."""

    cells: Labels  # (M, N, ..., P) int32, from 1, every voxel in one
    organelles: Bools  # (M, N, ..., P)


class _Paths(NamedTuple):
    """Random walks, P points in all."""

    points: Floats  # (P, ndim) in voxels of the volume
    owner: Ints  # (P,) number of the walk
    calibre: Ints  # (P,) position in `_calibres`
    in_organelle: Bools  # (P,)


def grow(random: np.random.Generator, shape: tuple[int, ...], widths: Widths) -> Neurites:
    """Fill a volume with neurites, and the large ones with organelles.

    Examples
    --------
    >>> cells, organelles = grow(np.random.default_rng(0), (40, 40), Widths())
    >>> int(cells.min()), organelles.dtype
    (1, dtype('bool'))
    """
    paths = _walk(random, shape, widths)
    nearest = _nearest_point(paths, shape)
    cells = _smoothed(paths.owner[nearest], widths)
    inside = paths.in_organelle[nearest] & (blurred(seg_to_bdry(cells), 2.0) < 0.06)
    return Neurites(cells, blurred(inside, 2.0) > 0.5)


def blurred(mask: Bools, sigma: float) -> Array:
    """Return the mask as float32, blurred by a Gaussian."""
    image: Array = mask.astype(np.float32)
    ndimage.gaussian_filter(image, sigma, output=image)
    return image


def _walk(random: np.random.Generator, shape: tuple[int, ...], widths: Widths) -> _Paths:
    """Draw so many random walks that the neurites have their width."""
    ndim = len(shape)
    span = np.array(shape) + 2.0 * _margin
    n_paths = 1 + round(span.prod() / (_n_points * _step * _width ** (ndim - 1)))
    start = random.random((n_paths, 1, ndim)) * span - _margin
    turns = 0.25 * random.standard_normal((n_paths, _n_points, ndim))
    heading = random.standard_normal((n_paths, 1, ndim)) + turns.cumsum(axis=1)
    heading /= np.linalg.norm(heading, axis=-1, keepdims=True)
    way = _step * heading.cumsum(axis=1)
    points = start + way - way[:, _n_points // 2, None]
    size = random.standard_normal((n_paths, 1)) + 0.3 * _along(random, n_paths)
    calibre = np.digitize(size, widths.limits)
    in_organelle = (_along(random, n_paths) > -0.2) & (calibre >= 2)
    owner = np.broadcast_to(np.arange(n_paths)[:, None], calibre.shape)
    inside = ((points > -_margin) & (points < span - _margin)).all(axis=-1)
    return _Paths(points[inside], owner[inside], calibre[inside], in_organelle[inside])


def _along(random: np.random.Generator, n_paths: int) -> Floats:
    """Draw noise of variance 1 that varies slowly along each path, shape (n_paths, _n_points)."""
    noise = ndimage.gaussian_filter1d(random.standard_normal((n_paths, _n_points)), 4, axis=1, mode="wrap")
    spread: Floats = noise / noise.std()
    return spread


def _nearest_point(paths: _Paths, shape: tuple[int, ...]) -> Ints:
    """Return the point of a path whose neurite each voxel is in, found on a grid half as fine."""
    coarse = tuple(int((n + 2 * _margin) / _step) + 1 for n in shape)
    cell = np.rint((paths.points + _margin) / _step).astype(np.intp)
    lead = np.full(coarse, np.inf, dtype=np.float32)
    nearest = np.zeros(coarse, dtype=np.int32)
    for calibre, radius in enumerate(_calibres):
        chosen = np.flatnonzero(paths.calibre == calibre)
        if not chosen.size:
            continue
        point = np.full(coarse, -1, dtype=np.int32)
        point[tuple(cell[chosen].T)] = chosen
        distance, where = ndimage.distance_transform_edt(point < 0, sampling=_step, return_indices=True)
        nearer = distance - radius < lead
        lead[nearer] = (distance - radius)[nearer]
        nearest[nearer] = point[tuple(axis[nearer] for axis in where)]
    first = int(_margin / _step)
    for axis, n in enumerate(shape):
        nearest = nearest.take(first + np.arange(n) // int(_step), axis)
    return nearest


def _smoothed(cells: Labels, widths: Widths) -> Labels:
    """Return cells with smooth surfaces, each in one piece and none tiny."""
    edge = seg_to_bdry(cells)
    cores = relabel_connected(np.where(edge, 0, cells + 1))
    sizes = np.bincount(cores.ravel())
    sizes[0] = 0
    kept = (sizes > 0) & (sizes >= min(widths.smallest**cells.ndim, sizes.max()))
    return watershed(blurred(edge, 1.5), (kept.cumsum() * kept)[cores])
