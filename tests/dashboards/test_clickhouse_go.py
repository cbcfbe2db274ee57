"""Every query of boards and rules is read by clickhouse-go, the client in Grafana's data source."""

from __future__ import annotations

import json
import subprocess
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest

from tests.dashboards.test_boards import MADE, seed_all, span
from tests.go_program import build_go_program
from tests.places import ROOT
from tests.sql.cookbook_calls import NOW
from tokentide_dashboards.check.browser import expand
from tokentide_dashboards.check.choice import choose
from tokentide_dashboards.check.lint import queries
from tokentide_dashboards.check.macros import expand_macros
from tokentide_dashboards.check.time_range import TimeRange
from tokentide_dashboards.rules.all_rules import RULES

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

pytestmark = pytest.mark.integration

SOURCE = ROOT / "tests/stream_jobs/embedded/clickhouse/goclient"
READER = "grafana"


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_go_program(SOURCE, "./queries", tmp_path_factory.mktemp("go") / "queries")


def run(program: Path, url: str, database: str, statements: dict[str, str]) -> dict[str, Any]:
    done = subprocess.run(
        [program, urlsplit(url).netloc.rpartition("@")[2], READER, database],
        input=json.dumps(statements), capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout))


def statements_of_boards(client: Client) -> dict[str, str]:
    """Return every query of boards under All, and every number of rules, over a day: each once."""
    found: dict[str, str] = {}
    for board in MADE:
        chosen = choose(board, span(1), lambda sql: client.query(sql).result_rows)
        for name, _of, sql in queries(board):
            found.setdefault(expand(sql, span(1), chosen), f"{board['uid']} {name}")
    end_ms = int(NOW.timestamp() * 1_000)
    for rule in RULES:
        whole = TimeRange(end_ms - round(timedelta(days=1).total_seconds() * 1_000), end_ms)
        for number, sql in rule.numbers.items():
            found.setdefault(expand_macros(sql, whole), f"rule {rule.name} {number}")
    return {name: sql for sql, name in found.items()}


def test_every_query_is_read_as_another_client_reads_it(
    sql_client: Client, sql_server: str, program: Path
) -> None:
    seed_all(sql_client)
    assert sql_client.database is not None
    statements = statements_of_boards(sql_client)
    expected: dict[str, dict[str, Any]] = {}
    for name, sql in statements.items():
        answer = sql_client.query(sql)
        expected[name] = {
            "columns": list(answer.column_names), "rows": len(answer.result_rows), "error": "",
        }  # fmt: skip
    assert run(program, sql_server, sql_client.database, statements) == expected
    assert sum(one["rows"] > 0 for one in expected.values()) > 100


def test_a_query_that_fails_says_why(sql_client: Client, sql_server: str, program: Path) -> None:
    assert sql_client.database is not None
    sql = {"renamed": "SELECT sum(cost_pico) FROM windows_1m"}
    answer = run(program, sql_server, sql_client.database, sql)
    assert "cost_pico" in answer["renamed"]["error"]
