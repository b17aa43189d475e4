"""The one place that talks to Numba's options.

Three kinds of kernel: plain ones, and two with a common signature (`row_kernel`, `gather_kernel`), which compiled
loops receive as values. Exchanging one for another recompiles nothing.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from numba import config, njit, types
from numba.core.errors import NumbaExperimentalFeatureWarning

from gala._types import Floats, Ints

F = TypeVar("F", bound=Callable[..., Any])

# Numba calls functions as values experimental; docs/decisions/001 says why they are used and what plan B is.
warnings.filterwarnings("ignore", message="First-class function type", category=NumbaExperimentalFeatureWarning)

_options: dict[str, Any] = {"cache": True, "nogil": True, "error_model": "numpy"}
_pasted_options = {**_options, "forceinline": True, "_nrt": False}
_row = types.float64[::1]
_rows = types.float64[:, ::1]
_positions = types.int64[::1]
_row_signature = types.void(_row, _row, _row, _row, _row)
_gather_signature = types.void(_row, _positions, _rows, _rows, _positions, types.int64, _rows)

# Compiled loops take their functions as tuples padded to a multiple of this, so that they compile once.
SLOTS = 16


def kernel(function: F) -> F:
    """Compile a plain loop when it is first called, and keep the result on disk."""
    compiled: F = njit(**_options)(function)
    return compiled


def inlined(function: F) -> F:
    """Compile a small function to be pasted into each kernel that calls it."""
    compiled: F = njit(inline="always", **_options)(function)
    return compiled


def pasted(function: F) -> F:
    """Compile a function whose machine code goes into each kernel that calls it; it must not make arrays.

    It does not count references to its arguments, as other functions do at each call. With the 27 arrays of a
    merge under way, mean agglomeration is five times as fast without (0.04 s against 0.21 s for 9,848 merges).
    """
    compiled: F = njit(**_pasted_options)(function)
    return compiled


def row_kernel(function: F) -> F:
    """Compile ``function(params, u, v, edge, out)``, which writes features of two regions and their contact.

    All five are float64 arrays of one dimension: the parameters of the feature manager, its columns of the cache
    rows of both regions and of their contact, and where the features go.
    """
    return kernel(function)


def gather_kernel(function: F) -> F:
    """Compile ``function(params, channels, values, coords, owner, first, out)``, which joins voxels into rows.

    ``values``, float64 of shape (V, C), are the voxels' values, of which those in ``channels``, int64, are meant;
    ``coords``, float64 of shape (V, ndim), are their positions (of shape (0, ndim) if the manager does not ask for
    them). Voxel i is joined into ``out[owner[i], first:]``, float64 of shape (N, n_columns).
    """
    return kernel(function)


def row_kernels(functions: Sequence[Callable[..., None]]) -> tuple[Callable[..., None], ...]:
    """Return the row kernels as a tuple that compiled loops can index."""
    return _as_tuple(functions, _row_signature, _no_row)


def gather_kernels(functions: Sequence[Callable[..., None]]) -> tuple[Callable[..., None], ...]:
    """Return the gather kernels as a tuple that compiled loops can index."""
    return _as_tuple(functions, _gather_signature, _no_gather)


def _as_tuple(
    functions: Sequence[Callable[..., None]], signature: Any, padding: Callable[..., None]
) -> tuple[Callable[..., None], ...]:
    n_slots = -(-max(len(functions), 1) // SLOTS) * SLOTS
    padded = (*functions, *[padding] * (n_slots - len(functions)))
    if not config.DISABLE_JIT:  # type: ignore[attr-defined]  # set from the environment
        for function in {id(f): f for f in padded}.values():
            _settle(function, signature)
    return padded


def _settle(function: Any, signature: Any) -> None:
    """Compile a Numba function for one signature and no other: only then do tuples of such functions have a type."""
    if not function.overloads:
        function.compile(signature)
        function.disable_compile()


@row_kernel
def _no_row(params: Floats, u: Floats, v: Floats, edge: Floats, out: Floats) -> None:
    """Do nothing."""


@gather_kernel
def _no_gather(
    params: Floats, channels: Ints, values: Floats, coords: Floats, owner: Ints, first: int, out: Floats
) -> None:
    """Do nothing."""
