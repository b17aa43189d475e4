"""Rounds of merges: all pairs of regions that are each other's best merge at once, then all that changed is scored.

A region's best contact is the one of lowest priority, ties going to the lower rank. What a round needs beside the state
of the merge loop is in `Rounds`; the heap is not used.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from gala._kernels.heap import is_less
from gala._kernels.jit import kernel, pasted
from gala._kernels.loop import priority_of
from gala._kernels.merge import merge_regions
from gala._kernels.models import Model
from gala._kernels.nearest import Nearest, lower, meld, nearest_contact
from gala._kernels.program import Program
from gala._kernels.state import (
    END,
    LOW,
    LOW_RANK,
    N_MERGES,
    N_TOUCHED,
    NEXT,
    PRIORITY,
    RANK,
    State,
    may_merge,
    new_room,
)
from gala._types import Array, Bools, Floats, Ints

# Entries of `Rounds.counters`.
N_CHANGED, N_RESCORE, ROUND = 0, 1, 2

# What `run_rounds` returns, if not a contact whose priority came out as NaN.
DONE, WAITING = -1, -2


class Rounds(NamedTuple):
    """What rounds keep of N regions and E contacts beside the state; all arrays but `frozen` change."""

    frozen: Bools  # (N,) regions that do not merge, because not all of their contacts are known
    best: Ints  # (N,) the best contact of each region below the threshold; -1 if there is none
    changed: Ints  # (N,) regions that another contact may be best of, the first `counters[N_CHANGED]`
    rescore: Ints  # (E,) contacts to score again, the first `counters[N_RESCORE]`
    region_round: Ints  # (N,) the last round in which a region was put on a list
    contact_round: Ints  # (E,) the same for contacts
    nearest: Nearest
    pairs: Ints  # (N,) contacts whose regions merge in this round
    merge_rank: Ints  # (N,) rank of the contact of each merge
    counters: Ints  # (3,)


@kernel
def find_best(state: State, rounds: Rounds, regions: Ints, threshold: float) -> None:
    """Find the best contact of each region in `regions`, shape (B,)."""
    for i in range(regions.size):
        rounds.best[regions[i]] = nearest_contact(state, rounds.nearest, regions[i], threshold)


@kernel
def merge_pairs(state: State, rounds: Rounds, constrained: bool, rescore_all: bool) -> int:
    """Merge all pairs that are each other's best; return how many.

    What is to be scored again goes to `rescore`; `changed` holds the regions that merged, and those that lost the
    contact that was best to a constraint.
    """
    n_pairs = _list_pairs(state, rounds)
    rounds.counters[N_CHANGED] = 0
    rounds.counters[ROUND] += 1
    n = 0
    for i in range(n_pairs):
        e = rounds.pairs[i]
        rounds.merge_rank[state.counters[N_MERGES]] = int(state.scores[e, RANK])
        u, v = state.links[e, END], state.links[e, END + 1]
        keep = merge_regions(state, u, v, state.scores[e, PRIORITY], rescore_all)
        meld(rounds.nearest, keep, u + v - keep)
        _look_again(rounds, keep)
        if constrained:
            _leave_refused(state, rounds, keep)
        for j in range(state.counters[N_TOUCHED]):
            touched = state.touched[j]
            if rounds.contact_round[touched] != rounds.counters[ROUND]:
                rounds.contact_round[touched] = rounds.counters[ROUND]
                rounds.rescore[n] = touched
                n += 1
    rounds.counters[N_RESCORE] = 0
    for i in range(n):
        e = rounds.rescore[i]
        if state.links[e, END] >= 0:  # not joined with another since
            rounds.rescore[rounds.counters[N_RESCORE]] = e
            rounds.counters[N_RESCORE] += 1
    return n_pairs


@kernel
def set_priorities(state: State, rounds: Rounds, priorities: Floats, threshold: float) -> None:
    """Give the contacts in `rescore`, shape (B,), new priorities; add the regions that this concerns to `changed`."""
    for i in range(priorities.size):
        e = rounds.rescore[i]
        state.scores[e, PRIORITY] = state.scores[e, LOW] = priorities[i]
        state.scores[e, LOW_RANK] = state.scores[e, RANK]
    for i in range(priorities.size):
        e = rounds.rescore[i]
        for side in range(2):
            lower(state, rounds.nearest, 2 * e + side, threshold)
            region = state.links[e, END + side]
            best = rounds.best[region]
            if best < 0 or best == e or state.links[best, END] < 0 or _comes_before(state, e, best):
                _look_again(rounds, region)


@kernel
def run_rounds(
    state: State,
    rounds: Rounds,
    program: Program,
    model: Model,
    threshold: float,
    constrained: bool,
    rescore_all: bool,
    max_scores: int,
    x: Floats,
    scratch: Array,
    priorities: Floats,
) -> int:
    """Run rounds until no pair is left, `DONE`, or more than `max_scores` contacts are to be scored, `WAITING`.

    Returns the contact whose priority came out as NaN, if one did. `x`, shape (F,), `scratch` and `priorities`, shape
    (E,), are room for the features of one pair, for the model and for the priorities of a round.
    """
    room = new_room(state)
    while merge_pairs(state, rounds, constrained, rescore_all) > 0:
        n = rounds.counters[N_RESCORE]
        if n > max_scores:
            return WAITING
        for i in range(n):
            priorities[i] = priority_of(state, program, model, rounds.rescore[i], x, scratch, room)
            if np.isnan(priorities[i]):
                return int(rounds.rescore[i])
        set_priorities(state, rounds, priorities[:n], threshold)
        find_best(state, rounds, rounds.changed[: rounds.counters[N_CHANGED]], threshold)
    return DONE


@pasted
def _comes_before(state: State, e: int, other: int) -> bool:
    """Tell whether contact `e` is better than another."""
    return is_less(
        state.scores[e, PRIORITY], state.scores[e, RANK], state.scores[other, PRIORITY], state.scores[other, RANK]
    )


@pasted
def _other_end(state: State, e: int, region: int) -> int:
    first = state.links[e, END]
    return int(first if first != region else state.links[e, END + 1])


@pasted
def _list_pairs(state: State, rounds: Rounds) -> int:
    """List the contacts that are the best of both their regions in `pairs`; return how many there are."""
    n = 0
    for i in range(rounds.counters[N_CHANGED]):
        u = rounds.changed[i]
        e = rounds.best[u]
        if e < 0 or rounds.frozen[u]:
            continue
        v = _other_end(state, e, u)
        # If both regions are listed, the first of the contact's ends lists it.
        v_is_listed = rounds.region_round[v] == rounds.counters[ROUND]
        if rounds.best[v] == e and not rounds.frozen[v] and (not v_is_listed or state.links[e, END] == u):
            rounds.pairs[n] = e
            n += 1
    return n


@pasted
def _look_again(rounds: Rounds, region: int) -> None:
    """Add a region to `changed`, once a round."""
    if rounds.region_round[region] != rounds.counters[ROUND]:
        rounds.region_round[region] = rounds.counters[ROUND]
        rounds.changed[rounds.counters[N_CHANGED]] = region
        rounds.counters[N_CHANGED] += 1


@pasted
def _leave_refused(state: State, rounds: Rounds, region: int) -> None:
    """Look again at neighbours whose best contact was with `region`, and that constraints keep from it now."""
    half = state.head[region]
    while half >= 0:
        e, side = half >> 1, half & 1
        if state.links[e, END + side] == region:
            other = state.links[e, END + 1 - side]
            if rounds.best[other] == e and not may_merge(state, e):
                _look_again(rounds, other)
        half = state.links[e, NEXT + side]
