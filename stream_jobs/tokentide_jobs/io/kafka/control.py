"""What the pipeline reports back to services: states of runs and budgets, in a compacted topic.

The newest record of a key is the state. Sending one again changes nothing for a reader, so a worker
that is unsure whether a state went out sends it again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaConnectionError, KafkaError, NodeNotReadyError

from tokentide_jobs.errors import RetriableSinkError
from tokentide_schemas.control import ControlState
from tokentide_schemas.topics import CONTROL

__all__ = ["ControlPublisher"]

_SEND_TIMEOUT_S = 60.0


class ControlPublisher:
    """Publishes states; belongs to one event loop.

    Args:
        bootstrap: Brokers.
        topic: An existing, compacted topic.

    Attributes:
        epoch: Grows whenever another worker may have taken over. It stands on every record, so
            that readers pass over what one writes late that was overtaken meanwhile.
    """

    def __init__(self, bootstrap: str, topic: str = CONTROL.name) -> None:
        self._bootstrap = bootstrap
        self._topic = topic
        self.epoch = 0
        self._producer: AIOKafkaProducer | None = None

    async def start(self) -> None:
        """Connect; raises KafkaConnectionError when no broker answers.

        The producer is idempotent where the broker offers it. Where not, a retry may repeat older
        states of a key before newer ones; the newest is still the last.
        """
        try:
            self._producer = await self._connected(idempotent=True)
        except KafkaError as exc:
            if exc.retriable or isinstance(exc, (KafkaConnectionError, NodeNotReadyError)):
                raise
            self._producer = await self._connected(idempotent=False)

    async def stop(self) -> None:
        """Flush and disconnect; safe to call twice."""
        producer, self._producer = self._producer, None
        if producer is not None:
            await producer.stop()

    async def publish(self, states: Iterable[ControlState]) -> None:
        """Send states, in their order; returns when the broker has them.

        Raises:
            RetriableSinkError: The broker does not have all of them: send them again.
        """
        await self._send(
            {
                state.key: (state.schema_, state.model_dump_json(by_alias=True).encode())
                for state in states
            }
        )

    async def end(self, keys: Iterable[str]) -> None:
        """Say that there is no state any more; raises as `publish` does.

        Args:
            keys: As `run_key` and `budget_key` give them.
        """
        await self._send(dict.fromkeys(keys))

    async def _send(self, records: Mapping[str, tuple[str, bytes] | None]) -> None:
        if self._producer is None:
            raise RetriableSinkError("Kafka: the producer is not connected")
        try:
            async with asyncio.timeout(_SEND_TIMEOUT_S):
                sent = []
                epoch = ("epoch", str(self.epoch).encode())
                for key, record in records.items():
                    schema, value = ("", None) if record is None else record
                    headers = [epoch, *([("schema", schema.encode())] if schema else [])]
                    sent.append(
                        await self._producer.send(
                            self._topic, value, key=key.encode(), headers=headers
                        )
                    )
                await asyncio.gather(*sent)
        except (KafkaError, TimeoutError, OSError) as exc:
            raise RetriableSinkError(f"Kafka: {exc!r}") from exc

    async def _connected(self, *, idempotent: bool) -> AIOKafkaProducer:
        producer = AIOKafkaProducer(
            bootstrap_servers=self._bootstrap,
            acks="all",
            enable_idempotence=idempotent,
            linger_ms=5,
        )
        try:
            await producer.start()
        except BaseException:
            await producer.stop()
            raise
        return producer
