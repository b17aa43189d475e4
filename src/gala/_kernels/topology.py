"""How a region lies among its neighbours: numbers that are no cache row, since those of a union are no join.

They are columns of the state's rows, none of which is `given` then, computed just before a pair is described. The
border of the volume counts as a neighbour: its contact with a region is the region's voxels there, its own neighbours
are all regions there.
"""

from __future__ import annotations

from gala._kernels.containers import is_free, slot_of
from gala._kernels.jit import kernel, pasted
from gala._kernels.state import END, N_AT_BORDER, N_MERGES, NEXT, ROW, State, is_half_of, key_of
from gala._types import Ints

# Of a region: how many neighbours it has, and they have in all; the voxels of all its contacts, and of its two largest.
DEGREE, NEIGHBOR_DEGREES, TOTAL, LARGEST, SECOND = 0, 1, 2, 3, 4
N_REGION_COLUMNS = 5
# Of a contact: its voxels, and the neighbours that its two regions have in common.
SIZE, COMMON = 0, 1
N_CONTACT_COLUMNS = 2

# A region row ends with these columns, the number of merges when they were computed, and the voxels at the border.
REGION_FIRST, AS_OF, BORDER = N_REGION_COLUMNS + 2, 2, 1  # counted from the end of the row


@pasted
def refresh_pair(state: State, e: int) -> None:
    """Bring the topology columns of contact `e` and of its two regions up to date."""
    u, v = state.links[e, END], state.links[e, END + 1]
    refresh_region(state, u)
    refresh_region(state, v)
    if state.degree[v] < state.degree[u]:
        u, v = v, u
    border = state.region_rows.shape[1] - BORDER
    common = int(state.region_rows[u, border] > 0 and state.region_rows[v, border] > 0)
    half = state.head[u]
    while half >= 0:
        other = state.links[half >> 1, END + 1 - (half & 1)]
        # No region is its own neighbour, so v itself is not found.
        if is_half_of(state, half, u) and not is_free(state.table, slot_of(state.table, key_of(v, other))):
            common += 1
        half = state.links[half >> 1, NEXT + (half & 1)]
    first = state.contact_rows.shape[1] - N_CONTACT_COLUMNS
    row = state.contact_rows[state.links[e, ROW]]
    row[first + SIZE] = row[0]
    row[first + COMMON] = common


@pasted
def refresh_region(state: State, region: int) -> None:
    """Bring the topology columns of a region up to date, unless they are."""
    row = state.region_rows[region]
    n_merges = state.counters[N_MERGES]
    if row[row.size - AS_OF] == n_merges:
        return
    border = row.size - BORDER
    at_border = row[border] > 0
    degree = state.degree[region] + at_border
    degrees = state.counters[N_AT_BORDER] if at_border else 0
    total, largest, second = row[border], row[border], 0.0
    half, before = state.head[region], -1
    while half >= 0:
        following = state.links[half >> 1, NEXT + (half & 1)]
        if not is_half_of(state, half, region):  # take it out, so that it is met once
            if before < 0:
                state.head[region] = following
            else:
                state.links[before >> 1, NEXT + (before & 1)] = following
            half = following
            continue
        other = state.links[half >> 1, END + 1 - (half & 1)]
        degrees += state.degree[other] + (state.region_rows[other, border] > 0)
        size = state.contact_rows[state.links[half >> 1, ROW], 0]
        total += size
        second = max(second, min(largest, size))
        largest = max(largest, size)
        half, before = following, half
    first = row.size - REGION_FIRST
    row[first + DEGREE] = degree
    row[first + NEIGHBOR_DEGREES] = degrees
    row[first + TOTAL] = total
    row[first + LARGEST] = largest
    row[first + SECOND] = second
    row[row.size - AS_OF] = n_merges


@kernel
def refresh_regions(state: State, edges: Ints) -> None:
    """Bring the topology columns of the regions of each contact in `edges` up to date."""
    for i in range(edges.size):
        refresh_region(state, state.links[edges[i], END])
        refresh_region(state, state.links[edges[i], END + 1])
