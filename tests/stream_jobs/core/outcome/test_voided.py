"""An event that is out ends as a dead letter with its bytes, and adds nothing to any sum."""

from __future__ import annotations

import json
import uuid
from dataclasses import replace
from typing import Any

import polars as pl

from tokentide_jobs.core.batch.ledger import Intent, LogPartition
from tokentide_jobs.core.outcome.outcome import process
from tokentide_jobs.core.record.record import Record
from tokentide_jobs.io.files.price_source import compile_cards

NOW_US = 1_790_000_000_000_000
CARDS = compile_cards()
INTENT = Intent(
    LogPartition("log", "tokentide.events.v1", 0), 0, 2, CARDS.price_version, NOW_US - 1,
    NOW_US + 1, NOW_US, "w", ("user", "run"), 9, void_revision=3,
)  # fmt: skip


def event(**changes: Any) -> dict[str, Any]:
    written = {
        "type": "request", "event_id": str(uuid.uuid4()), "started_at_us": NOW_US,
        "service": "chat", "provider": "openai", "operation": "chat", "status": "ok",
        "request_model": "gpt-4o", "duration_ms": 12.5, "input_tokens": 100, "run_id": "r",
    }  # fmt: skip
    return written | changes


def test_only_the_event_that_is_out_is_refused_whatever_the_letters_of_its_id() -> None:
    out, kept = event(event_id=str(uuid.uuid4()).upper(), input_tokens=99_000_000), event()
    feedback = event(type="feedback", name="thumbs", score=1.0, response_id="x")
    lines = [json.dumps(one).encode() for one in (out, kept, feedback)]
    records = [Record(0, 0, 5, lines[1] + b"\n" + lines[0]), Record(0, 1, 5, lines[2])]
    voided = frozenset({out["event_id"].lower(), feedback["event_id"], str(uuid.uuid4())})

    outcome = process(records, INTENT, CARDS, voided=voided)
    refused = outcome.dead_letters.select("_offset", "_idx", "reason", "field", "value").rows()
    assert refused == [
        (0, 1, "voided", "event_id", lines[0]),
        (1, 0, "voided", "event_id", lines[2]),
    ]
    assert outcome.raw["raw_requests"]["event_id"].to_list() == [kept["event_id"]]
    assert outcome.events == 1
    assert outcome.dead_letter_count == 2
    assert outcome.refused_by_record() == [], "nothing is wrong with the producer: no rest for it"
    bad = json.dumps(event(input_tokens=-1)).encode()
    both = [Record(0, 0, 5, lines[0] + b"\n" + bad), records[1]]
    assert process(both, INTENT, CARDS, voided=voided).refused_by_record() == [1]
    alone = process([Record(0, 0, 5, lines[1])], INTENT, CARDS)
    assert outcome.fold().equals(alone.fold())
    assert outcome.fold_subjects().equals(alone.fold_subjects())
    assert outcome.cost_pico_usd() == alone.cost_pico_usd() > 0


def test_a_batch_that_knows_of_no_decision_is_what_it_always_was() -> None:
    records = [Record(0, 0, 5, json.dumps(event()).encode())]
    plain = process(records, replace(INTENT, void_revision=0), CARDS)
    assert plain.dead_letter_count == 0
    assert isinstance(plain.raw["raw_requests"], pl.DataFrame)
    assert plain.events == 1
