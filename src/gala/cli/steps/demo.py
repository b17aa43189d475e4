"""The steps of the demo: superpixels of one volume agglomerated in several ways, each compared with the truth."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from time import perf_counter
from typing import NamedTuple

import numpy as np

from gala import agglo, evaluate as ev, imio
from gala._types import Labels
from gala.datasets import ExampleVolume
from gala.pipeline.recipe import HISTORIC, Recipe
from gala.pipeline.segmenter import Segmenter
from gala.viz import draw_segmentations, save_figure

_threshold = 0.5
_columns = ("false merges", "false splits", "VI", "Rand F", "segments", "seconds")
_files = {
    "mean at 0.5": "test-mean.lzf.h5",
    "historic recipe": "test-historic.lzf.h5",
    "learned, 1 channel": "test-learned-p1.lzf.h5",
    "learned, 4 channels": "test-learned-p4.lzf.h5",
    "best possible": "test-best.lzf.h5",
}

Say = Callable[[str], None]


class Result(NamedTuple):
    """A segmentation of the test volume."""

    name: str
    segmentation: Labels
    seconds: float | None  # None if nothing had to be done


def run(train: ExampleVolume, test: ExampleVolume, *, out: Path, say: Say) -> str:
    """Compare, write the figure and the segmentations to the folder `out`, and return the table."""
    results = compare(train, test, say=say)
    say("Drawing and writing ...")
    figure = draw_segmentations(
        {result.name: result.segmentation for result in results},
        test.truth,
        {"image": test.image, "boundary map": test.p1},
    )
    save_figure(figure, out / "segmentations.png")
    for result in results:
        if result.name in _files:
            imio.write_h5_stack(result.segmentation, out / _files[result.name], compression="lzf")
    return table(results, test.truth)


def compare(train: ExampleVolume, test: ExampleVolume, *, say: Say) -> list[Result]:
    """Learn on one volume, and segment the other in every way that the demo shows."""
    results = [Result("superpixels", test.superpixels, None)]
    steps: dict[str, Callable[[], Labels]] = {
        "mean at 0.5": lambda: _by_mean(test),
        "historic recipe": lambda: _by_learning(train, test, "p1", HISTORIC),
        "learned, 1 channel": lambda: _by_learning(train, test, "p1"),
        "learned, 4 channels": lambda: _by_learning(train, test, "p4"),
        "best possible": lambda: ev.best_possible_segmentation(test.superpixels, test.truth),
    }
    for name, step in steps.items():
        say(f"Segmenting: {name} ...")
        start = perf_counter()
        segmentation = step()
        results.append(Result(name, segmentation, perf_counter() - start))
    return results


def table(results: Sequence[Result], truth: Labels) -> str:
    """Return the measures of each segmentation as lines of text."""
    lines = [f"{'':20}" + "".join(f"{column:>14}" for column in _columns)]
    for name, segmentation, seconds in results:
        known = ev.contingency_table(segmentation, truth, ignore_gt=[0])
        merges, splits = ev.split_vi(known)
        rand = 1 - ev.adapted_rand_error(known)  # type: ignore[operator]  # one number without all_stats
        spent = "" if seconds is None else f"{seconds:.1f}"
        numbers = (f"{merges:.3f}", f"{splits:.3f}", f"{merges + splits:.3f}", f"{rand:.3f}")
        cells = (*numbers, f"{len(np.unique(segmentation))}", spent)
        lines.append(f"{name:20}" + "".join(f"{cell:>14}" for cell in cells))
    return "\n".join(line.rstrip() for line in lines)


def _by_mean(test: ExampleVolume) -> Labels:
    g = agglo.Rag(test.superpixels, test.p1, merge_priority_function=agglo.boundary_mean, show_progress=_on_terminal())
    g.agglomerate(_threshold)
    return g.get_segmentation()


def _by_learning(train: ExampleVolume, test: ExampleVolume, channels: str, recipe: Recipe | None = None) -> Labels:
    """Learn from the maps of one volume, and segment the other with what was learned."""
    segmenter = Segmenter(recipe, progress="bar" if _on_terminal() else None)
    segmenter.fit(getattr(train, channels), train.truth, train.superpixels)
    return segmenter.predict(getattr(test, channels), test.superpixels)


def _on_terminal() -> bool:
    return sys.stderr.isatty()
