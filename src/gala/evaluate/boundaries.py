"""Boundaries: how much of them is found, and how much is right, within a distance.

A boundary voxel has a face neighbour with another label, so boundaries are two voxels thick; the border of the volume
is none.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy.ndimage import distance_transform_edt

from gala._kernels.threads import map_over_threads
from gala._types import Array, ArrayLike, Bools, Labels
from gala.errors import LabelError, SettingError
from gala.evaluate.blocks import Block, cubes_of, paired, read_labels
from gala.evaluate.contingency import is_one_of
from gala.evaluate.conventions import Convention, Ignored, settled
from gala.graph.grid import within
from gala.graph.volume import check_spacing


class BoundaryScores(NamedTuple):
    """How well boundaries agree: each is from 0 to 1, which is perfect."""

    precision: float  # share of the segmentation's boundary voxels that are near one of the truth
    recall: float  # share of the truth's boundary voxels that are near one of the segmentation
    f_score: float  # their harmonic mean


def boundary_scores(
    seg: ArrayLike,
    gt: ArrayLike,
    tolerance: float,
    *,
    spacing: Sequence[float] | None = None,
    convention: Convention = "gala",
    ignore_seg: Ignored = None,
    ignore_truth: Ignored = None,
    **historic: Sequence[int],
) -> BoundaryScores:
    """Return precision and recall of boundary voxels, within a distance.

    Parameters
    ----------
    seg, gt : array of int, shape (M, N, ..., P)
        The segmentation and the truth, read block by block, so HDF5 data sets, zarr and dask arrays will do; distances
        are not in a contingency table. Label 0 is a label like any other.
    tolerance : float
        How far apart boundary voxels may lie and still agree, in the units of `spacing`, 0 or more.
    spacing : sequence of float, optional
        The size of a voxel, along each axis. By default 1.
    convention : "gala" or Rules, optional
        No other tool defines it.
    ignore_seg, ignore_truth : sequence of int, optional
        Labels of `seg` and of `gt` whose voxels are left out: they are no boundary, and next to them is none. None
        by default.

    Returns
    -------
    scores : BoundaryScores
        Precision, recall and their harmonic mean, as in [1]_ but with each voxel near enough taken for right:
        there are no pairs. A side without boundary has a share of 1.

    Raises
    ------
    ShapeError
        If the shapes differ, or there are no voxels.
    LabelError
        If values are not labels, or no voxel is left to count.
    SettingError
        If `tolerance` is negative or no number, `spacing` is no size of a voxel, or the convention does not define the
        metric.

    Notes
    -----
    Distances are between the centres of voxels, exact in any spacing [2]_. A tolerance of k voxels along an axis holds
    k such steps, whatever they round to. Blocks have four million voxels at most and what is within the tolerance
    around them, and need about 60 bytes for each of these, for each thread; results do not depend on blocks.

    References
    ----------
    .. [1] Martin, D. R., Fowlkes, C. C. and Malik, J. (2004). Learning to detect natural image boundaries using
           local brightness, color, and texture cues. *IEEE Transactions on Pattern Analysis and Machine Intelligence*
           26, 530-549. doi:10.1109/TPAMI.2004.1273918
    .. [2] Maurer, C. R., Qi, R. and Raghavan, V. (2003). A linear time algorithm for computing exact Euclidean
           distance transforms of binary images in arbitrary dimensions. *IEEE Transactions on Pattern Analysis and
           Machine Intelligence* 25, 265-270. doi:10.1109/TPAMI.2003.1177156

    Examples
    --------
    A border that is off by one voxel of 4 nm.

    >>> boundary_scores([1, 1, 1, 2], [1, 1, 2, 2], tolerance=0, spacing=[4]).precision
    0.5
    >>> boundary_scores([1, 1, 1, 2], [1, 1, 2, 2], tolerance=4, spacing=[4]).precision
    1.0
    """
    rules = settled("boundary_scores", convention, ignore_seg, ignore_truth, historic)
    both = paired(seg, gt)
    if not tolerance >= 0:
        raise SettingError(f"tolerance must be a distance, 0 or more; got {tolerance}.")
    shape = tuple(both[0].shape)
    steps = check_spacing(spacing, len(shape))
    furthest = tolerance * (1 + 1e-12)
    reach = [int(min(furthest, length * step) // step) + 1 for step, length in zip(steps, shape, strict=True)]

    def count_near(block: Block) -> Array:
        around, core = _grown(block, reach, shape)
        found, wanted = (read_labels(side, around, name) for side, name in zip(both, ("seg", "gt"), strict=True))
        within = ~(is_one_of(found, rules.ignore_seg) | is_one_of(wanted, rules.ignore_truth))
        sides = boundary_voxels(found, within), boundary_voxels(wanted, within)
        near = [_near(*pair, core, furthest, steps) for pair in (sides, sides[::-1])]
        return np.array([np.count_nonzero(within[core]), *near[0], *near[1]])

    totals = np.sum(list(map_over_threads(count_near, cubes_of(shape))), axis=0)
    n_within, *counts = totals.tolist()
    if not n_within:
        raise LabelError("no voxel is left to count: every one has a label to ignore, in seg or in gt.")
    precision, recall = (near / n if n else 1.0 for near, n in (counts[:2], counts[2:]))
    f_score = 2 * precision * recall / (precision + recall) if precision + recall else 0.0
    return BoundaryScores(precision, recall, f_score)


def boundary_voxels(labels: Labels, within: Bools) -> Bools:
    """Return which voxels have a face neighbour with another label, looking at those in `within` only.

    Examples
    --------
    >>> boundary_voxels(np.array([1, 1, 2, 3]), np.array([True, True, True, False]))
    array([False,  True,  True, False])
    """
    found = np.zeros(labels.shape, dtype=bool)
    for axis in range(labels.ndim):
        low = tuple(slice(None, -1) if a == axis else slice(None) for a in range(labels.ndim))
        high = tuple(slice(1, None) if a == axis else slice(None) for a in range(labels.ndim))
        differ = (labels[low] != labels[high]) & within[low] & within[high]
        found[low] |= differ
        found[high] |= differ
    return found


def _grown(block: Block, reach: Sequence[int], shape: tuple[int, ...]) -> tuple[Block, Block]:
    """Return a block with as many voxels around it as it may reach, and where it lies in that."""
    around = tuple(
        slice(max(0, axis.start - more), min(length, axis.stop + more))
        for axis, more, length in zip(block, reach, shape, strict=True)
    )
    return around, within(block, around)


def _near(voxels: Bools, others: Bools, core: Block, furthest: float, steps: tuple[float, ...]) -> tuple[int, int]:
    """Return how many of these voxels in `core` are at most so far from one of the others, and how many there are."""
    n = int(np.count_nonzero(voxels[core]))
    if not n or not others.any():
        return 0, n
    distance = distance_transform_edt(~others, sampling=steps)[core][voxels[core]]
    return int(np.count_nonzero(distance <= furthest)), n
