"""``gala segment``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from gala.cli import options
from gala.cli.talk import lines, say, table, tell

_blocks = ("chunks", "workers", "scheduler")
_only_blocks = {"truth": None, "limit": None, "memory_limit": None, "on_error": "stop", "missing": "error"}
_errors = "In blocks: whether a chunk that cannot be read ends the run (default), or is left out and reported."
_missing = "In blocks: whether a chunk without a file is an error (default), or zeros that were never written."
_limit = "In blocks: how far the kept tree goes, for `gala cut`. Default: to the highest threshold; inf is all the way."
_policies = (
    "mean, median, min, max, sum, quantile:Q or mean-sem:A of the map along a contact; learned:MODEL; multicut, "
    "mutex, or gasp- and mean, sum, max, min or abs-max, with -cannot-link or not."
)
_convention = "Whether thresholds and quantiles are of distances, one minus the affinity (default), or of affinities."


@click.command()
@click.argument("image", metavar="[IMAGE]", required=False)
@click.argument("out", metavar="OUT", required=False)
@click.option("--affinities", metavar="VOLUME", help="Affinities, a channel for each of --offsets, in place of IMAGE.")
@options.offsets('Steps in voxels along each axis: "-1,0,0 0,-1,0 0,0,-1".')
@options.polarity()
@click.option("--convention", type=click.Choice(["distance", "affinity"]), default="distance", help=_convention)
@click.option("--superpixels", metavar="VOLUME", help="Superpixels to merge. Default: made of the image, and kept.")
@click.option("--policy", default="mean", metavar="POLICY", show_default=True, help=_policies)
@click.option("--pixels", type=options.path, help="IMAGE is raw: make its boundary map with this model (or .onnx).")
@options.extra("An image that the model also learned from, such as raw=raw.zarr; again for each.")
@click.option("--mask", metavar="VOLUME", help="Voxels that are 0 here belong to no segment.")
@click.option("--truth", metavar="VOLUME", help="In blocks: what is right, to compare with; 0 does not count.")
@click.option(
    "--chunks", type=options.Lengths(), metavar="N,...", help="Work block by block, of so many voxels a side."
)
@click.option("--workers", type=click.IntRange(min=0), metavar="N", help="Work block by block, in so many processes.")
@click.option("--scheduler", metavar="ADDRESS", help="Work block by block, on this dask cluster: tcp://host:8786.")
@click.option("--memory-limit", metavar="SIZE", help="Of each of the --workers: 2GB.")
@click.option("--on-error", type=click.Choice(["stop", "skip"]), default="stop", help=_errors)
@click.option("--limit", type=float, metavar="T", help=_limit)
@click.option("--missing", type=click.Choice(["error", "zero"]), default="error", help=_missing)
@options.thresholds("Where to stop merging; give it again for more. Default: that of the model, or 0.5.")
@click.option("--tree", type=options.path, help="Where the merge tree is kept. Default: OUT with -tree.npz.")
@options.spacing()
@options.threads()
@options.json()
@options.dry_run()
@options.config()
def command(dry_run: bool, json_file: Path | None, **settings: Any) -> None:
    """Segment IMAGE, a boundary map, and write a segmentation to OUT.

    The merge tree is kept, and superpixels if they were made here: `gala cut` makes segmentations at other thresholds
    of them in seconds. With several thresholds, each stands in the name of its file, before the extension.

    \b
    gala segment map.h5 seg.h5
    gala segment map.zarr seg.zarr --superpixels sp.zarr --policy learned:model.npz -t 0.3 -t 0.5
    gala segment planes/ seg.tif --pixels pixels.npz --policy quantile:0.75 -t 0.4
    gala segment --affinities a.zarr --offsets "-1,0,0 0,-1,0 0,0,-1" seg.zarr --policy gasp-mean
    gala segment --affinities a.zarr --offsets "-1,0,0 0,-1,0 0,0,-1" seg.zarr --chunks 256
    gala segment map.zarr seg.zarr --chunks 256 --workers 4     # larger than memory; the same command goes on if killed
    """
    affinities, offsets = settings.pop("affinities"), settings.pop("offsets")
    polarity, convention = settings.pop("polarity"), settings.pop("convention")
    if (affinities is None) != (offsets is None):
        raise click.UsageError("--affinities and --offsets go together.")
    if affinities is not None:
        if settings["out"] is not None and settings["image"] is not None:
            raise click.UsageError("give either IMAGE or --affinities, and then OUT.")
        settings |= {"image": affinities, "out": settings["out"] or settings["image"]}
    for name in ("image", "out"):
        if settings[name] is None:
            raise click.UsageError(f"Missing argument '{name.upper()}'.")
    extra = settings["extra"]
    settings["extra"] = dict(extra)
    if len(extra) != len(settings["extra"]):
        raise click.UsageError("each name of --extra is for one volume; one is given twice.")
    in_blocks = {name: settings.pop(name) for name in (*_blocks, *_only_blocks)}
    if any(in_blocks[name] is not None for name in _blocks):
        if affinities is not None:
            in_blocks |= {"offsets": offsets, "polarity": polarity, "convention": convention}
        _in_blocks(settings, in_blocks, dry_run, json_file)
        return
    if any(in_blocks[name] != usual for name, usual in _only_blocks.items()):
        flags = ", ".join(f"--{name.replace('_', '-')}" for name in _only_blocks)
        raise click.UsageError(f"{flags} are for work in blocks; give --workers too.")
    from gala.cli.steps.segment import Affinities, Request, segment

    given = None if offsets is None else Affinities(offsets, polarity, convention)
    found = segment(Request(affinities=given, **settings), dry_run=dry_run)
    tell(found, table(found.get("cuts", [found])), json_file)


def _in_blocks(settings: dict[str, Any], blocks: dict[str, Any], dry_run: bool, json_file: Path | None) -> None:
    """Segment block by block."""
    if settings.pop("tree") is not None:
        raise click.UsageError("--tree is not for work in blocks.")
    from gala.cli.steps.blocks import segment_in_blocks

    try:
        found = segment_in_blocks(**settings, **blocks, dry_run=dry_run)
    except KeyboardInterrupt:
        say("The same command goes on from here.")
        raise
    tables = ("cuts", "stages", "files", "tasks", "memory", "stored")
    text = lines({name: value for name, value in found.items() if name not in tables and value})
    cuts = [dict(sorted(cut.items(), reverse=True)) for cut in found.get("cuts", [])]
    tell(found, "\n\n".join([text, *map(table, filter(None, [cuts, *_planned(found)]))]), json_file)


def _size(n_bytes: float) -> str:
    units = {"PB": 1e15, "TB": 1e12, "GB": 1e9, "MB": 1e6}
    unit = next((unit for unit, n in units.items() if n_bytes >= n), "MB")
    return f"{n_bytes / units[unit]:.3g} {unit}"


def _planned(found: dict[str, Any]) -> list[list[dict[str, Any]]]:
    """Return what a run in blocks would do as rows of tables: of stages, and of files."""
    if "tasks" not in found:
        return []
    needs = {"region graph": "graph"}  # what its memory goes by
    stages = [
        {
            "stage": stage,
            "tasks": n,
            **{
                title: _size(found[what][name]) if (name := needs.get(stage, stage)) in found[what] else ""
                for title, what in (("memory of each", "memory"), ("written by all", "stored"))
            },
        }
        for stage, n in found["tasks"].items()
    ]
    return [stages, [{"written": file, "what": what} for what, file in found["files"].items()]]
