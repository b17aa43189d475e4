"""Superpixels made block by block are those of the whole volume, for any blocks and halos."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from hypothesis.extra import numpy as hnp

from gala import datasets, evaluate
from gala.engine.agglomerate import agglomerate
from gala.engine.policy import boundary_mean
from gala.errors import ImageError, SettingError, ShapeError
from gala.graph.build import build_graph
from gala.morpho import relabel_connected, superpixels, superpixels_of_block

few = settings(deadline=None, max_examples=20)
shapes = st.integers(1, 3).flatmap(
    lambda ndim: hnp.array_shapes(min_dims=ndim, max_dims=ndim, max_side=(40, 12, 8)[ndim - 1])
)
maps = shapes.flatmap(lambda shape: hnp.arrays(np.float32, shape, elements=st.integers(0, 8).map(lambda i: i / 8)))
options = st.fixed_dictionaries(
    {
        "sigma": st.sampled_from([0.0, 0.4]),
        "depth": st.sampled_from([0.0, 0.1, 0.5]),
        "min_size": st.sampled_from([0, 2, 5]),
        "cell": st.sampled_from([1.0, 2.5, 4.0]),
    }
)


def blocks_of(shape, sides):
    """Return the boxes of a grid."""
    cuts = [[slice(a, min(a + side, n)) for a in range(0, n, side)] for n, side in zip(shape, sides, strict=True)]
    return list(itertools.product(*cuts))


def whole(image, **given):
    return superpixels_of_block(lambda box: image[box], [slice(0, n) for n in image.shape], image.shape, **given).labels


def in_blocks(image, sides, **given):
    """Return the labels of all blocks, put together, and how many superpixels were cut."""
    labels, n_cut = np.empty(image.shape, dtype=np.uint64), 0
    for block in blocks_of(image.shape, sides):
        found = superpixels_of_block(lambda box: image[box], block, image.shape, **given)
        labels[block] = found.labels
        n_cut += found.n_cut
    return labels, n_cut


@settings(deadline=None, max_examples=60)
@given(maps, options, st.data())
def test_blocks__have_the_superpixels_of_the_whole(image, given, data):
    sides = [data.draw(st.integers(max(1, n // 3), n)) for n in image.shape]
    mask = data.draw(st.none() | hnp.arrays(bool, image.shape))
    given["mask"] = None if mask is None else lambda box: mask[box]
    given["spacing"] = data.draw(st.sampled_from([None, (1, 2, 1.5)[: image.ndim]]))
    labels, n_cut = in_blocks(image, sides, halo=data.draw(st.integers(0, 3)), **given)
    np.testing.assert_array_equal(labels, whole(image, **given))
    assert n_cut == 0


@few
@given(maps, options, st.booleans())
def test_superpixels__fill_the_mask_with_connected_regions_that_are_named_by_a_voxel_of_theirs(image, given, masked):
    mask = image < 0.9 if masked else np.ones(image.shape, dtype=bool)
    labels = whole(image, mask=lambda box: mask[box], **given)
    np.testing.assert_array_equal(labels > 0, mask)
    names = np.unique(labels[mask])
    assert relabel_connected(labels.astype(np.int64)).max() == len(names)
    np.testing.assert_array_equal(labels.ravel()[names.astype(np.int64) - 1], names)


@few
@given(maps, options, st.data())
def test_superpixels_cut_off__stay_connected_and_in_their_block(image, given, data):
    sides = [data.draw(st.integers(max(1, n // 3), n)) for n in image.shape]
    labels, n_cut = in_blocks(image, sides, halo=1, max_halo=1, **given)
    cut = labels > image.size
    assert len(np.unique(labels[cut])) == n_cut
    for label in np.unique(labels[cut]):
        assert relabel_connected(labels == label).max() == 1
        assert sum((labels[block] == label).any() for block in blocks_of(image.shape, sides)) == 1
    np.testing.assert_array_equal(labels[~cut], whole(image, **given)[~cut])


@few
@given(maps)
def test_superpixels__without_joins_are_one_for_each_minimum_of_a_map_without_ties(image):
    order = np.random.default_rng(image.size).permutation(image.size).reshape(image.shape)
    lowest = np.ones(image.shape, dtype=bool)
    for axis in range(image.ndim):
        step = np.diff(order, axis=axis)
        lowest[(slice(None),) * axis + (slice(1, None),)] &= step < 0
        lowest[(slice(None),) * axis + (slice(None, -1),)] &= step > 0
    labels = whole(order / order.size, sigma=0, depth=0, min_size=0)
    assert len(np.unique(labels)) == lowest.sum()
    assert set(labels.ravel()) == set(1 + np.flatnonzero(lowest))


# -------------------------------------------------------------------------------- a volume that looks real


@pytest.fixture(scope="module")
def volume():
    return datasets.synthetic((64, 120, 120), seed=3)


@pytest.fixture(scope="module")
def labels(volume):
    return in_blocks(volume.p1, (64, 40, 40))[0]


@pytest.mark.compiled
def test_faces_of_blocks__do_not_show(volume, labels):
    changes = np.concatenate(
        [
            (np.take(labels, range(1, 120), axis) != np.take(labels, range(119), axis)).mean((0, 3 - axis))
            for axis in (1, 2)
        ]
    )
    at_face = np.tile(np.arange(1, 120) % 40 == 0, 2)
    assert abs(changes[at_face].mean() - changes[~at_face].mean()) < 2 * changes[~at_face].std()
    # Cut at the faces, as superpixels of each block on its own are, they do.
    alone, _ = in_blocks(volume.p1, (64, 40, 40), max_halo=1)
    assert (alone[:, 39] != alone[:, 40]).mean() > 5 * changes.mean()


@pytest.mark.compiled
def test_agglomeration__is_as_good_as_from_superpixels_of_the_whole(volume, labels):
    def vi(superpixels):
        graph = build_graph(superpixels, volume.p1, boundary_mean.needs)
        cut = agglomerate(graph, boundary_mean, 0.5).cut(0.5)
        return evaluate.split_vi(1 + cut[graph.find(superpixels)], volume.truth).sum()

    np.testing.assert_array_equal(labels, whole(volume.p1))  # which is why VI is the same
    assert vi(labels) < 1.01 * vi(superpixels(volume.p1))


# ------------------------------------------------------------------------------------------ bad input


@pytest.mark.parametrize(
    ("block", "shape", "message"),
    [
        ([slice(0, 2)], (4, 4), "one slice for each"),
        ([slice(0, 1)] * 4, (1, 1, 1, 1), "one slice for each"),
        ([slice(4, 6)], (4,), "must have voxels"),
        ([slice(0, 4, 2)], (4,), "every one"),
    ],
)
def test_blocks_outside__are_refused(block, shape, message):
    with pytest.raises(ShapeError, match=message):
        superpixels_of_block(lambda box: np.zeros(shape)[box], block, shape)


def test_wrong_maps__are_refused():
    block, shape = [slice(0, 2)], (4,)
    with pytest.raises(ShapeError, match="read must return"):
        superpixels_of_block(lambda _: np.zeros(7), block, shape)
    with pytest.raises(ImageError, match="finite"):
        superpixels_of_block(lambda _: np.full(4, np.nan), block, shape)
    with pytest.raises(ImageError, match="from 0 to 1"):
        superpixels_of_block(lambda _: np.full(4, 7.0), block, shape)


@pytest.mark.parametrize("setting", ["sigma", "depth", "min_size", "halo", "max_halo"])
def test_settings__below_zero_are_refused(setting):
    with pytest.raises(SettingError, match=setting):
        superpixels_of_block(lambda _: np.zeros(4), [slice(0, 4)], (4,), **{setting: -1})


def test_cells__smaller_than_a_voxel_are_refused():
    with pytest.raises(SettingError, match="cell"):
        superpixels_of_block(lambda _: np.zeros(4), [slice(0, 4)], (4,), cell=0.5)
