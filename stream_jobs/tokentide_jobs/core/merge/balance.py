"""Which batches of each source the windows of the detect job hold, and exactly what they come to.

`tokentide verify` compares it with the ledger. Every delta lies in a judged window, an open one, or
among what was not judged; what is there beside the declared batches is known and taken off. So a
delta that the merge loses, or takes twice, is a difference that stays.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from tokentide_jobs.core.batch.ledger import LogPartition
from tokentide_jobs.core.merge.delta_record import Origin
from tokentide_jobs.core.merge.merged_sums import MergedSums
from tokentide_jobs.core.tables import DAY_US

__all__ = ["Balance", "Consumed"]

_LONGEST_US: Final = 7 * DAY_US
"""Of one balance; then the next one begins. It stays within what the ledger keeps."""


@dataclass(frozen=True, slots=True)
class Consumed:
    """What the detect job has merged, as it reports.

    Attributes:
        since_us: Time of the stream when this balance began; 0: nothing has come yet.
        ranges: Offsets [begin, end) of each source, all of whose batches were merged.
        sums: What was merged of these batches.
        unjudged_events: Events that came since then into windows that are not judged: given up,
            or closed long before.
    """

    since_us: int
    ranges: Mapping[LogPartition, tuple[int, int]]
    sums: MergedSums
    unjudged_events: int

    def to_json(self) -> str:
        """Return it as text; money too, since it may exceed what readers of JSON hold."""
        fields = {
            "since_us": self.since_us,
            "events": self.sums.events,
            "cost_pico_usd": str(self.sums.cost_pico_usd),
            "unjudged_events": self.unjudged_events,
            "ranges": [[*_plain(source), *span] for source, span in sorted(self.ranges.items())],
        }
        return json.dumps(fields, separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str) -> Consumed:
        """Read what `to_json` returned.

        Raises:
            ValueError: It is something else.
        """
        try:
            fields = json.loads(text)
            ranges = {
                LogPartition(str(log_id), str(topic), int(partition)): (int(begin), int(end))
                for log_id, topic, partition, begin, end in fields["ranges"]
            }
            sums = MergedSums(int(fields["events"]), int(fields["cost_pico_usd"]))
            return cls(int(fields["since_us"]), ranges, sums, int(fields["unjudged_events"]))
        except (KeyError, TypeError, ValueError) as exc:
            raise ValueError(f"not what a detect job says it merged: {exc!r}"[:200]) from None


class Balance:
    """What the windows hold beside the batches that are compared, and how far those reach.

    Attributes:
        has_begun: Whether anything is declared.
        partitions: Of the topic of deltas: a batch is whole when each of them says so.
    """

    def __init__(self) -> None:
        self.has_begun = False
        self.partitions: tuple[int, ...] = ()
        self._since_us = 0
        self._begins: dict[LogPartition, int] = {}
        self._ends: dict[LogPartition, int] = {}
        self._beside = MergedSums()
        self._unjudged_before = 0
        self._waiting: dict[tuple[LogPartition, int], MergedSums] = {}
        """Batches of which more may come, by their start."""

    def begin(self, begins: Mapping[LogPartition, int], held: MergedSums, unjudged: int) -> None:
        """Declare the batches from these offsets on; of sources that are not named, all.

        Args:
            begins: By source, the end of a batch.
            held: What the windows hold by now: none of it is of these batches.
            unjudged: Events that came into windows that are not judged, by now.
        """
        self.has_begun = True
        self._since_us, self._beside, self._unjudged_before = 0, held, unjudged
        self._begins, self._ends, self._waiting = dict(begins), dict(begins), {}

    def take(self, origin: Origin, sums: MergedSums) -> None:
        """Note what a delta that is new comes to."""
        if not self.has_begun:
            return
        if origin.start < self._begins.get(origin.source, 0):
            self._beside = self._beside.plus(sums)
        else:
            place = origin.source, origin.start
            self._waiting[place] = self._waiting.get(place, MergedSums()).plus(sums)

    def settle(self, source: LogPartition, floors: Iterable[int], now_us: int) -> None:
        """Note that all batches of a source before an offset are whole.

        Args:
            source: Which.
            floors: The offset, by what each partition of the topic of deltas says.
            now_us: Time of the stream.
        """
        if self.has_begun:
            self._since_us = self._since_us or now_us
            end = max(min(floors, default=0), self._ends.get(source, 0))
            self._ends[source] = end
            for place in [one for one in self._waiting if one[0] == source and one[1] < end]:
                del self._waiting[place]

    def is_due(self, now_us: int) -> bool:
        """Tell whether the next balance is to begin."""
        return self.has_begun and now_us - self._since_us >= _LONGEST_US

    def begin_next(self, held: MergedSums, unjudged: int, now_us: int) -> None:
        """Begin again where this one has come to; `held` and the others are as for `begin`."""
        self._since_us, self._unjudged_before = now_us, unjudged
        self._beside = held.minus(self._under_way())
        self._begins = dict(self._ends)

    def consumed(self, held: MergedSums, unjudged: int) -> Consumed | None:
        """Return what was merged of the declared batches; None: nothing is declared.

        Args:
            held: What the windows hold by now.
            unjudged: Events that came into windows that are not judged, by now.
        """
        if not self.has_begun:
            return None
        return Consumed(
            self._since_us,
            {source: (self._begins.get(source, 0), end) for source, end in self._ends.items()},
            held.minus(self._beside).minus(self._under_way()),
            unjudged - self._unjudged_before,
        )

    def to_rows(self) -> list[Any]:
        """Return everything as plain values, the same for the same state."""
        if not self.has_begun:
            return []
        return [
            self._since_us,
            self._beside,
            self._unjudged_before,
            [[*_plain(source), end] for source, end in sorted(self._begins.items())],
            [[*_plain(source), end] for source, end in sorted(self._ends.items())],
            [[*_plain(one), at, *sums] for (one, at), sums in sorted(self._waiting.items())],
        ]

    def restore(self, rows: list[Any]) -> None:
        """Take up what `to_rows` returned."""
        if not rows:
            return
        self.has_begun = True
        self._since_us, beside, self._unjudged_before, begins, ends, waiting = rows
        self._beside = MergedSums(*beside)
        self._begins = {LogPartition(*source): end for *source, end in begins}
        self._ends = {LogPartition(*source): end for *source, end in ends}
        self._waiting = {
            (LogPartition(*source), at): MergedSums(events, cost)
            for *source, at, events, cost in waiting
        }

    def _under_way(self) -> MergedSums:
        return MergedSums(
            sum(one.events for one in self._waiting.values()),
            sum(one.cost_pico_usd for one in self._waiting.values()),
        )


def _plain(source: LogPartition) -> tuple[str, str, int]:
    return source.log_id, source.topic, source.partition
