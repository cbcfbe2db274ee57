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


MILLION = tokens(1_000_000, 2_000_000)
"""Unlike amounts: rates of input and output that change places come to another sum."""
CACHED = tokens(1_000, 100, cache_read_tokens=400)
NAMED = "claude-sonnet-4-5@20250929"


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
        (call("fireworks", "accounts/fireworks/models/glm-5", **MILLION), "exact", "7.4"),
        (call("together", "moonshotai/kimi-k2-instruct", **MILLION), "exact", "7"),
        (call("together", "deepseek-ai/deepseek-r1-0528", **MILLION), "exact", "17"),
        (
            call(
                "openai",
                "gpt-4o-audio-preview",
                **tokens(100, 1_000, input_audio_tokens=100, output_audio_tokens=1_000),
            ),
            "exact",
            "0.084",
        ),
        # DeepSeek: 0.56/1.68 from 16:00 on 5 September 2025, 0.28/0.42 from the 29th.
        (call("deepseek", "deepseek-chat", "2025-09-05T16:00:00", **CACHED), "alias", "0.000532"),
        (
            call("deepseek", "deepseek-reasoner", "2025-09-28T23:59:59", **CACHED),
            "alias",
            "0.000532",
        ),
        (call("deepseek", "deepseek-chat", "2025-09-29", **CACHED), "alias", "0.0002212"),
        (call("deepseek", "deepseek-reasoner", "2025-09-29", **CACHED), "alias", "0.0002212"),
        (call("azure.ai.inference", "DeepSeek-V3.2", **MILLION), "exact", "3.94"),
        (call("aws.bedrock", "zai.glm-5", region="us-west-2", **MILLION), "exact", "7.4"),
        # Fine-tuned models have rates of their own, for what is cached too.
        (call("openai", "ft:gpt-4.1-2025-04-14:org::id", **CACHED), "exact", "0.0033"),
        (call("openai", "ft:gpt-4.1-mini-2025-04-14:org::id", **CACHED), "exact", "0.00088"),
        (call("openai", "ft:gpt-4.1-nano-2025-04-14:org::id", **CACHED), "exact", "0.00022"),
        (call("openai", "ft:o4-mini-2025-04-16:org::id", **CACHED), "exact", "0.0044"),
        (call("openai", "ft:gpt-4o-2024-08-06:org::id", **CACHED), "alias", "0.0045"),
        (call("openai", "ft:gpt-4o-mini-2024-07-18:org::id", **CACHED), "alias", "0.00036"),
        # Reranking, by the search.
        (call("cohere", "rerank-v3.5", other_units={"search_units": 3}), "exact", "0.006"),
        (call("cohere", "rerank-v4.0-pro", other_units={"search_units": 3}), "exact", "0.0075"),
        (
            call(
                "aws.bedrock",
                "cohere.rerank-v3-5:0",
                region="us-west-2",
                other_units={"search_units": 3},
            ),
            "exact",
            "0.006",
        ),
        # A place outside the global endpoint costs 1.1 times, however the model is spelled.
        (call("gcp.vertex_ai", NAMED, region="global", **CACHED), "exact", "0.00342"),
        (call("gcp.vertex_ai", NAMED, region="us-east5", **CACHED), "exact", "0.003762"),
        (call("gcp.vertex_ai", NAMED, region="eu", **CACHED), "exact", "0.003762"),
        (
            call("gcp.vertex_ai", f"publishers/anthropic/models/{NAMED}", region="eu", **CACHED),
            "exact",
            "0.003762",
        ),
        (
            call(
                "gcp.vertex_ai",
                "publishers/google/models/gemini-3.1-pro-preview",
                region="us-central1",
                **tokens(1_000, 100),
            ),
            "exact",
            "0.00352",
        ),
        (call("anthropic", "claude-opus-4-6", inference_geo="us", **CACHED), "exact", "0.00627"),
        (
            call(
                "gcp.gemini",
                "models/gemini-2.5-flash",
                **tokens(16, 300),
                other_units={"map_groundings": 1},
            ),
            "exact",
            "0.0257548",
        ),
        (call("mistral", "mistral-large-latest", "2025-12-01T23:59:59", **MILLION), "alias", "14"),
        (call("mistral", "mistral-large-latest", "2025-12-02", **MILLION), "alias", "3.5"),
        # The service that `:online` adds is billed beside the tokens, and not reported.
        (call("openrouter", "openai/gpt-4o:online", **MILLION), "alias", "22.5"),
        (call("openrouter", "openai/gpt-4o:nitro", **MILLION), "alias", "22.5"),
        (call("openai", "openai/gpt-4o", **MILLION), "exact", "22.5"),
        # Claude Sonnet 4 on Vertex AI: no page states since when a long context cost more.
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
def test_a_block_of_tokens_that_is_not_reported_makes_a_search_partial(
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
    ("provider", "model", "given", "made"),
    [
        # USD per million tokens of input and of output, written down apart from the cards.
        ("openai", "gpt-4.1", "2", "8"),
        ("openai", "gpt-4.1-mini", "0.4", "1.6"),
        ("openai", "gpt-4.1-nano", "0.1", "0.4"),
        ("openai", "gpt-4-turbo", "10", "30"),
        ("openai", "gpt-3.5-turbo", "0.5", "1.5"),
        ("openai", "o1", "15", "60"),
        ("openai", "o1-mini", "1.1", "4.4"),
        ("openai", "o3-mini", "1.1", "4.4"),
        ("openai", "o3-pro", "20", "80"),
        ("openai", "o4-mini", "1.1", "4.4"),
        ("openai", "gpt-5", "1.25", "10"),
        ("openai", "gpt-5-nano", "0.05", "0.4"),
        ("openai", "gpt-5-pro", "15", "120"),
        ("openai", "gpt-5.1", "1.25", "10"),
        ("openai", "gpt-5.2", "1.75", "14"),
        ("anthropic", "claude-3-haiku-20240307", "0.25", "1.25"),
        ("anthropic", "claude-3-5-haiku-20241022", "0.8", "4"),
        ("anthropic", "claude-haiku-4-5", "1", "5"),
        ("anthropic", "claude-opus-4-1", "15", "75"),
        ("anthropic", "claude-opus-4-5", "5", "25"),
        ("gcp.gemini", "gemini-2.0-flash", "0.1", "0.4"),
        ("gcp.gemini", "gemini-2.0-flash-lite", "0.075", "0.3"),
        ("gcp.gemini", "gemini-2.5-flash-lite", "0.1", "0.4"),
        ("gcp.gemini", "gemini-2.5-pro", "1.25", "10"),
        ("gcp.gemini", "gemini-3-flash-preview", "0.5", "3"),
        ("mistral_ai", "mistral-small-2506", "0.1", "0.3"),
        ("mistral_ai", "codestral-2508", "0.3", "0.9"),
        ("mistral_ai", "pixtral-large-2411", "2", "6"),
        ("mistral_ai", "ministral-8b-2410", "0.1", "0.1"),
        ("cohere", "command-a-03-2025", "2.5", "10"),
        ("cohere", "command-r7b-12-2024", "0.0375", "0.15"),
        ("cohere", "command-r-08-2024", "0.15", "0.6"),
        ("groq", "llama-3.3-70b-versatile", "0.59", "0.79"),
        ("groq", "llama-3.1-8b-instant", "0.05", "0.08"),
        ("x_ai", "grok-3", "3", "15"),
        ("x_ai", "grok-3-mini", "0.3", "0.5"),
        ("x_ai", "grok-4-0709", "3", "15"),
        ("aws.bedrock", "us.amazon.nova-pro-v1:0", "0.8", "3.2"),
        ("aws.bedrock", "us.amazon.nova-micro-v1:0", "0.035", "0.14"),
        ("aws.bedrock", "us.anthropic.claude-3-5-sonnet-20241022-v2:0", "3", "15"),
        ("together", "meta-llama/Llama-3.3-70B-Instruct-Turbo", "0.88", "0.88"),
    ],
)
def test_a_model_costs_its_published_rates(
    provider: str, model: str, given: str, made: str
) -> None:
    # Unlike amounts, so that rates cannot change places; below the bounds of long contexts.
    event = call(provider, model, **tokens(100_000, 1_000))
    row = price(request_frame(event), compile_cards()).row(0, named=True)
    picos = 100_000_000_000 * Decimal(given) + 1_000_000_000 * Decimal(made)
    assert (row["cost_pico_usd"], row["price_status"]) == (picos, "exact")
