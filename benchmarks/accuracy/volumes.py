"""Pairs of volumes, one to learn from and one to judge by, in groups.

"halves" are those of the training crop of the example data along each axis, in both orders; "forward" is training crop
and test crop, "backward" the reverse, and neither may have a part in any choice. The others are synthetic: "mixed",
"good", "noisy", "gaps" and "thin" as in `gala.datasets.synthetic`, and "coarse", which keeps every third plane.
"""

from __future__ import annotations

from dataclasses import fields, replace
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from gala import datasets

KINDS = ("good", "noisy", "gaps", "thin")
GROUPS = ("halves", "mixed", "coarse", *KINDS, "forward", "backward")


class Pair(NamedTuple):
    group: str
    number: int


def pairs_of(group, n_pairs=None):
    """Return the pairs of a group; at most `n_pairs`."""
    n = {"halves": 6, "mixed": 4, "coarse": 4, "forward": 1, "backward": 1}.get(group, 5)
    return [Pair(group, i) for i in range(n if n_pairs is None else min(n, n_pairs))]


@lru_cache(4)
def read_pair(pair, folder):
    """Return both volumes of a pair, and the size of their voxels."""
    group, i = pair
    if group == "halves":
        volume = datasets.read_example(folder)["train"]
        axis, order = divmod(i, 2)
        n = volume.truth.shape[axis] // 2
        parts = [part_of(volume, (*[np.s_[:]] * axis, where)) for where in (np.s_[:n], np.s_[n:])]
        return parts[:: -1 if order else 1], None
    if group in ("forward", "backward"):
        volumes = list(datasets.read_example(folder).values())
        return volumes[:: 1 if group == "forward" else -1], None
    if group == "mixed":
        return [datasets.synthetic((32, 72, 72), seed=11 + 2 * i + side) for side in range(2)], None
    if group == "coarse":
        parts = [datasets.synthetic((48, 64, 64), seed=11 + 2 * i + side) for side in range(2)]
        return [part_of(part, np.s_[::3]) for part in parts], (3, 1, 1)
    return [datasets.synthetic((48, 96, 96), kind=group, seed=i + side) for side in (0, 100)], None


def part_of(volume, where):
    """Return a part of each image of a volume."""
    return replace(volume, **{field.name: getattr(volume, field.name)[where] for field in fields(volume)})
