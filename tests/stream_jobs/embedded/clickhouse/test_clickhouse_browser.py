"""A page of another origin in a real browser can neither read nor change anything."""

from __future__ import annotations

import asyncio
import http.server
import json
import shutil
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import cast
from urllib.parse import quote

import clickhouse_connect
import pytest
from aiohttp.test_utils import TestServer

from tokentide_dashboards.viewer.board_files import BoardFiles
from tokentide_dashboards.viewer.server import Viewer
from tokentide_dashboards.viewer.source import Source
from tokentide_jobs.embedded.clickhouse.process import ClickHouseProcess
from tokentide_jobs.jobs.runtime.health import Health
from tokentide_jobs.jobs.runtime.web import start_web

pytestmark = pytest.mark.integration

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
DEADLINE_S = 60.0

PAGE = """<!doctype html><title>evil</title><body><script>
const url = "{url}", seen = {{}};
async function attempt(name, work) {{
  try {{
    const answer = await work();
    seen[name] = answer.type === "opaque" ? "sent" : answer.status + " " + await answer.text();
  }} catch (problem) {{ seen[name] = "blocked"; }}
}}
const text = {{"Content-Type": "text/plain"}};
(async () => {{
  await attempt("read", () => fetch(url + "/?query=SELECT+1"));
  await attempt("read_reader", () => fetch(url + "/?user=analyst&query=SELECT+a+FROM+facts"));
  await attempt("ping", () => fetch(url + "/ping"));
  await attempt("post", () => fetch(url, {{method: "POST", headers: text,
    body: "INSERT INTO facts VALUES (7)"}}));
  await attempt("opaque_get", () => fetch(url + "/?query={drop}", {{mode: "no-cors"}}));
  await attempt("opaque_post", () => fetch(url + "/?{credentials}", {{mode: "no-cors",
    method: "POST", headers: text, body: "INSERT INTO facts VALUES (8)"}}));
  await attempt("localhost", () => fetch("{localhost}/?{credentials}", {{mode: "no-cors",
    method: "POST", body: "INSERT INTO facts VALUES (9)"}}));
  navigator.sendBeacon(url + "/?{credentials}", "INSERT INTO facts VALUES (10)");
  await attempt("metrics", () => fetch("{worker}/metrics"));
  await attempt("board", () => fetch("{viewer}/api/boards"));
  await attempt("board_query", () => fetch("{viewer}/api/query", {{method: "POST", headers: text,
    body: "{{}}"}}));
  await attempt("worker_answered", () => fetch("{worker}/metrics", {{mode: "no-cors"}}));
  const form = document.createElement("form");
  form.method = "post"; form.target = "frame"; form.enctype = "text/plain";
  form.action = url + "/?{credentials}&query={insert}";
  const frame = document.createElement("iframe"); frame.name = "frame";
  const image = new Image(); image.src = url + "/?{credentials}&query={insert}";
  document.body.append(frame, form, image);
  form.submit();
  await new Promise(done => {{ frame.onload = done; setTimeout(done, 3000); }});
  try {{ seen.frame = frame.contentDocument ? frame.contentDocument.body.innerText : "blocked"; }}
  catch (problem) {{ seen.frame = "blocked"; }}
  await fetch("/seen", {{method: "POST", body: JSON.stringify(seen)}});
}})();
</script>"""


@pytest.fixture(scope="module")
def browser() -> str:
    found = next((path for name in BROWSERS if (path := shutil.which(name))), None)
    if found is None:
        pytest.skip("no Chromium on PATH (Debian: apt-get install chromium)")
    return found


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ClickHouseProcess]:
    with ClickHouseProcess.start(tmp_path / "data") as process:
        with clickhouse_connect.get_client(dsn=process.dsn) as admin:
            admin.command("CREATE TABLE facts (a UInt8) ENGINE = MergeTree ORDER BY a")
            admin.command("INSERT INTO facts VALUES (1), (2)")
        yield process


def visit(browser: str, page: str, profile: Path) -> dict[str, str]:
    """Open ``page`` as served by a site of another origin; return what its script reports."""
    seen: dict[str, str] = {}
    reported = threading.Event()

    class Site(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._answer(page.encode())

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            seen.update(json.loads(body))
            self._answer(b"")
            reported.set()

        def _answer(self, body: bytes) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Site) as site:
        thread = threading.Thread(target=site.serve_forever, daemon=True)
        thread.start()
        options = (
            "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run "
            "--disable-background-networking --disable-component-update --disable-sync"
        )
        address = f"http://127.0.0.1:{site.server_address[1]}/"
        command = [browser, *options.split(), f"--user-data-dir={profile}"]
        with subprocess.Popen(
            [*command, "--remote-debugging-port=0", address],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        ) as process:
            try:
                assert reported.wait(DEADLINE_S), "the page did not report"
            finally:
                process.kill()
        site.shutdown()
        thread.join(5)
    return seen


@contextmanager
def pages(clickhouse_url: str) -> Iterator[tuple[str, str]]:
    """Serve a worker's page and the viewer from a thread; yield their addresses."""
    ready, ended, addresses = threading.Event(), asyncio.Event(), list[str]()
    health = cast(Health, SimpleNamespace(live=lambda: (True, {}), ready=lambda: (True, {})))

    async def serve() -> None:
        runner, port = await start_web("127.0.0.1", 0, health, lambda: b"metric 1\n")
        async with Source(clickhouse_url, "default") as source:
            viewer = Viewer(BoardFiles(), source)
            async with TestServer(viewer.application()) as served:
                assert served.port is not None
                viewer.port = served.port
                addresses.extend(f"http://127.0.0.1:{one}" for one in (port, served.port))
                ready.set()
                await ended.wait()
        await runner.cleanup()

    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=lambda: loop.run_until_complete(serve()))
    thread.start()
    try:
        assert ready.wait(DEADLINE_S)
        yield addresses[0], addresses[1]
    finally:
        loop.call_soon_threadsafe(ended.set)
        thread.join()
        loop.close()


def test_a_page_of_another_origin_reads_and_changes_nothing(
    browser: str, server: ClickHouseProcess, tmp_path: Path
) -> None:
    # The page even knows the password: what keeps it out is where it comes from.
    with pages(server.dsn) as (worker, viewer):
        page = PAGE.format(
            url=server.url,
            localhost=server.url.replace("127.0.0.1", "localhost"),
            credentials=f"user=default&password={quote(server.password)}",
            drop=quote("DROP TABLE facts"),
            insert=quote("INSERT INTO facts VALUES (11)"),
            worker=worker,
            viewer=viewer,
        )
        seen = visit(browser, page, tmp_path / "profile")
    assert seen["worker_answered"] == "sent", "nothing listens there: this proves nothing"
    for name in ("read", "read_reader", "ping", "post", "metrics", "board", "board_query"):
        assert seen[name] == "blocked", (name, seen)
    assert seen["frame"] == "blocked"
    with clickhouse_connect.get_client(dsn=server.dsn) as admin:
        assert admin.query("SELECT a FROM facts ORDER BY a").result_rows == [(1,), (2,)]


def test_an_address_typed_into_the_browser_is_answered(
    browser: str, server: ClickHouseProcess, tmp_path: Path
) -> None:
    """The browser itself is not what is refused: an address typed into it is answered."""
    done = subprocess.run(
        [
            browser, "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run",
            "--disable-background-networking", f"--user-data-dir={tmp_path / 'profile'}",
            "--dump-dom", f"{server.url}/ping",
        ],
        capture_output=True, text=True, timeout=DEADLINE_S, check=False,
    )  # fmt: skip
    assert "Ok." in done.stdout, done.stderr[-500:]
