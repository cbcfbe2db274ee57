"""Where the log of a topic begins and ends, the same on every broker.

The end is the last stable offset of a Fetch answer: no reader gets what comes after it before an
open transaction ends. How much that is, is reported too. ListOffsets is not asked: Tansu answers it
with the *first* offset of the last batch plus one, which would hide all other records of it.
"""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple

from aiokafka.errors import UnknownTopicOrPartitionError, for_code
from aiokafka.protocol.fetch import FetchRequest
from aiokafka.protocol.offset import OffsetRequest

from tokentide_jobs.errors import ServiceUnreachable
from tokentide_jobs.io.kafka.clients import admin_client, plain_client, unreadable_topic

__all__ = ["OffsetRange", "StableEnd", "end_offsets", "offset_ranges", "stable_ends"]

_EARLIEST, _LATEST = -2, -1
_CONSUMER = -1
_READ_UNCOMMITTED = 0
_FETCH_WAIT_MS = 20
"""Kafka answers at once, since no bytes are asked for; Tansu answers nothing at all to 0 ms."""

_DEADLINE_S = 10.0
_PAUSE_S = 0.02


@dataclass(frozen=True, slots=True)
class OffsetRange:
    """What one partition holds: offsets [start, end).

    Attributes:
        start: The oldest.
        end: Where readers stop: the last stable offset.
        behind_transaction: Offsets from `end` on that are written and acknowledged, and that no
            reader gets before an open transaction ends: its own, and all others behind it.
    """

    start: int
    end: int
    behind_transaction: int = 0


class StableEnd(NamedTuple):
    """Where readers stop, and how many offsets wait beyond it for an open transaction."""

    end: int
    behind_transaction: int


async def offset_ranges(
    bootstrap: str, topic: str, *, is_new: bool = False
) -> dict[int, OffsetRange]:
    """Return what every partition of a topic holds now, by partition.

    Args:
        bootstrap: `host:port`, several separated by commas.
        topic: An existing topic; asking never creates one.
        is_new: It was created a moment ago: wait until the brokers know it and can take records.

    Raises:
        ServiceUnreachable: No broker answers, or a partition has no leader for ten seconds.
        ConfigError: There is no such topic.
    """
    deadline = time.monotonic() + _DEADLINE_S
    while True:
        partitions, found = await _ask_leaders(bootstrap, topic)
        if partitions and found.keys() == partitions:
            return dict(sorted(found.items()))
        if partitions is None and not is_new:
            raise unreadable_topic(bootstrap, topic, UnknownTopicOrPartitionError.errno)
        if time.monotonic() > deadline:
            raise ServiceUnreachable(
                f"partitions {sorted((partitions or set()) - found.keys())} of {topic} have no "
                f"leader that answers at {bootstrap}: look at the brokers"
            )
        await asyncio.sleep(_PAUSE_S)


async def end_offsets(bootstrap: str, topic: str) -> dict[int, int]:
    """Return the offset the next record gets, by partition; raises as `offset_ranges` does."""
    ranges = await offset_ranges(bootstrap, topic)
    return {partition: held.end for partition, held in ranges.items()}


async def _ask_leaders(
    bootstrap: str, topic: str
) -> tuple[set[int] | None, dict[int, OffsetRange]]:
    """Return all partitions (None: no such topic) and the ranges whose leader answered."""
    leaders: dict[int, list[int]] = defaultdict(list)
    async with admin_client(bootstrap) as admin:
        # All topics are listed: asking for one by name creates it on brokers that allow that.
        described = {found["topic"]: found for found in await admin.describe_topics()}
    if topic not in described:
        return None, {}
    partitions = {part["partition"] for part in described[topic]["partitions"]}
    for part in described[topic]["partitions"]:
        if part["leader"] >= 0:
            leaders[part["leader"]].append(part["partition"])
    found: dict[int, OffsetRange] = {}
    async with plain_client(bootstrap) as client:
        for leader, led_partitions in leaders.items():
            starts = await _listed(client, leader, topic, led_partitions, _EARLIEST)
            ends = await stable_ends(client, leader, topic, led_partitions)
            found |= {
                partition: OffsetRange(starts[partition], *ends[partition])
                for partition in starts.keys() & ends.keys()
            }
    return partitions, found


async def _listed(
    client: Any, leader: int, topic: str, partitions: Iterable[int], when: int
) -> dict[int, int]:
    wanted = [(topic, [(partition, when) for partition in partitions])]
    answer = await client.send(leader, OffsetRequest(_CONSUMER, _READ_UNCOMMITTED, wanted))
    return {
        partition: offset
        for _topic, rows in answer.topics
        for partition, error_code, _time, offset in rows
        if _is_answer(topic, error_code)
    }


async def stable_ends(
    client: Any, leader: int, topic: str, partitions: Iterable[int]
) -> dict[int, StableEnd]:
    """Ask a leader where its partitions end; those that it does not know now are left out."""
    listed = await _listed(client, leader, topic, partitions, _LATEST)
    if not listed:
        return {}
    wanted = [(topic, [(partition, offset, 1) for partition, offset in listed.items()])]
    request = FetchRequest(_FETCH_WAIT_MS, 0, 1, _READ_UNCOMMITTED, wanted)
    answer = await client.send(leader, request)
    return {
        row[0]: _stable_end(row)
        for _topic, rows in answer.topics
        for row in rows
        if _is_answer(topic, row[1])
    }


def _stable_end(row: tuple[Any, ...]) -> StableEnd:
    """Return the end of what is committed; brokers older than transactions know only one end.

    The difference begins with the first record of an open transaction, as long as the log has it.
    Where that one was deleted meanwhile, the stable end is the log's start, and nothing but markers
    of other transactions may be left behind it.
    """
    _partition, _error_code, high_watermark, stable_end, *_rest = row
    is_known = isinstance(stable_end, int) and stable_end >= 0
    end = min(high_watermark, stable_end) if is_known else int(high_watermark)
    return StableEnd(end, high_watermark - end)


def _is_answer(topic: str, error_code: int) -> bool:
    """Tell an answer from a temporary error: a new leader does not know its log yet."""
    if error_code and not for_code(error_code).retriable:
        raise unreadable_topic("the partition's leader", topic, error_code)
    return not error_code
