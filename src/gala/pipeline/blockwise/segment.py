"""From volumes on disk to a segmentation on disk, block by block: the stages, in order."""

from __future__ import annotations

import json
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import zarr

from gala import __version__
from gala._files import FileName, replacing_folder
from gala.errors import FileError, GalaWarning, SettingError, ShapeError
from gala.evaluate import split_vi
from gala.evaluate.along import table_with
from gala.features.declared import Declared
from gala.graph.blockwise import warn_of_chunks
from gala.graph.grid import Grid, Place
from gala.graph.tree import check_threshold
from gala.graph.volume import check_spacing
from gala.imio.files import Options, as_volume
from gala.imio.zarrs import create_scales
from gala.pipeline.blockwise import stages
from gala.pipeline.blockwise.inputs import Input, check_chunks, describe, digest, opened
from gala.pipeline.blockwise.manifest import Manifest, clean, only_run
from gala.pipeline.blockwise.policies import Way, way_of
from gala.pipeline.blockwise.running import Crew, Stage, Tell, Unit, client_of
from gala.pipeline.blockwise.stages import Plan, named
from gala.pipeline.graphs import check_boundary
from gala.pipeline.inputs import given_volume

_FORMAT = 1  # of what is kept between runs: another number makes all blocks anew
_SEEN_SIDE = 128


def segment_blockwise(
    image: Any,
    out: FileName,
    *,
    superpixels: Any = None,
    policy: Any = "mean",
    thresholds: Sequence[float] | float | None = None,
    mask: Any = None,
    truth: Any = None,
    background: int | None = 0,
    spacing: Sequence[float] | None = None,
    chunks: int | Sequence[int] | None = None,
    agglomeration: str = "auto",
    scales: int | None = None,
    scheduler: str | None = None,
    workers: int | None = None,
    memory_limit: str | int | None = None,
    on_error: str = "stop",
    missing: str = "error",
    dry_run: bool = False,
    progress: str | Tell | None = "bar",
) -> dict[str, Any]:
    """Segment a volume on disk of any size, block by block, on the workers of a dask cluster.

    The result is that of `gala.Segmenter.predict`, or of a hand-made policy, for any blocks. Killed at any moment, the
    same call goes on where it was.

    Parameters
    ----------
    image : str, path or Volume
        A boundary map of shape (M, ..., P) or (M, ..., P, C), the map in channel 0: whatever `gala.imio.open` opens.
    out : str or path
        An OME-Zarr image of labels, ``"seg.zarr"``. Beside it are kept ``seg-tree.npz``, the merge tree, and the
        folder ``seg-blocks``: what was made of each block, and which are finished.
    superpixels : str, path or Volume
        The regions to merge.
    policy : str, Policy, Segmenter or path
        "mean" and others of `gala.pipeline.named`, ``"learned:MODEL"``, a fitted `Segmenter`, or what
        `gala.engine.policy` offers.
    thresholds : float or sequence of float, optional
        Where to stop merging; by default that of the model, or 0.5. With several, each stands in the name of its
        output, before the extension.
    mask : str, path or Volume, optional
        Voxels that are 0 here belong to no segment.
    truth : str, path or Volume, optional
        What is right, to compare segmentations with; voxels that are 0 do not count.
    background : int or None, optional
        The superpixel that is no region and stays 0, by default 0.
    spacing : sequence of float, optional
        Size of a voxel along each axis; by default what the image says.
    chunks : int or sequence of int, optional
        Voxels of a block along each axis, by default about 256. The result does not depend on it.
    agglomeration : {"auto", "blocks", "whole"}, optional
        In blocks, or of the whole graph in one task. By default in blocks if the policy is reducible: the tree is then
        the same. Other policies give an approximation in blocks; see docs/blocks.md.
    scales : int, optional
        Scales of the output; by default until a side is at most 128.
    scheduler : str, optional
        Address of a dask scheduler, ``"tcp://host:8786"``, whose workers see the same files. By default a cluster is
        started on this machine.
    workers : int, optional
        Processes of that cluster, of one thread each; by default one for each core. 0 works in this process.
    memory_limit : str or int, optional
        Of each of these processes, such as "2GB"; see `distributed.LocalCluster`.
    on_error : {"stop", "skip"}, optional
        What to do about chunks that cannot be read: stop, naming the block, or leave their voxels out (0 in the result)
        and report them.
    missing : {"error", "zero"}, optional
        Whether a chunk of a zarr volume without a file is an error, or holds zeros, as zarr has it.
    dry_run : bool, optional
        Check everything, say what would be done, and write nothing.
    progress : "bar", function or None, optional
        A bar for each stage if stderr is a terminal; or what is called with the name of the stage, and the numbers of
        blocks done and of all.

    Returns
    -------
    report : dict
        Files, blocks, merges, segments of each threshold, what was skipped, and how many blocks of each stage were done
        now and before.

    Raises
    ------
    FileError
        If a volume cannot be read or written, naming the block; or another run writes `out`.
    ShapeError, SettingError, PolicyError
        If volumes do not fit each other, or an option has a value that it cannot have.

    Warns
    -----
    GalaWarning
        If volumes are stored in chunks of different shapes.
    PolarityWarning
        If the image is darker on boundaries of superpixels than inside.

    References
    ----------
    Lu, Zlateski, Seung 2021, arXiv:2106.10795, for agglomeration in blocks.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> from gala import datasets, imio
    >>> volume = datasets.synthetic((16, 32, 32))
    >>> with TemporaryDirectory() as folder:
    ...     imio.write(f"{folder}/map.zarr", volume.p1)
    ...     imio.write(f"{folder}/sp.zarr", volume.superpixels)
    ...     report = segment_blockwise(
    ...         f"{folder}/map.zarr", f"{folder}/seg.zarr", superpixels=f"{folder}/sp.zarr", chunks=16, workers=0
    ...     )
    ...     report["blocks"], imio.read(f"{folder}/seg.zarr").shape
    (4, (16, 32, 32))
    """
    for name, value, known in (
        ("agglomeration", agglomeration, ("auto", "blocks", "whole")),
        ("on_error", on_error, ("stop", "skip")),
        ("missing", missing, ("error", "zero")),
    ):
        if value not in known:
            raise SettingError(f"{name} must be one of {', '.join(known)}; got {value!r}.")
    if progress not in (None, "bar") and not callable(progress):
        raise SettingError(f'progress must be "bar", a function or None; got {progress!r}.')
    opened.cache_clear()
    way = way_of(policy, agglomeration)
    asked = way.threshold if thresholds is None else thresholds
    cuts = [check_threshold(t) for t in (asked if isinstance(asked, Sequence | np.ndarray) else [asked])]
    job = Job.of(
        image, Path(out), superpixels, mask, truth, way, cuts, spacing, chunks, scales, background, on_error == "skip"
    )
    job.check(missing)
    if dry_run:
        return job.plan_of_work()
    with ExitStack() as held:
        held.enter_context(job.alone())
        say = _say if progress == "bar" else _nothing
        client = held.enter_context(client_of(scheduler, workers, memory_limit, say))
        crew = Crew(
            Manifest(job.plan.work / "done"), client, progress if callable(progress) else None, bars=progress == "bar"
        )
        return job.run(crew)


def _say(message: str) -> None:
    if sys.stderr.isatty():
        print(message, file=sys.stderr)  # noqa: T201  # with the bars, where there are bars


def _nothing(message: str) -> None:
    pass


@dataclass(frozen=True, slots=True)
class Output:
    """A segmentation at one threshold."""

    threshold: float
    folder: Path
    table: Path


@dataclass(frozen=True)
class Job:
    """A run: its plan, what it writes, and its stages in order."""

    plan: Plan
    way: Way
    outputs: tuple[Output, ...]
    tree: Path
    truth: Input | None
    scales: int | None
    unit: str | None
    given: dict[str, Input] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        image: Any,
        out: Path,
        superpixels: Any,
        mask: Any,
        truth: Any,
        way: Way,
        cuts: Sequence[float],
        spacing: Sequence[float] | None,
        chunks: int | Sequence[int] | None,
        scales: int | None,
        background: int | None,
        skip: bool,
    ) -> Job:
        """Return the job that arguments of `segment_blockwise` describe."""
        if out.suffix != ".zarr":
            raise FileError(f"the output of a run in blocks is a zarr image, {out.stem}.zarr; got {out}.")
        if superpixels is None:
            raise SettingError("superpixels must be given.")
        read = {"image": image, "superpixels": superpixels, "mask": mask, "truth": truth}
        given = {name: Input.of(name, volume) for name, volume in read.items() if volume is not None}
        shape = given["superpixels"].shape
        sides = opened(given["image"].path).spacing if spacing is None else spacing
        plan = Plan(
            work=_beside(out, "blocks"),
            grid=Grid.of(shape, chunks, given["superpixels"].chunks),
            image=given["image"],
            superpixels=given["superpixels"],
            mask=given.get("mask"),
            background=background,
            spacing=None if sides is None else check_spacing(sides, len(shape)),
            skip=skip,
        )
        outputs = tuple(
            Output(t, folder, plan.work / "cuts" / f"{t!r}.npy") for t, folder in _folders(out, cuts).items()
        )
        unit = opened(given["image"].path).unit
        return cls(plan, way, outputs, _beside(out, "tree", ".npz"), given.get("truth"), scales, unit, given)

    def check(self, missing: str) -> None:
        """Raise what is wrong with inputs and outputs, before anything is done."""
        shape = self.plan.grid.shape
        if not 2 <= len(shape) <= 3:
            raise ShapeError(f"volumes in blocks have 2 or 3 dimensions; superpixels have shape {shape}.")
        for name, volume in self.given.items():
            if volume.shape != shape and not (name == "image" and volume.shape[:-1] == shape):
                raise ShapeError(
                    f"{volume.path} must have the shape of the superpixels, {shape}; got {volume.shape} for {name}."
                )
        self.way.check_channels(self.plan.image.shape[len(shape) :])
        self._check_outputs()
        warn_of_chunks({name: volume for name, volume in self.given.items() if name != "truth"}, len(shape))
        if missing == "error" and not self.plan.skip:
            for volume in self.given.values():
                check_chunks(volume, self.plan.grid)
        self._check_polarity()

    def _check_outputs(self) -> None:
        for written in [*(output.folder for output in self.outputs), self.tree, self.plan.work]:
            place = written.resolve()
            for volume in self.given.values():
                if place == volume.file or volume.file in place.parents or place in volume.file.parents:
                    raise FileError(f"{written} would be written over {volume.path}, which is read; give another name.")
            if not place.parent.is_dir():
                raise FileError(f"{written} cannot be written: there is no folder {place.parent}; make it first.")

    def _check_polarity(self) -> None:
        shape = self.plan.grid.shape
        middle = tuple(slice(max(0, n // 2 - _SEEN_SIDE // 2), min(n, n // 2 + _SEEN_SIDE // 2)) for n in shape)
        try:
            boundary, labels = self.plan.image.read(middle), self.plan.superpixels.read(middle)
        except FileError:  # the block that it is in will tell
            return
        keep = None if self.plan.mask is None else self.plan.mask.read(middle) != 0
        seen = given_volume(boundary, superpixels=labels, mask=keep)
        assert seen.superpixels is not None  # they were just given
        check_boundary(seen, seen.superpixels)

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Hold what this run writes; what an earlier one left unfinished is removed."""
        done = self.plan.work / "done"
        done.mkdir(parents=True, exist_ok=True)
        with only_run(done, str(self.outputs[0].folder)):
            clean(self.plan.work, *(output.folder for output in self.outputs))
            for file in self.tree.parent.glob(f".????????-{self.tree.name}"):
                file.unlink(missing_ok=True)
            yield

    # -- the stages ------------------------------------------------------------------------------------------------

    def run(self, crew: Crew) -> dict[str, Any]:
        """Do all stages, and return a report."""
        parts = self._graph_parts()
        known = [crew.run(self._graph_stage(part, leaves)) for part, leaves in parts.items()]
        graph_keys = digest(sorted((name, each["key"]) for stage in known for name, each in stage.items()))
        names = list(parts)
        one = Unit("all", digest(graph_keys, self.plan.grid), (self.plan, names[0]), "labels of all blocks")
        crew.run(Stage("labels", stages.find_shared, [one]))
        merge_key = digest(graph_keys, self.way.key, self.way.in_blocks)
        self._merge(crew, names, merge_key)
        tree = crew.run(Stage("tree", stages.make_tree, [self._tree_unit(merge_key)]))["all"]
        found = [self._write(crew, output, merge_key, known, names[0]) for output in self.outputs]
        lost = sorted({place for stage in known for place, each in stage.items() if each.get("lost")})
        report = {
            "tree": str(self.tree),
            "superpixels": self.plan.superpixels.path,
            "blocks": len(list(self.plan.grid.places())),
            "merges": tree["merges"],
            "cuts": [cut | {"segments": tree["segments"][str(cut["threshold"])]} for cut in found],
            "skipped": [f"block {name}, voxels {self._where(name)}" for name in lost],
        }
        stages.write_json(self.plan.work / "report.json", report)
        if lost:
            warnings.warn(
                f"parts of {len(lost)} blocks could not be read and are 0 in the result, the first in {report['skipped'][0]}.",
                GalaWarning,
                stacklevel=3,
            )
        return report | {"stages": {name: {"now": now, "before": old} for name, (now, old) in crew.done.items()}}

    def _where(self, name: str) -> str:
        return describe(self.plan.grid.box(tuple(int(i) for i in name.split("-"))))

    def _units(self, stage: str, make: Callable[[Place], tuple[str, tuple[Any, ...]]]) -> list[Unit]:
        units = []
        for place in self.plan.grid.places():
            key, arguments = make(place)
            where = f"{stage} of block {named(place)}, voxels {describe(self.plan.grid.box(place))}"
            units.append(Unit(named(place), key, arguments, where, self.plan.grid.size(place)))
        return units

    @cached_property
    def _leaves(self) -> dict[str, Any]:
        """Managers that the policy needs, each by its description."""
        leaves = [leaf for leaf in self.way.policy.needs.leaves() if isinstance(leaf, Declared)]
        return {json.dumps(leaf.write_fm({}), sort_keys=True): leaf for leaf in leaves}

    def _settings(self) -> list[Any]:
        plan = self.plan
        return [_FORMAT, __version__, plan.grid.block_shape, plan.background, plan.spacing, plan.skip]

    def _graph_parts(self) -> dict[str, list[Any]]:
        """Return the managers of each part of the graphs: parts that are there already, and one for what is new."""
        wanted, parts = dict(self._leaves), {}
        for about in sorted(self.plan.work.glob("graphs/*.json")):
            kept = json.loads(about.read_text(encoding="utf-8"))
            if kept["settings"] == digest(self._settings()) and (set(kept["leaves"]) & set(wanted)):
                parts[about.stem] = [self._leaf(name) for name in kept["leaves"]]
                wanted = {name: leaf for name, leaf in wanted.items() if name not in kept["leaves"]}
        if wanted or not parts:
            part = digest(sorted(wanted), self._settings())[:12]
            about = {"settings": digest(self._settings()), "leaves": sorted(wanted)}
            stages.write_json(self.plan.work / "graphs" / f"{part}.json", about)
            parts[part] = [wanted[name] for name in sorted(wanted)]
        return parts

    def _leaf(self, described: str) -> Any:
        from gala.features.io import create_fm

        return self._leaves[described] if described in self._leaves else create_fm(json.loads(described))

    def _graph_stage(self, part: str, leaves: list[Any]) -> Stage:
        plan = self.plan

        def unit(place: Place) -> tuple[str, tuple[Any, ...]]:
            box, seen = plan.grid.box(place), plan.grid.seen(place)
            states = [plan.image.fingerprint(box), plan.superpixels.fingerprint(seen)]
            states += [] if plan.mask is None else [plan.mask.fingerprint(seen)]
            return digest(part, self._settings(), box, seen, states), (plan, part, leaves, place)

        return Stage(f"graph-{part}", stages.build_block, self._units("region graph", unit), "region graph")

    def _nodes(self) -> list[dict[Place, list[tuple[int, Place]]]]:
        """Return the blocks, then the joins of each level, with what they join."""
        blocks: dict[Place, list[tuple[int, Place]]] = {place: [] for place in self.plan.grid.places()}
        return [blocks, *(self.plan.grid.joins(level) for level in range(1, len(self.plan.grid.levels())))]

    @property
    def _kind(self) -> str:
        return "blocks" if self.way.in_blocks else "whole"

    def _merge(self, crew: Crew, parts: list[str], key: str) -> None:
        policy = self.way.policy if self.way.in_blocks else None
        leaves = list(self._leaves.values())
        for level, nodes in enumerate(self._nodes()):
            units = []
            for place, below in nodes.items():
                arguments = (self.plan, self._kind, policy, parts, leaves, level, place, below)
                name = f"{level}-{named(place)}"
                where = f"agglomeration, level {level} of joins, block {named(place)}"
                units.append(Unit(name, digest(key, level, place, below), arguments, where))
            crew.run(Stage("agglomeration", stages.merge_block, units, f"agglomeration {level}"))

    def _tree_unit(self, key: str) -> Unit:
        policy = None if self.way.in_blocks else self.way.policy
        nodes = [(level, place) for level, joins in enumerate(self._nodes()) for place in joins]
        tables = [(output.threshold, output.table) for output in self.outputs]
        arguments = (self.plan, self._kind, policy, self.way.rescore, nodes, self.tree, tables)
        return Unit("all", digest(key, self.way.rescore, [str(t) for t, _ in tables]), arguments, "tree of merges")

    def _write(
        self, crew: Crew, output: Output, key: str, graphs: list[dict[str, dict[str, Any]]], part: str
    ) -> dict[str, Any]:
        """Write a segmentation and its scales, and compare it with truth."""
        factors, made = self._create(output, crew.manifest)
        table_key = digest(key, output.threshold, made)
        name = output.folder.name

        def unit(place: Place) -> tuple[str, tuple[Any, ...]]:
            return digest(table_key, place), (self.plan, part, output.table, output.folder, made, place)

        units = self._units(f"relabelling to {output.folder}", unit)
        crew.run(Stage(f"segmentation-{name}", stages.relabel_block, units, "segmentation"))
        for level in range(1, len(factors)):
            crew.run(self._scale_stage(output, made, level, factors, table_key))
        found: dict[str, Any] = {"threshold": output.threshold, "file": str(output.folder)}
        return found if self.truth is None else found | {"split_vi": self._compare(crew, output, made, table_key)}

    def _create(self, output: Output, manifest: Manifest) -> tuple[list[tuple[int, ...]], str]:
        """Make the empty output, unless it is there; return by how much coarser scales are, and the hash of its kind."""
        plan = self.plan
        sides = tuple(_chunk(side, n) for side, n in zip(plan.grid.block_shape, plan.grid.shape, strict=True))
        empty = np.broadcast_to(np.zeros((), plan.label_dtype), plan.grid.shape)
        volume = as_volume(empty, spacing=plan.spacing, unit=self.unit if plan.spacing else None)
        origin = {
            "gala": __version__,
            "parameters": {"command": "segment", "policy": self.way.name, "threshold": output.threshold},
            "inputs": {name: Path(given.path).name for name, given in self.given.items()},
        }
        options = Options("ome-zarr-0.5", "labels", sides, "default", self.scales, {"provenance": origin})
        made = digest(
            _FORMAT, plan.grid.shape, str(plan.label_dtype), sides, plan.spacing, self.unit, self.scales, origin
        )
        known = manifest.read("outputs").get(output.folder.name, {})
        if known.get("key") != made or not (output.folder / "zarr.json").exists():
            with replacing_folder(output.folder, lambda _: bool(known)) as new:
                factors = create_scales(new, volume, options)
            # Blocks that an older output had are not in this one: their markers must not survive, the other way round.
            made_known = {"key": made, "factors": factors}
            manifest.finish("outputs", output.folder.name, made_known)
            known = made_known
        return [tuple(factor) for factor in known["factors"]], made

    def _scale_stage(self, output: Output, made: str, level: int, factors: list[tuple[int, ...]], key: str) -> Stage:
        step = tuple(f // g for f, g in zip(factors[level], factors[level - 1], strict=True))
        shape = zarr.open_array(output.folder / str(level), mode="r").shape
        grid = Grid.of(shape, self.plan.grid.block_shape)
        units = [
            Unit(
                f"{level}-{named(place)}",
                digest(key, level, place),
                (output.folder, made, level, step, grid, place),
                f"scale {level} of {output.folder}, block {named(place)}",
                grid.size(place),
            )
            for place in grid.places()
        ]
        return Stage(f"scales-{output.folder.name}", stages.coarsen_block, units, f"scale {level}")

    def _compare(self, crew: Crew, output: Output, made: str, key: str) -> list[float]:
        assert self.truth is not None
        truth, folder = self.truth, self.plan.work / "overlaps" / output.folder.name
        files = {place: folder / f"{named(place)}.npz" for place in self.plan.grid.places()}

        def unit(place: Place) -> tuple[str, tuple[Any, ...]]:
            arguments = (self.plan, truth, output.folder, made, files[place], place)
            return digest(key, truth.fingerprint(self.plan.grid.box(place))), arguments

        crew.run(
            Stage(f"evaluation-{output.folder.name}", stages.count_block, self._units("evaluation", unit), "evaluation")
        )
        found = split_vi(table_with(stages.joined_counts(files.values())), ignore_truth=[0])
        return [float(part) for part in found]

    def plan_of_work(self) -> dict[str, Any]:
        """Return what would be done: files, blocks, and tasks of each stage."""
        n_blocks = len(list(self.plan.grid.places()))
        return {
            "files": [str(output.folder) for output in self.outputs],
            "tree": str(self.tree),
            "blocks": n_blocks,
            "block_shape": list(self.plan.grid.block_shape),
            "agglomeration": self._kind,
            "tasks": {
                "graph": n_blocks,
                "agglomeration": sum(map(len, self._nodes())) + 2,
                "segmentation": n_blocks * len(self.outputs),
                "evaluation": n_blocks * len(self.outputs) * (self.truth is not None),
            },
        }


def _beside(out: Path, what: str, extension: str = "") -> Path:
    """Return the name of another file that goes with `out`."""
    stem = out.name.removesuffix(".zarr").removesuffix(".ome")
    return out.with_name(f"{stem}-{what}{extension}")


def _folders(out: Path, thresholds: Sequence[float]) -> dict[float, Path]:
    if len(thresholds) == 1:
        return {thresholds[0]: out}
    stem = out.name.removesuffix(".zarr").removesuffix(".ome")
    return {t: out.with_name(f"{stem}-{t:g}{out.name.removeprefix(stem)}") for t in thresholds}


def _chunk(side: int, n: int) -> int:
    """Return the side of chunks: one of which blocks of a side are made, of about 64 voxels if there is one."""
    if side >= n:
        return min(side, 64)
    return max(
        (d for d in range(1, min(side, 128) + 1) if side % d == 0), key=lambda d: (-abs(d - 64), d), default=side
    )
