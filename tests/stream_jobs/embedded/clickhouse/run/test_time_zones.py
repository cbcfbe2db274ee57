"""Columns of Native keep their time zone for every client that knows what one is."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Callable
from zoneinfo import ZoneInfo

import clickhouse_connect
import pytest
import urllib3

from tests.each import each

pytestmark = pytest.mark.integration

Ask = Callable[..., urllib3.BaseHTTPResponse]

ZONED = b"DateTime('Asia/Shanghai')"
AT = "toDateTime(1676369730, 'Asia/Shanghai') AS at"
REVISIONS = ("54337", "54405", "54460")


@each("revision", REVISIONS)
@each(
    "sql",
    [
        f"SELECT {AT}",
        f"SELECT 'text' AS s, [1] AS a, {AT}, toDateTime(1) AS utc",
        f"SELECT {AT}, count() AS n GROUP BY at WITH TOTALS",
        # More than one block, with strings to walk over.
        f"SELECT toString(number), {AT} FROM numbers(100000)",
        f"SELECT {AT} WHERE 0",
        f"SELECT {AT} UNION ALL SELECT {AT}",
        f"SELECT {AT} SETTINGS max_threads = 1",
    ],
)
def test_the_zone_is_sent_from_the_revision_that_knows_it(
    ask: Ask, sql: str, revision: str
) -> None:
    old = ask(f"{sql} FORMAT Native").data
    new = ask(f"{sql} FORMAT Native", client_protocol_version=revision).data
    assert ZONED not in old
    assert new.count(ZONED) == old.count(b"\x02at\x08DateTime")
    assert new.count(b"\x08DateTime") == old.count(b"\x03utc\x08DateTime")
    bare = ask(f"{sql} FORMAT Native", client_protocol_version="54336").data
    assert ZONED not in bare


def test_clients_of_both_kinds_read_the_zone(sql_server: str) -> None:
    sql = f"SELECT toString(number) AS s, {AT} FROM numbers(70000)"
    with clickhouse_connect.get_client(dsn=sql_server, username="analyst") as client:
        result = client.query(sql, tz_mode="aware")
    assert result.column_types[1].name == ZONED.decode()
    expected = dt.datetime(2023, 2, 14, 18, 15, 30, tzinfo=ZoneInfo("Asia/Shanghai"))
    assert result.result_rows[-1] == ("69999", expected)


def test_temporary_tables_of_a_session_have_their_zones(ask: Ask) -> None:
    session = {"session_id": uuid.uuid4().hex}
    ask("CREATE TEMPORARY TABLE moments (at DateTime('Asia/Shanghai'))", **session)
    ask("INSERT INTO moments VALUES (1)", **session)
    sql = "SELECT at FROM moments FORMAT Native"
    assert ZONED in ask(sql, client_protocol_version="54460", **session).data
