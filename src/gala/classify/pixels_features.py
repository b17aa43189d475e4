"""What a pixel classifier sees at a voxel: its surroundings at several scales, from derivatives of Gaussians.

At each scale, for each channel: the smoothed value, the gradient magnitude, the Laplacian, and the eigenvalues of the
Hessian and of the structure tensor. Each voxel's features are sums in a fixed order over a window of fixed size, so
they are the same bytes in whichever block they are computed.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from typing import NamedTuple, TypeAlias

import numpy as np
from scipy import ndimage

from gala._kernels.eigenvalues import write_eigenvalues
from gala._types import Array
from gala.classify.tiles import Box
from gala.graph.grid import within

_REACH = 3.5  # of a window, in standard deviations
_LEAST = 0.5  # standard deviation, in voxels: windows less wide hold one voxel, whose derivative is 0

Orders: TypeAlias = tuple[int, ...]


class Filters(NamedTuple):
    """The scales, in voxels of the finest axis, and what these are along each filtered axis."""

    scales: tuple[float, ...]
    ndim: int  # of the image, without channels
    steps: tuple[float, ...]  # sizes of a voxel along the filtered axes, the last ones; the finest is 1

    @property
    def axes(self) -> range:
        """The axes along which filters reach."""
        return range(self.ndim - len(self.steps), self.ndim)

    @property
    def n_features(self) -> int:
        """How many features a channel has."""
        return 1 + len(self.scales) * (3 + 2 * len(self.steps))

    @property
    def halo(self) -> tuple[int, ...]:
        """How far a voxel's features reach along each axis, in voxels."""
        reaches = [self._halo(scale) for scale in self.scales]
        return tuple(max(sides) for sides in zip(*reaches, strict=True))

    def _halo(self, scale: float) -> tuple[int, ...]:
        inner, outer = self._sigmas(scale), self._sigmas(scale / 2)
        reach = [_radius(a) + _radius(b) for a, b in zip(inner, outer, strict=True)]
        return (0,) * (self.ndim - len(self.steps)) + tuple(reach)

    def _sigmas(self, scale: float) -> list[float]:
        return [max(scale / step, _LEAST) for step in self.steps]

    def memory(self, sides: tuple[int, ...], n_channels: int) -> int:
        """Return how many bytes `features` needs at most for a box in the middle of an image."""
        core = math.prod(sides)
        seen = math.prod(side + 2 * by for side, by in zip(sides, self.halo, strict=True))
        n_axes, n_pairs = len(self.steps), len(_pairs(len(self.steps)))
        features = core * self.n_features * n_channels
        # The image and one channel of it; derivatives of order 0 to 2, the tensor, and products that are smoothed.
        working = seen * (n_channels + 1 + (1 + n_axes + n_pairs) + n_pairs + 3) + core * (n_pairs + n_axes)
        return 4 * (2 * features + working)  # they are copied once, in the order of voxels

    def features(self, values: Array, inner: Box) -> Array:
        """Return the features, shape (V, C * n_features), of the V voxels in `inner`, a box of an image.

        Parameters
        ----------
        values : array of float32, shape (M, ..., P, C)
            The voxels of the box, and their halo as far as the image goes.
        inner : tuple of slice
            The box, in `values`.
        """
        shape = tuple(side.stop - side.start for side in inner)
        n_channels = values.shape[-1]
        out = np.empty((n_channels, self.n_features, *shape), np.float32)
        for channel in range(n_channels):
            one = np.ascontiguousarray(values[..., channel])
            out[channel, 0] = one[inner]
            first = 1
            for scale in self.scales:
                for found in self._at_scale(one, inner, scale):
                    out[channel, first] = found
                    first += 1
        return np.ascontiguousarray(out.reshape(n_channels * self.n_features, -1).T)

    def _at_scale(self, values: Array, inner: Box, scale: float) -> Iterator[Array]:
        """Yield the features of one scale, each of the shape of `inner`; small scales read less of the halo."""
        sides = list(zip(inner, self._halo(scale), values.shape, strict=True))
        near = tuple(slice(max(box.start - by, 0), min(box.stop + by, n)) for box, by, n in sides)
        core = within(inner, near)
        derivatives = self._derivatives(values[near], scale)
        n = len(self.steps)
        gradient = [derivatives[_orders(n, a)] for a in range(n)]
        hessian = [derivatives[_orders(n, *pair)][core] for pair in _pairs(n)]
        yield derivatives[_orders(n)][core]
        yield np.sqrt(_sum([part[core] * part[core] for part in gradient]))
        yield _sum([hessian[k] for k, (a, b) in enumerate(_pairs(n)) if a == b])
        yield from _eigenvalues(hessian, n)
        tensor = [self._smoothed(gradient[a] * gradient[b], scale / 2)[core] for a, b in _pairs(n)]
        yield from _eigenvalues(tensor, n)

    def _derivatives(self, values: Array, scale: float) -> dict[Orders, Array]:
        """Return all derivatives of order 0 to 2 of the smoothed values, per voxel of the finest axis."""
        found: dict[Orders, Array] = {(): values}
        for axis, sigma, step in zip(self.axes, self._sigmas(scale), self.steps, strict=True):
            found = {
                (*orders, order): _gaussian(part, sigma, axis, order, step)
                for orders, part in found.items()
                for order in range(3 - sum(orders))
            }
        return found

    def _smoothed(self, values: Array, scale: float) -> Array:
        for axis, sigma in zip(self.axes, self._sigmas(scale), strict=True):
            values = _gaussian(values, sigma, axis, 0, 1.0)
        return values


def _radius(sigma: float) -> int:
    return math.ceil(_REACH * sigma)


def _gaussian(values: Array, sigma: float, axis: int, order: int, step: float) -> Array:
    out = np.empty_like(values)
    ndimage.gaussian_filter1d(values, sigma, axis, order, output=out, mode="mirror", radius=_radius(sigma))
    if order and step != 1:
        out /= np.float32(step**order)
    return out


def _pairs(n: int) -> list[tuple[int, int]]:
    return list(itertools.combinations_with_replacement(range(n), 2))


def _orders(n: int, *axes: int) -> Orders:
    return tuple(axes.count(a) for a in range(n))


def _sum(parts: list[Array]) -> Array:
    total = parts[0].copy()
    for part in parts[1:]:
        total += part
    return total


def _eigenvalues(parts: list[Array], n: int) -> Array:
    """Return the eigenvalues, shape (n, M, ..., P), of matrices whose upper triangles are given."""
    matrices = np.stack(parts).reshape(len(parts), -1)
    out = np.empty((n, matrices.shape[1]), np.float32)
    write_eigenvalues(matrices, out)
    return out.reshape(n, *parts[0].shape)
