"""From a label image, and an image of the same shape, to a region graph, in memory.

The volume is cut into slabs, a pass over each gives its graph, and these are joined in order. Slabs depend on the
shape alone: the result is the same, byte for byte, for any number of threads.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np

from gala._kernels.adjacency import (
    OUTSIDE,
    SEGMENT,
    Block,
    Gathering,
    gather_block,
    number_regions,
)
from gala._kernels.jit import gather_kernels
from gala._kernels.threads import map_over_threads
from gala._types import Array, ArrayLike, Ints, Labels
from gala.errors import FeatureError, ImageError, SettingError, ShapeError
from gala.graph.caches import CacheSpec, Channels, Declaration, lay_out
from gala.graph.labels import as_labels
from gala.graph.regions import RegionGraph, find_labels, joined, pack, unpack

# Small enough for four threads to share 128³ voxels; at 2^21, joining the slabs of 256³ takes a tenth of the build.
SLAB_VOXELS = 2**21
_TILE_ROWS = 32  # rows walked before the next plane, so that the cache rows at hand stay in the processor's cache


class _Leaves(Protocol):
    def leaves(self) -> Iterator[Any]: ...


class Volume(NamedTuple):
    """A label image that has been checked, and what goes with it."""

    labels: Labels  # (M, ..., P)
    image: Array  # (M, ..., P, C)
    mask: Array | None  # (M, ..., P) bool
    background: int | None
    offsets: tuple[tuple[int, ...], ...]  # to the neighbours of a voxel
    channels: Channels


class VoxelLists(NamedTuple):
    """The voxels of each of N regions or contacts, as positions in the raveled volume."""

    first: Ints  # (N + 1,) where the list of each begins in `voxels`
    voxels: Ints  # increasing within each list

    def of(self, i: int) -> Ints:
        """Return the voxels of the region or contact at position `i`."""
        return self.voxels[self.first[i] : self.first[i + 1]]


def build_graph(
    labels: ArrayLike,
    image: ArrayLike | None = None,
    features: _Leaves | Sequence[_Leaves] = (),
    *,
    connectivity: int = 1,
    mask: ArrayLike | None = None,
    background: int | None = None,
    channels: Channels | None = None,
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
    mask : array of bool, shape (M, ..., P), optional
        Voxels that are False belong to no region.
    background : int, optional
        The label that is no region.
    channels : Channels, optional
        Which channels know an orientation. By default none does.
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
        If `connectivity`, `background` or `n_threads` is out of range.
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
    volume = check_volume(labels, image, connectivity, mask=mask, background=background, channels=channels)
    leaves = [leaf for manager in _as_sequence(features) for leaf in manager.leaves()]
    for leaf in leaves:
        if not hasattr(leaf, "layout"):
            raise FeatureError(
                f"build_graph keeps caches of declared managers; {leaf!r} is not one. Managers written against the "
                "historic protocol work with gala.agglo.Rag."
            )
    ndim = volume.labels.ndim
    spec, firsts = lay_out(leaves, volume.channels, ndim)
    placed = [(leaf, first) for leaf, first in zip(leaves, firsts, strict=True) if first is not None]
    of_regions = _gathering(placed, spec, volume.channels, ndim, kind="region_channels")
    of_contacts = _gathering(placed, spec, volume.channels, ndim, kind="contact_channels")
    wants_coords = any(leaf.layout(volume.channels, ndim).needs_coords for leaf, _ in placed)

    def build_slab(planes: range) -> RegionGraph:
        found, block = _block(volume, planes, wants_coords=wants_coords)
        parts = gather_block(block, of_regions, of_contacts, len(found), False)
        return _slab_graph(found, parts, spec, volume)

    slabs = map_over_threads(build_slab, slabs_of(volume.labels.shape), n_threads=n_threads)
    return joined(slabs)


def check_volume(
    labels: ArrayLike,
    image: ArrayLike | None = None,
    connectivity: int = 1,
    *,
    mask: ArrayLike | None = None,
    background: int | None = None,
    channels: Channels | None = None,
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
    if background is not None and not 0 <= background < 2**64:
        raise SettingError(f"background must be a label, from 0 to 2**64 - 1, or None; got {background!r}.")
    keep = None if mask is None else np.asarray(mask).astype(np.bool_, copy=False)
    if keep is not None and keep.shape != regions.shape:
        raise ShapeError(f"mask must have the shape of labels, {regions.shape}; got {keep.shape}.")
    values = _check_image(image, regions, keep)
    offsets = tuple(
        offset
        for offset in itertools.product((-1, 0, 1), repeat=regions.ndim)
        if 0 < sum(map(abs, offset)) <= connectivity
    )
    all_channels = Channels.all_plain(values.shape[-1]) if channels is None else channels
    return Volume(regions, values, keep, background, offsets, all_channels)


def slabs_of(shape: tuple[int, ...]) -> list[range]:
    """Return the planes of each slab of a volume; they depend on its shape alone."""
    plane = math.prod(shape[1:])
    n_planes = max(1, SLAB_VOXELS // max(plane, 1))
    return [range(first, min(first + n_planes, shape[0])) for first in range(0, shape[0], n_planes)]


def map_labels(
    labels: ArrayLike,
    keys: ArrayLike,
    values: ArrayLike,
    *,
    mask: Array | None = None,
    background: int | None = None,
    n_threads: int | None = None,
) -> Labels:
    """Return, for each voxel, the entry of `values` beside its label in `keys`.

    Parameters
    ----------
    labels : array of int, shape (M, ..., P)
        Each label must be in `keys`, unless it is masked or background: such voxels become 0.
    keys, values : array of int, shape (N,)
        `keys` increases, as `RegionGraph.labels` does.
    mask : array of bool, shape (M, ..., P), optional
        Voxels that are False become 0.
    background : int, optional
        Voxels of this label become 0.
    n_threads : int, optional
        By default the environment variable GALA_NUM_THREADS, or else the number of cores.

    Returns
    -------
    mapped : array of the type of `values`, shape (M, ..., P)

    Raises
    ------
    LabelError
        If a label is not in `keys`.

    Examples
    --------
    >>> map_labels([[7, 7, 9]], [7, 9], [7, 7])
    array([[7, 7, 7]])
    """
    labels, keys, values = as_labels(labels, "labels"), np.asarray(keys), np.asarray(values)
    out = np.empty(labels.shape, dtype=values.dtype)

    def map_slab(planes: range) -> None:
        part = slice(planes.start, planes.stop)
        numbers = np.empty(out[part].size, dtype=np.int32)
        starts = np.arange(0, numbers.size, labels.shape[-1])
        found = _number(labels[part], None if mask is None else mask[part], background, numbers, starts)
        lookup = np.zeros(len(found) + 1, dtype=values.dtype)  # the last one, at NO_REGION, stays 0
        lookup[:-1] = values[find_labels(keys, found)]
        out[part] = lookup[numbers.reshape(out[part].shape)]

    map_over_threads(map_slab, slabs_of(labels.shape), n_threads=n_threads)
    return out


def region_voxels(volume: Volume, graph: RegionGraph) -> VoxelLists:
    """Return the voxels of each region."""
    positions = np.arange(graph.n_regions, dtype=np.int64) + 1
    owners = map_labels(volume.labels, graph.labels, positions, mask=volume.mask, background=volume.background).ravel()
    order = np.argsort(owners, kind="stable")
    first = np.searchsorted(owners[order], np.arange(1, graph.n_regions + 2))
    return VoxelLists(first, order)


def contact_voxels(volume: Volume, graph: RegionGraph, *, n_threads: int | None = None) -> VoxelLists:
    """Return the voxels of each contact, of both regions."""
    count = CacheSpec.sums("count")
    nothing = _gathering([], count, volume.channels, volume.labels.ndim, kind="region_channels")
    keys = pack(graph.edges)
    plane = math.prod(volume.labels.shape[1:])

    def list_slab(planes: range) -> Ints:
        found, block = _block(volume, planes)
        pairs, _, _, _, recorded = gather_block(block, nothing, nothing, len(found), True)
        places = np.sort(graph.find(found.astype(graph.labels.dtype))[pairs], axis=1)
        contacts = np.searchsorted(keys, pack(places))
        return np.stack([contacts[recorded[:, 0]], recorded[:, 1] + planes.start * plane])

    listed = np.concatenate(map_over_threads(list_slab, slabs_of(volume.labels.shape), n_threads=n_threads), axis=1)
    order = np.lexsort(listed[::-1])
    first = np.searchsorted(listed[0][order], np.arange(len(keys) + 1))
    return VoxelLists(first, listed[1][order])


def _as_sequence(features: _Leaves | Sequence[_Leaves]) -> Sequence[_Leaves]:
    return features if isinstance(features, Sequence) else [features]


def _check_image(image: ArrayLike | None, labels: Labels, keep: Array | None) -> Array:
    if image is None:
        return np.empty((*labels.shape, 0), dtype=np.float32)
    values = np.asarray(image)
    if values.dtype.kind not in "buif":
        raise ImageError(f"image must hold real numbers; got an array of {values.dtype}.")
    if values.shape == labels.shape:
        values = values[..., np.newaxis]
    elif values.shape[:-1] != labels.shape:
        raise ShapeError(
            f"image must have the shape of labels, {labels.shape}, and one more axis if it has channels; "
            f"got {values.shape}. Channels go on the last axis."
        )
    if values.dtype.kind == "f":
        for planes in slabs_of(labels.shape):
            _check_finite(values, keep, planes)
    return values


def _check_finite(values: Array, keep: Array | None, planes: range) -> None:
    part = slice(planes.start, planes.stop)
    with np.errstate(over="ignore", invalid="ignore"):
        if np.isfinite(values[part].sum()):
            return
    wrong = ~np.isfinite(values)
    if keep is not None:
        wrong &= keep[..., np.newaxis]
    if wrong.any():
        first = tuple(int(i) for i in np.unravel_index(int(wrong.argmax()), wrong.shape))
        raise ImageError(
            f"image must be finite; {np.count_nonzero(wrong)} values are NaN or infinite, the first is "
            f"{values[first]} at {first} (channel last). Replace them, or leave these voxels out with mask."
        )


def _gathering(
    placed: Sequence[tuple[Declaration, int]], spec: CacheSpec, channels: Channels, ndim: int, *, kind: str
) -> Gathering:
    """Return the gather kernels of managers that have been given a place in the row, laid flat."""
    steps: list[list[int]] = []
    params: list[float] = []
    read: list[int] = []
    for i, (leaf, first) in enumerate(placed):
        layout = leaf.layout(channels, ndim)
        own = getattr(layout, kind)
        steps.append([i, first, len(params), len(params) + layout.params.size, len(read), len(read) + len(own)])
        params.extend(layout.params)
        read.extend(own)
    return Gathering(
        kernels=gather_kernels([leaf.gather for leaf, _ in placed]),
        steps=np.array(steps, dtype=np.int64).reshape(-1, 6),
        params=np.array(params, dtype=np.float64),
        channels=np.array(read, dtype=np.int64),
        empty=spec.empty,
    )


def _number(labels: Labels, mask: Array | None, background: int | None, out: Ints, starts: Ints) -> Labels:
    """Write the number of each voxel's label to `out`, rows at `starts`; return the label of each number."""
    width: Any = np.uint32 if labels.dtype.itemsize <= 4 else np.uint64
    rows: Labels = np.ascontiguousarray(labels, dtype=width).reshape(-1, labels.shape[-1])
    keep = np.empty((0, 0), dtype=np.bool_) if mask is None else np.ascontiguousarray(mask).reshape(rows.shape)
    fits = background is not None and background <= np.iinfo(width).max
    return number_regions(rows, keep, np.array([background] if fits else [], dtype=width), out, starts)


def _block(volume: Volume, planes: range, *, wants_coords: bool = False) -> tuple[Labels, Block]:
    """Return the labels of the regions in a slab and one plane beyond, and the slab as the kernels walk it."""
    labels, ndim = volume.labels, volume.labels.ndim
    shape = (len(planes), *labels.shape[1:])
    below, above = int(planes.start > 0), int(planes.stop < labels.shape[0])
    seen = slice(planes.start - below, planes.stop + above)
    padded = np.full([n + 2 for n in shape], OUTSIDE, dtype=np.int32)
    strides = np.array(padded.strides) // padded.itemsize
    starts = _row_starts((shape[0] + below + above, *shape[1:]), strides)
    starts -= below * strides[0]
    found = _number(
        labels[seen], None if volume.mask is None else volume.mask[seen], volume.background, padded.reshape(-1), starts
    )
    values = volume.image[planes.start : planes.stop]
    if values.dtype not in (np.float32, np.float64):
        values = values.astype(np.float32 if np.can_cast(values.dtype, np.float32) else np.float64)
    origin = np.zeros(ndim, dtype=np.int64)
    origin[0] = planes.start
    block = Block(
        regions=padded.reshape(-1),
        segments=_segments(shape, strides),
        offsets=np.array(volume.offsets, dtype=np.int64) @ strides,
        image=np.ascontiguousarray(values).reshape(-1),
        n_channels=values.shape[-1],
        shape=np.array(shape if wants_coords else (), dtype=np.int64),
        origin=origin,
    )
    return found, block


def _row_starts(shape: tuple[int, ...], strides: Ints) -> Ints:
    """Return where each row of a block begins in the padded block, in the order of rows."""
    leading = np.indices(shape[:-1]).reshape(len(shape) - 1, math.prod(shape[:-1]))
    starts: Ints = (leading + 1).T @ strides[:-1] + 1
    return starts


def _segments(shape: tuple[int, ...], strides: Ints) -> Ints:
    """Return the row segments of a block, tile by tile: position in the padded block, in the block, and length."""
    position = _row_starts(shape, strides)
    voxel = np.arange(len(position)) * shape[-1]
    if len(shape) > 2:
        tile = np.arange(len(position)) % shape[-2] // _TILE_ROWS
        order = np.argsort(tile, kind="stable")
        position, voxel = position[order], voxel[order]
    segments = [
        np.stack([position + start, voxel + start, np.full_like(voxel, min(SEGMENT, shape[-1] - start))], axis=1)
        for start in range(0, shape[-1], SEGMENT)
    ]
    return np.concatenate(segments)


def _slab_graph(
    found: Labels, parts: tuple[Ints, Array, Array, Array, Ints], spec: CacheSpec, volume: Volume
) -> RegionGraph:
    """Return what `gather_block` found in a slab as a graph, its labels and edges sorted."""
    pairs, region_rows, contact_rows, at_border, _ = parts
    by_label = np.argsort(found)
    place = np.empty_like(by_label)
    place[by_label] = np.arange(len(found))
    keys = pack(np.sort(place[pairs], axis=1))
    by_key = np.argsort(keys)
    return RegionGraph(
        labels=found[by_label].astype(volume.labels.dtype),
        edges=unpack(keys[by_key]),
        region_spec=spec,
        region_cache=region_rows[by_label],
        contact_spec=spec,
        contact_cache=contact_rows[by_key],
        at_border=at_border[by_label],
        channels=volume.channels,
        ndim=volume.labels.ndim,
    )
