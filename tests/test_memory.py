"""Memory is projected before a run, and real tasks stay within it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

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


def test_blocks_of_256__fit_two_gigabytes():
    assert all(projected_memory(stage, (256,) * 3, features=FEATURES) < 2e9 for stage in STAGES)


@pytest.mark.parametrize("stage", STAGES)
def test_memory__grows_with_whatever_there_is_more_of(stage):
    given = {"features": FEATURES, "voxels_per_region": 500}
    least = projected_memory(stage, (64,) * 3, **given)
    assert least < projected_memory(stage, (64, 64, 128), **given)
    assert least <= projected_memory(stage, (64,) * 3, **given, image_dtype=np.float64, n_channels=4)
    assert least <= projected_memory(stage, (64,) * 3, **given | {"voxels_per_region": 50})


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
