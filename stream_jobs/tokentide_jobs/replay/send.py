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
    from tokentide import Telemetry
    from tokentide_jobs.replay.events import Event
    from tokentide_jobs.replay.pace import Plan

__all__ = ["Sent", "send"]

_LOOK_EVERY: Final = 256
"""Events between two looks at the queue."""
_STALL_TIMEOUT_S: Final = 30.0
"""Give up when the broker has taken nothing for this long."""


@dataclass(frozen=True, slots=True)
class Sent:
    """What became of a replay; `lost` is 0 unless the broker went away."""

    events: int
    requests: int
    delivered: int
    lost: int
    took_s: float


def send(
    events: Iterator[tuple[float, Event]],
    plan: Plan,
    telemetry: Telemetry,
    progress: Callable[[int], None] = lambda _events: None,
    *,
    timeout_s: float = _STALL_TIMEOUT_S,
) -> Sent:
    """Emit every event when it is due and wait until the broker has them.

    Args:
        events: As `Workload.events` gives them; `started_at_us` is set here.
        plan: Pace and event times.
        telemetry: A producer of its own: its counters tell what was delivered.
        progress: Called now and then with the number of events emitted so far.
        timeout_s: Give up when the broker has taken nothing for so long.

    Raises:
        ServiceUnreachable: The broker takes nothing; the message says how far the replay got.
    """
    room = telemetry.settings.queue_events // 2
    before = telemetry.stats()
    begin = time.monotonic()
    emitted = requests = 0
    for at_s, event in events:
        wait_s = plan.pace.due_s(emitted, at_s) - (time.monotonic() - begin)
        if wait_s > 0.002:
            progress(emitted)
            _sleep(wait_s, progress, emitted)
        event["started_at_us"] = plan.started_at_us(at_s, time.time_ns() // 1_000)
        telemetry.emit(event)
        emitted += 1
        requests += event["type"] == "request"
        if emitted % _LOOK_EVERY == 0:
            progress(emitted)
            _wait_for_room(telemetry, room, emitted, timeout_s)
    _flush(telemetry, emitted, timeout_s)
    after = telemetry.stats()
    progress(emitted)
    delivered = after.delivered - before.delivered
    refused = (after.dropped_total - before.dropped_total) + (after.failed - before.failed)
    # The producer's own stats events are delivered too, so the difference alone could hide a loss.
    lost = max(refused, emitted - delivered)
    return Sent(emitted, requests, delivered, lost, time.monotonic() - begin)


def _sleep(wait_s: float, progress: Callable[[int], None], emitted: int) -> None:
    """Sleep in slices, so that progress stays alive and Ctrl-C is quick."""
    until = time.monotonic() + wait_s
    while (left := until - time.monotonic()) > 0:
        time.sleep(min(left, 0.2))
        progress(emitted)


def _wait_for_room(telemetry: Telemetry, room: int, emitted: int, timeout_s: float) -> None:
    taken, since = -1, time.monotonic()
    while (stats := telemetry.stats()).queued > room:
        if stats.delivered != taken:
            taken, since = stats.delivered, time.monotonic()
        elif time.monotonic() - since > timeout_s:
            raise _stalled(telemetry, emitted)
        time.sleep(0.005)


def _flush(telemetry: Telemetry, emitted: int, timeout_s: float) -> None:
    taken = -1
    while not telemetry.flush(timeout_s):
        delivered = telemetry.stats().delivered
        if delivered == taken:
            raise _stalled(telemetry, emitted)
        taken = delivered


def _stalled(telemetry: Telemetry, emitted: int) -> ServiceUnreachable:
    stats = telemetry.stats()
    return ServiceUnreachable(
        f"Kafka at {telemetry.settings.bootstrap} takes no events: {stats.delivered:,} of "
        f"{emitted:,} delivered; last error: {stats.last_error or 'none'}"
    )
