"""How far ingest has come with one partition, as marks state it in band with the deltas.

A mark is a fact about a moment: everything before `position` is stored, and its deltas stand before
the mark in every partition of the delta topic. It carries no sums, so marks may be repeated, lost
and come from two workers: a reader keeps the greatest value of each. Pure.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from tokentide_jobs.core.batch.ledger import LogPartition
from tokentide_jobs.core.tables import MINUTE_US
from tokentide_schemas.fields import MAX_EPOCH_US

__all__ = ["LATENESS_US", "PROGRESS_SCHEMA", "Arrivals", "ProgressMark"]

PROGRESS_SCHEMA: Final = "progress.v1"
"""The value of the header `schema` of a mark."""
LATENESS_US: Final = MINUTE_US
"""What `watermark_us` grants events that are under way. Detection waits by `settle_seconds`."""
_KEPT: Final = 512
_MOST_OFFSET: Final = 2**63 - 1
_MOST_SOURCES: Final = 10_000
"""Partitions that ingest reads, over all topics: a reader keeps something of each."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProgressMark:
    """What ingest knows of one source partition at one moment.

    Attributes:
        log: The source partition.
        position: Offset after what is stored and published.
        log_end: Offset that the next record will get, when the worker last asked.
        arrived_us: All records that were in the log at this time are stored and published; None
            where a worker does not know it yet, which takes nothing back.
        max_event_us: Greatest event time this worker has stored, never beyond its clock.
        at_us: The worker's clock.
        sources: Partitions of every topic that ingest reads: whose marks a reader must wait for.
    """

    log: LogPartition
    position: int
    log_end: int
    arrived_us: int | None
    max_event_us: int | None
    at_us: int
    sources: Mapping[str, int]

    @property
    def lag_records(self) -> int:
        """Records that are in the log and not stored yet."""
        return max(0, self.log_end - self.position)

    @property
    def watermark_us(self) -> int | None:
        """For readers without a lateness of their own; nothing of Tokentide reads it."""
        return None if self.arrived_us is None else self.arrived_us - LATENESS_US

    def to_json(self) -> bytes:
        """Return the value of the record; `log` stands in its headers."""
        fields = {
            "position": self.position,
            "log_end": self.log_end,
            "lag_records": self.lag_records,
            "arrived_us": self.arrived_us,
            "watermark_us": self.watermark_us,
            "max_event_us": self.max_event_us,
            "at_us": self.at_us,
            "sources": dict(self.sources),
        }
        return json.dumps(fields, separators=(",", ":")).encode()

    @classmethod
    def from_json(cls, log: LogPartition, value: bytes) -> ProgressMark:
        """Read a record's value back.

        Args:
            log: The source partition that the record's headers name.
            value: The record's value.

        Raises:
            ValueError: It is no mark.
        """
        try:
            fields = json.loads(value)
            return cls(
                log=log,
                position=_whole(fields["position"], _MOST_OFFSET),
                log_end=_whole(fields["log_end"], _MOST_OFFSET),
                arrived_us=_time_or_none(fields["arrived_us"]),
                max_event_us=_time_or_none(fields["max_event_us"]),
                at_us=_whole(fields["at_us"], MAX_EPOCH_US),
                sources=_sources(fields["sources"]),
            )
        except (KeyError, TypeError, ValueError, RecursionError) as exc:
            raise ValueError(f"a mark of {log} cannot be read: {exc!r} in {value[:200]!r}") from exc


def _whole(value: object, most: int) -> int:
    """Return a number after checking it: every writer of the topic may have sent the mark."""
    if type(value) is not int or not 0 <= value <= most:
        raise ValueError(f"no whole number from 0 to {most}")
    return value


def _time_or_none(value: object) -> int | None:
    return None if value is None else _whole(value, MAX_EPOCH_US)


def _sources(value: Any) -> dict[str, int]:
    if not isinstance(value, dict):
        raise TypeError("sources are no mapping of topics to partitions")
    found = {topic: _whole(count, _MOST_SOURCES) for topic, count in value.items()}
    if sum(found.values()) > _MOST_SOURCES:
        raise ValueError(f"sources of more than {_MOST_SOURCES:,} partitions")
    return found


class Arrivals:
    """When records had arrived: ends of one log with the times at which they were asked for.

    Offsets say it without any producer's clock: once everything before an end is stored, so is
    everything that had arrived when the log ended there.
    """

    def __init__(self) -> None:
        self.log_end = 0
        """The newest end, 0 before the first."""
        self._ends: deque[tuple[int, int]] = deque()
        self._reached_us: int | None = None

    def note(self, asked_us: int, log_end: int) -> None:
        """Note where the log ended.

        Args:
            asked_us: Time before the broker was asked.
            log_end: Its answer.
        """
        while self._ends and self._ends[-1][1] >= log_end:
            self._ends.pop()
        self._ends.append((asked_us, log_end))
        self.log_end = log_end
        if len(self._ends) > _KEPT:
            # Forgetting an end only makes the answer older for a while. The oldest and the newest
            # stay: a backlog of days is reported in steps.
            self._ends = deque([*list(self._ends)[:-1:2], self._ends[-1]])

    def reached_us(self, position: int) -> int | None:
        """Return the time up to which everything that had arrived is before `position`."""
        while self._ends and self._ends[0][1] <= position:
            self._reached_us = self._ends.popleft()[0]
        return self._reached_us
