"""Labels and affinities, any and lifelike, that graphs are built from in several tests."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import strategies
from gala import datasets
from gala.features import extrema, histogram, moments
from gala.features.base import Composite
from gala.graph.affinity_graph import build_affinity_graph

random_values = pytest.mark.filterwarnings("ignore:affinities look inverted")
features = Composite([moments.Manager(nmoments=2), histogram.Manager(nbins=5), extrema.Manager()])


class Case(NamedTuple):
    """Labels, the boundary between voxels, and the offsets of its channels."""

    labels: np.ndarray
    boundary: np.ndarray
    offsets: list
    mask: np.ndarray | None

    def build(self, what=features, affinities=None, **options):
        given = 1 - self.boundary if affinities is None else affinities
        return build_affinity_graph(self.labels, given, what, offsets=self.offsets, mask=self.mask, **options)

    def split(self):
        """Return which channels are of one step."""
        return np.abs(self.offsets).sum(axis=1) == 1


@st.composite
def cases(draw):
    labels = draw(strategies.label_volumes())
    ndim = labels.ndim
    near = [tuple(draw(st.sampled_from([-1, 1])) * row) for row in np.eye(ndim, dtype=int)]
    steps = st.tuples(*[st.integers(-4, 4)] * ndim).filter(lambda o: o > (0,) * ndim and sum(map(abs, o)) > 1)
    offsets = draw(st.permutations([list(map(int, o)) for o in [*near, *draw(st.sets(steps, max_size=3))]]))
    exact = st.integers(0, 64).map(lambda i: i / 64)
    boundary = draw(hnp.arrays(np.float32, (len(offsets), *labels.shape), elements=exact))
    return Case(labels, boundary, offsets, draw(st.none() | hnp.arrays(bool, labels.shape)))


def real_case(side=32):
    """Return a synthetic volume with affinities over one and over several voxels."""
    volume = datasets.synthetic((side // 2, side, side), seed=3)
    offsets = [[-1, 0, 0], [0, -1, 0], [0, 0, -1], [0, -5, 0], [-3, 0, 4]]
    boundary = np.zeros((len(offsets), *volume.p1.shape), dtype=np.float32)
    for channel, offset in zip(boundary, offsets, strict=True):
        channel[...] = np.maximum(volume.p1, np.roll(volume.p1, [-d for d in offset], (0, 1, 2)))
    return Case(volume.superpixels, boundary, offsets, None)
