"""scikit-learn's estimators laid flat, so that compiled loops score merges without calling Python.

A model gives what `predict_proba` gives for the second class: forests bit for bit, everything else to 1e-12.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from sklearn.calibration import CalibratedClassifierCV
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import (
    ExtraTreesClassifier,
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
)
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier

from gala._kernels.models import (
    BOOSTED,
    FOREST,
    GAUSSIAN,
    ISOTONIC,
    LANES,
    LINEAR,
    NODE,
    SIGMOID,
    UNCHANGED,
    Model,
    new_scratch,
    score_rows,
)
from gala._kernels.threads import map_over_threads
from gala._types import Array, Bools, Classifier, Floats, Ints
from gala.errors import ClassifierError, ShapeError

_ROWS_PER_PIECE = 2048  # about 4 ms of a forest of 100 trees


def check_classifier(classifier: Classifier, n_features: int) -> None:
    """Raise an error unless `classifier` can say which merges are wrong.

    Parameters
    ----------
    classifier : object with predict_proba
        Classes must be -1 (merge) and 1 (do not merge), or 0 and 1, or False and True.
    n_features : int
        How many features it will be given.

    Raises
    ------
    ClassifierError
        If it is not fitted, was fitted on another number of features, or on other classes.

    Examples
    --------
    >>> check_classifier(GaussianNB().fit([[0.0], [1.0]], [-1, 1]), n_features=1)
    """
    name = type(classifier).__name__
    if not hasattr(classifier, "predict_proba"):
        raise ClassifierError(f"a classifier must have predict_proba; this {name} has not. Use one that has.")
    classes = getattr(classifier, "classes_", None)
    if classes is None:
        raise ClassifierError(f"{name} must be fitted before it can score merges; call its fit(X, y) first.")
    expected = getattr(classifier, "n_features_in_", n_features)
    if expected != n_features:
        raise ClassifierError(
            f"{name} must get as many features as it was fitted on, {expected}; the feature map gives "
            f"{n_features}. Fit it on examples made with this feature map."
        )
    found = np.hstack(classes).tolist()
    if len(found) == 1:
        raise ClassifierError(
            f"{name} must be fitted on examples of both classes; only class {found[0]!r} was seen in "
            "training. Learn from more data, with merges that are right and merges that are wrong."
        )
    if found not in ([-1, 1], [0, 1]):
        raise ClassifierError(
            f"the classes of {name} must be -1 (merge) and 1 (do not merge), or 0 and 1; got {found}."
        )


def lay_flat(classifier: Classifier) -> Model | None:
    """Return a fitted classifier of two classes as arrays, or None if it is of a kind that cannot be.

    Parameters
    ----------
    classifier : scikit-learn estimator
        RandomForestClassifier, ExtraTreesClassifier, DecisionTreeClassifier, GradientBoostingClassifier
        (`init` a prior or zero), HistGradientBoostingClassifier (no categorical features), LogisticRegression
        or GaussianNB; alone, or in a Pipeline after a StandardScaler; and CalibratedClassifierCV of one of these,
        with one sigmoid or isotonic map, as `gala.classify.recalibrate` makes it. A `FlatClassifier` is flat already.

    Returns
    -------
    model : Model or None
        None means: use `predict_proba`. It is also given for classes derived from the above that predict in
        a way of their own.

    Notes
    -----
    Features are meant to be finite; a missing one (NaN) goes where scikit-learn sends it, if it allows it.
    LogisticRegression and GaussianNB add features up in another order than scikit-learn does: their log-odds
    differ by about 1e-16 times the sum of absolute terms, 1e-14 for unscaled features of real volumes.

    Examples
    --------
    >>> X = np.array([[0.0], [1.0]])
    >>> lay_flat(DecisionTreeClassifier().fit(X, [-1, 1])).n_trees
    1
    """
    if isinstance(classifier, FlatClassifier):
        return classifier.model
    scaler, estimator = _without_scaler(classifier)
    classes = getattr(estimator, "classes_", None)
    if not isinstance(classes, np.ndarray) or classes.shape != (2,):
        return None
    lay = next((lay for kind, lay in _LAYOUTS.items() if _predicts_like(kind, estimator)), None)
    model = None if lay is None else lay(estimator)
    if model is None or scaler is None:
        return model
    shift = scaler.mean_ if scaler.with_mean else 0.0
    scale = scaler.scale_ if scaler.with_std else 1.0
    return model._replace(shift=shift + scale * model.shift, scale=scale * model.scale)


def predict(model: Model, X: Floats, *, n_threads: int | None = None) -> Floats:
    """Return the probability of the second class for each row of `X`.

    Parameters
    ----------
    model : Model
        From `lay_flat`.
    X : array of float64, shape (S, F)
        Features.
    n_threads : int, optional
        Default: the environment variable GALA_NUM_THREADS, or else all cores. Never changes the result.

    Returns
    -------
    probability : array of float64, shape (S,)

    Raises
    ------
    ShapeError
        If `X` does not have F columns.

    Examples
    --------
    >>> X = np.array([[0.0], [1.0]])
    >>> predict(lay_flat(DecisionTreeClassifier().fit(X, [-1, 1])), X)
    array([0., 1.])
    """
    X = np.ascontiguousarray(X, dtype=np.float64)
    n_features = model.shift.size
    if X.ndim != 2 or X.shape[1] != n_features:
        raise ShapeError(f"X must have shape (S, {n_features}), a row of features per edge; got {X.shape}.")
    out = np.empty(len(X))

    def fill(start: int) -> None:
        rows = slice(start, start + _ROWS_PER_PIECE)
        score_rows(model, X[rows], out[rows], new_scratch(model))

    map_over_threads(fill, range(0, len(X), _ROWS_PER_PIECE), n_threads=n_threads)
    return out


class FlatClassifier:
    """A classifier laid flat, with the methods of one: all that is left of it in files.

    Parameters
    ----------
    model : Model
        From `lay_flat`.

    Examples
    --------
    >>> flat = FlatClassifier(lay_flat(GaussianNB().fit([[0.0], [0.1], [0.9], [1.0]], [-1, -1, 1, 1])))
    >>> flat.predict_proba(np.array([[0.0], [1.0]])).round(3)
    array([[1., 0.],
           [0., 1.]])
    """

    def __init__(self, model: Model) -> None:
        self.model = model
        self.classes_ = np.array([-1, 1])
        self.n_features_in_ = model.shift.size

    def fit(self, X: Array, y: Array, /) -> Any:  # noqa: ARG002  # the protocol of classifiers
        """Refuse: only the scikit-learn estimator that was laid flat can learn."""
        raise ClassifierError("a classifier that was laid flat cannot be fitted again; fit a scikit-learn estimator.")

    def predict_proba(self, X: Array, /) -> Floats:
        """Return the probability of both classes, shape (S, 2), for each row of `X`, shape (S, F)."""
        second = predict(self.model, X)
        return np.column_stack([1 - second, second])


def _without_scaler(classifier: Any) -> tuple[Any, Any]:
    """Return the scaler of a pipeline or None, and the estimator that follows."""
    if type(classifier) is Pipeline and len(classifier.steps) == 2:
        scaler, estimator = (step for _, step in classifier.steps)
        if type(scaler) is StandardScaler:
            return scaler, estimator
    return None, classifier


def _predicts_like(kind: type, estimator: Any) -> bool:
    """Return whether `estimator` is a `kind` with all methods that have a part in predict_proba unchanged."""
    if not isinstance(estimator, kind) or any(name in vars(estimator) for name in _METHODS):
        return False
    return all(getattr(type(estimator), name, None) is getattr(kind, name, None) for name in _METHODS)


def _lay_forest(estimator: Any) -> Model:
    trees = [each.tree_ for each in getattr(estimator, "estimators_", [estimator])]
    flat = [_tree(tree, tree.value[:, 0, 1]) for tree in trees]
    return _model(FOREST, estimator, rounded=True, trees=flat)


def _lay_boosted(estimator: Any) -> Model | None:
    initial = estimator.init_
    if isinstance(initial, str):  # "zero"
        baseline = 0.0
    elif type(initial) is DummyClassifier and initial.strategy == "prior":
        prior = np.clip(initial.class_prior_[1], np.finfo(float).eps, 1 - np.finfo(float).eps)
        baseline = math.log(prior / (1 - prior))
    else:
        return None
    # The exponential loss sums halves of log-odds; to double each is exact.
    rate = estimator.learning_rate * (2 if estimator.loss == "exponential" else 1)
    trees = [each.tree_ for each in estimator.estimators_[:, 0]]
    flat = [_with_means(_tree(tree, rate * tree.value[:, 0, 0]), tree.n_node_samples) for tree in trees]
    return _model(BOOSTED, estimator, rounded=True, baseline=baseline, trees=flat)


def _lay_histogram_boosted(estimator: Any) -> Model | None:
    # These are private, so a later scikit-learn may name them differently.
    if estimator.is_categorical_ is not None or not hasattr(estimator, "_predictors"):
        return None
    flat = []
    for (predictor,) in estimator._predictors:
        nodes = predictor.nodes
        left = np.where(nodes["is_leaf"], -1, nodes["left"].astype(np.int64))
        missing_go_left = nodes["missing_go_to_left"].astype(bool)
        where = (left, nodes["right"], nodes["feature_idx"], nodes["num_threshold"], missing_go_left)
        flat.append(_with_means(_Tree(*where, value=nodes["value"]), nodes["count"]))
    return _model(BOOSTED, estimator, baseline=estimator._baseline_prediction.item(), trees=flat)


def _lay_linear(estimator: Any) -> Model | None:
    if getattr(estimator, "multi_class", None) == "multinomial":  # only in old versions; not a logistic function
        return None
    return _model(LINEAR, estimator, baseline=np.ravel(estimator.intercept_).item(), weights=estimator.coef_)


def _lay_gaussian(estimator: Any) -> Model:
    with np.errstate(divide="ignore"):  # a prior of zero
        likelihood = np.log(estimator.class_prior_) - 0.5 * np.log(2 * np.pi * estimator.var_).sum(axis=1)
    weights = np.concatenate([estimator.theta_, estimator.var_])
    return _model(GAUSSIAN, estimator, baseline=float(likelihood[1] - likelihood[0]), weights=weights)


def _lay_calibrated(estimator: Any) -> Model | None:
    if len(estimator.calibrated_classifiers_) != 1:  # their mean is no single model
        return None
    (calibrated,) = estimator.calibrated_classifiers_
    below = calibrated.estimator
    below = below.estimator if type(below) is FrozenEstimator else below
    model = lay_flat(below)
    if model is None or model.calibration != UNCHANGED or below.classes_.tolist() != estimator.classes_.tolist():
        return None
    (calibrator,) = calibrated.calibrators
    # Models hold the log-odds of the exponential loss, which scikit-learn calibrates half of.
    unit = 2.0 if getattr(_without_scaler(below)[1], "loss", None) == "exponential" else 1.0
    if calibrated.method == "sigmoid":
        return model._replace(calibration=SIGMOID, knots=-np.array([[calibrator.a_ / unit], [calibrator.b_]]))
    if calibrated.method == "isotonic":
        knots = np.array([unit * calibrator.X_thresholds_, calibrator.y_thresholds_], dtype=float)
        return model._replace(calibration=ISOTONIC, knots=knots)
    return None


class _Tree(NamedTuple):
    """A tree of M nodes, the root first."""

    left: Ints  # (M,) negative at leaves
    right: Ints  # (M,)
    feature: Ints  # (M,)
    threshold: Floats  # (M,)
    missing_go_left: Bools  # (M,)
    value: Floats  # (M,)


def _tree(tree: Any, value: Floats) -> _Tree:
    missing_go_left = tree.missing_go_to_left.astype(bool)
    return _Tree(tree.children_left, tree.children_right, tree.feature, tree.threshold, missing_go_left, value)


def _with_means(tree: _Tree, counts: Array) -> _Tree:
    """Return a tree whose inner nodes hold the mean of their leaves, over examples of training, for explanations."""
    value = tree.value.astype(np.float64)
    for node in np.flatnonzero(tree.left >= 0)[::-1]:  # children come after their parents
        children = [tree.left[node], tree.right[node]]
        value[node] = np.average(value[children], weights=counts[children])
    return tree._replace(value=value)


def _model(
    kind: int,
    estimator: Any,
    *,
    rounded: bool = False,
    baseline: float = 0.0,
    weights: Floats | None = None,
    trees: Sequence[_Tree] = (),
) -> Model:
    n_features = int(estimator.n_features_in_)
    padding = _Tree(*(np.array([number]) for number in (-1, -1, 0, 0.0, True, 0.0)))
    padded = [*trees, *[padding] * (-len(trees) % LANES)]
    roots = np.cumsum([0, *(len(tree.left) for tree in padded)])[:-1]
    laid = [_lay_tree(tree, n_features, first=root) for tree, root in zip(padded, roots, strict=True)]
    return Model(
        kind=kind,
        n_trees=len(trees),
        rounded=rounded,
        baseline=baseline,
        shift=np.zeros(n_features),
        scale=np.ones(n_features),
        weights=np.array(np.empty((0, n_features)) if weights is None else weights, dtype=float, order="C"),
        roots=roots.astype(np.uint32),
        nodes=np.concatenate([np.empty(0, dtype=NODE), *(nodes for nodes, _ in laid)]),
        leaves=np.concatenate([np.empty(0), *(leaves for _, leaves in laid)]),
        calibration=UNCHANGED,
        knots=np.empty((2, 0)),
    )


def _lay_tree(tree: _Tree, n_features: int, *, first: int) -> tuple[Array, Floats]:
    """Return nodes and leaves, numbered from `first`, the children of a node side by side."""
    inner = tree.left >= 0
    children = 1 + 2 * np.arange(np.count_nonzero(inner))
    position = np.zeros(len(inner), dtype=np.int64)
    position[tree.left[inner]] = children
    position[tree.right[inner]] = children + 1
    child = position.copy()
    child[inner] = children
    feature = tree.feature + np.where(tree.missing_go_left, 0, n_features)
    # Missing values are infinite when they go to the second child, which must then be beyond every threshold.
    threshold = np.minimum(tree.threshold, np.finfo(float).max)

    nodes, leaves = np.empty(len(inner), dtype=NODE), np.empty(len(inner))
    nodes["child"][position] = first + child
    nodes["feature"][position] = np.where(inner, feature, 0)
    nodes["threshold"][position] = np.where(inner, threshold, np.inf)
    leaves[position] = tree.value
    return nodes, leaves


# Every method of the kinds below that has a part in their predict_proba.
_METHODS = (
    "predict_proba",
    "predict_log_proba",
    "decision_function",
    "_joint_log_likelihood",
    "_predict_proba_lr",
    "_preprocess_X",
    "_raw_predict",
    "_raw_predict_init",
    "_validate_X_predict",
)

_LAYOUTS: dict[type, Callable[[Any], Model | None]] = {
    RandomForestClassifier: _lay_forest,
    ExtraTreesClassifier: _lay_forest,
    DecisionTreeClassifier: _lay_forest,
    GradientBoostingClassifier: _lay_boosted,
    HistGradientBoostingClassifier: _lay_histogram_boosted,
    LogisticRegression: _lay_linear,
    GaussianNB: _lay_gaussian,
    CalibratedClassifierCV: _lay_calibrated,
}
