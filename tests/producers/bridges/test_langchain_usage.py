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
    usage: tuple[int, int, int, int | None], provider: str, model: str, message: AIMessage
) -> dict[str, Any]:
    """The event of a message; usage: input, output, total and what of the output is reasoning."""
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
        handler.on_chat_model_start({}, [[]], run_id=run_id, metadata=metadata)
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


def test_a_gap_of_another_provider_was_written() -> None:
    message = AIMessage("a")
    event = event_of((20, 424, 1_016, None), "openai", "gpt-4o", message)
    assert (event["input_tokens"], event["output_tokens"]) == (20, 996)
    assert priced(event)["price_status"] == "exact"
