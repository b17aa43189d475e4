"""From volumes on disk to a segmentation on disk, block by block."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from gala._files import FileName, existing_file
from gala.errors import GalaWarning, SettingError
from gala.graph.tree import check_threshold
from gala.pipeline.blockwise.chain import Chain
from gala.pipeline.blockwise.job import Job
from gala.pipeline.blockwise.manifest import Manifest
from gala.pipeline.blockwise.policies import options_in_blocks, way_of
from gala.pipeline.blockwise.running import Crew, Tell, check_memory, client_of
from gala.pipeline.memory import projected_run


def segment_blockwise(
    image: Any,
    out: FileName,
    *,
    superpixels: Any = None,
    superpixel_options: Mapping[str, Any] | None = None,
    pixels: FileName | None = None,
    policy: Any = "mean",
    thresholds: Sequence[float] | float | None = None,
    offsets: Sequence[Sequence[int]] | None = None,
    polarity: str = "attractive",
    convention: str = "distance",
    summary: str = "all",
    limit: float | None = None,
    extra: Mapping[str, Any] | None = None,
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
        With `offsets`, affinities; channels are first in files that do not name their axes.
    out : str or path
        An OME-Zarr image of labels, ``"seg.zarr"``. Beside it are kept ``seg-tree.npz``, the merge tree, and the
        folder ``seg-blocks``: what was made of each block, and which are finished.
    superpixels : str, path or Volume, optional
        The regions to merge; by default those of `gala.morpho.blocks.superpixels_of_block`, kept in
        ``seg-superpixels.zarr``.
    superpixel_options : dict, optional
        Keyword arguments for that function, besides those of a `Segmenter`.
    pixels : str or path, optional
        The image is raw: make its boundary map with the `gala.classify.PixelClassifier`, or the network (.onnx), in
        this file, and keep it in ``seg-boundary.zarr``.
    policy : str, Policy, Segmenter or path
        "mean" and others of `gala.pipeline.named`, ``"learned:MODEL"``, a fitted `Segmenter`, or what
        `gala.engine.policy` offers.
    thresholds : float or sequence of float, optional
        Where to stop merging; by default that of the model, or 0.5. With several, each stands in the name of its
        output, before the extension.
    offsets : sequence of K steps, optional
        The image holds affinities: channel k at voxel x is about x and ``x + offsets[k]``. Contacts hold pairs of
        voxels, as in `gala.build_affinity_graph`; a `Segmenter` reads maps, as `gala segment` has it. Nothing that
        runs in blocks reads lifted edges, so longer steps are then not read.
    polarity : {"attractive", "repulsive"}, optional
        Whether an affinity of 1 is together, or apart.
    convention : {"distance", "affinity"}, optional
        Whether thresholds, limits and quantiles in a name are of distances, one minus the affinity, or of affinities.
    summary : {"all", "strongest"}, optional
        Whether contacts summarise all their pairs of voxels, or only the one of highest affinity. Which that is is
        known when all blocks are joined, so the whole graph is then merged in one task.
    limit : float, optional
        How far the merge tree goes at least, by default to the highest of the thresholds; ``numpy.inf`` makes all
        merges, and the last tasks then hold all segments of the volume. If the whole graph is merged in one task, the
        tree has no limit.
    extra : dict of str, path or Volume by name, optional
        Other images that the policy looks at, such as ``{"raw": "raw.zarr"}``: those that a `Segmenter` learned from.
    mask : str, path or Volume, optional
        Voxels that are 0 here belong to no segment.
    truth : str, path or Volume, optional
        What is right, to compare segmentations with; voxels that are 0 do not count.
    background : int or None, optional
        The superpixel that is no region and stays 0, by default 0.
    spacing : sequence of float, optional
        Size of a voxel along each axis; by default what the image says, or that of the `Segmenter`.
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
        Check everything, say what would be done, and write nothing: the report has the tasks of each stage, and the
        bytes that a process of it needs at most, and that it writes.
    progress : "bar", function or None, optional
        A bar for each stage on stderr or, if that is no terminal, a line as the stage starts, one a minute, and one as
        it ends; or what is called with the name of the stage, and the numbers of blocks done and of all.

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
        If blocks cut through the chunks of a volume, something was skipped, or affinities look inverted.
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
    ...     imio.write(f"{folder}/map.zarr", volume.p1, chunks=(16, 16, 16))
    ...     imio.write(f"{folder}/sp.zarr", volume.superpixels, chunks=(16, 16, 16))
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
    check_memory(memory_limit)
    way = way_of(policy, agglomeration, "distance" if offsets is None else convention)
    if summary == "strongest":
        if agglomeration == "blocks" or offsets is None:
            raise SettingError(
                "summary='strongest' is of affinities, of the whole volume: give offsets, and leave agglomeration out."
            )
        way = replace(way, in_blocks=False)
    cuts = way.threshold if thresholds is None else thresholds
    options = options_in_blocks({**way.superpixel_options, **(superpixel_options or {})}) if superpixels is None else {}
    job = Job.of(
        Path(out),
        {"image": image, "superpixels": superpixels, "mask": mask, "truth": truth},
        extra,
        way,
        [check_threshold(t) for t in (cuts if isinstance(cuts, Sequence | np.ndarray) else [cuts])],
        limit=limit,
        chunks=chunks,
        spacing=spacing,
        missing=missing,
        offsets=offsets,
        polarity=polarity,
        convention=convention,
        summary=summary,
        pixels=None if pixels is None else existing_file(pixels),
        superpixel_options=options,
        background=background,
        scales=scales,
        skip=on_error == "skip",
    )
    job.check()
    crew = Crew(Manifest(job.work / "done"), progress=progress)
    if dry_run:
        return _plan_of(job, crew)
    with ExitStack() as held:
        held.enter_context(job.alone())
        hired = cache(lambda: held.enter_context(client_of(scheduler, workers, memory_limit, show=progress == "bar")))
        crew.hire = hired
        report = Chain(job, crew).run()
    if report["skipped"]:
        warnings.warn(
            f"parts of {len(report['skipped'])} blocks could not be read, and are 0 in the result: the first in "
            f"{report['skipped'][0]}.",
            GalaWarning,
            stacklevel=2,
        )
    return report


def _plan_of(job: Job, crew: Crew) -> dict[str, Any]:
    """Return what would be done: files, blocks, tasks, and what each stage is projected to need."""
    image, chain = job.given["image"], Chain(job, crew)
    maps = chain.maps
    n_channels = job.n_channels_of(image) if maps is None else maps.n_channels or 1
    estimates = projected_run(
        job.grid.shape,
        job.grid.block_shape,
        image_dtype=np.result_type(
            image.dtype if job.pixels is None else "float32", *(volume.dtype for volume in job.extra.values())
        ),
        n_channels=n_channels,
        label_dtype=job.given["superpixels"].dtype if "superpixels" in job.given else "uint64",
        features=chain.features,
        affinities=0 if job.steps is None else len(job.steps.channels),
        extra={name: job.n_channels_of(volume) for name, volume in job.extra.items()},
    )
    needed = [each for each in estimates if each.stage != "superpixels" or "superpixels" not in job.given]
    return {
        "files": {what: str(place) for what, place in job.written.items()},
        "blocks": len(list(job.grid.places())),
        "block_shape": list(job.grid.block_shape),
        "agglomeration": "blocks" if job.way.in_blocks else "whole",
        "tasks": dict(chain.tasks()),
        "memory": ({"boundary map": maps.memory} if maps and maps.memory else {})
        | {each.stage: each.memory for each in needed},
        "stored": ({"boundary map": 4 * n_channels * math.prod(job.grid.shape)} if maps else {})
        | {each.stage: each.stored for each in needed},
    }
