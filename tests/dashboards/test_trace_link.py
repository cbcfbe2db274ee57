"""The Request explorer links to the trace of a call once the address of traces is set."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import unquote

import pytest

from tests.dashboards.test_boards import span
from tests.sql.cookbook_calls import seed
from tokentide_dashboards.boards.requests import REQUESTS, TRACE_PAGE
from tokentide_dashboards.check.browser import ALL, Values, expand
from tokentide_dashboards.check.choice import choose
from tokentide_dashboards.check.lint import queries

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

pytestmark = pytest.mark.integration

HOSTILE = "a/../b?c=d&e#f\"'<\\ü %24"
BOARD = REQUESTS.json()


def page(client: Client, address: str, trace_id: str) -> str:
    sql = expand(f"SELECT {TRACE_PAGE}", span(1), {"trace_url": address})
    text = "$id$" + trace_id + "$id$"
    return str(client.query(f"WITH {text} AS trace_id {sql}").result_rows[0][0])


@pytest.mark.parametrize(
    ("address", "before", "after"),
    [
        ("https://tempo.example/trace/", "https://tempo.example/trace/", ""),
        ("  HTTP://127.0.0.1:16686/trace/ ", "HTTP://127.0.0.1:16686/trace/", ""),
        ("https://x.example/t?id={trace}&o=1", "https://x.example/t?id=", "&o=1"),
        ("https://x.example/it's/\\'{trace}", "https://x.example/it's/\\'", ""),
    ],
)
def test_the_id_becomes_one_part_of_the_address(
    sql_client: Client, address: str, before: str, after: str
) -> None:
    assert page(sql_client, address, "5b8aa5a2d2c8") == f"{before}5b8aa5a2d2c8{after}"
    found = page(sql_client, address, HOSTILE)
    encoded = found.removeprefix(before).removesuffix(after)
    assert found == before + encoded + after
    assert unquote(encoded) == HOSTILE
    assert not set(encoded) & set("/?&#\"'<\\ ")


@pytest.mark.parametrize(
    "address",
    ["", "javascript:alert(1)//https://x", "data:text/html,x", "//x.example/", "tempo.example/"],
)
def test_no_other_address_becomes_a_link(sql_client: Client, address: str) -> None:
    assert page(sql_client, address, "5b8aa5a2d2c8") == ""


def test_a_call_without_a_trace_has_no_link(sql_client: Client) -> None:
    assert page(sql_client, "https://tempo.example/trace/", "") == ""


def links(client: Client, address: str) -> dict[str, list[tuple[object, object, object]]]:
    """Return for each panel of calls: the trace, and what leads there."""

    def rows(sql: str) -> list[tuple[object, ...]]:
        return [tuple(row) for row in client.query(sql).result_rows]

    chosen: Values = {**choose(BOARD, span(1), rows), "trace_url": address}
    assert chosen["team"] == ALL
    found = {}
    for name, _of, sql in queries(BOARD):
        if "trace_page" not in sql:
            continue
        answer = client.query(expand(sql, span(1), chosen))
        place = {column: at for at, column in enumerate(answer.column_names)}
        trace = place.get("trace_id", place.get("value", 0))
        found[name] = [
            (row[trace], row[place["trace_page"]], row[place["open_trace"]])
            for row in answer.result_rows
        ]
    return found


def test_links_stand_on_the_lists_and_at_the_call_once_there_is_an_address(
    sql_client: Client,
) -> None:
    seed(sql_client)
    silent = links(sql_client, "")
    assert len(silent) == 4
    assert {link[1:] for rows in silent.values() for link in rows} == {("", "")}
    for name, rows in links(sql_client, "https://t.example/").items():
        linked = [link for link in rows if link[1]]
        assert linked, name
        for trace_id, address, shown in linked:
            assert (address, shown) == (f"https://t.example/{trace_id}", "open"), name
