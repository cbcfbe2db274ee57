"""The store's side of the write protocol, on the real engine: claims, stale batches, bad rows."""

from __future__ import annotations

import json
import threading
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any, cast

import clickhouse_connect
import pyarrow as pa
import pytest

from tokentide_jobs.backoff import Backoff
from tokentide_jobs.core.batch.ledger import Intent, LogPartition
from tokentide_jobs.core.batch.life import Life
from tokentide_jobs.core.batch.planner import SealedBatch
from tokentide_jobs.core.record.record import Record
from tokentide_jobs.errors import RetriableSinkError
from tokentide_jobs.io.clickhouse.client import ClickHouse
from tokentide_jobs.io.clickhouse.error_codes import RowsRefused, SinkMisconfigured
from tokentide_jobs.io.clickhouse.ledger_store import LedgerStore
from tokentide_jobs.io.files.price_source import compile_cards
from tokentide_jobs.io.schema.migrations import migrate
from tokentide_jobs.jobs.ingest.driver import Driver
from tokentide_jobs.jobs.ingest.flush import Flush, Written

pytestmark = pytest.mark.integration

NOW_US = time.time_ns() // 1000
HOUR_US = 3_600_000_000


class NoKafka:
    """A publisher that keeps what it is given."""

    def __init__(self) -> None:
        self.dead_letters: list[str] = []

    def publish_dead_letters(self, dead_letters: pa.Table, intent: Intent) -> None:
        self.dead_letters += dead_letters["reason"].to_pylist()

    def publish_deltas(self, deltas: pa.Table, intent: Intent) -> None:
        return


@pytest.fixture(scope="module")
def store(sql_server: str) -> Iterator[ClickHouse]:
    with clickhouse_connect.get_client(dsn=sql_server) as admin:
        migrate(admin, "ingest_store")
    connected = ClickHouse(sql_server, "ingest_store")
    yield connected
    connected.close()


@pytest.fixture
def log() -> LogPartition:
    return LogPartition(str(uuid.uuid4()), "tokentide.events.v1", 0)


def intent_of(log: LogPartition, start: int, end: int, worker: str = "w", at_us: int = 0) -> Intent:
    return Intent(
        log=log,
        start=start,
        end=end,
        price_version=compile_cards().price_version,
        accepted_from_us=NOW_US - HOUR_US,
        accepted_until_us=NOW_US + HOUR_US,
        sealed_at_us=at_us or NOW_US,
        worker=worker,
    )


def event(**changes: Any) -> dict[str, Any]:
    return {
        "type": "request",
        "event_id": str(uuid.uuid4()),
        "started_at_us": NOW_US,
        "service": "chat",
        "provider": "openai",
        "operation": "chat",
        "status": "ok",
        "request_model": "gpt-4o",
        "duration_ms": 12.5,
        "input_tokens": 100,
        "output_tokens": 10,
        **changes,
    }


def batch_of(start: int, values: list[bytes]) -> SealedBatch[Record]:
    records = tuple(
        Record(0, start + number, NOW_US // 1000, value) for number, value in enumerate(values)
    )
    return SealedBatch(start, start + len(values), records, 1, "age")


def frame(count: int, **changes: Any) -> bytes:
    return b"\n".join(json.dumps(event(**changes)).encode() for _ in range(count))


def flush_of(store: ClickHouse, now_us: int, publisher: NoKafka | None = None) -> Flush:
    return Flush(
        store,
        LedgerStore(store),
        publisher or NoKafka(),
        lambda _version: compile_cards(),
        lambda: now_us,
        "w",
        60_000_000,
    )


def drive(
    flush: Flush, batch: SealedBatch[Record], intent: Intent, stop_before: str = ""
) -> Written | None:
    """Run a flush to its end, or until just before a step."""
    flow = flush.write(batch, intent, True)
    effect = next(flow)
    while True:
        if stop_before and effect.name == stop_before:
            flow.close()
            return None
        try:
            result = effect.run()
        except RowsRefused as exc:
            effect = flow.throw(exc)
            continue
        try:
            effect = flow.send(result)
        except StopIteration as finished:
            written: Written | None = finished.value
            return written


def counts(store: ClickHouse, log: LogPartition) -> tuple[int, int, int]:
    """Raw rows, counted window events of its service, done rows."""
    database = store.database
    parameters = {"log_id": log.log_id}
    (row,) = store.rows(
        f"SELECT (SELECT count() FROM {database}.raw_requests WHERE log_id = {{log_id:String}}), "
        f"(SELECT sum(events) FROM {database}.windows_10s WHERE service = {{log_id:String}}), "
        f"(SELECT count() FROM {database}.ingest_positions WHERE log_id = {{log_id:String}})",
        parameters,
    )
    return int(row[0]), int(row[1]), int(row[2])


def test_of_many_rival_intents_one_wins_and_all_read_it_back(
    store: ClickHouse, log: LogPartition
) -> None:
    ledger = LedgerStore(store)
    proposals = [intent_of(log, 0, end, f"worker-{end}") for end in range(1, 9)]
    with ThreadPoolExecutor(8) as threads:
        claims = list(threads.map(lambda proposal: ledger.claim(proposal, 1), proposals))
    assert len({claim.intent for claim in claims}) == 1
    assert claims[0].intent in proposals
    assert ledger.position(log) == (None, claims[0].intent)


def test_the_position_is_the_end_of_the_last_done_batch(
    store: ClickHouse, log: LogPartition
) -> None:
    ledger, flush = LedgerStore(store), flush_of(store, NOW_US)
    assert ledger.position(log) == (None, None)
    for start in (0, 1):
        intent = ledger.claim(intent_of(log, start, start + 1), 1).intent
        drive(flush, batch_of(start, [frame(2, service=log.log_id)]), intent)
    assert ledger.position(log) == (2, None)
    late = ledger.claim(intent_of(log, 0, 1, "zombie"), 1)
    assert late.is_done
    assert late.done_end == 2
    assert counts(store, log) == (4, 4, 2)


def test_money_of_a_batch_is_in_the_done_row(store: ClickHouse, log: LogPartition) -> None:
    intent = intent_of(log, 0, 1)
    written = drive(flush_of(store, NOW_US), batch_of(0, [frame(3, service=log.log_id)]), intent)
    assert written is not None
    outcome, done = written.outcome, written.done
    # gpt-4o: 2.50 USD per million tokens in, 10 USD per million out.
    assert done.cost_pico_usd == outcome.cost_pico_usd() == 3 * (100 * 2_500_000 + 10 * 10_000_000)
    (row,) = store.rows(
        f"SELECT cost_pico_usd, events FROM {store.database}.ingest_positions "
        "WHERE log_id = {log_id:String}",
        {"log_id": log.log_id},
    )
    assert tuple(row) == (done.cost_pico_usd, 3)


@pytest.mark.parametrize("step", ["insert_raw_requests", "insert_windows_10s", "finish"])
def test_a_stale_batch_is_completed_by_what_is_missing_even_when_tokens_are_forgotten(
    store: ClickHouse, log: LogPartition, step: str
) -> None:
    second_us = NOW_US // 10_000_000 * 10_000_000 - abs(hash(log.log_id)) % 100 * 10_000_000
    intent, batch = (
        intent_of(log, 0, 2),
        batch_of(0, [frame(3, service=log.log_id, started_at_us=second_us)] * 2),
    )
    drive(flush_of(store, NOW_US), batch, intent, stop_before=step)
    forgetful = ForgetfulStore(store)
    written = drive(flush_of(forgetful, NOW_US + 120_000_000), batch, intent)
    assert written is not None
    assert counts(store, log) == (6, 6, 1)
    again = drive(flush_of(forgetful, NOW_US + 120_000_000), batch, intent)
    assert again is None
    assert counts(store, log) == (6, 6, 1)


def test_a_stale_batch_that_got_half_way_gets_the_other_half(
    store: ClickHouse, log: LogPartition
) -> None:
    second_us = NOW_US - 1_800_000_000
    intent, batch = (
        intent_of(log, 0, 2),
        batch_of(0, [frame(3, service=log.log_id, started_at_us=second_us)] * 2),
    )
    half = batch_of(0, [batch.records[0].value])
    drive(flush_of(store, NOW_US), half, replace(intent, end=1), stop_before="insert_windows_10s")
    assert counts(store, log)[0] == 3
    drive(flush_of(ForgetfulStore(store), NOW_US + 120_000_000), batch, intent)
    assert counts(store, log) == (6, 6, 1)


def test_windows_of_a_stale_batch_wait_while_another_batch_blurs_the_sums(
    store: ClickHouse, log: LogPartition
) -> None:
    second_us = NOW_US - 2_400_000_000
    other = LogPartition(str(uuid.uuid4()), log.topic, 1)
    values = [frame(3, service=log.log_id, started_at_us=second_us)]
    drive(
        flush_of(store, NOW_US),
        batch_of(0, [frame(2, service=log.log_id, started_at_us=second_us)]),
        intent_of(other, 0, 1),
        stop_before="insert_windows_10s",
    )
    late = flush_of(ForgetfulStore(store), NOW_US + 120_000_000)
    with pytest.raises(RetriableSinkError, match="waiting for the others"):
        drive(late, batch_of(0, values), intent_of(log, 0, 1))


class ForgetfulStore(ClickHouse):
    """A store that has forgotten every token: each insert is new to it."""

    def __init__(self, store: ClickHouse) -> None:
        super().__init__(store._url, store.database)

    def insert(self, table: str, rows: Any, token: str) -> None:
        super().insert(table, rows, f"{token}/{uuid.uuid4()}")


def test_a_row_that_the_table_refuses_is_dead_lettered_alone_also_by_an_adopter(
    store: ClickHouse, log: LogPartition
) -> None:
    store.command(
        f"ALTER TABLE {store.database}.raw_requests "
        "ADD CONSTRAINT no_fumes CHECK request_model != 'fumes'"
    )
    store.command(f"DROP TABLE IF EXISTS {store.database}.raw_requests_probe")
    publisher = NoKafka()
    service = log.log_id
    values = [frame(2, service=service), frame(1, service=service, request_model="fumes")]
    batch, intent = batch_of(0, [*values, frame(4, service=service)]), intent_of(log, 0, 3)
    try:
        drive(flush_of(store, NOW_US, publisher), batch, intent, stop_before="insert_windows_10s")
        assert publisher.dead_letters == ["refused_by_store"]
    finally:
        store.command(f"ALTER TABLE {store.database}.raw_requests DROP CONSTRAINT no_fumes")
    # The table would take it by now; the adopter leaves it out all the same.
    written = drive(flush_of(store, NOW_US), batch, intent)
    assert written is not None
    assert (written.done.events, written.done.dead_letters) == (6, 1)
    assert counts(store, log) == (6, 6, 1)
    dead_letters = store.rows(
        f"SELECT _offset, _idx, reason, field, value FROM {store.database}.dead_letters "
        "WHERE log_id = {log_id:String}",
        {"log_id": log.log_id},
    )
    assert [tuple(row[:4]) for row in dead_letters] == [(1, 0, "refused_by_store", "raw_requests")]
    assert json.loads(dead_letters[0][4])["request_model"] == "fumes"


def test_a_table_that_refuses_every_row_is_a_matter_for_a_person(
    store: ClickHouse, log: LogPartition
) -> None:
    store.command(f"ALTER TABLE {store.database}.raw_requests ADD CONSTRAINT nothing CHECK 1 = 2")
    store.command(f"DROP TABLE IF EXISTS {store.database}.raw_requests_probe")
    try:
        with pytest.raises(SinkMisconfigured, match="tokentide migrate"):
            drive(flush_of(store, NOW_US), batch_of(0, [frame(2)]), intent_of(log, 0, 1))
    finally:
        store.command(f"ALTER TABLE {store.database}.raw_requests DROP CONSTRAINT nothing")
        store.command(f"DROP TABLE IF EXISTS {store.database}.raw_requests_probe")
    assert counts(store, log) == (0, 0, 0)


class SmallStore(ForgetfulStore):
    """A store that has memory for so many rows of events at a time, and remembers no token."""

    def __init__(self, store: ClickHouse, rows: int, until_it_dies: int = 10**9) -> None:
        super().__init__(store)
        self._most = rows
        self._left = until_it_dies
        self.sizes: list[int] = []

    def insert(self, table: str, rows: Any, token: str) -> None:
        if table in ("raw_requests", "dead_letters"):
            if rows.num_rows > self._most:
                raise RetriableSinkError("Memory limit exceeded", 241)
            if not self._left:
                raise Died
            self._left -= 1
            self.sizes.append(rows.num_rows)
        super().insert(table, rows, token)


class Died(Exception):
    """The worker was killed here."""


def drive_patiently(
    flush: Flush, batch: SealedBatch[Record], intent: Intent, *, adopted: bool
) -> Written | None:
    """Run a flush to its end as a worker does: what passes by itself is tried again."""
    driver = Driver(Backoff(first_s=0.0, longest_s=0.0), Silent())
    life = flush.write(batch, intent, adopted)
    try:
        driver.advance(cast("Life", life), None, threading.Event())
    except StopIteration as finished:
        written: Written | None = finished.value
        return written
    raise AssertionError("a flush asks for nothing but effects")


class Silent:
    """Nobody is told about failures."""

    def step_failed(self, code: int | None, message: str, needs_a_person: bool) -> None:
        return

    def step_succeeded(self, step: str, seconds: float) -> None:
        return


def test_a_batch_that_is_too_large_for_the_store_is_stored_in_parts(
    store: ClickHouse, log: LogPartition
) -> None:
    values = [frame(900, service=log.log_id), b"0\n" * 700, frame(900, service=log.log_id)]
    small, intent = SmallStore(store, 600), intent_of(log, 0, 3)
    written = drive_patiently(flush_of(small, NOW_US), batch_of(0, values), intent, adopted=False)
    assert written is not None
    assert counts(store, log) == (1_800, 1_800, 1)
    assert (written.done.events, written.done.dead_letters) == (1_800, 700)
    assert sorted(small.sizes) == [350, 350, 450, 450, 450, 450]
    assert dead_letters_of(store, log) == 700


@pytest.mark.parametrize("steps", [1, 3, 4])
def test_whoever_adopts_a_batch_that_was_stored_in_part_adds_the_rest_alone(
    store: ClickHouse, log: LogPartition, steps: int
) -> None:
    values = [frame(900, service=log.log_id), b"0\n" * 700, frame(900, service=log.log_id)]
    batch, intent = batch_of(0, values), intent_of(log, 0, 3)
    dying = SmallStore(store, 600, until_it_dies=steps)
    with pytest.raises(Died):
        drive_patiently(flush_of(dying, NOW_US), batch, intent, adopted=False)
    for heir in (ForgetfulStore(store), SmallStore(store, 600)):
        drive_patiently(flush_of(heir, NOW_US), batch, intent, adopted=True)
        assert (counts(store, log)[0], dead_letters_of(store, log)) == (1_800, 700)


def test_a_store_without_memory_for_few_rows_is_waited_for(
    store: ClickHouse, log: LogPartition
) -> None:
    flow = flush_of(SmallStore(store, 0), NOW_US).write(
        batch_of(0, [frame(3)]), intent_of(log, 0, 1), False
    )
    insert = flow.send(next(flow).run())
    assert insert.name == "insert_raw_requests"
    for _try in range(20):
        with pytest.raises(RetriableSinkError):
            insert.run()


def dead_letters_of(store: ClickHouse, log: LogPartition) -> int:
    (row,) = store.rows(
        f"SELECT count() FROM {store.database}.dead_letters WHERE log_id = {{log_id:String}}",
        {"log_id": log.log_id},
    )
    return int(row[0])


def test_errors_are_told_apart_by_code(store: ClickHouse, sql_server: str) -> None:
    with pytest.raises(SinkMisconfigured, match="tokentide migrate"):
        ClickHouse(sql_server, "nowhere").rows("SELECT * FROM nowhere.at_all")
    with pytest.raises(RetriableSinkError) as refused:
        ClickHouse("http://127.0.0.1:9", "x", timeout_s=1).rows("SELECT 1")
    assert refused.value.code is None
    with pytest.raises(RetriableSinkError) as slow:
        store.rows("SELECT sleep(2) SETTINGS max_execution_time = 1")
    assert slow.value.code == 159
