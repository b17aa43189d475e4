"""How convex regions and contacts are: the volume of their convex hulls, and how it changes when regions merge.

The hull is that of the corners of voxels, so a box of voxels fills its hull and no hull is flat. The corners on a hull
are all that is kept, since the hull of a union is the hull of the corners of both hulls.
"""

from __future__ import annotations

import itertools
import math
from typing import ClassVar, NamedTuple

import numpy as np
from scipy.spatial import ConvexHull

from gala._types import Floats, Ints
from gala.features.base import FeatureGraph, Null, Pair


class Hull(NamedTuple):
    """The convex hull of some voxels."""

    corners: Ints  # (H, ndim) corners of voxels, those on the hull only; voxel x spans x to x + 1
    volume: float  # in voxels

    @classmethod
    def of_voxels(cls, coords: Floats) -> Hull:
        """Return the hull of voxels at `coords`, shape (V, ndim)."""
        voxels = _ends(coords.astype(np.int64), coords.shape[1] - 1)
        steps = np.array(list(itertools.product((0, 1), repeat=voxels.shape[1])))
        return cls.of_corners((voxels[:, np.newaxis] + steps).reshape(-1, voxels.shape[1]))

    @classmethod
    def of_corners(cls, corners: Ints) -> Hull:
        """Return the hull of corners that do not lie in a plane, shape (V, ndim)."""
        points, ndim = corners, corners.shape[1]
        for axis in range(ndim):
            points = _ends(points, axis)
        if ndim == 1:
            return cls(points, float(points[1, 0] - points[0, 0]))
        hull = ConvexHull(points - points[0])  # near the origin, where coordinates are short
        return cls(points[hull.vertices], float(hull.volume))

    def join(self, other: Hull) -> Hull:
        """Return the hull of the voxels of both."""
        return Hull.of_corners(np.concatenate([self.corners, other.corners]))


class Manager(Null):
    """Compute the volumes of convex hulls, and compare them with the sizes of what is inside.

    Of each region and contact: the volume of the convex hull, and that over the size. Difference: let r1, r2 and
    r be the volume over the size of the smaller region, the larger one, and both together. The distances of r1
    and r2, of r1 and r, and of r2 and r; then r, and r1 / r2; then the size of the contact over that of the
    smaller region, of the larger one, and of both.

    Notes
    -----
    The hull is that of the corners of voxels: of a box it is the box, and its volume over the size is 1; of
    anything else it is more. Volumes have the unit of `spacing` to the power of the dimensions. A contact can
    hold voxels more than once after merges, so that its hull can be smaller than its size.

    This manager runs on the Python engine. To make the hull of n voxels takes time that grows as n log n; to join
    two takes only the corners on both hulls.

    References
    ----------
    .. [1] Barber, Dobkin and Huhdanpaa (1996) The quickhull algorithm for convex hulls. ACM Trans. Math. Softw.
       22(4). :doi:`10.1145/235815.235821`

    Examples
    --------
    >>> from gala.agglo import Rag
    >>> labels = np.ones((2, 2, 3), dtype=int)
    >>> labels[..., 2] = 2
    >>> hulls = Manager()
    >>> hulls(Rag(labels, feature_manager=hulls), 1).round(6)
    array([8., 1.])
    """

    name: ClassVar[str] = "convex-hull"

    def create_node_cache(self, g: FeatureGraph, n: int) -> Hull:
        """Return the hull of region `n`."""
        return Hull.of_voxels(g.coords(g.extent(n)))

    def create_edge_cache(self, g: FeatureGraph, n1: int, n2: int) -> Hull:
        """Return the hull of the contact of `n1` and `n2`."""
        return Hull.of_voxels(g.coords(g.boundary(n1, n2)))

    def update_node_cache(self, g: FeatureGraph, n1: int, n2: int, dst: Hull, src: Hull) -> Hull:
        """Return the hull of both regions."""
        return dst.join(src)

    def update_edge_cache(self, g: FeatureGraph, e1: Pair, e2: Pair, dst: Hull, src: Hull) -> Hull:
        """Return the hull of both contacts."""
        return dst.join(src)

    def compute_node_features(self, g: FeatureGraph, n: int, cache: Hull | None = None) -> Floats:
        """Return the volume of the hull of region `n`, and that over the region's size."""
        hull = g.nodes[n][self.default_cache] if cache is None else cache
        return _features(g, hull, g.nodes[n]["size"])

    def compute_edge_features(self, g: FeatureGraph, n1: int, n2: int, cache: Hull | None = None) -> Floats:
        """Return the volume of the hull of the contact of `n1` and `n2`, and that over the contact's size."""
        hull = g.edges[n1, n2][self.default_cache] if cache is None else cache
        return _features(g, hull, g.edges[n1, n2]["size"])

    def compute_difference_features(
        self, g: FeatureGraph, n1: int, n2: int, cache1: Hull | None = None, cache2: Hull | None = None
    ) -> Floats:
        """Return how convex `n1`, `n2`, and both together are, compared."""
        u = g.nodes[n1][self.default_cache] if cache1 is None else cache1
        v = g.nodes[n2][self.default_cache] if cache2 is None else cache2
        size_u, size_v, shared = g.nodes[n1]["size"], g.nodes[n2]["size"], g.edges[n1, n2]["size"]
        r1, r2, r = u.volume / size_u, v.volume / size_v, u.join(v).volume / (size_u + size_v)
        ratios = [shared / size_u, shared / size_v, shared / (size_u + size_v)]
        return np.array([abs(r1 - r2), abs(r1 - r), abs(r2 - r), r, r1 / r2, *ratios])


def _ends(points: Ints, axis: int) -> Ints:
    """Return the first and last of the points, shape (V, ndim), of each line along an axis: no other is on the hull."""
    elsewhere = np.delete(points, axis, axis=1)
    order = np.lexsort((points[:, axis], *elsewhere.T))
    in_next_line = np.any(np.diff(elsewhere[order], axis=0) != 0, axis=1)
    first, last = np.append(True, in_next_line), np.append(in_next_line, True)
    return np.concatenate([points[order[first]], points[order[last]]])


def _features(g: FeatureGraph, hull: Hull, size: int) -> Floats:
    return np.array([hull.volume * math.prod(g.kind.spacing), hull.volume / size])
