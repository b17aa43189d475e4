"""The historic protocol of feature managers: what each does with a region, a contact and a merge.

A manager keeps a cache for each region and contact, updates it when two become one, and computes features of a pair
from it.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, Protocol, TypeAlias

import numpy as np

from gala._types import Floats, Ints
from gala.errors import FeatureError
from gala.graph.caches import ImageKind

Json: TypeAlias = dict[str, Any]
Pair: TypeAlias = tuple[int, int]


class FeatureGraph(Protocol):
    """What a feature manager may ask of the graph that it describes."""

    @property
    def kind(self) -> ImageKind:
        """What the channels of the image mean, its dimensions, and the size of a voxel."""

    @property
    def nodes(self) -> Mapping[int, Mapping[str, Any]]:
        """The regions and what is known of each."""

    @property
    def edges(self) -> Mapping[Pair, Mapping[str, Any]]:
        """The contacts and what is known of each."""

    def extent(self, n: int) -> Ints:
        """Return the voxels of region `n`, positions in the raveled volume."""

    def boundary(self, u: int, v: int) -> Ints:
        """Return the voxels of the contact of `u` and `v`, positions in the raveled volume."""

    def values(self, voxels: Ints) -> Floats:
        """Return the image at `voxels`, shape (V, C)."""

    def coords(self, voxels: Ints) -> Floats:
        """Return the coordinates of `voxels`, shape (V, ndim)."""

    def faces(self, n1: int, n2: int | None = None) -> Floats:
        """Return how many faces each voxel of a contact, or of region `n1`, shares with others, shape (V, ndim)."""

    def region_topology(self, n: int) -> Floats:
        """Return how region `n` lies among its neighbours, shape (5,); see `gala.features.topology`."""

    def contact_topology(self, u: int, v: int) -> Floats:
        """Return how the contact of `u` and `v` lies among the others, shape (2,); see `gala.features.topology`."""


class Null:
    """A manager of no features, and the protocol that hand-written managers override.

    Examples
    --------
    >>> class Size(Null):
    ...     "The sizes of both regions."
    ...     def compute_node_features(self, g, n, cache=None):
    ...         return np.array([g.nodes[n]["size"]], dtype=float)
    """

    default_cache: ClassVar[str] = "feature-cache"
    name: ClassVar[str] = "null"

    def __call__(self, g: FeatureGraph, n1: int, n2: int | None = None) -> Floats:
        """Return the features of the pair `n1`, `n2`, shape (F,), or of region `n1` alone."""
        return self.compute_features(g, n1, n2)

    def compute_features(self, g: FeatureGraph, n1: int, n2: int | None = None) -> Floats:
        """Return features of the smaller region, the larger one, their contact and difference, joined.

        Regions of one size come in the order given. Of a single region, return the node features.
        """
        if n2 is None:
            return self.compute_node_features(g, n1, g.nodes[n1][self.default_cache])
        if g.nodes[n1]["size"] > g.nodes[n2]["size"]:
            n1, n2 = n2, n1
        cache1, cache2 = (g.nodes[n][self.default_cache] for n in (n1, n2))
        return np.concatenate(
            [
                self.compute_node_features(g, n1, cache1),
                self.compute_node_features(g, n2, cache2),
                self.compute_edge_features(g, n1, n2, g.edges[n1, n2][self.default_cache]),
                self.compute_difference_features(g, n1, n2, cache1, cache2),
            ]
        )

    def create_node_cache(self, g: FeatureGraph, n: int) -> Any:
        """Return the cache of region `n`."""
        return np.empty(0)

    def create_edge_cache(self, g: FeatureGraph, n1: int, n2: int) -> Any:
        """Return the cache of the contact of `n1` and `n2`."""
        return np.empty(0)

    def update_node_cache(self, g: FeatureGraph, n1: int, n2: int, dst: Any, src: Any) -> Any:
        """Update `dst`, the cache of `n1`, with `src`, that of `n2`; return it if it is a new object."""

    def update_edge_cache(self, g: FeatureGraph, e1: Pair, e2: Pair, dst: Any, src: Any) -> Any:
        """Update `dst`, the cache of `e1`, with `src`, that of `e2`; return it if it is a new object."""

    def compute_node_features(self, g: FeatureGraph, n: int, cache: Any = None) -> Floats:
        """Return features of region `n`."""
        return np.empty(0)

    def compute_edge_features(self, g: FeatureGraph, n1: int, n2: int, cache: Any = None) -> Floats:
        """Return features of the contact of `n1` and `n2`."""
        return np.empty(0)

    def compute_difference_features(
        self, g: FeatureGraph, n1: int, n2: int, cache1: Any = None, cache2: Any = None
    ) -> Floats:
        """Return features of what `n1` and `n2` do not have in common."""
        return np.empty(0)

    def leaves(self) -> Iterator[Null]:
        """Yield the managers that this one is made of, in order; `Null` itself is made of none."""
        if type(self) is not Null:
            yield self

    def parameters(self) -> Json:
        """Return the arguments that make a manager equal to this one."""
        return {}

    def write_fm(self, json_fm: Json | None = None) -> Json:
        """Return a description that can be written as JSON, added to `json_fm` if given.

        Examples
        --------
        >>> Null().write_fm()
        {'feature_list': ['null'], 'null': {}}
        """
        description: Json = {} if json_fm is None else json_fm
        key = _unused(self.name, description)
        description.setdefault("feature_list", []).append(key)
        description[key] = self.parameters()
        return description

    @classmethod
    def load_dict(cls, fm_info: Json) -> Null:
        """Return the manager with the parameters in `fm_info`.

        Raises
        ------
        FeatureError
            If these are not its parameters.
        """
        try:
            return cls(**fm_info)
        except TypeError as error:
            raise FeatureError(f"no {cls.name} can be made with {fm_info!r}: {error}.") from error


def _unused(name: str, taken: Json) -> str:
    """Return `name`, or if it is taken, `name` with a number after it."""
    numbered = (f"{name}#{number}" for number in itertools.count(2))
    return next(key for key in itertools.chain([name], numbered) if key not in taken)
