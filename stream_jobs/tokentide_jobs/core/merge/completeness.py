"""How far event time is complete over all sources, by the marks that they put beside their deltas.

A source reports in band up to when its events have arrived, an idle one up to now. The slowest one
counts: one that lags, rests or is silent holds time back, and after a stated time windows are given
up as incomplete. The only clock is the time of the records, so that reading them again decides the
same.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import astuple, dataclass
from typing import Any, Final, TypeAlias

from tokentide_jobs.core.batch.progress_mark import ProgressMark

__all__ = ["AHEAD_US", "GIVEN_UP_US", "UNKNOWN", "Progress", "wanted_sources"]

_SECOND_US: Final = 1_000_000
UNKNOWN: Final = -1
"""A time that is not known yet."""
GIVEN_UP_US: Final = 180 * _SECOND_US
"""A window is given up when it is not complete so long after its end."""
AHEAD_US: Final = 120 * _SECOND_US
"""A clock that is further ahead of the database's is not accepted. Less than GIVEN_UP_US: beyond
that, one clock gives up windows before the marks of other partitions have come."""
_FORGOTTEN_US: Final = 900 * _SECOND_US
"""A source without a mark for so long is gone: its topic was deleted, or has no reader."""
_SILENCE_US: Final = 20 * _SECOND_US
"""Marks come every five seconds at least: after a longer pause something was away."""
_AFTER_SILENCE_US: Final = 20 * _SECOND_US
"""After such a pause no window closes for so long: producers may only now find the broker again."""
_GAP_US: Final = 60 * _SECOND_US
"""Marks further apart than this show nothing of the time between them."""
_AFTER_GAP_US: Final = 120 * _SECOND_US
"""After such a gap producers send what they have kept, and only then everything is there."""

_Stream: TypeAlias = "tuple[str, int, int]"
"""Topic and partition of a source, and the partition of the delta topic through which it came."""


@dataclass(slots=True)
class _Reached:
    complete_us: int
    marked_us: int
    log_id: str
    unsure_until_us: int
    """Windows that begin before this are not known whole, whatever marks come later."""
    waits_until_us: int
    """No window closes as complete before this."""


class Progress:
    """The newest marks of every source in every partition of the delta topic.

    Args:
        settle_us: How long after its end a window waits for events that are under way.
    """

    def __init__(self, settle_us: int) -> None:
        self.settle_us = settle_us
        self.now_us = 0
        self._reached: dict[_Stream, _Reached] = {}
        self._partitions: dict[str, int] = {}

    @property
    def stamp_us(self) -> int:
        """Return the time of the newest record."""
        return self.now_us

    def clock(self, stamp_us: int) -> None:
        """Note the time of a record; time never goes back."""
        self.now_us = max(self.now_us, stamp_us)

    def note(self, partition: int, mark: ProgressMark) -> None:
        """Note a mark that came through a partition of the delta topic, at the present."""
        self._partitions = dict(sorted(mark.sources.items()))
        stream = mark.log.topic, mark.log.partition, partition
        complete_us = UNKNOWN if mark.arrived_us is None else mark.arrived_us
        known = self._reached.get(stream)
        if known is None or known.log_id != mark.log.log_id:
            # A topic that was made again begins again.
            known = _Reached(UNKNOWN, self.now_us, mark.log.log_id, UNKNOWN, UNKNOWN)
            self._reached[stream] = known
        silent_us = self.now_us - known.marked_us
        if silent_us > _SILENCE_US:
            known.waits_until_us = self.now_us + _AFTER_SILENCE_US
        if silent_us > _GAP_US:
            known.unsure_until_us = self.now_us + _AFTER_GAP_US
        if known.complete_us == UNKNOWN:
            # What came before was not watched from here.
            known.unsure_until_us = max(known.unsure_until_us, complete_us)
        known.marked_us = self.now_us
        known.complete_us = max(known.complete_us, complete_us)
        # By a mark and not by the clock: after an outage of all sources, all had a gap.
        self._reached = {
            one: reached
            for one, reached in self._reached.items()
            if self.now_us - reached.marked_us <= _FORGOTTEN_US
        }

    def pass_over(self, _until_us: int) -> None:
        """Note before which event time deltas are passed over, since they are stored already.

        By the clock that changes nothing: watching begins at the present.
        """

    def complete_us(self) -> int:
        """Return before which event time every source is complete; -1: of some it is unknown."""
        known_sources = {(topic, number) for topic, number, _partition in self._reached}
        if not known_sources >= wanted_sources(self._partitions):
            return UNKNOWN
        return min((one.complete_us for one in self._reached.values()), default=UNKNOWN)

    def begin_us(self, _oldest_us: int) -> int:
        """Return where watching begins; what lies before it was not watched from here.

        Args:
            _oldest_us: Start of the oldest window that holds something.
        """
        return self.complete_us()

    def closes(self, end_us: int) -> bool:
        """Tell whether a window that ends then waits for nothing any more."""
        return self.is_complete(end_us) or self.now_us >= end_us + self.settle_us + GIVEN_UP_US

    def is_complete(self, end_us: int) -> bool:
        """Tell whether all that arrived before an instant, and soon after, is there."""
        waits_until_us = max((one.waits_until_us for one in self._reached.values()), default=0)
        return self.now_us >= waits_until_us and self.complete_us() >= end_us + self.settle_us

    def is_sure(self, start_us: int) -> bool:
        """Tell whether a window that begins then was watched from its beginning."""
        return all(start_us >= one.unsure_until_us for one in self._reached.values())

    def to_rows(self) -> list[Any]:
        """Return everything as plain values."""
        reached = [[*stream, *astuple(one)] for stream, one in sorted(self._reached.items())]
        return [self.now_us, self._partitions, reached]

    def restore(self, rows: list[Any]) -> None:
        """Take up what `to_rows` returned."""
        self.now_us, self._partitions, streams = rows
        self._reached = {
            (topic, number, partition): _Reached(*reached)
            for topic, number, partition, *reached in streams
        }


def wanted_sources(partitions: Mapping[str, int]) -> set[tuple[str, int]]:
    """Return every source, by topic and partition, of which marks have to come."""
    return {(topic, number) for topic, count in partitions.items() for number in range(count)}
