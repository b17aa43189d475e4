"""Tables of evaluation, NumPy structured arrays, as CSV and JSON."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from gala import _files
from gala._types import Array
from gala.errors import SettingError


def write_csv(file: _files.FileName, table: Array) -> None:
    """Write a table to a CSV file, a line for each row below the names of the columns.

    Parameters
    ----------
    file : str or path
        An older file is only replaced by a complete one.
    table : structured array, shape (R,)
        A column that holds several numbers becomes several, ``name_0`` and so on.

    Raises
    ------
    SettingError
        If `table` is no structured array of one dimension.
    FileError
        If the file cannot be written.

    Examples
    --------
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> table = np.array([(3, (0.5, 1.0))], dtype=[("merge", int), ("place", float, 2)])
    >>> with TemporaryDirectory() as folder:
    ...     write_csv(Path(folder, "blame.csv"), table)
    ...     print(Path(folder, "blame.csv").read_text())
    merge,place_0,place_1
    3,0.5,1.0
    """
    _check(table)
    names = [name for column in table.dtype.names or () for name in _flat_names(column, table[column])]
    columns = [part for column in table.dtype.names or () for part in table[column].reshape(len(table), -1).T.tolist()]
    with _files.replacing(file) as new, new.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(names)
        writer.writerows(zip(*columns, strict=True))


def to_json(table: Array) -> str:
    """Return a table as JSON: a list with an object for each row.

    Parameters
    ----------
    table : structured array, shape (R,)

    Returns
    -------
    text : str
        One row a line. JSON has no infinity: it is the string "inf" or "-inf". NaN is null.

    Raises
    ------
    SettingError
        If `table` is no structured array of one dimension.

    Examples
    --------
    >>> print(to_json(np.array([(3, -np.inf)], dtype=[("merge", int), ("height", float)])))
    [
    {"merge": 3, "height": "-inf"}
    ]
    """
    _check(table)
    names = table.dtype.names or ()
    columns = [map(_files.json_value, table[name].tolist()) for name in names]
    return json_rows(dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True))


def json_rows(rows: Iterable[Mapping[str, Any]]) -> str:
    """Return rows of values that JSON can hold as a list, one a line.

    Examples
    --------
    >>> json_rows([])
    '[]'
    """
    lines = ",\n".join(json.dumps(row, allow_nan=False) for row in rows)
    return f"[\n{lines}\n]" if lines else "[]"


def as_table(columns: Mapping[str, Array]) -> Array:
    """Return columns of one length as a structured array."""
    dtype = [(name, column.dtype, column.shape[1:]) for name, column in columns.items()]
    table = np.empty(len(next(iter(columns.values()))), dtype=dtype)
    for name, column in columns.items():
        table[name] = column
    return table


def _check(table: Array) -> None:
    if getattr(getattr(table, "dtype", None), "names", None) is None or table.ndim != 1:
        raise SettingError(
            "table must be a structured array of one dimension, such as gala.evaluate.blame or Curve.to_table return; "
            f"got {type(table).__name__}."
        )


def _flat_names(name: str, column: Array) -> list[str]:
    return [name] if column.ndim == 1 else [f"{name}_{i}" for i in range(column.shape[1])]
