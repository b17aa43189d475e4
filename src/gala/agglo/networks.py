"""The names of `networkx.Graph` that scripts, policies and feature managers written for the historic graph use."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from gala.engine.running import RunningGraph
from gala.engine.views import Attributes, NodeView


class Networks(RunningGraph):
    """A running graph that also answers as a graph of networkx would; the border of the volume is a node.

    Examples
    --------
    >>> from gala.agglo import Rag
    >>> g = Rag([5, 5, 7], [0, 0, 1])
    >>> g.node[5]["size"], g[5][7]["boundary"], g.has_edge(5, 7), 6 in g
    (2, array([1, 2]), True, False)
    """

    @property
    def node(self) -> NodeView:
        """The regions that are there; the same as `nodes`."""
        return self.nodes

    def __getitem__(self, n: int) -> Neighbours:
        return Neighbours(self, n)

    def __contains__(self, n: object) -> bool:
        return n in self.nodes

    def __iter__(self) -> Iterator[int]:
        return iter(self.nodes)

    def __len__(self) -> int:
        return len(self.nodes)

    def has_node(self, n: int) -> bool:
        """Tell whether region `n` is there."""
        return n in self.nodes

    def has_edge(self, u: int, v: int) -> bool:
        """Tell whether regions `u` and `v` touch."""
        return (u, v) in self.edges

    def number_of_nodes(self) -> int:
        """Return how many regions are there, the border included."""
        return len(self.nodes)

    def number_of_edges(self) -> int:
        """Return how many edges are there, those to the border included."""
        return len(self.edges)


class Neighbours(Mapping[int, Attributes]):
    """What touches a region, and what is known of each contact: ``g[u][v]["boundary"]``, ``list(g[u])``."""

    def __init__(self, g: RunningGraph, n: int) -> None:
        self._g = g
        self._n = n
        g.nodes[n]  # raises KeyError if there is none

    def __getitem__(self, v: int) -> Attributes:
        return self._g.edges[self._n, v]

    def __iter__(self) -> Iterator[int]:
        return iter(self._g.neighbors(self._n))

    def __len__(self) -> int:
        return self._g.degree(self._n)
