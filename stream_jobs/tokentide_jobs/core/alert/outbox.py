"""Sending what is stored: to each receiver for itself, each alert in order, once by its id.

The life of a receiver is a generator of steps; the sender and the crash schedules both drive it. A
transition without a final result is sent again, under the same id, so that a receiver which drops
repeated ids has it once. Until one is through, no later one of its alert is sent. One that its
receiver cannot take holds up its own alert only, and none is given up without a try.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal

from tokentide_jobs.core.tables import HOUR_US

__all__ = [
    "EXPIRES_US",
    "Attempt",
    "Look",
    "Message",
    "OutboxStep",
    "Outcome",
    "Result",
    "Send",
    "StoreAttempt",
    "Wait",
    "life",
]

Outcome = Literal["delivered", "retry", "refused", "expired"]

_POLL_S: Final = 1.0
EXPIRES_US: Final = 24 * HOUR_US
"""What could not be delivered for a day is given up: it would only confuse."""


@dataclass(frozen=True, slots=True)
class Message:
    """One transition that a receiver is to be notified of.

    Attributes:
        id: Of the transition; receivers drop a second one with it.
        alert_id: What it belongs to.
        written_us: When it was stored.
        payload: What is sent, as JSON.
    """

    id: str
    alert_id: str
    written_us: int
    payload: str


@dataclass(frozen=True, slots=True)
class Result:
    """What became of an attempt.

    Attributes:
        outcome: All but `retry` are final.
        status: Of HTTP; 0: there was no answer.
        detail: Why, in words.
        took_ms: How long it took.
    """

    outcome: Outcome
    status: int = 0
    detail: str = ""
    took_ms: float = 0.0


@dataclass(frozen=True, slots=True)
class Attempt:
    """An attempt and its result."""

    message: Message
    receiver: str
    at_us: int
    result: Result


@dataclass(frozen=True, slots=True)
class Look:
    """Read what is unsent; the answer is a list of messages."""


@dataclass(frozen=True, slots=True)
class Send:
    """Send a message; the answer is a Result."""

    message: Message


@dataclass(frozen=True, slots=True)
class StoreAttempt:
    """Store an attempt."""

    attempt: Attempt


@dataclass(frozen=True, slots=True)
class Wait:
    """Let time pass, or until something new is stored."""

    seconds: float


OutboxStep = Look | Send | StoreAttempt | Wait
Life = Generator[OutboxStep, object, None]


@dataclass(slots=True)
class _Alert:
    """An alert whose next transition did not get through."""

    failures: int = 0
    until_us: int = 0
    """It is left alone until then, since others got through."""


def life(receiver: str, clock_us: Callable[[], int], pause_s: Callable[[int], float]) -> Life:
    """Return the life of a receiver: it looks, sends, records, waits, and never ends.

    Args:
        receiver: Its name.
        clock_us: The wall clock.
        pause_s: How long to wait after so many failures in a row.
    """
    failures = 0
    failing: dict[str, _Alert] = {}
    while True:
        unsent = yield Look()
        assert isinstance(unsent, Sequence)
        failing = {one.alert_id: failing.get(one.alert_id, _Alert()) for one in unsent}
        # The alert that failed least goes first: what is always refused blocks no other.
        ordered = sorted(unsent, key=lambda one: failing[one.alert_id].failures)
        failed: set[str] = set()
        unconfirmed_failures, is_through, is_down = 0, False, False
        for message in ordered:
            alert = failing[message.alert_id]
            if message.alert_id in failed or clock_us() < alert.until_us:
                continue
            answer = yield Send(message)
            assert isinstance(answer, Result)
            result = _final(answer, clock_us() - message.written_us)
            yield StoreAttempt(Attempt(message, receiver, clock_us(), result))
            if answer.outcome != "retry":
                is_through, unconfirmed_failures = True, 0
                alert.failures = 0
                continue
            alert.failures += 1
            if result.outcome == "retry":
                failed.add(message.alert_id)
            # One failure may be that of the message; a second one of another alert, with nothing
            # between them that got through, is the receiver's.
            unconfirmed_failures += answer.status == 0 or answer.status >= 500
            is_down = answer.status == 429 or unconfirmed_failures > 1
            if is_down:
                break
        is_down = is_down or (unconfirmed_failures > 0 and not is_through)
        failures = failures + 1 if is_down else 0
        if not is_down:
            for name in failed:
                alert = failing[name]
                alert.until_us = clock_us() + round(1e6 * pause_s(alert.failures))
        if is_down or not is_through:
            yield Wait(pause_s(failures) if is_down else _POLL_S)


def _final(result: Result, age_us: int) -> Result:
    """Return a result; the failure of what is too old is final."""
    if result.outcome != "retry" or age_us <= EXPIRES_US:
        return result
    why = f"it could not be delivered for a day: {result.detail}"
    return replace(result, outcome="expired", detail=why)
