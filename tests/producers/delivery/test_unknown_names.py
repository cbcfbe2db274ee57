"""A name that the contract does not know is logged once, and costs no event."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

import tokentide
from tests.each import each
from tokentide.delivery.counters import stats_event
from tokentide.delivery.unknown_names import KNOWN, MOST_REPORTED, UnknownNames
from tokentide.log import RateLimitedLog
from tokentide.testing import Capture, captured


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.name == "tokentide"]


def of_context(capture: Capture) -> None:
    with tokentide.context(tenat="acme"), capture.telemetry.request() as call:  # type: ignore[call-arg]
        call.record_usage(input_tokens=1, output_tokens=1)


def of_request(capture: Capture) -> None:
    with capture.telemetry.request(tenat="acme"):  # type: ignore[call-arg]
        pass


def of_set(capture: Capture) -> None:
    with capture.telemetry.request() as call:
        call.set(tenat="acme")  # type: ignore[call-arg]


def of_emit(capture: Capture) -> None:
    capture.telemetry.emit({"type": "request", "status": "ok", "tenat": "acme"})


def of_its_own_tenant(capture: Capture) -> None:
    """Assert that the event has a field that every event of this producer has, and is merged."""
    capture.telemetry.emit({"type": "request", "service": "other", "tenat": "acme"})


@each("send", [of_context, of_request, of_set, of_emit, of_its_own_tenant])
def test_an_unknown_name_is_one_warning_however_many_events_have_it(
    send: Any, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.clear()
    with captured(checks_contract=False) as capture:
        for _ in range(50):
            send(capture)
        assert [event["tenat"] for event in capture.requests] == ["acme"] * 50
    [line] = warnings(caplog)
    assert "of type request has the field 'tenat'" in line
    assert "(tenant was meant?)" in line


def test_each_type_of_event_is_a_place_of_its_own(caplog: pytest.LogCaptureFixture) -> None:
    with captured(checks_contract=False) as capture:
        for _ in range(2):
            with tokentide.context(tenat="acme"):  # type: ignore[call-arg]
                capture.telemetry.feedback("thumb", target_event_id="e")
                capture.telemetry.evaluation("judge", target_event_id="e")
    kinds = [line.split(" has ")[0] for line in warnings(caplog)]
    assert kinds == ["an event of type feedback", "an event of type evaluation"]


def test_a_field_of_another_type_is_unknown_too(caplog: pytest.LogCaptureFixture) -> None:
    with captured(checks_contract=False) as capture:
        capture.telemetry.emit({"type": "request", "passed": True})
    assert "has the field 'passed'" in warnings(caplog)[0]


@each("kind", ["call", None, ["request"]])
def test_a_type_that_is_none_is_logged(kind: object, caplog: pytest.LogCaptureFixture) -> None:
    caplog.clear()
    with captured(checks_contract=False) as capture:
        for _ in range(3):
            capture.telemetry.emit({"type": kind, "tenant": "acme"})
        assert len(capture.events()) == 3
    [line] = warnings(caplog)
    assert "refuses it: give one of request, evaluation" in line


def test_what_the_producer_itself_sends_is_known(caplog: pytest.LogCaptureFixture) -> None:
    with captured(capture_content="all", tenant="acme", user_hash_key="k" * 32) as capture:
        with tokentide.context(user="u", prompt=("a", "1")), capture.telemetry.request() as call:
            call.record_content(input="hello")
            call.chunk()
        capture.telemetry.feedback("thumb", label="up", user="u", target_event_id=call.event_id)
        assert capture.content
        stats = stats_event(capture.telemetry.stats(), 1.0, has_spool=True, has_gate=True)
    assert stats.keys() <= KNOWN["stats"]
    assert warnings(caplog) == []


def test_a_name_is_logged_once_and_not_once_a_minute(caplog: pytest.LogCaptureFixture) -> None:
    hours_s = itertools.count(0.0, 3600.0)
    unknown = UnknownNames(RateLimitedLog(clock=lambda: next(hours_s)))
    for _ in range(10):
        unknown.look_at({"type": "request", "tenat": "acme"})
        unknown.look_at({"type": "call"})
    assert len(warnings(caplog)) == 2


class Strange(str):
    def __hash__(self) -> int:
        raise RuntimeError("mine")


def test_names_made_of_data_do_not_fill_the_log(caplog: pytest.LogCaptureFixture) -> None:
    unknown = UnknownNames(RateLimitedLog())
    for number in range(1000):
        unknown.look_at({"type": "request", f"user\n{number}": 1, "x" * 1000: 1})
    unknown.look_at({"type": Strange("request")})
    lines = warnings(caplog)
    assert len(lines) == MOST_REPORTED
    assert max(map(len, lines)) < 300
    assert not any("\n" in line for line in lines)
