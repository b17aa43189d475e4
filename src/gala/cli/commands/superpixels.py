"""``gala superpixels``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from gala.cli import options
from gala.cli.talk import table, tell

_methods = ("watershed", "distance", "compact")


@click.command()
@click.argument("boundary", metavar="MAP")
@click.argument("out", metavar="OUT")
@click.option("--method", type=click.Choice(_methods), default="watershed", show_default=True, help="How to cut.")
@options.spacing()
@click.option("--unit", type=click.Choice(["voxel", "physical"]), default="voxel", help="What lengths and sizes count.")
@click.option("--planes", type=click.Choice(["together", "apart"]), default="together", help="Default: together.")
@click.option("--min-size", type=float, metavar="X", help="Smaller ones join a neighbour. Default: 4 voxels a side.")
@click.option("--sigma", type=float, metavar="X", help="Smooth by this length first. Default: 0.7 voxels.")
@click.option("--depth", type=float, metavar="X", help="Join basins that are no deeper.")
@click.option("--mask", metavar="VOLUME", help="Voxels that are 0 here belong to no superpixel.")
@options.json()
@options.dry_run()
@options.config()
def command(boundary: str, out: str, json_file: Path | None, **settings: Any) -> None:
    """Cut a boundary MAP into superpixels, and write them to OUT.

    A map of several channels has the boundaries in the first.

    \b
    gala superpixels map.h5 superpixels.h5
    gala superpixels map.tif sp.tif --method distance --planes apart --spacing 40,4,4
    """
    from gala.cli.steps.superpixels import run

    found = run(boundary, out, **settings)
    tell(found, table([found]), json_file)
