"""``gala warmup``."""

from __future__ import annotations

from time import perf_counter

import click

from gala.cli.talk import say


@click.command()
def command() -> None:
    """Compile everything once, so that later runs start at once."""
    from gala.cli.steps.warmup import run

    say("Compiling, for about two minutes ...")
    start = perf_counter()
    run()
    say(f"Compiled everything in {perf_counter() - start:.0f} s.")
