"""The steps of `gala segment` and `gala cut`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
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
    read_labels,
    read_maybe,
)
from gala.cli.talk import step
from gala.graph.segments import cut_labels, leaf_labels
from gala.graph.tree import MergeTree
from gala.pipeline import Segmenter
from gala.pipeline.named import HandMade, named_policy

_learned = "learned:"


@dataclass(frozen=True)
class Cuts:
    """Segmentations to be written, one for each threshold."""

    files: dict[float, str]
    spacing: Lengths | None
    n_threads: int | None

    def write(
        self, superpixels: Labels, tree: MergeTree, origin: Mapping[str, Any], mask: Array | None = None
    ) -> list[dict[str, Any]]:
        """Write each, and return what there is to say of it."""
        of_leaves = leaf_labels(superpixels, tree, mask=mask, n_threads=self.n_threads)
        options: dict[str, Any] = {"of_leaves": of_leaves, "mask": mask, "n_threads": self.n_threads}
        found = []
        for threshold, fn in self.files.items():
            with step(f"Cutting at {threshold:g} and writing {fn}", superpixels.size):
                segments = cut_labels(superpixels, tree, threshold, **options)
                made_by = {**origin, "parameters": {**origin["parameters"], "threshold": threshold}}
                imio.write(fn, segments, spacing=self.spacing, provenance=made_by)
            found.append({"threshold": threshold, "segments": tree.n_segments(threshold), "file": fn})
        return found


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
    cuts = Cuts(files, common_spacing(None, [superpixels]), n_threads)
    if dry_run:
        return plan
    with step("Reading"):
        labels, keep = read_labels(superpixels), read_maybe(mask)
    origin = imio.provenance({"command": "cut"}, [*inputs, tree])
    return plan | {"cuts": cuts.write(labels, merges, origin, keep)}


def segment(
    image: str,
    out: str,
    thresholds: Sequence[float],
    *,
    superpixels: str | None = None,
    policy: str = "mean",
    pixels: Path | None = None,
    mask: str | None = None,
    tree: Path | None = None,
    spacing: Lengths | None = None,
    n_threads: int | None = None,
    dry_run: bool = False,
) -> dict[str, Any]:
    """Segment a volume, keep the tree of merges, and write a segmentation for each threshold."""
    inputs = [name for name in (superpixels, mask, image) if name is not None]
    model = Path(policy.removeprefix(_learned)) if policy.startswith(_learned) else None
    lengths = common_spacing(spacing, inputs)
    way = _way(policy, model, lengths, n_threads)
    files = name_outputs(out, tuple(thresholds) or (way.threshold_,))
    kept = Path(beside(out, "tree", ".npz")) if tree is None else tree
    made = beside(out, "superpixels") if superpixels is None else None
    check_outputs([*files.values(), kept, made], [*inputs, model, pixels])
    check_same_voxels(inputs)
    predictor = None if pixels is None else load_pixels(pixels)
    plan: dict[str, Any] = {"image": image, "policy": policy, "tree": str(kept), "files": [*files.values()]}
    plan |= {"superpixels": superpixels or made}
    if dry_run:
        return plan
    with step("Reading"):
        boundary, labels, keep = imio.read(image), read_maybe(superpixels), read_maybe(mask)
    parameters = {"command": "segment", "policy": policy, "spacing": lengths}
    origin = imio.provenance(parameters, [*inputs, *(file for file in (model, pixels) if file is not None)])
    if predictor is not None:
        with step("Making the boundary map", boundary.size):
            boundary = predictor.predict(boundary)
    if made is not None:
        with step(f"Making superpixels and writing {made}", boundary.size):
            labels = way.make_superpixels(boundary, mask=keep)
            imio.write(made, labels, spacing=lengths, provenance=origin)
    with step("Building the graph, merging, and writing the tree", labels.size):
        merges = way.merge_tree(boundary, labels, mask=keep)
        merges.save(kept)
    return plan | {
        "merges": merges.n_merges,
        "cuts": Cuts(files, lengths, n_threads).write(labels, merges, origin, keep),
    }


def _way(policy: str, model: Path | None, spacing: Lengths | None, n_threads: int | None) -> Segmenter | HandMade:
    if model is None:
        return HandMade(named_policy(policy), spacing, n_threads)
    segmenter = Segmenter.load(model)
    segmenter.n_threads = n_threads
    if spacing is not None:
        segmenter.spacing = spacing
    return segmenter
