"""What a priced row says: its costs, how sure they are, and which card they came from."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import polars as pl

from tests.each import each
from tokentide_jobs.core.price.pricing import COST_COLUMNS, PRICE_COLUMNS, price
from tokentide_jobs.core.price.reported_usage import TOKEN_COLUMNS
from tokentide_jobs.io.files.price_overrides import parse_price_file
from tokentide_jobs.io.files.price_source import compile_cards

NOW_US = 1_795_046_400_000_000


def priced(*overrides: str, **event: Any) -> dict[str, Any]:
    file = parse_price_file("\n".join(overrides).encode(), "prices.yaml")
    cards = replace(compile_cards(), price_version="v1", overrides=file.overrides)
    event = {"provider": "openai", "request_model": "gpt-4o", "status": "ok"} | event
    event["other_units"] = json.dumps(event.get("other_units", {}))
    schema = {name: pl.Int64 for name in TOKEN_COLUMNS if name in event}
    frame = pl.DataFrame(
        {"started_at_us": [NOW_US], **{name: [value] for name, value in event.items()}},
        schema_overrides=schema,
    )
    return price(frame, cards).select(PRICE_COLUMNS).row(0, named=True)


def costs(row: dict[str, Any]) -> list[int | None]:
    return [row[name] for name in COST_COLUMNS]


def test_each_token_is_billed_once_in_its_class() -> None:
    row = priced(
        provider="anthropic",
        request_model="claude-opus-4-6",
        input_tokens=10_000,
        cache_read_tokens=6_000,
        cache_write_tokens=3_000,
        cache_write_1h_tokens=1_000,
        output_tokens=500,
        reasoning_tokens=200,
        web_searches=2,
    )
    assert costs(row) == [
        1_000 * 5_000_000,
        6_000 * 500_000,
        2_000 * 6_250_000 + 1_000 * 10_000_000,
        500 * 25_000_000,
        2 * 10_000_000_000,
    ]
    assert row["cost_pico_usd"] == sum(c for c in costs(row) if c is not None)
    assert (row["price_status"], row["price_version"]) == ("exact", "v1")


def test_audio_without_a_price_of_its_own_is_partial() -> None:
    row = priced(
        request_model="gpt-4o-mini-audio-preview", input_tokens=1_000, input_audio_tokens=900,
        output_tokens=10,
    )  # fmt: skip
    assert row["price_status"] == "partial"
    assert row["cost_input_pico_usd"] == 1_000 * 150_000


def test_the_long_cache_without_a_price_is_billed_as_any_write_and_partial() -> None:
    usage = {"input_tokens": 100, "cache_write_tokens": 100, "cache_write_long_tokens": 100}
    row = priced(provider="anthropic", request_model="claude-opus-4-6", **usage)
    assert (row["price_status"], row["cost_cache_write_pico_usd"]) == ("partial", 625_000_000)
    mine = '- {provider: anthropic, model: "*", rates: {cache_write_long: 12}, reason: r}'
    row = priced(mine, provider="anthropic", request_model="claude-opus-4-6", **usage)
    assert (row["price_status"], row["cost_cache_write_pico_usd"]) == ("override", 1_200_000_000)


def test_a_unit_without_a_price_is_not_billed_and_partial() -> None:
    row = priced(input_tokens=10, output_tokens=1, other_units={"lightbulbs": 3})
    assert row["price_status"] == "partial"
    assert row["cost_other_pico_usd"] == 0


def test_units_that_are_not_tokens_are_billed_by_their_own_rate() -> None:
    row = priced(request_model="gpt-realtime-whisper", other_units={"seconds": 90.5})
    assert row["cost_other_pico_usd"] == round(90.5 * 283_333_333)
    assert row["price_status"] == "exact"
    ocr = {"provider": "mistral", "request_model": "mistral-ocr-2505"}
    pages = priced(**ocr, other_units={"pages": 10, "annotated_pages": 4})
    assert pages["cost_other_pico_usd"] == 6 * 1_000_000_000 + 4 * 3_000_000_000


def test_groq_bills_at_least_ten_seconds_of_audio() -> None:
    whisper = {"provider": "groq", "request_model": "whisper-large-v3"}
    assert priced(**whisper, other_units={"seconds": 3})["cost_pico_usd"] == 308_333_330
    assert priced(**whisper, other_units={"seconds": 0})["cost_pico_usd"] == 0


def test_a_fee_per_request_is_billed_once() -> None:
    row = priced(
        provider="perplexity", request_model="sonar", input_tokens=1_000, output_tokens=100
    )
    assert row["cost_other_pico_usd"] == 12_000_000_000
    assert row["price_status"] == "partial"  # the amount of the search was not reported
    sized = priced(**_SONAR, output_tokens=100, other_units={"low_context_requests": 1})
    assert (sized["cost_other_pico_usd"], sized["price_status"]) == (5_000_000_000, "exact")
    failed = priced(provider="perplexity", request_model="sonar", status="error")
    assert (failed["cost_pico_usd"], failed["price_status"]) == (0, "exact")


_SONAR = {"provider": "perplexity", "request_model": "sonar", "input_tokens": 1_000}
_IMAGE = {"request_model": "gpt-image-1", "input_tokens": 100, "input_image_tokens": 50}


@each(
    ("event", "units", "same"),
    [
        ({"input_tokens": 10}, {"preview_web_searches": 3}, {}),
        ({"input_tokens": 10, "web_searches": 1}, {"preview_web_searches": 3},
         {"preview_web_searches": 1}),
        ({"input_tokens": 10, "web_searches": 2}, {"preview_web_searches": 1.5},
         {"preview_web_searches": 1}),
        (_SONAR, {"low_context_requests": 2}, {"low_context_requests": 1}),
        (_SONAR, {"low_context_requests": 1, "high_context_requests": 1},
         {"low_context_requests": 1}),
        (_IMAGE, {"cache_read_image_tokens": 50}, {}),
        (_IMAGE | {"cache_read_tokens": 20}, {"cache_read_image_tokens": 50},
         {"cache_read_image_tokens": 20}),
        ({"request_model": "gpt-5.4", "input_tokens": 10}, {"preview_web_searches": 1}, {}),
    ],
)  # fmt: skip
def test_a_part_that_its_whole_does_not_hold_is_not_billed_and_partial(
    event: dict[str, Any], units: dict[str, Any], same: dict[str, Any]
) -> None:
    event = {"request_model": "gpt-4.1", "output_tokens": 1} | event
    row, held = priced(**event, other_units=units), priced(**event, other_units=same)
    assert (row["price_status"], held["price_status"]) == ("partial", "exact")
    assert costs(row) == costs(held)


@each(
    ("event", "status", "cost", "rule"),
    [
        ({"status": "error"}, "exact", 0, "failed without usage"),
        ({"status": "error", "usage_source": "missing"}, "exact", 0, "failed without usage"),
        ({"status": "filtered"}, "exact", 0, "failed without usage"),
        ({"status": "error", "request_model": "gpt-99"}, "exact", 0, "failed without usage"),
        (
            {"status": "error", "usage_source": "missing", "chunks": 9},
            "partial", None, "usage missing: genai-prices:openai/gpt-4o",
        ),
        (
            {"status": "ok", "usage_source": "missing"},
            "partial", None, "usage missing: genai-prices:openai/gpt-4o",
        ),
        (
            {"status": "abandoned", "usage_source": "missing"},
            "partial", None, "usage missing: genai-prices:openai/gpt-4o",
        ),
        ({"status": "cancelled"}, "partial", None, "usage missing: genai-prices:openai/gpt-4o"),
        (
            {"status": "abandoned", "usage_source": "missing", "input_tokens": 4},
            "partial", 10_000_000, "genai-prices:openai/gpt-4o",
        ),
        (
            {"status": "ok", "usage_source": "missing", "request_model": "gpt-99"},
            "unpriced", None, "unpriced: unknown model",
        ),
        ({"status": "ok", "input_tokens": 0, "output_tokens": 0}, "exact", 0, "genai-"),
    ],
)  # fmt: skip
def test_missing_usage_is_neither_free_nor_unpriced(
    event: dict[str, Any], status: str, cost: int | None, rule: str
) -> None:
    row = priced(**event)
    assert (row["price_status"], row["cost_pico_usd"]) == (status, cost)
    assert row["price_rule"].startswith(rule)
    assert set(costs(row)) == {None} if cost is None else sum(filter(None, costs(row))) == cost


def test_a_call_whose_units_have_no_price_at_all_is_unpriced() -> None:
    row = priced(provider="groq", request_model="whisper-large-v3", input_tokens=500)
    assert (row["price_status"], row["cost_pico_usd"]) == ("unpriced", None)
    assert row["price_rule"].startswith("unpriced: no rate for what was used: genai-prices:groq/")


def test_details_that_overlap_never_bill_more_than_the_total() -> None:
    image = {"request_model": "gpt-image-1", "input_tokens": 100, "input_image_tokens": 80}
    row = priced(**image, cache_read_tokens=60)
    assert row["price_status"] == "partial"
    assert row["cost_input_pico_usd"] == 40 * 10_000_000


def test_the_long_context_cliff_is_named_in_the_rule() -> None:
    sonnet = {"provider": "anthropic", "request_model": "claude-sonnet-4-5"}
    below = priced(**sonnet, input_tokens=200_000, output_tokens=1)
    above = priced(**sonnet, input_tokens=200_001, output_tokens=1)
    assert below["cost_pico_usd"] == 200_000 * 3_000_000 + 15_000_000
    assert above["cost_pico_usd"] == 200_001 * 6_000_000 + 22_500_000
    assert above["price_rule"] == "genai-prices:anthropic/claude-sonnet-4-5>200000"


def test_a_cost_beyond_64_bits_is_null_and_says_so() -> None:
    row = priced(request_model="o3", input_tokens=1 << 40, output_tokens=1 << 40)
    assert row["price_status"] == "unpriced"
    assert row["price_rule"].startswith("unpriced: beyond 64 bits: genai-prices:openai/o3")
    assert set(costs(row)) == {None}
    row = priced(request_model="gpt-4o", input_tokens=1 << 40, output_tokens=1)
    assert row["cost_pico_usd"] == (1 << 40) * 2_500_000 + 10_000_000


def test_a_frame_with_only_the_required_fields_is_priced() -> None:
    frame = pl.DataFrame(
        {"started_at_us": [NOW_US], "provider": ["openai"], "request_model": ["gpt-4o"]}
    )
    assert price(frame, compile_cards())["price_status"].to_list() == ["partial"]


def test_an_empty_frame_gets_the_columns() -> None:
    frame = pl.DataFrame({"started_at_us": []}, schema={"started_at_us": pl.Int64})
    done = price(frame, compile_cards())
    assert done.columns == ["started_at_us", *PRICE_COLUMNS]
    assert done["cost_pico_usd"].dtype == pl.Int64
    assert done["price_rule"].dtype == pl.String
