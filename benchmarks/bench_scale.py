"""Each stage of a volume on disk, block by block, over worker processes: speed, memory, and time spent on files.

Run as ``python bench_scale.py FOLDER --side 512 --block 256 --workers 2``; volumes are kept in the folder. With
``--repeat FOLDER/512`` a volume, and its superpixels, are copies of a smaller one. One line of JSON for each stage.
Seconds of the processor are those of a task's process: other work on the machine counts less there.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import time
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import zarr
from peak_memory import memory

from gala.datasets import write_synthetic_zarr
from gala.engine.agglomerate import agglomerate
from gala.engine.blocks import Remainder, agglomerate_inside, assemble, frozen_regions, join_remainders
from gala.engine.policy import boundary_mean
from gala.features import base, histogram, moments
from gala.graph.blockwise import block_graph
from gala.graph.files import read_graph, write_graph
from gala.graph.grid import Grid
from gala.graph.voxels import map_labels
from gala.morpho import superpixels_of_block
from gala.pipeline.blockwise.faces import keep_faces, states_of_faces
from gala.pipeline.blockwise.inputs import Input
from gala.pipeline.blockwise.plan import Plan
from gala.pipeline.blockwise.voxels import read_voxels

FEATURES = base.Composite([moments.Manager(4), histogram.Manager(25, 0, 255)])
CODEC = zarr.codecs.ZstdCodec(level=3, checksum=True)


class Watch:
    """What a task spends, on files and on the rest."""

    def __init__(self):
        self.seconds, self.cpu = {}, {}

    def spend(self, what, function):
        begun, cpu = time.perf_counter(), time.process_time()
        result = function()
        self.seconds[what] = self.seconds.get(what, 0) + time.perf_counter() - begun
        self.cpu[what] = self.cpu.get(what, 0) + time.process_time() - cpu
        return result

    def report(self, **more):
        return {"seconds": self.seconds, "cpu": self.cpu, "peak": memory("VmHWM"), "rest": memory("VmRSS"), **more}


def start_worker():
    """Load compiled code before anything is measured."""
    os.environ["GALA_NUM_THREADS"] = "1"
    zarr.config.set({"async.concurrency": 1, "threading.max_workers": 1})
    labels = np.arange(1, 28, dtype=np.uint64).reshape(3, 3, 3)
    image = np.zeros(labels.shape, dtype=np.uint8)
    superpixels_of_block(lambda box: image[box], [slice(0, 3)] * 3, (3, 3, 3))
    graph = block_graph(labels, image, FEATURES, Grid.of((3, 3, 3), (3, 3, 3)), (0, 0, 0))
    agglomerate_inside(graph, boundary_mean, frozen=np.zeros(27, dtype=bool), n_threads=1)
    map_labels(labels, np.unique(labels), np.unique(labels), n_threads=1)


def stored(folder, name):
    return zarr.open_array(Path(folder) / "volume.zarr" / name, mode="r")


def plan_of(folder, grid):
    superpixels, image = (
        Input.of(name, str(Path(folder) / file), may_lack=True)
        for name, file in (("superpixels", "superpixels.zarr"), ("image", "volume.zarr/boundary"))
    )
    return Plan(Path(folder) / "work", grid, image, superpixels, None, {}, None, None, skip=False)


def cut(folder, grid, place):
    watch, source, box = Watch(), stored(folder, "boundary"), grid.box(place)

    def read(there):
        return watch.spend("read", lambda: source[there])

    found = watch.spend("all", lambda: superpixels_of_block(read, box, grid.shape))
    target = zarr.open_array(Path(folder) / "superpixels.zarr", mode="r+")
    watch.spend("write", lambda: target.__setitem__(box, found.labels))
    plan = plan_of(folder, grid)
    watch.spend("write", lambda: keep_faces(plan, place, found.labels, states_of_faces(plan, place)))
    for spent in (watch.seconds, watch.cpu):
        spent["work"] = spent.pop("all") - spent["read"]
    return watch.report(halo=found.halo)


def repeat(folder, grid, smaller, place):
    """Copy a block of a smaller volume, whose sides are whole blocks, with labels that are new."""
    watch, sides = Watch(), stored(smaller, "boundary").shape
    box = grid.box(place)
    there = tuple(
        slice(part.start % n, part.start % n + part.stop - part.start) for part, n in zip(box, sides, strict=True)
    )
    number = np.ravel_multi_index([part.start // n for part, n in zip(box, sides, strict=True)], (64, 64, 64))
    image = stored(smaller, "boundary")[there]
    labels = zarr.open_array(Path(smaller) / "superpixels.zarr", mode="r")[there] + np.uint64(number << 40)
    zarr.open_array(Path(folder) / "volume.zarr" / "boundary", mode="r+")[box] = image
    zarr.open_array(Path(folder) / "superpixels.zarr", mode="r+")[box] = labels
    return watch.report()


def build(folder, grid, place):
    watch, plan = Watch(), plan_of(folder, grid)
    voxels = watch.spend("read", lambda: read_voxels(plan, place))
    graph = watch.spend("work", lambda: block_graph(voxels.labels, voxels.image, FEATURES, grid, place))
    file = graph_file(folder, place)
    watch.spend("write", lambda: write_graph(file, graph))
    return watch.report(regions=graph.n_regions, contacts=len(graph.edges), stored=file.stat().st_size)


def graph_file(folder, place):
    return Path(folder) / "graphs" / f"{'-'.join(map(str, place))}.npz"


def merge(folder, threshold, shared, place):
    watch = Watch()
    graph = watch.spend("read", lambda: read_graph(graph_file(folder, place))[0])
    merges, left = watch.spend(
        "work",
        lambda: agglomerate_inside(
            graph, boundary_mean, threshold, frozen=frozen_regions(graph, [shared]), n_threads=1
        ),
    )
    return watch.report(result=(merges, left))


def relabel(folder, grid, place):
    watch = Watch()
    superpixels = zarr.open_array(Path(folder) / "superpixels.zarr", mode="r")
    target = zarr.open_array(Path(folder) / "segmentation.zarr", mode="r+")
    labels = watch.spend("read", lambda: superpixels[grid.box(place)])
    leaves, names = (
        watch.spend("read", lambda name=name: np.load(Path(folder) / f"{name}.npy", mmap_mode="r"))
        for name in ("leaves", "names")
    )

    def look_up():
        own = read_graph(graph_file(folder, place))[0].labels
        return map_labels(labels, own, np.asarray(names[np.searchsorted(leaves, own)]), n_threads=1)

    segments = watch.spend("work", look_up)
    watch.spend("write", lambda: target.__setitem__(grid.box(place), segments))
    return watch.report()


def print_stage(stage, n_voxels, n_workers, wall, reports, **more):
    cpu = {what: sum(r["cpu"].get(what, 0) for r in reports) for what in ("read", "work", "write")}
    total = sum(cpu.values())
    line = {
        "stage": stage,
        "Mvoxel": round(n_voxels / 1e6, 1),
        "workers": n_workers,
        "wall_s": round(wall, 1),
        "Mvoxel_per_s": round(n_voxels / wall / 1e6, 1),
        "Mvoxel_per_cpu_s": round(n_voxels / max(total, 1e-9) / 1e6, 1),
        "ns_per_voxel": {what: round(1e9 * spent / n_voxels, 1) for what, spent in cpu.items()},
        "files": round((cpu["read"] + cpu["write"]) / max(total, 1e-9), 2),
        "peak_MB": round(max(r["peak"] for r in reports) / 1e6),
        "load": round(os.getloadavg()[0], 1),
        **more,
    }
    print(json.dumps(line), flush=True)


def new_array(folder, name, grid, chunks):
    zarr.create_array(
        Path(folder) / name, shape=grid.shape, dtype="uint64", chunks=chunks, compressors=CODEC, overwrite=True
    )


def main():
    options = argparse.ArgumentParser()
    options.add_argument("folder", type=Path)
    options.add_argument("--side", type=int, default=256)
    options.add_argument("--block", type=int, default=256)
    options.add_argument("--chunk", type=int, default=64)
    options.add_argument("--workers", type=int, default=1)
    options.add_argument("--repeat", type=Path, help="make volume and superpixels of those of a smaller one")
    options.add_argument("--threshold", type=float, default=77.0)  # of 255
    options.add_argument("--superpixels", choices=["make", "keep"], default="make")
    options.add_argument("--check", action="store_true", help="compare with the tree of the whole graph, up to 512")
    options.add_argument("--agglomerate", action="store_true", help="use graphs that are there; stop after merges")
    given = options.parse_args()
    folder = given.folder / str(given.side)
    folder.mkdir(parents=True, exist_ok=True)
    grid = Grid.of((given.side,) * 3, given.block)
    chunks, n_voxels, places = (given.chunk,) * 3, given.side**3, list(grid.places())
    if given.repeat:
        zarr.create_array(
            folder / "volume.zarr" / "boundary",
            shape=grid.shape,
            dtype="uint8",
            chunks=chunks,
            compressors=CODEC,
            overwrite=True,
        )
    elif not (folder / "volume.zarr").exists():
        begun, cpu = time.perf_counter(), time.process_time()
        write_synthetic_zarr(folder / "volume.zarr", grid.shape, chunks, n_threads=given.workers)
        spent = {"cpu": {"work": time.process_time() - cpu}, "peak": memory("VmHWM")}
        print_stage("generate, two arrays", n_voxels, given.workers, time.perf_counter() - begun, [spent])
    if not given.agglomerate:
        shutil.rmtree(folder / "graphs", ignore_errors=True)
        (folder / "graphs").mkdir()
        shutil.rmtree(folder / "work", ignore_errors=True)  # kept superpixels are as those of others: without layers
    with ProcessPoolExecutor(given.workers, get_context("spawn"), start_worker) as pool:
        list(pool.map(memory, ["VmRSS"] * 4 * given.workers))

        def run(stage, task, *arguments):
            begun = time.perf_counter()
            reports = list(pool.map(partial(task, folder, *arguments), places))
            more = {"contacts": sum(r["contacts"] for r in reports)} if task is build else {}
            more |= {"graph_MB": round(sum(r["stored"] for r in reports) / 1e6, 1)} if task is build else {}
            more |= {"farthest": max(r["halo"] for r in reports)} if task is cut else {}
            wall = time.perf_counter() - begun
            print_stage(stage, n_voxels, given.workers, wall, reports, **more)
            return reports

        if given.agglomerate:
            agglomerate_all(folder, given, grid, n_voxels, run)
            return
        if given.superpixels == "make":
            new_array(folder, "superpixels.zarr", grid, chunks)
            if given.repeat:
                list(pool.map(partial(repeat, folder, grid, given.repeat), places))
            else:
                run("superpixels", cut, grid)
        run("graph", build, grid)
        agglomerate_all(folder, given, grid, n_voxels, run)
        new_array(folder, "segmentation.zarr", grid, chunks)
        run("relabel", relabel, grid)
    names = ("volume.zarr/boundary", "volume.zarr/truth", "superpixels.zarr", "segmentation.zarr", "graphs")
    sizes = {name: sum(f.stat().st_size for f in (folder / name).rglob("*") if f.is_file()) for name in names}
    per_voxel = {name: round(size / n_voxels, 3) for name, size in sizes.items()}
    print(json.dumps({"stage": "storage", "bytes_per_voxel": per_voxel}))


def agglomerate_all(folder, given, grid, n_voxels, run):
    """Merge inside of blocks, then join two and two what is left; compare with the whole graph while it is small."""
    places = list(grid.places())
    parts = [read_graph(graph_file(folder, place))[0].labels for place in places]
    labels, count = np.unique(np.concatenate(parts), return_counts=True)
    until = levels_until_alone(grid, places, parts, labels)
    reports = run("agglomeration in blocks", merge, given.threshold, labels[count > 1])
    made, left = [], {}
    for place, report in zip(places, reports, strict=True):
        merges, left[0, place] = report["result"]
        made.append(merges)
    for level in range(1, len(grid.levels())):
        watch, joins, most, begun = Watch(), grid.joins(level), (), time.perf_counter()
        for place, below in joins.items():
            joined = watch.spend("work", lambda below=below: join_remainders([left.pop(part) for part in below]))
            outside = until[np.searchsorted(labels, joined.graph.labels)] > level
            merges, left[level, place] = watch.spend(
                "work",
                lambda joined=joined, outside=outside: agglomerate_inside(
                    joined, boundary_mean, given.threshold, frozen=outside, n_threads=1
                ),
            )
            made.append(merges)
            most = max(most, (joined.graph.n_regions, len(joined.graph.edges), len(merges.priority), bytes_of(joined)))
        names = ("regions", "contacts", "merges", "bytes")
        more = {f"{name}_of_largest": value for name, value in zip(names, most, strict=True)}
        wall = time.perf_counter() - begun
        print_stage(f"joins {level}", n_voxels, 1, wall, [watch.report()], joins=len(joins), **more)
    watch, begun = Watch(), time.perf_counter()
    tree = watch.spend("work", lambda: assemble(labels, made))
    np.save(folder / "leaves.npy", labels)
    np.save(folder / "names.npy", labels[tree.cut(given.threshold)])
    wall = time.perf_counter() - begun
    print_stage("tree", n_voxels, 1, wall, [watch.report()], regions=len(labels), merges=tree.n_merges)
    if n_voxels <= 512**3 and given.check:
        graph = join_remainders([Remainder.of(read_graph(graph_file(folder, place))[0]) for place in places]).graph
        assert np.array_equal(agglomerate(graph, boundary_mean, given.threshold).children, tree.children)


def levels_until_alone(grid, places, parts, labels):
    """Return from which level of joins on only one part has each label."""
    ends = np.full((2, len(labels), len(grid.shape)), [[[2**31]], [[-1]]])
    for place, own in zip(places, parts, strict=True):
        at = np.searchsorted(labels, own)
        ends[0, at], ends[1, at] = np.minimum(ends[0, at], place), np.maximum(ends[1, at], place)
    return sum((ends[0] >> shifts != ends[1] >> shifts).any(axis=1).astype(int) for shifts in grid.levels()[:-1])


def bytes_of(remainder):
    graph = remainder.graph
    arrays = (graph.labels, graph.edges, graph.region_cache, graph.contact_cache, graph.border_sizes)
    return sum(array.nbytes for array in arrays) + remainder.tie_labels.nbytes


if __name__ == "__main__":
    main()
