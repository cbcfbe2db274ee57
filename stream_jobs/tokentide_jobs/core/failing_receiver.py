"""A receiver of notifications that does not take them: which, since when, and what it answered.

An alert that is not delivered is worth nothing, so `tokentide status` reports it. Pure.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from tokentide_jobs.counted import counted

__all__ = ["FailingReceiver", "answer_words"]

_REMEDY = "`tokentide alerts test` tries it now; its address is in detect.yaml (notify)"


@dataclass(frozen=True, slots=True)
class FailingReceiver:
    """What a receiver did not take, by the last attempt of every transition.

    Attributes:
        receiver: Its name.
        waiting: Transitions that are tried again.
        given_up: Transitions that it refused, or that became too old.
        tries: Attempts with all of these.
        since_us: When the first of them was tried.
        last_try_us: When the last one was.
        status: What it answered last, of HTTP; 0: no answer.
        detail: Why, in the words of the sender.
    """

    receiver: str
    waiting: int
    given_up: int
    tries: int
    since_us: int
    last_try_us: int
    status: int
    detail: str

    @property
    def words(self) -> str:
        """What is wrong, since when, and what to do."""
        since, last = _utc(self.since_us), _utc(self.last_try_us)
        answer = answer_words(self.status, self.detail)
        tried = f"{counted(self.tries, 'try', 'tries')} since {since}, the last at {last}: {answer}"
        parts = []
        if self.waiting:
            parts.append(f"{counted(self.waiting, 'notification waits', 'notifications wait')}")
        if self.given_up:
            parts.append(f"{counted(self.given_up, 'notification')} will not be tried again")
        return (
            f"receiver {self.receiver} takes no notifications: {' and '.join(parts)} "
            f"({tried}). {_REMEDY}"
        )


def answer_words(status: int, detail: str) -> str:
    """Return what became of an attempt: the answer, or why there was none.

    Args:
        status: Of HTTP; 0: there was no answer.
        detail: What the receiver answered, or why it could not; may be empty.
    """
    if status:
        return f"HTTP {status}{': ' if detail else ''}{detail}"
    return detail or "no answer"


def _utc(at_us: int) -> str:
    return f"{datetime.fromtimestamp(at_us / 1e6, UTC):%Y-%m-%d %H:%M:%S} UTC"
