"""What the detect job does by the clock: SLOs, the pipeline itself, forecasts.

Nothing here decides on records, so nothing of it is part of a snapshot: a successor asks again what
is stored.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import pyarrow as pa

from tokentide_jobs.core.alert.finding import Finding
from tokentide_jobs.core.alert.pipeline import share_findings, silence_finding, source_findings
from tokentide_jobs.core.alert.sources import slo_finding
from tokentide_jobs.core.decide.decider import Decider
from tokentide_jobs.core.decide.decision_rows import forecast_rows
from tokentide_jobs.core.decide.decisions import Decisions
from tokentide_jobs.core.forecast.forecast import Forecast
from tokentide_jobs.core.tables import HOUR_US, MINUTE_US
from tokentide_jobs.io.clickhouse.budget_spend import read_budgets
from tokentide_jobs.io.clickhouse.client import ClickHouse
from tokentide_jobs.io.clickhouse.pipeline_reads import read_shares, read_silent
from tokentide_jobs.io.clickhouse.slo_reads import read_slos, store_slos
from tokentide_jobs.jobs.detect.rule_files import RuleFiles
from tokentide_jobs.jobs.runtime.waiting import Storing

__all__ = ["DueByClock"]

_MARKS_US: Final = 10_000_000
_AFTER_US: Final = 10_000_000
"""What is due every minute is due so long after it: windows end with minutes, and their rows would
wait for what is asked then."""
_SHORT_US: Final = 300_000_000
"""Forecasts of budgets by the hour are made again so often, all others every hour."""


class DueByClock:
    """What was done when, and what came of it that is still of use.

    Args:
        store: What is asked.
        files: What is expected.
        storing: Runs a step until the store takes it.
        insert: Stores rows of a table.
        clock_us: Wall clock.

    Attributes:
        forecasts: The newest, by revision of a budget and start of its period.
    """

    def __init__(
        self,
        store: ClickHouse,
        files: RuleFiles,
        storing: Storing,
        insert: Callable[[str, pa.Table], None],
        clock_us: Callable[[], int],
    ) -> None:
        self._store = store
        self._files = files
        self._storing = storing
        self._insert = insert
        self._clock_us = clock_us
        self.forecasts: dict[tuple[str, int], Forecast] = {}
        self._forecast_made: dict[str, tuple[int, int, int]] = {}
        """By revision: number of the hour (of five minutes in budgets of an hour), start of the
        period, highest threshold reached in it."""
        self._slo_minute = -1
        self._began_us = 0
        self._marks_due_us = 0
        self._shares_minute = -1

    def begin(self) -> None:
        """Listen from now on: nothing of the pipeline is later than that."""
        self._began_us = self._clock_us()

    def findings(self, decider: Decider) -> list[Finding]:
        """Return what is found about SLOs and the pipeline, of what is due."""
        return [*self._slos(decider), *self.pipeline(decider)]

    def _slos(self, decider: Decider) -> list[Finding]:
        """Judge SLOs by what is stored, once a minute, keep how they stand, and return it."""
        now_us, slos = self._clock_us(), self._files.in_force.slos
        if not slos or _minute(now_us) == self._slo_minute:
            return []
        statuses = self._storing("slos", lambda: read_slos(self._store, slos, now_us))
        self._storing("slos", lambda: store_slos(self._store, statuses))
        self._slo_minute = _minute(now_us)
        changes = decider.changes.all()
        return [slo_finding(one, changes) for one in statuses]

    def pipeline(self, decider: Decider) -> list[Finding]:
        """Look at the pipeline itself: at its marks every ten seconds, at its rows every minute."""
        now_us, rules = self._clock_us(), self._files.in_force.rules.pipeline
        if now_us < self._marks_due_us:
            return []
        self._marks_due_us = now_us + _MARKS_US
        sources = decider.sources.all()
        found = list(source_findings(sources, self._began_us, now_us, rules))
        is_late = any(one.metric == "late" and one.change == "fires" for one in found)
        stored_until_us = min((one.arrived_us or 0 for one in sources), default=0)
        if is_late or not stored_until_us or _minute(now_us) == self._shares_minute:
            return found  # what is stored is not the present
        self._shares_minute = _minute(now_us)
        shares = self._storing("pipeline", lambda: read_shares(self._store, now_us))
        found += share_findings(shares, now_us, rules)
        silent = self._storing("pipeline", lambda: self._silent(stored_until_us))
        found.append(silence_finding(silent, stored_until_us, now_us, rules))
        return found

    def forecast(self, decisions: Decisions) -> set[str]:
        """Store where the periods of budgets end: every hour, and when one begins or has news.

        News is the first spend of a period, and a threshold that is reached.

        Returns:
            The revisions of the budgets whose forecast was made.
        """
        now_us = self._clock_us()
        standing = {
            one.budget.revision: one.spend
            for one in decisions.budgets
            if one.spend.requests and one.spend.period == one.budget.at(now_us)
        }
        due = {}
        for budget in self._files.in_force.budgets:
            made = self._forecast_made.get(budget.revision, (-1, -1, 0))
            _turn, begun_us, percent = made
            if (spend := standing.get(budget.revision)) is not None:
                begun_us, percent = spend.period.start_us, max(spend.crossed, default=0)
            turn = (now_us - _AFTER_US) // (_SHORT_US if budget.period == "hour" else HOUR_US)
            if (turn, begun_us, percent) != made:
                due[budget.revision] = turn, begun_us, percent
        budgets = [one for one in self._files.in_force.budgets if one.revision in due]
        if not budgets:
            return set()
        statuses = self._storing("forecast", lambda: read_budgets(self._store, budgets, now_us))
        self._insert(*forecast_rows(statuses))
        self._forecast_made |= due
        self.forecasts = {
            (one.budget.revision, one.current.period.start_us): one.forecast for one in statuses
        } | {key: known for key, known in self.forecasts.items() if key[0] not in due}
        return set(due)

    def _silent(self, stored_until_us: int) -> list[tuple[str, int]]:
        silent_us = self._files.in_force.rules.pipeline.silent_us
        return read_silent(self._store, stored_until_us, silent_us) if silent_us else []


def _minute(now_us: int) -> int:
    return (now_us - _AFTER_US) // MINUTE_US
