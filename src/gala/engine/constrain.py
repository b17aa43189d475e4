"""Constraints laid flat for the engine, and obeyed by a running graph.

Regions that touch are kept apart by a flag on their contact, which joins pass on; regions that do not, by a mark that
both have and that merges pass on; classes by bit masks.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gala._kernels import merge
from gala._kernels.containers import Bags
from gala._kernels.state import State, find_contact, find_mergeable, may_share
from gala._types import Array, Bools, Ints, Labels
from gala.engine.state import FROZEN, bags_of
from gala.errors import ConstraintError
from gala.graph.constraints import Constraints
from gala.graph.regions import RegionGraph, pack
from gala.graph.violations import listed

if TYPE_CHECKING:
    from gala.engine.running import RunningGraph


def constrain(g: RunningGraph, constraints: Constraints) -> None:
    """Have `g`, before its first merge, obey constraints; merge what must link, in the order of the labels.

    Raises
    ------
    LabelError
        If constraints name superpixels that the graph does not have.
    """
    constraints.validate(g.graph)
    g.constraints = constraints
    g.state = _constrained(g.state, g.graph, constraints)
    labels, groups = constraints.linked()
    if len(labels):
        merge.merge_linked(g.state, _places(g.graph, labels), groups, np.full(groups.max() + 1, -1))
        g.follow_merges()


def may_merge(g: RunningGraph, contacts: Ints) -> Bools:
    """Tell of each contact whether constraints allow to merge its regions, shape (B,)."""
    out = np.empty(len(contacts), dtype=np.bool_)
    find_mergeable(g.state, contacts, out)
    return out


def check_merge(g: RunningGraph, n1: int, n2: int) -> None:
    """Raise ConstraintError, with the superpixels, if constraints keep two regions apart; they need not touch."""
    u, v = g.region_of(n1), g.region_of(n2)
    contact = find_contact(g.state, u, v)
    if not (contact >= 0 and g.state.frozen_contact[contact]) and may_share(g.state, u, v):
        return
    labels = g.graph.labels[np.concatenate([g.leaves_of(n1), g.leaves_of(n2)])]
    against = listed(g.constraints.violations(labels, np.zeros(len(labels), dtype=np.int64)))
    raise ConstraintError(f"regions {n1} and {n2} may not merge: superpixels {against} must stay apart.")


def _constrained(state: State, graph: RegionGraph, constraints: Constraints) -> State:
    """Return the state as it is under constraints; what must link is not merged yet."""
    pairs = _places(graph, constraints.cannot_link)
    edges, keys = pack(graph.edges), pack(pairs)
    contacts = np.searchsorted(edges, keys)
    touching = np.append(edges, -1)[contacts] == keys
    frozen_contact = np.zeros(len(edges), dtype=np.bool_)
    frozen_contact[contacts[touching]] = True
    return state._replace(
        classes=_masks(state, graph, constraints),
        frozen_contact=frozen_contact,
        exclusions=_marks(graph, constraints, pairs[~touching]),
    )


def _masks(state: State, graph: RegionGraph, constraints: Constraints) -> Array:
    """Return the classes that each region has and refuses, as bits, shape (N, 2)."""
    bits = np.uint64(1) << np.arange(len(constraints.compatible), dtype=np.uint64)
    bits[0] = 0  # the class that is unknown
    refused = np.array([np.bitwise_or.reduce(bits[~row]) for row in constraints.compatible], dtype=np.uint64)
    masks: Array = state.classes.copy()
    number = constraints.classes[:, 1].astype(np.int64)
    masks[_places(graph, constraints.classes[:, 0])] |= np.column_stack([bits[number], refused[number]])
    masks[_places(graph, constraints.frozen)] |= np.array([FROZEN, ~np.uint64(0)])
    return masks


def _marks(graph: RegionGraph, constraints: Constraints, apart: Ints) -> Bags:
    """Return the marks of exclusions that each region has, and one more for each pair of regions in `apart`."""
    regions = np.concatenate([_places(graph, constraints.exclusions[:, 0]), apart.ravel()])
    marks = np.concatenate([constraints.exclusions[:, 1].astype(np.int64), np.repeat(-1 - np.arange(len(apart)), 2)])
    order = np.lexsort((marks, regions))
    return bags_of(graph.n_regions, regions[order], marks[order], np.ones(len(order)))


def _places(graph: RegionGraph, labels: Labels) -> Ints:
    """Return the positions of labels that are there."""
    return np.searchsorted(graph.labels.astype(np.uint64), labels)
