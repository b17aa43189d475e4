"""Counting overlaps, contingency tables, and what labels are."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given, settings, strategies as st
from hypothesis.extra import numpy as hnp
from numpy.testing import assert_allclose, assert_array_equal

import naive_evaluate as naive
from gala import evaluate as ev
from gala.errors import LabelError, ShapeError
from gala.graph import overlaps
from gala.graph.labels import as_labels
from gala.graph.overlaps import count_overlaps

some = settings(deadline=None, max_examples=60)


def volumes(n):
    """Return `n` label volumes of one shape, of one to four dimensions."""
    shapes = hnp.array_shapes(min_dims=1, max_dims=4, min_side=1, max_side=5)
    labels = st.integers(0, 4)
    return shapes.flatmap(lambda shape: st.tuples(*[hnp.arrays(np.int64, shape, elements=labels)] * n))


def as_dict(overlaps):
    pairs = zip(
        overlaps.seg_labels[overlaps.seg_index].tolist(),
        overlaps.truth_labels[overlaps.truth_index].tolist(),
        strict=True,
    )
    return dict(zip(pairs, overlaps.counts.tolist(), strict=True))


def assert_same_overlaps(actual, expected):
    for name, column in expected._asdict().items():
        assert_array_equal(getattr(actual, name), column, err_msg=name)


# ---------------------------------------- overlaps


@given(pair=volumes(2))
@some
def test_count_overlaps__agrees_with_counting_voxel_by_voxel(pair):
    overlaps = count_overlaps(*pair)
    assert as_dict(overlaps) == naive.overlaps(*pair)
    assert_array_equal(overlaps.seg_labels, np.unique(pair[0]))
    assert_array_equal(overlaps.truth_labels, np.unique(pair[1]))
    assert_array_equal(np.lexsort((overlaps.truth_index, overlaps.seg_index)), np.arange(len(overlaps.counts)))


@given(pair=volumes(2), labels=st.lists(st.integers(0, 2**64 - 1), min_size=5, max_size=5, unique=True))
@some
def test_count_overlaps__any_label_up_to_64_bits_will_do(pair, labels):
    names = np.array(labels, dtype=np.uint64)
    seg, truth = names[pair[0]], names[::-1][pair[1]]
    overlaps = count_overlaps(seg, truth)
    assert overlaps.seg_labels.dtype == np.uint64
    assert as_dict(overlaps) == naive.overlaps(seg, truth)


@pytest.mark.parametrize("step", [1, 2**20, 2**40, 2**50 + 1])
def test_count_overlaps__many_pairs_of_sparse_labels(step):
    seg = np.arange(5000, dtype=np.uint64).repeat(2) * np.uint64(step)
    truth = np.arange(10000, dtype=np.uint64) % np.uint64(7) * np.uint64(step)
    assert as_dict(count_overlaps(seg, truth)) == naive.overlaps(seg, truth)


@pytest.mark.parametrize("slab_size", [1, 7, 64, 10**6])
@pytest.mark.parametrize("n_threads", [1, 2, 5])
def test_count_overlaps__never_depends_on_slabs_or_threads(monkeypatch, slab_size, n_threads):
    rng = np.random.default_rng(0)
    seg, truth = rng.integers(0, 40, (2, 9, 10, 11))
    expected = count_overlaps(seg, truth)
    monkeypatch.setattr(overlaps, "_SLAB_SIZE", slab_size)
    assert_same_overlaps(count_overlaps(seg, truth, n_threads=n_threads), expected)


@pytest.mark.parametrize("dtype", ["u1", "i2", "u4", "i8", "u8"])
@pytest.mark.parametrize("truth_dtype", ["i1", "u2", "i4", "u8"])
def test_count_overlaps__never_depends_on_type(dtype, truth_dtype):
    seg, truth = np.random.default_rng(0).integers(0, 100, (2, 5, 6, 7))
    overlaps = count_overlaps(seg.astype(dtype), truth.astype(truth_dtype))
    assert_same_overlaps(overlaps, count_overlaps(seg, truth))
    assert overlaps.seg_labels.dtype == dtype
    assert overlaps.truth_labels.dtype == truth_dtype


@pytest.mark.parametrize("slab_size", [16, 10**6])
def test_count_overlaps__never_depends_on_memory_order(monkeypatch, slab_size):
    seg, truth = np.random.default_rng(0).integers(0, 9, (2, 6, 7, 8))
    expected = count_overlaps(seg, truth)
    monkeypatch.setattr(overlaps, "_SLAB_SIZE", slab_size)
    fixed = truth.copy()
    fixed.flags.writeable = False
    layouts = [
        (np.asfortranarray(seg), truth),
        (np.asfortranarray(seg), np.asfortranarray(truth)),
        (seg[::-1], truth[::-1]),
        (seg.repeat(2, axis=1)[:, ::2], fixed),
        (seg.transpose(1, 2, 0), truth.transpose(1, 2, 0)),
    ]
    for layout in layouts:
        assert_same_overlaps(count_overlaps(*layout), expected)


@pytest.mark.parametrize("shape", [(0,), (0, 3), (3, 0)])
def test_count_overlaps__no_voxels_have_no_pairs(shape):
    overlaps = count_overlaps(np.zeros(shape, dtype=np.int32), np.zeros(shape, dtype=np.uint64))
    assert [len(column) for column in overlaps] == [0] * 5


def test_count_overlaps__input_stays_as_it_is():
    seg, truth = np.random.default_rng(0).integers(0, 9, (2, 6, 7))
    before = seg.copy(), truth.copy()
    count_overlaps(seg, truth)
    assert_array_equal((seg, truth), before)


# ---------------------------------------- contingency table


@given(pair=volumes(2))
@some
def test_contingency_table__is_indexed_by_label(pair):
    seg, gt = pair
    expected = np.zeros((seg.max() + 1, gt.max() + 1), dtype=int)
    np.add.at(expected, (seg.ravel(), gt.ravel()), 1)
    table = ev.contingency_table(seg, gt, norm=False)
    assert table.shape == expected.shape
    assert table.nnz == np.count_nonzero(expected)
    assert_array_equal(table.toarray(), expected)
    assert [[table[i, j] for j in range(expected.shape[1])] for i in range(len(expected))] == expected.tolist()
    assert_allclose(ev.contingency_table(seg, gt).toarray(), expected / seg.size)


@given(pair=volumes(2), ignored=st.sets(st.integers(0, 6), max_size=2))
@some
def test_contingency_table__ignored_labels_have_no_voxels(pair, ignored):
    seg, gt = pair
    chosen = ~np.isin(seg, list(ignored)) & (gt != 1)
    assume(chosen.any())
    table = ev.contingency_table(seg, gt, ignore_seg=list(ignored), ignore_gt=[1])
    counted = ev.contingency_table(seg[chosen], gt[chosen])
    assert as_dict(table.overlaps) == as_dict(counted.overlaps)
    assert_allclose(table.values.sum(), 1, rtol=1e-12)


def test_contingency_table__largest_labels_of_64_bits():
    top = 2**64 - 1
    seg = np.array([top, top, top - 1, 0], dtype=np.uint64)
    gt = np.array([2**53, 2**53 + 1, 2**53 + 1, 0], dtype=np.uint64)
    table = ev.contingency_table(seg, gt, norm=False, ignore_gt=[2**53])
    assert table.shape == (2**64, 2**53 + 2)
    assert [table[top, 2**53], table[top, 2**53 + 1], table[top - 1, 2**53 + 1], table[5, 5]] == [0, 1, 1, 0]
    with pytest.raises(LabelError, match=r"no arrays of shape .18446744073709551616"):
        table.tocsr()


def test_contingency_table__many_large_labels_to_ignore():
    gt = 2**62 + 2**20 * np.arange(200, dtype=np.uint64) + np.arange(200, dtype=np.uint64) % np.uint64(2)
    ignored = [2**62 + 2**20 * i for i in range(200)]
    counted = ev.contingency_table(gt, gt, ignore_gt=ignored).overlaps
    assert counted.truth_labels[counted.truth_index].tolist() == gt[1::2].tolist()


def test_contingency_table__memory_does_not_follow_label_values():
    seg = np.array([1, 2**40, 2**60])
    assert all(column.nbytes < 100 for column in ev.contingency_table(seg, seg[::-1]).overlaps)


# ---------------------------------------- labels


@pytest.mark.parametrize("dtype", ["u1", "i2", "i8", "u8", ">u4", "<i4", "f2", "f4", "f8", "g"])
def test_as_labels__whole_numbers_of_any_type_keep_their_value(dtype):
    labels = as_labels(np.array([[0, 1], [100, 7]], dtype=dtype), "seg")
    assert labels.dtype.kind in "ui"
    assert labels.dtype.isnative
    assert labels.tolist() == [[0, 1], [100, 7]]


@pytest.mark.parametrize("dtype", [np.uint8, np.int64, np.uint64])
def test_as_labels__integers_are_not_copied(dtype):
    labels = np.arange(4, dtype=dtype)
    assert np.shares_memory(as_labels(labels, "seg"), labels)


def test_as_labels__booleans_and_large_floats():
    assert as_labels([True, False], "seg").tolist() == [1, 0]
    assert as_labels([2.0**63, 1.0], "seg").tolist() == [2**63, 1]
    with pytest.raises(LabelError, match=r"got 1.8446744073709552e\+19 at \(0,\)"):
        as_labels([2.0**64], "seg")


@pytest.mark.parametrize("array", [["a"], [1j], [None]])
def test_as_labels__what_is_no_number_is_refused(array):
    with pytest.raises(LabelError, match="seg must hold whole numbers; got an array of"):
        as_labels(array, "seg")


def test_as_labels__empty_only_if_allowed_and_never_a_scalar():
    assert as_labels([], "seg", allow_empty=True).dtype == np.int64
    with pytest.raises(ShapeError, match="at least one voxel"):
        as_labels([], "seg")
    with pytest.raises(ShapeError, match="one dimension or more"):
        as_labels(3, "seg")
