"""Which event the latest call of a task or thread became, for feedback and `tokentide explain`.

The event of an instrumented call is built in the background, and making its id would be a quarter
of what the call costs its thread. So the id is made where it is needed first: by the host that asks
or by the thread that builds. Invariant: both see the same id.
"""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar
from typing import Protocol


class IdSource(Protocol):
    """The producer that an event goes to."""

    def new_id(self, epoch_ns: int) -> str:
        """Return the id of a new event at `epoch_ns`."""


EventIdentity = tuple[Callable[[], IdSource | None], int, dict[str, str]]
"""The id of an event that is not built yet: a weak reference to the producer, when the call began
(us), and `id` once it is made. A tuple, because each call makes one: an object costs three times
as much."""


def resolve(identity: EventIdentity) -> str:
    """Return the id, always the same; empty where there is no such event."""
    producer_of, started_us, made = identity
    event_id = made.get("id")
    if event_id is None:
        producer = producer_of()
        new_id = producer.new_id(started_us * 1000) if producer is not None else ""
        # One step for all threads, of which the first decides: "One winner without a lock" in
        # docs/producer-internals.md.
        event_id = made.setdefault("id", new_id)
    return event_id


def withdraw(identity: EventIdentity) -> None:
    """Mark the event as absent: another layer has recorded the call."""
    identity[2]["id"] = ""


_latest: ContextVar[EventIdentity | str] = ContextVar("tokentide_latest_event", default="")

note_latest = _latest.set
"""Takes the id, or the identity, of the event of a call that begins here."""


def last_event_id() -> str | None:
    """Return the event id of the call that began last in this task or thread.

    It is the id of an instrumented call, of a `telemetry.request(...)` block or of a decorated
    function, also when that has ended, and None where there was none. Pass it as `target_event_id`
    of feedback or an evaluation, put it into a log, or ask `tokentide explain` for it.
    """
    latest = _latest.get()
    return (latest if isinstance(latest, str) else resolve(latest)) or None
