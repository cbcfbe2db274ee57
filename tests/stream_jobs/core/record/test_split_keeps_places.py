"""The place of an event is its identity: records that were fine before are split as they were.

`split_before` is how records were split when the first rows were written; it is kept here to be
compared with, and knows nothing of what `split_record` has learned since.
"""

from __future__ import annotations

import json
import random
from typing import Any

import orjson
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.hostile_records import BASE_US, good_event, hostile_record
from tests.sampling import examples
from tokentide_jobs.core.decode.judge import AcceptedWindow, judge_line
from tokentide_jobs.core.record.dead_letter import Refusal
from tokentide_jobs.core.record.split import BOM, split_record

ALWAYS = AcceptedWindow(0, 2 * BASE_US)
WHITESPACE = b" \t\r\n"


def split_before(value: bytes) -> list[bytes]:
    if b"\n" not in value:
        if value[:1] != b"{" and value.lstrip(WHITESPACE)[:1] == b"[":
            return _elements(value)
        return [value]
    body = value.strip(WHITESPACE)
    if not body:
        return [value]
    if body[:1] == b"[":
        return _elements(body)
    lines = [line for line in body.split(b"\n") if line and not line.isspace()]
    if len(lines) > 1 and body[:1] == b"{" and body[-1:] == b"}":
        try:
            orjson.loads(body)
        except orjson.JSONDecodeError:
            return lines
        return [body]
    return lines or [value]


def _elements(value: bytes) -> list[bytes]:
    try:
        elements = orjson.loads(value)
        return [orjson.dumps(element) for element in elements] if elements else [value]
    except (orjson.JSONDecodeError, orjson.JSONEncodeError):
        return [value]


def is_fine(events: list[bytes]) -> bool:
    """Return whether all are accepted; none with a byte order mark was, when rows began."""
    is_marked = any(event.startswith(BOM) for event in events)
    return not is_marked and not any(
        isinstance(judge_line(event, ALWAYS), Refusal) for event in events
    )


@settings(max_examples=examples(50), deadline=None)
@given(
    seed=st.integers(0, 2**32),
    separator=st.sampled_from([b"\n", b"\r\n", b"\n\n", b" \n\t\n"]),
    tags=st.dictionaries(
        st.sampled_from(["a", "}{", "\n", "[", "é"]),
        st.sampled_from(["", "}{", "} {", '"}{"', "]"]),
    ),
)
def test_records_of_good_events_are_split_as_ever(
    seed: int, separator: bytes, tags: dict[str, str]
) -> None:
    chance = random.Random(seed)
    events: list[Any] = [good_event(chance) | {"tags": tags} for _ in range(chance.randint(1, 5))]
    lines = [json.dumps(event, ensure_ascii=chance.random() < 0.5).encode() for event in events]
    for value in (
        separator.join(lines),
        separator.join([b"", *lines, b""]),
        json.dumps(events).encode(),
        json.dumps(events, indent=1).encode(),
        json.dumps(events[0], indent=1).encode(),
    ):
        before = split_before(value)
        assert is_fine(before)
        assert split_record(value) == before


@settings(max_examples=examples(200), deadline=None)
@given(seed=st.integers(0, 2**32))
def test_whatever_was_fine_before_keeps_its_places(seed: int) -> None:
    value = hostile_record(random.Random(seed))
    before = split_before(value)
    if is_fine(before):
        assert split_record(value) == before
