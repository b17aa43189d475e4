"""Compare combinations of feature managers: learn on one volume, agglomerate another, and measure VI against the truth.

    python benchmarks/accuracy/features.py FOLDER [name ...]

FOLDER holds the example data (`gala example-data`), of which only the training crop is used: it is halved along each
axis, and each half learned from and tested on in turn. Of synthetic volumes, one is learned from and another tested on;
"coarse" ones keep every third plane. Each run has its own seed, and all combinations see the same runs.
"""

from __future__ import annotations

import sys
from dataclasses import fields, replace
from itertools import product
from pathlib import Path

import numpy as np

from gala import datasets
from gala.agglo import Rag, classifier_probability
from gala.classify import DefaultRandomForest
from gala.evaluate import split_vi
from gala.features import (
    axes,
    contact,
    default,
    extrema,
    graph,
    histogram,
    inclusion,
    moments,
    orientation,
    shape,
    squiggliness,
)
from gala.features.base import Composite


def of_raw():
    """Return what reads the raw image."""
    return [moments.Manager(image="raw"), histogram.Manager(8, image="raw")]


def with_basic(*managers):
    """Return these managers and the basic ones."""
    return Composite([*default.basic().children, *managers])


def with_snemi3d(*managers):
    """Return these managers and those of SNEMI3D."""
    return Composite([*default.snemi3d().children, *managers])


COMBINATIONS = {
    "basic": default.basic(),
    "paper_em": default.paper_em(),
    "snemi3d": default.snemi3d(),
    "basic + shape": with_basic(shape.Manager()),
    "basic + axes": with_basic(axes.Manager()),
    "basic + extrema": with_basic(extrema.Manager()),
    "basic + contact": with_basic(contact.Manager()),
    "basic + graph": with_basic(graph.Manager()),
    "basic + inclusion": with_basic(inclusion.Manager()),
    "basic + orientation": with_basic(orientation.Manager()),
    "basic + squiggliness": with_basic(squiggliness.Manager()),
    "basic + raw": with_basic(*of_raw()),
    "basic + contact + shape": with_basic(contact.Manager(), shape.Manager()),
    "basic + contact + shape + axes": with_basic(contact.Manager(), shape.Manager(), axes.Manager()),
    "basic + shape + axes": with_basic(shape.Manager(), axes.Manager()),
    "basic + axes + raw": with_basic(axes.Manager(), *of_raw()),
    "basic + shape + axes + raw": with_basic(shape.Manager(), axes.Manager(), *of_raw()),
    "basic + shape + axes + inclusion": with_basic(shape.Manager(), axes.Manager(), inclusion.Manager()),
    "snemi3d + shape": with_snemi3d(shape.Manager()),
    "snemi3d + shape + axes": with_snemi3d(shape.Manager(), axes.Manager()),
    "snemi3d + shape + inclusion": with_snemi3d(shape.Manager(), inclusion.Manager()),
    "snemi3d + shape + raw": with_snemi3d(shape.Manager(), *of_raw()),
    "everything": with_snemi3d(
        shape.Manager(),
        axes.Manager(),
        extrema.Manager(),
        inclusion.Manager(),
        orientation.Manager(),
        squiggliness.Manager(),
    ),
}


def part_of(volume, where):
    """Return a part of each image of a volume."""
    return replace(volume, **{field.name: getattr(volume, field.name)[where] for field in fields(volume)})


def halves(volume):
    """Yield both halves of a volume along each axis, in both orders."""
    for axis, n in enumerate(volume.truth.shape):
        pair = [part_of(volume, (*[np.s_[:]] * axis, where)) for where in (np.s_[: n // 2], np.s_[n // 2 :])]
        yield pair
        yield pair[::-1]


def splits(folder):
    """Return pairs of volumes to learn from and to test on, by name, and the size of their voxels."""
    fine = [[datasets.synthetic((32, 72, 72), seed=seed + i) for i in range(2)] for seed in range(11, 19, 2)]
    thick = [[datasets.synthetic((48, 64, 64), seed=seed + i) for i in range(2)] for seed in range(11, 19, 2)]
    return {
        "example": (list(halves(datasets.read_example(folder)["train"])), (1, 1, 1)),
        "synthetic": (fine, (1, 1, 1)),
        "coarse": ([[part_of(volume, np.s_[::3]) for volume in pair] for pair in thick], (3, 1, 1)),
    }


def score(features, train, test, *, maps, spacing, seed):
    """Return the VI of `test`, agglomerated to 0.5 with what was learned from `train`, in bits."""

    def graph_of(volume, *policy):
        raw = volume.image.astype(np.float32) / 255
        options = {"feature_manager": features, "spacing": spacing, "extra": {"raw": raw}}
        return Rag(volume.superpixels, getattr(volume, maps), *policy, **options)

    examples, _ = graph_of(train).learn_agglomerate(train.truth, features, random_state=seed)
    forest = DefaultRandomForest(random_state=seed).fit(examples[0], examples[1][:, 0])
    g = graph_of(test, classifier_probability(features, forest))
    g.agglomerate(0.5)
    return split_vi(g.get_segmentation(), test.truth).sum()


def main():
    """Print a table, one line per combination: mean and standard deviation of VI over the runs of each kind."""
    names = sys.argv[2:] or COMBINATIONS
    volumes = splits(Path(sys.argv[1]))
    kinds = list(product(volumes, ("p1", "p4")))
    print("|", " | ".join(["combination", *(f"{name}, {maps}" for name, maps in kinds), "mean"]), "|")
    print("|" + " --- |" * (len(kinds) + 2))
    for name in names:
        cells, means = [], []
        for kind, maps in kinds:
            pairs, spacing = volumes[kind]
            runs = [
                score(COMBINATIONS[name], *pair, maps=maps, spacing=spacing, seed=seed)
                for seed, pair in enumerate(pairs)
            ]
            means.append(np.mean(runs))
            cells.append(f"{np.mean(runs):.3f} ± {np.std(runs, ddof=1):.3f}")
        print("|", " | ".join([name, *cells, f"{np.mean(means):.3f}"]), "|", flush=True)


if __name__ == "__main__":
    main()
