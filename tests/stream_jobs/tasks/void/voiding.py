"""Runs of `tokentide void` in tests, and what they ask of the database."""

from __future__ import annotations

import uuid
from typing import Any

from tests.stream_jobs.tasks.damaged import TOKEN_WINDOW_US, damage
from tokentide_jobs.core.outcome.arrow import to_arrow
from tokentide_jobs.core.outcome.outcome import Outcome
from tokentide_jobs.core.tables import RAW_TABLES
from tokentide_jobs.io.clickhouse.client import ClickHouse
from tokentide_jobs.tasks.void.void import Void


def void_of(store: ClickHouse, **options: Any) -> Void:
    run_id = uuid.uuid4().hex
    options = {"unfinished_s": 0.0, "known_after_s": 0.0} | options
    return Void(store, "test:1", "me@here", run_id, TOKEN_WINDOW_US, **options)


def put_back(store: ClickHouse, outcome: Outcome) -> None:
    """Store the raw rows of a batch once more."""
    for table, rows in outcome.raw.items():
        store.insert(table, to_arrow(table, rows), f"put back/{uuid.uuid4().hex}")


def lose_rows(store: ClickHouse, outcome: Outcome) -> None:
    for table in outcome.raw:
        damage(store, table, f"log_id = '{outcome.intent.log.log_id}'")


def one_in_the_middle(store: ClickHouse, log_id: str, skipped: int = 12) -> str:
    """Return the id of a request with others of its batch before and after it."""
    rows = store.rows(
        f"SELECT toString(event_id) FROM {store.database}.raw_requests "
        f"WHERE log_id = '{log_id}' ORDER BY started_at LIMIT 1 OFFSET {skipped}"
    )
    return str(rows[0][0])


def dying_before(word: str) -> Any:
    """Return a progress that dies before the first step that begins so."""

    def die(step: str) -> None:
        if step.startswith(word):
            raise InterruptedError(step)

    return die


def some_ids(store: ClickHouse, kind: str, count: int, skipped: int = 0) -> list[str]:
    """Return ids of stored events of one type, of both days in turn."""
    rows = store.rows(
        f"SELECT toString(event_id) FROM {store.database}.{RAW_TABLES[kind]} "
        f"ORDER BY row_number() OVER (PARTITION BY toDate(started_at) ORDER BY event_id), event_id "
        f"LIMIT {count} OFFSET {skipped}"
    )
    return [str(row[0]) for row in rows]


def count(store: ClickHouse, table: str, what: str = "count()") -> Any:
    return store.rows(f"SELECT {what} FROM {store.database}.{table}")[0][0]
