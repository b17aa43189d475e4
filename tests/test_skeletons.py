"""Skeletons, their labels and expected run length: cases made by hand, laws, and the real volumes."""

from __future__ import annotations

import doctest
import sys
from pathlib import Path
from types import SimpleNamespace

import networkx as nx
import numpy as np
import pytest
from hypothesis import assume, given, settings, strategies as st
from hypothesis.extra import numpy as hnp
from numpy.testing import assert_allclose, assert_array_equal

import naive_skeletons as naive
from gala import evaluate as ev
from gala.errors import LabelError, SettingError, ShapeError
from gala.evaluate import NodeLabels, Skeletons, node_labels, run_lengths, skeletonize
from gala.graph.tree import MergeTree
from real import read

ROOT = Path(__file__).parents[1]

some = settings(deadline=None, max_examples=80)
few = settings(deadline=None, max_examples=25)


def line(n, *, owner=1, start=0):
    """Return a skeleton of n edges of length 1 along one axis."""
    return Skeletons(np.arange(n + 1)[:, None] + float(start), np.column_stack([range(n), range(1, n + 1)]), owner)


@st.composite
def forests(draw, max_nodes=14):
    """Return a few skeletons of two coordinates, maybe in pieces, and with a loop now and then."""
    n = draw(st.integers(2, max_nodes))
    nodes = draw(hnp.arrays(np.int64, (n, 2), elements=st.integers(-2, 9))) / 2
    owner = draw(hnp.arrays(np.int64, n, elements=st.integers(1, 3)))
    edges = set()
    for v in range(1, n):
        before = [u for u in range(v) if owner[u] == owner[v]]
        if before and draw(st.integers(0, 5)):
            edges.add((draw(st.sampled_from(before)), v))
            if draw(st.integers(0, 5)) == 0:
                edges.add((draw(st.sampled_from(before)), v))
    return Skeletons(nodes, np.array(sorted(edges)).reshape(-1, 2), owner)


@st.composite
def labelled(draw):
    skeletons = draw(forests())
    labels = draw(hnp.arrays(np.int64, len(skeletons.nodes), elements=st.integers(0, 4)))
    assume(skeletons.lengths.sum() > 0)
    return skeletons, labels


def refined(draw, labels, parts=3):
    """Return labels that cut each segment into up to `parts`."""
    return np.where(labels > 0, labels * parts + draw(hnp.arrays(np.int64, len(labels), elements=st.integers(0, 2))), 0)


# ---------------------------------------- made by hand


def test_run_lengths__perfect_is_one():
    found = run_lengths(line(6), np.full(7, 5))
    assert (found.erl, found.max_erl, found.normalised) == (6, 6, 1)
    assert len(found.splits) == len(found.merges) == 0


def test_run_lengths__a_split_edge_of_no_length_leaves_half():
    # Both halves of a line of length 8, between which two nodes are at the same place.
    nodes = [[0.0], [4.0], [4.0], [8.0]]
    found = run_lengths(Skeletons(nodes, [[0, 1], [1, 2], [2, 3]]), NodeLabels.of([1, 1, 2, 2]))
    assert (found.erl, found.normalised) == (4, 0.5)
    assert found.splits[["edge", "skeleton", "segment", "other_segment", "length"]].tolist() == [(1, 1, 1, 2, 0)]


def test_run_lengths__a_merger_counts_nothing_and_says_where():
    # Two lines of length 3, one row apart at their nearest.
    nodes = [[0, 0], [0, 3], [5, 0], [1, 3]]
    both = Skeletons(nodes, [[0, 1], [2, 3]], owner=[4, 4, 9, 9])
    found = run_lengths(both, NodeLabels.of([7, 7, 7, 7]))
    assert (found.erl, found.normalised, found.mergers.tolist()) == (0, 0, [7])
    expected = [(7, 9, 4, 2, 2, [1.0, 3.0], [0.0, 3.0], 1.0)]
    assert [
        (*row.tolist()[:5], *(list(x) for x in row.tolist()[5:7]), row["distance"]) for row in found.merges
    ] == expected
    assert found.edges("merged")["skeleton"].tolist() == [4, 9]


def test_run_lengths__a_merger_leaves_other_segments_of_the_skeleton():
    both = Skeletons.from_parts([line(6, owner=1), line(2, owner=2, start=50)])
    labels = [1, 1, 1, 1, 2, 2, 2, 2, 2, 2]  # segment 2 has the end of skeleton 1 and all of skeleton 2
    found = run_lengths(both, NodeLabels.of(labels))
    assert found.per_skeleton["erl"].tolist() == [9 / 6, 0]
    assert found.erl == 9 / 8
    assert found.per_skeleton[["correct", "split", "merged"]].tolist() == [(3, 1, 2), (0, 0, 2)]


@pytest.mark.parametrize(("threshold", "by", "mergers"), [
    (0, "nodes", [5]), (1, "nodes", [5]), (2, "nodes", []), (0, "length", [5]), (1, "length", []), (0.9, "length", [5])
])  # fmt: skip
def test_run_lengths__overlaps_up_to_the_threshold_make_no_merger(threshold, by, mergers):
    both = Skeletons.from_parts([line(4, owner=1), line(3, owner=2)])
    labels = NodeLabels.of([5, 5, 5, 5, 5, 5, 5, 6, 6])  # two nodes, and length 1, of skeleton 2
    found = run_lengths(both, labels, merge_threshold=threshold, merge_by=by)
    assert found.mergers.tolist() == mergers
    assert len(found.merges) == len(mergers)
    if not mergers:
        assert found.erl == (16 + 1 + 1) / 7


def test_run_lengths__a_single_node_makes_no_merger_by_length():
    both = Skeletons.from_parts([line(4, owner=1), line(3, owner=2)])
    labels = NodeLabels.of([5, 5, 5, 5, 5, 5, 6, 6, 6])
    assert run_lengths(both, labels).mergers.tolist() == [5]
    assert run_lengths(both, labels, merge_by="length").mergers.tolist() == []


def test_run_lengths__a_segment_that_comes_back_is_one_run():
    assert run_lengths(line(5), [3, 3, 8, 8, 3, 3]).erl == (2**2 + 1) / 5


def test_run_lengths__label_0_is_no_segment_and_merges_nothing():
    both = Skeletons.from_parts([line(4, owner=1), line(3, owner=2)])
    found = run_lengths(both, NodeLabels.of([0, 0, 1, 1, 1, 0, 0, 0, 0]))
    assert found.erl == 4 / 7
    assert found.n_unsegmented == 6
    assert found.per_skeleton[["n_nodes", "n_unsegmented", "unsegmented"]].tolist() == [(5, 2, 2), (4, 4, 3)]
    assert run_lengths(both, NodeLabels.of([0] * 9, background=None)).mergers.tolist() == [0]


def test_run_lengths__nodes_outside_are_counted_and_count_nothing():
    found = run_lengths(line(7), [4, 4, 4, 4, 4])
    assert (found.n_outside, found.n_unsegmented, found.erl) == (3, 0, 16 / 7)
    assert found.per_skeleton[["n_outside", "outside", "length"]].tolist() == [(3, 3, 7)]
    inside = run_lengths(line(7), [4, 4, 4, 4, 4], outside="ignored")
    assert (inside.n_outside, inside.erl, inside.normalised) == (3, 4, 1)
    assert inside.per_skeleton[["outside", "length"]].tolist() == [(3, 4)]


def test_run_lengths__total_is_the_mean_weighted_by_length():
    both = Skeletons.from_parts([line(4, owner=1), line(8, owner=2)])
    found = run_lengths(both, NodeLabels.of([1] * 5 + [2] * 5 + [3] * 4))
    assert found.per_skeleton["erl"].tolist() == [4, (16 + 9) / 8]
    assert_allclose(found.erl, (4 * 4 + 8 * 25 / 8) / 12)
    assert_allclose(found.max_erl, (16 + 64) / 12)


def test_run_lengths__skeletons_of_one_node_have_no_run_but_make_mergers():
    both = Skeletons.from_parts([line(4, owner=1), Skeletons([[3.0]], [], 2)])
    found = run_lengths(both, NodeLabels.of([1, 1, 1, 1, 1, 2]))
    assert (found.erl, found.per_skeleton["erl"].tolist()) == (4, [4, 0])
    assert run_lengths(both, NodeLabels.of([1, 1, 1, 1, 1, 1])).erl == 0


def test_merges__every_skeleton_but_the_largest_has_a_row():
    parts = [line(n, owner=i, start=10 * i) for n, i in [(2, 1), (5, 2), (5, 3), (1, 4)]]
    found = run_lengths(Skeletons.from_parts(parts), NodeLabels.of([8] * 17)).merges
    assert found[["skeleton", "other_skeleton", "n_nodes", "n_other_nodes", "distance"]].tolist() == [
        (1, 2, 3, 6, 8), (3, 2, 6, 6, 5), (4, 2, 2, 6, 15),
    ]  # fmt: skip


def test_node_labels__a_voxel_reaches_half_its_size_to_either_side():
    points = [[9.9], [10.0], [19.9], [20.0], [39.9], [40.0], [50.0]]
    found = node_labels(Skeletons(points, []), [7, 8, 9], spacing=[10], offset=[15])
    assert found.labels.tolist() == [0, 7, 7, 8, 9, 0, 0]
    assert found.is_inside.tolist() == [False, True, True, True, True, False, False]


def test_node_labels__far_away_is_outside():
    found = node_labels(Skeletons([[1e300], [0.0], [-1e300]], []), [3])
    assert found.is_inside.tolist() == [False, True, False]


# ---------------------------------------- laws


@given(case=labelled(), threshold=st.sampled_from([0, 1, 2]), by=st.sampled_from(["nodes", "length"]))
@some
def test_run_lengths__equal_the_definition(case, threshold, by):
    skeletons, labels = case
    found = run_lengths(skeletons, NodeLabels.of(labels), merge_threshold=threshold, merge_by=by)
    plain = (x.tolist() for x in (skeletons.nodes, skeletons.edges, skeletons.owner, labels))
    kinds, erl, lengths, total = naive.run_lengths(*plain, threshold, by)
    assert [ev.skeletons.KINDS[k] for k in found.kind] == kinds
    assert_allclose(found.per_skeleton["erl"], list(erl.values()))
    assert_allclose(found.length, list(lengths.values()))
    assert_allclose(found.erl, total)
    merging = naive.mergers(
        *(x.tolist() for x in (skeletons.nodes, skeletons.edges, skeletons.owner, labels)), threshold, by
    )
    assert found.mergers.tolist() == sorted(merging)
    assert len(found.merges) == sum(len(skeletons) - 1 for skeletons in merging.values())


@given(
    skeletons=forests(),
    seg=hnp.arrays(
        np.int64, hnp.array_shapes(min_dims=2, max_dims=2, min_side=2, max_side=6), elements=st.integers(0, 3)
    ),
    spacing=st.tuples(st.sampled_from([0.5, 1, 2]), st.sampled_from([0.5, 1])),
    offset=st.tuples(st.sampled_from([-1, 0, 0.5]), st.sampled_from([0, 0.25])),
    outside=st.sampled_from(["unsegmented", "ignored"]),
)
@some
def test_run_lengths__of_a_volume_equal_the_definition(skeletons, seg, spacing, offset, outside):
    labels = [naive.node_label(point, seg, spacing, offset) for point in skeletons.nodes.tolist()]
    plain = (x.tolist() for x in (skeletons.nodes, skeletons.edges, skeletons.owner))
    kinds, erl, lengths, total = naive.run_lengths(*plain, labels, outside=outside)
    if sum(lengths.values()) == 0 or all(label is None for label in labels):
        with pytest.raises((LabelError, SettingError), match=r"outside seg|no length is left"):
            run_lengths(skeletons, seg, spacing=spacing, offset=offset, outside=outside)
        return
    found = run_lengths(skeletons, seg, spacing=spacing, offset=offset, outside=outside)
    assert [ev.skeletons.KINDS[k] for k in found.kind] == kinds
    assert found.n_outside == labels.count(None)
    assert found.n_unsegmented == labels.count(0)
    assert_allclose(found.per_skeleton["erl"], list(erl.values()))
    assert_allclose(found.erl, total)


@given(case=labelled())
@few
def test_run_lengths__are_never_above_the_largest_and_add_up(case):
    skeletons, labels = case
    found = run_lengths(skeletons, NodeLabels.of(labels))
    assert 0 <= found.erl <= found.max_erl * (1 + 1e-12)
    assert found.max_erl <= skeletons.lengths.max() * (1 + 1e-12)
    table = found.per_skeleton
    assert_allclose(sum(table[kind] for kind in ev.skeletons.KINDS), skeletons.lengths)
    assert_allclose((table["erl"] * table["length"]).sum() / table["length"].sum(), found.erl)
    assert sum(len(found.edges(kind)) for kind in ev.skeletons.KINDS) == len(skeletons.edges)
    assert run_lengths(skeletons, NodeLabels.of(skeletons.owner)).normalised == 1


@given(case=labelled(), data=st.data())
@few
def test_run_lengths__do_not_depend_on_order_or_names(case, data):
    skeletons, labels = case
    before = run_lengths(skeletons, NodeLabels.of(labels))
    order = np.array(data.draw(st.permutations(range(len(labels)))))
    number = np.argsort(order)
    edges = number[np.array(data.draw(st.permutations(skeletons.edges[:, ::-1].tolist()))).reshape(-1, 2)]
    names = np.array([0, *data.draw(st.permutations([2**63 + 7, 3, 2**40, 11]))], dtype=np.uint64)
    moved = Skeletons(skeletons.nodes[order], edges, skeletons.owner[order])
    after = run_lengths(moved, NodeLabels.of(names[labels[order]]))
    assert_allclose(after.erl, before.erl)
    assert_allclose(after.per_skeleton["erl"], before.per_skeleton["erl"])
    assert len(after.splits) == len(before.splits)
    assert set(after.mergers.tolist()) == set(names[before.mergers].tolist())
    assert_allclose(np.sort(after.merges["distance"]), np.sort(before.merges["distance"]))


@given(case=labelled(), data=st.data())
@few
def test_run_lengths__refining_segments_without_merger_never_raises_them(case, data):
    skeletons, labels = case
    apart = np.where(labels > 0, labels * 4 + skeletons.owner, 0)  # no segment has two skeletons
    coarse = run_lengths(skeletons, NodeLabels.of(apart))
    fine = run_lengths(skeletons, NodeLabels.of(refined(data.draw, apart)))
    assert fine.erl <= coarse.erl * (1 + 1e-12)
    assert len(fine.splits) >= len(coarse.splits)


@given(case=labelled(), factor=st.sampled_from([0.25, 2.0, 1024.0]))
@few
def test_run_lengths__scale_with_the_unit(case, factor):
    skeletons, labels = case
    scaled = Skeletons(skeletons.nodes * factor, skeletons.edges, skeletons.owner)
    before, after = (run_lengths(s, NodeLabels.of(labels)) for s in (skeletons, scaled))
    assert after.erl == before.erl * factor
    assert after.normalised == before.normalised


@given(case=labelled())
@few
def test_cut__of_node_labels_is_the_label_of_the_cut(case):
    skeletons, labels = case
    leaves = np.array([1, 2, 3, 4, 9]) * 10
    tree = MergeTree(5, np.array([[0, 4], [1, 2], [5, 6]]), np.array([0.1, 0.5, 0.3]))
    superpixels = NodeLabels.of(labels * 10)
    at = superpixels.numbered(leaves)
    for threshold in (0, 0.2, 0.6):
        names = leaves[tree.cut(threshold)]
        expected = np.where(labels > 0, names[np.maximum(labels, 1) - 1], 0)
        assert_array_equal(at.mapped(names).labels, expected)
        # Segment 0 is a segment too: what has no superpixel is known from the start.
        assert (
            run_lengths(skeletons, at.mapped(tree.cut(threshold))).erl
            == run_lengths(skeletons, NodeLabels.of(expected)).erl
        )


# ---------------------------------------- skeletons


@given(skeletons=forests())
@few
def test_skeletons__networkx_gives_the_same(skeletons):
    graph = nx.Graph()
    for i, ((row, column), owner) in enumerate(zip(skeletons.nodes.tolist(), skeletons.owner.tolist(), strict=True)):
        graph.add_node(str(i), y=row, x=column, position=(row, column), neuron=owner)
    graph.add_edges_from((str(u), str(v)) for u, v in skeletons.edges.tolist())
    for position in ("position", ("y", "x")):
        found = Skeletons.from_networkx(graph, position=position, skeleton="neuron")
        assert_array_equal(found.nodes, skeletons.nodes)
        assert_array_equal(found.owner, skeletons.owner)
        assert_allclose(found.lengths, skeletons.lengths)
    pieces = Skeletons.from_networkx(graph)
    assert len(pieces.ids) == nx.number_connected_components(graph)
    assert pieces.owner[0] == 1
    assert skeletons.is_forest == nx.is_forest(graph)


@given(skeletons=forests(), data=st.data())
@few
def test_skeletons__parts_selected_one_by_one_are_the_whole(skeletons, data):
    ids = data.draw(st.permutations(skeletons.ids.tolist()))
    whole = Skeletons.from_parts([skeletons.select(i) for i in ids])
    assert_array_equal(whole.ids, skeletons.ids)
    assert_allclose(whole.lengths, skeletons.lengths)
    assert_array_equal(skeletons.select(ids).edges, skeletons.edges)


def test_skeletons__ids_reach_to_the_last_uint64():
    found = Skeletons.from_parts([line(2, owner=2**64 - 1), line(2, owner=3)])
    assert found.ids.tolist() == [3, 2**64 - 1]
    assert found.select(2**64 - 1).lengths.tolist() == [2]


def test_skeletons__what_cannot_be_one_is_an_error():
    nodes = [[0.0, 0.0], [0.0, 1.0], [2.0, 0.0]]
    for edges, owner, message in [
        ([[0, 3]], 1, "not there"), ([[-1, 0]], 1, "not there"), ([[1, 1]], 1, "to itself"),
        ([[0, 1]], [1, 2, 2], "joins two skeletons"), ([[0, 1], [1, 2], [1, 0]], 1, r"edge \[0, 1\] is there 2 times"),
    ]:  # fmt: skip
        with pytest.raises(SettingError, match=message):
            Skeletons(nodes, edges, owner)
    for bad in (np.nan, np.inf):
        with pytest.raises(SettingError, match=r"node 1 is at"):
            Skeletons([[0.0, 0.0], [0.0, bad]], [])
    for nodes_, edges, owner in [([], [], 1), ([1.0], [], 1), ([["a"]], [], 1), (nodes, [[0, 1, 2]], 1),
                                 (nodes, [[0.0, 1.0]], 1), (nodes, [], [1, 2])]:  # fmt: skip
        with pytest.raises(ShapeError):
            Skeletons(nodes_, edges, owner)
    with pytest.raises(LabelError):
        Skeletons(nodes, [], -1)
    with pytest.raises(LabelError, match="there is no skeleton 5"):
        Skeletons(nodes, []).select(5)
    with pytest.raises(LabelError, match="1 is in several parts"):
        Skeletons.from_parts([line(2), line(3)])
    for parts in ([], [line(2), Skeletons(nodes, [], 2)]):
        with pytest.raises(ShapeError, match="number of axes"):
            Skeletons.from_parts(parts)
    graph = nx.Graph()
    graph.add_node("soma", position=(0, 0))
    with pytest.raises(SettingError, match=r"attribute 'z'; node 'soma'"):
        Skeletons.from_networkx(graph, position=("z", "y"))


def test_run_lengths__what_cannot_be_measured_is_an_error():
    for options in ({"merge_by": "voxels"}, {"outside": "drop"}, {"merge_threshold": -1}, {"merge_threshold": np.nan},
                    {"spacing": [1, 1]}, {"spacing": [0]}, {"offset": [np.nan]}, {"offset": [0, 0]}):  # fmt: skip
        with pytest.raises(SettingError, match=next(iter(options)).split("_")[0]):
            run_lengths(line(2), [1, 1, 1], **options)
    with pytest.raises(SettingError, match="belong to node_labels"):
        run_lengths(line(2), NodeLabels.of([1, 1, 1]), spacing=[2])
    with pytest.raises(ShapeError, match="labels of 3 nodes; got 2"):
        run_lengths(line(2), NodeLabels.of([1, 1]))
    with pytest.raises(ShapeError, match="1 axes"):
        run_lengths(line(2), [[1, 1, 1]])
    with pytest.raises(LabelError, match="all 3 nodes are outside seg"):
        run_lengths(line(2, start=50), [1, 1, 1])
    with pytest.raises(LabelError, match="under nodes"):
        run_lengths(line(2), [1, -1, 1])
    with pytest.raises(SettingError, match="no length is left"):
        run_lengths(Skeletons([[0.0], [1.0]], []), [1, 1])
    with pytest.raises(SettingError, match="no length is left"):
        run_lengths(line(2), [1], outside="ignored")
    with pytest.raises(SettingError, match="kind must be one of"):
        run_lengths(line(2), [1, 1, 1]).edges("wrong")
    with pytest.raises(LabelError, match="no region with label 4"):
        NodeLabels.of([4]).numbered(np.array([1, 2]))
    with pytest.raises(LabelError, match="use `numbered`"):
        NodeLabels.of([4]).mapped([1, 2])
    with pytest.raises(ShapeError, match=r"shape \(K,\)"):
        NodeLabels.of([[4]])


# ---------------------------------------- skeletons of objects


@given(
    truth=hnp.arrays(
        np.int64, hnp.array_shapes(min_dims=2, max_dims=3, max_side=6), elements=st.sampled_from([0, 5, 9])
    ),
    spacing=st.sampled_from([1, 2, 8]),
)
@some
def test_skeletonize__each_object_has_a_tree_through_each_of_its_pieces(truth, spacing):
    assume(truth.any())
    sides = (spacing,) + (1,) * (truth.ndim - 1)
    found = skeletonize(truth, spacing=sides, offset=(3,) * truth.ndim)
    assert found.ids.tolist() == np.unique(truth[truth > 0]).tolist()
    assert found.is_forest
    assert_array_equal(node_labels(found, truth, spacing=sides, offset=(3,) * truth.ndim).labels, found.owner)
    for i in found.ids:
        assert found.select(i).pieces.max() + 1 == naive.n_pieces(truth == i)


def test_skeletonize__a_bar_has_its_length_in_physical_units():
    truth = np.zeros((9, 3, 40), dtype=int)
    truth[2:7, :, :] = 6
    found = skeletonize(truth, spacing=(4, 4, 10))
    assert 300 <= found.lengths[0] <= 400
    upright = skeletonize(truth.T, spacing=(10, 4, 4))
    assert 300 <= upright.lengths[0] <= 400


@pytest.mark.parametrize("shape", [(2, 2, 2), (2, 10, 2), (4, 4, 4), (1, 1, 1)])
def test_skeletonize__an_object_that_is_peeled_away_has_a_path_between_its_ends(shape):
    found = skeletonize(np.full(shape, 3), spacing=(2, 1, 1))
    assert len(found.nodes) >= max(shape)
    assert found.lengths[0] >= max(shape) - 1


def test_skeletonize__what_has_no_skeleton_is_an_error():
    with pytest.raises(LabelError, match="no object but void"):
        skeletonize(np.zeros((3, 3), dtype=int))
    with pytest.raises(ShapeError, match="2 or 3 dimensions"):
        skeletonize([1, 1])
    for options in ({"method": "medial"}, {"options": {"scale": 4}}, {"spacing": (1,)}, {"offset": (1,)}):
        with pytest.raises(SettingError):
            skeletonize(np.ones((3, 3), dtype=int), **options)


def test_skeletonize__kimimaro_is_asked_in_physical_units(monkeypatch):
    asked = {}

    def fake(labels, **arguments):
        asked.update(arguments, shape=labels.shape)
        empty = SimpleNamespace(vertices=np.empty((0, 3)), edges=np.empty((0, 2)))
        vertices = np.array([[0, 0, 8], [0, 0, 0]], dtype=np.float32)
        return {9: empty, 7: SimpleNamespace(vertices=vertices, edges=np.array([[0, 1]], dtype=np.uint32))}

    monkeypatch.setitem(sys.modules, "kimimaro", SimpleNamespace(skeletonize=fake))
    truth = np.full((2, 2, 3), 7)
    found = skeletonize(truth, spacing=(40, 4, 4), offset=(0, 0, 100), method="kimimaro", options={"dust_threshold": 5})
    assert asked["anisotropy"] == (40, 4, 4)
    assert asked["dust_threshold"] == 5
    assert (found.ids.tolist(), found.nodes[:, 2].tolist(), found.lengths.tolist()) == ([7], [108, 100], [8])
    with pytest.raises(ShapeError, match="3 dimensions"):
        skeletonize(truth[0], method="kimimaro")


def test_skeletonize__without_kimimaro_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "kimimaro", None)
    with pytest.raises(SettingError, match="pip install kimimaro"):
        skeletonize(np.ones((3, 3, 3), dtype=int), method="kimimaro")


def test_skeletonize__real_kimimaro_follows_a_bar():
    pytest.importorskip("kimimaro", reason="kimimaro is not installed")
    truth = np.zeros((9, 20, 80), dtype=int)
    truth[2:7, 7:14, :] = 6
    found = skeletonize(truth, spacing=(10, 4, 4), method="kimimaro", options={"dust_threshold": 0})
    assert found.ids.tolist() == [6]
    assert found.is_forest
    assert_array_equal(node_labels(found, truth, spacing=(10, 4, 4)).labels, 6)
    assert 200 < found.lengths[0] < 400


# ---------------------------------------- real data


@pytest.mark.compiled
def test_example__agglomeration_lengthens_runs_until_it_merges_too_much():
    from gala import agglomerate, build_graph
    from gala.agglo import boundary_mean

    truth, superpixels = read("test-gt"), read("test-ws")
    neurons = skeletonize(truth)
    assert run_lengths(neurons, truth).normalised == 1
    graph = build_graph(superpixels, read("test-p1"), boundary_mean.needs)
    tree = agglomerate(graph, boundary_mean)
    at = node_labels(neurons, superpixels).numbered(graph.labels)
    cuts = [graph.labels[tree.cut(threshold)] for threshold in (-1, 0.5, 0.8, 1)]
    found = [run_lengths(neurons, at.mapped(segments), merge_threshold=10) for segments in cuts]
    before, some_merges, more, all_merged = (lengths.normalised for lengths in found)
    assert all_merged == 0 < before < some_merges < more
    assert 0 == len(found[3].splits) < len(found[2].splits) < len(found[1].splits) < len(found[0].splits)
    seg = cuts[2][graph.find(superpixels)]
    assert run_lengths(neurons, seg, merge_threshold=10).normalised == more
    assert_array_equal(np.unique(found[2].merges["segment"]), found[2].mergers)
    best = run_lengths(neurons, ev.best_possible_segmentation(superpixels, truth), merge_threshold=10)
    assert best.normalised > more


# ---------------------------------------- documentation


def test_docs__examples_run():
    failed, tried = doctest.testfile(
        str(ROOT / "docs" / "skeletons.md"), module_relative=False, optionflags=doctest.NORMALIZE_WHITESPACE
    )
    assert failed == 0 < tried
