"""The command line: ``gala --help``.  What a command needs is imported when it runs."""

from __future__ import annotations

from pathlib import Path
from time import perf_counter
from typing import Any

import click

from gala import __version__
from gala.errors import GalaError

_size = (64, 128, 128)
_extent, _seed = click.IntRange(min=1), click.IntRange(min=0)
_file = click.Path(path_type=Path)
_axes = "PLANES ROWS COLUMNS"


class _Commands(click.Group):
    """Commands that answer wrong input with one sentence."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command."""
        try:
            return super().invoke(ctx)
        except GalaError as error:
            raise click.ClickException(str(error)) from error


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="gala")
def main() -> None:
    """Agglomerate superpixels into a segmentation, and learn how."""


@main.command()
@click.option(
    "--data",
    type=click.Path(path_type=Path),
    help="Folder of ten files, as example-data writes them. Default: make two volumes up.",
)
@click.option("--size", type=_extent, nargs=3, metavar=_axes, help="Size of volumes made up. Default: 64 128 128.")
@click.option("--seed", type=_seed, metavar="N", help="Other volumes for other numbers. Default: 0.")
@click.option("--out", type=click.Path(path_type=Path), default=Path("demo-out"), help="Default: demo-out.")
def demo(data: Path | None, size: tuple[int, ...] | None, seed: int | None, out: Path) -> None:
    """Learn on one volume, segment another and compare with simpler ways.

    Prints a table. Writes a figure and the segmentations to the folder of --out.
    """
    if data is not None and (size is not None or seed is not None):
        raise click.UsageError("--size and --seed are for volumes made up; leave them out with --data.")
    from gala.cli.demo import run
    from gala.datasets import make_folder, read_example, synthetic_pair

    make_folder(out)
    _say("The first run on a machine also compiles, for about 40 s.")
    _say("Making two volumes up ..." if data is None else f"Reading {data} ...")
    volumes = synthetic_pair(size or _size, seed=seed or 0) if data is None else read_example(data)
    click.echo(run(volumes["train"], volumes["test"], out=out, say=_say))
    _say(f"Wrote segmentations.png and four segmentations to {out}.")


@main.command("example-data")
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--size", type=_extent, nargs=3, metavar=_axes, default=_size, help="Default: 64 128 128.")
@click.option("--seed", type=_seed, metavar="N", default=0, help="Other volumes for other numbers. Default: 0.")
def example_data(folder: Path, size: tuple[int, ...], seed: int) -> None:
    """Make two volumes up and write them to FOLDER as ten files.

    They are those that the demo makes up with the same --size and --seed.
    """
    from gala.datasets import write_example

    write_example(folder, shape=size, seed=seed)
    _say(f"Wrote ten files to {folder}.")


@main.command()
@click.argument("seg", metavar="SEG")
@click.argument("truth", metavar="TRUTH")
@click.option("--tree", type=_file, help="Merge tree (.npz) of which SEG has the superpixels.")
@click.option("--threshold", type=float, help="Where to cut the tree. Default: all its merges are made.")
@click.option("--image", metavar="VOLUME", help="Grey image, to show the worst objects in.")
@click.option("--spacing", metavar="LENGTHS", help="Size of a voxel along each axis: 40,4,4.")
@click.option("--tolerance", type=float, help="Compare boundaries too; how far apart they may lie, in these units.")
@click.option("--report", type=_file, help="Write a page to this file (.html); it needs no other.")
@click.option("--json", type=_file, help="Write what is in the tables to this file.")
def evaluate(seg: str, truth: str, **options: Any) -> None:
    """Compare the segmentation SEG with TRUTH.

    Volumes are HDF5 (path::dataset, "stack" if none is named), TIFF or PNG files, or folders of images. Prints each
    metric by the conventions of several tools.
    """
    if options["tree"] is None and options["threshold"] is not None:
        raise click.UsageError("--threshold is where to cut a tree; give --tree too.")
    from gala.cli.evaluate import run

    click.echo(run(seg, truth, **options))
    for name in ("report", "json"):
        if options[name] is not None:
            _say(f"Wrote {options[name]}.")


@main.command()
def warmup() -> None:
    """Compile everything once, so that later runs start at once."""
    from gala.cli.demo import compare
    from gala.datasets import synthetic_pair

    _say("Compiling, for about 40 s ...")
    start = perf_counter()
    volumes = synthetic_pair((16, 48, 48))
    compare(volumes["train"], volumes["test"], say=lambda _: None)
    _say(f"Compiled everything in {perf_counter() - start:.0f} s.")


def _say(message: str) -> None:
    click.echo(message, err=True)
