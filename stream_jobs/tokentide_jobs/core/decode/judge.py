"""The judge: the pydantic model decides about one event, and states why when it refuses.

The fast path may only accept what the judge would accept; everything else comes here. Nothing a
producer can send makes the judge raise.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import orjson
from pydantic import ValidationError
from pydantic_core import ErrorDetails

from tokentide_jobs.core.decode.columns import COLUMNS, EMPTY_MAP, Column
from tokentide_jobs.core.record.dead_letter import DETAIL_CHARACTERS, Refusal
from tokentide_jobs.core.record.lenient import with_replacements
from tokentide_jobs.core.record.masked import masked_text
from tokentide_jobs.core.record.split import BOM, BRACKET_OPEN, JSON_WHITESPACE
from tokentide_jobs.core.record.stand_in import read_stand_in
from tokentide_schemas import EVENT_MODELS
from tokentide_schemas.fields import MAX_EVENT_BYTES

_KEY_ITSELF: Final = "looks_like_a_key"
_SHOWN_CHARACTERS: Final = 64
"""So much of a refused value is shown: cut when masked, since the beginning of a key is a word."""
_REASON_OF_ERROR: Final = {
    "missing": "missing_field",
    "string_too_long": "too_long",
    "too_long": "too_long",
    "string_too_short": "bad_value",
    "string_pattern_mismatch": "bad_value",
    "literal_error": "bad_value",
    "greater_than": "out_of_range",
    "greater_than_equal": "out_of_range",
    "less_than": "out_of_range",
    "less_than_equal": "out_of_range",
    "finite_number": "out_of_range",
    "value_error": "inconsistent",
    _KEY_ITSELF: "bad_value",
}
"""pydantic's error types; whatever is not listed is a value of the wrong type."""

_EMPTY: Final = {
    event_type: [(column.name, column.empty) for column in columns]
    for event_type, columns in COLUMNS.items()
}
_MAPS: Final = {
    event_type: [column for column in columns if column.key is not None]
    for event_type, columns in COLUMNS.items()
}


@dataclass(frozen=True, slots=True)
class AcceptedWindow:
    """Event times that are accepted: `from_us <= started_at_us < until_us`, epoch microseconds."""

    from_us: int
    until_us: int


def judge_line(
    line: bytes, window: AcceptedWindow, on_replaced: Callable[[int], None] = lambda _texts: None
) -> dict[str, Any] | Refusal:
    """Decide about one event: a row in storage form (`row["type"]` tells which), or the refusal.

    Args:
        line: The event, or what stands for it.
        window: Event times that are accepted.
        on_replaced: Called with how many texts hold a character that had to be replaced.
    """
    if (stand_in := read_stand_in(line)) is not None:
        return stand_in[0]
    body = line.removeprefix(BOM).strip(JSON_WHITESPACE)
    if not body or body == b"[]":
        return Refusal("empty", "", "an empty record or array holds no event")
    if len(line) > MAX_EVENT_BYTES and body[0] != BRACKET_OPEN:
        detail = f"the event is {len(line)} bytes long, the limit is {MAX_EVENT_BYTES}"
        return Refusal("too_large", "", detail)
    try:
        content = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        lenient = with_replacements(body)
        if lenient is None:
            return _unreadable(body, error)
        content = lenient.content
        on_replaced(lenient.texts)
    if not isinstance(content, dict):
        return Refusal("not_an_object", "", f"an event is a JSON object, not {_kind(content)}")
    return _judge_object(content, window)


def _unreadable(body: bytes, error: Exception) -> Refusal:
    try:
        body.decode()
    except UnicodeDecodeError as wrong:
        return Refusal("not_utf8", "", f"byte {wrong.start} is not UTF-8: {wrong.reason}")
    return Refusal("malformed_json", "", str(error)[:DETAIL_CHARACTERS])


def _judge_object(content: dict[str, Any], window: AcceptedWindow) -> dict[str, Any] | Refusal:
    event_type = content.get("type")
    if event_type is None:
        return Refusal("missing_field", "type", "type is missing")
    if not isinstance(event_type, str):
        return Refusal("wrong_type", "type", f"type is {_kind(event_type)}, not text")
    model = EVENT_MODELS.get(event_type)
    if model is None:
        shown = masked_text(event_type)[:_SHOWN_CHARACTERS]
        return Refusal("unknown_type", "type", f"type {shown!r} is none of {', '.join(COLUMNS)}")
    try:
        event = model.model_validate(content)
    except ValidationError as error:
        return _explain(error.errors(include_url=False, include_context=False)[0])
    if event.started_at_us < window.from_us:
        detail = f"{event.started_at_us} is before {window.from_us}, the oldest accepted"
        return Refusal("too_old", "started_at_us", detail)
    if event.started_at_us >= window.until_us:
        detail = f"{event.started_at_us} is not before {window.until_us}: check clock and unit"
        return Refusal("too_far_ahead", "started_at_us", detail)
    values = event.__dict__
    row = {
        name: empty if (value := values[name]) is None else value
        for name, empty in _EMPTY[event_type]
    }
    for column in _MAPS[event_type]:
        row[column.name] = to_storage(column, values[column.name])
    return row


def to_storage(column: Column, value: Any) -> Any:
    """Return a field's value as it is stored: "" for absent text, JSON text for maps."""
    if value is None:
        return column.empty
    if column.kind == "text_map":
        return orjson.dumps(value, option=orjson.OPT_SORT_KEYS).decode() if value else EMPTY_MAP
    if column.kind == "number_map":
        floats = {key: float(amount) for key, amount in value.items()}
        return orjson.dumps(floats, option=orjson.OPT_SORT_KEYS).decode()
    return value


def _explain(error: ErrorDetails) -> Refusal:
    """Turn pydantic's first error into a refusal; null where a value is needed counts as absent."""
    reason = _REASON_OF_ERROR.get(error["type"], "wrong_type")
    value = error["input"]
    if reason == "wrong_type" and value is None and len(error["loc"]) == 1:
        reason = "missing_field"
    elif reason == "wrong_type" and isinstance(value, float) and abs(value) >= 1 << 63:
        # The parser gives integers beyond 64 bits as floats.
        reason = "out_of_range"
    field = str(error["loc"][0]) if error["loc"] else ""
    is_hidden = isinstance(value, dict) or error["type"] == _KEY_ITSELF
    shown = "" if is_hidden else f", got {masked_text(str(value))[:_SHOWN_CHARACTERS]!r}"
    return Refusal(reason, field, f"{error['msg']}{shown}"[:DETAIL_CHARACTERS])


def _kind(value: object) -> str:
    if value is None:
        return "null"
    names = {bool: "a boolean", str: "text", list: "an array", dict: "an object"}
    return names.get(type(value), "a number")
