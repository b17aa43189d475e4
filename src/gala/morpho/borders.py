"""The border of a volume: adding and removing it, and the regions that reach it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from gala._types import Array, ArrayLike, Labels
from gala.errors import SettingError, ShapeError
from gala.graph.labels import as_labels
from gala.morpho.pieces import relabel_connected


def pad(ar: ArrayLike, vals: float | Sequence[float], axes: Sequence[int] | None = None) -> Array:
    """Add layers of constant voxels on all sides.

    Parameters
    ----------
    ar : array, shape (M, ..., P)
        Any array.
    vals : number or sequence of K numbers
        The value of each layer, from the inside out; one number makes one layer.
    axes : sequence of int, optional
        The axes at whose ends layers are added; all by default.

    Returns
    -------
    padded : array of the dtype of `ar`, shape (M + 2K, ..., P + 2K)
        The larger array.

    Raises
    ------
    SettingError
        If a value is not one of the dtype of `ar`, or there is no such axis.

    Examples
    --------
    >>> pad([1, 2], [0, 9])
    array([9, 0, 1, 2, 0, 9])
    """
    padded = np.asarray(ar)
    layers = np.atleast_1d(np.asarray(vals))
    with np.errstate(invalid="ignore"):
        fits = layers.astype(padded.dtype).astype(layers.dtype) == layers
    if not fits.all():
        raise SettingError(f"vals must be values of {padded.dtype}, the dtype of ar; got {layers[~fits][0]}.")
    chosen = range(padded.ndim) if axes is None else axes
    if not set(chosen) <= set(range(-padded.ndim, padded.ndim)):
        raise SettingError(f"axes must be among the {padded.ndim} of ar; got {tuple(chosen)}.")
    width = [(int({axis, axis - padded.ndim} & set(chosen) != set()),) * 2 for axis in range(padded.ndim)]
    for layer in layers:
        padded = np.pad(padded, width, constant_values=layer.astype(padded.dtype))
    return padded


def juicy_center(ar: ArrayLike, skinsize: int = 1) -> Array:
    """Remove the outer layers of voxels on all sides: the opposite of `pad`.

    Parameters
    ----------
    ar : array, shape (M, ..., P)
        Any array.
    skinsize : int
        How many layers.

    Returns
    -------
    center : array, shape (M - 2 skinsize, ..., P - 2 skinsize)
        A copy of what is within them.

    Raises
    ------
    SettingError
        If `skinsize` is negative.
    ShapeError
        If nothing would be left.

    Examples
    --------
    >>> juicy_center([9, 0, 1, 2, 0, 9], 2)
    array([1, 2])
    """
    array = np.asarray(ar)
    if skinsize < 0:
        raise SettingError(f"skinsize must be 0 or more; got {skinsize}.")
    if min(array.shape, default=0) <= 2 * skinsize:
        raise ShapeError(f"ar must be larger than 2 * {skinsize} along each axis; got shape {array.shape}.")
    return array[tuple(slice(skinsize, n - skinsize) for n in array.shape)].copy()


def orphans(a: ArrayLike) -> Labels:
    """Find the regions that do not touch the border of the volume.

    Parameters
    ----------
    a : array of int, shape (M, ..., P)
        Regions; 0 is none.

    Returns
    -------
    labels : array of int, shape (K,)
        Their labels, increasing.

    Raises
    ------
    LabelError
        If `a` are not whole numbers, 0 or more.
    ShapeError
        If there are no voxels.

    Examples
    --------
    >>> orphans([[1, 1, 1, 1], [1, 5, 0, 1], [1, 1, 1, 2]])
    array([5])
    """
    regions = as_labels(a, "a")
    inside = np.unique(regions)
    return np.setdiff1d(inside[inside > 0], _hollowed(regions))


def non_traversing_segments(a: ArrayLike) -> Labels:
    """Find the regions that touch the border of the volume in one place only.

    Parameters
    ----------
    a : array of int, shape (M, ..., P), 1 to 3 dimensions
        Regions; 0 is none.

    Returns
    -------
    labels : array of int, shape (K,)
        Labels of the regions whose voxels at the border hang together by their faces, increasing: they enter the
        volume and do not leave it elsewhere.

    Raises
    ------
    LabelError
        If `a` are not whole numbers, 0 or more.
    ShapeError
        If there are no voxels, or more than 3 dimensions.

    Examples
    --------
    >>> non_traversing_segments([[1, 2, 3], [1, 2, 4], [5, 2, 4]])
    array([1, 3, 4, 5])
    """
    skin = _hollowed(as_labels(a, "a"))
    pieces = relabel_connected(skin)
    _, first = np.unique(pieces[pieces > 0], return_index=True)
    labels, n_pieces = np.unique(skin[pieces > 0][first], return_counts=True)
    entering: Labels = labels[n_pieces == 1]
    return entering


def _hollowed(regions: Labels) -> Labels:
    """Return a copy in which all but the outermost voxels are 0."""
    hollow = regions.copy()
    hollow[(slice(1, -1),) * regions.ndim] = 0
    return hollow
