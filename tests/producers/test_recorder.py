"""One call recorded by hand: times, usage, errors, streams; it never harms the host."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from tokentide import Recorder, current_request
from tokentide.log import RateLimitedLog
from tokentide.testing import Capture


@pytest.fixture
def capture(emitted: Capture) -> Capture:
    return emitted


def call(capture: Capture, **fields: Any) -> Recorder:
    return capture.telemetry.request(provider="openai", request_model="gpt-5", **fields)


def only(capture: Capture) -> dict[str, Any]:
    (event,) = capture.requests
    return event


def test_a_call_becomes_one_valid_event(capture: Capture) -> None:
    with call(capture, tenant="acme", tags={"k": "v"}) as recorder:
        recorder.record_usage(input_tokens=10, output_tokens=2, cache_read_tokens=4)
        recorder.finish("end_turn")
        recorder.set(response_model="gpt-5-2026", response_id="r1")
    event = only(capture)
    assert event["event_id"] == recorder.event_id
    assert (event["status"], event["usage_source"], event["operation"]) == (
        "ok",
        "provider",
        "chat",
    )
    assert (event["input_tokens"], event["output_tokens"], event["cache_read_tokens"]) == (10, 2, 4)
    assert event["finish_reasons"] == ["stop", "end_turn"]
    assert event["response_model"] == "gpt-5-2026"
    assert event["tags"] == {"k": "v"}


async def test_async_with_records_the_same(capture: Capture) -> None:
    async with call(capture) as recorder:
        await asyncio.sleep(0)
        recorder.record_usage(input_tokens=1, output_tokens=1)
    assert only(capture)["status"] == "ok"


def test_usage_that_was_not_reported_is_missing_and_not_zero(capture: Capture) -> None:
    with call(capture):
        pass
    event = only(capture)
    assert event["usage_source"] == "missing"
    assert "input_tokens" not in event


def test_usage_given_as_fields_counts_as_reported(capture: Capture) -> None:
    with call(capture, input_tokens=0):
        pass
    assert only(capture)["usage_source"] == "provider"


def test_later_usage_replaces_what_it_reports_and_keeps_the_rest(capture: Capture) -> None:
    with call(capture) as recorder:
        recorder.record_usage(input_tokens=10, output_tokens=1)
        recorder.record_usage(output_tokens=7, usage_source="estimated")
    event = only(capture)
    assert (event["input_tokens"], event["output_tokens"]) == (10, 7)
    assert event["usage_source"] == "estimated"


def test_chunks_give_time_to_first_token_and_the_largest_gap(
    capture: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    ticks = iter([1_000_000, 3_000_000, 4_000_000, 9_000_000, 11_000_000])
    monkeypatch.setattr("tokentide.recorder.perf_counter_ns", lambda: next(ticks))
    with call(capture) as recorder:
        for _ in range(3):
            recorder.chunk()
    event = only(capture)
    assert (event["ttft_ms"], event["max_chunk_gap_ms"], event["duration_ms"]) == (2.0, 5.0, 10.0)
    assert (event["chunks"], event["stream"]) == (3, True)


def test_the_first_token_may_be_marked_by_hand(
    capture: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    ticks = iter([0, 2_000_000, 3_000_000, 5_000_000])
    monkeypatch.setattr("tokentide.recorder.perf_counter_ns", lambda: next(ticks))
    with call(capture) as recorder:
        recorder.first_token()
        recorder.first_token()
        recorder.chunk()
    assert only(capture)["ttft_ms"] == 2.0


def test_an_exception_passes_through_and_is_described(capture: Capture) -> None:
    class RateLimitError(Exception):
        status_code = 429
        code = "rate_limit_exceeded"

    error = RateLimitError("slow down")
    with pytest.raises(RateLimitError) as caught, call(capture):
        raise error
    assert caught.value is error
    event = only(capture)
    assert (event["status"], event["error_type"]) == ("error", "rate_limit")
    assert (event["error_code"], event["http_status"]) == ("rate_limit_exceeded", 429)


async def test_cancellation_is_a_status_of_its_own(capture: Capture) -> None:
    started = asyncio.Event()

    async def work() -> None:
        async with call(capture):
            started.set()
            await asyncio.sleep(60)

    task = asyncio.create_task(work())
    await started.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert (only(capture)["status"], only(capture)["error_type"]) == ("cancelled", "cancelled")


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
def test_interrupts_pass_through_and_are_recorded(
    capture: Capture, error: type[BaseException]
) -> None:
    with pytest.raises(error), call(capture):
        raise error
    assert only(capture)["status"] == "cancelled"


def test_a_failure_the_host_handles_can_be_recorded(capture: Capture) -> None:
    with call(capture) as recorder:
        recorder.record_error(TimeoutError())
    assert (only(capture)["status"], only(capture)["error_type"]) == ("error", "timeout")


@pytest.mark.parametrize(
    ("reason", "status"), [("refusal", "refused"), ("SAFETY", "filtered"), ("max_tokens", "ok")]
)
def test_the_finish_reason_decides_the_status(capture: Capture, reason: str, status: str) -> None:
    with call(capture) as recorder:
        recorder.finish(reason)
    assert only(capture)["status"] == status


def test_a_function_is_recorded_on_every_call(capture: Capture) -> None:
    @call(capture)
    def ask(question: str, *, times: int = 1) -> str:
        """Ask."""
        current_request().record_usage(input_tokens=times, output_tokens=2)
        return question * times

    assert (ask("a", times=3), ask("b")) == ("aaa", "b")
    assert (ask.__name__, ask.__doc__) == ("ask", "Ask.")
    assert [event["input_tokens"] for event in capture.requests] == [3, 1]
    assert len({event["event_id"] for event in capture.requests}) == 2


async def test_concurrent_calls_of_a_coroutine_do_not_mix(capture: Capture) -> None:
    @call(capture)
    async def ask(tokens: int) -> int:
        await asyncio.sleep(0)
        current_request().record_usage(input_tokens=tokens, output_tokens=tokens)
        await asyncio.sleep(0)
        return tokens

    assert await asyncio.gather(*(ask(n) for n in range(20))) == list(range(20))
    events = capture.requests
    assert sorted(event["input_tokens"] for event in events) == list(range(20))
    assert all(event["input_tokens"] == event["output_tokens"] for event in events)


def test_a_generator_is_recorded_until_it_ends(capture: Capture) -> None:
    received: list[object] = []

    @call(capture)
    def stream() -> Iterator[int]:
        try:
            received.append((yield 1))
            yield 2
        except KeyError:
            yield 3

    items = stream()
    assert next(items) == 1
    assert capture.requests == []
    assert items.send("sent") == 2  # type: ignore[attr-defined]
    assert items.throw(KeyError()) == 3  # type: ignore[attr-defined]
    assert list(items) == []
    assert received == ["sent"]
    assert (only(capture)["chunks"], only(capture)["status"]) == (3, "ok")


def test_a_generator_that_is_closed_early_is_abandoned(capture: Capture) -> None:
    @call(capture)
    def stream() -> Iterator[int]:
        yield 1
        yield 2

    items = stream()
    next(items)
    items.close()  # type: ignore[attr-defined]
    assert (only(capture)["status"], only(capture)["usage_source"]) == ("abandoned", "missing")


async def test_an_async_generator_is_recorded_until_it_ends(capture: Capture) -> None:
    @call(capture)
    async def stream(fails: bool) -> AsyncIterator[int]:
        yield 1
        yield 2
        if fails:
            raise ConnectionResetError

    assert [item async for item in stream(False)] == [1, 2]
    with pytest.raises(ConnectionResetError):
        [item async for item in stream(True)]
    first, second = capture.requests
    assert (first["chunks"], first["status"]) == (2, "ok")
    assert (second["status"], second["error_type"]) == ("error", "connection")


def test_calls_nest_and_the_outer_one_is_current_again(capture: Capture) -> None:
    with call(capture) as outer:
        with call(capture) as inner:
            assert current_request() is inner
        assert current_request() is outer
    assert len(capture.requests) == 2


def test_leaving_in_another_context_does_no_harm(capture: Capture) -> None:
    recorder = call(capture)
    contextvars.copy_context().run(recorder.__enter__)
    recorder.__exit__(None, None, None)
    assert only(capture)["status"] == "ok"


def test_outside_of_a_call_reporting_does_nothing(capture: Capture) -> None:
    recorder = current_request()
    recorder.record_usage(input_tokens=1)
    recorder.chunk()
    recorder.first_token()
    recorder.finish("stop")
    recorder.set(tenant="x")
    recorder.record_error(ValueError())
    late = call(capture)
    with late:
        pass
    late.record_usage(input_tokens=1)
    late.chunk()
    assert len(capture.requests) == 1


def test_a_recorder_entered_again_records_another_call(capture: Capture) -> None:
    recorder = call(capture)
    for _ in range(2):
        with recorder:
            recorder.chunk()
    assert [event["chunks"] for event in capture.requests] == [1, 1]
    assert len({event["event_id"] for event in capture.requests}) == 2


class Hostile(Exception):
    def __getattr__(self, name: str) -> Any:
        raise RuntimeError(name)

    def __str__(self) -> str:
        raise RuntimeError("no text")


def test_hostile_exceptions_and_values_never_reach_the_host(capture: Capture) -> None:
    with pytest.raises(Hostile), call(capture, tags=object(), tenant=Hostile()) as recorder:
        recorder.finish(object())  # type: ignore[arg-type]
        recorder.record_error(Hostile())
        raise Hostile
    assert (only(capture)["status"], only(capture)["error_type"]) == ("error", "unknown")


# -- whole responses ----------------------------------------------------------------------------

CHAT: dict[str, Any] = {
    "id": "c1",
    "object": "chat.completion",
    "model": "gpt-5-2025",
    "choices": [{"finish_reason": "length", "message": {"content": "hi"}}],
    "usage": {"prompt_tokens": 10, "completion_tokens": 2},
}


def test_a_response_is_recorded_by_its_shape(capture: Capture) -> None:
    with call(capture) as recorder:
        recorder.record_response(CHAT)
    event = only(capture)
    assert (event["input_tokens"], event["output_tokens"], event["response_model"]) == (
        10,
        2,
        "gpt-5-2025",
    )
    assert (event["finish_reasons"], event["usage_source"]) == (["length"], "provider")


def test_a_response_is_recorded_by_the_flavour_that_is_named(capture: Capture) -> None:
    with call(capture) as recorder:
        recorder.record_response(
            {"usage": {"input_tokens": 3, "output_tokens": 1}}, flavour="anthropic_messages"
        )
    assert (only(capture)["input_tokens"], only(capture)["output_tokens"]) == (3, 1)


def test_what_is_recorded_after_the_response_wins(capture: Capture) -> None:
    with call(capture) as recorder:
        recorder.record_response(CHAT)
        recorder.finish("stop")
        recorder.set(response_model="mine")
    assert (only(capture)["finish_reasons"], only(capture)["response_model"]) == (["stop"], "mine")


def test_an_unknown_flavour_is_logged_and_nothing_is_recorded(
    capture: Capture, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "tokentide.recorder._log", RateLimitedLog()
    )  # one that has written nothing yet
    with call(capture) as recorder:
        recorder.record_response(CHAT, flavour="openai-chat")
    assert only(capture)["usage_source"] == "missing"
    assert "flavour='openai-chat' is not known" in caplog.text


def test_a_response_that_fights_back_costs_only_what_it_says(capture: Capture) -> None:
    class Hostile:
        def __getattribute__(self, name: str) -> Any:
            raise RuntimeError(name)

    recorder = call(capture)
    recorder.record_response(CHAT)  # outside of the block there is nothing to record
    with recorder:
        recorder.record_response(Hostile())
    assert (only(capture)["status"], only(capture)["usage_source"]) == ("ok", "missing")
