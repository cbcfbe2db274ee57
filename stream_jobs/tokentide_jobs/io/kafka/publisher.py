"""What ingest sends to Kafka, acknowledged before a batch is done.

Dead letters, and for detection deltas, steps and changes. They may be sent again after a crash, so
they carry coordinates by which readers deduplicate: a dead letter those of its event, the others
those of their batch and chunk. Marks of progress follow what they are about, in every partition of
the topic.
"""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import Coroutine, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

import numpy as np
import polars as pl
import pyarrow as pa
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from tokentide_jobs.core.batch.ledger import Intent, LogPartition
from tokentide_jobs.core.batch.progress_mark import PROGRESS_SCHEMA, ProgressMark
from tokentide_jobs.core.change.change_rows import CHANGES
from tokentide_jobs.core.guard.step_rows import STEPS
from tokentide_jobs.core.outcome.ipc import to_ipc
from tokentide_jobs.core.tables import SUBJECTS, WINDOWS
from tokentide_jobs.core.window.fold import DIMENSIONS
from tokentide_jobs.errors import RetriableSinkError
from tokentide_jobs.io.kafka.refusal import refusal
from tokentide_schemas.topics import DEADLETTER, WINDOWS_TOPIC

__all__ = ["PUBLISHED", "KafkaPublisher", "delta_chunks"]

Headers = list[tuple[str, bytes]]

_CHUNK_BYTES: Final = 900_000
"""Below the smallest usual limit of a record (1 MB)."""
_UNPACKED_BYTES: Final = 3 * _CHUNK_BYTES // 2
"""More than this rarely packs into a chunk: ids and money, which steps are made of, hardly pack."""
_MOST_OFFSET: Final = (1 << 31) - 1

PUBLISHED: Final[Mapping[str, tuple[str, Sequence[str]]]] = {
    WINDOWS: ("windows.v1", DIMENSIONS),
    SUBJECTS: ("subjects.v1", ("kind", "subject")),
    STEPS: ("steps.v1", ("tenant", "run")),
    CHANGES: ("changes.v1", ("kind", "subject")),
}
"""Table, STEPS or CHANGES -> name of the schema, and the columns that make a series."""

_SEND_TIMEOUT_S: Final = 60.0


class KafkaPublisher:
    """Publishes from worker threads through one producer that lives on an event loop.

    Args:
        bootstrap: Brokers.
        loop: The loop the producer lives on; it must not be the caller's.
    """

    def __init__(self, bootstrap: str, loop: asyncio.AbstractEventLoop) -> None:
        self._bootstrap = bootstrap
        self._loop = loop
        self._producer: AIOKafkaProducer | None = None
        self._partitions: list[int] = []

    async def start(self) -> None:
        """Connect. A lost connection is re-established by the producer itself."""
        # Without idempotence: readers deduplicate by coordinates, and not every broker
        # offers it.
        producer = AIOKafkaProducer(
            bootstrap_servers=self._bootstrap,
            acks="all",
            # Deltas are Arrow streams with LZ4 buffers already; aiokafka's own lz4, of level 9,
            # took a tenth of the worker's CPU to save nothing.
            compression_type=None,
            max_request_size=DEADLETTER.max_message_bytes,
            linger_ms=2,
        )
        await producer.start()
        self._partitions = sorted(await producer.partitions_for(WINDOWS_TOPIC.name))
        self._producer = producer

    async def stop(self) -> None:
        """Flush and disconnect; safe to call twice."""
        producer, self._producer = self._producer, None
        if producer is not None:
            await producer.stop()

    def publish_dead_letters(self, dead_letters: pa.Table, intent: Intent) -> None:
        """Send refused events, one a record: their bytes, and the reason in the headers.

        Raises:
            RetriableSinkError: The broker does not have all of them.
        """
        self._wait(DEADLETTER.name, self._send_dead_letters(dead_letters, intent))

    def publish_deltas(self, table: str, deltas: pa.Table, intent: Intent) -> None:
        """Send deltas, steps or changes, one record a partition or several; raises as above.

        All go to one topic, distinguished by the header `schema`: a reader has one position, and
        gets the windows of a batch before its subjects.
        """
        records: list[tuple[int | None, bytes, bytes, Headers]] = []
        schema, series = PUBLISHED[table]
        key = intent.write_token(schema.partition(".")[0]).encode()
        for place, chunk, value in delta_chunks(deltas, len(self._partitions), series):
            headers = [*_coordinates(intent, schema), ("chunk", str(chunk).encode())]
            records.append((self._partitions[place], key, value, headers))
        self._wait(WINDOWS_TOPIC.name, self._send_all(WINDOWS_TOPIC.name, records))

    async def publish_marks(self, marks: Iterable[ProgressMark]) -> None:
        """Send marks to every partition of the topic of deltas; for the loop of the producer.

        Raises:
            RetriableSinkError: The producer is not connected.
            KafkaError: The broker does not have all of them.
        """
        records: list[tuple[int | None, bytes, bytes, Headers]] = []
        for mark in marks:
            log, value = mark.log, mark.to_json()
            key = f"progress/{log.log_id}/{log.topic}/{log.partition}".encode()
            headers = _source(log, PROGRESS_SCHEMA)
            records += [(partition, key, value, headers) for partition in self._partitions]
        await self._send_all(WINDOWS_TOPIC.name, records)

    def _wait(self, topic: str, work: Coroutine[Any, Any, None]) -> None:
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            future.result(_SEND_TIMEOUT_S)
        except (KafkaError, TimeoutError, OSError) as exc:
            future.cancel()
            raise RetriableSinkError(f"Kafka: {refusal(exc, topic)}") from exc

    async def _send_dead_letters(self, dead_letters: pa.Table, intent: Intent) -> None:
        log = intent.log
        records: list[tuple[int | None, bytes, bytes, Headers]] = []
        for row in pl.DataFrame(dead_letters).iter_rows(named=True):
            key = f"{log.topic}/{log.partition}/{row['_offset']}/{row['_idx']}"
            headers = _coordinates(intent, "deadletter.v1")
            headers += [(name, row[name].encode()) for name in ("reason", "field", "detail")]
            headers += [(name, str(row[f"_{name}"]).encode()) for name in ("offset", "idx")]
            records.append((None, key.encode(), row["value"], headers))
        await self._send_all(DEADLETTER.name, records)

    async def _send_all(
        self, topic: str, records: list[tuple[int | None, bytes, bytes, Headers]]
    ) -> None:
        producer = self._connected()
        sent = [
            await producer.send(topic, value, key=key, partition=partition, headers=headers)
            for partition, key, value, headers in records
        ]
        await asyncio.gather(*sent)

    def _connected(self) -> AIOKafkaProducer:
        if self._producer is None:
            raise RetriableSinkError("Kafka: the producer is not connected")
        return self._producer


def delta_chunks(
    deltas: pa.Table, partitions: int, series: Sequence[str] = DIMENSIONS
) -> Iterator[tuple[int, int, bytes]]:
    """Cut deltas into records: yields (partition, chunk number, Arrow stream).

    A series always goes to the same partition, whatever the version of any library: its number is
    the CRC-32 of the columns that make it, modulo the number of partitions.
    """
    deltas = _with_short_offsets(deltas)
    if partitions == 1:
        yield from ((0, chunk, value) for chunk, value in enumerate(_within_limit(deltas)))
        return
    named = pl.DataFrame(deltas.select(series))
    names = named.select(pl.concat_str(pl.all().cast(pl.String), separator="\x1f").cast(pl.Binary))
    crcs = map(zlib.crc32, names.to_series().to_list())
    partition_of = np.fromiter(crcs, np.int64, len(names)) % partitions
    # Sorted once: a slice of an Arrow table costs nothing, a filter all its columns. Stable, so
    # that a repeated batch has the same rows in the same chunks.
    rows = deltas.take(np.argsort(partition_of, kind="stable"))
    start = 0
    for partition, size in enumerate(np.bincount(partition_of, minlength=partitions).tolist()):
        if size:
            for chunk, value in enumerate(_within_limit(rows.slice(start, size))):
                yield partition, chunk, value
        start += size


def _within_limit(rows: pa.Table) -> Iterator[bytes]:
    rows = _without_long_dictionaries(rows)
    # Packing costs most of this, so what will not fit is cut before it.
    if rows.nbytes <= _UNPACKED_BYTES or rows.num_rows == 1:
        value = to_ipc(rows, compress=True)
        if len(value) <= _CHUNK_BYTES or rows.num_rows == 1:
            yield bytes(value)
            return
    middle = rows.num_rows // 2
    yield from _within_limit(rows.slice(0, middle))
    yield from _within_limit(rows.slice(middle))


def _without_long_dictionaries(rows: pa.Table) -> pa.Table:
    """Return the rows with a dictionary only where it is shorter than they are.

    A slice keeps the dictionary of the whole: however often it is cut, it would not get smaller.
    """
    for place, field in enumerate(rows.schema):
        if not pa.types.is_dictionary(field.type):
            continue
        column = rows.column(place)
        if sum(len(chunk.dictionary) for chunk in column.chunks) > rows.num_rows:
            rows = rows.set_column(place, field.name, column.cast(pa.string()))
    return rows


def _with_short_offsets(rows: pa.Table) -> pa.Table:
    """Return the rows with offsets of four bytes a text, which are half as much to pack."""
    if rows.nbytes > _MOST_OFFSET:
        return rows
    fields = [
        field.with_type(pa.string()) if pa.types.is_large_string(field.type) else field
        for field in rows.schema
    ]
    return rows.cast(pa.schema(fields))


def _coordinates(intent: Intent, schema: str) -> Headers:
    ends = (("start", intent.start), ("end", intent.end))
    return _source(intent.log, schema) + [(name, str(at).encode()) for name, at in ends]


def _source(log: LogPartition, schema: str) -> Headers:
    fields = {
        "schema": schema,
        "log_id": log.log_id,
        "topic": log.topic,
        "partition": log.partition,
    }
    return [(name, str(value).encode()) for name, value in fields.items()]
