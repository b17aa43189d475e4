"""A merge tree beside the overlaps of its leaves with the truth: what each merge changes, and each cut in turn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from gala._kernels import climb, trees
from gala._types import Array, ArrayLike, Floats, Ints, Labels
from gala.errors import LabelError, SettingError
from gala.evaluate.contingency import LabelTable, Table, overlaps_of, table_of
from gala.graph.labels import as_labels
from gala.graph.overlaps import Overlaps, totals
from gala.graph.tree import MergeTree


@dataclass(frozen=True, eq=False)
class Cuts:
    """The R different cuts of a merge tree, from the finest to the coarsest."""

    tree: MergeTree

    @cached_property
    def threshold(self) -> Floats:
        """The lowest threshold of each cut, shape (R,), increasing; minus infinity first."""
        return np.unique(np.concatenate([[-np.inf], self.tree.height]))

    @cached_property
    def row(self) -> Ints:
        """The first cut in which each merge is made, shape (M,)."""
        return np.searchsorted(self.threshold, self.tree.height)

    @cached_property
    def _order(self) -> Ints:
        return np.argsort(self.row, kind="stable")

    @cached_property
    def n_made(self) -> Ints:
        """How many merges are made in each cut, shape (R,)."""
        return np.cumsum(np.bincount(self.row, minlength=len(self.threshold)))

    def find(self, threshold: float) -> int:
        """Return the cut that `threshold` makes."""
        return int(np.searchsorted(self.threshold, threshold, side="right")) - 1

    def sum(self, start: float, change: Array) -> Floats:
        """Return a number in each cut, shape (R,): `start` before all merges, each of which adds its `change`."""
        running = np.cumsum(change[self._order], dtype=np.float64)
        return start + np.concatenate([[0.0], running])[self.n_made]


@dataclass(frozen=True, eq=False)
class Changes:
    """What the M merges of a tree with N leaves change."""

    overlaps: Overlaps  # of superpixels with the truth, without what is ignored
    cuts: Cuts
    size_threshold: float
    size: Floats  # (N + M,) voxels of each node, of those counted
    in_seg: Floats  # (M,) pairs of voxels that come together
    in_both: Floats  # (M,) those of them that are together in the truth
    vi_merges: Floats  # (M,) bits of false merges, 0 or more
    vi_splits: Floats  # (M,) bits of false splits, 0 or less
    main: Ints  # (N + M,) position of the true object of which there is most in each node; -1 if none
    n_large: Ints  # (N + M,) overlaps of each node with more voxels than the size threshold
    first_large: Ints  # (T,) cut from which on an object has such an overlap; R if it never has

    @property
    def large_overlaps(self) -> Ints:
        """How many large overlaps each merge adds to those there are, shape (M,)."""
        return self._change(self.n_large)

    @property
    def large_segments(self) -> Ints:
        """How many segments with a large overlap each merge adds to those there are, shape (M,)."""
        return self._change((self.n_large > 0).astype(np.int64))

    def _change(self, of_node: Ints) -> Ints:
        tree = self.cuts.tree
        change: Ints = of_node[tree.n_leaves :] - of_node[tree.children].sum(axis=1)
        return change


def changes_along(cuts: Cuts, overlaps: Overlaps, leaf: Ints, size_threshold: float) -> Changes:
    """Return what each merge changes, given the `leaf` of each superpixel (`leaves_of_labels`)."""
    tree = cuts.tree
    spans = trees.spans(tree.children, tree.n_leaves)
    kept = np.flatnonzero((leaf[overlaps.seg_index] >= 0) & (overlaps.counts > 0))
    place = spans[leaf[overlaps.seg_index[kept]], 0]
    order = kept[np.argsort(place, kind="stable")]
    amount = overlaps.counts[order].astype(np.float64)
    first = np.concatenate([[0], np.cumsum(np.bincount(place, minlength=tree.n_leaves))])
    size = _within(spans, first, amount)
    n_nodes, n_objects = len(spans), len(overlaps.truth_labels)
    large = overlaps.counts > size_threshold
    first_large = np.full(n_objects, len(cuts.threshold))
    first_large[overlaps.truth_index[large]] = 0
    found = climb.Climb(
        children=tree.children,
        spans=spans,
        size=size,
        row=np.concatenate([np.zeros(tree.n_leaves, dtype=np.int64), cuts.row]),
        first=first,
        truth=overlaps.truth_index[order].astype(np.int64),
        amount=amount,
        total=float(overlaps.counts.sum()),
        size_threshold=float(size_threshold),
        change=np.zeros((tree.n_merges, 4)),
        main=np.full(n_nodes, -1),
        n_large=np.zeros(n_nodes, dtype=np.int64),
        first_large=first_large,
    )
    climb.climb(found)
    seg_bits, both_bits, in_seg, in_both = found.change.T
    bits = seg_bits - both_bits, -both_bits
    return Changes(overlaps, cuts, size_threshold, size, in_seg, in_both, *bits, found.main, found.n_large, first_large)


def node_sizes(tree: MergeTree, overlaps: Overlaps, leaf: Ints) -> Floats:
    """Return the number of voxels of each node, shape (N + M,)."""
    known = leaf >= 0
    spans = trees.spans(tree.children, tree.n_leaves)
    of_place = totals(spans[leaf[known], 0], overlaps.seg_sizes[known].astype(np.float64), tree.n_leaves)
    return _within(spans, np.arange(tree.n_leaves + 1), of_place)


def leaves_of_labels(tree: MergeTree, superpixels: Labels, labels: ArrayLike | None) -> tuple[Ints, Labels]:
    """Return the leaf of each superpixel, given by increasing labels, -1 if it has none; and the label of each leaf.

    Raises
    ------
    SettingError
        If the tree has another number of leaves than there are labels.
    LabelError
        If `labels` do not increase.
    """
    known = superpixels if labels is None else as_labels(labels, "labels", allow_empty=True)
    if known.shape != (tree.n_leaves,):
        what = "superpixels" if labels is None else "labels"
        raise SettingError(
            f"the {what} must be those that the tree was made of, one for each leaf: it has {tree.n_leaves} leaves; "
            f"got {known.size} {what}. If some superpixels are in no region of the graph, pass labels=graph.labels."
        )
    # NumPy would compare int64 with uint64 as floats.
    known_labels, wanted = known.astype(np.uint64), superpixels.astype(np.uint64)
    if (known_labels[1:] <= known_labels[:-1]).any():
        raise LabelError("labels must increase, as those of a region graph do.")
    if not len(known):
        return np.full(len(wanted), -1), known
    leaf = np.minimum(np.searchsorted(known_labels, wanted), len(known) - 1)
    return np.where(known_labels[leaf] == wanted, leaf, -1), known


def segments_at(tree: MergeTree, overlaps: Overlaps, leaf: Ints, labels: Labels, threshold: float) -> Overlaps:
    """Return the overlaps of the segments of a cut, each named by its lowest superpixel."""
    dtype = np.result_type(overlaps.seg_labels, labels)
    named = overlaps.seg_labels.astype(np.uint64 if dtype.kind == "f" else dtype)
    if len(labels):
        named = np.where(leaf >= 0, labels[tree.cut(threshold)[leaf]].astype(named.dtype), named)
    return renamed(overlaps, named)


def renamed(overlaps: Overlaps, names: Labels) -> Overlaps:
    """Return the overlaps of superpixels that are given other names, shape (N,): those of one name are one segment."""
    seg_labels, of_label = np.unique(names, return_inverse=True)
    n_objects = len(overlaps.truth_labels)
    pair, owner = np.unique(of_label[overlaps.seg_index] * n_objects + overlaps.truth_index, return_inverse=True)
    counts = totals(owner, overlaps.counts, len(pair))
    return Overlaps(seg_labels, overlaps.truth_labels, *np.divmod(pair, n_objects), counts)


def overlaps_with(
    superpixels: ArrayLike | Table | Overlaps,
    truth: ArrayLike | None = None,
    *,
    ignore_seg: Sequence[int] = (),
    ignore_truth: Sequence[int] = (),
) -> Overlaps:
    """Return what `overlaps_of` returns; overlaps will do in place of a table."""
    return overlaps_of(_as_table(superpixels), truth, ignore_seg=ignore_seg, ignore_gt=ignore_truth)


def table_with(superpixels: ArrayLike | Table | Overlaps, truth: ArrayLike | None = None) -> LabelTable:
    """Return what `table_of` returns; overlaps will do in place of a table."""
    return table_of(_as_table(superpixels), truth)


def _as_table(superpixels: ArrayLike | Table | Overlaps) -> ArrayLike | Table:
    return LabelTable(superpixels, superpixels.counts) if isinstance(superpixels, Overlaps) else superpixels


def _within(spans: Ints, first: Ints, amount: Floats) -> Floats:
    """Return the sum of the amounts below each node; exact for whole numbers up to 2**53."""
    running = np.concatenate([[0.0], np.cumsum(amount)])[first]
    sums: Floats = running[spans[:, 1]] - running[spans[:, 0]]
    return sums
