"""What each merge of a tree changes in the overlaps of its segments with true objects, in one walk.

From each leaf, and from each node that is the lighter of two, a path leads down to a leaf, always to the heavier
child; the paths cover the tree. Along a path, from the leaf up, the overlaps of the segment stay in one dense array,
and those of the lighter parts are added to it. A leaf is added once for each path above it: K overlaps take time
K log(K), whatever the shape of the tree.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from gala._kernels.jit import kernel, pasted
from gala._kernels.learning import log_gain
from gala._kernels.trees import parents
from gala._types import Floats, Ints

SEG_BITS, BOTH_BITS, SEG_PAIRS, BOTH_PAIRS = 0, 1, 2, 3  # columns of `Climb.change`


class Climb(NamedTuple):
    """A tree of N leaves and M merges, the K overlaps of its leaves with T true objects, and room for the result."""

    children: Ints  # (M, 2)
    spans: Ints  # (N + M, 2), of `gala._kernels.trees.spans`
    size: Floats  # (N + M,) voxels of each node
    row: Ints  # (N + M,) of the curve from which on each node is there; 0 for leaves
    first: Ints  # (N + 1,) where the overlaps of each leaf begin, in the order of `spans`
    truth: Ints  # (K,)
    amount: Floats  # (K,) above 0
    total: float  # voxels
    size_threshold: float  # overlaps above it are large
    change: Floats  # (M, 4) gain of sums of p log2(p), of segments and of overlaps; pairs that come together in both
    main: Ints  # (N + M,) the true object of which there is most in each node, the lowest of several; -1 if none
    n_large: Ints  # (N + M,) large overlaps of each node
    first_large: Ints  # (T,) row from which on an object has a large overlap; no more than what is there before


@kernel
def climb(c: Climb) -> None:
    """Write what each merge changes."""
    n_leaves, n_objects = c.first.size - 1, c.first_large.size
    parent = parents(c.children, n_leaves)
    here, added = np.zeros(n_objects), np.zeros(n_objects)
    touched = np.empty(n_objects, dtype=np.int64)
    for top in range(parent.size):
        if parent[top] >= 0 and _heavier(c, parent[top] - n_leaves) == top:
            continue  # within a path
        node = top
        while node >= n_leaves:
            node = _heavier(c, node - n_leaves)
        _join(c, here, added, touched, -1, node, node)
        while node != top:
            below, node = node, parent[node]
            part = c.children[node - n_leaves, 0] + c.children[node - n_leaves, 1] - below
            _join(c, here, added, touched, below, part, node)
        for i in range(c.first[c.spans[top, 0]], c.first[c.spans[top, 1]]):
            here[c.truth[i]] = 0.0


@pasted
def _heavier(c: Climb, k: int) -> int:
    """Return the child of merge `k` with more overlaps, the first of equals."""
    a, b = c.children[k, 0], c.children[k, 1]
    n_a = c.first[c.spans[a, 1]] - c.first[c.spans[a, 0]]
    n_b = c.first[c.spans[b, 1]] - c.first[c.spans[b, 0]]
    return int(a if n_a >= n_b else b)


@pasted
def _join(c: Climb, here: Floats, added: Floats, touched: Ints, below: int, part: int, node: int) -> None:
    """Add the overlaps of `part` to those of `below`, -1 for nothing, which are `here`; write the change to `node`."""
    n_touched = 0
    for i in range(c.first[c.spans[part, 0]], c.first[c.spans[part, 1]]):
        t = c.truth[i]
        if added[t] == 0.0:
            touched[n_touched] = t
            n_touched += 1
        added[t] += c.amount[i]
    bits, pairs = 0.0, 0.0
    best = c.main[below] if below >= 0 else -1
    most = here[best] if best >= 0 else 0.0
    n_large = c.n_large[below] if below >= 0 else 0
    for i in range(n_touched):
        t = touched[i]
        before, after = here[t], here[t] + added[t]
        bits += log_gain(before, added[t], c.total)
        pairs += before * added[t]
        if before <= c.size_threshold < after:
            n_large += 1
            c.first_large[t] = min(c.first_large[t], c.row[node])
        if after > most or (after == most and t < best):
            best, most = t, after
        here[t], added[t] = after, 0.0
    c.main[node], c.n_large[node] = best, n_large
    merge = node - c.first.size + 1
    if merge >= 0:
        c.change[merge, SEG_BITS] = log_gain(c.size[below], c.size[part], c.total)
        c.change[merge, BOTH_BITS] = bits
        c.change[merge, SEG_PAIRS] = c.size[below] * c.size[part]
        c.change[merge, BOTH_PAIRS] = pairs
