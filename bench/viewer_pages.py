"""Pages that draw twelve charts on demand: the viewer's own, plotly's, and bare ones.

The bare page makes twelve canvases of the size of the viewer's and draws a frame in each: what a
browser takes before a library has drawn a line.
"""

from __future__ import annotations

import json
import math
import random
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from aiohttp import web

from bench.drawing_work import BEGIN, END
from tests.chromium import Page
from tokentide_dashboards.kit.board import Board, Row
from tokentide_dashboards.kit.series import Lines
from tokentide_dashboards.kit.unit import Unit
from tokentide_dashboards.viewer.board_files import BoardFiles
from tokentide_dashboards.viewer.server import Viewer
from tokentide_dashboards.viewer.source import Source
from tokentide_jobs.embedded.artifacts import uplot
from tokentide_jobs.embedded.artifacts.cache import default_cache_dir

__all__ = ["bare_page", "plotly_page", "viewer_page"]

PLOTLY: Final = "7.1.0"
CHARTS, LINES, POINTS = 12, 5, 360
_COLUMNS: Final = 3
_STEP_MS: Final = 60_000
_BEGIN_MS: Final = 1_764_460_800_000
_END_MS: Final = _BEGIN_MS + (POINTS - 1) * _STEP_MS
_UID: Final = "bench-twelve"


@dataclass(frozen=True, slots=True)
class Drawing:
    """A page that has what it is to draw.

    Attributes:
        open: Brings a browser to it.
        address: Of a page that loads what it needs and draws by itself.
        seen: Expression: how much of that page is drawn; all is `expected`.
        ready: Script that waits until the next drawing has its answers.
        draw: Script that draws, and returns milliseconds until it is painted.
        count: Expression: how much is to be seen.
        expected: What `count` must be.
    """

    open: Callable[[Page], Awaitable[None]]
    address: str
    seen: str
    ready: str
    draw: str
    count: str
    expected: int


_HOLD_ANSWERS: Final = """
(() => {
  const real = window.fetch;
  let open, gate;
  window.heldAnswers = 0;
  const close = () => { window.heldAnswers = 0; gate = new Promise(done => { open = done; }); };
  close();
  window.fetch = async (url, options) => {
    const reply = await real(url, options);
    if (url !== "/api/query") return reply;
    const found = await reply.json();
    const mine = gate;
    window.heldAnswers += 1;
    return { json: async () => { await mine; return found; } };
  };
  window.giveAnswers = () => { const give = open; close(); give(); };
})();
"""
"""Put before the viewer's scripts: its answers wait in the page until all of them are there."""
_GET_READY: Final = """
(async () => {
  const soon = () => new Promise(next => setTimeout(next, 5));
  if (window.realChart) {
    while (document.body.ariaBusy) await soon();
    document.dispatchEvent(new KeyboardEvent("keydown", { key: "r" }));
  } else {
    // Every chart that is made is counted: the last one ends what is measured but for two frames.
    window.realChart = uPlot;
    window.uPlot = function (...given) {
      const made = new realChart(...given);
      chartMade();
      return made;
    };
    Object.assign(window.uPlot, realChart);
  }
  window.allDrawn = new Promise(done => {
    let missing = CHARTS;
    window.chartMade = () => { missing -= 1; if (!missing) done(); };
  });
  while (window.heldAnswers < CHARTS) await soon();
})()
""".replace("CHARTS", str(CHARTS))
_DRAW_VIEWER: Final = """
(async () => {
  const frame = () => new Promise(next => requestAnimationFrame(next));
  await frame();
  const began = performance.mark("BEGIN").startTime;
  window.giveAnswers();
  await allDrawn;
  await frame();
  await frame();
  return performance.mark("END").startTime - began;
})()
""".replace("BEGIN", BEGIN).replace("END", END)
_CHARTS_ON_THE_PAGE: Final = "document.querySelectorAll('.uplot canvas').length"
_CHARTS_THAT_ARE_NOT_BLANK: Final = """
[...document.querySelectorAll(".uplot canvas")].filter(one =>
  one.getContext("2d").getImageData(0, 0, one.width, one.height).data.some(byte => byte)).length
"""
_PLOTLYS_LINES: Final = "document.querySelectorAll('.scatterlayer path.js-line').length"
_PLOTLY_PAGE: Final = """<!doctype html><meta charset="utf-8"><title>plotly</title>
<link rel="icon" href="data:,">
<link rel="preload" href="/charts.json" as="fetch" crossorigin><style>
body { margin: 0; }
main { display: grid; grid-template-columns: repeat(3, minmax(0, 1fr)); gap: 8px; padding: 16px; }
main > div { height: 252px; }</style><main></main><script src="/plotly.js"></script>"""
_PREPARE_PLOTLY: Final = """
(async () => {
  window.charts = await (await fetch("/charts.json")).json();
  document.querySelector("main").append(...charts.map(() => document.createElement("div")));
  return true;
})()
"""
_DRAW_PLOTLY: Final = """
(async () => {
  const frame = () => new Promise(next => requestAnimationFrame(next));
  const places = [...document.querySelectorAll("main > div")];
  await frame();
  const began = performance.mark("BEGIN").startTime;
  await Promise.all(places.map((place, at) => Plotly.newPlot(
    place, charts[at].data, charts[at].layout, { displayModeBar: false })));
  await frame();
  await frame();
  return performance.mark("END").startTime - began;
})()
""".replace("BEGIN", BEGIN).replace("END", END)


_CANVAS: Final = (491, 224)
"""Pixels of a chart of the viewer in its panel, at the width of the bench."""
_BARE_PAGE: Final = """<!doctype html><meta charset="utf-8"><title>canvases</title>
<link rel="icon" href="data:,"><style>
body { margin: 0; }
main { display: grid; grid-template-columns: repeat(3, minmax(0, 1fr)); gap: 8px; padding: 16px; }
main > div { height: 252px; }</style><main></main>"""
_PREPARE_BARE: Final = """
document.querySelector("main").append(
  ...Array.from({ length: CHARTS }, () => document.createElement("div")))
""".replace("CHARTS", str(CHARTS))
_DRAWS_ITSELF: Final = '<script src="/draw.js"></script>'
_DRAW_BARE: Final = (
    """
(async () => {
  const frame = () => new Promise(next => requestAnimationFrame(next));
  await frame();
  const began = performance.mark("BEGIN").startTime;
  for (const place of document.querySelectorAll("main > div")) {
    const canvas = document.createElement("canvas");
    [canvas.width, canvas.height] = [WIDTH, HEIGHT];
    place.replaceChildren(canvas);
    canvas.getContext("2d").strokeRect(5, 5, WIDTH - 10, HEIGHT - 10);
  }
  await frame();
  await frame();
  return performance.mark("END").startTime - began;
})()
""".replace("BEGIN", BEGIN)
    .replace("END", END)
    .replace("WIDTH", str(_CANVAS[0]))
    .replace("HEIGHT", str(_CANVAS[1]))
)
_BARE_ON_THE_PAGE: Final = "document.querySelectorAll('main canvas').length"
_BARE_THAT_ARE_NOT_BLANK: Final = _CHARTS_THAT_ARE_NOT_BLANK.replace(".uplot canvas", "main canvas")


def _line(chart: int, line: int) -> list[float]:
    """Return a walk with a daily wave; no two lines are the same."""
    walk = random.Random(chart * LINES + line)
    value = 20.0 + 10 * line
    values = []
    for at in range(POINTS):
        value = max(0.1, value + walk.gauss(0, 1))
        values.append(round(value * (1.2 + math.sin(at / 57)), 4))
    return values


class _Fixed(Source):
    """Answers each query with the rows of the chart that it names.

    They are made before, as plotly's file is: neither's time holds the making of numbers.
    """

    def __init__(self) -> None:
        super().__init__("http://127.0.0.1:1", "none")
        self._answers = [_answer(chart) for chart in range(CHARTS)]

    async def ask(self, sql: str) -> dict[str, Any]:
        """Return what ClickHouse would, once it has run the query."""
        return self._answers[int(sql.rpartition(" ")[2])]


def _answer(chart: int) -> dict[str, Any]:
    """Return five lines; a row has its time, a label and a number."""
    lines = [_line(chart, line) for line in range(LINES)]
    rows = [(at, line) for at in range(POINTS) for line in range(LINES)]
    values: dict[tuple[str, str], list[Any]] = {
        ("time", "time"): [_BEGIN_MS + at * _STEP_MS for at, _line in rows],
        ("model", "text"): [f"model-{line}" for _at, line in rows],
        ("cost", "number"): [lines[line][at] for at, line in rows],
    }
    columns = [
        {"name": name, "kind": kind, "values": found} for (name, kind), found in values.items()
    ]
    return {"columns": columns, "is_cut": False}


def _board() -> Board:
    panels = [
        Lines(
            title=f"Chart {chart + 1}",
            description="Five lines",
            unit=Unit.USD,
            no_value="Nothing",
            by=("model",),
            sql=f"SELECT {chart}",
        )
        for chart in range(CHARTS)
    ]
    rows = tuple(
        Row(tuple(panels[first : first + _COLUMNS])) for first in range(0, CHARTS, _COLUMNS)
    )
    return Board(
        uid=_UID, title="Twelve charts", description="All of one kind", rows=rows, variables=(),
        layers=(), refresh="",
    )  # fmt: skip


@asynccontextmanager
async def viewer_page() -> AsyncIterator[Drawing]:
    """Serve the viewer with a board of twelve charts."""
    (jar,) = uplot.LOCK.fetched(default_cache_dir())
    with tempfile.TemporaryDirectory(prefix="tokentide-bench-") as folder:
        (Path(folder) / "twelve.json").write_text(json.dumps(_board().json()))
        viewer = Viewer(BoardFiles(Path(folder)), _Fixed())
        viewer.use_charts(jar)
        async with _serving(viewer.application()) as base:
            viewer.port = int(base.rpartition(":")[2])

            address = f"{base}/d/{_UID}?from={_BEGIN_MS}&to={_END_MS}&refresh="

            async def open_page(page: Page) -> None:
                await page.send("Page.addScriptToEvaluateOnNewDocument", source=_HOLD_ANSWERS)
                await page.open(address, f"window.heldAnswers === {CHARTS} && window.uPlot")

            yield Drawing(
                open_page, address, _CHARTS_ON_THE_PAGE,
                _GET_READY, _DRAW_VIEWER, _CHARTS_THAT_ARE_NOT_BLANK, CHARTS,
            )  # fmt: skip


@asynccontextmanager
async def plotly_page() -> AsyncIterator[Drawing]:
    """Serve plotly's script, from its wheel, with the same numbers in its own form."""
    times = [_BEGIN_MS + at * _STEP_MS for at in range(POINTS)]
    charts = json.dumps([_plotly_chart(chart, times) for chart in range(CHARTS)])
    files = {
        "": (_PLOTLY_PAGE.encode(), "text/html"),
        "plotly.js": (_plotly_script(), "text/javascript"),
        "charts.json": (charts.encode(), "application/json"),
        "opened": ((_PLOTLY_PAGE + _DRAWS_ITSELF).encode(), "text/html"),
        "draw.js": (_in_turn(_PREPARE_PLOTLY, _DRAW_PLOTLY), "text/javascript"),
    }
    async with _serving(_files(files)) as base:

        async def open_page(page: Page) -> None:
            await page.open(f"{base}/", "window.Plotly !== undefined")
            await page.run(_PREPARE_PLOTLY)

        yield Drawing(
            open_page, f"{base}/opened", _PLOTLYS_LINES,
            "0", _DRAW_PLOTLY, _PLOTLYS_LINES, CHARTS * LINES,
        )  # fmt: skip


@asynccontextmanager
async def bare_page() -> AsyncIterator[Drawing]:
    """Serve a page of nothing but places for canvases."""
    files = {
        "": (_BARE_PAGE.encode(), "text/html"),
        "opened": ((_BARE_PAGE + _DRAWS_ITSELF).encode(), "text/html"),
        "draw.js": (_in_turn(_PREPARE_BARE, _DRAW_BARE), "text/javascript"),
    }
    async with _serving(_files(files)) as base:

        async def open_page(page: Page) -> None:
            await page.open(f"{base}/", "document.querySelector('main') !== null")
            await page.run(_PREPARE_BARE)

        yield Drawing(
            open_page, f"{base}/opened", _BARE_ON_THE_PAGE,
            "0", _DRAW_BARE, _BARE_THAT_ARE_NOT_BLANK, CHARTS,
        )  # fmt: skip


def _in_turn(prepare: str, draw: str) -> bytes:
    return f"(async () => {{ await {prepare.strip()}; await {draw.strip()}; }})();".encode()


def _files(files: dict[str, tuple[bytes, str]]) -> web.Application:
    """Serve these bodies, each with its kind, by name."""

    async def send(request: web.Request) -> web.Response:
        body, kind = files[request.match_info["name"]]
        return web.Response(body=body, content_type=kind, headers={"Cache-Control": "no-store"})

    app = web.Application()
    app.router.add_get("/{name:.*}", send)
    return app


def _plotly_script() -> bytes:
    """Return the script in plotly's wheel, which is installed for this alone."""
    with tempfile.TemporaryDirectory(prefix="tokentide-bench-") as folder:
        install = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-compile"]
        subprocess.run([*install, "--target", folder, f"plotly=={PLOTLY}"], check=True)
        return (Path(folder) / "plotly/package_data/plotly.min.js").read_bytes()


def _plotly_chart(chart: int, times: list[int]) -> dict[str, object]:
    data = [
        {
            "type": "scatter", "mode": "lines", "name": f"model-{line}", "x": times,
            "y": _line(chart, line), "line": {"width": 1},
        }
        for line in range(LINES)
    ]  # fmt: skip
    layout = {
        "title": {"text": f"Chart {chart + 1}"},
        "margin": {"l": 50, "r": 10, "t": 30, "b": 30},
        "xaxis": {"type": "date", "range": [_BEGIN_MS, _END_MS]},
        "yaxis": {"tickprefix": "$"},
        "legend": {"orientation": "h"},
        "hovermode": "x unified",
    }
    return {"data": data, "layout": layout}


@asynccontextmanager
async def _serving(app: web.Application) -> AsyncIterator[str]:
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()
