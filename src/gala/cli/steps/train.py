"""The steps of `gala train`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from gala import imio
from gala._types import Array
from gala.cli.steps.volumes import (
    Lengths,
    check_outputs,
    check_same_voxels,
    common_spacing,
    read_affinities,
    read_labels,
)
from gala.cli.talk import bar_on_terminal, step
from gala.errors import SettingError
from gala.pipeline import Segmenter
from gala.pipeline.named import affinity_maps


def run(
    model: Path,
    *,
    images: Sequence[str],
    truths: Sequence[str],
    superpixels: Sequence[str] = (),
    offsets: Sequence[Sequence[int]] | None = None,
    polarity: str = "attractive",
    extra: Sequence[tuple[str, str]] = (),
    threshold: str = "auto",
    spacing: Lengths | None = None,
    random_state: int = 0,
    n_threads: int | None = None,
    dry_run: bool = False,
) -> dict[str, Any]:
    """Learn from volumes, and write what was learned."""
    named = {name: [volume for key, volume in extra if key == name] for name, _ in extra}
    others = [(f"--extra {name}=", given) for name, given in named.items()]
    for name, given in (("--truth", truths), ("--superpixels", superpixels), *others):
        if len(given) != len(images) and (given or name == "--truth"):
            raise SettingError(f"{name} must be given once for each --image, {len(images)} times; got {len(given)}.")
    inputs = [*truths, *superpixels, *images, *(volume for _, volume in extra)]
    lengths = common_spacing(spacing, inputs)
    check_outputs([model], inputs)
    # Affinities have channels first, or not: that they fit is found out when they are read.
    of_maps = [images] if offsets is None else []
    for one in zip(truths, *([superpixels] if superpixels else []), *of_maps, *named.values(), strict=True):
        check_same_voxels(one)
    plan: dict[str, Any] = {"volumes": len(images), "file": str(model)}
    segmenter = Segmenter(
        threshold=_threshold(threshold),
        spacing=lengths,
        progress=bar_on_terminal(),
        random_state=random_state,
        n_threads=n_threads,
    )
    if dry_run:
        return plan
    with step("Reading"):
        maps = [_read_map(name, offsets, polarity) for name in images]
        labels = [[read_labels(name) for name in names] for names in (truths, superpixels)]
        raws = [{name: imio.read(each[i]) for name, each in named.items()} for i in range(len(images))]
    with step("Learning", sum(truth.size for truth in labels[0])):
        segmenter.fit(maps, labels[0], labels[1] or None, extra=raws)
    segmenter.save(model)
    held_out = {} if segmenter.held_out_vi_ is None else {"held-out VI": segmenter.held_out_vi_}
    return plan | {"threshold": segmenter.threshold_} | held_out


def _read_map(name: str, offsets: Sequence[Sequence[int]] | None, polarity: str) -> Array:
    if offsets is None:
        image: Array = imio.read(name)
        return image
    return affinity_maps(read_affinities(name, len(offsets[0])), offsets, polarity=polarity)


def _threshold(given: str) -> str | float:
    if given in ("auto", "held-out"):
        return given
    try:
        return float(given)
    except ValueError:
        raise SettingError(f"--threshold must be auto, held-out or a number; got {given!r}.") from None
