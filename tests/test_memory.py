"""Memory is projected before a run, and real tasks stay within it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from gala import imio
from gala.classify import PixelClassifier
from gala.errors import SettingError, ShapeError
from gala.features import base, histogram, moments
from gala.pipeline.memory import LIBRARIES, STAGES, projected_memory, projected_run

FEATURES = base.Composite([moments.Manager(4), histogram.Manager(25)])
TASK = """
import re, sys
from pathlib import Path
import numpy as np
from gala.datasets import synthetic_box
from gala.features import base, histogram, moments
from gala.graph.build import build_graph
from gala.morpho import superpixels_of_block

def memory(kind):
    return 1024 * int(re.search(rf"{kind}:\\s+(\\d+)", Path("/proc/self/status").read_text())[1])

def cut(side, halo):
    box = [slice(100, 100 + side)] * 3
    return superpixels_of_block(
        lambda there: synthetic_box(there).boundary, box, (1000,) * 3, halo=halo, max_halo=halo
    ).labels

features = base.Composite([moments.Manager(4), histogram.Manager(25)])
build_graph(cut(8, 1), np.zeros((8, 8, 8), np.uint8), features, n_threads=1)  # loads compiled code
stage, side, halo = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
if stage == "superpixels":
    before = memory("VmRSS")
    cut(side, halo)
else:
    tile = cut(48, 8)
    low = np.unique(tile, return_inverse=True)[1].astype(np.uint64).reshape(tile.shape)
    before = memory("VmRSS")
    times = side // 48
    labels = np.tile(low, (times,) * 3)
    n = np.uint64(low.max() + 1)
    for i in range(times):
        for j in range(times):
            for k in range(times):
                part = (slice(48 * i, 48 * i + 48), slice(48 * j, 48 * j + 48), slice(48 * k, 48 * k + 48))
                labels[part] += n * np.uint64((i * times + j) * times + k)
    image = np.arange(labels.size, dtype=np.uint8).reshape(labels.shape)
    build_graph(labels, image, features, n_threads=1)
print(memory("VmHWM") - before, memory("VmHWM"))
"""


@pytest.mark.slow
@pytest.mark.compiled
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory of a process is read from /proc")
@pytest.mark.parametrize(
    ("stage", "side", "halo"), [("superpixels", 96, 40), ("superpixels", 144, 24), ("graph", 192, 0)]
)
def test_tasks__stay_within_what_is_projected(stage, side, halo):
    env = os.environ | {"GALA_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", TASK, stage, str(side), str(halo)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=env)
    grown, peak = map(int, done.stdout.split())
    projected = projected_memory(stage, (side,) * 3, halo=halo, features=FEATURES, voxels_per_region=500)
    # In memory a graph is built slab by slab, and needs half of what a block does.
    assert 0.4 * (projected - LIBRARIES) < grown < 1.05 * (projected - LIBRARIES)
    assert peak < projected


MAP = """
import re, sys
from pathlib import Path
from gala.graph.grid import Grid
from gala.pipeline.blockwise import volumes
from gala.pipeline.blockwise.inputs import Input

folder = Path(sys.argv[1])
raw = Input.of("image", folder / "raw.zarr")
if sys.argv[2] == "project":
    made = volumes.maps_made(folder / "pixels.npz", raw, Grid.of(raw.shape[:3], 64))
    volumes.create(folder / "map.zarr", made.grid, "float32", "image", scales=1)
    print(made.memory)
else:
    volumes.predict_block(folder / "pixels.npz", raw, Grid.of(raw.shape[:3], 96), folder / "map.zarr", False, (0, 1, 0))
    print(1024 * int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]))
"""


@pytest.mark.slow
@pytest.mark.compiled
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory of a process is read from /proc")
@pytest.mark.parametrize(("classifier", "channels"), [("naive bayes", 3), ("extra trees", None)])
def test_maps__stay_within_what_is_projected(tmp_path, classifier, channels):
    rng = np.random.default_rng(0)
    image = rng.integers(0, 255, (123, 219, 96, *([channels] if channels else []))).astype(np.uint8)
    imio.write(tmp_path / "raw.zarr", image, axes="zyxc"[: image.ndim])
    painted = np.zeros(image.shape[:3], np.uint8)
    painted[:30, :60, :60] = rng.integers(1, 3, (30, 60, 60))  # of which trees learn nothing, and grow large
    PixelClassifier(classifier, n_samples=5_000).fit(image, painted).save(tmp_path / "pixels.npz")
    env = os.environ | {"GALA_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(sys.path)}
    projected, peak = (
        int(
            subprocess.run(
                [sys.executable, "-c", MAP, tmp_path, what], capture_output=True, text=True, check=True, env=env
            ).stdout
        )
        for what in ("project", "predict")
    )
    assert 0.4 * (projected - LIBRARIES) < peak - LIBRARIES < 1.05 * (projected - LIBRARIES)


SCALE = """
import re, sys
from pathlib import Path
import numpy as np
import zarr
from gala.graph.grid import Grid
from gala.pipeline.blockwise import volumes

out, side = Path(sys.argv[1]), int(sys.argv[2])
volumes.create(out, Grid.of((2 * side,) * 3, side), "uint64", "labels")
fine = zarr.open_array(out / "0", mode="r+")
for first in range(0, 2 * side, side // 4):
    row = np.arange(first, first + 2 * side, dtype=np.uint64) // 5
    fine[first : first + side // 4] = np.broadcast_to(row, (side // 4, 2 * side, 2 * side))
volumes.coarsen_block(out, 1, (2, 2, 2), Grid.of((side,) * 3, side), (0, 0, 0))
print(1024 * int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]))
"""


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory of a process is read from /proc")
def test_scales__stay_within_what_is_projected(tmp_path):
    env = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", SCALE, tmp_path / "seg.zarr", "192"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=env)
    projected = projected_memory("segmentation", (192,) * 3)
    assert 0.4 * (projected - LIBRARIES) < int(done.stdout) - LIBRARIES < 1.05 * (projected - LIBRARIES)


def test_blocks_of_256__fit_two_gigabytes():
    assert all(projected_memory(stage, (256,) * 3, features=FEATURES) < 2e9 for stage in STAGES)


@pytest.mark.parametrize("stage", STAGES)
def test_memory__grows_with_whatever_there_is_more_of(stage):
    given = {"features": FEATURES, "voxels_per_region": 500}
    least = projected_memory(stage, (64,) * 3, **given)
    assert least < projected_memory(stage, (256, 256, 256), **given)
    assert least <= projected_memory(stage, (64,) * 3, **given, image_dtype=np.float64, n_channels=4)
    assert least <= projected_memory(stage, (64,) * 3, **given | {"voxels_per_region": 50})


def test_memory_of_affinities__grows_with_channels_and_keeps_rows_of_one():
    of_map, of_three, of_six = (
        {each.stage: each for each in projected_run((128,) * 3, (64,) * 3, features=FEATURES, affinities=n)}
        for n in (0, 3, 6)
    )
    for stage in ("superpixels", "graph"):
        assert of_three[stage].memory < of_six[stage].memory
    assert of_map["agglomeration"] == of_three["agglomeration"] == of_six["agglomeration"]
    assert of_map["graph"].stored == of_six["graph"].stored


def test_runs__have_a_task_for_each_block_and_each_join():
    stages = {stage.stage: stage for stage in projected_run((100, 50), (30, 50), halo=4)}
    assert {name: stage.n_tasks for name, stage in stages.items()} == dict(zip(STAGES, [4, 4, 7, 4], strict=True))
    assert stages["graph"].memory == projected_memory("graph", (30, 50))
    assert [s.n_tasks for s in projected_run((10, 10), (30, 50), halo=4)] == [1, 1, 1, 1]
    twice = {stage.stage: stage for stage in projected_run((200, 50), (30, 50), halo=4)}
    assert all(twice[name].stored == pytest.approx(2 * stage.stored, abs=1) for name, stage in stages.items())


def test_wrong_input__is_refused():
    with pytest.raises(SettingError, match="stage must be one of"):
        projected_memory("flooding", (8, 8))
    with pytest.raises(SettingError, match="halo must be"):
        projected_memory("graph", (8, 8), halo=-1)
    with pytest.raises(ShapeError, match="block_shape"):
        projected_memory("graph", (8, 0))
    with pytest.raises(ShapeError, match="as many axes"):
        projected_run((8, 8), (8, 8, 8))
