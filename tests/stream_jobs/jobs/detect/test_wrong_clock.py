"""Whose clock is ahead is shown while it is, and logged once; what it says moves no time."""

from __future__ import annotations

import logging
from types import SimpleNamespace
from typing import Any, cast
from unittest.mock import Mock

import pytest

from tests.stream_jobs.core.merge.delta_records import mark
from tests.stream_jobs.jobs.detect.no_store import PRESENT_US, Alerts, session
from tokentide_jobs.core.detect_metrics import DETECT_METRICS
from tokentide_jobs.core.tables import DAY_US
from tokentide_jobs.jobs.detect.database_clock import DatabaseClock
from tokentide_jobs.jobs.detect.job import DetectJob
from tokentide_jobs.jobs.detect.rule_files import RuleFiles
from tokentide_jobs.jobs.detect.watch import DetectWatch
from tokentide_jobs.jobs.runtime.health import Health
from tokentide_jobs.jobs.runtime.registry import Metrics


def test_a_clock_that_is_ahead_is_shown_while_it_is_and_logged_once(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level(logging.INFO)
    awake_s = 0.0
    clock = DatabaseClock(lambda: PRESENT_US + round(awake_s * 1e6), lambda: awake_s)
    worker, health = session(Alerts([]), clock), Health(role="detect")
    worker.begin("topic-1", {0: (0, 0)})
    given: Any = {"settings": Mock(), "topic_id": "", "watchdog": Mock()}
    watch = DetectWatch(
        **given, files=RuleFiles(None, None), metrics=Metrics(DETECT_METRICS), health=health
    )

    def shown() -> list[str]:
        watch._show(cast("DetectJob", SimpleNamespace(session=worker, is_active=True)))
        notes: list[str] = health.ready()[1]["notes"]
        return notes

    assert shown() == []
    for _ in range(3):
        worker.take([mark(PRESENT_US + DAY_US)])
        (note,) = shown()
        assert "tokentide.events.v1/0 is 1,440 minutes ahead of the database's" in note
    assert worker.decider.progress.now_us == PRESENT_US
    awake_s += 60
    worker.take([mark(PRESENT_US + round(awake_s * 1e6))])
    assert shown() == shown() == []
    messages = [record.message for record in caplog.records]
    events = ("clock_ahead", "clocks_right_again")
    assert [one for text in messages for one in events if one in text] == [*events]
