"""How far ingest is behind in a partition, and what an open transaction keeps from it. Pure.

Readers stop where a transaction is open: what lies beyond is no lag, and may be acknowledged events
of producers without any transaction. It is counted apart, and never called stored.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from tokentide_jobs.counted import counted

__all__ = ["LongTransaction", "PartitionLag", "long_transaction"]

_LONG_S: Final = 60.0
"""A producer's default, after which the broker aborts a transaction that it left."""


@dataclass(frozen=True, slots=True)
class PartitionLag:
    """How far ingest is behind in one partition.

    Attributes:
        topic: Name of the topic.
        partition: Its number.
        position: End of the last finished batch.
        end: Offset of the next record.
        oldest_ms: Age of the oldest record that is not stored yet; None: there is none, or unknown.
        behind_transaction: Offsets from `end` on that no reader gets before a transaction ends.
        transaction_ms: Age of the first of their records; None: there is none, or unknown.
    """

    topic: str
    partition: int
    position: int
    end: int
    oldest_ms: float | None = None
    behind_transaction: int = 0
    transaction_ms: float | None = None

    @property
    def records(self) -> int:
        """Records that are not stored yet."""
        return max(0, self.end - self.position)

    @property
    def place(self) -> str:
        """Topic and partition in one word."""
        return f"{self.topic}/{self.partition}"


class LongTransaction(NamedTuple):
    """A transaction that stays open.

    Attributes:
        age_s: Of its first record, of the oldest that is known; 0: none is known to be long.
        words: How many records wait for it, where and since when, and where to read on.
    """

    age_s: float
    words: str


def long_transaction(lags: Sequence[PartitionLag]) -> LongTransaction | None:
    """Return the oldest open transaction that is no matter of a moment; None: there is none.

    One whose age is not known may be older than any other: it is named, and hides no known age.

    Args:
        lags: Of all partitions.
    """
    held = [lag for lag in lags if lag.behind_transaction]
    known = [(lag.transaction_ms / 1000, lag) for lag in held if lag.transaction_ms is not None]
    age_s, oldest = max(known, key=lambda pair: pair[0], default=(0.0, None))
    unknown = next((lag for lag in held if lag.transaction_ms is None), None)
    if age_s > _LONG_S and oldest is not None:
        which = "the oldest" if unknown is None else "the oldest known"
        where = f"({which} in {oldest.place}), whose first record is {age_s:.0f} s old"
        if unknown is not None:
            where += f" (the age of the one in {unknown.place} is unknown)"
    elif unknown is not None:
        age_s, where = 0.0, f"(one in {unknown.place}) of unknown age"
    else:
        return None
    total = sum(lag.behind_transaction for lag in held)
    return LongTransaction(
        age_s,
        f"{counted(total, 'record waits', 'records wait')} for an open transaction {where}: no "
        'reader gets them before it ends; docs/operations.md, "A transaction that stays open"',
    )
