"""Supervision brings back whatever dies, whenever and however often, and ends by a person only."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest

from tokentide_jobs.backoff import Backoff
from tokentide_jobs.embedded.processes.announcer import Announcer
from tokentide_jobs.embedded.processes.child import ChildRecord
from tokentide_jobs.embedded.processes.supervisor import Supervisor, SupervisorTimes
from tokentide_jobs.errors import StackError

QUICK = SupervisorTimes(
    look_every_s=0.01, probe_every_s=0.01, unexpected_pause_s=0.05, restart=Backoff(first_s=0.05)
)
"""Looks far oftener than a stack does: nothing here waits for what takes a process its time."""


class Scripted:
    """A service whose starts fail as a script says, and which may refuse to work."""

    def __init__(
        self,
        *failures: Exception | None,
        survives_restart: bool = True,
        fills_disk: bool = False,
    ) -> None:
        self.fills_disk = fills_disk
        self.stops = 0
        self.survives_restart = survives_restart
        self.is_running = True
        self.exit_code: int | None = None
        self.starts = 0
        self.kills = 0
        self.probes = 0
        self.trouble = ""
        self.surprise: Exception | None = None
        self.hold = threading.Event()
        self.hold.set()
        self.answer = threading.Event()
        self.answer.set()
        self._failures = list(failures)

    def start(self) -> ChildRecord:
        self.starts += 1
        self.hold.wait()
        if self._failures and (failure := self._failures.pop(0)) is not None:
            raise failure
        self.is_running, self.exit_code = True, None
        return ChildRecord("scripted", self.starts, 0.0)

    def problem(self) -> str:
        self.probes += 1
        self.answer.wait()
        surprise, self.surprise = self.surprise, None
        if surprise is not None:
            raise surprise
        return self.trouble

    def kill(self) -> None:
        self.kills += 1
        self.trouble = ""
        self.die()
        self.hold.set()

    def stop(self, deadline_s: float) -> None:
        self.stops += 1
        self.die()

    def die(self) -> None:
        self.is_running, self.exit_code = False, -9


def eventually(claim: Callable[[], bool], within_s: float = 60.0) -> bool:
    give_up_at = time.monotonic() + within_s
    while not claim() and time.monotonic() < give_up_at:
        time.sleep(0.01)
    return claim()


@contextmanager
def watching(
    services: dict[str, Scripted], notes: list[str] | None = None, **options: Any
) -> Iterator[tuple[Supervisor, list[dict[str, ChildRecord]]]]:
    restarts: list[dict[str, ChildRecord]] = []
    supervisor = Supervisor(
        services,
        restart_workers=lambda: False,
        restarted=restarts.append,
        notify=(notes if notes is not None else []).append,
        **{"pace": QUICK, **options},
    )
    supervisor.start()
    try:
        yield supervisor, restarts
    finally:
        supervisor.end()


def test_a_service_that_dies_while_it_is_restarted_is_restarted_again() -> None:
    died = StackError("did not start (exit code -9)")
    broker = Scripted(died, OSError(28, "No space left on device"), died, None)
    notes: list[str] = []
    with watching({"broker": broker}, notes) as (supervisor, restarts):
        broker.die()
        assert eventually(lambda: broker.is_running)
        assert broker.starts == 4
        assert eventually(lambda: restarts == [{"broker": ChildRecord("scripted", 4, 0.0)}])
        assert not supervisor.wait(0.0)
    assert [line for line in notes if "does not start, again in 0.1 s" in line]
    assert [line for line in notes if "No space left on device" in line]


def test_a_service_that_takes_long_to_come_back_holds_up_no_other() -> None:
    slow, quick = Scripted(), Scripted()
    slow.hold.clear()
    with watching({"broker": slow, "ClickHouse": quick}):
        slow.die()
        assert eventually(lambda: slow.starts == 1)
        quick.die()
        assert eventually(lambda: quick.is_running)
        assert not slow.is_running


def test_a_service_that_runs_and_does_no_work_is_ended_and_brought_back() -> None:
    broker = Scripted()
    notes: list[str] = []
    with watching({"broker": broker}, notes, pace=replace(QUICK, stall_timeout_s=0.05)):
        assert eventually(lambda: broker.probes >= 4)
        assert broker.kills == 0
        broker.trouble = "a record is refused: zstd"
        assert eventually(lambda: broker.kills == 1)
        assert eventually(lambda: broker.is_running and broker.starts == 1)
    assert [line for line in notes if "the broker runs and does not work: a record is" in line]


def test_the_end_of_supervision_waits_for_no_answer_and_ends_no_service_that_runs() -> None:
    broker, store = Scripted(), Scripted()
    broker.answer.clear()
    with watching({"broker": broker, "ClickHouse": store}):
        assert eventually(lambda: broker.probes == 1)
    assert (broker.kills, store.kills) == (0, 0)
    broker.answer.set()


def test_the_end_of_supervision_ends_a_start() -> None:
    broker, store = Scripted(), Scripted()
    broker.hold.clear()
    with watching({"broker": broker, "ClickHouse": store}):
        broker.die()
        assert eventually(lambda: broker.starts == 1)
    assert broker.kills >= 1
    assert store.kills == 0


def test_a_service_without_work_is_left_alone_while_the_disk_is_full() -> None:
    store = Scripted()
    store.trouble = "no space"
    is_full = threading.Event()
    is_full.set()
    pace = replace(QUICK, stall_timeout_s=0.0)
    with watching({"store": store}, pace=pace, is_full=is_full.is_set):
        assert eventually(lambda: store.probes >= 4)
        assert (store.kills, store.stops) == (0, 0)
        is_full.clear()
        assert eventually(lambda: store.kills == 1)


def test_what_fills_the_disk_is_stopped_in_order_while_it_is_full_and_started_when_it_is_not() -> (
    None
):
    broker, store = Scripted(fills_disk=True), Scripted()
    notes: list[str] = []
    is_full = threading.Event()
    with watching({"broker": broker, "store": store}, notes, is_full=is_full.is_set):
        is_full.set()
        assert eventually(lambda: broker.stops == 1)
        store.die()
        assert eventually(lambda: store.is_running)
        assert (broker.is_running, broker.starts, broker.kills) == (False, 0, 0)
        is_full.clear()
        assert eventually(lambda: broker.is_running)
    assert broker.stops == 1
    assert "the disk is nearly full: the broker stops until there is room" in notes


def test_a_service_that_ends_by_itself_on_a_full_disk_is_spoken_of_once() -> None:
    broker = Scripted(fills_disk=True)
    notes: list[str] = []
    has_room = threading.Event()

    def is_full() -> bool:
        return not broker.is_running and not has_room.is_set()

    with watching({"broker": broker}, notes, is_full=is_full):
        broker.die()
        assert eventually(lambda: len(notes) == 1)
        assert notes[0] == (
            "the broker ended (signal 9) and the disk is nearly full: "
            "it starts again when there is room"
        )
        assert broker.starts == 0
        has_room.set()
        assert eventually(lambda: broker.is_running)
    (note,) = notes[1:]
    assert note.startswith("the broker ended (signal 9), starting it again in ")


def test_an_unexpected_error_ends_no_supervision() -> None:
    broker, store = Scripted(ValueError("an answer that is no Kafka"), None), Scripted()
    store.surprise = RuntimeError("can't start new thread")
    notes: list[str] = []
    with watching({"broker": broker, "store": store}, notes):
        assert eventually(lambda: store.surprise is None)
        broker.die()
        assert eventually(lambda: broker.is_running)
        store.die()
        assert eventually(lambda: store.is_running)
    assert [line for line in notes if "an answer that is no Kafka" in line]
    assert (
        "watching the store failed, trying again in 0.05 s: RuntimeError: can't start new thread"
        in notes
    )


def test_an_error_while_workers_are_started_ends_no_supervision_of_them() -> None:
    started = iter([OSError(28, "No space left on device"), True])
    restarts: list[dict[str, ChildRecord]] = []
    notes: list[str] = []

    def restart_workers() -> bool:
        happens = next(started, False)
        if isinstance(happens, OSError):
            raise happens
        return bool(happens)

    supervisor = Supervisor(
        {},
        restart_workers=restart_workers,
        restarted=restarts.append,
        notify=notes.append,
        pace=QUICK,
    )
    supervisor.start()
    try:
        assert eventually(lambda: restarts == [{}])
    finally:
        supervisor.end()
    assert [line for line in notes if "No space left on device" in line]


def test_a_terminal_that_stands_still_or_fails_holds_up_no_restart() -> None:
    goes_on = threading.Event()
    lines: list[str] = []

    def tell(line: str) -> None:
        assert goes_on.wait(60)
        lines.append(line)
        raise OSError(28, "No space left on device")

    announcer = Announcer(tell)
    broker, store = Scripted(), Scripted()
    supervisor = Supervisor(
        {"broker": broker, "ClickHouse": store},
        restart_workers=lambda: False,
        restarted=lambda _: None,
        notify=announcer.say,
        pace=QUICK,
    )
    supervisor.start()
    try:
        broker.die()
        assert eventually(lambda: broker.is_running)
        store.die()
        assert eventually(lambda: store.is_running)
        assert lines == []
    finally:
        supervisor.end()
    announcer.end(0.01)
    goes_on.set()
    announcer.end(60)
    assert [line.rpartition(" in ")[0] for line in lines] == [
        "the broker ended (signal 9), starting it again",
        "ClickHouse ended (signal 9), starting it again",
    ]


def test_only_the_death_of_what_cannot_come_back_ends_supervision() -> None:
    broker = Scripted(survives_restart=False)
    with watching({"broker": broker}) as (supervisor, _restarts):
        broker.trouble = "slow today"
        broker.die()
        with pytest.raises(StackError, match="its log, which it kept in memory, is gone"):
            supervisor.wait(5.0)
    assert broker.starts == 0
