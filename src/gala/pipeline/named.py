"""Hand-made policies by name, ``mean`` or ``quantile:0.85``, and the way from a boundary map to their merge trees."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from gala._types import Array, ArrayLike, Labels
from gala.engine.agglomerate import agglomerate
from gala.engine.policy import (
    Policy,
    boundary_max,
    boundary_mean,
    boundary_mean_plus_sem,
    boundary_median,
    boundary_min,
    boundary_quantile,
    boundary_sum,
)
from gala.errors import PolicyError
from gala.graph.affinities import as_affinities, scaled
from gala.graph.affinity_graph import LiftedEdges, build_affinity_graph
from gala.graph.regions import RegionGraph
from gala.graph.tree import MergeTree
from gala.morpho.oversegmentation import superpixels
from gala.pipeline.graphs import check_boundary, graph_of, with_superpixels
from gala.pipeline.inputs import given_volume

_plain: dict[str, Policy] = {
    "mean": boundary_mean,
    "median": boundary_median,
    "min": boundary_min,
    "max": boundary_max,
    "sum": boundary_sum,
}
_with_number: dict[str, Callable[[float], Policy]] = {
    "quantile": boundary_quantile,
    "mean-sem": lambda alpha: boundary_mean_plus_sem(alpha=alpha),
}
POLICY_NAMES = (*_plain, *(f"{name}:NUMBER" for name in _with_number))


_learned = "learned:"


def learned_file(name: str) -> Path | None:
    """Return the file of the segmenter that a name means, or None if it is that of a policy made by hand.

    Examples
    --------
    >>> learned_file("learned:a.npz").name, learned_file("mean")
    ('a.npz', None)
    """
    return Path(name.removeprefix(_learned)) if name.startswith(_learned) else None


def in_distances(name: str, convention: str) -> str:
    """Return the name of a policy as boundaries have it: low quantiles of affinities are high ones of boundaries.

    Examples
    --------
    >>> in_distances("quantile:0.25", "affinity"), in_distances("quantile:0.25", "distance")
    ('quantile:0.75', 'quantile:0.25')
    """
    kind, _, number = name.partition(":")
    if kind != "quantile" or convention == "distance":
        return name
    try:
        return f"{kind}:{1 - float(number):g}"
    except ValueError:
        return name  # which is refused by its name


def named_policy(name: str) -> Policy:
    """Return the hand-made policy of this name.

    Parameters
    ----------
    name : str
        ``mean``, ``median``, ``min``, ``max`` or ``sum`` of the boundary map along a contact; ``quantile:Q`` with Q
        from 0 to 1; ``mean-sem:A``, the mean and A times its standard error.

    Raises
    ------
    PolicyError
        If there is no such policy, or its number is wrong.

    Examples
    --------
    >>> named_policy("quantile:0.85")
    <policy boundary_quantile(0.85, nbins=256, channel=0)>
    """
    kind, colon, number = name.partition(":")
    if not colon and kind in _plain:
        return _plain[kind]
    if kind in _with_number:
        try:
            return _with_number[kind](float(number))
        except ValueError as error:
            raise PolicyError(f"policy {name!r} needs a number after the colon, as in {kind}:0.75; {error}") from error
    raise PolicyError(f"policy must be one of {', '.join(POLICY_NAMES)} or learned:MODEL; got {name!r}.")


@dataclass(frozen=True, slots=True)
class HandMade:
    """A policy that has learned nothing, with the methods of `Segmenter` that segment.

    Parameters
    ----------
    policy : Policy
        Looks at the first channel of the image, the boundary map.
    spacing : sequence of float, optional
        Size of a voxel along each axis, in physical units. By default 1.
    n_threads : int, optional
        By default the environment variable GALA_NUM_THREADS, or else the number of cores.
    ndim : int, optional
        Axes of an image, channels aside. By default as many as superpixels or a mask have, or, without, all of them.

    Examples
    --------
    >>> import numpy as np
    >>> boundary = np.array([[0, 0.1, 0.9, 0.2, 0, 0.1]])
    >>> HandMade(boundary_mean).merge_tree(boundary, [[1, 1, 1, 2, 2, 2]]).priority
    array([0.55])
    """

    policy: Policy
    spacing: Sequence[float] | None = None
    n_threads: int | None = None
    ndim: int | None = None
    threshold_: float = 0.5  # where to cut unless told otherwise

    def make_superpixels(self, image: ArrayLike, *, mask: ArrayLike | None = None) -> Labels:
        """Return the superpixels of an image; see `Segmenter.make_superpixels`."""
        volume = with_superpixels(given_volume(image, mask=mask, ndim=self.ndim), spacing=self.spacing)
        assert volume.superpixels is not None  # they were just made
        return volume.superpixels

    def graph(
        self, image: ArrayLike, superpixels: ArrayLike, *, mask: ArrayLike | None = None
    ) -> tuple[RegionGraph, LiftedEdges | None]:
        """Return the graph of an image, with what the policy needs; it has no lifted edges. Warn if it is inverted."""
        volume = given_volume(image, superpixels=superpixels, mask=mask)
        assert volume.superpixels is not None  # they are given
        check_boundary(volume, volume.superpixels)
        return graph_of(volume, self.policy.needs, spacing=self.spacing, n_threads=self.n_threads).graph, None

    def merge_tree(self, image: ArrayLike, superpixels: ArrayLike, *, mask: ArrayLike | None = None) -> MergeTree:
        """Return every segmentation of an image; see `Segmenter.merge_tree`."""
        graph, _ = self.graph(image, superpixels, mask=mask)
        return agglomerate(graph, self.policy, n_threads=self.n_threads)


@dataclass(frozen=True, slots=True)
class FromAffinities(HandMade):
    """The same of affinities: an image is channels first, of these steps.

    Parameters
    ----------
    offsets : sequence of K steps
        In voxels along each axis.
    polarity : {"attractive", "repulsive"}
        Whether 1 is together, or apart.

    Examples
    --------
    >>> import numpy as np
    >>> affinities = np.array([[[0, 1, 1, 0.25, 1, 1]], [[0, 0, 0, 0, 0, 0]]])
    >>> way = FromAffinities(boundary_mean, offsets=[(0, -1), (-1, 0)])
    >>> way.merge_tree(affinities, [[1, 1, 1, 2, 2, 2]]).priority
    array([0.75])
    """

    offsets: Sequence[Sequence[int]] = ()
    polarity: str = "attractive"

    def make_superpixels(self, image: ArrayLike, *, mask: ArrayLike | None = None) -> Labels:
        """Return the superpixels of affinities."""
        options: dict[str, Any] = {"offsets": self.offsets, "polarity": self.polarity}
        return superpixels(image, method="affinities", spacing=self.spacing, mask=mask, **options)

    def graph(
        self, image: ArrayLike, superpixels: ArrayLike, *, mask: ArrayLike | None = None
    ) -> tuple[RegionGraph, LiftedEdges | None]:
        """Return the graph of affinities, and its lifted edges if there are long steps."""
        graph, lifted = build_affinity_graph(
            superpixels,
            image,
            self.policy.needs,
            offsets=self.offsets,
            polarity=self.polarity,
            spacing=self.spacing,
            mask=mask,
            n_threads=self.n_threads,
        )
        return graph, lifted if len(lifted.edges) else None


def affinity_maps(affinities: ArrayLike, offsets: Sequence[Sequence[int]], *, polarity: str = "attractive") -> Array:
    """Return what a `Segmenter` reads in affinities: a map of boundaries, and one minus each channel.

    Parameters
    ----------
    affinities : array, shape (K, M, ..., P)
        Scaled as for `gala.build_affinity_graph`.
    offsets : sequence of K steps
        In voxels along each axis.
    polarity : {"attractive", "repulsive"}
        Whether 1 is together, or apart.

    Returns
    -------
    maps : array of float32, shape (M, ..., P, 1 + K)
        First the mean over steps of one voxel.

    Examples
    --------
    >>> import numpy as np
    >>> affinity_maps(np.array([[1, 0.25, 1]]), [[-1]])[:, 0]
    array([0.  , 0.75, 0.  ], dtype=float32)
    """
    known = as_affinities(affinities, offsets, polarity)
    maps = np.empty((*known.shape, 1 + len(known.values)), dtype=np.float32)
    averaged = known.is_local if known.is_local.any() else np.ones(len(known.values), dtype=np.bool_)
    total = np.zeros(known.shape, dtype=np.float32)
    for k, channel in enumerate(known.values):  # one at a time, for memory
        values = scaled(channel).astype(np.float32, copy=False)
        maps[..., 1 + k] = values if polarity == "repulsive" else 1 - values
        if averaged[k]:
            total += maps[..., 1 + k]
    maps[..., 0] = total / np.float32(averaged.sum())
    return maps
