"""Region graphs as arrays, and in files: a NumPy archive, not compressed, whose checksums are read with it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np

from gala._files import FileName, read_archive, replacing
from gala._types import Array
from gala.graph.caches import CacheSpec, Channels, ImageKind, Join
from gala.graph.regions import RegionGraph

FORMAT = 1
_arrays = ("labels", "edges", "region_cache", "contact_cache", "border_sizes")


def graph_to_arrays(graph: RegionGraph) -> dict[str, Array]:
    """Return all that a graph holds, as arrays by name."""
    about = {"kind": asdict(graph.kind)} | {
        name: {"names": spec.names, "joins": [int(join) for join in spec.joins]}
        for name, spec in (("region_spec", graph.region_spec), ("contact_spec", graph.contact_spec))
    }
    return {name: getattr(graph, name) for name in _arrays} | {"about": np.array(json.dumps(about))}


def graph_from_arrays(arrays: Mapping[str, Array]) -> RegionGraph:
    """Return the graph of which `graph_to_arrays` made arrays."""
    about = json.loads(str(arrays["about"]))
    specs: dict[str, Any] = {
        name: CacheSpec(tuple(about[name]["names"]), tuple(Join(join) for join in about[name]["joins"]))
        for name in ("region_spec", "contact_spec")
    }
    fields: dict[str, Any] = {name: arrays[name] for name in _arrays}
    return RegionGraph(kind=_kind(about["kind"]), **specs, **fields)


def _kind(about: Mapping[str, Any]) -> ImageKind:
    channels = dict(about["channels"])
    channels["plain"] = tuple(channels["plain"])
    channels["extra"] = tuple((name, tuple(chosen)) for name, chosen in channels["extra"])
    return ImageKind(Channels(**channels), about["ndim"], tuple(about["spacing"]))


def write_graph(fn: FileName, graph: RegionGraph, **others: Array) -> None:
    """Write a graph, and other arrays by name, to a file that only a complete one replaces.

    Raises
    ------
    FileError
        If the file cannot be written.
    """
    with replacing(fn) as new, new.open("wb") as stream:
        np.savez(stream, format=FORMAT, **graph_to_arrays(graph), **others)  # type: ignore[arg-type]  # no other option


def read_graph(fn: FileName, *others: str) -> tuple[RegionGraph, list[Array]]:
    """Return the graph in a file that `write_graph` wrote, and a list of other arrays of these names.

    Raises
    ------
    FileError
        If the file is missing or damaged.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> from gala.graph.build import build_graph
    >>> with TemporaryDirectory() as folder:
    ...     write_graph(f"{folder}/a.npz", build_graph([5, 5, 7]))
    ...     read_graph(f"{folder}/a.npz")[0].labels
    array([5, 7])
    """
    return read_archive(
        fn, "a region graph", FORMAT, lambda all_: (graph_from_arrays(all_), [all_[name] for name in others])
    )
