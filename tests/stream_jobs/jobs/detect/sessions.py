"""Sessions of detection over a real ClickHouse, and workers that may die at any step."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from itertools import count
from typing import TYPE_CHECKING, Any, TypeVar

from tests.stream_jobs.core.merge.delta_records import NOON_US
from tokentide_jobs.core.alert.alert_rules import AlertRules
from tokentide_jobs.core.decide.decider import STATE_VERSION
from tokentide_jobs.io.clickhouse.alert_store import AlertStore
from tokentide_jobs.io.clickhouse.client import ClickHouse
from tokentide_jobs.io.clickhouse.detector_store import DetectorStore
from tokentide_jobs.jobs.alert.desk import AlertDesk
from tokentide_jobs.jobs.detect.database_clock import DatabaseClock
from tokentide_jobs.jobs.detect.rule_files import RuleFiles
from tokentide_jobs.jobs.detect.session import DetectSession

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

T = TypeVar("T")

BUDGETS = {
    "budgets": [
        {"name": "acme", "scope": {"tenant": "acme"}, "period": "day", "amount_usd": 10},
        {"name": "one key", "scope": {"key": "key-7"}, "period": "day", "amount_usd": 3},
    ]
}
CLOCK_US = count(NOON_US + 10**9)
PASSES = partial(next, CLOCK_US)


def clock_of(clock_us: Callable[[], int]) -> DatabaseClock:
    """Return the clock of a database that is asked for every time."""
    return DatabaseClock(clock_us, partial(next, count(0, 3_600)))


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
    return DetectSession(store, files, snapshots, worker, snapshot_us, desk, clock_of(clock_us))


def alerts_of(client: Client) -> list[tuple[Any, ...]]:
    """Return what receivers are notified of: what is held back may differ after a death."""
    rows = client.query(
        "SELECT kind, metric, key, state, severity, toString(id) FROM alert_events FINAL "
        "WHERE held = '' ORDER BY ALL"
    ).result_rows
    return [tuple(row) for row in rows]
