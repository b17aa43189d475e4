"""Skeletons: the centre lines of neurons, or of other thin objects, as graphs in physical units."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from scipy import sparse
from scipy.sparse import csgraph

from gala._types import ArrayLike, Floats, Ints, Labels
from gala.errors import LabelError, SettingError, ShapeError
from gala.graph.labels import as_labels
from gala.graph.overlaps import totals


@dataclass(frozen=True, eq=False)
class Skeletons:
    """S skeletons, of K nodes and E edges in all.

    A skeleton may branch, have loops, or be in several pieces. It has each edge once, and no edge to another
    skeleton.

    Parameters
    ----------
    nodes : array of float, shape (K, D)
        Physical coordinates, in the unit of the voxel size, axes in the order of the volume: plane, row, column.
    edges : array of int, shape (E, 2)
        Positions in `nodes`.
    owner : int or array of int, shape (K,), optional
        The id of the skeleton that each node belongs to: 0 or more. One number if all are of one skeleton.

    Raises
    ------
    ShapeError
        If there is no node, or shapes differ.
    LabelError
        If ids cannot be labels.
    SettingError
        If a coordinate is not finite, or an edge leads nowhere, to itself, to another skeleton, or is there twice.

    Examples
    --------
    >>> fork = Skeletons([[0, 0, 0], [0, 0, 5], [0, 3, 5], [0, 0, 9]], [[0, 1], [1, 2], [1, 3]], owner=7)
    >>> fork.ids, fork.lengths
    (array([7]), array([12.]))
    """

    nodes: Floats
    edges: Ints
    owner: Labels = 1  # type: ignore[assignment]  # an array once it is made, as are the others

    def __post_init__(self) -> None:
        nodes, edges = np.asarray(self.nodes), np.asarray(self.edges)
        if nodes.ndim != 2 or nodes.size == 0 or nodes.dtype.kind not in "uif":
            raise ShapeError(
                f"skeletons need nodes, with a coordinate for each axis: numbers of shape (K, D); got {nodes.dtype} of "
                f"shape {nodes.shape}."
            )
        nodes = np.ascontiguousarray(nodes, dtype=np.float64)
        if not np.isfinite(nodes).all():
            first = int((~np.isfinite(nodes)).any(axis=1).argmax())
            raise SettingError(f"coordinates must be finite; node {first} is at {tuple(nodes[first].tolist())}.")
        if edges.size == 0:
            edges = np.empty((0, 2), dtype=np.int64)
        if edges.ndim != 2 or edges.shape[1] != 2 or edges.dtype.kind not in "ui":
            raise ShapeError(
                f"edges are pairs of positions in nodes, ints of shape (E, 2); got {edges.dtype}, shape {edges.shape}."
            )
        owner = as_labels(np.atleast_1d(np.asarray(self.owner)), "ids of skeletons")
        if owner.shape not in ((1,), (len(nodes),)):
            raise ShapeError(f"owner must be one id, or one for each of {len(nodes)} nodes; got shape {owner.shape}.")
        owner = np.broadcast_to(_signed(owner), len(nodes)).copy()
        _check_edges(edges, owner)
        for name, array in (("nodes", nodes), ("edges", edges.astype(np.int64)), ("owner", owner)):
            object.__setattr__(self, name, array)

    @classmethod
    def from_parts(cls, parts: Sequence[Skeletons]) -> Skeletons:
        """Return the skeletons of all `parts`, which share no id.

        Raises
        ------
        ShapeError
            If there is no part, or they have different numbers of axes.
        LabelError
            If an id is in two parts.

        Examples
        --------
        >>> line = [[0.0], [2.0]], [[0, 1]]
        >>> Skeletons.from_parts([Skeletons(*line, owner=3), Skeletons(*line, owner=5)]).edges.tolist()
        [[0, 1], [2, 3]]
        """
        if len({part.ndim for part in parts}) != 1:
            raise ShapeError(f"expected skeletons with the same number of axes; got {[part.ndim for part in parts]}.")
        ids, n_parts = np.unique(np.concatenate([_unsigned(part.ids) for part in parts]), return_counts=True)
        if n_parts.max() > 1:
            raise LabelError(f"each skeleton needs an id of its own; {ids[n_parts.argmax()]} is in several parts.")
        first = np.cumsum([0, *(len(part.nodes) for part in parts[:-1])])
        edges = np.concatenate([part.edges + start for part, start in zip(parts, first, strict=True)])
        owner = np.concatenate([_unsigned(part.owner) for part in parts])
        return cls(np.concatenate([part.nodes for part in parts]), edges, owner)

    @classmethod
    def from_networkx(
        cls, graph: Any, *, position: str | Sequence[str] = "position", skeleton: str | None = None
    ) -> Skeletons:
        """Return the skeletons in a graph of networkx; nodes keep their order.

        Parameters
        ----------
        graph : networkx.Graph
            Directions of edges do not matter.
        position : str or sequence of str, optional
            The attribute of nodes that holds the coordinates, or those that hold one each, such as
            ``("z", "y", "x")``; plane, row, column.
        skeleton : str, optional
            The attribute of nodes that holds the id of their skeleton. By default each connected piece is one,
            numbered from 1 in the order of the nodes.

        Raises
        ------
        SettingError
            If a node has no such attribute, and as for `Skeletons`.

        Examples
        --------
        >>> import networkx as nx
        >>> graph = nx.Graph([("a", "b")])
        >>> graph.nodes["a"].update(position=(0, 0, 0)), graph.nodes["b"].update(position=(0, 3, 4))
        (None, None)
        >>> Skeletons.from_networkx(graph).lengths
        array([5.])
        """
        number: dict[Hashable, int] = {node: i for i, node in enumerate(graph.nodes)}
        edges = np.array([(number[u], number[v]) for u, v in graph.edges()], dtype=np.int64).reshape(-1, 2)
        if isinstance(position, str):
            nodes = np.array(_attributes(graph, position))
        else:
            nodes = np.stack([np.array(_attributes(graph, name)) for name in position], axis=-1)
        if skeleton is None:
            return cls(nodes, edges, _pieces(len(number), edges) + 1)
        return cls(nodes, edges, np.array(_attributes(graph, skeleton)))

    @property
    def ndim(self) -> int:
        """The number of axes, D."""
        return int(self.nodes.shape[1])

    @cached_property
    def _ids(self) -> tuple[Labels, Ints]:
        return np.unique(self.owner, return_inverse=True)

    @property
    def ids(self) -> Labels:
        """The ids of the skeletons, shape (S,), increasing."""
        return self._ids[0]

    @property
    def owner_index(self) -> Ints:
        """The position in `ids` of each node's skeleton, shape (K,)."""
        return self._ids[1]

    @cached_property
    def edge_lengths(self) -> Floats:
        """The length of each edge, shape (E,)."""
        start, stop = self.nodes[self.edges.T]
        lengths: Floats = np.linalg.norm(stop - start, axis=1)
        return lengths

    @property
    def lengths(self) -> Floats:
        """The length of each skeleton, shape (S,): the sum over its edges."""
        return self.sum_edges(self.edge_lengths)

    @cached_property
    def pieces(self) -> Ints:
        """The connected piece that each node is in, shape (K,), numbered from 0 in the order of the nodes."""
        return _pieces(len(self.nodes), self.edges)

    @property
    def is_forest(self) -> bool:
        """Whether there are no loops."""
        return int(self.pieces.max()) + 1 == len(self.nodes) - len(self.edges)

    def sum_edges(self, values: ArrayLike) -> Floats:
        """Return the sum over the edges of each skeleton, shape (S,), of a value for each edge, shape (E,)."""
        return totals(self.owner_index[self.edges[:, 0]], np.asarray(values, dtype=np.float64), len(self.ids))

    def select(self, ids: int | ArrayLike) -> Skeletons:
        """Return the skeletons with these ids; nodes and edges keep their order.

        Raises
        ------
        LabelError
            If there is no such skeleton.

        Examples
        --------
        >>> both = Skeletons([[0.0], [2.0], [0.0], [8.0]], [[0, 1], [2, 3]], owner=[3, 3, 5, 5])
        >>> both.select(both.ids[both.lengths > 4]).ids
        array([5])
        """
        chosen = _unsigned(as_labels(np.atleast_1d(np.asarray(ids)), "ids of skeletons"))
        unknown = chosen[~np.isin(chosen, _unsigned(self.ids))]
        if unknown.size:
            raise LabelError(f"there is no skeleton {unknown[0]} among {len(self.ids)}.")
        kept = np.isin(_unsigned(self.owner), chosen)
        edges = self.edges[kept[self.edges[:, 0]]]
        return Skeletons(self.nodes[kept], (np.cumsum(kept) - 1)[edges], self.owner[kept])


def _signed(labels: Labels) -> Labels:
    return labels.astype(np.int64 if labels.max() < 2**63 else np.uint64)


def _unsigned(labels: Labels) -> Labels:
    return labels.astype(np.uint64)  # NumPy would compare int64 with uint64 as floats


def _check_edges(edges: Ints, owner: Labels) -> None:
    n_nodes = len(owner)
    wrong = ((edges < 0) | (edges >= n_nodes)).any(axis=1)
    if wrong.any():
        raise SettingError(
            f"edge {_edge(edges, wrong)} leads to a node that is not there: there are {n_nodes}, from 0."
        )
    wrong = edges[:, 0] == edges[:, 1]
    if wrong.any():
        raise SettingError(f"edge {_edge(edges, wrong)} leads from a node to itself; leave it out.")
    wrong = owner[edges[:, 0]] != owner[edges[:, 1]]
    if wrong.any():
        raise SettingError(f"edge {_edge(edges, wrong)} joins two skeletons; give both the same id, or leave it out.")
    ordered = np.sort(edges.astype(np.int64), axis=1)
    _, first, times = np.unique(ordered[:, 0] * n_nodes + ordered[:, 1], return_index=True, return_counts=True)
    if len(first) < len(edges):
        twice = edges[first[times.argmax()]].tolist()
        raise SettingError(f"edge {twice} is there {times.max()} times, maybe in both directions; give each edge once.")


def _edge(edges: Ints, wrong: Any) -> list[int]:
    pair: list[int] = edges[int(wrong.argmax())].tolist()
    return pair


def _attributes(graph: Any, name: str) -> list[Any]:
    values = [attributes.get(name) for _, attributes in graph.nodes(data=True)]
    lacking = [node for node, value in zip(graph.nodes, values, strict=True) if value is None]
    if lacking:
        raise SettingError(f"every node must have the attribute {name!r}; node {lacking[0]!r} has none.")
    return values


def _pieces(n_nodes: int, edges: Ints) -> Ints:
    links = sparse.coo_array((np.ones(len(edges), dtype=np.int8), edges.T), shape=(n_nodes, n_nodes))
    piece: Ints = csgraph.connected_components(links.tocsr(), directed=False)[1]
    return piece.astype(np.int64)
