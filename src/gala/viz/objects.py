"""The worst objects of a segmentation, shown in place."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from gala._types import Array, ArrayLike, Bools, Labels
from gala.errors import LabelError, SettingError, ShapeError
from gala.evaluate import LabelTable, assignment_table, contingency_table
from gala.graph.labels import as_labels
from gala.graph.overlaps import Overlaps
from gala.graph.voxels import map_labels
from gala.viz.painting import LINES, Colours, changes, magnified, nearest_object, paint_segments

_panel_inches = 2.6
_margin, _smallest = 0.15, 24  # of a crop, a square: around the object, as a share of its size; least side in voxels
_outline = "yellow"
_fade = 0.75  # of what is not the object, towards grey


class WorstObject(NamedTuple):
    """A segment that is merged falsely, or a true object that is split falsely."""

    kind: str  # "false merge" or "false split"
    label: int  # of the segment, or of the true object
    error: float  # what it adds to the error
    unit: str = "bits"


def draw_worst_objects(
    objects: Sequence[WorstObject],
    segments: ArrayLike,
    truth: ArrayLike,
    image: ArrayLike | None = None,
    *,
    table: LabelTable | None = None,
) -> Figure:
    r"""Draw objects in place: the image, the truth and the segmentation around each.

    Parameters
    ----------
    objects : sequence of WorstObject
        What to show, a row each.
    segments, truth : array of int, shape (M, N, ..., P)
        The segmentation and the truth, in 2 or 3 dimensions; 0 is void in the truth.
    image : array, shape (M, N, ..., P), optional
        A grey image.
    table : LabelTable, optional
        The contingency table of both with labels 0 left out, if there is one already.

    Returns
    -------
    figure : matplotlib.figure.Figure
        For each object, the plane in which most of the error is seen. A colour means the same in the truth and in
        the segmentation: a segment has that of the true object that it overlaps most. Lines are those of
        `draw_segmentations`. What is not the object is faded; in the image it is outlined.

    Raises
    ------
    ShapeError
        If the arrays are not in 2 or 3 dimensions, or of different shapes.
    LabelError
        If there is no such object.
    SettingError
        If there are no objects, or one is of another kind.

    Examples
    --------
    >>> figure = draw_worst_objects([WorstObject("false merge", 7, 1.0)], [[7, 7, 7, 7]], [[1, 1, 2, 2]])
    >>> [panel.get_title() for panel in figure.axes]
    ['false merge: segment 7\n1 bits', 'truth', 'segmentation']
    """
    if not objects:
        raise SettingError("there must be at least one object to draw; got none.")
    expected = np.shape(truth)
    for name, array in (("segments", segments), ("image", image)):
        if array is not None and np.shape(array) != expected:
            raise ShapeError(f"{name} must have the shape of truth, {expected}; got {np.shape(array)}.")
    seg, true = _as_volume(segments, "segments"), _as_volume(truth, "truth")
    grey = None if image is None else _as_volume(image, "image")
    painter = _Painter(seg, true, grey, table or contingency_table(seg, true, ignore_seg=[0], ignore_gt=[0]))
    figure = Figure((3 * _panel_inches, (_panel_inches + 0.5) * len(objects) + 0.6), layout="constrained")
    grid = figure.subplots(len(objects), 3, squeeze=False)
    for row, one in zip(grid, objects, strict=True):
        painter.draw(one, row)
    keys = [Patch(facecolor=colour, edgecolor="grey", label=label) for label, colour in LINES.items()]
    keys.append(Patch(facecolor=_outline, edgecolor="grey", label="the object"))
    figure.legend(handles=keys, loc="outside lower center", ncols=len(keys), frameon=False, fontsize=9)
    return figure


class _Painter:
    """Paints crops of three volumes, of which the first axis is that of planes."""

    def __init__(self, seg: Labels, true: Labels, grey: Array | None, table: LabelTable) -> None:
        self.seg, self.true, self.grey = seg, true, grey
        o = table.overlaps
        order = np.lexsort((o.seg_index, o.truth_index))
        mirrored = Overlaps(o.truth_labels, o.seg_labels, o.truth_index[order], o.seg_index[order], o.counts[order])
        self.owner = assignment_table(table).overlaps
        self.home = assignment_table(LabelTable(mirrored, mirrored.counts)).overlaps

    def draw(self, one: WorstObject, panels: Sequence[mpl.axes.Axes]) -> None:
        """Draw an object in three panels."""
        here, others = self._sides(one)
        box = _crop(here == one.label, np.where(self.true == 0, 0, others))
        seg, true, inside = self.seg[box], self.true[box], here[box] == one.label
        nearest = nearest_object(true)
        objects = true[nearest]
        colours = Colours(objects)
        owner, home = _looked_up(seg, self.owner), _looked_up(true, self.home)[nearest]
        painted = paint_segments(seg, owner, objects, home, colours=colours)
        known = np.where((true > 0)[..., np.newaxis], colours(objects), 0)
        image = np.full((*true.shape, 3), 0.5) if self.grey is None else _grey(self.grey[box])
        what = "segment" if one.kind == "false merge" else "object"
        panels[0].set_title(f"{one.kind}: {what} {one.label}\n{one.error:.3g} {one.unit}", fontsize=9)
        panels[0].imshow(_outlined(image, inside))
        panels[1].set_title("truth", fontsize=9)
        panels[1].imshow(_faded(magnified(known), magnified(inside)))
        panels[2].set_title("segmentation", fontsize=9)
        panels[2].imshow(_faded(painted, magnified(inside)))
        where = f"plane {box[0]}, " if len(self.true) > 1 else ""
        panels[0].set_xlabel(f"{where}rows {_span(box[1])}, columns {_span(box[2])}", fontsize=8)
        for panel in panels:
            panel.set(xticks=[], yticks=[])

    def _sides(self, one: WorstObject) -> tuple[Labels, Labels]:
        """Return the volume that holds an object, and the one that cuts it up."""
        sides = {"false merge": (self.seg, self.true), "false split": (self.true, self.seg)}
        if one.kind not in sides:
            raise SettingError(f"an object is a 'false merge' or a 'false split'; got {one.kind!r}.")
        if not (sides[one.kind][0] == one.label).any():
            raise LabelError(f"there is no label {one.label} to show as a {one.kind}.")
        return sides[one.kind]


def _as_volume(array: ArrayLike, name: str) -> Array:
    found = np.asarray(array) if name == "image" else as_labels(array, name)
    if found.ndim not in (2, 3):
        raise ShapeError(f"{name} must have 2 or 3 dimensions to be drawn; got shape {found.shape}.")
    return found if found.ndim == 3 else found[np.newaxis]


def _crop(inside: Bools, others: Labels) -> tuple[int, slice, slice]:
    """Return the plane with most voxels outside the largest piece of an object, and a box around it there."""
    planes = np.nonzero(inside.any(axis=(1, 2)))[0]
    spread = [_outside_largest(others[plane][inside[plane]]) for plane in planes]
    plane = int(planes[max(range(len(planes)), key=spread.__getitem__)])
    touched = [np.nonzero(inside[plane].any(axis=axis))[0] for axis in (1, 0)]
    side = max(_smallest, round((1 + 2 * _margin) * max(np.ptp(where) + 1 for where in touched)))
    rows, columns = (_widened(where, side, n) for where, n in zip(touched, inside.shape[1:], strict=True))
    return plane, rows, columns


def _outside_largest(others: Labels) -> tuple[int, int]:
    """Return how many voxels are not in the largest of the pieces, and how many there are."""
    counts = np.unique(others[others != 0], return_counts=True)[1]
    return int(counts.sum() - counts.max(initial=0)), len(others)


def _widened(where: Array, side: int, extent: int) -> slice:
    """Return `side` voxels of an axis around `where`, or the whole axis if it is shorter."""
    low = (int(where[0]) + int(where[-1]) + 1 - side) // 2
    low = max(min(low, extent - side), 0)
    return slice(low, min(low + side, extent))


def _looked_up(labels: Labels, partners: Overlaps) -> Labels:
    """Return the partner of each label, 0 if it has none."""
    target = np.zeros(len(partners.seg_labels), dtype=partners.truth_labels.dtype)
    target[partners.seg_index] = partners.truth_labels[partners.truth_index]
    return map_labels(labels.reshape(-1), partners.seg_labels, target).reshape(labels.shape)


def _grey(image: Array) -> Array:
    low, high = np.percentile(image, [0.5, 99.5])
    scaled = np.clip((image - low) / (high - low), 0, 1) if high > low else np.full(image.shape, 0.5)
    return np.repeat(scaled[..., np.newaxis], 3, axis=-1)


def _outlined(image: Array, inside: Bools) -> Array:
    found = magnified(image)
    found[changes(magnified(inside))] = mpl.colors.to_rgb(_outline)
    return found


def _faded(picture: Array, inside: Bools) -> Array:
    """Return a picture that is pale where it does not show the object."""
    found = picture.astype(float)
    found[~inside] = found[~inside] * (1 - _fade) + 0.5 * _fade
    return found


def _span(part: slice) -> str:
    return f"{part.start}–{part.stop - 1}"
