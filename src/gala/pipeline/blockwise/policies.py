"""What decides merges, as workers get it, and the name by which a later run knows it."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gala.classify.arrays import model_to_arrays
from gala.engine.policy import Policy, as_policy
from gala.errors import PolicyError, SettingError, ShapeError
from gala.features.declared import Declared
from gala.graph.blockwise import dask_module
from gala.pipeline.blockwise.inputs import digest
from gala.pipeline.named import named_policy
from gala.pipeline.segmenter import Segmenter

_learned = "learned:"


@dataclass(frozen=True, slots=True, eq=False)
class Way:
    """A policy, and what goes with it."""

    policy: Policy
    name: str  # for people
    key: str  # other for any other policy
    threshold: float
    in_blocks: bool
    rescore: str = "shared"
    n_channels: int | None = None  # that the image must have

    def check_channels(self, axes: tuple[int, ...]) -> None:
        """Raise an error unless an image with these axes after those of space is what the policy learned from.

        Raises
        ------
        ShapeError
            If it is not.
        """
        n = axes[0] if axes else 1
        if self.n_channels is not None and n != self.n_channels:
            raise ShapeError(f"image must have the {self.n_channels} channels that were learned from; got {n}.")


def way_of(policy: Any, agglomeration: str) -> Way:
    """Return the way to agglomerate that a name, a model or a policy means.

    Raises
    ------
    PolicyError, SettingError
        If it means none, or the policy needs the voxels of the whole volume.
    """
    if isinstance(policy, str) and policy.startswith(_learned):
        policy = Path(policy.removeprefix(_learned))
    if isinstance(policy, Path):
        policy = Segmenter.load(policy)
    if isinstance(policy, Segmenter):
        return _of_segmenter(policy, agglomeration)
    chosen = named_policy(policy) if isinstance(policy, str) else as_policy(policy)
    name = policy if isinstance(policy, str) else repr(chosen)
    _check_needs(chosen, name)
    pickled = dask_module("cloudpickle").dumps(policy)
    in_blocks = agglomeration == "blocks" or (agglomeration == "auto" and chosen.reducible)
    return Way(chosen, name, digest(name, hashlib.sha256(pickled).hexdigest()), 0.5, in_blocks)


def _of_segmenter(segmenter: Segmenter, agglomeration: str) -> Way:
    if not hasattr(segmenter, "learned_"):
        raise SettingError(
            "the segmenter has learned nothing yet; call its fit(images, truths), or Segmenter.load(file)."
        )
    if len(segmenter.n_channels_of_) > 1:
        raise SettingError("segmenters that learned from extra images do not run in blocks; use Segmenter.predict.")
    learned = segmenter.learned_
    hashed = hashlib.sha256()
    model = getattr(learned.classifier, "model", None)
    if model is None:
        raise PolicyError("a classifier that cannot be laid flat cannot be known again by a later run; use another.")
    for name, array in sorted(model_to_arrays(model).items()):
        hashed.update(name.encode() + array.tobytes())
    described = json.dumps(learned.features.write_fm(), sort_keys=True)
    return Way(
        policy=learned.policy,
        name="learned",
        key=digest(described, learned.decision, hashed.hexdigest()),
        threshold=segmenter.threshold_,
        in_blocks=agglomeration == "blocks",
        rescore=learned.rescore,
        n_channels=segmenter.n_channels_of_[""],
    )


def _check_needs(policy: Policy, name: str) -> None:
    if not any(isinstance(leaf, Declared) for leaf in policy.needs.leaves()):
        raise PolicyError(
            f"policy {name} says nothing of what it needs to know of contacts; if it looks at voxels, as the median does, "
            "it cannot run in blocks. quantile:0.5 is a median of a histogram."
        )
