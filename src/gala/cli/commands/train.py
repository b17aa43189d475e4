"""``gala train``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from gala.cli import options
from gala.cli.talk import table, tell

_each: dict[str, Any] = {"multiple": True, "metavar": "VOLUME"}


@click.command()
@click.argument("model", type=options.path, metavar="MODEL")
@click.option("--image", "images", required=True, help="Boundary map; give it again for each volume.", **_each)
@click.option("--truth", "truths", required=True, help="What is right, 0 is unknown; one for each image.", **_each)
@click.option("--superpixels", help="One for each image. Default: made of the image.", **_each)
@options.offsets('Each image holds affinities, a channel for each of these steps: "-1,0,0 0,-1,0 0,0,-1".')
@options.polarity()
@options.extra("Another image to learn from, such as raw=raw.h5; each name once for each image.")
@click.option(
    "--threshold",
    default="auto",
    show_default=True,
    metavar="WHERE",
    help="Where to stop merging: auto, held-out (VI on what was held out), or a number.",
)
@options.spacing()
@click.option("--seed", "random_state", type=click.IntRange(min=0), default=0, metavar="N", help="Default: 0.")
@options.threads()
@options.json()
@options.dry_run()
@options.config()
def command(model: Path, json_file: Path | None, **settings: Any) -> None:
    """Learn from volumes that have been segmented, and write what was learned to MODEL.

    \b
    gala train model.npz --image map.h5 --truth truth.h5
    gala train model.npz --image a.h5 --truth a-truth.h5 --image b.h5 --truth b-truth.h5 --threshold held-out
    gala train model.npz --image map.h5 --truth truth.h5 --extra raw=raw.h5
    gala train model.npz --image a.zarr --offsets "-1,0,0 0,-1,0 0,0,-1" --truth truth.zarr
    """
    from gala.cli.steps.train import run

    found = run(model, **settings)
    tell(found, table([found]), json_file)
