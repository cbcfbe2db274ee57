"""Writes docs/providers.md from the golden payloads: `python -m tests.golden.document`.

What the page claims is therefore tested: every line of its tables is a payload that goes through
extractor, event contract and pricing in the tests.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from importlib import import_module
from typing import Any

from tests.golden.cases import Case, load_cases
from tests.golden.pricing import event_of
from tests.places import ROOT
from tokentide.usage.flavour import FLAVOUR_NAMES, flavour

DOCUMENT = ROOT / "docs" / "providers.md"

_TITLES = {
    "openai_chat": "OpenAI chat completions, and servers that answer in that format",
    "openai_responses": "OpenAI responses",
    "openai_embeddings": "Embeddings in OpenAI's format",
    "openai_transcription": "Transcription in OpenAI's format",
    "openai_images": "Images in OpenAI's format",
    "openai_speech": "OpenAI speech",
    "anthropic_messages": "Anthropic messages",
    "gemini": "Gemini and Vertex AI",
    "gemini_interactions": "Gemini interactions",
    "bedrock_converse": "Amazon Bedrock Converse",
    "bedrock_invoke": "Amazon Bedrock InvokeModel",
    "mistral": "Mistral",
    "cohere": "Cohere v2",
    "xai": "xAI chat completions",
    "perplexity": "Perplexity chat completions",
}
_OPENING = """# What is read from each provider

<!-- Written by `python -m tests.golden.document`: edit the cases in tests/golden instead. -->

Providers count differently: here cached tokens are part of the input, there they come on top; here
reasoning is output, there it is beside it. The producer resolves this once, in one extractor per
API format (`tokentide.usage`), so that everything downstream can rely on these rules:

- `input_tokens` and `output_tokens` are inclusive totals, and every detail is part of its total;
- what was not reported is absent, 0 means that zero was reported, and `usage_source` is `missing`
  when an answer came without usage, as it does when a stream is left before its end;
- models, service tiers and finish reasons are as served. A finish reason has one word for all
  providers; the provider's own word stands behind it when it differs.

Each line below is a documented payload that the tests send through extractor, event contract and
pricing, as parsed JSON, as plain objects, and as the types of the provider's client library. The
cost is worked out by hand from public prices (`cost_note` of each case), and the price status shows
how sure pricing is of it ([prices](prices.md)). {count} payloads.
"""
_DETAILS = (
    ("cache_read_tokens", "cache read"),
    ("cache_write_tokens", "cache write"),
    ("cache_write_1h_tokens", "1 h write"),
    ("cache_write_long_tokens", "long write"),
    ("input_audio_tokens", "audio in"),
    ("input_image_tokens", "image in"),
    ("input_video_tokens", "video in"),
    ("cache_read_audio_tokens", "cached audio"),
    ("reasoning_tokens", "reasoning"),
    ("output_audio_tokens", "audio out"),
    ("output_image_tokens", "image out"),
    ("web_searches", "web searches"),
    ("tool_calls_count", "tool calls"),
)
_CONDITIONS = ("service_tier", "processing", "speed", "inference_geo", "upstream_provider")


def document(cases: Iterable[Case]) -> str:
    """Return the page."""
    by_flavour: dict[str, list[Case]] = {name: [] for name in FLAVOUR_NAMES}
    for case in cases:
        by_flavour[case.flavour].append(case)
    parts = [_OPENING.format(count=sum(map(len, by_flavour.values())))]
    parts += [_section(name, found) for name, found in by_flavour.items() if found]
    return "\n".join(parts)


def _section(name: str, cases: list[Case]) -> str:
    about = (import_module(f"tokentide.usage.{name}").__doc__ or "").strip()
    lines = [
        f"## {_TITLES[name]}",
        "",
        f"`{name}`, operation `{flavour(name).operation}`. {about}",
        "",
        "| payload | provider, model | input | output | of which, and beside | ends | cost, USD |",
        "|---|---|---:|---:|---|---|---:|",
    ]
    lines += [_row(case) for case in sorted(cases, key=lambda case: case.name != "plain")]
    sources = sorted({case.source for case in cases})
    return "\n".join([*lines, "", f"Shapes: {'; '.join(sources)}.", ""])


def _row(case: Case) -> str:
    fields = {**case.expect, **case.call}
    model = case.request_model
    served = event_of(case, fields).get("response_model", model)
    cells = (
        case.about + (" (stream)" if case.stream is not None else ""),
        f"{case.provider}, {model}" + (f", served by {served}" if served != model else ""),
        _number(fields.get("input_tokens")),
        _number(fields.get("output_tokens")),
        _details(fields),
        _ending(fields),
        f"{_usd(case.expect_cost_pico_usd)} {case.expect_price_status}",
    )
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _number(value: int | None) -> str:
    return "-" if value is None else f"{value:,}"


def _details(fields: Mapping[str, Any]) -> str:
    found = [f"{title} {fields[name]:,}" for name, title in _DETAILS if fields.get(name)]
    found += [f"{unit} {amount:,}" for unit, amount in (fields.get("other_units") or {}).items()]
    found += [f"{name} {fields[name]}" for name in _CONDITIONS if fields.get(name)]
    if (stated := fields.get("reported_cost_pico_usd")) is not None:
        found.append(f"cost as {fields['reported_cost_source']} says it {_usd(stated)}")
    return ", ".join(found)


def _ending(fields: Mapping[str, Any]) -> str:
    words = [", ".join(fields.get("finish_reasons", ()))]
    words += [str(fields[name]) for name in ("status", "error_type") if name in fields]
    if fields["usage_source"] == "missing":
        words.append("usage missing")
    return "; ".join(word for word in words if word)


def _usd(pico_usd: int | None) -> str:
    return "-" if pico_usd is None else f"{Decimal(pico_usd).scaleb(-12).normalize():f}"


def main() -> None:
    """Write the page."""
    DOCUMENT.write_text(document(load_cases()), encoding="utf-8")


if __name__ == "__main__":
    main()
