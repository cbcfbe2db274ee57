"""A session of detection over a store that has nothing but alerts, in one process."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, cast
from unittest.mock import Mock

from tests.stream_jobs.core.alert.histories import MINUTE_US
from tests.stream_jobs.core.decide.recorded_stream import RULES
from tests.stream_jobs.core.merge.delta_records import NOON_US
from tests.stream_jobs.jobs.detect.sessions import clock_of
from tokentide_jobs.core.alert.alert import Alert
from tokentide_jobs.core.alert.alert_rules import AlertRules
from tokentide_jobs.core.alert.transition import Transition
from tokentide_jobs.io.clickhouse.alert_store import AlertStore, Stored
from tokentide_jobs.io.clickhouse.client import ClickHouse
from tokentide_jobs.io.clickhouse.detector_store import DetectorStore
from tokentide_jobs.jobs.alert.desk import AlertDesk
from tokentide_jobs.jobs.detect.database_clock import DatabaseClock
from tokentide_jobs.jobs.detect.rule_files import RuleFiles
from tokentide_jobs.jobs.detect.session import DetectSession

PRESENT_US = NOON_US + 20 * MINUTE_US
"""By the clock of the store."""


class Alerts:
    """Alerts as they are stored."""

    def __init__(self, alerts: Sequence[Alert]) -> None:
        self.alerts = list(alerts)
        self.made: list[Transition] = []

    def append(self, transitions: Sequence[Transition]) -> None:
        self.made += transitions

    def take_made(self) -> list[tuple[str, str]]:
        """Return what was stored since this was asked last, but of the pipeline."""
        states: list[tuple[str, str]] = [
            (one.state, one.held) for one in self.made if one.finding.kind == "run"
        ]
        self.made.clear()
        return states


def session(alerts: Alerts, clock: DatabaseClock | None = None) -> DetectSession:
    """Return a worker that finds no state: a store that has nothing but these alerts."""
    answers: dict[str, Any] = {
        "other_group": "", "read_state": None, "positions": {}, "newest_window": 0,
        "read_alerts": Stored(alerts.alerts, [], 0), "read_budgets": [], "write_state": 1,
        "read_actions": ([], 0), "read_silences": [], "history": None, "pipeline": {},
    }  # fmt: skip

    def storing(name: str, work: Callable[[], Any]) -> Any:
        return answers[name] if name in answers else work()

    files = RuleFiles(None, None)
    files.in_force = replace(files.in_force, rules=RULES)
    desk = AlertDesk(cast("AlertStore", alerts), AlertRules(), storing, lambda: PRESENT_US)
    store, snapshots = Mock(spec=ClickHouse), Mock(spec=DetectorStore)
    return DetectSession(
        store, files, snapshots, storing, 10**12, desk, clock or clock_of(lambda: PRESENT_US)
    )
