"""One pass over a block of labels: its regions, its contacts, and the cache rows of both.

Voxel x of region a is in contact (a, b) if some neighbour of x lies in b; it counts once in that contact. The pass
walks row segments: it flags the voxels that have another neighbour (a loop the compiler vectorises), finds the
distinct regions around each, and hands values and owners to the gather kernels in buffers that stay in cache.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from gala._kernels.containers import grown_table, is_free, new_table, slot_of, value_at
from gala._kernels.faces import add_contact_faces, add_region_faces
from gala._kernels.jit import call_gather, kernel, pasted
from gala._kernels.rows import count_voxels
from gala._types import Array, Bools, Floats, Ints, Labels

NO_REGION = -1  # voxels that are masked or background
OUTSIDE = -2  # beyond the border of the volume
SEGMENT = 512  # longest row segment, voxels
BUFFER = 4096  # voxels handed to the gather kernels at a time


class Gathering(NamedTuple):
    """The gather kernels of some managers, and how to call each of S of them for one kind of row."""

    kernels: Any  # made by jit.gather_kernels
    steps: Ints  # (S, 6): kernel, first column, bounds in `params`, bounds in `channels`
    params: Floats  # (P,)
    channels: Ints
    empty: Floats  # (C,) the row of no voxels
    needs_coords: bool
    needs_faces: bool


class Buffer(NamedTuple):
    """Voxels on their way to cache rows."""

    voxels: Ints  # (B,) positions in the image
    owners: Ints  # (B,) the row that each goes to
    values: Floats  # (B, C)
    coords: Floats  # (B, ndim), or (0, 0) if they are not wanted
    faces: Floats  # (B, ndim) along each axis, towards the other region or, of a region, all others; or (0, ndim)


class Walk(NamedTuple):
    """What a pass keeps at hand about the row segment where it is, for K neighbours."""

    differs: Ints  # (SEGMENT,) int32: 1 where some neighbour is in another region
    edge_voxels: Ints  # (SEGMENT,) the voxels where it is not; E of them
    own: Ints  # (SEGMENT,) int32: their regions
    others: Ints  # (K, SEGMENT) int32: the regions around them
    is_new: Ints  # (K, SEGMENT) int32: 1 where the region in this direction was in no direction before
    chosen: Ints  # (K * SEGMENT,) where it is, as places in `others` laid flat


class Block(NamedTuple):
    """A block of a volume as the pass walks it."""

    regions: Ints  # (P,) int32: the region of each voxel, with a border of one voxel around the block
    segments: Ints  # (S, 3): position in `regions`, position in `image`, length
    offsets: Ints  # (K,) from a voxel in `regions` to each of its neighbours
    face_axes: Ints  # (K,) the axis along which each neighbour shares a face, or -1; (0,) if faces are not wanted
    image: Array  # (V * C,) float32 or float64
    n_channels: int
    shape: Ints  # (ndim,) of the block, or (0,) if coordinates are not wanted
    origin: Ints  # (ndim,) its first voxel in the volume


@kernel
def number_regions(labels: Labels, keep: Bools, background: Labels, out: Ints, starts: Ints) -> Labels:
    """Write the number of each voxel's label to `out`; return the label of each number, in the order of numbers.

    `labels`, shape (R, L), are rows of voxels, and row r goes to ``out[starts[r]:]``. Voxels where `keep`, of the
    same shape or empty, is False, or with the one label in `background` (if any), get `NO_REGION`.
    """
    table = new_table(4096)  # sparse, as in `gather_block`
    found = np.empty(1024, dtype=np.uint64)
    n_found = 0
    masked = keep.size > 0
    for r in range(labels.shape[0]):
        row = labels[r]
        numbers = out[starts[r] : starts[r] + row.size]
        # Room for all that the row may bring: arrays that never change in the inner loop make it four times as fast.
        while n_found + row.size > found.size:
            found = np.concatenate((found, np.empty_like(found)))
            table = grown_table(table)
        previous, region = row[0], NO_REGION - 1  # no region yet
        for m in range(row.size):
            label = row[m]
            if label != previous or region < NO_REGION:
                if masked and not keep[r, m]:
                    continue  # its label may be that of no region
                previous = label
                if background.size > 0 and label == background[0]:
                    region = NO_REGION
                else:
                    slot = slot_of(table, np.uint64(label))
                    if is_free(table, slot):
                        table[slot, 0] = np.uint64(label)
                        table[slot, 1] = np.uint64(n_found)
                        found[n_found] = label
                        n_found += 1
                    region = value_at(table, slot)
            numbers[m] = region
        if masked:
            for m in range(row.size):
                if not keep[r, m]:
                    numbers[m] = NO_REGION
    return found[:n_found].copy()


@kernel
def number_low_labels(
    labels: Labels, keep: Bools, background: Labels, out: Ints, starts: Ints, n_labels: int
) -> Labels:
    """Do what `number_regions` does for labels below `n_labels`, without a hash table: a fourth of the time."""
    number_of = np.full(n_labels, NO_REGION - 1, dtype=np.int32)  # no region yet
    found = np.empty(1024, dtype=np.uint64)
    n_found = 0
    if background.size > 0 and background[0] < n_labels:
        number_of[background[0]] = NO_REGION
    masked = keep.size > 0
    for r in range(labels.shape[0]):
        row = labels[r]
        numbers = out[starts[r] : starts[r] + row.size]
        while n_found + row.size > found.size:
            found = np.concatenate((found, np.empty_like(found)))
        for m in range(row.size):
            label = np.uint64(row[m])
            number = number_of[label]
            if number < NO_REGION and not (masked and not keep[r, m]):
                number = np.int32(n_found)
                number_of[label] = number
                found[n_found] = label
                n_found += 1
            numbers[m] = number
        if masked:
            for m in range(row.size):
                if not keep[r, m]:
                    numbers[m] = NO_REGION
    return found[:n_found].copy()


@kernel
def gather_block(
    block: Block, of_regions: Gathering, of_contacts: Gathering, n_regions: int, record: bool
) -> tuple[Ints, Floats, Floats, Ints, Ints]:
    """Return the contacts and cache rows of a block.

    Returns
    -------
    pairs : int64 (E, 2), regions u < v of each contact, in the order in which they were met
    region_rows : float64 (n_regions, A)
    contact_rows : float64 (E, B)
    border_sizes : int64 (n_regions,), voxels of the region at the border of the volume
    recorded : int64 (R, 2), with `record` the contact and position in the image of each voxel of each contact
    """
    border_sizes = np.zeros(n_regions, dtype=np.int64)
    region_rows = np.empty((n_regions, of_regions.empty.size))
    region_rows[:] = of_regions.empty
    contact_rows = np.empty((max(1024, 4 * n_regions), of_contacts.empty.size))
    contact_rows[:] = of_contacts.empty
    pairs = np.empty((contact_rows.shape[0], 2), dtype=np.int64)
    n_contacts = 0
    # Sparse: a look-up that meets another key first is guessed wrong, which takes as long as three that do not.
    table = new_table(2 * contact_rows.shape[0])

    n_around = block.offsets.size
    room = new_buffer(BUFFER + SEGMENT, block)
    contact_room = new_buffer(BUFFER + SEGMENT * n_around, block)
    n_voxels = 0
    n_contact_voxels = 0
    recorded = np.empty((contact_room.voxels.size if record else 0, 2), dtype=np.int64)
    n_recorded = 0
    walk = Walk(
        differs=np.empty(SEGMENT, dtype=np.int32),
        edge_voxels=np.empty(SEGMENT, dtype=np.int64),
        own=np.empty(SEGMENT, dtype=np.int32),
        others=np.empty((n_around, SEGMENT), dtype=np.int32),
        is_new=np.empty((n_around, SEGMENT), dtype=np.int32),
        chosen=np.empty(n_around * SEGMENT, dtype=np.int64),
    )

    for s in range(block.segments.shape[0]):
        first, voxel, length = block.segments[s, 0], block.segments[s, 1], block.segments[s, 2]
        row = block.regions[first : first + length]
        n_edge_voxels = _find_edge_voxels(block, row, first, walk)
        n_before, n_voxels = n_voxels, add_row(block, row, voxel, room, n_voxels)
        if of_regions.needs_faces:
            add_region_faces(block, walk, voxel, n_edge_voxels, room, n_before, n_voxels)
        # Room for all that the segment may bring: arrays that never change in an inner loop make it twice as fast.
        while n_contacts + n_edge_voxels * n_around > pairs.shape[0]:
            pairs = np.concatenate((pairs, np.empty_like(pairs)))
            contact_rows = np.concatenate((contact_rows, np.empty_like(contact_rows)))
            contact_rows[n_contacts:] = of_contacts.empty
            table = grown_table(table)
        n_contacts, n_contact_voxels = _find_contacts(
            block, voxel, n_edge_voxels, walk, table, pairs, n_contacts, contact_room, n_contact_voxels, border_sizes
        )

        at_end = s == block.segments.shape[0] - 1
        if n_voxels > BUFFER or at_end:
            join_voxels(block, of_regions, room, n_voxels, region_rows)
            n_voxels = 0
        if n_contact_voxels > BUFFER or at_end:
            for c in range(block.n_channels):
                for i in range(n_contact_voxels):
                    contact_room.values[i, c] = block.image[np.uint64(contact_room.voxels[i] * block.n_channels + c)]
            join_voxels(block, of_contacts, contact_room, n_contact_voxels, contact_rows)
            if record:
                while n_recorded + n_contact_voxels > recorded.shape[0]:
                    recorded = np.concatenate((recorded, np.empty_like(recorded)))
                for i in range(n_contact_voxels):
                    recorded[n_recorded + i, 0] = contact_room.owners[i]
                    recorded[n_recorded + i, 1] = contact_room.voxels[i]
                n_recorded += n_contact_voxels
            n_contact_voxels = 0

    return (
        pairs[:n_contacts].copy(),
        region_rows,
        contact_rows[:n_contacts],
        border_sizes,
        recorded[:n_recorded].copy(),
    )


@pasted
def _find_edge_voxels(block: Block, row: Ints, first: int, walk: Walk) -> int:
    """List the voxels of a row segment that have another neighbour, and their neighbours; return how many there are."""
    differs = walk.differs
    differs[:] = 0
    for k in range(0, block.offsets.size, 2):  # two at a time, as there is one in the opposite direction for each
        around, across = first + block.offsets[k], first + block.offsets[k + 1]
        other_row, opposite_row = block.regions[around : around + row.size], block.regions[across : across + row.size]
        for j in range(row.size):
            differs[j] |= (row[j] ^ other_row[j]) | (row[j] ^ opposite_row[j])
    for j in range(row.size):
        differs[j] = (row[j] >= 0) & (differs[j] != 0)
    n = np.uint64(0)  # unsigned here and below: what may be below 0 takes two more steps for each place in an array
    for j in range(row.size):
        walk.edge_voxels[n] = j
        n += np.uint64(differs[j])
    for i in range(n):
        walk.own[i] = row[np.uint64(walk.edge_voxels[i])]
    for k in range(block.offsets.size):
        around = first + block.offsets[k]
        others = walk.others[k]
        for i in range(n):
            others[i] = block.regions[np.uint64(around + walk.edge_voxels[i])]
    return np.int64(n)  # type: ignore[return-value]  # Numba's int() would keep it unsigned


@pasted
def _find_contacts(
    block: Block,
    voxel: int,
    n_edge_voxels: int,
    walk: Walk,
    table: Array,
    pairs: Ints,
    n_contacts: int,
    room: Buffer,
    n: int,
    border_sizes: Ints,
) -> tuple[int, int]:
    """Add each contact of each edge voxel of a row segment to the `n` in `room`, direction by direction.

    Contacts not met before are added to `table` and `pairs`. Returns how many contacts there are, and how many
    voxels in `room`.
    """
    own, n_around = walk.own, walk.others.shape[0]
    for k in range(n_around):
        others, is_new = walk.others[k], walk.is_new[k]
        for i in range(n_edge_voxels):
            is_new[i] = (others[i] != own[i]) & (others[i] != NO_REGION)
        for before in range(k):
            others_before = walk.others[before]
            for i in range(n_edge_voxels):
                is_new[i] &= others[i] != others_before[i]
    # One list for all directions: where a short loop ends is mostly guessed wrong, which takes as long as ten voxels.
    n_chosen: Any = np.uint64(0)
    for k in range(n_around):
        is_new = walk.is_new[k]
        for i in range(n_edge_voxels):
            walk.chosen[n_chosen] = k * SEGMENT + i
            n_chosen += np.uint64(is_new[i])
    others = walk.others.reshape(walk.others.size)
    n_after = np.uint64(n)
    for c in range(n_chosen):
        at = np.uint64(walk.chosen[np.uint64(c)])
        place = at % np.uint64(SEGMENT)
        region, other = own[place], others[at]
        if other == OUTSIDE:
            border_sizes[np.uint64(region)] += 1
            continue
        # To look up each voxel's contact costs less than to guess whether it is that of the voxel before.
        low, high = min(region, other), max(region, other)
        key = (np.uint64(low) << np.uint64(32)) | np.uint64(high)
        slot = slot_of(table, key)
        if is_free(table, slot):
            table[slot, 0] = key
            table[slot, 1] = np.uint64(n_contacts)
            pairs[n_contacts, 0] = low
            pairs[n_contacts, 1] = high
            n_contacts += 1
        room.voxels[n_after] = voxel + walk.edge_voxels[place]
        room.owners[n_after] = value_at(table, slot)
        n_after += np.uint64(1)
    add_contact_faces(block, walk, others, n_chosen, room, n)
    return n_contacts, np.int64(n_after)  # type: ignore[return-value]  # as above


@kernel
def new_buffer(size: int, block: Block) -> Buffer:
    """Return room for `size` voxels of a block."""
    return Buffer(
        np.empty(size, dtype=np.int64),
        np.empty(size, dtype=np.int64),
        np.empty((size, block.n_channels)),
        np.empty((size if block.shape.size > 0 else 0, block.shape.size)),
        np.empty((size if block.face_axes.size > 0 else 0, block.origin.size)),
    )


@pasted
def add_row(block: Block, row: Ints, voxel: int, room: Buffer, n: int) -> int:
    """Add the voxels of a row segment that lie in regions to the `n` in `room`; return how many there are then."""
    n_channels = block.n_channels
    values = room.values.reshape(room.values.size)
    lowest = row[0]
    for j in range(row.size):
        lowest = min(lowest, row[j])
    if lowest >= 0:
        owners, voxels = room.owners[n : n + row.size], room.voxels[n : n + row.size]
        for j in range(row.size):
            owners[j] = row[j]
        if block.shape.size > 0 or block.face_axes.size > 0:  # for coordinates and faces only
            for j in range(row.size):
                voxels[j] = voxel + j
        own_values = values[n * n_channels : (n + row.size) * n_channels]
        image = block.image[voxel * n_channels : (voxel + row.size) * n_channels]
        for i in range(image.size):
            own_values[i] = image[i]
        return n + row.size
    for j in range(row.size):
        if row[j] >= 0:
            room.voxels[n] = voxel + j
            room.owners[n] = row[j]
            for c in range(n_channels):
                room.values[n, c] = block.image[(voxel + j) * n_channels + c]
            n += 1
    return n


@pasted
def join_voxels(block: Block, gathering: Gathering, room: Buffer, n: int, rows: Floats) -> None:
    """Join the first `n` voxels of `room` into `rows`: their count here, other columns by the gather kernels."""
    owners = room.owners[:n]
    count_voxels(owners, 0, rows)
    n_coords, n_faces = n if gathering.needs_coords else 0, n if gathering.needs_faces else 0
    _find_coords(block, room, n_coords)
    for s in range(gathering.steps.shape[0]):
        step = gathering.steps[s]
        call_gather(
            gathering.kernels,
            step[0],
            gathering.params[step[2] : step[3]],
            gathering.channels[step[4] : step[5]],
            room.values[:n],
            room.coords[:n_coords],
            room.faces[:n_faces],
            owners,
            step[1],
            rows,
        )


@pasted
def _find_coords(block: Block, room: Buffer, n: int) -> None:
    """Write the coordinates of the first `n` voxels of `room`; most are one step from the voxel before."""
    last = block.shape.size - 1
    i = 0
    while i < n:
        rest = room.voxels[i]
        left = block.shape[last] - 1 - rest % block.shape[last]  # steps to the end of the row
        for axis in range(last, -1, -1):
            room.coords[i, axis] = block.origin[axis] + rest % block.shape[axis]
            rest //= block.shape[axis]
        i += 1
        while i < n and left > 0 and room.voxels[i] == room.voxels[i - 1] + 1:
            for axis in range(last):
                room.coords[i, axis] = room.coords[i - 1, axis]
            room.coords[i, last] = room.coords[i - 1, last] + 1.0
            left -= 1
            i += 1
