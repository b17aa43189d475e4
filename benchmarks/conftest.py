"""What the benchmarks share: volumes made once and kept on disk, and one table of all figures at the end.

A benchmark is named `test_<what>__<who>`, its group is the stage that the table shows, and it may be parametrized with
`n_threads`. The figure is the shortest of its rounds; a benchmark that measures something else says so in
`extra_info`: other `seconds`, a `figure` in words, or a `note` on what was run.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

SIDE = int(os.environ.get("GALA_BENCH_SIZE", "256"))
ROOT = Path(__file__).parents[1]
# Of files, and so of the table.
ORDER = (
    "superpixels",
    "graph",
    "affinities",
    "agglomerate",
    "rounds",
    "partition",
    "features",
    "constraints",
    "learn",
    "evaluate",
    "curve",
    "models",
    "compile",
)
FIGURES = pytest.StashKey[list]()


def pytest_configure(config):
    config.addinivalue_line("python_files", "bench_*.py")
    config.option.benchmark_quiet = True  # the table below says it all
    config.stash[FIGURES] = []


def pytest_collection_modifyitems(items):
    items.sort(key=lambda item: [*(item.path.stem == f"bench_{name}" for name in ORDER), True].index(True))


# -- volumes ----------------------------------------------------------------------------------------------------------


class Volume:
    """A synthetic volume, as arrays and as files that other processes read."""

    def __init__(self, folder):
        self.folder = folder
        self.superpixels, self.p1, self.truth = (np.load(folder / f"{name}.npy") for name in NAMES)


NAMES = ("superpixels", "p1", "truth")


def make_volume(shape, seed):
    """Return a synthetic volume; it is kept on disk for as long as its generator stays the same."""
    from gala import datasets

    sources = sorted(Path(datasets.__file__).parent.glob("*.py"))
    version = hashlib.sha256(b"".join(source.read_bytes() for source in sources)).hexdigest()[:12]
    folder = ROOT / ".benchmarks" / "volumes" / f"{'x'.join(map(str, shape))}-{seed}-{version}"
    if not folder.exists():
        volume = datasets.synthetic(shape, seed=seed)
        unfinished = folder.with_name(f"{folder.name}.{os.getpid()}")
        unfinished.mkdir(parents=True)
        for name in NAMES:
            np.save(unfinished / f"{name}.npy", getattr(volume, name))
        for name, array in waterz_inputs(volume.superpixels, volume.p1).items():
            np.save(unfinished / f"{name}.npy", array)
        unfinished.rename(folder)
    return Volume(folder)


def waterz_inputs(superpixels, p1):
    """Return what waterz reads: the affinity of two neighbours is one minus the larger of their probabilities."""
    affinities = np.zeros((3, *p1.shape), dtype=np.float32)
    for axis in range(3):
        high = (axis, *(slice(1, None) if a == axis else slice(None) for a in range(3)))
        low = tuple(slice(None, -1) if a == axis else slice(None) for a in range(3))
        affinities[high] = 1 - np.maximum(p1[high[1:]], p1[low])
    return {"fragments": superpixels.astype(np.uint64), "affinities": affinities}


@pytest.fixture(scope="session")
def volume():
    """256³ voxels, unless GALA_BENCH_SIZE says otherwise."""
    return make_volume((SIDE,) * 3, seed=0)


@pytest.fixture(scope="session")
def half_volume():
    """128³ voxels."""
    return make_volume((SIDE // 2,) * 3, seed=0)


@pytest.fixture(scope="session")
def training_volume():
    """64 x 128 x 128 voxels of another seed."""
    return make_volume((SIDE // 4, SIDE // 2, SIDE // 2), seed=1)


@pytest.fixture(scope="session")
def example():
    """The training crop of the real example."""
    folder = Path(os.environ.get("GALA_EXAMPLE_DATA", ROOT.parent / "shared" / "data" / "gala-example"))
    if not (folder / "train-ws.lzf.h5").exists():
        pytest.skip("no example volumes; set GALA_EXAMPLE_DATA to their folder")
    from gala import imio

    return [imio.read_h5_stack(str(folder / f"train-{name}.lzf.h5")) for name in ("ws", "p1", "gt")]


@pytest.fixture(scope="session")
def features():
    """Moments up to the fourth and a histogram of 25 bins."""
    from gala.features import base, histogram, moments

    return base.Composite([moments.Manager(4), histogram.Manager(25)])


@pytest.fixture(scope="session")
def basic():
    """Moments and histogram with their defaults: 33 columns for one channel."""
    from gala.features import base, histogram, moments

    return base.Composite([moments.Manager(), histogram.Manager()])


@pytest.fixture(scope="session")
def run_script():
    """Run scripts of this folder, each in a process of its own."""

    def run(name, *arguments, **environment):
        """Return the lines that the script prints, each with the time at which it came."""
        command = [sys.executable, "-u", str(Path(__file__).parent / name), *map(str, arguments)]
        with subprocess.Popen(command, env=os.environ | environment, stdout=subprocess.PIPE, text=True) as process:
            lines = [(time.perf_counter(), line.strip()) for line in process.stdout]
        if process.returncode:
            raise subprocess.CalledProcessError(process.returncode, command)
        return lines

    return run


# -- the table --------------------------------------------------------------------------------------------------------


@pytest.fixture
def benchmark(benchmark, request):
    """Benchmark as usual, and note the figure for the table."""
    yield benchmark
    if benchmark.stats is None:  # it failed
        return
    parameters = request.node.callspec.params if hasattr(request.node, "callspec") else {}
    figure = {
        "stage": benchmark.group,
        "who": request.node.originalname.partition("__")[2].replace("_", "-"),
        "n_threads": parameters.get("n_threads", 1),
        "seconds": benchmark.stats.stats.min,
    }
    request.config.stash[FIGURES].append(figure | benchmark.extra_info)


def pytest_terminal_summary(terminalreporter, config):
    figures = config.stash[FIGURES]
    if not figures:
        return
    terminalreporter.section("figures", sep="-")
    rows = [row for stage in dict.fromkeys(f["stage"] for f in figures) for row in rows_of(stage, figures)]
    for line in markdown(["stage", "who", "1 thread", "2 threads", "times gala"], rows):
        terminalreporter.write_line(line)
    terminalreporter.write_line(f"\n{conditions()}")
    for stage in dict.fromkeys(f["stage"] for f in figures):
        notes = dict.fromkeys(f["note"] for f in figures if f["stage"] == stage and "note" in f)
        if notes:
            terminalreporter.write_line(f"- {stage}: {'; '.join(notes)}")


def rows_of(stage, figures):
    """Return the rows of one stage, gala's first."""
    here = [f for f in figures if f["stage"] == stage]
    names = sorted(dict.fromkeys(f["who"] for f in here), key=lambda name: not name.startswith("gala"))
    by_who = {name: {f["n_threads"]: f for f in here if f["who"] == name} for name in names}
    ours = by_who.get("gala", {})
    rows = []
    for name, found in by_who.items():
        both = [n for n in (1, 2) if name != "gala" and n in found and n in ours]
        ratios = [found[n]["seconds"] / ours[n]["seconds"] for n in both]
        cells = [words(found[n]) if n in found else "" for n in (1, 2)]
        rows.append([stage if name == names[0] else "", name, *cells, ", ".join(f"{r:.1f}" for r in ratios)])
    return rows


def words(figure):
    """Return a figure as it stands in the table."""
    if "figure" in figure:
        return figure["figure"]
    seconds = figure["seconds"]
    scale, unit = (1, "s") if seconds >= 1 else (1e3, "ms") if seconds >= 1e-3 else (1e6, "µs")
    return f"{float(f'{seconds * scale:.3g}'):g} {unit}"


def markdown(head, rows):
    """Yield the lines of a table whose columns stand under each other."""
    widths = [max(len(row[i]) for row in [head, *rows]) for i in range(len(head))]
    for row in [head, ["-" * width for width in widths], *rows]:
        yield "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |"


def conditions():
    """Return what the figures depend on."""
    from importlib.metadata import version

    packages = ("numpy", "numba", "bioimage-cpp", "waterz", "scikit-image", "scikit-learn")
    versions = ", ".join(f"{package} {version(package)}" for package in packages)
    load = f"load {os.getloadavg()[0]:.1f}, " if hasattr(os, "getloadavg") else ""
    return f"{os.cpu_count()} cores, {load}Python {sys.version.split()[0]}, {versions}. Shortest of a few rounds."
