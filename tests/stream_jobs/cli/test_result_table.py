"""Rows on a terminal: whole cells, side by side where they fit, else one below the other."""

from __future__ import annotations

import io
from collections.abc import Sequence
from datetime import UTC, date, datetime
from decimal import Decimal

from rich.console import Console

from tests.each import each
from tokentide_jobs.cli.result_table import cell_text, show_rows


def shown(
    names: Sequence[str], rows: Sequence[Sequence[object]], width: int | None = None
) -> list[str]:
    stream = io.StringIO()
    screen = Console(file=stream, width=width or 80)
    numeric = [all(isinstance(row[at], int | Decimal) for row in rows) for at in range(len(names))]
    show_rows(screen, names, rows, numeric, width=width)
    return stream.getvalue().splitlines()


@each(
    ("value", "text"),
    [
        (None, "NULL"), (True, "true"), (Decimal("1.500000000000"), "1.5"),
        (Decimal("100.000000"), "100"), (Decimal("0E-12"), "0"), (Decimal("1E+3"), "1000"),
        (Decimal("0.000000000001"), "0.000000000001"), (1 / 3, "0.333333"),
        (datetime(2026, 11, 18, 12, tzinfo=UTC), "2026-11-18 12:00:00"),
        (date(2026, 11, 18), "2026-11-18"), (b"\xff\x1b", r"\xff\x1b"),
        ([Decimal("1.50"), None], "[1.5, NULL]"), ((1, "a"), "(1, a)"),
        ({"k": Decimal("2.0")}, "{k: 2}"), ("two\nlines\x1b[0m", r"two\nlines\x1b[0m"),
    ],
)  # fmt: skip
def test_a_cell_is_one_line_that_says_the_value(value: object, text: str) -> None:
    assert cell_text(value) == text


def test_a_table_that_fits_is_one() -> None:
    lines = shown(["name", "n"], [["a", 5], ["bcdefg", 12]], width=20)
    assert lines == ["name     n", "a        5", "bcdefg  12"]


def test_a_table_that_does_not_fit_is_shown_vertically() -> None:
    long = "x" * 50
    lines = shown(["name", "value"], [["a", long], ["b", None]], width=30)
    assert lines[0].startswith("─[ 1 ]─")
    assert lines[1:3] == ["name   a", f"value  {long}"]
    assert lines[4:] == ["name   b", "value  NULL"]


def test_no_cell_breaks_whatever_the_width() -> None:
    long = "0123456789" * 30
    for width in (None, 10, 40, 100, 1000):
        assert any(long in line for line in shown(["a", "b"], [[long, 1]], width=width)), width


def test_without_a_terminal_a_line_is_a_row() -> None:
    lines = shown(["a", "b"], [["x" * 300, 1], ["y", 2]])
    assert len(lines) == 3
    assert all(len(line) == len(lines[1]) for line in lines)


def test_wide_characters_take_two_columns() -> None:
    lines = shown(["名", "n"], [["日本", 1], ["a", 2]], width=40)
    assert lines == ["名    n", "日本  1", "a     2"]
