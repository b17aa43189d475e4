"""Which superpixels are together in a segmentation, or apart, against constraints."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from gala._types import ArrayLike, Bools, Ints, Labels
from gala.errors import ShapeError
from gala.graph.labels import as_labels


class Violation(NamedTuple):
    """Two superpixels that are together, or apart, against a constraint."""

    kind: str  # the name of the field
    u: int  # labels
    v: int

    def __str__(self) -> str:
        return f"{self.u} and {self.v} ({self.kind})"


class Parts(NamedTuple):
    """N superpixels in S segments."""

    labels: Labels  # (N,) increasing
    segment: Ints  # (N,) 0 to S - 1

    @classmethod
    def of(cls, labels: ArrayLike, segments: ArrayLike) -> Parts:
        """Return superpixels and their segments in the order of the superpixels."""
        known, first = np.unique(as_labels(labels, "labels", allow_empty=True).astype(np.uint64), return_index=True)
        given = np.asarray(segments)
        if given.shape != np.shape(labels):
            raise ShapeError(f"segments must have the shape of labels, {np.shape(labels)}; got {given.shape}.")
        return cls(known, np.unique(given, return_inverse=True)[1][first])

    def find(self, labels: Labels) -> Ints:
        """Return the segment of each label; -1 if it is not there."""
        if not len(self.labels):
            return np.full(labels.shape, -1)
        place = np.minimum(np.searchsorted(self.labels, labels), len(self.labels) - 1)
        return np.where(self.labels[place] == labels, self.segment[place], -1)

    def are(self, pairs: Labels, *, together: bool) -> Bools:
        """Tell which pairs are in one segment, or are in two."""
        u, v = self.find(pairs).T
        known: Bools = (u >= 0) & (v >= 0) & ((u == v) == together)
        return known

    def companions(self, labels: Labels) -> Labels:
        """Return those of `labels` that are not alone, each with the lowest other one of its segment, shape (B, 2)."""
        order = np.argsort(self.segment, kind="stable")
        first = np.flatnonzero(np.diff(self.segment[order], prepend=-1))
        segment = self.find(labels)
        crowded = (segment >= 0) & (np.bincount(self.segment, minlength=1)[segment] > 1)
        labels, first = labels[crowded], first[segment[crowded]]
        lowest, next_one = self.labels[order[first]], self.labels[order[first + 1]]
        return np.column_stack([labels, np.where(lowest == labels, next_one, lowest)])


def sharing_a_mark(parts: Parts, exclusions: Labels) -> Labels:
    """Return pairs in one segment that share a mark, shape (B, 2); of three superpixels two pairs will do."""
    segment = parts.find(exclusions[:, 0])
    order = np.lexsort((exclusions[:, 0], exclusions[:, 1], segment))
    order = order[segment[order] >= 0]
    label, mark, segment = exclusions[order, 0], exclusions[order, 1], segment[order]
    same = (mark[1:] == mark[:-1]) & (segment[1:] == segment[:-1])
    return np.column_stack([label[:-1][same], label[1:][same]])


def incompatible(parts: Parts, classes: Labels, compatible: Bools) -> Labels:
    """Return pairs in one segment whose classes may not share one, shape (B, 2), one pair for each two classes."""
    segment = parts.find(classes[:, 0])
    order = np.lexsort((classes[:, 0], classes[:, 1], segment))
    order = order[segment[order] >= 0]
    kind = segment[order] * len(compatible) + classes[order, 1].astype(np.int64)
    order = order[np.concatenate([kind[:2] >= 0, kind[2:] != kind[:-2]])]  # two of a kind show what there is to see
    label, of, segment = classes[order, 0], classes[order, 1].astype(np.int64), segment[order]
    found = [np.empty((0, 2), dtype=np.uint64)]
    for step in range(1, 2 * len(compatible)):
        same = segment[step:] == segment[:-step]
        if not same.any():
            break
        wrong = same & ~compatible[of[step:], of[:-step]]
        found.append(np.column_stack([label[:-step][wrong], label[step:][wrong]]))
    return np.concatenate(found)


def listed(items: Sequence[object], most: int = 10) -> str:
    """Return the first items in words, and how many there are if that is not all."""
    shown = ", ".join(map(str, items[:most]))
    return shown if len(items) <= most else f"{shown}, ... ({len(items)} in all)"
