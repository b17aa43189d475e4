"""Options that commands share, and how a file gives them."""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeAlias

import click

Option: TypeAlias = Callable[[Callable[..., Any]], Callable[..., Any]]

path = click.Path(path_type=Path)


class Lengths(click.ParamType[tuple[float, ...]]):
    """Positive numbers with commas between them."""

    name = "lengths"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[float, ...]:
        """Return the numbers in a text, or those of a list."""
        parts = value.split(",") if isinstance(value, str) else value
        try:
            numbers = tuple(float(part) for part in parts)
        except (TypeError, ValueError):
            numbers = ()
        if not numbers or not all(0 < number < float("inf") for number in numbers):
            self.fail(f"expected positive numbers with commas between them, such as 40,4,4; got {value!r}.", param, ctx)
        return numbers


class Offsets(click.ParamType[tuple[tuple[int, ...], ...]]):
    """Steps of whole numbers with commas between them, and spaces or semicolons between steps."""

    name = "steps"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[tuple[int, ...], ...]:
        """Return the steps in a text, or those of a list of lists."""
        parts = [step.split(",") for step in value.replace(";", " ").split()] if isinstance(value, str) else value
        try:
            steps = tuple(tuple(int(number) for number in step) for step in parts)
        except (TypeError, ValueError):
            steps = ()
        if not steps or len({len(step) for step in steps}) > 1:
            self.fail(f"expected steps along each axis, such as '-1,0,0 0,-1,0 0,0,-1'; got {value!r}.", param, ctx)
        return steps


class NamedVolume(click.ParamType[tuple[str, str]]):
    """A name, and the volume that it is given to."""

    name = "volume"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, str]:
        """Return the parts of ``NAME=VOLUME``."""
        if isinstance(value, tuple):
            return value
        name, _, volume = str(value).partition("=")
        if not name or not volume:
            self.fail(f"expected a name, = and a volume, such as raw=raw.zarr; got {value!r}.", param, ctx)
        return name, volume


def extra(text: str) -> Option:
    """Take images by name, as often as there are any."""
    return click.option("--extra", type=NamedVolume(), multiple=True, metavar="NAME=VOLUME", help=text)


def spacing() -> Option:
    """Take the size of a voxel, which is otherwise that in the files."""
    text = "Size of a voxel along each axis: 40,4,4. Default: what the files say, or 1."
    return click.option("--spacing", type=Lengths(), metavar="LENGTHS", help=text)


def offsets(text: str) -> Option:
    """Take the steps of affinities."""
    return click.option("--offsets", type=Offsets(), metavar="STEPS", help=text)


def polarity() -> Option:
    """Take what affinities mean."""
    text = "Whether an affinity of 1 is together (default) or apart."
    return click.option("--polarity", type=click.Choice(["attractive", "repulsive"]), default="attractive", help=text)


def thresholds(text: str, *, default: tuple[float, ...] = (), required: bool = False) -> Option:
    """Take where to cut, as often as is wanted."""
    names = ("-t", "--threshold", "thresholds")
    return click.option(*names, type=float, multiple=True, default=default, required=required, metavar="X", help=text)


def threads() -> Option:
    """Take the number of threads."""
    text = "Threads. Default: GALA_NUM_THREADS, or every core. The result is the same for any number."
    return click.option("--threads", "n_threads", type=click.IntRange(min=1), metavar="N", help=text)


def json() -> Option:
    """Take where results go as JSON."""
    text = "Write what was found to this file as JSON; - prints it instead of the text."
    return click.option("--json", "json_file", type=click.Path(path_type=Path, allow_dash=True), help=text)


def dry_run() -> Option:
    """Take whether to stop after the checks."""
    text = "Check everything, say what would be done, write nothing."
    return click.option("--dry-run", is_flag=True, help=text)


def config() -> Option:
    """Take options from a TOML file; those on the command line go first."""
    text = "Options from a TOML file, named as here, in a table [command] or at the top. Flags go first."
    return click.option(
        "--config", type=path, is_eager=True, expose_value=False, callback=_read_config, metavar="FILE", help=text
    )


def _read_config(ctx: click.Context, _: click.Parameter, fn: Path | None) -> None:
    if fn is None:
        return
    try:
        tables = tomllib.loads(fn.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise click.UsageError(f"{fn} is not a TOML file that can be read: {error}.") from error
    ctx.default_map = _named(ctx, _of_command(ctx, tables), fn)


def _of_command(ctx: click.Context, tables: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the table of this command: ``[segment]``, ``[pixels.train]``; or all that is in no table."""
    names = ctx.command_path.split()[1:]
    found: Any = tables
    for name in names:
        found = found.get(name) if isinstance(found, Mapping) else None
    return found if isinstance(found, Mapping) else {k: v for k, v in tables.items() if not isinstance(v, Mapping)}


def _named(ctx: click.Context, table: Mapping[str, Any], fn: Path) -> dict[str, Any]:
    """Return values by the names that click gives to parameters."""
    names: dict[str, str] = {}
    for parameter in ctx.command.params:
        flags = [flag.lstrip("-") for flag in parameter.opts if flag.startswith("--")]
        for flag in flags or [parameter.human_readable_name.lower().strip("[]")]:
            names[flag] = str(parameter.name)
    for key in table:
        if key not in names:
            listed = ", ".join(sorted(names.keys() - {"config"}))
            raise click.UsageError(f"{fn} has {key!r}, which is no option of {ctx.command_path!r}; there are {listed}.")
    return {names[key]: value for key, value in table.items()}
