"""Feature managers of how a region lies among its neighbours, which no cache row can tell.

The engine keeps these numbers, and a manager computes features from them with row kernels, as from a cache row. The
border of the volume counts as a neighbour of each region there: in contact with the region's voxels at the border,
and with all regions at the border as its own neighbours; in `gala.agglo.Rag` and `gala.engine.agglomerate` alike.
"""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from gala._kernels.topology import N_CONTACT_COLUMNS, N_REGION_COLUMNS
from gala._types import Floats
from gala.features.base import FeatureGraph, Pair
from gala.features.declared import Declared, run_row_kernel
from gala.graph.caches import CacheSpec, ImageKind, Layout


class Topological(Declared):
    """A declared manager that reads topology, and keeps no cache of its own.

    A subclass sets `node`, `edge` and `difference` to row kernels, and the names of what these write. They receive the
    columns of `gala._kernels.topology`: of a region its degree, the sum of its neighbours' degrees, and the voxels
    of all its contacts, of the largest and of the second largest; of a contact its voxels, and the number of
    neighbours that both regions have.
    """

    node_names: ClassVar[tuple[str, ...]]
    edge_names: ClassVar[tuple[str, ...]]
    difference_names: ClassVar[tuple[str, ...]]

    def layout(self, kind: ImageKind) -> Layout:
        """Return names of outputs; there are no columns or parameters."""
        return Layout(
            spec=CacheSpec.sums(),
            params=np.empty(0),
            region_channels=(),
            contact_channels=(),
            node_names=self.node_names,
            edge_names=self.edge_names,
            difference_names=self.difference_names,
        )

    def create_node_cache(self, g: FeatureGraph, n: int) -> Floats:
        """Return an empty row: the graph itself knows its topology."""
        return np.empty(0)

    def create_edge_cache(self, g: FeatureGraph, n1: int, n2: int) -> Floats:
        """Return an empty row: the graph itself knows its topology."""
        return np.empty(0)

    def compute_node_features(self, g: FeatureGraph, n: int, cache: Any = None) -> Floats:
        """Return features of region `n` as it lies in `g` now."""
        return run_row_kernel(self.node, self.layout(g.kind), self.node_names, g.region_topology(n), (), ())

    def compute_edge_features(
        self, g: FeatureGraph, n1: int, n2: int, cache: Any = None, cache1: Any = None, cache2: Any = None
    ) -> Floats:
        """Return features of the contact of `n1` and `n2` as it lies in `g` now."""
        u, v = g.region_topology(n1), g.region_topology(n2)
        layout = self.layout(g.kind)
        return run_row_kernel(self.edge, layout, self.edge_names, u, v, g.contact_topology(n1, n2))

    def compute_difference_features(
        self, g: FeatureGraph, n1: int, n2: int, cache1: Any = None, cache2: Any = None
    ) -> Floats:
        """Return features of how differently `n1` and `n2` lie in `g` now."""
        u, v = g.region_topology(n1), g.region_topology(n2)
        return run_row_kernel(self.difference, self.layout(g.kind), self.difference_names, u, v, ())


def topology_columns(width: int, contact_width: int) -> tuple[Pair, Pair]:
    """Return the bounds of the topology columns in region and contact rows, after cache columns of these widths."""
    return (width, width + N_REGION_COLUMNS), (contact_width, contact_width + N_CONTACT_COLUMNS)
