"""The ledger's rules: tokens, where reading begins, what is reported instead of skipped."""

from __future__ import annotations

import pytest

from tokentide_jobs.core.batch.ledger import Intent, LogPartition, is_stale, locate
from tokentide_jobs.errors import InvariantViolation

LOG = LogPartition("log-a", "tokentide.events.v1", 3)


def intent(start: int, end: int, sealed_at_us: int = 0) -> Intent:
    return Intent(
        log=LOG,
        start=start,
        end=end,
        price_version="v1",
        accepted_from_us=0,
        accepted_until_us=10,
        sealed_at_us=sealed_at_us,
        worker="host:1",
    )


def test_the_intent_token_names_the_start_alone_so_that_rivals_collide() -> None:
    assert intent(5, 9).token == intent(5, 70).token == "intent/log-a/tokentide.events.v1/3/5"


def test_write_tokens_name_table_log_and_range() -> None:
    assert intent(5, 9).write_token("raw_stats") == "raw_stats/log-a/tokentide.events.v1/3/5-9"


def test_an_empty_range_is_refused() -> None:
    with pytest.raises(InvariantViolation, match="no offset"):
        intent(5, 5)


def test_a_new_log_begins_at_zero() -> None:
    position = locate(None, None, log_start=0, log_end=10, committed=None)
    assert (position.start, position.read_from, position.intent) == (0, 0, None)
    assert position.findings == ()


def test_a_new_log_whose_records_expired_still_competes_for_start_zero() -> None:
    position = locate(None, None, log_start=40, log_end=50, committed=None)
    assert (position.start, position.read_from) == (0, 40)
    assert [(f.kind, f.count) for f in position.findings] == [("records_expired_unread", 40)]


def test_the_ledger_beats_the_committed_offset_and_says_so() -> None:
    ahead = locate(20, None, log_start=0, log_end=50, committed=30)
    assert ahead.start == ahead.read_from == 20
    assert [(f.kind, f.count) for f in ahead.findings] == [("committed_ahead_of_ledger", 10)]
    behind = locate(20, None, log_start=0, log_end=50, committed=15)
    assert behind.start == 20
    assert [(f.kind, f.count) for f in behind.findings] == [("committed_behind_ledger", 5)]


def test_an_open_intent_is_finished_first() -> None:
    position = locate(20, intent(20, 25), log_start=0, log_end=50, committed=20)
    assert position.start == 20
    assert position.intent == intent(20, 25)
    assert [f.kind for f in position.findings] == ["intent_adopted"]


def test_a_committed_offset_beyond_the_end_is_called_a_recreated_topic() -> None:
    position = locate(None, None, log_start=0, log_end=7, committed=100)
    assert position.read_from == 0
    assert [(f.kind, f.count) for f in position.findings] == [("committed_beyond_log_end", 93)]
    assert "recreated" in position.findings[0].detail


def test_expired_records_are_counted_not_skipped_in_silence() -> None:
    position = locate(20, None, log_start=32, log_end=50, committed=20)
    assert (position.start, position.read_from) == (20, 32)
    assert [(f.kind, f.count) for f in position.findings] == [("records_expired_unread", 12)]


@pytest.mark.parametrize("open_end", [None, 60])
def test_a_log_shorter_than_the_ledger_stops_the_partition(open_end: int | None) -> None:
    with pytest.raises(InvariantViolation, match="TOKENTIDE_LOG_ID"):
        locate(
            55,
            None if open_end is None else intent(55, open_end),
            log_start=0,
            log_end=50 if open_end is None else 58,
            committed=None,
        )


def test_an_intent_that_does_not_follow_the_last_batch_stops_the_partition() -> None:
    with pytest.raises(InvariantViolation, match="torn"):
        locate(20, intent(30, 35), log_start=0, log_end=50, committed=None)


def test_an_intent_is_stale_when_the_token_window_has_passed() -> None:
    assert not is_stale(intent(0, 1, sealed_at_us=100), now_us=199, token_window_us=100)
    assert is_stale(intent(0, 1, sealed_at_us=100), now_us=200, token_window_us=100)
