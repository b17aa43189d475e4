"""SWC files: a skeleton as text, a node on each line.

Seven columns: number of the node, its type, x, y, z, radius, and the number of the node it hangs from, -1 for a root;
lines that begin with # are comments [1]_. The x of the file are columns and its z planes.

References
----------
.. [1] Cannon, R. C. et al. (1998). An on-line archive of reconstructed hippocampal neurons. *Journal of Neuroscience
       Methods* 84, 49-54. doi:10.1016/S0165-0270(98)00091-0
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from scipy import sparse
from scipy.sparse import csgraph

from gala._files import FileName, existing_file, replacing
from gala._types import ArrayLike, Floats, Ints
from gala.errors import FileError, SettingError, ShapeError
from gala.graph.skeletons import Skeletons
from gala.imio.shared import three_lengths


class _Line(NamedTuple):
    """A node, as a line of a file has it."""

    at: int  # number of the line, from 1
    name: int
    place: tuple[float, float, float]  # plane, row, column
    parent: int


def read_swc(
    fn: FileName | Sequence[FileName], *, ids: int | ArrayLike = 1, scale: Sequence[float] = (1.0, 1.0, 1.0)
) -> Skeletons:
    """Read skeletons from SWC files.

    Parameters
    ----------
    fn : str, path or sequence of them
        A file for each skeleton. Types and radii are not kept.
    ids : int or sequence of int, optional
        The id of each skeleton, or of the first, from which those of the others go on.
    scale : sequence of 3 float, optional
        What the coordinates of the file are multiplied by, along planes, rows and columns, to have the unit of the
        voxel size: (1000, 1000, 1000) from µm to nm, or the voxel size itself if the file counts voxels.

    Returns
    -------
    skeletons : Skeletons
        Nodes in the order of the lines, with coordinates plane, row, column. A file with several roots is one
        skeleton in several pieces.

    Raises
    ------
    FileError
        If a file is missing, has no nodes, or is damaged: the message names the line.
    SettingError
        If there is no file, or not an id for each, or `scale` is not three lengths.
    LabelError
        If ids cannot be labels, or are not different.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     write_swc(Skeletons([[0, 0, 0], [40, 0, 3]], [[0, 1]]), f"{folder}/7.swc")
    ...     read_swc(f"{folder}/7.swc", ids=7).nodes
    array([[ 0., 0., 0.], [40., 0., 3.]])
    """
    files = [fn] if isinstance(fn, str | os.PathLike) else list(fn)
    factors = three_lengths(scale, "scale")
    given = np.asarray(ids)
    names = given + np.arange(len(files)) if given.ndim == 0 else given
    if not files or names.shape != (len(files),):
        raise SettingError(f"expected files, and an id for each of them; got {len(files)} and {names.size}.")
    parts = []
    for file, name in zip(files, names, strict=True):
        nodes, edges = _read(existing_file(file))
        parts.append(Skeletons(nodes * np.array(factors), edges, name))
    return Skeletons.from_parts(parts)


def write_swc(skeletons: Skeletons, fn: FileName) -> None:
    """Write a skeleton to an SWC file.

    Parameters
    ----------
    skeletons : Skeletons
        One of them, in 3 dimensions, without loops: ``skeletons.select(id)``. Types are written as 0, unknown, and
        radii as 1.
    fn : str or path
        The file; it is replaced only by a complete one. A node comes after the one that it hangs from, and the first
        node of each piece is its root. Coordinates are read back exactly.

    Raises
    ------
    FileError
        If the file cannot be written.
    SettingError
        If there are several skeletons, or loops.
    ShapeError
        If nodes have not three coordinates.

    Examples
    --------
    See `read_swc`.
    """
    if len(skeletons.ids) > 1 or not skeletons.is_forest:
        raise SettingError(
            f"an SWC file holds one skeleton, without loops; got {len(skeletons.ids)}"
            f"{'' if skeletons.is_forest else ', with loops'}. Write one after the other: skeletons.select(id)."
        )
    if skeletons.ndim != 3:
        raise ShapeError(f"SWC needs nodes at plane, row, column; these have {skeletons.ndim} coordinates.")
    order, parent = _from_roots(skeletons)
    number = np.empty(len(order) + 1, dtype=np.int64)
    number[order], number[-1] = np.arange(len(order)) + 1, -1  # the parent of roots is the last one
    lines = [f"# skeleton {skeletons.ids[0]}: number type x y z radius parent"]
    for i, ((plane, row, column), above) in enumerate(
        zip(skeletons.nodes[order].tolist(), number[parent[order]].tolist(), strict=True), start=1
    ):
        lines.append(f"{i} 0 {column!r} {row!r} {plane!r} 1 {above}")
    with replacing(fn) as new:
        new.write_text("\n".join(lines) + "\n")


def _from_roots(skeletons: Skeletons) -> tuple[Ints, Ints]:
    """Return nodes in an order in which each follows its parent, and the parent of each node, -1 of roots."""
    n = len(skeletons.nodes)
    roots = np.unique(skeletons.pieces, return_index=True)[1]
    # One more node, above all roots, so that a single walk visits all pieces.
    ends = np.concatenate([skeletons.edges, np.column_stack([np.full(len(roots), n), roots])])
    links = sparse.coo_array((np.ones(len(ends)), ends.T), shape=(n + 1, n + 1))
    order, parent = csgraph.breadth_first_order(links.tocsr(), n, directed=False)
    return order[1:].astype(np.int64), np.where(parent[:n] == n, -1, parent[:n])


def _read(path: Path) -> tuple[Floats, Ints]:
    lines = [
        _node(path, at, text)
        for at, text in enumerate(path.read_text("utf-8", "replace").splitlines(), start=1)
        if text.strip() and not text.lstrip().startswith("#")
    ]
    if not lines:
        raise FileError(f"{path} has no nodes.")
    place: dict[int, int] = {}
    for i, line in enumerate(lines):
        if place.setdefault(line.name, i) != i:
            raise _damaged(path, line.at, f"node {line.name} is on line {lines[place[line.name]].at} already")
    edges = []
    for i, line in enumerate(lines):
        if line.parent != -1:
            if line.parent not in place:
                raise _damaged(path, line.at, f"node {line.name} hangs from node {line.parent}, which is not there")
            edges.append((i, place[line.parent]))
    found = np.array(edges, dtype=np.int64).reshape(-1, 2)
    _check_no_loop(path, lines, found)
    return np.array([line.place for line in lines]), found


def _node(path: Path, at: int, text: str) -> _Line:
    words = text.split()
    try:
        name, _, x, y, z, _, parent = words[:7]
        found = _Line(at, int(name), (float(z), float(y), float(x)), int(parent))
    except ValueError as error:
        raise _damaged(path, at, f"expected number, type, x, y, z, radius and parent; got {text.strip()!r}") from error
    if not np.isfinite(found.place).all():
        raise _damaged(path, at, f"coordinates must be finite; got {' '.join(words[2:5])}")
    return found


def _check_no_loop(path: Path, lines: list[_Line], edges: Ints) -> None:
    """Raise if following parents never ends at a root."""
    n = len(lines)
    above = np.arange(n)
    above[edges[:, 0]] = edges[:, 1]
    is_root = np.ones(n, dtype=np.bool_)
    is_root[edges[:, 0]] = False
    for _ in range(n.bit_length() + 1):  # twice as far up each time
        above = above[above]
    lost = np.flatnonzero(~is_root[above])
    if lost.size:
        line = lines[lost[0]]
        raise _damaged(path, line.at, f"node {line.name} hangs, through its parents, from a loop without a root")


def _damaged(path: Path, line: int, reason: str) -> FileError:
    return FileError(f"{path}, line {line}: {reason}.")
