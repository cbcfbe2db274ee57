"""What LiteLLM keeps beside OpenAI's format is counted and billed: searches, tools, reranking."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from tests.golden.pricing import judged, priced
from tests.producers.bridges.litellm_calls import OPENAI, call_of

AT = datetime(2026, 12, 1, tzinfo=UTC)
"""The prices of that day are known."""
EVENT_ID = "01999999-9999-7999-8999-999999999999"


def test_a_rerank_is_billed_by_the_search(bridge: Any) -> None:
    answer = {
        "id": "r-1",
        "results": [{"index": 0, "relevance_score": 0.9}],
        "meta": {"billed_units": {"search_units": 2}},
    }
    call = call_of(call_type="arerank", model="rerank-v3.5", custom_llm_provider="cohere")
    event = bridge.attempt_event(call, answer, AT, AT)
    judged({"event_id": EVENT_ID, "service": "svc", **event})
    assert (event["operation"], event["provider"]) == ("rerank", "cohere")
    assert (event["request_model"], event["other_units"]) == ("rerank-v3.5", {"search_units": 2})
    assert priced(event)["cost_pico_usd"] == 2 * 2_000_000_000


@pytest.mark.parametrize(
    ("model", "usage", "about", "expected", "status", "usd"),
    [
        # What a search brought is in the total alone, and free.
        (
            "gemini-3-flash-preview",
            (151, 2_209, 20_689, 1_120),
            {"web_search_requests": 2, "tool_use_tokens": 18_329},
            (151, 2_209, 2, {"search_result_tokens": 18_329}),
            "exact",
            "0.0347025",
        ),
        # The same from versions that do not say how much tools brought.
        (
            "gemini-3-flash-preview",
            (151, 2_209, 20_689, 1_120),
            {"web_search_requests": 2},
            (151, 2_209, 2, {"search_result_tokens": 18_329}),
            "exact",
            "0.0347025",
        ),
        # Without thoughts they may also be those.
        (
            "gemini-2.5-flash",
            (26, 103, 12_633, None),
            {"web_search_requests": 3},
            (26, 103, 1, None),
            "partial",
            "0.0352653",
        ),
        (
            "gemini-2.5-flash",
            (26, 103, 12_633, None),
            {"google_maps_grounding_requests": 1, "tool_use_tokens": 12_504},
            (26, 103, None, {"tool_result_tokens": 12_504, "map_groundings": 1}),
            "partial",
            "0.0252653",
        ),
        # A page, which LiteLLM has in the prompt, and older versions in the total alone.
        (
            "gemini-2.5-flash",
            (12_530, 103, 12_633, 60),
            {"tool_use_tokens": 12_504},
            (12_530, 103, None, None),
            "exact",
            "0.0040165",
        ),
        (
            "gemini-2.5-flash",
            (26, 103, 12_633, 60),
            {},
            (12_530, 103, None, None),
            "exact",
            "0.0040165",
        ),
    ],
)
def test_searches_of_gemini_are_billed_and_what_they_brought_is_not(
    bridge: Any,
    model: str,
    usage: tuple[int, int, int, int | None],
    about: dict[str, int],
    expected: tuple[object, ...],
    status: str,
    usd: str,
) -> None:
    prompt, completion, total, thoughts = usage
    reported: dict[str, Any] = {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": total,
        "prompt_tokens_details": about,
    }
    if thoughts is not None:
        reported["completion_tokens_details"] = {"reasoning_tokens": thoughts}
    call = call_of(model=model, custom_llm_provider="gemini", litellm_params={})
    event = bridge.attempt_event(call, {**OPENAI, "model": model, "usage": reported}, AT, AT)
    judged({"event_id": EVENT_ID, "service": "svc", **event})
    names = ("input_tokens", "output_tokens", "web_searches", "other_units")
    assert tuple(event.get(name) for name in names) == expected
    verdict = priced(event)
    assert verdict["price_status"] == status
    assert verdict["cost_pico_usd"] == Decimal(usd).scaleb(12)


@pytest.mark.parametrize(
    ("tools", "unit"),
    [
        ([{"googleSearch": {}}], "search_result_tokens"),
        ([{"googleSearch": {}}, {"codeExecution": {}}], "tool_result_tokens"),
    ],
)
def test_code_that_a_call_allows_beside_a_search_makes_its_tokens_unsettled(
    bridge: Any, tools: list[object], unit: str
) -> None:
    model = "gemini-3-flash-preview"
    usage = {
        "prompt_tokens": 151,
        "completion_tokens": 2_209,
        "total_tokens": 20_689,
        "prompt_tokens_details": {"web_search_requests": 2, "tool_use_tokens": 18_329},
    }
    call = call_of(
        model=model, custom_llm_provider="gemini", litellm_params={},
        optional_params={"tools": tools},
    )  # fmt: skip
    event = bridge.attempt_event(call, {**OPENAI, "model": model, "usage": usage}, AT, AT)
    assert event["other_units"] == {unit: 18_329}
    expected = "exact" if unit == "search_result_tokens" else "partial"
    assert priced(event)["price_status"] == expected


def test_searches_of_perplexity_are_among_the_details_of_the_prompt(bridge: Any) -> None:
    reported = {
        "prompt_tokens": 10,
        "completion_tokens": 20,
        "total_tokens": 30,
        "prompt_tokens_details": {"web_search_requests": 3},
    }
    call = call_of(model="sonar-deep-research", custom_llm_provider="perplexity")
    event = bridge.attempt_event(call, {**OPENAI, "usage": reported}, AT, AT)
    assert event["web_searches"] == 3
