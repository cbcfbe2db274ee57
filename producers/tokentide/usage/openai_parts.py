"""Parts that OpenAI's APIs and their imitators share: who answered, what was asked, what failed."""

from __future__ import annotations

from collections.abc import Callable

from tokentide.failures import error_type_of
from tokentide.usage.reading import (
    MAX_REASONS,
    Fields,
    Get,
    count,
    getter,
    kept,
    label,
    read,
    small_count,
)

UsageReader = Callable[[object], Fields]
"""Returns counts under the event's names (None: not reported) from a provider's usage object."""

_HIGHEST_TEMPERATURE = 100.0


def usage_of(get: Get) -> object:
    """Returns the usage object of a response or chunk, None when it carries none."""
    found = get("usage")
    # Groq puts the usage of a stream into an object of its own in the last chunk.
    return found if found is not None else read(get("x_groq"), "usage")


def identity_fields(get: Get) -> Fields:
    """Returns who answered: model, id, tier and route, as far as reported."""
    return kept(
        {
            "response_model": label(get("model"), 256),
            "response_id": label(get("id"), 256),
            "system_fingerprint": label(get("system_fingerprint")),
            "service_tier": label(get("service_tier")),
            # OpenRouter names the provider it chose.
            "upstream_provider": label(get("provider")),
        }
    )


def with_native(finish: Fields, native: list[str]) -> Fields:
    """Adds the words of the provider behind a gateway to finish reasons that lack them."""
    found = finish.get("finish_reasons")
    if type(found) is list:
        found.extend(word for word in dict.fromkeys(native) if word not in found)
        del found[2 * MAX_REASONS :]
    return finish


def error_fields(error: object) -> Fields:
    """Returns the fields of a failure reported inside an answer of HTTP status 200.

    Args:
        error: The error object with `code` (text or an HTTP status) and `type`, or None.
    """
    if error is None:
        return {}
    get = getter(error)
    code = get("code")
    http_status = code if type(code) is int and 100 <= code <= 599 else None
    name = label(code) or label(get("type")) or (str(http_status) if http_status else None)
    kind = error_type_of(name or "", http_status)
    return kept({"status": "error", "error_type": kind or "unknown", "error_code": name})


def read_common_request(get: Get) -> Fields:
    """Returns the fields that every OpenAI API asks for under the same names."""
    temperature = get("temperature")
    is_valid = type(temperature) in (int, float) and 0 <= temperature <= _HIGHEST_TEMPERATURE  # type: ignore[operator]
    return kept(
        {
            "request_model": label(get("model"), 256),
            "stream": True if get("stream") is True else None,
            "temperature": temperature if is_valid else None,
            "service_tier_requested": label(get("service_tier"))
            or label(read(get("extra_body"), "service_tier")),
        }
    )


def choices_asked(get: Get) -> int | None:
    """Returns how many choices were asked for, None when the default of one was left."""
    return small_count(get("n"))


def limit_asked(get: Get, *names: str) -> int | None:
    """Returns the first limit on output tokens that was given under one of the names."""
    return next((limit for name in names if (limit := count(get(name))) is not None), None)
