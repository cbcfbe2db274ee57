"""Overrides are taken whole or refused whole, and stand above the price list in a stated order."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.each import each
from tokentide_jobs.core.price.cards import CardTable
from tokentide_jobs.core.price.lookup import Price, resolve
from tokentide_jobs.core.price.vocabulary import CallTerms
from tokentide_jobs.errors import ConfigError
from tokentide_jobs.io.files.price_overrides import parse_price_file
from tokentide_jobs.io.files.price_source import compile_cards


def table(text: str) -> CardTable:
    file = parse_price_file(text.encode(), "/etc/prices.yaml")
    return replace(
        compile_cards(), price_version="v", overrides=file.overrides, aliases=file.aliases
    )


def found(text: str, at: str = "2026-11-19", **call: str) -> Price:
    instant = int(datetime.fromisoformat(at).replace(tzinfo=UTC).timestamp()) * 1_000_000
    return resolve(table(text), CallTerms(**call), instant)


GLOBAL_AND_TENANT = """
overrides:
  - provider: anthropic
    model: claude-sonnet-*
    multiplier: 0.9
    reason: list discount
  - provider: anthropic
    model: claude-sonnet-4-5*
    tenant: acme
    multiplier: "0.85"
    valid_from: 2026-01-01
    valid_to: 2026-12-01T00:00:00+01:00
    reason: enterprise agreement
"""


@each(
    ("tenant", "at", "expected", "rule"),
    [
        ("", "2026-11-19", 2_700_000, "override:3 x0.9 over genai-prices:anthropic/"),
        ("other", "2026-11-19", 2_700_000, "override:3 x0.9 over genai-prices:anthropic/"),
        ("acme", "2026-11-19", 2_295_000, "override:7 x0.85 over override:3 x0.9 over genai-"),
        ("acme", "2025-12-31T23:59:59", 2_700_000, "override:3 "),
        ("acme", "2026-01-01", 2_295_000, "override:7 "),
        ("acme", "2026-11-30T22:59:59", 2_295_000, "override:7 "),
        ("acme", "2026-11-30T23:00:00", 2_700_000, "override:3 "),
    ],
)
def test_a_tenant_stands_above_everybody_within_its_dates(
    tenant: str, at: str, expected: int, rule: str
) -> None:
    price = found(
        GLOBAL_AND_TENANT, at,
        tenant=tenant, provider="anthropic", request_model="claude-sonnet-4-5",
    )  # fmt: skip
    assert price.rates["input_tokens"].base == expected
    # A factor on a price that is not known for that date does not make it known.
    assert price.status == ("override" if at > "2026-11-12" else "undated")
    assert price.rule.startswith(rule)


def test_a_self_hosted_model_costs_what_its_owner_says() -> None:
    text = """
- provider: vllm
  model: llama-3.3-*
  rates: {input_mtok: 0.2, output: "0.6", cache_read_tokens: {base: 0.02, above: {200_000: 0.04}}}
  reason: our own GPUs
"""
    price = found(text, provider="vllm", request_model="Llama-3.3-70B")
    assert (price.status, price.rule) == ("override", "override:2")
    assert price.rates["input_tokens"].base == 200_000
    assert price.rates["output_tokens"].base == 600_000
    assert price.rates["cache_read_tokens"].tiers == ((200_000, 40_000),)
    other = found(text, provider="vllm", request_model="qwen-3")
    assert other.status == "unpriced"


def test_units_an_override_does_not_name_keep_the_list_price() -> None:
    text = "- {provider: openai, model: gpt-4o, rates: {input_mtok: 2}, reason: r}"
    price = found(text, provider="openai", request_model="gpt-4o")
    assert price.rates["input_tokens"].base == 2_000_000
    assert price.rates["output_tokens"].base == 10_000_000
    assert price.rule == "override:1 over genai-prices:openai/gpt-4o"


def test_among_equals_the_last_entry_applies() -> None:
    text = """
- {provider: "*", model: "*", multiplier: 2, reason: a}
- {provider: x_ai, model: "grok*", multiplier: 3, reason: b}
"""
    assert found(text, provider="xai", request_model="grok-4").rule.startswith("override:3 x3")
    assert found(text, provider="openai", request_model="o3").rule.startswith("override:2 x2")


def test_an_entry_for_a_tier_leaves_the_other_tiers_alone() -> None:
    text = "- {provider: openai, model: gpt-4o, processing: batch, rates: {input: 1}, reason: r}"
    batch = found(text, provider="openai", request_model="gpt-4o", service_tier="batch")
    assert batch.rates["input_tokens"].base == 1_000_000
    plain = found(text, provider="openai", request_model="gpt-4o")
    assert plain.status == "exact"


def test_a_multiplier_does_not_hide_that_a_tier_has_no_price() -> None:
    text = "- {provider: openai, model: gpt-4o, multiplier: 0.5, reason: r}"
    price = found(text, provider="openai", request_model="gpt-4o", service_tier="scale")
    assert price.status == "fallback_tier"
    assert price.rates["input_tokens"].base == 1_250_000


def test_a_multiplier_of_nothing_stays_unpriced() -> None:
    text = "- {provider: vllm, model: '*', multiplier: 0.5, reason: r}"
    assert found(text, provider="vllm", request_model="llama").status == "unpriced"


BAD = """\
overrides:
  - provider: openai
    model: gpt-4o
    multiplier: 0.85x
    reason: typo
  - provider: openai
    modle: gpt-4o
    rates:
      input_mtok: -1
      outptu_mtok: 3
      cache_read_mtok: 0.0000001
      web_searches_kcount: 5000000
    valid_from: 2026-13-01
    valid_to: 2026-01-01T00:00:00
    reason: many
  - just text
  - {provider: a, model: b, rates: {input: 1}, multiplier: 1, reason: both}
  - {provider: a, model: b, multiplier: 1, multiplier: 2, reason: ""}
  - {provider: a, model: b, multiplier: 1, service_tier: default, reason: r}
  - {provider: a, model: b, multiplier: 1, valid_from: 2026-02-01, valid_to: 2026-02-01, reason: r}
"""


def test_every_problem_of_a_bad_file_is_reported_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "prices.yaml"
    path.write_text(BAD)
    with pytest.raises(ConfigError) as caught:
        compile_cards(path)
    summary, *problems = str(caught.value).splitlines()
    assert summary == (
        f"price overrides refused, {len(problems)} problems; no entry of the file is used:"
    )
    found_at = [problem.removeprefix(f"{path}:").split(": ", 1) for problem in problems]
    assert [(int(line), why.split(":")[0]) for line, why in found_at] == [
        (4, "multiplier"),
        (6, "model"),
        (7, "modle"),
        (9, "rates.input_mtok"),
        (10, "rates.outptu_mtok"),
        (11, "rates.cache_read_mtok"),
        (12, "rates.web_searches_kcount"),
        (13, "valid_from"),
        (14, "valid_to"),
        (16, "an entry"),
        (17, "give either rates or multiplier, and only one of them"),
        (18, "multiplier"),
        (18, "reason"),
        (19, "service_tier"),
        (20, "valid_to"),
    ]
    assert "'0.85x' is no decimal number" in problems[0]


@each(
    ("text", "reason"),
    [
        ("overrides: [", "prices.yaml:1: not valid YAML"),
        ("a: b\n  c: d\n", "prices.yaml:2: not valid YAML"),
        ("overrides: 3", "prices.yaml:1: overrides: expected a list"),
        ("prices: []", "prices.yaml:1: prices: unknown in the file; known: overrides, aliases"),
        ("hello", "prices.yaml:1: expected `overrides:`"),
        ("\x00", "not valid YAML"),
        ("- {provider: {a: b}, model: m, multiplier: 1, reason: r}", "prices.yaml:1: provider"),
        ("- {provider: p, model: m, multiplier: [1], reason: r}", "prices.yaml:1: multiplier"),
        ("- {provider: p, model: m, rates: {input: {base: 1}}, reason: r}", "rates.input: exp"),
        ("- {provider: p, model: m, rates: {output_odour: 1}, reason: r}", "output_odour: unknown"),
    ],
)
def test_a_file_of_the_wrong_shape_is_refused_with_a_line(text: str, reason: str) -> None:
    with pytest.raises(ConfigError) as caught:
        table(text)
    assert reason in str(caught.value)


@pytest.mark.parametrize("text", ["", "# nothing yet\n", "overrides:\n", "overrides: []\n"])
def test_an_empty_file_overrides_nothing(text: str) -> None:
    assert parse_price_file(text.encode(), "prices.yaml") == ((), ())


def test_a_missing_file_names_the_setting(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="TOKENTIDE_PRICES_FILE"):
        compile_cards(tmp_path / "absent.yaml")


def test_the_version_names_release_and_overrides(tmp_path: Path) -> None:
    path = tmp_path / "prices.yaml"
    path.write_text(GLOBAL_AND_TENANT)
    first = compile_cards(path).price_version
    assert first.startswith("genai-prices-0.2.3+")
    assert first == compile_cards(path).price_version
    path.write_text(GLOBAL_AND_TENANT.replace("0.9", "0.8"))
    assert len({first, compile_cards(path).price_version, compile_cards().price_version}) == 3
