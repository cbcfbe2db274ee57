"""Crash schedules of detection over a real ClickHouse: what is stored is as if nothing died."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from tests.stream_jobs.core.decide.recorded_stream import RULES, TICKS, recorded
from tests.stream_jobs.core.merge.delta_records import DOLLAR, NOON_US
from tests.stream_jobs.jobs.detect.sessions import (
    BUDGETS,
    CLOCK_US,
    Died,
    Worker,
    alerts_of,
    session,
)
from tokentide_jobs.core.decide.decider import STATE_VERSION
from tokentide_jobs.core.guard.rules import GuardRules
from tokentide_jobs.core.slo.slo import Good, Slo
from tokentide_jobs.core.tables import (
    ALERT_EVENTS,
    ANOMALY_POINTS,
    BUDGET_STATUS,
    DETECTOR_STATE,
    RUN_STATUS,
)
from tokentide_jobs.errors import ConfigError
from tokentide_jobs.io.clickhouse import detector_store
from tokentide_jobs.io.clickhouse.client import ClickHouse
from tokentide_jobs.io.clickhouse.detector_store import LONGEST_PAUSE_US, DetectorStore
from tokentide_jobs.jobs.detect.reported import Reported
from tokentide_jobs.jobs.detect.rule_files import InForce, RuleFiles
from tokentide_jobs.jobs.detect.session import DetectSession
from tokentide_schemas.control import BudgetState, ControlState, RunState

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

from tests.sampling import IS_THOROUGH

pytestmark = pytest.mark.integration


AT_ONCE = 30 if IS_THOROUGH else 60


def run(store: ClickHouse, files: RuleFiles, worker: Worker) -> int:
    """Let workers take the whole stream, one after the other; return how many it took."""
    records, lives = recorded(), 0
    while True:
        lives += 1
        one = session(store, files, worker)
        try:
            one.begin("topic-1", {0: (0, len(records))})
            while (at := one.positions[0]) < len(records):
                decisions, _reported = one.take(records[at : at + AT_ONCE])
                one.follow_up(decisions)
        except Died:
            continue
        return lives


def stored(client: Client) -> dict[str, Sequence[Any]]:
    return {
        table: client.query(
            f"SELECT * EXCEPT written_at FROM {table} FINAL ORDER BY ALL"
        ).result_rows
        for table in (ANOMALY_POINTS, RUN_STATUS, BUDGET_STATUS)
    }


def test_workers_that_die_at_any_step_leave_what_one_that_lives_leaves(
    store: ClickHouse, files: RuleFiles, sql_client: Client
) -> None:
    assert run(store, files, Worker()) == 1
    whole = stored(sql_client)
    assert [len(rows) for rows in whole.values()] == [len(whole[ANOMALY_POINTS]), 1, 2]
    assert whole[ANOMALY_POINTS]
    announced = alerts_of(sql_client)
    assert {kind for kind, *_ in announced} >= {"anomaly", "budget", "run"}
    ((causes, sentence, sent), *_) = sql_client.query(
        "SELECT causes, sentence, JSONExtractString(payload, 'sentence') FROM alert_events "
        "WHERE key = 'service chat' AND metric = 'error_ratio' AND state = 'open'"
    ).result_rows
    assert causes == ["deploy of chat to 42, 0 min before it began"]
    assert sentence.endswith(f"; perhaps {causes[0]}")
    assert sent == sentence
    for table in (*whole, DETECTOR_STATE, ALERT_EVENTS):
        sql_client.command(f"TRUNCATE TABLE {table}")
    lives = run(store, files, Worker(random.Random(3), dies=0.2 if IS_THOROUGH else 0.07))
    assert str(stored(sql_client)) == str(whole)
    assert alerts_of(sql_client) == announced
    assert lives > 2, "the schedule killed no worker"


def test_a_snapshot_that_was_cut_short_is_as_if_it_had_never_been_begun(
    store: ClickHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(detector_store, "_CHUNK_BYTES", 16)
    writer = DetectorStore(store, 1, "test", "one")
    states = [bytes(random.Random(n).randbytes(100)) for n in range(6)]
    for n in range(5):
        writer.write(states[n], "topic-1", {0: n}, n)
        head = writer.newest()
        assert head is not None
        assert (writer.read(head), dict(head.offsets)) == (states[n], {0: n})

    def cut(table: str, rows: Any, token: str, whole: Any = store.insert) -> None:
        if token.endswith("/3"):
            raise Died
        whole(table, rows, token)

    monkeypatch.setattr(store, "insert", cut)
    with pytest.raises(Died):
        writer.write(states[5], "topic-1", {0: 5}, 5)
    head = DetectorStore(store, 1, "test", "one").newest()
    assert head is not None
    assert DetectorStore(store, 1, "test", "one").read(head) == states[4]
    assert DetectorStore(store, 2, "test", "one").newest() is None, "a state of another version"


def test_a_second_group_on_one_database_is_refused_while_the_first_lives_though_nothing_comes(
    store: ClickHouse, files: RuleFiles
) -> None:
    held = {0: (0, len(recorded()))}
    now_us = next(CLOCK_US)
    one = session(store, files, Worker(), LONGEST_PAUSE_US, clock_us=lambda: now_us)
    one.begin("topic-1", held)
    session(store, files, Worker()).begin("topic-1", held)  # its standby takes over
    for _ in range(3):
        now_us += LONGEST_PAUSE_US
        one.idle()
        later_us = now_us + LONGEST_PAUSE_US
        late = session(store, files, Worker(), group="two", clock_us=partial(int, later_us))
        with pytest.raises(ConfigError, match="GROUP is 'two', and the group 'one' decides on"):
            late.begin("topic-1", held)
    two = DetectorStore(store, STATE_VERSION, "test", "two")
    assert two.other_group(now_us + 900 * 10**6) == "", "it is gone"
    # One that got in all the same, by a clock that was wrong, ends the other one.
    two.write(b"", "topic-1", {}, now_us)
    now_us += LONGEST_PAUSE_US
    with pytest.raises(ConfigError, match="the group 'two' decides on"):
        one.idle()


def test_states_of_runs_and_budgets_are_reported_to_services(
    store: ClickHouse, files: RuleFiles
) -> None:
    files.in_force = InForce(
        # A configured budget for runs: a run that exceeds it is to stop.
        type(RULES)(guard=GuardRules(budget_pico_usd=2 * DOLLAR), parameters=RULES.parameters),
        files.in_force.budgets,
        files.in_force.alerts,
    )
    one = session(store, files, Worker(), snapshot_us=10**12)
    one.begin("topic-1", {0: (0, len(recorded()))})
    _findings, reported = one.take(recorded())
    runs = [state for state in reported.states if isinstance(state, RunState)]
    assert [(state.run, state.state) for state in runs] == [("wild", "stop")]
    assert runs[0].key == "run/acme/wild"
    budgets = {state.budget: state for state in reported.states if isinstance(state, BudgetState)}
    assert budgets["one key"].reached == [50, 80, 95, 100]
    assert budgets["one key"].spent_pico_usd == TICKS * 10**11
    assert reported.ended == []


def test_an_slo_that_burns_is_an_alert_and_is_kept(
    store: ClickHouse, files: RuleFiles, sql_client: Client
) -> None:
    slo = Slo(name="api", scope=(), good=Good(what="errors"), objective=0.99, window_days=1)
    files.in_force = replace(files.in_force, budgets=(), slos=(slo,))
    sql_client.command(
        "INSERT INTO windows_10s (window_start, requests, errors) SELECT "
        f"toDateTime({NOON_US // 10**6 + 1_000}) - number * 60, 100, 50 FROM numbers(400)"
    )
    one = session(store, files, Worker())
    one.begin("topic-1", {0: (0, len(recorded()))})
    decisions, _reported = one.take(recorded()[:1])
    one.follow_up(decisions)
    rows = sql_client.query("SELECT kind, key, state, severity FROM alert_events FINAL").result_rows
    assert [tuple(row) for row in rows] == [("slo", "slo api", "pending", "page")]
    kept = sql_client.query("SELECT slo, severity, bad / total FROM slo_status").result_rows
    assert [tuple(row) for row in kept] == [("api", "page", 0.5)]


def test_a_budget_that_is_taken_out_of_the_file_is_taken_back(
    store: ClickHouse, files: RuleFiles, tmp_path: Path
) -> None:
    one = session(store, files, Worker(), snapshot_us=10**12)
    one.begin("topic-1", {0: (0, 8)})
    one.take(recorded()[:8])
    (tmp_path / "budgets.yaml").write_text(yaml.safe_dump({"budgets": BUDGETS["budgets"][:1]}))
    assert one.idle().ended == ["budget/one%20key"], "also while the stream stands still"
    assert list(one.decider.budgets.counted) == ["acme"]
    # No worker may have run when it was taken out: the next one to begin takes it back, once.
    one = session(store, files, Worker())
    one.begin("topic-1", {0: (0, 8)})
    parts = recorded()[one.positions[0] : 8], recorded()[8:8]
    assert [one.take(part)[1].ended for part in parts] == [["budget/one%20key"], []]


def test_a_successor_reports_nothing_to_services_that_is_older_than_what_they_know(
    store: ClickHouse, files: RuleFiles
) -> None:
    records = recorded()
    known: dict[str, ControlState] = {}

    def tell(reported: Reported) -> None:
        for state in reported.states:
            before = known.get(state.key)
            assert before is None or state.at_us >= before.at_us
            if isinstance(state, BudgetState) and isinstance(before, BudgetState):
                assert state.spent_pico_usd >= before.spent_pico_usd
            known[state.key] = state
        for key in reported.ended:
            del known[key]

    def read(worker: DetectSession, end: int) -> None:
        while (at := worker.positions[0]) < end:
            tell(worker.take(records[at : min(end, at + AT_ONCE)])[1])

    one = session(store, files, Worker(), snapshot_us=10**12)
    one.begin("topic-1", {0: (0, 0)})
    read(one, len(records) - AT_ONCE)
    died_at = dict(known)
    assert {"budget/acme", "run/acme/wild"} <= set(died_at)
    # It took no snapshot, so its standby begins with the oldest record.
    standby = session(store, files, Worker(), snapshot_us=10**12)
    standby.begin("topic-1", {0: (0, len(records) - AT_ONCE)})
    read(standby, len(records) - 2 * AT_ONCE)
    assert known == died_at, "a repetition reported something to services"
    read(standby, len(records) - AT_ONCE)
    assert known.keys() == died_at.keys()
    read(standby, len(records))
    assert known["budget/acme"].at_us > died_at["budget/acme"].at_us


def test_a_successor_with_other_rules_ends_alerts_of_the_removed_level_only(
    store: ClickHouse, files: RuleFiles
) -> None:
    records = recorded()
    held = {0: (0, len(records))}

    def live(worker: DetectSession) -> set[str]:
        alerts = (alert for alert in worker.book.alerts.values() if alert.is_live)
        return {f"{one.finding.kind} {one.finding.key} {one.finding.metric}" for one in alerts}

    one = session(store, files, Worker(), snapshot_us=10**12)
    one.begin("topic-1", held)
    while ("tenant",) not in {
        tuple(dict(key)) for key, _metric in one.decider.watched.open_alarms()
    }:
        at = one.positions[0]
        one.take(records[at : at + 1])
    one.snapshot()
    before = live(one)
    one.take(records[one.positions[0] :])
    alive = live(one)
    removed = {name for name in alive if name.startswith("anomaly tenant ") and "," not in name}
    assert removed & before
    assert {name.split()[0] for name in alive - before - removed} >= {"anomaly"}
    # It dies here; the rules were changed by the time another one takes over.
    files.in_force = replace(files.in_force, rules=replace(RULES, fast_levels=()))
    standby = session(store, files, Worker(), snapshot_us=10**12)
    standby.begin("topic-1", held)
    while (at := standby.positions[0]) < len(records):
        standby.take(records[at : at + 10])
    standby.take([])
    assert not standby.decider.has_gap
    assert live(standby) == alive - removed


def test_too_many_refused_events_are_an_alert_of_the_pipeline(
    store: ClickHouse, files: RuleFiles, sql_client: Client
) -> None:
    sql_client.command(
        "INSERT INTO ingest_positions (log_id, topic, partition, end_offset, events, dead_letters) "
        "VALUES ('log-1', 'tokentide.events.v1', 0, 10, 700, 300)"
    )
    one = session(store, files, Worker())
    one.begin("topic-1", {0: (0, len(recorded()))})
    one.idle()  # before ingest published anything, what is stored may not be the present
    assert sql_client.query("SELECT count() FROM alert_events").result_rows == [(0,)]
    one = session(store, files, Worker())
    one.begin("topic-1", {0: (0, len(recorded()))})
    one.take(recorded()[3:4])
    one.idle()
    rows = sql_client.query("SELECT kind, metric, state, sentence FROM alert_events").result_rows
    assert [tuple(row) for row in rows] == [
        ("pipeline", "dead_letters", "pending", "300 of 1,000 events were refused and are dead "
         "letters (30 %) in 10 min; 1 % are allowed"),
    ]  # fmt: skip
