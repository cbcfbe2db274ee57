"""A worker that sees its store's disk run full: what it says, and that it goes on by itself."""

from __future__ import annotations

import asyncio

import pytest

from tokentide_jobs.io.clickhouse.client import ClickHouse
from tokentide_jobs.jobs.ingest.observer import IngestObserver
from tokentide_jobs.jobs.ingest.store_disk_space import StoreDiskSpace
from tokentide_jobs.jobs.runtime.health import Health
from tokentide_jobs.jobs.runtime.registry import Metrics
from tokentide_jobs.jobs.runtime.watchdog import Watchdog

MIB = 1 << 20


def test_health_metrics_and_log_say_why_nothing_is_stored_and_that_it_goes_on(
    caplog: pytest.LogCaptureFixture,
) -> None:
    metrics, health = Metrics(), Health()
    health.starting("")
    clock_s = [0.0]
    ended: list[int] = []
    watchdog = Watchdog(60, lambda: clock_s[0], ended.append)
    observer = IngestObserver(metrics, health, watchdog)
    space = StoreDiskSpace(ClickHouse("http://127.0.0.1:9", "x"), 512 * MIB, observer.free_space)

    space.look(600 * MIB)
    assert not space.is_low()
    assert health.ready()[0]

    for clock_s[0] in (50.0, 100.0):
        space.look(500 * MIB)
        watchdog.beat()
        watchdog.check()
    assert ended == []  # a wait that is explained is no standstill
    assert space.is_low()
    is_ready, report = health.ready()
    assert not is_ready
    [words] = report["waits_for"]
    assert "500 MiB free, TOKENTIDE_MIN_FREE_BYTES is 512 MiB" in words
    assert health.live()[0]  # starting the worker again would free nothing
    assert b"tokentide_ingest_disk_low 1.0" in metrics.exposition()

    space.look(640 * MIB)
    assert health.ready()[0]
    assert b"tokentide_ingest_disk_low 0.0" in metrics.exposition()
    assert b"tokentide_ingest_disk_free_bytes 6.7108864e+08" in metrics.exposition()
    logged = [record.getMessage() for record in caplog.records]
    assert [line for line in logged if "disk_low" in line] == logged[:1]
    assert len(logged) == 2
    assert "disk_has_room" in logged[1]


@pytest.mark.integration
async def test_the_store_itself_says_how_much_room_it_has(sql_server: str) -> None:
    found: list[int] = []
    store = ClickHouse(sql_server, "default")
    space = StoreDiskSpace(store, 1, lambda free, _floor: found.append(free))
    looking = asyncio.ensure_future(space.run())
    async with asyncio.timeout(60):
        while not found:  # noqa: ASYNC110 -- what is awaited sets no event
            await asyncio.sleep(0.01)
    looking.cancel()
    assert found[0] > MIB
