"""What a batch inserts: bounded dead letters, ready lists, and records that break the program."""

from __future__ import annotations

import re
import weakref
from typing import Any

import pyarrow as pa
import pytest

from tests.stream_jobs.core.outcome.batches import event, processed
from tokentide_jobs.core.outcome import batch_inserts, outcome
from tokentide_jobs.core.outcome.batch_inserts import inserts_of
from tokentide_jobs.core.outcome.dead_letter_rows import MAX_VALUE_BYTES
from tokentide_jobs.core.price.cards import CardTable
from tokentide_jobs.core.record.stand_in import BEGINNING_KEPT
from tokentide_jobs.core.tables import DEAD_LETTERS
from tokentide_jobs.io.files.price_source import compile_cards


@pytest.fixture(scope="module")
def cards() -> CardTable:
    return compile_cards()


def test_a_batch_hands_over_its_inserts_in_the_order_of_the_protocol(cards: CardTable) -> None:
    change = event(type="change", kind="deploy", subject="release")
    inserts = list(inserts_of(processed(cards, event(user_hash="u", run_id="r"), b"bad", change)))
    assert [insert.table for insert in inserts] == [
        "dead_letters",
        "raw_requests",
        "raw_changes",
        "windows_10s",
        "subjects_1h",
    ]
    assert [insert.token for insert in inserts] == [
        f"{insert.table}/log/tokentide.events.v1/0/0-3" for insert in inserts
    ]
    assert [insert.rows.num_rows for insert in inserts] == [1, 1, 1, 2, 2]


def test_one_insert_of_a_batch_lives_at_a_time(
    cards: CardTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is stored is let go of before the next table is computed."""
    alive: list[weakref.ref[pa.Table]] = []
    to_arrow: Any = vars(batch_inserts)["to_arrow"]

    def watched(table: str, rows: Any) -> pa.Table:
        assert [one() is None for one in alive] == [True] * len(alive), f"{table} beside others"
        arrow = to_arrow(table, rows)
        alive.append(weakref.ref(arrow))
        return arrow

    monkeypatch.setattr(batch_inserts, "to_arrow", watched)
    inserts = inserts_of(processed(cards, event(user_hash="u"), event(run_id="r")))
    while next(inserts, None) is not None:
        pass
    assert len(alive) == 4


def test_many_dead_letters_are_stored_in_chunks_under_numbered_tokens(
    cards: CardTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batch_inserts, "_CHUNK_ROWS", 4)
    found = list(inserts_of(processed(cards, b"0\n" * 9)))
    token = "dead_letters/log/tokentide.events.v1/0/0-1"
    assert [insert.token for insert in found] == [token, f"{token}/1", f"{token}/2"]
    assert [insert.rows.num_rows for insert in found] == [4, 4, 1]
    assert [row for insert in found for row in insert.rows["_idx"].to_pylist()] == list(range(9))


def test_long_dead_letters_are_stored_in_chunks_too(
    cards: CardTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batch_inserts, "_CHUNK_BYTES", 1_000)
    found = inserts_of(processed(cards, b"x" * 600, b"y" * 600, b"z" * 300, b"w" * 5_000))
    assert [insert.rows.num_rows for insert in found] == [1, 2, 1]


def test_of_a_long_dead_letter_the_beginning_and_a_digest_are_kept(cards: CardTable) -> None:
    value = b"[" + b"x" * (2 * MAX_VALUE_BYTES)
    (row,) = processed(cards, value).dead_letters.to_dicts()
    assert row["value"] == value[:MAX_VALUE_BYTES]
    assert str(len(value)) in row["detail"]
    assert "sha256" in row["detail"]
    assert row["detail"].endswith(BEGINNING_KEPT)


def test_the_rest_of_a_record_with_too_many_events_is_one_dead_letter(cards: CardTable) -> None:
    found = processed(cards, b"0\n" * 150_000).dead_letters
    assert found.height == 100_000
    last = found.row(-1, named=True)
    assert (last["reason"], last["_idx"]) == ("too_many_events", 99_999)
    assert last["detail"].startswith("50001 more lines")
    assert last["value"].startswith(b"0\n0\n")


def test_a_record_on_which_the_program_fails_costs_only_its_own_events(
    cards: CardTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    price: Any = vars(outcome)["price"]

    def fails_on_poison(rows: Any, table: CardTable) -> Any:
        if "poison" in rows["request_model"].to_list():
            raise RuntimeError("a defect of ours")
        return price(rows, table)

    monkeypatch.setattr(outcome, "price", fails_on_poison)
    poison = b"\n".join([event(), event(request_model="poison")])
    found = processed(cards, event(), poison, event(), b"bad")
    assert found.raw["raw_requests"]["_offset"].to_list() == [0, 2]
    dead_letters = found.dead_letters.select("_offset", "_idx", "reason", "value").rows()
    assert [dead_letter[:3] for dead_letter in dead_letters] == [
        (1, 0, "unreadable"),
        (1, 1, "unreadable"),
        (3, 0, "malformed_json"),
    ]
    assert b"\n".join(dead_letter[3] for dead_letter in dead_letters[:2]) == poison
    line = fails_on_poison.__code__.co_firstlineno + 2
    assert re.fullmatch(
        "the program failed on this record: RuntimeError at "
        rf"tokentide_jobs\.core\.outcome\.outcome:\d+ > {re.escape(__name__)}:{line}",
        found.dead_letters["detail"][0],
    )


def test_a_worker_short_of_memory_blames_no_record(
    cards: CardTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_args: Any) -> Any:
        raise MemoryError

    monkeypatch.setattr(outcome, "price", fails)
    with pytest.raises(MemoryError):
        processed(cards, event())


def test_dead_letters_of_a_record_keep_the_time_of_the_record(cards: CardTable) -> None:
    found = processed(cards, event(), b"bad")
    assert found.dead_letters["record_at"].dt.epoch("ms").to_list() == [1_000]
    assert {insert.table for insert in inserts_of(found)} >= {DEAD_LETTERS}
