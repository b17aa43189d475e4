"""``gala completion``."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

_shells = ("bash", "zsh", "fish")


@click.command()
@click.argument("shell", type=click.Choice(_shells))
def command(shell: str) -> None:
    """Print what makes SHELL complete gala's commands and options.

    \b
    bash:  gala completion bash > ~/.local/share/bash-completion/completions/gala
    zsh:   gala completion zsh > a file _gala in a folder of $fpath
    fish:  gala completion fish > ~/.config/fish/completions/gala.fish
    """
    from gala.cli import main

    kind = get_completion_class(shell)
    assert kind is not None  # click has one for each of these shells
    click.echo(kind(main, {}, "gala", "_GALA_COMPLETE").source())
