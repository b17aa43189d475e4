"""Random images, smooth and rough, from which synthetic volumes are made."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from gala._types import Array

# The sum of the squares of the four weights of a cubic B-spline, averaged over positions.
_spline_power = 0.4794


def smooth_noise(random: np.random.Generator, shape: tuple[int, ...], scale: float) -> Array:
    """Draw float32 noise of mean 0 and variance 1 that varies over `scale` voxels.

    A cubic spline through random numbers on a coarse grid, one axis after the other: the cost does not depend on
    `scale`.

    Examples
    --------
    >>> smooth_noise(np.random.default_rng(0), (20, 30), 5).shape
    (20, 30)
    """
    coarse = tuple(int((n - 1) / scale) + 4 for n in shape)
    out: Array = random.standard_normal(coarse, dtype=np.float32)
    for axis, n in enumerate(shape):
        position = np.arange(n) / scale
        start = position.astype(np.intp)
        t = (position - start).astype(np.float32)
        weights = ((1 - t) ** 3, 3 * t**3 - 6 * t**2 + 4, 1 + 3 * t + 3 * t**2 - 3 * t**3, t**3)
        column = [-1 if a == axis else 1 for a in range(len(shape))]
        knots = [out.take(start + k, axis) * (w / 6).reshape(column) for k, w in enumerate(weights)]
        out = knots[0] + knots[1] + knots[2] + knots[3]
    out /= np.float32(_spline_power ** (len(shape) / 2))
    return out


def grain(random: np.random.Generator, shape: tuple[int, ...]) -> Array:
    """Draw float32 noise of mean 0 and variance about 1, correlated between neighbours only."""
    noise: Array = random.standard_normal(shape, dtype=np.float32)
    ndimage.gaussian_filter(noise, 0.7, output=noise)
    noise /= noise.std() or 1
    return noise
