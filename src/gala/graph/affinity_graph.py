"""From superpixels and affinities to a region graph, and to edges between regions that need not touch.

Each pair of voxels is counted once, in the slab of the voxel that its channel is written at. Slabs are joined by the
one law, as in `gala.graph.build`: any number of threads gives the same bytes. A volume is one block of itself; blocks
of larger ones are walked by the same slabs, see `gala.graph.affinity_blocks`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from gala._kernels.adjacency import Block, Gathering
from gala._kernels.affinity import (
    Pairs,
    gather_each,
    gather_pairs,
    gather_voxels,
    keep_lowest,
    mean_of_pairs,
    sum_inside,
)
from gala._kernels.jit import gather_kernels
from gala._kernels.threads import map_over_threads
from gala._types import Array, ArrayLike, Bools, Floats, Ints, Labels
from gala.errors import FeatureError, SettingError, ShapeError
from gala.graph.affinities import Affinities, as_affinities, nearest, scaled, warn_if_inverted
from gala.graph.build import Leaves, gathering, leaves_of, numbered, read_only, slab_graph
from gala.graph.caches import CacheSpec, Channels, ImageKind, Join, compact
from gala.graph.grid import Box, reaching, within
from gala.graph.regions import RegionGraph, joined, pack
from gala.graph.runs import border_sizes_of, runs_of, segments_of
from gala.graph.volume import Volume, check_spacing, check_volume, slabs_of

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


class Counted(NamedTuple):
    """What the pairs that start in a part of a volume give; parts are joined by `joined_parts`."""

    graph: RegionGraph
    lifted: RegionGraph  # of the same regions
    between: float  # sum of the boundaries of pairs of one step between regions
    inside: float  # and within them
    n_inside: int


class Part(NamedTuple):
    """A block of a volume, or all of it, with its voxels."""

    shape: tuple[int, ...]  # of the volume
    box: Box  # the block in it
    seen: Box  # the block and all that its pairs lead to
    volume: Volume  # labels and mask of what is seen
    affinities: Affinities  # of the block


class Kept(NamedTuple):
    """What is kept of regions and of pairs."""

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
    volume = volume_of_pairs(labels, spacing=spacing, mask=mask, background=background)
    shape = volume.labels.shape
    check_affinities(known.shape, known.offsets, shape)
    whole = tuple(slice(0, n) for n in shape)
    part = Part(shape, whole, whole, volume, known)
    counted = count_pairs(part, kept_of(features, volume.kind, summary), n_threads=n_threads)
    return finished(counted, features, summary, polarity)


def volume_of_pairs(
    labels: ArrayLike, *, spacing: Sequence[float] | None, mask: ArrayLike | None, background: int | None
) -> Volume:
    """Return labels, checked, as those of an image of one number for each pair."""
    volume = check_volume(labels, mask=mask, background=background, spacing=spacing)
    return volume._replace(kind=kind_of_pairs(volume.kind.ndim, volume.kind.spacing))


def kind_of_pairs(ndim: int, spacing: Sequence[float] | None) -> ImageKind:
    """Return the kind of an image of one number for each pair."""
    return ImageKind(Channels.all_plain(1), ndim, check_spacing(spacing, ndim))


def check_affinities(found: tuple[int, ...], offsets: Ints, shape: tuple[int, ...]) -> None:
    """Raise an error unless affinities have the shape of labels, and a step of one voxel along each axis."""
    if found != shape:
        raise ShapeError(f"affinities must have the shape of labels, {shape}, behind their channels; got {found}.")
    for axis, length in enumerate(shape):
        if length > 1:
            nearest(offsets, axis)


def kept_of(features: Leaves | Sequence[Leaves], kind: ImageKind, summary: str) -> Kept:
    """Return what is to be kept while pairs are counted: of the strongest, no more than how strong it is.

    Raises
    ------
    FeatureError
        If a manager is not declared, or reads positions.
    SettingError
        If there is no such summary.
    """
    if summary not in ("all", "strongest"):
        raise SettingError(f"summary must be 'all' or 'strongest'; got {summary!r}.")
    leaves = leaves_of(features)
    for leaf in leaves:
        layout = leaf.layout(kind)
        if layout.needs_coords or layout.needs_faces:
            raise FeatureError(
                f"features must read values only, which is all that pairs of voxels have; {leaf!r} reads positions or "
                "faces. Leave it out, or build the graph from a boundary map."
            )
    region_spec, of_regions = gathering(leaves, kind, of_regions=True)
    if summary == "strongest":
        return Kept(region_spec, _LOWEST, of_regions, _keeping_lowest(), [])
    contact_spec, of_contacts = gathering(leaves, kind, of_regions=False)
    return Kept(region_spec, contact_spec, of_regions, of_contacts, [])


def count_pairs(part: Part, kept: Kept, *, n_threads: int | None = None) -> Counted:
    """Return what the pairs that start in a block give."""
    slabs = slabs_of(part.affinities.shape)
    parts = map_over_threads(lambda planes: _slab(part, kept, planes), slabs, n_threads=n_threads)
    kept.rooms.clear()
    return joined_parts(parts)


def joined_parts(parts: Sequence[Counted]) -> Counted:
    """Return what several parts of a volume give together."""
    return Counted(
        joined([part.graph for part in parts]),
        joined([part.lifted for part in parts]),
        sum(part.between for part in parts),
        sum(part.inside for part in parts),
        sum(part.n_inside for part in parts),
    )


def finished(counted: Counted, features: Leaves | Sequence[Leaves], summary: str, polarity: str) -> AffinityGraph:
    """Return the graph of a whole volume; warn if its affinities look inverted."""
    graph, lifted = counted.graph, counted.lifted
    n_between = float(graph.contact_cache[:, 0].sum())
    if n_between and counted.n_inside:
        warn_if_inverted(counted.inside / counted.n_inside, counted.between / n_between, polarity)
    if summary == "strongest":
        graph, lifted = (rows_of_strongest(one, features) for one in (graph, lifted))
    touches = np.isin(pack(lifted.edges), pack(graph.edges), assume_unique=True)
    return AffinityGraph(graph, LiftedEdges(lifted.edges, lifted.contact_spec, lifted.contact_cache, touches))


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


def rows_of_strongest(graph: RegionGraph, features: Leaves | Sequence[Leaves]) -> RegionGraph:
    """Return a graph whose contacts summarise one number each, the lowest boundary, which is all that was kept."""
    spec, of_contacts = gathering(leaves_of(features), graph.kind, of_regions=False)
    nothing = np.empty((0, 3), dtype=np.int64)
    block = _block(np.empty(0, dtype=np.int32), np.empty(0, dtype=np.float32), nothing, graph.kind.ndim)
    lowest = np.ascontiguousarray(graph.contact_cache[:, 1])
    starts = range(0, max(len(lowest), 1), _ROWS_AT_ONCE)
    parts = [compact(spec, gather_each(block, lowest[i : i + _ROWS_AT_ONCE], of_contacts)) for i in starts]
    return replace(graph, contact_spec=spec, contact_cache=np.concatenate(parts))


def _slab(part: Part, kept: Kept, planes: range) -> Counted:
    """Return what the pairs give that start in some planes of a block."""
    known, first = part.affinities, part.box[0].start
    own = (slice(first + planes.start, first + planes.stop), *part.box[1:])
    seen = reaching(own, known.offsets.tolist(), part.shape)
    found, numbers = _numbered(part, seen)
    inner = within(own, seen)
    values, first_plane = _values(known, planes)
    held = (slice(first + first_plane, part.box[0].stop), *part.box[1:])
    runs = runs_of(known.offsets, own, seen, held, part.shape)
    is_local = known.is_local[runs[:, 0]]
    local = Pairs(values, known.polarity == "attractive", runs[is_local])
    voxels = numbers[inner].size
    is_read = len(kept.of_regions.steps) > 0  # else, an image would take a fifth of the time for the mean
    image = np.empty(voxels if is_read else 0, dtype=np.float32)
    if is_read:
        mean_of_pairs(local, (planes.start - first_plane) * (voxels // len(planes)), image)
    block = _block(numbers.reshape(-1), image, segments_of(inner, numbers.shape), numbers.ndim)
    rows = gather_voxels(block._replace(n_channels=int(is_read)), kept.of_regions, len(found))
    borders = border_sizes_of(numbers[inner], own, part.shape, len(found))
    room = kept.room(len(found))
    pairs, contact_rows, between = gather_pairs(block, local, kept.of_contacts, room)
    parts = pairs, rows, contact_rows, borders, pairs
    graph = slab_graph(found, parts, kept.region_spec, kept.contact_spec, part.volume)
    far = Pairs(values, local.attractive, runs[~is_local])
    pairs, contact_rows, _ = gather_pairs(block, far, kept.of_contacts, room)
    parts = pairs, np.empty((len(found), 0)), contact_rows, borders, pairs
    lifted = slab_graph(found, parts, CacheSpec.sums(), kept.contact_spec, part.volume)
    kept.rooms.append(room)
    return Counted(graph, lifted, between, *sum_inside(block, local))


def _numbered(part: Part, seen: Box) -> tuple[Labels, Array]:
    """Return the labels of the regions in a box, and the number of each voxel's, int32."""
    volume, where = part.volume, within(seen, part.seen)
    return numbered(volume.labels[where], None if volume.mask is None else volume.mask[where], volume.background)


def _values(affinities: Affinities, planes: range) -> tuple[Array, int]:
    """Return the channels as floats, each in one piece, and the plane of the block that they begin with."""
    values, first = affinities.values, 0
    if values.dtype not in (np.float32, np.float64) or not values.flags.c_contiguous:
        values, first = scaled(values[:, planes.start : planes.stop]), planes.start
    return read_only(np.ascontiguousarray(values).reshape(len(values), -1)), first


def _block(numbers: Array, image: Array, segments: Ints, ndim: int) -> Block:
    """Return numbers of regions, and an image of those in some segments, as the kernels walk them."""
    nothing = np.empty(0, dtype=np.int64)
    return Block(
        regions=numbers,
        segments=segments,
        offsets=nothing,
        face_axes=nothing,
        image=read_only(image),
        n_channels=1,
        shape=nothing,
        origin=np.zeros(ndim, dtype=np.int64),
    )
