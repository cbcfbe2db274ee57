"""What a dead letter keeps: no text that no row would keep, and of the event what can be mended."""

from __future__ import annotations

import json
import random
from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

import polars as pl
from polars.testing import assert_frame_equal

from tests.each import each
from tests.hostile_records import good_event, hostile_record
from tokentide_jobs.core.decode.columns import storage_schema
from tokentide_jobs.core.decode.judge import AcceptedWindow, judge_line
from tokentide_jobs.core.outcome.codes import without_texts
from tokentide_jobs.core.outcome.kept_event import kept_event
from tokentide_jobs.core.record.dead_letter import Refusal
from tokentide_jobs.core.record.split import BOM, split_record

EVER = AcceptedWindow(0, 1 << 62)
PROMPT = "Summarise what my doctor wrote"
GOOD = good_event(random.Random(1))


def line(**changed: Any) -> bytes:
    return json.dumps(GOOD | changed).encode()


@each(
    "value",
    [
        line(prompt=PROMPT, duration_ms="soon"),
        line(messages=[{"role": "user", "content": PROMPT}]),
        line(**{PROMPT: 1}),
        line(input_tokens=PROMPT),
        line(error_code=PROMPT, status="error"),
        line(error_type=PROMPT, status="error"),
        line(finish_reasons=[PROMPT]),
        line(type=PROMPT),
        line(status=PROMPT),
        line(event_id=PROMPT),
        line(request_model=f"{PROMPT} " * 20),
        line(tags={"a": {"b": PROMPT}}),
        line(tags={"a": f"{PROMPT} " * 40}),
        line(finish_reasons=PROMPT),
        line()[:-1] + f', "service": "{PROMPT}", "service": "chat"}}'.encode(),
        line()[:-1] + f', "x": ["{PROMPT}"], "x": []}}'.encode(),
        line()[:-1] + f', "prompt": "{PROMPT}'.encode(),
        json.dumps([PROMPT]).encode(),
        json.dumps(PROMPT).encode(),
        PROMPT.encode(),
        f'not "quoted {PROMPT}" as it should'.encode(),
        b"\xff" + PROMPT.encode(),
        line(prompt=PROMPT, pad="x" * 70_000),
        b"[" * 3_000 + f'"{PROMPT}"'.encode(),
        b'{"a":' * 3_000 + f'"{PROMPT}"'.encode() + b"}" * 3_000,
        line(prompt=f"{PROMPT} \ud800"),
    ],
)
def test_no_free_text_stays(value: bytes) -> None:
    kept = kept_event(value)
    assert b"doctor" not in kept.value
    assert b"Summarise" not in kept.value
    assert PROMPT not in str(kept.fields)
    if isinstance(verdict := judge_line(value, EVER), Refusal):
        assert "doctor" not in verdict.detail


def test_a_credential_in_the_place_of_an_id_of_a_key_does_not_stay() -> None:
    key = "sk-" + "a1B2" * 12
    kept = kept_event(line(key_id=key))
    assert key.encode() not in kept.value
    assert not kept.is_whole


@each("key", ["sk-" + "a1B2" * 12, "AIzaSy-1", "0a" * 16, "https://user:hunter2@host:80/v1"])
def test_a_credential_in_one_word_does_not_stay(key: str) -> None:
    broken = f'{{"service":"chat","api_key":"{key}",'.encode()
    for value in (line(api_key=key), line(**{key: 1}), line(input_tokens=key), broken):
        assert key.encode() not in kept_event(value).value
    assert b'"service":"chat"' in kept_event(broken).value


@each("event_type", ["request", "stats", "a-later-type", None])
def test_text_in_a_field_that_this_type_of_event_does_not_have_does_not_stay(
    event_type: str | None,
) -> None:
    for name in ("comment", "explanation", "description"):
        kept = kept_event(line(type=event_type, **{name: PROMPT}))
        assert b"doctor" not in kept.value
    assert json.loads(kept.value)["service"] == GOOD["service"]


def test_of_a_type_that_a_later_version_may_read_no_masked_text_is_sent_again() -> None:
    assert not kept_event(line(type="later", reason=PROMPT)).is_whole
    assert kept_event(line(type="later", reason="word")).is_whole


@each("number", ["1e999", "-1e999", "NaN", "Infinity", "9" * 400])
def test_a_number_that_cannot_be_written_is_not_sent_again_as_none(number: str) -> None:
    value = line(prompt="a b")[:-1] + f', "input_tokens": {number}}}'.encode()
    assert isinstance(judge_line(value, EVER), Refusal)
    assert not kept_event(value).is_whole


@each(
    ("field", "given", "stored"),
    [
        ("error_code", "überfall", ""), ("error_type", "überfall", "unknown"),
        ("finish_reasons", ["日本"], ["other"]), ("finish_reasons", ["stop", "日本"], ["stop"]),
    ],
)  # fmt: skip
def test_what_is_no_code_is_kept_as_ingest_stores_it(field: str, given: Any, stored: Any) -> None:
    kept = kept_event(line(started_at_us=-1, **{field: given}))
    assert (json.loads(kept.value)[field], kept.is_whole) == (stored, True)


@each(
    "value",
    [
        line(), line(started_at_us=1), line(duration_ms=-1.0), line(tags={"plan": "team of two"}),
        line(feature="a feature with blanks"), line(service="Chat API"), line(unknown="word", n=5),
        b"{}", b"0", b"[1,2,3]", b"", b"null", json.dumps(GOOD, indent=2).encode(),
    ],
)  # fmt: skip
def test_what_a_row_would_keep_stays_byte_by_byte(value: bytes) -> None:
    kept = kept_event(value)
    assert (kept.value, kept.is_whole) == (value, True)


def test_what_ingest_reads_over_is_masked_and_the_letter_can_be_sent_again() -> None:
    kept = kept_event(line(prompt=PROMPT, error_code=PROMPT, started_at_us=1))
    assert kept.is_whole
    assert json.loads(kept.value)["prompt"] == "xxxxxxxxx xxxx xx xxxxxx xxxxx"
    assert json.loads(kept.value)["service"] == GOOD["service"]


def test_broken_json_keeps_its_length_its_signs_and_its_words() -> None:
    value = f'{{"service":"chat","prompt":"{PROMPT}","n":-1.5e3,"is_on":true,'.encode()
    kept = kept_event(value)
    assert kept.value == (
        b'{"service":"chat","prompt":"xxxxxxxxx xxxx xx xxxxxx xxxxx","n":-1.5e3,"is_on":true,'
    )
    assert not kept.is_whole


@each(
    ("value", "kept"),
    [
        (b"my card is 4111 1111 1111 1111", b"xx xxxx xx xxxx xxxx xxxx xxxx"),
        (b"phone +49 (30) 1234-567, at 10.30", b"xxxxx +xx (xx) xxxx-xxx, xx 10.30"),
        (b"a\t41111111 123456 7", b"x\txxxxxxxx xxxxxx x"),
        ("1234\u202f567".encode(), b"xxxxxxxxxx"),
        (b"0\n123456\n1", b"0\n123456\n1"),
        (b'[123456, 1.5e3, true, 2, "word"', b'[123456, 1.5e3, true, 2, "word"'),
    ],
)
def test_long_numbers_do_not_stay_where_no_json_is(value: bytes, kept: bytes) -> None:
    assert kept_event(value).value == kept
    assert kept_event(BOM + value).value == BOM + kept


@dataclass
class Seen:
    whole: int = 0
    masked: int = 0
    rows: dict[str, list[tuple[dict[str, Any], dict[str, Any]]]] = field(
        default_factory=lambda: defaultdict(list)
    )


SPLICED = [
    b'"input_tokens":1e999', b'"output_tokens":-1e999', b'"duration_ms":NaN', b'"ttft_ms":Infinity',
    b'"input_tokens":' + b"9" * 400, b'"unknown":-Infinity', b'"error_code":"\xc3\xbcberfall"',
    b'"error_type":"a b"', b'"error_type":"E\\n"', b'"error_code":"429"', b'"error_type":null',
    b'"finish_reasons":["\xe6\x97\xa5","stop"]', b'"finish_reasons":["a b"]', b'"error_code":7',
    b'"finish_reasons":["",null]', b'"finish_reasons":[]', b'"finish_reasons":["Stop"]',
]  # fmt: skip
"""Numbers that JSON cannot write and codes that are no words, besides a text that is masked."""


def spliced(chance: random.Random) -> bytes:
    event = {"prompt": PROMPT, **good_event(chance)}
    added = chance.sample(SPLICED, chance.choice([1, 1, 2, 3]))
    return b",".join([json.dumps(event).encode()[:-1], *added]) + b"}"


def stored(event_type: str, rows: list[dict[str, Any]]) -> pl.DataFrame:
    schema = {name: dtype for name, dtype in storage_schema(event_type).items() if name in rows[0]}
    return without_texts(pl.DataFrame(rows, schema=schema))[0]


def test_whatever_came_what_is_whole_is_judged_as_the_event_was() -> None:
    chance, seen = random.Random(7), Seen()
    for _ in range(400):
        for value in [*split_record(hostile_record(chance)), spliced(chance)]:
            kept = kept_event(value)
            if not kept.is_whole:
                seen.masked += 1
                continue
            seen.whole += 1
            was, now = judge_line(value, EVER), judge_line(kept.value, EVER)
            if isinstance(was, dict) and isinstance(now, dict):
                seen.rows[was["type"]].append((was, now))
            else:
                assert isinstance(was, Refusal), value
                assert isinstance(now, Refusal), value
                assert was[:2] == now[:2], value
    for event_type, pairs in seen.rows.items():
        events, kept_rows = ([pair[place] for pair in pairs] for place in (0, 1))
        assert_frame_equal(stored(event_type, events), stored(event_type, kept_rows))
    assert len(seen.rows["request"]) > 300
    assert seen.whole > 600
    assert seen.masked > 150
