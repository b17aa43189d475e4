"""How much of a contact, and of both regions, is above thresholds: where a boundary is, and how large it is.

Numbers of voxels above each threshold add up when voxel sets join; ratios are computed from them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import ClassVar

import numpy as np

from gala._kernels.jit import gather_kernel, row_kernel
from gala._types import Floats, Ints
from gala.errors import SettingError
from gala.features.base import Declared, Json
from gala.features.options import ChosenChannels, choose_channels, image_name
from gala.graph.caches import CacheSpec, ImageKind, Layout


@gather_kernel
def _gather(
    params: Floats, channels: Ints, values: Floats, coords: Floats, faces: Floats, owner: Ints, first: int, out: Floats
) -> None:
    """Add the count of voxels, then for each channel and threshold the count of those above it."""
    start = 0
    while start < owner.size:
        row = owner[start]
        stop = start + 1
        while stop < owner.size and owner[stop] == row:
            stop += 1
        out[row, first] += stop - start
        for j in range(channels.size):
            for t in range(params.size):
                above = 0
                for i in range(start, stop):
                    above += values[i, channels[j]] > params[t]
                out[row, first + 1 + j * params.size + t] += above
        start = stop


@row_kernel
def _node(params: Floats, u: Floats, v: Floats, edge: Floats, out: Floats) -> None:
    """Write nothing: only pairs have these features."""


@row_kernel
def _edge(params: Floats, u: Floats, v: Floats, edge: Floats, out: Floats) -> None:
    """Write ratios of counts, their logarithms, then ratios of sizes; 0 if there are no voxels."""
    out[:] = 0.0
    if min(u[0], v[0], edge[0]) == 0.0:
        return
    size_u, size_v = edge[0] / u[0], edge[0] / v[0]
    n_logs = out.size // 2 - 2
    for c in range(1, edge.size):
        ratio_u, ratio_v = (1.0 + edge[c]) / (1.0 + u[c]), (1.0 + edge[c]) / (1.0 + v[c])
        place = 4 * (c - 1)
        out[place], out[place + 1] = ratio_u, ratio_u / size_u
        out[place + 2], out[place + 3] = ratio_v, ratio_v / size_v
    for i in range(n_logs):
        out[n_logs + i] = math.log(out[i])
    place = 2 * n_logs
    out[place], out[place + 1] = math.log(size_u), math.log(size_v)
    out[place + 2], out[place + 3] = size_u, size_v


class Manager(Declared):
    """Compare the voxels above thresholds in a contact with those in its regions.

    For each channel and threshold, let b, a1 and a2 be 1 more than the number of voxels above the threshold in
    the contact, the smaller and the larger region; let s1 and s2 be the size of the contact over that of each
    region. The features are b/a1, b/a1/s1, b/a2 and b/a2/s2 for each channel and threshold, then the logarithms
    of all these, then log s1, log s2, s1 and s2.

    Parameters
    ----------
    thresholds : sequence of float
        A voxel of exactly this value is not above it.
    oriented : bool
        Read the oriented channels of the image, not the plain ones.
    image : str, optional
        Read the channels of the extra image of this name.

    Raises
    ------
    SettingError
        If a threshold is not a finite number.

    Notes
    -----
    The smaller region comes first everywhere. The features are numbers without unit, so the size of a voxel
    does not matter. All are finite.

    References
    ----------
    .. [1] Nunez-Iglesias et al. (2014) Graph-based active learning of agglomeration (GALA). Front. Neuroinform. 8:34.
       :doi:`10.3389/fninf.2014.00034`

    Examples
    --------
    >>> from gala.features.program import output_names
    >>> from gala.graph.caches import Channels
    >>> kind = ImageKind.unit(Channels.all_plain(1), ndim=3)
    >>> output_names(Manager([0.5]), kind)[:2]
    ('contact above(0.5)[0] over smaller', 'contact above(0.5)[0] over smaller over sizes')
    """

    name: ClassVar[str] = "contact"
    gather = staticmethod(_gather)
    node = staticmethod(_node)
    edge = staticmethod(_edge)
    difference = staticmethod(_node)

    def __init__(
        self, thresholds: Sequence[float] = (0.1, 0.5, 0.9), oriented: bool = False, image: str | None = None
    ) -> None:
        self.thresholds = _checked(thresholds)
        self.oriented = bool(oriented)
        self.image = image_name(image, oriented=self.oriented)

    def parameters(self) -> Json:
        """Return the arguments that make a manager equal to this one."""
        return {"thresholds": list(self.thresholds), "oriented": self.oriented, "image": self.image}

    def layout(self, kind: ImageKind) -> Layout:
        """Return columns, parameters and names of outputs for this kind of image."""
        chosen = choose_channels(kind.channels, oriented=self.oriented, image=self.image, name=self.name)
        return _layout(self.thresholds, chosen)


@lru_cache
def _layout(thresholds: tuple[float, ...], chosen: ChosenChannels) -> Layout:
    columns = [f"{chosen.prefix}above({t}){suffix}" for suffix in chosen.suffixes for t in thresholds]
    sides = ("over smaller", "over smaller over sizes", "over larger", "over larger over sizes")
    ratios = [f"{column} {side}" for column in columns for side in sides]
    sizes = [f"{chosen.prefix}size over smaller", f"{chosen.prefix}size over larger"]
    return Layout(
        spec=CacheSpec.sums(f"{chosen.prefix}p0", *columns),
        params=np.array(thresholds, dtype=float),
        region_channels=chosen.region,
        contact_channels=chosen.contact,
        node_names=(),
        edge_names=(*ratios, *(f"log {ratio}" for ratio in ratios), *(f"log {size}" for size in sizes), *sizes),
        difference_names=(),
    )


def _checked(thresholds: Sequence[float]) -> tuple[float, ...]:
    try:
        checked = tuple(float(threshold) for threshold in thresholds)
    except (TypeError, ValueError):
        raise SettingError(f"thresholds must be a list of numbers; got {thresholds!r}.") from None
    if not np.isfinite(checked).all():
        raise SettingError(f"thresholds must be finite; got {list(thresholds)}.")
    return checked
