"""The columns of a state's arrays, and the key of a pair of regions: what all kernels of the engine know."""

from __future__ import annotations

from typing import Any

import numpy as np

from gala._kernels.jit import inlined, pasted

# Entries of `State.counters`.
N_MERGES, N_HEAP, N_TOUCHED, N_DEAD, N_KEYS, N_AT_BORDER = 0, 1, 2, 3, 4, 5

# Columns of `State.links`. A contact's two sides are two columns each.
END = 0  # the region; -1 if the contact is gone
NEXT = 2  # in the list of the region's half contacts
NEXT_PART, LAST_PART = 4, 5  # in the list of the graph's contacts that make it up

# Columns of `State.scores`.
PRIORITY = 0  # infinity never merges
RANK = 1  # lowest of the contact's parts in the order of the graph's edges
LOW, LOW_RANK = 2, 3  # of the contact's heap entry; infinity if it has none

# Columns of `State.classes`, bit masks: no region that has a class merges with one that refuses it.
HAS, REFUSES = 0, 1


@inlined
def key_of(u: int, v: int) -> np.uint64:
    """Return the key of a pair of regions in `State.table`."""
    return (np.uint64(min(u, v)) << np.uint64(32)) | np.uint64(max(u, v))


@pasted
def is_half_of(state: Any, half: int, region: int) -> bool:
    """Tell whether `half`, found in the list of `region`, is one of its contacts still."""
    return bool(state.links[half >> 1, END + (half & 1)] == region)
