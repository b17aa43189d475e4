"""The classifiers that gala knows by name; any other with `fit` and `predict_proba` is as welcome."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sklearn.base import clone
from sklearn.ensemble import ExtraTreesClassifier, HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from gala._types import Classifier
from gala.errors import SettingError


def DefaultRandomForest(  # noqa: N802  # historic
    n_estimators: int = 100,
    criterion: str = "entropy",
    max_depth: int | None = 20,
    bootstrap: bool = False,
    random_state: int | None = None,
    n_jobs: int | None = -1,
    **options: Any,
) -> Classifier:
    """Return a random forest of 100 entropy trees, at most 20 deep, each grown on all examples.

    Parameters
    ----------
    n_estimators, criterion, max_depth, bootstrap
        As in `sklearn.ensemble.RandomForestClassifier`.
    random_state : int, optional
        Seed: the same seed and examples give the same forest.
    n_jobs : int, optional
        How many cores; all by default.
    **options
        Other arguments of `sklearn.ensemble.RandomForestClassifier`.

    Returns
    -------
    classifier : sklearn.ensemble.RandomForestClassifier
        The forest, to be fitted.

    References
    ----------
    .. [1] Breiman, L. (2001). Random forests. Machine Learning 45, 5-32. https://doi.org/10.1023/A:1010933404324

    Examples
    --------
    >>> forest = DefaultRandomForest(random_state=0).fit([[0.0], [1.0]], [-1, 1])
    >>> forest.predict_proba([[0.0], [1.0]])
    array([[1., 0.],
           [0., 1.]])
    """
    forest: Classifier = RandomForestClassifier(
        n_estimators,
        criterion=criterion,
        max_depth=max_depth,
        bootstrap=bootstrap,
        random_state=random_state,
        n_jobs=n_jobs,
        **options,
    )
    return forest


def get_classifier(
    name: str | Classifier = "random forest", *, random_state: int | None = None, **options: Any
) -> Classifier:
    """Return the classifier of that name, to be fitted.

    Parameters
    ----------
    name : {"random forest", "extra trees", "bagged trees", "naive bayes", "logistic regression", "gradient boosting"} \
or estimator
        `DefaultRandomForest`; 100 balanced trees of `sklearn.ensemble.ExtraTreesClassifier` with three examples or more
        in a leaf; 300 of them, each grown on 30 % of the examples, which take as long to grow and depend half as much
        on the seed; `sklearn.naive_bayes.GaussianNB`; `sklearn.linear_model.LogisticRegression`
        of features scaled to mean 0 and variance 1; or `sklearn.ensemble.HistGradientBoostingClassifier`, which
        learns from all examples, without an early end. An estimator is cloned, and keeps a seed of its own.
    random_state : int, optional
        Seed. Naive Bayes draws nothing, and takes no notice.
    **options
        Other arguments of the scikit-learn classifier.

    Returns
    -------
    classifier : scikit-learn estimator
        With methods `fit` and `predict_proba`.

    Raises
    ------
    SettingError
        If there is no classifier of that name.

    Examples
    --------
    >>> get_classifier("naive bayes", var_smoothing=1e-6)
    GaussianNB(var_smoothing=1e-06)
    """
    if not isinstance(name, str):
        return _cloned(name, random_state, options)
    make = _known.get(name.lower().replace("-", " "))
    if make is None:
        raise SettingError(f"there is no classifier named {name!r}; known are {', '.join(map(repr, _known))}.")
    return make(random_state=random_state, **options)


def _cloned(estimator: Classifier, random_state: int | None, options: dict[str, Any]) -> Classifier:
    if not hasattr(estimator, "get_params"):
        raise SettingError(f"classifier must be a name or an estimator of scikit-learn; got {estimator!r}.")
    copied: Any = clone(estimator).set_params(**options)
    if copied.get_params().get("random_state", 0) is None:
        copied.set_params(random_state=random_state)
    found: Classifier = copied
    return found


def _naive_bayes(random_state: int | None, **options: Any) -> Classifier:  # noqa: ARG001  # draws nothing
    bayes: Classifier = GaussianNB(**options)
    return bayes


def _gradient_boosting(**options: Any) -> Classifier:
    boosting: Classifier = HistGradientBoostingClassifier(**{"early_stopping": False, **options})
    return boosting


def _logistic_regression(**options: Any) -> Classifier:
    pipeline: Classifier = make_pipeline(StandardScaler(), LogisticRegression(**options))
    return pipeline


def _extra_trees(**options: Any) -> Classifier:
    chosen = {"n_estimators": 100, "min_samples_leaf": 3, "class_weight": "balanced", **options}
    trees: Classifier = ExtraTreesClassifier(**chosen)
    return trees


def _bagged_trees(**options: Any) -> Classifier:
    return _extra_trees(**{"n_estimators": 300, "bootstrap": True, "max_samples": 0.3, **options})


_known: dict[str, Callable[..., Classifier]] = {
    "random forest": DefaultRandomForest,
    "extra trees": _extra_trees,
    "bagged trees": _bagged_trees,
    "naive bayes": _naive_bayes,
    "logistic regression": _logistic_regression,
    "gradient boosting": _gradient_boosting,
}
