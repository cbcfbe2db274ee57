"""The state of a run or a budget as a host gets it, and how it is read from a record.

What cannot be read is `unknown`, with the reason: nothing here raises.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Literal, cast

RunWord = Literal["ok", "flagged", "stop", "unknown"]
BudgetWord = Literal["ok", "over", "ended", "unknown"]

_RUN_WORDS = ("ok", "flagged", "stop")


@dataclass(frozen=True, slots=True, kw_only=True)
class RunState:
    """What is known of one run.

    Attributes:
        run: The run that was asked for; empty where there was none.
        state: `ok`; `flagged`: it broke a rule; `stop`: it is to stop; `unknown`: nothing is known
            of it, and `reason` states why.
        reason: One sentence for people.
        rules: Rules that it broke.
        spend_pico_usd: Spend so far, whole pico-USD.
        per_minute_pico_usd: Spend a minute, over the last ten.
        calls: Calls so far.
        age_s: Seconds since the pipeline reported it; None when unknown.
        heard_s: Seconds since the broker last answered; None before the first time.
    """

    run: str
    state: RunWord = "unknown"
    reason: str = ""
    rules: tuple[str, ...] = ()
    spend_pico_usd: int = 0
    per_minute_pico_usd: int = 0
    calls: int = 0
    age_s: float | None = None
    heard_s: float | None = None

    @property
    def must_stop(self) -> bool:
        """Whether the run is to stop; never because nothing is known."""
        return self.state == "stop"

    @property
    def spend_usd(self) -> Decimal:
        """Spend so far in dollars, exact."""
        return Decimal(self.spend_pico_usd).scaleb(-12)


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetState:
    """What is known of one budget.

    Attributes:
        budget: Its name.
        state: `ok`; `over`: more than its amount is spent; `ended`: the period that was last
            reported is over; `unknown`: nothing is known of it, and `reason` states why.
        reason: One sentence for people, where it is unknown.
        kind: `hard` budgets ask services to stop, `soft` ones do not; empty when unknown.
        amount_pico_usd: What may be spent in the period.
        spent_pico_usd: What was.
        reached: Thresholds that were reached, in per cent.
        period_end_us: End of the period, epoch µs.
        forecast_pico_usd: What will be spent by then; None where no sound forecast exists.
        age_s: Seconds since the pipeline reported it; None when unknown.
        heard_s: Seconds since the broker last answered; None before the first time.
    """

    budget: str
    state: BudgetWord = "unknown"
    reason: str = ""
    kind: str = ""
    amount_pico_usd: int = 0
    spent_pico_usd: int = 0
    reached: tuple[int, ...] = ()
    period_end_us: int = 0
    forecast_pico_usd: int | None = None
    age_s: float | None = None
    heard_s: float | None = None

    @property
    def must_stop(self) -> bool:
        """Whether services that spend it are to stop; never because nothing is known."""
        return self.state == "over" and self.kind == "hard"

    @property
    def share(self) -> float:
        """Spent of the amount: 0.5 is half of it."""
        return self.spent_pico_usd / self.amount_pico_usd if self.amount_pico_usd else 0.0


def run_state(run: str, fields: dict[str, Any], now_us: int, heard_s: float | None) -> RunState:
    """Return the state that a record says; raises where it says none."""
    word = fields["state"]
    if word not in _RUN_WORDS:
        raise ValueError(word)
    return RunState(
        run=run,
        state=cast("RunWord", word),
        reason=str(fields.get("reason", "")),
        rules=tuple(map(str, fields.get("rules", ()))),
        spend_pico_usd=int(fields.get("spend_pico_usd", 0)),
        per_minute_pico_usd=int(fields.get("per_minute_pico_usd", 0)),
        calls=int(fields.get("calls", 0)),
        age_s=_age_s(fields, now_us),
        heard_s=heard_s,
    )


def budget_state(
    budget: str, fields: dict[str, Any], now_us: int, heard_s: float | None
) -> BudgetState:
    """Return the state that a record says; raises where it says none."""
    amount, spent = int(fields["amount_pico_usd"]), int(fields["spent_pico_usd"])
    end_us = int(fields["period_end_us"])
    forecast = fields.get("forecast_pico_usd")
    return BudgetState(
        budget=budget,
        state="ended" if now_us >= end_us else "over" if spent > amount else "ok",
        kind=str(fields["kind"]),
        amount_pico_usd=amount,
        spent_pico_usd=spent,
        reached=tuple(map(int, fields.get("reached", ()))),
        period_end_us=end_us,
        forecast_pico_usd=None if forecast is None else int(forecast),
        age_s=_age_s(fields, now_us),
        heard_s=heard_s,
    )


def _age_s(fields: dict[str, Any], now_us: int) -> float:
    """Return seconds since a state was reported; 0 where clocks differ and it would be negative."""
    return max(0.0, (now_us - int(fields["at_us"])) / 1e6)
