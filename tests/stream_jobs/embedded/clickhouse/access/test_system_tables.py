"""Accounts that only read see of the engine's own tables what they need, and no more."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import urllib3

from tokentide_jobs.embedded.clickhouse.access.system_tables import READABLE

pytestmark = pytest.mark.integration

Ask = Callable[..., urllib3.BaseHTTPResponse]

ANALYST = {"X-ClickHouse-User": "analyst"}
OPEN_ENDED = ("numbers", "numbers_mt", "zeros", "zeros_mt")

REFUSED = (
    "SELECT query FROM system.query_log",
    "SELECT query FROM system.processes",
    "SELECT * FROM system.stack_trace",
    "SELECT path FROM system.disks",
    "SELECT path FROM `system`.`disks`",
    'SELECT path FROM "sys\\x74em".disks',
    "SELECT path FROM system . /* */ disks",
    "SELECT path AS name FROM system.disks AS t",
    "SELECT t.path FROM system.disks AS t",
    "SELECT system.disks.path FROM system.disks",
    "SELECT lower(path) FROM (SELECT * FROM system.disks)",
    "SELECT * FROM system.disks",
    "SELECT t.* FROM system.disks t",
    "SELECT * EXCEPT name FROM system.disks",
    "SELECT COLUMNS('pa') FROM system.disks",
    "SELECT t.COLUMNS('pa') FROM system.disks t",
    "SELECT COLUMNS(name, path) FROM system.disks",
    "SELECT name FROM system.disks WHERE path LIKE '/%'",
    "SELECT name FROM system.disks ORDER BY path",
    "SELECT name FROM system.disks JOIN (SELECT '/' AS path) AS p USING path",
    "SELECT name FROM system.disks NATURAL JOIN values('path String', '/')",
    "SELECT a.2 FROM (SELECT tuple(*) AS a FROM system.disks)",
    "SELECT name, path.size FROM system.disks",
    "SELECT * REPLACE (1 AS name) FROM system.disks",
    "WITH d AS (SELECT * FROM system.disks) SELECT path FROM d",
    "SELECT (SELECT path FROM system.disks)",
    "SELECT 1 IN (SELECT path FROM system.disks)",
    "SELECT '' IN system.disks",
    "SELECT '' IN system.build_options",
    "SELECT data_paths FROM system.tables",
    "SELECT data_paths[1] FROM system.tables",
    "SELECT data_paths.size0 FROM system.tables",
    "SELECT arrayMap(x -> x, data_paths) FROM system.tables",
    "SELECT path FROM merge('system', '^disks$')",
    "SELECT path FROM merge(concat('sys', 'tem'), '^disks$')",
    "SELECT path FROM loop(system.disks)",
    "SELECT path FROM loop('system', 'disks')",
    "SELECT * FROM mergeTreeIndex('system', 'query_log')",
    "SELECT path FROM view(SELECT path FROM system.disks)",
    "SELECT path FROM viewIfPermitted(SELECT path FROM system.disks ELSE null('path String'))",
    "SELECT 1 UNION ALL SELECT length(path) FROM system.disks",
    "DESCRIBE (SELECT * FROM system.disks)",
    "EXPLAIN SELECT path FROM system.disks",
    "SHOW PROCESSLIST",
    "SHOW TABLES FROM default WHERE name IN (SELECT path FROM system.disks)",
    "SHOW TABLES LIMIT (SELECT length(path) FROM system.disks)",
    "SHOW COLUMNS FROM one FROM system WHERE 1 IN (SELECT 1 FROM system.query_log)",
)


def columns_of(ask: Ask, table: str) -> list[str]:
    sql = f"SELECT name FROM system.columns WHERE database = 'system' AND table = '{table}'"
    return ask(sql).data.decode().split()


def test_what_may_be_read_shows_no_path_and_no_statement_of_another_account(ask: Ask) -> None:
    home = ask("SELECT path FROM system.disks WHERE name = 'default'").data.decode().strip()
    assert home.startswith("/")
    marker = "a_statement_of_another_account"
    ask(f"SELECT 1 AS {marker}")
    for table, hidden in READABLE.items():
        columns = columns_of(ask, table)
        assert hidden <= set(columns), table
        shown = ", ".join(f"`{name}`" for name in columns if name not in hidden)
        limit = "LIMIT 1" if table in OPEN_ENDED else ""
        answer = ask(f"SELECT {shown} FROM system.{table} {limit}", headers=ANALYST)
        assert answer.status == 200, answer.data
        assert home.encode() not in answer.data, table
        assert home.rstrip("/").rpartition("/")[0].encode() not in answer.data, table
        assert marker.encode() not in answer.data, table


def test_every_other_table_of_the_engine_is_refused_to_readers(ask: Ask) -> None:
    tables = ask("SELECT name FROM system.tables WHERE database = 'system'").data.decode().split()
    others = set(tables) - set(READABLE)
    assert {"processes", "stack_trace", "errors", "server_settings"} <= others
    for table in others:
        answer = ask(f"SELECT count() FROM system.{table}", headers=ANALYST)
        assert answer.headers.get("X-ClickHouse-Exception-Code") == "497", table
        assert f"system.{table} shows" in answer.data.decode()


def test_no_table_function_that_finds_tables_by_name_is_left_to_readers(ask: Ask) -> None:
    found = ask(
        "SELECT name FROM system.table_functions "
        "WHERE match(name, '(?i)^(mergetree|timeseries|prometheus)')"
    )
    names = found.data.decode().split()
    assert {"mergeTreeAnalyzeIndexes", "prometheusQuery", "timeSeriesSelector"} <= set(names)
    for name in names:
        answer = ask(f"SELECT * FROM {name}('system', 'query_log')", headers=ANALYST)
        assert answer.headers.get("X-ClickHouse-Exception-Code") == "497", (name, answer.data)


@pytest.mark.parametrize("sql", REFUSED)
def test_no_way_around_is_left_to_readers(ask: Ask, sql: str) -> None:
    answer = ask(body=sql.encode(), headers=ANALYST)
    assert answer.headers.get("X-ClickHouse-Exception-Code") == "497", (sql, answer.data)


@pytest.mark.parametrize(
    "parameters",
    [
        {"query": "SELECT name FROM {d:Identifier}.{t:Identifier} WHERE path != ''"},
        {"query": "SELECT 1 FROM disks", "database": "system"},
        {
            "query": "SELECT name FROM system.disks",
            "additional_table_filters": "{'system.disks':'path != '''''}",
        },
        {
            "query": "SELECT name FROM system.disks "
            "SETTINGS additional_table_filters = {'system.disks':'path != '''''}"
        },
        {
            "query": "SELECT 1",
            "additional_table_filters": "{'system.one':'1 IN (SELECT 1 FROM system.query_log)'}",
        },
        {
            "query": "SELECT 1",
            "additional_result_filter": "1 IN (SELECT 1 FROM system.query_log)",
        },
        *(
            {"query": sql, "additional_table_filters": f"{{'system.{where}'}}"}
            for sql in ("SHOW DATABASES", "SHOW TABLES", "SELECT 1 FROM information_schema.tables")
            for where in (
                "tables':'length(data_paths) = 1",
                "databases':'data_path > metadata_path",
                "databases':'length(databases.data_path) > 1",
                "databases':'length(toString(tuple(*))) > 1",
            )
        ),
    ],
)
def test_no_parameter_setting_or_database_leads_around_it(
    ask: Ask, parameters: dict[str, str]
) -> None:
    query = parameters["query"]
    rest = {name: value for name, value in parameters.items() if name != "query"}
    names = {"param_d": "system", "param_t": "disks"}
    answer = ask(query, headers=ANALYST, **rest, **names)
    assert answer.headers.get("X-ClickHouse-Exception-Code") == "497", answer.data


def test_readers_find_tables_columns_functions_and_free_space(ask: Ask, table: str) -> None:
    for sql in (
        "SELECT database, name, engine, comment FROM system.tables",
        "SELECT * FROM system.columns",
        "SELECT * FROM system.one",
        "SELECT * FROM system.settings LIMIT 5",
        "SELECT * FROM information_schema.tables",
        "SELECT max(free_space + keep_free_space) FROM system.disks WHERE type = 'Local'",
        "SELECT sum(rows), sum(bytes_on_disk) FROM system.parts WHERE active",
        "SHOW DATABASES",
        "SHOW ENGINES",
        "SHOW TABLES LIKE '%t%' LIMIT 5",
        f"SHOW COLUMNS FROM {table}",
        f"DESCRIBE TABLE {table}",
        f"SELECT * FROM {table}, system.one",
        f"SELECT path FROM (SELECT s AS path FROM {table})",
    ):
        answer = ask(sql, headers=ANALYST)
        assert answer.status == 200, (sql, answer.data)
    filters = f"{{'{table}':'s > a', 'system.tables':'name > engine'}}"
    for sql in (f"SELECT s FROM {table}", "SELECT name FROM system.tables", "SHOW TABLES"):
        answer = ask(sql, headers=ANALYST, additional_table_filters=filters)
        assert answer.status == 200, (sql, answer.data)


def test_an_account_that_may_write_reads_every_table_of_the_engine(ask: Ask) -> None:
    for sql in ("SELECT * FROM system.disks", "SELECT * FROM system.processes", "SHOW PROCESSLIST"):
        assert ask(sql).status == 200
