"""Evaluation on the real volumes and the reference numbers, if they are there."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose
from skimage import metrics as skimage_metrics

from gala import evaluate as ev
from real import read, reference


@pytest.mark.parametrize("k", range(6))
def test_metrics__equal_the_reference_on_small_volumes(k):
    expected = reference("eval_small")
    pair = expected[f"a{k}"], expected[f"b{k}"]
    error, precision, recall = ev.adapted_rand_error(*pair, all_stats=True)
    tables, components = ev.vi_tables(*pair), ev.sorted_vi_components(*pair)
    actual = {
        f"split_vi{k}": ev.split_vi(*pair),
        f"split_vi_noignore{k}": ev.split_vi(*pair, (), ()),
        f"rand{k}": ev.rand_index(*pair),
        f"ari{k}": ev.adj_rand_index(*pair),
        f"fm{k}": ev.fm_index(*pair),
        f"are{k}": [error, recall, precision],  # in the order of the original, which takes one for the other
        f"px{k}": tables.px,
        f"py{k}": tables.py,
        f"hxgy{k}": tables.hxgy,
        f"hygx{k}": tables.hygx,
        f"svi_ii1_{k}": components.truth_labels,
        f"svi_h1_{k}": components.false_splits,
        f"svi_ii2_{k}": components.seg_labels,
        f"svi_h2_{k}": components.false_merges,
    }
    for key, value in actual.items():
        assert_allclose(value, expected[key], rtol=1e-12, atol=1e-14, err_msg=key)


@pytest.mark.parametrize("split", ["train", "test"])
def test_metrics__equal_the_reference_on_superpixels_of_the_example(split):
    pair = ws, gt = read(f"{split}-ws"), read(f"{split}-gt")
    expected = reference("reference_numbers.json")[f"eval_{split}_ws"]
    known = ev.contingency_table(*pair, ignore_gt=[0])
    for suffix, arguments in (("", pair), ("_void", (known,))):
        error, precision, recall = ev.adapted_rand_error(*arguments, all_stats=True)
        actual = {
            f"rand{suffix}": ev.rand_index(*arguments),
            f"ari{suffix}": ev.adj_rand_index(*arguments),
            f"fm{suffix}": ev.fm_index(*arguments),
            f"are{suffix}": [error, recall, precision],
        }
        for key, value in actual.items():
            assert_allclose(value, expected[key], rtol=1e-12, err_msg=key)
    assert_allclose(ev.split_vi(*pair), expected["split_vi"], rtol=1e-12)
    assert_allclose(ev.split_vi(*pair, (), ()), expected["split_vi_ignore_none"], rtol=1e-12)
    assert_allclose(ev.vi(*pair), expected["vi"], rtol=1e-12)
    # The original takes one off for each label without a large overlap too.
    table = ev.contingency_table(*pair, ignore_seg=[0], ignore_gt=[0], norm=False)
    without = len(np.unique(ws[ws != 0])) - len(np.unique(table.overlaps.seg_index[table.values > 1000]))
    assert ev.edit_distance(*pair)[0] - without == expected["edit"][0]
    assert ev.edit_distance(ws, gt, sp=ws)[0] == 0


def test_split_vi__published_row_of_the_superpixels():
    assert_allclose(ev.split_vi(read("test-ws"), read("test-gt")), [0.1845286, 1.64774412], atol=1e-7)


def test_best_possible_segmentation__known_numbers_of_the_example():
    ws, gt = read("test-ws"), read("test-gt")
    assert_allclose(ev.split_vi(ev.best_possible_segmentation(ws, gt), gt), [0.204, 0.178], atol=5e-4)


@pytest.mark.parametrize("name", ["ws", "seg1"])
def test_conventions__numbers_of_two_tools_on_the_example(name):
    seg, gt = read(f"test-{name}"), read("test-gt")
    gala, skimage, errors = {
        "ws": ([0.185, 1.648], [0.580, 2.068], [0.437, 0.366]),
        "seg1": ([0.365, 0.305], [0.751, 0.721], [0.213, 0.112]),
    }[name]
    assert_allclose(ev.split_vi(seg, gt), gala, atol=5e-4)
    assert_allclose(ev.split_vi(seg, gt, convention="skimage"), skimage, atol=5e-4)
    actual = [ev.adapted_rand_error(seg, gt, convention=convention) for convention in ("gala", "skimage")]
    assert_allclose(actual, errors, atol=5e-4)


@pytest.mark.parametrize("split", ["train", "test"])
def test_conventions__equal_scikit_image_on_the_example(split):
    ws, gt = read(f"{split}-ws"), read(f"{split}-gt")
    splits, merges = skimage_metrics.variation_of_information(gt, ws)
    assert_allclose(ev.split_vi(ws, gt, convention="skimage"), [merges, splits], rtol=1e-12)
    error, recall, precision = skimage_metrics.adapted_rand_error(gt, ws)
    actual = ev.adapted_rand_error(ws, gt, all_stats=True, convention="skimage")
    assert_allclose(actual, [error, precision, recall], rtol=1e-12)


def test_conventions__equal_python_elf_on_the_example():
    elf = pytest.importorskip("elf.evaluation", reason="python-elf, which this convention reproduces, is not there")
    ws, gt = (read(f"test-{name}").astype(np.uint64) for name in ("ws", "gt"))
    splits, merges, error, score = elf.cremi_score(ws, gt)
    assert_allclose(ev.split_vi(ws, gt, convention="elf"), [merges, splits], rtol=1e-12)
    assert_allclose(ev.adapted_rand_error(ws, gt, convention="elf"), error, rtol=1e-12)
    assert_allclose(ev.cremi_score(ws, gt, convention="elf"), score, rtol=1e-12)
    assert_allclose(ev.average_precision(ws, gt, convention="elf"), elf.mean_segmentation_accuracy(ws, gt), rtol=1e-12)
