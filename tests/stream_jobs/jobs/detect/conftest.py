"""What sessions of detection decide by, and an empty store for them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import yaml

from tests.stream_jobs.core.decide.recorded_stream import RULES
from tests.stream_jobs.jobs.detect.sessions import BUDGETS
from tokentide_jobs.core.tables import (
    ALERT_EVENTS,
    ANOMALY_POINTS,
    BUDGET_STATUS,
    DETECTOR_STATE,
    RUN_STATUS,
    WINDOWS,
)
from tokentide_jobs.io.clickhouse.client import ClickHouse
from tokentide_jobs.jobs.detect.rule_files import InForce, RuleFiles

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client


@pytest.fixture
def files(tmp_path: Path) -> RuleFiles:
    path = tmp_path / "budgets.yaml"
    path.write_text(yaml.safe_dump(BUDGETS))
    found = RuleFiles(None, path)
    found.in_force = InForce(RULES, found.in_force.budgets, found.in_force.alerts)
    return found


@pytest.fixture
def store(sql_server: str, sql_client: Client) -> Iterator[ClickHouse]:
    assert sql_client.database is not None
    for table in (ANOMALY_POINTS, RUN_STATUS, BUDGET_STATUS, DETECTOR_STATE, ALERT_EVENTS,
                  "raw_requests", "ingest_positions", WINDOWS, "windows_1m",
                  "reprice_chunks"):  # fmt: skip
        sql_client.command(f"TRUNCATE TABLE {table}")
    opened = ClickHouse(sql_server, sql_client.database)
    yield opened
    opened.close()
