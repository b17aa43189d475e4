"""``gala pixels train`` and ``gala pixels predict``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from gala.cli import options
from gala.cli.talk import table, tell

_each: dict[str, Any] = {"multiple": True, "metavar": "VOLUME", "required": True}


@click.group()
def command() -> None:
    """Make boundary maps of raw images: learn from painted voxels, or run a network."""


@command.command()
@click.argument("model", type=options.path, metavar="MODEL")
@click.option("--image", "images", help="Raw image; give it again for each volume.", **_each)
@click.option("--labels", help="One for each image: painted voxels, 0 where nothing is known.", **_each)
@click.option(
    "--dense",
    is_flag=True,
    help="Labels are whole objects, a number each: learn where they meet. Default: 2 is boundary, others are not.",
)
@click.option("--reach", type=click.Choice(["volume", "planes"]), default="volume", help="planes: each on its own.")
@options.spacing()
@options.threads()
@options.json()
@options.dry_run()
@options.config()
def train(model: Path, json_file: Path | None, **settings: Any) -> None:
    """Learn from painted voxels what a boundary looks like, and write it to MODEL.

    \b
    gala pixels train pixels.model --image planes/ --labels painted/
    gala pixels train pixels.model --image raw.h5 --labels truth.h5 --dense
    """
    from gala.cli.steps.pixels import train as run

    found = run(model, **settings)
    tell(found, table([found]), json_file)


@command.command()
@click.argument("model", type=options.path, metavar="MODEL")
@click.argument("image", metavar="IMAGE")
@click.argument("out", metavar="OUT")
@options.threads()
@options.json()
@options.dry_run()
@options.config()
def predict(model: Path, image: str, out: str, json_file: Path | None, **settings: Any) -> None:
    """Make the boundary map of IMAGE with MODEL (or any network, .onnx), and write it to OUT.

    \b
    gala pixels predict pixels.model raw.h5 map.h5
    gala pixels predict network.onnx raw.zarr map.zarr
    """
    from gala.cli.steps.pixels import predict as run

    found = run(model, image, out, **settings)
    tell(found, table([found]), json_file)
