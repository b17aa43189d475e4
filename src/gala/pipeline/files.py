"""A fitted segmenter in one file: arrays and JSON in a NumPy archive, none of which is ever executed."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import fields
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import numpy as np

from gala import classify
from gala._files import FileName, read_archive, write_archive
from gala._types import Array
from gala.classify.arrays import model_from_arrays, model_to_arrays
from gala.classify.flat import FlatClassifier
from gala.errors import ClassifierError, FileError, SettingError
from gala.features.base import Null
from gala.features.io import create_fm
from gala.features.program import output_names
from gala.graph.caches import Channels, ImageKind
from gala.pipeline.recipe import DECISIONS, Learned, Recipe
from gala.pipeline.strength import Strengths

FORMAT = 1
_PREFIX = "model_"


class Stored(NamedTuple):
    """What a file holds."""

    learned: Learned
    threshold: float
    ndim: int
    n_channels_of: dict[str, int]  # of each image; the name of the main one is empty
    pixels: Any  # what made the boundary maps, or None
    parameters: dict[str, Any]
    provenance: dict[str, Any]


def write_segmenter(fn: FileName, stored: Stored) -> None:
    """Write what was learned to `fn`, which only a complete file replaces.

    Raises
    ------
    ClassifierError
        If the classifier cannot be laid flat.
    FileError
        If the file cannot be written.
    """
    learned = stored.learned
    if not isinstance(learned.classifier, FlatClassifier):
        raise ClassifierError(
            f"a segmenter is saved with its classifier laid flat, which {type(learned.classifier).__name__} cannot be; "
            "see gala.classify.lay_flat for those that can."
        )
    settings = stored._asdict() | {
        "pixels": None if stored.pixels is None else repr(stored.pixels),
        "learned": {
            "features": learned.features.write_fm(),
            "decision": learned.decision,
            "rescore": learned.rescore,
            "threshold": learned.threshold,
            "strengths": learned.strengths,
            "enclosed": learned.enclosed,
            "provenance": learned.provenance,
        },
    }
    arrays = {_PREFIX + name: array for name, array in model_to_arrays(learned.classifier.model).items()}
    if isinstance(stored.pixels, classify.PixelClassifier):
        arrays["pixels"] = _through_file(stored.pixels.save)
    write_archive(fn, FORMAT, {"settings": np.array(json.dumps(settings)), **arrays})


def read_segmenter(fn: FileName, pixels: Any = None) -> Stored:
    """Read what `write_segmenter` wrote.

    Raises
    ------
    FileError
        If the file is missing, damaged, no segmenter, or from a newer version.
    SettingError
        If it does not hold what made its maps, and that is not given as `pixels`.
    """
    stored = read_archive(fn, "a segmenter", FORMAT, _from_arrays, mark="settings")
    if isinstance(stored.pixels, str) and pixels is None:
        raise SettingError(f"{fn} learned from maps that pixels made; load it with pixels=..., once {stored.pixels}.")
    return stored if pixels is None else stored._replace(pixels=pixels)


def _through_file(save: Callable[[Path], None]) -> Array:
    """Return the bytes that `save` writes to a file, as uint8."""
    with TemporaryDirectory() as folder:
        save(Path(folder, "a.npz"))
        return np.frombuffer(Path(folder, "a.npz").read_bytes(), dtype=np.uint8)


def _pixels_of(stored: Array) -> Any:
    with TemporaryDirectory() as folder:
        Path(folder, "a.npz").write_bytes(stored.astype(np.uint8).tobytes())
        return classify.PixelClassifier.load(Path(folder, "a.npz"))


def _from_arrays(arrays: Mapping[str, Array]) -> Stored:
    settings = json.loads(str(arrays["settings"]))
    described = settings.pop("learned")
    model = model_from_arrays({name.removeprefix(_PREFIX): arrays[name] for name in arrays if name.startswith(_PREFIX)})
    if described["decision"] not in DECISIONS:
        raise FileError(f"there is no decision named {described['decision']!r}")
    features = create_fm(described.pop("features"))
    if described.get("strengths") is not None:
        described["strengths"] = Strengths(*described["strengths"])
    recipe = settings["parameters"].get("recipe")
    settings["parameters"]["recipe"] = None if recipe is None else Recipe(**recipe)
    stored = Stored(learned=Learned(features, FlatClassifier(model), **described), **settings)
    if "pixels" in arrays:
        stored = stored._replace(pixels=_pixels_of(arrays["pixels"]))
    n_features = len(output_names(features, _kind(stored)))
    if n_features != model.shift.size:
        raise FileError(f"its model is one of {model.shift.size} features, and there are {n_features}")
    return stored


def _kind(stored: Stored) -> ImageKind:
    """Return the kind of the images, but for the size of their voxels."""
    n, *others = stored.n_channels_of.values()
    ends = np.cumsum([n, *others]).tolist()
    names = [name for name in stored.n_channels_of if name]
    extra = tuple((name, tuple(range(ends[i], ends[i + 1]))) for i, name in enumerate(names))
    return ImageKind.unit(Channels(tuple(range(n)), extra=extra), stored.ndim)


def json_of(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Return those of `parameters` that can be written as JSON; recipes and feature managers as descriptions.

    Examples
    --------
    >>> json_of({"spacing": (40, np.float64(4)), "recipe": object()})
    {'spacing': [40, 4.0]}
    """
    found = {name: _plain(value) for name, value in parameters.items()}
    return {name: value for name, value in found.items() if _is_json(value)}


def _plain(value: Any) -> Any:
    """Return a parameter with NumPy's numbers, tuples, mappings and feature managers as what JSON has for them."""
    if isinstance(value, Recipe):
        return json_of({each.name: getattr(value, each.name) for each in fields(value)})
    if isinstance(value, Null):
        return value.write_fm()
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, Mapping):
        return {key: _plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple | np.ndarray):
        return [_plain(each) for each in value]
    return value


def _is_json(value: Any) -> bool:
    try:
        json.dumps(value)
    except (TypeError, ValueError):
        return False
    return True
