"""The disk filled under load, then every process killed and stopped at random: all of it is back.

A sample of some seconds runs with the other tests; `TOKENTIDE_TEST_CHAOS_S=600` runs ten minutes.
`TOKENTIDE_TEST_CHAOS_SEED` repeats a run's choices.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import json
import logging
import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import psutil
import pytest

from tests.chaos.live import wait_until
from tests.chaos.machine_time import MachineTime
from tests.chaos.small_disk import MIB, SmallDisk, small_disk
from tests.chaos.steady_traffic import SteadyTraffic
from tests.chaos.test_full_disk import FLOOR, Notes, quietly, stops_and_goes_on, stored_ids
from tests.commands import verified
from tests.prepared import Prepared
from tokentide_jobs.embedded.processes.locks import LOCK_FILE_NAME
from tokentide_jobs.embedded.stack.stack import Stack
from tokentide_jobs.tasks.status.worker_pages import ask_workers

pytestmark = pytest.mark.integration

FAULTS_S = float(os.environ.get("TOKENTIDE_TEST_CHAOS_S", "12"))
SEED = int(os.environ.get("TOKENTIDE_TEST_CHAOS_SEED", "7"))
BACK_S = 30.0
"""What other programs took of the machine meanwhile does not count; see `MachineTime`."""
WORKERS = 2 if FAULTS_S >= 60 else 1
LARGEST_RSS = {"clickhouse": 1_400 * MIB, "kafka": 700 * MIB, "detect": 700 * MIB,
               "viewer": 400 * MIB,
               **{f"worker-{n + 1}": 900 * MIB for n in range(WORKERS)}}  # fmt: skip
"""All that `tokentide up` starts, and what each may hold at the end."""
MORE_DESCRIPTORS, MORE_THREADS = 60, 60
"""What a process may hold at the end beyond what it held before the first fault; both numbers
breathe with connections, segments and parts, and the engine's pools of threads grow with queries
that run side by side, up to their bounds."""


class Faults:
    """Does harm to a running stack, and says what it did."""

    def __init__(self, stack: Stack, disk: SmallDisk, chance: random.Random) -> None:
        self.done: list[str] = []
        self._stack = stack
        self._disk = disk
        self._chance = chance

    def children(self) -> dict[str, psutil.Process]:
        """Return the live processes of the stack by name."""
        noted = json.loads((self._stack.data_dir / LOCK_FILE_NAME).read_text())["children"]
        found = {}
        for child in noted:
            with contextlib.suppress(psutil.NoSuchProcess):
                process = psutil.Process(child["pid"])
                if process.create_time() == child["started_s"]:
                    found[child["name"]] = process
        return found

    def one(self) -> None:
        """Do one harm, and undo what does not undo itself."""
        harm = self._chance.choice([self._kill, self._kill, self._kill, self._freeze, self._fill])
        harm()

    def _victims(self, most: int) -> list[tuple[str, psutil.Process]]:
        children = sorted(self.children().items())
        return self._chance.sample(children, min(len(children), self._chance.randint(1, most)))

    def _kill(self) -> None:
        for name, process in self._victims(2):
            self._say(f"kill {name}")
            with contextlib.suppress(psutil.NoSuchProcess):
                process.send_signal(signal.SIGKILL)

    def _freeze(self) -> None:
        for name, process in self._victims(1):
            self._say(f"freeze {name}")
            with contextlib.suppress(psutil.NoSuchProcess):
                process.send_signal(signal.SIGSTOP)
                time.sleep(self._chance.uniform(0.5, 8.0))
                process.send_signal(signal.SIGCONT)

    def _fill(self) -> None:
        left = self._chance.choice([0, 20, 60]) * MIB
        self._say(f"fill the disk up to {left >> 20} MiB")
        self._disk.fill(left)
        time.sleep(self._chance.uniform(2.0, 6.0))
        if self._chance.random() < 0.5:
            self._kill()
        self._disk.free()

    def _say(self, what: str) -> None:
        self.done.append(what)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[SmallDisk]:
    with small_disk(tmp_path / "disk", 1_200 if FAULTS_S < 300 else 6_000) as mounted:
        yield mounted


BOOKS_BYTES = 1024
"""What this test itself keeps and compares of each event that was acknowledged."""


def descendants() -> set[int]:
    """Return the processes that this one started, and those that they did."""
    return {one.pid for one in psutil.Process().children(recursive=True)}


def own_size() -> tuple[int, int, int]:
    """Descriptors, threads and resident bytes of this process, which owns the stack."""
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)  # what is free is not held
    process = psutil.Process()
    return process.num_fds(), threading.active_count(), process.memory_info().rss


def sizes(processes: dict[str, psutil.Process]) -> dict[str, tuple[int, int, int]]:
    """Descriptors, threads and resident megabytes of each."""
    return {
        name: (one.num_fds(), one.num_threads(), round(one.memory_info().rss / 1e6))
        for name, one in processes.items()
    }


def all_answer(stack: Stack) -> bool:
    """Every worker says that it is ready, and the viewer serves its page."""
    ready = [worker for worker in ask_workers(stack.data_dir, ()) if worker.is_ready]
    page = httpx.get(stack.info.viewer_url, timeout=5)
    return len(ready) == WORKERS + 1 and page.status_code == 200


@contextmanager
def explained(stack: Stack, expected: set[str], keep: Path) -> Iterator[None]:
    """Add to a failure what is missing and what the stack says of itself; keep its logs."""
    try:
        yield
    except AssertionError as exc:
        shutil.copytree(stack.data_dir / "logs", keep / "logs")
        missing = expected - stored_ids(stack)
        status = subprocess.run(
            [sys.executable, "-m", "tokentide_jobs", "status", "--data-dir", str(stack.data_dir)],
            check=False, capture_output=True, text=True, timeout=60,
        )  # fmt: skip
        exc.add_note(f"{len(missing)} of {len(expected)} are missing: {sorted(missing)[:5]}")
        # What the engine found broken when it started, and set aside.
        broken = sorted(path.name for path in stack.data_dir.rglob("detached/*"))
        exc.add_note(f"{len(broken)} detached parts: {broken[:20]}")
        exc.add_note(f"{status.stdout}\nlogs: {keep / 'logs'}")
        raise


def test_whatever_dies_or_stops_and_whenever_all_is_back_and_nothing_lost(
    disk: SmallDisk, tmp_path: Path, prepared: Prepared, caplog: pytest.LogCaptureFixture
) -> None:
    # The producer of the traffic says 200 times a second that no broker answers, and pytest keeps
    # each of these records with its exception: half a gigabyte in ten minutes.
    caplog.set_level(logging.CRITICAL, logger="aiokafka")
    chance, notes = random.Random(SEED), Notes()
    of_other_tests = descendants()
    stack = Stack(
        prepared(disk.path / "data"),
        broker="kafka",
        workers=WORKERS,
        detect=True,
        viewer_port=0,
        min_free_bytes=FLOOR,
        reporter=notes,
    )
    with (
        stack,
        SteadyTraffic(stack.info.kafka, stack.info.events_topic, frames_per_s=5) as traffic,
    ):
        faults = Faults(stack, disk, chance)
        wait_until(
            lambda: len(stored_ids(stack)) > 150, 120, "rows before the first fault", pause_s=0.5
        )
        stops_and_goes_on(stack, disk, traffic, notes, left_bytes=0)
        wait_until(quietly(lambda: all_answer(stack)), 120, "everything answers", pause_s=0.5)
        began, children_began = own_size(), sizes(faults.children())
        until_s = time.monotonic() + FAULTS_S
        while time.monotonic() < until_s:
            faults.one()
            time.sleep(chance.uniform(0.2, 4.0))
        last_fault_s, since_fault = time.monotonic(), MachineTime()
        context = f"seed {SEED}: {faults.done}; {notes.lines[-10:]}"
        before = len(traffic.acknowledged)

        def back(claim: Callable[[], bool], what: str) -> None:
            left_s = BACK_S - since_fault()
            wait_until(claim, left_s, f"{what}; {context}", since_fault, pause_s=0.5)

        back(lambda: len(traffic.acknowledged) > before + 20, "traffic")
        taken = set(traffic.acknowledged)
        with explained(stack, taken, tmp_path):
            back(quietly(lambda: taken <= stored_ids(stack)), "rows")
        assert not stack.wait(0.0), context
        back(lambda: faults.children().keys() == LARGEST_RSS.keys(), "every process")
        back(quietly(lambda: all_answer(stack)), "every worker and the viewer answer")
        back_s, counted_s = time.monotonic() - last_fault_s, since_fault()
        children_ended = sizes(faults.children())
        ended = own_size()
        print(f"descriptors, threads, MB of each: {children_began} -> {children_ended}")
        for name, (descriptors, threads, megabytes) in children_ended.items():
            before_them = children_began[name]
            assert megabytes < LARGEST_RSS[name] / 1e6, (name, children_ended)
            assert descriptors <= before_them[0] + MORE_DESCRIPTORS, (name, children_ended)
            assert threads <= before_them[1] + MORE_THREADS, (name, children_ended)
        assert descendants() - of_other_tests == {one.pid for one in faults.children().values()}
        # The traffic opens and closes connections meanwhile: some descriptors more or less.
        assert ended[0] <= began[0] + 15, (began, ended)
        assert ended[1] <= began[1] + 5, (began, ended)
        books = BOOKS_BYTES * len(traffic.acknowledged)
        assert ended[2] <= began[2] + 150 * MIB + books, (began, ended, books)
        print(
            f"{len(faults.done)} faults in {FAULTS_S:g} s, back after {back_s:.1f} s, "
            f"{counted_s:.1f} s without what others took; "
            f"descriptors, threads, bytes of the owner {began} -> {ended}"
        )
    # Without traffic, on parts that are read again.
    with Stack(disk.path / "data", broker="kafka", workers=1, min_free_bytes=FLOOR) as again:
        report = verified(again.data_dir, wait_s=90)
        assert report["ok"], (report["mismatches"], context)
        assert traffic.acknowledged <= stored_ids(again), context
        assert report["kafka_events"] == report["raw_events"] + report["dead_letters"]
