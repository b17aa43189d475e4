"""The images that `Rag` is given, made ready for it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from gala._types import Array, ArrayLike, Labels
from gala.errors import SettingError, ShapeError
from gala.graph.caches import Channels
from gala.graph.labels import as_labels


def fitting(array: ArrayLike, labels: Labels, name: str) -> Labels:
    """Return a label image that has the shape of `labels`."""
    found = as_labels(array, name)
    if found.shape != labels.shape:
        raise ShapeError(f"{name} must have the shape of the labels, {labels.shape}; got {found.shape}.")
    return found


def normalized(image: Array, mask: Array | None) -> Array:
    """Return the image scaled to 0 to 1 within the mask, float32 or float64."""
    values = image.astype(np.result_type(image.dtype, np.float32), copy=False)
    kept = values if mask is None else values[mask]
    low, high = kept.min(initial=np.inf), kept.max(initial=-np.inf)
    return (values - low) / (high - low) if high > low else np.zeros_like(values)


def with_oriented(
    image: Array, channel_is_oriented: Sequence[bool] | None, orientation_map: ArrayLike | None
) -> tuple[Array, Channels | None]:
    """Return the image with what managers see of its oriented channels as two more, and which is which."""
    if channel_is_oriented is None:
        return image, None
    is_oriented = np.asarray(channel_is_oriented, dtype=np.bool_)
    n_oriented = int(is_oriented.sum())
    if is_oriented.shape != image.shape[-1:]:
        raise ShapeError(
            f"channel_is_oriented must say yes or no for each of {image.shape[-1]} channels; got {is_oriented.size}."
        )
    if n_oriented == 0:
        return image, None
    if orientation_map is None or np.size(orientation_map) == 0:
        chosen = np.zeros(image.shape[:-1], dtype=np.intp)
    else:
        chosen = fitting(orientation_map, image[..., 0], "orientation_map").astype(np.intp)
    if chosen.max() >= n_oriented:
        raise SettingError(
            f"orientation_map must name one of {n_oriented} oriented channels, from 0; got {chosen.max()}."
        )
    oriented = image[..., is_oriented]
    largest = oriented.max(axis=-1, keepdims=True)
    named = np.take_along_axis(oriented, chosen[..., np.newaxis], axis=-1)
    n_plain = image.shape[-1] - n_oriented
    together = np.concatenate([image[..., ~is_oriented], largest, named], axis=-1)
    return together, Channels(tuple(range(n_plain)), n_plain, n_plain + 1)
