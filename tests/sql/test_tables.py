"""`core/tables.py` says what the migrated database says."""

from __future__ import annotations

import re

import pytest
from clickhouse_connect.driver.client import Client

from tests.places import ROOT
from tokentide_jobs.core import tables
from tokentide_schemas import EVENT_MODELS

pytestmark = pytest.mark.integration

STATED = {
    tables.INTENTS, tables.POSITIONS, tables.DEAD_LETTERS, tables.DEAD_LETTER_REPLAYS,
    tables.PRICE_CARDS, tables.PRICE_VERSIONS, tables.PRICE_CORRECTIONS, tables.REPRICE_RUNS,
    tables.REPRICE_CHUNKS, tables.TENANT_RETENTION, *tables.RAW_TABLES.values(),
    *tables.WINDOW_LENGTH_S, *tables.KEPT_DAYS,
}  # fmt: skip


def definitions(client: Client) -> dict[str, str]:
    rows = client.query(
        "SELECT name, engine_full FROM system.tables WHERE database = currentDatabase() "
        "AND engine LIKE '%MergeTree'"
    ).result_rows
    return {str(name): str(engine) for name, engine in rows}


def test_every_table_that_is_named_exists(sql_client: Client) -> None:
    assert set(definitions(sql_client)) >= STATED


def test_rows_are_kept_as_long_as_the_tables_say(sql_client: Client) -> None:
    kept = {
        name: int(days[1])
        for name, engine in definitions(sql_client).items()
        if (days := re.search(r" TTL .*toIntervalDay\((\d+)\)", engine))
    }
    assert kept == tables.KEPT_DAYS


def test_rows_and_windows_are_compared_only_while_every_table_still_keeps_them() -> None:
    events = (*tables.RAW_TABLES.values(), tables.DEAD_LETTERS)
    assert min(tables.KEPT_DAYS[name] for name in events) == tables.ROWS_KEPT_DAYS
    assert all(tables.KEPT_DAYS[name] >= tables.WINDOWS_KEPT_DAYS for name in tables.ROLLUPS)


def test_windows_are_as_long_as_the_tables_hold_them(sql_client: Client) -> None:
    """A row of every rollup begins where its window begins, for a moment inside all of them."""
    moment = "2026-11-18 13:47:50"
    sql_client.command(
        f"INSERT INTO {tables.WINDOWS} (window_start, tenant) VALUES ('{moment}', 'tables-test')"
    )
    for table, length_s in tables.WINDOW_LENGTH_S.items():
        (found,) = sql_client.query(
            f"SELECT toUnixTimestamp(window_start), toUnixTimestamp(toDateTime('{moment}', 'UTC')) "
            f"FROM {table} WHERE tenant = 'tables-test'"
        ).result_rows
        start, written = int(found[0]), int(found[1])
        assert start == written // length_s * length_s, table
        assert start != written or table == tables.WINDOWS


def test_the_smallest_window_is_the_length_in_its_name() -> None:
    assert f"windows_{tables.WINDOW_S}s" == tables.WINDOWS
    assert (tables.WINDOWS, *tables.ROLLUPS) == tuple(tables.WINDOW_LENGTH_S)


def test_every_event_type_has_its_table() -> None:
    assert tables.RAW_TABLES.keys() == EVENT_MODELS.keys()


def test_no_other_module_states_a_table_a_window_or_a_retention() -> None:
    """A name in a string of its own is a second definition; inside SQL it is a use."""
    names = "|".join(sorted(STATED))
    wrong = []
    for path in sorted((ROOT / "stream_jobs" / "tokentide_jobs").rglob("*.py")):
        if path.name == "tables.py":
            continue
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            if re.search(rf"= [\"']({names})[\"']$|INTERVAL \d+ (DAY|SECOND)", line):
                wrong.append(f"{path.relative_to(ROOT)}:{number}: {line.strip()}")
    assert wrong == []
