"""What each feature adds to a prediction of a model laid flat.

On the way of an example down a tree, each node on the way says how likely the second class is among the examples of
training that came there; the change from a node to the next one belongs to the feature that the node asks about.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from gala._kernels.models import FOREST, GAUSSIAN, IDENTITY, LINEAR, Model
from gala._types import Floats
from gala.errors import ClassifierError, ShapeError


class Contributions(NamedTuple):
    """What is added to a baseline; the sum of both is what the model says, before it is made a probability."""

    baseline: float
    features: Floats  # (S, F)

    @property
    def total(self) -> Floats:
        """What the model says of each example, shape (S,): a probability for forests, else log-odds."""
        total: Floats = self.baseline + self.features.sum(axis=1)
        return total


def contributions(model: Model, X: Floats) -> Contributions:
    """Split what a model says of examples among their features.

    Parameters
    ----------
    model : Model
        From `gala.classify.lay_flat`: trees or a linear model.
    X : array of float64, shape (S, F)
        Features.

    Returns
    -------
    contributions : Contributions
        Of forests in probability, of boosted trees and linear models in log-odds, before calibration.

    Raises
    ------
    ShapeError
        If `X` does not have F columns.
    ClassifierError
        If the model is naive Bayes.

    References
    ----------
    Saabas 2014, Interpreting random forests, https://blog.datadive.net/interpreting-random-forests.

    Examples
    --------
    >>> from sklearn.tree import DecisionTreeClassifier
    >>> from gala.classify.flat import lay_flat
    >>> model = lay_flat(DecisionTreeClassifier().fit([[0.0, 5.0], [1.0, 5.0]], [-1, 1]))
    >>> contributions(model, np.array([[1.0, 5.0]]))
    Contributions(baseline=0.5, features=array([[0.5, 0. ]]))
    """
    X = np.ascontiguousarray(X, dtype=np.float64)
    n_features = model.shift.size
    if X.ndim != 2 or X.shape[1] != n_features:
        raise ShapeError(f"X must have shape (S, {n_features}), a row of features per edge; got {X.shape}.")
    if model.kind in (GAUSSIAN, IDENTITY):
        raise ClassifierError(
            "only trees and linear models add up over features; choose another classifier to have it explained."
        )
    x = (X - model.shift) / model.scale
    if model.kind == LINEAR:
        return Contributions(model.baseline, x * model.weights[0])
    share = model.n_trees if model.kind == FOREST else 1
    baseline = model.baseline + float(model.leaves[model.roots].sum())
    return Contributions(baseline / share, _along_paths(model, x) / share)


def _along_paths(model: Model, x: Floats) -> Floats:
    """Return the sum over trees of the changes from node to node, shape (S, F), each with the feature asked about."""
    n_features = model.shift.size
    x = x.astype(np.float32).astype(np.float64) if model.rounded else x
    x = np.hstack([x, np.where(np.isnan(x), np.inf, x)])
    found = np.zeros((len(x), n_features))
    row = np.arange(len(x))[:, None]
    here = np.tile(model.roots.astype(np.int64), (len(x), 1))
    while True:
        node = model.nodes[here]
        there = node["child"] + (x[row, node["feature"]] > node["threshold"]).astype(np.int64)
        if np.array_equal(here, there):
            return found
        np.add.at(found, (row, node["feature"] % n_features), model.leaves[there] - model.leaves[here])
        here = there
