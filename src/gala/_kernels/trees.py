"""Loops over merge trees: N leaves, M merges, merge k makes node N + k of two nodes made before."""

from __future__ import annotations

import numpy as np

from gala._kernels.jit import kernel
from gala._types import Bools, Floats, Ints


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


@kernel
def parents(children: Ints, n_leaves: int) -> Ints:
    """Return the node that each node is merged into, shape (N + M,); -1 if it is a root."""
    parent = np.full(n_leaves + children.shape[0], -1)
    for k in range(children.shape[0]):
        parent[children[k, 0]] = n_leaves + k
        parent[children[k, 1]] = n_leaves + k
    return parent


@kernel
def roots(parent: Ints) -> Ints:
    """Return the root of the tree that each node is in, shape (N + M,)."""
    root = np.arange(parent.size)
    for node in range(parent.size - 1, -1, -1):
        if parent[node] >= 0:
            root[node] = root[parent[node]]
    return root


@kernel
def spread_down(parent: Ints, chosen: Bools) -> None:
    """Choose every node below a chosen one too; `chosen` has shape (N + M,)."""
    for node in range(parent.size - 1, -1, -1):
        if parent[node] >= 0 and chosen[parent[node]]:
            chosen[node] = True


@kernel
def spread_up(parent: Ints, chosen: Bools) -> None:
    """Choose every node above a chosen one too; `chosen` has shape (N + M,)."""
    for node in range(parent.size):
        if parent[node] >= 0 and chosen[node]:
            chosen[parent[node]] = True


@kernel
def common_ancestors(parent: Ints, a: Ints, b: Ints) -> Ints:
    """Return the lowest node above both or equal to both of each pair, shape (P,); -1 if there is none."""
    out = np.empty(a.size, dtype=np.int64)
    for i in range(a.size):
        u, v = a[i], b[i]
        while u != v and u >= 0 and v >= 0:
            if u < v:  # a parent has a higher number than its children
                u = parent[u]
            else:
                v = parent[v]
        out[i] = u if u == v else -1
    return out


@kernel
def mixed(children: Ints, part: Ints) -> Bools:
    """Tell which merges have leaves of two parts below them, shape (M,).

    `part`, shape (N,), is -1 for leaves of no part.
    """
    n_leaves = part.size
    of_node = np.full(n_leaves + children.shape[0], -1)  # -2 if of two parts
    of_node[:n_leaves] = part
    for k in range(children.shape[0]):
        first, second = of_node[children[k, 0]], of_node[children[k, 1]]
        if first == -1 or first == second:
            of_node[n_leaves + k] = second
        elif second == -1:
            of_node[n_leaves + k] = first
        else:
            of_node[n_leaves + k] = -2
    out: Bools = of_node[n_leaves:] == -2
    return out
