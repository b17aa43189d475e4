"""Skeleton metrics: how far one can follow a neuron before a segmentation goes wrong.

The expected run length (ERL) [1]_ is the length, along its skeleton, of the correct piece around a random point of all
skeletons. Edges are looked at one by one:

- *outside*: a node is outside the volume;
- *unsegmented*: a node has no segment;
- *split*: the nodes have different segments;
- *merged*: both are in one segment, which is a merger: it overlaps two or more skeletons;
- *correct*: any other.

The first that fits counts. A *run* is all correct edges of a skeleton in one segment, connected or not, and its length
is their sum. With runs of length r in skeletons of length l, the ERL of one skeleton is ``sum(r**2) / l``, and of all
together ``sum(r**2) / sum(l)``: their mean, weighted by length. The largest possible is ``sum(l**2) / sum(l)``.

References
----------
.. [1] Januszewski, M. et al. (2018). High-precision automated reconstruction of neurons with flood-filling networks.
       *Nature Methods* 15, 605-610. doi:10.1038/s41592-018-0049-4
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
from scipy.spatial import cKDTree

from gala._types import Array, ArrayLike, Bools, Floats, Ints, Labels
from gala.errors import SettingError, ShapeError
from gala.evaluate.lookups import NodeLabels, node_labels
from gala.evaluate.records import as_table
from gala.graph.overlaps import totals
from gala.graph.skeletons import Skeletons

KINDS = ("correct", "merged", "split", "unsegmented", "outside")
_correct, _merged, _split, _unsegmented, _outside = range(len(KINDS))
_rules = ("unsegmented", "ignored")


@dataclass(frozen=True, eq=False)
class RunLengths:
    """What a segmentation makes of S skeletons with E edges; see `run_lengths`.

    Attributes
    ----------
    skeletons : Skeletons
    node_labels : NodeLabels
        The segments of their nodes.
    kind : array of int8, shape (E,)
        The position in ``("correct", "merged", "split", "unsegmented", "outside")`` of what each edge is.
    length : array of float, shape (S,)
        The length of each skeleton, as far as it counts.
    squares : array of float, shape (S,)
        The sum of the squares of the lengths of its runs.
    is_merging : array of bool, shape (K,)
        The nodes in mergers, of those skeletons that a merger overlaps by more than the threshold.
    merge_threshold, merge_by, outside
        As given to `run_lengths`.
    """

    skeletons: Skeletons
    node_labels: NodeLabels
    kind: Ints
    length: Floats
    squares: Floats
    is_merging: Bools
    merge_threshold: float
    merge_by: Literal["nodes", "length"]
    outside: Literal["unsegmented", "ignored"]

    def among(self, segments: NodeLabels) -> RunLengths:
        """Return the run lengths of the same skeletons, by the same options, in other segments of their nodes."""
        return _measure(self.skeletons, segments, self.merge_threshold, self.merge_by, self.outside)

    @property
    def erl(self) -> float:
        """The expected run length over all skeletons, in the unit of their coordinates."""
        return float(self.squares.sum() / self.length.sum())

    @property
    def max_erl(self) -> float:
        """The expected run length if nothing were wrong."""
        return float((self.length**2).sum() / self.length.sum())

    @property
    def normalised(self) -> float:
        """The expected run length over the largest possible, from 0 to 1."""
        return float(self.squares.sum() / (self.length**2).sum())

    @property
    def n_outside(self) -> int:
        """How many nodes are outside the volume."""
        return int(np.count_nonzero(~self.node_labels.is_inside))

    @property
    def n_unsegmented(self) -> int:
        """How many nodes inside the volume have no segment."""
        return int(np.count_nonzero(self.node_labels.is_inside & ~self.node_labels.is_segmented))

    @cached_property
    def per_skeleton(self) -> Array:
        """A row for each skeleton: id, nodes, expected run length, and its length in edges of each kind, shape (S,).

        ``length`` is that which counts. The expected run length of a skeleton of length 0 is 0.
        """
        skeletons, inside = self.skeletons, self.node_labels.is_inside
        columns = [
            ("id", skeletons.ids.dtype),
            *((name, np.int64) for name in ("n_nodes", "n_unsegmented", "n_outside")),
        ]
        columns += [(name, np.float64) for name in ("length", "erl", *KINDS)]
        table = np.zeros(len(skeletons.ids), dtype=columns)
        table["id"], table["length"] = skeletons.ids, self.length
        np.divide(self.squares, self.length, out=table["erl"], where=self.length > 0)
        for name, nodes in (
            ("n_nodes", np.ones_like(inside)),
            ("n_unsegmented", inside & ~self.node_labels.is_segmented),
            ("n_outside", ~inside),
        ):
            table[name] = np.bincount(skeletons.owner_index[nodes], minlength=len(table))
        for kind, name in enumerate(KINDS):
            table[name] = skeletons.sum_edges(np.where(self.kind == kind, skeletons.edge_lengths, 0))
        return table

    def edges(self, kind: Literal["correct", "merged", "split", "unsegmented", "outside"]) -> Array:
        """Return the edges of one kind, in their order, with where they are.

        Returns
        -------
        edges : structured array, shape (n_edges,)
            ``edge``, its position; ``skeleton``, an id; ``segment`` and ``other_segment``, of its nodes, 0 where
            there is none; ``start`` and ``stop``, coordinates of shape (D,); ``length``.
        """
        if kind not in KINDS:
            raise SettingError(f"kind must be one of {', '.join(KINDS)}; got {kind!r}.")
        chosen = np.flatnonzero(self.kind == KINDS.index(kind))
        u, v = self.skeletons.edges[chosen].T
        labels, nodes = self.node_labels.labels, self.skeletons.nodes
        values = {
            "edge": chosen,
            "skeleton": self.skeletons.owner[u],
            "segment": labels[u],
            "other_segment": labels[v],
            "start": nodes[u],
            "stop": nodes[v],
            "length": self.skeletons.edge_lengths[chosen],
        }
        return as_table(values)

    @property
    def splits(self) -> Array:
        """The edges where a skeleton goes from one segment to another; see `edges`."""
        return self.edges("split")

    @property
    def mergers(self) -> Labels:
        """The segments that overlap two or more skeletons by more than the threshold, increasing."""
        return np.unique(self.node_labels.labels[self.is_merging])

    @cached_property
    def merges(self) -> Array:
        """Where each merger joins skeletons: a row for each but the one that it has most nodes of.

        ``segment``, the merger; ``skeleton`` and ``other_skeleton``, that with most nodes, ids; ``n_nodes`` and
        ``n_other_nodes``, of each in the segment; ``start`` and ``stop``, the places, shape (D,), where they come
        closest to each other in it, and ``distance``. By segment, then by id; of equals the lower id has most nodes.
        """
        labels, owner, nodes = self.node_labels.labels, self.skeletons.owner_index, self.skeletons.nodes
        inside = np.flatnonzero(self.is_merging)
        inside = inside[np.lexsort((owner[inside], labels[inside]))]
        first = np.flatnonzero(labels[inside[1:]] != labels[inside[:-1]]) + 1
        groups = np.split(inside, first) if inside.size else []
        rows = [row for group in groups for row in _closest(nodes, owner, group)]
        u, v, n_nodes, n_other = np.array(rows, dtype=np.int64).reshape(-1, 4).T
        values = {
            "segment": labels[u],
            "skeleton": self.skeletons.owner[u],
            "other_skeleton": self.skeletons.owner[v],
            "n_nodes": n_nodes,
            "n_other_nodes": n_other,
            "start": nodes[u],
            "stop": nodes[v],
            "distance": np.linalg.norm(nodes[u] - nodes[v], axis=1),
        }
        return as_table(values)


def run_lengths(
    skeletons: Skeletons,
    seg: ArrayLike | NodeLabels,
    *,
    spacing: Sequence[float] | None = None,
    offset: Sequence[float] | None = None,
    merge_threshold: float = 0,
    merge_by: Literal["nodes", "length"] = "nodes",
    outside: Literal["unsegmented", "ignored"] = "unsegmented",
) -> RunLengths:
    """Measure expected run length, splits and merges of a segmentation.

    The module says what counts as what.

    Parameters
    ----------
    skeletons : Skeletons
        The true neurons, in physical coordinates.
    seg : array of int, shape (M, N, ..., P), or NodeLabels
        A segmentation, in which 0 is no segment; or what `node_labels` found.
    spacing, offset : sequence of float, shape (D,), optional
        As for `node_labels`; not with NodeLabels.
    merge_threshold : float, optional
        A segment is a merger if it overlaps two or more skeletons by more than this. 0 by default: any overlap.
    merge_by : {"nodes", "length"}, optional
        How overlap is measured: the number of nodes in the segment, or the length of edges with both nodes in it, in
        the unit of the coordinates.
    outside : {"unsegmented", "ignored"}, optional
        Edges with a node outside the volume count as those without a segment, which lowers the ERL; or not at all: then
        skeletons are as long as their other edges. Reported either way.

    Returns
    -------
    found : RunLengths
        ``found.erl``, ``found.max_erl``, ``found.normalised``, ``found.per_skeleton``, ``found.splits``,
        ``found.merges`` and more.

    Raises
    ------
    ShapeError, LabelError, SettingError
        As `node_labels` does; if there are not K node labels; if an option is unknown, or no length is left to count.

    Notes
    -----
    Tools disagree on mergers. Here, edges in a merger count nothing, and those of the same skeletons in other segments
    count as before. funlib.evaluate counts nothing of a skeleton that is touched anywhere by a merger, has no
    threshold, and gives no normalised ERL. A segment that leaves a skeleton and comes back is one run there and here.
    Time is that of sorting K labels.

    References
    ----------
    .. [1] Januszewski, M. et al. (2018). *Nature Methods* 15, 605-610. doi:10.1038/s41592-018-0049-4

    Examples
    --------
    A neuron of length 6 with one split: runs of 2 and 3.

    >>> neuron = Skeletons([[0], [1], [2], [3], [4], [5], [6]], [[0, 1], [1, 2], [2, 3], [3, 4], [4, 5], [5, 6]])
    >>> found = run_lengths(neuron, [8, 8, 8, 9, 9, 9, 9])
    >>> found.erl == (2**2 + 3**2) / 6, found.max_erl
    (True, 6.0)
    >>> found.splits[["skeleton", "segment", "other_segment"]].tolist()
    [(1, 8, 9)]
    """
    for option, value, known in (("merge_by", merge_by, ("nodes", "length")), ("outside", outside, _rules)):
        if value not in known:
            raise SettingError(f"{option} must be one of {', '.join(known)}; got {value!r}.")
    if not merge_threshold >= 0:
        raise SettingError(f"merge_threshold must be 0 or more; got {merge_threshold!r}.")
    if isinstance(seg, NodeLabels):
        found = seg
        if spacing is not None or offset is not None:
            raise SettingError("spacing and offset belong to node_labels, where coordinates become voxels.")
        if len(found.labels) != len(skeletons.nodes):
            raise ShapeError(f"expected labels of {len(skeletons.nodes)} nodes; got {len(found.labels)}.")
    else:
        found = node_labels(skeletons, seg, spacing=spacing, offset=offset)
    return _measure(skeletons, found, merge_threshold, merge_by, outside)


def _measure(
    skeletons: Skeletons,
    found: NodeLabels,
    threshold: float,
    merge_by: Literal["nodes", "length"],
    outside: Literal["unsegmented", "ignored"],
) -> RunLengths:
    segments, rank = np.unique(found.labels, return_inverse=True)
    pair = skeletons.owner_index * len(segments) + rank  # (K,) skeleton and segment as one number
    u, v = skeletons.edges.T
    lengths = skeletons.edge_lengths
    is_whole = found.is_segmented[u] & found.is_segmented[v] & (rank[u] == rank[v])
    if merge_by == "nodes":
        overlapping, overlap = _sums(pair[found.is_segmented], np.ones(found.n_segmented))
    else:
        overlapping, overlap = _sums(pair[u[is_whole]], lengths[is_whole])
    large = overlapping[overlap > threshold]
    is_merger = np.bincount(large % len(segments), minlength=len(segments)) > 1
    in_merger = is_merger[rank] & found.is_segmented
    kind = np.full(len(u), _split, dtype=np.int8)
    kind[is_whole] = np.where(in_merger[u[is_whole]], _merged, _correct)
    kind[~(found.is_segmented[u] & found.is_segmented[v])] = _unsegmented
    kind[~(found.is_inside[u] & found.is_inside[v])] = _outside
    is_correct = kind == _correct
    runs, of_run = _sums(pair[u[is_correct]], lengths[is_correct])
    squares = totals(runs // len(segments), of_run**2, len(skeletons.ids))
    length = skeletons.sum_edges(np.where(kind == _outside, 0, lengths) if outside == "ignored" else lengths)
    if not length.any():
        raise SettingError("no length is left to count: skeletons need edges, of more than zero length, in the volume.")
    is_merging = in_merger & np.isin(pair, large)
    return RunLengths(skeletons, found, kind, length, squares, is_merging, threshold, merge_by, outside)


def _sums(keys: Ints, values: Floats) -> tuple[Ints, Floats]:
    """Return the keys that occur, increasing, and the sum of the values with each."""
    known, index = np.unique(keys, return_inverse=True)
    return known, totals(index, values, len(known))


def _closest(nodes: Floats, owner: Ints, group: Ints) -> list[tuple[int, int, int, int]]:
    """Return, for each skeleton in `group` but that with most nodes, the closest nodes of both and their numbers.

    `group` lists nodes, ordered by skeleton.
    """
    owners, first, n_nodes = np.unique(owner[group], return_index=True, return_counts=True)
    main = int(n_nodes.argmax())
    parts = np.split(group, first[1:])
    tree = cKDTree(nodes[parts[main]])
    rows = []
    for i in np.delete(np.arange(len(owners)), main):
        distance, nearest = tree.query(nodes[parts[i]])
        at = int(distance.argmin())
        rows.append((int(parts[i][at]), int(parts[main][nearest[at]]), int(n_nodes[i]), int(n_nodes[main])))
    return rows
