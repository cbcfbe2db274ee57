"""Question: how long after `tokentide up` is ready does a browser show the Overview?

The stack is started twice in one directory: empty, and again with the recorded workload in it. A
browser that runs already opens the address as soon as `up` prints it; the time ends with the
second frame after every panel has its answer. uPlot is in the cache, as after the first start.
"""

from __future__ import annotations

import asyncio
import json
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

__all__ = ["first_picture"]

TARGET_S: Final = 3.0
_ANY_PORTS: Final = ("--kafka-port", "0", "--clickhouse-port", "0", "--viewer-port", "0")
_PAINTED: Final = """
(async () => {
  const frame = () => new Promise(next => requestAnimationFrame(next));
  await frame();
  await frame();
  return [...document.querySelectorAll(".failed")].map(one => one.textContent);
})()
"""


def first_picture() -> dict[str, object]:
    """Return seconds from `ready` to a painted Overview, of an empty store and of a full one."""
    with tempfile.TemporaryDirectory(prefix="tokentide-bench-") as folder:
        data_dir = Path(folder) / "stack"
        empty_s = asyncio.run(_from_ready(data_dir, Path(folder) / "first"))
        with _up(data_dir) as stack:
            subprocess.run([*_tokentide("replay"), "--data-dir", str(data_dir)], check=True)
            calls = _settled(stack)
        full_s = asyncio.run(_from_ready(data_dir, Path(folder) / "second"))
    say(f"first picture {empty_s:.2f} s, with {calls:,} calls {full_s:.2f} s")
    return {
        "s_from_ready_to_the_first_picture": {
            "of_an_empty_store": round(empty_s, 2), "of_a_recorded_workload": round(full_s, 2)
        },
        "recorded_calls": calls,
        "target_first_picture_s": TARGET_S,
    }  # fmt: skip


async def _from_ready(data_dir: Path, profile: Path) -> float:
    async with chromium(profile) as page:
        await page.size(1600, 1000)
        with _up(data_dir) as stack:
            return await _seen(page, stack["viewer_url"])


async def _seen(page: Page, url: str) -> float:
    """Return seconds until the board is painted."""
    began_s = time.monotonic()
    await page.open(url + "/", "document.body.dataset.round >= 1")
    failed = await page.run(_PAINTED)
    took_s = time.monotonic() - began_s
    if failed or page.problems:
        raise RuntimeError(f"the Overview complains: {failed}, {page.problems}")
    return took_s


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
    print(json.dumps(first_picture(), indent=2))
