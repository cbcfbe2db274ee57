"""One Kafka record as fetched: the unit that is acknowledged, never split between batches."""

from __future__ import annotations

from typing import Final, NamedTuple

__all__ = ["Record", "record_ms"]

_LATEST_MS: Final = 10**13
"""In 2286. A producer may write any 64 bits as the time of a record."""


class Record(NamedTuple):
    """One Kafka record as fetched; a record without a value has `value=b""`."""

    partition: int
    offset: int
    timestamp_ms: int
    value: bytes


def record_ms(timestamp_s: float | None) -> int:
    """Return the time of a record as one that every column can hold; -1: it has none."""
    return (
        -1
        if timestamp_s is None
        else round(max(-0.001, min(timestamp_s, _LATEST_MS / 1000)) * 1000)
    )
