"""A batch with a wrong checksum that a real broker has taken in: reading goes on behind it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.producer import message_accumulator
from aiokafka.producer import producer as aiokafka_producer
from aiokafka.record.default_records import _DefaultRecordBatchBuilderPy

from tokentide_jobs.core.record.stand_in import read_stand_in
from tokentide_jobs.embedded.kafka.choice import choose_broker
from tokentide_jobs.io.kafka.admin import ensure_topics
from tokentide_jobs.io.kafka.spans import read_spans
from tokentide_schemas.topics import EVENTS

pytestmark = pytest.mark.integration

_CHECKSUM_AT = 17


class _WronglySummed(_DefaultRecordBatchBuilderPy):  # type: ignore[misc] # aiokafka is untyped
    """aiokafka's, and the checksum of a batch that holds `wrong` is another."""

    def build(self) -> bytearray:
        made: bytearray = super().build()
        if b"wrong" in made:
            made[_CHECKSUM_AT] ^= 1
        return made


async def test_a_producer_that_writes_a_wrong_checksum_stops_no_reader(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (message_accumulator, aiokafka_producer):
        monkeypatch.setattr(module, "DefaultRecordBatchBuilder", _WronglySummed)
    broker = choose_broker("tansu", tmp_path)
    broker.start()
    try:
        await ensure_topics(broker.bootstrap, [replace(EVENTS, partitions=1)])
        producer = AIOKafkaProducer(
            bootstrap_servers=broker.bootstrap, enable_idempotence=False, linger_ms=50
        )
        await producer.start()
        for batch in (b"one two", b"wrong wrong wrong", b"three"):
            sent = [await producer.send(EVENTS.name, value, partition=0) for value in batch.split()]
            for each in sent:
                await each
        await producer.stop()
        found: dict[int, Any] = {}
        await read_spans(
            broker.bootstrap,
            EVENTS.name,
            {0: [(0, 6)]},
            lambda _start, record: found.update({record.offset: record.value}),
        )
    finally:
        broker.stop()
    assert [found[offset] for offset in (0, 1, 5)] == [b"one", b"two", b"three"]
    for offset in (2, 3, 4):
        refusal, _kept = read_stand_in(found[offset]) or pytest.fail(f"{offset} is no stand-in")
        assert refusal.reason == "unreadable"
        assert "wrong checksum" in refusal.detail
