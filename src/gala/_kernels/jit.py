"""The one place that talks to Numba's options.

Three kinds of kernel: plain ones, and two with a common signature (`row_kernel`, `gather_kernel`), which compiled
loops receive by address. Exchanging one for another recompiles nothing.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import numpy as np
from numba import config, njit, types
from numba.core import cgutils
from numba.core.dispatcher import Dispatcher
from numba.extending import intrinsic

from gala._types import Floats, Ints

F = TypeVar("F", bound=Callable[..., Any])

_options: dict[str, Any] = {"cache": True, "nogil": True, "error_model": "numpy"}
_pasted_options = {**_options, "forceinline": True, "_nrt": False}
_row = types.float64[::1]
_rows = types.float64[:, ::1]
_positions = types.int64[::1]
_row_signature = types.void(_row, _row, _row, _row, _row)
_gather_signature = types.void(_row, _positions, _rows, _rows, _rows, _positions, types.int64, _rows)
_addresses: dict[Any, int] = {}  # of compiled functions, which stay in memory because they are kept here


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
    """Compile ``function(params, channels, values, coords, faces, owner, first, out)``, which joins voxels into rows.

    ``values``, float64 of shape (V, C), are the voxels' values, of which those in ``channels``, int64, are meant;
    ``coords``, float64 of shape (V, ndim), are their positions and ``faces``, likewise, how many faces along
    each axis a voxel shares with the other region of the contact or, in a region, with anything else (both of shape
    (0, ndim) if the manager does not ask for them). Voxel i is joined into
    ``out[owner[i], first:]``, float64 of shape (N, n_columns).
    """
    return kernel(function)


def row_kernels(functions: Sequence[Callable[..., None]]) -> Any:
    """Return row kernels as compiled loops take them, for `call_row`."""
    return _callable(functions, _row_signature)


def gather_kernels(functions: Sequence[Callable[..., None]]) -> Any:
    """Return gather kernels as compiled loops take them, for `call_gather`."""
    return _callable(functions, _gather_signature)


def joined_kernels(kernels: Any, others: Any) -> Any:
    """Return what `row_kernels` made of some kernels and of others as one."""
    return kernels + others if isinstance(kernels, tuple) else np.concatenate([kernels, others])


def user_row_kernel(function: Callable[..., None]) -> Any:
    """Return a user's row kernel, compiled for its signature; what Numba says against it is raised."""
    if config.DISABLE_JIT:  # type: ignore[attr-defined]  # set from the environment
        return function
    is_compiled = isinstance(function, Dispatcher)
    compiled: Any = function if is_compiled else njit(nogil=True, error_model="numpy")(function)
    if compiled.get_compile_result(_row_signature).signature.return_type != types.none:
        raise TypeError("it returns a value")
    return compiled


if config.DISABLE_JIT:  # type: ignore[attr-defined]  # set from the environment

    def call_row(kernels: Any, i: int, params: Floats, u: Floats, v: Floats, edge: Floats, out: Floats) -> None:
        """Call the row kernel at position `i`."""
        kernels[i](params, u, v, edge, out)

    def call_gather(
        kernels: Any,
        i: int,
        params: Floats,
        channels: Ints,
        values: Floats,
        coords: Floats,
        faces: Floats,
        owner: Ints,
        first: int,
        out: Floats,
    ) -> None:
        """Call the gather kernel at position `i`."""
        kernels[i](params, channels, values, coords, faces, owner, first, out)

else:

    @intrinsic
    def call_row(
        context: Any, kernels: Any, i: Any, params: Any, u: Any, v: Any, edge: Any, out: Any
    ) -> tuple[Any, Any]:
        """Call the row kernel at position `i`."""
        return _call_by_address(kernels, i, _row_signature)

    @intrinsic
    def call_gather(
        context: Any,
        kernels: Any,
        i: Any,
        params: Any,
        channels: Any,
        values: Any,
        coords: Any,
        faces: Any,
        owner: Any,
        first: Any,
        out: Any,
    ) -> tuple[Any, Any]:
        """Call the gather kernel at position `i`."""
        return _call_by_address(kernels, i, _gather_signature)


def _call_by_address(kernels: Any, i: Any, signature: Any) -> tuple[Any, Any]:
    """Return signature and code of a call of the function whose address is ``kernels[i]``."""

    def generate(context: Any, builder: Any, typed: Any, arguments: Any) -> Any:
        get = context.get_function(operator.getitem, types.int64(kernels, i))
        address = get(builder, arguments[:2])
        function = context.call_conv.get_function_type(types.none, signature.args)
        pointer = builder.inttoptr(address, function.as_pointer())
        status, _ = context.call_conv.call_function(builder, pointer, types.none, signature.args, arguments[2:])
        with cgutils.if_unlikely(builder, status.is_error):  # type: ignore[no-untyped-call]  # Numba ships no types
            context.call_conv.return_status_propagate(builder, status)
        return context.get_dummy_value()

    return types.void(kernels, i, *signature.args), generate


def _callable(functions: Sequence[Callable[..., None]], signature: Any) -> Any:
    """Return the addresses of compiled functions, int64 of shape (F,); the functions themselves without the JIT."""
    if config.DISABLE_JIT:  # type: ignore[attr-defined]  # set from the environment
        return tuple(functions)
    return np.array([_address(function, signature) for function in functions], dtype=np.int64)


def _address(function: Any, signature: Any) -> int:
    """Return where the machine code of a Numba function for one signature is."""
    if function not in _addresses:
        compiled = function.get_compile_result(signature)
        _addresses[function] = compiled.library.get_pointer_to_function(compiled.fndesc.llvm_func_name)
    return _addresses[function]
