"""What a run reads and writes, checked before anything is done."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from gala._files import remove_unfinished
from gala.errors import FileError, SettingError, ShapeError
from gala.graph.affinity_graph import kept_of, kind_of_pairs
from gala.graph.blockwise import warn_of_chunks
from gala.graph.grid import Grid
from gala.graph.tree import check_threshold
from gala.graph.volume import check_spacing, highest_of
from gala.pipeline.blockwise.inputs import Input, check_chunks
from gala.pipeline.blockwise.manifest import Manifest, only_run
from gala.pipeline.blockwise.policies import Way
from gala.pipeline.blockwise.steps import Steps
from gala.pipeline.graphs import check_boundary
from gala.pipeline.inputs import Kind, by_name, given_volume, n_channels_in

_extra = "extra "
_SEEN_SIDE = 128  # voxels, in the middle, that tell which way up a map is


@dataclass(frozen=True, slots=True)
class Output:
    """A segmentation at one threshold."""

    threshold: float  # as it was given
    priority: float
    folder: Path
    table: Path  # the segment of each superpixel


@dataclass(frozen=True, slots=True)
class Job:
    """Inputs, outputs and settings of a run."""

    out: Path
    given: dict[str, Input]  # the image, and superpixels, mask, truth and "extra NAME" if there are any
    pixels: Path | None
    way: Way
    thresholds: tuple[float, ...]
    limit: float  # a priority
    grid: Grid
    spacing: tuple[float, ...] | None
    superpixel_options: dict[str, Any]
    background: int | None
    scales: int | None
    skip: bool
    steps: Steps | None  # of the image, if it holds affinities

    @classmethod
    def of(
        cls,
        out: Path,
        volumes: Mapping[str, Any],
        extra: Mapping[str, Any] | None,
        way: Way,
        thresholds: Sequence[float],
        *,
        limit: float | None,
        chunks: int | Sequence[int] | None,
        spacing: Sequence[float] | None,
        missing: str,
        offsets: Sequence[Sequence[int]] | None,
        polarity: str,
        convention: str,
        summary: str,
        **settings: Any,
    ) -> Job:
        """Return the job that arguments of `segment_blockwise` describe."""
        if out.suffix != ".zarr":
            raise FileError(f"what is written in blocks is a zarr image, such as {out.stem}.zarr; got {out}.")
        axes = {} if offsets is None else {"image": "c" + "zyx"[-np.shape(offsets)[-1] :]}
        given = {
            name: Input.of(name, each, may_lack=missing == "zero", axes=axes.get(name))
            for name, each in volumes.items()
            if each is not None
        }
        given |= {
            f"{_extra}{name}": Input.of(f"extra[{name!r}]", each, may_lack=missing == "zero")
            for name, each in by_name(extra).items()
        }
        image, labels = given["image"], given.get("superpixels", given["image"])
        there = image.volume()
        has_channels = there.axes[-1] == "channel" if "superpixels" not in given else False
        shape = labels.shape[:-1] if has_channels else labels.shape
        if not 2 <= len(shape) <= 3:
            raise ShapeError(f"volumes in blocks have 2 or 3 dimensions; got shape {shape}.")
        sides = next((each for each in (spacing, there.spacing, way.spacing) if each is not None), None)
        steps = None
        if offsets is not None:
            steps = Steps.of(
                offsets,
                image.shape,
                polarity=polarity,
                convention=convention,
                summary=summary,
                are_maps=way.kind is not None,
            )
        cuts = [_priority(steps, t) for t in thresholds]
        return cls(
            out=out,
            given=given,
            way=way,
            thresholds=tuple(thresholds),
            limit=check_threshold(max(cuts, default=np.inf) if limit is None else _priority(steps, limit)),
            grid=Grid.of(shape, chunks, None if labels.chunks is None else labels.chunks[: len(shape)]),
            spacing=None if sides is None else check_spacing(sides, len(shape)),
            steps=steps,
            **settings,
        )

    # -- names -----------------------------------------------------------------------------------------------------

    def beside(self, what: str, extension: str = "") -> Path:
        """Return the name of another file that goes with the output."""
        return self.out.with_name(f"{self._stem}-{what}{extension}")

    @property
    def _stem(self) -> str:
        return self.out.name.removesuffix(".zarr").removesuffix(".ome")

    @property
    def work(self) -> Path:
        """The folder of what is kept of blocks."""
        return self.beside("blocks")

    @property
    def tree(self) -> Path:
        """The file of the merge tree."""
        return self.beside("tree", ".npz")

    @property
    def outputs(self) -> list[Output]:
        """The segmentations; several have their threshold in their name."""
        ending = self.out.name.removeprefix(self._stem)
        folders = [self.beside(f"{t:g}", ending) for t in self.thresholds] if len(self.thresholds) > 1 else [self.out]
        cuts = [_priority(self.steps, t) for t in self.thresholds]
        tables = [self.work / "cuts" / f"{t!r}.npy" for t in cuts]
        return [Output(*each) for each in zip(self.thresholds, cuts, folders, tables, strict=True)]

    @property
    def written(self) -> dict[str, Path]:
        """What is written, by what it is; segmentations by their names."""
        made = {output.folder.name: output.folder for output in self.outputs} | {"tree": self.tree, "blocks": self.work}
        if self.pixels is not None:
            made["boundary"] = self.beside("boundary", ".zarr")
        if "superpixels" not in self.given:
            made["superpixels"] = self.beside("superpixels", ".zarr")
        return made

    @property
    def extra(self) -> dict[str, Input]:
        """The extra images, by their names."""
        return {what.removeprefix(_extra): each for what, each in self.given.items() if what.startswith(_extra)}

    def n_channels_of(self, volume: Input) -> int:
        """Return how many channels a volume has; of affinities, as graphs see them."""
        if self.steps is not None and volume is self.given["image"]:
            return self.steps.n_channels
        return n_channels_in(volume.shape, len(self.grid.shape))

    # -- checks ----------------------------------------------------------------------------------------------------

    def check(self) -> None:
        """Raise what is wrong with inputs and outputs."""
        shape, first = self.grid.shape, self.given.get("superpixels", self.given["image"])
        for name, volume in self.given.items():
            is_image = name == "image" or name.startswith(_extra)
            if volume.shape != shape and not (is_image and volume.shape[:-1] == shape):
                raise ShapeError(
                    f"{volume.path} must have the shape of {first.path}, {shape}, channels aside; got {volume.shape} "
                    f"for {name}."
                )
        if self.steps is not None and (self.pixels is not None or self.extra):
            raise SettingError("affinities are segmented without other images, and are not made here; give them alone.")
        if self.pixels is None:
            if self.way.makes_maps:
                raise SettingError(
                    "this segmenter makes boundary maps of raw images, which is another stage in blocks: save its "
                    "`pixels` in a file, and give that as pixels, too."
                )
            self.check_kind(self.n_channels_of(self.given["image"]))
            for volume in (self.given["image"], *self.extra.values()) if self.steps is None else ():
                if np.dtype(volume.dtype).kind in "ui":
                    highest_of(volume.dtype, volume.path)
        self._check_written()
        warn_of_chunks({name: volume.chunks for name, volume in self.given.items() if name != "truth"}, self.grid)
        for volume in self.given.values():
            if not volume.may_lack and not self.skip:
                check_chunks(volume, self.grid)
        is_map = self.steps is None or self.steps.are_maps
        if self.pixels is None and "superpixels" in self.given and is_map:
            self._check_polarity()

    def check_kind(self, n_channels: int) -> None:
        """Raise an error unless a boundary map of so many channels, and extra images, are what the policy wants."""
        others = {name: self.n_channels_of(volume) for name, volume in self.extra.items()}
        ndim = len(self.grid.shape)
        self.way.check_kind(Kind(ndim, {"": n_channels, **others}))
        if self.steps is not None and not self.steps.are_maps:
            kept_of(self.way.features, kind_of_pairs(ndim, None), self.steps.summary)

    def _check_written(self) -> None:
        if len(self.thresholds) != len(set(self.thresholds)) or not self.thresholds:
            raise SettingError(f"thresholds must be one number or more, no two the same; got {self.thresholds}.")
        cuts = tuple(output.priority for output in self.outputs)
        if self.limit < max(cuts):
            raise SettingError(f"limit must be no lower than the thresholds, {cuts}{self._unit}; got {self.limit:g}.")
        for written in self.written.values():
            place = written.resolve()
            for volume in self.given.values():
                if place == volume.file or volume.file in place.parents or place in volume.file.parents:
                    raise FileError(f"{written} would be written over {volume.path}, which is read; give another name.")
            if not place.parent.is_dir():
                raise FileError(f"{written} cannot be written: there is no folder {place.parent}; make it first.")

    @property
    def _unit(self) -> str:
        """What to say of priorities where thresholds were not given as such."""
        return " as distances" if self.steps is not None and self.steps.convention == "affinity" else ""

    def _check_polarity(self) -> None:
        half = _SEEN_SIDE // 2
        middle = tuple(slice(max(0, n // 2 - half), min(n, n // 2 + half)) for n in self.grid.shape)
        names = [name for name in ("image", "superpixels", "mask") if name in self.given]
        try:
            parts = {name: self.given[name].read(middle) for name in names}
        except FileError:  # the block that it is in will say so
            return
        keep = parts["mask"] != 0 if "mask" in parts else None
        if self.steps is not None:
            parts["image"] = self.steps.image(parts["image"])
        seen = given_volume(parts["image"], superpixels=parts["superpixels"], mask=keep)
        assert seen.superpixels is not None  # they were just given
        check_boundary(seen, seen.superpixels)

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Hold what this run writes; files that an earlier one left unfinished are removed.

        Raises
        ------
        FileError
            If another run holds it, or something that no run made has the name of an output.
        """
        done = self.work / "done"
        ours = {self.work.name, *Manifest(done).read("volumes"), *([self.tree.name] if done.exists() else [])}
        for place in self.written.values():
            if place.exists() and place.name not in ours:
                raise FileError(f"{place} is there already, and no run in blocks made it; remove it, or name another.")
        try:
            done.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise FileError(f"{self.work} cannot be written: {error.strerror}.") from error
        with only_run(done, str(self.out)):
            for place in (self.work, self.tree, *self.written.values()):
                remove_unfinished(place)
            yield


def _priority(steps: Steps | None, threshold: float) -> float:
    return threshold if steps is None or np.isinf(threshold) else steps.priority(threshold)
