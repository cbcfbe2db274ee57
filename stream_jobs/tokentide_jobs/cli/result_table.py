"""Rows of a query for a terminal: a table where it fits, else one column a line; no cell breaks.

What is copied from the screen is the value: cells are on one line, and numbers of a decimal type
lose only zeros at their end.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal

from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from tokentide_jobs.cli.printable import printable

__all__ = ["cell_text", "show_rows"]

_GAP = "  "


def show_rows(
    screen: Console,
    names: Sequence[str],
    rows: Sequence[Sequence[object]],
    numeric: Sequence[bool],
    *,
    width: int | None,
) -> None:
    """Print rows as a table, or vertically where a line of the table is longer than `width`.

    Args:
        screen: Where to.
        names: Names of the columns.
        rows: Their values.
        numeric: Which columns are numbers, and stand to the right.
        width: Columns of the terminal; None: there is none, and every table fits.
    """
    headings = [printable(name) for name in names]
    texts = [[cell_text(value) for value in row] for row in rows]
    widths = [
        max([cell_len(heading), *(cell_len(row[at]) for row in texts)])
        for at, heading in enumerate(headings)
    ]
    fits = width is None or sum(widths) + len(_GAP) * (len(widths) - 1) <= width
    if fits:
        if names:
            _write(screen, _line(headings, widths, numeric, "bold"))
        for row, values in zip(texts, rows, strict=True):
            _write(screen, _line(row, widths, numeric, "", [value is None for value in values]))
        return
    label_width = max(map(cell_len, headings))
    for number, (row, values) in enumerate(zip(texts, rows, strict=True), 1):
        _write(screen, Text(f"─[ {number} ]".ljust(min(width or 0, 60), "─"), "dim"))
        for heading, text, value in zip(headings, row, values, strict=True):
            label = heading + " " * (label_width - cell_len(heading))
            style = "dim" if value is None else ""
            _write(screen, Text.assemble((label, "bold"), _GAP, (text, style)))


def cell_text(value: object) -> str:
    """Return one value as text on one line: as ClickHouse means it, not as Python calls it."""
    return printable(_text(value))


def _text(value: object) -> str:
    if value is None:
        return "NULL"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, Decimal):
        text = f"{value:f}"
        return text.rstrip("0").rstrip(".") if "." in text else text
    if isinstance(value, datetime):
        return value.replace(tzinfo=None).isoformat(sep=" ")
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, bytes):
        return value.decode("utf-8", "backslashreplace")
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{_text(k)}: {_text(v)}" for k, v in value.items()) + "}"
    if isinstance(value, tuple):
        return "(" + ", ".join(map(_text, value)) + ")"
    if isinstance(value, list):
        return "[" + ", ".join(map(_text, value)) + "]"
    return str(value)


def _line(
    texts: Sequence[str],
    widths: Sequence[int],
    numeric: Sequence[bool],
    style: str,
    dimmed: Sequence[bool] = (),
) -> Text:
    line = Text()
    for at, text in enumerate(texts):
        blanks = " " * (widths[at] - cell_len(text))
        own_style = "dim" if dimmed and dimmed[at] else style
        line.append(f"{blanks}{text}" if numeric[at] else f"{text}{blanks}", own_style)
        if at + 1 < len(texts):
            line.append(_GAP)
    line.rstrip()
    return line


def _write(screen: Console, line: Text) -> None:
    """Print a line as it is: where it is longer than the terminal, the terminal wraps it."""
    screen.print(line, soft_wrap=True, crop=False, overflow="ignore")
