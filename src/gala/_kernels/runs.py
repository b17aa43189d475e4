"""The correct runs of skeletons in each node of a merge tree, in one walk, as `gala._kernels.climb` walks it.

Pieces of skeletons lie at nodes of the tree: their nodes at leaves, and each of their edges at the first node that
holds both of its ends.
"""

from __future__ import annotations

from typing import NamedTuple

from gala._kernels.jit import kernel, pasted
from gala._kernels.trees import parents
from gala._types import Floats, Ints


class Runs(NamedTuple):
    """A tree of N leaves and M merges, the K pieces of S skeletons that lie in it, and room for the result."""

    children: Ints  # (M, 2)
    first: Ints  # (N + M,) where the pieces below each node begin, in an order that keeps them together
    own: Ints  # (N + M,) where those at the node itself begin, which come last
    last: Ints  # (N + M,) where they end
    skeleton: Ints  # (K,)
    length: Floats  # (K,)
    overlap: Floats  # (K,) what each adds to the overlap of its skeleton with a segment
    merge_threshold: float  # overlaps above it make a segment of two skeletons a merger
    run: Floats  # (S,) zeros, to work in
    shared: Floats  # (S,) zeros, to work in
    squares: Floats  # (N + M,) sums of squares of the lengths of the runs in each node
    n_large: Ints  # (N + M,) skeletons that each node overlaps by more than the threshold


@kernel
def measure_runs(r: Runs) -> None:
    """Write the squares of the runs in each node, and how many skeletons it overlaps."""
    n_leaves = r.first.size - r.children.shape[0]
    parent = parents(r.children, n_leaves)
    for top in range(parent.size):
        if parent[top] >= 0 and _longer(r, parent[top] - n_leaves) == top:
            continue  # within a path
        node = top
        while node >= n_leaves:
            node = _longer(r, node - n_leaves)
        _add(r, node, r.first[node], r.last[node])
        while node != top:
            below, node = node, parent[node]
            part = r.children[node - n_leaves, 0] + r.children[node - n_leaves, 1] - below
            r.squares[node], r.n_large[node] = r.squares[below], r.n_large[below]
            _add(r, node, r.first[part], r.last[part])
            _add(r, node, r.own[node], r.last[node])
        for i in range(r.first[top], r.last[top]):
            r.run[r.skeleton[i]] = r.shared[r.skeleton[i]] = 0.0


@pasted
def _longer(r: Runs, k: int) -> int:
    """Return the child of merge `k` with more pieces, the first of equals."""
    a, b = r.children[k, 0], r.children[k, 1]
    return int(a if r.last[a] - r.first[a] >= r.last[b] - r.first[b] else b)


@pasted
def _add(r: Runs, node: int, start: int, stop: int) -> None:
    """Add pieces to the runs of `node`."""
    for i in range(start, stop):
        s = r.skeleton[i]
        r.squares[node] += r.length[i] * (2 * r.run[s] + r.length[i])
        r.run[s] += r.length[i]
        before = r.shared[s]
        r.shared[s] += r.overlap[i]
        if before <= r.merge_threshold < r.shared[s]:
            r.n_large[node] += 1
