"""Policies: which regions to merge first. The lowest priority merges first, infinity never does.

A policy is a feature map and a model. A `RowPolicy` computes its priority with one row kernel, or rewrites that of
another policy; a `ClassifierPolicy` asks a classifier about features; both run compiled where they can. Anything else
is a function.
"""

from gala.engine.policy.base import Compiled, FunctionPolicy, PairPolicy, Policy, as_policy, not_a_priority
from gala.engine.policy.contacts import (
    approximate_boundary_mean,
    boundary_max,
    boundary_mean,
    boundary_mean_plus_sem,
    boundary_median,
    boundary_min,
    boundary_quantile,
    boundary_sum,
    oriented_boundary_mean,
)
from gala.engine.policy.first import MeanLogOdds, mean_log_odds
from gala.engine.policy.learned import (
    ClassifierPolicy,
    classifier_probability,
    expected_change_rand,
    expected_change_vi,
)
from gala.engine.policy.mitochondria import is_mito, is_mito_boundary, mito_merge, no_mito_merge
from gala.engine.policy.order import boundary_mean_ladder, make_ladder, ordered_priority, random_priority
from gala.engine.policy.rows import RowPolicy, row_policy

__all__ = [
    "ClassifierPolicy",
    "Compiled",
    "FunctionPolicy",
    "MeanLogOdds",
    "PairPolicy",
    "Policy",
    "RowPolicy",
    "approximate_boundary_mean",
    "as_policy",
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
    "mean_log_odds",
    "mito_merge",
    "no_mito_merge",
    "not_a_priority",
    "ordered_priority",
    "oriented_boundary_mean",
    "random_priority",
    "row_policy",
]
