"""Superpixels: the small regions that agglomeration starts from, from a boundary map or from affinities."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from scipy import ndimage

from gala._types import Array, ArrayLike, Bools, Labels
from gala.errors import ImageError, SettingError, ShapeError
from gala.graph.affinities import SLACK, Affinities, as_affinities, warn_if_inverted
from gala.graph.volume import check_spacing, highest_of
from gala.morpho.basins import joined_basins, joined_fragments
from gala.morpho.checks import as_heights, check_not_negative, fitting
from gala.morpho.minima import regional_minima
from gala.morpho.pieces import relabel_connected
from gala.morpho.watersheds import compact_watershed, watershed

# The settings that each method has besides those of all, and their defaults; lengths are in voxels.
_SETTINGS: dict[str, dict[str, Any]] = {
    "watershed": {"sigma": 0.7, "depth": 0.01},
    "distance": {"sigma": 0.7, "depth": 0.25, "threshold": 0.3},
    "compact": {"grid": 10.0, "compactness": 0.01},
    "affinities": {"sigma": 0.7, "depth": 0.01, "offsets": None, "polarity": "attractive"},
}


class _Plan(NamedTuple):
    """How to cut, all lengths in voxels, the shortest side of which is 1."""

    method: str
    settings: dict[str, Any]
    sides: tuple[float, ...]  # (ndim,) of a voxel


def superpixels(
    boundary: ArrayLike,
    *,
    method: str = "watershed",
    spacing: Sequence[float] | None = None,
    unit: str = "voxel",
    planes: str = "together",
    mask: ArrayLike | None = None,
    min_size: float | None = None,
    sigma: float | None = None,
    depth: float | None = None,
    threshold: float | None = None,
    grid: float | None = None,
    compactness: float | None = None,
    offsets: Sequence[Sequence[int]] | None = None,
    polarity: str | None = None,
) -> Labels:
    """Cut a volume into superpixels along a boundary map, or along affinities.

    Parameters
    ----------
    boundary : array, shape (M, ..., P), or (K, M, ..., P) for affinities
        How likely a voxel is on a boundary: floats from 0 to 1, or integers of 8 or 16 bits, which are divided
        by the highest of their type (255 for uint8). For ``method="affinities"``, K channels of affinities, likewise.
    method : str
        ``"watershed"`` floods the map from its minima; ``"distance"`` floods from the voxels farthest from any
        boundary, so that a gap smaller than a region is closed; ``"compact"`` floods the map from a grid, and
        regions stay round; ``"affinities"`` floods the mean boundary between each voxel and its nearest
        neighbours.
    spacing : sequence of float, shape (ndim,), optional
        Size of a voxel along each axis: lengths are the same along all axes in space, not in voxels.
    unit : str
        What lengths and sizes count: a ``"voxel"`` (a length of 1 is the shortest side of a voxel) or the
        ``"physical"`` unit of `spacing`, such as nm, and nm³ for `min_size`, or nm² if
        planes are apart.
    planes : str
        Flood all planes ``"together"``, or each along the first axis on its own, ``"apart"``: for sections that are
        thick or not aligned. No label is then in two planes.
    mask : array of bool, shape (M, ..., P), optional
        Voxels that are False stay 0; they count as boundary.
    min_size : float, optional
        Smaller superpixels join the neighbour behind the weakest boundary, if they have one. By default 4 voxels a
        side: 64 voxels in 3 dimensions. 0 keeps all.
    sigma : float, optional
        Smooth the height that is flooded by this length first; by default 0.7 voxels. Not for "compact".
    depth : float, optional
        Do not keep basins apart that are no deeper, by default 0.01 of the map or, for "distance", a quarter of a
        voxel of distance. Not for "compact".
    threshold : float, optional
        For "distance": what is above is boundary, by default 0.3.
    grid : float, optional
        For "compact": distance between seeds, by default 10 voxels.
    compactness : float, optional
        For "compact": how much a voxel of distance from the seed counts, by default 0.01 of the map.
    offsets : sequence of K steps, optional
        For "affinities", where they must be given: channel k at voxel x is about x and ``x + offsets[k]``. Along
        each axis there must be a step of one voxel; longer ones are not read.
    polarity : str, optional
        For "affinities": ``"attractive"`` (by default) if 1 is together, ``"repulsive"`` if 1 is apart.

    Returns
    -------
    labels : array of int32, shape (M, ..., P)
        1, 2, ..., each connected by faces; every voxel in the mask has one.

    Raises
    ------
    ImageError
        If the map holds NaN, infinity or, as floats, values outside of 0 to 1.
    ShapeError
        If `mask` has another shape, there are no voxels, or no planes to flood apart.
    SettingError
        If a setting is out of range, or not one of the method.

    Warns
    -----
    GalaWarning
        If affinities look inverted.

    Notes
    -----
    Basins that are too shallow are joined after flooding, by the lowest pass between them: the result is that of
    flooding from h-minima, without grey-scale reconstruction (``benchmarks/bench_superpixels.py``). The same input
    gives the same labels.

    References
    ----------
    Beier et al. 2017, Multicut brings automated neurite segmentation closer to human performance, for the seeds of
    "distance", doi:10.1038/nmeth.4151. Neubert and Protzel 2014, for "compact", doi:10.1109/ICPR.2014.181.

    See Also
    --------
    watershed, compact_watershed : Flood from your own seeds.

    Examples
    --------
    >>> superpixels([[0, 0.1, 0.9, 0.2, 0, 0.1]], sigma=0, min_size=0)
    array([[1, 1, 1, 2, 2, 2]], dtype=int32)
    >>> superpixels([[0, 0.1, 0.9, 0.2, 0, 0.1]], sigma=0, min_size=0, depth=1)
    array([[1, 1, 1, 1, 1, 1]], dtype=int32)
    """
    given = {
        "sigma": sigma,
        "depth": depth,
        "threshold": threshold,
        "grid": grid,
        "compactness": compactness,
        "offsets": offsets,
        "polarity": polarity,
        "min_size": min_size,
    }
    settings = _checked_settings(method, {name: value for name, value in given.items() if value is not None})
    if method == "affinities":
        known = as_affinities(boundary, settings["offsets"], settings.get("polarity", "attractive"))
        image = mean_boundary(known, int(planes == "apart"))
        warn_if_inverted(float(image.mean()), 0.5, known.polarity)
    else:
        image = as_map(boundary)
    inside = None if mask is None else fitting(mask, image, "mask", to="the volume").astype(bool, copy=False)
    check_map(image, inside)
    plan = _plan(method, settings, spacing, unit, image.shape, planes)
    if planes == "together":
        return _cut(image, inside, plan)
    labels, n_labels = np.zeros(image.shape, dtype=np.int32), 0
    for i, plane in enumerate(image):
        cut = _cut(plane, None if inside is None else inside[i], plan)
        labels[i] = np.where(cut > 0, cut + n_labels, 0)
        n_labels += int(cut.max())
    return labels


def _checked_settings(method: str, given: dict[str, Any]) -> dict[str, Any]:
    """Return the settings given; refuse those of other methods."""
    if method not in _SETTINGS:
        raise SettingError(f"method must be one of {', '.join(map(repr, _SETTINGS))}; got {method!r}.")
    own = {"min_size", *_SETTINGS[method]}
    if foreign := sorted(given.keys() - own):
        raise SettingError(f"method {method!r} has no {foreign[0]}; it has {', '.join(sorted(own))}.")
    if method == "affinities" and "offsets" not in given:
        raise SettingError(
            "offsets must be given with method 'affinities', such as [(-1, 0, 0), (0, -1, 0), (0, 0, -1)] if each "
            "channel is about a voxel and the one before."
        )
    for name in given.keys() - {"offsets", "polarity"}:
        check_not_negative(given[name], name)
    if given.get("grid") == 0:
        raise SettingError("grid must be above 0; got 0.")
    return given


def _plan(
    method: str,
    settings: dict[str, Any],
    spacing: Sequence[float] | None,
    unit: str,
    shape: tuple[int, ...],
    planes: str,
) -> _Plan:
    """Return settings with all lengths in voxels, those not given by default."""
    if planes not in ("together", "apart") or (planes == "apart" and len(shape) < 3):
        raise SettingError(f"planes must be 'together' or, with 3 axes or more, 'apart'; got {planes!r} for {shape}.")
    if unit not in ("voxel", "physical") or (unit == "physical" and spacing is None):
        raise SettingError(f"unit must be 'voxel' or, if spacing is given, 'physical'; got {unit!r}.")
    sides = np.array(check_spacing(spacing, len(shape))[planes == "apart" :])
    length, volume = (sides.min(), sides.prod()) if unit == "physical" else (1.0, 1.0)
    per = {"sigma": length, "grid": length, "depth": length if method == "distance" else 1.0, "min_size": volume}
    in_voxels = {name: value / per[name] if name in per else value for name, value in settings.items()}
    defaults = {"min_size": 4.0**sides.size} | _SETTINGS[method]
    return _Plan(method, defaults | in_voxels, tuple(sides / sides.min()))


def as_map(boundary: ArrayLike) -> Array:
    """Return a boundary map as floats from 0 to 1, NaN where it is."""
    image = np.asarray(boundary)
    if image.ndim == 0 or image.size == 0:
        raise ShapeError(f"boundary must have at least one axis and one voxel; got shape {image.shape}.")
    if image.dtype.kind not in "buif":
        raise ImageError(f"boundary must hold real numbers; got an array of {image.dtype}.")
    if image.dtype.kind == "i" and image.min() < 0:
        raise ImageError(
            f"boundary must be from 0 to 1, or integers, which are divided by the highest of their type; got "
            f"{image.dtype} with {image.min()}. Shift it first."
        )
    if image.dtype.kind in "ui":
        image = image.astype(np.float32) / np.float32(highest_of(image.dtype, "boundary"))
    return image.astype(np.result_type(image, np.float32), copy=False)


def check_map(image: Array, inside: Bools | None) -> None:
    """Raise an error unless a map, within the mask, is from 0 to 1."""
    seen = as_heights(image, inside) if inside is None else as_heights(image, inside)[inside]
    if seen.size and (seen.min() < -SLACK or seen.max() > 1 + SLACK):
        raise ImageError(
            f"boundary must be from 0 to 1, or integers, which are divided by the highest of their type; got "
            f"{image.dtype} from {seen.min():g} to {seen.max():g}. Scale it first."
        )


def mean_boundary(affinities: Affinities, first_axis: int = 0) -> Array:
    """Return the mean boundary, for each voxel, over its neighbours along all axes from one on: float32.

    Examples
    --------
    >>> mean_boundary(as_affinities([[0, 0.5, 1]], [[-1]]))
    array([0.5 , 0.25, 0.  ], dtype=float32)
    """
    total = np.zeros(affinities.shape, dtype=np.float32)
    count = np.zeros(affinities.shape, dtype=np.float32)
    for axis in range(first_axis, total.ndim):
        ahead, length = affinities.forward(axis), total.shape[axis]
        here = (slice(None),) * axis + (slice(0, length - 1),)
        there = (slice(None),) * axis + (slice(1, None),)
        for end in (here, there):
            total[end] += ahead[here]
            count[end] += 1
    mean: Array = total / np.maximum(count, 1)
    return mean


def _cut(image: Array, inside: Bools | None, plan: _Plan) -> Labels:
    """Cut a map, and number what is left in the order of the first floods."""
    if inside is not None:
        if not inside.any():
            return np.zeros(image.shape, dtype=np.int32)
        image = np.where(inside, image, image.dtype.type(1))
    settings = plan.settings
    if plan.method == "compact":
        labels = _compact(image, inside, plan)
    else:
        height = _depths(image, plan) if plan.method == "distance" else image
        height = ndimage.gaussian_filter(height, [settings["sigma"] / side for side in plan.sides])
        labels = joined_basins(_flooded(height, inside), height, settings["depth"])
    return joined_fragments(labels, image, settings["min_size"]) if settings["min_size"] > 0 else labels


def _depths(image: Array, plan: _Plan) -> Array:
    """Return minus the distance to the next boundary, in voxels, and on boundaries the map."""
    free = image <= plan.settings["threshold"]
    if free.all():
        return image
    distance = ndimage.distance_transform_edt(free, sampling=plan.sides)
    return np.where(free, -distance, image).astype(np.float32)


def _flooded(height: Array, inside: Bools | None) -> Labels:
    """Flood from all minima; there is one in each piece of the mask, as what is outside is higher."""
    minima = regional_minima(height if inside is None else np.where(inside, height, height.max() + 1))
    return watershed(height, minima, mask=inside)


def _compact(image: Array, inside: Bools | None, plan: _Plan) -> Labels:
    """Flood from a grid; what no seed reaches within the mask is numbered after it."""
    steps = [max(1, round(plan.settings["grid"] / side)) for side in plan.sides]
    seeds = np.zeros(image.shape, dtype=bool)
    seeds[tuple(slice(min(step, n) // 2, None, step) for step, n in zip(steps, image.shape, strict=True))] = True
    labels = compact_watershed(image, seeds, plan.settings["compactness"], mask=inside)
    if inside is not None:
        rest = relabel_connected(inside & (labels == 0))
        labels = np.where(rest > 0, rest + labels.max(), labels)
    return labels
