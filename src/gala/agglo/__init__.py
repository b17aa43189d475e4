"""The historic interface: a graph that agglomerates itself, its policies, and how it learns.

Permanent, and thin: `Rag` is a running graph made from volumes, under the names that scripts have used since 2013.
"""

from gala.agglo.rag import Rag
from gala.engine.policy import (
    approximate_boundary_mean,
    as_policy,
    boundary_mean,
    boundary_median,
    classifier_probability,
    ordered_priority,
    random_priority,
)

__all__ = [
    "Rag",
    "approximate_boundary_mean",
    "as_policy",
    "boundary_mean",
    "boundary_median",
    "classifier_probability",
    "ordered_priority",
    "random_priority",
]
