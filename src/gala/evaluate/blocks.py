"""Arrays that are read block by block, HDF5 data sets, zarr, dask, anything that slices, and their overlaps.

Tables of blocks add up, so no more than a block for each thread is in memory, and the table itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice, product
from math import prod
from typing import Any

import numpy as np

from gala._kernels.threads import map_over_threads
from gala._types import Labels
from gala.errors import ShapeError
from gala.graph.labels import as_labels
from gala.graph.overlaps import Overlaps, count_overlaps, join_overlaps

_BLOCK_SIZE = 2**22  # voxels read at a time; more only if a chunk is larger
_N_TABLES = 16  # tables of blocks kept before they are joined

Block = tuple[slice, ...]


def is_read_by_blocks(array: Any) -> bool:
    """Tell whether this is an array, but none of NumPy: with a shape, a dtype and slices.

    Examples
    --------
    >>> is_read_by_blocks(np.zeros(3)), is_read_by_blocks([0, 1])
    (False, False)
    """
    if isinstance(array, np.ndarray | np.generic) or not hasattr(array, "__getitem__"):
        return False
    return isinstance(getattr(array, "dtype", None), np.dtype) and bool(getattr(array, "shape", ()))


def count_blocks(seg: Any, truth: Any, *, n_threads: int | None = None) -> Overlaps:
    """Return the pairs of labels that share voxels, and how many, reading both arrays block by block.

    Raises
    ------
    ShapeError, LabelError
        If the shapes differ, there are no voxels, or a block holds what cannot be labels.
    """
    seg, truth = paired(seg, truth)

    def count(block: Block) -> Overlaps:
        return count_overlaps(read_labels(seg, block, "seg"), read_labels(truth, block, "gt"), n_threads=1)

    blocks = blocks_of(tuple(seg.shape), _chunk_of(seg) or _chunk_of(truth))
    total: list[Overlaps] = []
    while some := list(islice(blocks, _N_TABLES)):
        total = [join_overlaps([*total, *map_over_threads(count, some, n_threads=n_threads)])]
    return total[0]


def paired(seg: Any, truth: Any) -> tuple[Any, Any]:
    """Return two arrays of one shape, those read by blocks as they are.

    Raises
    ------
    ShapeError
        If the shapes differ, or there are no voxels.
    """
    seg, truth = (array if is_read_by_blocks(array) else np.asarray(array) for array in (seg, truth))
    if tuple(seg.shape) != tuple(truth.shape):
        raise ShapeError(f"seg and gt must have the same shape; got {tuple(seg.shape)} and {tuple(truth.shape)}.")
    if not seg.shape or 0 in seg.shape:
        raise ShapeError(f"seg must hold at least one voxel; got shape {tuple(seg.shape)}.")
    return seg, truth


def blocks_of(shape: Sequence[int], chunk: Sequence[int] | None = None) -> Iterator[Block]:
    """Return blocks that cover a volume, each of whole chunks, and of 2**22 voxels at most unless a chunk is larger.

    Examples
    --------
    >>> len(list(blocks_of((256, 256, 256))))
    4
    >>> next(blocks_of((256, 256, 256), chunk=(64, 64, 64)))
    (slice(0, 64, None), slice(0, 256, None), slice(0, 256, None))
    """
    steps = [min(n, length) for n, length in zip(chunk or [1] * len(shape), shape, strict=True)]
    for axis in reversed(range(len(shape))):
        fit = max(1, _BLOCK_SIZE // prod(steps))
        steps[axis] = min(shape[axis], steps[axis] * fit)
    starts = (range(0, length, step) for length, step in zip(shape, steps, strict=True))
    for corner in product(*starts):
        yield tuple(slice(i, min(i + step, n)) for i, step, n in zip(corner, steps, shape, strict=True))


def cubes_of(shape: Sequence[int]) -> list[Block]:
    """Return blocks that cover a volume, as like to cubes as they can be: the fewest voxels around them.

    Examples
    --------
    >>> cubes_of((100, 300, 300))[0]
    (slice(0, 100, None), slice(0, 161, None), slice(0, 161, None))
    """
    side = max(1, int(_BLOCK_SIZE ** (1 / len(shape))))
    return list(blocks_of(shape, [side] * len(shape)))


def read_labels(array: Any, block: Block, name: str) -> Labels:
    """Return the labels in a block of an array, which errors call `name`.

    Raises
    ------
    LabelError
        If they cannot be labels.
    """
    where = ", ".join(f"{axis.start}:{axis.stop}" for axis in block)
    return as_labels(np.asarray(array[block if len(block) > 1 else block[0]]), f"{name}[{where}]")


def _chunk_of(array: Any) -> tuple[int, ...] | None:
    """Return the shape in which an array is stored best read: of a shard, or a chunk, the largest if they differ."""
    chunks = getattr(array, "shards", None) or getattr(array, "chunks", None)
    return tuple(int(np.max(n)) for n in chunks) if chunks else None
