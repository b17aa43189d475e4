"""One pass over a block of labels: its regions, its contacts, and the cache rows of both.

Voxel x of region a is in contact (a, b) if some neighbour of x lies in b; it counts once in that contact. The pass
walks row segments: it flags the voxels that have another neighbour (a loop the compiler vectorises), finds the
distinct regions around each, and hands values and owners to the gather kernels in buffers that stay in cache.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from gala._kernels.containers import grown_table, is_free, new_table, slot_of
from gala._kernels.jit import kernel
from gala._types import Array, Bools, Floats, Ints, Labels

NO_REGION = -1  # voxels that are masked or background
OUTSIDE = -2  # beyond the border of the volume
SEGMENT = 512  # longest row segment, voxels
_BUFFER = 4096  # voxels handed to the gather kernels at a time


class Gathering(NamedTuple):
    """The gather kernels of some managers, and how to call each of S of them for one kind of row."""

    kernels: tuple[Any, ...]  # padded by jit.gather_kernels
    steps: Ints  # (S, 6): kernel, first column, bounds in `params`, bounds in `channels`
    params: Floats  # (P,)
    channels: Ints
    empty: Floats  # (C,) the row of no voxels


class Block(NamedTuple):
    """A block of a volume as the pass walks it."""

    regions: Ints  # (P,) int32: the region of each voxel, with a border of one voxel around the block
    segments: Ints  # (S, 3): position in `regions`, position in `image`, length
    offsets: Ints  # (K,) from a voxel in `regions` to each of its neighbours
    image: Array  # (V, C) float32 or float64
    shape: Ints  # (ndim,) of the block, or (0,) if coordinates are not wanted
    origin: Ints  # (ndim,) its first voxel in the volume


@kernel
def number_regions(labels: Labels, keep: Bools, background: Labels, out: Ints) -> Labels:
    """Number the labels as they come, into `out`; return the label of each number.

    `labels` and `out` have four dimensions, and so has `keep`, unless it is empty; voxels outside `keep`, or with
    the one label in `background` (if any), are `NO_REGION`.
    """
    table = new_table(1024)
    found = np.empty(1024, dtype=np.uint64)
    n_found = 0
    masked = keep.size > 0
    for i in range(labels.shape[0]):
        for j in range(labels.shape[1]):
            for k in range(labels.shape[2]):
                previous = labels[i, j, k, 0]
                region = NO_REGION - 1
                for m in range(labels.shape[3]):
                    label = labels[i, j, k, m]
                    if masked and not keep[i, j, k, m]:
                        out[i, j, k, m] = NO_REGION
                        continue
                    if label != previous or region < NO_REGION:
                        previous = label
                        if background.size > 0 and label == background[0]:
                            region = NO_REGION
                        else:
                            slot = slot_of(table, np.uint64(label))
                            if is_free(table, slot):
                                if n_found == found.size:
                                    found = np.concatenate((found, np.empty_like(found)))
                                    table = grown_table(table)
                                    slot = slot_of(table, np.uint64(label))
                                table[slot, 0] = np.uint64(label)
                                table[slot, 1] = np.uint64(n_found)
                                found[n_found] = label
                                n_found += 1
                            region = np.int64(table[slot, 1])
                    out[i, j, k, m] = region
    return found[:n_found].copy()


@kernel
def gather_block(
    block: Block, of_regions: Gathering, of_contacts: Gathering, n_regions: int, record: bool
) -> tuple[Ints, Floats, Floats, Bools, Ints]:
    """Return the contacts and cache rows of a block.

    Returns
    -------
    pairs : int64 (E, 2), regions u < v of each contact, in the order in which they were met
    region_rows : float64 (n_regions, A)
    contact_rows : float64 (E, B)
    at_border : bool (n_regions,), whether the region touches the border of the volume
    recorded : int64 (R, 2), with `record` the contact and position in the image of each voxel of each contact
    """
    at_border = np.zeros(n_regions, dtype=np.bool_)
    region_rows = np.empty((n_regions, of_regions.empty.size))
    region_rows[:] = of_regions.empty
    contact_rows = np.empty((max(1024, 4 * n_regions), of_contacts.empty.size))
    pairs = np.empty((contact_rows.shape[0], 2), dtype=np.int64)
    n_contacts = 0
    table = new_table(contact_rows.shape[0])

    n_around = block.offsets.size
    n_buffer = _BUFFER + SEGMENT * n_around
    voxels = np.empty(_BUFFER + SEGMENT, dtype=np.int64)
    owners = np.empty(_BUFFER + SEGMENT, dtype=np.int64)
    contact_voxels = np.empty(n_buffer, dtype=np.int64)
    contact_owners = np.empty(n_buffer, dtype=np.int64)
    values = np.empty((n_buffer, block.image.shape[1]))
    coords = np.empty((n_buffer if block.shape.size > 0 else 0, block.shape.size))
    n_voxels = 0
    n_contact_voxels = 0
    recorded = np.empty((n_buffer if record else 0, 2), dtype=np.int64)
    n_recorded = 0

    flags = np.empty(SEGMENT, dtype=np.int32)
    edge_voxels = np.empty(SEGMENT, dtype=np.int64)
    seen = np.empty(n_around, dtype=np.int64)
    regions = block.regions

    for s in range(block.segments.shape[0]):
        first, voxel, length = block.segments[s, 0], block.segments[s, 1], block.segments[s, 2]

        flags[:] = 0
        for k in range(n_around):
            around = first + block.offsets[k]
            row = regions[first : first + length]
            other = regions[around : around + length]
            for j in range(length):
                flags[j] |= row[j] ^ other[j]

        n_edge_voxels = 0
        for j in range(length):
            region = regions[first + j]
            voxels[n_voxels] = voxel + j
            owners[n_voxels] = region
            n_voxels += region >= 0
            edge_voxels[n_edge_voxels] = j
            n_edge_voxels += (region >= 0) & (flags[j] != 0)

        for i in range(n_edge_voxels):
            position = first + edge_voxels[i]
            region = np.int64(regions[position])
            n_seen = 0
            for k in range(n_around):
                other_region = np.int64(regions[position + block.offsets[k]])
                if other_region == region:
                    continue
                if other_region < 0:
                    if other_region == OUTSIDE:
                        at_border[region] = True
                    continue
                is_new = True
                for t in range(n_seen):
                    is_new &= seen[t] != other_region
                if not is_new:
                    continue
                seen[n_seen] = other_region
                n_seen += 1
                u, v = min(region, other_region), max(region, other_region)
                key = (np.uint64(u) << np.uint64(32)) | np.uint64(v)
                slot = slot_of(table, key)
                if is_free(table, slot):
                    if n_contacts == pairs.shape[0]:
                        pairs = np.concatenate((pairs, np.empty_like(pairs)))
                        contact_rows = np.concatenate((contact_rows, np.empty_like(contact_rows)))
                        table = grown_table(table)
                        slot = slot_of(table, key)
                    table[slot, 0] = key
                    table[slot, 1] = np.uint64(n_contacts)
                    pairs[n_contacts, 0] = u
                    pairs[n_contacts, 1] = v
                    contact_rows[n_contacts] = of_contacts.empty
                    n_contacts += 1
                contact_voxels[n_contact_voxels] = voxel + edge_voxels[i]
                contact_owners[n_contact_voxels] = np.int64(table[slot, 1])
                n_contact_voxels += 1

        at_end = s == block.segments.shape[0] - 1
        if n_voxels > _BUFFER - SEGMENT or at_end:
            _join(block, of_regions, voxels, owners, n_voxels, values, coords, region_rows)
            n_voxels = 0
        if n_contact_voxels > _BUFFER or at_end:
            _join(
                block,
                of_contacts,
                contact_voxels,
                contact_owners,
                n_contact_voxels,
                values,
                coords,
                contact_rows,
            )
            if record:
                while n_recorded + n_contact_voxels > recorded.shape[0]:
                    recorded = np.concatenate((recorded, np.empty_like(recorded)))
                for i in range(n_contact_voxels):
                    recorded[n_recorded + i, 0] = contact_owners[i]
                    recorded[n_recorded + i, 1] = contact_voxels[i]
                n_recorded += n_contact_voxels
            n_contact_voxels = 0

    return (
        pairs[:n_contacts].copy(),
        region_rows,
        contact_rows[:n_contacts].copy(),
        at_border,
        recorded[:n_recorded].copy(),
    )


@kernel
def _join(
    block: Block,
    gathering: Gathering,
    voxels: Ints,
    owners: Ints,
    n: int,
    values: Floats,
    coords: Floats,
    rows: Floats,
) -> None:
    """Join `n` voxels into ``rows[owners]``: their count by itself, the other columns by the gather kernels."""
    i = 0
    while i < n:
        owner = owners[i]
        start = i
        while i < n and owners[i] == owner:
            i += 1
        rows[owner, 0] += i - start
    for i in range(n):
        for c in range(values.shape[1]):
            values[i, c] = block.image[voxels[i], c]
    n_coords = n if block.shape.size > 0 else 0
    for i in range(n_coords):
        rest = voxels[i]
        for axis in range(block.shape.size - 1, -1, -1):
            coords[i, axis] = block.origin[axis] + rest % block.shape[axis]
            rest //= block.shape[axis]
    for s in range(gathering.steps.shape[0]):
        step = gathering.steps[s]
        gathering.kernels[step[0]](
            gathering.params[step[2] : step[3]],
            gathering.channels[step[4] : step[5]],
            values[:n],
            coords[:n_coords],
            owners[:n],
            step[1],
            rows,
        )


@kernel
def join_rows(joins: Ints, index: Ints, rows: Floats, out: Floats) -> None:
    """Join each row of `rows`, shape (R, C), into ``out[index[r]]``; `joins`, shape (C,), as in `graph.caches.Join`."""
    for r in range(rows.shape[0]):
        target = index[r]
        for c in range(joins.size):
            if joins[c] == 0:
                out[target, c] += rows[r, c]
            elif joins[c] == 1:
                out[target, c] = min(out[target, c], rows[r, c])
            else:
                out[target, c] = max(out[target, c], rows[r, c])
