"""Instrumenting and taking it back: which clients, in any order, any number of times."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import importlib
import subprocess
import sys
import threading
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import openai
import pytest
from openai._base_client import SyncAPIClient

import tokentide
from tests.fakes.openai_http import CHAT, answering, chat_sse, sse
from tokentide.instrument import api
from tokentide.instrument.call import current_call
from tokentide.testing import Capture, captured

httpx2 = importlib.import_module("httpx2")
ASK: dict[str, Any] = {"model": "m", "messages": [{"role": "user", "content": "q"}]}


@pytest.fixture
def capture(emitted: Capture) -> Iterator[Capture]:
    yield emitted
    tokentide.uninstrument()


def client(body: Any = CHAT) -> openai.OpenAI:
    def answer(request: Any) -> Any:
        if b'"stream":true' in request.content.replace(b" ", b""):
            return sse(chat_sse())
        return httpx2.Response(200, json=body)

    return openai.OpenAI(api_key="k", http_client=answering(answer))


def ask(api: openai.OpenAI) -> Any:
    return api.chat.completions.create(**ASK)


# -- switching on and off -----------------------------------------------------------------------


@pytest.mark.integration
def test_importing_tokentide_loads_no_instrumentation_and_no_client() -> None:
    script = (
        "import sys, tokentide\n"
        "print([m for m in sys.modules if m.startswith(('tokentide.instrument', 'openai'))])\n"
        "import tokentide.instrument\n"
        "print(callable(tokentide.instrument), callable(tokentide.uninstrument))\n"
        "telemetry = tokentide.instrument()\n"
        "print(type(telemetry).__name__, telemetry.settings.service, 'openai' in sys.modules)\n"
        "import threading; print(threading.active_count())\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        env={"TOKENTIDE_SERVICE": "from-env", "PYTHONPATH": str(Path("producers").resolve())},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert done.stdout.splitlines() == ["[]", "True True", "Telemetry from-env False", "1"]


def test_instrumenting_twice_changes_nothing(capture: Capture) -> None:
    first = tokentide.instrument(telemetry=capture.telemetry)
    again = tokentide.instrument()
    with captured(service="other") as other:
        third = tokentide.instrument(telemetry=other.telemetry)
    assert first is again is third is capture.telemetry
    ask(client())
    assert len(capture.requests) == 1


def test_uninstrument_puts_everything_back(capture: Capture) -> None:
    before = dict(vars(SyncAPIClient)), dict(vars(openai.Stream))
    finders = list(sys.meta_path)  # single clients recorded by other tests may wait for imports
    tokentide.instrument(telemetry=capture.telemetry)
    assert dict(vars(SyncAPIClient)) != before[0]
    tokentide.uninstrument()
    tokentide.uninstrument()
    assert (dict(vars(SyncAPIClient)), dict(vars(openai.Stream))) == before
    assert sys.meta_path == finders
    ask(client())
    assert capture.requests == []


def test_a_wrapper_that_was_wrapped_again_stays_and_does_nothing(
    capture: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    tokentide.instrument(telemetry=capture.telemetry)
    ours = SyncAPIClient.request

    def theirs(self: Any, *args: Any, **kwargs: Any) -> Any:
        return ours(self, *args, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(SyncAPIClient, "request", theirs)
        tokentide.uninstrument()
        assert SyncAPIClient.request is theirs
        ask(client())
    SyncAPIClient.request = ours.__wrapped__  # type: ignore[attr-defined, method-assign]
    assert capture.requests == []


def test_a_disabled_producer_patches_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    before = SyncAPIClient.request
    with captured(service="s", disabled=True) as capture:
        tokentide.instrument(telemetry=capture.telemetry)
        assert SyncAPIClient.request is before
        tokentide.uninstrument()


def test_a_bad_setting_raises_when_instrument_is_called(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api._state, "default", None)
    monkeypatch.setenv("TOKENTIDE_QUEUE_EVENTS", "many")
    with pytest.raises(tokentide.SettingsError, match="TOKENTIDE_QUEUE_EVENTS"):
        tokentide.instrument()
    assert api._state.telemetry is None


# -- one client -----------------------------------------------------------------------------------


def test_one_client_can_be_recorded_with_its_copies_and_no_other(capture: Capture) -> None:
    one = client()
    assert tokentide.instrument_client(one, telemetry=capture.telemetry) is one
    ask(one)
    ask(one.with_options(timeout=3))
    ask(client())
    stream = one.chat.completions.create(**ASK, stream=True)
    next(stream)
    stream.close()
    assert [event["status"] for event in capture.requests] == ["ok", "ok", "abandoned"]


def test_one_client_beside_instrument_is_one_event(capture: Capture) -> None:
    tokentide.instrument(telemetry=capture.telemetry)
    ask(tokentide.instrument_client(client()))
    assert len(capture.requests) == 1


def test_an_object_that_is_no_known_client_is_refused_by_name() -> None:
    with pytest.raises(TypeError, match=r"builtins\.dict.*anthropic.*openai"):
        tokentide.instrument_client({})


# -- one call, one event -------------------------------------------------------------------------


def test_calls_that_another_layer_records_are_left_alone(capture: Capture) -> None:
    tokentide.instrument(telemetry=capture.telemetry)
    api_client = client()
    outer = current_call.set(object())
    try:
        ask(api_client)
        ask(api_client)
    finally:
        current_call.reset(outer)
    assert capture.requests == []
    ask(api_client)
    assert len(capture.requests) == 1


def test_a_call_inside_a_recorders_block_fills_the_blocks_event(capture: Capture) -> None:
    tokentide.instrument(telemetry=capture.telemetry)
    with capture.telemetry.request(feature="answer") as recorder:
        ask(client())
    (event,) = capture.requests
    assert event["event_id"] == recorder.event_id
    assert (event["feature"], event["provider"], event["request_model"]) == (
        "answer",
        "openai",
        "m",
    )
    assert (event["input_tokens"], event["status"]) == (10, "ok")


def test_what_the_block_says_itself_wins_and_counts_are_never_mixed(capture: Capture) -> None:
    tokentide.instrument(telemetry=capture.telemetry)
    with capture.telemetry.request(provider="mine", request_model="alias") as recorder:
        ask(client())
        recorder.record_usage(input_tokens=3, output_tokens=1)
    (event,) = capture.requests
    assert (event["provider"], event["request_model"]) == ("mine", "alias")
    assert (event["input_tokens"], event["output_tokens"]) == (3, 1)
    assert "cache_read_tokens" not in event


def test_only_the_first_call_of_a_block_is_the_blocks(capture: Capture) -> None:
    tokentide.instrument(telemetry=capture.telemetry)
    with capture.telemetry.request():
        ask(client())
        ask(client({**CHAT, "id": "second"}))
    assert [event["response_id"] for event in capture.requests] == ["second", "chatcmpl-1"]


def test_a_failure_the_block_survives_does_not_fail_it(capture: Capture) -> None:
    tokentide.instrument(telemetry=capture.telemetry)
    broken = openai.OpenAI(
        api_key="k", max_retries=0, http_client=answering(lambda _r: httpx2.Response(500))
    )
    with capture.telemetry.request():
        with pytest.raises(openai.InternalServerError):
            ask(broken)
        ask(client())
    (event,) = capture.requests
    assert (event["status"], event["input_tokens"]) == ("ok", 10)
    with pytest.raises(openai.InternalServerError), capture.telemetry.request():
        ask(broken)
    assert capture.requests[1]["error_type"] == "server_error"


def test_a_stream_that_outlives_the_block_has_an_event_of_its_own(capture: Capture) -> None:
    tokentide.instrument(telemetry=capture.telemetry)
    with capture.telemetry.request():
        stream = client().chat.completions.create(**ASK, stream=True)
    assert len(list(stream)) == 4
    block, streamed = capture.requests
    assert (block["usage_source"], streamed["input_tokens"]) == ("missing", 10)


def test_the_context_of_the_call_holds_to_the_end_of_its_stream(capture: Capture) -> None:
    tokentide.instrument(telemetry=capture.telemetry)
    with tokentide.context(tenant="acme", tags={"a": "b"}):
        stream = client().chat.completions.create(**ASK, stream=True)
    contextvars.Context().run(list, stream)
    (event,) = capture.requests
    assert (event["tenant"], event["tags"]) == ("acme", {"a": "b"})


def test_streams_are_ended_once_by_two_threads_at_once(capture: Capture) -> None:
    tokentide.instrument(telemetry=capture.telemetry)
    api_client = client()
    for _round in range(20):
        stream = api_client.chat.completions.create(**ASK, stream=True)
        next(stream)
        threads = [threading.Thread(target=stream.close) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    del stream
    gc.collect()
    assert len(capture.requests) == 20


# -- hostile and odd ----------------------------------------------------------------------------


def test_a_response_of_any_shape_still_gives_an_event(capture: Capture) -> None:
    tokentide.instrument(telemetry=capture.telemetry)
    bodies: tuple[Any, ...] = (
        {},
        {"choices": None, "usage": "?"},
        {"usage": {"prompt_tokens": -1}},
        [],
        "x",
    )
    for body in bodies:
        ask(client(body))
    assert [event["usage_source"] for event in capture.requests] == ["missing"] * 5


def test_a_reader_that_fails_costs_the_fields_and_not_the_event_or_the_call(
    capture: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tokentide.usage import flavour as flavours

    def fail(*_arguments: object) -> Any:
        raise RuntimeError("ours")

    class Failing:
        add = fields = fail

    broken = flavours.Flavour("openai_chat", "chat", fail, fail, Failing)
    monkeypatch.setitem(flavours._loaded, "openai_chat", broken)
    tokentide.instrument(telemetry=capture.telemetry)
    assert ask(client()).id == "chatcmpl-1"
    assert len(list(client().chat.completions.create(**ASK, stream=True))) == 4
    assert [event["status"] for event in capture.requests] == ["ok", "ok"]


def test_a_client_that_looks_different_is_not_recorded_and_works(capture: Capture) -> None:
    tokentide.instrument(telemetry=capture.telemetry)
    odd = client()
    odd._base_url = types.SimpleNamespace(raw_path=b"/")  # type: ignore[assignment]
    with pytest.raises(AttributeError):
        ask(odd)
    assert len(capture.requests) <= 1


def test_a_dropped_client_is_not_kept_alive(capture: Capture) -> None:
    import weakref

    tokentide.instrument(telemetry=capture.telemetry)
    one = client()
    ask(one)
    assert len(capture.requests) == 1  # the background thread has done with it
    gone = weakref.ref(one)
    del one
    gc.collect()
    assert gone() is None


def test_a_redact_hook_sees_the_whole_event_of_an_instrumented_call() -> None:
    seen: list[Any] = []

    def redact(event: dict[str, object]) -> dict[str, object]:
        seen.append(event.get("input_tokens"))
        return event

    with captured(service="s", linger_ms=1, redact=redact) as capture:
        tokentide.instrument(telemetry=capture.telemetry)
        try:
            ask(client())
        finally:
            tokentide.uninstrument()
        assert len(capture.requests) == 1
    assert seen == [10]


async def test_tasks_record_their_calls_at_the_same_time(capture: Capture) -> None:
    tokentide.instrument(telemetry=capture.telemetry)

    async def answer(_request: Any) -> Any:
        await asyncio.sleep(0)
        return httpx2.Response(200, json=CHAT)

    api_client = openai.AsyncOpenAI(
        api_key="k",
        http_client=httpx2.AsyncClient(transport=httpx2.MockTransport(answer)),
    )

    async def work(tenant: str) -> None:
        with tokentide.context(tenant=tenant):
            await api_client.chat.completions.create(**ASK)

    await asyncio.gather(*(work(f"t{i}") for i in range(10)))
    assert {event["tenant"] for event in capture.requests} == {f"t{i}" for i in range(10)}
