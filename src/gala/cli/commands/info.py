"""``gala info``."""

from __future__ import annotations

from pathlib import Path

import click

from gala.cli import options
from gala.cli.talk import lines, tell


@click.command()
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
@options.json()
def command(files: tuple[str, ...], json_file: Path | None) -> None:
    """Say what is in files: shape, type, size of a voxel, labels; merges of a tree; features of a model.

    \b
    gala info image.tif superpixels.h5::stack tree.npz model.gala
    """
    from gala.cli.steps.info import describe

    found = [describe(name) for name in files]
    tell({"files": found}, "\n\n".join(lines(facts) for facts in found), json_file)
