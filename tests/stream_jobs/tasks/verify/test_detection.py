"""Verify and the detect job against the real pipeline: what was merged is what was stored."""

from __future__ import annotations

import asyncio
import os
import time
from typing import TYPE_CHECKING, Any

import clickhouse_connect
import pytest
from aiokafka import AIOKafkaProducer

from tests.stream_jobs.tasks.verify.faulty_pipeline import Pipeline, good, kinds, report_of, send
from tokentide_jobs.embedded.stack.stack import Stack

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.integration

EVENTS, FRAME = 200, 50


def frames(first: int) -> list[bytes]:
    starts = range(first, first + EVENTS, FRAME)
    return [b"\n".join(good(number) for number in range(at, at + FRAME)) for at in starts]


def settled(
    pipeline: Pipeline, capsys: pytest.CaptureFixture[str], up_to: int
) -> tuple[int, dict[str, Any]]:
    """Verify until the job says that it has come to an offset."""
    give_up_s = time.monotonic() + 150
    while True:
        code, report = report_of(pipeline, capsys)
        ranges = report["detection"].get("ranges", [])
        if sum(one["end"] for one in ranges) >= up_to:
            return code, report
        assert time.monotonic() < give_up_s, report["detection"]
        time.sleep(1)


async def send_torn_delta(pipeline: Pipeline, source: dict[str, Any]) -> None:
    """Write what looks like the delta of the next batch of a partition, and is none."""
    names = ("log_id", "topic", "partition", "start", "end", "chunk")
    fields = {**source, "start": source["end"], "end": source["end"] + 1, "chunk": 0}
    headers = [("schema", b"windows.v1"), *((name, str(fields[name]).encode()) for name in names)]
    producer = AIOKafkaProducer(bootstrap_servers=pipeline.stack.info.kafka)
    await producer.start()
    try:
        await producer.send_and_wait("tokentide.windows.v1", b"torn", headers=headers)
    finally:
        await producer.stop()


def test_what_detection_merged_equals_the_ledger_until_a_delta_is_lost(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    environ = {**os.environ, "TOKENTIDE_SNAPSHOT_S": "5"}
    with Stack(tmp_path, broker="tansu", workers=1, detect=True, environ=environ) as stack:
        client = clickhouse_connect.get_client(
            dsn=stack.info.clickhouse_dsn, database="tokentide", autogenerate_session_id=False
        )
        with client:
            pipeline = Pipeline(stack, client)
            asyncio.run(send(stack.info.kafka, stack.info.events_topic, frames(0)))
            code, report = settled(pipeline, capsys, up_to=EVENTS // FRAME)
            found = report["detection"]
            assert (code, found["verdict"]) == (0, "equal")
            assert found["events"] == found["ledger_events"] > 0
            assert found["cost_usd"] == found["ledger_cost_usd"]
            assert found["cost_usd"].strip("0.") != ""
            assert pipeline.run("verify") == 0
            assert f"detection merged {found['events']} events and" in capsys.readouterr().out
            # A foreign record takes the place of a delta: the job can only pass over it.
            source = next(one for one in found["ranges"] if one["end"])
            asyncio.run(send_torn_delta(pipeline, source))
            time.sleep(1)
            asyncio.run(send_to(pipeline, source, frames(EVENTS)))
            code, report = settled(pipeline, capsys, up_to=2 * EVENTS // FRAME)
            assert (code, kinds(report)) == (1, {"detection"})
            found = report["detection"]
            assert found["verdict"] == "differs"
            assert found["events"] < found["ledger_events"]
            # What it merged is of whole batches, so a range has no part of it.
            code, report = report_of(pipeline, capsys, "--from", "2020-01-01")
            assert (code, report["detection"]) == (0, {"verdict": "not_asked"})


async def send_to(pipeline: Pipeline, source: dict[str, Any], values: list[bytes]) -> None:
    producer = AIOKafkaProducer(bootstrap_servers=pipeline.stack.info.kafka)
    await producer.start()
    try:
        for value in values:
            await producer.send_and_wait(source["topic"], value, partition=source["partition"])
    finally:
        await producer.stop()
