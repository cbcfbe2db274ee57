"""One worker's hold on the delta topic: its state, what it writes, and where it goes on.

Every decision is stored before the position moves beyond it, and a snapshot is taken only of what
is stored. So whoever goes on from a snapshot repeats decisions at most, under the same ids.
"""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Final

import pyarrow as pa

from tokentide_jobs.core.alert.book import AlertBook
from tokentide_jobs.core.alert.finding import Finding
from tokentide_jobs.core.alert.pipeline import (
    share_findings,
    silence_finding,
    source_findings,
)
from tokentide_jobs.core.alert.sources import slo_finding
from tokentide_jobs.core.decide.alert_findings import alert_findings
from tokentide_jobs.core.decide.decider import Decider
from tokentide_jobs.core.decide.finding_rows import forecast_rows, rows_of
from tokentide_jobs.core.decide.findings import Findings
from tokentide_jobs.core.decide.states import ended_keys, keys_of, states_of
from tokentide_jobs.core.decide.unwatched import lost, run_of, unwatched
from tokentide_jobs.core.forecast.forecast import Forecast
from tokentide_jobs.core.merge.delta_record import DeltaRecord
from tokentide_jobs.core.outcome.ipc import to_ipc
from tokentide_jobs.errors import ConfigError
from tokentide_jobs.io.clickhouse.budget_spend import read_budgets
from tokentide_jobs.io.clickhouse.client import ClickHouse
from tokentide_jobs.io.clickhouse.detector_store import DetectorStore
from tokentide_jobs.io.clickhouse.pipeline_reads import read_shares, read_silent
from tokentide_jobs.io.clickhouse.slo_reads import read_slos, store_slos
from tokentide_jobs.io.clickhouse.stored_spend import (
    finished_offsets,
    money_version,
    reported_budgets,
    stored_spend,
)
from tokentide_jobs.jobs.alert.desk import AlertDesk
from tokentide_jobs.jobs.detect.rule_files import RuleFiles
from tokentide_jobs.jobs.detect.warm_up import learn_stored, until_watched
from tokentide_jobs.jobs.runtime.log import log_event
from tokentide_jobs.jobs.runtime.waiting import Storing
from tokentide_schemas.control import ControlState, budget_key, run_key

__all__ = ["DetectSession", "Reported"]

_log = logging.getLogger(__name__)

_HOUR_US: Final = 3_600_000_000
_MINUTE_US: Final = 60_000_000
_PIPELINE_US: Final = 10_000_000
_LOGGED_AT_ONCE: Final = 10
"""Of records that cannot be read; all are counted."""
_MONEY_US: Final = 5_000_000
_SHORT_US: Final = 300_000_000
"""Forecasts of budgets by the hour are made anew so often, all others every hour."""
_LEAST_SHARE: Final = 20
"""A snapshot waits at least so many times as long as the last one took."""


@dataclass(slots=True)
class Reported:
    """What services are to be reported."""

    states: list[ControlState] = field(default_factory=list)
    ended: list[str] = field(default_factory=list)
    """Keys whose state is taken back."""


class DetectSession:
    """The state of the detect job while this worker holds the topic.

    Args:
        store: Where decisions and snapshots go.
        files: What is decided by.
        snapshots: Where its state goes.
        storing: Runs a step until the store takes it.
        snapshot_us: Between two snapshots, at least.
        alerts: Who is told of findings, once they are stored.
        clock_us: Wall clock; decides nothing but when something is done.

    Attributes:
        decider: The state.
        positions: Offset of the next record, by partition of the topic.
    """

    def __init__(
        self,
        store: ClickHouse,
        files: RuleFiles,
        snapshots: DetectorStore,
        storing: Storing,
        snapshot_us: int,
        alerts: AlertDesk,
        clock_us: Callable[[], int] = lambda: time.time_ns() // 1_000,
    ) -> None:
        self._store = store
        self._files = files
        self._snapshots = snapshots
        self._storing = storing
        self._snapshot_us = snapshot_us
        self._alerts = alerts
        self._clock_us = clock_us
        self.decider = self._fresh()
        self.positions: dict[int, int] = {}
        self._topic_id = ""
        self._snapshot_due_us = 0
        self._saved: dict[int, int] = {}
        self._forecasts: dict[tuple[str, int], Forecast] = {}
        self._forecast_made: dict[str, tuple[int, int]] = {}
        self._money_due_us = 0
        self._slo_minute = -1
        self._has_learned = False
        self._gone: list[str] = []
        self._began_us = 0
        self._pipeline_due_us = 0
        self._shares_minute = -1

    @property
    def book(self) -> AlertBook:
        """Return the alerts."""
        return self._alerts.book

    def begin(self, topic_id: str, held: Mapping[int, tuple[int, int]]) -> None:
        """Take up the newest snapshot, or begin anew where there is none that fits.

        Args:
            topic_id: Incarnation of the topic of deltas.
            held: Offsets [start, end) that each of its partitions holds now.

        Raises:
            ConfigError: A worker of another group decides on this database.
        """
        self._refuse_other_group(self._clock_us())
        self._topic_id = topic_id
        head = self._storing("read_state", self._snapshots.newest)
        in_force = self._files.in_force
        goes_on = head is not None and head.topic_id == topic_id
        goes_on = goes_on and head is not None and all(
            held[number][0] <= head.offsets.get(number, 0) <= held[number][1] for number in held
        )  # fmt: skip
        self.decider = self._fresh()
        if head is not None:
            read = partial(self._snapshots.read, head)
            try:
                data = self._storing("read_state", read)
                self.decider = Decider.from_bytes(data, in_force.rules, in_force.budgets)
            except ValueError as exc:
                log_event(_log, logging.ERROR, "state_unreadable", error=str(exc))
                head, goes_on = None, False
        if not goes_on:
            # Deltas are missing between the state and the topic: what is stored tells the spend.
            self.decider.budgets.forget()
            self.decider.has_gap = True
        if head is None:
            finished = self._storing("positions", lambda: finished_offsets(self._store))
            for source, end in finished.items():
                for number in held:
                    self.decider.seen.settle(source, number, end)
        offsets = head.offsets if head is not None and goes_on else {}
        self.positions = {number: offsets.get(number, start) for number, (start, _) in held.items()}
        self._saved = dict(self.positions) if goes_on else {}
        self._has_learned = False
        self._began_us = self._clock_us()
        self._snapshot_due_us = self._began_us + self._snapshot_us
        self._alerts.begin()
        reported = self._storing("read_budgets", lambda: reported_budgets(self._store))
        self._gone = sorted(set(map(budget_key, reported)) - keys_of(in_force.budgets))
        self.snapshot()  # one that begins anew: whoever follows begins where this one did
        log_event(
            _log,
            logging.INFO,
            "detection_begins",
            snapshot=head.snapshot_id if head else "none",
            goes_on=goes_on,
            positions=self.positions,
            keys=len(self.decider.detectors.state.keys),
            runs=len(self.decider.guard.live),
        )

    def take(self, records: Sequence[DeltaRecord]) -> tuple[Findings, Reported]:
        """Take records, store what they gave rise to, and return it with what is to be reported."""
        reported = self._reload()
        reported.ended += self._gone
        seeded = self._seed()
        reported.states += states_of(seeded, self._forecasts, _not_reported)
        findings = self._take(records)
        for reason in findings.unreadable[:_LOGGED_AT_ONCE]:
            log_event(_log, logging.WARNING, "delta_unreadable", reason=reason)
        ends = self._ends()
        self._write(findings, [*self._slos(), *self._pipeline(), *ends])
        self._forecast(findings)
        for record in records:
            self.positions[record.partition] = record.offset + 1
        reported.states += states_of(findings, self._forecasts, _not_reported)
        reported.ended += ended_keys(findings)
        reported.ended += (run_key(*run_of(one)) for one in ends if one.kind == "run")
        self._gone = []
        return findings, reported

    def _ends(self) -> list[Finding]:
        """Return the end of alerts about what is not watched any more."""
        in_force, decider = self._files.in_force, self.decider
        alerts, now_us = self.book.alerts.values(), decider.progress.now_us
        ends = list(unwatched(alerts, in_force.budgets, in_force.slos, now_us))
        if decider.has_gap and self._has_learned:  # what was learned knows what goes on
            ends += lost(alerts, decider)
            decider.has_gap = False
        return ends

    def _write(self, findings: Findings, news: Iterable[Finding] = ()) -> None:
        """Store what was found, and what somebody may have to know of it and of the news."""
        window_s = self._files.in_force.rules.parameters.window_s
        for table, rows in rows_of(findings, window_s):
            self._insert(table, rows)
        found = [*alert_findings(findings, window_s), *news]
        self._alerts.observe(found, self.decider.progress.now_us)

    def _take(self, records: Sequence[DeltaRecord]) -> Findings:
        """Decide on records; once the stream is watched, first learn what is stored before it."""
        left = iter(records)
        findings = Findings()
        if not self._has_learned:
            findings.extend(self.decider.take(until_watched(self.decider, left)))
            if self.decider.merge.closed_until_us >= 0:
                self._has_learned = True
                parameters = self._files.in_force.rules.parameters
                if learn_stored(self.decider, parameters, self._store, self._storing):
                    # Whoever follows goes on from what was learned, and soon.
                    self._saved, self._snapshot_due_us = {}, 0
        findings.extend(self.decider.take(left))
        return findings

    def idle(self) -> None:
        """Do what is due while no record comes: look at the pipeline, hear people, save."""
        self._alerts.observe(self._pipeline(), self.decider.progress.now_us)
        self.snapshot_if_due()

    def snapshot_if_due(self) -> int:
        """Take a snapshot when it is time; return its packed size, 0 for none."""
        return self.snapshot() if self._clock_us() >= self._snapshot_due_us else 0

    def snapshot(self) -> int:
        """Take a snapshot unless nothing has come since the last; return its packed size.

        Raises:
            ConfigError: A worker of another group takes them, too.
        """
        now_us = self._clock_us()
        self._snapshot_due_us = now_us + self._snapshot_us
        if self.positions == self._saved:
            return 0
        self._refuse_other_group(now_us)
        state, offsets = self.decider.to_bytes(), dict(self.positions)
        began_s = time.monotonic()
        size = self._storing(
            "write_state", lambda: self._snapshots.write(state, self._topic_id, offsets, now_us)
        )
        took_us = round((time.monotonic() - began_s) * 1e6)
        self._snapshot_due_us = now_us + max(self._snapshot_us, _LEAST_SHARE * took_us)
        self._saved = offsets
        return size

    def _refuse_other_group(self, now_us: int) -> None:
        wrong = self._storing("other_group", lambda: self._snapshots.other_group(now_us))
        if wrong:
            raise ConfigError(wrong)

    def _fresh(self) -> Decider:
        return Decider(self._files.in_force.rules, self._files.in_force.budgets)

    def _reload(self) -> Reported:
        """Take over what the files say now."""
        reported = Reported()
        before = self._files.in_force
        if self._files.changed():
            after = self._files.in_force
            if after.rules != before.rules:
                self.decider.set_rules(after.rules)
                self._has_learned &= set(after.rules.levels) <= set(before.rules.levels)
            self.decider.budgets.replace(after.budgets)
            self._alerts.book.rules = after.alerts.rules
            reported.ended = sorted(keys_of(before.budgets) - keys_of(after.budgets))
            log_event(_log, logging.INFO, "rules_changed", budgets=len(after.budgets))
        return reported

    def _seed(self) -> Findings:
        """Give budgets what is stored: new ones, and all of them once stored money has changed."""
        found, budgets, clock_us = Findings(), self.decider.budgets, self._clock_us()
        if budgets.counted and clock_us >= self._money_due_us:
            self._money_due_us = clock_us + _MONEY_US
            version = self._storing("money_version", lambda: money_version(self._store))
            if version != budgets.money_version:
                budgets.outdate(version)
        unseeded = budgets.unseeded()
        if not unseeded:
            return found
        floors = self._storing("positions", lambda: finished_offsets(self._store))
        for source, end in self.decider.seen.ends().items():
            floors[source] = max(end, floors.get(source, 0))
        now_us = self.decider.progress.now_us
        for budget in unseeded:
            ask = partial(stored_spend, self._store, budget, floors, clock_us)
            spent = self._storing("stored_spend", ask)
            notices = budgets.seed(budget.name, floors, spent, now_us)
            found.notices += [one for one in notices if not one.is_history]
        if found.notices:
            found.budgets += budgets.reported(now_us, 0)
            self._write(found)
        # What is reached from here on is news, also for whoever goes on after a crash.
        self._saved = {}
        self.snapshot()
        return found

    def _forecast(self, findings: Findings) -> None:
        """Store where the periods of budgets end: every hour, and once a period has begun."""
        now_us = self._clock_us()
        begun = {
            (one.budget.revision, one.spend.period.start_us)
            for one in findings.budgets
            if one.spend.requests
        }
        due = {}
        for budget in self._files.in_force.budgets:
            made = self._forecast_made.get(budget.revision, (-1, -1))
            start_us = budget.at(now_us).start_us
            has_begun = (budget.revision, start_us) in begun
            turn = now_us // (_SHORT_US if budget.period == "hour" else _HOUR_US)
            due[budget.revision] = turn, start_us if has_begun else made[1]
            if due[budget.revision] == made:
                del due[budget.revision]
        budgets = [one for one in self._files.in_force.budgets if one.revision in due]
        if not budgets:
            return
        statuses = self._storing("forecast", lambda: read_budgets(self._store, budgets, now_us))
        self._insert(*forecast_rows(statuses))
        self._forecast_made |= due
        self._forecasts = {
            (one.budget.revision, one.current.period.start_us): one.forecast for one in statuses
        } | {key: known for key, known in self._forecasts.items() if key[0] not in due}

    def _slos(self) -> list[Finding]:
        """Judge SLOs by what is stored, once a minute, keep how they stand, and return it."""
        now_us, slos = self._clock_us(), self._files.in_force.slos
        if not slos or now_us // _MINUTE_US == self._slo_minute:
            return []
        statuses = self._storing("slos", lambda: read_slos(self._store, slos, now_us))
        self._storing("slos", lambda: store_slos(self._store, statuses))
        self._slo_minute = now_us // _MINUTE_US
        changes = self.decider.changes.all()
        return [slo_finding(one, changes) for one in statuses]

    def _pipeline(self) -> list[Finding]:
        """Look at the pipeline itself: at its marks every ten seconds, at its rows every minute."""
        now_us, rules = self._clock_us(), self._files.in_force.rules.pipeline
        if now_us < self._pipeline_due_us:
            return []
        self._pipeline_due_us = now_us + _PIPELINE_US
        sources = self.decider.sources.all()
        found = list(source_findings(sources, self._began_us, now_us, rules))
        is_late = found[0].change == "fires"
        stored_until_us = min((one.arrived_us or 0 for one in sources), default=0)
        if is_late or not stored_until_us or now_us // _MINUTE_US == self._shares_minute:
            return found  # what is stored is not the present
        self._shares_minute = now_us // _MINUTE_US
        shares = self._storing("pipeline", lambda: read_shares(self._store, now_us))
        found += share_findings(shares, now_us, rules)
        silent = self._storing("pipeline", lambda: self._silent(stored_until_us))
        found.append(silence_finding(silent, stored_until_us, now_us, rules))
        return found

    def _silent(self, stored_until_us: int) -> list[tuple[str, int]]:
        silent_us = self._files.in_force.rules.pipeline.silent_us
        return read_silent(self._store, stored_until_us, silent_us) if silent_us else []

    def _insert(self, table: str, rows: pa.Table) -> None:
        digest = hashlib.sha256(to_ipc(rows, compress=False)).hexdigest()[:32]
        token = f"detect/{table}/{digest}"
        self._storing(f"insert_{table}", lambda: self._store.insert(table, rows, token))


def _not_reported(reason: str) -> None:
    log_event(_log, logging.ERROR, "state_not_reported", reason=reason)
