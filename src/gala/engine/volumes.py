"""Images of a running graph: of its regions, of its contacts, and of the heights at which they merge."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from gala._types import Array, ArrayLike, Floats, Ints, Labels
from gala.engine.running import RunningGraph
from gala.engine.state import live_contacts, live_regions
from gala.errors import LabelError
from gala.graph.regions import pack
from gala.graph.voxels import map_labels


def build_volume(g: RunningGraph, regions: Iterable[int] | None = None) -> Labels:
    """Return the label image of regions as they are, by their numbers.

    Parameters
    ----------
    g : RunningGraph
        With its volume.
    regions : iterable of int, optional
        Which regions to show; by default all.

    Returns
    -------
    labels : array of int64, shape (M, ..., P)
        0 where there is no region, or another one; uint64 if numbers are too large for int64.

    Raises
    ------
    LabelError
        If there never was such a region, or numbers go beyond 2**64 - 1.
    KeyError
        If one of `regions` is part of a larger one by now.
    """
    nodes = node_of_leaves(g)
    names = g.names[nodes]
    if regions is not None:
        wanted = [int(g.state.node[g.region_of(n)]) for n in regions if n != g.border]
        names = np.where(np.isin(nodes, wanted), names, 0)
    if names.dtype == object and names.max() >= 2**64:
        raise LabelError("numbers of regions go beyond 2**64 - 1; relabel the volume with smaller labels.")
    return paint(g, names.astype(np.uint64 if names.dtype == object else np.int64))


def build_boundary_map(g: RunningGraph, edges: ArrayLike | None = None) -> Floats:
    """Return the ultrametric contour map: each voxel of a contact has the height at which its two regions merge.

    The superpixels of a cut of the merge tree are bounded by the voxels above the threshold.

    Parameters
    ----------
    g : RunningGraph
        With its volume; agglomerate it to the end first to have all heights.
    edges : array of int, shape (B, 2), optional
        Draw only the contacts of these pairs of regions that are there now; by default all contacts of the graph
        that it began with.

    Returns
    -------
    heights : array of float64, shape (M, ..., P)
        0 in voxels that are in no contact; in voxels of several contacts, the highest. Where two regions have not
        merged yet, the height that they would have if they merged next: infinity if the policy never merges them.

    Raises
    ------
    FeatureError
        If the graph does not have its volume.
    LabelError, KeyError
        If some of `edges` are not there.

    References
    ----------
    Arbelaez et al. 2011, Contour detection and hierarchical image segmentation, doi:10.1109/TPAMI.2010.161.
    """
    now = contacts_now(g)
    which = None if edges is None else np.isin(now, g.find_contacts(np.asarray(edges).reshape(-1, 2)))
    return paint_contacts(g, contact_heights(g, now), which)


def edge_coordinates(g: RunningGraph, u: int, v: int, *, where: str = "most") -> Ints:
    """Return where to look at the contact of two regions.

    Parameters
    ----------
    g : RunningGraph
        With its volume.
    u, v : int
        Two regions that touch.
    where : {"most", "any"}, optional
        Along each axis, the coordinate that most voxels of the contact have, the lowest of several: its planes show
        the contact at its largest, but need not meet in it. Or some voxel of the contact.

    Returns
    -------
    coordinates : array of int64, shape (ndim,)

    Raises
    ------
    LabelError, KeyError
        If there are no such regions, or they do not touch.
    """
    voxels = g.edges[u, v]["boundary"]
    if where == "any":
        voxels = voxels[:1] if g.border in (u, v) else contact_points(g, np.array([g.find_contact(u, v)]))
    coords = g.coords(voxels).astype(np.int64)
    return np.array([np.bincount(axis).argmax() for axis in coords.T], dtype=np.int64)


def contact_points(g: RunningGraph, contacts: Ints) -> Ints:
    """Return a voxel of each contact that is there, as positions in the raveled volume, shape (B,)."""
    first, voxels = g._voxel_lists("contact")
    points: Ints = voxels[(first[contacts] + first[contacts + 1]) // 2]  # the middle one of its first part
    return points


def paint(g: RunningGraph, values: Array) -> Array:
    """Return the image in which the voxels of each superpixel have its value in `values`, shape (N,), others 0."""
    volume = g._need_volume()
    mask, background = volume.mask, volume.background
    keys = g.graph.labels
    return map_labels(volume.labels, keys, values, mask=mask, background=background, n_threads=g.n_threads)


def paint_contacts(g: RunningGraph, values: Array, which: Array | None = None) -> Array:
    """Return the image in which the voxels of each contact of the graph have its value in `values`, shape (E,).

    Voxels of several contacts have the largest value, others 0. Of the contacts, only those are drawn that `which`,
    bool of shape (E,), names.
    """
    first, voxels = g._voxel_lists("contact")
    values = np.repeat(values, np.diff(first))
    if which is not None:
        drawn = np.repeat(which, np.diff(first))
        values, voxels = values[drawn], voxels[drawn]
    shape = g._need_volume().labels.shape
    out = np.zeros(int(np.prod(shape)), dtype=values.dtype)
    out[voxels] = values  # no zero of the background takes part
    np.maximum.at(out, voxels, values)
    return out.reshape(shape)


def node_of_leaves(g: RunningGraph) -> Ints:
    """Return the node of the merge tree that each superpixel is part of now, shape (N,)."""
    segments = g.tree.cut()
    regions = live_regions(g.state)
    nodes = np.empty(g.graph.n_regions, dtype=np.int64)
    nodes[segments[regions]] = g.state.node[regions]
    return nodes[segments]


def contacts_now(g: RunningGraph) -> Ints:
    """Return the contact that each contact of the graph is part of now, -1 if inside a region, shape (E,)."""
    segments = g.tree.cut()
    live = live_contacts(g.state)
    keys = pack(np.sort(segments[g.state.ends[live]], axis=1))
    order = np.argsort(keys)
    pairs = np.sort(segments[g.graph.edges], axis=1)
    apart = pairs[:, 0] != pairs[:, 1]
    now = np.full(len(pairs), -1)
    now[apart] = live[order][np.searchsorted(keys[order], pack(pairs[apart]))]
    return now


def contact_heights(g: RunningGraph, now: Ints) -> Floats:
    """Return the height at which the regions of each contact of the graph merge, or would if next, shape (E,)."""
    tree = g.tree
    height_of = np.concatenate([np.full(tree.n_leaves, -np.inf), tree.height])
    edges, apart = g.graph.edges, now >= 0
    heights = np.empty(len(edges))
    heights[~apart] = height_of[tree.lowest_common_ancestor(*edges[~apart].T)]
    parts = height_of[node_of_leaves(g)[edges[apart]]].max(axis=1, initial=-np.inf)
    heights[apart] = np.maximum(g.priorities()[now[apart]], parts)
    return heights
