"""A few megabytes at a time of what a consumer has fetched, whatever the size of the records.

A fetch is small on the wire and can be hundreds of megabytes in memory. aiokafka hands on a number
of records, and all of them by default; what is handed on cannot be put back.
"""

from __future__ import annotations

from collections.abc import Awaitable, Mapping
from typing import Any, Final, Protocol

from aiokafka.errors import KafkaError

from tokentide_jobs.io.kafka.bounded_fetch import records_per_poll

__all__ = ["bounded_poll"]

_POLL_BYTES: Final = 8 * 1024 * 1024
"""What is handed on at once, and never much more than one large record beyond it."""
_STEP_RECORDS: Final = 16
"""Frames of 256 KiB that are 4 MiB."""


class Fetch(Protocol):
    """Takes records out of what was fetched."""

    def __call__(
        self, *, timeout: float | None, max_records: int | None
    ) -> Awaitable[Mapping[Any, list[Any]]]:
        """Return records by partition; none when there is none in time."""


async def bounded_poll(
    consumer: Any,
    fetch: Fetch,
    timeout: float | None,  # noqa: ASYNC109 -- it is handed on to aiokafka
    most_records: int | None,
) -> dict[Any, list[Any]]:
    """Take records by partition until they are a few megabytes or there are no more.

    Args:
        consumer: Whose fetches they are.
        fetch: Takes some of them.
        timeout: Seconds to wait for the first ones.
        most_records: No more than these; None: any number.
    """
    found: dict[Any, list[Any]] = {}
    bytes_ = count = 0
    while bytes_ < _POLL_BYTES and (most_records is None or count < most_records):
        left = _STEP_RECORDS if most_records is None else min(_STEP_RECORDS, most_records - count)
        try:
            step = await fetch(
                timeout=0 if found else timeout, max_records=records_per_poll(consumer, left)
            )
        except KafkaError:
            if found:
                break  # what is found would be lost; the error comes again with the next fetch
            raise
        if not step:
            break
        for partition, records in step.items():
            found.setdefault(partition, []).extend(records)
            count += len(records)
            bytes_ += sum(len(record.value or b"") for record in records)
    return found
