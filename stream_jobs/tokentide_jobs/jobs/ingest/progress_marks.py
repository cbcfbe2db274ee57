"""Reports in band how far this worker has come: marks among the deltas, for their readers.

A mark follows the deltas it is about, since a position moves only after Kafka has them. Nothing
depends on a mark that is lost: the next one states the same and more.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Protocol

from aiokafka.errors import KafkaError

from tokentide_jobs.core.batch.ledger import LogPartition
from tokentide_jobs.core.batch.progress_mark import Arrivals, ProgressMark
from tokentide_jobs.errors import ConfigError, RetriableSinkError
from tokentide_jobs.jobs.ingest.partition import AssignedPartition

__all__ = ["MarkPublisher"]

_LOOK_S = 0.2
"""Between two looks which partitions there are, when none reports that it has moved."""
_ASK_S = 1.0
_ASK_IDLE_S = 5.0
"""Between two questions where logs end, while something moves and while nothing does. The clock's
seconds decide when: windows end at full ones, and readers wait for what is asked after that."""
_AFTER_S = 1.0
"""So long after a multiple of _ASK_IDLE_S: the default of `settle_seconds`, by which the detect job
waits after the end of a window. Where that is longer, it waits for the next marks."""
_WINDOW_S = 60
"""Windows of detection end at its multiples: what was there at their end is written at once."""
_STILL_S = 10.0
"""Nothing moved for so long: idle."""
_ANSWER_S = 5.0


class _Ends(Protocol):
    async def ask(self, wanted: Iterable[tuple[str, int]]) -> Mapping[tuple[str, int], int]: ...

    def partitions(self) -> Mapping[str, int]: ...


class MarkPublisher:
    """Publishes marks of the partitions of one worker; belongs to one event loop.

    Args:
        partitions: Returns those that are assigned now.
        ends: Knows where logs end.
        end_of_records: Returns where the records of a partition end that has come so far; less
            than the log's end where only markers of transactions follow.
        publish: Sends marks.
        moved: Set whenever a position has moved.
        clock_us: Epoch microseconds.
        monotonic_s: Seconds that never go back.
    """

    def __init__(
        self,
        partitions: Callable[[], Iterable[AssignedPartition]],
        ends: _Ends,
        end_of_records: Callable[[AssignedPartition, int], int],
        publish: Callable[[list[ProgressMark]], Awaitable[None]],
        moved: asyncio.Event,
        clock_us: Callable[[], int],
        monotonic_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._partitions = partitions
        self._ends = ends
        self._end_of_records = end_of_records
        self._publish = publish
        self._moved = moved
        self._clock_us = clock_us
        self._monotonic_s = monotonic_s
        self._arrivals: dict[LogPartition, Arrivals] = {}
        self._marked: dict[LogPartition, int] = {}
        """Position of the last mark."""
        self._moved_s = monotonic_s()
        self._ask_at_s = monotonic_s()
        self._asked_window = -1

    async def run(self) -> None:
        """Publish marks until cancelled."""
        while True:
            try:
                async with asyncio.timeout(_ANSWER_S):
                    await self.look()
            except (KafkaError, RetriableSinkError, ConfigError, TimeoutError, OSError):
                # The monitor reports a silent broker. Marks that are not sent hold readers
                # back, which is right: nothing is known.
                await asyncio.sleep(_ASK_S)
            await self._rest()

    async def _rest(self) -> None:
        """Return when a position has moved, logs are to be asked, or a look is due."""
        until_asked_s = self._ask_at_s - self._monotonic_s()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(min(_LOOK_S, max(0.0, until_asked_s))):
                await self._moved.wait()
        self._moved.clear()

    async def look(self) -> None:
        """Publish the marks that are due."""
        present = {partition.log: partition for partition in self._partitions()}
        for gone in self._arrivals.keys() - present.keys():
            # A partition that comes back begins again: other workers have moved it meanwhile.
            del self._arrivals[gone]
            self._marked.pop(gone, None)
        now_s = self._monotonic_s()
        due = present
        if now_s >= self._ask_at_s:
            await self._ask(present)
            # In this order: asked a moment before its second, a reader would wait for the next one.
            clock_s, now_s = self._clock_us() / 1e6, self._monotonic_s()
            is_idle = now_s - self._moved_s >= _STILL_S
            every_s = _ASK_IDLE_S if is_idle else _ASK_S
            self._ask_at_s = now_s + every_s - (clock_s - _AFTER_S) % every_s
        else:
            due = {log: p for log, p in present.items() if p.position != self._marked.get(log)}
        if due:
            await self._publish([self._mark(partition) for partition in due.values()])

    async def _ask(self, present: Mapping[LogPartition, AssignedPartition]) -> None:
        asked_us = self._clock_us()
        window = int(asked_us / 1e6 - _AFTER_S) // _WINDOW_S
        ends = await self._ends.ask([(log.topic, log.partition) for log in present])
        for log, partition in present.items():
            answered = ends.get((log.topic, log.partition))
            if answered is None:
                continue
            end = self._end_of_records(partition, answered)
            arrivals = self._arrivals.setdefault(log, Arrivals())
            if end != arrivals.log_end:
                self._moved_s = self._monotonic_s()
            arrivals.note(asked_us, end)
            if window != self._asked_window:
                partition.seal_at(end)
        self._asked_window = window  # not before: what Kafka does not answer is asked again

    def _mark(self, partition: AssignedPartition) -> ProgressMark:
        log, position = partition.log, partition.position
        arrivals = self._arrivals.setdefault(log, Arrivals())
        if self._marked.get(log) != position:
            self._moved_s = self._monotonic_s()
        self._marked[log] = position
        return ProgressMark(
            log=log,
            position=position,
            log_end=max(arrivals.log_end, position),
            arrived_us=arrivals.reached_us(position),
            max_event_us=partition.max_event_us,
            at_us=self._clock_us(),
            sources=self._ends.partitions(),
        )
