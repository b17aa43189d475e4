"""The score of the CREMI challenge: variation of information and adapted Rand error in one number."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from gala._types import ArrayLike
from gala.evaluate.contingency import Table, table_of
from gala.evaluate.conventions import Convention, Ignored, settled
from gala.evaluate.information import vi
from gala.evaluate.pairs import adapted_rand_error


def cremi_score(
    seg: ArrayLike | Table,
    gt: ArrayLike | None = None,
    *,
    convention: Convention = "cremi",
    ignore_seg: Ignored = None,
    ignore_truth: Ignored = None,
    **historic: Sequence[int],
) -> float:
    """Return the geometric mean of variation of information and adapted Rand error.

    Parameters
    ----------
    seg : array of int, shape (M, N, ..., P), or contingency table
        The segmentation, or its table with the truth.
    gt : array of int, shape (M, N, ..., P), optional
        The truth. Left out if `seg` is a table.
    convention : "cremi", "elf", or Rules, optional
        Whose variation of information and adapted Rand error to take. "cremi" ignores voxels with truth 0; voxels
        with label 0 in `seg` are one region for the first, and none for the second. "elf" counts all voxels, 0 being
        a label like any other. Both take ordered pairs, each voxel with itself included.
    ignore_seg, ignore_truth : sequence of int, optional
        Labels of `seg` and of `gt` whose voxels are not counted; by default those of the convention.

    Returns
    -------
    score : float
        The root of (false splits + false merges, in bits) times the adapted Rand error [1]_. 0 is perfect. The
        challenge takes voxels near borders out of the truth first.

    Raises
    ------
    ShapeError
        If the shapes differ, or there are no voxels.
    LabelError
        If values are not labels, no voxel is left to count, or a table holds shares instead of numbers of voxels.
    SettingError
        If the convention does not exist, or does not define the metric.

    References
    ----------
    .. [1] CREMI, MICCAI challenge on circuit reconstruction from electron microscopy images (2016).
           https://cremi.org/leaderboard

    Examples
    --------
    Two halves where the truth has one object: one bit, and an error of 1/3.

    >>> round(cremi_score([1, 1, 2, 2], [1, 1, 1, 1]) ** 2, 3)
    0.333
    """
    rules = settled("cremi_score", convention, ignore_seg, ignore_truth, historic)
    table = table_of(seg, gt)
    # An error of rounding below 0 has no root.
    error = max(0.0, float(np.asarray(adapted_rand_error(table, convention=rules))))
    return float(np.sqrt(max(0.0, vi(table, convention=rules)) * error))
