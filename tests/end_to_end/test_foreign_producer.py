"""A stranger's events through the whole pipeline: raw + dead letters = sent, to the pico-dollar."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from decimal import Decimal

import clickhouse_connect
import pytest
from aiokafka import AIOKafkaProducer

from tests.end_to_end.foreign import Expected, records
from tokentide_jobs.embedded.stack.stack import Stack

pytestmark = pytest.mark.integration

EVENTS = 100_000
CODECS = ("gzip", "snappy", "lz4", "zstd", None)


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with Stack(tmp_path_factory.mktemp("foreign"), broker="kafka", workers=1) as running:
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


def tokentide(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tokentide_jobs", *arguments]
    return subprocess.run(command, check=False, capture_output=True, text=True, timeout=240)


def test_every_event_of_a_stranger_is_a_row_or_a_dead_letter_and_money_is_exact(
    stack: Stack,
) -> None:
    expected = Expected()
    made = records(EVENTS, time.time_ns() // 1000, seed=11, expected=expected)
    asyncio.run(send(stack.info.kafka, stack.info.events_topic, made))

    done = tokentide("verify", "--json", "--wait", "120", "--data-dir", str(stack.data_dir))
    assert done.returncode == 0, done.stdout + done.stderr
    report = json.loads(done.stdout)
    assert report["ok"] is True
    assert report["kafka_events"] == expected.sent == EVENTS
    assert report["dead_letters"] == expected.bad > 4_000
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
