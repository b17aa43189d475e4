"""The merge loop: pop the contact of lowest priority, merge its regions, score again what changed.

The loop is made of `pop_edge`, `merge_edge` and `set_priority`; `agglomerate` runs it with a program and a model, and
the Python engine calls the same three with any other policy.
"""

from __future__ import annotations

import numpy as np

from gala._kernels.heap import NOTHING, pop_edge, set_priority
from gala._kernels.jit import kernel, pasted
from gala._kernels.merge import merge_edge
from gala._kernels.models import Model, score
from gala._kernels.program import Program, describe, finish
from gala._kernels.state import END, N_MERGES, N_TOUCHED, ROW, State, new_room, unpack_row
from gala._kernels.topology import refresh_pair
from gala._types import Array, Floats, Ints


@pasted
def order_pair(state: State, e: int) -> tuple[int, int]:
    """Return the regions of contact `e`, the smaller first; of two of one size, the lower node."""
    u, v = state.links[e, END], state.links[e, END + 1]
    size_u, size_v = state.size[u], state.size[v]
    if size_v < size_u or (size_u == size_v and state.node[v] < state.node[u]):
        return v, u
    return u, v


@pasted
def describe_edge(state: State, program: Program, e: int, out: Floats, room: Floats) -> None:
    """Write the features of contact `e` to `out`, shape (F,); `room`, shape (1, B), is for a row as it was given."""
    if program.reads_topology:
        refresh_pair(state, e)
    small, large = order_pair(state, e)
    row = state.links[e, ROW]
    if row >= 0:
        describe(program, state.region_rows, state.contact_rows, small, large, row, out)
    else:
        unpack_row(state, e, room, 0)
        describe(program, state.region_rows, room, small, large, 0, out)


@pasted
def priority_of(state: State, program: Program, model: Model, e: int, x: Floats, scratch: Array, room: Floats) -> float:
    """Return the priority of contact `e`.

    `x`, shape (F,), `scratch`, and `room`, shape (1, B), are room for its features, the model, and its row.
    """
    describe_edge(state, program, e, x, room)
    x[0] = score(model, x, scratch)
    finish_edge(state, program, e, x, room)
    return float(x[0])


@pasted
def finish_edge(state: State, program: Program, e: int, out: Floats, room: Floats) -> None:
    """Rewrite the priority of contact `e`, ``out[0]``; NaN stays, so that nothing hides it."""
    if program.finish.shape[0] > 0 and not np.isnan(out[0]):
        small, large = order_pair(state, e)
        row = state.links[e, ROW]
        if row >= 0:
            finish(program, state.region_rows, state.contact_rows, small, large, row, out)
        else:
            unpack_row(state, e, room, 0)
            finish(program, state.region_rows, room, small, large, 0, out)


@kernel
def describe_edges(state: State, program: Program, edges: Ints, out: Floats) -> None:
    """Write the features of each contact in `edges`, shape (B,), to `out`, shape (B, F)."""
    room = new_room(state)
    for i in range(edges.size):
        describe_edge(state, program, edges[i], out[i], room)


@kernel
def agglomerate(
    state: State,
    program: Program,
    model: Model,
    threshold: float,
    max_merges: int,
    rescore_all: bool,
    x: Floats,
    scratch: Array,
) -> int:
    """Merge until no priority is below `threshold`, or `max_merges` were made since the beginning.

    Returns -1, or the contact whose priority came out as NaN. `x`, shape (F,), and `scratch` are room for the
    features of one pair and for the model.
    """
    room = new_room(state)
    while state.counters[N_MERGES] < max_merges:
        e = pop_edge(state, threshold)
        if e == NOTHING:
            break
        merge_edge(state, e, rescore_all)
        for i in range(state.counters[N_TOUCHED]):
            touched = state.touched[i]
            priority = priority_of(state, program, model, touched, x, scratch, room)
            if np.isnan(priority):
                return int(touched)
            set_priority(state, touched, priority, threshold)
    return -1


@kernel
def score_edges(
    state: State, program: Program, model: Model, edges: Ints, out: Floats, x: Floats, scratch: Array
) -> None:
    """Write the priority of each contact in `edges`, shape (B,), to `out`, shape (B,)."""
    room = new_room(state)
    for i in range(edges.size):
        out[i] = priority_of(state, program, model, edges[i], x, scratch, room)


@kernel
def finish_edges(state: State, program: Program, edges: Ints, out: Floats) -> None:
    """Rewrite the priorities `out`, shape (B,), of the contacts in `edges`, shape (B,)."""
    room = new_room(state)
    for i in range(edges.size):
        if program.reads_topology:
            refresh_pair(state, edges[i])
        finish_edge(state, program, edges[i], out[i : i + 1], room)
