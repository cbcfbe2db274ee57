"""The promise of the fast path: decode(records) is judging every line one by one, only faster."""

from __future__ import annotations

import json
import random
import re
from typing import Any

import numpy as np
import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.each import each
from tests.sampling import examples, share
from tokentide_jobs.core.decode.columns import COLUMNS, Column
from tokentide_jobs.core.decode.decode import Decoded, decode
from tokentide_jobs.core.decode.judge import AcceptedWindow, judge_line
from tokentide_jobs.core.decode.lines import event_lines
from tokentide_jobs.core.record.dead_letter import Refusal
from tokentide_jobs.core.record.record import Record
from tokentide_jobs.core.record.split import split_line, split_record

# Other tests of this folder run the same lines, and once: tracing them here shows nothing new.
pytestmark = pytest.mark.no_cover

NOW_US = 1_790_000_000_000_000
WINDOW = AcceptedWindow(NOW_US - 10**9, NOW_US + 10**9)
EVENT_ID = "01a3185c-5000-7000-9bc0-d9d61600a35a"

SAMPLES: dict[str, dict[str, Any]] = {
    "request": {
        "type": "request", "event_id": EVENT_ID, "started_at_us": NOW_US, "service": "chat",
        "duration_ms": 812.25, "operation": "chat", "provider": "openai", "status": "ok",
        "request_model": "gpt-4o", "input_tokens": 1200, "output_tokens": 40,
        "cache_read_tokens": 400, "usage_source": "provider", "finish_reasons": ["stop"],
        "ttft_ms": 101.5, "tags": {"region": "eu", "a": "b"}, "stream": True, "seq": 4,
        "prompt_version": "3", "other_units": {"pages": 2},
    },
    "evaluation": {
        "type": "evaluation", "event_id": EVENT_ID, "started_at_us": NOW_US, "service": "judge",
        "name": "faithful", "target_event_id": EVENT_ID.upper(), "score": 0.75, "passed": True,
    },
    "feedback": {
        "type": "feedback", "event_id": EVENT_ID, "started_at_us": NOW_US, "service": "web",
        "name": "thumb", "response_id": "resp_1", "comment": "schön: \"gut\"\n", "score": 1,
    },
    "change": {
        "type": "change", "event_id": EVENT_ID, "started_at_us": NOW_US, "service": "web",
        "kind": "deploy", "subject": "chat", "to_version": "1.2",
    },
    "stats": {
        "type": "stats", "event_id": EVENT_ID, "started_at_us": NOW_US, "service": "web",
        "emitted": 10, "dropped": 0, "uptime_ms": 1e6, "producer_id": "p",
    },
}  # fmt: skip

ODD_VALUES: list[Any] = [
    None, True, False, 0, -1, 1, 5, 5.0, 0.5, -0.0, 1e3, 1e300, 2**40, 2**40 + 1, 2**53 + 1, 2**63,
    2**64, 2**70, NOW_US, NOW_US + 10**9, NOW_US - 10**9, NOW_US - 10**9 - 1, "", "5", "ok", "null",
    "true", "{}", '{"a": "b"}', "[1]", ":", ":x", "\u0000", "é" * 100, "x" * 128, "x" * 129,
    "é" * 128, "é" * 129, "x" * 3000, "a\"b\\c\n", "😀", "\ud800", "service",
    [], [None], ["a", 1], ["5"],
    ["a", "b"], ["x" * 129], [["a"]], {}, {"a": 1}, {"a": "b"}, {"service": "x"}, {"region": "x"},
    {"a": None}, {"a": True}, {"pid": "5"}, {"": "x"}, {"k" * 65: "v"}, {"a": "v" * 257},
    {"a": {"b": 1}},
    {str(i): "v" for i in range(33)}, {'a"type': "x"}, {'a": "b", "c': "x"},
    {'a":"b","c': "x"}, {"a\\": "x"}, {"a\n": "x"}, {'a": 1, "b': 2}, {"a": "\\n\"/"},
    {"é": "ü"}, {"status": None},
    EVENT_ID, EVENT_ID[:-1], EVENT_ID + "\n", "0" * 32, 10**31, "f" * 16, "request", "missing",
]  # fmt: skip

FIELDS = sorted({column.name for columns in COLUMNS.values() for column in columns})
FIELD_NAMES = st.sampled_from([*FIELDS, "unknown", "my_version", "user_name", "x_tool_name"])


def encode(pairs: list[tuple[str, Any]], rng: random.Random) -> bytes:
    """Write pairs (duplicates survive) as JSON in one of the styles producers use."""
    colon, comma = rng.choice(
        [(":", ","), (": ", ", "), (" : ", ","), (" :", " , "), ("  :", ","), ("\t:", ",")]
    )
    ascii_only = rng.random() < 0.5
    parts = [
        json.dumps(key) + colon + json.dumps(value, ensure_ascii=ascii_only) for key, value in pairs
    ]
    return ("{" + comma.join(parts) + "}").encode(errors="surrogatepass")


@st.composite
def structured(draw: st.DrawFn) -> bytes:
    """Return a valid event with some fields changed, doubled, dropped or added."""
    sample = SAMPLES[draw(st.sampled_from(sorted(SAMPLES)))]
    pairs = list(sample.items())
    rng = random.Random(draw(st.integers(0, 2**32)))
    for _ in range(draw(st.integers(0, 3))):
        action = draw(st.sampled_from(["set", "double", "drop", "add", "null"]))
        place = rng.randrange(len(pairs) + 1)
        if action == "drop" and place < len(pairs):
            pairs.pop(place)
        elif action == "null" and place < len(pairs):
            pairs.insert(rng.randrange(len(pairs) + 1), (pairs[place][0], None))
        elif action in ("set", "double") and place < len(pairs):
            value = draw(st.sampled_from(ODD_VALUES))
            if action == "set":
                pairs[place] = (pairs[place][0], value)
            else:
                pairs.insert(rng.randrange(len(pairs) + 1), (pairs[place][0], value))
        else:
            pairs.insert(place, (draw(FIELD_NAMES), draw(st.sampled_from(ODD_VALUES))))
    line = encode(pairs, rng)
    if rng.random() < 0.1:  # escape one letter of one key
        line = re.sub(
            rb'"([a-z])([a-z_]+)":', lambda m: b'"\\u%04x%s":' % (m[1][0], m[2]), line, count=1
        )
    return line


BYTES = [b'"', b":", b",", b"{", b"}", b"[", b"]", b"\\", b"\\u", b"\\ud83d", b"\\udc00",
         b"\\u0000", b" ", b"\t", b"\r", b"\x00", b"\x1f", b"\xff", b"\xef\xbb\xbf",
         b"0", b"-", b"e", b".", b"null", b"NaN", b"Infinity", b'":',
         b'"service":', b'"tags":{', b"9" * 25]  # fmt: skip


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """Return a structured event with a few bytes deleted, replaced, inserted or doubled."""
    line = bytearray(draw(structured()))
    for _ in range(draw(st.integers(1, 3))):
        start = draw(st.integers(0, len(line)))
        end = min(len(line), start + draw(st.sampled_from([0, 0, 1, 1, 2, 8])))
        piece = draw(st.sampled_from([b"", *BYTES]) | st.just(bytes(line[start : start + 6])))
        line[start:end] = piece
    return bytes(line).replace(b"\n", b"")


GARBAGE = st.sampled_from(
    [b"", b"null", b"5", b'"x"', b"[]", b"[1]", b"{}", b"x", b"[" * 3000, b'{"a":' * 3000,
     b'{"type":"request"', b'{"type":5}', b'{"type":"other"}', b"\xff\xfe", b"}{", b'{"a":1}{}',
     b'{"a":1} {"b":"}{"}{']
)  # fmt: skip
LINES = st.one_of(structured(), structured(), damaged(), GARBAGE)


SEPARATORS = st.sampled_from([b"\n", b"\r\n", b"\n\n", b"", b" \n\t\n", b"[", b"]", b",\n"])


@pytest.mark.parametrize("splits_objects", [False, True])
@settings(max_examples=examples(18), deadline=None)
@given(values=st.lists(st.lists(GARBAGE | structured() | SEPARATORS, max_size=5).map(b"".join)))
def test_the_events_of_a_batch_are_those_of_its_records(
    splits_objects: bool, values: list[bytes]
) -> None:
    records = [Record(0, 10 + 2 * i, 0, value) for i, value in enumerate(values)]
    events = event_lines(records, splits_objects=splits_objects)
    split = [
        ((0, record.offset, idx), line)
        for record in records
        for idx, line in enumerate(split_record(record.value))
    ]
    # Lines of several objects are looked for only splits_objects, or where no frame is plain.
    if events.is_plain and any(len(split_line(line)) > 1 for _, line in split_plainly(values)):
        return
    assert events.lines(np.arange(len(events))) == [line for _, line in split]
    assert events.places.rows() == [place for place, _ in split]


def split_plainly(values: list[bytes]) -> list[tuple[int, bytes]]:
    return [(i, line) for i, value in enumerate(values) for line in value.split(b"\n")]


def same(left: Any, right: Any) -> bool:
    """Equal values of equal types; polars gives lists of texts as lists."""
    return type(left) is type(right) and left == right


def assert_same_as_judging(records: list[Record], decoded: Decoded) -> None:
    rows: dict[tuple[int, int, int], dict[str, Any]] = {}
    for event_type, frame in decoded.frames.items():
        names = [column.name for column in COLUMNS[event_type]]
        assert frame.columns == [*names, "_partition", "_offset", "_idx"]
        places = [row[-3:] for row in frame.iter_rows()]
        assert places == sorted(places)
        rows |= {row[-3:]: dict(zip(names, row, strict=False)) for row in frame.iter_rows()}
    refused = {dead_letter[:3]: dead_letter for dead_letter in decoded.dead_letters}
    assert len(refused) == len(decoded.dead_letters)
    expected_count = 0
    for record in records:
        for idx, line in enumerate(split_record(record.value)):
            expected_count += 1
            place = (record.partition, record.offset, idx)
            verdict = judge_line(line, WINDOW)
            if isinstance(verdict, Refusal):
                assert place not in rows, line
                assert refused[place][3:] == (*verdict, line)
                continue
            assert place in rows, (line, refused.get(place))
            for name, value in verdict.items():
                assert same(rows[place][name], value), (name, line)
    assert len(rows) + len(refused) == expected_count


@settings(max_examples=examples(20), deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.lists(LINES, max_size=4), min_size=1, max_size=6))
def test_decoding_a_batch_equals_judging_every_event_alone(frames: list[list[bytes]]) -> None:
    records = [Record(0, 10 + i, 0, b"\n".join(lines)) for i, lines in enumerate(frames)]
    assert_same_as_judging(records, decode(records, WINDOW))


@settings(max_examples=examples(33), deadline=None)
@given(LINES)
def test_an_event_alone_in_its_batch_gets_the_verdict_of_the_judge(line: bytes) -> None:
    records = [Record(3, 7, 0, line)]
    assert_same_as_judging(records, decode(records, WINDOW))


@settings(max_examples=examples(13), deadline=None)
@given(st.lists(structured(), min_size=1, max_size=4), st.sampled_from([b", ", b",", b"\n,"]))
def test_arrays_of_events_decode_like_their_elements(lines: list[bytes], comma: bytes) -> None:
    records = [Record(0, 1, 0, b"[" + comma.join(lines) + b"]")]
    assert_same_as_judging(records, decode(records, WINDOW))


PAIRS = [(name, number) for number in range(len(ODD_VALUES)) for name in sorted(SAMPLES)]


@each(
    ("event_type", "number"),
    share(PAIRS, 3),
    ids=lambda part: part if isinstance(part, str) else repr(ODD_VALUES[part])[:24],
)
def test_every_field_with_every_odd_value_decodes_as_judged(event_type: str, number: int) -> None:
    """Every field of a type takes the odd value in turn: alone, as a duplicate behind, or before.

    Which of the three goes on with fields and values, so that every pair of two of them is met.
    """
    value, sample = ODD_VALUES[number], SAMPLES[event_type]
    text = json.dumps(sample)
    lines: list[bytes] = []
    for turn, column in enumerate(COLUMNS[event_type], number):
        extra = f"{json.dumps(column.name)}:{json.dumps(value)}"
        forms = (
            json.dumps(sample | {column.name: value}),
            f"{text[:-1]}, {extra}}}",
            f"{{{extra}, {text[1:]}",
        )
        lines += [form.encode() for form in share(forms, 3, turn)]
    alone = [Record(0, i, 0, line) for i, line in enumerate(lines)]
    assert_same_as_judging(alone, decode(alone, WINDOW))


@settings(max_examples=examples(15), deadline=None)
@given(st.lists(st.floats(0, 6e8, allow_nan=False), min_size=1, max_size=50))
def test_numbers_survive_to_the_last_bit(durations: list[float]) -> None:
    sample = {k: v for k, v in SAMPLES["request"].items() if k != "ttft_ms"}
    lines = [json.dumps(sample | {"duration_ms": value}).encode() for value in durations]
    frame = decode([Record(0, 0, 0, b"\n".join(lines))], WINDOW).frames["request"]
    assert frame["duration_ms"].to_list() == durations


def bounds_of(column: Column) -> list[Any]:
    """Values at, inside and outside the bounds of a number."""
    step: Any = 1 if column.kind == "int" else 1e-9
    limits = [b for b in (column.ge, column.gt, column.le, column.lt) if b is not None]
    whole = [int(b) for b in limits] if column.kind == "int" else [float(b) for b in limits]
    return [value + delta for value in whole for delta in (-step, 0, step)]


@pytest.mark.parametrize("event_type", sorted(SAMPLES))
def test_the_bounds_of_every_number_are_those_of_the_model(event_type: str) -> None:
    lines = [
        orjson.dumps(SAMPLES[event_type] | {column.name: value})
        for column in COLUMNS[event_type]
        if column.kind in ("int", "float")
        for value in bounds_of(column)
    ]
    records = [Record(0, i, 0, line) for i, line in enumerate(lines)]
    assert_same_as_judging(records, decode(records, WINDOW))
