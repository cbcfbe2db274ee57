"""What keeps a price from being exact has a word of its own, and the most severe word is shown."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import polars as pl
import pytest

from tests.places import ROOT
from tokentide_jobs.core.price.explain import explanation, request_frame
from tokentide_jobs.core.price.hosts import region_of_host, regions
from tokentide_jobs.core.price.lookup import Price, resolve
from tokentide_jobs.core.price.pricing import price
from tokentide_jobs.core.price.statuses import STATUS_CODES, STATUS_MEANINGS, least_certain
from tokentide_jobs.core.price.vocabulary import CallTerms
from tokentide_jobs.io.files.price_source import compile_cards

AT = "2026-12-01"
PROFILE = "anthropic.claude-sonnet-4-6"
OWN_PROFILE = "arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/a1b2c3"


def us(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * 1_000_000


def found(provider: str, model: str, at: str = AT, **call: str) -> Price:
    terms = CallTerms(provider=provider, request_model=model, **call)
    return resolve(compile_cards(), terms, us(at))


@pytest.mark.parametrize(
    ("provider", "model", "call", "status", "input_rate"),
    [
        ("openai", "gpt-4o", {}, "exact", 2_500_000),
        ("openai", "gpt-4o", {"at": "2026-11-12"}, "exact", 2_500_000),
        ("openai", "gpt-4o", {"at": "2026-11-11T23:59:59"}, "undated", 2_500_000),
        ("openai", "o3", {"at": "2025-06-09"}, "undated", 10_000_000),
        ("openai", "o3", {"at": "2025-06-10"}, "exact", 2_000_000),
        ("openai", "gpt-5-chat-latest", {}, "alias", 1_250_000),
        ("mistral", "mistral-small-latest", {}, "alias", 150_000),
        ("deepseek", "deepseek-chat", {}, "alias", 280_000),
        ("openrouter", "openai/gpt-4o:nitro", {}, "alias", 2_500_000),
        ("gcp.gemini", "gemini-1.5-flash-8b", {}, "alias", 75_000),
        ("gcp.gemini", "gemini-1.5-flash-002", {}, "exact", 75_000),
        ("anthropic", "claude-sonnet-4-5-evil", {}, "alias", 3_000_000),
        ("anthropic", "claude-sonnet-4-5-20250929", {}, "exact", 3_000_000),
        ("anthropic", "claude-sonnet-4-5@20250929", {}, "exact", 3_000_000),
        ("anthropic", "claude-opus-4-6-fast", {}, "alias", 5_000_000),
        ("azure.ai.openai", "gpt-4o", {}, "resold", 2_500_000),
        ("azure.ai.inference", "claude-opus-4-6", {}, "resold", 5_000_000),
        ("azure.ai.openai", "text-embedding-3-small", {}, "fallback_region", 20_000),
        ("azure.ai.openai", "o4-mini", {"region": "global"}, "exact", 1_100_000),
        ("azure.ai.openai", "text-embedding-3-small", {"region": "eu"}, "exact", 22_000),
        ("azure.ai.inference", "DeepSeek-V3.2", {}, "exact", 580_000),
        ("anthropic", "claude-opus-4-6", {}, "exact", 5_000_000),
        ("anthropic", "claude-opus-4-6", {"inference_geo": "us"}, "exact", 5_500_000),
        ("anthropic", "claude-opus-4-6", {"inference_geo": "eu"}, "fallback_region", 5_000_000),
        ("anthropic", "claude-opus-4-5", {"inference_geo": "us"}, "fallback_region", 5_000_000),
        ("anthropic", "claude-opus-4-6", {"region": "us-east-1"}, "exact", 5_000_000),
        ("gcp.vertex_ai", "claude-opus-4-6", {}, "fallback_region", 5_000_000),
        ("gcp.vertex_ai", "claude-opus-4-6", {"region": "global"}, "exact", 5_000_000),
        ("gcp.vertex_ai", "claude-opus-4-6", {"region": "us-east5"}, "exact", 5_500_000),
        ("gcp.vertex_ai", "claude-opus-4-6", {"region": "eu"}, "exact", 5_500_000),
        ("gcp.vertex_ai", "claude-3-opus", {"region": "us-east5"}, "exact", 15_000_000),
        ("gcp.vertex_ai", "gemini-3.1-flash-lite", {"region": "us-east5"}, "exact", 275_000),
        ("gcp.gemini", "gemini-3.1-flash-lite", {}, "exact", 250_000),
        ("openai", "gpt-5.4", {"region": "eu"}, "exact", 2_750_000),
        ("openai", "gpt-5.4", {"region": "eastus2"}, "exact", 2_500_000),
        ("openai", "gpt-4o", {"region": "eu"}, "exact", 2_500_000),
        ("x_ai", "grok-4.6", {"region": "us"}, "exact", 2_200_000),
        ("aws.bedrock", f"global.{PROFILE}", {"region": "us-east-1"}, "exact", 3_000_000),
        ("aws.bedrock", f"eu.{PROFILE}", {"region": "eu-west-1"}, "exact", 3_300_000),
        ("aws.bedrock", PROFILE, {"region": "us-east-1"}, "fallback_region", 3_300_000),
        ("aws.bedrock", f"us-gov.{PROFILE}", {}, "fallback_region", 3_300_000),
        ("aws.bedrock", "zai.glm-5", {"region": "us-west-2"}, "exact", 1_000_000),
        ("aws.bedrock", "zai.glm-5", {"region": "eu-north-1"}, "fallback_region", 1_000_000),
        ("aws.bedrock", "zai.glm-5", {}, "fallback_region", 1_000_000),
        ("aws.bedrock", "apac.amazon.nova-lite-v1:0", {}, "fallback_region", 60_000),
        ("aws.bedrock", OWN_PROFILE, {}, "unpriced", None),
        (
            "aws.bedrock",
            OWN_PROFILE,
            {"response_model": "claude-sonnet-4-6", "region": "us-east-1"},
            "fallback_region",
            3_300_000,
        ),
        (
            "aws.bedrock",
            OWN_PROFILE,
            {"response_model": "amazon.nova-lite-v1:0", "region": "us-east-1"},
            "fallback_region",
            60_000,
        ),
        (
            "openai",
            "gpt-4o",
            {"service_tier": "flex", "at": "2026-01-01"},
            "fallback_tier",
            2_500_000,
        ),
        ("azure", "gpt-5-chat-latest", {"service_tier": "flex"}, "fallback_tier", 1_250_000),
        # Our own entry is the standard price, though the list has another one for batches.
        (
            "gcp.gemini",
            "gemini-3.8-flash-cyber",
            {"processing": "batch"},
            "fallback_tier",
            1_500_000,
        ),
        ("openai", "gpt-99", {}, "unpriced", None),
    ],
)
def test_each_doubt_has_its_word(
    provider: str, model: str, call: dict[str, str], status: str, input_rate: int | None
) -> None:
    priced = found(provider, model, **call)
    assert priced.status == status, priced.rule
    assert (priced.rates["input_tokens"].base if priced.rates else None) == input_rate


@pytest.mark.parametrize(
    ("provider", "model", "unit", "input_tokens", "rate"),
    [
        ("x_ai", "grok-code-fast-1", "input_tokens", 199_999, 1_000_000),
        ("x_ai", "grok-code-fast-1", "input_tokens", 200_000, 2_000_000),
        ("x_ai", "grok-code-fast-1", "output_tokens", 200_000, 4_000_000),
        ("gcp.vertex_ai", "gemini-2.0-flash", "input_audio_tokens", 1, 1_000_000),
        (
            "aws.bedrock",
            "us.anthropic.claude-sonnet-4-20250514-v1:0",
            "output_tokens",
            200_001,
            22_500_000,
        ),
    ],
)
def test_our_entries_have_the_rates_of_long_contexts_and_audio(
    provider: str, model: str, unit: str, input_tokens: int, rate: int
) -> None:
    priced = found(provider, model)
    assert (priced.rates[unit].at(input_tokens), priced.status) == (rate, "exact")


def test_the_rule_names_every_uncertainty_the_most_severe_first() -> None:
    priced = found("azure", "gpt-5-chat-latest", "2026-10-01", service_tier="flex")
    assert priced.rule == (
        "genai-prices:openai/gpt-5!service_tier=flex!resold!place=unknown!alias!undated"
    )


def test_a_place_multiplies_tokens_and_not_searches() -> None:
    here = found("anthropic", "claude-opus-4-6").rates
    there = found("anthropic", "claude-opus-4-6", inference_geo="us").rates
    assert there["web_searches"] == here["web_searches"]
    assert there["cache_write_1h_tokens"].base * 10 == here["cache_write_1h_tokens"].base * 11


@pytest.mark.parametrize(
    ("host", "region"),
    [
        ("bedrock-runtime.eu-west-1.amazonaws.com", "eu-west-1"),
        ("bedrock-runtime-fips.us-gov-west-1.amazonaws.com", "us-gov-west-1"),
        ("bedrock-mantle.us-east-2.api.aws", "us-east-2"),
        ("us-east5-aiplatform.googleapis.com", "us-east5"),
        ("aiplatform.eu.rep.googleapis.com", "eu"),
        ("AIplatform.googleapis.com", "global"),
        ("eu.api.openai.com", "eu"),
        ("us.api.x.ai", "us"),
        ("api.openai.com", ""),
        ("evil-eu.api.openai.com.example", ""),
        ("", ""),
    ],
)
def test_a_host_tells_the_place_where_its_provider_puts_it_there(host: str, region: str) -> None:
    assert region_of_host(host) == region


def test_the_place_that_a_host_names_stands_before_the_reported_one() -> None:
    frame = pl.DataFrame(
        {
            "region": ["us-east5", "us-east5", "", None],
            "server_address": [
                "aiplatform.googleapis.com", "gateway.internal", "eu.api.openai.com", None,
            ],
        }
    )  # fmt: skip
    assert regions(frame).to_list() == ["global", "us-east5", "eu", ""]
    assert regions(frame.drop("server_address")).to_list() == ["us-east5", "us-east5", "", ""]


@pytest.mark.parametrize("region", ["", "eastus2"])
def test_a_call_to_a_host_is_priced_alike_in_columns_and_explained(region: str) -> None:
    event: dict[str, Any] = {
        "provider": "openai", "request_model": "gpt-5.4", "server_address": "eu.api.openai.com",
        "status": "ok", "input_tokens": 100, "output_tokens": 10, "started_at_us": us(AT),
        "region": region,
    }  # fmt: skip
    row = price(request_frame(event), compile_cards()).row(0, named=True)
    assert row["cost_pico_usd"] == 100 * 2_750_000 + 10 * 16_500_000
    assert row["price_status"] == "exact"
    shown = explanation(event, compile_cards())
    assert shown.priced["price_rule"] == row["price_rule"] == "genai-prices:openai/gpt-5.4[eu x1.1]"
    assert any("x 2.75 USD/Mtok" in line for line in shown.lines)


def test_usage_and_card_are_weighed_together() -> None:
    def status(**event: Any) -> str:
        usual = {"provider": "openai", "request_model": "gpt-4o", "status": "ok"}
        full = {**usual, "input_tokens": 10, "output_tokens": 1, "started_at_us": us(AT), **event}
        return str(price(request_frame(full), compile_cards())["price_status"][0])

    lamps = {"other_units": json.dumps({"lamps": 1})}
    assert status(**lamps) == "partial"
    assert status(provider="azure", **lamps) == "partial"
    assert status(provider="azure") == "resold"
    assert status(service_tier="wormhole", **lamps) == "fallback_tier"
    assert status(request_model="gpt-99", **lamps) == "unpriced"
    assert (
        status(provider="azure", status="error", input_tokens=None, output_tokens=None) == "exact"
    )


@pytest.mark.parametrize(
    ("call", "status"),
    [
        ({"output_tokens": 5}, "partial"),
        ({"input_tokens": 5}, "partial"),
        ({"input_tokens": 5, "operation": "text_completion"}, "partial"),
        ({"output_tokens": 5, "operation": "generate_content"}, "partial"),
        ({"input_tokens": 0}, "partial"),
        ({"input_tokens": 5, "output_tokens": 0}, "exact"),
        ({"input_tokens": 5, "status": "filtered", "usage_source": "provider"}, "exact"),
        ({"input_tokens": 5, "status": "error"}, "exact"),
        ({"output_tokens": 5, "status": "filtered", "usage_source": "provider"}, "partial"),
        ({"input_tokens": 5, "status": "error", "chunks": 3}, "partial"),
        ({"status": "error"}, "exact"),
        (
            {"input_tokens": 5, "operation": "embeddings", "model": "text-embedding-3-small"},
            "exact",
        ),
    ],
)
def test_one_total_of_two_is_not_the_whole_usage(call: dict[str, Any], status: str) -> None:
    model = call.pop("model", "gpt-4o")
    event: dict[str, Any] = {
        "provider": "openai",
        "request_model": model,
        "status": "ok",
        "operation": "chat",
    }
    event |= {"started_at_us": us(AT), **call}
    assert price(request_frame(event), compile_cards())["price_status"].to_list() == [status]
    lines = explanation(event, compile_cards()).lines
    assert any(line.startswith("one total of input") for line in lines) == (status == "partial")


@pytest.mark.parametrize("provider", ["openai", "azure.ai.openai"])
@pytest.mark.parametrize("model", ["gpt-oss-120b", "gpt-oss-20b", "openai/gpt-oss-120b"])
def test_open_weights_have_no_price_where_their_maker_does_not_sell_them(
    provider: str, model: str
) -> None:
    price_of_others = found("groq", "openai/gpt-oss-120b")
    assert (price_of_others.status, bool(price_of_others.rates)) == ("exact", True)
    assert found(provider, model).status == "unpriced"


@pytest.mark.parametrize(
    ("provider", "model", "at", "status", "cost_usd"),
    [
        ("anthropic", "claude-sonnet-4-20250514", "2025-08-11T23:59:59", "undated", "0.915"),
        ("anthropic", "claude-sonnet-4-20250514", "2025-08-12", "exact", "1.8225"),
        ("anthropic", "claude-sonnet-4-0", "2026-04-29", "exact", "1.8225"),
        ("anthropic", "claude-sonnet-4-5-20250929", "2026-11-12", "exact", "1.8225"),
        ("anthropic", "claude-sonnet-4-6", "2026-03-14", "exact", "0.915"),
        (
            "aws.bedrock",
            "us.anthropic.claude-sonnet-4-20250514-v1:0",
            "2025-08-12",
            "exact",
            "1.8225",
        ),
    ],
)
def test_a_long_context_of_sonnet_costs_what_it_did_on_its_day(
    provider: str, model: str, at: str, status: str, cost_usd: str
) -> None:
    event = {
        "provider": provider, "request_model": model, "started_at_us": us(at), "status": "ok",
        "operation": "chat", "usage_source": "provider", "input_tokens": 300_000,
        "output_tokens": 1_000,
    }  # fmt: skip
    priced = price(request_frame(event), compile_cards())
    assert priced["price_status"].to_list() == [status]
    assert priced["cost_pico_usd"].to_list() == [int(Decimal(cost_usd).scaleb(12))]


@pytest.mark.parametrize(
    ("call", "status", "cost_pico_usd"),
    [
        ({"web_searches": 3}, "partial", 30_000_000_000),
        ({"web_searches": 0}, "partial", None),
        ({"web_searches": 3, "operation": "search"}, "exact", 30_000_000_000),
        ({"web_searches": 3, "input_tokens": 0, "output_tokens": 0}, "exact", 30_000_000_000),
        ({"web_searches": 3, "status": "error"}, "exact", 30_000_000_000),
        ({"web_searches": 0, "status": "error"}, "exact", 0),
    ],
)
def test_searches_without_tokens_are_not_the_whole_usage_of_an_answer(
    call: dict[str, Any], status: str, cost_pico_usd: int | None
) -> None:
    event: dict[str, Any] = {
        "provider": "openai", "request_model": "gpt-4o", "status": "ok", "operation": "chat",
        "usage_source": "provider", "started_at_us": us(AT),
    } | call  # fmt: skip
    priced = price(request_frame(event), compile_cards())
    assert priced["price_status"].to_list() == [status]
    assert priced["cost_pico_usd"].to_list() == [cost_pico_usd]
    explained = "".join(explanation(event, compile_cards()).lines)
    assert ("tokens are reported" in explained or "no usage was reported" in explained) == (
        status == "partial"
    )


def test_explain_says_why_a_searched_request_is_not_exact() -> None:
    event: dict[str, Any] = {"provider": "perplexity", "request_model": "sonar", "status": "ok"}
    event |= {"input_tokens": 5, "output_tokens": 5, "started_at_us": us(AT)}
    assert any(
        "how much was searched" in line for line in explanation(event, compile_cards()).lines
    )


def test_the_words_are_closed_and_documented_in_order() -> None:
    words = list(STATUS_MEANINGS)
    assert sorted(words, key=STATUS_CODES.__getitem__, reverse=True) == words
    assert least_certain(["alias", "resold", "undated"]) == "resold"
    assert least_certain([]) == "exact"
    text = (ROOT / "docs" / "prices.md").read_text(encoding="utf-8")
    section = text.partition("## price_status")[2].partition("\n## ")[0]
    assert re.findall(r"^\| `(\w+)`", section, re.MULTILINE) == words


_WROTE: dict[str, Any] = {
    "provider": "anthropic", "request_model": "claude-opus-4-6", "status": "ok",
    "operation": "chat", "usage_source": "provider", "started_at_us": us(AT),
    "input_tokens": 1_000, "output_tokens": 10, "cache_write_tokens": 400,
}  # fmt: skip


@pytest.mark.parametrize(
    ("call", "status"),
    [
        ({}, "partial"),
        ({"cache_write_1h_tokens": 0}, "exact"),
        ({"cache_write_1h_tokens": 400}, "exact"),
        ({"cache_write_tokens": 0}, "exact"),
        ({"cache_write_tokens": None}, "exact"),
        ({"request_model": f"global.{PROFILE}", "provider": "aws.bedrock"}, "partial"),
        # One price for every cache write: its lifetime moves nothing.
        ({"request_model": "gpt-5.6-sol", "provider": "openai"}, "exact"),
    ],
)
def test_cache_writes_of_unknown_lifetime_are_exact_only_at_one_price(
    call: dict[str, Any], status: str
) -> None:
    event = _WROTE | call
    row = price(request_frame(event), compile_cards()).row(0, named=True)
    assert row["price_status"] == status, row["price_rule"]
    is_partial = status == "partial"
    assert row["price_rule"].endswith("!cache_lifetime=unknown") == is_partial
    lines = explanation(event, compile_cards()).lines
    assert any("how long the cache writes live" in line for line in lines) == is_partial
