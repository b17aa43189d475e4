"""What a feature manager is: the historic protocol (`Null`), and the one that runs compiled (`Declared`).

Several managers make one (`Composite`), and a manager that knows the truth stands in for others in tests (`Mock`).
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, TypeAlias

import numpy as np

from gala._kernels.jit import gather_kernel as gather_kernel, row_kernel as row_kernel  # "x as x": found here
from gala._types import Floats, Labels
from gala.errors import FeatureError
from gala.features.declared import Declared as Declared
from gala.features.protocol import FeatureGraph as FeatureGraph, Json as Json, Null as Null, Pair as Pair
from gala.graph.caches import CacheSpec as CacheSpec, Join as Join, Layout as Layout

Caches: TypeAlias = list[Any]


class Composite(Null):
    """Several managers as one: their features, child by child within each of the four parts.

    Parameters
    ----------
    children : sequence of feature managers
        Composites among them are welcome.

    Raises
    ------
    FeatureError
        If one of them is not a feature manager.

    Examples
    --------
    >>> from gala.features import histogram, moments
    >>> both = Composite(children=[moments.Manager(), histogram.Manager(25)])
    >>> both.write_fm()["feature_list"]
    ['moments', 'histogram']
    """

    name = "composite"

    def __init__(self, children: Sequence[Null] = ()) -> None:
        self.children = list(children)
        wrong = [child for child in self.children if not hasattr(child, "compute_features")]
        if wrong:
            raise FeatureError(f"children must be feature managers; got {wrong[0]!r}.")

    def leaves(self) -> Iterator[Null]:
        """Yield the managers that this one is made of, in order."""
        for child in self.children:
            yield from child.leaves() if isinstance(child, Null) else (child,)

    def create_node_cache(self, g: FeatureGraph, n: int) -> Caches:
        """Return the children's caches of region `n`."""
        return [child.create_node_cache(g, n) for child in self.children]

    def create_edge_cache(self, g: FeatureGraph, n1: int, n2: int) -> Caches:
        """Return the children's caches of the contact of `n1` and `n2`."""
        return [child.create_edge_cache(g, n1, n2) for child in self.children]

    def update_node_cache(self, g: FeatureGraph, n1: int, n2: int, dst: Caches, src: Caches) -> Caches:
        """Have each child update its cache of `n1`."""
        triples = zip(self.children, dst, src, strict=True)
        return _kept(dst, [child.update_node_cache(g, n1, n2, own, other) for child, own, other in triples])

    def update_edge_cache(self, g: FeatureGraph, e1: Pair, e2: Pair, dst: Caches, src: Caches) -> Caches:
        """Have each child update its cache of contact `e1`."""
        triples = zip(self.children, dst, src, strict=True)
        return _kept(dst, [child.update_edge_cache(g, e1, e2, own, other) for child, own, other in triples])

    def compute_node_features(self, g: FeatureGraph, n: int, cache: Caches | None = None) -> Floats:
        """Return the children's features of region `n`, joined."""
        caches = g.nodes[n][self.default_cache] if cache is None else cache
        pairs = zip(self.children, caches, strict=True)
        return _joined(child.compute_node_features(g, n, own) for child, own in pairs)

    def compute_edge_features(
        self,
        g: FeatureGraph,
        n1: int,
        n2: int,
        cache: Caches | None = None,
        cache1: Caches | None = None,
        cache2: Caches | None = None,
    ) -> Floats:
        """Return the children's features of the contact of `n1` and `n2`, joined."""
        caches = g.edges[n1, n2][self.default_cache] if cache is None else cache
        u = g.nodes[n1][self.default_cache] if cache1 is None else cache1
        v = g.nodes[n2][self.default_cache] if cache2 is None else cache2
        quadruples = zip(self.children, caches, u, v, strict=True)
        return _joined(_edge_features(child)(g, n1, n2, *own) for child, *own in quadruples)

    def compute_difference_features(
        self, g: FeatureGraph, n1: int, n2: int, cache1: Caches | None = None, cache2: Caches | None = None
    ) -> Floats:
        """Return the children's difference features of `n1` and `n2`, joined."""
        u = g.nodes[n1][self.default_cache] if cache1 is None else cache1
        v = g.nodes[n2][self.default_cache] if cache2 is None else cache2
        triples = zip(self.children, u, v, strict=True)
        return _joined(child.compute_difference_features(g, n1, n2, a, b) for child, a, b in triples)

    def write_fm(self, json_fm: Json | None = None) -> Json:
        """Return a description of all children that can be written as JSON, added to `json_fm` if given."""
        description: Json = {} if json_fm is None else json_fm
        description.setdefault("feature_list", [])
        for leaf in self.leaves():
            leaf.write_fm(description)
        return description

    @classmethod
    def load_dict(cls, fm_info: Json) -> Composite:
        """Return the managers that `write_fm` described.

        Raises
        ------
        FeatureError
            If the description lacks something, or names a manager that is not known.
        """
        missing = {"feature_list", *fm_info.get("feature_list", ())} - set(fm_info)
        if missing:
            raise FeatureError(f"the description of features lacks {', '.join(sorted(missing))}.")
        kinds = known_managers()
        children = []
        for key in fm_info["feature_list"]:
            name = key.partition("#")[0]
            if name not in kinds:
                known = ", ".join(sorted(kinds))
                raise FeatureError(f"there is no feature manager named {name!r}; known are {known}.")
            children.append(kinds[name].load_dict(fm_info[key]))
        return cls(children)


def known_managers() -> dict[str, type[Null]]:
    """Return the feature managers of gala, and all others with a name of their own, by name.

    Examples
    --------
    >>> sorted(kind for kind in known_managers() if kind in ("moments", "histogram"))
    ['histogram', 'moments']
    """
    package = importlib.import_module("gala.features")
    for module in pkgutil.iter_modules(package.__path__, "gala.features."):
        importlib.import_module(module.name)
    return _named(Null)


class Mock(Null):
    """A test double that knows the truth.

    Its two features are near (0, 0) for a pair to merge, and near (1, 0) for others.

    Parameters
    ----------
    frag, gt : array of int, same shape
        The regions and the truth.
    """

    name = "mock"

    def __init__(self, frag: Labels, gt: Labels) -> None:
        regions, region = np.unique(frag, return_inverse=True)
        truths, truth = np.unique(gt, return_inverse=True)
        overlaps = np.zeros((regions.size, truths.size))
        np.add.at(overlaps, (region.ravel(), truth.ravel()), 1)
        self.overlaps = dict(zip(regions.tolist(), overlaps, strict=True))

    def compute_features(self, g: FeatureGraph, n1: int, n2: int | None = None) -> Floats:
        """Return two features of the pair `n1`, `n2`, or none of a single region."""
        if n2 is None:
            return np.empty(0)
        first, second = (
            np.sum([self.overlaps[leaf] for leaf in g.nodes[n]["fragments"]], axis=0).argmax() for n in (n1, n2)
        )
        noise = np.random.default_rng(sorted((int(n1), int(n2)))).normal(scale=0.01, size=2)
        return np.array([float(first != second), 0.0]) + noise


def _edge_features(manager: Null) -> Callable[..., Floats]:
    """Return what computes edge features from the caches of a contact and both regions."""
    known = (Declared.compute_edge_features, Composite.compute_edge_features)
    if type(manager).compute_edge_features in known:
        return manager.compute_edge_features
    return lambda g, n1, n2, cache, _1, _2: manager.compute_edge_features(g, n1, n2, cache)  # the historic protocol


def _kept(caches: Caches, updated: Caches) -> Caches:
    """Put the caches that are new objects, and not None, into `caches`."""
    caches[:] = [old if new is None else new for old, new in zip(caches, updated, strict=True)]
    return caches


def _joined(parts: Iterable[Floats]) -> Floats:
    return np.concatenate([np.empty(0), *parts])


def _named(base: type[Null]) -> dict[str, type[Null]]:
    found = {base.name: base} if "name" in vars(base) else {}
    for kind in base.__subclasses__():
        found |= _named(kind)
    return found
