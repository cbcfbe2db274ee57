"""A disk that runs full under load and is freed again: nothing breaks, and all of it goes on."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import httpx
import pytest

from tests.chaos.live import wait_until
from tests.chaos.machine_time import MachineTime
from tests.chaos.small_disk import MIB, SmallDisk, small_disk
from tests.chaos.steady_traffic import SteadyTraffic
from tests.commands import verified
from tests.prepared import Prepared
from tests.sampling import IS_THOROUGH, in_thorough
from tokentide_jobs.embedded.stack.stack import Stack
from tokentide_jobs.io.clickhouse.client import ClickHouse

pytestmark = pytest.mark.integration

FLOOR = 96 * MIB
FULL_S = 30.0 if IS_THOROUGH else 6.0
BACK_S = 30.0
"""What other programs took of the machine meanwhile does not count; see `MachineTime`."""
NOTICED_S = 30.0
"""Likewise. Supervision looks five times a second, the worker every second."""


class Notes:
    """A reporter that remembers what was worth a line."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def step(self, what: str) -> None:
        pass

    def done(self, what: str, took_s: float) -> None:
        pass

    def note(self, text: str) -> None:
        self.lines.append(text)

    def has(self, words: str) -> bool:
        return any(words in line for line in self.lines)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[SmallDisk]:
    with small_disk(tmp_path / "disk", 480) as mounted:
        yield mounted


def running(disk: SmallDisk, notes: Notes) -> Stack:
    return Stack(
        disk.path / "data",
        broker="kafka",
        workers=1,
        min_free_bytes=FLOOR,
        reporter=notes,
    )


def stored_ids(stack: Stack) -> set[str]:
    with closing(ClickHouse(stack.info.clickhouse_dsn, "tokentide")) as store:
        rows = store.rows("SELECT toString(event_id) FROM tokentide.raw_requests")
    return {str(row[0]) for row in rows}


def worker_port(stack: Stack) -> int:
    """Where the worker reports its state; its log cannot be written to once the disk is full."""
    lines = (stack.data_dir / "logs" / "worker-1.log").read_text().splitlines()
    found = [json.loads(line) for line in lines if '"event": "http_listening"' in line]
    return int(found[-1]["port"])


def waits_for_the_disk(port: int) -> bool:
    answer = httpx.get(f"http://127.0.0.1:{port}/readyz", timeout=10)
    return any("disk" in words for words in answer.json()["waits_for"])


def quietly(claim: Callable[[], bool]) -> Callable[[], bool]:
    """Return a claim that is not true while no server answers."""

    def asked() -> bool:
        try:
            return claim()
        except Exception:
            return False

    return asked


def stops_and_goes_on(
    stack: Stack, disk: SmallDisk, traffic: SteadyTraffic, notes: Notes, left_bytes: int
) -> None:
    """Fill the disk under load, see that no data is taken, free it, and see all of it go on."""
    port = worker_port(stack)
    disk.fill(left_bytes)
    full = MachineTime()
    waits = quietly(lambda: waits_for_the_disk(port))
    wait_until(waits, NOTICED_S, "a worker that waits", full)
    wait_until(
        lambda: notes.has("the broker"), NOTICED_S, "a broker that is stopped, or died", full
    )
    time.sleep(FULL_S)
    disk.free()
    before, freed = len(traffic.acknowledged), MachineTime()
    wait_until(lambda: len(traffic.acknowledged) > before, BACK_S, "traffic goes on", freed)
    taken, rest_s = set(traffic.acknowledged), BACK_S - freed()
    are_stored = quietly(lambda: taken <= stored_ids(stack))
    wait_until(are_stored, rest_s, "rows again", freed, pause_s=0.5)


# test_everything_dies.py goes through the same, and through what else may happen, on one stack.
@in_thorough
@pytest.mark.parametrize("left_bytes", [30 * MIB, 0], ids=["nearly-full", "full"])
def test_a_disk_full_under_load_stops_taking_data_and_goes_on_by_itself_when_it_is_freed(
    disk: SmallDisk, left_bytes: int, prepared: Prepared
) -> None:
    notes = Notes()
    prepared(disk.path / "data")
    with running(disk, notes) as stack:
        with SteadyTraffic(
            stack.info.kafka, stack.info.events_topic, frames_per_s=5, frame_events=40
        ) as traffic:
            wait_until(lambda: len(stored_ids(stack)) > 500, 120, "rows", pause_s=0.5)
            stops_and_goes_on(stack, disk, traffic, notes, left_bytes)
        report = verified(stack.data_dir)
        assert report["ok"], report["mismatches"]
        assert traffic.acknowledged <= stored_ids(stack)
        assert not stack.wait(0.0)
    # What a full disk damages shows when the parts are read again.
    with running(disk, notes) as stack:
        report = verified(stack.data_dir)
        assert report["ok"], report["mismatches"]
        assert traffic.acknowledged <= stored_ids(stack)
