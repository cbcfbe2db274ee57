"""Seven weeks of arithmetic traffic that boards and queries of the program are asked over."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

from clickhouse_connect.driver.client import Client

from tokentide_jobs.io.schema.sql_template import SqlTarget, render, split_statements

NOW = dt.datetime(2026, 11, 18, 12, tzinfo=dt.UTC)
SEED = Path(__file__).parent / "data" / "cookbook_seed.sql"


def seed(client: Client) -> None:
    """Fill a migrated database; its fixed dates must not meet a retention."""
    database = str(client.command("SELECT currentDatabase()"))
    tables = client.query(
        "SELECT name FROM system.tables WHERE database = currentDatabase()"
        " AND engine_full LIKE '% TTL %'"
    ).result_columns[0]
    for table in tables:
        # The seed has fixed dates: retention would drop it one day.
        client.command(f"ALTER TABLE {table} REMOVE TTL")
    for statement in split_statements(render(SEED.read_text("utf-8"), SqlTarget(database))):
        client.command(statement, settings={"max_partitions_per_insert_block": 0})
