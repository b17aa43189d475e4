"""From superpixels and affinities to a region graph, and to edges between regions that need not touch.

Each pair of voxels is counted once, in the slab of the voxel that its channel is written at. Slabs are joined by the
one law, as in `gala.graph.build`: any number of threads gives the same bytes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from gala._kernels.adjacency import SEGMENT, Block, Gathering
from gala._kernels.affinity import Pairs, gather_each, gather_pairs, gather_voxels, keep_lowest, mean_of_pairs
from gala._kernels.jit import gather_kernels
from gala._kernels.threads import map_over_threads
from gala._types import Array, ArrayLike, Bools, Floats, Ints, Labels
from gala.errors import FeatureError, SettingError, ShapeError
from gala.graph.affinities import Affinities, as_affinities, scaled, warn_if_inverted
from gala.graph.build import TILE_ROWS, Leaves, gathering, leaves_of, numbered, read_only, slab_graph
from gala.graph.caches import CacheSpec, Channels, ImageKind, Join, compact
from gala.graph.regions import RegionGraph, joined, pack
from gala.graph.volume import Volume, check_volume, slabs_of

_ROWS_AT_ONCE = 4096  # before they are made compact
_LOWEST = CacheSpec(("count", "lowest"), (Join.COUNT, Join.MIN))


@dataclass(frozen=True, slots=True, eq=False)
class LiftedEdges:
    """L pairs of regions that affinities over more than one voxel connect, and what is kept about them."""

    edges: Ints  # (L, 2) positions among the regions of the graph, int64; u < v, unique, sorted
    spec: CacheSpec  # the columns of contacts
    cache: Array  # (L, B) as that of the contacts of a graph; column 0 is the number of voxel pairs
    touches: Bools  # (L,) whether the two regions are in contact, too

    @property
    def sizes(self) -> Ints:
        """Voxel pairs of each edge, shape (L,)."""
        return self.cache[:, 0].astype(np.int64)


class AffinityGraph(NamedTuple):
    """A region graph whose contacts are made of voxel pairs, and its lifted edges."""

    graph: RegionGraph
    lifted: LiftedEdges


class _Slab(NamedTuple):
    graph: RegionGraph
    lifted: RegionGraph
    between: float  # sum of the boundaries of pairs of one step between regions
    inside: float  # and within them
    n_inside: int


class _Work(NamedTuple):
    """What all slabs share."""

    volume: Volume
    affinities: Affinities
    region_spec: CacheSpec
    contact_spec: CacheSpec
    of_regions: Gathering
    of_contacts: Gathering
    rooms: list[Floats]  # for rows of contacts, left by slabs that are done

    def room(self, n_regions: int) -> Floats:
        """Return room for the rows of the contacts of some regions; what is not used takes no memory.

        Slabs that follow each other share it: new pages take most of the time of 256 bins.
        """
        n_rows = 1024 + 8 * n_regions
        old = self.rooms.pop() if self.rooms else np.empty((0, self.of_contacts.empty.size))
        return old if len(old) >= n_rows else np.empty((n_rows, old.shape[1]))


def build_affinity_graph(
    labels: ArrayLike,
    affinities: ArrayLike,
    features: Leaves | Sequence[Leaves] = (),
    *,
    offsets: Sequence[Sequence[int]],
    polarity: str = "attractive",
    summary: str = "all",
    spacing: Sequence[float] | None = None,
    mask: ArrayLike | None = None,
    background: int | None = None,
    n_threads: int | None = None,
) -> AffinityGraph:
    """Build the region graph of a label image from affinities between voxels.

    A contact holds the pairs of voxels that share a face across it. Of each pair it sees the boundary: one minus the
    affinity, from 0 (together) to 1 (apart). So what reads boundary maps reads affinities: managers, policies, trees.

    Parameters
    ----------
    labels : array of int, shape (M, ..., P), 1 to 4 dimensions
        The regions, as in `build_graph`.
    affinities : array, shape (K, M, ..., P)
        Channel k at voxel x is about x and ``x + offsets[k]``: floats from 0 to 1, or integers, which are divided by
        the highest of their type (255 for uint8). Values of pairs that leave the volume are not read.
    features : feature manager or sequence of them, optional
        What to keep about regions and contacts: declared managers that read values only.
    offsets : sequence of K steps, each of shape (ndim,)
        In voxels. Steps of one voxel make contacts: there must be one along each axis. Longer ones, and diagonal
        ones, make lifted edges.
    polarity : {"attractive", "repulsive"}
        Whether 1 is together, or apart.
    summary : {"all", "strongest"}
        Whether rows of contacts and lifted edges summarise all their pairs, or only the one of highest affinity.
    spacing, mask, background, n_threads : optional
        As in `build_graph`.

    Returns
    -------
    graph : RegionGraph
        Its contacts are those of ``build_graph(labels)``; they count pairs of voxels. A voxel counts in its region
        with the mean boundary of the pairs of one step that start there, or 0 if there are none.
    lifted : LiftedEdges
        What the longer steps connect; none without such steps.

    Raises
    ------
    ShapeError
        If the shapes or the number of channels do not fit.
    ImageError
        If affinities are floats outside of 0 to 1, not finite, or negative.
    LabelError
        If `labels` holds negative or fractional values.
    SettingError
        If an axis has no step of one voxel, or an option is out of range.
    FeatureError
        If a manager is not declared, or reads positions.

    Warns
    -----
    GalaWarning
        If affinities look inverted: lower in regions than between them.

    Notes
    -----
    Time is linear in voxels times channels. For other types than float32 and float64, or if channels are not first
    in memory, one slab at a time is converted.

    References
    ----------
    Funke et al. 2018, Large scale image segmentation with structured loss based deep learning for connectome
    reconstruction, doi:10.1109/TPAMI.2018.2835450; Beier et al. 2017, doi:10.1038/nmeth.4151, for lifted edges.

    Examples
    --------
    >>> from gala.features import moments
    >>> before = [[0.0, 0.75, 0.25, 0.5]]
    >>> graph, lifted = build_affinity_graph([1, 1, 2, 2], before, moments.Manager(nmoments=1), offsets=[[-1]])
    >>> graph.contact_spec.names, graph.contact_cache.tolist()
    (('count', 'p0', 'p1[0]'), [[1.0, 1.0, 0.75]])
    >>> lifted.edges.shape
    (0, 2)
    """
    known = as_affinities(affinities, offsets, polarity)
    volume = _checked_volume(labels, known, spacing, mask, background)
    if summary not in ("all", "strongest"):
        raise SettingError(f"summary must be 'all' or 'strongest'; got {summary!r}.")
    leaves = leaves_of(features)
    region_spec, of_regions = gathering(leaves, volume.kind, of_regions=True)
    contact_spec, of_contacts = gathering(leaves, volume.kind, of_regions=False)
    for leaf in leaves:
        layout = leaf.layout(volume.kind)
        if layout.needs_coords or layout.needs_faces:
            raise FeatureError(
                f"features must read values only, which is all that pairs of voxels have; {leaf!r} reads positions or "
                "faces. Leave it out, or build the graph from a boundary map."
            )
    work = _Work(volume, known, region_spec, contact_spec, of_regions, of_contacts, [])
    if summary == "strongest":
        work = work._replace(contact_spec=_LOWEST, of_contacts=_keeping_lowest())
    slabs = map_over_threads(lambda planes: _slab(work, planes), slabs_of(volume.labels.shape), n_threads=n_threads)
    work.rooms.clear()
    graph, lifted = joined([slab.graph for slab in slabs]), joined([slab.lifted for slab in slabs])
    n_between, n_inside = float(graph.contact_cache[:, 0].sum()), sum(slab.n_inside for slab in slabs)
    if n_between and n_inside:
        inside, between = sum(slab.inside for slab in slabs), sum(slab.between for slab in slabs)
        warn_if_inverted(inside / n_inside, between / n_between, polarity)
    if summary == "strongest":
        graph, lifted = (_of_lowest(one, contact_spec, of_contacts) for one in (graph, lifted))
    touches = np.isin(pack(lifted.edges), pack(graph.edges), assume_unique=True)
    return AffinityGraph(graph, LiftedEdges(lifted.edges, lifted.contact_spec, lifted.contact_cache, touches))


def _checked_volume(
    labels: ArrayLike,
    affinities: Affinities,
    spacing: Sequence[float] | None,
    mask: ArrayLike | None,
    background: int | None,
) -> Volume:
    volume = check_volume(labels, mask=mask, background=background, spacing=spacing)
    shape = volume.labels.shape
    if affinities.shape != shape:
        raise ShapeError(
            f"affinities must have the shape of labels, {shape}, behind their channels; got {affinities.shape}."
        )
    for axis, length in enumerate(shape):
        if length > 1:
            affinities.nearest(axis)
    one = ImageKind(Channels.all_plain(1), volume.kind.ndim, volume.kind.spacing)
    return volume._replace(kind=one)


def _keeping_lowest() -> Gathering:
    """Return what keeps the lowest boundary, beside the count."""
    return Gathering(
        kernels=gather_kernels([keep_lowest]),
        steps=np.array([[0, 1, 0, 0, 0, 0]], dtype=np.int64),
        params=np.empty(0),
        channels=np.empty(0, dtype=np.int64),
        empty=_LOWEST.empty,
        needs_coords=False,
        needs_faces=False,
    )


def _of_lowest(graph: RegionGraph, spec: CacheSpec, of_contacts: Gathering) -> RegionGraph:
    """Return a graph whose contacts summarise one number each: the lowest boundary in them."""
    block = _block(np.empty(0, dtype=np.int32), np.empty(0, dtype=np.float32), 0, 0, graph.kind.ndim)
    lowest = np.ascontiguousarray(graph.contact_cache[:, 1])
    starts = range(0, max(len(lowest), 1), _ROWS_AT_ONCE)
    parts = [compact(spec, gather_each(block, lowest[i : i + _ROWS_AT_ONCE], of_contacts)) for i in starts]
    return replace(graph, contact_spec=spec, contact_cache=np.concatenate(parts))


def _slab(work: _Work, planes: range) -> _Slab:
    """Return the graph of the pairs that start in a slab, and the lifted one; they have the same regions."""
    volume, known = work.volume, work.affinities
    reach = int(np.abs(known.offsets[:, 0]).max())
    seen = range(max(planes.start - reach, 0), min(planes.stop + reach, len(volume.labels)))
    found, numbers = _numbered(volume, seen)
    values, first_plane = _values(known, planes)
    own = numbers[planes.start - seen.start : planes.stop - seen.start]
    voxels = own.size
    runs = _runs(known.offsets, planes, seen, volume.labels.shape, first_plane)
    is_local = known.is_local[runs[:, 0]]
    local = Pairs(values, known.polarity == "attractive", runs[is_local])
    is_read = len(work.of_regions.steps) > 0  # else, an image would take a fifth of the time for the mean
    image = np.empty(voxels if is_read else 0, dtype=np.float32)
    if is_read:
        mean_of_pairs(local, (planes.start - first_plane) * (voxels // len(planes)), image)
    start = (planes.start - seen.start) * (voxels // len(planes))
    block = _block(numbers.reshape(-1), image, voxels, start, numbers.ndim)
    rows = gather_voxels(block._replace(n_channels=int(is_read)), work.of_regions, len(found))
    borders = _border_sizes(own, planes.start == 0, planes.stop == len(volume.labels), len(found))
    room = work.room(len(found))
    pairs, contact_rows, between, inside, n_inside = gather_pairs(block, local, work.of_contacts, room)
    parts = pairs, rows, contact_rows, borders, pairs
    graph = slab_graph(found, parts, work.region_spec, work.contact_spec, volume)
    far = Pairs(values, local.attractive, runs[~is_local])
    pairs, contact_rows, *_ = gather_pairs(block, far, work.of_contacts, room)
    parts = pairs, np.empty((len(found), 0)), contact_rows, borders, pairs
    lifted = slab_graph(found, parts, CacheSpec.sums(), work.contact_spec, volume)
    work.rooms.append(room)
    return _Slab(graph, lifted, between, inside, n_inside)


def _numbered(volume: Volume, seen: range) -> tuple[Labels, Array]:
    """Return the labels of the regions in some planes, and the number of each voxel's, int32."""
    part = slice(seen.start, seen.stop)
    return numbered(volume.labels[part], None if volume.mask is None else volume.mask[part], volume.background)


def _values(affinities: Affinities, planes: range) -> tuple[Array, int]:
    """Return the channels as floats, each in one piece, and the plane that they begin with."""
    values, first = affinities.values, 0
    if values.dtype not in (np.float32, np.float64) or not values.flags.c_contiguous:
        values, first = scaled(values[:, planes.start : planes.stop]), planes.start
    return read_only(np.ascontiguousarray(values).reshape(len(values), -1)), first


def _runs(offsets: Ints, planes: range, seen: range, shape: tuple[int, ...], first_plane: int) -> Ints:
    """Return the runs of the pairs that start in some planes and end in the volume, as kernels read them."""
    strides = np.array([math.prod(shape[axis + 1 :]) for axis in range(len(shape))])
    parts = []
    for channel, offset in enumerate(offsets.tolist()):
        low = [max(0, -step) for step in offset]
        high = [n - max(0, step) for n, step in zip(shape, offset, strict=True)]
        low[0], high[0] = max(low[0], planes.start), min(high[0], planes.stop)
        sides = [max(0, b - a) for a, b in zip(low, high, strict=True)]
        if not all(sides):
            continue
        rows = np.indices(sides[:-1]).reshape(len(shape) - 1, math.prod(sides[:-1])).T
        voxel = rows @ strides[:-1] + np.dot(low, strides)
        run = np.empty((len(voxel), 5), dtype=np.int64)
        run[:, 0], run[:, 4] = channel, sides[-1]
        run[:, 1] = voxel - first_plane * strides[0]
        run[:, 2] = voxel - seen.start * strides[0]
        run[:, 3] = run[:, 2] + np.dot(offset, strides)
        parts.append(run)
    runs = np.concatenate(parts) if parts else np.empty((0, 5), dtype=np.int64)
    # Some rows of all planes, then the next ones: cache rows stay at hand, 4.3 s become 3.0 for 256 bins at 512³. What
    # was read for one channel serves the next.
    row = (runs[:, 1] + first_plane * strides[0]) // shape[-1]
    tile = row % shape[-2] // TILE_ROWS if len(shape) > 1 else row
    return runs[np.lexsort((runs[:, 0], runs[:, 1], tile))]


def _block(numbers: Array, image: Array, n_voxels: int, start: int, ndim: int) -> Block:
    """Return numbers of regions, and an image of those from `start` on, as the kernels walk them."""
    voxel = np.arange(0, n_voxels, SEGMENT)
    nothing = np.empty(0, dtype=np.int64)
    return Block(
        regions=numbers,
        segments=np.stack([voxel + start, voxel, np.minimum(SEGMENT, n_voxels - voxel)], axis=1),
        offsets=nothing,
        face_axes=nothing,
        image=read_only(image),
        n_channels=1,
        shape=nothing,
        origin=np.zeros(ndim, dtype=np.int64),
    )


def _border_sizes(numbers: Array, is_first: bool, is_last: bool, n_regions: int) -> Ints:
    """Return how many voxels of each region are at the border of the volume, which starts or ends with this slab."""
    sizes = np.zeros(n_regions, dtype=np.int64)
    rest = numbers
    for axis in range(numbers.ndim):
        rest = np.moveaxis(rest, axis, 0)
        low, high = int(is_first or axis > 0), len(rest) - int(is_last or axis > 0)
        inside = slice(low, max(low, high))
        ends = np.delete(np.arange(len(rest)), np.r_[inside])
        border = rest[ends].reshape(-1)
        sizes += np.bincount(border[border >= 0], minlength=n_regions)
        rest = np.moveaxis(rest[inside], 0, axis)
    return sizes
