"""One worker's hold on the delta topic: its state, what it writes, and where it goes on.

Every decision is stored before the position moves beyond it, and a snapshot is taken only of what
is stored. So a successor that begins at a snapshot repeats decisions at most, under the same ids.
"""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import Final

import pyarrow as pa

from tokentide_jobs.core.alert.book import AlertBook
from tokentide_jobs.core.alert.finding import Finding
from tokentide_jobs.core.decide.alert_findings import alert_findings
from tokentide_jobs.core.decide.decider import Decider
from tokentide_jobs.core.decide.decision_rows import rows_of
from tokentide_jobs.core.decide.decisions import Decisions
from tokentide_jobs.core.decide.states import ended_keys, keys_of, states_of
from tokentide_jobs.core.decide.unwatched import lost, run_of, unwatched
from tokentide_jobs.core.merge.delta_record import DeltaRecord
from tokentide_jobs.core.outcome.ipc import to_ipc
from tokentide_jobs.core.tables import MINUTE_US
from tokentide_jobs.errors import ConfigError
from tokentide_jobs.io.clickhouse.client import ClickHouse
from tokentide_jobs.io.clickhouse.detector_store import LONGEST_PAUSE_US, DetectorStore
from tokentide_jobs.io.clickhouse.stored_history import newest_window_us
from tokentide_jobs.io.clickhouse.stored_spend import finished_offsets, reported_budgets
from tokentide_jobs.jobs.alert.desk import AlertDesk
from tokentide_jobs.jobs.detect.database_clock import DatabaseClock
from tokentide_jobs.jobs.detect.due_by_clock import DueByClock
from tokentide_jobs.jobs.detect.reported import Reported, ReportGate
from tokentide_jobs.jobs.detect.rule_files import RuleFiles
from tokentide_jobs.jobs.detect.seeding import Seeding
from tokentide_jobs.jobs.detect.warm_up import learn_stored, until_watched
from tokentide_jobs.jobs.runtime.log import log_event
from tokentide_jobs.jobs.runtime.waiting import Storing
from tokentide_schemas.control import ControlState, budget_key, run_key

__all__ = ["DetectSession"]

_log = logging.getLogger(__name__)

_LOGGED_AT_ONCE: Final = 10
"""Of records that cannot be read; all are counted."""
_SNAPSHOT_SPAN_US: Final = (10_000_000, 55_000_000)
"""When of a minute a snapshot is taken in a stream: at its end windows close, and may not wait."""
_LEAST_SHARE: Final = 20
"""A snapshot waits so many times as long as the last one took, unless others took us for gone."""


class DetectSession:
    """The state of the detect job while this worker holds the topic.

    Args:
        store: Where decisions and snapshots go.
        files: What is decided by.
        snapshots: Where its state goes.
        storing: Runs a step until the store takes it.
        snapshot_us: Between two snapshots, at least; at most LONGEST_PAUSE_US.
        alerts: Takes findings, once they are stored.
        clock: Of the database. Times that are far ahead of it are not believed; apart from that it
            decides only when something is done.

    Attributes:
        clock: That clock.
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
        clock: DatabaseClock,
    ) -> None:
        self._store = store
        self._files = files
        self._snapshots = snapshots
        self._storing = storing
        self._snapshot_us = snapshot_us
        self._alerts = alerts
        self.clock = clock
        self._clock_us = clock.now_us
        self._seeding = Seeding(store, storing, clock.now_us)
        self._due = DueByClock(store, files, storing, self._insert, clock.now_us)
        self.decider = self._fresh()
        self.positions: dict[int, int] = {}
        self._topic_id = ""
        self._snapshot_due_us = 0
        self._has_learned = False
        self._gone: list[str] = []
        self._report_gate = ReportGate({}, list)

    @property
    def book(self) -> AlertBook:
        """Return the alerts."""
        return self._alerts.book

    def begin(self, topic_id: str, held: Mapping[int, tuple[int, int]]) -> None:
        """Take up the newest snapshot, or begin again where there is none that fits.

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
            # Deltas are missing between the state and the topic: the spend is read from the store.
            self.decider.budgets.recount()
            self.decider.has_gap = True
        if head is None or not (goes_on and self.decider.balance.has_begun):
            self._begin_balance(held, is_new=head is None)
        self.decider.balance.partitions = tuple(sorted(held))
        offsets = head.offsets if head is not None and goes_on else {}
        self.positions = {number: offsets.get(number, start) for number, (start, _) in held.items()}
        self._report_gate = ReportGate(
            {number: end for number, (_, end) in held.items()}, self._standing
        )
        self._has_learned = False
        self._due.begin()
        self._alerts.begin()
        self._lost()
        reported = self._storing("read_budgets", lambda: reported_budgets(self._store))
        self._gone = sorted(set(map(budget_key, reported)) - keys_of(in_force.budgets))
        if head is not None and goes_on:  # it may be old: the next one is due when it would be
            self._snapshot_due_us = min(head.taken_at_us, self._clock_us()) + self._snapshot_us
        else:
            self.snapshot()  # the successor begins where this one did
        log_event(
            _log,
            logging.INFO,
            "detection_begins",
            snapshot=head.snapshot_id if head else "none",
            goes_on=goes_on,
            positions=self.positions,
            keys=self.decider.watched.keys,
            runs=len(self.decider.guard.live),
        )

    def _begin_balance(self, held: Iterable[int], *, is_new: bool) -> None:
        """Count from where ingest has come, and without a state take what is before as seen."""
        finished = self._storing("positions", lambda: finished_offsets(self._store))
        begins = dict(finished)
        for source, end in self.decider.seen.ends().items():
            begins[source] = max(end, begins.get(source, 0))
        self.decider.begin_balance(begins)
        if is_new:
            for source, end in finished.items():
                for number in held:
                    self.decider.seen.settle(source, number, end)
            # Asked after the offsets, so that it covers whatever is before them.
            newest_us = self._storing("newest_window", lambda: newest_window_us(self._store))
            self.decider.progress.pass_over(newest_us)

    def take(self, records: Sequence[DeltaRecord]) -> tuple[Decisions, Reported]:
        """Take records, store what they gave rise to, and return it with what is to be reported."""
        reported = self._reload()
        decisions = self._take(records)
        for reason in decisions.unreadable[:_LOGGED_AT_ONCE]:
            log_event(_log, logging.WARNING, "delta_unreadable", reason=reason)
        ends = self._ends()
        self._write(decisions, ends)
        for record in records:
            self.positions[record.partition] = record.offset + 1
        reported.states += self._states(decisions)
        reported.ended += ended_keys(decisions)
        reported.ended += (run_key(*run_of(one)) for one in ends if one.kind == "run")
        return decisions, self._report_gate.release(reported, self.positions)

    def follow_up(self, decisions: Decisions) -> Reported:
        """Do what is due by the clock, and save; the decisions were reported to services before.

        Nothing of it may keep a decision waiting: it asks the store for minutes and weeks.

        Args:
            decisions: Those that were taken last.

        Returns:
            What is to be reported besides: budgets of which more is known now.
        """
        if found := self._due.findings(self.decider):
            self._alerts.observe(found, self.decider.progress.now_us)
        revisions = self._due.forecast(decisions)
        forecast = [one for one in decisions.budgets if one.budget.revision in revisions]
        reported = Reported(self._states(Decisions(budgets=forecast)))
        if _SNAPSHOT_SPAN_US[0] <= self._clock_us() % MINUTE_US < _SNAPSHOT_SPAN_US[1]:
            self.snapshot_if_due()
        return self._report_gate.release(reported, self.positions)

    def _states(self, decisions: Decisions) -> list[ControlState]:
        return states_of(decisions, self._due.forecasts, _not_reported)

    def _standing(self) -> list[ControlState]:
        return self._states(self.decider.standing())

    def _ends(self) -> list[Finding]:
        """Return the end of alerts about what is not watched any more."""
        in_force, decider = self._files.in_force, self.decider
        alerts, now_us = self.book.alerts.values(), decider.progress.now_us
        ends, gone = list(unwatched(alerts, in_force.budgets, in_force.slos, now_us)), self._lost()
        # What was learned and all that the worker before may have read show what goes on.
        if decider.has_gap and self._has_learned and not self._report_gate.holds:
            ends += gone
            decider.has_gap = False
        return ends

    def _lost(self) -> list[Finding]:
        """Return the end of alerts that may be over, as deltas were missed; none is announced."""
        alerts = self.book.alerts.values()
        gone = list(lost(alerts, self.decider)) if self.decider.has_gap else []
        self.book.unsure = frozenset(one.identity for one in gone)
        return gone

    def _write(self, decisions: Decisions, news: Iterable[Finding] = ()) -> None:
        """Store what was found, and the alerts about it and about the news."""
        for table, rows in rows_of(decisions):
            self._insert(table, rows)
        found = [*alert_findings(decisions), *news]
        self._alerts.observe(found, self.decider.progress.now_us)

    def _take(self, records: Sequence[DeltaRecord]) -> Decisions:
        """Decide on records; once the stream is watched, first learn what is stored before it."""
        left = iter(records)
        decisions = Decisions()
        now_us = self.clock.now_us(max((one.stamp_us for one in records), default=0))
        if not self._has_learned:
            decisions.extend(self.decider.take(until_watched(self.decider, left), now_us))
            if self.decider.merge.closed_until_us >= 0:
                self._has_learned = True
                rules = self._files.in_force.rules
                if learn_stored(self.decider, rules, self._store, self._storing):
                    # A successor is to begin with what was learned, so save soon.
                    self._snapshot_due_us = 0
        decisions.extend(self.decider.take(left, now_us))
        by_clock = self._files.in_force.rules.time == "clock"
        self.clock.note(decisions.ahead, self.decider.progress.now_us if by_clock else 0)
        return decisions

    def idle(self) -> Reported:
        """Do what is due while no record comes: check files, pipeline and actions of people, save.

        Returns:
            What is to be reported since a file changed, or what is stored.
        """
        reported = self._reload()
        self._alerts.observe(self._due.pipeline(self.decider), self.decider.progress.now_us)
        self.snapshot_if_due()
        return self._report_gate.release(reported, self.positions)

    def snapshot_if_due(self) -> int:
        """Take a snapshot when it is time; return its packed size, 0 for none."""
        return self.snapshot() if self._clock_us() >= self._snapshot_due_us else 0

    def snapshot(self) -> int:
        """Take a snapshot; return its packed size.

        It is taken also when nothing has come since the last one: it shows other groups that this
        one lives.

        Raises:
            ConfigError: A worker of another group takes them, too.
        """
        now_us = self._clock_us()
        self._refuse_other_group(now_us)
        state, offsets = self.decider.to_bytes(), dict(self.positions)
        consumed = self.decider.consumed()
        began_s = time.monotonic()
        size = self._storing(
            "write_state",
            lambda: self._snapshots.write(state, self._topic_id, offsets, now_us, consumed),
        )
        took_us = round((time.monotonic() - began_s) * 1e6)
        pause_us = min(_LEAST_SHARE * took_us, LONGEST_PAUSE_US)
        self._snapshot_due_us = now_us + max(self._snapshot_us, pause_us)
        return size

    def _refuse_other_group(self, now_us: int) -> None:
        wrong = self._storing("other_group", lambda: self._snapshots.other_group(now_us))
        if wrong:
            raise ConfigError(wrong)

    def _fresh(self) -> Decider:
        return Decider(self._files.in_force.rules, self._files.in_force.budgets)

    def _reload(self) -> Reported:
        """Take over what the files say now, and give budgets what they lack by it."""
        reported, self._gone = Reported(ended=self._gone), []
        before = self._files.in_force
        if self._files.changed():
            after = self._files.in_force
            if after.rules != before.rules:
                self.decider.set_rules(after.rules)
                self._lost()
                self._has_learned &= all(
                    set(now.levels) <= set(then.levels)
                    for now, then in zip(after.rules.watches, before.rules.watches, strict=True)
                )
            self.decider.budgets.replace(after.budgets)
            self._alerts.book.rules = after.alerts.rules
            reported.ended += sorted(keys_of(before.budgets) - keys_of(after.budgets))
            log_event(_log, logging.INFO, "rules_changed", budgets=len(after.budgets))
        reported.states += self._states(self._seed())
        return reported

    def _seed(self) -> Decisions:
        """Give budgets what is stored, where they lack it, and store what that gave rise to."""
        found = self._seeding.seed(self.decider)
        if found is None:
            return Decisions()
        if found.notices:
            self._write(found)
        # What is reached from here on is news, also for a successor after a crash.
        self.snapshot()
        return found

    def _insert(self, table: str, rows: pa.Table) -> None:
        digest = hashlib.sha256(to_ipc(rows, compress=False)).hexdigest()[:32]
        token = f"detect/{table}/{digest}"
        self._storing(f"insert_{table}", lambda: self._store.insert(table, rows, token))


def _not_reported(reason: str) -> None:
    log_event(_log, logging.ERROR, "state_not_reported", reason=reason)
