"""The steps of `gala segment` and `gala cut`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from gala import imio
from gala._types import Array, Labels
from gala.cli.steps.pixels import load_pixels
from gala.cli.steps.volumes import (
    Lengths,
    beside,
    check_outputs,
    check_same_voxels,
    common_spacing,
    name_outputs,
    read_affinities,
    read_labels,
    read_maybe,
)
from gala.cli.talk import bar_on_terminal, step
from gala.engine.partition import METHODS, partition
from gala.errors import SettingError
from gala.graph.affinities import as_priority
from gala.graph.segments import cut_labels, leaf_labels
from gala.graph.tree import MergeTree
from gala.pipeline import Segmenter
from gala.pipeline.inputs import Kind, by_name, check_kind, n_channels_in
from gala.pipeline.named import FromAffinities, HandMade, affinity_maps, in_distances, learned_file, named_policy


@dataclass(frozen=True)
class Outputs:
    """Segmentations to be written, one for each threshold."""

    files: dict[float, str]
    spacing: Lengths | None
    origin: Mapping[str, Any]
    n_voxels: int

    def write(self, segment_at: Callable[[float], tuple[Labels, int]]) -> list[dict[str, Any]]:
        """Write what is made at each threshold, labels and how many segments, and return what there is to say of it."""
        found = []
        for threshold, fn in self.files.items():
            with step(f"Segmenting at {threshold:g} and writing {fn}", self.n_voxels):
                segments, n_segments = segment_at(threshold)
                made_by = {**self.origin, "parameters": {**self.origin["parameters"], "threshold": threshold}}
                imio.write(fn, segments, spacing=self.spacing, provenance=made_by)
            found.append({"threshold": threshold, "segments": n_segments, "file": fn})
        return found


def cuts_of(
    tree: MergeTree, superpixels: Labels, mask: Array | None, n_threads: int | None
) -> Callable[[float], tuple[Labels, int]]:
    """Return what cuts a tree at a height."""
    of_leaves = leaf_labels(superpixels, tree, mask=mask, n_threads=n_threads)

    def cut_at(height: float) -> tuple[Labels, int]:
        segments = cut_labels(superpixels, tree, height, mask=mask, of_leaves=of_leaves, n_threads=n_threads)
        return segments, tree.n_segments(height)

    return cut_at


def cut(
    superpixels: str,
    tree: Path,
    out: str,
    thresholds: Sequence[float],
    *,
    mask: str | None = None,
    n_threads: int | None = None,
    dry_run: bool = False,
) -> dict[str, Any]:
    """Cut a tree that was kept, and write a segmentation for each threshold."""
    inputs = [superpixels, *([] if mask is None else [mask])]
    files = name_outputs(out, thresholds)
    check_outputs([*files.values()], [*inputs, tree])
    check_same_voxels(inputs)
    merges = MergeTree.load(tree)
    plan = {"superpixels": superpixels, "merges": merges.n_merges, "files": [*files.values()]}
    spacing = common_spacing(None, [superpixels])
    if dry_run:
        return plan
    with step("Reading"):
        labels, keep = read_labels(superpixels), read_maybe(mask)
    origin = imio.provenance({"command": "cut"}, [*inputs, tree])
    return plan | {"cuts": Outputs(files, spacing, origin, labels.size).write(cuts_of(merges, labels, keep, n_threads))}


@dataclass(frozen=True)
class Affinities:
    """That an image holds affinities, channels first."""

    offsets: tuple[tuple[int, ...], ...]
    polarity: str
    convention: str  # of thresholds and quantiles: "affinity" or "distance"


@dataclass(frozen=True)
class Request:
    """What `gala segment` is asked for."""

    image: str
    out: str
    thresholds: tuple[float, ...]
    superpixels: str | None = None
    policy: str = "mean"
    affinities: Affinities | None = None
    pixels: Path | None = None
    extra: Mapping[str, str] = field(default_factory=dict)
    mask: str | None = None
    tree: Path | None = None
    spacing: Lengths | None = None
    n_threads: int | None = None

    @property
    def inputs(self) -> list[str]:
        """The volumes that are given, those without channels first."""
        volumes = (self.superpixels, self.mask, self.image, *self.extra.values())
        return [name for name in volumes if name is not None]

    @property
    def model(self) -> Path | None:
        """The file of a policy that was learned."""
        return learned_file(self.policy)

    @property
    def way(self) -> Segmenter | HandMade:
        """What makes superpixels and merge trees."""
        if self.model is not None:
            segmenter = Segmenter.load(self.model)
            options = {"n_threads": self.n_threads} | ({} if self.spacing is None else {"spacing": self.spacing})
            return segmenter.set_params(**options)
        policy = named_policy("mean" if self.policy in METHODS else in_distances(self.policy, self._convention))
        if self.affinities is None:
            with imio.open(self.image) as volume:
                ndim = sum(axis != "channel" for axis in volume.axes)
            return HandMade(policy, self.spacing, self.n_threads, ndim)
        return FromAffinities(
            policy,
            self.spacing,
            self.n_threads,
            offsets=self.affinities.offsets,
            polarity=self.affinities.polarity,
        )

    @property
    def _convention(self) -> str:
        return "distance" if self.affinities is None else self.affinities.convention

    def priority(self, threshold: float) -> float:
        """Return a threshold as a priority."""
        return as_priority(threshold, "affinity") if self._convention == "affinity" else threshold

    def kind(self, ndim: int) -> Kind:
        """Return what the image, of so many dimensions, and the extra ones are, by what their files say."""
        n_channels_of = {}
        for name, place in {"": self.image, **by_name(self.extra)}.items():
            with imio.open(place) as volume:
                ndim = min(ndim, len(volume.shape))
                n_channels_of[name] = n_channels_in(volume.shape, ndim)
        return Kind(ndim, n_channels_of)

    def read_image(self) -> Array:
        """Read the image; affinities as channels first, or as maps if they are for a model."""
        if self.affinities is None:
            image: Array = imio.read(self.image)
            return image
        first = read_affinities(self.image, len(self.affinities.offsets[0]))
        if self.model is None:
            return first
        return affinity_maps(first, self.affinities.offsets, polarity=self.affinities.polarity)


def segment(request: Request, *, dry_run: bool = False) -> dict[str, Any]:
    """Segment a volume, keep the tree of merges, and write a segmentation for each threshold."""
    inputs, image, out = request.inputs, request.image, request.out
    request = replace(request, spacing=common_spacing(request.spacing, inputs))
    if request.extra and request.model is None:
        raise SettingError(f"--extra is for models that learned from extra images; {request.policy} has none.")
    way, is_tree = request.way, request.policy not in METHODS
    files = name_outputs(out, request.thresholds or (way.threshold_,))
    kept = Path(beside(out, "tree", ".npz")) if request.tree is None else request.tree
    # The weights of GASP are another graph's at each threshold, and so is its tree.
    named = name_outputs(str(kept), [*files]) if request.policy.startswith("gasp") else {}
    trees = {threshold: Path(fn) for threshold, fn in named.items()}
    kept_trees = [kept] if is_tree else [*trees.values()]
    made = beside(out, "superpixels") if request.superpixels is None else None
    check_outputs([*files.values(), *kept_trees, made], [*inputs, request.model, request.pixels])
    if request.affinities is None:
        check_same_voxels(inputs)
        if isinstance(way, Segmenter) and request.pixels is None and way.pixels is None:
            check_kind(request.kind(way.kind_.ndim), way.kind_)
    for threshold in files:
        request.priority(threshold)
    predictor = None if request.pixels is None else load_pixels(request.pixels)
    plan: dict[str, Any] = {"image": image, "policy": request.policy, "files": [*files.values()]}
    plan |= {"superpixels": request.superpixels or made}
    plan |= {"tree": ", ".join(map(str, kept_trees))} if kept_trees else {}
    if dry_run:
        return plan
    with step("Reading"):
        boundary, labels, keep = request.read_image(), read_maybe(request.superpixels), read_maybe(request.mask)
        others = {"extra": {name: imio.read(volume) for name, volume in request.extra.items()}} if request.extra else {}
    parameters = {"command": "segment", "policy": request.policy, "spacing": request.spacing}
    models = [file for file in (request.model, request.pixels) if file is not None]
    origin = imio.provenance(parameters, [*inputs, *models])
    if predictor is not None:
        with step("Making the boundary map", boundary.size):
            boundary = predictor.predict(boundary, n_threads=request.n_threads, progress=bar_on_terminal())
    if made is not None:
        with step(f"Making superpixels and writing {made}", boundary.size):
            labels = way.make_superpixels(boundary, mask=keep)
            imio.write(made, labels, spacing=request.spacing, provenance=origin)
    outputs = Outputs(files, request.spacing, origin, labels.size)
    if not is_tree:
        return plan | {"cuts": outputs.write(_partitions(request, way, boundary, labels, keep, trees))}
    with step("Building the graph, merging, and writing the tree", labels.size):
        merges = way.merge_tree(boundary, labels, mask=keep, **others)
        merges.save(kept)
    cut_at = cuts_of(merges, labels, keep, request.n_threads)
    return plan | {"merges": merges.n_merges, "cuts": outputs.write(lambda t: cut_at(request.priority(t)))}


def _partitions(
    request: Request, way: Any, boundary: Array, labels: Labels, keep: Array | None, trees: Mapping[float, Path]
) -> Callable[[float], tuple[Labels, int]]:
    """Return what partitions the graph, given where attraction ends, and keeps the tree of it, if it has one."""
    with step("Building the graph", labels.size):
        graph, lifted = way.graph(boundary, labels, mask=keep)
    options: dict[str, Any] = {
        "lifted": None if request.policy.startswith("gasp") else lifted,
        "n_threads": request.n_threads,
    }

    def partition_at(threshold: float) -> tuple[Labels, int]:
        found = partition(graph, request.policy, way.policy, bias=request.priority(threshold), **options)
        if found.tree is not None and threshold in trees:
            found.tree.save(trees[threshold])
        return found.segmentation(labels, mask=keep, n_threads=request.n_threads), found.n_segments

    return partition_at
