"""Runs in blocks that are killed, interrupted or given damaged volumes go on, or stop and say where."""

from __future__ import annotations

import json
import os
import random
import re
import signal
import subprocess
import sys
import time

import numpy as np
import psutil
import pytest
import zarr
from distributed import LocalCluster
from numpy.testing import assert_array_equal

from gala import classify, datasets, imio
from gala.errors import FileError, GalaWarning, ImageError, PolicyError, SettingError, ShapeError
from gala.graph.tree import MergeTree
from gala.pipeline.blockwise import manifest, running, segment_blockwise
from gala.pipeline.named import HandMade, named_policy
from networks import write_network
from processes import heed_interrupts

pytestmark = pytest.mark.compiled
SHAPE, CHUNKS = (16, 32, 40), (8, 16, 20)


@pytest.fixture
def volume(tmp_path):
    """Write a synthetic volume, values of 8 bits; return the folder and the arrays."""
    made = datasets.synthetic(SHAPE, seed=0)
    arrays = {"map": np.maximum(1, made.p1 * 255).astype("u1"), "sp": made.superpixels, "truth": made.truth}
    for name, array in arrays.items():
        imio.write(tmp_path / f"{name}.zarr", array, chunks=CHUNKS, spacing=(2, 1, 1), unit="nm")
    (tmp_path / "a").mkdir()
    return tmp_path, arrays


def run(folder, out="seg.zarr", **options):
    given = {"superpixels": folder / "sp.zarr", "chunks": CHUNKS, "workers": 0, "progress": None} | options
    return segment_blockwise(folder / "map.zarr", folder / out, **given)


def outputs_in(folder):
    """Return the content of all files that a run makes in a folder, by name, but for locks and markers."""
    files = [fn for fn in sorted(folder.rglob("*")) if fn.is_file() and "done" not in fn.parts]
    return {str(fn.relative_to(folder)): fn.read_bytes() for fn in files}


def n_done(folder):
    return len(list(folder.glob("seg-blocks/done/*/*.json")))


# ---------------------------------------------------------------------------------------------- going on


@pytest.mark.parametrize("after", [0, 9, 23, 28])
@pytest.mark.parametrize("moment", ["before the data", "before the marker"])
def test_interrupted_run__goes_on_and_writes_the_same_bytes(volume, monkeypatch, after, moment):
    folder, _ = volume
    report = run(folder, "a/seg.zarr", truth=folder / "truth.zarr")
    n_all = sum(each["now"] for each in report["stages"].values())
    assert n_all > after
    (folder / "b").mkdir()
    left = iter(range(after))
    module, name = (running, "task_of") if moment == "before the data" else (manifest.Manifest, "finish")
    whole = getattr(module, name)

    def killed(*arguments):
        if next(left, None) is None:
            raise KeyboardInterrupt
        return whole(*arguments)

    monkeypatch.setattr(module, name, killed)
    with pytest.raises(KeyboardInterrupt):
        run(folder, "b/seg.zarr", truth=folder / "truth.zarr")
    monkeypatch.undo()
    again = run(folder, "b/seg.zarr", truth=folder / "truth.zarr")
    before = sum(each["before"] for each in again["stages"].values())
    assert sum(each["now"] for each in again["stages"].values()) + before == n_all
    assert before >= after - 2  # a volume that is made is marked before and after
    assert outputs_in(folder / "a") == outputs_in(folder / "b")


def test_same_run_again__does_nothing(volume):
    folder, _ = volume
    run(folder)
    told = []
    again = run(folder, progress=lambda *step: told.append(step))
    assert {each["now"] for each in again["stages"].values()} == {0}
    assert told == []


@pytest.mark.parametrize(("quiet", "between"), [(60, set()), (0, {f"{n} of 8 done" for n in range(1, 8)})])
def test_stages__are_told_as_lines_where_there_is_no_terminal(volume, monkeypatch, capsys, quiet, between):
    folder, _ = volume
    monkeypatch.setattr(running, "_QUIET", quiet)
    report = run(folder, progress="bar")
    told = capsys.readouterr().err
    assert "\r" not in told
    lines = told.splitlines()
    assert {line.split(",")[0] for line in lines if line.startswith("region graph: ")} == {
        f"region graph: {state}" for state in ({"0 of 8 done", "8 of 8 done"} | between)
    }
    assert all(line.endswith("Mvoxel/s") for line in lines if line.startswith("segmentation: 8 of 8 done, "))
    ended = [line for line in lines if re.match(r"(.*): (\d+) of \2 done, \d+\.\d s", line)]
    begun = [line for line in lines if ": 0 of " in line]
    n_stages = len(report["stages"]) + 3  # agglomeration goes level by level
    assert len(ended) == len(begun) == n_stages
    run(folder, progress="bar")
    assert capsys.readouterr().err.count("were done before\n") == n_stages


def test_killed_run__leaves_nothing_unfinished_to_those_after_it(volume):
    folder, _ = volume
    run(folder, "a/seg.zarr")
    before = outputs_in(folder / "a")
    for left in [".01234567-seg.zarr/zarr.json", "seg.zarr/0/.89abcdef-zarr.json", "seg.zarr/0/zarr.1.partial"]:
        (folder / "a" / left).parent.mkdir(exist_ok=True)
        (folder / "a" / left).write_text("half of it")
    (folder / "a/.01234567-seg-tree.npz").write_text("half of it")
    run(folder, "a/seg.zarr")
    assert outputs_in(folder / "a") == before


def test_removed_results__are_made_again(volume):
    folder, _ = volume
    run(folder, "a/seg.zarr")
    before = outputs_in(folder / "a")
    for fn in [
        *folder.glob("a/seg-blocks/graphs/*/1-0-0.npz"),
        folder / "a/seg-tree.npz",
        folder / "a/seg.zarr/zarr.json",
    ]:
        fn.unlink()
    run(folder, "a/seg.zarr")
    assert outputs_in(folder / "a") == before


def test_other_policy__builds_only_what_is_new_of_the_graph(volume):
    folder, arrays = volume
    run(folder)
    report = run(folder, policy="max")
    graphs = [name for name in report["stages"] if name.startswith("graph")]
    assert len(graphs) == 1
    assert report["stages"][graphs[0]] == {"now": 8, "before": 0}
    tree = HandMade(named_policy("max"), (2, 1, 1)).merge_tree(arrays["map"], arrays["sp"])
    assert_array_equal(MergeTree.load(report["tree"]).children, tree.below(0.5).children)
    back = run(folder)
    assert all(back["stages"][name] == {"now": 0, "before": 8} for name in back["stages"] if name.startswith("graph"))


def test_neighbouring_volume__builds_only_blocks_that_are_new_or_meet_it(tmp_path):
    made = datasets.synthetic((24, 32, 40), seed=0)
    arrays = {"map": np.maximum(1, made.p1 * 255).astype("u1"), "sp": made.superpixels}
    stored = {}
    for name, array in arrays.items():
        imio.write(tmp_path / f"{name}.zarr", array[:16], chunks=CHUNKS)
        stored[name] = zarr.open_array(tmp_path / f"{name}.zarr", mode="r+")
    run(tmp_path)
    for name, array in arrays.items():
        stored[name].resize(array.shape)
        stored[name][16:] = array[16:]
    report = run(tmp_path)
    (graph,) = (each for name, each in report["stages"].items() if name.startswith("graph"))
    assert graph == {"now": 8, "before": 4}  # of 12: 4 are new, and 4 see them
    tree = HandMade(named_policy("mean")).merge_tree(arrays["map"], arrays["sp"])
    assert_array_equal(MergeTree.load(report["tree"]).children, tree.below(0.5).children)


def test_changed_input__is_noticed(volume):
    folder, arrays = volume
    run(folder)
    changed = arrays["map"].copy()
    changed[9:, 17:, 21:] = 255 - changed[9:, 17:, 21:]
    zarr.open_array(folder / "map.zarr", mode="r+")[8:, 16:, 20:] = changed[8:, 16:, 20:]
    report = run(folder)
    assert [each["now"] for name, each in report["stages"].items() if name.startswith("graph")] == [1]
    tree = HandMade(named_policy("mean"), (2, 1, 1)).merge_tree(changed, arrays["sp"])
    assert_array_equal(MergeTree.load(report["tree"]).children, tree.below(0.5).children)


SCRIPT = """
import json, sys
from gala.pipeline.blockwise import segment_blockwise
if __name__ == "__main__":
    image, out, options = sys.argv[1:]
    segment_blockwise(image, out, chunks=(8, 16, 20), **json.loads(options))
"""


def started(folder, out, workers, image="map.zarr", **options):
    script = folder / "run.py"
    script.write_text(SCRIPT)
    given = {"superpixels": str(folder / "sp.zarr"), "workers": workers} | options
    command = [sys.executable, str(script), str(folder / image), str(out), json.dumps(given)]
    return subprocess.Popen(
        command, start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )


def wait_for(condition, process):
    """Wait until something is so, or the process has ended."""
    while process.poll() is None and not condition():
        time.sleep(0.005)


def kill_all(process):
    """Kill a process, and all that it started, at once."""
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    process.stderr.close()


def ended(process):
    error = process.communicate(timeout=300)[1]
    assert process.returncode == 0, error


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.filterwarnings("ignore:blocks of .* cut through")
def test_killed_process__goes_on_and_writes_the_same_bytes(volume, seed):
    folder, _ = volume
    segment_blockwise(
        folder / "map.zarr", folder / "a/seg.zarr", superpixels=folder / "sp.zarr", chunks=(8, 16, 20), workers=0
    )
    (folder / "b").mkdir()
    process = started(folder, folder / "b/seg.zarr", 0)
    n = random.Random(seed).randrange(1, n_done(folder / "a"))
    wait_for(lambda: n_done(folder / "b") >= n, process)
    kill_all(process)
    ended(started(folder, folder / "b/seg.zarr", 0))
    assert outputs_in(folder / "a") == outputs_in(folder / "b")


@pytest.mark.filterwarnings("ignore:blocks of .* cut through")
def test_killed_process__goes_on_with_affinities(volume):
    folder, arrays = volume
    affinities = np.stack([255 - np.maximum(arrays["map"], np.roll(arrays["map"], 1, axis)) for axis in range(3)])
    imio.write(folder / "aff.zarr", np.maximum(affinities, 1), axes="czyx", chunks=(1, *CHUNKS))
    given = {"offsets": [[-1, 0, 0], [0, -1, 0], [0, 0, -1]], "superpixels": None}
    segment_blockwise(folder / "aff.zarr", folder / "a/seg.zarr", chunks=(8, 16, 20), workers=0, **given)
    (folder / "b").mkdir()
    process = started(folder, folder / "b/seg.zarr", 0, "aff.zarr", **given)
    n = random.Random(1).randrange(1, n_done(folder / "a"))
    wait_for(lambda: n_done(folder / "b") >= n, process)
    kill_all(process)
    ended(started(folder, folder / "b/seg.zarr", 0, "aff.zarr", **given))
    assert outputs_in(folder / "a") == outputs_in(folder / "b")


def workers_of(process):
    """Return the worker processes of a local cluster."""
    found = psutil.Process(process.pid).children(recursive=True)
    return [each for each in found if "spawn_main" in " ".join(each.cmdline())]


@pytest.mark.slow
@pytest.mark.parametrize(("victim", "seed"), [("worker", 0), ("client", 1), ("everything", 2), ("everything", 3)])
@pytest.mark.filterwarnings("ignore:blocks of .* cut through")
def test_cluster__killed_at_any_moment_goes_on_and_writes_the_same_bytes(volume, victim, seed):
    folder, _ = volume
    segment_blockwise(
        folder / "map.zarr", folder / "a/seg.zarr", superpixels=folder / "sp.zarr", chunks=(8, 16, 20), workers=0
    )
    (folder / "b").mkdir()
    process = started(folder, folder / "b/seg.zarr", 2)
    n = random.Random(seed).randrange(1, n_done(folder / "a"))
    wait_for(lambda: n_done(folder / "b") >= n, process)
    if victim == "everything":
        kill_all(process)
    elif victim == "client":  # the scheduler is in its process
        process.kill()
        process.wait()
        process.stderr.close()
    else:
        for worker in workers_of(process)[:1]:
            worker.kill()
        ended(process)
    ended(started(folder, folder / "b/seg.zarr", 0))
    assert outputs_in(folder / "a") == outputs_in(folder / "b")


def test_cluster__of_two_processes_gives_what_one_gives(volume):
    folder, _ = volume
    options = {"truth": folder / "truth.zarr", "policy": "quantile:0.5"}
    expected = run(folder, "a/seg.zarr", **options)
    (folder / "b").mkdir()
    report = run(folder, "b/seg.zarr", workers=2, **options)
    assert report["cuts"][0]["split_vi"] == expected["cuts"][0]["split_vi"]
    assert outputs_in(folder / "a") == outputs_in(folder / "b")


def test_cluster__that_is_there_is_used_by_its_address(volume):
    folder, _ = volume
    expected = run(folder, "a/seg.zarr")
    with LocalCluster(n_workers=1, processes=False, dashboard_address=None) as cluster:
        report = run(folder, scheduler=cluster.scheduler_address)
    assert report["stages"] == expected["stages"]
    assert_array_equal(imio.read(folder / "seg.zarr"), imio.read(folder / "a/seg.zarr"))


def killed_by_the_system(_place):
    os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.slow
def test_cluster__a_block_at_which_workers_die_is_named(tmp_path):
    (tmp_path / "done").mkdir()
    units = [running.Unit("0", "key", (0,), "graph of block 0")]
    with running.client_of(None, 1, None, show=False) as client:
        crew = running.Crew(manifest.Manifest(tmp_path / "done"), hire=lambda: client, progress=None)
        with pytest.raises(FileError, match="graph of block 0: workers died at it again and again"):
            crew.run(running.Stage("graph", killed_by_the_system, units))


# ---------------------------------------------------------------------------------------------- damage


def damage(folder, name, place="1/0/1"):
    """Change a byte in the middle of a chunk."""
    fn = folder / f"{name}.zarr/c/{place}"
    content = bytearray(fn.read_bytes())
    content[len(content) // 2] ^= 0xFF
    fn.write_bytes(bytes(content))


@pytest.mark.parametrize("name", ["map", "sp"])
def test_corrupt_chunk__stops_the_run_and_names_the_block(volume, name):
    folder, _ = volume
    damage(folder, name)
    with pytest.raises(FileError, match=r"region graph of block \d-\d-\d, voxels .*cannot be read"):
        run(folder)


@pytest.mark.parametrize("name", ["map", "sp"])
@pytest.mark.parametrize("how", ["corrupt", "missing"])
def test_lost_chunk__if_skipped_is_0_and_reported(volume, name, how):
    folder, arrays = volume
    damage(folder, name) if how == "corrupt" else (folder / f"{name}.zarr/c/1/0/1").unlink()
    with pytest.warns(GalaWarning, match=r"parts of 1 blocks .*block 1-0-1, voxels 8:16, 0:16, 20:40"):
        report = run(folder, on_error="skip")
    assert report["skipped"] == ["block 1-0-1, voxels 8:16, 0:16, 20:40"]
    lost = np.zeros(SHAPE, dtype=bool)
    lost[8:16, 0:16, 20:40] = True
    seg = imio.read(folder / "seg.zarr")
    assert_array_equal(seg == 0, lost)
    tree = HandMade(named_policy("mean"), (2, 1, 1)).merge_tree(arrays["map"], arrays["sp"], mask=~lost)
    assert len(np.unique(seg[~lost])) == tree.n_segments(0.5)


@pytest.mark.usefixtures("pixels")
@pytest.mark.filterwarnings("ignore:parts of 1 blocks")
def test_lost_chunk__of_what_a_map_is_made_of_is_reported_in_the_blocks_of_the_run(volume, monkeypatch):
    folder, _ = volume
    (folder / "map.zarr/c/1/0/1").unlink()
    monkeypatch.setattr(classify.PixelClassifier, "tile_sides", lambda *_: (9, 9, 9))
    report = run(folder, pixels=folder / "pixels.npz", on_error="skip")
    assert report["skipped"] == ["block 1-0-1, voxels 8:16, 0:16, 20:40"]
    lost = np.zeros(SHAPE, dtype=bool)
    lost[8:16, 0:16, 20:40] = True
    assert_array_equal(imio.read(folder / "seg.zarr") == 0, lost)
    assert_array_equal(np.isnan(imio.read(folder / "seg-boundary.zarr")), lost)


def test_missing_chunk__stops_before_anything_is_done_unless_it_is_zero(volume):
    folder, arrays = volume
    (folder / "map.zarr/c/0/1/1").unlink()
    with pytest.raises(FileError, match=r'no file for 1 chunks, the first in block \(0, 1, 1\).*missing="zero"'):
        run(folder)
    assert not (folder / "seg-blocks").exists()
    zeros = arrays["map"].copy()
    zeros[:8, 16:, 20:] = 0
    report = run(folder, missing="zero")
    tree = HandMade(named_policy("mean"), (2, 1, 1)).merge_tree(zeros, arrays["sp"])
    assert_array_equal(MergeTree.load(report["tree"]).children, tree.below(0.5).children)


def test_full_disk__stops_the_run_naming_the_block_and_it_goes_on_later(volume):
    folder, _ = volume
    script = (
        "import resource, signal, sys\n"
        "from gala.errors import FileError\n"
        "from gala.pipeline.blockwise import segment_blockwise\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (3_000, 3_000))\n"
        "try:\n"
        "    segment_blockwise(sys.argv[1] + '/map.zarr', sys.argv[1] + '/a/seg.zarr',\n"
        "        superpixels=sys.argv[1] + '/sp.zarr', chunks=(8, 16, 20), workers=0)\n"
        "except FileError as error:\n"
        "    print(error)\n"
    )
    found = subprocess.run([sys.executable, "-c", script, str(folder)], capture_output=True, text=True, check=False)
    assert "block 0-0-0" in found.stdout, found.stderr
    assert "File too large" in found.stdout
    run(folder, "a/seg.zarr")
    (folder / "b").mkdir()
    run(folder, "b/seg.zarr")
    assert outputs_in(folder / "a") == outputs_in(folder / "b")


def test_two_runs_on_one_output__are_refused(volume):
    folder, _ = volume
    run(folder)
    with (
        manifest.only_run(folder / "seg-blocks/done", "seg.zarr"),
        pytest.raises(FileError, match=rf"written by another run: process {os.getpid()} on"),
    ):
        run(folder)


def test_tasks_of_a_killed_run__are_waited_for(volume, monkeypatch):
    folder, _ = volume
    run(folder)
    monkeypatch.setattr(manifest, "_WAIT", 0.2)
    with (
        manifest.task_of(folder / "seg-blocks/done"),
        pytest.raises(FileError, match="workers of an earlier run still write"),
    ):
        run(folder)


# ---------------------------------------------------------------------------------------------- bad input


def test_scheduler_that_cannot_be_reached__is_named(volume, monkeypatch):
    folder, _ = volume
    monkeypatch.setattr(running, "_TIMEOUT", "0.5s")
    with pytest.raises(SettingError, match=r"no dask scheduler answers at tcp://127.0.0.1:1"):
        run(folder, scheduler="tcp://127.0.0.1:1")


@pytest.mark.parametrize("out", ["map.zarr", "map.zarr/seg.zarr", "sp.zarr"])
def test_output_in_the_place_of_an_input__is_refused(volume, out):
    with pytest.raises(FileError, match="would be written over"):
        run(volume[0], out)


def test_output_that_something_else_is_in_the_place_of__is_refused(volume):
    folder, arrays = volume
    imio.write(folder / "seg.zarr", arrays["truth"])
    with pytest.raises(FileError, match="is there already, and no run in blocks made it"):
        run(folder)
    assert_array_equal(imio.read(folder / "seg.zarr"), arrays["truth"])
    run(folder, "a/seg.zarr")
    imio.write(folder / "a/seg-0.3.zarr", arrays["truth"])
    with pytest.raises(FileError, match=r"seg-0.3.zarr is there already"):
        run(folder, "a/seg.zarr", thresholds=[0.3, 0.5])


def test_volumes__must_fit_each_other(volume):
    folder, arrays = volume
    imio.write(folder / "other.zarr", arrays["sp"][:8])
    with pytest.raises(ShapeError, match="must have the shape of"):
        run(folder, superpixels=folder / "other.zarr")
    with pytest.raises(ShapeError, match="for truth"):
        run(folder, truth=folder / "other.zarr")


@pytest.mark.parametrize("superpixels", ["map.zarr", None])
def test_labels__for_an_image_are_refused(volume, superpixels):
    folder, _ = volume
    given = {"superpixels": None if superpixels is None else folder / superpixels, "workers": 0}
    with pytest.raises(ImageError, match=r"sp\.zarr must hold floats .* got int32: convert it"):
        segment_blockwise(folder / "sp.zarr", folder / "seg.zarr", **given)
    assert not (folder / "seg-blocks").exists()


def test_options__are_checked_before_anything_is_done(volume):
    folder, arrays = volume
    for options, error, match in (
        ({"policy": "median"}, PolicyError, "cannot run in blocks"),
        ({"policy": "mode"}, PolicyError, "policy must be one of"),
        ({"on_error": "go on"}, SettingError, "on_error must be one of stop, skip"),
        ({"progress": 3}, SettingError, "progress must be"),
        ({"superpixels": arrays["sp"]}, SettingError, "superpixels must be the name of a volume"),
        ({"thresholds": []}, SettingError, "thresholds must be"),
        ({"chunks": (8, 8)}, SettingError, "for each of 3 axes"),
        ({"out": "seg.h5"}, FileError, "zarr image"),
        ({"out": "no/seg.zarr"}, FileError, "there is no folder"),
    ):
        with pytest.raises(error, match=match):
            run(folder, **options)
    assert not (folder / "seg-blocks").exists()


def test_chunks_that_differ__and_channels_stored_one_by_one_are_read_all_the_same(volume):
    folder, arrays = volume
    image = np.stack([arrays["map"], 255 - arrays["map"]], axis=-1)
    imio.write(folder / "two.ome.zarr", image, chunks=(16, 8, 40, 1), spacing=(2, 1, 1), scales=1)
    run(folder, "a/seg.zarr")
    with pytest.warns(GalaWarning, match=r"blocks of \(8, 16, 20\) cut through chunks of \(16, 8, 40\) of image"):
        segment_blockwise(
            folder / "two.ome.zarr", folder / "seg.zarr", superpixels=folder / "sp.zarr", chunks=CHUNKS, workers=0
        )
    assert_array_equal(imio.read(folder / "seg.zarr"), imio.read(folder / "a/seg.zarr"))


def test_dry_run__says_what_would_be_done_and_writes_nothing(volume):
    folder, _ = volume
    before = {fn: fn.stat().st_mtime_ns for fn in folder.rglob("*")}
    plan = run(folder, dry_run=True, thresholds=[0.3, 0.5])
    assert plan["tasks"] == {"region graph": 8, "agglomeration": 17, "segmentation": 16}
    assert plan["blocks"] == 8
    assert list(plan["memory"]) == list(plan["stored"]) == ["graph", "agglomeration", "segmentation"]
    assert all(0 < each < 2e9 for each in plan["memory"].values())
    assert {fn: fn.stat().st_mtime_ns for fn in folder.rglob("*")} == before


# ---------------------------------------------------------------------------------------------- what is made first


@pytest.mark.filterwarnings("ignore:blocks of .* cut through")
@pytest.mark.parametrize("chunks", [(8, 16, 20), (16, 32, 13)])
def test_superpixels__made_block_by_block_do_not_depend_on_blocks(volume, chunks):
    folder, _ = volume
    run(folder, "a/seg.zarr", superpixels=None, chunks=(16, 32, 40))
    report = run(folder, superpixels=None, chunks=chunks)
    whole = imio.read(folder / "a/seg-superpixels.zarr")
    assert whole.dtype == np.uint64
    assert_array_equal(imio.read(folder / "seg-superpixels.zarr"), whole)
    assert_array_equal(imio.read(folder / "seg.zarr"), imio.read(folder / "a/seg.zarr"))
    assert report["merges"] == len(np.unique(whole)) - report["cuts"][0]["segments"] > 0


@pytest.fixture
def pixels(volume):
    """Write a pixel classifier that learned from a plane; return it."""
    folder, arrays = volume
    labels = np.zeros(SHAPE, dtype=np.uint8)
    labels[4] = np.where(arrays["map"][4] > 127, 2, 1)
    model = classify.PixelClassifier(classifier="naive bayes", scales=(1.0,)).fit(arrays["map"], labels)
    model.save(folder / "pixels.npz")
    return model


@pytest.mark.parametrize(("tile", "n_blocks"), [((96, 96, 96), 1), ((8, 16, 20), 8), ((3, 32, 24), 4), ((6, 9, 7), 12)])
def test_boundary_map__is_that_of_the_whole_and_each_tile_is_predicted_once(
    volume, pixels, monkeypatch, tile, n_blocks
):
    folder, arrays = volume
    monkeypatch.setattr(classify.PixelClassifier, "tile_sides", lambda *_: tile)
    predicted = []
    compute = classify.pixels.block_features
    monkeypatch.setattr(
        classify.pixels, "block_features", lambda *given: predicted.append(given[-1].core) or compute(*given)
    )
    expected = pixels.predict(arrays["map"])
    once, trial = len(predicted), np.prod([-(-n // side) for n, side in zip(SHAPE, tile, strict=True)])
    predicted.clear()
    planned = run(folder, pixels=folder / "pixels.npz", dry_run=True)
    assert planned["tasks"]["boundary map"] == n_blocks
    assert planned["memory"]["boundary map"] > 3e8
    assert planned["stored"]["boundary map"] == 4 * np.prod(SHAPE)
    report = run(folder, pixels=folder / "pixels.npz")
    assert len(predicted) == once + 2 * trial
    assert_array_equal(imio.read(folder / "seg-boundary.zarr"), expected)
    assert report["stages"]["boundary"] == {"now": n_blocks, "before": 0}


@pytest.mark.usefixtures("pixels")
def test_pixels__of_another_image_are_refused_before_anything_is_done(volume):
    folder, arrays = volume
    imio.write(folder / "floats.zarr", arrays["map"] / np.float32(255))
    for dry_run in (True, False):
        with pytest.raises(ImageError, match="must be of the type that was learned from, uint8; got float"):
            segment_blockwise(
                folder / "floats.zarr", folder / "seg.zarr", pixels=folder / "pixels.npz", workers=0, dry_run=dry_run
            )


@pytest.mark.filterwarnings("ignore:blocks of .* cut through")
def test_networks__are_run_once_on_each_tile(volume):
    folder, arrays = volume
    pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
    node = pytest.importorskip("onnx").helper.make_node("Sigmoid", ["cast"], ["maps"])
    write_network(folder / "map.onnx", sides=(8, 16, 16), node=node)
    report = run(folder, pixels=folder / "map.onnx", chunks=(4, 30, 5), on_error="skip")
    assert report["stages"]["boundary"] == {"now": 3 * 2 * 4, "before": 0}
    expected = classify.OnnxModel(folder / "map.onnx").predict(arrays["map"][..., None])
    assert_array_equal(imio.read(folder / "seg-boundary.zarr"), expected)
    planned = run(folder, "other.zarr", pixels=folder / "map.onnx", dry_run=True)
    assert "boundary map" in planned["tasks"]
    assert "boundary map" not in planned["memory"]  # a network does not tell


@pytest.mark.compiled
@pytest.mark.filterwarnings("ignore:blocks of .* cut through")
def test_ctrl_c__ends_workers_without_a_word_of_theirs_and_the_same_command_goes_on(volume, tmp_path):
    places = [str(place) for place in (volume[0] / "map.zarr", tmp_path / "seg.zarr", volume[0] / "sp.zarr")]
    given = ["segment", *places[:2], "--superpixels", places[2], "--chunks", "4"]
    start = "import sys; from gala.cli import main; main(sys.argv[1:])"
    command = [sys.executable, "-W", "ignore", "-c", start, *given, "--workers", "1"]
    pipes = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE, "text": True}
    process = subprocess.Popen(command, start_new_session=True, preexec_fn=heed_interrupts, **pipes)
    wait_for(lambda: [*tmp_path.glob("seg-blocks/done/graph-*/*.json")], process)
    os.killpg(process.pid, signal.SIGINT)  # as terminals do
    error = process.communicate(timeout=60)[1]
    assert process.returncode == 130, error
    assert "Traceback" not in error
    assert "The same command goes on from here." in error
    report = run(volume[0], tmp_path / "seg.zarr", chunks=4)
    graphs = [each for name, each in report["stages"].items() if name.startswith("graph")]
    assert graphs[0]["before"] > 0


def test_output__in_a_folder_that_cannot_be_written_gets_a_sentence(volume, tmp_path):
    (tmp_path / "seg-blocks").write_text("a file")
    with pytest.raises(FileError, match="seg-blocks cannot be written"):
        run(volume[0], tmp_path / "seg.zarr")
