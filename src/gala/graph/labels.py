"""What an array of labels is: whole numbers from 0 up to 2**64 - 1, of any integer type."""

from __future__ import annotations

import numbers

import numpy as np

from gala._types import Array, ArrayLike, Bools, Labels
from gala.errors import LabelError, ShapeError


def as_labels(array: ArrayLike, name: str, *, allow_empty: bool = False) -> Labels:
    """Return `array` as integers that are labels, without a copy if they are already.

    Parameters
    ----------
    array : array of int, bool or whole float, shape (M, N, ..., P)
        The labels. Numbers of a file with another byte order are converted.
    name : str
        What to call the array in an error.
    allow_empty : bool, optional
        Whether an array of no voxels will do.

    Returns
    -------
    labels : array of int, shape (M, N, ..., P)
        The same values. Booleans become uint8; floats become int64, or uint64 if they do not fit.

    Raises
    ------
    LabelError
        If a value is negative, fractional, not finite or 2**64 or more, or the array does not hold numbers.
    ShapeError
        If the array is a single number, or it is empty and must not be.

    Examples
    --------
    >>> as_labels([[0.0, 2.0]], "seg")
    array([[0, 2]])
    """
    labels = np.asarray(array)
    if labels.dtype.kind == "f" and not isinstance(array, np.ndarray):
        labels = _exact(array, labels)
    if labels.ndim == 0:
        raise ShapeError(f"{name} must be an array of labels, with one dimension or more; got {array!r}.")
    if labels.dtype.kind not in "buif":
        raise LabelError(f"{name} must hold whole numbers; got an array of {labels.dtype}.")
    if labels.size == 0:
        if not allow_empty:
            raise ShapeError(f"{name} must hold at least one voxel; got shape {labels.shape}.")
        return labels if labels.dtype.kind in "ui" else labels.astype(np.int64)
    if labels.dtype.kind == "f":
        return _whole(labels, name)
    if labels.dtype.kind == "i" and labels.min() < 0:
        raise _not_a_label(labels, labels < 0, name)
    if labels.dtype.kind == "b":
        return labels.view(np.uint8)
    return labels.astype(labels.dtype.newbyteorder("="), copy=False)


def _exact(given: ArrayLike, labels: Array) -> Array:
    """Return labels given as Python numbers as they are: NumPy makes floats of those from 2**63 on and smaller ones."""
    exact = np.asarray(given, dtype=object)
    whole = all(isinstance(value, numbers.Integral) and 0 <= int(value) < 2**64 for value in exact.flat)
    return exact.astype(np.uint64) if whole and exact.size else labels


def _whole(labels: Array, name: str) -> Labels:
    limit = np.float64(2.0**64)  # float16 cannot hold it: compare in float64
    wrong = ~((labels >= 0) & (labels < limit) & (labels == np.floor(labels)))  # NaN fails each of these
    if wrong.any():
        raise _not_a_label(labels, wrong, name)
    return labels.astype(np.uint64 if labels.max() >= limit / 2 else np.int64)


def _not_a_label(labels: Array, wrong: Bools, name: str) -> LabelError:
    first = tuple(int(i) for i in np.unravel_index(int(wrong.argmax()), wrong.shape))
    return LabelError(
        f"{name} must hold labels: whole numbers from 0 to 2**64 - 1; got {labels[first]} at {first}, "
        f"the first of {np.count_nonzero(wrong)} such values."
    )
