"""Combinations of feature managers that have proved their worth."""

from __future__ import annotations

from collections.abc import Sequence

from gala.features import axes, contact, graph, histogram, moments
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


def modern(images: str | Sequence[str] = ()) -> Composite:
    """Return what did best in a comparison: `basic`, moments axis by axis, and what other images show.

    Parameters
    ----------
    images : str or sequence of str, optional
        The names of extra images, scaled to 0 to 1, such as the raw data beside a boundary map; of each, moments and
        histograms of 8 bins.

    Notes
    -----
    The experiment is on the page docs/features/modern.md.

    Examples
    --------
    >>> from gala.features.program import output_names
    >>> from gala.graph.caches import Channels, ImageKind
    >>> len(output_names(modern(), ImageKind.unit(Channels.all_plain(1), ndim=3)))
    42
    >>> modern("raw").write_fm()["feature_list"]
    ['moments', 'histogram', 'axes', 'moments#2', 'histogram#2']
    """
    names = [images] if isinstance(images, str) else images
    of_images = [kind for name in names for kind in (moments.Manager(image=name), histogram.Manager(8, image=name))]
    return Composite(children=[*basic().children, axes.Manager(), *of_images])


def thorough(images: str | Sequence[str] = ()) -> Composite:
    """Return `modern` and the shares of contacts above thresholds: what the default recipe learns from.

    Parameters
    ----------
    images : str or sequence of str, optional
        As for `modern`.

    Notes
    -----
    Each contact is described once, before merges, so that more features cost little. The experiment is on the page
    docs/learning.md.

    Examples
    --------
    >>> thorough().write_fm()["feature_list"]
    ['moments', 'histogram', 'axes', 'contact']
    """
    return Composite([*modern(images).children, contact.Manager()])
