"""Graphs from affinities that are larger than memory, block by block on dask.

A block owns its voxels, and counts the pairs of voxels that are written at them. It sees the labels of the voxels that
these pairs lead to. What blocks counted joins by the law of cache rows: the result is that of
`gala.graph.affinity_graph.build_affinity_graph` for any blocks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from gala._types import Array, ArrayLike
from gala.errors import ShapeError
from gala.graph.affinities import as_affinities, checked_steps
from gala.graph.affinity_graph import (
    Counted,
    Part,
    check_affinities,
    count_pairs,
    finished,
    joined_parts,
    kept_of,
    kind_of_pairs,
    volume_of_pairs,
)
from gala.graph.blockwise import (
    check_shapes,
    chunks_of,
    dask_module,
    is_dask,
    lazy_array,
    read_part,
    warn_of_chunks,
)
from gala.graph.build import Leaves
from gala.graph.grid import Box, Grid, reaching


def build_affinity_graph_blockwise(
    labels: Any,
    affinities: Any,
    features: Leaves | Sequence[Leaves] = (),
    *,
    offsets: Sequence[Sequence[int]],
    polarity: str = "attractive",
    summary: str = "all",
    spacing: Sequence[float] | None = None,
    mask: Any = None,
    background: int | None = None,
    block_shape: int | Sequence[int] | None = None,
) -> Any:
    """Build the graph of affinities larger than memory, as a dask graph over blocks.

    Parameters
    ----------
    labels : array of int, shape (M, ..., P), 1 to 4 dimensions
        The regions: a dask array of any chunks, a zarr array, or whatever has a shape, a dtype and slices.
    affinities : array, shape (K, M, ..., P)
        The same, channels first: channel k at voxel x is about x and ``x + offsets[k]``.
    features, offsets, polarity, summary, spacing, background
        As for `gala.graph.affinity_graph.build_affinity_graph`.
    mask : array of bool, shape (M, ..., P), optional
        Voxels that are False belong to no region: an array like the others.
    block_shape : int or sequence of int, optional
        Voxels of a block along each axis; by default whole chunks of `labels`, about 256 a side.

    Returns
    -------
    built : dask.delayed.Delayed
        Its ``compute()`` gives an `AffinityGraph`, graph and lifted edges, that is equal to that of
        `build_affinity_graph`, whatever the blocks: regions, contacts, counts, histograms, minima and maxima exactly,
        sums of floats to a relative 1e-12.

    Raises
    ------
    ShapeError, SettingError, FeatureError
        As `build_affinity_graph` does, or if there is no dask. What only values can tell is raised by ``compute()``.

    Warns
    -----
    GalaWarning
        If blocks cut through chunks, which are then read several times; by the last task, if the affinities of the
        whole volume look inverted.

    Notes
    -----
    A task holds the affinities of one block, and labels as far beyond as steps lead; a join, the graphs of two parts.

    Examples
    --------
    >>> affinities = [[[0, 0, 0.75], [0, 1, 0.5]], [[0, 0, 0], [0.25, 0.5, 0.5]]]
    >>> labels, offsets = [[1, 1, 2], [3, 3, 2]], [(0, -1), (-1, 0)]
    >>> graph, lifted = build_affinity_graph_blockwise(labels, affinities, offsets=offsets, block_shape=1).compute()
    >>> graph.labels[graph.edges].tolist(), graph.contact_sizes.tolist()
    ([[1, 2], [1, 3], [2, 3]], [1, 2, 1])
    """
    delayed = dask_module("dask").delayed
    values = lazy_array(affinities)
    given = {"labels": labels, "mask": mask}
    lazy = {name: lazy_array(array) for name, array in given.items() if array is not None}
    shape = tuple(lazy["labels"].shape)
    check_shapes(lazy, shape)
    steps = checked_steps(offsets, tuple(values.shape), polarity)
    check_affinities(tuple(values.shape[1:]), steps, shape)
    kept_of(features, kind_of_pairs(len(shape), spacing), summary)
    grid = Grid.of(shape, block_shape, chunks_of(lazy["labels"]))
    chunks = {name: chunks_of(array) for name, array in lazy.items()}
    warn_of_chunks(chunks | {"affinities": (chunks_of(values) or ())[1:]}, grid)
    settings: dict[str, Any] = {"offsets": offsets, "polarity": polarity, "summary": summary}
    settings |= {"spacing": spacing, "background": background}
    whole = {name: array if is_dask(array) else delayed(array) for name, array in lazy.items()}
    channels = values if is_dask(values) else delayed(values)
    count, join = delayed(_count_parts, pure=False), delayed(lambda parts: joined_parts(parts), pure=False)
    counted = {}
    for place in grid.places():
        box = grid.box(place)
        seen = reaching(box, steps.tolist(), shape)
        parts = {name: read_part(array, seen, delayed) for name, array in whole.items()}
        parts["affinities"] = read_part(channels, (slice(None), *box), delayed)
        counted[0, place] = count(parts, features, box, seen, shape, settings)
    for level in range(1, len(grid.levels())):
        for place, below in grid.joins(level).items():
            counted[level, place] = join([counted.pop(part) for part in below])
    return delayed(finished, pure=False)(counted[grid.root()], features, summary, polarity)


def count_block(
    labels: ArrayLike,
    affinities: ArrayLike,
    features: Leaves | Sequence[Leaves],
    box: Box,
    seen: Box,
    shape: tuple[int, ...],
    *,
    offsets: Sequence[Sequence[int]],
    polarity: str = "attractive",
    summary: str = "all",
    spacing: Sequence[float] | None = None,
    mask: ArrayLike | None = None,
    background: int | None = None,
    n_threads: int | None = 1,
) -> Counted:
    """Count the pairs of voxels that are written in one block of a volume.

    Parameters
    ----------
    labels, mask : array, the shape of `seen`
        Of the block and of what its pairs lead to, at least.
    affinities : array, shape (K, ...) and then that of `box`
        Of the block alone.
    box, seen : tuple of slice
        Where both are in the volume.
    shape : tuple of int
        Of the volume.
    features, offsets, polarity, summary, spacing, background, n_threads
        As for `gala.graph.affinity_graph.build_affinity_graph`.

    Raises
    ------
    ShapeError, ImageError, LabelError, SettingError, FeatureError
        As `build_affinity_graph` does.

    Examples
    --------
    >>> counted = count_block([1, 2], [[0.5]], (), (slice(1, 2),), (slice(0, 2),), (3,), offsets=[[-1]])
    >>> counted.graph.sizes.tolist(), counted.graph.contact_sizes.tolist()
    ([0, 1], [1])
    """
    known = as_affinities(affinities, offsets, polarity)
    volume = volume_of_pairs(labels, spacing=spacing, mask=mask, background=background)
    for name, found, where in (("labels", volume.labels.shape, seen), ("affinities", known.shape, box)):
        if found != tuple(part.stop - part.start for part in where):
            raise ShapeError(f"{name} must be those of {where}; got shape {found}.")
    kept = kept_of(features, volume.kind, summary)
    return count_pairs(Part(shape, box, seen, volume, known), kept, n_threads=n_threads)


def _count_parts(
    parts: Mapping[str, Array], features: Any, box: Box, seen: Box, shape: tuple[int, ...], settings: Mapping[str, Any]
) -> Counted:
    return count_block(
        parts["labels"], parts["affinities"], features, box, seen, shape, mask=parts.get("mask"), **settings
    )
