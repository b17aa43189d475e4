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
def spans(children: Ints, n_leaves: int) -> Ints:
    """Return where the leaves of each node begin and end, shape (N + M, 2), in an order that keeps them together."""
    parent = parents(children, n_leaves)
    out = np.zeros((parent.size, 2), dtype=np.int64)
    out[:n_leaves, 1] = 1  # at first the number of leaves
    for k in range(children.shape[0]):
        out[n_leaves + k, 1] = out[children[k, 0], 1] + out[children[k, 1], 1]
    begin = 0
    for node in range(parent.size - 1, -1, -1):
        if parent[node] < 0:
            out[node, 0] = begin
            begin += out[node, 1]
        if node >= n_leaves:
            first, second = children[node - n_leaves]
            out[first, 0] = out[node, 0]
            out[second, 0] = out[node, 0] + out[first, 1]
    out[:, 1] += out[:, 0]
    return out


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
def path_tops(parent: Ints) -> Ints:
    """Return the top of the path that each node is on, shape (N + M,).

    A path goes from each node down to the child with more nodes below it: there are few paths above a node, however
    deep it lies.
    """
    size = np.ones(parent.size, dtype=np.int64)
    for node in range(parent.size):
        if parent[node] >= 0:
            size[parent[node]] += size[node]
    heavier = np.full(parent.size, -1)
    for node in range(parent.size):
        above = parent[node]
        if above >= 0 and (heavier[above] < 0 or size[node] > size[heavier[above]]):
            heavier[above] = node
    top = np.arange(parent.size)
    for node in range(parent.size - 1, -1, -1):
        if parent[node] >= 0 and heavier[parent[node]] == node:
            top[node] = top[parent[node]]
    return top


@kernel
def common_ancestors(parent: Ints, top: Ints, a: Ints, b: Ints) -> Ints:
    """Return the lowest node above both or equal to both of each pair, shape (P,); -1 if there is none."""
    out = np.empty(a.size, dtype=np.int64)
    for i in range(a.size):
        u, v = a[i], b[i]
        while u >= 0 and v >= 0 and top[u] != top[v]:
            if top[u] < top[v]:  # not the path of the ancestor: what hangs on that has a lower number than its top
                u = parent[top[u]]
            else:
                v = parent[top[v]]
        out[i] = max(u, v) if u >= 0 and v >= 0 else -1
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


@kernel
def latest(children: Ints, priority: Floats, rank: Ints, n_leaves: int) -> Ints:
    """Return the merge of highest priority, then rank, in the tree below each merge, itself included, shape (M,)."""
    out = np.arange(priority.size)
    for k in range(out.size):
        for side in range(2):
            child = children[k, side] - n_leaves
            if child >= 0:
                mine, other = out[k], out[child]
                if priority[other] > priority[mine] or (priority[other] == priority[mine] and rank[other] > rank[mine]):
                    out[k] = other
    return out


@kernel
def follow_lowest(pairs: Ints, n_leaves: int, children: Ints) -> bool:
    """Write the nodes of merges, shape (M, 2), that are given by the lowest leaf of either side, the lower first.

    Returns False if one of them was merged into a lower one before.
    """
    node = np.arange(n_leaves)  # that each leaf is the lowest of; -1 if it is none's
    for k in range(pairs.shape[0]):
        u, v = pairs[k]
        if u >= v or node[u] < 0 or node[v] < 0:
            return False
        children[k, 0] = min(node[u], node[v])
        children[k, 1] = max(node[u], node[v])
        node[u] = n_leaves + k
        node[v] = -1
    return True
