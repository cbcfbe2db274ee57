"""The judge has an answer to everything, and a stable word for every refusal."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.each import each
from tokentide_jobs.core.decode.columns import COLUMNS
from tokentide_jobs.core.decode.decode import decode
from tokentide_jobs.core.decode.judge import AcceptedWindow, judge_line
from tokentide_jobs.core.record.dead_letter import REASONS, Refusal
from tokentide_jobs.core.record.record import Record
from tokentide_schemas import reference
from tokentide_schemas.fields import MAX_EVENT_BYTES

NOW_US = 1_790_000_000_000_000
WINDOW = AcceptedWindow(NOW_US - 1_000, NOW_US + 1_000)
EVENT: dict[str, Any] = {
    "type": "request",
    "event_id": "01a3185c-5000-7000-9bc0-d9d61600a35a",
    "started_at_us": NOW_US,
    "service": "chat",
    "provider": "openai",
    "operation": "chat",
    "status": "ok",
    "request_model": "gpt-4o",
    "duration_ms": 10,
    "input_tokens": 10,
    "output_tokens": 2,
}
TEXT = json.dumps(EVENT)


def with_raw(field: str, value: str) -> bytes:
    """Return the event with raw JSON text for one field, as its last key."""
    return f'{TEXT[:-1]}, "{field}": {value}}}'.encode()


def refusal(line: bytes) -> Refusal:
    """Judge a line that must be refused, alone and through the fast path."""
    verdict = judge_line(line, WINDOW)
    assert isinstance(verdict, Refusal), line[:200]
    assert verdict.reason in REASONS
    assert len(verdict.detail) <= 400
    # Neighbours of a refused event land.
    good = TEXT.encode()
    decoded = decode([Record(0, i, 0, value) for i, value in enumerate([good, line, good])], WINDOW)
    assert [dead_letter.offset for dead_letter in decoded.dead_letters] == [1]
    if not line.startswith(b"[["):  # the element of an array is judged, not the array
        assert decoded.dead_letters[0][3:6] == verdict
    assert decoded.frames["request"]["_offset"].to_list() == [0, 2]
    return verdict


def row(line: bytes) -> dict[str, Any]:
    """Judge a line that must be accepted, alone and through the fast path."""
    verdict = judge_line(line, WINDOW)
    assert isinstance(verdict, dict), verdict
    decoded = decode([Record(0, 0, 0, line)], WINDOW)
    assert decoded.dead_letters == []
    assert decoded.frames["request"].to_dicts() == [
        verdict | {"_partition": 0, "_offset": 0, "_idx": 0}
    ]
    return verdict


def test_an_accepted_event_becomes_a_row_in_storage_form() -> None:
    found = row(with_raw("tags", '{"b": "2", "a": "1"}'))
    assert list(found) == [column.name for column in COLUMNS["request"]]
    assert found["tags"] == '{"a":"1","b":"2"}'
    assert found["tenant"] == ""
    assert found["cache_read_tokens"] is None
    assert found["finish_reasons"] == []
    assert found["other_units"] == "{}"
    assert found["schema_version"] == 1


@each(
    ("field", "value", "reason"),
    [
        ("service", "5", "wrong_type"),
        ("service", "null", "missing_field"),
        ("service", '""', "bad_value"),
        ("service", '"' + "x" * 129 + '"', "too_long"),
        ("event_id", '"not-a-uuid"', "bad_value"),
        ("status", '"fine"', "bad_value"),
        ("input_tokens", "-1", "out_of_range"),
        ("input_tokens", "1.5", "wrong_type"),
        ("input_tokens", "1e300", "out_of_range"),
        ("input_tokens", "NaN", "wrong_type"),
        ("input_tokens", str(100_000_001), "out_of_range"),
        ("input_tokens", "true", "wrong_type"),
        ("input_tokens", '"10"', "wrong_type"),
        ("input_tokens", str((1 << 40) + 1), "out_of_range"),
        ("input_tokens", str(1 << 63), "out_of_range"),
        ("input_tokens", str(1 << 64), "out_of_range"),
        ("input_tokens", "1" + "0" * 30, "out_of_range"),
        ("duration_ms", "-0.5", "out_of_range"),
        ("duration_ms", "NaN", "out_of_range"),
        ("tags", '{"a": NaN}', "wrong_type"),
        ("tags", '{"a": 5}', "wrong_type"),
        ("duration_ms", "Infinity", "out_of_range"),
        ("duration_ms", "-Infinity", "out_of_range"),
        ("duration_ms", "1e999", "out_of_range"),
        ("cache_read_tokens", "11", "inconsistent"),
        ("reasoning_tokens", "3", "inconsistent"),
        ("ttft_ms", "10.5", "inconsistent"),
        ("tags", '{"a": 1}', "wrong_type"),
        ("tags", '"{}"', "wrong_type"),
        ("tags", json.dumps({str(i): "v" for i in range(33)}), "too_long"),
        ("tags", json.dumps({"k" * 65: "v"}), "too_long"),
        ("tags", json.dumps({"k": "v" * 257}), "too_long"),
        ("tags", '{"": "v"}', "bad_value"),
        ("finish_reasons", '"stop"', "wrong_type"),
        ("finish_reasons", "[1]", "wrong_type"),
        ("schema_version", "null", "missing_field"),
        ("started_at_us", str(NOW_US - 1_001), "too_old"),
        ("started_at_us", str(NOW_US + 1_000), "too_far_ahead"),
        ("started_at_us", "1e15", "too_old"),
        ("type", '"other"', "unknown_type"),
        ("type", "null", "missing_field"),
        ("type", "[1]", "wrong_type"),
    ],
)
def test_a_refusal_names_the_field_and_the_reason(field: str, value: str, reason: str) -> None:
    found = refusal(with_raw(field, value))
    assert found.reason == reason
    assert found.field == ("" if reason in ("malformed_json", "inconsistent") else field)
    assert found.detail


@each("field", ["type", "input_tokens", "event_id"])
def test_a_refusal_does_not_show_the_beginning_of_a_long_key(field: str) -> None:
    key = "session-" + "a1-" * 50
    assert "session" not in refusal(with_raw(field, f'"{key}"')).detail
    assert "short-word" in refusal(with_raw(field, '"short-word"')).detail


@each("field", [c.name for c in COLUMNS["request"] if c.is_required])
def test_a_required_field_that_is_absent_is_missing(field: str) -> None:
    line = json.dumps({key: value for key, value in EVENT.items() if key != field}).encode()
    assert refusal(line)[:2] == ("missing_field", field)


@each(
    ("line", "reason"),
    [
        (b"", "empty"),
        (b" \t\r ", "empty"),
        (b"[]", "empty"),
        (b"null", "not_an_object"),
        (b"[[1]]", "not_an_object"),
        (b'"text"', "not_an_object"),
        (b"{}", "missing_field"),
        (b"{", "malformed_json"),
        (TEXT.encode()[:-1], "malformed_json"),
        (TEXT.encode() + b"}", "malformed_json"),
        (TEXT.encode() + b"x" + TEXT.encode(), "malformed_json"),
        (TEXT.replace('"', "'").encode(), "malformed_json"),
        (TEXT.encode() + b"\x00", "malformed_json"),
        (TEXT.encode().replace(b"chat", b"ch\x00t"), "malformed_json"),
        (b"\xff\xfe" + TEXT.encode("utf-16-le"), "not_utf8"),
        (TEXT.encode()[:-1] + b"\xff}", "not_utf8"),
        (with_raw("unknown", "[" * 5_000 + "]" * 5_000), "malformed_json"),
        (b'{"a":' * 10_000 + b"1" + b"}" * 10_000, "malformed_json"),
        (b"[" * 100_000, "malformed_json"),
        (with_raw("unknown", '"' + "x" * MAX_EVENT_BYTES + '"'), "too_large"),
        (b"x" * 10_000_000, "too_large"),
    ],
    ids=lambda value: value if isinstance(value, str) else repr(value[:24]),
)
def test_hostile_lines_are_refused_with_a_stated_reason(line: bytes, reason: str) -> None:
    assert refusal(line).reason == reason


def mended(line: bytes) -> tuple[dict[str, Any], int]:
    """Judge a line of which some texts have to be mended; return the row and how many."""
    counted: list[int] = []
    verdict = judge_line(line, WINDOW, counted.append)
    assert isinstance(verdict, dict), verdict
    decoded = decode([Record(0, 0, 0, b"\n".join([TEXT.encode(), line]))], WINDOW)
    accepted = sum(frame.height for frame in decoded.frames.values())
    assert (accepted, decoded.replaced_texts) == (2, sum(counted))
    return row(line), sum(counted)


@pytest.mark.parametrize(
    ("raw", "service", "texts"),
    [
        ('"a\\ud800"', "a\ufffd", 1),
        ('"a\\udc00b"', "a\ufffdb", 1),
        ('"\\ud800\\ud83d\\ude00"', "\ufffd😀", 1),
        ('"\\ud83d\\ude00"', "😀", 0),
        ('"\\ufffd"', "\ufffd", 0),
    ],
)
def test_half_a_surrogate_pair_costs_the_character_it_stands_for(
    raw: str, service: str, texts: int
) -> None:
    found, count = mended(with_raw("service", raw))
    assert (found["service"], count) == (service, texts)
    assert mended(with_raw("unknown", raw))[0]["service"] == "chat"


@pytest.mark.parametrize(
    ("bytes_", "service", "texts"),
    [
        (b"ch\xfft", "ch\ufffdt", 1),
        (b"ch\xc3", "ch\ufffd", 1),
        (b"ch\xed\xa0\x80t", "ch\ufffdt", 1),
        (b"\xed\xa0\xbd\xed\xb8\x80", "😀", 0),  # CESU-8, as some Java programs write
    ],
)
def test_bytes_that_are_not_utf8_cost_the_characters_they_stand_for(
    bytes_: bytes, service: str, texts: int
) -> None:
    found, count = mended(TEXT.encode().replace(b'"chat"', b'"' + bytes_ + b'"', 1))
    assert (found["service"], count) == (service, texts)


def test_a_byte_order_mark_is_read_over_and_whole_numbers_may_have_a_point() -> None:
    assert row(b"\xef\xbb\xbf" + TEXT.encode()) == row(TEXT.encode())
    assert row(with_raw("input_tokens", "10.0")) == row(TEXT.encode())
    assert row(with_raw("started_at_us", f"{NOW_US}.0"))["started_at_us"] == NOW_US


@pytest.mark.parametrize("value", ["NaN", "-Infinity", "1e999", '{"a": [NaN]}'])
def test_what_no_number_can_be_is_tolerated_where_it_is_not_read(value: str) -> None:
    assert row(with_raw("unknown", value)) == row(TEXT.encode())


def test_the_value_of_a_rejection_is_the_event_as_it_came() -> None:
    decoded = decode([Record(4, 2, 0, b'{"a": 1}\n[2, "x"]')], WINDOW)
    assert [dead_letter[:4] for dead_letter in decoded.dead_letters] == [
        (4, 2, 0, "missing_field"),
        (4, 2, 1, "not_an_object"),
    ]
    assert [dead_letter.value for dead_letter in decoded.dead_letters] == [b'{"a": 1}', b'[2, "x"]']


def test_of_duplicate_keys_the_last_counts() -> None:
    assert row(with_raw("service", '"second"'))["service"] == "second"
    assert row(with_raw("tenant", '"a", "tenant": null'))["tenant"] == ""
    assert row(with_raw("tags", '{"a": "1", "a": "2"}'))["tags"] == '{"a":"2"}'
    assert refusal(with_raw("service", '"a", "service": 5')).reason == "wrong_type"


@pytest.mark.parametrize(
    "colon", ['\\u0073ervice":', 'service" :', 'service"\t:', 'service"  :', 'service"\r:']
)
def test_a_duplicate_is_found_however_its_key_is_written(colon: str) -> None:
    line = f'{TEXT[:-1]}, "{colon} "second"}}'.encode()
    assert row(line)["service"] == "second"


def test_escaped_characters_are_read_and_nul_is_a_character_like_any_other() -> None:
    assert row(with_raw("service", '"a\\u0000\\u00e9\\ud83d\\ude00\\n"'))["service"] == "a\0é😀\n"


def test_characters_are_counted_not_bytes() -> None:
    assert row(with_raw("service", '"' + "é" * 128 + '"'))["service"] == "é" * 128


def test_unknown_fields_are_ignored_whatever_they_hold() -> None:
    plain = row(TEXT.encode())
    for value in ('{"service": 5}', '[{"tags": {}}]', "null", "1e300", '"x"', str(1 << 70)):
        assert row(with_raw("from_the_future", value)) == plain


def test_an_event_at_the_size_limit_is_accepted() -> None:
    padding = MAX_EVENT_BYTES - len(with_raw("unknown", '""'))
    line = with_raw("unknown", '"' + "x" * padding + '"')
    assert len(line) == MAX_EVENT_BYTES
    row(line)


def test_a_silent_success_is_inconsistent_unless_it_says_usage_is_missing() -> None:
    silent = {k: v for k, v in EVENT.items() if k not in ("input_tokens", "output_tokens")}
    assert refusal(json.dumps(silent).encode()).reason == "inconsistent"
    assert refusal(json.dumps(silent | {"usage_source": "provider"}).encode())
    row(json.dumps(silent | {"usage_source": "missing"}).encode())
    row(json.dumps(silent | {"status": "cancelled"}).encode())
    row(json.dumps(silent | {"other_units": {}}).encode())
    row(json.dumps(silent | {"input_tokens": 0}).encode())


def test_disjoint_parts_never_exceed_their_total() -> None:
    parts = {"cache_read_tokens": 6, "cache_write_tokens": 5}
    assert refusal(json.dumps(EVENT | parts).encode()).reason == "inconsistent"
    row(json.dumps(EVENT | parts | {"cache_write_tokens": 4}).encode())


def test_every_reason_is_documented() -> None:
    page = reference.page()
    assert all(f"`{reason}`" in page for reason in REASONS)


def test_the_accepted_window_is_half_open() -> None:
    row(json.dumps(EVENT | {"started_at_us": WINDOW.from_us}).encode())
    row(json.dumps(EVENT | {"started_at_us": WINDOW.until_us - 1}).encode())


@pytest.mark.parametrize("secret", ["sk-proj-abc", "gsk_abc", "AIzaSy-abc", "x-" + "a1" * 16])
def test_a_key_in_the_place_of_its_id_is_refused_and_not_shown(secret: str) -> None:
    found = refusal(with_raw("key_id", json.dumps(secret)))
    assert (found.reason, found.field) == ("bad_value", "key_id")
    assert "give the id of the key" in found.detail
    assert secret not in found.detail


@pytest.mark.parametrize("key_id", ["", "key_abc", "apikey_01Rj2N8SVvo6BePZj99NhmiT", "a" * 31])
def test_the_id_of_a_key_is_accepted(key_id: str) -> None:
    assert row(with_raw("key_id", json.dumps(key_id)))["key_id"] == key_id
