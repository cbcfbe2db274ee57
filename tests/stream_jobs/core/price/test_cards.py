"""Compiled cards hold the published prices, under one name, in integers."""

from __future__ import annotations

import hashlib
import pickle
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from tests.each import each
from tokentide_jobs.core.price.card_rows import from_rows, to_rows
from tokentide_jobs.core.price.cards import rate_pico_usd, scale_rates
from tokentide_jobs.core.price.lookup import Price, resolve
from tokentide_jobs.core.price.vocabulary import CallTerms
from tokentide_jobs.io.files.price_source import COMPILER_REVISION, compile_cards

MTOK = 1_000_000


def us(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * 1_000_000


def found(at: str = "2026-11-19", **call: str) -> Price:
    return resolve(compile_cards(), CallTerms(**call), us(at))


def rates(price: Price, input_tokens: int = 0) -> dict[str, int]:
    return {unit: rate.at(input_tokens) for unit, rate in price.rates.items()}


def test_gpt_4o_costs_what_openai_publishes() -> None:
    price = found(provider="openai", request_model="gpt-4o-2024-08-06")
    assert rates(price) == {
        "input_tokens": 2_500_000,
        "cache_read_tokens": 1_250_000,
        "output_tokens": 10_000_000,
        "web_searches": 10_000_000_000,
        "preview_web_searches": 25_000_000_000,
        "storage_searches": 2_500_000_000,
    }
    assert (price.status, price.rule) == ("exact", "genai-prices:openai/gpt-4o")


def test_claude_sonnet_doubles_above_200k_input_tokens() -> None:
    price = found(provider="anthropic", request_model="claude-sonnet-4-5-20250929")
    below, above = rates(price, 200_000), rates(price, 200_001)
    assert (below["input_tokens"], below["output_tokens"]) == (3 * MTOK, 15 * MTOK)
    assert (above["input_tokens"], above["output_tokens"]) == (6 * MTOK, 22_500_000)
    assert (below["cache_write_tokens"], below["cache_write_1h_tokens"]) == (3_750_000, 6 * MTOK)


@pytest.mark.parametrize(
    ("at", "expected", "rule"),
    [
        ("2025-06-09T23:59:59", (10, 40), "genai-prices:openai/o3!undated"),
        ("2025-06-10T00:00:00", (2, 8), "genai-prices:openai/o3@2025-06-10"),
    ],
)
def test_o3_is_priced_at_the_time_of_the_call(
    at: str, expected: tuple[int, int], rule: str
) -> None:
    price = found(at, provider="openai", request_model="o3")
    assert price.rates["input_tokens"].base == expected[0] * MTOK
    assert price.rates["output_tokens"].base == expected[1] * MTOK
    assert price.rule == rule


def test_deepseek_costs_more_by_day() -> None:
    by_hour = {
        hour: found(
            f"2026-11-19T{hour}", provider="deepseek", request_model="deepseek-flash"
        ).rates["input_tokens"]
        for hour in ("00:59:59", "01:00:00", "03:59:59", "04:00:00", "09:00:00", "10:00:00")
    }
    assert [rate.base for rate in by_hour.values()] == [
        150_000, 300_000, 300_000, 150_000, 300_000, 150_000,
    ]  # fmt: skip


@each(
    ("provider", "model", "expected"),
    [
        ("x_ai", "grok-4", "x-ai/grok-4-0709"),
        ("xai", "grok-4", "x-ai/grok-4-0709"),
        ("gcp.gemini", "gemini-2.5-pro", "google/gemini-2.5-pro"),
        ("gcp.vertex_ai", "gemini-2.5-pro", "google/gemini-2.5-pro"),
        ("gcp.vertex_ai", "claude-3-opus", "google/claude-3-opus"),
        ("Azure.AI.Inference", "phi-4", "azure/phi-4"),
        ("mistral_ai", "mistral-large-2512", "mistral/mistral-large-2512"),
        ("openai", "GPT-5.2-20251211", "openai/gpt-5.2"),
        ("litellm", "anthropic/claude-opus-4-6", "anthropic/claude-opus-4-6"),
    ],
)
def test_names_of_opentelemetry_and_gateways_find_their_list(
    provider: str, model: str, expected: str
) -> None:
    price = found(provider=provider, request_model=model)
    assert price.status == "exact"
    assert price.rule.partition("@")[0].startswith(f"genai-prices:{expected}")


@pytest.mark.parametrize(
    ("call", "rule"),
    [
        (CallTerms(provider="vllm", request_model="gpt-4o"), "unpriced: unknown provider"),
        (CallTerms(provider="openai", request_model="gpt-99"), "unpriced: unknown model"),
        (
            CallTerms(provider="openai", request_model="ft:gpt-4o-mini:org::x"),
            "unpriced: unknown model",
        ),
        (CallTerms(provider="github-copilot", request_model="gpt-4.1"), "unpriced: listed without"),
    ],
)
def test_what_has_no_price_says_why(call: CallTerms, rule: str) -> None:
    price = resolve(compile_cards(), call, us("2026-11-19"))
    assert price.status == "unpriced"
    assert price.rule.startswith(rule)
    assert not price.rates


def test_the_response_model_decides_and_the_request_model_stands_in() -> None:
    served = found(provider="openai", request_model="my-alias", response_model="gpt-4o")
    assert served.rule == "genai-prices:openai/gpt-4o"
    unknown = found(provider="openai", request_model="gpt-4o", response_model="dep-7")
    assert unknown.rule == "genai-prices:openai/gpt-4o"
    both = found(provider="openai", request_model="gpt-4o", response_model="gpt-4o-mini")
    assert both.rule == "genai-prices:openai/gpt-4o-mini"


def test_a_gateway_without_a_list_bills_what_its_upstream_charges() -> None:
    behind = found(provider="portkey", upstream_provider="x_ai", request_model="grok-4")
    assert behind.rule == "genai-prices:x-ai/grok-4-0709"
    own = found(
        provider="openrouter", upstream_provider="mistral/eu",
        request_model="mistralai/mistral-large-4-0",
    )  # fmt: skip
    assert own.rates["input_tokens"].base == 770_000


@each(
    ("tier", "expected", "status"),
    [
        ({"service_tier": "default"}, 2_500_000, "exact"),
        ({"service_tier": "AUTO"}, 2_500_000, "exact"),
        ({"service_tier": "priority"}, 4_250_000, "exact"),
        ({"service_tier_requested": "priority"}, 4_250_000, "exact"),
        ({"service_tier": "default", "service_tier_requested": "priority"}, 2_500_000, "exact"),
        ({"processing": "batch"}, 1_250_000, "exact"),
        ({"service_tier": "batch"}, 1_250_000, "exact"),
        ({"processing": "sync"}, 2_500_000, "exact"),
        ({"service_tier": "flex"}, 2_500_000, "fallback_tier"),
        ({"service_tier": "wormhole"}, 2_500_000, "fallback_tier"),
        ({"speed": "fast"}, 2_500_000, "fallback_tier"),
        ({"inference_geo": "us"}, 2_500_000, "fallback_region"),
        ({"inference_geo": "global"}, 2_500_000, "exact"),
    ],
)
def test_a_tier_without_a_price_is_visible(
    tier: dict[str, str], expected: int, status: str
) -> None:
    price = found(provider="openai", request_model="gpt-4o", **tier)
    assert price.rates["input_tokens"].base == expected
    assert price.status == status


def test_a_tier_before_its_first_price_is_visible() -> None:
    early = found("2026-10-11", provider="openai", request_model="gpt-4o", service_tier="priority")
    assert early.status == "fallback_tier"
    assert early.rule == "genai-prices:openai/gpt-4o!service_tier=priority!undated"


def test_debris_of_floats_is_cleaned_and_thirds_are_rounded_once() -> None:
    assert rate_pico_usd(Decimal("1.0399999999999998"), MTOK) == 1_040_000
    assert rate_pico_usd(Decimal("0.0833333333333333"), MTOK) == 83_333
    assert rate_pico_usd(Decimal("0.111"), 3_600) == 30_833_333
    assert rate_pico_usd(Decimal("0.0000005"), MTOK) == 0  # half goes to the even neighbour
    assert rate_pico_usd(Decimal("0.0000015"), MTOK) == 2


def test_a_multiplier_rounds_each_rate_to_whole_pico_usd() -> None:
    sonnet = found(provider="anthropic", request_model="claude-sonnet-4-5").rates
    scaled = scale_rates(sonnet, Decimal("0.333333"))
    assert scaled["input_tokens"].base == 999_999
    assert scaled["input_tokens"].tiers == ((200_000, 1_999_998),)


def test_a_table_survives_pickling_and_rows_unchanged() -> None:
    cards = compile_cards()
    assert pickle.loads(pickle.dumps(cards)) == cards
    assert from_rows(to_rows(cards)) == cards


def test_a_change_of_prices_needs_a_new_compiler_revision() -> None:
    """Update both together: price_version must never name two different tables."""
    text = repr(to_rows(compile_cards())).encode()
    assert (COMPILER_REVISION, hashlib.sha256(text).hexdigest()[:16]) == (10, "63d4c29c5a915f4e")
