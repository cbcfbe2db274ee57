"""Runs the viewer until it is stopped; the chart library may come while it already serves."""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import Callable
from pathlib import Path

from aiohttp import web

from tokentide_dashboards.viewer.board_files import BoardFiles
from tokentide_dashboards.viewer.server import HOST, Viewer
from tokentide_dashboards.viewer.source import Source
from tokentide_jobs.errors import ConfigError, PipelineError
from tokentide_jobs.web_guard import IDLE_S

__all__ = ["serve"]

_CLOSE_S = 1.0


async def serve(
    boards: BoardFiles,
    source: Callable[[], Source],
    port: int,
    fetch_charts: Callable[[], Path],
    started: Callable[[str], None],
) -> None:
    """Serve until SIGTERM or SIGINT.

    Args:
        boards: What is shown.
        source: Makes what queries run on, in the loop that serves.
        port: 0 takes a free one.
        fetch_charts: Returns the jar of uPlot; may take long, or fail with a PipelineError.
        started: Called with the address once the viewer answers.

    Raises:
        ConfigError: The port cannot be listened on.
    """
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with source() as clickhouse:
        viewer = Viewer(boards, clickhouse)
        # A page that asks again gives up what it asked before: its query must not hold a turn.
        runner = web.AppRunner(
            viewer.application(),
            access_log=None,
            shutdown_timeout=_CLOSE_S,
            handler_cancellation=True,
            keepalive_timeout=IDLE_S,
        )
        await runner.setup()
        try:
            try:
                await web.TCPSite(runner, HOST, port).start()
            except OSError as exc:
                raise ConfigError(
                    f"--port {port}: cannot listen on {HOST}:{port} ({exc.strerror}); choose "
                    "another port, or 0 for any free one"
                ) from exc
            viewer.port = runner.addresses[0][1]
            started(f"http://{HOST}:{viewer.port}")
            # A daemon thread, never joined: a slow download must not delay the end.
            threading.Thread(target=_charts, args=(fetch_charts, viewer), daemon=True).start()
            await stop.wait()
        finally:
            await runner.cleanup()


def _charts(fetch: Callable[[], Path], viewer: Viewer) -> None:
    try:
        viewer.use_charts(fetch())
    except PipelineError as exc:
        viewer.go_without_charts(str(exc))
