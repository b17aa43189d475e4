"""Label images and what goes with them: checked once, at the public door."""

from __future__ import annotations

import itertools
import math
import numbers
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import DTypeLike

from gala._types import Array, ArrayLike, Ints, Labels
from gala.errors import FeatureError, ImageError, SettingError, ShapeError
from gala.graph.caches import Channels, ImageKind
from gala.graph.labels import as_labels

# Small enough for four threads to share 128³ voxels; at 2^21, joining the slabs of 256³ takes a tenth of the build.
SLAB_VOXELS = 2**21


class Volume(NamedTuple):
    """A label image that has been checked, and what goes with it."""

    labels: Labels  # (M, ..., P)
    image: Array  # (M, ..., P, C)
    mask: Array | None  # (M, ..., P) bool
    background: int | None
    offsets: tuple[tuple[int, ...], ...]  # to the neighbours of a voxel
    kind: ImageKind
    extra: Mapping[str, Array]  # other images, each (M, ..., P, C), in the order of their names

    def values(self, where: slice | Ints) -> Array:
        """Return all channels, those of extra images last, of some planes, or of voxels in the raveled volume."""
        images = [self.image, *self.extra.values()]
        if not isinstance(where, slice):
            images = [image.reshape(self.labels.size, image.shape[-1]) for image in images]
        return images[0][where] if len(images) == 1 else np.concatenate([image[where] for image in images], axis=-1)


def highest_of(dtype: DTypeLike, name: str) -> float:
    """Return what values of a type of integers are divided by, to be from 0 to 1.

    Raises
    ------
    ImageError
        If it has 32 bits or more: nobody's images fill these.

    Examples
    --------
    >>> highest_of(np.uint8, "image")
    255.0
    """
    known = np.iinfo(dtype)
    if known.bits > 16:
        raise ImageError(
            f"{name} must hold floats from 0 to 1, or integers of 8 or 16 bits, which are divided by the highest of "
            f"their type; got {known.dtype}: convert it, if it is an image and no labels."
        )
    return float(known.max)


def check_volume(
    labels: ArrayLike,
    image: ArrayLike | None = None,
    connectivity: int = 1,
    *,
    mask: ArrayLike | None = None,
    background: int | None = None,
    channels: Channels | None = None,
    spacing: Sequence[float] | None = None,
    extra: Mapping[str, ArrayLike] | None = None,
) -> Volume:
    """Return the arguments of `build_graph` as arrays that fit each other, or raise what is wrong with them."""
    regions = as_labels(labels, "labels")
    if regions.ndim > 4:
        raise ShapeError(f"labels must have 1 to 4 dimensions; got shape {regions.shape}.")
    if isinstance(connectivity, bool) or connectivity not in range(1, regions.ndim + 1):
        raise SettingError(
            f"connectivity must be a whole number from 1 to the number of dimensions, {regions.ndim}; "
            f"got {connectivity!r}."
        )
    if background is not None and not (isinstance(background, numbers.Integral) and 0 <= background < 2**64):
        raise SettingError(f"background must be a label, from 0 to 2**64 - 1, or None; got {background!r}.")
    keep = None if mask is None else np.asarray(mask).astype(np.bool_, copy=False)
    if keep is not None and keep.shape != regions.shape:
        raise ShapeError(f"mask must have the shape of labels, {regions.shape}; got {keep.shape}.")
    values = _check_image(image, regions, keep, background)
    offsets = tuple(
        offset
        for offset in itertools.product((-1, 0, 1), repeat=regions.ndim)
        if 0 < sum(map(abs, offset)) <= connectivity
    )
    n_channels = values.shape[-1]
    known = Channels.all_plain(n_channels) if channels is None else channels
    _check_channels(known, n_channels)
    others = _check_extra(extra, regions, keep, background)
    if taken := [name for name, _ in known.extra if name in others]:
        raise SettingError(f"channels and extra both have an image {taken[0]!r}; give one of them another name.")
    known = known.with_extra(n_channels, {name: each.shape[-1] for name, each in others.items()})
    kind = ImageKind(known, regions.ndim, check_spacing(spacing, regions.ndim))
    return Volume(regions, values, keep, background, offsets, kind, others)


def slabs_of(shape: tuple[int, ...]) -> list[range]:
    """Return the planes of each slab of a volume; they depend on its shape alone."""
    plane = math.prod(shape[1:])
    n_planes = max(1, SLAB_VOXELS // max(plane, 1))
    return [range(first, min(first + n_planes, shape[0])) for first in range(0, shape[0], n_planes)]


def _check_extra(
    extra: Mapping[str, ArrayLike] | None, labels: Labels, keep: Array | None, background: int | None
) -> dict[str, Array]:
    given = {} if extra is None else extra
    if not isinstance(given, Mapping) or not all(isinstance(name, str) and name for name in given):
        raise SettingError(
            f'extra must be a dictionary of images by name, such as {{"raw": image}}; got {given!r:.80}.'
        )
    return {name: _check_image(given[name], labels, keep, background, f"extra[{name!r}]") for name in sorted(given)}


def _check_image(
    image: ArrayLike | None, labels: Labels, keep: Array | None, background: int | None, name: str = "image"
) -> Array:
    if image is None:
        return np.empty((*labels.shape, 0), dtype=np.float32)
    values = np.asarray(image)
    if values.dtype.kind not in "buif":
        raise ImageError(f"{name} must hold real numbers; got an array of {values.dtype}.")
    if values.shape == labels.shape:
        values = values[..., np.newaxis]
    elif values.shape[:-1] != labels.shape:
        raise ShapeError(
            f"{name} must have the shape of labels, {labels.shape}, and one more axis if it has channels; "
            f"got {values.shape}. Channels go on the last axis."
        )
    if values.dtype.kind == "f":
        _check_finite(values, labels, keep, background, name)
    return values


def _check_finite(values: Array, labels: Labels, keep: Array | None, background: int | None, name: str) -> None:
    n_wrong, first = 0, ""
    for planes in slabs_of(labels.shape):
        part = slice(planes.start, planes.stop)
        with np.errstate(over="ignore", invalid="ignore"):
            if np.isfinite(values[part].sum()):
                continue
        wrong = ~np.isfinite(values[part])
        if keep is not None:
            wrong &= keep[part][..., np.newaxis]
        if background is not None:
            wrong &= (labels[part] != background)[..., np.newaxis]
        if wrong.any() and not n_wrong:
            place = [int(i) for i in np.unravel_index(int(wrong.argmax()), wrong.shape)]
            first = f"{values[part][tuple(place)]} at {(planes.start + place[0], *place[1:])}"
        n_wrong += int(np.count_nonzero(wrong))
    if n_wrong:
        raise ImageError(
            f"{name} must be finite; {n_wrong} values are NaN or infinite, the first is {first} (channel last). "
            "Replace them, or leave these voxels out with mask."
        )


def _check_channels(channels: Channels, n_channels: int) -> None:
    of_extra = itertools.chain.from_iterable(chosen for _, chosen in channels.extra)
    named = [*channels.plain, channels.oriented_region, channels.oriented_contact, *of_extra]
    missing = [channel for channel in named if channel is not None and not 0 <= channel < n_channels]
    if missing:
        raise FeatureError(
            f"channels must name channels of the image, which has {n_channels}, from 0; got channel {missing[0]}."
        )


def check_spacing(spacing: Sequence[float] | None, ndim: int) -> tuple[float, ...]:
    """Return the size of a voxel along each axis, 1 by default.

    Raises
    ------
    SettingError
        If these are not `ndim` finite numbers above 0.

    Examples
    --------
    >>> check_spacing([40, 4], 2)
    (40.0, 4.0)
    """
    if spacing is None:
        return (1.0,) * ndim
    try:
        sides = tuple(float(side) for side in spacing)
    except (TypeError, ValueError):
        sides = ()
    if len(sides) != ndim or not all(0 < side < math.inf for side in sides):
        raise SettingError(
            f"spacing must be the size of a voxel along each of {ndim} axes, finite numbers above 0; got {spacing!r}."
        )
    return sides
