"""Gives budgets what is stored: new ones, and all of them once stored money has changed.

A budget begins with the raw rows up to an offset of each source and takes deltas from there on, so
every request counts once.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Final

from tokentide_jobs.core.decide.decider import Decider
from tokentide_jobs.core.decide.decisions import Decisions
from tokentide_jobs.io.clickhouse.client import ClickHouse
from tokentide_jobs.io.clickhouse.stored_spend import (
    finished_offsets,
    money_version,
    stored_spend,
)
from tokentide_jobs.jobs.runtime.waiting import Storing

__all__ = ["Seeding"]

_MONEY_US: Final = 5_000_000


class Seeding:
    """Asks for stored money, and every few seconds whether it changed.

    Args:
        store: Where money is.
        storing: Runs a step until the store takes it.
        clock_us: Wall clock.
    """

    def __init__(self, store: ClickHouse, storing: Storing, clock_us: Callable[[], int]) -> None:
        self._store = store
        self._storing = storing
        self._clock_us = clock_us
        self._money_due_us = 0

    def seed(self, decider: Decider) -> Decisions | None:
        """Give its budgets what they lack, and return what they reached; None: they lack nothing.

        Args:
            decider: Holds the budgets.
        """
        budgets, clock_us = decider.budgets, self._clock_us()
        if budgets.counted and clock_us >= self._money_due_us:
            self._money_due_us = clock_us + _MONEY_US
            version = self._storing("money_version", lambda: money_version(self._store))
            if version != budgets.money_version:
                budgets.outdate(version)
        unseeded = budgets.unseeded()
        if not unseeded:
            return None
        floors = self._storing("positions", lambda: finished_offsets(self._store))
        for source, end in decider.seen.ends().items():
            floors[source] = max(end, floors.get(source, 0))
        found, now_us = Decisions(), decider.progress.now_us
        for budget in unseeded:
            ask = partial(stored_spend, self._store, budget, floors, clock_us)
            spent = self._storing("stored_spend", ask)
            # Asked for by the same clock: the present period and the one before are whole.
            whole_from_us = budget.before(budget.at(clock_us)).start_us
            notices = budgets.seed(budget.name, floors, spent, now_us, whole_from_us)
            found.notices += [one for one in notices if not one.is_history]
        if found.notices:
            found.budgets += budgets.reported(now_us, 0)
        return found
