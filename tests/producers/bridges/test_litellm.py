"""LiteLLM attempts become events; with LiteLLM itself where it is installed, else its arguments."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from tests.golden.pricing import judged, priced
from tests.producers.bridges.litellm_calls import END, OPENAI, START, call_of
from tokentide.seen_calls import seen_calls
from tokentide.testing import Capture, captured

ANTHROPIC = {
    **OPENAI,
    "id": "chatcmpl-made-up-by-litellm",
    "model": "claude-sonnet-4-5",
    "usage": {
        "prompt_tokens": 1050,
        "completion_tokens": 20,
        "total_tokens": 1070,
        "prompt_tokens_details": {
            "cached_tokens": 900,
            "cache_creation_tokens": 50,
            "cache_creation_token_details": {
                "ephemeral_5m_input_tokens": 30,
                "ephemeral_1h_input_tokens": 20,
            },
        },
        "cache_creation_input_tokens": 50,
        "cache_read_input_tokens": 900,
    },
}


class RateLimitError(Exception):
    """As LiteLLM's: its code is the HTTP status, the provider's own code is below it."""

    status_code = 429
    code = "429"
    llm_provider = "openai"


class ProviderError(Exception):
    status_code = 429
    code = "insufficient_quota"


@pytest.fixture(autouse=True)
def unwatched() -> Iterator[None]:
    yield
    seen_calls.__init__()  # type: ignore[misc]


@pytest.fixture
def capture() -> Iterator[Capture]:
    with captured(service="svc") as found:
        yield found


@pytest.fixture
def logger(bridge: Any, capture: Capture) -> Any:
    return bridge.TokentideLogger(capture.telemetry)


def succeed(logger: Any, kwargs: Any, response: Any = OPENAI) -> None:
    logger.log_success_event(kwargs=kwargs, response_obj=response, start_time=START, end_time=END)


def fail(logger: Any, kwargs: Any, error: BaseException) -> None:
    logger.log_failure_event(
        kwargs={**kwargs, "exception": error}, response_obj=None, start_time=START, end_time=END
    )


def test_an_attempt_that_succeeded_is_an_event(logger: Any, capture: Capture) -> None:
    succeed(logger, call_of())
    [event] = capture.requests
    judged(event)
    assert (event["provider"], event["operation"], event["status"]) == ("openai", "chat", "ok")
    assert (event["request_model"], event["response_model"]) == (
        "gpt-4o-mini",
        "gpt-4o-mini-2024-07-18",
    )
    assert (event["input_tokens"], event["output_tokens"]) == (1000, 100)
    assert (event["cache_read_tokens"], event["finish_reasons"]) == (400, ["stop"])
    assert (event["temperature"], event["max_tokens"]) == (0.5, 64)
    assert (event["duration_ms"], event["started_at_us"]) == (
        1500.0,
        int(START.timestamp() * 1e6),
    )
    assert event["server_address"] == "api.openai.com"
    assert "ttft_ms" not in event
    # 600 plain and 400 cached input tokens at $0.15 and $0.075 a million, 100 out at $0.60.
    assert priced(event)["cost_pico_usd"] == 600 * 150_000 + 400 * 75_000 + 100 * 600_000


async def test_coroutines_are_recorded_by_methods_of_their_own(
    logger: Any, capture: Capture
) -> None:
    await logger.async_log_success_event(
        kwargs=call_of(), response_obj=OPENAI, start_time=START, end_time=END
    )
    await logger.async_log_failure_event(
        kwargs=call_of(exception=RateLimitError("x")),
        response_obj=None,
        start_time=START,
        end_time=END,
    )
    events = await asyncio.to_thread(lambda: capture.requests)
    assert [event["status"] for event in events] == ["ok", "error"]


def test_anthropics_usage_in_openais_format_keeps_the_lifetimes_of_the_cache(
    logger: Any, capture: Capture
) -> None:
    params = {"metadata": {"hidden_params": {"provider_response_model": "claude-sonnet-4-5"}}}
    succeed(
        logger,
        call_of(model="claude-sonnet-4-5", custom_llm_provider="anthropic", litellm_params=params),
        ANTHROPIC,
    )
    [event] = capture.requests
    judged(event)
    assert (event["input_tokens"], event["cache_read_tokens"]) == (1050, 900)
    assert (event["cache_write_tokens"], event["cache_write_1h_tokens"]) == (50, 20)
    # 100 plain, 900 read, 30 written for five minutes and 20 for an hour; 20 out.
    assert priced(event)["cost_pico_usd"] == (
        100 * 3_000_000 + 900 * 300_000 + 30 * 3_750_000 + 20 * 6_000_000 + 20 * 15_000_000
    )


@pytest.mark.parametrize(
    ("provider", "usage_cost", "kwargs", "expected"),
    [
        ("openai", None, {"response_cost": 0.00015}, (150_000_000, "litellm")),
        ("openai", None, {"response_cost": 0.0}, (0, "litellm")),
        ("openai", None, {"response_cost": -1.0}, (None, None)),
        ("openai", None, {"response_cost": None}, (None, None)),
        ("openai", None, {}, (None, None)),
        # A bill beats a computed cost; elsewhere the meaning of a bare cost is not known.
        ("openrouter", 0.0002, {"response_cost": 0.00015}, (200_000_000, "openrouter")),
        ("openai", 0.0002, {"response_cost": 0.00015}, (150_000_000, "litellm")),
    ],
)
def test_the_cost_that_litellm_reckons_is_kept_as_reported(
    logger: Any,
    capture: Capture,
    provider: str,
    usage_cost: float | None,
    kwargs: dict[str, Any],
    expected: tuple[int | None, str | None],
) -> None:
    usage = {**OPENAI["usage"], "cost": usage_cost}  # type: ignore[dict-item]
    succeed(logger, call_of(custom_llm_provider=provider, **kwargs), {**OPENAI, "usage": usage})
    [event] = capture.requests
    judged(event)
    assert (event.get("reported_cost_pico_usd"), event.get("reported_cost_source")) == expected


def test_litellms_cost_is_found_on_the_response_as_well(logger: Any, capture: Capture) -> None:
    response = SimpleNamespace(**OPENAI, _hidden_params={"response_cost": 1e-06})
    succeed(logger, call_of(), response)
    assert capture.requests[0]["reported_cost_pico_usd"] == 1_000_000


def test_a_cached_answer_repeats_the_cost_of_another_call(logger: Any, capture: Capture) -> None:
    usage = {**OPENAI["usage"], "cost": 0.0002}  # type: ignore[dict-item]
    kwargs = call_of(cache_hit=True, custom_llm_provider="openrouter", response_cost=0.0002)
    succeed(logger, kwargs, {**OPENAI, "usage": usage})
    assert "reported_cost_pico_usd" not in capture.requests[0]


def test_a_stream_has_a_first_token(logger: Any, capture: Capture) -> None:
    first = START + timedelta(milliseconds=300)
    succeed(logger, call_of(stream=True, completion_start_time=first))
    [event] = capture.requests
    assert (event["stream"], event["ttft_ms"]) == (True, pytest.approx(300))


def test_an_answer_from_litellms_cache_consumed_nothing(logger: Any, capture: Capture) -> None:
    succeed(logger, call_of(cache_hit=True, model="openai/gpt-4o-mini"))
    [event] = capture.requests
    judged(event)
    assert (event["input_tokens"], event["output_tokens"]) == (0, 0)
    assert "cache_read_tokens" not in event
    assert event["tags"] == {"response_cache": "hit"}
    assert event["request_model"] == "gpt-4o-mini"
    assert priced(event)["cost_pico_usd"] == 0


def test_attempts_of_a_router_are_events_and_count_what_came_before(
    logger: Any, capture: Capture
) -> None:
    fail(logger, call_of(), RateLimitError("slow down"))
    params = {"metadata": {"previous_models": [{"model": "gpt-4o-mini"}], "session_id": "s-1"}}
    succeed(logger, call_of(litellm_params=params, litellm_call_id="call-2"))
    one, two = capture.requests
    assert (one["status"], one["error_type"], one["usage_source"]) == (
        "error",
        "rate_limit",
        "missing",
    )
    assert "retry_count" not in one
    assert (two["retry_count"], two["conversation_id"]) == (1, "s-1")
    for event in (one, two):
        judged(event)


def test_the_providers_own_code_is_found_below_litellms_exception(
    logger: Any, capture: Capture
) -> None:
    error = RateLimitError("litellm.RateLimitError")
    error.__context__ = ProviderError("no money")
    fail(logger, call_of(), error)
    [event] = capture.requests
    assert (event["error_type"], event["error_code"]) == ("quota", "insufficient_quota")
    assert event["http_status"] == 429


def test_an_attempt_that_is_reported_twice_is_one_event(logger: Any, capture: Capture) -> None:
    for _ in range(3):
        succeed(logger, call_of())
        fail(logger, call_of(litellm_call_id="other"), RateLimitError("x"))
    assert [event["status"] for event in capture.requests] == ["ok", "error"]


def test_a_call_that_the_instrumented_client_recorded_is_not_recorded_again(
    logger: Any, capture: Capture
) -> None:
    assert seen_calls.is_first("client", "response chatcmpl-1")
    succeed(logger, call_of())
    inner = ProviderError("seen")
    assert seen_calls.is_first("client", error=inner)
    outer = RateLimitError("wrapped")
    outer.__context__ = inner
    fail(logger, call_of(litellm_call_id="call-2"), outer)
    assert capture.requests == []


def test_fields_that_a_call_gives_itself_arrive(logger: Any, capture: Capture) -> None:
    own = {"tenant": "acme", "feature": "answer", "tags": {"k": "v"}, "input_tokens": 5}
    params = {
        "metadata": {
            "tokentide": own,
            "user_api_key_team_alias": "search",
            "user_api_key_hash": "d" * 64,
        }
    }
    succeed(logger, call_of(litellm_params=params))
    [event] = capture.requests
    assert (event["tenant"], event["feature"], event["team"]) == ("acme", "answer", "search")
    assert event["key_id"] == "d" * 16, "an id of the proxy's key, not its digest"
    assert (event["tags"], event["input_tokens"]) == ({"k": "v"}, 1000)


@pytest.mark.parametrize(
    ("call_type", "operation"),
    [
        ("aembedding", "embeddings"),
        ("atranscription", "transcription"),
        ("image_generation", "image_generation"),
        ("atext_completion", "text_completion"),
        ("aresponses", "chat"),
        ("anthropic_messages", "chat"),
    ],
)
def test_call_types_name_the_operation(bridge: Any, call_type: str, operation: str) -> None:
    event = bridge.attempt_event(call_of(call_type=call_type), OPENAI, START, END)
    assert event["operation"] == operation


@pytest.mark.parametrize("call_type", ["moderation", "aretrieve_batch", "acreate_file"])
def test_what_consumes_no_tokens_of_a_model_is_no_call(bridge: Any, call_type: str) -> None:
    assert bridge.attempt_event(call_of(call_type=call_type), OPENAI, START, END) is None


class Hostile:
    """An object whose every property raises."""

    def __getattr__(self, name: str) -> Any:
        raise RuntimeError(name)


def test_hostile_arguments_never_raise(logger: Any, capture: Capture) -> None:
    responses: tuple[Any, ...] = (None, Hostile(), {}, [], SimpleNamespace(usage=Hostile()))
    for kwargs in (None, 5, {}, call_of(litellm_params=7, optional_params="x", model=object())):
        for response in responses:
            logger.log_success_event(
                kwargs=kwargs, response_obj=response, start_time=None, end_time="x"
            )
    for event in capture.requests:
        judged(event)
