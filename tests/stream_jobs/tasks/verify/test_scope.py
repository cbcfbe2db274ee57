from __future__ import annotations

import re

import pytest

from tokentide_jobs.io.schema.sql_files import sql_root
from tokentide_jobs.tasks.verify.stored_facts import RAW_KEPT_DAYS, RAW_TABLES, WINDOWS_KEPT_DAYS


def kept_days(table: str) -> int:
    text = "".join(path.read_text() for path in sorted((sql_root() / "migrations").glob("*.sql")))
    _, found, rest = text.partition(f"CREATE TABLE IF NOT EXISTS ${{database}}.{table} ")
    assert found, table
    match = re.search(r"^TTL .*INTERVAL (\d+) DAY", rest, re.MULTILINE)
    assert match is not None, table
    return int(match[1])


def test_rows_are_compared_only_while_every_table_still_keeps_them() -> None:
    assert min(kept_days(table) for table in (*RAW_TABLES, "dead_letters")) == RAW_KEPT_DAYS


@pytest.mark.parametrize("table", ["windows_10s", "windows_1m", "windows_1h", "windows_1d"])
def test_windows_are_compared_only_while_they_are_kept(table: str) -> None:
    assert kept_days(table) >= WINDOWS_KEPT_DAYS
    assert kept_days("windows_10s") == WINDOWS_KEPT_DAYS
