"""Images and labels for pixel classifiers: what they must be, and their features block by block."""

from __future__ import annotations

from typing import Any

import numpy as np

from gala._kernels.threads import map_over_threads
from gala._types import Array, Ints, Labels
from gala.classify.pixels_features import Filters
from gala.classify.tiles import Source, Tile, as_source, read_box, tiles
from gala.errors import ImageError, ShapeError
from gala.graph.labels import as_labels


def as_lists(images: Any, labels: Any) -> tuple[list[Source], list[Labels]]:
    """Return images and their labels as lists, after checking that there are as many of both."""
    are_many = isinstance(labels, list | tuple) and len(labels) > 0 and hasattr(labels[0], "shape")
    sources = [as_source(image) for image in (images if are_many else [images])]
    painted = [as_labels(label, "labels") for label in (labels if are_many else [labels])]
    if len(sources) != len(painted):
        raise ShapeError(f"there must be labels for each image; got {len(sources)} images, {len(painted)} labels.")
    return sources, painted


def described(source: Source, ndim: int) -> dict[str, Any]:
    """Return what an image is that has `ndim` axes without channels."""
    if ndim not in (2, 3):
        raise ShapeError(f"images must have 2 or 3 axes, then channels, if any; got labels with {ndim} axes.")
    has_channels = len(source.shape) == ndim + 1
    if not has_channels and len(source.shape) != ndim:
        raise ShapeError(
            f"an image must have {ndim} axes, as what was learned from, then channels, if any; got shape "
            f"{tuple(source.shape)}."
        )
    return {
        "ndim": ndim,
        "n_channels": int(source.shape[-1]) if has_channels else None,
        "dtype": "float" if np.dtype(source.dtype).kind == "f" else np.dtype(source.dtype).name,
    }


def check_same(found: dict[str, Any], learned: dict[str, Any]) -> None:
    """Raise an error unless an image is like the one that was learned from."""
    if found["n_channels"] != learned["n_channels"]:
        raise ImageError(
            f"an image must have as many channels as was learned from, {learned['n_channels'] or 'no axis of them'}; "
            f"got {found['n_channels'] or 'no axis of them'}. Channels go on the last axis."
        )
    if found["dtype"] != learned["dtype"]:
        raise ImageError(
            f"an image must be of the type that was learned from, {learned['dtype']}; got {found['dtype']}. Scale its "
            "values as those were, and convert it."
        )


def block_features(filters: Filters, source: Source, image: dict[str, Any], tile: Tile) -> Array:
    """Return the features of the voxels of a tile, shape (V, F)."""
    values = read_box(source, tile.read)
    return filters.features(values if image["n_channels"] else values[..., None], tile.inner)


def rows_at(filters: Filters, source: Source, image: dict[str, Any], where: Ints, n_threads: int | None) -> Array:
    """Return the features of the voxels at the positions `where`, increasing, of the raveled image."""
    shape = tuple(source.shape[: image["ndim"]])
    places = np.stack(np.unravel_index(where, shape), axis=1)
    edge = (64,) * 3 if len(shape) == 3 else (256,) * 2

    def gather(tile: Tile) -> tuple[Ints, Array]:
        starts, stops = ([getattr(side, end) for side in tile.core] for end in ("start", "stop"))
        inside = np.flatnonzero(np.all((places >= starts) & (places < stops), axis=1))
        n_columns = filters.n_features * (image["n_channels"] or 1)
        if not len(inside):
            return inside, np.empty((0, n_columns), np.float32)
        sides = [stop - start for start, stop in zip(starts, stops, strict=True)]
        rows = np.ravel_multi_index(tuple((places[inside] - starts).T), sides)
        return inside, block_features(filters, source, image, tile)[rows]

    found = map_over_threads(gather, tiles(shape, edge, filters.halo), n_threads=n_threads)
    X = np.empty((len(where), found[0][1].shape[1]), np.float32)
    for inside, rows in found:
        X[inside] = rows
    return X
