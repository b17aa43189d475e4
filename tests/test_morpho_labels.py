"""Pieces, boundaries, borders and minima mean what their slow twins say, for labels of any size."""

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from hypothesis.extra import numpy as hnp
from scipy import ndimage
from skimage import morphology, segmentation

from gala.errors import ImageError, LabelError, SettingError, ShapeError
from gala.morpho import (
    complement,
    damify,
    hminima,
    impose_minima,
    juicy_center,
    morphological_reconstruction,
    non_traversing_segments,
    orphans,
    pad,
    regional_minima,
    relabel_connected,
    relabel_from_one,
    remove_merged_boundaries,
    remove_small_connected_components,
    seg_to_bdry,
    undam,
    watershed,
)
from naive_morpho import around, at_border, boundary_of, minima_of, pieces_of, spread, touching, without_background

few = settings(deadline=None, max_examples=50)
shapes = st.integers(1, 4).flatmap(
    lambda ndim: hnp.array_shapes(min_dims=ndim, max_dims=ndim, max_side=(20, 7, 4, 3)[ndim - 1])
)
heights = shapes.flatmap(lambda shape: hnp.arrays(np.float32, shape, elements=st.integers(0, 6).map(lambda i: i / 8)))
# Two of these are one number in float64.
labels_4d = shapes.flatmap(
    lambda shape: hnp.arrays(np.uint64, shape, elements=st.sampled_from([0, 1, 2**60, 2**60 + 1]))
)
labels_3d = labels_4d.filter(lambda labels: labels.ndim < 4)


def connectivities(array):
    return st.integers(1, array.ndim)


# -------------------------------------------------------------------------------------------- pieces


@few
@given(labels_3d, st.data())
def test_relabel_connected__equals_the_definition(labels, data):
    connectivity = data.draw(connectivities(labels))
    expected = without_background(pieces_of(labels, connectivity), labels == 0)
    found = relabel_connected(labels, connectivity=connectivity)
    assert found.dtype == np.int32
    np.testing.assert_array_equal(found, expected)


@few
@given(labels_4d, st.data())
def test_relabel_connected__numbers_the_pieces_of_a_mask_in_any_dimension(labels, data):
    connectivity = data.draw(connectivities(labels))
    expected = without_background(pieces_of(labels > 0, connectivity), labels == 0)
    np.testing.assert_array_equal(relabel_connected(labels > 0, connectivity), expected)


@few
@given(labels_4d)
def test_relabel_from_one__keeps_the_order_and_goes_back(labels):
    relabeled, forward, inverse = relabel_from_one(labels)
    kept = np.unique(labels[labels > 0])
    np.testing.assert_array_equal(np.unique(relabeled[labels > 0]), np.arange(1, kept.size + 1))
    np.testing.assert_array_equal(inverse[relabeled], labels)
    np.testing.assert_array_equal(forward[labels], relabeled)
    np.testing.assert_array_equal(forward[kept], np.arange(1, kept.size + 1))
    np.testing.assert_array_equal(relabel_from_one(relabeled)[0], relabeled)


@few
@given(labels_3d, st.integers(0, 6), st.data())
def test_remove_small_connected_components__removes_small_pieces_alone(labels, min_size, data):
    connectivity = data.draw(connectivities(labels))
    kept = remove_small_connected_components(labels, min_size, connectivity)
    pieces = pieces_of(labels, connectivity)
    assert kept.dtype == labels.dtype
    for piece in np.unique(pieces):
        here = pieces == piece
        np.testing.assert_array_equal(kept[here], labels[here] if here.sum() >= min_size else 0)


def test_remove_small_connected_components__of_booleans_equals_that_of_scipy():
    mask = np.random.default_rng(0).random((8, 9, 10)) < 0.3
    pieces, _ = ndimage.label(mask)
    expected = mask & (np.bincount(pieces.ravel())[pieces] >= 5)
    kept = remove_small_connected_components(mask, 5)
    assert kept.dtype == bool
    np.testing.assert_array_equal(kept, expected)


# ---------------------------------------------------------------------------------------- boundaries


@few
@given(labels_4d, st.data())
def test_boundaries__are_where_labels_differ_and_dams_there_keep_regions_apart(labels, data):
    connectivity = data.draw(connectivities(labels))
    boundary = seg_to_bdry(labels, connectivity)
    np.testing.assert_array_equal(boundary, boundary_of(labels, connectivity))
    apart = damify(labels, connectivity)
    np.testing.assert_array_equal(apart, np.where(boundary, 0, labels))
    assert not touching(apart, connectivity)


@pytest.mark.parametrize("connectivity", [1, 2, 3])
def test_seg_to_bdry__equals_the_thick_boundaries_of_scikit_image(connectivity):
    labels = np.random.default_rng(0).integers(0, 3, (7, 8, 9))
    expected = segmentation.find_boundaries(labels, connectivity=connectivity, mode="thick")
    np.testing.assert_array_equal(seg_to_bdry(labels, connectivity), expected)


@few
@given(labels_4d.filter(lambda labels: labels.any()))
def test_undam__gives_each_voxel_to_the_nearest_region(labels):
    filled = undam(labels)
    assert filled.dtype == labels.dtype
    np.testing.assert_array_equal(filled[labels > 0], labels[labels > 0])
    places = np.argwhere(labels > 0)
    for here in np.argwhere(labels == 0):
        distance = ((places - here) ** 2).sum(axis=1)
        nearest = places[distance == distance.min()]
        assert filled[tuple(here)] in labels[tuple(nearest.T)]


@few
@given(labels_4d, st.data())
def test_remove_merged_boundaries__fills_dams_with_one_label_around(labels, data):
    connectivity = data.draw(connectivities(labels))
    expected = labels.copy()
    for here in np.argwhere(labels == 0):
        beside = {labels[there] for there in around(here, labels.shape, connectivity)} - {0}
        if len(beside) == 1:
            expected[tuple(here)] = beside.pop()
    np.testing.assert_array_equal(remove_merged_boundaries(labels, connectivity), expected)


def test_remove_merged_boundaries__takes_the_dams_within_merged_regions_away():
    height = np.random.default_rng(0).random((20, 20))
    regions = watershed(height, dams=True)
    merged = np.where(regions > 0, 1, 0)
    assert remove_merged_boundaries(merged, 2).all()
    np.testing.assert_array_equal(remove_merged_boundaries(regions, 2) > 0, regions > 0)


# ------------------------------------------------------------------------------------------- borders


@few
@given(labels_4d, st.lists(st.integers(0, 9), min_size=1, max_size=3))
def test_pad__adds_layers_that_juicy_center_removes(labels, layers):
    padded = pad(labels, layers)
    assert padded.dtype == labels.dtype
    for depth, value in enumerate(reversed(layers)):
        assert set(padded[at_border(padded)]) == {value}
        assert padded.shape == tuple(n + 2 * (len(layers) - depth) for n in labels.shape)
        padded = juicy_center(padded)
    np.testing.assert_array_equal(padded, labels)
    np.testing.assert_array_equal(juicy_center(pad(labels, layers), len(layers)), labels)


def test_pad__of_some_axes_leaves_the_others():
    padded = pad(np.ones((2, 3, 4)), 7, axes=[0, -1])
    assert padded.shape == (4, 3, 6)
    assert (padded[1:-1, :, 1:-1] == 1).all()
    assert padded.sum() == 24 + 7 * (72 - 24)
    np.testing.assert_array_equal(juicy_center(np.arange(3), 0), np.arange(3))


@few
@given(labels_4d)
def test_orphans__are_the_regions_that_no_border_voxel_has(labels):
    expected = set(labels.ravel()) - set(labels[at_border(labels)]) - {0}
    assert orphans(labels).tolist() == sorted(expected)


@few
@given(labels_3d)
def test_non_traversing_segments__touch_the_border_in_one_piece(labels):
    skin = np.where(at_border(labels), labels, 0)
    pieces = pieces_of(skin, 1)
    expected = [label for label in np.unique(skin) if label and len(np.unique(pieces[skin == label])) == 1]
    assert non_traversing_segments(labels).tolist() == expected


def test_non_traversing_segments__tell_dead_ends_from_neurites():
    labels = np.ones((7, 7, 7), dtype=int)
    labels[3, 3, :] = 5  # through
    labels[5, 5, 3:] = 6  # a dead end
    labels[1, 1, 3:5] = 7  # an orphan
    assert non_traversing_segments(labels).tolist() == [1, 6]
    assert orphans(labels).tolist() == [7]


# -------------------------------------------------------------------------------------------- minima


@few
@given(heights, st.data())
def test_regional_minima__are_the_flat_pieces_with_no_lower_neighbour(height, data):
    connectivity = data.draw(connectivities(height))
    np.testing.assert_array_equal(regional_minima(height, connectivity), minima_of(height, connectivity))


@few
@given(heights, st.data())
def test_reconstruction__equals_dilation_under_the_mask_until_nothing_changes(mask, data):
    connectivity = data.draw(connectivities(mask))
    marker = data.draw(hnp.arrays(np.float32, mask.shape, elements=st.integers(-2, 8).map(lambda i: i / 8)))
    found = morphological_reconstruction(marker, mask, connectivity)
    np.testing.assert_array_equal(found, spread(marker, mask, connectivity))


@few
@given(heights, st.sampled_from([0, 0.125, 0.25, 0.5, 2]), st.data())
def test_hminima__fills_by_its_definition_and_leaves_deep_minima(height, thresh, data):
    connectivity = data.draw(connectivities(height))
    filled = hminima(height, thresh, connectivity)
    np.testing.assert_array_equal(filled, -spread(-height - np.float32(thresh), -height, connectivity))
    assert ((filled >= height) & (filled <= height + thresh)).all()
    before, after = (relabel_connected(regional_minima(h, connectivity), connectivity) for h in (height, filled))
    assert after.max() <= before.max()
    if thresh == 0:
        np.testing.assert_array_equal(filled, height)


def test_hminima__leaves_the_minima_that_scikit_image_finds_deep():
    height = np.random.default_rng(0).random((12, 13))
    deep = morphology.h_minima(height, 0.2, footprint=ndimage.generate_binary_structure(2, 1)) > 0
    left = regional_minima(hminima(height, 0.2))
    assert left[deep].all()
    assert relabel_connected(deep).max() == relabel_connected(left).max()


@few
@given(heights, st.data())
def test_impose_minima__leaves_the_minima_asked_for_and_no_others(height, data):
    connectivity = data.draw(connectivities(height))
    wanted = data.draw(hnp.arrays(bool, height.shape).filter(lambda wanted: wanted.any()))
    imposed = impose_minima(height, wanted, connectivity)
    np.testing.assert_array_equal(regional_minima(imposed, connectivity), wanted)
    assert (imposed[~wanted] >= height[~wanted]).all()


@few
@given(heights)
def test_complement__turns_the_image_round(height):
    np.testing.assert_array_equal(complement(height), height.max() - height)
    np.testing.assert_array_equal(complement(height > 0.5), height <= 0.5)
    assert complement(height.astype(np.uint8)).dtype == np.uint8


# -------------------------------------------------------------------------------------- wrong input

flat, ones = np.zeros((2, 3)), np.ones((2, 3), dtype=int)


@pytest.mark.parametrize(
    ("wrong", "error", "words"),
    [
        (lambda: relabel_connected([0.5, 1.0]), LabelError, "0.5"),
        (lambda: relabel_connected(np.ones((1, 1, 2, 2), dtype=int)), ShapeError, "1 to 3 dimensions"),
        (lambda: relabel_connected([1, 1], connectivity=2), SettingError, "from 1 to 1"),
        (lambda: relabel_from_one([-1]), LabelError, "label_field must hold labels"),
        (lambda: remove_small_connected_components([1], -1), SettingError, "min_size"),
        (lambda: seg_to_bdry(ones, 0), SettingError, "connectivity must be from 1 to 2"),
        (lambda: undam(np.zeros(3, dtype=int)), LabelError, "nothing but 0"),
        (lambda: pad(np.zeros(3, np.uint8), 256), SettingError, "vals must be values of uint8.*got 256"),
        (lambda: pad(np.zeros(3, np.uint8), [1, -1]), SettingError, "got -1"),
        (lambda: pad(np.zeros(3, np.uint8), 0.5), SettingError, "got 0.5"),
        (lambda: pad(np.zeros(3), 1, axes=[1]), SettingError, "axes must be among the 1"),
        (lambda: juicy_center(flat), ShapeError, r"larger than 2 \* 1"),
        (lambda: juicy_center(flat, -1), SettingError, "skinsize must be 0 or more; got -1"),
        (lambda: non_traversing_segments(np.ones((3, 3, 3, 3), dtype=int)), ShapeError, "1 to 3 dimensions"),
        (lambda: orphans(-ones), LabelError, "a must hold labels"),
        (lambda: hminima(flat, -1), SettingError, "thresh must be 0 or more"),
        (lambda: hminima([np.inf], 1), ImageError, "finite"),
        (lambda: regional_minima([]), ShapeError, "at least one"),
        (lambda: impose_minima(flat, flat), ShapeError, "True in at least one"),
        (lambda: impose_minima(flat, [True]), ShapeError, "minima must have the shape of a"),
        (lambda: morphological_reconstruction([1], flat), ShapeError, "marker must have the shape of mask"),
        (lambda: complement([]), ShapeError, "at least one voxel"),
    ],
)
def test_wrong_input__is_named(wrong, error, words):
    with pytest.raises(error, match=words):
        wrong()
