"""Neighbouring basins of a flooded image, and joining those that are shallow or small."""

from __future__ import annotations

import numpy as np

from gala._kernels.containers import grown_table, is_free, new_table, slot_of, value_at
from gala._kernels.jit import kernel, pasted
from gala._types import Array, Floats, Ints

_PIECE = 4096  # voxels whose faces are listed at a time


@kernel
def find_passes(
    labels: Ints, height: Array, lengths: Ints, strides: Ints, lowest: Floats, cells: Ints, depth: float
) -> tuple[Ints, Floats]:
    """Return which regions share faces of voxels, and what lies between them.

    `labels` and `height`, shape (V,), are raveled; the voxels along axis a are ``strides[a]`` apart, ``lengths[a]``
    of them. Label 0 is none. A face is as high as the higher of its two voxels; one that is more than `depth` above
    the higher of the `lowest` heights of both regions, shape (N,), or between two of `cells`, shape (N,), is left out.

    Returns
    -------
    pairs : int64 (E, 2), labels u < v, in the order in which they were met
    faces : float64 (E, 3), how many faces each pair shares, the lowest, and the sum of their heights
    """
    pairs = np.empty((1024, 2), dtype=np.int64)
    faces = np.empty((1024, 3))
    table = new_table(1024)
    places = np.empty(_PIECE, dtype=np.int64)
    n = 0
    for axis in range(strides.size):
        step = strides[axis]
        block = step * lengths[axis]
        for start in range(0, labels.size, block):
            for first in range(start, start + block - step, _PIECE):
                for i in range(_find_faces(labels, first, min(first + _PIECE, start + block - step), step, places)):
                    here = np.uint64(places[i])
                    there = here + np.uint64(step)
                    a, b = labels[here], labels[there]
                    level = max(height[here], height[there])
                    u, v = np.uint64(min(a, b)), np.uint64(max(a, b))
                    if cells[u] != cells[v] or level - max(lowest[u], lowest[v]) > depth:
                        continue
                    key = (u << np.uint64(32)) | v
                    slot = slot_of(table, key)
                    if is_free(table, slot):
                        if n == pairs.shape[0]:
                            pairs = np.concatenate((pairs, np.empty_like(pairs)))
                            faces = np.concatenate((faces, np.empty_like(faces)))
                            table = grown_table(table)
                            slot = slot_of(table, key)
                        table[slot, 0] = key
                        table[slot, 1] = np.uint64(n)
                        pairs[n, 0], pairs[n, 1] = u, v
                        faces[n, 0], faces[n, 1], faces[n, 2] = 0.0, np.inf, 0.0
                        n += 1
                    face = np.uint64(value_at(table, slot))
                    faces[face, 0] += 1.0
                    faces[face, 1] = min(faces[face, 1], level)
                    faces[face, 2] += level
    return pairs[:n].copy(), faces[:n].copy()


@pasted
def _find_faces(labels: Ints, first: int, stop: int, step: int, places: Ints) -> int:
    """List the voxels, from `first` up to `stop`, that have another region `step` further on; return how many."""
    row, other_row = labels[first:stop], labels[first + step : stop + step]
    n = 0
    for i in range(row.size):  # without branches, which the processor could not guess
        places[n] = first + i
        n += (row[i] != other_row[i]) & (row[i] != 0) & (other_row[i] != 0)
    return n


@kernel
def join_shallow(pairs: Ints, passes: Floats, lowest: Floats, depth: float) -> Ints:
    """Return the region, of `lowest.size`, that each becomes part of when shallow ones overflow.

    `pairs`, shape (E, 2), are in increasing order of their passes, shape (E,); `lowest`, shape (N,), is the lowest
    height in each region. One overflows if its pass is no more than `depth` above that.
    """
    root = np.arange(lowest.size)
    low = lowest.copy()
    for e in range(pairs.shape[0]):
        u, v = _root_of(root, pairs[e, 0]), _root_of(root, pairs[e, 1])
        if u != v and passes[e] - max(low[u], low[v]) <= depth:
            _unite(root, u, v)
            low[min(u, v)] = min(low[u], low[v])
    _shorten(root)
    return root


@kernel
def join_small(pairs: Ints, sizes: Floats, min_size: float) -> Ints:
    """Return the region, of `sizes.size`, that each becomes part of when those below a size join a neighbour.

    `pairs`, shape (E, 2), are in increasing order of the boundary between them: the first neighbour that a small
    region meets is the one behind its weakest boundary.
    """
    root = np.arange(sizes.size)
    size = sizes.copy()
    for e in range(pairs.shape[0]):
        u, v = _root_of(root, pairs[e, 0]), _root_of(root, pairs[e, 1])
        if u != v and min(size[u], size[v]) < min_size:
            _unite(root, u, v)
            size[min(u, v)] = size[u] + size[v]
    _shorten(root)
    return root


@pasted
def _root_of(root: Ints, region: int) -> int:
    """Return the region that another has become part of, making the way there shorter."""
    while root[region] != region:
        root[region] = root[root[region]]
        region = root[region]
    return region


@pasted
def _unite(root: Ints, u: int, v: int) -> None:
    """Make the root with the higher number part of the other."""
    root[max(u, v)] = min(u, v)


@pasted
def _shorten(root: Ints) -> None:
    """Replace each entry by its root, which has no higher number."""
    for region in range(root.size):
        root[region] = root[root[region]]


@kernel
def lowest_heights(labels: Ints, height: Array, n_labels: int) -> Floats:
    """Return the lowest height in each region, shape (n_labels,); infinity where there is none."""
    lowest = np.full(n_labels, np.inf)
    for i in range(labels.size):
        lowest[labels[i]] = min(lowest[labels[i]], height[i])
    return lowest
