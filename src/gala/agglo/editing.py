"""Editing the segmentation of a volume by hand, under the historic names."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from gala.agglo.learning import Learning
from gala.engine.constrain import check_merge
from gala.engine.editable import EditableGraph
from gala.engine.edits import Edit, perform
from gala.errors import LabelError, SettingError


class Editing(Learning, EditableGraph):
    """A graph of a volume that can be edited: see `gala.engine.editing` for what the edits mean.

    An edit that cannot be made changes nothing. Regions that it does not name keep their numbers; new ones get
    numbers that were never given. Contacts are scored again when the graph agglomerates next.
    """

    edit_log: tuple[Edit, ...] = ()  # the edits made, `merge_nodes` included

    def merge_nodes(self, n1: int, n2: int, merge_priority: float = 0.0, *, constraints: str = "obey") -> int:
        """Merge two regions, whatever the policy says, and return the number of the new one.

        Parameters
        ----------
        n1, n2 : int
            They need not touch.
        merge_priority : float, optional
            What the merge tree keeps as the priority of this merge.
        constraints : {"obey", "ignore"}, optional
            Whether to refuse a merge that constraints forbid. If they are ignored, they still hold for what the new
            region meets later.

        Raises
        ------
        ConstraintError
            If constraints forbid the merge; it names the superpixels.
        LabelError
            If there never was such a region.
        KeyError
            If one of them is part of a larger one by now.
        """
        u, v = self.region_of(n1), self.region_of(n2)
        if u == v:
            raise SettingError(f"two different regions can be merged; got {n1} twice.")
        if constraints not in ("obey", "ignore"):
            raise SettingError(f'constraints must be "obey" or "ignore"; got {constraints!r}.')
        if constraints == "obey":
            check_merge(self, n1, n2)
        a, b = self.graph.labels[[u, v]]  # a region lives where one of its leaves does
        new = self.merge_regions(u, v, float(merge_priority))
        arguments = {"a": a, "b": b, "priority": merge_priority, "constraints": constraints}
        self.edit_log = (*self.edit_log, Edit("merge", arguments))
        return new

    def merge_subgraph(self, subgraph: Iterable[int] | None = None, source: int | None = None) -> list[int]:
        """Merge regions that touch, directly or through others of them, and return the numbers of what they become.

        Parameters
        ----------
        subgraph : iterable of int, optional
            The regions; all by default.
        source : int, optional
            The region to begin with.

        Raises
        ------
        LabelError, KeyError
            If one of them is not there; then nothing is merged.
        """
        waiting = {int(n) for n in (self.region_names() if subgraph is None else subgraph)} - {self.border}
        for n in waiting if source is None else {*waiting, source}:
            self.region_of(n)
        whole = self.copy()
        merged = []
        while waiting:
            new = source if source in waiting else min(waiting)
            waiting.remove(new)
            while touching := sorted(waiting.intersection(whole.neighbors(new))):
                waiting.difference_update(touching)
                for n in touching:
                    new = whole.merge_nodes(new, n)
            merged.append(new)
        vars(self).update(vars(whole))
        return merged

    def delete_merge(self, tree_node: int) -> list[int]:
        """Undo the merge that made region `tree_node`, and those that stand on it; return the regions left.

        Raises
        ------
        LabelError
            If there is no such region, or it is one of those that the graph was made from.
        """
        node = self.node_of(tree_node) - self.graph.n_regions
        if node < 0:
            raise LabelError(f"region {tree_node} is one that the graph was made from: there is no merge to undo.")
        tree = self.tree
        a, b = (self.graph.labels[tree.leaves_of(child)[0]] for child in tree.children[node])
        return self._edit("undo", a=a, b=b)

    def separate_fragments(self, f0: int, f1: int) -> list[int]:
        """Keep two of the regions that the graph was made from apart from now on; return the regions left of theirs.

        If they are in one region, the merge in which they came together is undone, and those that stand on it. Call
        `reagglomerate` to put the rest together again without touching other regions, or `agglomerate`.

        Raises
        ------
        LabelError
            If the graph was not made from such regions.
        """
        return self._edit("separate", a=f0, b=f1)

    def split_node(self, u: int, n: int = 2) -> list[int]:
        """Split region `u` into `n` by normalized cuts; return the new regions. See `gala.engine.editing.Editing`."""
        return self._edit("split", region=self.graph.labels[self.region_of(u)], n=n)

    def split_by_seeds(self, seeds: Sequence[Sequence[int]]) -> list[int]:
        """Split a region by groups of the regions that the graph was made from; return the new regions.

        See `gala.engine.editing.Editing.split_by_seeds`.
        """
        return self._edit("split_by_seeds", seeds=seeds)

    def reagglomerate(self, threshold: float, regions: Sequence[int] = ()) -> list[int]:
        """Agglomerate what `separate_fragments` left, and `regions`, among themselves; return what they become.

        See `gala.engine.editing.Editing.reagglomerate`.
        """
        labels = [self.graph.labels[self.region_of(n)] for n in regions]
        return self._edit("reagglomerate", threshold=threshold, regions=labels)

    def replay(self, edits: Iterable[Edit]) -> None:
        """Make edits, as those in the `edit_log` of another graph of the same volume; all of them, or none."""
        g = self.copy()
        for edit in edits:
            perform(g, edit)
            g.edit_log = (*g.edit_log, edit)
        vars(self).update(vars(g))

    def _edit(self, kind: str, **arguments: Any) -> list[int]:
        """Make an edit; return the regions that were not there before."""
        before = {*self.region_names()}
        self.replay([Edit(kind, arguments)])
        return [n for n in self.region_names() if n not in before]
