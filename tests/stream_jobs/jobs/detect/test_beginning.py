"""What a session of detection begins with: stored spend, stored windows, an older snapshot."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from tests.stream_jobs.core.decide.recorded_stream import RULES, TICKS, recorded
from tests.stream_jobs.core.decide.test_history import minute_rows
from tests.stream_jobs.core.decide.test_history import stored as stored_rows
from tests.stream_jobs.core.merge.delta_records import MINUTE_US, NOON_US, window_rows
from tests.stream_jobs.core.merge.test_balance import of_ticks
from tests.stream_jobs.jobs.detect.sessions import Worker, alerts_of, session
from tokentide_jobs.core.decide.history import learn_history
from tokentide_jobs.core.detect.state import DetectorState
from tokentide_jobs.core.merge.stored_windows import stored_windows
from tokentide_jobs.core.outcome.arrow import to_arrow
from tokentide_jobs.core.tables import (
    ANOMALY_POINTS,
    DETECTOR_STATE,
    WINDOWS,
)
from tokentide_jobs.core.verify.detection import Detection, compare_detection
from tokentide_jobs.core.verify.facts import Facts
from tokentide_jobs.core.verify.windows import WindowComparison
from tokentide_jobs.io.clickhouse import stored_history
from tokentide_jobs.io.clickhouse.client import ClickHouse
from tokentide_jobs.jobs.detect.rule_files import RuleFiles
from tokentide_jobs.tasks.verify.stored_facts import StoreReader
from tokentide_schemas.control import BudgetState

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

pytestmark = pytest.mark.integration


def test_what_was_spent_before_is_counted_once_to_the_pico_dollar(
    store: ClickHouse, files: RuleFiles, sql_client: Client
) -> None:
    # Ten requests are stored; ingest has finished the first five, the others come as deltas.
    sql_client.command(
        "INSERT INTO raw_requests (log_id, _topic, _partition, _offset, _idx, tenant, started_at, "
        "cost_pico_usd) SELECT 'log-1', 'tokentide.events.v1', 0, number, 0, 'acme', "
        f"fromUnixTimestamp64Micro(toInt64({NOON_US}) + number), 1000000000001 FROM numbers(10)"
    )
    sql_client.command(
        "INSERT INTO ingest_positions (log_id, topic, partition, start_offset, end_offset) "
        "VALUES ('log-1', 'tokentide.events.v1', 0, 0, 5)"
    )
    one = session(store, files, Worker())
    one.begin("topic-1", {0: (0, 4)})
    one.take(recorded()[3:4])  # a mark: deltas of offsets below 5 are dropped, none are here
    counted = one.decider.budgets.counted["acme"].spend
    assert counted.of(counted.budget.at(NOON_US)).pico_usd == 5 * 1_000_000_000_001
    one.take(recorded()[4:])
    later = sum(10**11 * (tick % 3 + 1) + 7 for tick in range(1, TICKS))
    assert counted.of(counted.budget.at(NOON_US)).pico_usd == 5 * 1_000_000_000_001 + later


def test_recorded_time_is_watched_from_the_end_of_what_is_stored_when_it_begins(
    store: ClickHouse, files: RuleFiles, sql_client: Client
) -> None:
    files.in_force = replace(files.in_force, rules=replace(RULES, time="recorded"))
    one = session(store, files, Worker())
    one.begin("topic-1", {0: (0, 4)})
    assert one.decider.progress.begin_us(NOON_US) == NOON_US, "nothing is stored"
    sql_client.command(
        f"INSERT INTO windows_1m (window_start) VALUES (toDateTime({NOON_US // 10**6 + 7_200}))"
    )
    sql_client.command(f"TRUNCATE TABLE {DETECTOR_STATE}")
    for _ in range(2):  # the successor takes it from the snapshot
        one = session(store, files, Worker())
        one.begin("topic-1", {0: (0, 4)})
        sql_client.command("TRUNCATE TABLE windows_1m")
        assert one.decider.progress.begin_us(NOON_US) == NOON_US + 7_260 * 10**6


def test_budgets_are_exact_again_once_stored_requests_were_repriced(
    store: ClickHouse, files: RuleFiles, sql_client: Client
) -> None:
    held = {0: (0, len(recorded()))}
    one = session(store, files, Worker())
    one.begin("topic-1", held)
    one.take(recorded())
    one.snapshot()
    # What the stream counted is stored at other prices now: 9.6 dollars in all.
    sql_client.command(
        "INSERT INTO raw_requests (log_id, _topic, _partition, _offset, _idx, tenant, started_at, "
        "cost_pico_usd) SELECT 'log-1', 'tokentide.events.v1', 0, number, 0, 'acme', "
        f"fromUnixTimestamp64Micro(toInt64({NOON_US}) + number), 800000000001 FROM numbers(12)"
    )
    sql_client.command("INSERT INTO reprice_chunks (run_id, chunk, state) VALUES ('r', 0, 2)")
    for _ in range(2):  # and a restart says the same again
        again = session(store, files, Worker())
        again.begin("topic-1", held)
        _findings, reported = again.take([])
        states = [state for state in reported.states if isinstance(state, BudgetState)]
        assert [(state.budget, state.spent_pico_usd, state.reached) for state in states] == [
            ("acme", 12 * 800_000_000_001, [50, 80, 95]), ("one key", 0, [50, 80, 95, 100]),
        ]  # fmt: skip
    spent = sql_client.query(
        "SELECT spent_pico_usd, reached FROM budget_status FINAL WHERE budget = 'acme'"
    ).result_rows
    assert [tuple(row) for row in spent] == [(12 * 800_000_000_001, [50, 80, 95])]
    announced = [row[:4] for row in alerts_of(sql_client) if row[2].startswith("budget acme")]
    # At 50 % by the stream, then at 95 % at once by what is stored.
    assert [state for _kind, _metric, _key, state in announced] == ["open"] * 2


def test_a_topic_that_was_made_anew_keeps_what_was_learned_and_sums_budgets_anew(
    store: ClickHouse, files: RuleFiles
) -> None:
    one = session(store, files, Worker())
    one.begin("topic-1", {0: (0, len(recorded()))})
    one.take(recorded())
    one.snapshot()
    other = session(store, files, Worker())
    other.begin("topic-2", {0: (0, 3)})
    assert other.positions == {0: 0}
    keys = [worker.decider.watched.by_length[MINUTE_US].state.keys for worker in (one, other)]
    assert keys[0] == keys[1] != []
    assert other.decider.guard.live.keys() == one.decider.guard.live.keys()
    assert len(other.decider.budgets.unseeded()) == 2


def test_a_first_start_learns_what_is_stored_before_the_stream_and_says_nothing_of_it(
    store: ClickHouse, files: RuleFiles, sql_client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    minutes = range(-90, 0)
    monkeypatch.setattr(stored_history, "_ROWS_AT_ONCE", 40)
    rows = [row for minute in (*minutes, 0) for row in minute_rows(minute)]
    for table in (WINDOWS, "windows_1m"):  # this noon may be longer ago than what they keep
        sql_client.command(f"ALTER TABLE {table} REMOVE TTL")
    store.insert(WINDOWS, to_arrow(WINDOWS, window_rows(rows)), "history")
    one = session(store, files, Worker())
    one.begin("topic-1", {0: (0, len(recorded()))})
    findings, _reported = one.take(recorded()[:4])  # with the first mark, at noon
    expected = {}
    for watch in RULES.watches:
        state = expected[watch.length_us] = DetectorState()
        # The mark is of 20 seconds past noon, so the first ten are over and stored.
        known = minutes if watch.length_us == MINUTE_US else [*minutes, 0]
        history = stored_windows(stored_rows(known), watch.levels, watch.length_us)
        assert learn_history(state, watch.levels, history, watch.parameters) == len(known)
    learned = one.decider.watched.by_length
    for length_us, state in expected.items():
        assert len(state.keys) > 1
        assert learned[length_us].state.to_bytes() == state.to_bytes(), length_us
    assert findings.windows == []
    assert sql_client.query(f"SELECT count() FROM {ANOMALY_POINTS}").result_rows == [(0,)]
    one.snapshot_if_due()
    follower = session(store, files, Worker())
    follower.begin("topic-1", {0: (0, len(recorded()))})
    for length_us, state in expected.items():
        followed = follower.decider.watched.by_length[length_us].state
        assert followed.to_bytes() == state.to_bytes(), length_us
    for worker in (one, follower):
        worker.take(recorded()[4:40])
    assert follower.decider.to_bytes() == one.decider.to_bytes()


def finish_batches(client: Client, first: int, end: int) -> None:
    """Store in the ledger what the recorded batches of these ticks hold."""
    for tick in range(first, end):
        sums = of_ticks(tick, tick + 1)
        client.command(
            "INSERT INTO ingest_positions (log_id, topic, partition, start_offset, end_offset, "
            "events, cost_pico_usd) VALUES ('log-1', 'tokentide.events.v1', 0, "
            f"{10 * tick}, {10 * tick + 10}, {sums.events}, {sums.cost_pico_usd})"
        )


def detection_of(store: ClickHouse) -> Detection:
    """Compare what the newest snapshot says with the ledger, as `tokentide verify` does."""
    reader = StoreReader(store)
    consumed, at_us = reader.consumed()
    batches = reader.batches(time.time_ns() // 1_000)
    facts = Facts(batches, [], {}, {}, {}, {}, WindowComparison())
    return compare_detection(replace(facts, consumed=consumed, consumed_at_us=at_us))


def test_snapshots_say_which_batches_were_merged_from_the_end_of_the_ledger_on(
    store: ClickHouse, files: RuleFiles, sql_client: Client
) -> None:
    held = {0: (0, len(recorded()))}
    assert detection_of(store).verdict == "no_job"
    finish_batches(sql_client, 0, 10)
    one = session(store, files, Worker())
    one.begin("topic-1", held)
    assert detection_of(store).verdict == "nothing"
    one.take(recorded()[:70])
    one.snapshot()
    finish_batches(sql_client, 10, TICKS)
    found = detection_of(store)
    assert found.verdict == "equal"
    assert found.consumed is not None
    ((begin, reached),) = found.consumed.ranges.values()
    assert begin == 100 < reached < 10 * TICKS
    follower = session(store, files, Worker())
    follower.begin("topic-1", held)
    follower.take(recorded()[follower.positions[0] :])
    follower.snapshot()
    found = detection_of(store)
    assert (found.verdict, found.ledger) == ("equal", of_ticks(10, TICKS))
    # Deltas may be missing before the first record of a topic that was made again.
    session(store, files, Worker()).begin("topic-2", {0: (0, 3)})
    found = detection_of(store)
    assert found.verdict == "nothing"
    assert found.consumed is not None
    assert list(found.consumed.ranges.values()) == [(10 * TICKS, 10 * TICKS)]
