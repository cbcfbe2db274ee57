"""Time as recorded events have it, for traffic that is sent faster than life: simulations, replays.

A source is complete up to the greatest event time that is stored of it, so that a week passes in
seconds. That is true only where events are sent in the order of time. A source that had nothing
unread when another one got somewhere is as far as that one, so an idle source holds no other back.
"""

from __future__ import annotations

from dataclasses import astuple, dataclass
from typing import Any

from tokentide_jobs.core.batch.progress_mark import ProgressMark
from tokentide_jobs.core.merge.completeness import UNKNOWN, Progress, wanted_sources

__all__ = ["RecordedProgress"]


@dataclass(slots=True)
class _Source:
    log_id: str
    reached_us: int = UNKNOWN
    """Greatest event time that is stored."""
    arrived_us: int = UNKNOWN
    """What had arrived by then is stored."""


class RecordedProgress(Progress):
    """The newest marks of every source; `now_us` is how far events are complete, 0 before that.

    Args:
        settle_us: How long after its end a window waits for events that are under way.
    """

    def __init__(self, settle_us: int) -> None:
        super().__init__(settle_us)
        self._stamp_us = 0
        self._passed_over_until_us = 0
        self._sources: dict[tuple[str, int, int], _Source] = {}
        self._steps: list[tuple[int, int]] = []
        """When the first source had got to an event time: clock of ingest, event time."""

    @property
    def stamp_us(self) -> int:
        """Return the time of the newest record."""
        return self._stamp_us

    def clock(self, stamp_us: int) -> None:
        """Note the time of a record; nothing is decided by it."""
        self._stamp_us = max(self._stamp_us, stamp_us)

    def pass_over(self, until_us: int) -> None:
        """Note before which event time deltas are passed over: nothing there can be watched."""
        self._passed_over_until_us = until_us

    def note(self, partition: int, mark: ProgressMark) -> None:
        """Note a mark that came through a partition of the delta topic."""
        self._partitions = dict(sorted(mark.sources.items()))
        stream = mark.log.topic, mark.log.partition, partition
        known = self._sources.get(stream)
        if known is None or known.log_id != mark.log.log_id:
            known = self._sources[stream] = _Source(mark.log.log_id)
        if mark.arrived_us is not None:
            known.arrived_us = max(known.arrived_us, mark.arrived_us)
        if mark.max_event_us is not None:
            known.reached_us = max(known.reached_us, mark.max_event_us)
            if mark.max_event_us > (self._steps[-1][1] if self._steps else self.now_us):
                self._steps.append((mark.at_us, mark.max_event_us))
        self.now_us = max(self.now_us, self._complete_us())
        self._steps = [step for step in self._steps if step[1] > self.now_us]

    def complete_us(self) -> int:
        """Return before which event time every source is complete; -1: not known yet."""
        return self.now_us or UNKNOWN

    def begin_us(self, oldest_us: int) -> int:
        """Return where watching begins: with the oldest event that is not passed over."""
        return max(oldest_us, self._passed_over_until_us)

    def closes(self, end_us: int) -> bool:
        """Tell whether a window that ends then waits for nothing any more."""
        return self.is_complete(end_us)

    def is_complete(self, end_us: int) -> bool:
        """Tell whether everything before an instant is there, and calls had time to end."""
        return self.complete_us() >= end_us + self.settle_us

    def is_sure(self, _start_us: int) -> bool:
        """Tell whether a window was watched from its beginning: nothing recorded is missed."""
        return True

    def to_rows(self) -> list[Any]:
        """Return everything as plain values."""
        sources = [[*stream, *astuple(one)] for stream, one in sorted(self._sources.items())]
        steps = [list(step) for step in self._steps]
        passed_us = self._passed_over_until_us
        return [self.now_us, self._partitions, sources, steps, self._stamp_us, passed_us]

    def restore(self, rows: list[Any]) -> None:
        """Take up what `to_rows` returned."""
        self.now_us, self._partitions, sources, steps, self._stamp_us, passed_us = rows
        self._passed_over_until_us = passed_us
        self._sources = {
            (topic, number, partition): _Source(*one) for topic, number, partition, *one in sources
        }
        self._steps = [(at_us, reached_us) for at_us, reached_us in steps]

    def _complete_us(self) -> int:
        known_sources = {(topic, number) for topic, number, _partition in self._sources}
        if not known_sources >= wanted_sources(self._partitions):
            return UNKNOWN
        return min(max(one.reached_us, self._passed_us(one)) for one in self._sources.values())

    def _passed_us(self, one: _Source) -> int:
        """Return the event time that others had got to when this one had nothing unread."""
        passed = (reached_us for at_us, reached_us in self._steps if at_us <= one.arrived_us)
        return max(passed, default=UNKNOWN)
