"""The clients' own packages, over a transport in memory, instrumented."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

import tokentide
from tests.producers.real_clients.dialects import ANTHROPIC, OPENAI, Dialect
from tests.producers.real_clients.scenes import Scene, Seen
from tests.producers.real_clients.server import FakeProvider, Reply
from tests.sampling import share
from tokentide.testing import Capture, captured
from tokentide_schemas import EVENT_ADAPTER

SOON = {"retry-after-ms": "1"}
"""The provider's own advice, which keeps the clients from waiting half a second."""


@pytest.fixture(scope="module")
def provider() -> Iterator[FakeProvider]:
    with FakeProvider() as provider:
        yield provider


@pytest.fixture
def capture() -> Iterator[Capture]:
    with captured(service="s", linger_ms=1) as capture:
        yield capture


@pytest.fixture(params=[OPENAI, ANTHROPIC], ids=lambda dialect: dialect.name)
def dialect(request: pytest.FixtureRequest) -> Dialect:
    found: Dialect = request.param
    return found


@pytest.fixture(params=["sync", "async"])
def mode(request: pytest.FixtureRequest) -> str:
    return str(request.param)


class Stage:
    """Plays a scene without and with instrumentation, and returns what was seen and the event."""

    def __init__(self, provider: FakeProvider, capture: Capture, mode: str) -> None:
        self.provider, self.capture, self.mode = provider, capture, mode

    def play(self, scene: Scene) -> tuple[Seen, dict[str, Any]]:
        plain = scene.play(self.provider, self.mode)
        tokentide.instrument(telemetry=self.capture.telemetry)
        try:
            seen = scene.play(self.provider, self.mode)
        finally:
            tokentide.uninstrument()
        assert seen == plain, "the service sees no difference"
        [event] = self.capture.requests
        EVENT_ADAPTER.validate_python(event)
        asked = dict(scene.dialect.request)
        assert (event["provider"], event["operation"]) == (scene.dialect.name, "chat")
        assert event["request_model"] == asked["model"]
        assert event["server_address"] == "127.0.0.1"
        return seen, event


@pytest.fixture
def stage(provider: FakeProvider, capture: Capture, mode: str) -> Stage:
    return Stage(provider, capture, mode)


def having(event: dict[str, Any], **expected: object) -> None:
    assert {name: event.get(name) for name in expected} == expected


def test_a_chat_says_what_the_server_sent(stage: Stage, dialect: Dialect) -> None:
    seen, event = stage.play(Scene(dialect, (Reply(body=dialect.chat),)))
    assert seen.asked[0][0] == dialect.path
    having(event, **dialect.usage, response_model=dialect.model, response_id=dialect.chat["id"])
    having(event, status="ok", tool_calls_count=0, retry_count=0, error_type=None, stream=None)
    assert event["finish_reasons"][0] == "stop"
    assert "fine" not in repr(event), "no content"


def test_tool_calls_are_counted(stage: Stage, dialect: Dialect) -> None:
    _, event = stage.play(Scene(dialect, (Reply(body=dialect.tools),)))
    having(event, **dialect.usage, status="ok", tool_calls_count=2)
    assert event["finish_reasons"][0] == "tool_call"


@pytest.mark.parametrize("leaves", ["break", "close", "with"])
def test_a_stream_read_to_its_end_says_what_the_server_sent(
    stage: Stage, dialect: Dialect, leaves: str
) -> None:
    reply = Reply(events=dialect.stream)
    seen, event = stage.play(Scene(dialect, (reply,), streams=True, leaves=leaves))
    having(event, **dialect.usage, response_model=dialect.model, response_id=dialect.chat["id"])
    having(event, status="ok", stream=True, chunks=len(seen.chunks), retry_count=0)
    assert event["finish_reasons"][0] == "stop"
    assert 0 < event["ttft_ms"] <= event["duration_ms"]
    assert 0 <= event["max_chunk_gap_ms"] <= event["duration_ms"]


@pytest.mark.parametrize("leaves", ["break", "close", "with"])
def test_a_stream_left_early_is_an_abandoned_call_without_usage(
    stage: Stage, dialect: Dialect, leaves: str
) -> None:
    takes = dialect.opening + 3
    held = Reply(events=dialect.stream, holds_after=takes)
    scene = Scene(dialect, (held,), streams=True, takes=takes, leaves=leaves)
    seen, event = stage.play(scene)
    assert len(seen.chunks) == takes
    having(event, status="abandoned", usage_source="missing", chunks=takes, stream=True)
    having(event, response_model=dialect.model, finish_reasons=["error"])
    assert event["ttft_ms"] <= event["duration_ms"]


def test_a_cancelled_task_is_a_cancelled_call(
    provider: FakeProvider, capture: Capture, dialect: Dialect
) -> None:
    takes = dialect.opening + 2
    held = Reply(events=dialect.stream, holds_after=takes)
    scene = Scene(dialect, (held,), streams=True, takes=takes, leaves="cancel")
    seen, event = Stage(provider, capture, "async").play(scene)
    assert seen.error.endswith("CancelledError")
    having(event, status="cancelled", usage_source="missing", chunks=takes)


def test_a_request_that_is_cancelled_before_its_answer_is_a_cancelled_call(
    provider: FakeProvider, capture: Capture, dialect: Dialect
) -> None:
    provider.script([Reply(is_silent=True)])

    async def ask() -> None:
        async with dialect.make_async(provider.url) as client:
            asking = asyncio.create_task(dialect.resource(client).create(**dialect.request))
            async with asyncio.timeout(5):
                while not provider.requests:  # noqa: ASYNC110 - it is set by another thread
                    await asyncio.sleep(0.001)
            asking.cancel()
            with pytest.raises(asyncio.CancelledError):
                await asking

    tokentide.instrument(telemetry=capture.telemetry)
    try:
        asyncio.run(ask())
    finally:
        tokentide.uninstrument()
    [event] = capture.requests
    having(event, status="cancelled", error_type="cancelled", usage_source="missing")


def test_a_broken_connection_is_an_error_after_what_was_seen(
    stage: Stage, dialect: Dialect
) -> None:
    cut = Reply(events=dialect.stream, cuts_after=dialect.opening + 2)
    seen, event = stage.play(Scene(dialect, (cut,), streams=True))
    assert seen.error
    having(event, status="error", error_type="connection", usage_source="missing")
    having(event, chunks=len(seen.chunks), finish_reasons=["error"])


@pytest.mark.parametrize("streams", [False, True], ids=["whole", "streamed"])
def test_a_retry_that_succeeds_is_one_call_with_its_count(
    stage: Stage, dialect: Dialect, streams: bool
) -> None:
    limited = Reply(429, dialect.limited, SOON)
    answer = Reply(events=dialect.stream) if streams else Reply(body=dialect.chat)
    scene = Scene(dialect, (limited, limited, answer), streams, options=(("max_retries", 2),))
    seen, event = stage.play(scene)
    assert len(seen.asked) == 3
    having(event, **dialect.usage, status="ok", retry_count=2, error_type=None)


@pytest.mark.parametrize("retries", [0, 2])
def test_a_rate_limit_that_stays_is_one_error_with_its_count(
    stage: Stage, dialect: Dialect, retries: int
) -> None:
    limited = Reply(429, dialect.limited, SOON)
    scene = Scene(dialect, (limited,) * (retries + 1), options=(("max_retries", retries),))
    seen, event = stage.play(scene)
    assert (seen.status, len(seen.asked)) == (429, retries + 1)
    having(event, status="error", error_type="rate_limit", error_code=dialect.limited_code)
    having(event, http_status=429, retry_count=retries, retry_after_ms=1.0)
    having(event, usage_source="missing", input_tokens=None, output_tokens=None)


def test_money_that_ran_out_is_no_rate_limit(provider: FakeProvider, capture: Capture) -> None:
    error = {"message": "pay", "type": "insufficient_quota", "code": "insufficient_quota"}
    scene = Scene(OPENAI, (Reply(429, {"error": error}),))
    _, event = Stage(provider, capture, "sync").play(scene)
    having(event, error_type="quota", error_code="insufficient_quota", http_status=429)


def test_an_overloaded_provider_is_named_so(stage: Stage, dialect: Dialect) -> None:
    status, body, code = dialect.overloaded
    busy = Reply(status, body, SOON)
    scene = Scene(dialect, (busy, busy), options=(("max_retries", 1),))
    seen, event = stage.play(scene)
    assert seen.status == status
    having(event, status="error", error_type="overloaded", error_code=code, http_status=status)
    having(event, retry_count=1, usage_source="missing")


def test_an_overload_in_mid_stream_is_an_error_after_what_was_seen(
    provider: FakeProvider, capture: Capture
) -> None:
    body = ANTHROPIC.overloaded[1]
    events = [*ANTHROPIC.stream[:4], ("error", body)]
    scene = Scene(ANTHROPIC, (Reply(events=events),), streams=True)
    seen, event = Stage(provider, capture, "sync").play(scene)
    assert seen.error
    having(event, status="error", error_type="overloaded", error_code="overloaded_error", chunks=4)


def test_silence_is_a_timeout(stage: Stage, dialect: Dialect) -> None:
    scene = Scene(dialect, (Reply(is_silent=True),), options=(("timeout", 0.1),))
    seen, event = stage.play(scene)
    assert seen.error.endswith("APITimeoutError")
    having(event, status="error", error_type="timeout", http_status=None, usage_source="missing")
    assert 100 <= event["duration_ms"] < 5_000


@pytest.mark.parametrize(
    ("dialect", "mode"),
    share([(OPENAI, "sync"), (ANTHROPIC, "sync"), (ANTHROPIC, "async"), (OPENAI, "async")], of=2),
    indirect=True,
)
def test_silence_in_mid_stream_is_a_timeout_after_what_was_seen(
    stage: Stage, dialect: Dialect
) -> None:
    takes = dialect.opening + 2
    held = Reply(events=dialect.stream, holds_after=takes)
    scene = Scene(dialect, (held,), streams=True, options=(("timeout", 0.5),))
    seen, event = stage.play(scene)
    assert len(seen.chunks) == takes
    having(event, status="error", error_type="timeout", chunks=takes, usage_source="missing")


def test_a_refused_connection_is_an_error(stage: Stage, dialect: Dialect) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        url = f"http://127.0.0.1:{closed.getsockname()[1]}"
    seen, event = stage.play(replace(Scene(dialect, ()), url=url))
    assert seen.error.endswith("APIConnectionError")
    having(event, status="error", error_type="connection", http_status=None, retry_count=0)
