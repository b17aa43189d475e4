"""Hypothesis strategies: small volumes, images, and feature managers with random options."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from gala.features.base import Declared, known_managers
from gala.features.topology import Topological
from gala.graph.caches import Channels, ImageKind
from gala.graph.tree import MergeTree

# Multiples of 1/64: sums of their powers are exact, so laws hold to the last bit. Some are out of range, some
# on edges of bins.
DYADIC = st.integers(-16, 80).map(lambda i: i / 64)

# Two digits after the point, as image classifiers write them; on edges of bins up to rounding.
DECIMAL = st.integers(-25, 125).map(lambda i: i / 100)

_ranges = st.sampled_from([(0.0, 1.0), (0, 1), (-0.25, 0.75), (0.5, 0.625), (-3.0, 7.0), (0.1, 0.7)])
_fractions = st.lists(st.sampled_from([0.001, 0.1, 0.25, 0.5, 0.9, 0.999]), max_size=3)

# Which channels to read.
_reads = st.sampled_from([{}, {"oriented": True}, {"image": "raw"}])

# How to make the managers that have options, by name, but for what they read; the others are made without.
_made = {
    "axes": {"nmoments": st.integers(1, 4)},
    "contact": {"thresholds": st.lists(st.sampled_from([-0.25, 0.1, 0.5, 0.75, 1.5]), max_size=3)},
    "extrema": {},
    "histogram": {
        "value_range": _ranges,
        "nbins": st.integers(1, 30),
        "compute_percentiles": _fractions,
        "compute_histogram": st.booleans(),
        "use_neuroproof": st.booleans(),
    },
    "moments": {"nmoments": st.integers(1, 6), "use_diff_features": st.booleans(), "normalize": st.booleans()},
}


def _make(kind, reads, *, value_range=None, **options):
    bounds = {} if value_range is None else {"minval": value_range[0], "maxval": value_range[1]}
    return kind(**reads, **bounds, **options)


def declared_kinds():
    """Return every declared manager of gala that keeps cache rows."""
    return [kind for kind in _kinds(Declared) if not issubclass(kind, Topological)]


def topological_kinds():
    """Return every manager of gala that reads topology."""
    return _kinds(Topological)


def _kinds(base):
    kinds = known_managers().values()
    return [kind for kind in kinds if issubclass(kind, base) and kind.__module__.startswith("gala.")]


def declared_managers():
    """Return a declared manager of any kind, with any options."""
    return st.one_of(
        [
            st.builds(_make, st.just(kind), _reads, **_made[kind.name]) if kind.name in _made else st.builds(kind)
            for kind in declared_kinds()
        ]
    )


def label_volumes(*, min_dims=1, max_dims=4, max_labels=6, dtype=np.int64):
    """Return a label volume of few voxels; labels have gaps, and 0 is among them."""
    shapes = st.integers(min_dims, max_dims).flatmap(
        lambda ndim: hnp.array_shapes(min_dims=ndim, max_dims=ndim, max_side=(24, 7, 4, 3)[ndim - 1])
    )
    return shapes.flatmap(
        lambda shape: hnp.arrays(dtype, shape, elements=st.integers(0, max_labels - 1).map(lambda i: i * i))
    )


def images(shape, *, max_channels=4, values=DYADIC):
    """Return an image of shape `shape` + (C,)."""
    n_channels = st.integers(1, max_channels)
    return n_channels.flatmap(lambda n: hnp.arrays(np.float64, (*shape, n), elements=values))


@st.composite
def channels_of(draw, n_channels):
    """Return what the channels of an image mean: plain ones, those of an image "raw", and oriented ones."""
    everything = range(n_channels)
    plain = draw(st.sets(st.sampled_from(everything), min_size=1))
    raw = draw(st.lists(st.sampled_from(everything), min_size=1, max_size=2))
    oriented = st.sampled_from(everything)
    return Channels(tuple(sorted(plain)), draw(oriented), draw(oriented), (("raw", tuple(raw)),))


def kinds(n_channels, ndim):
    """Return the kind of an image; voxels have any size."""
    sides = st.tuples(*[st.sampled_from([0.5, 1.0, 3.0])] * ndim)
    return st.builds(ImageKind, channels_of(n_channels), st.just(ndim), sides)


@st.composite
def voxel_values(draw, *, values=DYADIC, max_voxels=40):
    """Return the values of some voxels, shape (V, C), and the kind of their image, which has 3 dimensions."""
    n_voxels = draw(st.integers(0, max_voxels))
    image = draw(images((n_voxels,), values=values))
    return image, draw(kinds(image.shape[1], 3))


# Few different ones, so that there are ties.
PRIORITIES = st.one_of(st.integers(-8, 24).map(lambda i: i / 16), st.sampled_from([-np.inf, np.inf]))


@st.composite
def forests(draw, *, priorities=PRIORITIES, min_leaves=0, max_leaves=12):
    """Return any merge tree of a few leaves; often some of it is never merged."""
    n_leaves = draw(st.integers(min_leaves, max_leaves))
    n_merges = draw(st.integers(0, max(n_leaves - 1, 0)))
    roots = list(range(n_leaves))
    children = []
    for k in range(n_merges):
        pair = sorted(roots.pop(draw(st.integers(0, len(roots) - 1))) for _ in range(2))
        children.append(pair)
        roots.append(n_leaves + k)
    priority = draw(st.lists(priorities, min_size=n_merges, max_size=n_merges))
    return MergeTree(n_leaves, np.array(children), np.array(priority))
