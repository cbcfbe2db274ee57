"""What six instrumentations recorded of the same calls becomes the events of our own extractors.

`python -m tests.recorded_spans.record` wrote the spans, by the packages whose versions they name.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from functools import cache
from typing import Any

import orjson
import pytest

from tests.golden.pricing import all_priced, judged
from tests.model_calls import CALLS, REFUSED, Call
from tests.places import ROOT
from tests.recorded_spans.record import FAMILIES, FOLDER
from tests.sampling import in_thorough
from tokentide.usage.flavour import flavour
from tokentide_jobs.core.record.otlp import read_otlp

COUNTS = ("input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens")
NO_SPAN = "no span: not instrumented"
NO_CACHES = "cached tokens are not reported: `partial` where a prompt is long enough to be cached"
ADDED = "the first output count of a stream is added to the last, which has it: `partial`"
LEFT_OUT = "the tokens of caches are left out of a stream: `partial`"
NOT_EXACT: Mapping[tuple[str, str], str] = {
    ("openai-v2", "chat"): NO_CACHES,
    ("openai-v2", "chat with a tool"): NO_CACHES,
    ("openai-v2", "streamed chat"): NO_CACHES,
    ("openai-v2", "responses"): NO_SPAN,
    ("openai-v2", "streamed responses"): NO_SPAN,
    ("openai-v2", "message"): NO_SPAN,
    ("openai-v2", "streamed message"): NO_SPAN,
    ("openllmetry", "streamed message"): ADDED,
    ("openlit", "streamed message"): LEFT_OUT,
}
"""What a family does not report as it was, and why; docs/opentelemetry.md states the same."""

RECORDED = {name: json.loads((FOLDER / f"{name}.json").read_text("utf-8")) for name in FAMILIES}
BY_FAMILY = pytest.mark.parametrize("family", FAMILIES)


def events_of(family: str, call: Call) -> list[dict[str, Any]]:
    found = []
    for request in RECORDED[family]["calls"][call.name]:
        read = read_otlp(orjson.dumps(request))
        assert read.fault is None
        found += [orjson.loads(line) for line in read.lines]
    return found


def ours_of(event: Mapping[str, Any], call: Call) -> dict[str, Any]:
    """Return the event with what our own extractor reads from the provider's answer."""
    known = flavour(call.flavour)
    reading = known.read_stream()
    for chunk in call.chunks:
        reading.add(chunk)
    fields = reading.fields() if call.chunks else known.read_response(call.answer)
    cleared = dict.fromkeys((*COUNTS, "reasoning_tokens", "response_model"))
    return {**event, "provider": call.provider, **cleared, **fields}


def counted(event: Mapping[str, Any]) -> dict[str, int]:
    """Return counts that are not zero: some instrumentations write 0 for what was not reported."""
    return {name: event[name] for name in COUNTS if event.get(name)}


@cache
def prices() -> dict[tuple[str, str], tuple[dict[str, Any], dict[str, Any]]]:
    """Return what pricing says of each call's event and of our own, by family and call."""
    keys, events = [], []
    for family in FAMILIES:
        for call in CALLS:
            for event in events_of(family, call):
                keys.append((family, call.name))
                events += [event, ours_of(event, call)]
    judgements = all_priced(events)
    return dict(zip(keys, zip(judgements[::2], judgements[1::2], strict=True), strict=True))


@BY_FAMILY
@pytest.mark.parametrize("call", CALLS, ids=lambda call: call.name)
def test_a_recorded_span_becomes_the_event_of_our_own_extractor(family: str, call: Call) -> None:
    reason, found = NOT_EXACT.get((family, call.name)), events_of(family, call)
    if reason == NO_SPAN:
        assert found == []
        return
    [event] = found
    judged(event)
    assert (event["provider"], event["status"]) == (call.provider, "ok")
    assert (event["operation"] == "embeddings") == (call.name == "embeddings")
    same = ours_of(event, call)
    for name in ("response_model", "response_id"):
        assert event.get(name) in (None, same.get(name))
    assert event.get("finish_reasons", [])[:1] in ([], same.get("finish_reasons", [])[:1])
    theirs, ours = prices()[family, call.name]
    if reason is not None:
        assert counted(event) != counted(same), "reported correctly: off the list"
        assert event["usage_source"] == "missing"
        assert theirs["price_status"] == "partial"
        return
    assert counted(event) == counted(same)
    assert theirs["cost_pico_usd"] == ours["cost_pico_usd"] > 0
    # Of Anthropic's cache writes, their attributes do not say how long they live.
    is_uncertain = bool(event.get("cache_write_tokens")) or event["usage_source"] == "missing"
    assert theirs["price_status"] == ("partial" if is_uncertain else "exact")


@BY_FAMILY
def test_a_recorded_failure_is_an_error_event(family: str) -> None:
    [event] = events_of(family, REFUSED)
    judged(event)
    assert (event["status"], event["usage_source"]) == ("error", "missing")
    # Sentry keeps what failed in an event of its own, beside the span.
    expected = ("unknown", None) if family == "sentry" else ("rate_limit", 429)
    assert (event["error_type"], event.get("http_status")) == expected


def test_what_is_reported_of_the_caller_is_not_taken_for_the_call() -> None:
    [of_sentry], [of_openlit] = (events_of(name, CALLS[0]) for name in ("sentry", "openlit"))
    assert (of_sentry["host"], of_sentry.get("server_address")) == ("caller-1", None)
    assert (of_openlit["service"], of_openlit["server_address"]) == ("svc", "api.openai.com")


def test_openlits_own_reckoning_is_kept_as_reported() -> None:
    [event] = events_of("openlit", CALLS[0])
    # Its price file knows no cached tokens.
    assert event["reported_cost_pico_usd"] == 2000 * 150_000 + 200 * 600_000
    assert event["reported_cost_source"] == "openlit.instrumentation.openai"


def test_the_page_says_which_packages_were_recorded_and_what_they_do_not_tell() -> None:
    page = (ROOT / "docs" / "opentelemetry.md").read_text("utf-8")
    for family, (packages, _start) in FAMILIES.items():
        versions = RECORDED[family]["versions"]
        named = ", ".join(f"`{name}` {versions[name]}" for name in packages)
        gaps: dict[str, list[str]] = {}
        for (name, call), reason in NOT_EXACT.items():
            if name == family:
                gaps.setdefault(reason, []).append(call)
        kept = "; ".join(f"{', '.join(calls)}: {reason}" for reason, calls in gaps.items())
        assert f"| {named} | {kept or '-'} |" in page, f"| {named} | {kept or '-'} |"


@pytest.mark.integration
@in_thorough  # the usual run reads what they recorded
@pytest.mark.parametrize("family", ["openllmetry", "openinference"])
def test_the_installed_packages_still_record_these_spans(family: str) -> None:
    pytest.importorskip("openinference.instrumentation" if "inf" in family else "opentelemetry")
    code = "import json, sys; from tests.recorded_spans.record import recorded;"
    code += " print(json.dumps(recorded(sys.argv[1])))"
    done = subprocess.run(
        [sys.executable, "-c", code, family],
        check=True, capture_output=True, text=True, timeout=300, cwd=ROOT,
    )  # fmt: skip
    assert json.loads(done.stdout.splitlines()[-1]) == RECORDED[family]
