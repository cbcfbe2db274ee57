"""`tokentide sql "…"`: one question to ClickHouse, answered as a table or in any of its formats.

A table stops after `--max-rows`; a format streams everything, byte for byte as the server wrote it.
"""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Iterable, Sequence
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path

import click
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import ClickHouseError
from rich.table import Table
from rich.text import Text

from tokentide_jobs.cli.connect import connect_clickhouse
from tokentide_jobs.cli.screen import console
from tokentide_jobs.cli.target import data_dir_option, find_target
from tokentide_jobs.errors import ConfigError

__all__ = ["sql"]

_OWN_FORMAT = re.compile(r"\bFORMAT\s+\w+\s*(SETTINGS\b.*)?;?\s*\Z", re.IGNORECASE | re.DOTALL)
_NO_ROWS = re.compile(
    r"\s*(ALTER|ATTACH|CREATE|DELETE|DETACH|DROP|GRANT|INSERT|KILL|OPTIMIZE|RENAME|REVOKE|SET"
    r"|SYSTEM|TRUNCATE|UPDATE|USE)\b",
    re.IGNORECASE,
)


@click.command(short_help="Ask ClickHouse a question.")
@data_dir_option
@click.argument("query")
@click.option(
    "--format",
    "format_name",
    metavar="NAME",
    default=None,
    help="Any output format of ClickHouse: CSV, JSONEachRow, Parquet, …  [default: a table]",
)
@click.option(
    "--max-rows",
    type=click.IntRange(min=1),
    default=1000,
    show_default=True,
    help="Rows of a table; a format prints them all.",
)
def sql(data_dir: Path | None, query: str, format_name: str | None, max_rows: int) -> None:
    """Run QUERY (`-` reads it from standard input) in the database of Tokentide.

    Start from the views: requests, spend_by_hour, spend_by_model_day, latency_by_minute,
    errors_by_minute, unpriced, pipeline_health. `SHOW CREATE VIEW requests` explains one.
    """
    text = sys.stdin.read() if query == "-" else query
    if not text.strip():
        raise ConfigError(
            "QUERY is empty: give a statement, such as 'SELECT count() FROM requests'"
        )
    settings = find_target(data_dir, "clickhouse")
    client = connect_clickhouse(settings)
    try:
        if format_name is not None or _OWN_FORMAT.search(text):
            _stream(client, text, format_name)
        elif _NO_ROWS.match(_without_comments(text)):
            client.command(text)
            click.echo("ok", err=True)
        else:
            _draw(client, text, max_rows)
    except ClickHouseError as exc:
        raise ConfigError(f"ClickHouse refused the query: {_reason(exc)}") from exc
    finally:
        client.close()


def _stream(client: Client, query: str, format_name: str | None) -> None:
    stdout = sys.stdout.buffer
    with client.raw_stream(query, fmt=format_name) as stream:
        while chunk := stream.read(1 << 20):
            stdout.write(chunk)
    stdout.flush()


def _draw(client: Client, query: str, max_rows: int) -> None:
    started = time.monotonic()
    table = Table(box=None, pad_edge=False, header_style="bold")
    shown = 0
    has_more = False
    with client.query_rows_stream(query) as rows:
        source = rows.source
        for name, kind in zip(source.column_names, source.column_types, strict=True):
            right = kind.base_type.startswith(("Int", "UInt", "Float", "Decimal"))
            table.add_column(name, justify="right" if right else "left", overflow="fold")
        for row in rows:
            if shown == max_rows:
                has_more = True
                break
            table.add_row(*(Text(cell, style=style) for cell, style in _cells(row)))
            shown += 1
    console().print(table)
    note = f"first {shown:,} rows, see --max-rows" if has_more else f"{shown:,} rows"
    click.echo(f"{note}, {time.monotonic() - started:.2f} s", err=True)


def _cells(row: Sequence[object]) -> Iterable[tuple[str, str]]:
    for value in row:
        yield _cell(value), "dim" if value is None else ""


def _cell(value: object) -> str:
    if value is None:
        return "NULL"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, Decimal):
        return f"{value:f}"
    if isinstance(value, datetime):
        return value.replace(tzinfo=None).isoformat(sep=" ")
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, bytes):
        return value.decode("utf-8", "backslashreplace")
    return str(value)


def _without_comments(query: str) -> str:
    return re.sub(r"--[^\n]*|/\*.*?\*/", "", query, flags=re.DOTALL)


def _reason(exc: Exception) -> str:
    """Return the server's own words, without the client's and without the stack."""
    text = " ".join(str(exc).split())
    text = text.partition("DB::Exception: ")[2] or text
    text = text.partition(" Expected one of:")[0].partition(" (version ")[0]
    return text.replace(" FORMAT Native", "")[:1000]
