"""Ten incidents and what only looks like one, through the real pipeline: found, named, and no more.

Traffic goes to Kafka, ingest stores it and publishes deltas, the detect worker decides by recorded
time, and what is asserted is read from the tables of alerts.
"""

from __future__ import annotations

import asyncio
import os
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass, fields
from pathlib import Path

import pytest
from aiokafka import AIOKafkaProducer

from tests.end_to_end import scene
from tests.end_to_end.scene import Incident, Scene
from tests.prepared import Prepared
from tokentide_jobs.core.alert.silence import Silence
from tokentide_jobs.embedded.stack.stack import Stack
from tokentide_jobs.io.clickhouse.alert_store import AlertStore
from tokentide_jobs.io.clickhouse.client import ClickHouse
from tokentide_jobs.tasks.status.worker_pages import ask_metric

pytestmark = pytest.mark.integration

DEADLINE_S = 400.0 if scene.IS_SHORT else 1_800.0
HOUR_US = 3_600_000_000
JUDGED = 'tokentide_detect_windows_total{outcome="judged"}'


@dataclass(frozen=True)
class Opening:
    """An alert when it opened first."""

    alert_id: str
    kind: str
    key: str
    metric: str
    at_us: int
    held: str
    sentence: str


@dataclass(frozen=True)
class Found:
    """The alerts of a scene."""

    played: Scene
    openings: list[Opening]

    def announced(self) -> dict[tuple[str, str], Opening]:
        """Return those that receivers are notified of."""
        return {(one.key, one.metric): one for one in self.openings if not one.held}

    def minutes_after(self, incident: Incident, one: Opening) -> float:
        return (one.at_us - self.played.at_us(incident.begin)) / scene.MINUTE_US


EXPECTED = (
    # incident, kind, key, metric, minutes until the alert at most
    (scene.DEARER_MODEL, "anomaly", "tenant prices", "unit_price", 8),
    (scene.LONGER_PROMPT, "anomaly", "tenant books", "tokens_per_request", 15),
    (scene.BROWNOUT, "anomaly", "provider google", "error_ratio", 6),
    (scene.RATE_LIMITS, "anomaly", "provider anthropic", "rate_limit_ratio", 6),
    (scene.OUTAGE, "anomaly", "provider mistral", "error_ratio", 5),
    (scene.SILENT_TENANT, "anomaly", "tenant gone", "requests", 10),
    (scene.FAST_LOOP, "run", "tenant robots, run fast-loop", "repeats", 2),
    (scene.SLOW_LOOP, "run", "tenant robots, run slow-loop", "spend_rate", 10),
    (scene.BUDGET, "budget", "budget monthly, tenant spender", "spend", 1),
    # a tenant that goes to another model asks the old one no more
    (scene.DEARER_MODEL, "anomaly", "tenant prices, model gpt-4.1", "requests", 20),
)


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory, prepared: Prepared) -> Iterator[Found]:
    """Yield what came of the scene, played to its end."""
    directory: Path = tmp_path_factory.mktemp("scenes")
    (directory / "detect.yaml").write_text(scene.rules())
    (directory / "budgets.yaml").write_text(scene.BUDGETS)
    environ = {
        **os.environ, "TOKENTIDE_DETECT_TIME": "recorded",
        "TOKENTIDE_DETECT_FILE": str(directory / "detect.yaml"),
        "TOKENTIDE_BUDGETS_FILE": str(directory / "budgets.yaml"),
    }  # fmt: skip
    played = Scene(time.time_ns() // 1_000 // HOUR_US * HOUR_US)
    with Stack(
        prepared(directory / "stack"), broker="tansu", workers=1, detect=True, environ=environ
    ) as stack:
        store = ClickHouse(stack.info.clickhouse_dsn, "tokentide")
        AlertStore(store).silence(
            Silence(
                id="month-end",
                matchers=(("tenant", "billing"),),
                author="ops",
                start_us=played.at_us(0),
                end_us=played.end_us,
                weekly=None,
                reason="month end",
            )
        )
        asyncio.run(_send(stack, played))
        _wait(stack)
        yield Found(played, _openings(store, played.at_us(-60 * scene.HISTORY_H)))
        store.close()


@pytest.mark.parametrize(("incident", "kind", "key", "metric", "within"), EXPECTED)
def test_an_incident_is_found_in_time_under_its_own_name(
    found: Found, incident: Incident, kind: str, key: str, metric: str, within: float
) -> None:
    one = found.announced()[key, metric]
    assert one.kind == kind
    assert 0 <= found.minutes_after(incident, one) <= within, one.sentence


def test_nothing_else_is_announced(found: Found) -> None:
    """A launch, a tenant whose partition lags, a tenant without a change: no notification."""
    wanted = {(key, metric) for _incident, _kind, key, metric, _within in EXPECTED}
    others = {name: one.sentence for name, one in found.announced().items() if name not in wanted}
    assert others == {}
    quiet = ("tenant plain", "tenant lagging", "tenant launch", "provider openai")
    of_quiet = [one.sentence for one in found.openings if one.key.startswith(quiet)]
    assert of_quiet == []


def test_an_outage_of_forty_tenants_is_one_incident(found: Found) -> None:
    leader = found.announced()["provider mistral", "error_ratio"]
    of_tenants = [one for one in found.openings if re.fullmatch(r"tenant shop-\d+", one.key)]
    assert len({one.key for one in of_tenants}) == scene.TENANTS_OF_MISTRAL
    assert {one.held for one in of_tenants} == {f"parent {leader.alert_id}"}


def test_a_batch_at_the_end_of_the_month_is_recorded_and_held_back(found: Found) -> None:
    held = {one.held for one in found.openings if one.key.startswith("tenant billing")}
    assert held == {"silence month-end"}


async def _send(stack: Stack, played: Scene) -> None:
    producer = AIOKafkaProducer(bootstrap_servers=stack.info.kafka)
    await producer.start()
    try:
        for partition, frame in played.frames():
            await producer.send_and_wait(stack.info.events_topic, frame, partition=partition)
    finally:
        await producer.stop()


def _wait(stack: Stack) -> None:
    """Wait until all but the last minute is judged."""
    give_up_s = time.monotonic() + DEADLINE_S
    while (judged := ask_metric(stack.data_dir, JUDGED)) < scene.MINUTES - 2:
        assert time.monotonic() < give_up_s, f"{judged:g} of {scene.MINUTES} minutes"
        time.sleep(0.3)


def _openings(store: ClickHouse, since_us: int) -> list[Opening]:
    names = [one.name for one in fields(Opening)]
    rows = AlertStore(store).openings(since_us)
    return [Opening(**{name: row[name] for name in names}) for row in rows]
