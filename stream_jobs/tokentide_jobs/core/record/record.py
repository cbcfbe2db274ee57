"""One Kafka record as fetched: the unit that is acknowledged, never split between batches."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["Record"]


class Record(NamedTuple):
    """One Kafka record as fetched; a record without a value has `value=b""`."""

    partition: int
    offset: int
    timestamp_ms: int
    value: bytes
