"""Hand-made policies by name, ``mean`` or ``quantile:0.85``, and the way from a boundary map to their merge trees."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from gala._types import ArrayLike, Labels
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
from gala.graph.tree import MergeTree
from gala.pipeline.graphs import graph_of, with_superpixels
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
    threshold_: float = 0.5  # where to cut unless told otherwise

    def make_superpixels(self, image: ArrayLike, *, mask: ArrayLike | None = None, ndim: int | None = None) -> Labels:
        """Return the superpixels of an image; see `Segmenter.make_superpixels`."""
        volume = with_superpixels(given_volume(image, mask=mask, ndim=ndim), spacing=self.spacing)
        assert volume.superpixels is not None  # they were just made
        return volume.superpixels

    def merge_tree(self, image: ArrayLike, superpixels: ArrayLike, *, mask: ArrayLike | None = None) -> MergeTree:
        """Return every segmentation of an image; see `Segmenter.merge_tree`."""
        volume = given_volume(image, superpixels=superpixels, mask=mask)
        graph = graph_of(volume, self.policy.needs, spacing=self.spacing, n_threads=self.n_threads).graph
        return agglomerate(graph, self.policy, n_threads=self.n_threads)
