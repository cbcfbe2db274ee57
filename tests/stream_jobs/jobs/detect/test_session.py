"""Crash schedules of detection over a real ClickHouse: what is stored is as if nothing died."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import pytest
import yaml

from tests.stream_jobs.core.decide.recorded_stream import RULES, TICKS, recorded
from tests.stream_jobs.core.decide.test_history import minute_rows
from tests.stream_jobs.core.decide.test_history import stored as stored_rows
from tests.stream_jobs.core.merge.delta_records import DOLLAR, NOON_US, window_rows
from tokentide_jobs.core.alert.alert_rules import AlertRules
from tokentide_jobs.core.decide.decider import STATE_VERSION
from tokentide_jobs.core.decide.history import learn_history
from tokentide_jobs.core.detect.state import DetectorState
from tokentide_jobs.core.guard.rules import GuardRules
from tokentide_jobs.core.merge.stored_windows import stored_windows
from tokentide_jobs.core.outcome.arrow import to_arrow
from tokentide_jobs.core.slo.slo import Good, Slo
from tokentide_jobs.core.tables import (
    ALERT_EVENTS,
    ANOMALY_POINTS,
    BUDGET_STATUS,
    DETECTOR_STATE,
    RUN_STATUS,
    WINDOWS,
)
from tokentide_jobs.errors import ConfigError
from tokentide_jobs.io.clickhouse import detector_store, stored_history
from tokentide_jobs.io.clickhouse.alert_store import AlertStore
from tokentide_jobs.io.clickhouse.client import ClickHouse
from tokentide_jobs.io.clickhouse.detector_store import LONGEST_PAUSE_US, DetectorStore
from tokentide_jobs.jobs.alert.desk import AlertDesk
from tokentide_jobs.jobs.detect.rule_files import InForce, RuleFiles
from tokentide_jobs.jobs.detect.session import DetectSession
from tokentide_schemas.control import BudgetState, RunState

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

pytestmark = pytest.mark.integration

T = TypeVar("T")

BUDGETS = {
    "budgets": [
        {"name": "acme", "scope": {"tenant": "acme"}, "period": "day", "amount_usd": 10},
        {"name": "one key", "scope": {"key": "key-7"}, "period": "day", "amount_usd": 3},
    ]
}
AT_ONCE = 30
CLOCK_US = count(NOON_US + 10**9)
PASSES = partial(next, CLOCK_US)


class Died(Exception):
    """The worker was killed here."""


@dataclass
class Worker:
    """Runs steps of the store, and dies before or after some of them."""

    chance: random.Random = field(default_factory=lambda: random.Random(0))
    dies: float = 0.0

    def __call__(self, name: str, work: Callable[[], T]) -> T:
        is_last = self.chance.random() < self.dies
        if is_last and self.chance.random() < 0.5:
            raise Died(f"before {name}")
        result = work()
        if is_last:
            raise Died(f"after {name}")
        return result


@pytest.fixture
def files(tmp_path: Path) -> RuleFiles:
    path = tmp_path / "budgets.yaml"
    path.write_text(yaml.safe_dump(BUDGETS))
    found = RuleFiles(None, path)
    found.in_force = InForce(RULES, found.in_force.budgets, found.in_force.alerts)
    return found


@pytest.fixture
def store(sql_server: str, sql_client: Client) -> Iterator[ClickHouse]:
    assert sql_client.database is not None
    for table in (ANOMALY_POINTS, RUN_STATUS, BUDGET_STATUS, DETECTOR_STATE, ALERT_EVENTS,
                  "raw_requests", "ingest_positions", WINDOWS, "windows_1m",
                  "reprice_chunks"):  # fmt: skip
        sql_client.command(f"TRUNCATE TABLE {table}")
    opened = ClickHouse(sql_server, sql_client.database)
    yield opened
    opened.close()


def session(
    store: ClickHouse,
    files: RuleFiles,
    worker: Worker,
    snapshot_us: int = 0,
    group: str = "one",
    clock_us: Callable[[], int] = PASSES,
) -> DetectSession:
    # A clock at which nothing of the stream is so old that it is history.
    desk = AlertDesk(AlertStore(store), AlertRules(), worker, lambda: NOON_US + 840 * 10**6)
    snapshots = DetectorStore(store, STATE_VERSION, "test", group)
    return DetectSession(store, files, snapshots, worker, snapshot_us, desk, clock_us)


def run(store: ClickHouse, files: RuleFiles, worker: Worker) -> int:
    """Let workers take the whole stream, one after the other; return how many it took."""
    records, lives = recorded(), 0
    while True:
        lives += 1
        one = session(store, files, worker)
        try:
            one.begin("topic-1", {0: (0, len(records))})
            while (at := one.positions[0]) < len(records):
                one.take(records[at : at + AT_ONCE])
                one.snapshot_if_due()
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


def alerts_of(client: Client) -> list[tuple[Any, ...]]:
    """Return what receivers are told of: what they do not hear may differ after a death."""
    rows = client.query(
        "SELECT kind, metric, key, state, severity, toString(id) FROM alert_events FINAL "
        "WHERE held = '' ORDER BY ALL"
    ).result_rows
    return [tuple(row) for row in rows]


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
    lives = run(store, files, Worker(random.Random(3), dies=0.2))
    assert str(stored(sql_client)) == str(whole)
    assert alerts_of(sql_client) == announced
    assert lives > 3, "the schedule killed nobody"


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
    for number in range(2):  # and a restart says nothing again
        again = session(store, files, Worker())
        again.begin("topic-1", held)
        _findings, reported = again.take([])
        states = [state for state in reported.states if isinstance(state, BudgetState)]
        assert [(state.budget, state.spent_pico_usd, state.reached) for state in states] == [
            ("acme", 12 * 800_000_000_001, [50, 80, 95]), ("one key", 0, [50, 80, 95, 100]),
        ][: 2 - 2 * number]  # fmt: skip
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
    assert other.decider.detectors.state.keys == one.decider.detectors.state.keys
    assert other.decider.guard.live.keys() == one.decider.guard.live.keys()
    assert len(other.decider.budgets.unseeded()) == 2


def test_a_first_start_learns_what_is_stored_before_the_stream_and_says_nothing_of_it(
    store: ClickHouse, files: RuleFiles, sql_client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    minutes = range(-90, 0)
    monkeypatch.setattr(stored_history, "_ROWS_AT_ONCE", 40)
    rows = [row for minute in (*minutes, 0) for row in minute_rows(minute)]
    store.insert(WINDOWS, to_arrow(WINDOWS, window_rows(rows)), "history")
    one = session(store, files, Worker())
    one.begin("topic-1", {0: (0, len(recorded()))})
    findings, _reported = one.take(recorded()[:4])  # with the first mark, at noon
    expected = DetectorState()
    history = stored_windows(stored_rows(minutes), RULES.levels, 60_000_000)
    assert learn_history(expected, RULES.levels, history, RULES.parameters) == len(minutes)
    assert one.decider.detectors.state.to_bytes() == expected.to_bytes()
    assert findings.windows == []
    assert sql_client.query(f"SELECT count() FROM {ANOMALY_POINTS}").result_rows == [(0,)]
    one.snapshot_if_due()
    follower = session(store, files, Worker())
    follower.begin("topic-1", {0: (0, len(recorded()))})
    assert follower.decider.detectors.state.to_bytes() == expected.to_bytes()
    for worker in (one, follower):
        worker.take(recorded()[4:40])
    assert follower.decider.to_bytes() == one.decider.to_bytes()


def test_services_are_told_how_runs_and_budgets_stand(store: ClickHouse, files: RuleFiles) -> None:
    files.in_force = InForce(
        # A budget that somebody set for runs: whoever exceeds it is to stop.
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
    one.take(recorded()[:1])
    rows = sql_client.query("SELECT kind, key, state, severity FROM alert_events FINAL").result_rows
    assert [tuple(row) for row in rows] == [("slo", "slo api", "pending", "page")]
    kept = sql_client.query("SELECT slo, severity, bad / total FROM slo_status").result_rows
    assert [tuple(row) for row in kept] == [("api", "page", 0.5)]


def test_a_budget_that_is_taken_out_of_the_file_is_taken_back(
    store: ClickHouse, files: RuleFiles, tmp_path: Path
) -> None:
    one = session(store, files, Worker(), snapshot_us=10**12)
    one.begin("topic-1", {0: (0, len(recorded()))})
    one.take(recorded()[:8])
    (tmp_path / "budgets.yaml").write_text(yaml.safe_dump({"budgets": BUDGETS["budgets"][:1]}))
    assert one.idle().ended == ["budget/one%20key"], "also while the stream stands still"
    assert list(one.decider.budgets.counted) == ["acme"]
    # Nobody may have been there when it was taken out: whoever begins takes it back, once.
    one = session(store, files, Worker())
    one.begin("topic-1", {0: (0, len(recorded()))})
    assert [one.take([])[1].ended for _ in range(2)] == [["budget/one%20key"], []]


def test_too_many_refused_events_are_an_alert_of_the_pipeline(
    store: ClickHouse, files: RuleFiles, sql_client: Client
) -> None:
    sql_client.command(
        "INSERT INTO ingest_positions (log_id, topic, partition, end_offset, events, dead_letters) "
        "VALUES ('log-1', 'tokentide.events.v1', 0, 10, 700, 300)"
    )
    one = session(store, files, Worker())
    one.begin("topic-1", {0: (0, len(recorded()))})
    one.idle()  # before ingest said anything, what is stored may not be the present
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
