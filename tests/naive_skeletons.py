"""Slow twins of the skeleton metrics: the definitions, edge by edge."""

from __future__ import annotations

from collections import defaultdict
from math import dist, floor

import numpy as np


def node_label(point, seg, spacing, offset):
    """Return the label at a point; None outside."""
    voxel = tuple(floor((x - o) / s + 0.5) for x, s, o in zip(point, spacing, offset, strict=True))
    if not all(0 <= i < n for i, n in zip(voxel, seg.shape, strict=True)):
        return None
    return int(seg[voxel])


def mergers(nodes, edges, owner, labels, threshold, by):
    """Return the segments that overlap two or more skeletons by more than the threshold."""
    overlap = defaultdict(float)
    if by == "nodes":
        for skeleton, label in zip(owner, labels, strict=True):
            if label:
                overlap[label, skeleton] += 1
    else:
        for u, v in edges:
            if labels[u] and labels[u] == labels[v]:
                overlap[labels[u], owner[u]] += dist(nodes[u], nodes[v])
    skeletons = defaultdict(set)
    for (label, skeleton), amount in overlap.items():
        if amount > threshold:
            skeletons[label].add(skeleton)
    return {label: found for label, found in skeletons.items() if len(found) > 1}


def kind_of(u, v, labels, merging):
    """Return what an edge is."""
    if labels[u] is None or labels[v] is None:
        return "outside"
    if labels[u] == 0 or labels[v] == 0:
        return "unsegmented"
    if labels[u] != labels[v]:
        return "split"
    return "merged" if labels[u] in merging else "correct"


def run_lengths(nodes, edges, owner, labels, threshold=0, by="nodes", outside="unsegmented"):
    """Return the kind of each edge, and ERL and length of each skeleton and of all.

    ERL is the mean, over points spread evenly along all edges that count, of the length of the correct edges in the
    skeleton and the segment of the point, if it is on one.
    """
    merging = mergers(nodes, edges, owner, labels, threshold, by)
    kinds = [kind_of(u, v, labels, merging) for u, v in edges]
    points = []  # skeleton, share of all points, run
    for (u, v), kind in zip(edges, kinds, strict=True):
        if kind == "outside" and outside == "ignored":
            continue
        run = 0.0
        if kind == "correct":
            for (a, b), other in zip(edges, kinds, strict=True):
                if other == "correct" and owner[a] == owner[u] and labels[a] == labels[u]:
                    run += dist(nodes[a], nodes[b])
        points.append((owner[u], dist(nodes[u], nodes[v]), run))

    def mean(chosen):
        total = sum(length for _, length, _ in chosen)
        return sum(length * run for _, length, run in chosen) / total if total else 0.0

    of = {skeleton: [point for point in points if point[0] == skeleton] for skeleton in sorted(set(owner))}
    erl = {skeleton: mean(chosen) for skeleton, chosen in of.items()}
    lengths = {skeleton: sum(length for _, length, _ in chosen) for skeleton, chosen in of.items()}
    return kinds, erl, lengths, mean(points)


def n_pieces(mask):
    """Return the number of pieces of True voxels that touch by face, edge or corner."""
    left = {tuple(voxel) for voxel in np.argwhere(mask).tolist()}
    count = 0
    while left:
        waiting, count = [left.pop()], count + 1
        while waiting:
            here = waiting.pop()
            near = {other for other in left if max(abs(a - b) for a, b in zip(here, other, strict=True)) == 1}
            left -= near
            waiting += near
    return count
