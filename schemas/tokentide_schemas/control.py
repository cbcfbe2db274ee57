"""What the pipeline reports back to services: the state of single runs and of budgets.

The values of the compacted topic `tokentide.control.v1`. A key names what the state is about, its
newest record is the state, and a record without a value ends it. Money is whole pico-USD: JSON
integers of any size.
"""

from __future__ import annotations

from typing import Annotated, Final, Literal
from urllib.parse import quote

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from tokentide_schemas.fields import EpochUs, Label

__all__ = [
    "CONTROL_ADAPTER",
    "CONTROL_MODELS",
    "LONGEST_NAME",
    "MOST_THRESHOLDS",
    "BudgetState",
    "ControlState",
    "RunState",
    "budget_key",
    "run_key",
]

LONGEST_NAME: Final = 256
"""Characters of a budget's name, and of a value of its scope."""
MOST_THRESHOLDS: Final = 64
"""Of one budget."""

RunWord = Literal["ok", "flagged", "stop"]
PicoUsd = Annotated[int, Field(ge=0)]
Percent = Annotated[int, Field(ge=1, le=1_000_000)]
Text = Annotated[str, Field(max_length=2048)]
_CONFIG = ConfigDict(extra="ignore", strict=True, frozen=True, use_attribute_docstrings=True)
Names = Annotated[list[Label], Field(max_length=16)]


class _State(BaseModel):
    model_config = _CONFIG

    at_us: EpochUs
    """When it was so, by the clock of the sender."""


class RunState(_State):
    """What the guard reports of one run. Runs that have no state are not known to be wrong."""

    schema_: Literal["run_state.v1"] = Field("run_state.v1", alias="schema")
    tenant: Label
    """Whose run it is; may be empty."""
    run: Annotated[str, Field(min_length=1, max_length=256)]
    """`run_id`, else the conversation, else the trace."""
    agent: Label = ""
    """Who runs."""
    user: Label = ""
    """Hash of the user."""
    state: RunWord
    """`ok`; `flagged`: it broke a rule, look at it; `stop`: it is to stop."""
    rules: Names = []
    """Rules that the run broke."""
    reason: Text = ""
    """One sentence for people."""
    spend_pico_usd: PicoUsd
    """Spend so far."""
    per_minute_pico_usd: PicoUsd = 0
    """Spend a minute, over the last ten."""
    calls: Annotated[int, Field(ge=0)] = 0
    """Calls so far."""
    last_step_us: EpochUs | None = None
    """Event time of the newest step that is counted."""

    @property
    def key(self) -> str:
        """Key of the record."""
        return run_key(self.tenant, self.run)


class BudgetState(_State):
    """How much of one budget is spent in the period that runs now."""

    schema_: Literal["budget_state.v1"] = Field("budget_state.v1", alias="schema")
    budget: Annotated[str, Field(min_length=1, max_length=LONGEST_NAME)]
    """Its name."""
    scope: dict[Label, Annotated[str, Field(max_length=LONGEST_NAME)]] = {}
    """Dimensions or the subject that it is about; empty: everything."""
    period: Literal["hour", "day", "week", "month"]
    """Length of its periods."""
    period_start_us: EpochUs
    """Begin of this one."""
    period_end_us: EpochUs
    """Its end: a later clock knows that the state is over."""
    amount_pico_usd: Annotated[int, Field(gt=0)]
    """What may be spent in the period."""
    spent_pico_usd: PicoUsd
    """What was."""
    share: Annotated[float, Field(ge=0, allow_inf_nan=False)]
    """Spent of the amount: 0.5 is half of it."""
    thresholds: Annotated[list[Percent], Field(max_length=MOST_THRESHOLDS)] = []
    """Percentages of the amount that are watched."""
    reached: Annotated[list[Percent], Field(max_length=MOST_THRESHOLDS)] = []
    """Those that were reached."""
    kind: Literal["soft", "hard"]
    """`hard`: services are to stop when more than the amount is spent."""
    unpriced: Annotated[int, Field(ge=0)] = 0
    """Requests without a price: more is spent than is stated."""
    forecast_pico_usd: PicoUsd | None = None
    """Expected at the end of the period; None where no sound forecast exists."""
    forecast_low_pico_usd: PicoUsd | None = None
    """Lower end of its 80 % interval."""
    forecast_high_pico_usd: PicoUsd | None = None
    """Upper end."""

    @property
    def key(self) -> str:
        """Key of the record."""
        return budget_key(self.budget)


ControlState = RunState | BudgetState

CONTROL_MODELS: Final[dict[str, type[BaseModel]]] = {
    "run_state": RunState,
    "budget_state": BudgetState,
}
CONTROL_ADAPTER: Final[TypeAdapter[RunState | BudgetState]] = TypeAdapter(
    Annotated[RunState | BudgetState, Field(discriminator="schema_")]
)
"""Reads the value of a record, whichever state it is."""


def run_key(tenant: str, run: str) -> str:
    """Return the key of a run's state: `run/acme/nightly-7`; odd characters percent-encoded."""
    return f"run/{quote(tenant, safe='')}/{quote(run, safe='')}"


def budget_key(budget: str) -> str:
    """Return the key of a budget's state: `budget/search%20team`.

    One key for all its periods: the first state of a period takes the place of the last one.
    """
    return f"budget/{quote(budget, safe='')}"
