"""What "the events in a record" means for records of plain events.

`split_record` is the one definition used by ingest, verify and the dead-letter tools: the position
of an event in its list is `_idx`, part of the event's identity, so it must never depend on who asks
or on whether the event is valid. A line that is not JSON costs itself, never its neighbours.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from itertools import islice
from typing import Final

import orjson

from tokentide_jobs.core.record.lenient import read_unchanged, write_unchanged
from tokentide_jobs.core.record.stand_in import (
    BEGINNING_KEPT,
    KEPT_BYTES,
    is_stand_in,
    stand_in,
    too_large,
)

__all__ = [
    "BOM",
    "BRACE_CLOSE",
    "BRACE_OPEN",
    "BRACKET_OPEN",
    "JSON_WHITESPACE",
    "MAX_RECORD_BYTES",
    "MAX_RECORD_EVENTS",
    "split_line",
    "split_record",
]

JSON_WHITESPACE: Final = b" \t\r\n"
"""What RFC 8259 allows around a value."""
BOM: Final = b"\xef\xbb\xbf"
"""A UTF-8 byte order mark, which some writers put before JSON; it is read over."""

MAX_RECORD_BYTES: Final = 32 * 1024 * 1024
"""A longer record is one refused event. No frame comes near; topics allow 4 MB by default."""
MAX_RECORD_EVENTS: Final = 100_000
"""Of more events, the last of a record is all that is left of it: one refused event."""

BRACE_OPEN, BRACE_CLOSE, BRACKET_OPEN = ord("{"), ord("}"), ord("[")

_BETWEEN_OBJECTS: Final = re.compile(rb"\}[ \t\r]*\{")
_DECODER: Final = json.JSONDecoder()
_MORE: Final = (
    f"more objects follow the first {MAX_RECORD_EVENTS - 1} of this line, {BEGINNING_KEPT}"
)


def split_record(value: bytes) -> list[bytes]:
    """Return the events of one record value, in order, as the bytes to be judged.

    - newline-delimited JSON gives one event a line; lines of whitespace are not events;
    - objects that follow each other on one line are events of their own, and so is what follows
      them there;
    - a JSON array gives its elements, serialised again; an empty array is one refused event, and so
      is a broken one, unless one of its lines is an object, with a comma behind it or not, or an
      array of objects: then it is lines, of which some are refused;
    - a value that as a whole is one JSON object, however it is laid out, is one event;
    - an empty value is one refused event, so that every record accounts for at least one;
    - so is one of more than `MAX_RECORD_BYTES`, and so is what follows the first
      `MAX_RECORD_EVENTS - 1` events: stand-ins, which say how much there was.
    """
    if is_stand_in(value):
        return [value]
    if len(value) > MAX_RECORD_BYTES:
        return [too_large(value)]
    if b"\n" not in value and value[:1] == b"{":
        return split_line(value)
    body = value.removeprefix(BOM).strip(JSON_WHITESPACE)
    if not body:
        return [value]
    if body[0] == BRACKET_OPEN:
        return _split_brackets(body)
    lines = _lines(body if b"\n" in value else value)
    if len(lines) > 1 and _is_one_object(body, lines):
        return [body]
    # One look at the whole costs less than one at each line.
    is_plain = _BETWEEN_OBJECTS.search(value) is None
    return (_capped(lines) if is_plain else _pieces(lines)) or [value]


def split_line(line: bytes) -> list[bytes]:
    """Return the objects that follow each other on one line; most lines are one.

    What comes after such objects is one event too, even when it is none. A line that begins with
    one object and goes on with something else is no JSON, and stays whole.
    """
    if _BETWEEN_OBJECTS.search(line) is None:
        return [line]
    # One character a byte, so that positions in the text are positions in the line.
    text = line.decode("latin-1")
    found: list[bytes] = []
    start, at = 0, text.find("{")
    while len(found) < MAX_RECORD_EVENTS and (end := _end_of_value(text, at)) is not None:
        between = _BETWEEN_OBJECTS.match(line, end - 1)
        if between is None:
            is_followed = bool(line[end:].strip(JSON_WHITESPACE))
            if is_followed and 0 < len(found) < MAX_RECORD_EVENTS - 1:
                return [*found, line[start:end], line[end:]]
            break
        found.append(line[start:end])
        start = at = between.end() - 1
    if len(found) < MAX_RECORD_EVENTS:
        return [*found, line[start:]]
    return [*found[:-1], stand_in("too_many_events", _MORE, line[start:])]


def _end_of_value(text: str, start: int) -> int | None:
    try:
        return _DECODER.raw_decode(text, start)[1]
    except (ValueError, RecursionError):
        return None


def _split_brackets(body: bytes) -> list[bytes]:
    """Split what begins like an array."""
    elements = _elements(body)
    if elements is not None:
        return elements or [body]
    events: list[bytes] = []
    for line in _lines(body):
        # What is beyond the limit is not taken apart any more.
        events += _objects(line) if len(events) < MAX_RECORD_EVENTS else [line]
    return _capped(events) if _has_objects(events) else [body]


def _objects(line: bytes) -> list[bytes]:
    """Return what one line of what begins like an array holds: objects, or itself."""
    value = line.strip(JSON_WHITESPACE)
    if value[:1] == b"[":
        elements = _elements(value) or []
        return elements if _has_objects(elements) else [line]
    without_comma = value.removesuffix(b",").rstrip(JSON_WHITESPACE)
    return [without_comma] if _is_object(without_comma) else split_line(line)


def _has_objects(events: list[bytes]) -> bool:
    return any(map(_is_object, events))


def _elements(body: bytes) -> list[bytes] | None:
    """Return the elements of an array, serialised again; None when it is broken.

    An element nested deeper than can be written makes the array as unreadable as a broken one.
    """
    try:
        content = orjson.loads(body)
        return _written(content, orjson.dumps)
    except orjson.JSONDecodeError:
        content = read_unchanged(body)
    except (orjson.JSONEncodeError, RecursionError):
        return None
    try:
        return _written(content, write_unchanged)
    except RecursionError:
        return None


def _written(content: object, write: Callable[[object], bytes]) -> list[bytes] | None:
    """Serialise the elements of a list; of too many, only what is kept of the rest."""
    if not isinstance(content, list):
        return None
    is_long = len(content) > MAX_RECORD_EVENTS
    kept = content[: MAX_RECORD_EVENTS - 1] if is_long else content
    # orjson leaves a buffer of a kilobyte behind even one byte: a copy takes what it needs.
    events = [bytes(memoryview(write(element))) for element in kept]
    if is_long:
        rest = len(content) - len(kept)
        beginning: list[bytes] = []
        size = 0
        for element in islice(content, len(kept), None):
            beginning.append(bytes(memoryview(write(element))))
            size += len(beginning[-1]) + 1
            if size > KEPT_BYTES:
                break
        events.append(_rest(rest, b"\n".join(beginning)))
    return events


def _is_object(line: bytes) -> bool:
    """Tell whether a line is an object by itself."""
    return line.lstrip(JSON_WHITESPACE)[:1] == b"{" and _is_json(line)


def _is_json(body: bytes) -> bool:
    try:
        orjson.loads(body)
    except orjson.JSONDecodeError:
        return read_unchanged(body) is not None
    return True


def _lines(body: bytes) -> list[bytes]:
    """Return the lines that are not blank; of too many, the rest in one."""
    if body.count(b"\n") < MAX_RECORD_EVENTS:
        return [line for line in body.split(b"\n") if line and not line.isspace()]
    lines: list[bytes] = []
    start = 0
    while len(lines) < MAX_RECORD_EVENTS - 1:
        end = body.find(b"\n", start)
        if end < 0:
            break
        line = body[start:end]
        start = end + 1
        if line and not line.isspace():
            lines.append(line)
    rest = body[start:].strip(JSON_WHITESPACE)
    return [*lines, _rest(rest.count(b"\n") + 1, rest)] if rest else lines


def _pieces(lines: list[bytes]) -> list[bytes]:
    return _capped([piece for line in lines for piece in split_line(line)])


def _capped(events: list[bytes]) -> list[bytes]:
    """Put all events beyond the limit into the last one."""
    if len(events) <= MAX_RECORD_EVENTS:
        return events
    kept, rest = events[: MAX_RECORD_EVENTS - 1], events[MAX_RECORD_EVENTS - 1 :]
    return [*kept, _rest(len(rest), b"\n".join(rest[:KEPT_BYTES]))]


def _rest(count: int, lines: bytes) -> bytes:
    if count == 1:
        return lines
    detail = (
        f"{count} more lines follow the first {MAX_RECORD_EVENTS - 1} events of this record, "
        + BEGINNING_KEPT
    )
    return stand_in("too_many_events", detail, lines)


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
    return _is_json(body)
