"""The region graph: regions of an image, the contacts between them, and what is kept about both."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from gala._kernels.rows import add_rows, join_rows
from gala._types import Array, ArrayLike, Bools, Floats, Ints, Labels
from gala.errors import FeatureError, LabelError
from gala.graph.caches import CacheSpec, ImageKind, compact, narrowest


@dataclass(frozen=True, slots=True, eq=False)
class RegionGraph:
    """N regions of an image and the E contacts between them.

    Column 0 of both caches is the number of voxels. Caches are float64; that of contacts is uint16, or uint32, if
    there are more columns and all are counts, as histograms are: `gala.graph.caches.compact`.

    Examples
    --------
    >>> from gala.graph.build import build_graph
    >>> graph = build_graph([[5, 5, 7], [5, 9, 9]])
    >>> graph.labels, graph.sizes
    (array([5, 7, 9]...), array([3, 1, 2]))
    >>> graph.edges.tolist(), graph.contact_sizes
    ([[0, 1], [0, 2], [1, 2]], array([2, 3, 2]))
    """

    labels: Labels  # (N,) label of each region in the image, increasing
    edges: Ints  # (E, 2) positions in `labels`, int64; u < v, unique, sorted
    region_spec: CacheSpec
    region_cache: Floats  # (N, A)
    contact_spec: CacheSpec
    contact_cache: Array  # (E, B)
    border_sizes: Ints  # (N,) voxels of each region at the border of the volume, int64
    kind: ImageKind  # of the image that the caches summarise

    @property
    def n_regions(self) -> int:
        """How many regions there are."""
        return len(self.labels)

    @property
    def sizes(self) -> Ints:
        """Voxels in each region, shape (N,)."""
        return self.region_cache[:, 0].astype(np.int64)

    @property
    def contact_sizes(self) -> Ints:
        """Voxels in each contact, of both regions, shape (E,)."""
        return self.contact_cache[:, 0].astype(np.int64)

    @property
    def at_border(self) -> Bools:
        """Whether each region touches the border of the volume, shape (N,)."""
        return self.border_sizes > 0

    def find(self, labels: ArrayLike) -> Ints:
        """Return the positions of `labels`, any shape, among the regions.

        Raises
        ------
        LabelError
            If one of them is not the label of a region.
        """
        return find_labels(self.labels, labels)

    def join(self, other: RegionGraph) -> RegionGraph:
        """Return the graph of two blocks that share no voxel, from the graphs of each."""
        return joined([self, other])


def joined(graphs: Sequence[RegionGraph]) -> RegionGraph:
    """Return the graph of all blocks of a volume from the graphs of each, joined in the order given.

    The edges of each may be in any order.

    Raises
    ------
    FeatureError
        If they do not keep the same columns, of images of the same kind.
    """
    first = graphs[0]
    if len(graphs) == 1:
        return _in_order(first)
    for other in graphs[1:]:
        for name in ("region_spec", "contact_spec", "kind"):
            if getattr(first, name) != getattr(other, name):
                raise FeatureError(
                    f"graphs can be joined if they keep the same; {name} is {getattr(first, name)} in one and "
                    f"{getattr(other, name)} in another. Build all of them with the same features and spacing."
                )
    common = np.result_type(*[graph.labels.dtype for graph in graphs])
    width = np.dtype(np.uint64) if common.kind == "f" else common  # NumPy would have uint64 and int64 become floats
    labels_of = [graph.labels.astype(width) for graph in graphs]
    labels = _sorted(np.concatenate(labels_of))
    places = [np.searchsorted(labels, own) for own in labels_of]
    keys = [pack(place[graph.edges]) for place, graph in zip(places, graphs, strict=True)]
    all_keys = _sorted(np.concatenate(keys))
    border_sizes = np.zeros(len(labels), dtype=np.int64)
    for place, graph in zip(places, graphs, strict=True):
        border_sizes[place] += graph.border_sizes
    return RegionGraph(
        labels=labels,
        edges=unpack(all_keys),
        region_spec=first.region_spec,
        region_cache=_join(first.region_spec, len(labels), places, [graph.region_cache for graph in graphs]),
        contact_spec=first.contact_spec,
        contact_cache=compact(
            first.contact_spec,
            _join(
                first.contact_spec,
                len(all_keys),
                [np.searchsorted(all_keys, key) for key in keys],
                [graph.contact_cache for graph in graphs],
            ),
        ),
        border_sizes=border_sizes,
        kind=first.kind,
    )


def _in_order(graph: RegionGraph) -> RegionGraph:
    """Return the graph with its edges sorted."""
    keys = pack(graph.edges)
    if (keys[1:] > keys[:-1]).all():
        return graph
    by_key = np.argsort(keys)
    return replace(graph, edges=graph.edges[by_key], contact_cache=graph.contact_cache[by_key])


def find_labels(known: Labels, labels: ArrayLike) -> Ints:
    """Return the positions of `labels`, any shape, among `known`, shape (N,), which increase.

    Raises
    ------
    LabelError
        If one of them is not there.
    """
    wanted = np.asarray(labels)
    if len(known) == 0 and wanted.size:
        raise LabelError(f"there are no regions, so none with label {wanted.flat[0]}.")
    # NumPy would compare int64 with uint64 as floats, which are too coarse from 2**53 on.
    sought = wanted.astype(np.uint64) if wanted.dtype.kind == "i" else wanted
    where = np.minimum(np.searchsorted(known.astype(np.uint64), sought), len(known) - 1)
    unknown = known[where] != wanted
    if unknown.any():
        raise LabelError(f"there is no region with label {wanted[unknown].flat[0]}.")
    return where


def pack(pairs: Ints) -> Ints:
    """Return pairs u < v, int64 of shape (E, 2), as single integers of the same order, shape (E,)."""
    return (pairs[:, 0] << 32) | pairs[:, 1]


def unpack(keys: Ints) -> Ints:
    """Return the pairs, int64 of shape (E, 2), that `pack` made into `keys`."""
    return np.stack([keys >> 32, keys & 0xFFFFFFFF], axis=1)


def _sorted(values: Array) -> Array:
    """Return what `numpy.unique` returns: a tenth of the time, as there are few duplicates."""
    ordered = np.sort(values)
    is_first = np.ones(len(ordered), dtype=np.bool_)
    is_first[1:] = ordered[1:] != ordered[:-1]
    return ordered[is_first]


def _join(spec: CacheSpec, n_rows: int, places: Sequence[Ints], caches: Sequence[Array]) -> Array:
    counted = spec.is_of_counts and not any(cache.dtype.kind == "f" for cache in caches)
    dtype = narrowest(sum(float(cache.max(initial=0)) for cache in caches)) if counted else None
    out = np.empty((n_rows, len(spec)), dtype=dtype or np.float64)
    # In order: to write here and there first takes 0.5 s for 256 bins of 99,348 contacts.
    if dtype is not None:
        out.fill(0)
        for place, cache in zip(places, caches, strict=True):
            add_rows(place, cache, out)
        return out
    out[:] = spec.empty
    joins = np.array(spec.joins, dtype=np.int64)
    for place, cache in zip(places, caches, strict=True):
        join_rows(joins, place, cache, out)
    return out
