"""Sending a workload through the SDK, at its pace, without outrunning the producer.

A service that produces faster than Kafka takes would see its events dropped, and counted; a replay
waits instead, so that every event it made arrives or is named as lost.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from tokentide_jobs.errors import ServiceUnreachable

if TYPE_CHECKING:
    from tokentide import ProducerStats, Telemetry
    from tokentide_jobs.replay.events import Event
    from tokentide_jobs.replay.pace import Plan

__all__ = ["Interrupted", "Sent", "send"]

_LOOK_EVERY: Final = 256
"""Events between two looks at the queue."""
_NOTICE_S: Final = 3.0
"""Say that the broker takes nothing after so long."""
_STALL_TIMEOUT_S: Final = 15.0
"""Give up when the broker has taken nothing for this long."""
_LAST_FLUSH_S: Final = 2.0
"""How long a replay that is interrupted waits for what is on its way."""


@dataclass(frozen=True, slots=True)
class Sent:
    """What became of a replay; `lost` is 0 unless the broker went away."""

    events: int
    requests: int
    delivered: int
    lost: int
    took_s: float


class Interrupted(KeyboardInterrupt):
    """A replay was interrupted; it states how far it got.

    Attributes:
        sent: Events handed to the producer.
        delivered: Those of them that the broker has acknowledged.
    """

    def __init__(self, sent: int, delivered: int) -> None:
        super().__init__()
        self.sent = sent
        self.delivered = min(sent, delivered)


def send(
    events: Iterator[tuple[float, Event]],
    plan: Plan,
    telemetry: Telemetry,
    progress: Callable[[int], None] = lambda _calls: None,
    *,
    timeout_s: float = _STALL_TIMEOUT_S,
    notice_s: float = _NOTICE_S,
    notice: Callable[[str], None] = lambda _words: None,
) -> Sent:
    """Emit every event when it is due and wait until the broker has them.

    Args:
        events: As `Workload.events` gives them; `started_at_us` is set here.
        plan: Pace and event times.
        telemetry: A producer of its own: its counters show what was delivered.
        progress: Called now and then with the number of calls emitted so far; the evaluations,
            ratings and changes between them are not counted.
        timeout_s: Give up when the broker has taken nothing for so long.
        notice_s: Call `notice` when it has taken nothing for so long.
        notice: Called once when the broker takes nothing, with the reason.

    Raises:
        ServiceUnreachable: The broker takes nothing; the message says how far the replay got.
        Interrupted: By Ctrl-C; what was on its way was given a moment to arrive.
    """
    room = telemetry.settings.queue_events // 2
    before = telemetry.stats()
    watch = _Watch(telemetry, timeout_s, notice_s, notice)
    begin = time.monotonic()
    emitted = requests = 0
    try:
        for at_s, event in events:
            wait_s = plan.pace.due_s(emitted, at_s) - (time.monotonic() - begin)
            if wait_s > 0.002:
                progress(requests)
                _sleep(wait_s, watch, emitted)
            event["started_at_us"] = plan.started_at_us(at_s, time.time_ns() // 1_000)
            telemetry.emit(event)
            emitted += 1
            requests += event["type"] == "request"
            if emitted % _LOOK_EVERY == 0:
                progress(requests)
                while watch.look(emitted).queued > room:
                    time.sleep(0.005)
        while not telemetry.flush(min(0.5, timeout_s / 4)):
            watch.look(emitted)
    except KeyboardInterrupt:
        telemetry.flush(_LAST_FLUSH_S)
        raise Interrupted(emitted, telemetry.stats().delivered - before.delivered) from None
    after = telemetry.stats()
    progress(requests)
    delivered = after.delivered - before.delivered
    refused = (after.dropped_total - before.dropped_total) + (after.failed - before.failed)
    # The producer's own stats events are delivered too, so the difference alone could hide a loss.
    lost = max(refused, emitted - delivered)
    return Sent(emitted, requests, delivered, lost, time.monotonic() - begin)


def _sleep(wait_s: float, watch: _Watch, emitted: int) -> None:
    """Sleep in slices, so that a broker that goes away is noticed and Ctrl-C is quick."""
    until = time.monotonic() + wait_s
    while (left := until - time.monotonic()) > 0:
        time.sleep(min(left, 0.2))
        watch.look(emitted)


class _Watch:
    """Notices when the broker takes nothing although events wait for it."""

    def __init__(
        self,
        telemetry: Telemetry,
        timeout_s: float,
        notice_s: float,
        notice: Callable[[str], None],
    ) -> None:
        self._telemetry = telemetry
        self._timeout_s = timeout_s
        self._notice_s = notice_s
        self._notice = notice
        self._taken = -1
        self._since_s = time.monotonic()
        self._has_reported = False

    def look(self, emitted: int) -> ProducerStats:
        """Return the counters of now.

        Raises:
            ServiceUnreachable: Nothing was taken for too long.
        """
        stats = self._telemetry.stats()
        now_s = time.monotonic()
        if stats.delivered != self._taken or not stats.queued:
            self._taken, self._since_s, self._has_reported = stats.delivered, now_s, False
        silent_s = now_s - self._since_s
        if silent_s > self._timeout_s:
            raise ServiceUnreachable(
                f"{self._words(stats)}: gave up after {silent_s:.0f} s, {stats.delivered:,} of "
                f"{emitted:,} events delivered"
            )
        if silent_s > self._notice_s and not self._has_reported:
            self._has_reported = True
            self._notice(f"{self._words(stats)}: still trying")
        return stats

    def _words(self, stats: ProducerStats) -> str:
        cause = f" ({stats.last_error})" if stats.last_error else ""
        return f"Kafka at {self._telemetry.settings.bootstrap} takes no events{cause}"
