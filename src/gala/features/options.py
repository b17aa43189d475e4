"""What the options of feature managers and policies have in common: channels to read, and numbers."""

from __future__ import annotations

import math
import operator
from typing import NamedTuple

import numpy as np

from gala.errors import FeatureError, SettingError
from gala.graph.caches import Channels


class ChosenChannels(NamedTuple):
    """Which channels a manager reads, and how its columns are named after them."""

    region: tuple[int, ...]
    contact: tuple[int, ...]
    prefix: str
    suffixes: tuple[str, ...]  # one per channel


def choose_channels(channels: Channels, *, oriented: bool, name: str) -> ChosenChannels:
    """Return the channels that manager `name` reads: the plain ones, or what oriented ones are reduced to.

    Raises
    ------
    FeatureError
        If the image has no such channels.
    """
    if not oriented:
        if not channels.plain:
            raise FeatureError(
                f"{name} needs an image with at least one channel that is not oriented; to read oriented "
                "ones, make it with oriented=True."
            )
        return ChosenChannels(channels.plain, channels.plain, "", tuple(f"[{c}]" for c in channels.plain))
    if channels.oriented_region is None or channels.oriented_contact is None:
        raise FeatureError(
            f"{name} with oriented=True needs oriented channels, and the image has none; say which they are "
            "with channel_is_oriented when the graph is built."
        )
    return ChosenChannels((channels.oriented_region,), (channels.oriented_contact,), "oriented.", ("",))


def whole_number(value: object, name: str) -> int:
    """Return the option `name` as an int.

    Raises
    ------
    SettingError
        If `value` is not a whole number, 1 or more.
    """
    if isinstance(value, (int, float, np.integer, np.floating)) and float(value).is_integer() and value >= 1:
        return int(value)
    raise SettingError(f"{name} must be a whole number, 1 or more; got {value!r}.")


def channel_number(channel: object) -> int:
    """Return the number of a channel.

    Raises
    ------
    SettingError
        If it is not a whole number, 0 or more.
    """
    try:
        number = operator.index(channel)  # type: ignore[arg-type]  # raises for others
    except TypeError:
        number = -1
    if number < 0:
        raise SettingError(f"channel must be the number of a channel, 0 or more; got {channel!r}.")
    return number


def finite_number(value: object, name: str) -> float:
    """Return the option `name` as a float.

    Raises
    ------
    SettingError
        If it is not a finite number.
    """
    try:
        number = float(value)  # type: ignore[arg-type]  # raises for others
    except (TypeError, ValueError):
        number = math.nan
    if not math.isfinite(number):
        raise SettingError(f"{name} must be a finite number; got {value!r}.")
    return number
