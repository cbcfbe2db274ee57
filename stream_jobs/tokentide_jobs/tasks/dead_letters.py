"""Reading dead letters and sending them again, each at most once.

A dead letter is claimed in ClickHouse (`sending`) before its bytes go to Kafka, and marked
`replayed` after. Both are inserts; nothing is changed. A run that finds an earlier claim leaves the
dead letter alone, so neither a second run, nor two at once, nor a crash in between sends anything
twice. A claim without `replayed` shows as `interrupted`: a person decides. The new place of a dead
letter is stored too (`copy`): if it is refused again it shows as `again`, and no run sends it
unless its place is named.
"""

from __future__ import annotations

import asyncio
import base64
import uuid
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from typing import Any, Final

import pyarrow as pa
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaConnectionError, KafkaError

from tokentide_jobs.core.record.topics import is_otlp, partition_label
from tokentide_jobs.core.tables import DEAD_LETTER_REPLAYS, END_OF_TIME_US
from tokentide_jobs.counted import counted
from tokentide_jobs.errors import ServiceUnreachable
from tokentide_jobs.io.clickhouse.client import ClickHouse
from tokentide_jobs.io.kafka.refusal import refusal
from tokentide_jobs.process_name import acting_account
from tokentide_jobs.settings.origins import origin_of
from tokentide_schemas.topics import EVENTS

__all__ = [
    "DeadLetterStore",
    "Place",
    "Reason",
    "Selection",
    "StoredDeadLetter",
    "Target",
    "log_of",
]

SENDING: Final = "sending"
REPLAYED: Final = "replayed"
COPY: Final = "copy"
_CHUNK: Final = 500
"""Dead letters claimed, sent and marked together."""
_SEND_TIMEOUT_S: Final = 60.0
_CONNECT_TIMEOUT_S: Final = 15.0


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """Where an event was in its log; as text `PARTITION:OFFSET:IDX`, see `partition_label`."""

    log_id: str
    topic: str
    partition: int
    offset: int
    idx: int

    def __str__(self) -> str:
        return f"{partition_label(self.topic, self.partition)}:{self.offset}:{self.idx}"


@dataclass(frozen=True, slots=True)
class StoredDeadLetter:
    """One dead letter. `value` holds what is kept of the event."""

    place: Place
    reason: str
    field: str
    detail: str
    value: bytes
    record_at: datetime
    ingested_at: datetime
    type: str
    event_id: str
    tenant: str
    service: str
    sdk_name: str
    state: str
    """open, again (the copy sent by a replay was refused too), replayed, discarded, interrupted, or
    cut (its bytes are not all kept, so it cannot be sent again)."""


@dataclass(frozen=True, slots=True)
class Reason:
    """How many dead letters share a reason and a field."""

    reason: str
    field: str
    dead_letters: int
    open: int
    last_at: datetime
    example: str


@dataclass(frozen=True, slots=True)
class Selection:
    """Which dead letters are meant; every bound that is set must hold.

    Attributes:
        reason: Exact reason.
        field: Exact field at fault.
        since_us: Ingested from this time (epoch µs).
        until_us: Ingested before this time (epoch µs).
        places: Only these, as `str(Place)` gives them.
        states: Only dead letters in one of these states; none given: in any.
    """

    reason: str | None = None
    field: str | None = None
    since_us: int | None = None
    until_us: int | None = None
    places: Sequence[str] = ()
    states: Sequence[str] = ()

    def parameters(self) -> dict[str, Any]:
        """Return the parameters of the queries: an empty one is no bound."""
        return {
            "reason": self.reason or "",
            "field": self.field or "",
            "since_us": self.since_us or 0,
            "until_us": END_OF_TIME_US if self.until_us is None else self.until_us,
            "places": list(self.places),
            "states": list(self.states),
        }


@dataclass(frozen=True, slots=True)
class Target:
    """Where dead letters are sent again: the broker, the topic of events, and its incarnation.

    A record of a Collector that could not be read at all is no event: it goes back to its own
    topic. An event made of one of its spans goes to the topic of events, as all others do.
    """

    bootstrap: str
    topic: str
    log_id: str


class DeadLetterStore:
    """The dead letters of one database."""

    def __init__(self, store: ClickHouse) -> None:
        self._store = store

    def reasons(self, selection: Selection) -> list[Reason]:
        """Count dead letters by reason and field, the most frequent first."""
        rows = self._store.select("dead_letters/reasons", selection.parameters())
        return [Reason(**row) for row in rows]

    def find(
        self, selection: Selection, limit: int, *, oldest_first: bool = False
    ) -> list[StoredDeadLetter]:
        """Return dead letters, the newest first or the oldest first."""
        sign = 1 if oldest_first else -1
        parameters = {**selection.parameters(), "limit": limit, "sign": sign}
        return [_stored(row) for row in self._store.select("dead_letters/list", parameters)]

    async def replay(
        self,
        dead_letters: Sequence[StoredDeadLetter],
        target: Target,
        *,
        void_before: datetime | None = None,
    ) -> int:
        """Send the bytes of dead letters that were not handled yet, each as a record of its own.

        Args:
            dead_letters: Which ones; those that another run claimed meanwhile are left out.
            target: Where they go.
            void_before: Claims before this time that were never followed by a mark do not count:
                sends what an interrupted run may have sent.

        Returns:
            How many were sent.

        Raises:
            ServiceUnreachable: Kafka does not answer, and nothing was claimed; or it failed in
                between, and the dead letters of one chunk show as interrupted.
        """
        run_id = str(uuid.uuid4())
        sent = 0
        async with _producer(target.bootstrap) as producer:
            for at in range(0, len(dead_letters), _CHUNK):
                chunk = dead_letters[at : at + _CHUNK]
                self._mark([dead_letter.place for dead_letter in chunk], run_id, SENDING, at)
                mine = self._won([dead_letter.place for dead_letter in chunk], run_id, void_before)
                won = [dead_letter for dead_letter in chunk if dead_letter.place in mine]
                copies = await _send(producer, won, target)
                self._mark([dead_letter.place for dead_letter in won], run_id, REPLAYED, at)
                self._mark(copies, run_id, COPY, at)
                sent += len(won)
        return sent

    def _mark(self, places: Sequence[Place], run_id: str, action: str, at: int) -> None:
        if not places:
            return
        rows = pa.table(
            {
                "log_id": pa.array([place.log_id for place in places], pa.string()),
                "_topic": pa.array([place.topic for place in places], pa.string()),
                "_partition": pa.array([place.partition for place in places], pa.int32()),
                "_offset": pa.array([place.offset for place in places], pa.int64()),
                "_idx": pa.array([place.idx for place in places], pa.int32()),
                "run_id": pa.array([run_id] * len(places), pa.string()),
                "action": pa.array([action] * len(places), pa.string()),
                "acted_by": pa.array([acting_account()] * len(places), pa.string()),
            }
        )
        token = f"{DEAD_LETTER_REPLAYS}/{run_id}/{action}/{at}"
        self._store.insert(DEAD_LETTER_REPLAYS, rows, token)

    def _won(
        self, places: Sequence[Place], run_id: str, void_before: datetime | None
    ) -> set[Place]:
        """Return the places whose first claim is this run's.

        A tie in time between two runs is won by neither: sending never happens twice, and the
        dead letter stays visible as interrupted.
        """
        rows = self._store.select(
            "dead_letters/claims_won",
            {
                "low": min(place.offset for place in places),
                "high": max(place.offset for place in places),
                "run_id": run_id,
                "void_before": void_before or datetime(1970, 1, 1, tzinfo=UTC),
            },
        )
        return {Place(**row) for row in rows}


def _stored(row: dict[str, Any]) -> StoredDeadLetter:
    place = Place(**{spec.name: row.pop(spec.name) for spec in fields(Place)})
    return StoredDeadLetter(place=place, value=base64.b64decode(row.pop("value_base64")), **row)


async def _send(
    producer: Any, dead_letters: Sequence[StoredDeadLetter], target: Target
) -> list[Place]:
    """Send one record a dead letter, wait for all, and return the place of each copy."""
    logs = [log_of(dead_letter, target) for dead_letter in dead_letters]
    try:
        pending = [
            await producer.send(
                topic,
                value=dead_letter.value,
                headers=[("replay_of", f"{dead_letter.place.log_id}/{dead_letter.place}".encode())],
            )
            for dead_letter, (_log_id, topic) in zip(dead_letters, logs, strict=True)
        ]
        stored = await asyncio.wait_for(asyncio.gather(*pending), _SEND_TIMEOUT_S)
    except (KafkaError, TimeoutError) as exc:
        topics = ", ".join(sorted({topic for _log_id, topic in logs}))
        raise ServiceUnreachable(
            f"Kafka did not take every record: {refusal(exc, topics)}. "
            f"The {counted(len(dead_letters), 'dead letter')} "
            "of this chunk are interrupted now: `tokentide dlq list --state interrupted`"
        ) from exc
    return [
        Place(log_id, topic, copy.partition, copy.offset, 0)
        for copy, (log_id, topic) in zip(stored, logs, strict=True)
    ]


def log_of(dead_letter: StoredDeadLetter, target: Target) -> tuple[str, str]:
    """Return (log id, topic) of the log that a dead letter is sent to."""
    is_unread_record = is_otlp(dead_letter.place.topic) and not dead_letter.event_id
    own = (dead_letter.place.log_id, dead_letter.place.topic)
    return own if is_unread_record else (target.log_id, target.topic)


@asynccontextmanager
async def _producer(bootstrap: str) -> AsyncIterator[Any]:
    """Open a producer, idempotent where the broker allows it (Tansu does not)."""
    for is_idempotent in (True, False):
        producer = AIOKafkaProducer(
            bootstrap_servers=bootstrap,
            acks="all",
            enable_idempotence=is_idempotent,
            max_request_size=EVENTS.max_message_bytes,
        )
        try:
            await asyncio.wait_for(producer.start(), _CONNECT_TIMEOUT_S)
        except (KafkaError, TimeoutError, NotImplementedError) as exc:
            await producer.stop()
            if is_idempotent and not isinstance(exc, KafkaConnectionError):
                continue
            raise ServiceUnreachable(
                f"Kafka does not answer at {bootstrap} ({origin_of('kafka_bootstrap')}): {exc}"
            ) from exc
        try:
            yield producer
        finally:
            await producer.stop()
        return
