"""Mapped segmentations: superpixels and a table that says which region each belongs to, in one HDF5 file."""

from __future__ import annotations

import numpy as np

from gala._files import FileName
from gala._types import ArrayLike, Labels
from gala.errors import FileError, GalaError, LabelError, ShapeError
from gala.graph.labels import as_labels
from gala.graph.voxels import map_labels
from gala.imio.hdf5 import read_h5_stack, write_h5_datasets


def compute_sp_to_body_map(sps: ArrayLike, bodies: ArrayLike) -> Labels:
    """Tabulate the region to which each superpixel belongs.

    Parameters
    ----------
    sps, bodies : array of int, shape (M, ..., P)
        Superpixels, and regions made of them.

    Returns
    -------
    sp_to_body_map : array of int, shape (N, 2)
        Each superpixel, increasing, beside its region.

    Raises
    ------
    LabelError
        If the arrays do not hold labels, or a superpixel lies in two regions.
    ShapeError
        If they differ in shape or have no voxels.

    Examples
    --------
    >>> compute_sp_to_body_map([1, 2, 2, 5], [9, 9, 9, 3])
    array([[1, 9],
           [2, 9],
           [5, 3]])
    """
    superpixels, regions = as_labels(sps, "sps"), as_labels(bodies, "bodies")
    if superpixels.shape != regions.shape:
        raise ShapeError(f"bodies must have the shape of sps, {superpixels.shape}; got {regions.shape}.")
    labels, first, place = np.unique(superpixels, return_index=True, return_inverse=True)
    region = regions.ravel()[first]
    split = region[place.reshape(regions.shape)] != regions
    if split.any():
        where = tuple(int(i) for i in np.unravel_index(int(split.argmax()), split.shape))
        raise LabelError(
            f"each of sps must lie in one of bodies; {superpixels[where]} lies in {region[place.flat[split.argmax()]]} "
            f"and, at {where}, in {regions[where]}."
        )
    largest = max(int(labels[-1]), int(region.max()))
    dtype = np.int64 if largest <= np.iinfo(np.int64).max else np.uint64
    return np.column_stack([labels.astype(dtype), region.astype(dtype)])


def apply_segmentation_map(superpixels: ArrayLike, sp_to_body_map: ArrayLike) -> Labels:
    """Return the segmentation that superpixels and a table make.

    Parameters
    ----------
    superpixels : array of int, shape (M, ..., P)
        Superpixels; 0 stays 0 if it is not in the table.
    sp_to_body_map : array of int, shape (N, 2)
        Each superpixel beside its region, in any order.

    Returns
    -------
    seg : array of int, shape (M, ..., P)
        The region of each voxel.

    Raises
    ------
    LabelError
        If the arrays do not hold labels, or a superpixel is not in the table, or twice.
    ShapeError
        If the table has another shape, or there are no voxels.

    Examples
    --------
    >>> apply_segmentation_map([1, 2, 2, 5, 0], [[1, 9], [2, 9], [5, 3]])
    array([9, 9, 9, 3, 0])
    """
    labels = as_labels(superpixels, "superpixels")
    keys, values = _table(sp_to_body_map).T
    return map_labels(labels, keys, values, background=None if 0 in keys else 0)


def write_mapped_segmentation(
    superpixel_map: ArrayLike,
    sp_to_body_map: ArrayLike,
    fn: FileName,
    sp_group: str = "stack",
    sp_to_body_group: str = "transforms",
) -> None:
    """Write superpixels, and the table that makes a segmentation of them, to an HDF5 file.

    Parameters
    ----------
    superpixel_map : array of int, shape (M, ..., P)
        Superpixels.
    sp_to_body_map : array of int, shape (N, 2)
        Each superpixel beside its region. For a merge tree of the engine that is
        ``np.column_stack([graph.labels, tree.cut(threshold)])``.
    fn : str or path
        The file, new or not; it is replaced only by a complete one, and other datasets stay.
    sp_group, sp_to_body_group : str
        Paths of both datasets in the file.

    Raises
    ------
    FileError
        If the file cannot be written, or exists and is not HDF5.
    LabelError
        If the arrays do not hold labels, or a superpixel is not in the table, or twice.
    ShapeError
        If the table has another shape, or there are no voxels.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     write_mapped_segmentation([1, 2, 2, 5], [[1, 9], [2, 9], [5, 3]], f"{folder}/a.h5")
    ...     read_mapped_segmentation(f"{folder}/a.h5")
    array([9, 9, 9, 3])
    """
    superpixels, table = as_labels(superpixel_map, "superpixel_map"), _table(sp_to_body_map)
    apply_segmentation_map(superpixels, table)
    write_h5_datasets({sp_group: superpixels, sp_to_body_group: table}, fn, compression="gzip")


def read_mapped_segmentation(fn: FileName, sp_group: str = "stack", sp_to_body_group: str = "transforms") -> Labels:
    """Read the segmentation that superpixels and a table in an HDF5 file make.

    Parameters
    ----------
    fn : str or path
        The file.
    sp_group, sp_to_body_group : str
        Paths of both datasets in the file.

    Returns
    -------
    seg : array of int, shape (M, ..., P)
        The region of each voxel.

    Raises
    ------
    FileError
        If the file or a dataset is missing or damaged, or they do not fit each other.

    Examples
    --------
    See `write_mapped_segmentation`.
    """
    superpixels, table = read_mapped_segmentation_raw(fn, sp_group, sp_to_body_group)
    try:
        return apply_segmentation_map(superpixels, table)
    except GalaError as error:
        raise FileError(f"{sp_group!r} and {sp_to_body_group!r} of {fn} make no segmentation: {error}") from error


def read_mapped_segmentation_raw(
    fn: FileName, sp_group: str = "stack", sp_to_body_group: str = "transforms"
) -> tuple[Labels, Labels]:
    """Read superpixels and the table that makes a segmentation of them.

    Parameters
    ----------
    fn : str or path
        The file.
    sp_group, sp_to_body_group : str
        Paths of both datasets in the file.

    Returns
    -------
    superpixels : array of int, shape (M, ..., P)
        The superpixels.
    sp_to_body_map : array of int, shape (N, 2)
        Each superpixel beside its region.

    Raises
    ------
    FileError
        If the file or a dataset is missing or damaged.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     write_mapped_segmentation([1, 2], [[1, 9], [2, 9]], f"{folder}/a.h5")
    ...     read_mapped_segmentation_raw(f"{folder}/a.h5")
    (array([1, 2]), array([[1, 9], [2, 9]]))
    """
    return read_h5_stack(fn, sp_group), read_h5_stack(fn, sp_to_body_group)


def _table(sp_to_body_map: ArrayLike) -> Labels:
    """Return the table, the superpixels increasing, after checking it."""
    table = as_labels(sp_to_body_map, "sp_to_body_map", allow_empty=True)
    if table.ndim != 2 or table.shape[1] != 2:
        raise ShapeError(f"sp_to_body_map must have shape (N, 2), a superpixel and its region; got {table.shape}.")
    table = table[np.argsort(table[:, 0], kind="stable")]
    twice = table[1:, 0][table[1:, 0] == table[:-1, 0]]
    if twice.size:
        raise LabelError(f"sp_to_body_map must name each superpixel once; {twice[0]} comes more often.")
    return table
