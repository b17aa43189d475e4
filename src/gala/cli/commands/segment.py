"""``gala segment``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from gala.cli import options
from gala.cli.talk import table, tell


@click.command()
@click.argument("image", metavar="IMAGE")
@click.argument("out", metavar="OUT")
@click.option("--superpixels", metavar="VOLUME", help="Superpixels to merge. Default: made of the image, and kept.")
@click.option(
    "--policy",
    default="mean",
    metavar="POLICY",
    show_default=True,
    help="mean, median, min, max, sum, quantile:Q or mean-sem:A of the map along a contact; learned:MODEL.",
)
@click.option("--pixels", type=options.path, help="IMAGE is raw: make its boundary map with this model (or .onnx).")
@click.option("--mask", metavar="VOLUME", help="Voxels that are 0 here belong to no segment.")
@options.thresholds("Where to stop merging; give it again for more. Default: that of the model, or 0.5.")
@click.option("--tree", type=options.path, help="Where the merge tree is kept. Default: OUT with -tree.npz.")
@options.spacing()
@options.threads()
@options.json()
@options.dry_run()
@options.config()
def command(image: str, out: str, thresholds: tuple[float, ...], json_file: Path | None, **settings: Any) -> None:
    """Segment IMAGE, a boundary map, and write a segmentation to OUT.

    The merge tree is kept, and superpixels if they were made here: `gala cut` makes segmentations at other thresholds
    of them in seconds. With several thresholds, each stands in the name of its file, before the extension.

    \b
    gala segment map.h5 seg.h5
    gala segment map.zarr seg.zarr --superpixels sp.zarr --policy learned:model.npz -t 0.3 -t 0.5
    gala segment planes/ seg.tif --pixels pixels.skops --policy quantile:0.75 -t 0.4
    """
    from gala.cli.steps.segment import segment

    found = segment(image, out, thresholds, **settings)
    tell(found, table(found.get("cuts", [found])), json_file)
