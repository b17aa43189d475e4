"""Slow twins of the evaluation: the definitions, voxel by voxel and pair by pair."""

from __future__ import annotations

from collections import Counter
from fractions import Fraction
from itertools import combinations
from math import log2

import numpy as np


def overlaps(seg, truth):
    """Return the number of voxels of each pair of labels."""
    return Counter(zip(np.ravel(seg).tolist(), np.ravel(truth).tolist(), strict=True))


def split_vi(seg, truth, ignore_seg=(0,), ignore_truth=(0,)):
    """Return H(truth | seg) and H(seg | truth) in bits."""
    voxels = [
        (s, t)
        for s, t in zip(np.ravel(seg).tolist(), np.ravel(truth).tolist(), strict=True)
        if s not in ignore_seg and t not in ignore_truth
    ]
    of_seg, of_truth = Counter(s for s, _ in voxels), Counter(t for _, t in voxels)
    both = Counter(voxels)
    merges = sum(-log2(both[s, t] / of_seg[s]) for s, t in voxels) / len(voxels)
    splits = sum(-log2(both[s, t] / of_truth[t]) for s, t in voxels) / len(voxels)
    return merges, splits


def pair_counts(seg, truth):
    """Return how many pairs of voxels are together in both, in `seg`, in `truth`, and how many there are."""
    voxels = list(zip(np.ravel(seg).tolist(), np.ravel(truth).tolist(), strict=True))
    counts = [0, 0, 0, 0]
    for (s, t), (other_s, other_t) in combinations(voxels, 2):
        counts[0] += s == other_s and t == other_t
        counts[1] += s == other_s
        counts[2] += t == other_t
        counts[3] += 1
    return tuple(counts)


def rand_index(seg, truth):
    """Return the share of pairs that are together in both or apart in both."""
    both, in_seg, in_truth, every = pair_counts(seg, truth)
    return float(Fraction(every - in_seg - in_truth + 2 * both, every)) if every else 1.0


def edit_distance(seg, truth, size_threshold):
    """Return the splits and the merges that large overlaps ask for."""
    large = [(s, t) for (s, t), n in overlaps(seg, truth).items() if s != 0 and t != 0 and n > size_threshold]
    splits = sum(n - 1 for n in Counter(s for s, _ in large).values())
    merges = sum(n - 1 for n in Counter(t for _, t in large).values())
    return splits, merges


def assignments(seg, truth):
    """Return the truth label that each label overlaps most; of equals, the lowest."""
    counts = overlaps(seg, truth)
    best = {}
    for s, t in sorted(counts):
        if s not in best or counts[s, t] > counts[s, best[s]]:
            best[s] = t
    return best


def best_possible_segmentation(ws, truth):
    """Return `ws` with each superpixel replaced by the object it overlaps most, or 0 if it overlaps none."""
    ws, truth = np.asarray(ws), np.asarray(truth)
    known = (ws != 0) & (truth != 0)
    best = assignments(ws[known], truth[known])
    return np.array([best.get(label, 0) for label in ws.ravel().tolist()], dtype=truth.dtype).reshape(ws.shape)
