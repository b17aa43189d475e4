"""Lay a feature manager flat, so that compiled loops run it."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from gala._kernels.jit import row_kernels
from gala._kernels.program import Part, Program
from gala.errors import FeatureError
from gala.features.base import Composite, Declared, Null
from gala.features.topology import Topological, topology_columns
from gala.graph.caches import CacheSpec, ImageKind, Layout, RowKernel

# What a manager may override; one that does runs on the Python engine.
_PROTOCOL = (
    "__call__",
    "compute_features",
    "create_node_cache",
    "create_edge_cache",
    "update_node_cache",
    "update_edge_cache",
    "compute_node_features",
    "compute_edge_features",
    "compute_difference_features",
)


def is_declared(features: object) -> bool:
    """Return whether compiled loops can run `features`.

    They can if it is made of declared managers only, and none overrides a method of the historic protocol.
    """
    if not isinstance(features, Null):
        return False
    base = next((kind for kind in (Topological, Declared, Composite) if isinstance(features, kind)), Null)
    if any(getattr(type(features), method) is not getattr(base, method) for method in _PROTOCOL):
        return False
    return not isinstance(features, Composite) or all(map(is_declared, features.children))


def declared_leaves(features: Null) -> list[Declared]:
    """Return the declared managers that `features` is made of.

    Raises
    ------
    FeatureError
        If it is not made of declared managers only.
    """
    if not is_declared(features):
        raise FeatureError(
            f"compiled loops run declared feature managers only; {features!r} is not made of these, or "
            "overrides a method of the protocol."
        )
    return [leaf for leaf in features.leaves() if isinstance(leaf, Declared)]


def build_program(features: Null, region_spec: CacheSpec, contact_spec: CacheSpec, kind: ImageKind) -> Program:
    """Return the program that computes `features` from cache rows with the columns of the two specs.

    Raises
    ------
    FeatureError
        If a manager is not declared, or its columns are not in the cache rows.
    """
    functions: list[RowKernel] = []
    steps: list[tuple[int, ...]] = []
    params: list[float] = []
    n_outputs = 0
    for part, leaf, layout, names in _steps(features, kind):
        if not names:
            continue
        function = _function(leaf, part)
        if function not in functions:
            functions.append(function)
        if isinstance(leaf, Topological):
            regions, contacts = topology_columns(len(region_spec), len(contact_spec))
        else:
            regions = _columns(leaf, layout.region_spec, region_spec)
            contacts = _columns(leaf, layout.spec, contact_spec)
        outputs = (n_outputs, n_outputs + len(names))
        own_params = (len(params), len(params) + layout.params.size)
        steps.append((functions.index(function), part, *regions, *contacts, *outputs, *own_params))
        params.extend(layout.params)
        n_outputs = outputs[1]
    rows = np.array(steps, dtype=np.int64).reshape(-1, 10)
    reads_topology = any(isinstance(leaf, Topological) for leaf in features.leaves())
    return Program(row_kernels(functions), rows, np.array(params, dtype=np.float64), reads_topology)


def output_names(features: Null, kind: ImageKind) -> tuple[str, ...]:
    """Return what each feature of a pair is called, in order.

    Examples
    --------
    >>> from gala.features.moments import Manager
    >>> from gala.graph.caches import Channels
    >>> kind = ImageKind.unit(Channels.all_plain(1), ndim=3)
    >>> output_names(Manager(1, use_diff_features=False), kind)
    ('smaller count', 'smaller mean[0]', 'larger count', 'larger mean[0]', 'contact count', 'contact mean[0]')
    """
    return tuple(f"{part.name.lower()} {name}" for part, _, _, names in _steps(features, kind) for name in names)


def _steps(features: Null, kind: ImageKind) -> Iterator[tuple[Part, Declared, Layout, tuple[str, ...]]]:
    """Yield each manager for each part, with its layout and the names of its outputs there."""
    leaves = declared_leaves(features)
    layouts = [leaf.layout(kind) for leaf in leaves]
    for part in Part:
        for leaf, layout in zip(leaves, layouts, strict=True):
            names = {Part.CONTACT: layout.edge_names, Part.DIFFERENCE: layout.difference_names}
            yield part, leaf, layout, names.get(part, layout.node_names)


def _function(leaf: Declared, part: Part) -> RowKernel:
    return {Part.CONTACT: leaf.edge, Part.DIFFERENCE: leaf.difference}.get(part, leaf.node)


def _columns(leaf: Declared, wanted: CacheSpec, spec: CacheSpec) -> tuple[int, int]:
    """Return the first column of `leaf` in a row, and the one after its last."""
    first = spec.find(wanted)
    if first is None:
        raise FeatureError(
            f"the graph does not keep what {leaf.name} needs; build it with this manager among its features. "
            f"Needed are {', '.join(wanted.names)}; there are {', '.join(spec.names)}."
        )
    return first, first + len(wanted)
