"""Watersheds keep their seeds and their masks, dams keep regions apart, and splits stay within what they split."""

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from hypothesis.extra import numpy as hnp
from skimage import segmentation

from gala.errors import ImageError, LabelError, SettingError, ShapeError
from gala.morpho import (
    compact_watershed,
    hminima,
    manual_split,
    minimum_seeds,
    multiscale_regular_seeds,
    multiscale_seed_sequence,
    refined_seeding,
    regional_minima,
    relabel_connected,
    relabel_from_one,
    remove_small_connected_components,
    split_exclusions,
    watershed,
    watershed_sequence,
)
from naive_morpho import around, flooded, minima_of, pieces_of, touching

few = settings(deadline=None, max_examples=60)
shapes = st.integers(1, 4).flatmap(
    lambda ndim: hnp.array_shapes(min_dims=ndim, max_dims=ndim, max_side=(20, 7, 4, 3)[ndim - 1])
)


def heights_of(shape):
    return hnp.arrays(np.float32, shape, elements=st.integers(0, 6).map(lambda i: i / 8))


def labels_of(shape, kinds=(0, 1, 2, 2**40)):
    return hnp.arrays(np.int64, shape, elements=st.sampled_from(kinds))


heights = shapes.flatmap(heights_of)
three_at_most = shapes.filter(lambda shape: len(shape) < 4)


def ridge():
    """Return a plane with a bent ridge, one seed on either side, and where the sides are."""
    _, column = np.indices((9, 11))
    bend = 4 + (np.arange(9) > 4)[:, np.newaxis]
    seeds = np.zeros((9, 11), dtype=np.uint16)
    seeds[0, 0], seeds[0, -1] = 500, 7
    return 1.0 - abs(column - bend) / 11, seeds, column < bend, column > bend


# ----------------------------------------------------------------------------------------- watershed


@few
@given(heights, st.data())
def test_watershed__fills_the_mask_with_one_connected_region_for_each_minimum_in_it(height, data):
    connectivity = data.draw(st.integers(1, height.ndim))
    mask = data.draw(st.none() | hnp.arrays(bool, height.shape))
    labels = watershed(height, connectivity=connectivity, mask=mask)
    inside = np.ones(height.shape, bool) if mask is None else mask
    assert labels.dtype == np.int32
    np.testing.assert_array_equal(labels > 0, inside)
    minima = minima_of(np.where(inside, height, 9), connectivity) & inside
    seeds = relabel_connected(minima, connectivity)
    np.testing.assert_array_equal(labels[minima], seeds[minima])
    parts = pieces_of(labels, connectivity)
    assert len(np.unique(parts[inside])) == seeds.max()


@few
@given(heights, st.data())
def test_watershed__keeps_given_seeds_and_never_leaves_the_mask(height, data):
    seeds = data.draw(labels_of(height.shape, (0, 0, 0, 5, 2**31 - 1)))
    mask = data.draw(hnp.arrays(bool, height.shape))
    connectivity = data.draw(st.integers(1, height.ndim))
    labels = watershed(height, seeds, connectivity, mask)
    kept = np.where(mask, seeds, 0)
    np.testing.assert_array_equal(labels[kept > 0], kept[kept > 0])
    assert not labels[~mask].any()
    for part in np.unique(pieces_of(mask, connectivity)[mask]):
        here = (pieces_of(mask, connectivity) == part) & mask
        assert set(labels[here]) <= (set(kept[here]) - {0} or {0})


@few
@given(heights, st.data())
def test_watershed__dams_keep_regions_apart_and_seeds_alive(height, data):
    connectivity = data.draw(st.integers(1, height.ndim))
    mask = data.draw(st.none() | hnp.arrays(bool, height.shape))
    labels = watershed(height, connectivity=connectivity, mask=mask, dams=True)
    assert not touching(labels, connectivity)
    seeds = watershed(height, connectivity=connectivity, mask=mask)
    assert set(np.unique(labels)) - {0} == set(np.unique(seeds)) - {0}


@few
@given(heights, st.sampled_from([0.125, 0.3, 0.5]))
def test_watershed__smoothing_leaves_one_region_for_each_deep_minimum(height, thresh):
    labels = watershed(height, smooth_thresh=thresh)
    deep = relabel_connected(regional_minima(hminima(height, thresh)))
    assert labels.max() == deep.max()
    np.testing.assert_array_equal(labels[deep > 0], deep[deep > 0])


def test_watershed__smoothing_knows_only_what_is_within_the_mask():
    height = np.array([[5, 0.4, 0.5, 0.4, 5, 0, 5]])
    mask = np.array([[False, True, True, True, False, False, False]])
    assert watershed(height, mask=mask, smooth_thresh=0.2).tolist() == [[0, 1, 1, 1, 0, 0, 0]]
    assert watershed(height, mask=mask, smooth_thresh=0.05).max() == 2
    assert not watershed(height, mask=np.zeros_like(mask), smooth_thresh=0.2).any()


def test_watershed__values_outside_the_mask_may_be_nan():
    assert watershed([[np.nan, 1, 2]], mask=[[False, True, True]]).tolist() == [[0, 1, 1]]


@few
@given(heights, st.data())
def test_watershed__seeds_that_are_too_small_are_removed(height, data):
    seeds = data.draw(labels_of(height.shape, (0, 0, 3, 8)).filter(lambda seeds: seeds.ndim < 4 and seeds.any()))
    labels = watershed(height, seeds, minimum_seed_size=3)
    kept = remove_small_connected_components(seeds, 3)
    np.testing.assert_array_equal(labels, watershed(height, kept))


def test_watershed__smooth_seeds_lose_what_is_thin():
    seeds = np.zeros((7, 9), dtype=int)
    seeds[2:5, 2:5] = 4
    seeds[3, 5:] = 4
    seeds[:, 0] = 9
    labels = watershed(np.zeros((7, 9)), seeds, smooth_seeds=True)
    assert set(labels.ravel()) == {4}
    flat = np.ones((9, 9))
    flat[2:5, 2:5], flat[7, 1:8] = 0, 0.5
    assert watershed(flat).max() == 2
    assert watershed(flat, smooth_seeds=True).max() == 1


@few
@given(heights, st.data())
def test_watershed__pieces_of_booleans_are_seeds(height, data):
    seeds = data.draw(hnp.arrays(bool, height.shape))
    connectivity = data.draw(st.integers(1, height.ndim))
    expected = watershed(height, relabel_connected(seeds, connectivity), connectivity)
    np.testing.assert_array_equal(watershed(height, seeds, connectivity), expected)


@pytest.mark.parametrize("connectivity", [1, 2, 3])
def test_watershed__of_distinct_heights_equals_that_of_scikit_image(connectivity):
    height = np.random.default_rng(3).permutation(6 * 7 * 8).reshape(6, 7, 8).astype(float)
    seeds = relabel_connected(regional_minima(height, connectivity), connectivity)
    expected = segmentation.watershed(height, seeds, connectivity=connectivity)
    np.testing.assert_array_equal(watershed(height, connectivity=connectivity), expected)


@few
@given(heights, st.data())
def test_watershed__equals_its_slow_twin(height, data):
    dams = data.draw(st.booleans())
    is_native = height.ndim in (2, 3) and not dams  # which breaks ties in its own way
    connectivity = data.draw(st.integers(1 + (is_native and height.ndim > 1), height.ndim))
    mask = data.draw(hnp.arrays(bool, height.shape))
    seeds = data.draw(labels_of(height.shape, (0, 0, 0, 5, 6)))
    expected = flooded(height, np.where(mask, seeds, 0), mask, connectivity, dams=dams)
    np.testing.assert_array_equal(watershed(height, seeds, connectivity, mask, dams=dams), expected)


def test_watershed__regions_meet_on_the_ridge():
    height, seeds, left, right = ridge()
    for options in ({}, {"connectivity": 2}, {"dams": True}):
        labels = watershed(height, seeds, **options)
        assert (labels[left] == 500).all()
        assert (labels[right] == 7).all()
    assert not labels[~left & ~right].any()


def test_watershed__gives_the_same_bytes_each_time():
    height = np.random.default_rng(0).integers(0, 4, size=(20, 30, 40)) / 4
    for dams in (False, True):
        assert len({watershed(height, dams=dams).tobytes() for _ in range(3)}) == 1


def test_watershed__takes_the_historic_arguments():
    height, seeds, left, _ = ridge()
    labels = watershed(height, seeds, 1, left, 0.0, False, 0, False, True, True)
    np.testing.assert_array_equal(labels, np.where(left, 500, 0))


# --------------------------------------------------------------------------- compact, plane by plane


@few
@given(heights, st.data())
def test_compact_watershed__keeps_seeds_and_mask(height, data):
    seeds = data.draw(labels_of(height.shape, (0, 0, 5, 6)))
    mask = data.draw(hnp.arrays(bool, height.shape))
    labels = compact_watershed(height, seeds, 0.1, mask=mask)
    kept = np.where(mask, seeds, 0)
    np.testing.assert_array_equal(labels[kept > 0], kept[kept > 0])
    assert not labels[~mask].any()


def test_compact_watershed__the_more_compact_the_nearer_to_the_seeds():
    _, column = np.indices((15, 30))
    height = np.where(column == 5, 1.0, 0.0)
    seeds = np.zeros((15, 30), dtype=int)
    seeds[7, 2], seeds[7, 22] = 1, 2
    borders = [(compact_watershed(height, seeds, c) == 1)[7].sum() for c in (0, 100)]
    assert borders[0] in (5, 6)
    assert abs(borders[1] - 12) <= 1
    off_ridge = height == 0
    np.testing.assert_array_equal(compact_watershed(height, seeds, 0)[off_ridge], watershed(height, seeds)[off_ridge])


def test_compact_watershed__can_place_seeds_on_a_grid():
    labels = compact_watershed(np.zeros((20, 20)), 16, 1)
    assert 9 <= labels.max() <= 25
    assert (np.bincount(labels.ravel())[1:] > 4).all()


@few
@given(three_at_most.filter(lambda shape: len(shape) > 1).flatmap(heights_of), st.data())
def test_watershed_sequence__is_the_watershed_of_each_plane_with_labels_of_its_own(height, data):
    axis = data.draw(st.integers(-height.ndim, height.ndim - 1))
    mask = data.draw(st.none() | hnp.arrays(bool, height.shape))
    seeds = data.draw(st.none() | labels_of(height.shape, (0, 0, 2, 70)))
    labels = watershed_sequence(height, seeds, mask, axis)
    assert set(np.unique(labels)) - {0} == set(range(1, labels.max() + 1))
    before = 0
    for i, plane in enumerate(np.moveaxis(labels, axis, 0)):
        parts = [None if vol is None else np.take(vol, i, axis) for vol in (seeds, mask)]
        expected = relabel_from_one(watershed(np.take(height, i, axis), parts[0], mask=parts[1]))[0]
        np.testing.assert_array_equal(plane, np.where(expected > 0, expected + before, 0))
        before += expected.max()


# --------------------------------------------------------------------------------------------- seeds


@few
@given(three_at_most, st.data())
def test_minimum_seeds__each_point_has_a_seed_of_its_own(shape, data):
    seeds = data.draw(labels_of(shape, (0, 0, 0, 1, 7)))
    is_point = data.draw(hnp.arrays(bool, shape))
    connectivity = data.draw(st.integers(1, len(shape)))
    out = minimum_seeds(seeds, np.nonzero(is_point), connectivity)
    changed = out[(out != seeds) & (out > 0)]
    assert (changed > seeds.max()).all()
    owners = {}
    for point in zip(*np.nonzero(is_point), strict=True):
        beside = [seeds[there] for there in around(point, shape, connectivity)]
        owners[point] = seeds[point] or max(beside, default=0)
    for point, owner in owners.items():
        if owner == 0 or list(owners.values()).count(owner) > 1:
            assert out[point] > seeds.max()
            assert (out == out[point]).sum() == 1
        else:
            np.testing.assert_array_equal(out == owner, (seeds == owner) & (out <= seeds.max()))
            assert owner in out
    for label in set(np.unique(seeds)) - set(owners.values()):
        assert ((out == label) | is_point)[seeds == label].all()


@few
@given(shapes, st.integers(1, 60), st.data())
def test_multiscale_regular_seeds__are_free_single_and_numbered(shape, num_seeds, data):
    off_limits = data.draw(hnp.arrays(bool, shape))
    seeds = multiscale_regular_seeds(off_limits, num_seeds)
    assert not seeds[off_limits].any()
    labels = seeds[seeds > 0]
    np.testing.assert_array_equal(labels, np.arange(1, labels.size + 1))
    all_of_grid = segmentation.watershed(np.zeros(shape), num_seeds) if num_seeds > 1 else np.ones(shape)
    assert labels.size <= max(1, len(np.unique(all_of_grid)))


def test_multiscale_regular_seeds__are_dense_beside_what_is_off_limits():
    off_limits = np.zeros((64, 64), dtype=bool)
    off_limits[30] = True
    seeds = multiscale_regular_seeds(off_limits, 256) > 0
    in_rows = seeds.sum(axis=1)
    assert in_rows[26] == 16  # every point of the grid, beside what is off limits
    assert 0 < in_rows[:16].sum() < 16
    assert (multiscale_regular_seeds(np.zeros((64, 64)), 256) > 0).sum() == 1


def test_multiscale_seed_sequence__keeps_off_the_ridges():
    prob = np.zeros((3, 60, 60))
    prob[:, 28:31] = prob[:, :, 28:31] = 1
    seeds = multiscale_seed_sequence(prob, grid_density=5)
    assert not seeds[:, 28:31].any()
    assert set(seeds.ravel()) == set(range(seeds.max() + 1))
    assert all((plane > 0).sum() > 4 for plane in seeds)
    regions = watershed(prob, seeds)
    assert regions.max() == seeds.max()


def test_refined_seeding__of_radius_0_numbers_the_low_pieces():
    height = np.random.default_rng(0).integers(0, 3, (9, 12))
    seeds = refined_seeding(height, 0, 0, 0, 0)
    np.testing.assert_array_equal(seeds, relabel_connected(height == 0))
    large = refined_seeding(height, 0, 0, 0, 0, minimum_size=4)
    np.testing.assert_array_equal(
        large > 0, np.isin(seeds, np.flatnonzero(np.bincount(seeds.ravel()) >= 4)) & (seeds > 0)
    )


def test_refined_seeding__removes_spots_and_bridges_and_fills_gaps():
    height = np.ones((13, 23))
    height[2:11, 2:9] = height[2:11, 13:20] = 0
    height[6, 9:13] = 0  # a bridge
    height[0, 0] = 0  # a spot
    height[4, 4] = 1  # a gap
    seeds = refined_seeding(height, 0, 0, 1, 1)
    assert seeds.max() == 2
    assert not seeds[:, 10:12].any()
    assert not seeds[0].any()
    assert seeds[4, 4] == seeds[6, 4] > 0
    assert refined_seeding(height, 0, 1, 0, 0).max() == 2  # the bridge is a gap in the ridge


# -------------------------------------------------------------------------------------------- splits


@few
@given(three_at_most.flatmap(heights_of), st.data())
def test_split_exclusions__no_region_overlaps_two_and_nothing_else_changes(height, data):
    labels = data.draw(labels_of(height.shape, (0, 1, 1, 2**40)))
    exclusions = data.draw(labels_of(height.shape, (0, 0, 0, 4, 5, 6)))
    dilation = data.draw(st.integers(0, 2))
    connectivity = data.draw(st.integers(1, height.ndim))
    split = split_exclusions(height, labels, exclusions, dilation, connectivity)
    assert split.dtype == labels.dtype
    for label in np.unique(labels):
        here = labels == label
        is_crowded = label > 0 and len(set(exclusions[here]) - {0}) > 1
        assert set(split[here]) <= ({label} | set(split[split > labels.max()]) if is_crowded else {label})
    for label in set(np.unique(split)) - {0}:
        assert len(set(exclusions[split == label]) - {0}) <= 1
        assert len(set(labels[split == label])) == 1


def test_split_exclusions__pieces_meet_on_the_ridge():
    height, seeds, left, right = ridge()
    split = split_exclusions(height, np.full(height.shape, 3), seeds)
    assert set(split[left]) == {5}
    assert set(split[right]) == {4}


@few
@given(three_at_most.flatmap(heights_of), st.booleans(), st.data())
def test_manual_split__changes_the_region_alone(height, is_dammed, data):
    seg = data.draw(labels_of(height.shape, (0, 3, 3, 3, 9) if is_dammed else (3, 3, 3, 9)))
    inside = np.flatnonzero(seg == 3)
    if inside.size < 2:
        return
    first, second = data.draw(st.permutations(inside.tolist()))[:2]
    seeds = np.zeros(height.shape, dtype=np.uint8)
    seeds.flat[first], seeds.flat[second] = 1, 2
    before = seg.copy()
    split = manual_split(height, seg, 3, seeds)
    np.testing.assert_array_equal(seg, before)
    np.testing.assert_array_equal(split[seg != 3], seg[seg != 3])
    assert (split.flat[first], split.flat[second]) == (3, seg.max() + 1)
    has_dams = not seg.all()
    assert set(split[seg == 3]) <= {3, seg.max() + 1, *([0] if has_dams else [])}
    if has_dams:
        neighbours = around(np.unravel_index(first, seg.shape), seg.shape, 1)
        if np.unravel_index(second, seg.shape) not in neighbours:
            assert (3, seg.max() + 1) not in touching(np.where(seg == 3, split, 0), 1)


def test_manual_split__goes_along_boundary_seeds():
    seg = np.full((9, 11), 4)
    seeds = np.zeros((9, 11), dtype=bool)
    seeds[4, 0] = seeds[4, 1] = seeds[4, 10] = True
    wall = np.zeros((9, 11), dtype=bool)
    wall[:, 8] = True
    split = manual_split(np.zeros((9, 11)), seg, 4, seeds, boundary_seeds=wall)
    assert (split[:, :8] == 4).all()
    assert (split[:, 9:] == 5).all()


# -------------------------------------------------------------------------------------- wrong input

flat, ones = np.zeros((2, 3)), np.ones((2, 3), dtype=int)


@pytest.mark.parametrize(
    ("wrong", "error", "words"),
    [
        (lambda: watershed([[0.0, np.nan]]), ImageError, "finite"),
        (lambda: watershed([[0.0, 1j]]), ImageError, "real numbers; got an array of complex"),
        (lambda: watershed(np.zeros((0, 3))), ShapeError, "at least one"),
        (lambda: watershed(flat, np.ones((3, 2), dtype=int)), ShapeError, r"seeds must have.*\(2, 3\)"),
        (lambda: watershed(flat, mask=np.ones(6, dtype=bool)), ShapeError, "mask must have"),
        (lambda: watershed(np.zeros((1, 2)), [[1, -1]]), LabelError, "-1"),
        (lambda: watershed(np.zeros((1, 2)), [[1, 2**31]]), LabelError, "2147483648"),
        (lambda: watershed(flat, connectivity=3), SettingError, "from 1 to 2.*got 3"),
        (lambda: watershed(flat, connectivity=True), SettingError, "from 1 to 2.*got True"),
        (lambda: watershed(flat, smooth_thresh=-1), SettingError, "smooth_thresh must be 0 or more; got -1"),
        (lambda: watershed(flat, smooth_thresh=np.nan), SettingError, "smooth_thresh must be 0 or more; got nan"),
        (lambda: watershed(flat, minimum_seed_size=-1), SettingError, "minimum_seed_size"),
        (lambda: compact_watershed(flat, 0), SettingError, "seeds must be an array, or how many"),
        (lambda: compact_watershed(flat, 2.5), SettingError, "got 2.5"),
        (lambda: compact_watershed(flat, ones, -1), SettingError, "compactness"),
        (lambda: watershed_sequence(np.zeros(3)), ShapeError, "at least 2 dimensions"),
        (lambda: watershed_sequence(flat, axis=2), SettingError, "axis must be one of the 2"),
        (lambda: watershed_sequence(flat, np.ones(3)), ShapeError, "seeds must have the shape"),
        (lambda: minimum_seeds(ones, ([0], [3])), ShapeError, r"within shape \(2, 3\)"),
        (lambda: minimum_seeds(ones, ([0],)), ShapeError, "must be 2 arrays"),
        (lambda: minimum_seeds(np.array([255, 0], np.uint8), ([1, 0],)), LabelError, "no room for 2 more above 255"),
        (lambda: multiscale_regular_seeds(flat, 0), SettingError, "num_seeds"),
        (lambda: multiscale_seed_sequence(flat), ShapeError, "plane, row, column"),
        (lambda: refined_seeding(flat, grey_close_radius=-1), SettingError, "grey_close_radius"),
        (lambda: manual_split(flat, ones, 2, ones), LabelError, "no region 2"),
        (lambda: manual_split(flat, ones, 1, ones), LabelError, "two or more in region 1; got 1"),
        (lambda: manual_split(flat, [[1, 1, 1], [2, 2, 2]], 1, [[8, 9, 0], [5, 0, 0]]), LabelError, "do not: 5"),
        (lambda: manual_split(flat, ones[:1], 1, ones), ShapeError, "seg must have the shape of probs"),
        (lambda: split_exclusions(flat, ones, ones, -1), SettingError, "dilation"),
        (lambda: split_exclusions(flat, ones, -ones), LabelError, "exclusions must hold labels"),
    ],
)
def test_wrong_input__is_named(wrong, error, words):
    with pytest.raises(error, match=words):
        wrong()
