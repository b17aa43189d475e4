"""Region graphs, and relabelled volumes, of arrays that are larger than memory, block by block on dask.

A block owns its voxels and sees one voxel beyond, so that its graph holds all contacts of its own voxels. Graphs of
blocks join by the law of cache rows: the result is that of `gala.graph.build.build_graph` for any blocks.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Any

import numpy as np

from gala._kernels.adjacency import gather_block
from gala._types import Array, ArrayLike, Ints, Labels
from gala.errors import FeatureError, GalaWarning, SettingError, ShapeError
from gala.graph.build import Leaves, gathering, leaves_of, padded_block, slab_graph
from gala.graph.caches import CacheSpec, Channels, compact, lay_out
from gala.graph.grid import Box, Grid
from gala.graph.labels import as_labels
from gala.graph.regions import RegionGraph, joined
from gala.graph.volume import check_volume
from gala.graph.voxels import map_labels


def build_graph_blockwise(
    labels: Any,
    image: Any = None,
    features: Leaves | Sequence[Leaves] = (),
    *,
    block_shape: int | Sequence[int] | None = None,
    connectivity: int = 1,
    spacing: Sequence[float] | None = None,
    mask: Any = None,
    background: int | None = None,
    channels: Channels | None = None,
    extra: Mapping[str, Any] | None = None,
) -> Any:
    """Build the region graph of arrays larger than memory, as a dask graph over blocks.

    Parameters
    ----------
    labels : array of int, shape (M, ..., P), 1 to 4 dimensions
        The regions: a dask array of any chunks, a zarr array, a `gala.imio.Volume`, or whatever has a shape, a dtype
        and slices.
    image : array, shape (M, ..., P) or (M, ..., P, C), optional
        The same, what is summarised in the cache rows.
    features : feature manager or sequence of them, optional
        What to keep about regions and contacts: declared managers.
    block_shape : int or sequence of int, optional
        Voxels of a block along each axis; by default whole chunks of `labels`, about 256 a side.
    connectivity, spacing, mask, background, channels, extra
        As for `gala.graph.build.build_graph`; mask and extra images are arrays like the others.

    Returns
    -------
    graph : dask.delayed.Delayed
        Its ``compute()`` gives a `RegionGraph` that is equal to that of `build_graph`, whatever the blocks: regions,
        contacts, counts, histograms, minima and maxima exactly, sums of floats to a relative 1e-12.

    Raises
    ------
    ShapeError
        If the shapes do not fit.
    SettingError
        If a setting is out of range, or there is no dask.
    FeatureError
        If a manager is not declared. What only values can tell is raised by ``compute()``.

    Warns
    -----
    GalaWarning
        If blocks cut through chunks of labels or images, which are then read several times.

    Notes
    -----
    A task holds one block; a join, the graphs of two parts. Memory of the last join follows regions and contacts.

    Examples
    --------
    >>> import dask.array as da
    >>> labels = da.from_array(np.array([[1, 1, 2], [1, 3, 3]]), chunks=(1, 2))
    >>> build_graph_blockwise(labels).compute().edges.tolist()
    [[0, 1], [0, 2], [1, 2]]
    """
    delayed = dask_module("dask").delayed
    leaves_of(features)
    arrays = {"labels": labels, "image": image, "mask": mask} | {f"extra {k}": v for k, v in (extra or {}).items()}
    lazy = {name: lazy_array(array) for name, array in arrays.items() if array is not None}
    shape = tuple(lazy["labels"].shape)
    check_shapes(lazy, shape)
    grid = Grid.of(shape, block_shape, chunks_of(lazy["labels"]))
    warn_of_chunks({name: chunks_of(array) for name, array in lazy.items()}, grid)
    settings = {"connectivity": connectivity, "spacing": spacing, "background": background, "channels": channels}
    whole = {name: array if is_dask(array) else delayed(array) for name, array in lazy.items()}
    graph_of_block = delayed(_graph_of_block, pure=False)
    graphs = {}
    for place in grid.places():
        boxes = {n: grid.seen(place) if n in ("labels", "mask") else grid.box(place) for n in lazy}
        parts = {name: read_part(whole[name], boxes[name], delayed) for name in lazy}
        graphs[0, place] = graph_of_block(parts, grid, place, features, settings)
    join = delayed(lambda parts: joined(parts), pure=False)
    for level in range(1, len(grid.levels())):
        for place, below in grid.joins(level).items():
            graphs[level, place] = join([graphs.pop(part) for part in below])
    return graphs[grid.root()]


def relabel_blockwise(
    labels: Any,
    keys: ArrayLike,
    values: ArrayLike,
    out: Any = None,
    *,
    block_shape: int | Sequence[int] | None = None,
    mask: Any = None,
    background: int | None = None,
) -> Any:
    """Replace each label by the entry of `values` beside it in `keys`, block by block.

    Parameters
    ----------
    labels : array of int, shape (M, ..., P)
        As for `build_graph_blockwise`.
    keys, values : array of int, shape (N,), or dask.delayed.Delayed
        `keys` increases; see `gala.graph.voxels.map_labels`.
    out : array, shape (M, ..., P), optional
        Where to write, such as a zarr array. Blocks are whole chunks of it, so that each is written once.
    block_shape : int or sequence of int, optional
        By default whole chunks of `out`, or of `labels`.
    mask : array of bool, shape (M, ..., P), optional
        Voxels that are False become 0.
    background : int, optional
        Voxels of this label become 0.

    Returns
    -------
    mapped : dask.array.Array, or dask.delayed.Delayed
        The new labels; or, with `out`, what writes them when it is computed, and returns the number of blocks.

    Raises
    ------
    SettingError
        If blocks are not whole chunks of `out`, or there is no dask.
    ShapeError
        If the shapes do not fit.

    Examples
    --------
    >>> relabel_blockwise(np.array([7, 7, 9, 9]), [7, 9], [7, 7], block_shape=3).compute()
    array([7, 7, 7, 7])
    """
    dask, arrays = dask_module("dask"), dask_module("dask.array")
    lazy = {name: lazy_array(a) for name, a in (("labels", labels), ("mask", mask)) if a is not None}
    shape = tuple(lazy["labels"].shape)
    check_shapes(lazy | ({} if out is None else {"out": out}), shape)
    chunks = chunks_of(lazy["labels"] if out is None else out)
    grid = Grid.of(shape, block_shape, chunks)
    if out is not None and any(
        side % chunk and side < n for side, chunk, n in zip(grid.block_shape, chunks or (1,), shape, strict=False)
    ):
        raise SettingError(f"blocks must be whole chunks of out, {chunks}; got blocks of {grid.block_shape}.")
    whole = {name: a if is_dask(a) else dask.delayed(a) for name, a in lazy.items()}
    table = dask.delayed(_table)(keys, values)
    dtype = np.asarray(values).dtype if not hasattr(values, "dask") else np.dtype(lazy["labels"].dtype)
    found = np.empty(grid.n_along, dtype=object)
    for place in grid.places():
        box = grid.box(place)
        parts = {name: read_part(array, box, dask.delayed) for name, array in whole.items()}
        new = dask.delayed(_map_block, pure=False)(parts, table, background)
        if out is None:
            size = tuple(part.stop - part.start for part in box)
            found[place] = arrays.from_delayed(new, size, dtype=dtype)
        else:
            found[place] = dask.delayed(_write, pure=False)(dask.delayed(out), box, new)
    return arrays.block(found.tolist()) if out is None else dask.delayed(_all_written)(found.ravel().tolist())


def block_graph(
    labels: ArrayLike,
    image: ArrayLike | None,
    features: Leaves | Sequence[Leaves],
    grid: Grid,
    place: tuple[int, ...],
    *,
    mask: ArrayLike | None = None,
    extra: Mapping[str, ArrayLike] | None = None,
    connectivity: int = 1,
    spacing: Sequence[float] | None = None,
    background: int | None = None,
    channels: Channels | None = None,
) -> RegionGraph:
    """Build the graph of one block of a volume: its own voxels, their regions, and all their contacts.

    Parameters
    ----------
    labels, mask : array, the shape of ``grid.seen(place)``
        Of the block and one voxel beyond.
    image, extra : array, the shape of ``grid.box(place)``, and channels
        Of the block alone.
    features, connectivity, spacing, background, channels
        As for `gala.graph.build.build_graph`.
    grid, place
        Which block it is.

    Raises
    ------
    ShapeError, LabelError, ImageError, SettingError, FeatureError
        As `build_graph` does.

    Examples
    --------
    >>> block_graph([1, 1, 2], None, (), Grid((4,), (2,)), (0,)).sizes
    array([2, 0])
    """
    box, around = grid.box(place), grid.seen(place)
    inner = grid.inner(place)
    regions = as_labels(labels, "labels")
    if regions.shape != tuple(part.stop - part.start for part in around):
        raise ShapeError(f"labels must be those of {around}; got shape {regions.shape}.")
    keep = None if mask is None else np.asarray(mask).astype(np.bool_, copy=False)
    volume = check_volume(
        regions[inner],
        image,
        connectivity,
        mask=None if keep is None else keep[inner],
        background=background,
        channels=channels,
        spacing=spacing,
        extra=extra,
    )
    leaves = leaves_of(features)
    region_spec, of_regions = gathering(leaves, volume.kind, of_regions=True)
    contact_spec, of_contacts = gathering(leaves, volume.kind, of_regions=False)
    found, block = padded_block(
        volume._replace(labels=regions, mask=keep),
        volume.values(slice(None)),
        [part.start for part in inner],
        np.array([part.start for part in box]),
        wants_coords=of_regions.needs_coords or of_contacts.needs_coords,
        wants_faces=of_regions.needs_faces or of_contacts.needs_faces,
    )
    parts = gather_block(block, of_regions, of_contacts, len(found), False)
    return joined([slab_graph(found, parts, region_spec, contact_spec, volume)])


def with_columns(
    graphs: Sequence[RegionGraph], features: Leaves | Sequence[Leaves], contact_spec: CacheSpec | None = None
) -> RegionGraph:
    """Return the graph that keeps what `features` need, from graphs of one block that keep it among them.

    Contacts have the columns of `contact_spec`, if it is given.

    Raises
    ------
    FeatureError
        If a column is kept by none of them, or they are of different blocks.

    Examples
    --------
    >>> from gala.features import extrema, moments
    >>> one, other = moments.Manager(nmoments=1), extrema.Manager()
    >>> line, grid = ([1, 1, 2], [0, 0.5, 1]), Grid((3,), (3,))
    >>> graphs = [block_graph(*line, each, grid, (0,)) for each in (one, other)]
    >>> with_columns(graphs, [one, other]).contact_spec == block_graph(*line, [one, other], grid, (0,)).contact_spec
    True
    """
    first = graphs[0]
    if any(not np.array_equal(first.edges, g.edges) or not np.array_equal(first.labels, g.labels) for g in graphs):
        raise FeatureError("columns can be put together of graphs of one block; these have other regions or contacts.")
    leaves = leaves_of(features)
    specs = [lay_out(leaves, first.kind, of_regions=of_regions)[0] for of_regions in (True, False)]
    specs[1] = specs[1] if contact_spec is None else contact_spec
    return RegionGraph(
        labels=first.labels,
        edges=first.edges,
        region_spec=specs[0],
        region_cache=_columns(specs[0], [(g.region_spec, g.region_cache) for g in graphs]),
        contact_spec=specs[1],
        contact_cache=compact(specs[1], _columns(specs[1], [(g.contact_spec, g.contact_cache) for g in graphs])),
        border_sizes=first.border_sizes,
        kind=first.kind,
    )


def _columns(wanted: CacheSpec, kept: Sequence[tuple[CacheSpec, Array]]) -> Array:
    where = {name: (rows, i) for spec, rows in reversed(kept) for i, name in enumerate(spec.names)}
    if missing := [name for name in wanted.names if name not in where]:
        raise FeatureError(f"no graph of this block keeps {', '.join(missing)}.")
    out = np.empty((len(kept[0][1]), len(wanted)), dtype=np.result_type(*(rows.dtype for _, rows in kept)))
    for column, name in enumerate(wanted.names):
        rows, i = where[name]
        out[:, column] = rows[:, i]
    return out


# -- arrays that are read by boxes ---------------------------------------------------------------------------------


def dask_module(name: str) -> Any:
    """Return dask, or a part of it.

    Raises
    ------
    SettingError
        If it is not there.
    """
    try:
        return import_module(name)
    except ImportError as error:
        raise SettingError("volumes in blocks need dask: pip install 'gala-segmentation[scale]'.") from error


def is_dask(*arrays: Any) -> bool:
    """Tell whether one of some arrays is one of dask.

    Examples
    --------
    >>> import dask.array as da
    >>> is_dask(np.zeros(2)), is_dask(None, da.zeros(2))
    (False, True)
    """
    return any(hasattr(array, "dask") and hasattr(array, "chunks") for array in arrays)


def lazy_array(array: Any) -> Any:
    """Return what can be read by boxes as it is, anything else as an array."""
    return array if all(hasattr(array, name) for name in ("shape", "dtype", "__getitem__")) else np.asarray(array)


def chunks_of(array: Any) -> tuple[int, ...] | None:
    """Return the shape of the chunks of an array, those of dask the largest; None if it has none."""
    chunks = getattr(array, "shards", None) or getattr(array, "chunks", None)
    return None if not chunks else tuple(int(np.max(side)) for side in chunks)


def warn_of_chunks(chunks: Mapping[str, Sequence[int] | None], grid: Grid) -> None:
    """Warn if blocks cut through chunks of arrays, given by name and without channels; None for one without."""
    cut = []
    for name, sides in chunks.items():
        along = zip(sides or (), grid.block_shape, grid.shape, strict=False)
        if any(block % chunk and block < n for chunk, block, n in along):
            cut.append(f"{tuple(sides or ())[: len(grid.shape)]} of {name}")
    if cut:
        warnings.warn(
            f"blocks of {grid.block_shape} cut through chunks of {' and '.join(cut)}, which are then read by several "
            "blocks; give a shape of blocks that all chunks divide, or rewrite a volume in other chunks.",
            GalaWarning,
            stacklevel=3,
        )


def check_shapes(arrays: Mapping[str, Any], shape: tuple[int, ...]) -> None:
    """Raise an error unless arrays have the shape of labels; images may have channels."""
    for name, array in arrays.items():
        found = tuple(array.shape)
        if found != shape and (name in ("mask", "out") or found[:-1] != shape):
            raise ShapeError(
                f"{name} must have the shape of labels, {shape}, and one more axis if it has channels; got {found}."
            )


def read_part(array: Any, box: Box, delayed: Any) -> Any:
    """Return a box of an array of dask, or delayed, as something that a task is given."""
    return array[box] if is_dask(array) else delayed(_read)(array, box)


def _read(array: Any, box: Box) -> Array:
    return np.asarray(array[box if len(box) > 1 else box[0]])


def _graph_of_block(
    parts: Mapping[str, Array], grid: Grid, place: tuple[int, ...], features: Any, settings: Mapping[str, Any]
) -> RegionGraph:
    extra = {name.removeprefix("extra "): part for name, part in parts.items() if name.startswith("extra ")}
    return block_graph(
        parts["labels"], parts.get("image"), features, grid, place, mask=parts.get("mask"), extra=extra, **settings
    )


def _table(keys: ArrayLike, values: ArrayLike) -> tuple[Ints, Ints]:
    return np.asarray(keys), np.asarray(values)


def _map_block(parts: Mapping[str, Array], table: tuple[Ints, Ints], background: int | None) -> Labels:
    keep = parts.get("mask")
    keep = None if keep is None else np.asarray(keep).astype(np.bool_, copy=False)
    return map_labels(parts["labels"], *table, mask=keep, background=background, n_threads=1)


def _write(out: Any, box: Box, values: Array) -> None:
    out[box] = values


def _all_written(done: list[None]) -> int:
    return len(done)
