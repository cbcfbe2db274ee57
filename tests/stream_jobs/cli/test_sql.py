"""`tokentide sql`: formats, limits, and that it only reads."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from clickhouse_connect.driver.client import Client

from tokentide_jobs.cli.exit_codes import EXIT_USAGE
from tokentide_jobs.cli.main import main

pytestmark = pytest.mark.integration


@pytest.fixture(autouse=True)
def target(
    sql_server: str, sql_client: Client, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Point commands at this module's database."""
    monkeypatch.setenv("TOKENTIDE_CLICKHOUSE_URL", sql_server)
    monkeypatch.setenv("TOKENTIDE_DATABASE", str(sql_client.database))
    monkeypatch.setenv("TOKENTIDE_DATA_DIR", str(tmp_path))


Output = pytest.CaptureFixture[str]


def test_an_answer_is_a_table_with_null_dimmed_and_decimals_whole(capsys: Output) -> None:
    query = (
        "SELECT 'x' AS name, toDecimal64('0.000000000001', 12) AS usd, NULL AS nothing, 1/3 AS f,"
        " toDateTime('2026-11-18 12:00:00', 'UTC') AS at, true AS flag, [1, 2] AS list"
    )
    assert main(["sql", query]) == 0
    out, err = capsys.readouterr()
    heading, row = out.splitlines()
    assert heading.split() == ["name", "usd", "nothing", "f", "at", "flag", "list"]
    assert " ".join(row.split()) == (
        "x 0.000000000001 NULL 0.333333 2026-11-18 12:00:00 true [1, 2]"
    )
    assert err.startswith("1 row,")


def test_bytes_that_are_no_text_do_not_look_like_text(capsys: Output) -> None:
    query = (
        "SELECT unhex('ff') AS byte, 'ff' AS text, [unhex('c3'), 'ü'] AS list,"
        " map(unhex('fe'), 'x') AS map, toLowCardinality(toNullable(unhex('fd'))) AS low,"
        " toFixedString(unhex('fc'), 1) AS fixed, CAST(NULL, 'Nullable(String)') AS nothing"
    )
    assert main(["sql", query]) == 0
    _heading, row = capsys.readouterr().out.splitlines()
    assert " ".join(row.split()) == r"\xff ff [\xc3, ü] {\xfe: x} \xfd \xfc NULL"


def test_a_table_stops_after_max_rows_and_says_so(capsys: Output) -> None:
    assert main(["sql", "SELECT number FROM numbers(100000)", "--max-rows", "3"]) == 0
    out, err = capsys.readouterr()
    assert out.split() == ["number", "0", "1", "2"]
    assert "first 3 rows" in err


@pytest.mark.parametrize(
    "arguments",
    [
        ["SELECT number AS n FROM numbers(3)", "--format", "JSONEachRow"],
        ["SELECT number AS n FROM numbers(3) FORMAT JSONEachRow;"],
    ],
)
def test_a_format_gives_the_servers_own_bytes(
    arguments: list[str], capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    assert main(["sql", *arguments]) == 0
    lines = capfdbinary.readouterr().out.splitlines()
    assert [json.loads(line) for line in lines] == [{"n": 0}, {"n": 1}, {"n": 2}]


def test_a_statement_without_rows_says_ok(capsys: Output, sql_client: Client) -> None:
    insert = "INSERT INTO tenant_access (user_name, tenant) VALUES ('dana', 'acme')"
    assert main(["sql", "--write", f"/* rights */ {insert}"]) == 0
    assert capsys.readouterr().err == "ok\n"
    assert sql_client.command("SELECT tenant FROM tenant_access") == "acme"


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO tenant_access (user_name, tenant) VALUES ('eve', '*')",
        "INSERT INTO tenant_access (user_name, tenant) SELECT 'eve', '*'",
        "CREATE TABLE mine (a Int8) ENGINE = Memory",
        "DROP TABLE tenant_access",
        "ALTER TABLE tenant_access DELETE WHERE 1",
        "TRUNCATE TABLE tenant_access",
    ],
)
@pytest.mark.parametrize("options", [[], ["--format", "CSV"]])
def test_without_write_nothing_is_changed(
    statement: str, options: list[str], capsys: Output, sql_client: Client
) -> None:
    before = sql_client.query("SELECT count() FROM tenant_access").result_rows
    assert main(["sql", *options, statement]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert options or "--write" in err
    assert len(err.splitlines()) == 1
    assert sql_client.query("SELECT count() FROM tenant_access").result_rows == before
    assert sql_client.command("EXISTS TABLE mine") == 0


def test_a_query_may_still_bound_itself_by_settings(capsys: Output) -> None:
    assert main(["sql", "SELECT 1 AS one SETTINGS max_threads = 1"]) == 0
    assert capsys.readouterr().out.split() == ["one", "1"]


def test_no_setting_of_a_query_gives_the_right_to_write_back(
    capsys: Output, sql_client: Client
) -> None:
    insert = "INSERT INTO tenant_access (user_name, tenant) SETTINGS readonly = 0 SELECT 'eve', '*'"
    for query in (insert, "SET readonly = 0", f"SET readonly = 0; {insert}"):
        assert main(["sql", query]) == 2, query
    capsys.readouterr()
    eves = sql_client.query("SELECT count() FROM tenant_access WHERE user_name = 'eve'")
    assert eves.result_rows[0][0] == 0


def test_cells_hold_no_control_characters_and_stay_whole(capsys: Output) -> None:
    query = "SELECT concat('a', char(27), '[2J', char(10), 'b') AS x, repeat('y', 300) AS y"
    assert main(["sql", query]) == 0
    _heading, row = capsys.readouterr().out.splitlines()
    assert r"a\x1b[2J\nb" in row
    assert "y" * 300 in row


@pytest.mark.parametrize(
    ("query", "says"),
    [
        ("SELEC 1", "Syntax error"),
        ("SELECT * FROM nowhere", "nowhere"),
        ("  ", "QUERY is empty"),
    ],
)
def test_a_query_that_can_not_run_is_explained_in_one_line(
    query: str, says: str, capsys: Output
) -> None:
    assert main(["sql", query]) == 2
    out, err = capsys.readouterr()
    assert out == "" and says in err and len(err.splitlines()) == 1
    assert "Expected one of" not in err and "Native" not in err


def test_migrate_prints_or_applies_and_then_has_nothing_to_do(
    capsys: Output, monkeypatch: pytest.MonkeyPatch, sql_client: Client
) -> None:
    monkeypatch.setenv("TOKENTIDE_DATABASE", "test_sql_command_new")
    assert main(["migrate", "--dry-run"]) == 0
    planned = capsys.readouterr().out
    assert "-- sql/migrations/0001_ledger.sql" in planned
    assert "CREATE TABLE IF NOT EXISTS test_sql_command_new.raw_requests" in planned
    assert sql_client.command("EXISTS DATABASE test_sql_command_new") == 0
    assert main(["migrate"]) == 0
    assert "applied views/requests.sql" in capsys.readouterr().out
    assert main(["migrate"]) == 0
    assert capsys.readouterr().out == "database test_sql_command_new is up to date\n"
    assert main(["migrate", "--dry-run"]) == 0
    assert capsys.readouterr().out.startswith("-- database test_sql_command_new is up to date")
    sql_client.command("DROP TABLE test_sql_command_new.windows_1h SYNC")
    # Nothing was begun: a schema is configuration, and what is stored was not looked at.
    assert main(["repair"]) == EXIT_USAGE
    assert "windows_1h" in (errors := capsys.readouterr().err) and "`tokentide migrate`" in errors
    assert main(["migrate", "--dry-run"]) == 0
    first = capsys.readouterr().out.splitlines()[0]
    assert first.startswith("-- sql/migrations/")
    assert first.endswith(" again: windows_1h was missing or changed")
    assert main(["migrate"]) == 0
    assert "windows_1h: made again and empty of what was before; `tokentide repair`" in (
        capsys.readouterr().out
    )
    sql_client.command("DROP DATABASE test_sql_command_new SYNC")


def test_a_dry_run_for_a_cluster_shows_the_roles_when_asked(
    capsys: Output, sql_client: Client
) -> None:
    assert main(["migrate", "--dry-run", "--roles", "--cluster", "main"]) == 0
    printed = capsys.readouterr().out
    role = f"{sql_client.database}_analyst"
    assert f"CREATE ROLE IF NOT EXISTS {role} ON CLUSTER 'main'" in printed
    assert "ON CLUSTER 'main' SELECT" in printed


def test_a_server_that_does_not_answer_is_an_error_of_its_own(
    capsys: Output, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TOKENTIDE_CLICKHOUSE_URL", "http://127.0.0.1:1")
    assert main(["sql", "SELECT 1"]) == 3
    assert "127.0.0.1:1" in capsys.readouterr().err
