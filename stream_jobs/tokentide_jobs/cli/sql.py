"""`tokentide sql "…"`: one question to ClickHouse, answered as a table or in any of its formats.

It only reads, unless `--write` is given: the server itself is set to refuse everything else. A
table stops after `--max-rows`; a format streams everything, byte for byte as the server wrote it.
"""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Final

import click
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import ClickHouseError

from tokentide_jobs.cli.result_table import show_rows
from tokentide_jobs.cli.screen import console, say, write_bytes
from tokentide_jobs.cli.target import data_dir_option, find_target
from tokentide_jobs.counted import counted
from tokentide_jobs.errors import ConfigError
from tokentide_jobs.io.clickhouse.connect import connect_clickhouse
from tokentide_jobs.io.clickhouse.error_codes import server_words

__all__ = ["sql"]

_TEXT_AS_BYTES = {"*String*": "bytes"}
"""The client shows text that is not UTF-8 as hexadecimal digits, which may be text as well."""
_READ_ONLY: Final = {"readonly": 2}
"""What the server enforces; with 2, a query may still bound itself by settings."""
_REFUSED_TO_READERS: Final = 164
_NUMERIC: Final = ("Int", "UInt", "Float", "Decimal")

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
@click.option("--write", is_flag=True, help="Allow statements that change data or tables.")
def sql(
    data_dir: Path | None, query: str, format_name: str | None, max_rows: int, write: bool
) -> None:
    """Run QUERY (`-` reads it from standard input) in the database of Tokentide.

    It may only read, unless --write is given. A table that does not fit the terminal is shown
    vertically, one column a line.

    Start from the views: requests, judgements, spend_by_hour, spend_by_model_day,
    spend_by_prompt_day, spend_by_price_status_day, latency_by_minute, errors_by_minute,
    users_by_month, unpriced, pipeline_health. `DESCRIBE requests` says what each column means.
    """
    text = _query_text(query)
    if not text.strip():
        raise ConfigError(
            "QUERY is empty: give a statement, such as 'SELECT count() FROM requests'"
        )
    settings = find_target(data_dir, "clickhouse")
    client = connect_clickhouse(settings)
    settings_of_query = {} if write else _READ_ONLY
    try:
        if format_name is not None or _OWN_FORMAT.search(text):
            _stream(client, text, format_name, settings_of_query)
        elif write and _NO_ROWS.match(_without_comments(text)):
            client.command(text)
            say("ok", to_stderr=True)
        else:
            _draw(client, text, max_rows, settings_of_query)
    except ClickHouseError as exc:
        if getattr(exc, "code", None) == _REFUSED_TO_READERS and not write:
            raise ConfigError(
                f"`tokentide sql` only reads, and this would change something: {server_words(exc)} "
                "Repeat it with --write if you mean it"
            ) from exc
        raise ConfigError(f"ClickHouse refused the query: {server_words(exc)}") from exc
    finally:
        client.close()


def _query_text(query: str) -> str:
    """Return the statement; ClickHouse takes UTF-8, and what is not may come from any shell."""
    try:
        text = sys.stdin.read() if query == "-" else query
        text.encode()
    except (UnicodeEncodeError, UnicodeDecodeError) as exc:
        raise ConfigError(
            f"QUERY has bytes that are not UTF-8 (at {exc.start}): write them as unhex('FF')"
        ) from exc
    return text


def _stream(
    client: Client, query: str, format_name: str | None, settings: Mapping[str, int]
) -> None:
    with client.raw_stream(query, fmt=format_name, settings=dict(settings)) as stream:
        while chunk := stream.read(1 << 20):
            write_bytes(chunk)
    sys.stdout.flush()


def _draw(client: Client, query: str, max_rows: int, settings: Mapping[str, int]) -> None:
    started = time.monotonic()
    rows: list[Sequence[object]] = []
    with client.query_rows_stream(
        query, settings=dict(settings), query_formats=_TEXT_AS_BYTES
    ) as stream:
        source = stream.source
        names = source.column_names
        numeric = [kind.base_type.startswith(_NUMERIC) for kind in source.column_types]
        # One more than is shown tells whether there are more.
        rows.extend(islice(stream, max_rows + 1))
    screen = console()
    width = screen.width if screen.is_terminal else None
    show_rows(screen, names, rows[:max_rows], numeric, width=width)
    number = min(len(rows), max_rows)
    shown = counted(number, "row")
    note = f"first {shown}, see --max-rows" if len(rows) > max_rows else shown
    say(f"{note}, {time.monotonic() - started:.2f} s", to_stderr=True)


def _without_comments(query: str) -> str:
    return re.sub(r"--[^\n]*|/\*.*?\*/", "", query, flags=re.DOTALL)
