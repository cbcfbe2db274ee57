"""The worker's web server answers clients of this machine and no pages of other origins."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import cast

import aiohttp
import pytest

from tokentide_jobs.jobs.runtime import web
from tokentide_jobs.jobs.runtime.health import Health
from tokentide_jobs.jobs.runtime.web import start_web

pytestmark = pytest.mark.integration

HEALTH = cast(Health, SimpleNamespace(live=lambda: (True, {}), ready=lambda: (False, {"why": "x"})))


@pytest.mark.parametrize(("path", "status"), [("healthz", 200), ("readyz", 503), ("metrics", 200)])
async def test_its_pages_are_for_clients_and_not_for_foreign_pages(path: str, status: int) -> None:
    runner, port = await start_web("127.0.0.1", 0, HEALTH, lambda: b"metric 1\n")
    url = f"http://127.0.0.1:{port}/{path}"
    try:
        async with aiohttp.ClientSession() as session:
            for headers, expected in (
                ({}, status),
                ({"Host": f"localhost:{port}"}, status),
                ({"Host": f"evil.example:{port}"}, 403),
                ({"Origin": "http://evil.example"}, 403),
                ({"Sec-Fetch-Site": "cross-site"}, 403),
            ):
                async with session.get(url, headers=headers) as answer:
                    assert answer.status == expected, headers
                    assert "Access-Control-Allow-Origin" not in answer.headers
    finally:
        await runner.cleanup()


async def test_a_server_for_other_machines_answers_under_any_name() -> None:
    runner, port = await start_web("0.0.0.0", 0, HEALTH, lambda: b"metric 1\n")
    url = f"http://127.0.0.1:{port}/metrics"
    try:
        async with aiohttp.ClientSession() as session:
            for headers, expected in (
                ({"Host": "worker-1:9464"}, 200),
                ({"Host": "worker-1:9464", "Origin": "http://evil.example"}, 403),
            ):
                async with session.get(url, headers=headers) as answer:
                    assert answer.status == expected, headers
    finally:
        await runner.cleanup()


async def test_whole_urls_and_doubled_headers_of_other_origins_are_refused() -> None:
    runner, port = await start_web("127.0.0.1", 0, HEALTH, lambda: b"metric 1\n")
    own = f"127.0.0.1:{port}"
    try:
        for target, lines, is_answered in (
            (f"http://{own}/metrics", (), True),
            ("http://evil.example/metrics", (), False),
            ("/metrics", (f"Origin: http://{own}",), True),
            ("/metrics", (f"Origin: http://{own}", "Origin: http://evil.example"), False),
            ("/metrics", ("Sec-Fetch-Site: none", "Sec-Fetch-Site: cross-site"), False),
        ):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            request = (f"GET {target} HTTP/1.1", f"Host: {own}", "Connection: close", *lines)
            writer.write("\r\n".join((*request, "", "")).encode())
            answer = await asyncio.wait_for(reader.read(), 30)
            writer.close()
            assert (b"metric 1" in answer) is is_answered, answer
            assert (b" 403 " in answer) is not is_answered, answer
    finally:
        await runner.cleanup()


async def test_half_a_request_keeps_no_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(web, "IDLE_S", 0.2)
    runner, port = await start_web("127.0.0.1", 0, HEALTH, lambda: b"metric 1\n")
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET /metrics HTTP/1.1\r\nHost: 127.0")
        assert await asyncio.wait_for(reader.read(), 20) == b""
        writer.close()
        await writer.wait_closed()
    finally:
        await runner.cleanup()
