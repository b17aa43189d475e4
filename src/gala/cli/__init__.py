"""The command line: ``gala --help``.

Each command is a module of `gala.cli.commands`, which holds its options, and what it does is imported when it runs.
"""

from __future__ import annotations

import warnings
from importlib import import_module
from typing import Any

import click

from gala import __version__
from gala.errors import GalaError, GalaWarning

_names = (
    "info",
    "pixels",
    "superpixels",
    "train",
    "segment",
    "cut",
    "evaluate",
    "view",
    "demo",
    "example-data",
    "warmup",
    "completion",
)
_interrupted = 130  # as shells say of what Ctrl-C has ended


class _Commands(click.Group):
    """Commands that are imported by name, and that answer wrong input with one sentence."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002  # as click calls it
        """Return the names of the commands, in the order of their use."""
        return list(_names)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002  # same
        """Import a command."""
        if cmd_name not in _names:
            return None
        module = import_module(f"gala.cli.commands.{cmd_name.replace('-', '_')}")
        command: click.Command = module.command
        return command

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command."""
        with warnings.catch_warnings():
            warnings.simplefilter("always", GalaWarning)
            warnings.showwarning = _say_warning
            return self._invoke(ctx)

    def _invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except GalaError as error:
            raise click.ClickException(str(error)) from error
        except MemoryError as error:
            raise click.ClickException("there is not enough memory for this; nothing was written.") from error
        except KeyboardInterrupt:
            click.echo("Interrupted; what was not finished was not written.", err=True)
            ctx.exit(_interrupted)


def _say_warning(message: Warning | str, *_: Any, **__: Any) -> None:
    click.echo(f"Warning: {message}", err=True)


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="gala")
def main() -> None:
    """Agglomerate superpixels into a segmentation, and learn how.

    A volume is named by its path; inside a file of several, by path::dataset. `gala COMMAND --help` shows examples.
    """
