"""Classifiers laid flat into arrays, and how probable they find it that a merge is wrong.

One type, `Model`, holds every kind of classifier, so that a loop which calls `score` compiles once. What a
kind does not use is empty. `gala.classify.flat` makes models from scikit-learn's estimators.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from gala._kernels.jit import kernel, pasted
from gala._types import Array, Floats, Ints

IDENTITY = 0  # the first feature, untouched: hand-made policies
LINEAR = 1  # logistic function of a weighted sum
GAUSSIAN = 2  # two classes of independent normal features
FOREST = 3  # mean over trees
BOOSTED = 4  # logistic function of a sum over trees

UNCHANGED = 0  # how the score is calibrated
SIGMOID = 1  # logistic function of a line
ISOTONIC = 2  # straight between knots, constant beyond them

# Ten trees are walked at a time, so that the processor waits for ten nodes at once: 1.70 µs per row against 7.6 one
# by one, 1.87 by 8, 1.77 by 12 or 16 (100 trees, 33 k nodes, November 2026). Their positions are variables, as an
# array of ten costs 25 % more.
LANES = 10

# Go to `child` if x[feature] <= threshold, else to the node after it. A leaf is its own child, its threshold infinite.
# Thresholds as float32 would be 7 % faster, but are not enough for histogram boosting. Positions are unsigned, for
# which Numba leaves out its test for negative ones: 1.4 times as fast.
NODE = np.dtype([("threshold", np.float64), ("child", np.uint32), ("feature", np.uint32)], align=True)


class Model(NamedTuple):
    """A classifier of F features: T trees with M nodes in all, or W rows of weights.

    Where a feature is missing (NaN), a node on feature f goes to its first child; a node on feature F + f,
    which is the same feature with infinity in place of NaN, goes to its second.
    """

    kind: int
    n_trees: int
    rounded: bool  # whether features are rounded to float32 first
    baseline: float  # what the sum over trees or features starts from
    shift: Floats  # (F,) features are standardized: (x - shift) / scale
    scale: Floats  # (F,)
    weights: Floats  # (W, F) LINEAR: slopes; GAUSSIAN: means of both classes, then variances of both
    roots: Ints  # (T,) uint32, padded to a multiple of LANES with trees that add zero
    nodes: Array  # (M,) of NODE
    leaves: Floats  # (M,) what a tree adds if it ends in that node
    calibration: int
    knots: Floats  # (2, K) ISOTONIC: scores, increasing, and probabilities; SIGMOID: slope and intercept


def identity() -> Model:
    """Return the model whose score is the only feature it is given."""
    return Model(
        kind=IDENTITY,
        n_trees=0,
        rounded=False,
        baseline=0.0,
        shift=np.zeros(1),
        scale=np.ones(1),
        weights=np.empty((0, 1)),
        roots=np.empty(0, dtype=np.uint32),
        nodes=np.empty(0, dtype=NODE),
        leaves=np.empty(0),
        calibration=UNCHANGED,
        knots=np.empty((2, 0)),
    )


@kernel
def new_scratch(model: Model) -> Floats:
    """Return the scratch space that `score` needs, float64 of shape (2F,); each thread must have its own."""
    return np.empty(2 * model.shift.size)


@pasted
def score(model: Model, x: Floats, scratch: Floats) -> float:
    """Return the probability of the second class given features `x`, shape (F,)."""
    if model.kind == IDENTITY:
        return float(x[0])
    return _predict(model, x, scratch)


@pasted
def _predict(model: Model, x: Floats, scratch: Floats) -> float:
    """Return what `score` returns, for a model that is a classifier."""
    _standardize(model, x, scratch)
    found = _uncalibrated(model, scratch)
    if model.calibration == SIGMOID:
        return _logistic(model.knots[0, 0] * found + model.knots[1, 0])
    if model.calibration == ISOTONIC:
        return _between_knots(model.knots, found)
    if model.kind == LINEAR or model.kind == BOOSTED:
        return _logistic(found)
    return found


@kernel
def _uncalibrated(model: Model, x: Floats) -> float:
    """Return log-odds if the model is linear or boosted, else a probability: what scikit-learn calibrates."""
    if model.kind == LINEAR:
        return _weighted_sum(model, x)
    if model.kind == GAUSSIAN:
        return _logistic(_log_odds(model, x))
    total = _sum_over_trees(model, x)
    return total / model.n_trees if model.kind == FOREST else total


@kernel
def score_rows(model: Model, X: Floats, out: Floats, scratch: Floats) -> None:
    """Write the score of each row of `X`, shape (S, F), to `out`, shape (S,)."""
    for s in range(X.shape[0]):
        out[s] = score(model, X[s], scratch)


@kernel
def _standardize(model: Model, x: Floats, out: Floats) -> None:
    """Write the features as the model wants them to ``out[:F]``, and with infinity for NaN to ``out[F:]``."""
    n_features = model.shift.size
    for f in range(n_features):
        value = (x[f] - model.shift[f]) / model.scale[f]
        if model.rounded:
            value = float(np.float32(value))
        out[f] = value
        out[n_features + f] = np.inf if np.isnan(value) else value


@kernel
def _weighted_sum(model: Model, x: Floats) -> float:
    total = 0.0
    for f in range(model.shift.size):
        total += x[f] * model.weights[0, f]
    return total + model.baseline


@kernel
def _log_odds(model: Model, x: Floats) -> float:
    """Return the log of how many times likelier the second class is than the first."""
    total = 0.0
    for f in range(model.shift.size):
        first = (x[f] - model.weights[0, f]) ** 2 / model.weights[2, f]
        second = (x[f] - model.weights[1, f]) ** 2 / model.weights[3, f]
        total += first - second
    return model.baseline + 0.5 * total


@kernel
def _sum_over_trees(model: Model, x: Floats) -> float:
    """Return the baseline plus the leaf of each tree, added in the order of the trees."""
    total, roots, nodes, leaves = model.baseline, model.roots, model.nodes, model.leaves
    for t in range(0, roots.size, LANES):
        a, b, c, d, e = roots[t], roots[t + 1], roots[t + 2], roots[t + 3], roots[t + 4]
        f, g, h, i, j = roots[t + 5], roots[t + 6], roots[t + 7], roots[t + 8], roots[t + 9]
        moving = True
        while moving:  # asked every third level, as trees that have arrived stay where they are
            a2, b2, c2 = _two_down(nodes, x, a), _two_down(nodes, x, b), _two_down(nodes, x, c)
            d2, e2, f2 = _two_down(nodes, x, d), _two_down(nodes, x, e), _two_down(nodes, x, f)
            g2, h2, i2 = _two_down(nodes, x, g), _two_down(nodes, x, h), _two_down(nodes, x, i)
            j2 = _two_down(nodes, x, j)
            a, b, c, d = _down(nodes, x, a2), _down(nodes, x, b2), _down(nodes, x, c2), _down(nodes, x, d2)
            e, f, g, h = _down(nodes, x, e2), _down(nodes, x, f2), _down(nodes, x, g2), _down(nodes, x, h2)
            i, j = _down(nodes, x, i2), _down(nodes, x, j2)
            moving = a != a2 or b != b2 or c != c2 or d != d2 or e != e2
            moving = moving or f != f2 or g != g2 or h != h2 or i != i2 or j != j2
        total = total + leaves[a] + leaves[b] + leaves[c] + leaves[d] + leaves[e]
        total = total + leaves[f] + leaves[g] + leaves[h] + leaves[i] + leaves[j]
    return total


@kernel
def _two_down(nodes: Array, x: Floats, position: np.uint32) -> np.uint32:
    return _down(nodes, x, _down(nodes, x, position))


@kernel
def _down(nodes: Array, x: Floats, position: np.uint32) -> np.uint32:
    """Return the node that `x` goes to from the node at `position`."""
    node = nodes[position]
    return np.uint32(node["child"] + (x[node["feature"]] > node["threshold"]))


@kernel
def _between_knots(knots: Floats, x: float) -> float:
    """Return the value at `x` of the line through the knots, as `numpy.interp` does."""
    last = knots.shape[1] - 1
    k = np.searchsorted(knots[0], x, side="right") - 1
    if k < 0:
        return float(knots[1, 0])
    if k >= last:
        return float(knots[1, last])
    slope = (knots[1, k + 1] - knots[1, k]) / (knots[0, k + 1] - knots[0, k])
    return float(slope * (x - knots[0, k]) + knots[1, k])


@kernel
def _logistic(x: float) -> float:
    if x >= 0:
        return 1.0 / (1.0 + math.exp(-x))
    small = math.exp(x)
    return small / (1.0 + small)
