"""The steps of `gala view`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from gala import imio, viz
from gala.cli.steps.volumes import Lengths, check_outputs, check_same_voxels, common_spacing, read_labels
from gala.cli.talk import say, step
from gala.graph.tree import MergeTree


def run(
    image: str,
    labels: str,
    *,
    tree: Path | None = None,
    thresholds: Sequence[float] = (),
    viewer: Any = "auto",
    out: Path | None = None,
    spacing: Lengths | None = None,
    dry_run: bool = False,
) -> tuple[dict[str, Any], Callable[[], None]]:
    """Show labels over an image; return what was opened, and what returns when it is closed."""
    check_outputs([out], [image, labels, tree])
    check_same_voxels([labels, image])
    lengths = common_spacing(spacing, [labels, image])
    merges = None if tree is None else MergeTree.load(tree)
    if dry_run:
        return {"viewer": viewer, "place": str(out or "")}, lambda: None
    with imio.open(image) as volume:
        unit = volume.unit
    with step("Reading"):
        arrays = imio.read(image), read_labels(labels)
    shown = viz.view(*arrays, merges, thresholds, viewer=viewer, out=out, spacing=lengths, unit=unit)
    if shown.viewer == "neuroglancer":
        say("Open this link on this computer; Ctrl-C ends it.")
    return {"viewer": shown.viewer, "place": shown.place}, shown.wait
