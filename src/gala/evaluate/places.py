"""Where each merge of a tree happens: the centroid of the contact that it closes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from gala._kernels import trees
from gala._kernels.rows import add_coordinates
from gala._types import ArrayLike, Floats, Ints
from gala.evaluate.along import leaves_of_labels
from gala.graph.build import build_graph
from gala.graph.caches import CacheSpec, ImageKind, Layout
from gala.graph.tree import MergeTree


class _Places:
    """Keep sums of coordinates of regions and contacts."""

    gather = staticmethod(add_coordinates)

    def leaves(self) -> Iterator[_Places]:
        """Yield itself."""
        yield self

    def layout(self, kind: ImageKind) -> Layout:
        """Return a column for each axis."""
        spec = CacheSpec.sums(*(f"coordinate {axis}" for axis in range(kind.ndim)))
        return Layout(spec, np.empty(0), (), (), (), (), (), needs_coords=True)


def merge_places(
    tree: MergeTree, superpixels: ArrayLike, labels: ArrayLike | None, spacing: Sequence[float] | None = None
) -> tuple[Floats, tuple[float, ...]]:
    """Return where each merge happens, in voxels, shape (M, ndim), and the size of a voxel along each axis.

    That is the centroid of the voxels in which both segments touch, through faces; of the smaller segment if they do
    not touch. Superpixels without voxels are nowhere: NaN.
    """
    graph = build_graph(superpixels, features=[_Places()], spacing=spacing)
    leaf, _ = leaves_of_labels(tree, graph.labels, labels)
    contacts = _of_merges(tree, leaf[graph.edges], graph.contact_cache)
    smaller = _of_smaller(tree, leaf, graph.region_cache)
    rows = np.where(contacts[:, :1] > 0, contacts, smaller)
    with np.errstate(invalid="ignore"):
        return rows[:, 1:] / rows[:, :1], graph.kind.spacing


def _of_merges(tree: MergeTree, ends: Ints, rows: Floats) -> Floats:
    """Return the joined rows of all contacts that each merge closes."""
    inner = np.flatnonzero((ends >= 0).all(axis=1))
    node = tree.lowest_common_ancestor(*ends[inner].T)
    closed = node >= 0
    sums = np.zeros((tree.n_merges, rows.shape[1]))
    np.add.at(sums, node[closed] - tree.n_leaves, rows[inner[closed]])
    return sums


def _of_smaller(tree: MergeTree, leaf: Ints, rows: Floats) -> Floats:
    """Return the joined rows of the regions in the smaller segment of each merge."""
    spans = trees.spans(tree.children, tree.n_leaves)
    known = leaf >= 0
    running = np.zeros((tree.n_leaves + 1, rows.shape[1]))
    running[spans[leaf[known], 0] + 1] = rows[known]
    running = running.cumsum(axis=0)
    of_node = running[spans[:, 1]] - running[spans[:, 0]]
    both = of_node[tree.children]
    smaller = np.argmin(both[..., 0], axis=1)
    chosen: Floats = both[np.arange(tree.n_merges), smaller]
    return chosen
