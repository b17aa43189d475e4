"""A graph whose regions are being merged, by a compiled loop or by any policy, one merge at a time."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any, Self

import numpy as np

from gala._kernels import merge
from gala._kernels.models import new_scratch
from gala._kernels.threads import map_over_threads
from gala._types import Array, Floats, Ints
from gala.engine.constrain import constrain
from gala.engine.policy import Compiled, Policy, as_policy, not_a_priority
from gala.engine.state import (
    chain,
    contacts_of,
    copy_arrays,
    live_contacts,
    live_regions,
    new_state,
)
from gala.engine.views import EdgeView, NodeView
from gala.errors import FeatureError, LabelError, SettingError
from gala.features.base import Composite, Declared, Null, Pair
from gala.features.program import build_program, is_declared, output_names
from gala.graph.caches import ImageKind
from gala.graph.constraints import Constraints
from gala.graph.regions import RegionGraph
from gala.graph.tree import MergeTree, check_threshold
from gala.graph.volume import Volume
from gala.graph.voxels import VoxelLists, contact_voxels, region_voxels

_SCORE_BLOCK = 2**15  # edges a thread scores at a time; each edge by itself, so the number changes nothing


class RunningGraph:
    """A graph as it is after some merges.

    Regions go by the nodes of the merge tree: 0 to N - 1 as in `graph.labels`, then one more for each merge. A
    user's policy may ask for `nodes`, `edges`, `neighbors`, `degree`, `extent`, `boundary`, `features` and
    `probabilities_r`.

    Parameters
    ----------
    graph : RegionGraph
        Where it starts; it is not modified.
    policy : policy or function
        See `gala.engine.policy.as_policy`.
    volume : Volume, optional
        The voxels, for policies that look at them.
    features : feature manager, optional
        The caches in ``g.nodes[u]["feature-cache"]`` are those of this manager.
    rescore : {"shared", "all"}
        Which contacts of a merged region are given a new priority: those that both parts had, or all.
    constraints : Constraints, optional
        What must merge, and what must not.
    random : numpy.random.Generator, optional
        Where random policies draw from.
    n_threads : int, optional
        For the first scoring of all contacts.
    """

    border: int | None = None  # the number of the region beyond the volume's border, if it counts as one

    def __init__(
        self,
        graph: RegionGraph,
        policy: Policy | Callable[..., Any],
        *,
        volume: Volume | None = None,
        features: Null | None = None,
        rescore: str = "shared",
        constraints: Constraints | None = None,
        random: np.random.Generator | None = None,
        n_threads: int | None = None,
    ) -> None:
        if rescore not in ("shared", "all"):
            raise SettingError(f'rescore must be "shared" or "all"; got {rescore!r}.')
        self.graph = graph
        self.volume = volume
        self.policy = as_policy(policy)
        self.feature_manager = Null() if features is None else features
        self.rescore_all = rescore == "all"
        self.random = np.random.default_rng() if random is None else random
        self.n_threads = n_threads
        self.names: Array = np.arange(max(2 * graph.n_regions - 1, 0))
        self.state = new_state(graph)
        self.constraints = Constraints()
        self._region_of = np.arange(2 * graph.n_regions)  # where each node lives
        self._scored = False
        self._lists: dict[str, VoxelLists] = {}
        self._caches: dict[Any, Any] | None = None
        if constraints is not None:
            constrain(self, constraints)

    # -- what it is made of --------------------------------------------------------------------------------------

    @property
    def nodes(self) -> NodeView:
        """The regions that are there."""
        return NodeView(self)

    @property
    def edges(self) -> EdgeView:
        """The edges that are there."""
        return EdgeView(self)

    @property
    def kind(self) -> ImageKind:
        """What the channels of the image mean, its dimensions, and the size of a voxel."""
        return self.graph.kind

    @property
    def tree(self) -> MergeTree:
        """The merges made so far."""
        n = self.n_merges
        children, priority = self.state.children[:n].copy(), self.state.merge_priority[:n].copy()
        return MergeTree(self.graph.n_regions, children, priority, self.constraints)

    @property
    def n_merges(self) -> int:
        """How many merges were made so far."""
        return int(self.state.counters[merge.N_MERGES])

    @property
    def probabilities_r(self) -> Array:
        """The image as an array of shape (V, C), which `extent` and `boundary` index."""
        volume = self._need_volume()
        return volume.image.reshape(volume.labels.size, volume.image.shape[-1])

    def region_names(self) -> list[int]:
        """Return the numbers of the regions that are there."""
        names: list[int] = self.names[self.state.node[live_regions(self.state)]].tolist()
        return names if self.border is None else [*names, self.border]

    def edge_names(self) -> list[tuple[int, int]]:
        """Return the edges that are there, as pairs of regions."""
        pairs = [(u, v) for u, v in self.pairs_of(live_contacts(self.state)).tolist()]
        if self.border is None:
            return pairs
        return pairs + [(n, self.border) for n in self.region_names()[:-1] if self.at_volume_boundary(n)]

    def neighbors(self, n: int) -> list[int]:
        """Return the regions that touch region `n`."""
        if n == self.border:
            return [m for m in self.region_names()[:-1] if self.at_volume_boundary(m)]
        region = self.region_of(n)
        ends = self.state.ends[contacts_of(self.state, region)]
        others = np.where(ends[:, 0] == region, ends[:, 1], ends[:, 0])
        found: list[int] = np.sort(self.names[self.state.node[others]]).tolist()
        return [*found, self.border] if self.border is not None and self.at_volume_boundary(n) else found

    def degree(self, n: int) -> int:
        """Return how many regions touch region `n`."""
        return len(self.neighbors(n))

    def at_volume_boundary(self, n: int) -> bool:
        """Tell whether region `n` touches the border of the volume."""
        return bool(self.state.region_rows[self.region_of(n), -1])

    def leaves_of(self, n: int) -> Ints:
        """Return the regions of the graph that make up region `n`, as positions in `graph.labels`."""
        return np.sort(chain(self.state.next_leaf, self._first_leaf(n)))

    def extent(self, n: int) -> Ints:
        """Return the voxels of region `n`, as positions in the raveled volume."""
        if n == self.border:
            return np.empty(0, dtype=np.int64)
        lists = self._voxel_lists("region")
        return np.sort(np.concatenate([lists.of(leaf) for leaf in self.leaves_of(n)]))

    def boundary(self, u: int, v: int) -> Ints:
        """Return the voxels of the contact of regions `u` and `v`, as positions in the raveled volume.

        A voxel that touched several parts of a region is there once for each.
        """
        if self.border in (u, v):
            return self._on_the_border(self.extent(v if u == self.border else u))
        lists = self._voxel_lists("contact")
        parts = chain(self.state.links[:, merge.NEXT_PART], self.find_contact(u, v))
        return np.sort(np.concatenate([lists.of(part) for part in parts]))

    def values(self, voxels: Ints) -> Floats:
        """Return the image at `voxels`, float64 of shape (V, C)."""
        return np.ascontiguousarray(self.probabilities_r[voxels], dtype=np.float64)

    def coords(self, voxels: Ints) -> Floats:
        """Return the coordinates of `voxels`, float64 of shape (V, ndim)."""
        return np.stack(np.unravel_index(voxels, self._need_volume().labels.shape), axis=1).astype(np.float64)

    def node_cache(self, n: int) -> Any:
        """Return the cache of region `n`: a row for each declared manager, or what the manager made."""
        if is_declared(self.feature_manager):
            row = self.state.region_rows[self.region_of(n)]
            return self._rows(self.feature_manager, row, "region_spec")
        return self._manager_caches()[n]

    def edge_cache(self, u: int, v: int) -> Any:
        """Return the cache of the contact of `u` and `v`."""
        contact = self.find_contact(u, v)
        if is_declared(self.feature_manager):
            return self._rows(self.feature_manager, self.state.contact_rows[contact], "contact_spec")
        return self._manager_caches()["contact", contact]

    def features(self, feature_map: Null, edges: Array) -> Floats:
        """Return the features of each edge, shape (B, F)."""
        return self.describe(feature_map, self.find_contacts(edges))

    def describe(self, feature_map: Null, contacts: Ints) -> Floats:
        """Return the features of each contact, shape (B, F)."""
        if not is_declared(feature_map):
            rows = [feature_map(self, u, v) for u, v in self.pairs_of(contacts).tolist()]
            return np.array(rows, dtype=np.float64).reshape(len(rows), -1 if rows else 0)
        graph = self.graph
        program = build_program(feature_map, graph.region_spec, graph.contact_spec, graph.kind)
        out = np.empty((len(contacts), len(output_names(feature_map, graph.kind))))
        merge.describe_edges(self.state, program, contacts, out)
        return out

    def score(self, compiled: Compiled, contacts: Ints) -> Floats:
        """Return the priority of each contact, shape (B,), from a policy laid flat."""
        out = np.empty(len(contacts))

        def score_block(first: int) -> None:
            part = slice(first, first + _SCORE_BLOCK)
            room = np.empty(compiled.n_features), new_scratch(compiled.model)
            merge.score_edges(self.state, compiled.program, compiled.model, contacts[part], out[part], *room)

        map_over_threads(score_block, range(0, len(contacts), _SCORE_BLOCK), n_threads=self.n_threads)
        return out

    # -- merging -------------------------------------------------------------------------------------------------

    def agglomerate(self, threshold: float = np.inf, *, max_merges: int | None = None) -> None:
        """Merge while the lowest priority is below `threshold`, and at most `max_merges` times."""
        limit = check_threshold(threshold)
        stop = self.graph.n_regions if max_merges is None else self.n_merges + max_merges
        self.priorities()
        merge.fill_heap(self.state, limit)
        compiled = self.policy.compiled(self.graph) if self._caches is None else None
        if compiled is None:
            while self.n_merges < stop and (contact := merge.pop_edge(self.state, limit)) != merge.NOTHING:
                self.merge_contact(contact, limit)
            return
        room = np.empty(compiled.n_features), new_scratch(compiled.model)
        wrong = merge.agglomerate(self.state, compiled.program, compiled.model, limit, stop, self.rescore_all, *room)
        self.follow_merges()
        self.check_priority(wrong)

    def priorities(self) -> Floats:
        """Return the priority of each contact of the graph, scoring all if that has not been done, shape (E,)."""
        if not self._scored:
            contacts = live_contacts(self.state)
            self.state.priority[contacts] = self._new_priorities(contacts)
            self._scored = True
        return self.state.priority

    def rebuild_merge_queue(self) -> None:
        """Score all contacts again, as after a change of policy."""
        self._scored = False

    def merge_contact(self, contact: int, threshold: float = np.inf) -> int:
        """Merge the regions of a contact and score again what changed; return the new node."""
        u, v = self.state.ends[contact].tolist()
        return self.merge_regions(u, v, float(self.state.priority[contact]), threshold)

    def merge_regions(self, u: int, v: int, priority: float, threshold: float = np.inf) -> int:
        """Merge two regions, given by a leaf each, and score again what changed; return the new node."""
        joined = self._join_caches(u, v)
        keep = merge.merge_regions(self.state, u, v, priority, self.rescore_all)
        self._region_of[self.graph.n_regions + self.n_merges - 1] = keep
        if joined is not None:
            self._keep_caches(*joined)
        touched = self.state.touched[: self.state.counters[merge.N_TOUCHED]].astype(np.int64)
        if self._scored:
            self._scored = False  # if the policy fails now, all are scored again
            for contact, value in zip(touched, self._new_priorities(touched), strict=True):
                merge.set_priority(self.state, contact, value, threshold)
            self._scored = True
        return int(self.names[self.graph.n_regions + self.n_merges - 1])

    def follow_merges(self) -> None:
        """Note where the nodes live, after merges; caches of a hand-written manager are made anew when asked for."""
        regions = live_regions(self.state)
        self._region_of[self.state.node[regions]] = regions
        self._caches = None

    def check_priority(self, contact: int) -> None:
        """Raise PolicyError if a compiled loop stopped at `contact` because its priority was NaN."""
        if contact >= 0:
            self._scored = False
            raise not_a_priority(repr(self.policy), *self.pairs_of(np.array([contact]))[0])

    def copy(self) -> Self:
        """Return a graph that goes on from here by itself."""
        other = copy.copy(self)
        other.state = copy_arrays(self.state)
        other.random = copy.deepcopy(self.random)
        other._region_of = self._region_of.copy()
        other._caches = copy.deepcopy(self._caches)
        return other

    # -- names ---------------------------------------------------------------------------------------------------

    def node_of(self, n: int) -> int:
        """Return the node of the merge tree that goes by the number `n`."""
        node = int(np.searchsorted(self.names, int(n)))
        if node >= self.graph.n_regions + self.n_merges or self.names[node] != n:
            raise LabelError(f"there is no region {n}, and there never was.")
        return node

    def region_of(self, n: int) -> int:
        """Return where region `n` is in the state's arrays."""
        node = self.node_of(n)
        region = int(self._region_of[node])
        if region >= self.graph.n_regions or self.state.node[region] != node:
            raise KeyError(f"region {n} is part of a larger one.")
        return region

    def find_contact(self, u: int, v: int) -> int:
        """Return the contact of two regions."""
        contact = int(merge.find_contact(self.state, self.region_of(u), self.region_of(v)))
        if contact < 0:
            raise KeyError(f"regions {u} and {v} do not touch.")
        return contact

    def find_contacts(self, edges: Array) -> Ints:
        """Return the contact of each pair of regions, shape (B,)."""
        return np.array([self.find_contact(u, v) for u, v in np.asarray(edges).tolist()], dtype=np.int64)

    def pairs_of(self, contacts: Ints) -> Array:
        """Return the regions of each contact, the lower node first, shape (B, 2)."""
        return self.names[np.sort(self.state.node[self.state.ends[contacts]], axis=1)]

    # -- private -------------------------------------------------------------------------------------------------

    def _new_priorities(self, contacts: Ints) -> Floats:
        compiled = self.policy.compiled(self.graph)
        if compiled is None:
            return self.policy(self, self.pairs_of(contacts))
        priorities = self.score(compiled, contacts)
        nan = np.flatnonzero(np.isnan(priorities))
        self.check_priority(int(contacts[nan[0]]) if len(nan) else -1)
        return priorities

    def _first_leaf(self, n: int) -> int:
        return self.region_of(n)  # a region that lives on is known by the number of its first leaf

    def _need_volume(self) -> Volume:
        if self.volume is None:
            raise FeatureError("this policy looks at voxels; run it with gala.agglo.Rag, which keeps the volume.")
        return self.volume

    def _voxel_lists(self, kind: str) -> VoxelLists:
        if kind not in self._lists:
            list_voxels = region_voxels if kind == "region" else contact_voxels
            self._lists[kind] = list_voxels(self._need_volume(), self.graph)
        return self._lists[kind]

    def _on_the_border(self, voxels: Ints) -> Ints:
        shape = self._need_volume().labels.shape
        outer = [(c == 0) | (c == n - 1) for c, n in zip(np.unravel_index(voxels, shape), shape, strict=True)]
        return voxels[np.any(outer, axis=0)]

    def _rows(self, manager: Null, row: Floats, spec: str) -> Any:
        if isinstance(manager, Composite):
            return [self._rows(child, row, spec) for child in manager.children]
        if not isinstance(manager, Declared):
            return np.empty(0)
        layout = manager.layout(self.kind)
        wanted = layout.region_spec if spec == "region_spec" else layout.spec
        first = getattr(self.graph, spec).find(wanted)
        if first is None:
            raise FeatureError(f"the graph does not keep what {manager.name} needs; build it with this manager.")
        return row[first : first + len(wanted)]

    def _manager_caches(self) -> dict[Any, Any]:
        """Return the caches of a hand-written manager, by region and by contact; made when first asked for."""
        if self._caches is None:
            manager = self.feature_manager
            self._caches = {}
            for n in self.region_names():
                if n != self.border:
                    self._caches[n] = manager.create_node_cache(self, n)
            for contact in live_contacts(self.state):
                u, v = self.pairs_of(np.array([contact]))[0].tolist()
                self._caches["contact", int(contact)] = manager.create_edge_cache(self, u, v)
        return self._caches

    def _join_caches(self, u: int, v: int) -> tuple[Any, dict[Pair, Any]] | None:
        """Have a hand-written manager join the caches of two regions that are about to merge.

        Return the cache of the new region, and those of contacts by the two contacts that become one.
        """
        if not self._is_hand_written():
            return None
        manager, caches = self.feature_manager, self._manager_caches()
        first, second = self.names[self.state.node[[u, v]]].tolist()
        dst, src = caches[first], caches[second]
        updated = manager.update_node_cache(self, first, second, dst, src)
        of_region = dst if updated is None else updated
        of_contacts = {}
        neighbors = [{self._other(c, r): c for c in contacts_of(self.state, r)} for r in (u, v)]
        for other in sorted(neighbors[0].keys() & neighbors[1].keys()):
            c = int(self.names[self.state.node[other]])
            pair = neighbors[0][other], neighbors[1][other]
            dst, src = (caches["contact", contact] for contact in pair)
            updated = manager.update_edge_cache(self, (first, c), (second, c), dst, src)
            of_contacts[pair] = dst if updated is None else updated
        return of_region, of_contacts

    def _keep_caches(self, of_region: Any, of_contacts: dict[Pair, Any]) -> None:
        """Keep the caches that were joined, now that the merge has been made."""
        caches = self._manager_caches()
        for child in self.state.children[self.n_merges - 1]:
            del caches[int(self.names[child])]
        caches[int(self.names[self.graph.n_regions + self.n_merges - 1])] = of_region
        for pair, cache in of_contacts.items():
            gone, lives_on = sorted(pair, key=lambda contact: int(self.state.ends[contact, 0]))
            del caches["contact", gone]
            caches["contact", lives_on] = cache

    def _is_hand_written(self) -> bool:
        return not is_declared(self.feature_manager)

    def _other(self, contact: int, region: int) -> int:
        u, v = self.state.ends[contact].tolist()
        return int(v if u == region else u)
