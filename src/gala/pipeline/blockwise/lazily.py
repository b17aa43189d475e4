"""What a fitted segmenter does to dask arrays: dask arrays in, a dask array out, nothing computed before it must be."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from gala._types import Array, Labels
from gala.engine.agglomerate import agglomerate
from gala.errors import SettingError, ShapeError
from gala.features.declared import Declared
from gala.graph.blockwise import build_graph_blockwise, chunks_of, dask_module, relabel_blockwise
from gala.graph.grid import Box, Grid
from gala.graph.regions import RegionGraph
from gala.morpho.blocks import superpixels_of_block
from gala.pipeline.blockwise.policies import options_in_blocks
from gala.pipeline.inputs import Kind, by_name, check_kind, n_channels_in, scaled
from gala.pipeline.recipe import Learned
from gala.pipeline.strength import raised, strength, warn_of_gain

if TYPE_CHECKING:
    from gala.pipeline.segmenter import Segmenter


def predict_lazily(
    segmenter: Segmenter, image: Any, superpixels: Any, threshold: float, *, extra: Any, mask: Any
) -> Any:
    """Return the segmentation of a dask array as a dask array; see `Segmenter.predict`.

    Raises
    ------
    ShapeError
        If the image is not like those that were learned from, or the others do not fit it.
    SettingError
        If something is asked for that only arrays in memory have.
    """
    dask = dask_module("dask")
    from_array = dask_module("dask.array").asarray
    if segmenter.pixels is not None:
        raise SettingError(
            "pixels that make maps of raw images are for arrays in memory; gala segment --chunks makes maps block by "
            "block."
        )
    given = {"image": image, "superpixels": superpixels, "mask": mask}
    arrays = {name: from_array(array) for name, array in given.items() if array is not None}
    others = {name: from_array(array) for name, array in by_name(extra).items()}
    ndim = segmenter.kind_.ndim
    shape = tuple(arrays["image"].shape[:ndim])
    _check(segmenter, arrays, others, shape)
    values = _scaled("image", arrays["image"])
    keep = arrays.get("mask")
    labels = arrays.get("superpixels")
    if labels is None:
        options = options_in_blocks(segmenter.superpixel_options or {})
        labels = superpixels_lazily(values if values.ndim == ndim else values[..., 0], options, segmenter.spacing, keep)
    policy = segmenter.learned_.policy
    leaves = [leaf for leaf in policy.needs.leaves() if isinstance(leaf, Declared)]
    images = {name: _scaled(f"extra[{name!r}]", each) for name, each in others.items()}
    build = _Builder(labels, values, leaves, {"spacing": segmenter.spacing, "mask": keep, "extra": images})
    table = dask.delayed(_table_of, nout=2, pure=False)(build(), build, segmenter.learned_, threshold)
    return relabel_blockwise(labels, table[0], table[1], mask=keep)


def superpixels_lazily(
    boundary: Any, options: Mapping[str, Any] | None = None, spacing: Any = None, mask: Any = None
) -> Any:
    """Return the superpixels of a boundary map as a dask array, whose chunks do not show.

    Parameters
    ----------
    boundary : dask.array.Array, shape (M, ..., P)
        From 0 to 1.
    options, spacing
        For `gala.morpho.blocks.superpixels_of_block`.
    mask : dask.array.Array, optional
        Voxels that are False are 0.
    """
    dask, arrays = dask_module("dask"), dask_module("dask.array")
    grid = Grid.of(boundary.shape, None, chunks_of(boundary))
    cut = dask.delayed(_superpixels, pure=False, traverse=False)
    found = np.empty(grid.n_along, dtype=object)
    for place in grid.places():
        box = grid.box(place)
        made = cut(_Reader(boundary), None if mask is None else _Reader(mask), box, grid.shape, options, spacing)
        size = tuple(part.stop - part.start for part in box)
        found[place] = arrays.from_delayed(made, size, dtype=np.uint64)
    return arrays.block(found.tolist())


class _Reader:
    """A dask array that a task reads by itself, as it does not know beforehand how far it must look."""

    def __init__(self, array: Any) -> None:
        self.array = array

    def __call__(self, box: Box) -> Array:
        return np.asarray(self.array[box].compute(scheduler="synchronous"))


def _superpixels(
    boundary: _Reader, mask: _Reader | None, box: Box, shape: Any, options: Mapping[str, Any] | None, spacing: Any
) -> Labels:
    def inside(asked: Box) -> Array:
        assert mask is not None
        return mask(asked).astype(np.bool_)

    def clipped(asked: Box) -> Array:
        values = np.clip(boundary(asked), 0, 1)
        return values if mask is None else np.where(inside(asked), values, 1)

    keep = None if mask is None else inside
    return superpixels_of_block(clipped, box, shape, mask=keep, spacing=spacing, **(options or {})).labels


def _scaled(name: str, image: Any) -> Any:
    """Return a dask array of values from 0 to 1."""
    dtype = _scaled_block(np.zeros((1,) * image.ndim, image.dtype), name).dtype
    return image.map_blocks(_scaled_block, name, dtype=dtype)


def _scaled_block(block: Array, name: str) -> Array:
    return scaled(block, name, block.shape, None)[..., 0]


class _Builder:
    """Builds the graph of dask arrays; that of a raised map is built in a task, as nobody knows before by how much."""

    def __init__(self, labels: Any, image: Any, leaves: Sequence[Any], options: Mapping[str, Any]) -> None:
        self.labels, self.image, self.leaves, self.options = labels, image, leaves, options

    def __call__(self, gain: float = 1.0) -> Any:
        image = self.image if gain == 1 else self.image.map_blocks(raised, gain, dtype=self.image.dtype)
        return build_graph_blockwise(self.labels, image, self.leaves, **self.options)


def _table_of(graph: RegionGraph, build: _Builder, learned: Learned, threshold: float) -> tuple[Labels, Labels]:
    gain = learned.gain(strength(graph))
    if gain > 1:
        warn_of_gain(gain)
        graph = build(gain).compute(scheduler="synchronous")
    tree = agglomerate(graph, learned.policy, rescore=learned.rescore)
    return graph.labels, graph.labels[tree.cut(threshold)]


def _check(segmenter: Segmenter, arrays: Mapping[str, Any], extra: Mapping[str, Any], shape: tuple[int, ...]) -> None:
    images = {"": arrays["image"], **extra}
    n_channels_of = {name: n_channels_in(image.shape, len(shape)) for name, image in images.items()}
    check_kind(Kind(len(shape), n_channels_of), segmenter.kind_)
    for name, array in {**arrays, **{f"extra[{name!r}]": image for name, image in extra.items()}}.items():
        is_image = name not in ("superpixels", "mask")
        if tuple(array.shape[: len(shape)]) != shape or array.ndim - len(shape) > is_image:
            raise ShapeError(
                f"{name} must have the shape of the image without its channels, {shape}; got {array.shape}."
            )
