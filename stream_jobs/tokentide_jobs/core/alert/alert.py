"""One alert: where it stands in its life, and what has been announced of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, Literal

from tokentide_jobs.core.alert.finding import SEVERITIES, Finding, Severity
from tokentide_jobs.core.alert.transition import NEXT_STATES, State, Transition
from tokentide_jobs.core.digest import digest
from tokentide_jobs.errors import InvariantViolation

__all__ = ["NEVER_OPENED", "Action", "Alert", "Rank"]

Rank = tuple[int, int]
"""Severity, then level: above that of its last opening it is worth another."""
NEVER_OPENED: Final[Rank] = (-1, 0)
_MOST_MEMBERS: Final = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Action:
    """What a person did about an alert.

    Attributes:
        alert_id: Which.
        verb: What.
        author: Who.
        reason: Why.
        at_us: When, by the clock.
    """

    alert_id: str
    verb: Literal["ack", "close"]
    author: str
    reason: str
    at_us: int


@dataclass(slots=True)
class Alert:
    """The state of one alert.

    Attributes:
        finding: The latest that fired.
        began_us: When it fired first: part of its identity.
        state: None before its first transition.
        sequence: Of the next transition.
        severity: The highest so far.
        opened_us: When it opened first; 0: not yet.
        changed_us: When it came into its state.
        entered_us: Time of its last transition, no later than the clock was.
        last_us: Time of the last finding about it: what is not newer is ignored.
        acted_us: Time of the last action that was done: what is not newer is a repetition.
        due_us: When a pending one opens, or a flapping one closes; 0: nothing is due.
        flaps: Returns from closed.
        recorded: The rank of its last opening.
        held: Why the last opening was not announced.
        leader: Identity of the alert that stands for it, where one does.
        ending: Why a flapping one is about to close.
        is_dismissed: A person closed it while it was firing.
        is_reported: Receivers know that it is open.
        members: Identities of the alerts that it stands for, and their keys.
    """

    finding: Finding
    began_us: int
    state: State | None = None
    sequence: int = 0
    severity: Severity = "info"
    opened_us: int = 0
    changed_us: int = 0
    entered_us: int = 0
    last_us: int = 0
    acted_us: int = 0
    due_us: int = 0
    flaps: int = 0
    recorded: Rank = NEVER_OPENED
    held: str = ""
    leader: str = ""
    ending: str = ""
    is_dismissed: bool = False
    is_reported: bool = False
    members: dict[str, str] = field(default_factory=dict)

    @property
    def id(self) -> str:
        """Return its name: what is wrong, and when that began."""
        return digest(self.finding.identity, self.began_us)

    @property
    def is_live(self) -> bool:
        """Tell whether it is open, acknowledged or not."""
        return self.state in ("open", "acknowledged")

    @property
    def rank(self) -> Rank:
        """Return how bad it is by now."""
        return SEVERITIES.index(self.severity), self.finding.level

    def enter(
        self, state: State, at_us: int, why: str, held: str = "", author: str = ""
    ) -> Transition:
        """Come into a state.

        Raises:
            InvariantViolation: It may not follow the present one.
        """
        if state not in NEXT_STATES[self.state]:
            raise InvariantViolation(f"an alert may not go from {self.state} to {state}")
        name = digest(self.id, self.sequence, state)
        is_live = state in ("open", "acknowledged")
        if is_live and not self.opened_us:
            self.opened_us = at_us
        if not (is_live and self.state == state):
            self.changed_us = at_us
        self.state, self.entered_us = state, at_us
        if state == "open" and held != "flapping":
            self.held, self.recorded = held, self.rank
            self.is_reported = self.is_reported or not held
        elif state == "closed":
            self.is_reported = False
        names = tuple(self.members.values())
        more = len(names) - _MOST_MEMBERS
        shown = (*names[:_MOST_MEMBERS], f"and {more} more") if more > 0 else names
        transition = Transition(
            id=name,
            alert_id=self.id,
            sequence=self.sequence,
            state=state,
            at_us=at_us,
            severity=self.severity,
            why=why,
            held=held,
            author=author,
            began_us=self.began_us,
            opened_us=self.opened_us,
            flaps=self.flaps,
            finding=self.finding,
            members=shown,
        )
        self.sequence += 1
        return transition
