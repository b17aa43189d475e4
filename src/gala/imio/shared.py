"""What formats share: crop boxes and voxel sizes mean the same."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np

from gala.errors import FileError, SettingError

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


def listed(names: Sequence[str]) -> str:
    """Say which datasets a file has."""
    return f"the datasets there are: {', '.join(names)}" if names else "there are none"


def chosen_dataset(names: Sequence[str], path: object) -> str:
    """Return the dataset to open when none is asked for: "stack", or the only one."""
    if "stack" in names:
        return "stack"
    if len(names) != 1:
        which = f"name one of them, {path}::dataset; " if names else ""
        raise FileError(f"{path} does not hold one dataset, or one named 'stack': {which}{listed(names)}.")
    return names[0]


def three_lengths(lengths: Sequence[float], name: str) -> tuple[float, float, float]:
    """Return a length along each axis, plane, row and column, after checking that it is one.

    Examples
    --------
    >>> three_lengths([40, 4, 4], "resolution")
    (40.0, 4.0, 4.0)
    """
    found = np.asarray(lengths)
    if found.shape != (3,) or found.dtype.kind not in "uif" or not (np.isfinite(found) & (found > 0)).all():
        raise SettingError(f"{name} must be three lengths above 0, along planes, rows and columns; got {lengths!r}.")
    plane, row, column = found.tolist()
    return float(plane), float(row), float(column)
