"""How far ingest has come with each partition, by its newest marks.

Not part of a saved state: marks come every few seconds, and a new worker waits for new ones.
"""

from __future__ import annotations

from collections.abc import Mapping

from tokentide_jobs.core.alert.pipeline import SourceState
from tokentide_jobs.core.batch.progress_mark import ProgressMark

__all__ = ["SourceStates"]


class SourceStates:
    """The newest mark of every partition that ingest reads."""

    def __init__(self) -> None:
        self._marks: dict[tuple[str, int], ProgressMark] = {}
        self._arrived_us: dict[tuple[str, int], int] = {}
        self._sources: Mapping[str, int] = {}
        self._newest_us = 0

    def note(self, mark: ProgressMark) -> None:
        """Take a mark; an older one is ignored."""
        place = mark.log.topic, mark.log.partition
        known = self._marks.get(place)
        if known is not None and mark.at_us < known.at_us:
            return
        if known is not None and known.log != mark.log:
            del self._arrived_us[place]  # the topic was made again
        self._marks[place] = mark
        self._arrived_us[place] = max(self._arrived_us.get(place, 0), mark.arrived_us or 0)
        if mark.at_us >= self._newest_us:
            self._newest_us, self._sources = mark.at_us, mark.sources

    def all(self) -> list[SourceState]:
        """Return every partition that ingest reads, those without a mark too."""
        found = []
        for topic, count in sorted(self._sources.items()):
            for number in range(count):
                mark = self._marks.get((topic, number))
                lag = 0 if mark is None else mark.lag_records
                arrived_us = self._arrived_us.get((topic, number)) or None
                found.append(SourceState(topic, number, arrived_us, lag))
        return found
