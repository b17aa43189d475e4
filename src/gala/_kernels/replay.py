"""The merges of a tree, made again without asking a policy."""

from __future__ import annotations

import numpy as np

from gala._kernels.jit import kernel
from gala._kernels.merge import merge_regions
from gala._kernels.state import State, find_contact, may_share
from gala._types import Bools, Floats, Ints


@kernel
def replay(state: State, children: Ints, priority: Floats, obey: bool, kept: Bools) -> None:
    """Make the merges of a tree, from the state before the first; write to `kept`, shape (M,), which were made.

    With `obey`, those that a constraint forbids are not made, nor those that stand on them.
    """
    n_leaves = state.node.size
    where = np.full(n_leaves + children.shape[0], -1)
    where[:n_leaves] = np.arange(n_leaves)
    for k in range(children.shape[0]):
        u, v = where[children[k, 0]], where[children[k, 1]]
        kept[k] = u >= 0 and v >= 0
        if kept[k] and obey:
            contact = find_contact(state, u, v)
            kept[k] = may_share(state, u, v) and not (contact >= 0 and state.frozen_contact[contact])
        if kept[k]:
            where[n_leaves + k] = merge_regions(state, u, v, priority[k], False)
