"""However a model is spelled, it has one price; names of one's own are priced as other models."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from tokentide_jobs.core.price.card_rows import from_rows, to_rows
from tokentide_jobs.core.price.cards import CardTable, PriceCorrection
from tokentide_jobs.core.price.lookup import Price, resolve
from tokentide_jobs.core.price.matching import says_more
from tokentide_jobs.core.price.vocabulary import CallTerms
from tokentide_jobs.errors import ConfigError
from tokentide_jobs.io.files.price_overrides import parse_price_file
from tokentide_jobs.io.files.price_source import compile_cards

AT_US = int(datetime(2026, 12, 1, tzinfo=UTC).timestamp()) * 1_000_000
SONNET = "us.anthropic.claude-sonnet-4-6"
ARN = "arn:aws:bedrock:us-east-1:123456789012"
ALIASES = f"""
aliases:
  - {{provider: aws.bedrock, name: "arn:aws:bedrock:*:application-inference-profile/team-*",
     model: {SONNET}, reason: teams}}
  - {{provider: aws, name: "*/team-eu", model: eu.anthropic.claude-sonnet-4-6, reason: Europe}}
  - {{provider: portkey, name: fast, model: gpt-4o-mini, reason: our gateway}}
overrides:
  - {{provider: aws, model: "us.anthropic.*", multiplier: 0.5, reason: contract}}
"""


def table(text: str) -> CardTable:
    file = parse_price_file(text.encode(), "prices.yaml")
    return replace(compile_cards(), overrides=file.overrides, aliases=file.aliases)


def found(provider: str, model: str, text: str = "", **call: str) -> Price:
    terms = CallTerms(provider=provider, request_model=model, **call)
    return resolve(table(text), terms, AT_US)


@pytest.mark.parametrize(
    ("provider", "spelled", "listed"),
    [
        ("gcp.gemini", "models/gemini-2.5-pro", "gemini-2.5-pro"),
        ("gcp.vertex_ai", "publishers/google/models/gemini-2.5-pro", "gemini-2.5-pro"),
        (
            "gcp.vertex_ai",
            "projects/p/locations/us-east5/publishers/anthropic/models/claude-3-opus",
            "claude-3-opus",
        ),
        ("openai", "openai/gpt-4o", "gpt-4o"),
        ("xai", "xai/grok-4", "grok-4"),
        ("openrouter", "openai/gpt-4o:online", "openai/gpt-4o"),
        ("openrouter", "openai/gpt-4o:nitro", "openai/gpt-4o"),
        ("aws.bedrock", f"{ARN}:inference-profile/{SONNET}", SONNET),
        (
            "aws.bedrock",
            "arn:aws:bedrock:us-east-1::foundation-model/amazon.nova-pro-v1:0",
            "amazon.nova-pro-v1:0",
        ),
    ],
)
def test_a_spelling_costs_what_the_listed_name_costs(
    provider: str, spelled: str, listed: str
) -> None:
    assert found(provider, listed).rates
    assert found(provider, spelled).rates == found(provider, listed).rates


PREFIXES = {
    "gcp.vertex_ai": (
        "publishers/anthropic/models/",
        "projects/p/locations/us-east5/publishers/anthropic/models/",
        "vertex_ai/",
    ),
    "google": ("models/", "publishers/google/models/"),
    "aws": (f"{ARN}:inference-profile/", f"{ARN.removesuffix('123456789012')}:foundation-model/"),
}


@pytest.mark.parametrize("entry", compile_cards().corrections, ids=lambda e: e.models[0])
def test_a_spelling_takes_neither_our_prices_nor_our_fees_nor_places_away(
    entry: PriceCorrection,
) -> None:
    provider = "gcp.vertex_ai" if entry.provider == "*vertex*" else entry.provider
    place = next(iter(entry.places), "").strip("*")
    field = "inference_geo" if provider == "anthropic" else "region"
    for pattern in entry.models:
        name = pattern.replace("*", "")
        plain = found(provider, name, **{field: place})
        for prefix in PREFIXES.get(provider, (f"{provider}/",)):
            spelled = found(provider, prefix + name, **{field: place})
            if name == "sonar":  # `perplexity/sonar` is a model of its own
                continue
            assert (spelled.rates, spelled.rule) == (plain.rates, plain.rule), prefix + name


def test_an_override_may_be_written_for_the_name_as_it_is_spelled() -> None:
    half = """
overrides:
  - {provider: google, model: "models/*", multiplier: 0.5, reason: contract}
  - {provider: openai, model: gpt-4o, multiplier: 0.5, reason: contract}
"""
    for provider, spelled in (("gcp.gemini", "models/gemini-2.5-pro"), ("openai", "openai/gpt-4o")):
        listed = found(provider, spelled)
        mine = found(provider, spelled, half)
        assert mine.status == "override"
        assert mine.rates["input_tokens"].base * 2 == listed.rates["input_tokens"].base
    assert found("gcp.gemini", "gemini-2.5-pro", half).status == "exact"


@pytest.mark.parametrize(
    ("provider", "name"),
    [
        ("openai", "models/x/gpt-4o"),
        ("openai", "anthropic/gpt-4o"),
        ("openai", "gpt-4o:nitro"),
        ("aws.bedrock", f"{ARN}:application-inference-profile/a1b2c3"),
    ],
)
def test_a_name_that_only_looks_like_one_has_no_price(provider: str, name: str) -> None:
    assert found(provider, name).status == "unpriced"


def test_litellms_prefix_names_the_provider_whose_price_and_places_hold() -> None:
    behind = found("litellm", "vertex_ai/claude-opus-4-6", region="us-east5")
    assert behind == found("gcp.vertex_ai", "claude-opus-4-6", region="us-east5")
    assert behind.rates["input_tokens"].base == 5_500_000


def test_an_alias_is_priced_as_its_model_and_overridden_as_it() -> None:
    profile = f"{ARN}:application-inference-profile/team-a"
    assert found("aws.bedrock", profile).status == "unpriced"
    mine = found("aws.bedrock", profile, ALIASES)
    assert mine.status == "override"
    assert mine.rates["input_tokens"].base == 1_650_000
    other = found("aws.bedrock", f"{ARN}:application-inference-profile/team-eu", ALIASES)
    assert (other.status, other.rates["input_tokens"].base) == ("exact", 3_300_000)
    named = {"response_model": "amazon.nova-lite-v1:0"}
    profile = f"{ARN}:application-inference-profile/team-eu"
    assert found("aws.bedrock", profile, ALIASES, **named) == other, "the alias comes first"
    gateway = found("portkey", "fast", ALIASES, upstream_provider="openai")
    assert gateway.rates == found("openai", "gpt-4o-mini").rates


def test_a_table_with_aliases_survives_its_rows() -> None:
    cards = table(ALIASES)
    assert from_rows(to_rows(cards)) == cards


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("aliases:\n- {provider: a, name: b}", "prices.yaml:2: model: missing"),
        ("aliases:\n- {provider: a, name: b, model: c, reason: d, x: e}", "x: unknown in an alias"),
        ("aliases: 3", "aliases: expected a list"),
    ],
)
def test_a_bad_alias_refuses_the_file(text: str, reason: str) -> None:
    with pytest.raises(ConfigError, match=reason):
        table(text)


@pytest.mark.parametrize(
    ("name", "is_more"),
    [
        ("m-1", False),
        ("eu.m-1-20250929-v1:0", False),
        ("m-1-v1:0:200k", False),
        ("m-1@default", False),
        ("m-1-preview-09-2025", False),
        ("m-1-exp-0827", False),
        ("m-1-5", True),
        ("m-1-8b", True),
        ("m-1-preview-tts", True),
        ("m-1-expert", True),
        ("m-1:free", True),
        ("m-1" + "-2024-01-01" * 1_000 + "!", True),
        ("publisher/m-1", True),  # what another publisher, or a proxy, calls so
    ],
)
def test_a_name_says_more_than_the_listed_one(name: str, is_more: bool) -> None:
    assert says_more(name, "m", '{"or":[{"starts_with":"m-1"},{"contains":".m-1"}]}') == is_more


def test_a_regular_expression_stands_for_whole_names() -> None:
    assert not says_more("m-1-large", "m-1", '{"regex":"^m-1"}')
