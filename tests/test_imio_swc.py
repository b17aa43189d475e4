"""SWC files hold what the format says and come back as they were; damaged ones are named, with the line."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from hypothesis.extra import numpy as hnp
from numpy.testing import assert_array_equal

from gala.errors import FileError, LabelError, SettingError, ShapeError
from gala.evaluate import Skeletons
from gala.imio import read_swc, write_swc

few = settings(deadline=None, max_examples=40)

# A fork, with comments, an empty line, a child before its parent, and numbers that skip.
BY_HAND = (
    "# made by hand\n# 1 1 1 1 1 1 1\n10 1 1.5 2 3e1 0.5 -1\n\n"
    "  7 3 4 5 6 1 30\n30 3 0 -1 2 1 10\n40 3 1 1 1 1 10 extra\n"
)


def written(path, text):
    path.write_text(text)
    return path


@st.composite
def trees(draw):
    """Return a skeleton in one piece or several, its nodes in any order."""
    nodes = draw(hnp.arrays(np.float64, (draw(st.integers(1, 12)), 3), elements=st.floats(-1e9, 1e9)))
    parents = [draw(st.integers(-1, i - 1)) for i in range(len(nodes))]
    order = np.array(draw(st.permutations(range(len(nodes)))))
    return Skeletons(nodes, [(order[i], order[p]) for i, p in enumerate(parents) if p >= 0], 3)


def test_swc__a_file_made_by_hand_is_read(tmp_path):
    found = read_swc(written(tmp_path / "a.swc", BY_HAND), ids=12)
    assert found.nodes.tolist() == [[30, 2, 1.5], [6, 5, 4], [2, -1, 0], [1, 1, 1]]  # plane, row, column: z, y, x
    assert found.edges.tolist() == [[1, 2], [2, 0], [3, 0]]
    assert found.ids.tolist() == [12]
    assert read_swc(str(tmp_path / "a.swc"), scale=(40, 4, 2)).nodes[0].tolist() == [1200, 8, 3]


@given(tree=trees())
@few
def test_swc__comes_back_exactly(tree, tmp_path_factory):
    fn = tmp_path_factory.mktemp("swc") / "a.swc"
    write_swc(tree, fn)
    found = read_swc(fn, ids=3)

    def ends(skeletons):
        return sorted(tuple(sorted(map(tuple, pair))) for pair in skeletons.nodes[skeletons.edges].tolist())

    assert_array_equal(np.unique(found.nodes, axis=0), np.unique(tree.nodes, axis=0))
    assert ends(found) == ends(tree)
    assert found.pieces.max() == tree.pieces.max()
    assert_array_equal(found.lengths, read_swc(fn).lengths)
    rows = [line.split() for line in fn.read_text().splitlines()[1:]]
    assert [int(row[0]) for row in rows] == list(range(1, len(tree.nodes) + 1))
    assert all(int(row[6]) == -1 or 1 <= int(row[6]) < int(row[0]) for row in rows)


def test_swc__several_files_are_several_skeletons(tmp_path):
    files = [written(tmp_path / f"{i}.swc", "1 0 0 0 0 1 -1\n2 0 0 0 5 1 1\n") for i in (5, 6)]
    assert read_swc(files).ids.tolist() == [1, 2]
    assert read_swc(files, ids=8).ids.tolist() == [8, 9]
    assert read_swc(files, ids=[5, 6]).lengths.tolist() == [5, 5]
    with pytest.raises(SettingError, match="2 and 1"):
        read_swc(files, ids=[5])
    with pytest.raises(LabelError, match="several parts"):
        read_swc(files, ids=[5, 5])
    with pytest.raises(SettingError, match="expected files"):
        read_swc([])
    with pytest.raises(SettingError, match="scale"):
        read_swc(files, scale=(1, 1))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("# nothing\n", "a.swc has no nodes"),
        ("1 0 0 0 0 1 -1\n2 0 0 0 1 1\n", "a.swc, line 2: expected number, type.*got '2 0 0 0 1 1'"),
        ("1 0 0 0 0 1 -1\n\n2 0 0 zero 1 1 1\n", "a.swc, line 3: expected number"),
        ("1.5 0 0 0 0 1 -1\n", "line 1: expected number"),
        ("1 0 nan 0 0 1 -1\n", "line 1: coordinates must be finite; got nan 0 0"),
        ("1 0 0 0 0 1 -1\n1 0 0 0 0 1 1\n", "line 2: node 1 is on line 1 already"),
        ("1 0 0 0 0 1 -1\n2 0 0 0 0 1 9\n", "line 2: node 2 hangs from node 9, which is not there"),
        ("1 0 0 0 0 1 -1\n2 0 0 0 0 1 3\n3 0 0 0 0 1 2\n", "line 2: node 2 hangs, .* from a loop without a root"),
        ("1 0 0 0 0 1 1\n", "line 1: node 1 hangs, .* from a loop"),
    ],
)
def test_swc__damaged_files_are_named_with_the_line(tmp_path, text, message):
    with pytest.raises(FileError, match=message):
        read_swc(written(tmp_path / "a.swc", text))


def test_swc__missing_file_is_an_error(tmp_path):
    with pytest.raises(FileError, match="there is no file"):
        read_swc(tmp_path / "a.swc")


def test_swc__what_the_format_cannot_hold_is_not_written(tmp_path):
    fn = written(tmp_path / "a.swc", "as it was")
    place = np.eye(3)
    for skeletons, error, message in [
        (Skeletons(place, [[0, 1], [1, 2], [0, 2]]), SettingError, "with loops"),
        (Skeletons(place, [], [1, 2, 3]), SettingError, "got 3"),
        (Skeletons(place[:, :2], []), ShapeError, "2 coordinates"),
    ]:
        with pytest.raises(error, match=message):
            write_swc(skeletons, fn)
    assert fn.read_text() == "as it was"
    with pytest.raises(FileError, match="no folder"):
        write_swc(Skeletons(place, []), tmp_path / "missing" / "a.swc")
