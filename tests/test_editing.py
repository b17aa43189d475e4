"""Edits of a segmentation: what each changes and leaves alone, and that a log of them replays."""

# ruff: noqa: ARG002, ARG005  # policies of users share a signature

from __future__ import annotations

import doctest
import itertools
import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import assume, given, settings, strategies as st
from numpy.testing import assert_array_equal

from gala import agglo, evaluate
from gala.agglo import Rag
from gala.engine.agglomerate import agglomerate
from gala.engine.editing import Editing, reagglomerate
from gala.engine.edits import Edit, edits_from_json, edits_to_json
from gala.engine.policy import boundary_mean
from gala.errors import ConstraintError, GalaError, LabelError, PolicyError, SettingError
from gala.features.base import Null
from gala.graph.build import build_graph
from gala.graph.constraints import Constraints
from naive_engine import volumes
from real import read

some = settings(deadline=None, max_examples=40)
few = settings(deadline=None, max_examples=15)
_thresholds = st.sampled_from([0.25, 0.5, 0.75, np.inf])


@st.composite
def segmentations(draw):
    """Return the segmentation at a threshold of a small volume, to be edited."""
    labels, image, connectivity = draw(volumes())
    graph = build_graph(labels, image, boundary_mean.needs, connectivity=connectivity)
    tree = agglomerate(graph, boundary_mean).below(draw(_thresholds))
    return Editing(graph, tree, boundary_mean)


@st.composite
def edits(draw, editing):
    """Return an edit of a segmentation; many can be made."""
    label = st.sampled_from(editing.graph.labels.tolist())
    inside = [labels for labels in segments(editing) if len(labels) > 1] or [editing.graph.labels.tolist()]
    pair = draw(st.permutations(sorted(draw(st.sampled_from(inside)))))[:2]
    a, b = (pair * 2)[:2] if draw(st.booleans()) else (draw(label), draw(label))
    kind = draw(st.sampled_from(["merge", "undo", "separate", "split_by_seeds", "split", "reagglomerate"]))
    groups = [draw(st.permutations(sorted(draw(st.sampled_from(inside)))))[i::3][:2] for i in range(3)]
    arguments = {
        "merge": {"a": a, "b": b, "priority": draw(st.sampled_from([-np.inf, 0.5])), "constraints": "obey"},
        "split_by_seeds": {"seeds": [group for group in groups if group]},
        "split": {"region": a, "n": draw(st.integers(2, 3))},
        "reagglomerate": {"threshold": draw(_thresholds), "regions": draw(st.lists(label, max_size=2))},
    }
    return Edit(kind, arguments.get(kind, {"a": a, "b": b}))


def segments(editing, threshold=np.inf):
    """Return the sets of labels that are together."""
    cut = editing.tree.cut(threshold)
    return {frozenset(editing.graph.labels[cut == s].tolist()) for s in cut}


def merges(editing, labels=None):
    """Return the merges by what they join: labels of both parts, and the priority; with `labels`, those inside it."""
    tree, known = editing.tree, editing.graph.labels
    parts = [
        (*(frozenset(known[tree.leaves_of(child)].tolist()) for child in pair), p)
        for pair, p in zip(tree.children, tree.priority.tolist(), strict=True)
    ]
    return [merge for merge in parts if labels is None or merge[0] <= labels]


def same(a, b):
    return (
        a.tree.children.tobytes() == b.tree.children.tobytes()
        and a.tree.priority.tobytes() == b.tree.priority.tobytes()
        and a.tree.constraints == b.tree.constraints
    )


def holding(editing, label):
    return next(labels for labels in segments(editing) if label in labels)


def touched_by(editing, edit):
    """Return the labels in the segments that an edit names; all of those that were taken apart before, too."""
    named = edit.arguments
    labels = [named.get(key) for key in ("a", "b", "region") if key in named]
    labels += named.get("regions", []) + [label for group in named.get("seeds", []) for label in group]
    return set().union(*[holding(editing, label) for label in labels])


# ----------------------------------------------------------------------------------------------- laws


@given(segmentations(), st.data())
@some
def test_log__replays_to_the_same_tree_and_edits_leave_the_rest_alone(begin, data):
    editing, taken_apart = begin, set()
    for _ in range(data.draw(st.integers(1, 5))):
        edit = data.draw(edits(editing))
        before = merges(editing)
        try:
            after = editing.replay([edit])
        except (SettingError, ConstraintError):
            assert merges(editing) == before
            continue
        touched = touched_by(editing, edit) | (taken_apart if edit.kind == "reagglomerate" else set())
        for segment in segments(editing):
            if not segment & touched:
                assert segment in segments(after)
                assert merges(after, segment) == merges(editing, segment)
        taken_apart |= touched if edit.kind == "separate" else set()
        editing = after
    again = begin.replay(edits_from_json(edits_to_json(editing.log)))
    assert same(again, editing)
    assert again.log == editing.log


@given(segmentations(), st.data())
@some
def test_undo__takes_back_a_merge(begin, data):
    assume(len(segments(begin)) > 1)
    a, b = (min(s) for s in data.draw(st.permutations(sorted(segments(begin), key=min)))[:2])
    merged = begin.merge(a, b)
    assert holding(merged, a) == holding(begin, a) | holding(begin, b)
    assert same(merged.undo(a, b), begin)
    assert same(merged.undo(b, max(holding(begin, a))), begin), "whichever two regions name the merge"


@given(segmentations(), st.data())
@some
def test_undo__leaves_the_parts_and_what_stood_on_them(begin, data):
    assume(begin.tree.n_merges > 0)
    first, second, _ = data.draw(st.sampled_from(merges(begin)))
    undone = begin.undo(min(first), max(second))
    gone = [merge for merge in merges(begin) if merge[0] | merge[1] >= first | second]
    assert merges(undone) == [merge for merge in merges(begin) if merge not in gone]
    assert {first, second} <= segments(undone)


@given(segmentations(), st.data())
@some
def test_separate__no_cut_joins_the_two_ever_again(begin, data):
    assume(begin.graph.n_regions > 1)
    a, b = data.draw(st.permutations(begin.graph.labels.tolist()))[:2]
    apart = begin.separate(a, b)
    again = apart.reagglomerate(np.inf)
    everything = again.reagglomerate(np.inf, begin.graph.labels.tolist())
    for editing in (apart, again, everything):
        assert holding(editing, a) != holding(editing, b)
        with pytest.raises(ConstraintError, match=rf"superpixels {min(a, b)} and {max(a, b)} \(cannot_link\)"):
            editing.merge(a, b)
    assert Constraints(cannot_link=[(a, b)]) == again.tree.constraints
    for segment in segments(begin):
        if not segment & {a, b} or holding(begin, a) != holding(begin, b):
            assert merges(again, segment) == merges(begin, segment)


@given(segmentations(), st.data())
@some
def test_split_by_seeds__gives_each_group_its_segment(begin, data):
    large = [s for s in segments(begin) if len(s) > 2]
    assume(large)
    segment = data.draw(st.sampled_from(sorted(large, key=min)))
    order = data.draw(st.permutations(sorted(segment)))
    groups = [order[:1], order[1:3]]
    split = begin.split_by_seeds(groups)
    parts = {holding(split, label) for label in segment}
    assert parts == {holding(split, order[0]), holding(split, order[1])}
    assert len(parts) == 2
    assert set().union(*parts) == segment
    assert holding(split, order[2]) == holding(split, order[1])
    assert segments(begin) - {segment} == segments(split) - parts
    everything = split.reagglomerate(np.inf, begin.graph.labels.tolist())
    assert all(holding(everything, order[0]) != holding(everything, seed) for seed in order[1:3])


@given(volumes(steps=(64,)), st.data())
@some
def test_split_by_seeds__is_the_cut_of_a_minimum_spanning_forest(volume, data):
    labels, image, connectivity = volume
    graph = build_graph(labels, image, boundary_mean.needs, connectivity=connectivity)
    rank = np.random.default_rng(data.draw(st.integers(0, 99))).permutation(len(graph.edges)) / 64
    weight = {frozenset(edge): w for edge, w in zip(graph.edges.tolist(), rank.tolist(), strict=True)}

    def lowest(g, u, v):
        between = itertools.product(*(g.nodes[n]["fragments"] for n in (u, v)))
        return min(weight.get(frozenset(pair), np.inf) for pair in between)

    begin = Editing(graph, agglomerate(graph, lowest), lowest)
    large = sorted((s for s in segments(begin) if len(s) > 2), key=min)
    assume(large)
    order = data.draw(st.permutations(sorted(large[0])))
    seeds = [order[:1], order[1:2], order[2:3]][: data.draw(st.integers(2, 3))]
    split = begin.split_by_seeds(seeds)
    of = {label: {label} for label in large[0]}  # Kruskal: the lightest contact first, unless it joins two seeds
    for edge in sorted(weight, key=weight.get):
        a, b = graph.labels[list(edge)].tolist()
        if a in of and of[a] is not of[b] and sum(bool((of[a] | of[b]) & set(group)) for group in seeds) < 2:
            joined = of[a] | of[b]
            of |= dict.fromkeys(joined, joined)
    assert segments(split) - segments(begin) == {frozenset(s) for s in of.values()}


@given(segmentations(), st.data())
@few
def test_split__gives_n_segments(begin, data):
    large = [s for s in segments(begin) if len(s) > 1]
    assume(large)
    segment = data.draw(st.sampled_from(sorted(large, key=min)))
    n = data.draw(st.integers(2, len(segment)))
    split = begin.split(min(segment), n)
    parts = {holding(split, label) for label in segment}
    assert len(parts) == n
    assert set().union(*parts) == segment
    assert segments(begin) - {segment} == segments(split) - parts
    assert segments(split.reagglomerate(np.inf, sorted(segment))) == segments(split), "they stay apart"


@given(segmentations(), st.data())
@some
def test_reagglomerate__obeys_new_constraints_and_keeps_what_does(begin, data):
    labels = data.draw(st.permutations(begin.graph.labels.tolist()))
    n = len(labels) // 5
    constraints = Constraints(
        cannot_link=[labels[i : i + 2] for i in range(0, 2 * n, 2)][:2],
        frozen=labels[2 * n : 2 * n + (n > 0) * data.draw(st.integers(0, 1))],
        must_link=[labels[-2:]] * (n > 0) * data.draw(st.integers(0, 1)),
    )
    tree = reagglomerate(begin.graph, begin.tree, boundary_mean, 0.5, constraints=constraints)
    after = Editing(begin.graph, tree, boundary_mean)
    assert tree.constraints == constraints
    assert constraints.violations(begin.graph.labels, tree.cut()) == []
    involved = {v for violation in constraints.violations(begin.graph.labels, begin.tree.cut()) for v in violation[1:]}
    involved |= set(constraints.must_link.ravel().tolist()) | set(constraints.frozen.tolist())
    involved |= set(constraints.cannot_link.ravel().tolist())
    for segment in segments(begin):
        if not segment & involved:
            assert merges(after, segment) == merges(begin, segment)
    if not constraints.violations(begin.graph.labels, begin.tree.cut()):
        assert merges(after) == merges(begin)


# ---------------------------------------------------------------------------------------------- examples

LINE = np.repeat(np.arange(1, 7), 2)
STEPS = np.array([0, 0.1, 0.1, 0.4, 0.4, 0.2, 0.2, 0.9, 0.9, 0.3, 0.3, 0])  # contacts 0.1, 0.4, 0.2, 0.9, 0.3


def line(**options):
    graph = build_graph(LINE, STEPS, boundary_mean.needs)
    constraints = Constraints(**options)
    return Editing(graph, agglomerate(graph, boundary_mean, constraints=constraints), boundary_mean)


def in_words(editing):
    """Return the segments as strings of their labels."""
    return sorted("".join(map(str, sorted(s))) for s in segments(editing))


def test_separate__cuts_where_the_two_came_together():
    apart = line().separate(1, 6)
    assert in_words(apart) == ["1234", "56"]
    assert in_words(apart.separate(1, 4)) == ["12", "34", "56"]
    assert in_words(apart.separate(1, 4).reagglomerate(np.inf)) == ["12", "3456"]
    settled = apart.reagglomerate(0.5).separate(1, 4)
    assert in_words(settled.reagglomerate(np.inf)) == ["12", "34", "56"], "only what was taken apart since"
    assert in_words(settled.reagglomerate(np.inf, [6])) == ["12", "3456"]


def test_separate__pieces_are_put_together_again_up_to_a_threshold():
    apart = line().separate(1, 3)
    assert in_words(apart) == ["12", "34", "56"]
    assert in_words(apart.reagglomerate(0.9)) == ["12", "34", "56"]
    assert in_words(apart.reagglomerate(1)) == ["12", "3456"]


def test_split_by_seeds__cuts_the_weakest_contact_between_them():
    assert in_words(line().split_by_seeds([[3], [6]])) == ["1234", "56"]
    assert in_words(line().split_by_seeds([[1], [3]])) == ["12", "3456"]
    assert in_words(line().split_by_seeds([[1, 6], [3]])) == ["1256", "34"]


def test_split__cuts_the_weakest_contacts():
    assert in_words(line().split(2)) == ["1234", "56"]
    assert in_words(line().split(2, 3)) == ["12", "34", "56"]
    assert in_words(line().split(2, 6)) == ["1", "2", "3", "4", "5", "6"]


def test_split__never_takes_apart_what_must_link():
    linked = line(must_link=[(4, 5), (2, 3)])
    assert in_words(linked.split(1, 4)) == ["1", "23", "45", "6"]
    with pytest.raises(
        SettingError, match=r"n must be from 2 to 4: .* has 4 regions, those that must link counted once; got 5"
    ):
        linked.split(1, 5)
    with pytest.raises(SettingError, match="all regions in the segment of 1 must link"):
        line(must_link=[(n, n + 1) for n in range(1, 6)]).split(1, 2)


def test_split__of_pieces_that_do_not_touch():
    graph = build_graph([1, 2, 0, 3, 4], [0, 0.5, 0, 0.25, 0], boundary_mean.needs, background=0)
    far = Editing(graph, agglomerate(graph, boundary_mean), boundary_mean).merge(1, 4)
    assert in_words(far) == ["1234"]
    assert in_words(far.split(1)) == in_words(far.split_by_seeds([[1], [3]])) == ["12", "34"]


def test_merge__by_hand_is_made_at_every_threshold():
    begin = line()
    low = Editing(begin.graph, begin.tree.below(0.2), boundary_mean).merge(1, 6)
    assert in_words(low) == ["126", "34", "5"]
    assert {frozenset({1, 2, 6}), frozenset({3})} <= segments(low, 0.1)
    assert frozenset({6}) in segments(low.merge(3, 5, priority=0.8), 0.05)


def test_editing__begins_with_the_constraints_of_the_tree():
    held = line(cannot_link=[(5, 6)])
    assert in_words(held.separate(1, 5).reagglomerate(np.inf, [6])) == ["1234", "5", "6"]
    with pytest.raises(ConstraintError, match=r"5 and 6 \(cannot_link\)"):
        held.merge(6, 1)


def test_split_by_seeds__seeds_that_were_separated_stay_so():
    with pytest.raises(ConstraintError, match=r"1 and 6 \(cannot_link\)"):
        line().separate(1, 6).merge(4, 6).split_by_seeds([[1, 6], [3]])


def test_edits__that_take_apart_what_must_link_are_refused():
    linked = line(must_link=[(2, 5)])
    for edit in (
        lambda: linked.undo(2, 5),
        lambda: linked.separate(5, 2),
        lambda: linked.split_by_seeds([[2], [5]]),
    ):
        with pytest.raises(ConstraintError, match=r"2 and 5"):
            edit()


def test_policy__that_fails_leaves_what_was_there():
    g = Rag(LINE, STEPS, lambda g, u, v: 0.0)
    g.agglomerate(1)
    g.separate_fragments(1, 6)
    g.merge_priority_function = lambda g, u, v: np.nan
    before = g.names.tolist(), g.tree.children.tolist(), g.edit_log
    with pytest.raises(PolicyError, match="gave NaN"):
        g.reagglomerate(1)
    assert (g.names.tolist(), g.tree.children.tolist(), g.edit_log) == before


@pytest.mark.parametrize(
    ("kind", "arguments", "error", "message"),
    [
        ("merge", (1, 9), LabelError, "no region with label 9"),
        ("merge", (1, 2), SettingError, "regions 1 and 2 are in one segment already"),
        ("merge", (5, 5), SettingError, "two different regions are needed; got 5 twice"),
        ("merge", (1, 5, np.nan), SettingError, "priority must be a number; got nan"),
        ("merge", (1, "x"), SettingError, "b must be a label; got 'x'"),
        ("split", (1, 2.5), SettingError, r"n must be a whole number; got 2\.5"),
        ("split_by_seeds", ([1, 2],), SettingError, r"seeds must be lists of labels; got \[1, 2\]"),
        ("split_by_seeds", ([[-1], [2]],), LabelError, "no region with label -1"),
        ("undo", (1, 5), SettingError, "1 and 5 are in different segments"),
        ("undo", (0, 5), LabelError, "no region with label 0"),
        ("separate", (2, 2), SettingError, "two different regions are needed; got 2 twice"),
        ("separate", (2, 77), LabelError, "no region with label 77"),
        ("split_by_seeds", ([[1]],), SettingError, "two groups of regions or more"),
        ("split_by_seeds", ([[1], []],), SettingError, "none of them empty"),
        ("split_by_seeds", ([[1], [2, 77]],), LabelError, "no region with label 77"),
        ("split_by_seeds", ([[1], [2, 1]],), SettingError, "a seed of one group only; in several are 1"),
        ("split_by_seeds", ([[1], [5, 2, 6]],), SettingError, "outside that of region 1 are 5, 6"),
        ("split", (77,), LabelError, "no region with label 77"),
        ("split", (6,), SettingError, "region 6 is a segment of a single region, which cannot be split"),
        ("split", (1, 5), SettingError, "n must be from 2 to 4: the segment of 1 has 4 regions; got 5"),
        ("split", (1, 1), SettingError, "n must be from 2 to 4: the segment of 1 has 4 regions; got 1"),
        ("reagglomerate", (np.nan,), SettingError, "threshold must be a number; got nan"),
        ("reagglomerate", (0.5, [77]), LabelError, "no region with label 77"),
    ],
)
def test_edits__that_make_no_sense_say_why(kind, arguments, error, message):
    begin = line().undo(1, 6).undo(5, 6)
    assert in_words(begin) == ["1234", "5", "6"]
    before = merges(begin)
    with pytest.raises(error, match=message):
        getattr(begin, kind)(*arguments)
    assert merges(begin) == before


def test_replay__says_which_edit_failed():
    with pytest.raises(SettingError) as failed:
        line().replay([Edit("undo", {"a": 1, "b": 6}), Edit("undo", {"a": 1, "b": 6})])
    assert failed.value.__notes__ == ["This was in the edit undo, {'a': 1, 'b': 6}."]


def test_editing__tree_of_another_graph_is_refused():
    begin = line()
    with pytest.raises(SettingError, match="one leaf for each of 6 regions of the graph; it has 5"):
        Editing(begin.graph, type(begin.tree).empty(5), boundary_mean)
    with pytest.raises(PolicyError, match="must be callable"):
        Editing(begin.graph, begin.tree, "boundary_mean")


def test_log__is_json_without_infinity():
    log = line().undo(1, 6).merge(1, 6).reagglomerate(np.inf).split_by_seeds([[1], [6]]).log
    text = edits_to_json(log)
    assert edits_from_json(text) == log
    assert [line["kind"] for line in json.loads(text, parse_constant=pytest.fail)] == [edit.kind for edit in log]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "5",
        "[5]",
        "[{}]",
        '[{"kind": "harm"}]',
        '[{"kind": "undo"}]',
        '[{"kind": "undo", "a": 1, "b": 2, "c": 3}]',
        '[{"kind": "reagglomerate", "threshold": "high", "regions": []}]',
    ],
)
def test_log__that_is_none_is_refused(text):
    with pytest.raises(SettingError, match="this is no log of edits"):
        edits_from_json(text)


def test_edit__of_a_kind_that_there_is_not():
    with pytest.raises(SettingError, match=r"an edit is one of merge, undo, .*; got 'harm'"):
        Edit("harm", {})


# -------------------------------------------------------------------------------------- the historic interface


@given(volumes(), _thresholds, st.data())
@few
def test_rag__edits_as_editing_does(volume, threshold, data):
    labels, image, connectivity = volume
    g = Rag(labels, image, connectivity=connectivity)
    g.agglomerate(threshold)
    editing = Editing(g.graph, g.tree, boundary_mean)
    for _ in range(3):
        edit = data.draw(edits(editing))
        try:
            editing = editing.replay([edit])
        except GalaError as error:
            before = g.tree.children.tolist(), g.names.tolist()
            with pytest.raises(type(error)):
                g.replay([edit])
            assert (g.tree.children.tolist(), g.names.tolist()) == before
            continue
        numbers = {n: g.nodes[n]["fragments"] for n in g.nodes() if n != g.boundary_body}
        g.replay([edit])
        assert_array_equal(g.tree.children, editing.tree.children)
        assert_array_equal(g.tree.priority, editing.tree.priority)
        for n in g.nodes():
            if n in numbers:
                assert g.nodes[n]["fragments"] == numbers[n], "a number is never given to another region"
    assert g.edit_log == editing.log


def example():
    g = Rag(LINE, STEPS)
    g.agglomerate(1)
    assert g.names[g.tree.children].tolist() == [[1, 2], [3, 4], [5, 6], [8, 9], [10, 11]]
    return g


def test_delete_merge__leaves_the_parts_and_numbers_go_on():
    g = example()
    assert g.delete_merge(11) == [8, 9, 10]
    assert g.nodes() == [8, 9, 10, g.boundary_body]
    for gone in (11, 12):
        with pytest.raises(LabelError, match=f"region {gone} is there no more: the merge that made it was undone"):
            g.extent(gone)
    assert g.merge_nodes(8, 9) == 13
    assert g.delete_merge(9) == [3, 4, 8]
    with pytest.raises(LabelError, match="region 4 is one that the graph was made from"):
        g.delete_merge(4)
    with pytest.raises(LabelError, match="there is no region 99, and there never was"):
        g.delete_merge(99)
    g.agglomerate(1)
    assert g.nodes()[0] > 13


def test_separate_fragments__holds_in_the_graph_and_its_copies():
    g = example()
    assert g.separate_fragments(1, 6) == [10, 11]
    for graph in (g, g.copy()):
        graph.agglomerate(np.inf)
        assert graph.get_segmentation().tolist() == [1] * 8 + [5] * 4
    with pytest.raises(ConstraintError, match="1 and 6"):
        g.merge_nodes(*g.nodes()[:2])


def test_reagglomerate__leaves_other_regions_alone():
    g = example()
    g.separate_fragments(1, 6)
    assert g.reagglomerate(0.5) == []
    g.separate_fragments(1, 4)
    assert g.nodes()[:-1] == [8, 9, 10]
    assert g.reagglomerate(1) == []
    assert g.reagglomerate(1, [9, 10]) == [13]


def test_split_node__and_split_by_seeds_return_the_new_regions():
    g = example()
    assert g.split_node(12) == [10, 11]
    assert g.split_by_seeds([[1], [4]]) == [8, 9]
    with pytest.raises(SettingError, match="n must be 2: "):
        g.split_node(10, 3)
    with pytest.raises(KeyError, match="region 1 is part of a larger one"):
        g.split_node(1)


def test_merge_subgraph__merges_what_touches():
    g = Rag(LINE, STEPS)
    assert g.merge_subgraph([6, 1, 2, 3, 5]) == [9, 10]
    assert [sorted(g.nodes[n]["fragments"]) for n in (9, 10)] == [[1, 2, 3], [5, 6]]
    assert g.merge_subgraph([10, 4], source=10) == [11]
    assert g.names[g.tree.children[-1]].tolist() == [4, 10]
    assert g.merge_subgraph() == [12]
    assert g.get_segmentation().tolist() == [1] * 12
    with pytest.raises(KeyError, match="region 4 is part"):
        g.merge_subgraph([12, 4])


def test_merge_subgraph__that_is_forbidden_merges_nothing():
    g = Rag(LINE, STEPS)
    g.separate_fragments(1, 3)
    with pytest.raises(ConstraintError):
        g.merge_subgraph()
    assert g.n_merges == 0


def test_edit_log__of_a_graph_replays_in_another():
    g, other = example(), example()
    g.separate_fragments(1, 6)
    g.merge_nodes(10, 11, 0.25, constraints="ignore")
    g.delete_merge(g.nodes()[0])
    g.split_node(11)
    other.replay(edits_from_json(edits_to_json(g.edit_log)))
    assert_array_equal(other.names, g.names)
    assert_array_equal(other.tree.children, g.tree.children)
    assert other.edit_log == g.edit_log


def test_edits__of_a_graph_with_large_labels():
    g = Rag(LINE.astype(np.uint64) + np.uint64(2**63 + 1), STEPS)
    g.agglomerate(1)
    top = 2**63 + 7
    assert g.separate_fragments(2**63 + 2, 2**63 + 7) == [top + 4, top + 5]
    assert g.reagglomerate(1) == []
    assert g.split_by_seeds([[2**63 + 2], [2**63 + 5]]) == [top + 2, top + 3]


class Count(Null):
    """Voxels of a region, kept by hand."""

    def create_node_cache(self, g, n):
        return np.array([float(len(g.extent(n)))])

    def update_node_cache(self, g, n1, n2, dst, src):
        return dst + src

    def create_edge_cache(self, g, n1, n2):
        return np.zeros(1)


def test_edits__with_a_policy_that_looks_at_voxels():
    g = Rag(LINE, STEPS, agglo.boundary_median)
    g.agglomerate(1)
    assert g.separate_fragments(1, 6) == [10, 11]
    assert g.split_node(11) == [8, 9]


def test_edits__with_a_hand_written_manager():
    g = Rag(LINE, STEPS, lambda g, u, v: g.nodes[u]["feature-cache"][0] / 16, feature_manager=Count())
    g.agglomerate(1)
    whole = g.nodes()[0]
    assert g.nodes[whole]["feature-cache"] == [12]
    parts = g.split_by_seeds([[1], [6]])
    assert sum(g.nodes[n]["feature-cache"][0] for n in parts) == 12
    assert [g.nodes[n]["feature-cache"][0] for n in parts] == [len(g.extent(n)) for n in parts]


def test_page__says_what_happens():
    page = Path(__file__).parents[1] / "docs" / "editing.md"
    options = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
    assert doctest.testfile(str(page), module_relative=False, optionflags=options).failed == 0


# ------------------------------------------------------------------------------------------------- real data


@pytest.fixture(scope="module")
def real():
    labels, image, truth = (read(f"test-{name}") for name in ("ws", "p1", "gt"))
    graph = build_graph(labels, image, boundary_mean.needs)
    tree = agglomerate(graph, boundary_mean)
    return graph, tree, labels, truth


def segmentation(editing, labels):
    return editing.graph.labels[editing.tree.cut()][editing.graph.find(labels)]


@pytest.mark.compiled
def test_real_volume__separating_two_superpixels_changes_one_segment(real):
    graph, tree, labels, _ = real
    begin = Editing(graph, tree.below(0.5), boundary_mean)
    segment = max(segments(begin), key=len)
    a, b = min(segment), max(segment)
    edited = begin.separate(a, b).reagglomerate(0.5)
    before, after = segmentation(begin, labels), segmentation(edited, labels)
    assert (before == after)[~np.isin(labels, list(segment))].all()
    assert holding(edited, a) != holding(edited, b)
    assert len(segments(edited)) - len(segments(begin)) < len(segment) - 1, "the rest is put together again"


@pytest.mark.compiled
def test_real_volume__seeds_from_the_truth_lower_false_merges(real):
    graph, tree, labels, truth = real
    begin = Editing(graph, tree.below(0.8), boundary_mean)
    table = evaluate.contingency_table(labels, truth, norm=False).tocsr()
    main = {label: int(np.asarray(table[label].todense()).ravel()[1:].argmax()) + 1 for label in graph.labels.tolist()}
    size = dict(zip(graph.labels.tolist(), graph.sizes.tolist(), strict=True))
    segment = max(segments(begin), key=lambda s: len({main[label] for label in s}))
    by_object = {}
    for label in sorted(segment, key=size.get):
        by_object[main[label]] = label  # the largest
    seeds = sorted(by_object.values(), key=size.get)[-2:]
    split = begin.split_by_seeds([[seed] for seed in seeds])
    assert len(segments(split)) == len(segments(begin)) + 1
    before, after = (evaluate.split_vi(segmentation(e, labels), truth) for e in (begin, split))
    assert after[0] < before[0]
    assert after.sum() < before.sum()
