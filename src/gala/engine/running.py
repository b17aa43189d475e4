"""A graph whose regions are being merged, by a compiled loop or by any policy, one merge at a time."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any, Self

import numpy as np

from gala._kernels import heap, loop, merge, topology
from gala._kernels.models import new_scratch
from gala._kernels.state import N_MERGES, N_TOUCHED, NEXT_PART, find_contact
from gala._kernels.threads import map_over_threads
from gala._types import Array, Floats, Ints
from gala.engine.caches import HandWrittenCaches, declared_rows
from gala.engine.constrain import constrain
from gala.engine.policy import Compiled, Policy, as_policy, not_a_priority
from gala.engine.state import (
    chain,
    contacts_of,
    copy_state,
    live_contacts,
    live_regions,
    new_state,
    row_of_contact,
    with_topology,
)
from gala.engine.ties import rank_by_priority
from gala.engine.views import EdgeView, NodeView
from gala.errors import FeatureError, LabelError, SettingError
from gala.features.base import Null
from gala.features.program import build_program, is_declared, output_names
from gala.graph.caches import ImageKind
from gala.graph.constraints import Constraints
from gala.graph.regions import RegionGraph
from gala.graph.tree import MergeTree, check_threshold
from gala.graph.volume import Volume
from gala.graph.voxels import VoxelLists, contact_voxels, faces_of_contact, faces_of_region, on_border, region_voxels

_SCORE_BLOCK = 2**12  # edges a thread scores at a time; each edge by itself, so the number changes nothing


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
        self.policy = as_policy(policy)
        self.graph = graph = self.policy.prepared(graph, n_threads=n_threads)
        self.volume = volume
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
        self._caches = HandWrittenCaches()
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
        return int(self.state.counters[N_MERGES])

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
        """Tell whether region `n` touches the border of the volume, or is the one beyond it."""
        return bool(n == self.border or self.state.region_rows[self.region_of(n), -1])

    def leaves_of(self, n: int) -> Ints:
        """Return the regions of the graph that make up region `n`, as positions in `graph.labels`."""
        return np.sort(chain(self.state.next_leaf, self.region_of(n)))  # its place is its first leaf

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
            return on_border(self.extent(v if u == self.border else u), self._need_volume().labels.shape)
        lists = self._voxel_lists("contact")
        parts = chain(self.state.links[:, NEXT_PART], self.find_contact(u, v))
        return np.sort(np.concatenate([lists.of(part) for part in parts]))

    def values(self, voxels: Ints) -> Floats:
        """Return the image at `voxels`, then all extra images, float64 of shape (V, C)."""
        return np.ascontiguousarray(self._need_volume().values(voxels), dtype=np.float64)

    def coords(self, voxels: Ints) -> Floats:
        """Return the coordinates of `voxels`, float64 of shape (V, ndim)."""
        return np.stack(np.unravel_index(voxels, self._need_volume().labels.shape), axis=1).astype(np.float64)

    def faces(self, n1: int, n2: int | None = None) -> Floats:
        """Return the faces of each voxel of a contact, or of region `n1`, with others, float64 of shape (V, ndim)."""
        shape, first = self._need_volume().labels.shape, self.extent(n1)
        if n2 is None:
            return faces_of_region(first, shape)
        return faces_of_contact(self.boundary(n1, n2), first, self.extent(n2), shape)

    def node_cache(self, n: int) -> Any:
        """Return the cache of region `n`: a row for each declared manager, or what the manager made."""
        if is_declared(self.feature_manager):
            row = self.state.region_rows[self.region_of(n)]
            return declared_rows(self, self.feature_manager, row, of_region=True)
        return self._caches.of(self)[n]

    def edge_cache(self, u: int, v: int) -> Any:
        """Return the cache of the contact of `u` and `v`."""
        contact = self.find_contact(u, v)
        if is_declared(self.feature_manager):
            row = row_of_contact(self.state, contact)
            return declared_rows(self, self.feature_manager, row, of_region=False)
        return self._caches.of(self)["contact", contact]

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
        if program.reads_topology:
            self.keep_topology()
        out = np.empty((len(contacts), len(output_names(feature_map, graph.kind))))
        loop.describe_edges(self.state, program, contacts, out)
        return out

    def score(self, compiled: Compiled, contacts: Ints) -> Floats:
        """Return the priority of each contact, shape (B,), from a policy laid flat."""
        if compiled.program.reads_topology:
            self.keep_topology()
            # Now, so that threads write to no region.
            topology.refresh_regions(self.state, contacts)
        out = np.empty(len(contacts))

        def score_block(first: int) -> None:
            part = slice(first, first + _SCORE_BLOCK)
            room = np.empty(compiled.n_features), new_scratch(compiled.model)
            loop.score_edges(self.state, compiled.program, compiled.model, contacts[part], out[part], *room)

        map_over_threads(score_block, range(0, len(contacts), _SCORE_BLOCK), n_threads=self.n_threads)
        return out

    def keep_topology(self) -> None:
        """Keep the columns of `gala._kernels.topology` from now on."""
        if self.state.contact_rows.shape[1] == len(self.graph.contact_spec):
            self.state = with_topology(self.state)

    def region_topology(self, n: int) -> Floats:
        """Return what `gala._kernels.topology` says of region `n`, shape (5,)."""
        region = self.region_of(n)
        self.keep_topology()
        topology.refresh_region(self.state, region)
        return self.state.region_rows[region, -topology.REGION_FIRST : -topology.AS_OF].copy()

    def contact_topology(self, u: int, v: int) -> Floats:
        """Return what `gala._kernels.topology` says of the contact of regions `u` and `v`, shape (2,)."""
        contact = self.find_contact(u, v)
        self.keep_topology()
        topology.refresh_pair(self.state, contact)
        return row_of_contact(self.state, contact)[-topology.N_CONTACT_COLUMNS :]

    # -- merging -------------------------------------------------------------------------------------------------

    def agglomerate(self, threshold: float = np.inf, *, max_merges: int | None = None) -> None:
        """Merge while the lowest priority is below `threshold`, and at most `max_merges` times."""
        limit = check_threshold(threshold)
        stop = self.graph.n_regions if max_merges is None else self.n_merges + max_merges
        self.priorities()
        heap.fill_heap(self.state, limit)
        compiled = self.policy.compiled(self.graph) if not self._caches.are_made else None
        if compiled is None:
            while self.n_merges < stop and (contact := heap.pop_edge(self.state, limit)) != heap.NOTHING:
                self.merge_contact(contact, limit)
            return
        if compiled.program.reads_topology:
            self.keep_topology()
        room = np.empty(compiled.n_features), new_scratch(compiled.model)
        program, model = compiled.program, compiled.model
        try:
            wrong = loop.agglomerate(self.state, program, model, limit, stop, self.rescore_all, *room)
        except Exception:  # raised by a user's kernel: the merges made stay, what was not scored again is later
            self._scored = False
            raise
        finally:
            self.follow_merges()
        self.check_priority(wrong)

    def priorities(self, contacts: Ints | None = None) -> Floats:
        """Return the priority of each contact, shape (E,), scoring all, or some, if that has not been done."""
        if not self._scored:
            self.score_first(live_contacts(self.state) if contacts is None else contacts)
            self._scored = True
        return self.state.priority

    def score_first(self, contacts: Ints) -> None:
        """Score contacts, shape (B,), from which an agglomeration starts."""
        self.state.priority[contacts] = self.new_priorities(contacts)
        if self.policy.linkage == "min":
            rank_by_priority(self.state, contacts)

    def rebuild_merge_queue(self) -> None:
        """Score all contacts again, as after a change of policy."""
        self._scored = False

    def merge_contact(self, contact: int, threshold: float = np.inf) -> int:
        """Merge the regions of a contact and score again what changed; return the new node."""
        u, v = self.state.ends[contact].tolist()
        return self.merge_regions(u, v, float(self.state.priority[contact]), threshold)

    def merge_regions(self, u: int, v: int, priority: float, threshold: float = np.inf) -> int:
        """Merge two regions, given by a leaf each, and score again what changed; return the new node."""
        joined = None if is_declared(self.feature_manager) else self._caches.joined(self, u, v)
        keep = merge.merge_regions(self.state, u, v, priority, self.rescore_all)
        self._region_of[self.graph.n_regions + self.n_merges - 1] = keep
        if joined is not None:
            self._caches.keep(self, joined)
        touched = self.state.touched[: self.state.counters[N_TOUCHED]].astype(np.int64)
        if self._scored:
            self._scored = False  # if the policy fails now, all are scored again
            for contact, value in zip(touched, self.new_priorities(touched), strict=True):
                heap.set_priority(self.state, contact, value, threshold)
            self._scored = True
        return int(self.names[self.graph.n_regions + self.n_merges - 1])

    def follow_merges(self, regions: Ints | None = None) -> None:
        """Note where the nodes live, after merges, or those of some regions; caches of hand-written managers go."""
        regions = live_regions(self.state) if regions is None else regions
        self._region_of[self.state.node[regions]] = regions
        self._caches = HandWrittenCaches()

    def check_priority(self, contact: int) -> None:
        """Raise PolicyError if a compiled loop stopped at `contact` because its priority was NaN."""
        if contact >= 0:
            self._scored = False
            raise not_a_priority(repr(self.policy), *self.pairs_of(np.array([contact]))[0])

    def copy(self) -> Self:
        """Return a graph that goes on from here by itself."""
        other = copy.copy(self)
        other.state = copy_state(self.state)
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
        contact = int(find_contact(self.state, self.region_of(u), self.region_of(v)))
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

    def new_priorities(self, contacts: Ints) -> Floats:
        """Return what the policy gives each contact as it is, shape (B,)."""
        compiled = self.policy.compiled(self.graph)
        priorities = self.policy(self, self.pairs_of(contacts)) if compiled is None else self.score(compiled, contacts)
        nan = np.flatnonzero(np.isnan(priorities))
        self.check_priority(int(contacts[nan[0]]) if len(nan) else -1)
        return priorities

    def _need_volume(self) -> Volume:
        if self.volume is None:
            raise FeatureError("this policy looks at voxels; run it with gala.agglo.Rag, which keeps the volume.")
        return self.volume

    def _voxel_lists(self, kind: str) -> VoxelLists:
        if kind not in self._lists:
            list_voxels = region_voxels if kind == "region" else contact_voxels
            self._lists[kind] = list_voxels(self._need_volume(), self.graph)
        return self._lists[kind]
