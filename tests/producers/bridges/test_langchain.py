"""LangChain runs become events: chat, text, streams, retries, failures, caches, chains."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from typing import Any
from uuid import UUID, uuid4

import pytest
from langchain_core.caches import InMemoryCache
from langchain_core.callbacks import CallbackManagerForLLMRun
from langchain_core.language_models.chat_models import BaseChatModel
from langchain_core.language_models.fake import FakeListLLM
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage
from langchain_core.messages.ai import UsageMetadata
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult, LLMResult
from langchain_core.runnables import RunnableLambda
from langchain_core.tools import tool
from pydantic import Field

import tokentide
from tests.golden.pricing import judged, priced
from tokentide.bridges.langchain import TokentideCallback
from tokentide.seen_calls import seen_calls
from tokentide.testing import Capture, captured

USAGE = UsageMetadata(
    input_tokens=1050,
    output_tokens=200,
    total_tokens=1250,
    input_token_details={"cache_read": 900, "cache_creation": 50},
    output_token_details={"reasoning": 30},
)
ABOUT = {
    "model_name": "claude-sonnet-4-5-20250929",
    "stop_reason": "end_turn",
    "id": "msg_1",
    "service_tier": "standard",
}


class ProviderError(Exception):
    status_code = 429
    code = "rate_limit_exceeded"


class Model(BaseChatModel):
    """A chat model that answers from memory, as an integration of LangChain's does."""

    failures: list[Any] = Field(default_factory=list)
    chunks: Sequence[str] = ("a", "b", "c")
    stream_fails: bool = False

    @property
    def _llm_type(self) -> str:
        return "anthropic-chat"

    def _get_ls_params(self, stop: Any = None, **kwargs: Any) -> Any:
        return {
            "ls_provider": "anthropic",
            "ls_model_name": "claude-sonnet-4-5",
            "ls_model_type": "chat",
            "ls_temperature": 0.5,
            "ls_max_tokens": 64,
        }

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        if self.failures:
            raise self.failures.pop(0)
        message = AIMessage("answer", usage_metadata=USAGE, response_metadata=dict(ABOUT))
        return ChatResult(generations=[ChatGeneration(message=message)])


class StreamingModel(Model):
    """The same in chunks."""

    def _stream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> Iterator[ChatGenerationChunk]:
        for text in self.chunks:
            yield ChatGenerationChunk(message=AIMessageChunk(content=text))
        if self.stream_fails:
            raise ProviderError("cut")
        yield ChatGenerationChunk(
            message=AIMessageChunk(content="", usage_metadata=USAGE, response_metadata=dict(ABOUT))
        )


@pytest.fixture(autouse=True)
def unwatched() -> Iterator[None]:
    yield
    seen_calls.__init__()  # type: ignore[misc]


@pytest.fixture
def capture() -> Iterator[Capture]:
    with captured(service="svc") as found:
        yield found


@pytest.fixture
def config(capture: Capture) -> dict[str, Any]:
    return {"callbacks": [TokentideCallback(capture.telemetry)]}


def check_answer(event: dict[str, Any]) -> None:
    judged(event)
    assert (event["provider"], event["request_model"]) == ("anthropic", "claude-sonnet-4-5")
    assert event["response_model"] == "claude-sonnet-4-5-20250929"
    assert (event["response_id"], event["finish_reasons"]) == ("msg_1", ["stop", "end_turn"])
    assert (event["input_tokens"], event["output_tokens"]) == (1050, 200)
    assert (event["cache_read_tokens"], event["cache_write_tokens"]) == (900, 50)
    assert (event["reasoning_tokens"], event["usage_source"]) == (30, "provider")
    assert (event["temperature"], event["max_tokens"]) == (0.5, 64)
    # 100 plain, 900 read and 50 written at $3, $0.30 and $3.75 a million; 200 out at $15.
    expected = 100 * 3_000_000 + 900 * 300_000 + 50 * 3_750_000 + 200 * 15_000_000
    assert priced(event)["cost_pico_usd"] == expected


def test_a_run_of_a_chat_model_is_an_event(capture: Capture, config: Any) -> None:
    assert Model().invoke("q", config).content == "answer"
    [event] = capture.requests
    check_answer(event)
    assert (event["operation"], event["status"]) == ("chat", "ok")
    assert "stream" not in event


async def test_a_run_in_a_coroutine_is_an_event(capture: Capture, config: Any) -> None:
    await Model().ainvoke("q", config)
    [event] = await asyncio.to_thread(lambda: capture.requests)
    check_answer(event)


def test_a_stream_is_measured(capture: Capture, config: Any) -> None:
    assert len(list(StreamingModel().stream("q", config))) >= 4
    [event] = capture.requests
    check_answer(event)
    assert event["stream"] is True
    assert event["chunks"] >= 3
    assert 0 <= event["ttft_ms"] <= event["duration_ms"]


async def test_a_stream_in_a_coroutine_is_measured(capture: Capture, config: Any) -> None:
    chunks: AsyncIterator[Any] = StreamingModel().astream("q", config)
    assert len([chunk async for chunk in chunks]) >= 4
    [event] = await asyncio.to_thread(lambda: capture.requests)
    assert event["input_tokens"] == 1050
    assert event["chunks"] >= 3


def test_a_stream_that_is_left_is_an_event(capture: Capture, config: Any) -> None:
    stream = StreamingModel().stream("q", config)
    next(stream)
    assert capture.requests == []
    stream.close()  # type: ignore[attr-defined]
    [event] = capture.requests
    judged(event)
    assert event["status"] in ("abandoned", "error")
    assert event["usage_source"] == "missing"


def test_a_stream_that_fails_keeps_what_was_measured(capture: Capture, config: Any) -> None:
    with pytest.raises(ProviderError):
        list(StreamingModel(stream_fails=True).stream("q", config))
    [event] = capture.requests
    judged(event)
    assert (event["status"], event["error_type"], event["chunks"]) == ("error", "rate_limit", 3)


def test_a_failure_is_an_event_and_passes_through(capture: Capture, config: Any) -> None:
    with pytest.raises(ProviderError):
        Model(failures=[ProviderError("slow down")]).invoke("q", config)
    [event] = capture.requests
    judged(event)
    assert (event["status"], event["error_type"], event["http_status"]) == (
        "error",
        "rate_limit",
        429,
    )
    assert event["usage_source"] == "missing"


def test_each_attempt_of_a_retried_chain_is_an_event(capture: Capture, config: Any) -> None:
    model = Model(failures=[ProviderError("1"), ProviderError("2")])
    chain = model.with_retry(
        retry_if_exception_type=(ProviderError,),
        wait_exponential_jitter=False,
        stop_after_attempt=3,
    )
    chain.invoke("q", config)
    assert [event["status"] for event in capture.requests] == ["error", "error", "ok"]


def test_retries_inside_a_run_are_counted(capture: Capture) -> None:
    handler, run_id = TokentideCallback(capture.telemetry), uuid4()
    handler.on_chat_model_start({}, [[]], run_id=run_id, metadata={"ls_provider": "openai"})
    handler.on_retry(object(), run_id=run_id)
    handler.on_retry(object(), run_id=run_id)
    handler.on_llm_end(LLMResult(generations=[]), run_id=run_id)
    [event] = capture.requests
    judged(event)
    assert (event["retry_count"], event["usage_source"]) == (2, "missing")


def test_an_answer_from_a_cache_consumed_nothing(capture: Capture, config: Any) -> None:
    model = Model(cache=InMemoryCache())
    model.invoke("q", config)
    model.invoke("q", config)
    first, second = capture.requests
    check_answer(first)
    judged(second)
    assert (second["input_tokens"], second["output_tokens"]) == (0, 0)
    assert "cache_read_tokens" not in second
    assert second["tags"] == {"response_cache": "hit"}
    assert priced(second)["cost_pico_usd"] == 0


def test_runs_below_one_chain_share_a_trace_and_chains_and_tools_are_no_events(
    capture: Capture, config: Any
) -> None:
    @tool
    def look_up(text: str) -> str:
        """Ask a model."""
        return str(Model().invoke(text).content)

    def answer(text: str) -> str:
        Model().invoke(text)
        return str(look_up.invoke(text))

    config["metadata"] = {"thread_id": "thread-7"}
    RunnableLambda(answer).invoke("q", config)
    Model().invoke("alone", config)
    one, other, alone = capture.requests
    assert one["trace_id"] == other["trace_id"] != alone["trace_id"]
    assert UUID(one["trace_id"])
    assert one["run_id"] == other["run_id"] == str(UUID(one["trace_id"]))
    assert "run_id" not in alone, "a call of its own belongs to its conversation"
    assert one["conversation_id"] == other["conversation_id"] == "thread-7"
    [handler] = config["callbacks"]
    assert (handler._runs, handler._roots) == ({}, {})


def test_a_run_that_the_host_names_is_the_run(capture: Capture, config: Any) -> None:
    def ask(text: str) -> str:
        return str(Model().invoke(text).content)

    with tokentide.context(run_id="job-7"):
        RunnableLambda(ask).invoke("q", config)
    [event] = capture.requests
    assert event["run_id"] == "job-7"


def test_every_prompt_of_a_text_model_is_an_event(capture: Capture, config: Any) -> None:
    FakeListLLM(responses=["a", "b"]).generate(["x", "y"], callbacks=config["callbacks"])
    events = capture.requests
    assert [event["operation"] for event in events] == ["text_completion"] * 2
    assert all(event["usage_source"] == "missing" for event in events)
    for event in events:
        judged(event)


def test_usage_of_older_integrations_is_read(capture: Capture) -> None:
    handler, run_id = TokentideCallback(capture.telemetry), uuid4()
    params = {"model_name": "gpt-4o-mini", "_type": "azure-openai-chat"}
    handler.on_llm_start({}, ["q"], run_id=run_id, invocation_params=params)
    output = {"token_usage": {"prompt_tokens": 7, "completion_tokens": 3}, "model_name": "gpt-4o"}
    handler.on_llm_end(LLMResult(generations=[], llm_output=output), run_id=run_id)
    [event] = capture.requests
    assert (event["input_tokens"], event["output_tokens"]) == (7, 3)
    assert (event["request_model"], event["response_model"]) == ("gpt-4o-mini", "gpt-4o")
    assert event["provider"] == "azure.ai.openai"


@pytest.mark.parametrize(
    ("provider", "usage", "expected"),
    [
        ("openrouter", {"cost": 0.0025}, (2_500_000_000, "openrouter")),
        ("openai", {"cost": 0.0025}, (None, None)),
        ("xai", {"cost_in_usd_ticks": 37_756_000}, (3_775_600_000, "x_ai")),
    ],
)
@pytest.mark.parametrize("is_in_the_message", [True, False])
def test_the_cost_that_a_provider_reports_is_kept(
    capture: Capture,
    provider: str,
    usage: dict[str, Any],
    expected: tuple[int | None, str | None],
    is_in_the_message: bool,
) -> None:
    handler, run_id = TokentideCallback(capture.telemetry), uuid4()
    handler.on_llm_start({}, ["q"], run_id=run_id, metadata={"ls_provider": provider})
    output = {"token_usage": {"prompt_tokens": 7, "completion_tokens": 3, **usage}}
    about = output if is_in_the_message else {}
    choice = ChatGeneration(message=AIMessage("a", response_metadata=about))
    handler.on_llm_end(LLMResult(generations=[[choice]], llm_output=output), run_id=run_id)
    [event] = capture.requests
    judged(event)
    assert (event.get("reported_cost_pico_usd"), event.get("reported_cost_source")) == expected


def test_a_call_that_the_instrumented_client_recorded_is_not_recorded_again(
    capture: Capture, config: Any
) -> None:
    assert seen_calls.is_first("client", "response msg_1")
    Model().invoke("q", config)
    error = ProviderError("seen")
    assert seen_calls.is_first("client", error=error)
    with pytest.raises(ProviderError):
        Model(failures=[error]).invoke("q", config)
    assert capture.requests == []


class Hostile:
    """An object whose every property raises."""

    def __getattr__(self, name: str) -> Any:
        raise RuntimeError(name)


def test_hostile_results_neither_raise_nor_leak(capture: Capture) -> None:
    handler = TokentideCallback(capture.telemetry)
    for response in (Hostile(), None, 5, LLMResult(generations=[[]])):
        run_id = uuid4()
        handler.on_chat_model_start({}, [[]], run_id=run_id, metadata=Hostile())
        handler.on_llm_end(response, run_id=run_id)  # type: ignore[arg-type]
    handler.on_llm_end(LLMResult(generations=[]), run_id=uuid4())
    handler.on_chain_start({}, {}, run_id=uuid4(), parent_run_id=Hostile())
    assert handler._runs == {}
    assert len(capture.requests) == 4


def test_runs_that_never_end_are_forgotten(
    capture: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tokentide.bridges.langchain._MAX_RUNS", 10)
    handler = TokentideCallback(capture.telemetry)
    for _ in range(50):
        handler.on_chain_start({}, {}, run_id=uuid4())
        handler.on_chat_model_start({}, [[]], run_id=uuid4())
    assert len(handler._runs) == len(handler._roots) == 10
