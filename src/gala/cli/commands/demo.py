"""``gala demo``."""

from __future__ import annotations

from pathlib import Path

import click

from gala.cli import options
from gala.cli.talk import say

default_size = (64, 128, 128)
_whole = click.IntRange(min=0)
_extent, _axes = click.IntRange(min=1), "PLANES ROWS COLUMNS"


@click.command()
@click.option(
    "--data",
    type=options.path,
    help="Folder of ten files, as example-data writes them. Default: make two volumes up.",
)
@click.option("--size", type=_extent, nargs=3, metavar=_axes, help="Size of volumes made up. Default: 64 128 128.")
@click.option("--seed", type=_whole, metavar="N", help="Other volumes for other numbers. Default: 0.")
@click.option("--out", type=options.path, default=Path("demo-out"), help="Default: demo-out.")
def command(data: Path | None, size: tuple[int, ...] | None, seed: int | None, out: Path) -> None:
    """Learn on one volume, segment another and compare with simpler ways.

    Prints a table. Writes a figure and the segmentations to the folder of --out.
    """
    if data is not None and (size is not None or seed is not None):
        raise click.UsageError("--size and --seed are for volumes made up; leave them out with --data.")
    from gala.cli.steps.demo import run
    from gala.datasets import make_folder, read_example, synthetic_pair

    make_folder(out)
    say("The first run on a machine also compiles, for about 40 s.")
    say("Making two volumes up ..." if data is None else f"Reading {data} ...")
    volumes = synthetic_pair(size or default_size, seed=seed or 0) if data is None else read_example(data)
    click.echo(run(volumes["train"], volumes["test"], out=out, say=say))
    say(f"Wrote segmentations.png and five segmentations to {out}.")
