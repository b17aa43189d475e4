"""``gala example-data``."""

from __future__ import annotations

from pathlib import Path

import click

from gala.cli import options
from gala.cli.commands.demo import default_size
from gala.cli.talk import say


@click.command("example-data")
@click.argument("folder", type=options.path)
@click.option(
    "--size",
    type=click.IntRange(min=1),
    nargs=3,
    metavar="PLANES ROWS COLUMNS",
    default=default_size,
    help="Default: 64 128 128.",
)
@click.option(
    "--seed", type=click.IntRange(min=0), metavar="N", default=0, help="Other volumes for other numbers. Default: 0."
)
def command(folder: Path, size: tuple[int, ...], seed: int) -> None:
    """Make two volumes up and write them to FOLDER as ten files.

    They are those that the demo makes up with the same --size and --seed.
    """
    from gala.datasets import write_example

    write_example(folder, shape=size, seed=seed)
    say(f"Wrote ten files to {folder}.")
