"""The life of one partition in one worker: which step comes next, from its assignment on.

`partition_life` is a generator of steps. It decides *what* happens next and touches nothing;
its driver decides *when*, retries, and, in the crash schedules, dies between any two steps.
The order is the promise: position, identity of the log, intent, rows, done row, acknowledgement.
Pure.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

from tokentide_jobs.core.batch.ledger import Claim, Intent, LogPartition, Position, locate
from tokentide_jobs.core.batch.planner import LogRecord, SealedBatch

__all__ = [
    "Acknowledge",
    "Assignment",
    "Begin",
    "Claimed",
    "Collect",
    "Effect",
    "Effects",
    "Ledger",
    "Life",
    "Step",
    "partition_life",
]

R = TypeVar("R", bound=LogRecord)
W = TypeVar("W")


@dataclass(frozen=True, slots=True)
class Effect:
    """One step that touches the outside world; running it again must be harmless, and is.

    The answer to it is what `run` returns.
    """

    name: str
    run: Callable[[], Any]


@dataclass(frozen=True, slots=True)
class Begin:
    """The position is known: read the log from `position.read_from`."""

    position: Position


@dataclass(frozen=True, slots=True)
class Collect:
    """Asks for the next batch: the answer is a sealed one that begins at `start`."""

    start: int
    """Everything before it is stored, by us or by another worker."""
    end: int | None
    """Where the batch has to end, when an intent has decided it."""


@dataclass(frozen=True, slots=True)
class Claimed:
    """The intent of this batch is stored; its rows are written from here on."""

    intent: Intent


@dataclass(frozen=True, slots=True)
class Acknowledge(Generic[R, W]):
    """Every record before `end` is stored: acknowledge them."""

    end: int
    batch: SealedBatch[R] | None = None
    written: W | None = None
    """What we wrote; None: another worker has finished these records."""


Step = Effect | Begin | Collect | Claimed | Acknowledge[Any, Any]
Effects = Generator[Effect, Any, W]
"""Yields effects, receives their results, returns what came of it."""
Life = Generator[Step, Any, None]


@dataclass(frozen=True, slots=True)
class Assignment:
    """What the broker says about a partition that a worker was just given."""

    log: LogPartition
    log_start: int
    """Oldest offset the broker still has."""
    log_end: int
    """Offset the next record will get."""
    committed: int | None
    """The group's committed offset, None when there is none."""


class Ledger(Protocol):
    """Where intents and positions are kept."""

    def position(self, log: LogPartition) -> tuple[int | None, Intent | None]:
        """Return the end of the last done batch and the open intent that begins there."""

    def claim(self, intent: Intent, records: int) -> Claim:
        """Store `intent` unless another one exists for its start; return the winner."""


Confirm = Callable[[LogPartition], None]
"""Makes sure that what was read until now is of this log, and raises where it cannot be."""
Propose = Callable[[LogPartition, int, int], Intent]
"""Makes an intent for `[start, end)` with a worker's own clock, prices and window."""
Write = Callable[[SealedBatch[R], Intent, bool], "Effects[W | None]"]
"""Writes a batch under its intent, up to its done row. The flag: another worker may have begun it.

Returns None when another worker has finished it.
"""


def partition_life(
    given: Assignment, ledger: Ledger, confirm: Confirm, propose: Propose, write: Write[R, W]
) -> Life:
    """Yield every step of one worker's hold on one partition; it has no end of its own.

    Raises:
        InvariantViolation: Ledger and log contradict each other; nothing was read.
    """
    done_end, opened = yield Effect("position", lambda: ledger.position(given.log))
    position = locate(done_end, opened, given.log_start, given.log_end, given.committed)
    yield Begin(position)
    start, opened = position.start, position.intent
    while True:
        # A generator of its own for each batch: nothing holds it while the next one is collected.
        begun = yield from _next_batch(given.log, start, opened, ledger, confirm, propose, write)
        start, opened = begun


def _next_batch(
    log: LogPartition,
    start: int,
    opened: Intent | None,
    ledger: Ledger,
    confirm: Confirm,
    propose: Propose,
    write: Write[R, W],
) -> Generator[Step, Any, tuple[int, Intent | None]]:
    """Bring one batch to its acknowledgement, or learn that its range must be another one.

    Returns:
        Where the next batch begins, and the intent that has decided it already.
    """
    batch: SealedBatch[R] = yield Collect(start, opened.end if opened is not None else None)
    # After the records were read and before anything is stored under the log's name.
    yield Effect("confirm_log", lambda: confirm(log))
    adopted = opened is not None
    if opened is None:
        proposal = propose(log, batch.start, batch.end)
        claim: Claim = yield Effect("claim", lambda: ledger.claim(proposal, len(batch.records)))
        if claim.is_done:
            yield Acknowledge(claim.done_end)
            return claim.done_end, None
        if claim.intent.end != batch.end:
            return start, claim.intent
        opened, adopted = claim.intent, claim.intent != proposal
    yield Claimed(opened)
    written = yield from write(batch, opened, adopted)
    yield Acknowledge(opened.end, batch, written)
    return opened.end, None
