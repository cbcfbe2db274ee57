"""Question: how long does the viewer take to draw a board of twelve charts, beside plotly?

Both draw the same answers: twelve charts of five lines of 360 points, in places of the same size,
in the same headless Chromium, in turns.

- `opened`: a browser that was just started opens the address. Everything counts, scripts, answers
  and drawing: the time that a user waits for a board. The viewer asks its server for twelve
  answers, plotly for one file of them all.
- `cold`: the drawing alone, the first of such a browser: scripts and answers are there before.
  The viewer draws a hidden chart while it waits for answers, which `opened` counts.
- `warm`: the same drawing again in that page.

- `worked_ms`: until all pixels are there, without waiting: the time in which any thread that makes
  them runs, from Chromium's trace. This is held against the target.
- `painted_ms`: the same with what is waited for, to the second frame after the last of the twelve.
  Two frames, up to 33 ms, are in both figures, which makes the share of the faster one look larger.
- `cpu_ms`: CPU of all those threads, and `busy_ms` of the page's main thread alone, where the
  page was open before: other programs on the machine lengthen neither much.

`bare_canvases` are drawn in the same turns: twelve canvases of the viewer's size with a frame in
each. That is what the browser takes whatever draws, and no change of the viewer can save.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from bench.drawing_work import traced
from bench.progress import say
from bench.viewer_pages import Drawing, bare_page, plotly_page, viewer_page
from tests.chromium import Page, chromium

ROUNDS: Final = 9
WARM: Final = 5
TARGET_SHARE: Final = 0.2
"""Of plotly's time, the viewer is to take at most this when a board is opened."""
_WIDTH, _HEIGHT = 1600, 1500
_AFTER_OPENING_S: Final = 0.3
"""What the opening of a page leaves to be done is no part of its first drawing."""
_KINDS: Final = ("opened", "cold", "warm")
_MEASURES: Final = ("worked_ms", "painted_ms", "cpu_ms", "busy_ms")
_OPENED, _SHOWN = "page-is-opened", "page-is-shown"
_WATCH: Final = """
window.isShown = (async () => {
  const frame = () => new Promise(next => requestAnimationFrame(next));
  // Asking at every frame would make the browser draw frames that nothing else needs.
  while ((SEEN) < EXPECTED) await new Promise(next => setTimeout(next, 5));
  await frame();
  await frame();
  performance.mark("OPENED", { startTime: 0 });
  return performance.mark("SHOWN").startTime;
})()
""".replace("OPENED", _OPENED).replace("SHOWN", _SHOWN)
"""Put before the scripts of a page that draws by itself."""


def measure() -> dict[str, object]:
    """Return milliseconds of both, cold and warm, and their ratio."""
    return asyncio.run(_drawing())


async def _drawing() -> dict[str, object]:
    took: dict[str, list[dict[str, float]]] = {"viewer": [], "plotly": [], "bare_canvases": []}
    async with viewer_page() as viewer, plotly_page() as plotly, bare_page() as bare:
        for number in range(ROUNDS):
            for who, drawing in (("viewer", viewer), ("plotly", plotly), ("bare_canvases", bare)):
                took[who].append(await _round(drawing))
                say(f"round {number + 1} of {ROUNDS}, {who}: {took[who][-1]}")
    names = list(took["viewer"][0])
    middle = {
        who: {name: round(statistics.median(one[name] for one in rounds), 1) for name in names}
        for who, rounds in took.items()
    }
    return {
        "twelve_charts": middle,
        "share_of_plotly": {
            name: round(middle["viewer"][name] / middle["plotly"][name], 3) for name in names
        },
        "bare_share_of_plotly": {
            name: round(middle["bare_canvases"][name] / middle["plotly"][name], 3) for name in names
        },
        "target_share_worked": TARGET_SHARE,
        "rounds": took,
    }


async def _round(drawing: Drawing) -> dict[str, float]:
    """Open once in a new browser; draw once in another, and then again and again."""
    async with _new_browser(drawing) as page:
        opened = await _opened(page, drawing)
    async with _new_browser(drawing) as page:
        await page.send("Performance.enable", timeDomain="threadTicks")
        await drawing.open(page)
        await asyncio.sleep(_AFTER_OPENING_S)
        cold = await _drawn(page, drawing)
        warm = [await _drawn(page, drawing) for _again in range(WARM)]
    middle = tuple(statistics.median(values) for values in zip(*warm, strict=True))
    return {
        f"{kind}_{what}": round(value, 1)
        for kind, values in zip(_KINDS, (opened, cold, middle), strict=True)
        for what, value in zip(_MEASURES, values, strict=False)
    }


@asynccontextmanager
async def _new_browser(drawing: Drawing) -> AsyncIterator[Page]:
    """Start a browser of no history, and see at the end that all was drawn in it."""
    with tempfile.TemporaryDirectory(prefix="tokentide-bench-") as profile:
        async with chromium(Path(profile)) as page:
            await page.size(_WIDTH, _HEIGHT)
            yield page
            seen = await page.run(drawing.count)
            if seen != drawing.expected or page.problems:
                raise RuntimeError(f"{seen} of {drawing.expected} are drawn; {page.problems}")


async def _opened(page: Page, drawing: Drawing) -> tuple[float, ...]:
    """Return the measures of opening an address, in milliseconds."""
    watch = _WATCH.replace("SEEN", drawing.seen).replace("EXPECTED", str(drawing.expected))
    await page.send("Page.addScriptToEvaluateOnNewDocument", source=watch)
    async with traced(page, _OPENED, _SHOWN) as work:
        await page.send("Page.navigate", url=drawing.address)
        painted_ms = await page.run("isShown")
    return work.worked_ms, float(painted_ms), work.cpu_ms


async def _drawn(page: Page, drawing: Drawing) -> tuple[float, ...]:
    """Return the measures of one drawing, in milliseconds."""
    await page.run(drawing.ready)
    async with traced(page) as work:
        before_s = await _busy_s(page)
        painted_ms = await page.run(drawing.draw)
        busy_ms = (await _busy_s(page) - before_s) * 1_000
    return work.worked_ms, float(painted_ms), work.cpu_ms, busy_ms


async def _busy_s(page: Page) -> float:
    answer = await page.send("Performance.getMetrics")
    found = {one["name"]: float(one["value"]) for one in answer["metrics"]}
    return found["TaskDuration"]


if __name__ == "__main__":
    print(json.dumps(measure(), indent=2))
