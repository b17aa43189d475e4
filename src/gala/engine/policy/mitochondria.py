"""Mitochondria: regions in which a channel of the image, such as a mitochondrion probability, is high.

What a region is, is asked of the region as it is, from its cache row: one that is made of two that are no mitochondria
is none either.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from gala._kernels.jit import inlined, row_kernel
from gala._types import Floats, Ints
from gala.engine.policy.base import Policy, as_policy
from gala.engine.policy.rows import RowPolicy
from gala.engine.state import row_of_contact
from gala.errors import SettingError
from gala.features import moments
from gala.features.options import channel_number, finite_number
from gala.graph.caches import CacheSpec

if TYPE_CHECKING:
    from gala.engine.running import RunningGraph


@inlined
def _mean_is_high(params: Floats, first: int, row: Floats) -> bool:
    """Tell whether the mean in one of the columns ``params[first:-1]`` is above the threshold, ``params[-1]``."""
    highest = -np.inf
    for i in range(first, params.size - 1):
        highest = max(highest, row[int(params[i])] / row[0])
    return bool(highest > params[-1])


@row_kernel
def _keep_apart(params: Floats, u: Floats, v: Floats, edge: Floats, out: Floats) -> None:
    """Write infinity if one of the regions is a mitochondrion."""
    if _mean_is_high(params, 0, u) or _mean_is_high(params, 0, v):
        out[0] = np.inf


@row_kernel
def _enter(params: Floats, u: Floats, v: Floats, edge: Floats, out: Floats) -> None:
    """Write the share of the mitochondrion's contacts that are with others, if the other region is no smaller."""
    u_is_mito, v_is_mito = _mean_is_high(params, 1, u), _mean_is_high(params, 1, v)
    out[0] = np.inf
    if u_is_mito and not v_is_mito:
        out[0] = 1.0 - edge[0] / u[int(params[0])]
    if v_is_mito and not u_is_mito and u[0] == v[0]:
        out[0] = 1.0 - edge[0] / v[int(params[0])]


def no_mito_merge(
    priority_function: Policy | Callable[..., Any], channel: int | Sequence[int] = 2, threshold: float = 0.5
) -> RowPolicy:
    """Return the policy that keeps mitochondria apart, and leaves the others to another policy.

    Parameters
    ----------
    priority_function : policy or function
        Gives the priority of regions that are no mitochondria; the others never merge.
    channel, threshold : optional
        What a mitochondrion is; see `is_mito`.

    Raises
    ------
    SettingError
        If `channel` or `threshold` is no number.

    Examples
    --------
    >>> from gala.agglo import Rag, boundary_mean
    >>> image = np.zeros((6, 2))
    >>> image[2:4, 1] = 0.9  # the second region
    >>> g = Rag([1, 1, 2, 2, 3, 3], image, no_mito_merge(boundary_mean, channel=1))
    >>> g.agglomerate()
    >>> g.get_segmentation()
    array([1, 1, 2, 2, 3, 3])
    """
    columns, numbers = _definition(channel, threshold)
    name = f"no_mito_merge(channel={channel}, threshold={threshold})"
    return RowPolicy(name, _keep_apart, _means(), columns, numbers=numbers, after=as_policy(priority_function))


def mito_merge(channel: int | Sequence[int] = 2, threshold: float = 0.5) -> RowPolicy:
    """Return the policy that merges mitochondria into the cells around them, and nothing else.

    The priority of a mitochondrion and a region that is none, and not smaller, is the share of the mitochondrion's
    contacts that are with others: 0 if it lies inside that region. All other priorities are infinite.

    Parameters
    ----------
    channel, threshold : optional
        What a mitochondrion is; see `is_mito`.

    Raises
    ------
    SettingError
        If `channel` or `threshold` is no number.

    Notes
    -----
    Contacts are measured in voxels of both sides; the border of the volume counts as a neighbour, with the
    mitochondrion's voxels there.

    Examples
    --------
    >>> from gala.agglo import Rag
    >>> image = np.zeros((7, 2))
    >>> image[2:4, 1] = 0.9  # the second region
    >>> g = Rag([1, 1, 2, 2, 3, 3, 3], image, mito_merge(channel=1))
    >>> g.edges[1, 2]["weight"], g.edges[2, 3]["weight"]
    (0.5, 0.5)
    """
    columns, numbers = _definition(channel, threshold)
    name = f"mito_merge(channel={channel}, threshold={threshold})"
    return RowPolicy(name, _enter, _means(), ("all contacts", *columns), numbers=numbers)


def is_mito(g: RunningGraph, n: int, channel: int | Sequence[int] = 2, threshold: float = 0.5) -> bool:
    """Tell whether region `n` is a mitochondrion: whether the mean of a channel in it is above a threshold.

    Parameters
    ----------
    g : Rag
        The graph as it is.
    n : int
        A region.
    channel : int or sequence of int, optional
        Of the image, which counts from 0; of several, the one with the highest mean counts. The third, by default.
    threshold : float, optional
        In units of the channel.

    Returns
    -------
    answer : bool

    Raises
    ------
    SettingError
        If the image has no such channel, or `threshold` is no number.

    Notes
    -----
    Reads one row if the graph keeps sums of the channel, as it does for `boundary_mean`, and all voxels of the region
    if not. To freeze mitochondria in a graph: ``Rag(..., isfrozennode=is_mito)``.
    """
    return _is_high(g, g.state.region_rows[g.region_of(n)], lambda: g.extent(n), channel, threshold)


def is_mito_boundary(
    g: RunningGraph, n1: int, n2: int, channel: int | Sequence[int] = 2, threshold: float = 0.5
) -> bool:
    """Tell whether the contact of two regions is one of a mitochondrion: whether the mean of a channel in it is high.

    Parameters
    ----------
    g : Rag
        The graph as it is.
    n1, n2 : int
        Regions that touch.
    channel, threshold : optional
        As for `is_mito`.

    Returns
    -------
    answer : bool

    Raises
    ------
    SettingError
        As `is_mito` does.
    """
    row = row_of_contact(g.state, g.find_contact(n1, n2))
    return _is_high(g, row, lambda: g.boundary(n1, n2), channel, threshold)


def _is_high(
    g: RunningGraph, row: Floats, voxels: Callable[[], Ints], channel: int | Sequence[int], threshold: float
) -> bool:
    names, numbers = _definition(channel, threshold)
    places = [g.graph.region_spec.find(CacheSpec.sums(name)) for name in names]
    if None not in places:
        return bool(_mean_is_high(np.array([*places, *numbers], dtype=np.float64), 0, row))
    image = g.probabilities_r
    channels = _channels(channel)
    if max(channels) >= image.shape[1]:
        raise SettingError(f"channel must be one of the image's {image.shape[1]}, counted from 0; got {channel!r}.")
    return bool(image[voxels()][:, channels].mean(axis=0, dtype=np.float64).max() > numbers[0])


def _definition(channel: int | Sequence[int], threshold: float) -> tuple[tuple[str, ...], tuple[float]]:
    """Return the columns to read, and the threshold."""
    return tuple(f"p1[{c}]" for c in _channels(channel)), (finite_number(threshold, "threshold"),)


def _channels(channel: int | Sequence[int]) -> list[int]:
    channels = [channel_number(c) for c in (channel if isinstance(channel, Sequence) else [channel])]
    if not channels:
        raise SettingError("channel must name at least one channel; got none.")
    return channels


def _means() -> moments.Manager:
    return moments.Manager(nmoments=1, use_diff_features=False)
