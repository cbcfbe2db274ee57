"""What follows the decisions: forecasts where there is news of a budget, reported to services."""

from __future__ import annotations

from collections import defaultdict

import pytest

from tests.stream_jobs.core.decide.recorded_stream import recorded
from tests.stream_jobs.core.merge.delta_records import NOON_US
from tests.stream_jobs.jobs.detect.sessions import Worker, session
from tokentide_jobs.core.decide.decider import STATE_VERSION
from tokentide_jobs.core.decide.decisions import Decisions
from tokentide_jobs.io.clickhouse.client import ClickHouse
from tokentide_jobs.io.clickhouse.detector_store import DetectorStore
from tokentide_jobs.jobs.detect.rule_files import RuleFiles
from tokentide_schemas.control import BudgetState

pytestmark = pytest.mark.integration


def test_a_forecast_is_made_with_the_first_spend_and_at_each_threshold_and_services_hear_of_it(
    store: ClickHouse, files: RuleFiles
) -> None:
    records = recorded()
    one = session(
        store, files, Worker(), snapshot_us=10**12, clock_us=lambda: NOON_US + 840 * 10**6
    )
    one.begin("topic-1", {0: (0, 0)})  # everything is news
    made: defaultdict[str, list[int]] = defaultdict(list)
    for at in range(0, len(records), 4):
        decisions, _reported = one.take(records[at : at + 4])
        for state in one.follow_up(decisions).states:
            assert isinstance(state, BudgetState)
            made[state.budget].append(max(state.reached, default=0))
    assert made["one key"] == [0, 50, 80, 95, 100]


def test_no_snapshot_is_taken_while_a_minute_ends_and_one_that_is_due_soon_after(
    store: ClickHouse, files: RuleFiles
) -> None:
    minute_us = NOON_US + 960 * 10**6
    now_us = minute_us + 40 * 10**6
    one = session(store, files, Worker(), snapshot_us=1, clock_us=lambda: now_us)
    one.begin("topic-1", {0: (0, 0)})
    snapshots = DetectorStore(store, STATE_VERSION, "test", "one")
    taken = []
    for second in (57, 61, 69, 70):
        now_us = minute_us + second * 10**6
        one.follow_up(Decisions())
        head = snapshots.newest()
        taken.append(head is not None and head.taken_at_us == now_us)
    assert taken == [False, False, False, True]
