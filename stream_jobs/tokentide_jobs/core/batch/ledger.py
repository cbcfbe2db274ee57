"""The ledger's rules: what an intent promises, how tokens are named, where a worker begins.

The promise: every worker that writes the batch beginning at `start`, also after crashes,
writes the same rows under the same tokens, because the first intent stored for that start decides
everything besides the records themselves. Pure: the store is elsewhere, so is the clock.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from tokentide_jobs.errors import InvariantViolation

__all__ = ["Claim", "Intent", "LogPartition", "Position", "ResumeFinding", "is_stale", "locate"]


@dataclass(frozen=True, slots=True, order=True)
class LogPartition:
    """One partition of one incarnation of one topic; offsets mean something only in here."""

    log_id: str
    topic: str
    partition: int

    def intent_token(self, start: int) -> str:
        """Name the one intent that may exist for the batch beginning at `start`."""
        return f"intent/{self.log_id}/{self.topic}/{self.partition}/{start}"


@dataclass(frozen=True, slots=True)
class Intent:
    """The decision about one batch. With the records of `[start, end)` it determines every row."""

    log: LogPartition
    start: int
    end: int
    price_version: str
    accepted_from_us: int
    """Events that start before this are dead letters."""
    accepted_until_us: int
    """Events that start at or after this are dead letters."""
    sealed_at_us: int
    """When it was decided; also `ingested_at` of its rows."""
    worker: str
    subject_kinds: tuple[str, ...] = ()
    """Kinds of subjects that the batch is counted under."""
    max_subjects: int = 0
    """Subjects of one kind that the batch names."""
    void_revision: int = 0
    """Newest decision about events that were taken out; those are dead letters."""

    def __post_init__(self) -> None:
        """Refuse an empty range: it would be its own successor for ever."""
        if not 0 <= self.start < self.end:
            raise InvariantViolation(f"an intent [{self.start}, {self.end}) holds no offset")

    @property
    def token(self) -> str:
        """The token of the intent row itself."""
        return self.log.intent_token(self.start)

    def write_token(self, table: str) -> str:
        """Return the token under which this batch writes to `table`, always."""
        log = self.log
        return f"{table}/{log.log_id}/{log.topic}/{log.partition}/{self.start}-{self.end}"


@dataclass(frozen=True, slots=True)
class Claim:
    """What the store says about the batch that begins at some start."""

    intent: Intent
    """The winner: ours, or the one that came first."""
    done_end: int
    """End of the last batch done at or after that start, 0 when there is none."""

    @property
    def is_done(self) -> bool:
        """Whether another worker has already finished this very batch."""
        return self.done_end >= self.intent.end


@dataclass(frozen=True, slots=True)
class ResumeFinding:
    """Something an operator should know about where reading begins. Nothing is skipped silently."""

    kind: Literal[
        "records_expired_unread",
        "committed_beyond_log_end",
        "committed_behind_ledger",
        "committed_ahead_of_ledger",
        "intent_adopted",
    ]
    count: int
    detail: str


@dataclass(frozen=True, slots=True)
class Position:
    """Where a worker begins with a partition it was just given."""

    start: int
    """Start of its first batch: the end of the last done batch, 0 on a new log."""
    read_from: int
    """First offset to fetch; beyond `start` when records between have expired."""
    intent: Intent | None
    """The open intent it has to finish first."""
    findings: tuple[ResumeFinding, ...]


def locate(
    done_end: int | None,
    open_intent: Intent | None,
    log_start: int,
    log_end: int,
    committed: int | None,
) -> Position:
    """Decide where to begin, by the ledger; Kafka's committed offset is only compared.

    The first batch of a log begins at offset 0 even when its first records have expired: so every
    worker, whenever it looks, competes for the same intent.

    Args:
        done_end: End of the last done batch of this log, None when there is none.
        open_intent: The intent that begins there, if one is stored.
        log_start: Oldest offset the broker still has.
        log_end: Offset the next record will get.
        committed: The group's committed offset, None when there is none.

    Raises:
        InvariantViolation: The ledger is ahead of the log: offsets were taken back.
    """
    start = done_end or 0
    if open_intent is not None and open_intent.start != start:
        raise InvariantViolation(
            f"the ledger is torn: the last done batch ends at {start}, "
            f"the open intent begins at {open_intent.start}"
        )
    reached = open_intent.end if open_intent is not None else start
    if reached > log_end:
        raise InvariantViolation(
            f"the ledger has read up to offset {reached} but the log ends at {log_end}: records "
            "were taken back (unclean leader election, or a topic recreated under the same id). "
            "Set TOKENTIDE_LOG_ID (TOKENTIDE_OTLP_LOG_ID for a Collector's topic) to a new word to "
            "begin a new log"
        )
    findings: list[ResumeFinding] = []
    if log_start > start:
        findings.append(
            ResumeFinding(
                "records_expired_unread",
                log_start - start,
                f"offsets [{start}, {log_start}) were deleted by retention before they were read",
            )
        )
    if open_intent is not None:
        findings.append(
            ResumeFinding(
                "intent_adopted",
                open_intent.end - open_intent.start,
                f"[{open_intent.start}, {open_intent.end}) was begun by {open_intent.worker}",
            )
        )
    findings.extend(_compare_committed(committed, start, log_end))
    return Position(
        start=start, read_from=max(start, log_start), intent=open_intent, findings=tuple(findings)
    )


def is_stale(intent: Intent, now_us: int, token_window_us: int) -> bool:
    """Tell whether the store may have forgotten the tokens of this intent's earlier inserts."""
    return now_us - intent.sealed_at_us >= token_window_us


def _compare_committed(committed: int | None, start: int, log_end: int) -> list[ResumeFinding]:
    if committed is None or committed == start:
        return []
    if committed > log_end:
        kind: Literal["committed_beyond_log_end"] = "committed_beyond_log_end"
        detail = (
            f"the group committed offset {committed} but the log ends at {log_end}: "
            "the topic was recreated; reading by the ledger"
        )
        return [ResumeFinding(kind, committed - log_end, detail)]
    if committed < start:
        detail = f"the group committed {committed}, the ledger is at {start}: a commit was lost"
        return [ResumeFinding("committed_behind_ledger", start - committed, detail)]
    detail = (
        f"the group committed {committed}, the ledger is at {start}: reading again from the ledger"
    )
    return [ResumeFinding("committed_ahead_of_ledger", committed - start, detail)]
