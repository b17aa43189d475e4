"""The steps of `gala pixels`, and what other commands do with a model of pixels."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Protocol

from gala import classify, imio, morpho
from gala._types import Array
from gala.cli.steps.volumes import Lengths, check_outputs, check_same_voxels, common_spacing, read_labels
from gala.cli.talk import bar_on_terminal, step
from gala.errors import SettingError


class Predictor(Protocol):
    """What makes a boundary map of an image."""

    def predict(self, image: Any, *, n_threads: int | None = None, progress: Any = None) -> Array:
        """Return the map, channels last."""


def load_pixels(fn: Path) -> Predictor:
    """Load a model of pixels: one of ours, or any in the ONNX format."""
    model: Any = classify.OnnxModel(fn) if fn.suffix == ".onnx" else classify.PixelClassifier.load(fn)
    found: Predictor = model
    return found


def train(
    model: Path,
    *,
    images: Sequence[str],
    labels: Sequence[str],
    dense: bool = False,
    reach: str = "volume",
    spacing: Lengths | None = None,
    n_threads: int | None = None,
    dry_run: bool = False,
) -> dict[str, Any]:
    """Learn boundary maps from painted voxels, and write what was learned."""
    if len(labels) != len(images):
        raise SettingError(f"--labels must be given once for each --image, {len(images)} times; got {len(labels)}.")
    inputs = [*labels, *images]
    lengths = common_spacing(spacing, inputs)
    check_outputs([model], inputs)
    for pair in zip(labels, images, strict=True):
        check_same_voxels(pair)
    plan: dict[str, Any] = {"volumes": len(images), "file": str(model)}
    if dry_run:
        return plan
    with step("Reading"):
        painted = [read_labels(name) for name in labels]
    if dense:
        painted = [morpho.boundary_labels(truth) for truth in painted]
    with ExitStack() as opened, step("Learning"):
        volumes = [opened.enter_context(imio.open(name)) for name in images]
        found = classify.PixelClassifier(reach=reach, spacing=lengths).fit(volumes, painted, n_threads=n_threads)
    found.save(model)
    counts = {str(label): int(sum((paint == label).sum() for paint in painted)) for label in found.classes_}
    return plan | {"labelled": counts}


def predict(
    model: Path, image: str, out: str, *, n_threads: int | None = None, dry_run: bool = False
) -> dict[str, Any]:
    """Make the boundary map of an image, and write it."""
    check_outputs([out], [image, model])
    predictor = load_pixels(model)
    lengths = common_spacing(None, [image])
    plan: dict[str, Any] = {"image": image, "file": out}
    with imio.open(image) as volume:
        if dry_run:
            return plan
        with step("Predicting", volume.size):
            found = predictor.predict(volume, n_threads=n_threads, progress=bar_on_terminal())
    origin = imio.provenance({"command": "pixels predict"}, [image, model])
    with step(f"Writing {out}", found.size):
        imio.write(out, found, spacing=lengths, provenance=origin)
    return plan | {"mean": float(found.mean())}
