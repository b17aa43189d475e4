"""The stages of a run, in order, and which blocks of each are to be done: keys are hashes of all that matters."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import zarr

from gala import __version__
from gala.evaluate import split_vi
from gala.evaluate.along import table_with
from gala.features.io import create_fm
from gala.graph.affinities import warn_if_inverted
from gala.graph.grid import Grid, Place
from gala.pipeline.blockwise import stages, volumes
from gala.pipeline.blockwise.inputs import Input, describe, digest, state_of
from gala.pipeline.blockwise.job import Job, Output
from gala.pipeline.blockwise.plan import Plan, named, write_json
from gala.pipeline.blockwise.running import Crew, Stage, Unit
from gala.pipeline.strength import warn_of_gain

_FORMAT = 1  # of what is kept between runs: another number makes all blocks anew
_Known = dict[str, dict[str, Any]]


@dataclass(frozen=True)
class Chain:
    """A job, who does it, and its stages."""

    job: Job
    crew: Crew

    def run(self) -> dict[str, Any]:
        """Do all stages, and return a report."""
        job = self.job
        plan = self._plan(self._image())
        parts, graphs, key = self._graphs(plan)
        self._check_affinities(graphs[0])
        first = parts[0]
        labels = Unit("all", key, (plan, first), "labels of all blocks", result=plan.work / "leaves.npy")
        self.crew.run(Stage("labels", stages.find_shared, [labels]))
        limit, key = self._merge(plan, parts, key)
        if (gain := self._gain(plan, key)) > 1:
            warn_of_gain(gain)
            plan = replace(plan, gain=gain)
            parts, _, key = self._graphs(plan)
            limit, key = self._merge(plan, parts, key)
        tree = self.crew.run(Stage("tree", stages.make_tree, [self._tree_unit(plan, limit, key)]))["all"]
        cuts = [
            self._write(plan, output, key, first) | {"segments": tree["segments"][repr(output.priority)]}
            for output in job.outputs
        ]
        lost = {name for known in graphs for name, each in known.items() if each["lost"]}
        places = [tuple(int(i) for i in name.split("-")) for name in lost]
        report = {
            "tree": job.tree.name,
            "superpixels": Path(plan.superpixels.path).name,
            "blocks": len(list(job.grid.places())),
            "limit": None if limit == np.inf else limit,
            "merges": tree["merges"],
            "cuts": cuts,
            "skipped": [f"block {named(place)}, voxels {describe(job.grid.box(place))}" for place in sorted(places)],
        }
        write_json(plan.work / "report.json", report)  # which is the same wherever the folder is
        return report | {
            "tree": str(job.tree),
            "superpixels": plan.superpixels.path,
            "cuts": [cut | {"file": str(job.out.with_name(cut["file"]))} for cut in cuts],
            "stages": {name: {"now": now, "before": old} for name, (now, old) in self.crew.done.items()},
        }

    def _units(
        self,
        what: str,
        make: Callable[[Place], tuple[str, tuple[Any, ...]]],
        file: Callable[[Place], Path | None],
        grid: Grid | None = None,
    ) -> list[Unit]:
        """Return a unit for each block; `make` gives its key and arguments."""
        grid = grid or self.job.grid
        return [
            Unit(
                named(place),
                *make(place),
                f"{what} of block {named(place)}, voxels {describe(grid.box(place))}",
                grid.size(place),
                file(place),
            )
            for place in grid.places()
        ]

    # -- volumes that are made first -------------------------------------------------------------------------------

    def _created(
        self, what: str, folder: Path, dtype: Any, kind: str, grid: Grid | None = None, **options: Any
    ) -> dict[str, Any]:
        """Make an empty volume unless it is there; return what is known of it."""
        job = self.job
        grid = grid or job.grid
        origin = {
            "gala": __version__,
            "parameters": {
                "command": "segment",
                "policy": job.way.name,
                **({} if job.steps is None else job.steps.settings),
                **options.pop("parameters", {}),
            },
            "inputs": {name: Path(given.path).name for name, given in job.given.items()},
        }
        unit = job.given["image"].volume().unit
        options = {"spacing": job.spacing, "unit": unit, **options, "provenance": origin}
        key = digest(_FORMAT, grid, str(dtype), kind, sorted(options.items()))
        known = self.crew.manifest.read("volumes").get(folder.name, {})
        if known.get("key") != key or not (folder / "zarr.json").exists():
            self.crew.manifest.forget(what)
            self.crew.manifest.finish("volumes", folder.name, {})  # it is ours from now on, though it be never finished
            factors = volumes.create(folder, grid, dtype, kind, **options)
            known = {"key": key, "factors": factors}
            self.crew.manifest.finish("volumes", folder.name, known)
        return known

    @cached_property
    def maps(self) -> volumes.Maps | None:
        """What boundary maps are made here; None if they are given."""
        job = self.job
        if job.pixels is None:
            return None
        made = volumes.maps_made(job.pixels, job.given["image"], job.grid)
        job.check_kind(made.n_channels or 1)
        return made

    def _image(self) -> Input:
        """Return the boundary map, given or made here."""
        job, made, raw, pixels = self.job, self.maps, self.job.given["image"], self.job.pixels
        if made is None or pixels is None:
            return raw
        folder = job.written["boundary"]
        options = {"n_channels": made.n_channels, "scales": 1}
        about = self._created("boundary", folder, "float32", "image", made.grid, **options)
        key = digest(about["key"], state_of(pixels), raw.fingerprint(_whole(job.grid)), job.skip)
        units = self._units(
            "boundary map",
            lambda place: (digest(key, place), (pixels, raw, made.grid, folder, job.skip, place)),
            lambda _: None,
            made.grid,
        )
        self.crew.run(Stage("boundary", volumes.predict_block, units, "boundary map"))
        return Input.of("boundary map", str(folder), may_lack=True)

    def _plan(self, image: Input) -> Plan:
        """Return the plan, once superpixels are there."""
        job = self.job
        is_given = "superpixels" in job.given
        if not is_given:
            folder = job.written["superpixels"]
            about = self._created("superpixels", folder, "uint64", "labels", scales=1)
        plan = Plan(
            work=job.work,
            grid=job.grid,
            image=image,
            superpixels=job.given["superpixels"] if is_given else Input.of("superpixels", str(folder), may_lack=True),
            mask=job.given.get("mask"),
            extra=job.extra,
            background=job.background,
            spacing=job.spacing,
            skip=job.skip,
            is_predicted=job.pixels is not None,
            steps=job.steps,
        )
        if not is_given:
            # A superpixel may depend on voxels far from it: all of the map counts.
            states = [volume.fingerprint(_whole(job.grid)) for volume in (image, plan.mask) if volume is not None]
            key = digest(about["key"], states, sorted(job.superpixel_options.items()), job.skip, *self._of_steps)
            units = self._units(
                "superpixels",
                lambda place: (digest(key, place), (plan, job.superpixel_options, folder, place)),
                lambda _: None,
            )
            self.crew.run(Stage("superpixels", volumes.cut_block, units))
        return plan

    # -- graphs ----------------------------------------------------------------------------------------------------

    @cached_property
    def _leaves(self) -> dict[str, Any]:
        """Managers that the policy needs, each by its description."""
        return {json.dumps(leaf.write_fm({}), sort_keys=True): leaf for leaf in self.job.way.features}

    @property
    def features(self) -> list[Any]:
        """The managers that the policy needs."""
        return list(self._leaves.values())

    def _settings(self, plan: Plan) -> str:
        job = self.job
        extra = {name: job.n_channels_of(volume) for name, volume in job.extra.items()}  # which number channels
        known = job.grid.block_shape, job.background, job.spacing, job.skip, extra
        return digest(_FORMAT, __version__, *known, *self._of_steps, *([plan.gain] if plan.gain > 1 else []))

    @property
    def _of_steps(self) -> list[Any]:
        """What results depend on if the image holds affinities."""
        return [] if self.job.steps is None else self.job.steps.key

    def _check_affinities(self, known: _Known) -> None:
        """Warn if the affinities of all blocks together look inverted."""
        steps = self.job.steps
        if steps is None or steps.are_maps:
            return
        between, inside, n_between, n_inside = (
            sum(each[name] for each in known.values()) for name in ("between", "inside", "n_between", "n_inside")
        )
        if n_between and n_inside:
            warn_if_inverted(inside / n_inside, between / n_between, steps.polarity)

    def _graphs(self, plan: Plan) -> tuple[list[str], list[_Known], str]:
        """Build graphs of blocks; return their parts, what is known of each, and their key."""
        parts = self._graph_parts(plan)
        known = [self.crew.run(self._graph_stage(plan, part, leaves)) for part, leaves in parts.items()]
        return list(parts), known, digest(sorted((name, one["key"]) for each in known for name, one in each.items()))

    def _graph_parts(self, plan: Plan) -> dict[str, list[Any]]:
        """Return the managers of each part of the graphs: of parts that are there already, and of one for the rest."""
        wanted, settings = dict(self._leaves), self._settings(plan)
        parts: dict[str, list[Any]] = {}
        for file in sorted(plan.work.glob("graphs/*.json")):
            about = json.loads(file.read_text(encoding="utf-8"))
            if about["settings"] == settings and set(about["leaves"]) & set(wanted):
                parts[file.stem] = [self._leaf(name) for name in about["leaves"]]
                wanted = {name: leaf for name, leaf in wanted.items() if name not in about["leaves"]}
        if wanted:
            part = digest(sorted(wanted), settings)[:12]
            about = {"settings": settings, "leaves": sorted(wanted)}
            write_json(plan.work / "graphs" / f"{part}.json", about)
            parts[part] = [wanted[name] for name in sorted(wanted)]
        return parts

    def _leaf(self, described: str) -> Any:
        return self._leaves[described] if described in self._leaves else create_fm(json.loads(described))

    def _graph_stage(self, plan: Plan, part: str, leaves: list[Any]) -> Stage:
        def make(place: Place) -> tuple[str, tuple[Any, ...]]:
            box, seen = plan.grid.box(place), plan.grid.seen(place)
            states = [plan.image.fingerprint(plan.of_image(box)), plan.superpixels.fingerprint(seen)]
            states += [volume.fingerprint(box) for volume in plan.extra.values()]
            states += [] if plan.mask is None else [plan.mask.fingerprint(seen)]
            return digest(part, box, seen, states), (plan, part, leaves, place)

        units = self._units("region graph", make, lambda place: plan.graph_file(part, place))
        return Stage(f"graph-{part}", stages.build_block, units, "region graph")

    # -- merges ----------------------------------------------------------------------------------------------------

    @cached_property
    def _nodes(self) -> list[dict[Place, list[tuple[int, Place]]]]:
        """The blocks, then the joins of each level, with what they join."""
        grid = self.job.grid
        return [{place: [] for place in grid.places()}, *map(grid.joins, range(1, len(grid.levels())))]

    def _kind(self, plan: Plan) -> str:
        return "blocks" if self.job.way.in_blocks else "whole" if plan.gain == 1 else "raised"

    def _limit(self, key: str) -> tuple[float, str]:
        """Return how far merges go, and their key: if those that are there go farther than is asked for, as far."""
        wanted = self.job.limit if self.job.way.in_blocks else np.inf
        level, place = self.job.grid.root()
        last = self.crew.manifest.read("agglomeration").get(f"{level}-{named(place)}", {})
        limit = max(wanted, last.get("limit", wanted))
        is_there = last.get("key") == digest(digest(key, limit), level, place)
        return (limit, digest(key, limit)) if is_there else (wanted, digest(key, wanted))

    def _merge(self, plan: Plan, parts: list[str], key: str) -> tuple[float, str]:
        """Merge in blocks, or only join, the graphs of this key; return how far, and the key of the result."""
        policy, kind = self.job.way.policy if self.job.way.in_blocks else None, self._kind(plan)
        stage = "agglomeration" if plan.gain == 1 else f"agglomeration-{kind}"
        limit, key = self._limit(digest(key, self.job.way.key, self.job.way.in_blocks))
        for level, nodes in enumerate(self._nodes):
            units = [
                Unit(
                    f"{level}-{named(place)}",
                    digest(key, level, place),
                    (plan, kind, policy, limit, parts, self.features, level, place, below),
                    f"agglomeration of block {named(place)}, after {level} levels of joins",
                    result=plan.merges_file(kind, level, place),
                )
                for place, below in nodes.items()
            ]
            self.crew.run(Stage(stage, stages.merge_block, units, f"agglomeration {level}"))
        return limit, key

    def _gain(self, plan: Plan, key: str) -> float:
        """Return by how much the map is to be raised; blocks that merge by themselves do not know."""
        learned, root, kind = self.job.way.strengths, self.job.grid.root(), self._kind(plan)
        if learned is None or self.job.way.in_blocks:
            return 1.0
        unit = Unit("all", key, (plan, kind, root), "strength of the map")
        return learned.gain(self.crew.run(Stage("strength", stages.find_strength, [unit]))["all"]["strength"])

    def _tree_unit(self, plan: Plan, limit: float, key: str) -> Unit:
        job = self.job
        nodes = [(level, place) for level, joins in enumerate(self._nodes) for place in joins]
        policy = None if job.way.in_blocks else job.way.policy
        tables = [(output.priority, output.table) for output in job.outputs]
        arguments = (plan, self._kind(plan), policy, job.way.rescore, self.features, limit, nodes, job.tree, tables)
        return Unit("all", digest(key, tuple(t for t, _ in tables)), arguments, "tree of all merges", result=job.tree)

    # -- segmentations ---------------------------------------------------------------------------------------------

    def _write(self, plan: Plan, output: Output, key: str, part: str) -> dict[str, Any]:
        """Write a segmentation and its scales, and compare it with truth."""
        name, folder = output.folder.name, output.folder
        options: dict[str, Any] = {"scales": self.job.scales, "parameters": {"threshold": output.threshold}}
        stage = f"segmentation-{name}"
        about = self._created(stage, folder, plan.label_dtype, "labels", **options)
        key = digest(key, output.threshold, about["key"])
        units = self._units(
            f"writing {name}",
            lambda place: (digest(key, place), (plan, part, output.table, folder, place)),
            lambda _: None,
        )
        self.crew.run(Stage(stage, volumes.relabel_block, units, "segmentation"))
        for level in range(1, len(about["factors"])):
            self.crew.run(self._scale_stage(stage, folder, level, about["factors"], key))
        found: dict[str, Any] = {"threshold": output.threshold, "file": folder.name}
        truth = self.job.given.get("truth")
        return found if truth is None else found | {"split_vi": self._compare(plan, truth, folder, key)}

    def _scale_stage(self, stage: str, folder: Path, level: int, factors: list[list[int]], key: str) -> Stage:
        step = tuple(f // g for f, g in zip(factors[level], factors[level - 1], strict=True))
        grid = Grid.of(zarr.open_array(folder / str(level), mode="r").shape, self.job.grid.block_shape)
        units = [
            Unit(
                f"{level}-{named(place)}",
                digest(key, level, place),
                (folder, level, step, grid, place),
                f"scale {level} of {folder.name}, block {named(place)}",
                grid.size(place),
            )
            for place in grid.places()
        ]
        return Stage(f"{stage}-scales", volumes.coarsen_block, units, f"scale {level}")

    def _compare(self, plan: Plan, truth: Input, folder: Path, key: str) -> list[float]:
        files = {place: plan.work / "overlaps" / folder.name / f"{named(place)}.npz" for place in plan.grid.places()}

        def make(place: Place) -> tuple[str, tuple[Any, ...]]:
            return digest(key, truth.fingerprint(plan.grid.box(place))), (plan, truth, folder, files[place], place)

        units = self._units("evaluation", make, files.__getitem__)
        self.crew.run(Stage(f"evaluation-{folder.name}", volumes.count_block, units, "evaluation"))
        table = table_with(volumes.joined_counts(files.values()))
        return [float(part) for part in split_vi(table, ignore_truth=[0])]

    def tasks(self) -> Mapping[str, int]:
        """Return how many tasks each stage has."""
        job, n = self.job, len(list(self.job.grid.places()))
        found = {
            "boundary map": 0 if self.maps is None else len(list(self.maps.grid.places())),
            "superpixels": n * ("superpixels" not in job.given),
            "region graph": n,
            "agglomeration": sum(map(len, self._nodes)) + 2,
            "segmentation": n * len(job.outputs),
            "evaluation": n * len(job.outputs) * ("truth" in job.given),
        }
        return {stage: count for stage, count in found.items() if count}


def _whole(grid: Grid) -> tuple[slice, ...]:
    return tuple(slice(0, n) for n in grid.shape)
