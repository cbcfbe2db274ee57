"""Question: how long after `tokentide up` is ready does a browser show the Overview?

The stack is started in one directory: empty, and again with the recorded workload in it. A browser
that runs already opens the address as soon as `up` prints it; the time ends with the second frame
after every panel has its answer. uPlot is in the cache, as after the first start. Beside the whole
stands when its parts were there, by the browser's own clock.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import clickhouse_connect

from bench.progress import say
from tests.chromium import Page, chromium

TARGET_S: Final = 3.0
ROUNDS: Final = 3
_ANY_PORTS: Final = ("--kafka-port", "0", "--clickhouse-port", "0", "--viewer-port", "0")
_PAINTED: Final = """
(async () => {
  const frame = () => new Promise(next => requestAnimationFrame(next));
  while (!(document.body?.dataset.round >= 1)) await frame();
  await frame();
  await frame();
  const painted = performance.now();
  const loaded = (part) => performance.getEntriesByType("resource")
    .filter((one) => new URL(one.name).pathname.startsWith(part));
  const ended = (part) => loaded(part).map((one) => one.responseEnd);
  const answers = ended("/api/query");
  const took = loaded("/api/query").map((one) => one.responseEnd - one.requestStart);
  return {
    failed: [...document.querySelectorAll(".failed")].map(one => one.textContent),
    scripts_ms: Math.max(...ended("/static/")),
    board_ms: performance.getEntriesByType("navigation")[0].responseEnd,
    first_answer_ms: Math.min(...answers),
    last_answer_ms: Math.max(...answers),
    longest_answer_took_ms: Math.max(...took),
    painted_ms: painted,
  };
})()
"""


def measure() -> dict[str, object]:
    """Return seconds from `ready` to a painted Overview, of an empty store and of a full one."""
    with tempfile.TemporaryDirectory(prefix="tokentide-bench-") as folder:
        data_dir = Path(folder) / "stack"
        empty = [asyncio.run(_from_ready(data_dir, Path(folder) / "first"))]
        say(f"of an empty store: {empty[0]}")
        with _up(data_dir) as stack:
            send = [*_tokentide("replay"), "--flat-out", "--quiet", "--data-dir", str(data_dir)]
            subprocess.run(send, check=True, stdout=subprocess.DEVNULL)
            calls = _settled(stack)
        say(f"{calls:,} calls are stored")
        full = []
        for number in range(ROUNDS):
            full.append(asyncio.run(_from_ready(data_dir, Path(folder) / f"browser-{number}")))
            say(f"of a recorded workload, {number + 1} of {ROUNDS}: {full[-1]}")
    return {
        "of_an_empty_store": _middle(empty),
        "of_a_recorded_workload": _middle(full),
        "recorded_calls": calls,
        "target_s_from_ready_to_the_first_picture": TARGET_S,
    }


def _middle(rounds: list[dict[str, float]]) -> dict[str, float]:
    return {name: statistics.median(one[name] for one in rounds) for name in rounds[0]}


async def _from_ready(data_dir: Path, profile: Path) -> dict[str, float]:
    async with chromium(profile) as page:
        await page.size(1600, 1000)
        with _up(data_dir) as stack:
            return await _seen(page, stack["viewer_url"])


async def _seen(page: Page, url: str) -> dict[str, float]:
    """Return when the board was painted, and when its parts were there."""
    began_s = time.monotonic()
    await page.send("Page.navigate", url=url + "/")
    parts = await page.run(_PAINTED)
    took_s = time.monotonic() - began_s
    if (failed := parts.pop("failed")) or page.problems:
        raise RuntimeError(f"the Overview complains: {failed}, {page.problems}")
    return {
        "s_from_ready_to_the_picture": round(took_s, 2),
        **{name: round(ms, 1) for name, ms in parts.items()},
    }


def _settled(stack: dict[str, Any]) -> int:
    """Return how many calls are stored, once no more come."""
    url = stack["clickhouse_url"].replace("://", f"://{stack['user']}:{stack['password']}@")
    client = clickhouse_connect.get_client(dsn=url, database="tokentide")
    before, calls = -1, 0
    while before != calls or not calls:
        time.sleep(5)
        before, calls = calls, int(str(client.command("SELECT count() FROM raw_requests")))
    client.close()
    return calls


def _tokentide(command: str) -> list[str]:
    return [sys.executable, "-m", "tokentide_jobs", command]


@contextmanager
def _up(data_dir: Path) -> Iterator[dict[str, Any]]:
    command = [*_tokentide("up"), "--json", "--data-dir", str(data_dir), *_ANY_PORTS]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        try:
            assert process.stdout is not None
            yield json.loads(process.stdout.readline())
        finally:
            process.terminate()


if __name__ == "__main__":
    print(json.dumps(measure(), indent=2))
