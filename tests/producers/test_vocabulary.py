"""Failures and finish reasons of every provider in one vocabulary."""

from __future__ import annotations

from tests.each import each
from tokentide.failures import describe_failure
from tokentide.finish import error_type_from, normalise, status_from


def failing(name: str = "ProviderError", **attributes: object) -> Exception:
    error: Exception = type(name, (Exception,), attributes)()
    return error


@each(
    ("error", "expected"),
    [
        (failing(status_code=429, code="insufficient_quota"), "quota"),
        (failing(status_code=402), "quota"),
        (failing(status_code=529), "overloaded"),
        (failing(status_code=400, code="context_length_exceeded"), "context_length"),
        (failing(status_code=400, body={"error": {"code": "content_filter"}}), "content_policy"),
        (
            failing(status_code=400, body={"error": {"type": "invalid_request_error"}}),
            "bad_request",
        ),
        (failing(status_code=500), "server_error"),
        (failing(status_code=599), "server_error"),
        (failing(status_code=401), "auth"),
        (failing(status_code=403), "permission"),
        (failing(status_code=404), "not_found"),
        (failing("APITimeoutError"), "timeout"),
        (failing("APIConnectionError"), "connection"),
        (
            failing(
                response={
                    "Error": {"Code": "ThrottlingException"},
                    "ResponseMetadata": {"HTTPStatusCode": 429},
                }
            ),
            "rate_limit",
        ),
        (TimeoutError(), "timeout"),
        (ConnectionRefusedError(), "connection"),
        (ValueError("x"), "unknown"),
        (failing(status_code="429", code=7, body=["x"], response="text"), "unknown"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_failures_of_all_providers_get_one_vocabulary(error: Exception, expected: str) -> None:
    assert describe_failure(error)["error_type"] == expected


def test_the_wait_a_provider_asks_for_is_recorded() -> None:
    response = failing(headers={"retry-after": "2.5"}, status_code=429)
    assert describe_failure(failing(response=response))["retry_after_ms"] == 2500.0
    response = failing(headers={"retry-after": "Wed, 21 Oct"}, status_code=429)
    assert "retry_after_ms" not in describe_failure(failing(response=response))


@each(
    ("word", "status"),
    [
        ("BLOCKED_REASON_SAFETY", "filtered"),
        ("content_policy_violation", "filtered"),
        ("policy_violation", "filtered"),
        ("input_sensitive", "filtered"),
        ("output_sensitive", "filtered"),
        ("unsafe", "filtered"),
        ("blocked", "filtered"),
        ("refused", "refused"),
        ("server_error", "error"),
        ("safeguard", "ok"),
    ],
)
def test_an_ending_that_a_provider_calls_its_own_way_has_a_status(word: str, status: str) -> None:
    assert status_from(normalise([word])) == status
    assert error_type_from(["server_error"]) == "server_error"


def test_finish_reasons_are_normalised_one_per_choice_with_the_raw_words_behind() -> None:
    assert normalise(["stop", "max_tokens"]) == ["stop", "length", "max_tokens"]
    assert normalise(["tool_calls", "tool_calls"]) == ["tool_call", "tool_call", "tool_calls"]
    assert normalise(["pause_turn", "", None]) == ["other", "pause_turn"]
    assert normalise(["Ada asked to stop", "STOP"]) == ["other", "stop", "STOP"]
    assert normalise(["REASON_MAX_LEN", "REASON_STOP"])[:2] == ["length", "stop"]
    assert normalise(["ContentFilter"]) == ["content_filter"]
    assert normalise(["toolUse"]) == ["tool_call", "tool_use"]
    assert normalise(["I stopped. Ada", "FinishReason.SAFETY"]) == [
        "other", "content_filter", "safety"
    ]  # fmt: skip
