"""What an exception says about a failed call: status, normalised type, code, HTTP status.

Works on the shapes the provider SDKs share (an HTTP status, an error code, a body) without
importing any of them. The exception itself is never kept: its traceback would keep the host's
frames alive. Source of the names: OpenTelemetry's `error.type` reduced to fourteen classes.
"""

from __future__ import annotations

import sys

from tokentide._contract import MAX_SMALL_COUNT
from tokentide.error_codes import known_code

_BY_HTTP_STATUS = {
    400: "bad_request",
    401: "auth",
    402: "quota",
    403: "permission",
    404: "not_found",
    408: "timeout",
    409: "bad_request",
    413: "bad_request",
    422: "bad_request",
    424: "server_error",  # Bedrock's ModelErrorException
    429: "rate_limit",
    503: "overloaded",
    504: "timeout",
    529: "overloaded",  # Anthropic's overloaded_error
}

_BY_CODE = (
    # 429 has two meanings, too fast and out of money; only the code tells them apart.
    ("insufficient_quota", "quota"),
    ("credit_balance", "quota"),
    ("billing", "quota"),
    ("quotaexceeded", "quota"),  # Amazon's ServiceQuotaExceededException, a 400
    ("rate_limit", "rate_limit"),
    ("slow_down", "rate_limit"),
    ("throttling", "rate_limit"),
    ("context_length", "context_length"),
    ("context_window", "context_length"),
    ("content_filter", "content_policy"),
    ("content_policy", "content_policy"),
    ("overloaded", "overloaded"),
    ("invalid_api_key", "auth"),
    ("authentication", "auth"),
    ("expiredtoken", "auth"),  # Amazon's, a 403, as is the next
    ("unrecognizedclient", "auth"),
    ("permission", "permission"),
    ("not_found", "not_found"),
    ("timeout", "timeout"),
    ("invalid_request", "bad_request"),
    ("server_error", "server_error"),
)

_BY_CODE_WITHOUT_STATUS = (
    # An event stream of Amazon's breaks with a code alone: modelStreamErrorException, ...
    ("modelstreamerror", "server_error"),
    ("serviceunavailable", "overloaded"),
    ("validationexception", "bad_request"),
    ("accessdenied", "permission"),
    # Google's words, where no HTTP status stands beside them.
    ("resource_exhausted", "rate_limit"),
    ("unavailable", "overloaded"),
    ("deadline_exceeded", "timeout"),
    ("invalid_argument", "bad_request"),
    ("failed_precondition", "bad_request"),
    ("unauthenticated", "auth"),
    ("data_inspection", "content_policy"),
    # A failed response arrives with HTTP 200: bio_policy, invalid_image_url, image_too_large, ...
    ("policy", "content_policy"),
    ("moderation", "content_policy"),
    ("invalid_", "bad_request"),
    ("image_", "bad_request"),
)

_BY_BEGINNING_WITHOUT_STATUS = (
    # Elsewhere in a code these two say nothing of it: case_sensitive_model, policy_internal.
    ("internal", "server_error"),
    ("sensitive", "content_policy"),
)

_BY_CLASS_NAME = (
    ("Timeout", "timeout"),
    ("RateLimit", "rate_limit"),
    ("Throttl", "rate_limit"),
    ("Overloaded", "overloaded"),
    ("Authentication", "auth"),
    ("PermissionDenied", "permission"),
    ("NotFound", "not_found"),
    ("BadRequest", "bad_request"),
    ("Connect", "connection"),
    # httpx's own, which reach the host when a connection breaks in mid-stream.
    ("RemoteProtocol", "connection"),
    ("ReadError", "connection"),
    ("WriteError", "connection"),
    ("InternalServer", "server_error"),
)


def status_of(error: BaseException) -> str:
    """Return the event status for a call that ended with `error`."""
    if isinstance(error, GeneratorExit):
        return "abandoned"
    if isinstance(error, (KeyboardInterrupt, SystemExit)) or _is_asyncio_cancel(error):
        return "cancelled"
    return "error"


def describe_failure(error: BaseException) -> dict[str, object]:
    """Return status and, as far as known, error_type, error_code, http_status, retry_after_ms.

    boto3's errors also carry the retry_count. Never raises, whatever the exception's attributes do.
    """
    status = status_of(error)
    if status != "error":
        return {"status": status, "error_type": "cancelled"}
    http_status = _http_status(error)
    code = _code(error)
    described: dict[str, object] = {
        "status": "error",
        "error_type": _error_type(error, http_status, code),
    }
    if known := known_code(code):
        described["error_code"] = known
    if http_status is not None:
        described["http_status"] = http_status
    retry_after_ms = _retry_after_ms(error)
    if retry_after_ms is not None:
        described["retry_after_ms"] = retry_after_ms
    retries = _amazon_metadata(error).get("RetryAttempts")
    if type(retries) is int and 0 <= retries <= MAX_SMALL_COUNT:
        described["retry_count"] = retries
    return described


def error_type_of(code: str, http_status: int | None) -> str | None:
    """Return the normalised error type that a code or an HTTP status names, None if neither."""
    lowered = code.lower()
    for part, kind in _BY_CODE:
        if part in lowered:
            return kind
    if http_status in _BY_HTTP_STATUS:
        return _BY_HTTP_STATUS[http_status]
    if http_status is not None:
        return "server_error" if http_status >= 500 else None
    for beginning, kind in _BY_BEGINNING_WITHOUT_STATUS:
        if lowered.startswith(beginning):
            return kind
    return next((kind for part, kind in _BY_CODE_WITHOUT_STATUS if part in lowered), None)


def error_type_of_class(name: str) -> str | None:
    """Return the normalised error type that the name of an exception's class suggests."""
    return next((kind for part, kind in _BY_CLASS_NAME if part in name), None)


def _error_type(error: BaseException, http_status: int | None, code: str) -> str:
    named = error_type_of(code, http_status)
    if named is not None:
        return named
    if isinstance(error, TimeoutError):
        return "timeout"
    named = error_type_of_class(type(error).__name__)
    if named is not None:
        return named
    return "connection" if isinstance(error, ConnectionError) else "unknown"


def _http_status(error: BaseException) -> int | None:
    response = _get(error, "response")
    for candidate in (
        _get(error, "status_code"),
        _get(response, "status_code"),
        _amazon_metadata(error).get("HTTPStatusCode"),
        _get(error, "code"),
        _get(error, "status"),
    ):
        if type(candidate) is int and 100 <= candidate <= 599:
            return candidate
    return None


def _code(error: BaseException) -> str:
    body = _get(error, "body")
    response = _get(error, "response")
    for holder in (body, response):
        inner = holder.get("error", holder.get("Error")) if type(holder) is dict else None
        if type(inner) is dict:
            for key in ("code", "type", "Code"):
                if type(inner.get(key)) is str:
                    return str(inner[key])
    for name in ("code", "type", "status"):  # Google's code is the HTTP status, its status a word
        value = _get(error, name)
        if type(value) is str:
            return value
    return ""


def _amazon_metadata(error: BaseException) -> dict[str, object]:
    """Return what boto3 says of the exchange, empty for other clients."""
    response = _get(error, "response")
    metadata = response.get("ResponseMetadata") if type(response) is dict else None
    return metadata if type(metadata) is dict else {}


def _retry_after_ms(error: BaseException) -> float | None:
    headers = _get(_get(error, "response"), "headers")
    if headers is None:
        headers = _amazon_metadata(error).get("HTTPHeaders")
    for name, factor in (("retry-after-ms", 1), ("retry-after", 1000)):
        try:
            text = headers.get(name) if headers is not None else None  # type: ignore[attr-defined]
            milliseconds = float(text) * factor if isinstance(text, (str, int, float)) else -1.0
        except Exception:  # noqa: S112 - a date, or something of the host's that raises
            continue
        if 0 <= milliseconds <= 86_400_000:
            return milliseconds
    return None


def _get(holder: object, name: str) -> object:
    """Return an attribute, or None when there is none or its property raises."""
    try:
        return getattr(holder, name, None)
    except Exception:
        return None


def _is_asyncio_cancel(error: BaseException) -> bool:
    # Without asyncio loaded its exception cannot have been raised; loading it here would cost.
    asyncio = sys.modules.get("asyncio")
    cancelled = getattr(asyncio, "CancelledError", None)
    return cancelled is not None and isinstance(error, cancelled)
