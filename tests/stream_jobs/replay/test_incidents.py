"""Declared faults change what they say and nothing else, and what is found is shown beside them."""

from __future__ import annotations

import io
from collections.abc import Iterator
from itertools import islice
from typing import Any

import pytest
from rich.console import Console

from tokentide_jobs.cli.demo_incidents import incidents_view
from tokentide_jobs.replay.events import Event
from tokentide_jobs.replay.incidents import INCIDENTS, Incident, injected
from tokentide_jobs.replay.week import week

SPAN_S = 7_200.0
END_US = 1_796_000_400_000_000
PROMPT, BROWNOUT, RUNAWAY = INCIDENTS


def traffic() -> Iterator[tuple[float, Event]]:
    """Yield a call of each service every second."""
    for second in range(int(SPAN_S)):
        for service, provider in (("support-chat", "openai"), ("search-answers", "google")):
            yield float(second), {
                "type": "request", "service": service, "provider": provider, "status": "ok",
                "prompt_version": "v13", "duration_ms": 500.0, "input_tokens": 100,
                "output_tokens": 10, "usage_source": "provider",
            }  # fmt: skip


def left(incident: Incident) -> tuple[float, float]:
    return SPAN_S - incident.begin_s, SPAN_S - incident.end_s


def test_faults_are_in_the_traffic_as_declared_and_nothing_else_is_changed() -> None:
    events = list(injected(traffic(), SPAN_S, 1))
    times = [at_s for at_s, _event in events]
    assert times == sorted(times)
    of_service: dict[str, list[tuple[float, Event]]] = {}
    for at_s, event in events:
        if event["type"] == "request":
            of_service.setdefault(event["service"], []).append((at_s, event))

    begin_s, end_s = left(PROMPT)
    for at_s, event in of_service["support-chat"]:
        is_ill = begin_s <= at_s < end_s
        said = (event["input_tokens"], event["output_tokens"], event["prompt_version"])
        assert said == ((200, 20, "v14") if is_ill else (100, 10, "v13"))
    begin_s, end_s = left(BROWNOUT)
    ill = [event for at_s, event in of_service["search-answers"] if begin_s <= at_s < end_s]
    well = [event for at_s, event in of_service["search-answers"] if not begin_s <= at_s < end_s]
    assert {event["duration_ms"] for event in ill} == {1_500.0}
    failed = [event for event in ill if event["status"] == "error"]
    assert len(failed) / len(ill) == pytest.approx(0.3, abs=0.05)
    assert all("input_tokens" not in event and event["http_status"] == 503 for event in failed)
    assert {(event["status"], event["duration_ms"]) for event in well} == {("ok", 500.0)}

    loop = of_service["code-assistant"]
    assert len(loop) == 45 * 6
    assert {(event["run_id"], event["input_tokens"]) for _at_s, event in loop} == {
        ("triage-4711", 48_000)
    }
    (change,) = [(at_s, event) for at_s, event in events if event["type"] == "change"]
    assert (change[0], change[1]["to_version"]) == (left(PROMPT)[0], "v14")


def test_a_week_is_thinned_in_order_and_without_failures() -> None:
    events = list(islice(week(1), 1_500))
    times = [at_s for at_s, _event in events]
    assert times == sorted(times)
    requests = [event for _at_s, event in events if event["type"] == "request"]
    assert {event["service"] for event in requests} == {"support-chat", "search-answers"}
    assert all(event["status"] != "error" for event in requests)
    sizes = [(event.get("input_tokens"), event.get("output_tokens")) for event in requests]
    assert len(set(sizes)) > 0.9 * len(sizes), "an hour that repeats the one before"


def opening(after_s: float, incident: Incident, **fields: Any) -> dict[str, Any]:
    return {
        "alert_id": f"{after_s}", "at_us": END_US - round((incident.begin_s - after_s) * 1e6),
        "dimensions": dict(incident.fields[:1]), "sentence": "it is so", "severity": "page",
        "held": "", "impact_usd_per_hour": "0", "impact_failed_per_minute": 0.0,
        **fields,
    }  # fmt: skip


def test_what_was_found_stands_below_what_was_done_and_the_rest_is_not_kept_back() -> None:
    found = [
        opening(180, BROWNOUT, sentence="errors of google", impact_failed_per_minute=3.25),
        opening(15, RUNAWAY, sentence="run repeats", impact_usd_per_hour="71.28"),
        opening(20, RUNAWAY, sentence="its twin", held="incident 1"),
        opening(30, RUNAWAY, sentence="of nobody", dimensions={"tenant": "acme"}),
    ]
    screen = Console(width=100, record=True, file=io.StringIO())
    screen.print(incidents_view(found, END_US))
    shown = screen.export_text()
    first, second, third = (shown.index(f"injected: {one.title[:20]}") for one in INCIDENTS)
    assert shown.index("not found") < second, "the prompt was not found"
    assert second < shown.index("+180 s") < shown.index("3.2 failed requests a minute") < third
    assert third < shown.index("+15 s") < shown.index("$71.28 an hour more")
    assert "1 other alert announced; 1 absorbed" in shown
    assert shown.index("of nobody") > shown.index("besides")
    assert "its twin" not in shown
    assert first < second < third
