"""Merges that are given, whatever policy and constraints say: a history to replay, and labels to share."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from gala._types import ArrayLike
from gala.engine.running import RunningGraph
from gala.errors import LabelError, SettingError, ShapeError


def replay(
    g: RunningGraph,
    merges: Iterable[Sequence[int]],
    labels: ArrayLike | None = None,
    *,
    num_errors: float = 1,
) -> int:
    """Make the merges of a history, up to its first errors.

    Parameters
    ----------
    g : RunningGraph
        As it was when the history began. Merges are written down at priority 0.
    merges : iterable of (int, int), M of them
        Regions; each merge makes the next number, as everywhere.
    labels : array of int, shape (M,), optional
        What truth says of each, as in training sets: -1 or 0 merge, +1 don't. Pairs labelled +1 are not merged, as
        in strict learning.
    num_errors : int, optional
        Stop at this many pairs labelled +1; infinity never stops.

    Returns
    -------
    n : int
        How many pairs were read, the one at which it stopped included: ``merges[n:]`` are left.

    Raises
    ------
    LabelError
        If there is no such region, or it is part of a larger one when its turn comes; then nothing is merged.
    ShapeError, SettingError
        If there is not one label a pair, or `num_errors` is below 1.
    """
    pairs = [(int(u), int(v)) for u, v in merges]
    wrong = np.zeros(len(pairs), dtype=np.bool_) if labels is None else np.asarray(labels) > 0
    if wrong.shape != (len(pairs),):
        raise ShapeError(f"labels must have one entry for each of {len(pairs)} merges; got shape {wrong.shape}.")
    if not num_errors >= 1:
        raise SettingError(f"num_errors must be 1 or more; got {num_errors}.")
    errors = np.flatnonzero(wrong)
    n = len(pairs) if len(errors) < num_errors else int(errors[int(num_errors) - 1]) + 1
    made = [pair for pair, is_wrong in zip(pairs[:n], wrong[:n].tolist(), strict=True) if not is_wrong]
    _check_history(g, made)
    g.rebuild_merge_queue()  # to score all once is faster than some after each merge
    for u, v in made:
        g.merge_regions(g.region_of(u), g.region_of(v), 0.0)
    return n


def merge_labelled(g: RunningGraph, labels: ArrayLike, regions: Iterable[int] | None = None) -> int:
    """Merge the regions that are given one label, whether they touch or not.

    Parameters
    ----------
    g : RunningGraph
        Merges are written down at priority 0.
    labels : array, shape (R,)
        A label for each region; all values are labels, 0 included.
    regions : iterable of int, R of them, optional
        By default all regions that are there, in the order of their numbers.

    Returns
    -------
    n_merges : int

    Raises
    ------
    ShapeError
        If there is not one label a region.
    LabelError, KeyError
        If there never was such a region, or it is part of a larger one; then nothing is merged.
    SettingError
        If a region is given twice.
    """
    names = [n for n in g.region_names() if n != g.border] if regions is None else [int(n) for n in regions]
    given = np.asarray(labels)
    if given.shape != (len(names),):
        raise ShapeError(f"labels must have one entry for each of {len(names)} regions; got shape {given.shape}.")
    places = [g.region_of(n) for n in names]
    if len(set(places)) < len(places):
        raise SettingError("each region can be given one label; some are there twice.")
    before = g.n_merges
    g.rebuild_merge_queue()
    home: dict[Any, int] = {}
    order = np.argsort(given, kind="stable")
    for label, place in zip(given[order].tolist(), np.array(places, dtype=np.int64)[order].tolist(), strict=True):
        first = home.get(label)
        home[label] = place if first is None else g.region_of(g.merge_regions(first, place, 0.0))
    return g.n_merges - before


def _check_history(g: RunningGraph, pairs: Sequence[tuple[int, int]]) -> None:
    """Raise LabelError if some pair is not there when its turn comes."""
    there = set(g.region_names()) - {g.border}
    coming = g.names[g.graph.n_regions + g.n_merges :].tolist()
    for i, (u, v) in enumerate(pairs):
        if u == v or not {u, v} <= there:
            raise LabelError(f"merge {i} of the history joins regions {u} and {v}, which are not two that are there.")
        there -= {u, v}
        there.add(coming[i])
