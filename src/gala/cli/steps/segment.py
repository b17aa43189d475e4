"""The steps of `gala segment` and `gala cut`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gala import imio
from gala._types import Labels
from gala.cli.steps.volumes import (
    check_can_write,
    check_same_voxels,
    common_spacing,
    name_outputs,
    read_labels,
    refuse_overwriting_inputs,
    shapes_of,
)
from gala.cli.talk import step
from gala.graph.segments import cut_labels, leaf_labels
from gala.graph.tree import MergeTree


@dataclass(frozen=True)
class Cuts:
    """What is written: segmentations at several thresholds, and how they came to be."""

    files: dict[float, str]
    spacing: tuple[float, ...] | None
    provenance: dict[str, Any]
    n_threads: int | None

    def write(self, superpixels: Labels, tree: MergeTree) -> list[dict[str, Any]]:
        """Write each segmentation, and return what there is to say of it."""
        of_leaves = leaf_labels(superpixels, tree)
        found = []
        for threshold, fn in self.files.items():
            with step(f"Cutting at {threshold:g} and writing {fn}", superpixels.size):
                segments = cut_labels(superpixels, tree, threshold, of_leaves=of_leaves, n_threads=self.n_threads)
                origin = self.provenance | {"threshold": threshold}
                imio.write(fn, segments, spacing=self.spacing, provenance=origin)
            found.append({"threshold": threshold, "segments": tree.n_segments(threshold), "file": fn})
        return found


def cut(
    superpixels: str,
    tree: Path,
    out: str,
    thresholds: Sequence[float],
    *,
    n_threads: int | None = None,
    dry_run: bool = False,
) -> dict[str, Any]:
    """Cut a tree that was kept, and write a segmentation for each threshold."""
    files = name_outputs(out, thresholds)
    refuse_overwriting_inputs([*files.values()], [superpixels, tree])
    check_can_write([*files.values()])
    merges = MergeTree.load(tree)
    spacing = common_spacing(None, [superpixels])
    plan = {"superpixels": superpixels, "tree": str(tree), "merges": merges.n_merges, "files": [*files.values()]}
    if dry_run:
        shapes_of([superpixels])
        return plan
    with step("Reading"):
        labels = read_labels(superpixels)
    origin = imio.provenance({"command": "cut"}, {"superpixels": superpixels, "tree": tree})
    return plan | {"cuts": Cuts(files, spacing, origin, n_threads).write(labels, merges)}
