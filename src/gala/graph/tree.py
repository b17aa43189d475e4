"""The merge tree: every segmentation of a run, in a few arrays."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from gala import _files
from gala._kernels import trees
from gala._types import Array, ArrayLike, Bools, Floats, Ints
from gala.errors import LabelError, SettingError
from gala.graph.constraints import FORMAT, Constraints

_PREFIX = "constraints_"  # of the names of the arrays of constraints


@dataclass(frozen=True, eq=False)
class MergeTree:
    """The merges of N leaves, in the order in which they were made.

    Merge k makes node ``n_leaves + k`` of two nodes made before it, as in `scipy.cluster.hierarchy.linkage`. Fewer
    than N - 1 merges make a forest.

    Attributes
    ----------
    n_leaves : int
        The regions of the graph, in its order.
    children : array of int64, shape (M, 2)
        The nodes that each merge joins, the lower one first.
    priority : array of float64, shape (M,)
        What the policy gave each merge when it was made; minus infinity for those that a constraint asked for.
    constraints : Constraints, optional
        What the merges were made under.
    limit : float, optional
        How far the tree goes, if others than its merges would have come after: it has those up to this priority, and
        cuts above are refused.

    Examples
    --------
    >>> tree = MergeTree(4, np.array([[0, 1], [2, 3], [4, 5]]), np.array([0.5, 0.25, 0.75]))
    >>> tree.cut(0.25).tolist(), tree.cut(0.5).tolist(), tree.cut().tolist()
    ([0, 1, 2, 2], [0, 0, 2, 2], [0, 0, 0, 0])

    With regions numbered 0 to N - 1 in the image, ``tree.cut(threshold)[labels]`` is the segmentation.
    """

    n_leaves: int
    children: Ints
    priority: Floats
    constraints: Constraints = field(default_factory=Constraints)
    limit: float = np.inf

    def __post_init__(self) -> None:
        children = np.ascontiguousarray(self.children, dtype=np.int64)
        priority = np.ascontiguousarray(self.priority, dtype=np.float64)
        if children.size != 2 * priority.size or not _is_forest(self.n_leaves, children.reshape(-1, 2), priority):
            raise SettingError(
                "a merge tree needs two nodes and a priority, not NaN, for each merge, and each node is merged once, "
                f"after it was made; got children of shape {children.shape} for {self.n_leaves} leaves, and priorities "
                f"of shape {priority.shape}."
            )
        object.__setattr__(self, "children", children.reshape(-1, 2))
        object.__setattr__(self, "priority", priority)

    @classmethod
    def empty(cls, n_leaves: int) -> MergeTree:
        """Return the tree of `n_leaves` leaves and no merge."""
        return cls(n_leaves, np.empty((0, 2), dtype=np.int64), np.empty(0))

    @property
    def n_merges(self) -> int:
        """How many merges were made."""
        return len(self.children)

    @cached_property
    def height(self) -> Floats:
        """Height of each merge, shape (M,): its priority, or the height of a child if that is higher."""
        return trees.heights(self.children, self.priority, self.n_leaves)

    def cut(self, threshold: float = np.inf) -> Ints:
        """Return the segment of each leaf when merges of a height up to `threshold` are made.

        Parameters
        ----------
        threshold : float, optional
            Cuts are nested: a lower threshold never joins what a higher one keeps apart. By default all merges that
            the tree has.

        Returns
        -------
        segments : array of int64, shape (N,)
            A segment is named by its lowest leaf.

        Raises
        ------
        SettingError
            If `threshold` is NaN, or above the limit of the tree.
        """
        return trees.cut(self.children, self.height, self.n_leaves, check_threshold(threshold, self.limit))

    def n_segments(self, threshold: float = np.inf) -> int:
        """Return how many segments a cut has."""
        return self.n_leaves - int(np.count_nonzero(self.height <= check_threshold(threshold, self.limit)))

    # -- finding one's way -----------------------------------------------------------------------------------------

    @cached_property
    def parent(self) -> Ints:
        """The node that each node is merged into, shape (N + M,); -1 for roots."""
        return trees.parents(self.children, self.n_leaves)

    @cached_property
    def _root(self) -> Ints:
        return trees.roots(self.parent)

    @cached_property
    def _path_top(self) -> Ints:
        return trees.path_tops(self.parent)

    def root_of(self, nodes: ArrayLike) -> Ints:
        """Return the root above each of `nodes`, any shape; a root is its own.

        Raises
        ------
        LabelError
            If there is no such node; so for the other methods that take nodes.
        """
        return self._root[self._check(nodes)]

    def subtree(self, node: int) -> Ints:
        """Return `node` and all nodes below it, in increasing order.

        Examples
        --------
        >>> tree = MergeTree(4, np.array([[0, 1], [2, 3], [4, 5]]), np.array([0.5, 0.25, 0.75]))
        >>> tree.subtree(5).tolist(), tree.leaves_of(6).tolist(), tree.lowest_common_ancestor(1, 2).tolist()
        ([2, 3, 5], [0, 1, 2, 3], 6)
        """
        below = np.zeros(self.n_leaves + self.n_merges, dtype=np.bool_)
        below[self._check(node)] = True
        trees.spread_down(self.parent, below)
        return np.flatnonzero(below)

    def leaves_of(self, node: int) -> Ints:
        """Return the leaves below `node`, in increasing order; a leaf has itself."""
        below = self.subtree(node)
        return below[: np.searchsorted(below, self.n_leaves)]

    def lowest_common_ancestor(self, a: ArrayLike, b: ArrayLike) -> Ints:
        """Return the node in which nodes `a` and `b` came together; -1 if they never did.

        Two arrays of nodes are compared one by one, in time log(N + M) each.
        """
        first, second = np.broadcast_arrays(self._check(a), self._check(b))
        # Copies: views of what was broadcast warn whoever asks whether they can be written to.
        found = trees.common_ancestors(self.parent, self._path_top, first.flatten(), second.flatten())
        return found.reshape(first.shape)[()]  # a number if both are

    def _check(self, nodes: ArrayLike) -> Ints:
        found = np.asarray(nodes)
        if found.size and found.dtype.kind not in "iu":
            raise LabelError(f"nodes are whole numbers; got {nodes!r}.")
        unknown = (found < 0) | (found >= self.n_leaves + self.n_merges)
        if unknown.any():
            raise LabelError(
                f"there is no node {found[unknown].flat[0]} in a tree of {self.n_leaves} leaves and "
                f"{self.n_merges} merges."
            )
        return found.astype(np.int64)

    # -- other trees -----------------------------------------------------------------------------------------------

    def below(self, threshold: float) -> MergeTree:
        """Return the tree of the merges of a height up to `threshold`: its roots are the segments of that cut."""
        return self._keep(self.height <= check_threshold(threshold, self.limit))

    def without(self, nodes: ArrayLike) -> MergeTree:
        """Return the tree without the merges that made `nodes`, and without those that stand on them.

        The other merges stay as they are, in their order; nodes are numbered anew.

        Raises
        ------
        LabelError
            If one of them is no node, or a leaf.

        Examples
        --------
        >>> tree = MergeTree(4, np.array([[0, 1], [2, 3], [4, 5]]), np.array([0.5, 0.25, 0.75]))
        >>> tree.without(4).children.tolist()
        [[2, 3]]
        """
        return self._keep(self.kept_without(nodes))

    def kept_without(self, nodes: ArrayLike) -> Bools:
        """Tell which merges are left in the tree `without` nodes, shape (M,)."""
        undone = self._check(nodes)
        if (undone < self.n_leaves).any():
            raise LabelError(f"node {undone[undone < self.n_leaves].flat[0]} is a leaf, which no merge made.")
        above = np.zeros(self.n_leaves + self.n_merges, dtype=np.bool_)
        above[undone] = True
        trees.spread_up(self.parent, above)
        return ~above[self.n_leaves :]

    def _keep(self, kept: Bools) -> MergeTree:
        """Return the tree of some merges, bool of shape (M,), none of which stands on one that is left out."""
        number = np.concatenate([np.arange(self.n_leaves), self.n_leaves + np.cumsum(kept) - 1])
        return replace(self, children=number[self.children[kept]], priority=self.priority[kept])

    def to_linkage(self) -> Array:
        """Return the tree as scipy writes it, float64 of shape (N - 1, 4).

        Columns are two nodes, the height and the number of leaves, ordered by height. What was never merged is
        joined at height infinity.

        Examples
        --------
        >>> MergeTree(3, np.array([[1, 2]]), np.array([0.5])).to_linkage()
        array([[1. , 2. , 0.5, 2. ],
               [0. , 3. , inf, 3. ]])
        """
        n = self.n_leaves
        order = np.argsort(self.height, kind="stable")
        number = np.arange(n + self.n_merges)
        number[n + order] = n + np.arange(self.n_merges)
        children = np.sort(number[self.children[order]], axis=1)
        height = self.height[order]
        is_child = np.zeros(2 * n - 1 if n else 0, dtype=np.bool_)
        is_child[children] = True
        roots = np.flatnonzero(~is_child[: n + self.n_merges])
        waiting = np.concatenate([roots, np.arange(n + self.n_merges, 2 * n - 2)])
        children = np.concatenate([children, waiting[: 2 * max(len(roots) - 1, 0)].reshape(-1, 2)])
        height = np.concatenate([height, np.full(len(children) - len(height), np.inf)])
        n_leaves_of = np.ones(2 * n - 1 if n else 0)
        for k, pair in enumerate(children):
            n_leaves_of[n + k] = n_leaves_of[pair].sum()
        return np.column_stack([children, height, n_leaves_of[n:]])

    def save(self, file: _files.FileName) -> None:
        """Write the tree to `file`, a NumPy archive (.npz); an older file is only replaced by a complete one.

        Raises
        ------
        FileError
            If the file cannot be written.
        """
        constraints = {_PREFIX + name: array for name, array in self.constraints.to_arrays().items()}
        merges = {name: getattr(self, name) for name in ("n_leaves", "children", "priority", "limit")}
        _files.write_archive(file, FORMAT, merges | constraints)

    @classmethod
    def load(cls, file: _files.FileName) -> MergeTree:
        """Read a tree that `save` wrote. Nothing in the file is ever executed.

        Raises
        ------
        FileError
            If the file is missing, damaged, no merge tree, or from a newer version.
        """
        return _files.read_archive(file, "a merge tree", FORMAT, _from_arrays)


def _from_arrays(arrays: Mapping[str, Array]) -> MergeTree:
    merges = int(arrays["n_leaves"]), arrays["children"], arrays["priority"]
    if int(arrays["format"]) == 1:
        return MergeTree(*merges)
    named = {name.removeprefix(_PREFIX): arrays[name] for name in arrays if name.startswith(_PREFIX)}
    return MergeTree(*merges, Constraints.from_arrays(named), float(arrays.get("limit", np.inf)))


def _is_forest(n_leaves: int, children: Ints, priority: Floats) -> bool:
    """Tell whether merges make a forest: each of two nodes made before and merged by no other, no priority NaN."""
    made = n_leaves + np.arange(len(children))
    if n_leaves < 0 or priority.ndim != 1 or np.isnan(priority).any():
        return False
    if (children < 0).any() or (made <= children.T).any():
        return False
    return bool(np.bincount(children.ravel(), minlength=1).max() <= 1)


def check_threshold(threshold: float, limit: float = np.inf) -> float:
    """Return `threshold` as a float; raise SettingError if it is NaN, no number, or above the limit of a tree."""
    try:
        value = float(threshold)
    except (TypeError, ValueError):
        value = np.nan
    if np.isnan(value):
        raise SettingError(f"threshold must be a number; got {threshold!r}.")
    if limit < value < np.inf:
        raise SettingError(
            f"this tree ends at {limit:g}, as no merge above was asked for; got threshold {value:g}: segment "
            "again with this threshold, or with a limit as high."
        )
    return value
