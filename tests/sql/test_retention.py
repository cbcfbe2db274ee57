"""How long each table keeps its rows, also by tenant."""

from __future__ import annotations

import clickhouse_connect
import pytest
from clickhouse_connect.driver.client import Client

from tokentide_jobs.core.tables import KEPT_DAYS, TENANT_TABLES
from tokentide_jobs.errors import ConfigError
from tokentide_jobs.io.schema.migrations import migrate
from tokentide_jobs.io.schema.retention import retention_statements
from tokentide_jobs.io.schema.sql_template import SqlTarget

pytestmark = pytest.mark.integration


def _keep(client: Client, **days: int) -> None:
    client.insert("tenant_retention", list(days.items()), column_names=["tenant", "days"])


def _insert_calls(client: Client, table: str) -> None:
    client.command(
        f"INSERT INTO {table} (tenant, started_at)"
        " SELECT arrayJoin(['long', 'other', 'short']), now64(6, 'UTC') - toIntervalDay(number)"
        " FROM numbers(0, 500) WHERE number IN (1, 20, 80, 300, 450)",
        settings={"max_partitions_per_insert_block": 0},
    )
    client.command(f"OPTIMIZE TABLE {table} FINAL")


def _ages(client: Client, table: str) -> dict[str, int]:
    rows = client.query(
        f"SELECT tenant, toInt64(max(dateDiff('day', started_at, now64(6, 'UTC')))) FROM {table}"
        " GROUP BY tenant"
    ).result_rows
    return {str(tenant): int(age) for tenant, age in rows}


@pytest.mark.parametrize("table", TENANT_TABLES)
def test_the_declared_retention_is_that_of_the_table(sql_client: Client, table: str) -> None:
    full = sql_client.query(
        "SELECT engine_full FROM system.tables "
        f"WHERE database = currentDatabase() AND name = '{table}'"
    ).result_rows[0][0]
    assert f"toIntervalDay({KEPT_DAYS[table]})" in full


def test_a_tenant_may_keep_less_or_more_than_the_others_and_change_its_mind(
    sql_server: str, sql_client: Client
) -> None:
    database = str(sql_client.database)
    assert retention_statements(sql_client, SqlTarget(database)) == []
    _keep(sql_client, short=7, long=365)
    with clickhouse_connect.get_client(dsn=sql_server, autogenerate_session_id=False) as admin:
        assert len(migrate(admin, database)) == len(TENANT_TABLES)
        assert migrate(admin, database) == []
        for table in ("raw_requests", "raw_evaluations"):
            _insert_calls(sql_client, table)
        assert _ages(sql_client, "raw_requests") == {"short": 1, "long": 300, "other": 80}
        assert _ages(sql_client, "raw_evaluations") == {"short": 1, "long": 300, "other": 300}
        _keep(sql_client, short=0, long=0)
        migrate(admin, database)
        assert migrate(admin, database) == []
    _insert_calls(sql_client, "raw_requests")
    assert _ages(sql_client, "raw_requests") == {"short": 80, "long": 80, "other": 80}


def test_a_tenant_whose_name_does_not_fit_a_ttl_is_refused_by_name(sql_client: Client) -> None:
    _keep(sql_client, **{"o'brien": 5})
    try:
        with pytest.raises(ConfigError, match="o'brien"):
            retention_statements(sql_client, SqlTarget(str(sql_client.database)))
    finally:
        _keep(sql_client, **{"o'brien": 0})
