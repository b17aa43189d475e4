"""What a feature manager is: the historic protocol (`Null`), and the one that runs compiled (`Declared`).

A manager keeps a cache for each region and contact, updates it when two become one, and computes features of
a pair from it. A declared manager leaves all of this to compiled loops: it names its columns and gives four
small kernels.
"""

from __future__ import annotations

import importlib
import itertools
import pkgutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, ClassVar, Protocol, TypeAlias

import numpy as np

from gala._types import ArrayLike, Floats, Ints, Labels
from gala.errors import FeatureError
from gala.graph.caches import GatherKernel, ImageKind, Layout, RowKernel

Json: TypeAlias = dict[str, Any]
Pair: TypeAlias = tuple[int, int]
Caches: TypeAlias = list[Any]


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


class Declared(Null):
    """A manager written as cache columns and kernels, which compiled loops run without knowing it.

    A subclass sets `gather`, `node`, `edge` and `difference` to static methods, made with `gather_kernel` and
    `row_kernel` of `gala._kernels.jit`, and writes `layout` and `parameters`.
    """

    gather: GatherKernel
    node: RowKernel
    edge: RowKernel
    difference: RowKernel

    def layout(self, kind: ImageKind) -> Layout:
        """Return columns, parameters and names of outputs for this kind of image."""
        raise FeatureError(f"{type(self).__name__} must define layout(kind).")

    def create_node_cache(self, g: FeatureGraph, n: int) -> Floats:
        """Return the cache row of region `n`, shape (C,)."""
        layout = self.layout(g.kind)
        return self._row(g, g.extent(n), layout, layout.region_channels) if layout.of_regions else np.empty(0)

    def create_edge_cache(self, g: FeatureGraph, n1: int, n2: int) -> Floats:
        """Return the cache row of the contact of `n1` and `n2`, shape (C,)."""
        layout = self.layout(g.kind)
        return self._row(g, g.boundary(n1, n2), layout, layout.contact_channels)

    def update_node_cache(self, g: FeatureGraph, n1: int, n2: int, dst: Floats, src: Floats) -> Floats:
        """Join row `src` into row `dst`."""
        dst[:] = self.layout(g.kind).region_spec.join(dst, src)
        return dst

    def update_edge_cache(self, g: FeatureGraph, e1: Pair, e2: Pair, dst: Floats, src: Floats) -> Floats:
        """Join row `src` into row `dst`."""
        dst[:] = self.layout(g.kind).spec.join(dst, src)
        return dst

    def compute_node_features(self, g: FeatureGraph, n: int, cache: Floats | None = None) -> Floats:
        """Return features of region `n` from its cache row."""
        row = g.nodes[n][self.default_cache] if cache is None else cache
        layout = self.layout(g.kind)
        return run_row_kernel(self.node, layout, layout.node_names, row, (), ())

    def compute_edge_features(
        self,
        g: FeatureGraph,
        n1: int,
        n2: int,
        cache: Floats | None = None,
        cache1: Floats | None = None,
        cache2: Floats | None = None,
    ) -> Floats:
        """Return features of the contact of `n1` and `n2` from its cache row and theirs."""
        row = g.edges[n1, n2][self.default_cache] if cache is None else cache
        u, v = self._region_row(g, n1, cache1), self._region_row(g, n2, cache2)
        layout = self.layout(g.kind)
        return run_row_kernel(self.edge, layout, layout.edge_names, u, v, row)

    def compute_difference_features(
        self, g: FeatureGraph, n1: int, n2: int, cache1: Floats | None = None, cache2: Floats | None = None
    ) -> Floats:
        """Return features of what `n1` and `n2` do not have in common, from their cache rows."""
        u = g.nodes[n1][self.default_cache] if cache1 is None else cache1
        v = g.nodes[n2][self.default_cache] if cache2 is None else cache2
        layout = self.layout(g.kind)
        return run_row_kernel(self.difference, layout, layout.difference_names, u, v, ())

    def _region_row(self, g: FeatureGraph, n: int, cache: Floats | None) -> Floats:
        row = g.nodes[n][self.default_cache] if cache is None else cache
        return row if isinstance(row, np.ndarray) else self.create_node_cache(g, n)  # a list is that of a composite

    def _row(self, g: FeatureGraph, voxels: Ints, layout: Layout, channels: Sequence[int]) -> Floats:
        rows = layout.spec.empty[np.newaxis]
        coords = g.coords(voxels) if layout.needs_coords else np.empty((0, g.kind.ndim))
        owner = np.zeros(len(voxels), dtype=np.int64)
        indices = np.array(channels, dtype=np.int64)
        self.gather(layout.params, indices, _as_floats(g.values(voxels)), _as_floats(coords), owner, 0, rows)
        row: Floats = rows[0]
        return row


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


def run_row_kernel(function: RowKernel, layout: Layout, names: Sequence[str], *rows: ArrayLike) -> Floats:
    """Return the features that `function` computes from the rows of two regions and a contact."""
    out = np.empty(len(names))
    u, v, edge = map(_as_floats, rows)
    function(layout.params, u, v, edge, out)
    return out


def _as_floats(values: ArrayLike) -> Floats:
    """Return `values` as kernels expect them."""
    return np.ascontiguousarray(values, dtype=np.float64)


def _kept(caches: Caches, updated: Caches) -> Caches:
    """Put the caches that are new objects, and not None, into `caches`."""
    caches[:] = [old if new is None else new for old, new in zip(caches, updated, strict=True)]
    return caches


def _joined(parts: Iterable[Floats]) -> Floats:
    return np.concatenate([np.empty(0), *parts])


def _unused(name: str, taken: Json) -> str:
    """Return `name`, or if it is taken, `name` with a number after it."""
    numbered = (f"{name}#{number}" for number in itertools.count(2))
    return next(key for key in itertools.chain([name], numbered) if key not in taken)


def _named(base: type[Null]) -> dict[str, type[Null]]:
    found = {base.name: base} if "name" in vars(base) else {}
    for kind in base.__subclasses__():
        found |= _named(kind)
    return found
