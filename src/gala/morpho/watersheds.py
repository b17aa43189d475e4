"""Watersheds: images flooded from seeds, in a volume or plane by plane."""

from __future__ import annotations

from typing import Any

import bioimage_cpp.segmentation as native
import numpy as np
from skimage import segmentation, util

from gala._kernels.flood import OUTSIDE, flood
from gala._types import Array, ArrayLike, Bools, Labels
from gala.errors import LabelError, SettingError, ShapeError
from gala.graph.labels import as_labels
from gala.morpho.borders import juicy_center
from gala.morpho.checks import as_heights, check_connectivity, check_not_negative, fitting, neighbours, steps
from gala.morpho.minima import hminima, regional_minima
from gala.morpho.pieces import relabel_connected, relabel_from_one, remove_small_connected_components


def watershed(
    image: ArrayLike,
    seeds: ArrayLike | None = None,
    connectivity: int = 1,
    mask: ArrayLike | None = None,
    smooth_thresh: float = 0.0,
    smooth_seeds: bool = False,
    minimum_seed_size: int = 0,
    dams: bool = False,
    override_skimage: bool = False,  # noqa: ARG001  # scripts pass it; there is one way of flooding
    show_progress: bool = False,  # noqa: ARG001  # scripts pass it; flooding is one call of a library
) -> Labels:
    """Flood an image from seeds, so that regions meet on its ridges.

    Parameters
    ----------
    image : array of float, shape (M, ..., P)
        The height of each voxel, for example its boundary probability.
    seeds : array of int or bool, shape (M, ..., P), optional
        Where regions start, and their labels; 0 elsewhere. By default the regional minima of the image, within
        the mask. The connected pieces of booleans, as those of minima, are numbered from 1.
    connectivity : int
        Voxels are neighbours if they differ by 1 in at most this many coordinates.
    mask : array of bool, shape (M, ..., P), optional
        Voxels that are False stay 0.
    smooth_thresh : float
        Fill minima that are no deeper than this first, as `hminima` does.
    smooth_seeds : bool
        Open each seed first: remove what is thinner than a voxel and its neighbours.
    minimum_seed_size : int
        Remove connected pieces of seeds with fewer voxels than this first.
    dams : bool
        Leave one layer of voxels at 0 where regions meet. Seeds are kept, even beside one another.
    override_skimage, show_progress : bool
        Accepted and ignored.

    Returns
    -------
    labels : array of int32, shape (M, ..., P)
        The seed that reached each voxel first; 0 where none did.

    Raises
    ------
    ImageError
        If `image` holds NaN or infinity within the mask.
    LabelError
        If `seeds` are not whole numbers from 0 to 2**31 - 1.
    ShapeError
        If `seeds` or `mask` have another shape than `image`, or it has no voxels.
    SettingError
        If `connectivity` is not from 1 to the number of axes, or a threshold or size is negative.

    Notes
    -----
    In 2 and 3 dimensions with connectivity 1 and no dams, bioimage-cpp floods, 9 times as fast as scikit-image;
    heights are rounded to 65,536 levels. The rest is done here, from exact heights, in about three times the time
    (scikit-image 0.26 takes 15 s for the dams of 7³ voxels of noise).

    References
    ----------
    F. Meyer, Topographic distance and watershed lines, Signal Processing 38 (1994).
    https://doi.org/10.1016/0165-1684(94)90060-4

    Examples
    --------
    >>> watershed([[0, 0.5, 0.9, 0.4, 0.1, 0.2]])
    array([[1, 1, 2, 2, 2, 2]], dtype=int32)
    >>> watershed([[0, 0.5, 0.9, 0.4, 0.1, 0.2]], dams=True)
    array([[1, 1, 0, 2, 2, 2]], dtype=int32)
    """
    inside = None if mask is None else fitting(mask, image, "mask").astype(bool, copy=False)
    height = as_heights(image, inside)
    check_connectivity(connectivity, height.ndim)
    check_not_negative(minimum_seed_size, "minimum_seed_size")
    check_not_negative(smooth_thresh, "smooth_thresh")
    if smooth_thresh > 0:
        height = hminima(height, smooth_thresh, connectivity)
    if seeds is None:
        # Outside of the mask the image is highest, so that minima are those within.
        seeds = regional_minima(height if inside is None else np.where(inside, height, _above(height)), connectivity)
    starts = _numbered(fitting(seeds, height, "seeds"), inside, connectivity)
    if smooth_seeds:
        starts = _opened(starts, connectivity)
    if minimum_seed_size > 0:
        starts = remove_small_connected_components(starts, minimum_seed_size, connectivity)
    if np.asarray(seeds).dtype == bool:
        starts = relabel_from_one(starts)[0]
    return _flood(height, starts, inside, connectivity, dams)


def compact_watershed(
    image: ArrayLike,
    seeds: ArrayLike | int,
    compactness: float = 0.01,
    connectivity: int = 1,
    mask: ArrayLike | None = None,
) -> Labels:
    """Flood an image from seeds, so that regions meet on its ridges yet stay round.

    Parameters
    ----------
    image : array of float, shape (M, ..., P)
        The height of each voxel, for example its boundary probability.
    seeds : array of int or bool, shape (M, ..., P), or int
        As in `watershed`; or about how many seeds to put on a regular grid.
    compactness : float
        How much a voxel of distance from the seed counts, in units of `image`; 0 is a watershed.
    connectivity : int
        Voxels are neighbours if they differ by 1 in at most this many coordinates.
    mask : array of bool, shape (M, ..., P), optional
        Voxels that are False stay 0.

    Returns
    -------
    labels : array of int32, shape (M, ..., P)
        The seed that reached each voxel first; 0 where none did.

    Raises
    ------
    ImageError, LabelError, ShapeError
        As in `watershed`.
    SettingError
        If `compactness` is negative, there are fewer than 1 seeds, or `connectivity` is not from 1 to the number
        of axes.

    References
    ----------
    P. Neubert and P. Protzel, Compact watershed and preemptive SLIC, ICPR (2014).
    https://doi.org/10.1109/ICPR.2014.181

    Examples
    --------
    >>> ridge_on_the_left = np.array([[0, 9, 0, 0, 0, 0, 0]])
    >>> ends = np.array([[1, 0, 0, 0, 0, 0, 2]])
    >>> compact_watershed(ridge_on_the_left, ends, compactness=0)
    array([[1, 1, 2, 2, 2, 2, 2]], dtype=int32)
    >>> compact_watershed(ridge_on_the_left, ends, compactness=100)
    array([[1, 1, 1, 2, 2, 2, 2]], dtype=int32)
    """
    inside = None if mask is None else fitting(mask, image, "mask").astype(bool, copy=False)
    height = as_heights(image, inside)
    check_connectivity(connectivity, height.ndim)
    check_not_negative(compactness, "compactness")
    if np.ndim(seeds) == 0:
        if not isinstance(seeds, int | np.integer) or seeds < 1:
            raise SettingError(f"seeds must be an array, or how many there are, 1 or more; got {seeds!r}.")
        seeds = util.regular_seeds(height.shape, int(seeds))  # type: ignore[no-untyped-call]  # not annotated
    starts = _numbered(fitting(seeds, height, "seeds"), inside, connectivity)
    labels: Array = segmentation.watershed(height, starts, connectivity, mask=inside, compactness=compactness)  # type: ignore[no-untyped-call]  # not annotated
    return labels.astype(np.int32, copy=False)


def watershed_sequence(
    a: ArrayLike,
    seeds: ArrayLike | None = None,
    mask: ArrayLike | None = None,
    axis: int = 0,
    n_jobs: int = 1,  # noqa: ARG001  # scripts pass it; planes are quick, and threads do not help
    **options: Any,
) -> Labels:
    """Flood each plane of a volume on its own; no label occurs in two planes.

    Parameters
    ----------
    a : array of float, shape (M, ..., P)
        The height of each voxel, at least 2 dimensions.
    seeds, mask : array, shape (M, ..., P), optional
        As in `watershed`.
    axis : int
        The axis along which planes follow each other.
    n_jobs : int
        Accepted and ignored.
    **options
        Other arguments of `watershed`.

    Returns
    -------
    labels : array of int32, shape (M, ..., P)
        1, 2, ... plane after plane, within a plane in the order of the labels of its seeds.

    Raises
    ------
    ImageError, LabelError, ShapeError, SettingError
        As in `watershed`, or if there is no such axis.

    Examples
    --------
    >>> watershed_sequence([[0, 9, 0], [0, 9, 9]])
    array([[1, 1, 2],
           [3, 3, 3]], dtype=int32)
    """
    image = np.asarray(a)
    if image.ndim < 2:
        raise ShapeError(f"a must have planes: at least 2 dimensions; got shape {image.shape}.")
    if axis not in range(-image.ndim, image.ndim):
        raise SettingError(f"axis must be one of the {image.ndim} of a; got {axis!r}.")
    given = {"seeds": seeds, "mask": mask}
    volumes = {name: fitting(vol, image, name) for name, vol in given.items() if vol is not None}
    labels = np.zeros(image.shape, dtype=np.int32)
    planes, n_labels = np.moveaxis(labels, axis, 0), 0
    for i, plane in enumerate(planes):
        parts = {name: np.take(vol, i, axis) for name, vol in volumes.items()}
        regions = relabel_from_one(watershed(np.take(image, i, axis), **parts, **options))[0]
        plane[...] = np.where(regions > 0, regions + n_labels, 0)
        n_labels = max(n_labels, int(plane.max()))
    return labels


def _above(height: Array) -> Array:
    """Return the next number above the highest."""
    top: Array = np.nextafter(height.max(), np.inf, dtype=height.dtype)
    return top


def _numbered(seeds: Array, inside: Bools | None, connectivity: int) -> Labels:
    """Return seeds as int32, those outside of the mask removed and the pieces of booleans numbered."""
    starts = as_labels(seeds, "seeds")
    if starts.max() > np.iinfo(np.int32).max:
        raise LabelError(f"seeds must be below 2**31; got {starts.max()}.")
    if inside is not None:
        starts = np.where(inside, starts, 0)
    if seeds.dtype == bool:
        return relabel_connected(starts.astype(bool), connectivity)
    return np.ascontiguousarray(starts, dtype=np.int32)


def _opened(seeds: Labels, connectivity: int) -> Labels:
    """Return the voxels of seeds that are in, or beside, one whose neighbours are all of the same seed."""
    pairs = [pair for half in neighbours(seeds.shape, connectivity) for pair in (half, half[::-1])]
    core = seeds.copy()
    for here, there in pairs:
        core[here][seeds[here] != seeds[there]] = 0
    opened = core.copy()
    for here, there in pairs:
        np.copyto(opened[here], seeds[here], where=core[there] == seeds[here])
    return opened


def _flood(height: Array, starts: Labels, inside: Bools | None, connectivity: int, dams: bool) -> Labels:
    if height.ndim in (2, 3) and connectivity == 1 and not dams:
        heights = np.ascontiguousarray(height, dtype=np.float32)
        labels: Labels = native.watershed(heights, np.ascontiguousarray(starts), mask=inside)
        return labels
    level = np.unique(height, return_inverse=True)[1].reshape(height.shape).astype(np.int32)
    if inside is not None:
        level[~inside] = OUTSIDE
    level = np.pad(level, 1, constant_values=OUTSIDE)
    flooded = np.pad(starts, 1)
    half = np.array(steps(height.ndim, connectivity)) @ (np.array(level.strides) // level.itemsize)
    flood(level.reshape(-1), np.concatenate([-half[::-1], half]), dams, flooded.reshape(-1))
    return juicy_center(flooded)
