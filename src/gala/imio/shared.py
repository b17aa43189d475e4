"""What all formats share: crop boxes mean the same."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

from gala.errors import SettingError

Crop: TypeAlias = Sequence[int | None] | None


def crop_box(crop: Crop, ndim: int) -> tuple[slice, ...]:
    """Return the slices of a crop box ``(start0, stop0, start1, stop1, ...)``, one for each of `ndim` axes.

    None means from the beginning or to the end; axes that are not named are kept whole.

    Examples
    --------
    >>> crop_box((5, 10, None, 20), 3)
    (slice(5, 10, None), slice(None, 20, None), slice(None, None, None))
    """
    bounds = [] if crop is None else list(crop)
    if len(bounds) % 2 or len(bounds) > 2 * ndim:
        raise SettingError(
            f"crop must be (start0, stop0, start1, stop1, ...) for at most {ndim} axes; got {tuple(bounds)}."
        )
    if not all(bound is None or hasattr(bound, "__index__") for bound in bounds):
        raise SettingError(f"crop must hold whole numbers or None; got {tuple(bounds)}.")
    pairs = zip(bounds[::2], bounds[1::2], strict=True)
    box = tuple(slice(start, stop) for start, stop in pairs)
    return box + (slice(None),) * (ndim - len(box))
