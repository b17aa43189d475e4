"""What an image, a mask and a neighbour are: the checks that all of `morpho` shares."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import TypeAlias

import numpy as np

from gala._types import Array, ArrayLike, Bools, Labels
from gala.errors import ImageError, LabelError, SettingError, ShapeError

Box: TypeAlias = tuple[slice, ...]


def as_heights(image: ArrayLike, inside: Bools | None = None) -> Array:
    """Return an image as float32, or float64 if that loses digits; outside of a mask it has its highest value."""
    height = np.asarray(image)
    if height.size == 0 or height.ndim == 0:
        raise ShapeError(f"image must have at least one axis and one voxel; got shape {height.shape}.")
    if height.dtype.kind not in "buif":
        raise ImageError(f"image must hold real numbers; got an array of {height.dtype}.")
    height = height.astype(np.result_type(height, np.float32), copy=False)
    seen = height if inside is None else height[inside]
    if not np.isfinite(seen).all():
        raise ImageError(
            "image must be finite; got NaN or infinity. Replace them first, for example by 1, or leave them out "
            "with a mask, where there is one."
        )
    if inside is None:
        return height
    return np.where(inside, height, seen.max()) if seen.size else np.zeros_like(height)


def fitting(other: ArrayLike, image: ArrayLike, name: str, *, to: str = "image") -> Array:
    """Return `other` as an array, after checking that it has the shape of the image."""
    array, shape = np.asarray(other), np.shape(image)
    if array.shape != shape:
        raise ShapeError(f"{name} must have the shape of {to}, {shape}; got {array.shape}.")
    return array


def check_connectivity(connectivity: int, ndim: int) -> None:
    """Raise an error unless voxels can differ by 1 in that many coordinates."""
    if isinstance(connectivity, bool) or connectivity not in range(1, ndim + 1):
        raise SettingError(f"connectivity must be from 1 to {ndim}, the number of axes; got {connectivity!r}.")


def check_not_negative(number: float, name: str) -> None:
    """Raise an error unless a setting is a number, 0 or more."""
    if not number >= 0:
        raise SettingError(f"{name} must be 0 or more; got {number!r}.")


def steps(ndim: int, connectivity: int) -> list[tuple[int, ...]]:
    """Return the steps to half of a voxel's neighbours; the others are opposite to these.

    Examples
    --------
    >>> steps(2, 1)
    [(0, 1), (1, 0)]
    """
    none = (0,) * ndim
    return [
        step
        for step in itertools.product((-1, 0, 1), repeat=ndim)
        if step > none and sum(map(abs, step)) <= connectivity
    ]


def neighbours(shape: tuple[int, ...], connectivity: int) -> Iterator[tuple[Box, Box]]:
    """Yield, for each direction and its opposite, the box of the voxels with a neighbour there, and of these.

    Examples
    --------
    >>> image = np.array([3, 4, 7])
    >>> [(image[here], image[there]) for here, there in neighbours((3,), 1)]
    [(array([3, 4]), array([4, 7]))]
    """
    for step in steps(len(shape), connectivity):
        moves = list(zip(step, shape, strict=True))
        yield (
            tuple(slice(max(-by, 0), n - max(by, 0)) for by, n in moves),
            tuple(slice(max(by, 0), n - max(-by, 0)) for by, n in moves),
        )


def new_labels(labels: Labels, n_labels: int) -> Labels:
    """Return labels above all that there are, of the same type."""
    top = int(labels.max())
    if top + n_labels > np.iinfo(labels.dtype).max:
        raise LabelError(
            f"labels of {labels.dtype} leave no room for {n_labels} more above {top}; "
            "relabel them from 1, or use a wider type."
        )
    return np.arange(1, n_labels + 1).astype(labels.dtype) + labels.dtype.type(top)
