"""Every cut of a merge tree, against merging leaves by hand; scipy's view of it; files."""

from __future__ import annotations

import os
import pickle
import re
import signal
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from numpy.testing import assert_array_equal
from scipy.cluster import hierarchy

from gala._kernels import trees
from gala.errors import FileError, LabelError, SettingError
from gala.graph.constraints import Constraints
from gala.graph.tree import MergeTree
from strategies import forests

jitted = hasattr(trees.mixed, "py_func")
some = settings(deadline=None, max_examples=100)

_numbers = st.integers(-8, 24).map(lambda i: i / 16)
_thresholds = st.one_of(_numbers, st.sampled_from([-np.inf, np.inf]))


def leaves_and_merges(tree):
    """Return, for each node, its leaves, and the merges in the tree below it."""
    leaves = [{leaf} for leaf in range(tree.n_leaves)]
    merges = [set() for _ in leaves]
    for k, (a, b) in enumerate(tree.children.tolist()):
        leaves.append(leaves[a] | leaves[b])
        merges.append(merges[a] | merges[b] | {k})
    return leaves, merges


def slow_height(tree):
    _, merges = leaves_and_merges(tree)
    return [max(tree.priority[k] for k in below) for below in merges[tree.n_leaves :]]


def slow_cut(tree, threshold):
    leaves, _ = leaves_and_merges(tree)
    segment = list(range(tree.n_leaves))
    for k, height in enumerate(slow_height(tree)):
        if height <= threshold:
            together = leaves[tree.n_leaves + k]
            joined = {segment[leaf] for leaf in together}
            segment = [min(joined) if s in joined else s for s in segment]
    return segment


# ----------------------------------------------------------------------------------------------- cuts


@given(forests(), _thresholds)
@some
def test_cut__equals_merging_by_hand(tree, threshold):
    segments = tree.cut(threshold)
    assert segments.tolist() == slow_cut(tree, threshold)
    assert segments.dtype == np.int64
    assert tree.n_segments(threshold) == len(set(segments.tolist()))


@given(forests(), _thresholds, _thresholds)
@some
def test_cuts__are_nested(tree, a, b):
    fine, coarse = tree.cut(min(a, b)), tree.cut(max(a, b))
    pairs = set(zip(fine.tolist(), coarse.tolist(), strict=True))
    assert len(pairs) == len(set(fine.tolist())), "each fine segment lies in one coarse segment"


@given(forests())
@some
def test_height__is_the_highest_priority_below_and_never_falls(tree):
    assert tree.height.tolist() == slow_height(tree)
    assert (tree.height >= tree.priority).all()
    for k, pair in enumerate(tree.children):
        for child in pair[pair >= tree.n_leaves]:
            assert tree.height[k] >= tree.height[child - tree.n_leaves]


@given(forests(priorities=_numbers).filter(lambda tree: tree.n_merges > 0))
@some
def test_cut__at_a_height_makes_the_merges_of_that_height(tree):
    for height in tree.height:
        n_below = tree.n_segments(np.nextafter(height, -np.inf))
        assert n_below - tree.n_segments(height) == np.count_nonzero(tree.height == height)


def chain(n_leaves, priority):
    """Return a tree in which each merge adds the next leaf."""
    nodes = [0, *range(n_leaves, 2 * n_leaves - 2)]
    return MergeTree(n_leaves, np.column_stack([range(1, n_leaves), nodes]), np.array(priority))


def test_cut__above_root_gives_one_region():
    tree = chain(5, [0.5, 0.25, 2.0, 1.0])
    assert tree.cut(2.0).tolist() == tree.cut().tolist() == [0] * 5
    assert tree.n_segments(2.0) == 1


def test_cut__below_every_merge_keeps_leaves_apart():
    tree = chain(5, [0.5, 0.25, 2.0, 1.0])
    assert tree.cut(0.4).tolist() == [0, 1, 2, 3, 4]


def test_cut__waits_for_a_child_of_higher_priority():
    tree = chain(3, [0.5, 0.25])  # the second merge was scored lower, but needs the first
    assert tree.height.tolist() == [0.5, 0.5]
    assert tree.cut(0.25).tolist() == [0, 1, 2]


@pytest.mark.parametrize("n_leaves", [0, 1, 4])
def test_empty_tree__has_each_leaf_for_itself(n_leaves):
    tree = MergeTree.empty(n_leaves)
    assert tree.n_merges == 0
    assert tree.height.shape == (0,)
    assert tree.cut().tolist() == list(range(n_leaves))
    assert tree.n_segments() == n_leaves


def test_cut__of_a_long_chain_needs_no_recursion():
    n_leaves = 5000
    tree = chain(n_leaves, np.arange(n_leaves - 1) / n_leaves)
    assert tree.cut(0.5).max() == n_leaves - 1
    assert_array_equal(tree.cut(), np.zeros(n_leaves))


@pytest.mark.parametrize("wrong", [np.nan, "high", None, [0.5, 0.6]])
def test_cut__threshold_that_is_no_number_is_named(wrong):
    tree = chain(3, [0.5, 0.75])
    for ask in (tree.cut, tree.n_segments):
        with pytest.raises(SettingError, match=re.escape(f"threshold must be a number; got {wrong!r}")):
            ask(wrong)


@pytest.mark.parametrize(
    ("n_leaves", "children", "priority"),
    [
        (2, [[0, 1]], []),
        (2, [[0, 1]], [0.5, 0.5]),
        (2, [0, 1, 2], [0.5]),
        (2, [[0, 1]], [np.nan]),
        (2, [[0, 0]], [0.5]),
        (2, [[0, 2]], [0.5]),
        (2, [[-1, 0]], [0.5]),
        (2, [[0, 2**62]], [0.5]),
        (3, [[0, 1], [1, 2]], [0.5, 0.5]),
        (3, [[0, 4], [1, 2]], [0.5, 0.5]),
        (-1, [], []),
    ],
    ids=[
        "no priority",
        "more priorities than merges",
        "half a pair",
        "priority NaN",
        "node merged with itself",
        "node merged with what it makes",
        "negative node",
        "node far too high",
        "node merged twice",
        "node merged before it is made",
        "fewer than no leaves",
    ],
)
def test_merge_tree__that_is_no_tree_is_refused(n_leaves, children, priority):
    with pytest.raises(SettingError, match=f"each node is merged once, after it was made; got .* {n_leaves} leaves"):
        MergeTree(n_leaves, children, priority)


# ---------------------------------------------------------------------------------------- finding one's way


@given(forests())
@some
def test_nodes__know_their_leaves_ancestors_and_roots(tree):
    leaves, _ = leaves_and_merges(tree)
    nodes = range(len(leaves))
    roots = {max(m for m in nodes if leaves[m] >= leaves[n]) for n in nodes}
    for n in nodes:
        above = [m for m in nodes if leaves[m] > leaves[n]]
        assert tree.parent[n] == min(above, default=-1)
        assert tree.root_of(n) == max(above, default=n)
        assert tree.leaves_of(n).tolist() == sorted(leaves[n])
        assert tree.subtree(n).tolist() == [m for m in nodes if leaves[m] <= leaves[n]]
        common = [min((m for m in nodes if leaves[m] >= leaves[n] | leaves[o]), default=-1) for o in nodes]
        assert tree.lowest_common_ancestor(n, np.arange(len(leaves))).tolist() == common
    assert set(tree.root_of(np.arange(len(leaves))).tolist()) == roots


def test_lowest_common_ancestor__of_one_pair_warns_of_nothing():
    tree = MergeTree(2, np.array([[0, 1]]), np.array([0.5]))
    assert tree.lowest_common_ancestor(0, np.array([1])).tolist() == [2]


@given(forests())
@some
def test_spans__keep_the_leaves_of_each_node_together(tree):
    leaves, _ = leaves_and_merges(tree)
    spans = trees.spans(tree.children, tree.n_leaves)
    order = np.argsort(spans[: tree.n_leaves, 0])
    assert sorted(spans[: tree.n_leaves, 0].tolist()) == list(range(tree.n_leaves))
    for node, (begin, end) in enumerate(spans):
        assert set(order[begin:end].tolist()) == leaves[node]


def named(tree):
    """Return merges by what they join: the leaves of both parts, and the priority."""
    leaves, _ = leaves_and_merges(tree)
    return [
        (frozenset(leaves[a]), frozenset(leaves[b]), p)
        for (a, b), p in zip(tree.children.tolist(), tree.priority.tolist(), strict=True)
    ]


@given(forests(), st.data())
@some
def test_without__undoes_the_merges_named_and_those_that_stand_on_them(tree, data):
    made = range(tree.n_leaves, tree.n_leaves + tree.n_merges)
    undone = data.draw(st.lists(st.sampled_from(made), max_size=3)) if made else []
    leaves, _ = leaves_and_merges(tree)
    stay = [all(not leaves[n] >= leaves[m] for m in undone) for n in made]
    other = tree.without(np.array(undone, dtype=int))
    assert named(other) == [merge for merge, stays in zip(named(tree), stay, strict=True) if stays]
    assert (np.diff(other.children, axis=1) > 0).all()


@given(forests(), _thresholds, _thresholds)
@some
def test_below__has_the_cuts_up_to_a_threshold(tree, a, b):
    low = tree.below(a)
    assert_array_equal(low.cut(b), tree.cut(min(a, b)))
    assert named(low) == [merge for merge, height in zip(named(tree), slow_height(tree), strict=True) if height <= a]


@given(forests(), st.data())
@some
def test_mixed__are_the_merges_of_two_parts(tree, data):
    part = np.array(data.draw(st.lists(st.integers(-1, 2), min_size=tree.n_leaves, max_size=tree.n_leaves)), dtype=int)
    leaves, _ = leaves_and_merges(tree)
    expected = [len({part[leaf] for leaf in below} - {-1}) > 1 for below in leaves[tree.n_leaves :]]
    assert trees.mixed(tree.children, part).tolist() == expected


def test_without__leaves_constraints_as_they_are():
    constraints = Constraints(cannot_link=[(1, 9)])
    tree = MergeTree(3, np.array([[0, 1]]), np.array([0.5]), constraints)
    assert tree.without(3).constraints == tree.below(0).constraints == constraints


@pytest.mark.parametrize("wrong", [4, -1, 2**40, [0, 9], 1.0, "1"])
def test_nodes__that_are_none_are_named(wrong):
    tree = MergeTree(3, np.array([[0, 1]]), np.array([0.5]))
    for ask in (tree.root_of, tree.subtree, tree.leaves_of, tree.without, lambda n: tree.lowest_common_ancestor(0, n)):
        with pytest.raises(LabelError, match=r"there is no node .* of 3 leaves and 1 merges|nodes are whole numbers"):
            ask(wrong)
    with pytest.raises(LabelError, match="node 2 is a leaf, which no merge made"):
        tree.without([3, 2])


def test_nodes__of_a_long_chain_need_no_recursion():
    n = 100_000 if jitted else 1000
    tree = chain(n, np.zeros(n - 1))
    assert (tree.lowest_common_ancestor(np.arange(n - 1), n - 1) == 2 * n - 2).all()
    assert tree.lowest_common_ancestor(np.arange(n - 1), np.arange(1, n)).tolist() == list(range(n, 2 * n - 1))
    assert len(tree.leaves_of(2 * n - 2)) == n
    assert (tree.root_of(np.arange(n)) == 2 * n - 2).all()
    assert tree.without(n).n_merges == 0


# --------------------------------------------------------------------------------------------- scipy


def partition(segments):
    """Return the sets of leaves of equal segments."""
    return {frozenset(np.flatnonzero(segments == s).tolist()) for s in segments}


_distances = st.integers(0, 24).map(lambda i: i / 16)


@given(forests(priorities=_distances).filter(lambda tree: tree.n_leaves > 1), _distances)
@some
def test_to_linkage__cuts_as_scipy_does(tree, threshold):
    linkage = tree.to_linkage()
    assert hierarchy.is_valid_linkage(linkage)
    assert hierarchy.is_monotonic(linkage)
    assert partition(hierarchy.fcluster(linkage, threshold, "distance")) == partition(tree.cut(threshold))


@given(forests())
@some
def test_to_linkage__has_every_merge_and_joins_the_rest_at_infinity(tree):
    linkage = tree.to_linkage()
    assert linkage.shape == (max(tree.n_leaves - 1, 0), 4)
    assert (linkage[:, 0] < linkage[:, 1]).all()
    n_joined = len(linkage) - tree.n_merges
    assert linkage[:, 2].tolist() == sorted(tree.height.tolist()) + [np.inf] * n_joined
    whole = MergeTree(tree.n_leaves, linkage[:, :2], linkage[:, 2])
    made, _ = leaves_and_merges(whole)
    assert [len(leaves) for leaves in made[tree.n_leaves :]] == linkage[:, 3].tolist()
    ours, _ = leaves_and_merges(tree)
    assert {frozenset(leaves) for leaves in ours} <= {frozenset(leaves) for leaves in made}


# --------------------------------------------------------------------------------------------- files


def same(a, b):
    return (a.n_leaves, a.constraints) == (b.n_leaves, b.constraints) and all(
        getattr(a, name).tobytes() == getattr(b, name).tobytes() for name in ("children", "priority")
    )


@pytest.fixture
def tree():
    constraints = Constraints(must_link=[(1, 2)], exclusions=[(3, 1), (4, 1)], classes=[(5, 2)])
    return MergeTree(4, np.array([[0, 1], [2, 3], [4, 5]]), np.array([0.5, 0.25, 0.75]), constraints)


@given(forests())
@settings(deadline=None, max_examples=20)
def test_load__returns_what_was_saved(tmp_path_factory, tree):
    file = tmp_path_factory.getbasetemp() / "tree.npz"
    tree.save(file)
    loaded = MergeTree.load(str(file))
    assert same(loaded, tree)
    assert_array_equal(loaded.cut(0.5), tree.cut(0.5))


def test_save__writes_the_file_that_was_named(tree, tmp_path):
    tree.save(tmp_path / "tree.of.merges")
    assert [file.name for file in tmp_path.iterdir()] == ["tree.of.merges"]
    assert same(MergeTree.load(tmp_path / "tree.of.merges"), tree)


def test_load__damaged_file_is_never_another_tree(tree, tmp_path):
    file = tmp_path / "tree.npz"
    tree.save(file)
    whole = file.read_bytes()
    cut_short = [whole[:n] for n in range(0, len(whole), 7)]
    flipped = [whole[:i] + bytes([whole[i] ^ bit]) + whole[i + 1 :] for i in range(0, len(whole), 3) for bit in (1, 64)]
    for damaged in cut_short:
        file.write_bytes(damaged)
        with pytest.raises(FileError, match=re.escape(str(file))):
            MergeTree.load(file)
    for damaged in flipped:
        file.write_bytes(damaged)
        try:
            loaded = MergeTree.load(file)
        except FileError:
            continue
        assert same(loaded, tree), "only what has no meaning may change without notice"


def _npz(**arrays):
    def write(file):
        with file.open("wb") as stream:
            np.savez(stream, **arrays)

    return write


def _npy(file):
    with file.open("wb") as stream:
        np.save(stream, np.arange(3))


_children = np.array([[0, 1]])


@pytest.mark.parametrize(
    "write",
    [
        lambda file: file.write_text("hello"),
        lambda file: file.write_bytes(b""),
        lambda file: file.write_bytes(pickle.dumps({"n_leaves": 2})),
        _npy,
        _npz(labels=np.arange(3)),
        _npz(format=1, n_leaves=2, children=_children),
        _npz(format="one", n_leaves=2, children=_children, priority=[0.5]),
        _npz(format=[1, 1], n_leaves=2, children=_children, priority=[0.5]),
        _npz(format=1, n_leaves=2, children=[[0, 0]], priority=[0.5]),
        _npz(format=1, n_leaves=2, children=_children, priority=[np.nan]),
        _npz(format=1, n_leaves=2, children=np.array([[0, None]]), priority=[0.5]),
    ],
    ids=[
        "text",
        "nothing",
        "pickle",
        "one array",
        "other arrays",
        "no priority",
        "format in words",
        "two formats",
        "no tree",
        "priority NaN",
        "objects",
    ],
)
def test_load__file_that_holds_no_tree_is_named(write, tmp_path):
    file = tmp_path / "wrong.npz"
    write(file)
    with pytest.raises(FileError, match=re.escape(f"{file} does not hold a merge tree that can be read")):
        MergeTree.load(file)


def test_load__pickled_object_is_not_run(tmp_path):
    class Harm:
        def __reduce__(self):
            return (tmp_path.joinpath("harm").mkdir, ())

    file = tmp_path / "tree.npz"
    _npz(format=1, n_leaves=2, children=np.array([[Harm(), 1]], dtype=object), priority=[0.5])(file)
    with pytest.raises(FileError):
        MergeTree.load(file)
    assert not tmp_path.joinpath("harm").exists()


def test_load__of_the_first_format_has_no_constraints(tmp_path):
    file = tmp_path / "tree.npz"
    _npz(format=1, n_leaves=2, children=_children, priority=[0.5])(file)
    assert same(MergeTree.load(file), MergeTree(2, _children, np.array([0.5])))


def test_load__newer_format_is_refused_by_number(tmp_path):
    file = tmp_path / "tree.npz"
    _npz(format=3, merges=np.arange(3))(file)
    with pytest.raises(FileError, match=r"tree\.npz holds a merge tree of format 3; this version reads up to 2"):
        MergeTree.load(file)


def test_load__missing_file_or_folder_is_named(tmp_path):
    with pytest.raises(FileError, match=re.escape(f"there is no file {tmp_path / 'no.npz'}")):
        MergeTree.load(tmp_path / "no.npz")
    with pytest.raises(FileError, match="is a folder"):
        MergeTree.load(tmp_path)


def test_save__without_a_folder_to_write_to_is_refused(tree, tmp_path):
    with pytest.raises(FileError, match="there is no folder"):
        tree.save(tmp_path / "none" / "tree.npz")


@pytest.mark.parametrize(
    ("failure", "raised"), [(OSError("no space left"), FileError), (KeyboardInterrupt(), KeyboardInterrupt)]
)
def test_save__that_fails_leaves_the_old_file(failure, raised, tree, tmp_path, monkeypatch):
    file = tmp_path / "tree.npz"
    tree.save(file)

    def half_a_file(stream, **_):
        stream.write(b"half")
        raise failure

    monkeypatch.setattr(np, "savez_compressed", half_a_file)
    with pytest.raises(raised):
        MergeTree.empty(9).save(file)
    assert same(MergeTree.load(file), tree)
    assert list(tmp_path.iterdir()) == [file]


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="this system has no SIGKILL")
def test_save__that_is_killed_leaves_the_old_file(tree, tmp_path):
    file = tmp_path / "tree.npz"
    tree.save(file)
    script = """
import os, signal, sys
import numpy as np
from gala.graph.constraints import Constraints
from gala.graph.tree import MergeTree
def half_a_file(stream, **_):
    stream.write(b"half")
    stream.flush()
    os.kill(os.getpid(), signal.SIGKILL)
np.savez_compressed = half_a_file
MergeTree.empty(9).save(sys.argv[1])
"""
    run = subprocess.run([sys.executable, "-c", script, file], env=os.environ, check=False)
    assert run.returncode == -signal.SIGKILL
    assert same(MergeTree.load(file), tree)
