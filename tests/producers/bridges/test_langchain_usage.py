"""What LangChain leaves out of the usage or folds into it: tokens of tools, billed searches."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any
from uuid import uuid4

import pytest
from langchain_core.messages import AIMessage
from langchain_core.messages.ai import UsageMetadata
from langchain_core.outputs import ChatGeneration, LLMResult

from tests.golden.pricing import judged, priced
from tokentide.bridges.langchain import TokentideCallback
from tokentide.seen_calls import seen_calls
from tokentide.testing import captured

PRICES_KNOWN_US = 1_796_083_200_000_000
"""2026-12-01: the prices of that day are known."""
SEARCHED = {"grounding_metadata": {"web_search_queries": ["a", "b", "a"]}}
PLACES = {"grounding_metadata": {"grounding_chunks": [{"maps": {"uri": "u"}}]}}


@pytest.fixture(autouse=True)
def unwatched() -> Iterator[None]:
    yield
    seen_calls.__init__()  # type: ignore[misc]


def event_of(
    usage: tuple[int, int, int, int | None],
    provider: str,
    model: str,
    message: AIMessage,
    **asked: Any,
) -> dict[str, Any]:
    """Return the event of a message; usage: input, output, total, and reasoning of the output."""
    given, made, total, reasoning = usage
    message.usage_metadata = UsageMetadata(
        input_tokens=given, output_tokens=made, total_tokens=total
    )
    if reasoning is not None:
        message.usage_metadata["output_token_details"] = {"reasoning": reasoning}
    message.response_metadata["model_name"] = model
    with captured(service="svc") as found:
        handler, run_id = TokentideCallback(found.telemetry), uuid4()
        metadata = {"ls_provider": provider, "ls_model_name": model}
        handler.on_chat_model_start(
            {}, [[]], run_id=run_id, metadata=metadata, invocation_params=asked
        )
        handler.on_llm_end(
            LLMResult(generations=[[ChatGeneration(message=message)]]), run_id=run_id
        )
        [event] = found.requests
    judged(event)
    return {**event, "started_at_us": PRICES_KNOWN_US}


@pytest.mark.parametrize(
    ("usage", "about", "expected", "status", "usd"),
    [
        # A page that the call named: 12,504 tokens of a tool, in the total alone.
        ((26, 103, 12_633, 60), {}, (12_530, 103, None), "exact", "0.0040165"),
        # Without a word on reasoning it may be thoughts as well.
        ((26, 103, 12_633, None), {}, (26, 103, None), "partial", "0.0002653"),
        ((26, 103, 129, None), {}, (26, 103, None), "exact", "0.0002653"),
        ((26, 43, 129, 60), {}, (26, 103, None), "exact", "0.0002653"),
        # What a search brought is free, and this model is billed by the prompt.
        (
            (26, 103, 12_633, 60),
            SEARCHED,
            (26, 103, {"search_result_tokens": 12_504}),
            "exact",
            "0.0352653",
        ),
        # Newer versions fold it into the input.
        ((12_530, 103, 12_633, 60), SEARCHED, (12_530, 103, None), "partial", "0.0390165"),
        (
            (26, 103, 12_633, 60),
            PLACES,
            (26, 103, {"tool_result_tokens": 12_504, "map_groundings": 1}),
            "partial",
            "0.0252653",
        ),
    ],
)
def test_what_geminis_tools_brought_is_input_or_free_and_never_output(
    usage: tuple[int, int, int, int | None],
    about: dict[str, Any],
    expected: tuple[int, int, dict[str, int] | None],
    status: str,
    usd: str,
) -> None:
    message = AIMessage("a", response_metadata=dict(about))
    event = event_of(usage, "google_genai", "gemini-2.5-flash", message)
    found = (event["input_tokens"], event["output_tokens"], event.get("other_units"))
    assert found == expected
    verdict = priced(event)
    assert verdict["price_status"] == status
    assert verdict["cost_pico_usd"] == Decimal(usd).scaleb(12)


@pytest.mark.parametrize(
    ("content", "asked"),
    [
        ([{"type": "executable_code"}, {"type": "text", "text": "a"}], {}),
        ("a", {"tools": [{"google_search": {}}, {"code_execution": {}}]}),
    ],
)
def test_code_beside_a_search_makes_its_tokens_unsettled(
    content: Any, asked: dict[str, Any]
) -> None:
    message = AIMessage(content, response_metadata=dict(SEARCHED))
    usage = (26, 103, 12_633, 60)
    event = event_of(usage, "google_genai", "gemini-2.5-flash", message, **asked)
    assert event["other_units"] == {"tool_result_tokens": 12_504}
    assert priced(event)["price_status"] == "partial"


def test_a_gap_of_another_provider_was_written() -> None:
    message = AIMessage("a")
    event = event_of((20, 424, 1_016, None), "openai", "gpt-4o", message)
    assert (event["input_tokens"], event["output_tokens"]) == (20, 996)
    assert priced(event)["price_status"] == "exact"


USED = {"server_tool_use": {"web_search_requests": 2}}
TWO_CALLS: list[str | dict[Any, Any]] = [
    {"type": "server_tool_use", "name": "web_search"},
    {"type": "web_search_tool_result"},
    {"type": "server_tool_use", "name": "web_search"},
    {"type": "server_tool_use", "name": "web_fetch"},
    {"type": "text", "text": "a"},
]
SEARCH_CALLS: list[str | dict[Any, Any]] = [
    {"type": "web_search_call", "action": {"type": "search"}},
    {"type": "web_search_call", "action": {"type": "open_page"}},
    {"type": "text", "text": "a"},
]


@pytest.mark.parametrize(
    ("provider", "model", "message", "searches"),
    [
        (
            "anthropic",
            "claude-opus-4-6",
            AIMessage("a", response_metadata={"usage": USED}),
            2,
        ),
        # Of a stream only the message reports searches.
        ("anthropic", "claude-opus-4-6", AIMessage(TWO_CALLS), 2),
        ("anthropic", "claude-opus-4-6", AIMessage("a", response_metadata={"usage": {}}), 0),
        ("openai", "gpt-5.4", AIMessage(SEARCH_CALLS), 1),
        (
            "openai",
            "gpt-5.4",
            AIMessage("a", additional_kwargs={"tool_outputs": SEARCH_CALLS}),
            1,
        ),
    ],
)
def test_searches_that_the_provider_made_are_billed(
    provider: str, model: str, message: AIMessage, searches: int
) -> None:
    event = event_of((100, 10, 110, None), provider, model, message)
    assert event.get("web_searches", 0) == searches
    plain = {name: value for name, value in event.items() if name != "web_searches"}
    fee = 10_000_000_000 * searches  # 10 USD per 1,000
    assert priced(event)["cost_pico_usd"] == priced(plain)["cost_pico_usd"] + fee
    assert priced(event)["price_status"] == "exact"


def test_the_older_search_of_openai_is_recognised_by_the_tools_of_the_call() -> None:
    older = {"tools": [{"type": "web_search_preview"}]}
    message = AIMessage(SEARCH_CALLS)
    event = event_of((100, 10, 110, None), "openai", "gpt-4o", message, **older)
    assert event["other_units"] == {"preview_web_searches": 1}
    expected = 100 * 2_500_000 + 10 * 10_000_000 + 25_000_000_000
    assert priced(event)["cost_pico_usd"] == expected
    both = {"tools": [{"type": "web_search_preview"}, {"type": "web_search"}]}
    assert "other_units" not in event_of((1, 1, 2, None), "openai", "gpt-4o", message, **both)
