"""The steps of `gala pixels`, and what other commands do with a model of pixels."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol

from gala._types import Array


class Predictor(Protocol):
    """What makes a boundary map of an image."""

    def predict(self, image: Array) -> Array:
        """Return the map, channels last."""


def load_pixels(fn: Path) -> Predictor:
    """Load a model of pixels: one of ours, or any in the ONNX format."""
    from gala import classify

    model: Any = classify.OnnxModel(fn) if fn.suffix == ".onnx" else classify.PixelClassifier.load(fn)
    found: Predictor = model
    return found
