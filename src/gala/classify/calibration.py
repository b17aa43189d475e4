"""Calibration: of merges said to be wrong with probability p, a share of p should be wrong.

A threshold on probabilities means what it says only then, and so do expected changes of a metric.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.frozen import FrozenEstimator
from sklearn.metrics import brier_score_loss

from gala._types import Array, ArrayLike, Bools, Classifier, Floats, Ints
from gala.classify.flat import check_classifier
from gala.errors import ClassifierError, SettingError, ShapeError

_methods = ("isotonic", "sigmoid")
_fewest = 2  # examples of each class, for one in either fold


@dataclass(frozen=True, slots=True, eq=False)
class Reliability:
    """What was predicted and what came true, in the B bins that hold any of S predictions."""

    predicted: Floats  # (B,) mean probability
    observed: Floats  # (B,) share of outcomes that came true
    counts: Ints  # (B,) predictions
    brier_score: float

    @property
    def error(self) -> float:
        """Mean distance of `predicted` from `observed`, weighted by `counts`."""
        return float(np.average(np.abs(self.predicted - self.observed), weights=self.counts))


def reliability(
    probabilities: ArrayLike, outcomes: ArrayLike, *, n_bins: int = 10, strategy: str = "uniform"
) -> Reliability:
    """Compare probabilities with what came true, bin by bin.

    Parameters
    ----------
    probabilities : array of float, shape (S,)
        From 0 to 1: how likely each merge was said to be wrong, for example.
    outcomes : array of bool or int, shape (S,)
        Whether it was: False and True, 0 and 1, or, as in training sets, -1 and 1.
    n_bins : int, optional
        Number of bins, 1 or more.
    strategy : {"uniform", "quantile"}, optional
        Bins of equal width, or bins that hold as many probabilities each, where they differ.

    Returns
    -------
    reliability : Reliability
        The points of a reliability diagram, with the score of Brier [1]_. Bins are those of
        `sklearn.calibration.calibration_curve`; empty ones are left out.

    Raises
    ------
    ShapeError
        If the shapes are not (S,), or S is 0.
    SettingError
        If probabilities are not from 0 to 1, outcomes are anything else, or an option has no such value.

    References
    ----------
    .. [1] Brier, G. W. (1950). Verification of forecasts expressed in terms of probability. *Monthly Weather
           Review* 78, 1-3. doi:10.1175/1520-0493(1950)078<0001:VOFEIT>2.0.CO;2

    Examples
    --------
    >>> found = reliability([0.1, 0.3, 0.9, 0.9], [0, 1, 1, 1], n_bins=2)
    >>> found.predicted, found.observed, found.counts
    (array([0.2, 0.9]), array([0.5, 1. ]), array([2, 2]))
    """
    p, came_true = _checked(probabilities, outcomes)
    if strategy not in ("uniform", "quantile"):
        raise SettingError(f"strategy must be 'uniform' or 'quantile'; got {strategy!r}.")
    if not isinstance(n_bins, int | np.integer) or n_bins < 1:
        raise SettingError(f"n_bins must be a whole number, 1 or more; got {n_bins!r}.")
    shares = np.linspace(0, 1, int(n_bins) + 1)
    bounds = shares if strategy == "uniform" else np.percentile(p, 100 * shares)
    owner = np.searchsorted(bounds[1:-1], p)
    counts = np.bincount(owner, minlength=1)
    held = counts > 0
    predicted, observed = (np.bincount(owner, weights=w)[held] / counts[held] for w in (p, came_true))
    return Reliability(predicted, observed, counts[held], _brier(p, came_true))


def brier_score(probabilities: ArrayLike, outcomes: ArrayLike) -> float:
    """Return the mean squared distance of probabilities from outcomes.

    Parameters
    ----------
    probabilities, outcomes
        As for `reliability`.

    Returns
    -------
    score : float
        From 0, always right and certain, to 1. To say 0.5 of everything scores 0.25.

    Raises
    ------
    ShapeError, SettingError
        As `reliability` does.

    References
    ----------
    As for `reliability`.

    Examples
    --------
    >>> brier_score([0.5, 1.0], [0, 1])
    0.125
    """
    return _brier(*_checked(probabilities, outcomes))


def expected_calibration_error(probabilities: ArrayLike, outcomes: ArrayLike, *, n_bins: int = 10) -> float:
    """Return how far probabilities are from shares of outcomes, on average.

    Parameters
    ----------
    probabilities, outcomes
        As for `reliability`.
    n_bins : int, optional
        Number of bins of equal width.

    Returns
    -------
    error : float
        The sum over bins of the share of predictions in the bin, times the distance of their mean from the share
        that came true [1]_: 0 if calibrated, at most 1. With few predictions in a bin it is above 0 by chance.

    Raises
    ------
    ShapeError, SettingError
        As `reliability` does.

    References
    ----------
    .. [1] Naeini, M. P., Cooper, G. F. and Hauskrecht, M. (2015). Obtaining well calibrated probabilities using
           Bayesian binning. *AAAI* 29, 2901-2907. doi:10.1609/aaai.v29i1.9602

    Examples
    --------
    >>> round(expected_calibration_error([0.25, 0.25, 0.25, 0.25], [0, 0, 1, 1]), 3)
    0.25
    """
    return reliability(probabilities, outcomes, n_bins=n_bins).error


def recalibrate(
    classifier: Classifier, X: ArrayLike, y: ArrayLike, *, method: str = "isotonic", cv: int | None = None
) -> Classifier:
    """Return a classifier with its probabilities mapped to those that come true.

    Parameters
    ----------
    classifier : scikit-learn estimator
        A fitted one, or, with `cv`, one to be fitted; it is left as it is.
    X : array of float, shape (S, F)
        Features of examples. If `classifier` is fitted, examples that it has *not* learnt from: it is too sure of
        those that it has.
    y : array of int, shape (S,)
        Their labels: -1 (merge) and 1 (don't), or 0 and 1.
    method : {"isotonic", "sigmoid"}, optional
        The best increasing map [1]_, which needs about a thousand examples, or a logistic function [2]_, which does
        with few, and keeps the order of any two probabilities, so that the same merges are made. An isotonic map may
        make different probabilities equal.
    cv : int, optional
        Fit a copy on all examples, and the map on what copies fitted on ``cv - 1`` of `cv` parts say of the other.

    Returns
    -------
    calibrated : sklearn.calibration.CalibratedClassifierCV
        For `gala.agglo.classifier_probability`. It runs inside the compiled loop if `classifier` does.

    Raises
    ------
    ClassifierError
        If `classifier` is not fitted, and `cv` is None; or has other features or classes.
    ShapeError, SettingError
        If the examples do not fit together, fewer than two (or `cv`) have the same label, or an option has no such
        value.

    References
    ----------
    .. [1] Zadrozny, B. and Elkan, C. (2002). Transforming classifier scores into accurate multiclass probability
           estimates. *KDD*, 694-699. doi:10.1145/775047.775151
    .. [2] Platt, J. (1999). Probabilistic outputs for support vector machines. In *Advances in Large Margin
           Classifiers*, 61-74.

    Examples
    --------
    >>> from sklearn.tree import DecisionTreeClassifier
    >>> sure = DecisionTreeClassifier().fit([[0.0], [1.0]], [-1, 1])
    >>> recalibrate(sure, [[0.0], [0.0], [0.0], [0.0], [1.0]], [-1, -1, 1, 1, 1]).predict_proba([[0.0], [1.0]])
    array([[0.5, 0.5],
           [0. , 1. ]])
    """
    if method not in _methods:
        raise SettingError(f"method must be {' or '.join(map(repr, _methods))}; got {method!r}.")
    if cv is not None and (not isinstance(cv, int | np.integer) or cv < _fewest):
        raise SettingError(f"cv must be a whole number, {_fewest} or more, or None; got {cv!r}.")
    examples, labels = _examples(X, y, _fewest if cv is None else int(cv))
    if cv is None:
        check_classifier(classifier, examples.shape[1])
        _check_classes(classifier, labels)
    below = FrozenEstimator(classifier) if cv is None else clone(classifier)
    calibrated: Any = CalibratedClassifierCV(below, method=method, cv=cv or _fewest, ensemble=False)
    found: Classifier = calibrated.fit(examples, labels)
    return found


def _examples(X: ArrayLike, y: ArrayLike, n_fewest: int) -> tuple[Array, Array]:
    examples, labels = np.asarray(X), np.asarray(y)
    if examples.ndim != 2 or labels.shape != examples.shape[:1]:
        raise ShapeError(
            f"X must have shape (examples, features) and y one label for each; got {examples.shape} and {labels.shape}."
        )
    _outcomes(labels, "y")
    known, counts = np.unique(labels, return_counts=True)
    if len(known) != 2 or counts.min() < n_fewest:
        raise SettingError(
            f"there must be at least {n_fewest} examples of each class to calibrate with; got "
            f"{dict(zip(known.tolist(), counts.tolist(), strict=True))}."
        )
    return examples, labels


def _check_classes(classifier: Classifier, labels: Array) -> None:
    if classifier.classes_.tolist() != np.unique(labels).tolist():
        raise ClassifierError(
            f"y must hold the classes that the classifier was fitted on, {classifier.classes_.tolist()}; got "
            f"{np.unique(labels).tolist()}."
        )


def _checked(probabilities: ArrayLike, outcomes: ArrayLike) -> tuple[Floats, Bools]:
    p, found = np.asarray(probabilities, dtype=np.float64), np.asarray(outcomes)
    if p.ndim != 1 or p.shape != found.shape or p.size == 0:
        raise ShapeError(f"there must be one outcome for each probability; got shapes {p.shape} and {found.shape}.")
    if not ((p >= 0) & (p <= 1)).all():  # false for NaN
        raise SettingError(f"probabilities must be from 0 to 1; got {p.min()} to {p.max()}.")
    return p, _outcomes(found, "outcomes")


def _outcomes(values: Array, name: str) -> Bools:
    """Return which of some outcomes came true; `name` is what errors call them."""
    known = set(np.unique(values).tolist())
    if not (known <= {0, 1} or known <= {-1, 1}):
        raise SettingError(f"{name} must be False and True, 0 and 1, or -1 and 1; got {sorted(known)[:4]}.")
    came_true: Bools = values == 1
    return came_true


def _brier(p: Floats, came_true: Bools) -> float:
    return float(brier_score_loss(came_true, p, pos_label=True))
