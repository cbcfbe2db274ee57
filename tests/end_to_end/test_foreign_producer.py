"""A stranger's events through the whole pipeline: raw + dead letters = sent, to the pico-dollar."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Iterator
from decimal import Decimal

import clickhouse_connect
import polars as pl
import pyarrow as pa
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from tests.commands import verified
from tests.end_to_end.foreign import Expected, records
from tests.prepared import Prepared
from tests.sampling import IS_THOROUGH
from tokentide_jobs.core.batch.ledger import LogPartition
from tokentide_jobs.core.batch.progress_mark import ProgressMark
from tokentide_jobs.embedded.stack.stack import Stack
from tokentide_schemas.topics import OTLP, WINDOWS_TOPIC

pytestmark = pytest.mark.integration

EVENTS = 100_000 if IS_THOROUGH else 6_000
CODECS = ("gzip", "snappy", "lz4", "zstd", None)


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory, prepared: Prepared) -> Iterator[Stack]:
    with Stack(prepared(tmp_path_factory.mktemp("foreign")), broker="kafka", workers=1) as running:
        yield running


async def send(bootstrap: str, topic: str, made: list[tuple[bytes | None, bytes]]) -> None:
    for number, codec in enumerate(CODECS):
        producer = AIOKafkaProducer(
            bootstrap_servers=bootstrap,
            compression_type=codec,
            enable_idempotence=True,
            max_request_size=2_000_000,
            linger_ms=10,
        )
        await producer.start()
        try:
            share = made[number :: len(CODECS)]
            sends = [await producer.send(topic, value, key=key) for key, value in share]
            await asyncio.gather(*sends)
        finally:
            await producer.stop()


def test_every_event_of_a_stranger_is_a_row_or_a_dead_letter_and_money_is_exact(
    stack: Stack,
) -> None:
    expected = Expected()
    made = records(EVENTS, time.time_ns() // 1000, seed=11, expected=expected)
    asyncio.run(send(stack.info.kafka, stack.info.events_topic, made))

    report = verified(stack.data_dir, wait_s=120)
    assert report["ok"] is True, report
    assert report["kafka_events"] == expected.sent == EVENTS
    assert report["dead_letters"] == expected.bad > EVENTS // 30
    assert report["raw_events"] == report["window_events"] == expected.sent - expected.bad
    assert (report["lost"], report["duplicated"]) == (0, 0)
    assert Decimal(report["raw_cost_usd"]) == Decimal(report["window_cost_usd"])
    assert Decimal(report["raw_cost_usd"]) == expected.cost_usd

    client = clickhouse_connect.get_client(dsn=stack.info.clickhouse_dsn, database="tokentide")
    with client:
        totals = client.query(
            "SELECT sum(input_tokens), sum(output_tokens), toString(sum(cost_usd)),"
            " countIf(price_status = 'unpriced') FROM requests"
        ).result_rows[0]
        windows = client.query(
            "SELECT sum(input_tokens), sum(output_tokens), sum(unpriced) FROM windows_1h"
        ).result_rows[0]
    assert totals[:2] == (expected.input_tokens, expected.output_tokens)
    assert Decimal(totals[2]) == expected.cost_usd
    assert totals[3] == expected.unpriced
    assert windows == (expected.input_tokens, expected.output_tokens, expected.unpriced)


class Detector:
    """Reads the topic of deltas as documented: drops repetitions, and relies on marks."""

    def __init__(self) -> None:
        self.sums: Counter[str] = Counter()
        self.marks: dict[tuple[str, int], ProgressMark] = {}
        self.after_their_mark: list[dict[str, str]] = []
        self._seen: set[tuple[str, ...]] = set()

    def take(self, headers: dict[str, str], value: bytes) -> None:
        source = LogPartition(headers["log_id"], headers["topic"], int(headers["partition"]))
        place = source.topic, source.partition
        if headers["schema"] == "progress.v1":
            self.marks[place] = ProgressMark.from_json(source, value)
            return
        names = ("schema", "log_id", "topic", "partition", "start", "chunk")
        coordinates = tuple(headers[name] for name in names)
        if coordinates in self._seen:
            return
        self._seen.add(coordinates)
        if place in self.marks and int(headers["start"]) < self.marks[place].position:
            self.after_their_mark.append(headers)
        rows = pl.DataFrame(pa.ipc.open_stream(value).read_all())
        kind = headers["schema"].partition(".")[0]
        self.sums[f"{kind} rows"] += rows.height
        self.sums[f"{kind} cost"] += int(rows["cost_pico_usd"].cast(pl.Int128).sum())
        if kind == "windows":
            self.sums["events"] += int(rows["events"].sum())

    def is_complete(self, until_us: int) -> bool:
        """Return whether the marks of all partitions of all sources have reached an instant."""
        sources = next(iter(self.marks.values())).sources if self.marks else {}
        wanted = [(topic, number) for topic, width in sources.items() for number in range(width)]
        reached = [self.marks[place].arrived_us for place in wanted if place in self.marks]
        is_known = len(reached) == len(wanted) > 0
        return is_known and all(at_us is not None and at_us >= until_us for at_us in reached)


async def detect(bootstrap: str, until_us: int) -> Detector:
    detector = Detector()
    async with AIOKafkaConsumer(bootstrap_servers=bootstrap) as consumer, asyncio.timeout(240):
        consumer.assign([TopicPartition(WINDOWS_TOPIC.name, 0)])
        await consumer.seek_to_beginning()
        while not detector.is_complete(until_us):
            record = await consumer.getone()
            detector.take({name: text.decode() for name, text in record.headers}, record.value)
    return detector


def test_a_reader_of_the_deltas_hears_all_of_it_and_knows_when_it_has(stack: Stack) -> None:
    detected = asyncio.run(detect(stack.info.kafka, time.time_ns() // 1000))
    client = clickhouse_connect.get_client(dsn=stack.info.clickhouse_dsn, database="tokentide")
    with client:
        windows, runs = (
            client.query(query).result_rows[0]
            for query in (
                "SELECT sum(events), toInt64(sum(cost_pico_usd)) FROM windows_10s",
                "SELECT count(), toInt64(sum(cost_pico_usd)) FROM raw_requests WHERE run != ''",
            )
        )
    assert (detected.sums["events"], detected.sums["windows cost"]) == windows
    assert (detected.sums["steps rows"], detected.sums["steps cost"]) == runs
    assert runs[0] > EVENTS // 100
    assert detected.after_their_mark == []
    assert {topic for topic, _number in detected.marks} == {stack.info.events_topic, OTLP.name}
    assert all(mark.lag_records == 0 for mark in detected.marks.values())
