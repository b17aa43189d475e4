"""Classifiers in files, without pickle: reading one never runs code that the file brings.

A file names the types that it is made of. Only what skops trusts, which is scikit-learn's estimators, NumPy's
arrays and plain containers, and the types named here are ever made. skops does not trust trees, because
prediction follows their nodes wherever they point; they are trusted here, and checked.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from io import BytesIO
from typing import Any
from zipfile import ZIP_DEFLATED, ZipFile, is_zipfile

import numpy as np
import skops.io
from sklearn.ensemble import (
    ExtraTreesClassifier,
    GradientBoostingClassifier,
    GradientBoostingRegressor,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
)
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from gala._files import FileName, existing_file, replacing
from gala._types import Array, Bools, Classifier, Ints
from gala.errors import ClassifierError, FileError

_tree = "sklearn.tree._tree.Tree"
_histogram_tree = "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor"

_boosting = GradientBoostingClassifier | GradientBoostingRegressor

# Parts of fitted forests, boosted trees and calibrated classifiers that skops 0.11 or 0.16 does not trust.
# All but the trees are Python objects that hold numbers.
_trusted = frozenset(
    {
        _tree,
        _histogram_tree,
        "sklearn.ensemble._hist_gradient_boosting.binning._BinMapper",
        "sklearn._loss.loss.HalfBinomialLoss",
        "sklearn._loss.loss.ExponentialLoss",
        "sklearn._loss.link.HalfLogitLink",
        "sklearn._loss.link.Interval",
        "sklearn._loss.link.LogitLink",
        "sklearn.calibration._CalibratedClassifier",
        "sklearn.calibration._SigmoidCalibration",
    }
)


def save_classifier(classifier: Classifier, fn: FileName) -> None:
    """Write a classifier to a file that `load_classifier` reads without pickle.

    Parameters
    ----------
    classifier : scikit-learn estimator
        The classifier, fitted or not.
    fn : str or path
        The file, replaced only when the new one is complete.

    Raises
    ------
    FileError
        If the file cannot be written.
    ClassifierError
        If skops cannot store the classifier.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> from gala.classify import get_classifier
    >>> classifier = get_classifier("naive bayes").fit([[0.0], [0.1], [0.9], [1.0]], [-1, -1, 1, 1])
    >>> with TemporaryDirectory() as folder:
    ...     save_classifier(classifier, f"{folder}/bayes.skops")
    ...     load_classifier(f"{folder}/bayes.skops").predict([[0.2]])
    array([-1])
    """
    stored = classifier_as_bytes(classifier)
    with replacing(fn) as new:
        new.write_bytes(stored)


def load_classifier(fn: FileName, trusted: Sequence[str] = ()) -> Classifier:
    """Read a classifier that `save_classifier` wrote, refusing types that are not known to be harmless.

    Parameters
    ----------
    fn : str or path
        The file.
    trusted : sequence of str, optional
        Full names of further types to make. To name a type is to trust whoever made the file: trees are not
        checked if their type is among the names.

    Returns
    -------
    classifier : scikit-learn estimator
        The classifier.

    Raises
    ------
    FileError
        If the file is missing, damaged, of another kind (a pickle, say) or holds types that are not trusted.

    Notes
    -----
    Trusted are the estimators of scikit-learn, and what fitted forests, boosted trees of two classes, linear
    models, naive Bayes and calibrated classifiers are made of. The nodes of trees are checked to lead only to
    later nodes and to ask for features that there are. No file can run code of its own, but one made to do
    harm may still crash Python: do not load what a stranger made.

    Examples
    --------
    See `save_classifier`.
    """
    path = existing_file(fn)
    return classifier_from_bytes(path.read_bytes(), path, trusted)


def classifier_as_bytes(classifier: Classifier) -> bytes:
    """Return what `classifier_from_bytes` makes a classifier of."""
    try:
        stored: bytes = skops.io.dumps(classifier, compression=ZIP_DEFLATED)
    except (TypeError, ValueError) as error:
        raise ClassifierError(f"a {type(classifier).__name__} cannot be saved: {error}.") from error
    return stored


def memory_of_loading(classifier: Classifier) -> int:
    """Return how many bytes a process needs at most to load a classifier: 93 MB of trees took 280 MB (2026-11)."""
    with ZipFile(BytesIO(classifier_as_bytes(classifier))) as stored:
        return 3 * sum(part.file_size for part in stored.infolist())


def classifier_from_bytes(stored: bytes, path: FileName, trusted: Sequence[str] = ()) -> Classifier:
    """Return the classifier that a file holds, as `load_classifier` does; `path` is named in errors."""
    if not is_zipfile(BytesIO(stored)):
        raise FileError(f"{path} was not written by save_classifier, or is damaged; pickles are never read.")
    try:
        named = set(skops.io.get_untrusted_types(data=stored))
    except Exception as error:  # the file decides what is read, so anything may go wrong
        raise FileError(f"{path} was not written by save_classifier, or is damaged: {error!r}.") from error
    if refused := sorted(named - _trusted - set(trusted)):
        raise FileError(
            f"{path} holds types that are not trusted: {', '.join(refused)}; if you know them and who made "
            f"the file, pass trusted={refused}."
        )
    try:
        classifier: Classifier = skops.io.loads(stored, trusted=sorted(named))
        flaw = None if {_tree, _histogram_tree} & set(trusted) else _flaw(classifier)
        if not flaw and not hasattr(classifier, "predict_proba"):
            flaw = f"a {type(classifier).__name__}, which has no predict_proba"
    except Exception as error:  # as above
        raise FileError(f"{path} holds a classifier that is damaged: {error!r}.") from error
    if flaw:
        raise FileError(f"{path} holds {flaw}.")
    return classifier


def _flaw(classifier: Classifier) -> str | None:
    """Return what may lead prediction out of the arrays of a classifier, if anything does."""
    for model in _parts(classifier):
        if isinstance(model, HistGradientBoostingClassifier | HistGradientBoostingRegressor):
            trees = [tree.nodes for trees in getattr(model, "_predictors", ()) for tree in trees]
            if getattr(model, "_preprocessor", None) or any(nodes["is_categorical"].any() for nodes in trees):
                return f"boosted trees of categories, unchecked; to trust them, pass trusted={[_histogram_tree]}"
            sound = all(_is_histogram_tree_sound(nodes, model.n_features_in_) for nodes in trees)
        else:
            sound = all(_is_tree_sound(tree, model.n_features_in_) for tree in _trees(model))
        if not sound:
            return "a tree whose nodes do not fit together"
        if isinstance(model, _boosting) and hasattr(model, "estimators_") and not _is_binary(model):
            return f"boosted trees of many classes, unchecked; to trust them, pass trusted={[_tree]}"
    return None


def _trees(model: Any) -> list[Any]:
    if isinstance(model, DecisionTreeClassifier | DecisionTreeRegressor):
        return [model.tree_] if hasattr(model, "tree_") else []
    if isinstance(model, RandomForestClassifier | ExtraTreesClassifier | _boosting):
        return [one.tree_ for one in np.asarray(getattr(model, "estimators_", ()), dtype=object).ravel()]
    return []


def _is_binary(model: Any) -> bool:
    """Say if scikit-learn adds one column of trees to one column, which it does not check."""
    return bool(model.estimators_.shape[1] == model.n_trees_per_iteration_ == 1 and not model._loss.is_multiclass)


def _is_tree_sound(tree: Any, n_features: int) -> bool:
    has_values = tree.n_outputs > 0 and tree.max_n_classes > 0
    left, right = tree.children_left, tree.children_right
    return has_values and _leads_to_leaves(left, right, tree.feature, left == -1, n_features)


def _is_histogram_tree_sound(nodes: Array, n_features: int) -> bool:
    left, right, feature = (nodes[name].astype(np.int64) for name in ("left", "right", "feature_idx"))
    return _leads_to_leaves(left, right, feature, nodes["is_leaf"] != 0, n_features)


def _leads_to_leaves(left: Ints, right: Ints, feature: Ints, is_leaf: Bools, n_features: int) -> bool:
    """Say if every way down a tree of M nodes, (M,) each, ends at a leaf and asks for features there are."""
    inner = np.flatnonzero(~is_leaf)
    children = np.stack([left[inner], right[inner]])
    asked = feature[inner]
    return bool(
        len(is_leaf) > 0
        and np.all((children > inner) & (children < len(is_leaf)))
        and np.all((asked >= 0) & (asked < n_features))
    )


def _parts(whole: Any) -> Iterator[Any]:
    """Yield every object that `whole` is made of, itself first."""
    to_do = [whole]
    done: set[int] = set()
    while to_do:
        part = to_do.pop()
        if id(part) in done or isinstance(part, type):
            continue
        done.add(id(part))
        yield part
        if isinstance(part, dict):
            to_do += part.values()
        elif isinstance(part, list | tuple | set):
            to_do += part
        elif isinstance(part, np.ndarray) and part.dtype == object:
            to_do += part.ravel().tolist()
        to_do += vars(part).values() if hasattr(part, "__dict__") else ()
