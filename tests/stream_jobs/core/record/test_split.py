"""What "the events in a record" means."""

from __future__ import annotations

import sys
import tracemalloc

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.each import each
from tokentide_jobs.core.record import split
from tokentide_jobs.core.record.split import MAX_RECORD_EVENTS, split_record
from tokentide_jobs.core.record.stand_in import KEPT_BYTES, read_stand_in


@each(
    ("value", "events"),
    [
        (b'{"a":1}', [b'{"a":1}']),
        (b'{"a":1}\n', [b'{"a":1}']),
        (b'{"a":1}\n{"b":2}', [b'{"a":1}', b'{"b":2}']),
        (b'{"a":1}\r\n{"b":2}\r\n', [b'{"a":1}\r', b'{"b":2}']),
        (b'\n\n{"a":1}\n \t\r\n\n{"b":2}\n\n', [b'{"a":1}', b'{"b":2}']),
        (b'[{"a":1}, {"b" : 2}]', [b'{"a":1}', b'{"b":2}']),
        (b'  [{"a":1}]', [b'{"a":1}']),
        (b'[\n  {"a":1},\n  5\n]\n', [b'{"a":1}', b"5"]),
        (b'{\n  "a": 1\n}', [b'{\n  "a": 1\n}']),
        (b'\n{\n  "a": {\n}\n}\n', [b'{\n  "a": {\n}\n}']),
        (b'{"a":1}\nnot json\n{"b":2}', [b'{"a":1}', b"not json", b'{"b":2}']),
        (b"not json\nat all", [b"not json", b"at all"]),
        (b'{"a":1,\n"b":2', [b'{"a":1,', b'"b":2']),
    ],
)
def test_a_record_holds_lines_or_an_array_or_one_object(value: bytes, events: list[bytes]) -> None:
    assert split_record(value) == events


@pytest.mark.parametrize("value", [b"", b" ", b"\n", b" \r\n\t\n", b"\x0b", b"\x0b\n\x0c"])
def test_a_record_without_content_is_one_bad_event(value: bytes) -> None:
    assert split_record(value) == [value]


@pytest.mark.parametrize("value", [b"[]", b"[ ]", b"[1", b'[{"a":1},]', b"[" * 5000])
def test_an_empty_or_broken_array_is_one_bad_event(value: bytes) -> None:
    assert split_record(value) == [value]


def test_an_array_nested_deeper_than_can_be_written_is_one_bad_event() -> None:
    value = b"[" + b"[" * 400 + b"]" * 400 + b"]"
    assert split_record(value) == [value]


def test_a_value_that_is_one_object_on_one_line_is_not_parsed_to_find_out() -> None:
    broken = b'{"a":' * 100_000
    assert split_record(broken) == [broken]


GOOD = [b'{"n":%d}' % number for number in range(5)]


@pytest.mark.parametrize(
    ("value", "events"),
    [
        (b'[{"n":0}]\n[{"n":1},{"n":2}]\n[ {"n":3}, 7, {"n":4}]', [*GOOD[:4], b"7", GOOD[4]]),
        (b'[1,2,3]\n[{"n":0}]\n[]', [b"[1,2,3]", GOOD[0], b"[]"]),
        (b'[\n{"n":0},\n{"n":1} , \n{"n":\n]', [b"[", *GOOD[:2], b'{"n":', b"]"]),
        (b'[{"n":0},\n{"n":1},\r\n  {"n":2},', [b'[{"n":0},', *GOOD[1:3]]),
    ],
)
def test_lines_that_are_arrays_or_end_in_commas_cost_no_other_line(
    value: bytes, events: list[bytes]
) -> None:
    assert split_record(value) == events


@each("bad", [b"[1,2,3]", b"[oops", b"[", b"]", b"x", b'{"a":', b"NaN", b"\xff"])
@each("place", [0, 2, 5])
def test_a_line_that_is_no_event_costs_itself_wherever_it_stands(bad: bytes, place: int) -> None:
    lines = [*GOOD[:place], bad, *GOOD[place:]]
    assert split_record(b"\n".join(lines)) == lines
    assert split_record(b"\n".join(lines) + b"\n") == lines


@pytest.mark.parametrize("between", [b"", b" ", b"\t\r "])
def test_objects_that_follow_each_other_on_a_line_are_events_of_their_own(between: bytes) -> None:
    line = between.join(GOOD)
    assert [event.strip() for event in split_record(line)] == GOOD
    found = split_record(b"\n".join([line, b'{"a":"}{"}', line]))
    assert [event.strip() for event in found] == [*GOOD, b'{"a":"}{"}', *GOOD]


def test_what_follows_objects_on_their_line_costs_only_itself() -> None:
    assert split_record(b'{"a":1}{"b":') == [b'{"a":1}', b'{"b":']
    assert split_record(b'{"a":1}{"b":{}}x') == [b'{"a":1}', b'{"b":{}}', b"x"]
    assert split_record(b'{"a":1} {"b":2} x {"c":3}') == [b'{"a":1}', b'{"b":2}', b' x {"c":3}']
    assert split_record(b'0\n{"a":1} {"b":2}]\r\n0') == [b"0", b'{"a":1}', b'{"b":2}', b"]\r", b"0"]
    assert split_record(b'{"a":1} {"b":2} \r') == [b'{"a":1}', b'{"b":2} \r']


def test_one_object_with_something_else_is_a_line_that_is_no_json() -> None:
    for line in (b'{"a":1} x {}', b'{"a":1} x', b'{"a":1}}', b'x {"a":1}'):
        assert split_record(line) == [line]


@given(
    st.lists(st.dictionaries(st.text(max_size=3), st.text(max_size=5), max_size=2), min_size=2),
    st.sampled_from(["", " ", "\t\r "]),
    st.from_regex(r"\A[^\s{][^\n]{0,9}\Z"),
)
def test_objects_on_one_line_survive_whatever_follows_them(
    objects: list[dict[str, str]], between: str, rubbish: str
) -> None:
    lines = [orjson.dumps(one) for one in objects]
    found = split_record(between.encode().join([*lines, rubbish.encode(errors="replace")]))
    assert [event.strip() for event in found[: len(lines)]] == lines
    assert found[len(lines) :] == [between.encode() + rubbish.encode(errors="replace")]


def test_a_byte_order_mark_changes_nothing() -> None:
    bom = b"\xef\xbb\xbf"
    assert split_record(bom + b"\n".join(GOOD)) == GOOD
    assert split_record(bom + b"[" + b",".join(GOOD) + b"]") == GOOD
    assert split_record(bom + GOOD[0]) == [bom + GOOD[0]]  # as it came; the judge skips the mark
    assert split_record(bom + b'{\n"a": 1\n}') == [b'{\n"a": 1\n}']


def test_an_array_with_a_text_that_cannot_be_encoded_keeps_its_other_events() -> None:
    events = split_record(b'[{"a":1},{"b":"\\ud800\xff"},{"c":NaN}]')
    assert len(events) == 3
    assert events[0] == b'{"a":1}'
    assert events[2] == b'{"c":NaN}'


def test_a_record_holds_so_many_events_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(split, "MAX_RECORD_EVENTS", 3)
    for value in (b"\n".join(GOOD), b"[" + b",".join(GOOD) + b"]"):
        *first, rest = split_record(value)
        assert first == GOOD[:2]
        found = read_stand_in(rest)
        assert found is not None
        refusal, beginning = found
        assert refusal.reason == "too_many_events"
        assert refusal.detail.startswith("3 more lines")
        assert beginning == b"\n".join(GOOD[2:])
    assert split_record(b"".join(GOOD[:3]) + b"x") == [*GOOD[:2], GOOD[2] + b"x"]
    *first, rest = split_record(b"".join(GOOD))
    assert first == GOOD[:2]
    assert read_stand_in(rest) is not None
    assert split_record(b"\n".join(GOOD[:3])) == GOOD[:3]


def test_a_record_that_is_too_long_is_one_bad_event_of_which_the_beginning_is_kept(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(split, "MAX_RECORD_BYTES", 200_000)
    value = b"\n".join([GOOD[0]] * 40_000)
    [only] = split_record(value)
    found = read_stand_in(only)
    assert found is not None
    assert found[0].reason == "too_large"
    assert str(len(value)) in found[0].detail
    assert found[1] == value[:KEPT_BYTES]
    assert split_record(only) == [only]


def test_two_million_lines_of_nothing_are_a_bounded_number_of_events() -> None:
    events = split_record(b"0\n" * 2_000_000)
    assert len(events) == split.MAX_RECORD_EVENTS
    found = read_stand_in(events[-1])
    assert found is not None
    assert "1900001 more lines" in found[0].detail


def test_a_long_array_costs_little_more_memory_than_what_is_kept_of_it() -> None:
    value = b"[" + b"1," * 400_000 + b"1]"
    tracemalloc.start()
    found = split_record(value)
    _now, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(found) == MAX_RECORD_EVENTS
    assert sum(map(sys.getsizeof, found)) < 10_000_000  # not a buffer of a kilobyte an element
    assert peak < 60_000_000
    assert b"300002 more lines" in found[-1]
