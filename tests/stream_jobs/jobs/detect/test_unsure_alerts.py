"""After deltas were missed, what may be over is not announced before that is known."""

from __future__ import annotations

from dataclasses import replace

from tests.stream_jobs.core.alert.histories import MINUTE_US, finding
from tests.stream_jobs.core.merge.delta_records import NOON_US, mark
from tests.stream_jobs.jobs.detect.no_store import Alerts, session
from tokentide_jobs.core.alert.alert import Alert
from tokentide_jobs.core.alert.alert_rules import AlertRules
from tokentide_jobs.core.alert.book import AlertBook

HELD = 100
"""Records that the topic held when the worker began."""


def held_by_history() -> list[Alert]:
    """Return the alert of a run that was a quarter of an hour old when it was found."""
    book = AlertBook(AlertRules())
    run = finding(kind="run", dimensions=(("run", "gone"),), metric="repeats", at_us=NOON_US)
    (opened,) = book.observe([run], NOON_US, NOON_US + 16 * MINUTE_US)
    assert opened.held == "history"
    return list(book.alerts.values())


def test_an_unsure_alert_is_held_until_it_is_judged_and_ends_unannounced() -> None:
    alerts = Alerts(held_by_history())
    worker = session(alerts)
    worker.begin("topic-1", {0: (0, HELD)})
    caught_up_us = NOON_US + 19 * MINUTE_US
    worker.take([replace(mark(caught_up_us), offset=0)])
    worker.idle()
    had_gap = worker.decider.has_gap
    assert alerts.take_made() == [], "records of the topic may still report it"
    worker.take([replace(mark(caught_up_us + MINUTE_US), offset=HELD - 1)])
    worker.take([replace(mark(caught_up_us + 2 * MINUTE_US), offset=HELD)])
    assert (had_gap, worker.decider.has_gap) == (True, False)
    assert alerts.take_made() == [("closed", "unannounced")]
