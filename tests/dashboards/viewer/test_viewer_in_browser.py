"""Every board in a browser, with data and without: drawn, no error, no text taken for markup."""

from __future__ import annotations

import json
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import web
from clickhouse_connect.driver.client import Client

from tests.chromium import NO_CHROMIUM, Page, chromium, find_chromium
from tests.dashboards.viewer.boards_of_a_test import kinds
from tokentide_dashboards.viewer.board_files import BOARDS_DIR, BoardFiles
from tokentide_dashboards.viewer.server import Viewer
from tokentide_dashboards.viewer.source import Source
from tokentide_jobs.embedded.artifacts import uplot
from tokentide_jobs.embedded.artifacts.cache import default_cache_dir

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(find_chromium() is None, reason=NO_CHROMIUM),
]

LOADED = "document.body.dataset.round >= 1 || !document.getElementById('notice').hidden"
FAILED = "[...document.querySelectorAll('.failed')].map(one => one.textContent)"
BLANK = (
    "[...document.querySelectorAll('.panel')].filter(one => !one.querySelector("
    "'canvas, table, .number, .bar-row, .lane, .words, .none')).map(one => one.ariaLabel)"
)
CHOOSE_C = (
    "(choice => { choice.value = 'c'; choice.dispatchEvent(new Event('change')); })"
    "(document.querySelector('.variable.one select'))"
)
TYPED = (
    "(text => {{ text.value = {}; text.dispatchEvent(new Event('change')); }})"
    "(document.querySelector('.variable.one input'))"
)
LINES = "[...document.querySelectorAll('.keys .key span')].map(one => one.textContent)"
PAINTS = "[...document.querySelectorAll('.keys .key .dot')].map(one => one.style.background)"
BROKEN = (
    "import('/static/fields.js').then(({breakGaps}) => { const times = [0, 60, 540];"
    " const fields = [{values: [1, 2, 3]}]; breakGaps(times, fields, 60);"
    " return [times, fields[0].values]; })"
)
JOINED = (
    "import('/static/fields.js').then(({series}) => {"
    " const {times, fields} = series({}, [[[60, 60, 180], ['a', 'b', 'a'], [1, 2, 3]],"
    " [[0, 180], ['b', 'b'], [4, 5]]].map(answer => ({columns: ['time', 'text', 'number']"
    ".map((kind, at) => ({name: kind, kind, values: answer[at]}))})));"
    " return [times, ...fields.map(field => [field.name, field.values])]; })"
)
PAINTED = (
    "[...document.querySelectorAll('.uplot canvas')].every(one => one.getContext('2d')"
    ".getImageData(0, 0, one.width, one.height).data.some(byte => byte))"
)
TRACES = "[...document.links].filter(one => one.textContent === 'open').map(one => one.href)"
WINDOWS = (
    "INSERT INTO windows_10s (window_start, environment, tenant, team, service, provider, model,"
    " requests, errors, cost_pico_usd) SELECT toStartOfInterval(now(), INTERVAL 10 SECOND) -"
    " number * 60, 'prod', 'acme', 'support', 'chat', 'openai', 'gpt-5', 10, 1, 250000000000"
    " FROM numbers(120)"
)


CHART = (
    "(box => [box.left, box.top + box.height / 2, box.width])"
    "(document.querySelector('.u-over').getBoundingClientRect())"
)
TIP = (
    "[...document.querySelectorAll('.tip:not([hidden]) .tip-row span')].map(one => one.textContent)"
)
RANGE = (
    "['from', 'to'].map(one => Number(new URLSearchParams(location.search).get(one)))"
    ".reduce((from, to) => to - from)"
)
ROUND = "Number(document.body.dataset.round)"
HASTE = "(real => { setTimeout = (then, ms) => real(then, ms / 20); })(setTimeout)"
"""The page's clock runs twenty times as fast."""
REFRESH = "document.querySelector('[aria-label=Refresh]')"


@asynccontextmanager
async def serving(sql_server: str, database: str, boards: Path) -> AsyncIterator[str]:
    (jar,) = uplot.LOCK.fetched(default_cache_dir())
    async with Source(sql_server, database) as source:
        viewer = Viewer(BoardFiles(boards), source)
        viewer.use_charts(jar)
        runner = web.AppRunner(viewer.application())
        await runner.setup()
        try:
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            viewer.port = runner.addresses[0][1]
            yield f"http://127.0.0.1:{viewer.port}"
        finally:
            await runner.cleanup()


async def see(page: Page, base: str, uid: str) -> None:
    """Open a board; every panel shows something or says why not, and nothing complains."""
    await page.open(f"{base}/d/{uid}?refresh=", LOADED)
    assert await page.run(FAILED) == [], uid
    # Charts are drawn once the browser has reported their size.
    await page.holds(f"{BLANK}.length === 0")
    assert page.problems == [], uid


async def use_by_mouse_and_keys(page: Page) -> None:
    """Point at a chart, drag a range out of it, move it by keys, let the page refresh itself."""
    left, top, width = await page.run(CHART)

    async def mouse(kind: str, share: float, **more: object) -> None:
        await page.send(
            "Input.dispatchMouseEvent", type=kind, x=left + share * width, y=top, **more
        )

    async def key(text: str) -> None:
        for kind in ("keyDown", "keyUp"):
            await page.send("Input.dispatchKeyEvent", type=kind, key=text, text=text)

    await mouse("mouseMoved", 0.5)
    await page.holds(f"{TIP}.length > 0")
    assert set(await page.run(TIP)) <= set(await page.run(LINES))
    await mouse("mouseMoved", -0.5)
    await page.holds(f"{TIP}.length === 0")

    rounds, whole_ms = await page.run(ROUND), await page.run(RANGE)
    await mouse("mousePressed", 0.25, button="left", clickCount=1)
    await mouse("mouseMoved", 0.5, button="left", buttons=1)
    await mouse("mouseReleased", 0.5, button="left", clickCount=1)
    await page.holds(f"{ROUND} > {rounds} && !document.body.ariaBusy")
    zoomed_ms = await page.run(RANGE)
    assert 0.2 * whole_ms < zoomed_ms < 0.6 * whole_ms

    begin = "new URLSearchParams(location.search).get('from')"
    for text, moves in (("[", -1), ("]", 1)):
        before, rounds = await page.run(begin), await page.run(ROUND)
        await key(text)
        await page.holds(f"{ROUND} > {rounds} && !document.body.ariaBusy")
        assert abs(int(await page.run(begin)) - int(before) - moves * zoomed_ms / 2) <= 1
        assert abs(await page.run(RANGE) - zoomed_ms) <= 1
    rounds = await page.run(ROUND)
    await key("r")
    await page.holds(f"{ROUND} === {rounds + 1}")

    # An address may ask for any interval; what is chosen then holds from there on.
    await page.run(
        "history.replaceState({}, '', location.search.replace('refresh=', 'refresh=5s'))"
    )
    await page.run(HASTE)
    rounds = await page.run(ROUND)
    await page.run("dispatchEvent(new PopStateEvent('popstate'))")
    await page.holds(f"{ROUND} >= {rounds + 2}")  # one for the address, the next by itself
    await page.run(f"{REFRESH}.value = ''; {REFRESH}.dispatchEvent(new Event('change'))")
    await page.holds("!location.search.includes('refresh=5s') && !document.body.ariaBusy")

    await key("Tab")
    assert await page.run("document.activeElement.matches('a, button, select, input')")


async def test_every_board_is_drawn_with_data_and_without_and_complains_of_nothing(
    sql_server: str, sql_client: Client, tmp_path: Path
) -> None:
    boards = tmp_path / "boards"
    shutil.copytree(BOARDS_DIR, boards)
    (boards / "kinds.json").write_text(json.dumps(kinds()))
    (boards / "empty.json").write_text(json.dumps(kinds("test-empty", without_rows=True)))
    assert sql_client.database is not None
    async with (
        serving(sql_server, sql_client.database, boards) as base,
        chromium(tmp_path / "profile") as page,
    ):
        uids = [board["uid"] for board in BoardFiles(boards).listed()]
        for uid in uids:
            await see(page, base, uid)
        sql_client.command(WINDOWS)
        for uid in uids:
            await see(page, base, uid)

        await page.open(f"{base}/?refresh=", LOADED)
        assert await page.run("document.querySelector('.number').textContent") == "$30.00"

        await see(page, base, "test-empty")
        nothing = "[...document.querySelectorAll('.none')].map(one => one.textContent)"
        assert await page.run(nothing) == ["nothing here"] * 7

        await see(page, base, "test-kinds")
        assert await page.run("document.querySelectorAll('.none').length") == 0
        assert await page.run("document.querySelectorAll('.uplot canvas').length") == 1
        await page.holds(PAINTED)
        # Each number of each label is a line, and all are painted again in another theme.
        assert await page.run(LINES) == ["p0 cost", "p0 n", "p1 cost", "p1 n"]
        paints = await page.run(PAINTS)
        await page.run("document.dispatchEvent(new KeyboardEvent('keydown', {key: 't'}))")
        assert not set(paints) & set(await page.run(PAINTS))
        # Lines break where no series has a row.
        assert await page.run(BROKEN) == [[0, 60, 120, 540], [1, 2, None, 3]]
        # Answers of several queries stand at their common moments, in the order of time.
        lines = [["a", [None, 1, 3]], ["b", [None, 2, None]], ["b", [4, None, 5]]]
        assert await page.run(JOINED) == [[0, 60, 180], *lines]
        # Texts of the data are texts, and no link leads to script.
        assert await page.run("document.querySelectorAll('img').length") == 0
        assert await page.run("document.body.textContent.includes('<img src=x onerror')")
        hrefs = await page.run("[...document.links].map(one => one.protocol)")
        assert set(hrefs) == {"http:"}
        # A choice that depends on another one follows it.
        choices = "[...document.querySelectorAll('.variable.one select')].map(one => one.value)"
        assert await page.run(choices) == ["b", "b0"]
        await page.run(CHOOSE_C)
        await page.holds("document.body.dataset.round >= 2")
        assert await page.run(choices) == ["c", "c0"]
        # The page is used by keys alone, and what is chosen stands in its address.
        before = await page.run("location.search")
        await page.run("document.dispatchEvent(new KeyboardEvent('keydown', {key: 'z'}))")
        assert "from=" in before != await page.run("location.search")
        await page.holds("document.body.dataset.round >= 3")
        # A typed address of traces becomes links, and no other text does.
        for round_, (address, expected) in enumerate(
            (
                ("https://tempo.example/t/", ["https://tempo.example/t/a%2Fb"]),
                ("javascript:alert(1)//", []),
            ),
            start=4,
        ):
            await page.run(TYPED.format(json.dumps(address)))
            await page.holds(f"document.body.dataset.round >= {round_}")
            assert await page.run(TRACES) == expected
        await use_by_mouse_and_keys(page)
        await page.size(390, 800, dark=True)
        wide = "document.documentElement.scrollWidth <= innerWidth"
        assert await page.run(wide), "a narrow page scrolls sideways"
        assert page.problems == []
