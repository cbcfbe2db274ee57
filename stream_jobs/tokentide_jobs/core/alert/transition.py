"""One step in the life of an alert, under a name that a replay gives it again.

A transition is stored before any receiver is notified of it. `held` states why none is to be: then
it is only a record. With it stands what the book remembers of the alert, so that it can go on.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from tokentide_jobs.core.alert.finding import Finding, Severity

__all__ = ["NEXT_STATES", "State", "Transition"]

State = Literal["pending", "open", "acknowledged", "closed"]

NEXT_STATES: Final[Mapping[State | None, frozenset[State]]] = {
    None: frozenset({"pending", "open"}),
    "pending": frozenset({"open", "closed"}),
    "open": frozenset({"open", "acknowledged", "closed"}),
    "acknowledged": frozenset({"open", "acknowledged", "closed"}),
    "closed": frozenset({"open", "closed"}),
}
"""What may follow what; None is no alert at all. `open` again: it got worse, or is announced late;
either live state again: nothing has changed for very long; `open` after `closed`: within the
cooldown it is the same alert; `closed` again: what a person closed has ended."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Transition:
    """An alert comes into a state.

    Attributes:
        id: Of alert, sequence and state alone.
        alert_id: Of the identity of what is wrong, and when it began.
        sequence: From 0.
        state: The new one.
        at_us: Event time.
        severity: How urgent it is by now.
        why: What led to it, in words.
        held: Why it is not announced: `pending`, `history`, `silence …`, `parent …`, `incident …`,
            `storm …`, `flapping`, `unannounced` for the end of what never was; empty: it is.
        author: The person who did it; empty: no person did.
        began_us: When it was found first.
        opened_us: When this alert opened first; 0: it did not yet.
        flaps: How often it has come back.
        finding: What is wrong, in full.
        members: Keys of other alerts that this one stands for.
        memory: The alert as `alert_memory.recall` reads it.
    """

    id: str
    alert_id: str
    sequence: int
    state: State
    at_us: int
    severity: Severity
    why: str
    held: str
    author: str
    began_us: int
    opened_us: int
    flaps: int
    finding: Finding
    members: tuple[str, ...]
    memory: str = ""

    @property
    def since_us(self) -> int:
        """Return since when it is so: as the finding says, or since it was found first."""
        return self.finding.evidence.since_us or self.began_us

    @property
    def sentence(self) -> str:
        """Return what to tell a person in one sentence."""
        if self.state == "closed":
            lasted = max(0, self.at_us - (self.opened_us or self.at_us)) / 60e6
            by = f" by {self.author}" if self.author else ""
            about = f"{self.finding.metric} of {self.finding.key}"
            return f"{about}: closed{by} after {lasted:.0f} min, {self.why}"
        if self.state == "acknowledged":
            return f"{self.finding.sentence} (acknowledged by {self.author}: {self.why})"
        return self.finding.explained

    def to_dict(self) -> dict[str, Any]:
        """Return the form of JSON, without what depends on who receives it."""
        return {
            **self.finding.to_dict(),
            "sentence": self.sentence,
            "id": self.id,
            "alert_id": self.alert_id,
            "sequence": self.sequence,
            "state": self.state,
            "at_us": self.at_us,
            "severity": self.severity,
            "why": self.why,
            "held": self.held,
            "author": self.author,
            "opened_us": self.opened_us,
            "flaps": self.flaps,
            "members": list(self.members),
        }
