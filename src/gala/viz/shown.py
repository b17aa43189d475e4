"""What pictures and viewers show: an image as bytes, the leaves of a merge tree, and its cuts."""

from __future__ import annotations

import numpy as np

from gala._types import Array, ArrayLike, Ints, Labels
from gala.errors import ShapeError
from gala.graph.labels import as_labels
from gala.graph.segments import leaf_labels
from gala.graph.tree import MergeTree
from gala.graph.voxels import map_labels, present_labels

_sampled = 1_000_000  # how many voxels tell what is black and what is white


def as_picture(image: ArrayLike, shape: tuple[int, ...]) -> Array:
    """Return an image of a volume of `shape` as uint8: grey, or with a last axis of red, green and blue.

    Grey ones are stretched between the 0.5th and the 99.5th percentile. Of other numbers of channels, the first is
    shown.

    Examples
    --------
    >>> as_picture([[3.0, 4.0, 4.0]], (1, 3)).tolist()
    [[0, 255, 255]]
    """
    found = np.asarray(image)
    if found.shape[: len(shape)] != shape or found.ndim > len(shape) + 1:
        raise ShapeError(
            f"image must have the shape of the labels, {shape}, with channels, if any, on one last axis; "
            f"got {found.shape}."
        )
    if found.dtype.kind not in "buif":
        raise ShapeError(f"image must hold real numbers; got an array of {found.dtype}.")
    if found.ndim > len(shape):
        if found.shape[-1] == 3:
            return found if found.dtype == np.uint8 else _stretched(found)
        if found.shape[-1] == 0:
            raise ShapeError(f"image must have at least one channel; got shape {found.shape}.")
        found = found[..., 0]
    return _stretched(found)


def shown_labels(superpixels: ArrayLike, tree: MergeTree | None) -> Labels:
    """Return the label of each leaf, uint64 of shape (N,); without a tree, all labels but 0."""
    if tree is not None:
        return leaf_labels(superpixels, tree).astype(np.uint64)
    known = present_labels(superpixels)
    return known[int(len(known) > 0 and known[0] == 0) :]


def leaf_positions(superpixels: ArrayLike, tree: MergeTree | None) -> tuple[Labels, Ints]:
    """Return the label of each leaf, and the leaf at each voxel, int32; -1 where there is none."""
    labels = as_labels(superpixels, "superpixels")
    known = shown_labels(labels, tree)
    # What is background becomes 0 in what map_labels returns.
    numbers = np.arange(1, len(known) + 1, dtype=np.int32)
    return known, map_labels(labels, known, numbers, background=background_of(known)) - np.int32(1)


def background_of(known: Labels) -> int | None:
    """Return the label that is background when `known` are those of the leaves: 0, unless it is a leaf."""
    return None if len(known) and known[0] == 0 else 0


def _stretched(image: Array) -> Array:
    values = image.astype(np.result_type(image.dtype, np.float32))  # float64 for what float32 would round
    sample = values.ravel()[:: max(1, values.size // _sampled) | 1]  # an odd step does not follow columns
    finite = sample[np.isfinite(sample)]
    low, high = np.percentile(finite, [0.5, 99.5]) if finite.size else (0.0, 1.0)
    if high <= low:
        low, high = low - 0.5, high + 0.5
    np.nan_to_num(values, copy=False, nan=low, posinf=high, neginf=low)
    grey: Array = ((values - low).clip(0, high - low) * (255 / (high - low))).round().astype(np.uint8)
    return grey
