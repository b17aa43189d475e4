"""Run lengths along a merge tree: what each merge adds to the expected run length of skeletons, or takes from it."""

from __future__ import annotations

import numpy as np

from gala._kernels import runs, trees
from gala._types import Floats, Ints, Labels
from gala.errors import LabelError
from gala.evaluate.skeletons import RunLengths
from gala.graph.tree import MergeTree


def run_changes(tree: MergeTree, found: RunLengths, superpixels: Labels, leaf: Ints) -> Floats:
    """Return what each merge of a tree adds to the sum of the squares of correct runs, shape (M,).

    Over the length that counts, that is what it adds to the expected run length.

    Parameters
    ----------
    tree : MergeTree
        N leaves, M merges.
    found : RunLengths
        Of skeletons in the superpixels, before any merge.
    superpixels : array of int, shape (L,)
        Labels, increasing.
    leaf : array of int, shape (L,)
        The leaf of each superpixel, -1 if it has none.

    Raises
    ------
    LabelError
        If nodes of skeletons lie in other labels.
    """
    squares, n_large = _measured(tree, found, _leaves(found, superpixels, leaf))
    correct = np.where(n_large > 1, 0.0, squares)
    changes: Floats = correct[tree.n_leaves :] - correct[tree.children].sum(axis=1)
    return changes


def _measured(tree: MergeTree, found: RunLengths, leaf: Ints) -> tuple[Floats, Ints]:
    """Return the sum of squares of runs in each node, mergers or not, and how many skeletons it overlaps enough."""
    skeletons = found.skeletons
    u, v = skeletons.edges.T
    joined = np.full(len(u), -1)  # where both ends of each edge are in one segment first
    both = np.flatnonzero((leaf[u] >= 0) & (leaf[v] >= 0))
    joined[both] = tree.lowest_common_ancestor(leaf[u[both]], leaf[v[both]])
    order, first, own, last = _subtrees(tree, np.concatenate([leaf, joined]))
    lengths, by_nodes = skeletons.edge_lengths, found.merge_by == "nodes"
    n_nodes, owner = tree.n_leaves + tree.n_merges, skeletons.owner_index
    given = runs.Runs(
        children=tree.children,
        first=first,
        own=own,
        last=last,
        skeleton=np.concatenate([owner, owner[u]])[order],
        length=np.concatenate([np.zeros(len(leaf)), lengths])[order],
        overlap=np.concatenate([np.full(len(leaf), float(by_nodes)), lengths * (not by_nodes)])[order],
        merge_threshold=float(found.merge_threshold),
        run=np.zeros(len(skeletons.ids)),
        shared=np.zeros(len(skeletons.ids)),
        squares=np.zeros(n_nodes),
        n_large=np.zeros(n_nodes, dtype=np.int64),
    )
    runs.measure_runs(given)
    return given.squares, given.n_large


def _leaves(found: RunLengths, superpixels: Labels, leaf: Ints) -> Ints:
    """Return the leaf under each node of skeletons, shape (K,); -1 if there is none."""
    at = found.node_labels
    known, wanted = superpixels.astype(np.uint64), at.labels[at.is_segmented].astype(np.uint64)
    position = np.minimum(np.searchsorted(known, wanted), len(known) - 1)
    lost = wanted[known[position] != wanted]
    if len(lost):
        raise LabelError(
            f"runs must be those of skeletons in the superpixels of the tree; {lost[0]} is under a node, and none of "
            "them. Pass run_lengths(skeletons, superpixels, ...)."
        )
    under = np.full(len(at.labels), -1)
    under[at.is_segmented] = leaf[position]
    return under


def _subtrees(tree: MergeTree, node: Ints) -> tuple[Ints, Ints, Ints, Ints]:
    """Return pieces at nodes, -1 for nowhere, in an order that keeps subtrees together.

    With that order come the first piece below each node, the first of its own, which are the last below it, and the
    end of both, shape (N + M,) all.
    """
    spans = trees.spans(tree.children, tree.n_leaves)
    n_below = spans[:, 1] - spans[:, 0]
    rank = np.empty(len(spans), dtype=np.int64)  # children before parents
    rank[np.lexsort((n_below, spans[:, 1]))] = np.arange(len(spans))
    placed = np.flatnonzero(node >= 0)
    of_piece = rank[node[placed]]
    starts = np.concatenate([[0], np.cumsum(np.bincount(of_piece, minlength=len(spans)))])
    order = placed[np.argsort(of_piece, kind="stable")]
    return order, starts[rank - 2 * (n_below - 1)], starts[rank], starts[rank + 1]
