"""Learning from volumes: their graphs, what a recipe makes of them, and a threshold from those that were held out."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from tqdm.auto import tqdm

from gala._types import Labels
from gala.engine.agglomerate import agglomerate
from gala.errors import LabelError, SettingError
from gala.evaluate.curves import Curve, curve
from gala.graph.overlaps import volume_overlaps
from gala.graph.voxels import map_labels, present_labels
from gala.pipeline.graphs import graph_of
from gala.pipeline.inputs import Given
from gala.pipeline.recipe import Learned, Recipe, VolumeGraph

Progress: TypeAlias = Callable[[int, int], Any]
Lesson: TypeAlias = tuple[VolumeGraph, Sequence[Labels]]


@dataclass(frozen=True, slots=True)
class Training:
    """A recipe, and what is the same for all volumes."""

    recipe: Recipe
    spacing: Sequence[float] | None
    random_state: int | None
    n_threads: int | None
    on_epoch: Callable[[int], None]

    def lesson(self, volume: Given) -> Lesson:
        """Return the graph of the superpixels that truth knows something of, and the truths."""
        labels, threads = volume.superpixels, {"n_threads": self.n_threads}
        assert labels is not None  # the estimator makes them
        known = np.any([truth != 0 for truth in volume.truths], axis=0)
        if volume.mask is not None:
            known &= volume.mask
        taught = present_labels(labels, mask=known, **threads)
        if not len(taught):
            raise LabelError("truth must label some voxels; it is 0, which means unknown, everywhere.")
        present = present_labels(labels, mask=volume.mask, **threads)
        if len(taught) < len(present):
            is_taught = np.isin(present, taught).astype(np.uint8)
            mask = map_labels(labels, present, is_taught, mask=volume.mask, n_threads=self.n_threads) != 0
            volume = volume._replace(mask=mask)
        features = self.recipe.feature_map(list(volume.extra))
        return graph_of(volume, features, spacing=self.spacing, **threads), volume.truths

    def learn(self, lessons: Sequence[Lesson]) -> Learned:
        """Return what the recipe makes of lessons."""
        graphs, truths = zip(*lessons, strict=True)
        return self.recipe.fit(
            graphs, truths, random_state=self.random_state, n_threads=self.n_threads, on_epoch=self.on_epoch
        )

    def hold_out(self, volumes: Sequence[Given]) -> tuple[float, float]:
        """Return the threshold that is best where nothing was learned from, and the VI there.

        Every second volume is held out, then the others; of a single one, each half.

        Raises
        ------
        SettingError
            If there is too little truth to do so.
        """
        parts = volumes if len(volumes) > 1 else list(volumes[0].halves())
        try:
            lessons = [self.lesson(part) for part in parts]
            curves = []
            for fold, others in ((lessons[::2], lessons[1::2]), (lessons[1::2], lessons[::2])):
                learned = self.learn(others)
                curves += [one for lesson in fold for one in self._curves(learned, *lesson)]
        except LabelError as error:
            raise SettingError(
                f'threshold="held-out" learns from half of the volumes, or of a volume, at a time; here {error} '
                'Give more volumes, or threshold="auto".'
            ) from error
        return best_threshold(curves)

    def _curves(self, learned: Learned, scene: VolumeGraph, truths: Sequence[Labels]) -> list[Curve]:
        """Return what each cut of a volume is worth by each of its truths."""
        tree = agglomerate(scene.graph, learned.policy, rescore=learned.rescore, n_threads=self.n_threads)
        overlaps = [volume_overlaps(scene.volume, truth, "truth", n_threads=self.n_threads) for truth in truths]
        return [curve(tree, each, labels=scene.graph.labels) for each in overlaps]


def best_threshold(curves: Sequence[Curve]) -> tuple[float, float]:
    """Return the threshold of least VI, mean over curves, and that VI.

    VI changes only where merges are made: of the thresholds between two merges that are equally good, it is the middle.

    Examples
    --------
    >>> from gala.graph.tree import MergeTree
    >>> tree = MergeTree(3, np.array([[0, 1], [2, 3]]), np.array([0.25, 0.5]))
    >>> best_threshold([curve(tree, [1, 2, 3, 3], [7, 7, 8, 8])])
    (0.375, 0.0)
    """
    thresholds = np.unique(np.concatenate([each.threshold for each in curves]))
    total = np.zeros(len(thresholds))
    for each in curves:
        total += each.vi[np.searchsorted(each.threshold, thresholds, side="right") - 1]
    best = int(total.argmin())
    last = best
    while last + 1 < len(total) and total[last + 1] == total[best]:
        last += 1
    low = thresholds[best]
    high = thresholds[last + 1] if last + 1 < len(thresholds) else low
    finite = [bound for bound in (low, high) if np.isfinite(bound)]
    if not finite:
        return float(low), float(total[best] / len(curves))
    # Below the first merge there is no lower bound: stay just below it.
    chosen = np.nextafter(finite[-1], -np.inf) if low == -np.inf else sum(finite) / len(finite)
    return float(chosen), float(total[best] / len(curves))


@contextmanager
def steps(progress: str | Progress | None, n_steps: int) -> Iterator[Callable[[int], None]]:
    """Yield what is to be called at the end of each of `n_steps` steps of learning.

    Raises
    ------
    SettingError
        If `progress` is not "bar", a function or None.
    """
    if callable(progress):
        tell, done = progress, iter(range(1, n_steps + 1))
        yield lambda _: tell(next(done), n_steps)
    elif progress in (None, "bar"):
        with tqdm(total=n_steps, desc="learning", unit="epoch", disable=progress is None) as bar:
            yield lambda _: _advance(bar)
    else:
        raise SettingError(f'progress must be "bar", a function or None; got {progress!r}.')


def _advance(bar: Any) -> None:
    bar.update()
