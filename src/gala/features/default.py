"""Combinations of feature managers that have proved their worth."""

from __future__ import annotations

from gala.features import histogram, moments
from gala.features.base import Composite


def basic() -> Composite:
    """Return moments and histograms, with their default options.

    Examples
    --------
    >>> from gala.features.program import output_names
    >>> from gala.graph.caches import Channels, ImageKind
    >>> len(output_names(basic(), ImageKind.unit(Channels.all_plain(1), ndim=3)))
    33
    """
    return Composite(children=[moments.Manager(), histogram.Manager()])
