"""`verify` says what to do about each kind of fault, and names only commands that can do it."""

from __future__ import annotations

from dataclasses import replace
from typing import get_args

import pytest

from tests.stream_jobs.core.verify.test_report import COST, GOOD, LOG, OTHER, batch, differing
from tokentide_jobs.core.verify.facts import Facts, LogState, ReadTwice, StoredCounts
from tokentide_jobs.core.verify.fault import Fault, FaultKind
from tokentide_jobs.core.verify.remedies import remedies_for
from tokentide_jobs.core.verify.report import compare
from tokentide_jobs.core.verify.windows import Sums, WindowDifference, WindowRows

NOON_US = 1_700_049_600_000_000
"""2023-11-15 12:00."""
BATCH = replace(batch(10, 25), first_us=NOON_US, last_us=NOON_US + 86_400_000_000)
BATCHES = replace(GOOD, batches=[GOOD.batches[0], BATCH, GOOD.batches[2]])
DAYS = "--from 2023-11-15 --to 2023-11-17"


def with_stored(stored: StoredCounts, facts: Facts = BATCHES) -> Facts:
    return replace(facts, stored={**facts.stored, (LOG, 10): stored})


def commands(facts: Facts) -> list[str]:
    return [remedy.command for remedy in compare(facts).remedies]


def window(table: str = "windows_10s", start_s: int = 1_700_000_000) -> WindowDifference:
    return WindowDifference(table, start_s, WindowRows(Sums(1)), Sums())


def test_where_nothing_is_wrong_nothing_is_to_be_done() -> None:
    assert compare(GOOD).remedies == ()
    assert compare(GOOD).to_dict()["remedies"] == []


def test_every_kind_of_fault_has_a_remedy() -> None:
    rows_wrong = with_stored(StoredCounts(90, 89, 3, 1, 90, COST))
    money_wrong = replace(
        with_stored(StoredCounts(100, 100, 2, 2, 102, COST - 5)), windows=differing(window())
    )
    for kind in get_args(FaultKind):
        facts = rows_wrong if kind in ("lost", "duplicated") else money_wrong
        found = list(remedies_for(facts, [Fault(kind, "somewhere", "this", "that")]))
        assert kind in {each for remedy in found for each in remedy.kinds}, kind
        assert all(remedy.words for remedy in found)


def test_lost_rows_are_made_again_from_kafka_while_it_has_their_records() -> None:
    lost = with_stored(StoredCounts(99, 99, 2, 2, 101, COST))
    assert commands(lost) == [f"tokentide repair --from-log {DAYS}"]
    gone = replace(lost, logs={LOG: LogState(11, 25), OTHER: LogState(0, 7)})
    [remedy] = compare(gone).remedies
    assert remedy.command == ""
    assert "from a backup" in remedy.words
    [remedy] = compare(replace(lost, logs={OTHER: LogState(0, 7)})).remedies
    assert remedy.command == "", "another log has the name now"


def test_lost_dead_letters_are_not_made_again_by_a_command() -> None:
    [remedy] = compare(with_stored(StoredCounts(100, 100, 1, 1, 101, COST))).remedies
    assert (remedy.kinds, remedy.command) == (("lost",), "")
    assert "dead_letters from a backup" in remedy.words


def test_rows_that_stand_twice_are_taken_out_before_sums_follow() -> None:
    doubled = with_stored(StoredCounts(101, 100, 2, 2, 102, COST))
    [remedy] = compare(replace(doubled, windows=differing(window()))).remedies
    assert (remedy.kinds, remedy.command) == (("duplicated",), f"tokentide repair {DAYS}")
    assert "Doubled, changed" in remedy.words


@pytest.mark.parametrize(
    ("tables", "option"),
    [
        (["windows_1d", "windows_10s"], "--table windows_10s "),
        (["windows_1d", "windows_1h"], "--table windows_1h "),
        (["subjects_1h of kind run", "subjects_1h of kind user"], "--table subjects_1h "),
        (["subjects_1h of kind run", "windows_1h"], ""),
    ],
)
def test_sums_that_differ_are_repaired_from_the_finest_table_that_does(
    tables: list[str], option: str
) -> None:
    found = [window(table, 1_700_000_000 + 3_600 * n) for n, table in enumerate(tables)]
    expected = f"tokentide repair {option}--from 2023-11-14 --to 2023-11-15"
    assert commands(replace(GOOD, windows=differing(*found))) == [expected]


def test_sums_are_not_to_be_corrected_from_rows_that_are_wrong_themselves() -> None:
    lost = with_stored(StoredCounts(99, 99, 2, 2, 101, COST))
    report = compare(replace(lost, windows=differing(window())))
    assert {fault.kind for fault in report.faults} >= {"lost", "window_events"}
    assert [remedy.kinds for remedy in report.remedies] == [("lost",)]


def test_what_a_producer_repeated_needs_no_remedy_and_what_was_read_twice_does() -> None:
    assert compare(replace(GOOD, repeated_event_ids=3)).remedies == ()
    twice = ReadTwice("tokentide.otlp.v1", ("log-a", "log-b"), 3)
    [remedy] = compare(replace(GOOD, repeated_event_ids=5, read_twice=[twice])).remedies
    assert remedy.kinds == ("read_twice",)
    fields = {"kinds": ["read_twice"], "words": remedy.words, "command": "tokentide repair"}
    assert remedy.to_dict() == fields


def test_rows_that_were_changed_are_made_again_from_kafka_while_it_has_their_records() -> None:
    changed = with_stored(StoredCounts(100, 100, 2, 2, 102, COST - 5))
    assert commands(changed) == [f"tokentide repair --from-log {DAYS}"]
    [remedy] = compare(replace(changed, logs={OTHER: LogState(0, 7)})).remedies
    assert (remedy.kinds, remedy.command) == (("batch_money",), "")
