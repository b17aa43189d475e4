"""Superpixels fill the mask, are connected, and are those of h-minima; each method does what its name says."""

import warnings

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from hypothesis.extra import numpy as hnp

from gala import datasets, evaluate
from gala._kernels.basins import find_passes, join_shallow, join_small, lowest_heights
from gala.errors import GalaWarning, ImageError, SettingError, ShapeError
from gala.morpho import hminima, regional_minima, relabel_connected, superpixels
from naive_morpho import faces_between
from real import read

few = settings(deadline=None, max_examples=40)
METHODS = ("watershed", "distance", "compact")
BEFORE = {ndim: (-np.eye(ndim, dtype=int)).tolist() for ndim in (2, 3)}
shapes = st.integers(1, 4).flatmap(
    lambda ndim: hnp.array_shapes(min_dims=ndim, max_dims=ndim, max_side=(20, 7, 4, 3)[ndim - 1])
)
maps = shapes.flatmap(lambda shape: hnp.arrays(np.float32, shape, elements=st.integers(0, 8).map(lambda i: i / 8)))


def affinities_of(image):
    """Return, along each axis, one minus the larger value of a voxel and the one before."""
    out = np.zeros((image.ndim, *image.shape), dtype=np.float32)
    for axis in range(image.ndim):
        rest = (slice(None),) * axis
        here, before = (*rest, slice(1, None)), (*rest, slice(None, -1))
        out[axis][here] = 1 - np.maximum(image[here], image[before])
    return out


def oracle_vi(labels, truth):
    """Return the VI that is left when each superpixel joins the object that it overlaps most."""
    return evaluate.split_vi(evaluate.best_possible_segmentation(labels, truth), truth).sum()


def cells(shape=(24, 40, 40), seed=0):
    volume = datasets.synthetic(shape, seed=seed)
    return volume.p1, volume.truth


# --------------------------------------------------------------------------------------------- laws


@few
@given(maps, st.sampled_from(METHODS), st.data())
def test_superpixels__fill_the_mask_with_connected_regions_numbered_from_one(image, method, data):
    mask = data.draw(hnp.arrays(bool, image.shape))
    labels = superpixels(image, method=method, mask=mask, min_size=data.draw(st.sampled_from([0, 3])))
    np.testing.assert_array_equal(labels > 0, mask)
    assert labels.dtype == np.int32
    assert set(np.unique(labels[mask])) == set(range(1, labels.max() + 1))
    if image.ndim <= 3:
        assert relabel_connected(labels).max() == labels.max()


@few
@given(shapes, st.integers(0, 2**32 - 1), st.integers(0, 8))
def test_superpixels__are_one_for_each_h_minimum(shape, seed, depth):
    order = np.random.default_rng(seed).permutation(int(np.prod(shape))).reshape(shape)
    depth = (depth + 0.5) / order.size
    image = (order / order.size).astype(np.float64)
    minima = relabel_connected(regional_minima(hminima(image, depth)))
    labels = superpixels(image, sigma=0, depth=depth, min_size=0)
    assert len(np.unique(labels[minima > 0])) == labels.max() == minima.max()


@few
@given(maps, st.sampled_from(METHODS), st.integers(1, 9))
def test_superpixels__below_the_size_have_no_neighbour(image, method, size):
    labels = superpixels(image, method=method, min_size=size)
    assert labels.max() == 1 or np.bincount(labels.ravel())[1:].min() >= size


def test_small_superpixels__join_behind_the_weakest_boundary():
    image = np.array([[0, 0, 0, 0.9, 0.1, 0.4, 0, 0, 0]])
    assert superpixels(image, sigma=0, min_size=0).max() == 3
    assert superpixels(image, sigma=0, min_size=3).tolist() == [[1, 1, 1, 1, 2, 2, 2, 2, 2]]


@few
@given(st.integers(1, 3), st.data())
def test_superpixels__of_scaled_integers_are_those_of_floats(ndim, data):
    shape = data.draw(hnp.array_shapes(min_dims=ndim, max_dims=ndim, max_side=6))
    image = data.draw(hnp.arrays(np.uint8, shape))
    for method in METHODS:
        np.testing.assert_array_equal(
            superpixels(image, method=method), superpixels(image.astype(np.float32) / np.float32(255), method=method)
        )


@pytest.mark.compiled
def test_superpixels__are_the_same_twice():
    image, _ = cells()
    for method in METHODS:
        assert superpixels(image, method=method).tobytes() == superpixels(image, method=method).tobytes()


# -------------------------------------------------------------------------------------- kernels


@few
@given(shapes, st.data())
def test_kernels__find_and_join_what_slow_twins_do(shape, data):
    labels = data.draw(hnp.arrays(np.int32, shape, elements=st.integers(0, 4)))
    height = data.draw(hnp.arrays(np.float64, shape, elements=st.integers(0, 8).map(lambda i: i / 8)))
    strides = np.array(labels.strides) // labels.itemsize
    five = st.lists(st.integers(0, 8), min_size=5, max_size=5)
    depth = data.draw(st.sampled_from([0.0, 0.25, np.inf]))
    lowest, cells = np.array(data.draw(five)) / 8, np.array(data.draw(five)) % 2
    given = labels.ravel(), height.ravel(), np.array(shape), strides, lowest, cells, depth
    found = {tuple(pair): tuple(face) for pair, face in zip(*map(np.ndarray.tolist, find_passes(*given)), strict=True)}
    between = {
        (a, b): [face for face in some if face - max(lowest[a], lowest[b]) <= depth]
        for (a, b), some in faces_between(labels, height).items()
        if cells[a] == cells[b]
    }
    assert found == {pair: (len(some), min(some), sum(some)) for pair, some in between.items() if some}
    lowest = [height[labels == label].min(initial=np.inf) for label in range(5)]
    assert lowest_heights(labels.ravel(), height.ravel(), 5).tolist() == lowest


@few
@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), max_size=20), st.integers(0, 6), st.data())
def test_joins__follow_pairs_in_order(pairs, limit, data):
    number = np.array(data.draw(st.lists(st.integers(0, 9), min_size=10, max_size=10)), dtype=float)
    pairs = np.array([pair for pair in pairs if pair[0] != pair[1]], dtype=np.int64).reshape(-1, 2)
    passes = np.arange(len(pairs)) / 2 + 9
    groups = {i: frozenset([i]) for i in range(10)}
    small = dict(groups)
    for (u, v), height in zip(pairs.tolist(), passes, strict=True):
        low = [min(number[i] for i in groups[w]) for w in (u, v)]
        if height - max(low) <= limit:
            groups |= dict.fromkeys(groups[u] | groups[v], groups[u] | groups[v])
        if min(sum(number[i] for i in small[w]) for w in (u, v)) < limit:
            small |= dict.fromkeys(small[u] | small[v], small[u] | small[v])
    assert join_shallow(pairs, passes, number, limit).tolist() == [min(groups[i]) for i in range(10)]
    assert join_small(pairs, number, limit).tolist() == [min(small[i]) for i in range(10)]


# -------------------------------------------------------------------------------------- methods


def test_distance__closes_a_gap_that_a_watershed_leaves_open():
    image = np.zeros((11, 31))
    image[:, 15] = 1
    image[5, 15] = 0  # a gap
    options = {"sigma": 0, "min_size": 0}
    assert superpixels(image, **options).max() == 1
    labels = superpixels(image, method="distance", **options)
    assert labels[5, 7] != labels[5, 23]
    assert labels[5, 7] == labels[1, 7]


def test_distance__is_measured_in_space():
    image = np.zeros((9, 9))
    image[:, 4] = 1
    image[3:6, 4] = 0
    across = superpixels(image, method="distance", spacing=(1, 10), sigma=0, min_size=0)
    assert across[4, 0] != across[4, 8]
    flat = superpixels(image, method="distance", spacing=(1, 0.1), sigma=0, min_size=0, depth=1)
    assert flat[4, 0] == flat[4, 8]


def test_compact__has_about_as_many_as_grid_points():
    image, _ = cells()
    labels = superpixels(image, method="compact", grid=8, min_size=0, compactness=10)
    assert labels.max() == 3 * 5 * 5
    in_nm = superpixels(image, method="compact", spacing=(16, 8, 8), unit="physical", grid=64, compactness=10)
    assert in_nm.max() == 6 * 5 * 5


def test_units__voxels_and_physical_ones_agree():
    image, _ = cells()
    given = {"spacing": (8.0, 4.0, 4.0)}
    in_voxels = superpixels(image, **given, sigma=1, min_size=50)
    in_nm = superpixels(image, **given, unit="physical", sigma=4, min_size=50 * 8 * 4 * 4)
    np.testing.assert_array_equal(in_voxels, in_nm)
    np.testing.assert_array_equal(superpixels(image, **given), superpixels(image, **given, unit="physical"))


@pytest.mark.parametrize("method", METHODS)
def test_planes_apart__are_cut_as_each_alone(method):
    image, _ = cells((4, 30, 30))
    mask = np.ones(image.shape, dtype=bool)
    mask[2] = False
    labels = superpixels(image, method=method, planes="apart", mask=mask, spacing=(30, 4, 4))
    first = superpixels(image[0], method=method, spacing=(4, 4))
    np.testing.assert_array_equal(labels[0], first)
    assert labels[1].min() == first.max() + 1
    assert not labels[2].any()


@pytest.mark.parametrize("ndim", [2, 3])
def test_affinities__of_all_conventions_give_the_same(ndim):
    image, _ = cells((40, 40) if ndim == 2 else (16, 24, 24))
    near = affinities_of(image)
    labels = superpixels(near, method="affinities", offsets=BEFORE[ndim])
    ahead = np.stack([np.roll(channel, -1, axis) for axis, channel in enumerate(near)])
    forward = superpixels(ahead, method="affinities", offsets=np.eye(ndim, dtype=int))
    np.testing.assert_array_equal(labels, forward)
    far = np.concatenate([near, near[:1]])
    some = superpixels(1 - far, method="affinities", offsets=[*BEFORE[ndim], [3] * ndim], polarity="repulsive")
    np.testing.assert_array_equal(labels, some)


def test_affinities__apart_read_what_is_in_the_plane():
    image, _ = cells((4, 30, 30))
    near = affinities_of(image)
    apart = superpixels(near, method="affinities", offsets=BEFORE[3], planes="apart")
    alone = superpixels(near[1:, 0], method="affinities", offsets=BEFORE[2])
    np.testing.assert_array_equal(apart[0], alone)


def test_affinities__that_look_inverted_are_reported_with_the_fix():
    near = affinities_of(cells((40, 40))[0])
    with pytest.warns(GalaWarning, match="polarity='repulsive'"):
        superpixels(1 - near, method="affinities", offsets=BEFORE[2])


# -------------------------------------------------------------------------------- quality, by oracle


def test_defaults__keep_what_the_truth_tells_apart():
    image, truth = cells((32, 64, 64))
    for method in ("watershed", "distance"):
        assert oracle_vi(superpixels(image, method=method), truth) < 0.55
    near = affinities_of(image)
    assert oracle_vi(superpixels(near, method="affinities", offsets=BEFORE[3]), truth) < 0.55


@pytest.mark.compiled
def test_defaults__are_no_worse_than_the_superpixels_of_the_real_example():
    boundary, given_labels, truth = read("train-p1"), read("train-ws"), read("train-gt")
    best = oracle_vi(given_labels, truth)
    for method in ("watershed", "distance"):
        labels = superpixels(boundary, method=method)
        assert oracle_vi(labels, truth) <= best
        assert labels.max() < 3 * given_labels.max()


# ------------------------------------------------------------------------------------------- errors


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"method": "slic"}, "method must be one of 'watershed'"),
        ({"grid": 5}, "method 'watershed' has no grid; it has depth, min_size, sigma"),
        ({"method": "compact", "grid": 0}, "grid must be above 0"),
        ({"sigma": -1}, "sigma must be 0 or more"),
        ({"min_size": -1}, "min_size must be 0 or more"),
        ({"unit": "nm"}, "unit must be 'voxel'"),
        ({"unit": "physical"}, "if spacing is given"),
        ({"spacing": (1, 2, 3)}, "spacing must be"),
        ({"planes": "apart"}, "planes must be 'together'"),
        ({"method": "affinities"}, "offsets must be given"),
    ],
)
def test_settings__out_of_range_are_refused(options, message):
    with pytest.raises(SettingError, match=message):
        superpixels(np.zeros((4, 4)), **options)


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (np.full((3, 3), np.nan), "must be finite"),
        (np.full((3, 3), 200.0), "boundary must be from 0 to 1, or integers"),
        (np.full((3, 3), -2, dtype=np.int16), "boundary must be from 0 to 1, or integers"),
        (np.zeros((3, 3), dtype=complex), "real numbers"),
        (np.ones((3, 3), dtype=np.int32), "integers of 8 or 16 bits, .* got int32: convert it, .* no labels"),
    ],
)
def test_maps__that_are_none_are_refused(image, message):
    with pytest.raises(ImageError, match=message):
        superpixels(image)


def test_shapes__that_do_not_fit_are_refused():
    with pytest.raises(ShapeError, match="at least one"):
        superpixels(np.zeros((0, 3)))
    with pytest.raises(ShapeError, match="mask must have the shape of the volume"):
        superpixels(np.zeros((3, 3)), mask=np.ones((3, 4)))
    with pytest.raises(ShapeError, match="Channels go on the first axis"):
        superpixels(np.zeros((5, 5, 2)), method="affinities", offsets=BEFORE[2])
    with pytest.raises(SettingError, match="none along axis 1"):
        superpixels(np.zeros((2, 5, 5)), method="affinities", offsets=[(1, 0), (0, 2)])


def test_nan__outside_of_the_mask_does_not_matter():
    image = np.zeros((4, 4))
    image[0, 0] = np.nan
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert superpixels(image, mask=~np.isnan(image)).max() == 1
