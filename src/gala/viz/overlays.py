"""Labels over images: a plane, or several side by side."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from gala._types import Array, ArrayLike, Labels
from gala.errors import SettingError, ShapeError
from gala.graph.labels import as_labels
from gala.graph.volume import check_spacing
from gala.viz.colours import LabelColours, check_opacity
from gala.viz.painting import changes, magnified
from gala.viz.shown import as_picture

AXES = ("plane", "row", "column")
_line = 0.3  # how bright lines between regions are, of the colour there
_panel_inches = 4.8  # the longer side


def overlay(
    image: ArrayLike,
    labels: ArrayLike,
    *,
    plane: int | None = None,
    axis: int = 0,
    spacing: Sequence[float] | None = None,
    colours: LabelColours | None = None,
    opacity: float = 0.4,
    background: int | None = 0,
) -> Figure:
    """Draw a plane of labels over an image.

    Parameters
    ----------
    image : array, shape (M, N, ..., P) or (M, N, ..., P, C)
        Grey; three channels are red, green and blue, and of any other number the first is shown.
    labels : array of int, shape (M, N, ..., P)
        Regions, in 2 or 3 dimensions.
    plane : int, optional
        Which plane of 3-dimensional arrays; by default the one in the middle.
    axis : int, optional
        The axis across which planes are taken.
    spacing : sequence of float, optional
        The size of a voxel along each axis, so that the picture has the shape of the sample.
    colours : LabelColours, optional
        By default that of the hash of each label: the same in every picture. `LabelColours.from_tree` gives colours
        that differ between neighbours in every cut.
    opacity : float, optional
        Of the colours, from 0 to 1.
    background : int or None, optional
        A label that is not painted.

    Returns
    -------
    figure : matplotlib.figure.Figure
        With dark lines between regions.

    Raises
    ------
    ShapeError
        If the arrays are not in 2 or 3 dimensions, or do not fit each other.
    LabelError
        If `labels` are no labels.
    SettingError
        If there is no such plane or axis, or another option does not fit.

    Examples
    --------
    >>> figure = overlay([[0.0, 0.5, 1.0]], [[1, 1, 2]], spacing=(2, 1))
    >>> figure.axes[0].get_aspect()
    2.0
    """
    return _drawn(image, labels, [plane], axis, spacing, (1, 1), (colours, opacity, background))


def montage(
    image: ArrayLike,
    labels: ArrayLike | None = None,
    *,
    planes: int | Sequence[int] = 9,
    n_columns: int | None = None,
    axis: int = 0,
    spacing: Sequence[float] | None = None,
    colours: LabelColours | None = None,
    opacity: float = 0.4,
    background: int | None = 0,
) -> Figure:
    """Draw several planes of a volume, with labels over them.

    Parameters
    ----------
    image : array, shape (M, N, P) or (M, N, P, C)
        As in `overlay`.
    labels : array of int, shape (M, N, P), optional
        Regions.
    planes : int or sequence of int, optional
        Which, or how many: evenly spread.
    n_columns : int, optional
        How many are in a row; by default about as many as there are rows.
    axis, spacing, colours, opacity, background
        As in `overlay`.

    Returns
    -------
    figure : matplotlib.figure.Figure

    Raises
    ------
    ShapeError, LabelError, SettingError
        As `overlay`.

    Examples
    --------
    >>> figure = montage(np.arange(24).reshape(4, 2, 3), planes=2)
    >>> [panel.get_title() for panel in figure.axes]
    ['plane 1', 'plane 3']
    """
    shown = np.zeros(np.shape(image)[:3], dtype=np.uint8) if labels is None else labels
    if np.ndim(shown) != 3:
        raise ShapeError(f"a montage needs a volume of 3 dimensions; got shape {np.shape(shown)}.")
    depth = np.shape(shown)[_checked_axis(axis, 3)]
    chosen = _spread(planes, depth) if isinstance(planes, int) else list(planes)
    wide = n_columns or int(np.ceil(np.sqrt(len(chosen))))
    if not chosen or wide < 1:
        raise SettingError(f"there must be at least one plane and one column; got planes={planes!r}, {n_columns=}.")
    paint = (colours, opacity, 0 if labels is None else background)
    return _drawn(image, shown, chosen, axis, spacing, (-(-len(chosen) // wide), wide), paint)


def painted(picture: Array, labels: Labels, colours: LabelColours, *, opacity: float, background: int | None) -> Array:
    """Return a plane of a picture, uint8, with the colours of labels over it, uint8 of shape (M, N, 3), magnified.

    Lines between regions are dark.
    """
    below, regions = magnified(picture), magnified(labels)
    rgb = np.stack([below] * 3, axis=-1) if below.ndim == 2 else below
    bare = np.zeros(regions.shape, dtype=bool) if background is None else regions == background
    mixed = np.where(bare[..., np.newaxis], rgb, (1 - opacity) * rgb + opacity * magnified(colours(labels)))
    mixed[changes(regions)] *= _line if opacity else 1
    return mixed.round().astype(np.uint8)


def aspect_of(spacing: tuple[float, ...], axis: int) -> float:
    """Return how tall a voxel is for its width in a plane across `axis`; in 2 dimensions there is one plane."""
    height, width = [side for k, side in enumerate(spacing) if len(spacing) == 2 or k != axis]
    return height / width


def _drawn(
    image: ArrayLike,
    labels: ArrayLike,
    planes: Sequence[int | None],
    axis: int,
    spacing: Sequence[float] | None,
    grid: tuple[int, int],
    paint: tuple[LabelColours | None, float, int | None],
) -> Figure:
    """Draw panels on a grid of rows and columns."""
    regions = as_labels(labels, "labels")
    if regions.ndim not in (2, 3):
        raise ShapeError(f"labels must have 2 or 3 dimensions to be drawn; got shape {regions.shape}.")
    axis = _checked_axis(axis, regions.ndim)
    colours, opacity, background = paint
    picture = as_picture(image, regions.shape)
    aspect = aspect_of(check_spacing(spacing, regions.ndim), axis)
    figure, panels = _panels(grid, regions.shape, axis, aspect)
    for panel, plane in zip(panels, planes, strict=False):
        where, title = _position(regions.shape, axis, plane)
        options: Any = {"opacity": check_opacity(opacity), "background": background}
        shown = painted(picture[where], regions[where], colours or LabelColours(), **options)
        height, width = regions[where].shape
        panel.imshow(shown, aspect=aspect, extent=(-0.5, width - 0.5, height - 0.5, -0.5))
        panel.set_title(title, fontsize=9)
    for panel in panels[len(planes) :]:
        panel.remove()
    return figure


def _panels(grid: tuple[int, int], shape: tuple[int, ...], axis: int, aspect: float) -> tuple[Figure, Any]:
    height, width = [side for k, side in enumerate(shape) if len(shape) == 2 or k != axis]
    sides = np.array([width, height * aspect])
    inches = sides / sides.max() * (_panel_inches if grid == (1, 1) else _panel_inches / 2)
    size = inches.clip(0.8) * [grid[1], grid[0]] + [0, 0.3 * grid[0]]
    figure = Figure(tuple(size), layout="constrained")
    panels = figure.subplots(*grid, squeeze=False).ravel()
    for panel in panels:
        panel.set_axis_off()
    return figure, panels


def _position(shape: tuple[int, ...], axis: int, plane: int | None) -> tuple[Any, str]:
    """Return the index of a plane, and what it is called."""
    if len(shape) == 2:
        if plane is not None:
            raise SettingError(f"plane is for volumes of 3 dimensions; got {plane!r} with shape {shape}.")
        return (...,), ""
    chosen = shape[axis] // 2 if plane is None else int(plane)
    if not 0 <= chosen < shape[axis]:
        raise SettingError(f"{AXES[axis]} must be from 0 to {shape[axis] - 1}; got {plane}.")
    return (slice(None),) * axis + (chosen,), f"{AXES[axis]} {chosen}"


def _checked_axis(axis: int, ndim: int) -> int:
    if axis not in range(ndim):
        raise SettingError(f"axis must be from 0 to {ndim - 1}; got {axis!r}.")
    return axis


def _spread(count: int, depth: int) -> list[int]:
    """Return `count` planes in the middle of as many equal parts of `depth`, each once."""
    return sorted({int((k + 0.5) * depth / count) for k in range(count)}) if count > 0 else []
