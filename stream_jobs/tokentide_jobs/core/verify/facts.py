"""What `tokentide verify` reads, in the form in which it is compared.

Values only: `tasks/verify/` reads them, `core/verify/report.py` says what they must satisfy.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from tokentide_jobs.core.batch.ledger import LogPartition
from tokentide_jobs.core.merge.balance import Consumed
from tokentide_jobs.core.verify.windows import WindowComparison

__all__ = ["Batch", "Facts", "Intended", "LogState", "ReadTwice", "StoredCounts"]


@dataclass(frozen=True, slots=True)
class Batch:
    """One finished batch as the ledger has it: offsets [start, end) of one partition."""

    log: LogPartition
    start: int
    end: int
    accepted: int
    """Events that became raw rows, with those that were taken out since."""
    dead_letters: int
    cost_pico_usd: int
    records: int
    sealed_at_us: int = 0
    first_us: int = 0
    last_us: int = 0
    """Event times of its first and last event."""
    has_expired: bool = False
    """Retention may have deleted some of its rows: they cannot be compared any more."""


class Intended(NamedTuple):
    """The range an intent promised: offsets [start, end) of one partition."""

    log: LogPartition
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class StoredCounts:
    """What ClickHouse holds of one range of offsets."""

    raw_rows: int
    """Raw rows, and rows that were taken out: they answer for their places."""
    raw_distinct: int
    dead_rows: int
    dead_distinct: int
    distinct: int
    """Different (offset, idx) over raw rows and dead letters together."""
    cost_pico_usd: int
    repriced: int = 0
    """Rows whose price version is not the batch's: their cost is not the ledger's any more."""
    voided: int = 0
    """Of raw_rows, those that were taken out and are there no more."""
    voided_cost_pico_usd: int = 0
    """Of cost_pico_usd, what went with them."""


@dataclass(frozen=True, slots=True)
class LogState:
    """One partition of the log as it is now.

    Attributes:
        start: Oldest offset the broker has.
        end: Offset of the next record.
        pending: Events counted beyond the ledger's position; None: not counted.
        behind_transaction: Offsets from `end` on that no reader gets before a transaction ends.
    """

    start: int
    end: int
    pending: int | None = None
    behind_transaction: int = 0


class ReadTwice(NamedTuple):
    """Events of one topic stored under two identities, at the same place of the log.

    A log was read again under another name, or a topic was remade and got the same records: from
    a backup, or from producers that had not received the old one's acknowledgement.
    """

    topic: str
    log_ids: tuple[str, ...]
    events: int


@dataclass(frozen=True, slots=True)
class Facts:
    """Everything that was read, in one picture.

    Attributes:
        batches: The finished batches in scope, in any order.
        intents: The winning intent of every start in scope, finished or not, in any order.
        stored: Rows by (log, start of batch).
        beyond: Rows with no finished batch around them, by log: (rows, smallest, largest offset).
        logs: The partitions that exist now; earlier incarnations are known by the ledger alone.
        recounted: Events by (log, start of batch), read from Kafka again; absent: not readable.
        token_spans: Spans of the records read again that carry tokens and are no call; None: the
            records were not read.
        windows: The windows in scope against their raw rows.
        repeated_event_ids: Rows beyond the first of each event id.
        read_twice: Those of them that are the same place of two incarnations.
        checks_chain: The scope holds whole logs, so ranges must follow each other from 0 on.
        ledger_horizon_us: Batches sealed before may have left the ledger by its retention.
        waited_s: How long it was waited for pending events; None: not at all.
        unfinished_voids: Ids of events of which rows are written down as taken out and still there.
        returned_voids: Rows by event that is out, and was stored again all the same.
        consumed: What the newest snapshot of the detect job says it merged; None: nothing.
        consumed_at_us: When it was taken; 0: there is none. None: it was not asked for.
    """

    batches: Sequence[Batch]
    intents: Sequence[Intended]
    stored: Mapping[tuple[LogPartition, int], StoredCounts]
    beyond: Mapping[LogPartition, tuple[int, int, int]]
    logs: Mapping[LogPartition, LogState]
    recounted: Mapping[tuple[LogPartition, int], int]
    windows: WindowComparison
    token_spans: int | None = None
    repeated_event_ids: int = 0
    read_twice: Sequence[ReadTwice] = ()
    checks_chain: bool = True
    ledger_horizon_us: int = 0
    waited_s: float | None = None
    unfinished_voids: Sequence[str] = ()
    returned_voids: Mapping[str, int] = field(default_factory=dict)
    consumed: Consumed | None = None
    consumed_at_us: int | None = None
