"""A span that shows a tool which its provider bills, and does not count it, is never exact.

The attributes are what these packages write for the same two calls: a search that the provider
makes, and a function of the caller's own with the same name.
"""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.golden.pricing import priced
from tests.producers.semconv.spans import LATEST, event
from tokentide.usage.openai_chat import read_usage
from tokentide.usage.totals import settle

PRICES_KNOWN_US = 1_796_083_200_000_000
"""2026-12-01: the prices of that day are known."""
OPENAI: dict[str, object] = {
    "gen_ai.operation.name": "chat",
    "gen_ai.provider.name": "openai",
    "gen_ai.request.model": "gpt-5-mini",
    "gen_ai.usage.input_tokens": 100,
    "gen_ai.usage.output_tokens": 80,
}
GEMINI = OPENAI | {"gen_ai.provider.name": "gcp.gemini", "gen_ai.request.model": "gemini-2.5-flash"}
PART = "llm.output_messages.0.message"
SCHEMA = "llm.tools.0.tool.json_schema"
OPENAIS = {"type": "web_search"}
ANTHROPICS = {"type": "web_search_20250305", "name": "web_search", "max_uses": 2}
FUNCTION = {"type": "function", "name": "web_search", "parameters": {}}


def status(attributes: dict[str, object], **fields: Any) -> str:
    found = {**event(attributes, **fields), "started_at_us": PRICES_KNOWN_US}
    return str(priced(found)["price_status"])


@pytest.mark.parametrize(
    "shown",
    [
        {"gen_ai.tool.definitions": json.dumps([OPENAIS])},  # Sentry
        {"gen_ai.tool.definitions": [json.dumps(FUNCTION), json.dumps(OPENAIS)]},
        {"gen_ai.tool.definitions": '[{"name": "web_search"}]'},  # OpenLLMetry of Anthropic's
        {"gen_ai.request.available_tools": json.dumps([ANTHROPICS])},
        {"gen_ai.tool.definitions": json.dumps([{"type": "code_interpreter"}])},
        {"gen_ai.tool.definitions": json.dumps([{"type": "file_search"}])},
        {"gen_ai.tool.definitions": json.dumps([{"type": "x_search"}])},
        {"gen_ai.tool.definitions": json.dumps([{"type": "openrouter:web_search"}])},
        {"gen_ai.tool.definitions": '[{"type": "web_search", "filters": {"allowed'},  # cut short
        {"gen_ai.tool.definitions": json.dumps([FUNCTION] * 2000 + [OPENAIS])},  # too long
        {"gen_ai.tool.definitions": [FUNCTION] * 300},  # more than are looked at
        {
            "ai.prompt.tools": [
                json.dumps({"type": "provider-defined", "id": "openai.web_search", "name": "x"})
            ]
        },
        {
            "gen_ai.tool.definitions": json.dumps(
                [{"type": "builtin_function", "function": {"name": "$web_search"}}]
            )
        },
        {SCHEMA: json.dumps({**OPENAIS, "filters": None})},  # OpenInference from here on
        {SCHEMA: json.dumps(ANTHROPICS)},
        {f"{PART}.tool_calls.0.tool_call.function.name": "web_search_call"},
        {f"{PART}.contents.1.message_content.type": "web_search_tool_result"},
        {"llm.invocation_parameters": '{"web_search_options": {"search_context_size": "high"}}'},
        {"llm.invocation_parameters": '{"tools": [{"type": "web_search"}]}'},
        {"llm.invocation_parameters": '{"plugins": [{"id": "web"}]}'},
        {"gen_ai.response.finish_reasons": ("pause_turn",)},
        {"openai.response.built_in_tools": "web_search"},  # OpenLIT from here on
        {"openai.response.built_in_tools": "computer_use, file_search, web_search"},
        {"gen_ai.tool.definitions": json.dumps([{**FUNCTION, "description": ""}])},
    ],
    ids=str,
)
def test_a_tool_that_is_billed_and_not_counted_keeps_a_span_from_exact(
    shown: dict[str, object],
) -> None:
    assert status(OPENAI) == "exact"
    assert status(OPENAI | shown) == "partial"


@pytest.mark.parametrize(
    "shown",
    [
        {"gen_ai.tool.definitions": json.dumps([FUNCTION])},
        {"gen_ai.tool.definitions": "[]"},
        {"gen_ai.tool.definitions": "not reported"},
        {"gen_ai.tool.definitions": 7},
        {"gen_ai.tool.definitions": json.dumps([7, None, {"type": "function", "function": {}}])},
        {"gen_ai.request.available_tools": '[{"name": "web_search", "input_schema": {}}]'},
        {"gen_ai.tool.definitions": '[{"type": "web_fetch_20250910", "name": "web_fetch"}]'},
        {"gen_ai.tool.definitions": '[{"type": "mcp", "server_label": "search"}]'},
        {SCHEMA: json.dumps(FUNCTION)},
        {f"{PART}.tool_calls.0.tool_call.function.name": "web_search"},
        {f"{PART}.contents.0.message_content.type": "text"},
        {"llm.invocation_parameters": '{"web_search_options": null}'},
        {"gen_ai.response.finish_reasons": ("tool_calls",)},
        {"openai.response.built_in_tools": "computer_use"},
        {"openai.response.built_in_tools": ["web_search"]},  # no instrumentation writes a list
        {"gen_ai.tool.definitions": json.dumps([{**FUNCTION, "description": "Looks it up"}])},
        {"gen_ai.tool.definitions": '[{"type": "function", "description": "", "parameters": {}}]'},
    ],
    ids=str,
)
def test_a_function_of_the_callers_own_costs_no_fee(shown: dict[str, object]) -> None:
    assert status(OPENAI | shown) == "exact"


@pytest.mark.parametrize(
    ("tools", "total", "expected"),
    [
        ([{"google_search": {}}], 180, "partial"),
        ([{"googleSearch": {}}], None, "partial"),
        ([{"google_maps": {}}], 180, "partial"),
        ([{"functionDeclarations": [{"name": "google_search"}]}], 180, "exact"),
        # Their tokens are input, where the span counts them: its total says whether it does.
        ([{"url_context": {}}], 180, "exact"),
        ([{"url_context": {}}], None, "partial"),
        ([{"codeExecution": {}}], None, "partial"),
    ],
)
def test_geminis_tools_are_recognised_by_the_names_of_their_objects(
    tools: list[object], total: int | None, expected: str
) -> None:
    shown = GEMINI | {"gen_ai.tool.definitions": json.dumps(tools)}
    if total is not None:
        shown["gen_ai.usage.total_tokens"] = total
    assert status(shown) == expected


@pytest.mark.parametrize(
    "name",
    [
        "gen_ai.usage.details.web_search_requests",  # Pydantic AI
        "gen_ai.usage.web_search_requests",
        "gen_ai.usage.server_tool_use.web_search_requests",
        "anthropic.usage.server_tool_use.web_search_requests",
        "llm.token_count.prompt_details.web_search_requests",
    ],
)
def test_searches_that_a_span_counts_are_billed_and_leave_it_exact(name: str) -> None:
    shown = LATEST | {"gen_ai.request.available_tools": json.dumps([ANTHROPICS]), name: 2}
    found = {**event(shown), "started_at_us": PRICES_KNOWN_US}
    assert (found["web_searches"], found["usage_source"]) == (2, "provider")
    verdict = priced(found)
    assert verdict["price_status"] == "exact"
    # 1,000 x 3 + 100 x 15 USD a million, and two searches at 10 USD per 1,000.
    assert verdict["cost_pico_usd"] == 3_000_000_000 + 1_500_000_000 + 20_000_000_000
    fees = {**shown, "gen_ai.tool.definitions": '[{"type": "file_search"}]'}
    assert status(fees) == "partial"


def test_openinference_tells_anthropics_searches_in_its_metadata() -> None:
    reported = '{"server_tool_use": {"web_fetch_requests": 0, "web_search_requests": 3}}'
    shown = LATEST | {SCHEMA: json.dumps(ANTHROPICS), "metadata": reported}
    found = event(shown, scope="openinference.instrumentation.anthropic")
    assert (found["web_searches"], found["usage_source"]) == (3, "provider")
    other = event(shown, scope="another.vendor")  # their metadata is their own
    assert (other.get("web_searches"), other["usage_source"]) == (None, "missing")


def test_searches_by_gemini_2_are_billed_by_the_prompt() -> None:
    assert event(GEMINI | {"gen_ai.usage.web_search_requests": 3})["web_searches"] == 1


def test_openllmetry_names_no_tool_of_the_providers_and_stops_for_one() -> None:
    stopped = OPENAI | {"gen_ai.response.finish_reasons": ("tool_call",)}
    assert status(stopped, name="openai.response") == "partial"
    own = {"gen_ai.tool.definitions": '[{"type": "function", "name": "web_search"}]'}
    assert status(stopped | own, name="openai.response") == "exact"
    assert status(stopped, name="openai.chat") == "exact"


def test_what_openinference_tells_of_pages_that_gemini_read() -> None:
    # A call of a report: 1,041 of the prompt, 377,545 of pages, 902 written, 2,191 thought.
    counted: dict[str, object] = {
        "openinference.span.kind": "LLM", "llm.provider": "google",
        "llm.model_name": "gemini-2.5-flash", "llm.token_count.prompt": 378_586,
        "llm.token_count.completion": 3_093, "llm.token_count.total": 381_679,
        "llm.token_count.completion_details.reasoning": 2_191, SCHEMA: '{"url_context": {}}',
    }  # fmt: skip
    found = {**event(counted), "started_at_us": PRICES_KNOWN_US}
    verdict = priced(found)
    assert verdict["price_status"] == "exact"
    assert verdict["cost_pico_usd"] == 378_586 * 300_000 + 3_093 * 2_500_000
    # What a search brought is free, and stands in the same number.
    assert status(counted | {SCHEMA: '{"google_search": {}}'}) == "partial"
    # Older versions left pages and searches out of the prompt: which one it was is not known.
    assert status(counted | {"llm.token_count.prompt": 1_041}) == "partial"


@pytest.mark.parametrize(
    ("counts", "expected"),
    [
        # prompt, completion, thoughts, total -> input, output; None: not known
        ((20, 424, 0, 1_016), (20, 996)),
        ((21, 0, 60, 81), (21, 60)),
        ((20, 424, 60, 504), (20, 484)),
        ((20, 424, 60, 444), (20, 424)),
        ((20, 424, 60, 1_016), None),
    ],
)
def test_a_total_decides_alike_in_a_clients_answer_and_in_its_span(
    counts: tuple[int, int, int, int], expected: tuple[int, int] | None
) -> None:
    prompt, completion, thoughts, total = counts
    usage = {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": total,
        "completion_tokens_details": {"reasoning_tokens": thoughts},
    }
    answer = read_usage(usage)
    shown = GEMINI | {
        "gen_ai.usage.input_tokens": prompt,
        "gen_ai.usage.output_tokens": completion,
        "gen_ai.usage.reasoning_tokens": thoughts,
        "gen_ai.usage.total_tokens": total,
    }
    of_span = event(shown, scope="opentelemetry.instrumentation.openai.v1")
    for found in (answer, of_span):
        assert (found["input_tokens"], found["output_tokens"]) == (expected or (20, 424))
        assert (found.get("usage_source") == "missing") == (expected is None)


def test_what_tools_read_is_input_where_the_output_has_the_thoughts() -> None:
    found: dict[str, object] = {"input_tokens": 20, "output_tokens": 424, "reasoning_tokens": 60}
    settle(found, 1_016, is_output=False, has_thoughts=True)
    assert (found["input_tokens"], found.get("usage_source")) == (592, None)
