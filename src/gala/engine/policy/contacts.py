"""Policies of the image in a contact: its mean, median, quantiles, lowest and highest value, sum."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from gala._kernels.jit import row_kernel
from gala._types import Array, Floats
from gala.engine.policy.base import FunctionPolicy
from gala.engine.policy.rows import RowPolicy, adjustable
from gala.errors import SettingError
from gala.features import extrema, histogram, moments
from gala.features.declared import OfContacts
from gala.features.histogram import n_counted, parameters_of_bins, percentile
from gala.features.options import channel_number, finite_number

if TYPE_CHECKING:
    from gala.engine.running import RunningGraph


@row_kernel
def _write_column(params: Floats, u: Floats, v: Floats, edge: Floats, out: Floats) -> None:
    """Write a column of the contact."""
    out[0] = edge[int(params[0])]


@row_kernel
def _write_mean(params: Floats, u: Floats, v: Floats, edge: Floats, out: Floats) -> None:
    """Write sum over count."""
    out[0] = edge[int(params[1])] / edge[int(params[0])]


@row_kernel
def _write_mean_plus_sem(params: Floats, u: Floats, v: Floats, edge: Floats, out: Floats) -> None:
    """Write the mean plus a multiple, ``params[3]``, of the standard error of the mean."""
    n, total, squares = edge[int(params[0])], edge[int(params[1])], edge[int(params[2])]
    mean = total / n
    variance = max(squares - mean * total, 0.0) / max(n - 1.0, 1.0)
    out[0] = mean + params[3] * math.sqrt(variance / n)


@row_kernel
def _write_quantile(params: Floats, u: Floats, v: Floats, edge: Floats, out: Floats) -> None:
    """Write a quantile of the histogram that starts at column ``params[0]``."""
    out[0] = percentile(params[1:], edge, int(params[0]), params[-1])


@row_kernel
def _write_middle(params: Floats, u: Floats, v: Floats, edge: Floats, out: Floats) -> None:
    """Write the middle of the bin that holds a quantile: of ``params[1]`` bins from ``params[2]`` on."""
    first, n_bins = int(params[0]), int(params[1])
    rank = params[4] * n_counted(edge, first, n_bins) * (1 - 1e-12)  # 0.15 of 20 is 3, not a little more
    below, b = edge[first], 0
    while b < n_bins - 1 and (below < rank or below == 0.0):
        b += 1
        below += edge[first + b]
    out[0] = params[2] + (b + 0.5) * params[3] if below > 0.0 else params[2]


def _boundary_mean(channel: int = 0) -> RowPolicy:
    """Give the mean of a channel over the contact. Setting: channel."""
    needs = OfContacts(moments.Manager(nmoments=1, use_diff_features=False))
    return RowPolicy("", _write_mean, needs, ("p0", f"p1[{channel_number(channel)}]"), linkage="mean")


def _oriented_boundary_mean() -> RowPolicy:
    """Give the mean over the contact of the channel that the orientation map names for each voxel."""
    needs = OfContacts(moments.Manager(nmoments=1, use_diff_features=False, oriented=True))
    return RowPolicy("", _write_mean, needs, ("oriented.p0", "oriented.p1"), linkage="mean")


def _boundary_mean_plus_sem(alpha: float = -6, channel: int = 0) -> RowPolicy:
    """Give the mean of a channel over the contact plus `alpha` standard errors. Settings: alpha, channel.

    The standard error is that of the mean, from the unbiased variance of the contact's voxels. With `alpha` below 0,
    large contacts that are surely weak come before small ones that may be.
    """
    needs = OfContacts(moments.Manager(nmoments=2, use_diff_features=False))
    c = channel_number(channel)
    numbers = (finite_number(alpha, "alpha"),)
    return RowPolicy("", _write_mean_plus_sem, needs, ("p0", f"p1[{c}]", f"p2[{c}]"), numbers=numbers)


def _boundary_sum(channel: int = 0) -> RowPolicy:
    """Give the sum of a channel over the contact. Setting: channel."""
    needs = OfContacts(moments.Manager(nmoments=1, use_diff_features=False))
    return RowPolicy("", _write_column, needs, (f"p1[{channel_number(channel)}]",))


def _boundary_min(channel: int = 0) -> RowPolicy:
    """Give the lowest value of a channel in the contact. Setting: channel."""
    return RowPolicy(
        "", _write_column, OfContacts(extrema.Manager()), (f"min[{channel_number(channel)}]",), linkage="min"
    )


def _boundary_max(channel: int = 0) -> RowPolicy:
    """Give the highest value of a channel in the contact. Setting: channel."""
    return RowPolicy(
        "", _write_column, OfContacts(extrema.Manager()), (f"max[{channel_number(channel)}]",), linkage="max"
    )


def boundary_quantile(
    q: float,
    nbins: int = 256,
    minval: float = 0.0,
    maxval: float = 1.0,
    channel: int = 0,
    *,
    within: str = "linear",
) -> RowPolicy:
    """Return the policy that gives a quantile of the contact, from its histogram.

    Parameters
    ----------
    q : float
        From 0 to 1; 0.5 is the median.
    nbins : int, optional
        Bins of the histogram: the result is off by one bin at most, for values in the range.
    minval, maxval : float, optional
        The range of values; others do not count.
    channel : int, optional
        Of the image.
    within : {"linear", "middle"}, optional
        Where in its bin the quantile is: interpolated, or in the middle, as waterz has it.

    Raises
    ------
    SettingError
        If `q`, `channel`, `within` or the bins are out of range.

    Notes
    -----
    Interpolated as the percentiles of `gala.features.histogram` are. The graph keeps `nbins` numbers for each contact
    and channel.

    Examples
    --------
    >>> boundary_quantile(0.9)
    <policy boundary_quantile(0.9, nbins=256, channel=0)>
    """
    fraction = finite_number(q, "q")
    if not 0 <= fraction <= 1:
        raise SettingError(f"q must be from 0 to 1, as 0.5 for the median; got {q!r}.")
    histograms = histogram.Manager(nbins, minval, maxval)
    needs = OfContacts(histograms)
    first = f"histogram({histograms.nbins},{histograms.minval},{histograms.maxval})[{channel_number(channel)}][0]"
    name = f"boundary_quantile({q}, nbins={nbins}, channel={channel})"
    if within == "middle":
        width = (histograms.maxval - histograms.minval) / histograms.nbins
        numbers = (histograms.nbins, histograms.minval, width, fraction)
        return RowPolicy(f"{name[:-1]}, within='middle')", _write_middle, needs, (first,), numbers=numbers)
    if within != "linear":
        raise SettingError(f"within must be 'linear' or 'middle'; got {within!r}.")
    bins = parameters_of_bins(histograms.nbins, histograms.minval, histograms.maxval, [fraction])
    return RowPolicy(name, _write_quantile, needs, (first,), numbers=bins.tolist())


def _median(g: RunningGraph, edges: Array) -> Floats:
    """Return the median of channel 0 over each contact."""
    return np.array([np.median(g.probabilities_r[g.boundary(u, v), 0].astype(np.float64)) for u, v in edges.tolist()])


boundary_mean = adjustable("boundary_mean", _boundary_mean)
approximate_boundary_mean = boundary_mean  # the historic one read sums instead of voxels, as ours always does
oriented_boundary_mean = adjustable("oriented_boundary_mean", _oriented_boundary_mean)
boundary_mean_plus_sem = adjustable("boundary_mean_plus_sem", _boundary_mean_plus_sem)
boundary_sum = adjustable("boundary_sum", _boundary_sum)
boundary_min = adjustable("boundary_min", _boundary_min)
boundary_max = adjustable("boundary_max", _boundary_max)
boundary_median = FunctionPolicy(_median, "boundary_median")
