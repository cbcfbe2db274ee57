"""`captured()` reports of an event what the models of the contract report."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import ValidationError

import tokentide
from tests.each import each
from tokentide.conformance import faults
from tokentide.testing import Capture, ContractError, captured
from tokentide_schemas import EVENT_ADAPTER, EVENT_MODELS, sdk_rules
from tokentide_schemas.examples import load_examples

STRANGE: tuple[Any, ...] = (
    None, "", "a", "A" * 32, "0" * 16, "0" * 32, "a" * 33, "x" * 129, "x" * 257, "x" * 2049, "sk-1",
    "ok", "judge", "batch", "deploy", "provider", "01890000-0000-7000-8000-000000000000",
    "01890000-0000-7000-8000-000000000000\n", True, 0, -1, 1, 5.0, 5.5, 0.5, 600, 70_000, 1_000_001,
    100_000_001, 1 << 41, 1e9 + 1, -2e9, 1e15, [], ["stop"], [1], ["x" * 129], ["a"] * 129, {},
    {"a": "b"}, {"a": 1}, {"a": -1}, {"a": "x" * 257}, {"": "b"}, {"a" * 65: 2.5},
    {str(n): "b" for n in range(33)},
)  # fmt: skip


def is_taken(event: dict[str, Any]) -> bool:
    try:
        EVENT_ADAPTER.validate_json(json.dumps(event))
    except ValidationError:
        return False
    return True


def sound(event_type: str) -> Iterator[dict[str, Any]]:
    for example in load_examples(event_type):
        if is_taken(example.event):
            known = EVENT_MODELS[event_type].model_fields
            yield {name: value for name, value in example.event.items() if name in known}


@pytest.mark.parametrize("event_type", sorted(EVENT_MODELS))
def test_a_value_is_a_fault_where_the_models_refuse_it(event_type: str) -> None:
    event, verdicts = next(sound(event_type)), {True: 0, False: 0}
    for name in EVENT_MODELS[event_type].model_fields:
        for value in STRANGE:
            changed = {**event, name: value}
            taken = is_taken(changed)
            assert (not faults(changed)) is taken, (name, value, faults(changed))
            verdicts[taken] += 1
        without = {one: event[one] for one in event if one != name}
        assert (not faults(without)) is is_taken(without), name
    assert min(verdicts.values()) > 100


@pytest.mark.parametrize("event_type", sorted(EVENT_MODELS))
def test_examples_of_the_contract_are_judged_as_by_the_models(event_type: str) -> None:
    for example in load_examples(event_type):
        known = EVENT_MODELS[event_type].model_fields
        event = {name: value for name, value in example.event.items() if name in known}
        assert (not faults(event)) is is_taken(event), (example.name, faults(event))


def test_a_rule_that_the_check_would_not_follow_is_not_generated() -> None:
    with pytest.raises(ValueError, match=r"x: .* does not follow \['multipleOf'\]"):
        sdk_rules._known("x", {"anyOf": [{"type": "integer", "multipleOf": 2}]})


def send_context(capture: Capture) -> None:
    with tokentide.context(tenat="acme"), capture.telemetry.request() as call:  # type: ignore[call-arg]
        call.record_usage(input_tokens=1, output_tokens=1)


def send_status(capture: Capture) -> None:
    with capture.telemetry.request() as call:
        call.set(statsu="error")  # type: ignore[call-arg]


def send_change(capture: Capture) -> None:
    capture.telemetry.change("deployment", "search-api")  # type: ignore[arg-type]


def send_details(capture: Capture) -> None:
    with capture.telemetry.request() as call:
        call.record_usage(input_tokens=1, output_tokens=1, cache_read_tokens=7)


def send_key(capture: Capture) -> None:
    with capture.telemetry.request(key_id="sk-ant-1") as call:
        call.record_usage(input_tokens=1, output_tokens=1)


@each(
    ("send", "message"),
    [
        (send_context, r"event 1 \(request\): tenat='acme': no field .*tenant was meant"),
        (send_status, r"statsu='error': no field of this type \(status was meant\?\)"),
        (send_change, r"event 1 \(change\): kind='deployment': give one of deploy, prompt"),
        (send_details, r"cache_read_tokens \+ cache_write_tokens = 7 exceeds input_tokens=1"),
        (send_key, r"key_id: left out"),
        (lambda capture: capture.telemetry.emit(["x"]), r"emitted 1 times what is no event"),
        (lambda capture: capture.telemetry.emit({"type": "call"}), r"type='call': give one of"),
        (lambda capture: capture.telemetry.feedback("thumb", label="up"), r"no target: give"),
    ],
)
def test_a_services_own_test_fails_with_what_is_wrong(send: Any, message: str) -> None:
    with pytest.raises(ContractError, match=message), captured() as capture:
        send(capture)


def test_events_that_are_asked_for_are_checked_at_once() -> None:
    with captured() as capture:
        capture.telemetry.feedback("thumb", label="up")
        with pytest.raises(ContractError):
            capture.events("request")
        raise_nothing_more(capture)


def raise_nothing_more(capture: Capture) -> None:
    capture.sender.frames.clear()


def test_an_exception_of_the_block_goes_first() -> None:
    with pytest.raises(KeyError), captured() as capture:
        capture.telemetry.feedback("thumb", label="up")
        raise KeyError("mine")


def test_what_is_wrong_on_purpose_may_be_sent() -> None:
    with captured(checks_contract=False) as capture:
        capture.telemetry.change("deployment", "search-api")  # type: ignore[arg-type]
        assert [event["kind"] for event in capture.events("change")] == ["deployment"]
