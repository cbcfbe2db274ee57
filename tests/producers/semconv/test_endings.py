"""How a call ended, from spans: finish reasons, refusals, failures, and calls given up."""

from __future__ import annotations

import pytest

from tests.each import each
from tests.producers.semconv.spans import LATEST, event
from tokentide.semconv import SpanEvent


@pytest.mark.parametrize(
    ("attributes", "events", "expected"),
    [
        ({"gen_ai.response.finish_reasons": ("stop", "length")}, [], ["stop", "length"]),
        ({"gen_ai.response.finish_reason": "tool_calls"}, [], ["tool_call", "tool_calls"]),
        ({"gen_ai.completion.0.finish_reason": "end_turn"}, [], ["stop", "end_turn"]),
        ({"llm.finish_reason": "max_tokens"}, [], ["length", "max_tokens"]),
        ({}, [SpanEvent("gen_ai.choice", 0, {"finish_reason": "stop"})], ["stop"]),
    ],
)
def test_finish_reasons_are_found_wherever_they_are(
    attributes: dict[str, object], events: list[SpanEvent], expected: list[str]
) -> None:
    assert event({**LATEST, **attributes}, events=events)["finish_reasons"] == expected


def test_a_refusal_is_a_status_of_its_own() -> None:
    assert event({**LATEST, "gen_ai.response.finish_reasons": ["refusal"]})["status"] == "refused"
    filtered = {**LATEST, "gen_ai.response.finish_reasons": ["content_filter"]}
    assert event(filtered)["status"] == "filtered"


@each(
    ("attributes", "exception", "expected"),
    [
        ({"error.type": "429"}, {}, ("rate_limit", 429, None)),
        ({"error.type": "_OTHER"}, {}, ("unknown", None, None)),
        ({"error.type": "RateLimitError"}, {}, ("rate_limit", None, None)),
        ({"error.type": "openai.APITimeoutError"}, {}, ("timeout", None, None)),
        ({"error.type": "insufficient_quota"}, {}, ("quota", None, "insufficient_quota")),
        ({"http.response.status_code": 529}, {}, ("overloaded", 529, None)),
        (
            {"error.type": "RateLimitError"},
            {
                "exception.type": "openai.RateLimitError",
                "exception.message": "Error code: 429 - {'error': {'message': 'no money', "
                "'type': 'requests', 'param': None, 'code': 'insufficient_quota'}}",
            },
            ("quota", 429, "insufficient_quota"),
        ),
        (
            {},
            {
                "exception.type": "anthropic.InternalServerError",
                "exception.message": "Error code: 529 - {'type': 'error', 'error': "
                "{'type': 'overloaded_error', 'message': 'Overloaded'}}",
            },
            ("overloaded", 529, "overloaded_error"),
        ),
        ({}, {"exception.type": "ConnectError"}, ("connection", None, None)),
        ({}, {}, ("unknown", None, None)),
    ],
)
def test_failures_are_reduced_to_classes(
    attributes: dict[str, object],
    exception: dict[str, object],
    expected: tuple[str, int | None, str | None],
) -> None:
    events = [SpanEvent("exception", 0, exception)] if exception else []
    found = event({**LATEST, **attributes}, is_error=True, events=events)
    assert found["status"] == "error"
    assert (found["error_type"], found.get("http_status"), found.get("error_code")) == expected


@pytest.mark.parametrize(
    ("name", "status"),
    [
        ("asyncio.CancelledError", "cancelled"),
        ("KeyboardInterrupt", "cancelled"),
        ("GeneratorExit", "abandoned"),
    ],
)
def test_a_call_that_was_given_up_is_no_error(name: str, status: str) -> None:
    found = event({**LATEST, "error.type": name}, is_error=True)
    assert (found["status"], found["error_type"]) == (status, "cancelled")
