"""Every rule over stored rows: silent while well, firing under a fault, and silent again."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from tests.dashboards.rules import rows
from tests.dashboards.rules.rows import at, insert, stats, us
from tests.dashboards.rules.rule_evaluation import Labels, RuleEvaluation
from tests.places import ROOT
from tokentide_dashboards.rules.all_rules import RULES
from tokentide_dashboards.rules.rule import Rule

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

pytestmark = pytest.mark.integration

NOW = datetime.now(UTC).replace(minute=30, second=0, microsecond=0) - timedelta(hours=1)
"""Retention is by the clock of the server, so these rows are of this day."""
FAULT = NOW + timedelta(minutes=1)
"""Rules look then."""
AFTER = NOW + timedelta(hours=2)
USD = 10**12


def batch(number: int, done: datetime, **given: Any) -> dict[str, Any]:
    return {
        "log_id": "log", "topic": "tokentide.events.v1", "partition": 0, "start_offset": number,
        "end_offset": number + 1, "records": 1, "events": 1_000, "done_at_us": us(done),
        "first_record_ms": us(done) // 1_000 - 2_000, "last_record_ms": us(done) // 1_000 - 1_000,
        "written_at": at(done), **given,
    }  # fmt: skip


def budget(moment: datetime, spent: float, begin: datetime, days: int = 30) -> dict[str, Any]:
    return {
        "budget": "all", "tenant": "", "kind": "soft", "period": "month",
        "period_start": at(begin), "period_end": at(begin + timedelta(days=days)),
        "amount_pico_usd": 1_000 * USD, "spent_pico_usd": int(spent * USD), "at": at(moment),
    }  # fmt: skip


def forecast(moment: datetime, spent: float, expected: float) -> dict[str, Any]:
    begin = NOW - timedelta(days=10)
    return {
        "budget": "all", "tenant": "", "period_start": at(begin),
        "period_end": at(begin + timedelta(days=30)), "made_at": at(moment),
        "amount_pico_usd": 1_000 * USD, "spent_pico_usd": int(spent * USD),
        "expected_pico_usd": int(expected * USD),
    }  # fmt: skip


def window(moment: datetime, model: str, **given: int) -> dict[str, Any]:
    return {
        "window_start": at(moment),
        "provider": "openai",
        "model": model,
        "requests": 1_000,
    } | given


def alert(moment: datetime, state: str, metric: str, severity: str, **given: Any) -> dict[str, Any]:
    identity = f"{metric:_<32}"
    return {
        "id": f"{metric[:24]:_<24}{state[:8]:_<8}", "alert_id": identity, "identity": identity,
        "sequence": 0 if state == "open" else 1, "state": state, "at": at(moment),
        "severity": severity, "kind": "anomaly", "key": "model gpt-5", "metric": metric,
        "direction": "down", "value": 2.0, "expected": 1.0, "impact_pico_usd_hour": 5 * USD,
    } | given  # fmt: skip


def slo(moment: datetime, name: str, burn: float, severity: str) -> dict[str, Any]:
    return {"slo": name, "at": at(moment), "objective": 0.99, "burn": burn, "severity": severity}


def insert_normal_day(client: Client) -> None:
    minutes = [NOW - timedelta(minutes=minute) for minute in range(0, 720, 5)]
    insert(client, "ingest_positions", *(batch(n, one) for n, one in enumerate(minutes)))
    insert(client, "windows_1m", *(window(one, "gpt-5", errors=2) for one in minutes))
    insert(client, "raw_stats", *(
        stats(one, service, emitted=us(one) // 10**6)
        for one in minutes for service in ("web", "batch")
    ))  # fmt: skip
    insert(client, "budget_status", budget(NOW, 300.0, NOW - timedelta(days=10)))
    hours = [NOW - timedelta(hours=hour, minutes=30) for hour in range(12)]
    insert(client, "forecasts", *(forecast(one, 299.0, 900.0) for one in hours))
    insert(client, "detector_state", {
        "slot": 0, "taken_at_us": us(NOW), "version": 1, "written_at": at(NOW),
    })  # fmt: skip
    insert(client, "slo_status", slo(NOW, "fast", 0.5, ""), slo(NOW, "slow", 0.5, ""))
    insert(client, "run_status", {
        "id": "r" * 32, "at": at(NOW - timedelta(hours=5)), "tenant": "acme", "run": "old",
        "agent": "planner", "rule": "budget",
    })  # fmt: skip
    for metric in ("unit_price", "quality_score"):
        insert(client, "alert_events", alert(NOW, "closed", metric, "page"))


def insert_faults(client: Client) -> None:
    """Insert what each rule is there for; silence and missing snapshots come by time alone."""
    recent = NOW + timedelta(seconds=30)
    insert(client, "ingest_positions", batch(
        10_000, recent, dead_letters=5_000, first_record_ms=us(recent) // 1_000 - 600_000,
    ))  # fmt: skip
    minutes = [NOW - timedelta(minutes=minute) for minute in range(4)]
    insert(client, "windows_1m", *(
        window(one, "gpt-6", errors=900, unpriced=1_000) for one in minutes
    ))  # fmt: skip
    insert(client, "raw_stats", stats(recent, "web", emitted=us(recent) // 10**6, dropped=5_000))
    insert(client, "budget_status", budget(recent, 1_050.0, NOW - timedelta(days=10)))
    insert(client, "forecasts", forecast(NOW, 600.0, 2_000.0))
    insert(
        client, "slo_status", slo(recent, "fast", 20.0, "page"), slo(recent, "slow", 2.0, "ticket")
    )
    insert(client, "run_status", {
        "id": "s" * 32, "at": at(recent), "tenant": "acme", "run": "wild", "agent": "planner",
        "rule": "spend_rate", "per_minute_pico_usd": USD,
    })  # fmt: skip
    insert(client, "alert_events",
        alert(recent, "open", "error_ratio", "page"),
        alert(recent, "open", "requests", "ticket"),
        alert(recent, "open", "quality_score", "ticket"),
    )  # fmt: skip


def insert_recovery(client: Client) -> None:
    times = [AFTER - timedelta(minutes=minute) for minute in range(0, 60, 5)]
    insert(client, "ingest_positions", *(batch(20_000 + n, one) for n, one in enumerate(times)))
    insert(client, "windows_1m", *(window(one, "gpt-6") for one in times))
    insert(client, "raw_stats", *(
        stats(one, service, emitted=us(one) // 10**6, dropped=5_000 * (service == "web"))
        for one in times for service in ("web", "batch")
    ))  # fmt: skip
    # The next period of the budget; in it nothing is spent.
    insert(client, "budget_status", budget(
        AFTER, 1_050.0, NOW - timedelta(days=10)) | {"amount_pico_usd": 9_000 * USD}
    )  # fmt: skip
    hours = [AFTER - timedelta(minutes=90), AFTER - timedelta(minutes=30)]
    insert(client, "forecasts", *(
        forecast(one, 1_049.0, 2_000.0) | {"amount_pico_usd": 9_000 * USD} for one in hours
    ))  # fmt: skip
    insert(client, "detector_state", {
        "slot": 1, "taken_at_us": us(AFTER), "version": 1, "written_at": at(AFTER),
    })  # fmt: skip
    insert(client, "slo_status", slo(AFTER, "fast", 0.1, ""), slo(AFTER, "slow", 0.1, ""))
    insert(client, "alert_events", *(
        alert(AFTER, "closed", metric, severity)
        for metric, severity in (
            ("error_ratio", "page"), ("requests", "ticket"), ("quality_score", "ticket"),
        )
    ))  # fmt: skip


def ask(client: Client, rule: Rule, moment: datetime) -> dict[Labels, float]:
    """Return the table that decides; the other numbers of the rule must have the same labels."""
    tables = {name: rows.ask(client, rule, moment, name) for name in rule.numbers}
    for name, table in tables.items():
        assert set(table) == set(tables["Value"]), f"{rule.name}: {name}"
    return tables["Value"]


SILENT = NOW + timedelta(minutes=31)
"""By then reports, snapshots and batches have been missing for half an hour."""
LOOKED_AT = {"pipeline-freshness": SILENT, "producer-silence": SILENT, "detector-heartbeat": SILENT}


ALL = {"budget": "all", "tenant": ""}
GPT_6 = {"provider": "openai", "model": "gpt-6"}
KEY = {"kind": "anomaly", "key": "model gpt-5", "direction": "down", "tenant": ""}
LOG = {"topic": "tokentide.events.v1"}
FIRING: dict[str, list[dict[str, str]]] = {
    "budget-threshold": [{**ALL, "kind": "soft", "period": "month"}],
    "budget-spent": [{**ALL, "kind": "soft", "period": "month"}],
    "budget-burn": [{**ALL, "period": "month"}],
    "forecast-over-plan": [ALL],
    "run-guard": [{"tenant": "acme", "agent": "planner"}],
    "slo-burn-page": [{"slo": "fast", "tenant": ""}],
    "slo-burn-ticket": [{"slo": "slow", "tenant": ""}],
    "error-burn": [GPT_6],
    "anomaly-page": [{**KEY, "metric": "error_ratio"}],
    "anomaly-ticket": [{**KEY, "metric": "requests"}],
    "quality-drop": [{**KEY, "metric": "quality_score"}],
    "pipeline-freshness": [{"job": "ingest"}],
    "pipeline-lag": [{**LOG, "log_partition": "0"}],
    "dead-letters": [LOG],
    "unpriced-share": [GPT_6],
    "producer-loss": [{"service": "web"}],
    "producer-silence": [{"service": "batch"}, {"service": "web"}],
    "detector-heartbeat": [{"job": "detect"}],
}
"""Which alerts of each rule the faults are about: all else that is stored stays well."""


def test_every_rule_is_silent_over_a_normal_day_fires_under_its_fault_and_resolves(
    sql_client: Client,
) -> None:
    insert_normal_day(sql_client)
    evaluations = {rule.name: RuleEvaluation(rule.provisioned()) for rule in RULES}
    for rule in RULES:
        table = ask(sql_client, rule, FAULT)
        assert table, f"{rule.name} has no row while all is well"
        run(evaluations[rule.name], FAULT, table)
        assert evaluations[rule.name].firing == [], f"{rule.name}: {table}"
    insert_faults(sql_client)
    for rule in RULES:
        moment = LOOKED_AT.get(rule.name, FAULT)
        table = ask(sql_client, rule, moment)
        run(evaluations[rule.name], moment + timedelta(hours=1), table)
        fired = [dict(labels) for labels in evaluations[rule.name].firing]
        assert sorted(fired, key=str) == FIRING[rule.name], f"{rule.name}: {table}"
    insert_recovery(sql_client)
    for rule in RULES:
        table = ask(sql_client, rule, AFTER)
        assert table, f"{rule.name} has no row after its fault"
        run(evaluations[rule.name], AFTER + timedelta(hours=1), table)
        assert evaluations[rule.name].firing == [], f"{rule.name}: {table}"


def run(evaluation: RuleEvaluation, begin: datetime, table: dict[Labels, float]) -> None:
    """Evaluate the same table for two hours."""
    for minute in range(121):
        evaluation.take(round(begin.timestamp()) + 60 * minute, table)


PAGES = sorted((ROOT / "docs/runbooks").glob("*.md"))


def test_the_queries_of_every_runbook_run(sql_client: Client) -> None:
    ran = 0
    for page in PAGES:
        for sql in re.findall(r"```sql\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL):
            sql_client.query(sql)
            ran += 1
    assert ran >= len(RULES)
