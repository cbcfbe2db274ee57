"""What a dead letter keeps: no text that no row would keep, and of the event what can be mended."""

from __future__ import annotations

import json
import random
from dataclasses import dataclass
from typing import Any

from tests.each import each
from tests.hostile_records import good_event, hostile_record
from tokentide_jobs.core.decode.judge import AcceptedWindow, judge_line
from tokentide_jobs.core.outcome.kept_event import kept_event
from tokentide_jobs.core.record.dead_letter import Refusal
from tokentide_jobs.core.record.split import split_record

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


@dataclass
class Seen:
    whole: int = 0
    masked: int = 0


def test_whatever_came_what_is_whole_is_judged_as_the_event_was() -> None:
    chance, seen = random.Random(7), Seen()
    for _ in range(400):
        for value in split_record(hostile_record(chance)):
            kept = kept_event(value)
            if not kept.is_whole:
                seen.masked += 1
                continue
            seen.whole += 1
            was, now = judge_line(value, EVER), judge_line(kept.value, EVER)
            if isinstance(was, dict) and isinstance(now, dict):
                cleared = {"error_code", "error_type", "finish_reasons"}
                assert {k: v for k, v in was.items() if k not in cleared} == {
                    k: v for k, v in now.items() if k not in cleared
                }
            else:
                assert isinstance(was, Refusal), value
                assert isinstance(now, Refusal), value
                assert was[:2] == now[:2], value
    assert seen.whole > 500
    assert seen.masked > 50
