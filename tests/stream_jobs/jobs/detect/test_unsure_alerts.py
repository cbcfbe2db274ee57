"""After deltas were missed, what may be over is announced to nobody before that is known."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, cast
from unittest.mock import Mock

from tests.stream_jobs.core.alert.histories import MINUTE_US, finding
from tests.stream_jobs.core.decide.recorded_stream import RULES
from tests.stream_jobs.core.merge.delta_records import NOON_US, mark
from tokentide_jobs.core.alert.alert import Alert
from tokentide_jobs.core.alert.alert_rules import AlertRules
from tokentide_jobs.core.alert.book import AlertBook
from tokentide_jobs.core.alert.transition import Transition
from tokentide_jobs.io.clickhouse.alert_store import AlertStore, Stored
from tokentide_jobs.io.clickhouse.client import ClickHouse
from tokentide_jobs.io.clickhouse.detector_store import DetectorStore
from tokentide_jobs.jobs.alert.desk import AlertDesk
from tokentide_jobs.jobs.detect.rule_files import RuleFiles
from tokentide_jobs.jobs.detect.session import DetectSession

HELD = 100
"""Records that the topic held when the worker began."""


class Alerts:
    """Alerts as they are stored."""

    def __init__(self, alerts: Sequence[Alert]) -> None:
        self.alerts = list(alerts)
        self.made: list[Transition] = []

    def append(self, transitions: Sequence[Transition]) -> None:
        self.made += transitions

    def take_said(self) -> list[tuple[str, str]]:
        """Return what was stored since this was asked last, but of the pipeline."""
        said = [(one.state, one.held) for one in self.made if one.finding.kind == "run"]
        self.made.clear()
        return said


def held_by_history() -> list[Alert]:
    """Return the alert of a run that was a quarter of an hour old when it was found."""
    book = AlertBook(AlertRules())
    run = finding(kind="run", dimensions=(("run", "gone"),), metric="repeats", at_us=NOON_US)
    (opened,) = book.observe([run], NOON_US, NOON_US + 16 * MINUTE_US)
    assert opened.held == "history"
    return list(book.alerts.values())


def session(alerts: Alerts) -> DetectSession:
    """Return a worker that finds no state: a store that has nothing but these alerts."""
    answers: dict[str, Any] = {
        "other_group": "", "read_state": None, "positions": {}, "newest_window": 0,
        "read_alerts": Stored(alerts.alerts, [], 0), "read_budgets": [], "write_state": 1,
        "read_actions": ([], 0), "read_silences": [], "history": None, "pipeline": {},
    }  # fmt: skip

    def storing(name: str, work: Callable[[], Any]) -> Any:
        return answers[name] if name in answers else work()

    clock_us = NOON_US + 20 * MINUTE_US
    files = RuleFiles(None, None)
    files.in_force = replace(files.in_force, rules=RULES)
    desk = AlertDesk(cast("AlertStore", alerts), AlertRules(), storing, lambda: clock_us)
    store, snapshots = Mock(spec=ClickHouse), Mock(spec=DetectorStore)
    return DetectSession(store, files, snapshots, storing, 10**12, desk, lambda: clock_us)


def test_an_alert_of_which_nobody_knows_is_held_until_it_is_judged_and_ends_unannounced() -> None:
    alerts = Alerts(held_by_history())
    worker = session(alerts)
    worker.begin("topic-1", {0: (0, HELD)})
    caught_up_us = NOON_US + 19 * MINUTE_US
    worker.take([replace(mark(caught_up_us), offset=0)])
    worker.idle()
    assert worker.decider.has_gap
    assert alerts.take_said() == [], "what the topic held may tell of it"
    worker.take([replace(mark(caught_up_us + MINUTE_US), offset=HELD - 1)])
    worker.take([replace(mark(caught_up_us + 2 * MINUTE_US), offset=HELD)])
    assert not worker.decider.has_gap
    assert alerts.take_said() == [("closed", "unannounced")]
