"""Errors in the shapes of Amazon's, Google's and others' clients."""

from __future__ import annotations

from typing import Any

import pytest

from tests.each import each
from tokentide.failures import describe_failure, error_type_of


class ClientError(Exception):
    """Shaped as botocore's ClientError and EventStreamError."""

    def __init__(self, code: str, metadata: Any = None) -> None:
        self.response = {"Error": {"Code": code, "Message": "secret"}}
        if metadata is not None:
            self.response["ResponseMetadata"] = metadata


class APIError(Exception):
    """Shaped as google.genai's APIError."""

    def __init__(self, code: int, status: str) -> None:
        self.code, self.status, self.message = code, status, "secret"


@each(
    ("code", "http_status", "kind"),
    [
        ("ThrottlingException", 429, "rate_limit"),
        ("ModelNotReadyException", 429, "rate_limit"),
        ("ModelTimeoutException", 408, "timeout"),
        ("ModelErrorException", 424, "server_error"),
        ("ServiceUnavailableException", 503, "overloaded"),
        ("ServiceQuotaExceededException", 400, "quota"),
        ("ValidationException", 400, "bad_request"),
        ("AccessDeniedException", 403, "permission"),
        ("ExpiredTokenException", 403, "auth"),
        ("ResourceNotFoundException", 404, "not_found"),
    ],
)
def test_bedrocks_errors_have_a_type_a_code_and_retries(
    code: str, http_status: int, kind: str
) -> None:
    headers = {"retry-after": "2"}
    metadata = {"HTTPStatusCode": http_status, "RetryAttempts": 4, "HTTPHeaders": headers}
    assert describe_failure(ClientError(code, metadata)) == {
        "status": "error",
        "error_type": kind,
        "error_code": code,
        "http_status": http_status,
        "retry_after_ms": 2000.0,
        "retry_count": 4,
    }


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("throttlingException", "rate_limit"),
        ("modelStreamErrorException", "server_error"),
        ("modelTimeoutException", "timeout"),
        ("internalServerException", "server_error"),
        ("serviceUnavailableException", "overloaded"),
        ("validationException", "bad_request"),
    ],
)
def test_a_stream_of_bedrock_that_breaks_says_why(code: str, kind: str) -> None:
    described = describe_failure(ClientError(code))
    assert described == {"status": "error", "error_type": kind, "error_code": code}


@each(
    ("code", "kind"),
    [
        ("INTERNAL", "server_error"),
        ("internal_error", "server_error"),
        ("InternalFailure", "server_error"),
        ("policy_internal", "content_policy"),
        ("sensitive", "content_policy"),
        ("sensitive_words_detected", "content_policy"),
        ("case_sensitive_model", None),
    ],
)
def test_a_word_within_a_code_is_not_taken_for_the_code(code: str, kind: str | None) -> None:
    assert error_type_of(code, None) == kind


def test_googles_status_is_the_code() -> None:
    assert describe_failure(APIError(429, "RESOURCE_EXHAUSTED")) == {
        "status": "error",
        "error_type": "rate_limit",
        "error_code": "RESOURCE_EXHAUSTED",
        "http_status": 429,
    }


@pytest.mark.parametrize("metadata", [[], {"RetryAttempts": "4"}, {"RetryAttempts": -1}, {1: 2}])
def test_metadata_of_another_shape_says_nothing(metadata: Any) -> None:
    described = describe_failure(ClientError("ValidationException", metadata))
    assert "retry_count" not in described
    assert described["error_type"] == "bad_request"
