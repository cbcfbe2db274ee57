"""The viewer answers its own pages alone, with the queries of boards alone, within bounds."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from multidict import CIMultiDictProxy

from tests.dashboards.viewer.boards_of_a_test import QUERIES, kinds
from tokentide_dashboards.viewer import server as viewer_server
from tokentide_dashboards.viewer import source as viewer_source
from tokentide_dashboards.viewer.board_files import BoardFiles
from tokentide_dashboards.viewer.server import STATIC, Viewer
from tokentide_dashboards.viewer.source import Source

RANGE = {"from_ms": 0, "to_ms": 3_600_000, "points": 100, "variables": {"model": ["$__all"]}}
ROWS = {
    "meta": [
        {"name": "time", "type": "DateTime64(3, 'UTC')"},
        {"name": "n", "type": "Nullable(UInt64)"},
        {"name": "name", "type": "LowCardinality(Nullable(String))"},
    ],
    "data": [["1970-01-01 00:00:01.500", "7", "a"], [None, None, None]],
}


class ClickHouseReplies:
    """Says what a test wants as ClickHouse would, and keeps what it was asked."""

    def __init__(self) -> None:
        self.body = json.dumps(ROWS).encode()
        self.status = 200
        self.asked: list[tuple[str, dict[str, str], dict[str, str]]] = []

    async def reply(self, request: web.Request) -> web.Response:
        sql = (await request.read()).decode()
        self.asked.append((sql, dict(request.query), dict(request.headers)))
        return web.Response(body=self.body, status=self.status)


@pytest.fixture
def clickhouse() -> ClickHouseReplies:
    return ClickHouseReplies()


@pytest.fixture
async def base(clickhouse: ClickHouseReplies, tmp_path: Path) -> AsyncIterator[str]:
    (tmp_path / "kinds.json").write_text(json.dumps(kinds()))
    app = web.Application()
    app.router.add_post("/", clickhouse.reply)
    async with TestServer(app) as server:
        url = f"http://default:secret@127.0.0.1:{server.port}"
        async with Source(url, "tokentide") as source:
            viewer = Viewer(BoardFiles(tmp_path), source)
            async with TestServer(viewer.application()) as served:
                assert served.port is not None
                viewer.port = served.port
                yield f"http://127.0.0.1:{served.port}"


async def get(url: str, **headers: str) -> tuple[int, str, CIMultiDictProxy[str]]:
    async with aiohttp.ClientSession() as session, session.get(url, headers=headers) as reply:
        return reply.status, await reply.text(), reply.headers


async def ask(base: str, **asked: Any) -> tuple[int, dict[str, Any]]:
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{base}/api/query", json={"board": "test-kinds", **RANGE, **asked}) as reply,
    ):
        return reply.status, await reply.json()


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "evil.example"},
        {"Origin": "http://evil.example"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
)
@pytest.mark.parametrize("path", ["/", "/api/boards", "/static/app.js"])
async def test_pages_of_other_origins_are_refused(
    base: str, path: str, headers: dict[str, str]
) -> None:
    status, _text, _headers = await get(base + path, **headers)
    assert status == 403


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "evil.example"},
        {"Host": "evil.example:{port}", "Origin": "http://evil.example:{port}"},
        {"Origin": "http://evil.example"},
        {"Origin": "null", "Content-Type": "text/plain"},
        {"Sec-Fetch-Site": "cross-site"},
        {},
    ],
)
async def test_queries_of_other_origins_never_reach_clickhouse(
    base: str, clickhouse: ClickHouseReplies, headers: dict[str, str]
) -> None:
    question = {"board": "test-kinds", **RANGE, "panel": 0, "ref_id": "A"}
    port = base.rpartition(":")[2]
    given = {name: text.format(port=port) for name, text in headers.items()}
    sent = {"Content-Type": "application/json", **given}
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{base}/api/query", data=json.dumps(question), headers=sent) as reply,
    ):
        assert (reply.status == 403) is bool(headers)
        assert (clickhouse.asked == []) is bool(headers)
        assert not [name for name in reply.headers if name.startswith("Access-Control-")]


@pytest.mark.parametrize(
    "path", ["/", "/d/test-kinds", "/static/app.js", "/api/boards", "/nowhere"]
)
async def test_every_answer_allows_script_and_style_of_its_own_alone(base: str, path: str) -> None:
    _status, _text, headers = await get(base + path)
    policy = headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "script-src 'self';" in policy
    assert "unsafe" not in policy


async def test_a_failure_of_the_viewer_itself_tells_nothing_and_keeps_the_policy(
    base: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fails(_boards: BoardFiles) -> list[dict[str, str]]:
        raise RuntimeError("at /home/operator/boards")

    monkeypatch.setattr(BoardFiles, "listed", fails)
    status, text, headers = await get(f"{base}/api/boards")
    assert status == 500
    assert "operator" not in text
    assert "default-src 'none'" in headers["Content-Security-Policy"]
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert "at /home/operator/boards" in caplog.text


async def test_a_body_that_is_not_encoded_as_it_says_is_refused(
    base: str, clickhouse: ClickHouseReplies
) -> None:
    headers = {"Content-Type": "application/json", "Content-Encoding": "deflate"}
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{base}/api/query", data=b"garbage", headers=headers) as reply,
    ):
        assert reply.status == 400
        assert "Content-Encoding" in (await reply.json())["error"]
        assert "default-src 'none'" in reply.headers["Content-Security-Policy"]
    assert clickhouse.asked == []


async def test_a_question_that_is_half_sent_is_given_up(
    base: str, clickhouse: ClickHouseReplies, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(viewer_server, "BODY_TIMEOUT_S", 0.05)
    host, port = "127.0.0.1", int(base.rpartition(":")[2])
    reader, writer = await asyncio.open_connection(host, port)
    head = f"POST /api/query HTTP/1.1\r\nHost: {host}:{port}\r\nContent-Length: 100\r\n"
    writer.write(f"{head}Content-Type: application/json\r\n\r\n{{".encode())
    assert (await asyncio.wait_for(reader.readline(), 30)).startswith(b"HTTP/1.1 408 ")
    writer.close()
    await writer.wait_closed()
    assert clickhouse.asked == []


GIVEN = re.compile(r'<script id="given" type="application/json">(.*)</script>')


@pytest.mark.parametrize("path", ["/", "/d/test-kinds"])
async def test_the_page_has_its_board_without_sql_as_data_that_ends_in_no_text(
    base: str, path: str
) -> None:
    _status, page, _headers = await get(base + path)
    found = GIVEN.search(page)
    assert found is not None
    assert "<" not in found[1]
    given = json.loads(found[1])
    assert [one["uid"] for one in given["boards"]] == [given["board"]["uid"]] == ["test-kinds"]
    assert given["board"]["description"] == kinds()["description"]
    assert "<" in given["board"]["description"]
    assert "SELECT" not in found[1]
    assert given["why_no_charts"]


async def test_the_page_of_no_board_says_so(base: str) -> None:
    _status, page, _headers = await get(f"{base}/d/no<b>")
    found = GIVEN.search(page)
    assert found is not None
    assert "no<b>" in json.loads(found[1])["error"]


def test_pages_hold_no_inline_script_and_write_no_markup() -> None:
    page = (STATIC / "page.html").read_text()
    assert re.findall(r"<script[^>]*>(?!</script>)", page) == []
    assert "style=" not in page
    scripts = "".join(path.read_text() for path in STATIC.glob("*.js"))
    for word in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval("):
        assert word not in scripts


def test_the_page_loads_every_script_at_once() -> None:
    page = (STATIC / "page.html").read_text()
    for path in STATIC.glob("*.js"):
        assert page.count(f'"/static/{path.name}"') == 1, path.name


def test_script_stays_small() -> None:
    uplot_bytes = 49_672
    assert sum(path.stat().st_size for path in STATIC.glob("*.js")) + uplot_bytes < 150_000


async def test_files_outside_of_the_pages_are_not_served(base: str) -> None:
    long, hidden = "a" * 300 + ".js", "%00.js"
    for name in ("..%2Fserver.py", "%2Fetc%2Fpasswd", "nothing.js", long, hidden):
        assert (await get(f"{base}/static/{name}"))[0] == 404, name


async def test_the_page_may_ask_for_charts_that_are_not_there_yet(base: str) -> None:
    for name in ("uplot.js", "uplot.css"):
        assert (await get(f"{base}/static/{name}"))[:2] == (200, ""), name


async def test_a_query_of_a_board_runs_as_the_reader_within_a_time(
    base: str, clickhouse: ClickHouseReplies
) -> None:
    status, answer = await ask(base, panel=4, ref_id="A")
    assert status == 200, answer
    assert answer["columns"] == [
        {"name": "time", "kind": "time", "values": [1_500, None]},
        {"name": "n", "kind": "number", "values": [7, None]},
        {"name": "name", "kind": "text", "values": ["a", None]},
    ]
    ((sql, parameters, headers),) = clickhouse.asked
    assert QUERIES["table"] in sql
    assert parameters["max_execution_time"] == "30"
    assert headers["X-ClickHouse-User"] == "grafana"
    assert "Authorization" not in headers
    assert "secret" not in str(headers)


async def test_range_and_points_are_put_in_by_the_server(
    base: str, clickhouse: ClickHouseReplies
) -> None:
    await ask(base, panel=0, ref_id="A", sql="SELECT 1", rawSql="SELECT 2")
    ((sql, _parameters, _headers),) = clickhouse.asked
    assert "toDateTime(0) + number * 600" in sql
    assert "toIntervalSecond(30)" in sql
    assert "$__" not in sql


@pytest.mark.parametrize(
    ("asked", "status", "words"),
    [
        ({"board": "other", "panel": 0, "ref_id": "A"}, 404, "no board"),
        ({"panel": 77, "ref_id": "A"}, 404, "no query"),
        ({"sql": "SELECT 1"}, 400, "names no query"),
        ({"board": 1, "panel": 0, "ref_id": "A"}, 400, "names no board"),
        ({"panel": 0, "ref_id": "A", "points": -1}, 400, "points"),
    ],
)
async def test_other_questions_are_refused_and_never_reach_clickhouse(
    base: str, clickhouse: ClickHouseReplies, asked: dict[str, Any], status: int, words: str
) -> None:
    got, answer = await ask(base, **asked)
    assert (got, clickhouse.asked) == (status, [])
    assert words in answer["error"]


async def test_a_form_of_another_page_cannot_ask(base: str, clickhouse: ClickHouseReplies) -> None:
    body = json.dumps({"board": "test-kinds", "panel": 0, "ref_id": "A", **RANGE})
    async with (
        aiohttp.ClientSession() as session,
        session.post(
            f"{base}/api/query", data=body, headers={"Content-Type": "text/plain"}
        ) as reply,
    ):
        assert reply.status == 415
    assert clickhouse.asked == []


async def test_rows_beyond_the_bound_are_cut_and_said(
    base: str, clickhouse: ClickHouseReplies, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(viewer_source, "MOST_ROWS", 1)
    _status, answer = await ask(base, panel=4, ref_id="A")
    assert [column["values"] for column in answer["columns"]] == [[1_500], [7], ["a"]]
    assert answer["is_cut"] is True


async def test_an_answer_that_is_too_large_is_given_up(
    base: str, clickhouse: ClickHouseReplies, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(viewer_source, "MOST_BYTES", 100)
    status, answer = await ask(base, panel=4, ref_id="A")
    assert (status, "shorter range" in answer["error"]) == (400, True)


async def test_an_error_of_clickhouse_is_reported_in_one_line(
    base: str, clickhouse: ClickHouseReplies
) -> None:
    clickhouse.status, clickhouse.body = 404, b"Code: 60. no such table\nstack trace"
    status, answer = await ask(base, panel=4, ref_id="A")
    assert (status, answer["error"]) == (502, "ClickHouse: Code: 60. no such table")


async def test_an_answer_that_breaks_off_is_an_error(
    base: str, clickhouse: ClickHouseReplies
) -> None:
    clickhouse.body = clickhouse.body[:40]
    status, answer = await ask(base, panel=4, ref_id="A")
    assert (status, "broke off" in answer["error"]) == (502, True)
