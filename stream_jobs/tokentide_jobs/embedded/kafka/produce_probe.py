"""Whether a broker does its work: it takes a record, compressed as producers do.

A broker may answer every question about itself and refuse every record: its disk is full, or it
could not unpack the codec. The record goes to a topic of the stack's own that has no reader.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaConnectionError, KafkaError

from tokentide_jobs.errors import PipelineError
from tokentide_jobs.io.kafka.admin import ensure_topics, has_topic
from tokentide_jobs.io.kafka.own_loop import run_on_own_loop
from tokentide_jobs.io.kafka.refusal import refusal
from tokentide_schemas.topics import TopicSpec

__all__ = ["PROBE", "produce_problem"]

PROBE: Final = TopicSpec(
    name="tokentide.probe",
    key="none",
    schema="-",
    partitions=1,
    retention_ms=60_000,
    purpose="records by which the embedded stack sees that its broker works; it has no reader",
)
_RECORD: Final = b"tokentide up: does the broker take records? " * 4
_CODEC: Final = "zstd"
_LOOK_EVERY_S: Final = 0.1
_REQUEST_TIMEOUT_MS: Final = 5_000
"""Closing a producer waits so long for a record that was not answered."""


def produce_problem(bootstrap: str, timeout_s: float, is_there: Callable[[], bool]) -> str:
    """Send one record; why the broker did not take it, or "" when it did.

    Args:
        bootstrap: `host:port`.
        timeout_s: How long it may take.
        is_there: Whether the broker's process runs: of one that does not, no answer is waited for.
    """
    try:
        run_on_own_loop(_produce_while(bootstrap, timeout_s, is_there))
    except TimeoutError:
        return f"no answer to a record within {timeout_s:g} s"
    except (KafkaError, PipelineError, OSError) as exc:
        return f"a record is refused: {refusal(exc, PROBE.name)}"
    return ""


async def _produce_while(bootstrap: str, timeout_s: float, is_there: Callable[[], bool]) -> None:
    sending = asyncio.create_task(_produce(bootstrap))
    async with asyncio.timeout(timeout_s):
        while is_there() and not sending.done():
            await asyncio.wait([sending], timeout=_LOOK_EVERY_S)
        if not sending.done():
            sending.cancel()
            # aiokafka goes on to send what it has not sent; leaving the loop ends that.
            await asyncio.wait([sending], timeout=_LOOK_EVERY_S)
            raise KafkaConnectionError("the broker ended")
        await sending


async def _produce(bootstrap: str) -> None:
    if not await has_topic(bootstrap, PROBE.name):
        await ensure_topics(bootstrap, [PROBE])
    producer = AIOKafkaProducer(
        bootstrap_servers=bootstrap,
        acks=1,
        compression_type=_CODEC,
        enable_idempotence=False,
        request_timeout_ms=_REQUEST_TIMEOUT_MS,
    )
    await producer.start()
    try:
        await producer.send_and_wait(PROBE.name, _RECORD)
    finally:
        await producer.stop()
