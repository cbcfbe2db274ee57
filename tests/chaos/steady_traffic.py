"""A producer that goes on through every fault, and knows which events the broker has taken."""

from __future__ import annotations

import asyncio
import json
import random
import threading
from typing import Self

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from tests.chaos.live import request_event

CODECS = (None, "gzip", "snappy", "lz4", "zstd")
_ANSWER_S = 3.0


class SteadyTraffic:
    """Sends frames from a thread until it is ended; after an error with a new connection.

    Attributes:
        acknowledged: Ids of events that the broker acknowledged. Of the others it may have any.
    """

    def __init__(
        self,
        bootstrap: str,
        topic: str,
        *,
        frames_per_s: float,
        frame_events: int = 5,
        seed: int = 0,
    ) -> None:
        self.acknowledged: set[str] = set()
        self._bootstrap = bootstrap
        self._topic = topic
        self._pause_s = 1 / frames_per_s
        self._frame_events = frame_events
        self._chance = random.Random(seed)
        self._ended = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._work()), name="traffic")

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_exc: object) -> None:
        self._ended.set()
        self._thread.join()

    async def _work(self) -> None:
        while not self._ended.is_set():
            producer = AIOKafkaProducer(
                bootstrap_servers=self._bootstrap,
                acks="all",
                compression_type=self._chance.choice(CODECS),
                request_timeout_ms=2_000,
            )
            try:
                async with asyncio.timeout(_ANSWER_S):
                    await producer.start()
                await self._send(producer)
            except (KafkaError, TimeoutError, OSError):
                await asyncio.sleep(0.2)
            finally:
                try:
                    async with asyncio.timeout(_ANSWER_S):
                        await producer.stop()
                except (KafkaError, TimeoutError, OSError):
                    pass

    async def _send(self, producer: AIOKafkaProducer) -> None:
        for _ in range(50):  # then with another codec
            if self._ended.is_set():
                return
            events = [request_event(self._chance) for _ in range(self._frame_events)]
            value = b"\n".join(json.dumps(event).encode() for event in events)
            async with asyncio.timeout(_ANSWER_S):
                await producer.send_and_wait(self._topic, value)
            self.acknowledged.update(event["event_id"] for event in events)
            await asyncio.sleep(self._pause_s)
