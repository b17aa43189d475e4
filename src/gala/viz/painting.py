"""Label images as pictures: the colours of objects, and lines where segments and objects differ."""

from __future__ import annotations

import matplotlib as mpl
import numpy as np
from scipy import ndimage

from gala._types import Array, Bools, Floats, Labels

PANEL_PIXELS = 500  # about how many a picture has across
LINES = {"border between objects": "black", "false split": "white", "false merge": "red"}
# Without the reds, which are for errors, and the greys.
PALETTE: Floats = np.delete(mpl.colormaps["tab20"](range(20))[:, :3], [6, 7, 14, 15], axis=0)


class Colours:
    """A colour for each label, such that neighbours in a plane differ."""

    def __init__(self, plane: Labels) -> None:
        self.chosen: dict[int, int] = {}
        used = np.zeros(len(PALETTE), dtype=int)
        for label, neighbours in _neighbours(plane).items():
            near = np.zeros(len(PALETTE), dtype=int)
            for neighbour in neighbours & self.chosen.keys():
                near[self.chosen[neighbour]] += 1
            colour = int(np.lexsort((used, near))[0])
            self.chosen[label] = colour
            used[colour] += 1

    def __call__(self, labels: Labels) -> Floats:
        """Return the colours of `labels`, shape (M, N), as an image of shape (M, N, 3)."""
        known, index = np.unique(labels, return_inverse=True)
        chosen = np.array([self.chosen.get(label, label % len(PALETTE)) for label in known.tolist()])
        image: Floats = PALETTE[chosen[index.reshape(labels.shape)]]
        return image


def _neighbours(plane: Labels) -> dict[int, set[int]]:
    """Return the labels in a plane, and for each those that touch it."""
    touching: dict[int, set[int]] = {label: set() for label in np.unique(plane).tolist()}
    for a, b in ((plane[1:], plane[:-1]), (plane[:, 1:], plane[:, :-1])):
        for u, v in np.unique(np.stack([a.ravel(), b.ravel()]), axis=1).T.tolist():
            touching[u].add(v)
            touching[v].add(u)
    return touching


def paint_segments(segments: Labels, owner: Labels, objects: Labels, home: Labels, *, colours: Colours) -> Array:
    """Return a plane of segments in the colours of the objects that own them, with lines.

    `home` is the segment that holds most of the object at each voxel.
    """
    segments, owner, objects, home = (magnified(a) for a in (segments, owner, objects, home))
    border = changes(segments)
    image = colours(owner)
    image[border] = mpl.colors.to_rgb(LINES["border between objects"])
    image[border & ~changes(owner)] = mpl.colors.to_rgb(LINES["false split"])
    merged = changes(objects) & ~changes(home) & ~border
    image[ndimage.binary_dilation(merged)] = mpl.colors.to_rgb(LINES["false merge"])
    return image


def changes(labels: Labels) -> Bools:
    """Return the pixels on either side of a change of label."""
    found = np.zeros(labels.shape, dtype=bool)
    down, right = labels[1:] != labels[:-1], labels[:, 1:] != labels[:, :-1]
    found[1:] |= down
    found[:-1] |= down
    found[:, 1:] |= right
    found[:, :-1] |= right
    return found


def magnified(plane: Array) -> Array:
    """Return a plane with several pixels for each voxel, so that lines are thin."""
    times = max(1, round(PANEL_PIXELS / plane.shape[1]))
    return plane.repeat(times, axis=0).repeat(times, axis=1)


def nearest_object(plane: Labels) -> tuple[Array, ...]:
    """Return for each voxel of a plane where the nearest one is that is not void."""
    if not plane.any():
        return tuple(np.indices(plane.shape))
    return tuple(ndimage.distance_transform_edt(plane == 0, return_distances=False, return_indices=True))
