"""The engine's slow twin: lists of voxels that are concatenated, and a look at every edge before each merge.

It is written from the definitions alone. Functions of a user, and feature managers, can be given its graph as well as
that of gala.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from hypothesis import strategies as st

import naive
from gala import evaluate
from gala.features.base import Null
from gala.graph.caches import Channels, ImageKind


@dataclass
class Contact:
    """Where two regions touch."""

    voxels: list  # a voxel is there once for each part of a region that it touched
    rank: int  # the lowest place of its parts in the order of the first edges: of equal priorities, the lowest merges
    frozen: bool = False
    priority: float = np.inf

    def join(self, other):
        return Contact(self.voxels + other.voxels, min(self.rank, other.rank), self.frozen or other.frozen)


@dataclass
class Region:
    """A set of voxels."""

    voxels: list
    leaves: frozenset  # labels
    frozen: bool = False
    exclusions: frozenset = frozenset()

    def join(self, other):
        return Region(
            self.voxels + other.voxels,
            self.leaves | other.leaves,
            self.frozen or other.frozen,
            self.exclusions | other.exclusions,
        )


@dataclass
class Graph:
    """A graph that agglomerates itself, one scan over all contacts for each merge."""

    labels: np.ndarray
    image: np.ndarray  # (M, ..., P, C)
    connectivity: int = 1
    mask: np.ndarray | None = None
    features: Null = field(default_factory=Null)
    exclusions: np.ndarray | None = None
    frozen_nodes: tuple = ()
    frozen_edges: tuple = ()  # pairs, the lower label first
    lowest_first: bool = False  # whether ties go by the first priorities of parts before their ranks

    def __post_init__(self):
        excluded = np.zeros(self.labels.size, int) if self.exclusions is None else self.exclusions.ravel()
        self.regions = {
            n: Region(
                voxels,
                frozenset([n]),
                n in self.frozen_nodes,
                frozenset(excluded[voxels][excluded[voxels] != 0].tolist()),
            )
            for n, voxels in naive.regions(self.labels, mask=self.mask).items()
        }
        self.contacts = {
            pair: Contact(voxels, rank, pair in self.frozen_edges)
            for rank, (pair, voxels) in enumerate(
                naive.contacts(self.labels, self.connectivity, mask=self.mask).items()
            )
        }
        self.next = max(self.regions, default=0) + 2  # the border comes before
        self.history, self.scores = [], []

    # -- what user functions and feature managers ask for

    @property
    def nodes(self):
        return _View(
            lambda n: {
                "size": len(self.regions[n].voxels),
                "fragments": set(self.regions[n].leaves),
                Null.default_cache: self.features.create_node_cache(self, n),
            }
        )

    @property
    def edges(self):
        return _View(lambda pair: {Null.default_cache: self.features.create_edge_cache(self, *pair)})

    @property
    def kind(self):
        return ImageKind.unit(Channels.all_plain(self.image.shape[-1]), self.labels.ndim)

    @property
    def probabilities_r(self):
        return self.image.reshape(self.labels.size, -1)

    def extent(self, n):
        return np.array(self.regions[n].voxels)

    def boundary(self, u, v):
        return np.array(self.contacts[min(u, v), max(u, v)].voxels)

    def values(self, voxels):
        return self.probabilities_r[voxels].astype(float)

    def coords(self, voxels):
        return np.stack(np.unravel_index(voxels, self.labels.shape), axis=-1).astype(float)

    @property
    def touching(self):
        voxels = {pair: contact.voxels for pair, contact in self.contacts.items()}
        owner = {voxel: n for n, region in self.regions.items() for voxel in region.voxels}
        outer = {}
        for there in naive.at_border(self.labels, mask=self.mask).values():
            for voxel in there:
                outer.setdefault(owner[voxel], []).append(voxel)
        return naive.touching(voxels, outer)

    def region_topology(self, n):
        return naive.region_topology(self.touching, n)

    def contact_topology(self, u, v):
        return naive.contact_topology(self.touching, u, v)

    # -- merging

    def may_merge(self, u, v):
        a, b = self.regions[u], self.regions[v]
        return not (a.frozen or b.frozen or self.contacts[u, v].frozen or a.exclusions & b.exclusions)

    def next_pair(self, threshold=np.inf):
        """Return the pair to merge next, or None."""
        pairs = [p for p, contact in self.contacts.items() if contact.priority < threshold and self.may_merge(*p)]
        return min(pairs, key=lambda p: (self.contacts[p].priority, self.contacts[p].rank), default=None)

    def score(self, priorities, pairs):
        """Give new priorities to pairs of regions; ``priorities(g, edges)`` is a function of a user."""
        if pairs:
            for pair, priority in zip(pairs, priorities(self, np.array(pairs)), strict=True):
                self.contacts[pair].priority = float(priority)

    def merge(self, u, v):
        """Merge two regions; return the pairs of the new one that both parts had, and all its pairs."""
        new, self.next = self.next, self.next + 1
        self.history.append((min(u, v), max(u, v)))
        self.regions[new] = self.regions.pop(u).join(self.regions.pop(v))
        found = {}
        for pair in [p for p in self.contacts if u in p or v in p]:
            contact = self.contacts.pop(pair)
            for other in set(pair) - {u, v}:
                found.setdefault((other, new), []).append(contact)
        for pair, contacts in found.items():
            self.contacts[pair] = contacts[0] if len(contacts) == 1 else contacts[0].join(contacts[1])
        return [pair for pair, contacts in found.items() if len(contacts) == 2], list(found)

    def agglomerate(self, priorities, threshold=np.inf, *, rescore="shared"):
        """Merge while a priority is below `threshold`."""
        self.score(priorities, list(self.contacts))
        if self.lowest_first:
            ordered = sorted(self.contacts.values(), key=lambda contact: (contact.priority, contact.rank))
            for rank, contact in enumerate(ordered):
                contact.rank = rank
        while pair := self.next_pair(threshold):
            self.scores.append(self.contacts[pair].priority)
            shared, everything = self.merge(*pair)
            self.score(priorities, shared if rescore == "shared" else everything)
        return self

    def segmentation(self, name=min):
        """Return the label image of the regions as they are; ``name(leaves)`` names each."""
        out = np.zeros(self.labels.size, self.labels.dtype)
        for region in self.regions.values():
            out[region.voxels] = name(region.leaves)
        return out.reshape(self.labels.shape)


class _View:
    def __init__(self, get):
        self.get = get

    def __getitem__(self, key):
        return self.get(key)


def each(priority):
    """Return ``f(g, edges)`` from ``f(g, u, v)``."""
    return lambda g, edges: np.array([priority(g, u, v) for u, v in edges.tolist()])


def mean(g, u, v):
    return g.values(g.boundary(u, v))[:, 0].sum() / len(g.boundary(u, v))


def median(g, u, v):
    return np.median(g.values(g.boundary(u, v))[:, 0])


# -------------------------------------------------------------------------------------------- learning


@dataclass
class Judgement:
    """What truth says of a merge, from whole segmentations compared before and after it."""

    agreed: int  # truths that assign both regions to one object, less those that do not
    vi: float  # change of the variation of information, bits, summed over truths
    rand: float  # change of the Rand index, summed over truths
    weights: tuple  # the same changes, without sign, if each region were an object of the truth

    @property
    def labels(self):
        return tuple(-1 if merge else 1 for merge in (self.agreed > 0, self.vi < -1e-10, self.rand > 1e-10))


def judge(g, u, v, truths):
    """Return what truths, label images in which 0 is unknown, say of merging regions `u` and `v`."""
    before = np.full(g.labels.size, -1)
    for n, region in g.regions.items():
        before[region.voxels] = n
    after = np.where(before == v, u, before)
    agreed, vi, rand = 0, 0.0, 0.0
    for truth in truths:
        known = (before >= 0) & (truth.ravel() != 0)
        main = [_most(truth.ravel()[known & (before == n)]) for n in (u, v)]
        agreed += 1 if main[0] == main[1] and main[0] is not None else -1
        if known.any():
            old, new, true = before[known], after[known], truth.ravel()[known]
            vi += _vi(new, true) - _vi(old, true)
            rand += evaluate.rand_index(new, true) - evaluate.rand_index(old, true)
    old, new = before[before >= 0], after[before >= 0]
    return Judgement(agreed, vi, rand, (_vi(new, old), 1 - evaluate.rand_index(new, old)))


def learn_epoch(g, truths, feature_map, priorities, *, mode="strict", scheme="assignment"):
    """Agglomerate to the end; return features, judgements and pairs of all that came up."""
    g.score(priorities, list(g.contacts))
    rows, judgements, pairs = [], [], []
    while pair := g.next_pair():
        rows.append(feature_map(g, *pair))
        judgements.append(judge(g, *pair, truths))
        pairs.append(pair)
        label = judgements[-1].labels[("assignment", "vi-sign", "rand-sign").index(scheme)]
        probability = g.contacts[pair].priority
        if label < 0 or mode == "loose" or (mode == "permissive" and probability < 0.5):
            shared, _ = g.merge(*pair)
            g.score(priorities, shared)
        else:
            g.contacts[pair].priority = np.inf
    return np.array(rows), judgements, pairs


def _vi(seg, truth):
    return evaluate.split_vi(seg, truth, (), ()).sum()


def _most(values):
    """Return the most frequent value, the lowest of several; None if there is none."""
    found, counts = np.unique(values, return_counts=True)
    return found[counts.argmax()].item() if len(found) else None


# ----------------------------------------------------------------------------------- what to try it on


@st.composite
def volumes(draw, *, n_channels=1, steps=(1, 4, 64), max_labels=14):
    """Return labels of random voxels, an image, and a connectivity.

    The values are multiples of one part in `steps`, from 0 to 1: their sums are exact, and many are equal. Sizes are
    drawn by NumPy: hypothesis prefers volumes in which there is nothing to merge.
    """
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    ndim = draw(st.integers(1, 4))
    shape = rng.integers(1 if draw(st.booleans()) else (10, 4, 3, 2)[ndim - 1], (40, 8, 5, 3)[ndim - 1] + 1, ndim)
    labels = rng.integers(0, rng.integers(1, max_labels + 1), shape)
    if draw(st.booleans()):
        labels = np.sort(labels, axis=-1)  # long contacts, and few of them
    step = draw(st.sampled_from(steps))
    image = rng.integers(0, step + 1, (*shape, n_channels)) / step
    return labels * draw(st.sampled_from([1, 7])), image, draw(st.integers(1, ndim))
