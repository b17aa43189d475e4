"""Classifiers laid flat, as arrays by name: what files hold of them, and what is read from one is checked."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

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
)
from gala._types import Array
from gala.errors import ClassifierError

_N_WEIGHTS = {LINEAR: 1, GAUSSIAN: 4, FOREST: 0, BOOSTED: 0}


def model_to_arrays(model: Model) -> dict[str, Array]:
    """Return the fields of a model by name.

    Examples
    --------
    >>> from sklearn.naive_bayes import GaussianNB
    >>> from gala.classify import lay_flat
    >>> model = lay_flat(GaussianNB().fit([[0.0], [1.0]], [-1, 1]))
    >>> model_from_arrays(model_to_arrays(model)).weights.ravel()[:2]
    array([0., 1.])
    """
    return {name: np.asarray(value) for name, value in model._asdict().items()}


def model_from_arrays(arrays: Mapping[str, Array]) -> Model:
    """Return the model of which these are the fields.

    Raises
    ------
    ClassifierError
        If one is missing, or they do not fit together: no prediction ever leaves the arrays.
    """
    missing = [name for name in Model._fields if name not in arrays]
    if missing:
        raise ClassifierError(f"a model must have {', '.join(Model._fields)}; missing: {', '.join(missing)}.")
    model = Model(
        kind=int(arrays["kind"]),
        n_trees=int(arrays["n_trees"]),
        rounded=bool(arrays["rounded"]),
        baseline=float(arrays["baseline"]),
        roots=np.ascontiguousarray(arrays["roots"], dtype=np.uint32),
        nodes=np.ascontiguousarray(arrays["nodes"], dtype=NODE),
        calibration=int(arrays["calibration"]),
        **{
            name: np.ascontiguousarray(arrays[name], dtype=np.float64)
            for name in ("shift", "scale", "weights", "leaves", "knots")
        },
    )
    if not (_shapes_fit(model) and _trees_end(model)):
        raise ClassifierError("the arrays of the model do not fit together; make the file again.")
    return model


def _shapes_fit(model: Model) -> bool:
    n_features, n_knots = model.shift.size, model.knots.shape[-1]
    knots = {UNCHANGED: n_knots == 0, SIGMOID: n_knots == 1, ISOTONIC: n_knots >= 1}
    return (
        model.shift.shape == model.scale.shape == (n_features,)
        and n_features > 0
        and model.weights.shape == (_N_WEIGHTS.get(model.kind, -1), n_features)
        and knots.get(model.calibration, False)
        and model.knots.shape == (2, n_knots)
    )


def _trees_end(model: Model) -> bool:
    """Tell whether every way down leads to later nodes only, up to a leaf, and asks for features there are."""
    roots, nodes = model.roots, model.nodes
    if model.leaves.shape != nodes.shape or nodes.ndim != 1 or roots.ndim != 1 or roots.size % LANES:
        return False
    own, child = np.arange(len(nodes)), nodes["child"].astype(np.int64)
    is_leaf = (child == own) & (nodes["threshold"] == np.inf)
    leads_on = (child > own) & (child + 1 < len(nodes))
    n_wanted = model.n_trees if model.kind in (FOREST, BOOSTED) else 0
    return bool(
        (is_leaf | leads_on).all()
        and (nodes["feature"] < 2 * model.shift.size).all()
        and (roots < len(nodes)).all()
        and 0 <= roots.size - n_wanted < LANES
        and (model.n_trees > 0 or model.kind != FOREST)
    )
