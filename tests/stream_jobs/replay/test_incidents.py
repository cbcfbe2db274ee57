"""Declared faults change what they declare and nothing else, in calls that a recorded week has."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from itertools import islice

import pytest

from tokentide_jobs.replay.events import Event
from tokentide_jobs.replay.incidents import INCIDENTS, Incident, injected
from tokentide_jobs.replay.week import HISTORY_S, week
from tokentide_jobs.replay.week import SPAN_S as WEEK_S

SPAN_S = 7_200.0
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
        found = (event["input_tokens"], event["output_tokens"], event["prompt_version"])
        assert found == ((200, 20, "v14") if is_ill else (100, 10, "v13"))
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


@pytest.fixture(scope="module")
def touched() -> list[tuple[float, Event]]:
    """Return the calls that faults changed or added in the last hour of the demo's week."""
    hour = [(at_s, event) for at_s, event in week(1) if at_s >= HISTORY_S]
    before = {event["event_id"]: copy.deepcopy(event) for _at_s, event in hour}
    return [
        (at_s, event)
        for at_s, event in injected(hour, WEEK_S, 1)
        if event["type"] == "request" and event != before.get(event["event_id"])
    ]


def dimensions(event: Event) -> dict[str, str]:
    names = {"run": "run_id", "service": "service", "provider": "provider"}
    return {name: event[field] for name, field in names.items() if field in event}


@pytest.mark.parametrize("incident", INCIDENTS, ids=lambda one: one.title.split()[0])
def test_each_fault_changes_calls_of_the_week_that_its_alerts_speak_of(
    incident: Incident, touched: list[tuple[float, Event]]
) -> None:
    of_it = [
        event
        for at_s, event in touched
        if incident.end_s < WEEK_S - at_s <= incident.begin_s
        and dict(incident.fields).items() <= dimensions(event).items()
    ]
    assert len(of_it) >= 20


def test_no_call_is_changed_that_no_fault_speaks_of(touched: list[tuple[float, Event]]) -> None:
    for _at_s, event in touched:
        assert any(incident.concerns(dimensions(event)) for incident in INCIDENTS)
