"""What truth says of a merge, and the merge loop that writes down each decision it meets as an example."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from gala._kernels.containers import Bags, main_label, pour
from gala._kernels.heap import NOTHING, pop_edge, set_priority
from gala._kernels.jit import kernel, pasted
from gala._kernels.loop import describe_edge, priority_of
from gala._kernels.merge import merge_edge
from gala._kernels.models import Model
from gala._kernels.program import Program
from gala._kernels.state import END, N_TOUCHED, PRIORITY, State, new_room
from gala._types import Array, Floats, Ints

STRICT, LOOSE, PERMISSIVE = 0, 1, 2
FULL, POPPED = 0, 1  # entries of `Examples.counters`
MERGE, KEEP_APART = -1.0, 1.0


class Truths(NamedTuple):
    """G segmentations that are true: how much of each region lies in each of their objects."""

    overlaps: Bags  # G * N bags: that of region r in truth g is number g * N + r; void voxels left out
    totals: Floats  # (G,) voxels counted in each
    n_regions: int
    n_voxels: float  # of all regions, void included


class Examples(NamedTuple):
    """Room for S examples, and which decisions are carried out."""

    X: Floats  # (S, F) features
    y: Floats  # (S, 3) by assignment, VI sign and Rand sign: -1 merge, +1 don't
    w: Floats  # (S, 2) change of VI and Rand index if the regions lay in two true objects
    merges: Ints  # (S, 2) nodes of the merge tree
    counters: Ints  # (2,): examples written; a contact that was popped when there was no room for it, or -1
    mode: int  # STRICT, LOOSE or PERMISSIVE
    scheme: int  # the column of `y` that strict and permissive learning obey


@pasted
def judge(truths: Truths, u: int, v: int, size_u: float, size_v: float, y: Floats, w: Floats) -> None:
    """Write labels, shape (3,), and weights, shape (2,), of merging regions `u` and `v`.

    A label is the sign of the mean over the truths. Ties count as don't merge.
    """
    n_truths = truths.totals.size
    agreed, vi_change, rand_change = 0, 0.0, 0.0
    for g in range(n_truths):
        a, b = g * truths.n_regions + u, g * truths.n_regions + v
        main = main_label(truths.overlaps, a)
        agreed += 1 if main >= 0 and main == main_label(truths.overlaps, b) else -1
        vi_change += true_vi_change(truths.overlaps, a, b, truths.totals[g])
        rand_change += true_rand_change(truths.overlaps, a, b, truths.totals[g])
    y[0] = MERGE if agreed > 0 else KEEP_APART
    y[1] = MERGE if vi_change < -1e-12 else KEEP_APART  # rounding must not decide a tie
    y[2] = MERGE if rand_change > 0 else KEEP_APART
    n = truths.n_voxels
    w[0] = wrong_vi_change(size_u, size_v, n)
    w[1] = wrong_rand_change(size_u, size_v, n)


@pasted
def wrong_vi_change(size_u: float, size_v: float, n: float) -> float:
    """Return by how many bits the VI of a volume of `n` voxels rises if two true objects become one."""
    return float(x_log_x((size_u + size_v) / n) - x_log_x(size_u / n) - x_log_x(size_v / n))


@pasted
def wrong_rand_change(size_u: float, size_v: float, n: float) -> float:
    """Return by how much the Rand index of a volume of `n` voxels falls if two true objects become one."""
    return size_u * size_v / (n * (n - 1) / 2)


@pasted
def true_vi_change(overlaps: Bags, a: int, b: int, total: float) -> float:
    """Return by how many bits the variation of information changes when bags `a` and `b` become one."""
    change = log_gain(overlaps.total[a], overlaps.total[b], total)
    i, j = overlaps.head[a], overlaps.head[b]
    while i >= 0 and j >= 0:
        if overlaps.label[i] == overlaps.label[j]:
            change -= 2 * log_gain(overlaps.amount[i], overlaps.amount[j], total)
        i, j = _advance(overlaps, i, j)
    return change


@pasted
def true_rand_change(overlaps: Bags, a: int, b: int, total: float) -> float:
    """Return by how much the Rand index changes when bags `a` and `b` become one."""
    right = 0.0
    i, j = overlaps.head[a], overlaps.head[b]
    while i >= 0 and j >= 0:
        if overlaps.label[i] == overlaps.label[j]:
            right += overlaps.amount[i] * overlaps.amount[j]
        i, j = _advance(overlaps, i, j)
    wrong = overlaps.total[a] * overlaps.total[b] - right
    return float((right - wrong) / max(total * (total - 1) / 2, 1.0))


@pasted
def x_log_x(x: float) -> float:
    """Return ``x * log2(x)``, 0 at 0."""
    return float(x * np.log2(x)) if x > 0 else 0.0


@pasted
def allows(examples: Examples, row: int, probability: float) -> bool:
    """Tell whether the merge of example `row`, which the policy gives `probability` of being wrong, is carried out."""
    if examples.mode == LOOSE or examples.y[row, examples.scheme] == MERGE:
        return True
    return examples.mode == PERMISSIVE and probability < 0.5


@kernel
def learn(
    state: State,
    program: Program,
    model: Model,
    feature_program: Program,
    truths: Truths,
    examples: Examples,
    rescore_all: bool,
    x: Floats,
    scratch: Array,
) -> int:
    """Agglomerate to the end, and write down an example for each contact popped.

    Returns -1 at the end, -2 if `examples` is full (call again with more room), or the contact whose priority came
    out as NaN.
    """
    room = new_room(state)
    while True:
        e = examples.counters[POPPED]
        if e < 0:
            e = pop_edge(state, np.inf)
        if e == NOTHING:
            return -1
        row = examples.counters[FULL]
        if row == examples.X.shape[0]:
            examples.counters[POPPED] = e
            return -2
        examples.counters[POPPED] = -1
        describe_edge(state, feature_program, e, examples.X[row], room)
        write_example(state, truths, examples, e)
        if not allows(examples, row, state.scores[e, PRIORITY]):
            state.scores[e, PRIORITY] = np.inf
            continue
        merge_and_pour(state, truths, e, rescore_all)
        for i in range(state.counters[N_TOUCHED]):
            touched = state.touched[i]
            priority = priority_of(state, program, model, touched, x, scratch, room)
            if np.isnan(priority):
                return int(touched)
            set_priority(state, touched, priority, np.inf)


@pasted
def write_example(state: State, truths: Truths, examples: Examples, e: int) -> None:
    """Write what truth says of contact `e` to the next row of `examples`, features aside."""
    row = examples.counters[FULL]
    u, v = state.links[e, END], state.links[e, END + 1]
    judge(truths, u, v, state.size[u], state.size[v], examples.y[row], examples.w[row])
    examples.merges[row, 0] = min(state.node[u], state.node[v])
    examples.merges[row, 1] = max(state.node[u], state.node[v])
    examples.counters[FULL] = row + 1


@kernel
def write_examples(state: State, truths: Truths, examples: Examples, edges: Ints) -> None:
    """Write what truth says of each contact in `edges`."""
    for i in range(edges.size):
        write_example(state, truths, examples, edges[i])


@pasted
def merge_and_pour(state: State, truths: Truths, e: int, rescore_all: bool) -> None:
    """Merge the regions of contact `e`, and their overlaps with the truths."""
    u, v = state.links[e, END], state.links[e, END + 1]
    keep = merge_edge(state, e, rescore_all)
    gone = v if keep == u else u
    for g in range(truths.totals.size):
        pour(truths.overlaps, g * truths.n_regions + keep, g * truths.n_regions + gone)


@pasted
def log_gain(a: float, b: float, total: float) -> float:
    """Return by how much the sum of ``p * log2(p)`` rises when shares `a` and `b` of `total` become one."""
    return x_log_x((a + b) / total) - x_log_x(a / total) - x_log_x(b / total) if a > 0 and b > 0 else 0.0


@pasted
def _advance(overlaps: Bags, i: int, j: int) -> tuple[int, int]:
    """Return the next places in two lists: forward in the one with the lower label, or in both."""
    label_i, label_j = overlaps.label[i], overlaps.label[j]
    if label_i <= label_j:
        i = overlaps.following[i]
    if label_j <= label_i:
        j = overlaps.following[j]
    return i, j
