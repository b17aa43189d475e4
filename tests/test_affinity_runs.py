"""Runs in blocks on affinities give what is given in memory."""

from __future__ import annotations

import numpy as np
import pytest
import zarr
from numpy.testing import assert_array_equal

from affinity_cases import real_case
from gala import Segmenter, agglomerate, build_affinity_graph, cut_labels, imio
from gala.engine.policy import oriented_boundary_mean, row_policy
from gala.errors import FeatureError, FileError, GalaWarning, PolicyError, SettingError, ShapeError
from gala.features import shape
from gala.graph.affinities import as_affinities
from gala.graph.tree import MergeTree
from gala.morpho import superpixels_of_block
from gala.morpho.oversegmentation import mean_boundary
from gala.pipeline.blockwise import segment_blockwise
from gala.pipeline.named import FromAffinities, affinity_maps, named_policy

pytestmark = pytest.mark.compiled
CASE = real_case()
SHAPE, CHUNKS = CASE.labels.shape, (8, 16, 20)
AFFINITIES = np.maximum(1, 255 * (1 - CASE.boundary)).astype("u1")
ORDER = [3, 1, 0, 4, 2]  # long steps between those of one voxel


@pytest.fixture
def folder(tmp_path):
    """Write labels and affinities in a folder."""
    imio.write(tmp_path / "sp.zarr", CASE.labels, chunks=CHUNKS, spacing=(2, 1, 1))
    zarr.create_array(tmp_path / "a.zarr", data=AFFINITIES[ORDER], chunks=(2, *CHUNKS))
    return tmp_path


def lowest_area(params, u, v, edge, out):  # noqa: ARG001  # what a row kernel receives
    out[0] = edge[0]


def run(folder, out="seg.zarr", **options):
    given = {
        "superpixels": folder / "sp.zarr",
        "offsets": [CASE.offsets[k] for k in ORDER],
        "chunks": CHUNKS,
        "workers": 0,
        "progress": None,
    }
    return segment_blockwise(folder / "a.zarr", folder / out, **(given | options))


def tree_in_memory(policy, labels=CASE.labels, affinities=AFFINITIES, **options):
    way = FromAffinities(named_policy(policy), offsets=CASE.offsets, **options)
    return way.merge_tree(affinities, labels)


@pytest.mark.filterwarnings("ignore:blocks of .* cut through")
@pytest.mark.parametrize("chunks", [CHUNKS, (5, 13, 32)])
@pytest.mark.parametrize("policy", ["mean", "max", "min", "quantile:0.75"])
def test_run__gives_the_tree_and_the_segmentation_in_memory(folder, policy, chunks):
    report = run(folder, policy=policy, chunks=chunks, thresholds=[0.3, 0.9])
    whole = tree_in_memory(policy)
    found = MergeTree.load(report["tree"])
    expected = whole.below(0.9) if np.isfinite(found.limit) else whole
    assert_array_equal(found.children, expected.children)
    assert_array_equal(found.priority, expected.priority)
    for cut in report["cuts"]:
        assert_array_equal(imio.read(cut["file"]), cut_labels(CASE.labels, whole, cut["threshold"]))
    assert report["merges"] > 5


@pytest.mark.parametrize("policy", ["mean", "quantile:0.75"])
def test_strongest_pairs__give_the_tree_in_memory(folder, policy):
    run(folder, policy=policy)  # whose graphs are others
    report = run(folder, policy=policy, summary="strongest", thresholds=0.4)
    needs = named_policy(policy).needs
    graph, _ = build_affinity_graph(CASE.labels, AFFINITIES, needs, offsets=CASE.offsets, summary="strongest")
    tree = agglomerate(graph, named_policy(policy))
    found = MergeTree.load(report["tree"])
    assert_array_equal(found.children, tree.children)
    assert_array_equal(found.priority, tree.priority)
    assert_array_equal(imio.read(report["cuts"][0]["file"]), cut_labels(CASE.labels, tree, 0.4))


def test_superpixels__are_those_of_the_whole_map_of_the_affinities(folder):
    report = run(folder, superpixels=None, thresholds=0.4)
    boundary = mean_boundary(as_affinities(AFFINITIES, CASE.offsets))
    whole = superpixels_of_block(lambda box: boundary[box], tuple(slice(0, n) for n in SHAPE), SHAPE).labels
    assert_array_equal(imio.read(report["superpixels"]), whole)
    expected = cut_labels(whole, tree_in_memory("mean", whole), 0.4)
    assert_array_equal(imio.read(report["cuts"][0]["file"]), expected)


def test_mask__leaves_pairs_out(folder):
    mask = np.ones(SHAPE, dtype=np.uint8)
    mask[5:9, 10:20, 12:] = 0
    imio.write(folder / "mask.zarr", mask, chunks=CHUNKS)
    report = run(folder, mask=folder / "mask.zarr", thresholds=0.4)
    tree = FromAffinities(named_policy("mean"), offsets=CASE.offsets).merge_tree(
        AFFINITIES, CASE.labels, mask=mask.astype(bool)
    )
    expected = cut_labels(CASE.labels, tree, 0.4, mask=mask.astype(bool))
    assert_array_equal(imio.read(report["cuts"][0]["file"]), expected)


def test_conventions__are_two_names_of_one_result(folder):
    run(folder, "seg.zarr", policy="quantile:0.75", thresholds=[0.25, 0.5], limit=0.75)
    again = run(folder, "twin.zarr", policy="quantile:0.25", thresholds=[0.75, 0.5], limit=0.25, convention="affinity")
    assert [cut["file"].rsplit("/")[-1] for cut in again["cuts"]] == ["twin-0.75.zarr", "twin-0.5.zarr"]
    assert_array_equal(imio.read(folder / "twin-0.75.zarr"), imio.read(folder / "seg-0.25.zarr"))
    assert run(folder, "mean.zarr", convention="affinity", limit=np.inf)["limit"] is None


def test_repulsive_affinities__give_the_same(folder):
    zarr.create_array(folder / "b.zarr", data=255 - AFFINITIES[ORDER], chunks=(5, *CHUNKS))
    run(folder, "seg.zarr", thresholds=0.4)
    segment_blockwise(
        folder / "b.zarr",
        folder / "twin.zarr",
        superpixels=folder / "sp.zarr",
        offsets=[CASE.offsets[k] for k in ORDER],
        polarity="repulsive",
        thresholds=0.4,
        chunks=CHUNKS,
        workers=0,
    )
    assert_array_equal(imio.read(folder / "seg.zarr"), imio.read(folder / "twin.zarr"))


@pytest.mark.filterwarnings("ignore:affinities look inverted")
def test_other_settings__make_graphs_anew_and_the_same_ones_do_not(folder):
    def graphs_now(**options):
        stages = run(folder, **options)["stages"]
        return sum(each["now"] for name, each in stages.items() if name.startswith("graph"))

    assert graphs_now() == 8
    assert graphs_now() == 0
    assert graphs_now(polarity="repulsive") == 8
    offsets = [CASE.offsets[k] for k in ORDER]
    assert graphs_now(offsets=[np.negative(step).tolist() for step in offsets]) == 8
    far = [step if sum(map(abs, step)) == 1 else [2 * n for n in step] for step in offsets]
    assert graphs_now(offsets=far) == 0  # longer steps are not read
    assert graphs_now(policy="max") == 8
    stored = zarr.open_array(folder / "a.zarr", mode="r+")
    stored[2:, 9:, 17:, 21:] = 7
    assert graphs_now(policy="max") == 1


def test_inverted_affinities__are_warned_of_once(folder):
    with pytest.warns(GalaWarning, match="look inverted") as warned:
        run(folder, polarity="repulsive")
    assert len(warned) == 1


def test_learned_policy__reads_the_maps_that_it_reads_in_memory(folder):
    maps = affinity_maps(AFFINITIES[ORDER], [CASE.offsets[k] for k in ORDER])
    segmenter = Segmenter(classifier="naive bayes", features="basic").fit(maps, CASE.labels // 3 + 1, CASE.labels)
    report = run(folder, policy=segmenter, thresholds=0.5)
    expected = segmenter.predict(maps, CASE.labels, 0.5)
    assert_array_equal(imio.read(report["cuts"][0]["file"]), expected)
    boundary = np.clip(maps[..., 0], 0, 1)
    whole = superpixels_of_block(lambda box: boundary[box], tuple(slice(0, n) for n in SHAPE), SHAPE).labels
    report = run(folder, "made.zarr", policy=segmenter, superpixels=None, thresholds=0.5)
    assert_array_equal(imio.read(report["superpixels"]), whole)
    assert_array_equal(imio.read(report["cuts"][0]["file"]), segmenter.predict(maps, whole, 0.5))


def test_affinity_maps__are_boundaries_and_their_mean_over_steps_of_one_voxel():
    boundary = 1 - AFFINITIES[ORDER] / np.float32(255)
    maps = affinity_maps(AFFINITIES[ORDER], [CASE.offsets[k] for k in ORDER])
    assert_array_equal(maps[..., 1:], np.moveaxis(boundary, 0, -1))
    assert_array_equal(maps[..., 0], boundary[[1, 2, 4]].mean(axis=0))


def test_planes__are_segmented_too(folder):
    affinities, labels = AFFINITIES[1:3, 4], CASE.labels[4]
    zarr.create_array(folder / "plane.zarr", data=affinities, chunks=(2, 16, 20))
    imio.write(folder / "plane-sp.zarr", labels, chunks=(16, 20))
    report = segment_blockwise(
        folder / "plane.zarr",
        folder / "seg.zarr",
        superpixels=folder / "plane-sp.zarr",
        offsets=[(-1, 0), (0, -1)],
        chunks=(16, 20),
        workers=0,
    )
    tree = FromAffinities(named_policy("mean"), offsets=[(-1, 0), (0, -1)]).merge_tree(affinities, labels)
    assert_array_equal(imio.read(report["cuts"][0]["file"]), cut_labels(labels, tree, 0.5))


def test_lost_chunk__is_named_or_left_out(folder):
    (folder / "a.zarr" / "c/1/1/1/1").unlink()
    with pytest.raises(FileError, match="no file for 1 chunks"):
        run(folder)
    with pytest.warns(GalaWarning, match="parts of 1 blocks could not be read"):
        report = run(folder, superpixels=None, on_error="skip")
    assert not imio.read(report["cuts"][0]["file"])[8:, 16:, 20:].any()


def test_dry_run__knows_of_channels(folder):
    plan = run(folder, superpixels=None, dry_run=True)
    assert plan["tasks"]["region graph"] == plan["blocks"] == 8
    zarr.create_array(folder / "map.zarr", data=AFFINITIES[0], chunks=CHUNKS)
    of_one = segment_blockwise(folder / "map.zarr", folder / "seg.zarr", chunks=CHUNKS, dry_run=True)
    assert plan["stored"]["graph"] == of_one["stored"]["graph"]  # rows are those of one number
    assert not list(folder.glob("seg*"))


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"policy": oriented_boundary_mean}, FeatureError, "orient"),
        ({"policy": row_policy(lowest_area, needs=shape.Manager())}, FeatureError, "features must read values only"),
        ({"policy": "gasp-mean"}, PolicyError, "gasp-mean partitions the graph of the whole volume at once"),
        ({"policy": "mutex"}, PolicyError, "in memory only"),
        ({"policy": "multicut"}, PolicyError, "give a policy that merges pairs"),
        ({"offsets": [[-1, 0, 0]]}, ShapeError, "1 channels, one for each offset"),
        ({"offsets": [[-2, 0, 0], *CASE.offsets[1:]]}, SettingError, "none along axis 0"),
        ({"polarity": "up"}, SettingError, "polarity must be"),
        ({"convention": "up"}, SettingError, "convention must be"),
        ({"summary": "max"}, SettingError, "summary must be 'all' or 'strongest'"),
        ({"summary": "strongest", "agglomeration": "blocks"}, SettingError, "summary='strongest' is of affinities"),
        ({"summary": "strongest", "offsets": None}, SettingError, "summary='strongest' is of affinities"),
        ({"thresholds": 1.5, "convention": "affinity"}, SettingError, "threshold must be from 0 to 1"),
        (
            {"limit": 0.7, "convention": "affinity"},
            SettingError,
            r"no lower than the thresholds, \(0.5,\) as distances; got 0.3",
        ),
        ({"extra": {"raw": "sp.zarr"}}, SettingError, "affinities are segmented without other images"),
    ],
)
def test_wrong_settings__are_refused_before_anything_is_written(folder, options, error, message):
    options = options | {"extra": {name: folder / fn for name, fn in options.get("extra", {}).items()}}
    with pytest.raises(error, match=message):
        run(folder, **options)
    assert not list(folder.glob("seg*"))
