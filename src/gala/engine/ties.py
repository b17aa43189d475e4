"""Of contacts with one priority, the one of lowest rank merges first; joined ones have the lower of their ranks.

At first contacts are ranked as the graph has them. That will do for means and maxima: a joined contact has the
priority of one of its parts only if both parts have it, or if it is the higher one. A minimum stays what it was when a
contact of a higher priority and a lower rank joins it, and would then come before contacts that it came after. So
contacts are ranked by priority first where the policy is a minimum, as Kruskal's algorithm takes them.
"""

from __future__ import annotations

import numpy as np

from gala._kernels.state import PRIORITY, RANK, State
from gala._types import Ints


def rank_by_priority(state: State, contacts: Ints) -> None:
    """Rank contacts, shape (B,), by their priorities first, then as they were ranked."""
    priority, rank = state.scores[contacts, PRIORITY], state.scores[contacts, RANK]
    state.scores[contacts[np.lexsort([rank, priority])], RANK] = np.sort(rank)
