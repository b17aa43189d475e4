"""Figures that show what is right and wrong in segmentations, with matplotlib.

A segment has the colour of the true object that it overlaps most, in all panels: what has one colour belongs
together, and lines tell the two kinds of error.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from gala._files import FileName, replacing
from gala._types import Array, ArrayLike, Labels
from gala.errors import SettingError, ShapeError
from gala.evaluate import best_possible_segmentation, split_vi
from gala.viz.painting import LINES, PANEL_PIXELS, Colours, nearest_object, paint_segments

_panel_inches = 3.4  # width


def draw_segmentations(
    segmentations: Mapping[str, ArrayLike],
    truth: ArrayLike,
    images: Mapping[str, ArrayLike],
    *,
    plane: int | None = None,
) -> Figure:
    r"""Draw a plane of images, of segmentations and of the truth, side by side.

    Parameters
    ----------
    segmentations : mapping from str to array of int, shape (M, N, ..., P)
        What to compare with the truth, by title.
    truth : array of int, shape (M, N, ..., P)
        The true objects, in 2 or 3 dimensions; 0 is void, drawn black.
    images : mapping from str to array, shape (M, N, ..., P)
        Grey images to show first, by title.
    plane : int, optional
        Which plane of 3-dimensional arrays; by default the one in the middle.

    Returns
    -------
    figure : matplotlib.figure.Figure
        A panel for each image, for each segmentation with its `split_vi` in bits, and for the truth. Lines in
        segmentations are black between objects, white where an object is split falsely, and red where two objects
        are merged falsely: where one segment holds the larger part of both.

    Raises
    ------
    ShapeError
        If the arrays are not in 2 or 3 dimensions, or of different shapes.
    SettingError
        If there is no such plane, or images or segmentations have no titles.

    Examples
    --------
    >>> truth = np.array([[1, 1, 2, 2]])
    >>> figure = draw_segmentations({"all": [[1, 1, 1, 1]]}, truth, {"image": truth})
    >>> [panel.get_title() for panel in figure.axes]
    ['image', 'all\nVI 1.00 + 0.00 = 1.00', 'truth']
    """
    for name, given in (("segmentations", segmentations), ("images", images)):
        if not isinstance(given, Mapping):
            wanted = f"{name} must be a mapping from titles to arrays, such as {{'title': array}}"
            raise SettingError(f"{wanted}; got {type(given).__name__}.")
    objects = np.asarray(truth)
    where = _position(objects.shape, plane)
    nearest = nearest_object(objects[where])
    near_objects = objects[where][nearest]
    colours = Colours(near_objects)
    panels = {title: _fitting(image, title, objects)[where] for title, image in images.items()}
    for title, segmentation in segmentations.items():
        segments = _fitting(segmentation, title, objects)
        owner = best_possible_segmentation(segments, objects)[where]
        home = best_possible_segmentation(objects, segments)[where][nearest]
        merges, splits = split_vi(segments, objects)
        titled = f"{title}\nVI {merges:.2f} + {splits:.2f} = {merges + splits:.2f}"
        panels[titled] = paint_segments(segments[where], owner, near_objects, home, colours=colours)
    panels["truth"] = np.where((objects[where] > 0)[..., np.newaxis], colours(near_objects), 0)
    return _laid_out(panels)


def save_figure(figure: Figure, fn: FileName) -> Figure:
    """Write a figure to a file, which is only replaced once the new one is complete.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
        The figure.
    fn : str or path
        The file; its extension says the format.

    Returns
    -------
    figure : matplotlib.figure.Figure
        The same, so that a notebook shows what is written.

    Raises
    ------
    FileError
        If the file cannot be written.
    """
    with replacing(fn) as new:
        figure.savefig(new, dpi=PANEL_PIXELS / _panel_inches)
    return figure


def _laid_out(panels: Mapping[str, Array]) -> Figure:
    """Put panels on one row, or on two if they are many, with the meaning of the lines below."""
    n_rows = 1 if len(panels) <= 3 else 2
    n_columns = -(-len(panels) // n_rows)
    height, width = next(iter(panels.values())).shape[:2]
    panel_height = _panel_inches * float(np.clip(height / width, 0.3, 2))
    size = (_panel_inches * n_columns, (panel_height + 0.6) * n_rows + 0.6)  # and the titles, and the key
    figure = Figure(size, layout="constrained")
    axes = figure.subplots(n_rows, n_columns, squeeze=False).ravel()
    for axis, (title, panel) in zip(axes, panels.items(), strict=False):
        axis.imshow(panel, cmap="gray")
        axis.set_title(title, fontsize=11)
        axis.set_axis_off()
    for axis in axes[len(panels) :]:
        axis.remove()
    keys = [Patch(facecolor=colour, edgecolor="grey", label=label) for label, colour in LINES.items()]
    figure.legend(
        handles=keys,
        title="VI = false merges + false splits, in bits",
        loc="outside lower center",
        ncols=len(keys),
        frameon=False,
        fontsize=11,
    )
    return figure


def _position(shape: tuple[int, ...], plane: int | None) -> int | slice:
    """Return the index of the plane to draw."""
    if len(shape) not in (2, 3):
        raise ShapeError(f"truth must have 2 or 3 dimensions to be drawn; got shape {shape}.")
    if len(shape) == 2:
        return slice(None)
    chosen = shape[0] // 2 if plane is None else plane
    if not 0 <= chosen < shape[0]:
        raise SettingError(f"plane must be from 0 to {shape[0] - 1}; got {plane}.")
    return chosen


def _fitting(array: ArrayLike, title: str, objects: Labels) -> Array:
    found = np.asarray(array)
    if found.shape != objects.shape:
        raise ShapeError(f"{title!r} must have the shape of truth, {objects.shape}; got {found.shape}.")
    return found
