"""The words of volumes in files: names and order of axes, units of length, chunks."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TypeAlias

from gala.errors import SettingError

Axes: TypeAlias = tuple[str, ...]

# In the order in which gala presents them; files may hold any other.
_letters = {"time": "t", "plane": "z", "row": "y", "column": "x", "channel": "c"}
_names = {letter: name for name, letter in _letters.items()}
_place = {name: i for i, name in enumerate(_letters)}
spatial = ("plane", "row", "column")
_usual = {1: "x", 2: "yx", 3: "zyx", 4: "zyxc", 5: "tzyxc"}

# Metres, for conversions; the long names are those of OME.
_units = {
    "angstrom": ("angstrom", 1e-10, ("a", "å", "ångström")),
    "nm": ("nanometer", 1e-9, ("nanometre",)),
    "um": ("micrometer", 1e-6, ("micrometre", "micron", "microns", "µm", "μm", "\\u00b5m")),
    "mm": ("millimeter", 1e-3, ("millimetre",)),
    "cm": ("centimeter", 1e-2, ("centimetre",)),
    "m": ("meter", 1.0, ("metre",)),
}


def axis_names(axes: str | Sequence[str], ndim: int | None = None) -> Axes:
    """Return the full names of axes given as letters, such as "czyx", or as names.

    Examples
    --------
    >>> axis_names("czyx")
    ('channel', 'plane', 'row', 'column')
    >>> axis_names(["plane", "row", "column"])
    ('plane', 'row', 'column')
    """
    names = tuple(_names.get(axis.lower(), axis.lower()) for axis in axes)
    if not set(names) <= set(_letters) or len(set(names)) != len(names) or ndim not in (None, len(names)):
        how_many = "" if ndim is None else f"{ndim} "
        raise SettingError(
            f"axes must be {how_many}different ones of t, z, y, x, c, such as 'zyxc', or time, plane, row, column, "
            f"channel; got {axes!r}."
        )
    return names


def axis_letters(axes: Axes) -> str:
    """Return axes as letters, such as "zyxc"."""
    return "".join(_letters[axis] for axis in axes)


def usual_axes(ndim: int) -> Axes:
    """Return the axes of a volume of 1 to 5 of them that does not name them.

    Examples
    --------
    >>> usual_axes(4)
    ('plane', 'row', 'column', 'channel')
    """
    return axis_names(_usual[ndim])


def presented(axes: Axes) -> list[int]:
    """Return the positions of axes in the order in which gala presents them, channels last.

    Examples
    --------
    >>> presented(("channel", "plane", "row", "column"))
    [1, 2, 3, 0]
    """
    return sorted(range(len(axes)), key=lambda i: _place[axes[i]])


def n_spatial(axes: Axes) -> int:
    """Return how many of the axes are spatial."""
    return sum(axis in spatial for axis in axes)


def known_unit(unit: str | None) -> str | None:
    """Return the short name of a unit of length, or None if it is none that gala knows.

    Examples
    --------
    >>> known_unit("nanometer"), known_unit("µm"), known_unit("inch")
    ('nm', 'um', None)
    """
    word = str(unit).strip().lower()
    for short, (long, _, others) in _units.items():
        if word in (short, long, *others):
            return short
    return None


def check_unit(unit: str | None) -> str | None:
    """Return the short name of a unit of length, after checking that it is one."""
    if unit is not None and known_unit(unit) is None:
        raise SettingError(f"unit must be one of {', '.join(_units)}, or None; got {unit!r}.")
    return known_unit(unit)


def long_unit(unit: str) -> str:
    """Return the long name of a unit, which OME uses."""
    return _units[unit][0]


def in_unit(lengths: Sequence[float], unit: str, wanted: str) -> tuple[float, ...]:
    """Return lengths in another unit.

    Examples
    --------
    >>> in_unit((0.04, 0.004), "um", "nm")
    (40.0, 4.0)
    """
    if unit == wanted:
        return tuple(lengths)
    factor = _units[unit][1] / _units[wanted][1]
    return tuple(float(f"{length * factor:.12g}") for length in lengths)  # not 40.00000000000001


def usual_chunks(shape: Sequence[int], axes: Axes) -> tuple[int, ...]:
    """Return the shape of the blocks that files store: a side of 64 in space, axes up to 128 whole.

    Examples
    --------
    >>> usual_chunks((1000, 100, 1000, 4), axis_names("zyxc"))
    (64, 100, 64, 4)
    """
    side = {0: 1, 1: 2**16, 2: 512}.get(n_spatial(axes), 64)
    sides = {"time": 1, "channel": 16}
    chunks = []
    for n, axis in zip(shape, axes, strict=True):
        wanted = sides.get(axis, side)
        chunks.append(max(1, n if axis in spatial and n <= 2 * wanted else min(n, wanted)))
    return tuple(chunks)


def consecutive(shape: Sequence[int], n_voxels: int = 2**21) -> tuple[int, ...]:
    """Return a block of up to `n_voxels` voxels that follow each other in C order.

    Examples
    --------
    >>> consecutive((50, 100, 100), 20_000)
    (2, 100, 100)
    """
    sides: list[int] = []
    for n in reversed(shape):
        sides.insert(0, max(1, min(n, n_voxels // math.prod(sides))))
    return tuple(sides)


def grown(block: Sequence[int], shape: Sequence[int], n_voxels: int = 2**21) -> tuple[int, ...]:
    """Return a block of whole blocks, of up to `n_voxels`, unless one is larger.

    Examples
    --------
    >>> grown((1, 100, 100), (50, 100, 100), 50_000)
    (4, 100, 100)
    """
    sides = [max(1, side) for side in block]
    while True:
        short = [i for i, (side, n) in enumerate(zip(sides, shape, strict=True)) if side < n]
        if not short or 2 * math.prod(sides) > n_voxels:
            return tuple(sides)
        sides[min(short, key=lambda i: sides[i])] *= 2
