"""The HTTP interface as curl and programs of any language see it."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from urllib.parse import urlencode

import pytest
import urllib3

from tests.each import each
from tests.stream_jobs.embedded.clickhouse.patient_request import request

pytestmark = pytest.mark.integration

Ask = Callable[..., urllib3.BaseHTTPResponse]


def text(response: urllib3.BaseHTTPResponse) -> str:
    assert response.status == 200, response.data
    return response.data.decode()


def test_ping_and_the_bare_root_answer_ok(ask: Ask) -> None:
    for path in ("/ping", "/", "/replicas_status"):
        response = ask(method="GET", path=path)
        assert (response.status, response.data) == (200, b"Ok.\n")


@each(
    ("method", "path"),
    [("GET", "/ping"), ("GET", "/?query=SELECT+1"), ("POST", "/?query=SELECT+1"), ("GET", "/no")],
)
def test_it_answers_clients_of_this_machine_and_no_pages_of_other_origins(
    ask: Ask, sql_server: str, method: str, path: str
) -> None:
    port = sql_server.rpartition(":")[2]
    own = f"127.0.0.1:{port}"
    for headers, is_answered in (
        ({}, True),
        ({"Host": f"localhost:{port}"}, True),
        ({"Host": f"[::1]:{port}"}, True),
        ({"Host": own, "Origin": f"http://{own}", "Sec-Fetch-Site": "same-origin"}, True),
        ({"Sec-Fetch-Site": "none"}, True),
        # A foreign name that now points here: the browser takes it for one origin.
        ({"Host": f"evil.example:{port}"}, False),
        ({"Host": "evil.example"}, False),
        ({"Host": f"127.0.0.1.evil.example:{port}"}, False),
        ({"Host": f"evil.example:{port}", "Origin": f"http://evil.example:{port}"}, False),
        ({"Host": "127.0.0.1:1"}, False),
        ({"Origin": "http://evil.example"}, False),
        ({"Origin": "null"}, False),
        ({"Origin": f"http://{own}", "Sec-Fetch-Site": "cross-site"}, False),
        ({"Sec-Fetch-Site": "same-site"}, False),
    ):
        response = ask(method=method, path=path, headers=headers)
        assert (response.status != 403) is is_answered, (headers, response.data)
        assert not [name for name in response.headers if name.startswith("Access-Control-")]
    preflight = ask(method="OPTIONS", path=path, headers={"Origin": "http://evil.example"})
    assert not [name for name in preflight.headers if name.startswith("Access-Control-")]


def test_a_query_may_be_in_the_url_in_the_body_or_in_both(ask: Ask) -> None:
    assert text(ask("SELECT 1", method="GET")) == "1\n"
    assert text(ask(body=b"SELECT 2")) == "2\n"
    assert text(ask("SELECT 3 AS x", body=b"FORMAT JSONEachRow")) == '{"x":3}\n'
    assert text(ask("SELECT 4;  -- with a comment", method="GET")) == "4\n"


def test_the_format_clause_wins_over_the_default_format(ask: Ask) -> None:
    assert text(ask("SELECT 1 AS x", default_format="JSONEachRow")) == '{"x":1}\n'
    assert text(ask("SELECT 1 AS x FORMAT CSV", default_format="JSONEachRow")) == "1\n"
    response = ask("SELECT 1 AS x", headers={"X-ClickHouse-Format": "CSVWithNames"})
    assert text(response) == '"x"\n1\n'
    assert response.headers["X-ClickHouse-Format"] == "CSVWithNames"
    assert response.headers["Content-Type"].startswith("text/csv")
    settings_last = ask("SELECT 1 AS x FORMAT JSONEachRow SETTINGS max_threads = 1")
    assert text(settings_last) == '{"x":1}\n'


def test_words_in_strings_comments_and_names_are_not_clauses(ask: Ask) -> None:
    assert text(ask("SELECT 'FORMAT JSON; SELECT 2' AS `FORMAT` /* FORMAT XML */")) == (
        "FORMAT JSON; SELECT 2\n"
    )
    assert text(ask("SELECT $$it's ; FORMAT x$$")) == "it\\'s ; FORMAT x\n"
    assert text(ask("SELECT format('{}-{}', 1, 2)")) == "1-2\n"


@pytest.mark.parametrize(
    ("name", "header_lines"),
    [
        ("TSVWithNames", 1),
        ("TSVWithNamesAndTypes", 2),
        ("CSVWithNames", 1),
        ("JSONCompactEachRowWithNamesAndTypes", 2),
        ("TSV", 0),
        ("JSONEachRow", 0),
    ],
)
def test_a_streamed_result_carries_its_header_once(ask: Ask, name: str, header_lines: int) -> None:
    response = ask(f"SELECT number, 'x' AS s FROM numbers(400000) FORMAT {name}")
    lines = text(response).splitlines()
    assert len(lines) == 400_000 + header_lines
    numbers = {line.strip('{["').split(":")[-2 if name == "JSONEachRow" else 0] for line in lines}
    assert len(numbers) > 1


def test_formats_that_are_one_document_stay_one_document(ask: Ask) -> None:
    document = json.loads(text(ask("SELECT number FROM numbers(200000) FORMAT JSON")))
    assert document["rows"] == len(document["data"]) == 200_000
    totals = text(ask("SELECT number % 2 AS k, count() FROM numbers(4) GROUP BY k WITH TOTALS"))
    assert totals.endswith("\n\n0\t4\n")
    import pyarrow as pa
    import pyarrow.parquet as pq

    sql = "SELECT number, toLowCardinality(toString(number % 3)) AS s FROM numbers(200000) FORMAT "
    with pa.ipc.open_stream(ask(sql + "ArrowStream").data) as reader:
        assert reader.read_all().num_rows == 200_000
    assert pq.read_table(pa.BufferReader(ask(sql + "Parquet").data)).num_rows == 200_000


def test_parameters_are_typed_and_never_sql(ask: Ask) -> None:
    hostile = "x' OR 1 = 1; DROP TABLE y --"
    assert text(ask("SELECT {p:String}", param_p=hostile)) == hostile.replace("'", "\\'") + "\n"
    assert text(ask("SELECT {p:Array(String)}", param_p="['a','b\\'c']")) == "['a','b\\'c']\n"
    assert text(ask("SELECT {p:UInt8} + 1", param_p="5")) == "6\n"
    assert text(ask("SELECT {p:String}", param_p="a\\tb")) == "a\\tb\n"
    missing = ask("SELECT {p:String}")
    assert missing.headers["X-ClickHouse-Exception-Code"] == "456"
    assert text(ask("SELECT {p:Nullable(String)} IS NULL", param_p="\\N")) == "1\n"


def test_settings_last_for_one_request(ask: Ask) -> None:
    seen = "SELECT getSetting('max_block_size'), getSetting('log_comment')"
    usual = text(ask(seen))
    assert text(ask(seen, max_block_size="1234", log_comment="it's\\mine")) == (
        "1234\tit\\'s\\\\mine\n"
    )
    assert text(ask(seen)) == usual
    assert text(ask(seen, readonly="1")) == usual
    assert ask("SET max_block_size = 77").status == 200
    assert text(ask(seen)) == usual


def test_the_database_of_a_request_is_its_own(ask: Ask) -> None:
    assert text(ask("SELECT currentDatabase()", database="system")) == "system\n"
    header = {"X-ClickHouse-Database": "system"}
    assert text(ask("SELECT currentDatabase()", headers=header)) == "system\n"
    assert text(ask("SELECT currentDatabase()")) == "default\n"
    unknown = ask("SELECT 1", database="no such `database`")
    assert (unknown.status, unknown.headers["X-ClickHouse-Exception-Code"]) == (404, "81")


@pytest.mark.parametrize(
    ("sql", "status", "code", "name"),
    [
        ("SELECT * FROM no_such_table", 404, 60, "UNKNOWN_TABLE"),
        ("SELECT no_such_column", 404, 47, "UNKNOWN_IDENTIFIER"),
        ("SELECT no_such_function()", 404, 46, "UNKNOWN_FUNCTION"),
        ("SELEC 1", 400, 62, "SYNTAX_ERROR"),
        ("SELECT 1; SELECT 2", 400, 62, "SYNTAX_ERROR"),
        ("", 400, 62, "SYNTAX_ERROR"),
        ("-- nothing", 400, 62, "SYNTAX_ERROR"),
        ("SELECT 1 FORMAT NoSuchFormat", 404, 73, "UNKNOWN_FORMAT"),
        ("SELECT toUInt8('x')", 400, 6, "CANNOT_PARSE_TEXT"),
        ("SELECT throwIf(1)", 500, 395, "FUNCTION_THROW_IF_VALUE_IS_NON_ZERO"),
        ("SELECT throwIf(1, unhex('ff'))", 500, 395, "FUNCTION_THROW_IF_VALUE_IS_NON_ZERO"),
        ("SELECT 1 INTO OUTFILE '/tmp/never'", 400, 62, "SYNTAX_ERROR"),
        ("INSERT INTO no_such_table FORMAT CSV", 404, 60, "UNKNOWN_TABLE"),
        ("INSERT INTO no_such_table FROM INFILE '/etc/passwd' FORMAT CSV", 400, 62, "SYNTAX_ERROR"),
        ("SYSTEM SHUTDOWN", 403, 497, "ACCESS_DENIED"),
    ],
)
def test_exceptions_have_the_servers_status_code_and_wording(
    ask: Ask, sql: str, status: int, code: int, name: str
) -> None:
    response = ask(body=sql.encode())
    assert (response.status, response.headers["X-ClickHouse-Exception-Code"]) == (status, str(code))
    body = response.data.decode()
    assert body.startswith(f"Code: {code}. DB::Exception: ")
    assert f"({name}) (version 26." in body


def test_an_unknown_setting_is_refused_and_named(ask: Ask) -> None:
    response = ask("SELECT 1", no_such_setting="1")
    assert (response.status, response.headers["X-ClickHouse-Exception-Code"]) == (404, "115")
    assert "no_such_setting" in response.data.decode()
    assert ask("SELECT 1", **{"max_threads=1, readonly": "0"}).status == 404


def test_an_exception_after_the_first_data_ends_the_body_with_its_tag(sql_server: str) -> None:
    sql = "SELECT number, throwIf(number = 900000) FROM numbers(1000000) SETTINGS max_threads = 1"
    with urllib3.PoolManager() as pool:
        response = pool.request("POST", sql_server, body=sql, preload_content=False)
        assert response.status == 200
        tag = response.headers["X-ClickHouse-Exception-Tag"]
        data = b""
        with pytest.raises(urllib3.exceptions.ProtocolError):
            for chunk in response.stream(1 << 16):
                data += chunk
    head, _, block = data.partition(f"\r\n__exception__\r\n{tag}\r\n".encode())
    assert head.startswith(b"0\t0\n1\t0\n")
    message, _, rest = block.rpartition(b"\n" + str(len(block.split(b"\n")[0]) + 1).encode())
    assert b"Code: 395. DB::Exception: " in message
    assert rest == f" {tag}\r\n__exception__\r\n".encode()


def test_wait_end_of_query_gives_late_exceptions_their_status(ask: Ask) -> None:
    sql = "SELECT number, throwIf(number = 900000) FROM numbers(1000000) SETTINGS max_threads = 1"
    response = ask(sql, wait_end_of_query="1")
    assert (response.status, response.headers["X-ClickHouse-Exception-Code"]) == (500, "395")


def test_headers_describe_the_query_and_what_it_did(ask: Ask, table: str) -> None:
    response = ask(f"SELECT * FROM {table} FORMAT TSV", query_id="my-query")
    assert response.headers["X-ClickHouse-Query-Id"] == "my-query"
    assert response.headers["X-ClickHouse-Format"] == "TSV"
    assert response.headers["X-ClickHouse-Timezone"] == "UTC"
    assert response.headers["X-ClickHouse-Server-Display-Name"] == "tokentide"
    inserted = ask(f"INSERT INTO {table} FORMAT CSV", body=b"1,a\n2,b\n3,c\n")
    summary = json.loads(inserted.headers["X-ClickHouse-Summary"])
    assert summary["written_rows"] == "4"  # three rows and one in the view
    read = json.loads(ask(f"SELECT sum(a) FROM {table}").headers["X-ClickHouse-Summary"])
    assert (read["read_rows"], read["result_rows"]) == ("3", "1")
    assert int(read["elapsed_ns"]) > 0
    assert uuid.UUID(ask("SELECT 1").headers["X-ClickHouse-Query-Id"])


def test_a_statement_without_a_result_names_no_format(ask: Ask, table: str) -> None:
    silent = (
        f"INSERT INTO {table} VALUES (1, 'a')",
        f"INSERT INTO {table} SELECT 2, 'b'",
        f"ALTER TABLE {table} ADD COLUMN IF NOT EXISTS more UInt8",
        "SET max_threads = 1",
    )
    shown = (
        f"SELECT a FROM {table} WHERE a = 3",
        "SHOW TABLES LIKE 'no such table'",
        f"EXISTS TABLE {table}",
        f"CHECK TABLE {table}",
    )
    for sql in (*silent, *shown):
        answer = ask(sql, query_id=f"of {sql}")
        assert answer.status == 200, answer.data
        assert answer.headers.get("X-ClickHouse-Format") == (
            "TabSeparated" if sql in shown else None
        )
        # Clients make what such a statement gives them of these.
        assert answer.headers["X-ClickHouse-Query-Id"] == f"of {sql}"
        assert "written_rows" in json.loads(answer.headers["X-ClickHouse-Summary"])


def test_rows_that_come_slowly_go_out_before_the_end(sql_server: str, ask: Ask) -> None:
    # A row each 50 ms, and an error with the thirtieth: nothing that a megabyte would hold back.
    sql = "SELECT sleepEachRow(0.05), throwIf(number = 30) FROM numbers(40)"
    url = f"{sql_server}/?{urlencode({'query': sql, 'max_block_size': 1})}"
    with urllib3.PoolManager() as pool:
        answer = pool.request("POST", url, preload_content=False)
        assert answer.status == 200
        seen = bytearray()
        with pytest.raises(urllib3.exceptions.ProtocolError):  # the connection breaks off
            for piece in answer.stream():
                seen += piece
    tag = answer.headers["X-ClickHouse-Exception-Tag"]
    rows, marker, text = seen.partition(f"\r\n__exception__\r\n{tag}\r\n".encode())
    assert marker and rows and rows.count(b"0\t0\n") <= 30
    assert text.startswith(b"Code: 395. DB::Exception: Value passed to 'throwIf'")
    soon = ask("SELECT throwIf(number = 1) FROM numbers(2)", max_block_size="1")
    assert soon.headers["X-ClickHouse-Exception-Code"] == "395"


def test_sessions_keep_settings_databases_and_temporary_tables(ask: Ask) -> None:
    mine = {"session_id": uuid.uuid4().hex}
    assert text(ask("SELECT getSetting('max_block_size')", max_block_size="999", **mine)) == "999\n"
    usual = text(ask("SELECT getSetting('max_block_size')", **mine))
    assert usual != "999\n"
    ask("SET max_block_size = 55", **mine)
    ask("CREATE TEMPORARY TABLE kept (a Int8)", **mine)
    ask("INSERT INTO kept VALUES (1), (2)", **mine)
    ask("USE system", **mine)
    assert text(ask("SELECT currentDatabase()", **mine)) == "system\n"
    assert text(ask("SELECT currentDatabase()", database="default", **mine)) == "default\n"
    seen = "SELECT getSetting('max_block_size'), count() FROM kept"
    assert text(ask(seen, max_block_size="66", max_threads="1", **mine)) == "66\t2\n"
    assert text(ask(seen, **mine)) == "55\t2\n"
    assert text(ask("SELECT currentDatabase()", **mine)) == "system\n"
    assert ask("SELECT count() FROM kept").status == 404
    assert ask("SELECT count() FROM kept", session_id="another").status == 404
    assert ask("SELECT 1", close_session="1", **mine).status == 200
    assert (
        ask("SELECT 1", session_check="1", **mine).headers["X-ClickHouse-Exception-Code"] == "372"
    )
    too_long = ask("SELECT 1", session_id="x", session_timeout="99999")
    assert too_long.headers["X-ClickHouse-Exception-Code"] == "374"


def test_get_requests_cannot_write(ask: Ask, table: str) -> None:
    session = {"session_id": uuid.uuid4().hex}
    ask("SET max_block_size = 5", **session)
    for parameters in ({}, session):
        response = ask(f"INSERT INTO {table} VALUES (1, 'x')", method="GET", **parameters)
        assert response.headers["X-ClickHouse-Exception-Code"] == "164"
    assert text(ask("SELECT 1", method="GET", **session)) == "1\n"
    assert text(ask("SELECT getSetting('max_threads')", method="GET", max_threads="1")) == "1\n"


def test_form_fields_carry_the_query_and_its_parameters(sql_server: str) -> None:
    fields = {"query": "SELECT {p:String}, getSetting('max_threads')", "param_p": "it's"}
    response = request("POST", f"{sql_server}/?max_threads=1", fields=fields)
    assert response.data == b"it\\'s\t1\n"


def test_a_parameter_may_have_dollars_in_its_name_and_a_type_in_any_case(ask: Ask) -> None:
    given = {"param_id$x": "it's", "param_$1": "1970-01-01 00:00:01.500", "param_$x$": "7"}
    answer = ask("SELECT {id$x:String}, {$1:Datetime64(3)}, {$x$:Int8}, {id$x:String}", **given)
    assert text(answer) == "it\\'s\t1970-01-01 00:00:01.500\t7\tit\\'s\n"
    assert ask("SELECT 1", **{"a$b": "1"}).headers["X-ClickHouse-Exception-Code"] == "115"


def test_native_blocks_carry_block_info_for_clients_that_ask(ask: Ask) -> None:
    sql = "SELECT 1 AS check FORMAT Native"
    plain = b"\x01\x01\x05check\x05UInt8"
    assert ask(sql).data == plain + b"\x01"
    info = b"\x01\x00\x02\xff\xff\xff\xff\x00"
    assert ask(sql, client_protocol_version="54405").data == info + plain + b"\x01"
    assert ask(sql, client_protocol_version="54460").data == info + plain + b"\x00\x01"
    assert ask("SELECT 1 AS a WHERE 0 FORMAT Native", client_protocol_version="54460").data == b""
    shown = ask("SHOW DATABASES", default_format="Native", client_protocol_version="54460").data
    assert shown.startswith(info)
    state = "SELECT sumState(1) AS s FORMAT Native"
    refused = ask(state, client_protocol_version="54460")
    assert refused.headers["X-ClickHouse-Exception-Code"] == "48"
    assert b"AggregateFunction(sum, UInt8)" in refused.data


def test_long_queries_fit_in_the_url_and_in_the_body(ask: Ask) -> None:
    numbers = ",".join(str(n) for n in range(20_000))
    sql = f"SELECT count() FROM numbers(30000) WHERE number IN ({numbers})"
    assert text(ask(sql)) == "20000\n"
    assert text(ask(body=sql.encode(), max_query_size="1000000")) == "20000\n"


@pytest.mark.parametrize(
    ("parameter", "value", "code"),
    [
        ("session_timeout", "9" * 400, "36"),
        ("client_protocol_version", "9" * 5000, "36"),
        ("network_compression_method", "\0evil", "89"),
    ],
)
def test_a_value_that_cannot_be_is_refused_by_name(
    ask: Ask, parameter: str, value: str, code: str
) -> None:
    refused = ask("SELECT 1", **{parameter: value})
    assert refused.headers["X-ClickHouse-Exception-Code"] == code
    assert parameter.encode() in refused.data
