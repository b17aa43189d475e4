"""Boundary labels of a truth, and boundary maps that are the wrong way up."""

import warnings

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from hypothesis.extra import numpy as hnp
from numpy.testing import assert_allclose, assert_array_equal

import real
from gala import morpho
from gala.errors import GalaWarning, LabelError, PolarityWarning, ShapeError

few = settings(max_examples=50, deadline=None)
truths = hnp.arrays(np.int64, hnp.array_shapes(min_dims=1, max_dims=3, max_side=6), elements=st.integers(0, 3))


def slow_boundary_labels(truth):
    """Return boundary labels by looking at the neighbours of each voxel."""
    found = np.zeros(truth.shape, np.uint8)
    for place in np.ndindex(truth.shape):
        objects, touching = set(), set()
        for step in np.ndindex((3,) * truth.ndim):
            move = np.array(step) - 1
            other = tuple(np.array(place) + move)
            if all(0 <= at < n for at, n in zip(other, truth.shape, strict=True)) and truth[other]:
                objects.add(truth[other])
                if abs(move).sum() <= 1:
                    touching.add(truth[other])
        if truth[place]:
            found[place] = 2 if len(touching) > 1 else 1
        else:
            found[place] = 2 if len(objects) > 1 else 0
    return found


@few
@given(truths)
def test_boundary_labels__are_those_of_the_slow_twin(truth):
    assert_array_equal(morpho.boundary_labels(truth), slow_boundary_labels(truth))


@few
@given(truths, st.permutations([1, 2, 3]))
def test_boundary_labels__do_not_depend_on_names_of_objects(truth, names):
    renamed = np.array([0, *names], np.uint64)[truth] * np.uint64(2**62 // 3)
    assert_array_equal(morpho.boundary_labels(renamed), morpho.boundary_labels(truth))


@few
@given(truths, st.integers(0, 9))
def test_polarity__turning_a_map_over_changes_the_sign_of_its_contrast(truth, seed):
    boundary = np.random.default_rng(seed).random(truth.shape)
    one, other = morpho.polarity(boundary, truth), morpho.polarity(1 - boundary, truth)
    assert_allclose(one.contrast, -other.contrast, atol=1e-6)
    assert not (one.is_inverted and other.is_inverted)


def test_check_polarity__an_inverted_map_is_reported_with_its_fix():
    labels = np.repeat([[1], [2]], 5, axis=0).repeat(5, axis=1)
    labels = np.kron(np.array([[1, 2], [3, 4]]), np.ones((6, 6), int))
    good = np.where(morpho.boundary_labels(labels) == 2, 0.9, 0.2)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert not morpho.check_polarity(good, labels).is_inverted
    with pytest.warns(PolarityWarning, match=r"0\.1 on boundaries and 0\.8 inside.*pass 1 - boundary"):
        found = morpho.check_polarity(1 - good, labels)
    assert found.is_inverted
    with pytest.warns(GalaWarning, match="pass 229 - boundary"):
        found = morpho.check_polarity(255 * (1 - good) + 25, labels)
    assert not morpho.polarity(found.top - 255 * (1 - good), labels).is_inverted


def test_polarity__without_boundaries_or_contrast_nothing_is_inverted():
    for labels in (np.ones((4, 4), int), np.zeros((4, 4), int)):
        found = morpho.polarity(np.random.default_rng(0).random((4, 4)), labels)
        assert (found.contrast, found.is_inverted) == (0, False)
        assert np.isnan(found.on_boundaries)
    flat = morpho.polarity(np.ones(4), [1, 1, 2, 2])
    assert not flat.is_inverted


def test_polarity__of_noise_is_not_called_inverted():
    labels = np.kron(np.arange(1, 17).reshape(4, 4), np.ones((10, 10), int))
    rng = np.random.default_rng(0)
    assert not any(morpho.polarity(rng.random(labels.shape), labels).is_inverted for _ in range(20))


def test_polarity__shapes_and_labels_are_checked():
    with pytest.raises(ShapeError, match=r"boundary must have the shape of labels, \(3,\); got \(4,\)"):
        morpho.polarity(np.zeros(4), [1, 2, 3])
    with pytest.raises(LabelError, match="labels must hold labels"):
        morpho.polarity(np.zeros(3), [1, -2, 3])


@pytest.mark.parametrize("labels", ["train-gt", "train-ws"])
def test_polarity__of_real_maps_is_known_from_truth_and_superpixels(labels):
    boundary, regions = real.read("train-p1"), real.read(labels)
    assert not morpho.polarity(boundary, regions).is_inverted
    assert morpho.polarity(1 - boundary, regions).is_inverted
