"""Notifications over real HTTP on this machine: signed, bounded, and what each answer means."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import web

from tests.each import each
from tests.stream_jobs.core.alert.histories import NOW_US, finding
from tokentide_jobs.core.alert.alert_rules import AlertRules
from tokentide_jobs.core.alert.book import AlertBook
from tokentide_jobs.core.alert.outbox import Message
from tokentide_jobs.errors import ConfigError
from tokentide_jobs.io.notify.body import request_of, sign
from tokentide_jobs.io.notify.receiver import Receiver, checked_url, secret_bytes
from tokentide_jobs.io.notify.sending import Sender

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
"""Of the examples of the specification."""

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@asynccontextmanager
async def served(handler: Handler) -> AsyncIterator[str]:
    """Serve one handler on a free port of this machine; yield its address."""
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handler)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    assert site._server is not None
    port = site._server.sockets[0].getsockname()[1]  # type: ignore[attr-defined]  # of asyncio
    try:
        yield f"http://127.0.0.1:{port}/hook?token=hush"
    finally:
        await runner.cleanup()


def receiver(url: str, **changed: Any) -> Receiver:
    fields: dict[str, Any] = {
        "name": "oncall", "kind": "webhook", "url": url, "secret": secret_bytes(SECRET)
    }  # fmt: skip
    return Receiver(**{**fields, **changed})


def message(**changed: Any) -> Message:
    (opened,) = AlertBook(AlertRules()).observe([finding(**changed)], NOW_US, NOW_US)
    content = {
        **opened.to_dict(),
        "first_action": "look <@here> & act",
        "runbook": "docs/alerts.md",
    }
    return Message(opened.id, opened.alert_id, 0, json.dumps(content))


def test_the_signature_is_that_of_the_specification() -> None:
    signed = sign(
        secret_bytes(SECRET), "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}'
    )
    assert signed == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


async def test_a_webhook_carries_the_transition_under_its_id_and_is_signed() -> None:
    received: list[tuple[dict[str, str], bytes]] = []

    async def take(request: web.Request) -> web.Response:
        received.append(({k.lower(): v for k, v in request.headers.items()}, await request.read()))
        return web.Response(status=204)

    sent = message()
    async with served(take) as url, Sender() as sender:
        result = await sender.send(receiver(url), sent)
    assert (result.outcome, result.status) == ("delivered", 204)
    ((headers, body),) = received
    assert headers["webhook-id"] == sent.id
    expected = sign(secret_bytes(SECRET), sent.id, int(headers["webhook-timestamp"]), body)
    assert headers["webhook-signature"] == expected
    content = json.loads(body)
    assert content["type"] == "alert.open"
    assert content["data"]["sentence"].startswith("error_ratio of provider openai is 40 %")


@pytest.mark.parametrize(
    ("status", "outcome"),
    [(200, "delivered"), (500, "retry"), (503, "retry"), (429, "retry"), (408, "retry"),
     (400, "refused"), (404, "refused"), (410, "refused")],
)  # fmt: skip
async def test_an_answer_is_final_or_asks_for_another_try(status: int, outcome: str) -> None:
    async def answer(_request: web.Request) -> web.Response:
        return web.Response(status=status, text="x" * 100_000)

    async with served(answer) as url, Sender() as sender:
        result = await sender.send(receiver(url), message())
    assert (result.outcome, result.status) == (outcome, status)
    assert len(result.detail) <= 200


async def test_a_redirect_is_refused_and_not_followed() -> None:
    paths: list[str] = []

    async def redirect(request: web.Request) -> web.Response:
        paths.append(request.path)
        return web.Response(status=307, headers={"location": "/elsewhere"})

    async with served(redirect) as url, Sender() as sender:
        result = await sender.send(receiver(url), message())
    assert result.outcome == "refused"
    assert "redirects" in result.detail
    assert paths == ["/hook"]


async def test_a_receiver_that_does_not_answer_is_left_after_the_deadline() -> None:
    released = asyncio.Event()

    async def hang(_request: web.Request) -> web.Response:
        await released.wait()
        return web.Response()

    async with served(hang) as url, Sender(timeout_s=0.2) as sender:
        result = await sender.send(receiver(url), message())
        released.set()
    assert (result.outcome, result.status, result.detail) == ("retry", 0, "no answer in time")


async def test_a_receiver_that_takes_it_and_never_ends_its_answer_is_not_notified_again() -> None:
    async def take(request: web.Request) -> web.StreamResponse:
        answer = web.StreamResponse(headers={"content-length": "10"})
        await answer.prepare(request)
        await asyncio.sleep(30)
        return answer

    async with served(take) as url, Sender(timeout_s=5) as sender:
        result = await sender.send(receiver(url), message())
    assert (result.outcome, result.status) == ("delivered", 200)


async def test_a_dead_receiver_is_tried_again_and_its_address_is_not_repeated() -> None:
    async def never(_request: web.Request) -> web.Response:
        raise AssertionError

    async with served(never) as url:
        pass  # the port is closed again
    async with Sender() as sender:
        result = await sender.send(receiver(url), message())
    assert (result.outcome, result.status) == ("retry", 0)
    assert "hush" not in result.detail
    assert "hush" not in repr(receiver(url))


@pytest.mark.parametrize("url", ["http://a..b/x", f"http://{'a' * 64}.example/x", "http://["])
async def test_an_address_that_cannot_be_connected_to_is_a_result_and_no_error(url: str) -> None:
    async with Sender() as sender:
        result = await sender.send(receiver(url), message())
    assert (result.outcome, result.status) == ("retry", 0)
    assert url not in result.detail


def test_slack_gets_text_without_links_or_mentions() -> None:
    body, headers = request_of(
        receiver("http://h/", kind="slack"), message(sentence="cost of <!channel> & more"), 0
    )
    text = json.loads(body)["text"]
    assert text.splitlines()[0] == "🟠 *ticket, open*: cost of &lt;!channel&gt; &amp; more"
    assert "first: look &lt;@\u200bhere&gt; &amp; act" in text
    assert "webhook-signature" not in headers


def test_a_name_forges_no_line_no_mention_no_link_and_no_mark_in_slack() -> None:
    forged = (
        "run x\n✅ *page, closed*: `all` is _well_ ~not~ @channel @here\r\u2028\x1b[31m "
        "http://evil.example/login \u202egnp.exe, error_ratio of a"
    )
    body, _headers = request_of(receiver("http://h/", kind="slack"), message(sentence=forged), 0)
    plain = request_of(receiver("http://h/", kind="slack"), message(sentence="x"), 0)[0]
    text, harmless = json.loads(body)["text"], json.loads(plain)["text"]
    assert len(text.splitlines()) == len(harmless.splitlines())
    first = text.splitlines()[0].removeprefix("🟠 *ticket, open*: ")
    assert not set(first) & set("*~`\n\r\x1b\u2028\u202e")
    for word in ("@channel", "@here", "://", "_well_"):
        assert word not in first
    assert first.endswith("error_ratio of a")


@each(
    "url",
    [
        "ftp://h/x",
        "h/x",
        "http:///x",
        "http://u:p@h/",
        "http://h:0/",
        "http://h:99999/",
        "http://h/ x",
        "http://a..b/x",
        f"http://{'a' * 64}.example/x",
        "http://h/\x7f",
    ],
)
def test_an_address_that_cannot_be_sent_to_is_refused_without_repeating_it(url: str) -> None:
    with pytest.raises(ConfigError) as refused:
        checked_url(url)
    assert url not in str(refused.value)


@pytest.mark.parametrize("secret", ["", "whsec_", "whsec_c2hvcnQ=", "whsec_???", "a" * 200])
def test_a_secret_that_is_none_is_refused_without_repeating_it(secret: str) -> None:
    with pytest.raises(ConfigError, match="openssl rand") as refused:
        secret_bytes(secret)
    assert not secret.strip("whsec_") or secret not in str(refused.value)
