"""How far event time has come, over several partitions.

The watermark only gates decisions ("this window is settled"); data is never refused because of it.
It never goes back while the same partitions are observed. Pure: the caller brings the clock.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Watermark"]


@dataclass(slots=True)
class _Progress:
    max_event_us: int
    seen_at_us: int


class Watermark:
    """The smallest event time that active partitions have reached, less the allowed lateness.

    Args:
        lateness_us: How late an event may be and still find its window unsettled.
        idle_us: A partition silent for this long no longer holds the watermark back.
    """

    def __init__(self, lateness_us: int, idle_us: int) -> None:
        self._lateness_us = lateness_us
        self._idle_us = idle_us
        self._partitions: dict[int | str, _Progress] = {}

    def observe(self, partition: int | str, max_event_us: int, now_us: int) -> None:
        """Note the newest event time of a stored batch. A clock far ahead counts as now."""
        bounded_us = min(max_event_us, now_us)
        known = self._partitions.get(partition)
        if known is None:
            self._partitions[partition] = _Progress(bounded_us, now_us)
        else:
            known.max_event_us = max(known.max_event_us, bounded_us)
            known.seen_at_us = now_us

    def forget(self, partition: int | str) -> None:
        """Drop a partition that another worker has taken over."""
        self._partitions.pop(partition, None)

    def value_us(self, now_us: int) -> int | None:
        """Return the watermark in epoch microseconds, None when nothing was observed.

        When every partition is idle, the furthest of them counts: nothing holds time back.
        """
        if not self._partitions:
            return None
        active = [
            progress.max_event_us
            for progress in self._partitions.values()
            if now_us - progress.seen_at_us < self._idle_us
        ]
        reached = (
            min(active)
            if active
            else max(progress.max_event_us for progress in self._partitions.values())
        )
        return reached - self._lateness_us
