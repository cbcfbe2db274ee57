"""Nothing gets past the endpoint: a table of attempts, and every name of the engine's own lists."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlencode

import clickhouse_connect
import pytest
import urllib3

from tests.sampling import share
from tests.stream_jobs.embedded.clickhouse.access.bypasses import (
    PARAMETER_NAMES,
    READONLY,
    outside,
    readonly,
)
from tests.stream_jobs.embedded.clickhouse.access.bypasses_in_types import hidden
from tokentide_jobs.embedded.clickhouse.access.catalogue import allowed_names
from tokentide_jobs.embedded.clickhouse.access.inspector import EXPRESSION_SETTINGS
from tokentide_jobs.embedded.clickhouse.engine.privileges import FIXED_SETTINGS
from tokentide_jobs.embedded.clickhouse.process import ClickHouseProcess

pytestmark = pytest.mark.integration

PARAMETERS = {"param_a": "x", "param_$a": "x", "param_$a$": "x"}
SECRET = "the-content-of-an-unreadable-file"
OLD_FACTS = "2\t3\n"

Ask = Callable[..., urllib3.BaseHTTPResponse]


class Listener:
    """A port on loopback that counts who calls."""

    def __init__(self) -> None:
        self.calls = 0
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._socket.getsockname()[1]
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            self.calls += 1
            connection.close()

    def close(self) -> None:
        """Stop listening."""
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._thread.join(5)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClickHouseProcess]:
    with ClickHouseProcess.start(tmp_path_factory.mktemp("guarded")) as process:
        with clickhouse_connect.get_client(dsn=process.dsn) as admin:
            for table in ("facts", "other"):
                admin.command(f"CREATE TABLE {table} (a UInt8) ENGINE = MergeTree ORDER BY a")
            admin.command("INSERT INTO facts VALUES (1), (2)")
        yield process


@pytest.fixture
def listener() -> Iterator[Listener]:
    found = Listener()
    yield found
    found.close()


@pytest.fixture(scope="module")
def ask(server: ClickHouseProcess) -> Iterator[Ask]:
    """Send SQL as a user, by a method; in the URL, or as the body."""
    with urllib3.PoolManager() as pool:

        def send(
            sql: str, user: str = "default", *, method: str = "POST", **parameters: str
        ) -> urllib3.BaseHTTPResponse:
            headers = {"X-ClickHouse-User": user}
            if user == "default":
                headers["X-ClickHouse-Key"] = server.password
            body = sql.encode() if method == "POST" else None
            query = parameters if body else {"query": sql, **parameters}
            url = f"{server.url}/?{urlencode(query)}"
            return pool.request(method, url, body=body, headers=headers, retries=False)

        yield send


def facts(ask: Ask) -> str:
    return ask("SELECT count(), sum(a) FROM facts").data.decode()


def test_no_attempt_reaches_a_file_the_network_a_process_or_python(
    ask: Ask, listener: Listener, tmp_path: Path
) -> None:
    secret = tmp_path / "secret.txt"
    secret.write_text(SECRET)
    out = tmp_path / "written"
    attempts = [*outside(str(secret), str(out), listener.port), *hidden(str(secret), str(out))]
    assert len(attempts) > 350
    passed = []
    for user, method, tried in (
        ("default", "POST", attempts),
        ("analyst", "POST", share(attempts, 3)),  # whose statements are checked for more
        ("default", "GET", share(attempts, 5)),  # is checked by the same code as POST
    ):
        for attempt in tried:
            response = ask(attempt, user, method=method, **PARAMETERS)
            if response.status < 400 or SECRET.encode() in response.data:
                passed.append((user, method, attempt, response.data[:100]))
    assert passed == []
    assert listener.calls == 0
    assert [path.name for path in tmp_path.iterdir()] == ["secret.txt"]
    assert facts(ask) == OLD_FACTS


def test_no_reader_writes_or_lifts_its_limits(ask: Ask) -> None:
    passed = [
        (method, attempt)
        for attempt in readonly()
        for method in ("POST", "GET")
        if ask(attempt, "analyst", method=method).status < 400
    ]
    assert passed == []
    assert facts(ask) == OLD_FACTS


@pytest.mark.parametrize("session", [{}, {"session_id": "one"}])
def test_a_get_request_writes_nothing_for_any_account(ask: Ask, session: dict[str, str]) -> None:
    only_settings = (
        "SET",
        "SELECT 1 SETTINGS",
        "SELECT 1 FORMAT",
        "SELECT * FROM (",
        "SELECT 1 IN",
    )
    attempts = [sql for sql in READONLY if not sql.startswith(only_settings)]
    assert len(attempts) > 20
    passed = [sql for sql in attempts if ask(sql, method="GET", **session).status < 400]
    assert passed == []
    assert facts(ask) == OLD_FACTS


def test_the_name_of_a_format_is_never_sql(ask: Ask, tmp_path: Path) -> None:
    out = tmp_path / "written"
    for tail in (f"; SELECT 1 INTO OUTFILE '{out}'", "; INSERT INTO facts SELECT 7", " SETTINGS a"):
        for user, method in (("analyst", "POST"), ("default", "GET")):
            response = ask("SELECT 1", user, method=method, default_format=f"CSV{tail}")
            assert response.headers["X-ClickHouse-Exception-Code"] == "73"
    assert not out.exists()
    assert facts(ask) == OLD_FACTS


def test_a_parameter_that_names_a_function_is_refused_like_the_function(ask: Ask) -> None:
    refused = ask("SELECT arrayMap({f:Identifier}, ['/etc/hostname'])", "analyst", param_f="file")
    assert refused.headers["X-ClickHouse-Exception-Code"] == "497"


def test_every_function_that_is_not_allowed_is_refused_by_its_bare_name_too(ask: Ask) -> None:
    """`arrayMap(f, …)` calls `f`; the syntax tree shows it as a column."""
    refused = set(names(ask, "functions", "alias_to = ''")) - allowed_names()
    assert len(refused) > 20
    codes = {
        name: ask(f"SELECT arrayMap(`{name}`, ['x'])").headers["X-ClickHouse-Exception-Code"]
        for name in refused
    }
    assert {name: code for name, code in codes.items() if code not in ("497", "48")} == {}


@pytest.mark.parametrize("name", PARAMETER_NAMES)
@pytest.mark.parametrize("user", ["default", "analyst"])
def test_the_name_of_a_parameter_is_never_sql(ask: Ask, user: str, name: str) -> None:
    for sql in ("INSERT INTO facts SELECT 7", "SELECT 1"):
        assert ask(sql, user, **{name: "0"}).status >= 400
    assert facts(ask) == OLD_FACTS


def test_the_value_of_a_parameter_or_setting_is_never_sql(ask: Ask) -> None:
    for value in ("1', readonly = 0 -- ", "\u2018, readonly = 0", "\\", "'", "\\'", "1\0"):
        ask("INSERT INTO facts SELECT 7", "analyst", log_comment=value)
        shown = ask("SELECT hex({x:String})", "analyst", param_x=value.replace("\\", "\\\\"))
        assert shown.data.decode().strip() == value.encode().hex().upper()
    assert facts(ask) == OLD_FACTS


def test_a_filter_in_a_setting_is_checked_wherever_it_stands(ask: Ask, tmp_path: Path) -> None:
    secret = tmp_path / "secret.txt"
    secret.write_text(SECRET)
    reading = f"file('{secret}') = 'x'"
    escaped = reading.replace("'", "\\'")
    for settings in (
        {"additional_result_filter": reading},
        {"additional_table_filters": f"{{'facts': '{escaped}'}}"},
    ):
        for user in ("default", "analyst"):
            refused = ask("SELECT a FROM facts", user, **settings)
            assert refused.headers["X-ClickHouse-Exception-Code"] == "497", refused.data
    for settings in (
        {"additional_result_filter": "a = 2"},
        {"additional_table_filters": "{'facts': 'a = 2'}"},
    ):
        assert ask("SELECT a FROM facts", "analyst", **settings).data == b"2\n"


def names(ask: Ask, table: str, where: str = "1") -> list[str]:
    return ask(f"SELECT name FROM system.{table} WHERE {where} ORDER BY name").data.decode().split()


def test_every_name_of_the_engine_that_is_not_allowed_is_refused(ask: Ask) -> None:
    """A function of a new version is one of these until it is added to allowed.txt."""
    allowed = allowed_names()
    listed = {
        "SELECT {}(1)": names(ask, "functions", "alias_to = ''"),
        "SELECT * FROM {}('x')": names(ask, "table_functions"),
        "CREATE TABLE o (a UInt8) ENGINE = {}": names(ask, "table_engines"),
        "CREATE DATABASE o ENGINE = {}": names(ask, "database_engines"),
    }
    tried, passed = 0, []
    for form, found in listed.items():
        for name in found:
            if name in allowed:
                continue
            tried += 1
            code = ask(form.format(name)).headers["X-ClickHouse-Exception-Code"]
            if code not in ("497", "48"):
                passed.append((form.format(name), code))
    assert tried > 200
    assert passed == []


def test_what_is_allowed_is_known_to_the_engine(ask: Ask) -> None:
    known = {
        name
        for table in ("functions", "table_functions", "table_engines", "database_engines")
        for name in names(ask, table)
    }
    assert allowed_names() <= known


def test_a_function_of_an_older_directory_is_judged_by_what_it_calls(ask: Ask) -> None:
    for sql in (
        "CREATE FUNCTION safe_one AS x -> upper(x)",
        "CREATE FUNCTION safe_two AS x -> safe_one(x)",
    ):
        assert ask(sql).status == 200
    assert ask("SELECT safe_two('a'), arrayMap(x -> safe_two(x), ['b'])").data == b"A\t['B']\n"
    for name in ("safe_two", "safe_one"):
        ask(f"DROP FUNCTION {name}")


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT 'INTO OUTFILE', ' SETTINGS a = 1', 'FORMAT CSV' AS `file (x)`",
        "SELECT file FROM (SELECT 1 AS file)",
        "SELECT * FROM (SELECT 'x' AS a) WHERE a = 'file(1)'",
        "SELECT count() FROM facts SETTINGS additional_table_filters = {'facts':'a = 1'}",
        "SELECT 1 SETTINGS max_execution_time = 5, log_comment = 'it''s'",
        "WITH (x -> x + 1) AS next SELECT next(1)",
        "SELECT * APPLY(sum) FROM facts",
        "SELECT sumIf(a, 1), quantileTDigestIf(0.5)(a, 1), uniqOrNull(a) FROM facts",
        "SELECT dateDiff('day', today(), today()), DATE_TRUNC('day', now()), SUM(1)",
        "SELECT CASE WHEN 1 THEN 'a' ELSE 'b' END, 1 BETWEEN 0 AND 2, [1][1], (1, 2).1",
        "SELECT toDecimal64('1.5', 2)::Decimal(18, 4), INTERVAL 1 DAY, DATE '2026-01-01'",
        "SELECT sum(a) OVER (ORDER BY a ROWS BETWEEN 1 PRECEDING AND CURRENT ROW) FROM facts",
        "SELECT count() FROM VALUES('a UInt8', 1, 2)",
        "EXPLAIN SELECT 1",
        "SHOW CREATE TABLE facts",
        "SELECT name FROM system.tables LIMIT 1",
    ],
)
def test_what_an_analyst_needs_is_let_through(ask: Ask, sql: str) -> None:
    response = ask(sql, "analyst")
    assert response.status == 200, response.data


HARMLESS_TEXT_SETTINGS = """
bool_false_representation bool_true_representation chdb_client_name
column_names_for_schema_inference compatibility compression count_distinct_implementation database
default_format default_view_definer distributed_cache_client_id distributed_cache_file_cache_name
distributed_plan_force_exchange_kind errors_output_format
exclude_materialize_skip_indexes_on_insert force_data_skipping_indices
force_optimize_projection_name format format_csv_null_representation format_custom_field_delimiter
format_custom_result_after_delimiter format_custom_result_before_delimiter
format_custom_row_after_delimiter format_custom_row_before_delimiter
format_custom_row_between_delimiter format_json_object_each_row_column_for_object_name
format_regexp format_schema_message_name format_template_resultset_format
format_template_row_format format_template_rows_between_delimiter format_tsv_null_representation
framing_output_format function_implementation http_response_headers
iceberg_metadata_compression_method ignore_data_skipping_indices input_format
input_format_mysql_dump_table_name input_format_orc_reader_time_zone_name
insert_deduplication_token local_filesystem_read_method log_comment metrics_perf_events_list
network_compression_method output_format output_format_avro_codec
output_format_avro_confluent_subject output_format_avro_string_column_pattern
output_format_image_terminal_mode output_format_orc_writer_time_zone_name
output_format_pretty_grid_charset output_format_sql_insert_table_name
preferred_optimize_projection_name promql_database promql_table query_cache_tag
remote_filesystem_read_method s3_upload_checksum_algorithm schema_inference_hints
send_logs_source_regexp stream_like_engine_insert_queue temporary_files_codec
trace_profile_events_list workload
"""
"""Settings of text that hold neither SQL that runs nor the name of a file, server or credential."""


def test_every_setting_of_text_has_been_looked_at(ask: Ask) -> None:
    """One that a new version brings is either fixed for everybody or named as harmless."""
    found = names(ask, "settings", "type IN ('String', 'Map', 'URI') AND alias_for = ''")
    harmless = set(HARMLESS_TEXT_SETTINGS.split())
    assert set(found) - {*FIXED_SETTINGS, *EXPRESSION_SETTINGS, *harmless} == set()
    assert harmless <= set(found)
