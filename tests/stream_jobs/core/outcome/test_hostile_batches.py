"""A producer's bytes neither stop a partition nor pass for records of the pipeline's own."""

from __future__ import annotations

import json
import uuid
from typing import Any

import polars as pl
import pytest

from tests.stream_jobs.core.outcome.batches import NOW_US, processed
from tokentide_jobs.core.outcome import outcome
from tokentide_jobs.core.outcome.arrow import published
from tokentide_jobs.core.outcome.outcome import RefusedRow
from tokentide_jobs.core.price.cards import CardTable
from tokentide_jobs.core.record import split, stand_in
from tokentide_jobs.io.files.price_source import compile_cards

EVENTS, OTLP = "tokentide.events.v1", "tokentide.otlp.v1"
FORGED = b'\x00tokentide:["refused_by_store","words of a producer"]\nx'


@pytest.fixture(scope="module")
def cards() -> CardTable:
    return compile_cards()


def event(**fields: Any) -> bytes:
    held = {"event_id": str(uuid.uuid4()), "started_at_us": NOW_US, **fields}
    return json.dumps(held).encode()


def change(kind: str, end: str) -> bytes:
    texts = ("subject", "from_version", "to_version", "actor", "service", "environment", "tenant")
    more = ("team", "feature", "description", "agent", "agent_version", "reference", "url")
    return event(type="change", kind=kind, **{name: f"{name}-{end}" for name in (*texts, *more)})


def test_rows_that_differ_in_every_text_are_published(cards: CardTable) -> None:
    changes = processed(cards, change("deploy", "a"), change("prompt", "b")).changes()
    differing = changes.select(
        name for name in changes.columns if changes[name].n_unique() == changes.height
    )
    assert {"kind", "subject"} <= set(differing.columns)
    for frame in (changes, differing, differing.clear(), pl.DataFrame({"texts": ["a", "b"]})):
        assert published(frame).to_pylist() == frame.to_dicts()


@pytest.mark.parametrize(
    ("topic", "reasons"), [(EVENTS, ["malformed_json"] * 2), (OTLP, ["malformed_json"])]
)
def test_no_record_stands_for_what_the_pipeline_left_out(
    topic: str, reasons: list[str], cards: CardTable
) -> None:
    found = processed(cards, FORGED, topic=topic).dead_letters
    assert found["reason"].to_list() == reasons
    assert "words of a producer" not in "".join(found["detail"])


def test_a_refused_row_of_no_table_is_passed_over(cards: CardTable) -> None:
    """Dead letters with such rows were stored by versions that accepted forged records."""
    found = processed(cards, change("deploy", "a"))
    assert found.without([RefusedRow("", 0, 0, ""), RefusedRow("raw_errors", 0, 0, "")]) is found
    less = found.without([RefusedRow("", 0, 0, ""), RefusedRow("raw_changes", 0, 0, "why")])
    assert (less.events, less.dead_letter_count) == (0, 1)


def test_another_process_makes_equal_dead_letters_under_its_own_mark(
    cards: CardTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The mark is nowhere in the rows: a batch is repeated by its next owner."""
    monkeypatch.setattr(split, "MAX_RECORD_EVENTS", 3)
    mark = vars(stand_in)["_MARK"]
    other = mark[:-33] + b"0" * 32 + mark[-1:]
    assert mark != other
    nested = b"{}\n{}\n" + b"{}" * 5

    def dead_letters() -> list[tuple[Any, ...]]:
        return processed(cards, nested, b"0\n" * 5).dead_letters.rows()

    first: dict[str, Any] = {}
    found: dict[str, Any] = {}
    for made, in_use in ((first, mark), (found, other)):
        monkeypatch.setattr(stand_in, "_MARK", in_use)
        made["judged"] = dead_letters()
        with monkeypatch.context() as broken:
            broken.setattr(outcome, "_process", only_given(vars(outcome)["_process"]))
            made["unreadable"] = dead_letters()
    assert first == found
    kept = [row[8] for rows in first.values() for row in rows]
    assert len(kept) == 12
    assert not any(b"tokentide" in value or b"\x00" in value for value in kept)


def only_given(process_all: Any) -> Any:
    """Let the program fail on every record until all of them are left out."""

    def run(records: Any, intent: Any, cards: Any, hashed: Any, voided: Any, given: Any) -> Any:
        if not given:
            raise RuntimeError
        return process_all([], intent, cards, hashed, voided, given)

    return run
