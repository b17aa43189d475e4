"""Commands from files to files: what they write, say, refuse and leave alone."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import zarr
from click.testing import CliRunner

from gala import MergeTree, Segmenter, agglomerate, build_affinity_graph, build_graph, cut_labels, imio
from gala.classify import PixelClassifier
from gala.cli import main
from gala.datasets import synthetic_pair
from gala.engine.partition import partition
from gala.engine.policy import boundary_mean, boundary_quantile
from gala.imio import write_h5_stack
from gala.morpho import boundary_labels, superpixels
from gala.pipeline.named import affinity_maps
from processes import heed_interrupts
from real import path_of

SPACING = (30.0, 4.0, 4.0)


def run(*arguments):
    return CliRunner().invoke(main, [str(a) for a in arguments])


def good(*arguments):
    result = run(*arguments)
    assert result.exit_code == 0, result.output
    return result


@pytest.fixture(scope="module")
def volumes():
    return synthetic_pair((10, 40, 40))


@pytest.fixture(scope="module")
def folder(volumes, tmp_path_factory):
    """A folder with volumes in several formats, and a model."""
    folder = tmp_path_factory.mktemp("volumes")
    test, train = volumes["test"], volumes["train"]
    imio.write(folder / "map.h5", test.p1, spacing=SPACING)
    imio.write(folder / "sp.zarr", test.superpixels)
    imio.write(folder / "truth.tif", test.truth)
    imio.write(folder / "a.npy", train.p1)
    imio.write(folder / "a-truth.h5", train.truth)
    imio.write(folder / "a-sp.h5", train.superpixels)
    Segmenter().fit(train.p1, train.truth, train.superpixels).save(folder / "model.npz")
    return folder


@pytest.fixture
def inside(folder, tmp_path, monkeypatch):
    """A new folder, which is the current one, with links to those volumes."""
    for item in folder.iterdir():
        (tmp_path / item.name).symlink_to(item)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.usefixtures("inside")
def test_segment__is_what_the_library_gives_at_each_threshold(volumes):
    good("segment", "map.h5", "seg.h5", "--superpixels", "sp.zarr", "-t", 0.3, "-t", 0.6)
    test = volumes["test"]
    tree = agglomerate(build_graph(test.superpixels, test.p1, boundary_mean.needs, spacing=SPACING), boundary_mean)
    for threshold in (0.3, 0.6):
        expected = cut_labels(test.superpixels, tree, threshold)
        np.testing.assert_array_equal(imio.read(f"seg-{threshold}.h5"), expected)
    assert MergeTree.load("seg-tree.npz").priority.tobytes() == tree.priority.tobytes()


@pytest.mark.usefixtures("inside")
def test_segment__keeps_the_size_of_a_voxel_and_says_how_it_was_made():
    good("segment", "map.h5", "seg.zarr", "--superpixels", "sp.zarr", "-t", 0.5)
    with imio.open("seg.zarr") as volume:
        assert volume.spacing == SPACING
        made = volume.attributes["provenance"]
    assert made["parameters"]["policy"] == "mean"
    assert made["parameters"]["threshold"] == 0.5
    assert set(made["inputs"]) == {"map.h5", "sp.zarr"}


@pytest.mark.usefixtures("inside")
def test_segment__learned_is_what_the_model_predicts(volumes):
    good("segment", "map.h5", "seg.h5", "--superpixels", "sp.zarr", "--policy", "learned:model.npz")
    model = Segmenter.load("model.npz").set_params(spacing=SPACING)
    test = volumes["test"]
    np.testing.assert_array_equal(imio.read("seg.h5"), model.predict(test.p1, test.superpixels))


@pytest.mark.usefixtures("inside")
def test_segment__without_superpixels_makes_and_keeps_them(volumes):
    good("segment", "map.h5", "seg.h5", "-t", 0.5)
    kept = imio.read("seg-superpixels.h5")
    np.testing.assert_array_equal(kept, superpixels(volumes["test"].p1, spacing=SPACING))
    good("cut", "seg-superpixels.h5", "seg-tree.npz", "again.h5", "-t", 0.5)
    np.testing.assert_array_equal(imio.read("again.h5"), imio.read("seg.h5"))


@pytest.mark.usefixtures("inside")
def test_segment__makes_superpixels_of_the_first_of_several_channels(volumes):
    imio.write("p4.h5", volumes["test"].p4, spacing=SPACING)
    good("segment", "p4.h5", "seg.h5", "-t", 0.5)
    expected = superpixels(volumes["test"].p4[..., 0], spacing=SPACING)
    np.testing.assert_array_equal(imio.read("seg-superpixels.h5"), expected)


@pytest.mark.usefixtures("inside")
def test_cut__gives_what_segment_gave_at_that_threshold():
    good("segment", "map.h5", "seg.h5", "--superpixels", "sp.zarr", "-t", 0.3, "-t", 0.6, "--tree", "kept.npz")
    good("cut", "sp.zarr", "kept.npz", "cut.ome.zarr", "-t", 0.3, "-t", 0.6)
    for threshold in (0.3, 0.6):
        np.testing.assert_array_equal(imio.read(f"cut-{threshold}.ome.zarr"), imio.read(f"seg-{threshold}.h5"))


@pytest.mark.usefixtures("inside")
def test_segment__of_masked_voxels_is_0(volumes):
    mask = np.ones(volumes["test"].p1.shape, dtype=np.uint8)
    mask[:, :8] = 0
    imio.write("mask.npy", mask)
    good("segment", "map.h5", "seg.h5", "--mask", "mask.npy", "-t", 0.5)
    found = imio.read("seg.h5")
    np.testing.assert_array_equal(found == 0, mask == 0)


@pytest.mark.usefixtures("inside")
def test_superpixels__are_those_of_the_library(volumes):
    result = good("superpixels", "map.h5", "new.h5", "--method", "distance", "--min-size", 30, "--json", "-")
    expected = superpixels(volumes["test"].p1, method="distance", min_size=30, spacing=SPACING)
    np.testing.assert_array_equal(imio.read("new.h5"), expected)
    assert json.loads(result.stdout)["superpixels"] == expected.max()


@pytest.mark.usefixtures("inside")
def test_train__writes_the_segmenter_of_the_library(volumes):
    good("train", "new.npz", "--image", "a.npy", "--truth", "a-truth.h5", "--superpixels", "a-sp.h5")
    test = volumes["test"]
    found = Segmenter.load("new.npz").predict(test.p1, test.superpixels)
    np.testing.assert_array_equal(found, Segmenter.load("model.npz").predict(test.p1, test.superpixels))


@pytest.mark.usefixtures("inside")
def test_train__learns_from_affinities_what_segment_reads_in_them(volumes):
    train, test = volumes["train"], volumes["test"]
    imio.write("a-aff.zarr", affinities_of(train.p1), axes="czyx")
    np.save("aff.npy", affinities_of(test.p1))
    offsets = ("--offsets", "-1,0,0 0,-1,0 0,0,-1 0,0,-3")
    given = ("--image", "a-aff.zarr", "--truth", "a-truth.h5", "--superpixels", "a-sp.h5")
    good("train", "m.npz", *given, *offsets, "--spacing", "30,4,4")
    good(
        "segment",
        "--affinities",
        "aff.npy",
        *offsets,
        "seg.h5",
        "--superpixels",
        "sp.zarr",
        "--policy",
        "learned:m.npz",
    )
    maps = [affinity_maps(affinities_of(volume.p1), STEPS) for volume in (train, test)]
    segmenter = Segmenter(spacing=SPACING).fit(maps[0], train.truth, train.superpixels)
    np.testing.assert_array_equal(imio.read("seg.h5"), segmenter.predict(maps[1], test.superpixels))
    refused = run("train", "new.npz", *given, "--offsets", "-1,0,0 0,-1,0")
    assert "channels, one for each offset" in refused.output


@pytest.mark.usefixtures("inside")
def test_pixels__from_painted_voxels_to_a_map_and_a_segmentation(volumes):
    train, test = volumes["train"], volumes["test"]
    imio.write("raw.h5", train.image)
    imio.write("painted.h5", boundary_labels(train.truth))
    imio.write("other.h5", test.image, spacing=(1, 1, 1))
    good("pixels", "train", "px.npz", "--image", "raw.h5", "--labels", "painted.h5")
    good("pixels", "train", "same.npz", "--image", "raw.h5", "--labels", "a-truth.h5", "--dense")
    good("pixels", "predict", "px.npz", "other.h5", "found.h5")
    good("pixels", "predict", "same.npz", "other.h5", "same.h5")
    found = imio.read("found.h5")
    np.testing.assert_array_equal(found, imio.read("same.h5"))
    np.testing.assert_array_equal(found, PixelClassifier.load("px.npz").predict(test.image))
    assert "pixel classifier" in good("info", "px.npz").stdout
    good("segment", "other.h5", "seg.h5", "--pixels", "px.npz", "-t", 0.5)
    good("segment", "found.h5", "twin.h5", "-t", 0.5)
    np.testing.assert_array_equal(imio.read("seg.h5"), imio.read("twin.h5"))


STEPS = [(-1, 0, 0), (0, -1, 0), (0, 0, -1), (0, 0, -3)]


def affinities_of(boundary):
    """Return affinities, channels first: no boundary at either voxel of a pair."""
    return np.stack([1 - np.maximum(boundary, np.roll(boundary, np.negative(step), (0, 1, 2))) for step in STEPS])


@pytest.mark.usefixtures("inside")
@pytest.mark.parametrize("name", ["aff.npy", "aff.h5", "aff.ome.zarr"])
def test_segment__of_affinities_is_what_the_library_gives(volumes, name):
    values = affinities_of(volumes["test"].p1)
    if name == "aff.ome.zarr":
        imio.write(name, values, axes="czyx")
    else:
        np.save(name, values) if name.endswith("npy") else write_h5_stack(values, name)
    given = ("--affinities", name, "--offsets", "-1,0,0 0,-1,0; 0,0,-1 0,0,-3", "--superpixels", "sp.zarr")
    good("segment", *given, "seg.h5", "-t", 0.7, "--policy", "quantile:0.75", "--convention", "affinity")
    policy = boundary_quantile(0.25)
    graph, _ = build_affinity_graph(volumes["test"].superpixels, values, policy.needs, offsets=STEPS)
    expected = cut_labels(volumes["test"].superpixels, agglomerate(graph, policy), 1 - 0.7)
    np.testing.assert_array_equal(imio.read("seg.h5"), expected)


@pytest.mark.usefixtures("inside")
def test_segment__of_affinities_in_blocks_is_what_it_is_in_memory(volumes):
    values = np.round(255 * affinities_of(volumes["test"].p1)).astype("u1")
    imio.write("aff.ome.zarr", values, axes="czyx", chunks=(1, 5, 20, 20))
    given = ("--affinities", "aff.ome.zarr", "--offsets", "-1,0,0 0,-1,0 0,0,-1 0,0,-3", "--superpixels", "sp.zarr")
    blocks = ("--chunks", "5,20,20", "--workers", 0, "--json", "-")
    for more in (
        ("-t", 0.3, "-t", 0.6),
        ("-t", 0.7, "-t", 0.5, "--convention", "affinity", "--policy", "quantile:0.25"),
        ("-t", 0.4, "-t", 0.5, "--policy", "max"),
    ):
        good("segment", *given, "seg.h5", *more)
        found = json.loads(good("segment", *given, "blocks.zarr", *more, *blocks).stdout)
        assert [cut["threshold"] for cut in found["cuts"]] == list(more[1:4:2])
        for threshold in more[1:4:2]:
            np.testing.assert_array_equal(imio.read(f"blocks-{threshold}.zarr"), imio.read(f"seg-{threshold}.h5"))
    refused = run("segment", *given, "no.zarr", "--policy", "gasp-mean", *blocks)
    assert refused.exit_code == 1
    assert "in memory only" in refused.stderr
    planned = json.loads(good("segment", *given, "no.zarr", *blocks, "--dry-run").stdout)
    assert planned["tasks"]["region graph"] == 8
    assert not list(Path().glob("no*"))


@pytest.mark.usefixtures("inside")
@pytest.mark.parametrize("method", ["gasp-mean", "gasp-abs-max-cannot-link", "multicut", "mutex"])
def test_segment__partitions_are_those_of_the_library(volumes, method):
    values = affinities_of(volumes["test"].p1)
    np.save("aff.npy", values)
    given = ("--affinities", "aff.npy", "--offsets", "-1,0,0 0,-1,0 0,0,-1 0,0,-3", "--superpixels", "sp.zarr")
    good("segment", *given, "seg.h5", "--policy", method, "-t", 0.4)
    graph, lifted = build_affinity_graph(volumes["test"].superpixels, values, boundary_mean.needs, offsets=STEPS)
    far = None if method.startswith("gasp") else lifted
    expected = partition(graph, method, lifted=far, bias=0.4).segmentation(volumes["test"].superpixels)
    np.testing.assert_array_equal(imio.read("seg.h5"), expected)
    assert Path("seg-tree.npz").exists() == method.startswith("gasp")
    if method.startswith("gasp"):
        good("cut", "sp.zarr", "seg-tree.npz", "again.h5", "-t", 0)
        np.testing.assert_array_equal(imio.read("again.h5"), expected)
        good("segment", *given, "two.h5", "--policy", method, "-t", 0.4, "-t", 0.6, "--tree", "kept.npz")
        assert MergeTree.load("kept-0.4.npz").cut(0).tolist() == MergeTree.load("seg-tree.npz").cut(0).tolist()
        assert Path("kept-0.6.npz").exists()
    good("segment", "map.h5", "of-map.h5", "--policy", method, "--superpixels", "sp.zarr")
    assert 1 < len(np.unique(imio.read("of-map.h5"))) <= volumes["test"].superpixels.max()


@pytest.mark.usefixtures("inside")
def test_segment__makes_superpixels_of_affinities(volumes):
    np.save("aff.npy", affinities_of(volumes["test"].p1))
    good("segment", "--affinities", "aff.npy", "--offsets", "-1,0,0 0,-1,0 0,0,-1 0,0,-3", "seg.h5", "-t", 0.5)
    assert imio.read("seg-superpixels.h5").shape == volumes["test"].p1.shape


@pytest.mark.usefixtures("inside")
@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("seg.h5", "--affinities", "aff.npy"), 2, "go together"),
        (("map.h5", "seg.h5", "--affinities", "aff.npy", "--offsets", "1,0,0"), 2, "either IMAGE or --affinities"),
        (("seg.h5", "--affinities", "aff.npy", "--offsets", "1,0,0 0,1"), 2, "expected steps along each axis"),
        (("seg.h5", "--affinities", "aff.npy", "--offsets", "-1,0,0 0,-1,0"), 1, "2 channels, one for each offset"),
        (("map.h5", "seg.h5", "--policy", "gasp-median"), 1, "policy must be one of"),
        (("map.h5",), 2, "Missing argument 'OUT'"),
    ],
)
def test_segment__wrong_affinities_get_a_sentence(volumes, arguments, code, words):
    np.save("aff.npy", affinities_of(volumes["test"].p1))
    result = run("segment", *arguments)
    assert result.exit_code == code, result.output
    assert words in result.stderr
    assert not list(Path().glob("seg*"))


@pytest.mark.usefixtures("inside")
def test_segment__in_blocks_is_what_it_is_in_memory():
    given = ("map.h5", "--superpixels", "sp.zarr", "-t", 0.3, "-t", 0.6)
    good("segment", *given, "seg.h5")
    found = json.loads(good("segment", *given, "blocks.zarr", "--chunks", 16, "--workers", 0, "--json", "-").stdout)
    for threshold in (0.3, 0.6):
        np.testing.assert_array_equal(imio.read(f"blocks-{threshold}.zarr"), imio.read(f"seg-{threshold}.h5"))
    assert found["blocks"] == 9
    assert [cut["threshold"] for cut in found["cuts"]] == [0.3, 0.6]


@pytest.mark.usefixtures("inside")
def test_train_and_segment__with_extra_images(volumes):
    train, test = volumes["train"], volumes["test"]
    imio.write("a-raw.h5", train.image)
    imio.write("raw.zarr", test.image)
    good("train", "m.npz", "--image", "a.npy", "--truth", "a-truth.h5", "--superpixels", "a-sp.h5",
         "--extra", "raw=a-raw.h5", "--spacing", "30,4,4")  # fmt: skip
    segmenter = Segmenter(spacing=SPACING).fit(train.p1, train.truth, train.superpixels, extra={"raw": train.image})
    expected = segmenter.predict(test.p1, test.superpixels, extra={"raw": test.image})
    given = ("map.h5", "--superpixels", "sp.zarr", "--policy", "learned:m.npz")
    good("segment", *given, "seg.h5", "--extra", "raw=raw.zarr")
    np.testing.assert_array_equal(imio.read("seg.h5"), expected)
    good("segment", *given, "blocks.zarr", "--extra", "raw=raw.zarr", "--chunks", 16, "--workers", 0)
    np.testing.assert_array_equal(imio.read("blocks.zarr"), expected)
    for arguments, code, words in (
        ((*given, "new.zarr"), 1, "the extra image raw (1 channel)"),
        (
            (*given, "new.zarr", "--workers", 0),
            1,
            "the extra image raw (1 channel); got 3 dimensions, 1 channel and no",
        ),
        (("map.h5", "new.h5", "--extra", "raw=raw.zarr"), 1, "mean has none"),
        ((*given, "new.zarr", "--extra", "raw"), 2, "such as raw=raw.zarr"),
        ((*given, "raw.zarr", "--extra", "raw=raw.zarr"), 1, "written over raw.zarr"),
        ((*given, "new.zarr", "--extra", "raw=raw.zarr", "--extra", "raw=sp.zarr"), 2, "given twice"),
    ):
        result = run("segment", *arguments)
        assert result.exit_code == code, result.output
        assert words in result.stderr
    assert not [*Path.cwd().glob("new*")]
    result = run("train", "n.npz", "--image", "a.npy", "--truth", "a-truth.h5", *2 * ("--extra", "raw=a-raw.h5"))
    assert "--extra raw= must be given once for each --image, 1 times; got 2" in result.stderr


@pytest.mark.usefixtures("inside")
@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (
            ("segment", "p4.h5", "new.h5", "--policy", "learned:model.npz"),
            "1 channel and no extra image; got 3",
        ),
        (
            ("segment", "map.h5", "new.h5", "--policy", "learned:map.h5"),
            "map.h5 does not hold a segmenter that can be read",
        ),
        (("segment", "text.npy", "new.h5"), "text.npy is no NPY file"),
        (("segment", "sp.zarr", "new.h5", "--superpixels", "map8.npy"), "convert it, if it is an image and no labels"),
        (("segment", "empty.zarr", "new.zarr", "--workers", 0), "a volume must have voxels"),
        (("segment", "map.h5", "new.zarr", "--workers", 1, "--memory-limit", "lots"), 'such as "2GB"'),
        (("train", ".", "--image", "a.npy", "--truth", "a-truth.h5"), "it is a folder"),
    ],
)
def test_mistakes__end_in_a_sentence_before_anything_is_written(volumes, arguments, words):
    imio.write("p4.h5", volumes["test"].p4)
    np.save("map8.npy", (volumes["test"].p1 * 255).astype(np.uint8))
    Path("text.npy").write_text("hello")
    zarr.create_array("empty.zarr", shape=(0, 10, 10), chunks=(1, 10, 10), dtype="f4")
    result = run(*arguments)
    assert result.exit_code == 1, result.output
    error = result.stderr.splitlines()[-1]
    assert error.startswith("Error: ")
    assert words in error
    assert "pickle" not in error
    assert "Learning" not in result.stderr
    assert not [*Path.cwd().glob("new*")]


@pytest.mark.usefixtures("inside")
def test_segment__dry_run_in_blocks_shows_what_each_stage_needs():
    given = ("segment", "map.h5", "blocks.zarr", "--chunks", 16, "--workers", 0, "--dry-run")
    shown = good(*given).stdout
    plan = json.loads(good(*given, "--json", "-").stdout)
    for stage, n in plan["tasks"].items():
        assert re.search(rf"^{stage} +{n} +\d+ MB +[\d.]+ MB$", shown, re.MULTILINE)
    for file in plan["files"].values():
        assert re.search(rf"^{file} ", shown, re.MULTILINE)


@pytest.mark.usefixtures("inside")
@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("--chunks", "16,x"), 2, "positive numbers"),
        (("--chunks", "16.5"), 1, "whole numbers of voxels"),
        (("--workers", 0, "--threads", 2), 1, "--workers are processes"),
        (("--workers", 0, "--tree", "t.npz"), 2, "not for work in blocks"),
        (("--on-error", "skip"), 2, "are for work in blocks"),
        (("--missing", "zero"), 2, "are for work in blocks"),
        (("--scheduler", "tcp://127.0.0.1:1"), 1, "127.0.0.1:1"),
    ],
)
def test_segment__wrong_options_of_blocks_get_a_sentence(arguments, code, words):
    result = run("segment", "map.h5", "blocks.zarr", "--superpixels", "sp.zarr", *arguments)
    assert result.exit_code == code, result.output
    assert words in result.stderr
    assert not Path("blocks.zarr").exists()


@pytest.mark.usefixtures("inside")
def test_config__gives_what_flags_give():
    Path("gala.toml").write_text(
        '[segment]\nimage = "map.h5"\nout = "b.h5"\nsuperpixels = "sp.zarr"\nthreshold = [0.3, 0.6]\n'
        'policy = "quantile:0.75"\nspacing = [30, 4, 4]\n'
    )
    good("segment", "--config", "gala.toml")
    flags = ("--superpixels", "sp.zarr", "-t", 0.3, "-t", 0.6, "--policy", "quantile:0.75", "--spacing", "30,4,4")
    good("segment", "map.h5", "c.h5", *flags)
    for threshold in (0.3, 0.6):
        np.testing.assert_array_equal(imio.read(f"b-{threshold}.h5"), imio.read(f"c-{threshold}.h5"))


@pytest.mark.usefixtures("inside")
def test_config__flags_go_first():
    Path("gala.toml").write_text("method = 'distance'\nmin-size = 30\n")
    good("superpixels", "map.h5", "b.h5", "--config", "gala.toml", "--method", "watershed")
    good("superpixels", "map.h5", "c.h5", "--min-size", 30)
    np.testing.assert_array_equal(imio.read("b.h5"), imio.read("c.h5"))


@pytest.mark.parametrize(
    "arguments",
    [
        ("segment", "map.h5", "seg.h5", "--superpixels", "sp.zarr"),
        ("segment", "map.h5", "seg.h5", "--policy", "learned:model.npz"),
        ("superpixels", "map.h5", "seg.h5"),
        ("train", "new.npz", "--image", "a.npy", "--truth", "a-truth.h5"),
    ],
)
def test_dry_run__says_what_would_be_written_and_writes_nothing(inside, arguments):
    before = sorted(inside.iterdir())
    result = good(*arguments, "--dry-run", "--json", "-")
    assert "seg.h5" in result.stdout or "new.npz" in result.stdout
    assert sorted(inside.iterdir()) == before


@pytest.mark.parametrize("dry", [(), ("--dry-run",)])
@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("segment", "none.h5", "seg.h5"), 1, "none.h5"),
        (("segment", "map.h5", "seg.xyz"), 1, "xyz"),
        (("segment", "map.h5", "no/seg.h5"), 1, "there is no folder"),
        (("segment", "map.h5", "map.h5"), 1, "would be written over"),
        (("segment", "map.h5", "seg.h5", "--policy", "best"), 1, "policy must be one of mean"),
        (("segment", "map.h5", "seg.h5", "--policy", "quantile:7"), 1, "from 0 to 1"),
        (("segment", "map.h5", "seg.h5", "--policy", "learned:none.npz"), 1, "there is no file none.npz"),
        (("segment", "map.h5", "seg.h5", "--policy", "learned:map.h5"), 1, "map.h5 does not hold"),
        (("segment", "map.h5", "seg.h5", "--superpixels", "small.h5"), 1, "must have the shape of small.h5"),
        (("segment", "map.h5", "seg.h5", "--spacing", "4,4"), 1, "spacing"),
        (("segment", "map.h5", "seg.h5", "--spacing", "4,x"), 2, "such as 40,4,4"),
        (("segment", "map.h5", "seg.h5", "--spacing", "4,0,4"), 2, "such as 40,4,4"),
        (("segment", "map.h5", "seg.h5", "--config", "bad.toml"), 2, "which is no option of"),
        (("segment", "map.h5", "seg.h5", "--config", "map.h5"), 2, "is not a TOML file"),
        (("cut", "sp.zarr", "tree.npz", "seg.h5"), 2, "Missing option '-t'"),
        (("cut", "sp.zarr", "tree.npz", "seg.h5", "-t", "0.5"), 1, "there is no file tree.npz"),
        (("train", "m.npz", "--image", "a.npy", "--truth", "a-truth.h5", "--truth", "a-truth.h5"), 1, "1 times; got 2"),
        (("train", "m.npz", "--image", "a.npy", "--truth", "a-truth.h5", "--threshold", "x"), 1, "auto, held-out"),
        (("train", "m.npz", "--image", "a.npy"), 2, "Missing option '--truth'"),
        (("superpixels", "map.h5", "seg.h5", "--method", "magic"), 2, "'magic' is not one of"),
    ],
)
def test_wrong_input__gets_a_sentence_and_writes_nothing(inside, arguments, code, words, dry):
    imio.write("small.h5", np.ones((2, 3, 4), dtype=np.int32))
    Path("bad.toml").write_text("polcy = 'mean'\n")
    before = sorted(inside.iterdir())
    result = run(*arguments, *dry)
    assert result.exit_code == code, result.output
    assert words in result.stderr
    assert isinstance(result.exception, SystemExit)
    assert result.stdout == ""
    assert sorted(inside.iterdir()) == before


@pytest.mark.usefixtures("inside")
def test_cut__of_other_superpixels_says_so():
    good("segment", "map.h5", "seg.h5", "--superpixels", "sp.zarr", "-t", 0.5)
    result = run("cut", "a-sp.h5", "seg-tree.npz", "new.h5", "-t", 0.5)
    assert result.exit_code == 1
    assert "superpixels that the tree merges" in result.stderr
    assert not Path("new.h5").exists()


@pytest.mark.usefixtures("inside")
def test_info__of_every_kind_of_file():
    good("segment", "map.h5", "seg.h5", "--superpixels", "sp.zarr", "-t", 0.5)
    names = ("map.h5", "sp.zarr", "truth.tif", "a.npy", "seg-tree.npz", "model.npz")
    found = json.loads(good("info", *names, "--json", "-").stdout)["files"]
    assert [each["path"] for each in found] == list(names)
    assert found[0]["spacing"] == list(SPACING)
    assert found[1]["n_labels"] == found[4]["leaves"]
    assert found[5]["holds"] == "segmenter"
    assert "merge tree" in good("info", "seg-tree.npz").stdout


@pytest.mark.usefixtures("inside")
def test_evaluate__takes_any_format():
    printed = good("evaluate", "sp.zarr", "truth.tif").stdout
    found = json.loads(good("evaluate", "sp.zarr", "truth.tif", "--json", "-").stdout)
    assert "VI false splits" in printed
    assert found["metrics"][0]["metric"] == "VI false merges"


@pytest.mark.usefixtures("inside")
def test_evaluate__with_skeletons_tells_of_run_lengths(volumes):
    truth = volumes["test"].truth
    for i, neuron in enumerate(np.unique(truth[5][truth[5] > 0])[:3]):
        row, column = np.argwhere(truth[5] == neuron)[0]
        lines = [f"1 0 {column} {row} 5 1 -1", f"2 0 {column} {row} {6 if truth[6, row, column] == neuron else 4} 1 1"]
        Path(f"{i}.swc").write_text("\n".join(lines) + "\n")
    names = [item for i in range(3) for item in ("--skeletons", f"{i}.swc")]
    found = json.loads(good("evaluate", "truth.tif", "truth.tif", *names, "--json", "-").stdout)
    assert found["facts"]["normalised run length"] == 1
    assert len(found["run_lengths"]) == 3


@pytest.mark.usefixtures("inside")
def test_view__writes_a_page_that_needs_nothing_else():
    good("segment", "map.h5", "seg.h5", "--superpixels", "sp.zarr", "-t", 0.5)
    found = good("view", "map.h5", "sp.zarr", "--tree", "seg-tree.npz", "-t", 0.5, "--out", "page.html", "--json", "-")
    assert json.loads(found.stdout)["viewer"] == "page"
    page = Path("page.html").read_text()
    assert not re.search(r"(src|href|url\()\W*https?:", page)
    assert 'type="range"' in page


@pytest.mark.usefixtures("inside")
@pytest.mark.parametrize("policy", ["mean", "learned:model.npz"])
def test_warnings__are_sentences_on_stderr(volumes, policy):
    imio.write("inverted.h5", 1 - volumes["test"].p1)
    result = good("segment", "inverted.h5", "seg.h5", "--superpixels", "sp.zarr", "--policy", policy)
    assert "Warning: " in result.stderr
    assert "inverted" in result.stderr
    assert "warnings.warn" not in result.stderr


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion__is_a_script_for_the_shell(shell):
    assert "_GALA_COMPLETE" in good("completion", shell).stdout


@pytest.mark.usefixtures("inside")
def test_completion__completes_commands_and_options():
    environment = os.environ | {
        "PYTHONPATH": ":".join(sys.path),
        "_GALA_COMPLETE": "bash_complete",
        "COMP_WORDS": "gala segment --pol",
        "COMP_CWORD": "2",
    }
    code = "from gala.cli import main; main(prog_name='gala')"
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)
    assert "--policy" in done.stdout


@pytest.mark.parametrize("name", main.list_commands(None))
def test_help__of_every_command_is_a_page(name):
    assert good(name, "--help").stdout.startswith("Usage: ")


def test_interrupt__ends_with_130_and_leaves_nothing_unfinished(inside):
    big = np.random.default_rng(0).random((60, 200, 200)).astype(np.float32)
    imio.write("big.npy", big)
    code = "from gala.cli import main; main(prog_name='gala')"
    environment = os.environ | {"PYTHONPATH": ":".join(sys.path)}
    command = [sys.executable, "-c", code, "segment", "big.npy", "seg.h5", "-t", "0.5"]
    pipes = {"stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, env=environment, preexec_fn=heed_interrupts, **pipes) as running:
        seen = ""
        while "Making superpixels" not in seen:
            seen += running.stderr.read(1)
        time.sleep(0.3)
        running.send_signal(signal.SIGINT)
        rest = running.stderr.read()
    assert running.returncode == 130, rest
    assert "Interrupted" in rest
    assert not [item.name for item in inside.iterdir() if "seg" in item.name]


def test_segment__of_the_real_volume_has_its_known_vi(tmp_path):
    boundary, labels, truth = (path_of(f"test-{name}") for name in ("p1", "ws", "gt"))
    arguments = (boundary, tmp_path / "seg.h5", "--superpixels", labels)
    good("segment", *arguments, "-t", 0.8)
    found = json.loads(good("evaluate", tmp_path / "seg.h5", truth, "--json", "-").stdout)
    vi = {row["metric"]: row["gala"] for row in found["metrics"]}
    assert vi["VI false merges"] == pytest.approx(0.219, abs=1e-3)
    assert vi["VI false splits"] == pytest.approx(0.309, abs=1e-3)
