"""A headless Chromium that tests drive over its debugging protocol: pages, their words, errors."""

from __future__ import annotations

import asyncio
import base64
import json
import re
import shutil
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
NO_CHROMIUM = "no Chromium on PATH (Debian: apt-get install chromium)"
OPTIONS = (
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-sync "
    "--disable-background-networking --disable-component-update --disable-dev-shm-usage "
    "--hide-scrollbars --remote-debugging-port=0"
)
DEADLINE_S = 120.0


def find_chromium() -> str | None:
    return next((path for name in BROWSERS if (path := shutil.which(name))), None)


class Page:
    """One page; `problems` collects what its console and its requests complain of."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.problems: list[str] = []
        self._socket = socket
        self._answers: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._handlers: dict[str, Callable[[dict[str, Any]], None]] = {}
        self._reader = asyncio.create_task(self._read())

    async def open(self, url: str, until: str) -> None:
        """Open an address and wait until a condition of its script holds."""
        await self.send("Page.navigate", url=url)
        here = f"location.href === {json.dumps(url)} && document.readyState === 'complete'"
        await self.holds(f"{here} && ({until})")

    async def holds(self, condition: str) -> None:
        """Wait until a condition of the page's script holds."""
        deadline = time.monotonic() + DEADLINE_S
        while not await self.run(condition):
            assert time.monotonic() < deadline, f"not {condition}; {self.problems}"
            await asyncio.sleep(0.05)

    async def run(self, expression: str) -> Any:
        """Return the value of an expression in the page."""
        answer = await self.send(
            "Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True
        )
        return answer["result"].get("value")

    async def size(self, width: int, height: int, *, dark: bool = False) -> None:
        await self.send(
            "Emulation.setDeviceMetricsOverride",
            width=width, height=height, deviceScaleFactor=1, mobile=False,
        )  # fmt: skip
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        await self.send("Emulation.setEmulatedMedia", features=[scheme])

    async def picture(self) -> bytes:
        answer = await self.send("Page.captureScreenshot", format="png")
        return base64.b64decode(answer["data"])

    def when(self, method: str, then: Callable[[dict[str, Any]], None]) -> None:
        """Hand the parameters of every event of this name on, in place of the former handler."""
        self._handlers[method] = then

    async def send(self, method: str, **parameters: Any) -> dict[str, Any]:
        number = len(self._answers) + 1
        self._answers[number] = asyncio.get_running_loop().create_future()
        await self._socket.send_json({"id": number, "method": method, "params": parameters})
        return await asyncio.wait_for(self._answers[number], DEADLINE_S)

    async def _read(self) -> None:
        async for message in self._socket:
            found = json.loads(message.data)
            if "id" in found:
                self._answers[found["id"]].set_result(found.get("result", {}))
            elif then := self._handlers.get(found["method"]):
                then(found["params"])
            elif found["method"] == "Runtime.exceptionThrown":
                details = found["params"]["exceptionDetails"]
                thrown = details.get("exception", {}).get("description")
                self.problems.append(thrown or details["text"])
            elif found["method"] == "Runtime.consoleAPICalled":
                if found["params"]["type"] in ("error", "warning", "assert"):
                    self.problems.append(str(found["params"]["args"]))
            elif found["method"] == "Log.entryAdded":
                entry = found["params"]["entry"]
                if entry["level"] in ("error", "warning"):
                    self.problems.append(f"{entry['text']} {entry.get('url', '')}")


@asynccontextmanager
async def chromium(profile: Path) -> AsyncIterator[Page]:
    """Start a browser with a profile of its own and give its page."""
    browser = find_chromium()
    assert browser is not None, NO_CHROMIUM
    process = await asyncio.create_subprocess_exec(
        browser, *OPTIONS.split(), f"--user-data-dir={profile}", "about:blank",
        stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        assert process.stderr is not None
        port = await asyncio.wait_for(_port(process.stderr), DEADLINE_S)
        async with aiohttp.ClientSession() as session:
            async with session.get(f"http://127.0.0.1:{port}/json/list") as reply:
                pages = [one for one in await reply.json() if one["type"] == "page"]
            address = pages[0]["webSocketDebuggerUrl"]
            async with session.ws_connect(address, max_msg_size=64 << 20) as socket:
                page = Page(socket)
                for domain in ("Page", "Runtime", "Log"):
                    await page.send(f"{domain}.enable")
                drain = asyncio.create_task(process.stderr.read())
                yield page
                drain.cancel()
    finally:
        process.kill()
        await process.wait()


async def _port(output: asyncio.StreamReader) -> str:
    """Return the port that Chromium says it listens on."""
    async for line in output:
        if found := re.search(rb"DevTools listening on ws://[^:/]+:(\d+)/", line):
            return found[1].decode()
    raise AssertionError("Chromium ended before it reported its port")
