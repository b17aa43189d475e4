"""Policies by the names that the command line gives them: ``mean``, ``quantile:0.85``, ``learned:model.gala``."""

from __future__ import annotations

from collections.abc import Callable

from gala.engine.policy import (
    Policy,
    boundary_max,
    boundary_mean,
    boundary_mean_plus_sem,
    boundary_median,
    boundary_min,
    boundary_quantile,
    boundary_sum,
)
from gala.errors import PolicyError

_plain: dict[str, Policy] = {
    "mean": boundary_mean,
    "median": boundary_median,
    "min": boundary_min,
    "max": boundary_max,
    "sum": boundary_sum,
}
_with_number: dict[str, Callable[[float], Policy]] = {
    "quantile": boundary_quantile,
    "mean-sem": boundary_mean_plus_sem,
}
POLICY_NAMES = (*_plain, *(f"{name}:NUMBER" for name in _with_number))


def named_policy(name: str) -> Policy:
    """Return the hand-made policy of this name.

    Parameters
    ----------
    name : str
        ``mean``, ``median``, ``min``, ``max`` or ``sum`` of the boundary map along a contact; ``quantile:Q`` with Q
        from 0 to 1; ``mean-sem:A``, the mean and A times its standard error.

    Raises
    ------
    PolicyError
        If there is no such policy, or its number is wrong.

    Examples
    --------
    >>> named_policy("quantile:0.85")
    <policy boundary_quantile(0.85, nbins=256, channel=0)>
    """
    kind, colon, number = name.partition(":")
    if not colon and kind in _plain:
        return _plain[kind]
    if kind in _with_number:
        try:
            return _with_number[kind](float(number))
        except ValueError as error:
            raise PolicyError(f"policy {name!r} needs a number after the colon, as in {kind}:0.75; {error}") from error
    raise PolicyError(f"policy must be one of {', '.join(POLICY_NAMES)} or learned:MODEL; got {name!r}.")
