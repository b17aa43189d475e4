"""What there is to say about a segmentation, as a report: every metric, the merge tree, and the worst objects."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import islice
from typing import Any

import numpy as np

from gala._types import Array, ArrayLike, Labels
from gala.classify.calibration import reliability
from gala.errors import ShapeError
from gala.evaluate import (
    CONVENTIONS,
    Comparison,
    RunLengths,
    blame,
    breakdown,
    compare,
    contingency_table,
    curve,
    false_merges,
    false_splits,
)
from gala.evaluate.records import as_table
from gala.evaluate.skeletons import KINDS
from gala.graph.labels import as_labels
from gala.graph.segments import cut_labels, leaf_labels
from gala.graph.tree import MergeTree, check_threshold
from gala.viz.charts import draw_breakdown, draw_curves, draw_reliability
from gala.viz.objects import WorstObject, draw_worst_objects
from gala.viz.report import Cell, Picture, Report, Table

_n_listed, _n_drawn, _n_partners = 25, 3, 5  # merges and objects in tables; objects of each kind; partners of each
_with_best = ("vi", "adapted_rand_error", "rand_index", "adj_rand_index", "fm_index", "edit_distance", "erl")
_run_facts = {
    "expected run length": "erl",
    "largest possible": "max_erl",
    "normalised run length": "normalised",
    "nodes outside": "n_outside",
}

_of_sides = {"segment": "segment", "voxels": "size", "object": "object"}

_metrics_note = (
    "Tools give different numbers under the same name. Each column has what that tool would say of these volumes, and "
    "a dash where it has no such metric. VI is in bits: false merges are H(truth | segmentation), false splits "
    "H(segmentation | truth)."
)
_curve_note = (
    "Each point of the line is a cut of the merge tree, from the superpixels at the top to where all that the tree "
    "merges is merged. Down is fewer false splits, left is fewer false merges; a grey line joins points of equal VI."
)
_breakdown_note = (
    "Superpixels: what is left if each goes to the true object it overlaps most. Policy: what the best threshold on "
    "this tree adds to that. Threshold: what the one chosen adds to the best."
)
_merges_note = (
    "The merges of the tree, up to the threshold, that added most to the VI. Segments are named by their lowest "
    "superpixel, objects are those that each side overlaps most; the place is that of the contact, in voxels."
)
_reliability_note = (
    "Priorities, read as probabilities that a merge is wrong, against the share of merges made at them that were: each "
    "side overlaps another true object most. On the diagonal, a threshold means what it says; "
    "gala.classify.recalibrate puts probabilities there. All merges of the tree count."
)
_worst_note = (
    "A colour means the same in the truth and in the segmentation: a segment has that of the true object it overlaps "
    "most. What is not the object is faded."
)
_erl_note = (
    "The merges of the tree, up to the threshold, that took most from the expected run length, below 0 in the unit of "
    "the skeletons; the length after them is that of the whole cut."
)
_runs_note = (
    "The length of each skeleton in correct edges, in those that mergers cover, that go from segment to segment, "
    "that have no segment, and that leave the volume. The one that loses most comes first."
)
_places_note = "Where it happens, in the unit of the skeletons."
_bits_note = "Bits are what one adds to the VI; beside each partner is the number of voxels that both share."


def evaluation_report(
    seg: ArrayLike,
    truth: ArrayLike,
    *,
    tree: MergeTree | None = None,
    threshold: float = np.inf,
    image: ArrayLike | None = None,
    spacing: Sequence[float] | None = None,
    tolerance: float | None = None,
    runs: RunLengths | None = None,
    title: str = "Evaluation",
) -> Report:
    """Report on a segmentation, or on superpixels and the tree of their merges.

    Parameters
    ----------
    seg : array of int, shape (M, N, ..., P)
        The segmentation; or, with a tree, the superpixels that it merges.
    truth : array of int, shape (M, N, ..., P)
        The true objects; 0 is void.
    tree : MergeTree, optional
        Its leaves are the superpixels, in order of their labels; superpixels 0 may be background that it leaves out.
    threshold : float, optional
        The segmentation is the cut of the tree here. By default all its merges are made.
    image : array, shape (M, N, ..., P), optional
        A grey image, to show below the worst objects.
    spacing : sequence of float, optional
        Size of a voxel along each axis, in physical units.
    tolerance : float, optional
        How far apart boundaries may lie and still agree, in these units. By default they are not compared.
    runs : RunLengths, optional
        ``run_lengths(skeletons, seg, ...)``, to report on skeletons too; with a tree, those in the superpixels.
    title : str, optional
        Of the report.

    Returns
    -------
    report : Report
        Tables: metrics by the conventions of several tools, voxels that each ignores, and why they differ; worst
        segments and true objects. With a tree: best thresholds, the breakdown of the error, and the worst merges.
        With skeletons: run lengths, splits and merges. Pages list the worst; JSON has all, and the whole curve.
        Pictures: worst objects in place, in 2 or 3 dimensions; with a tree: VI along it, the breakdown, and, if
        priorities are from 0 to 1, their reliability.

    Raises
    ------
    ShapeError
        If the shapes differ, or there are no voxels.
    LabelError
        If values are not labels, or no voxel is left to count.
    SettingError
        If `seg` does not hold the superpixels of the tree, or a setting is impossible.

    Examples
    --------
    >>> report = evaluation_report([[1, 1, 2, 2]], [[1, 1, 1, 1]])
    >>> [table.key for table in report.tables]
    ['metrics', 'false_merges', 'false_splits', 'ignored_voxels', 'differences']
    """
    labels, objects = as_labels(seg, "seg"), as_labels(truth, "truth")
    if labels.shape != objects.shape:
        raise ShapeError(f"seg and truth must have the same shape; got {labels.shape} and {objects.shape}.")
    if image is not None and np.shape(image) != labels.shape:
        raise ShapeError(f"image must have the shape of seg, {labels.shape}; got {np.shape(image)}.")
    facts: dict[str, Cell] = {"volume": " × ".join(map(str, labels.shape))}
    along: list[Table | Picture] = []
    if tree is None:
        segments = labels
    else:
        names = leaf_labels(labels, tree)
        along = _along_tree(tree, labels, objects, names, check_threshold(threshold), runs)
        segments = cut_labels(labels, tree, threshold, of_leaves=names)
        if runs is not None:
            at = runs.node_labels
            runs = runs.among(at._replace(labels=cut_labels(at.labels, tree, threshold, of_leaves=names)))
        facts |= {"superpixels": tree.n_leaves, "merges in the tree": tree.n_merges, "threshold": threshold}
    table = contingency_table(segments, objects, norm=False)
    o = table.overlaps
    facts |= {"segments": int((o.seg_labels != 0).sum()), "true objects": int((o.truth_labels != 0).sum())}
    if runs is not None:
        facts |= {fact: getattr(runs, name) for fact, name in _run_facts.items()}
        along += _skeletons(runs)
    both = (table, None) if tolerance is None else (segments, objects)  # boundaries need the volumes
    metrics, *conventions = _metrics(compare(*both, tolerance=tolerance, spacing=spacing))
    worst = [false_merges(table), false_splits(table)]
    drawn = _drawn(worst, segments, objects, image)
    return Report(title, facts, [metrics, *along, *drawn, *_listed(worst), *conventions])


def _metrics(comparison: Comparison) -> list[Table]:
    """Return a table of each metric by each convention, and why they differ."""
    values: dict[str, dict[str, Cell]] = {}
    ignored: dict[str, dict[str, Cell]] = {}
    for score in comparison.scores:
        values.setdefault(score.name, {})[score.convention] = score.value
        ignored.setdefault(score.metric, {})[score.convention] = score.n_ignored

    def rows(cells: dict[str, dict[str, Cell]]) -> list[list[Cell]]:
        return [[name, *map(row.get, CONVENTIONS)] for name, row in cells.items()]

    columns = ["metric", *CONVENTIONS]
    n_voxels = f"Of {comparison.n_voxels} voxels; which labels a tool ignores is part of its convention."
    missing = sorted({f"{s.metric} by {s.convention}: {s.why_none}" for s in comparison.scores if s.value is None})
    sentences: list[list[Cell]] = [[sentence] for sentence in [*missing, *comparison.differences]]
    return [
        Table("metrics", "Metrics", _metrics_note, columns, rows(values)),
        Table("ignored_voxels", "Voxels ignored", n_voxels, columns, rows(ignored)),
        Table("differences", "Why the tools differ", "", ["difference"], sentences),
    ]


def _along_tree(
    tree: MergeTree,
    superpixels: Labels,
    truth: Labels,
    leaf_labels: Labels,
    threshold: float,
    runs: RunLengths | None,
) -> list[Table | Picture]:
    """Return what a tree adds to a report."""
    table = contingency_table(superpixels, truth, norm=False)
    found = curve(tree, table, labels=leaf_labels, runs=runs)
    here = found.at(threshold)
    best = [[name, *found.best(name), here[name]] for name in _with_best if name in here]
    parts = breakdown(tree, table, threshold=threshold, labels=leaf_labels)
    steps = {"superpixels": parts.superpixels, "policy": parts.policy, "threshold": parts.threshold}
    merges = blame(tree, superpixels, truth, labels=leaf_labels, runs=runs)
    made = merges[merges["height"] <= threshold]
    drawn = draw_curves({"tree": found}, chosen={"tree": threshold})
    return [
        Picture("VI along the merge tree", _curve_note, drawn, "curve", found.to_table()),
        Table(
            "best_thresholds",
            "Best thresholds",
            "By each metric, beside the value at the threshold chosen.",
            ["metric", "best threshold", "value there", "value at the chosen"],
            best,
        ),
        Picture("What the error comes from", _breakdown_note, draw_breakdown({"tree": steps})),
        Table("breakdown", "The same in numbers", "", ["step", "bits"], [*steps.items(), ("total", parts.total)]),
        *_reliability(merges),
        _worst_merges(made),
        *([] if runs is None else [_merges_by_erl(made[np.argsort(made["erl"], kind="stable")])]),
    ]


def _reliability(merges: Array) -> list[Picture]:
    """Return the reliability of priorities if they can be probabilities; constraints have none."""
    p = merges["priority"][np.isfinite(merges["priority"])]
    known = np.isfinite(merges["priority"]) & (merges["object_a"] != 0) & (merges["object_b"] != 0)
    if not known.any() or p.min() < 0 or p.max() > 1:
        return []
    made = merges[known]
    found = reliability(made["priority"], made["object_a"] != made["object_b"])
    bins = as_table({name: getattr(found, name) for name in ("predicted", "observed", "counts")})
    figure = draw_reliability({"tree": found})
    return [Picture("Do priorities come true", _reliability_note, figure, "reliability", bins)]


def _worst_merges(merges: Array) -> Table:
    shown = {
        "merge": "merge",
        "bits": "vi",
        "priority": "priority",
        **{f"{what} {side}": f"{name}_{side}" for what, name in _of_sides.items() for side in "ab"},
        "place": "place",
    }
    costly = merges[merges["vi"] > 0]
    return _table("worst_merges", "Worst merges", _merges_note, shown, costly, merges)


def _merges_by_erl(merges: Array) -> Table:
    shown = {name: name for name in ("merge", "erl", "erl_after", "priority", "segment_a", "segment_b", "place")}
    costly = merges[merges["erl"] < 0]
    return _table("worst_merges_by_erl", "Merges that cost most run length", _erl_note, shown, costly, merges)


def _skeletons(runs: RunLengths) -> list[Table | Picture]:
    """Return what skeletons add to a report."""
    per_skeleton = runs.per_skeleton
    lost = per_skeleton[np.argsort(per_skeleton["correct"] - per_skeleton["length"], kind="stable")]
    tables = {
        "run_lengths": ("Run lengths", _runs_note, lost, ("id", "length", "erl", *KINDS)),
        "skeleton_splits": (
            "Splits of skeletons",
            _places_note,
            runs.splits,
            ("skeleton", "segment", "other_segment", "start", "stop"),
        ),
        "skeleton_merges": (
            "Merges of skeletons",
            _places_note,
            runs.merges,
            ("segment", "skeleton", "other_skeleton", "n_nodes", "n_other_nodes", "start", "stop"),
        ),
    }
    return [
        _table(key, title, note, {name: name for name in names}, rows, rows)
        for key, (title, note, rows, names) in tables.items()
    ]


def _table(key: str, title: str, note: str, shown: Mapping[str, str], rows: Array, full: Array) -> Table:
    """Return the first of these rows, with a name for each column shown; JSON holds all of `full`."""
    columns = [rows[name][:_n_listed].tolist() for name in shown.values()]
    cells = [[_cell(value) for value in row] for row in zip(*columns, strict=True)]
    return Table(key, title, note, [name.replace("_", " ") for name in shown], cells, full)


def _cell(value: Any) -> Cell:
    place: Cell = ",\N{NO-BREAK SPACE}".join(f"{x:.0f}" for x in value) if isinstance(value, list) else value
    return place


def _drawn(worst: Sequence[Array], segments: Labels, objects: Labels, image: ArrayLike | None) -> list[Picture]:
    """Return the picture of the worst objects, if there are any, and they can be drawn."""
    shown = [
        WorstObject(kind, label, rows["bits"][0].item())
        for kind, name, found in zip(("false merge", "false split"), ("segment", "object"), worst, strict=True)
        for label, rows in islice(_by_label(found, name), _n_drawn)
    ]
    if not shown or segments.ndim not in (2, 3):
        return []
    return [Picture("Worst objects", _worst_note, draw_worst_objects(shown, segments, objects, image))]


def _listed(worst: Sequence[Array]) -> list[Table]:
    """Return the tables of the worst segments and true objects."""
    kinds = (
        ("false_merges", "Worst false merges", "segment", "object"),
        ("false_splits", "Worst false splits", "object", "segment"),
    )
    tables = []
    for (key, title, name, partner), found in zip(kinds, worst, strict=True):
        rows: list[list[Cell]] = []
        for label, own in islice(_by_label(found, name), _n_listed):
            pairs = zip(own[partner].tolist(), own["overlap"].tolist(), strict=True)
            largest = ", ".join(f"{other} ({count})" for other, count in islice(pairs, _n_partners))
            more = f" and {len(own) - _n_partners} more" if len(own) > _n_partners else ""
            rows.append([label, own["bits"][0].item(), own["size"][0].item(), len(own), largest + more])
        columns = [name, "bits", "voxels", f"{partner}s", "largest"]
        tables.append(Table(key, title, _bits_note, columns, rows, found))
    return tables


def _by_label(found: Array, name: str) -> list[tuple[int, Array]]:
    """Return the rows of each label, the worst first, as they are in the table."""
    starts = np.flatnonzero(found[name][1:] != found[name][:-1]) + 1
    return [(int(rows[name][0]), rows) for rows in np.split(found, starts) if len(rows)]
