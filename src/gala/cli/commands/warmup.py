"""``gala warmup``."""

from __future__ import annotations

from time import perf_counter

import click

from gala.cli.talk import say


@click.command()
def command() -> None:
    """Compile everything once, so that later runs start at once."""
    from gala.cli.steps.demo import compare
    from gala.datasets import synthetic_pair
    from gala.evaluate import warm_up

    say("Compiling, for about 40 s ...")
    start = perf_counter()
    volumes = synthetic_pair((16, 48, 48))
    compare(volumes["train"], volumes["test"], say=lambda _: None)
    warm_up()
    say(f"Compiled everything in {perf_counter() - start:.0f} s.")
