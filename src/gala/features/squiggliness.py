"""How large a contact is for the box that it lies in: 1 if it is a flat sheet, more if folded, less if it has holes.

Bounding boxes join by minima and maxima.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import ClassVar

import numpy as np

from gala._kernels.jit import gather_kernel, row_kernel
from gala._types import Floats, Ints
from gala.errors import FeatureError
from gala.features.base import Declared, Json
from gala.features.options import whole_number
from gala.graph.caches import CacheSpec, ImageKind, Join, Layout


@gather_kernel
def _gather(
    params: Floats, channels: Ints, values: Floats, coords: Floats, faces: Floats, owner: Ints, first: int, out: Floats
) -> None:
    """Add the count of voxels; lower the minima, and raise the maxima, of their coordinates."""
    ndim = coords.shape[1]
    for i in range(owner.size):
        row = owner[i]
        out[row, first] += 1.0
        for axis in range(ndim):
            low, high, x = first + 1 + axis, first + 1 + ndim + axis, coords[i, axis]
            out[row, low] = min(out[row, low], x)
            out[row, high] = max(out[row, high], x)


@row_kernel
def _nothing(params: Floats, u: Floats, v: Floats, edge: Floats, out: Floats) -> None:
    """Write nothing: only contacts have this feature."""


@row_kernel
def _edge(params: Floats, u: Floats, v: Floats, edge: Floats, out: Floats) -> None:
    """Write half the count over the product of all sides of the box but the smallest; 0 if there are no voxels."""
    out[0] = 0.0
    if edge[0] == 0.0:
        return
    ndim = params.size
    smallest, product = math.inf, 1.0
    for axis in range(ndim):
        side = (edge[1 + ndim + axis] - edge[1 + axis] + 1.0) * params[axis]
        if axis > 0:
            product *= max(side, smallest)
        smallest = min(side, smallest)
    out[0] = edge[0] / 2.0 / product


class Manager(Declared):
    """Compute half the voxels of a contact over the product of the two largest sides of its bounding box.

    Half, since a contact holds voxels of both regions: a flat sheet gives 1.

    Parameters
    ----------
    ndim : int, optional
        Of the volume, to have it checked.

    Raises
    ------
    SettingError
        If `ndim` is not a whole number, 1 or more.

    Notes
    -----
    A side is its number of voxels times the size of a voxel along that axis, so the unit is voxels over area.
    In volumes of d dimensions, not 3, it is the product of all sides but the smallest. A voxel counts as often
    as the contact holds it: after merges that may be more than once.

    References
    ----------
    .. [1] Nunez-Iglesias et al. (2014) Graph-based active learning of agglomeration (GALA). Front. Neuroinform. 8:34.
       :doi:`10.3389/fninf.2014.00034`

    Examples
    --------
    >>> from gala.features.program import output_names
    >>> from gala.graph.caches import Channels
    >>> output_names(Manager(), ImageKind.unit(Channels.all_plain(1), ndim=3))
    ('contact squiggliness',)
    """

    name: ClassVar[str] = "squiggliness"
    gather = staticmethod(_gather)
    node = staticmethod(_nothing)
    edge = staticmethod(_edge)
    difference = staticmethod(_nothing)

    def __init__(self, ndim: int | None = None) -> None:
        self.ndim = None if ndim is None else whole_number(ndim, "ndim")

    def parameters(self) -> Json:
        """Return the arguments that make a manager equal to this one."""
        return {"ndim": self.ndim}

    def layout(self, kind: ImageKind) -> Layout:
        """Return columns, parameters and names of outputs for this kind of image.

        Raises
        ------
        FeatureError
            If the image has other dimensions than the manager was made for.
        """
        if self.ndim not in (None, kind.ndim):
            raise FeatureError(
                f"{self.name} was made for {self.ndim} dimensions, and the volume has {kind.ndim}; "
                "leave ndim out to have it follow the volume."
            )
        return _layout(kind.spacing)


@lru_cache
def _layout(spacing: tuple[float, ...]) -> Layout:
    axes = range(len(spacing))
    lows = CacheSpec(tuple(f"lowest x{a}" for a in axes), (Join.MIN,) * len(axes))
    highs = CacheSpec(tuple(f"highest x{a}" for a in axes), (Join.MAX,) * len(axes))
    return Layout(
        spec=CacheSpec.sums("p0") + lows + highs,
        params=np.array(spacing),
        region_channels=(),
        contact_channels=(),
        node_names=(),
        edge_names=("squiggliness",),
        difference_names=(),
        needs_coords=True,
        of_regions=False,
    )
