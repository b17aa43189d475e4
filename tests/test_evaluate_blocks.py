"""Contingency tables of arrays that are read block by block, and tables that add up."""

from __future__ import annotations

import dask.array as da
import h5py
import numpy as np
import pytest
import zarr
from hypothesis import assume, given, settings, strategies as st
from hypothesis.extra import numpy as hnp
from numpy.testing import assert_allclose, assert_array_equal

from gala import evaluate as ev
from gala.errors import LabelError, ShapeError
from gala.evaluate import blocks
from gala.graph.overlaps import count_overlaps, join_overlaps

some = settings(deadline=None, max_examples=40)


class Sliced:
    """An array that only slices, and remembers the most voxels asked for at once."""

    def __init__(self, array, chunks=None):
        self._array, self.chunks, self.largest = np.asarray(array), chunks, 0
        self.shape, self.dtype = self._array.shape, self._array.dtype

    def __getitem__(self, where):
        part = self._array[where]
        self.largest = max(self.largest, part.size)
        return part

    def __array__(self, *args, **kwargs):
        raise AssertionError("read as a whole")


def assert_same_table(actual, expected):
    for name, column in expected.overlaps._asdict().items():
        assert_array_equal(getattr(actual.overlaps, name), column, err_msg=name)
    assert_array_equal(actual.values, expected.values)
    assert actual.n_ignored == expected.n_ignored


def pairs_of_volumes():
    shapes = hnp.array_shapes(min_dims=1, max_dims=3, min_side=1, max_side=6)
    labels = st.integers(0, 4)
    return shapes.flatmap(lambda shape: st.tuples(*[hnp.arrays(np.int64, shape, elements=labels)] * 2))


# ---------------------------------------- tables add up


@given(pair=pairs_of_volumes(), norm=st.booleans(), data=st.data())
@some
def test_tables__of_parts_add_up_to_that_of_the_whole(pair, norm, data):
    seg, truth = pair
    axis = data.draw(st.integers(0, seg.ndim - 1))
    cut = data.draw(st.integers(0, seg.shape[axis]))
    parts = [
        ev.contingency_table(*both, norm=norm)
        for both in zip(*(np.split(labels, [cut], axis) for labels in pair), strict=True)
        if both[0].size
    ]
    total = parts[0] if len(parts) == 1 else parts[0] + parts[1]
    assert_same_table(total, ev.contingency_table(seg, truth, norm=norm))
    if len(parts) == 2:
        assert_same_table(parts[1] + parts[0], total)


def test_tables__add_up_with_what_they_ignore():
    seg, truth = np.random.default_rng(0).integers(0, 4, (2, 6, 7))
    ignored = {"ignore_seg": [1], "ignore_truth": [0]}
    total = ev.contingency_table(seg[:2], truth[:2], **ignored) + ev.contingency_table(seg[2:], truth[2:], **ignored)
    whole = ev.contingency_table(seg, truth, **ignored)
    assert_same_table(total, whole)
    assert total.n_ignored == np.count_nonzero((seg == 1) | (truth == 0))


def test_tables__largest_labels_of_two_types_keep_their_values():
    small = ev.contingency_table(np.array([1, 2]), np.array([3, 3]))
    large = ev.contingency_table(np.array([2**64 - 1, 2], dtype=np.uint64), np.array([3, 3]))
    total = small + large
    assert total.overlaps.seg_labels.tolist() == [1, 2, 2**64 - 1]
    assert total[2, 3] == 0.5


def test_tables__only_those_of_voxels_add_up():
    table = ev.contingency_table([1, 2], [1, 2])
    with pytest.raises(LabelError, match="only tables of numbers of voxels add up"):
        table + ev.assignment_table([1, 2], [1, 2])
    with pytest.raises(TypeError):
        table + 1


@given(pair=pairs_of_volumes())
@some
def test_join_overlaps__order_of_parts_does_not_matter(pair):
    parts = [count_overlaps(*both) for both in zip(pair[0], pair[1], strict=True) if both[0].ndim]
    if parts:
        for joined in (join_overlaps(parts), join_overlaps(parts[::-1])):
            for column, expected in zip(joined, count_overlaps(*pair), strict=True):
                assert_array_equal(column, expected)


# ---------------------------------------- blocks


@given(
    shape=st.lists(st.integers(1, 9), min_size=1, max_size=4),
    chunk=st.lists(st.integers(1, 12), min_size=4, max_size=4),
    size=st.integers(1, 60),
)
@some
def test_blocks__cover_each_voxel_once_in_whole_chunks(shape, chunk, size):
    chunk = chunk[: len(shape)]
    seen = np.zeros(shape, dtype=int)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(blocks, "_BLOCK_SIZE", size)
        for block in blocks.blocks_of(shape, chunk):
            seen[block] += 1
            fitted = [min(n, length) for n, length in zip(chunk, shape, strict=True)]
            assert seen[block].size <= max(size, np.prod(fitted))
            assert all(part.start % n == 0 for part, n in zip(block, fitted, strict=True))
    assert (seen == 1).all()


@given(pair=pairs_of_volumes(), n_threads=st.sampled_from([1, 3]), data=st.data())
@some
def test_contingency_table__never_depends_on_blocks_or_threads(pair, n_threads, data):
    chunks = data.draw(st.none() | st.tuples(*[st.integers(1, 4)] * pair[0].ndim))
    expected = ev.contingency_table(*pair, norm=False, ignore_truth=[7])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(blocks, "_BLOCK_SIZE", data.draw(st.integers(1, 50)))
        patch.setattr(blocks, "_N_TABLES", 3)
        for seg, truth in ((Sliced(pair[0], chunks), pair[1]), (pair[0], Sliced(pair[1])), map(Sliced, pair)):
            table = ev.contingency_table(seg, truth, norm=False, ignore_truth=[7], n_threads=n_threads)
            assert_same_table(table, expected)


def test_contingency_table__never_reads_more_than_a_block(monkeypatch):
    monkeypatch.setattr(blocks, "_BLOCK_SIZE", 100)
    labels = np.random.default_rng(0).integers(0, 9, (10, 11, 12))
    seg, truth = Sliced(labels), Sliced(labels)
    assert_allclose(ev.split_vi(seg, truth), 0, atol=1e-12)
    assert 0 < seg.largest <= 100
    assert 0 < truth.largest <= 100


def hdf5_arrays(folder, labels, chunks=(4, 5, 6)):
    file = h5py.File(folder / "labels.h5", "w")
    return [file.create_dataset(f"{i}", data=part, chunks=chunks) for i, part in enumerate(labels)]


def contiguous_arrays(folder, labels):
    return hdf5_arrays(folder, labels, chunks=None)


def zarr_arrays(folder, labels):
    chunks = {"chunks": (4, 5, 6), "shards": (8, 10, 12)}
    arrays = [
        zarr.create_array(folder / f"{i}.zarr", shape=part.shape, dtype=part.dtype, **chunks)
        for i, part in enumerate(labels)
    ]
    for array, part in zip(arrays, labels, strict=True):
        array[...] = part
    return arrays


def dask_arrays(_, labels):
    return [da.from_array(part, chunks=((4, 6, 3), (9, 2), (7, 5))) for part in labels]


def mapped_arrays(folder, labels):
    for i, part in enumerate(labels):
        np.save(folder / f"{i}.npy", part)
    return [np.load(folder / f"{i}.npy", mmap_mode="r") for i in range(len(labels))]


@pytest.mark.parametrize("stored", [hdf5_arrays, contiguous_arrays, zarr_arrays, dask_arrays, mapped_arrays])
def test_metrics__arrays_of_any_library(tmp_path, monkeypatch, stored):
    monkeypatch.setattr(blocks, "_BLOCK_SIZE", 200)
    labels = np.random.default_rng(0).integers(0, 9, (2, 13, 11, 12))
    arrays = stored(tmp_path, labels)
    expected = ev.contingency_table(*labels)
    assert_same_table(ev.contingency_table(*arrays), expected)
    assert_same_table(ev.contingency_table(arrays[0], labels[1]), expected)
    assert ev.compare(*arrays) == ev.compare(*labels)


def test_contingency_table__bad_blocks_are_named():
    labels = np.arange(24).reshape(2, 3, 4)
    with pytest.raises(ShapeError, match=r"same shape; got \(2, 3, 4\) and \(2, 3\)"):
        ev.contingency_table(Sliced(labels), Sliced(labels[..., 0]))
    with pytest.raises(ShapeError, match="at least one voxel"):
        ev.contingency_table(Sliced(labels[:0]), labels[:0])
    with pytest.raises(LabelError, match=r"gt\[0:2, 0:3, 0:4\] must hold labels: .* got -23 at \(0, 0, 0\)"):
        ev.contingency_table(Sliced(labels), Sliced(labels - 23))
    with pytest.raises(LabelError, match=r"seg\[0:2, 0:3, 0:4\] must hold labels: .* got 0.5"):
        ev.contingency_table(Sliced(labels + 0.5), labels)
    assert_same_table(ev.contingency_table(Sliced(labels * 1.0), labels), ev.contingency_table(labels, labels))


def test_contingency_table__floats_may_pass_int64_in_some_blocks(monkeypatch):
    monkeypatch.setattr(blocks, "_BLOCK_SIZE", 1)
    labels = np.array([2.0**63, 1.0])
    table = ev.contingency_table(Sliced(labels), labels)
    assert table.overlaps.seg_labels.tolist() == [1, 2**63]


# ---------------------------------------- boundaries


@given(
    pair=pairs_of_volumes(),
    tolerance=st.sampled_from([0, 0.5, 1, 2.5, np.inf]),
    spacing=st.permutations([0.1, 1.0, 2.5]),
    ignored=st.sampled_from([(), (0,)]),
    size=st.integers(1, 40),
)
@some
def test_boundary_scores__do_not_depend_on_the_blocks(pair, tolerance, spacing, ignored, size):
    assume(not np.isin(pair[1], ignored).all())
    options = {"tolerance": tolerance, "spacing": spacing[: pair[0].ndim], "ignore_truth": ignored}
    whole = ev.boundary_scores(*pair, **options)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(blocks, "_BLOCK_SIZE", size)
        assert ev.boundary_scores(Sliced(pair[0]), Sliced(pair[1]), **options) == whole


def test_boundary_scores__read_no_more_than_blocks_and_what_is_near_them(monkeypatch):
    monkeypatch.setattr(blocks, "_BLOCK_SIZE", 9**3 - 1)
    seg = np.arange(32**3).reshape(32, 32, 32) // 100
    both = Sliced(seg), Sliced(seg + 1)
    assert ev.boundary_scores(*both, tolerance=2).f_score == 1
    assert max(side.largest for side in both) == (8 + 2 * 3) ** 3
