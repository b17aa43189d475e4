"""What the options of feature managers have in common: channels to read, and whole numbers."""

from __future__ import annotations

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
