"""Slow twins of `gala.morpho`: each says what is meant, voxel by voxel."""

from __future__ import annotations

import heapq
import itertools

import numpy as np


def steps(ndim, connectivity):
    """Return the moves to the neighbours of a voxel."""
    return [s for s in itertools.product((-1, 0, 1), repeat=ndim) if 1 <= np.abs(s).sum() <= connectivity]


def around(voxel, shape, connectivity):
    """Yield the neighbours of a voxel that are in the volume."""
    for step in steps(len(shape), connectivity):
        there = tuple(int(i) for i in np.add(voxel, step))
        if all(0 <= i < n for i, n in zip(there, shape, strict=True)):
            yield there


def pieces_of(image, connectivity):
    """Number connected pieces of equal value, in raster order."""
    piece = np.zeros(image.shape, dtype=int)
    for start in np.ndindex(image.shape):
        if piece[start]:
            continue
        number, front = piece.max() + 1, [start]
        piece[start] = number
        while front:
            for there in around(front.pop(), image.shape, connectivity):
                if not piece[there] and image[there] == image[start]:
                    piece[there] = number
                    front.append(there)
    return piece


def without_background(pieces, is_background):
    """Number what is left of pieces from 1, in order, once the background is 0."""
    kept = np.where(is_background, 0, pieces)
    labels, index = np.unique(kept, return_inverse=True)
    return (index + (labels[0] != 0)).reshape(kept.shape)


def minima_of(height, connectivity):
    """Find the flat pieces with no lower neighbour."""
    flat = pieces_of(height, connectivity)
    is_minimum = np.ones(flat.max() + 1, dtype=bool)
    for here in np.ndindex(height.shape):
        if any(height[there] < height[here] for there in around(here, height.shape, connectivity)):
            is_minimum[flat[here]] = False
    return is_minimum[flat]


def spread(marker, mask, connectivity):
    """Dilate the marker under the mask until nothing changes."""
    level = np.minimum(marker, mask)
    while True:
        raised = level.copy()
        for here in np.ndindex(level.shape):
            highest = max([level[here], *(level[there] for there in around(here, level.shape, connectivity))])
            raised[here] = min(highest, mask[here])
        if (raised == level).all():
            return level
        level = raised


def boundary_of(labels, connectivity):
    """Find the voxels with a neighbour of another label."""
    found = np.zeros(labels.shape, dtype=bool)
    for here in np.ndindex(labels.shape):
        found[here] = any(labels[there] != labels[here] for there in around(here, labels.shape, connectivity))
    return found


def touching(labels, connectivity):
    """Return the pairs of different labels, 0 left out, of voxels that are neighbours."""
    return {
        (int(labels[here]), int(labels[there]))
        for here in np.ndindex(labels.shape)
        for there in around(here, labels.shape, connectivity)
        if labels[here] != labels[there] and labels[here] and labels[there]
    }


def at_border(labels):
    """Return which voxels are on the border of the volume."""
    ends = [(i in (0, n - 1) for i, n in zip(here, labels.shape, strict=True)) for here in np.ndindex(labels.shape)]
    return np.array([any(end) for end in ends]).reshape(labels.shape)


def flooded(height, seeds, inside, connectivity, *, dams):
    """Flood from seeds: the lowest waiting voxel is next, and of equal ones the one that waits longest."""
    labels, claim, turn = seeds.copy(), seeds.copy(), itertools.count()
    waiting = [(height[seed], next(turn), seed) for seed in zip(*np.nonzero(seeds), strict=True)]
    heapq.heapify(waiting)
    while waiting:
        flood, _, here = heapq.heappop(waiting)
        neighbours = list(around(here, height.shape, connectivity))
        if dams and not labels[here] and len({labels[there] for there in neighbours} - {0}) > 1:
            continue
        labels[here] = claim[here]
        for there in neighbours:
            if inside[there] and not claim[there]:
                claim[there] = claim[here]
                heapq.heappush(waiting, (max(flood, height[there]), next(turn), there))
    return labels


def faces_between(labels, image):
    """Return, for each pair of labels other than 0, the larger number at each of the faces that they share."""
    faces = {}
    for here in np.ndindex(labels.shape):
        for there in around(here, labels.shape, 1):
            pair = labels[here], labels[there]
            if 0 < pair[0] < pair[1]:
                faces.setdefault(tuple(map(int, pair)), []).append(float(max(image[here], image[there])))
    return faces
