"""Texts of events that a host builds itself, kept by `event_id` until it emits them.

Invariants: an event's dict holds its id and no text; what is never emitted is forgotten when
`MAX_PENDING` newer events wait; nothing raises.
"""

from __future__ import annotations

import os
from time import time_ns

from tokentide.content.collected import CollectedTexts
from tokentide.ids import EventIds
from tokentide.settings import Settings

MAX_PENDING = 4096
"""Events whose texts wait; beyond it the texts of the oldest are dropped."""

# Of the operating system's bits, because a forked child copies this generator.
_ids = EventIds(lambda bits: int.from_bytes(os.urandom(8), "big") >> (64 - bits))
_pending: dict[object, CollectedTexts] = {}


def capture(
    settings: Settings, event: dict[str, object], *, input: object = None, output: object = None
) -> None:
    """Read the texts of a call whose event will be emitted by `Telemetry.emit`; never raises.

    Called more than once for one event (input first, output later), what it reads adds up. The
    texts are read at once, so the host may go on changing its messages.

    Args:
        settings: The producer's.
        event: The event of the call. It gets an `event_id` when it has none, and is to be emitted
            under it.
        input: Keyword arguments of the client's call, a list of messages, or a text.
        output: The response, a `StreamText`, or a text.
    """
    if not settings.reads_content:
        return
    try:
        if not event.get("event_id"):
            event["event_id"] = _ids.new(time_ns())
        texts = _pending.setdefault(event["event_id"], CollectedTexts())
        while len(_pending) > MAX_PENDING:
            _pending.pop(next(iter(_pending)), None)
    except Exception:
        return  # an id that is no key, or another thread was faster: the event goes without texts
    texts.add(settings, input=input, output=output)


def take_pending(event: dict[str, object]) -> CollectedTexts | None:
    """Return the texts that wait for an event, and forget them; never raises."""
    if not _pending:
        return None
    try:
        return _pending.pop(event.get("event_id"), None)
    except Exception:
        return None
