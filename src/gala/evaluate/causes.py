"""What errors come from: superpixels, policy or threshold; which merges; which segments and true objects."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, cast

import numpy as np

from gala._kernels import trees
from gala._types import Array, ArrayLike, Floats, Labels
from gala.errors import SettingError
from gala.evaluate.along import (
    Changes,
    Cuts,
    changes_along,
    leaves_of_labels,
    node_sizes,
    overlaps_with,
    renamed,
)
from gala.evaluate.contingency import LabelTable, Table
from gala.evaluate.curves import erl_along, vi_along
from gala.evaluate.edits import assignment_table
from gala.evaluate.information import merged_bits, split_bits
from gala.evaluate.places import merge_places
from gala.evaluate.records import as_table
from gala.evaluate.running import run_changes
from gala.evaluate.skeletons import RunLengths
from gala.graph.overlaps import Overlaps
from gala.graph.tree import MergeTree, check_threshold


@dataclass(frozen=True, slots=True, eq=False)
class Breakdown:
    """The variation of information at a threshold, in bits, by what it comes from. See `breakdown`."""

    at_oracle: Floats  # (2,) false merges and false splits of the best that the superpixels allow
    at_best: Floats  # (2,) at the best threshold
    at_threshold: Floats  # (2,) at the threshold asked for
    best_threshold: float

    @property
    def superpixels(self) -> float:
        """What no merge can mend."""
        return float(self.at_oracle.sum())

    @property
    def policy(self) -> float:
        """What the order of merges costs: that no threshold is as good as the best that superpixels allow."""
        return float(self.at_best.sum()) - self.superpixels

    @property
    def threshold(self) -> float:
        """What it costs that the threshold is not the best one, 0 or more."""
        return self.total - float(self.at_best.sum())

    @property
    def total(self) -> float:
        """The variation of information, the sum of the three."""
        return float(self.at_threshold.sum())


def breakdown(
    tree: MergeTree,
    superpixels: ArrayLike | Table | Overlaps,
    truth: ArrayLike | None = None,
    *,
    threshold: float,
    labels: ArrayLike | None = None,
    ignore_seg: Sequence[int] = (0,),
    ignore_truth: Sequence[int] = (0,),
) -> Breakdown:
    """Split the variation of information of a cut into what each step contributes.

    Parameters
    ----------
    tree, superpixels, truth, labels
        As for `curve`.
    threshold : float
        Of the cut.
    ignore_seg, ignore_truth : sequence of int, optional
        Labels of superpixels and of the truth whose voxels are not counted. By default 0, as for `split_vi`.

    Returns
    -------
    breakdown : Breakdown
        ``superpixels`` is what is left if each superpixel goes to the true object it overlaps most
        (`best_possible_segmentation`); ``policy`` is what the best threshold adds to that, and ``threshold`` what
        this one adds to the best; their sum is ``total``.

    Raises
    ------
    ShapeError, LabelError, SettingError
        As for `curve`.

    Notes
    -----
    To give each superpixel to its main object is not always the least possible VI: with objects cut to pieces,
    ``policy`` may be below 0.

    Examples
    --------
    Superpixel 3 lies in both objects. The tree joins 1 and 2, which belong together, then all.

    >>> tree = MergeTree(3, np.array([[0, 1], [2, 3]]), np.array([0.25, 0.5]))
    >>> parts = breakdown(tree, [1, 2, 3, 3, 3, 3, 3, 3], [1, 1, 1, 2, 2, 2, 2, 2], threshold=0.5)
    >>> [round(part, 3) for part in (parts.superpixels, parts.policy, parts.threshold, parts.total)]
    [0.832, 0.0, 0.123, 0.954]
    """
    overlaps = overlaps_with(superpixels, truth, ignore_seg=ignore_seg, ignore_truth=ignore_truth)
    cuts = Cuts(tree)
    changes = changes_along(cuts, overlaps, leaves_of_labels(tree, overlaps.seg_labels, labels)[0], 0)
    along = np.stack(vi_along(changes), axis=1)
    best = int(along.sum(axis=1).argmin())
    return Breakdown(
        at_oracle=_oracle_vi(overlaps),
        at_best=along[best],
        at_threshold=along[cuts.find(check_threshold(threshold))],
        best_threshold=float(cuts.threshold[best]),
    )


def blame(
    tree: MergeTree,
    superpixels: ArrayLike | Table | Overlaps,
    truth: ArrayLike | None = None,
    *,
    threshold: float = np.inf,
    labels: ArrayLike | None = None,
    spacing: Sequence[float] | None = None,
    ignore_seg: Sequence[int] = (0,),
    ignore_truth: Sequence[int] = (0,),
    by: Literal["vi", "erl"] = "vi",
    runs: RunLengths | None = None,
) -> Array:
    """Return the merges of a tree, those that cost the most first.

    Parameters
    ----------
    tree, superpixels, truth, labels
        As for `curve`.
    threshold : float, optional
        List merges of a height up to this. By default all.
    spacing : sequence of float, shape (ndim,), optional
        Size of a voxel along each axis, in physical units.
    ignore_seg, ignore_truth : sequence of int, optional
        Labels of superpixels and of the truth whose voxels are not counted. By default 0, as for `split_vi`.
    by : {"vi", "erl"}, optional
        What they cost: variation of information, or expected run length, which needs `runs`.
    runs : RunLengths, optional
        As for `curve`.

    Returns
    -------
    merges : structured array
        A row for each merge; of equal cost, those made first come first:

        - ``merge``: number in the tree; ``height``, ``priority``;
        - ``vi``: bits that the merge added to the VI, below 0 if it was right, of which ``vi_merges`` false merges and
          ``vi_splits`` false splits; the sum over all merges is the change of VI from no merge to all;
        - ``vi_after``: VI of the cut at its height;
        - ``erl``, only with `runs`: what the merge added to the expected run length, in the unit of the skeletons,
          below 0 if it cost some; the sum over all merges is the change from no merge to all;
        - ``erl_after``, likewise: that of the cut at its height;
        - ``segment_a``, ``segment_b``: lowest superpixels of the segments merged, a below b; the new one has that of a;
        - ``size_a``, ``size_b``: their voxels, ignored ones included;
        - ``object_a``, ``object_b``: true object that each overlaps most, the lowest label of several; 0 if none;
        - ``place``, shape (ndim,), only if superpixels are an array: centroid, in voxels, of the contact of both
          (through faces), or of the smaller one if they do not touch;
        - ``position``, shape (ndim,), only if `spacing` is given too: the same in physical units.

    Raises
    ------
    ShapeError, LabelError
        As for `curve`.
    SettingError
        As for `curve`, or if `spacing` does not fit, or is given without a volume; if `by` is unknown, or "erl" comes
        without `runs`.

    Examples
    --------
    >>> tree = MergeTree(3, np.array([[0, 1], [2, 3]]), np.array([0.25, 0.5]))
    >>> merges = blame(tree, [1, 2, 3, 3], [7, 7, 8, 8])
    >>> merges[["merge", "vi", "segment_a", "segment_b", "object_a", "object_b"]].tolist()
    [(1, 1.0, 1, 3, 7, 8), (0, -0.5, 1, 2, 7, 7)]
    """
    if by not in ("vi", "erl") or (by == "erl" and runs is None):
        raise SettingError(f"by must be 'vi', or 'erl' with runs=run_lengths(skeletons, superpixels, ...); got {by!r}.")
    if truth is None and spacing is not None:
        raise SettingError("spacing needs superpixels and truth as arrays; got one contingency table.")
    counted = overlaps_with(superpixels, truth)
    overlaps = overlaps_with(counted, ignore_seg=ignore_seg, ignore_truth=ignore_truth)
    leaf, known = leaves_of_labels(tree, overlaps.seg_labels, labels)
    changes = changes_along(Cuts(tree), overlaps, leaf, 0)
    columns = _columns(changes, known, node_sizes(tree, counted, leaf))
    if runs is not None:
        of_runs = run_changes(tree, runs, counted.seg_labels, leaf)
        columns["erl"] = of_runs / runs.length.sum()
        columns["erl_after"] = erl_along(changes.cuts, runs, of_runs)[changes.cuts.row]
    if truth is not None:
        columns["place"], sides = merge_places(tree, cast(ArrayLike, superpixels), labels, spacing)
        if spacing is not None:
            columns["position"] = columns["place"] * sides
    order = np.argsort(-columns["vi"] if by == "vi" else columns["erl"], kind="stable")
    listed = order[tree.height[order] <= check_threshold(threshold)]
    return as_table({name: column[listed] for name, column in columns.items()})


def false_merges(
    seg: ArrayLike | Table | Overlaps,
    truth: ArrayLike | None = None,
    *,
    ignore_seg: Sequence[int] = (0,),
    ignore_truth: Sequence[int] = (0,),
) -> Array:
    """Return the segments that overlap several true objects, those that cost the most first.

    Parameters
    ----------
    seg : array of int, shape (M, ..., P), or contingency table
        The segmentation, or its table with the truth: `cut_table` gives that of a cut of a tree.
    truth : array of int, shape (M, ..., P), optional
        The truth. Left out if `seg` is a table.
    ignore_seg, ignore_truth : sequence of int, optional
        Labels whose voxels are not counted. By default 0, as for `split_vi`.

    Returns
    -------
    overlaps : structured array
        A row for each true object that such a segment overlaps, largest overlap first:

        - ``segment``, ``size``: its label and number of voxels counted;
        - ``bits``: what it adds to H(truth | seg); rows of one segment have the same;
        - ``object``, ``overlap``: label of the true object, and voxels that both share.

    Raises
    ------
    ShapeError, LabelError, SettingError
        As for `split_vi`.

    Examples
    --------
    >>> false_merges([1, 1, 1, 1, 2], [7, 7, 7, 8, 8])[["segment", "object", "overlap"]].tolist()
    [(1, 7, 3), (1, 8, 1)]
    """
    overlaps = overlaps_with(seg, truth, ignore_seg=ignore_seg, ignore_truth=ignore_truth)
    return _partners(overlaps, "segment", "object")


def false_splits(
    seg: ArrayLike | Table | Overlaps,
    truth: ArrayLike | None = None,
    *,
    ignore_seg: Sequence[int] = (0,),
    ignore_truth: Sequence[int] = (0,),
) -> Array:
    """Return the true objects that lie in several segments, those that cost the most first.

    Parameters
    ----------
    seg, truth, ignore_seg, ignore_truth
        As for `false_merges`.

    Returns
    -------
    overlaps : structured array
        A row for each segment that such an object lies in, largest overlap first:

        - ``object``, ``size``: its label and number of voxels counted;
        - ``bits``: what it adds to H(seg | truth); rows of one object have the same;
        - ``segment``, ``overlap``: label of the segment, and voxels that both share.

    Raises
    ------
    ShapeError, LabelError, SettingError
        As for `split_vi`.

    Examples
    --------
    >>> false_splits([1, 1, 1, 1, 2], [7, 7, 7, 8, 8])[["object", "segment", "overlap"]].tolist()
    [(8, 1, 1), (8, 2, 1)]
    """
    overlaps = overlaps_with(seg, truth, ignore_seg=ignore_seg, ignore_truth=ignore_truth)
    return _partners(overlaps.exchanged, "object", "segment")


def _oracle_vi(overlaps: Overlaps) -> Floats:
    """Return false merges and false splits, in bits, if each superpixel goes to the object it overlaps most."""
    best = assignment_table(LabelTable(overlaps, overlaps.counts)).overlaps
    names = np.zeros(len(overlaps.seg_labels), dtype=overlaps.truth_labels.dtype)
    names[best.seg_index] = overlaps.truth_labels[best.truth_index]
    segments = renamed(overlaps, names)
    return np.array([merged_bits(segments).sum(), split_bits(segments).sum()])


def _columns(changes: Changes, labels: Labels, size: Floats) -> dict[str, Array]:
    """Return what `blame` says of each merge, in the order of the tree, but where it is."""
    cuts, tree = changes.cuts, changes.cuts.tree
    lowest = trees.lowest_leaves(tree.children, tree.n_leaves)
    ordered = np.argsort(lowest[tree.children], axis=1)
    pair = np.take_along_axis(tree.children, ordered, axis=1)
    objects = np.append(changes.overlaps.truth_labels, 0).astype(changes.overlaps.truth_labels.dtype)  # at -1
    sides: dict[str, Array] = {}
    of_node = {"segment": labels[lowest], "size": size.astype(np.int64), "object": objects[changes.main]}
    for name, values in of_node.items():
        sides |= {f"{name}_{side}": values[nodes] for side, nodes in zip("ab", pair.T, strict=True)}
    return {
        "merge": np.arange(tree.n_merges),
        "height": tree.height,
        "priority": tree.priority,
        "vi": changes.vi_merges + changes.vi_splits,
        "vi_merges": changes.vi_merges,
        "vi_splits": changes.vi_splits,
        "vi_after": np.add(*vi_along(changes))[cuts.row],
        **sides,
    }


def _partners(overlaps: Overlaps, owner: str, partner: str) -> Array:
    """Return each overlap of segments that have several, the segment being called `owner`; worst and largest first."""
    bits, index = merged_bits(overlaps), overlaps.seg_index
    order = np.lexsort((-overlaps.counts, index, -bits[index]))
    rows = order[np.bincount(index)[index[order]] > 1]
    return as_table(
        {
            owner: overlaps.seg_labels[index[rows]],
            "bits": bits[index[rows]],
            "size": overlaps.seg_sizes[index[rows]],
            partner: overlaps.truth_labels[overlaps.truth_index[rows]],
            "overlap": overlaps.counts[rows],
        }
    )
