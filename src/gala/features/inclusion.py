"""How much of a region's surface one neighbour covers: a region inside another has all its contact with it."""

from __future__ import annotations

from typing import ClassVar

from gala._kernels.jit import inlined, row_kernel
from gala._kernels.topology import LARGEST, SECOND, SIZE, TOTAL
from gala._types import Floats
from gala.features.topology import Topological


@inlined
def _share(part: float, whole: float) -> float:
    """Return part over whole; 0 if there is nothing."""
    return part / whole if whole > 0 else 0.0


@row_kernel
def _node(params: Floats, u: Floats, v: Floats, edge: Floats, out: Floats) -> None:
    """Write the largest contact of u over all its contacts, and the second largest over the largest."""
    out[0] = _share(u[LARGEST], u[TOTAL])
    out[1] = _share(u[SECOND], u[LARGEST])


@row_kernel
def _edge(params: Floats, u: Floats, v: Floats, edge: Floats, out: Floats) -> None:
    """Write the contact over all contacts of each region, the lower first; then over the largest one of each."""
    of_u, of_v = _share(edge[SIZE], u[TOTAL]), _share(edge[SIZE], v[TOTAL])
    out[0], out[1] = min(of_u, of_v), max(of_u, of_v)
    of_u, of_v = _share(edge[SIZE], u[LARGEST]), _share(edge[SIZE], v[LARGEST])
    out[2], out[3] = min(of_u, of_v), max(of_u, of_v)


@row_kernel
def _difference(params: Floats, u: Floats, v: Floats, edge: Floats, out: Floats) -> None:
    """Write the features of u less those of v."""
    out[0] = _share(u[LARGEST], u[TOTAL]) - _share(v[LARGEST], v[TOTAL])
    out[1] = _share(u[SECOND], u[LARGEST]) - _share(v[SECOND], v[LARGEST])


class Manager(Topological):
    """Compute which share of its contacts a region has with one neighbour.

    With c(u, v) the voxels in the contact of regions u and v, and c₁(u) ≥ c₂(u) ≥ ... those of all contacts of u: of
    a region c₁(u) / Σᵢ cᵢ(u) and c₂(u) / c₁(u); of a contact c(u, v) / Σᵢ cᵢ of u and v, the lower first, and
    c(u, v) / c₁ of u and v, the lower first; and the features of the smaller region less those of the larger one. The
    border of the volume counts as a region, which touches the voxels at the border.

    Notes
    -----
    A region inside another one has the features 1 and 0. All features are between 0 and 1, differences between -1
    and 1; of a region without neighbours they are 0. To describe a pair takes time linear in the neighbours of both.

    References
    ----------
    Nunez-Iglesias et al. 2014, Graph-based active learning of agglomeration (GALA), doi:10.3389/fninf.2014.00034.

    Examples
    --------
    >>> import numpy as np
    >>> from gala.agglo import Rag
    >>> labels = np.array([[1, 1, 1, 1], [1, 2, 3, 1], [1, 1, 1, 1]])
    >>> Manager().compute_node_features(Rag(labels), 2)  # 4 voxels of contact with 1, and 2 with 3
    array([0.66666667, 0.5       ])
    """

    name: ClassVar[str] = "inclusion"
    node = staticmethod(_node)
    edge = staticmethod(_edge)
    difference = staticmethod(_difference)
    node_names: ClassVar[tuple[str, ...]] = ("largest contact / all contacts", "second largest contact / largest")
    edge_names: ClassVar[tuple[str, ...]] = (
        "lower share of all contacts",
        "higher share of all contacts",
        "lower share of largest contact",
        "higher share of largest contact",
    )
    difference_names: ClassVar[tuple[str, ...]] = node_names
