"""From a label image, and an image of the same shape, to a region graph, in memory.

The volume is cut into slabs, a pass over each gives its graph, and these are joined in order. Slabs depend on the
shape alone: the result is the same, byte for byte, for any number of threads.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol

import numpy as np

from gala._kernels.adjacency import (
    OUTSIDE,
    SEGMENT,
    Block,
    Gathering,
    gather_block,
    number_low_labels,
    number_regions,
)
from gala._kernels.jit import gather_kernels
from gala._kernels.threads import map_over_threads
from gala._types import Array, ArrayLike, Ints, Labels
from gala.errors import FeatureError
from gala.graph.caches import CacheSpec, Channels, Declaration, ImageKind, compact, lay_out
from gala.graph.regions import RegionGraph, joined
from gala.graph.volume import Volume, check_volume, slabs_of

TILE_ROWS = 32  # rows walked before the next plane, so that the cache rows at hand stay in the processor's cache


class Leaves(Protocol):
    """A feature manager: one, or several put together."""

    def leaves(self) -> Iterator[Any]:
        """Yield the single managers."""


def build_graph(
    labels: ArrayLike,
    image: ArrayLike | None = None,
    features: Leaves | Sequence[Leaves] = (),
    *,
    connectivity: int = 1,
    spacing: Sequence[float] | None = None,
    mask: ArrayLike | None = None,
    background: int | None = None,
    channels: Channels | None = None,
    extra: Mapping[str, ArrayLike] | None = None,
    n_threads: int | None = None,
) -> RegionGraph:
    """Build the region adjacency graph of a label image.

    Voxel x of region a is in contact (a, b) if some neighbour of x lies in region b; it counts once in that contact.

    Parameters
    ----------
    labels : array of int, shape (M, ..., P), 1 to 4 dimensions
        The regions, 0 included: any integers from 0 to 2**64 - 1, or whole floats.
    image : array, shape (M, ..., P) or (M, ..., P, C), optional
        What is summarised in the cache rows, for example boundary probabilities; C channels.
    features : feature manager or sequence of them, optional
        What to keep about regions and contacts, besides the number of voxels: declared managers.
    connectivity : int, optional
        Voxels are neighbours if they differ by 1 in at most this many coordinates: 1 to the number of dimensions.
    spacing : sequence of float, shape (ndim,), optional
        Size of a voxel along each axis, in physical units, for managers that measure lengths. By default 1.
    mask : array of bool, shape (M, ..., P), optional
        Voxels that are False belong to no region.
    background : int, optional
        The label that is no region.
    channels : Channels, optional
        Which channels know an orientation or, by name, belong to an extra image. By default none does.
    extra : dict of arrays by name, each of shape (M, ..., P) or (M, ..., P, C), optional
        Other images, such as ``{"raw": raw}``, for managers made with ``image="raw"``; the others do not see them.
    n_threads : int, optional
        By default the environment variable GALA_NUM_THREADS, or else the number of cores.

    Returns
    -------
    graph : RegionGraph
        Its cache rows have the columns that all managers need, each once.

    Raises
    ------
    ShapeError
        If the shapes do not fit, or the volume is empty.
    LabelError
        If `labels` holds negative or fractional values.
    ImageError
        If `image` holds NaN or infinite values in a region.
    SettingError
        If `connectivity`, `spacing`, `background`, `extra` or `n_threads` is out of range.
    FeatureError
        If a manager is not declared, or does not fit the channels.

    Notes
    -----
    Time is linear in the voxels, memory in the regions and contacts. For images of other types than float32,
    float64 and small integers, one slab at a time is converted.

    References
    ----------
    Nunez-Iglesias et al. 2014, Graph-based active learning of agglomeration (GALA), doi:10.3389/fninf.2014.00034.

    Examples
    --------
    >>> from gala.features import moments
    >>> graph = build_graph([1, 1, 2, 2], [0.0, 0.5, 1.0, 0.0], moments.Manager(nmoments=1))
    >>> graph.contact_spec.names
    ('count', 'p0', 'p1[0]')
    >>> graph.contact_cache.tolist()
    [[2.0, 2.0, 1.5]]
    """
    volume = check_volume(
        labels,
        image,
        connectivity,
        mask=mask,
        background=background,
        channels=channels,
        spacing=spacing,
        extra=extra,
    )
    return build_from_volume(volume, features, n_threads=n_threads)


def build_from_volume(
    volume: Volume, features: Leaves | Sequence[Leaves] = (), *, n_threads: int | None = None
) -> RegionGraph:
    """Return what `build_graph` returns, from what has been checked already."""
    leaves = leaves_of(features)
    region_spec, of_regions = gathering(leaves, volume.kind, of_regions=True)
    contact_spec, of_contacts = gathering(leaves, volume.kind, of_regions=False)
    wants_coords = of_regions.needs_coords or of_contacts.needs_coords
    wants_faces = of_regions.needs_faces or of_contacts.needs_faces

    def build_slab(planes: range) -> RegionGraph:
        found, block = block_of(volume, planes, wants_coords=wants_coords, wants_faces=wants_faces)
        parts = gather_block(block, of_regions, of_contacts, len(found), False)
        return slab_graph(found, parts, region_spec, contact_spec, volume)

    slabs = map_over_threads(build_slab, slabs_of(volume.labels.shape), n_threads=n_threads)
    return joined(slabs)


def leaves_of(features: Leaves | Sequence[Leaves]) -> list[Any]:
    """Return the single managers in `features`, which must all be declared."""
    leaves = [leaf for manager in _as_sequence(features) for leaf in manager.leaves()]
    for leaf in leaves:
        if not hasattr(leaf, "layout"):
            raise FeatureError(
                f"a region graph keeps caches of declared managers; {leaf!r} is not one. Managers written against the "
                "historic protocol work with gala.agglo.Rag."
            )
    return leaves


def _as_sequence(features: Leaves | Sequence[Leaves]) -> Sequence[Leaves]:
    managers = features if isinstance(features, Sequence) and not isinstance(features, str) else [features]
    for manager in managers:
        if not hasattr(manager, "leaves"):
            raise FeatureError(
                f"features must be feature managers, such as gala.features.moments.Manager(); got {manager!r}."
            )
    return managers


def gathering(leaves: Sequence[Declaration], kind: ImageKind, *, of_regions: bool) -> tuple[CacheSpec, Gathering]:
    """Return the columns of rows of regions, or of contacts, and the gather kernels that fill them, laid flat."""
    spec, firsts = lay_out(leaves, kind, of_regions=of_regions)
    placed = [(leaf, first) for leaf, first in zip(leaves, firsts, strict=True) if first is not None]
    needs_coords = needs_faces = False
    steps: list[list[int]] = []
    params: list[float] = []
    channels: list[int] = []
    for i, (leaf, first) in enumerate(placed):
        layout = leaf.layout(kind)
        own = layout.region_channels if of_regions else layout.contact_channels
        needs_coords |= layout.needs_coords
        needs_faces |= layout.needs_faces
        steps.append([i, first, len(params), len(params) + layout.params.size, len(channels), len(channels) + len(own)])
        params.extend(layout.params)
        channels.extend(own)
    return spec, Gathering(
        kernels=gather_kernels([leaf.gather for leaf, _ in placed]),
        steps=np.array(steps, dtype=np.int64).reshape(-1, 6),
        params=np.array(params, dtype=np.float64),
        channels=np.array(channels, dtype=np.int64),
        empty=spec.empty,
        needs_coords=needs_coords,
        needs_faces=needs_faces,
    )


def numbered(labels: Labels, mask: Array | None, background: int | None) -> tuple[Labels, Ints]:
    """Return the label of each number, and the number of each voxel's label, int32 of the shape of `labels`."""
    numbers = np.empty(labels.size, dtype=np.int32)
    starts = np.arange(0, numbers.size, labels.shape[-1])
    return number_slab(labels, mask, background, numbers, starts), numbers.reshape(labels.shape)


def number_slab(labels: Labels, mask: Array | None, background: int | None, out: Ints, starts: Ints) -> Labels:
    """Write the number of each voxel's label to `out`, rows at `starts`; return the label of each number."""
    width: Any = np.uint32 if labels.dtype.itemsize <= 4 else np.uint64
    same_width = labels.dtype.itemsize == np.dtype(width).itemsize
    # Labels are never negative: a signed type can be read as an unsigned one, without a copy.
    rows: Labels = np.ascontiguousarray(labels, dtype=None if same_width else width).view(width)
    rows = rows.reshape(-1, labels.shape[-1])
    keep = np.empty((0, 0), dtype=np.bool_) if mask is None else np.ascontiguousarray(mask).reshape(rows.shape)
    fits = background is not None and background <= np.iinfo(width).max
    given = read_only(rows), keep, np.array([background] if fits else [], dtype=width), out, starts
    # A table of all labels up to the highest one, if it takes no more than the slab. In a block of a large volume it
    # mostly takes more, which the first row can tell.
    highest = int(rows[0].max())
    highest = highest if highest >= rows.size else int(rows.max())
    return number_low_labels(*given, highest + 1) if highest < rows.size else number_regions(*given)


def block_of(
    volume: Volume, planes: range, *, wants_coords: bool = False, wants_faces: bool = False
) -> tuple[Labels, Block]:
    """Return the labels of the regions in a slab and one plane beyond, and the slab as the kernels walk it."""
    below, above = int(planes.start > 0), int(planes.stop < len(volume.labels))
    seen = slice(planes.start - below, planes.stop + above)
    others = (0,) * (volume.labels.ndim - 1)
    part = volume._replace(labels=volume.labels[seen], mask=None if volume.mask is None else volume.mask[seen])
    values = volume.values(slice(planes.start, planes.stop))
    origin = np.array((planes.start, *others))
    return padded_block(part, values, (below, *others), origin, wants_coords=wants_coords, wants_faces=wants_faces)


def padded_block(
    seen: Volume,
    values: Array,
    below: Sequence[int],
    origin: Ints,
    *,
    wants_coords: bool = False,
    wants_faces: bool = False,
) -> tuple[Labels, Block]:
    """Return the labels of the regions in a block and around it, and the block as the kernels walk it.

    Parameters
    ----------
    seen : Volume
        Labels and mask of the block and one voxel beyond, where the volume goes on.
    values : array, shape (M, ..., P, C)
        All channels of the block itself.
    below : sequence of int, shape (ndim,)
        How many voxels are seen before the block along each axis: 0 or 1.
    origin : array of int, shape (ndim,)
        The first voxel of the block in the volume.
    """
    shape = values.shape[:-1]
    padded = np.full([n + 2 for n in shape], OUTSIDE, dtype=np.int32)
    strides = np.array(padded.strides) // padded.itemsize
    starts = _row_starts(seen.labels.shape, strides) - int(np.dot(below, strides))
    found = number_slab(seen.labels, seen.mask, seen.background, padded.reshape(-1), starts)
    if values.dtype not in (np.float32, np.float64):
        values = values.astype(np.float32 if np.can_cast(values.dtype, np.float32) else np.float64)
    offsets = np.array(seen.offsets, dtype=np.int64)
    n_directions = len(offsets) if wants_faces else 0
    block = Block(
        regions=padded.reshape(-1),
        segments=_segments(shape, strides),
        offsets=offsets @ strides,
        face_axes=np.where(np.abs(offsets).sum(axis=1) == 1, np.abs(offsets).argmax(axis=1), -1)[:n_directions],
        image=read_only(np.ascontiguousarray(values).reshape(-1)),
        n_channels=values.shape[-1],
        shape=np.array(shape if wants_coords else (), dtype=np.int64),
        origin=np.asarray(origin, dtype=np.int64),
    )
    return found, block


def _row_starts(shape: tuple[int, ...], strides: Ints) -> Ints:
    """Return where each row of a block begins in the padded block, in the order of rows."""
    leading = np.indices(shape[:-1]).reshape(len(shape) - 1, math.prod(shape[:-1]))
    starts: Ints = (leading + 1).T @ strides[:-1] + 1
    return starts


def read_only(array: Array) -> Array:
    """Return a view that cannot be written: Numba has one type for these and another for what can be written."""
    view = array.view()
    view.flags.writeable = False
    return view


def _segments(shape: tuple[int, ...], strides: Ints) -> Ints:
    """Return the row segments of a block, tile by tile: position in the padded block, in the block, and length."""
    position = _row_starts(shape, strides)
    voxel = np.arange(len(position)) * shape[-1]
    if len(shape) > 2:
        tile = np.arange(len(position)) % shape[-2] // TILE_ROWS
        order = np.argsort(tile, kind="stable")
        position, voxel = position[order], voxel[order]
    segments = [
        np.stack([position + start, voxel + start, np.full_like(voxel, min(SEGMENT, shape[-1] - start))], axis=1)
        for start in range(0, shape[-1], SEGMENT)
    ]
    return np.concatenate(segments)


def slab_graph(
    found: Labels,
    parts: tuple[Ints, Array, Array, Array, Ints],
    region_spec: CacheSpec,
    contact_spec: CacheSpec,
    volume: Volume,
) -> RegionGraph:
    """Return what kernels such as `gather_block` found in a slab as a graph, its edges in the order they were met.

    `joined` puts them in order. Rows of contacts are copied, so that the room they were in can serve again.
    """
    pairs, region_rows, contact_rows, border_sizes, _ = parts
    kept = compact(contact_spec, contact_rows)
    by_label = np.argsort(found)
    place = np.empty_like(by_label)
    place[by_label] = np.arange(len(found))
    return RegionGraph(
        labels=found[by_label].astype(volume.labels.dtype),
        edges=np.sort(place[pairs], axis=1),
        region_spec=region_spec,
        region_cache=region_rows[by_label],
        contact_spec=contact_spec,
        contact_cache=contact_rows.copy() if kept is contact_rows else kept,
        border_sizes=border_sizes[by_label],
        kind=volume.kind,
    )
