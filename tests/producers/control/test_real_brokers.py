"""States of runs and budgets read back from real brokers: news, outages, forks, and the end."""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any
from uuid import uuid4

import pytest

from tokentide import Telemetry
from tokentide_jobs.embedded.kafka.broker import Broker
from tokentide_jobs.io.kafka.admin import ensure_topics
from tokentide_jobs.io.kafka.control import ControlPublisher
from tokentide_schemas.control import BudgetState, ControlState, RunState
from tokentide_schemas.topics import CONTROL, EVENTS

pytestmark = pytest.mark.integration

NOW_US = time.time_ns() // 1000
DAY_US = 86_400_000_000
BUDGET = BudgetState(
    budget="search team", period="day", period_start_us=NOW_US - DAY_US,
    period_end_us=NOW_US + DAY_US, amount_pico_usd=100, spent_pico_usd=150, share=1.5,
    kind="hard", reached=[50, 80, 95, 100], at_us=NOW_US,
)  # fmt: skip


def run(state: Any, run_id: str = "r") -> RunState:
    return RunState(tenant="acme", run=run_id, state=state, spend_pico_usd=5, at_us=NOW_US)


def until(is_true: Callable[[], bool], timeout_s: float = 90) -> None:
    deadline_s = time.monotonic() + timeout_s
    while not is_true():
        assert time.monotonic() < deadline_s, "it never came"
        time.sleep(0.02)


class Topics:
    """A broker with a control topic of the test's own."""

    def __init__(self, broker: Broker) -> None:
        self.broker = broker
        self.control = replace(CONTROL, name=f"control.{uuid4()}")
        self.events = replace(EVENTS, name=f"events.{uuid4()}", partitions=1)

    def create(self) -> None:
        asyncio.run(ensure_topics(self.broker.bootstrap, [self.control, self.events]))

    def publish(self, *states: ControlState, epoch: int = 0) -> None:
        self._with(lambda publisher: publisher.publish(states), epoch)

    def end(self, keys: Sequence[str]) -> None:
        self._with(lambda publisher: publisher.end(keys))

    def _with(self, act: Callable[[ControlPublisher], Awaitable[None]], epoch: int = 0) -> None:
        async def acted() -> None:
            publisher = ControlPublisher(self.broker.bootstrap, self.control.name)
            publisher.epoch = epoch
            await publisher.start()
            try:
                await act(publisher)
            finally:
                await publisher.stop()

        asyncio.run(acted())

    def telemetry(self) -> Telemetry:
        return Telemetry(
            bootstrap=self.broker.bootstrap, topic=self.events.name, service="s", tenant="acme",
            read_control=True, control_topic=self.control.name, exit_timeout_s=0.1,
        )  # fmt: skip


@pytest.fixture
def topics(broker: Broker) -> Topics:
    if broker.exit_code is not None:
        broker.start()
    return Topics(broker)


@pytest.fixture
def telemetry(topics: Topics) -> Iterator[Telemetry]:
    made = topics.telemetry()
    yield made
    made.close(5)


def test_the_newest_state_is_read_from_before_and_while_it_reads(
    topics: Topics, telemetry: Telemetry, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "aiokafka")
    topics.create()
    topics.publish(run("ok"), run("flagged"), BUDGET)
    first = telemetry.run_state("r")
    assert (first.state, first.heard_s) == ("unknown", None)
    until(lambda: telemetry.run_state("r").state == "flagged")
    until(lambda: telemetry.budget("search team").must_stop)
    assert telemetry.budget("search team").reached == (50, 80, 95, 100)
    until(lambda: telemetry.run_state("x").reason == "no state of it was published")
    topics.publish(run("stop"), run("ok", "other"))
    until(lambda: telemetry.run_state("r").must_stop)
    until(lambda: telemetry.run_state("other").state == "ok")
    heard_s = telemetry.run_state("r").heard_s
    assert heard_s is not None
    assert heard_s < 60
    topics.end([run("ok").key, BUDGET.key])
    until(lambda: telemetry.run_state("r").state == "unknown")
    until(lambda: telemetry.budget("search team").state == "unknown")
    assert telemetry.stats().control == {
        "states": 1, "evicted": 0, "unreadable": 0, "overtaken": 0, "failures": 0,
    }  # fmt: skip
    telemetry.close(5)
    ours = [r for r in caplog.records if r.name.startswith("aiokafka")]
    assert [r.getMessage() for r in ours if r.threadName == "tokentide"] == []


def test_what_a_worker_writes_that_was_overtaken_is_passed_over(
    topics: Topics, telemetry: Telemetry
) -> None:
    topics.create()
    topics.publish(run("flagged"), epoch=7)
    until(lambda: telemetry.run_state("r").state == "flagged")
    topics.publish(run("stop"), epoch=9)
    until(lambda: telemetry.run_state("r").must_stop)
    topics.publish(run("flagged"), run("ok", "other"), epoch=7)
    topics.publish(run("ok", "newest"), epoch=9)
    until(lambda: telemetry.run_state("newest").state == "ok")
    assert telemetry.run_state("r").must_stop
    assert telemetry.run_state("other").state == "unknown"
    assert (telemetry.stats().control or {})["overtaken"] == 2


def test_a_topic_that_comes_later_is_found_and_not_made_by_asking(
    topics: Topics, telemetry: Telemetry
) -> None:
    until(lambda: "there is no topic control." in telemetry.run_state("r").reason)
    topics.create()
    topics.publish(run("stop"))
    until(lambda: telemetry.run_state("r").must_stop)
    assert telemetry.stats().retries == 0, "counted as a trouble of the events"


def test_what_was_read_outlives_the_broker_and_asking_takes_no_time(
    topics: Topics, telemetry: Telemetry
) -> None:
    if not topics.broker.capabilities.persistent:
        pytest.skip("Tansu forgets what it held")
    topics.create()
    topics.publish(run("stop"))
    until(lambda: telemetry.run_state("r").must_stop)
    topics.broker.stop()
    heard_s = telemetry.run_state("r").heard_s or 0
    until(lambda: (telemetry.run_state("r").heard_s or 0) > heard_s + 1)
    assert telemetry.run_state("r").must_stop
    topics.broker.start()
    topics.publish(run("flagged"))
    until(lambda: telemetry.run_state("r").state == "flagged")


def test_a_forked_child_reads_for_itself(topics: Topics, telemetry: Telemetry) -> None:
    topics.create()
    topics.publish(run("stop"))
    until(lambda: telemetry.run_state("r").must_stop)
    pid = os.fork()
    if not pid:
        code = 1
        try:
            code = 2 if telemetry.run_state("r").must_stop else 3
            until(lambda: telemetry.run_state("r").must_stop)
            code = 0 if code == 3 else code
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    topics.publish(run("flagged"))
    until(lambda: telemetry.run_state("r").state == "flagged")
