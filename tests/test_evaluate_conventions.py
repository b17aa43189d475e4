"""The conventions: each reproduces the numbers of its tool, and the comparison says why tools differ."""

from __future__ import annotations

import doctest
import json
from dataclasses import fields
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from hypothesis import assume, given, settings, strategies as st
from hypothesis.extra import numpy as hnp
from numpy.testing import assert_allclose, assert_array_equal
from skimage import metrics as skimage_metrics

import naive_evaluate as naive
from gala import evaluate as ev
from gala.errors import LabelError, SettingError, ShapeError

METRICS = {
    "split_vi": ev.split_vi,
    "rand_index": ev.rand_index,
    "adj_rand_index": ev.adj_rand_index,
    "fm_index": ev.fm_index,
    "adapted_rand_error": ev.adapted_rand_error,
    "edit_distance": ev.edit_distance,
    "cremi_score": ev.cremi_score,
    "average_precision": ev.average_precision,
}

some = settings(deadline=None, max_examples=50)
few = settings(deadline=None, max_examples=20)


def volumes(n, *, max_side=4, max_label=4):
    """Return `n` label volumes of one shape, of one to three dimensions."""
    shapes = hnp.array_shapes(min_dims=1, max_dims=3, min_side=1, max_side=max_side)
    labels = st.integers(0, max_label)
    return shapes.flatmap(lambda shape: st.tuples(*[hnp.arrays(np.int64, shape, elements=labels)] * n))


def elf_evaluation():
    return pytest.importorskip("elf.evaluation", reason="python-elf, which this convention reproduces, is not there")


# ---------------------------------------- scikit-image


@given(pair=volumes(2), alpha=st.sampled_from([0.0, 0.2, 0.5, 1.0]))
@some
def test_skimage__is_what_scikit_image_gives(pair, alpha):
    seg, truth = pair
    splits, merges = skimage_metrics.variation_of_information(truth, seg)
    assert_allclose(ev.split_vi(seg, truth, convention="skimage"), [merges, splits], atol=1e-12)
    known = truth != 0
    assume(known.any())
    # scikit-image divides by the pairs together on each side.
    assume(all(np.unique(labels[known], return_counts=True)[1].max() > 1 for labels in pair))
    error, recall, precision = skimage_metrics.adapted_rand_error(truth, seg, alpha=alpha)
    actual = ev.adapted_rand_error(seg, truth, all_stats=True, alpha=alpha, convention="skimage")
    assert_allclose(actual, [error, precision, recall], atol=1e-12)


@given(pair=volumes(2))
@some
def test_skimage__ignores_other_labels_as_scikit_image_does(pair):
    seg, truth = pair
    assume((truth != 2).any())
    splits, merges = skimage_metrics.variation_of_information(truth, seg, ignore_labels=[2])
    actual = ev.split_vi(seg, truth, convention="skimage", ignore_truth=[2])
    assert_allclose(actual, [merges, splits], atol=1e-12)


# ---------------------------------------- CREMI and SNEMI3D


@given(pair=volumes(2, max_side=3))
@some
def test_challenges__are_what_their_scripts_define(pair):
    seg, truth = pair
    assume((truth != 0).any())
    expected = naive.challenge_rand_error(seg, truth)
    for convention in ("cremi", "snemi3d"):
        assert_allclose(ev.adapted_rand_error(seg, truth, all_stats=True, convention=convention), expected, atol=1e-12)
    vi_parts = naive.split_vi(seg, truth, (), (0,))
    assert_allclose(ev.split_vi(seg, truth, convention="cremi"), vi_parts, atol=1e-12)
    score = np.sqrt(max(0, sum(vi_parts) * expected[0]))
    assert_allclose(ev.cremi_score(seg, truth), score, atol=1e-7)


def test_challenges__by_hand():
    # Four voxels have truth. Pairs: truth 9 + 1; regions 4, and 2 void voxels that count 1/5 each; in both 4.
    seg, truth = [1, 1, 0, 0, 7], [1, 1, 1, 2, 0]
    error, precision, recall = ev.adapted_rand_error(seg, truth, all_stats=True, convention="snemi3d")
    assert (precision, recall) == pytest.approx((1, 4.4 / 10))
    assert error == pytest.approx(1 - 2 * 4.4 / 14.4)


def test_cremi__void_of_its_files_is_ignored_if_asked_for():
    void = 2**64 - 1
    seg, truth = np.array([0, 1, 1, 2, 2]), np.array([0, 0, 5, 5, void], dtype=np.uint64)
    shifted = np.array([1, 1, 6, 6, 0])  # as its class does it, before it ignores 0
    expected = naive.challenge_rand_error(seg, shifted)
    actual = ev.adapted_rand_error(seg, truth, all_stats=True, convention="cremi", ignore_truth=[void])
    assert_allclose(actual, expected, atol=1e-12)
    vi_parts = ev.split_vi(seg, truth, convention="cremi", ignore_truth=[void])
    assert_allclose(vi_parts, naive.split_vi(seg, shifted, (), (0,)), atol=1e-12)


def test_challenges__table_without_void_still_knows_how_many_voxels_there_are():
    seg, truth = [1, 1, 0, 0, 7], [1, 1, 1, 2, 0]
    table = ev.contingency_table(seg, truth, ignore_truth=[0])
    assert table.n_ignored == 1
    expected = ev.adapted_rand_error(seg, truth, convention="cremi")
    assert ev.adapted_rand_error(table, convention="cremi") == expected


# ---------------------------------------- elf


@given(pair=volumes(2, max_side=3))
@some
def test_elf__is_what_its_definitions_give(pair):
    seg, truth = pair
    *rand_error, index = naive.elf_rand(seg, truth)
    assert_allclose(ev.adapted_rand_error(seg, truth, all_stats=True, convention="elf"), rand_error, atol=1e-12)
    assert_allclose(ev.rand_index(seg, truth, convention="elf"), index, atol=1e-12)
    assert_allclose(ev.split_vi(seg, truth, convention="elf"), naive.split_vi(seg, truth, (), ()), atol=1e-12)


@given(pair=volumes(2), ignored=st.sampled_from([{}, {"ignore_seg": [0]}, {"ignore_gt": [0, 1]}, "both"]))
@some
def test_elf__is_what_python_elf_gives(pair, ignored):
    elf = elf_evaluation()
    seg, truth = (labels.astype(np.uint64) for labels in pair)
    if ignored == "both":
        ignored = {"ignore_seg": [0], "ignore_gt": [0, 1]}
        left = (seg != 0) | (truth > 1)
    else:
        left = ~np.isin(seg, ignored.get("ignore_seg", [])) & ~np.isin(truth, ignored.get("ignore_gt", []))
    assume(left.any())
    error, index = elf.rand_index(seg, truth, **ignored)
    splits, merges = elf.variation_of_information(seg, truth, **ignored)
    assert_allclose(ev.adapted_rand_error(seg, truth, convention="elf", **ignored), error, atol=1e-12)
    assert_allclose(ev.rand_index(seg, truth, convention="elf", **ignored), index, atol=1e-12)
    assert_allclose(ev.split_vi(seg, truth, convention="elf", **ignored), [merges, splits], atol=1e-12)
    assume(splits + merges > 1e-9)  # elf takes the root of a rounding below 0
    assert_allclose(
        ev.cremi_score(seg, truth, convention="elf", **ignored), elf.cremi_score(seg, truth, **ignored)[3], atol=1e-9
    )


@given(pair=volumes(2, max_side=6), threshold=st.sampled_from([0.1, 0.25, 0.5, 0.6, 0.75, 1.0]))
@some
def test_elf__instances_are_what_python_elf_gives(pair, threshold):
    elf = elf_evaluation()
    seg, truth = (labels.astype(np.uint64) for labels in pair)
    assume(seg.any() and truth.any())
    matches = ev.match_instances(seg, truth, [threshold], convention="elf")
    stats = elf.matching(seg, truth, threshold=threshold)
    actual = [matches.precision[0], matches.recall[0], matches.f1[0], matches.average_precision[0]]
    assert actual == [stats[name] for name in ("precision", "recall", "f1", "segmentation_accuracy")]
    mean, accuracies = elf.mean_segmentation_accuracy(seg, truth, return_accuracies=True)
    assert_array_equal(ev.match_instances(seg, truth, convention="elf").average_precision, accuracies)
    assert ev.average_precision(seg, truth, convention="elf") == pytest.approx(mean, abs=1e-15)


@pytest.mark.parametrize("convention", ["gala", "elf"])
def test_elf__thresholds_are_sums_of_steps(convention):
    seg, truth = [1, 1, 1, 1, 0], [0, 1, 1, 1, 1]  # IoU 3/5
    n_matched = ev.match_instances(seg, truth, convention=convention).n_matched
    assert n_matched.tolist() == ([1, 1, 1] if convention == "gala" else [1, 1, 0]) + [0] * 7


# ---------------------------------------- instances


@given(pair=volumes(2, max_side=3), threshold=st.sampled_from([0.1, 0.25, 0.5, 0.6, 0.75, 1.0]))
@some
def test_match_instances__agrees_with_trying_all_ways(pair, threshold):
    assume(pair[0].any() or pair[1].any())
    matches = ev.match_instances(*pair, [threshold])
    assert (matches.n_matched[0], matches.n_seg, matches.n_truth) == naive.n_matched(*pair, threshold)


@given(pair=volumes(2))
@some
def test_average_precision__symmetric_and_one_at_a_match(pair):
    seg, truth = pair
    assume(seg.any() and truth.any())
    assert ev.average_precision(seg, seg) == 1
    assert ev.average_precision(seg, truth) == ev.average_precision(truth, seg)
    names = np.array([0, 30, 10, 20, 2**40])
    assert ev.average_precision(names[seg], truth) == ev.average_precision(seg, truth)
    assert ev.average_precision(ev.contingency_table(seg, truth)) == ev.average_precision(seg, truth)


def test_match_instances__precision_of_no_objects():
    matches = ev.match_instances([0, 0, 0], [1, 1, 2])
    assert (matches.precision == 1).all()
    assert not matches.recall.any()
    assert not ev.match_instances([0, 0, 0], [1, 1, 2], convention="elf").precision.any()


def test_match_instances__nothing_to_match_is_an_error():
    with pytest.raises(LabelError, match="no objects to match"):
        ev.match_instances([0, 0], [0, 0])
    for wrong in ([0.0], [1.5], [np.nan], []):
        with pytest.raises(SettingError, match="above 0 and at most 1"):
            ev.match_instances([1, 0], [1, 0], wrong)


# ---------------------------------------- boundaries


@given(
    pair=volumes(2, max_label=2),
    tolerance=st.sampled_from([0, 0.3, 1, 2.5]),
    sides=st.permutations([0.1, 1.0, 2.5]),
    ignored=st.sampled_from([(), (0,)]),
)
@some
def test_boundary_scores__agree_with_looking_at_every_voxel(pair, tolerance, sides, ignored):
    seg, truth = pair
    assume(~np.isin(truth, ignored).all())
    spacing = sides[: seg.ndim]
    scores = ev.boundary_scores(seg, truth, tolerance, spacing=spacing, ignore_truth=ignored)
    assert_allclose(scores[:2], naive.boundary_shares(seg, truth, tolerance, spacing, ignored), atol=1e-12)
    if not ignored:
        swapped = ev.boundary_scores(truth, seg, tolerance, spacing=spacing)
        assert scores == (swapped.recall, swapped.precision, swapped.f_score)
    assert ev.boundary_scores(seg, seg, 0) == (1, 1, 1)


def test_boundary_scores__tolerance_is_in_physical_units():
    seg, truth = np.repeat([1, 2], [3, 5]), np.repeat([1, 2], [5, 3])
    assert ev.boundary_scores(seg, truth, 8, spacing=[4]).f_score == 1
    assert ev.boundary_scores(seg, truth, 7.9, spacing=[4]).precision == 0.5
    assert ev.boundary_scores(seg[:, None] + [0, 0], truth[:, None] + [0, 0], 2, spacing=[2, 9]).f_score == 0.5
    assert ev.boundary_scores(seg, truth, 0.6, spacing=[0.3]).f_score == 1


def test_boundary_scores__side_without_boundary():
    assert ev.boundary_scores([1, 1], [1, 1], 0) == (1, 1, 1)
    assert ev.boundary_scores([1, 1], [1, 2], 5) == (1, 0, 0)


def test_boundary_scores__bad_input():
    for wrong in (-1, np.nan):
        with pytest.raises(SettingError, match="tolerance must be a distance"):
            ev.boundary_scores([1, 2], [1, 2], wrong)
    with pytest.raises(SettingError, match="spacing must be the size"):
        ev.boundary_scores([1, 2], [1, 2], 1, spacing=[1, 1])
    with pytest.raises(ShapeError, match="same shape"):
        ev.boundary_scores([1, 2], [1, 2, 3], 1)
    with pytest.raises(LabelError, match="no voxel is left"):
        ev.boundary_scores([1, 2], [0, 0], 1, ignore_truth=[0])
    with pytest.raises(LabelError, match="got -1"):
        ev.boundary_scores([1, 2], [0, -1], 1)


# ---------------------------------------- one mechanism


@pytest.mark.parametrize("metric", METRICS)
def test_metrics__unknown_and_undefined_conventions(metric):
    for convention in ev.CONVENTIONS:
        if convention in ev.conventions_of(metric):
            METRICS[metric]([1, 1, 2], [1, 1, 2], convention=convention)
        else:
            known = ", ".join(ev.conventions_of(metric))
            with pytest.raises(SettingError, match=f"{convention}' does not define {metric}; these do: {known}"):
                METRICS[metric]([1, 1, 2], [1, 1, 2], convention=convention)
    with pytest.raises(SettingError, match=r"must be one of gala, skimage, cremi, snemi3d, elf; got 'voi'"):
        METRICS[metric]([1, 1, 2], [1, 1, 2], convention="voi")


@pytest.mark.parametrize("metric", METRICS)
def test_metrics__labels_to_ignore_under_any_name(metric):
    rng = np.random.default_rng(0)
    seg, truth = rng.integers(0, 4, (2, 500))
    for side, names in (("seg", ["ignore_x"]), ("truth", ["ignore_y", "ignore_gt"])):
        expected = METRICS[metric](seg, truth, **{f"ignore_{side}": [1, 2]})
        for name in names:
            assert_array_equal(METRICS[metric](seg, truth, **{name: [1, 2]}), expected)
            with pytest.raises(SettingError, match=f"{name} is the historic name of ignore_{side}; got both"):
                METRICS[metric](seg, truth, **{f"ignore_{side}": [1], name: [1]})
    left = (seg != 1) & (truth != 3)
    rules = {"ignore_seg": [], "ignore_truth": []}
    if metric != "cremi_score":  # its voxels without region count by the size of the volume
        actual = METRICS[metric](seg, truth, ignore_seg=[1], ignore_truth=[3])
        assert_array_equal(actual, METRICS[metric](seg[left], truth[left], **rules))
    with pytest.raises(TypeError, match=rf"{metric}\(\) got an unexpected keyword argument 'ignore'"):
        METRICS[metric](seg, truth, ignore=[1])
    with pytest.raises(LabelError, match="no voxel is left to count"):
        METRICS[metric](seg, truth, ignore_seg=range(4))


@pytest.mark.parametrize(
    "labels", [[0, 2**64 - 1], {0, 2**64 - 1}, np.array([0, 2**64 - 1], dtype=np.uint64), (np.uint64(2**64 - 1), 0)]
)
def test_metrics__small_and_large_labels_to_ignore(labels):
    seg, truth = [1, 1, 2, 2], np.array([0, 5, 5, 2**64 - 1], dtype=np.uint64)
    assert_array_equal(ev.split_vi(seg, truth, ignore_truth=labels), [0, 1])
    assert ev.contingency_table(seg, truth, ignore_truth=labels).n_ignored == 2
    assert ev.boundary_scores(seg, truth, 0, ignore_truth=labels) == (0, 1, 0)
    with pytest.raises(LabelError, match=r"labels to ignore must hold labels: .* got -1"):
        ev.split_vi(seg, truth, ignore_truth=[-1])


def test_adapted_rand_error__alpha_weighs_precision():
    seg, truth = np.random.default_rng(0).integers(0, 4, (2, 100)) * [[1], [0]] + [[0], [1]]
    error, precision, recall = ev.adapted_rand_error(seg, truth, all_stats=True)
    assert (precision, recall) != (0.5, 0.5)
    assert ev.adapted_rand_error(seg, truth, alpha=1) == pytest.approx(1 - precision)
    assert ev.adapted_rand_error(seg, truth, alpha=0) == pytest.approx(1 - recall)
    assert error == pytest.approx(1 - 2 / (1 / precision + 1 / recall))
    with pytest.raises(SettingError, match=r"no alpha but 0\.5"):
        ev.adapted_rand_error(seg, truth, alpha=0.4, convention="elf")
    with pytest.raises(SettingError, match="from 0 to 1; got 2"):
        ev.adapted_rand_error(seg, truth, alpha=2)


def test_rules__of_ones_own():
    rules = ev.Rules(ignore_truth=(0,), pairs="ordered")
    seg, truth = np.random.default_rng(0).integers(0, 4, (2, 100))
    expected = naive.elf_rand(seg[truth != 0], truth[truth != 0])
    assert_allclose(ev.adapted_rand_error(seg, truth, all_stats=True, convention=rules), expected[:3], atol=1e-12)


# ---------------------------------------- laws under any convention


CASES = [(metric, convention) for metric in METRICS for convention in ev.conventions_of(metric)]


@pytest.mark.parametrize(("metric", "convention"), CASES)
@given(pair=volumes(2))
@few
def test_metrics__never_depend_on_names_of_labels_but_0(metric, convention, pair):
    assume(((pair[0] != 0) & (pair[1] != 0)).any())
    names = np.array([0, 70, 2**40, 3, 2**64 - 1], dtype=np.uint64)
    expected = METRICS[metric](*pair, convention=convention)
    assert_allclose(METRICS[metric](*names[np.stack(pair)], convention=convention), expected, atol=1e-7)
    table = ev.contingency_table(*pair)
    assert_array_equal(METRICS[metric](table, convention=convention), expected)


@pytest.mark.parametrize(("metric", "convention"), CASES)
@given(pair=volumes(2))
@few
def test_metrics__symmetric_without_void_and_best_at_a_match(metric, convention, pair):
    seg, truth = (labels + 1 for labels in pair)
    forth, back = METRICS[metric](seg, truth, convention=convention), METRICS[metric](truth, seg, convention=convention)
    in_parts = metric in ("split_vi", "edit_distance")
    assert_allclose(forth, back[::-1] if in_parts else back, atol=1e-7)
    best = 1 if metric in ("rand_index", "adj_rand_index", "fm_index", "average_precision") else 0
    assert_allclose(METRICS[metric](seg, seg, convention=convention), [best, best] if in_parts else best, atol=1e-7)


@pytest.mark.parametrize("convention", ev.conventions_of("split_vi"))
@given(pair=volumes(2))
@few
def test_split_vi__refinement_moves_false_splits_only(convention, pair):
    truth, pieces = (labels + 1 for labels in pair)
    merges, splits = ev.split_vi(truth * 10 + pieces, truth, convention=convention)
    assert merges == pytest.approx(0, abs=1e-12)
    assert_allclose(ev.split_vi(truth, truth * 10 + pieces, convention=convention), [splits, 0], atol=1e-12)


# ---------------------------------------- compare


@given(pair=volumes(2))
@few
def test_compare__values_are_those_of_the_metrics(pair):
    comparison = ev.compare(*pair, size_threshold=0)
    assert comparison.n_voxels == pair[0].size
    for score in comparison.scores:
        if score.value is None:
            assert score.why_none
            with pytest.raises(LabelError):
                METRICS[score.metric](*pair, convention=score.convention)
        else:
            assert np.isfinite(score.value)
    for name, metric in (("Rand index", ev.rand_index), ("adapted Rand error", ev.adapted_rand_error)):
        for convention in ev.conventions_of(metric.__name__):
            value = comparison.value(name, convention)
            if value is not None:
                assert value == metric(*pair, convention=convention)


@given(pair=volumes(2))
@few
def test_compare__one_sentence_for_each_pair_that_differs(pair):
    comparison = ev.compare(*pair, size_threshold=0)
    for metric in METRICS:
        values = {}
        for score in comparison.scores:
            if score.metric == metric:
                values.setdefault(score.convention, []).append(score.value)
        for a, b in combinations(values, 2):
            said = [s for s in comparison.differences if s.startswith(f"{metric}: {a} (") and f" and {b} (" in s]
            both = None not in values[a] + values[b]
            assert len(said) == (both and not np.allclose(values[a], values[b], rtol=1e-9, atol=1e-12))


def test_compare__reasons_are_the_rules_that_matter_here():
    seg, truth = np.array([1, 1, 2, 2, 3, 3]), np.array([1, 1, 1, 2, 2, 2])
    for sentence in ev.compare(seg, truth).differences:  # there is no void
        assert "ignores" not in sentence
        assert "pairs" in sentence
    sentences = ev.compare(seg, [1, 1, 1, 0, 2, 2]).differences
    assert sentences[0] == (
        "split_vi: gala (0 / 0.551 / 0.551) and skimage (0.3333 / 0.4591 / 0.7925) differ, "
        "as gala ignores 1 voxel with seg label 0 or truth label 0; skimage ignores no voxel."
    )
    same_void = ev.compare(seg, [1, 1, 1, 0, 2, 2], ignore_seg=[], ignore_truth=[0]).differences
    assert not any(sentence.startswith("split_vi") for sentence in same_void)
    void = ev.compare([1, 1, 0, 0, 0, 3], truth).differences
    assert any("takes voxels with seg label 0 for no region" in sentence for sentence in void)


def test_compare__as_text_and_json():
    seg, truth = np.random.default_rng(0).integers(0, 3, (2, 5, 6, 7))
    comparison = ev.compare(seg, truth, tolerance=1, spacing=[2, 1, 1])
    read = json.loads(comparison.to_json())
    assert read["n_voxels"] == 210
    assert len(read["scores"]) == len(comparison.scores)
    assert set(read["scores"][0]) == {field.name for field in fields(ev.Score)}
    n_void = int(((seg == 0) | (truth == 0)).sum())
    lines = str(comparison).splitlines()
    assert lines[0].split() == list(ev.CONVENTIONS)
    rows = {line[:24].strip(): line[24:].split() for line in lines if not line.startswith("voxels")}
    assert rows["adapted Rand error"][0] == f"{ev.adapted_rand_error(seg, truth):.4g}"
    assert rows["split_vi"][0] == str(n_void)
    assert rows["boundary recall"][1:] == ["-"] * 4
    assert set(comparison.differences) < set(lines)
    with pytest.raises(KeyError, match="no 'VI' by the convention 'snemi3d'"):
        comparison.value("VI", "snemi3d")


def test_compare__accepts_a_table_and_says_what_has_no_value():
    comparison = ev.compare(ev.contingency_table([0, 0, 1], [1, 2, 0]))
    assert comparison.value("VI") is None
    assert comparison.value("VI", "skimage") is not None
    assert "split_vi by gala: no voxel is left to count" in str(comparison)
    assert '"value": null' in comparison.to_json()
    with pytest.raises(LabelError, match="no voxel is left to count"):
        ev.compare([1, 2], [1, 2], ignore_seg=[1, 2])
    with pytest.raises(SettingError, match="need seg and gt as arrays"):
        ev.compare(ev.contingency_table([0, 0, 1], [1, 2, 0]), tolerance=1)
    with pytest.raises(ShapeError, match="same shape"):
        ev.compare([1, 2], [1, 2, 3])


# ---------------------------------------- the page


PAGE = Path(__file__).parents[1] / "docs" / "evaluation.md"


def test_docs__examples_run():
    failed, attempted = doctest.testfile(str(PAGE), module_relative=False)
    assert attempted > 5
    assert failed == 0


def ignored(rules):
    sides = (("seg", rules.ignore_seg), ("truth", rules.ignore_truth))
    names = [f"{side} {', '.join(map(str, labels))}" for side, labels in sides if labels]
    return " or ".join(names) or "none"


def test_docs__tables_are_those_of_the_code():
    lines = [[cell.strip() for cell in line.strip("|").split("|")] for line in PAGE.read_text().splitlines()]
    rows = {name: cells for name, *cells in lines if len(cells) == 5}
    assert rows["metric"] == list(ev.CONVENTIONS)
    for metric in [*METRICS, "boundary_scores"]:
        name = "`split_vi`, `vi`" if metric == "split_vi" else f"`{metric}`"
        known = ev.conventions_of(metric)
        assert rows[name] == [ignored(ev.rules_of(metric, c)) if c in known else "-" for c in ev.CONVENTIONS]
    rules = [ev.rules_of("adapted_rand_error", convention) for convention in ev.CONVENTIONS]
    assert rows["pairs of voxels"] == [rule.pairs for rule in rules]
    assert rows["seg 0, in pairs"] == [{"label": "one region", "alone": "no region"}[rule.seg_void] for rule in rules]
    assert rows["labels to ignore on both sides"] == [rule.ignored_if for rule in rules]
