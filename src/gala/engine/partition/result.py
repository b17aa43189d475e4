"""What every way to partition a region graph returns."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gala._types import Array, ArrayLike, Bools, Floats, Ints, Labels
from gala.graph.regions import RegionGraph
from gala.graph.tree import MergeTree
from gala.graph.voxels import map_labels


@dataclass(frozen=True, slots=True, eq=False)
class Partition:
    """The segment of each of N regions.

    Examples
    --------
    >>> found = Partition(np.array([3, 5, 8]), np.array([3, 5, 3]))
    >>> found.n_segments, found.segmentation([[5, 8], [3, 3]]).tolist()
    (2, [[5, 3], [3, 3]])
    """

    regions: Labels  # (N,) label of each region in the image, increasing
    labels: Labels  # (N,) label of its segment: the lowest of its regions
    tree: MergeTree | None = None  # how it came about, if by merging
    energy: float | None = None  # sum of the weights of all edges between segments
    finished: bool = True  # False if a time limit ended the search for something better
    classes: Ints | None = None  # (N,) semantic class of each region; -1 if it has none

    @property
    def n_segments(self) -> int:
        """How many segments there are."""
        return len(np.unique(self.labels))

    def segmentation(
        self,
        labels: ArrayLike,
        *,
        mask: Bools | None = None,
        background: int | None = None,
        n_threads: int | None = None,
    ) -> Labels:
        """Return the segment of each voxel.

        Parameters
        ----------
        labels : array of int, shape (M, ..., P)
            The regions that the graph was made of.
        mask, background, n_threads : optional
            As in `gala.graph.build.build_graph`; voxels that are masked or background become 0.

        Returns
        -------
        segmentation : array of int, shape (M, ..., P)

        Raises
        ------
        LabelError
            If a label is not that of a region.
        """
        return map_labels(labels, self.regions, self.labels, mask=mask, background=background, n_threads=n_threads)


def energy_of(edges: Ints, weights: Floats, segments: Array) -> float:
    """Return the sum of the weights, shape (E,), of the edges, shape (E, 2), between segments.

    Examples
    --------
    >>> energy_of(np.array([[0, 1], [1, 2]]), np.array([2.0, -3.0]), np.array([0, 0, 1]))
    -3.0
    """
    return float(weights[segments[edges[:, 0]] != segments[edges[:, 1]]].sum())


def named_by_lowest(graph: RegionGraph, segments: Array) -> Labels:
    """Return the lowest label of a region in the segment of each region, shape (N,)."""
    _, first, number = np.unique(segments, return_index=True, return_inverse=True)
    return graph.labels[first[number]]
