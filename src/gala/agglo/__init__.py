"""The historic interface: a graph that agglomerates itself, its policies, and how it learns.

Permanent, and thin: `Rag` is a running graph made from volumes, under the names that scripts have used since 2013.
"""

from gala.agglo.rag import Rag
from gala.engine.policy import (
    approximate_boundary_mean,
    as_policy,
    boundary_max,
    boundary_mean,
    boundary_mean_ladder,
    boundary_mean_plus_sem,
    boundary_median,
    boundary_min,
    boundary_quantile,
    boundary_sum,
    classifier_probability,
    expected_change_rand,
    expected_change_vi,
    is_mito,
    is_mito_boundary,
    make_ladder,
    mito_merge,
    no_mito_merge,
    ordered_priority,
    oriented_boundary_mean,
    random_priority,
    row_policy,
)
from gala.evaluate import best_possible_segmentation  # found here since 2013

__all__ = [
    "Rag",
    "approximate_boundary_mean",
    "as_policy",
    "best_possible_segmentation",
    "boundary_max",
    "boundary_mean",
    "boundary_mean_ladder",
    "boundary_mean_plus_sem",
    "boundary_median",
    "boundary_min",
    "boundary_quantile",
    "boundary_sum",
    "classifier_probability",
    "expected_change_rand",
    "expected_change_vi",
    "is_mito",
    "is_mito_boundary",
    "make_ladder",
    "mito_merge",
    "no_mito_merge",
    "ordered_priority",
    "oriented_boundary_mean",
    "random_priority",
    "row_policy",
]
