"""Splitting regions by a watershed within each: by seeds, or so that none holds two things that exclude each other."""

from __future__ import annotations

import numpy as np
from scipy import ndimage
from skimage import segmentation

from gala._types import ArrayLike, Labels
from gala.errors import LabelError
from gala.graph.labels import as_labels
from gala.morpho.checks import as_heights, check_not_negative, fitting, new_labels
from gala.morpho.pieces import relabel_connected, relabel_from_one
from gala.morpho.watersheds import watershed


def manual_split(
    probs: ArrayLike,
    seg: ArrayLike,
    body: int,
    seeds: ArrayLike,
    connectivity: int = 1,
    boundary_seeds: ArrayLike | None = None,
) -> Labels:
    """Split one region of a segmentation by seeds.

    Parameters
    ----------
    probs : array of float, shape (M, ..., P)
        The probability that a voxel is on a boundary.
    seg : array of int, shape (M, ..., P)
        The segmentation.
    body : int
        The label of the region to split.
    seeds : array of int or bool, shape (M, ..., P)
        At least two seeds in that region, as in `watershed`; voxels outside of it do not count.
    connectivity : int
        Voxels are neighbours if they differ by 1 in at most this many coordinates.
    boundary_seeds : array of bool, shape (M, ..., P), optional
        Voxels to be flooded last, as if on a boundary.

    Returns
    -------
    split : array of the dtype of `seg`, shape (M, ..., P)
        The piece of the lowest seed, and what no seed reaches, keep the label `body`; the others get labels above
        all there were. If `seg` has voxels of label 0, a dam of 0 is left between the pieces.

    Raises
    ------
    LabelError
        If `seg` has no such region or no room for more labels, a seed lies outside of the region, or there are
        fewer than two.
    ImageError
        If `probs` holds NaN or infinity.
    ShapeError
        If the arrays differ in shape or have no voxels.
    SettingError
        If `connectivity` is not from 1 to the number of axes.

    Examples
    --------
    >>> manual_split([0, 0, 9, 0, 0], [4, 4, 4, 4, 5], body=4, seeds=[1, 0, 0, 2, 0])
    array([4, 4, 6, 6, 5])
    """
    height, split = as_heights(probs), as_labels(seg, "seg").copy()
    inside = fitting(split, height, "seg", to="probs") == body
    if not inside.any():
        raise LabelError(f"seg has no region {body}.")
    starts = as_labels(fitting(seeds, height, "seeds", to="probs"), "seeds")
    if np.asarray(seeds).dtype == bool:
        starts = relabel_connected(starts.astype(bool), connectivity)
    _check_seeds(starts[inside], starts, body)
    box = ndimage.find_objects(inside.astype(np.int8))[0]
    relief, inside = height[box], inside[box]
    if boundary_seeds is not None:
        walls = fitting(boundary_seeds, height, "boundary_seeds", to="probs").astype(bool, copy=False)[box]
        relief = np.where(walls, relief.max() + 1, relief)
    numbered = relabel_from_one(np.where(inside, starts[box], 0))[0]
    pieces = watershed(relief, numbered, connectivity, inside)
    lookup = np.array([body, body, *new_labels(split, int(pieces.max()) - 1)], dtype=split.dtype)
    result = lookup[pieces]
    if not split.all():
        parted = watershed(relief, numbered, connectivity, inside, dams=True)  # where heights tie, not the same pieces
        result = np.where((pieces > 0) & (parted == 0), split.dtype.type(0), lookup[parted])
    np.copyto(split[box], result, where=inside)
    return split


def split_exclusions(
    image: ArrayLike, labels: ArrayLike, exclusions: ArrayLike, dilation: int = 0, connectivity: int = 1
) -> Labels:
    """Split the regions that overlap more than one exclusion, so that none does.

    Parameters
    ----------
    image : array of float, shape (M, ..., P)
        The height of each voxel, for example its boundary probability.
    labels : array of int, shape (M, ..., P)
        Regions; 0 is none.
    exclusions : array of int, shape (M, ..., P)
        Things of which a region can hold one, such as nuclei, each with its label; 0 elsewhere.
    dilation : int
        By how many voxels exclusions grow before they become seeds.
    connectivity : int
        Voxels are neighbours if they differ by 1 in at most this many coordinates.

    Returns
    -------
    split : array of the dtype of `labels`, shape (M, ..., P)
        A region with two exclusions or more is flooded from them, and its pieces get labels above all there
        were; parts of it that no exclusion reaches, and all other regions, keep theirs.

    Raises
    ------
    LabelError
        If `labels` or `exclusions` are not whole numbers, 0 or more, or there is no room for more labels.
    ImageError
        If `image` holds NaN or infinity.
    ShapeError
        If the arrays differ in shape or have no voxels.
    SettingError
        If `dilation` is negative, or `connectivity` is not from 1 to the number of axes.

    Examples
    --------
    >>> split_exclusions([0, 0, 9, 0, 0], [1, 1, 1, 1, 2], exclusions=[7, 0, 0, 8, 8])
    array([3, 3, 4, 4, 2])
    """
    check_not_negative(dilation, "dilation")
    height, split = as_heights(image), as_labels(labels, "labels").copy()
    fitting(split, height, "labels")
    apart = as_labels(fitting(exclusions, height, "exclusions"), "exclusions")
    both = (split > 0) & (apart > 0)
    pairs = np.unique(np.stack([split[both].astype(np.uint64), apart[both].astype(np.uint64)]), axis=1)
    regions, n_exclusions = np.unique(pairs[0], return_counts=True)
    crowded = regions[n_exclusions > 1].astype(split.dtype)
    grown = segmentation.expand_labels(apart, dilation) if dilation else apart  # type: ignore[no-untyped-call]  # not annotated
    found = np.searchsorted(crowded, split)
    numbers = np.where(np.isin(split, crowded), found + 1, 0).astype(np.int32)
    for number, box in enumerate(ndimage.find_objects(numbers), start=1):
        inside = numbers[box] == number
        own = np.isin(grown[box], apart[box][inside]) & inside
        seeds = relabel_from_one(np.where(own, grown[box], 0))[0]
        pieces = watershed(height[box], seeds, connectivity, inside)
        lookup = np.array([0, *new_labels(split, int(pieces.max()))], dtype=split.dtype)
        np.copyto(split[box], lookup[pieces], where=pieces > 0)
    return split


def _check_seeds(within: Labels, starts: Labels, body: int) -> None:
    """Raise an error unless each seed has voxels in the region, and there are two at least."""
    seeds = np.unique(within[within > 0])
    outside = np.setdiff1d(starts[starts > 0], seeds)
    if outside.size:
        raise LabelError(f"seeds must lie in region {body}; these do not: {', '.join(map(str, outside[:10]))}.")
    if seeds.size < 2:
        raise LabelError(f"seeds must be two or more in region {body}; got {seeds.size}.")
