"""Names of the arrays and objects that several modules exchange."""

from __future__ import annotations

from typing import Any, Protocol, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array: TypeAlias = NDArray[Any]
Ints: TypeAlias = NDArray[np.integer[Any]]
Labels: TypeAlias = NDArray[np.integer[Any]]
Floats: TypeAlias = NDArray[np.float64]
Bools: TypeAlias = NDArray[np.bool_]

__all__ = ["Array", "ArrayLike", "Bools", "Classifier", "Floats", "Ints", "Labels"]


class Classifier(Protocol):
    """Anything with the fit and predict_proba of scikit-learn."""

    classes_: Array

    def fit(self, X: Array, y: Array, /) -> Any:
        """Learn from examples `X`, shape (S, F), and their labels `y`, shape (S,)."""

    def predict_proba(self, X: Array, /) -> Floats:
        """Return the probability of each class, shape (S, n_classes)."""
