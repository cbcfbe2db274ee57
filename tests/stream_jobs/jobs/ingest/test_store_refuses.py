"""A store that refuses rows, or a batch for its size: what it can hold is stored, once."""

from __future__ import annotations

import json
import threading
from typing import Any, cast

import pytest

from tests.stream_jobs.jobs.ingest.batches import (
    NOW_US,
    ForgetfulStore,
    NoKafka,
    batch_of,
    counts,
    drive,
    flush_of,
    frame,
    intent_of,
)
from tokentide_jobs.backoff import Backoff
from tokentide_jobs.core.batch.ledger import Intent, LogPartition
from tokentide_jobs.core.batch.life import Life
from tokentide_jobs.core.batch.planner import SealedBatch
from tokentide_jobs.core.record.record import Record
from tokentide_jobs.errors import RetriableSinkError
from tokentide_jobs.io.clickhouse.client import ClickHouse
from tokentide_jobs.io.clickhouse.error_codes import SinkMisconfigured
from tokentide_jobs.jobs.ingest.driver import Driver
from tokentide_jobs.jobs.ingest.flush import Flush, Written

pytestmark = pytest.mark.integration


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
    """Failures are reported nowhere."""

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
def test_the_next_owner_of_a_batch_that_was_stored_in_part_adds_the_rest_alone(
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
