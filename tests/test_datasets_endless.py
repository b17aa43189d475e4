"""The endless synthetic volume is the same in whatever boxes, chunks and threads it is made."""

from __future__ import annotations

import numpy as np
import pytest
import zarr
from hypothesis import given, settings, strategies as st

from gala import evaluate
from gala.datasets import synthetic_box, write_synthetic_zarr
from gala.errors import FileError, SettingError, ShapeError
from gala.morpho import relabel_connected, superpixels_of_block

SHAPE = (20, 30, 41)


def whole(seed=0):
    return synthetic_box([slice(0, n) for n in SHAPE], seed=seed)


@pytest.mark.compiled
@settings(deadline=None, max_examples=25)
@given(
    st.tuples(*(st.tuples(st.integers(0, n - 1), st.integers(1, n)).filter(lambda ab: ab[0] < ab[1]) for n in SHAPE))
)
def test_boxes__hold_what_the_volume_does(bounds):
    box = tuple(slice(a, b) for a, b in bounds)
    for part, of_all in zip(synthetic_box(box), whole(), strict=True):
        np.testing.assert_array_equal(part, of_all[box])


@pytest.mark.compiled
@pytest.mark.parametrize(("chunks", "n_threads"), [((64, 64, 64), 1), ((7, 16, 9), 2)])
def test_files__hold_the_same_for_any_chunks_and_threads(tmp_path, chunks, n_threads):
    write_synthetic_zarr(tmp_path / "a.zarr", SHAPE, chunks, 3, superpixels=True, n_threads=n_threads)
    stored, (boundary, truth) = zarr.open(tmp_path / "a.zarr", mode="r"), whole(3)
    np.testing.assert_array_equal(stored["boundary"][:], boundary)
    np.testing.assert_array_equal(stored["truth"][:], truth)
    labels = superpixels_of_block(lambda box: boundary[box], [slice(0, n) for n in SHAPE], SHAPE).labels
    np.testing.assert_array_equal(stored["superpixels"][:], labels)
    assert stored["boundary"].chunks == tuple(map(min, chunks, SHAPE))


@pytest.mark.compiled
def test_volume__is_cells_between_membranes():
    boundary, truth = synthetic_box([slice(0, 96), slice(0, 96), slice(0, 96)], seed=1)
    assert truth.min() > 0
    at_face = np.zeros(truth.shape, dtype=bool)
    for axis in range(3):
        apart = np.diff(truth, axis=axis) != 0
        at_face[(slice(None),) * axis + (slice(1, None),)] |= apart
    assert boundary[at_face].mean() > 3 * boundary[~at_face].mean()
    cells = np.unique(truth, return_inverse=True)[1]
    pieces = relabel_connected(1 + cells)
    largest = np.zeros(1 + cells.max(), dtype=int)
    np.maximum.at(largest, cells.ravel(), np.bincount(pieces.ravel())[pieces.ravel()])
    assert largest.sum() > 0.95 * truth.size  # a few are in two pieces, or come back into the box
    labels = superpixels_of_block(lambda box: boundary[box], [slice(0, 96)] * 3, (96,) * 3).labels
    best = evaluate.best_possible_segmentation(np.unique(labels, return_inverse=True)[1], cells)
    assert evaluate.split_vi(best, cells).sum() < 0.3


def test_seeds__make_other_volumes():
    assert not np.array_equal(whole(0).truth, whole(1).truth)
    assert not np.array_equal(whole(0).boundary, whole(1).boundary)


@pytest.mark.parametrize("box", [[slice(0, 3)] * 2, [slice(3, 3)] * 3, [slice(0, 2**20)] * 3, [slice(0, 4, 2)] * 3])
def test_boxes_that_are_none__are_refused(box):
    with pytest.raises(ShapeError, match="three slices"):
        synthetic_box(box)


def test_wrong_settings__are_refused_and_nothing_is_written(tmp_path):
    target = tmp_path / "a.zarr"
    with pytest.raises(ShapeError, match="chunks must be three"):
        write_synthetic_zarr(target, SHAPE, (1, 0, 1))
    with pytest.raises(ShapeError, match="shape must be three"):
        write_synthetic_zarr(target, (3, 3))
    with pytest.raises(SettingError, match="seed"):
        write_synthetic_zarr(target, (8, 8, 8), seed=-1)
    assert not list(tmp_path.iterdir())
    (target / "mine").mkdir(parents=True)
    with pytest.raises(FileError, match="something else has that name"):
        write_synthetic_zarr(target, (8, 8, 8))
