"""Cuts of a segment into parts that its inner contacts hold together weakly."""

from __future__ import annotations

import numpy as np
from scipy import sparse
from scipy.sparse.csgraph import connected_components

from gala._types import Floats, Ints
from gala.errors import SettingError

_WEAK = 1e-6  # of the strongest bond: what holds together pieces that do not touch


def normalized_cut(n_regions: int, edges: Ints, priority: Floats, n_parts: int) -> Ints:
    """Return the part of each region, shape (N,), by normalized cuts; -1 for what its part is not connected to.

    Parameters
    ----------
    n_regions : int
        More than `n_parts`, or as many.
    edges : array of int, shape (E, 2)
        Pairs of regions, each pair once.
    priority : array of float64, shape (E,)
        The lower, the stronger is the bond; infinity is none.
    n_parts : int
        2 or more.

    Raises
    ------
    SettingError
        If the cut gives fewer parts.

    References
    ----------
    Shi and Malik 2000, doi:10.1109/34.868688; parts from eigenvectors by Damle, Minden and Ying 2019,
    doi:10.1093/imaiai/iay008.

    Examples
    --------
    >>> edges = np.array([[0, 1], [1, 2], [2, 3]])
    >>> part = normalized_cut(4, edges, np.array([0.1, 0.9, 0.1]), 2)
    >>> bool(part[0] == part[1] != part[2] == part[3])
    True
    """
    if n_regions == n_parts:
        return np.arange(n_regions)
    from sklearn.cluster import spectral_clustering  # loaded when it is needed

    bonds = _bonds(n_regions, edges, priority)
    part = spectral_clustering(bonds, n_clusters=n_parts, assign_labels="cluster_qr", random_state=0)
    if len(np.unique(part)) < n_parts:
        raise SettingError(f"normalized cuts found {len(np.unique(part))} parts instead of {n_parts}; ask for fewer.")
    return _largest_pieces(part.astype(np.int64), edges[np.isfinite(priority)])


def _bonds(n_regions: int, edges: Ints, priority: Floats) -> sparse.csr_matrix:
    """Return the strengths of bonds as a symmetric matrix, connected throughout."""
    finite = np.isfinite(priority)
    edges, priority = edges[finite], priority[finite]
    lowest, spread = priority.min(initial=np.inf), priority.std() if len(priority) else 0.0
    strength = np.exp(-(priority - lowest) / (spread or 1.0))
    between = sparse.coo_array((strength, (edges[:, 0], edges[:, 1])), shape=(n_regions, n_regions))
    _, component = connected_components(between, directed=False)
    _, first = np.unique(component, return_index=True)
    weak = np.column_stack([first[:-1], first[1:]])
    ends = np.concatenate([edges, weak, edges[:, ::-1], weak[:, ::-1]]).astype(np.int32)  # scikit-learn wants int32
    strengths = np.tile(np.concatenate([strength, np.full(len(weak), _WEAK)]), 2)
    return sparse.csr_matrix((strengths, (ends[:, 0], ends[:, 1])), shape=(n_regions, n_regions))


def _largest_pieces(part: Ints, edges: Ints) -> Ints:
    """Return the parts with all but the largest connected piece of each, the first of several, set to -1."""
    inside = edges[part[edges[:, 0]] == part[edges[:, 1]]]
    matrix = sparse.coo_array((np.ones(len(inside)), (inside[:, 0], inside[:, 1])), shape=(len(part), len(part)))
    n_pieces, piece = connected_components(matrix, directed=False)
    size = np.bincount(piece, minlength=n_pieces)
    order = np.lexsort((np.arange(len(part)), -size[piece], part))
    _, first = np.unique(part[order], return_index=True)
    return np.where(piece == piece[order[first]][part], part, -1)
