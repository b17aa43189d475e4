"""A feature manager laid flat, and the loop that runs it."""

from __future__ import annotations

from enum import IntEnum
from typing import Any, NamedTuple

import numpy as np

from gala._kernels.jit import call_row, pasted
from gala._types import Floats, Ints


class Part(IntEnum):
    """The four parts of a pair's features, in order."""

    SMALLER = 0
    LARGER = 1
    CONTACT = 2
    DIFFERENCE = 3


class Program(NamedTuple):
    """Row kernels, and S steps that each run one on some columns of the cache rows.

    A step is the index of its kernel, its part, then the first, and the one after the last, of its columns of
    region rows, columns of contact rows, outputs, and parameters. Finishing steps are run once a model has made a
    priority of what the others wrote; each may rewrite the priority, which is their only output.
    """

    kernels: Any  # made by jit.row_kernels
    steps: Ints  # (S, 10)
    params: Floats  # (P,)
    reads_topology: bool = False  # see gala._kernels.topology
    finish: Ints = np.empty((0, 10), dtype=np.int64)  # (T, 10)


@pasted
def describe(program: Any, regions: Floats, contacts: Floats, small: int, large: int, edge: int, out: Floats) -> None:
    """Write the features of a pair to `out`, shape (F,).

    The pair is given as two rows of `regions`, shape (N, A), and one of `contacts`, shape (E, B).
    """
    _run(program, program.steps, regions, contacts, small, large, edge, out)


@pasted
def finish(program: Any, regions: Floats, contacts: Floats, small: int, large: int, edge: int, out: Floats) -> None:
    """Rewrite the priority of a pair, ``out[0]``."""
    _run(program, program.finish, regions, contacts, small, large, edge, out)


@pasted
def _run(
    program: Any, steps: Ints, regions: Floats, contacts: Floats, small: int, large: int, edge: int, out: Floats
) -> None:
    for s in range(steps.shape[0]):
        u = small if steps[s, 1] != 1 else large
        v = large if steps[s, 1] != 0 else small
        call_row(
            program.kernels,
            steps[s, 0],
            program.params[steps[s, 8] : steps[s, 9]],
            regions[u, steps[s, 2] : steps[s, 3]],
            regions[v, steps[s, 2] : steps[s, 3]],
            contacts[edge, steps[s, 4] : steps[s, 5]],
            out[steps[s, 6] : steps[s, 7]],
        )
