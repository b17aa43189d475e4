"""How enclosed whole objects are: which share of all its contacts one has with a single neighbour.

In neuropil hardly any neurite is inside another one, so that a region which is must be part of it: most often it is a
mitochondrion. Cells on a background, or nuclei, are enclosed and whole. Truth tells which of the two it is.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from gala._types import Floats, Labels
from gala.graph.regions import RegionGraph
from gala.graph.segments import connected

_most_usual = 0.95  # of whole objects are less enclosed than that
_lowest = 0.5  # share that is never taken for enclosed


def largest_shares(graph: RegionGraph, objects: Labels) -> Floats:
    """Return the share of all contacts of each whole object that it has with one neighbour, the largest.

    Parameters
    ----------
    graph : RegionGraph
        Of N superpixels.
    objects : array of int, shape (N,)
        The true object of each; 0 if it has none, so that it is a neighbour and no object. An object in several pieces
        is as many objects.

    Returns
    -------
    shares : array of float64, shape (K,)
        From 0 to 1. The border of the volume is a contact, and no neighbour.

    Examples
    --------
    >>> from gala.graph.build import build_graph
    >>> graph = build_graph([[1, 1, 1, 1], [1, 2, 3, 1], [1, 1, 1, 1]])
    >>> largest_shares(graph, np.array([7, 8, 8]))  # 8 voxels of contact, and 10 at the border
    array([0.44444444, 1.        ])
    """
    n = graph.n_regions
    by_object = np.where(objects != 0, np.unique(objects, return_inverse=True)[1], n + np.arange(n))
    piece = connected(graph, by_object)
    ends = np.sort(piece[graph.edges], axis=1)
    between = ends[:, 0] != ends[:, 1]
    pairs, of_pair = np.unique(ends[between], axis=0, return_inverse=True)
    sizes = np.bincount(of_pair.ravel(), graph.contact_sizes[between], len(pairs))
    surface = np.bincount(piece, graph.border_sizes)
    largest = np.zeros(len(surface))
    for side in range(2):
        surface += np.bincount(pairs[:, side], sizes, len(surface))
        np.maximum.at(largest, pairs[:, side], sizes)
    whole = np.unique(piece[objects != 0])
    found: Floats = largest[whole] / np.maximum(surface[whole], 1)  # 0 for what is alone in a masked volume
    return found


def usual_share(shares: Iterable[Floats]) -> float:
    """Return the share of its contacts that hardly any whole object has with one neighbour.

    Parameters
    ----------
    shares : iterable of arrays of float
        Of all objects of each volume, as `largest_shares` returns them.

    Returns
    -------
    share : float
        From 0.5 to 1. One object in twenty exceeds it; one more, wholly enclosed, is thought of, so that a few objects
        prove little.

    Examples
    --------
    >>> usual_share([np.full(40, 0.25)]), usual_share([np.array([0.2, 1.0]), np.array([1.0])]), usual_share([])
    (0.5, 1.0, 1.0)
    """
    known = np.concatenate([*shares, [1.0]])
    return max(_lowest, float(np.quantile(known, _most_usual)))
