"""Prices hold for any usage: columns equal integers by hand, and genai-prices to its debris."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import lru_cache
from typing import Any

import polars as pl
import pytest
from genai_prices import Usage, calc_price
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.sampling import IS_THOROUGH, examples, share
from tokentide_jobs.core.price.cards import CardTable
from tokentide_jobs.core.price.lookup import resolve
from tokentide_jobs.core.price.pricing import COST_COLUMNS, price
from tokentide_jobs.core.price.reported_usage import TOKEN_COLUMNS
from tokentide_jobs.core.price.vocabulary import CallTerms
from tokentide_jobs.io.files.price_overrides import parse_price_file
from tokentide_jobs.io.files.price_source import NOT_OFFERED, compile_cards

# Other tests of this folder run the same lines, and once: tracing them here shows nothing new.
pytestmark = pytest.mark.no_cover

NOW_US = 1_795_046_400_000_000
"""2026-11-19, after every tier of the pinned release has begun."""
PICO = 10**12

OVERRIDES = b"""
overrides:
  - {provider: openai, model: "gpt-4o*", multiplier: 0.85, reason: contract}
  - {provider: openai, model: gpt-4o, tenant: acme, multiplier: 0.9, reason: acme}
  - provider: vllm
    model: "*"
    rates: {input_mtok: {base: 0.2, above: {200000: 0.4}}, output_mtok: "0.6"}
    reason: own hardware
  - {provider: "*", model: "*-audio-*", tenant: beta, rates: {input_audio: 40}, reason: audio}
"""


@lru_cache(maxsize=1)
def table() -> CardTable:
    base = compile_cards()
    file = parse_price_file(OVERRIDES, "prices.yaml")
    return replace(base, price_version="test", overrides=file.overrides)


def frame(events: list[dict[str, Any]]) -> pl.DataFrame:
    texts = [*CallTerms._fields, "status", "usage_source"]
    columns: dict[str, Any] = {"started_at_us": [e.get("started_at_us", NOW_US) for e in events]}
    columns |= {n: pl.Series([e.get(n, "") for e in events], dtype=pl.String) for n in texts}
    columns["other_units"] = [json.dumps(e.get("other_units", {})) for e in events]
    for name in TOKEN_COLUMNS:
        columns[name] = pl.Series([e.get(name) for e in events], dtype=pl.Int64)
    return pl.DataFrame(columns)


MODELS = [
    ("openai", "gpt-4o"),
    ("openai", "gpt-4o-audio-preview"),
    ("openai", "gpt-5"),
    ("openai", "gpt-image-1"),
    ("openai", "o3"),
    ("anthropic", "claude-sonnet-4-5"),
    ("anthropic", "claude-opus-4-6-20260205"),
    ("gcp.gemini", "gemini-2.5-pro"),
    ("gcp.gemini", "gemini-2.5-flash"),
    ("deepseek", "deepseek-chat"),
    ("perplexity", "sonar-deep-research"),
    ("azure.ai.openai", "gpt-4o"),
    ("vllm", "llama-3.3-70b"),
    ("unknown", "nothing"),
]


@st.composite
def usages(draw: st.DrawFn, most: int = 1 << 22) -> dict[str, int]:
    """Token counts the event contract accepts: every detail within its total."""
    count = st.integers(0, most) | st.integers(0, 3) | st.sampled_from([200_000, 200_001, 272_001])
    usage = {"input_tokens": draw(count), "output_tokens": draw(count)}

    def part(name: str, room: int) -> int:
        if draw(st.booleans()):
            usage[name] = draw(st.integers(0, room))
        return room - usage.get(name, 0)

    part("cache_write_tokens", part("cache_read_tokens", usage["input_tokens"]))
    part(
        "cache_write_long_tokens",
        part("cache_write_1h_tokens", usage.get("cache_write_tokens", 0)),
    )
    left = part("input_audio_tokens", usage["input_tokens"])
    part("input_video_tokens", part("input_image_tokens", left))
    both = min(usage.get("cache_read_tokens", 0), usage.get("input_audio_tokens", 0))
    part("cache_read_audio_tokens", both)
    part("reasoning_tokens", usage["output_tokens"])
    part("output_image_tokens", part("output_audio_tokens", usage["output_tokens"]))
    if draw(st.booleans()):
        usage["web_searches"] = draw(st.integers(0, 50))
    return usage


@st.composite
def events(draw: st.DrawFn, most: int = 1 << 22) -> dict[str, Any]:
    provider, model = draw(st.sampled_from(MODELS))
    event: dict[str, Any] = dict(draw(usages(most)))
    event |= {"provider": provider, "request_model": model}
    event["status"] = draw(st.sampled_from(["ok", "ok", "ok", "error", "abandoned"]))
    event["tenant"] = draw(st.sampled_from(["", "acme", "beta", "other"]))
    event["service_tier"] = draw(st.sampled_from(["", "", "default", "priority", "batch", "odd"]))
    event["processing"] = draw(st.sampled_from(["", "", "sync", "batch"]))
    event["started_at_us"] = NOW_US + draw(st.integers(-(10**14), 10**13))
    if draw(st.integers(0, 4)) == 0:
        units = st.sampled_from(["seconds", "pages", "storage_searches", "unheard_of"])
        event["other_units"] = draw(st.dictionaries(units, st.integers(0, 9) | st.just(2.5)))
    return event


def by_hand(event: dict[str, Any]) -> dict[str, int]:
    """Return the bill in plain Python, from docs/prices.md, sharing nothing with `pricing`."""
    fields = {name: event[name] for name in CallTerms._fields if name in event}
    found = resolve(table(), CallTerms(**fields), event["started_at_us"])
    rates, total = found.rates, event["input_tokens"]

    def rate(*chain: str) -> int:
        return next((rates[unit].at(total) for unit in chain if unit in rates), 0)

    def get(name: str) -> int:
        return int(event.get(name) or 0)

    read, read_audio = get("cache_read_tokens"), get("cache_read_audio_tokens")
    write, hour, long = (get(f"cache_write_{k}tokens") for k in ("", "1h_", "long_"))
    room = total - read - write
    audio = min(max(get("input_audio_tokens") - read_audio, 0), room)
    image = min(get("input_image_tokens"), room - audio)
    video = min(get("input_video_tokens"), room - audio - image)
    text = room - audio - image - video
    out, out_audio, out_image = (get(f"output_{k}tokens") for k in ("", "audio_", "image_"))
    reasoning = min(get("reasoning_tokens"), out - out_audio - out_image)
    plain = rate("input_tokens")
    write_rate = rate("cache_write_tokens", "input_tokens")
    output = rate("output_tokens")
    other = get("web_searches") * rate("web_searches")
    if event["status"] == "ok" or any(v for n, v in event.items() if n in TOKEN_COLUMNS):
        other += rate("requests")
    seconds = event.get("other_units", {}).get("seconds", 0)
    pages = event.get("other_units", {}).get("pages", 0)
    stored = event.get("other_units", {}).get("storage_searches", 0)
    for amount, unit in (
        (seconds, "audio_seconds"),
        (pages, "input_document_pages"),
        (stored, "storage_searches"),
    ):
        other += round(Decimal(str(amount)) * rate(unit))
    return {
        "cost_input_pico_usd": text * plain
        + audio * rate("input_audio_tokens", "input_tokens")
        + image * rate("input_image_tokens", "input_tokens")
        + video * rate("input_video_tokens", "input_tokens"),
        "cost_cache_read_pico_usd": (read - read_audio) * rate("cache_read_tokens", "input_tokens")
        + read_audio
        * rate(
            "cache_audio_read_tokens", "cache_read_tokens", "input_audio_tokens", "input_tokens"
        ),
        "cost_cache_write_pico_usd": (write - hour - long) * write_rate
        + hour * rate("cache_write_1h_tokens", "cache_write_tokens", "input_tokens")
        + long * write_rate,
        "cost_output_pico_usd": (out - out_audio - out_image - reasoning) * output
        + out_audio * rate("output_audio_tokens", "output_tokens")
        + out_image * rate("output_image_tokens", "output_tokens")
        + reasoning * rate("output_reasoning_tokens", "output_tokens"),
        "cost_other_pico_usd": other,
    }


def check_against_hand(batch: list[dict[str, Any]]) -> None:
    priced = price(frame(batch), table())
    for event, row in zip(batch, priced.iter_rows(named=True), strict=True):
        costs = {name: row[name] for name in COST_COLUMNS}
        expected = by_hand(event)
        if row["cost_pico_usd"] is None:
            assert set(costs.values()) == {None}
            beyond = sum(expected.values()) >= 1 << 63
            assert beyond or row["price_status"] in ("unpriced", "partial")
            assert not beyond or row["price_rule"].startswith("unpriced: beyond 64 bits")
        elif row["price_rule"] == "failed without usage":
            assert set(costs.values()) == {0}
        else:
            assert costs == expected
            assert row["cost_pico_usd"] == sum(expected.values())


@settings(max_examples=examples(13), deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(events(), min_size=1, max_size=12))
def test_columns_equal_the_bill_by_hand(batch: list[dict[str, Any]]) -> None:
    check_against_hand(batch)


@settings(max_examples=examples(5), deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(events(most=1 << 40), min_size=1, max_size=6))
def test_counts_up_to_the_contract_limit_never_wrap(batch: list[dict[str, Any]]) -> None:
    check_against_hand(batch)


@settings(max_examples=examples(5), deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(events(), min_size=2, max_size=12), st.randoms(use_true_random=False))
def test_order_and_neighbours_change_nothing(
    batch: list[dict[str, Any]], rng: random.Random
) -> None:
    together = price(frame(batch), table()).rows()
    order = list(range(len(batch)))
    rng.shuffle(order)
    shuffled = price(frame([batch[i] for i in order]), table()).rows()
    assert shuffled == [together[i] for i in order]
    alone = [price(frame([event]), table()).row(0) for event in batch]
    assert alone == together


@dataclass(frozen=True)
class Example:
    provider: str
    name: str


def names_in(clause: dict[str, Any]) -> Iterator[str]:
    ((kind, value),) = clause.items()
    if kind in ("or", "and"):
        for part in value:
            yield from names_in(part)
    elif kind != "regex":
        yield value


def every_model() -> list[Example]:
    found = []
    for provider in compile_cards().providers:
        for model in provider.models:
            names = [model.model, *names_in(json.loads(model.match))]
            found += [Example(provider.provider, name) for name in dict.fromkeys(names)][:2]
    return found


CONTEXTS = [
    {},
    {"processing": "batch"},
    {"service_tier": "flex"},
    {"service_tier": "priority"},
    {"speed": "fast"},
]


def disjoint_usage(rng: random.Random) -> dict[str, int]:
    """Usage genai-prices accepts: images and videos are never cached, overlaps are reported."""
    parts = [rng.choice([0, 0, rng.randrange(1, 150_000)]) for _ in range(6)]
    read, write, hour, audio, image, text = parts
    return {
        "input_tokens": read + write + hour + audio + image + text,
        "output_tokens": (out := rng.randrange(50_000)),
        "cache_read_tokens": read,
        "cache_write_tokens": write + hour,
        "cache_write_1h_tokens": hour,
        "input_audio_tokens": audio,
        "input_image_tokens": image,
        "output_audio_tokens": rng.choice([0, out // 3]),
        "reasoning_tokens": rng.choice([0, out // 2]),
        "web_searches": rng.choice([0, 0, 3]),
    }


def theirs(event: dict[str, Any], context: dict[str, str]) -> Decimal | None:
    renamed = {"reasoning_tokens": "output_reasoning_tokens"}
    usage = {renamed.get(k, k): v for k, v in event.items() if k in TOKEN_COLUMNS}
    # Overlaps the event cannot report are zero by construction; genai-prices wants them stated.
    usage |= {"cache_audio_read_tokens": 0, "cache_image_read_tokens": 0}
    at = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=event["started_at_us"])
    try:
        found = calc_price(
            Usage(**usage),
            event["request_model"],
            provider_id=event["provider"],
            genai_request_timestamp=at,
            price_context=context or None,
        )
    except LookupError:
        return None
    return found.total_price


@pytest.mark.parametrize("context", CONTEXTS, ids=str)
def test_every_model_costs_what_genai_prices_says(context: dict[str, str]) -> None:
    rng = random.Random(str(context))
    batch: list[dict[str, Any]] = []
    for example in share(every_model(), 3, CONTEXTS.index(context)):
        event: dict[str, Any] = {**disjoint_usage(rng), **context, "status": "ok"}
        event |= {"provider": example.provider, "request_model": example.name}
        event["started_at_us"] = NOW_US + rng.randrange(-(10**14), 10**13)
        batch.append(event)
    listed = replace(compile_cards(), corrections=())
    priced = price(frame(batch), listed)
    compared = 0
    for event, row in zip(batch, priced.iter_rows(named=True), strict=True):
        expected = theirs(event, context)
        if row["cost_pico_usd"] is None:
            is_sold = (event["provider"], event["request_model"]) not in NOT_OFFERED
            assert not is_sold or expected is None or expected == 0, (event, row["price_rule"])
            continue
        assert expected is not None, event
        tokens = event["input_tokens"] + event["output_tokens"] + event["web_searches"]
        # Half a pico-USD a token at most: the rounding of rates that do not come out even.
        assert abs(row["cost_pico_usd"] - expected * PICO) <= Decimal(tokens) / 2, (event, row)
        compared += 1
    assert compared > (3_000 if IS_THOROUGH else 950)
