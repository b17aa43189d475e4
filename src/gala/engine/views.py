"""Regions and edges of a running graph, as functions of a user see them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from gala.engine.state import row_of_contact
from gala.features.base import Null

if TYPE_CHECKING:
    from gala.engine.running import RunningGraph


class Attributes(Mapping[str, Any]):
    """A mapping whose values are computed when they are asked for."""

    def __init__(self, getters: dict[str, Callable[[], Any]]) -> None:
        self._getters = getters

    def __getitem__(self, name: str) -> Any:
        return self._getters[name]()

    def __iter__(self) -> Iterator[str]:
        return iter(self._getters)

    def __len__(self) -> int:
        return len(self._getters)

    def __repr__(self) -> str:
        return f"<attributes {', '.join(self)}>"


class _View(Mapping[Any, Attributes]):
    """A mapping of what is in a running graph; to ask whether something else is in it is no error."""

    def __init__(self, g: RunningGraph) -> None:
        self._g = g

    def __contains__(self, key: object) -> bool:
        try:
            self[key]
        except (KeyError, TypeError, ValueError):
            return False
        return True


class NodeView(_View):
    """The regions that are there: ``g.nodes[u]["size"]``, ``list(g.nodes)``, ``u in g.nodes``, ``g.nodes()``."""

    def __getitem__(self, n: int) -> Attributes:
        g = self._g
        if n == g.border:
            return Attributes({"size": lambda: 0, "fragments": set, "extent": lambda: g.extent(n)})
        region = g.region_of(n)
        return Attributes(
            {
                "size": lambda: int(g.state.region_rows[region, 0]),
                "fragments": lambda: {int(leaf) for leaf in g.names[g.leaves_of(n)]},
                "extent": lambda: g.extent(n),
                "at_volume_boundary": lambda: g.at_volume_boundary(n),
                Null.default_cache: lambda: g.node_cache(n),
            }
        )

    def __iter__(self) -> Iterator[int]:
        return iter(self._g.region_names())

    def __len__(self) -> int:
        return len(self._g.region_names())

    def __call__(self) -> list[int]:
        """Return the numbers of the regions."""
        return list(self)


class EdgeView(_View):
    """The edges that are there: ``g.edges[u, v]["boundary"]``, ``(u, v) in g.edges``, ``g.edges()``."""

    def __getitem__(self, pair: tuple[int, int]) -> Attributes:
        g, (u, v) = self._g, pair
        if g.border in (u, v):
            if u == v or not g.at_volume_boundary(v if u == g.border else u):
                raise KeyError(f"regions {u} and {v} do not touch.")
            return Attributes({"boundary": lambda: g.boundary(u, v), "weight": lambda: float("inf")})
        contact = g.find_contact(u, v)
        return Attributes(
            {
                "size": lambda: int(row_of_contact(g.state, contact)[0]),
                "boundary": lambda: g.boundary(u, v),
                "weight": lambda: float(g.priorities()[contact]),
                Null.default_cache: lambda: g.edge_cache(u, v),
            }
        )

    def __iter__(self) -> Iterator[tuple[int, int]]:
        return iter(self._g.edge_names())

    def __len__(self) -> int:
        return len(self._g.edge_names())

    def __call__(self) -> list[tuple[int, int]]:
        """Return the edges as pairs of regions."""
        return list(self)
