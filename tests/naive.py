"""Slow twins: the definitions, in plain Python and NumPy, without anything from gala that computes."""

from __future__ import annotations

import itertools
from collections import defaultdict
from typing import NamedTuple

import numpy as np
from scipy.special import rel_entr

# ---------------------------------------------------------------------------------------------- graph


def regions(labels, *, mask=None):
    """Return the voxels of each region: {label: sorted raveled positions}."""
    found = defaultdict(list)
    for position, label in enumerate(np.ravel(labels).tolist()):
        if mask is None or np.ravel(mask)[position]:
            found[label].append(position)
    return dict(sorted(found.items()))


def contacts(labels, connectivity=1, *, mask=None):
    """Return the voxels of each contact: {(a, b): sorted raveled positions}, a < b.

    A voxel of a is in contact (a, b) if one of its neighbours is in b, and the other way round.
    """
    labels = np.asarray(labels)
    inside = np.ones(labels.shape, dtype=bool) if mask is None else np.asarray(mask, dtype=bool)
    steps = [
        step for step in itertools.product((-1, 0, 1), repeat=labels.ndim) if 1 <= np.abs(step).sum() <= connectivity
    ]
    found = defaultdict(set)
    for here in np.ndindex(labels.shape):
        for step in steps:
            there = tuple(i + d for i, d in zip(here, step, strict=True))
            if not all(0 <= i < n for i, n in zip(there, labels.shape, strict=True)):
                continue
            a, b = int(labels[here]), int(labels[there])
            if a != b and inside[here] and inside[there]:
                found[min(a, b), max(a, b)].add(int(np.ravel_multi_index(here, labels.shape)))
    return {pair: sorted(voxels) for pair, voxels in sorted(found.items())}


def pairs(labels, boundary, offsets, *, mask=None):
    """Return the boundaries of the voxel pairs between two regions: {(a, b): values}, a < b, in any order."""
    found = defaultdict(list)
    for channel, offset in zip(boundary, np.asarray(offsets).tolist(), strict=True):
        for here in np.ndindex(labels.shape):
            there = tuple(i + d for i, d in zip(here, offset, strict=True))
            if not all(0 <= i < n for i, n in zip(there, labels.shape, strict=True)):
                continue
            a, b = int(labels[here]), int(labels[there])
            if a != b and (mask is None or (mask[here] and mask[there])):
                found[min(a, b), max(a, b)].append(float(channel[here]))
    return dict(sorted(found.items()))


def starting_pairs(boundary, offsets):
    """Return the mean boundary of the pairs that start at each voxel; 0 if there are none."""
    shape = boundary[0].shape
    out = np.zeros(shape)
    for here in np.ndindex(shape):
        values = [
            channel[here]
            for channel, offset in zip(boundary, offsets, strict=True)
            if all(0 <= i + d < n for i, d, n in zip(here, offset, shape, strict=True))
        ]
        out[here] = np.mean(values) if values else 0.0
    return out


def at_border(labels, *, mask=None):
    """Return the voxels at the border of the volume: {label: sorted raveled positions}."""
    labels = np.asarray(labels)
    ends = [(0, n - 1) for n in labels.shape]
    found = defaultdict(list)
    for here in np.ndindex(labels.shape):
        if any(i in end for i, end in zip(here, ends, strict=True)) and (mask is None or mask[here]):
            found[int(labels[here])].append(int(np.ravel_multi_index(here, labels.shape)))
    return dict(sorted(found.items()))


def faces(voxels, inside, others, shape):
    """Return how many faces along each axis each voxel shares with voxels in `others`, or not in `inside` if None."""
    out = np.zeros((len(voxels), len(shape)))
    for i, voxel in enumerate(voxels):
        here = np.unravel_index(voxel, shape)
        for axis, step in itertools.product(range(len(shape)), (-1, 1)):
            there = list(here)
            there[axis] += step
            is_in = 0 <= there[axis] < shape[axis]
            position = int(np.ravel_multi_index(there, shape)) if is_in else -1
            out[i, axis] += position not in inside if others is None else position in others
    return out


# ------------------------------------------------------------------------------------------- features


class Voxels(NamedTuple):
    """V voxels of a region or contact, as a feature manager sees them."""

    values: np.ndarray  # (V, C) the channels that it reads
    coords: np.ndarray  # (V, ndim)
    spacing: tuple = (1, 1, 1)  # (ndim,)
    faces: np.ndarray | None = None  # (V, ndim) along each axis, with the other region, or with all others


def moments(u, v, contact, *, nmoments, use_diff_features, oriented, normalize, image):  # noqa: ARG001  # chosen before
    """Return the four parts of the moments of a pair."""

    def features(voxels):
        n = len(voxels.values)
        out = [n]
        for x in voxels.values.T.astype(float):
            mean = x.mean() if n else 0.0
            central = [np.mean((x - mean) ** k) if n else 0.0 for k in range(2, nmoments + 1)]
            if normalize:
                central = [np.sign(m) * np.abs(m) ** (1 / k) for k, m in enumerate(central, start=2)]
            out += [mean, *central]
        return np.array(out, dtype=float)

    difference = np.abs(features(u) - features(v)) if use_diff_features else np.empty(0)
    return features(u), features(v), features(contact), difference


def histogram(
    u, v, contact, *, nbins, minval, maxval, compute_percentiles, oriented, compute_histogram, use_neuroproof, image
):  # fmt: skip
    """Return the four parts of the histograms of a pair."""
    del oriented, image  # the channels are already chosen
    edges = np.linspace(minval, maxval, nbins + 1)

    def shares(x):
        counts = np.histogram(x.astype(float), nbins, (minval, maxval))[0]
        return counts / max(counts.sum(), 1)

    def percentile(share, fraction):
        if not share.any():
            return minval
        below = np.concatenate([[0], np.cumsum(share)])
        bins = np.flatnonzero(share)
        b = next((b for b in bins if below[b + 1] >= fraction), bins[-1])
        return edges[b] + (edges[b + 1] - edges[b]) * min((fraction - below[b]) / share[b], 1)

    def features(voxels):
        out = []
        for x in voxels.values.T:
            share = shares(x)
            out += [*share] if compute_histogram and not use_neuroproof else []
            out += [percentile(share, fraction) for fraction in compute_percentiles]
        return np.array(out, dtype=float)

    def divergence(x, y):
        p, q = shares(x), shares(y)
        m = (p + q) / 2
        return (rel_entr(p, m).sum() + rel_entr(q, m).sum()) / 2

    pairs = zip(u.values.T, v.values.T, strict=True)
    difference = [] if use_neuroproof else [divergence(x, y) for x, y in pairs]
    return features(u), features(v), features(contact), np.array(difference, dtype=float)


def contact(u, v, contact, *, thresholds, oriented, image):
    """Return the four parts of what is above thresholds in a pair."""
    del oriented, image  # the channels are already chosen
    sizes = [len(contact.values) / len(side.values) for side in (u, v)]
    ratios = []
    for c in range(contact.values.shape[1]):
        for threshold in thresholds:
            b, *sides = (1 + np.sum(part.values[:, c] > threshold) for part in (contact, u, v))
            for a, size in zip(sides, sizes, strict=True):
                ratios += [b / a, b / a / size]
    out = np.concatenate([ratios, np.log(ratios), np.log(sizes), sizes])
    return np.empty(0), np.empty(0), out, np.empty(0)


def squiggliness(u, v, contact, *, ndim):  # noqa: ARG001  # all have these
    """Return the four parts of how large a contact is for its box."""
    sides = (np.ptp(contact.coords, axis=0) + 1) * contact.spacing
    out = len(contact.coords) / 2 / np.prod(np.sort(sides)[1:])
    return np.empty(0), np.empty(0), np.array([out]), np.empty(0)


def orientation(u, v, contact):
    """Return the four parts of how the voxels of a pair lie."""

    def axes(voxels):
        x, n = voxels.coords * voxels.spacing, len(voxels.coords)
        covariance = np.cov(x.T).reshape(x.shape[1], -1) / n if n > 1 else np.zeros((x.shape[1],) * 2)
        values, vectors = np.linalg.eigh(covariance)
        return np.maximum(values[::-1], 0), vectors[:, ::-1]

    def features(voxels):
        values = axes(voxels)[0]
        first, second = [*values, 0][:2]
        return np.array([*values, ((first - second) / (first + second)) ** 2 if first + second > 0 else 0])

    def direction(voxels):
        values, vectors = axes(voxels)
        is_one = values[0] > 0 and (len(values) == 1 or values[0] - values[1] > 1e-9 * values[0])
        return vectors[:, 0] if is_one else np.zeros(len(values))

    def angle(a, b):
        if not a.any() or not b.any():
            return np.pi / 2
        a, b = a / np.linalg.norm(a), b / np.linalg.norm(b)
        return np.arctan2(np.linalg.norm(b - a * (a @ b)), abs(a @ b))

    line = (v.coords.mean(axis=0) - u.coords.mean(axis=0)) * u.spacing if len(u.coords) else np.zeros(3)
    line[np.abs(line) < 1e-12] = 0
    to_line = [angle(direction(side), line) for side in (u, v)]
    difference = [angle(direction(u), direction(v)), min(to_line), max(to_line), np.mean(to_line)]
    return features(u), features(v), features(contact), np.array(difference)


def extrema(u, v, contact, *, oriented, image):
    """Return the four parts of the lowest and highest values of a pair."""
    del oriented, image  # the channels are already chosen

    def features(voxels):
        return np.array([f(x.tolist(), default=0.0) for x in voxels.values.T for f in (min, max)])

    return features(u), features(v), features(contact), np.abs(features(u) - features(v))


def axes(u, v, contact, *, nmoments, oriented, image):  # noqa: ARG001  # all have these
    """Return the four parts of the moments over the faces of a pair, axis by axis."""
    out = []
    for n_faces in contact.faces.T.astype(int):
        out.append(n_faces.sum() / 2)
        for x in np.repeat(contact.values.astype(float), n_faces, axis=0).T:
            mean = x.mean() if len(x) else 0.0
            out += [mean, *(np.mean((x - mean) ** k) if len(x) else 0.0 for k in range(2, nmoments + 1))]
    return np.empty(0), np.empty(0), np.array(out), np.empty(0)


def shape(u, v, contact):
    """Return the four parts of how large and round a pair is."""
    spacing = np.array(u.spacing, dtype=float)
    ndim, voxel = len(spacing), spacing.prod()
    ball = [2, 2 * np.sqrt(np.pi), (36 * np.pi) ** (1 / 3), 2**1.75 * np.sqrt(np.pi)][ndim - 1]  # surface, at volume 1

    def area(voxels):
        return (voxels.faces * voxel / spacing).sum()

    def sphericity(volume, surface):
        return ball * volume ** (1 - 1 / ndim) / surface if surface else 0

    def features(voxels):
        volume = len(voxels.coords) * voxel
        return np.array([volume, area(voxels), sphericity(volume, area(voxels))])

    low, high = sorted([area(u), area(v)])
    between = area(contact) / 2
    union = sphericity((len(u.coords) + len(v.coords)) * voxel, low + high - area(contact))
    return features(u), features(v), np.array([between, between / low, between / high, union]), np.empty(0)


FEATURES = {  # by name of the manager
    "axes": axes,
    "contact": contact,
    "extrema": extrema,
    "histogram": histogram,
    "moments": moments,
    "orientation": orientation,
    "shape": shape,
    "squiggliness": squiggliness,
}


def touching(contacts, outer):
    """Return {region: {neighbour: voxels of their contact}}, from the voxels of each contact, and at the border.

    The border is the region None.
    """
    sizes = {pair: len(voxels) for pair, voxels in contacts.items()}
    sizes |= {(n, None): len(voxels) for n, voxels in outer.items()}
    found = defaultdict(dict)
    for (u, v), size in sizes.items():
        found[u][v] = found[v][u] = size
    return found


def region_topology(touch, n):
    """Return degree, sum of neighbours' degrees, and voxels of all contacts, the largest, and the second largest."""
    sizes = [*sorted(touch[n].values(), reverse=True), 0, 0]
    return np.array([len(touch[n]), sum(len(touch[m]) for m in touch[n]), sum(sizes), *sizes[:2]], dtype=float)


def contact_topology(touch, u, v):
    """Return the voxels of a contact, and the number of neighbours that its regions have in common."""
    return np.array([touch[u][v], len(touch[u].keys() & touch[v].keys())], dtype=float)


def degrees(touch, u, v):
    """Return the four parts of the degrees of a pair."""

    def features(n):
        return np.array([len(touch[n]), np.mean([len(touch[m]) for m in touch[n]])])

    return features(u), features(v), np.array([len(set(touch[u]) & set(touch[v]))]), features(u) - features(v)


def inclusion(touch, u, v):
    """Return the four parts of the shares of contacts of a pair."""

    def features(n):
        largest, second = sorted([0, *touch[n].values()])[:-3:-1]
        return np.array([largest / sum(touch[n].values()), second / largest])

    sizes = [[*touch[n].values()] for n in (u, v)]
    shares = [*sorted(touch[u][v] / sum(s) for s in sizes), *sorted(touch[u][v] / max(s) for s in sizes)]
    return features(u), features(v), np.array(shares), features(u) - features(v)


TOPOLOGICAL = {"graph": degrees, "inclusion": inclusion}  # by name of the manager


class Graph:
    """A graph as the historic protocol sees it, with the caches of one manager."""

    def __init__(self, labels, image, features, kind, *, connectivity=1):
        self.shape, self.kind = labels.shape, kind
        self._values = np.reshape(image, (labels.size, -1)).astype(float)
        self._regions = regions(labels)
        self._contacts = contacts(labels, connectivity)
        self.nodes = {n: {"size": len(voxels), "fragments": {n}} for n, voxels in self._regions.items()}
        self.edges = _Edges({pair: {"size": len(voxels)} for pair, voxels in self._contacts.items()})
        for n in self.nodes:
            self.nodes[n][features.default_cache] = features.create_node_cache(self, n)
        for pair in self._contacts:
            self.edges[pair][features.default_cache] = features.create_edge_cache(self, *pair)

    def extent(self, n):
        return np.array(self._regions[n], dtype=np.int64)

    def boundary(self, u, v):
        return np.array(self._contacts[min(u, v), max(u, v)], dtype=np.int64)

    def values(self, voxels):
        return self._values[voxels]

    def coords(self, voxels):
        return np.stack(np.unravel_index(voxels, self.shape), axis=-1).astype(float)

    def faces(self, u, v=None):
        if v is None:
            return faces(self._regions[u], self._regions[u], None, self.shape)
        voxels, first, second = self.boundary(u, v).tolist(), *map(set, (self._regions[u], self._regions[v]))
        of_each = [
            faces([x], first if x in first else second, second if x in first else first, self.shape) for x in voxels
        ]
        return np.concatenate(of_each)


class _Edges(dict):
    def __getitem__(self, pair):
        return super().__getitem__((min(pair), max(pair)))
