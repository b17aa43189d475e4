"""Eigenvalues of the small symmetric matrices of every voxel, in closed form."""

from __future__ import annotations

import math

from gala._kernels.jit import kernel
from gala._types import Array


@kernel
def write_eigenvalues(matrices: Array, out: Array) -> None:
    """Write the eigenvalues of V symmetric matrices to `out`, shape (d, V), the greatest first; d is 2 or 3.

    `matrices`, shape (d (d + 1) / 2, V), are their upper triangles, row by row.
    """
    for i in range(out.shape[1]):
        if out.shape[0] == 2:
            middle = 0.5 * (float(matrices[0, i]) + float(matrices[2, i]))
            half = 0.5 * (float(matrices[0, i]) - float(matrices[2, i]))
            radius = math.sqrt(half * half + float(matrices[1, i]) ** 2)
            out[0, i] = middle + radius
            out[1, i] = middle - radius
        else:
            _write_three(matrices, i, out)


@kernel
def _write_three(matrices: Array, i: int, out: Array) -> None:
    """Write three eigenvalues as on a circle: Smith (1961), doi:10.1145/355578.366316."""
    xx, xy, xz = float(matrices[0, i]), float(matrices[1, i]), float(matrices[2, i])
    yy, yz, zz = float(matrices[3, i]), float(matrices[4, i]), float(matrices[5, i])
    middle = (xx + yy + zz) / 3.0
    xx, yy, zz = xx - middle, yy - middle, zz - middle
    radius = math.sqrt((xx * xx + yy * yy + zz * zz + 2.0 * (xy * xy + xz * xz + yz * yz)) / 6.0)
    angle = 0.0
    if radius > 0.0:
        determinant = xx * (yy * zz - yz * yz) - xy * (xy * zz - yz * xz) + xz * (xy * yz - yy * xz)
        cosine = 0.5 * determinant / (radius * radius * radius) if radius > 1e-100 else 0.0
        angle = math.acos(max(-1.0, min(1.0, cosine))) / 3.0
    greatest = 2.0 * radius * math.cos(angle)
    least = 2.0 * radius * math.cos(angle + 2.0 * math.pi / 3.0)
    out[0, i] = middle + greatest
    out[1, i] = middle - greatest - least
    out[2, i] = middle + least
