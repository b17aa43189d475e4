"""Feature managers that run compiled: they name their columns of the cache rows, and give four small kernels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from gala._kernels.jit import row_kernel
from gala._types import ArrayLike, Floats, Ints
from gala.errors import FeatureError
from gala.features.protocol import FeatureGraph, Json, Null, Pair
from gala.graph.caches import GatherKernel, ImageKind, Layout, RowKernel


class Declared(Null):
    """A manager written as cache columns and kernels, which compiled loops run without knowing it.

    A subclass sets `gather`, `node`, `edge` and `difference` to static methods, made with `gather_kernel` and
    `row_kernel` of `gala._kernels.jit`, and writes `layout` and `parameters`.
    """

    gather: GatherKernel
    node: RowKernel
    edge: RowKernel
    difference: RowKernel

    def layout(self, kind: ImageKind) -> Layout:
        """Return columns, parameters and names of outputs for this kind of image."""
        raise FeatureError(f"{type(self).__name__} must define layout(kind).")

    def create_node_cache(self, g: FeatureGraph, n: int) -> Floats:
        """Return the cache row of region `n`, shape (C,)."""
        layout = self.layout(g.kind)
        return self._row(g, g.extent(n), layout, layout.region_channels, n) if layout.of_regions else np.empty(0)

    def create_edge_cache(self, g: FeatureGraph, n1: int, n2: int) -> Floats:
        """Return the cache row of the contact of `n1` and `n2`, shape (C,)."""
        layout = self.layout(g.kind)
        return self._row(g, g.boundary(n1, n2), layout, layout.contact_channels, n1, n2)

    def update_node_cache(self, g: FeatureGraph, n1: int, n2: int, dst: Floats, src: Floats) -> Floats:
        """Join row `src` into row `dst`; surfaces lose what their contact has."""
        layout = self.layout(g.kind)
        dst[:] = layout.region_spec.join(dst, src)
        surfaces = layout.region_spec.surfaces(layout.spec)
        if len(surfaces) and (n1, n2) in g.edges:
            dst[surfaces[:, 0]] -= self.create_edge_cache(g, n1, n2)[surfaces[:, 1]]
        return dst

    def update_edge_cache(self, g: FeatureGraph, e1: Pair, e2: Pair, dst: Floats, src: Floats) -> Floats:
        """Join row `src` into row `dst`."""
        dst[:] = self.layout(g.kind).spec.join(dst, src)
        return dst

    def compute_node_features(self, g: FeatureGraph, n: int, cache: Floats | None = None) -> Floats:
        """Return features of region `n` from its cache row."""
        row = g.nodes[n][self.default_cache] if cache is None else cache
        layout = self.layout(g.kind)
        return run_row_kernel(self.node, layout, layout.node_names, row, (), ())

    def compute_edge_features(
        self,
        g: FeatureGraph,
        n1: int,
        n2: int,
        cache: Floats | None = None,
        cache1: Floats | None = None,
        cache2: Floats | None = None,
    ) -> Floats:
        """Return features of the contact of `n1` and `n2` from its cache row and theirs."""
        row = g.edges[n1, n2][self.default_cache] if cache is None else cache
        u, v = self._region_row(g, n1, cache1), self._region_row(g, n2, cache2)
        layout = self.layout(g.kind)
        return run_row_kernel(self.edge, layout, layout.edge_names, u, v, row)

    def compute_difference_features(
        self, g: FeatureGraph, n1: int, n2: int, cache1: Floats | None = None, cache2: Floats | None = None
    ) -> Floats:
        """Return features of what `n1` and `n2` do not have in common, from their cache rows."""
        u = g.nodes[n1][self.default_cache] if cache1 is None else cache1
        v = g.nodes[n2][self.default_cache] if cache2 is None else cache2
        layout = self.layout(g.kind)
        return run_row_kernel(self.difference, layout, layout.difference_names, u, v, ())

    def _region_row(self, g: FeatureGraph, n: int, cache: Floats | None) -> Floats:
        row = g.nodes[n][self.default_cache] if cache is None else cache
        return row if isinstance(row, np.ndarray) else self.create_node_cache(g, n)  # a list is that of a composite

    def _row(
        self, g: FeatureGraph, voxels: Ints, layout: Layout, channels: Sequence[int], n1: int, n2: int | None = None
    ) -> Floats:
        rows = layout.spec.empty[np.newaxis]
        nothing = np.empty((0, g.kind.ndim))
        coords = g.coords(voxels) if layout.needs_coords else nothing
        faces = g.faces(n1, n2) if layout.needs_faces else nothing
        owner = np.zeros(len(voxels), dtype=np.int64)
        indices = np.array(channels, dtype=np.int64)
        values, coords, faces = map(_as_floats, (g.values(voxels), coords, faces))
        self.gather(layout.params, indices, values, coords, faces, owner, 0, rows)
        row: Floats = rows[0]
        return row


class OfContacts(Declared):
    """What another manager keeps and computes of contacts, and nothing of regions.

    For policies that look at contacts only: 256 bins of 15,000 regions are 32 MB, and every voxel to look at
    (``benchmarks/bench_partition.py``).

    Parameters
    ----------
    manager : Declared
        The other one.

    Examples
    --------
    >>> from gala.features.histogram import Manager
    >>> from gala.graph.build import build_graph
    >>> graph = build_graph([1, 1, 2, 2], [0.1, 0.1, 0.9, 0.9], OfContacts(Manager(4)))
    >>> len(graph.region_spec), len(graph.contact_spec)
    (1, 5)
    """

    def __init__(self, manager: Declared) -> None:
        super().__init__()
        self.manager = manager
        self.gather, self.edge = manager.gather, manager.edge
        self.node = self.difference = _nothing

    def layout(self, kind: ImageKind) -> Layout:
        """Return the columns of the other manager, for rows of contacts."""
        return replace(self.manager.layout(kind), of_regions=False, node_names=(), difference_names=())

    def write_fm(self, json_fm: Json | None = None) -> Json:
        """Return the description of the other manager."""
        return self.manager.write_fm(json_fm)


@row_kernel
def _nothing(params: Floats, u: Floats, v: Floats, edge: Floats, out: Floats) -> None:
    """Write nothing."""


def run_row_kernel(function: RowKernel, layout: Layout, names: Sequence[str], *rows: ArrayLike) -> Floats:
    """Return the features that `function` computes from the rows of two regions and a contact."""
    out = np.empty(len(names))
    u, v, edge = map(_as_floats, rows)
    function(layout.params, u, v, edge, out)
    return out


def _as_floats(values: ArrayLike) -> Floats:
    """Return `values` as kernels expect them."""
    return np.ascontiguousarray(values, dtype=np.float64)
