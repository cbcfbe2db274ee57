"""Accounts: passwords are checked, and a read-only user cannot write, escape or disturb others."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlencode

import clickhouse_connect
import pytest
import urllib3
from clickhouse_connect.driver.exceptions import DatabaseError

from tests.stream_jobs.embedded.clickhouse.patient_request import request
from tokentide_jobs.embedded.clickhouse.access.accounts import load_accounts
from tokentide_jobs.embedded.clickhouse.process import ClickHouseProcess
from tokentide_jobs.errors import ConfigError

pytestmark = pytest.mark.integration

USERS = [
    {"name": "default", "password": "s3cret:with colon"},
    {"name": "analyst", "password": "look", "readonly": True},
]

Ask = Callable[..., urllib3.BaseHTTPResponse]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClickHouseProcess]:
    directory = tmp_path_factory.mktemp("accounts")
    users_file = directory / "users.json"
    users_file.write_text(json.dumps(USERS))
    options = ["--users-file", str(users_file)]
    with ClickHouseProcess.start(directory / "data", options=options) as process:
        admin = clickhouse_connect.get_client(
            dsn=process.url, username="default", password="s3cret:with colon"
        )
        admin.command("CREATE TABLE facts (a UInt8) ENGINE = MergeTree ORDER BY a")
        admin.command("INSERT INTO facts VALUES (1), (2)")
        yield process


@pytest.fixture
def read(server: ClickHouseProcess) -> Ask:
    """Ask as the read-only user."""
    headers = {"X-ClickHouse-User": "analyst", "X-ClickHouse-Key": "look"}

    def send(sql: str, method: str = "POST", **settings: str) -> urllib3.BaseHTTPResponse:
        url = f"{server.url}/?{urlencode({'query': sql, **settings})}"
        return request(method, url, headers=headers)

    return send


def basic(user: str, password: str) -> dict[str, str]:
    token = base64.b64encode(f"{user}:{password}".encode()).decode()
    return {"Authorization": f"Basic {token}"}


def test_credentials_may_come_in_any_of_three_ways(server: ClickHouseProcess) -> None:
    sql = "query=SELECT+1"
    for url, headers in (
        (f"{server.url}/?{sql}", {"X-ClickHouse-User": "analyst", "X-ClickHouse-Key": "look"}),
        (f"{server.url}/?{sql}", basic("default", "s3cret:with colon")),
        (f"{server.url}/?{sql}&user=analyst&password=look", {}),
    ):
        assert request("GET", url, headers=headers).data == b"1\n"


@pytest.mark.parametrize(
    "headers",
    [
        {},
        basic("analyst", ""),
        basic("analyst", "lock"),
        basic("stranger", "look"),
        {"Authorization": "Basic not base64!"},
        {"X-ClickHouse-User": "default"},
    ],
)
def test_wrong_credentials_are_refused_alike(
    server: ClickHouseProcess, headers: dict[str, str]
) -> None:
    response = request("POST", server.url, body=b"SELECT 1", headers=headers)
    assert response.status == 403
    assert response.headers["X-ClickHouse-Exception-Code"] == "516"
    assert b"look" not in response.data


@pytest.mark.parametrize(
    "sql",
    [
        "INSERT INTO facts VALUES (3)",
        "INSERT INTO FUNCTION file('/tmp/never.csv') SELECT 1",
        "CREATE TABLE mine (a Int8) ENGINE = Memory",
        "CREATE TEMPORARY TABLE mine (a Int8)",
        "CREATE FUNCTION mine AS x -> x",
        "ALTER TABLE facts DELETE WHERE 1",
        "DROP TABLE facts",
        "TRUNCATE TABLE facts",
        "OPTIMIZE TABLE facts",
        "SYSTEM STOP MERGES",
        "KILL QUERY WHERE 1",
        "KILL MUTATION WHERE 1",
        "/* a comment first */ (KILL QUERY WHERE 1)",
        "SELECT file('/etc/passwd')",
        "SELECT `file`('/etc/passwd')",
        "SELECT \"file\" ( '/etc/passwd')",
        "SELECT * FROM file('/etc/passwd', 'LineAsString')",
        "SELECT * FROM `/etc/passwd`",
        "DESCRIBE TABLE file('/etc/passwd')",
        "DESC url('http://127.0.0.1:1/')",
        "SELECT * FROM url('http://127.0.0.1:1/', 'LineAsString')",
        "SELECT * FROM s3('http://127.0.0.1:1/bucket/key', 'TSV', 'a Int8')",
        "SELECT * FROM remote('127.0.0.1', 'system', 'one')",
        "SELECT * FROM Python(secrets)",
        "SET readonly = 0",
        "SET max_memory_usage = 0",
        "SELECT 1 SETTINGS readonly = 0",
        "SELECT 1 SETTINGS max_memory_usage = 0",
        "SELECT 1 SETTINGS allow_ddl = 1, max_memory_usage = 5",
    ],
)
def test_a_read_only_user_is_refused(read: Ask, sql: str) -> None:
    response = read(sql)
    assert response.status >= 400
    code = response.headers["X-ClickHouse-Exception-Code"]
    assert code in ("164", "497", "46", "60", "62"), response.data
    assert read("SELECT count() FROM facts").data == b"2\n"


def test_a_read_only_user_may_bound_its_own_queries_and_nothing_else(read: Ask) -> None:
    response = read("SELECT getSetting('max_execution_time')", max_execution_time="7")
    assert response.data == b"7\n"
    slow = read("SELECT sum(sipHash64(number)) FROM numbers(1000000000000)", max_execution_time="1")
    assert (slow.status, slow.headers["X-ClickHouse-Exception-Code"]) == (408, "159")
    assert read("SELECT 1 AS x", output_format_json_quote_64bit_integers="1").status == 200
    for setting in ("readonly", "max_memory_usage", "allow_ddl", "log_queries"):
        refused = read("SELECT 1", **{setting: "0"})
        assert refused.headers["X-ClickHouse-Exception-Code"] == "164", setting
        assert setting.encode() in refused.data
    for allowed in ("SHOW TABLES", "DESCRIBE TABLE facts", "EXPLAIN SELECT 1", "EXISTS facts"):
        assert read(allowed).status == 200, allowed
    assert read("SHOW TABLES", method="GET").status == 200


def test_a_limit_in_the_query_itself_holds_for_a_read_only_user(read: Ask) -> None:
    sql = (
        "SELECT sum(sipHash64(number)) FROM numbers(1000000000000) SETTINGS max_execution_time = 1"
    )
    assert read(sql).headers["X-ClickHouse-Exception-Code"] == "159"
    filters = "SELECT count() FROM facts SETTINGS additional_table_filters = {'facts': 'a = 1'}"
    assert read(filters).data == b"1\n"
    assert read(filters + " FORMAT CSV").data == b"1\n"


def test_a_query_of_a_read_only_user_has_an_end_that_it_cannot_lift(read: Ask) -> None:
    asked = "SELECT getSetting('max_execution_time')"
    assert read(asked).data == b"60\n"
    assert read(asked, max_execution_time="600").data == b"600\n"
    assert read(f"{asked} SETTINGS max_execution_time = 0.5", max_execution_time="9").data == (
        b"0.5\n"
    )
    for seconds in ("0", "0.0", "601", "1e9", "-1", "inf", "nan", ""):
        refused = read(asked, max_execution_time=seconds)
        assert refused.headers["X-ClickHouse-Exception-Code"] == "452", seconds
    for seconds in ("0", "601", "'0'", "1000000"):
        refused = read(f"{asked} SETTINGS max_execution_time = {seconds}", max_execution_time="5")
        assert refused.headers["X-ClickHouse-Exception-Code"] == "452", seconds
    assert b"max_execution_time" in refused.data and b"up to 600" in refused.data


def test_clickhouse_connect_works_for_a_read_only_user(server: ClickHouseProcess) -> None:
    with clickhouse_connect.get_client(
        dsn=server.url, username="analyst", password="look"
    ) as client:
        assert client.query("SELECT a FROM facts ORDER BY a").result_rows == [(1,), (2,)]
        # clickhouse-connect does not send settings that system.settings calls read-only.
        limited = client.query(
            "SELECT getSetting('max_execution_time') SETTINGS max_execution_time = 9"
        )
        assert limited.result_rows == [(9.0,)]
        with pytest.raises(DatabaseError, match="READONLY"):
            client.insert("facts", [[3]], column_names=["a"], column_type_names=["UInt8"])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "expected a JSON list of accounts"),
        ("{}", "expected a JSON list of accounts"),
        ("[]", "names no account"),
        ('[{"password": "x"}]', "entry 0: expected an object with a name"),
        ('[{"name": "a"}, {"name": "b", "pasword": "x"}]', "entry 1: unknown field 'pasword'"),
    ],
)
def test_a_bad_users_file_is_refused_with_its_place(
    tmp_path: Path, content: str, message: str
) -> None:
    users_file = tmp_path / "users.json"
    users_file.write_text(content)
    with pytest.raises(ConfigError, match=message) as refused:
        load_accounts(users_file)
    assert str(users_file) in str(refused.value)
