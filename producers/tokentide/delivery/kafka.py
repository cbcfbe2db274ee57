"""Frames to Kafka with aiokafka: imported and used by the background thread only.

Each call sends one record batch to one partition, so that frames stay in order and a call succeeds
or fails as a whole; the next call takes the next partition. That is Kafka's sticky partitioning:
few, well compressed requests, yet every partition gets its share even from a single producer.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Callable, Sequence

from aiokafka import AIOKafkaProducer, errors

from tokentide._contract import SCHEMA_VERSION
from tokentide.delivery.counters import describe
from tokentide.delivery.framing import Frame
from tokentide.delivery.quiet import ON_FAILURE
from tokentide.delivery.transport import FrameRejected
from tokentide.log import RateLimitedLog
from tokentide.settings import Settings
from tokentide.settings.security import connection_options, warnings_for, without_secrets

SCHEMA = b"tokentide.event/%d" % SCHEMA_VERSION
"""Name and version of the contract the events in a record follow."""
REQUEST_TIMEOUT_MS = 10_000
"""Wait for one answer of the broker before the connection is considered dead."""
RETRY_BACKOFF_MS = 250
"""Pause between aiokafka's own attempts: an outage must not cost the host processor time."""
CONNECT_TIMEOUT_S = 15.0
"""Wait for a connection with everything that belongs to it (metadata, producer id)."""
STALLED_S = 120.0
"""Without an acknowledgement for so long the brokers may have moved: start again from bootstrap.

Until then aiokafka repeats the batch under its sequence number, which the broker recognises; after
it the batch goes out under a new producer id, and could arrive twice if the first was stored.
"""
MAX_BATCH_BYTES = 2 * 1024 * 1024
"""Bound of aiokafka's record batch; callers hand over less than half of it."""


class KafkaFrameSender:
    """Sends frames to one topic.

    Args:
        settings: Brokers, topic and codec.
        producer_id: Sent with every record, beside the frame number.
        on_failure: Called for every failed attempt inside aiokafka, which retries on its own;
            inside a block of `quiet`, which takes them out of the log.
        log: Where the one notice about missing idempotence goes.
        schema: Name and version of the contract that the records follow.
    """

    def __init__(
        self,
        settings: Settings,
        producer_id: str,
        on_failure: Callable[[str], None],
        log: RateLimitedLog | None = None,
        schema: bytes = SCHEMA,
    ) -> None:
        self._settings = settings
        self._schema_header = ("schema", schema)
        self._producer_id = producer_id.encode()
        self._on_failure = on_failure
        self._log = log or RateLimitedLog()
        self._producer: AIOKafkaProducer | None = None
        self._has_warned = False
        self._reasons: list[str] | None = None
        """What aiokafka says while it connects."""
        self.acknowledged: tuple[str, int, int] | None = None
        """Topic, partition and offset of what was stored last."""
        # Producers start at different partitions so that many of them do not march in step.
        self._turn = random.randrange(1 << 16)  # noqa: S311

    async def connect(self) -> None:
        """Open a producer, idempotent where the broker allows it."""
        await self.close()
        for warning in warnings_for(self._settings):
            self._log.report(warning[:40], "%s", warning)
        # What fails here is raised and counted by the caller, but only aiokafka's lines say why.
        reasons: list[str] = []
        self._reasons = reasons
        ON_FAILURE.set(self._on_warning)
        try:
            await self._open_at_best()
        except Exception as exc:
            raise self._explained(exc, reasons) from None
        finally:
            self._reasons = None

    async def _open_at_best(self) -> None:
        try:
            self._producer = await self._open(idempotent=True)
        except Exception as exc:
            if not _is_refusal(exc):
                raise
            self._producer = await self._open(idempotent=False)
            self._warn_once(exc)

    def _explained(self, error: Exception, reasons: list[str]) -> Exception:
        """Return the error with what aiokafka logged about it, and without any secret."""
        text = describe(error)
        if isinstance(error, TimeoutError) and self._settings.kafka_sasl == "oauthbearer":
            # A broker refuses a token by a text that aiokafka does not read, and waits for more.
            text = f"{text}: no answer after the login, the broker may have refused the token"
        if reasons and reasons[-1] not in text:
            # What the error itself says more is a list of the addresses that the line names too.
            head = "Unable to bootstrap" if "Unable to bootstrap" in text else text
            text = f"{head}: {reasons[-1]}"
        shown = without_secrets(self._settings, text)
        return error if shown == describe(error) else ConnectionError(shown)

    def _on_warning(self, message: str) -> None:
        """Take a warning of aiokafka's, from whichever of its tasks."""
        if self._reasons is not None:
            self._reasons.append(message)
        else:
            self._on_failure(without_secrets(self._settings, message))

    def _warn_once(self, refusal: Exception) -> None:
        if not self._has_warned:
            self._has_warned = True
            self._log.report(
                "idempotence",
                "the broker at %s gives out no producer ids (%s): going on without idempotence, "
                "a retried frame may arrive twice",
                self._settings.bootstrap,
                type(refusal).__name__,
            )

    async def _open(self, *, idempotent: bool) -> AIOKafkaProducer:
        codec = self._settings.compression
        producer = AIOKafkaProducer(
            bootstrap_servers=self._settings.bootstrap.split(","),
            client_id="tokentide",
            acks="all",
            enable_idempotence=idempotent,
            compression_type=None if codec == "none" else codec,
            max_batch_size=MAX_BATCH_BYTES,
            max_request_size=MAX_BATCH_BYTES,
            request_timeout_ms=REQUEST_TIMEOUT_MS,
            retry_backoff_ms=RETRY_BACKOFF_MS,
            **connection_options(self._settings),
        )
        try:
            await asyncio.wait_for(producer.start(), CONNECT_TIMEOUT_S)
        except BaseException:
            with contextlib.suppress(Exception):
                await producer.stop()
            raise
        return producer

    @property
    def brokers(self) -> int:
        """Brokers of the cluster, as far as its metadata says."""
        return 0 if self._producer is None else len(self._producer.client.cluster.brokers())

    async def partitions(self, topic: str) -> list[int]:
        """Return the partitions of a topic.

        Raises:
            Exception: There is no such topic, or it may not be seen.
        """
        if self._producer is None:
            raise ConnectionError("not connected")
        return sorted(await self._producer.partitions_for(topic))

    async def send(self, frames: Sequence[Frame]) -> None:
        """Send frames of one topic as one batch to one partition and wait for all replicas."""
        ON_FAILURE.set(self._on_warning)
        try:
            await self._send(frames)
        except FrameRejected:
            raise
        except Exception as exc:
            raise self._explained(exc, []) from None

    async def _send(self, frames: Sequence[Frame]) -> None:
        producer = self._producer
        if producer is None:
            raise ConnectionError("not connected")
        batch = producer.create_batch()
        for frame in frames:
            producer_id = frame.producer_id.encode() or self._producer_id
            headers = [
                self._schema_header,
                ("producer", producer_id),
                ("frame", b"%d" % frame.number),
            ]
            if batch.append(key=None, value=frame.payload, timestamp=None, headers=headers) is None:
                raise FrameRejected(f"frames of together more than {MAX_BATCH_BYTES} bytes")
        topic = frames[0].topic or self._settings.topic
        partitions = await self.partitions(topic)
        partition = partitions[self._turn % len(partitions)]
        try:
            stored = await producer.send_batch(batch, topic, partition=partition)
            metadata = await asyncio.wait_for(stored, STALLED_S)
        except (
            errors.MessageSizeTooLargeError,
            errors.RecordListTooLargeError,
            errors.InvalidTimestampError,
        ) as exc:
            raise FrameRejected(f"topic {topic}: {exc}") from exc
        self._turn += 1
        self.acknowledged = (topic, metadata.partition, metadata.offset)

    async def close(self) -> None:
        """Drop the producer; what it could not deliver is still in the caller's hands."""
        producer, self._producer = self._producer, None
        if producer is None:
            return
        # `stop` first waits until every batch is delivered, which may be for ever.
        producer._message_accumulator.fail_all(ConnectionError("closed"))
        # Without connections its requests end now instead of after their timeout.
        await producer.client.close()
        await producer.stop()


def _is_refusal(error: Exception) -> bool:
    """Return whether the broker answered and does not do idempotence, rather than being away."""
    if not isinstance(error, errors.KafkaError):
        return False
    is_away = isinstance(error, (errors.KafkaConnectionError, errors.NodeNotReadyError))
    return not (is_away or error.retriable)
