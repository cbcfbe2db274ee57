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


class LongTransaction(NamedTuple):
    """A transaction that stays open.

    Attributes:
        age_s: Of its first record; 0: not known.
        words: How many records wait for it, where and since when, and where to read on.
    """

    age_s: float
    words: str


def long_transaction(lags: Sequence[PartitionLag]) -> LongTransaction | None:
    """Return the oldest open transaction that is no matter of a moment; None: there is none.

    Args:
        lags: Of all partitions.
    """
    held = [lag for lag in lags if lag.behind_transaction]
    ages_s = [(lag.transaction_ms or 0) / 1000 for lag in held]
    if not held or (max(ages_s) <= _LONG_S and all(ages_s)):
        return None
    age_s, where = max(
        (age, f"{lag.topic}/{lag.partition}") for age, lag in zip(ages_s, held, strict=True)
    )
    total = sum(lag.behind_transaction for lag in held)
    since = f"whose first record is {age_s:.0f} s old" if age_s else "nobody can say since when"
    return LongTransaction(
        age_s,
        f"{counted(total, 'record waits', 'records wait')} for an open transaction (the oldest in "
        f"{where}), {since}: no reader gets them before it ends; docs/operations.md, "
        '"A transaction that stays open"',
    )
