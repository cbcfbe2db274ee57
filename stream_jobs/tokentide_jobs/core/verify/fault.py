"""The kinds of faults that `tokentide verify` tells apart, and one fault with its place."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = ["Fault", "FaultKind"]

FaultKind = Literal[
    "lost",
    "duplicated",
    "raw_and_dead",
    "surplus",
    "unclaimed",
    "ledger_count",
    "ledger_gap",
    "ledger_overlap",
    "ledger_intent",
    "ledger_ahead_of_log",
    "batch_money",
    "window_events",
    "window_tokens",
    "window_money",
    "rollup",
    "subjects",
    "sums",
    "detection",
    "read_twice",
    "voided",
    "pending",
]


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is not as it must be."""

    kind: FaultKind
    where: str
    expected: str
    found: str
    events: int = 0
    """How many events it concerns."""

    def __str__(self) -> str:
        kind = self.kind.replace("_", " ")
        return f"{kind}: {self.where}: expected {self.expected}, found {self.found}"
