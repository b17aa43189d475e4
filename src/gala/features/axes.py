"""Moments of the image over the faces of a contact, axis by axis.

In an image of coarse planes a boundary that lies in the plane looks unlike one across it: this keeps them apart.
"""

from __future__ import annotations

from functools import lru_cache
from typing import ClassVar

import numpy as np

from gala._kernels.jit import gather_kernel, row_kernel
from gala._types import Floats, Ints
from gala.features import moments
from gala.features.declared import Declared
from gala.features.options import ChosenChannels, choose_channels, image_name, whole_number
from gala.features.protocol import Json
from gala.graph.caches import CacheSpec, ImageKind, Layout

_describe = moments.Manager.node


@gather_kernel
def _gather(
    params: Floats, channels: Ints, values: Floats, coords: Floats, faces: Floats, owner: Ints, first: int, out: Floats
) -> None:
    """Add for each axis half the faces, then for each power its sum over these in each channel."""
    n_powers, n_channels = int(params[0]), channels.size
    for i in range(owner.size):
        for axis in range(faces.shape[1]):
            if faces[i, axis] > 0.0:
                half = faces[i, axis] / 2.0
                column = first + axis * (1 + n_powers * n_channels)
                out[owner[i], column] += half
                for j in range(n_channels):
                    power = half
                    for k in range(n_powers):
                        power *= values[i, channels[j]]
                        out[owner[i], column + 1 + k * n_channels + j] += power


@row_kernel
def _nothing(params: Floats, u: Floats, v: Floats, edge: Floats, out: Floats) -> None:
    """Write nothing: only contacts have these features."""


@row_kernel
def _edge(params: Floats, u: Floats, v: Floats, edge: Floats, out: Floats) -> None:
    """Write for each axis the faces along it, then for each channel mean and moments."""
    width = 1 + int(params[0]) * int(params[1])  # of the columns of an axis, and of its features
    for axis in range(edge.size // width):
        part = slice(axis * width, (axis + 1) * width)
        _describe(params, edge[part], v, edge, out[part])


class Manager(Declared):
    """Compute the faces of a contact along each axis, and mean and central moments of each channel over them.

    A face is where two voxels that differ by 1 along one axis lie in two regions, and the image there is
    that of both voxels, half each: of the values on both sides of all faces along the axis, the features are mean
    and central moments.

    Parameters
    ----------
    nmoments : int
        The highest moment. The first is the mean, the others are central moments.
    oriented : bool
        Read the oriented channels of the image, not the plain ones.
    image : str, optional
        Read the channels of the extra image of this name.

    Raises
    ------
    SettingError
        If `nmoments` is not 1 or more.

    Notes
    -----
    Faces are counted, so `spacing` does not matter. With no faces along an axis, its features are 0. Unlike the voxels
    of a contact, which `moments` reads, its faces are the same whichever way its regions were merged.

    Examples
    --------
    >>> from gala.graph.caches import Channels, ImageKind
    >>> Manager(1).layout(ImageKind.unit(Channels.all_plain(1), ndim=2)).edge_names
    ('x0 faces', 'x0 mean[0]', 'x1 faces', 'x1 mean[0]')
    """

    name: ClassVar[str] = "axes"
    gather = staticmethod(_gather)
    node = staticmethod(_nothing)
    edge = staticmethod(_edge)
    difference = staticmethod(_nothing)

    def __init__(self, nmoments: int = 2, oriented: bool = False, image: str | None = None) -> None:
        self.nmoments = whole_number(nmoments, "nmoments")
        self.oriented = bool(oriented)
        self.image = image_name(image, oriented=self.oriented)

    def parameters(self) -> Json:
        """Return the arguments that make a manager equal to this one."""
        return {"nmoments": self.nmoments, "oriented": self.oriented, "image": self.image}

    def layout(self, kind: ImageKind) -> Layout:
        """Return columns, parameters and names of outputs for this kind of image."""
        chosen = choose_channels(kind.channels, oriented=self.oriented, image=self.image, name=self.name)
        return _layout(self.nmoments, chosen, kind.ndim)


@lru_cache
def _layout(nmoments: int, chosen: ChosenChannels, ndim: int) -> Layout:
    powers = [f"p{k}{suffix}" for k in range(1, nmoments + 1) for suffix in chosen.suffixes]
    kinds = ["mean", *(f"moment{k}" for k in range(2, nmoments + 1))]
    features = ["faces", *(f"{kind}{suffix}" for suffix in chosen.suffixes for kind in kinds)]
    axes = [f"{chosen.prefix}x{axis} " for axis in range(ndim)]
    return Layout(
        spec=CacheSpec.sums(*(f"{axis}{column}" for axis in axes for column in ("faces", *powers))),
        params=np.array([nmoments, len(chosen.suffixes), 0], dtype=float),
        region_channels=(),
        contact_channels=chosen.contact,
        node_names=(),
        edge_names=tuple(f"{axis}{feature}" for axis in axes for feature in features),
        difference_names=(),
        needs_faces=True,
        of_regions=False,
    )
