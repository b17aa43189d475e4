"""Loops over merge trees: N leaves, M merges, merge k makes node N + k of two nodes made before."""

from __future__ import annotations

import numpy as np

from gala._kernels.jit import kernel
from gala._types import Floats, Ints


@kernel
def heights(children: Ints, priority: Floats, n_leaves: int) -> Floats:
    """Return the height of each merge, shape (M,): the highest priority in the tree below it, itself included."""
    out = priority.copy()
    for k in range(out.size):
        for side in range(2):
            child = children[k, side] - n_leaves
            if child >= 0:
                out[k] = max(out[k], out[child])
    return out


@kernel
def lowest_leaves(children: Ints, n_leaves: int) -> Ints:
    """Return the lowest leaf of each node, shape (N + M,)."""
    lowest = np.arange(n_leaves + children.shape[0])
    for k in range(children.shape[0]):
        lowest[n_leaves + k] = min(lowest[children[k, 0]], lowest[children[k, 1]])
    return lowest


@kernel
def cut(children: Ints, height: Floats, n_leaves: int, threshold: float) -> Ints:
    """Return, for each leaf, the lowest leaf that merges of a height up to `threshold` join it with."""
    value = lowest_leaves(children, n_leaves)
    for k in range(children.shape[0] - 1, -1, -1):
        if height[k] <= threshold:
            for side in range(2):
                value[children[k, side]] = value[n_leaves + k]
    return value[:n_leaves].copy()
