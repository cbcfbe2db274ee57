"""What `verify` concludes from facts: every fault is named, and nothing proves nothing."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from tests.each import each
from tokentide_jobs.core.batch.ledger import LogPartition
from tokentide_jobs.core.merge.balance import Consumed
from tokentide_jobs.core.merge.merged_sums import MergedSums
from tokentide_jobs.core.money import usd
from tokentide_jobs.core.verify.facts import (
    Batch,
    Facts,
    Intended,
    LogState,
    ReadTwice,
    StoredCounts,
)
from tokentide_jobs.core.verify.report import compare
from tokentide_jobs.core.verify.windows import (
    Sums,
    WindowComparison,
    WindowDifference,
    WindowRows,
)

LOG = LogPartition("log-a", "tokentide.events.v1", 0)
OTHER = LogPartition("log-a", "tokentide.events.v1", 1)
COST = 1_234_567_890_123


def batch(
    start: int, end: int, *, accepted: int = 100, dead: int = 2, log: LogPartition = LOG
) -> Batch:
    return Batch(log, start, end, accepted, dead, COST, end - start, sealed_at_us=1_000)


def stored(accepted: int = 100, dead: int = 2) -> StoredCounts:
    return StoredCounts(accepted, accepted, dead, dead, accepted + dead, COST)


def sums(events: int = 300, cost: int = 3 * COST) -> WindowComparison:
    both = Sums(events, 5_000, cost)
    return WindowComparison(compared=7, rows=both, windows=both)


def differing(*found: WindowDifference) -> WindowComparison:
    return replace(sums(), differences=found)


GOOD = Facts(
    batches=[batch(0, 10), batch(10, 25), batch(0, 7, log=OTHER)],
    intents=[Intended(LOG, 0, 10), Intended(LOG, 10, 25), Intended(OTHER, 0, 7)],
    stored={(LOG, 0): stored(), (LOG, 10): stored(), (OTHER, 0): stored()},
    beyond={},
    logs={LOG: LogState(0, 25), OTHER: LogState(0, 7)},
    recounted={(LOG, 0): 102, (LOG, 10): 102, (OTHER, 0): 102},
    windows=sums(),
)


def kinds(facts: Facts) -> set[str]:
    return {fault.kind for fault in compare(facts).faults}


def with_stored(changed: StoredCounts) -> Facts:
    return replace(GOOD, stored={**GOOD.stored, (LOG, 10): changed})


def test_a_whole_pipeline_is_ok_and_its_numbers_add_up() -> None:
    report = compare(GOOD)
    assert report.ok
    assert report.kafka_events == report.raw_events + report.dead_letters == 306
    assert (report.lost, report.duplicated, report.pending) == (0, 0, 0)
    assert report.recounted_events == 306


def test_rows_that_were_taken_out_answer_for_their_places_and_are_counted_apart() -> None:
    facts = with_stored(replace(stored(), voided=3, voided_cost_pico_usd=COST // 2))
    report = compare(facts)
    assert report.ok
    assert (report.voided, report.raw_events, report.dead_letters) == (3, 297, 6)
    assert report.kafka_events == report.raw_events + report.voided + report.dead_letters
    assert report.to_dict()["voided_cost_usd"] == usd(COST // 2)


def test_events_that_are_out_and_still_there_or_there_again_are_named() -> None:
    report = compare(replace(GOOD, unfinished_voids=["id-1"], returned_voids={"id-2": 4}))
    assert [(fault.kind, fault.where, fault.events) for fault in report.faults] == [
        ("voided", "event id-1", 0),
        ("voided", "event id-2, which is out", 4),
    ]
    [remedy] = report.remedies
    assert remedy.command == "tokentide void --reason again id-1 id-2"


def test_a_lost_row_is_reported_with_its_range() -> None:
    report = compare(with_stored(StoredCounts(99, 99, 2, 2, 101, COST - 5)))
    assert report.lost == 1
    assert report.duplicated == 0
    (fault,) = report.faults
    assert fault.kind == "lost"
    assert "[10, 25)" in fault.where


def test_a_doubled_row_is_reported() -> None:
    report = compare(with_stored(StoredCounts(101, 100, 2, 2, 102, COST)))
    assert (report.lost, report.duplicated) == (0, 1)
    assert {fault.kind for fault in report.faults} == {"duplicated"}


def test_a_loss_and_a_double_in_one_batch_do_not_cancel_out() -> None:
    report = compare(with_stored(StoredCounts(100, 99, 2, 2, 101, COST)))
    assert (report.lost, report.duplicated) == (1, 1)


def test_a_lost_dead_letter_is_lost() -> None:
    assert compare(with_stored(StoredCounts(100, 100, 1, 1, 101, COST))).lost == 1


def test_an_event_that_is_both_row_and_dead_letter_is_reported() -> None:
    report = compare(with_stored(StoredCounts(100, 100, 3, 3, 102, COST)))
    assert {fault.kind for fault in report.faults} == {"raw_and_dead"}
    assert report.duplicated == 1


def test_rows_the_log_does_not_have_are_reported() -> None:
    assert kinds(with_stored(StoredCounts(101, 101, 2, 2, 103, COST))) == {"surplus"}


def test_a_ledger_that_miscounts_is_caught_by_counting_kafka_again() -> None:
    report = compare(replace(GOOD, recounted={**GOOD.recounted, (LOG, 10): 103}))
    assert {fault.kind for fault in report.faults} == {"ledger_count", "lost"}
    assert report.lost == 1


def test_without_a_recount_the_ledger_is_believed() -> None:
    report = compare(replace(GOOD, recounted={}))
    assert report.ok
    assert report.kafka_events == 306
    assert report.recounted_events == 0


def test_one_pico_dollar_between_ledger_and_rows_is_reported() -> None:
    facts = with_stored(replace(stored(), cost_pico_usd=COST + 1))
    assert kinds(facts) == {"batch_money"}


def test_repriced_rows_may_differ_from_the_ledger() -> None:
    facts = with_stored(replace(stored(), cost_pico_usd=COST * 2, repriced=100))
    assert compare(facts).ok


def test_one_pico_dollar_between_rows_and_a_window_is_reported() -> None:
    rows = WindowRows(Sums(10, 50, 700))
    window = WindowDifference("windows_10s", 1_700_000_000, rows, Sums(10, 50, 701))
    report = compare(replace(GOOD, windows=differing(window)))
    (fault,) = report.faults
    assert fault.kind == "window_money"
    assert fault.where == "window 2023-11-14 22:13:20"
    assert "0.000000000700" in fault.expected
    assert fault.found == "0.000000000701"


def test_a_missing_window_is_reported_as_events_tokens_and_money() -> None:
    window = WindowDifference("windows_10s", 0, WindowRows(Sums(10, 50, 700)), Sums())
    facts = replace(GOOD, windows=differing(window))
    assert kinds(facts) == {"window_events", "window_tokens", "window_money"}


def test_windows_beyond_the_listed_ones_are_still_a_fault() -> None:
    many = [WindowDifference("windows_10s", 10 * n, WindowRows(Sums(1)), Sums()) for n in range(23)]
    faults = compare(replace(GOOD, windows=differing(*many))).faults
    assert len(faults) == 21
    assert "3 further windows" in faults[-1].where


def test_a_rollup_that_strays_from_the_rows_is_reported_with_its_day() -> None:
    day = WindowDifference("windows_1h", 86_400, WindowRows(Sums(5, 0, 10)), Sums(5, 0, 11))
    (fault,) = compare(replace(GOOD, windows=differing(day))).faults
    assert fault.kind == "rollup"
    assert "windows_1h" in fault.where
    assert "1970-01-02" in fault.where


def test_sums_that_are_not_equal_are_never_ok() -> None:
    strange = replace(sums(), windows=Sums(300, 5_000, 3 * COST + 1))
    report = compare(replace(GOOD, windows=strange))
    assert {fault.kind for fault in report.faults} == {"sums"}
    assert report.to_dict()["ok"] is False


def test_a_gap_in_the_ledger_is_reported() -> None:
    facts = replace(
        GOOD, batches=[GOOD.batches[0], replace(GOOD.batches[1], start=12), GOOD.batches[2]]
    )
    assert "ledger_gap" in kinds(facts)


def test_a_ledger_that_does_not_begin_at_zero_has_a_gap_unless_it_is_older_than_retention() -> None:
    facts = replace(
        GOOD,
        batches=[*GOOD.batches[1:]],
        intents=[*GOOD.intents[1:]],
    )
    assert kinds(facts) == {"ledger_gap"}
    assert compare(replace(facts, ledger_horizon_us=2_000)).ok


def test_overlapping_batches_are_reported() -> None:
    doubled = batch(20, 30)
    facts = replace(
        GOOD,
        batches=[*GOOD.batches, doubled],
        intents=[*GOOD.intents, Intended(LOG, 20, 30)],
        stored={**GOOD.stored, (LOG, 20): stored()},
        logs={LOG: LogState(0, 30), OTHER: LogState(0, 7)},
    )
    assert kinds(facts) == {"ledger_overlap"}


def test_overlapping_intents_are_reported_even_when_one_never_finished() -> None:
    facts = replace(GOOD, intents=[*GOOD.intents, Intended(LOG, 5, 15)])
    assert "ledger_overlap" in kinds(facts)


def test_a_batch_that_is_not_what_its_intent_promised_is_reported() -> None:
    intents = [Intended(LOG, 0, 10), Intended(LOG, 10, 24), Intended(OTHER, 0, 7)]
    assert "ledger_intent" in kinds(replace(GOOD, intents=intents))


def test_an_open_intent_and_its_rows_are_work_in_progress() -> None:
    facts = replace(
        GOOD,
        intents=[*GOOD.intents, Intended(LOG, 25, 40)],
        beyond={LOG: (17, 25, 39)},
        logs={LOG: LogState(0, 50, pending=44), OTHER: LogState(0, 7)},
    )
    report = compare(facts)
    assert report.ok
    assert report.pending == 44
    assert report.kafka_events == 306 + 44


def test_intents_beyond_the_position_may_be_many_but_none_may_be_passed_over() -> None:
    ahead = [Intended(LOG, 25, 30), Intended(LOG, 30, 41)]
    assert compare(replace(GOOD, intents=[*GOOD.intents, *ahead])).ok
    passed_over = replace(GOOD, intents=[*GOOD.intents, Intended(OTHER, 3, 4)])
    assert "ledger_intent" in kinds(passed_over)


def test_pending_events_are_a_fault_only_when_they_were_waited_for() -> None:
    facts = replace(GOOD, logs={LOG: LogState(0, 30, pending=5), OTHER: LogState(0, 7)})
    assert compare(facts).ok
    assert kinds(replace(facts, waited_s=3.0)) == {"pending"}


def test_what_an_open_transaction_holds_back_is_no_event_and_a_fault_where_it_was_waited_for() -> (
    None
):
    facts = replace(GOOD, logs={LOG: LogState(0, 25, behind_transaction=6), OTHER: LogState(0, 7)})
    report = compare(facts)
    assert (report.ok, report.pending, report.behind_transaction) == (True, 0, 6)
    assert report.kafka_events == 306
    assert kinds(replace(facts, waited_s=3.0)) == {"pending"}


def test_rows_that_no_batch_and_no_intent_claims_are_reported() -> None:
    assert kinds(replace(GOOD, beyond={LOG: (3, 25, 27)})) == {"unclaimed"}
    stranger = LogPartition("log-z", "tokentide.events.v1", 0)
    assert kinds(replace(GOOD, beyond={stranger: (1, 0, 0)})) == {"unclaimed"}


def test_a_ledger_ahead_of_the_log_is_reported() -> None:
    facts = replace(GOOD, logs={LOG: LogState(0, 20), OTHER: LogState(0, 7)})
    assert kinds(facts) == {"ledger_ahead_of_log"}


def test_an_earlier_incarnation_is_judged_by_the_ledger_alone() -> None:
    earlier = LogPartition("log-0", LOG.topic, 0)
    facts = replace(
        GOOD,
        batches=[*GOOD.batches, batch(0, 4, log=earlier)],
        intents=[*GOOD.intents, Intended(earlier, 0, 4)],
        stored={**GOOD.stored, (earlier, 0): stored()},
    )
    report = compare(facts)
    assert report.ok
    assert report.kafka_events == 4 * 102
    assert report.recounted_events == 306
    missing = replace(facts, stored=GOOD.stored)
    assert compare(missing).lost == 102


def test_batches_past_retention_are_counted_but_not_compared() -> None:
    old = replace(batch(0, 10), has_expired=True)
    facts = replace(
        GOOD,
        batches=[old, *GOOD.batches[1:]],
        stored={key: value for key, value in GOOD.stored.items() if key != (LOG, 0)},
    )
    report = compare(facts)
    assert report.ok
    assert report.expired_batches == 1
    assert report.kafka_events == 204


def test_offsets_that_held_no_record_are_counted() -> None:
    facts = replace(GOOD, batches=[replace(GOOD.batches[0], records=7), *GOOD.batches[1:]])
    report = compare(facts)
    assert report.ok
    assert report.offsets_without_record == 3


def test_the_json_form_has_the_documented_keys_and_exact_money() -> None:
    form = json.loads(json.dumps(compare(GOOD).to_dict()))
    assert set(form) >= {
        "kafka_events", "raw_events", "dead_letters", "lost", "duplicated", "window_events",
        "raw_cost_usd", "window_cost_usd", "ok", "pending", "repeated_event_ids", "mismatches",
        "log_ids", "per_partition",
    }  # fmt: skip
    assert form["raw_cost_usd"] == "3.703703670369"
    assert form["log_ids"] == ["log-a"]
    assert [part["partition"] for part in form["per_partition"]] == [0, 1]


@pytest.mark.parametrize(
    ("pico", "text"),
    [
        (0, "0.000000000000"),
        (1, "0.000000000001"),
        (-1, "-0.000000000001"),
        (10**24 + 1, "1000000000000.000000000001"),
    ],
)
def test_money_is_written_exactly(pico: int, text: str) -> None:
    assert usd(pico) == text


def test_a_log_read_twice_is_a_fault_and_an_event_sent_twice_is_none() -> None:
    assert compare(replace(GOOD, repeated_event_ids=3)).ok
    twice = ReadTwice("tokentide.otlp.v1", ("log-a", "log-b"), 3)
    report = compare(replace(GOOD, repeated_event_ids=5, read_twice=[twice]))
    [fault] = report.faults
    assert (fault.kind, fault.events, report.repeated_event_ids) == ("read_twice", 3, 2)
    assert "tokentide.otlp.v1 as logs log-a and log-b" in str(fault)


MERGED = Consumed(1_000, {LOG: (10, 25), OTHER: (0, 7)}, MergedSums(200, 2 * COST), 0)


@each(
    ("consumed", "at_us", "verdict"),
    [
        (None, None, "not_asked"),
        (None, 0, "no_job"),
        (None, 5, "not_said"),
        (replace(MERGED, ranges={LOG: (25, 25)}, sums=MergedSums()), 5, "nothing"),
        (MERGED, 5, "equal"),
        (replace(MERGED, sums=MergedSums(199, 2 * COST)), 5, "differs"),
        (replace(MERGED, sums=MergedSums(200, 2 * COST + 1)), 5, "differs"),
        (replace(MERGED, sums=MergedSums()), 5, "differs"),
    ],
)
def test_what_detection_merged_is_compared_with_the_ledger_of_the_same_batches(
    consumed: Consumed | None, at_us: int | None, verdict: str
) -> None:
    report = compare(replace(GOOD, consumed=consumed, consumed_at_us=at_us))
    assert report.detection.verdict == report.to_dict()["detection"]["verdict"] == verdict
    assert report.ok == (verdict != "differs")
    assert [fault.kind for fault in report.faults] == ["detection"] * (verdict == "differs")
    if verdict == "differs":
        assert report.faults[0].expected.startswith(f"200 events, {usd(2 * COST)} USD")
        assert [remedy.kinds for remedy in report.remedies] == [("detection",)]
