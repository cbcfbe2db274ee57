"""The clock of the database in a detect worker, and clocks that are ahead of it.

Every worker and every person's machine has a clock, and one of them may be wrong. The database has
one for all, so it decides what is history, which silence holds, and whose times are not accepted.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable
from typing import Final

from tokentide_jobs.core.decide.decisions import Ahead
from tokentide_jobs.core.merge.completeness import AHEAD_US
from tokentide_jobs.core.tables import DETECTOR_STATE, MINUTE_US
from tokentide_jobs.counted import counted

__all__ = ["DatabaseClock"]

_ASK_S: Final = 60.0
_ASK_AGAIN_S: Final = 1.0
_RECENT_S: Final = 60.0
"""Marks come every five seconds: whose was not ahead for so long has a right clock, or is gone."""
_NAMED: Final = 4


class DatabaseClock:
    """The database's time, reckoned from the last answer.

    Args:
        ask: Returns the database's time in epoch microseconds.
        monotonic_s: Seconds that never go back.
    """

    def __init__(
        self, ask: Callable[[], int], monotonic_s: Callable[[], float] = time.monotonic
    ) -> None:
        self._ask = ask
        self._monotonic_s = monotonic_s
        self._answer: tuple[int, float] | None = None
        self._ahead: dict[str, tuple[int, float]] = {}
        self._reached_ahead_us = 0

    def now_us(self, newest_us: int = 0) -> int:
        """Return the time.

        Args:
            newest_us: Of a record. Before it is taken for one of a clock that is ahead, the
                database is asked: this machine may have slept since the last answer.
        """
        now_us, since_s = self._reckoned()
        is_ahead = newest_us > now_us + AHEAD_US
        if since_s < (_ASK_AGAIN_S if is_ahead else _ASK_S):
            return now_us
        self._answer = self._ask(), self._monotonic_s()
        return self._answer[0]

    def reckoned_us(self) -> int:
        """Return the time without a query, for callers that may not wait; 0: not queried yet."""
        return self._reckoned()[0]

    def note(self, ahead: Iterable[Ahead], reached_us: int) -> None:
        """Note what was not believed, and how far time has come by what was.

        Args:
            ahead: What was found.
            reached_us: Time of the stream, where that is time by the clock.
        """
        now_s = self._monotonic_s()
        recent = {name: one for name, one in self._ahead.items() if now_s - one[1] < _RECENT_S}
        for one in ahead:
            recent[f"{one.source.topic}/{one.source.partition}"] = one.by_us, now_s
        self._ahead = recent
        self._reached_ahead_us = reached_us - self.now_us()

    @property
    def problem(self) -> str:
        """Return which clocks are ahead and what to do; empty: none is."""
        if self._reached_ahead_us > AHEAD_US:
            return (
                f"detection has come {_minutes(self._reached_ahead_us)} beyond the clock of the "
                "database, which was set back: nothing is judged until that is there. To begin "
                "again from what is stored, stop this worker, "
                f"TRUNCATE TABLE {DETECTOR_STATE}, and start it"
            )
        now_s = self._monotonic_s()
        recent = {
            name: by_us for name, (by_us, at_s) in self._ahead.items() if now_s - at_s < _RECENT_S
        }
        if not recent:
            return ""
        more = f" and {len(recent) - _NAMED} more" if len(recent) > _NAMED else ""
        return (
            f"the clock of the ingest worker of {', '.join(sorted(recent)[:_NAMED])}{more} is "
            f"{_minutes(max(recent.values()))} ahead of the database's: its times are not "
            "believed, and no window is judged until both clocks are right"
        )

    def _reckoned(self) -> tuple[int, float]:
        """Return the time, and how many seconds ago it was asked for."""
        if self._answer is None:
            return 0, math.inf
        answer_us, asked_s = self._answer
        since_s = self._monotonic_s() - asked_s
        return answer_us + round(since_s * 1e6), since_s


def _minutes(length_us: int) -> str:
    return counted(length_us // MINUTE_US, "minute")
