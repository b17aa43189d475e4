"""What the options of feature managers and policies have in common: channels to read, and numbers."""

from __future__ import annotations

import math
import operator
from functools import lru_cache
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


@lru_cache
def choose_channels(channels: Channels, *, oriented: bool, image: str | None, name: str) -> ChosenChannels:
    """Return the channels that manager `name` reads: the plain ones, what oriented ones are reduced to, or an image's.

    Raises
    ------
    FeatureError
        If the image has no such channels.
    """
    if image is not None:
        extra = dict(channels.extra)
        if image not in extra:
            known = f"those are {', '.join(extra)}" if extra else "there are none"
            raise FeatureError(
                f"{name} with image={image!r} needs an extra image of this name, and {known}; give it as "
                f"extra={{{image!r}: ...}} when the graph is built."
            )
        suffixes = tuple(f"[{c}]" for c in range(len(extra[image])))
        return ChosenChannels(extra[image], extra[image], f"{image}.", suffixes)
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


def image_name(image: object, *, oriented: bool) -> str | None:
    """Return the name of the extra image that a manager reads, or None for the image itself.

    Raises
    ------
    SettingError
        If it is no name, or the channels are to be oriented, which only those of the image itself can be.
    """
    if image is None:
        return None
    if not isinstance(image, str) or not image:
        raise SettingError(f'image must be the name of an extra image, such as "raw", or None; got {image!r}.')
    if oriented:
        raise SettingError(f"only the image itself has oriented channels; leave out oriented=True or image={image!r}.")
    return image


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
