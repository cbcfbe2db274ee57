"""How long a browser works until a drawing is on the screen, without what it waits for.

Chromium's own trace names every task of every thread of its processes. The work of a drawing is the
time in which at least one thread of the page's process or of the one that puts pixels together runs
a task, from the mark at which it began to the mark after the last frame: script, layout, paint and
raster, in parallel or not. Between frames nothing runs, and that is left out. The CPU of all these
threads is the same on a machine on which other programs run, too.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final

from tests.chromium import Page

__all__ = ["BEGIN", "END", "Work", "traced"]

BEGIN: Final = "drawing-begins"
END: Final = "drawing-is-painted"
"""Names of the performance marks that the page sets."""
_CATEGORIES: Final = ("toplevel", "blink.user_timing", "__metadata")
_TASKS: Final = ("RunTask", "ThreadControllerImpl::RunTask", "ThreadPool_RunTask")
_PROCESSES: Final = ("Renderer", "GPU Process")


@dataclass
class Work:
    """What a trace shows, once it has ended.

    Attributes:
        worked_ms: Some thread ran.
        cpu_ms: CPU of all threads together.
    """

    worked_ms: float = 0
    cpu_ms: float = 0
    events: list[dict[str, Any]] = field(default_factory=list)


@asynccontextmanager
async def traced(page: Page, begin: str = BEGIN, end: str = END) -> AsyncIterator[Work]:
    """Trace a browser while the body runs; the page must set marks of both names."""
    work = Work()
    ended = asyncio.get_running_loop().create_future()
    page.when("Tracing.dataCollected", lambda event: work.events.extend(event["value"]))
    page.when("Tracing.tracingComplete", lambda _event: ended.set_result(None))
    config = {"recordMode": "recordAsMuchAsPossible", "includedCategories": list(_CATEGORIES)}
    await page.send("Tracing.start", transferMode="ReportEvents", traceConfig=config)
    yield work
    await page.send("Tracing.end")
    await asyncio.wait_for(ended, 60)
    _measure(work, begin, end)


def _measure(work: Work, first: str, last: str) -> None:
    marks = {one["name"]: float(one["ts"]) for one in work.events if one["name"] in (first, last)}
    if marks.keys() != {first, last}:
        raise RuntimeError(f"of the marks of a drawing the trace has only {sorted(marks)}")
    processes = {
        one["pid"]
        for one in work.events
        if one["name"] == "process_name" and one["args"]["name"] in _PROCESSES
    }
    spans = []
    for one in work.events:
        if one.get("ph") != "X" or one["name"] not in _TASKS or one["pid"] not in processes:
            continue
        begin = max(float(one["ts"]), marks[first])
        end = min(float(one["ts"] + one["dur"]), marks[last])
        if begin < end:
            spans.append((begin, end))
            # Of a task that goes on before or after the drawing, its share.
            work.cpu_ms += one.get("tdur", 0) * (end - begin) / one["dur"] / 1_000
    if not work.cpu_ms:
        raise RuntimeError("the trace has no task of the page: what Chromium calls them changed")
    work.worked_ms = _covered(spans) / 1_000


def _covered(spans: Iterable[tuple[float, float]]) -> float:
    """Return how long at least one of the spans lasts."""
    covered, until = 0.0, float("-inf")
    for begin, end in sorted(spans):
        covered += max(0.0, end - max(begin, until))
        until = max(until, end)
    return covered
