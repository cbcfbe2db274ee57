"""Whatever dies, lingers or is lost: every event is stored once, every window and dollar is right.

Every schedule has logs of its own (`log_id`, `topic`, tenant), so that hundreds share one database
and are judged together at the end, by queries that know nothing of the pipeline.
TOKENTIDE_TEST_SCHEDULES=1000 runs more of them than a usual run.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.chaos.crash_engine import (
    FULL_DATABASE,
    Engine,
    played,
    running_engine,
    slim_database,
)
from tests.chaos.crash_judge import check_published, wrong_schedules
from tests.chaos.crash_logs import OTLP_TOPIC
from tests.chaos.mutate_ledger import SCHEDULES_AT_MOST, first_wrong, in_the_docs, row_of
from tests.chaos.mutations import MUTATIONS, Mutation
from tests.chaos.simulation import TOPIC, Schedule, SilentPublisher
from tests.prepared import Prepared
from tests.sampling import IS_THOROUGH
from tokentide_jobs.io.clickhouse.client import ClickHouse

SCHEDULES = int(os.environ.get("TOKENTIDE_TEST_SCHEDULES", "6"))
FULL_SCHEDULES = max(2, SCHEDULES // 75)
OTLP_SCHEDULES = max(2, SCHEDULES // 10)

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory, prepared: Prepared) -> Iterator[Engine]:
    with running_engine(prepared(tmp_path_factory.mktemp("crash"))) as running:
        yield running


def test_no_crash_schedule_loses_doubles_or_misprices_anything(engine: Engine) -> None:
    store, publisher = slim_database(engine, "crash_schedules"), SilentPublisher()
    schedules = play(engine, store, publisher, SCHEDULES)
    assert wrong_schedules(engine, store, schedules) == {}
    check_published(store, publisher, schedules)
    assert any(schedule.replaced for schedule in schedules), "no schedule read on over a new topic"


def test_nor_does_any_with_every_column_and_rollup(engine: Engine) -> None:
    store, publisher = ClickHouse(engine.url, FULL_DATABASE), SilentPublisher()
    schedules = play(engine, store, publisher, FULL_SCHEDULES)
    assert wrong_schedules(engine, store, schedules) == {}
    check_published(store, publisher, schedules)


def test_nor_does_any_over_records_of_collectors(engine: Engine) -> None:
    store, publisher = slim_database(engine, "crash_otlp"), SilentPublisher()
    schedules = play(engine, store, publisher, OTLP_SCHEDULES, OTLP_TOPIC)
    assert wrong_schedules(engine, store, schedules) == {}
    check_published(store, publisher, schedules)


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: mutation.protection)
def test_without_any_one_protection_schedules_come_out_wrong(
    engine: Engine, mutation: Mutation
) -> None:
    documented = in_the_docs()[mutation.protection]
    # A usual run begins with the schedule that the docs name: those before it come out right.
    found = first_wrong(engine, mutation, 0 if IS_THOROUGH else int(documented.split("|")[3]) - 1)
    assert found is not None, f"{SCHEDULES_AT_MOST} schedules do without it"
    assert row_of(mutation, found) == documented, "`make mutate-ledger` writes the table"


def test_the_docs_show_what_each_protection_is_for() -> None:
    assert list(in_the_docs()) == [mutation.protection for mutation in MUTATIONS]


def play(
    engine: Engine,
    store: ClickHouse,
    publisher: SilentPublisher,
    count: int,
    topic: str = TOPIC,
) -> list[Schedule]:
    """Run `count` schedules with seeds of their own; most of them must have met faults."""

    def run(number: int) -> Schedule:
        return played(engine, store, publisher, number, topic)

    with ThreadPoolExecutor(3) as threads:  # the schedules know nothing of each other
        schedules = list(threads.map(run, range(count)))
    assert sum(schedule.faults for schedule in schedules) > count * 2
    return schedules
