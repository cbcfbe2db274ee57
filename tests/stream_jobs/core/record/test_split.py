"""What "the events in a record" means."""

from __future__ import annotations

import pytest

from tokentide_jobs.core.record.split import split_record


@pytest.mark.parametrize(
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


@pytest.mark.parametrize("value", [b"[]", b"[ ]", b"[1", b'[{"a":1},]', b"[NaN]", b"[" * 5000])
def test_an_empty_or_broken_array_is_one_bad_event(value: bytes) -> None:
    assert split_record(value) == [value]


def test_an_array_nested_deeper_than_can_be_written_is_one_bad_event() -> None:
    value = b"[" + b"[" * 400 + b"]" * 400 + b"]"
    assert split_record(value) == [value]


def test_a_value_that_is_one_object_on_one_line_is_not_parsed_to_find_out() -> None:
    broken = b'{"a":' * 100_000
    assert split_record(broken) == [broken]
