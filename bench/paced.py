"""Sends frames of events at a pace, each at its moment, however long making one takes."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable

from aiokafka import AIOKafkaProducer

__all__ = ["send_paced"]

_LARGEST_BYTES = 4 * 1024 * 1024


async def send_paced(
    bootstrap: str,
    topic: str,
    frames: Iterable[bytes],
    frames_per_s: float,
) -> int:
    """Send until there are no more frames; return how many were sent.

    Args:
        bootstrap: The broker.
        topic: Has four partitions.
        frames: Each is made only when its moment has come, so its events may be of now.
        frames_per_s: The pace; a late sender sends without a pause until it has caught up.
    """
    producer = AIOKafkaProducer(
        bootstrap_servers=bootstrap, compression_type="lz4", max_request_size=_LARGEST_BYTES
    )
    await producer.start()
    sent, coming, begun_s = 0, iter(frames), time.perf_counter()
    try:
        while True:
            await asyncio.sleep(max(0.0, begun_s + sent / frames_per_s - time.perf_counter()))
            frame = next(coming, None)
            if frame is None:
                break
            await producer.send(topic, frame, partition=sent % 4)
            sent += 1
    finally:
        await producer.stop()
    return sent
