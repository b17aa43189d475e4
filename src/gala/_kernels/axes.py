"""Principal axes of small symmetric matrices, angles, and differences of products that do not cancel."""

from __future__ import annotations

import math

from gala._kernels.jit import kernel
from gala._types import Floats

_SWEEPS = 30  # Jacobi's method needs about 6 for 4 axes
_HALF = 134217729.0  # 2**27 + 1: splits a float64 in two halves of 26 bits


@kernel
def _product_error(a: float, b: float, product: float) -> float:
    """Return what ``a * b`` is more than `product`, its rounded value (Dekker 1971, doi:10.1007/BF01397083)."""
    shifted_a, shifted_b = _HALF * a, _HALF * b
    high_a, high_b = shifted_a - (shifted_a - a), shifted_b - (shifted_b - b)
    low_a, low_b = a - high_a, b - high_b
    return low_a * low_b - (((product - high_a * high_b) - low_a * high_b) - high_a * low_b)


@kernel
def difference_of_products(a: float, b: float, c: float, d: float) -> float:
    """Return ``a * b - c * d`` as if computed with twice the digits, then rounded."""
    ab, cd = a * b, c * d
    difference = ab - cd
    back = difference - ab
    rounding = (ab - (difference - back)) - (cd + back)
    return difference + (rounding + (_product_error(a, b, ab) - _product_error(c, d, cd)))


@kernel
def turn_to_axes(matrix: Floats, axes: Floats) -> None:
    """Make a symmetric `matrix`, shape (d, d), diagonal by rotations, and write its axes to the rows of `axes`.

    Jacobi's cyclic method: Golub and Van Loan (2013) Matrix Computations, section 8.5.
    """
    d = matrix.shape[0]
    for a in range(d):
        for b in range(d):
            axes[a, b] = 1.0 if a == b else 0.0
    for _ in range(_SWEEPS):
        n_turned = 0
        for p in range(d):
            for q in range(p + 1, d):
                size = math.sqrt(abs(matrix[p, p])) * math.sqrt(abs(matrix[q, q]))
                if abs(matrix[p, q]) <= 1e-17 * size:
                    matrix[p, q] = matrix[q, p] = 0.0
                else:
                    _turn(matrix, axes, p, q)
                    n_turned += 1
        if n_turned == 0:
            return


@kernel
def _turn(matrix: Floats, axes: Floats, p: int, q: int) -> None:
    """Turn axes p and q so that their element of the matrix becomes 0."""
    slope = (matrix[q, q] - matrix[p, p]) / (2.0 * matrix[p, q])
    tangent = math.copysign(1.0, slope) / (abs(slope) + math.sqrt(1.0 + slope * slope))
    cosine = 1.0 / math.sqrt(1.0 + tangent * tangent)
    sine = tangent * cosine
    shift = tangent * matrix[p, q]
    matrix[p, p] -= shift
    matrix[q, q] += shift
    matrix[p, q] = matrix[q, p] = 0.0
    for k in range(matrix.shape[0]):
        if k not in (p, q):
            x, y = matrix[k, p], matrix[k, q]
            matrix[k, p] = matrix[p, k] = cosine * x - sine * y
            matrix[k, q] = matrix[q, k] = sine * x + cosine * y
        x, y = axes[p, k], axes[q, k]
        axes[p, k] = cosine * x - sine * y
        axes[q, k] = sine * x + cosine * y


@kernel
def sort_axes(values: Floats, axes: Floats) -> None:
    """Put eigenvalues, shape (d,), and the rows of `axes` in order, largest first."""
    for a in range(values.size):
        largest = a
        for b in range(a + 1, values.size):
            if values[b] > values[largest]:
                largest = b
        if largest != a:
            values[a], values[largest] = values[largest], values[a]
            for k in range(values.size):
                axes[a, k], axes[largest, k] = axes[largest, k], axes[a, k]


@kernel
def angle(a: Floats, b: Floats) -> float:
    """Return the angle of two lines, 0 to pi / 2, from vectors along them, shape (d,); pi / 2 if one is 0.

    Kahan's formula with the half angle, which is exact where a cosine is not.
    """
    size_a, size_b, dot = 0.0, 0.0, 0.0
    for k in range(a.size):
        size_a, size_b = math.hypot(size_a, a[k]), math.hypot(size_b, b[k])
    if size_a == 0.0 or size_b == 0.0:
        return math.pi / 2.0
    for k in range(a.size):
        dot += (a[k] / size_a) * (b[k] / size_b)
    sign = -1.0 if dot < 0.0 else 1.0
    apart, along = 0.0, 0.0
    for k in range(a.size):
        x, y = a[k] / size_a, sign * b[k] / size_b
        apart, along = math.hypot(apart, x - y), math.hypot(along, x + y)
    return 2.0 * math.atan2(apart, along)
