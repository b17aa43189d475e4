"""All metrics under all conventions side by side, and why the tools differ.

The reasons are found by trial: the number is computed again with one rule of the one tool exchanged for that of the
other. A rule that changes nothing here is no reason.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cache, partial
from itertools import combinations
from typing import Any, TypeAlias

import numpy as np

from gala._types import ArrayLike
from gala.errors import LabelError, SettingError
from gala.evaluate.boundaries import boundary_scores
from gala.evaluate.contingency import LabelTable, Table, table_of
from gala.evaluate.conventions import CONVENTIONS, Ignored, Rules, conventions_of, count, settled
from gala.evaluate.cremi import cremi_score
from gala.evaluate.edits import edit_distance
from gala.evaluate.information import split_vi
from gala.evaluate.matching import average_precision
from gala.evaluate.pairs import adapted_rand_error, adj_rand_index, fm_index, rand_index

Values: TypeAlias = tuple[float, ...]
ValuesOf: TypeAlias = Callable[[LabelTable, Rules], Values]


@dataclass(frozen=True, slots=True)
class Score:
    """A value of one metric by one convention.

    Examples
    --------
    >>> compare([1, 1, 2, 2], [1, 1, 1, 1]).scores[0]
    Score(metric='split_vi', name='VI false merges', convention='gala', value=0.0, n_ignored=0, why_none='')
    """

    metric: str  # the function
    name: str  # which of its values
    convention: str
    value: float | None  # None if it has none
    n_ignored: int  # voxels of the volume that it leaves out
    why_none: str = ""


@dataclass(frozen=True, slots=True)
class Comparison:
    """All scores of a segmentation, and the reasons why tools differ; `str` makes tables of them.

    Examples
    --------
    >>> comparison = compare([1, 1, 2, 2], [1, 1, 1, 0])
    >>> comparison.value("adapted Rand error", "skimage")
    0.5
    """

    n_voxels: int
    scores: tuple[Score, ...]
    differences: tuple[str, ...]  # one sentence for each metric and pair of tools that differ

    def value(self, name: str, convention: str = "gala") -> float | None:
        """Return one value, by name."""
        found = [score for score in self.scores if (score.name, score.convention) == (name, convention)]
        if not found:
            raise KeyError(f"there is no {name!r} by the convention {convention!r}")
        return found[0].value

    def to_json(self, *, indent: int | None = 2) -> str:
        """Return all of it as JSON; values that are not there are null."""
        return json.dumps(asdict(self), indent=indent, allow_nan=False)

    def __str__(self) -> str:
        values = {(s.name, s.convention): "none" if s.value is None else f"{s.value:.4g}" for s in self.scores}
        ignored = {(s.metric, s.convention): f"{s.n_ignored}" for s in self.scores}
        parts = [_table("", values), _table(f"voxels ignored, of {self.n_voxels}", ignored)]
        why = sorted({f"{s.metric} by {s.convention}: {s.why_none}" for s in self.scores if s.value is None})
        return "\n\n".join([*parts, *("\n".join(lines) for lines in (why, self.differences) if lines)])


def compare(
    seg: ArrayLike | Table,
    gt: ArrayLike | None = None,
    *,
    ignore_seg: Ignored = None,
    ignore_truth: Ignored = None,
    size_threshold: float = 1000,
    tolerance: float | None = None,
    spacing: Sequence[float] | None = None,
) -> Comparison:
    """Compare a segmentation with the truth by all metrics under all conventions.

    Parameters
    ----------
    seg : array of int, shape (M, N, ..., P), or contingency table
        The segmentation, or its table with the truth.
    gt : array of int, shape (M, N, ..., P), optional
        The truth. Left out if `seg` is a table.
    ignore_seg, ignore_truth : sequence of int, optional
        Labels whose voxels are not counted, by any convention. By default, each convention has its own.
    size_threshold : float, optional
        Overlaps of so many voxels or fewer do not count in the edit distance.
    tolerance : float, optional
        How far apart boundaries may lie and still agree, in the units of `spacing`. By default, boundaries, which
        need two arrays, are not compared.
    spacing : sequence of float, optional
        The size of a voxel along each axis, for the boundaries.

    Returns
    -------
    comparison : Comparison
        Each value with its convention and the number of voxels it leaves out; a sentence for each pair of tools that
        differ, with the rules that make them. A convention that leaves out every voxel has no value, and says so.

    Raises
    ------
    ShapeError
        If the shapes differ, or there are no voxels.
    LabelError
        If values are not labels, a table holds shares instead of numbers of voxels, or no convention counts a voxel.
    SettingError
        If `tolerance` is given with a table, or cannot be one.

    Examples
    --------
    >>> print(compare([1, 1, 2, 2], [1, 1, 1, 0]).differences[-1])
    cremi_score: cremi (0.5122) and elf (0.6295) differ, as cremi ignores 1 voxel with truth label 0; elf ignores no
    voxel.
    """
    table = table_of(seg, gt)
    if table.overlaps.counts.dtype.kind == "f":
        raise LabelError("a comparison needs a contingency table of whole numbers of voxels; this one holds fractions.")

    functions = _functions(size_threshold)
    if tolerance is not None:
        functions["boundary_scores"] = _boundaries(seg, gt, tolerance, spacing)
    scores: list[Score] = []
    differences: list[str] = []
    for name, (names, values_of) in functions.items():
        metric = _Metric(name, names, table, values_of)
        rules = {c: settled(name, c, ignore_seg, ignore_truth, {}) for c in conventions_of(name)}
        for convention in rules:
            scores += _scores(metric, convention, rules[convention])
        for pair in combinations(rules, 2):
            differences += _reasons(metric, {c: rules[c] for c in pair})
    if all(score.value is None for score in scores):
        raise LabelError(scores[0].why_none)
    return Comparison(int(table.overlaps.counts.sum()) + table.n_ignored, tuple(scores), tuple(differences))


def _boundaries(
    seg: Any, gt: Any, tolerance: float, spacing: Sequence[float] | None
) -> tuple[tuple[str, ...], ValuesOf]:
    if gt is None:
        raise SettingError("boundaries, which a tolerance asks for, need seg and gt as arrays; got one table.")

    def boundaries(_: LabelTable, rules: Rules) -> Values:
        return boundary_scores(seg, gt, tolerance, spacing=spacing, convention=rules)

    return ("boundary precision", "boundary recall", "boundary F-score"), boundaries


def _functions(size_threshold: float) -> dict[str, tuple[tuple[str, ...], ValuesOf]]:
    """Return the names of each metric's values, and what computes them from a table and rules."""

    def vi_parts(table: LabelTable, rules: Rules) -> Values:
        merges, splits = split_vi(table, convention=rules).tolist()
        return merges, splits, merges + splits

    def rand_error(table: LabelTable, rules: Rules) -> Values:
        error, precision, recall = np.ravel(adapted_rand_error(table, all_stats=True, convention=rules)).tolist()
        return error, precision, recall

    def edits(table: LabelTable, rules: Rules) -> Values:
        return edit_distance(table, size_threshold=size_threshold, convention=rules)

    return {
        "split_vi": (("VI false merges", "VI false splits", "VI"), vi_parts),
        "rand_index": (("Rand index",), lambda table, rules: (rand_index(table, convention=rules),)),
        "adj_rand_index": (("adjusted Rand index",), lambda table, rules: (adj_rand_index(table, convention=rules),)),
        "fm_index": (("Fowlkes-Mallows index",), lambda table, rules: (fm_index(table, convention=rules),)),
        "adapted_rand_error": (("adapted Rand error", "adapted Rand precision", "adapted Rand recall"), rand_error),
        "edit_distance": (("edits: false merges", "edits: false splits"), edits),
        "average_precision": (
            ("average precision",),
            lambda table, rules: (average_precision(table, convention=rules),),
        ),
        "cremi_score": (("CREMI score",), lambda table, rules: (cremi_score(table, convention=rules),)),
    }


class _Metric:
    """The values of one metric on one table, by rules; each is computed once."""

    def __init__(self, name: str, names: tuple[str, ...], table: LabelTable, values_of: ValuesOf):
        self.name, self.names, self._table = name, names, table
        self.values = cache(partial(values_of, table))
        self.n_ignored = cache(self._n_ignored)

    def _n_ignored(self, rules: Rules) -> int:
        try:
            return int(count(self.name, self._table, None, rules).n_ignored)
        except LabelError:  # every voxel
            return int(self._table.overlaps.counts.sum()) + self._table.n_ignored


def _scores(metric: _Metric, convention: str, rules: Rules) -> list[Score]:
    try:
        values: tuple[float | None, ...] = metric.values(rules)
        why = ""
    except LabelError as error:  # nothing is left to count; the report says so
        values, why = (None,) * len(metric.names), str(error)
    n_ignored = metric.n_ignored(rules)
    return [
        Score(metric.name, name, convention, value, n_ignored, why)
        for name, value in zip(metric.names, values, strict=True)
    ]


# ---------------------------------------- reasons


def _reasons(metric: _Metric, rules: dict[str, Rules]) -> list[str]:
    """Return a sentence on why two tools differ, if they do."""
    (a, rules_a), (b, rules_b) = rules.items()
    try:
        values_a, values_b = metric.values(rules_a), metric.values(rules_b)
    except LabelError:  # one has no value; the report says why
        return []
    if _same(values_a, values_b):
        return []
    differing = [group for group in _phrases if _of(rules_a, group) != _of(rules_b, group)]
    telling = [group for group in differing if _matters(metric, group, rules_a, rules_b)]
    text_a, text_b = _told_apart(values_a, values_b)
    why_a, why_b = (
        ", ".join(_phrases[group](rule, metric.n_ignored(rule)) for group in telling or differing)
        for rule in (rules_a, rules_b)
    )
    return [f"{metric.name}: {a} ({text_a}) and {b} ({text_b}) differ, as {a} {why_a}; {b} {why_b}."]


def _matters(metric: _Metric, group: tuple[str, ...], a: Rules, b: Rules) -> bool:
    """Tell whether exchanging these rules alone changes the number of either tool."""
    for rules, other in ((a, b), (b, a)):
        try:
            exchanged = metric.values(replace(rules, **_of(other, group)))  # type: ignore[arg-type]  # names vary
        except LabelError:  # nothing would be left to count
            return True
        if not _same(exchanged, metric.values(rules)):
            return True
    return False


def _same(a: Values, b: Values) -> bool:
    return np.allclose(a, b, rtol=1e-9, atol=1e-12)


def _of(rules: Rules, group: tuple[str, ...]) -> dict[str, object]:
    return {name: getattr(rules, name) for name in group}


def _voxels(rules: Rules, n_ignored: int) -> str:
    sides = (("seg", rules.ignore_seg), ("truth", rules.ignore_truth))
    where = [f"{side} label {', '.join(map(str, labels))}" for side, labels in sides if labels]
    if not n_ignored:
        return "ignores no voxel"
    names = (" or " if rules.ignored_if == "either" else " and ").join(where)
    return f"ignores {n_ignored} voxel{'s' * (n_ignored > 1)}{' with ' * bool(where)}{names}"


def _pairs(rules: Rules, _: int) -> str:
    if rules.pairs == "unordered":
        return "takes unordered pairs of different voxels"
    return "takes ordered pairs and each voxel with itself"


def _seg_void(rules: Rules, _: int) -> str:
    return f"takes voxels with seg label 0 for {'one region' if rules.seg_void == 'label' else 'no region'}"


def _thresholds(rules: Rules, _: int) -> str:
    return f"has the IoU thresholds {', '.join(map(repr, rules.thresholds))}"


_phrases: dict[tuple[str, ...], Callable[[Rules, int], str]] = {
    ("ignore_seg", "ignore_truth", "ignored_if"): _voxels,
    ("pairs",): _pairs,
    ("seg_void",): _seg_void,
    ("thresholds",): _thresholds,
}


def _told_apart(a: Values, b: Values) -> tuple[str, str]:
    """Return both as text, with as many digits as it takes to tell them apart, four at least."""
    for digits in range(4, 17):
        text_a, text_b = (" / ".join(f"{value:.{digits}g}" for value in values) for values in (a, b))
        if text_a != text_b:
            break
    return text_a, text_b


def _table(title: str, cells: dict[tuple[str, str], str]) -> str:
    """Return a table of text with a row for each name and a column for each convention."""
    names = list(dict.fromkeys(name for name, _ in cells))
    rows = [[title, *CONVENTIONS], *([name, *(cells.get((name, c), "-") for c in CONVENTIONS)] for name in names)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join([row[0].ljust(widths[0]), *(cell.rjust(w) for cell, w in zip(row[1:], widths[1:], strict=True))])
        for row in rows
    )
