"""The steps of `gala evaluate`: read volumes by name, compare, write what was found."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import numpy as np

from gala import imio
from gala._files import replacing
from gala._types import Array
from gala.cli.steps.volumes import Lengths, common_spacing
from gala.errors import ShapeError
from gala.evaluate import run_lengths
from gala.graph.labels import as_labels
from gala.graph.tree import MergeTree
from gala.viz.evaluation import evaluation_report
from gala.viz.report import Report

_printed = ("metrics", "best_thresholds", "breakdown")


def run(
    seg: str,
    truth: str,
    *,
    tree: Path | None = None,
    threshold: float | None = None,
    image: str | None = None,
    spacing: Lengths | None = None,
    tolerance: float | None = None,
    skeletons: Sequence[Path] = (),
    merge_threshold: float = 0,
    report: Path | None = None,
    json_file: Path | None = None,
) -> str:
    """Compare two volumes, write the files that are asked for, both or none, and return tables of text."""
    names = {"segmentation": seg, "truth": truth} | ({} if image is None else {"image": image})
    lengths = common_spacing(spacing, [*names.values()])
    as_text = json_file != Path("-")
    kept = (report, json_file if as_text else None)
    with ExitStack() as both:  # entered first, so that a wrong name is known at once
        new_page, new_json = (None if fn is None else both.enter_context(replacing(fn)) for fn in kept)
        volumes = {key: imio.read(name) for key, name in names.items()}
        for key in ("segmentation", "truth"):
            volumes[key] = as_labels(volumes[key], names[key])
        _check_shapes(volumes, names)
        neurons = imio.read_swc(skeletons) if skeletons else None
        found = evaluation_report(
            volumes["segmentation"],
            volumes["truth"],
            tree=None if tree is None else MergeTree.load(tree),
            threshold=np.inf if threshold is None else threshold,
            image=volumes.get("image"),
            spacing=lengths,
            tolerance=tolerance,
            runs=neurons
            and run_lengths(neurons, volumes["segmentation"], spacing=lengths, merge_threshold=merge_threshold),
            title=f"{_short(seg)} against {_short(truth)}",
        )
        facts = names | ({} if tree is None else {"tree": str(tree)}) | dict(found.facts)
        found = replace(found, facts=facts)
        _write(found, new_page, new_json)
    if not as_text:
        return found.to_json()
    return "\n\n".join(table.to_text() for table in found.tables if table.key in _printed)


def _check_shapes(volumes: dict[str, Array], names: dict[str, str]) -> None:
    expected = volumes["truth"].shape
    for key, volume in volumes.items():
        if volume.shape != expected:
            raise ShapeError(f"{names[key]} must have the shape of {names['truth']}, {expected}; got {volume.shape}.")


def _short(name: str) -> str:
    return Path(name).name


def _write(found: Report, page: Path | None, json: Path | None) -> None:
    if page is not None:
        found.save_html(page)
    if json is not None:
        found.save_json(json)
