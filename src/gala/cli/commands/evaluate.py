"""``gala evaluate``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from gala.cli import options
from gala.cli.talk import say


@click.command()
@click.argument("seg", metavar="SEG")
@click.argument("truth", metavar="TRUTH")
@click.option("--tree", type=options.path, help="Merge tree (.npz) of which SEG has the superpixels.")
@click.option("--threshold", type=float, help="Where to cut the tree. Default: all its merges are made.")
@click.option("--image", metavar="VOLUME", help="Grey image, to show the worst objects in.")
@options.spacing()
@click.option("--tolerance", type=float, help="Compare boundaries too; how far apart they may lie, in these units.")
@click.option(
    "--skeletons",
    type=options.path,
    multiple=True,
    metavar="FILE",
    help="Neurons (.swc), for run lengths; again for more.",
)
@click.option(
    "--merge-threshold",
    type=float,
    default=0,
    metavar="X",
    help="Skeleton nodes that a second neuron may have in a segment before that is a merger.",
)
@click.option("--report", type=options.path, help="Write a page to this file (.html); it needs no other.")
@options.json()
@options.config()
def command(seg: str, truth: str, **settings: Any) -> None:
    """Compare the segmentation SEG with TRUTH.

    Prints each metric by the conventions of several tools.

    \b
    gala evaluate seg.h5 truth.h5
    gala evaluate superpixels.h5 truth.h5 --tree tree.npz --threshold 0.3 --report report.html
    """
    if settings["tree"] is None and settings["threshold"] is not None:
        raise click.UsageError("--threshold is where to cut a tree; give --tree too.")
    from gala.cli.steps.evaluate import run

    click.echo(run(seg, truth, **settings))
    for name in ("report", "json_file"):
        if settings[name] is not None and settings[name] != Path("-"):
            say(f"Wrote {settings[name]}.")
