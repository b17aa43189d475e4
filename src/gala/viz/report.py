"""A report: tables and pictures as one HTML page that needs nothing else, as JSON, and as text for a terminal."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from io import BytesIO
from typing import TypeAlias
from xml.etree.ElementTree import Element, SubElement, tostring  # escapes whatever text it is given

from matplotlib.figure import Figure

from gala._files import FileName, json_value, replacing
from gala._types import Array
from gala.evaluate.records import json_rows, to_json

Cell: TypeAlias = str | int | float | None

_dots_per_inch = 144  # twice as fine as a page shows them
# The page may load nothing, and run nothing but its own script.
_policy = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'"


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of numbers and words.

    Parameters
    ----------
    key : str
        Its name in JSON.
    title, note : str
        What is above it on the page.
    columns : sequence of str
        The names of its C columns.
    rows : sequence of sequence of str, int, float or None
        C cells each; None if there is no value.
    full : structured array, optional
        What JSON holds in place of the rows, if these are but some of it.
    """

    key: str
    title: str
    note: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    full: Array | None = None

    def to_text(self) -> str:
        """Return the table in lines of text.

        Examples
        --------
        >>> print(Table("a", "Sizes", "", ["label", "voxels"], [["1", 10], ["2", 2.5]]).to_text())
        Sizes
        label  voxels
        1          10
        2         2.5
        """
        lines = [list(self.columns), *([_shown(cell) for cell in row] for row in self.rows)]
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        texts = ("  ".join([line[0].ljust(widths[0]), *map(str.rjust, line[1:], widths[1:])]) for line in lines)
        return "\n".join([self.title, *(text.rstrip() for text in texts)])


@dataclass(frozen=True, slots=True)
class Picture:
    """A figure.

    Parameters
    ----------
    title, note : str
        What is above it on the page.
    figure : matplotlib.figure.Figure
        The figure.
    key : str, optional
        The name in JSON of what it shows.
    full : structured array, optional
        What it shows; without, JSON holds nothing of it.
    """

    title: str
    note: str
    figure: Figure
    key: str = ""
    full: Array | None = None


@dataclass(frozen=True, slots=True)
class Report:
    """Tables and pictures, in order.

    Parameters
    ----------
    title : str
        Above everything.
    facts : mapping from str to str, int, float or None
        What was looked at.
    parts : sequence of Table or Picture
        What was found.

    Examples
    --------
    >>> report = Report("One object", {"voxels": 10}, [Table("sizes", "Sizes", "", ["label"], [[1], [2]])])
    >>> print(report.to_json())
    {
    "title": "One object",
    "facts": {"voxels": 10},
    "sizes": [
    {"label": 1},
    {"label": 2}
    ]
    }
    """

    title: str
    facts: Mapping[str, Cell]
    parts: Sequence[Table | Picture]

    @property
    def tables(self) -> list[Table]:
        """The tables, in order."""
        return [part for part in self.parts if isinstance(part, Table)]

    def to_json(self) -> str:
        """Return title, facts, tables and what pictures show as JSON, all rows of them; a row names its columns.

        Infinite numbers are written as ``"inf"`` and ``"-inf"``, since JSON has none, and NaN as null.
        """
        facts = {name: json_value(value) for name, value in self.facts.items()}
        sections = {"title": json.dumps(self.title), "facts": json.dumps(facts, allow_nan=False)}
        for part in self.parts:
            if part.full is not None:
                sections[part.key] = to_json(part.full)
            elif isinstance(part, Table):
                rows = (dict(zip(part.columns, map(json_value, row), strict=True)) for row in part.rows)
                sections[part.key] = json_rows(rows)
        return "{\n" + ",\n".join(f"{json.dumps(key)}: {text}" for key, text in sections.items()) + "\n}"

    def to_html(self) -> str:
        """Return one HTML page, pictures included, that loads nothing from anywhere."""
        page = Element("html", lang="en")
        head, body = SubElement(page, "head"), SubElement(page, "body")
        SubElement(head, "meta", charset="utf-8")
        SubElement(head, "meta", {"http-equiv": "Content-Security-Policy", "content": _policy})
        SubElement(head, "meta", name="viewport", content="width=device-width, initial-scale=1")
        _add(head, "title", self.title)
        _add(head, "style", _asset("report.css"))
        main = SubElement(body, "main")
        _add(main, "h1", self.title)
        facts = SubElement(main, "dl")
        for name, value in self.facts.items():
            pair = SubElement(facts, "div")
            _add(pair, "dt", name)
            _add(pair, "dd", _shown(value))
        for part in self.parts:
            section = SubElement(main, "section")
            _add(section, "h2", part.title)
            if part.note:
                _add(section, "p", part.note)
            if isinstance(part, Picture):
                section.append(_html_picture(part))
            elif part.rows:
                section.append(_html_table(part))
            else:
                _add(section, "p", "None.")
        _add(body, "script", _asset("report.js"))
        return "<!DOCTYPE html>\n" + tostring(page, encoding="unicode", method="html") + "\n"

    def save_html(self, fn: FileName) -> None:
        """Write the page to a file, which is only replaced once the new one is complete.

        Raises
        ------
        FileError
            If the file cannot be written.
        """
        _write(self.to_html(), fn)

    def save_json(self, fn: FileName) -> None:
        """Write the JSON to a file, which is only replaced once the new one is complete.

        Raises
        ------
        FileError
            If the file cannot be written.
        """
        _write(self.to_json() + "\n", fn)


def _write(text: str, fn: FileName) -> None:
    with replacing(fn) as new:
        # A file name that is not UTF-8 may be among the facts.
        new.write_text(text, encoding="utf-8", errors="backslashreplace")


def _asset(name: str) -> str:
    return "\n" + files("gala.viz").joinpath(name).read_text(encoding="utf-8")


def _add(parent: Element, tag: str, text: str, **attributes: str) -> None:
    SubElement(parent, tag, attributes).text = text


def _html_table(table: Table) -> Element:
    frame = Element("div", {"class": "table", "tabindex": "0", "role": "region", "aria-label": table.title})
    grid = SubElement(frame, "table", id=table.key)
    head = SubElement(SubElement(grid, "thead"), "tr")
    classes = [_classes([row[column] for row in table.rows]) for column in range(len(table.columns))]
    for name, numbers in zip(table.columns, classes, strict=True):
        _add(SubElement(head, "th", numbers, scope="col"), "button", name, type="button")
    body = SubElement(grid, "tbody")
    for row in table.rows:
        line = SubElement(body, "tr")
        for cell, numbers in zip(row, classes, strict=True):
            exact = {"data-value": str(json_value(cell))} if _is_number(cell) else {}
            _add(line, "td", _shown(cell), **numbers, **exact)
    return frame


def _classes(column: Sequence[Cell]) -> dict[str, str]:
    return {"class": "number"} if any(map(_is_number, column)) else {}


def _html_picture(picture: Picture) -> Element:
    stream = BytesIO()
    # Without the date and the version that made it, so that the same figure is the same bytes.
    picture.figure.savefig(stream, format="png", dpi=_dots_per_inch, metadata={"Software": None})
    frame = Element("figure")
    inches = picture.figure.get_size_inches()[0]
    content = "data:image/png;base64," + b64encode(stream.getvalue()).decode()
    SubElement(frame, "img", src=content, alt=f"{picture.title}. {picture.note}", width=f"{96 * inches:.0f}")
    return frame


def _is_number(cell: Cell) -> bool:
    return json_value(cell) is not None and not isinstance(cell, str)


def _shown(value: Cell) -> str:
    """Return a cell as a reader wants it: numbers that are not whole with four digits."""
    plain = json_value(value)
    if plain is None:
        return "–"
    return f"{plain:.4g}" if isinstance(plain, float) else str(plain)
