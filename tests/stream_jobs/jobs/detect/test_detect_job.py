"""The life cycle of the detect job: what has begun is ended before a successor goes on."""

from __future__ import annotations

import asyncio
import threading
from types import SimpleNamespace
from typing import Any

import pytest

import tokentide_jobs.jobs.detect.job as job_module
from tokentide_jobs.jobs.detect.job import DetectJob
from tokentide_jobs.jobs.detect.reported import Reported


class IdleSession:
    """A session in which saving takes until the test lets it go on."""

    def __init__(self) -> None:
        self.has_begun, self.may_end = threading.Event(), threading.Event()
        self.is_saving = False

    def idle(self) -> Reported:
        self.is_saving = True
        self.has_begun.set()
        self.may_end.wait()
        self.is_saving = False
        return Reported(ended=["budget/a"])


class Control:
    """Keeps what is reported to services."""

    def __init__(self) -> None:
        self.ended: list[str] = []

    async def end(self, keys: list[str]) -> None:
        self.ended += keys


async def test_what_is_saved_while_nothing_comes_is_saved_and_reported_before_others_go_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(job_module, "_IDLE_LOOK_S", 0.001)
    session = IdleSession()
    control = Control()
    given: dict[str, Any] = dict.fromkeys(("health", "found"))
    given |= {"control": control, "settings": SimpleNamespace(drain_s=120.0), "session": session}
    job = DetectJob(**given, stop=threading.Event())
    job._work = asyncio.create_task(job._take_all())
    await asyncio.to_thread(session.has_begun.wait)
    pause = asyncio.create_task(job._pause())
    try:
        for _turn in range(50):
            await asyncio.sleep(0)
        assert session.is_saving
        assert not pause.done(), "another worker would begin with what is only half saved"
    finally:
        session.may_end.set()
    await pause
    assert control.ended == ["budget/a"]
    assert not session.is_saving
