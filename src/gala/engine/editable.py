"""A running graph that can also go back: merges are undone, and some regions agglomerated while the others wait."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from gala._kernels.replay import replay
from gala._types import Array, ArrayLike, Bools, Ints
from gala.engine.caches import HandWrittenCaches
from gala.engine.constrain import check_merge, constrain
from gala.engine.running import RunningGraph
from gala.engine.state import FROZEN, live_contacts, new_state
from gala.errors import ConstraintError, LabelError, SettingError
from gala.graph.constraints import Constraints
from gala.graph.regions import RegionGraph
from gala.graph.tree import MergeTree
from gala.graph.violations import listed

_NO_PAIRS = np.empty((0, 2), dtype=np.int64)


class EditableGraph(RunningGraph):
    """A running graph whose merges can be undone; see `RunningGraph` for the parameters.

    A region keeps its number as long as it is there, and no number is given twice.
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.loose: Bools = np.zeros(self.graph.n_regions, dtype=np.bool_)  # what `separate` took apart, by leaf
        self.undone: frozenset[int] = frozenset()  # numbers of regions whose merges were undone

    def node_of(self, n: int) -> int:
        """Return the node of the merge tree that goes by the number `n`."""
        if n in self.undone:
            raise LabelError(f"region {n} is there no more: the merge that made it was undone.")
        return super().node_of(n)

    def follow(self, tree: MergeTree, *, obey: bool = False) -> Bools:
        """Begin again under the constraints of `tree` and make its merges; tell which were made, shape (M,).

        With `obey`, those that the constraints forbid are not, nor those that stand on them. All contacts are scored
        again when the graph agglomerates next.
        """
        check_tree(tree, self.graph)
        self.state = new_state(self.graph)
        constrain(self, replace(tree.constraints, must_link=_NO_PAIRS))  # the merges that these ask for are in the tree
        self.constraints = tree.constraints
        made = np.empty(tree.n_merges, dtype=np.bool_)
        replay(self.state, tree.children, tree.priority, obey, made)
        self._caches = HandWrittenCaches()
        self.rebuild_merge_queue()
        self.follow_merges()
        return made

    def undo(self, nodes: ArrayLike, *, apart: ArrayLike = _NO_PAIRS) -> None:
        """Undo the merges that made `nodes` of the merge tree, and those that stand on them.

        Never again merge the regions that hold two leaves of a pair in `apart`, int64 of shape (P, 2).
        """
        tree = self.tree
        kept = tree.kept_without(nodes)
        constraints = self.constraints & Constraints(cannot_link=self.graph.labels[np.asarray(apart)])
        made = self.names[tree.n_leaves : tree.n_leaves + tree.n_merges]
        self.undone = self.undone.union(made[~kept].tolist())
        self.names = _without(self.names, tree.n_leaves, kept)
        self.follow(replace(tree.without(nodes), constraints=constraints))

    def regions_holding(self, leaves: Ints) -> Ints:
        """Return where the regions that hold some leaves are in the state's arrays."""
        return self._region_of[self.tree.root_of(leaves)]

    def join_by_hand(self, leaves: Ints, priority: float = -np.inf, *, constraints: str = "obey") -> None:
        """Merge all regions that hold one of `leaves`, whether they touch or not.

        Raises
        ------
        ConstraintError
            If constraints keep two of them apart, and are not to be ignored.
        """
        first, *others = np.unique(self.regions_holding(leaves)).tolist()
        for other in others:
            if constraints == "obey":
                check_merge(self, *self.names[self.state.node[[first, other]]].tolist())
            self.merge_regions(first, other, priority)
            first = int(self._region_of[self.graph.n_regions + self.n_merges - 1])

    def contacts_among(self, leaves: Ints) -> Ints:
        """Return the contacts of regions that hold one of `leaves`, scored anew; all others are given infinity."""
        among = np.zeros(self.graph.n_regions, dtype=np.bool_)
        among[self.regions_holding(leaves)] = True
        contacts = live_contacts(self.state)
        contacts = contacts[among[self.state.ends[contacts]].all(axis=1)]
        self.state.priority[:] = np.inf
        self.score_first(contacts)
        return contacts

    def agglomerate_among(self, leaves: Ints, threshold: float = np.inf) -> None:
        """Agglomerate the regions that hold one of `leaves`; the others wait."""
        self.contacts_among(leaves)
        self._scored = True
        waiting = np.ones(self.graph.n_regions, dtype=np.bool_)
        waiting[self.regions_holding(leaves)] = False
        classes = self.state.classes[waiting].copy()
        self.state.classes[waiting] |= np.array([FROZEN, ~np.uint64(0)])
        RunningGraph.agglomerate(self, threshold)
        self.state.classes[waiting] = classes
        self.rebuild_merge_queue()

    def unlinked(self) -> Ints:
        """Return the leaves of each pair that must link and is in two regions, shape (B, 2)."""
        pairs = self.graph.find(self.constraints.must_link)
        roots = self.tree.root_of(pairs)
        apart: Ints = pairs[roots[:, 0] != roots[:, 1]]
        return apart

    def check_links(self) -> None:
        """Raise ConstraintError if regions that must link are in two."""
        pairs = self.graph.labels[self.unlinked()].tolist()
        if pairs:
            words = listed([f"{u} and {v}" for u, v in pairs])
            raise ConstraintError(f"superpixels {words} must stay together (must_link), and would not.")


def check_tree(tree: MergeTree, graph: RegionGraph) -> None:
    """Raise SettingError if a tree is of another graph."""
    if tree.n_leaves != graph.n_regions:
        raise SettingError(
            f"the tree must have one leaf for each of {graph.n_regions} regions of the graph; it has {tree.n_leaves}."
        )


def _without(names: Array, n_leaves: int, kept: Bools) -> Array:
    """Return the numbers of regions when only some merges are kept; those of new ones were never given before."""
    stay = np.concatenate([names[:n_leaves], names[n_leaves : n_leaves + len(kept)][kept]]).tolist()
    unused = names[n_leaves + len(kept) :].tolist()
    following = unused[0] if unused else int(names[-1]) + 1
    numbers = [*stay, *range(following, following + len(names) - len(stay))]
    return np.array(numbers, dtype=names.dtype if not numbers or numbers[-1] < 2**63 else object)
