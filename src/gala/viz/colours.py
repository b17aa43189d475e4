"""Colours of labels: the same label has the same colour in every picture, and neighbours can be told apart."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache

import numpy as np

from gala._types import Array, ArrayLike, Floats, Ints, Labels
from gala.errors import SettingError
from gala.graph.labels import as_labels
from gala.graph.tree import MergeTree
from gala.viz.shown import leaf_positions

N_COLOURS = 32  # a power of 2; the closest two are 0.056 apart, some six times what can just be seen
_apart = 0.08  # how far the colours of neighbours must be, in OKLab

# Linear sRGB to the responses of the cones, and their cube roots to OKLab: B. Ottosson 2020,
# https://bottosson.github.io/posts/oklab/
_to_cones = np.array(
    [
        [0.4122214708, 0.5363325363, 0.0514459929],
        [0.2119034982, 0.6806995451, 0.1073969566],
        [0.0883024619, 0.2817188376, 0.6299787005],
    ]
)
_to_lab = np.array(
    [
        [0.2104542553, 0.7936177850, -0.0040720468],
        [1.9779984951, -2.4285922050, 0.4505937099],
        [0.0259040371, 0.7827717662, -0.8086757660],
    ]
)
# What linear sRGB looks like without the first or the second cone: Machado et al. 2009, doi:10.1109/TVCG.2009.113.
_protanopia = np.array(
    [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]
)
_deuteranopia = np.array(
    [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]
)


@dataclass(frozen=True, eq=False)
class LabelColours:
    """The colour of every label there can be.

    A label has the colour of its hash, whatever else is in the picture: a region keeps its colour at every threshold
    at which it keeps its label. With 32 colours, one pair of neighbours in 32 has one colour; `from_tree` looks for
    others where that would be.

    Parameters
    ----------
    labels : array of int, shape (N,), optional
        Labels that have another colour than that of their hash, increasing.
    numbers : array of int, shape (N,), optional
        Which of the colours of `palette` these have.

    Examples
    --------
    >>> LabelColours()([[0, 7], [7, 2**63]]).tolist()
    [[[51, 187, 221], [17, 136, 204]], [[17, 136, 204], [204, 51, 17]]]
    """

    labels: Labels = field(default_factory=lambda: np.empty(0, dtype=np.uint64))
    numbers: Ints = field(default_factory=lambda: np.empty(0, dtype=np.uint8))

    @classmethod
    def from_tree(cls, superpixels: ArrayLike, tree: MergeTree | None = None) -> LabelColours:
        """Return colours that differ where segments touch in any cut of a merge tree.

        Parameters
        ----------
        superpixels : array of int, shape (M, N, ..., P)
            The leaves of the tree; 0 is background if there is one label more than leaves.
        tree : MergeTree, optional
            By default none of them merge, and 0 is background.

        Returns
        -------
        colours : LabelColours
            Of the superpixels, and so of segments, which are named by their lowest one. Each has the colour of its
            hash if no neighbour with more neighbours has one like it. One that has 32 such neighbours or more may have
            the colour of one of them.

        Notes
        -----
        Time grows with the voxels, and with the contacts in all cuts together, each counted once: 2.4 s for 256³ voxels
        in 15,500 superpixels (November 2026).
        """
        known, positions = leaf_positions(superpixels, tree)
        neighbours = _neighbours_in_any_cut(positions, tree or MergeTree.empty(len(known)))
        chosen = _hashed(known).tolist()
        bits = [1 << colour for colour in range(N_COLOURS)]
        alike = [sum(bits[other] for other in np.flatnonzero(row < _apart)) for row in separations()]
        taken, crowded = [0] * len(known), [0] * len(known)  # colours of neighbours, and those like them, as bits
        for leaf in sorted(range(len(known)), key=lambda leaf: (-len(neighbours[leaf]), leaf)):
            candidates = [(chosen[leaf] + k) % N_COLOURS for k in range(N_COLOURS)]
            different = next((colour for colour in candidates if not taken[leaf] & bits[colour]), chosen[leaf])
            chosen[leaf] = next((colour for colour in candidates if not crowded[leaf] & bits[colour]), different)
            for other in neighbours[leaf]:
                taken[other] |= bits[chosen[leaf]]
                crowded[other] |= alike[chosen[leaf]]
        return cls(known, np.array(chosen, dtype=np.uint8))

    def __call__(self, labels: ArrayLike) -> Array:
        """Return the colours of `labels`, shape (M, ..., P), as uint8 of shape (M, ..., P, 3)."""
        found = as_labels(labels, "labels")
        known, index = np.unique(found, return_inverse=True)
        colours: Array = palette()[self.numbers_of(known)][index.reshape(found.shape)]
        return colours

    def numbers_of(self, labels: Labels) -> Ints:
        """Return which of the colours of `palette` each of `labels` has, uint8 of shape (N,)."""
        numbers = _hashed(labels)
        if len(self.labels):
            at = np.searchsorted(self.labels, labels.astype(self.labels.dtype)).clip(max=len(self.labels) - 1)
            numbers = np.where(self.labels[at] == labels, self.numbers[at], numbers)
        return numbers


@cache
def palette() -> Array:
    """Return 32 colours as far apart as may be, also for the colour-blind, uint8 of shape (32, 3).

    Each is the one of a grid of saturated colours that is farthest from those before, for whichever of normal vision,
    protanopia and deuteranopia sees least of a difference.
    """
    steps = np.arange(0, 256, 17)
    grid = np.stack(np.meshgrid(steps, steps, steps, indexing="ij"), axis=-1).reshape(-1, 3)
    lightness, *hue = _seen(grid)[0].T
    grid = grid[(lightness > 0.42) & (lightness < 0.93) & (np.hypot(*hue) > 0.1)]
    seen = _seen(grid)
    chosen = [int(np.hypot(*seen[0].T[1:]).argmax())]
    nearest = np.full(len(grid), np.inf)
    while len(chosen) < N_COLOURS:
        nearest = np.minimum(nearest, np.linalg.norm(seen - seen[:, chosen[-1:]], axis=-1).min(axis=0))
        chosen.append(int(nearest.argmax()))
    colours: Array = grid[chosen].astype(np.uint8)
    return colours


@cache
def separations() -> Floats:
    """Return how far apart the colours of `palette` are in OKLab, to who sees least of it, shape (32, 32)."""
    seen = _seen(palette())
    distances: Floats = np.linalg.norm(seen[:, :, np.newaxis] - seen[:, np.newaxis], axis=-1).min(axis=0)
    return distances


def _seen(colours: Array) -> Floats:
    """Return OKLab of sRGB, shape (N, 3), for normal vision, protanopia and deuteranopia, shape (3, N, 3)."""
    share = colours / 255
    linear = np.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4)
    views = np.stack([linear, linear @ _protanopia.T, linear @ _deuteranopia.T])
    lab: Floats = np.cbrt(views.clip(0) @ _to_cones.T) @ _to_lab.T
    return lab


def _hashed(labels: Labels) -> Ints:
    """Return a number below 32 for each label: the first bits of SplitMix64, doi:10.1145/2660193.2660195."""
    mixed = labels.astype(np.uint64) + np.uint64(0x9E3779B97F4A7C15)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    numbers: Ints = ((mixed ^ (mixed >> np.uint64(31))) >> np.uint64(59)).astype(np.uint8)  # 5 bits: one of 32
    return numbers


def _neighbours_in_any_cut(positions: Ints, tree: MergeTree) -> list[set[int]]:
    """Return for each leaf the leaves that name segments it touches, itself naming one, in any cut."""
    ever: list[set[int]] = [set() for _ in range(tree.n_leaves)]
    for u, v in _contacts(positions, tree.n_leaves).tolist():
        ever[u].add(v)
        ever[v].add(u)
    now = [set(neighbours) for neighbours in ever]
    for name, absorbed in named_merges(tree):
        for other in now[absorbed] - {name}:
            for u, v in ((name, other), (other, name)):
                ever[u].add(v)
                now[u].add(v)
            now[other].discard(absorbed)
        now[name].discard(absorbed)
        now[absorbed].clear()
    return ever


def named_merges(tree: MergeTree) -> Iterator[tuple[int, int]]:
    """Yield the merges in the order of cuts, as the leaf that names both segments from now on, and that of the other.

    Examples
    --------
    >>> list(named_merges(MergeTree(4, np.array([[1, 3], [2, 4], [0, 5]]), np.array([0.25, 0.5, 0.75]))))
    [(1, 3), (1, 2), (0, 1)]
    """
    lowest = [*range(tree.n_leaves), *[0] * tree.n_merges]
    for k, (u, v) in enumerate(tree.children.tolist()):
        lowest[tree.n_leaves + k] = min(lowest[u], lowest[v])
    for k in np.argsort(tree.height, kind="stable").tolist():
        first, second = sorted(lowest[node] for node in tree.children[k])
        yield first, second


def _contacts(positions: Ints, n_leaves: int) -> Ints:
    """Return the pairs of leaves with a face between them, shape (E, 2)."""
    found = [np.empty(0, dtype=np.int64)]
    for axis in range(positions.ndim):
        along = np.moveaxis(positions, axis, 0)
        before, after = along[:-1], along[1:]
        differ = (before != after) & (before >= 0) & (after >= 0)
        pair = np.stack([before[differ], after[differ]]).astype(np.int64)
        found.append(np.unique(pair.min(axis=0) * n_leaves + pair.max(axis=0)))
    return np.stack(np.divmod(np.unique(np.concatenate(found)), max(n_leaves, 1)), axis=1)


def check_opacity(opacity: float) -> float:
    """Return `opacity` if it is from 0 to 1."""
    if not 0 <= opacity <= 1:
        raise SettingError(f"opacity must be from 0 to 1; got {opacity!r}.")
    return float(opacity)
