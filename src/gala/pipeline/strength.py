"""How strong a boundary map is in contacts, and what to do with one clearly weaker than all that were learned from."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import NamedTuple, Self

import numpy as np

from gala._types import Array
from gala.errors import GalaWarning
from gala.graph.regions import RegionGraph

_share = 0.95  # of contacts: the others are surely boundaries, however few there are
_near = 0.93  # of the typical strength is no matter, even if all that was learned from is stronger
_most = 4.0  # is the largest gain


class Strengths(NamedTuple):
    """What was learned from: the weakest map, copies included, and the typical one, of those that are no copies."""

    weakest: float
    typical: float

    @classmethod
    def of(cls, own: Sequence[float | None], all_: Sequence[float | None]) -> Self | None:
        """Return those of maps that are no copies, and of all; None if nothing is known of one."""
        known, of_all = ([one for one in some if one is not None] for some in (own, all_))
        return cls(min(of_all), float(np.median(known))) if len(of_all) == len(all_) else None

    def gain(self, found: float | None) -> float:
        """Return what brings a map of strength `found` to the typical one if it is too weak, at most 4; or else 1.

        It has three digits behind the point: blocks, whose sums differ by rounding, give the same.

        Examples
        --------
        >>> learned = Strengths(0.75, 0.875)
        >>> learned.gain(0.4375), learned.gain(0.8), learned.gain(0.0), learned.gain(None)
        (2.0, 1.0, 4.0, 1.0)
        """
        if found is None or found >= min(self.weakest, _near * self.typical):
            return 1.0
        return round(min(self.typical / found, _most), 3) if found > 0 else _most


def strength(graph: RegionGraph) -> float | None:
    """Return the mean of the map along a contact that only one in twenty contacts exceeds.

    Quantiles nearer to the middle tell more of how many contacts are boundaries than of how the map shows one.

    Parameters
    ----------
    graph : RegionGraph
        One of a map that is 0 or more.

    Returns
    -------
    strength : float or None
        None if the graph has no contact, or does not keep the mean of the first channel.
    """
    names = graph.contact_spec.names
    if not len(graph.edges) or not {"p0", "p1[0]"} <= set(names):
        return None
    count, total = (graph.contact_cache[:, names.index(name)] for name in ("p0", "p1[0]"))
    return float(np.quantile(total / count, _share))


def raised(image: Array, gain: float) -> Array:
    """Return a map of values up to 1 times `gain`, and nowhere above 1.

    Examples
    --------
    >>> raised(np.array([[0.25], [0.75]]), 2.0)[:, 0]
    array([0.5, 1. ])
    """
    out: Array = np.minimum(image * image.dtype.type(gain), image.dtype.type(1))
    return out


def warn_of_gain(gain: float) -> None:
    """Warn that a map is raised."""
    warnings.warn(
        f"the boundary map is clearly weaker in contacts than every map that was learned from; it is multiplied by "
        f"{gain:g} before merging.",
        GalaWarning,
        stacklevel=4,
    )
