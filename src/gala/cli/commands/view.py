"""``gala view``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from gala.cli import options
from gala.cli.talk import tell


@click.command()
@click.argument("image", metavar="IMAGE")
@click.argument("labels", metavar="LABELS")
@click.option("--tree", type=options.path, help="Merge tree (.npz) of which LABELS are the superpixels.")
@options.thresholds("A segmentation to show; give it again for more. A page has a slider for any.")
@click.option(
    "--viewer",
    type=click.Choice(["auto", "napari", "neuroglancer", "page"]),
    default="auto",
    help="Default: a page with --out, else napari or neuroglancer if they are installed, else a page.",
)
@click.option("--out", type=options.path, help="The file of the page. Default: slices.html.")
@options.spacing()
@options.json()
@options.dry_run()
@options.config()
def command(image: str, labels: str, json_file: Path | None, **settings: Any) -> None:
    """Show LABELS, superpixels or a segmentation, over IMAGE.

    A page is one file that any browser opens, offline too: planes, thresholds, and what lies under the pointer.

    \b
    gala view raw.h5 seg.h5 --out seg.html
    gala view raw.h5 superpixels.h5 --tree seg-tree.npz -t 0.3 -t 0.5
    """
    from gala.cli.steps.view import run

    found, wait = run(image, labels, **settings)
    tell(found, f"{found['viewer']}: {found['place']}", json_file)
    wait()
