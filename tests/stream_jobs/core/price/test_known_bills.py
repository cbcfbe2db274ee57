"""Amounts that were billed, or that a provider's page gives, call by call."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from tokentide_jobs.core.price.explain import explanation, request_frame
from tokentide_jobs.core.price.pricing import price
from tokentide_jobs.io.files.price_source import compile_cards

DAY = "2026-12-01"
SONNET = "anthropic.claude-sonnet-4-5-20250929-v1:0"


def us(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * 1_000_000


def call(provider: str, model: str, at: str = DAY, **usage: Any) -> dict[str, Any]:
    return {
        "provider": provider, "request_model": model, "status": "ok", "operation": "chat",
        "usage_source": "provider", "started_at_us": us(at), **usage,
    }  # fmt: skip


def tokens(given: int, made: int, **more: int) -> dict[str, Any]:
    return {"input_tokens": given, "output_tokens": made, **more}


MILLION = tokens(1_000_000, 1_000_000)


@pytest.mark.parametrize(
    ("event", "status", "usd"),
    [
        # A bill of xAI's: 6 x 1.25 + 192 x 0.20 + 120 x 2.50.
        (
            call("x_ai", "grok-4-latest", **tokens(198, 120, cache_read_tokens=192)),
            "alias",
            "0.0003459",
        ),
        # Bedrock, one token short of a long context and one beyond: by the pages of AWS.
        (call("aws.bedrock", f"global.{SONNET}", **tokens(200_000, 1_000)), "exact", "0.615"),
        (call("aws.bedrock", f"global.{SONNET}", **tokens(200_001, 1_000)), "exact", "1.222506"),
        (call("aws.bedrock", f"us.{SONNET}", **tokens(200_000, 1_000)), "exact", "0.6765"),
        (call("aws.bedrock", f"us.{SONNET}", **tokens(200_001, 1_000)), "exact", "1.3447566"),
        (call("fireworks", "accounts/fireworks/models/glm-5", **MILLION), "exact", "4.2"),
        (call("together", "moonshotai/kimi-k2-instruct", **MILLION), "exact", "4"),
        (call("together", "deepseek-ai/deepseek-r1-0528", **MILLION), "exact", "10"),
        (
            call(
                "openai",
                "gpt-4o-audio-preview",
                **tokens(100, 1_000, input_audio_tokens=100, output_audio_tokens=1_000),
            ),
            "exact",
            "0.084",
        ),
        (call("deepseek", "deepseek-chat", "2025-09-10", **MILLION), "alias", "2.24"),
        (call("deepseek", "deepseek-reasoner", "2025-09-10", **MILLION), "alias", "2.24"),
        (call("deepseek", "deepseek-chat", "2025-09-30", **MILLION), "alias", "0.7"),
        (call("mistral", "mistral-large-latest", "2025-12-01T23:59:59", **MILLION), "alias", "8"),
        (call("mistral", "mistral-large-latest", "2025-12-02", **MILLION), "alias", "2"),
        # The service that `:online` adds is billed beside the tokens, and not reported.
        (call("openrouter", "openai/gpt-4o:online", **MILLION), "alias", "12.5"),
        # Claude Sonnet 4 on Vertex AI: no page tells since when a long context cost more.
        (
            call(
                "gcp.vertex_ai", "claude-sonnet-4@20250514", "2026-11-01", **tokens(300_000, 1_000)
            ),
            "undated",
            "1.8225",
        ),
    ],
    ids=lambda value: value["request_model"] if isinstance(value, dict) else str(value),
)
def test_a_call_costs_what_it_was_billed(event: dict[str, Any], status: str, usd: str) -> None:
    row = price(request_frame(event), compile_cards()).row(0, named=True)
    assert row["cost_pico_usd"] == Decimal(usd).scaleb(12), row["price_rule"]
    assert row["price_status"] == status, row["price_rule"]


@pytest.mark.parametrize(
    ("model", "usage", "status"),
    [
        ("gpt-4o-mini", {"web_searches": 1}, "partial"),
        ("gpt-4.1-mini-2025-04-14", {"web_searches": 2}, "partial"),
        ("gpt-4o-mini", {"web_searches": 0}, "exact"),
        ("gpt-4o-mini", {}, "exact"),
        ("gpt-4o-mini", {"web_searches": 1, "other_units": {"preview_web_searches": 1}}, "exact"),
        ("gpt-4o", {"web_searches": 1}, "exact"),
        ("gpt-5.4-mini", {"web_searches": 1}, "exact"),
    ],
)
def test_a_block_of_tokens_that_nobody_reports_makes_a_search_partial(
    model: str, usage: dict[str, Any], status: str
) -> None:
    event = call("openai", model, **tokens(10, 10), **usage)
    row = price(request_frame(event), compile_cards()).row(0, named=True)
    assert row["price_status"] == status, row["price_rule"]
    lines = explanation(event, compile_cards()).lines
    assert any("8,000 input tokens" in line for line in lines) == (status == "partial")


@pytest.mark.parametrize(
    ("provider", "model", "usage", "status"),
    [
        ("openai", "o3-deep-research", {}, "partial"),
        ("openai", "o3-deep-research", {"web_searches": 12}, "exact"),
        ("perplexity", "sonar-deep-research", {}, "partial"),
        ("openrouter", "perplexity/sonar-pro", {}, "partial"),
        ("openrouter", "openai/gpt-4o-search-preview", {}, "partial"),
        # A fee of the request covers their searches.
        ("openai", "gpt-4o-search-preview", {}, "exact"),
        ("openai", "gpt-5-search-api", {}, "exact"),
        ("openai", "o3", {}, "exact"),
    ],
)
def test_a_model_that_searches_by_itself_is_exact_only_with_its_searches_or_its_fee(
    provider: str, model: str, usage: dict[str, Any], status: str
) -> None:
    event = call(provider, model, **tokens(100, 10), **usage)
    row = price(request_frame(event), compile_cards()).row(0, named=True)
    assert row["price_status"] == status, row["price_rule"]
    lines = explanation(event, compile_cards()).lines
    assert any("searches by itself" in line for line in lines) == (status == "partial")


@pytest.mark.parametrize(
    ("asked", "served", "usd"),
    [
        ("global.anthropic.claude-sonnet-4-5-20250929-v1:0", "claude-sonnet-4-5-20250929", "0.018"),
        ("us.anthropic.claude-sonnet-4-5-20250929-v1:0", "claude-sonnet-4-5-20250929", "0.0198"),
        ("global.anthropic.claude-opus-4-6-v1", "claude-opus-4-6", "0.03"),
        ("eu.anthropic.claude-haiku-4-5-20251001-v1:0", "claude-haiku-4-5-20251001", "0.0066"),
    ],
)
def test_a_profile_of_bedrock_keeps_its_place_where_the_answer_names_the_model_alone(
    asked: str, served: str, usd: str
) -> None:
    # Anthropic's client for Bedrock: the answer has Anthropic's name, without the profile.
    event = call("aws.bedrock", asked, response_model=served, **tokens(1_000, 1_000))
    row = price(request_frame(event), compile_cards()).row(0, named=True)
    assert row["cost_pico_usd"] == Decimal(usd).scaleb(12), row["price_rule"]
    assert row["price_status"] == "exact", row["price_rule"]


@pytest.mark.parametrize(
    ("provider", "model", "usd"),
    [
        # 100,000 tokens read and as many written, by rates written down apart from the cards.
        ("openai", "gpt-4.1", "1"),
        ("openai", "gpt-4.1-mini", "0.2"),
        ("openai", "gpt-4.1-nano", "0.05"),
        ("openai", "gpt-4-turbo", "4"),
        ("openai", "gpt-3.5-turbo", "0.2"),
        ("openai", "o1", "7.5"),
        ("openai", "o1-mini", "0.55"),
        ("openai", "o3-mini", "0.55"),
        ("openai", "o3-pro", "10"),
        ("openai", "o4-mini", "0.55"),
        ("openai", "gpt-5", "1.125"),
        ("openai", "gpt-5-nano", "0.045"),
        ("openai", "gpt-5-pro", "13.5"),
        ("openai", "gpt-5.1", "1.125"),
        ("openai", "gpt-5.2", "1.575"),
        ("anthropic", "claude-3-haiku-20240307", "0.15"),
        ("anthropic", "claude-3-5-haiku-20241022", "0.48"),
        ("anthropic", "claude-haiku-4-5", "0.6"),
        ("anthropic", "claude-opus-4-1", "9"),
        ("anthropic", "claude-opus-4-5", "3"),
        ("gcp.gemini", "gemini-2.0-flash", "0.05"),
        ("gcp.gemini", "gemini-2.0-flash-lite", "0.0375"),
        ("gcp.gemini", "gemini-2.5-flash-lite", "0.05"),
        ("gcp.gemini", "gemini-2.5-pro", "1.125"),
        ("gcp.gemini", "gemini-3-flash-preview", "0.35"),
        ("mistral_ai", "mistral-small-2506", "0.04"),
        ("mistral_ai", "codestral-2508", "0.12"),
        ("mistral_ai", "pixtral-large-2411", "0.8"),
        ("mistral_ai", "ministral-8b-2410", "0.02"),
        ("cohere", "command-a-03-2025", "1.25"),
        ("cohere", "command-r7b-12-2024", "0.01875"),
        ("cohere", "command-r-08-2024", "0.075"),
        ("groq", "llama-3.3-70b-versatile", "0.138"),
        ("groq", "llama-3.1-8b-instant", "0.013"),
        ("x_ai", "grok-3", "1.8"),
        ("x_ai", "grok-3-mini", "0.08"),
        ("x_ai", "grok-4-0709", "1.8"),
        ("aws.bedrock", "us.amazon.nova-pro-v1:0", "0.4"),
        ("aws.bedrock", "us.amazon.nova-micro-v1:0", "0.0175"),
        ("aws.bedrock", "us.anthropic.claude-3-5-sonnet-20241022-v2:0", "1.8"),
        ("together", "meta-llama/Llama-3.3-70B-Instruct-Turbo", "0.176"),
    ],
)
def test_a_model_costs_its_published_rates(provider: str, model: str, usd: str) -> None:
    row = price(
        request_frame(call(provider, model, **tokens(100_000, 100_000))), compile_cards()
    ).row(0, named=True)
    assert (row["cost_pico_usd"], row["price_status"]) == (Decimal(usd).scaleb(12), "exact")
