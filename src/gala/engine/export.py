"""A running graph for other programs: as a plain graph of networkx, and as JSON."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

import numpy as np

from gala._files import FileName, replacing
from gala.engine.border import touch_border
from gala.engine.running import RunningGraph
from gala.engine.state import live_contacts, live_regions, rows_of_contacts
from gala.engine.volumes import contact_points

if TYPE_CHECKING:
    import networkx as nx


def to_networkx(g: RunningGraph) -> nx.Graph:
    """Return a plain graph of the regions that are there and their contacts.

    Returns
    -------
    graph : networkx.Graph
        Regions by number, with ``size``, voxels, and ``at_volume_boundary``; edges with ``size``, voxels of both
        regions, and ``weight``, the priority. The border of the volume is no node.

    Examples
    --------
    >>> from gala.engine.policy import boundary_mean
    >>> from gala.graph.build import build_graph
    >>> plain = to_networkx(RunningGraph(build_graph([5, 5, 7], [0, 0, 1], boundary_mean.needs), boundary_mean))
    >>> plain.nodes(data="size"), plain.edges(data="weight")
    (NodeDataView({0: 2, 1: 1}, data='size'), EdgeDataView([(0, 1, 0.5)]))
    """
    import networkx as nx  # only needed here, and slow to import

    plain = nx.Graph()
    plain.add_nodes_from((node.pop("id"), node) for node in _nodes(g))
    plain.add_edges_from((edge.pop("source"), edge.pop("target"), edge) for edge in _edges(g))
    return plain


def to_json(g: RunningGraph) -> str:
    """Return the graph as node-link JSON.

    Returns
    -------
    text : str
        What `to_networkx` gives, as ``networkx.node_link_graph(json.loads(text), edges="edges")`` reads it. An
        infinite weight is null, since JSON knows no infinity. If the graph has its volume, each edge also has
        ``coordinates``: a voxel of the contact.
    """
    edges = _edges(g)
    if g.volume is not None:
        points = g.coords(contact_points(g, live_contacts(g.state))).astype(np.int64)
        for edge, point in zip(edges, points.tolist(), strict=True):
            edge["coordinates"] = point
    for edge in edges:
        edge["weight"] = edge["weight"] if math.isfinite(edge["weight"]) else None
    whole = {"directed": False, "multigraph": False, "graph": {}, "nodes": _nodes(g), "edges": edges}
    return json.dumps(whole, allow_nan=False)


def write_json(g: RunningGraph, file: FileName) -> None:
    """Write `to_json` to a file; an older one is only replaced by a complete one.

    Raises
    ------
    FileError
        If the file cannot be written.
    """
    with replacing(file) as new:
        new.write_text(to_json(g))


def _nodes(g: RunningGraph) -> list[dict[str, Any]]:
    regions = live_regions(g.state)
    names, sizes = g.names[g.state.node[regions]], g.state.size[regions].astype(np.int64)
    columns = (names, sizes, touch_border(g)[regions])
    return [
        {"id": n, "size": size, "at_volume_boundary": outer}
        for n, size, outer in zip(*(column.tolist() for column in columns), strict=True)
    ]


def _edges(g: RunningGraph) -> list[dict[str, Any]]:
    contacts = live_contacts(g.state)
    sizes = rows_of_contacts(g.state, contacts)[:, 0].astype(np.int64)
    columns = (*g.pairs_of(contacts).T, sizes, g.priorities()[contacts])
    return [
        {"source": u, "target": v, "size": size, "weight": weight}
        for u, v, size, weight in zip(*(column.tolist() for column in columns), strict=True)
    ]
