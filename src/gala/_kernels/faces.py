"""The faces of voxels: how many of the two along each axis meet a voxel of another region.

Only for managers that ask; `gala._kernels.adjacency` has the types of the arguments, and says what is in them.
"""

from __future__ import annotations

from typing import Any

from gala._kernels.jit import pasted
from gala._types import Ints


@pasted
def add_contact_faces(block: Any, walk: Any, others: Ints, n_chosen: int, room: Any, n: int) -> None:
    """Count the faces that the chosen voxels, from `n` on in `room`, share with the other region of their contact."""
    if block.face_axes.size == 0:
        return
    for c in range(n_chosen):
        at = walk.chosen[c]
        if others[at] >= 0:  # what is outside has no contact
            room.faces[n] = 0.0
            for k in range(block.face_axes.size):
                if block.face_axes[k] >= 0:
                    room.faces[n, block.face_axes[k]] += walk.others[k, at % walk.own.size] == others[at]
            n += 1


@pasted
def add_region_faces(block: Any, walk: Any, voxel: int, n_edge_voxels: int, room: Any, first: int, n: int) -> None:
    """Count the faces of a row segment's voxels, `first` to `n` in `room`, with what is not of their region."""
    room.faces[first:n] = 0.0
    place = first
    for i in range(n_edge_voxels):
        while room.voxels[place] != voxel + walk.edge_voxels[i]:
            place += 1
        for k in range(block.face_axes.size):
            if block.face_axes[k] >= 0:
                room.faces[place, block.face_axes[k]] += walk.others[k, i] != walk.own[i]
