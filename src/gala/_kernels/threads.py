"""How many threads, and running independent pieces over them in a fixed order."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from gala.errors import SettingError

Piece = TypeVar("Piece")
Result = TypeVar("Result")


def resolve_n_threads(n_threads: int | None = None) -> int:
    """Return `n_threads`, or else the environment variable GALA_NUM_THREADS, or else the number of cores."""
    source = "n_threads"
    given: object = n_threads
    if given is None:
        source = "the environment variable GALA_NUM_THREADS"
        given = os.environ.get("GALA_NUM_THREADS") or len(_cores())
    try:
        number = int(given)  # type: ignore[call-overload]  # whatever came is judged by the next line
    except (TypeError, ValueError):
        number = 0
    if number < 1 or (isinstance(given, float) and given != number):
        raise SettingError(f"{source} must be a whole number, 1 or more; got {given!r}.")
    return int(number)


def map_over_threads(
    function: Callable[[Piece], Result], pieces: Iterable[Piece], *, n_threads: int | None = None
) -> list[Result]:
    """Return ``[function(piece) for piece in pieces]``, computed on several threads, in the order of the pieces."""
    pieces = list(pieces)
    n_workers = min(resolve_n_threads(n_threads), len(pieces))
    if n_workers <= 1:
        return [function(piece) for piece in pieces]
    with ThreadPoolExecutor(n_workers) as pool:
        return list(pool.map(function, pieces))


def _cores() -> set[int] | range:
    """Return the cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return os.sched_getaffinity(0)
    return range(os.cpu_count() or 1)
