"""Sending what is stored: to each receiver for itself, each alert in order, once by its id.

The life of a receiver is a generator of steps; the sender and the crash schedules both drive it. A
transition without a final result is sent again, under the same id, so that a receiver which drops
repeated ids has it once. Until one is through, no later one of its alert is sent.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from typing import Final, Literal

__all__ = [
    "EXPIRES_US",
    "Attempt",
    "Look",
    "Message",
    "OutboxStep",
    "Outcome",
    "Record",
    "Result",
    "Send",
    "Wait",
    "life",
]

Outcome = Literal["delivered", "retry", "refused", "expired"]

_POLL_S: Final = 1.0
EXPIRES_US: Final = 24 * 3_600_000_000
"""What could not be delivered for a day is given up: it would only confuse."""


@dataclass(frozen=True, slots=True)
class Message:
    """One transition that a receiver is to be told.

    Attributes:
        id: Of the transition; receivers drop a second one with it.
        alert_id: What it belongs to.
        written_us: When it was stored.
        payload: What is said, as JSON.
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
class Record:
    """Store an attempt."""

    attempt: Attempt


@dataclass(frozen=True, slots=True)
class Wait:
    """Let time pass, or until something new is stored."""

    seconds: float


OutboxStep = Look | Send | Record | Wait
Life = Generator[OutboxStep, object, None]


def life(receiver: str, clock_us: Callable[[], int], pause_s: Callable[[int], float]) -> Life:
    """Return the life of a receiver: it looks, sends, records, waits, and never ends.

    Args:
        receiver: Its name.
        clock_us: The wall clock.
        pause_s: How long to wait after so many failures in a row.
    """
    failures = 0
    while True:
        unsent = yield Look()
        assert isinstance(unsent, Sequence)
        waiting: set[str] = set()
        failed = False
        for message in unsent:
            if message.alert_id in waiting:
                continue
            if clock_us() - message.written_us > EXPIRES_US:
                result = Result("expired", detail="it could not be delivered for a day")
            else:
                answer = yield Send(message)
                assert isinstance(answer, Result)
                result = answer
            yield Record(Attempt(message, receiver, clock_us(), result))
            if result.outcome == "retry":
                waiting.add(message.alert_id)
                failed = True
                if result.status == 0 or result.status >= 500 or result.status == 429:
                    break  # it is the receiver that fails, not this message
        failures = failures + 1 if failed else 0
        if failed or not unsent:
            yield Wait(pause_s(failures) if failed else _POLL_S)
