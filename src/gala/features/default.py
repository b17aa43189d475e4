"""Combinations of feature managers that have proved their worth."""

from __future__ import annotations

from gala.features import contact, graph, histogram, moments
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


def paper_em() -> Composite:
    """Return what the paper segmented electron microscopy with: moments, histograms of 25 bins, and degrees.

    References
    ----------
    Nunez-Iglesias et al. 2013, Machine learning of hierarchical clustering to segment 2D and 3D images,
    doi:10.1371/journal.pone.0071715.

    Examples
    --------
    >>> from gala.features.program import output_names
    >>> from gala.graph.caches import Channels, ImageKind
    >>> len(output_names(paper_em(), ImageKind.unit(Channels.all_plain(1), ndim=3)))
    112
    """
    return Composite(
        children=[moments.Manager(), histogram.Manager(25, 0, 1, compute_percentiles=[0.1, 0.5, 0.9]), graph.Manager()]
    )


def snemi3d() -> Composite:
    """Return `paper_em` and the shares of contacts above thresholds, as used in the SNEMI3D challenge.

    References
    ----------
    Nunez-Iglesias et al. 2014, Graph-based active learning of agglomeration (GALA), doi:10.3389/fninf.2014.00034.

    Examples
    --------
    >>> from gala.features.program import output_names
    >>> from gala.graph.caches import Channels, ImageKind
    >>> len(output_names(snemi3d(), ImageKind.unit(Channels.all_plain(1), ndim=3)))
    140
    """
    return Composite(children=[*paper_em().children, contact.Manager()])
