"""The queue between the host's threads and the background thread.

Everything here runs on the caller's thread and costs about a microsecond: no lock, no I/O, no wait.
Invariant: every event offered is either taken by the background thread or counted in exactly one
of the tallies.
"""

from __future__ import annotations

from collections import deque
from typing import Protocol, cast

from tokentide.delivery.tally import Tally


class DeferredEvent(Protocol):
    """An event that is built when it is taken out of the queue."""

    def build(self) -> dict[str, object]:
        """Return the event; called once, on the background thread as a rule. Never raises."""


Entry = tuple[int, int, dict[str, object]]
"""When it was emitted (epoch ns), its `seq`, and the event as the caller left it.

A plain tuple, because a named one takes four times as long to make.
"""


class Buffer:
    """A bounded queue of events that never blocks the side that puts.

    Args:
        capacity: Events that may wait. Threads that put at the very same moment may each overshoot
            it by one; nothing ever waits for anything.
        keeps_oldest: When full, True refuses the new event, False evicts the oldest one.
    """

    __slots__ = (
        "_capacity",
        "_entries",
        "_keeps_oldest",
        "_next_seq",
        "evicted",
        "offered",
        "refused",
        "taken",
    )

    def __init__(self, capacity: int, *, keeps_oldest: bool) -> None:
        self._capacity = capacity
        self._keeps_oldest = keeps_oldest
        self._entries: deque[tuple[int, int, dict[str, object] | DeferredEvent]] = deque()
        self.offered = Tally()
        """Every event ever offered; the number it got is its `seq`, so a gap in `seq` is a loss."""
        self._next_seq = self.offered.add
        self.refused = Tally()
        self.evicted = Tally()
        self.taken = 0

    def __len__(self) -> int:
        return len(self._entries)

    def put(self, emitted_ns: int, event: dict[str, object] | DeferredEvent) -> None:
        """Queue one event or count it as dropped; called from any thread."""
        seq = self._next_seq()
        entries = self._entries
        if len(entries) >= self._capacity:
            if self._keeps_oldest:
                self.refused.add()
                return
            while len(entries) >= self._capacity:
                try:
                    entries.popleft()
                except IndexError:  # the background thread took it meanwhile: there is room
                    break
                self.evicted.add()
        entries.append((emitted_ns, seq, event))

    def put_deferred(self, emitted_ns: int, event: DeferredEvent, limit: int) -> bool:
        """Queue an event that is built later, unless `limit` or more events wait."""
        entries = self._entries
        waiting = len(entries)
        if waiting >= limit or waiting >= self._capacity:
            return False
        entries.append((emitted_ns, self._next_seq(), event))
        return True

    def take(self, limit: int) -> list[Entry]:
        """Return up to `limit` of the oldest events; called from the background thread only.

        Deferred events are built here.
        """
        taken: list[Entry] = []
        pop = self._entries.popleft
        try:
            for _ in range(limit):
                emitted_ns, seq, event = entry = pop()
                if type(event) is dict:
                    taken.append(cast("Entry", entry))
                else:
                    taken.append((emitted_ns, seq, cast("DeferredEvent", event).build()))
        except IndexError:
            pass
        self.taken += len(taken)
        return taken

    @property
    def passed(self) -> int:
        """How far the head of the queue has moved: events taken plus events evicted."""
        return self.taken + self.evicted.value
