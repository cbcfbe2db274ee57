"""Parts that OpenAI's APIs and their imitators share: who answered, what was asked, what failed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from tokentide._contract import MAX_IDENTIFIER, MAX_LABEL
from tokentide.error_codes import known_code
from tokentide.failures import error_type_of
from tokentide.finish import normalise, status_from
from tokentide.usage.reading import (
    MAX_REASONS,
    Fields,
    Get,
    count,
    finish_fields,
    getter,
    items,
    kept,
    label,
    read,
    read_first,
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


_SERVER_TOOLS = (
    ("x_search_calls", "social_searches"),
    ("code_interpreter_calls", "code_executions"),
    ("file_search_calls", "storage_searches"),
    ("document_search_calls", "attachment_searches"),
    ("image_generation_calls", "generated_images"),
    ("x_posts_fetched", "social_posts"),
    ("x_users_fetched", "social_users"),
)
"""xAI's counters of tools that it runs itself, each billed by the call or by what it fetched."""


def server_tools(usage: Get) -> Fields:
    """Return what a usage object of xAI's says of the tools it ran: only calls that succeeded."""
    details = usage("server_side_tool_usage_details")
    if details is None:
        return {}
    get = getter(details)
    units = {name: small_count(get(theirs)) for theirs, name in _SERVER_TOOLS}
    if units["social_posts"] or units["social_users"]:
        del units["social_searches"]  # billed by what they fetched
    fields = kept({"web_searches": small_count(get("web_search_calls"))})
    if used := {name: number for name, number in units.items() if number}:
        fields["other_units"] = used
    return fields


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
    """Add the words of the provider behind a gateway to finish reasons that lack them.

    A gateway may write `stop` over a refusal; the provider's own word decides then.
    """
    found = fields.get("finish_reasons")
    status = status_from(normalise(native))
    if status in ("refused", "filtered") and "status" not in fields:
        fields["status"] = status
    if type(found) is list:
        found.extend(word for word in dict.fromkeys(native) if word not in found)
        del found[2 * MAX_REASONS :]


def error_fields(error: object) -> Fields:
    """Return the fields of a failure reported inside an answer of HTTP status 200.

    Args:
        error: The error object with `code` (a word, or an HTTP status as number or text), `type`
            and `status`, or a text. What says nothing, as a mock does, is no error.
    """
    get = getter(error)
    if not label(error) and not any(_is_code_or_word(get(name)) for name in _OF_AN_ERROR):
        return {}
    code = get("code")
    http_status = _http_status(code)
    words = [word for name in ("code", "type", "status") if (word := label(get(name)))]
    words = [word for word in words if not word.isdecimal()]
    kinds = (error_type_of(word, None) for word in words)
    kind = next((kind for kind in kinds if kind), None) or error_type_of("", http_status)
    codes = (*words, str(http_status) if http_status else label(code) or "")
    shown = next((known for word in codes if (known := known_code(word))), None)
    return kept({"status": "error", "error_type": kind or "unknown", "error_code": shown})


def failure_in(response: object) -> Fields:
    """Return the fields of a failure that stands where an answer is expected, {} for an answer.

    Known shapes: an `error` beside or instead of the answer, also in a list of one; an object that
    says of itself that it is an error; `success: false`; MiniMax's status of its own; a `code` with
    a `message`, or a `detail` (FastAPI's), where nothing of an answer is.
    """
    get = getter(read_first(response) or response)
    error = get("error")
    if error is None:
        kinds = (get("object"), get("type"))
        if "error" in map(label, kinds) or get("success") is False:
            return error_fields(read_first(response) or response) or dict(_UNKNOWN)
        number = read(get("base_resp"), "status_code")
        if type(number) is int and number != 0:
            return _fresh(_OF_MINIMAX.get(number, _UNKNOWN))
        if all(get(name) is None for name in _OF_AN_ANSWER):
            return _bare_failure(get)
    return error_fields(error)


def _fresh(fields: Fields) -> Fields:
    """Return a copy that shares no list: an event may get more finish reasons of its own."""
    return {name: [*value] if type(value) is list else value for name, value in fields.items()}


def _bare_failure(get: Get) -> Fields:
    code = get("code")
    number = _http_status(code)
    is_failure = bool(label(code)) if number is None else number >= 400
    if is_failure and label(get("message")):
        fields = error_fields({"code": code})
        is_filtered = fields.get("error_type") == "content_policy"
        return finish_fields(("content_filter",)) if is_filtered else fields
    detail = get("detail")
    return dict(_UNKNOWN) if label(detail) or items(detail, 1) else {}


_OF_AN_ANSWER = (
    "id", "choices", "usage", "output", "candidates", "content", "data", "text", "results",
)  # fmt: skip
_UNKNOWN: Fields = {"status": "error", "error_type": "unknown"}
_OF_AN_ERROR = ("code", "type", "message", "status")
_OF_MINIMAX: Mapping[int, Fields] = {
    1001: {"status": "error", "error_type": "timeout"},
    1002: {"status": "error", "error_type": "rate_limit"},
    1004: {"status": "error", "error_type": "auth"},
    1008: {"status": "error", "error_type": "quota"},
    1026: {"status": "filtered", "finish_reasons": ["content_filter"]},
    1027: {"status": "filtered", "finish_reasons": ["content_filter"]},
    1039: {"status": "error", "error_type": "context_length"},
}
"""MiniMax's codes in answers of HTTP status 200: an input or an output was sensitive, ..."""


def _is_code_or_word(value: object) -> bool:
    return type(value) is int or label(value) is not None


def _http_status(code: object) -> int | None:
    """Return a code that is an HTTP status, as a number or as text."""
    text = label(code, 8)
    number = int(text) if text and text.isascii() and text.isdecimal() else code
    return number if type(number) is int and 100 <= number <= 599 else None


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
