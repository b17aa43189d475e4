"""What an estimator is given, as arrays that fit each other: one volume or many, channels last, values from 0 to 1."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from gala._types import Array, ArrayLike, Bools, Labels
from gala.errors import ImageError, SettingError, ShapeError
from gala.graph.labels import as_labels
from gala.graph.volume import highest_of

_TOLERANCE = 1e-3  # networks leave 0 to 1 by rounding


class Kind(NamedTuple):
    """What must be the same of all volumes that an estimator sees."""

    ndim: int  # channels aside
    n_channels_of: dict[str, int]  # of each image, by name; the name of the main one is empty


class Given(NamedTuple):
    """The images of one volume, and what goes with them; not compared with each other yet, but for their shapes."""

    image: Array  # (M, ..., P, C) the boundary map first
    extra: dict[str, Array]  # (M, ..., P, C) each
    mask: Bools | None = None  # (M, ..., P)
    superpixels: Labels | None = None  # (M, ..., P)
    truths: tuple[Labels, ...] = ()  # (M, ..., P) each

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the volume, channels aside."""
        return self.image.shape[:-1]

    @property
    def kind(self) -> Kind:
        """Dimensions and channels."""
        n_channels_of = {"": self.image.shape[-1], **{name: image.shape[-1] for name, image in self.extra.items()}}
        return Kind(len(self.shape), n_channels_of)

    def hashes(self) -> dict[str, Any]:
        """Return the SHA-256 of each array, by what it is."""
        arrays = {"image": self.image, "mask": self.mask, "superpixels": self.superpixels}
        arrays |= {f"extra {name}": image for name, image in self.extra.items()}
        arrays |= {f"truth {i}": truth for i, truth in enumerate(self.truths)}
        return {"shape": list(self.shape), **{name: _hash(a) for name, a in sorted(arrays.items()) if a is not None}}

    def halves(self) -> Iterator[Given]:
        """Yield both halves along the longest axis, the first axis of several."""
        axis = int(np.argmax(self.shape))
        middle = self.shape[axis] // 2
        for part in (slice(None, middle), slice(middle, None)):
            where = (*(slice(None),) * axis, part)
            yield Given(
                self.image[where],
                {name: image[where] for name, image in self.extra.items()},
                None if self.mask is None else self.mask[where],
                None if self.superpixels is None else self.superpixels[where],
                tuple(truth[where] for truth in self.truths),
            )


def n_channels_in(shape: Sequence[int], ndim: int) -> int:
    """Return how many channels an image of a shape has, besides `ndim` axes: one if there is no axis for them.

    Examples
    --------
    >>> n_channels_in((8, 32, 32, 4), 3), n_channels_in((8, 32, 32), 3)
    (4, 1)
    """
    return (*shape[ndim:], 1)[0]


def is_many(images: object) -> bool:
    """Tell whether `images` are those of several volumes: a list or a tuple."""
    return isinstance(images, list | tuple)


def maps_of(pixels: Any, images: Any) -> Any:
    """Return what `pixels` make of each image, or the images if it is None."""
    if pixels is None:
        return images
    return [pixels.predict(each) for each in images] if is_many(images) else pixels.predict(images)


def given_volumes(
    images: Any, truths: Any, superpixels: Any = None, *, extra: Any = None, mask: Any = None
) -> list[Given]:
    """Return the volumes that an estimator is to learn from: one, or a list of them.

    Raises
    ------
    ShapeError
        If there are not as many of everything, or shapes do not fit.
    """
    if not is_many(images):
        return [given_volume(images, truths=truths, superpixels=superpixels, extra=extra, mask=mask)]
    if not len(images):
        raise ShapeError("images must be an image, or a list of one or more; got an empty list.")
    columns = []
    for name, column in (("truths", truths), ("superpixels", superpixels), ("extra", extra), ("mask", mask)):
        found = [None] * len(images) if column is None else column
        if not is_many(found) or len(found) != len(images):
            came = f"a list of {len(found)}" if is_many(found) else f"a {type(found).__name__}"
            raise ShapeError(f"{name} must be a list of {len(images)}, one for each of the images; got {came}.")
        columns.append(found)
    return [
        given_volume(image, truths=own, superpixels=labels, extra=others, mask=keep)
        for image, own, labels, others, keep in zip(images, *columns, strict=True)
    ]


def given_volume(
    image: ArrayLike,
    *,
    truths: Any = None,
    superpixels: ArrayLike | None = None,
    extra: Mapping[str, ArrayLike] | None = None,
    mask: ArrayLike | None = None,
    ndim: int | None = None,
) -> Given:
    """Return one volume: channels last, integers scaled to 0 to 1, labels as labels.

    `ndim`, channels aside, is that of `superpixels` or truths if there are any.

    Raises
    ------
    ShapeError, ImageError, LabelError, SettingError
        If something has the wrong shape or values.
    """
    labels = None if superpixels is None else as_labels(superpixels, "superpixels")
    several = truths if isinstance(truths, list | tuple) else [] if truths is None else [truths]
    true = tuple(as_labels(truth, "truth") for truth in several)
    keep = None if mask is None else np.asarray(mask).astype(np.bool_, copy=False)
    known = {"superpixels": labels, "truth": true[0] if true else None, "mask": keep}
    found = next((array.ndim for array in known.values() if array is not None), ndim)
    values = np.asarray(image)
    shape = values.shape if found is None else values.shape[:found]
    if len(shape) < (found or 1) or not values.size:
        raise ShapeError(f"image must have {found or 1} dimensions or more, and voxels; got shape {values.shape}.")
    for name, array in [*known.items(), *(("truth", truth) for truth in true)]:
        if array is not None and array.shape != shape:
            raise ShapeError(
                f"{name} must have the shape of the image without its channels, {shape}; got {array.shape}."
            )
    others = {name: scaled(each, f"extra[{name!r}]", shape, keep) for name, each in by_name(extra).items()}
    return Given(scaled(values, "image", shape, keep), others, keep, labels, true)


def by_name(extra: object) -> dict[str, Any]:
    """Return extra images in the order of their names.

    Raises
    ------
    SettingError
        If that is not what they are.
    """
    if extra is None:
        return {}
    if not (isinstance(extra, Mapping) and all(isinstance(name, str) and name for name in extra)):
        raise SettingError(
            f'extra must be a dictionary of images by name, such as {{"raw": image}}; got {extra!r:.80}.'
        )
    return {name: extra[name] for name in sorted(extra)}


def scaled(image: ArrayLike, name: str, shape: tuple[int, ...], mask: Bools | None) -> Array:
    """Return an image with channels last and values from 0 to 1; integers are divided by what their type can hold."""
    values = np.asarray(image)
    if values.dtype.kind not in "buif":
        raise ImageError(f"{name} must hold real numbers; got an array of {values.dtype}.")
    if values.shape == shape:
        values = values[..., np.newaxis]
    elif values.shape[:-1] != shape or values.shape[-1] == 0:
        raise ShapeError(
            f"{name} must have shape {shape}, and one more axis if it has channels; got {values.shape}. "
            "Channels go on the last axis."
        )
    if values.dtype.kind in "ui":
        return (values / np.float32(highest_of(values.dtype, name))).astype(np.float32)
    if values.dtype.kind == "b":
        return values.astype(np.float32)
    seen = values if mask is None else values[mask]
    if seen.size and (seen.min() < -_TOLERANCE or seen.max() > 1 + _TOLERANCE):
        raise ImageError(
            f"{name} must hold values from 0 to 1; got {seen.min():g} to {seen.max():g}. Divide grey values by the "
            "largest one that there can be; take the logistic function of log-odds."
        )
    return values


def check_kind(found: Kind, wanted: Kind, rule: str = "image must have what the segmenter learned from,") -> None:
    """Raise an error that begins with `rule` unless a volume has these dimensions and channels.

    Raises
    ------
    ShapeError
        Naming what is wanted and what came.
    """
    if found != wanted:
        described = [f"{kind.ndim} dimensions, {describe_channels(kind.n_channels_of)}" for kind in (wanted, found)]
        raise ShapeError(f"{rule} {described[0]}; got {described[1]}.")


def describe_channels(n_channels_of: Mapping[str, int]) -> str:
    """Say what images have which channels.

    Examples
    --------
    >>> describe_channels({"": 4, "raw": 1})
    '4 channels and the extra image raw (1 channel)'
    """
    main, *others = [f"{n} channel{'s' * (n != 1)}" for n in n_channels_of.values()]
    names = [name for name in n_channels_of if name]
    if not names:
        return f"{main} and no extra image"
    each = ", ".join(f"{name} ({n})" for name, n in zip(names, others, strict=True))
    return f"{main} and the extra image{'s' * (len(names) > 1)} {each}"


def _hash(array: Array) -> str:
    digest = hashlib.sha256(f"{array.dtype.str} {array.shape}".encode())
    step = max(1, 2**24 // max(1, math.prod(array.shape[1:])))
    for first in range(0, len(array), step):  # a piece at a time, so that no copy is as large as the array
        digest.update(np.ascontiguousarray(array[first : first + step]).data)
    return digest.hexdigest()


def in_order(volumes: Sequence[Given]) -> tuple[list[Given], list[dict[str, Any]]]:
    """Return volumes and their hashes in an order that is that of their contents alone."""
    pairs = sorted(((volume.hashes(), volume) for volume in volumes), key=lambda pair: str(pair[0]))
    return [volume for _, volume in pairs], [hashes for hashes, _ in pairs]
