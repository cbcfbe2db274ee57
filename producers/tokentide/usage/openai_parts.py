"""Parts that OpenAI's APIs and their imitators share: who answered, what was asked, what failed."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from tokentide._contract import MAX_IDENTIFIER, MAX_LABEL
from tokentide.error_codes import known_code
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
    take_counts,
    take_labels,
)

UsageReader = Callable[[object], Fields]
"""Returns counts under the event's names (None: not reported) from a provider's usage object."""

_MAX_TEMPERATURE = 100.0
_ASKED_BESIDE = (("service_tier", "service_tier_requested", MAX_LABEL),)
# The other lifetime, 30 minutes, is the ordinary one.
_LIFETIMES = (("ttl_12h_tokens", "cache_write_long_tokens"),)
_ASKED = (("model", "request_model", MAX_IDENTIFIER), *_ASKED_BESIDE)


def take_input_details(counts: Fields, details: object, names: Iterable[tuple[str, str]]) -> None:
    """Add what an input total consists of, as both of OpenAI's APIs nest it; None adds nothing."""
    if details is None:
        return
    get = getter(details)
    take_counts(counts, get, names)
    lifetimes = get("cache_write_tokens_details")
    if lifetimes is not None:
        take_counts(counts, getter(lifetimes), _LIFETIMES)


def usage_of(get: Get) -> object:
    """Return the usage object of a response or chunk, None when it carries none."""
    found = get("usage")
    # Groq puts the usage of a stream into an object of its own in the last chunk.
    return found if found is not None else read(get("x_groq"), "usage")


_IDENTITY = (
    ("model", "response_model", MAX_IDENTIFIER),
    ("id", "response_id", MAX_IDENTIFIER),
    ("system_fingerprint", "system_fingerprint", MAX_LABEL),
    ("service_tier", "service_tier", MAX_LABEL),
    ("provider", "upstream_provider", MAX_LABEL),  # OpenRouter names the one it chose
)


def identity_fields(get: Get) -> Fields:
    """Return who answered: model, id, tier and route, as far as reported."""
    fields: Fields = {}
    take_labels(fields, get, _IDENTITY)
    return fields


def add_native(fields: Fields, native: list[str]) -> None:
    """Add the words of the provider behind a gateway to finish reasons that lack them."""
    found = fields.get("finish_reasons")
    if type(found) is list:
        found.extend(word for word in dict.fromkeys(native) if word not in found)
        del found[2 * MAX_REASONS :]


def error_fields(error: object) -> Fields:
    """Return the fields of a failure reported inside an answer of HTTP status 200.

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
    shown = known_code(name or "") or None
    return kept({"status": "error", "error_type": kind or "unknown", "error_code": shown})


def read_common_request(get: Get) -> Fields:
    """Return the fields that every OpenAI API asks for under the same names."""
    fields: Fields = {}
    take_labels(fields, get, _ASKED)
    if get("stream") is True:
        fields["stream"] = True
    temperature = get("temperature")
    if isinstance(temperature, (float, int)) and 0 <= temperature <= _MAX_TEMPERATURE:
        fields["temperature"] = float(temperature)
    extra = get("extra_body")
    if extra is not None:
        take_labels(fields, getter(extra), _ASKED_BESIDE)
    return fields


def choices_asked(get: Get) -> int | None:
    """Return how many choices were asked for, None when the default of one was left."""
    return small_count(get("n"))


def limit_asked(get: Get, *names: str) -> int | None:
    """Return the first limit on output tokens that was given under one of the names."""
    for name in names:
        limit = count(get(name))
        if limit is not None:
            return limit
    return None
