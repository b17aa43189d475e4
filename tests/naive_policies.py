"""The policies' slow twins: functions ``f(g, u, v)`` of the voxels, from the definitions alone.

`g` is the graph of `naive_engine`; pictures of the volume's border come from the shape of its labels.
"""

from __future__ import annotations

import numpy as np

import naive


def values(g, u, v, channel=0):
    """Return the values of a channel in a contact, in increasing order."""
    return np.sort(g.values(g.boundary(u, v))[:, channel])


def mean(channel=0):
    return lambda g, u, v: values(g, u, v, channel).sum() / len(g.boundary(u, v))


def lowest(channel=0):
    return lambda g, u, v: values(g, u, v, channel)[0]


def highest(channel=0):
    return lambda g, u, v: values(g, u, v, channel)[-1]


def total(channel=0):
    return lambda g, u, v: values(g, u, v, channel).sum()


def mean_plus_sem(alpha=-6, channel=0):
    """For images whose sums are exact: the standard error from the sums of values and squares."""

    def priority(g, u, v):
        x = values(g, u, v, channel)
        average = x.sum() / len(x)
        return average + alpha * np.sqrt(max((x**2).sum() - average * x.sum(), 0) / (len(x) - 1) / len(x))

    return priority


def quantile(q, nbins, minval, maxval, channel=0):
    def priority(g, u, v):
        contact = naive.Voxels(values(g, u, v, channel)[:, np.newaxis], np.empty(0))
        options = {"compute_percentiles": [q], "compute_histogram": False, "use_neuroproof": False}
        options |= {"oriented": False, "image": None}
        return naive.histogram(contact, contact, contact, nbins=nbins, minval=minval, maxval=maxval, **options)[2][0]

    return priority


def probability(manager, classifier):
    return lambda g, u, v: classifier.predict_proba([manager(g, u, v)])[0, 1]


def expected_change(change, wrong, alpha=1.0, beta=1.0):
    def priority(g, u, v):
        p, sizes = wrong(g, u, v), sorted(len(g.extent(n)) for n in (u, v))
        there = sum(len(region.voxels) for region in g.regions.values())
        return p * alpha * change(*sizes, there) - (1 - p) * beta * change(*sizes, there)

    return priority


def vi_change(a, b, n):
    """Return the entropy, in bits, that is lost when objects of `a` and `b` voxels become one."""
    entropy = [-size / n * np.log2(size / n) for size in (a, b, a + b)]
    return entropy[0] + entropy[1] - entropy[2]


def rand_change(a, b, n):
    """Return the share of pairs of voxels, one of each object, of all pairs."""
    return a * b / (n * (n - 1) / 2)


def touches_the_border(g, n):
    coords = g.coords(g.extent(n))
    return bool(((coords == 0) | (coords == np.array(g.labels.shape) - 1)).any())


def may_climb(g, u, v, threshold, strictness):
    """Tell whether a ladder lets two regions merge."""
    small = [len(g.extent(n)) < threshold for n in (u, v)]
    if not any(s and not (strictness and touches_the_border(g, n)) for s, n in zip(small, (u, v), strict=True)):
        return False
    return not (strictness >= 2 and all(small)) and not (strictness >= 3 and len(g.boundary(u, v)) <= 2)


def ladder(before, threshold, strictness):
    return lambda g, u, v: before(g, u, v) if may_climb(g, u, v, threshold, strictness) else np.inf


def is_mito(g, voxels, channels, threshold):
    return max(g.values(voxels)[:, c].sum() / len(voxels) for c in channels) > threshold


def no_mito(before, channels, threshold):
    def priority(g, u, v):
        apart = any(is_mito(g, g.extent(n), channels, threshold) for n in (u, v))
        return np.inf if apart else before(g, u, v)

    return priority


def mito_merge(channels, threshold):
    def priority(g, u, v):
        mitochondria = [n for n in (u, v) if is_mito(g, g.extent(n), channels, threshold)]
        if len(mitochondria) != 1:
            return np.inf
        (mito,) = mitochondria
        cell = v if mito == u else u
        if len(g.extent(mito)) > len(g.extent(cell)):
            return np.inf
        coords = g.coords(g.extent(mito))
        outside = ((coords == 0) | (coords == np.array(g.labels.shape) - 1)).any(axis=1).sum()
        contacts = [len(contact.voxels) for pair, contact in g.contacts.items() if mito in pair]
        return 1 - len(g.boundary(u, v)) / (sum(contacts) + outside)

    return priority


def degrees(g, u, v):
    """See the row kernel of the same name in the tests."""
    neighbors = [{m for pair in g.contacts if n in pair for m in pair} - {n} for n in (u, v)]
    at_border = [touches_the_border(g, n) for n in (u, v)]
    common = len(neighbors[0] & neighbors[1]) + all(at_border)
    return sum(map(len, neighbors)) + sum(at_border) - 10 * common


def weighted(before, weight):
    """Add the relative size of the contact, times a weight; see the row kernel of the same name in the tests."""
    return lambda g, u, v: before(g, u, v) + weight * len(g.boundary(u, v)) / min(len(g.extent(n)) for n in (u, v))
