"""The store's side of the write protocol, on the real engine: claims and stale batches."""

from __future__ import annotations

import uuid
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from tests.stream_jobs.jobs.ingest.batches import (
    NOW_US,
    ForgetfulStore,
    batch_of,
    counts,
    drive,
    flush_of,
    frame,
    intent_of,
)
from tokentide_jobs.core.batch.ledger import LogPartition
from tokentide_jobs.errors import RetriableSinkError
from tokentide_jobs.io.clickhouse.client import ClickHouse
from tokentide_jobs.io.clickhouse.error_codes import SinkMisconfigured
from tokentide_jobs.io.clickhouse.ledger_store import LedgerStore

pytestmark = pytest.mark.integration


def by_subject(store: ClickHouse, log: LogPartition) -> int:
    """Return requests that are counted under the run of a log's service."""
    (row,) = store.rows(
        f"SELECT sum(requests) FROM {store.database}.subjects_1h "
        "WHERE kind = 'run' AND service = {log_id:String}",
        {"log_id": log.log_id},
    )
    return int(row[0])


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


@pytest.mark.parametrize(
    "step", ["insert_raw_requests", "insert_windows_10s", "insert_subjects_1h", "finish"]
)
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
    assert by_subject(store, log) == 6
    again = drive(flush_of(forgetful, NOW_US + 120_000_000), batch, intent)
    assert again is None
    assert counts(store, log) == (6, 6, 1)
    assert by_subject(store, log) == 6


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


def test_errors_are_distinguished_by_code(store: ClickHouse, sql_server: str) -> None:
    with pytest.raises(SinkMisconfigured, match="tokentide migrate"):
        ClickHouse(sql_server, "nowhere").rows("SELECT * FROM nowhere.at_all")
    with pytest.raises(RetriableSinkError) as refused:
        ClickHouse("http://127.0.0.1:9", "x", timeout_s=1).rows("SELECT 1")
    assert refused.value.code is None
    with pytest.raises(RetriableSinkError) as slow:
        store.rows("SELECT sleep(2) SETTINGS max_execution_time = 1")
    assert slow.value.code == 159
