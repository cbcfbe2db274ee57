"""`python -m tests.dashboards.viewer.take_pictures URL`: take the pictures of the README again.

URL is the local viewer over the week of the demo: `tokentide demo`, then `tokentide up --no-detect
--data-dir .tokentide/incidents`, as its last lines say. The faults are in the last of its hours.
"""

from __future__ import annotations

import asyncio
import base64
import sys
import tempfile
from pathlib import Path
from typing import Final

from tests.chromium import chromium
from tests.dashboards.viewer.test_viewer_in_browser import BLANK, FAILED, LOADED
from tests.places import ROOT

WIDTH: Final = 1_440
HEIGHTS: Final = {"overview": 1_130, "cost": 1_330, "agents": 1_240}
"""Of each board, in pixels: whole rows of panels."""
QUALITY: Final = 72


async def take(base: str) -> None:
    """Write one picture for each board."""
    with tempfile.TemporaryDirectory(prefix="tokentide-pictures-") as profile:
        async with chromium(Path(profile)) as page:
            for board, height in HEIGHTS.items():
                await page.size(WIDTH, height)
                await page.open(f"{base.rstrip('/')}/d/tokentide-{board}?refresh=", LOADED)
                await page.holds(f"{BLANK}.length === 0")
                assert await page.run(FAILED) == []
                await asyncio.sleep(1)  # lines of charts are drawn once their place has its size
                answer = await page.send("Page.captureScreenshot", format="jpeg", quality=QUALITY)
                path = ROOT / f"docs/pictures/{board}.jpg"
                path.write_bytes(base64.b64decode(answer["data"]))
                print(path.relative_to(ROOT))
            assert page.problems == []


if __name__ == "__main__":
    asyncio.run(take(sys.argv[1]))
