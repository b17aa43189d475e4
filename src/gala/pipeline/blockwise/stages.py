"""What workers do to one block, or to one join of blocks: each function reads files and writes one result."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import zarr

from gala._files import read_archive, replacing
from gala._types import Array, Bools, Labels
from gala.engine.agglomerate import agglomerate
from gala.engine.blocks import Merges, Remainder, agglomerate_inside, assemble, join_remainders
from gala.engine.policy import Policy
from gala.graph.blockwise import block_graph, with_columns
from gala.graph.files import FORMAT, read_graph, write_graph
from gala.graph.grid import Box, Grid, Place
from gala.graph.labels import as_labels
from gala.graph.overlaps import Overlaps, count_overlaps, join_overlaps
from gala.graph.regions import RegionGraph
from gala.graph.tree import MergeTree
from gala.graph.voxels import map_labels
from gala.imio.files import as_volume
from gala.imio.pyramid import coarser
from gala.pipeline.blockwise.inputs import Input
from gala.pipeline.inputs import given_volume

_merges = ("merged_labels", "merged_priority", "merged_tie_labels")


@dataclass(frozen=True, slots=True)
class Plan:
    """What all stages of a run must know."""

    work: Path  # the folder of what is kept of blocks
    grid: Grid
    image: Input
    superpixels: Input
    mask: Input | None
    background: int | None
    spacing: tuple[float, ...] | None
    skip: bool  # what cannot be read

    @property
    def label_dtype(self) -> np.dtype[Any]:
        """The type of labels everywhere: that of the superpixels, uint64 for floats."""
        given = np.dtype(self.superpixels.dtype)
        return np.dtype(np.uint8) if given.kind == "b" else given if given.kind in "ui" else np.dtype(np.uint64)

    def graph_file(self, part: str, place: Place) -> Path:
        """Return where the graph of a block is."""
        return self.work / "graphs" / part / f"{named(place)}.npz"

    def merges_file(self, way: str, level: int, place: Place) -> Path:
        """Return where the merges of a join of blocks are, and what is left after them."""
        return self.work / "merges" / way / f"{level}-{named(place)}.npz"


def named(place: Place) -> str:
    """Return the name of a block.

    Examples
    --------
    >>> named((0, 12, 3))
    '0-12-3'
    """
    return "-".join(map(str, place))


# -- graphs --------------------------------------------------------------------------------------------------------


class Voxels(NamedTuple):
    """A block, and one voxel beyond of labels and mask."""

    labels: Labels
    image: Array
    keep: Bools | None
    n_lost: int  # voxels of the block that could not be read


def read_voxels(plan: Plan, place: Place, *, needs_image: bool = True) -> Voxels:
    """Return a block; what cannot be read, if that is to be skipped, is in no region."""
    box, inner = plan.grid.box(place), plan.grid.inner(place)
    labels, lost = _read(plan, plan.superpixels, plan.grid.seen(place))
    keep = None if lost is None else ~lost
    n_lost = 0 if lost is None else np.count_nonzero(lost[inner])
    image = np.empty(0)
    if needs_image:
        image, lost = _read(plan, plan.image, box)
        if lost is not None:
            keep = np.ones(labels.shape, dtype=np.bool_) if keep is None else keep
            n_lost += np.count_nonzero(lost & keep[inner])
            keep[inner] &= ~lost
    if plan.mask is not None:
        values, lost = _read(plan, plan.mask, plan.grid.seen(place))  # 0 where it cannot be read
        keep = values != 0 if keep is None else keep & (values != 0)
    regions = as_labels(labels, plan.superpixels.name).astype(plan.label_dtype, copy=False)
    return Voxels(regions, image, keep, int(n_lost))


def _read(plan: Plan, volume: Input, box: Box) -> tuple[Array, Bools | None]:
    return volume.read_most(box) if plan.skip else (volume.read(box), None)


def build_block(plan: Plan, part: str, features: Sequence[Any], place: Place) -> dict[str, Any]:
    """Write the graph of a block."""
    voxels = read_voxels(plan, place)
    ndim = len(plan.grid.shape)
    inner = plan.grid.inner(place)
    given = given_volume(voxels.image, mask=None if voxels.keep is None else voxels.keep[inner], ndim=ndim)
    graph = block_graph(
        voxels.labels,
        given.image,
        list(features),
        plan.grid,
        place,
        mask=voxels.keep,
        spacing=plan.spacing,
        background=plan.background,
    )
    write_graph(_ready(plan.graph_file(part, place)), graph)
    return {"regions": graph.n_regions, "contacts": len(graph.edges), "lost": voxels.n_lost}


def read_block_graph(plan: Plan, parts: Sequence[str], features: Sequence[Any], place: Place) -> RegionGraph:
    """Return the graph of a block that keeps what features need, from all parts in which it was built."""
    graphs = [read_graph(plan.graph_file(part, place))[0] for part in parts]
    return with_columns(graphs, list(features))


def labels_of_block(plan: Plan, part: str, place: Place) -> Labels:
    """Return the labels of the graph of a block."""
    return _array_of(plan.graph_file(part, place), "labels")


def _array_of(fn: Path, *names: str) -> Any:
    found = read_archive(fn, "a region graph", FORMAT, lambda all_: [all_[name] for name in names], mark=names[0])
    return found if len(found) > 1 else found[0]


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
    with replacing(_ready(plan.work / "leaves.npy")) as new, new.open("wb") as stream:
        np.save(stream, labels[first])
    with replacing(plan.work / "shared.npz") as new, new.open("wb") as stream:
        np.savez(stream, format=FORMAT, labels=labels[first][level > 0], level=level[level > 0])


# -- merges --------------------------------------------------------------------------------------------------------


def merge_block(
    plan: Plan,
    way: str,
    policy: Policy | None,
    parts: Sequence[str],
    features: Sequence[Any],
    level: int,
    place: Place,
    below: Sequence[tuple[int, Place]],
) -> dict[str, Any]:
    """Merge what nothing outside of a block, or a join of blocks, can affect; without a policy, only join."""
    if level == 0:
        before = Remainder.of(read_block_graph(plan, parts, features, place))
    else:
        before = join_remainders([_read_remainder(plan.merges_file(way, *part)) for part in below])
    if policy is None:
        merges, left = _no_merges(before.graph.labels.dtype), before
    else:
        shared, until = _array_of(plan.work / "shared.npz", "labels", "level")
        outside = np.isin(before.graph.labels, shared[until > level])
        merges, left = agglomerate_inside(before, policy, frozen=outside, n_threads=1)
    made = dict(zip(_merges, (merges.labels, merges.priority, merges.tie_labels), strict=True))
    write_graph(_ready(plan.merges_file(way, level, place)), left.graph, tie_labels=left.tie_labels, **made)
    return {"merges": len(merges.priority), "left": left.graph.n_regions}


def _no_merges(dtype: Any) -> Merges:
    return Merges(np.empty((0, 2), dtype), np.empty(0), np.empty((0, 2), dtype))


def _read_remainder(fn: Path) -> Remainder:
    graph, tie_labels = read_graph(fn, "tie_labels")
    return Remainder(graph, tie_labels)


def make_tree(
    plan: Plan,
    way: str,
    policy: Policy | None,
    rescore: str,
    nodes: Iterable[tuple[int, Place]],
    fn: Path,
    tables: Sequence[tuple[float, Path]],
) -> dict[str, Any]:
    """Write the merge tree, of the merges of all blocks or, with a policy, of the whole graph; and cuts of it."""
    leaves = np.load(plan.work / "leaves.npy")
    files = [plan.merges_file(way, *node) for node in nodes]
    if policy is None:
        tree = assemble(leaves, [Merges(*_array_of(file, *_merges)) for file in files])
    else:
        tree = agglomerate(_read_remainder(files[-1]).graph, policy, rescore=rescore, n_threads=1)
    tree.save(fn)
    for threshold, table in tables:
        with replacing(_ready(table)) as new, new.open("wb") as stream:
            np.save(stream, leaves[tree.cut(threshold)])
    return {"merges": tree.n_merges, "segments": {str(t): tree.n_segments(t) for t, _ in tables}}


def read_tree(fn: Path) -> MergeTree:
    """Return the tree that `make_tree` wrote."""
    return MergeTree.load(fn)


# -- segmentations -------------------------------------------------------------------------------------------------


@lru_cache(maxsize=32)
def _scale(folder: Path, level: int, made: str) -> Any:  # noqa: ARG001  # another `made` in its place is opened again
    """Return one scale of an output."""
    return zarr.open_array(folder / str(level), mode="r+")


def relabel_block(plan: Plan, part: str, table: Path, out: Path, made: str, place: Place) -> None:
    """Write a block of a segmentation."""
    voxels = read_voxels(plan, place, needs_image=plan.skip)
    box, inner = plan.grid.box(place), plan.grid.inner(place)
    own = labels_of_block(plan, part, place)
    leaves, values = (np.load(file, mmap_mode="r") for file in (plan.work / "leaves.npy", table))
    own_values = np.asarray(values[np.searchsorted(leaves, own)])
    keep = None if voxels.keep is None else voxels.keep[inner]
    labels = np.ascontiguousarray(voxels.labels[inner])
    new = map_labels(labels, own, own_values, mask=keep, background=plan.background, n_threads=1)
    _scale(out, 0, made)[box] = new


def coarsen_block(out: Path, made: str, level: int, factors: tuple[int, ...], grid: Grid, place: Place) -> None:
    """Write a block of a coarser scale, of the scale before."""
    fine = as_volume(_scale(out, level - 1, made))
    box = grid.box(place)
    _scale(out, level, made)[box] = coarser(fine, factors, "labels")[box]


# -- evaluation ----------------------------------------------------------------------------------------------------

_table = ("seg_labels", "truth_labels", "seg_index", "truth_index", "counts")


def count_block(plan: Plan, truth: Input, out: Path, made: str, fn: Path, place: Place) -> None:
    """Write how many voxels of a block each pair of a segment and a true one share."""
    box = plan.grid.box(place)
    true, lost = _read(plan, truth, box)
    if lost is not None:
        true = np.where(lost, 0, true)
    found = count_overlaps(
        as_labels(np.asarray(_scale(out, 0, made)[box]), "segmentation"), as_labels(true, truth.name), n_threads=1
    )
    with replacing(_ready(fn)) as new, new.open("wb") as stream:
        np.savez(stream, format=FORMAT, **found._asdict())  # type: ignore[arg-type]  # no other option


def joined_counts(files: Iterable[Path]) -> Overlaps:
    """Return the table of all blocks."""
    total: list[Overlaps] = []
    for fn in files:
        total = [join_overlaps([*total, Overlaps(*_array_of(fn, *_table))])]
    return total[0]


def _ready(fn: Path) -> Path:
    fn.parent.mkdir(parents=True, exist_ok=True)
    return fn


def write_json(fn: Path, value: Any) -> None:
    """Write a value as JSON to a file that only a complete one replaces."""
    with replacing(_ready(fn)) as new:
        new.write_text(json.dumps(value, indent=2, sort_keys=True) + "\n", encoding="utf-8")
