"""Graphs, trees and segmentations made block by block are those of the whole, and survive whatever happens to a run."""

from __future__ import annotations

import shutil
import warnings
from dataclasses import replace

import dask.array as da
import numpy as np
import pytest
import zarr
from hypothesis import given, settings, strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from gala import datasets, imio
from gala.classify import get_classifier
from gala.engine.policy import boundary_mean, mean_log_odds
from gala.errors import FeatureError, FileError, GalaWarning, SettingError, ShapeError
from gala.features import extrema, histogram, moments
from gala.features.program import output_names
from gala.graph.blockwise import block_graph, build_graph_blockwise, relabel_blockwise, with_columns
from gala.graph.build import build_graph
from gala.graph.caches import Channels, ImageKind
from gala.graph.files import read_graph, write_graph
from gala.graph.grid import Grid
from gala.graph.segments import cut_labels
from gala.graph.tree import MergeTree
from gala.morpho import superpixels_of_block
from gala.pipeline import Segmenter
from gala.pipeline.blockwise import segment_blockwise
from gala.pipeline.blockwise.policies import way_of
from gala.pipeline.named import HandMade, named_policy
from gala.pipeline.strength import Strengths
from strategies import DECIMAL, DYADIC, declared_managers, label_volumes

some = settings(deadline=None, max_examples=40)
few = settings(deadline=None, max_examples=12)
ARRAYS = ("labels", "edges", "region_cache", "contact_cache", "border_sizes")


@st.composite
def volumes(draw, values=DYADIC, max_dims=3):
    """Return labels, an image of one or two channels, and the shape of blocks."""
    labels = draw(label_volumes(max_dims=max_dims))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    known = draw(st.lists(values, min_size=1, max_size=5))
    image = rng.choice(known, (*labels.shape, draw(st.integers(1, 2)))).astype(np.float64)
    return labels, image, tuple(draw(st.integers(1, n)) for n in labels.shape)


def assert_same_graph(graph, other):
    for name in ARRAYS:
        assert_array_equal(getattr(graph, name), getattr(other, name), err_msg=name)
        assert getattr(graph, name).dtype == getattr(other, name).dtype
    assert (graph.kind, graph.region_spec, graph.contact_spec) == (other.kind, other.region_spec, other.contact_spec)


def computed(delayed):
    return delayed.compute(scheduler="synchronous")


# ---------------------------------------------------------------------------------------------- the grid


@given(st.lists(st.integers(1, 9), min_size=1, max_size=3), st.data())
@some
def test_grid__blocks_own_each_voxel_once_and_are_joined_into_one(shape, data):
    grid = Grid(tuple(shape), tuple(data.draw(st.integers(1, n)) for n in shape))
    owned = np.zeros(shape, dtype=int)
    for place in grid.places():
        owned[grid.box(place)] += 1
        assert_array_equal(
            np.arange(owned.size).reshape(shape)[grid.seen(place)][grid.inner(place)].shape,
            owned[grid.box(place)].shape,
        )
    assert (owned == 1).all()
    parts = {(0, place): {place} for place in grid.places()}
    for level in range(1, len(grid.levels())):
        for place, below in grid.joins(level).items():
            assert len(below) == 2
            parts[level, place] = set.union(*(parts.pop(part) for part in below))
    assert parts == {grid.root(): set(grid.places())}


@pytest.mark.parametrize("wrong", [0, (4,), (4, 4, 4), (4, 2.5), "4"])
def test_grid__blocks_must_have_a_length_for_each_axis(wrong):
    with pytest.raises(SettingError, match="for each of 2 axes"):
        Grid.of((8, 8), wrong)


def test_grid__by_default_blocks_are_whole_chunks_of_about_256_a_side():
    assert Grid.of((1000, 1000, 1000), None, (64, 64, 64)).block_shape == (256, 256, 256)
    assert Grid.of((40, 3000, 3000), None, (40, 100, 100)).block_shape == (40, 600, 700)


# ---------------------------------------------------------------------------------------------- graphs


@given(volumes(), declared_managers(), st.data())
@some
def test_graph__of_any_blocks_is_that_of_the_whole(volume, manager, data):
    labels, image, blocks = volume
    extra = {"raw": image[..., :1] / 2}
    options = {"connectivity": data.draw(st.integers(1, labels.ndim)), "extra": extra}
    options |= {"background": data.draw(st.sampled_from([None, 0]))}
    if data.draw(st.booleans()):
        options["mask"] = image[..., 0] < 0.75
    try:
        expected = build_graph(labels, image, manager, **options)
    except FeatureError:
        return
    graph = computed(build_graph_blockwise(labels, image, manager, block_shape=blocks, **options))
    exact = ("labels", "edges", "border_sizes")
    for name in exact:
        assert_array_equal(getattr(graph, name), getattr(expected, name))
    for name in ("region_cache", "contact_cache"):
        assert_allclose(getattr(graph, name), getattr(expected, name), rtol=1e-12, atol=1e-13)


@given(volumes(), st.data())
@some
def test_graph__of_exact_sums_is_equal_bit_by_bit_for_any_chunks_of_dask(volume, data):
    labels, image, blocks = volume
    others = tuple(data.draw(st.integers(1, n)) for n in labels.shape)
    features = [moments.Manager(), histogram.Manager(), extrema.Manager()]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", GalaWarning)
        delayed = build_graph_blockwise(
            da.from_array(labels, chunks=blocks), da.from_array(image, chunks=(*others, 1)), features
        )
    assert_same_graph(computed(delayed), build_graph(labels, image, features))


@given(volumes(DECIMAL))
@few
def test_graph__counts_and_histograms_are_exact_and_sums_to_1e_12(volume):
    labels, image, blocks = volume
    features = [moments.Manager(), histogram.Manager(8)]
    expected = build_graph(labels, image, features)
    graph = computed(build_graph_blockwise(labels, image, features, block_shape=blocks))
    for spec, one, other in (
        (graph.region_spec, graph.region_cache, expected.region_cache),
        (graph.contact_spec, graph.contact_cache, expected.contact_cache),
    ):
        exact = [i for i, name in enumerate(spec.names) if name in ("count", "p0") or "histogram" in name]
        assert_array_equal(one[:, exact], other[:, exact])
        assert_allclose(one, other, rtol=1e-12, atol=1e-13)


def test_graph__without_an_image_or_features_counts_voxels():
    labels = np.kron(np.arange(12).reshape(3, 4), np.ones((3, 2), dtype=np.uint64)).astype(np.uint64) + 2**63
    assert_same_graph(computed(build_graph_blockwise(labels, block_shape=2)), build_graph(labels))


def test_graph__columns_of_parts_make_the_graph_of_all(tmp_path):
    rng = np.random.default_rng(0)
    labels, image = rng.integers(0, 4, (6, 5)), rng.integers(0, 64, (6, 5)) / 64
    one, two, three = moments.Manager(), histogram.Manager(), extrema.Manager()
    grid = Grid((6, 5), (4, 5))
    for place in grid.places():
        parts = labels[grid.seen(place)], image[grid.box(place)]
        graphs = [block_graph(*parts, each, grid, place) for each in ([one, two], three)]
        for i, graph in enumerate(graphs):
            write_graph(tmp_path / f"{i}.npz", graph)
        kept = [read_graph(tmp_path / f"{i}.npz")[0] for i in range(2)]
        assert_same_graph(kept[0], graphs[0])
        assert_same_graph(with_columns(kept, [three, two, one]), block_graph(*parts, [three, two, one], grid, place))
        with pytest.raises(FeatureError, match="no graph of this block keeps"):
            with_columns(kept[:1], [three])
    other = block_graph(labels[:1, :2], image[:1, :2], three, Grid((1, 2), (1, 2)), (0, 0))
    with pytest.raises(FeatureError, match="of one block"):
        with_columns([kept[0], other], [one])


def test_graph__arrays_must_fit():
    labels = np.ones((4, 4), dtype=int)
    with pytest.raises(ShapeError, match=r"image must have the shape of labels, \(4, 4\)"):
        build_graph_blockwise(labels, np.zeros((4, 5)))
    with pytest.raises(ShapeError, match="mask must have the shape of labels"):
        build_graph_blockwise(labels, mask=np.zeros((4, 4, 1)))
    with pytest.warns(GalaWarning, match=r"blocks of \(2, 2\) cut through chunks of \(4, 4\) of image"):
        build_graph_blockwise(da.from_array(labels, chunks=2), da.zeros((4, 4), chunks=4), block_shape=2)


# ---------------------------------------------------------------------------------------------- relabelling


@given(volumes())
@few
def test_relabel__of_any_blocks_is_that_of_the_whole(volume):
    labels, _, blocks = volume
    keys = np.unique(labels)
    values = keys[::-1] * 3
    expected = values[np.searchsorted(keys, labels)]
    assert_array_equal(computed(relabel_blockwise(labels, keys, values, block_shape=blocks)), expected)
    lazy = relabel_blockwise(da.from_array(labels, chunks=blocks), keys, values, mask=labels > 0)
    assert_array_equal(computed(lazy), np.where(labels > 0, expected, 0))
    assert lazy.dtype == expected.dtype


def test_relabel__writes_whole_chunks(tmp_path):
    labels = np.arange(48).reshape(6, 8)
    out = zarr.create_array(tmp_path / "a.zarr", shape=(6, 8), dtype="int64", chunks=(4, 4))
    assert computed(relabel_blockwise(labels, np.arange(48), np.arange(48) + 1, out, block_shape=4)) == 4
    assert_array_equal(out[:], labels + 1)
    with pytest.raises(SettingError, match="whole chunks"):
        relabel_blockwise(labels, [0], [0], out, block_shape=(3, 8))


# ---------------------------------------------------------------------------------------------- whole runs


def written(folder, *, shape=(16, 32, 40), chunks=(8, 16, 20), seed=0):
    """Write a synthetic volume, values of 8 bits; return its arrays."""
    volume = datasets.synthetic(shape, seed=seed)
    arrays = {"map": np.maximum(1, volume.p1 * 255).astype("u1"), "sp": volume.superpixels, "truth": volume.truth}
    for name, array in arrays.items():
        imio.write(folder / f"{name}.zarr", array, chunks=chunks, spacing=(2, 1, 1), unit="nm")
    return arrays


def run(folder, out="seg.zarr", **options):
    """Segment what `written` wrote, in this process."""
    given = {"superpixels": folder / "sp.zarr", "chunks": (8, 16, 20), "workers": 0, "progress": None} | options
    return segment_blockwise(folder / "map.zarr", folder / out, **given)


def everything_in(folder):
    """Return the content of all files in a folder, by name."""
    return {str(fn.relative_to(folder)): fn.read_bytes() for fn in sorted(folder.rglob("*")) if fn.is_file()}


@pytest.fixture(scope="module")
def volume(tmp_path_factory):
    folder = tmp_path_factory.mktemp("volume")
    return folder, written(folder)


@pytest.fixture
def copied(volume, tmp_path):
    """A volume of its own for a test that damages it."""
    folder = tmp_path / "in"
    shutil.copytree(volume[0], folder)
    for fn in [*folder.iterdir()]:
        if fn.stem.split("-")[0] not in ("map", "sp", "truth"):
            shutil.rmtree(fn) if fn.is_dir() else fn.unlink()
    return folder, volume[1]


@pytest.mark.compiled
@pytest.mark.filterwarnings("ignore:blocks of .* cut through")
@pytest.mark.parametrize("policy", ["mean", "min", "max", "quantile:0.5"])
@pytest.mark.parametrize("chunks", [(8, 16, 20), (16, 10, 40), (5, 32, 7), 64])
def test_run__of_any_chunks_gives_the_tree_and_segmentation_of_the_whole(volume, tmp_path, policy, chunks):
    folder, arrays = volume
    tree = HandMade(named_policy(policy), (2, 1, 1)).merge_tree(arrays["map"], arrays["sp"])
    report = run(folder, tmp_path / "seg.zarr", policy=policy, chunks=chunks, thresholds=[0.3, 0.5])
    found = MergeTree.load(report["tree"])
    kept = tree if policy == "quantile:0.5" else tree.below(0.5)
    assert_array_equal(found.children, kept.children)
    assert found.priority.tobytes() == kept.priority.tobytes()
    for cut in report["cuts"]:
        expected = cut_labels(arrays["sp"], tree, cut["threshold"])
        with imio.open(cut["file"]) as seg:
            assert_array_equal(seg[...], expected)
            assert (seg.spacing, seg.unit, seg.dtype) == ((2, 1, 1), "nm", arrays["sp"].dtype)
        assert cut["segments"] == len(np.unique(expected))


@pytest.mark.compiled
def test_run__keeps_the_tree_to_its_limit_and_goes_farther_when_asked(volume, tmp_path):
    folder, arrays = volume
    tree = HandMade(boundary_mean, (2, 1, 1)).merge_tree(arrays["map"], arrays["sp"])
    at = float(np.median(tree.priority))  # a merge of just this priority is part of the cut
    report = run(folder, tmp_path / "seg.zarr", thresholds=at)
    found = MergeTree.load(report["tree"])
    assert (report["limit"], found.limit) == (at, at)
    assert_array_equal(found.cut(at), tree.cut(at))
    assert_array_equal(found.cut(), tree.cut(at))
    for refused in (found.cut, found.n_segments, found.below):
        with pytest.raises(SettingError, match=f"ends at {at:g}, .* got threshold 0.9: segment again"):
            refused(0.9)
    higher = run(folder, tmp_path / "seg.zarr", thresholds=0.5, limit=np.inf)
    assert higher["stages"]["agglomeration"]["before"] == 0
    assert higher["limit"] is None
    assert_array_equal(MergeTree.load(higher["tree"]).children, tree.children)
    lower = run(folder, tmp_path / "seg.zarr", thresholds=0.4)
    assert lower["stages"]["agglomeration"]["now"] == 0
    assert_array_equal(MergeTree.load(lower["tree"]).children, tree.children)
    assert_array_equal(imio.read(tmp_path / "seg.zarr"), cut_labels(arrays["sp"], tree, 0.4))
    with pytest.raises(SettingError, match=r"limit must be no lower than the thresholds, \(0.3, 0.5\); got 0.4"):
        run(folder, tmp_path / "other.zarr", thresholds=[0.3, 0.5], limit=0.4)


@given(volumes(max_dims=3))
@settings(deadline=None, max_examples=6)
@pytest.mark.compiled
def test_run__of_small_volumes_in_any_blocks_gives_the_tree_of_the_whole(tmp_path_factory, volume):
    labels, image, blocks = volume
    if labels.ndim == 1:
        labels, image, blocks = labels[None], image[None], (1, *blocks)
    folder = tmp_path_factory.mktemp("small")
    image = np.clip(image, 0, 1)
    imio.write(folder / "map.zarr", image, axes="zyxc"[-image.ndim :])
    imio.write(folder / "sp.zarr", labels)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that some maps look upside down
        report = run(folder, chunks=blocks, background=None, missing="zero", limit=np.inf)
        tree = HandMade(boundary_mean).merge_tree(image, labels)
    found = MergeTree.load(report["tree"])
    assert_array_equal(found.children, tree.children)
    assert_allclose(found.priority, tree.priority, rtol=1e-12)
    assert_array_equal(imio.read(folder / "seg.zarr"), cut_labels(labels, tree, 0.5))


@pytest.mark.compiled
def test_run__scales_masks_and_truth_are_those_of_the_whole(volume, tmp_path):
    from gala.evaluate import split_vi

    folder, arrays = volume
    mask = np.zeros(arrays["sp"].shape, dtype=np.uint8)
    mask[2:, 3:30, :] = 1
    imio.write(tmp_path / "mask.zarr", mask, chunks=(8, 16, 20))
    report = run(
        folder,
        tmp_path / "seg.zarr",
        mask=tmp_path / "mask.zarr",
        truth=folder / "truth.zarr",
        scales=3,
        missing="zero",
    )
    keep = mask.astype(bool)
    tree = HandMade(boundary_mean, (2, 1, 1)).merge_tree(arrays["map"], arrays["sp"], mask=keep)
    expected = cut_labels(arrays["sp"], tree, 0.5, mask=keep)
    imio.write(tmp_path / "whole.ome.zarr", expected, spacing=(2, 1, 1), unit="nm", scales=3, kind="labels")
    for scale in range(3):
        assert_array_equal(imio.read(f"{tmp_path}/seg.zarr::{scale}"), imio.read(f"{tmp_path}/whole.ome.zarr::{scale}"))
    assert_allclose(report["cuts"][0]["split_vi"], split_vi(expected, arrays["truth"], ignore_truth=[0]))


@pytest.mark.compiled
def test_run__a_learned_policy_merges_the_whole_graph(volume, tmp_path):
    folder, arrays = volume
    scaled = arrays["map"] / np.float32(255)
    segmenter = Segmenter(classifier="naive bayes", features="basic", spacing=(2, 1, 1))
    segmenter.fit(scaled, arrays["truth"], arrays["sp"]).save(tmp_path / "model.npz")
    report = run(folder, tmp_path / "seg.zarr", policy=f"learned:{tmp_path}/model.npz")
    tree = segmenter.merge_tree(arrays["map"], arrays["sp"])
    found = MergeTree.load(report["tree"])
    assert_array_equal(found.children, tree.children)
    assert_allclose(found.priority, tree.priority, rtol=1e-9)
    assert report["cuts"][0]["threshold"] == segmenter.threshold_
    in_blocks = run(folder, tmp_path / "other.zarr", policy=segmenter, agglomeration="blocks")
    assert in_blocks["merges"] > 0


@pytest.mark.compiled
def test_weak_map__is_raised_in_blocks_as_in_memory(volume, tmp_path):
    folder, arrays = volume
    segmenter = Segmenter(classifier="naive bayes", features="basic", spacing=(2, 1, 1))
    segmenter.fit(arrays["map"], arrays["truth"], arrays["sp"])
    as_it_is = segmenter.merge_tree(arrays["map"], arrays["sp"])
    segmenter.learned_ = replace(segmenter.learned_, strengths=Strengths(0.99, 1.0))  # as if all had been stronger
    weak = pytest.warns(GalaWarning, match="clearly weaker .* than every map that was learned from; it is multiplied")
    with weak:
        expected = segmenter.predict(arrays["map"], arrays["sp"])
    with weak:
        tree = segmenter.merge_tree(arrays["map"], arrays["sp"])
    with weak:
        report = run(folder, tmp_path / "seg.zarr", policy=segmenter)
    assert_array_equal(imio.read(tmp_path / "seg.zarr"), expected)
    found = MergeTree.load(report["tree"])
    assert_array_equal(found.children, tree.children)
    assert_allclose(found.priority, tree.priority, rtol=1e-9)
    assert not np.array_equal(as_it_is.priority, tree.priority)
    with weak:
        again = run(folder, tmp_path / "seg.zarr", policy=segmenter)
    assert not any(stage["now"] for stage in again["stages"].values())
    lazy = segmenter.predict(da.from_array(arrays["map"]), da.from_array(arrays["sp"]))
    with weak:
        assert_array_equal(computed(lazy), expected)


@pytest.mark.compiled
def test_segmenter__of_dask_arrays_in_any_chunks_is_that_of_arrays(volume):
    arrays = volume[1]
    segmenter = Segmenter(classifier="naive bayes", features="basic", spacing=(2, 1, 1))
    segmenter.fit(arrays["map"], arrays["truth"], arrays["sp"])
    mask = np.ones(arrays["sp"].shape, dtype=bool)
    mask[:, :3] = False
    expected = segmenter.predict(arrays["map"], arrays["sp"], mask=mask)
    image, labels = da.from_array(arrays["map"], chunks=(8, 16, 20)), da.from_array(arrays["sp"], chunks=(5, 32, 40))
    lazy = segmenter.predict(image, labels, mask=da.from_array(mask, chunks=(8, 16, 20)))
    assert lazy.dtype == expected.dtype
    assert_array_equal(computed(lazy), expected)
    made = [computed(segmenter.predict(da.from_array(arrays["map"], chunks=n))) for n in ((8, 16, 20), (16, 32, 40))]
    assert made[0].shape == mask.shape
    assert_array_equal(*made)
    with pytest.raises(ShapeError, match="what the segmenter learned from, 3 dimensions, 1 channel"):
        segmenter.predict(da.zeros((4, 4, 4, 2)))
    with pytest.raises(ShapeError, match="superpixels must have the shape of the image"):
        segmenter.predict(image, labels[:4])
    with pytest.raises(ShapeError, match=r"and no extra image; got .* the extra image raw \(1 channel\)"):
        segmenter.predict(image, labels, extra={"raw": arrays["map"]})


@pytest.mark.compiled
def test_segmenter__says_how_superpixels_are_made_in_blocks(volume, tmp_path):
    folder, arrays = volume
    segmenter = Segmenter(classifier="naive bayes", spacing=(2, 1, 1), superpixel_options={"min_size": 400})
    segmenter.fit(arrays["map"], arrays["truth"], arrays["sp"]).save(tmp_path / "model.npz")
    whole = superpixels_of_block(
        arrays["map"].__getitem__, [slice(None)] * 3, (16, 32, 40), spacing=(2, 1, 1), min_size=400
    )
    expected = segmenter.predict(arrays["map"], whole.labels)
    learned = {"superpixels": None, "policy": f"learned:{tmp_path}/model.npz"}
    report = run(folder, tmp_path / "seg.zarr", **learned)
    assert_array_equal(imio.read(report["superpixels"]), whole.labels)
    assert_array_equal(imio.read(tmp_path / "seg.zarr"), expected)
    assert_array_equal(computed(segmenter.predict(da.from_array(arrays["map"], chunks=(8, 16, 20)))), expected)
    finer = run(folder, tmp_path / "finer.zarr", **learned, superpixel_options={"min_size": 0, "method": "watershed"})
    assert len(np.unique(imio.read(finer["superpixels"]))) > len(np.unique(whole.labels))


def test_segmenter__of_other_superpixels_is_refused_in_blocks(volume, tmp_path):
    folder, arrays = volume
    segmenter = Segmenter(classifier="naive bayes", spacing=(2, 1, 1), superpixel_options={"method": "compact"})
    segmenter.fit(arrays["map"], arrays["truth"], arrays["sp"])
    refused = r"options sigma, .*; got method='compact': leave it out, or make superpixels first and give them"
    with pytest.raises(SettingError, match=refused):
        segmenter.predict(da.from_array(arrays["map"], chunks=(8, 16, 20)))
    with pytest.raises(SettingError, match=refused):
        run(folder, tmp_path / "seg.zarr", superpixels=None, policy=segmenter)
    assert not [*tmp_path.iterdir()]
    planned = run(folder, tmp_path / "seg.zarr", policy=segmenter, dry_run=True)  # those that are given are taken
    assert "superpixels" not in planned["tasks"]


def test_way__of_a_policy_that_scores_contacts_first_knows_its_classifier():
    features = moments.Manager(2)
    width = len(output_names(features, ImageKind.unit(Channels.all_plain(1), 3)))
    X, y = np.random.default_rng(0).random((50, width)), np.repeat([1, -1], 25)
    keys = {
        way_of(mean_log_odds(features, get_classifier("naive bayes").fit(X, labels)), "auto").key for labels in (y, -y)
    }
    assert len(keys) == 2


# ---------------------------------------------------------------------------------------------- extra images


@pytest.fixture(scope="module")
def with_raw(volume, tmp_path_factory):
    """A volume with its raw image, of two channels, and a segmenter that learned from it."""
    arrays = volume[1]
    image = datasets.synthetic(arrays["sp"].shape).image
    raw = (np.stack([image, 1 - image], axis=-1) * 255).astype(np.uint8)
    place = tmp_path_factory.mktemp("extra")
    imio.write(place / "raw.zarr", raw, chunks=(8, 16, 20, 1))
    segmenter = Segmenter(classifier="naive bayes", spacing=(2, 1, 1))
    segmenter.fit(arrays["map"], arrays["truth"], arrays["sp"], extra={"raw": raw}).save(place / "model.npz")
    return place, raw, segmenter


@pytest.mark.compiled
@pytest.mark.filterwarnings("ignore:blocks of .* cut through")
@pytest.mark.parametrize("chunks", [(8, 16, 20), (5, 32, 7)])
def test_run__extra_images_give_the_tree_of_the_whole(volume, with_raw, tmp_path, chunks):
    folder, arrays = volume
    place, raw, segmenter = with_raw
    tree = segmenter.merge_tree(arrays["map"], arrays["sp"], extra={"raw": raw})
    options = {"policy": f"learned:{place}/model.npz", "extra": {"raw": place / "raw.zarr"}, "chunks": chunks}
    report = run(folder, tmp_path / "seg.zarr", **options)
    found = MergeTree.load(report["tree"])
    assert_array_equal(found.children, tree.children)
    assert_allclose(found.priority, tree.priority, rtol=1e-9)
    assert_array_equal(
        imio.read(tmp_path / "seg.zarr"), segmenter.predict(arrays["map"], arrays["sp"], extra={"raw": raw})
    )
    planned = run(folder, tmp_path / "other.zarr", **options, dry_run=True)
    plain = run(folder, tmp_path / "other.zarr", chunks=chunks, dry_run=True)
    assert planned["memory"]["graph"] > plain["memory"]["graph"]


@pytest.mark.compiled
def test_run__a_changed_extra_image_is_noticed(volume, with_raw, tmp_path):
    folder, arrays = volume
    raw, segmenter = with_raw[1:]
    imio.write(tmp_path / "raw.zarr", raw, chunks=(8, 16, 20, 2))
    run(folder, tmp_path / "seg.zarr")  # graphs without the extra image cannot be gone on with
    options = {"policy": segmenter, "extra": {"raw": tmp_path / "raw.zarr"}}
    first = run(folder, tmp_path / "seg.zarr", **options)
    assert [each["now"] for name, each in first["stages"].items() if name.startswith("graph")] == [8]
    changed = raw.copy()
    changed[8:, 16:, 20:] //= 2
    zarr.open_array(tmp_path / "raw.zarr", mode="r+")[8:, 16:, 20:] = changed[8:, 16:, 20:]
    report = run(folder, tmp_path / "seg.zarr", **options)
    assert [each["now"] for name, each in report["stages"].items() if name.startswith("graph")] == [1]
    tree = segmenter.merge_tree(arrays["map"], arrays["sp"], extra={"raw": changed})
    assert_array_equal(MergeTree.load(report["tree"]).children, tree.children)


@pytest.mark.compiled
def test_run__a_lost_chunk_of_an_extra_image_is_an_error_or_left_out(volume, with_raw, tmp_path):
    folder = volume[0]
    _, raw, segmenter = with_raw
    imio.write(tmp_path / "raw.zarr", raw, chunks=(8, 16, 20, 2))
    (tmp_path / "raw.zarr" / "c" / "1" / "1" / "1" / "0").unlink()
    options = {"policy": segmenter, "extra": {"raw": tmp_path / "raw.zarr"}}
    with pytest.raises(FileError, match=r"raw.zarr has no file for 1 chunks, the first in block \(1, 1, 1\)"):
        run(folder, tmp_path / "seg.zarr", **options)
    with pytest.warns(GalaWarning, match="parts of 1 blocks could not be read"):
        run(folder, tmp_path / "seg.zarr", **options, on_error="skip")
    lost = np.zeros(raw.shape[:3], dtype=bool)
    lost[8:, 16:, 20:] = True
    assert_array_equal(imio.read(tmp_path / "seg.zarr") == 0, lost)


def test_run__extra_images_must_be_those_that_were_learned_from(volume, with_raw, tmp_path):
    folder = volume[0]
    place, raw, segmenter = with_raw
    imio.write(tmp_path / "small.zarr", raw[:4])
    imio.write(tmp_path / "plain.zarr", raw[..., 0])
    wanted = r"3 dimensions, 1 channel and the extra image raw \(2 channels\); got 3 dimensions, 1 channel and "
    for extra, error, message in (
        (None, ShapeError, f"{wanted}no extra image"),
        ({"em": place / "raw.zarr"}, ShapeError, rf"{wanted}the extra image em \(2 channels\)"),
        ({"raw": tmp_path / "plain.zarr"}, ShapeError, rf"{wanted}the extra image raw \(1 channel\)"),
        ({"raw": tmp_path / "small.zarr"}, ShapeError, r"small.zarr must have the shape .* for extra raw"),
        ({"raw": raw}, SettingError, r"extra\['raw'\] must be the name of a volume"),
        ({"raw": tmp_path / "none.zarr"}, FileError, "none.zarr"),
        ([raw], SettingError, "extra must be a dictionary"),
    ):
        with pytest.raises(error, match=message):
            run(folder, tmp_path / "seg.zarr", policy=segmenter, extra=extra)
    with pytest.raises(SettingError, match="policy mean does not look at an extra image raw"):
        run(folder, tmp_path / "seg.zarr", extra={"raw": place / "raw.zarr"})
    with pytest.raises(FileError, match="written over"):
        run(folder, place / "raw.zarr", policy=segmenter, extra={"raw": place / "raw.zarr"})


def test_run__a_segmenter_of_raw_images_needs_what_makes_its_maps(volume, tmp_path):
    class Pixels:
        def predict(self, image):
            return image

    segmenter = Segmenter(classifier="naive bayes", features="basic", pixels=Pixels())
    segmenter.fit(volume[1]["map"], volume[1]["truth"], volume[1]["sp"])
    with pytest.raises(SettingError, match="makes boundary maps of raw images"):
        run(volume[0], tmp_path / "seg.zarr", policy=segmenter)


@pytest.mark.compiled
def test_segmenter__of_dask_arrays_reads_extra_images(volume, with_raw):
    arrays, (_, raw, segmenter) = volume[1], with_raw
    expected = segmenter.predict(arrays["map"], arrays["sp"], extra={"raw": raw})
    image, labels = (da.from_array(arrays[name], chunks=(8, 16, 20)) for name in ("map", "sp"))
    for chunks in ((8, 16, 20, 1), (8, 16, 20, 2)):
        lazy = segmenter.predict(image, labels, extra={"raw": da.from_array(raw, chunks=chunks)})
        assert_array_equal(computed(lazy), expected)
    with pytest.raises(ShapeError, match=r"extra image raw \(2 channels\); got 3 dimensions, 1 channel and no extra"):
        segmenter.predict(image, labels)
    with pytest.raises(ShapeError, match=r"extra\['raw'\] must have the shape of the image"):
        segmenter.predict(image, labels, extra={"raw": raw[:4]})
    with pytest.raises(ShapeError, match=r"got 3 dimensions, 1 channel and the extra image raw \(1 channel\)"):
        segmenter.predict(image, labels, extra={"raw": raw[..., 0]})
