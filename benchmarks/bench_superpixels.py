"""From a boundary map to superpixels; filling minima by grey-scale reconstruction first is the usual way."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage
from skimage import measure, morphology, segmentation

from gala import evaluate
from gala.morpho import superpixels

WHOLE = "superpixels"
HALF = "superpixels, 128³"


def note_of(labels, truth):
    """Return how many there are, and the VI that is left when each joins the object that it overlaps most."""
    best = evaluate.best_possible_segmentation(labels, truth)
    return f"{labels.max()} superpixels, oracle VI {evaluate.split_vi(best, truth).sum():.3f}"


@pytest.mark.parametrize("method", ["watershed", "distance"])
def test_superpixels__gala(benchmark, volume, method):
    benchmark.group = WHOLE
    labels = benchmark.pedantic(superpixels, (volume.p1,), {"method": method}, rounds=2, warmup_rounds=1)
    benchmark.extra_info["who"] = "gala" if method == "watershed" else f"gala, {method}"
    benchmark.extra_info["note"] = f"{method} of {volume.p1.shape[0]}³ voxels: {note_of(labels, volume.truth)}"


def test_superpixels_half__gala(benchmark, half_volume):
    benchmark.group = HALF
    labels = benchmark.pedantic(superpixels, (half_volume.p1,), rounds=2, warmup_rounds=1)
    benchmark.extra_info["note"] = f"gala: {note_of(labels, half_volume.truth)}"


def test_superpixels_half__scikit_image(benchmark, half_volume):
    benchmark.group = HALF

    def flood():
        height = ndimage.gaussian_filter(half_volume.p1, 0.7)
        filled = morphology.reconstruction(height + np.float32(0.01), height, method="erosion")
        return segmentation.watershed(height, measure.label(morphology.local_minima(filled)))

    labels = benchmark.pedantic(flood, rounds=1)
    benchmark.extra_info["note"] = f"scikit-image, small ones kept: {note_of(labels, half_volume.truth)}"
