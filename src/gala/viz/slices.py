"""A page that shows a volume plane by plane and cuts its merge tree live: one HTML file that needs nothing else."""

from __future__ import annotations

import json
import zlib
from base64 import b64encode
from collections.abc import Mapping, Sequence
from html import escape
from importlib.resources import files
from pathlib import Path
from typing import Any
from warnings import warn

import numpy as np

from gala._files import FileName, replacing
from gala._types import Array, ArrayLike, Ints
from gala.errors import GalaWarning, SettingError, ShapeError
from gala.graph.labels import as_labels
from gala.graph.tree import MergeTree, check_threshold
from gala.graph.volume import check_spacing
from gala.viz.colours import LabelColours, check_opacity, named_merges, palette
from gala.viz.shown import as_picture, leaf_positions

_bytes_per_voxel = 1.2  # of text, about: an image that does not compress, and labels that do


def write_slices_page(
    path: FileName,
    image: ArrayLike,
    superpixels: ArrayLike,
    tree: MergeTree | None = None,
    *,
    thresholds: Sequence[float] = (),
    spacing: Sequence[float] | None = None,
    colours: LabelColours | None = None,
    opacity: float = 0.4,
    planes: slice | None = None,
    every: int | None = None,
    max_megabytes: float = 20,
    title: str | None = None,
) -> Path:
    """Write a page to look at planes of a volume, and at its segmentation at any threshold.

    The merge tree is in the page, and the browser cuts it. The page loads nothing and sends nothing.

    Parameters
    ----------
    path : str or path
        The file (.html), which is only replaced once the new one is complete.
    image : array, shape (M, N, ..., P) or (M, N, ..., P, C)
        Grey; three channels are red, green and blue, and of any other number the first is shown.
    superpixels : array of int, shape (M, N, ..., P)
        The leaves of the tree, in 2 or 3 dimensions; 0 is background if there is one label more than leaves.
    tree : MergeTree, optional
        By default the labels are shown as they are, and 0 is background.
    thresholds : sequence of float, optional
        Cuts to offer by a button each; the page opens at the first.
    spacing : sequence of float, optional
        The size of a voxel along each axis, so that pictures have the shape of the sample.
    colours : LabelColours, optional
        By default those of `LabelColours.from_tree`.
    opacity : float, optional
        Of the colours when the page opens, from 0 to 1.
    planes : slice, optional
        Which planes of the first axis of a volume of 3 dimensions to show; by default all.
    every : int, optional
        Show every so many rows and columns only; by default, as many as fit.
    max_megabytes : float, optional
        How large the page may be.
    title : str, optional
        By default the name of the file.

    Returns
    -------
    path : path
        The file.

    Raises
    ------
    FileError
        If the file cannot be written.
    ShapeError
        If the arrays are not in 2 or 3 dimensions, or do not fit each other.
    LabelError
        If `superpixels` are no labels.
    SettingError
        If the page would be too large, the tree has other leaves, or another option does not fit.

    Warns
    -----
    GalaWarning
        If rows and columns were left out to keep the page small.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> superpixels = np.array([[1, 1, 2, 3]])
    >>> tree = MergeTree(3, np.array([[0, 1], [2, 3]]), np.array([0.25, 0.5]))
    >>> with TemporaryDirectory() as folder:
    ...     page = write_slices_page(f"{folder}/page.html", superpixels, superpixels, tree, thresholds=[0.3])
    ...     page.read_text(encoding="utf-8")[:15]
    '<!DOCTYPE html>'
    """
    labels = as_labels(superpixels, "superpixels")
    if labels.ndim not in (2, 3):
        raise ShapeError(f"superpixels must have 2 or 3 dimensions to be shown; got shape {labels.shape}.")
    if tree is None and len(thresholds):
        raise SettingError("thresholds are where to cut a tree; give the tree too.")
    cuts = [check_threshold(threshold) for threshold in thresholds]
    sides = check_spacing(spacing, labels.ndim)
    picture = as_picture(image, labels.shape)
    known, leaves = leaf_positions(labels, tree)
    first = _first_plane(planes, labels.shape)
    if labels.ndim == 2:
        picture, leaves, sides = picture[np.newaxis], leaves[np.newaxis], (1.0, *sides)
    state = {
        "title": title or Path(path).name,
        "spacing": sides,
        "thresholds": [repr(cut).replace("inf", "Infinity") for cut in cuts],  # JSON has no infinity
        "opacity": check_opacity(opacity),
        "palette": palette().tolist(),
        "first": first,
    }
    merges = tree or MergeTree.empty(len(known))
    parts = {
        "labels": _packed(known),
        "sizes": _packed(np.bincount(leaves.ravel() + 1, minlength=len(known) + 1)[1:].astype(np.float64)),
        "colours": _packed((colours or LabelColours.from_tree(labels, tree)).numbers_of(known)),
        "merges": _packed(np.array(list(named_merges(merges)), dtype=np.uint32)),
        "heights": _packed(np.sort(merges.height, kind="stable")),
    }
    chosen = slice(None) if planes is None else planes
    page = _fitting(picture[chosen], leaves[chosen], state, parts, (every, max_megabytes))
    with replacing(path) as new:
        new.write_text(page, encoding="utf-8", errors="backslashreplace")
    return Path(path)


def _first_plane(planes: slice | None, shape: tuple[int, ...]) -> int:
    """Return the number of the first plane that is shown."""
    if planes is None:
        return 0
    if not isinstance(planes, slice) or planes.step not in (None, 1) or len(shape) != 3:
        raise SettingError(f"planes must be a slice without a step, of a volume of 3 dimensions; got {planes!r}.")
    first, stop, _ = planes.indices(shape[0])
    if first >= stop:
        raise SettingError(f"planes must be some of the {shape[0]} that there are; got {planes!r}.")
    return first


def _fitting(
    picture: Array, leaves: Ints, state: Mapping[str, Any], parts: Mapping[str, str], limits: tuple[int | None, float]
) -> str:
    """Return the page, with no more rows and columns left out than asked for, or than have to be."""
    every, max_megabytes = limits
    if every is not None and every < 1:
        raise SettingError(f"every must be 1 or more; got {every!r}.")
    if not max_megabytes > 0:
        raise SettingError(f"max_megabytes must be above 0; got {max_megabytes!r}.")
    room = 1e6 * max_megabytes
    expected = np.sqrt(_bytes_per_voxel * picture.size / room)
    step = every or max(1, int(expected))
    while True:
        page = _page(picture, leaves, dict(state), parts, step)
        if len(page) <= room:
            break
        # With `every`, and where no rows and columns are left to leave out, it is for the caller to say.
        if every is not None or step >= max(leaves.shape[1:]):
            raise SettingError(
                f"the page would have {len(page) / 1e6:.1f} MB, above max_megabytes={max_megabytes:g}: show some of "
                f"the {len(leaves)} planes (planes=slice(0, {max(1, len(leaves) // 4)})), or fewer rows and columns "
                f"(every={2 * step})."
            )
        step += 1
    if step > 1 and every is None:
        warn(
            f"the page shows one row and column in {step}, to stay below {max_megabytes:g} MB; to see all of a part, "
            "name its planes (planes=slice(first, stop)).",
            GalaWarning,
            stacklevel=3,
        )
    return page


def _page(picture: Array, leaves: Ints, state: dict[str, Any], parts: Mapping[str, str], step: int) -> str:
    """Return the text of the page."""
    shown = leaves[:, ::step, ::step] + 1
    narrow = shown.astype(np.min_scalar_type(int(shown.max(initial=0))))
    wide = np.uint32 if narrow.dtype.itemsize > 2 else narrow.dtype
    image = picture[:, ::step, ::step]
    channels = image[np.newaxis] if image.ndim == 3 else np.moveaxis(image, -1, 0)
    state |= {
        "shape": shown.shape,
        "channels": len(channels),
        "bytes": np.dtype(wide).itemsize,
        "every": step,
        "spacing": [state["spacing"][0], *(step * side for side in state["spacing"][1:])],
    }
    parts = {**parts, "image": _packed(_differences(channels)), "leaves": _packed(_differences(narrow.astype(wide)))}
    scripts = "\n".join(f'<script type="text/plain" id="{name}">{text}</script>' for name, text in parts.items())
    slots = {
        "TITLE": escape(state["title"]),
        "STYLE": _asset("slices.css"),
        "STATE": json.dumps(state).replace("<", "\\u003c"),  # so that no name ends the script
        "PARTS": scripts,
        "SCRIPT": _asset("slices.js"),
    }
    page = _asset("slices.html")
    before, *rest = page.split("{{")
    return before + "".join(slots[name] + text for name, text in (piece.split("}}", 1) for piece in rest))


def _differences(array: Array) -> Array:
    """Return what each value adds to the one on its left, modulo the range of the type: mostly 0 for labels."""
    found = array.copy()
    found[..., 1:] -= array[..., :-1]
    return found


def _packed(array: Array) -> str:
    """Return an array as text: little-endian, deflated, base64."""
    little = np.ascontiguousarray(array).astype(array.dtype.newbyteorder("<"), copy=False)
    return b64encode(zlib.compress(little.tobytes(), 6)).decode()


def _asset(name: str) -> str:
    return files("gala.viz").joinpath(name).read_text(encoding="utf-8")
