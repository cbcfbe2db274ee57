"""The traffic as a worker stores it, and the same rows as frames that no SQL has touched.

Time passes in three steps: at each everything that had begun by then is in the store, is asked for
with SQL, and is in `Stored` for the computations beside it.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import orjson
import polars as pl
from clickhouse_connect.driver.client import Client

from tests.sql.cookbook.other_events import lines
from tests.sql.cookbook.traffic import NOWS, requests, us
from tokentide_jobs.core.batch.ledger import Intent, LogPartition
from tokentide_jobs.core.outcome.batch_inserts import inserts_of
from tokentide_jobs.core.outcome.outcome import Outcome, process
from tokentide_jobs.core.record.record import Record
from tokentide_jobs.core.tables import RAW_TABLES
from tokentide_jobs.core.window.subject_kinds import SUBJECT_KINDS
from tokentide_jobs.io.clickhouse.client import ClickHouse
from tokentide_jobs.io.files.price_source import compile_cards
from tokentide_jobs.io.schema.sql_files import sql_root

LOG: Final = LogPartition("log-1", "tokentide.events.v1", 0)
OPEN_BATCH: Final = (3, 900)
"""Partition and end of the one batch that is sealed and not finished."""


def recipes() -> dict[str, str]:
    """Return the queries of the page by their questions."""
    text = (sql_root() / "cookbook.md").read_text("utf-8")
    found = {}
    for section in re.split(r"^## ", text, flags=re.MULTILINE)[1:]:
        question, _newline, body = section.partition("\n")
        (found[question],) = re.findall(r"```sql\n(.*?)```", body, re.DOTALL)
    return found


def ask(client: Client, query: str, now: dt.datetime) -> list[dict[str, Any]]:
    """Return the answer to a query of the page, asked at some moment."""
    assert "now()" not in query and "today()" not in query, "write now('UTC')"
    asked = query.replace("now('UTC')", f"toDateTime('{now:%F %T}', 'UTC')")
    return list(client.query(asked).named_results())


@dataclass(frozen=True, slots=True)
class Stored:
    """What is in the store at a moment."""

    now: dt.datetime
    frames: dict[str, pl.DataFrame]
    """Rows by table, as frames of Polars."""
    ledger: list[dict[str, Any]]
    """Finished batches."""

    @property
    def requests(self) -> pl.DataFrame:
        """Return calls, with what questions are asked by."""
        answered = pl.when(pl.col("response_model") != "").then("response_model")
        model = answered.otherwise("request_model")
        run = pl.coalesce(pl.col("run_id", "conversation_id", "trace_id").replace("", None))
        ended_us = pl.col("started_at_us") + (pl.col("duration_ms") * 1000).cast(pl.Int64)
        return self.of("request").with_columns(
            model.alias("model"),
            run.fill_null("").alias("run"),
            ended_us.alias("ended_at_us"),
            pl.col("cost_pico_usd").alias("usd"),
            pl.col("cost_pico_usd").is_null().alias("is_unpriced"),
            (pl.col("status") == "error").alias("is_error"),
            pl.col("input_tokens").fill_null(0).alias("input0"),
            pl.col("output_tokens").fill_null(0).alias("output0"),
        )

    def of(self, event_type: str) -> pl.DataFrame:
        """Return the events of a type with their time in units that windows have."""
        at = pl.col("started_at_us").cast(pl.Datetime("us", "UTC"))
        return self.frames[RAW_TABLES[event_type]].with_columns(
            at.alias("at"),
            at.dt.truncate("1m").alias("minute"),
            at.dt.truncate("1h").alias("hour"),
            at.dt.date().alias("day"),
        )


def ingest(store: ClickHouse, client: Client) -> Iterator[Stored]:
    """Store what happens up to each moment, and yield what is there then."""
    for (table,) in client.query(
        "SELECT name FROM system.tables WHERE database = currentDatabase()"
        " AND engine_full LIKE '% TTL %'"
    ).result_rows:
        # The traffic has fixed dates: retention would drop it one day.
        client.command(f"ALTER TABLE {table} REMOVE TTL")
    cards = compile_cards()
    waiting = list(lines(requests()))
    frames: dict[str, list[pl.DataFrame]] = {}
    ledger: list[dict[str, Any]] = []
    start = 0
    for now in NOWS:
        due = [line for at, line in waiting[start:] if at < us(now)]
        records = [
            Record(
                0, start + place, us(now) // 1000,
                line if isinstance(line, bytes) else orjson.dumps(line),
            )
            for place, line in enumerate(due)
        ]  # fmt: skip
        intent = Intent(
            LOG, start, start + len(due), cards.price_version, 0, us(now) * 2, us(now) - 2_000_000,
            "host:1", tuple(SUBJECT_KINDS), 10_000,
        )  # fmt: skip
        outcome = process(records, intent, cards)
        for insert in inserts_of(outcome):
            store.insert(insert.table, insert.rows, insert.token)
        for table, rows in (*outcome.raw.items(), ("dead_letters", outcome.dead_letters)):
            frames.setdefault(table, []).append(rows)
        start = intent.end
        _keep_ledger(client, now, ledger, outcome)
        yield Stored(now, {name: pl.concat(parts) for name, parts in frames.items()}, [*ledger])


def _keep_ledger(
    client: Client, now: dt.datetime, ledger: list[dict[str, Any]], outcome: Outcome
) -> None:
    """Note the batch, and others of four partitions: one with holes, one with an open batch."""
    number, intent = NOWS.index(now), outcome.intent
    batches = [(0, intent.start, intent.end, outcome.events, outcome.dead_letter_count)]
    for partition in range(1, 5):
        for place in range(3):
            first = 300 * number + 100 * place
            hole = 50 if partition == 2 and place == 2 else 0
            batches.append((partition, first + hole, first + 100, 80 + place, partition))
    begun, done = [], []
    for place, (partition, start, end, events, dead_letters) in enumerate(batches):
        batch: dict[str, Any] = {
            "log_id": LOG.log_id, "topic": LOG.topic, "partition": partition,
            "start_offset": start, "end_offset": end, "records": end - start, "worker": "host:1",
            "sealed_at_us": us(now - dt.timedelta(minutes=17 * place + 1)),
        }  # fmt: skip
        begun.append(batch)
        if (partition, end) != OPEN_BATCH:
            sealed_ms = batch["sealed_at_us"] // 1000
            done.append(
                batch
                | {
                    "events": events, "dead_letters": dead_letters, "adopted": place % 4 == 1,
                    "insert_ms": 10.0 * partition + place, "last_record_ms": sealed_ms - 100,
                    "done_at_us": 1000 * (sealed_ms + 200 + 37 * place),
                }
            )  # fmt: skip
    for table, rows in (("ingest_intents", begun), ("ingest_positions", done)):
        names = list(rows[0])
        client.insert(table, [[row[name] for name in names] for row in rows], column_names=names)
    if number == 0:
        client.command(
            "INSERT INTO dead_letter_replays (log_id, _topic, _partition, _offset, _idx, run_id,"
            " action, acted_by) SELECT log_id, _topic, _partition, _offset, _idx, 'run-1',"
            " 'replayed', 'dana' FROM dead_letters ORDER BY _offset LIMIT 1"
        )
    ledger += [*done]
