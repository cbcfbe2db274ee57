"""Who may see what. The embedded engine has no roles: what it cannot do needs a real server."""

from __future__ import annotations

import os
import re
import uuid
from collections.abc import Iterator

import clickhouse_connect
import pytest
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import DatabaseError

from tokentide_jobs.io.schema.migrations import create_roles, migrate
from tokentide_jobs.io.schema.sql_files import sql_root
from tokentide_jobs.io.schema.sql_template import SqlTarget, render, split_statements

pytestmark = pytest.mark.integration

REAL_SERVER = os.environ.get("TOKENTIDE_TEST_CLICKHOUSE_URL")


def _policies(database: str = "tokentide") -> dict[str, str]:
    """Table -> condition of the row policy."""
    text = (sql_root() / "roles/analyst.sql").read_text("utf-8")
    found = {}
    for statement in split_statements(render(text, SqlTarget(database))):
        match = re.search(r"ROW POLICY .* ON \w+\.(\w+)\s+USING (.*)\s+TO ", statement, re.DOTALL)
        if match:
            found[match[1]] = match[2]
    return found


@pytest.mark.parametrize("table", _policies())
def test_a_policy_shows_the_tenants_granted_to_the_user_and_no_others(
    sql_client: Client, table: str
) -> None:
    sql_client.command("TRUNCATE TABLE tenant_access")
    if table == "tenant_access":
        rows = "('default', 'acme'), ('default', '*'), ('another_user', 'globex')"
        sql_client.command(f"INSERT INTO tenant_access (user_name, tenant) VALUES {rows}")
        assert _visible(sql_client, table) == ["*", "acme"]
        return
    _forget_retention(sql_client, table)
    sql_client.command(f"INSERT INTO {table} (tenant) VALUES ('acme'), ('globex'), ('')")
    open_rows = [""] if table == "price_cards" else []
    assert _visible(sql_client, table) == open_rows
    grants = ["('default', 'acme')", "('another_user', '*')"]
    sql_client.command(f"INSERT INTO tenant_access (user_name, tenant) VALUES {', '.join(grants)}")
    assert _visible(sql_client, table) == [*open_rows, "acme"]
    sql_client.command("INSERT INTO tenant_access (user_name, tenant) VALUES ('default', '*')")
    assert _visible(sql_client, table) == ["", "acme", "globex"]


def _forget_retention(client: Client, table: str) -> None:
    """Let rows without a time stay."""
    full = client.command(
        "SELECT engine_full FROM system.tables "
        f"WHERE database = currentDatabase() AND name = '{table}'"
    )
    if " TTL " in str(full):
        client.command(f"ALTER TABLE {table} REMOVE TTL")


def _visible(client: Client, table: str) -> list[str]:
    condition = _policies(str(client.database))[table]
    sql = f"SELECT DISTINCT tenant FROM {table} WHERE {condition} ORDER BY tenant"
    return [str(tenant) for (tenant,) in client.query(sql).result_rows]


@pytest.fixture
def real_admin() -> Iterator[Client]:
    if REAL_SERVER is None:
        pytest.skip("roles need a real ClickHouse: set TOKENTIDE_TEST_CLICKHOUSE_URL")
    with clickhouse_connect.get_client(dsn=REAL_SERVER, autogenerate_session_id=False) as client:
        yield client


def _statements(role: str) -> list[str]:
    text = (sql_root() / f"roles/{role}.sql").read_text("utf-8")
    return list(split_statements(render(text, SqlTarget("tokentide"))))


@pytest.mark.parametrize("role", ["admin", "analyst", "grafana", "ingest"])
def test_the_engine_knows_every_statement_of_a_role(sql_client: Client, role: str) -> None:
    for statement in _statements(role):
        sql_client.command(f"EXPLAIN AST {statement}")


def test_what_is_taken_from_analysts_is_taken_after_what_they_are_given() -> None:
    """A GRANT on the whole database gives back what an earlier REVOKE on one of its tables took."""
    rights = [
        " ".join(found[0].split())
        for one in _statements("analyst")
        if (found := re.search(r"^(GRANT|REVOKE) .*", one, re.MULTILINE))
    ]
    assert rights == [
        "GRANT SELECT, SHOW ON tokentide.* TO tokentide_analyst",
        "REVOKE SELECT ON tokentide.query_costs FROM tokentide_analyst",
    ]


def test_roles_hold_on_a_real_server(real_admin: Client) -> None:
    database = f"tokentide_test_{uuid.uuid4().hex[:8]}"
    user, password = f"{database}_dana", "Pass-word-1"
    board = f"{database}_board"
    migrate(real_admin, database)
    try:
        create_roles(real_admin, database)
        create_roles(real_admin, database)
        real_admin.command(f"CREATE USER {user} IDENTIFIED BY '{password}'")
        real_admin.command(f"GRANT {database}_analyst TO {user}")
        real_admin.command(f"CREATE USER {board} IDENTIFIED BY '{password}'")
        real_admin.command(f"GRANT {database}_grafana TO {board}")
        real_admin.command(
            f"INSERT INTO {database}.raw_requests (tenant) VALUES ('acme'), ('globex')"
        )
        real_admin.command(
            f"INSERT INTO {database}.tenant_access (user_name, tenant) VALUES ('{user}', 'acme')"
        )
        with clickhouse_connect.get_client(
            dsn=REAL_SERVER, username=user, password=password, database=database
        ) as analyst:
            tenants = analyst.query("SELECT tenant FROM requests").result_columns[0]
            assert list(tenants) == ["acme"]
            with pytest.raises(DatabaseError):
                analyst.command("INSERT INTO tenant_access (user_name, tenant) VALUES ('x', '*')")
            with pytest.raises(DatabaseError, match="ACCESS_DENIED"):
                analyst.query("SELECT count() FROM query_costs")
        with clickhouse_connect.get_client(
            dsn=REAL_SERVER, username=board, password=password, database=database
        ) as grafana:
            real_admin.command("SYSTEM FLUSH LOGS")
            grafana.query("SELECT count() FROM query_costs")
            with pytest.raises(DatabaseError, match="ACCESS_DENIED"):
                grafana.query("SELECT query FROM system.query_log")
    finally:
        real_admin.command(f"DROP USER IF EXISTS {user}, {board}")
        for role in ("analyst", "grafana", "ingest", "admin"):
            real_admin.command(f"DROP ROLE IF EXISTS {database}_{role}")
        real_admin.command(f"DROP DATABASE IF EXISTS {database}")
