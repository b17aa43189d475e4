"""Edits of a segmentation as data, and what each does to a running graph.

An edit names regions by their labels, never by nodes of a tree, which are numbered anew by every edit. A segment is
what the regions below one root of the merge tree make up.
"""

from __future__ import annotations

import inspect
import json
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from operator import index
from typing import Any

import numpy as np

from gala._files import json_value
from gala._kernels import trees
from gala._types import Ints
from gala.engine.cuts import normalized_cut
from gala.engine.editable import EditableGraph
from gala.errors import SettingError
from gala.graph.violations import listed


@dataclass(frozen=True)
class Edit:
    """One edit: what was done, the name of a method of `Editing`, and with which arguments.

    Examples
    --------
    >>> Edit("separate", {"a": 3, "b": 9})
    Edit(kind='separate', arguments={'a': 3, 'b': 9})
    """

    kind: str
    arguments: dict[str, Any]

    def __post_init__(self) -> None:
        if self.kind not in _VERBS:
            raise SettingError(f"an edit is one of {', '.join(_VERBS)}; got {self.kind!r}.")
        expected = [*inspect.signature(_VERBS[self.kind]).parameters][1:]
        if sorted(self.arguments) != sorted(expected):
            given = ", ".join(self.arguments) or "none"
            raise SettingError(f"the edit {self.kind} has the arguments {', '.join(expected)}; got {given}.")
        made = {name: _checked(name, self.arguments[name]) for name in expected}
        object.__setattr__(self, "arguments", made)


def edits_to_json(edits: Iterable[Edit]) -> str:
    """Return a log of edits as JSON, one edit a line; infinity is a string.

    Examples
    --------
    >>> print(edits_to_json([Edit("separate", {"a": 3, "b": 9})]))
    [
    {"kind": "separate", "a": 3, "b": 9}
    ]
    """
    lines = [{"kind": edit.kind} | {k: json_value(v) for k, v in edit.arguments.items()} for edit in edits]
    return "[\n" + ",\n".join(json.dumps(line, allow_nan=False) for line in lines) + "\n]"


def edits_from_json(text: str) -> tuple[Edit, ...]:
    """Return the log of edits that `edits_to_json` wrote.

    Raises
    ------
    SettingError
        If `text` is no such log.
    """
    try:
        return tuple(Edit(line.pop("kind"), line) for line in json.loads(text))
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise SettingError(f"this is no log of edits: {error}") from error


def perform(g: EditableGraph, edit: Edit) -> None:
    """Make an edit in a running graph, which is of no use any more if that fails."""
    try:
        _VERBS[edit.kind](g, **edit.arguments)
        g.check_links()
    except Exception as error:
        error.add_note(f"This was in the edit {edit.kind}, {edit.arguments}.")
        raise


# -- the edits -------------------------------------------------------------------------------------------------------


def _merge(g: EditableGraph, a: int, b: int, priority: float, constraints: str) -> None:
    pair = _two(g, a, b)
    first, second = g.tree.root_of(pair)
    if first == second:
        raise SettingError(f"regions {a} and {b} are in one segment already.")
    g.join_by_hand(pair, priority, constraints=constraints)


def _undo(g: EditableGraph, a: int, b: int) -> None:
    node = g.tree.lowest_common_ancestor(*_two(g, a, b))
    if node < 0:
        raise SettingError(f"regions {a} and {b} are in different segments: there is no merge of both to undo.")
    g.undo(node)


def _separate(g: EditableGraph, a: int, b: int) -> None:
    pair, tree = _two(g, a, b), g.tree
    node = tree.lowest_common_ancestor(*pair)
    if node >= 0:
        g.loose[tree.leaves_of(int(tree.root_of(node)))] = True
    g.undo([node] if node >= 0 else [], apart=pair[np.newaxis])


def _split_by_seeds(g: EditableGraph, seeds: list[list[int]]) -> None:
    if len(seeds) < 2 or not all(seeds):
        raise SettingError(f"seeds must be two groups of regions or more, none of them empty; got {seeds}.")
    groups = [np.unique(g.graph.find(group)) for group in seeds]
    leaves = np.concatenate(groups)
    found, counts = np.unique(leaves, return_counts=True)
    if (counts > 1).any():
        several = listed(g.graph.labels[found[counts > 1]].tolist())
        raise SettingError(f"a region can be a seed of one group only; in several are {several}.")
    tree = g.tree
    roots = tree.root_of(leaves)
    outside = leaves[roots != roots[0]]
    if len(outside):
        raise SettingError(
            f"seeds must lie in one segment; outside that of region {g.graph.labels[leaves[0]]} are "
            f"{listed(g.graph.labels[outside].tolist())}. Leave them out, or merge the segments first."
        )
    part = np.full(tree.n_leaves, -1)
    for i, group in enumerate(groups):
        part[group] = i
    apart = [np.stack(np.meshgrid(a, b), axis=-1).reshape(-1, 2) for i, a in enumerate(groups) for b in groups[:i]]
    _grow(g, part, np.concatenate(apart))


def _split(g: EditableGraph, region: int, n: int) -> None:
    tree = g.tree
    root = int(tree.root_of(g.graph.find(region)))
    leaves = tree.leaves_of(root)
    if len(leaves) == 1:
        raise SettingError(f"region {region} is a segment of a single region, which cannot be split.")
    fine = g.copy()
    fine.undo(tree.n_leaves + np.flatnonzero(trees.mixed(tree.children, _units(g, leaves))))
    units, of_leaf = np.unique(fine.regions_holding(leaves), return_inverse=True)
    if len(units) == 1:
        raise SettingError(f"all regions in the segment of {region} must link, so it cannot be split.")
    if not 2 <= n <= len(units):
        linked = "" if len(units) == len(leaves) else ", those that must link counted once"
        possible = "2" if len(units) == 2 else f"from 2 to {len(units)}"
        raise SettingError(f"n must be {possible}: the segment of {region} has {len(units)} regions{linked}; got {n}.")
    contacts = fine.contacts_among(leaves)
    ends = np.searchsorted(units, fine.state.ends[contacts])
    part = np.full(tree.n_leaves, -1)
    part[leaves] = normalized_cut(len(units), ends, fine.state.priority[contacts], n)[of_leaf]
    first = np.array([np.flatnonzero(part == i)[0] for i in range(n)])
    _grow(g, part, first[np.column_stack(np.triu_indices(n, 1))])


def _units(g: EditableGraph, leaves: Ints) -> Ints:
    """Return a number for each leaf, shape (N,): -1 but for `leaves`; equal for those that must link."""
    labels, group = g.constraints.linked()
    unit = np.arange(g.graph.n_regions)
    unit[g.graph.find(labels)] = g.graph.n_regions + group
    return np.where(np.isin(np.arange(len(unit)), leaves), unit, -1)


def _reagglomerate(g: EditableGraph, threshold: float, regions: list[int]) -> None:
    root = g.tree.root_of(np.arange(g.graph.n_regions))
    named = np.isin(root, root[g.graph.find(np.array(regions, dtype=g.graph.labels.dtype))])
    g.agglomerate_among(np.flatnonzero(g.loose | named), threshold)
    g.loose = np.zeros_like(g.loose)


_VERBS: dict[str, Callable[..., None]] = {
    "merge": _merge,
    "undo": _undo,
    "separate": _separate,
    "split_by_seeds": _split_by_seeds,
    "split": _split,
    "reagglomerate": _reagglomerate,
}


# -- private -----------------------------------------------------------------------------------------------------------


def _labels(values: Any) -> list[int]:
    return [index(value) for value in values]


def _number(value: Any) -> float:
    number = float(value)
    if math.isnan(number):
        raise ValueError
    return number


def _choice(value: Any) -> str:
    if value not in ("obey", "ignore"):
        raise ValueError
    return str(value)


# What each argument is in words, and as Python keeps it.
_ARGUMENTS: dict[str, tuple[str, Callable[[Any], Any]]] = {
    "a": ("a label", index),
    "b": ("a label", index),
    "region": ("a label", index),
    "regions": ("a list of labels", _labels),
    "seeds": ("lists of labels", lambda groups: [_labels(group) for group in groups]),
    "n": ("a whole number", index),
    "priority": ("a number", _number),
    "threshold": ("a number", _number),
    "constraints": ('"obey" or "ignore"', _choice),
}


def _checked(name: str, value: Any) -> Any:
    words, convert = _ARGUMENTS[name]
    try:
        return convert(value)
    except (TypeError, ValueError):
        raise SettingError(f"{name} must be {words}; got {value!r}.") from None


def _grow(g: EditableGraph, part: Ints, apart: Ints) -> None:
    """Split a segment into parts: leaves of -1 join one of them; pairs of leaves are kept `apart` from now on."""
    tree = g.tree
    segment = tree.leaves_of(int(tree.root_of(np.argmax(part >= 0))))
    g.undo(tree.n_leaves + np.flatnonzero(trees.mixed(tree.children, part)), apart=apart)
    for i in range(part.max() + 1):
        of_part = np.flatnonzero(part == i)
        g.agglomerate_among(of_part)
        g.join_by_hand(of_part)
    g.agglomerate_among(segment)
    g.loose[segment] = False


def _two(g: EditableGraph, a: int, b: int) -> Ints:
    """Return two different regions, given by labels, as leaves."""
    pair = g.graph.find([a, b])
    if a == b:
        raise SettingError(f"two different regions are needed; got {a} twice.")
    return pair
