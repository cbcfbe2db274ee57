"""Who a call is made for: nested contexts, threads, tasks."""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

import tokentide
from tokentide.testing import Capture, captured


@pytest.fixture
def capture() -> Iterator[Capture]:
    with captured(service="s", linger_ms=1, user_hash_key="k" * 32) as capture:
        yield capture


def record(capture: Capture, **fields: Any) -> None:
    with capture.telemetry.request(provider="openai", request_model="m", **fields):
        pass


def only(capture: Capture) -> dict[str, Any]:
    (event,) = capture.requests
    return event


def test_a_block_fills_every_field_it_names(capture: Capture) -> None:
    with tokentide.context(
        tenant="acme",
        team="search",
        feature="answer",
        session="c-1",
        prompt=("greet", "v12"),
        tags={"plan": "pro"},
        agent_name="planner",
    ):
        record(capture)
    event = only(capture)
    assert event["tenant"] == "acme"
    assert event["team"] == "search"
    assert event["feature"] == "answer"
    assert event["conversation_id"] == "c-1"
    assert (event["prompt_name"], event["prompt_version"]) == ("greet", "v12")
    assert event["tags"] == {"plan": "pro"}
    assert event["agent_name"] == "planner"


def test_what_an_event_says_itself_wins_over_the_block(capture: Capture) -> None:
    with tokentide.context(tenant="block", tags={"a": "block", "b": "block"}):
        record(capture, tenant="own", tags={"a": "own"})
    event = only(capture)
    assert event["tenant"] == "own"
    assert event["tags"] == {"a": "own", "b": "block"}


def test_inner_blocks_win_and_join_their_tags_and_leaving_restores(capture: Capture) -> None:
    with tokentide.context(tenant="outer", feature="f", prompt=("p", "v1"), tags={"a": "1"}):
        with tokentide.context(tenant="inner", prompt="q", tags={"b": "2"}):
            record(capture)
        record(capture)
    record(capture)
    inner, outer, outside = capture.requests
    assert (inner["tenant"], inner["feature"], inner["tags"]) == (
        "inner",
        "f",
        {"a": "1", "b": "2"},
    )
    assert inner["prompt_name"] == "q"
    assert "prompt_version" not in inner, "the version belongs to the outer prompt"
    assert (outer["tenant"], outer["prompt_version"], outer["tags"]) == ("outer", "v1", {"a": "1"})
    assert "tenant" not in outside


def test_a_field_by_its_own_name_is_kept_and_the_parameter_of_it_wins(capture: Capture) -> None:
    given: Any = {"conversation_id": "c-1", "prompt_name": "p", "prompt_version": "v1"}
    with tokentide.context(**given):
        record(capture)
    with tokentide.context(session="c-2", **given):
        record(capture)
    by_name, by_parameter = capture.requests
    assert (by_name["conversation_id"], by_name["prompt_version"]) == ("c-1", "v1")
    assert (by_parameter["conversation_id"], by_parameter["prompt_name"]) == ("c-2", "p")


def test_a_run_or_agent_inside_another_names_it_as_its_parent(capture: Capture) -> None:
    with tokentide.context(run_id="r-1", agent_name="planner", agent_version="7"):
        record(capture)
        with tokentide.context(run_id="r-2", agent_name="researcher", skill="web"):
            record(capture)
            with tokentide.context(feature="f", run_id="r-2"):
                record(capture)
        with tokentide.context(run_id="r-3", parent_run_id="elsewhere"):
            record(capture)
    outer, inner, same, named = capture.requests
    assert (outer["run_id"], outer["agent_version"]) == ("r-1", "7")
    assert "parent_run_id" not in outer
    assert (inner["run_id"], inner["parent_run_id"], inner["skill"]) == ("r-2", "r-1", "web")
    assert (inner["agent_name"], inner["parent_agent_name"]) == ("researcher", "planner")
    assert "agent_version" not in inner, "the version belongs to the outer agent"
    assert (same["run_id"], same["parent_run_id"]) == ("r-2", "r-1"), "the same run goes on"
    assert (named["run_id"], named["parent_run_id"]) == ("r-3", "elsewhere")


def test_emit_and_verdicts_are_filled_and_changes_are_not(capture: Capture) -> None:
    with tokentide.context(tenant="acme", session="c-1"):
        capture.telemetry.emit(
            {
                "type": "request",
                "provider": "p",
                "request_model": "m",
                "operation": "chat",
                "status": "ok",
                "usage_source": "missing",
                "duration_ms": 1.0,
            }
        )
        capture.telemetry.feedback("thumb", label="up")
        capture.telemetry.change("deploy", "service", to_version="2")
    request, feedback, change = capture.events()[:3]
    assert (request["tenant"], request["conversation_id"]) == ("acme", "c-1")
    assert (feedback["tenant"], feedback["conversation_id"]) == ("acme", "c-1")
    assert "tenant" not in change


def test_the_user_is_hashed_under_the_producers_key(capture: Capture) -> None:
    from tokentide.privacy import hash_user

    with tokentide.context(user="ann@example.org"):
        record(capture)
        with tokentide.context(feature="f"):
            record(capture)
    expected = hash_user(capture.telemetry.settings, "ann@example.org")
    assert [event["user_hash"] for event in capture.requests] == [expected, expected]
    assert "ann" not in str(capture.events())


def test_without_a_key_no_user_is_stored() -> None:
    with captured(service="s", linger_ms=1) as capture, tokentide.context(user="ann"):
        record(capture)
        assert "user_hash" not in only(capture)


def test_a_decorator_covers_functions_coroutines_and_generators(capture: Capture) -> None:
    @tokentide.context(tenant="plain")
    def plain() -> None:
        record(capture)

    @tokentide.context(tenant="coroutine")
    async def coroutine() -> None:
        await asyncio.sleep(0)
        record(capture)

    @tokentide.context(tenant="generator")
    def generator() -> Iterator[int]:
        record(capture)
        yield 1
        record(capture)

    @tokentide.context(tenant="async")
    async def async_generator() -> AsyncIterator[int]:
        record(capture)
        yield 1

    async def consume() -> None:
        await coroutine()
        async for _ in async_generator():
            record(capture)

    plain()
    for _ in generator():
        record(capture)  # the consumer is not inside the generator's block
    asyncio.run(consume())
    assert [event.get("tenant") for event in capture.requests] == [
        "plain",
        "generator",
        None,
        "generator",
        "coroutine",
        "async",
        None,
    ]


def test_a_decorated_generator_takes_what_is_sent_and_thrown_and_is_closed() -> None:
    seen: list[object] = []

    @tokentide.context(tenant="t")
    def generator() -> Any:
        try:
            seen.append((yield 1))
            try:
                yield 2
            except KeyError as exc:
                seen.append(type(exc))
            yield 3
        finally:
            seen.append("closed")

    items = generator()
    assert next(items) == 1
    assert items.send("sent") == 2
    assert items.throw(KeyError("k")) == 3
    items.close()
    assert seen == ["sent", KeyError, "closed"]


def test_tasks_keep_their_own_context(capture: Capture) -> None:
    shared = tokentide.context(feature="shared")

    async def work(tenant: str) -> None:
        with tokentide.context(tenant=tenant), shared:
            await asyncio.sleep(0)
            record(capture)

    async def main() -> None:
        await asyncio.gather(*(work(f"t{i}") for i in range(20)))

    asyncio.run(main())
    assert sorted(event["tenant"] for event in capture.requests) == sorted(
        f"t{i}" for i in range(20)
    )
    assert {event["feature"] for event in capture.requests} == {"shared"}


def test_threads_get_the_context_when_it_is_carried(capture: Capture) -> None:
    barrier = threading.Barrier(4)

    def work(_number: int) -> None:
        barrier.wait(10)  # all of them are inside the carried context at once
        record(capture)

    with tokentide.context(tenant="acme"), ThreadPoolExecutor(4) as pool:
        list(pool.map(tokentide.context.carry(work), range(4)))
    thread = threading.Thread(target=record, args=(capture,))
    thread.start()
    thread.join()
    assert [event.get("tenant") for event in capture.requests] == ["acme"] * 4 + [None]


def test_an_odd_prompt_or_tags_never_raise(capture: Capture) -> None:
    odd: Any = ("a", "b", "c")
    with tokentide.context(prompt=odd, tags=odd, tenant=odd):
        record(capture)
    assert only(capture)["tenant"] == "<tuple>"


def test_the_trace_of_opentelemetry_is_picked_up_when_it_is_there(
    capture: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    span = SimpleNamespace(
        get_span_context=lambda: SimpleNamespace(trace_id=0xABC, span_id=0x12, is_valid=True)
    )
    api = ModuleType("opentelemetry.trace")
    api.get_current_span = lambda: span  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "opentelemetry.trace", api)
    record(capture)
    record(capture, trace_id="f" * 32)
    picked, own = capture.requests
    assert (picked["trace_id"], picked["parent_span_id"]) == (f"{0xABC:032x}", f"{0x12:016x}")
    assert own["trace_id"] == "f" * 32
    assert "parent_span_id" not in own


def test_a_broken_or_half_imported_opentelemetry_costs_only_the_trace(
    capture: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry.trace", ModuleType("opentelemetry.trace"))
    record(capture)
    assert "trace_id" not in only(capture)


def test_the_real_opentelemetry_span_is_the_parent(capture: Capture) -> None:
    from opentelemetry.sdk.trace import TracerProvider

    tracer = TracerProvider().get_tracer("t")
    with tracer.start_as_current_span("outer") as span:
        record(capture)
    ours = span.get_span_context()
    assert only(capture)["trace_id"] == f"{ours.trace_id:032x}"
    assert only(capture)["parent_span_id"] == f"{ours.span_id:016x}"
