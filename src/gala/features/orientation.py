"""Where regions and contacts point: the principal axes of their voxels, and how regions lie to each other.

Sums of voxel indices and of their products add up when voxel sets join; covariances are computed from them.
"""

from __future__ import annotations

from functools import lru_cache
from itertools import combinations_with_replacement
from typing import ClassVar

import numpy as np

from gala._kernels.axes import angle, difference_of_products, sort_axes, turn_to_axes
from gala._kernels.jit import gather_kernel, kernel, row_kernel
from gala._types import Floats, Ints
from gala.features.base import Declared
from gala.graph.caches import CacheSpec, ImageKind, Layout

_NO_AXIS = 1e-9  # largest difference of two eigenvalues, relative to them, at which there is no principal axis


@gather_kernel
def _gather(
    params: Floats, channels: Ints, values: Floats, coords: Floats, faces: Floats, owner: Ints, first: int, out: Floats
) -> None:
    """Add the count of voxels, the sum of each coordinate, then of the product of each pair of them.

    Voxels that follow each other along the last axis are added at once: their sums have a closed form.
    """
    ndim = coords.shape[1]
    last = ndim - 1
    start = 0
    while start < owner.size:
        stop = start + 1
        while stop < owner.size and owner[stop] == owner[start] and coords[stop, last] == coords[stop - 1, last] + 1.0:
            moved = 0
            for axis in range(last):
                moved += coords[stop, axis] != coords[start, axis]
            if moved:
                break
            stop += 1
        row, n = owner[start], float(stop - start)
        steps = n * (n - 1.0) / 2.0  # the sum of 0 to n - 1
        x = coords[start, last]
        total = n * x + steps
        out[row, first] += n
        pair = first + 1 + ndim
        for a in range(last):
            out[row, first + 1 + a] += n * coords[start, a]
            for b in range(a, last):
                out[row, pair] += n * (coords[start, a] * coords[start, b])
                pair += 1
            out[row, pair] += coords[start, a] * total
            pair += 1
        out[row, first + ndim] += total
        out[row, pair] += n * (x * x) + 2.0 * (x * steps) + steps * (2.0 * n - 1.0) / 3.0
        start = stop


@kernel
def _find_axes(params: Floats, row: Floats, room: Floats) -> None:
    """Write the eigenvalues, shape (d,), and below them the axes, shape (d, d), of a row to `room`, largest first.

    The matrix is the covariance of the coordinates over the count, as scaled by `params`.
    """
    ndim, n = params.size, row[0]
    room[:] = 0.0
    if n < 2.0:
        return
    pair = 1 + ndim
    for a in range(ndim):
        for b in range(a, ndim):
            scatter = difference_of_products(n, row[pair], row[1 + a], row[1 + b]) / n
            room[1 + ndim + a, b] = room[1 + ndim + b, a] = scatter / (n - 1.0) / n * params[a] * params[b]
            pair += 1
    turn_to_axes(room[1 + ndim :], room[1 : 1 + ndim])
    for a in range(ndim):
        room[0, a] = max(room[1 + ndim + a, a], 0.0)
    sort_axes(room[0], room[1 : 1 + ndim])


@kernel
def _describe(params: Floats, row: Floats, out: Floats) -> None:
    """Write the eigenvalues of a row, then their coherence."""
    ndim = params.size
    room = np.empty((1 + 2 * ndim, ndim))
    _find_axes(params, row, room)
    out[:ndim] = room[0]
    second = room[0, 1] if ndim > 1 else 0.0
    total = room[0, 0] + second
    out[ndim] = ((room[0, 0] - second) / total) ** 2 if total > 0.0 else 0.0


@row_kernel
def _node(params: Floats, u: Floats, v: Floats, edge: Floats, out: Floats) -> None:
    """Write the eigenvalues and coherence of u."""
    _describe(params, u, out)


@row_kernel
def _edge(params: Floats, u: Floats, v: Floats, edge: Floats, out: Floats) -> None:
    """Write the eigenvalues and coherence of the contact."""
    _describe(params, edge, out)


@row_kernel
def _difference(params: Floats, u: Floats, v: Floats, edge: Floats, out: Floats) -> None:
    """Write the angle of both axes, then the lowest, highest and mean angle of an axis and the line of centroids."""
    ndim = params.size
    axes = np.empty((2, ndim))
    room = np.empty((1 + 2 * ndim, ndim))
    for side in range(2):
        _find_axes(params, u if side == 0 else v, room)
        unique = ndim == 1 or room[0, 0] - room[0, 1] > _NO_AXIS * room[0, 0]
        for a in range(ndim):
            axes[side, a] = room[1, a] if unique and room[0, 0] > 0.0 else 0.0
    line = room[0]
    for a in range(ndim):
        line[a] = difference_of_products(u[0], v[1 + a], v[0], u[1 + a]) * params[a]
    first, second = angle(axes[0], line), angle(axes[1], line)
    out[0] = angle(axes[0], axes[1])
    out[1], out[2] = min(first, second), max(first, second)
    out[3] = (first + second) / 2.0


class Manager(Declared):
    """Compute the principal axes of the voxels of regions and contacts, and angles of these axes.

    Of each region and contact: the eigenvalues, largest first, of the covariance of the coordinates of its voxels
    over their number, and the coherence of the first two, ``((l0 - l1) / (l0 + l1))**2``. Difference: the angle
    of the first axes of both regions, then of the angles of each with the line of centroids the lower, the
    higher, and the mean.

    Notes
    -----
    The unit of eigenvalues is area over voxels; coherence has none, and angles are in radians, 0 to pi / 2. The
    covariance is that of `numpy.cov`, ``sum((x - mean)**2) / (n - 1)``.

    All features are finite: one voxel has eigenvalues and coherence 0. Where the first two eigenvalues are the
    same, or the centroids, there is no axis or no line, and each angle with it is pi / 2. In one dimension the
    second eigenvalue is 0.

    Columns are sums of whole numbers, and exact while the sum of squared voxel indices of a region is below
    2**53: 9 million voxels at index 30,000 of an axis, 9,000 at one million. Differences of such sums are taken
    with twice the digits, so features do not depend on where the region is. Beyond, with L the largest index and
    n voxels in r row segments, rounding adds at most ``r * L**2 / 2**53`` to an element of the covariance, and about
    ``sqrt(r) * L**2 / 2**53`` where roundings are independent: 0.001 squared voxels for 300 million voxels in a
    million segments at index 100,000.

    References
    ----------
    .. [1] Nunez-Iglesias et al. (2014) Graph-based active learning of agglomeration (GALA). Front. Neuroinform. 8:34.
       :doi:`10.3389/fninf.2014.00034`

    Examples
    --------
    >>> from gala.graph.caches import Channels
    >>> layout = Manager().layout(ImageKind.unit(Channels.all_plain(1), ndim=2))
    >>> layout.node_names
    ('eigenvalue 0', 'eigenvalue 1', 'coherence')
    >>> rows = np.array([[3.0, 0.0, 3.0, 0.0, 0.0, 5.0]])  # three voxels in a row: (0, 0), (0, 1), (0, 2)
    >>> out = np.empty(3)
    >>> Manager().node(layout.params, rows[0], rows[0], rows[0], out)
    >>> out.round(3)
    array([0.333, 0.   , 1.   ])
    """

    name: ClassVar[str] = "orientation"
    gather = staticmethod(_gather)
    node = staticmethod(_node)
    edge = staticmethod(_edge)
    difference = staticmethod(_difference)

    def layout(self, kind: ImageKind) -> Layout:
        """Return columns, parameters and names of outputs for this kind of image."""
        return _layout(kind.spacing)


@lru_cache
def _layout(spacing: tuple[float, ...]) -> Layout:
    axes = range(len(spacing))
    sums = [f"x{a}" for a in axes]
    products = [f"x{a} x{b}" for a, b in combinations_with_replacement(axes, 2)]
    names = (*(f"eigenvalue {a}" for a in axes), "coherence")
    lines = [f"{which} angle of axis and centroids" for which in ("lower", "higher", "mean")]
    return Layout(
        spec=CacheSpec.sums("p0", *sums, *products),
        params=np.array(spacing),
        region_channels=(),
        contact_channels=(),
        node_names=names,
        edge_names=names,
        difference_names=("angle of axes", *lines),
        needs_coords=True,
    )
