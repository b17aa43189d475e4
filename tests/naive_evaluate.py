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


def challenge_rand_error(seg, truth):
    """Return error, precision and recall of the SNEMI3D script and of CREMI's, voxel by voxel."""
    voxels = list(zip(np.ravel(seg).tolist(), np.ravel(truth).tolist(), strict=True))
    known = [(s, t) for s, t in voxels if t != 0]
    in_truth = sum(t == other for _, t in known for _, other in known)
    void = Fraction(sum(s == 0 for s, _ in known), len(voxels))
    regions = [(s, t) for s, t in known if s != 0]
    in_seg = void + sum(s == other for s, _ in regions for other, _ in regions)
    in_both = void + sum(pair == other for pair in regions for other in regions)
    precision, recall = in_both / in_seg, in_both / in_truth
    return tuple(float(x) for x in (1 - 2 * precision * recall / (precision + recall), precision, recall))


def elf_rand(seg, truth):
    """Return error, precision, recall and Rand index over ordered pairs, each voxel with itself included."""
    voxels = list(zip(np.ravel(seg).tolist(), np.ravel(truth).tolist(), strict=True))
    pairs = [(s == other_s, t == other_t) for s, t in voxels for other_s, other_t in voxels]
    in_seg, in_truth = sum(a for a, _ in pairs), sum(b for _, b in pairs)
    in_both = sum(a and b for a, b in pairs)
    error = 1 - Fraction(2 * in_both, in_seg + in_truth)
    index = Fraction(sum(a == b for a, b in pairs), len(pairs))
    return tuple(float(x) for x in (error, Fraction(in_both, in_seg), Fraction(in_both, in_truth), index))


def n_matched(seg, truth, threshold):
    """Return the most pairs of objects that match, each object once, by trying all ways."""
    seg, truth = np.ravel(seg), np.ravel(truth)
    objects, others = (np.unique(labels[labels != 0]).tolist() for labels in (seg, truth))

    def share(a, b):
        return np.sum((seg == a) & (truth == b)) / np.sum((seg == a) | (truth == b))

    def most(rest, free):
        if not rest:
            return 0
        found = [1 + most(rest[1:], free - {b}) for b in free if share(rest[0], b) >= threshold]
        return max([most(rest[1:], free), *found])

    return most(objects, frozenset(others)), len(objects), len(others)


def boundary_shares(seg, truth, tolerance, spacing, ignore_truth=()):
    """Return which share of either side's boundary voxels is near one of the other, voxel by voxel."""
    counted = ~np.isin(truth, ignore_truth)

    def voxels(labels):
        found = set()
        for i in np.ndindex(labels.shape):
            for axis in range(labels.ndim):
                j = tuple(n + (a == axis) for a, n in enumerate(i))
                if j[axis] < labels.shape[axis] and counted[i] and counted[j] and labels[i] != labels[j]:
                    found |= {i, j}
        return np.array(sorted(found)).reshape(-1, labels.ndim) * np.asarray(spacing, dtype=float)

    def near(some, others):
        if not len(some):
            return 1.0
        if not len(others):
            return 0.0
        distance = np.sqrt(((some[:, np.newaxis] - others) ** 2).sum(-1)).min(axis=1)
        return float(np.mean(distance <= tolerance + 1e-9))

    found, wanted = voxels(np.asarray(seg)), voxels(np.asarray(truth))
    return near(found, wanted), near(wanted, found)
