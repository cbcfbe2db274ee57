"""What a budget is: a scope, a period, an amount, and the shares of it that are reported.

Amounts are whole pico-USD. Everything that is derived from a budget is named by its revision, so
that another amount or scope under the same name is another budget.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import tzinfo
from typing import Final, Literal

from tokentide_jobs.core.budget.period import Period, PeriodKind, period_at, period_before
from tokentide_jobs.core.digest import digest

__all__ = ["SUBJECTS", "THRESHOLDS", "Budget", "BudgetKind", "Scope"]

BudgetKind = Literal["soft", "hard"]

SUBJECTS: Final = ("user", "key", "agent", "run")
"""What a budget may be of instead of dimensions: each has a column of its own in the raw rows."""
THRESHOLDS: Final = (50, 80, 95, 100)


@dataclass(frozen=True, slots=True)
class Scope:
    """Whose spend counts: all of it, that of a series' dimensions, or that of one subject.

    Attributes:
        dimensions: Value by dimension of the windows; all of them must be equal.
        subject: (kind, value), or None. A scope has dimensions or a subject.
    """

    dimensions: tuple[tuple[str, str], ...] = ()
    subject: tuple[str, str] | None = None

    def __str__(self) -> str:
        pairs = (self.subject,) if self.subject else self.dimensions
        return ", ".join(f"{name} {value or '(none)'}" for name, value in pairs) or "everything"

    def to_dict(self) -> dict[str, str]:
        """Return the JSON form."""
        return dict([self.subject] if self.subject else self.dimensions)


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """One entry of budgets.yaml.

    Attributes:
        name: Unique in the file.
        scope: Whose spend counts.
        period: After which kind of period it is whole again.
        zone: Where its periods begin.
        zone_name: IANA name of the zone.
        amount_pico_usd: What may be spent, more than zero.
        thresholds: Percentages of the amount, ascending.
        kind: soft: report only; hard: callers that ask are advised to stop.
    """

    name: str
    scope: Scope
    period: PeriodKind
    zone: tzinfo
    zone_name: str
    amount_pico_usd: int
    thresholds: tuple[int, ...] = THRESHOLDS
    kind: BudgetKind = "soft"

    def at(self, at_us: int) -> Period:
        """Return the period that holds an instant."""
        return period_at(self.period, self.zone, at_us)

    def before(self, period: Period) -> Period:
        """Return the period that ends where `period` begins."""
        return period_before(self.period, self.zone, period)

    @property
    def revision(self) -> str:
        """Return a name of what is counted against which amount."""
        return digest(
            self.name, self.scope.to_dict(), self.period, self.zone_name, self.amount_pico_usd
        )
