"""Every metric along a merge tree: at each of its cuts, from one pass over its merges."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any, NamedTuple

import numpy as np

from gala._types import Array, ArrayLike, Floats, Ints
from gala.errors import SettingError
from gala.evaluate.along import Changes, Cuts, changes_along, leaves_of_labels, overlaps_with, segments_at
from gala.evaluate.contingency import LabelTable, Table
from gala.evaluate.conventions import count
from gala.evaluate.information import merged_bits, split_bits
from gala.evaluate.pairs import (
    PairCounts,
    adapted_rand_of,
    adjusted_rand_of,
    fowlkes_mallows_of,
    pairs_of,
    rand_of,
)
from gala.evaluate.records import as_table
from gala.graph.overlaps import Overlaps
from gala.graph.tree import MergeTree, check_threshold

# The metrics that have a best cut, and whether more is better.
_IS_BETTER_HIGH = {
    "vi": False,
    "rand_index": True,
    "adj_rand_index": True,
    "fm_index": True,
    "adapted_rand_error": False,
    "edit_distance": False,
}


class Best(NamedTuple):
    """The best cut of a tree by a metric."""

    threshold: float
    value: float


@dataclass(frozen=True, slots=True, eq=False)
class Curve:
    """Metrics at each of the R different cuts of a merge tree.

    The values of a cut hold from its threshold up to that of the next one. See `curve`.
    """

    threshold: Floats  # (R,) increasing: minus infinity, then each height in the tree
    n_segments: Ints  # (R,) of the leaves of the tree
    vi_merges: Floats  # (R,) bits, H(truth | seg)
    vi_splits: Floats  # (R,) bits, H(seg | truth)
    rand_index: Floats  # (R,)
    adj_rand_index: Floats  # (R,)
    fm_index: Floats  # (R,)
    adapted_rand_error: Floats  # (R,)
    precision: Floats  # (R,) of pairs of voxels
    recall: Floats  # (R,) of pairs of voxels
    edit_merges: Ints  # (R,) false merges
    edit_splits: Ints  # (R,) false splits

    @property
    def vi(self) -> Floats:
        """Variation of information, shape (R,): the sum of both parts."""
        return self.vi_merges + self.vi_splits

    @property
    def edit_distance(self) -> Ints:
        """False merges and false splits, shape (R,)."""
        return self.edit_merges + self.edit_splits

    def best(self, metric: str = "vi") -> Best:
        """Return the threshold of the best cut by a metric, and its value there.

        Parameters
        ----------
        metric : str, optional
            One of vi, rand_index, adj_rand_index, fm_index, adapted_rand_error and edit_distance.

        Returns
        -------
        best : Best
            ``tree.cut(best.threshold)`` is that cut. Of equally good ones, it is the finest.

        Raises
        ------
        SettingError
            If there is no such metric.
        """
        if metric not in _IS_BETTER_HIGH:
            raise SettingError(f"metric must be one of {', '.join(_IS_BETTER_HIGH)}; got {metric!r}.")
        values = getattr(self, metric)
        i = int(values.argmax() if _IS_BETTER_HIGH[metric] else values.argmin())
        return Best(float(self.threshold[i]), values[i].item())

    def at(self, threshold: float) -> dict[str, Any]:
        """Return each metric of ``tree.cut(threshold)``, by name.

        Parameters
        ----------
        threshold : float
            Any number, infinity included; ``"threshold"`` in the result is the height of the cut, at or below it.

        Returns
        -------
        metrics : dict
            The columns of `to_table`.

        Raises
        ------
        SettingError
            If `threshold` is NaN.
        """
        i = int(np.searchsorted(self.threshold, check_threshold(threshold), side="right")) - 1
        return {name: column[i].item() for name, column in self._columns().items()}

    def to_table(self) -> Array:
        """Return the curve as a structured array, shape (R,), with both sums, ``vi`` and ``edit_distance``.

        `gala.evaluate.write_csv` and `gala.evaluate.to_json` take it.
        """
        return as_table(self._columns())

    def _columns(self) -> dict[str, Array]:
        return {name: getattr(self, name) for name in [*(field.name for field in fields(self)), "vi", "edit_distance"]}


def curve(
    tree: MergeTree,
    superpixels: ArrayLike | Table | Overlaps,
    truth: ArrayLike | None = None,
    *,
    labels: ArrayLike | None = None,
    ignore_seg: Sequence[int] | None = None,
    ignore_truth: Sequence[int] | None = None,
    size_threshold: float = 1000,
) -> Curve:
    """Evaluate every cut of a merge tree, in one pass over its merges.

    Parameters
    ----------
    tree : MergeTree
        N leaves, M merges.
    superpixels : array of int, shape (M, ..., P), or contingency table
        The superpixels that the tree was made of, or their table (or `Overlaps`) with the truth.
    truth : array of int, shape (M, ..., P), optional
        The truth. Left out if `superpixels` is a table.
    labels : array of int, shape (N,), optional
        The label of each leaf, increasing: ``graph.labels``. By default the leaves are all superpixels, in order.
        Superpixels that are no leaf, as the background, stay as they are.
    ignore_seg, ignore_truth : sequence of int, optional
        Labels of superpixels, and of the truth, whose voxels are not counted by any metric. By default each metric
        has its own rule: VI and edit distance ignore 0 on both sides, the Rand family ignores nothing.
    size_threshold : float, optional
        For the edit distance, overlaps of so many voxels or fewer do not count.

    Returns
    -------
    curve : Curve
        ``curve.at(threshold)`` has what `split_vi`, `rand_index`, `adj_rand_index`, `fm_index`,
        `adapted_rand_error` and `edit_distance` say of ``tree.cut(threshold)``.

    Raises
    ------
    ShapeError
        If the shapes of superpixels and truth differ, or there are no voxels.
    LabelError
        If values are not labels, no voxel is left to count, or a table holds shares instead of numbers of voxels.
    SettingError
        If the tree has another number of leaves than there are superpixels, or `size_threshold` is negative.

    Notes
    -----
    Merges of one height are one cut. What a constraint asked for is made at minus infinity, in the first cut.

    A superpixel to ignore is ignored in all cuts, whatever it is merged with, so that all count the same voxels. If
    superpixel 0 is a region that is merged, `split_vi` would instead ignore the whole segment, which is labelled 0.

    Time is that of sorting K overlaps, and K log K additions at most. See `split_vi` and `adapted_rand_error` for the
    metrics and their sources.

    Examples
    --------
    Superpixels 1 and 2 belong together, 2 and 3 do not.

    >>> tree = MergeTree(3, np.array([[0, 1], [2, 3]]), np.array([0.25, 0.5]))
    >>> along = curve(tree, [1, 2, 3, 3], [7, 7, 8, 8])
    >>> along.threshold, along.vi_splits, along.vi_merges
    (array([-inf, 0.25, 0.5 ]), array([0.5, 0. , 0. ]), array([0., 0., 1.]))
    >>> along.best("vi")
    Best(threshold=0.25, value=0.0)
    >>> along.at(0.3)["n_segments"]
    2
    """
    if not size_threshold >= 0:
        raise SettingError(f"size_threshold must be a number of voxels, 0 or more; got {size_threshold!r}.")
    cuts = Cuts(tree)
    counted = overlaps_with(superpixels, truth)
    known, every = (
        overlaps_with(
            counted,
            ignore_seg=own if ignore_seg is None else ignore_seg,
            ignore_truth=own if ignore_truth is None else ignore_truth,
        )
        for own in ((0,), ())
    )
    leaf, _ = leaves_of_labels(tree, known.seg_labels, labels)
    without_void = changes_along(cuts, known, leaf, size_threshold)
    same = len(known.counts) == len(every.counts)  # nothing is void
    with_void = without_void if same else changes_along(cuts, every, leaf, size_threshold)
    merges, splits = vi_along(without_void)
    pairs = _pairs_along(with_void)
    return Curve(
        cuts.threshold,
        tree.n_leaves - cuts.n_made,
        merges,
        splits,
        rand_of(pairs),
        adjusted_rand_of(pairs),
        fowlkes_mallows_of(pairs),
        *adapted_rand_of(pairs),
        *_edits_along(without_void, size_threshold),
    )


def cut_table(
    tree: MergeTree,
    superpixels: ArrayLike | Table | Overlaps,
    truth: ArrayLike | None = None,
    *,
    threshold: float = np.inf,
    labels: ArrayLike | None = None,
) -> LabelTable:
    """Return the contingency table of a cut with the truth, from that of its superpixels.

    No voxel is visited again. Every metric takes the table.

    Parameters
    ----------
    tree, superpixels, truth, labels
        As for `curve`.
    threshold : float, optional
        Of the cut; by default all merges are made.

    Returns
    -------
    table : LabelTable
        Numbers of voxels. A segment has the label of its lowest superpixel.

    Raises
    ------
    ShapeError, LabelError, SettingError
        As for `curve`.

    Examples
    --------
    >>> tree = MergeTree(3, np.array([[0, 1], [2, 3]]), np.array([0.25, 0.5]))
    >>> cut_table(tree, [5, 6, 9, 9], [1, 1, 2, 2], threshold=0.25).overlaps.seg_labels
    array([5, 9])
    """
    overlaps = overlaps_with(superpixels, truth)
    segments = segments_at(tree, overlaps, *leaves_of_labels(tree, overlaps.seg_labels, labels), threshold)
    return LabelTable(segments, segments.counts)


def vi_along(changes: Changes) -> tuple[Floats, Floats]:
    """Return the bits of false merges and of false splits of each cut, shape (R,) both."""
    overlaps = changes.overlaps
    merges = changes.cuts.sum(float(merged_bits(overlaps).sum()), changes.vi_merges)
    splits = changes.cuts.sum(float(split_bits(overlaps).sum()), changes.vi_splits)
    return np.maximum(merges, 0.0), np.maximum(splits, 0.0)  # rounding may go below


def _pairs_along(changes: Changes) -> PairCounts:
    """Return the numbers of pairs of voxels in each cut, shape (R,) all."""
    start = pairs_of(count("rand_index", LabelTable(changes.overlaps, changes.overlaps.counts), None))
    in_both = changes.cuts.sum(start.in_both, changes.in_both)
    in_seg = changes.cuts.sum(start.in_seg, changes.in_seg)
    return PairCounts(in_both, in_seg, *(np.full_like(in_seg, n) for n in (start.in_truth, start.in_all)))


def _edits_along(changes: Changes, size_threshold: float) -> tuple[Ints, Ints]:
    """Return the false merges and the false splits of each cut, shape (R,) both.

    Segments, or objects, with k > 0 large overlaps are k - 1 errors each: the large overlaps less the number of those.
    """
    overlaps, cuts = changes.overlaps, changes.cuts
    large = overlaps.counts > size_threshold
    n_segments = len(np.unique(overlaps.seg_index[large]))
    n_large = cuts.sum(int(np.count_nonzero(large)), changes.large_overlaps)
    in_segments = cuts.sum(n_segments, changes.large_segments)
    n_rows = len(cuts.threshold)
    objects = np.cumsum(np.bincount(changes.first_large, minlength=n_rows + 1)[:n_rows])
    return (n_large - in_segments).astype(np.int64), (n_large - objects).astype(np.int64)
