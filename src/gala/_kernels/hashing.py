"""Random numbers by position: the same for whoever asks, in whatever order."""

from __future__ import annotations

import numpy as np

from gala._kernels.jit import inlined

_WORD = np.uint64(0xFFFFFFFF)
_HALF, _LESS = np.uint64(16), np.uint64(15)
# Multipliers below 2^32, the second above 2^31: a product of 32 bits with either fits 64.
_FIRST, _SECOND = np.uint64(0x7FEB352D), np.uint64(0x846CA68B)


@inlined
def mixed(x: np.uint64) -> np.uint64:
    """Return 32 bits, each of which depends on all of the lower 32 of `x`.

    The function is lowbias32 of C. Wellons, https://nullprogram.com/blog/2018/07/31/.
    """
    x = x & _WORD
    x = ((x ^ (x >> _HALF)) * _FIRST) & _WORD
    x = ((x ^ (x >> _LESS)) * _SECOND) & _WORD
    return x ^ (x >> _HALF)


@inlined
def mixed_place(seed: int, plane: int, row: int, column: int) -> np.uint64:
    """Return 32 random bits that belong to a place; coordinates are taken modulo 2^32."""
    h = mixed(np.uint64(seed & 0xFFFFFFFF) ^ np.uint64(0x9E3779B9))
    h = mixed(h ^ np.uint64(plane & 0xFFFFFFFF))
    h = mixed((h + np.uint64(0x85EBCA6B)) ^ np.uint64(row & 0xFFFFFFFF))
    return mixed((h + np.uint64(0xC2B2AE35)) ^ np.uint64(column & 0xFFFFFFFF))


@inlined
def fraction(bits: np.uint64) -> float:
    """Return 32 random bits as a number from 0 to below 1."""
    return float(bits) * (1.0 / 4294967296.0)
