"""The lowest and the highest value of the image in regions and contacts.

The lowest value of a union is the lower of two: these columns are joined by minimum and maximum.
"""

from __future__ import annotations

from functools import lru_cache
from typing import ClassVar

import numpy as np

from gala._kernels.jit import gather_kernel, row_kernel
from gala._types import Floats, Ints
from gala.features.base import Declared, Json
from gala.features.options import ChosenChannels, choose_channels, image_name
from gala.graph.caches import CacheSpec, ImageKind, Join, Layout


@gather_kernel
def _gather(
    params: Floats, channels: Ints, values: Floats, coords: Floats, faces: Floats, owner: Ints, first: int, out: Floats
) -> None:
    """Lower the lowest value, and raise the highest, of each channel."""
    for j in range(channels.size):
        channel, column = channels[j], first + 2 * j
        for i in range(owner.size):
            x, row = values[i, channel], owner[i]
            out[row, column] = min(out[row, column], x)
            out[row, column + 1] = max(out[row, column + 1], x)


@row_kernel
def _node(params: Floats, u: Floats, v: Floats, edge: Floats, out: Floats) -> None:
    """Write the lowest and the highest value of each channel in u; 0 if there are no voxels."""
    for k in range(out.size):
        out[k] = u[k] if np.isfinite(u[k]) else 0.0


@row_kernel
def _edge(params: Floats, u: Floats, v: Floats, edge: Floats, out: Floats) -> None:
    """Write the features of a contact, which are those of a region."""
    _node(params, edge, v, edge, out)


@row_kernel
def _difference(params: Floats, u: Floats, v: Floats, edge: Floats, out: Floats) -> None:
    """Write how far the features of u and v are apart."""
    for k in range(out.size):
        a = u[k] if np.isfinite(u[k]) else 0.0
        b = v[k] if np.isfinite(v[k]) else 0.0
        out[k] = abs(a - b)


class Manager(Declared):
    """Compute the lowest and the highest value of each channel.

    Parameters
    ----------
    oriented : bool
        Read the oriented channels of the image, not the plain ones.
    image : str, optional
        Read the channels of the extra image of this name.

    Notes
    -----
    The difference of two regions is the absolute difference of each feature. Without voxels, all features are 0.

    Examples
    --------
    >>> from gala.graph.caches import Channels, ImageKind
    >>> Manager().layout(ImageKind.unit(Channels.all_plain(1), ndim=3)).node_names
    ('min[0]', 'max[0]')
    """

    name: ClassVar[str] = "extrema"
    gather = staticmethod(_gather)
    node = staticmethod(_node)
    edge = staticmethod(_edge)
    difference = staticmethod(_difference)

    def __init__(self, oriented: bool = False, image: str | None = None) -> None:
        self.oriented = bool(oriented)
        self.image = image_name(image, oriented=self.oriented)

    def parameters(self) -> Json:
        """Return the arguments that make a manager equal to this one."""
        return {"oriented": self.oriented, "image": self.image}

    def layout(self, kind: ImageKind) -> Layout:
        """Return columns, parameters and names of outputs for this kind of image."""
        return _layout(choose_channels(kind.channels, oriented=self.oriented, image=self.image, name=self.name))


@lru_cache
def _layout(chosen: ChosenChannels) -> Layout:
    names = tuple(f"{chosen.prefix}{which}{suffix}" for suffix in chosen.suffixes for which in ("min", "max"))
    return Layout(
        spec=CacheSpec(names, (Join.MIN, Join.MAX) * len(chosen.suffixes)),
        params=np.empty(0),
        region_channels=chosen.region,
        contact_channels=chosen.contact,
        node_names=names,
        edge_names=names,
        difference_names=names,
    )
