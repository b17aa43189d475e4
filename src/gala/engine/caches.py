"""The caches of feature managers: rows of the running graph for declared ones, objects for hand-written ones."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from gala._types import Floats
from gala.engine.state import contacts_of, live_contacts
from gala.errors import FeatureError
from gala.features.base import Composite, Declared, Null

if TYPE_CHECKING:
    from gala.engine.running import RunningGraph

_Joined = tuple[Any, dict[tuple[int, int], Any]]


def declared_rows(g: RunningGraph, manager: Null, row: Floats, *, of_region: bool) -> Any:
    """Return the part of a region's or a contact's row that a declared manager keeps; a list for a composite."""
    if isinstance(manager, Composite):
        return [declared_rows(g, child, row, of_region=of_region) for child in manager.children]
    if not isinstance(manager, Declared):
        return np.empty(0)
    layout = manager.layout(g.kind)
    spec, wanted = (g.graph.region_spec, layout.region_spec) if of_region else (g.graph.contact_spec, layout.spec)
    first = spec.find(wanted)
    if first is None:
        raise FeatureError(f"the graph does not keep what {manager.name} needs; build it with this manager.")
    return row[first : first + len(wanted)]


class HandWrittenCaches:
    """What a hand-written manager keeps of each region, and of each contact; made when first asked for."""

    def __init__(self) -> None:
        self._caches: dict[Any, Any] | None = None

    @property
    def are_made(self) -> bool:
        """Whether somebody asked for them."""
        return self._caches is not None

    def of(self, g: RunningGraph) -> dict[Any, Any]:
        """Return the caches by region ``n`` and by contact ``("contact", e)``."""
        if self._caches is None:
            manager = g.feature_manager
            self._caches = {}
            for n in g.region_names():
                if n != g.border:
                    self._caches[n] = manager.create_node_cache(g, n)
            for contact in live_contacts(g.state):
                u, v = g.pairs_of(np.array([contact]))[0].tolist()
                self._caches["contact", int(contact)] = manager.create_edge_cache(g, u, v)
        return self._caches

    def joined(self, g: RunningGraph, u: int, v: int) -> _Joined:
        """Have the manager join the caches of regions at `u` and `v`, which are about to merge.

        Return the cache of the new region, and those of contacts by the two contacts that become one.
        """
        manager, caches = g.feature_manager, self.of(g)
        first, second = g.names[g.state.node[[u, v]]].tolist()
        dst, src = caches[first], caches[second]
        updated = manager.update_node_cache(g, first, second, dst, src)
        of_region = dst if updated is None else updated
        of_contacts = {}
        neighbors = [{_other(g, c, r): c for c in contacts_of(g.state, r)} for r in (u, v)]
        for other in sorted(neighbors[0].keys() & neighbors[1].keys()):
            c = int(g.names[g.state.node[other]])
            pair = neighbors[0][other], neighbors[1][other]
            dst, src = (caches["contact", contact] for contact in pair)
            updated = manager.update_edge_cache(g, (first, c), (second, c), dst, src)
            of_contacts[pair] = dst if updated is None else updated
        return of_region, of_contacts

    def keep(self, g: RunningGraph, joined: _Joined) -> None:
        """Keep the caches that were joined, now that the merge has been made."""
        caches = self.of(g)
        of_region, of_contacts = joined
        for child in g.state.children[g.n_merges - 1]:
            del caches[int(g.names[child])]
        caches[int(g.names[g.graph.n_regions + g.n_merges - 1])] = of_region
        for pair, cache in of_contacts.items():
            gone, lives_on = sorted(pair, key=lambda contact: int(g.state.ends[contact, 0]))
            del caches["contact", gone]
            caches["contact", lives_on] = cache


def _other(g: RunningGraph, contact: int, region: int) -> int:
    u, v = g.state.ends[contact].tolist()
    return int(v if u == region else u)
