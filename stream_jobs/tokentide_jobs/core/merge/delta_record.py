"""What a record of the delta topic is: its schema, the batch that it comes from, its number there.

Headers say all of it, so that a record which is known already is dropped before it is decoded.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from tokentide_jobs.core.batch.ledger import LogPartition
from tokentide_jobs.errors import PipelineError

__all__ = ["DeltaRecord", "Origin", "UnreadableDelta", "origin_of"]

_TEXTS: Final = ("schema", "log_id", "topic")
_NUMBERS: Final = ("partition", "start", "end", "chunk")
_MOST: Final = 2**63 - 1


class UnreadableDelta(PipelineError):
    """A record of the delta topic that no version of ingest has written."""


@dataclass(frozen=True, slots=True)
class DeltaRecord:
    """One record as it came from Kafka."""

    partition: int
    """Of the delta topic."""
    offset: int
    stamp_us: int
    """Time of the record: the only clock of everything that is decided by it."""
    headers: tuple[tuple[str, bytes | None], ...]
    """Kafka allows a header without a value."""
    value: bytes


@dataclass(frozen=True, slots=True)
class Origin:
    """Which part of which batch a record is: a batch is [start, end) of a source's offsets."""

    schema: str
    source: LogPartition
    start: int
    end: int
    chunk: int


def origin_of(headers: Iterable[tuple[str, bytes | None]]) -> Origin:
    """Read the coordinates of a record.

    Raises:
        UnreadableDelta: A header is missing or empty, or is no number where one belongs.
    """
    found = dict(headers)
    try:
        schema, log_id, topic = (_given(found[name]).decode() for name in _TEXTS)
        numbers = [int(_given(found.get(name, b"0"))) for name in _NUMBERS]
    except (KeyError, ValueError) as exc:
        raise UnreadableDelta(f"the headers of a delta cannot be read: {exc!r}") from None
    partition, start, end, chunk = numbers
    if min(numbers) < 0 or max(numbers) > _MOST or end < start:
        given = dict(zip(_NUMBERS, numbers, strict=True))
        raise UnreadableDelta(f"the headers of a delta name no part of a batch: {given}")
    return Origin(schema, LogPartition(log_id, topic, partition), start, end, chunk)


def _given(value: bytes | None) -> bytes:
    if value is None:
        raise ValueError("a header without a value")
    return value
