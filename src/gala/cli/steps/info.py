"""The steps of `gala info`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from gala import imio
from gala.classify import PixelClassifier
from gala.errors import FileError
from gala.graph.tree import MergeTree
from gala.pipeline import Segmenter


def describe(name: str) -> dict[str, Any]:
    """Return what there is to say of a file."""
    if Path(name).suffix == ".npz":
        return {"path": name} | _describe_archive(name)
    with imio.open(name) as volume:
        facts = {key: value for key, value in volume.describe().items() if value is not None}
        origin = volume.attributes.get("provenance")
    return facts if origin is None else facts | {"provenance": origin}


def _describe_archive(name: str) -> dict[str, Any]:
    reasons = []
    for describe_as in (_tree, _segmenter, _pixels):
        try:
            return describe_as(name)
        except FileError as error:
            reasons.append(error)
    newest = next((reason for reason in reasons if "this version reads up to" in str(reason)), None)
    raise newest or FileError(
        f"{name} holds neither a merge tree nor a segmenter nor a pixel classifier; is it damaged?"
    )


def _tree(name: str) -> dict[str, Any]:
    tree = MergeTree.load(name)
    finite = {} if not tree.n_merges else {"lowest": float(tree.height.min()), "highest": float(tree.height.max())}
    return {"holds": "merge tree", "leaves": tree.n_leaves, "merges": tree.n_merges} | finite


def _segmenter(name: str) -> dict[str, Any]:
    segmenter = Segmenter.load(name)
    return {
        "holds": "segmenter",
        "dimensions": segmenter.kind_.ndim,
        "channels": segmenter.kind_.n_channels_of,
        "threshold": segmenter.threshold_,
        "provenance": segmenter.provenance_,
    }


def _pixels(name: str) -> dict[str, Any]:
    pixels = PixelClassifier.load(name)
    return {"holds": "pixel classifier", **pixels.image_, "classes": pixels.classes_.tolist(), **pixels.get_params()}
