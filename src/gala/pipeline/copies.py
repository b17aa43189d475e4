"""Copies of an image made less sure of itself, to learn from.

A map of boundaries is surer where its maker was trained, which is often where truth is, than anywhere else. What is
learned from it alone expects that everywhere.
"""

from __future__ import annotations

import numpy as np
from scipy import ndimage, special

from gala._types import Array, Bools, Floats
from gala.datasets.noise import smooth_noise

_most_alike = 0.4  # spread of the log of the factor on log-odds
_drift = 0.7  # spread of what is added to log-odds, smoothly
_scale = 15  # voxels over which that varies
_surest = 0.99


def factors(n: int) -> Floats:
    """Return how near to 0 the log-odds of each of n copies come, below 1.

    They are quantiles of a distribution rather than drawn from it, so that no seed has only sure copies.

    Examples
    --------
    >>> factors(2).round(3)
    array([0.88 , 0.631])
    """
    found: Floats = np.exp(-_most_alike * special.ndtri(0.5 + (np.arange(n) + 0.5) / (2 * n)))
    return found


def less_sure(image: Array, factor: float, random: np.random.Generator, *, mask: Bools | None = None) -> Array:
    """Return a copy of a map with log-odds nearer to 0 by a factor, and drifting from place to place.

    Parameters
    ----------
    image : array of float, shape (M, ..., P, C)
        Probabilities; if some are beyond 0 and 1, the range is stretched to hold them.
    factor : float
        One of `factors`.
    random : numpy.random.Generator
        Draws a smooth field for each channel.
    mask : array of bool, shape (M, ..., P), optional
        Voxels that are False have no influence; they may be NaN.

    Returns
    -------
    copy : array of float32, shape (M, ..., P, C)

    Examples
    --------
    >>> less_sure(np.full((4, 4, 1), 0.5), 0.8, np.random.default_rng(0)).shape
    (4, 4, 1)
    """
    known = image if mask is None else image[mask]
    box = ... if mask is None else ndimage.find_objects(mask.astype(np.uint8))[0]
    low, high = min(0.0, float(known.min())), max(1.0, float(known.max()))
    copy = image.astype(np.float32)
    for channel in range(image.shape[-1]):
        part = copy[box][..., channel]  # a view
        p = np.clip((part - low) / (high - low), 1 - _surest, _surest)
        p = np.float32(factor) * np.log(p / (1 - p)) + _drift * smooth_noise(random, part.shape, _scale)
        part[...] = low + (high - low) / (1 + np.exp(-p))
    return copy
