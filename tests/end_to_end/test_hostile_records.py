"""No record stops a partition, whatever it holds; what was taken back never becomes money.

TOKENTIDE_TEST_HOSTILE_RECORDS=100000 sends more mutated records than a usual run.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import clickhouse_connect
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.producer import message_accumulator
from aiokafka.producer import producer as aiokafka_producer
from aiokafka.record.default_records import _DefaultRecordBatchBuilderPy

from tests.chaos.live import LiveWorker, wait_until
from tests.chaos.steady_traffic import SteadyTraffic
from tests.commands import verified
from tests.end_to_end.worker_memory import assert_stays_flat, watched_memory
from tests.hostile_records import good_event, hostile_headers, hostile_record, hostile_request
from tests.otlp_requests import Request, attributes
from tests.prepared import Prepared
from tests.sampling import IS_THOROUGH, in_thorough, share
from tokentide_jobs.cli.main import main
from tokentide_jobs.core.record.contents import events_in
from tokentide_jobs.core.tables import ROLLUPS, WINDOWS
from tokentide_jobs.embedded.stack.stack import Stack
from tokentide_schemas.topics import EVENTS, OTLP

pytestmark = pytest.mark.integration

HUGE_CODECS = share(("zstd", "lz4"), 2)
RECORDS = int(os.environ.get("TOKENTIDE_TEST_HOSTILE_RECORDS", "750"))
AT_ONCE = 500 if IS_THOROUGH else 250
CODECS = (None, "gzip", "snappy", "lz4", "zstd")
PATIENT = {"TOKENTIDE_BREAKER_RATIO": "1", "TOKENTIDE_SESSION_TIMEOUT_MS": "10000"}
"""Most of what is sent here is bad on purpose, and the group waits as long as it usually does."""
STEADY_EVENTS = 16_000
"""Of ordinary traffic in twenty seconds or more, which a caught-up worker has under measure."""
HUGE_RECORDS = 50 if IS_THOROUGH else 20
BY_THE_LEDGER = "--no-recount"
"""Where a later `verify` counts the same records in Kafka."""
MOST_TIMES = 3.0
"""What whatever arrives may take of the memory of a caught-up worker."""
ORDINARY_TIMES = 2.0
"""What a backlog, and a record of millions of lines, may take of it."""
BACKLOG_BYTES = 200_000_000
"""Of ordinary frames, three times what the partitions of a worker hold together."""


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory, prepared: Prepared) -> Iterator[Stack]:
    directory = tmp_path_factory.mktemp("hostile")
    with Stack(prepared(directory), broker="kafka") as running:
        yield running


@pytest.fixture(scope="module")
def worker(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveWorker]:
    """One that has stored something, for all tests but those of what a worker takes of memory."""
    log_path = tmp_path_factory.mktemp("worker") / "w.log"
    settings = {**PATIENT, "TOKENTIDE_WATCHDOG_S": "12"}
    with LiveWorker(stack, log_path, **settings) as running, producing(stack) as send:
        send([(EVENTS.name, 0, frame(random.Random(0), 3))])
        assert verified(stack.data_dir)["raw_events"] == 3
        yield running


@contextmanager
def producing(stack: Stack, codec: str | None = None, **settings: Any) -> Iterator[Any]:
    """Yield a function that sends records (topic, partition, value) in one batch a partition."""

    async def send(records: Sequence[tuple[str, int, bytes]], headers: Any = None) -> None:
        producer = AIOKafkaProducer(
            bootstrap_servers=stack.info.kafka,
            compression_type=codec,
            max_request_size=1 << 30,
            max_batch_size=1 << 30,
            linger_ms=50,
            **settings,
        )
        await producer.start()
        try:
            sent = [
                await producer.send(
                    topic, value, partition=part, headers=headers() if headers else None
                )
                for topic, part, value in records
            ]
            await asyncio.gather(*sent)
        finally:
            await producer.stop()

    yield lambda records, headers=None: asyncio.run(send(records, headers))


def frame(chance: random.Random, events: int) -> bytes:
    return b"\n".join(json.dumps(good_event(chance)).encode() for _ in range(events))


def call_with(padding: bytes) -> bytes:
    """Make an export request with one call of a model, and unread text."""
    request = Request(service="chat")
    held = {
        "gen_ai.operation.name": "chat", "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "gpt-4o-mini", "gen_ai.usage.input_tokens": 5,
        "gen_ai.usage.output_tokens": 5, "padding": padding.decode(),
    }  # fmt: skip
    request.span("chat", "1" * 32, "2" * 16, time.time_ns() - 10**9, attributes(**held))
    return request.encode()


def steady_bytes(stack: Stack, worker: LiveWorker) -> int:
    """Return the most that a worker takes while it stores ordinary traffic as it comes."""

    def stored() -> int:
        return sum(batch["rows"] for batch in worker.events("batch_done"))

    enough = stored() + STEADY_EVENTS
    with (
        SteadyTraffic(stack.info.kafka, stack.info.events_topic, frames_per_s=20, frame_events=40),
        watched_memory(worker) as seen,
    ):
        wait_until(lambda: stored() >= enough, 300, "ordinary traffic, stored", pause_s=0.5)
    return max(seen)


async def committed_ends(stack: Stack) -> dict[int, int]:
    """Return what the group has committed, by partition of the events topic."""
    consumer = AIOKafkaConsumer(bootstrap_servers=stack.info.kafka, group_id="tokentide-ingest")
    await consumer.start()
    try:
        parts = [TopicPartition(EVENTS.name, part) for part in range(EVENTS.partitions)]
        return {part.partition: await consumer.committed(part) for part in parts}
    finally:
        await consumer.stop()


@pytest.mark.usefixtures("worker")
def test_a_frame_with_a_bad_line_anywhere_keeps_its_good_events(stack: Stack) -> None:
    chance = random.Random(1)
    good = [json.dumps(good_event(chance)).encode() for _ in range(5)]
    before = verified(stack.data_dir, 300, BY_THE_LEDGER)
    with producing(stack) as send:
        send([(EVENTS.name, 0, b"\n".join([b"[1,2,3]", *good]))])
    report = verified(stack.data_dir)
    assert report["ok"], report
    assert report["raw_events"] - before["raw_events"] == 5
    assert report["dead_letters"] - before["dead_letters"] == 1


def test_what_a_transaction_took_back_never_becomes_money(
    stack: Stack, worker: LiveWorker, capsys: pytest.CaptureFixture[str]
) -> None:
    chance = random.Random(2)

    async def send() -> None:
        producer = AIOKafkaProducer(
            bootstrap_servers=stack.info.kafka, transactional_id="hostile-records"
        )
        await producer.start()
        for number in range(20):
            await producer.begin_transaction()
            for part in range(EVENTS.partitions):
                await producer.send_and_wait(EVENTS.name, frame(chance, 3), partition=part)
            await (producer.abort_transaction() if number % 2 else producer.commit_transaction())
        await producer.stop()

    before = verified(stack.data_dir, 300, BY_THE_LEDGER)
    asyncio.run(send())
    begin_s = time.monotonic()
    report = verified(stack.data_dir, wait_s=600)
    assert time.monotonic() - begin_s < 300, "verify waited for records that cannot be read"
    assert report["ok"], report
    assert report["kafka_events"] - before["kafka_events"] == 10 * EVENTS.partitions * 3
    assert report["raw_events"] - before["raw_events"] == 10 * EVENTS.partitions * 3
    ends = {batch["partition"]: batch["end"] for batch in worker.events("batch_done")}
    # Rows come before the commit of their offsets.
    wait_until(
        lambda: asyncio.run(committed_ends(stack)) == ends,
        60,
        f"commits of {ends}",
        pause_s=0.5,
    )
    main(["status", "--json", "--data-dir", str(stack.data_dir)])
    assert json.loads(capsys.readouterr().out)["lag_records"] == 0, "markers do not wait"
    # The log ends in markers: a standstill there is no reason to start the worker again.
    time.sleep(15)
    assert worker.exit_code is None


def test_an_open_transaction_hides_no_acknowledged_event(
    stack: Stack, worker: LiveWorker, capsys: pytest.CaptureFixture[str]
) -> None:
    chance = random.Random(3)
    where = ("--data-dir", str(stack.data_dir))

    def printed(*arguments: str) -> str:
        capsys.readouterr()
        main([*arguments, *where])
        return capsys.readouterr().out

    def metrics(page: dict[str, Any]) -> str:
        url = f"http://127.0.0.1:{page['port']}/metrics"
        with urllib.request.urlopen(url, timeout=10) as answer:
            return str(answer.read().decode())

    async def send() -> None:
        producer = AIOKafkaProducer(
            bootstrap_servers=stack.info.kafka,
            transactional_id="left-open",
            transaction_timeout_ms=900_000,
        )
        await producer.start()
        await producer.begin_transaction()
        long_ago_ms = round((time.time() - 120) * 1000)
        for part in range(EVENTS.partitions):
            await producer.send_and_wait(
                EVENTS.name, frame(chance, 1), partition=part, timestamp_ms=long_ago_ms
            )
        await asyncio.to_thread(look)
        await producer.abort_transaction()
        await producer.stop()

    def look() -> None:
        with producing(stack) as ordinary:
            ordinary([(EVENTS.name, part, frame(chance, 1)) for part in range(EVENTS.partitions)])
        hidden = 2 * EVENTS.partitions
        report = json.loads(printed("verify", "--json", "--no-recount"))
        assert (report["pending"], report["behind_transaction_records"]) == (0, hidden)
        text = " ".join(printed("verify", "--no-recount").split())
        assert f"{hidden} records wait for an open transaction" in text
        assert "pending 0" not in text
        state = json.loads(printed("status", "--json"))
        assert (state["lag_records"], state["behind_transaction_records"]) == (0, hidden)
        assert state["verdict"] == "attention"
        assert f"{hidden} records wait for an open transaction" in str(state["problems"])
        shown = 'tokentide_ingest_behind_transaction_records{partition="0"} 2.0'
        wait_until(lambda: shown in metrics(worker.wait_for("http_listening")), 60, shown)

    before = verified(stack.data_dir, 300, BY_THE_LEDGER)
    asyncio.run(send())
    after = verified(stack.data_dir)
    assert after["ok"], after
    assert after["behind_transaction_records"] == 0, "what is over, with its markers, holds nothing"
    assert after["raw_events"] - before["raw_events"] == EVENTS.partitions


def test_mutated_records_end_as_rows_and_dead_letters_and_every_partition_moves_on(
    stack: Stack, worker: LiveWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The compiled one encodes names of headers itself, and so never writes one that is not UTF-8.
    for module in (message_accumulator, aiokafka_producer):
        monkeypatch.setattr(module, "DefaultRecordBatchBuilder", _DefaultRecordBatchBuilderPy)
    chance = random.Random(4)
    sent = 0
    before = verified(stack.data_dir, 300, BY_THE_LEDGER)
    with watched_memory(worker) as seen:
        for start in range(0, RECORDS, AT_ONCE):
            records = []
            for _ in range(min(AT_ONCE, RECORDS - start)):
                topic, new = (
                    (OTLP, hostile_request) if chance.random() < 0.25 else (EVENTS, hostile_record)
                )
                value = new(chance)
                sent += len(events_in(topic.name, value))
                records.append((topic.name, chance.randrange(topic.partitions), value))
            with producing(stack, chance.choice(CODECS)) as send:
                send(records, lambda: hostile_headers(chance))
        report = verified(stack.data_dir, 120 + RECORDS // 100)
    assert report["ok"], report
    assert report["kafka_events"] - before["kafka_events"] == sent
    stored = report["raw_events"] + report["dead_letters"]
    assert stored - before["raw_events"] - before["dead_letters"] == sent
    assert report["raw_events"] - before["raw_events"] > sent / 3, "hardly any event was good"
    assert (report["pending"], report["lost"], report["duplicated"]) == (0, 0, 0)
    assert_stays_flat(seen, is_long=RECORDS >= 100_000)


@pytest.mark.usefixtures("worker")
def test_a_wrong_row_is_taken_out_of_rows_windows_and_rollups_as_the_docs_say(
    stack: Stack, capsys: pytest.CaptureFixture[str]
) -> None:
    wrong = good_event(random.Random(5)) | {"input_tokens": 99_000_000, "tenant": "wrong"}
    with producing(stack) as send:
        send([(EVENTS.name, 0, json.dumps(wrong).encode())])
        assert verified(stack.data_dir)["ok"]
        with clickhouse_connect.get_client(
            dsn=stack.info.clickhouse_url, username=stack.info.user,
            password=stack.info.password, database="tokentide",
        ) as client:  # fmt: skip
            sums = [
                f"SELECT sum(input_tokens), sum(cost_pico_usd) FROM {table} WHERE tenant = 'wrong'"
                for table in ("raw_requests", WINDOWS, *ROLLUPS)
            ]
            assert [client.query(one).result_rows[0][0] for one in sums] == [99_000_000] * len(sums)
            taking_out = ["void", wrong["event_id"], "--reason", "absurd"]
            assert main([*taking_out, "--data-dir", str(stack.data_dir)]) == 0, capsys.readouterr()
            left = [client.query(one).result_rows[0] for one in sums]
            assert left == [
                (None, None),
                *[(0, 0)] * (len(sums) - 1),
            ]  # no row, and sums of nothing
        assert verified(stack.data_dir)["ok"]


# Last: each `verify` reads the whole log, and this one fills it.
def test_records_that_are_small_on_the_wire_and_huge_in_memory_stop_nothing(
    stack: Stack, worker: LiveWorker, tmp_path: Path
) -> None:
    chance = random.Random(3)
    assert worker.stop() == 0
    with LiveWorker(stack, tmp_path / "w.log", **PATIENT) as worker:
        steady = steady_bytes(stack, worker)
        before = verified(stack.data_dir, 240, BY_THE_LEDGER)
        with watched_memory(worker) as seen, producing(stack, None) as send:
            send([(EVENTS.name, 2, b"0\n" * 2_000_000)])
            verified(stack.data_dir, 240, BY_THE_LEDGER)
        of_lines = max(seen)
        with watched_memory(worker) as seen:
            for codec in HUGE_CODECS:
                with producing(stack, codec) as send:
                    send([(EVENTS.name, 0, bytes(200_000_000)), (EVENTS.name, 0, frame(chance, 3))])
                    send([(EVENTS.name, 1, bytes(4_000_000))] * HUGE_RECORDS)
                    send([(OTLP.name, 0, b"[" * 100_000_000)])
            with producing(stack, "gzip") as send:
                # One OTLP record is too large; in the other a call has much of nothing.
                send([(OTLP.name, 0, bytes(60_000_000))])
                send([(OTLP.name, 1, call_with(b" " * 20_000_000))])
            with producing(stack, "zstd") as send:
                send([(EVENTS.name, 3, b"{}" * 8_000_000)])
                send([(EVENTS.name, part, frame(chance, 5)) for part in range(EVENTS.partitions)])
            report = verified(stack.data_dir, 240)
    assert report["ok"], report
    assert (
        report["raw_events"] - before["raw_events"]
        == len(HUGE_CODECS) * 3 + 1 + 5 * EVENTS.partitions
    )
    expected = len(HUGE_CODECS) * (1 + HUGE_RECORDS + 1) + 1 + 100_000 + 100_000
    assert report["dead_letters"] - before["dead_letters"] == expected
    printed = (
        f"{steady / 1e6:.0f} MB, {of_lines / 1e6:.0f} with lines, {max(seen) / 1e6:.0f} in all"
    )
    print(printed)
    assert of_lines < ORDINARY_TIMES * steady, printed
    assert max(seen) < MOST_TIMES * steady, printed
    with clickhouse_connect.get_client(
        dsn=stack.info.clickhouse_url, username=stack.info.user, password=stack.info.password,
        database="tokentide",
    ) as client:  # fmt: skip
        rows = client.query(
            "SELECT state, reason, count(), max(length(value)) FROM dead_letter_states "
            "WHERE endsWith(detail, 'of which the beginning is kept') GROUP BY ALL"
        ).result_rows
    assert {row[0] for row in rows} == {"cut"}, "what is cut cannot be sent again"
    assert {row[1] for row in rows} >= {"too_large", "too_many_events"}
    assert max(row[3] for row in rows) <= 1024 * 1024


@in_thorough  # the records of a usual run fill the same budget
def test_a_backlog_of_every_partition_takes_less_than_twice_the_memory(
    stack: Stack, worker: LiveWorker, tmp_path: Path
) -> None:
    chance = random.Random(6)
    assert worker.stop() == 0
    with LiveWorker(stack, tmp_path / "w.log", **PATIENT) as worker:
        worker.wait_for("partition_assigned", EVENTS.partitions)
        steady = steady_bytes(stack, worker)
        before = verified(stack.data_dir, 300, BY_THE_LEDGER)
        assert worker.stop() == 0
    ordinary = [frame(chance, 400) for _ in range(8)]
    size = sum(map(len, ordinary)) * EVENTS.partitions
    with producing(stack, "lz4") as send:
        for _ in range(BACKLOG_BYTES // size):
            send(
                [(EVENTS.name, part, one) for part in range(EVENTS.partitions) for one in ordinary]
            )
    sent = BACKLOG_BYTES // size * EVENTS.partitions * len(ordinary) * 400
    with LiveWorker(stack, tmp_path / "w.log", **PATIENT) as worker:
        with watched_memory(worker) as seen:
            report = verified(stack.data_dir, 600)
        printed = f"{steady / 1e6:.0f} MB, {max(seen) / 1e6:.0f} with a backlog"
        print(printed)
        ends = worker.events("batch_done")
    assert report["raw_events"] - before["raw_events"] == sent
    assert {batch["partition"] for batch in ends} >= set(range(EVENTS.partitions))
    assert max(seen) < ORDINARY_TIMES * steady, printed
