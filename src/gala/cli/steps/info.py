"""The steps of `gala info`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from gala import imio
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
    try:
        tree = MergeTree.load(name)
    except FileError as not_a_tree:
        try:
            segmenter = Segmenter.load(name)
        except FileError as error:
            raise FileError(f"{name} holds neither a merge tree ({not_a_tree}) nor a model ({error}).") from error
        return {
            "holds": "model",
            "dimensions": segmenter.ndim_,
            "channels": segmenter.n_channels_of_,
            "threshold": segmenter.threshold_,
            "provenance": segmenter.provenance_,
        }
    heights = tree.height
    finite = {} if not tree.n_merges else {"lowest": float(heights.min()), "highest": float(heights.max())}
    return {"holds": "merge tree", "leaves": tree.n_leaves, "merges": tree.n_merges} | finite
