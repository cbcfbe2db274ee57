"""What budgets spent before they were watched: of the raw rows, up to given offsets.

The window tables know no offsets; the raw rows do, so what deltas add later is never in here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tokentide_jobs.core.batch.ledger import LogPartition
from tokentide_jobs.core.budget.budget import Budget
from tokentide_jobs.core.budget.spend import Spent
from tokentide_jobs.core.window.fold import DIMENSIONS
from tokentide_jobs.io.clickhouse.client import ClickHouse

__all__ = ["finished_offsets", "money_version", "reported_budgets", "stored_spend"]


def money_version(store: ClickHouse) -> str:
    """Return a text that changes when stored money was repriced or repaired; raises as `select`."""
    (row,) = store.select("detect/money_version")
    return str(row["version"])


def finished_offsets(store: ClickHouse) -> dict[LogPartition, int]:
    """Return how far ingest has finished every partition of every log; raises as `select`."""
    return {
        LogPartition(row["log_id"], row["topic"], row["partition"]): row["position"]
        for row in store.select("detect/positions")
    }


def reported_budgets(store: ClickHouse) -> list[str]:
    """Return the names of all budgets that were ever reported; raises as `select`."""
    return [row["budget"] for row in store.select("detect/reported_budgets")]


def stored_spend(
    store: ClickHouse, budget: Budget, floors: Mapping[LogPartition, int], now_us: int
) -> list[Spent]:
    """Return what a budget's scope spent in its present period, the one before, and later ones.

    Args:
        store: Where the raw rows are.
        budget: Which.
        floors: By source, the offset up to which rows count; of other sources none do.
        now_us: Decides which period is the present one.
    """
    period = budget.at(now_us)
    wanted = dict(budget.scope.dimensions)
    kind, subject = budget.scope.subject or ("", "")
    values: dict[str, Any] = {
        "before_us": budget.before(period).start_us,
        "begin_us": period.start_us,
        "end_us": period.end_us,
        "sources": [f"{one.log_id}\n{one.topic}\n{one.partition}" for one in floors],
        "ends": list(floors.values()),
        "kind": kind,
        "subject": subject,
        **{name: [wanted[name]] if name in wanted else [] for name in DIMENSIONS},
    }
    return [
        Spent(row["first_us"], int(row["cost_pico_usd"]), row["requests"], row["unpriced"])
        for row in store.select("detect/stored_spend", values)
    ]
