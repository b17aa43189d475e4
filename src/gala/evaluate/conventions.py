"""The conventions of each tool, as data: which voxels count, which pairs of voxels, and what label 0 is.

Tools give different numbers for the same arrays under the same name. `convention="skimage"`, or another of
`CONVENTIONS`, is the number that tool gives; a `Rules` of one's own will do as well.

- ``gala``: this library, and the historic one.
- ``skimage``: `skimage.metrics` of scikit-image. It returns what it calls precision and recall the other way round
  (its issue 6485); here, precision is always about the segmentation, and recall about the truth.
- ``cremi``: `cremi.evaluation` of the CREMI challenge, https://github.com/cremi/cremi_python. Void is truth 0; its
  class `NeuronIds` shifts labels by one, so that void is 2**64 - 1: pass ``ignore_truth=[2**64 - 1]``.
- ``snemi3d``: the script SNEMI3D_metrics.m of the SNEMI3D challenge.
- ``elf``: `elf.evaluation` of python-elf, https://github.com/constantinpape/elf.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

import numpy as np

from gala._types import ArrayLike
from gala.errors import SettingError
from gala.evaluate.contingency import LabelTable, Table, ignored_labels, overlaps_of, without
from gala.graph.overlaps import Overlaps


@dataclass(frozen=True, slots=True)
class Rules:
    """What a tool counts in a metric.

    Parameters
    ----------
    ignore_seg, ignore_truth : tuple of int, optional
        Labels whose voxels are left out.
    ignored_if : "either" or "both", optional
        With labels to ignore on both sides: whether one such label is enough for a voxel to be left out.
    pairs : "unordered" or "ordered", optional
        Pairs of two different voxels, in no order; or all ordered pairs, each voxel with itself included.
    seg_void : "label" or "alone", optional
        Whether label 0 of the segmentation is a label like any other, or its voxels belong to no region. These then
        count as 1/n of a pair each, n being the voxels of the volume, those left out included.
    alpha_weighs : "precision", "recall" or None, optional
        What `alpha` is the weight of, if the tool has it.
    thresholds : tuple of float, optional
        Shares that objects must have in common to match.
    of_none : float, optional
        The precision of no objects, and the recall of none.

    Examples
    --------
    >>> rules_of("adapted_rand_error", "elf").pairs
    'ordered'
    """

    ignore_seg: tuple[int, ...] = ()
    ignore_truth: tuple[int, ...] = ()
    ignored_if: Literal["either", "both"] = "either"
    pairs: Literal["unordered", "ordered"] = "unordered"
    seg_void: Literal["label", "alone"] = "label"
    alpha_weighs: Literal["precision", "recall"] | None = None
    thresholds: tuple[float, ...] = ()
    of_none: float = 1.0


CONVENTIONS = ("gala", "skimage", "cremi", "snemi3d", "elf")
Convention: TypeAlias = str | Rules
Ignored: TypeAlias = Sequence[int] | None  # labels to ignore; None for those of the convention

_challenge = Rules(ignore_truth=(0,), pairs="ordered", seg_void="alone")
_elf = Rules(ignored_if="both", pairs="ordered")
_twentieths = tuple(i / 20 for i in range(10, 20))

# What each tool does, by metric. A metric that a tool does not have is not there.
_rules: dict[str, dict[str, Rules]] = {
    "split_vi": {
        "gala": Rules(ignore_seg=(0,), ignore_truth=(0,)),
        "skimage": Rules(),
        "cremi": Rules(ignore_truth=(0,)),
        "elf": Rules(ignored_if="both"),
    },
    "rand_index": {"gala": Rules(), "elf": _elf},
    "adj_rand_index": {"gala": Rules()},
    "fm_index": {"gala": Rules()},
    "adapted_rand_error": {
        "gala": Rules(alpha_weighs="precision"),
        "skimage": Rules(ignore_truth=(0,), alpha_weighs="recall"),
        "cremi": _challenge,
        "snemi3d": _challenge,
        "elf": _elf,
    },
    "cremi_score": {"cremi": _challenge, "elf": _elf},
    "edit_distance": {"gala": Rules(ignore_seg=(0,), ignore_truth=(0,))},
    "average_precision": {
        "gala": Rules(thresholds=_twentieths),
        # Sums of steps, so 0.6 and others are above it by a rounding: an object with 3/5 in common does not match.
        "elf": Rules(thresholds=tuple(np.arange(0.5, 1.0, 0.05).tolist()), ignored_if="both", of_none=0.0),
    },
    "boundary_scores": {"gala": Rules()},
}
_synonyms = {"ignore_x": "ignore_seg", "ignore_y": "ignore_truth", "ignore_gt": "ignore_truth"}


@dataclass(frozen=True, slots=True)
class Counted:
    """The overlaps that a metric counts, by which rules, and how many voxels were left out."""

    overlaps: Overlaps
    rules: Rules
    n_voxels: int | float  # of the volume; 1 for a table of shares
    n_ignored: int | float


def rules_of(metric: str, convention: Convention) -> Rules:
    """Return what a tool counts in a metric.

    Raises
    ------
    SettingError
        If there is no such convention, or it does not define the metric.

    Examples
    --------
    >>> rules_of("split_vi", "cremi").ignore_truth
    (0,)
    """
    if isinstance(convention, Rules):
        return convention
    if convention not in CONVENTIONS:
        raise SettingError(f"convention must be one of {', '.join(CONVENTIONS)}; got {convention!r}.")
    if convention not in _rules[metric]:
        raise SettingError(
            f"the convention {convention!r} does not define {metric}; these do: {', '.join(_rules[metric])}."
        )
    return _rules[metric][convention]


def conventions_of(metric: str) -> tuple[str, ...]:
    """Return the conventions that define a metric.

    Examples
    --------
    >>> conventions_of("cremi_score")
    ('cremi', 'elf')
    """
    return tuple(_rules[metric])


def settled(
    metric: str, convention: Convention, ignore_seg: Ignored, ignore_truth: Ignored, historic: dict[str, Sequence[int]]
) -> Rules:
    """Return the rules of a convention, with the labels that the caller wants to ignore, under any historic name.

    Examples
    --------
    >>> settled("split_vi", "gala", None, None, {"ignore_x": [7]}).ignore_seg
    (7,)
    """
    rules = rules_of(metric, convention)
    given = {"ignore_seg": ignore_seg, "ignore_truth": ignore_truth}
    for name, labels in historic.items():
        if name not in _synonyms:
            # As Python says it of a function without **historic.
            raise TypeError(f"{metric}() got an unexpected keyword argument {name!r}")
        if given[_synonyms[name]] is not None:
            raise SettingError(f"{name} is the historic name of {_synonyms[name]}; got both.")
        given[_synonyms[name]] = labels
    chosen = {name: ignored_labels(labels) for name, labels in given.items() if labels is not None}
    return replace(rules, **chosen)  # type: ignore[arg-type]  # mypy does not see which fields the names are


def count(
    metric: str,
    seg: ArrayLike | Table,
    gt: ArrayLike | None,
    convention: Convention = "gala",
    ignore_seg: Ignored = None,
    ignore_truth: Ignored = None,
    historic: dict[str, Sequence[int]] | None = None,
) -> Counted:
    """Return what a metric counts of two arrays, or of one contingency table, by a convention.

    Examples
    --------
    >>> counted = count("split_vi", [3, 3, 0], [1, 1, 1])
    >>> counted.overlaps.counts, int(counted.n_ignored)
    (array([2]), 1)
    """
    rules = settled(metric, convention, ignore_seg, ignore_truth, historic or {})
    every = overlaps_of(seg, gt)
    overlaps = without(every, rules.ignore_seg, rules.ignore_truth, ignored_if=rules.ignored_if)
    left_out = seg.n_ignored if isinstance(seg, LabelTable) else 0
    n_voxels = every.counts.sum().item() + left_out
    return Counted(overlaps, rules, n_voxels, n_voxels - overlaps.counts.sum().item())
