"""``gala cut``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from gala.cli import options
from gala.cli.talk import table, tell


@click.command()
@click.argument("superpixels", metavar="SUPERPIXELS")
@click.argument("tree", type=options.path, metavar="TREE")
@click.argument("out", metavar="OUT")
@options.thresholds("Where to cut; give it again for more.", required=True)
@options.threads()
@options.json()
@options.dry_run()
@options.config()
def command(superpixels: str, tree: Path, out: str, json_file: Path | None, **settings: Any) -> None:
    """Cut a kept merge tree at other thresholds.

    SUPERPIXELS and TREE are those of `gala segment --tree`. With several thresholds, each stands in the name of its
    file, before the extension.

    \b
    gala cut superpixels.h5 tree.npz seg.h5 -t 0.3
    gala cut superpixels.h5 tree.npz seg.h5 -t 0.2 -t 0.3 -t 0.5   # seg-0.2.h5, seg-0.3.h5, seg-0.5.h5
    """
    from gala.cli.steps.segment import cut

    found = cut(superpixels, tree, out, **settings)
    tell(found, table(found.get("cuts", [found])), json_file)
