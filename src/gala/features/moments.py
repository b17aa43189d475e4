"""The size, mean and central moments of the image in regions and contacts.

Sums of powers add up when voxel sets join; means and moments are computed from them.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import ClassVar

import numpy as np

from gala._kernels.jit import gather_kernel, inlined, row_kernel
from gala._kernels.rows import count_voxels
from gala._types import Floats, Ints
from gala.features.base import Declared, Json
from gala.features.options import ChosenChannels, choose_channels, image_name, whole_number
from gala.graph.caches import CacheSpec, ImageKind, Layout


@inlined
def _add_powers(n_powers: int, x: float, rows: Floats, row: np.uint64, column: np.uint64, step: np.uint64) -> None:
    """Add x to a column of a row, and each higher power `step` columns further on."""
    square = x * x
    rows[row, column] += x
    if n_powers > 1:
        rows[row, column + step] += square
    if n_powers > 2:
        rows[row, column + step + step] += square * x
    if n_powers > 3:
        rows[row, column + step + step + step] += square * square
    power = square * square
    for k in range(5, n_powers + 1):
        power *= x
        rows[row, column + np.uint64(k - 1) * step] += power


@gather_kernel
def _gather(
    params: Floats, channels: Ints, values: Floats, coords: Floats, faces: Floats, owner: Ints, first: int, out: Floats
) -> None:
    """Add the count of voxels, then for each power its sum in each channel."""
    n_powers, n, n_channels = int(params[0]), np.uint64(owner.size), np.uint64(channels.size)
    count = np.uint64(first)
    count_voxels(owner, first, out)
    # Neighbours in the list mostly go to one row, and one sum has to wait for the other: four places in the list
    # take turns (3.1 ns a voxel of the volume, against 4.5 in order and 7.7 run by run).
    quarter = n // np.uint64(4)
    for j in range(n_channels):
        channel, column = np.uint64(channels[j]), count + np.uint64(1) + np.uint64(j)
        for i in range(quarter):
            for turn in range(4):
                v = np.uint64(i) + np.uint64(turn) * quarter
                _add_powers(n_powers, values[v, channel], out, np.uint64(owner[v]), column, n_channels)
        for rest in range(np.uint64(4) * quarter, n):
            v = np.uint64(rest)
            _add_powers(n_powers, values[v, channel], out, np.uint64(owner[v]), column, n_channels)


@inlined
def _feature(params: Floats, row: Floats, j: int, k: int) -> float:
    """Return the mean (k = 1) or the k-th central moment of channel j; 0 if there are no voxels."""
    n_channels, count = int(params[1]), row[0]
    if count == 0.0:
        return 0.0
    mean: float = row[1 + j] / count
    if k == 1:
        return mean
    # The sum over i of binomial(k, i) (-mean)^(k - i) E[x^i], by Horner's rule.
    binomial = 1.0
    moment = 1.0  # E[x^0]
    for i in range(1, k + 1):
        binomial = binomial * (k - i + 1) / i
        moment = -mean * moment + binomial * row[1 + (i - 1) * n_channels + j] / count
    if k % 2 == 0:
        moment = max(moment, 0.0)
    if params[2] == 0.0:
        return moment
    return math.copysign(abs(moment) ** (1.0 / k), moment)


@row_kernel
def _node(params: Floats, u: Floats, v: Floats, edge: Floats, out: Floats) -> None:
    """Write the count of u, then for each channel its mean and moments."""
    n_powers = int(params[0])
    out[0] = u[0]
    for j in range(int(params[1])):
        for k in range(1, n_powers + 1):
            out[j * n_powers + k] = _feature(params, u, j, k)


@row_kernel
def _edge(params: Floats, u: Floats, v: Floats, edge: Floats, out: Floats) -> None:
    """Write the features of a contact, which are those of a region."""
    _node(params, edge, v, edge, out)


@row_kernel
def _difference(params: Floats, u: Floats, v: Floats, edge: Floats, out: Floats) -> None:
    """Write how far the features of u and v are apart."""
    if out.size == 0:
        return
    n_powers = int(params[0])
    out[0] = abs(u[0] - v[0])
    for j in range(int(params[1])):
        for k in range(1, n_powers + 1):
            out[j * n_powers + k] = abs(_feature(params, u, j, k) - _feature(params, v, j, k))


class Manager(Declared):
    """Compute the number of voxels, and the mean and central moments of each channel.

    Parameters
    ----------
    nmoments : int
        The highest moment. The first is the mean, the others are central moments.
    use_diff_features : bool
        Also compute the absolute differences of the features of both regions.
    oriented : bool
        Read the oriented channels of the image, not the plain ones.
    normalize : bool
        Replace moment k, from the second on, by its k-th root, with the moment's sign.
    image : str, optional
        Read the channels of the extra image of this name.

    Raises
    ------
    SettingError
        If `nmoments` is not 1 or more.

    Notes
    -----
    Moments are computed from sums of powers, so the absolute error of moment k is some 1e-16 times the mean
    of ``x**k``: small for probabilities, and large where values are large and nearly constant. Even moments
    are never below 0. Without voxels, all features are 0.

    Examples
    --------
    >>> from gala.graph.caches import Channels, ImageKind
    >>> Manager(nmoments=2).layout(ImageKind.unit(Channels.all_plain(1), ndim=3)).node_names
    ('count', 'mean[0]', 'moment2[0]')
    """

    name: ClassVar[str] = "moments"
    gather = staticmethod(_gather)
    node = staticmethod(_node)
    edge = staticmethod(_edge)
    difference = staticmethod(_difference)

    def __init__(
        self,
        nmoments: int = 4,
        use_diff_features: bool = True,
        oriented: bool = False,
        normalize: bool = False,
        image: str | None = None,
    ) -> None:
        self.nmoments = whole_number(nmoments, "nmoments")
        self.use_diff_features = bool(use_diff_features)
        self.oriented = bool(oriented)
        self.image = image_name(image, oriented=self.oriented)
        self.normalize = bool(normalize)

    def parameters(self) -> Json:
        """Return the arguments that make a manager equal to this one."""
        return {
            "nmoments": self.nmoments,
            "use_diff_features": self.use_diff_features,
            "oriented": self.oriented,
            "normalize": self.normalize,
            "image": self.image,
        }

    def layout(self, kind: ImageKind) -> Layout:
        """Return columns, parameters and names of outputs for this kind of image."""
        chosen = choose_channels(kind.channels, oriented=self.oriented, image=self.image, name=self.name)
        return _layout(self.nmoments, self.use_diff_features, self.normalize, chosen)


@lru_cache
def _layout(nmoments: int, use_diff_features: bool, normalize: bool, chosen: ChosenChannels) -> Layout:
    # Power by power: the columns of a manager of fewer moments are the first of one of more.
    columns = [f"{chosen.prefix}p{k}{suffix}" for k in range(1, nmoments + 1) for suffix in chosen.suffixes]
    root = "root " if normalize else ""
    kinds = ["mean", *(f"{root}moment{k}" for k in range(2, nmoments + 1))]
    features = [f"{chosen.prefix}{kind}{suffix}" for suffix in chosen.suffixes for kind in kinds]
    names = (f"{chosen.prefix}count", *features)
    return Layout(
        spec=CacheSpec.sums(f"{chosen.prefix}p0", *columns),
        params=np.array([nmoments, len(chosen.suffixes), normalize], dtype=float),
        region_channels=chosen.region,
        contact_channels=chosen.contact,
        node_names=names,
        edge_names=names,
        difference_names=names if use_diff_features else (),
    )
