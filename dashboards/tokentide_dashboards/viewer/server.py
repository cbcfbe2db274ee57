"""The viewer's web server: pages, boards and answers to the queries that stand in them.

It listens on loopback alone, and answers no page of another origin. Nothing of what it sends is
taken for script or markup: the policy of its pages allows its own files and nothing inline.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Final
from zipfile import BadZipFile, ZipFile

import orjson
from aiohttp import web

from tokentide_dashboards.check.browser import VariableError, expand
from tokentide_dashboards.check.macros import MacroError
from tokentide_dashboards.check.time_range import TimeRange, interval_ms
from tokentide_dashboards.viewer.board_files import LEAST, BoardFiles
from tokentide_dashboards.viewer.question import read_question
from tokentide_dashboards.viewer.refused import Refused
from tokentide_dashboards.viewer.source import Source
from tokentide_jobs.web_guard import refusal

__all__ = ["HOST", "Viewer"]

HOST: Final = "127.0.0.1"
BODY_TIMEOUT_S: Final = 10.0
"""A question is a few kilobytes, from this machine."""
STATIC: Final = Path(__file__).with_name("static")
_KINDS: Final = {".html": "text/html", ".js": "text/javascript", ".css": "text/css"}
_IN_JAR: Final = {
    "uplot.js": "META-INF/resources/webjars/uplot/{}/dist/uPlot.iife.min.js",
    "uplot.css": "META-INF/resources/webjars/uplot/{}/dist/uPlot.min.css",
}
_GIVEN: Final = b'<script id="given" type="application/json"></script>'
"""In the page: data, which no browser runs."""
_log: Final = logging.getLogger(__name__)
_MOST_ASKED_BYTES: Final = 256 << 10
_HEADERS: Final = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
        "img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}


class Viewer:
    """Handlers over the boards and one ClickHouse.

    Args:
        boards: What is shown.
        source: Where queries run.

    Attributes:
        port: Where it listens, known once it does; requests must name it.
    """

    def __init__(self, boards: BoardFiles, source: Source) -> None:
        self.port = 0
        self._boards = boards
        self._source = source
        self._charts: dict[str, bytes] = {}
        self._why_no_charts = "uPlot is being fetched"

    def use_charts(self, jar: Path) -> None:
        """Take the chart library from its jar: from now on pages draw charts."""
        try:
            with ZipFile(jar) as archive:
                version = jar.parent.name
                self._charts = {
                    name: archive.read(path.format(version)) for name, path in _IN_JAR.items()
                }
        except (OSError, KeyError, BadZipFile) as exc:
            self.go_without_charts(f"{jar.name} cannot be read: {exc}")

    def go_without_charts(self, why: str) -> None:
        """Show tables, and the reason."""
        self._why_no_charts = why

    def application(self) -> web.Application:
        """Build the aiohttp application with every route."""
        app = web.Application(client_max_size=_MOST_ASKED_BYTES, middlewares=[self._guard])
        for path in ("/", "/d/{board}"):
            app.router.add_get(path, self._page)
        app.router.add_get("/static/{name}", self._static)
        app.router.add_get("/api/boards", self._list)
        app.router.add_post("/api/query", self._query)
        return app

    @web.middleware
    async def _guard(
        self, request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        refused = refusal(request.headers, request.raw_path, self.port)
        if refused is not None:
            return web.Response(status=403, text=refused, headers=_HEADERS)
        try:
            reply = await handler(request)
        except Refused as exc:
            reply = _json({"error": str(exc)}, exc.status)
        except web.HTTPException as exc:
            reply = _json({"error": exc.reason}, exc.status)
        except Exception:
            # Left to aiohttp, this answer would be the only one without the policy.
            _log.exception("%s %s failed", request.method, request.path[:200])
            reply = _json({"error": "the viewer failed on this request: its log says where"}, 500)
        reply.headers.update(_HEADERS)
        return reply

    async def _page(self, request: web.Request) -> web.Response:
        """Send the page with its board in it: the page need not ask for what it shows."""
        given = self._listed()
        uid = request.match_info.get("board") or next((one["uid"] for one in given["boards"]), "")
        try:
            given["board"] = self._boards.shown(uid) if given["boards"] else None
        except Refused as exc:
            given = {"error": str(exc)}
        # A text in JSON that looks like the end of its element must not be one.
        text = orjson.dumps(given).replace(b"<", b"\\u003c")
        page = (STATIC / "page.html").read_bytes()
        return _file("page.html", page.replace(_GIVEN, _GIVEN.replace(b"><", b">" + text + b"<")))

    async def _static(self, request: web.Request) -> web.Response:
        name = request.match_info["name"]
        if name in _IN_JAR:
            # The page asks for it at once; where there is none yet, it looks again later.
            return _file(name, self._charts.get(name, b""))
        # No path is made of what came from outside.
        found = next((path for path in STATIC.iterdir() if path.name == name), None)
        if found is None or found.suffix not in _KINDS:
            raise Refused(f"there is no file {name[:100]!r}", 404)
        return _file(name, found.read_bytes())

    async def _list(self, _request: web.Request) -> web.Response:
        return _json(self._listed())

    def _listed(self) -> dict[str, Any]:
        why = "" if self._charts else self._why_no_charts
        return {"boards": self._boards.listed(), "why_no_charts": why}

    async def _query(self, request: web.Request) -> web.Response:
        """Answer one query of a board: of a panel, of a variable or of a layer."""
        if request.content_type != "application/json":
            raise Refused("a question is sent as application/json", 415)
        try:
            async with asyncio.timeout(BODY_TIMEOUT_S):
                body = await request.read()
            asked = orjson.loads(body)
        except TimeoutError as exc:
            raise Refused(f"the question was not sent within {BODY_TIMEOUT_S:g} s", 408) from exc
        except ValueError as exc:
            raise Refused("the question is not JSON") from exc
        except web.RequestPayloadError as exc:
            raise Refused("the question cannot be read: its Content-Encoding is another") from exc
        if not isinstance(asked, dict) or not isinstance(asked.get("board"), str):
            raise Refused("the question names no board")
        sql, least = self._named_query(asked)
        question = read_question(asked, self._boards.variable_names(asked["board"]))
        step_ms = interval_ms(question.to_ms - question.from_ms, question.points, least)
        span = TimeRange(question.from_ms, question.to_ms, step_ms)
        try:
            statement = expand(sql, span, question.variables)
        except (VariableError, MacroError) as exc:
            raise Refused(str(exc)) from exc
        return _json(await self._source.ask(statement))

    def _named_query(self, asked: dict[str, Any]) -> tuple[str, str]:
        board, panel, ref_id = asked["board"], asked.get("panel"), asked.get("ref_id")
        if isinstance(panel, int) and isinstance(ref_id, str):
            return self._boards.panel_query(board, panel, ref_id)
        if isinstance(variable := asked.get("variable"), str):
            return self._boards.variable_query(board, variable), LEAST
        if isinstance(layer := asked.get("layer"), str):
            return self._boards.layer_query(board, layer), LEAST
        raise Refused("the question names no query: panel and ref_id, variable, or layer")


def _file(name: str, body: bytes) -> web.Response:
    return web.Response(body=body, content_type=_KINDS[Path(name).suffix], charset="utf-8")


def _json(value: Any, status: int = 200) -> web.Response:
    return web.Response(body=orjson.dumps(value), status=status, content_type="application/json")
