"""What budgets spent, from ClickHouse: one statement a budget, to the pico-dollar as the raw rows.

Scopes of dimensions are summed from the rollups, which hold the money of the raw rows to the
pico-dollar; scopes of a subject from the raw rows themselves.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tokentide_jobs.core.budget.budget import Budget
from tokentide_jobs.core.budget.budget_status import BudgetStatus, budget_status
from tokentide_jobs.core.budget.reads import WindowSpend, reads_of
from tokentide_jobs.core.tables import DAY_US
from tokentide_jobs.core.window.fold import DIMENSIONS
from tokentide_jobs.io.clickhouse.client import ClickHouse

__all__ = ["read_budgets"]

_SECOND_US = 1_000_000


def read_budgets(store: ClickHouse, budgets: Sequence[Budget], now_us: int) -> list[BudgetStatus]:
    """Return the state of every budget, in the order given.

    Raises:
        RetriableSinkError: ClickHouse does not answer.
    """
    return [
        budget_status(one, _windows(store, one, now_us), now_us, _kept_from_us(store, one, now_us))
        for one in budgets
    ]


def _kept_from_us(store: ClickHouse, budget: Budget, now_us: int) -> int:
    """Return from when on nothing has expired that is summed; rows expire by whole days.

    Windows are kept longer than any period and its history.
    """
    if budget.scope.subject is None:
        return 0
    (row,) = store.select("verify/shortest_retention")
    days = row["kept_days"]
    return now_us - (days - 1) * DAY_US if days else 0


def _windows(store: ClickHouse, budget: Budget, now_us: int) -> list[WindowSpend]:
    reads = reads_of(budget, now_us)
    values: dict[str, Any] = {"hours": _seconds(reads.hours), "minutes": _seconds(reads.minutes)}
    if budget.scope.subject:
        values["kind"], values["subject"] = budget.scope.subject
        rows = store.select("budgets/subject", values)
    else:
        wanted = dict(budget.scope.dimensions)
        values |= {name: [wanted[name]] if name in wanted else [] for name in DIMENSIONS}
        rows = store.select("budgets/windows", values)
    windows = [
        WindowSpend(
            start_us=row["start_s"] * _SECOND_US,
            end_us=(row["start_s"] + row["length_s"]) * _SECOND_US,
            pico_usd=int(row["cost_pico_usd"]),
            requests=row["requests"],
            unpriced=row["unpriced"],
        )
        for row in rows
    ]
    return sorted(windows, key=lambda one: one.start_us)


def _seconds(ranges: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    return [(start_us // _SECOND_US, end_us // _SECOND_US) for start_us, end_us in ranges]
