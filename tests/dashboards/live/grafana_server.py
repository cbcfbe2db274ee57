"""A local server that answers as Grafana 13 does: routes, status codes, bodies and their oddities.

Written after Grafana's own handlers and documentation. What it does not know is 404, as there. A
test changes what the server holds, takes permissions away, or puts a fault before a path.
"""

from __future__ import annotations

import asyncio
import ssl
import threading
from base64 import b64decode
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from tokentide_dashboards.boards.every import BOARDS
from tokentide_dashboards.kit.board import Board
from tokentide_dashboards.kit.query import DATASOURCE
from tokentide_dashboards.rules.all_rules import RULES
from tokentide_dashboards.rules.files import FOLDER
from tokentide_dashboards.rules.notify import contact_points, policies
from tokentide_dashboards.rules.rule import Rule

TOKEN = "glsa_s3cr3t"
UID = str(DATASOURCE["uid"])
PLUGIN = str(DATASOURCE["type"])
RULES_FOLDER = "dfmade1"
"""Grafana gives the folder of provisioned rules a uid of its own."""
EVALUATED = "2026-11-30T09:59:30.123456789+01:00"
NOW_MS = 1_796_029_200_000
"""2026-11-30 09:00 UTC, half a minute after EVALUATED."""

Row = Sequence[Any]
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class QueryFailed(Exception):
    """What the plugin says of a query that ClickHouse refuses."""


def two_rows(_sql: str, _query: dict[str, Any], _body: dict[str, Any]) -> list[Row]:
    return [("first", 1.0), ("second", 2.0)]


@dataclass
class StoredBoard:
    board: dict[str, Any]
    version: int = 1
    folder_uid: str = ""
    provisioned: bool = False
    updated_by: str = "alice"


@dataclass
class GrafanaServer:
    """What the server holds, and what it was asked."""

    database: str = "ok"
    plugin: str | None = "4.23.5"
    sources: dict[str, str] = field(default_factory=lambda: {UID: PLUGIN})
    source_error: str = ""
    folders: dict[str, str] = field(default_factory=dict)
    boards: dict[str, StoredBoard] = field(default_factory=dict)
    rules: list[dict[str, Any]] = field(default_factory=list)
    states: dict[str, dict[str, Any]] = field(default_factory=dict)
    policies: dict[str, Any] = field(default_factory=dict)
    contact_points: list[dict[str, Any]] = field(default_factory=list)
    answer: Callable[[str, dict[str, Any], dict[str, Any]], list[Row]] = two_rows
    denied: tuple[str, ...] = ()
    faults: dict[str, Handler] = field(default_factory=dict)
    login: tuple[str, str] = ("admin", "pä:ss wörd")
    asked: list[tuple[str, str, dict[str, Any]]] = field(default_factory=list)
    url: str = ""

    @classmethod
    def provisioned(
        cls, boards: Sequence[Board] = BOARDS, rules: Sequence[Rule] = RULES
    ) -> GrafanaServer:
        """Return a server that has taken these from files."""
        server = cls(folders={RULES_FOLDER: FOLDER})
        for board in boards:
            made = {**board.json(), "id": 7}
            server.boards[str(board.uid)] = StoredBoard(made, 1, RULES_FOLDER, True)
        for rule in rules:
            server.add_rule(rule.provisioned(), "Group")
        server.notify("tokentide-pagerduty", "tokentide-slack")
        return server

    def notify(self, pages_to: str, tickets_to: str) -> None:
        """Hold our policies and contact points as the API shows them: secrets are hidden."""
        put = {"$ALERT_PAGE_TO": pages_to, "$ALERT_TICKET_TO": tickets_to}
        (tree,) = policies()
        routes = [{**one, "receiver": put[one["receiver"]]} for one in tree["routes"]]
        self.policies = {**tree, "routes": routes, "provenance": "file"}
        self.contact_points = [
            {
                "uid": receiver["uid"],
                "name": point["name"],
                "type": receiver["type"],
                "settings": {
                    name: "[REDACTED]" if receiver["type"] in ("slack", "pagerduty") else value
                    for name, value in receiver["settings"].items()
                },
            }
            for point in contact_points()
            for receiver in point["receivers"]
        ]

    def add_rule(self, rule: dict[str, Any], group: str, folder_uid: str = RULES_FOLDER) -> None:
        """Hold a rule, as the provisioning API shows it, and its evaluation."""
        shown = {
            **{name: value for name, value in rule.items() if "_" not in name},
            "id": len(self.rules) + 1,
            "orgID": 1,
            "folderUID": folder_uid,
            "ruleGroup": group,
            "provenance": "file",
            "keep_firing_for": rule.get("keepFiringFor", "0s"),
        }
        shown.pop("keepFiringFor", None)
        self.rules.append(shown)
        self.states[rule["uid"]] = {
            "uid": rule["uid"],
            "folderUid": folder_uid,
            "name": rule["title"],
            "state": "inactive",
            "health": "ok",
            "type": "alerting",
            "lastEvaluation": EVALUATED,
            "evaluationTime": 0.01,
        }

    def rule(self, uid: str) -> dict[str, Any]:
        return next(rule for rule in self.rules if rule["uid"] == uid)

    def application(self) -> web.Application:
        app = web.Application(middlewares=[self._guard], client_max_size=8 << 20)
        routes: tuple[tuple[str, str, Handler], ...] = (
            ("GET", "/health", self._health),
            ("GET", "/org", self._org),
            ("GET", "/plugins/{id}/settings", self._plugin),
            ("GET", "/datasources/uid/{uid}", self._source),
            ("GET", "/datasources/uid/{uid}/health", self._source_health),
            ("POST", "/ds/query", self._query),
            ("GET", "/folders", self._folders),
            ("POST", "/folders", self._make_folder),
            ("GET", "/dashboards/uid/{uid}", self._board),
            ("POST", "/dashboards/db", self._save_board),
            ("GET", "/v1/provisioning/alert-rules", self._rules),
            ("GET", "/prometheus/grafana/api/v1/rules", self._rule_states),
            ("GET", "/v1/provisioning/policies", self._policies),
            ("GET", "/v1/provisioning/contact-points", self._contact_points),
        )
        for prefix in ("/api", "/below/it/api"):
            for verb, path, handler in routes:
                app.router.add_route(verb, prefix + path, handler)
        return app

    @web.middleware
    async def _guard(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        path = request.path.partition("/api")[2]
        body = await request.json() if request.can_read_body else {}
        self.asked.append((request.method, path, body))
        if fault := self.faults.get(path):
            return await fault(request)
        if path != "/health" and (refusal := self._refusal(request)):
            return refusal
        if path.startswith(self.denied) and self.denied:
            return answer_of(
                403,
                "You'll need additional permissions to perform this action.",
                title="Access denied",
                accessErrorId="ACE0123456789",
            )
        try:
            return await handler(request)
        except web.HTTPNotFound:
            return answer_of(404, "Not found")

    def _refusal(self, request: web.Request) -> web.Response | None:
        kind, _, given = request.headers.get("Authorization", "").partition(" ")
        if kind == "Bearer" and given != TOKEN:
            return answer_of(401, "Invalid API key", messageId="api-key.invalid", statusCode=401)
        if kind == "Basic" and b64decode(given).decode() != ":".join(self.login):
            return answer_of(401, "Invalid username or password", messageId="password-auth.failed")
        return None if kind in ("Bearer", "Basic") else answer_of(401, "Unauthorized")

    async def _health(self, _request: web.Request) -> web.Response:
        status = 200 if self.database == "ok" else 503
        found = {"database": self.database, "version": "13.2.0", "commit": "0123abc"}
        return web.json_response(found, status=status)

    async def _org(self, _request: web.Request) -> web.Response:
        return web.json_response({"id": 1, "name": "Main Org.", "address": {}})

    async def _plugin(self, request: web.Request) -> web.Response:
        if request.match_info["id"] != PLUGIN or self.plugin is None:
            return answer_of(404, "Plugin not found, no installed plugin with that id")
        found = {"id": PLUGIN, "info": {"version": self.plugin}, "enabled": True}
        return web.json_response(found)

    async def _source(self, request: web.Request) -> web.Response:
        uid = request.match_info["uid"]
        if uid not in self.sources:
            return answer_of(404, "Data source not found")
        return web.json_response({"id": 1, "uid": uid, "type": self.sources[uid]})

    async def _source_health(self, request: web.Request) -> web.Response:
        if request.match_info["uid"] not in self.sources:
            return answer_of(500, "Unable to load datasource metadata")
        if self.source_error:
            return web.json_response({"status": "ERROR", "message": self.source_error}, status=400)
        return web.json_response({"status": "OK", "message": "Data source is working"})

    async def _query(self, request: web.Request) -> web.Response:
        body = await request.json()
        results: dict[str, Any] = {}
        for query in body["queries"]:
            if query["datasource"]["uid"] not in self.sources:
                return answer_of(404, "Data source not found")
            try:
                rows = self.answer(query["rawSql"], query, body)
            except QueryFailed as exc:
                results[query["refId"]] = {
                    "error": str(exc), "errorSource": "downstream", "status": 500, "frames": [],
                }  # fmt: skip
            else:
                results[query["refId"]] = {"status": 200, "frames": [frame(query["refId"], rows)]}
        has_failed = any("error" in result for result in results.values())
        return web.json_response({"results": results}, status=400 if has_failed else 200)

    async def _folders(self, _request: web.Request) -> web.Response:
        found = [{"id": 1, "uid": uid, "title": title} for uid, title in self.folders.items()]
        return web.json_response(found)

    async def _make_folder(self, request: web.Request) -> web.Response:
        asked = await request.json()
        if asked["title"] in self.folders.values():
            return answer_of(
                409, "a folder with the same name already exists in the current location"
            )
        self.folders[asked["uid"]] = asked["title"]
        return web.json_response({"id": 2, "uid": asked["uid"], "title": asked["title"]})

    async def _board(self, request: web.Request) -> web.Response:
        stored = self.boards.get(request.match_info["uid"])
        if stored is None:
            return answer_of(404, "Dashboard not found", status="not-found")
        meta = {
            "folderUid": stored.folder_uid,
            "provisioned": stored.provisioned,
            "updatedBy": stored.updated_by,
            "version": stored.version,
        }
        board = {**stored.board, "version": stored.version}
        return web.json_response({"dashboard": board, "meta": meta})

    async def _save_board(self, request: web.Request) -> web.Response:
        asked = await request.json()
        board, folder_uid = asked["dashboard"], asked.get("folderUid", "")
        stored = self.boards.get(board["uid"])
        if "elements" in board:
            return answer_of(400, "dashboard appears to be in v2 format")
        if folder_uid and folder_uid not in self.folders:
            return answer_of(400, "folder not found")
        if stored is not None and stored.provisioned:
            return answer_of(400, "Cannot save provisioned dashboard")
        if stored and board.get("version") != stored.version and not asked.get("overwrite"):
            return answer_of(
                412, "The dashboard has been changed by someone else", status="version-mismatch"
            )
        version = stored.version + 1 if stored else 1
        # In no folder, where none is named: Grafana moves it there.
        self.boards[board["uid"]] = StoredBoard(
            {**board, "id": 7}, version, folder_uid, updated_by="sa-tokentide"
        )
        found = {"uid": board["uid"], "status": "success", "version": version, "id": 7}
        return web.json_response(found)

    async def _rules(self, _request: web.Request) -> web.Response:
        return web.json_response(self.rules)

    async def _policies(self, _request: web.Request) -> web.Response:
        return web.json_response(self.policies)

    async def _contact_points(self, _request: web.Request) -> web.Response:
        return web.json_response(self.contact_points)

    async def _rule_states(self, _request: web.Request) -> web.Response:
        groups = [
            {
                "name": name,
                "file": FOLDER,
                "folderUid": RULES_FOLDER,
                "rules": [
                    self.states[rule["uid"]]
                    for rule in self.rules
                    if rule["ruleGroup"] == name and rule["uid"] in self.states
                ],
                "interval": 60,
            }
            for name in sorted({rule["ruleGroup"] for rule in self.rules})
        ]
        return web.json_response({"status": "success", "data": {"groups": groups}})


def answer_of(status: int, message: str, /, **more: Any) -> web.Response:
    return web.json_response({"message": message, **more}, status=status)


def frame(ref_id: str, rows: list[Row]) -> dict[str, Any]:
    """Return rows as a frame: columns of values."""
    width = len(rows[0]) if rows else 0
    values = [[row[place] for row in rows] for place in range(width)]
    fields = [{"name": f"column {place}", "type": "string"} for place in range(width)]
    return {"schema": {"refId": ref_id, "fields": fields}, "data": {"values": values}}


@contextmanager
def serving(server: GrafanaServer, tls: ssl.SSLContext | None = None) -> Iterator[GrafanaServer]:
    """Serve on a free port of loopback, in a thread of its own."""
    loop = asyncio.new_event_loop()
    runner = web.AppRunner(server.application(), shutdown_timeout=0.1)
    thread = threading.Thread(target=loop.run_forever, name="grafana of a test")
    thread.start()

    def run(work: Awaitable[Any]) -> Any:
        async def done() -> Any:
            return await work

        return asyncio.run_coroutine_threadsafe(done(), loop).result(20)

    try:
        run(runner.setup())
        site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls)
        run(site.start())
        port = runner.addresses[0][1]
        server.url = f"http{'s' if tls else ''}://{'localhost' if tls else '127.0.0.1'}:{port}"
        yield server
    finally:
        # TLS ends in a turn of the loop of its own, after its client closed the connection.
        run(asyncio.sleep(0.05 if tls else 0))
        run(runner.cleanup())
        loop.call_soon_threadsafe(loop.stop)
        thread.join(20)
        loop.close()
