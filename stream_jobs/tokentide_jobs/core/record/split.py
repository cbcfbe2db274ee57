"""What "the events in a record" means for records of plain events.

`split_record` is the one definition used by ingest, verify and the dead-letter tools: the position
of an event in its list is `_idx`, part of the event's identity, so it must never depend on who asks
or on whether the event is valid.
"""

from __future__ import annotations

import orjson

JSON_WHITESPACE = b" \t\r\n"
"""What RFC 8259 allows around a value."""

BRACE_OPEN, BRACE_CLOSE, BRACKET_OPEN = ord("{"), ord("}"), ord("[")


def split_record(value: bytes) -> list[bytes]:
    """Return the events of one record value, in order, as the bytes to be judged.

    - newline-delimited JSON gives one event a line; lines of whitespace are not events;
    - a JSON array gives its elements, serialised anew; an empty or broken array is one bad event;
    - a value that as a whole is one JSON object, however it is laid out, is one event;
    - an empty value is one bad event, so that every record accounts for at least one.
    """
    if b"\n" not in value:
        if value[:1] != b"{" and value.lstrip(JSON_WHITESPACE)[:1] == b"[":
            return split_array(value)
        return [value]
    body = value.strip(JSON_WHITESPACE)
    if not body:
        return [value]
    if body[0] == BRACKET_OPEN:
        return split_array(body)
    lines = [line for line in body.split(b"\n") if line and not line.isspace()]
    if len(lines) > 1 and _is_one_object(body, lines):
        return [body]
    return lines or [value]


def _is_one_object(body: bytes, lines: list[bytes]) -> bool:
    """Tell whether several lines are one object; costs nothing for a frame that is a frame."""
    # No JSON text has `}` directly followed by `{`, so this settles ordinary frames.
    if (
        lines[0].rstrip(JSON_WHITESPACE)[-1:] == b"}"
        and lines[1].lstrip(JSON_WHITESPACE)[:1] == b"{"
    ):
        return False
    if body[0] != BRACE_OPEN or body[-1] != BRACE_CLOSE:
        return False
    try:
        orjson.loads(body)
    except orjson.JSONDecodeError:
        return False
    return True


def split_array(value: bytes) -> list[bytes]:
    """Return the elements of a JSON array; a broken or empty one is a single bad event."""
    try:
        elements = orjson.loads(value)
        if not isinstance(elements, list) or not elements:
            return [value]
        return [orjson.dumps(element) for element in elements]
    except (orjson.JSONDecodeError, orjson.JSONEncodeError, RecursionError):
        # An element nested deeper than orjson writes makes the array as unreadable as a broken one.
        return [value]
