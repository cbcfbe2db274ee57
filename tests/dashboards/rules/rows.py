"""Rows that tests of alert rules store themselves, and the table that a rule is asked for."""

from __future__ import annotations

import json
from datetime import datetime
from typing import TYPE_CHECKING, Any

from tests.dashboards.rules.rule_evaluation import Labels, number_table
from tokentide_dashboards.check.macros import expand_macros
from tokentide_dashboards.check.time_range import TimeRange
from tokentide_dashboards.rules.rule import Rule

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client


def at(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S}"


def us(moment: datetime) -> int:
    return round(moment.timestamp()) * 1_000_000


def insert(client: Client, table: str, *rows: dict[str, Any]) -> None:
    lines = "\n".join(json.dumps(row) for row in rows)
    client.raw_insert(table, list(rows[0]), insert_block=lines.encode(), fmt="JSONEachRow")


def stats(moment: datetime, service: str, **given: int) -> dict[str, Any]:
    return {
        "event_id": "01890000-0000-7000-8000-000000000000", "service": service,
        "producer_id": service, "tags_json": "{}", "started_at": at(moment),
        "ingested_at": at(moment), "uptime_ms": 86_400_000, "_offset": us(moment),
    } | {"emitted": 0, "dropped": 0, "failed": 0} | given  # fmt: skip


def ask(client: Client, rule: Rule, moment: datetime, name: str = "Value") -> dict[Labels, float]:
    """Return the table of one number of a rule, as Grafana asks for it at a moment."""
    end_ms = us(moment) // 1_000 - rule.delay_s * 1_000
    span = TimeRange(end_ms - rule.range_s * 1_000, end_ms, 60_000)
    got = client.query(expand_macros(rule.numbers[name], span))
    types = [kind.name for kind in got.column_types]
    return number_table(got.column_names, types, got.result_rows)
