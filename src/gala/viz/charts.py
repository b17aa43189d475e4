"""Charts of an evaluation: curves along merge trees, what is to blame, and whether probabilities come true."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from gala._types import Floats
from gala.classify.calibration import Reliability
from gala.errors import SettingError
from gala.graph.tree import check_threshold

_hues = mpl.colormaps["tab10"].colors  # type: ignore[attr-defined]  # a list of colours has them


class VICurve(Protocol):
    """False merges and splits at R cuts of a merge tree, from the finest; `gala.evaluate.curve` gives one."""

    @property
    def threshold(self) -> Floats:
        """Thresholds, shape (R,), increasing."""

    @property
    def vi_merges(self) -> Floats:
        """H(truth | seg) in bits, shape (R,)."""

    @property
    def vi_splits(self) -> Floats:
        """H(seg | truth) in bits, shape (R,)."""


def draw_curves(curves: Mapping[str, VICurve], *, chosen: Mapping[str, float] | None = None) -> Figure:
    """Draw false splits against false merges, along one merge tree or several.

    Parameters
    ----------
    curves : mapping from str to VICurve
        What `gala.evaluate.curve` gives for each tree, by title; or anything with its threshold, vi_merges and
        vi_splits.
    chosen : mapping from str to float, optional
        The thresholds that were chosen, by title.

    Returns
    -------
    figure : matplotlib.figure.Figure
        A line for each tree, with a star where the sum of both is lowest, and a ring at the cut that was chosen. All
        points on a grey line have one sum.

    Raises
    ------
    SettingError
        If there is no curve, or a threshold was chosen on one that is not there or is NaN.

    Examples
    --------
    >>> from gala.evaluate import curve
    >>> from gala.graph.tree import MergeTree
    >>> tree = MergeTree(3, np.array([[0, 1], [2, 3]]), np.array([0.25, 0.5]))
    >>> figure = draw_curves({"mean": curve(tree, [1, 2, 3, 3], [7, 7, 8, 8])}, chosen={"mean": 0.6})
    >>> [text.get_text() for text in figure.axes[0].get_legend().get_texts()]
    ['mean', 'best: VI 0.000 at 0.25', 'chosen: VI 1.000 at 0.6']
    """
    if not curves:
        raise SettingError("there must be at least one curve to draw; got none.")
    chosen = {title: check_threshold(threshold) for title, threshold in (chosen or {}).items()}
    if unknown := sorted(chosen.keys() - curves.keys()):
        raise SettingError(f"a threshold was chosen on {unknown[0]!r}, but the curves are {', '.join(curves)}.")
    figure, axis = _new((5.6, 4.6))
    for hue, (title, curve) in zip(_hues * len(curves), curves.items(), strict=False):
        axis.plot(curve.vi_merges, curve.vi_splits, color=hue, label=title, zorder=2)
        best = int((curve.vi_merges + curve.vi_splits).argmin())
        _mark(axis, curve, best, f"best: {{}} at {curve.threshold[best]:.4g}", marker="*", s=160, color=hue)
        if title in chosen:
            cut = int(np.searchsorted(curve.threshold, chosen[title], side="right")) - 1
            look: dict[str, Any] = {"marker": "o", "s": 90, "facecolor": "none", "edgecolor": hue, "linewidth": 1.5}
            _mark(axis, curve, max(cut, 0), f"chosen: {{}} at {chosen[title]:.4g}", **look)
    _draw_sums(axis, max(_extent(curve) for curve in curves.values()) or 1.0)
    axis.set(xlabel="false merges, H(truth | seg), in bits", ylabel="false splits, H(seg | truth), in bits")
    axis.legend(frameon=False, fontsize=9)
    return figure


def draw_breakdown(breakdowns: Mapping[str, Mapping[str, float]], *, unit: str = "bits") -> Figure:
    """Draw how much of the error each step is to blame for, one bar for each segmentation.

    Parameters
    ----------
    breakdowns : mapping from str to mapping from str to float
        By title, the error that each step adds: superpixels, policy and threshold, say. A negative one takes some
        away: its piece, hatched and thin, goes back over the others.
    unit : str, optional
        Of the error.

    Returns
    -------
    figure : matplotlib.figure.Figure
        Bars of one piece for each step, which end at the sum of all.

    Raises
    ------
    SettingError
        If there is no breakdown, or one has other steps than the first.

    Examples
    --------
    >>> figure = draw_breakdown({"mean": {"superpixels": 0.25, "policy": 0.5, "threshold": 0.125}})
    >>> [float(bar.get_width()) for bar in figure.axes[0].patches]
    [0.25, 0.5, 0.125]
    """
    steps = list(next(iter(breakdowns.values()), ()))
    if not steps or any(list(parts) != steps for parts in breakdowns.values()):
        got = "; ".join(f"{title}: {', '.join(parts)}" for title, parts in breakdowns.items())
        raise SettingError(f"all breakdowns must have the same steps, one or more; got {got or 'none'}.")
    figure, axis = _new((6.4, 1.5 + 0.5 * len(breakdowns)))
    sizes = np.array([[parts[step] for step in steps] for parts in breakdowns.values()], dtype=float)
    ends = sizes.cumsum(axis=1)
    rows = np.arange(len(sizes))
    for k, step in enumerate(steps):
        bars = axis.barh(rows, sizes[:, k], left=ends[:, k] - sizes[:, k], color=_hues[k % 10], label=step, height=0.6)
        for bar, size in zip(bars, sizes[:, k], strict=True):
            if size < 0:
                bar.set(hatch="///", edgecolor="white", zorder=3, height=0.3, y=bar.get_y() + 0.15)
    for row, total in zip(rows, ends[:, -1], strict=True):
        axis.annotate(f" {total:.3f}", (ends[row].max(), row), va="center", fontsize=9)
    axis.set_yticks(rows, list(breakdowns))
    axis.invert_yaxis()
    axis.set(xlabel=f"error, in {unit}")
    axis.margins(x=0.12)
    figure.legend(loc="outside upper center", ncols=len(steps), frameon=False, fontsize=9)
    return figure


def draw_reliability(found: Mapping[str, Reliability]) -> Figure:
    """Draw what came true against what was predicted, and how many predictions there were.

    Parameters
    ----------
    found : mapping from str to Reliability
        By title, what `gala.classify.reliability` gives.

    Returns
    -------
    figure : matplotlib.figure.Figure
        Lines that follow the diagonal if the probabilities are calibrated; and below, the number of predictions at
        each point, on a logarithmic scale.

    Raises
    ------
    SettingError
        If there is nothing to draw.

    Examples
    --------
    >>> from gala.classify import reliability
    >>> figure = draw_reliability({"forest": reliability([0.0, 0.0, 1.0, 1.0], [0, 0, 1, 1])})
    >>> [text.get_text() for text in figure.legends[0].get_texts()]
    ['forest: Brier score 0.000, calibration error 0.000']
    """
    if not found:
        raise SettingError("there must be at least one reliability to draw; got none.")
    figure = Figure((5.6, 5.4), layout="constrained")
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=[3, 1])
    above.plot([0, 1], [0, 1], color="0.7", linewidth=1)
    for hue, (title, one) in zip(_hues * len(found), found.items(), strict=False):
        label = f"{title}: Brier score {one.brier_score:.3f}, calibration error {one.error:.3f}"
        above.plot(one.predicted, one.observed, "o-", color=hue, markersize=4, label=label)
        below.plot(one.predicted, one.counts, "o-", color=hue, markersize=4)
    above.set(ylabel="share that came true", xlim=(-0.02, 1.02), ylim=(-0.02, 1.02))
    figure.legend(loc="outside upper center", frameon=False, fontsize=9)
    below.set(xlabel="predicted probability", ylabel="predictions", yscale="log")
    below.set_ylim(bottom=0.8)
    for axis in (above, below):
        _lighten(axis)
    return figure


def _new(size: tuple[float, float]) -> tuple[Figure, Any]:
    figure = Figure(size, layout="constrained")
    axis = figure.subplots()
    _lighten(axis)
    return figure, axis


def _lighten(axis: Any) -> None:
    axis.spines[["top", "right"]].set_visible(False)


def _extent(curve: VICurve) -> float:
    """Return how far to draw: to the finest cut, and well past the best; not to where all is one segment."""
    best = float((curve.vi_merges + curve.vi_splits).min())
    return max(float(curve.vi_splits.max()), 2 * best)


def _mark(axis: Any, curve: VICurve, cut: int, label: str, **look: Any) -> None:
    """Mark a cut; the label gets its VI."""
    merges, splits = curve.vi_merges[cut], curve.vi_splits[cut]
    axis.scatter(merges, splits, label=label.format(f"VI {merges + splits:.3f}"), zorder=3, **look)


def _draw_sums(axis: Any, largest: float) -> None:
    """Draw lines of equal sums below a curve that ends at `largest`, and let both axes begin at 0."""
    for level in MaxNLocator(8, steps=[1, 2, 5, 10]).tick_values(0, 2 * largest):
        if level > 0:
            axis.plot([0, level], [level, 0], color="0.88", linewidth=0.8, zorder=1)
    axis.set(xlim=(-0.02 * largest, 1.05 * largest), ylim=(-0.02 * largest, 1.05 * largest))
