"""Every metric along a merge tree: at each of its cuts, from one pass over its merges."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from gala._types import Array, ArrayLike, Floats, Ints
from gala.errors import SettingError
from gala.evaluate.along import Changes, Cuts, changes_along, leaves_of_labels, overlaps_with, segments_at, table_with
from gala.evaluate.contingency import LabelTable, Table
from gala.evaluate.conventions import Convention, Counted, Ignored, Rules, conventions_of, count, rules_of
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
from gala.evaluate.running import run_changes
from gala.evaluate.skeletons import RunLengths
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
    "erl": True,
}


class Best(NamedTuple):
    """The best cut of a tree by a metric."""

    threshold: float
    value: float


@dataclass(frozen=True, eq=False)
class Curve:
    """Metrics at each of the R different cuts of a merge tree.

    The values of a cut hold from its threshold up to that of the next one. See `curve`.

    Attributes
    ----------
    threshold : array of float, shape (R,)
        Increasing: minus infinity, then each height in the tree.
    n_segments : array of int, shape (R,)
        Of the leaves of the tree.
    vi, vi_merges, vi_splits : array of float, shape (R,)
        Bits: the sum, H(truth | seg), and H(seg | truth).
    rand_index, adj_rand_index, fm_index : array of float, shape (R,)
    adapted_rand_error, precision, recall : array of float, shape (R,)
        Of pairs of voxels.
    edit_distance, edit_merges, edit_splits : array of int, shape (R,)
        The sum, false merges, and false splits.
    erl, normalised_erl : array of float, shape (R,)
        Expected run length, in the unit of the skeletons, and over the largest possible; only with skeletons.
    columns : dict
        All of these that there are, by name: a convention may not define some.
    limit : float
        Of the tree.
    """

    columns: Mapping[str, Array]
    limit: float = np.inf

    def __getattr__(self, name: str) -> Array:
        if name in self.__dict__.get("columns", {}):
            return self.columns[name]
        raise AttributeError(f"this curve has no {name}. {_why_none}")

    def best(self, metric: str = "vi") -> Best:
        """Return the threshold of the best cut by a metric, and its value there.

        Parameters
        ----------
        metric : str, optional
            One of vi, rand_index, adj_rand_index, fm_index, adapted_rand_error, edit_distance and erl.

        Returns
        -------
        best : Best
            ``tree.cut(best.threshold)`` is that cut. Of equally good ones, it is the finest.

        Raises
        ------
        SettingError
            If there is no such metric, or the curve does not have it.
        """
        if metric not in _IS_BETTER_HIGH:
            raise SettingError(f"metric must be one of {', '.join(_IS_BETTER_HIGH)}; got {metric!r}.")
        if metric not in self.columns:
            raise SettingError(f"this curve has no {metric}. {_why_none}")
        values = self.columns[metric]
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
            If `threshold` is NaN, or above the limit of the tree.
        """
        i = int(np.searchsorted(self.threshold, check_threshold(threshold, self.limit), side="right")) - 1
        return {name: column[i].item() for name, column in self.columns.items()}

    def to_table(self) -> Array:
        """Return the curve as a structured array, shape (R,).

        `gala.evaluate.write_csv` and `gala.evaluate.to_json` take it.
        """
        return as_table(self.columns)


_why_none = "Metrics that the convention does not define are left out; expected run lengths need runs=."


def curve(
    tree: MergeTree,
    superpixels: ArrayLike | Table | Overlaps,
    truth: ArrayLike | None = None,
    *,
    labels: ArrayLike | None = None,
    convention: Convention = "gala",
    ignore_seg: Ignored = None,
    ignore_truth: Ignored = None,
    size_threshold: float = 1000,
    runs: RunLengths | None = None,
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
    convention : str or Rules, optional
        One of `CONVENTIONS`: whose numbers to give. The curve has the metrics that it defines.
    ignore_seg, ignore_truth : sequence of int, optional
        Labels of superpixels, and of the truth, whose voxels are not counted by any metric. By default each metric
        has the rule of the convention: in "gala", VI and edit distance ignore 0 on both sides, the Rand family nothing.
    size_threshold : float, optional
        For the edit distance, overlaps of so many voxels or fewer do not count.
    runs : RunLengths, optional
        ``run_lengths(skeletons, superpixels, ...)``, before any merge: then the curve has expected run lengths, by the
        same options. No label to ignore matters to them.

    Returns
    -------
    curve : Curve
        ``curve.at(threshold)`` has what `split_vi`, `rand_index`, `adj_rand_index`, `fm_index`,
        `adapted_rand_error`, `edit_distance` and `run_lengths` say of ``tree.cut(threshold)``, to rounding.

    Raises
    ------
    ShapeError
        If the shapes of superpixels and truth differ, or there are no voxels.
    LabelError
        If values are not labels, no voxel is left to count, a table holds shares instead of numbers of voxels, or
        `runs` are those of other superpixels.
    SettingError
        If the tree has another number of leaves than there are superpixels, `size_threshold` is negative, or there is
        no such convention.

    Notes
    -----
    Merges of one height are one cut. What a constraint asked for is made at minus infinity, in the first cut.

    A superpixel to ignore is ignored in all cuts, whatever it is merged with, so that all count the same voxels; and
    superpixel 0 stays without a region where the convention says so. If superpixel 0 is a region that is merged,
    `split_vi` would instead ignore the whole segment, which is labelled 0.

    Time is that of sorting K overlaps, and K log K additions at most. See `split_vi`, `adapted_rand_error` and
    `run_lengths` for the metrics and their sources.

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
    rules_of("adapted_rand_error", convention)  # which every convention defines
    cuts, table = Cuts(tree), table_with(superpixels, truth)
    leaf, _ = leaves_of_labels(tree, table.overlaps.seg_labels, labels)
    columns: dict[str, Array] = {"threshold": cuts.threshold, "n_segments": tree.n_leaves - cuts.n_made}
    made: list[Changes] = []
    for metric, columns_of in _COLUMNS.items():
        if isinstance(convention, Rules) or convention in conventions_of(metric):
            counted = count(metric, table, None, convention, ignore_seg, ignore_truth)
            columns |= columns_of(counted, _changes(made, cuts, _in_regions(counted), leaf, size_threshold))
    if runs is not None:
        erl = erl_along(cuts, runs, run_changes(tree, runs, table.overlaps.seg_labels, leaf))
        columns |= {"erl": erl, "normalised_erl": erl / runs.max_erl}
    return Curve(columns, tree.limit)


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


def erl_along(cuts: Cuts, runs: RunLengths, changes: Floats) -> Floats:
    """Return the expected run length in each cut, shape (R,), given `run_changes`."""
    squares = np.maximum(cuts.sum(float(runs.squares.sum()), changes), 0.0)  # rounding may go below
    erl: Floats = squares / runs.length.sum()
    return erl


def _in_regions(counted: Counted) -> Overlaps:
    """Return the overlaps of voxels in regions: all counted, but for label 0 where it is no region."""
    overlaps = counted.overlaps
    is_region = overlaps.seg_labels[overlaps.seg_index] != 0
    if counted.rules.seg_void == "label" or is_region.all():
        return overlaps
    return Overlaps(*overlaps[:2], *(column[is_region] for column in overlaps[2:]))


def _changes(made: list[Changes], cuts: Cuts, overlaps: Overlaps, leaf: Ints, size_threshold: float) -> Changes:
    """Return what each merge changes; of the same overlaps, what was `made` for another metric."""
    for changes in made:
        if all(map(np.array_equal, changes.overlaps[2:4], overlaps[2:4])):
            return changes
    made.append(changes_along(cuts, overlaps, leaf, size_threshold))
    return made[-1]


def _vi_columns(_: Counted, changes: Changes) -> dict[str, Array]:
    merges, splits = vi_along(changes)
    return {"vi": merges + splits, "vi_merges": merges, "vi_splits": splits}


def _rand_columns(counted: Counted, changes: Changes) -> dict[str, Array]:
    names = "adapted_rand_error", "precision", "recall"
    return dict(zip(names, adapted_rand_of(_pairs_along(counted, changes)), strict=True))


def _pairs_along(counted: Counted, changes: Changes) -> PairCounts:
    """Return the numbers of pairs of voxels in each cut, shape (R,) all."""
    start, orders = pairs_of(counted), 2 if counted.rules.pairs == "ordered" else 1
    in_both = changes.cuts.sum(start.in_both, orders * changes.in_both)
    in_seg = changes.cuts.sum(start.in_seg, orders * changes.in_seg)
    return PairCounts(in_both, in_seg, *(np.full_like(in_seg, n) for n in (start.in_truth, start.in_all)))


def _edit_columns(_: Counted, changes: Changes) -> dict[str, Array]:
    """Return the errors of each cut.

    Segments, or objects, with k > 0 large overlaps are k - 1 errors each: the large overlaps less the number of those.
    """
    overlaps, cuts = changes.overlaps, changes.cuts
    large = overlaps.counts > changes.size_threshold
    n_segments = len(np.unique(overlaps.seg_index[large]))
    n_large = cuts.sum(int(np.count_nonzero(large)), changes.large_overlaps)
    in_segments = cuts.sum(n_segments, changes.large_segments)
    n_rows = len(cuts.threshold)
    objects = np.cumsum(np.bincount(changes.first_large, minlength=n_rows + 1)[:n_rows])
    merges, splits = (n_large - in_segments).astype(np.int64), (n_large - objects).astype(np.int64)
    return {"edit_distance": merges + splits, "edit_merges": merges, "edit_splits": splits}


_COLUMNS: dict[str, Callable[[Counted, Changes], dict[str, Array]]] = {
    "split_vi": _vi_columns,
    "rand_index": lambda *both: {"rand_index": rand_of(_pairs_along(*both))},
    "adj_rand_index": lambda *both: {"adj_rand_index": adjusted_rand_of(_pairs_along(*both))},
    "fm_index": lambda *both: {"fm_index": fowlkes_mallows_of(_pairs_along(*both))},
    "adapted_rand_error": _rand_columns,
    "edit_distance": _edit_columns,
}
