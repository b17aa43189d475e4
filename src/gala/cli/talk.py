"""What a command says: progress and remarks to stderr, results to stdout or as JSON."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from time import perf_counter
from typing import Any

import click

_dash = Path("-")


def say(message: str) -> None:
    """Say something that is not a result."""
    click.echo(message, err=True)


def tell(results: Mapping[str, Any], text: str, json_file: Path | None) -> None:
    """Give results as text, and as JSON where it is asked for."""
    if json_file == _dash:
        click.echo(_as_json(results))
        return
    click.echo(text)
    if json_file is not None:
        from gala._files import replacing

        with replacing(json_file) as new:
            new.write_text(_as_json(results) + "\n", encoding="utf-8")
        say(f"Wrote {json_file}.")


def bar_on_terminal() -> str | None:
    """Return "bar" if somebody can see one."""
    return "bar" if sys.stderr.isatty() else None


@contextmanager
def step(name: str, n_voxels: int | None = None) -> Iterator[None]:
    """Say what is being done, then how long it took and how fast it went."""
    click.echo(f"{name} ... ", err=True, nl=False)
    start = perf_counter()
    try:
        yield
    except BaseException:
        click.echo(err=True)
        raise
    seconds = perf_counter() - start
    rate = "" if not n_voxels else f", {n_voxels / max(seconds, 1e-9) / 1e6:.3g} Mvoxel/s"
    click.echo(f"{seconds:.1f} s{rate}", err=True)


def table(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return rows, all with the keys of the first, as lines of text under a header."""
    cells = [[*rows[0]], *([_cell(value) for value in row.values()] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    lines = ("  ".join(f"{cell:<{width}}" for cell, width in zip(line, widths, strict=True)) for line in cells)
    return "\n".join(line.rstrip() for line in lines)


def lines(facts: Mapping[str, Any]) -> str:
    """Return facts as lines of text."""
    width = max(map(len, facts), default=0) + 1
    return "\n".join(f"{key + ':':<{width}} {_cell(value)}".rstrip() for key, value in facts.items())


def _cell(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, list | tuple):
        return ", ".join(map(_cell, value))
    return str(value)


def _as_json(results: Mapping[str, Any]) -> str:
    return json.dumps(results, indent=2, allow_nan=False)
