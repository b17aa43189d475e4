"""Editing a segmentation: each edit returns a new merge tree, and the log of edits makes the same tree again."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import reduce
from typing import Any

import numpy as np

from gala._types import Bools
from gala.engine.editable import EditableGraph, check_tree
from gala.engine.edits import Edit, perform
from gala.engine.policy import Policy, as_policy
from gala.graph.constraints import Constraints
from gala.graph.regions import RegionGraph
from gala.graph.tree import MergeTree, check_threshold


@dataclass(frozen=True, eq=False)
class Editing:
    """A segmentation that is being edited. Nothing changes in place: every edit returns another `Editing`.

    Parameters
    ----------
    graph : RegionGraph
        The regions and their contacts.
    tree : MergeTree
        Its roots are the segments; begin with ``tree.below(threshold)`` to edit the segmentation at a threshold.
        Edits obey its constraints, and what they keep apart is added to those of the edited tree.
    policy : policy or function
        Gives the priorities by which pieces are put together again.
    rescore, random_state, n_threads : optional
        As in `gala.engine.agglomerate.agglomerate`.

    Attributes
    ----------
    log : tuple of Edit
        What was done since the beginning; ``beginning.replay(log)`` does it again. The same graph, tree and policy give
        the same bytes.

    Notes
    -----
    An edit takes time linear in the regions and contacts of the graph, because its running state is made anew.

    Examples
    --------
    >>> from gala.engine.agglomerate import agglomerate
    >>> from gala.engine.policy import boundary_mean
    >>> from gala.graph.build import build_graph
    >>> graph = build_graph([1, 1, 2, 2, 3, 3], [0, 0.2, 0.3, 0, 0.4, 1], boundary_mean.needs)
    >>> begin = Editing(graph, agglomerate(graph, boundary_mean), boundary_mean)
    >>> begin.tree.cut().tolist()
    [0, 0, 0]
    >>> edited = begin.separate(1, 2).reagglomerate(0.5)
    >>> edited.tree.cut().tolist()
    [0, 1, 1]
    >>> begin.replay(edited.log).tree.cut().tolist()
    [0, 1, 1]
    """

    graph: RegionGraph
    tree: MergeTree
    policy: Policy | Callable[..., Any]
    rescore: str = "shared"
    random_state: int | None = None
    n_threads: int | None = None
    log: tuple[Edit, ...] = ()
    _loose: Bools | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        check_tree(self.tree, self.graph)
        object.__setattr__(self, "policy", as_policy(self.policy))

    def merge(self, a: int, b: int, priority: float = -np.inf) -> Editing:
        """Merge the segments of regions `a` and `b`, whether they touch or not.

        With the default priority, the merge is made at every threshold at which its two parts are there.

        Raises
        ------
        LabelError
            If there is no region of such a label; so for all edits.
        SettingError
            If they are in one segment already.
        ConstraintError
            If they may not merge, for example because an earlier edit separated them.
        """
        return self._make("merge", a=a, b=b, priority=priority, constraints="obey")

    def undo(self, a: int, b: int) -> Editing:
        """Undo the merge in which regions `a` and `b` came together, and those that stand on it.

        The pieces stay apart until they are merged by hand, or `reagglomerate` is asked to.

        Raises
        ------
        SettingError
            If they never came together.
        ConstraintError
            If that takes apart what must link.
        """
        return self._make("undo", a=a, b=b)

    def separate(self, a: int, b: int) -> Editing:
        """Keep regions `a` and `b` in different segments from now on.

        If they are in one segment, the merge in which they came together is undone; `reagglomerate` puts the rest
        of the segment together again.

        Raises
        ------
        ConstraintError
            If they must link.
        """
        return self._make("separate", a=a, b=b)

    def split_by_seeds(self, seeds: Sequence[Sequence[int]]) -> Editing:
        """Split a segment into as many as there are groups of seeds; the policy says where to cut.

        The merges of the segment that lie on one side stay. The pieces grow from the seeds, the pair of lowest
        priority first, which for a fixed priority of contacts is the cut of a minimum spanning forest, or watershed
        cut. Seeds of different groups stay apart from now on.

        Parameters
        ----------
        seeds : sequence of sequences of int
            Two groups or more of regions of one segment, by label. Those of one group end up in one segment, even if
            they do not touch. What the policy gives infinity, or does not touch, is left as segments of its own.

        Raises
        ------
        SettingError
            If there are fewer than two groups, one is empty, a region is in two, or the seeds lie in several segments.
        ConstraintError
            If constraints keep apart those of one group, or together those of two.

        References
        ----------
        Cousty et al. 2009, Watershed cuts: minimum spanning forests and the drop of water principle,
        doi:10.1109/TPAMI.2008.173.
        """
        return self._make("split_by_seeds", seeds=seeds)

    def split(self, region: int, n: int = 2) -> Editing:
        """Split the segment of `region` into `n` by normalized cuts.

        Each contact of two regions of the segment is a bond of exp(-(p - p0) / s), where p is its priority, p0 the
        lowest of them and s their standard deviation. The largest connected piece of each part of the cut stays
        together, and apart from the others from now on; the rest is agglomerated with them.

        Raises
        ------
        SettingError
            If the segment is a single region, or `n` is below 2 or above the number of its regions.

        References
        ----------
        Shi and Malik 2000, Normalized cuts and image segmentation, doi:10.1109/34.868688.
        """
        return self._make("split", region=region, n=n)

    def reagglomerate(self, threshold: float, regions: Sequence[int] = ()) -> Editing:
        """Agglomerate what `separate` took apart, while a priority is below `threshold`.

        Merges are made among these pieces only, so that all other segments stay as they are. With `regions`, the
        segments of these regions take part too.
        """
        return self._make("reagglomerate", threshold=threshold, regions=regions)

    def replay(self, edits: Iterable[Edit]) -> Editing:
        """Make edits one after the other; the error of one that cannot be made has a note that says which."""
        return reduce(Editing._after, edits, self)

    def _make(self, kind: str, **arguments: Any) -> Editing:
        return self._after(Edit(kind, arguments))

    def _after(self, edit: Edit) -> Editing:
        g = self._running()
        perform(g, edit)
        return replace(self, tree=g.tree, log=(*self.log, edit), _loose=g.loose)

    def _running(self) -> EditableGraph:
        random = np.random.default_rng(self.random_state)
        g = EditableGraph(self.graph, self.policy, rescore=self.rescore, random=random, n_threads=self.n_threads)
        g.follow(self.tree)
        if self._loose is not None:
            g.loose = self._loose.copy()
        return g


def reagglomerate(
    graph: RegionGraph,
    tree: MergeTree,
    policy: Policy | Callable[..., Any],
    threshold: float = np.inf,
    *,
    constraints: Constraints,
    rescore: str = "shared",
    random_state: int | None = None,
    n_threads: int | None = None,
) -> MergeTree:
    """Make a tree obey more constraints, and leave every segment as it is that already does.

    The merges that are forbidden are undone, with those that stand on them, and so are all merges of segments with
    superpixels that must link and are not together. These pieces are agglomerated again, among themselves, while a
    priority is below `threshold`.

    Parameters
    ----------
    graph, tree, policy, rescore, random_state, n_threads
        As in `Editing`.
    threshold : float, optional
        Give the one of the segmentation: ``reagglomerate(graph, tree.below(t), policy, t, constraints=...)``.
    constraints : Constraints
        Those of the tree hold as well.

    Returns
    -------
    tree : MergeTree
        The merges that were kept come first, in their order.

    Raises
    ------
    ConstraintError, LabelError
        If the constraints contradict those of the tree, or name superpixels that are not there.
    SettingError
        If the tree is not of this graph, or a setting is out of range.

    Examples
    --------
    >>> from gala.engine.agglomerate import agglomerate
    >>> from gala.engine.policy import boundary_mean
    >>> from gala.graph.build import build_graph
    >>> graph = build_graph([1, 1, 2, 2, 3, 3], [0, 0.2, 0.3, 0, 0.4, 1], boundary_mean.needs)
    >>> tree = agglomerate(graph, boundary_mean)
    >>> reagglomerate(graph, tree, boundary_mean, constraints=Constraints(cannot_link=[(1, 3)])).cut().tolist()
    [0, 1, 1]
    """
    limit = check_threshold(threshold)
    random = np.random.default_rng(random_state)
    g = EditableGraph(graph, policy, rescore=rescore, random=random, n_threads=n_threads)
    constrained = replace(tree, constraints=tree.constraints & constraints)
    kept = g.follow(constrained, obey=True)
    root = tree.root_of(np.arange(tree.n_leaves + tree.n_merges))
    kept &= ~np.isin(root[tree.n_leaves :], root[g.unlinked()])
    undone = tree.n_leaves + np.flatnonzero(~kept)
    g.follow(constrained.without(undone))
    for pair in g.unlinked():
        g.join_by_hand(pair)
    g.agglomerate_among(np.flatnonzero(np.isin(root[: tree.n_leaves], root[undone])), limit)
    return g.tree
