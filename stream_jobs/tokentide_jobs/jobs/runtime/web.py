"""The worker's own little web server: `/healthz`, `/readyz` and `/metrics`.

Faust's is off: it answers "OK" whatever happens. Pages of other origins are refused; on loopback
the request must name this server too.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST

from tokentide_jobs.errors import ConfigError
from tokentide_jobs.jobs.runtime.health import Health
from tokentide_jobs.settings.origins import origin_of
from tokentide_jobs.web_guard import IDLE_S, is_loopback, refusal

__all__ = ["start_web"]


async def start_web(
    host: str, port: int, health: Health, exposition: Callable[[], bytes]
) -> tuple[web.AppRunner, int]:
    """Serve and return the runner (to clean up) and the port.

    Args:
        host: Address to listen on.
        port: 0 picks a free one.
        health: Answers `/healthz` and `/readyz`, with status 503 when it says no.
        exposition: Returns the Prometheus text.

    Raises:
        ConfigError: The address cannot be listened on.
    """

    async def healthz(_request: web.Request) -> web.Response:
        return _answer(*health.live())

    async def readyz(_request: web.Request) -> web.Response:
        return _answer(*health.ready())

    async def metrics(_request: web.Request) -> web.Response:
        return web.Response(body=exposition(), headers={"Content-Type": CONTENT_TYPE_LATEST})

    @web.middleware
    async def guard(
        request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        any_host = not is_loopback(host)
        port = runner.addresses[0][1]
        refused = refusal(request.headers, request.raw_path, port, any_host=any_host)
        return await handler(request) if refused is None else web.Response(status=403, text=refused)

    app = web.Application(middlewares=[guard])
    app.router.add_get("/healthz", healthz)
    app.router.add_get("/readyz", readyz)
    app.router.add_get("/metrics", metrics)
    runner = web.AppRunner(app, access_log=None, keepalive_timeout=IDLE_S)
    await runner.setup()
    site = web.TCPSite(runner, host, port)
    try:
        await site.start()
    except OSError as exc:
        await runner.cleanup()
        raise ConfigError(
            f"{origin_of('http_host')}, {origin_of('http_port')}: cannot listen on {host}:{port} "
            f"({exc.strerror}); choose another port, or 0 for any free one"
        ) from exc
    address: tuple[str, int] = runner.addresses[0]
    return runner, address[1]


def _answer(is_fine: bool, report: dict[str, Any]) -> web.Response:
    return web.json_response(report, status=200 if is_fine else 503)
