"""Nothing that a provider or a host wrote leaves as an error code; documented codes do."""

from __future__ import annotations

import pytest

from tokentide.error_codes import known_code
from tokentide.failures import describe_failure
from tokentide.semconv import SpanData, SpanEvent, event_of
from tokentide.usage.openai_parts import error_fields

PRIVATE = "user Ada Lovelace asked for insufficient_quota"


class Written(Exception):
    """An exception whose code is any text."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


@pytest.mark.parametrize("code", ["insufficient_quota", "RESOURCE_EXHAUSTED", "429", "1302"])
def test_a_documented_code_and_a_number_are_passed_on(code: str) -> None:
    assert known_code(code) == describe_failure(Written(code))["error_code"] == code


@pytest.mark.parametrize("code", [PRIVATE, "", "4915112345678", "insufficient_quota ", "٣"])
def test_everything_else_stays_and_still_names_the_kind(code: str) -> None:
    assert known_code(code) == ""
    described = describe_failure(Written(code))
    assert "error_code" not in described
    assert described["error_type"] == ("quota" if "quota" in code else "unknown")


def test_answers_and_spans_pass_on_no_text_either() -> None:
    assert "error_code" not in error_fields({"code": PRIVATE, "type": PRIVATE})
    words = "{'error': {'code': 'Ada_Lovelace', 'type': 'private.words'}}"
    span = SpanData(
        name="chat m",
        attributes={
            "gen_ai.operation.name": "chat",
            "gen_ai.provider.name": "openai",
            "gen_ai.request.model": "m",
            "error.type": "my_private_words",
        },
        start_ns=1,
        end_ns=2,
        trace_id="",
        span_id="",
        parent_span_id="",
        kind="client",
        is_error=True,
        message=PRIVATE,
        events=[SpanEvent("exception", 0, {"exception.message": f"Error code: 400 - {words}"})],
        resource={},
        scope="",
        scope_version="",
    )
    event = event_of(span)
    assert event is not None
    assert event["error_type"] == "bad_request"
    assert "error_code" not in event
    assert not [value for value in event.values() if "private" in str(value) or "Ada" in str(value)]
