"""Policies of what may merge when: ladders, and orders that are given or random."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from gala._kernels.jit import row_kernel
from gala._types import Array, Floats
from gala.engine.policy.base import FunctionPolicy, PairPolicy, Policy, as_policy
from gala.engine.policy.contacts import boundary_mean
from gala.engine.policy.rows import RowPolicy
from gala.errors import SettingError
from gala.features.base import Null

if TYPE_CHECKING:
    from gala.engine.running import RunningGraph


@row_kernel
def _climb(params: Floats, u: Floats, v: Floats, edge: Floats, out: Floats) -> None:
    """Write infinity where the regions are on no ladder."""
    border, threshold, strictness = int(params[0]), params[1], params[2]
    u_is_small, v_is_small = u[0] < threshold, v[0] < threshold
    allowed = u_is_small or v_is_small
    if strictness >= 1.0:
        allowed = (u_is_small and u[border] == 0.0) or (v_is_small and v[border] == 0.0)
    if strictness >= 2.0:
        allowed = allowed and u_is_small != v_is_small
    if strictness >= 3.0:
        allowed = allowed and edge[0] > 2.0
    if not allowed:
        out[0] = np.inf


def make_ladder(priority_function: Policy | Callable[..., Any], threshold: float, strictness: int = 1) -> RowPolicy:
    """Return the policy that merges small regions only, in the order of another policy.

    Parameters
    ----------
    priority_function : policy or function
        Gives the priority where a merge is allowed; elsewhere it is infinite.
    threshold : float
        Regions of fewer voxels are small.
    strictness : {0, 1, 2, 3}, optional
        What is asked: 0, that one of the regions is small; 1, also that it is not at the border of the volume; 2, also
        that the other is not small; 3, also that their contact has more than 2 voxels.

    Raises
    ------
    SettingError
        If `threshold` is NaN, or `strictness` is none of these.

    Examples
    --------
    >>> make_ladder(boundary_mean, 100)
    <policy make_ladder(100, strictness=1) after <policy boundary_mean>>
    """
    try:
        limit = float(threshold)
    except (TypeError, ValueError):
        limit = np.nan
    if np.isnan(limit):
        raise SettingError(f"threshold must be a number of voxels; got {threshold!r}.")
    if strictness not in (0, 1, 2, 3):
        raise SettingError(f"strictness must be 0, 1, 2 or 3; got {strictness!r}.")
    name = f"make_ladder({threshold}, strictness={strictness})"
    numbers = limit, float(strictness)
    return RowPolicy(name, _climb, Null(), ("border",), numbers=numbers, after=as_policy(priority_function))


def boundary_mean_ladder(threshold: float, strictness: int = 1) -> RowPolicy:
    """Return the policy that merges small regions only, in the order of the boundary mean; see `make_ladder`."""
    return make_ladder(boundary_mean, threshold, strictness)


def ordered_priority(edges: Sequence[Sequence[int]]) -> PairPolicy:
    """Return the policy that merges `edges`, pairs of regions, in the order given, and nothing else."""
    n = len(edges)
    place = {frozenset((int(u), int(v))): i / n for i, (u, v) in enumerate(edges)}

    def priority(g: RunningGraph, u: int, v: int) -> float:
        return place.get(frozenset((u, v)), np.inf)

    return PairPolicy(priority)


def _random(g: RunningGraph, edges: Array) -> Floats:
    """Return random priorities, uniform in [0, 1), drawn from the generator of the graph."""
    return g.random.random(len(edges))


random_priority = FunctionPolicy(_random, "random_priority")
