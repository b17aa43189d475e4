"""What is under the nodes of skeletons: looked up once, for as many segmentations of the same superpixels as wanted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from gala._types import ArrayLike, Bools, Floats, Labels
from gala.errors import LabelError, SettingError, ShapeError
from gala.graph.labels import as_labels
from gala.graph.regions import find_labels
from gala.graph.skeletons import Skeletons
from gala.graph.volume import check_spacing


class NodeLabels(NamedTuple):
    """The label under each of K nodes. With it, many segmentations of the same superpixels are cheap."""

    labels: Labels  # (K,) 0 where there is none
    is_segmented: Bools  # (K,) whether there is one
    is_inside: Bools  # (K,) whether the node is inside the volume

    @property
    def n_segmented(self) -> int:
        """How many nodes have a segment."""
        return int(np.count_nonzero(self.is_segmented))

    @classmethod
    def of(cls, labels: ArrayLike, *, background: int | None = 0) -> NodeLabels:
        """Return the labels of nodes inside a volume, shape (K,), that were looked up elsewhere.

        Nodes of label `background` have no segment; None if all have one.
        """
        found = as_labels(labels, "labels of nodes")
        if found.ndim != 1:
            raise ShapeError(f"labels of nodes must have shape (K,); got shape {found.shape}.")
        is_segmented = np.ones(len(found), dtype=np.bool_) if background is None else found != background
        return cls(
            np.where(is_segmented, found, found.dtype.type(0)), is_segmented, np.ones(len(found), dtype=np.bool_)
        )

    def numbered(self, leaves: Labels) -> NodeLabels:
        """Return positions in `leaves`, shape (N,), which increase, in place of labels: then `mapped` takes a cut.

        Raises
        ------
        LabelError
            If a label is not there.
        """
        positions = np.zeros(len(self.labels), dtype=np.int64)
        positions[self.is_segmented] = find_labels(leaves, self.labels[self.is_segmented])
        return self._replace(labels=positions)

    def mapped(self, segments: ArrayLike) -> NodeLabels:
        """Return the entry of `segments`, shape (N,), at each label, which is a position in it; see `numbered`.

        Examples
        --------
        >>> superpixels = NodeLabels.of([7, 9, 0]).numbered(np.array([7, 8, 9]))
        >>> superpixels.mapped([0, 1, 0])
        NodeLabels(labels=array([0, 0, 0]), is_segmented=array([ True,  True, False]), ...)
        """
        lookup = as_labels(segments, "segments")
        if self.labels.max() >= len(lookup):
            raise LabelError(
                f"segments has {len(lookup)} entries, and none at {self.labels.max()}; use `numbered` with the labels "
                "of the leaves first."
            )
        found = np.zeros(len(self.labels), dtype=lookup.dtype)
        found[self.is_segmented] = lookup[self.labels[self.is_segmented]]
        return self._replace(labels=found)


def node_labels(
    skeletons: Skeletons,
    seg: ArrayLike,
    *,
    spacing: Sequence[float] | None = None,
    offset: Sequence[float] | None = None,
    background: int | None = 0,
) -> NodeLabels:
    """Look up the label under each node of skeletons.

    Parameters
    ----------
    skeletons : Skeletons
        K nodes with D coordinates.
    seg : array of int, shape (M, N, ..., P)
        A segmentation, or superpixels, of D dimensions. Only values under nodes are read and checked.
    spacing : sequence of float, shape (D,), optional
        Size of a voxel along each axis, in the unit of the coordinates; 1 by default.
    offset : sequence of float, shape (D,), optional
        Coordinates of the centre of the first voxel; 0 by default. A voxel reaches half its size to either side, and
        what lies between two belongs to the later one. Where the corner of the first voxel is at 0, as in
        neuroglancer, the offset is half the spacing.
    background : int, optional
        Where `seg` has this label there is no segment; None if each label is a segment.

    Returns
    -------
    labels : NodeLabels

    Raises
    ------
    ShapeError
        If `seg` has not D dimensions, or no voxels.
    LabelError
        If what is under a node is no label, or all nodes are outside.
    SettingError
        If `spacing` or `offset` is not D numbers.

    Examples
    --------
    >>> line = Skeletons([[0.0], [10.0], [30.0]], [[0, 1], [1, 2]])
    >>> found = node_labels(line, [5, 6, 6], spacing=[10])
    >>> found.labels, found.is_inside
    (array([5, 6, 0]), array([ True,  True, False]))
    """
    volume = np.asarray(seg)
    if volume.ndim != skeletons.ndim or volume.size == 0:
        raise ShapeError(
            f"seg must have voxels, and {skeletons.ndim} axes as the nodes have; got shape {volume.shape}."
        )
    step = (skeletons.nodes - check_offset(offset, volume.ndim)) / check_spacing(spacing, volume.ndim)
    index = np.floor(step + 0.5)
    is_inside: Bools = np.all((index >= 0) & (index < volume.shape), axis=1)
    if not is_inside.any():
        low, high = skeletons.nodes.min(axis=0).tolist(), skeletons.nodes.max(axis=0).tolist()
        raise LabelError(
            f"all {len(is_inside)} nodes are outside seg, of shape {volume.shape}: they reach from {low} to {high}. "
            "Check spacing and offset, and that axes are plane, row, column."
        )
    under = as_labels(volume[tuple(index[is_inside].astype(np.int64).T)], "seg, under nodes,")
    labels = np.zeros(len(is_inside), dtype=under.dtype)
    labels[is_inside] = under
    is_segmented: Bools = is_inside if background is None else is_inside & (labels != background)
    labels[~is_segmented] = 0
    return NodeLabels(labels, is_segmented, is_inside)


def check_offset(offset: Sequence[float] | None, ndim: int) -> Floats:
    """Return a coordinate along each axis, 0 if None is given; raise SettingError if it cannot be one."""
    found = np.zeros(ndim) if offset is None else np.asarray(offset)
    if found.shape != (ndim,) or found.dtype.kind not in "uif" or not np.isfinite(found).all():
        raise SettingError(f"offset must be a finite coordinate along each of {ndim} axes; got {offset!r}.")
    return found.astype(np.float64)
