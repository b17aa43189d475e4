import itertools

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from hypothesis.extra import numpy as hnp

from gala.errors import ImageError, LabelError, SettingError, ShapeError
from gala.morpho import regional_minima, relabel_connected, watershed

shapes = st.integers(1, 4).flatmap(
    lambda ndim: hnp.array_shapes(min_dims=ndim, max_dims=ndim, max_side=(20, 7, 4, 3)[ndim - 1])
)
heights = shapes.flatmap(lambda shape: hnp.arrays(np.float32, shape, elements=st.integers(0, 6).map(lambda i: i / 8)))
label_images = shapes.filter(lambda shape: len(shape) < 4).flatmap(
    lambda shape: hnp.arrays(np.int64, shape, elements=st.sampled_from([0, 1, 2, 2**40]))
)


def pieces_of(image, connectivity):
    """Number connected pieces of equal value, in raster order: the definition, voxel by voxel."""
    steps = [s for s in itertools.product((-1, 0, 1), repeat=image.ndim) if 1 <= np.abs(s).sum() <= connectivity]
    piece = np.zeros(image.shape, dtype=int)
    for start in np.ndindex(image.shape):
        if piece[start]:
            continue
        number, front = piece.max() + 1, [start]
        piece[start] = number
        while front:
            here = front.pop()
            for step in steps:
                there = tuple(np.add(here, step))
                inside = all(0 <= i < n for i, n in zip(there, image.shape, strict=True))
                if inside and not piece[there] and image[there] == image[start]:
                    piece[there] = number
                    front.append(there)
    return piece


def without_background(pieces, is_background):
    """Number what is left of pieces from 1, in order, once the background is 0."""
    kept = np.where(is_background, 0, pieces)
    labels, index = np.unique(kept, return_inverse=True)
    return (index + (labels[0] != 0)).reshape(kept.shape)


@settings(deadline=None, max_examples=60)
@given(label_images, st.data())
def test_relabel_connected__equals_the_definition(labels, data):
    connectivity = data.draw(st.integers(1, labels.ndim))
    expected = without_background(pieces_of(labels, connectivity), labels == 0)
    found = relabel_connected(labels, connectivity=connectivity)
    assert found.dtype == np.int32
    np.testing.assert_array_equal(found, expected)


@settings(deadline=None, max_examples=60)
@given(heights)
def test_regional_minima__are_the_flat_pieces_with_no_lower_neighbour(height):
    flat = pieces_of(height, height.ndim)
    is_minimum = np.ones(flat.max() + 1, dtype=bool)
    steps = list(itertools.product((-1, 0, 1), repeat=height.ndim))
    for here in np.ndindex(height.shape):
        for step in steps:
            there = tuple(np.add(here, step))
            if all(0 <= i < n for i, n in zip(there, height.shape, strict=True)) and height[there] < height[here]:
                is_minimum[flat[here]] = False
    np.testing.assert_array_equal(regional_minima(height), without_background(flat, ~is_minimum[flat]))


@settings(deadline=None, max_examples=60)
@given(heights)
def test_watershed__keeps_its_seeds_and_fills_everything_with_connected_regions(height):
    seeds = regional_minima(height)
    labels = watershed(height)
    assert labels.dtype == np.int32
    np.testing.assert_array_equal(labels[seeds > 0], seeds[seeds > 0])
    assert labels.min() == 1
    assert pieces_of(labels, height.ndim).max() == seeds.max()


@settings(deadline=None, max_examples=60)
@given(heights, st.data())
def test_watershed__stays_within_its_mask(height, data):
    mask = data.draw(hnp.arrays(bool, height.shape))
    labels = watershed(height, mask=mask)
    assert not labels[~mask].any()
    seeds = np.where(mask, regional_minima(height), 0)
    np.testing.assert_array_equal(labels[seeds > 0], seeds[seeds > 0])


def test_watershed__regions_meet_on_the_ridge():
    row, column = np.indices((9, 11))
    ridge = 1.0 - abs(column - 4 - (row > 4)) / 11
    seeds = np.zeros((9, 11), dtype=np.uint16)
    seeds[0, 0], seeds[0, -1] = 500, 7
    labels = watershed(ridge, seeds)
    assert (labels[column < 4 + (row > 4)] == 500).all()
    assert (labels[column > 4 + (row > 4)] == 7).all()


def test_watershed__gives_the_same_bytes_each_time():
    height = np.random.default_rng(0).integers(0, 4, size=(20, 30, 40)) / 4
    assert len({watershed(height).tobytes() for _ in range(3)}) == 1


@pytest.mark.parametrize(
    ("wrong", "error", "words"),
    [
        (lambda: watershed(np.array([[0.0, np.nan]])), ImageError, "finite"),
        (lambda: watershed(np.zeros((0, 3))), ShapeError, "at least one"),
        (lambda: watershed(np.zeros((2, 3)), np.ones((3, 2), dtype=int)), ShapeError, r"seeds must have.*\(2, 3\)"),
        (lambda: watershed(np.zeros((2, 3)), mask=np.ones(6, dtype=bool)), ShapeError, "mask must have"),
        (lambda: watershed(np.zeros((1, 2)), np.array([[1, -1]])), LabelError, "-1"),
        (lambda: watershed(np.zeros((1, 2)), np.array([[1, 2**31]])), LabelError, "2147483648"),
        (lambda: relabel_connected(np.array([0.5, 1.0])), LabelError, "0.5"),
        (lambda: relabel_connected(np.ones((1, 1, 2, 2), dtype=int)), ShapeError, "1 to 3 dimensions"),
        (lambda: relabel_connected(np.array([1, 1]), connectivity=2), SettingError, "from 1 to 1"),
    ],
)
def test_wrong_input__is_named(wrong, error, words):
    with pytest.raises(error, match=words):
        wrong()
