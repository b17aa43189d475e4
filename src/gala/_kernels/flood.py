"""Flooding an image from seeds, with or without dams where floods meet, in a time that grows with the voxels."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from gala._kernels.jit import kernel, pasted
from gala._types import Array, Ints

OUTSIDE = -1  # the level of voxels that are never flooded


class Waiting(NamedTuple):
    """The voxels that wait to be flooded: for each of L levels a queue, as a linked list of the V voxels."""

    first: Ints  # (L,) -1 in an empty queue
    last: Ints  # (L,)
    after: Ints  # (V,) the voxel that comes next in the queue, or -1
    claim: Ints  # (V,) the label that reached a voxel first; 0 if none has


@kernel
def flood(level: Ints, moves: Ints, with_dams: bool, labels: Array) -> None:
    """Spread labels to all voxels that can be reached, the lowest levels first.

    `level`, shape (V,), is from 0 to L - 1 for the L heights of an image, which is raveled and has OUTSIDE all around;
    `moves` lead from a voxel to its neighbours. `labels`, shape (V,), holds the seeds, and 0 elsewhere. With dams, a
    voxel stays 0 if floods with two labels are beside it when its turn comes.
    """
    n_levels = level.max() + 1
    first, last = np.full(n_levels, -1, dtype=np.int64), np.full(n_levels, -1, dtype=np.int64)
    waiting = Waiting(first, last, np.full(level.size, -1, dtype=np.int64), labels.copy())
    for seed in range(level.size):
        if labels[seed] > 0:
            _enqueue(waiting, seed, level[seed])
    for now in range(n_levels):
        while first[now] >= 0:
            here = first[now]
            first[now] = waiting.after[here]
            if with_dams and labels[here] == 0 and _meets_another(labels, moves, here, waiting.claim[here]):
                continue
            labels[here] = waiting.claim[here]
            for move in moves:
                voxel = here + move
                if level[voxel] != OUTSIDE and waiting.claim[voxel] == 0:
                    waiting.claim[voxel] = waiting.claim[here]
                    _enqueue(waiting, voxel, max(now, level[voxel]))


@pasted
def _meets_another(labels: Array, moves: Ints, here: int, label: int) -> bool:
    """Tell whether a voxel has a neighbour with another label than the one given."""
    found = False
    for move in moves:
        found |= labels[here + move] > 0 and labels[here + move] != label
    return found


@pasted
def _enqueue(waiting: Waiting, voxel: int, level: int) -> None:
    """Put a voxel at the end of the queue of a level."""
    if waiting.first[level] < 0:
        waiting.first[level] = voxel
    else:
        waiting.after[waiting.last[level]] = voxel
    waiting.last[level] = voxel
