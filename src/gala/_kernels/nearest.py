"""The best contact of each region, whatever merges: a pairing heap of half contacts for each.

Two regions that merge have their heaps melded at once, however many contacts they have: to look through all contacts of
merged regions took three times as long where one region grows to be most of the volume. An entry is only a lower bound
of the contact's priority, as in the heap of the merge loop; what is gone, or has risen, is put right when it comes up.
Fredman, Sedgewick, Sleator, Tarjan 1986, doi:10.1007/BF01840439.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from gala._kernels.heap import is_less
from gala._kernels.jit import kernel, pasted
from gala._kernels.state import END, NEXT, PRIORITY, RANK, State, may_merge
from gala._types import Floats, Ints

# Columns of `Nearest.links`.
CHILD, SIBLING, BEFORE = 0, 1, 2  # BEFORE is the sibling before, or the parent of the first one


class Nearest(NamedTuple):
    """The heaps of N regions with E contacts."""

    root: Ints  # (N,) int32: half contacts, 2 * contact + side; -1 if the heap is empty
    links: Ints  # (2E, 3) int32
    entry: Floats  # (2E, 2) priority and rank; infinity if the half is in no heap


@kernel
def fill_nearest(state: State, nearest: Nearest, regions: Ints, threshold: float) -> None:
    """Put all contacts of each region in `regions`, shape (B,), with a priority below `threshold` into its heap."""
    for i in range(regions.size):
        half = state.head[regions[i]]
        while half >= 0:
            e, side = half >> 1, half & 1
            if state.links[e, END + side] == regions[i] and state.scores[e, PRIORITY] < threshold:
                _insert(state, nearest, regions[i], half)
            half = state.links[e, NEXT + side]


@pasted
def nearest_contact(state: State, nearest: Nearest, region: int, threshold: float) -> int:
    """Return the best contact of a region that may merge, or -1."""
    while nearest.root[region] >= 0:
        half = nearest.root[region]
        e = half >> 1
        is_there = state.links[e, END + (half & 1)] == region
        if is_there and not is_less(
            nearest.entry[half, 0], nearest.entry[half, 1], state.scores[e, PRIORITY], state.scores[e, RANK]
        ):
            if may_merge(state, e):
                return int(e)
            state.scores[e, PRIORITY] = np.inf
        _remove_root(nearest, region)
        if is_there and state.scores[e, PRIORITY] < threshold:
            _insert(state, nearest, region, half)
    return -1


@pasted
def meld(nearest: Nearest, keep: int, gone: int) -> None:
    """Give region `keep` all that region `gone` has."""
    nearest.root[keep] = _melded(nearest, nearest.root[keep], nearest.root[gone])
    nearest.root[gone] = -1


@pasted
def lower(state: State, nearest: Nearest, half: int, threshold: float) -> None:
    """Put the half of a contact with a new priority where it belongs, if that is before where it is."""
    e, region = half >> 1, state.links[half >> 1, END + (half & 1)]
    priority, rank = state.scores[e, PRIORITY], state.scores[e, RANK]
    if priority >= threshold or not is_less(priority, rank, nearest.entry[half, 0], nearest.entry[half, 1]):
        return
    if nearest.root[region] == half:
        nearest.entry[half, 0] = priority
        nearest.entry[half, 1] = rank
        return
    if nearest.entry[half, 0] < np.inf:
        _cut(nearest, half)
    _insert(state, nearest, region, half)


@pasted
def _insert(state: State, nearest: Nearest, region: int, half: int) -> None:
    """Put a half, with whatever is below it, into the heap of a region at its contact's priority."""
    nearest.entry[half, 0] = state.scores[half >> 1, PRIORITY]
    nearest.entry[half, 1] = state.scores[half >> 1, RANK]
    nearest.root[region] = _melded(nearest, nearest.root[region], half)


@pasted
def _melded(nearest: Nearest, a: int, b: int) -> int:
    """Return the root of two heaps, given by theirs, as one; -1 for one that is empty."""
    if a < 0 or b < 0:
        return max(a, b)
    if is_less(nearest.entry[b, 0], nearest.entry[b, 1], nearest.entry[a, 0], nearest.entry[a, 1]):
        a, b = b, a
    child = nearest.links[a, CHILD]
    if child >= 0:
        nearest.links[child, BEFORE] = b
    nearest.links[b, SIBLING] = child
    nearest.links[b, BEFORE] = a
    nearest.links[a, CHILD] = b
    return a


@pasted
def _cut(nearest: Nearest, half: int) -> None:
    """Take a half that is no root, with what is below it, out of its heap."""
    before, sibling = nearest.links[half, BEFORE], nearest.links[half, SIBLING]
    if nearest.links[before, CHILD] == half:
        nearest.links[before, CHILD] = sibling
    else:
        nearest.links[before, SIBLING] = sibling
    if sibling >= 0:
        nearest.links[sibling, BEFORE] = before
    nearest.links[half, SIBLING] = -1
    nearest.links[half, BEFORE] = -1


@pasted
def _remove_root(nearest: Nearest, region: int) -> None:
    """Take the root out of the heap of a region; what was below it is melded in pairs, then these one by one."""
    half = nearest.root[region]
    following = nearest.links[half, CHILD]
    nearest.links[half, CHILD] = -1
    nearest.entry[half, 0] = np.inf
    melded = -1
    while following >= 0:
        a = following
        b = nearest.links[a, SIBLING]
        following = -1
        if b >= 0:
            following = nearest.links[b, SIBLING]
            a = _melded(nearest, a, b)
        nearest.links[a, SIBLING] = melded
        melded = a
    root = -1
    while melded >= 0:
        before = nearest.links[melded, SIBLING]
        nearest.links[melded, SIBLING] = -1
        nearest.links[melded, BEFORE] = -1
        root = _melded(nearest, root, melded)
        melded = before
    nearest.root[region] = root
