"""The one law for cache rows, as the compiled loops use it: the row of a union is the join of the rows."""

from __future__ import annotations

import numpy as np

from gala._kernels.jit import gather_kernel, kernel, pasted
from gala._types import Array, Floats, Ints


@pasted
def join_row(joins: Ints, out: Floats, target: int, rows: Floats, source: int) -> None:
    """Join ``rows[source]`` into ``out[target]``; `joins`, shape (C,), are those of `graph.caches.Join`."""
    for c in range(joins.size):
        if joins[c] == 1:
            out[target, c] = min(out[target, c], rows[source, c])
        elif joins[c] == 2:
            out[target, c] = max(out[target, c], rows[source, c])
        else:
            out[target, c] += rows[source, c]


@kernel
def join_rows(joins: Ints, index: Ints, rows: Floats, out: Floats) -> None:
    """Join each row of `rows`, shape (R, C), into ``out[index[r]]``."""
    for r in range(rows.shape[0]):
        join_row(joins, out, index[r], rows, r)


@kernel
def add_rows(index: Ints, rows: Array, out: Array) -> None:
    """Add each row of `rows`, shape (R, C), to ``out[index[r]]``: `join_rows` of sums alone, several at a time."""
    for r in range(rows.shape[0]):
        target = index[r]
        for c in range(rows.shape[1]):
            out[target, c] += rows[r, c]


@kernel
def narrow_rows(rows: Floats, out: Array) -> bool:
    """Write whole numbers from 0 on, shape (R, C), to `out`, uint16 of the same shape; tell whether all fit."""
    n_lost = 0
    for r in range(rows.shape[0]):
        for c in range(rows.shape[1]):
            n_lost += rows[r, c] > 65535.0
            out[r, c] = np.int32(min(rows[r, c], 65535.0))
    return n_lost == 0


@pasted
def count_voxels(owner: Ints, column: int, out: Floats) -> None:
    """Add one to a column of ``out[owner[i]]`` for each voxel i."""
    # Neighbours in the list mostly go to one row, and one sum has to wait for the other: four places take turns.
    c, quarter = np.uint64(column), np.uint64(owner.size // 4)
    for i in range(quarter):
        for turn in range(4):
            out[np.uint64(owner[np.uint64(i) + np.uint64(turn) * quarter]), c] += 1.0
    for rest in range(np.uint64(4) * quarter, np.uint64(owner.size)):
        out[np.uint64(owner[np.uint64(rest)]), c] += 1.0


@gather_kernel
def add_coordinates(
    params: Floats,
    channels: Ints,
    values: Floats,
    coords: Floats,
    faces: Floats,
    owner: Ints,
    first: int,
    out: Floats,
) -> None:
    """Add the coordinates of voxels."""
    for i in range(owner.size):
        for axis in range(coords.shape[1]):
            out[owner[i], first + axis] += coords[i, axis]
