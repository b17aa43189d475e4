"""Seeds for a watershed: at given points, on grids that spare boundaries, or in the low parts of an image."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from skimage import feature, morphology, util

from gala._types import Array, ArrayLike, Bools, Labels
from gala.errors import SettingError, ShapeError
from gala.graph.labels import as_labels
from gala.morpho.checks import as_heights, check_connectivity, check_not_negative, neighbours, new_labels
from gala.morpho.pieces import relabel_connected, remove_small_connected_components


def minimum_seeds(current_seeds: ArrayLike, min_seed_coordinates: Sequence[ArrayLike], connectivity: int = 1) -> Labels:
    """Add and remove seeds until each of some points has one of its own.

    Parameters
    ----------
    current_seeds : array of int or bool, shape (M, ..., P)
        Seeds; 0 elsewhere. The connected pieces of booleans are numbered from 1.
    min_seed_coordinates : one array of int, shape (N,), for each axis
        The points, as `numpy.nonzero` gives them.
    connectivity : int
        Voxels are neighbours if they differ by 1 in at most this many coordinates.

    Returns
    -------
    seeds : array of int, shape (M, ..., P)
        The seeds, without those that two points or more lie in or beside. A point that has no seed then gets one
        of a voxel, with a label above all there were.

    Raises
    ------
    LabelError
        If `current_seeds` are not whole numbers, 0 or more, or there is no room for more labels.
    ShapeError
        If points lie outside of the volume, or have another number of coordinates.
    SettingError
        If `connectivity` is not from 1 to the number of axes.

    Examples
    --------
    >>> minimum_seeds([1, 1, 1, 0, 0, 2, 0, 0], ([0, 2, 5, 7],))
    array([3, 0, 4, 0, 0, 2, 0, 5])
    """
    seeds = as_labels(current_seeds, "current_seeds")
    check_connectivity(connectivity, seeds.ndim)
    if np.asarray(current_seeds).dtype == bool:
        seeds = relabel_connected(seeds.astype(bool), connectivity)
    points = _points(min_seed_coordinates, seeds.shape)
    beside = np.zeros_like(seeds)
    for pair in neighbours(seeds.shape, connectivity):
        for here, there in (pair, pair[::-1]):
            np.maximum(beside[here], seeds[there], out=beside[here])
    touched = np.where(seeds > 0, seeds, beside)[points]
    labels, n_points = np.unique(touched, return_counts=True)
    shared = labels[(n_points > 1) & (labels > 0)]
    alone = (touched == 0) | np.isin(touched, shared)
    out = np.where(np.isin(seeds, shared), seeds.dtype.type(0), seeds)
    out[tuple(axis[alone] for axis in points)] = new_labels(seeds, int(alone.sum()))
    return out


def multiscale_regular_seeds(off_limits: ArrayLike, num_seeds: int) -> Labels:
    """Put seeds on a regular grid, sparser the farther they are from what is off limits.

    Parameters
    ----------
    off_limits : array of bool, shape (M, ..., P)
        Where no seed may be, such as on boundaries.
    num_seeds : int
        About how many points the grid has, 1 or more: the most seeds there can be.

    Returns
    -------
    seeds : array of int32, shape (M, ..., P)
        1, 2, ... in single voxels, 0 elsewhere. Of each block of 2, 4, 8, ... grid points along each axis that are
        all free, only the middle one is a seed; the largest block counts.

    Raises
    ------
    ShapeError
        If there are no voxels.
    SettingError
        If `num_seeds` is below 1.

    Examples
    --------
    >>> multiscale_regular_seeds([0, 0, 0, 0, 0, 1, 0, 0], 8)
    array([0, 0, 1, 0, 2, 0, 0, 3], dtype=int32)
    """
    closed = np.asarray(off_limits).astype(bool, copy=False)
    if closed.size == 0 or closed.ndim == 0:
        raise ShapeError(f"off_limits must have at least one axis and one voxel; got shape {closed.shape}.")
    if num_seeds < 1:
        raise SettingError(f"num_seeds must be 1 or more; got {num_seeds!r}.")
    grid = util.regular_grid(closed.shape, num_seeds)  # type: ignore[no-untyped-call]  # not annotated
    places = np.zeros(closed.shape, dtype=bool)
    places[grid] = _thinned(~closed[grid])
    seeds = np.zeros(closed.shape, dtype=np.int32)
    seeds[places] = np.arange(1, np.count_nonzero(places) + 1)
    return seeds


def multiscale_seed_sequence(prob: ArrayLike, l1_threshold: float = 0, grid_density: int = 10) -> Labels:
    """Put seeds on a grid in each plane of a boundary map, sparser the farther they are from its ridges.

    Parameters
    ----------
    prob : array of float, shape (plane, row, column)
        The probability that a voxel is on a boundary.
    l1_threshold : float
        A voxel is on a ridge if, after smoothing by 3 voxels, the map bends down in some direction by more than
        this: the lowest eigenvalue of its Hessian is below ``-l1_threshold``, in units of `prob` per voxel².
    grid_density : int
        Distance between the points of the grid, in voxels.

    Returns
    -------
    seeds : array of int32, shape (plane, row, column)
        1, 2, ... plane after plane, each one voxel; see `multiscale_regular_seeds`.

    Raises
    ------
    ImageError
        If `prob` holds NaN or infinity.
    ShapeError
        If it has another number of dimensions than 3, or no voxels.
    SettingError
        If `l1_threshold` is negative or `grid_density` is below 1.

    Examples
    --------
    >>> multiscale_seed_sequence(np.zeros((2, 8, 8)), grid_density=4)[:, 6, 6]
    array([1, 2], dtype=int32)
    """
    planes = as_heights(prob)
    if planes.ndim != 3:
        raise ShapeError(f"prob must have axes (plane, row, column); got shape {planes.shape}.")
    check_not_negative(l1_threshold, "l1_threshold")
    if grid_density < 1:
        raise SettingError(f"grid_density must be 1 or more; got {grid_density!r}.")
    n_points = max(1, (planes.shape[1] // grid_density) * (planes.shape[2] // grid_density))
    seeds = np.zeros(planes.shape, dtype=np.int32)
    for of_plane, plane in zip(seeds, planes, strict=True):
        found = multiscale_regular_seeds(_ridges(plane, l1_threshold), n_points)
        of_plane[...] = np.where(found > 0, found + seeds.max(), 0)
    return seeds


def refined_seeding(
    a: ArrayLike,
    maximum_height: float = 0,
    grey_close_radius: int = 1,
    binary_open_radius: int = 1,
    binary_close_radius: int = 1,
    minimum_size: int = 0,
) -> Labels:
    """Find seeds in the low parts of an image, cleaned by closing and opening.

    Parameters
    ----------
    a : array of float, shape (M, ..., P), 1 to 3 dimensions
        The height of each voxel.
    maximum_height : float
        Seeds are at most this high, once the image is closed.
    grey_close_radius : int
        Close the image by this many voxels first: dark spots and gaps in ridges that are thinner disappear.
    binary_open_radius, binary_close_radius : int
        Then open the low parts, and close them, by this many voxels.
    minimum_size : int
        Remove seeds of fewer voxels.

    Returns
    -------
    seeds : array of int32, shape (M, ..., P)
        1, 2, ... in the pieces that are left, 0 elsewhere. All neighbourhoods are diamonds: steps across faces.

    Raises
    ------
    ImageError
        If `a` holds NaN or infinity.
    ShapeError
        If it has no voxels, or more than 3 dimensions.
    SettingError
        If a radius or size is negative.

    Examples
    --------
    >>> refined_seeding([9, 0, 9, 0, 0, 0, 9, 9, 9, 0, 0, 0])
    array([0, 0, 0, 1, 1, 1, 0, 0, 0, 2, 2, 2], dtype=int32)
    """
    height = as_heights(a)
    steps = {
        "grey_close_radius": grey_close_radius,
        "binary_open_radius": binary_open_radius,
        "binary_close_radius": binary_close_radius,
    }
    for name, radius in steps.items():
        check_not_negative(radius, name)
    low = morphology.closing(height, _diamond(height.ndim, grey_close_radius)) <= maximum_height
    low = morphology.opening(low, _diamond(height.ndim, binary_open_radius))
    low = morphology.closing(low, _diamond(height.ndim, binary_close_radius))
    return relabel_connected(remove_small_connected_components(low.astype(bool), minimum_size).astype(bool))


def _points(coordinates: Sequence[ArrayLike], shape: tuple[int, ...]) -> tuple[Array, ...]:
    points = np.unique(np.atleast_2d(np.asarray(coordinates)).astype(np.int64), axis=1)
    size = np.array(shape)[:, np.newaxis]
    if len(points) != len(shape) or ((points < 0) | (points >= size)).any():
        raise ShapeError(
            f"min_seed_coordinates must be {len(shape)} arrays of places within shape {shape}; "
            f"got {len(points)} of {points.shape[1:]}, from {points.min(axis=1)} to {points.max(axis=1)}."
        )
    return tuple(points)


def _thinned(free: Bools) -> Bools:
    """Keep the middle point of each block of free ones, for the largest blocks of 2, 4, 8, ... points a side."""
    kept = free.copy()
    side = 2
    while side <= min(free.shape):
        whole_blocks = tuple(slice(n - n % side) for n in free.shape)
        size = (side,) * free.ndim
        is_free = util.view_as_blocks(free[whole_blocks], size).all(axis=tuple(range(free.ndim, 2 * free.ndim)))  # type: ignore[no-untyped-call]  # not annotated
        middle = np.zeros(size, dtype=bool)
        middle[(side // 2,) * free.ndim] = True
        util.view_as_blocks(kept[whole_blocks], size)[is_free] = middle  # type: ignore[no-untyped-call]  # not annotated
        side *= 2
    return kept


def _ridges(plane: Array, threshold: float) -> Bools:
    """Find where a plane bends down, in at least one direction, by more than the threshold."""
    smoothed = feature.hessian_matrix(plane, sigma=3, order="rc", use_gaussian_derivatives=False)  # type: ignore[no-untyped-call]  # not annotated
    lowest = feature.hessian_matrix_eigvals(smoothed)[-1]  # type: ignore[no-untyped-call]  # not annotated
    rounding = 1e-6 * np.abs(plane).max()  # a flat plane has no ridges
    return np.asarray(lowest < -max(threshold, rounding))


def _diamond(ndim: int, radius: int) -> Bools:
    """Return the voxels at most `radius` steps from the middle one."""
    steps = np.abs(np.indices((2 * radius + 1,) * ndim) - radius).sum(axis=0)
    return np.asarray(steps <= radius)
