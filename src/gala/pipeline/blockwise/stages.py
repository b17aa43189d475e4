"""From blocks to graphs and merges: each function is one task, which reads files and writes one result."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from gala._files import read_archive, replacing
from gala._types import Array, Labels
from gala.engine.agglomerate import agglomerate
from gala.engine.blocks import Merges, Remainder, agglomerate_inside, assemble, join_remainders
from gala.engine.policy import Policy
from gala.graph.affinity_blocks import count_block
from gala.graph.affinity_graph import rows_of_strongest
from gala.graph.blockwise import block_graph, with_columns
from gala.graph.files import FORMAT, read_graph, write_graph
from gala.graph.grid import Place
from gala.graph.regions import RegionGraph
from gala.pipeline.blockwise.plan import Plan, ready
from gala.pipeline.blockwise.voxels import Voxels, read_voxels
from gala.pipeline.inputs import given_volume
from gala.pipeline.strength import raised, strength

_merges = ("merged_labels", "merged_priority", "merged_tie_labels")


def build_block(plan: Plan, part: str, features: Sequence[Any], place: Place) -> dict[str, Any]:
    """Write the graph of a block."""
    voxels = read_voxels(plan, place)
    if plan.steps is not None and not plan.steps.are_maps:
        return _count_block(plan, part, features, place, voxels)
    ndim = len(plan.grid.shape)
    inner = plan.grid.inner(place)
    keep = None if voxels.keep is None else voxels.keep[inner]
    given = given_volume(voxels.image, extra=voxels.extra, mask=keep, ndim=ndim)
    graph = block_graph(
        voxels.labels,
        given.image if plan.gain == 1 else raised(given.image, plan.gain),
        list(features),
        plan.grid,
        place,
        mask=voxels.keep,
        extra=given.extra,
        spacing=plan.spacing,
        background=plan.background,
    )
    write_graph(ready(plan.graph_file(part, place)), graph)
    return {"regions": graph.n_regions, "contacts": len(graph.edges), "lost": voxels.n_lost}


def _count_block(plan: Plan, part: str, features: Sequence[Any], place: Place, voxels: Voxels) -> dict[str, Any]:
    """Write the graph of a block of affinities; return sums that tell, of all blocks, whether they are inverted."""
    assert plan.steps is not None  # there are affinities
    grid = plan.grid
    counted = count_block(
        voxels.labels,
        voxels.image,
        list(features),
        grid.box(place),
        grid.seen(place),
        grid.shape,
        **plan.steps.settings,
        spacing=plan.spacing,
        mask=voxels.keep,
        background=plan.background,
    )
    graph = counted.graph
    write_graph(ready(plan.graph_file(part, place)), graph)
    sums = {"between": counted.between, "inside": counted.inside}
    sums |= {"n_between": graph.contact_cache[:, 0].sum(), "n_inside": counted.n_inside}
    about = {"regions": graph.n_regions, "contacts": len(graph.edges), "lost": voxels.n_lost}
    return about | {name: float(value) for name, value in sums.items()}


def read_block_graph(plan: Plan, parts: Sequence[str], features: Sequence[Any], place: Place) -> RegionGraph:
    """Return the graph of a block that keeps what features need, from all parts in which it was built."""
    graphs = [read_graph(plan.graph_file(part, place))[0] for part in parts]
    is_strongest = plan.steps is not None and plan.steps.summary == "strongest"
    return with_columns(graphs, list(features), graphs[0].contact_spec if is_strongest else None)


def labels_of_block(plan: Plan, part: str, place: Place) -> Labels:
    """Return the labels of the graph of a block."""
    return arrays_of(plan.graph_file(part, place), "labels")[0]


def arrays_of(fn: Path, *names: str) -> list[Array]:
    """Return arrays of an archive that a task wrote."""
    what = "what a block was made into"
    return read_archive(fn, what, FORMAT, lambda all_: [all_[name] for name in names], mark=names[0])


def find_shared(plan: Plan, part: str) -> None:
    """Write which labels several blocks have, and from which level of joins on only one part has them.

    Labels are compared one by one: superpixels may be in several pieces.
    """
    places = list(plan.grid.places())
    labels_of = [labels_of_block(plan, part, place) for place in places]
    labels = np.concatenate(labels_of)
    owners = np.repeat(np.array(places), [len(own) for own in labels_of], axis=0)
    order = np.argsort(labels, kind="stable")
    labels, owners = labels[order], owners[order]
    first = np.flatnonzero(np.concatenate([[True], labels[1:] != labels[:-1]])) if len(labels) else np.arange(0)
    ends = [ufunc.reduceat(owners, first, axis=0) if len(first) else owners for ufunc in (np.minimum, np.maximum)]
    level = np.zeros(len(first), dtype=np.uint8)
    for shifts in plan.grid.levels()[:-1]:
        level += (ends[0] >> shifts != ends[1] >> shifts).any(axis=1)
    with replacing(ready(plan.work / "leaves.npy")) as new, new.open("wb") as stream:
        np.save(stream, labels[first])
    with replacing(plan.work / "shared.npz") as new, new.open("wb") as stream:
        np.savez(stream, format=FORMAT, labels=labels[first][level > 0], level=level[level > 0])


# -- merges --------------------------------------------------------------------------------------------------------


def merge_block(
    plan: Plan,
    way: str,
    policy: Policy | None,
    limit: float,
    parts: Sequence[str],
    features: Sequence[Any],
    level: int,
    place: Place,
    below: Sequence[tuple[int, Place]],
) -> dict[str, Any]:
    """Merge, up to a limit, what nothing outside of a block, or a join, can affect; without a policy, only join."""
    if level == 0:
        before = Remainder.of(read_block_graph(plan, parts, features, place))
    else:
        before = join_remainders([_read_remainder(plan.merges_file(way, *part)) for part in below])
    if policy is None:
        merges, left = _no_merges(before.graph.labels.dtype), before
    else:
        shared, until = arrays_of(plan.work / "shared.npz", "labels", "level")
        outside = np.isin(before.graph.labels, shared[until > level])
        above = np.nextafter(limit, np.inf)  # cuts at the limit have merges of just this priority too
        merges, left = agglomerate_inside(before, policy, above, frozen=outside, n_threads=1)
    made = dict(zip(_merges, (merges.labels, merges.priority, merges.tie_labels), strict=True))
    write_graph(ready(plan.merges_file(way, level, place)), left.graph, tie_labels=left.tie_labels, **made)
    return {"limit": limit, "merges": len(merges.priority), "left": left.graph.n_regions}


def _no_merges(dtype: Any) -> Merges:
    return Merges(np.empty((0, 2), dtype), np.empty(0), np.empty((0, 2), dtype))


def _read_remainder(fn: Path) -> Remainder:
    graph, (tie_labels,) = read_graph(fn, "tie_labels")
    return Remainder(graph, tie_labels)


def find_strength(plan: Plan, way: str, root: tuple[int, Place]) -> dict[str, Any]:
    """Return how strong the map is in the contacts of the whole graph."""
    return {"strength": strength(_read_remainder(plan.merges_file(way, *root)).graph)}


def make_tree(
    plan: Plan,
    way: str,
    policy: Policy | None,
    rescore: str,
    features: Sequence[Any],
    limit: float,
    nodes: Iterable[tuple[int, Place]],
    fn: Path,
    tables: Sequence[tuple[float, Path]],
) -> dict[str, Any]:
    """Write the merge tree, of the merges of all blocks or, with a policy, of the whole graph; and cuts of it."""
    leaves = np.load(plan.work / "leaves.npy")
    files = [plan.merges_file(way, *node) for node in nodes]
    if policy is None:
        tree = replace(assemble(leaves, [Merges(*arrays_of(file, *_merges)) for file in files]), limit=limit)
    else:
        graph = _read_remainder(files[-1]).graph
        if plan.steps is not None and plan.steps.summary == "strongest":
            graph = rows_of_strongest(graph, features)
        tree = agglomerate(graph, policy, rescore=rescore, n_threads=1)
    tree.save(fn)
    for threshold, table in tables:
        with replacing(ready(table)) as new, new.open("wb") as stream:
            np.save(stream, leaves[tree.cut(threshold)])
    return {"merges": tree.n_merges, "segments": {repr(t): tree.n_segments(t) for t, _ in tables}}
