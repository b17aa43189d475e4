"""Constraints: no cut of any tree breaks one, whatever the engine; what contradicts itself is never made."""

# ruff: noqa: ARG002  # feature managers share signatures

from __future__ import annotations

import doctest
import itertools
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from numpy.testing import assert_array_equal

import naive_engine
from gala import Constraints, MergeTree
from gala.agglo import Rag, boundary_mean
from gala.engine.agglomerate import agglomerate
from gala.errors import ConstraintError, FileError, GalaError, LabelError, SettingError, ShapeError
from gala.features.base import Null
from gala.graph.build import build_graph
from naive_engine import each, volumes

some = settings(deadline=None, max_examples=30)
few = settings(deadline=None, max_examples=15)
rescores = st.sampled_from(["shared", "all"])


# ---------------------------------------------------------------------------- the slow twin, and what to try it on


@dataclass
class Rules:
    """What constraints say, as a user writes it; each pair of superpixels is looked at by itself."""

    must_link: list
    cannot_link: list
    frozen: list
    exclusions: list
    classes: list
    compatible: np.ndarray

    @property
    def constraints(self):
        return Constraints(**vars(self))

    def against(self, a, b):
        """Return the kinds of constraint that keep two different superpixels apart."""
        marks = [{mark for label, mark in self.exclusions if label == n and mark} for n in (a, b)]
        of = dict(self.classes)
        apart = {
            "cannot_link": (a, b) in self.cannot_link or (b, a) in self.cannot_link,
            "frozen": a in self.frozen or b in self.frozen,
            "exclusions": bool(marks[0] & marks[1]),
            "classes": not self.compatible[of.get(a, 0), of.get(b, 0)],
        }
        return {kind for kind, yes in apart.items() if yes}

    def groups(self):
        """Return the sets of superpixels that must be together."""
        groups = []
        for pair in self.must_link:
            touched = [group for group in groups if group & set(pair)]
            groups = [group for group in groups if group not in touched] + [set(pair).union(*touched)]
        return groups

    def contradictions(self):
        """Return what keeps superpixels apart that must be together, by pairs."""
        pairs = [pair for group in self.groups() for pair in itertools.combinations(sorted(group), 2)]
        return {pair: kinds for pair in pairs if (kinds := self.against(*pair))}


class Twin(naive_engine.Graph):
    """A slow graph that looks at all pairs of superpixels before it merges two regions."""

    def __init__(self, volume, rules):
        labels, image, connectivity = volume
        super().__init__(labels, image, connectivity)
        self.rules = rules
        home = {}
        for label in sorted(set().union(*rules.groups())):
            group = next(i for i, group in enumerate(rules.groups()) if label in group)
            if group in home:
                new = self.next
                self.merge(home[group], label)
                self.scores.append(-np.inf)
            home[group] = new if group in home else label

    def may_merge(self, u, v):
        pairs = itertools.product(self.regions[u].leaves, self.regions[v].leaves)
        return not any(self.rules.against(*pair) for pair in pairs)


def draw_rules(draw, names, *, consistent=True, most=6):
    """Return any rules about superpixels of these names; many of the pairs do not touch."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    names = np.asarray(names)

    def some_of(n_columns):
        n_rows = rng.integers(most + 1) if draw(st.booleans()) else 0
        rows = rng.choice(names, (n_rows, n_columns))
        return [tuple(row) for row in rows.tolist() if len(set(row)) == n_columns]

    n_classes = draw(st.sampled_from([2, 4, 63]))
    compatible = rng.random((n_classes, n_classes)) < 0.5
    compatible = compatible & compatible.T
    compatible[0] = compatible[:, 0] = True
    rules = Rules(
        must_link=[],
        cannot_link=some_of(2),
        frozen=[label for (label,) in some_of(1)[:1]],
        exclusions=[(label, int(rng.integers(4))) for (label,) in some_of(1)],
        classes=[(n, int(rng.integers(n_classes))) for n in sorted({label for (label,) in some_of(1)})],
        compatible=compatible,
    )
    for pair in some_of(2):
        rules.must_link.append(pair)
        if consistent and rules.contradictions():
            rules.must_link.pop()
    return rules


@st.composite
def constrained_volumes(draw):
    """Return a volume and rules about its superpixels."""
    volume = draw(volumes())
    return volume, draw_rules(draw, np.unique(volume[0]))


@st.composite
def any_rules(draw, *, consistent=True):
    return draw_rules(draw, range(8), consistent=consistent, most=12)


def run(volume, policy, **options):
    labels, image, connectivity = volume
    g = Rag(labels, image, policy, connectivity=connectivity, **options)
    g.agglomerate(np.inf)
    return g


def assert_same(g, twin):
    assert [tuple(pair) for pair in g.names[g.tree.children].tolist()] == twin.history
    assert g.tree.priority.tolist() == twin.scores
    assert_array_equal(g.get_segmentation(), twin.segmentation())


# ------------------------------------------------------------------------------------------------------- laws


@given(constrained_volumes(), rescores)
@some
def test_engines__make_the_merges_of_their_slow_twin(given, rescore):
    volume, rules = given
    twin = Twin(volume, rules).agglomerate(each(naive_engine.mean), rescore=rescore)
    for policy in (boundary_mean, lambda g, edges: boundary_mean(g, edges)):
        g = run(volume, policy, constraints=rules.constraints, update_unchanged_edges=rescore == "all")
        assert_same(g, twin)
    labels, image, connectivity = volume
    graph = build_graph(labels, image, boundary_mean.needs, connectivity=connectivity)
    tree = agglomerate(graph, boundary_mean, rescore=rescore, constraints=rules.constraints)
    assert_array_equal(tree.children, g.tree.children)
    assert_array_equal(tree.priority, g.tree.priority)
    assert tree.constraints == g.tree.constraints == rules.constraints


@given(constrained_volumes(), st.floats(0, 1))
@some
def test_no_cut__breaks_a_constraint(given, threshold):
    volume, rules = given
    g = run(volume, boundary_mean, constraints=rules.constraints)
    labels = g.graph.labels
    for t in (-np.inf, threshold, np.inf):
        segments = g.tree.cut(t)
        assert rules.constraints.violations(labels, segments) == []
        segment = dict(zip(labels.tolist(), segments.tolist(), strict=True))
        together = [p for p in itertools.combinations(labels.tolist(), 2) if segment[p[0]] == segment[p[1]]]
        assert [pair for pair in together if rules.against(*pair)] == []
        assert [pair for pair in rules.must_link if segment[pair[0]] != segment[pair[1]]] == []


@given(volumes(), st.floats(0, 1))
@some
def test_constraints__that_never_bind_change_nothing(volume, threshold):
    labels, image, connectivity = volume
    graph = build_graph(labels, image, boundary_mean.needs, connectivity=connectivity)
    tree = agglomerate(graph, boundary_mean, threshold)
    segments = tree.cut()
    roots, index, sizes = np.unique(segments, return_inverse=True, return_counts=True)
    idle = Constraints(
        cannot_link=list(itertools.combinations(graph.labels[roots].tolist(), 2)),
        frozen=graph.labels[sizes[index] == 1],
        exclusions=[(graph.labels[root], 1) for root in roots],
        classes=np.column_stack([graph.labels, index % 62 + 1]),
        compatible=np.eye(63, dtype=bool) | (np.arange(63) == 0) | (np.arange(63) == 0)[:, None],
    )
    for constraints in (idle, Constraints()):
        again = agglomerate(graph, boundary_mean, threshold, constraints=constraints)
        assert_array_equal(again.children, tree.children)
        assert_array_equal(again.priority, tree.priority)


@given(any_rules(), st.lists(st.integers(0, 3), min_size=8, max_size=8))
@settings(deadline=None, max_examples=100)
def test_violations__are_those_of_all_pairs_looked_at_one_by_one(rules, segments):
    found = rules.constraints.violations(range(8), segments)
    pairs = [pair for pair in itertools.combinations(range(8), 2) if segments[pair[0]] == segments[pair[1]]]
    expected = {(kind, segments[u]) for u, v in pairs for kind in rules.against(u, v)}
    apart = {tuple(sorted(pair)) for pair in rules.must_link if segments[pair[0]] != segments[pair[1]]}
    assert {(x.u, x.v) for x in found if x.kind == "must_link"} == apart
    assert {(x.kind, segments[x.u]) for x in found if x.kind != "must_link"} == expected
    assert all(
        x.kind in rules.against(x.u, x.v) and segments[x.u] == segments[x.v] for x in found if x.kind != "must_link"
    )


@given(any_rules(consistent=False))
@settings(deadline=None, max_examples=100)
def test_contradictions__are_found_through_chains_and_named(rules):
    wrong = rules.contradictions()
    if not wrong:
        assert len(rules.constraints.must_link) == len({frozenset(pair) for pair in rules.must_link})
        return
    with pytest.raises(ConstraintError, match="must_link joins superpixels that must stay apart") as error:
        _ = rules.constraints
    named = re.findall(r"(\d+) and (\d+) \((\w+)\)", str(error.value))
    assert named
    assert all(kind in wrong[tuple(sorted((int(u), int(v))))] for u, v, kind in named)


@given(any_rules(), any_rules())
@settings(deadline=None, max_examples=60)
def test_and__allows_what_both_allow(first, second):
    second.classes = []
    first.must_link, second.must_link = [], second.must_link[:1]
    a, b = first.constraints, second.constraints
    assert a & a == a == Constraints() & a == a & Constraints()
    try:
        both = a & b
    except ConstraintError:
        assert [pair for pair in second.must_link if first.against(*pair)]
        return
    assert both == b & a
    for pair in itertools.combinations(range(8), 2):
        kinds = {x.kind for x in both.violations(pair, [0, 0])}
        assert kinds == first.against(*pair) | second.against(*pair)


@given(any_rules(), st.randoms(use_true_random=False))
@few
def test_constraints__that_say_the_same_are_equal_and_survive_a_file(tmp_path_factory, rules, random):
    constraints = rules.constraints
    renumbered = [(label, mark and 900 - mark) for label, mark in rules.exclusions]
    rows = (rules.must_link, rules.cannot_link, rules.frozen, renumbered, rules.classes)
    for part in rows:
        random.shuffle(part)
    links = [[(v, u) for u, v in part] + part for part in rows[:2]]
    assert Constraints(*links, *rows[2:], rules.compatible) == constraints
    file = tmp_path_factory.getbasetemp() / "constraints.npz"
    constraints.save(file)
    assert Constraints.load(file) == constraints
    MergeTree(2, np.array([[0, 1]]), np.array([0.5]), constraints).save(file)
    assert MergeTree.load(file).constraints == constraints
    with pytest.raises(FileError, match="does not hold constraints"):
        Constraints.load(file)


@given(constrained_volumes())
@few
def test_learning__obeys(given):
    volume, rules = given
    labels, image, connectivity = volume
    g = Rag(labels, image, connectivity=connectivity, constraints=rules.constraints)
    twin = Twin(volume, rules)
    flat = g.learn_flat(np.ones(labels.shape, int), Null())
    assert [tuple(pair) for pair in flat.merges.tolist()] == g.real_edges()
    assert flat.y[:, 0].tolist() == [-1 if twin.may_merge(u, v) else 1 for u, v in g.real_edges()]
    n_linked = len(twin.history)
    twin.agglomerate(each(naive_engine.mean))
    settings = {"learning_mode": "loose", "priority_mode": "mean", "min_num_epochs": 1, "max_num_epochs": 1}
    _, (epoch,) = g.learn_agglomerate(np.ones(labels.shape, int), Null(), learn_flat=False, unique=False, **settings)
    assert [tuple(pair) for pair in epoch.merges.tolist()] == twin.history[n_linked:]


@given(constrained_volumes())
@few
def test_copies__keep_constraints(given):
    volume, rules = given
    g = run(volume, boundary_mean, constraints=rules.constraints)
    labels, image, connectivity = volume
    other = Rag(labels, image, connectivity=connectivity, constraints=rules.constraints).copy()
    assert other.constraints == rules.constraints
    other.agglomerate(np.inf)
    assert_array_equal(other.tree.children, g.tree.children)


# ------------------------------------------------------------------------------------------------- the doors

ROW = np.array([1, 1, 2, 2, 3, 3, 4, 4])  # four regions in a row
FLAT = np.zeros(8)


def test_rag__historic_arguments_are_constraints():
    exclusions = [0, 5, 5, 0, 7, 0, 0, 0]
    g = Rag(
        ROW,
        FLAT,
        exclusions=exclusions,
        isfrozennode=lambda _, n: n == 4,
        isfrozenedge=lambda _, u, v: (u, v) == (2, 3),
        constraints=Constraints(classes=[(1, 2)]),
    )
    expected = Constraints(cannot_link=[(2, 3)], frozen=[4], exclusions=[(1, 1), (2, 1)], classes=[(1, 2)])
    assert g.constraints == g.tree.constraints == expected
    g.agglomerate(1.0)
    assert g.n_merges == 0
    free = Rag(ROW, FLAT)
    free.agglomerate(1.0)
    assert (free.n_merges, free.tree.constraints) == (3, Constraints())


def test_merge_nodes__refuses_what_constraints_forbid_and_names_it():
    rules = Constraints(cannot_link=[(1, 2), (1, 4)], exclusions=[(2, 1), (3, 1)])
    g = Rag(ROW, FLAT, constraints=rules)
    with pytest.raises(ConstraintError, match=r"regions 1 and 2 may not merge: superpixels 1 and 2 \(cannot_link\)"):
        g.merge_nodes(1, 2)
    with pytest.raises(ConstraintError, match=r"superpixels 1 and 4 \(cannot_link\)"):
        g.merge_nodes(4, 1)
    new = g.merge_nodes(1, 3)  # they do not touch
    with pytest.raises(
        ConstraintError, match=rf"regions {new} and 2 .* 1 and 2 \(cannot_link\), 2 and 3 \(exclusions\)"
    ):
        g.merge_nodes(new, 2)
    assert g.n_merges == 1
    with pytest.raises(SettingError, match='"obey" or "ignore"'):
        g.merge_nodes(new, 2, constraints="no")
    assert g.merge_nodes(new, 2, constraints="ignore") == new + 1
    g.agglomerate(1.0)
    assert g.n_merges == 2  # 1 and 4 stay apart


def test_must_link__holds_for_a_graph_with_caches_made_by_hand():
    class Voxels(Null):
        def create_node_cache(self, g, n):
            return len(g.extent(n))

        def create_edge_cache(self, g, u, v):
            return len(g.boundary(u, v))

        def update_node_cache(self, g, n1, n2, dst, src):
            return dst + src

        def update_edge_cache(self, g, e1, e2, dst, src):
            return dst + src

    def asks(g, n):
        return g.node_cache(n) > 2  # the caches are made before anything is merged

    g = Rag(ROW, FLAT, feature_manager=Voxels(), constraints=Constraints(must_link=[(4, 1)]), isfrozennode=asks)
    assert [g.node_cache(n) for n in g.nodes() if n != g.border] == [2, 2, 4]
    assert [g.edge_cache(u, v) for u, v in g.real_edges()] == [2, 2, 2]
    g.agglomerate(1.0)
    assert g.node_cache(g.names[6]) == 8


def test_superpixels__may_have_the_largest_labels():
    labels = np.array([2**64 - 1, 2**63, 0, 2**64 - 2], dtype=np.uint64)
    g = Rag(labels, np.zeros(4), constraints=Constraints(must_link=[(2**64 - 1, 0)], cannot_link=[(2**63, 2**64 - 1)]))
    g.agglomerate(1.0)
    assert g.tree.cut().tolist() == [0, 1, 0, 0]  # in the order of the labels


def test_classes__of_the_highest_number_and_frozen_regions_keep_apart():
    rules = Constraints(classes=[(1, 62), (2, 61), (3, 61)], frozen=[4])
    tree = Rag(ROW, FLAT, constraints=rules)
    tree.agglomerate(1.0)
    assert tree.get_segmentation().tolist() == [1, 1, 2, 2, 2, 2, 4, 4]


@given(volumes(), st.integers(0, 2**32 - 1), st.booleans(), st.sampled_from([None, 0, 7]))
@few
def test_from_images__count_the_voxels_of_regions(volume, seed, is_masked, background):
    rng = np.random.default_rng(seed)
    labels, other = volume[0], rng.integers(0, 4, volume[0].shape)
    mask = rng.random(labels.shape) < 0.7 if is_masked else None
    options = {"mask": mask, "background": background}
    there = np.ones(labels.shape, bool) if mask is None else mask
    names = [n for n in np.unique(labels[there]).tolist() if n != background]
    held = {n: other[there & (labels == n)] for n in names}
    rows = [(n, mark) for n in names for mark in set(held[n].tolist())]
    assert Constraints.from_exclusions(labels, other, **options) == Constraints(exclusions=rows)
    most = [(n, np.bincount(held[n]).argmax()) for n in names]
    assert Constraints.from_classes(labels, other, **options).classes.tolist() == [[n, c] for n, c in most if c]


# --------------------------------------------------------------------------------------------- what goes wrong


@pytest.mark.parametrize(
    ("wrong", "kind", "message"),
    [
        ({"must_link": [(3, 3)]}, ConstraintError, "must_link must pair two different superpixels; got 3 with itself"),
        ({"cannot_link": [(1, 2), (5, 5)]}, ConstraintError, "cannot_link must pair two .* got 5"),
        ({"must_link": (1, 2)}, ShapeError, r"must_link must be rows of two, shape \(n, 2\); got shape \(2,\)"),
        ({"exclusions": [(1, 2, 3)]}, ShapeError, r"exclusions must be rows of two.* got shape \(1, 3\)"),
        ({"frozen": [[1, 2]]}, ShapeError, r"frozen must be a list of labels.* got shape \(1, 2\)"),
        ({"frozen": [-1]}, LabelError, "frozen must hold labels"),
        ({"classes": [(1, 63)]}, ConstraintError, "classes must be from 1 to 62, or 0; superpixel 1 has 63"),
        ({"classes": [(4, 1), (4, 2)]}, ConstraintError, "one class; got several for 4"),
        (
            {"classes": [(9, 2)], "compatible": np.ones((2, 2))},
            ConstraintError,
            "from 1 to 1, or 0; superpixel 9 has 2",
        ),
        ({"compatible": np.ones((64, 64))}, ConstraintError, "62 classes besides 0; compatible has 63"),
        ({"compatible": np.ones((2, 3))}, ShapeError, r"a row and a column for each class.* got shape \(2, 3\)"),
        (
            {"compatible": [[1, 1, 1], [1, 1, 0], [1, 1, 1]]},
            ConstraintError,
            "symmetric; for classes 1 and 2 it is not",
        ),
        ({"compatible": [[1, 0], [0, 1]]}, ConstraintError, "row 0 of compatible must be True"),
        ({"compatible": [[1, 2], [2, 1]]}, ConstraintError, "True and False, or 1 and 0"),
        ({"must_link": [(1, 2)], "frozen": [2]}, ConstraintError, r"2 and 1 \(frozen\)"),
        ({"must_link": [(1, 2)], "classes": [(1, 1), (2, 2)]}, ConstraintError, r"1 and 2 \(classes\)"),
    ],
)
def test_constraints__that_make_no_sense_are_refused(wrong, kind, message):
    with pytest.raises(kind, match=message):
        Constraints(**wrong)


def test_contradictions__ten_are_named_and_all_are_counted():
    pairs = [(2 * i, 2 * i + 1) for i in range(12)]
    with pytest.raises(ConstraintError, match=r"18 and 19 \(cannot_link\), \.\.\. \(12 in all\)"):
        Constraints(must_link=pairs, cannot_link=pairs)


def test_and__of_classes_that_do_not_agree_is_refused():
    axons = Constraints(classes=[(1, 1)], compatible=np.ones((3, 3)))
    with pytest.raises(ConstraintError, match="one says that classes 1 and 2 are, the other not"):
        axons & Constraints(classes=[(2, 2)])
    with pytest.raises(ConstraintError, match="one class; got several for 1"):
        axons & Constraints(classes=[(1, 2)], compatible=np.ones((3, 3)))


def test_unknown_superpixels__are_named_by_list_before_anything_is_done():
    graph = build_graph(ROW, FLAT, boundary_mean.needs)
    wrong = Constraints(must_link=[(1, n) for n in range(10, 22)], exclusions=[(1, 99), (88, 99)], classes=[(77, 1)])
    message = r"must_link names 10, 11, .* 19, \.\.\. \(12 in all\); exclusions names 88; classes names 77\."
    with pytest.raises(LabelError, match=message):
        agglomerate(graph, boundary_mean, constraints=wrong)
    with pytest.raises(LabelError, match=message):
        Rag(ROW, FLAT, constraints=wrong)


@pytest.mark.parametrize("make", [Constraints.from_exclusions, Constraints.from_classes])
def test_from_images__that_do_not_fit_are_refused(make):
    with pytest.raises(ShapeError, match=r"must have the shape of the labels, \(8,\); got \(7,\)"):
        make(ROW, ROW[1:])
    with pytest.raises(GalaError, match="must hold"):
        make(ROW, FLAT - 0.5)


# ---------------------------------------------------------------------------------------------------- the page


def test_page__is_true():
    page = Path(__file__).parents[1] / "docs" / "constraints.md"
    failed, tried = doctest.testfile(str(page), module_relative=False, optionflags=doctest.NORMALIZE_WHITESPACE)
    assert tried > 5
    assert failed == 0
