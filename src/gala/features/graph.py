"""How many neighbours regions have: leaves of a segmentation have few, what they lie in has many."""

from __future__ import annotations

from typing import ClassVar

from gala._kernels.jit import inlined, row_kernel
from gala._kernels.topology import COMMON, DEGREE, NEIGHBOR_DEGREES
from gala._types import Floats
from gala.features.topology import Topological


@inlined
def _mean_degree(row: Floats) -> float:
    """Return the mean degree of a region's neighbours; 0 if there are none."""
    return row[NEIGHBOR_DEGREES] / row[DEGREE] if row[DEGREE] > 0 else 0.0


@row_kernel
def _node(params: Floats, u: Floats, v: Floats, edge: Floats, out: Floats) -> None:
    """Write the degree of u, and the mean degree of its neighbours."""
    out[0] = u[DEGREE]
    out[1] = _mean_degree(u)


@row_kernel
def _edge(params: Floats, u: Floats, v: Floats, edge: Floats, out: Floats) -> None:
    """Write the number of common neighbours."""
    out[0] = edge[COMMON]


@row_kernel
def _difference(params: Floats, u: Floats, v: Floats, edge: Floats, out: Floats) -> None:
    """Write the features of u less those of v."""
    out[0] = u[DEGREE] - v[DEGREE]
    out[1] = _mean_degree(u) - _mean_degree(v)


class Manager(Topological):
    """Compute degrees, mean degrees of neighbours, and numbers of common neighbours.

    With N(u) the regions that touch region u, and d(u) = |N(u)|: of a region d(u) and the mean of d over N(u); of a
    contact |N(u) ∩ N(v)|; and the features of the smaller region less those of the larger one. The border of the
    volume counts as a region.

    Notes
    -----
    To describe a pair takes time linear in the neighbours of both. Without neighbours, all features are 0.

    References
    ----------
    Nunez-Iglesias et al. 2014, Graph-based active learning of agglomeration (GALA), doi:10.3389/fninf.2014.00034.

    Examples
    --------
    >>> import numpy as np
    >>> from gala.agglo import Rag
    >>> labels = np.array([[1, 1, 1, 1, 1], [1, 2, 3, 4, 1], [1, 1, 1, 1, 1]])
    >>> Manager().compute_node_features(Rag(labels), 3)  # touches 1, 2 and 4, of degrees 4, 2 and 2
    array([3.        , 2.66666667])
    """

    name: ClassVar[str] = "graph"
    node = staticmethod(_node)
    edge = staticmethod(_edge)
    difference = staticmethod(_difference)
    node_names: ClassVar[tuple[str, ...]] = ("degree", "mean degree of neighbours")
    edge_names: ClassVar[tuple[str, ...]] = ("common neighbours",)
    difference_names: ClassVar[tuple[str, ...]] = node_names
