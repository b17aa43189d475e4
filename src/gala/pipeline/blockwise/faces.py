"""One voxel beyond each face of a block, without the chunks that it is in: blocks keep the layers at their faces.

A block of 256 voxels a side has 64 chunks of 64 voxels a side, and 96 others on its faces. What is kept is a copy, with
the state of the files that it was made of: if there is none, or files have changed, the volume itself is read.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from gala._files import read_archive, write_archive
from gala._types import Array
from gala.errors import FileError
from gala.graph.files import FORMAT
from gala.graph.grid import Face, Place, within
from gala.pipeline.blockwise.inputs import Input, describe, digest
from gala.pipeline.blockwise.plan import Plan, named, ready, write_json


def read_superpixels(plan: Plan, place: Place) -> Array:
    """Return what `read_around` does of superpixels; keep the layers at the faces of the block for its neighbours."""
    states = states_of_faces(plan, place)
    labels = read_around(plan, plan.superpixels, place)
    if _kept_states(plan, place) != states:
        keep_faces(plan, place, labels[plan.grid.inner(place)], states)
    return labels


def read_around(plan: Plan, volume: Input, place: Place) -> Array:
    """Return a block and one voxel beyond each of its faces.

    Beyond its edges and corners its first voxel is repeated: neighbours there share no face, and nobody asks for them.
    """
    grid, inner = plan.grid, plan.grid.inner(place)
    values = np.empty([part.stop - part.start for part in grid.seen(place)], dtype=volume.dtype)
    volume.read_into(grid.box(place), values[inner])
    first = values[tuple(part.start for part in inner)]
    for face in grid.faces(place):
        layer = values[(slice(None),) * face.axis + (slice(0, 1) if face.end == 0 else slice(-1, None),)]
        layer[...] = first
        layer[(*inner[: face.axis], slice(None), *inner[face.axis + 1 :])] = _read_beyond(plan, volume, face)
    return values


def _read_beyond(plan: Plan, volume: Input, face: Face) -> Array:
    end = -1 - face.end
    kept = _kept_layer(plan, face.beyond, face.axis, end) if volume is plan.superpixels else None
    return volume.read(plan.grid.layer(face.beyond, face.axis, end)) if kept is None else kept


# -- what is kept --------------------------------------------------------------------------------------------------


def states_of_faces(plan: Plan, place: Place) -> dict[str, str]:
    """Return the state of the files that hold each layer of a block at a face."""
    return {_name(face.axis, face.end): _state(plan, place, face.axis, face.end) for face in plan.grid.faces(place)}


def keep_faces(plan: Plan, place: Place, labels: Array, states: dict[str, str]) -> None:
    """Keep the layers of a block, of these labels and states, at its faces."""
    box = plan.grid.box(place)
    layers = {}
    for face in plan.grid.faces(place):
        layer = plan.grid.layer(place, face.axis, face.end)
        layers[_name(face.axis, face.end)] = labels[within(layer, box)]
    _marker(plan, place).unlink(missing_ok=True)  # which belongs to what is replaced
    write_archive(ready(_file(plan, place)), FORMAT, layers)
    write_json(_marker(plan, place), states)


def _kept_layer(plan: Plan, place: Place, axis: int, end: int) -> Array | None:
    """Return the layer that a block kept at one of its faces, if it still holds."""
    name = _name(axis, end)
    if _kept_states(plan, place).get(name) != _state(plan, place, axis, end):
        return None
    try:
        return read_archive(_file(plan, place), "layers of a block", FORMAT, lambda all_: all_[name])
    except FileError:  # the volume has it, too
        return None


def _kept_states(plan: Plan, place: Place) -> dict[str, str]:
    try:
        found: dict[str, str] = json.loads(_marker(plan, place).read_text(encoding="utf-8"))
    except (OSError, ValueError):  # a marker that cannot be read marks nothing
        return {}
    return found


def _state(plan: Plan, place: Place, axis: int, end: int) -> str:
    layer = plan.grid.layer(place, axis, end)
    return digest(describe(layer), plan.superpixels.fingerprint(layer))


def _name(axis: int, end: int) -> str:
    return f"{'first' if end == 0 else 'last'}{axis}"


def _file(plan: Plan, place: Place) -> Path:
    return plan.work / "faces" / f"{named(place)}.npz"


def _marker(plan: Plan, place: Place) -> Path:
    return plan.work / "done" / "faces" / f"{named(place)}.json"
