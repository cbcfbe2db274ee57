"""Decisions as rows of the tables that hold them, in the types of Arrow that ClickHouse takes.

A row depends on the finding alone, so a replay makes the same rows.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import pyarrow as pa

from tokentide_jobs.core.budget.budget import Budget
from tokentide_jobs.core.budget.budget_status import BudgetStatus
from tokentide_jobs.core.decide.decisions import (
    BudgetNow,
    Decisions,
    JudgedWindow,
    RunVerdict,
    alarm_id,
    extreme_id,
)
from tokentide_jobs.core.detect.alarms import reason
from tokentide_jobs.core.detect.window_metrics import METRICS, metric_at
from tokentide_jobs.core.merge.key_levels import dimensions_of, level_name
from tokentide_jobs.core.tables import ANOMALY_POINTS, BUDGET_STATUS, FORECASTS, HOUR_US, RUN_STATUS

__all__ = ["forecast_rows", "rows_of"]

_TEXT, _NUMBER, _FLAG = pa.string(), pa.float64(), pa.bool_()
_SECOND, _MICRO = pa.timestamp("s", "UTC"), pa.timestamp("us", "UTC")
_MONEY, _COUNT, _TEXTS = pa.decimal128(38, 0), pa.int64(), pa.list_(pa.string())
_NAMED: Final = pa.map_(pa.string(), pa.string())

_COLUMNS: Final[Mapping[str, Mapping[str, pa.DataType]]] = {
    ANOMALY_POINTS: {
        "id": _TEXT, "window_start": _SECOND, "window_s": _COUNT, "level": _TEXT, "key": _TEXT,
        "dimensions": _NAMED, "tenant": _TEXT, "metric": _TEXT, "unit": _TEXT, "what": _TEXT,
        "test": _TEXT, "value": _NUMBER, "expected": _NUMBER, "lower": _NUMBER, "upper": _NUMBER,
        "n": _NUMBER, "score": _NUMBER, "evidence": _NUMBER, "threshold": _NUMBER,
        "since": _SECOND, "opened_at": _SECOND, "is_young": _FLAG, "cost_usd": _NUMBER,
        "reason": _TEXT,
    },
    RUN_STATUS: {
        "id": _TEXT, "at": _MICRO, "tenant": _TEXT, "run": _TEXT, "agent": _TEXT,
        "user_hash": _TEXT, "rule": _TEXT, "value": _MONEY, "allowed": _MONEY,
        "learned_from": _TEXT, "spend_pico_usd": _MONEY, "per_minute_pico_usd": _MONEY,
        "calls": _COUNT, "tools": _TEXTS, "is_history": _FLAG, "sentence": _TEXT,
        "seen_at": _MICRO,
    },
    BUDGET_STATUS: {
        "budget": _TEXT, "revision": _TEXT, "scope": _NAMED, "tenant": _TEXT, "kind": _TEXT,
        "period": _TEXT, "period_start": _SECOND, "period_end": _SECOND,
        "amount_pico_usd": _MONEY, "spent_pico_usd": _MONEY, "requests": _COUNT,
        "unpriced": _COUNT, "thresholds": pa.list_(pa.int64()), "reached": pa.list_(pa.int64()),
        "reached_at": pa.list_(_SECOND), "at": _MICRO,
    },
    FORECASTS: {
        "budget": _TEXT, "tenant": _TEXT, "period_start": _SECOND, "period_end": _SECOND,
        "made_at": _SECOND, "amount_pico_usd": _MONEY, "spent_pico_usd": _MONEY,
        "expected_pico_usd": _MONEY, "low_pico_usd": _MONEY, "high_pico_usd": _MONEY,
        "method": _TEXT, "rests_on": _TEXT, "verdict": _TEXT,
    },
}  # fmt: skip


def rows_of(decisions: Decisions) -> Iterator[tuple[str, pa.Table]]:
    """Yield the table and the rows of everything that was found; only tables with rows."""
    points = [row for window in decisions.windows for row in _points(window)]
    runs = [_run(one) for one in decisions.verdicts]
    # Of several states in one stretch the last one counts.
    newest = {(one.budget.name, one.spend.period): one for one in decisions.budgets}
    budgets = [_budget(one) for one in newest.values()]
    for table, rows in ((ANOMALY_POINTS, points), (RUN_STATUS, runs), (BUDGET_STATUS, budgets)):
        if rows:
            yield table, _table(table, rows)


def forecast_rows(statuses: Sequence[BudgetStatus]) -> tuple[str, pa.Table]:
    """Return the table and the rows of forecasts, one a budget and hour."""
    return FORECASTS, _table(FORECASTS, [_forecast(one) for one in statuses])


def _points(window: JudgedWindow) -> Iterator[dict[str, Any]]:
    cost_of = dict(zip(window.sums.keys, window.sums.cost_usd.tolist(), strict=True))
    for extreme in window.judged.extremes:
        yield {
            **_key(extreme.key, extreme.metric, cost_of),
            "id": extreme_id(extreme, window.length_us),
            "window_start": extreme.window_start_us // 1_000_000,
            "window_s": window.length_us // 1_000_000,
            "what": "extreme",
            "test": "",
            "value": extreme.value,
            "expected": extreme.expected,
            **dict.fromkeys(("lower", "upper", "n"), math.nan),
            "score": extreme.score,
            **dict.fromkeys(("evidence", "threshold"), 0.0),
            **dict.fromkeys(("since", "opened_at"), extreme.window_start_us // 1_000_000),
            "is_young": False,
            "reason": "",
        }
    for alarm in window.judged.alarms:
        yield {
            **_key(alarm.key, alarm.metric, cost_of),
            "id": alarm_id(alarm, window.length_us),
            "window_start": alarm.window_start_us // 1_000_000,
            "window_s": window.length_us // 1_000_000,
            "what": alarm.change,
            "test": alarm.test,
            **{
                name: getattr(alarm, name)
                for name in ("value", "expected", "lower", "upper", "n", "evidence", "threshold")
            },
            "score": 0.0,
            "since": alarm.onset_us // 1_000_000,
            "opened_at": alarm.opened_us // 1_000_000,
            "is_young": alarm.is_young,
            "reason": reason(alarm),
        }


def _key(key: str, metric: str, cost_of: Mapping[str, float]) -> dict[str, Any]:
    dimensions = dimensions_of(key)
    return {
        "level": level_name(tuple(dimensions)),
        "key": key,
        "dimensions": list(dimensions.items()),
        "tenant": dimensions.get("tenant", ""),
        "metric": metric,
        "unit": METRICS[metric_at(metric)].unit,
        "cost_usd": cost_of.get(key, 0.0),
    }


def _run(found: RunVerdict) -> dict[str, Any]:
    verdict = found.verdict
    return {
        "id": found.id,
        "at": verdict.at_us,
        "tenant": verdict.key.tenant,
        "run": verdict.key.run,
        "agent": verdict.agent,
        "user_hash": verdict.user,
        "rule": verdict.rule,
        "value": verdict.value,
        "allowed": verdict.allowed,
        "learned_from": verdict.limit.basis if verdict.limit else "",
        "spend_pico_usd": verdict.spend_pico_usd,
        "per_minute_pico_usd": verdict.per_minute_pico_usd,
        "calls": verdict.calls,
        "tools": list(verdict.tools),
        "is_history": found.is_history,
        "sentence": verdict.sentence,
        "seen_at": found.seen_us,
    }


def _budget(now: BudgetNow) -> dict[str, Any]:
    budget, spend = now.budget, now.spend
    reached = sorted(spend.crossed.items())
    return {
        "budget": budget.name,
        "revision": budget.revision,
        "scope": list(budget.scope.to_dict().items()),
        "tenant": _tenant(budget),
        "kind": budget.kind,
        "period": budget.period,
        "period_start": spend.period.start_us // 1_000_000,
        "period_end": spend.period.end_us // 1_000_000,
        "amount_pico_usd": budget.amount_pico_usd,
        "spent_pico_usd": spend.pico_usd,
        "requests": spend.requests,
        "unpriced": spend.unpriced,
        "thresholds": list(budget.thresholds),
        "reached": [percent for percent, _notice in reached],
        "reached_at": [notice.at_us // 1_000_000 for _percent, notice in reached],
        "at": now.at_us,
    }


def _forecast(status: BudgetStatus) -> dict[str, Any]:
    period, expected = status.current.period, status.forecast
    return {
        "budget": status.budget.name,
        "tenant": _tenant(status.budget),
        "period_start": period.start_us // 1_000_000,
        "period_end": period.end_us // 1_000_000,
        "made_at": status.now_us // HOUR_US * 3_600,
        "amount_pico_usd": status.budget.amount_pico_usd,
        "spent_pico_usd": status.current.pico_usd,
        "expected_pico_usd": expected.pico_usd,
        "low_pico_usd": expected.low_pico_usd,
        "high_pico_usd": expected.high_pico_usd,
        "method": expected.method,
        "rests_on": expected.rests_on,
        "verdict": status.verdict,
    }


def _tenant(budget: Budget) -> str:
    return dict(budget.scope.dimensions).get("tenant", "")


def _table(name: str, rows: Sequence[Mapping[str, Any]]) -> pa.Table:
    columns = _COLUMNS[name]
    return pa.table(
        {column: pa.array([row[column] for row in rows], kind) for column, kind in columns.items()}
    )
