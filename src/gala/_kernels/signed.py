"""Merges in the order of strength, attractive or repulsive: a repulsive contact keeps its regions apart for good."""

from __future__ import annotations

import numpy as np

from gala._kernels.heap import NOTHING, pop_edge, set_priority
from gala._kernels.jit import kernel
from gala._kernels.loop import priority_of
from gala._kernels.merge import merge_edge
from gala._kernels.models import Model
from gala._kernels.program import Program
from gala._kernels.state import N_TOUCHED, State, new_room
from gala._types import Array, Floats


@kernel
def agglomerate_signed(state: State, program: Program, model: Model, x: Floats, scratch: Array) -> int:
    """Take the strongest contact, until all are done: merge its regions if it is attractive, else keep them apart.

    The program gives negative priorities to what is attractive; the heap holds minus their absolute values. Returns
    -1, or the contact whose priority came out as NaN. `x`, shape (F,), and `scratch` are room for the features of one
    pair and for the model.
    """
    room = new_room(state)
    while True:
        e = pop_edge(state, 0.0)
        if e == NOTHING:
            return -1
        if priority_of(state, program, model, e, x, scratch, room) > 0.0:
            state.frozen_contact[e] = True
            continue
        merge_edge(state, e, False)
        for i in range(state.counters[N_TOUCHED]):
            touched = state.touched[i]
            priority = priority_of(state, program, model, touched, x, scratch, room)
            if np.isnan(priority):
                return int(touched)
            set_priority(state, touched, -abs(priority), 0.0)
