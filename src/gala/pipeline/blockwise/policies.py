"""What decides merges, as workers get it, and the hash by which a later run knows it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gala.classify.arrays import model_to_arrays
from gala.classify.flat import FlatClassifier
from gala.engine.partition import METHODS
from gala.engine.policy import Policy, as_policy
from gala.errors import PolicyError, SettingError
from gala.features.declared import Declared
from gala.graph.blockwise import dask_module
from gala.graph.caches import Channels, ImageKind
from gala.pipeline.blockwise.inputs import digest
from gala.pipeline.inputs import Kind, check_kind
from gala.pipeline.named import in_distances, learned_file, named_policy
from gala.pipeline.segmenter import Segmenter
from gala.pipeline.strength import Strengths

_IN_BLOCKS = ("sigma", "depth", "min_size", "cell", "halo", "max_halo")
_USUAL = {"method": "watershed", "unit": "voxel", "planes": "together"}  # which is what superpixels in blocks are


@dataclass(frozen=True, slots=True, eq=False)
class Way:
    """A policy, and what goes with it."""

    policy: Policy
    name: str  # for people
    key: str  # other for any other policy
    threshold: float
    in_blocks: bool
    rescore: str = "shared"
    kind: Kind | None = None  # of the images that were learned from
    makes_maps: bool = False  # in memory; images were raw when it learned
    spacing: tuple[float, ...] | None = None  # that it learned with
    superpixel_options: Mapping[str, Any] = field(default_factory=dict)  # of `gala.morpho.superpixels`
    strengths: Strengths | None = None  # of the maps that were learned from

    @property
    def features(self) -> list[Declared]:
        """The managers that the policy needs."""
        return [leaf for leaf in self.policy.needs.leaves() if isinstance(leaf, Declared)]

    def check_kind(self, found: Kind) -> None:
        """Raise an error unless images are like those that were learned from, or have what the policy looks at.

        Raises
        ------
        ShapeError, FeatureError
            If they are not, or one is missing.
        SettingError
            If nothing looks at an extra image.
        """
        if self.kind is not None:
            check_kind(found, self.kind)
            return
        n, *_ = found.n_channels_of.values()
        others = {name: n_channels for name, n_channels in found.n_channels_of.items() if name}
        kind = ImageKind.unit(Channels.all_plain(n).with_extra(n, others), found.ndim)
        layouts = [leaf.layout(kind) for leaf in self.features]
        read = {channel for each in layouts for channel in (*each.region_channels, *each.contact_channels)}
        for name, channels in kind.channels.extra:
            if not read & set(channels):
                raise SettingError(f"policy {self.name} does not look at an extra image {name}; leave it out.")


def way_of(policy: Any, agglomeration: str, convention: str = "distance") -> Way:
    """Return the way to agglomerate that a name, a model or a policy means; quantiles in a name are of a convention.

    Raises
    ------
    PolicyError, SettingError
        If it means none, or the policy needs the voxels of the whole volume.
    """
    if isinstance(policy, str):
        if policy in METHODS:
            raise PolicyError(
                f"policy {policy} partitions the graph of the whole volume at once, which is done in memory only; in "
                "blocks, give a policy that merges pairs, such as mean."
            )
        policy = learned_file(policy) or in_distances(policy, convention)
    if isinstance(policy, Path):
        policy = Segmenter.load(policy)
    if isinstance(policy, Segmenter):
        return _of_segmenter(policy, agglomeration)
    chosen = named_policy(policy) if isinstance(policy, str) else as_policy(policy)
    name = policy if isinstance(policy, str) else repr(chosen)
    if not any(isinstance(leaf, Declared) for leaf in chosen.needs.leaves()):
        raise PolicyError(
            f"policy {name} does not say what it needs to know of contacts; if it looks at voxels, as the median does, "
            "it cannot run in blocks. quantile:0.5 is the median of a histogram."
        )
    key = name if isinstance(policy, str) else _hash_of(policy)
    in_blocks = agglomeration == "blocks" or (agglomeration == "auto" and chosen.reducible)
    return Way(chosen, name, digest(key), 0.5, in_blocks)


def _hash_of(policy: Any) -> str:
    """Return a hash of all that a policy consists of; of a compiled kernel, of its Python code."""
    kernel = getattr(policy, "kernel", None)
    if kernel is None:
        return hashlib.sha256(dask_module("cloudpickle").dumps(policy)).hexdigest()
    code = getattr(kernel, "py_func", kernel).__code__
    after = None if policy.after is None else _hash_of(policy.after)
    numbers = _hash_of(policy.numbers) if callable(policy.numbers) else tuple(policy.numbers)
    described = json.dumps(policy.own_needs.write_fm(), sort_keys=True)
    scorer = _hash_of(policy.scorer) if hasattr(policy, "scorer") else None  # what the columns come from
    return digest(repr(policy), code.co_code, repr(code.co_consts), policy.columns, numbers, described, after, scorer)


def _of_segmenter(segmenter: Segmenter, agglomeration: str) -> Way:
    if not hasattr(segmenter, "learned_"):
        raise SettingError("the segmenter has learned nothing yet; call fit(images, truths), or Segmenter.load(file).")
    learned = segmenter.learned_
    if not isinstance(learned.classifier, FlatClassifier):
        raise PolicyError(
            f"a policy of {type(learned.classifier).__name__} cannot run in blocks, as a later run would not know it "
            "again; see gala.classify.lay_flat for classifiers that can."
        )
    arrays = model_to_arrays(learned.classifier.model)
    hashed = hashlib.sha256(b"".join(name.encode() + arrays[name].tobytes() for name in sorted(arrays)))
    described = json.dumps(learned.features.write_fm(), sort_keys=True)
    return Way(
        policy=learned.policy,
        name="learned",
        key=digest(described, learned.decision, learned.rescore, repr(learned.enclosed), hashed.hexdigest()),
        threshold=segmenter.threshold_,
        in_blocks=agglomeration == "blocks",
        rescore=learned.rescore,
        kind=segmenter.kind_,
        makes_maps=segmenter.pixels is not None,
        spacing=None if segmenter.spacing is None else tuple(segmenter.spacing),
        superpixel_options=segmenter.superpixel_options or {},
        strengths=learned.strengths,
    )


def options_in_blocks(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return options of `gala.morpho.superpixels`, or of `superpixels_of_block`, as those of the latter.

    Raises
    ------
    SettingError
        If superpixels that do not depend on blocks cannot be made so.

    Examples
    --------
    >>> options_in_blocks({"method": "watershed", "depth": 0.1})
    {'depth': 0.1}
    """
    wanted = {name: value for name, value in options.items() if value != _USUAL.get(name)}
    if others := set(wanted) - set(_IN_BLOCKS):
        first = min(others)
        raise SettingError(
            f"superpixels in blocks have the options {', '.join(_IN_BLOCKS)}; got {first}={wanted[first]!r}: leave it "
            "out, or make superpixels first and give them."
        )
    return wanted
