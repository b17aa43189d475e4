"""What is compared: recipes that learn, and policies whose threshold alone is learned.

Each is a function of two volumes, the name of the maps to read, the size of a voxel, and a seed; it returns a merge
tree of the second volume and the threshold to cut it at.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from sklearn.ensemble import ExtraTreesClassifier

from gala.engine.agglomerate import agglomerate
from gala.engine.policy import boundary_mean, boundary_quantile
from gala.evaluate import curve
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
from gala.graph.build import build_graph
from gala.pipeline import HISTORIC, Recipe, Segmenter

LARGER_LEAVES = ExtraTreesClassifier(criterion="entropy", min_samples_leaf=5, max_features=0.5)


@dataclass(frozen=True)
class Learn:
    """A recipe; with `raw`, it is given the raw image as well; without `raising`, weak maps are left as they are."""

    recipe: Recipe
    raw: bool = False
    raising: bool = True

    def __call__(self, train, test, maps, spacing, seed):
        segmenter = Segmenter(self.recipe, spacing=spacing, random_state=seed, n_threads=1)
        segmenter.fit(getattr(train, maps), train.truth, train.superpixels, extra=self._extra(train))
        if not self.raising:
            segmenter.learned_ = replace(segmenter.learned_, strengths=None)
        tree = segmenter.merge_tree(getattr(test, maps), test.superpixels, extra=self._extra(test))
        return tree, segmenter.threshold_

    def _extra(self, volume):
        return {"raw": volume.image.astype(np.float32) / 255} if self.raw else None


@dataclass(frozen=True)
class Rule:
    """A policy that learns nothing but the threshold of least VI."""

    policy: Any

    def __call__(self, train, test, maps, spacing, seed):  # noqa: ARG002  # nothing is drawn
        trees = [self._tree(volume, maps, spacing) for volume in (train, test)]
        return trees[1], curve(trees[0], train.superpixels, train.truth).best().threshold

    def _tree(self, volume, maps, spacing):
        image = getattr(volume, maps)
        image = np.ascontiguousarray(image[..., 0]) if maps == "p4" else image
        return agglomerate(build_graph(volume.superpixels, image, self.policy.needs, spacing=spacing), self.policy)


def _with(combination, *managers):
    return Composite([*combination.children, *managers])


_raw = (moments.Manager(image="raw"), histogram.Manager(8, image="raw"))
_basic, _snemi3d = default.basic(), default.snemi3d()
COMBINATIONS = {
    "basic": _basic,
    "paper_em": default.paper_em(),
    "snemi3d": _snemi3d,
    "modern": default.modern(),
    "modern raw": default.modern("raw"),
    "thorough": default.thorough(),
    "basic + shape": _with(_basic, shape.Manager()),
    "basic + extrema": _with(_basic, extrema.Manager()),
    "basic + contact": _with(_basic, contact.Manager()),
    "basic + graph": _with(_basic, graph.Manager()),
    "basic + inclusion": _with(_basic, inclusion.Manager()),
    "basic + orientation": _with(_basic, orientation.Manager()),
    "basic + squiggliness": _with(_basic, squiggliness.Manager()),
    "basic + raw": _with(_basic, *_raw),
    "basic + contact + shape": _with(_basic, contact.Manager(), shape.Manager()),
    "basic + contact + shape + axes": _with(_basic, contact.Manager(), shape.Manager(), axes.Manager()),
    "basic + shape + axes": _with(_basic, shape.Manager(), axes.Manager()),
    "basic + shape + axes + raw": _with(_basic, shape.Manager(), axes.Manager(), *_raw),
    "basic + shape + axes + inclusion": _with(_basic, shape.Manager(), axes.Manager(), inclusion.Manager()),
    "snemi3d + shape": _with(_snemi3d, shape.Manager()),
    "snemi3d + shape + axes": _with(_snemi3d, shape.Manager(), axes.Manager()),
    "snemi3d + shape + inclusion": _with(_snemi3d, shape.Manager(), inclusion.Manager()),
    "snemi3d + shape + raw": _with(_snemi3d, shape.Manager(), *_raw),
    "everything": _with(
        _snemi3d,
        shape.Manager(),
        axes.Manager(),
        extrema.Manager(),
        inclusion.Manager(),
        orientation.Manager(),
        squiggliness.Manager(),
    ),
}

RECIPES = {
    "default": Learn(Recipe()),
    "historic": Learn(HISTORIC),
    "default, weak maps as they are": Learn(Recipe(), raising=False),
    "default, enclosed regions like others": Learn(Recipe(enclosed=1.0)),
    "default, no copies": Learn(Recipe(n_copies=0)),
    "default, modern features": Learn(Recipe("modern")),
    "default, 100 trees": Learn(Recipe(classifier="extra trees")),
    "default, random forest": Learn(Recipe(classifier="random forest")),
    "default, larger leaves": Learn(Recipe(classifier=LARGER_LEAVES)),
    "default, gradient boosting": Learn(Recipe(classifier="gradient boosting")),
    "default, logistic regression": Learn(Recipe(classifier="logistic regression")),
    "default, weights by VI": Learn(Recipe(sample_weight="vi")),
    "in the loop": Learn(Recipe(n_copies=0, n_epochs=2, decision="probability")),
    "in the loop, 5 epochs": Learn(Recipe(n_copies=0, n_epochs=5, decision="probability")),
    "in the loop, weights by VI": Learn(Recipe(n_copies=0, n_epochs=2, decision="probability", sample_weight="vi")),
    "in the loop, loose": Learn(Recipe(n_copies=0, n_epochs=2, decision="probability", learning_mode="loose")),
    "in the loop, all rescored": Learn(Recipe(n_copies=0, n_epochs=2, decision="probability", rescore="all")),
    "in the loop, expected VI": Learn(
        Recipe(n_copies=0, n_epochs=2, decision="expected-vi", threshold=0.0),
    ),
    "mean": Rule(boundary_mean),
    "median": Rule(boundary_quantile(0.5)),
    "quantile 0.25": Rule(boundary_quantile(0.25)),
    "quantile 0.75": Rule(boundary_quantile(0.75)),
    # Features compared by the historic way of learning.
    **{
        f"features: {name}": Learn(replace(HISTORIC, features=features), raw="raw" in name)
        for name, features in COMBINATIONS.items()
    },
}
