"""Time as recorded events tell it, for traffic that is sent faster than life: simulations, replays.

A source is complete up to the greatest event time that is stored of it, so that a week passes in
seconds. That is true only where every source gets its events in the order of time. A source that
rests holds nobody back; how long it has rested is told by the records' own time.
"""

from __future__ import annotations

from dataclasses import astuple, dataclass
from typing import Any, Final

from tokentide_jobs.core.batch.progress_mark import ProgressMark
from tokentide_jobs.core.merge.completeness import UNKNOWN, Progress, wanted_sources

__all__ = ["RecordedProgress"]

_RESTS_US: Final = 30_000_000
"""A source without a new event for so long, and with none unread, is at its end."""
_EMPTY_US: Final = 5_000_000
"""The same of one that never had an event."""


@dataclass(slots=True)
class _Heard:
    log_id: str
    reached_us: int
    moved_us: int
    """Time of the record that first said so."""
    is_read: bool
    """Nothing was unread by then."""


class RecordedProgress(Progress):
    """The newest marks of every source; `now_us` is how far events are complete, 0 before that.

    Args:
        settle_us: How long after its end a window waits for events that are under way.
    """

    def __init__(self, settle_us: int) -> None:
        super().__init__(settle_us)
        self._stamp_us = 0
        self._heard: dict[tuple[str, int, int], _Heard] = {}

    @property
    def stamp_us(self) -> int:
        """Return the time of the newest record."""
        return self._stamp_us

    def clock(self, stamp_us: int) -> None:
        """Note the time of a record: it only tells how long a source has rested."""
        self._stamp_us = max(self._stamp_us, stamp_us)

    def note(self, partition: int, mark: ProgressMark) -> None:
        """Note a mark that came through a partition of the delta topic."""
        self._partitions = dict(sorted(mark.sources.items()))
        stream = mark.log.topic, mark.log.partition, partition
        known = self._heard.get(stream)
        if known is None or known.log_id != mark.log.log_id:
            known = _Heard(mark.log.log_id, UNKNOWN, self._stamp_us, False)
            self._heard[stream] = known
        if mark.max_event_us is not None and mark.max_event_us > known.reached_us:
            known.reached_us, known.moved_us = mark.max_event_us, self._stamp_us
        known.is_read = mark.lag_records == 0
        self.now_us = max(self.now_us, self._complete_us())

    def complete_us(self) -> int:
        """Return before which event time every source is complete; -1: nobody can say yet."""
        return self.now_us or UNKNOWN

    def begin_us(self, oldest_us: int) -> int:
        """Return where watching begins: with the oldest event, since all of it was recorded."""
        return oldest_us

    def closes(self, end_us: int) -> bool:
        """Tell whether a window that ends then waits for nothing any more."""
        return self.is_complete(end_us)

    def is_sure(self, _start_us: int) -> bool:
        """Tell whether a window was watched from its beginning: nothing recorded is missed."""
        return True

    def to_rows(self) -> list[Any]:
        """Return everything as plain values."""
        heard = [[*stream, *astuple(one)] for stream, one in sorted(self._heard.items())]
        return [self.now_us, self._partitions, heard, self._stamp_us]

    def restore(self, rows: list[Any]) -> None:
        """Take up what `to_rows` returned."""
        self.now_us, self._partitions, heard, self._stamp_us = rows
        self._heard = {
            (topic, number, partition): _Heard(*one) for topic, number, partition, *one in heard
        }

    def _complete_us(self) -> int:
        heard = self._heard.values()
        said = {(topic, number) for topic, number, _partition in self._heard}
        if not said >= wanted_sources(self._partitions):
            return UNKNOWN
        under_way = [one.reached_us for one in heard if not self._rests(one)]
        if under_way:
            return min(under_way)
        return max((one.reached_us for one in heard), default=UNKNOWN)

    def _rests(self, one: _Heard) -> bool:
        rests_us = _EMPTY_US if one.reached_us == UNKNOWN else _RESTS_US
        return one.is_read and self._stamp_us - one.moved_us >= rests_us
