"""How a task reads its block."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from gala._types import Array, Bools, Labels
from gala.graph.grid import Box, Place, reaching, within
from gala.graph.labels import as_labels
from gala.pipeline.blockwise.faces import read_around, read_superpixels
from gala.pipeline.blockwise.inputs import Input
from gala.pipeline.blockwise.plan import Plan


class Voxels(NamedTuple):
    """A block, and perhaps one voxel beyond of labels and mask."""

    labels: Labels
    image: Array  # channels last, if any; those of affinities first
    extra: dict[str, Array]
    keep: Bools | None
    n_lost: int  # voxels of the block that could not be read


def read_voxels(plan: Plan, place: Place, *, needs_image: bool = True, sees_beyond: bool = True) -> Voxels:
    """Return a block; what cannot be read, if that is to be skipped, is in no region."""
    box = plan.grid.box(place)
    seen = plan.grid.seen(place) if sees_beyond else box
    inner = plan.grid.inner(place) if sees_beyond else (slice(None),) * len(box)
    # What cannot be read may be anywhere in a box: then all of it is read, by chunks.
    by_faces = sees_beyond and not plan.skip
    labels, lost = (read_superpixels(plan, place), None) if by_faces else read(plan, plan.superpixels, seen)
    keep = None if lost is None else ~lost
    n_lost = 0 if lost is None else np.count_nonzero(lost[inner])
    images = {}
    for name, volume in {"": plan.image, **plan.extra}.items() if needs_image else ():
        images[name], lost = read(plan, volume, box) if name else read_image(plan, box)
        if plan.skip and plan.is_predicted and not name:
            lost = np.asarray(np.isnan(images[name]).reshape(*labels[inner].shape, -1).any(axis=-1))
            images[name] = np.where(np.isnan(images[name]), 0, images[name])
        if lost is not None:
            keep = np.ones(labels.shape, dtype=np.bool_) if keep is None else keep
            n_lost += np.count_nonzero(lost & keep[inner])
            keep[inner] &= ~lost
    if plan.mask is not None:
        values = read_around(plan, plan.mask, place) if by_faces else read(plan, plan.mask, seen)[0]
        shown = np.asarray(values, dtype=np.bool_)  # 0 where it cannot be read
        keep = shown if keep is None else np.asarray(keep & shown, dtype=np.bool_)
    regions = as_labels(labels, plan.superpixels.name).astype(plan.label_dtype, copy=False)
    return Voxels(regions, images.pop("", np.empty(0)), images, keep, int(n_lost))


def read(plan: Plan, volume: Input, box: Box) -> tuple[Array, Bools | None]:
    """Return a box of a volume, and where it could not be read, if that is to be skipped."""
    return volume.read_most(box) if plan.skip else (volume.read(box), None)


def read_image(plan: Plan, box: Box) -> tuple[Array, Bools | None]:
    """Return a box of the image, affinities as graphs are built of them, and where it could not be read."""
    if plan.steps is None:
        return read(plan, plan.image, box)
    values, lost = read(plan, plan.image, plan.steps.seen(box))
    return plan.steps.image(values), None if lost is None else np.asarray(lost.any(axis=-1))


def read_boundary(plan: Plan, box: Box) -> tuple[Array, Bools | None]:
    """Return a box of the map that superpixels are made of, and where it could not be read."""
    if plan.steps is None:
        values, lost = read(plan, plan.image, box)
        return values if values.ndim == len(box) else values[..., 0], lost
    ndim = len(box)
    seen = reaching(box, [*np.eye(ndim, dtype=int), *-np.eye(ndim, dtype=int)], plan.grid.shape)
    inner = within(box, seen)
    values, lost = read(plan, plan.image, plan.steps.seen(seen))
    return plan.steps.boundary(values)[inner], None if lost is None else np.asarray(lost[inner].any(axis=-1))
