"""Every query of boards and rules is read by clickhouse-go, the client in Grafana's data source.

A usual run asks each under All over a day; a thorough one under every range and choice of the lint.
"""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest

from tests.dashboards.test_boards import HOSTILE, MADE, seed_all, span
from tests.go_program import build_go_program
from tests.places import ROOT
from tests.sampling import share
from tokentide_dashboards.check.browser import expand
from tokentide_dashboards.check.choice import choose
from tokentide_dashboards.check.lint import queries
from tokentide_dashboards.check.macros import expand_macros
from tokentide_dashboards.rules.all_rules import RULES

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

pytestmark = pytest.mark.integration

CHOICES: tuple[tuple[float, tuple[str, ...]], ...] = (
    (1, ()),
    (30, ("acme", "globex")),
    (0, (HOSTILE,)),
)
"""Days of a range, and the values of each variable with several; none: All."""
SOURCE = ROOT / "tests/stream_jobs/embedded/clickhouse/goclient"
READER = "grafana"


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_go_program(SOURCE, "./queries", tmp_path_factory.mktemp("go") / "queries")


def run(program: Path, url: str, database: str, statements: dict[str, str]) -> dict[str, Any]:
    done = subprocess.run(
        [program, urlsplit(url).netloc.rpartition("@")[2], READER, database],
        input=json.dumps(statements), capture_output=True, text=True, timeout=1_200, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout))


def statements(client: Client) -> dict[str, str]:
    """Return every query of boards under each choice, and every number of rules: each once."""
    found: dict[str, str] = {}
    for days, values in share(CHOICES, len(CHOICES)):
        for board in MADE:
            chosen = choose(board, span(days), lambda sql: client.query(sql).result_rows, *values)
            for name, _of, sql in queries(board):
                text = expand(sql, span(days), chosen)
                found.setdefault(text, f"{board['uid']} {name} over {days} days, {values or 'All'}")
    for rule in RULES:
        for number, sql in rule.numbers.items():
            found.setdefault(expand_macros(sql, span(1)), f"rule {rule.name} {number}")
    return {name: sql for sql, name in found.items()}


def test_every_query_is_read_as_another_client_reads_it(
    sql_client: Client, sql_server: str, program: Path
) -> None:
    seed_all(sql_client)
    assert sql_client.database is not None
    asked = statements(sql_client)
    expected: dict[str, dict[str, Any]] = {}
    for name, sql in asked.items():
        answer = sql_client.query(sql)
        expected[name] = {
            "columns": list(answer.column_names), "rows": len(answer.result_rows), "error": "",
        }  # fmt: skip
    assert run(program, sql_server, sql_client.database, asked) == expected
    assert sum(one["rows"] > 0 for one in expected.values()) > 100


def test_a_query_that_fails_says_why(sql_client: Client, sql_server: str, program: Path) -> None:
    assert sql_client.database is not None
    sql = {"renamed": "SELECT sum(cost_pico) FROM windows_1m"}
    answer = run(program, sql_server, sql_client.database, sql)
    assert "cost_pico" in answer["renamed"]["error"]
