"""The book of alerts in a job: findings in, transitions stored; it goes on from what is stored.

Its caller stores nothing of its own for it: `begin` reads the last transition of each alert,
and findings that are given once more change nothing. Runs in one thread; `storing` retries.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable
from typing import Final

from tokentide_jobs.core.alert.alert import Action
from tokentide_jobs.core.alert.alert_rules import AlertRules
from tokentide_jobs.core.alert.book import AlertBook
from tokentide_jobs.core.alert.finding import Finding
from tokentide_jobs.core.alert.transition import Transition
from tokentide_jobs.core.tables import DAY_US
from tokentide_jobs.io.clickhouse.alert_store import AlertStore
from tokentide_jobs.jobs.runtime.log import log_event
from tokentide_jobs.jobs.runtime.waiting import Storing

__all__ = ["AlertDesk"]

_log = logging.getLogger(__name__)

_LOOK_US: Final = 2_000_000
_ENDED_US: Final = 7 * DAY_US
"""One that closed is of use for so long at most, also to a stream that is days behind."""
_OVERLAP_US: Final = 2_000_000
"""Rows become visible a little after the time they carry."""


class AlertDesk:
    """All alerts of an installation, in the job that finds them.

    Args:
        store: Where transitions go, and what people did comes from.
        rules: What decides.
        storing: Runs a step until the store takes it.
        clock_us: The wall clock.

    Attributes:
        book: The alerts; its rules may be replaced at any time.
    """

    def __init__(
        self,
        store: AlertStore,
        rules: AlertRules,
        storing: Storing,
        clock_us: Callable[[], int] = lambda: time.time_ns() // 1_000,
    ) -> None:
        self.book = AlertBook(rules)
        self._store = store
        self._storing = storing
        self._clock_us = clock_us
        self._looked_us = 0
        self._acted_us = 0

    def begin(self) -> None:
        """Go on from what is stored: at the beginning, and whenever others may have written."""
        now_us, rules = self._clock_us(), self.book.rules
        found = self._storing(
            "read_alerts",
            lambda: self._store.stored(now_us - _ENDED_US, rules.storm_us),
        )
        self.book = AlertBook(rules)
        self.book.restore(found.alerts, found.opens)
        self._looked_us, self._acted_us = 0, now_us - DAY_US
        log_event(
            _log,
            logging.WARNING if found.unreadable else logging.INFO,
            "alerts_begin",
            alerts=len(found.alerts),
            unreadable=found.unreadable,
        )

    def observe(self, findings: Iterable[Finding], now_us: int) -> list[Transition]:
        """Take in findings, let time pass, and store what comes of it.

        Args:
            findings: In any order.
            now_us: Time of the stream: of its newest record, or, in recorded time, up to which its
                events are complete.

        Returns:
            The transitions; all of them are stored.
        """
        clock_us = self._clock_us()
        actions: list[Action] = []
        if clock_us - self._looked_us >= _LOOK_US:
            self._looked_us, since_us = clock_us, max(0, self._acted_us - _OVERLAP_US)
            actions, last_us = self._storing("read_actions", lambda: self._store.actions(since_us))
            self._acted_us = max(self._acted_us, last_us)
            self.book.silences = self._storing(
                "read_silences", lambda: self._store.silences(now_us)
            )
        made = self.book.observe(findings, now_us, clock_us, actions)
        self._storing("write_alerts", lambda: self._store.append(made))
        return made
